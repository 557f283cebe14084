DROP TABLE run_calls;
DROP TABLE run_routes;
DROP TABLE announcements;
