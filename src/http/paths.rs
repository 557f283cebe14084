//! Requests that no route takes: other methods on known paths, unknown paths, paths with a slash too many.
//!
//! One table of paths and methods, read from the routes themselves, tells 405 from 404. It knows patterns only, so a 405
//! never tells whether an id exists.

use std::sync::OnceLock;

use actix_web::{
    Error as ActixError, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::Next,
};

use super::{Problem, routes};
use crate::error::Error;

/// Pages that need the slash at their end, since their assets are addressed relative to it.
const KEEPS_ITS_SLASH: &str = "/docs/";
/// The order of the methods in `Allow`.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// A path pattern such as `/v1/runs/{id}` with one of its methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Segments in braces stand for one segment of any text; one that ends in `:.*}` for all that follow.
    pub pattern: String,
    /// A method that a handler takes; HEAD is implied by GET.
    pub method: Method,
}

impl Route {
    fn takes(&self, path: &str) -> bool {
        let mut actual = path.split('/');
        for wanted in self.pattern.split('/') {
            if wanted.ends_with(":.*}") {
                return actual.next().is_some();
            }
            let fits = |segment: &str| if wanted.starts_with('{') { !segment.is_empty() } else { segment == wanted };
            if !actual.next().is_some_and(fits) {
                return false;
            }
        }
        actual.next().is_none()
    }
}

/// All routes of the server, collected when they are first asked for and kept for the life of the process.
pub fn all() -> &'static [Route] {
    static ROUTES: OnceLock<Vec<Route>> = OnceLock::new();
    ROUTES.get_or_init(routes::list)
}

/// The methods that some handler takes at this path, as they stand in `Allow`; empty for a path that nobody serves.
pub fn allowed(path: &str) -> Vec<Method> {
    let known: Vec<&Method> = all().iter().filter(|route| route.takes(path)).map(|route| &route.method).collect();
    let is_taken =
        |method: &&Method| known.contains(method) || (**method == Method::HEAD && known.contains(&&Method::GET));
    let mut allowed: Vec<Method> = METHODS.iter().filter(is_taken).cloned().collect();
    if !allowed.is_empty() {
        allowed.push(Method::OPTIONS);
    }
    allowed
}

/// Answers what no route takes: OPTIONS with the methods of the path, 405 with `Allow`, or 404.
pub async fn fallback(request: HttpRequest) -> Result<HttpResponse, Problem> {
    // `OPTIONS *` asks about the server as a whole.
    let allowed = if request.uri().path() == "*" {
        METHODS.iter().cloned().chain([Method::OPTIONS]).collect()
    } else {
        allowed(request.match_info().as_str())
    };
    if allowed.is_empty() {
        return Err(Error::NotFound.into());
    }
    let words = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if *request.method() == Method::OPTIONS {
        return Ok(HttpResponse::NoContent()
            .insert_header((header::ALLOW, words))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish());
    }
    let detail = format!("This address takes {words}.");
    let problem = Problem::general(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    Err(problem.with_header("Allow", words))
}

/// Serves a path with doubled slashes, or one slash at its end, as the path without them. Nothing is redirected, so that
/// `//elsewhere.example` leads nowhere and a POST keeps its body.
pub async fn without_extra_slashes(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    if let Some(uri) = tidied(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

/// The address without extra slashes; none where there is nothing to change.
fn tidied(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let has_extra = path.contains("//") || (path.len() > 1 && path.ends_with('/'));
    if !has_extra || path == KEEPS_ITS_SLASH {
        return None;
    }
    let merged: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut tidy = format!("/{}", merged.join("/"));
    if tidy.starts_with(KEEPS_ITS_SLASH) || (path.ends_with('/') && tidy == KEEPS_ITS_SLASH.trim_end_matches('/')) {
        tidy.push_str(if path.ends_with('/') { "/" } else { "" });
    }
    if let Some(query) = uri.query() {
        tidy.push('?');
        tidy.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(tidy).ok()?);
    Uri::from_parts(parts).ok()
}

/// Answers HEAD as GET: the same handler and headers; the connection leaves the body out.
pub async fn head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    if *request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &str) -> String {
        allowed(path).iter().map(Method::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn allowed_methods_follow_the_routes_and_not_the_ids() {
        for (path, wanted) in [
            ("/healthz", "GET HEAD OPTIONS"),
            ("/v1/runs", "GET HEAD POST OPTIONS"),
            ("/v1/runs/anything", "GET HEAD PATCH OPTIONS"),
            ("/v1/runs/x/route", "GET HEAD PUT DELETE OPTIONS"),
            ("/v1/sessions/current", "DELETE OPTIONS"),
            ("/e/not-today/token", "GET HEAD POST OPTIONS"),
            ("/docs/swagger-ui.css", "GET HEAD OPTIONS"),
            ("/docs/", "GET HEAD OPTIONS"),
            ("/", "GET HEAD OPTIONS"),
            ("/v1", ""),
            ("/v1/nothing", ""),
            ("/v1/runs/x/y/z", ""),
            ("/e/not-today", ""),
            ("/v1/runs/", ""),
        ] {
            assert_eq!(words(path), wanted, "{path}");
        }
    }

    #[test]
    fn extra_slashes_are_left_out_and_the_query_is_kept() {
        let tidy = |text: &str| tidied(&text.parse().unwrap()).map(|uri| uri.to_string());
        for (given, wanted) in [
            ("/v1/runs/", "/v1/runs"),
            ("//v1///runs//?near=1,2&x=%2F/", "/v1/runs?near=1,2&x=%2F/"),
            ("//evil.example", "/evil.example"),
            ("//evil.example/%2e%2e/", "/evil.example/%2e%2e"),
            ("///", "/"),
            ("/docs//", "/docs/"),
            ("//docs//index.html", "/docs/index.html"),
        ] {
            assert_eq!(tidy(given).as_deref(), Some(wanted), "{given}");
        }
        for fine in ["/", "/v1/runs", "/docs/", "/docs", "/v1/runs?x=//"] {
            assert_eq!(tidy(fine), None, "{fine}");
        }
    }

    #[test]
    fn empty_id_never_reaches_another_write() {
        // `/v1/runs//cancel`, from a client whose id is empty, must not do what another route does.
        for route in all().iter().filter(|route| route.method != Method::GET) {
            let segments: Vec<&str> = route.pattern.split('/').collect();
            for at in (0..segments.len()).filter(|at| segments[*at].starts_with('{')) {
                let without = segments.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, segment)| *segment);
                let path = without.collect::<Vec<_>>().join("/").replace(['{', '}'], "x");
                assert!(!allowed(&path).contains(&route.method), "{} {path}", route.method);
            }
        }
    }
}
