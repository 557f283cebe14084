//! What came back over HTTP, with the few questions that tests ask of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// Null where the body is no JSON.
    pub json: Value,
    /// For messages: "POST /v1/runs".
    pub what: String,
}

impl Answer {
    /// Reads a response.
    pub async fn read(what: String, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap_or_default();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, json, what }
    }

    /// Which headers it has, in order: the server sends them in any.
    pub fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    /// Holds the answer to a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let short: String = self.text.chars().take(1500).collect();
        assert_eq!(self.status, status, "{}: {short}", self.what);
        self
    }

    /// Holds the answer to a status and a problem code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let this = self.expect(status);
        assert_eq!(this.json["code"], code, "{}: {}", this.what, this.text);
        assert_eq!(this.header("content-type"), "application/problem+json", "{}", this.what);
        assert_eq!(this.json["type"], format!("/problems/{code}"));
        assert_eq!(this.json["status"], status);
        this
    }

    /// Holds the answer to 422 with at least these faults, written `pointer code`.
    #[track_caller]
    pub fn faulty(self, wanted: &[&str]) -> Self {
        let code = if self.json["code"] == "no_time_zone" { "no_time_zone" } else { "invalid" };
        let this = self.refused(422, code);
        let faults = this.faults();
        for one in wanted {
            assert!(faults.iter().any(|fault| fault == one), "{}: no \"{one}\" in {faults:?}", this.what);
        }
        this
    }

    /// The faults of a 422, as `pointer code`.
    pub fn faults(&self) -> Vec<String> {
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        errors.iter().map(|error| format!("{} {}", word(&error["pointer"]), word(&error["code"]))).collect()
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A member of the body as text.
    #[track_caller]
    pub fn str(&self, name: &str) -> String {
        self.json[name].as_str().unwrap_or_else(|| panic!("no text {name} in {}", self.text)).to_owned()
    }

    /// `id` of the body.
    #[track_caller]
    pub fn id(&self) -> String {
        self.str("id")
    }

    /// `items` of the body.
    #[track_caller]
    pub fn items(&self) -> Vec<Value> {
        self.json["items"].as_array().unwrap_or_else(|| panic!("no items in {}", self.text)).clone()
    }

    /// The ids of `items`.
    pub fn item_ids(&self) -> Vec<String> {
        self.items().iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
