//! Being asked to say again that one comes: after a far change of the run, and after two silent absences.

use std::collections::BTreeSet;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        refusal::Code,
        reminder::Moment,
        signup::{ReconfirmReason, SignupAct, SignupStatus, Who},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{notices, places},
    store::{
        Conn, Tx, accounts, extra_places,
        runs::{self, Run, RunLocked},
        signups::{self, Signup},
    },
};

/// Silent absences after which somebody is asked to say the day before that they come.
const ABSENCES: i64 = 2;
/// Days over which they count.
const ABSENCE_DAYS: i64 = 90;

/// Asks somebody with two silent absences behind them to say the day before that they come; nothing is counted in public
/// and nobody is shut out.
pub fn ask_whoever_was_missing(
    conn: &mut Conn,
    signup: &mut Signup,
    run: &Run,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    // Whoever signs up after the reminder that asks has just said that they come.
    if Moment::DayBefore.due_at(run.starts_at, &run.time_zone) <= now {
        return Ok(());
    }
    if was_missing(conn, &[signup.account_id], now)?.contains(&signup.account_id) {
        signup.reconfirm_by = Some(run.starts_at.plus_hours(-policy.reconfirm_until_hours));
        signup.reconfirm_reason = Some(ReconfirmReason::Absences);
    }
    Ok(())
}

/// Who of these was missing in silence so often that they are asked.
fn was_missing(conn: &mut Conn, people: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    let mut absences = signups::silent_absences(conn, people, now.plus_days(-ABSENCE_DAYS))?;
    absences.retain(|_, times| *times >= ABSENCES);
    Ok(absences.into_keys().collect())
}

/// The day before, with the reminder that holds the question: asks those who were missing since they signed up as well, and
/// no longer those whose absences were corrected.
pub fn look_the_day_before(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    due_at: Instant,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    let by = locked.run.starts_at.plus_hours(-policy.reconfirm_until_hours);
    let confirmed = signups::of_run(tx, locked.run.id, &[SignupStatus::Confirmed])?;
    let people: Vec<Id> = confirmed.iter().map(|signup| signup.account_id).collect();
    let missing = was_missing(tx, &people, now)?;
    for mut signup in confirmed {
        let said_so = |at: Option<Instant>| at.is_some_and(|at| at > due_at);
        let wanted = missing.contains(&signup.account_id)
            && !said_so(signup.confirmed_at)
            && !said_so(signup.reconfirmed_at)
            && by > now;
        let asked = match signup.reconfirm_reason {
            None if wanted => (Some(by), Some(ReconfirmReason::Absences)),
            Some(ReconfirmReason::Absences) if !missing.contains(&signup.account_id) => (None, None),
            _ => continue,
        };
        (signup.reconfirm_by, signup.reconfirm_reason) = asked;
        signups::update(tx, locked, &signup)?;
    }
    Ok(())
}

/// "I still come": to a changed run, as one of two, or the day before.
pub fn reconfirm(tx: &mut Tx<'_>, person: Id, signup: Id, now: Instant) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    accounts::lock(tx, person)?;
    let locked = runs::lock(tx, found.run_id)?;
    let mut signup = signups::get(tx, signup)?;
    if signup.status != SignupStatus::Confirmed {
        return Err(Code::SignupNotLive.into());
    }
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    if signup.reconfirm_by.is_some_and(|until| until <= now) {
        return Err(Code::ReconfirmTooLate.into());
    }
    // Whoever was missing is asked the day before: a yes of weeks before says no more than the sign-up did.
    let is_early = now < Moment::DayBefore.due_at(locked.run.starts_at, &locked.run.time_zone);
    let due = signup.reconfirm_by.filter(|_| is_early && signup.reconfirm_reason == Some(ReconfirmReason::Absences));
    signup.is_asked_nothing();
    if due.is_some() {
        (signup.reconfirm_by, signup.reconfirm_reason) = (due, Some(ReconfirmReason::Absences));
    }
    signup.reconfirmed_at = Some(now);
    signup.updated_at = now;
    signups::update(tx, &locked, &signup)?;
    Ok(signup)
}

/// Releases the places of those who were asked and have not said that they come; each is told kindly.
pub fn release_overdue(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    if locked.run.starts_at <= now {
        return Ok(false);
    }
    let mut released = false;
    let was_asked = runs::reminded(tx, run, locked.run.starts_at)?.contains(&Moment::DayBefore.to_string());
    for mut signup in signups::of_run(tx, run, &[SignupStatus::Confirmed])? {
        if signup.reconfirm_by.is_some_and(|until| until <= now) {
            // It was corrected, or nobody came to ask: then silence says nothing.
            let is_void = signup.reconfirm_reason == Some(ReconfirmReason::Absences)
                && (!was_asked || !was_missing(tx, &[signup.account_id], now)?.contains(&signup.account_id));
            if is_void {
                (signup.reconfirm_by, signup.reconfirm_reason) = (None, None);
                signups::update(tx, &locked, &signup)?;
                continue;
            }
            places::move_signup(tx, &locked, &mut signup, SignupAct::Expire, Who::House, now)?;
            extra_places::end_of_signup(tx, signup.id, now)?;
            notices::about_signup(tx, &signup, Notice::PlaceReleased { signup_id: signup.id }, now)?;
            released = true;
        }
    }
    if released {
        super::after_somebody_left(tx, &mut locked, policy, now)?;
    }
    Ok(released)
}
