-- Mails of one kind to one person about one thing are gathered: this names the thing.
ALTER TABLE outbox ADD COLUMN topic text;
CREATE INDEX outbox_topic ON outbox (topic, id) WHERE topic IS NOT NULL;
