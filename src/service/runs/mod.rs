//! Posting and editing runs; `changing` says what those on them hear of it, `leading` who answers for them,
//! `calling` brings substitutes in the order of `choosing`, and `calling_off` ends them.

pub mod calling;
pub mod calling_off;
pub mod changing;
mod choosing;
pub mod leading;

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::Act,
        policy::Leads,
        refusal::Code,
        run::{Derived, JoinPolicy, ListingStatus, RunDraft, RunStatus},
        series::changed_fields,
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{alerts, callers, notices, overlaps, places},
    store::{
        Conn, Tx, accounts, audit,
        facilitators::{self, Listing},
        runs::{self, Run, RunDetails, RunLocked},
        signups,
        sql_types::Json,
    },
};

/// Posts a run, led by its author; published unless it is a draft.
pub fn post(tx: &mut Tx<'_>, author: Id, draft: &RunDraft, external_id: Option<String>, now: Instant) -> Result<Run> {
    accounts::lock(tx, author)?;
    callers::in_good_standing(tx, author, now)?;
    let run = Run { external_id, ..planned(Some(author), draft, draft.derive(now, None)?, now) };
    overlaps::ensure_free_to_lead(tx, author, &[author], &run, draft.confirm_overlap)?;
    runs::insert(tx, &run)?;
    let listing = Listing::leader(run.id, author, ListingStatus::Accepted, author, now);
    facilitators::put_listing(tx, &listing)?;
    alerts::enqueue_alert_scan(tx, &[&run], now)?;
    Ok(run)
}

/// A run as it begins: what its draft says, and what follows from that.
pub(in crate::service) fn planned(author: Option<Id>, draft: &RunDraft, derived: Derived, now: Instant) -> Run {
    let id = Id::at(now);
    let details = RunDetails {
        run_id: id,
        description: String::new(),
        distance_km: None,
        lat: 0.0,
        lng: 0.0,
        place_name: String::new(),
        getting_there: None,
        area_cell: String::new(),
        questions: Json(Vec::new()),
        day_contact: None,
        cancel_reason: None,
        cancel_message: None,
        created_at: now,
        updated_at: now,
        series_kept: Json(Vec::new()),
    };
    let blank = Run {
        id,
        external_id: None,
        created_by: author,
        status: if draft.draft { RunStatus::Draft } else { RunStatus::Published },
        title: String::new(),
        activity: draft.activity,
        fastest_s_per_km: 0,
        slowest_s_per_km: 0,
        no_drop: false,
        duration_min: 0,
        starts_at: now,
        ends_at: now,
        time_zone: String::new(),
        point_is_public: false,
        shown_lat: 0.0,
        shown_lng: 0.0,
        after_dark: false,
        capacity: 0,
        newcomer_places: None,
        join_policy: draft.join_policy,
        languages: Json(Vec::new()),
        access: Json(Default::default()),
        paused_at: None,
        version: 1,
        last_queue_no: 0,
        closed_at: None,
        announced_left: 0,
        asked_one_to_one_at: None,
        series_id: None,
        series_date: None,
        details,
    };
    filled(blank, draft, derived, now)
}

/// Writes what a draft says, and what follows from it, into a run.
fn filled(mut run: Run, draft: &RunDraft, derived: Derived, now: Instant) -> Run {
    let text = |words: &Option<String>| words.clone().filter(|words| !words.trim().is_empty());
    run.title = draft.title.trim().to_owned();
    run.details.description = draft.description.trim().to_owned();
    run.activity = draft.activity;
    run.fastest_s_per_km = draft.pace.fastest_s_per_km;
    run.slowest_s_per_km = draft.pace.slowest_s_per_km;
    run.no_drop = draft.no_drop;
    run.details.distance_km = draft.distance_km;
    run.duration_min = draft.duration_min;
    run.starts_at = draft.starts_at;
    run.ends_at = derived.ends_at;
    run.time_zone = derived.time_zone;
    run.details.lat = draft.meeting_point.lat;
    run.details.lng = draft.meeting_point.lng;
    run.details.place_name = draft.meeting_point.name.trim().to_owned();
    run.details.getting_there = text(&draft.getting_there);
    run.point_is_public = derived.point_is_public;
    run.details.area_cell = derived.area.to_string();
    run.shown_lat = derived.shown.lat;
    run.shown_lng = derived.shown.lng;
    run.after_dark = derived.after_dark;
    run.capacity = draft.capacity;
    run.newcomer_places = draft.newcomer_places;
    run.join_policy = draft.join_policy;
    run.languages = Json(draft.languages.clone());
    run.access = Json(draft.access.clone());
    run.details.questions = Json(draft.questions.clone());
    run.details.day_contact = text(&draft.day_contact);
    run.details.updated_at = now;
    run
}

/// Whether somebody may see that a run exists: drafts are their facilitators' alone.
pub fn visible(conn: &mut Conn, run: Id, viewer: Option<Id>) -> Result<Run> {
    let found = runs::get(conn, run)?;
    if found.status == RunStatus::Draft {
        let listed = match viewer {
            Some(viewer) => facilitators::find_listing(conn, run, viewer)?.is_some(),
            None => false,
        };
        if !listed {
            return Err(Error::NotFound);
        }
    }
    Ok(found)
}

/// Refuses whoever may not see that a run exists, as [`visible`] does, without reading all of it.
///
/// # Errors
/// Not found.
pub fn is_visible(conn: &mut Conn, run: Id, viewer: Id) -> Result<()> {
    let status = runs::status(conn, run)?.ok_or(Error::NotFound)?;
    if status == RunStatus::Draft && facilitators::find_listing(conn, run, viewer)?.is_none() {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// Edits a run: everybody on it is told what changed, and more capacity lets those who wait in.
///
/// # Errors
/// [`Code::VersionStale`] unless `version` still stands under the lock.
pub fn edit(
    tx: &mut Tx<'_>,
    proof: &Leads,
    draft: &RunDraft,
    version: i32,
    policy: &Policy,
    now: Instant,
) -> Result<Run> {
    let leaders = lock_leaders(tx, proof.facilitator(), &[proof.run()])?;
    let mut locked = runs::lock(tx, proof.run())?;
    if locked.run.version != version {
        return Err(Code::VersionStale.into());
    }
    changeable(&locked.run, now)?;
    let before = locked.run.clone();
    keep_for_itself(&mut locked.run, draft);
    if draft.draft && before.status != RunStatus::Draft {
        let words = "a published run cannot become a draft again; cancel it instead";
        return Err(crate::domain::refusal::Fault::at("/draft", "already_published", words).into());
    }
    rewrite(tx, &mut locked, draft, now)?;
    still_free_to_lead(tx, proof.facilitator(), &leaders, &before, &locked.run, draft.confirm_overlap)?;
    if changing::tell_and_ask(tx, &before, &locked, proof.facilitator(), policy, now)? > 0 {
        record(tx, Act::RunEdited, proof.facilitator(), None, &locked.run, now)?;
    }
    fit(tx, &before, &mut locked, policy, now)?;
    Ok(locked.run)
}

/// Locks the accounts of whoever acts and of all who go along with these runs, in the order of their ids: nobody takes on
/// another run meanwhile.
pub(in crate::service) fn lock_leaders(tx: &mut Tx<'_>, me: Id, runs: &[Id]) -> Result<Vec<Id>> {
    let listings = facilitators::listings(tx, runs)?.into_iter();
    let accepted = listings.filter(|listing| listing.status == ListingStatus::Accepted);
    let people: BTreeSet<Id> = accepted.map(|listing| listing.account_id).chain([me]).collect();
    let people: Vec<Id> = people.into_iter().collect();
    accounts::lock_all(tx, &people)?;
    Ok(people)
}

/// Refuses a change by which somebody who leads the run would be in two places at once; a run that stays where and when it
/// is, is not asked about.
pub(in crate::service) fn still_free_to_lead(
    tx: &mut Tx<'_>,
    me: Id,
    locked_people: &[Id],
    before: &Run,
    after: &Run,
    confirm: bool,
) -> Result<()> {
    let when_and_where = |run: &Run| (run.starts_at, run.ends_at, run.meeting_point().point());
    let is_published_now = before.status == RunStatus::Draft && after.status != RunStatus::Draft;
    if when_and_where(before) == when_and_where(after) && !is_published_now {
        return Ok(());
    }
    let accepted = facilitators::accepted_on(tx, after.id)?;
    let leaders: Vec<Id> = accepted.into_iter().filter(|leader| locked_people.contains(leader)).collect();
    overlaps::ensure_free_to_lead(tx, me, &leaders, after, confirm)
}

/// Writes another draft into a locked run; it says itself who is told.
///
/// # Errors
/// [`Code::ChangeTooLate`] for a far change when people are setting out, and what is wrong with the draft.
pub(in crate::service) fn rewrite(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    draft: &RunDraft,
    now: Instant,
) -> Result<()> {
    let before = locked.run.clone();
    let derived = draft.derive(now, Some(before.starts_at))?;
    locked.run = filled(before.clone(), draft, derived, now);
    if before.status == RunStatus::Draft && !draft.draft {
        locked.run.status = RunStatus::Published;
    }
    if locked.run.status != RunStatus::Draft {
        changing::not_too_late(&before, &locked.run, now)?;
    }
    if before.terms(None) != locked.run.terms(None) {
        // Its two were asked about another start or place: they are asked afresh when it is time.
        locked.run.asked_one_to_one_at = None;
    }
    if !before.terms(None).hold_for(&locked.run.terms(None), &locked.run.time_zone) {
        // A free place is told of afresh: a yes by a mail about the old start or place no longer counts.
        locked.run.announced_left = 0;
    }
    locked.run.version += 1;
    runs::update(tx, locked)?;
    alerts::enqueue_alert_scan(tx, &[&locked.run], now)
}

/// Fits what was promised on a run to what it has become: offers, requests and places.
pub(in crate::service) fn fit(
    tx: &mut Tx<'_>,
    before: &Run,
    locked: &mut RunLocked,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    if before.starts_at != locked.run.starts_at {
        changing::fit_to_new_start(tx, locked, policy, now)?;
    }
    if before.join_policy == JoinPolicy::Approval && locked.run.join_policy == JoinPolicy::Open {
        requests_join_the_line(tx, locked, now)?;
    }
    places::settle(tx, locked, policy, now)?;
    Ok(())
}

/// One date of a series keeps what was changed on it alone: later edits of the series leave that as it is.
fn keep_for_itself(run: &mut Run, draft: &RunDraft) {
    if run.series_id.is_some() {
        run.details.series_kept.0.extend(changed_fields(&run.draft(), draft));
        run.details.series_kept.0.sort_unstable();
        run.details.series_kept.0.dedup();
    }
}

/// Closes a run for new sign-ups.
pub fn close(tx: &mut Tx<'_>, proof: &Leads, now: Instant) -> Result<Run> {
    let mut locked = runs::lock(tx, proof.run())?;
    changeable(&locked.run, now)?;
    if locked.run.closed_at.is_none() {
        locked.run.closed_at = Some(now);
        locked.run.version += 1;
        locked.run.details.updated_at = now;
        runs::update(tx, &locked)?;
    }
    Ok(locked.run)
}

/// Where no yes is needed any more, those who asked stand in line with the numbers they have, before whoever comes later.
fn requests_join_the_line(tx: &mut Tx<'_>, locked: &RunLocked, now: Instant) -> Result<()> {
    for mut signup in signups::of_run(tx, locked.run.id, &[SignupStatus::Requested])? {
        places::move_signup(tx, locked, &mut signup, SignupAct::ApproveToWait, Actor::System, now)?;
        notices::about_signup(tx, &signup, Notice::SignupWaitlisted { signup_id: signup.id }, now)?;
    }
    Ok(())
}

pub(super) fn changeable(run: &Run, now: Instant) -> Result<()> {
    match run.status {
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        RunStatus::Completed => Err(Code::RunOver.into()),
        _ if run.starts_at <= now => Err(Code::RunStarted.into()),
        _ => Ok(()),
    }
}

/// "Saturday 28 November 2026, 09:00", on the clock of the place.
pub fn run_time_in_words(at: Instant, zone: &str) -> String {
    at.local(zone).strftime("%A %-d %B %Y, %H:%M").to_string()
}

/// The title and when it begins.
pub fn in_short(run: &Run) -> String {
    format!("“{}”, {}", run.title, run_time_in_words(run.starts_at, &run.time_zone))
}

pub(super) fn record(tx: &mut Tx<'_>, act: Act, actor: Id, subject: Option<Id>, run: &Run, now: Instant) -> Result<()> {
    let about = json!({ "version": run.version, "status": run.status, "reason_code": run.details.cancel_reason });
    audit::record(tx, audit::AuditEvent { act, actor: Some(actor), subject, run: Some(run.id), about }, now)
}
