//! What the team decides about accounts, over HTTP.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Caller, Moderator, PathId, Request},
    problem::ProblemDocument,
};
use crate::{
    clock::Instant,
    domain::moderation::{SanctionKind, SanctionScope},
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        limits::acts,
        sanctions::{self, NewSanction, SameMailbox},
    },
    store::{
        Conn,
        moderation::{self, Sanction},
    },
};

/// Another account that a decision reaches, since it has the same mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReachedAccount {
    pub account_id: Id,
    pub display_name: String,
    /// The decision about that account, which follows this one.
    pub sanction_id: Option<Id>,
}

/// Another account that may have the same mailbox, and that nothing keeps out.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharingAccount {
    pub account_id: Id,
    pub display_name: String,
}

/// A decision about an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SanctionView {
    pub id: Id,
    pub account_id: Id,
    pub kind: SanctionKind,
    pub scope: SanctionScope,
    pub rule: String,
    pub statement: String,
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub lifted_at: Option<Instant>,
    /// Why the facts are kept back from the person until it ends.
    pub withheld_because: Option<String>,
    /// Whether it stands now.
    pub stands: bool,
    /// The decision about another account of the same mailbox that this one follows: lifted with it.
    pub follows: Option<Id>,
    /// Other accounts of the same mailbox, by what the provider says of its addresses: each has a decision that follows this
    /// one and is lifted with it.
    pub also_reaches: Vec<ReachedAccount>,
    /// Other accounts whose address differs in its tag or dots alone and that nothing keeps out, 50 at most. They may be
    /// another person's: decide about each.
    pub same_mailbox: Vec<SharingAccount>,
}

fn sanction_view(conn: &mut Conn, sanction: Sanction, now: Instant) -> Outcome<SanctionView> {
    let reach = sanctions::reach_of(conn, &sanction, now)?;
    Ok(SanctionView {
        stands: sanction.stands(now),
        id: sanction.id,
        account_id: sanction.account_id,
        kind: sanction.kind,
        scope: sanction.scope,
        rule: sanction.rule,
        statement: sanction.statement,
        created_at: sanction.created_at,
        expires_at: sanction.expires_at,
        lifted_at: sanction.lifted_at,
        withheld_because: sanction.withheld_because,
        follows: sanction.follows_id,
        also_reaches: reach.followed_by.into_iter().map(reached).collect(),
        same_mailbox: reach.open.into_iter().map(sharing).collect(),
    })
}

fn reached(account: SameMailbox) -> ReachedAccount {
    let SameMailbox { account_id, display_name, sanction_id } = account;
    ReachedAccount { account_id, display_name, sanction_id }
}

fn sharing(account: SameMailbox) -> SharingAccount {
    SharingAccount { account_id: account.account_id, display_name: account.display_name }
}

/// One decision, as the team sees it; not for whom it or one that follows it is about.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 200, body = SanctionView), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
#[get("/moderation/sanctions/{id}")]
pub async fn get_sanction(app: AppData, caller: Caller<Moderator>, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let reply = app.db.read(move |conn| {
        let sanction = moderation::find_sanction(conn, id.0)?.ok_or(Error::NotFound)?;
        if sanctions::concerns(conn, &sanction, me)? {
            return Err(Error::NotFound);
        }
        Reply::ok(&sanction_view(conn, sanction, now)?)
    });
    Ok(reply.await?)
}

/// Decides about an account: places and runs to come are given up, sessions end, and the person is told why, until when
/// and how to object. A hold with `facts_withheld` tells the statement only when it ends, after 14 days at most. When a hold
/// or a suspension ends, the person is told what is possible again. Whatever keeps out of the site reaches the other accounts
/// of the same mailbox as well where the provider says that all spellings are one (`also_reaches`). Refused with `another_decides` while something open
/// touches both the moderator and the person.
#[utoipa::path(tag = "Moderation", request_body = NewSanction, security(("token" = [])), responses(
    (status = 201, body = SanctionView), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/moderation/sanctions")]
pub async fn impose(app: AppData, caller: Caller<Moderator>, request: Request<NewSanction>) -> Result<Reply, Problem> {
    let (me, state, body) = (caller.id(), app.clone(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        let new = body.checked(|new| new.faults(now).none())?;
        let sanction = sanctions::impose(tx, me, new, &state.config.policy, &state.addresses, now)?;
        state.spend_act(tx, &acts::SANCTION, me, Some(sanction.account_id), now)?;
        Reply::created(&sanction_view(tx, sanction, now)?)
    })
    .await
}

/// The body of `POST /moderation/sanctions/{id}/lift`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lifting {
    /// What the person reads.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub reason: String,
}

/// Takes a decision back, and those that follow it; taking back one that follows leaves the others as they are.
#[utoipa::path(tag = "Moderation", params(("id" = Id, Path)), request_body = Lifting, security(("token" = [])),
    responses((status = 200, body = SanctionView), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
#[post("/moderation/sanctions/{id}/lift")]
pub async fn lift(
    app: AppData,
    caller: Caller<Moderator>,
    id: PathId,
    request: Request<Lifting>,
) -> Result<Reply, Problem> {
    let (me, body) = (caller.id(), request.clone());
    app.act(&caller, &request, move |tx, now| {
        moderation::find_sanction(tx, id.0)?.ok_or(Error::NotFound)?;
        let sanction = sanctions::lift(tx, me, id.0, &body.body()?.reason, now)?;
        Reply::ok(&sanction_view(tx, sanction, now)?)
    })
    .await
}
