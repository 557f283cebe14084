//! The day itself, at the facilitators' desk: ticking people off, walk-ins and guests, emergency contacts, pairs and
//! incidents; and how long what was seen there is kept.
//!
//! What is done to a person here is in the audit log without that person's name: act, facilitator, run and sign-up. When
//! the sign-ups are forgotten nothing in the log says any more who was where.

pub mod attendance;
pub mod contacts;
pub mod incidents;
pub mod pairing;
pub mod retention;
pub mod walk_ins;

use serde_json::Value;

use crate::{
    clock::Instant,
    domain::{
        day::{self, DayAct},
        moderation::Act,
        policy::{Accompanies, Leads},
        refusal::Code,
        run::RunStatus,
    },
    error::{Error, Result},
    id::Id,
    store::{Conn, Tx, audit, facilitators, runs::Run},
};

/// Refuses an act outside its window, or on a run that does not take place.
///
/// # Errors
/// [`Code::RunCancelled`], [`Code::RunPaused`], [`Code::RunNotOpen`], [`Code::DeskNotOpen`], [`Code::DeskClosed`].
pub fn possible(act: DayAct, run: &Run, now: Instant) -> Result<()> {
    match run.status {
        RunStatus::Published | RunStatus::Completed => {}
        RunStatus::Cancelled => return Err(Code::RunCancelled.into()),
        RunStatus::Paused => return Err(Code::RunPaused.into()),
        RunStatus::Draft => return Err(Code::RunNotOpen.into()),
    }
    Ok(day::possible(act, run.starts_at, run.ends_at, now)?)
}

/// Refuses whoever does not answer for a run, back markers included.
///
/// # Errors
/// Not found.
pub fn answers_for(conn: &mut Conn, proof: &Leads, now: Instant) -> Result<()> {
    let active = facilitators::active_on(conn, proof.run(), now)?;
    if active.contains(&proof.facilitator()) { Ok(()) } else { Err(Error::NotFound) }
}

/// Writes what a facilitator did on the day, without the name of whom it was done to.
pub fn record(tx: &mut Tx<'_>, act: Act, proof: impl Into<Accompanies>, about: Value, now: Instant) -> Result<()> {
    let proof: Accompanies = proof.into();
    seen(tx, act, proof.facilitator(), None, proof.run(), about, now)
}

/// Writes that somebody looked at what is about a person, or about everybody on a run.
pub fn seen(tx: &mut Tx<'_>, act: Act, by: Id, subject: Option<Id>, run: Id, about: Value, now: Instant) -> Result<()> {
    audit::record(tx, audit::AuditEvent { act, actor: Some(by), subject, run: Some(run), about }, now)
}
