//! People who asked lately, so that reading lists asks the database nothing about them.
//!
//! Whatever changes about a person raises the number of their slot, and what was read under another number counts no more:
//! also what was being read while it changed. Everything that writes, and every personal page, reads the person afresh.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use quick_cache::sync::Cache;

use crate::{
    clock::Instant,
    domain::{matching::Viewer, refusal::Code},
    error::{Error, Result},
    id::Id,
    service::{callers::Caller, matching},
    store::{Conn, run_sides},
};

/// People who are kept.
const KEPT: usize = 20_000;
/// Slots that people share; two in one slot cost each other a look at the database.
const SLOTS: usize = 4_096;
/// Seconds after which somebody is read afresh, whatever happened.
const GOOD_FOR_S: i64 = 10;

/// Somebody who may ask, as they were when they were read.
#[derive(Debug)]
pub struct CachedCaller {
    pub account: Id,
    pub session: Id,
    pub session_expires_at: Instant,
    pub read_at: Instant,
    /// None without a running profile.
    pub viewer: Option<Viewer>,
    /// Runs to come of which this person may see more: they have a sign-up there or are listed.
    pub insider_of: BTreeSet<Id>,
}

impl CachedCaller {
    /// Reads what lists need to know of somebody who was identified just now.
    ///
    /// # Errors
    /// What the database says.
    pub fn read(conn: &mut Conn, caller: &Caller, now: Instant) -> Result<Self> {
        let viewer = match matching::viewer(conn, caller.id(), now) {
            Ok(viewer) => Some(viewer),
            Err(Error::Refused(refusal)) if refusal.code == Code::ProfileMissing => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            account: caller.id(),
            session: caller.session,
            session_expires_at: caller.session_expires_at,
            read_at: now,
            viewer,
            insider_of: run_sides::insider_of(conn, caller.id(), now)?,
        })
    }
}

/// The number of changes of a slot at which a caller was read: another number means that the caller may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u64);

/// The people.
pub struct CallerCache {
    known: Cache<Id, (Generation, Arc<CachedCaller>)>,
    numbers: Box<[AtomicU64]>,
    hasher: RandomState,
    /// Changes of people are not followed for now: nobody is known.
    is_closed: AtomicBool,
}

impl Default for CallerCache {
    fn default() -> Self {
        Self {
            known: Cache::new(KEPT),
            numbers: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            is_closed: AtomicBool::new(false),
        }
    }
}

impl CallerCache {
    fn number(&self, account: Id) -> &AtomicU64 {
        let hash = self.hasher.hash_one(account);
        &self.numbers[usize::try_from(hash % SLOTS as u64).unwrap_or(0)]
    }

    /// Gives the generation of an account; it is taken before the caller is read.
    pub fn generation(&self, account: Id) -> Generation {
        Generation(self.number(account).load(Ordering::Acquire))
    }

    /// Somebody who was read lately in this session, if nothing about them changed since.
    pub fn get(&self, account: Id, session: Id, now: Instant) -> Option<Arc<CachedCaller>> {
        if self.is_closed.load(Ordering::Acquire) {
            return None;
        }
        let (generation, caller) = self.known.get(&account)?;
        let fresh = generation == self.generation(account)
            && caller.session == session
            && (caller.read_at..caller.read_at.plus_seconds(GOOD_FOR_S)).contains(&now)
            && now < caller.session_expires_at;
        fresh.then_some(caller)
    }

    /// Everybody who would be taken from here if they asked now.
    pub fn fresh(&self, now: Instant) -> Vec<Arc<CachedCaller>> {
        let kept: Vec<_> = self.known.iter().map(|(_, (_, caller))| caller).collect();
        kept.into_iter().filter_map(|caller| self.get(caller.account, caller.session, now)).collect()
    }

    /// Keeps a caller who was read at this generation.
    pub fn put(&self, generation: Generation, caller: Arc<CachedCaller>) {
        self.known.insert(caller.account, (generation, caller));
    }

    /// What was read about this person counts no more.
    pub(super) fn forget(&self, account: Id) {
        self.number(account).fetch_add(1, Ordering::AcqRel);
    }

    /// From now on everybody is read afresh: whatever changes about them is not followed until [`open`](Self::open).
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Changes of people are followed again; what was read before, and while they were not, counts no more.
    pub(super) fn open(&self) {
        if self.is_closed.load(Ordering::Acquire) {
            for number in &self.numbers {
                number.fetch_add(1, Ordering::AcqRel);
            }
            self.is_closed.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(account: Id, session: Id, read_at: Instant) -> Arc<CachedCaller> {
        Arc::new(CachedCaller {
            account,
            session,
            session_expires_at: read_at.plus_seconds(5),
            read_at,
            viewer: None,
            insider_of: BTreeSet::new(),
        })
    }

    #[test]
    fn what_changed_while_somebody_was_read_is_not_missed() {
        let (callers, account, session) = (CallerCache::default(), Id::random(), Id::random());
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        let generation = callers.generation(account);
        callers.put(generation, caller(account, session, now));
        assert!(callers.get(account, session, now).is_some());
        callers.forget(account);
        assert!(callers.get(account, session, now).is_none());
        callers.put(generation, caller(account, session, now));
        assert!(callers.get(account, session, now).is_none(), "read before the change");
    }

    #[test]
    fn while_changes_are_not_followed_nobody_is_known_and_nothing_read_meanwhile_is_kept() {
        let (callers, account, session) = (CallerCache::default(), Id::random(), Id::random());
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        callers.put(callers.generation(account), caller(account, session, now));
        callers.close();
        assert!(callers.get(account, session, now).is_none());
        let generation = callers.generation(account);
        callers.put(generation, caller(account, session, now));
        assert!(callers.get(account, session, now).is_none(), "a change of this moment would not be seen");
        callers.open();
        assert!(callers.get(account, session, now).is_none(), "read before the change that is followed now");
        callers.put(generation, caller(account, session, now));
        assert!(callers.get(account, session, now).is_none(), "also where it is put down later");
        callers.put(callers.generation(account), caller(account, session, now));
        callers.open();
        assert!(callers.get(account, session, now).is_some(), "once is enough");
    }

    #[test]
    fn nobody_is_known_for_long_in_another_session_or_beyond_its_end() {
        let (callers, account, session) = (CallerCache::default(), Id::random(), Id::random());
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        callers.put(callers.generation(account), caller(account, session, now));
        assert!(callers.get(account, Id::random(), now).is_none());
        assert!(callers.get(account, session, now.plus_seconds(4)).is_some());
        assert!(callers.get(account, session, now.plus_seconds(5)).is_none(), "the session has ended");
        assert!(callers.get(account, session, now.plus_seconds(-1)).is_none(), "the clock was set back");
    }
}
