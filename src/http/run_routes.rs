//! A run's route over HTTP: GeoJSON or GPX in and out.

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::header,
    put,
    web::{self, Payload},
};
use serde_json::json;

use super::{
    AppData, Problem, Reply, body,
    extract::{Caller, MaybeCaller, PathId},
    locations,
    problem::ProblemDocument,
};
use crate::{
    domain::route::{self, Route},
    error::{Error, Result as Outcome, Unreadable},
    id::Id,
    service::{callers, run_routes as service},
    store::run_routes::RunRoute,
};

const GEOJSON: &str = "application/geo+json";
const GPX: &str = "application/gpx+xml";

/// The line on the map, for whom the meeting point is shown: GeoJSON with `length_km`, or GPX when `Accept` asks for it.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path), ("Accept" = Option<String>, Header)), security(("token" = []), ()), responses(
    (status = 200, description = "The route", content((serde_json::Value = "application/geo+json"), (String = "application/gpx+xml"))),
    (status = 404, body = ProblemDocument)))]
#[get("/runs/{id}/route")]
pub async fn get_route(
    app: AppData,
    viewer: MaybeCaller,
    id: PathId,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (now, viewer, policy) = (app.clock.now(), viewer.id(), app.config.policy.clone());
    let kept = app.db.read(move |conn| service::get(conn, id.0, viewer, &policy, now)).await?;
    if prefers_gpx(&request) {
        let bytes = kept.geometry.to_string();
        let route = route::from_geojson(bytes.as_bytes()).map_err(|_| stored_wrongly())?;
        let name = header::HeaderValue::from_static("attachment; filename=\"route.gpx\"");
        let mut response = answer(200, GPX, route.gpx());
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        return Ok(response);
    }
    Ok(answer(200, GEOJSON, as_geojson(&kept)))
}

fn stored_wrongly() -> Error {
    Error::Internal(anyhow::anyhow!("a stored route is none"))
}

fn as_geojson(kept: &RunRoute) -> String {
    json!({
        "type": "Feature",
        "geometry": kept.geometry.0,
        "properties": { "length_km": kept.length_km },
        "length_km": kept.length_km,
    })
    .to_string()
}

fn answer(status: u16, kind: &'static str, body: String) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::VARY, "Accept"))
        .insert_header((header::CONTENT_TYPE, kind))
        .body(body)
}

/// Whether GPX is wanted more than GeoJSON.
fn prefers_gpx(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let wish = |wanted: &[&str]| {
        accept
            .split(',')
            .filter_map(|part| {
                let mut pieces = part.split(';').map(str::trim);
                let kind = pieces.next()?.to_ascii_lowercase();
                let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok())?;
                wanted.contains(&kind.as_str()).then_some(weight)
            })
            .fold(0.0_f64, f64::max)
    };
    wish(&[GPX]) > wish(&[GEOJSON, "application/json"])
}

/// Gives a run a route, in place of the one it had; for those who lead it. Times, names and heights are left behind.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), security(("token" = [])),
    request_body(content((serde_json::Value = "application/geo+json"), (String = "application/gpx+xml"))), responses(
    (status = 200, description = "In place of another", body = serde_json::Value, content_type = "application/geo+json"),
    (status = 201, description = "The first", body = serde_json::Value, content_type = "application/geo+json"),
    (status = 404, body = ProblemDocument), (status = 413, body = ProblemDocument), (status = 415, body = ProblemDocument),
    (status = 422, body = ProblemDocument)))]
#[put("/runs/{id}/route")]
pub async fn put_route(
    app: AppData,
    caller: Caller,
    id: PathId,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    app.db.read(move |conn| callers::leads(conn, me, id.0, now)).await?;
    let route = read(&request, payload).await?;
    let work = move |tx: &mut crate::store::Tx<'_>| {
        let proof = callers::leads(tx, me, id.0, now)?;
        service::put(tx, &proof, &route, now)
    };
    let (kept, is_new) = app.db.write(work).await?;
    let (status, body) = (if is_new { 201 } else { 200 }, as_geojson(&kept));
    let location = locations::of_created(&request, status, body.as_bytes());
    let mut response = answer(status, GEOJSON, body);
    if let Some(location) = location.and_then(|location| header::HeaderValue::from_str(&location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Takes the route of a run away; for those who lead it.
#[utoipa::path(tag = "Runs", params(("id" = Id, Path)), security(("token" = [])), responses(
    (status = 204), (status = 404, body = ProblemDocument)))]
#[delete("/runs/{id}/route")]
pub async fn delete_route(app: AppData, caller: Caller, id: PathId) -> Result<Reply, Problem> {
    let (me, now) = (caller.id(), app.clock.now());
    let done = app.db.write(move |tx| {
        let proof = callers::leads(tx, me, id.0, now)?;
        service::remove(tx, &proof)
    });
    done.await?;
    Ok(Reply::nothing())
}

/// Content types of files that are told apart by their content: exports that were packed for the way.
const PACKED: [&str; 2] = ["application/gzip", "application/x-gzip"];
/// The first bytes of a file that gzip packed.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The form in which a route is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    GeoJson,
    Gpx,
    /// GPX or GeoJSON, packed: its first character tells.
    Packed,
}

/// The route in a body that may be hostile; read on a blocking thread.
async fn read(request: &HttpRequest, payload: Payload) -> Outcome<Route> {
    let form = form(request)?;
    let bytes = body::read(request, payload, route::MAX_BYTES).await?;
    let read = web::block(move || {
        let bytes = if bytes.starts_with(&GZIP_MAGIC) { body::inflate(&bytes, route::MAX_BYTES)? } else { bytes };
        let is_gpx = form == Form::Gpx || (form == Form::Packed && !route::looks_like_json(&bytes));
        Ok::<_, Error>(if is_gpx { route::from_gpx(&bytes)? } else { route::from_geojson(&bytes)? })
    });
    read.await.map_err(|fault| Error::Internal(anyhow::Error::new(fault)))?
}

fn form(request: &HttpRequest) -> Outcome<Form> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match kind.as_str() {
        GEOJSON | "application/json" => Ok(Form::GeoJson),
        GPX => Ok(Form::Gpx),
        packed if PACKED.contains(&packed) => Ok(Form::Packed),
        _ => {
            let words = format!("Send GeoJSON or GPX, with Content-Type: {GEOJSON} or {GPX}; gzip is fine.");
            Err(Error::Unreadable(Unreadable::WrongType, words))
        }
    }
}
