//! Nobody is in two places at once: who leads one run can neither lead nor join another at the same time, but for runs
//! that meet within walking distance of each other, where the facilitator says so. Promise 3: a run that is led by somebody
//! who is elsewhere is not led.

use std::collections::BTreeSet;

use crate::{
    domain::{
        place::LatLng,
        refusal::{Code, Refusal},
        run::RunStatus,
    },
    error::Result,
    id::Id,
    store::{
        Conn,
        overlaps::{self, Engagement},
        runs::Run,
    },
};

/// Meeting points up to so far apart can be led from one place, in km: a walk of about ten minutes (Manual for Streets,
/// Department for Transport 2007, 4.4.1).
pub const WALKING_DISTANCE_KM: f64 = 0.8;

/// Whether two meeting points lie within walking distance of each other.
pub fn is_walkable(one: LatLng, other: LatLng) -> bool {
    one.distance_km(&other) <= WALKING_DISTANCE_KM
}

/// Whether people can be expected on a run: drafts are nobody's appointment yet, and what is off takes no time.
fn takes_time(run: &Run) -> bool {
    matches!(run.status, RunStatus::Published | RunStatus::Paused)
}

/// Refuses to have somebody lead a run, or go along with it, who is elsewhere at that time. `me` acts; `leaders` are all who
/// lead it or will, with their accounts locked. `confirm` says that they lead both, which counts within walking distance.
///
/// # Errors
/// [`Code::OverlappingRun`] with `conflicting_run_id`, or with `conflicting_signup_id` for a place of `me`. The places of
/// others are not for this caller to know.
pub fn ensure_free_to_lead(conn: &mut Conn, me: Id, leaders: &[Id], run: &Run, confirm: bool) -> Result<()> {
    if !takes_time(run) {
        return Ok(());
    }
    let place = overlaps::places_of(conn, &[me], run.starts_at, run.ends_at)?.into_iter().find(|at| at.run != run.id);
    if let Some((at, signup)) = place.and_then(|at| Some((at.clone(), at.signup?))) {
        let words = format!("You have a place in “{}” at that time. Give it back first.", at.title);
        return Err(Refusal::from(Code::OverlappingRun).because(words).with("conflicting_signup_id", signup).into());
    }
    for other in overlaps::led_by(conn, leaders, run.starts_at, run.ends_at)? {
        if other.run == run.id {
            continue;
        }
        // Of others' runs no more is told than everybody may know.
        let there = if other.account == me { other.point } else { other.shown };
        let near = is_walkable(there, run.meeting_point().point());
        if !near || !confirm {
            return Err(refused(&other, me, near).into());
        }
    }
    Ok(())
}

fn refused(other: &Engagement, me: Id, near: bool) -> Refusal {
    let who = if other.account == me { "You are" } else { "Somebody who leads this with you is" };
    let then = if near {
        "Both meeting points are within walking distance: send `confirm_overlap: true` to lead both."
    } else {
        "It is too far away to lead both."
    };
    Refusal::from(Code::OverlappingRun)
        .because(format!("{who} down to go along with “{}” at that time. {then}", other.title))
        .with("conflicting_run_id", other.run)
        .with("can_confirm", near)
}

/// Those of these people who are expected on another run at the time of this one: they have a place there, lead it, or go
/// along with it.
pub fn expected_elsewhere(conn: &mut Conn, people: &[Id], run: &Run) -> Result<BTreeSet<Id>> {
    Ok(meanwhile(conn, people, run)?.into_iter().map(|other| other.account).collect())
}

/// Those of these people who could not come to lead this run: as [`expected_elsewhere`], but for runs that they lead within
/// walking distance.
pub fn cannot_lead(conn: &mut Conn, people: &[Id], run: &Run) -> Result<BTreeSet<Id>> {
    let here = run.meeting_point().point();
    let is_away = |other: &Engagement| other.signup.is_some() || !is_walkable(other.point, here);
    Ok(meanwhile(conn, people, run)?.into_iter().filter(is_away).map(|other| other.account).collect())
}

/// What these people are expected on at the time of a run, but for that run.
fn meanwhile(conn: &mut Conn, people: &[Id], run: &Run) -> Result<Vec<Engagement>> {
    let mut others = overlaps::led_by(conn, people, run.starts_at, run.ends_at)?;
    others.extend(overlaps::places_of(conn, people, run.starts_at, run.ends_at)?);
    others.retain(|other| other.run != run.id);
    Ok(others)
}

/// The run that somebody leads, or goes along with, at the time of this one.
pub fn led_meanwhile(conn: &mut Conn, person: Id, run: &Run) -> Result<Option<Id>> {
    let led = overlaps::led_by(conn, &[person], run.starts_at, run.ends_at)?;
    Ok(led.into_iter().map(|other| other.run).find(|other| *other != run.id))
}
