//! What this process's own transactions changed, handed to whoever follows it in this process without a look at the
//! database; and waiting until it has been followed, so that people see what they did.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::changes::Change;

/// A follower takes less time; a request that waited so long goes on without it.
const FOLLOWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The changes of this process that nobody followed yet.
#[derive(Debug)]
pub struct OwnChanges {
    state: Mutex<State>,
    rung: Condvar,
    followed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether somebody follows; without them nothing is collected.
    is_followed: bool,
    waiting: BTreeMap<i64, Change>,
    /// Counts the transactions that changed something.
    commits: u64,
    /// Counts the requests to look at the database.
    rings: u64,
    /// The requests of which the follower knows.
    rings_taken: u64,
}

/// The work of one round of the follower.
#[derive(Debug)]
pub struct Round {
    /// This process's own changes since the last round, by their numbers.
    pub own: BTreeMap<i64, Change>,
    /// The count to hand to [`OwnChanges::done`] once they have been followed.
    pub commits: u64,
    /// Requests to look at the database that this round answers, of all that there have been.
    pub rings: u64,
    /// Whether one of them is new, so that the database is to be looked at.
    pub looks: bool,
}

impl Default for OwnChanges {
    fn default() -> Self {
        Self { state: Mutex::default(), rung: Condvar::new(), followed: watch::Sender::new(0) }
    }
}

impl OwnChanges {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects from now on, for one follower.
    pub fn follow(&self) {
        self.state().is_followed = true;
    }

    /// Nobody follows any more: nobody waits for it.
    pub fn unfollow(&self) {
        let mut state = self.state();
        (state.is_followed, state.waiting) = (false, BTreeMap::new());
        self.followed.send_replace(state.commits);
    }

    /// Takes what a transaction changed.
    pub(super) fn committed(&self, changes: Vec<(i64, Change)>) {
        let mut state = self.state();
        if !changes.is_empty() && state.is_followed {
            state.waiting.extend(changes);
            state.commits += 1;
            self.rung.notify_all();
        }
    }

    /// Waits until something was committed here or somebody rings; gives what the round is to do.
    pub fn next(&self) -> Round {
        let idle = |state: &mut State| state.waiting.is_empty() && state.rings == state.rings_taken;
        let mut state = self.rung.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        let looks = state.rings_taken < state.rings;
        state.rings_taken = state.rings;
        Round { own: std::mem::take(&mut state.waiting), commits: state.commits, rings: state.rings, looks }
    }

    /// Has the follower look at the database. Gives the number of this request: a round with [`Round::rings`] of at least
    /// that begins after the request.
    pub fn ring(&self) -> u64 {
        let mut state = self.state();
        state.rings += 1;
        self.rung.notify_all();
        state.rings
    }

    /// All up to this count has been followed.
    pub fn done(&self, commits: u64) {
        self.followed.send_replace(commits);
    }

    /// Waits until all that is committed by now has been followed, and not for long: whoever wrote sees it in the lists that
    /// they ask for next, and no write waits for it.
    pub async fn all_followed(&self) {
        let commits = {
            let state = self.state();
            if !state.is_followed {
                return;
            }
            state.commits
        };
        let mut followed = self.followed.subscribe();
        let reached = followed.wait_for(|done| *done >= commits);
        if tokio::time::timeout(FOLLOWER_TIMEOUT, reached).await.is_err() {
            tracing::debug!("what was written is not in the index yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Id, store::changes::ChangeKind};

    #[test]
    fn round_answers_the_requests_made_before_it_began() {
        let changes = OwnChanges::default();
        changes.follow();
        let (first, second) = (changes.ring(), changes.ring());
        assert!(first < second);
        let round = changes.next();
        assert!(round.looks && round.rings == second);
        changes.committed(vec![(1, Change { kind: ChangeKind::Run, subject: Id::nil() })]);
        let later = changes.next();
        assert!(!later.looks && later.rings == second && later.own.len() == 1);
        assert!(changes.ring() > second && changes.next().looks);
    }
}
