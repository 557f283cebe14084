//! Requests to join a run where each needs a facilitator's yes: telling the facilitators, asking again, and an answer for
//! everybody before the start.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        refusal::{Code, Refusal},
        run::{JoinPolicy, ListingRole, ListingStatus},
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{notices, places},
    store::{
        Conn, Tx, facilitators,
        outbox::{self, Promise},
        runs::{self, Run},
        signups::{self, Signup},
    },
};

/// So many requests of a run that wait at once are mailed one by one; from the next on they are gathered.
const ONE_BY_ONE: usize = 2;
/// How long requests are gathered into one mail, in hours.
const GATHERED_HOURS: i64 = 3;

/// How long before a run's list is closed they are mailed at the latest, in hours.
const ANSWER_HOURS: i64 = 1;

/// Who answers requests of a run.
pub fn answerable(conn: &mut Conn, run: Id) -> Result<Vec<Id>> {
    let listings = facilitators::listings(conn, &[run])?;
    let leads = |listing: &facilitators::Listing| {
        listing.status == ListingStatus::Accepted && listing.role == ListingRole::Leader
    };
    Ok(listings.iter().filter(|listing| leads(listing)).map(|listing| listing.account_id).collect())
}

/// Refuses a request that nobody could answer any more: its run's list is closed.
///
/// # Errors
/// [`Code::RunNotOpen`].
pub fn can_be_answered(run: &Run, policy: &Policy, now: Instant) -> Result<()> {
    if run.join_policy == JoinPolicy::Approval && now >= places::cut_off(run, policy) {
        let words = "It starts soon, and requests to join it are not answered any more.";
        return Err(Refusal::from(Code::RunNotOpen).because(words).into());
    }
    Ok(())
}

/// Mails the facilitators about a new request: at once, and gathered from the third on that waits, while there is time to
/// answer after that.
pub fn tell_facilitators(tx: &mut Tx<'_>, signup: &Signup, run: &Run, policy: &Policy, now: Instant) -> Result<()> {
    let waiting = signups::of_run(tx, signup.run_id, &[SignupStatus::Requested])?.len();
    let until = gathered_until(now).min(places::cut_off(run, policy).plus_hours(-ANSWER_HOURS));
    for leader in answerable(tx, signup.run_id)? {
        let promise = if waiting <= ONE_BY_ONE || until <= now {
            Promise::new(leader, Notice::SignupRequested { signup_id: signup.id })
                .of_signup(signup)
                .by(signup.account_id)
        } else {
            // One mail for all that come until then.
            Promise::new(leader, Notice::RequestsWait { run_id: signup.run_id, again: false })
                .of_run(signup.run_id)
                .once(format!("requests:{}:{leader}:{until}", signup.run_id))
                .not_before(until)
        };
        outbox::promise(tx, promise, now)?;
    }
    Ok(())
}

/// The end of the window of whole hours in which requests are gathered. It is the same for all of them, whatever fraction
/// of a second they come at: the key of their mail is made of it.
fn gathered_until(now: Instant) -> Instant {
    let window_s = GATHERED_HOURS * 3600;
    let end_s = (now.timestamp().as_second().div_euclid(window_s) + 1) * window_s;
    end_s.checked_mul(1_000_000).and_then(Instant::from_micros).unwrap_or(now)
}

/// Asks the facilitators again about requests that wait for too long; once for each request.
pub fn nudge(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let long_ago = now.plus_hours(-policy.request_nudge_hours);
    let overdue: Vec<Signup> = signups::of_run(tx, run, &[SignupStatus::Requested])?
        .into_iter()
        .filter(|signup| signup.created_at <= long_ago)
        .collect();
    let Some(newest) = overdue.iter().map(|signup| signup.id).max() else { return Ok(false) };
    let mut nudged = false;
    for leader in answerable(tx, run)? {
        let promise = Promise::new(leader, Notice::RequestsWait { run_id: run, again: true }).of_run(run);
        nudged |= outbox::promise(tx, promise.once(format!("nudge:{run}:{leader}:{newest}")), now)?;
    }
    Ok(nudged)
}

/// Ends requests that nobody answered until the run's list was closed; each person is told, with other runs.
pub fn expire(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let locked = runs::lock(tx, run)?;
    if now < places::cut_off(&locked.run, policy) {
        return Ok(false);
    }
    let open = signups::of_run(tx, run, &[SignupStatus::Requested])?;
    let any = !open.is_empty();
    for mut signup in open {
        places::move_signup(tx, &locked, &mut signup, SignupAct::Expire, Actor::System, now)?;
        notices::about_signup(tx, &signup, Notice::RequestExpired { signup_id: signup.id }, now)?;
    }
    Ok(any)
}
