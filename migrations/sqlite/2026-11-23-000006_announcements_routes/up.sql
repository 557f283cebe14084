CREATE TABLE announcements (
    id BLOB PRIMARY KEY,
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    author_id BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    audience TEXT NOT NULL,
    words TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX announcements_run ON announcements (run_id, id);

CREATE TABLE run_routes (
    run_id BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    geometry TEXT NOT NULL,
    length_km DOUBLE NOT NULL,
    updated_at TEXT NOT NULL
);

-- For which occasions substitutes have been called to a run: a pause, or too few facilitators.
CREATE TABLE run_calls (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    occasion TEXT NOT NULL,
    called_at TEXT NOT NULL,
    PRIMARY KEY (run_id, occasion)
);
