CREATE TABLE after_runs (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    pace text,
    felt_safe boolean,
    report_id uuid REFERENCES reports (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, account_id)
);
CREATE INDEX after_runs_account ON after_runs (account_id);

CREATE TABLE care_wishes (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    run_id uuid REFERENCES runs (id) ON DELETE SET NULL,
    status text NOT NULL,
    asked_at timestamptz NOT NULL,
    answer_by timestamptz NOT NULL,
    taken_by uuid REFERENCES accounts (id) ON DELETE SET NULL,
    taken_at timestamptz,
    team_told_at timestamptz,
    person_told_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX care_wishes_queue ON care_wishes (status, asked_at);
CREATE UNIQUE INDEX care_wishes_one ON care_wishes (account_id) WHERE ended_at IS NULL;
