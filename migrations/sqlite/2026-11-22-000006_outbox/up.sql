CREATE TABLE outbox (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    notice TEXT NOT NULL,
    run_id BLOB,
    signup_id BLOB,
    once_key TEXT UNIQUE,
    status TEXT NOT NULL,
    not_before TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    lease_until TEXT,
    fence BIGINT NOT NULL,
    last_error TEXT,
    created_at TEXT NOT NULL,
    finished_at TEXT
);
CREATE INDEX outbox_due ON outbox (status, not_before, id);
CREATE INDEX outbox_account ON outbox (account_id, status);
