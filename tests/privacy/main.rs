//! Privacy of place: nobody finds out where a person lives, or where a hidden run meets, nearer than the published cell.
//!
//! Two worlds that differ only in the finer point answer byte for byte the same; an attacker with twenty accounts finds no
//! more than the cell. Each case is shown an oracle that leaks (the exact distance, rounded) and fails unless it catches it.

mod attack;
mod earth;
#[path = "../api/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "each of the two suites uses its part")]
mod harness;
mod logs;
mod meeting_points;
mod resnapping;
#[path = "../support/mod.rs"]
mod support;
mod traces;
mod transcript;
mod trilateration;
mod two_points;
mod two_worlds;

fn main() -> std::process::ExitCode {
    logs::keep();
    support::suite::run(&[
        two_worlds::CASES,
        two_points::CASES,
        trilateration::CASES,
        meeting_points::CASES,
        resnapping::CASES,
    ])
}
