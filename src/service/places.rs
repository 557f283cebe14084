//! Places: how many a run has, who holds them, and who is next. Whatever seats somebody happens under the run's lock.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clock::Instant,
    domain::{
        run::{JoinPolicy, ListingStatus, RunStatus},
        signup::{self, Places, SignupAct, SignupStatus, Who},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::notices,
    store::{
        Conn, Tx, facilitators, moderation,
        runs::{Run, RunLocked},
        signups::{self, Signup},
    },
};

/// The places of these runs at `now`.
pub fn of_runs(conn: &mut Conn, runs: &[Run], ratio: i32, now: Instant) -> Result<BTreeMap<Id, Places>> {
    let ids: Vec<Id> = runs.iter().map(|run| run.id).collect();
    let counts = signups::counts(conn, &ids)?;
    let listings = facilitators::listings(conn, &ids)?;
    let accepted: Vec<(Id, Id)> = listings
        .iter()
        .filter(|listing| listing.status == ListingStatus::Accepted)
        .map(|listing| (listing.run_id, listing.account_id))
        .collect();
    let people: Vec<Id> = accepted.iter().map(|(_, account)| *account).collect::<BTreeSet<_>>().into_iter().collect();
    let good = facilitators::in_good_standing(conn, &people, now)?;
    let mut active: BTreeMap<Id, i64> = BTreeMap::new();
    for (run, account) in accepted {
        if good.contains(&account) {
            *active.entry(run).or_default() += 1;
        }
    }
    let none = BTreeMap::new();
    Ok(runs
        .iter()
        .map(|run| {
            let by_status = counts.get(&run.id).unwrap_or(&none);
            let count = |statuses: &[SignupStatus]| statuses.iter().filter_map(|s| by_status.get(s)).sum::<i64>();
            let places = Places {
                places: signup::places(run.capacity, ratio, active.get(&run.id).copied().unwrap_or(0)),
                held: count(&SignupStatus::HOLDING),
                waiting: count(&[SignupStatus::Waitlisted]),
                by_approval: run.join_policy == JoinPolicy::Approval,
            };
            (run.id, places)
        })
        .collect())
}

/// The places of one run under its lock.
pub fn of_locked(tx: &mut Tx<'_>, locked: &RunLocked, ratio: i32, now: Instant) -> Result<Places> {
    of_runs(tx, std::slice::from_ref(&locked.run), ratio, now)?
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
    who: Who,
    now: Instant,
) -> Result<()> {
    let to = signup::next(signup.status, act, who).ok_or(crate::domain::refusal::Code::SignupNotLive)?;
    signup.status = to;
    signup.updated_at = now;
    if to == SignupStatus::Confirmed {
        signup.confirmed_at = Some(now);
    }
    signups::update(tx, locked, signup)
}

/// Gives free places to those who wait, first come first, passing over whoever may not come now; each is mailed.
///
/// Only the run is locked here. That is enough: whoever bans or bars somebody writes that first and locks this run
/// afterwards, so either it is seen here or the place is taken back there.
pub fn promote(tx: &mut Tx<'_>, locked: &RunLocked, ratio: i32, now: Instant) -> Result<usize> {
    if locked.run.status != RunStatus::Published || locked.run.starts_at <= now {
        return Ok(0);
    }
    let mut free = of_locked(tx, locked, ratio, now)?.to_promote();
    if free == 0 {
        return Ok(0);
    }
    let mut promoted = 0;
    let waiting = signups::of_run(tx, locked.run.id, &[SignupStatus::Waitlisted])?;
    let people: Vec<Id> = waiting.iter().map(|signup| signup.account_id).collect();
    let kept_out = moderation::kept_out(tx, &people, crate::domain::moderation::SanctionScope::Site, now)?;
    for mut signup in waiting {
        if free == 0 {
            break;
        }
        let barred = moderation::is_barred_from(tx, signup.account_id, locked.run.id, now)?;
        if kept_out.contains(&signup.account_id) || barred {
            continue;
        }
        move_signup(tx, locked, &mut signup, SignupAct::Promote, Who::House, now)?;
        notices::about_signup(tx, &signup, Notice::SignupPromoted { signup_id: signup.id }, now)?;
        free -= 1;
        promoted += 1;
    }
    Ok(promoted)
}
