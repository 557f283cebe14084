CREATE TABLE runs (
    id BLOB PRIMARY KEY,
    external_id TEXT UNIQUE,
    created_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    activity TEXT NOT NULL,
    fastest_s_per_km INTEGER NOT NULL,
    slowest_s_per_km INTEGER NOT NULL,
    no_drop INTEGER NOT NULL,
    distance_km DOUBLE,
    duration_min INTEGER NOT NULL,
    starts_at TEXT NOT NULL,
    ends_at TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    lat DOUBLE NOT NULL,
    lng DOUBLE NOT NULL,
    place_name TEXT NOT NULL,
    getting_there TEXT,
    point_is_public INTEGER NOT NULL,
    area_cell TEXT NOT NULL,
    shown_lat DOUBLE NOT NULL,
    shown_lng DOUBLE NOT NULL,
    after_dark INTEGER NOT NULL,
    capacity INTEGER NOT NULL,
    newcomer_places INTEGER,
    join_policy TEXT NOT NULL,
    languages TEXT NOT NULL,
    access TEXT NOT NULL,
    questions TEXT NOT NULL,
    day_contact TEXT,
    cancel_reason TEXT,
    cancel_message TEXT,
    paused_at TEXT,
    version INTEGER NOT NULL,
    last_queue_no INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX runs_upcoming ON runs (status, starts_at, id);
CREATE INDEX runs_place ON runs (status, shown_lat, shown_lng);
CREATE INDEX runs_ends ON runs (status, ends_at);

CREATE TABLE run_facilitators (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    listed_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    listed_at TEXT NOT NULL,
    PRIMARY KEY (run_id, account_id)
);
CREATE INDEX run_facilitators_account ON run_facilitators (account_id);

CREATE TABLE run_reminders (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    moment TEXT NOT NULL,
    starts_at TEXT NOT NULL,
    PRIMARY KEY (run_id, moment, starts_at)
);
