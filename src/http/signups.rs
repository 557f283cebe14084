//! Sign-ups over HTTP: the person's own, and the facilitators' roster.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    extract::{Caller, MaybeCaller, Nothing, PathId, Query, Request},
    paging::{Page, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        refusal::Code,
        signup::{RemovalReason, SignupStatus},
    },
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        callers, links, run_views,
        run_views::RunCard,
        runs as run_service,
        signups::{self as service, NewSignup, Removal},
    },
    store::{
        Conn, Tx, accounts, runs,
        signups::{self, Signup},
    },
};

/// A sign-up as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignupView {
    pub id: Id,
    pub run_id: Id,
    pub status: SignupStatus,
    /// 1 for the next; only for those who wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_position: Option<usize>,
    pub answers: Vec<String>,
    pub note: Option<String>,
    pub short_notice: bool,
    pub created_at: Instant,
    pub updated_at: Instant,
    /// Why a facilitator decided so, with a ready-made sentence, and how to object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<SignupDecision>,
}

/// What a facilitator decided about a sign-up.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignupDecision {
    pub reason_code: RemovalReason,
    pub sentence: String,
    pub statement: Option<String>,
    /// Where to object: `about` is `{kind: "signup_decision", id}`.
    pub appeal: &'static str,
}

fn view(conn: &mut Conn, signup: &Signup) -> Outcome<SignupView> {
    Ok(SignupView {
        id: signup.id,
        run_id: signup.run_id,
        status: signup.status,
        waiting_position: service::waiting_position(conn, signup)?,
        answers: signup.answers.0.clone(),
        note: signup.note.clone(),
        short_notice: signup.short_notice,
        created_at: signup.created_at,
        updated_at: signup.updated_at,
        decision: signup.reason_code.map(|reason_code| SignupDecision {
            reason_code,
            sentence: reason_code.sentence().to_owned(),
            statement: signup.statement.clone(),
            appeal: "/v1/appeals",
        }),
    })
}

/// Signs up: confirmed while there is a place, on the waiting list after, requested where a facilitator decides.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = NewSignup, security(("token" = [])), responses(
    (status = 200, description = "There is a live sign-up already", body = SignupView), (status = 201, body = SignupView),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/runs/{id}/signups")]
pub async fn sign_up(app: AppData, caller: Caller, id: PathId, request: Request<NewSignup>) -> Result<Reply, Problem> {
    let (me, ratio, body) = (caller.id(), app.config.policy.facilitator_ratio, request.clone());
    app.act(&caller, &request, move |tx, now| {
        run_service::visible(tx, id.0, Some(me))?;
        let (signup, is_new) = service::sign_up(tx, me, id.0, body.body()?, ratio, now)?;
        Reply::new(if is_new { 201 } else { 200 }, &view(tx, &signup)?)
    })
    .await
}

/// One's own sign-up.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = SignupView), (status = 404, body = ProblemDocument)))]
#[get("/signups/{id}")]
pub async fn get_signup(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let me = caller.id();
    let reply = app.db.read(move |conn| {
        let signup = signups::find(conn, id.0)?.filter(|signup| signup.account_id == me).ok_or(Error::NotFound)?;
        Reply::ok(&view(conn, &signup)?)
    });
    Ok(reply.await?)
}

/// A page of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<i64>,
    #[schema(max_length = 2000)]
    pub cursor: Option<String>,
}

/// A sign-up with its run.
#[derive(Debug, Serialize, ToSchema)]
pub struct MySignup {
    #[serde(flatten)]
    pub signup: SignupView,
    pub run: RunCard,
}

/// One's own sign-ups, newest first.
#[utoipa::path(tag = "Sign-ups", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<MySignup>), (status = 422, body = ProblemDocument)))]
#[get("/me/signups")]
pub async fn my_signups(app: AppData, caller: Caller, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, now) = (query.get()?, caller.id(), app.clock.now());
    let state = app.clone();
    let reply = app.db.read(move |conn| {
        let owner = me.to_string();
        let paging = Paging::new(&state.keyring, &["my signups", &owner], query.limit, query.cursor.clone());
        let found = signups::of_person(conn, me, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |signup| signup.id)?;
        let mut items = Vec::new();
        for signup in &found {
            let run = runs::get(conn, signup.run_id)?;
            let one = std::slice::from_ref(&run);
            let facts = run_views::facts(conn, one, Some(me), state.config.policy.facilitator_ratio, now)?;
            items.push(MySignup { signup: view(conn, signup)?, run: facts.card(&run) });
        }
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// The body of `POST /signups/{id}/withdraw`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// The token of a "not today" link, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
}

/// Gives one's place, request or waiting position back, logged in or with the token of a "not today" link.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Withdrawal,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/withdraw")]
pub async fn withdraw(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<Withdrawal>,
) -> Result<Reply, Problem> {
    let ratio = app.config.policy.facilitator_ratio;
    if caller.0.is_none() && request.body().is_err() {
        return Err(Code::NotLoggedIn.into());
    }
    let Some(token) = request.body()?.token.clone() else {
        let caller = caller.0.ok_or(Code::NotLoggedIn)?;
        callers::not_kept_out(caller.kept_out.as_ref())?;
        let me = caller.id();
        let work = move |tx: &mut Tx<'_>, now| {
            let signup = service::withdraw(tx, me, id.0, ratio, now)?;
            Reply::ok(&view(tx, &signup)?)
        };
        return app.act_of(me, &request, work).await;
    };
    let (now, link) = (app.clock.now(), app.keyring.read_link_token(&token).ok_or(Code::LinkInvalid)?);
    let reply = app.db.write(move |tx| {
        let link = links::find_working(tx, link, LinkAction::NotToday, now)?;
        if link.about_id != Some(id.0) {
            return Err(Code::LinkInvalid.into());
        }
        let signup = service::withdraw(tx, link.account_id, id.0, ratio, now)?;
        Reply::ok(&view(tx, &signup)?)
    });
    let reply = reply.await?;
    app.mail_waits.notify_one();
    Ok(reply)
}

/// Somebody on the roster, as the run's facilitators see them.
#[derive(Debug, Serialize, ToSchema)]
pub struct RosterEntry {
    pub id: Id,
    pub status: SignupStatus,
    pub display_name: String,
    /// For those who are in: to bar or report somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<Id>,
    pub new_here: bool,
    pub answers: Vec<String>,
    pub note: Option<String>,
    pub waiting_position: Option<usize>,
    pub created_at: Instant,
}

/// Who comes to a run and who waits; for its facilitators, until 14 days after.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = Page<RosterEntry>), (status = 404, body = ProblemDocument)))]
#[get("/runs/{id}/signups")]
pub async fn roster(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now, days) = (caller.id(), app.clock.now(), app.config.policy.roster_visible_days);
    let reply = app.db.read(move |conn| {
        callers::leads(conn, me, id.0, now)?;
        let run = runs::get(conn, id.0)?;
        if run.ends_at.plus_days(days) <= now {
            return Err(Error::NotFound);
        }
        let shown = [SignupStatus::LIVE.as_slice(), &[SignupStatus::Attended, SignupStatus::NoShow]].concat();
        let found = signups::of_run(conn, id.0, &shown)?;
        let people: Vec<Id> = found.iter().map(|signup| signup.account_id).collect();
        let names = accounts::display_names(conn, &people)?;
        let mut waiting = 0;
        let items = found
            .into_iter()
            .map(|signup| {
                let waits = signup.status == SignupStatus::Waitlisted;
                waiting += usize::from(waits);
                RosterEntry {
                    id: signup.id,
                    status: signup.status,
                    display_name: names.get(&signup.account_id).cloned().unwrap_or_default(),
                    account_id: Some(signup.account_id).filter(|_| SignupStatus::HOLDING.contains(&signup.status)),
                    new_here: signup.new_here,
                    answers: signup.answers.0,
                    note: signup.note,
                    waiting_position: waits.then_some(waiting),
                    created_at: signup.created_at,
                }
            })
            .collect();
        Reply::ok(&Page::<RosterEntry> { items, next_cursor: None })
    });
    Ok(reply.await?)
}

/// Says yes to a request.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])),
    responses((status = 200, body = SignupView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/approve")]
pub async fn approve(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, ratio, body) = (caller.id(), app.config.policy.facilitator_ratio, request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (found, proof) = service::led_by(tx, me, id.0, now)?;
        body.body()?;
        let signup = service::approve(tx, &found, &proof, ratio, now)?;
        Reply::ok(&view(tx, &signup)?)
    })
    .await
}

/// Says no to a request; final for this run.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Removal, security(("token" = [])),
    responses((status = 200, body = SignupView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/decline")]
pub async fn decline(app: AppData, caller: Caller, id: PathId, request: Request<Removal>) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (found, proof) = service::led_by(tx, me, id.0, now)?;
        let signup = service::decline(tx, &found, &proof, body.body()?, now)?;
        Reply::ok(&view(tx, &signup)?)
    })
    .await
}

/// Takes a confirmed person off a run; final for this run.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Removal, security(("token" = [])),
    responses((status = 200, body = SignupView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/remove")]
pub async fn remove(app: AppData, caller: Caller, id: PathId, request: Request<Removal>) -> Result<Reply, Problem> {
    let (me, ratio, body) = (caller.id(), app.config.policy.facilitator_ratio, request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (found, proof) = service::led_by(tx, me, id.0, now)?;
        let signup = service::remove(tx, &found, &proof, body.body()?, ratio, now)?;
        Reply::ok(&view(tx, &signup)?)
    })
    .await
}
