//! Who leads a run: asking, accepting, stepping down, taking over; and the pause of a run that nobody leads. Promise 3.

use super::{calling, calling_off, changeable, record};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{Act, AppealKind},
        policy::Leads,
        refusal::{Code, Refusal},
        run::{CancelReason, ListingRole, ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{alerts, callers, entry, notices, overlaps, places, signups as seats},
    store::{
        Conn, Tx, accounts,
        facilitators::{self, Listing},
        moderation,
        outbox::{self, Promise},
        runs::{self, Run, RunLocked},
        series, signups, yeses,
    },
};

/// Asks another approved facilitator to lead together, or to be the back marker; they accept by the link or by listing
/// themselves.
pub fn list_facilitator(
    tx: &mut Tx<'_>,
    proof: &Leads,
    account: Id,
    role: ListingRole,
    now: Instant,
) -> Result<Listing> {
    accounts::lock(tx, account)?;
    let locked = runs::lock(tx, proof.run())?;
    changeable(&locked.run, now)?;
    if !facilitators::in_good_standing(tx, &[account], now)?.contains(&account) {
        return Err(Code::NotApprovedFacilitator.into());
    }
    if facilitators::find_listing(tx, proof.run(), account)?.is_some() {
        return Err(Code::AlreadyListed.into());
    }
    if entry::is_closed_to(tx, account, proof.run(), now)? {
        return Err(Code::NotApprovedFacilitator.into());
    }
    let listing =
        Listing::leader(proof.run(), account, ListingStatus::Invited, proof.facilitator(), now).with_role(role);
    facilitators::put_listing(tx, &listing)?;
    let notice = Notice::CoFacilitatorInvited { run_id: proof.run(), account_id: account };
    notices::to_person(tx, account, notice, now)?;
    record(tx, Act::FacilitatorListed, proof.facilitator(), Some(account), &locked.run, now)?;
    Ok(listing)
}

/// Agrees to lead a run together, or to be its back marker. A run that was paused for want of a facilitator goes on once
/// somebody leads it.
///
/// # Errors
/// [`Code::OverlappingRun`] for whoever is elsewhere at that time, unless they `confirm` to lead both.
pub fn accept_listing(
    tx: &mut Tx<'_>,
    account: Id,
    run: Id,
    confirm: bool,
    policy: &Policy,
    now: Instant,
) -> Result<Listing> {
    accounts::lock(tx, account)?;
    callers::in_good_standing(tx, account, now)?;
    let mut locked = lock_with_series(tx, run)?;
    let listing = facilitators::find_listing(tx, run, account)?.ok_or(Error::NotFound)?;
    if listing.status == ListingStatus::Accepted {
        return Ok(listing);
    }
    changeable(&locked.run, now)?;
    if entry::is_closed_to(tx, account, run, now)? {
        return Err(Code::RunNotOpenToYou.into());
    }
    overlaps::ensure_free_to_lead(tx, account, &[account], &locked.run, confirm)?;
    go_along(tx, &mut locked, account, listing.role, policy, now)
}

/// Takes over a paused run: it goes on, and everybody on it is told who leads now. On a run that has too few facilitators,
/// whoever was called leads together with those who are there.
///
/// # Errors
/// [`Code::OverlappingRun`] for whoever is elsewhere at that time, unless they `confirm` to lead both.
pub fn take_over(tx: &mut Tx<'_>, account: Id, run: Id, confirm: bool, policy: &Policy, now: Instant) -> Result<Run> {
    accounts::lock(tx, account)?;
    callers::in_good_standing(tx, account, now)?;
    let mut locked = lock_with_series(tx, run)?;
    if locked.run.status == RunStatus::Draft {
        return Err(Error::NotFound);
    }
    changeable(&locked.run, now)?;
    if locked.run.status != RunStatus::Paused {
        if facilitators::active_on(tx, run, now)?.contains(&account) {
            return Ok(locked.run);
        }
        if !calling::is_called(tx, account, &locked.run, policy, now)? {
            return Err(Code::RunNotPaused.into());
        }
    }
    if now >= take_over_deadline(&locked.run, policy) {
        return Err(Code::TakeOverTooLate.into());
    }
    if entry::is_closed_to(tx, account, run, now)? {
        return Err(Code::RunNotOpenToYou.into());
    }
    if !facilitators::lapsed_at(tx, &[account], locked.run.starts_at)?.is_empty() {
        let words = "One of your required credentials lapses before the start.";
        return Err(Refusal::from(Code::NotInGoodStanding).because(words).into());
    }
    overlaps::ensure_free_to_lead(tx, account, &[account], &locked.run, confirm)?;
    go_along(tx, &mut locked, account, ListingRole::Leader, policy, now)?;
    record(tx, Act::RunTakenOver, account, None, &locked.run, now)?;
    Ok(locked.run)
}

/// Locks a run whose pause may end, and its series before it: that is then asked to seat its regulars.
fn lock_with_series(tx: &mut Tx<'_>, run: Id) -> Result<RunLocked> {
    if let Some(series) = runs::get(tx, run)?.series_id {
        series::lock(tx, series)?;
    }
    runs::lock(tx, run)
}

/// Until when a paused run can be taken over.
pub fn take_over_deadline(run: &Run, policy: &Policy) -> Instant {
    run.starts_at.plus_hours(-policy.take_over_deadline_hours)
}

/// Who leads a run and still can when it starts: from some days ahead on, a required credential has to reach that far.
pub fn answering_for(conn: &mut Conn, run: &Run, policy: &Policy, now: Instant) -> Result<Vec<Id>> {
    let mut leaders = facilitators::active_on(conn, run.id, now)?;
    if now >= run.starts_at.plus_days(-policy.credential_pause_days) {
        let lapsed = facilitators::lapsed_at(conn, &leaders, run.starts_at)?;
        leaders.retain(|leader| !lapsed.contains(leader));
    }
    Ok(leaders)
}

/// Makes somebody a facilitator of a locked run: their place as a participant ends, whomever they bar gives the place
/// up, a paused run goes on once it is led, and the places that their presence makes are filled.
fn go_along(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    account: Id,
    role: ListingRole,
    policy: &Policy,
    now: Instant,
) -> Result<Listing> {
    let run = locked.run.id;
    let listing = Listing::leader(run, account, ListingStatus::Accepted, account, now).with_role(role);
    facilitators::put_listing(tx, &listing)?;
    led_by_others(tx, locked)?;
    seats::give_up(tx, locked, account, None, now)?;
    let live = signups::of_run(tx, run, &SignupStatus::LIVE)?;
    let people: Vec<Id> = live.iter().map(|signup| signup.account_id).collect();
    let mut told = std::collections::BTreeSet::new();
    for bar in moderation::bars_by(tx, account, &people, now)? {
        if told.insert(bar.account_id)
            && seats::give_up(tx, locked, bar.account_id, Some((AppealKind::Bar, bar.id)), now)?
        {
            let notice = Notice::Barred { bar_id: bar.id, runs: vec![run] };
            notices::of_act(tx, bar.facilitator_id, bar.account_id, notice, now)?;
            record(tx, Act::SignupRemoved, account, Some(bar.account_id), &locked.run, now)?;
        }
    }
    resume_if_led(tx, locked, policy, now)?;
    places::settle(tx, locked, policy, now)?;
    if role == ListingRole::Leader {
        // A run that was full may have places now.
        alerts::enqueue_alert_scan(tx, &[&locked.run], now)?;
    }
    Ok(listing)
}

/// With whom one would be alone has changed: a yes that was given to somebody else counts no more. Promise 3.
fn led_by_others(tx: &mut Tx<'_>, locked: &mut RunLocked) -> Result<()> {
    if locked.run.asked_one_to_one_at.take().is_some() { runs::update(tx, locked) } else { Ok(()) }
}

/// Ends the pause of a run that somebody leads; says whether it did. Everybody on it is told who leads now.
fn resume_if_led(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<bool> {
    if locked.run.status != RunStatus::Paused || answering_for(tx, &locked.run, policy, now)?.is_empty() {
        return Ok(false);
    }
    locked.run.status = RunStatus::Published;
    locked.run.paused_at = None;
    locked.run.details.updated_at = now;
    runs::update(tx, locked)?;
    alerts::enqueue_alert_scan(tx, &[&locked.run], now)?;
    let run = locked.run.id;
    notices::to_everybody_on(tx, run, |signup| Notice::RunResumed { signup_id: signup.id }, now)?;
    if let Some(series) = locked.run.series_id {
        series::ask_for_seats(tx, series)?;
    }
    Ok(true)
}

/// Steps down from a run, or declines to lead it together. The last to go leaves it paused; after the deadline those who
/// lead it with them take over at once, and everybody on it is told who leads now, or it is called off at once.
pub fn step_down(tx: &mut Tx<'_>, account: Id, run: Id, policy: &Policy, now: Instant) -> Result<()> {
    accounts::lock(tx, account)?;
    let mut locked = runs::lock(tx, run)?;
    let Some(listing) = facilitators::find_listing(tx, run, account)? else { return Err(Error::NotFound) };
    changeable(&locked.run, now)?;
    facilitators::remove_listing(tx, run, account)?;
    yeses::forget(tx, run, account)?;
    led_by_others(tx, &mut locked)?;
    pause_unless_led(tx, &mut locked, Some(account), policy, now)?;
    places::settle(tx, &mut locked, policy, now)?;
    let led = listing.status == ListingStatus::Accepted && listing.role == ListingRole::Leader;
    let late = now >= take_over_deadline(&locked.run, policy);
    if led && late && locked.run.status == RunStatus::Published {
        for signup in signups::of_run(tx, run, &SignupStatus::LIVE)? {
            let notice = Notice::LeadersChanged { signup_id: signup.id };
            outbox::promise(tx, Promise::new(signup.account_id, notice).of_signup(&signup).urgently(), now)?;
        }
    }
    Ok(())
}

/// Takes another facilitator off a run.
pub fn unlist_facilitator(tx: &mut Tx<'_>, proof: &Leads, account: Id, policy: &Policy, now: Instant) -> Result<()> {
    let listing = facilitators::find_listing(tx, proof.run(), account)?.ok_or(Error::NotFound)?;
    step_down(tx, account, proof.run(), policy, now)?;
    let run = runs::get(tx, proof.run())?;
    let notice = Notice::FacilitatorUnlisted {
        run_id: run.id,
        back_marker: listing.role == ListingRole::BackMarker,
        accepted: listing.status == ListingStatus::Accepted,
    };
    notices::to_person(tx, account, notice, now)?;
    record(tx, Act::FacilitatorUnlisted, proof.facilitator(), Some(account), &run, now)
}

/// Pauses a published run that nobody can lead any more and tells everybody on it; past the deadline it is called off at
/// once, since no substitute could take over in time. Promise 3. Whoever could help is called, also where somebody still
/// leads but more are needed.
pub fn pause_if_unled(tx: &mut Tx<'_>, locked: &mut RunLocked, policy: &Policy, now: Instant) -> Result<()> {
    pause_unless_led(tx, locked, None, policy, now)
}

fn pause_unless_led(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    gone: Option<Id>,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    let run = &locked.run;
    if run.status != RunStatus::Published || run.starts_at <= now {
        return Ok(());
    }
    if !answering_for(tx, run, policy, now)?.is_empty() {
        return calling::call(tx, locked, gone, policy, now);
    }
    if now >= take_over_deadline(run, policy) {
        return calling_off::call_off(tx, locked, None, CancelReason::NoFacilitator, None, now);
    }
    let id = run.id;
    locked.run.status = RunStatus::Paused;
    locked.run.paused_at = Some(now);
    locked.run.details.updated_at = now;
    runs::update(tx, locked)?;
    notices::to_everybody_on(tx, id, |signup| Notice::RunPaused { signup_id: signup.id }, now)?;
    notices::to_facilitators(tx, id, None, &Notice::LeadRunPaused { run_id: id }, now)?;
    calling::call(tx, locked, gone, policy, now)
}

/// Ends a pause that has become needless, when a decision about its facilitator has run out; otherwise calls the run off
/// once its deadline has passed. Says whether it did either.
pub fn end_pause(tx: &mut Tx<'_>, run: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let mut locked = lock_with_series(tx, run)?;
    if locked.run.starts_at > now && resume_if_led(tx, &mut locked, policy, now)? {
        places::settle(tx, &mut locked, policy, now)?;
        return Ok(true);
    }
    let overdue = locked.run.status == RunStatus::Paused && now >= take_over_deadline(&locked.run, policy);
    if overdue {
        calling_off::call_off(tx, &mut locked, None, CancelReason::NoFacilitator, None, now)?;
    }
    Ok(overdue)
}

/// Who leads a run, has a required credential that lapses before it, and has not been told; each with the key under which
/// they are told once for each day on which credentials end.
pub fn lapses_to_tell(conn: &mut Conn, run: &Run, now: Instant) -> Result<Vec<(Id, String)>> {
    let leaders = facilitators::active_on(conn, run.id, now)?;
    let mut untold = Vec::new();
    for leader in facilitators::lapsed_at(conn, &leaders, run.starts_at)? {
        let Some(until) = facilitators::credentials_count_until(conn, leader)? else { continue };
        let key = format!("lapse:{leader}:{until}");
        if !outbox::is_promised(conn, &key)? {
            untold.push((leader, key));
        }
    }
    Ok(untold)
}

/// Tells facilitators in good time that a required credential of theirs lapses before a run that they lead. Says whether
/// somebody was told.
pub fn warn_of_lapses(tx: &mut Tx<'_>, run: Id, now: Instant) -> Result<bool> {
    let run = runs::get(tx, run)?;
    let mut told = false;
    for (leader, key) in lapses_to_tell(tx, &run, now)? {
        let promise = Promise::new(leader, Notice::CredentialLapses { run_id: run.id }).of_run(run.id);
        told |= outbox::promise(tx, promise.once(key), now)?;
    }
    Ok(told)
}
