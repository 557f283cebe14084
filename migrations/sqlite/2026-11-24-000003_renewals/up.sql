-- A facilitator may apply again with renewed credentials while the approval stands.
DROP INDEX facilitator_applications_one;
CREATE UNIQUE INDEX facilitator_applications_one ON facilitator_applications (account_id, status)
    WHERE status IN ('pending', 'approved');
