//! The run index: all published runs to come, in memory, as matching reads them, with the cards that lists show and the
//! people who ask.
//!
//! The database stays the truth. Every transaction writes numbered rows that say what it changed; [`follow`] reads what is
//! behind them afresh, this process's own at once and others' within moments. Nothing that seats anybody reads here.
//! Readers hold no lock while they work: they take the tiles they need and look at those.

mod advice;
mod answers;
mod by_bytes;
mod caller_cache;
mod card_cache;
mod change_cursor;
mod find;
mod follow;
mod grid;
mod grid_builder;
mod matches;
mod tile;
mod top_k;
mod wishes;

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::Instant,
    config::Policy,
    domain::matching::IndexedRun,
    error::{Error, Result},
    id::Id,
    service::run_sides::{self, Read, Shared},
    store::{
        Conn, Db,
        run_sides::{self as rows, NAMED_AT_ONCE, Stretch, Which},
    },
};

pub use advice::Advice;
use answers::Answers;
pub use answers::Asked;
pub use caller_cache::{CachedCaller, CallerCache};
pub use card_cache::{CardCache, RenderedCard};
pub use find::{Found, Listing};
pub use follow::follow;
use grid::Grid;
pub use grid::{Good, NearbyTiles};
use grid_builder::GridBuilder;
pub use matches::{ENOUGH, FURTHEST_DAYS, Matched, MatchedRun, SeriesDate};
use tile::Entry;
pub use wishes::WishIndex;

/// Looks at the database that may fail one after another (ten seconds) before what is held is too old to be shown.
const FAILED_LOOKS: u32 = 25;
/// The same while all is read afresh (two seconds): then it is known that much has changed.
const LOOKS_MISSED_BY_READING: u32 = 5;
/// A poll of what is due takes less time; a request that waited so long goes on without it.
const POLL_TIMEOUT: Duration = Duration::from_secs(3);

/// All published runs to come.
pub struct RunIndex {
    grid: RwLock<Grid>,
    shared: Shared,
    policy: Policy,
    is_loaded: AtomicBool,
    is_reading: AtomicBool,
    /// Rises with everything that is put in, so that a card knows of which state of its run it is.
    versions: AtomicU64,
    /// In microseconds of 1970: when an entry may be another without anybody's act.
    next_due: AtomicI64,
    /// Looks that were due since the follower last saw the database. They are counted and not timed: a clock that is moved
    /// makes nothing old.
    unseen: AtomicU32,
    /// The number of the follower that may change what is held. One that hung while the database was away is replaced.
    follower: AtomicU64,
    /// Requests to look at the database that the follower has answered.
    rings_answered: watch::Sender<u64>,
    pub cards: CardCache,
    pub callers: CallerCache,
    pub answers: Answers,
}

impl RunIndex {
    /// An index that has yet to be loaded.
    pub fn new(policy: Policy) -> Self {
        Self {
            grid: RwLock::default(),
            shared: Shared::default(),
            policy,
            is_loaded: AtomicBool::new(false),
            is_reading: AtomicBool::new(false),
            versions: AtomicU64::new(0),
            next_due: AtomicI64::new(i64::MAX),
            unseen: AtomicU32::new(0),
            follower: AtomicU64::new(0),
            rings_answered: watch::Sender::new(0),
            cards: CardCache::default(),
            callers: CallerCache::default(),
            answers: Answers::default(),
        }
    }

    /// Whether this is the follower whose word counts.
    fn is_followed_by(&self, number: u64) -> bool {
        self.follower.load(Ordering::Acquire) == number
    }

    fn read(&self) -> RwLockReadGuard<'_, Grid> {
        self.grid.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Grid> {
        self.grid.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything is here and the database was seen lately.
    pub fn is_ready(&self) -> bool {
        let missed = if self.is_reading.load(Ordering::Acquire) { LOOKS_MISSED_BY_READING } else { FAILED_LOOKS };
        self.is_loaded.load(Ordering::Acquire) && self.unseen.load(Ordering::Acquire) < missed
    }

    /// Waits until everything is here.
    pub async fn loaded(&self) {
        // The sender lives as long as this does.
        let _ = self.rings_answered.subscribe().wait_for(|answered| *answered > 0).await;
    }

    /// Waits for what time alone has changed by `now`.
    ///
    /// # Errors
    /// Unavailable while the runs are being read.
    pub async fn at(&self, now: Instant, ring: impl FnOnce() -> u64) -> Result<()> {
        if !self.is_ready() {
            return Err(Error::Unavailable("the runs are being read; try again shortly"));
        }
        if self.next_due.load(Ordering::Acquire) <= now.micros() {
            let _ = tokio::time::timeout(POLL_TIMEOUT, self.looked(ring)).await;
        }
        Ok(())
    }

    /// Waits until the follower has looked at the database in a round that began after this call. `ring` asks for that
    /// round and gives the number of the request.
    pub async fn looked(&self, ring: impl FnOnce() -> u64) {
        let mut answered = self.rings_answered.subscribe();
        let wanted = ring();
        // The sender lives as long as this does.
        let _ = answered.wait_for(|number| *number >= wanted).await;
    }

    /// How many runs are held.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in runs that somebody else has read, in place of all that was held: for benches.
    pub fn fill(&self, runs: impl Iterator<Item = Read>) {
        let mut gathered = GridBuilder::default();
        let mut runs = runs.peekable();
        while runs.peek().is_some() {
            gathered.take(runs.by_ref().take(FILLED_AT_ONCE).map(|read| self.entry(read)).collect());
        }
        self.put(gathered, None);
    }

    /// One run as it is held.
    pub fn find(&self, id: Id) -> Option<IndexedRun> {
        self.read().find(id).map(|slot| slot.side.clone())
    }

    /// All that is held, by id: for whoever holds it against the database.
    pub fn sides(&self) -> Vec<IndexedRun> {
        let mut sides: Vec<IndexedRun> = self.read().slots().map(|slot| slot.side.clone()).collect();
        sides.sort_unstable_by_key(|side| side.id);
        sides
    }

    /// All that the database would have it hold.
    ///
    /// # Errors
    /// What the database says.
    pub fn should_hold(&self, conn: &mut Conn, now: Instant) -> Result<Vec<IndexedRun>> {
        let which = Which::Between(Stretch::all());
        let read = run_sides::read(conn, which, &self.policy, &self.shared, now)?;
        Ok(read.into_iter().map(|read| read.side).collect())
    }

    fn entry(&self, read: Read) -> Entry {
        let version = self.versions.fetch_add(1, Ordering::Relaxed) + 1;
        Entry::new(read, version)
    }

    /// Reads all runs to come, on as many connections as there are cores, at most [`LOADERS`]; whoever asks meanwhile is
    /// asked to wait.
    pub(crate) fn load(&self, conn: &mut Conn, db: &Db, now: Instant, follower: u64) -> Result<()> {
        let parts = Mutex::new(rows::parts(conn, now)?);
        let gathered = Mutex::new(GridBuilder::default());
        let take = |conn: &mut Conn| -> Result<()> {
            // Apart, so that nobody holds the list while reading.
            let next = || lock(&parts).pop();
            while let Some(part) = next() {
                let read = run_sides::read(conn, part.which(), &self.policy, &self.shared, now)?;
                let entries: Vec<Entry> = read.into_iter().map(|read| self.entry(read)).collect();
                lock(&gathered).take(entries);
            }
            Ok(())
        };
        let others = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(LOADERS);
        let others = others.min(lock(&parts).len()).saturating_sub(1);
        thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(|| take(&mut db.connect_alone()?))).collect();
            let mine = take(conn);
            let theirs = others.into_iter().map(|other| {
                other.join().unwrap_or_else(|_| Err(Error::Internal(anyhow::anyhow!("a loader of runs panicked"))))
            });
            theirs.fold(mine, Result::and)
        })?;
        if !self.put(gathered.into_inner().unwrap_or_else(PoisonError::into_inner), Some(follower)) {
            return Err(Error::Unavailable("another follower has taken over"));
        }
        self.is_loaded.store(true, Ordering::Release);
        Ok(())
    }

    /// Puts in what was gathered, unless that was by a follower that was replaced; says whether it is in.
    fn put(&self, gathered: GridBuilder, follower: Option<u64>) -> bool {
        let version = self.read().version() + 1;
        let grid = gathered.into_grid(version);
        let mut held = self.write();
        if follower.is_some_and(|number| !self.is_followed_by(number)) {
            return false;
        }
        self.note_due(&grid);
        let old = std::mem::replace(&mut *held, grid);
        drop(held);
        // To give a million runs back takes long: nobody waits for it.
        drop(old);
        true
    }

    /// Reads these runs afresh.
    pub(crate) fn refresh(&self, conn: &mut Conn, ids: &[Id], now: Instant, follower: u64) -> Result<()> {
        for some in ids.chunks(NAMED_AT_ONCE) {
            let read = run_sides::read(conn, Which::These(some), &self.policy, &self.shared, now)?;
            let entries: Vec<Entry> = read.into_iter().map(|read| self.entry(read)).collect();
            let mut grid = self.write();
            if !self.is_followed_by(follower) {
                return Err(Error::Unavailable("another follower has taken over"));
            }
            some.iter().for_each(|id| grid.remove(*id));
            entries.into_iter().for_each(|entry| grid.insert(entry));
            self.note_due(&grid);
        }
        Ok(())
    }

    fn note_due(&self, grid: &Grid) {
        self.next_due.store(grid.next_due().unwrap_or(i64::MAX), Ordering::Release);
    }
}

/// Runs that are taken in at once from somebody else.
const FILLED_AT_ONCE: usize = 100_000;
/// Connections that read at most; each holds a part.
const LOADERS: usize = 2;

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_shown_until_all_runs_are_here_and_after_the_database_was_long_away() {
        let index = RunIndex::new(Policy::default());
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        assert!(matches!(index.at(now, || 0).await, Err(Error::Unavailable(_))));
        index.is_loaded.store(true, Ordering::Release);
        assert!(index.at(now, || 0).await.is_ok());
        index.unseen.store(FAILED_LOOKS, Ordering::Release);
        assert!(!index.is_ready() && index.at(now, || 0).await.is_err());
        index.unseen.store(LOOKS_MISSED_BY_READING, Ordering::Release);
        assert!(index.is_ready());
        index.is_reading.store(true, Ordering::Release);
        assert!(!index.is_ready());
    }
}
