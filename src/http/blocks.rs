//! Blocks over HTTP: one's own, and the moderators' task to find somebody who was described.

use actix_web::{delete, get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Caller, Moderator, Nothing, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    error::Result as Outcome,
    id::Id,
    service::blocks::{
        self as service, NewBlock,
        finding::{self, WasThere},
    },
    store::{
        Conn,
        blocks::{self, Block},
        runs,
    },
};

/// How a block names its person.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockBy {
    Account,
    Email,
    Description,
}

/// One of one's own blocks. It says what the caller said and never whether there is such a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockView {
    pub id: Id,
    pub by: BlockBy,
    /// As it was given; an address is not kept in words.
    pub account_id: Option<Id>,
    pub run_id: Option<Id>,
    pub description: Option<String>,
    pub note: Option<String>,
    /// Whether a moderator has yet to find the person.
    pub waits_for_team: bool,
    pub created_at: Instant,
}

impl From<Block> for BlockView {
    fn from(block: Block) -> Self {
        let by = match (&block.email_hash, &block.description) {
            (Some(_), _) => BlockBy::Email,
            (None, Some(_)) => BlockBy::Description,
            (None, None) => BlockBy::Account,
        };
        Self {
            id: block.id,
            by,
            account_id: block.named_id,
            run_id: block.run_id,
            waits_for_team: block.waits_for_team(),
            description: block.description,
            note: block.note,
            created_at: block.created_at,
        }
    }
}

/// Keeps somebody away for good: the two do not come to be in one run. The answer is the same whether or not there is
/// such a person.
#[utoipa::path(tag = "Safety", params(("Idempotency-Key" = Option<String>, Header)), request_body = NewBlock,
    security(("token" = [])), responses((status = 202, body = BlockView), (status = 404, body = ProblemDocument),
    (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/blocks")]
pub async fn make_block(app: AppData, caller: Caller, request: Request<NewBlock>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let block = service::make(tx, me, body.body()?, &state.addresses, &state.config.policy, now)?;
        Reply::new(202, &BlockView::from(block))
    })
    .await
}

/// One's standing blocks, newest first.
#[utoipa::path(tag = "Safety", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<BlockView>), (status = 422, body = ProblemDocument)))]
#[get("/blocks")]
pub async fn list_blocks(app: AppData, caller: Caller, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, me, state) = (query.get()?, caller.id(), app.clone());
    let reply = app.db.read(move |conn| {
        let paging = Paging::new(&state.keyring, &["blocks", &me.to_string()], query.limit, query.cursor.clone());
        let found = blocks::standing_of(conn, me, paging.after()?, paging.fetch())?;
        let (found, next_cursor) = paging.page(found, |block| block.id)?;
        Reply::ok(&Page { items: found.into_iter().map(BlockView::from).collect::<Vec<_>>(), next_cursor })
    });
    Ok(reply.await?)
}

/// Takes one of one's blocks back.
#[utoipa::path(tag = "Safety", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 204), (status = 404, body = ProblemDocument)))]
#[delete("/blocks/{id}")]
pub async fn take_block_back(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    app.db.write(move |tx| service::take_back(tx, me, id.0, now)).await?;
    Ok(Reply::nothing())
}

/// Somebody to be found.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockTask {
    pub id: Id,
    pub blocker_id: Id,
    pub run_id: Option<Id>,
    pub run_title: Option<String>,
    pub run_starts_at: Option<Instant>,
    /// In the blocker's words.
    pub description: String,
    pub created_at: Instant,
}

fn task(conn: &mut Conn, block: &Block) -> Outcome<BlockTask> {
    let run = match block.run_id {
        Some(run) => runs::find(conn, run)?,
        None => None,
    };
    Ok(BlockTask {
        id: block.id,
        blocker_id: block.blocker_id,
        run_id: block.run_id,
        run_starts_at: run.as_ref().map(|run| run.starts_at),
        run_title: run.map(|run| run.title),
        description: block.description.clone().unwrap_or_default(),
        created_at: block.created_at,
    })
}

/// People whom somebody could only describe, the oldest first. Who was on the run themselves does not see it, while
/// somebody else can look into it.
#[utoipa::path(tag = "Moderation", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<BlockTask>), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/moderation/blocks")]
pub async fn block_tasks(app: AppData, caller: Caller<Moderator>, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let (query, state, me, now) = (query.get()?, app.clone(), caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let paging = Paging::new(&state.keyring, &["block-tasks"], query.limit, query.cursor.clone());
        let is_seen = |conn: &mut Conn, block: &Block| Ok(!finding::is_concerned(conn, block, me, now)?);
        let (found, next_cursor) = paging.seen(conn, blocks::waiting_for_team, |block| block.id, is_seen)?;
        let items = found.iter().map(|block| task(conn, block)).collect::<Outcome<Vec<_>>>()?;
        Reply::ok(&Page { items, next_cursor })
    });
    Ok(reply.await?)
}

/// Somebody who was on the run.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockCandidate {
    pub account_id: Id,
    pub display_name: String,
    /// Led the run.
    pub led: bool,
}

impl From<WasThere> for BlockCandidate {
    fn from(person: WasThere) -> Self {
        Self { account_id: person.account_id, display_name: person.display_name, led: person.led }
    }
}

/// Somebody to be found, with those who were on the run.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockTaskDetail {
    #[serde(flatten)]
    pub task: BlockTask,
    /// Null once the run's list is sealed, for moderators without welfare duty.
    pub people: Option<Vec<BlockCandidate>>,
}

/// One task, with those who were on the run. That somebody looked is kept in the audit log.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = BlockTaskDetail), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
#[get("/moderation/blocks/{id}")]
pub async fn block_task(app: AppData, caller: Caller<Moderator>, id: PathId) -> Result<Reply, Problem> {
    let (me, policy, now) = (caller.id(), app.config.policy.clone(), app.clock.now());
    let reply = app.db.write(move |tx| {
        let block = finding::waiting(tx, me, id.0, now)?;
        let people = finding::people_of(tx, me, &block, &policy, now)?;
        let people = people.map(|people| people.into_iter().map(BlockCandidate::from).collect());
        Reply::ok(&BlockTaskDetail { task: task(tx, &block)?, people })
    });
    Ok(reply.await?)
}

/// The body of `POST /moderation/blocks/{id}/resolve`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundPerson {
    /// Somebody who was on the run.
    pub account_id: Id,
}

/// Says who it was: the block stands from now on, and the blocker is told so, without a name.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = FoundPerson, security(("token" = [])),
    responses((status = 204), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[post("/moderation/blocks/{id}/resolve")]
pub async fn resolve_block(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<FoundPerson>,
) -> Result<Reply, Problem> {
    let (me, policy, body) = (caller.id(), app.config.policy.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        finding::not_hidden(tx, me, id.0, now)?;
        finding::resolve(tx, me, id.0, body.body()?.account_id, &policy, now)?;
        Ok(Reply::nothing())
    })
    .await
}

/// Says that nobody could be found; the blocker is told.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Nothing, security(("token" = [])),
    responses((status = 204), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/blocks/{id}/dismiss")]
pub async fn dismiss_block(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Nothing>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        finding::not_hidden(tx, me, id.0, now)?;
        body.body()?;
        finding::dismiss(tx, me, id.0, now)?;
        Ok(Reply::nothing())
    })
    .await
}
