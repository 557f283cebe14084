//! Announcements over HTTP: said by those who lead a run, read by those on it.

use actix_web::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Caller, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::run::Audience,
    error::Result as Outcome,
    id::Id,
    service::{
        announcements::{self as service, NewAnnouncement},
        callers,
    },
    store::{
        Conn, accounts,
        announcements::{self, Announcement},
    },
};

/// What a facilitator said to those on a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnnouncementView {
    pub id: Id,
    pub run_id: Id,
    pub to: Audience,
    pub text: String,
    /// The display name of whoever said it; none once their account is gone.
    pub from: Option<String>,
    pub created_at: Instant,
    /// To how many people a mail was promised; for whoever said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
}

fn view(conn: &mut Conn, said: Announcement, people: Option<usize>) -> Outcome<AnnouncementView> {
    let from = match said.author_id {
        Some(author) => accounts::find(conn, author)?.map(|author| author.display_name),
        None => None,
    };
    Ok(AnnouncementView {
        id: said.id,
        run_id: said.run_id,
        to: said.audience,
        text: said.words,
        from,
        created_at: said.created_at,
        people,
    })
}

/// Says something to those on a run, by mail: without anybody's address, answered to the team; at most five in 24 hours.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), request_body = NewAnnouncement, security(("token" = [])),
    responses((status = 201, body = AnnouncementView), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/runs/{id}/announcements")]
pub async fn announce(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: Request<NewAnnouncement>,
) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let proof = callers::leads(tx, me, id.0, now)?;
        let (said, people) = service::announce(tx, &proof, body.body()?, &policy, now)?;
        Reply::created(&view(tx, said, Some(people))?)
    })
    .await
}

/// What was said to those on a run, newest first; for its facilitators, the team, and whomever it speaks to.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path), PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<AnnouncementView>), (status = 404, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/runs/{id}/announcements")]
pub async fn list_announcements(
    app: AppData,
    caller: Caller,
    id: PathId,
    query: Query<PageQuery>,
) -> Result<Reply, Problem> {
    let (me, moderates, state) = (caller.id(), caller.moderates(), app.clone());
    let reply = app.db.read(move |conn| {
        let audiences = service::readable_by(conn, me, moderates, id.0)?;
        let query = query.get()?;
        let run = id.0.to_string();
        let paging = Paging::new(&state.keyring, &["announcements", &run], query.limit, query.cursor.clone());
        let found = announcements::of_run(conn, id.0, &audiences, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |said| said.id)?;
        let mut items = Vec::new();
        for said in found {
            items.push(view(conn, said, None)?);
        }
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}
