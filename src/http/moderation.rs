//! Reports, decisions, appeals and the audit log over HTTP.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::{Admin, Anybody, Caller, MaybeCaller, Moderator, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        moderation::{
            AboutKind, Act, AppealKind, Category, Outcome as Verdict, ReportStatus, SanctionKind, SanctionScope,
        },
        refusal::{Code, Fault},
        signup::RemovalReason,
    },
    error::Error,
    id::Id,
    service::{
        appeals, links,
        reports::{self, NewReport},
        sanctions::{self, NewSanction},
    },
    store::{
        Tx, accounts, audit, facilitators,
        moderation::{self, Appeal, Report, Sanction},
        runs, signups,
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
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let report = reports::file(tx, me, body.body()?, now)?;
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
        let found = moderation::queue(conn, query.status, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |report| (report.urgency, report.id))?;
        let mut items = Vec::new();
        for report in found {
            if !reports::is_concerned(conn, &report, me, now)? {
                items.push(ReportView::from(report));
            }
        }
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
    let reply = app.db.read(move |conn| {
        let report = moderation::find_report(conn, id.0)?.ok_or(Error::NotFound)?;
        if reports::is_concerned(conn, &report, me, now)? {
            return Err(Error::NotFound);
        }
        Reply::ok(&ReportView::from(report))
    });
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
        moderation::find_report(tx, id.0)?.ok_or(Error::NotFound)?;
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
        moderation::find_report(tx, id.0)?.ok_or(Error::NotFound)?;
        Reply::ok(&ReportView::from(reports::resolve(tx, me, id.0, &body.body()?.resolution, now)?))
    })
    .await
}

/// A decision about an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SanctionView {
    pub id: Id,
    pub account_id: Id,
    pub kind: SanctionKind,
    pub scope: SanctionScope,
    pub rule: String,
    pub statement: String,
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub lifted_at: Option<Instant>,
    /// Whether it stands now.
    pub stands: bool,
}

fn sanction_view(sanction: Sanction, now: Instant) -> SanctionView {
    SanctionView {
        stands: sanction.stands(now),
        id: sanction.id,
        account_id: sanction.account_id,
        kind: sanction.kind,
        scope: sanction.scope,
        rule: sanction.rule,
        statement: sanction.statement,
        created_at: sanction.created_at,
        expires_at: sanction.expires_at,
        lifted_at: sanction.lifted_at,
    }
}

/// Decides about an account: places and runs to come are given up, sessions end, and the person is told why, until when
/// and how to object.
#[utoipa::path(tag = "Moderation", request_body = NewSanction, security(("token" = [])), responses(
    (status = 201, body = SanctionView), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/moderation/sanctions")]
pub async fn impose(app: AppData, caller: Caller<Moderator>, request: Request<NewSanction>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let new = body.checked(|new| new.faults(now).none())?;
        let sanction = sanctions::impose(tx, me, new, &state.config.policy, &state.addresses, now)?;
        Reply::created(&sanction_view(sanction, now))
    })
    .await
}

/// The body of `POST /moderation/sanctions/{id}/lift`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifting {
    /// What the person reads.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub reason: String,
}

/// Takes a decision back.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Lifting, security(("token" = [])),
    responses((status = 200, body = SanctionView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/sanctions/{id}/lift")]
pub async fn lift(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Lifting>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        moderation::find_sanction(tx, id.0)?.ok_or(Error::NotFound)?;
        let sanction = sanctions::lift(tx, me, id.0, &body.body()?.reason, now)?;
        Reply::ok(&sanction_view(sanction, now))
    })
    .await
}

/// Something decided about the caller, and how to object.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionView {
    /// What `POST /appeals` takes in `about`.
    pub about: AppealAbout,
    /// In a few words.
    pub what: String,
    pub why: Option<String>,
    pub until: Option<Instant>,
    pub decided_at: Instant,
    /// Whether it stands now.
    pub stands: bool,
}

/// More applications than anybody files.
const APPLICATIONS: i64 = 1_000;

/// Everything decided about the caller, newest first: sanctions, bars, removals, applications. Whom a decision keeps out
/// may read it.
#[utoipa::path(tag = "Safety", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<DecisionView>), (status = 422, body = ProblemDocument)))]
#[get("/me/decisions")]
pub async fn my_decisions(app: AppData, caller: Caller<Anybody>, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, now, state) = (query.get()?, caller.id(), app.clock.now(), app.clone());
    let reply = app.db.read(move |conn| {
        let mut items = Vec::new();
        for sanction in moderation::sanctions_of(conn, me)? {
            items.push(DecisionView {
                about: AppealAbout { kind: AppealKind::Sanction, id: sanction.id },
                what: sanction.kind.in_words(sanction.scope).to_owned(),
                until: sanction.expires_at,
                decided_at: sanction.created_at,
                stands: sanction.stands(now),
                why: Some(format!("{}: {}", sanction.rule, sanction.statement)),
            });
        }
        let bars = moderation::bars_against(conn, me, now)?;
        let names = accounts::display_names(conn, &bars.iter().map(|bar| bar.facilitator_id).collect::<Vec<_>>())?;
        for bar in bars {
            let whose = names.get(&bar.facilitator_id).map_or("one facilitator", String::as_str);
            let usual = bar.reason_code.parse().ok().map(|reason: RemovalReason| reason.sentence().to_owned());
            items.push(DecisionView {
                about: AppealAbout { kind: AppealKind::Bar, id: bar.id },
                what: format!("the runs of {whose} are closed to you"),
                why: bar.statement.or(usual),
                until: Some(bar.until),
                decided_at: bar.created_at,
                stands: true,
            });
        }
        let ended = signups::ended_for(conn, me)?;
        let runs = runs::of_ids(conn, &ended.iter().map(|signup| signup.run_id).collect::<Vec<_>>())?;
        for signup in ended {
            let Some(reason) = signup.reason_code else { continue };
            let title = runs.iter().find(|run| run.id == signup.run_id).map_or("a run", |run| run.title.as_str());
            let said = [Some(reason.sentence()), signup.statement.as_deref()];
            items.push(DecisionView {
                about: AppealAbout { kind: AppealKind::SignupDecision, id: signup.id },
                what: format!("you are not on “{title}” any more"),
                why: Some(said.into_iter().flatten().collect::<Vec<_>>().join(" ")),
                until: None,
                decided_at: signup.updated_at,
                stands: true,
            });
        }
        for application in facilitators::list(conn, Some(me), None, None, APPLICATIONS)? {
            if let Some(decided_at) = application.decided_at {
                items.push(DecisionView {
                    about: AppealAbout { kind: AppealKind::Application, id: application.id },
                    what: format!("your application to lead runs was {}", application.status),
                    why: application.reason,
                    until: None,
                    decided_at,
                    stands: true,
                });
            }
        }
        items.sort_by_key(|item| std::cmp::Reverse((item.decided_at, item.about.id)));
        let paging = Paging::new(&state.keyring, &["decisions", &me.to_string()], query.limit, query.cursor);
        let (items, next_cursor) = paging.cut(items, |item| item.about.id)?;
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// Which decision.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealAbout {
    pub kind: AppealKind,
    pub id: Id,
}

/// The body of `POST /appeals`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAppeal {
    /// The token of the link in the mail about the decision, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
    /// Left out only with the token, which says what it is about.
    #[serde(default)]
    pub about: Option<AppealAbout>,
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    pub statement: String,
}

/// An objection to a decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppealView {
    pub id: Id,
    pub account_id: Id,
    pub about: AppealAbout,
    pub statement: String,
    pub outcome: Option<Verdict>,
    pub decision: Option<String>,
    /// Whether somebody looked at it who had not decided before; null while it waits.
    pub second_person: Option<bool>,
    pub created_at: Instant,
    pub decided_at: Option<Instant>,
}

impl From<Appeal> for AppealView {
    fn from(appeal: Appeal) -> Self {
        Self {
            id: appeal.id,
            account_id: appeal.account_id,
            about: AppealAbout { kind: appeal.about_kind, id: appeal.about_id },
            second_person: appeal.outcome.map(|_| appeal.decided_by != appeal.first_decided_by),
            statement: appeal.statement,
            outcome: appeal.outcome,
            decision: appeal.decision,
            created_at: appeal.created_at,
            decided_at: appeal.decided_at,
        }
    }
}

/// Objects to a decision about oneself, logged in or with the token of the link in the mail about it.
#[utoipa::path(tag = "Safety", request_body = NewAppeal, security(("token" = []), ()), responses(
    (status = 201, body = AppealView), (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/appeals")]
pub async fn file_appeal(app: AppData, caller: MaybeCaller, request: Request<NewAppeal>) -> Result<Reply, Problem> {
    let body = request.clone();
    let Some(token) = request.readable().and_then(|body| body.token.clone()) else {
        // Also for whom a decision keeps out: this is how they object.
        let me = caller.0.ok_or(Code::NotLoggedIn)?.id();
        let work = move |tx: &mut Tx<'_>, now| {
            let body = body.body()?;
            let words = "say which decision you object to";
            let about = body.about.as_ref().ok_or_else(|| Fault::at("/about", "required", words))?;
            let appeal = appeals::file(tx, me, about.kind, about.id, &body.statement, now)?;
            Reply::created(&AppealView::from(appeal))
        };
        return app.act_of(me, &request, work).await;
    };
    let (now, token) = (app.clock.now(), app.keyring.read_link_token(&token).ok_or(Code::LinkInvalid)?);
    let reply = app.db.write(move |tx| {
        let link = links::find_working(tx, token, LinkAction::Appeal, now)?;
        let (Some(kind), Some(id)) = (link.about_kind, link.about_id) else { return Err(Code::LinkInvalid.into()) };
        let body = body.body()?;
        if body.about.as_ref().is_some_and(|about| (about.kind, about.id) != (kind, id)) {
            return Err(Code::LinkInvalid.into());
        }
        let appeal = appeals::file(tx, link.account_id, kind, id, &body.statement, now)?;
        links::done_with(tx, &link, now)?;
        Reply::created(&AppealView::from(appeal))
    });
    let reply = reply.await?;
    app.mail_waits.notify_one();
    Ok(reply)
}

/// The appeals that wait to be decided, newest first.
#[utoipa::path(tag = "Moderation", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<AppealView>), (status = 403, body = ProblemDocument)))]
#[get("/moderation/appeals")]
pub async fn list_appeals(app: AppData, _: Caller<Moderator>, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, state) = (query.get()?, app.clone());
    let reply = app.db.read(move |conn| {
        let paging = Paging::new(&state.keyring, &["appeals"], query.limit, query.cursor.clone());
        let found = moderation::list_appeals(conn, None, true, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |appeal| appeal.id)?;
        Reply::ok(&Page::<AppealView> { items: found.into_iter().map(AppealView::from).collect(), next_cursor })
    });
    Ok(reply.await?)
}

/// The body of `POST /moderation/appeals/{id}/decide`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppealDecision {
    pub outcome: Verdict,
    /// What the person reads.
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    pub statement: String,
}

/// Decides an appeal; not for whoever decided first.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = AppealDecision, security(("token" = [])),
    responses((status = 200, body = AppealView), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument)))]
#[post("/moderation/appeals/{id}/decide")]
pub async fn decide_appeal(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<AppealDecision>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        moderation::find_appeal(tx, id.0)?.ok_or(Error::NotFound)?;
        let body = body.body()?;
        let appeal = appeals::decide(tx, me, id.0, body.outcome, &body.statement, now)?;
        Reply::ok(&AppealView::from(appeal))
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

/// The append-only record of every act of one person over another, newest first; for admins.
#[utoipa::path(tag = "Moderation", params(AuditQuery), security(("token" = [])), responses(
    (status = 200, body = Page<AuditView>), (status = 403, body = ProblemDocument)))]
#[get("/moderation/audit-log")]
pub async fn audit_log(app: AppData, _: Caller<Admin>, query: Query<AuditQuery>) -> Result<Reply, Problem> {
    let (query, state) = (query.get()?, app.clone());
    let reply = app.db.read(move |conn| {
        let filters = format!("{:?}", query.subject);
        let paging = Paging::new(&state.keyring, &["audit", &filters], query.limit, query.cursor.clone());
        let found = audit::list(conn, query.subject, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |entry| entry.id)?;
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
