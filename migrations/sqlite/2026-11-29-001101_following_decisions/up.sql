-- A decision about an account reaches the other accounts of the mailbox: one row for each, which follows the main one.
ALTER TABLE sanctions ADD COLUMN follows_id BLOB REFERENCES sanctions (id) ON DELETE SET NULL;
CREATE INDEX sanctions_follows ON sanctions (follows_id, account_id) WHERE follows_id IS NOT NULL;
