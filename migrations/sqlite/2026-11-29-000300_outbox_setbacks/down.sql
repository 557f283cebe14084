DROP INDEX outbox_waits;
ALTER TABLE outbox DROP COLUMN waits_since;
ALTER TABLE outbox DROP COLUMN setback;
