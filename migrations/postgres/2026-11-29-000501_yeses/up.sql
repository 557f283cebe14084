-- A yes counts for the start, the place and the people that it was given for, so each is kept with its answer.
CREATE TABLE given_yeses (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    question text NOT NULL,
    starts_at timestamptz NOT NULL,
    lat double precision NOT NULL,
    lng double precision NOT NULL,
    with_id uuid,
    given_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, account_id, question)
);
CREATE INDEX given_yeses_account ON given_yeses (account_id);
CREATE INDEX given_yeses_start ON given_yeses (starts_at);
ALTER TABLE signups DROP COLUMN reconfirmed_at;
ALTER TABLE run_facilitators DROP COLUMN yes_at;
ALTER TABLE links ADD COLUMN question text;
ALTER TABLE links ADD COLUMN for_starts_at timestamptz;
ALTER TABLE links ADD COLUMN for_lat double precision;
ALTER TABLE links ADD COLUMN for_lng double precision;
ALTER TABLE links ADD COLUMN for_account_id uuid;
