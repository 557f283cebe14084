//! Numbered changes: what a transaction changed can be read after it, is soon forgotten, and never silently.

use diesel::connection::SimpleConnection;
use sidebyside::{
    clock::Instant,
    store::{
        Conn, Db, accounts,
        changes::{self, Change, ChangeKind},
    },
};

use crate::{
    cases,
    support::{
        databases::{Database, Kind},
        people::account,
    },
};

cases![
    a_change_is_there_with_its_commit_and_not_when_it_was_undone,
    old_changes_are_forgotten_and_whoever_was_away_reads_everything_afresh,
];

fn now() -> Instant {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn all_after(db: &Db, number: i64) -> Vec<(i64, Change)> {
    db.read_here(|conn| changes::after(conn, number, &[], 100)).expect("the changes")
}

fn a_change_is_there_with_its_commit_and_not_when_it_was_undone(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let ana = account("Ana", "ana@example.org", now());
    db.write_here(|tx| accounts::insert(tx, &ana).and_then(|_| accounts::update(tx, &ana))).expect("a write");
    let undone = db.write_here(|tx| {
        accounts::update(tx, &ana)?;
        Err::<(), _>(sidebyside::error::Error::NotFound)
    });
    assert!(undone.is_err());
    let named: Vec<Change> = all_after(&db, 0).into_iter().map(|(_, change)| change).collect();
    assert_eq!(named, [Change { kind: ChangeKind::Person, subject: ana.id }]);
}

fn old_changes_are_forgotten_and_whoever_was_away_reads_everything_afresh(kind: Kind) {
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let ana = account("Ana", "ana@example.org", now());
    db.write_here(|tx| accounts::insert(tx, &ana)).expect("an account");
    let touch = || db.write_here(|tx| accounts::update(tx, &ana)).expect("a change");
    (0..3).for_each(|_| touch());
    db.write_here(changes::purge).expect("nothing is old yet");
    assert_eq!(all_after(&db, 0).len(), 3);
    let age = "UPDATE changes SET made_at = '2020-01-01T00:00:00.000000Z'";
    match &mut db.connect_alone().expect("a connection") {
        Conn::Sqlite(conn) => conn.batch_execute(age),
        Conn::Postgres(conn) => conn.batch_execute(age),
    }
    .expect("older changes");
    touch();
    let newest = all_after(&db, 0).last().expect("a change").0;
    for _ in 0..2 {
        db.write_here(changes::purge).expect("a purge");
        let left = all_after(&db, 0);
        assert_eq!(left.len(), 2, "the mark and what is new");
        assert_eq!(left[0].1.kind, ChangeKind::Everything, "whoever comes to the mark was away");
        assert_ne!(left[0].1.subject, ana.id, "it names nobody");
        assert_eq!(left[1], (newest, Change { kind: ChangeKind::Person, subject: ana.id }));
    }
    assert_eq!(all_after(&db, left_of(&db)).len(), 1, "whoever has passed the mark goes on");
}

/// The number of the mark.
fn left_of(db: &Db) -> i64 {
    all_after(db, 0)[0].0
}
