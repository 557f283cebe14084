//! Numbered changes: what a transaction changed can be read after it, is soon forgotten, and never silently.

use diesel::connection::SimpleConnection;
use macro_rules_attribute::apply;
use sidebyside::{
    clock::Instant,
    config::Policy,
    domain::{
        match_request::Wish,
        place::{Cell, LatLng},
    },
    id::Id,
    index::WishIndex,
    store::{
        Conn, Db, accounts,
        changes::{self, Change, ChangeKind},
        match_requests::{self, MatchRequest},
        sql_types::Json,
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

fn all_after(db: &Db, number: i64) -> Vec<(i64, Change)> {
    db.read_here(|conn| changes::after(conn, number, &[], 100)).expect("the changes")
}

#[apply(database_test!)]
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

#[apply(database_test!)]
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
    say(&mut db.connect_alone().expect("a connection"), age);
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

#[apply(database_test!)]
fn a_change_that_is_committed_after_later_ones_is_followed(kind: Kind) {
    if kind == Kind::Sqlite {
        // One writes at a time.
        return;
    }
    let database = Database::migrated(kind);
    let db = Db::open(database.target.clone());
    let ana = account("Ana", "ana@example.org", now());
    let wish = Wish { area: Cell::containing(LatLng { lat: 51.5, lng: -0.1 }, 8), ..Wish::default() };
    let request = MatchRequest {
        id: Id::at(now()),
        account_id: ana.id,
        wish: Json(wish),
        created_at: now(),
        expires_at: now().plus_days(60),
        warned_at: None,
    };
    db.write_here(|tx| accounts::insert(tx, &ana).and_then(|_| match_requests::insert(tx, &request))).expect("a wish");
    let index = WishIndex::new(Policy::default());
    let catch_up = || db.read_here(|conn| index.catch_up(conn)).expect("the wishes");
    catch_up();
    assert_eq!(index.len(), 1);
    // One begins to write before the other, is given the later number, and is over first.
    let mut early = db.connect_alone().expect("a connection");
    let mut late = db.connect_alone().expect("a connection");
    say(&mut early, "BEGIN; SELECT pg_current_xact_id()");
    let taken_back = format!(
        "BEGIN; DELETE FROM match_requests; INSERT INTO changes (kind, subject) VALUES ('match_request', '{}')",
        request.id
    );
    say(&mut late, &taken_back);
    say(&mut early, &format!("INSERT INTO changes (kind, subject) VALUES ('person', '{}'); COMMIT", ana.id));
    (0..3).for_each(|_| catch_up());
    assert_eq!(index.len(), 1, "it is not committed yet");
    say(&mut late, "COMMIT");
    catch_up();
    assert!(index.is_empty(), "its number was waited for");
}

fn say(conn: &mut Conn, statements: &str) {
    match conn {
        Conn::Sqlite(conn) => conn.batch_execute(statements),
        Conn::Postgres(conn) => conn.batch_execute(statements),
    }
    .expect("statements");
}
