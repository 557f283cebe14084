-- A decision that was overturned no longer stands between a person and a run, and what it took can be given back.
ALTER TABLE signups ADD COLUMN overturned_at TEXT;
UPDATE signups SET overturned_at = (SELECT max(appeals.decided_at) FROM appeals
        WHERE appeals.about_kind = 'signup_decision' AND appeals.outcome = 'overturn' AND appeals.about_id = signups.id)
    WHERE status IN ('removed', 'declined');
ALTER TABLE appeals ADD COLUMN consequences TEXT;
-- Which decision took which place, request or waiting position.
CREATE TABLE given_up_places (
    signup_id BLOB PRIMARY KEY REFERENCES signups (id) ON DELETE CASCADE,
    decision_kind TEXT NOT NULL,
    decision_id BLOB NOT NULL,
    was TEXT NOT NULL
);
CREATE INDEX given_up_places_decision ON given_up_places (decision_id);
