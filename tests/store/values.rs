//! Values come back as they went in, and sort as they do in Rust.

use macro_rules_attribute::apply;
use proptest::{prelude::*, test_runner::TestRunner};
use sidebyside::{
    clock::Instant,
    id::Id,
    store::{
        Db,
        accounts::{self, Account},
        sessions::{self, Session},
    },
};

use crate::support::{
    database_test::database_test,
    databases::{Database, Kind},
    people::account,
};

/// Any moment of the years 1 to 9999, to the microsecond.
fn moments() -> impl Strategy<Value = Instant> {
    (-62_135_596_800_000_000_i64..253_402_207_200_000_000)
        .prop_map(|micros| Instant::from_micros(micros).expect("a year we know"))
}

#[apply(database_test!)]
fn instants_and_ids_come_back_as_they_went_in(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() });
    let number = std::cell::Cell::new(0);
    runner
        .run(&(moments(), any::<[u8; 16]>()), |(at, bytes)| {
            number.set(number.get() + 1);
            let mut person = account("Ana", &format!("{}@example.org", number.get()), at);
            (person.id, person.verified_at) = (Id(uuid::Uuid::from_bytes(bytes)), None);
            db.write_here(|tx| accounts::insert(tx, &person)).unwrap();
            let back = db.read_here(|conn| accounts::get(conn, person.id)).unwrap();
            prop_assert_eq!((back.id, back.created_at, back.terms_accepted_at), (person.id, at, Some(at)));
            prop_assert_eq!(back.verified_at, None);
            Ok(())
        })
        .unwrap();
}

#[apply(database_test!)]
fn instants_sort_in_the_database_as_they_do_in_rust(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let start: Instant = "2026-11-23T10:00:00Z".parse().unwrap();
    let person = account("Ana", "ana@example.org", start);
    // Ids by time, ends in the opposite order, some of them equal to the second and apart by microseconds.
    let ends: Vec<Instant> = (0..40)
        .map(|step: i64| Instant::from_micros(1_795_428_000_000_000 + (step * 7919 % 40) * 333_333).unwrap())
        .collect();
    let of = |at: i64| -> Session {
        let created_at = start.plus_seconds(at);
        Session {
            id: Id::at(created_at),
            account_id: person.id,
            created_at,
            last_used_at: created_at,
            expires_at: ends[usize::try_from(at).unwrap()],
            ended_at: None,
        }
    };
    let rows: Vec<Session> = (0..40).map(of).collect();
    db.write_here(|tx| {
        accounts::insert(tx, &person)?;
        rows.iter().try_for_each(|row| sessions::insert(tx, row))
    })
    .unwrap();
    for moment in &ends {
        let alive = db.read_here(|conn| sessions::list(conn, person.id, *moment)).unwrap();
        let mut wanted: Vec<Id> = rows.iter().filter(|row| row.expires_at > *moment).map(|row| row.id).collect();
        wanted.sort_by(|a, b| b.cmp(a));
        assert_eq!(alive.iter().map(|row| row.id).collect::<Vec<_>>(), wanted);
    }
    // As text too, which SQLite relies on.
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&(moments(), moments()), |(a, b)| {
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.to_string().len(), 27);
            Ok(())
        })
        .unwrap();
}

#[apply(database_test!)]
fn texts_of_every_script_come_back(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let start: Instant = "2026-11-23T10:00:00Z".parse().unwrap();
    for (number, text) in
        ["Zoë", "نگار", "می\u{200c}نا", "李", "Ana 🏃🏽", "'; DROP TABLE accounts; --", "\\0 \\x41", "a\nb\tc"]
            .iter()
            .enumerate()
    {
        let person =
            Account { display_name: (*text).to_owned(), ..account("Ana", &format!("{number}@example.org"), start) };
        db.write_here(|tx| accounts::insert(tx, &person)).unwrap();
        assert_eq!(db.read_here(|conn| accounts::get(conn, person.id)).unwrap().display_name, *text);
    }
}
