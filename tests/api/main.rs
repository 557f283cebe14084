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
mod harness;
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
#[path = "../support/mod.rs"]
mod support;
mod waiting_list;

fn main() -> std::process::ExitCode {
    support::suite::run(&[
        accounts::CASES,
        profile::CASES,
        facilitators::CASES,
        runs::CASES,
        series::CASES,
        matches::CASES,
        match_requests::CASES,
        signups::CASES,
        blocks::CASES,
        after_run::CASES,
        waiting_list::CASES,
        asked::CASES,
        day::CASES,
        idempotency::CASES,
        moderation::CASES,
        mail::CASES,
        hostile::CASES,
        bad_input::CASES,
        roles::CASES,
        health::CASES,
        races::CASES,
        crash::CASES,
        substitutes::CASES,
        friends::CASES,
        announcements::CASES,
        run_routes::CASES,
    ])
}
