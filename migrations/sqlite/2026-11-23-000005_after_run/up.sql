CREATE TABLE after_runs (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    pace TEXT,
    felt_safe INTEGER,
    report_id BLOB REFERENCES reports (id) ON DELETE SET NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (run_id, account_id)
);
CREATE INDEX after_runs_account ON after_runs (account_id);

CREATE TABLE care_wishes (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    run_id BLOB REFERENCES runs (id) ON DELETE SET NULL,
    status TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    answer_by TEXT NOT NULL,
    taken_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    taken_at TEXT,
    team_told_at TEXT,
    person_told_at TEXT,
    ended_at TEXT
);
CREATE INDEX care_wishes_queue ON care_wishes (status, asked_at);
CREATE UNIQUE INDEX care_wishes_one ON care_wishes (account_id) WHERE ended_at IS NULL;
