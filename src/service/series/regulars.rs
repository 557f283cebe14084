//! Those who come to every date of a series: becoming one, stopping, being seated, and two silent absences.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        refusal::Code,
        run::{JoinPolicy, RunStatus},
        series::{SeriesStatus, was_silently_absent_twice},
        signup::{self, Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, entry, notices, overlaps, places, signups as seats, signups::reconfirming},
    store::{
        Conn, Tx, accounts, extra_places, facilitators,
        runs::{self, RunLocked},
        series::{self, Regular, Series},
        signups::{self, Signup},
    },
};

/// Makes somebody a regular and signs them up for every date that was made already. Says whether they were none before.
pub fn become_regular(tx: &mut Tx<'_>, person: Id, of: Id, policy: &Policy, now: Instant) -> Result<(Regular, bool)> {
    accounts::lock(tx, person)?;
    callers::ensure_active(tx, person, now)?;
    let found = series::lock(tx, of)?;
    if let Some(already) = series::find_regular(tx, of, person)? {
        return Ok((already, false));
    }
    may_become(tx, &found, person, now)?;
    let regular = Regular { id: Id::at(now), series_id: of, account_id: person, since: now, ended_at: None };
    series::insert_regular(tx, &regular)?;
    for run in series::runs_to_come(tx, of, now)? {
        let mut locked = runs::lock(tx, run.id)?;
        seat(tx, &mut locked, person, policy, now)?;
    }
    notices::to_person(tx, person, Notice::BecameRegular { series_id: of }, now)?;
    Ok((regular, true))
}

/// Where each sign-up needs a yes, one yes on a date of the series stands for all that follow.
fn may_become(tx: &mut Tx<'_>, of: &Series, person: Id, now: Instant) -> Result<()> {
    let leads_it = series::leaders(tx, &[of.id])?.get(&of.id).is_some_and(|leaders| leaders.contains(&person));
    match of.status {
        SeriesStatus::Draft => return Err(Error::NotFound),
        SeriesStatus::Ended => return Err(Code::SeriesEnded.into()),
        SeriesStatus::Active if leads_it => return Err(Code::YouLeadThisRun.into()),
        SeriesStatus::Active => {}
    }
    let dates = series::runs_to_come(tx, of.id, now)?;
    // Another series goes on with its dates.
    if dates.is_empty() && of.next_date.is_none() {
        return Err(Code::SeriesEnded.into());
    }
    let mut closed = 0;
    let open: Vec<_> = dates.iter().filter(|run| run.status == RunStatus::Published).collect();
    for run in &open {
        closed += usize::from(entry::is_closed_to(tx, person, run.id, now)?);
    }
    if !open.is_empty() && closed == open.len() {
        return Err(Code::RunNotOpenToYou.into());
    }
    let by_approval = of.draft.draft().join_policy == JoinPolicy::Approval;
    if by_approval && !series::was_ever_approved(tx, of.id, person)? {
        return Err(Code::RegularsKnowTheGroup.into());
    }
    Ok(())
}

/// Gives a regular a place on one date, or a position in its line when it is full or they are elsewhere at that time.
/// Whoever was ever on it, leads it or may not come is left as they are. The person and the run are locked.
pub(super) fn seat(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    person: Id,
    policy: &Policy,
    now: Instant,
) -> Result<Option<Signup>> {
    let run = &locked.run;
    let (id, start, end) = (run.id, run.starts_at, run.ends_at);
    // After its list is closed nobody is asked any more, so nobody is seated unasked either: they may sign up themselves.
    let takes_people =
        run.status == RunStatus::Published && now < places::cut_off(run, policy) && run.closed_at.is_none();
    if !takes_people || !signups::of_person_in_run(tx, person, id)?.is_empty() {
        return Ok(None);
    }
    if facilitators::find_listing(tx, id, person)?.is_some() || entry::is_closed_to(tx, person, id, now)? {
        return Ok(None);
    }
    // A date may need a yes where the others do not: they may ask for it as everybody does.
    let needs_a_yes = run.join_policy == JoinPolicy::Approval;
    if needs_a_yes && !run.series_id.map_or(Ok(false), |of| series::was_ever_approved(tx, of, person))? {
        return Ok(None);
    }
    let room = places::settle(tx, locked, policy, now)?;
    if room.places == 0 {
        return Ok(None);
    }
    let new_to_group = entry::is_new_to_group(tx, person, &locked.run)?;
    let is_elsewhere = !signups::overlapping(tx, person, id, start, end)?.is_empty()
        || overlaps::led_meanwhile(tx, person, &locked.run)?.is_some();
    let fits = room.left_for(new_to_group) > 0 && !is_elsewhere;
    let act = if fits { SignupAct::TakePlace } else { SignupAct::JoinLine };
    let status = signup::begin(act, Actor::System).ok_or(Code::SignupNotLive)?;
    let queue_no = runs::next_queue_no(tx, locked)?;
    let mut signup = Signup {
        new_here: accounts::is_new_here(tx, person)?,
        new_to_group,
        as_regular: true,
        ..Signup::beginning(id, person, status, queue_no, now)
    };
    if status == SignupStatus::Confirmed {
        reconfirming::ask_whoever_was_missing(tx, &mut signup, &locked.run, policy, now)?;
    }
    signups::insert(tx, locked, &signup)?;
    if status == SignupStatus::Waitlisted || room.waiting > 0 {
        places::settle(tx, locked, policy, now)?;
    }
    Ok(Some(signup))
}

/// Stops coming to every date: the places on dates to come that were taken as a regular are given back, also where the
/// series was split since. Nothing happens to whoever is no regular.
pub fn stop(tx: &mut Tx<'_>, person: Id, of: Id, policy: &Policy, now: Instant) -> Result<()> {
    accounts::lock(tx, person)?;
    let Some(regular) = series::find_regular(tx, of, person)? else { return Ok(()) };
    let everywhere = series::handed_on(tx, &regular)?;
    for regular in &everywhere {
        series::lock(tx, regular.series_id)?;
    }
    for regular in &everywhere {
        series::end_regular(tx, regular.id, now)?;
        free_places(tx, regular, Actor::Person, policy, now)?;
    }
    Ok(())
}

fn free_places(tx: &mut Tx<'_>, regular: &Regular, actor: Actor, policy: &Policy, now: Instant) -> Result<()> {
    for run in series::runs_to_come(tx, regular.series_id, now)? {
        let mut locked = runs::lock(tx, run.id)?;
        for mut signup in signups::of_person_in_run(tx, regular.account_id, run.id)? {
            if !signup.status.is_live() || !signup.as_regular || locked.run.starts_at <= now {
                continue;
            }
            if actor == Actor::Person {
                seats::give_back(tx, &mut locked, &mut signup, policy, now)?;
            } else {
                places::move_signup(tx, &locked, &mut signup, SignupAct::Expire, actor, now)?;
                extra_places::end_of_signup(tx, signup.id, now)?;
                seats::after_somebody_left(tx, &mut locked, policy, now)?;
            }
        }
    }
    Ok(())
}

/// Ids of regulars with silent absences enough to be looked at.
pub fn often_absent(conn: &mut Conn) -> Result<Vec<Id>> {
    Ok(series::regulars_often_absent(conn)?.into_iter().map(|regular| regular.id).collect())
}

/// Ends kindly, by one mail, what somebody no longer seems to want: they were silently absent from the last two dates
/// that were held. Says whether they were.
pub fn end_if_absent_twice(tx: &mut Tx<'_>, regular: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let Some(seen) = series::get_regular(tx, regular)? else { return Ok(false) };
    accounts::lock(tx, seen.account_id)?;
    series::lock(tx, seen.series_id)?;
    let Some(regular) = series::get_regular(tx, regular)?.filter(|regular| regular.ended_at.is_none()) else {
        return Ok(false);
    };
    let held = series::held_with(tx, regular.series_id, regular.account_id, regular.since)?;
    let absences: Vec<bool> = held.iter().map(|status| *status == SignupStatus::NoShow).collect();
    if !was_silently_absent_twice(&absences) {
        return Ok(false);
    }
    series::end_regular(tx, regular.id, now)?;
    free_places(tx, &regular, Actor::System, policy, now)?;
    notices::to_person(tx, regular.account_id, Notice::RegularEnded { series_id: regular.series_id }, now)?;
    Ok(true)
}
