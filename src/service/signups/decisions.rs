//! What a run's facilitators decide about a sign-up: yes or no to a request, and taking somebody off.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{after_somebody_left, friends, open_for_signups, reconfirming};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{AboutKind, Act, Category},
        policy::{Accompanies, Leads},
        refusal::{Code, Fault, Faults},
        signup::{Actor, RemovalReason, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, day::retention::sealed_at, entry, notices, overlaps, places, reports},
    store::{
        Conn, Tx, accounts, audit, extra_places,
        runs::{self, Run, RunLocked},
        signups::{self, Signup},
    },
};

/// The body of `POST /signups/{id}/decline` and `…/remove`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    pub reason_code: RemovalReason,
    /// For moderators only; needed for a removal.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub private_note: Option<String>,
    /// What the person reads besides the ready-made sentence; needed when the code is `conduct`.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub statement: Option<String>,
}

impl Removal {
    /// A no by one tap: the kind ready-made sentence and nothing else.
    pub fn kindly() -> Self {
        Self { reason_code: RemovalReason::GroupSize, private_note: None, statement: None }
    }
}

/// Finds a sign-up for one of its run's facilitators.
///
/// # Errors
/// Not found for anybody else.
pub fn led_by(conn: &mut Conn, facilitator: Id, signup: Id, now: Instant) -> Result<(Signup, Leads)> {
    let found = signups::get(conn, signup)?;
    let proof = callers::leads(conn, facilitator, found.run_id, now)?;
    Ok((found, proof))
}

/// Finds a sign-up for whoever goes along with its run, its back marker included.
///
/// # Errors
/// Not found for anybody else.
pub fn accompanied_by(conn: &mut Conn, facilitator: Id, signup: Id, now: Instant) -> Result<(Signup, Accompanies)> {
    let found = signups::get(conn, signup)?;
    let proof = callers::accompanies(conn, facilitator, found.run_id, now)?;
    Ok((found, proof))
}

/// Lets a run's facilitators see who takes part, for some days after it. Promise 10.
///
/// # Errors
/// Not found after that.
pub fn still_seen(run: &Run, policy: &Policy, now: Instant) -> Result<()> {
    if sealed_at(run, policy) <= now { Err(Error::NotFound) } else { Ok(()) }
}

/// Locks the person and the run of a sign-up, and reads it again.
fn locked_signup(tx: &mut Tx<'_>, found: &Signup, proof: &Leads) -> Result<(RunLocked, Signup)> {
    accounts::lock(tx, found.account_id)?;
    let locked = runs::lock(tx, proof.run())?;
    let signup = signups::get(tx, found.id)?;
    Ok((locked, signup))
}

/// A facilitator's yes to a request: a place while there is one, else a position in the line with the number it had.
///
/// # Errors
/// [`Code::RequestDecided`] where it was approved before.
pub fn approve(tx: &mut Tx<'_>, found: &Signup, proof: &Leads, policy: &Policy, now: Instant) -> Result<Signup> {
    let (mut locked, mut signup) = locked_signup(tx, found, proof)?;
    still_seen(&locked.run, policy, now)?;
    if matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Waitlisted | SignupStatus::Offered) {
        return Err(Code::RequestDecided.into());
    }
    if signup.status != SignupStatus::Requested {
        return Err(Code::SignupNotLive.into());
    }
    open_for_signups(&locked.run, now)?;
    if entry::is_closed_to(tx, signup.account_id, signup.run_id, now)? {
        return Err(Code::ApprovalNotPossible.into());
    }
    if signup.awaits_yes_to_a_change() {
        return Err(Code::FreshYesNeeded.into());
    }
    let room = places::settle(tx, &mut locked, policy, now)?;
    // Somebody who is confirmed elsewhere at the same time is asked before they are in two runs at once.
    let (start, end) = (locked.run.starts_at, locked.run.ends_at);
    let is_elsewhere = !signups::overlapping(tx, signup.account_id, locked.run.id, start, end)?.is_empty()
        || overlaps::led_meanwhile(tx, signup.account_id, &locked.run)?.is_some();
    let act = if is_elsewhere {
        SignupAct::ApproveToWait
    } else if friends::take_kept(tx, &signup, &locked, policy, now)? {
        SignupAct::Approve
    } else {
        room.for_approved(signup.new_to_group)
    };
    if act == SignupAct::Approve {
        reconfirming::ask_whoever_was_missing(tx, &mut signup, &locked.run, policy, now)?;
    }
    places::move_signup(tx, &locked, &mut signup, act, Actor::Facilitator, now)?;
    let notice = if signup.status == SignupStatus::Confirmed {
        Notice::SignupConfirmed { signup_id: signup.id }
    } else {
        Notice::SignupWaitlisted { signup_id: signup.id }
    };
    notices::about_signup(tx, &signup, notice, now)?;
    record(tx, Act::SignupApproved, &signup, proof, now)?;
    if signup.status == SignupStatus::Confirmed && room.waiting == 0 {
        return Ok(signup);
    }
    places::settle(tx, &mut locked, policy, now)?;
    signups::get(tx, signup.id)
}

/// The same by a link, which works as long as its run: whoever taps twice reads twice that it is done.
pub fn approve_by_link(
    tx: &mut Tx<'_>,
    found: &Signup,
    proof: &Leads,
    policy: &Policy,
    now: Instant,
) -> Result<Signup> {
    match approve(tx, found, proof, policy, now) {
        Err(Error::Refused(refusal)) if refusal.code == Code::RequestDecided => signups::get(tx, found.id),
        approved => approved,
    }
}

/// A facilitator's no to a request; final for this run.
pub fn decline(tx: &mut Tx<'_>, found: &Signup, proof: &Leads, why: &Removal, now: Instant) -> Result<Signup> {
    statement_for_conduct(why)?;
    let (locked, mut signup) = locked_signup(tx, found, proof)?;
    put_out(tx, &locked, &mut signup, SignupAct::Decline, proof, why, now)?;
    // What was kept for a friend who may not come is passed on by the next step of the housekeeping.
    friends::end_with_signup(tx, &locked, signup.id, now)?;
    record(tx, Act::SignupDeclined, &signup, proof, now)?;
    Ok(signup)
}

/// Puts a confirmed person out of a run; final for this run. The next in line moves up.
pub fn remove(
    tx: &mut Tx<'_>,
    found: &Signup,
    proof: &Leads,
    why: &Removal,
    policy: &Policy,
    now: Instant,
) -> Result<Signup> {
    let mut faults = Faults::default();
    let noted = why.private_note.as_deref().is_some_and(|note| !note.trim().is_empty());
    faults.unless(noted, "/private_note", "required", "a removal needs a note for the moderators");
    if let Err(Error::Invalid(more)) = statement_for_conduct(why) {
        faults.0.extend(more);
    }
    faults.none()?;
    let (mut locked, mut signup) = locked_signup(tx, found, proof)?;
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    put_out(tx, &locked, &mut signup, SignupAct::Remove, proof, why, now)?;
    record(tx, Act::SignupRemoved, &signup, proof, now)?;
    extra_places::end_of_signup(tx, signup.id, now)?;
    after_somebody_left(tx, &mut locked, policy, now)?;
    Ok(signup)
}

fn statement_for_conduct(why: &Removal) -> Result<()> {
    let said = why.statement.as_deref().is_some_and(|words| !words.trim().is_empty());
    if why.reason_code == RemovalReason::Conduct && !said {
        let words = "say what happened: a decision about conduct needs a statement";
        return Err(Fault::at("/statement", "required", words).into());
    }
    Ok(())
}

fn put_out(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    signup: &mut Signup,
    act: SignupAct,
    proof: &Leads,
    why: &Removal,
    now: Instant,
) -> Result<()> {
    signup.reason_code = Some(why.reason_code);
    signup.private_note.clone_from(&why.private_note);
    signup.statement = why.statement.clone().filter(|_| why.reason_code != RemovalReason::Safety);
    signup.decided_by = Some(proof.facilitator());
    signup.overturned_at = None;
    places::move_signup(tx, locked, signup, act, Actor::Facilitator, now)?;
    notices::about_signup(tx, signup, Notice::SignupRemoved { signup_id: signup.id }, now)?;
    if why.reason_code == RemovalReason::Safety {
        let words = [why.private_note.as_deref(), why.statement.as_deref()];
        let report = reports::NewReport {
            about: reports::About { kind: Some(AboutKind::Account), id: Some(signup.account_id), ..Default::default() },
            category: Category::Safeguarding,
            statement: words.into_iter().flatten().collect::<Vec<_>>().join("\n\n"),
        };
        reports::file(tx, proof.facilitator(), &report, now)?;
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, act: Act, signup: &Signup, proof: &Leads, now: Instant) -> Result<()> {
    let deed = audit::AuditEvent {
        act,
        actor: Some(proof.facilitator()),
        subject: Some(signup.account_id),
        run: Some(signup.run_id),
        about: json!({ "signup_id": signup.id, "status": signup.status, "reason_code": signup.reason_code }),
    };
    audit::record(tx, deed, now)
}
