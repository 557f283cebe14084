//! After a run over HTTP: what somebody says about it, and the wishes that the team takes care of.

use actix_web::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    by_token::{WithToken, act_or_link},
    extract::{Caller, MaybeCaller, Moderator, Nothing, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    config::HelpLine,
    domain::after_run::{CareStatus, PaceAnswer},
    error::Result as Outcome,
    id::Id,
    service::{
        after_run::{self as service, AfterRunAnswers, Said, SuggestedPace},
        care,
        limits::acts,
        links,
    },
    store::{
        Conn, Tx, accounts,
        care::{self as wishes, Wish},
        sessions::Link,
        signups,
    },
};

impl WithToken for AfterRunAnswers {
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

/// A wish that somebody gets in touch, as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnWish {
    pub status: CareStatus,
    /// By when somebody gets in touch.
    pub answer_by: Instant,
}

/// What somebody has said about a run, and what follows from it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AfterRunView {
    pub run_id: Id,
    pub pace: Option<PaceAnswer>,
    pub felt_safe: Option<bool>,
    /// The report that the team looks into.
    pub report_id: Option<Id>,
    pub care: Option<OwnWish>,
    /// Hours within which somebody would get in touch; null where nobody can promise it.
    pub care_hours: Option<i64>,
    /// What the answers so far suggest; it is not applied by itself.
    pub suggested_pace: Option<SuggestedPace>,
    /// Until when the answers can be changed.
    pub answer_until: Instant,
    /// Where somebody in need is helped, at any time.
    pub help_lines: Vec<HelpLine>,
}

fn view(said: Said, help_lines: Vec<HelpLine>) -> AfterRunView {
    AfterRunView {
        run_id: said.answers.run_id,
        pace: said.answers.pace,
        felt_safe: said.answers.felt_safe,
        report_id: said.answers.report_id,
        care: said.wish.map(|wish| OwnWish { status: wish.status, answer_by: wish.answer_by }),
        care_hours: said.care_hours,
        suggested_pace: said.suggested,
        answer_until: said.until,
        help_lines,
    }
}

/// Says how a run was, logged in or with the token of one of the links in the mail after it, from its planned end until two
/// weeks after; each part is optional and may be changed. Nobody but the team sees a report or a wish, and nobody but the
/// person the rest.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = AfterRunAnswers, security(("token" = []), ()), responses((status = 200, body = AfterRunView),
    (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/runs/{id}/after-run")]
pub async fn after_run(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<AfterRunAnswers>,
) -> Result<Reply, Problem> {
    let (state, body) = (app.clone(), request.clone());
    let is_of_the_run = move |tx: &mut Tx<'_>, link: &Link| {
        let signup = link.about_id.map(|signup| signups::find(tx, signup)).transpose()?.flatten();
        Ok(links::is_said_after(link.action) && signup.is_some_and(|signup| signup.run_id == id.0))
    };
    act_or_link(&app, caller, &request, is_of_the_run, move |tx, me, now| {
        service::own_run(tx, me, id.0)?;
        let said = service::say(tx, me, id.0, body.body()?, &state.config.policy, now)?;
        state.spend_act(tx, &acts::AFTER_RUN, me, Some(id.0), now)?;
        Reply::ok(&view(said, state.config.help.lines.clone()))
    })
    .await
}

/// Somebody who would like to be contacted.
#[derive(Debug, Serialize, ToSchema)]
pub struct CareWish {
    pub id: Id,
    pub account_id: Id,
    pub display_name: String,
    /// For whoever has taken it.
    pub email: Option<String>,
    pub run_id: Option<Id>,
    pub status: CareStatus,
    pub asked_at: Instant,
    /// By when the person was told that somebody gets in touch.
    pub answer_by: Instant,
    pub taken_by: Option<Id>,
}

fn wish(conn: &mut Conn, wish: &Wish, reader: Id) -> Outcome<CareWish> {
    let account = accounts::get(conn, wish.account_id)?;
    let takes_care = wish.taken_by == Some(reader) && wish.ended_at.is_none();
    Ok(CareWish {
        id: wish.id,
        account_id: account.id,
        display_name: account.display_name,
        email: takes_care.then_some(account.email),
        run_id: wish.run_id,
        status: wish.status,
        asked_at: wish.asked_at,
        answer_by: wish.answer_by,
        taken_by: wish.taken_by,
    })
}

/// Wishes to be contacted, the oldest first: for those with welfare duty, and for the whole team what nobody has taken for
/// a day.
#[utoipa::path(tag = "Moderation", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<CareWish>), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/moderation/care")]
pub async fn care_queue(app: AppData, caller: Caller<Moderator>, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, state, me, now) = (query.get()?, app.clone(), caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let paging = Paging::new(&state.keyring, &["care"], query.limit, query.cursor.clone());
        let is_seen = |conn: &mut Conn, wish: &Wish| care::is_seen_by(conn, wish, me, now);
        let (found, next_cursor) = paging.seen(conn, wishes::queue, |wish| wish.id, is_seen)?;
        let items = found.iter().map(|one| wish(conn, one, me)).collect::<Outcome<Vec<_>>>()?;
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// Takes a wish on; the answer says how to reach the person.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])),
    responses((status = 200, body = CareWish), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/care/{id}/take")]
pub async fn take_care(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        care::seen(tx, me, id.0, now)?;
        body.body()?;
        let taken = care::take(tx, me, id.0, now)?;
        Reply::ok(&wish(tx, &taken, me)?)
    })
    .await
}

/// Says that somebody has been in touch.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])),
    responses((status = 200, body = CareWish), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/care/{id}/done")]
pub async fn care_done(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        care::seen(tx, me, id.0, now)?;
        body.body()?;
        let done = care::done(tx, me, id.0, now)?;
        Reply::ok(&wish(tx, &done, me)?)
    })
    .await
}
