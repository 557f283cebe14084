-- Keyed hashes of an account's address: as typed, and of the mailbox that it reaches. The key is the installation's, so
-- the program fills them in, for the accounts that are there already at its next start.
ALTER TABLE accounts ADD COLUMN address_hash TEXT;
ALTER TABLE accounts ADD COLUMN mailbox_hash TEXT;
CREATE INDEX accounts_address_hash ON accounts (address_hash);
CREATE INDEX accounts_mailbox_hash ON accounts (mailbox_hash);

-- What somebody asked for with an address. Whether there is such an account is looked up later by the worker.
CREATE TABLE address_requests (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    address_hash TEXT NOT NULL,
    block_id BLOB REFERENCES blocks (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    due_at TEXT NOT NULL
);
CREATE INDEX address_requests_due ON address_requests (due_at);
CREATE INDEX address_requests_block ON address_requests (block_id);
