//! The facilitators' desk over HTTP: ticking people off, and the audited look at an emergency contact. Walk-ins, guests
//! and pairs are in `people`, what is a person's own in `own`, the team's part in `team`.

pub mod own;
pub mod people;
pub mod team;

use actix_web::post;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Caller, Nothing, PathId, Request},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::{signup::SignupStatus, vocabulary::access},
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        callers,
        day::{attendance, attendance::Ticked, contacts},
        limits::acts,
        signups::decisions,
    },
    store::{
        day::{EmergencyContact, Guest},
        signups::Signup,
    },
};

/// Where somebody stands on the facilitators' list.
#[derive(Debug, Serialize, ToSchema)]
pub struct MarkView {
    pub id: Id,
    pub status: SignupStatus,
    pub walked_in: bool,
    pub checked_in_at: Option<Instant>,
    pub signed_out_at: Option<Instant>,
}

impl From<&Signup> for MarkView {
    fn from(signup: &Signup) -> Self {
        Self {
            id: signup.id,
            status: signup.status,
            walked_in: signup.walked_in,
            checked_in_at: signup.checked_in_at,
            signed_out_at: signup.signed_out_at,
        }
    }
}

/// What came of ticking several people off.
#[derive(Debug, Serialize, ToSchema)]
pub struct TickedView {
    pub done: Vec<MarkView>,
    /// Sign-ups for which it was not possible; asked one by one, the answer says why.
    pub left: Vec<Id>,
}

impl From<Ticked> for TickedView {
    fn from(ticked: Ticked) -> Self {
        Self { done: ticked.done.iter().map(MarkView::from).collect(), left: ticked.left }
    }
}

/// A guest without an account, as the facilitators see them; the number is looked at by itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuestView {
    pub id: Id,
    /// Null once it was erased.
    pub first_name: Option<String>,
    pub signed_out_at: Option<Instant>,
    pub created_at: Instant,
}

impl From<Guest> for GuestView {
    fn from(guest: Guest) -> Self {
        Self {
            id: guest.id,
            first_name: guest.first_name,
            signed_out_at: guest.signed_out_at,
            created_at: guest.created_at,
        }
    }
}

/// An emergency contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContactView {
    pub name: String,
    pub phone: String,
    pub relation: Option<String>,
    pub updated_at: Instant,
}

impl From<EmergencyContact> for ContactView {
    fn from(contact: EmergencyContact) -> Self {
        Self { name: contact.name, phone: contact.phone, relation: contact.relation, updated_at: contact.updated_at }
    }
}

/// Somebody's emergency contact, or that there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContactLook {
    /// Null where the person gave none.
    pub contact: Option<ContactView>,
}

/// Whom to tick off.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToTick {
    /// Everybody when absent.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub signup_ids: Option<Vec<Id>>,
}

/// Checks somebody in, from 2 h before the start; can be corrected until 7 days after.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, body = MarkView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/check-in")]
pub async fn check_in(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (_, proof) = decisions::accompanied_by(tx, me, id.0, now)?;
        body.body()?;
        Reply::ok(&MarkView::from(&attendance::check_in(tx, id.0, &proof, &policy, now)?))
    })
    .await
}

/// Checks in everybody who is confirmed, or those named.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = ToTick, security(("token" = [])), responses(
    (status = 200, body = TickedView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/check-in")]
pub async fn check_in_all(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<ToTick>,
) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::accompanies(tx, me, id.0, now)?;
        let named = body.body()?.signup_ids.as_deref();
        Reply::ok(&TickedView::from(attendance::check_in_all(tx, named, &proof, &policy, now)?))
    })
    .await
}

/// Signs somebody out who was checked in, so that everybody is accounted for.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, body = MarkView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/sign-out")]
pub async fn sign_out(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (_, proof) = decisions::accompanied_by(tx, me, id.0, now)?;
        body.body()?;
        Reply::ok(&MarkView::from(&attendance::sign_out(tx, id.0, &proof, now)?))
    })
    .await
}

/// Signs out everybody who was checked in, guests included, or those named.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = ToTick, security(("token" = [])), responses(
    (status = 200, body = TickedView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/runs/{id}/sign-out")]
pub async fn sign_out_all(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<ToTick>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::accompanies(tx, me, id.0, now)?;
        let named = body.body()?.signup_ids.as_deref();
        Reply::ok(&TickedView::from(attendance::sign_out_all(tx, named, &proof, now)?))
    })
    .await
}

/// Says that somebody did not come and had not said so: after the start, and only where somebody was checked in.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, body = MarkView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/no-show")]
pub async fn no_show(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (_, proof) = decisions::led_by(tx, me, id.0, now)?;
        body.body()?;
        let signup = attendance::mark_no_show(tx, id.0, &proof, now)?;
        state.spend_act(tx, &acts::MARK, me, Some(signup.account_id), now)?;
        Reply::ok(&MarkView::from(&signup))
    })
    .await
}

/// Takes a check-in or a "did not come" back.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, body = MarkView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/undo-mark")]
pub async fn undo(app: AppData, caller: Caller, id: PathId, request: Request<Nothing>) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (_, proof) = decisions::led_by(tx, me, id.0, now)?;
        body.body()?;
        Reply::ok(&MarkView::from(&attendance::undo(tx, id.0, &proof, &policy, now)?))
    })
    .await
}

/// Looks at somebody's emergency contact, from 2 h before the start to 4 h after the planned end; each look is in the audit
/// log. An Idempotency-Key is not kept here: the answer would be kept with it.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, body = ContactLook), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/emergency-contact")]
pub async fn look_at_contact(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let (_, proof) = decisions::led_by(tx, me, id.0, now)?;
        request.body()?;
        let contact = contacts::look(tx, id.0, &proof, now)?.map(ContactView::from);
        Reply::ok(&ContactLook { contact })
    });
    Ok(reply.await?)
}

/// The access needs that somebody lets a run's facilitators see.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevealedNeeds {
    /// Empty where the person shares none.
    pub access_needs: Vec<NeedView>,
}

/// An access need in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct NeedView {
    #[schema(example = "step_free")]
    pub code: String,
    #[schema(example = "step-free access")]
    pub text: String,
}

impl From<String> for NeedView {
    fn from(code: String) -> Self {
        Self { text: access::in_words(&code).into_owned(), code }
    }
}

/// Looks at the access needs that somebody shares, as at an emergency contact but from the sign-up on, so that there is time to
/// prepare, to 4 h after the planned end; each look is in the audit log. An Idempotency-Key is not kept here either.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])), responses(
    (status = 200, body = RevealedNeeds), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/access-needs")]
pub async fn reveal_needs(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let (_, proof) = decisions::led_by(tx, me, id.0, now)?;
        request.body()?;
        let needs = contacts::reveal_needs(tx, id.0, &proof, now)?;
        Reply::ok(&RevealedNeeds { access_needs: needs.into_iter().map(NeedView::from).collect() })
    });
    Ok(reply.await?)
}

/// Two ids in a path; one that is none names nothing.
fn two_ids(path: actix_web::web::Path<(String, String)>) -> Outcome<(Id, Id)> {
    let (one, other) = path.into_inner();
    match (one.parse(), other.parse()) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        _ => Err(Error::NotFound),
    }
}
