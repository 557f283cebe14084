CREATE TABLE signups (
    id BLOB PRIMARY KEY,
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    queue_no INTEGER NOT NULL,
    answers TEXT NOT NULL,
    note TEXT,
    short_notice INTEGER NOT NULL,
    new_here INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    confirmed_at TEXT,
    reason_code TEXT,
    private_note TEXT,
    statement TEXT,
    decided_by BLOB REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX signups_one_live ON signups (run_id, account_id)
    WHERE status IN ('requested', 'confirmed', 'waitlisted', 'offered');
CREATE INDEX signups_run ON signups (run_id, status, queue_no);
CREATE INDEX signups_account ON signups (account_id, id);
