//! The model test: random acts of random people on a virtual clock, over the services on both databases, with the first
//! six promises checked after every step. 500 sequences on each database; `SIDEBYSIDE_LONG=1` makes it 20,000, and
//! `PROPTEST_CASES` any other number.

mod acts;
mod habits;
mod promises;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering},
};

use acts::Act;
use proptest::{
    collection::vec,
    test_runner::{Config, TestRunner},
};
use sidebyside::store::Db;
use support::{
    databases::{Database, Kind},
    suite::Case,
};
use world::World;

const CASES: &[Case] = &[Case { name: "model::acts::the_promises_hold_whatever_people_do", run: hold }];

/// The most acts of a sequence.
const LONGEST: usize = 50;
/// Sequences after which they get a fresh database, so that what earlier ones left behind costs later ones little.
const IN_ONE_DATABASE: u64 = 50;

#[allow(clippy::disallowed_methods, reason = "how long the model runs is asked for from outside")]
fn sequences() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|many| many.parse().ok());
    let long = std::env::var("SIDEBYSIDE_LONG").is_ok_and(|long| long == "1");
    asked.unwrap_or(if long { 20_000 } else { 500 })
}

fn hold(kind: Kind) -> Result<(), libtest_mimic::Failed> {
    let fresh = || {
        let database = Database::migrated(kind);
        let db = Db::open(database.target.clone());
        (db, database)
    };
    let current = RefCell::new(fresh());
    let (steps, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let (tried, broken) = (AtomicU64::new(0), AtomicU64::new(0));
    let config = Config { cases: sequences(), failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let outcome = TestRunner::new(config.clone()).run(&vec(Act::any(), 1..LONGEST), |acts| {
        let number = tried.fetch_add(1, Ordering::Relaxed) + 1;
        if number % IN_ONE_DATABASE == 0 {
            drop(current.replace(fresh()));
        }
        let mut world = World::new(&current.borrow().0);
        for act in acts {
            steps.fetch_add(1, Ordering::Relaxed);
            let acted = world.step(act).inspect_err(|_| {
                // Only the first: the others are tries to make it shorter.
                let _ = broken.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
            })?;
            done.fetch_add(u64::from(acted), Ordering::Relaxed);
        }
        Ok(())
    });
    outcome.map_err(|fault| format!("sequence {}: {fault}", broken.into_inner()))?;
    let (steps, done) = (steps.into_inner(), done.into_inner());
    println!("{}: {} sequences, {steps} acts, {done} of them did something", kind.word(), config.cases);
    // A model in which nearly everything is refused would show nothing.
    if done * 4 < steps {
        return Err(format!("only {done} of {steps} acts did something").into());
    }
    Ok(())
}

fn main() -> std::process::ExitCode {
    support::suite::run(&[CASES])
}
