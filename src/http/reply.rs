//! What a handler answers, and answers kept by Idempotency-Key.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{StatusCode, header},
};
use bytes::Bytes;
use serde::Serialize;

use super::{
    Problem, etag,
    extract::{Caller, Request},
    locations,
};
use crate::{
    app::App,
    clock::Instant,
    domain::refusal::{Code, Fault},
    error::{Error, Result},
    id::Id,
    service::limits::acts::{self, ActBudget},
    store::{
        Tx,
        idempotency::{self, Answer, Begun},
    },
};

/// Status, JSON body and perhaps an ETag; never cached. A 201 says where the new thing is, a GET of something that the
/// caller has already is answered 304.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    body: Bytes,
    etag: Option<String>,
    public: bool,
}

impl Reply {
    /// `status` with a body.
    pub fn new(status: u16, body: &impl Serialize) -> Result<Self> {
        Ok(Self { status, body: serde_json::to_vec(body)?.into(), etag: None, public: false })
    }

    /// 200 with a body that is JSON already.
    pub fn ready_made(json: impl Into<Bytes>) -> Self {
        Self { status: 200, body: json.into(), etag: None, public: false }
    }

    /// 200 with a body.
    pub fn ok(body: &impl Serialize) -> Result<Self> {
        Self::new(200, body)
    }

    /// 201 with a body.
    pub fn created(body: &impl Serialize) -> Result<Self> {
        Self::new(201, body)
    }

    /// 204.
    pub fn nothing() -> Self {
        Self { status: 204, body: Bytes::new(), etag: None, public: false }
    }

    /// 202 without more: it says the same whatever happened.
    pub fn accepted() -> Self {
        Self { status: 202, body: Bytes::from_static(b"{}"), etag: None, public: false }
    }

    /// Adds a tag with the version that `If-Match` is compared with.
    pub fn with_version(mut self, version: i32) -> Self {
        self.etag = Some(etag::of_version(version));
        self
    }

    /// Adds a tag by which an unchanged answer is known again.
    pub fn with_tag(mut self) -> Self {
        self.etag = Some(etag::of_body(&self.body));
        self
    }

    /// Marks an answer that says nothing about the person who asks.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let is_known = self.status == 200 && self.etag.as_ref().is_some_and(|tag| etag::is_known(request, tag));
        let status = if is_known { 304 } else { self.status };
        let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
        response.insert_header((header::CACHE_CONTROL, if self.public { "no-cache" } else { "no-store" }));
        if let Some(etag) = self.etag {
            response.insert_header((header::ETAG, etag));
        }
        if matches!(status, 204 | 304) {
            return response.finish();
        }
        if let Some(location) = locations::of_created(request, self.status, &self.body) {
            response.insert_header((header::LOCATION, location));
        }
        response.insert_header((header::CONTENT_TYPE, "application/json"));
        response.body(self.body)
    }
}

impl App {
    /// Counts what a member did that others get mail of, in the transaction of the act.
    ///
    /// # Errors
    /// [`Error::Limited`] when it was done too often.
    pub fn spend_act(
        &self,
        tx: &mut Tx<'_>,
        budget: &ActBudget,
        actor: Id,
        about: Option<Id>,
        now: Instant,
    ) -> Result<()> {
        if self.config.rate_limits { acts::spend_act(tx, budget, actor, about, now) } else { Ok(()) }
    }

    /// Runs an act of somebody in one transaction. With an Idempotency-Key its row goes in first and the answer is kept
    /// with it: a twin waits for the first and gets the same answer.
    pub async fn act<R, T, F>(&self, caller: &Caller<R>, request: &Request<T>, work: F) -> Result<Reply, Problem>
    where
        F: Fn(&mut Tx<'_>, Instant) -> Result<Reply> + Send + 'static,
    {
        self.act_of(caller.id(), request, work).await
    }

    /// [`act`](Self::act) for a handler that finds out by itself who acts.
    pub async fn act_of<T, F>(&self, account: Id, request: &Request<T>, work: F) -> Result<Reply, Problem>
    where
        F: Fn(&mut Tx<'_>, Instant) -> Result<Reply> + Send + 'static,
    {
        let now = self.clock.now();
        let key = request.idempotency_key()?;
        let fingerprint = request.fingerprint().to_owned();
        let reply = self.db.write(move |tx| {
            let Some(key) = &key else { return work(tx, now) };
            match begin(tx, account, key, &fingerprint, now)? {
                Begun::First => {}
                Begun::Again(Answer { status, body, etag }) => {
                    return Ok(Reply { status, body: body.into(), etag, public: false });
                }
                Begun::OtherRequest => {
                    let words = "this key was used for another request within the last day";
                    return Err(Fault::at("header Idempotency-Key", "key_reused", words).into());
                }
            }
            let reply = work(tx, now)?;
            let body = String::from_utf8(reply.body.to_vec()).map_err(anyhow::Error::new)?;
            let answer = Answer { status: reply.status, body, etag: reply.etag.clone() };
            idempotency::finish(tx, account, key, &answer)?;
            Ok(reply)
        });
        let reply = reply.await.map_err(Problem::from)?;
        self.mail_waits.notify_one();
        Ok(reply)
    }
}

/// A twin that is still being worked on after two seconds is told so.
fn begin(tx: &mut Tx<'_>, account: Id, key: &str, fingerprint: &str, now: Instant) -> Result<Begun> {
    idempotency::begin(tx, account, key, fingerprint, now).map_err(|error| match error {
        Error::Unavailable(_) => Code::InProgress.into(),
        other => other,
    })
}
