//! How quick matching is, as ratios of one run: the index in this process against the best SQL on the same rows, how it
//! grows, what it holds, and over HTTP against a static answer of the same size.
//!
//! `cargo bench --bench matching -- --data FOLDER [--runs 1000000] [--only in_process|sqlite|postgres]`. FOLDER holds
//! group_runs.csv (real places of weekly runs); without it thirty places serve, and cities are not as dense. What goes over
//! HTTP needs `wrk`, and for PostgreSQL a server in `TEST_DATABASE_URL`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on stops")]

#[path = "../../tests/support/databases.rs"]
#[allow(dead_code, reason = "the suites use the rest")]
mod databases;
mod in_process;
mod over_http;
#[path = "../../tests/support/people.rs"]
mod people;
mod places;
mod sql;

use std::{error::Error, process::ExitCode};

use databases::{Database, Kind};

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Asked {
    data: Option<String>,
    runs: usize,
    only: Option<String>,
    seconds: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let asked = asked()?;
    let places = places::read(asked.data.as_deref())?;
    println!("{} places, {} runs", places.len(), asked.runs);
    let is_wanted = |part: &str| asked.only.as_deref().is_none_or(|only| only == part);
    if is_wanted("in_process") {
        in_process::measure(&places, asked.runs)?;
    }
    for kind in [Kind::Sqlite, Kind::Postgres].into_iter().filter(|kind| is_wanted(kind.word())) {
        if kind == Kind::Postgres && databases::postgres_url().is_none() {
            println!("postgres: DID NOT RUN (set TEST_DATABASE_URL to a postgres:// URL)");
            continue;
        }
        let database = Database::migrated(kind);
        over_http::measure(&database, &places, asked.runs, asked.seconds)?;
    }
    databases::clean_up();
    Ok(())
}

fn asked() -> Outcome<Asked> {
    let mut asked = Asked { data: None, runs: 1_000_000, only: None, seconds: 10 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--data" => asked.data = Some(value()?),
            "--runs" => asked.runs = value()?.parse()?,
            "--seconds" => asked.seconds = value()?.parse()?,
            "--only" => asked.only = Some(value()?),
            // What cargo itself says.
            "--bench" => {}
            other => return Err(format!("{other}: what is that?").into()),
        }
    }
    Ok(asked)
}
