//! Whether the database can be written to, for whoever sends requests here. Transactions that were refused lately tell, and
//! where there were none a row of our own that is changed at most once a second.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant as Moment},
};

use tokio::sync::watch;

use super::{Db, installation};

/// How long a write that the database refused (full, read-only, broken) speaks against it.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// How long the answer to a probe holds, so that whoever asks often loads nothing.
const PROBE_HOLDS: Duration = Duration::from_secs(1);
/// How long a probe may take. It waits its turn among those who write.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Under load a probe comes late: a commit as young as this shows that others are served.
const COMMIT_HOLDS: Duration = Duration::from_secs(2);

/// What is known of writing to one database.
#[derive(Debug, Default)]
pub struct Writability {
    state: Mutex<State>,
    probed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    refused: Option<Moment>,
    committed: Option<Moment>,
    probe: Option<(Moment, bool)>,
    is_probing: bool,
}

fn is_young(moment: Option<Moment>, limit: Duration) -> bool {
    moment.is_some_and(|at| at.elapsed() < limit)
}

impl Writability {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a transaction was committed.
    pub(super) fn committed(&self) {
        self.state().committed = Some(Moment::now());
    }

    /// Notes that the database refused to write.
    pub(super) fn refused(&self) {
        self.state().refused = Some(Moment::now());
    }

    /// What is known without a probe; starts to wait for one where there is nothing.
    fn known(&self) -> Option<bool> {
        let mut state = self.state();
        if is_young(state.refused, REFUSED_FOR) {
            return Some(false);
        }
        match state.probe {
            Some((at, could)) if is_young(Some(at), PROBE_HOLDS) => Some(could),
            _ if state.is_probing => Some(is_young(state.committed, COMMIT_HOLDS)),
            _ => {
                state.is_probing = true;
                None
            }
        }
    }

    fn probe_ended(&self, could: bool) {
        let mut state = self.state();
        (state.probe, state.is_probing) = (Some((Moment::now(), could)), false);
        self.probed.send_modify(|count| *count += 1);
    }
}

impl Db {
    /// Whether changes can be written now. At most one probe is under way, and a second passes between two.
    pub async fn can_write(&self) -> bool {
        let about: &Arc<Writability> = self.writability();
        let mut probed = about.probed.subscribe();
        if let Some(known) = about.known() {
            return known;
        }
        let db = self.clone();
        // Not awaited: whoever asks may give up, and the probe is still to be counted as over.
        tokio::task::spawn_blocking(move || {
            let could = db.write_here(installation::mark_write).is_ok();
            db.writability().probe_ended(could);
        });
        let ended = tokio::time::timeout(PROBE_TIMEOUT, probed.changed()).await.is_ok();
        let state = about.state();
        if ended {
            state.probe.is_some_and(|(_, could)| could)
        } else {
            is_young(state.committed, COMMIT_HOLDS) && !is_young(state.refused, REFUSED_FOR)
        }
    }
}
