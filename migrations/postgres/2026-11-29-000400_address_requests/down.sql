DROP TABLE address_requests;
DROP INDEX accounts_mailbox_hash;
DROP INDEX accounts_address_hash;
ALTER TABLE accounts DROP COLUMN mailbox_hash;
ALTER TABLE accounts DROP COLUMN address_hash;
