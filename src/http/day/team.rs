//! What the team sees of a day: incidents, and sealed lists of who was there.

use actix_web::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::{GuestView, MarkView};
use crate::{
    clock::Instant,
    domain::{day::Severity, moderation::ReportStatus},
    error::{Error, Result as Outcome},
    http::{
        AppData, Problem, Reply,
        extract::{Caller, Moderator, PathId, Query, Request},
        paging::{Page, PageQuery, Paging},
        problem::ProblemDocument,
    },
    id::Id,
    service::{
        callers,
        day::{
            incidents::{self, NewIncident},
            retention::{self, SealedLook},
        },
        limits::acts,
        reports,
    },
    store::{Conn, accounts, day, day::Incident, moderation, signups},
};

/// What the facilitator who reports gets back.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentReceipt {
    pub id: Id,
    pub report_id: Id,
    pub created_at: Instant,
}

/// Tells the team about something that happened on a run; for its facilitators, until 14 days after.
#[utoipa::path(tag = "The day", params(("id" = Id, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = NewIncident, security(("token" = [])), responses((status = 201, body = IncidentReceipt),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/runs/{id}/incidents")]
pub async fn report_incident(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<NewIncident>,
) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::leads(tx, me, id.0, now)?;
        let incident = incidents::report(tx, body.body()?, &proof, now)?;
        state.spend_act(tx, &acts::REPORT, me, None, now)?;
        let Incident { id, report_id, created_at, .. } = incident;
        Reply::created(&IncidentReceipt { id, report_id, created_at })
    })
    .await
}

/// Somebody who was involved.
#[derive(Debug, Serialize, ToSchema)]
pub struct Involved {
    pub signup_id: Id,
    pub account_id: Id,
    pub display_name: String,
}

/// An incident, as the team's list shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentCard {
    pub id: Id,
    pub run_id: Id,
    /// Assigned and resolved as a report; while it is open, the run's list is kept.
    pub report_id: Id,
    pub status: ReportStatus,
    pub reported_by: Option<Id>,
    pub severity: Severity,
    pub what_happened: String,
    pub happened_at: Option<Instant>,
    pub emergency_services: bool,
    pub created_at: Instant,
}

/// An incident with those who were involved.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentView {
    #[serde(flatten)]
    pub incident: IncidentCard,
    pub people: Vec<Involved>,
    pub guests: Vec<GuestView>,
}

/// None for a moderator whom it concerns while somebody else can look into it.
fn card(conn: &mut Conn, incident: &Incident, viewer: Id, now: Instant) -> Outcome<Option<IncidentCard>> {
    let report = moderation::find_report(conn, incident.report_id)?.ok_or(Error::NotFound)?;
    if reports::is_concerned(conn, &report, viewer, now)? {
        return Ok(None);
    }
    Ok(Some(IncidentCard {
        id: incident.id,
        run_id: incident.run_id,
        report_id: report.id,
        status: report.status,
        reported_by: report.reporter_id,
        severity: incident.severity,
        what_happened: report.statement,
        happened_at: incident.happened_at,
        emergency_services: incident.emergency_services,
        created_at: incident.created_at,
    }))
}

fn view(conn: &mut Conn, incident: &Incident, card: IncidentCard) -> Outcome<IncidentView> {
    let mut involved = Vec::new();
    for signup in incident.signup_ids.iter() {
        involved.extend(signups::find(conn, *signup)?);
    }
    let names = accounts::display_names(conn, &involved.iter().map(|signup| signup.account_id).collect::<Vec<_>>())?;
    let person = |signup: &signups::Signup| Involved {
        signup_id: signup.id,
        account_id: signup.account_id,
        display_name: names.get(&signup.account_id).cloned().unwrap_or_default(),
    };
    let guests = day::guests_of(conn, incident.run_id)?;
    let guests = guests.into_iter().filter(|guest| incident.guest_ids.contains(&guest.id)).map(GuestView::from);
    Ok(IncidentView { incident: card, people: involved.iter().map(person).collect(), guests: guests.collect() })
}

/// Incidents, newest first; who was involved is told one by one.
#[utoipa::path(tag = "Moderation", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<IncidentCard>), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/moderation/incidents")]
pub async fn list_incidents(
    app: AppData,
    caller: Caller<Moderator>,
    query: Query<PageQuery>,
) -> Result<Reply, Problem> {
    let (query, state, me, now) = (query.get()?, app.clone(), caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let paging = Paging::new(&state.keyring, &["incidents"], query.limit, query.cursor.clone());
        let is_seen = |conn: &mut Conn, incident: &Incident| Ok(card(conn, incident, me, now)?.is_some());
        let (found, next_cursor) = paging.seen(conn, day::incidents, |incident| incident.id, is_seen)?;
        let mut items = Vec::new();
        for incident in found {
            items.extend(card(conn, &incident, me, now)?);
        }
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// One incident with those who were involved; each look is in the audit log. Once the run's list is sealed, only welfare
/// moderators look.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = IncidentView), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
#[get("/moderation/incidents/{id}")]
pub async fn get_incident(app: AppData, caller: Caller<Moderator>, id: PathId) -> Result<Reply, Problem> {
    let (me, policy, now) = (caller.id(), app.config.policy.clone(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let incident = day::find_incident(tx, id.0)?.ok_or(Error::NotFound)?;
        let card = card(tx, &incident, me, now)?.ok_or(Error::NotFound)?;
        retention::look_at_incident(tx, me, &incident, &policy, now)?;
        Reply::ok(&view(tx, &incident, card)?)
    });
    Ok(reply.await?)
}

/// Somebody on a sealed list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealedEntry {
    #[serde(flatten)]
    pub mark: MarkView,
    pub account_id: Id,
    pub display_name: String,
}

/// Who was on a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealedRoster {
    pub run_id: Id,
    pub starts_at: Instant,
    pub people: Vec<SealedEntry>,
    pub guests: Vec<GuestView>,
}

/// Opens the sealed list of a run's people: for welfare moderators, with a reason, and each look is in the audit log. An
/// Idempotency-Key is not kept here: the answer would be kept with it.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path, description = "The run")), request_body = SealedLook,
    security(("token" = [])), responses((status = 200, body = SealedRoster), (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/moderation/sealed-rosters/{id}")]
pub async fn open_sealed(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<SealedLook>,
) -> Result<Reply, Problem> {
    let (me, policy, now) = (caller.id(), app.config.policy.clone(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let run = retention::sealed(tx, me, id.0, &policy, now)?;
        let found = retention::open_sealed(tx, me, &run, request.body()?, now)?;
        let ids: Vec<Id> = found.iter().map(|signup| signup.account_id).collect();
        let names = accounts::display_names(tx, &ids)?;
        let entry = |signup: &signups::Signup| SealedEntry {
            mark: MarkView::from(signup),
            account_id: signup.account_id,
            display_name: names.get(&signup.account_id).cloned().unwrap_or_default(),
        };
        let guests = day::guests_of(tx, run.id)?.into_iter().map(GuestView::from).collect();
        let people = found.iter().map(entry).collect();
        Reply::ok(&SealedRoster { run_id: run.id, starts_at: run.starts_at, people, guests })
    });
    Ok(reply.await?)
}
