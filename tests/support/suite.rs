//! The list of cases, made at run time: each once for each database that is there. Says in one line whether the
//! PostgreSQL half ran.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::databases::{self, Kind};

/// A test before it knows its database.
pub struct Case {
    /// `module::sentence`.
    pub name: &'static str,
    pub run: fn(Kind) -> Result<(), Failed>,
}

/// Runs what the command line asks for.
pub fn run(modules: &[&[Case]]) -> ExitCode {
    sidebyside::auth::tokens::install_crypto_provider();
    let arguments = Arguments::from_args();
    let has_postgres = databases::postgres_url().is_some();
    let kinds: &[Kind] = if has_postgres { &[Kind::Sqlite, Kind::Postgres] } else { &[Kind::Sqlite] };
    let cases = || modules.iter().flat_map(|module| module.iter());
    let trials: Vec<Trial> = kinds
        .iter()
        .flat_map(|kind| {
            cases().map(|case| {
                let (kind, run) = (*kind, case.run);
                Trial::test(format!("{}::{}", kind.word(), short(case.name)), move || run(kind))
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    databases::clean_up();
    if !arguments.list {
        if has_postgres {
            println!("PostgreSQL half: ran ({} tests)", cases().count());
        } else {
            println!("PostgreSQL half: DID NOT RUN (set TEST_DATABASE_URL to a postgres:// URL)");
        }
    }
    conclusion.exit_code()
}

/// Without the name of the test binary.
fn short(name: &'static str) -> &'static str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}
