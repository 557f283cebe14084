DROP INDEX sanctions_follows;
ALTER TABLE sanctions DROP COLUMN follows_id;
