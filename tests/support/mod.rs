//! What the two suites share: a database per test, and the list of cases that is made at run time.

pub mod databases;
pub mod suite;
