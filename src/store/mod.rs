//! The only floor that says `diesel`: rows in, rows out, on SQLite and PostgreSQL with one text.
//!
//! `find` gives an Option, `get` a not-found, `lock` the row under its lock, `list`, `insert`, `update`. What differs
//! between the two databases stands in `dialect` and nowhere else.

pub mod accounts;
pub mod audit;
pub mod db;
pub mod dialect;
pub mod facilitators;
pub mod idempotency;
pub mod installation;
pub mod limits;
pub mod migrations;
pub mod moderation;
pub mod outbox;
pub mod runs;
pub mod schema;
pub mod sessions;
pub mod signups;
pub mod sql_types;

pub use db::{Conn, Db, Tx};
