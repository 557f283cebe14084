CREATE TABLE announcements (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    author_id uuid REFERENCES accounts (id) ON DELETE SET NULL,
    audience text NOT NULL,
    words text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX announcements_run ON announcements (run_id, id);

CREATE TABLE run_routes (
    run_id uuid PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    geometry text NOT NULL,
    length_km double precision NOT NULL,
    updated_at timestamptz NOT NULL
);

-- For which occasions substitutes have been called to a run: a pause, or too few facilitators.
CREATE TABLE run_calls (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    occasion text NOT NULL,
    called_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, occasion)
);
