//! What time does by itself: reminders, runs that start, end or stay without a facilitator, and forgetting.
//!
//! Each step is small, in a transaction of its own under the run's lock, and finds nothing to do the second time, so
//! any number of workers may take it.

use std::collections::BTreeSet;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        after_run::{ANSWER_DAYS, KEPT_DAYS},
        day::{COMPLETE_AFTER_HOURS, CONTACT_HOURS_AFTER},
        reminder::{LOOK_AHEAD_HOURS, Moment},
        run::{MAX_DAYS_AHEAD, RunStatus},
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{
        address_requests, after_run, blocks, care,
        day::retention,
        limits::NETWORK_KNOWN_DAYS,
        match_requests, notices, one_to_one, places, requests,
        runs::leading,
        sanctions,
        series::making,
        series::regulars as series_regulars,
        signups::{friends, reconfirming},
    },
    store::{
        Conn, Db, Tx, accounts, address_requests as address_request_store, after_runs, blocks as block_store,
        care as wishes, changes, extra_places, facilitators, following, idempotency, known_networks, limits,
        match_requests as match_request_store, moderation,
        outbox::{self, Promise},
        runs, sessions, shared_needs, signups, substitutes, yeses,
    },
};

/// Days after which an account that nobody verified is forgotten: its links have long stopped working.
const UNVERIFIED_KEPT_DAYS: i64 = 7;

/// Days after a start for which answers about it are kept: none is asked for any more, and a run may be long.
const YESES_KEPT_DAYS: i64 = 2;

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
    each(db.read_here(|conn| unled(conn, policy, now))?, &|tx, run| {
        let mut locked = runs::lock(tx, run)?;
        let before = locked.run.status;
        leading::pause_if_unled(tx, &mut locked, policy, now)?;
        Ok(locked.run.status != before)
    });
    each(db.read_here(|conn| lapses_to_tell(conn, policy, now))?, &|tx, run| leading::warn_of_lapses(tx, run, now));
    each(db.read_here(|conn| moderation::ended_untold(conn, now))?, &|tx, sanction| {
        sanctions::tell_end(tx, sanction, now)
    });
    each(db.read_here(|conn| following::escaped(conn, now))?, &|tx, decision| {
        sanctions::reach_escaped(tx, decision, policy, now)
    });
    each(db.read_here(|conn| paused(conn, policy, now))?, &|tx, run| leading::end_pause(tx, run, policy, now));
    each(db.read_here(|conn| runs::started_with_open_ends(conn, now))?, &|tx, run| expire(tx, run, now));
    let over = now.plus_hours(-COMPLETE_AFTER_HOURS);
    each(db.read_here(|conn| runs::published_ended_before(conn, over))?, &|tx, run| complete(tx, run, over, now));
    each(db.read_here(|conn| extra_places::runs_with_overdue(conn, now))?, &|tx, run| {
        friends::end_overdue(tx, run, policy, now)
    });
    each(db.read_here(|conn| places_to_pass_on(conn, policy, now))?, &|tx, run| {
        let mut locked = runs::lock(tx, run)?;
        let offers = |tx: &mut Tx<'_>| -> Result<Vec<_>> {
            let offered = signups::of_run(tx, run, &[SignupStatus::Offered])?;
            Ok(offered.into_iter().map(|signup| (signup.id, signup.offer_expires_at)).collect())
        };
        let before = (offers(tx)?, locked.run.announced_left);
        places::settle(tx, &mut locked, policy, now)?;
        Ok((offers(tx)?, locked.run.announced_left) != before)
    });
    let cut_off = now.plus_minutes(policy.cut_off_minutes);
    each(db.read_here(|conn| runs::with_requests_until(conn, now, cut_off))?, &|tx, run| {
        requests::expire(tx, run, policy, now)
    });
    let long_ago = now.plus_hours(-policy.request_nudge_hours);
    each(db.read_here(|conn| runs::with_requests_older_than(conn, now, long_ago))?, &|tx, run| {
        requests::nudge(tx, run, policy, now)
    });
    each(db.read_here(|conn| runs::with_yeses_overdue(conn, now))?, &|tx, run| {
        reconfirming::release_overdue(tx, run, policy, now)
    });
    each(db.read_here(|conn| one_to_one::to_look_at(conn, now))?, &|tx, run| {
        let mut locked = runs::lock(tx, run)?;
        one_to_one::look(tx, &mut locked, policy, now)
    });
    each(db.read_here(|conn| care::to_look_at(conn, now))?, &|tx, wish| care::look(tx, wish, now));
    each(db.read_here(|conn| retention::to_ask(conn, now))?, &|tx, run| retention::ask(tx, run, now));
    each(db.read_here(|conn| to_remind(conn, now))?, &|tx, run| remind(tx, run, policy, now));
    each(db.read_here(series_regulars::often_absent)?, &|tx, regular| {
        series_regulars::end_if_absent_twice(tx, regular, policy, now)
    });
    let soon = now.plus_days(policy.match_request_notice_days);
    each(db.read_here(|conn| match_request_store::ending_untold(conn, now, soon))?, &|tx, request| {
        match_requests::warn(tx, request, now)
    });
    each(db.read_here(|conn| match_request_store::ended(conn, now))?, &|tx, request| {
        match_requests::end(tx, request, policy, now)
    });
    Ok(done + making::make_due(db, policy, now)?)
}

/// Published runs to come on which somebody is no longer active, or soon not: a credential lapses, or a decision ended.
fn unled(conn: &mut Conn, policy: &Policy, now: Instant) -> Result<Vec<Id>> {
    let leaders = runs::leaders_of_upcoming(conn, now)?;
    let good = facilitators::in_good_standing(conn, &leaders, now)?;
    let gone: BTreeSet<Id> = leaders.into_iter().filter(|leader| !good.contains(leader)).collect();
    let end = now.plus_days(MAX_DAYS_AHEAD + 1);
    let mut suspects = substitutes::published_led_by(conn, &gone, now, end)?;
    for run in with_lapsing_credentials(conn, policy.credential_pause_days, now)? {
        let run = runs::get(conn, run)?;
        if leading::answering_for(conn, &run, policy, now)?.is_empty() {
            suspects.insert(run.id);
        }
    }
    Ok(suspects.into_iter().collect())
}

/// Runs of the weeks to come of which a facilitator has yet to hear that a credential lapses before them.
fn lapses_to_tell(conn: &mut Conn, policy: &Policy, now: Instant) -> Result<Vec<Id>> {
    let mut untold = Vec::new();
    for run in with_lapsing_credentials(conn, policy.credential_notice_days, now)? {
        let run = runs::get(conn, run)?;
        if !leading::lapses_to_tell(conn, &run, now)?.is_empty() {
            untold.push(run.id);
        }
    }
    Ok(untold)
}

/// Published runs of the days to come that somebody leads whose required credentials end before those days do.
fn with_lapsing_credentials(conn: &mut Conn, days: i64, now: Instant) -> Result<Vec<Id>> {
    let end = now.plus_days(days);
    let day = end.local("UTC").date().to_string();
    let lapsing = substitutes::with_credentials_until(conn, &day)?;
    Ok(substitutes::published_led_by(conn, &lapsing, now, end)?.into_iter().collect())
}

/// Paused runs whose pause may end: by the deadline, or because somebody leads them again.
fn paused(conn: &mut Conn, policy: &Policy, now: Instant) -> Result<Vec<Id>> {
    let deadline = now.plus_hours(policy.take_over_deadline_hours);
    // From the past as well: the worker may have been away when a deadline passed.
    let (from, to) = (now.plus_days(-MAX_DAYS_AHEAD), now.plus_days(MAX_DAYS_AHEAD + 1));
    let mut ends = Vec::new();
    for run in runs::starting_between(conn, &[RunStatus::Paused], from, to)? {
        if run.starts_at <= deadline || !leading::answering_for(conn, &run, policy, now)?.is_empty() {
            ends.push(run.id);
        }
    }
    Ok(ends)
}

/// Published runs with offers that nobody answered in time, or with free places and people who wait.
fn places_to_pass_on(conn: &mut Conn, policy: &Policy, now: Instant) -> Result<Vec<Id>> {
    let mut due: BTreeSet<Id> = runs::with_offers_overdue(conn, now)?.into_iter().collect();
    let waited_for = runs::with_people_waiting(conn, now)?;
    for some in waited_for.chunks(1000) {
        let found = runs::of_ids(conn, some)?;
        let rooms = places::of_runs(conn, &found, policy, now)?;
        due.extend(rooms.into_iter().filter(|(_, room)| room.left() > 0).map(|(id, _)| id));
    }
    Ok(due.into_iter().collect())
}

/// At the start, whoever has no place goes home with a clear answer.
fn expire(tx: &mut Tx<'_>, run: Id, now: Instant) -> Result<bool> {
    let locked = runs::lock(tx, run)?;
    if locked.run.starts_at > now {
        return Ok(false);
    }
    let open = [SignupStatus::Requested, SignupStatus::Waitlisted, SignupStatus::Offered];
    for mut signup in signups::of_run(tx, run, &open)? {
        let notice = match signup.status {
            SignupStatus::Requested => Notice::RequestExpired { signup_id: signup.id },
            _ => Notice::WaitingEnded { signup_id: signup.id },
        };
        places::move_signup(tx, &locked, &mut signup, SignupAct::Expire, Actor::System, now)?;
        notices::about_signup(tx, &signup, notice, now)?;
    }
    Ok(true)
}

fn complete(tx: &mut Tx<'_>, run: Id, over: Instant, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    let due = locked.run.status == RunStatus::Published && locked.run.ends_at <= over;
    if due {
        locked.run.status = RunStatus::Completed;
        locked.run.details.updated_at = now;
        runs::update(tx, &locked)?;
        after_run::promise_mails(tx, &locked.run, now)?;
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
fn remind(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
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
    if moment == Moment::DayBefore {
        reconfirming::look_the_day_before(tx, &locked, due_at, policy, now)?;
    }
    for signup in signups::of_run(tx, run.id, &[SignupStatus::Confirmed])? {
        if signup.confirmed_at.is_some_and(|at| at > due_at) {
            continue;
        }
        let notice = Notice::Reminder { signup_id: signup.id, moment, starts_at };
        let promise = Promise::new(signup.account_id, notice).of_signup(&signup);
        outbox::promise(tx, promise.once(format!("reminder:{}:{moment}:{starts_at}", signup.id)), now)?;
    }
    let listings = facilitators::listings(tx, &[run.id])?;
    let knew = |leader: Id| listings.iter().any(|listing| listing.account_id == leader && listing.listed_at <= due_at);
    for leader in facilitators::accompanying(tx, run.id, now)?.into_iter().filter(|leader| knew(*leader)) {
        let notice = Notice::FacilitatorReminder { run_id: run.id, moment, starts_at };
        let promise = Promise::new(leader, notice).of_run(run.id);
        outbox::promise(tx, promise.once(format!("lead:{}:{leader}:{moment}:{starts_at}", run.id)), now)?;
    }
    Ok(true)
}

/// Forgets what has served its purpose: answers kept for retries, counters, links and sessions long over, mails sent,
/// guests, and who was on runs long ago.
pub fn forget(db: &Db, policy: &Policy, now: Instant) -> Result<()> {
    db.write_here(|tx| {
        changes::purge(tx)?;
        idempotency::purge(tx, now.plus_hours(-idempotency::KEPT_HOURS))?;
        limits::purge(tx, now.plus_days(-2))?;
        known_networks::purge(tx, now.plus_days(-NETWORK_KNOWN_DAYS))?;
        address_request_store::purge(tx, now.plus_hours(-address_requests::KEPT_HOURS))?;
        accounts::purge_unverified(tx, now.plus_days(-UNVERIFIED_KEPT_DAYS))?;
        block_store::purge(tx, now.plus_days(-blocks::MADE_DAYS))?;
        after_runs::forget(tx, now.plus_days(-ANSWER_DAYS), now.plus_days(-KEPT_DAYS))?;
        shared_needs::purge(tx, now.plus_hours(-CONTACT_HOURS_AFTER))?;
        yeses::purge(tx, now.plus_days(-YESES_KEPT_DAYS))?;
        wishes::purge(tx, now.plus_days(-care::ENDED_KEPT_DAYS))?;
        match_requests::forget(tx, now)?;
        sessions::purge_links(tx, now.plus_days(-7))?;
        sessions::purge(tx, now.plus_days(-7))?;
        outbox::purge(tx, now.plus_days(-policy.outbox_kept_days))?;
        Ok(())
    })?;
    retention::forget(db, policy, now)
}
