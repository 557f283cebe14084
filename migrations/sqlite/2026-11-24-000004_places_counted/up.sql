-- How many have a place is counted under every run's lock: from the index alone.
DROP INDEX signups_run;
CREATE INDEX signups_run ON signups (run_id, status, queue_no, new_to_group);
-- What else somebody has at the same time, and how often they were missing: without these, SQLite reads everybody's.
CREATE INDEX signups_person ON signups (account_id, status);
DROP INDEX signups_reconfirm;
CREATE INDEX signups_reconfirm ON signups (status, reconfirm_by) WHERE reconfirm_by IS NOT NULL;
CREATE INDEX credentials_application ON credentials (application_id);
