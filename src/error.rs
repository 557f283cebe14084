//! One error type with a handful of kinds of outcome; what they become on the wire is in `http/problem.rs`.

use crate::domain::refusal::{Code, Fault, Faults, Refusal};

/// Why a use case did not happen. Whatever it is, its transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad values, all of them named.
    #[error("bad input: {0:?}")]
    Invalid(Vec<Fault>),
    /// What was sent cannot be read at all.
    #[error("unreadable: {1}")]
    Unreadable(Unreadable, String),
    /// It does not exist, or it is not the caller's to see: the two look the same.
    #[error("not found")]
    NotFound,
    /// A rule says no.
    #[error("refused: {}", .0.code.as_str())]
    Refused(Box<Refusal>),
    /// Too many requests; `retry_after_s` seconds until the next may come.
    #[error("rate limit {policy}")]
    Limited { policy: &'static str, limit: u32, window_s: u32, retry_after_s: u32 },
    /// We cannot serve now (database busy or away, starting, stopping).
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// Our own fault. The cause is logged once, where the answer is made.
    #[error("internal error: {0:#}")]
    Internal(anyhow::Error),
}

/// Why a body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    NotJson,
    /// There is none, and the request cannot do without.
    Missing,
    WrongType,
    /// Its `Content-Encoding` is none that can be undone.
    WrongEncoding,
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
}

/// What every use case returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Refusal::from(code).into()
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults.0)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        Self::Internal(cause)
    }
}

impl From<serde_json::Error> for Error {
    fn from(cause: serde_json::Error) -> Self {
        Self::Internal(anyhow::Error::new(cause).context("stored JSON"))
    }
}
