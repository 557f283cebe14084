//! What the suites share: a database for each test, the macro that makes tests of cases, and invented people.

pub mod database_test;
pub mod databases;
pub mod people;
