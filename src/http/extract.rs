//! What handlers take: who is calling, what they sent, which version they saw.

use std::{future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, header},
    web,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{
    AppData, Problem, body,
    etag::IfMatch,
    schemas::{self, Read, Rejected},
};
use crate::{
    auth::{Purpose, tokens},
    clock::Instant,
    domain::refusal::{Code, Fault, Faults},
    error::{Error, Result, Unreadable},
    id::Id,
    service::callers,
};

pub use super::client_ip::ClientIp;

pub(super) type Extracted<T> = Pin<Box<dyn Future<Output = std::result::Result<T, Problem>>>>;

pub(super) fn app(request: &HttpRequest) -> std::result::Result<AppData, Problem> {
    request
        .app_data::<AppData>()
        .cloned()
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("the app is not in the request")).into())
}

/// Who may call a handler; a marker in its signature.
pub trait Access: 'static {
    /// Refuses whoever may not.
    fn admit(caller: &callers::Caller) -> Result<()>;
}

/// Anybody with a living session, even whom a decision keeps out: they may read it and object.
pub struct Anybody;
/// A verified adult in good standing.
pub struct Participant;
/// Keeps the platform safe.
pub struct Moderator;
/// Runs the installation.
pub struct Admin;

impl Access for Anybody {
    fn admit(_: &callers::Caller) -> Result<()> {
        Ok(())
    }
}

impl Access for Participant {
    fn admit(caller: &callers::Caller) -> Result<()> {
        callers::not_kept_out(caller.kept_out.as_ref())
    }
}

impl Access for Moderator {
    fn admit(caller: &callers::Caller) -> Result<()> {
        Participant::admit(caller)?;
        if caller.moderates() { Ok(()) } else { Err(Code::ModeratorsOnly.into()) }
    }
}

impl Access for Admin {
    fn admit(caller: &callers::Caller) -> Result<()> {
        Participant::admit(caller)?;
        if caller.administers() { Ok(()) } else { Err(Code::AdminsOnly.into()) }
    }
}

/// Somebody with a living session who may call this handler; read afresh from the database at every request.
pub struct Caller<R = Participant> {
    inner: callers::Caller,
    _access: PhantomData<R>,
}

impl<R> std::ops::Deref for Caller<R> {
    type Target = callers::Caller;

    fn deref(&self) -> &callers::Caller {
        &self.inner
    }
}

impl<R: Access> FromRequest for Caller<R> {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let inner = identify(&request).await?.ok_or(Code::NotLoggedIn)?;
            R::admit(&inner)?;
            Ok(Self { inner, _access: PhantomData })
        })
    }
}

/// Somebody with a session, or nobody: for pages that everybody sees and some see more of.
pub struct MaybeCaller(pub Option<callers::Caller>);

impl MaybeCaller {
    /// The account, if somebody is logged in whom no decision keeps out.
    pub fn id(&self) -> Option<Id> {
        self.0.as_ref().filter(|caller| caller.kept_out.is_none()).map(callers::Caller::id)
    }
}

impl FromRequest for MaybeCaller {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self(identify(&request).await?)) })
    }
}

async fn identify(request: &HttpRequest) -> std::result::Result<Option<callers::Caller>, Problem> {
    let app = app(request)?;
    let now = app.clock.now();
    let Some(claims) = claims(request, &app, now)? else { return Ok(None) };
    let caller = app.db.read(move |conn| callers::identify(conn, claims.account, claims.session, now)).await?;
    Ok(Some(caller))
}

/// What the token of a request says, if there is one.
///
/// # Errors
/// [`Code::TokenInvalid`] for one that is none of ours or has expired.
pub(super) fn claims(request: &HttpRequest, app: &AppData, now: Instant) -> Result<Option<tokens::Claims>> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Code::TokenInvalid)?;
    Ok(Some(app.tokens.verify(token, now).map_err(|_| Code::TokenInvalid)?))
}

/// An id in the path; one that is none names nothing, so it is a 404.
#[derive(Debug, Clone, Copy)]
pub struct PathId(pub Id);

impl FromRequest for PathId {
    type Error = Problem;
    type Future = std::future::Ready<std::result::Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| text.parse().ok());
        std::future::ready(id.map(Self).ok_or_else(|| Error::NotFound.into()))
    }
}

/// A request with a body: checked against the schema that the API's description shows, all faults at once, but only
/// when it is looked at, so that a missing thing is reported before a wrong value.
pub struct Request<T> {
    body: Arc<std::result::Result<Read<T>, (Unreadable, String)>>,
    key: Option<header::HeaderValue>,
    fingerprint: String,
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), key: self.key.clone(), fingerprint: self.fingerprint.clone() }
    }
}

impl<T> Request<T> {
    /// What was sent.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn body(&self) -> Result<&T> {
        self.read()?.map_err(|rejected| Error::Invalid(rejected.faults.clone()))
    }

    /// What could be read of it, for who asks: what is wrong with the rest is told later.
    pub fn readable(&self) -> Option<&T> {
        match self.body.as_ref() {
            Ok(Ok(body)) => Some(body),
            Ok(Err(rejected)) => rejected.readable.as_ref(),
            Err(_) => None,
        }
    }

    /// What was sent, when the rules that no schema knows are content as well.
    ///
    /// # Errors
    /// Every fault in it, the schema's and those of `rules` together.
    pub fn checked(&self, rules: impl FnOnce(&T) -> std::result::Result<(), Faults>) -> Result<&T> {
        checked(self.read()?, rules)
    }

    /// [`checked`](Self::checked) for a change to `before`, in which unknown words may stay that stand there already.
    ///
    /// # Errors
    /// As [`checked`](Self::checked).
    pub fn checked_over(
        &self,
        before: &serde_json::Value,
        rules: impl FnOnce(&T) -> std::result::Result<(), Faults>,
    ) -> Result<T>
    where
        T: Clone + serde::Serialize,
    {
        let read = self.read()?.cloned().or_else(|rejected| rejected.clone().over(before));
        checked(read.as_ref(), rules).cloned()
    }

    fn read(&self) -> Result<std::result::Result<&T, &Rejected<T>>> {
        match self.body.as_ref() {
            Ok(read) => Ok(read.as_ref()),
            Err((why, words)) => Err(Error::Unreadable(*why, words.clone())),
        }
    }

    /// The Idempotency-Key, if one came.
    pub fn idempotency_key(&self) -> std::result::Result<Option<String>, Problem> {
        let Some(value) = &self.key else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        let words = "send 1 to 255 visible ASCII characters";
        let bad = || Error::from(Fault::at("header Idempotency-Key", "bad_key", words));
        Ok(Some(key.ok_or_else(bad)?.to_owned()))
    }

    /// Tells two requests under one key apart: a keyed hash of method, path, query and body.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// What was read of a body, or why it cannot be read at all.
type ReadBody<T> = std::result::Result<Read<T>, (Unreadable, String)>;

impl<T: ToSchema + DeserializeOwned + Send + 'static> FromRequest for Request<T> {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let app = app(&request)?;
            let sent = match body::read(&request, payload, body::LIMIT).await {
                Ok(bytes) => Ok(bytes),
                Err(Error::Unreadable(why, words)) => Err((why, words)),
                Err(error) => return Err(error.into()),
            };
            let head = format!("{} {}\n", request.method(), request.uri());
            let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
            let kind = kind.to_owned();
            let is_small = sent.as_ref().map_or(true, |bytes| bytes.len() <= body::INLINE_LIMIT);
            let says_all = matches!(*request.method(), Method::PUT | Method::PATCH);
            let work = move || read_body::<T>(&app, &head, &kind, sent, says_all);
            let read = if is_small && schemas::is_compiled::<T>() {
                work()
            } else {
                web::block(work).await.map_err(|fault| Error::Internal(anyhow::Error::new(fault)))?
            };
            let (body, fingerprint) = read?;
            let key = request.headers().get("Idempotency-Key").cloned();
            Ok(Self { body: Arc::new(body), key, fingerprint })
        })
    }
}

/// Reads and checks a body, and makes the fingerprint of its request; takes milliseconds for a large one. A body that says
/// all (PUT, PATCH) or has members that are required cannot be left out.
fn read_body<T: ToSchema + DeserializeOwned + 'static>(
    app: &AppData,
    head: &str,
    kind: &str,
    sent: std::result::Result<Bytes, (Unreadable, String)>,
    says_all: bool,
) -> Result<(ReadBody<T>, String)> {
    let bytes = sent.as_deref().unwrap_or_default();
    // Keyed: the body may hold a password, and the fingerprint is kept for a day.
    let mac = app.keyring.mac(Purpose::Idempotency, &[head.as_bytes(), bytes].concat());
    let is_needed = says_all || !schemas::takes_nothing::<T>()?;
    let body = match sent.and_then(|bytes| json(kind, &bytes, is_needed)) {
        Ok(value) => Ok(schemas::read::<T>(value)?),
        Err(unreadable) => Err(unreadable),
    };
    Ok((body, hex::encode(mac)))
}

/// The body as JSON, with or without a byte order mark. An empty one is an object without members, unless it is needed.
fn json(kind: &str, bytes: &Bytes, is_needed: bool) -> std::result::Result<serde_json::Value, (Unreadable, String)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        let words = "The body is empty: send what this request asks for as application/json.";
        let nothing = serde_json::Value::Object(serde_json::Map::new());
        return if is_needed { Err((Unreadable::Missing, words.to_owned())) } else { Ok(nothing) };
    }
    let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let fine = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !fine {
        return Err((Unreadable::WrongType, "Send Content-Type: application/json.".to_owned()));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err((Unreadable::NotJson, "The body is UTF-16; JSON is sent as UTF-8.".to_owned()));
    }
    serde_json::from_slice(bytes).map_err(|fault| (Unreadable::NotJson, format!("The body is not JSON: {fault}.")))
}

/// Joins the faults that a schema and further rules find.
pub fn checked<'v, T>(
    read: std::result::Result<&'v T, &Rejected<T>>,
    rules: impl FnOnce(&T) -> std::result::Result<(), Faults>,
) -> Result<&'v T> {
    match read {
        Ok(value) => {
            rules(value)?;
            Ok(value)
        }
        Err(Rejected { faults, readable }) => {
            let more = readable.as_ref().and_then(|value| rules(value).err()).map(|found| found.0).unwrap_or_default();
            let news = more.into_iter().filter(|new| !faults.iter().any(|known| known.pointer == new.pointer));
            Err(Error::Invalid(faults.iter().cloned().chain(news).collect()))
        }
    }
}

/// A body without members.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Parameters of a query; no route has twenty.
const QUERY_MAX_PAIRS: usize = 100;

/// The query, checked against its schema like a body; faults point at `?name`.
pub struct Query<T>(std::result::Result<T, Rejected<T>>);

impl<T> Query<T> {
    /// What was asked.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn get(self) -> Result<T> {
        self.0.map_err(|rejected| Error::Invalid(rejected.faults))
    }

    /// What was asked, when there are rules that no schema knows.
    ///
    /// # Errors
    /// Every fault in it, the schema's and those of `rules` together.
    pub fn checked(self, rules: impl FnOnce(&T) -> std::result::Result<(), Faults>) -> Result<T> {
        checked(self.0.as_ref(), rules)?;
        self.get()
    }
}

impl<T: ToSchema + DeserializeOwned + Send + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let query = request.query_string().to_owned();
        Box::pin(async move {
            if query.len() <= body::INLINE_LIMIT && schemas::is_compiled::<T>() {
                return read_query::<T>(&query);
            }
            // To compile a schema, at its first use, takes milliseconds, and so does a long query.
            let read = web::block(move || read_query::<T>(&query)).await;
            read.map_err(|fault| Error::Internal(anyhow::Error::new(fault)))?
        })
    }
}

fn read_query<T: ToSchema + DeserializeOwned + 'static>(query: &str) -> std::result::Result<Query<T>, Problem> {
    if query.bytes().filter(|byte| *byte == b'&').count() >= QUERY_MAX_PAIRS {
        let many = Fault::at("?", "too_many", format!("a query may have {QUERY_MAX_PAIRS} parameters"));
        return Ok(Query(Err(Rejected { faults: vec![many], readable: None })));
    }
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|_| Problem::bad_request("The query cannot be read."))?;
    Ok(Query(schemas::read_query::<T>(&pairs)?))
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = std::future::Ready<std::result::Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}
