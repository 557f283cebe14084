//! The suites: the API on both databases, a model of what people do, privacy of place, the store, and the rules of the
//! source tree.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod api;
mod architecture;
mod harness;
mod model;
mod privacy;
mod store;
mod support;
