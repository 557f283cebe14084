-- Who is behind the names in the log: erasable, while the log itself is not.
CREATE TABLE audit_people (
    ref uuid PRIMARY KEY,
    account_id uuid NOT NULL UNIQUE REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    act text NOT NULL,
    actor uuid,
    subject uuid,
    run_id uuid,
    about text NOT NULL,
    seq bigint UNIQUE,
    prev_hash text,
    hash text
);
CREATE INDEX audit_log_subject ON audit_log (subject, id);

-- Append-only: the one change allowed is the chainer's, which numbers and hashes a row once.
CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
        AND (NEW.id, NEW.at, NEW.act, NEW.about) = (OLD.id, OLD.at, OLD.act, OLD.about)
        AND NEW.actor IS NOT DISTINCT FROM OLD.actor AND NEW.subject IS NOT DISTINCT FROM OLD.subject
        AND NEW.run_id IS NOT DISTINCT FROM OLD.run_id THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_refuse();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse();
