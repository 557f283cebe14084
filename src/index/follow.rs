//! Following the numbered changes, on a thread of its own: this process's at once, others' by asking every few hundred
//! milliseconds.
//!
//! Invariant: a change is forgotten only after what it names has been read at a moment later than its commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak, atomic::Ordering},
    thread,
    time::{Duration, Instant as Moment},
};

use super::{RunIndex, change_cursor::ChangeCursor};
use crate::{
    clock::{Clock, Instant},
    error::Result,
    id::Id,
    store::{
        Conn, Db,
        changes::{Change, ChangeKind},
    },
};

/// How long changes of other processes may wait; lists follow within two seconds.
const PAUSE: Duration = Duration::from_millis(400);
/// So much has changed that everything is read afresh.
const EVERYTHING: Change = Change { kind: ChangeKind::Everything, subject: Id::nil() };

/// Rings after an outage of the database in which a follower goes on by itself; one that has not by then waits for a
/// connection that is gone, and another takes its place.
const RINGS_TO_RECOVER: u32 = 3;

/// Follows for as long as the index is held by somebody else, beginning with reading everything.
///
/// # Errors
/// When the system gives no thread.
pub fn follow(index: &Arc<RunIndex>, db: Db, clock: Clock) -> std::io::Result<()> {
    let held = Arc::downgrade(index);
    let own = db.own_changes().clone();
    own.follow();
    own.ring();
    start_follower(index, &db, &clock)?;
    // A bell of its own instead of waiting with a timeout, which goes by a clock that may be moved.
    thread::Builder::new().name("run-index-bell".into()).spawn(move || {
        let mut outages = db.outages();
        loop {
            thread::sleep(PAUSE);
            let Some(index) = held.upgrade() else {
                own.ring();
                return;
            };
            let unseen = index.unseen.fetch_add(1, Ordering::AcqRel) + 1;
            if db.outages() != outages && (unseen <= 1 || unseen > RINGS_TO_RECOVER && !db.is_away()) {
                if unseen > RINGS_TO_RECOVER
                    && let Err(error) = start_follower(&index, &db, &clock)
                {
                    tracing::warn!(%error, "no thread for the run index");
                }
                outages = db.outages();
            }
            drop(index);
            own.ring();
        }
    })?;
    Ok(())
}

/// Starts a follower; the one before it, if there is one, does nothing more.
fn start_follower(index: &Arc<RunIndex>, db: &Db, clock: &Clock) -> std::io::Result<()> {
    let (held, db, clock) = (Arc::downgrade(index), db.clone(), clock.clone());
    let number = index.follower.fetch_add(1, Ordering::AcqRel) + 1;
    thread::Builder::new().name("run-index".into()).spawn(move || {
        if keep_following(&held, &db, &clock, number) == End::IndexIsGone {
            db.own_changes().unfollow();
        }
    })?;
    Ok(())
}

/// Why a follower ends.
#[derive(PartialEq, Eq)]
enum End {
    IndexIsGone,
    AnotherFollows,
}

fn keep_following(held: &Weak<RunIndex>, db: &Db, clock: &Clock, number: u64) -> End {
    let mut follower = Follower { number, ..Follower::default() };
    // A connection of its own: whoever wrote waits for this, and must not wait behind all others who want to write.
    let mut own_connection = None;
    let mut is_away = false;
    // A poll that failed is made again by the next round, before its request counts as answered.
    let mut must_poll = false;
    loop {
        let next = db.own_changes().next();
        let Some(index) = held.upgrade() else { return End::IndexIsGone };
        if !index.is_followed_by(number) {
            // What was taken is for the other, which reads everything afresh, and has yet to hear of it.
            db.own_changes().ring();
            return End::AnotherFollows;
        }
        follower.take_own(next.own);
        must_poll |= next.looks;
        let round = connected(&mut own_connection, db)
            .and_then(|conn| follower.round(&index, conn, db, must_poll, clock.now()));
        if !index.is_followed_by(number) {
            return End::AnotherFollows;
        }
        match round {
            Ok(()) => {
                if is_away {
                    tracing::info!("the index follows the database again");
                }
                (is_away, must_poll) = (false, false);
                index.unseen.store(0, Ordering::Release);
                db.own_changes().done(next.commits);
                index.rings_answered.send_replace(next.rings);
            }
            Err(error) => {
                if !is_away {
                    tracing::warn!(%error, "the index cannot follow the database for now");
                }
                is_away = true;
                own_connection = None;
                // Decisions about people are not seen either: who asks is read afresh.
                index.callers.close();
            }
        }
    }
}

fn connected<'c>(kept: &'c mut Option<Conn>, db: &Db) -> Result<&'c mut Conn> {
    match kept {
        Some(conn) => Ok(conn),
        none => Ok(none.insert(db.connect_alone()?)),
    }
}

#[derive(Default)]
struct Follower {
    /// Which follower of the index it is.
    number: u64,
    /// None until everything is loaded.
    cursor: Option<ChangeCursor>,
    /// Numbers of this process's own changes, which were followed before they were read.
    own: BTreeSet<i64>,
    /// What has yet to be read afresh.
    pending: BTreeSet<Change>,
    /// The latest moment that was seen.
    last_now: Option<Instant>,
    /// Runs that began up to then are no longer held.
    begun_until: Option<Instant>,
}

/// How far a clock is set right now and then; one that goes back further was moved.
const CLOCK_SET_RIGHT_S: i64 = 1;

impl Follower {
    fn take_own(&mut self, changes: BTreeMap<i64, Change>) {
        for (number, change) in changes {
            self.own.insert(number);
            self.pending.insert(change);
        }
    }

    fn round(&mut self, index: &RunIndex, conn: &mut Conn, db: &Db, looks: bool, now: Instant) -> Result<()> {
        let was_moved = self.last_now.is_some_and(|last| now.plus_seconds(CLOCK_SET_RIGHT_S) < last);
        // Runs that had begun by a clock that was set back are no longer here.
        let lacks_runs = self.begun_until.is_some_and(|until| now < until);
        if self.cursor.is_none() || was_moved || lacks_runs {
            return self.load(index, conn, db, now);
        }
        if looks {
            self.poll(conn)?;
        }
        if self.pending.iter().any(|change| change.kind == ChangeKind::Everything) {
            return self.load(index, conn, db, now);
        }
        let mut runs: BTreeSet<Id> = index.write().take_due(now).into_iter().collect();
        for change in &self.pending {
            match change.kind {
                ChangeKind::Run => {
                    runs.insert(change.subject);
                }
                ChangeKind::Person => index.callers.forget(change.subject),
                ChangeKind::MatchRequest | ChangeKind::Everything => {}
            }
        }
        let runs: Vec<Id> = runs.into_iter().collect();
        if let Err(error) = index.refresh(conn, &runs, now, self.number) {
            self.pending.extend(runs.into_iter().map(|subject| Change { kind: ChangeKind::Run, subject }));
            return Err(error);
        }
        self.pending.clear();
        // After a load that failed, and for which there is no need any more.
        index.callers.open();
        if self.last_now < Some(now) {
            let begun = index.write().drop_begun(now);
            self.begun_until = self.begun_until.max(begun);
            self.last_now = Some(now);
        }
        Ok(())
    }

    fn load(&mut self, index: &RunIndex, conn: &mut Conn, db: &Db, now: Instant) -> Result<()> {
        let begun = Moment::now();
        // Reading takes longer than a decision about somebody may wait.
        index.callers.close();
        let cursor = ChangeCursor::at_head(conn)?;
        let pending = std::mem::take(&mut self.pending);
        index.is_reading.store(true, Ordering::Release);
        let loaded = index.load(conn, db, now, self.number);
        index.is_reading.store(false, Ordering::Release);
        if let Err(error) = loaded {
            self.pending = pending;
            return Err(error);
        }
        index.callers.open();
        (self.cursor, self.last_now, self.begun_until) = (Some(cursor), Some(now), Some(now));
        self.own.clear();
        tracing::info!(
            runs = index.len(),
            milliseconds = begun.elapsed().as_millis(),
            "all runs to come are in memory"
        );
        Ok(())
    }

    /// Reads what others changed; this process's own was followed before.
    fn poll(&mut self, conn: &mut Conn) -> Result<()> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        match cursor.poll(conn, |number| self.own.remove(&number))? {
            Some(news) => self.pending.extend(news),
            None => {
                self.pending.insert(EVERYTHING);
            }
        }
        // Numbers of ours below the newest were seen, or their rows are forgotten.
        let number = cursor.number();
        self.own.retain(|own| *own > number);
        Ok(())
    }
}
