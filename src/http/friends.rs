//! Bringing a friend over HTTP: a place kept by somebody on the run, its link, and what the link shows.

use actix_web::{delete, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Caller, Nothing, PathId, Request},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        limits::acts,
        run_views::{self, RunCard},
        signups::friends,
    },
    store::signups,
};

/// A place that is kept for a friend.
#[derive(Debug, Serialize, ToSchema)]
pub struct FriendPlaceView {
    /// What the friend sends as `friend_token` with their own sign-up; it works once.
    pub token: String,
    /// To pass on; shows the run. We mail no strangers.
    pub link: String,
    pub expires_at: Instant,
}

/// What the link of a kept place shows to whoever opens it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FriendInvitation {
    pub run: RunCard,
    pub expires_at: Instant,
    /// Where to sign up with an own account, with `friend_token` in the body.
    pub sign_up: String,
}

/// Keeps one more place for a friend, for a day and never beyond the cut-off.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, description = "There is one already", body = FriendPlaceView), (status = 201, body = FriendPlaceView),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/friend")]
pub async fn keep_place(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        signups::find(tx, id.0)?.filter(|signup| signup.account_id == me).ok_or(Error::NotFound)?;
        body.body()?;
        let (place, is_new) = friends::keep_place(tx, me, id.0, &state.config.policy, now)?;
        if is_new {
            state.spend_act(tx, &acts::FRIEND_PLACE, me, Some(id.0), now)?;
        }
        let token = state.keyring.link_token(place.id);
        let link = format!("{}/v1/friend-places/{token}", state.config.base_url);
        let view = FriendPlaceView { token, link, expires_at: place.expires_at };
        Reply::new(if is_new { 201 } else { 200 }, &view)
    })
    .await
}

/// Gives a place back that was kept for a friend and is not taken.
#[utoipa::path(tag = "Sign-ups", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 204), (status = 404, body = ProblemDocument)))]
#[delete("/signups/{id}/friend")]
pub async fn give_back_place(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, policy, now) = (caller.id(), app.config.policy.clone(), app.clock.now());
    app.db.write(move |tx| friends::give_back_place(tx, me, id.0, &policy, now)).await?;
    app.mail_waits.notify_one();
    Ok(Reply::nothing())
}

/// The run for which somebody keeps a place, as everybody may see it; gone once it is taken or its time is over.
#[utoipa::path(tag = "Sign-ups", params(("token" = String, Path)), responses(
    (status = 200, body = FriendInvitation), (status = 404, body = ProblemDocument)))]
#[get("/friend-places/{token}")]
pub async fn look(app: AppData, token: web::Path<String>) -> Result<Reply, Problem> {
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    let place = app.keyring.read_link_token(&token).ok_or(Error::NotFound)?;
    let base = app.config.base_url.clone();
    let reply = app.db.read(move |conn| -> Outcome<Reply> {
        let (place, run) = friends::look(conn, place, now)?;
        let card = run_views::facts(conn, std::slice::from_ref(&run), None, &policy, now)?.card(&run);
        let sign_up = format!("{base}/v1/runs/{}/signups", run.id);
        Reply::ok(&FriendInvitation { run: card, expires_at: place.expires_at, sign_up })
    });
    Ok(reply.await?)
}
