DROP INDEX credentials_application;
DROP INDEX signups_reconfirm;
CREATE INDEX signups_reconfirm ON signups (status, reconfirm_by);
DROP INDEX signups_person;
DROP INDEX signups_run;
CREATE INDEX signups_run ON signups (run_id, status, queue_no);
