//! Whether a PostgreSQL server answers at all. libpq waits for an answer without end, so nobody else can tell a server that
//! is away from one that is busy.
//!
//! Whoever waits for longer than usual, or fails to connect, has a probe made on a connection of its own. While the server
//! does not answer the probe, all who wait are sent away at once, and it is probed until it answers again.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant as Moment},
};

use tokio::sync::watch;

/// How long work may take before the server is probed. Together with [`PROBE_TIMEOUT`] it stays under the two seconds in
/// which every request is answered while the database is away.
const SUSPICIOUS_AFTER: Duration = Duration::from_millis(SUSPICIOUS_AFTER_MS);
const SUSPICIOUS_AFTER_MS: u64 = 300;
/// How long a probe may take: a connection and `SELECT 1`, some milliseconds on a server that is well.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1200);
/// How often whoever waits looks again. A server that answered anybody since [`SUSPICIOUS_AFTER`] is not probed.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// The pause between probes of a server that is away: it is seen to be back within that and a probe.
const AWAY_PAUSE: Duration = Duration::from_millis(300);
/// Probes that hang, from which on the next waits longer: each holds a thread until its connection ends.
const HANGING_LIMIT: usize = 8;
/// The pause while so many hang.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Asks the server something on a connection of its own; false when there is no server that answers.
type Ask = Box<dyn Fn() -> bool + Send + Sync>;
/// Called when the server is back.
type OnReturn = Box<dyn Fn() + Send + Sync>;

/// The watch over one database server.
pub struct OutageWatch {
    ask: Ask,
    on_return: OnReturn,
    is_away: watch::Sender<bool>,
    is_probing: Mutex<bool>,
    since: Moment,
    /// When the server answered anybody, in milliseconds after `since`: whatever a probe says, it is there.
    last_answer_ms: AtomicU64,
    outages: AtomicU64,
    hanging: AtomicUsize,
}

impl OutageWatch {
    pub(super) fn new(ask: Ask, on_return: OnReturn) -> Arc<Self> {
        Arc::new(Self {
            ask,
            on_return,
            is_away: watch::Sender::new(false),
            is_probing: Mutex::new(false),
            since: Moment::now(),
            last_answer_ms: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            hanging: AtomicUsize::new(0),
        })
    }

    /// Whether the server did not answer the last probe.
    pub fn is_away(&self) -> bool {
        *self.is_away.borrow()
    }

    /// How often the server was away and came back. A connection from before may hang for good.
    pub fn outages(&self) -> u64 {
        self.outages.load(Ordering::Acquire)
    }

    /// Notes that the server has answered somebody.
    pub(super) fn answered(&self) {
        self.last_answer_ms.store(self.now_ms(), Ordering::Release);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn answered_since(&self, moment_ms: u64) -> bool {
        self.last_answer_ms.load(Ordering::Acquire) > moment_ms
    }

    /// Ends when the server is away, for whoever waits for it meanwhile.
    pub(super) async fn ended(self: &Arc<Self>) {
        let mut is_away = self.is_away.subscribe();
        let mut pause = SUSPICIOUS_AFTER;
        // The sender lives as long as this does.
        while tokio::time::timeout(pause, is_away.wait_for(|away| *away)).await.is_err() {
            if !self.answered_since(self.now_ms().saturating_sub(SUSPICIOUS_AFTER_MS)) {
                self.suspect();
            }
            pause = LOOK_AGAIN_AFTER;
        }
    }

    /// Has the server probed, on a thread of its own, until it answers.
    pub(super) fn suspect(self: &Arc<Self>) {
        let mut is_probing = self.is_probing.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_probing {
            return;
        }
        let watch = Arc::downgrade(self);
        let started =
            thread::Builder::new().name("database-probe".into()).spawn(move || probe_until_it_answers(&watch));
        match started {
            Ok(_) => *is_probing = true,
            Err(error) => tracing::warn!(%error, "no thread to probe the database"),
        }
    }

    /// One probe; gives whether there is an answer.
    fn probe(self: &Arc<Self>) -> bool {
        let began_ms = self.now_ms();
        let (answer, answered) = mpsc::channel();
        let probing = self.clone();
        self.hanging.fetch_add(1, Ordering::AcqRel);
        let started = thread::Builder::new().name("database-ask".into()).spawn(move || {
            let is_there = (probing.ask)();
            probing.hanging.fetch_sub(1, Ordering::AcqRel);
            let _ = answer.send(is_there);
        });
        if started.is_err() {
            self.hanging.fetch_sub(1, Ordering::AcqRel);
            return true;
        }
        match answered.recv_timeout(PROBE_TIMEOUT) {
            Ok(is_there) => is_there,
            // A machine that is overloaded: others were answered meanwhile.
            Err(_) => self.answered_since(began_ms),
        }
    }

    /// Takes in what a probe said; gives whether the server is there.
    fn take(&self, is_there: bool, since: Moment) -> bool {
        let was_away = self.is_away();
        match (was_away, is_there) {
            (false, false) => tracing::error!("the database does not answer: requests are refused until it does"),
            (true, true) => {
                (self.on_return)();
                self.outages.fetch_add(1, Ordering::AcqRel);
                tracing::info!(seconds = since.elapsed().as_secs(), "the database answers again");
            }
            _ => {}
        }
        if is_there {
            self.answered();
            *self.is_probing.lock().unwrap_or_else(PoisonError::into_inner) = false;
        }
        if was_away == is_there {
            self.is_away.send_replace(!is_there);
        }
        is_there
    }
}

fn probe_until_it_answers(watch: &Weak<OutageWatch>) {
    let since = Moment::now();
    loop {
        let Some(watched) = watch.upgrade() else { return };
        if watched.take(watched.probe(), since) {
            return;
        }
        let pause = if watched.hanging.load(Ordering::Acquire) < HANGING_LIMIT { AWAY_PAUSE } else { LONG_PAUSE };
        drop(watched);
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[tokio::test]
    async fn waiters_are_sent_away_until_the_server_answers() {
        let is_there = Arc::new(AtomicBool::new(false));
        let returns = Arc::new(AtomicUsize::new(0));
        let (there, counter) = (is_there.clone(), returns.clone());
        let watch = OutageWatch::new(
            Box::new(move || there.load(Ordering::Acquire)),
            Box::new(move || {
                counter.fetch_add(1, Ordering::AcqRel);
            }),
        );
        watch.ended().await;
        assert!(watch.is_away() && watch.outages() == 0);
        let mut is_away = watch.is_away.subscribe();
        is_there.store(true, Ordering::Release);
        is_away.wait_for(|away| !*away).await.unwrap();
        assert_eq!((watch.outages(), returns.load(Ordering::Acquire)), (1, 1));
    }

    #[tokio::test]
    async fn slow_probe_of_a_server_that_answers_others_is_no_outage() {
        let watch = OutageWatch::new(
            Box::new(|| {
                loop {
                    thread::park()
                }
            }),
            Box::new(|| {}),
        );
        let probed = watch.clone();
        let probing = tokio::task::spawn_blocking(move || probed.probe());
        while !probing.is_finished() {
            watch.answered();
            tokio::task::yield_now().await;
        }
        assert!(probing.await.unwrap() && !watch.is_away());
    }

    #[tokio::test]
    async fn server_that_hangs_is_away() {
        let watch = OutageWatch::new(
            Box::new(|| {
                loop {
                    thread::park()
                }
            }),
            Box::new(|| {}),
        );
        let since = Moment::now();
        watch.ended().await;
        assert!(since.elapsed() >= SUSPICIOUS_AFTER + PROBE_TIMEOUT && watch.is_away());
        // Somebody may have been answered just before: then the probe begins later.
        assert!(SUSPICIOUS_AFTER + LOOK_AGAIN_AFTER + PROBE_TIMEOUT < Duration::from_secs(2));
    }
}
