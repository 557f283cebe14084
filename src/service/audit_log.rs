//! Which rows of the audit log an admin reads: what others did about the reader, and what tells who reported a run of
//! theirs or looks for somebody on a run on which they were, is for the rest of the team.

use serde_json::Value;

use crate::{
    clock::Instant,
    domain::moderation::Act,
    error::Result,
    id::Id,
    service::{callers, impartiality},
    store::{Conn, audit::Entry, blocks, day, facilitators, moderation},
};

/// Whether a reader sees a row. In a team of one they see all.
pub fn is_shown(conn: &mut Conn, entry: &Entry, reader: Id, now: Instant) -> Result<bool> {
    if entry.actor == Some(reader) {
        return Ok(true);
    }
    let is_party = entry.subject == Some(reader) || touches(conn, entry, reader)?;
    Ok(!is_party || callers::rest_of_the_team(conn, reader, now)?.is_empty())
}

/// Whether a row without the reader's name tells of a report, a block or a wish that is hidden from them.
fn touches(conn: &mut Conn, entry: &Entry, reader: Id) -> Result<bool> {
    match entry.act {
        Act::ReportFiled | Act::ReportAssigned | Act::ReportResolved | Act::IncidentReported => {
            concerned(conn, id(&entry.about, "report_id"), entry.run_id, reader)
        }
        Act::SealedRosterSeen => concerned(conn, id(&entry.about, "reference"), entry.run_id, reader),
        Act::IncidentSeen => {
            let incident =
                id(&entry.about, "incident_id").map(|id| day::find_incident(conn, id)).transpose()?.flatten();
            concerned(conn, incident.map(|incident| incident.report_id), entry.run_id, reader)
        }
        Act::BlockSet | Act::BlockLifted | Act::BlockResolved | Act::BlockDismissed | Act::BlockRosterRead => {
            let block = id(&entry.about, "block_id").map(|id| blocks::find(conn, id)).transpose()?.flatten();
            let is_theirs = block.is_some_and(|block| block.blocker_id == reader || block.blocked_id == Some(reader));
            Ok(is_theirs || was_on(conn, entry.run_id, reader)?)
        }
        Act::CareTaken | Act::CareDone => leads(conn, entry.run_id, reader),
        _ => Ok(false),
    }
}

fn concerned(conn: &mut Conn, report: Option<Id>, run: Option<Id>, reader: Id) -> Result<bool> {
    match report.map(|report| moderation::find_report(conn, report)).transpose()?.flatten() {
        Some(report) => impartiality::concerns(conn, &report, reader),
        None => leads(conn, run, reader),
    }
}

fn leads(conn: &mut Conn, run: Option<Id>, reader: Id) -> Result<bool> {
    let listing = run.map(|run| facilitators::find_listing(conn, run, reader)).transpose()?.flatten();
    Ok(listing.is_some())
}

fn was_on(conn: &mut Conn, run: Option<Id>, reader: Id) -> Result<bool> {
    let people = run.map(|run| blocks::people_of_past_run(conn, run)).transpose()?.unwrap_or_default();
    Ok(people.iter().any(|(person, _)| *person == reader))
}

fn id(about: &Value, name: &str) -> Option<Id> {
    about.get(name)?.as_str()?.parse().ok()
}
