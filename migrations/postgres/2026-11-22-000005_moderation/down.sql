DROP TABLE appeals;
DROP TABLE reports;
DROP TABLE banned_addresses;
DROP TABLE sanctions;
DROP TABLE bars;
