DROP INDEX outbox_topic;
ALTER TABLE outbox DROP COLUMN topic;
