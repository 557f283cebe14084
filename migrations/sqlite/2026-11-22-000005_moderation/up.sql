CREATE TABLE bars (
    id BLOB PRIMARY KEY,
    facilitator_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    until TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    private_note TEXT NOT NULL,
    statement TEXT,
    created_at TEXT NOT NULL,
    lifted_at TEXT
);
CREATE INDEX bars_account ON bars (account_id, facilitator_id);
CREATE INDEX bars_facilitator ON bars (facilitator_id, id);

CREATE TABLE sanctions (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    scope TEXT NOT NULL,
    rule TEXT NOT NULL,
    statement TEXT NOT NULL,
    decided_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    lifted_at TEXT,
    lifted_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    lift_reason TEXT
);
CREATE INDEX sanctions_account ON sanctions (account_id, id);

CREATE TABLE banned_addresses (
    hash TEXT NOT NULL,
    sanction_id BLOB NOT NULL,
    PRIMARY KEY (hash, sanction_id)
);

CREATE TABLE reports (
    id BLOB PRIMARY KEY,
    reporter_id BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    about_kind TEXT NOT NULL,
    about_id BLOB,
    run_id BLOB REFERENCES runs (id) ON DELETE SET NULL,
    description TEXT,
    category TEXT NOT NULL,
    urgency INTEGER NOT NULL,
    statement TEXT NOT NULL,
    status TEXT NOT NULL,
    assigned_to BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    resolution TEXT,
    created_at TEXT NOT NULL,
    resolved_at TEXT
);
CREATE INDEX reports_queue ON reports (status, urgency, id);

CREATE TABLE appeals (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    about_kind TEXT NOT NULL,
    about_id BLOB NOT NULL,
    first_decided_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    statement TEXT NOT NULL,
    outcome TEXT,
    decided_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    decision TEXT,
    created_at TEXT NOT NULL,
    decided_at TEXT
);
CREATE UNIQUE INDEX appeals_one_open ON appeals (about_kind, about_id) WHERE outcome IS NULL;
