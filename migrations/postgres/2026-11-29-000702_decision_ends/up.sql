-- The end of a hold or suspension is told once, and a hold may keep its facts back until then. What ended before is over.
ALTER TABLE sanctions ADD COLUMN withheld_because text;
ALTER TABLE sanctions ADD COLUMN end_told_at timestamptz;
UPDATE sanctions SET end_told_at = expires_at WHERE expires_at <= now();
CREATE INDEX sanctions_ends ON sanctions (expires_at) WHERE end_told_at IS NULL;
