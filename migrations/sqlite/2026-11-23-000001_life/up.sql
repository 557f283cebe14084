ALTER TABLE runs ADD COLUMN closed_at TEXT;
ALTER TABLE runs ADD COLUMN announced_left INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN asked_one_to_one_at TEXT;

ALTER TABLE run_facilitators ADD COLUMN role TEXT NOT NULL DEFAULT 'leader';
ALTER TABLE run_facilitators ADD COLUMN yes_at TEXT;

ALTER TABLE signups ADD COLUMN new_to_group INTEGER NOT NULL DEFAULT 1;
ALTER TABLE signups ADD COLUMN as_regular INTEGER NOT NULL DEFAULT 0;
ALTER TABLE signups ADD COLUMN walked_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE signups ADD COLUMN offer_expires_at TEXT;
ALTER TABLE signups ADD COLUMN let_go INTEGER NOT NULL DEFAULT 0;
ALTER TABLE signups ADD COLUMN change_asked_at TEXT;
ALTER TABLE signups ADD COLUMN reconfirm_by TEXT;
ALTER TABLE signups ADD COLUMN reconfirm_reason TEXT;
ALTER TABLE signups ADD COLUMN reconfirmed_at TEXT;
ALTER TABLE signups ADD COLUMN checked_in_at TEXT;
ALTER TABLE signups ADD COLUMN signed_out_at TEXT;
CREATE INDEX signups_offers ON signups (status, offer_expires_at);
CREATE INDEX signups_reconfirm ON signups (status, reconfirm_by);

ALTER TABLE outbox ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;

-- Places that are taken by nobody's sign-up: kept for a friend until they sign up themselves, and guests without an account.
CREATE TABLE friend_places (
    id BLOB PRIMARY KEY,
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    signup_id BLOB NOT NULL REFERENCES signups (id) ON DELETE CASCADE,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    used_by BLOB REFERENCES signups (id) ON DELETE SET NULL,
    ended_at TEXT
);
CREATE INDEX friend_places_run ON friend_places (run_id, ended_at);
CREATE INDEX friend_places_signup ON friend_places (signup_id);
CREATE INDEX friend_places_used_by ON friend_places (used_by);

CREATE TABLE guests (
    id BLOB PRIMARY KEY,
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first_name TEXT,
    emergency_phone TEXT,
    added_by BLOB REFERENCES accounts (id) ON DELETE SET NULL,
    created_at TEXT NOT NULL,
    signed_out_at TEXT,
    erased_at TEXT
);
CREATE INDEX guests_run ON guests (run_id);
