//! The model test: random acts of random people on a virtual clock, over the services on both databases, with the first
//! six promises checked after every step. 500 sequences on SQLite and 200 on PostgreSQL, always the same;
//! `SIDEBYSIDE_LONG=1` makes it 20,000 that are new each time, `PROPTEST_CASES` any other number, and `PROPTEST_RNG_SEED`
//! those of a seed that was printed.

mod acts;
mod habits;
mod promises;
mod world;

use std::{
    cell::RefCell,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use acts::Act;
use macro_rules_attribute::apply;
use proptest::{
    collection::vec,
    test_runner::{Config, RngSeed, TestRunner},
};
use sidebyside::store::Db;
use world::World;

use crate::support::{
    database_test::database_test,
    databases::{Database, Kind},
    rounds::{is_long, rounds},
};

/// The most acts of a sequence.
const LONGEST: usize = 50;
/// Sequences after which they get a fresh database, so that what earlier ones left behind costs later ones little.
const IN_ONE_DATABASE: u64 = 50;
/// Sequences after which a long run says how far it is.
const SAID_EVERY: u64 = 1_000;

/// Threads among which an everyday run shares its sequences.
const EVERYDAY_THREADS: u32 = 2;

/// What the everyday run draws its sequences from: what was green once stays so until something changes.
const SEED: u64 = 4;

/// How many sequences an everyday run goes through. On SQLite 150 missed a planted fault (a person with two places at one
/// time) that these find; PostgreSQL runs the same decisions, three times as slowly.
fn everyday_sequences(kind: Kind) -> u32 {
    match kind {
        Kind::Sqlite => 500,
        Kind::Postgres => 200,
    }
}

/// How many sequences, and what they are drawn from.
#[allow(clippy::disallowed_methods, reason = "how long the model runs is asked for from outside")]
fn sequences(kind: Kind) -> (u32, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let many = number("PROPTEST_CASES").and_then(|many| u32::try_from(many).ok());
    let seed =
        number("PROPTEST_RNG_SEED").unwrap_or_else(|| if is_long() { RandomState::new().hash_one(0) } else { SEED });
    (many.unwrap_or(rounds(everyday_sequences(kind), 20_000)), seed)
}

/// How many acts there were, and how many of them did something.
struct Tally {
    acts: u64,
    done: u64,
}

#[apply(database_test!)]
fn the_promises_hold_whatever_people_do(kind: Kind) {
    let (cases, seed) = sequences(kind);
    let processors = std::thread::available_parallelism().map_or(1, |many| u32::try_from(many.get()).unwrap_or(1));
    // An everyday run always has the same number of threads: each thread has a seed of its own.
    let hands = if u64::from(cases) > SAID_EVERY { processors } else { EVERYDAY_THREADS };
    let tallies = std::thread::scope(|scope| {
        let each: Vec<_> = (0..hands)
            .map(|hand| {
                let share = cases / hands + u32::from(hand < cases % hands);
                scope.spawn(move || try_sequences(kind, share, seed.wrapping_add(u64::from(hand))))
            })
            .collect();
        each.into_iter().map(|hand| hand.join().expect("a hand that ends")).collect::<Result<Vec<_>, _>>()
    });
    let tallies = tallies.unwrap_or_else(|fault| panic!("{fault}"));
    let (acts, done) = tallies.iter().fold((0, 0), |(acts, done), one| (acts + one.acts, done + one.done));
    println!("{}: {cases} sequences of seed {seed}, {acts} acts, {done} of them did something", kind.word());
    // A model in which nearly everything is refused would show nothing.
    assert!(done * 4 >= acts, "only {done} of {acts} acts did something");
}

/// Plays so many sequences.
fn try_sequences(kind: Kind, cases: u32, seed: u64) -> Result<Tally, String> {
    let fresh = || {
        let database = Database::migrated(kind);
        let db = Db::open(database.target.clone());
        (db, database)
    };
    let current = RefCell::new(fresh());
    let (acts_so_far, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let (tried, broken) = (AtomicU64::new(0), AtomicU64::new(0));
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(Act::any(), 1..LONGEST), |acts| {
        let number = tried.fetch_add(1, Ordering::Relaxed) + 1;
        if number % IN_ONE_DATABASE == 0 {
            drop(current.replace(fresh()));
        }
        if number % SAID_EVERY == 0 {
            println!("{}: {number} of {cases} sequences of seed {seed} tried", kind.word());
        }
        let mut world = World::new(&current.borrow().0);
        for act in acts {
            acts_so_far.fetch_add(1, Ordering::Relaxed);
            let acted = world.step(act).inspect_err(|_| {
                // Only the first: the others are tries to make it shorter.
                let _ = broken.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
            })?;
            done.fetch_add(u64::from(acted), Ordering::Relaxed);
        }
        Ok(())
    });
    outcome.map_err(|fault| format!("seed {seed}, sequence {}: {fault}", broken.into_inner()))?;
    Ok(Tally { acts: acts_so_far.into_inner(), done: done.into_inner() })
}
