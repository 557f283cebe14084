//! Walk-ins, guests, and who runs side by side.

use actix_web::{delete, get, post, put, web::Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::{GuestView, MarkView, two_ids};
use crate::{
    http::{
        AppData, Problem, Reply,
        extract::{Caller, Nothing, PathId, Request},
        problem::ProblemDocument,
    },
    id::Id,
    service::{
        callers,
        day::{
            attendance, contacts,
            pairing::{self, ChosenPairs, PairsView},
            walk_ins::{self, CameIn, WalkIn},
        },
        limits::acts,
    },
    store::accounts,
};

/// Who walked in: somebody with an account, or a guest.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalkInView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signup: Option<MarkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestView>,
}

/// Takes in somebody who was not signed up, from 2 h before the start until the run is over; each takes a place.
#[utoipa::path(tag = "The day", params(("id" = Id, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = WalkIn, security(("token" = [])), responses(
    (status = 200, description = "Was on the list already, and is checked in", body = WalkInView),
    (status = 201, body = WalkInView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/runs/{id}/walk-ins")]
pub async fn walk_in(app: AppData, caller: Caller, id: PathId, request: Request<WalkIn>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::leads(tx, me, id.0, now)?;
        let input = body.checked(WalkIn::faults)?;
        match walk_ins::walk_in(tx, input, &proof, &state.config.policy, now)? {
            CameIn::Guest(guest) => {
                Reply::created(&WalkInView { signup: None, display_name: None, guest: Some(guest.into()) })
            }
            CameIn::Person(signup, is_new) => {
                state.spend_act(tx, &acts::MARK, me, Some(signup.account_id), now)?;
                let display_name = Some(accounts::get(tx, signup.account_id)?.display_name);
                let view = WalkInView { signup: Some(MarkView::from(&*signup)), display_name, guest: None };
                Reply::new(if is_new { 201 } else { 200 }, &view)
            }
        }
    })
    .await
}

/// Signs a guest out.
#[utoipa::path(tag = "The day", params(("id" = Id, Path), ("guest_id" = Id, Path)), request_body = Nothing,
    security(("token" = [])), responses((status = 200, body = GuestView), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/guests/{guest_id}/sign-out")]
pub async fn sign_guest_out(
    app: AppData,
    caller: Caller,
    path: Path<(String, String)>,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let ((run, guest), me, body) = (two_ids(path)?, caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::leads(tx, me, run, now)?;
        body.body()?;
        Reply::ok(&GuestView::from(attendance::sign_guest_out(tx, guest, &proof, now)?))
    })
    .await
}

/// Takes a guest off who was entered by mistake, on the day; not one whom an incident names.
#[utoipa::path(tag = "The day", params(("id" = Id, Path), ("guest_id" = Id, Path)), security(("token" = [])),
    responses((status = 204), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[delete("/runs/{id}/guests/{guest_id}")]
pub async fn remove_guest(app: AppData, caller: Caller, path: Path<(String, String)>) -> Result<Reply, Problem> {
    let ((run, guest), me) = (two_ids(path)?, caller.id());
    let (policy, now) = (app.config.policy.clone(), app.clock.now());
    let removed = app.db.write(move |tx| {
        let proof = callers::leads(tx, me, run, now)?;
        attendance::remove_guest(tx, guest, &proof, &policy, now)
    });
    removed.await?;
    app.mail_waits.notify_one();
    Ok(Reply::nothing())
}

/// A guest's emergency number.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuestContact {
    /// Null once it was erased.
    pub emergency_phone: Option<String>,
}

/// Looks at a guest's emergency number, as at somebody's emergency contact.
#[utoipa::path(tag = "The day", params(("id" = Id, Path), ("guest_id" = Id, Path)), request_body = Nothing,
    security(("token" = [])), responses((status = 200, body = GuestContact), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/guests/{guest_id}/emergency-contact")]
pub async fn look_at_guest(
    app: AppData,
    caller: Caller,
    path: Path<(String, String)>,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let ((run, guest), me, now) = (two_ids(path)?, caller.id(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let proof = callers::leads(tx, me, run, now)?;
        request.body()?;
        let guest = contacts::look_at_guest(tx, guest, &proof, now)?;
        Reply::ok(&GuestContact { emergency_phone: guest.emergency_phone })
    });
    Ok(reply.await?)
}

/// Suggests who might run side by side, from those who are checked in and not signed out.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = PairsView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[get("/runs/{id}/pairs")]
pub async fn pairs(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let proof = callers::leads(conn, me, id.0, now)?;
        Reply::ok(&pairing::suggest(conn, &proof, now)?)
    });
    Ok(reply.await?)
}

/// Keeps who runs side by side, so that next time it is somebody else. Nobody has to be in a pair.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = ChosenPairs, security(("token" = [])), responses(
    (status = 200, body = PairsView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[put("/runs/{id}/pairs")]
pub async fn choose_pairs(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<ChosenPairs>,
) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let proof = callers::leads(tx, me, id.0, now)?;
        Reply::ok(&pairing::choose(tx, request.body()?, &proof, now)?)
    });
    Ok(reply.await?)
}
