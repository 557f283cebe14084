//! A person's own sign-ups over HTTP.

use actix_web::{get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    by_token::{ByToken, WithToken, act_or_link, link_of, link_to},
    extract::{Caller, MaybeCaller, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        profile::AccessNeed,
        question::ComingQuestion,
        signup::{ReconfirmReason, RemovalReason, SignupStatus},
    },
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        limits::acts,
        run_views::{self, RunCard},
        runs as run_service,
        signups::{
            self as service, Instead, NewSignup,
            offers::{self, Acceptance},
            reconfirming::{self, Answer},
            sharing::{self, SharedNeeds},
        },
    },
    store::{
        Conn, Tx, runs, shared_needs,
        signups::{self, Signup},
    },
};

impl WithToken for Acceptance {
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

/// Where a sign-up stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    pub id: Id,
    pub run_id: Id,
    pub status: SignupStatus,
    /// 1 for the next; only for those who wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_position: Option<usize>,
    /// Until when an offered place is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_expires_at: Option<Instant>,
}

/// A sign-up as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignupView {
    #[serde(flatten)]
    pub standing: Standing,
    /// Until when the person has to say that they come, and why they are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconfirm_by: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconfirm_reason: Option<ReconfirmReason>,
    /// Whether the person is asked if a changed run still suits; silence keeps the place.
    pub change_to_answer: bool,
    /// What the person is asked at the moment; each is answered by itself.
    pub questions: Vec<ComingQuestion>,
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
    /// Null where somebody's safety is the reason: then the neutral sentence is all that is told.
    pub reason_code: Option<RemovalReason>,
    pub sentence: String,
    pub statement: Option<String>,
    /// Where to object: `about` is `{kind: "signup_decision", id}`.
    pub appeal: &'static str,
}

pub(super) fn standing(conn: &mut Conn, signup: &Signup) -> Outcome<Standing> {
    Ok(Standing {
        id: signup.id,
        run_id: signup.run_id,
        status: signup.status,
        waiting_position: service::waiting_position(conn, signup)?,
        offer_expires_at: signup.offer_expires_at.filter(|_| signup.status == SignupStatus::Offered),
    })
}

fn view(conn: &mut Conn, signup: &Signup, now: Instant) -> Outcome<SignupView> {
    let run = runs::get(conn, signup.run_id)?;
    view_on(conn, signup, &run, now)
}

fn view_on(conn: &mut Conn, signup: &Signup, run: &runs::Run, now: Instant) -> Outcome<SignupView> {
    Ok(SignupView {
        questions: reconfirming::open_questions(conn, signup, run, now)?,
        standing: standing(conn, signup)?,
        reconfirm_by: signup.reconfirm_by,
        reconfirm_reason: signup.reconfirm_reason,
        change_to_answer: signup.change_asked_at.is_some(),
        answers: signup.answers.0.clone(),
        note: signup.note.clone(),
        short_notice: signup.short_notice,
        created_at: signup.created_at,
        updated_at: signup.updated_at,
        decision: signup.reason_code.filter(|_| signup.is_closed()).map(|reason_code| SignupDecision {
            reason_code: Some(reason_code).filter(|code| *code != RemovalReason::Safety),
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
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        run_service::is_visible(tx, id.0, me)?;
        let input = body.body()?;
        let place = input.friend_token.as_deref().and_then(|token| state.keyring.read_link_token(token));
        let (signup, is_new) = service::sign_up_with(tx, me, id.0, input, place, &state.config.policy, now)?;
        if is_new {
            state.spend_act(tx, &acts::SIGN_UP, me, Some(id.0), now)?;
        }
        Reply::new(if is_new { 201 } else { 200 }, &view(tx, &signup, now)?)
    })
    .await
}

/// A sign-up by itself: only here its person sees what the facilitators may see of their access needs.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignupDetail {
    #[serde(flatten)]
    pub signup: SignupView,
    pub share_access_needs: Vec<String>,
}

/// One's own sign-up.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = SignupDetail), (status = 404, body = ProblemDocument)))]
#[get("/signups/{id}")]
pub async fn get_signup(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let signup = signups::find(conn, id.0)?.filter(|signup| signup.account_id == me).ok_or(Error::NotFound)?;
        let share_access_needs = shared_needs::of_signup(conn, signup.id)?;
        Reply::ok(&SignupDetail { signup: view(conn, &signup, now)?, share_access_needs })
    });
    Ok(reply.await?)
}

/// Says which of one's access needs the run's facilitators may see, while one's sign-up is live. They see them as an
/// emergency contact: around the run, and each look is written down.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = SharedNeeds, security(("token" = [])),
    responses((status = 200, body = SharedNeeds), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[put("/signups/{id}/access-needs")]
pub async fn share_needs(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<SharedNeeds>,
) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.write(move |tx| {
        signups::find(tx, id.0)?.filter(|signup| signup.account_id == me).ok_or(Error::NotFound)?;
        let shared = sharing::share(tx, me, id.0, request.body()?, now)?;
        Reply::ok(&SharedNeeds { share_access_needs: shared.into_iter().map(AccessNeed).collect() })
    });
    Ok(reply.await?)
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
        let ids: Vec<Id> = found.iter().map(|signup| signup.run_id).collect();
        let runs = runs::of_ids(conn, &ids)?;
        let facts = run_views::facts(conn, &runs, Some(me), &state.config.policy, now)?;
        let mut items = Vec::new();
        for signup in &found {
            let run = runs.iter().find(|run| run.id == signup.run_id).ok_or(Error::NotFound)?;
            items.push(MySignup { signup: view_on(conn, signup, run, now)?, run: facts.card(run) });
        }
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// Does something with one's own sign-up, logged in or with the token of the link for it.
pub(super) async fn by_person_or_link<T>(
    app: &AppData,
    caller: MaybeCaller,
    id: Id,
    request: &Request<T>,
    link: LinkAction,
    work: impl Fn(&mut Tx<'_>, Id, Instant) -> Outcome<Signup> + Send + 'static,
) -> Result<Reply, Problem>
where
    T: WithToken + Send + Sync + 'static,
{
    let body = request.clone();
    act_or_link(app, caller, request, link_to(link, id), move |tx, me, now| {
        signups::find(tx, id)?.filter(|signup| signup.account_id == me).ok_or(Error::NotFound)?;
        body.body()?;
        let signup = work(tx, me, now)?;
        Reply::ok(&view(tx, &signup, now)?)
    })
    .await
}

/// Gives one's place, request or waiting position back, logged in or with the token of a "not today" link.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/withdraw")]
pub async fn withdraw(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (policy, id) = (app.config.policy.clone(), id.0);
    let work = move |tx: &mut Tx<'_>, me, now| service::withdraw(tx, me, id, &policy, now);
    by_person_or_link(&app, caller, id, &request, LinkAction::NotToday, work).await
}

/// Takes an offered place, or a free one at short notice, logged in or with the token of the link in the mail.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Acceptance,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/accept")]
pub async fn accept(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<Acceptance>,
) -> Result<Reply, Problem> {
    let (policy, id, body) = (app.config.policy.clone(), id.0, request.clone());
    let work = move |tx: &mut Tx<'_>, me, now| {
        let body = body.body()?;
        let instead = Instead { swap: body.swap, leave_overlapping: body.leave_overlapping };
        offers::accept(tx, me, id, instead, &policy, now)
    };
    by_person_or_link(&app, caller, id, &request, LinkAction::TakePlace, work).await
}

/// Lets an offered place go and waits on, at the end of the line.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/decline-offer")]
pub async fn decline_offer(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (policy, id) = (app.config.policy.clone(), id.0);
    let work = move |tx: &mut Tx<'_>, me, now| offers::decline_offer(tx, me, id, &policy, now);
    by_person_or_link(&app, caller, id, &request, LinkAction::LetPlaceGo, work).await
}

/// The body of `POST /signups/{id}/reconfirm`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconfirmation {
    /// The token of the link in the mail, instead of logging in; the link says which question it answers.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
    /// Which of the sign-up's `questions` is answered; needed where several are open.
    #[serde(default)]
    pub question: Option<ComingQuestion>,
}

impl WithToken for Reconfirmation {
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

/// Says that one still comes: to a changed run, as the only participant, or the day before. Each is a question of its own,
/// and a yes counts for the start, the place and the partner that it was given for.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Reconfirmation,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/reconfirm")]
pub async fn reconfirm(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<Reconfirmation>,
) -> Result<Reply, Problem> {
    let (policy, id, body, state) = (app.config.policy.clone(), id.0, request.clone(), app.clone());
    let work = move |tx: &mut Tx<'_>, me, now| {
        let body = body.body()?;
        let link = link_of(tx, &state.keyring, body, now)?;
        reconfirming::reconfirm(tx, me, id, &Answer { question: body.question, link }, &policy, now)
    };
    by_person_or_link(&app, caller, id, &request, LinkAction::StillComing, work).await
}
