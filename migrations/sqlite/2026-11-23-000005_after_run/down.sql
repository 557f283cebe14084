DROP TABLE care_wishes;
DROP TABLE after_runs;
