//! Overturning a decision: what it took is given back where that can be done, and what cannot is said. Promise 11.
//!
//! A place comes back only while its run takes people and nothing else stands in the way; where none is free the person is
//! the next to be offered one. Accounts are locked before runs, runs in the order of their ids.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{AppealKind, ApplicationStatus, Consequence, SanctionKind, SanctionScope, Undone},
        refusal::Code,
        run::RunStatus,
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{entry, notices, overlaps, places, requests, sanctions, signups::reconfirming},
    store::{
        Tx, facilitators, following,
        moderation::{self, Appeal, Sanction},
        runs::{self, RunLocked},
        signups::{self, GivenUp, Signup},
    },
};

/// Takes back the decision that an appeal is about, whose people are locked; gives what came of it for whoever appealed.
pub fn overturn(
    tx: &mut Tx<'_>,
    moderator: Id,
    appeal: &Appeal,
    words: &str,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Consequence>> {
    match appeal.about_kind {
        AppealKind::Sanction => overturn_sanction(tx, moderator, appeal.about_id, words, policy, now),
        AppealKind::Bar => {
            let lifted = moderation::lift_bar(tx, appeal.about_id, now)?;
            let mut all = vec![about_it(if lifted { Undone::Lifted } else { Undone::HadEnded })];
            let given_up = signups::given_up_for(tx, AppealKind::Bar, appeal.about_id)?;
            all.extend(give_all_back(tx, given_up, policy, now)?.into_iter().map(|(_, consequence)| consequence));
            Ok(all)
        }
        AppealKind::SignupDecision => overturn_signup_decision(tx, appeal, policy, now),
        AppealKind::Application => Ok(vec![overturn_application(tx, appeal.about_id, now)?]),
    }
}

fn about_it(code: Undone) -> Consequence {
    Consequence { code, run_id: None }
}

/// Gives back what decisions took, run by run in the order in which runs are locked; each with the decision that took it.
fn give_all_back(
    tx: &mut Tx<'_>,
    mut given_up: Vec<(Id, GivenUp)>,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<(Id, Consequence)>> {
    given_up.sort_by_key(|(run, _)| *run);
    let mut all = Vec::new();
    for (run, given_up) in given_up {
        let mut locked = runs::lock(tx, run)?;
        let signup = signups::get(tx, given_up.signup_id)?;
        let code = give_back(tx, &mut locked, signup, given_up.was, policy, now)?;
        all.push((given_up.decision_id, Consequence { code, run_id: Some(run) }));
    }
    Ok(all)
}

/// Overturns a decision about an account with those that follow it, but for what was lifted before.
fn overturn_sanction(
    tx: &mut Tx<'_>,
    moderator: Id,
    id: Id,
    words: &str,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Consequence>> {
    let mut following = following::of(tx, id)?;
    following.retain(|one| one.lifted_at.is_none());
    let mut all = vec![about_it(lift(tx, moderator, id, words, now)?)];
    let main = moderation::find_sanction(tx, id)?.ok_or(Error::NotFound)?;
    all.extend(reopen_applications(tx, &main, now)?);
    if main.kind == SanctionKind::Ban && main.scope == SanctionScope::Site {
        all.push(about_it(Undone::SearchesEnded));
    }
    let mut given_up = signups::given_up_for(tx, AppealKind::Sanction, id)?;
    for one in &following {
        reopen_applications(tx, one, now)?;
        given_up.extend(signups::given_up_for(tx, AppealKind::Sanction, one.id)?);
    }
    let given_back = give_all_back(tx, given_up, policy, now)?.into_iter();
    all.extend(given_back.filter(|(decision, _)| *decision == id).map(|(_, consequence)| consequence));
    Ok(all)
}

/// Takes the decision back, and tells the people of those that follow it; whoever appealed hears of the appeal.
fn lift(tx: &mut Tx<'_>, moderator: Id, id: Id, words: &str, now: Instant) -> Result<Undone> {
    let lifted = match sanctions::take_back(tx, moderator, id, words, now) {
        Ok(lifted) => lifted,
        Err(Error::Refused(refusal)) if refusal.code == Code::SanctionEnded => return Ok(Undone::HadEnded),
        Err(other) => return Err(other),
    };
    for one in lifted.following {
        let notice = Notice::DecisionLifted { sanction_id: one.id, overturned: true };
        notices::to_person(tx, one.account_id, notice, now)?;
    }
    Ok(Undone::Lifted)
}

/// Puts back the applications that a ban revoked, or rejected while they waited, at the same moment.
fn reopen_applications(tx: &mut Tx<'_>, sanction: &Sanction, now: Instant) -> Result<Vec<Consequence>> {
    let mut all = Vec::new();
    if sanction.kind != SanctionKind::Ban {
        return Ok(all);
    }
    for (is, was) in [
        (ApplicationStatus::Revoked, ApplicationStatus::Approved),
        (ApplicationStatus::Rejected, ApplicationStatus::Pending),
    ] {
        let found = facilitators::find_in(tx, sanction.account_id, is)?;
        if let Some(application) = found.filter(|found| found.decided_at == Some(sanction.created_at)) {
            all.push(about_it(reopen(tx, application, was, now)?));
        }
    }
    Ok(all)
}

fn overturn_application(tx: &mut Tx<'_>, application: Id, now: Instant) -> Result<Consequence> {
    let application = facilitators::find(tx, application)?.ok_or(Error::NotFound)?;
    let was = match application.status {
        ApplicationStatus::Revoked => ApplicationStatus::Approved,
        _ => ApplicationStatus::Pending,
    };
    reopen(tx, application, was, now).map(about_it)
}

/// Puts an application back to what it was before the decision, unless a newer one stands in its place.
fn reopen(
    tx: &mut Tx<'_>,
    mut application: facilitators::Application,
    was: ApplicationStatus,
    now: Instant,
) -> Result<Undone> {
    let account = application.account_id;
    if facilitators::find_in(tx, account, ApplicationStatus::Approved)?.is_some() {
        return Ok(Undone::LeadsAgain);
    }
    if facilitators::find_in(tx, account, ApplicationStatus::Pending)?.is_some() {
        return Ok(Undone::ApplicationOpenAgain);
    }
    if was == ApplicationStatus::Approved
        && moderation::kept_out(tx, &[account], SanctionScope::Facilitating, now)?.contains(&account)
    {
        return Ok(Undone::StillClosed);
    }
    application.status = was;
    if was == ApplicationStatus::Pending {
        application.decided_by = None;
        application.decided_at = None;
    }
    facilitators::update(tx, &application)?;
    Ok(if was == ApplicationStatus::Approved { Undone::LeadsAgain } else { Undone::ApplicationOpenAgain })
}

fn overturn_signup_decision(
    tx: &mut Tx<'_>,
    appeal: &Appeal,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Consequence>> {
    let run = signups::get(tx, appeal.about_id)?.run_id;
    let mut locked = runs::lock(tx, run)?;
    let mut signup = signups::get(tx, appeal.about_id)?;
    let was = match signup.status {
        SignupStatus::Declined => SignupStatus::Requested,
        _ => SignupStatus::Confirmed,
    };
    signup.overturned_at = Some(now);
    signup.updated_at = now;
    signups::update(tx, &locked, &signup)?;
    let code = give_back(tx, &mut locked, signup, was, policy, now)?;
    Ok(vec![about_it(Undone::Lifted), Consequence { code, run_id: Some(locked.run.id) }])
}

/// Gives somebody back what they had on a run, as far as the run allows.
fn give_back(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    mut signup: Signup,
    was: SignupStatus,
    policy: &Policy,
    now: Instant,
) -> Result<Undone> {
    if let Some(code) = in_the_way(tx, locked, &signup, policy, now)? {
        return Ok(code);
    }
    let had_place = matches!(was, SignupStatus::Confirmed | SignupStatus::Attended | SignupStatus::Offered);
    let act = match was {
        SignupStatus::Requested => SignupAct::GiveBackRequest,
        _ if had_place && has_a_place(tx, locked, &signup, policy, now)? => SignupAct::GiveBack,
        _ => SignupAct::GiveBackToWait,
    };
    if act == SignupAct::GiveBackToWait && had_place {
        signup.queue_no = signups::before_the_line(tx, locked.run.id)?;
    }
    if act == SignupAct::GiveBack {
        reconfirming::ask_whoever_was_missing(tx, &mut signup, &locked.run, policy, now)?;
    }
    places::move_signup(tx, locked, &mut signup, act, Actor::Team, now)?;
    let code = match act {
        SignupAct::GiveBack => {
            notices::about_signup(tx, &signup, Notice::SignupConfirmed { signup_id: signup.id }, now)?;
            Undone::PlaceBack
        }
        SignupAct::GiveBackRequest => {
            requests::tell_facilitators(tx, &signup, &locked.run, policy, now)?;
            Undone::RequestOpenAgain
        }
        _ => {
            notices::about_signup(tx, &signup, Notice::SignupWaitlisted { signup_id: signup.id }, now)?;
            Undone::FirstInLine
        }
    };
    places::settle(tx, locked, policy, now)?;
    Ok(code)
}

/// Why nothing on this run can be given back, if so.
fn in_the_way(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    signup: &Signup,
    policy: &Policy,
    now: Instant,
) -> Result<Option<Undone>> {
    let (run, person) = (&locked.run, signup.account_id);
    if run.status == RunStatus::Cancelled {
        return Ok(Some(Undone::RunOff));
    }
    if run.status == RunStatus::Completed || run.starts_at <= now {
        return Ok(Some(Undone::RunStarted));
    }
    let mine = signups::of_person_in_run(tx, person, run.id)?;
    let is_on_it = mine.iter().any(|other| other.status.is_live());
    if is_on_it || facilitators::find_listing(tx, run.id, person)?.is_some() {
        return Ok(Some(Undone::OnItAlready));
    }
    if entry::is_closed_to(tx, person, run.id, now)? {
        return Ok(Some(Undone::StillClosed));
    }
    Ok((now >= places::cut_off(run, policy)).then_some(Undone::TooLate))
}

/// Whether there is a place for somebody who had one: free once those who wait have been offered theirs, on a run that goes
/// on, at a time at which they are nowhere else.
fn has_a_place(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    signup: &Signup,
    policy: &Policy,
    now: Instant,
) -> Result<bool> {
    let run = &locked.run;
    let (start, end) = (run.starts_at, run.ends_at);
    let is_elsewhere = !signups::overlapping(tx, signup.account_id, run.id, start, end)?.is_empty()
        || overlaps::led_meanwhile(tx, signup.account_id, run)?.is_some();
    if run.status != RunStatus::Published || is_elsewhere {
        return Ok(false);
    }
    Ok(places::settle(tx, locked, policy, now)?.left_for(signup.new_to_group) > 0)
}
