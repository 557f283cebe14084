CREATE TABLE blocks (
    id uuid PRIMARY KEY,
    blocker_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    blocked_id uuid REFERENCES accounts (id) ON DELETE SET NULL,
    named_id uuid,
    email_hash text,
    run_id uuid REFERENCES runs (id) ON DELETE SET NULL,
    description text,
    note text,
    created_at timestamptz NOT NULL,
    resolved_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    resolved_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX blocks_blocker ON blocks (blocker_id, ended_at);
CREATE INDEX blocks_blocked ON blocks (blocked_id, ended_at);
CREATE INDEX blocks_email ON blocks (email_hash);
CREATE INDEX blocks_tasks ON blocks (resolved_at, ended_at, id);
