-- Each sign-up writes a new version of its run's row, which carried kilobytes of text that only edits change and only the
-- run's own page shows.
CREATE TABLE run_details (
    run_id BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    description TEXT NOT NULL,
    distance_km DOUBLE,
    lat DOUBLE NOT NULL,
    lng DOUBLE NOT NULL,
    place_name TEXT NOT NULL,
    getting_there TEXT,
    area_cell TEXT NOT NULL,
    questions TEXT NOT NULL,
    day_contact TEXT,
    cancel_reason TEXT,
    cancel_message TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    series_kept TEXT NOT NULL
);
INSERT INTO run_details (run_id, description, distance_km, lat, lng, place_name, getting_there, area_cell, questions, day_contact, cancel_reason, cancel_message, created_at, updated_at, series_kept)
    SELECT id, description, distance_km, lat, lng, place_name, getting_there, area_cell, questions, day_contact, cancel_reason, cancel_message, created_at, updated_at, series_kept FROM runs;
ALTER TABLE runs DROP COLUMN description;
ALTER TABLE runs DROP COLUMN distance_km;
ALTER TABLE runs DROP COLUMN lat;
ALTER TABLE runs DROP COLUMN lng;
ALTER TABLE runs DROP COLUMN place_name;
ALTER TABLE runs DROP COLUMN getting_there;
ALTER TABLE runs DROP COLUMN area_cell;
ALTER TABLE runs DROP COLUMN questions;
ALTER TABLE runs DROP COLUMN day_contact;
ALTER TABLE runs DROP COLUMN cancel_reason;
ALTER TABLE runs DROP COLUMN cancel_message;
ALTER TABLE runs DROP COLUMN created_at;
ALTER TABLE runs DROP COLUMN updated_at;
ALTER TABLE runs DROP COLUMN series_kept;
