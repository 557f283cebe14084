//! Privacy of place: nobody finds out where a person lives, or where a hidden run meets, nearer than the published cell.
//!
//! Two worlds that differ only in the finer point answer byte for byte the same; an attacker with twenty accounts finds no
//! more than the cell. Each case is shown an oracle that leaks (the exact distance, rounded) and fails unless it catches it.

mod attack;
mod earth;
pub mod logs;
mod meeting_points;
mod resnapping;
mod traces;
mod transcript;
mod trilateration;
mod two_points;
mod two_worlds;
