//! The API, walked through as people walk through it: a real server, a database per test, a standing clock, an inbox;
//! every case once on SQLite and once on PostgreSQL.

mod accounts;
mod bad_input;
mod crash;
mod facilitators;
mod harness;
mod health;
mod hostile;
mod idempotency;
mod mail;
mod matches;
mod moderation;
mod profile;
mod races;
mod roles;
mod runs;
mod signups;
#[path = "../support/mod.rs"]
mod support;

fn main() -> std::process::ExitCode {
    support::suite::run(&[
        accounts::CASES,
        profile::CASES,
        facilitators::CASES,
        runs::CASES,
        matches::CASES,
        signups::CASES,
        idempotency::CASES,
        moderation::CASES,
        mail::CASES,
        hostile::CASES,
        bad_input::CASES,
        roles::CASES,
        health::CASES,
        races::CASES,
        crash::CASES,
    ])
}
