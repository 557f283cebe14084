ALTER TABLE running_profiles ADD COLUMN talk_or_quiet TEXT;
ALTER TABLE signups ADD COLUMN said_there_at timestamptz;

CREATE TABLE emergency_contacts (
    account_id uuid PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    phone TEXT NOT NULL,
    relation TEXT,
    updated_at timestamptz NOT NULL
);

CREATE TABLE incidents (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    report_id uuid NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    severity TEXT NOT NULL,
    happened_at timestamptz,
    emergency_services boolean NOT NULL,
    signup_ids TEXT NOT NULL,
    guest_ids TEXT NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX incidents_run ON incidents (run_id);
CREATE INDEX incidents_report ON incidents (report_id);

-- Who ran beside whom, told from both sides.
CREATE TABLE partners (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    partner_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    starts_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, account_id, partner_id)
);
CREATE INDEX partners_account ON partners (account_id, starts_at);

-- What stays of runs whose sign-ups are forgotten.
CREATE TABLE kept_history (
    account_id uuid PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    runs INTEGER NOT NULL,
    silent_absences INTEGER NOT NULL
);

CREATE TABLE kept_leaders (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    facilitator_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    times INTEGER NOT NULL,
    last_month TEXT NOT NULL,
    PRIMARY KEY (account_id, facilitator_id)
);

CREATE TABLE kept_series (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    series_id uuid NOT NULL REFERENCES run_series (id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, series_id)
);
