//! What every case of the API suite stands on: a real server on a port of its own, people as values, an inbox.

mod answer;
mod client;
mod inbox;
mod town;

pub use answer::Answer;
pub use client::{Client, Person};
pub use inbox::{Behaviour, Letter};
pub use town::{PASSWORD, Run, Town, run_case};

/// Makes a module's list of cases. A test that is not listed is dead code, which clippy refuses.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// The cases of this module.
        pub const CASES: &[crate::support::suite::Case] = &[$(crate::support::suite::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            run: |kind| crate::harness::run_case(kind, |town| Box::pin($name(town))),
        }),*];
    };
}
pub(crate) use cases;
