CREATE TABLE runs (
    id uuid PRIMARY KEY,
    external_id text UNIQUE,
    created_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    status text NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    activity text NOT NULL,
    fastest_s_per_km integer NOT NULL,
    slowest_s_per_km integer NOT NULL,
    no_drop boolean NOT NULL,
    distance_km double precision,
    duration_min integer NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    lat double precision NOT NULL,
    lng double precision NOT NULL,
    place_name text NOT NULL,
    getting_there text,
    point_is_public boolean NOT NULL,
    area_cell text NOT NULL,
    shown_lat double precision NOT NULL,
    shown_lng double precision NOT NULL,
    after_dark boolean NOT NULL,
    capacity integer NOT NULL,
    newcomer_places integer,
    join_policy text NOT NULL,
    languages text NOT NULL,
    access text NOT NULL,
    questions text NOT NULL,
    day_contact text,
    cancel_reason text,
    cancel_message text,
    paused_at timestamptz,
    version integer NOT NULL,
    last_queue_no integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX runs_upcoming ON runs (status, starts_at, id);
CREATE INDEX runs_place ON runs (status, shown_lat, shown_lng);
CREATE INDEX runs_ends ON runs (status, ends_at);

CREATE TABLE run_facilitators (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    status text NOT NULL,
    listed_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    listed_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, account_id)
);
CREATE INDEX run_facilitators_account ON run_facilitators (account_id);

CREATE TABLE run_reminders (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    moment text NOT NULL,
    starts_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, moment, starts_at)
);
