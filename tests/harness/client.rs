//! Whoever calls: nobody, a person by their session, or somebody with a header of their own making.

use reqwest::Method;
use serde_json::Value;
use sidebyside::{
    auth::{Claims, Scope, tokens},
    id::Id,
};

use super::{Answer, Town};

/// Somebody who calls the API.
#[derive(Clone)]
pub struct Client {
    town: Town,
    auth: Auth,
}

#[derive(Clone)]
enum Auth {
    Nobody,
    /// Access tokens last 15 minutes and tests move the clock, so each request gets a fresh one.
    Session(Id, Id),
    Token(String),
    Header(String),
}

impl Client {
    /// Not logged in.
    pub fn nobody(town: &Town) -> Self {
        Self { town: town.clone(), auth: Auth::Nobody }
    }

    /// With a session that never runs out of access tokens.
    pub fn with_session(town: &Town, account: Id, session: Id) -> Self {
        Self { town: town.clone(), auth: Auth::Session(account, session) }
    }

    /// With an access token.
    pub fn with_token(town: &Town, token: &str) -> Self {
        Self { town: town.clone(), auth: Auth::Token(token.to_owned()) }
    }

    /// With any `Authorization` header.
    pub fn with_header(town: &Town, value: &str) -> Self {
        Self { town: town.clone(), auth: Auth::Header(value.to_owned()) }
    }

    /// The same caller in a copy of their town.
    pub fn in_town(&self, town: &Town) -> Self {
        Self { town: town.clone(), auth: self.auth.clone() }
    }

    /// An access token that counts now.
    pub fn token(&self) -> Option<String> {
        match &self.auth {
            Auth::Nobody | Auth::Header(_) => None,
            Auth::Token(token) => Some(token.clone()),
            Auth::Session(account, session) => {
                let claims = Claims::new(*account, *session, Scope::Full, self.town.now(), 15);
                Some(tokens::issue(&self.town.app().keyring, &claims).expect("a token"))
            }
        }
    }

    /// A request to a path as it stands after the host, `/v1` included.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.town.http().request(method, format!("{}{path}", self.town.base()));
        if let Some(token) = self.token() {
            request = request.bearer_auth(token);
        }
        if let Auth::Header(value) = &self.auth {
            request = request.header("Authorization", value);
        }
        request
    }

    /// Sends what `request` made.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let what = format!("{} {}", request.method(), request.url().path());
        let response = self.town.http().execute(request).await;
        Answer::read(what.clone(), response.unwrap_or_else(|fault| panic!("{what}: {fault:?}"))).await
    }

    /// `GET /v1…`
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, &format!("/v1{path}"))).await
    }

    /// `POST /v1…`
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, &format!("/v1{path}")).json(&body)).await
    }

    /// `POST /v1…` with an Idempotency-Key.
    pub async fn post_once(&self, key: &str, path: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, &format!("/v1{path}")).header("Idempotency-Key", key);
        self.send(request.json(&body)).await
    }

    /// `PUT /v1…`
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, &format!("/v1{path}")).json(&body)).await
    }

    /// `PATCH /v1…` with `If-Match` when a version is given.
    pub async fn patch(&self, path: &str, version: Option<&str>, body: Value) -> Answer {
        let mut request = self.request(Method::PATCH, &format!("/v1{path}"));
        if let Some(version) = version {
            request = request.header("If-Match", version);
        }
        self.send(request.json(&body)).await
    }

    /// `DELETE /v1…`
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, &format!("/v1{path}"))).await
    }

    /// Any body of any type to `POST /v1…`
    pub async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, &format!("/v1{path}")).header("Content-Type", content_type);
        self.send(request.body(body)).await
    }

    /// Opens a page outside `/v1`.
    pub async fn open(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Presses the button of a page outside `/v1`.
    pub async fn press(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(form).expect("a form");
        let request = self.request(Method::POST, path).header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.body(body)).await
    }
}

/// Somebody with a verified account and a session.
#[derive(Clone)]
pub struct Person {
    pub id: Id,
    pub email: String,
    pub client: Client,
}

impl std::ops::Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Person {
    /// The same person in a copy of their town.
    pub fn in_town(&self, town: &Town) -> Self {
        Self { client: self.client.in_town(town), ..self.clone() }
    }

    /// Signs up for a run.
    pub async fn sign_up(&self, run: &str) -> Answer {
        self.post(&format!("/runs/{run}/signups"), serde_json::json!({})).await
    }

    /// Signs up and holds the outcome to a status; gives the sign-up's id.
    pub async fn joins(&self, run: &str, status: &str) -> String {
        let answer = self.sign_up(run).await.expect(201);
        assert_eq!(answer.json["status"], status, "{}", answer.text);
        answer.id()
    }

    /// Gives a sign-up back.
    pub async fn withdraws(&self, signup: &str) -> Answer {
        self.post(&format!("/signups/{signup}/withdraw"), serde_json::json!({})).await.expect(200)
    }

    /// The present state of one's sign-up.
    pub async fn seat(&self, signup: &str) -> Value {
        self.get(&format!("/signups/{signup}")).await.expect(200).json["status"].clone()
    }
}
