-- Whoever was checked in before the start has the one sign-up that a person may have in a run.
DROP INDEX signups_one_live;
CREATE UNIQUE INDEX signups_one_live ON signups (run_id, account_id)
    WHERE status IN ('requested', 'confirmed', 'waitlisted', 'offered', 'attended');
-- What somebody last said yes to, while the run was moved since.
ALTER TABLE signups ADD COLUMN agreed_starts_at TEXT;
ALTER TABLE signups ADD COLUMN agreed_lat DOUBLE;
ALTER TABLE signups ADD COLUMN agreed_lng DOUBLE;
