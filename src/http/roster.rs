//! The facilitators' side of sign-ups: who comes and who waits, and what they decide about it.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    by_token::{ByToken, WithToken, act_or_link, link_to},
    day::GuestView,
    extract::{Caller, MaybeCaller, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
    signups::{Standing, standing},
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        pace::PaceBand,
        refusal::Fault,
        signup::{ReconfirmReason, RemovalReason, SignupStatus},
    },
    error::Result as Outcome,
    id::Id,
    service::{
        callers,
        limits::acts,
        signups::decisions::{self, Removal},
    },
    store::{
        Conn, accounts, day, runs,
        signups::{self, Signup},
    },
};

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

/// Who comes to a run and who waits; for its facilitators and its back marker, until 14 days after. Everybody at once,
/// so that nobody is overlooked, unless `limit` or `cursor` asks for pages.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path), PageQuery), security(("token" = [])), responses(
    (status = 200, body = Roster), (status = 404, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/runs/{id}/signups")]
pub async fn roster(app: AppData, caller: Caller, id: PathId, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (me, now, policy, state) = (caller.id(), app.clock.now(), app.config.policy.clone(), app.clone());
    let reply = app.db.read(move |conn| {
        callers::accompanies(conn, me, id.0, now)?;
        let PageQuery { limit, cursor } = query.get()?;
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
        let items: Vec<RosterEntry> = found
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
        let is_whole = limit.is_none() && cursor.is_none();
        let paging = Paging::new(&state.keyring, &["roster", &id.0.to_string()], limit, cursor);
        let (items, next_cursor) = if is_whole { (items, None) } else { paging.cut(items, |entry| entry.id)? };
        let people = Page { items, next_cursor };
        Reply::ok(&Roster { people, guests: guests.into_iter().map(GuestView::from).collect(), not_signed_out })
    });
    Ok(reply.await?)
}

/// What was decided, as the run's facilitators see it: nothing of what is between the person and us.
fn decided(conn: &mut Conn, signup: &Signup) -> Outcome<Reply> {
    Reply::ok(&standing(conn, signup)?)
}

/// Says yes to a request, logged in or with the token of the link in the mail.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 200, body = Standing), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/approve")]
pub async fn approve(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (policy, id, body) = (app.config.policy.clone(), id.0, request.clone());
    act_or_link(&app, caller, &request, link_to(LinkAction::ApproveRequest, id), move |tx, me, now| {
        let (found, proof) = decisions::led_by(tx, me, id, now)?;
        let approve = if body.body()?.token.is_some() { decisions::approve_by_link } else { decisions::approve };
        let signup = approve(tx, &found, &proof, &policy, now)?;
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

impl WithToken for Declining {
    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
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
    security(("token" = []), ()), responses((status = 200, body = Standing), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/decline")]
pub async fn decline(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<Declining>,
) -> Result<Reply, Problem> {
    let (id, state, body) = (id.0, app.clone(), request.clone());
    act_or_link(&app, caller, &request, link_to(LinkAction::DeclineRequest, id), move |tx, me, now| {
        let (found, proof) = decisions::led_by(tx, me, id, now)?;
        let signup = decisions::decline(tx, &found, &proof, &body.body()?.why()?, now)?;
        state.spend_act(tx, &acts::REMOVAL, me, None, now)?;
        decided(tx, &signup)
    })
    .await
}

/// Takes a confirmed person off a run; final for this run.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Removal, security(("token" = [])),
    responses((status = 200, body = Standing), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/signups/{id}/remove")]
pub async fn remove(app: AppData, caller: Caller, id: PathId, request: Request<Removal>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (found, proof) = decisions::led_by(tx, me, id.0, now)?;
        let signup = decisions::remove(tx, &found, &proof, body.body()?, &state.config.policy, now)?;
        state.spend_act(tx, &acts::REMOVAL, me, None, now)?;
        decided(tx, &signup)
    })
    .await
}
