//! What time does by itself: reminders, runs that start, end or stay without a facilitator, and forgetting.
//!
//! Each step is small, in a transaction of its own under the run's lock, and finds nothing to do the second time, so
//! any number of workers may take it.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        reminder::{LOOK_AHEAD_HOURS, Moment},
        run::{MAX_DAYS_AHEAD, RunStatus},
        signup::{SignupAct, SignupStatus, Who},
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{places, runs as leading},
    store::{
        Conn, Db, Tx, accounts, facilitators, idempotency, limits,
        outbox::{self, Promise},
        runs, sessions, signups,
    },
};

/// Hours after its planned end at which a run counts as over.
const COMPLETE_AFTER_HOURS: i64 = 2;

/// Days after which an account that nobody verified is forgotten: its links have long stopped working.
const UNVERIFIED_KEPT_DAYS: i64 = 7;

/// Takes every step that is due at `now`; returns how many there were. A step that fails is logged and left for the
/// next time; it does not hold up the others.
pub fn tick(db: &Db, policy: &Policy, now: Instant) -> Result<usize> {
    let mut done = 0;
    let mut each = |ids: Vec<Id>, step: &dyn Fn(&mut Tx<'_>, Id) -> Result<bool>| {
        for id in ids {
            match db.write_here(|tx| step(tx, id)) {
                Ok(acted) => done += usize::from(acted),
                Err(error) => tracing::warn!(run = %id, error = %error, "a step of the housekeeping has to wait"),
            }
        }
    };
    each(db.read_here(|conn| unled(conn, now))?, &|tx, run| {
        let mut locked = runs::lock(tx, run)?;
        leading::pause_if_unled(tx, &mut locked, policy, now)?;
        Ok(locked.run.status != RunStatus::Published)
    });
    each(db.read_here(|conn| paused(conn, policy, now))?, &|tx, run| leading::end_pause(tx, run, policy, now));
    each(db.read_here(|conn| runs::started_with_open_ends(conn, now))?, &|tx, run| expire(tx, run, now));
    let over = now.plus_hours(-COMPLETE_AFTER_HOURS);
    each(db.read_here(|conn| runs::published_ended_before(conn, over))?, &|tx, run| complete(tx, run, over, now));
    each(db.read_here(|conn| runs::with_people_waiting(conn, now))?, &|tx, run| {
        let locked = runs::lock(tx, run)?;
        Ok(places::promote(tx, &locked, policy.facilitator_ratio, now)? > 0)
    });
    each(db.read_here(|conn| to_remind(conn, now))?, &|tx, run| remind(tx, run, now));
    Ok(done)
}

/// Published runs to come on which nobody is active any more: a credential lapsed, or a decision ended.
fn unled(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let leaders = runs::leaders_of_upcoming(conn, now)?;
    let good = facilitators::in_good_standing(conn, &leaders, now)?;
    let mut suspects = Vec::new();
    for leader in leaders.iter().filter(|leader| !good.contains(leader)) {
        suspects.extend(runs::upcoming_led_by(conn, *leader, now)?);
    }
    suspects.sort_unstable();
    suspects.dedup();
    Ok(suspects)
}

/// Paused runs whose pause may end: by the deadline, or because somebody leads them again.
fn paused(conn: &mut Conn, policy: &Policy, now: Instant) -> Result<Vec<Id>> {
    let deadline = now.plus_hours(policy.take_over_deadline_hours);
    // From the past as well: the worker may have been away when a deadline passed.
    let (from, to) = (now.plus_days(-MAX_DAYS_AHEAD), now.plus_days(MAX_DAYS_AHEAD + 1));
    let mut ends = Vec::new();
    for run in runs::starting_between(conn, &[RunStatus::Paused], from, to)? {
        if run.starts_at <= deadline || !facilitators::active_on(conn, run.id, now)?.is_empty() {
            ends.push(run.id);
        }
    }
    Ok(ends)
}

/// At the start, whoever has no place goes home with a clear answer.
fn expire(tx: &mut Tx<'_>, run: Id, now: Instant) -> Result<bool> {
    let locked = runs::lock(tx, run)?;
    if locked.run.starts_at > now {
        return Ok(false);
    }
    let open = [SignupStatus::Requested, SignupStatus::Waitlisted, SignupStatus::Offered];
    for mut signup in signups::of_run(tx, run, &open)? {
        places::move_signup(tx, &locked, &mut signup, SignupAct::Expire, Who::House, now)?;
    }
    Ok(true)
}

fn complete(tx: &mut Tx<'_>, run: Id, over: Instant, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    let due = locked.run.status == RunStatus::Published && locked.run.ends_at <= over;
    if due {
        locked.run.status = RunStatus::Completed;
        locked.run.updated_at = now;
        runs::update(tx, &locked)?;
    }
    Ok(due)
}

fn to_remind(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let until = now.plus_hours(LOOK_AHEAD_HOURS);
    let done = runs::reminded_between(conn, now, until)?;
    let due_and_not_done = |run: &runs::Run| {
        Moment::due_now(run.starts_at, &run.time_zone, now)
            .is_some_and(|moment| !done.contains(&(run.id, moment.to_string(), run.starts_at)))
    };
    let soon = runs::starting_between(conn, &[RunStatus::Published], now, until)?;
    Ok(soon.iter().filter(|run| due_and_not_done(run)).map(|run| run.id).collect())
}

/// Hands a run's due reminder to the outbox, once for each start: for those who were in, and those who led, before it
/// was due.
fn remind(tx: &mut Tx<'_>, run: Id, now: Instant) -> Result<bool> {
    let locked = runs::lock(tx, run)?;
    let run = &locked.run;
    let Some(moment) = Moment::due_now(run.starts_at, &run.time_zone, now) else { return Ok(false) };
    let done = runs::reminded(tx, run.id, run.starts_at)?.contains(&moment.to_string());
    if run.status != RunStatus::Published || done {
        return Ok(false);
    }
    runs::mark_reminded(tx, run.id, moment.into(), run.starts_at)?;
    let due_at = moment.due_at(run.starts_at, &run.time_zone);
    let starts_at = run.starts_at;
    for signup in signups::of_run(tx, run.id, &[SignupStatus::Confirmed])? {
        if signup.confirmed_at.is_some_and(|at| at > due_at) {
            continue;
        }
        let promise = Promise {
            to: signup.account_id,
            notice: Notice::Reminder { signup_id: signup.id, moment, starts_at },
            run: Some(run.id),
            signup: Some(signup.id),
            once: Some(format!("reminder:{}:{moment}:{starts_at}", signup.id)),
        };
        outbox::promise(tx, promise, now)?;
    }
    let listings = facilitators::listings(tx, &[run.id])?;
    let knew = |leader: Id| listings.iter().any(|listing| listing.account_id == leader && listing.listed_at <= due_at);
    for leader in facilitators::active_on(tx, run.id, now)?.into_iter().filter(|leader| knew(*leader)) {
        let promise = Promise {
            to: leader,
            notice: Notice::FacilitatorReminder { run_id: run.id, moment, starts_at },
            run: Some(run.id),
            signup: None,
            once: Some(format!("lead:{}:{leader}:{moment}:{starts_at}", run.id)),
        };
        outbox::promise(tx, promise, now)?;
    }
    Ok(true)
}

/// Forgets what has served its purpose: answers kept for retries, counters, links and sessions long over, mails sent.
pub fn forget(db: &Db, policy: &Policy, now: Instant) -> Result<()> {
    db.write_here(|tx| {
        idempotency::purge(tx, now.plus_hours(-idempotency::KEPT_HOURS))?;
        limits::purge(tx, now.plus_days(-2))?;
        accounts::purge_unverified(tx, now.plus_days(-UNVERIFIED_KEPT_DAYS))?;
        sessions::purge_links(tx, now.plus_days(-7))?;
        sessions::purge(tx, now.plus_days(-7))?;
        outbox::purge(tx, now.plus_days(-policy.outbox_kept_days))?;
        Ok(())
    })
}
