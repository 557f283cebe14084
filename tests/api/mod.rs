//! The API, walked through as people walk through it: a real server, a database per test, a standing clock, an inbox;
//! every case once on SQLite and once on PostgreSQL.

mod accounts;
mod after_run;
mod announcements;
mod asked;
mod bad_input;
mod blocks;
mod crash;
mod day;
mod facilitators;
mod friends;
mod health;
mod hostile;
mod idempotency;
mod mail;
mod match_requests;
mod matches;
mod moderation;
mod profile;
mod races;
mod roles;
mod run_routes;
mod runs;
mod series;
mod signups;
mod substitutes;
mod waiting_list;
