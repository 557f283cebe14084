CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind text NOT NULL,
    notice text NOT NULL,
    run_id uuid,
    signup_id uuid,
    once_key text UNIQUE,
    status text NOT NULL,
    not_before timestamptz NOT NULL,
    attempts integer NOT NULL,
    lease_until timestamptz,
    fence bigint NOT NULL,
    last_error text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX outbox_due ON outbox (status, not_before, id);
CREATE INDEX outbox_account ON outbox (account_id, status);
