//! Numbered changes: a row for each run and each person that a transaction changed, written in that transaction, by which
//! every process keeps what it holds in memory true.
//!
//! A row says only *what* changed; whoever follows reads that afresh. On PostgreSQL numbers are given before commits
//! happen, so a number may be missing now and there later: [`none_begun_from`] and [`all_over_before`] tell when a missing
//! one will never come. On SQLite there is one writer, and a number is missing only when its transaction was undone.

use std::collections::BTreeSet;

use diesel::{dsl::sql, prelude::*, sql_types::BigInt};

use super::{
    db::{Conn, Tx},
    dialect,
    schema::changes,
};
use crate::{error::Result, id::Id};

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ChangeKind {
    /// A run, its places, or those who lead it.
    Run,
    /// What a person may do and where they are: account, session, decisions, bars, blocks, profile, sign-ups.
    Person,
    /// A match request.
    MatchRequest,
    /// More than it would be worth to name.
    Everything,
}

/// One thing that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub kind: ChangeKind,
    pub subject: Id,
}

/// What one transaction changed, collected while it runs and written before it commits.
#[derive(Debug, Clone, Default)]
pub struct Touched(BTreeSet<Change>);

/// From so many on, a transaction's changes are written as one: reading everything afresh is quicker.
const TOO_MANY: usize = 5_000;
/// Minutes after which a change is forgotten: a sign-up's run and person stand side by side here, and who was where is kept
/// apart from all else and forgotten in its own time (promise 10).
const KEPT_MIN: i64 = 10;
/// Stands for all that was forgotten. It is no kind that is read: whoever comes to it was away for longer than changes are
/// kept, and reads everything afresh.
const FORGOTTEN: &str = "forgotten";
/// A follower that is so many numbers behind reads everything afresh, which is quicker.
pub const FAR_BEHIND: i64 = 50_000;

impl Touched {
    pub(super) fn note(&mut self, kind: ChangeKind, subject: Id) {
        self.0.insert(Change { kind, subject });
    }

    /// Whether nothing was changed that anybody follows.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes what a transaction changed; gives each change with its number.
pub(super) fn write(conn: &mut Conn, touched: &Touched) -> Result<Vec<(i64, Change)>> {
    let everything = [Change { kind: ChangeKind::Everything, subject: Id::nil() }];
    let listed: Vec<Change> = touched.0.iter().copied().collect();
    let named = if listed.len() > TOO_MANY { &everything[..] } else { &listed[..] };
    let mut written = Vec::new();
    for some in named.chunks(1000) {
        let rows: Vec<_> = some
            .iter()
            .map(|change| (changes::kind.eq(<&'static str>::from(change.kind)), changes::subject.eq(change.subject)))
            .collect();
        let numbers: Vec<i64> = dialect::on_backend!(conn, |conn| diesel::insert_into(changes::table)
            .values(&rows)
            .returning(changes::seq)
            .get_results(conn))?;
        written.extend(numbers.into_iter().zip(some.iter().copied()));
    }
    Ok(written)
}

/// Changes after a number, and those of the missing numbers that have come since, in the order of their numbers.
pub fn after(conn: &mut Conn, number: i64, missing: &[i64], limit: i64) -> Result<Vec<(i64, Change)>> {
    let rows: Vec<(i64, String, Id)> = changes::table
        .filter(changes::seq.gt(number).or(changes::seq.eq_any(missing)))
        .order(changes::seq)
        .limit(limit)
        .select((changes::seq, changes::kind, changes::subject))
        .load(conn)?;
    // What is forgotten, and a kind that only a newer program knows: whatever it was, all is read afresh.
    let kind = |word: &str| word.parse().unwrap_or(ChangeKind::Everything);
    Ok(rows.into_iter().map(|(seq, word, subject)| (seq, Change { kind: kind(&word), subject })).collect())
}

/// The highest number that can be read now; 0 when there is none.
pub fn newest(conn: &mut Conn) -> Result<i64> {
    Ok(changes::table.select(diesel::dsl::max(changes::seq)).first::<Option<i64>>(conn)?.unwrap_or(0))
}

/// The first transaction that may not be over: all before it are. On SQLite all are, whenever somebody else can read.
pub fn all_over_before(conn: &mut Conn) -> Result<i64> {
    match conn {
        Conn::Sqlite(_) => Ok(1),
        Conn::Postgres(conn) => {
            Ok(diesel::select(sql::<BigInt>("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")).first(conn)?)
        }
    }
}

/// A transaction from which on none had begun to write: this one, which begins to for that. Whoever was given a number by
/// now comes before it, since changes are written after what they name. The end of a snapshot would not do: it follows the
/// last transaction that is over, and later ones may be writing.
pub fn none_begun_from(conn: &mut Conn) -> Result<i64> {
    match conn {
        Conn::Sqlite(_) => Ok(1),
        Conn::Postgres(conn) => Ok(diesel::select(sql::<BigInt>("pg_current_xact_id()::text::bigint")).first(conn)?),
    }
}

/// Forgets changes that are older than a follower's moments. The newest of them stays as a mark without a subject.
pub fn purge(tx: &mut Tx<'_>) -> Result<usize> {
    let before = dialect::database_now(tx)?.plus_minutes(-KEPT_MIN);
    let old = changes::table.filter(changes::made_at.lt(before)).select(diesel::dsl::max(changes::seq));
    let Some(newest) = old.first::<Option<i64>>(&mut **tx)? else { return Ok(0) };
    diesel::update(changes::table.find(newest))
        .set((changes::kind.eq(FORGOTTEN), changes::subject.eq(Id::nil())))
        .execute(&mut **tx)?;
    Ok(diesel::delete(changes::table.filter(changes::seq.lt(newest))).execute(&mut **tx)?)
}
