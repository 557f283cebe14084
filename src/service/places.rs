//! Places: how many a run has, who holds them, and who is next. Whatever seats somebody happens under the run's lock.
//!
//! [`settle`] is called after every act on a run and by the clock: it takes back offers that nobody answered and passes
//! free places on. It offers and never confirms, so the run's lock is enough: whoever bans, bars or blocks somebody
//! writes that first and locks this run afterwards, so either it is seen here or the place is taken back there; and
//! whoever says yes to an offer is looked at again, under their own lock.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        offer::{self, OfferRules, Way},
        run::{JoinPolicy, ListingRole, ListingStatus, RunStatus},
        signup::{self, Actor, Places, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{alerts, entry, notices},
    store::{
        Conn, Tx, extra_places, facilitators,
        outbox::{self, Promise},
        runs::{self, Run, RunLocked},
        shared_needs,
        signups::{self, Signup},
        yeses,
    },
};

/// The places of these runs at `now`.
pub fn of_runs(conn: &mut Conn, runs: &[Run], policy: &Policy, now: Instant) -> Result<BTreeMap<Id, Places>> {
    let ids: Vec<Id> = runs.iter().map(|run| run.id).collect();
    let counts = signups::counts(conn, &ids)?;
    let extra = extra_places::counts(conn, &ids, now)?;
    let listings = facilitators::listings(conn, &ids)?;
    let leading: Vec<(Id, Id)> = listings
        .iter()
        .filter(|listing| listing.status == ListingStatus::Accepted && listing.role == ListingRole::Leader)
        .map(|listing| (listing.run_id, listing.account_id))
        .collect();
    let people: Vec<Id> = leading.iter().map(|(_, account)| *account).collect::<BTreeSet<_>>().into_iter().collect();
    let good = facilitators::in_good_standing(conn, &people, now)?;
    let mut active: BTreeMap<Id, i64> = BTreeMap::new();
    for (run, account) in leading {
        if good.contains(&account) {
            *active.entry(run).or_default() += 1;
        }
    }
    let none = BTreeMap::new();
    Ok(runs
        .iter()
        .map(|run| {
            let by_status = counts.get(&run.id).unwrap_or(&none);
            let count = |wanted: &dyn Fn(SignupStatus, bool) -> bool| {
                by_status.iter().filter(|((status, new), _)| wanted(*status, *new)).map(|(_, n)| n).sum::<i64>()
            };
            let newcomers_in = count(&|status, is_new| is_new && SignupStatus::HOLDING.contains(&status));
            let holding = count(&|status, _| SignupStatus::HOLDING.contains(&status));
            let places = Places {
                places: signup::places(
                    run.capacity,
                    policy.facilitator_ratio,
                    active.get(&run.id).copied().unwrap_or(0),
                ),
                held: holding + extra.get(&run.id).copied().unwrap_or(0),
                waiting: count(&|status, _| status == SignupStatus::Waitlisted),
                offered: count(&|status, _| status == SignupStatus::Offered),
                kept_for_newcomers: kept_for_newcomers(run, newcomers_in, policy, now),
                by_approval: run.join_policy == JoinPolicy::Approval,
            };
            (run.id, places)
        })
        .collect())
}

fn kept_for_newcomers(run: &Run, newcomers_in: i64, policy: &Policy, now: Instant) -> i64 {
    if now >= run.starts_at.plus_hours(-policy.newcomer_places_until_hours) {
        return 0;
    }
    (i64::from(run.newcomer_places.unwrap_or(0)) - newcomers_in).max(0)
}

/// The places of one run under its lock.
pub fn of_locked(tx: &mut Tx<'_>, locked: &RunLocked, policy: &Policy, now: Instant) -> Result<Places> {
    of_runs(tx, std::slice::from_ref(&locked.run), policy, now)?
        .remove(&locked.run.id)
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("a locked run without places")))
}

/// Moves a sign-up by the one table.
///
/// # Errors
/// Not live when the table has no such way.
pub fn move_signup(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    signup: &mut Signup,
    act: SignupAct,
    actor: Actor,
    now: Instant,
) -> Result<()> {
    let to = signup::next(signup.status, act, actor).ok_or(crate::domain::refusal::Code::SignupNotLive)?;
    if to == SignupStatus::Confirmed && signup.status != SignupStatus::Attended {
        signup.confirmed_at = Some(now);
    }
    if to != SignupStatus::Offered {
        // Whoever waits again after an offer keeps when it ended: a late yes is told so.
        signup.offer_expires_at =
            signup.offer_expires_at.map(|until| until.min(now)).filter(|_| to == SignupStatus::Waitlisted);
    }
    if to != SignupStatus::Waitlisted {
        signup.let_go = 0;
    }
    if !to.is_live() || to == SignupStatus::Attended {
        signup.clear_pending_confirmation();
    }
    if !to.is_live() {
        yeses::forget(tx, signup.run_id, signup.account_id)?;
    }
    // Who is marked as missing may have come all the same.
    if !to.is_live() && to != SignupStatus::NoShow {
        shared_needs::forget(tx, signup.id)?;
    }
    // A place that nobody holds any more, or a line that got shorter: with the last in line gone, what is left is open.
    let was_in_the_way = SignupStatus::HOLDING.contains(&signup.status) || signup.status == SignupStatus::Waitlisted;
    let gives_way = was_in_the_way && !SignupStatus::HOLDING.contains(&to);
    signup.status = to;
    signup.updated_at = now;
    signups::update(tx, locked, signup)?;
    // Where somebody waits they come first: the run is full for everybody else.
    if gives_way { alerts::enqueue_alert_scan(tx, &[&locked.run], now) } else { Ok(()) }
}

/// The rules of the house about offers.
pub fn offer_rules(policy: &Policy) -> OfferRules {
    OfferRules {
        long_until_hours: policy.long_offer_until_hours,
        long_hours: policy.long_offer_hours,
        short_hours: policy.short_offer_hours,
        first_yes_hours: policy.first_yes_hours,
        cut_off_minutes: policy.cut_off_minutes,
    }
}

/// How a free place of this run is passed on now.
pub fn way(run: &Run, policy: &Policy, now: Instant) -> Way {
    offer::way(now, run.starts_at, &run.time_zone, &offer_rules(policy))
}

/// Until when people are asked about a run at all.
pub fn cut_off(run: &Run, policy: &Policy) -> Instant {
    run.starts_at.plus_minutes(-policy.cut_off_minutes)
}

/// Takes back offers that nobody answered, passes free places on, and gives the places that are then left.
pub fn settle(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<Places> {
    let goes_on = locked.run.status == RunStatus::Published && locked.run.starts_at > now;
    let mut room = of_locked(tx, locked, policy, now)?;
    if !goes_on {
        return Ok(room);
    }
    if room.offered > 0 && lapse_overdue(tx, locked, policy, now)? {
        room = of_locked(tx, locked, policy, now)?;
    }
    if locked.run.closed_at.is_some() {
        // Nobody new gets in: what is free is for those who walk in.
        return Ok(room);
    }
    if room.left() > 0 && room.waiting > 0 {
        match way(&locked.run, policy, now) {
            Way::Held(until) => room = offer_free_places(tx, locked, room, until, now)?,
            Way::FirstYes { mail_at } => announce_free_places(tx, locked, room, mail_at, now)?,
            Way::TooLate => {}
        }
    }
    remember_announced(tx, locked, room)?;
    if room.waiting > 0 {
        forget_what_was_let_go(tx, locked, room)?;
    }
    Ok(room)
}

/// Offers whose time is over go back to the line, at its end; the person is told once, without blame. Says whether there
/// were some.
fn lapse_overdue(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<bool> {
    let mut lapsed = false;
    for mut signup in signups::of_run(tx, locked.run.id, &[SignupStatus::Offered])? {
        if signup.offer_expires_at.is_some_and(|until| until > now) {
            continue;
        }
        to_the_end_of_the_line(tx, locked, &mut signup, SignupAct::Lapse, Actor::System, policy, now)?;
        notices::about_signup(tx, &signup, Notice::OfferLapsed { signup_id: signup.id }, now)?;
        lapsed = true;
    }
    Ok(lapsed)
}

/// Puts somebody who let an offer go at the end of the line; what is free now is not offered to them again, until
/// another place becomes free.
pub fn to_the_end_of_the_line(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    signup: &mut Signup,
    act: SignupAct,
    actor: Actor,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    signup.queue_no = runs::next_queue_no(tx, locked)?;
    move_signup(tx, locked, signup, act, actor, now)?;
    let left = of_locked(tx, locked, policy, now)?.left_for(signup.new_to_group);
    signup.let_go = i32::try_from(left).unwrap_or(i32::MAX);
    signups::update(tx, locked, signup)
}

/// Whether one of the free places can be this person's: not one that they let go.
fn has_a_place_for(room: Places, signup: &Signup) -> bool {
    // Whoever has yet to say yes to a run that was moved far is asked that first.
    !signup.awaits_yes_to_a_change() && room.left_for(signup.new_to_group) > i64::from(signup.let_go)
}

fn offer_free_places(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    mut room: Places,
    until: Instant,
    now: Instant,
) -> Result<Places> {
    for mut signup in signups::of_run(tx, locked.run.id, &[SignupStatus::Waitlisted])? {
        if room.left() == 0 {
            break;
        }
        if !has_a_place_for(room, &signup) || entry::is_closed_to(tx, signup.account_id, locked.run.id, now)? {
            continue;
        }
        move_signup(tx, locked, &mut signup, SignupAct::Offer, Actor::System, now)?;
        signup.offer_expires_at = Some(until);
        signups::update(tx, locked, &signup)?;
        notices::about_signup(tx, &signup, Notice::PlaceOffered { signup_id: signup.id }, now)?;
        let (waiting, offered) = (room.waiting - 1, room.offered + 1);
        room = Places { waiting, offered, ..room.with_one_more(signup.new_to_group) };
    }
    Ok(room)
}

/// Tells all who wait, and can come at short notice, that the first yes has the place; once for each place.
fn announce_free_places(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    room: Places,
    mail_at: Instant,
    now: Instant,
) -> Result<()> {
    if room.left() <= i64::from(locked.run.announced_left) {
        return Ok(());
    }
    for signup in signups::of_run(tx, locked.run.id, &[SignupStatus::Waitlisted])? {
        let wanted = signup.short_notice && has_a_place_for(room, &signup);
        if !wanted || entry::is_closed_to(tx, signup.account_id, locked.run.id, now)? {
            continue;
        }
        let notice = Notice::PlaceFree { signup_id: signup.id };
        let promise = Promise::new(signup.account_id, notice).of_signup(&signup).not_before(mail_at);
        outbox::promise(tx, promise, now)?;
    }
    Ok(())
}

fn remember_announced(tx: &mut Tx<'_>, locked: &mut RunLocked, room: Places) -> Result<()> {
    let left = if room.waiting > 0 { i32::try_from(room.left()).unwrap_or(i32::MAX) } else { 0 };
    if left != locked.run.announced_left {
        locked.run.announced_left = left;
        runs::note_announced(tx, locked)?;
    }
    Ok(())
}

/// A place that somebody let go and that is taken now is no longer held against them.
fn forget_what_was_let_go(tx: &mut Tx<'_>, locked: &RunLocked, room: Places) -> Result<()> {
    for mut signup in signups::of_run(tx, locked.run.id, &[SignupStatus::Waitlisted])? {
        let left = i32::try_from(room.left_for(signup.new_to_group)).unwrap_or(i32::MAX);
        if signup.let_go > left {
            signup.let_go = left;
            signups::update(tx, locked, &signup)?;
        }
    }
    Ok(())
}
