//! RFC 9457 problem documents, and the only table from kinds of outcome to HTTP statuses.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::{Map, Value, json};

use crate::{
    domain::refusal::{Code, Fault, Kind},
    error::{Error, Unreadable},
};

/// Faults that one answer tells: nobody mends more at once, and a small body may have thousands.
const MOST_FAULTS: usize = 50;
/// Characters of a pointer and of the words of a fault: both may hold what was sent.
const FAULT_MAX_CHARS: usize = 400;

/// An error on its way out.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
}

/// The problems that are no refusal, for `/problems/{code}`: code, title, words.
pub const GENERAL: &[(&str, &str, &str)] = &[
    ("bad_request", "The request cannot be read", "The body is not JSON, or a header or path is malformed."),
    ("body_missing", "There is no body", "This request says what it wants in its body: send application/json."),
    ("not_found", "Not found", "There is nothing here, or nothing that is yours to see."),
    ("method_not_allowed", "Not with this method", "`Allow` names the methods that this address takes."),
    ("payload_too_large", "The body is too large", "Send less than the limit that the answer names."),
    ("unsupported_media_type", "The body has a wrong type", "Send application/json, as it is or gzipped once."),
    ("uri_too_long", "The address is too long", "Path and query may have 8,192 bytes together."),
    ("head_too_large", "The headers are too large", "All headers may have 32,768 bytes together."),
    ("body_too_slow", "The body came too slowly", "A whole body must arrive within 10 seconds. Send it again."),
    ("invalid", "Some values are wrong", "`errors` names every one of them by JSON pointer."),
    ("no_time_zone", "There is no time zone at this point", "Is it at sea, or are lat and lng swapped?"),
    ("rate_limited", "Too many requests", "Wait as long as Retry-After says."),
    ("unavailable", "Not available now", "Try again in the seconds that Retry-After says; nothing was done."),
    ("internal", "Our fault", "It has been logged. Tell the operator the X-Request-Id."),
];

impl Problem {
    /// A problem that is no refusal, by its code in [`GENERAL`].
    pub fn general(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = GENERAL.iter().find(|row| row.0 == code).map_or("Problem", |row| row.1);
        Self { status, code, title, detail: detail.into(), members: Map::new(), headers: Vec::new() }
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 400 with words.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::general(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    fn invalid(faults: &[Fault]) -> Self {
        // The one fault with a name of its own, where it stands alone.
        let code = if matches!(faults, [only] if only.code == "no_time_zone") { "no_time_zone" } else { "invalid" };
        let told: Vec<Fault> = faults.iter().take(MOST_FAULTS).map(shortened).collect();
        let more = faults.len() - told.len();
        let mut words = format!("{} value(s) cannot be taken as they are.", faults.len());
        if more > 0 {
            words += &format!(" The first {MOST_FAULTS} are told; there are {more} more.");
        }
        let mut problem = Self::general(StatusCode::UNPROCESSABLE_ENTITY, code, words);
        problem.members.insert("errors".to_owned(), json!(told));
        if more > 0 {
            problem.members.insert("more_errors".to_owned(), json!(more));
        }
        problem
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(faults) => Self::invalid(&faults),
            Error::Unreadable(why, words) => {
                let (status, code) = match why {
                    Unreadable::NotJson => (StatusCode::BAD_REQUEST, "bad_request"),
                    Unreadable::Missing => (StatusCode::BAD_REQUEST, "body_missing"),
                    Unreadable::WrongType | Unreadable::WrongEncoding => {
                        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
                    }
                    Unreadable::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
                    Unreadable::TooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
                };
                let mut problem = Self::general(status, code, words);
                if why == Unreadable::WrongEncoding {
                    // RFC 7694: the answer tells which encodings would be taken.
                    problem.headers.push(("Accept-Encoding", "gzip, identity".to_owned()));
                }
                problem
            }
            Error::NotFound => Self::general(
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing here, or nothing that is yours to see.",
            ),
            Error::Refused(refusal) => {
                let status = match refusal.code.kind() {
                    Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
                    Kind::Forbidden => StatusCode::FORBIDDEN,
                    Kind::Conflict => StatusCode::CONFLICT,
                    Kind::Stale => StatusCode::PRECONDITION_FAILED,
                    Kind::VersionNeeded => StatusCode::PRECONDITION_REQUIRED,
                };
                let mut headers = Vec::new();
                if status == StatusCode::UNAUTHORIZED {
                    // RFC 6750, 3.1: a token that came and does not count is named as the reason.
                    let is_about_a_token = matches!(refusal.code, Code::TokenInvalid | Code::SessionEnded);
                    let challenge = if is_about_a_token { "Bearer error=\"invalid_token\"" } else { "Bearer" };
                    headers.push(("WWW-Authenticate", challenge.to_owned()));
                }
                Self {
                    status,
                    code: refusal.code.as_str(),
                    title: refusal.code.title(),
                    detail: refusal.detail.unwrap_or_else(|| refusal.code.words().to_owned()),
                    members: refusal.extra,
                    headers,
                }
            }
            Error::Limited { policy, limit, window_s, retry_after_s } => {
                let mut problem = Self::general(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limited",
                    format!("{}Please wait {retry_after_s} seconds.", way_in(policy)),
                );
                problem.headers = vec![
                    ("Retry-After", retry_after_s.to_string()),
                    ("RateLimit-Policy", format!("\"{policy}\";q={limit};w={window_s}")),
                    ("RateLimit", format!("\"{policy}\";r=0;t={retry_after_s}")),
                ];
                problem
            }
            Error::Unavailable(why) => {
                let mut problem = Self::general(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why);
                problem.headers.push(("Retry-After", "2".to_owned()));
                problem
            }
            Error::Internal(cause) => {
                tracing::error!(error = format!("{cause:#}"), "request failed");
                let words = "Something went wrong on our side; it has been logged.";
                Self::general(StatusCode::INTERNAL_SERVER_ERROR, "internal", words)
            }
        }
    }
}

/// Words on what lets somebody log in sooner than waiting does, for the budgets of log-ins.
fn way_in(policy: &str) -> &'static str {
    match policy {
        "log-in-address" | "log-in-client" | "log-in-known-network" => {
            "There were too many tries to log in from this network. To log in here at once, choose a new password by \
             mail: POST /v1/password-resets. Otherwise: "
        }
        "log-in-elsewhere" => {
            "There were too many tries to log in with this address. Log in on a device or in a network where you have \
             logged in before, or choose a new password by mail to log in here at once: POST /v1/password-resets. \
             Otherwise: "
        }
        _ => "",
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Error::from(code).into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut document = self.members.clone();
        document.insert("type".to_owned(), json!(format!("/problems/{}", self.code)));
        document.insert("title".to_owned(), json!(self.title));
        document.insert("status".to_owned(), json!(self.status.as_u16()));
        document.insert("detail".to_owned(), json!(self.detail));
        document.insert("code".to_owned(), json!(self.code));
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        for (name, value) in &self.headers {
            response.insert_header((*name, value.as_str()));
        }
        response.body(Value::Object(document).to_string())
    }
}

fn shortened(fault: &Fault) -> Fault {
    let short = |text: &str| text.chars().take(FAULT_MAX_CHARS).collect::<String>();
    Fault { pointer: short(&fault.pointer), detail: short(&fault.detail), ..fault.clone() }
}

/// The shape of a problem document, for the description of the API.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// `/problems/<code>`, which resolves to a page.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: String,
    /// For bad input: every fault at once, up to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<Fault>>,
    /// How many faults there are beyond those in `errors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_errors: Option<usize>,
}
