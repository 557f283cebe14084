//! The only floor that says `diesel`: rows in, rows out, on SQLite and PostgreSQL with one text.
//!
//! `find` gives an Option, `get` a not-found, `lock` the row under its lock, `list`, `insert`, `update`. What differs
//! between the two databases stands in `dialect` and nowhere else.

pub mod accounts;
pub mod address_requests;
pub mod after_runs;
pub mod alerts;
pub mod announcements;
pub mod audit;
pub mod blocks;
pub mod care;
pub mod changes;
mod connecting;
pub mod day;
pub mod db;
pub mod dialect;
pub mod extra_places;
pub mod facilitators;
mod faults;
pub mod following;
mod gathering;
pub mod history;
pub mod idempotency;
pub mod installation;
pub mod known_networks;
pub mod limits;
pub mod match_requests;
pub mod migrations;
pub mod moderation;
pub mod outage;
pub mod outbox;
pub mod overlaps;
pub mod own_changes;
mod pools;
pub mod readiness;
pub mod run_routes;
pub mod run_sides;
pub mod runs;
pub mod schema;
pub mod series;
pub mod sessions;
pub mod shared_needs;
pub mod signups;
pub mod sql_types;
pub mod substitutes;
pub mod yeses;

pub use db::{Conn, Db, Tx};
