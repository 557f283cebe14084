CREATE TABLE signups (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    status text NOT NULL,
    queue_no integer NOT NULL,
    answers text NOT NULL,
    note text,
    short_notice boolean NOT NULL,
    new_here boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    reason_code text,
    private_note text,
    statement text,
    decided_by uuid REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX signups_one_live ON signups (run_id, account_id)
    WHERE status IN ('requested', 'confirmed', 'waitlisted', 'offered');
CREATE INDEX signups_run ON signups (run_id, status, queue_no);
CREATE INDEX signups_account ON signups (account_id, id);
