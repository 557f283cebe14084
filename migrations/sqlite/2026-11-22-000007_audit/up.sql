-- Who is behind the names in the log: erasable, while the log itself is not.
CREATE TABLE audit_people (
    ref BLOB PRIMARY KEY,
    account_id BLOB NOT NULL UNIQUE REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE audit_log (
    id BLOB PRIMARY KEY,
    at TEXT NOT NULL,
    act TEXT NOT NULL,
    actor BLOB,
    subject BLOB,
    run_id BLOB,
    about TEXT NOT NULL,
    seq BIGINT UNIQUE,
    prev_hash TEXT,
    hash TEXT
);
CREATE INDEX audit_log_subject ON audit_log (subject, id);

-- Append-only: the one change allowed is the chainer's, which numbers and hashes a row once.
CREATE TRIGGER audit_log_append_only BEFORE UPDATE ON audit_log
WHEN OLD.seq IS NOT NULL OR NEW.seq IS NULL OR NEW.id IS NOT OLD.id OR NEW.at IS NOT OLD.at OR NEW.act IS NOT OLD.act
    OR NEW.actor IS NOT OLD.actor OR NEW.subject IS NOT OLD.subject OR NEW.run_id IS NOT OLD.run_id
    OR NEW.about IS NOT OLD.about
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
