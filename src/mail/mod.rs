//! Mail: what is said to people, in which words, and how it leaves the house.
//!
//! The way of a mail: a service stores a [`Notice`] (ids only) in the outbox, in the transaction of the act. The
//! worker claims it, reads the facts as they are *then* into a [`Letter`], renders it with [`Templates`] and hands an
//! [`Outgoing`] to the [`Transport`]. Nothing here reads the database, the clock or the environment.
//! The one invariant: what people typed can never pass for our own words, links or headers.

mod gathering;
mod letter;
mod message;
mod notice;
mod refusal;
mod refusal_log;
mod render;
pub mod sample;
mod smtp;
mod text;
mod transport;

#[cfg(test)]
mod render_tests;
#[cfg(test)]
mod transport_tests;

pub use letter::{
    AccessOffer, Answered, Asking, Attendance, Body, DecisionKind, FoundRun, Had, Help, House, Letter, Note,
    OtherPlace, OtherRun, Outcome, RunFacts, Scope, SeriesDate, SharedRun, Wished,
};
pub use message::{Outgoing, is_mailbox};
pub use notice::{Change, DateChange, Notice, Touch};
pub use refusal_log::RefusalLog;
pub use render::{RenderError, Rendered, Templates};
pub use transport::{SendFailure, Transport, TransportError};
