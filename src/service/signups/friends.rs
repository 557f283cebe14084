//! Bringing a friend: one more place, kept for a while by somebody with a place, and taken by whoever signs up first with
//! its link. It is kept only of what is free, so that nobody who waits is overtaken, and never beyond the cut-off.

use super::open_for_signups;
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        offer::Way,
        refusal::Code,
        run::RunStatus,
        signup::{Places, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    service::{alerts, places},
    store::{
        Conn, Tx, accounts,
        extra_places::{self, FriendPlace},
        runs::{self, Run, RunLocked},
        signups::{self, Signup},
    },
};

/// Keeps a place for a friend of somebody who has one; the flag says whether it is new.
///
/// # Errors
/// [`Code::FriendAlreadyComes`], [`Code::FriendPlaceNotFree`], and what a closed run says.
pub fn keep_place(
    tx: &mut Tx<'_>,
    person: Id,
    signup: Id,
    policy: &Policy,
    now: Instant,
) -> Result<(FriendPlace, bool)> {
    let (mut locked, signup) = own(tx, person, signup)?;
    if signup.status != SignupStatus::Confirmed {
        return Err(Code::SignupNotLive.into());
    }
    open_for_signups(&locked.run, now)?;
    for known in extra_places::of_signup(tx, signup.id)? {
        if known.waits(now) {
            return Ok((known, false));
        }
        if let Some(friend) = known.used_by
            && signups::find(tx, friend)?.is_some_and(|friend| friend.status.is_live())
        {
            return Err(Code::FriendAlreadyComes.into());
        }
    }
    let room = places::settle(tx, &mut locked, policy, now)?;
    let cut_off = places::cut_off(&locked.run, policy);
    let somebody_is_asked = room.waiting > 0 && !matches!(places::way(&locked.run, policy, now), Way::Held(_));
    if now >= cut_off || room.left_for(true) == 0 || somebody_is_asked {
        return Err(Code::FriendPlaceNotFree.into());
    }
    let place = FriendPlace {
        id: Id::at(now),
        run_id: locked.run.id,
        signup_id: signup.id,
        expires_at: now.plus_hours(policy.friend_hours).min(cut_off),
        created_at: now,
        used_by: None,
        ended_at: None,
    };
    extra_places::insert(tx, &locked, &place)?;
    places::settle(tx, &mut locked, policy, now)?;
    Ok((place, true))
}

/// Gives back the place that somebody kept for a friend; what it frees is passed on. A friend who came keeps theirs.
pub fn give_back_place(tx: &mut Tx<'_>, person: Id, signup: Id, policy: &Policy, now: Instant) -> Result<()> {
    let (mut locked, signup) = own(tx, person, signup)?;
    let mut gave_back = false;
    for mut place in extra_places::of_signup(tx, signup.id)? {
        if place.ended_at.is_none() && place.used_by.is_none() {
            place.ended_at = Some(now);
            extra_places::update(tx, &locked, &place)?;
            gave_back = true;
        }
    }
    if gave_back {
        places::settle(tx, &mut locked, policy, now)?;
        alerts::enqueue_alert_scan(tx, &[&locked.run], now)?;
    }
    Ok(())
}

/// Gives back what was kept by or for somebody whose sign-up ended without a place of its own, as a friend's request does.
pub(super) fn end_with_signup(tx: &mut Tx<'_>, locked: &RunLocked, signup: Id, now: Instant) -> Result<()> {
    if extra_places::end_of_signup(tx, signup, now)? {
        alerts::enqueue_alert_scan(tx, &[&locked.run], now)
    } else {
        Ok(())
    }
}

/// Gives back what was kept for too long, and passes it on; says whether there was something.
pub fn end_overdue(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    let ended = extra_places::end_overdue(tx, &locked, now)?;
    if ended {
        places::settle(tx, &mut locked, policy, now)?;
        alerts::enqueue_alert_scan(tx, &[&locked.run], now)?;
    }
    Ok(ended)
}

fn own(tx: &mut Tx<'_>, person: Id, signup: Id) -> Result<(RunLocked, Signup)> {
    let found = signups::find(tx, signup)?.filter(|signup| signup.account_id == person).ok_or(Error::NotFound)?;
    accounts::lock(tx, person)?;
    let locked = runs::lock(tx, found.run_id)?;
    let signup = signups::get(tx, signup)?;
    Ok((locked, signup))
}

/// The run of a place that still waits for its friend, for whoever has the link.
///
/// # Errors
/// Not found once it was taken, given back or has run out.
pub fn look(conn: &mut Conn, place: Id, now: Instant) -> Result<(FriendPlace, Run)> {
    let place = extra_places::find(conn, place)?.filter(|place| place.waits(now)).ok_or(Error::NotFound)?;
    let run = runs::get(conn, place.run_id)?;
    let goes_on = matches!(run.status, RunStatus::Published | RunStatus::Paused) && run.starts_at > now;
    if goes_on { Ok((place, run)) } else { Err(Error::NotFound) }
}

/// The place that somebody signs up with, under the run's lock.
///
/// # Errors
/// [`Code::FriendPlaceGone`] when it is of another run, was taken, given back, or has run out.
pub(super) fn waiting_for(tx: &mut Tx<'_>, place: Option<Id>, locked: &RunLocked, now: Instant) -> Result<FriendPlace> {
    let found = match place {
        Some(id) => extra_places::find(tx, id)?,
        None => None,
    };
    Ok(found.filter(|place| place.run_id == locked.run.id && place.waits(now)).ok_or(Code::FriendPlaceGone)?)
}

/// How a friend's sign-up begins. Where no yes is needed the place is theirs, if the run still has it: its facilitators may
/// have become fewer. A friend who knows the group has none of those that are for newcomers: they wait in line like
/// everybody else, and the place stays kept for another friend.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    place: &mut FriendPlace,
    locked: &RunLocked,
    room: Places,
    new_to_group: bool,
    now: Instant,
) -> Result<SignupAct> {
    if room.by_approval {
        return Ok(SignupAct::Ask);
    }
    let given_back = Places { held: room.held - 1, ..room };
    if given_back.left() == 0 {
        return Err(Code::FriendPlaceGone.into());
    }
    if given_back.left_for(new_to_group) == 0 {
        return Ok(SignupAct::JoinLine);
    }
    end(tx, place, locked, now)?;
    Ok(SignupAct::TakePlace)
}

/// Whether the place that is kept for somebody who asked to come is there; it is theirs from here on.
pub(super) fn take_kept(
    tx: &mut Tx<'_>,
    signup: &Signup,
    locked: &RunLocked,
    policy: &Policy,
    now: Instant,
) -> Result<bool> {
    let Some(mut place) = extra_places::kept_for(tx, signup.id, now)? else { return Ok(false) };
    end(tx, &mut place, locked, now)?;
    Ok(places::of_locked(tx, locked, policy, now)?.left_for(signup.new_to_group) > 0)
}

fn end(tx: &mut Tx<'_>, place: &mut FriendPlace, locked: &RunLocked, now: Instant) -> Result<()> {
    place.ended_at = Some(now);
    extra_places::update(tx, locked, place)
}
