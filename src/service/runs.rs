//! Posting, editing, calling off and leading runs.

use serde_json::json;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::Act,
        policy::Leads,
        refusal::Code,
        run::{CancelReason, JoinPolicy, ListingStatus, RunDraft, RunStatus},
        signup::{SignupAct, SignupStatus, Who},
    },
    error::{Error, Result},
    id::Id,
    mail::{Change, Notice},
    service::{callers, notices, places, signups as seats},
    store::{
        Conn, Tx, accounts, audit,
        facilitators::{self, Listing},
        moderation,
        runs::{self, Run, RunLocked},
        signups,
        sql_types::Json,
    },
};

/// Posts a run, led by its author; published unless it is a draft.
pub fn post(tx: &mut Tx<'_>, author: Id, draft: &RunDraft, external_id: Option<String>, now: Instant) -> Result<Run> {
    accounts::lock(tx, author)?;
    callers::in_good_standing(tx, author, now)?;
    let blank = Run {
        id: Id::at(now),
        external_id,
        created_by: Some(author),
        status: if draft.draft { RunStatus::Draft } else { RunStatus::Published },
        title: String::new(),
        description: String::new(),
        activity: draft.activity,
        fastest_s_per_km: 0,
        slowest_s_per_km: 0,
        no_drop: false,
        distance_km: None,
        duration_min: 0,
        starts_at: now,
        ends_at: now,
        time_zone: String::new(),
        lat: 0.0,
        lng: 0.0,
        place_name: String::new(),
        getting_there: None,
        point_is_public: false,
        area_cell: String::new(),
        shown_lat: 0.0,
        shown_lng: 0.0,
        after_dark: false,
        capacity: 0,
        newcomer_places: None,
        join_policy: draft.join_policy,
        languages: Json(Vec::new()),
        access: Json(Default::default()),
        questions: Json(Vec::new()),
        day_contact: None,
        cancel_reason: None,
        cancel_message: None,
        paused_at: None,
        version: 1,
        last_queue_no: 0,
        created_at: now,
        updated_at: now,
    };
    let run = filled(blank, draft, now, None)?;
    runs::insert(tx, &run)?;
    let listing = Listing {
        run_id: run.id,
        account_id: author,
        status: ListingStatus::Accepted,
        listed_by: Some(author),
        listed_at: now,
    };
    facilitators::put_listing(tx, &listing)?;
    Ok(run)
}

/// Writes what a draft says, and what follows from it, into a run.
fn filled(mut run: Run, draft: &RunDraft, now: Instant, was: Option<Instant>) -> Result<Run> {
    let derived = draft.derive(now, was)?;
    let text = |words: &Option<String>| words.clone().filter(|words| !words.trim().is_empty());
    run.title = draft.title.trim().to_owned();
    run.description = draft.description.trim().to_owned();
    run.activity = draft.activity;
    run.fastest_s_per_km = draft.pace.fastest_s_per_km;
    run.slowest_s_per_km = draft.pace.slowest_s_per_km;
    run.no_drop = draft.no_drop;
    run.distance_km = draft.distance_km;
    run.duration_min = draft.duration_min;
    run.starts_at = draft.starts_at;
    run.ends_at = derived.ends_at;
    run.time_zone = derived.time_zone;
    run.lat = draft.meeting_point.lat;
    run.lng = draft.meeting_point.lng;
    run.place_name = draft.meeting_point.name.trim().to_owned();
    run.getting_there = text(&draft.getting_there);
    run.point_is_public = derived.point_is_public;
    run.area_cell = derived.area.to_string();
    run.shown_lat = derived.shown.lat;
    run.shown_lng = derived.shown.lng;
    run.after_dark = derived.after_dark;
    run.capacity = draft.capacity;
    run.newcomer_places = draft.newcomer_places;
    run.join_policy = draft.join_policy;
    run.languages = Json(draft.languages.clone());
    run.access = Json(draft.access.clone());
    run.questions = Json(draft.questions.clone());
    run.day_contact = text(&draft.day_contact);
    run.updated_at = now;
    Ok(run)
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

/// Edits a run: everybody on it is told what changed, and more capacity lets those who wait in.
///
/// # Errors
/// [`Code::VersionStale`] unless `version` still stands under the lock.
pub fn edit(tx: &mut Tx<'_>, proof: &Leads, draft: &RunDraft, version: i32, ratio: i32, now: Instant) -> Result<Run> {
    accounts::lock(tx, proof.facilitator())?;
    let mut locked = runs::lock(tx, proof.run())?;
    if locked.run.version != version {
        return Err(Code::VersionStale.into());
    }
    changeable(&locked.run, now)?;
    let before = locked.run.clone();
    if draft.draft && before.status != RunStatus::Draft {
        let words = "a published run cannot become a draft again; cancel it instead";
        return Err(crate::domain::refusal::Fault::at("/draft", "already_published", words).into());
    }
    locked.run = filled(before.clone(), draft, now, Some(before.starts_at))?;
    if before.status == RunStatus::Draft && !draft.draft {
        locked.run.status = RunStatus::Published;
    }
    locked.run.version += 1;
    runs::update(tx, &locked)?;
    let changes = changes(&before, &locked.run);
    if !changes.is_empty() {
        let told = notices::to_everybody_on(
            tx,
            locked.run.id,
            |signup| Notice::RunChanged { signup_id: signup.id, changes: changes.clone() },
            now,
        )?;
        if told > 0 {
            record(tx, Act::RunEdited, proof.facilitator(), None, &locked.run, now)?;
        }
    }
    if before.join_policy == JoinPolicy::Approval && locked.run.join_policy == JoinPolicy::Open {
        requests_join_the_line(tx, &locked, now)?;
    }
    places::promote(tx, &locked, ratio, now)?;
    Ok(locked.run)
}

/// Where no yes is needed any more, those who asked stand in line with the numbers they have, before whoever comes later.
fn requests_join_the_line(tx: &mut Tx<'_>, locked: &RunLocked, now: Instant) -> Result<()> {
    for mut signup in signups::of_run(tx, locked.run.id, &[SignupStatus::Requested])? {
        places::move_signup(tx, locked, &mut signup, SignupAct::ApproveToWait, Who::House, now)?;
        notices::about_signup(tx, &signup, Notice::SignupWaitlisted { signup_id: signup.id }, now)?;
    }
    Ok(())
}

fn changeable(run: &Run, now: Instant) -> Result<()> {
    match run.status {
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        RunStatus::Completed => Err(Code::RunOver.into()),
        _ if run.starts_at <= now => Err(Code::RunStarted.into()),
        _ => Ok(()),
    }
}

/// The changes that tell where the group meets.
const PLACE_CHANGES: [&str; 3] = ["The meeting point", "How to find the group", "The point on the map"];

/// What those on a run need to hear about, in words.
fn changes(before: &Run, after: &Run) -> Vec<Change> {
    let when = |run: &Run| run_time_in_words(run.starts_at, &run.time_zone);
    let minutes = |run: &Run| format!("{} minutes", run.duration_min);
    let distance = |run: &Run| run.distance_km.map_or("not said".to_owned(), |km| format!("{km} km"));
    let way = |run: &Run| run.getting_there.clone().unwrap_or_else(|| "not said".to_owned());
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
    compare("The meeting point", before.place_name.clone(), after.place_name.clone());
    compare("How to find the group", way(before), way(after));
    if (before.lat, before.lng) != (after.lat, after.lng) && before.place_name == after.place_name {
        let words = |run: &Run| format!("{:.5}, {:.5}", run.lat, run.lng);
        compare("The point on the map", words(before), words(after));
    }
    changes
}

/// "Saturday 28 November 2026, 09:00", on the clock of the place.
pub fn run_time_in_words(at: Instant, zone: &str) -> String {
    at.local(zone).strftime("%A %-d %B %Y, %H:%M").to_string()
}

/// Calls a run off: everybody on it is told why.
pub fn cancel(
    tx: &mut Tx<'_>,
    actor: Id,
    run: Id,
    reason: CancelReason,
    message: Option<String>,
    now: Instant,
) -> Result<Run> {
    accounts::lock(tx, actor)?;
    let mut locked = runs::lock(tx, run)?;
    if locked.run.status == RunStatus::Cancelled {
        return Ok(locked.run);
    }
    changeable(&locked.run, now)?;
    call_off(tx, &mut locked, Some(actor), reason, message, now)?;
    record(tx, Act::RunCancelled, actor, None, &locked.run, now)?;
    Ok(locked.run)
}

fn call_off(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    actor: Option<Id>,
    reason: CancelReason,
    message: Option<String>,
    now: Instant,
) -> Result<()> {
    locked.run.status = RunStatus::Cancelled;
    locked.run.cancel_reason = Some(reason);
    locked.run.cancel_message = message.filter(|words| !words.trim().is_empty());
    locked.run.version += 1;
    locked.run.updated_at = now;
    runs::update(tx, locked)?;
    let id = locked.run.id;
    notices::to_everybody_on(tx, id, |signup| Notice::RunCancelled { signup_id: signup.id }, now)?;
    notices::to_facilitators(tx, id, actor, &Notice::LeadRunCancelled { run_id: id }, now)
}

/// Asks another approved facilitator to lead together; they accept by the link or by listing themselves.
pub fn list_facilitator(tx: &mut Tx<'_>, proof: &Leads, account: Id, now: Instant) -> Result<Listing> {
    accounts::lock(tx, account)?;
    let locked = runs::lock(tx, proof.run())?;
    changeable(&locked.run, now)?;
    if !facilitators::in_good_standing(tx, &[account], now)?.contains(&account) {
        return Err(Code::NotApprovedFacilitator.into());
    }
    if facilitators::find_listing(tx, proof.run(), account)?.is_some() {
        return Err(Code::AlreadyListed.into());
    }
    if is_closed_to(tx, account, proof.run(), now)? {
        return Err(Code::NotApprovedFacilitator.into());
    }
    let listing = Listing {
        run_id: proof.run(),
        account_id: account,
        status: ListingStatus::Invited,
        listed_by: Some(proof.facilitator()),
        listed_at: now,
    };
    facilitators::put_listing(tx, &listing)?;
    let notice = Notice::CoFacilitatorInvited { run_id: proof.run(), account_id: account };
    notices::to_person(tx, account, notice, now)?;
    record(tx, Act::FacilitatorListed, proof.facilitator(), Some(account), &locked.run, now)?;
    Ok(listing)
}

/// Agrees to lead a run together. A run that was paused for want of a facilitator goes on.
pub fn accept_listing(tx: &mut Tx<'_>, account: Id, run: Id, policy: &Policy, now: Instant) -> Result<()> {
    accounts::lock(tx, account)?;
    callers::in_good_standing(tx, account, now)?;
    let mut locked = runs::lock(tx, run)?;
    let listing = facilitators::find_listing(tx, run, account)?.ok_or(Error::NotFound)?;
    if listing.status == ListingStatus::Accepted {
        return Ok(());
    }
    changeable(&locked.run, now)?;
    if is_closed_to(tx, account, run, now)? {
        return Err(Code::RunNotOpenToYou.into());
    }
    lead(tx, &mut locked, account, policy, now)
}

/// Whether somebody was removed from a run or is barred by one of its facilitators: then no role lets them in.
fn is_closed_to(tx: &mut Tx<'_>, account: Id, run: Id, now: Instant) -> Result<bool> {
    let put_out = signups::of_person_in_run(tx, account, run)?.iter().any(|signup| signup.status.is_final());
    Ok(put_out || moderation::is_barred_from(tx, account, run, now)?)
}

/// Takes over a paused run: it goes on, and everybody on it is told who leads now.
pub fn take_over(tx: &mut Tx<'_>, account: Id, run: Id, policy: &Policy, now: Instant) -> Result<Run> {
    accounts::lock(tx, account)?;
    callers::in_good_standing(tx, account, now)?;
    let mut locked = runs::lock(tx, run)?;
    if locked.run.status == RunStatus::Draft {
        return Err(Error::NotFound);
    }
    changeable(&locked.run, now)?;
    if locked.run.status != RunStatus::Paused {
        let leads_it = facilitators::active_on(tx, run, now)?.contains(&account);
        return if leads_it { Ok(locked.run) } else { Err(Code::RunNotPaused.into()) };
    }
    if now >= take_over_deadline(&locked.run, policy) {
        return Err(Code::TakeOverTooLate.into());
    }
    if is_closed_to(tx, account, run, now)? {
        return Err(Code::RunNotOpenToYou.into());
    }
    lead(tx, &mut locked, account, policy, now)?;
    record(tx, Act::RunTakenOver, account, None, &locked.run, now)?;
    Ok(locked.run)
}

/// Until when a paused run can be taken over.
pub fn take_over_deadline(run: &Run, policy: &Policy) -> Instant {
    run.starts_at.plus_hours(-policy.take_over_deadline_hours)
}

/// Makes somebody a facilitator of a locked run: their place as a participant ends, whomever they bar gives the place
/// up, a paused run goes on, and the places that their presence makes are filled.
fn lead(tx: &mut Tx<'_>, locked: &mut RunLocked, account: Id, policy: &Policy, now: Instant) -> Result<()> {
    let run = locked.run.id;
    let listing = Listing {
        run_id: run,
        account_id: account,
        status: ListingStatus::Accepted,
        listed_by: Some(account),
        listed_at: now,
    };
    facilitators::put_listing(tx, &listing)?;
    seats::give_up(tx, locked, account, now)?;
    let live = signups::of_run(tx, run, &SignupStatus::LIVE)?;
    let people: Vec<Id> = live.iter().map(|signup| signup.account_id).collect();
    let mut told = std::collections::BTreeSet::new();
    for bar in moderation::bars_by(tx, account, &people, now)? {
        if told.insert(bar.account_id) && seats::give_up(tx, locked, bar.account_id, now)? {
            notices::to_person(tx, bar.account_id, Notice::Barred { bar_id: bar.id, runs: vec![run] }, now)?;
            record(tx, Act::SignupRemoved, account, Some(bar.account_id), &locked.run, now)?;
        }
    }
    resume_if_paused(tx, locked, policy, now)
}

fn resume_if_paused(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<()> {
    if locked.run.status == RunStatus::Paused {
        locked.run.status = RunStatus::Published;
        locked.run.paused_at = None;
        locked.run.updated_at = now;
        runs::update(tx, locked)?;
        let run = locked.run.id;
        notices::to_everybody_on(tx, run, |signup| Notice::RunResumed { signup_id: signup.id }, now)?;
    }
    places::promote(tx, locked, policy.facilitator_ratio, now)?;
    Ok(())
}

/// Steps down from a run, or declines to lead it together. The last to go leaves it paused.
pub fn step_down(tx: &mut Tx<'_>, account: Id, run: Id, policy: &Policy, now: Instant) -> Result<()> {
    accounts::lock(tx, account)?;
    let mut locked = runs::lock(tx, run)?;
    if facilitators::find_listing(tx, run, account)?.is_none() {
        return Err(Error::NotFound);
    }
    changeable(&locked.run, now)?;
    facilitators::remove_listing(tx, run, account)?;
    pause_if_unled(tx, &mut locked, policy, now)
}

/// Takes another facilitator off a run.
pub fn unlist_facilitator(tx: &mut Tx<'_>, proof: &Leads, account: Id, policy: &Policy, now: Instant) -> Result<()> {
    step_down(tx, account, proof.run(), policy, now)?;
    let run = runs::get(tx, proof.run())?;
    notices::to_person(tx, account, Notice::FacilitatorUnlisted { run_id: run.id }, now)?;
    record(tx, Act::FacilitatorUnlisted, proof.facilitator(), Some(account), &run, now)
}

/// Pauses a published run on which nobody is active any more and tells everybody on it; past the deadline it is called
/// off at once, since no substitute could take over in time. Promise 3.
pub fn pause_if_unled(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<()> {
    let run = &locked.run;
    if run.status != RunStatus::Published || run.starts_at <= now {
        return Ok(());
    }
    if !facilitators::active_on(tx, run.id, now)?.is_empty() {
        return Ok(());
    }
    if now >= take_over_deadline(run, policy) {
        return call_off(tx, locked, None, CancelReason::NoFacilitator, None, now);
    }
    let id = run.id;
    locked.run.status = RunStatus::Paused;
    locked.run.paused_at = Some(now);
    locked.run.updated_at = now;
    runs::update(tx, locked)?;
    notices::to_everybody_on(tx, id, |signup| Notice::RunPaused { signup_id: signup.id }, now)?;
    notices::to_facilitators(tx, id, None, &Notice::LeadRunPaused { run_id: id }, now)
}

/// Ends a pause that has become needless, when a decision about its facilitator has run out; otherwise calls the run off
/// once its deadline has passed. Says whether it did either.
pub fn end_pause(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    let is_led = !facilitators::active_on(tx, run, now)?.is_empty();
    if locked.run.status == RunStatus::Paused && is_led && locked.run.starts_at > now {
        resume_if_paused(tx, &mut locked, policy, now)?;
        return Ok(true);
    }
    let overdue = locked.run.status == RunStatus::Paused && now >= take_over_deadline(&locked.run, policy);
    if overdue {
        call_off(tx, &mut locked, None, CancelReason::NoFacilitator, None, now)?;
    }
    Ok(overdue)
}

fn record(tx: &mut Tx<'_>, act: Act, actor: Id, subject: Option<Id>, run: &Run, now: Instant) -> Result<()> {
    let about = json!({ "version": run.version, "status": run.status, "reason_code": run.cancel_reason });
    audit::record(tx, audit::Deed { act, actor: Some(actor), subject, run: Some(run.id), about }, now)
}
