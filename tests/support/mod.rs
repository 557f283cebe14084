//! What the two suites share: a database per test, and the list of cases that is made at run time.

#[allow(dead_code, reason = "each of the two suites uses its part")]
pub mod databases;
pub mod suite;
