//! What the index reads of runs: all that are to come, each once, with who is listed on it.

use std::sync::Arc;

use macro_rules_attribute::apply;
use sidebyside::{
    clock::{Clock, Instant},
    config::Policy,
    domain::run::{ListingStatus, RunStatus},
    id::Id,
    index::{self, RunIndex},
    service::{applications, runs as run_service},
    store::{
        Db, accounts,
        facilitators::{self, Listing},
        run_sides,
        runs::{self, Run},
    },
};

use crate::support::{
    database_test::database_test,
    databases::{Database, Kind},
    people::account,
};

fn now() -> Instant {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

#[apply(database_test!)]
fn all_runs_to_come_are_read_once_and_none_that_lies_between_them(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let leaders = [account("Ana", "ana@example.org", now()), account("Ben", "ben@example.org", now())];
    let draft = serde_json::from_value(serde_json::json!({
        "title": "An easy evening", "description": "We start together.", "activity": "run",
        "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 }, "distance_km": 5.0, "duration_min": 60,
        "starts_at": now().plus_days(1), "capacity": 12, "languages": ["en"], "join_policy": "open",
        "meeting_point": { "lat": 51.410992, "lng": -0.335791, "name": "The fountain in the park" },
    }))
    .expect("a draft");
    let template = db
        .write_here(|tx| {
            for leader in &leaders {
                accounts::insert(tx, leader)?;
                applications::approve_imported(tx, leader.id, now())?;
            }
            run_service::post(tx, leaders[0].id, &draft, None, now())
        })
        .expect("a run");
    let made = |nth: i64| Run {
        id: Id::at(now().plus_minutes(nth - 200)),
        status: if nth % 7 == 0 { RunStatus::Cancelled } else { RunStatus::Published },
        starts_at: if nth % 3 == 0 { now() } else { now().plus_hours(nth) },
        ..template.clone()
    };
    let made: Vec<Run> = (1..=199).map(made).collect();
    let listed = |run: &Run, leader: usize| {
        Listing::leader(run.id, leaders[leader].id, ListingStatus::Accepted, leaders[0].id, now())
    };
    let listed: Vec<Listing> = made
        .iter()
        .enumerate()
        .flat_map(|(nth, run)| {
            (0..2).filter(move |leader| nth % 2 == 0 || *leader == nth % 4 / 2).map(|l| listed(run, l))
        })
        .collect();
    db.write_here(|tx| {
        runs::insert_all(tx, &made)?;
        facilitators::insert_listings(tx, &listed)
    })
    .expect("runs");
    let to_come = |run: &&Run| run.status == RunStatus::Published && run.starts_at > now();
    let mut expected: Vec<Id> = made.iter().filter(to_come).map(|run| run.id).collect();
    expected.push(template.id);

    let mut read = db
        .read_here(|conn| {
            let parts = run_sides::parts(conn, now())?;
            assert!(matches!(&parts[..], [run_sides::Part::Named(_)]), "{parts:?}");
            let mut read = Vec::new();
            for part in parts {
                read.extend(run_sides::rows(conn, part.which(), now())?.into_iter().map(|row| row.id));
            }
            Ok(read)
        })
        .expect("rows");
    read.sort_unstable();
    assert_eq!(read, expected);

    let index = Arc::new(RunIndex::new(Policy::default()));
    index::follow(&index, db.clone(), Clock::standing_at(now())).expect("a thread");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(index.loaded());
    // They were named; this reads all as one stretch.
    let should_hold = db.read_here(|conn| index.should_hold(conn, now())).expect("sides");
    assert_eq!(index.sides(), should_hold);
    for side in should_hold.iter().filter(|side| side.id != template.id) {
        let who: Vec<Id> = side.listed.iter().map(|listed| listed.id).collect();
        let mut expected: Vec<Id> =
            listed.iter().filter(|listed| listed.run_id == side.id).map(|listed| listed.account_id).collect();
        expected.sort_unstable();
        assert_eq!(who, expected, "{side:?}");
    }
}
