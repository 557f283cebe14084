CREATE TABLE installation (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE accounts (
    id BLOB PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    display_name TEXT NOT NULL,
    status TEXT NOT NULL,
    terms_version TEXT,
    terms_accepted_at TEXT,
    locale TEXT NOT NULL,
    time_zone TEXT,
    external_id TEXT UNIQUE,
    reminders INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    verified_at TEXT
);

CREATE TABLE account_roles (
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    granted_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    granted_at TEXT NOT NULL,
    PRIMARY KEY (account_id, role)
);

CREATE TABLE running_profiles (
    account_id BLOB PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    activities TEXT NOT NULL,
    comfortable_pace TEXT,
    walking_pace TEXT,
    home_cell TEXT NOT NULL,
    home_changes TEXT NOT NULL,
    pace_changes TEXT NOT NULL,
    travel_radius_km DOUBLE NOT NULL,
    availability TEXT NOT NULL,
    languages TEXT NOT NULL,
    access_needs TEXT NOT NULL,
    not_after_dark INTEGER NOT NULL,
    new_here INTEGER NOT NULL,
    gentle_start INTEGER NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX sessions_account ON sessions (account_id);

CREATE TABLE refresh_tokens (
    hash TEXT PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at TEXT NOT NULL,
    used_at TEXT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE links (
    id BLOB PRIMARY KEY,
    action TEXT NOT NULL,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    about_id BLOB,
    about_kind TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT
);
CREATE INDEX links_account ON links (account_id, action, about_id);

CREATE TABLE rate_counters (
    bucket TEXT NOT NULL,
    window_start TEXT NOT NULL,
    hits INTEGER NOT NULL,
    PRIMARY KEY (bucket, window_start)
);

CREATE TABLE idempotency_keys (
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER,
    body TEXT,
    etag TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
