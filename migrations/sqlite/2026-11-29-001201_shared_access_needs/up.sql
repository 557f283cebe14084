-- Access needs that a person lets the facilitators of one run see. They say something about health, so each row goes
-- with its sign-up, and at the latest when nobody may look at it any more.
CREATE TABLE shared_access_needs (
    signup_id BLOB NOT NULL PRIMARY KEY REFERENCES signups (id) ON DELETE CASCADE,
    needs TEXT NOT NULL
);
