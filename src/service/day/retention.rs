//! How long it is kept who was on a run: for its facilitators two weeks, then sealed for welfare moderators, then
//! forgotten but for what each person's own history needs.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::seen;
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        account::Role,
        day::{ASK_AFTER_HOURS, SealReason},
        moderation::Act,
        refusal::{Code, Refusal},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::callers,
    store::{
        Conn, Db, Tx, accounts, day, facilitators, history,
        outbox::{self, Promise},
        runs::{self, Run},
        signups::{self, Signup},
    },
};

/// Hours within which facilitators are still asked about those not signed out: later it helps nobody.
const ASK_WITHIN_HOURS: i64 = 12;
/// The name under which it is noted that the facilitators were asked.
const ASKED: &str = "not_signed_out";

/// The body of `POST /moderation/sealed-rosters/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedLook {
    /// Why; it stands in the audit log.
    pub reason: SealReason,
    /// The report, incident or appeal.
    #[serde(default)]
    pub reference: Option<Id>,
}

/// A run whose sealed list this welfare moderator may open.
///
/// # Errors
/// [`Code::WelfareOnly`]; [`Code::DeskNotOpen`] while its facilitators see it, and nobody else; not found where nothing is
/// kept of it any more, or where they lead the run themselves.
pub fn sealed(conn: &mut Conn, by: Id, run: Id, policy: &Policy, now: Instant) -> Result<Run> {
    callers::still_moderates(conn, by, now)?;
    if !accounts::roles(conn, by)?.contains(&Role::WelfareModerator) {
        return Err(Code::WelfareOnly.into());
    }
    let run = runs::get(conn, run)?;
    let leads_it = facilitators::find_listing(conn, run.id, by)?.is_some();
    if leads_it || people_of(conn, run.id)?.is_empty() && day::guests_of(conn, run.id)?.is_empty() {
        return Err(Error::NotFound);
    }
    let from = sealed_at(&run, policy);
    if now < from {
        return Err(Refusal::from(Code::DeskNotOpen).with("from", from).into());
    }
    Ok(run)
}

fn people_of(conn: &mut Conn, run: Id) -> Result<Vec<Signup>> {
    let kept = [
        SignupStatus::Confirmed,
        SignupStatus::Attended,
        SignupStatus::NoShow,
        SignupStatus::Removed,
        SignupStatus::Withdrawn,
    ];
    signups::of_run(conn, run, &kept)
}

/// Opens a sealed list, and writes down that it was.
pub fn open_sealed(tx: &mut Tx<'_>, by: Id, run: &Run, why: &SealedLook, now: Instant) -> Result<Vec<Signup>> {
    let people = people_of(tx, run.id)?;
    let about = json!({ "reason": why.reason, "reference": why.reference, "people": people.len() });
    seen(tx, Act::SealedRosterSeen, by, None, run.id, about, now)?;
    Ok(people)
}

/// Lets a member of the team see who was involved in an incident, and writes down that they did.
///
/// # Errors
/// [`Code::WelfareOnly`] once the run's list is sealed.
pub fn look_at_incident(
    tx: &mut Tx<'_>,
    by: Id,
    incident: &day::Incident,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    callers::still_moderates(tx, by, now)?;
    let run = runs::get(tx, incident.run_id)?;
    let is_sealed = now >= sealed_at(&run, policy);
    if is_sealed && !accounts::roles(tx, by)?.contains(&Role::WelfareModerator) {
        return Err(Code::WelfareOnly.into());
    }
    seen(tx, Act::IncidentSeen, by, None, run.id, json!({ "incident_id": incident.id }), now)
}

/// From when only welfare moderators see who was on a run.
pub fn sealed_at(run: &Run, policy: &Policy) -> Instant {
    run.ends_at.plus_days(policy.roster_visible_days)
}

/// Runs whose facilitators are to be asked about those who were not signed out.
pub fn to_ask(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let (from, to) = (now.plus_hours(-ASK_AFTER_HOURS - ASK_WITHIN_HOURS), now.plus_hours(-ASK_AFTER_HOURS));
    let mut due = Vec::new();
    for run in day::with_people_not_signed_out(conn, from, to)? {
        let starts_at = runs::get(conn, run)?.starts_at;
        if !runs::reminded(conn, run, starts_at)?.iter().any(|moment| moment == ASKED) {
            due.push(run);
        }
    }
    Ok(due)
}

/// Asks a run's facilitators, once, whether everybody has gone home.
pub fn ask(tx: &mut Tx<'_>, run: Id, now: Instant) -> Result<bool> {
    let locked = runs::lock(tx, run)?;
    let starts_at = locked.run.starts_at;
    let asked = runs::reminded(tx, run, starts_at)?.iter().any(|moment| moment == ASKED);
    if asked || day::not_signed_out(tx, run)? == 0 {
        return Ok(false);
    }
    runs::mark_reminded(tx, run, ASKED, starts_at)?;
    for leader in facilitators::active_on(tx, run, now)? {
        let promise = Promise::new(leader, Notice::NotSignedOut { run_id: run }).of_run(run).urgently();
        outbox::promise(tx, promise, now)?;
    }
    Ok(true)
}

/// Erases guests, and forgets the lists of runs whose time is over and that nothing holds; each run by itself.
pub fn forget(db: &Db, policy: &Policy, now: Instant) -> Result<()> {
    db.write_here(|tx| day::erase_guests(tx, now.plus_days(-policy.guests_kept_days), now))?;
    let before = now.plus_days(-policy.roster_sealed_days);
    let due = db.read_here(|conn| day::with_lists_older_than(conn, before))?;
    for run in due {
        db.write_here(|tx| forget_list(tx, run, before, now))?;
    }
    db.write_here(|tx| history::forget_partners(tx, before))
}

fn forget_list(tx: &mut Tx<'_>, run: Id, before: Instant, now: Instant) -> Result<bool> {
    let mut locked = runs::lock(tx, run)?;
    if locked.run.ends_at > before || day::is_held(tx, run, now)? {
        return Ok(false);
    }
    history::keep(tx, &locked)?;
    day::forget_list(tx, &locked)?;
    locked.run.details.day_contact = None;
    runs::update(tx, &locked)?;
    Ok(true)
}
