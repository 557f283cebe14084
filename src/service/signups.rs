//! Taking a place, giving it back, and what a run's facilitators decide about it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    domain::{
        moderation::{AboutKind, Act, Category},
        policy::Leads,
        refusal::{Code, Fault, Faults, Refusal},
        run::{JoinPolicy, RunStatus},
        signup::{self, RemovalReason, SignupAct, SignupStatus, Who},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, notices, places, reports},
    store::{
        Conn, Tx, accounts, audit, facilitators, moderation,
        runs::{self, Run, RunLocked},
        signups::{self, Signup},
        sql_types::Json,
    },
};

/// The body of `POST /runs/{id}/signups`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSignup {
    /// One answer for each of the run's questions, in their order.
    #[serde(default)]
    #[schema(max_items = 5)]
    pub answers: Vec<Answer>,
    /// A word to the facilitators.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: Option<String>,
    /// Whether a place that becomes free shortly before is welcome.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub short_notice: bool,
}

/// An answer to one of a run's questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 500)]
pub struct Answer(pub String);

fn yes() -> bool {
    true
}

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

/// Why a run takes nobody now, if so.
pub fn open_for_signups(run: &Run, now: Instant) -> Result<(), Refusal> {
    match run.status {
        RunStatus::Published if run.starts_at > now => Ok(()),
        RunStatus::Published => Err(Code::RunStarted.into()),
        RunStatus::Paused => Err(Code::RunPaused.into()),
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        RunStatus::Completed => Err(Code::RunOver.into()),
        RunStatus::Draft => Err(Code::RunNotOpen.into()),
    }
}

/// Signs somebody up: confirmed while there is a place, on the waiting list after, requested where each needs a yes.
/// A live sign-up of the same person is given back as it is; the flag says whether this one is new.
pub fn sign_up(
    tx: &mut Tx<'_>,
    person: Id,
    run: Id,
    input: &NewSignup,
    ratio: i32,
    now: Instant,
) -> Result<(Signup, bool)> {
    let person = accounts::lock(tx, person)?;
    callers::still_welcome(tx, person.account().id, now)?;
    let mut locked = runs::lock(tx, run)?;
    let earlier = signups::of_person_in_run(tx, person.account().id, run)?;
    if let Some(live) = earlier.iter().find(|signup| signup.status.is_live()) {
        return Ok((live.clone(), false));
    }
    let statuses: Vec<SignupStatus> = earlier.iter().map(|signup| signup.status).collect();
    let leads_it = facilitators::find_listing(tx, run, person.account().id)?.is_some();
    let barred = moderation::is_barred_from(tx, person.account().id, run, now)?;
    open_for_signups(&locked.run, now)?;
    signup::may_sign_up(&statuses, barred, leads_it)?;
    answers_fit(&locked.run, input)?;

    let room = places::of_locked(tx, &locked, ratio, now)?;
    if room.places == 0 {
        // Its facilitator has just been lost; it will be paused within moments.
        return Err(Code::RunPaused.into());
    }
    let status = room.for_newcomer();
    let signup = Signup {
        id: Id::at(now),
        run_id: run,
        account_id: person.account().id,
        status,
        queue_no: runs::next_queue_no(tx, &mut locked)?,
        answers: Json(input.answers.iter().map(|answer| answer.0.clone()).collect()),
        note: input.note.clone().filter(|note| !note.trim().is_empty()),
        short_notice: input.short_notice,
        new_here: accounts::find_profile(tx, person.account().id)?.is_none_or(|profile| profile.new_here),
        created_at: now,
        updated_at: now,
        confirmed_at: (status == SignupStatus::Confirmed).then_some(now),
        reason_code: None,
        private_note: None,
        statement: None,
        decided_by: None,
    };
    signups::insert(tx, &locked, &signup)?;
    match status {
        SignupStatus::Confirmed => {
            notices::about_signup(tx, &signup, Notice::SignupConfirmed { signup_id: signup.id }, now)?;
        }
        SignupStatus::Waitlisted => {
            notices::about_signup(tx, &signup, Notice::SignupWaitlisted { signup_id: signup.id }, now)?;
        }
        _ => {}
    }
    Ok((signup, true))
}

fn answers_fit(run: &Run, input: &NewSignup) -> Result<()> {
    let mut faults = Faults::default();
    let (asked, answered) = (run.questions.len(), input.answers.len());
    if run.join_policy == JoinPolicy::Approval || answered > 0 {
        faults.unless(
            asked == answered,
            "/answers",
            "wrong_number",
            &format!("the run asks {asked} question(s); {answered} answer(s) came"),
        );
    }
    Ok(faults.none()?)
}

/// Gives a place, request or waiting position back; the next in line moves up.
pub fn withdraw(tx: &mut Tx<'_>, person: Id, signup: Id, ratio: i32, now: Instant) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    accounts::lock(tx, person)?;
    let locked = runs::lock(tx, found.run_id)?;
    let mut signup = signups::get(tx, signup)?;
    if signup.status == SignupStatus::Withdrawn {
        return Ok(signup);
    }
    if !signup.status.is_live() {
        return Err(Code::SignupNotLive.into());
    }
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    let had_place = signup.status == SignupStatus::Confirmed;
    places::move_signup(tx, &locked, &mut signup, SignupAct::Withdraw, Who::Person, now)?;
    if had_place && locked.run.status == RunStatus::Published && locked.run.starts_at <= now.plus_hours(24) {
        let notice = Notice::ParticipantWithdrew { signup_id: signup.id };
        notices::to_facilitators(tx, locked.run.id, None, &notice, now)?;
    }
    places::promote(tx, &locked, ratio, now)?;
    Ok(signup)
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

/// Locks the person and the run of a sign-up, and reads it again.
fn locked_signup(tx: &mut Tx<'_>, found: &Signup, proof: &Leads) -> Result<(RunLocked, Signup)> {
    accounts::lock(tx, found.account_id)?;
    let locked = runs::lock(tx, proof.run())?;
    let signup = signups::get(tx, found.id)?;
    Ok((locked, signup))
}

/// A facilitator's yes to a request: a place while there is one, else a position in the line with the number it had.
pub fn approve(tx: &mut Tx<'_>, found: &Signup, proof: &Leads, ratio: i32, now: Instant) -> Result<Signup> {
    let (locked, mut signup) = locked_signup(tx, found, proof)?;
    if matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Waitlisted) {
        return Ok(signup);
    }
    open_for_signups(&locked.run, now)?;
    callers_may_come(tx, &signup, now)?;
    let act = places::of_locked(tx, &locked, ratio, now)?.for_approved();
    places::move_signup(tx, &locked, &mut signup, act, Who::Facilitator, now)?;
    let notice = if signup.status == SignupStatus::Confirmed {
        Notice::SignupConfirmed { signup_id: signup.id }
    } else {
        Notice::SignupWaitlisted { signup_id: signup.id }
    };
    notices::about_signup(tx, &signup, notice, now)?;
    record(tx, Act::SignupApproved, &signup, proof, now)?;
    Ok(signup)
}

fn callers_may_come(tx: &mut Tx<'_>, signup: &Signup, now: Instant) -> Result<()> {
    let kept_out = !moderation::keeping_out(tx, signup.account_id, now)?.is_empty();
    if kept_out || moderation::is_barred_from(tx, signup.account_id, signup.run_id, now)? {
        return Err(Code::SignupNotLive.into());
    }
    Ok(())
}

/// A facilitator's no to a request; final for this run.
pub fn decline(tx: &mut Tx<'_>, found: &Signup, proof: &Leads, why: &Removal, now: Instant) -> Result<Signup> {
    statement_for_conduct(why)?;
    let (locked, mut signup) = locked_signup(tx, found, proof)?;
    put_out(tx, &locked, &mut signup, SignupAct::Decline, proof, why, now)?;
    record(tx, Act::SignupDeclined, &signup, proof, now)?;
    Ok(signup)
}

/// Puts a confirmed person out of a run; final for this run. The next in line moves up.
pub fn remove(
    tx: &mut Tx<'_>,
    found: &Signup,
    proof: &Leads,
    why: &Removal,
    ratio: i32,
    now: Instant,
) -> Result<Signup> {
    let mut faults = Faults::default();
    let noted = why.private_note.as_deref().is_some_and(|note| !note.trim().is_empty());
    faults.unless(noted, "/private_note", "required", "a removal needs a note for the moderators");
    if let Err(Error::Invalid(more)) = statement_for_conduct(why) {
        faults.0.extend(more);
    }
    faults.none()?;
    let (locked, mut signup) = locked_signup(tx, found, proof)?;
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    put_out(tx, &locked, &mut signup, SignupAct::Remove, proof, why, now)?;
    record(tx, Act::SignupRemoved, &signup, proof, now)?;
    places::promote(tx, &locked, ratio, now)?;
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
    places::move_signup(tx, locked, signup, act, Who::Facilitator, now)?;
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
    let deed = audit::Deed {
        act,
        actor: Some(proof.facilitator()),
        subject: Some(signup.account_id),
        run: Some(signup.run_id),
        about: json!({ "signup_id": signup.id, "status": signup.status, "reason_code": signup.reason_code }),
    };
    audit::record(tx, deed, now)
}

/// Takes a person out of one run because a decision or a bar says so. The flag says whether a place became free; the
/// caller promotes, after all decisions about the run are written.
pub fn give_up(tx: &mut Tx<'_>, locked: &RunLocked, person: Id, now: Instant) -> Result<bool> {
    let mut gave_up = false;
    for mut signup in signups::of_person_in_run(tx, person, locked.run.id)? {
        if signup.status.is_live() {
            places::move_signup(tx, locked, &mut signup, SignupAct::GiveUp, Who::Team, now)?;
            gave_up = true;
        }
    }
    Ok(gave_up)
}

/// Position in the line, 1 for the next; none for whoever does not wait.
pub fn waiting_position(conn: &mut Conn, signup: &Signup) -> Result<Option<usize>> {
    if signup.status != SignupStatus::Waitlisted {
        return Ok(None);
    }
    let line = signups::of_run(conn, signup.run_id, &[SignupStatus::Waitlisted])?;
    Ok(line.iter().position(|other| other.id == signup.id).map(|at| at + 1))
}
