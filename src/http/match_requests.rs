//! Match requests over HTTP: one's own.

use actix_web::{delete, get, post};

use super::{
    AppData, Problem, Reply,
    extract::{Caller, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    domain::match_request::NewMatchRequest,
    id::Id,
    service::match_requests::{self as service, MatchRequestView},
    store::match_requests,
};

/// Asks to be told by mail when a run is posted or changed that fits well. What is left out is the running profile's of
/// the moment. What is there already is in `GET /matches`.
#[utoipa::path(tag = "Matching", params(("Idempotency-Key" = Option<String>, Header)), request_body = NewMatchRequest,
    security(("token" = [])), responses((status = 201, body = MatchRequestView),
    (status = 409, description = "Neither it nor a profile says where, there are too many, or too many new areas this \
    week; `until` says when another may be named", body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/match-requests")]
pub async fn make_match_request(
    app: AppData,
    caller: Caller,
    request: Request<NewMatchRequest>,
) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let wanted = body.checked(|wanted| wanted.faults().none())?;
        let made = service::make(tx, me, wanted, &state.config.policy, state.cell_resolution, now)?;
        Reply::created(&MatchRequestView::from(made))
    })
    .await
}

/// One's standing match requests, newest first.
#[utoipa::path(tag = "Matching", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<MatchRequestView>), (status = 422, body = ProblemDocument)))]
#[get("/match-requests")]
pub async fn list_match_requests(app: AppData, caller: Caller, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, state, now) = (query.get()?, caller.id(), app.clone(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let paging =
            Paging::new(&state.keyring, &["match-requests", &me.to_string()], query.limit, query.cursor.clone());
        let found = match_requests::standing_of(conn, me, paging.after()?, paging.fetch(), now)?;
        let (found, next_cursor) = paging.page(found, |request| request.id)?;
        Reply::ok(&Page { items: found.into_iter().map(MatchRequestView::from).collect::<Vec<_>>(), next_cursor })
    });
    Ok(reply.await?)
}

/// Takes one of one's match requests back.
#[utoipa::path(tag = "Matching", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 204), (status = 404, body = ProblemDocument)))]
#[delete("/match-requests/{id}")]
pub async fn take_match_request_back(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let me = caller.id();
    app.db.write(move |tx| service::take_back(tx, me, id.0)).await?;
    Ok(Reply::nothing())
}
