//! Saying yes or no to a place that became free.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Instead, Locked, goes_on, open_for_signups, reconfirming};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        offer::Way,
        refusal::Code,
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, entry, notices, one_to_one, places},
    store::{
        Tx, accounts, runs,
        signups::{self, Signup},
    },
};

/// The body of `POST /signups/{id}/accept`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The token of the link in the mail, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
    /// Leave a confirmed run at the same time for this one, in one step.
    #[serde(default)]
    pub swap: bool,
    /// Leave the lines of other runs at the same time.
    #[serde(default)]
    pub leave_overlapping: bool,
}

/// Takes an offered place, or a free one in the hours in which the first yes has it.
///
/// # Errors
/// [`Code::OfferExpired`] after its time, [`Code::NoOffer`] where there was none, [`Code::PlaceTaken`] when somebody's
/// yes came first, [`Code::OverlappingRun`], [`Code::TooFewThisTime`].
pub fn accept(
    tx: &mut Tx<'_>,
    person: Id,
    signup: Id,
    instead: Instead,
    policy: &Policy,
    now: Instant,
) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    let active = callers::lock_active(tx, person, now)?;
    let mut locked = Locked::for_person(tx, person, found.run_id, instead, now)?;
    let mut signup = signups::get(tx, signup)?;
    if matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Attended) {
        return Ok(signup);
    }
    if !matches!(signup.status, SignupStatus::Offered | SignupStatus::Waitlisted) {
        return Err(Code::SignupNotLive.into());
    }
    match signup.status {
        // What was offered before the run was closed stands.
        SignupStatus::Offered => goes_on(&locked.run.run, now)?,
        _ => open_for_signups(&locked.run.run, now)?,
    }
    let earlier = signups::of_person_in_run(tx, person, found.run_id)?;
    entry::active_may_come(tx, &active, found.run_id, &earlier, now)?;
    match signup.status {
        SignupStatus::Offered if signup.offer_expires_at.is_none_or(|until| until <= now) => {
            return Err(Code::OfferExpired.into());
        }
        SignupStatus::Waitlisted => first_yes(tx, &mut locked, &signup, policy, now)?,
        _ => {}
    }
    locked.ensure_no_overlap(tx, person)?;
    // Taking the place is a yes to the run as it is.
    signup.clear_pending_confirmation();
    reconfirming::ask_whoever_was_missing(tx, &mut signup, &locked.run.run, policy, now)?;
    places::move_signup(tx, &locked.run, &mut signup, SignupAct::Accept, Actor::Person, now)?;
    notices::about_signup(tx, &signup, Notice::SignupConfirmed { signup_id: signup.id }, now)?;
    locked.leave_the_others(tx, policy, now)?;
    places::settle(tx, &mut locked.run, policy, now)?;
    one_to_one::ensure_group_size(tx, &locked.run.run, policy, now)?;
    Ok(signup)
}

/// Whether somebody who waits may have a free place now.
fn first_yes(tx: &mut Tx<'_>, locked: &mut Locked, signup: &Signup, policy: &Policy, now: Instant) -> Result<()> {
    if let Way::Held(_) = places::way(&locked.run.run, policy, now) {
        return Err(if signup.offer_expires_at.is_some() { Code::OfferExpired } else { Code::NoOffer }.into());
    }
    let room = places::settle(tx, &mut locked.run, policy, now)?;
    if room.left_for(signup.new_to_group) > 0 { Ok(()) } else { Err(Code::PlaceTaken.into()) }
}

/// Lets an offered place go: it costs nothing, the person waits on at the end of the line.
pub fn decline_offer(tx: &mut Tx<'_>, person: Id, signup: Id, policy: &Policy, now: Instant) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    accounts::lock(tx, person)?;
    let mut locked = runs::lock(tx, found.run_id)?;
    let mut signup = signups::get(tx, signup)?;
    if signup.status == SignupStatus::Waitlisted && signup.offer_expires_at.is_some() {
        return Ok(signup);
    }
    if signup.status != SignupStatus::Offered {
        return Err(if signup.status.is_live() { Code::NoOffer } else { Code::SignupNotLive }.into());
    }
    let act = SignupAct::DeclineOffer;
    places::to_the_end_of_the_line(tx, &mut locked, &mut signup, act, Actor::Person, policy, now)?;
    places::settle(tx, &mut locked, policy, now)?;
    signups::get(tx, signup.id)
}
