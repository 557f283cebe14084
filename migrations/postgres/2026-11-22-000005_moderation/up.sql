CREATE TABLE bars (
    id uuid PRIMARY KEY,
    facilitator_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    until timestamptz NOT NULL,
    reason_code text NOT NULL,
    private_note text NOT NULL,
    statement text,
    created_at timestamptz NOT NULL,
    lifted_at timestamptz
);
CREATE INDEX bars_account ON bars (account_id, facilitator_id);
CREATE INDEX bars_facilitator ON bars (facilitator_id, id);

CREATE TABLE sanctions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind text NOT NULL,
    scope text NOT NULL,
    rule text NOT NULL,
    statement text NOT NULL,
    decided_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    lifted_at timestamptz,
    lifted_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    lift_reason text
);
CREATE INDEX sanctions_account ON sanctions (account_id, id);

CREATE TABLE banned_addresses (
    hash text NOT NULL,
    sanction_id uuid NOT NULL,
    PRIMARY KEY (hash, sanction_id)
);

CREATE TABLE reports (
    id uuid PRIMARY KEY,
    reporter_id uuid REFERENCES accounts (id) ON DELETE SET NULL,
    about_kind text NOT NULL,
    about_id uuid,
    run_id uuid REFERENCES runs (id) ON DELETE SET NULL,
    description text,
    category text NOT NULL,
    urgency integer NOT NULL,
    statement text NOT NULL,
    status text NOT NULL,
    assigned_to uuid REFERENCES accounts (id) ON DELETE SET NULL,
    resolution text,
    created_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE INDEX reports_queue ON reports (status, urgency, id);

CREATE TABLE appeals (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    about_kind text NOT NULL,
    about_id uuid NOT NULL,
    first_decided_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    statement text NOT NULL,
    outcome text,
    decided_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    decision text,
    created_at timestamptz NOT NULL,
    decided_at timestamptz
);
CREATE UNIQUE INDEX appeals_one_open ON appeals (about_kind, about_id) WHERE outcome IS NULL;
