//! What changed about a run, how far it reaches, and what those on it are asked.

use super::run_time_in_words;
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        change::{self, Moved, NO_FAR_CHANGE_HOURS, Reach},
        place::LatLng,
        refusal::Code,
        route::{self, Route},
        run::ListingStatus,
        signup::{ReconfirmReason, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::{Change, Notice},
    service::{notices, places},
    store::{
        Tx, extra_places, facilitators, run_routes,
        runs::{Run, RunLocked},
        signups,
    },
};

/// How far the change from one to the other reaches.
fn reach(before: &Run, after: &Run) -> Reach {
    reach_since(before.starts_at, before.meeting_point().point(), before, after)
}

/// How far it reaches for somebody who said yes to this start and point.
fn reach_since(start: Instant, point: LatLng, before: &Run, after: &Run) -> Reach {
    let day = |at: Instant, run: &Run| at.local(&run.time_zone).date();
    change::reach(Moved {
        seconds: after.starts_at.seconds_since(start),
        metres: point.distance_km(&after.meeting_point().point()) * 1000.0,
        other_day: day(start, before) != day(after.starts_at, after),
        other_effort: before.pace() != after.pace() || before.activity != after.activity,
    })
}

/// Refuses a far change when people are setting out.
///
/// # Errors
/// [`Code::ChangeTooLate`].
pub fn not_too_late(before: &Run, after: &Run, now: Instant) -> Result<()> {
    let soon = before.starts_at.min(after.starts_at) <= now.plus_hours(NO_FAR_CHANGE_HOURS);
    if soon && reach(before, after) == Reach::Far { Err(Code::ChangeTooLate.into()) } else { Ok(()) }
}

/// Tells everybody on a run what changed, and asks those with a place as far as the change reaches. Says how many were
/// told.
pub fn tell_and_ask(
    tx: &mut Tx<'_>,
    before: &Run,
    locked: &RunLocked,
    by: Id,
    policy: &Policy,
    now: Instant,
) -> Result<usize> {
    let changes = ask(tx, before, locked, by, policy, now)?;
    if changes.is_empty() {
        return Ok(0);
    }
    let of = |signup: &signups::Signup| Notice::RunChanged { signup_id: signup.id, changes: changes.clone() };
    notices::to_everybody_on(tx, locked.run.id, of, now)
}

/// Those who are asked about a change: with a place, and, about a far one, whoever asks or waits for one.
const ASKED: [SignupStatus; 4] =
    [SignupStatus::Confirmed, SignupStatus::Requested, SignupStatus::Waitlisted, SignupStatus::Offered];

/// Asks people as far as the change reaches, tells those who lead along of one that is not small, and says what changed:
/// telling the people is the caller's.
pub(in crate::service) fn ask(
    tx: &mut Tx<'_>,
    before: &Run,
    locked: &RunLocked,
    by: Id,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Change>> {
    let mut changes = changes(before, &locked.run);
    changes.extend(route_left_behind(tx, before, locked)?);
    if changes.is_empty() {
        return Ok(changes);
    }
    let run = &locked.run;
    if reach(before, run) != Reach::Small {
        let notice = Notice::LeadRunChanged { run_id: run.id, changes: changes.clone(), by: Some(by) };
        notices::to_facilitators(tx, run.id, Some(by), &notice, now)?;
        ask_those_invited_to_lead(tx, run, now)?;
    }
    let is_moved =
        (before.starts_at, before.details.lat, before.details.lng) != (run.starts_at, run.details.lat, run.details.lng);
    for mut signup in signups::of_run(tx, run.id, &ASKED)? {
        // Several steps that nobody was asked about are as far as they are together.
        let start = *signup.agreed_starts_at.get_or_insert(before.starts_at);
        let lat = *signup.agreed_lat.get_or_insert(before.details.lat);
        let lng = *signup.agreed_lng.get_or_insert(before.details.lng);
        match reach_since(start, LatLng { lat, lng }, before, run) {
            Reach::Small if !is_moved => continue,
            // Whatever was moved far is back near what they said yes to.
            Reach::Small => signup.clear_change_prompt(),
            Reach::Asks => {
                signup.clear_change_prompt();
                signup.change_asked_at = (signup.status == SignupStatus::Confirmed).then_some(now);
            }
            Reach::Far => {
                signup.change_asked_at = None;
                signup.reconfirm_by = Some(places::cut_off(run, policy));
                signup.reconfirm_reason = Some(ReconfirmReason::Changed);
            }
        }
        signups::update(tx, locked, &signup)?;
    }
    Ok(changes)
}

/// Whoever was asked to lead the run as it was is asked about it as it is: a yes by the earlier mail counts no more.
fn ask_those_invited_to_lead(tx: &mut Tx<'_>, run: &Run, now: Instant) -> Result<()> {
    for listing in facilitators::listings(tx, &[run.id])? {
        if listing.status == ListingStatus::Invited {
            let notice = Notice::CoFacilitatorInvited { run_id: run.id, account_id: listing.account_id };
            notices::to_person(tx, listing.account_id, notice, now)?;
        }
    }
    Ok(())
}

/// Takes away a route that does not pass the new meeting point, and says so: a line on the map elsewhere misleads people,
/// and whoever leads can give another.
fn route_left_behind(tx: &mut Tx<'_>, before: &Run, locked: &RunLocked) -> Result<Option<Change>> {
    let (old, new) = (before.meeting_point().point(), locked.run.meeting_point().point());
    if old == new {
        return Ok(None);
    }
    let Some(kept) = run_routes::find(tx, locked.run.id)? else { return Ok(None) };
    let route = route::from_geojson(kept.geometry.to_string().as_bytes());
    let still_fits = |route: &Route| route.passes(new) || (!route.passes(old) && route.fits(new).is_ok());
    if route.as_ref().is_ok_and(still_fits) {
        return Ok(None);
    }
    run_routes::remove(tx, locked)?;
    Ok(Some(Change {
        what: "The route on the map".to_owned(),
        before: format!("{:.1} km", kept.length_km),
        after: "none: the old one did not pass the new meeting point".to_owned(),
        tells_place: true,
    }))
}

/// Fits what was promised for the old start to the new one: offers end before it, and whoever has to say that they come
/// is asked in time.
pub fn fit_to_new_start(tx: &mut Tx<'_>, locked: &RunLocked, policy: &Policy, now: Instant) -> Result<()> {
    let start = locked.run.starts_at;
    for mut signup in signups::of_run(tx, locked.run.id, &ASKED)? {
        let first_yes_from = start.plus_hours(-policy.first_yes_hours);
        signup.offer_expires_at = signup.offer_expires_at.map(|until| until.min(first_yes_from).max(now));
        let cut_off = places::cut_off(&locked.run, policy);
        signup.reconfirm_by = signup.reconfirm_reason.map(|reason| match reason {
            ReconfirmReason::Absences => {
                Some(start.plus_hours(-policy.reconfirm_until_hours)).filter(|by| *by > now).unwrap_or(cut_off)
            }
            ReconfirmReason::Changed => cut_off,
        });
        signups::update(tx, locked, &signup)?;
    }
    extra_places::not_beyond(tx, locked, places::cut_off(&locked.run, policy).max(now))
}

/// The changes that tell where the group meets.
const PLACE_CHANGES: [&str; 3] = ["The meeting point", "How to find the group", "The point on the map"];

/// What those on a run need to hear about, in words.
pub fn changes(before: &Run, after: &Run) -> Vec<Change> {
    let when = |run: &Run| run_time_in_words(run.starts_at, &run.time_zone);
    let minutes = |run: &Run| format!("{} minutes", run.duration_min);
    let distance = |run: &Run| run.details.distance_km.map_or("not said".to_owned(), |km| format!("{km} km"));
    let way = |run: &Run| run.details.getting_there.clone().unwrap_or_else(|| "not said".to_owned());
    let mut changes = Vec::new();
    let mut compare = |what: &str, before: String, after: String| {
        if before != after {
            let tells_place = PLACE_CHANGES.contains(&what);
            changes.push(Change { what: what.to_owned(), before, after, tells_place });
        }
    };
    compare("The start", when(before), when(after));
    compare("The length", minutes(before), minutes(after));
    compare("The distance", distance(before), distance(after));
    compare("The activity", before.activity.in_words().to_owned(), after.activity.in_words().to_owned());
    compare("The pace", before.pace().in_min_per_km(), after.pace().in_min_per_km());
    compare("The meeting point", before.details.place_name.clone(), after.details.place_name.clone());
    compare("How to find the group", way(before), way(after));
    if (before.details.lat, before.details.lng) != (after.details.lat, after.details.lng)
        && before.details.place_name == after.details.place_name
    {
        let words = |run: &Run| format!("{:.5}, {:.5}", run.details.lat, run.details.lng);
        compare("The point on the map", words(before), words(after));
    }
    changes
}
