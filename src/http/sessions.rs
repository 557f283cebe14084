//! Sessions over HTTP: logging in, refreshing, seeing and ending one's sessions.

use actix_web::{delete, get, post};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppData, Problem, Reply,
    extract::{Anybody, Caller, ClientIp, PathId, Query, Request},
    paging::{Page, PageQuery, Paging},
    problem::ProblemDocument,
};
use crate::{
    auth::{
        Claims, Scope,
        passwords::{Fit, needs_rehash},
        tokens,
    },
    clock::Instant,
    domain::{account::normalise_email, refusal::Code},
    error::{Error, Result as Outcome},
    id::Id,
    service::{
        limits::{self, LogInOrigin},
        sessions::{self as service, Checked, Opened, Refreshed},
    },
    store::{accounts, sessions},
};

/// The body of `POST /sessions`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    #[schema(format = "email", max_length = 254, example = "ana@example.org")]
    pub email: String,
    #[schema(format = "password", max_length = 1024, example = "wide meadow lantern")]
    pub password: String,
    /// That of an earlier log-in on this device: then wrong passwords from elsewhere do not keep it waiting.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub device_token: Option<String>,
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
    /// Counts once; each refresh gives a new one, for 10 seconds the same.
    pub refresh_token: String,
    /// `appeal` for whom a decision keeps out: to read it and object.
    pub scope: Scope,
    /// After a log-in: to be kept on this device and sent with the next log-in. It opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
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

fn tokens_of(app: &AppData, opened: Opened, device_token: Option<String>, now: Instant) -> Outcome<Reply> {
    let minutes = app.config.policy.access_token_minutes;
    let claims = Claims::new(opened.account, opened.session, opened.scope, now, minutes);
    Reply::ok(&Tokens {
        access_token: tokens::issue(&app.keyring, &claims)?,
        token_type: "Bearer",
        expires_in: claims.seconds_left(now),
        refresh_token: opened.refresh_token,
        scope: opened.scope,
        device_token,
    })
}

/// Logs in. Whom a decision keeps out gets a session to read it and to object.
#[utoipa::path(tag = "Sessions", request_body = LogIn, responses((status = 200, body = Tokens),
    (status = 401, body = ProblemDocument), (status = 403, description = "Not verified yet", body = ProblemDocument),
    (status = 422, body = ProblemDocument), (status = 429, body = ProblemDocument)))]
#[post("/sessions")]
pub async fn log_in(app: AppData, ip: ClientIp, request: Request<LogIn>) -> Result<Reply, Problem> {
    let body = request.body()?.clone();
    let email = normalise_email(&body.email);
    let address_hash = app.addresses.hash(&email);
    let read = |token: &String| tokens::read_device_token(&app.keyring, token, &address_hash);
    let device = body.device_token.as_ref().and_then(read);
    let origin = LogInOrigin::new(&app.addresses, &email, ip.0).with_device(device.clone());
    count_try(&app, &origin).await?;
    let checked = check_password(&app, email, SecretString::from(body.password)).await?;
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    let opened = app.db.write(move |tx| {
        let opened = service::log_in(tx, &checked, &policy, now)?;
        limits::let_in(tx, &origin, opened.account, now)?;
        Ok(opened)
    });
    let opened = opened.await?;
    let shown = body.device_token.filter(|_| device.is_some());
    let device_token = shown.unwrap_or_else(|| tokens::new_device_token(&app.keyring, &address_hash));
    Ok(tokens_of(&app, opened, Some(device_token), now)?)
}

/// Counts a try in a transaction of its own, so that it counts whatever comes of it.
async fn count_try(app: &AppData, origin: &LogInOrigin) -> Outcome<()> {
    if !app.config.rate_limits {
        return Ok(());
    }
    let (origin, now) = (origin.clone(), app.clock.now());
    app.db.write(move |tx| limits::spend_log_in(tx, &origin, now)).await
}

/// Finds the account whose address and password these are; takes the same time when there is none.
///
/// # Errors
/// [`Code::CredentialsWrong`].
async fn check_password(app: &AppData, email: String, password: SecretString) -> Outcome<Checked> {
    let account = app.db.read(move |conn| accounts::find_by_email(conn, &email)).await?;
    let (account, hash) = account.map_or((None, None), |known| (Some(known.id), known.password_hash));
    let fit = app.passwords.verify(password.clone(), hash.clone()).await?;
    let (true, Some(account), Some(hash)) = (fit.is_right(), account, hash) else {
        return Err(Code::CredentialsWrong.into());
    };
    let stale = fit == Fit::RightAsTyped || needs_rehash(&hash);
    let rehashed = if stale { Some(app.passwords.hash(password).await?) } else { None };
    Ok(Checked { account, hash, rehashed })
}

/// Takes a refresh token for new tokens. An answer that was lost may be asked for again for 10 seconds and gives the
/// same refresh token; a token used again after that ends its session.
#[utoipa::path(tag = "Sessions", request_body = RefreshRequest, responses((status = 200, body = Tokens),
    (status = 401, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
#[post("/sessions/refresh")]
pub async fn refresh(app: AppData, request: Request<RefreshRequest>) -> Result<Reply, Problem> {
    let token = request.body()?.refresh_token.clone();
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    let keys = app.keyring.clone();
    match app.db.write(move |tx| service::refresh(tx, &token, &keys, &policy, now)).await? {
        Refreshed::Again(opened) => Ok(tokens_of(&app, opened, None, now)?),
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
