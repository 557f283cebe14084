//! Health, and the description of the API.

use std::sync::OnceLock;

use actix_web::{HttpRequest, HttpResponse, http::header};

use super::{AppData, Problem, etag};
use crate::error::Error;

/// The process is there.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(serde_json::json!({ "status": "ok" }))
}

/// How long the database may take to show that it is there.
const PROBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Requests are really served: the process is neither starting nor stopping, the database answers and can be written to.
pub async fn readyz(app: AppData) -> Result<HttpResponse, Problem> {
    if !app.is_ready() {
        return Err(Error::Unavailable("starting or stopping").into());
    }
    let probe = app.db.read(|conn| crate::store::installation::find(conn, "cell_resolution"));
    let (read, can_write) = tokio::join!(tokio::time::timeout(PROBE_TIMEOUT, probe), app.db.can_write());
    match (read, can_write) {
        (Ok(Ok(Some(_))), true) => Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(serde_json::json!({ "status": "ready" }))),
        (Ok(Ok(Some(_))), false) => Err(Error::Unavailable("the database cannot be written to").into()),
        _ => Err(Error::Unavailable("the database does not answer").into()),
    }
}

/// The description of the API.
pub async fn openapi(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static TAG: OnceLock<String> = OnceLock::new();
    let text = super::api_json()?;
    let tag = TAG.get_or_init(|| etag::of_body(text.as_bytes()));
    let mut response = if etag::is_known(&request, tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, tag.as_str())).insert_header((header::CACHE_CONTROL, "no-cache"));
    if etag::is_known(&request, tag) {
        return Ok(response.finish());
    }
    Ok(response.content_type(header::ContentType::json()).body(text))
}
