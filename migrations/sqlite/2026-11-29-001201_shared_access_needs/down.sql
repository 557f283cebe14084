DROP TABLE shared_access_needs;
