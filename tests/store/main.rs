//! The store on both databases: migrations, transactions, round trips, races for locks.

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod migrations;
mod run_sides;
mod transactions;
mod values;

/// Makes a module's list of cases. A test that is not listed is dead code, which clippy refuses.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// The cases of this module.
        pub const CASES: &[crate::support::suite::Case] = &[$(crate::support::suite::Case {
            name: concat!(module_path!(), "::", stringify!($name)),
            run: |kind| {
                $name(kind);
                Ok(())
            },
        }),*];
    };
}
pub(crate) use cases;

fn main() -> std::process::ExitCode {
    support::suite::run(&[changes::CASES, migrations::CASES, run_sides::CASES, transactions::CASES, values::CASES])
}
