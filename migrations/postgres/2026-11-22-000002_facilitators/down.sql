DROP TABLE credentials;
DROP TABLE facilitator_applications;
