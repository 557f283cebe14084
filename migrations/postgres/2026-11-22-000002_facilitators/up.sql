CREATE TABLE facilitator_applications (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    statement text NOT NULL,
    status text NOT NULL,
    decided_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    decided_at timestamptz,
    reason text,
    created_at timestamptz NOT NULL
);
CREATE INDEX facilitator_applications_account ON facilitator_applications (account_id);
CREATE INDEX facilitator_applications_status ON facilitator_applications (status, id);
CREATE UNIQUE INDEX facilitator_applications_one ON facilitator_applications (account_id)
    WHERE status IN ('pending', 'approved');

CREATE TABLE credentials (
    id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES facilitator_applications (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind text NOT NULL,
    issuer text NOT NULL,
    reference text NOT NULL,
    expires_on text,
    required boolean NOT NULL
);
CREATE INDEX credentials_account ON credentials (account_id);
