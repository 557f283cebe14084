DROP INDEX sanctions_ends;
ALTER TABLE sanctions DROP COLUMN end_told_at;
ALTER TABLE sanctions DROP COLUMN withheld_because;
