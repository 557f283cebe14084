//! One's own: the emergency contact, the history of one's runs, and "I was there".

use actix_web::{delete, get, post, put};
use serde::Serialize;
use utoipa::ToSchema;

use super::ContactView;
use crate::{
    domain::{day::OPEN_HOURS_BEFORE, link::LinkAction},
    error::Error,
    http::{
        AppData, Problem, Reply,
        by_token::ByToken,
        extract::{Caller, MaybeCaller, PathId, Request},
        problem::ProblemDocument,
        signups::{SignupView, by_person_or_link},
    },
    id::Id,
    service::day::{
        attendance,
        contacts::{self, ContactInput},
    },
    store::{Tx, accounts, day, history as store},
};

/// One's emergency contact. Only the facilitators of a run one is on can look at it, on the day, and each look is written
/// down.
#[utoipa::path(tag = "Me", security(("token" = [])), responses((status = 200, body = ContactView),
    (status = 404, description = "None given", body = ProblemDocument)))]
#[get("/me/emergency-contact")]
pub async fn get_contact(app: AppData, caller: Caller) -> Result<Reply, Problem> {
    let me = caller.id();
    let reply = app.db.read(move |conn| {
        let contact = day::find_contact(conn, me)?.ok_or(Error::NotFound)?;
        Reply::ok(&ContactView::from(contact))
    });
    Ok(reply.await?)
}

/// Writes one's emergency contact.
#[utoipa::path(tag = "Me", request_body = ContactInput, security(("token" = [])), responses(
    (status = 200, body = ContactView), (status = 422, body = ProblemDocument)))]
#[put("/me/emergency-contact")]
pub async fn put_contact(app: AppData, caller: Caller, request: Request<ContactInput>) -> Result<Reply, Problem> {
    let (me, now, input) = (caller.id(), app.clock.now(), request.body()?.clone());
    let reply = app.db.write(move |tx| Reply::ok(&ContactView::from(contacts::put(tx, me, &input, now)?)));
    Ok(reply.await?)
}

/// Takes one's emergency contact away.
#[utoipa::path(tag = "Me", security(("token" = [])), responses((status = 204, description = "Gone")))]
#[delete("/me/emergency-contact")]
pub async fn delete_contact(app: AppData, caller: Caller) -> Result<Reply, Problem> {
    let me = caller.id();
    app.db.write(move |tx| day::delete_contact(tx, me)).await?;
    Ok(Reply::nothing())
}

/// Who led one's runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedByView {
    pub id: Id,
    pub display_name: String,
    pub times: i32,
    /// UTC.
    #[schema(example = "2026-11")]
    pub last_month: String,
}

/// What is kept about one's runs for good.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryView {
    /// Runs on which one was checked in.
    pub runs: i32,
    /// Runs on which one was missed without a word. Nobody else sees the number.
    pub silent_absences: i32,
    pub led_by: Vec<LedByView>,
    /// First names of those beside whom one ran last time.
    pub last_partners: Vec<String>,
}

/// What is kept about one's own runs.
#[utoipa::path(tag = "Me", security(("token" = [])), responses((status = 200, body = HistoryView)))]
#[get("/me/history")]
pub async fn history(app: AppData, caller: Caller) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let history = store::of_person(conn, me)?;
        // Pairs are chosen from before the start on.
        let soon = now.plus_hours(OPEN_HOURS_BEFORE);
        let partners = store::last_partners(conn, &[me], None, soon)?.remove(&me).unwrap_or_default();
        let leaders: Vec<Id> = history.led_by.iter().map(|led| led.facilitator_id).collect();
        let names = accounts::display_names(conn, &[leaders, partners.clone()].concat())?;
        let name = |id: &Id| names.get(id).cloned().unwrap_or_default();
        let led_by = history.led_by.iter().map(|led| LedByView {
            id: led.facilitator_id,
            display_name: name(&led.facilitator_id),
            times: led.times,
            last_month: led.last_month.clone(),
        });
        Reply::ok(&HistoryView {
            runs: history.runs,
            silent_absences: history.silent_absences,
            led_by: led_by.collect(),
            last_partners: partners.iter().map(name).collect(),
        })
    });
    Ok(reply.await?)
}

/// "I was there": corrects a facilitator's mark within 7 days, logged in or with the token of the link in the mail.
#[utoipa::path(tag = "The day", params(("id" = Id, Path)), request_body = ByToken,
    security(("token" = []), ()), responses((status = 200, body = SignupView), (status = 401, body = ProblemDocument),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/signups/{id}/was-there")]
pub async fn was_there(
    app: AppData,
    caller: MaybeCaller,
    id: PathId,
    request: Request<ByToken>,
) -> Result<Reply, Problem> {
    let (policy, id) = (app.config.policy.clone(), id.0);
    let work = move |tx: &mut Tx<'_>, me, now| attendance::was_there(tx, me, id, &policy, now);
    by_person_or_link(&app, caller, id, &request, LinkAction::WasThere, work).await
}
