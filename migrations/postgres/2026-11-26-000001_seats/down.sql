ALTER TABLE signups DROP COLUMN agreed_lng;
ALTER TABLE signups DROP COLUMN agreed_lat;
ALTER TABLE signups DROP COLUMN agreed_starts_at;
DROP INDEX signups_one_live;
CREATE UNIQUE INDEX signups_one_live ON signups (run_id, account_id)
    WHERE status IN ('requested', 'confirmed', 'waitlisted', 'offered');
