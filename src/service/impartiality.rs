//! Whom a report concerns, and what keeps a member of the team from deciding about somebody.
//!
//! A report is hidden from whom it concerns. So nobody may learn of it by being refused either: the refusal has several
//! causes, and some of them are nobody's doing.

use crate::{
    clock::Instant,
    domain::{moderation::AboutKind, refusal::Code},
    error::Result,
    id::Id,
    service::callers,
    store::{
        Conn, announcements, blocks, day, facilitators,
        moderation::{self, Report},
        signups,
    },
};

/// Whom a report is about, where that is known.
pub fn person_behind(conn: &mut Conn, report: &Report) -> Result<Option<Id>> {
    match (report.about_kind, report.about_id) {
        (AboutKind::Account | AboutKind::Facilitator, person) => Ok(person),
        (AboutKind::Announcement, Some(id)) => Ok(announcements::find(conn, id)?.and_then(|said| said.author_id)),
        (AboutKind::Run | AboutKind::Announcement, _) => Ok(None),
    }
}

/// Whether a report is about somebody or may be: about them by name, about a run that they lead or led when it was
/// reported, about an incident in which they were involved, or about somebody without a name on a run on which they were.
pub fn concerns(conn: &mut Conn, report: &Report, person: Id) -> Result<bool> {
    if person_behind(conn, report)? == Some(person) || moderation::led_reported_run(conn, report.id, person)? {
        return Ok(true);
    }
    let Some(run) = report.about_id.filter(|_| report.about_kind == AboutKind::Run).or(report.run_id) else {
        return Ok(false);
    };
    if facilitators::find_listing(conn, run, person)?.is_some() {
        return Ok(true);
    }
    let is_nameless = report.about_kind == AboutKind::Account && report.about_id.is_none();
    if is_nameless && blocks::people_of_past_run(conn, run)?.iter().any(|(other, _)| *other == person) {
        return Ok(true);
    }
    let Some(incident) = day::incident_of_report(conn, report.id)? else { return Ok(false) };
    let own = signups::of_person_in_run(conn, person, run)?;
    Ok(own.iter().any(|signup| incident.signup_ids.contains(&signup.id)))
}

/// Whether a report comes from somebody, is about them, or touches a run on which they were.
fn involves(conn: &mut Conn, report: &Report, person: Id) -> Result<bool> {
    if report.reporter_id == Some(person) || concerns(conn, report, person)? {
        return Ok(true);
    }
    let Some(run) = report.run_id else { return Ok(false) };
    let is_about_a_person = person_behind(conn, report)?.is_some();
    Ok(!is_about_a_person && !signups::of_person_in_run(conn, person, run)?.is_empty())
}

/// Whether something open stands between a member of the team and somebody: a block, whichever of the two made it; an
/// objection to what the member decided as a facilitator; or a report that concerns the member and involves the other.
pub fn stands_between(conn: &mut Conn, member: Id, person: Id) -> Result<bool> {
    if blocks::apart_from(conn, member)?.contains(&person) {
        return Ok(true);
    }
    if moderation::has_open_appeal_against(conn, person, member)? {
        return Ok(true);
    }
    for report in moderation::open_reports_touching(conn, member)? {
        if concerns(conn, &report, member)? && involves(conn, &report, person)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses a member of the team to decide about somebody while something stands between the two and others can decide.
/// Alone in the team, one decides. Where something stands between the person and everybody else in the team as well, all
/// may decide: reporting the whole team protects nobody. Where the person is the only other member, nobody may: the report
/// is closed first.
///
/// # Errors
/// [`Code::AnotherDecides`].
pub fn ensure(conn: &mut Conn, member: Id, person: Id, now: Instant) -> Result<()> {
    if member == person || !stands_between(conn, member, person)? {
        return Ok(());
    }
    let team = callers::rest_of_the_team(conn, member, now)?;
    if team.is_empty() {
        return Ok(());
    }
    let others: Vec<Id> = team.into_iter().filter(|other| *other != person).collect();
    let mut free = others.is_empty();
    for other in others {
        free = free || !stands_between(conn, other, person)?;
    }
    if free { Err(Code::AnotherDecides.into()) } else { Ok(()) }
}

/// The same for a report that a member of the team closes or takes on: about whoever wrote it and whomever it is about.
///
/// # Errors
/// [`Code::AnotherDecides`].
pub fn ensure_for_report(conn: &mut Conn, member: Id, report: &Report, now: Instant) -> Result<()> {
    let people = [report.reporter_id, person_behind(conn, report)?];
    people.into_iter().flatten().try_for_each(|person| ensure(conn, member, person, now))
}
