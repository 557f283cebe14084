DROP TABLE kept_series;
DROP TABLE kept_leaders;
DROP TABLE kept_history;
DROP TABLE partners;
DROP TABLE incidents;
DROP TABLE emergency_contacts;
ALTER TABLE signups DROP COLUMN said_there_at;
ALTER TABLE running_profiles DROP COLUMN talk_or_quiet;
