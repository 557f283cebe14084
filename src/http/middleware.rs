//! What every request passes: a request id, a log line without personal data, security headers, a flood limit.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    Error as ActixError, ResponseError,
    body::MessageBody,
    dev::{RequestHead, ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

use super::{AppData, Problem, client_ip::ClientIp};
use crate::{error::Error, service::limits::client_network};

/// Requests a second that one address may send for long.
const FLOOD_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests that one address may send at once.
const FLOOD_BURST: NonZeroU32 = NonZeroU32::new(500).unwrap();
/// Buckets in which clients are counted, about 2 MB: a flood from one address shares its bucket with one in 65,535.
const FLOOD_BUCKETS: u16 = u16::MAX;
/// How often clients that have been quiet are forgotten.
const FLOOD_SWEEP: Duration = Duration::from_secs(60);

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

/// The flood limit of one process, by client: an IPv4 address or an IPv6 /64.
///
/// Clients share `FLOOD_BUCKETS` buckets by a keyed hash, so that the memory is bounded however many addresses call.
#[derive(Clone)]
pub struct RequestLimiter(Option<Arc<Buckets>>);

struct Buckets {
    limiter: DefaultKeyedRateLimiter<u16>,
    /// Keyed afresh in each process: nobody can choose addresses that share a bucket with somebody else's.
    hasher: RandomState,
}

impl RequestLimiter {
    /// A gate, or none where rate limits are off.
    pub fn new(on: bool) -> Self {
        let quota = Quota::per_second(FLOOD_PER_SECOND).allow_burst(FLOOD_BURST);
        let buckets = || Buckets { limiter: RateLimiter::keyed(quota), hasher: RandomState::new() };
        Self(on.then(|| Arc::new(buckets())))
    }

    /// Counts a request; those of monitors apart, so that a flood from their address does not hide that we are there.
    fn check(&self, address: IpAddr, is_monitor: bool) -> Result<(), Error> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        #[allow(clippy::cast_possible_truncation, reason = "the lower bits of a hash are a hash")]
        let bucket = buckets.hasher.hash_one((client_network(address), is_monitor)) as u16 % FLOOD_BUCKETS;
        buckets.limiter.check_key(&bucket).map_err(|refused| {
            let wait = refused.wait_time_from(governor::clock::DefaultClock::default().now());
            Error::Limited {
                policy: "requests",
                limit: FLOOD_PER_SECOND.get(),
                window_s: 1,
                retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1),
            }
        })
    }

    /// Forgets clients that have been quiet for `FLOOD_SWEEP`, again and again until nobody has the gate any more.
    pub async fn sweep_regularly(&self) {
        let Some(buckets) = self.0.as_ref().map(Arc::downgrade) else { return };
        loop {
            tokio::time::sleep(FLOOD_SWEEP).await;
            let Some(buckets) = buckets.upgrade() else { return };
            buckets.sweep();
        }
    }
}

impl Buckets {
    fn sweep(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// Path and query, in bytes, as other servers have it.
const URI_LIMIT: usize = 8 * 1024;
/// All headers together, in bytes: names and values.
const HEADERS_LIMIT: usize = 32 * 1024;

/// Refuses a head that is larger than any of ours: parsing one may take longer than answering it.
fn check_head(head: &RequestHead) -> Result<(), Problem> {
    let uri = head.uri.path_and_query().map_or(0, |both| both.as_str().len());
    if uri > URI_LIMIT {
        let words = format!("Path and query may have {URI_LIMIT} bytes together.");
        return Err(Problem::general(StatusCode::URI_TOO_LONG, "uri_too_long", words));
    }
    let headers: usize = head.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > HEADERS_LIMIT {
        let words = format!("All headers may have {HEADERS_LIMIT} bytes together.");
        return Err(Problem::general(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", words));
    }
    Ok(())
}

/// Turns floods and heads that are too large away before anything is read.
pub async fn flood(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, ActixError> {
    use actix_web::web::Data;
    if let (Some(app), Some(gate)) = (request.app_data::<AppData>(), request.app_data::<Data<RequestLimiter>>()) {
        let ClientIp(address) = ClientIp::of(request.head(), &app.config);
        let limited = gate.check(address, is_monitor(request.path())).map_err(Problem::from);
        if let Err(problem) = limited.and_then(|()| check_head(request.head())) {
            let answer = problem.error_response();
            return Ok(request.into_response(answer).map_into_right_body());
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

/// Whether a path is one that monitors ask for.
pub fn is_monitor(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn refusals(gate: &RequestLimiter, addresses: impl Iterator<Item = IpAddr>, is_monitor: bool) -> usize {
        addresses.filter(|address| gate.check(*address, is_monitor).is_err()).count()
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let gate = RequestLimiter::new(true);
        let network = |number: u16| {
            (0..2000_u16).map(move |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, last)))
        };
        assert!(refusals(&gate, network(1), false) > 1000, "a burst of 500 and 100 a second");
        assert_eq!(refusals(&gate, network(1).take(400), true), 0, "monitors are counted apart");
        assert_eq!(refusals(&gate, network(2).take(400), false), 0, "another network is another client");
    }

    #[test]
    fn flood_gate_keeps_a_bounded_number_of_clients() {
        let gate = RequestLimiter::new(true);
        let many = (0..300_000_u32).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + number)));
        assert_eq!(refusals(&gate, many, false), 0);
        let buckets = gate.0.unwrap();
        let kept = buckets.limiter.len();
        assert!((60_000..=usize::from(FLOOD_BUCKETS)).contains(&kept), "{kept} buckets");
        // A bucket that is full again counts as quiet, which takes hundredths of a second.
        while !buckets.limiter.is_empty() {
            buckets.sweep();
        }
    }
}
