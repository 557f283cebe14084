//! Calling a run off.

use super::{changeable, record};
use crate::{
    clock::Instant,
    domain::{
        moderation::Act,
        run::{CancelReason, RunStatus},
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{notices, places},
    store::{
        Tx, accounts,
        outbox::{self, Promise},
        runs::{self, Run, RunLocked},
        signups::{self, Signup},
    },
};

/// A run that starts within so many hours is called off by mails that go before all others.
pub(in crate::service) const URGENT_HOURS: i64 = 24;

/// Calls a run off: everybody on it is told why.
pub fn cancel(
    tx: &mut Tx<'_>,
    actor: Id,
    run: Id,
    reason: CancelReason,
    message: Option<String>,
    now: Instant,
) -> Result<Run> {
    accounts::lock(tx, actor)?;
    let mut locked = runs::lock(tx, run)?;
    if locked.run.status == RunStatus::Cancelled {
        return Ok(locked.run);
    }
    changeable(&locked.run, now)?;
    call_off(tx, &mut locked, Some(actor), reason, message, now)?;
    record(tx, Act::RunCancelled, actor, None, &locked.run, now)?;
    Ok(locked.run)
}

/// Ends a run under its lock: who has no place yet goes home with a clear answer, and everybody on it is told, first of
/// all mails where people may be setting out.
pub fn call_off(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    actor: Option<Id>,
    reason: CancelReason,
    message: Option<String>,
    now: Instant,
) -> Result<()> {
    let people = end_quietly(tx, locked, reason, message, now)?;
    let (id, is_soon) = (locked.run.id, locked.run.starts_at <= now.plus_hours(URGENT_HOURS));
    let is_soon = is_soon || reason == CancelReason::NoFacilitator;
    for signup in people {
        let promise = Promise::new(signup.account_id, Notice::RunCancelled { signup_id: signup.id }).of_signup(&signup);
        outbox::promise(tx, if is_soon { promise.urgently() } else { promise }, now)?;
    }
    notices::to_facilitators(tx, id, actor, &Notice::LeadRunCancelled { run_id: id }, now)
}

/// Ends a run under its lock without a mail, and gives the sign-ups that were live: telling them is the caller's.
pub(in crate::service) fn end_quietly(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    reason: CancelReason,
    message: Option<String>,
    now: Instant,
) -> Result<Vec<Signup>> {
    locked.run.status = RunStatus::Cancelled;
    locked.run.details.cancel_reason = Some(reason);
    locked.run.details.cancel_message = message.filter(|words| !words.trim().is_empty());
    locked.run.version += 1;
    locked.run.details.updated_at = now;
    runs::update(tx, locked)?;
    let mut people = signups::of_run(tx, locked.run.id, &SignupStatus::LIVE)?;
    for signup in &mut people {
        let act = match signup.status {
            SignupStatus::Confirmed => continue,
            SignupStatus::Attended => SignupAct::UndoCheckIn,
            _ => SignupAct::Expire,
        };
        if act == SignupAct::UndoCheckIn {
            signup.checked_in_at = None;
        }
        places::move_signup(tx, locked, signup, act, Actor::System, now)?;
    }
    Ok(people)
}
