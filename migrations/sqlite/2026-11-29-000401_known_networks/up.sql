-- Networks from which somebody has logged in to an account, as keyed hashes of address and network.
CREATE TABLE known_networks (
    key TEXT PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    last_used_at TEXT NOT NULL
);
CREATE INDEX known_networks_account ON known_networks (account_id);
CREATE INDEX known_networks_used ON known_networks (last_used_at);
