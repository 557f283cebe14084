CREATE TABLE facilitator_applications (
    id BLOB PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    statement TEXT NOT NULL,
    status TEXT NOT NULL,
    decided_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    decided_at TEXT,
    reason TEXT,
    created_at TEXT NOT NULL
);
CREATE INDEX facilitator_applications_account ON facilitator_applications (account_id);
CREATE INDEX facilitator_applications_status ON facilitator_applications (status, id);
CREATE UNIQUE INDEX facilitator_applications_one ON facilitator_applications (account_id)
    WHERE status IN ('pending', 'approved');

CREATE TABLE credentials (
    id BLOB PRIMARY KEY,
    application_id BLOB NOT NULL REFERENCES facilitator_applications (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    issuer TEXT NOT NULL,
    reference TEXT NOT NULL,
    expires_on TEXT,
    required INTEGER NOT NULL
);
CREATE INDEX credentials_account ON credentials (account_id);
