//! What the suites share: a database per test, the list of cases that is made at run time, and people of whom
//! nothing matters.

#[allow(dead_code, reason = "each of the two suites uses its part")]
pub mod databases;
#[allow(dead_code, reason = "each of the two suites uses its part")]
pub mod people;
pub mod suite;
