DROP INDEX runs_series_date;
ALTER TABLE runs DROP COLUMN series_kept;
ALTER TABLE runs DROP COLUMN series_date;
ALTER TABLE runs DROP COLUMN series_id;
DROP TABLE series_regulars;
DROP TABLE series_facilitators;
DROP TABLE run_series;
