DROP TABLE audit_log;
DROP TABLE audit_people;
DROP FUNCTION audit_log_refuse;
