-- A standing wish; what it does not say is the running profile's of the moment.
CREATE TABLE match_requests (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    wish text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    warned_at timestamptz
);
CREATE INDEX match_requests_account ON match_requests (account_id, id);
CREATE INDEX match_requests_end ON match_requests (expires_at);

-- The areas that somebody's wishes have named lately: they count, also after a wish is gone.
CREATE TABLE match_areas (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    cell text NOT NULL,
    first_used_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, cell)
);

-- Which runs somebody is told of: each pair once, ever.
CREATE TABLE match_alerts (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    found_at timestamptz NOT NULL,
    mail_id uuid,
    PRIMARY KEY (account_id, run_id)
);
CREATE INDEX match_alerts_run ON match_alerts (run_id);

-- How often somebody wants to be told, and the mail that waits to gather what was found.
CREATE TABLE alert_states (
    account_id uuid PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    choice text NOT NULL,
    mail_id uuid,
    due_at timestamptz,
    gathered_at timestamptz
);

-- Runs that were posted or changed, for which nobody has looked yet whom they fit.
CREATE TABLE alert_runs (
    run_id uuid PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    stamp uuid NOT NULL,
    queued_at timestamptz NOT NULL,
    lease_until timestamptz
);
CREATE INDEX alert_runs_queue ON alert_runs (queued_at, run_id);
