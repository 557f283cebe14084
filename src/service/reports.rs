//! Reports: anybody tells the team about a run, a person or a facilitator; the team assigns and resolves.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    domain::{
        moderation::{AboutKind, Act, Category, ReportStatus},
        refusal::{Code, Fault},
        run::RunStatus,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, impartiality, notices},
    store::{
        Conn, Tx, accounts, announcements, audit, facilitators,
        moderation::{self, Report},
        runs, signups,
    },
};

/// What a report is about: a thing with an id, or somebody met on a run whom one cannot name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    #[serde(default)]
    pub kind: Option<AboutKind>,
    #[serde(default)]
    pub id: Option<Id>,
    /// The run on which it happened.
    #[serde(default)]
    pub run_id: Option<Id>,
    /// "The man in the red jacket".
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: Option<String>,
}

/// The body of `POST /reports`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    pub about: About,
    pub category: Category,
    /// What happened, in the reporter's words.
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    pub statement: String,
}

/// Files a report in the moderators' queue, safeguarding first, and tells the team. A run's facilitators hear nothing: on a
/// run of two they would know who spoke.
pub fn file(tx: &mut Tx<'_>, reporter: Id, new: &NewReport, now: Instant) -> Result<Report> {
    let (kind, run) = target(tx, reporter, &new.about)?;
    let report = Report {
        id: Id::at(now),
        reporter_id: Some(reporter),
        about_kind: kind,
        about_id: new.about.id,
        run_id: run,
        description: new.about.description.clone(),
        category: new.category,
        urgency: new.category.urgency(),
        statement: new.statement.clone(),
        status: ReportStatus::Open,
        assigned_to: None,
        resolution: None,
        created_at: now,
        resolved_at: None,
    };
    moderation::insert_report(tx, &report)?;
    if let Some(run) = run {
        moderation::note_report_leaders(tx, report.id, run)?;
    }
    let notice = Notice::ReportReceived { report_id: report.id, gathered: false };
    for member in callers::rest_of_the_team(tx, reporter, now)? {
        if !is_concerned(tx, &report, member, now)? {
            notices::of_act(tx, reporter, member, notice.clone(), now)?;
        }
    }
    record(tx, Act::ReportFiled, Some(reporter), &report, now)?;
    Ok(report)
}

fn target(conn: &mut Conn, reporter: Id, about: &About) -> Result<(AboutKind, Option<Id>)> {
    let nothing = |pointer: &str| -> Error { Fault::at(pointer, "not_found", "there is nothing with this id").into() };
    let in_the_open = |run: &runs::Run| run.status != RunStatus::Draft;
    if let Some(run) = about.run_id {
        runs::find(conn, run)?.filter(in_the_open).ok_or_else(|| nothing("/about/run_id"))?;
    }
    match (about.kind, about.id) {
        (Some(AboutKind::Run), Some(id)) => {
            runs::find(conn, id)?.filter(in_the_open).ok_or_else(|| nothing("/about/id"))?;
            Ok((AboutKind::Run, Some(id)))
        }
        (Some(kind @ (AboutKind::Account | AboutKind::Facilitator)), Some(id)) => {
            accounts::find(conn, id)?.ok_or_else(|| nothing("/about/id"))?;
            Ok((kind, about.run_id))
        }
        (None, None) if about.run_id.is_some() && about.description.is_some() => Ok((AboutKind::Account, about.run_id)),
        (Some(AboutKind::Announcement), Some(id)) => {
            let said = announcements::find(conn, id)?.ok_or_else(|| nothing("/about/id"))?;
            let got_it = !signups::of_person_in_run(conn, reporter, said.run_id)?.is_empty()
                || facilitators::find_listing(conn, said.run_id, reporter)?.is_some();
            if got_it { Ok((AboutKind::Announcement, Some(said.run_id))) } else { Err(nothing("/about/id")) }
        }
        _ => {
            let words = "give kind and id, or run_id and description";
            Err(Fault::at("/about", "incomplete", words).into())
        }
    }
}

/// Takes a report on, or hands it to another moderator.
pub fn assign(tx: &mut Tx<'_>, moderator: Id, report: Id, to: Id, now: Instant) -> Result<Report> {
    let mut report = seen_by(tx, moderator, report, now)?;
    if report.status == ReportStatus::Resolved {
        return Err(Code::ReportResolved.into());
    }
    if accounts::roles(tx, to)?.is_empty() {
        return Err(Fault::at("/account_id", "no_moderator", "only moderators can take a report").into());
    }
    callers::still_moderates(tx, moderator, now)?;
    if is_concerned(tx, &report, to, now)? {
        return Err(Code::NotForYourself.into());
    }
    impartiality::ensure_for_report(tx, to, &report, now)?;
    report.status = ReportStatus::Assigned;
    report.assigned_to = Some(to);
    moderation::update_report(tx, &report)?;
    record(tx, Act::ReportAssigned, Some(moderator), &report, now)?;
    Ok(report)
}

/// Closes a report with a note for the team; the reporter hears that it was looked at.
pub fn resolve(tx: &mut Tx<'_>, moderator: Id, report: Id, resolution: &str, now: Instant) -> Result<Report> {
    let mut report = seen_by(tx, moderator, report, now)?;
    if report.status == ReportStatus::Resolved {
        return Err(Code::ReportResolved.into());
    }
    callers::still_moderates(tx, moderator, now)?;
    impartiality::ensure_for_report(tx, moderator, &report, now)?;
    report.status = ReportStatus::Resolved;
    report.assigned_to = report.assigned_to.or(Some(moderator));
    report.resolution = Some(resolution.to_owned());
    report.resolved_at = Some(now);
    moderation::update_report(tx, &report)?;
    if let Some(reporter) = report.reporter_id {
        notices::to_person(tx, reporter, Notice::ReportResolved { report_id: report.id }, now)?;
    }
    record(tx, Act::ReportResolved, Some(moderator), &report, now)?;
    Ok(report)
}

/// Whether a report concerns a moderator while somebody else can look into it: then it is hidden from them.
pub fn is_concerned(conn: &mut Conn, report: &Report, moderator: Id, now: Instant) -> Result<bool> {
    Ok(impartiality::concerns(conn, report, moderator)? && !callers::rest_of_the_team(conn, moderator, now)?.is_empty())
}

/// A report, for a moderator who may see it.
///
/// # Errors
/// Not found for whom it concerns, as for a report that does not exist.
pub fn seen_by(conn: &mut Conn, moderator: Id, report: Id, now: Instant) -> Result<Report> {
    let found = moderation::find_report(conn, report)?.ok_or(Error::NotFound)?;
    if is_concerned(conn, &found, moderator, now)? { Err(Error::NotFound) } else { Ok(found) }
}

fn record(tx: &mut Tx<'_>, act: Act, actor: Option<Id>, report: &Report, now: Instant) -> Result<()> {
    let person = impartiality::person_behind(tx, report)?;
    let about = json!({ "report_id": report.id, "category": report.category });
    audit::record(tx, audit::AuditEvent { act, actor, subject: person, run: report.run_id, about }, now)
}
