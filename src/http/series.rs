//! Series over HTTP: posting, changing and ending them, and coming to every date.

use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    AppData, Problem, Reply,
    etag::IfMatch,
    extract::{Caller, MaybeCaller, Nothing, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
    schemas,
};
use crate::{
    domain::{
        run::CancelReason,
        series::{SeriesDraft, WhatIsSaid},
    },
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        callers,
        limits::acts,
        series::{
            self as service, Ending,
            changing::{self, SeriesEdit},
            regulars,
            views::{self, SeriesView},
        },
    },
    store::series::{self, Series},
};

fn reply_with(view: &SeriesView, status: u16) -> Outcome<Reply> {
    Ok(Reply::new(status, view)?.with_version(view.version))
}

/// Posts a series; its author leads it. The dates of the first weeks are made at once, later ones as time goes on.
#[utoipa::path(tag = "Series", request_body = SeriesDraft, security(("token" = [])), responses(
    (status = 201, body = SeriesView), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/run-series")]
pub async fn post_series(app: AppData, caller: Caller, request: Request<SeriesDraft>) -> Result<Reply, Problem> {
    let (me, state, draft) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        callers::in_good_standing(tx, me, now)?;
        let draft = draft.checked(|draft| draft.plan(now, true).map(|_| ()))?;
        let posted = service::post(tx, me, draft, &state.config.policy, now)?;
        state.spend_act(tx, &acts::SERIES, me, None, now)?;
        reply_with(&views::view(tx, &posted, Some(me), now)?, 201)
    })
    .await
}

/// The series that one leads or comes to regularly, newest first.
#[utoipa::path(tag = "Series", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<SeriesView>), (status = 422, body = ProblemDocument)))]
#[get("/run-series")]
pub async fn my_series(app: AppData, caller: Caller, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, now) = (query.get()?, caller.id(), app.clock.now());
    let state = app.clone();
    let reply = app.db.read(move |conn| {
        let owner = me.to_string();
        let paging = Paging::new(&state.keyring, &["my series", &owner], query.limit, query.cursor.clone());
        let found = series::of_person(conn, me, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |one| one.id)?;
        let items = found.iter().map(|one| views::view(conn, one, Some(me), now)).collect::<Outcome<Vec<_>>>()?;
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// A series with its dates to come; its meeting point only where it is public or one leads it.
#[utoipa::path(tag = "Series", params(("id" = Id, Path)), security(("token" = []), ()), responses(
    (status = 200, body = SeriesView), (status = 404, body = ProblemDocument)))]
#[get("/run-series/{id}")]
pub async fn get_series(app: AppData, viewer: MaybeCaller, id: PathId) -> Result<Reply, Problem> {
    let (now, viewer) = (app.clock.now(), viewer.id());
    let reply = app.db.read(move |conn| {
        let found = service::visible(conn, id.0, viewer)?;
        reply_with(&views::view(conn, &found, viewer, now)?, 200)
    });
    Ok(reply.await?)
}

/// Any part of what `POST /run-series` takes, as a JSON Merge Patch (RFC 7396).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct SeriesPatch(pub serde_json::Map<String, serde_json::Value>);

/// From which date on a series is changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FromQuery {
    /// The run of a date of the series: this one and those that follow.
    #[schema(format = "uuid")]
    from: Option<Id>,
}

/// Changes all dates to come, or with `from` one and those that follow: then the answer is the new series that goes on
/// from there. Needs `If-Match`. One date alone is changed by PATCH /runs/{id}, and keeps what was changed on it.
#[utoipa::path(tag = "Series", params(("id" = Id, Path), FromQuery, ("If-Match" = String, Header)),
    request_body = SeriesPatch, security(("token" = [])), responses((status = 200, body = SeriesView),
    (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 412, body = ProblemDocument),
    (status = 422, body = ProblemDocument), (status = 428, body = ProblemDocument)))]
#[patch("/run-series/{id}")]
pub async fn edit_series(
    app: AppData,
    caller: Caller,
    id: PathId,
    from: Query<FromQuery>,
    version: IfMatch,
    request: Request<SeriesPatch>,
) -> Result<Reply, Problem> {
    let from = from.get();
    let (me, state, patch) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (proof, found) = service::leads(tx, me, id.0, now)?;
        version.check(found.version)?;
        let from = match &from {
            Ok(query) => query.from,
            Err(Error::Invalid(faults)) => return Err(Error::Invalid(faults.clone())),
            Err(_) => return Err(Error::NotFound),
        };
        let (draft, says) = merged(&found, patch.body()?)?;
        let wanted = SeriesEdit { draft, says, from, version: found.version };
        let edited = changing::edit(tx, &proof, &wanted, &state.config.policy, now)?;
        state.spend_act(tx, &acts::SERIES, me, None, now)?;
        reply_with(&views::view(tx, &edited, Some(me), now)?, 200)
    })
    .await
}

fn merged(found: &Series, patch: &SeriesPatch) -> Outcome<(SeriesDraft, WhatIsSaid)> {
    let mut whole = serde_json::to_value(found.draft())?;
    let before = whole.clone();
    let said = |name: &str| patch.0.get("run").and_then(|run| run.get(name)).is_some();
    if said("meeting_point") && !patch.0.contains_key("time_zone") {
        // Another place has its own clock.
        whole["time_zone"] = serde_json::Value::Null;
    }
    if said("join_policy") && !said("meeting_point_public") {
        whole["run"]["meeting_point_public"] = serde_json::Value::Null;
    }
    json_patch::merge(&mut whole, &serde_json::Value::Object(patch.0.clone()));
    let says = WhatIsSaid { first: patch.0.contains_key("first_local_start"), rule: patch.0.contains_key("rrule") };
    let read = schemas::read_over::<SeriesDraft>(whole, &before)?;
    Ok((read.map_err(|rejected| Error::Invalid(rejected.faults))?, says))
}

/// The body of `POST /run-series/{id}/end`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesEnding {
    pub reason_code: CancelReason,
    /// A word to those who wanted to come.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub message: Option<String>,
    /// The run of the first date that is called off; all dates to come when absent.
    #[serde(default)]
    pub from: Option<Id>,
}

/// Ends a series: dates to come are called off, and everybody who meant to come gets one mail.
#[utoipa::path(tag = "Series", params(("id" = Id, Path)), request_body = SeriesEnding, security(("token" = [])),
    responses((status = 200, body = SeriesView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/run-series/{id}/end")]
pub async fn end_series(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<SeriesEnding>,
) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let (proof, _) = service::leads(tx, me, id.0, now)?;
        let body = body.body()?;
        let ending = Ending { from: body.from, reason: body.reason_code, message: body.message.clone() };
        let ended = service::end(tx, &proof, &ending, now)?;
        state.spend_act(tx, &acts::SERIES, me, None, now)?;
        reply_with(&views::view(tx, &ended, Some(me), now)?, 200)
    })
    .await
}

/// Comes to every date from now on: signed up for those that are made, and for each that is made later.
#[utoipa::path(tag = "Series", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])),
    responses((status = 200, body = SeriesView), (status = 201, body = SeriesView), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument)))]
#[post("/run-series/{id}/regulars")]
pub async fn become_regular(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let found = service::visible(tx, id.0, Some(me))?;
        body.body()?;
        let (_, is_new) = regulars::become_regular(tx, me, found.id, &state.config.policy, now)?;
        if is_new {
            state.spend_act(tx, &acts::REGULAR, me, Some(found.id), now)?;
        }
        let found = series::get(tx, found.id)?;
        reply_with(&views::view(tx, &found, Some(me), now)?, if is_new { 201 } else { 200 })
    })
    .await
}

/// Stops coming to every date: the places on dates to come are given back.
#[utoipa::path(tag = "Series", params(("id" = Id, Path)), security(("token" = [])),
    responses((status = 204), (status = 404, body = ProblemDocument)))]
#[delete("/run-series/{id}/regulars")]
pub async fn stop_coming(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, policy, now) = (caller.id(), app.config.policy.clone(), app.clock.now());
    let done = app.db.write(move |tx| {
        let found = service::visible(tx, id.0, Some(me))?;
        regulars::stop(tx, me, found.id, &policy, now)
    });
    done.await?;
    app.mail_waits.notify_one();
    Ok(Reply::nothing())
}
