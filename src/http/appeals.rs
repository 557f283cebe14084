//! What was decided about oneself, and objecting to it, over HTTP.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Anybody, Caller, MaybeCaller, Moderator, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        moderation::{AppealKind, Consequence, Outcome as Verdict},
        refusal::{Code, Fault},
    },
    error::Error,
    id::Id,
    service::{
        appeals,
        decisions::{self, Decision},
        limits::acts,
        links,
    },
    store::{
        Tx,
        moderation::{self, Appeal},
    },
};

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
    /// When it was overturned: then it counts for nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overturned_at: Option<Instant>,
    /// What overturning it did, and what it could not undo.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<ConsequenceView>,
}

/// One thing that came of overturning a decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsequenceView {
    #[serde(flatten)]
    pub consequence: Consequence,
    pub text: &'static str,
}

fn consequences(all: &[Consequence]) -> Vec<ConsequenceView> {
    all.iter().map(|one| ConsequenceView { consequence: *one, text: one.code.in_words() }).collect()
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        Self {
            about: AppealAbout { kind: decision.kind, id: decision.id },
            what: decision.what,
            why: decision.why,
            until: decision.until,
            decided_at: decision.at,
            stands: decision.stands,
            overturned_at: decision.overturned.as_ref().and_then(|appeal| appeal.decided_at),
            consequences: consequences(
                decision
                    .overturned
                    .iter()
                    .flat_map(|a| &a.consequences)
                    .flat_map(|all| &all.0)
                    .copied()
                    .collect::<Vec<_>>()
                    .as_slice(),
            ),
        }
    }
}

/// Everything decided about the caller, newest first: sanctions, bars, removals, applications. Whom a decision keeps out
/// may read it.
#[utoipa::path(tag = "Safety", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<DecisionView>), (status = 422, body = ProblemDocument)))]
#[get("/me/decisions")]
pub async fn my_decisions(app: AppData, caller: Caller<Anybody>, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, now, state) = (query.get()?, caller.id(), app.clock.now(), app.clone());
    let reply = app.db.read(move |conn| {
        let paging = Paging::new(&state.keyring, &["decisions", &me.to_string()], query.limit, query.cursor.clone());
        let (found, next_cursor) = paging.cut(decisions::about(conn, me, now)?, |decision| decision.id)?;
        let items = found.into_iter().map(DecisionView::from).collect::<Vec<_>>();
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
    /// What overturning the decision did, and what it could not undo.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<ConsequenceView>,
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
            consequences: appeal.consequences.as_ref().map(|all| consequences(&all.0)).unwrap_or_default(),
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
        let state = app.clone();
        let work = move |tx: &mut Tx<'_>, now| {
            let body = body.body()?;
            let words = "say which decision you object to";
            let about = body.about.as_ref().ok_or_else(|| Fault::at("/about", "required", words))?;
            let appeal = appeals::file(tx, me, about.kind, about.id, &body.statement, now)?;
            state.spend_act(tx, &acts::APPEAL, me, None, now)?;
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
    let (me, body, policy) = (caller.id(), request.clone(), app.config.policy.clone());
    app.act(&caller, &request, move |tx, now| {
        moderation::find_appeal(tx, id.0)?.ok_or(Error::NotFound)?;
        let body = body.body()?;
        let appeal = appeals::decide(tx, me, id.0, body.outcome, &body.statement, &policy, now)?;
        Reply::ok(&AppealView::from(appeal))
    })
    .await
}
