ALTER TABLE runs ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN distance_km DOUBLE;
ALTER TABLE runs ADD COLUMN lat DOUBLE NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN lng DOUBLE NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN place_name TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN getting_there TEXT;
ALTER TABLE runs ADD COLUMN area_cell TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN questions TEXT NOT NULL DEFAULT '[]';
ALTER TABLE runs ADD COLUMN day_contact TEXT;
ALTER TABLE runs ADD COLUMN cancel_reason TEXT;
ALTER TABLE runs ADD COLUMN cancel_message TEXT;
ALTER TABLE runs ADD COLUMN created_at TEXT NOT NULL DEFAULT '1970-01-01T00:00:00.000000Z';
ALTER TABLE runs ADD COLUMN updated_at TEXT NOT NULL DEFAULT '1970-01-01T00:00:00.000000Z';
ALTER TABLE runs ADD COLUMN series_kept TEXT NOT NULL DEFAULT '[]';
UPDATE runs SET
    description = run_details.description,
    distance_km = run_details.distance_km,
    lat = run_details.lat,
    lng = run_details.lng,
    place_name = run_details.place_name,
    getting_there = run_details.getting_there,
    area_cell = run_details.area_cell,
    questions = run_details.questions,
    day_contact = run_details.day_contact,
    cancel_reason = run_details.cancel_reason,
    cancel_message = run_details.cancel_message,
    created_at = run_details.created_at,
    updated_at = run_details.updated_at,
    series_kept = run_details.series_kept
    FROM run_details WHERE run_details.run_id = runs.id;
DROP TABLE run_details;
