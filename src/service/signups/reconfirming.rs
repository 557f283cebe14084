//! Being asked to say again that one comes: after a far change of the run, and after two silent absences.

use std::collections::BTreeSet;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        question::{ComingQuestion, Terms},
        refusal::{Code, Fault},
        reminder::Moment,
        signup::{Actor, ReconfirmReason, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{notices, one_to_one, places, requests},
    store::{
        Conn, Tx, accounts, extra_places,
        runs::{self, Run, RunLocked},
        sessions::Link,
        signups::{self, Signup},
        yeses,
    },
};

/// Silent absences after which somebody is asked to say the day before that they come.
const ABSENCES: i64 = 2;
/// Days over which they count.
const ABSENCE_DAYS: i64 = 90;

/// Asks somebody with two silent absences behind them to say the day before that they come; nothing is counted in public
/// and nobody is shut out.
pub fn ask_whoever_was_missing(
    conn: &mut Conn,
    signup: &mut Signup,
    run: &Run,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    // Whoever signs up after the reminder that asks has just said that they come.
    if Moment::DayBefore.due_at(run.starts_at, &run.time_zone) <= now {
        return Ok(());
    }
    if was_missing(conn, &[signup.account_id], now)?.contains(&signup.account_id) {
        signup.reconfirm_by = Some(run.starts_at.plus_hours(-policy.reconfirm_until_hours));
        signup.reconfirm_reason = Some(ReconfirmReason::Absences);
    }
    Ok(())
}

/// Who of these was missing in silence so often that they are asked.
fn was_missing(conn: &mut Conn, people: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    let mut absences = signups::silent_absences(conn, people, now.plus_days(-ABSENCE_DAYS))?;
    absences.retain(|_, times| *times >= ABSENCES);
    Ok(absences.into_keys().collect())
}

/// The day before, with the reminder that holds the question: asks those who were missing since they signed up as well, and
/// no longer those whose absences were corrected.
pub fn look_the_day_before(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    due_at: Instant,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    let by = locked.run.starts_at.plus_hours(-policy.reconfirm_until_hours);
    let confirmed = signups::of_run(tx, locked.run.id, &[SignupStatus::Confirmed])?;
    let people: Vec<Id> = confirmed.iter().map(|signup| signup.account_id).collect();
    let missing = was_missing(tx, &people, now)?;
    for mut signup in confirmed {
        let wanted =
            missing.contains(&signup.account_id) && by > now && !said_so_since(tx, &signup, &locked.run, due_at)?;
        let asked = match signup.reconfirm_reason {
            None if wanted => (Some(by), Some(ReconfirmReason::Absences)),
            Some(ReconfirmReason::Absences) if !missing.contains(&signup.account_id) => (None, None),
            _ => continue,
        };
        (signup.reconfirm_by, signup.reconfirm_reason) = asked;
        signups::update(tx, locked, &signup)?;
    }
    Ok(())
}

/// One yes: to which question, and by which link if not logged in. Without either it answers the one question that is
/// open.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub question: Option<ComingQuestion>,
    pub link: Option<Link>,
}

/// What somebody with a sign-up is asked at the moment.
pub fn open_questions(conn: &mut Conn, signup: &Signup, run: &Run, now: Instant) -> Result<Vec<ComingQuestion>> {
    let mut open = Vec::new();
    if run.starts_at <= now || !signup.status.is_live() {
        return Ok(open);
    }
    if signup.change_asked_at.is_some() || signup.reconfirm_reason == Some(ReconfirmReason::Changed) {
        open.push(ComingQuestion::Change);
    }
    if signup.reconfirm_reason == Some(ReconfirmReason::Absences) {
        open.push(ComingQuestion::DayBefore);
    }
    if signup.status == SignupStatus::Confirmed
        && let Some(partner) = one_to_one::partner_of(conn, run, signup.account_id, now)?
        && !one_to_one::said_yes(conn, run, signup.account_id, partner)?
    {
        open.push(ComingQuestion::AsTwo);
    }
    Ok(open)
}

/// "I still come": to a changed run, as one of two, or the day before. Each question has its own answer, and an answer counts
/// for the start, the place and the partner that it was given for.
///
/// # Errors
/// [`Code::LinkOutdated`], [`Code::NotAsked`], [`Code::ReconfirmTooLate`]; a fault at `/question` where several are open and
/// none is named.
pub fn reconfirm(
    tx: &mut Tx<'_>,
    person: Id,
    signup: Id,
    answer: &Answer,
    policy: &Policy,
    now: Instant,
) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    accounts::lock(tx, person)?;
    let mut locked = runs::lock(tx, found.run_id)?;
    let mut signup = signups::get(tx, signup)?;
    let is_in_line =
        matches!(signup.status, SignupStatus::Requested | SignupStatus::Waitlisted | SignupStatus::Offered);
    if signup.status != SignupStatus::Confirmed && !is_in_line {
        return Err(Code::SignupNotLive.into());
    }
    if locked.run.starts_at <= now {
        return Err(Code::RunStarted.into());
    }
    if signup.reconfirm_by.is_some_and(|until| until <= now) {
        return Err(Code::ReconfirmTooLate.into());
    }
    let Some(question) = question_of(tx, answer, &signup, &locked.run, now)? else { return Ok(signup) };
    match question {
        ComingQuestion::Change => yes_to_change(tx, &mut locked, &mut signup, answer, policy, now)?,
        ComingQuestion::DayBefore => yes_the_day_before(tx, &locked, &mut signup, answer, now)?,
        ComingQuestion::AsTwo => {
            if !one_to_one::keep_yes(tx, &locked, person, answer.link.as_ref(), now)? {
                return Err(Code::NotAsked.into());
            }
        }
    }
    signups::get(tx, signup.id)
}

/// Which question is answered; none where nothing is asked and none was named.
fn question_of(
    tx: &mut Tx<'_>,
    answer: &Answer,
    signup: &Signup,
    run: &Run,
    now: Instant,
) -> Result<Option<ComingQuestion>> {
    if let Some(link) = &answer.link {
        return Ok(Some(link.question.ok_or(Code::LinkOutdated)?));
    }
    let open = open_questions(tx, signup, run, now)?;
    match (answer.question, open.as_slice()) {
        (Some(named), _) => Ok(Some(named)),
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some(*only)),
        (None, several) => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let words = format!("say which question you answer: {}", names.join(" or "));
            Err(Fault::at("/question", "required", words).into())
        }
    }
}

/// What a yes is given for: what its mail said, or the run as it is.
fn terms_of(answer: &Answer, run: &Run) -> Result<Terms> {
    let Some(link) = &answer.link else { return Ok(run.terms(None)) };
    let terms = Terms { with: None, ..link.terms().ok_or(Code::LinkOutdated)? };
    if terms.hold_for(&run.terms(None), &run.time_zone) { Ok(terms) } else { Err(Code::LinkOutdated.into()) }
}

fn yes_to_change(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    signup: &mut Signup,
    answer: &Answer,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    let terms = terms_of(answer, &locked.run)?;
    let was_held_up = signup.reconfirm_reason == Some(ReconfirmReason::Changed);
    signup.change_asked_at = None;
    signup.clear_change_prompt();
    // Further steps count from what was said yes to.
    signup.agreed_to((terms != locked.run.terms(None)).then_some(terms));
    signup.updated_at = now;
    signups::update(tx, locked, signup)?;
    yeses::put(tx, locked, signup.account_id, ComingQuestion::Change, &terms, now)?;
    match signup.status {
        SignupStatus::Requested if was_held_up => requests::tell_facilitators(tx, signup, &locked.run, policy, now),
        SignupStatus::Waitlisted if was_held_up => places::settle(tx, locked, policy, now).map(drop),
        _ => Ok(()),
    }
}

/// A yes of weeks before says no more than the sign-up did: it counts from when the reminder asks.
fn yes_the_day_before(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    signup: &mut Signup,
    answer: &Answer,
    now: Instant,
) -> Result<()> {
    let run = &locked.run;
    let terms = terms_of(answer, run)?;
    if now < Moment::DayBefore.due_at(run.starts_at, &run.time_zone) {
        return Ok(());
    }
    if signup.reconfirm_reason == Some(ReconfirmReason::Absences) {
        (signup.reconfirm_by, signup.reconfirm_reason) = (None, None);
        signup.updated_at = now;
        signups::update(tx, locked, signup)?;
    }
    yeses::put(tx, locked, signup.account_id, ComingQuestion::DayBefore, &terms, now)
}

/// Whether somebody has said since the reminder was due that they come that day to the run as it is. A yes to a change of the
/// run answers another question.
fn said_so_since(conn: &mut Conn, signup: &Signup, run: &Run, due_at: Instant) -> Result<bool> {
    if signup.confirmed_at.is_some_and(|at| at > due_at) {
        return Ok(true);
    }
    let yes = yeses::find(conn, run.id, signup.account_id, ComingQuestion::DayBefore)?;
    let holds = |yes: &yeses::Yes| yes.terms().hold_for(&run.terms(None), &run.time_zone);
    Ok(yes.is_some_and(|yes| yes.given_at > due_at && holds(&yes)))
}

/// Releases the places of those who were asked and have not said that they come; each is told kindly.
pub fn release_overdue(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    if locked.run.starts_at <= now {
        return Ok(false);
    }
    let mut released = false;
    let was_asked = runs::reminded(tx, run, locked.run.starts_at)?.contains(&Moment::DayBefore.to_string());
    for mut signup in signups::of_run(tx, run, &[SignupStatus::Confirmed])? {
        if signup.reconfirm_by.is_some_and(|until| until <= now) {
            // It was corrected, or nobody came to ask: then silence says nothing.
            let is_void = signup.reconfirm_reason == Some(ReconfirmReason::Absences)
                && (!was_asked || !was_missing(tx, &[signup.account_id], now)?.contains(&signup.account_id));
            if is_void {
                (signup.reconfirm_by, signup.reconfirm_reason) = (None, None);
                signups::update(tx, &locked, &signup)?;
                continue;
            }
            places::move_signup(tx, &locked, &mut signup, SignupAct::Expire, Actor::System, now)?;
            extra_places::end_of_signup(tx, signup.id, now)?;
            notices::about_signup(tx, &signup, Notice::PlaceReleased { signup_id: signup.id }, now)?;
            released = true;
        }
    }
    if released {
        super::after_somebody_left(tx, &mut locked, policy, now)?;
    }
    Ok(released)
}
