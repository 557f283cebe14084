//! Taking a place and giving it back. What a run's facilitators decide about it is in `decisions`, what follows from a
//! place that became free in `offers`, having been asked to say yes again in `reconfirming`, and what the facilitators may
//! know of a person's access needs in `sharing`.

pub mod decisions;
pub mod friends;
pub mod offers;
pub mod reconfirming;
pub mod sharing;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::AppealKind,
        profile::AccessNeed,
        refusal::{Code, Faults, Refusal},
        run::{JoinPolicy, RunStatus},
        signup::{self, Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, entry, notices, one_to_one, overlaps, places, requests},
    store::{
        Conn, Tx, accounts, extra_places, facilitators, outbox,
        runs::{self, Run, RunLocked},
        signups::{self, GivenUp, Signup},
        sql_types::Json,
    },
};

/// The body of `POST /runs/{id}/signups`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// Access needs that the run's facilitators may see around the run; nothing of the running profile is shown without it.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub share_access_needs: Vec<AccessNeed>,
    /// Whether a place that becomes free shortly before is welcome.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub short_notice: bool,
    /// Leave a confirmed run at the same time for this one, in one step.
    #[serde(default)]
    pub swap: bool,
    /// When this place is confirmed, leave the lines of other runs at the same time.
    #[serde(default)]
    pub leave_overlapping: bool,
    /// The token of a place that somebody on the run keeps for a friend.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub friend_token: Option<String>,
}

impl Default for NewSignup {
    fn default() -> Self {
        Self {
            answers: Vec::new(),
            note: None,
            share_access_needs: Vec::new(),
            short_notice: true,
            swap: false,
            leave_overlapping: false,
            friend_token: None,
        }
    }
}

/// An answer to one of a run's questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "line", max_length = 500)]
pub struct Answer(pub String);

fn yes() -> bool {
    true
}

/// What becomes of a person's other runs at the same time when this one is confirmed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instead {
    /// Leave the one that is confirmed; without this it is refused.
    pub swap: bool,
    /// Leave the lines of the others.
    pub leave_overlapping: bool,
}

/// Why a run takes nobody new now, if so.
pub fn open_for_signups(run: &Run, now: Instant) -> Result<(), Refusal> {
    goes_on(run, now)?;
    if run.closed_at.is_some() { Err(Code::RunNotOpen.into()) } else { Ok(()) }
}

/// Why nobody takes a place on a run now, not even one that is held for them, if so.
fn goes_on(run: &Run, now: Instant) -> Result<(), Refusal> {
    match run.status {
        RunStatus::Published if run.starts_at <= now => Err(Code::RunStarted.into()),
        RunStatus::Published => Ok(()),
        RunStatus::Paused => Err(Code::RunPaused.into()),
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        RunStatus::Completed => Err(Code::RunOver.into()),
        RunStatus::Draft => Err(Code::RunNotOpen.into()),
    }
}

/// A run under its lock, with those that a person would leave for it, all locked in the order of their ids.
pub(super) struct Locked {
    pub run: RunLocked,
    others: Vec<(RunLocked, Signup)>,
}

impl Locked {
    /// Locks a run and what may be left for it. The person is locked already, so what they are confirmed in stands still.
    pub fn for_person(tx: &mut Tx<'_>, person: Id, run: Id, instead: Instead, now: Instant) -> Result<Self> {
        if !instead.swap && !instead.leave_overlapping {
            return Ok(Self { run: runs::lock(tx, run)?, others: Vec::new() });
        }
        let seen = runs::get(tx, run)?;
        let mut to_leave = Vec::new();
        if instead.swap {
            to_leave.extend(signups::overlapping(tx, person, run, seen.starts_at, seen.ends_at)?);
        }
        if instead.leave_overlapping {
            let waiting = [SignupStatus::Waitlisted, SignupStatus::Requested, SignupStatus::Offered];
            to_leave.extend(signups::overlapping_in(tx, person, run, seen.starts_at, seen.ends_at, &waiting)?);
        }
        to_leave.sort_by_key(|signup| signup.run_id);
        let mut found = None;
        let mut others = Vec::new();
        for signup in to_leave {
            if signup.run_id > run && found.is_none() {
                found = Some(runs::lock(tx, run)?);
            }
            let other = runs::lock(tx, signup.run_id)?;
            if other.run.starts_at > now {
                let signup = signups::get(tx, signup.id)?;
                others.push((other, signup));
            }
        }
        let run = match found {
            Some(run) => run,
            None => runs::lock(tx, run)?,
        };
        Ok(Self { run, others })
    }

    /// Refuses to confirm somebody in two runs at once, unless they leave the other for this one.
    ///
    /// # Errors
    /// [`Code::OverlappingRun`] with `conflicting_signup_id`, or `conflicting_run_id` for a run that they lead.
    pub fn ensure_no_overlap(&self, tx: &mut Tx<'_>, person: Id) -> Result<()> {
        let run = &self.run.run;
        let left: Vec<Id> = self.others.iter().map(|(_, signup)| signup.id).collect();
        let conflicts = signups::overlapping(tx, person, run.id, run.starts_at, run.ends_at)?;
        if let Some(other) = conflicts.iter().find(|signup| !left.contains(&signup.id)) {
            let words = "You have a place in another run at that time. Send `swap: true` to leave it for this one.";
            let refusal = Refusal::from(Code::OverlappingRun).because(words);
            return Err(refusal.with("conflicting_signup_id", other.id).into());
        }
        match overlaps::led_meanwhile(tx, person, run)? {
            Some(led) => {
                let words = "You lead another run at that time, or go along with it. Step down there first.";
                Err(Refusal::from(Code::OverlappingRun).because(words).with("conflicting_run_id", led).into())
            }
            None => Ok(()),
        }
    }

    /// Leaves the others; what they free is passed on.
    pub fn leave_the_others(&mut self, tx: &mut Tx<'_>, policy: &Policy, now: Instant) -> Result<()> {
        for (locked, signup) in &mut self.others {
            if signup.status.is_live() {
                give_back(tx, locked, signup, policy, now)?;
            }
        }
        Ok(())
    }
}

/// Signs somebody up: confirmed while there is a place, on the waiting list after, requested where each needs a yes.
/// A live sign-up of the same person is given back as it is; the flag says whether this one is new.
pub fn sign_up(
    tx: &mut Tx<'_>,
    person: Id,
    run: Id,
    input: &NewSignup,
    policy: &Policy,
    now: Instant,
) -> Result<(Signup, bool)> {
    sign_up_with(tx, person, run, input, None, policy, now)
}

/// [`sign_up`] with the place that somebody kept for a friend: `friend_place` is what `friend_token` stood for, if
/// anything.
pub fn sign_up_with(
    tx: &mut Tx<'_>,
    person: Id,
    run: Id,
    input: &NewSignup,
    friend_place: Option<Id>,
    policy: &Policy,
    now: Instant,
) -> Result<(Signup, bool)> {
    let active = callers::lock_active(tx, person, now)?;
    let instead = Instead { swap: input.swap, leave_overlapping: input.leave_overlapping };
    let mut locked = Locked::for_person(tx, person, run, instead, now)?;
    let earlier = signups::of_person_in_run(tx, person, run)?;
    if let Some(live) = earlier.iter().find(|signup| signup.status.is_live()) {
        return Ok((live.clone(), false));
    }
    answers_fit(&locked.run.run, input)?;
    let leads_it = facilitators::find_listing(tx, run, person)?.is_some();
    open_for_signups(&locked.run.run, now)?;
    requests::can_be_answered(&locked.run.run, policy, now)?;
    if leads_it {
        return Err(Code::YouLeadThisRun.into());
    }
    entry::active_may_come(tx, &active, run, &earlier, now)?;

    let room = places::settle(tx, &mut locked.run, policy, now)?;
    if room.places == 0 {
        // Its facilitator has just been lost; it will be paused within moments.
        return Err(Code::RunPaused.into());
    }
    let new_to_group = entry::is_new_to_group(tx, person, &locked.run.run)?;
    let mut kept = match &input.friend_token {
        Some(_) => Some(friends::waiting_for(tx, friend_place, &locked.run, now)?),
        None => None,
    };
    let act = match &mut kept {
        Some(place) => friends::begin(tx, place, &locked.run, room, new_to_group, now)?,
        None => room.for_newcomer(new_to_group),
    };
    if act == SignupAct::JoinLine {
        // A place that is not for this friend waits on for another.
        kept = None;
    }
    let status = signup::begin(act, Actor::Person).ok_or(Code::SignupNotLive)?;
    if status == SignupStatus::Confirmed {
        locked.ensure_no_overlap(tx, person)?;
    }
    let queue_no = runs::next_queue_no(tx, &mut locked.run)?;
    let mut signup = Signup {
        answers: Json(input.answers.iter().map(|answer| answer.0.clone()).collect()),
        note: input.note.clone().filter(|note| !note.trim().is_empty()),
        short_notice: input.short_notice,
        new_here: accounts::is_new_here(tx, person)?,
        new_to_group,
        ..Signup::beginning(run, person, status, queue_no, now)
    };
    if status == SignupStatus::Confirmed {
        reconfirming::ask_whoever_was_missing(tx, &mut signup, &locked.run.run, policy, now)?;
    }
    signups::insert(tx, &locked.run, &signup)?;
    sharing::keep(tx, &locked.run, signup.id, &input.share_access_needs)?;
    if let Some(place) = &mut kept {
        place.used_by = Some(signup.id);
        extra_places::update(tx, &locked.run, place)?;
    }
    match status {
        SignupStatus::Confirmed => {
            notices::about_signup(tx, &signup, Notice::SignupConfirmed { signup_id: signup.id }, now)?;
            locked.leave_the_others(tx, policy, now)?;
            if room.waiting > 0 {
                places::settle(tx, &mut locked.run, policy, now)?;
            }
            one_to_one::ensure_group_size(tx, &locked.run.run, policy, now)?;
        }
        SignupStatus::Waitlisted => {
            notices::about_signup(tx, &signup, Notice::SignupWaitlisted { signup_id: signup.id }, now)?;
        }
        SignupStatus::Requested => requests::tell_facilitators(tx, &signup, &locked.run.run, policy, now)?,
        _ => {}
    }
    Ok((signup, true))
}

fn answers_fit(run: &Run, input: &NewSignup) -> Result<()> {
    let mut faults = Faults::default();
    let (asked, answered) = (run.details.questions.len(), input.answers.len());
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

/// Gives a place, request or waiting position back; what it frees is passed on.
pub fn withdraw(tx: &mut Tx<'_>, person: Id, signup: Id, policy: &Policy, now: Instant) -> Result<Signup> {
    let found = signups::get(tx, signup)?;
    if found.account_id != person {
        return Err(Error::NotFound);
    }
    accounts::lock(tx, person)?;
    let mut locked = runs::lock(tx, found.run_id)?;
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
    give_back(tx, &mut locked, &mut signup, policy, now)?;
    Ok(signup)
}

/// Withdraws a live sign-up under its run's lock.
pub(in crate::service) fn give_back(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    signup: &mut Signup,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    let had_place = matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Attended);
    let confirmed = Notice::SignupConfirmed { signup_id: signup.id };
    // A place that was given back before anybody was told of it is news to nobody.
    let is_known = had_place && !outbox::waits_untouched(tx, signup.id, confirmed.name())?;
    places::move_signup(tx, locked, signup, SignupAct::Withdraw, Actor::Person, now)?;
    friends::end_with_signup(tx, locked, signup.id, now)?;
    if is_known && locked.run.status == RunStatus::Published && locked.run.starts_at <= now.plus_hours(24) {
        let notice = Notice::ParticipantWithdrew { signup_id: signup.id, others: Vec::new() };
        notices::to_facilitators(tx, locked.run.id, None, &notice, now)?;
    }
    after_somebody_left(tx, locked, policy, now)
}

/// What follows when somebody is no longer in: the place is passed on, and whoever is left as one of two is asked.
pub fn after_somebody_left(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<()> {
    places::settle(tx, locked, policy, now)?;
    one_to_one::look(tx, locked, policy, now)?;
    Ok(())
}

/// Takes a person out of one run because a decision, a bar or a block says so. The flag says whether they were on it; the
/// caller passes the place on, after all decisions about the run are written.
pub fn give_up(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    person: Id,
    because: Option<(AppealKind, Id)>,
    now: Instant,
) -> Result<bool> {
    let mut gave_up = false;
    for mut signup in signups::of_person_in_run(tx, person, locked.run.id)? {
        if signup.status.is_live() {
            if let Some((decision_kind, decision_id)) = because {
                // Should the decision be overturned, this is what it took.
                let (signup_id, was) = (signup.id, signup.status);
                signups::note_given_up(tx, &GivenUp { signup_id, decision_kind, decision_id, was })?;
            }
            places::move_signup(tx, locked, &mut signup, SignupAct::GiveUp, Actor::Team, now)?;
            friends::end_with_signup(tx, locked, signup.id, now)?;
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
