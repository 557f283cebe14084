ALTER TABLE runs ADD COLUMN closed_at timestamptz;
ALTER TABLE runs ADD COLUMN announced_left integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN asked_one_to_one_at timestamptz;

ALTER TABLE run_facilitators ADD COLUMN role text NOT NULL DEFAULT 'leader';
ALTER TABLE run_facilitators ADD COLUMN yes_at timestamptz;

ALTER TABLE signups ADD COLUMN new_to_group boolean NOT NULL DEFAULT true;
ALTER TABLE signups ADD COLUMN as_regular boolean NOT NULL DEFAULT false;
ALTER TABLE signups ADD COLUMN walked_in boolean NOT NULL DEFAULT false;
ALTER TABLE signups ADD COLUMN offer_expires_at timestamptz;
ALTER TABLE signups ADD COLUMN let_go integer NOT NULL DEFAULT 0;
ALTER TABLE signups ADD COLUMN change_asked_at timestamptz;
ALTER TABLE signups ADD COLUMN reconfirm_by timestamptz;
ALTER TABLE signups ADD COLUMN reconfirm_reason text;
ALTER TABLE signups ADD COLUMN reconfirmed_at timestamptz;
ALTER TABLE signups ADD COLUMN checked_in_at timestamptz;
ALTER TABLE signups ADD COLUMN signed_out_at timestamptz;
CREATE INDEX signups_offers ON signups (status, offer_expires_at);
CREATE INDEX signups_reconfirm ON signups (status, reconfirm_by);

ALTER TABLE outbox ADD COLUMN urgent boolean NOT NULL DEFAULT false;

-- Places that are taken by nobody's sign-up: kept for a friend until they sign up themselves, and guests without an account.
CREATE TABLE friend_places (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    signup_id uuid NOT NULL REFERENCES signups (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    used_by uuid REFERENCES signups (id) ON DELETE SET NULL,
    ended_at timestamptz
);
CREATE INDEX friend_places_run ON friend_places (run_id, ended_at);
CREATE INDEX friend_places_signup ON friend_places (signup_id);
CREATE INDEX friend_places_used_by ON friend_places (used_by);

CREATE TABLE guests (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first_name text,
    emergency_phone text,
    added_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    signed_out_at timestamptz,
    erased_at timestamptz
);
CREATE INDEX guests_run ON guests (run_id);
