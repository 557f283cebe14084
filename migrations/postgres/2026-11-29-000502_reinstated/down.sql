DROP TABLE given_up_places;
ALTER TABLE appeals DROP COLUMN consequences;
ALTER TABLE signups DROP COLUMN overturned_at;
