ALTER TABLE links DROP COLUMN for_account_id;
ALTER TABLE links DROP COLUMN for_lng;
ALTER TABLE links DROP COLUMN for_lat;
ALTER TABLE links DROP COLUMN for_starts_at;
ALTER TABLE links DROP COLUMN question;
ALTER TABLE run_facilitators ADD COLUMN yes_at TEXT;
ALTER TABLE signups ADD COLUMN reconfirmed_at TEXT;
DROP TABLE given_yeses;
