//! What every request passes: a request id, a log line without personal data, security headers, a flood limit.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use actix_web::{
    Error as ActixError, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::{AppData, Problem, extract::ClientIp};
use crate::error::Error;

/// Requests a second that one address may send for long.
const FLOOD_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests that one address may send at once.
const FLOOD_BURST: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// A span with method, route pattern and request id: never the path (it holds ids and tokens), the query (it holds
/// places) or the address.
pub struct QuietSpan;

impl RootSpanBuilder for QuietSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
        let id = request.extensions_request_id();
        tracing::info_span!(
            "request",
            method = %request.method(),
            route = %route,
            request_id = %id,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, ActixError>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.in_scope(|| tracing::info!(status = status.as_u16(), "request done"));
    }
}

trait WithRequestId {
    fn extensions_request_id(&self) -> String;
}

impl WithRequestId for ServiceRequest {
    fn extensions_request_id(&self) -> String {
        use actix_web::HttpMessage;
        self.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default()
    }
}

/// Puts the request id and the security headers on every answer.
pub async fn headers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    let id = request.extensions_request_id();
    let is_docs = request.path().starts_with("/docs");
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    let mut put = |name: &'static str, value: &'static str| {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    put("x-content-type-options", "nosniff");
    put("referrer-policy", "no-referrer");
    put("x-frame-options", "DENY");
    put(
        "content-security-policy",
        if is_docs {
            "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; \
             img-src 'self' data:; frame-ancestors 'none'"
        } else {
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
        },
    );
    Ok(response)
}

/// The flood limit of one process, by client address.
#[derive(Clone)]
pub struct FloodGate(Option<Arc<DefaultKeyedRateLimiter<IpAddr>>>);

impl FloodGate {
    /// A gate, or none where rate limits are off.
    pub fn new(on: bool) -> Self {
        let quota = Quota::per_second(FLOOD_PER_SECOND).allow_burst(FLOOD_BURST);
        Self(on.then(|| Arc::new(RateLimiter::keyed(quota))))
    }

    fn check(&self, address: IpAddr) -> Result<(), Error> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(&address).map_err(|refused| {
            let wait = refused.wait_time_from(governor::clock::DefaultClock::default().now());
            Error::Limited {
                policy: "requests",
                limit: FLOOD_PER_SECOND.get(),
                window_s: 1,
                retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1),
            }
        })
    }

    /// Forgets addresses that have been quiet.
    pub fn sweep(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
        }
    }
}

/// Turns floods away before anything is read.
pub async fn flood(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    use actix_web::web::Data;
    if let (Some(app), Some(gate)) = (request.app_data::<AppData>(), request.app_data::<Data<FloodGate>>()) {
        let forwarded = request.headers().get("X-Forwarded-For").and_then(|value| value.to_str().ok());
        let peer = request.peer_addr().map(|address| address.ip());
        let ClientIp(address) = ClientIp::of(peer, forwarded, |ip| app.config.trusts(ip));
        if let Err(limited) = gate.check(address) {
            let answer = Problem::from(limited).error_response();
            return Ok(request.into_response(answer).map_into_right_body());
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}
