//! Pages for people who open the address of an installation: what this is, and what its problems mean. Also what browsers
//! and crawlers ask of every site.

use actix_web::{HttpResponse, http::header, web};
use strum::VariantArray;

use super::{
    AppData, Problem,
    pages::{Home, ProblemPage},
    problem::GENERAL,
};
use crate::{domain::refusal::Code, error::Error};

/// Keeps crawlers away from links in mails and from the API.
const ROBOTS: &str = "User-agent: *\nDisallow: /e/\nDisallow: /v1\n";
/// How long a browser remembers that there is no icon, and a crawler the rules for it.
const A_DAY: &str = "public, max-age=86400";

fn html(text: Result<String, minijinja::Error>) -> Result<HttpResponse, Problem> {
    let text = text.map_err(|fault| Error::Internal(anyhow::Error::new(fault).context("page template")))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type("text/html; charset=utf-8")
        .body(text))
}

/// What this is, who runs it, and where somebody in need is helped.
pub async fn home(app: AppData) -> Result<HttpResponse, Problem> {
    html(app.pages.home(&Home { help_lines: app.config.help.lines.clone() }))
}

/// There is no icon; a browser that asks for one is told so without an error in its console.
pub async fn favicon() -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, A_DAY)).finish()
}

/// What crawlers leave alone.
pub async fn robots() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, A_DAY))
        .content_type("text/plain; charset=utf-8")
        .body(ROBOTS)
}

/// Sends from `/docs` to `/docs/`; relative, so that it stays on this host and behind the same prefix.
pub async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "docs/")).finish()
}

/// A problem code, its title, and what it means.
type Row = (&'static str, &'static str, &'static str);

/// Every problem code there is.
fn problems() -> impl Iterator<Item = Row> {
    let refusals = Code::VARIANTS.iter().map(|code| (code.as_str(), code.title(), code.words()));
    GENERAL.iter().copied().chain(refusals)
}

/// Every problem code with its title.
pub async fn problem_index(app: AppData) -> Result<HttpResponse, Problem> {
    let mut rows: Vec<ProblemPage> = problems().map(ProblemPage::from).collect();
    rows.sort_by_key(|row| row.code);
    html(app.pages.problem_index(&rows))
}

/// What a problem code means.
pub async fn problem_page(app: AppData, code: web::Path<String>) -> Result<HttpResponse, Problem> {
    let found = problems().find(|row| row.0 == code.as_str()).ok_or(Error::NotFound)?;
    html(app.pages.problem(&found.into()))
}
