CREATE TABLE run_series (
    id BLOB PRIMARY KEY,
    created_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    status TEXT NOT NULL,
    draft TEXT NOT NULL,
    first_local_start TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    rrule TEXT NOT NULL,
    -- Dates from this wall time on are not this series' any more: it was ended, or another went on from there.
    ends_before TEXT,
    -- The next date that the worker makes, and when it begins; none when there is none.
    next_date TEXT,
    next_at TEXT,
    -- Regulars have to be seated on dates that were made earlier.
    seats_due INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX run_series_due ON run_series (status, next_at);

-- Who leads the dates that are made.
CREATE TABLE series_facilitators (
    series_id BLOB NOT NULL REFERENCES run_series (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    listed_at TEXT NOT NULL,
    PRIMARY KEY (series_id, account_id)
);
CREATE INDEX series_facilitators_account ON series_facilitators (account_id);

CREATE TABLE series_regulars (
    id BLOB PRIMARY KEY,
    series_id BLOB NOT NULL REFERENCES run_series (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    since TEXT NOT NULL,
    ended_at TEXT
);
CREATE UNIQUE INDEX series_regulars_one ON series_regulars (series_id, account_id) WHERE ended_at IS NULL;
CREATE INDEX series_regulars_account ON series_regulars (account_id, ended_at);

ALTER TABLE runs ADD COLUMN series_id BLOB;
ALTER TABLE runs ADD COLUMN series_date TEXT;
ALTER TABLE runs ADD COLUMN series_kept TEXT NOT NULL DEFAULT '[]';
CREATE UNIQUE INDEX runs_series_date ON runs (series_id, series_date);
