DROP TABLE alert_runs;
DROP TABLE alert_states;
DROP TABLE match_alerts;
DROP TABLE match_areas;
DROP TABLE match_requests;
