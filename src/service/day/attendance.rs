//! Who was there: checked in, signed out, missed, and what undoes a wrong mark.

use serde_json::json;

use super::{possible, record};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        day::{CORRECTED_DAYS, DayAct},
        moderation::{Act, SanctionScope},
        policy::{Accompanies, Leads},
        refusal::{Code, Refusal},
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{notices, places},
    store::{
        Conn, Tx, accounts, day, moderation,
        outbox::{self, Promise},
        runs::{self, RunLocked},
        signups::{self, Signup},
    },
};

/// What came of ticking several people off at once.
#[derive(Debug, Clone, Default)]
pub struct Ticked {
    pub done: Vec<Signup>,
    /// Those for whom it was not possible now; one by one it says why.
    pub left: Vec<Id>,
}

/// Checks somebody in; a wrong sign-out or a "did not come" is undone by it.
///
/// # Errors
/// [`Code::SignupNotLive`] for whoever has no place, [`Code::RunFull`] for a missed person whose place was taken.
pub fn check_in(tx: &mut Tx<'_>, signup: Id, proof: &Accompanies, policy: &Policy, now: Instant) -> Result<Signup> {
    // Before the run: a decision of this moment is either seen here or finds them checked in.
    let person = signups::get(tx, signup)?.account_id;
    accounts::lock(tx, person)?;
    let locked = runs::lock(tx, proof.run())?;
    possible(DayAct::Mark, &locked.run, now)?;
    let found = signups::get(tx, signup)?;
    let signup = checked_in(tx, &locked, found, policy, now)?;
    record(tx, Act::CheckedIn, proof, json!({ "signup_id": signup.id }), now)?;
    Ok(signup)
}

/// Checks in those named, or everybody who is confirmed.
pub fn check_in_all(
    tx: &mut Tx<'_>,
    named: Option<&[Id]>,
    proof: &Accompanies,
    policy: &Policy,
    now: Instant,
) -> Result<Ticked> {
    let expected = signups::of_run(tx, proof.run(), &[SignupStatus::Confirmed, SignupStatus::NoShow])?;
    accounts::lock_all(tx, &expected.iter().map(|signup| signup.account_id).collect::<Vec<_>>())?;
    let locked = runs::lock(tx, proof.run())?;
    possible(DayAct::Mark, &locked.run, now)?;
    let mut ticked = Ticked::default();
    let chosen = chosen(tx, &locked, named, &[SignupStatus::Confirmed], &mut ticked)?;
    for signup in chosen {
        let id = signup.id;
        match checked_in(tx, &locked, signup, policy, now) {
            Ok(signup) => ticked.done.push(signup),
            Err(Error::Refused(_)) => ticked.left.push(id),
            Err(other) => return Err(other),
        }
    }
    record_all(tx, Act::CheckedIn, proof, &ticked, now)?;
    Ok(ticked)
}

/// The sign-ups of this run that are named, or all in `statuses`; those that are not of this run are left.
fn chosen(
    conn: &mut Conn,
    locked: &RunLocked,
    named: Option<&[Id]>,
    statuses: &[SignupStatus],
    ticked: &mut Ticked,
) -> Result<Vec<Signup>> {
    let Some(named) = named else { return signups::of_run(conn, locked.run.id, statuses) };
    let mut found: Vec<Signup> = Vec::new();
    for id in named {
        if found.iter().any(|signup| signup.id == *id) {
            continue;
        }
        match signups::find(conn, *id)?.filter(|signup| signup.run_id == locked.run.id) {
            Some(signup) => found.push(signup),
            None => ticked.left.push(*id),
        }
    }
    Ok(found)
}

fn record_all(tx: &mut Tx<'_>, act: Act, proof: &Accompanies, ticked: &Ticked, now: Instant) -> Result<()> {
    if ticked.done.is_empty() {
        return Ok(());
    }
    let ids: Vec<Id> = ticked.done.iter().map(|signup| signup.id).collect();
    record(tx, act, proof, json!({ "signup_ids": ids }), now)
}

/// Checks one person in under the run's lock. Nobody is refused for a block here, since they are in already and both were
/// told; but a decision of the team holds at the meeting point as well.
pub(super) fn checked_in(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    mut signup: Signup,
    policy: &Policy,
    now: Instant,
) -> Result<Signup> {
    if signup.status == SignupStatus::Attended {
        if signup.signed_out_at.take().is_some() {
            signups::update(tx, locked, &signup)?;
        }
        return Ok(signup);
    }
    let is_on = now < locked.run.ends_at;
    if is_on && moderation::kept_out(tx, &[signup.account_id], SanctionScope::Site, now)?.contains(&signup.account_id) {
        return Err(Code::RunNotOpenToYou.into());
    }
    if signup.status == SignupStatus::NoShow {
        undoable(&signup, locked, now)?;
        room_again(tx, locked, policy, now)?;
    }
    signup.checked_in_at = Some(now);
    places::move_signup(tx, locked, &mut signup, SignupAct::CheckIn, Actor::Facilitator, now)?;
    Ok(signup)
}

/// While a run is on, somebody who was missed needs a place again. What is corrected after it seats nobody.
fn room_again(tx: &mut Tx<'_>, locked: &RunLocked, policy: &Policy, now: Instant) -> Result<()> {
    if now < locked.run.ends_at && places::of_locked(tx, locked, policy, now)?.left() == 0 {
        return Err(Code::RunFull.into());
    }
    Ok(())
}

/// A mark can be undone until seven days after it was made.
fn undoable(signup: &Signup, locked: &RunLocked, now: Instant) -> Result<()> {
    let until = signup.updated_at.plus_days(CORRECTED_DAYS).max(locked.run.ends_at.plus_days(CORRECTED_DAYS));
    if now >= until {
        return Err(Refusal::from(Code::DeskClosed).with("until", until).into());
    }
    Ok(())
}

/// Notes that somebody who was checked in has gone home.
///
/// # Errors
/// [`Code::NotCheckedIn`].
pub fn sign_out(tx: &mut Tx<'_>, signup: Id, proof: &Accompanies, now: Instant) -> Result<Signup> {
    let locked = runs::lock(tx, proof.run())?;
    possible(DayAct::Mark, &locked.run, now)?;
    let found = signups::get(tx, signup)?;
    let signup = signed_out(tx, &locked, found, now)?;
    record(tx, Act::SignedOut, proof, json!({ "signup_id": signup.id }), now)?;
    Ok(signup)
}

/// Signs out those named, or everybody who was checked in, guests included.
pub fn sign_out_all(tx: &mut Tx<'_>, named: Option<&[Id]>, proof: &Accompanies, now: Instant) -> Result<Ticked> {
    let locked = runs::lock(tx, proof.run())?;
    possible(DayAct::Mark, &locked.run, now)?;
    let mut ticked = Ticked::default();
    for signup in chosen(tx, &locked, named, &[SignupStatus::Attended], &mut ticked)? {
        let id = signup.id;
        match signed_out(tx, &locked, signup, now) {
            Ok(signup) => ticked.done.push(signup),
            Err(Error::Refused(_)) => ticked.left.push(id),
            Err(other) => return Err(other),
        }
    }
    if named.is_none() {
        for guest in day::guests_of(tx, proof.run())? {
            day::sign_guest_out(tx, &locked, guest.id, now)?;
        }
    }
    record_all(tx, Act::SignedOut, proof, &ticked, now)?;
    Ok(ticked)
}

fn signed_out(tx: &mut Tx<'_>, locked: &RunLocked, mut signup: Signup, now: Instant) -> Result<Signup> {
    if signup.status != SignupStatus::Attended {
        return Err(Code::NotCheckedIn.into());
    }
    if signup.signed_out_at.is_none() {
        signup.signed_out_at = Some(now);
        signups::update(tx, locked, &signup)?;
    }
    Ok(signup)
}

/// Notes that a guest has gone home.
pub fn sign_guest_out(tx: &mut Tx<'_>, guest: Id, proof: &Leads, now: Instant) -> Result<day::Guest> {
    let locked = runs::lock(tx, proof.run())?;
    let guest = day::find_guest(tx, guest)?.filter(|guest| guest.run_id == proof.run()).ok_or(Error::NotFound)?;
    possible(DayAct::Mark, &locked.run, now)?;
    day::sign_guest_out(tx, &locked, guest.id, now)?;
    record(tx, Act::SignedOut, proof, json!({ "guest_id": guest.id }), now)?;
    day::find_guest(tx, guest.id)?.ok_or(Error::NotFound)
}

/// Takes a guest off who was entered by mistake: the place is free again. Only on the day: who was there stays known after.
///
/// # Errors
/// [`Code::InAnIncident`] for whom an incident names.
pub fn remove_guest(tx: &mut Tx<'_>, guest: Id, proof: &Leads, policy: &Policy, now: Instant) -> Result<()> {
    let mut locked = runs::lock(tx, proof.run())?;
    let guest = day::find_guest(tx, guest)?.filter(|guest| guest.run_id == proof.run()).ok_or(Error::NotFound)?;
    possible(DayAct::WalkIn, &locked.run, now)?;
    if day::is_in_an_incident(tx, proof.run(), guest.id)? {
        return Err(Code::InAnIncident.into());
    }
    day::remove_guest(tx, &locked, guest.id)?;
    record(tx, Act::MarkUndone, proof, json!({ "guest_id": guest.id }), now)?;
    places::settle(tx, &mut locked, policy, now)?;
    Ok(())
}

/// Says that somebody did not come and had not said so. They hear of it kindly, and may say that they were there.
///
/// # Errors
/// [`Code::NobodyCheckedIn`] where nobody else was, [`Code::SaidTheyWereThere`] once the person said so.
pub fn mark_no_show(tx: &mut Tx<'_>, signup: Id, proof: &Leads, now: Instant) -> Result<Signup> {
    let locked = runs::lock(tx, proof.run())?;
    possible(DayAct::MarkNoShow, &locked.run, now)?;
    let mut signup = signups::get(tx, signup)?;
    if signup.status == SignupStatus::NoShow {
        return Ok(signup);
    }
    if signup.said_there_at.is_some() {
        return Err(Code::SaidTheyWereThere.into());
    }
    if !is_anybody_checked_in(tx, &signup)? {
        return Err(Code::NobodyCheckedIn.into());
    }
    (signup.checked_in_at, signup.signed_out_at) = (None, None);
    places::move_signup(tx, &locked, &mut signup, SignupAct::MarkNoShow, Actor::Facilitator, now)?;
    // Not while they may still be on their way.
    let notice = Notice::Missed { signup_id: signup.id };
    let promise = Promise::new(signup.account_id, notice).of_signup(&signup).not_before(locked.run.ends_at);
    outbox::promise(tx, promise, now)?;
    record(tx, Act::NoShowMarked, proof, json!({ "signup_id": signup.id }), now)?;
    Ok(signup)
}

/// Whether a facilitator checked anybody else of this run in.
fn is_anybody_checked_in(conn: &mut Conn, but: &Signup) -> Result<bool> {
    let there = signups::of_run(conn, but.run_id, &[SignupStatus::Attended])?;
    Ok(there.iter().any(|other| other.id != but.id && other.checked_in_at.is_some()))
}

/// Takes a mark back: whoever was checked in or missed is confirmed again, and a wrong walk-in is off the run.
///
/// # Errors
/// [`Code::NobodyCheckedIn`] for the last who was checked in while others count as missed.
pub fn undo(tx: &mut Tx<'_>, signup: Id, proof: &Leads, policy: &Policy, now: Instant) -> Result<Signup> {
    let locked = runs::lock(tx, proof.run())?;
    let mut signup = signups::get(tx, signup)?;
    let act = match signup.status {
        SignupStatus::NoShow => {
            undoable(&signup, &locked, now)?;
            room_again(tx, &locked, policy, now)?;
            SignupAct::UndoNoShow
        }
        SignupStatus::Attended => {
            possible(DayAct::Mark, &locked.run, now)?;
            let some_missed = !signups::of_run(tx, proof.run(), &[SignupStatus::NoShow])?.is_empty();
            if some_missed && !is_anybody_checked_in(tx, &signup)? {
                return Err(Code::NobodyCheckedIn.into());
            }
            (signup.checked_in_at, signup.signed_out_at) = (None, None);
            if signup.walked_in { SignupAct::UndoWalkIn } else { SignupAct::UndoCheckIn }
        }
        _ => return Err(Code::NotCheckedIn.into()),
    };
    if signup.said_there_at.is_some() {
        return Err(Code::SaidTheyWereThere.into());
    }
    places::move_signup(tx, &locked, &mut signup, act, Actor::Facilitator, now)?;
    if act == SignupAct::UndoWalkIn && outbox::was_taken_up(tx, signup.id, "checked_in")? {
        notices::about_signup(tx, &signup, Notice::CheckInUndone { signup_id: signup.id }, now)?;
    }
    record(tx, Act::MarkUndone, proof, json!({ "signup_id": signup.id, "status": signup.status }), now)?;
    Ok(signup)
}

/// "I was there": the person's word stands.
pub fn was_there(tx: &mut Tx<'_>, person: Id, signup: Id, policy: &Policy, now: Instant) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    accounts::lock(tx, person)?;
    let locked = runs::lock(tx, found.run_id)?;
    let mut signup = signups::get(tx, signup)?;
    if signup.status == SignupStatus::Attended {
        return Ok(signup);
    }
    if signup.status == SignupStatus::NoShow {
        undoable(&signup, &locked, now)?;
        room_again(tx, &locked, policy, now)?;
    }
    signup.said_there_at = Some(now);
    places::move_signup(tx, &locked, &mut signup, SignupAct::WasThere, Actor::Person, now)?;
    Ok(signup)
}
