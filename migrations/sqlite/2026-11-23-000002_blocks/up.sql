CREATE TABLE blocks (
    id BLOB PRIMARY KEY,
    blocker_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    blocked_id BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    named_id BLOB,
    email_hash TEXT,
    run_id BLOB REFERENCES runs (id) ON DELETE SET NULL,
    description TEXT,
    note TEXT,
    created_at TEXT NOT NULL,
    resolved_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    resolved_at TEXT,
    ended_at TEXT
);
CREATE INDEX blocks_blocker ON blocks (blocker_id, ended_at);
CREATE INDEX blocks_blocked ON blocks (blocked_id, ended_at);
CREATE INDEX blocks_email ON blocks (email_hash);
CREATE INDEX blocks_tasks ON blocks (resolved_at, ended_at, id);
