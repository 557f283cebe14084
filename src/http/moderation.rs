//! Reports and the audit log over HTTP.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::{Admin, Caller, Moderator, PathId, Query, Request},
    paging::{Page, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::moderation::{AboutKind, Act, Category, ReportStatus},
    id::Id,
    service::{
        audit_log,
        limits::acts,
        reports::{self, NewReport},
    },
    store::{
        audit,
        moderation::{self, Report},
    },
};

/// What a reporter gets back.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportReceipt {
    pub id: Id,
    pub status: ReportStatus,
    pub created_at: Instant,
}

/// Tells the team about a run, a person or a facilitator.
#[utoipa::path(tag = "Safety", request_body = NewReport, security(("token" = [])), responses(
    (status = 201, body = ReportReceipt), (status = 422, body = ProblemDocument)))]
#[post("/reports")]
pub async fn file_report(app: AppData, caller: Caller, request: Request<NewReport>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let report = reports::file(tx, me, body.body()?, now)?;
        state.spend_act(tx, &acts::REPORT, me, None, now)?;
        Reply::created(&ReportReceipt { id: report.id, status: report.status, created_at: report.created_at })
    })
    .await
}

/// A report, as the team sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    pub id: Id,
    pub reporter_id: Option<Id>,
    pub about_kind: AboutKind,
    pub about_id: Option<Id>,
    pub run_id: Option<Id>,
    pub description: Option<String>,
    pub category: Category,
    pub statement: String,
    pub status: ReportStatus,
    pub assigned_to: Option<Id>,
    pub resolution: Option<String>,
    pub created_at: Instant,
    pub resolved_at: Option<Instant>,
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        Self {
            id: report.id,
            reporter_id: report.reporter_id,
            about_kind: report.about_kind,
            about_id: report.about_id,
            run_id: report.run_id,
            description: report.description,
            category: report.category,
            statement: report.statement,
            status: report.status,
            assigned_to: report.assigned_to,
            resolution: report.resolution,
            created_at: report.created_at,
            resolved_at: report.resolved_at,
        }
    }
}

/// Which reports.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// Those not resolved when absent.
    status: Option<ReportStatus>,
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    #[schema(max_length = 2000)]
    cursor: Option<String>,
}

/// The moderators' queue: safeguarding first, then the oldest.
#[utoipa::path(tag = "Moderation", params(ReportQuery), security(("token" = [])), responses(
    (status = 200, body = Page<ReportView>), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/moderation/reports")]
pub async fn queue(app: AppData, caller: Caller<Moderator>, query: Query<ReportQuery>) -> Result<Reply, Problem> {
    let (query, state, me, now) = (query.get()?, app.clone(), caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let filters = format!("{:?}", query.status);
        let paging = Paging::new(&state.keyring, &["reports", &filters], query.limit, query.cursor.clone());
        let (found, next_cursor) = paging.seen(
            conn,
            |conn, after, limit| moderation::queue(conn, query.status, after, limit),
            |report| (report.urgency, report.id),
            |conn, report| Ok(!reports::is_concerned(conn, report, me, now)?),
        )?;
        let items = found.into_iter().map(ReportView::from).collect::<Vec<_>>();
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// One report.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = ReportView), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
#[get("/moderation/reports/{id}")]
pub async fn get_report(app: AppData, caller: Caller<Moderator>, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| Reply::ok(&ReportView::from(reports::seen_by(conn, me, id.0, now)?)));
    Ok(reply.await?)
}

/// The body of `POST /moderation/reports/{id}/assign`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Oneself when absent.
    #[serde(default)]
    pub account_id: Option<Id>,
}

/// Takes a report on, or hands it to another moderator.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Assignment, security(("token" = [])),
    responses((status = 200, body = ReportView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/reports/{id}/assign")]
pub async fn assign(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Assignment>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        reports::seen_by(tx, me, id.0, now)?;
        let to = body.body()?.account_id.unwrap_or(me);
        Reply::ok(&ReportView::from(reports::assign(tx, me, id.0, to, now)?))
    })
    .await
}

/// The body of `POST /moderation/reports/{id}/resolve`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// For the team.
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    pub resolution: String,
}

/// Closes a report; the reporter hears that it was looked at.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Resolution, security(("token" = [])),
    responses((status = 200, body = ReportView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/reports/{id}/resolve")]
pub async fn resolve(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Resolution>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        reports::seen_by(tx, me, id.0, now)?;
        Reply::ok(&ReportView::from(reports::resolve(tx, me, id.0, &body.body()?.resolution, now)?))
    })
    .await
}

/// Which rows of the log.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Acts over this account only.
    subject: Option<Id>,
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    #[schema(max_length = 2000)]
    cursor: Option<String>,
}

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    pub id: Id,
    pub at: Instant,
    pub act: Act,
    /// Null: the operator at the command line, or somebody who has been erased.
    pub actor: Option<Id>,
    pub subject: Option<Id>,
    pub run_id: Option<Id>,
    #[schema(value_type = Object)]
    pub about: Value,
}

/// The append-only record of every act of one person over another, newest first; for admins. What others did about the
/// reader, or reported about a run that the reader leads, is for the rest of the team.
#[utoipa::path(tag = "Moderation", params(AuditQuery), security(("token" = [])), responses(
    (status = 200, body = Page<AuditView>), (status = 403, body = ProblemDocument)))]
#[get("/moderation/audit-log")]
pub async fn read_audit_log(app: AppData, caller: Caller<Admin>, query: Query<AuditQuery>) -> Result<Reply, Problem> {
    let (query, state, me, now) = (query.get()?, app.clone(), caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let filters = format!("{:?}", query.subject);
        let paging = Paging::new(&state.keyring, &["audit", &filters], query.limit, query.cursor.clone());
        let (found, next_cursor) = paging.seen(
            conn,
            |conn, after, limit| audit::list(conn, query.subject, after, limit),
            |entry| entry.id,
            |conn, entry| audit_log::is_shown(conn, entry, me, now),
        )?;
        let items = found
            .into_iter()
            .map(|entry| AuditView {
                id: entry.id,
                at: entry.at,
                act: entry.act,
                actor: entry.actor,
                subject: entry.subject,
                run_id: entry.run_id,
                about: entry.about,
            })
            .collect();
        Reply::ok(&Page::<AuditView> { items, next_cursor })
    });
    Ok(reply.await?)
}
