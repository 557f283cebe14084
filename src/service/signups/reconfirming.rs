//! Being asked to say again that one comes: after a far change of the run, and after two silent absences.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        refusal::Code,
        signup::{ReconfirmReason, SignupAct, SignupStatus, Who},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{notices, places},
    store::{
        Conn, Tx, accounts, extra_places, runs,
        runs::Run,
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
    // Whoever signs up within the last day has just said that they come.
    if run.starts_at <= now.plus_hours(24) {
        return Ok(());
    }
    if signups::silent_absences(conn, signup.account_id, now.plus_days(-ABSENCE_DAYS))? >= ABSENCES {
        signup.reconfirm_by = Some(run.starts_at.plus_hours(-policy.reconfirm_until_hours));
        signup.reconfirm_reason = Some(ReconfirmReason::Absences);
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
    (signup.reconfirm_by, signup.reconfirm_reason, signup.change_asked_at) = (None, None, None);
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
    for mut signup in signups::of_run(tx, run, &[SignupStatus::Confirmed])? {
        if signup.reconfirm_by.is_some_and(|until| until <= now) {
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
