DROP TABLE run_reminders;
DROP TABLE run_facilitators;
DROP TABLE runs;
