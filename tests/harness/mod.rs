//! The harness of API cases: a real server on a port of its own, people as values, an inbox.

mod answer;
mod client;
mod inbox;
mod town;

pub use answer::Answer;
pub use client::{Client, Person};
pub use inbox::{Behaviour, Letter};
pub use town::{PASSWORD, Run, Town, run_case};
