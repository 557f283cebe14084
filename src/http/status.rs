//! Health, the description of the API, and the page of each problem code.

use actix_web::{HttpResponse, get, http::header, web};

use super::{AppData, Problem, problem::GENERAL};
use crate::{domain::refusal::Code, error::Error};

/// The process is there.
#[get("/healthz")]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(serde_json::json!({ "status": "ok" }))
}

/// How long the database may take to show that it is there.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Requests are really served: the process is neither starting nor stopping and the database answers.
#[get("/readyz")]
pub async fn readyz(app: AppData) -> Result<HttpResponse, Problem> {
    if !app.is_ready() {
        return Err(Error::Unavailable("starting or stopping").into());
    }
    let probe = app.db.read(|conn| crate::store::installation::find(conn, "cell_resolution"));
    match tokio::time::timeout(PATIENCE, probe).await {
        Ok(Ok(Some(_))) => Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(serde_json::json!({ "status": "ready" }))),
        _ => Err(Error::Unavailable("the database does not answer").into()),
    }
}

/// The description of the API.
#[get("/openapi.json")]
pub async fn openapi() -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().content_type(header::ContentType::json()).body(super::api_json()?))
}

/// What a problem code means.
#[get("/problems/{code}")]
pub async fn problem_page(code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let refusal = code.parse::<Code>().ok().map(|code| (code.as_str(), code.title(), code.words()));
    let general = GENERAL.iter().copied().find(|row| row.0 == code.as_str());
    let (code, title, words) = refusal.or(general).ok_or(Error::NotFound)?;
    // All three are our own words; nothing of the request stands in the page.
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <h1>{title}</h1><p><code>{code}</code></p><p>{words}</p></html>"
    );
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page))
}
