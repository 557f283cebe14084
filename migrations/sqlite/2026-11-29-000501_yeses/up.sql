-- A yes counts for the start, the place and the people that it was given for, so each is kept with its answer.
CREATE TABLE given_yeses (
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    starts_at TEXT NOT NULL,
    lat DOUBLE NOT NULL,
    lng DOUBLE NOT NULL,
    with_id BLOB,
    given_at TEXT NOT NULL,
    PRIMARY KEY (run_id, account_id, question)
);
CREATE INDEX given_yeses_account ON given_yeses (account_id);
CREATE INDEX given_yeses_start ON given_yeses (starts_at);
ALTER TABLE signups DROP COLUMN reconfirmed_at;
ALTER TABLE run_facilitators DROP COLUMN yes_at;
ALTER TABLE links ADD COLUMN question TEXT;
ALTER TABLE links ADD COLUMN for_starts_at TEXT;
ALTER TABLE links ADD COLUMN for_lat DOUBLE;
ALTER TABLE links ADD COLUMN for_lng DOUBLE;
ALTER TABLE links ADD COLUMN for_account_id BLOB;
