CREATE TABLE installation (
    name text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    password_hash text,
    display_name text NOT NULL,
    status text NOT NULL,
    terms_version text,
    terms_accepted_at timestamptz,
    locale text NOT NULL,
    time_zone text,
    external_id text UNIQUE,
    reminders boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    verified_at timestamptz
);

CREATE TABLE account_roles (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role text NOT NULL,
    granted_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, role)
);

CREATE TABLE running_profiles (
    account_id uuid PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    activities text NOT NULL,
    comfortable_pace text,
    walking_pace text,
    home_cell text NOT NULL,
    home_changes text NOT NULL,
    pace_changes text NOT NULL,
    travel_radius_km double precision NOT NULL,
    availability text NOT NULL,
    languages text NOT NULL,
    access_needs text NOT NULL,
    not_after_dark boolean NOT NULL,
    new_here boolean NOT NULL,
    gentle_start boolean NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX sessions_account ON sessions (account_id);

CREATE TABLE refresh_tokens (
    hash text PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

CREATE TABLE links (
    id uuid PRIMARY KEY,
    action text NOT NULL,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    about_id uuid,
    about_kind text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX links_account ON links (account_id, action, about_id);

CREATE TABLE rate_counters (
    bucket text NOT NULL,
    window_start timestamptz NOT NULL,
    hits integer NOT NULL,
    PRIMARY KEY (bucket, window_start)
);

CREATE TABLE idempotency_keys (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key text NOT NULL,
    fingerprint text NOT NULL,
    status integer,
    body text,
    etag text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
