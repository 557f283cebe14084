//! `Location` of every 201: where the new thing is, by the route that made it.
//!
//! Addresses are relative to the host (RFC 9110, 10.2.2), so they hold behind every name that the server has.

use actix_web::{HttpRequest, http::StatusCode};
use serde_json::Value;

/// Routes that make things, and the address of what they make. A name in braces is a parameter of the path; one that
/// begins with `/` is a pointer into the answer. Of several addresses the first holds whose names are all there.
const CREATED: &[(&str, &[&str])] = &[
    ("/v1/runs", &["/v1/runs/{/id}"]),
    ("/v1/runs/{id}/signups", &["/v1/signups/{/id}"]),
    ("/v1/runs/{id}/announcements", &["/v1/runs/{id}/announcements"]),
    ("/v1/runs/{id}/facilitators", &["/v1/runs/{id}/facilitators/{/account_id}"]),
    ("/v1/runs/{id}/walk-ins", &["/v1/signups/{/signup/id}", "/v1/runs/{id}/guests/{/guest/id}"]),
    ("/v1/runs/{id}/incidents", &["/v1/moderation/incidents/{/id}"]),
    ("/v1/runs/{id}/route", &["/v1/runs/{id}/route"]),
    ("/v1/run-series", &["/v1/run-series/{/id}"]),
    ("/v1/run-series/{id}/regulars", &["/v1/run-series/{id}"]),
    ("/v1/signups/{id}/friend", &["/v1/friend-places/{/token}"]),
    ("/v1/match-requests", &["/v1/match-requests/{/id}"]),
    ("/v1/me/bars", &["/v1/me/bars/{/id}"]),
    ("/v1/facilitator-applications", &["/v1/facilitator-applications/{/id}"]),
    ("/v1/reports", &["/v1/moderation/reports/{/id}"]),
    ("/v1/appeals", &["/v1/moderation/appeals/{/id}"]),
    ("/v1/moderation/sanctions", &["/v1/moderation/sanctions/{/id}"]),
];

/// Where the thing is that this answer tells of; none for any other status than 201.
pub fn of_created(request: &HttpRequest, status: u16, body: &[u8]) -> Option<String> {
    if status != StatusCode::CREATED.as_u16() {
        return None;
    }
    let pattern = request.match_pattern()?;
    let (_, addresses) = CREATED.iter().find(|(route, _)| *route == pattern)?;
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    addresses.iter().find_map(|address| filled(address, request, &body))
}

fn filled(address: &str, request: &HttpRequest, body: &Value) -> Option<String> {
    let mut location = String::new();
    for segment in address.split_inclusive('}') {
        let (text, name) = segment.split_once('{').unwrap_or((segment, ""));
        location.push_str(text);
        if let Some(name) = name.strip_suffix('}') {
            let value = if name.starts_with('/') {
                body.pointer(name).and_then(Value::as_str)?
            } else {
                request.match_info().get(name)?
            };
            let is_plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            location.push_str(Some(value).filter(|_| is_plain)?);
        }
    }
    Some(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_that_answers_201_has_an_address() {
        let description: Value = serde_json::from_str(crate::http::api_json().unwrap()).unwrap();
        let mut routes = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            if methods.as_object().unwrap().values().any(|operation| operation["responses"]["201"].is_object()) {
                routes.push(path.as_str());
            }
        }
        let mut known: Vec<&str> = CREATED.iter().map(|(route, _)| *route).collect();
        routes.sort_unstable();
        known.sort_unstable();
        assert_eq!(routes, known);
    }
}
