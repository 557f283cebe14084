-- Why the last try failed: put_off, hung or refused_us.
ALTER TABLE outbox ADD COLUMN setback text;
-- The moment from which a mail waits for its turn: when it was promised, or its last try.
ALTER TABLE outbox ADD COLUMN waits_since timestamptz;
UPDATE outbox SET waits_since = created_at;
CREATE INDEX outbox_waits ON outbox (status, waits_since);
