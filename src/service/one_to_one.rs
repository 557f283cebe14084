//! One participant with one facilitator: only with a fresh yes from both.
//!
//! A run is looked at a day and three hours before it starts and whenever somebody leaves after that. Where only two
//! are left, both are asked; without both yeses when its list is closed it is called off, and nobody signs up to be alone
//! from then on. Promise 3. A yes holds for the start, the place and the partner that it was given for (`domain::question`):
//! it outlives a third person who joins and leaves again, but neither another partner nor a run that is moved.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        question::ComingQuestion,
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
        sessions::Link,
        signups::{self, Signup},
        yeses,
    },
};

/// From how many hours before the start it is looked at.
const FROM_HOURS: i64 = 24;
/// How many hours before the start whoever has not answered is asked again.
const AGAIN_HOURS: i64 = 3;

/// One participant and one facilitator who would be alone with each other.
struct Two {
    signup: Signup,
    leader: Id,
}

impl Two {
    fn partner_of(&self, account: Id) -> Option<Id> {
        match account {
            one if one == self.signup.account_id => Some(self.leader),
            one if one == self.leader => Some(self.signup.account_id),
            _ => None,
        }
    }

    /// Somebody who was checked in stands there.
    fn participant_said_yes(&self, conn: &mut Conn, run: &Run) -> Result<bool> {
        let is_there = self.signup.status == SignupStatus::Attended;
        Ok(is_there || said_yes(conn, run, self.signup.account_id, self.leader)?)
    }

    fn leader_said_yes(&self, conn: &mut Conn, run: &Run) -> Result<bool> {
        said_yes(conn, run, self.leader, self.signup.account_id)
    }
}

/// The two who would be alone, where it is so.
fn two_of(conn: &mut Conn, run: &Run, now: Instant) -> Result<Option<Two>> {
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
        (Some(signup), [leader]) if with_them == leaders => Some(Two { signup, leader: *leader }),
        _ => None,
    })
}

/// Refuses to make two out of a run after its list is closed, when nobody can be asked any more. Called where somebody was
/// just seated, in that transaction.
///
/// # Errors
/// [`Code::TooFewThisTime`].
pub fn ensure_group_size(conn: &mut Conn, run: &Run, policy: &Policy, now: Instant) -> Result<()> {
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
    if !is_time_to_ask(&locked.run, now) {
        return Ok(false);
    }
    let Some(two) = two_of(tx, &locked.run, now)? else {
        let was_asked = locked.run.asked_one_to_one_at.take().is_some();
        if was_asked {
            runs::update(tx, locked)?;
        }
        return Ok(was_asked);
    };
    let (participant, leader) = (two.participant_said_yes(tx, &locked.run)?, two.leader_said_yes(tx, &locked.run)?);
    if participant && leader {
        return Ok(false);
    }
    if now >= places::cut_off(&locked.run, policy) {
        calling_off::call_off(tx, locked, None, CancelReason::TooFew, None, now)?;
        return Ok(true);
    }
    let (id, before) = (locked.run.id, locked.run.asked_one_to_one_at);
    let asked = before.unwrap_or(now);
    if before.is_none() {
        locked.run.asked_one_to_one_at = Some(now);
        runs::update(tx, locked)?;
    }
    let again = now >= locked.run.starts_at.plus_hours(-AGAIN_HOURS);
    let mut promised = before.is_none();
    for (to, notice, answered) in [
        (two.signup.account_id, Notice::AskedToRunAsTwo { signup_id: two.signup.id }, participant),
        (two.leader, Notice::AskedToLeadOne { run_id: id }, leader),
    ] {
        if answered {
            continue;
        }
        // Another partner, start or place is another question.
        let (with, terms) = (two.partner_of(to).unwrap_or(to), locked.run.terms(None));
        let key =
            format!("two:{id}:{to}:{with}:{}:{},{}:{asked}:{again}", terms.starts_at, terms.point.lat, terms.point.lng);
        promised |= outbox::promise(tx, Promise::new(to, notice).of_run(id).once(key), now)?;
    }
    Ok(promised)
}

fn is_time_to_ask(run: &Run, now: Instant) -> bool {
    run.status == RunStatus::Published && run.starts_at > now && run.starts_at <= now.plus_hours(FROM_HOURS)
}

/// With whom this person would be alone on a run, where both are asked about that now or have answered.
pub fn partner_of(conn: &mut Conn, run: &Run, account: Id, now: Instant) -> Result<Option<Id>> {
    if !is_time_to_ask(run, now) {
        return Ok(None);
    }
    Ok(two_of(conn, run, now)?.and_then(|two| two.partner_of(account)))
}

/// Whether somebody has said yes to running with this partner alone, at the run's present start and place.
pub fn said_yes(conn: &mut Conn, run: &Run, account: Id, partner: Id) -> Result<bool> {
    let yes = yeses::find(conn, run.id, account, ComingQuestion::AsTwo)?;
    Ok(yes.is_some_and(|yes| yes.terms().hold_for(&run.terms(Some(partner)), &run.time_zone)))
}

/// Keeps a yes to running as two, under the run's lock; `link` says whom its mail named. Says whether there was a question:
/// where there is none, nothing is kept.
///
/// # Errors
/// [`Code::LinkOutdated`] for a yes to another partner than the one who comes now.
pub fn keep_yes(tx: &mut Tx<'_>, locked: &RunLocked, account: Id, link: Option<&Link>, now: Instant) -> Result<bool> {
    let Some(partner) = partner_of(tx, &locked.run, account, now)? else { return Ok(false) };
    let terms = match link {
        Some(link) => link.terms().ok_or(Code::LinkOutdated)?,
        None => locked.run.terms(Some(partner)),
    };
    if !terms.hold_for(&locked.run.terms(Some(partner)), &locked.run.time_zone) {
        return Err(Code::LinkOutdated.into());
    }
    yeses::put(tx, locked, account, ComingQuestion::AsTwo, &terms, now)?;
    Ok(true)
}

/// A facilitator's yes to running with the one person who comes. Without a link it does nothing where nobody asks.
///
/// # Errors
/// Not found for whoever is not listed; [`Code::RunStarted`] once it has begun; [`Code::NotAsked`] for a link whose question
/// is settled.
pub fn say_yes(tx: &mut Tx<'_>, account: Id, run: Id, link: Option<&Link>, now: Instant) -> Result<()> {
    accounts::lock(tx, account)?;
    let locked = runs::lock(tx, run)?;
    facilitators::find_listing(tx, run, account)?.ok_or(Error::NotFound)?;
    if !facilitators::active_on(tx, run, now)?.contains(&account) {
        return Err(Code::NotInGoodStanding.into());
    }
    if locked.run.status == RunStatus::Cancelled {
        return Err(Code::RunCancelled.into());
    }
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    let kept = keep_yes(tx, &locked, account, link, now)?;
    if !kept && link.is_some() { Err(Code::NotAsked.into()) } else { Ok(()) }
}
