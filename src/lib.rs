//! Side by Side: facilitator-led group runs, matched by the pace at which people can chat, and by place.
//!
//! The map of the house, and the rule of dependency (held by `tests/architecture.rs`):
//! `main → cli → app → {http, worker} → index → service → {domain, store, mail::Notice}`; `store → domain`; `mail → domain`;
//! `domain → nothing of ours` but the plain values `clock::Instant` and `id::Id`.

/// For every answer memory is taken and given back from several threads, where the system's allocator costs several times
/// as much (musl's most of all).
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod error;
pub mod http;
pub mod id;
pub mod index;
pub mod mail;
pub mod service;
pub mod store;
pub mod worker;
