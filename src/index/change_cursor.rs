//! A cursor over the numbered changes in the database, polled for what is new.
//!
//! Invariant: no change is passed over. A number that is missing is waited for until every transaction that could bring it
//! is over.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::Result,
    store::{
        Conn,
        changes::{self, Change, ChangeKind, FAR_BEHIND},
    },
};

/// Changes read at a time.
const AT_ONCE: i64 = 10_000;
/// Numbers before the newest among which missing ones are looked for at the start.
const LOOKED_BACK: i64 = 20_000;

/// The position of one reader among the changes.
#[derive(Debug, Default)]
pub(super) struct ChangeCursor {
    /// The highest number seen.
    number: i64,
    /// Numbers that were missing, each with the transaction before which all must be over for it never to come.
    missing: BTreeMap<i64, i64>,
}

impl ChangeCursor {
    /// The highest number seen.
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Starts at the newest change: what commits from now on has a number that is higher or missing.
    pub(super) fn at_head(conn: &mut Conn) -> Result<Self> {
        let number = changes::newest(conn)?;
        let seen = changes::after(conn, number - LOOKED_BACK, &[], LOOKED_BACK)?;
        // Where nothing was forgotten yet, the first number of all may be the missing one.
        let is_whole = number <= LOOKED_BACK && seen.iter().all(|(_, change)| change.kind != ChangeKind::Everything);
        let seen: BTreeSet<i64> = seen.into_iter().map(|(at, _)| at).collect();
        let first = if is_whole { 1 } else { seen.first().copied().unwrap_or(number) };
        let gaps = (first..number).filter(|at| !seen.contains(at)).collect();
        let mut cursor = Self { number, missing: BTreeMap::new() };
        cursor.track_gaps(conn, gaps)?;
        Ok(cursor)
    }

    /// Tracks missing numbers until every transaction that could commit one is over. Called after they were seen to be
    /// missing: the transaction that has such a number has begun by then.
    fn track_gaps(&mut self, conn: &mut Conn, gaps: Vec<i64>) -> Result<()> {
        if !gaps.is_empty() {
            let over = changes::none_begun_from(conn)?;
            self.missing.extend(gaps.into_iter().map(|number| (number, over)));
        }
        Ok(())
    }

    /// What has changed since, but for the numbers that are known; none when that is too much, and all has to be read afresh.
    pub(super) fn poll(
        &mut self,
        conn: &mut Conn,
        mut is_known: impl FnMut(i64) -> bool,
    ) -> Result<Option<BTreeSet<Change>>> {
        let mut news = BTreeSet::new();
        let over_before = if self.missing.is_empty() { None } else { Some(changes::all_over_before(conn)?) };
        loop {
            let missing: Vec<i64> = self.missing.keys().copied().collect();
            let rows = changes::after(conn, self.number, &missing, AT_ONCE)?;
            if rows.last().is_some_and(|(newest, _)| newest - self.number > FAR_BEHIND) {
                return Ok(None);
            }
            let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < AT_ONCE;
            let mut gaps = Vec::new();
            for (number, change) in rows {
                if number > self.number {
                    gaps.extend(self.number + 1..number);
                    self.number = number;
                } else {
                    self.missing.remove(&number);
                }
                if !is_known(number) {
                    news.insert(change);
                }
            }
            self.track_gaps(conn, gaps)?;
            if is_last {
                break;
            }
        }
        if let Some(before) = over_before {
            self.missing.retain(|_, over| *over > before);
        }
        Ok(Some(news))
    }
}
