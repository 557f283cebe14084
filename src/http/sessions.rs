//! Sessions over HTTP: logging in, refreshing, seeing and ending one's sessions.

use actix_web::{delete, get, post};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    accounts::{addressee, by_client, spend},
    extract::{Anybody, Caller, ClientIp, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    auth::{Claims, Scope, passwords::needs_rehash, tokens},
    clock::Instant,
    domain::refusal::Code,
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        limits,
        sessions::{self as service, Checked, Opened, Refreshed},
    },
    store::{accounts, sessions},
};

/// The body of `POST /sessions`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    #[schema(max_length = 254, example = "ana@example.org")]
    pub email: String,
    #[schema(max_length = 256, example = "wide meadow lantern")]
    pub password: String,
    /// The code of a second factor, where the account has one.
    #[serde(default)]
    #[schema(max_length = 20)]
    pub totp: Option<String>,
}

/// The body of `POST /sessions/refresh`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    #[schema(max_length = 200)]
    pub refresh_token: String,
}

/// Tokens of a session.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer …`.
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token counts no more.
    pub expires_in: i64,
    /// Counts once; each refresh gives a new one.
    pub refresh_token: String,
    /// `appeal` for whom a decision keeps out: to read it and object.
    pub scope: Scope,
}

/// One log-in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    pub id: Id,
    pub created_at: Instant,
    pub last_used_at: Instant,
    /// It ends then if it is not used before.
    pub expires_at: Instant,
    /// Whether it is the one that asks.
    pub current: bool,
}

fn tokens_of(app: &AppData, opened: Opened, now: Instant) -> Outcome<Reply> {
    let minutes = app.config.policy.access_token_minutes;
    let claims = Claims::new(opened.account, opened.session, opened.scope, now, minutes);
    Reply::ok(&Tokens {
        access_token: tokens::issue(&app.keyring, &claims)?,
        token_type: "Bearer",
        expires_in: claims.seconds_left(now),
        refresh_token: opened.refresh_token,
        scope: opened.scope,
    })
}

/// Logs in. Whom a decision keeps out gets a session to read it and to object.
#[utoipa::path(tag = "Sessions", request_body = LogIn, responses((status = 200, body = Tokens),
    (status = 401, body = ProblemDocument), (status = 403, description = "Not verified yet", body = ProblemDocument),
    (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/sessions")]
pub async fn log_in(app: AppData, ip: ClientIp, request: Request<LogIn>) -> Result<Reply, Problem> {
    let body = request.body()?.clone();
    let to = addressee(&app, &body.email);
    let charges = vec![(limits::LOG_IN_ADDRESS, to.hashes.address.clone()), by_client(&app, limits::LOG_IN_CLIENT, ip)];
    spend(&app, charges).await?;
    let account = app.db.read(move |conn| accounts::find_by_email(conn, &to.email)).await?;
    let (account, hash) = account.map_or((None, None), |known| (Some(known.id), known.password_hash));
    let password = SecretString::from(body.password);
    let fits = app.passwords.verify(password.clone(), hash.clone()).await?;
    let (true, Some(account), Some(hash)) = (fits, account, hash) else { return Err(Code::CredentialsWrong.into()) };
    let rehashed = if needs_rehash(&hash) { Some(app.passwords.hash(password).await?) } else { None };
    let checked = Checked { account, hash, rehashed };
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    let opened = app.db.write(move |tx| service::log_in(tx, &checked, &policy, now)).await?;
    Ok(tokens_of(&app, opened, now)?)
}

/// Takes a refresh token for new tokens. A token used twice ends its session.
#[utoipa::path(tag = "Sessions", request_body = RefreshRequest, responses((status = 200, body = Tokens),
    (status = 401, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/sessions/refresh")]
pub async fn refresh(app: AppData, request: Request<RefreshRequest>) -> Result<Reply, Problem> {
    let token = request.body()?.refresh_token.clone();
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    match app.db.write(move |tx| service::refresh(tx, &token, &policy, now)).await? {
        Refreshed::Again(opened) => Ok(tokens_of(&app, opened, now)?),
        Refreshed::Refused => Err(Code::RefreshTokenInvalid.into()),
    }
}

/// One's living sessions, newest first.
#[utoipa::path(tag = "Sessions", params(PageQuery), security(("token" = [])), responses(
    (status = 200, body = Page<SessionView>), (status = 401, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[get("/sessions")]
pub async fn list(app: AppData, caller: Caller<Anybody>, query: Query<PageQuery>) -> Result<Reply, Problem> {
    let query = query.get()?;
    let (me, current, now) = (caller.id(), caller.session, app.clock.now());
    let found = app.db.read(move |conn| sessions::list(conn, me, now)).await?;
    let paging = Paging::new(&app.keyring, &["sessions", &me.to_string()], query.limit, query.cursor);
    let (found, next_cursor) = paging.cut(found, |session| session.id)?;
    let items = found
        .into_iter()
        .map(|session| SessionView {
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            current: session.id == current,
        })
        .collect();
    Ok(Reply::ok(&Page::<SessionView> { items, next_cursor })?)
}

/// Logs out.
#[utoipa::path(tag = "Sessions", security(("token" = [])), responses((status = 204, description = "Ended"),
    (status = 401, body = ProblemDocument)))]
#[delete("/sessions/current")]
pub async fn end_current(app: AppData, caller: Caller<Anybody>) -> Result<Reply, Problem> {
    let (me, session, now) = (caller.id(), caller.session, app.clock.now());
    app.db.write(move |tx| sessions::end(tx, me, session, now)).await?;
    Ok(Reply::nothing())
}

/// Ends one of one's sessions.
#[utoipa::path(tag = "Sessions", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 204, description = "Ended"), (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
#[delete("/sessions/{id}")]
pub async fn end(app: AppData, caller: Caller<Anybody>, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let ended = app.db.write(move |tx| sessions::end(tx, me, id.0, now)).await?;
    if ended { Ok(Reply::nothing()) } else { Err(Error::NotFound.into()) }
}
