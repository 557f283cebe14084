//! Transactions: all or nothing, tried again when a race is lost, and locks that hold.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use diesel::connection::SimpleConnection;
use macro_rules_attribute::apply;
use sidebyside::{
    clock::Instant,
    error::{Error, Result},
    id::Id,
    mail::Notice,
    store::{
        Conn, Db, Tx,
        accounts::{self, Account},
        installation, limits,
        outbox::{self, Lane, Promise},
    },
};

use crate::support::{
    database_test::database_test,
    databases::{Database, Kind},
    people::account,
};

fn now() -> Instant {
    "2026-11-23T10:00:00Z".parse().expect("an instant")
}

#[apply(database_test!)]
fn an_error_rolls_everything_back(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let done: Result<()> = db.write_here(|tx| {
        installation::fix(tx, "x", "y")?;
        Err(Error::NotFound)
    });
    assert!(matches!(done, Err(Error::NotFound)));
    assert_eq!(db.read_here(|conn| installation::find(conn, "x")).unwrap(), None);
    db.write_here(|tx| installation::fix(tx, "x", "z")).unwrap();
    assert_eq!(db.read_here(|conn| installation::find(conn, "x")).unwrap().as_deref(), Some("z"));
}

#[apply(database_test!)]
fn a_panic_leaves_no_open_transaction(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    for _ in 0..20 {
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
            db.write_here(|tx| -> Result<()> {
                installation::fix(tx, "x", "y")?;
                std::panic::resume_unwind(Box::new("in the middle"));
            })
        }));
        assert!(done.is_err());
    }
    assert_eq!(db.read_here(|conn| installation::find(conn, "x")).unwrap(), None);
    assert_eq!(db.write_here(|tx| installation::fix(tx, "x", "z")).unwrap(), "z");
    let other = Db::open(database.target.clone());
    assert_eq!(other.write_here(|tx| installation::fix(tx, "x", "w")).unwrap(), "z", "and no lock is left behind");
}

#[apply(database_test!)]
fn a_lost_race_is_tried_three_times_more(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let tries = AtomicU32::new(0);
    let lose_until = |last: u32| {
        tries.store(0, Ordering::Relaxed);
        db.write_here(|tx| {
            installation::fix(tx, "x", "y")?;
            let this = tries.fetch_add(1, Ordering::Relaxed) + 1;
            if this < last { Err(Error::Unavailable("the database is busy")) } else { Ok(this) }
        })
    };
    assert!(matches!(lose_until(4), Ok(4)));
    assert!(matches!(lose_until(5), Err(Error::Unavailable(_))));
    assert_eq!(tries.load(Ordering::Relaxed), 4);
}

#[apply(database_test!)]
fn another_error_is_not_tried_again(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let tries = AtomicU32::new(0);
    let done: Result<()> = db.write_here(|_| {
        tries.fetch_add(1, Ordering::Relaxed);
        Err(Error::Internal(anyhow::anyhow!("broken")))
    });
    assert!(done.is_err());
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[apply(database_test!)]
fn counters_lose_no_hit_under_contention(kind: Kind) {
    let database = Database::migrated(kind);
    let threads: Vec<_> = (0..6)
        .map(|_| {
            // Each with pools of its own, as another process has.
            let db = Db::open(database.target.clone());
            thread::spawn(move || {
                for _ in 0..25 {
                    db.write_here(|tx| limits::hit(tx, "bucket", now())).expect("a hit");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
    let db = Db::open(database.target.clone());
    assert_eq!(db.write_here(|tx| limits::hit(tx, "bucket", now())).unwrap(), 151);
}

#[apply(database_test!)]
fn what_is_locked_is_not_overwritten(kind: Kind) {
    let database = Database::migrated(kind);
    let person = account("Ana", "ana@example.org", now());
    let first = Db::open(database.target.clone());
    first.write_here(|tx| accounts::insert(tx, &person)).unwrap();
    let append = |tx: &mut Tx<'_>| -> Result<()> {
        let mut locked: Account = accounts::lock(tx, person.id)?.account().clone();
        locked.display_name.push('x');
        accounts::update(tx, &locked)
    };
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let db = Db::open(database.target.clone());
                for _ in 0..20 {
                    db.write_here(append).expect("an update");
                }
            });
        }
    });
    let after = first.read_here(|conn| accounts::get(conn, person.id)).unwrap();
    assert_eq!(after.display_name.matches('x').count(), 120);
}

#[apply(database_test!)]
fn workers_claim_every_parcel_once(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let person = account("Ana", "ana@example.org", now());
    db.write_here(|tx| {
        accounts::insert(tx, &person)?;
        for _ in 0..60 {
            let notice = Notice::AlreadyRegistered { account_id: person.id };
            outbox::promise(tx, Promise::new(person.id, notice), now())?;
        }
        Ok(())
    })
    .unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let db = Db::open(database.target.clone());
            thread::spawn(move || {
                let mut mine = Vec::new();
                loop {
                    let claimed =
                        db.write_here(|tx| outbox::claim(tx, Lane::Ordinary, now(), 7, 600)).expect("a claim");
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed.into_iter().map(|parcel| (parcel.id, parcel.fence)));
                }
            })
        })
        .collect();
    let mut all: Vec<(Id, i64)> = threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect();
    all.sort();
    all.dedup_by_key(|one| one.0);
    // On PostgreSQL a worker may see only rows that others hold and stop; nothing is claimed twice all the same.
    assert!(all.iter().all(|one| one.1 == 1));
    assert_eq!(all.len(), 60);
    // A promise with a key is made once.
    for _ in 0..3 {
        let once = Some("once".to_owned());
        let notice = Notice::AlreadyRegistered { account_id: person.id };
        db.write_here(|tx| {
            let promise = Promise { once: once.clone(), ..Promise::new(person.id, notice.clone()) };
            outbox::promise(tx, promise, now())
        })
        .unwrap();
    }
    assert_eq!(db.read_here(|conn| outbox::count_due(conn, now())).unwrap(), 61);
}

#[apply(database_test!)]
fn the_database_holds_references_and_uniqueness(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let person = account("Ana", "ana@example.org", now());
    assert!(db.write_here(|tx| accounts::insert(tx, &person)).unwrap());
    let twin = Account { id: Id::random(), ..person.clone() };
    assert!(!db.write_here(|tx| accounts::insert(tx, &twin)).unwrap(), "the address is taken");
    let orphan = Promise::new(Id::random(), Notice::AlreadyRegistered { account_id: person.id });
    assert!(db.write_here(|tx| outbox::promise(tx, orphan.clone(), now())).is_err(), "nobody to send it to");
    if kind == Kind::Sqlite {
        let mut conn = db.connect_alone().unwrap();
        let Conn::Sqlite(sqlite) = &mut conn else { panic!("another database") };
        sqlite.batch_execute("SELECT 1").unwrap();
    }
}
