//! Shared by the suites: a database for each test, the macro that makes tests of cases, invented people, and the number
//! of rounds.

pub mod database_test;
pub mod databases;
pub mod people;
pub mod proxy;
pub mod rounds;
