//! Applying to lead runs, the team's decision, and facilitators' bars.

use actix_web::{delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::{Caller, Moderator, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{moderation::ApplicationStatus, refusal::Fault},
    error::Result as Outcome,
    id::Id,
    service::{
        applications::{self as service, NewApplication},
        bars::{self, NewBar},
        callers,
        limits::acts,
    },
    store::{
        Conn, accounts,
        facilitators::{self, Application},
        moderation::{self, Bar},
    },
};

/// A credential in an application.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialView {
    pub kind: String,
    pub issuer: String,
    pub reference: String,
    pub expires_on: Option<String>,
    /// Whether the approval made it a condition.
    pub required: bool,
}

/// An application to lead runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicationView {
    pub id: Id,
    pub account_id: Id,
    pub display_name: String,
    pub statement: String,
    pub credentials: Vec<CredentialView>,
    pub status: ApplicationStatus,
    pub reason: Option<String>,
    pub created_at: Instant,
    pub decided_at: Option<Instant>,
}

fn view(conn: &mut Conn, application: &Application) -> Outcome<ApplicationView> {
    let credentials = facilitators::credentials_of(conn, application.id)?;
    Ok(ApplicationView {
        id: application.id,
        account_id: application.account_id,
        display_name: accounts::get(conn, application.account_id)?.display_name,
        statement: application.statement.clone(),
        credentials: credentials
            .into_iter()
            .map(|credential| CredentialView {
                kind: credential.kind,
                issuer: credential.issuer,
                reference: credential.reference,
                expires_on: credential.expires_on,
                required: credential.required,
            })
            .collect(),
        status: application.status,
        reason: application.reason.clone(),
        created_at: application.created_at,
        decided_at: application.decided_at,
    })
}

/// Applies to lead runs; a moderator decides. Whoever leads runs already sends renewed credentials this way: what is named
/// takes the place of what was approved, from a moderator's yes on.
#[utoipa::path(tag = "Facilitators", request_body = NewApplication, security(("token" = [])), responses(
    (status = 201, body = ApplicationView), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/facilitator-applications")]
pub async fn apply(app: AppData, caller: Caller, request: Request<NewApplication>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let application = service::apply(tx, me, body.body()?, &state.config.policy, now)?;
        state.spend_act(tx, &acts::APPLICATION, me, None, now)?;
        Reply::created(&view(tx, &application)?)
    })
    .await
}

/// Which applications.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ApplicationQuery {
    status: Option<ApplicationStatus>,
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    #[schema(max_length = 2000)]
    cursor: Option<String>,
}

/// Applications, newest first: all of them for the team, one's own for everybody else.
#[utoipa::path(tag = "Facilitators", params(ApplicationQuery), security(("token" = [])), responses(
    (status = 200, body = Page<ApplicationView>), (status = 422, body = ProblemDocument)))]
#[get("/facilitator-applications")]
pub async fn list_applications(app: AppData, caller: Caller, query: Query<ApplicationQuery>) -> Result<Reply, Problem> {
    let query = query.get()?;
    let of = (!caller.moderates()).then(|| caller.id());
    let state = app.clone();
    let reply = app.db.read(move |conn| {
        let filters = format!("{of:?} {:?}", query.status);
        let paging = Paging::new(&state.keyring, &["applications", &filters], query.limit, query.cursor.clone());
        let found = facilitators::list(conn, of, query.status, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |application| application.id)?;
        let items = found.iter().map(|application| view(conn, application)).collect::<Outcome<Vec<_>>>()?;
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// The reason of a decision.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionReason {
    /// What the applicant reads; needed for a no.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub reason: Option<String>,
}

/// Says yes to an application.
#[utoipa::path(tag = "Facilitators", operation_id = "approve_application", params(("id" = Id, Path)),
    request_body = DecisionReason, security(("token" = [])),
    responses((status = 200, body = ApplicationView), (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/facilitator-applications/{id}/approve")]
pub async fn approve(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<DecisionReason>,
) -> Result<Reply, Problem> {
    decide(app, caller, id, request, true).await
}

/// Says no to an application, with a reason.
#[utoipa::path(tag = "Facilitators", params(("id" = Id, Path)), request_body = DecisionReason, security(("token" = [])),
    responses((status = 200, body = ApplicationView), (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/facilitator-applications/{id}/reject")]
pub async fn reject(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<DecisionReason>,
) -> Result<Reply, Problem> {
    decide(app, caller, id, request, false).await
}

async fn decide(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<DecisionReason>,
    yes: bool,
) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        facilitators::find(tx, id.0)?.ok_or(crate::error::Error::NotFound)?;
        let reason = body.body()?.reason.as_deref();
        if !yes && reason.is_none_or(|words| words.trim().is_empty()) {
            return Err(Fault::at("/reason", "required", "a no needs a reason").into());
        }
        let application = service::decide(tx, me, id.0, yes, reason, &policy, now)?;
        Reply::ok(&view(tx, &application)?)
    })
    .await
}

/// A bar, as the facilitator who set it sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BarView {
    pub id: Id,
    pub account_id: Id,
    pub display_name: String,
    pub until: Instant,
    pub reason_code: String,
    pub private_note: String,
    pub statement: Option<String>,
    pub created_at: Instant,
    pub lifted_at: Option<Instant>,
}

fn bar_view(conn: &mut Conn, bar: Bar) -> Outcome<BarView> {
    Ok(BarView {
        display_name: accounts::get(conn, bar.account_id)?.display_name,
        id: bar.id,
        account_id: bar.account_id,
        until: bar.until,
        reason_code: bar.reason_code,
        private_note: bar.private_note,
        statement: bar.statement,
        created_at: bar.created_at,
        lifted_at: bar.lifted_at,
    })
}

/// Keeps somebody out of all one's own runs until a date.
#[utoipa::path(tag = "Facilitators", request_body = NewBar, security(("token" = [])), responses(
    (status = 201, body = BarView), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/me/bars")]
pub async fn set_bar(app: AppData, caller: Caller, request: Request<NewBar>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        callers::in_good_standing(tx, me, now)?;
        let bar = bars::set(tx, me, body.body()?, &state.config.policy, now)?;
        state.spend_act(tx, &acts::BAR, me, Some(bar.account_id), now)?;
        Reply::created(&bar_view(tx, bar)?)
    })
    .await
}

/// The bars one has set, newest first.
#[utoipa::path(tag = "Facilitators", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<BarView>), (status = 422, body = ProblemDocument)))]
#[get("/me/bars")]
pub async fn list_bars(app: AppData, caller: Caller, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, state) = (query.get()?, caller.id(), app.clone());
    let reply = app.db.read(move |conn| {
        let owner = me.to_string();
        let paging = Paging::new(&state.keyring, &["bars", &owner], query.limit, query.cursor.clone());
        let found = moderation::bars_of(conn, me, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |bar| bar.id)?;
        let items = found.into_iter().map(|bar| bar_view(conn, bar)).collect::<Outcome<Vec<_>>>()?;
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// Lifts one of one's bars.
#[utoipa::path(tag = "Facilitators", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 204), (status = 404, body = ProblemDocument)))]
#[delete("/me/bars/{id}")]
pub async fn lift_bar(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    app.db.write(move |tx| bars::lift(tx, me, id.0, now)).await?;
    Ok(Reply::nothing())
}
