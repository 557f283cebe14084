-- Who led a run when it was reported: the report stays hidden from them when they step down.
CREATE TABLE report_leaders (
    report_id BLOB NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    account_id BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (report_id, account_id)
);
CREATE INDEX report_leaders_account ON report_leaders (account_id);
CREATE INDEX reports_reporter ON reports (reporter_id, status);
