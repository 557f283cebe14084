//! One connection: at work or waiting for its client, since when, and how long it may wait.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, sleep_until};

use crate::http::body;

/// How long a request's head may take, from its first byte or from the start of the connection.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may rest between requests: longer than the idle connections of the usual proxies, which would
/// otherwise send into a closing one.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to receive what is written at once: an answer, or 32 KiB of a long one.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Added where something closer to the request has the same limit and answers with 408 first.
const MARGIN: Duration = Duration::from_secs(1);

/// Shared by the server, the stream and the requests of one connection.
pub struct Connection {
    is_reserved: bool,
    state: Mutex<State>,
    waker: AtomicWaker,
}

struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// When a write began that the client has not received yet.
    blocked_since: Option<Instant>,
    /// Its place went to another connection.
    is_closing: bool,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the first head.
    Opened,
    /// Waiting for another request.
    Idle,
    /// A part of a head has come.
    Head,
    /// Waiting for the rest of a body.
    Body,
    /// A request is being worked on.
    Working,
}

impl Connection {
    pub(super) fn new(is_reserved: bool) -> Self {
        let state = State { phase: Phase::Opened, since: Instant::now(), blocked_since: None, is_closing: false };
        Self { is_reserved, state: Mutex::new(state), waker: AtomicWaker::new() }
    }

    /// Whether it serves only monitors.
    pub fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// Since when it has waited for its client; none while a request is worked on or when it is closing already.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.phase != Phase::Working && !state.is_closing).then_some(state.since)
    }

    /// A request is being worked on from now on, and the connection keeps its place; false when it has lost it before,
    /// in which case nothing may be begun that nobody would be told of.
    pub fn works(&self) -> bool {
        self.enter(Phase::Working);
        !self.is_closing()
    }

    /// The rest of a body is waited for.
    pub fn waits_for_body(&self) {
        self.enter(Phase::Body);
    }

    /// The request has its answer.
    pub fn rests(&self) {
        self.enter(Phase::Idle);
    }

    /// Bytes have come: between two requests they begin a head.
    pub(super) fn receives(&self) {
        if self.state().phase == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// The client does not take what is written.
    pub(super) fn is_blocked(&self) {
        let mut state = self.state();
        state.blocked_since = state.blocked_since.or_else(|| Some(Instant::now()));
    }

    /// The client has taken everything that was written.
    pub(super) fn is_flushed(&self) {
        self.state().blocked_since = None;
    }

    /// Ends the connection soon, unless a request is being worked on; says whether it does.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state();
        let is_waiting = state.phase != Phase::Working;
        state.is_closing |= is_waiting;
        drop(state);
        self.waker.wake();
        is_waiting
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state().is_closing
    }

    /// Drives what serves the connection to its end; none when the client was too slow or the place went to another.
    pub async fn serve<F: Future>(&self, serving: F) -> Option<F::Output> {
        let (mut serving, mut timer) = (pin!(serving), pin!(sleep_until(Instant::now() + HEAD_TIMEOUT)));
        poll_fn(|context| {
            if let Poll::Ready(done) = serving.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            self.waker.register(context.waker());
            if self.is_closing() {
                return Poll::Ready(None);
            }
            let Some(deadline) = self.state().deadline() else { return Poll::Pending };
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            timer.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When the connection has to end, unless something happens before.
    fn deadline(&self) -> Option<Instant> {
        let wait = match self.phase {
            Phase::Opened | Phase::Head => Some(HEAD_TIMEOUT),
            Phase::Idle => Some(KEEP_ALIVE),
            Phase::Body => Some(body::TIMEOUT),
            Phase::Working => None,
        };
        let waiting = wait.map(|wait| self.since + wait + MARGIN);
        let writing = self.blocked_since.map(|since| since + WRITE_TIMEOUT);
        waiting.into_iter().chain(writing).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_own_limit() {
        let connection = Connection::new(false);
        let left = || {
            let state = connection.state();
            state.deadline().map(|deadline| (deadline - state.since).as_secs())
        };
        assert_eq!(left(), Some(11));
        connection.works();
        assert_eq!((left(), connection.waits_since()), (None, None));
        connection.waits_for_body();
        assert_eq!(left(), Some(11));
        connection.rests();
        assert_eq!(left(), Some(76));
        connection.receives();
        assert_eq!(left(), Some(11));
        let head = connection.waits_since();
        connection.receives();
        assert_eq!(connection.waits_since(), head, "more bytes of one head do not prolong it");
    }

    #[test]
    fn connection_at_work_is_not_closed_and_a_closing_one_does_no_work() {
        let connection = Connection::new(false);
        assert!(connection.works() && !connection.close() && !connection.is_closing());
        connection.waits_for_body();
        assert!(connection.close() && connection.is_closing());
        assert!(!connection.works(), "its client would not be told");
    }

    #[test]
    fn client_that_takes_no_answer_has_thirty_seconds() {
        let connection = Connection::new(false);
        connection.works();
        connection.is_blocked();
        let first = connection.state().deadline();
        connection.is_blocked();
        assert!(first.is_some() && connection.state().deadline() == first, "a later try does not prolong it");
        connection.is_flushed();
        assert_eq!(connection.state().deadline(), None);
    }
}
