//! The suites: the API on both databases, a model of what people do, privacy of place, the store, and the rules of the
//! source tree.

#[macro_use]
mod support;

mod api;
mod architecture;
mod harness;
mod model;
mod privacy;
mod store;
