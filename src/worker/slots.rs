//! How many mails are under way at once, so that those that hang hold up nobody else.
//!
//! A mail takes a quick slot. When it is still under way after a second it moves to a slow one, and the quick slot is free
//! for the next. Mails that hung before have slots of their own. One domain may hold most of the slow slots, never all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::outbox::Lane;

/// First tries at once: 23 mails a second with one, 321 with 16, measured against an idle local server.
const QUICK: usize = 16;
/// How long a mail counts as quick. A usual server takes a mail in a tenth of that.
pub(super) const QUICK_FOR: Duration = Duration::from_secs(1);
/// Mails that take longer than that, at once. With the quick ones that is more than most servers take from one client; one
/// that says so is asked again when a connection is free.
const SLOW: usize = 48;
/// Slow mails to one domain, from which on others to it are put aside.
const SLOW_FOR_ONE_DOMAIN: usize = 32;
/// Mails at once whose last try hung.
const HUNG: usize = 8;
/// How long to wait for more free slots, so that not each mail is claimed by a transaction of its own.
const GATHER: Duration = Duration::from_millis(20);

/// The slots of one worker.
#[derive(Debug)]
pub(super) struct Slots {
    quick: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    hung: Arc<Semaphore>,
    /// Slow mails under way by the domain to which they go.
    slow_by_domain: Mutex<HashMap<String, usize>>,
}

impl Default for Slots {
    fn default() -> Self {
        let slots = |many| Arc::new(Semaphore::new(many));
        Self { quick: slots(QUICK), slow: slots(SLOW), hung: slots(HUNG), slow_by_domain: Mutex::default() }
    }
}

impl Slots {
    /// Waits until at least one slot of a lane is free, and takes all that are.
    pub(super) async fn take(self: &Arc<Self>, lane: Lane) -> Vec<Slot> {
        let (all, many) = match lane {
            Lane::Ordinary => (&self.quick, QUICK),
            Lane::Hung => (&self.hung, HUNG),
        };
        // The semaphore is never closed.
        let mut permits: Vec<OwnedSemaphorePermit> = all.clone().acquire_owned().await.into_iter().collect();
        if all.available_permits() + 1 < many / 2 {
            tokio::time::sleep(GATHER).await;
        }
        while let Ok(permit) = all.clone().try_acquire_owned() {
            permits.push(permit);
        }
        permits.into_iter().map(|permit| Slot { slots: self.clone(), lane, permit, slow_domain: None }).collect()
    }

    fn domains(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.slow_by_domain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot of one mail, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    lane: Lane,
    permit: OwnedSemaphorePermit,
    /// The domain under which the mail is counted among the slow ones.
    slow_domain: Option<String>,
}

impl Slot {
    /// Whether a mail to this domain has to wait among those that hung, since too many to it are slow now.
    pub(super) fn is_closed_to(&self, domain: &str) -> bool {
        let slow = self.slots.domains().get(domain).copied().unwrap_or(0);
        self.lane == Lane::Ordinary && slow >= SLOW_FOR_ONE_DOMAIN
    }

    /// Whether a mail in it may become slow.
    pub(super) fn is_quick(&self) -> bool {
        self.lane == Lane::Ordinary
    }

    /// Counts the mail among the slow ones, and waits for a slot of those to give the quick one free.
    pub(super) async fn become_slow(&mut self, domain: &str) {
        *self.slots.domains().entry(domain.to_owned()).or_default() += 1;
        self.slow_domain = Some(domain.to_owned());
        if let Ok(permit) = self.slots.slow.clone().acquire_owned().await {
            self.permit = permit;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(domain) = self.slow_domain.take() {
            let mut domains = self.slots.domains();
            let left = domains.get(&domain).map_or(0, |slow| slow.saturating_sub(1));
            match left {
                0 => drop(domains.remove(&domain)),
                _ => drop(domains.insert(domain, left)),
            }
        }
    }
}
