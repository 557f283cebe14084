//! Sign-ups over HTTP: the person's own, and the facilitators' roster.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    day::GuestView,
    extract::{Caller, MaybeCaller, PathId, Query, Request},
    paging::{Page, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        pace::PaceBand,
        refusal::{Code, Fault},
        signup::{ReconfirmReason, RemovalReason, SignupStatus},
    },
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        callers, links, run_views,
        run_views::RunCard,
        runs as run_service,
        signups::{
            self as service, Instead, NewSignup,
            decisions::{self, Removal},
            offers::{self, Acceptance},
            reconfirming,
        },
    },
    store::{
        Conn, Tx, accounts, day, runs,
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
    /// Until when an offered place is held; accept or decline it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_expires_at: Option<Instant>,
    /// Until when the person has to say that they come, and why they are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconfirm_by: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconfirm_reason: Option<ReconfirmReason>,
    /// Whether the person is asked if a changed run still suits; silence keeps the place.
    pub change_to_answer: bool,
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

pub(super) fn view(conn: &mut Conn, signup: &Signup) -> Outcome<SignupView> {
    Ok(SignupView {
        id: signup.id,
        run_id: signup.run_id,
        status: signup.status,
        waiting_position: service::waiting_position(conn, signup)?,
        offer_expires_at: signup.offer_expires_at.filter(|_| signup.status == SignupStatus::Offered),
        reconfirm_by: signup.reconfirm_by,
        reconfirm_reason: signup.reconfirm_reason,
        change_to_answer: signup.change_asked_at.is_some(),
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
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        run_service::is_visible(tx, id.0, me)?;
        let input = body.body()?;
        let place = input.friend_token.as_deref().and_then(|token| state.keyring.read_link_token(token));
        let (signup, is_new) = service::sign_up_with(tx, me, id.0, input, place, &state.config.policy, now)?;
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
            let facts = run_views::facts(conn, one, Some(me), &state.config.policy, now)?;
            items.push(MySignup { signup: view(conn, signup)?, run: facts.card(&run) });
        }
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// The body of an act that a link in a mail can do as well.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByToken {
    /// The token of the link, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
}

/// Does something with one's own sign-up, logged in or with the token of the link for it.
pub(super) async fn by_person_or_link<T>(
    app: &AppData,
    caller: MaybeCaller,
    id: Id,
    request: &Request<T>,
    token: impl Fn(&T) -> Option<String>,
    link: LinkAction,
    work: impl Fn(&mut Tx<'_>, Id, Instant) -> Outcome<Signup> + Send + 'static,
) -> Result<Reply, Problem>
where
    T: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    if caller.0.is_some() {
        request.body()?;
    }
    let body = request.clone();
    act_or_link(app, caller, id, request, token, link, move |tx, me, now| {
        body.body()?;
        let signup = work(tx, me, now)?;
        Reply::ok(&view(tx, &signup)?)
    })
    .await
}

/// Does what a link in a mail does, logged in or with its token; `id` is what the link has to be about. `work` looks at
/// the body, after what may not be there.
pub(super) async fn act_or_link<T>(
    app: &AppData,
    caller: MaybeCaller,
    id: Id,
    request: &Request<T>,
    token: impl Fn(&T) -> Option<String>,
    link: LinkAction,
    work: impl Fn(&mut Tx<'_>, Id, Instant) -> Outcome<Reply> + Send + 'static,
) -> Result<Reply, Problem>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let Some(token) = request.readable().and_then(token) else {
        let caller = caller.0.ok_or(Code::NotLoggedIn)?;
        callers::not_kept_out(caller.kept_out.as_ref())?;
        let me = caller.id();
        return app.act_of(me, request, move |tx, now| work(tx, me, now)).await;
    };
    let (now, token) = (app.clock.now(), app.keyring.read_link_token(&token).ok_or(Code::LinkInvalid)?);
    let reply = app.db.write(move |tx| {
        let link = links::find_working(tx, token, link, now)?;
        if link.about_id != Some(id) {
            return Err(Code::LinkInvalid.into());
        }
        callers::still_welcome(tx, link.account_id, now)?;
        let reply = work(tx, link.account_id, now)?;
        links::done_with(tx, &link, now)?;
        Ok(reply)
    });
    let reply = reply.await?;
    app.mail_waits.notify_one();
    Ok(reply)
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
    by_person_or_link(
        &app,
        caller,
        id,
        &request,
        |body| body.token.clone(),
        LinkAction::NotToday,
        move |tx, me, now| service::withdraw(tx, me, id, &policy, now),
    )
    .await
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
    by_person_or_link(
        &app,
        caller,
        id,
        &request,
        |body| body.token.clone(),
        LinkAction::TakePlace,
        move |tx, me, now| {
            let body = body.body()?;
            let instead = Instead { swap: body.swap, leave_overlapping: body.leave_overlapping };
            offers::accept(tx, me, id, instead, &policy, now)
        },
    )
    .await
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
    by_person_or_link(
        &app,
        caller,
        id,
        &request,
        |body| body.token.clone(),
        LinkAction::LetPlaceGo,
        move |tx, me, now| offers::decline_offer(tx, me, id, &policy, now),
    )
    .await
}

/// Says that one still comes: to a changed run, as the only participant, or the day before.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/reconfirm")]
pub async fn reconfirm(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let id = id.0;
    by_person_or_link(
        &app,
        caller,
        id,
        &request,
        |body| body.token.clone(),
        LinkAction::StillComing,
        move |tx, me, now| reconfirming::reconfirm(tx, me, id, now),
    )
    .await
}

/// A sign-up as the run's facilitators see what they decided about it: nothing of what is between the person and us.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecidedView {
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

fn decided(conn: &mut Conn, signup: &Signup) -> Outcome<Reply> {
    Reply::ok(&DecidedView {
        id: signup.id,
        run_id: signup.run_id,
        status: signup.status,
        waiting_position: service::waiting_position(conn, signup)?,
        offer_expires_at: signup.offer_expires_at.filter(|_| signup.status == SignupStatus::Offered),
    })
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
    /// The pace at which they can chat, for this activity.
    pub pace: Option<PaceBand>,
    pub answers: Vec<String>,
    /// Their word to the facilitators; from when they have a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub waiting_position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_expires_at: Option<Instant>,
    /// Asked about a change of the run, and has not answered. Who is asked for another cause is not told.
    pub has_not_answered: bool,
    /// Was not signed up and came.
    pub walked_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_in_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_out_at: Option<Instant>,
    pub created_at: Instant,
}

/// Who comes to a run and who waits, with guests who have no account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Roster {
    #[serde(flatten)]
    pub people: Page<RosterEntry>,
    pub guests: Vec<GuestView>,
    /// How many of those who were checked in, guests included, have not been signed out.
    pub not_signed_out: usize,
}

/// Who comes to a run and who waits; for its facilitators and its back marker, until 14 days after.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = Roster), (status = 404, body = ProblemDocument)))]
#[get("/runs/{id}/signups")]
pub async fn roster(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now, policy) = (caller.id(), app.clock.now(), app.config.policy.clone());
    let reply = app.db.read(move |conn| {
        callers::accompanies(conn, me, id.0, now)?;
        let run = runs::get(conn, id.0)?;
        decisions::still_seen(&run, &policy, now)?;
        let shown = [SignupStatus::LIVE.as_slice(), &[SignupStatus::NoShow]].concat();
        let found = signups::of_run(conn, id.0, &shown)?;
        let people: Vec<Id> = found.iter().map(|signup| signup.account_id).collect();
        let names = accounts::display_names(conn, &people)?;
        let profiles = accounts::profiles(conn, &people)?;
        let mut waiting = 0;
        let guests = day::guests_of(conn, id.0)?;
        let is_here = |signup: &&Signup| signup.status == SignupStatus::Attended && signup.signed_out_at.is_none();
        let not_signed_out =
            found.iter().filter(is_here).count() + guests.iter().filter(|guest| guest.signed_out_at.is_none()).count();
        let items = found
            .into_iter()
            .map(|signup| {
                let waits = signup.status == SignupStatus::Waitlisted;
                let is_in =
                    matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Attended | SignupStatus::NoShow);
                let profile = profiles.iter().find(|profile| profile.account_id == signup.account_id);
                waiting += usize::from(waits);
                RosterEntry {
                    id: signup.id,
                    status: signup.status,
                    display_name: names.get(&signup.account_id).cloned().unwrap_or_default(),
                    account_id: Some(signup.account_id).filter(|_| is_in),
                    new_here: signup.new_here,
                    pace: profile.and_then(|profile| profile.pace_for(run.activity)),
                    answers: signup.answers.0,
                    note: signup.note.filter(|_| is_in),
                    waiting_position: waits.then_some(waiting),
                    offer_expires_at: signup.offer_expires_at.filter(|_| signup.status == SignupStatus::Offered),
                    has_not_answered: signup.change_asked_at.is_some()
                        || signup.reconfirm_reason == Some(ReconfirmReason::Changed),
                    walked_in: signup.walked_in,
                    checked_in_at: signup.checked_in_at,
                    signed_out_at: signup.signed_out_at,
                    created_at: signup.created_at,
                }
            })
            .collect();
        let people = Page::<RosterEntry> { items, next_cursor: None };
        Reply::ok(&Roster { people, guests: guests.into_iter().map(GuestView::from).collect(), not_signed_out })
    });
    Ok(reply.await?)
}

/// Says yes to a request, logged in or with the token of the link in the mail.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 200, body = DecidedView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/approve")]
pub async fn approve(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (policy, id, body) = (app.config.policy.clone(), id.0, request.clone());
    let token = |body: &ByToken| body.token.clone();
    act_or_link(&app, caller, id, &request, token, LinkAction::ApproveRequest, move |tx, me, now| {
        let (found, proof) = decisions::led_by(tx, me, id, now)?;
        body.body()?;
        let signup = decisions::approve(tx, &found, &proof, &policy, now)?;
        decided(tx, &signup)
    })
    .await
}

/// The body of `POST /signups/{id}/decline`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Declining {
    /// The token of the link in the mail, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
    /// With the token of a link it may be left out: then the no is the kind one that the link gives.
    #[serde(default)]
    pub reason_code: Option<RemovalReason>,
    /// For moderators only.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub private_note: Option<String>,
    /// What the person reads besides the ready-made sentence; needed when the code is `conduct`.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub statement: Option<String>,
}

impl Declining {
    fn why(&self) -> Outcome<Removal> {
        let kindly = self.token.as_ref().map(|_| Removal::kindly().reason_code);
        let reason_code =
            self.reason_code.or(kindly).ok_or_else(|| Fault::at("/reason_code", "required", "say why"))?;
        Ok(Removal { reason_code, private_note: self.private_note.clone(), statement: self.statement.clone() })
    }
}

/// Says no to a request, logged in or with the token of the link in the mail; final for this run.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Declining,
    security(("token" = []), ()), responses((status = 200, body = DecidedView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/decline")]
pub async fn decline(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<Declining>,
) -> Result<Reply, Problem> {
    let (id, body) = (id.0, request.clone());
    let token = |body: &Declining| body.token.clone();
    act_or_link(&app, caller, id, &request, token, LinkAction::DeclineRequest, move |tx, me, now| {
        let (found, proof) = decisions::led_by(tx, me, id, now)?;
        let signup = decisions::decline(tx, &found, &proof, &body.body()?.why()?, now)?;
        decided(tx, &signup)
    })
    .await
}

/// Takes a confirmed person off a run; final for this run.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Removal, security(("token" = [])),
    responses((status = 200, body = DecidedView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/remove")]
pub async fn remove(app: AppData, caller: Caller, id: PathId, request: Request<Removal>) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (found, proof) = decisions::led_by(tx, me, id.0, now)?;
        let signup = decisions::remove(tx, &found, &proof, body.body()?, &policy, now)?;
        decided(tx, &signup)
    })
    .await
}
