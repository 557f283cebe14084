-- Each sign-up writes a new version of its run's row, which carried kilobytes of text that only edits change and only the
-- run's own page shows.
CREATE TABLE run_details (
    run_id uuid PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    description text NOT NULL,
    distance_km double precision,
    lat double precision NOT NULL,
    lng double precision NOT NULL,
    place_name text NOT NULL,
    getting_there text,
    area_cell text NOT NULL,
    questions text NOT NULL,
    day_contact text,
    cancel_reason text,
    cancel_message text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    series_kept text NOT NULL
);
INSERT INTO run_details (run_id, description, distance_km, lat, lng, place_name, getting_there, area_cell, questions, day_contact, cancel_reason, cancel_message, created_at, updated_at, series_kept)
    SELECT id, description, distance_km, lat, lng, place_name, getting_there, area_cell, questions, day_contact, cancel_reason, cancel_message, created_at, updated_at, series_kept FROM runs;
ALTER TABLE runs
    DROP COLUMN description,
    DROP COLUMN distance_km,
    DROP COLUMN lat,
    DROP COLUMN lng,
    DROP COLUMN place_name,
    DROP COLUMN getting_there,
    DROP COLUMN area_cell,
    DROP COLUMN questions,
    DROP COLUMN day_contact,
    DROP COLUMN cancel_reason,
    DROP COLUMN cancel_message,
    DROP COLUMN created_at,
    DROP COLUMN updated_at,
    DROP COLUMN series_kept;
