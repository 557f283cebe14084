//! One participant with one facilitator: only with a fresh yes from both.
//!
//! A run is looked at a day and three hours before it starts and whenever somebody leaves after that. Where only two
//! are left, both are asked; without both yeses when its list is closed it is called off, and nobody signs up to be alone
//! from then on. Promise 3.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        refusal::Code,
        run::{CancelReason, RunStatus},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{places, runs::calling_off},
    store::{
        Conn, Tx, accounts, extra_places, facilitators,
        outbox::{self, Promise},
        runs::{self, Run, RunLocked},
        signups::{self, Signup},
    },
};

/// From how many hours before the start it is looked at.
const FROM_HOURS: i64 = 24;
/// How many hours before the start whoever has not answered is asked again.
const AGAIN_HOURS: i64 = 3;

/// The two who would be alone, where it is so.
fn two_of(conn: &mut Conn, run: &Run, now: Instant) -> Result<Option<(Signup, Id)>> {
    let mut confirmed = signups::of_run(conn, run.id, &[SignupStatus::Confirmed, SignupStatus::Attended])?;
    // A place that is kept for a friend is nobody yet.
    let with_others = extra_places::guests(conn, &[run.id])?.contains_key(&run.id);
    if confirmed.len() != 1 || with_others {
        return Ok(None);
    }
    let leaders = facilitators::active_on(conn, run.id, now)?;
    // With a back marker they are three.
    let with_them = facilitators::accompanying(conn, run.id, now)?;
    Ok(match (confirmed.pop(), leaders.as_slice()) {
        (Some(signup), [leader]) if with_them == leaders => Some((signup, *leader)),
        _ => None,
    })
}

/// Refuses to make two out of a run after its list is closed, when nobody can be asked any more. Called where somebody was
/// just seated, in that transaction.
///
/// # Errors
/// [`Code::TooFewThisTime`].
pub fn nobody_alone_too_late(conn: &mut Conn, run: &Run, policy: &Policy, now: Instant) -> Result<()> {
    if now >= places::cut_off(run, policy) && two_of(conn, run, now)?.is_some() {
        return Err(Code::TooFewThisTime.into());
    }
    Ok(())
}

/// Runs of the next day to which one person comes, or whose two were asked and may be more by now.
pub fn to_look_at(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let soon = runs::starting_between(conn, &[RunStatus::Published], now, now.plus_hours(FROM_HOURS))?;
    let mut due = Vec::new();
    for some in soon.chunks(1000) {
        let ids: Vec<Id> = some.iter().map(|run| run.id).collect();
        let confirmed = signups::confirmed_on(conn, &ids)?;
        let is_due = |run: &&Run| {
            run.asked_one_to_one_at.is_some() || confirmed.get(&run.id).is_some_and(|people| people.len() == 1)
        };
        due.extend(some.iter().filter(is_due).map(|run| run.id));
    }
    Ok(due)
}

/// Looks at a run under its lock: asks the two, or calls the run off when they were asked in vain. Says whether it did
/// something.
pub fn look(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<bool> {
    let run = &locked.run;
    let soon = run.starts_at > now && run.starts_at <= now.plus_hours(FROM_HOURS);
    if run.status != RunStatus::Published || !soon {
        return Ok(false);
    }
    let Some((signup, leader)) = two_of(tx, run, now)? else {
        let was_asked = run.asked_one_to_one_at.is_some();
        if was_asked {
            locked.run.asked_one_to_one_at = None;
            runs::update(tx, locked)?;
        }
        return Ok(was_asked);
    };
    let asked_at = run.asked_one_to_one_at;
    let both = asked_at.is_some_and(|asked| said_yes(&signup, asked)) && leader_said_yes(tx, run, leader, asked_at)?;
    if both {
        return Ok(false);
    }
    if now >= places::cut_off(run, policy) {
        calling_off::call_off(tx, locked, None, CancelReason::TooFew, None, now)?;
        return Ok(true);
    }
    let id = run.id;
    let asked = match asked_at {
        Some(asked) => asked,
        None => {
            locked.run.asked_one_to_one_at = Some(now);
            runs::update(tx, locked)?;
            now
        }
    };
    let again = now >= locked.run.starts_at.plus_hours(-AGAIN_HOURS);
    let mut promised = asked_at.is_none();
    for (to, notice, answered) in [
        (signup.account_id, Notice::AskedToRunAsTwo { signup_id: signup.id }, said_yes(&signup, asked)),
        (leader, Notice::AskedToLeadOne { run_id: id }, leader_said_yes(tx, &locked.run, leader, Some(asked))?),
    ] {
        if answered {
            continue;
        }
        let key = format!("two:{id}:{to}:{asked}:{again}");
        promised |= outbox::promise(tx, Promise::new(to, notice).of_run(id).once(key), now)?;
    }
    Ok(promised)
}

/// Whoever was checked in stands there.
fn said_yes(signup: &Signup, asked: Instant) -> bool {
    signup.status == SignupStatus::Attended || signup.reconfirmed_at.is_some_and(|at| at >= asked)
}

fn leader_said_yes(conn: &mut Conn, run: &Run, leader: Id, asked: Option<Instant>) -> Result<bool> {
    let listing = facilitators::find_listing(conn, run.id, leader)?;
    Ok(asked.is_some_and(|asked| listing.and_then(|l| l.yes_at).is_some_and(|at| at >= asked)))
}

/// A facilitator's yes to running with one person.
///
/// # Errors
/// Not found for whoever is not listed; [`Code::RunStarted`] once it has begun.
pub fn say_yes(tx: &mut Tx<'_>, account: Id, run: Id, now: Instant) -> Result<()> {
    accounts::lock(tx, account)?;
    let locked = runs::lock(tx, run)?;
    let mut listing = facilitators::find_listing(tx, run, account)?.ok_or(Error::NotFound)?;
    if !facilitators::active_on(tx, run, now)?.contains(&account) {
        return Err(Code::NotInGoodStanding.into());
    }
    if locked.run.status == RunStatus::Cancelled {
        return Err(Code::RunCancelled.into());
    }
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    listing.yes_at = Some(now);
    facilitators::put_listing(tx, &listing)
}
