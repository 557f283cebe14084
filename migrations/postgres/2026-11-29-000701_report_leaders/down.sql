DROP INDEX reports_reporter;
DROP TABLE report_leaders;
