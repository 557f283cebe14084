-- The approval stands; a renewal that waits has to be sent again.
DELETE FROM facilitator_applications WHERE status = 'pending'
    AND account_id IN (SELECT account_id FROM facilitator_applications WHERE status = 'approved');
DROP INDEX facilitator_applications_one;
CREATE UNIQUE INDEX facilitator_applications_one ON facilitator_applications (account_id)
    WHERE status IN ('pending', 'approved');
