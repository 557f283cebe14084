CREATE TABLE run_series (
    id uuid PRIMARY KEY,
    created_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    status text NOT NULL,
    draft text NOT NULL,
    first_local_start text NOT NULL,
    time_zone text NOT NULL,
    rrule text NOT NULL,
    -- Dates from this wall time on are not this series' any more: it was ended, or another went on from there.
    ends_before text,
    -- The next date that the worker makes, and when it begins; none when there is none.
    next_date text,
    next_at timestamptz,
    -- Regulars have to be seated on dates that were made earlier.
    seats_due boolean NOT NULL DEFAULT false,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX run_series_due ON run_series (status, next_at);

-- Who leads the dates that are made.
CREATE TABLE series_facilitators (
    series_id uuid NOT NULL REFERENCES run_series (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    listed_at timestamptz NOT NULL,
    PRIMARY KEY (series_id, account_id)
);
CREATE INDEX series_facilitators_account ON series_facilitators (account_id);

CREATE TABLE series_regulars (
    id uuid PRIMARY KEY,
    series_id uuid NOT NULL REFERENCES run_series (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    since timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE UNIQUE INDEX series_regulars_one ON series_regulars (series_id, account_id) WHERE ended_at IS NULL;
CREATE INDEX series_regulars_account ON series_regulars (account_id, ended_at);

ALTER TABLE runs ADD COLUMN series_id uuid;
ALTER TABLE runs ADD COLUMN series_date text;
ALTER TABLE runs ADD COLUMN series_kept text NOT NULL DEFAULT '[]';
CREATE UNIQUE INDEX runs_series_date ON runs (series_id, series_date);
