//! The server: a listener handed in, every route on it, a graceful stop.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_server::Server;
use actix_service::{ServiceFactory, apply_fn_factory, map_config};
use actix_web::{
    App as ActixApp, Error as ActixError,
    body::MessageBody,
    dev::{AppConfig, ServiceRequest, ServiceResponse},
    middleware as actix, web,
};
use tokio::net::TcpStream;
use tracing_actix_web::TracingLogger;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    AppData,
    connections::{self, Capacity, Connections, WatchedStream, connection},
    middleware::{self, QuietSpan, RequestLimiter},
    paths,
    routes::DOCS,
};
use crate::app::App;

/// Seconds that requests under way get when the server stops.
const GRACE_S: u64 = 20;
/// How long what a client sends is read and thrown away after an early answer: 8 MB at 22 Mbit/s.
const LINGER_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections that the system keeps until they are accepted; the standard library asks for 128.
const BACKLOG: i32 = 1024;

/// Starts serving on `listener` with this many worker threads; the handle in the returned server stops it gracefully. The
/// caller handles signals.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(app: Arc<App>, listener: TcpListener, workers: NonZeroUsize) -> std::io::Result<Server> {
    rustix::net::listen(&listener, BACKLOG)?;
    let capacity = Capacity::of_process(app.config.rate_limits);
    let connections = Connections::new(capacity);
    let gate = RequestLimiter::new(app.config.rate_limits);
    let swept = gate.clone();
    tokio::spawn(async move { swept.sweep_regularly().await });
    let gate = web::Data::new(gate);
    let builder = Server::build()
        .workers(workers.get())
        .max_concurrent_connections(capacity.accepted_per_worker(workers.get()))
        .disable_signals()
        .shutdown_timeout(GRACE_S);
    let stopping = builder.graceful_shutdown_signal();
    let state = web::Data::from(app.clone());
    let server = builder.listen("http", listener, move || {
        let stopping = stopping.clone();
        let stopped = move || {
            let signal = stopping.clone();
            async move { signal.notified().await }
        };
        let http = HttpService::build()
            .graceful_shutdown_signal(stopped)
            .keep_alive(connection::KEEP_ALIVE)
            .client_request_timeout(connection::HEAD_TIMEOUT)
            // A client that gets its answer early goes on sending for a while; hung up on, it would not see the answer.
            .client_disconnect_timeout(LINGER_TIMEOUT)
            .on_connect_ext(|stream: &WatchedStream, data| {
                data.insert(stream.connection().clone());
            })
            .finish(map_config(routes(state.clone(), gate.clone()), |()| AppConfig::default()));
        let (connections, app) = (connections.clone(), state.clone());
        apply_fn_factory(http, move |stream: TcpStream, http| {
            let peer = stream.peer_addr().ok();
            let address = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer: SocketAddr| peer.ip());
            let place = connections.admit(address, app.config.trusts(address));
            let serving = place.map(|place| {
                let stream = WatchedStream::new(stream, place.connection.clone());
                (actix_service::Service::call(http, (stream, Protocol::Http1, peer)), place)
            });
            async move {
                let Some((serving, place)) = serving else { return Err(DispatchError::DisconnectTimeout) };
                let done = place.connection.serve(serving).await;
                done.unwrap_or(Err(DispatchError::DisconnectTimeout))
            }
        })
    });
    let server = server?.run();
    app.set_ready(true);
    Ok(server)
}

/// The app of one worker: its state, what every request passes, and all routes.
fn routes(
    state: AppData,
    gate: web::Data<RequestLimiter>,
) -> ActixApp<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = ActixError,
        InitError = (),
    >,
> {
    ActixApp::new()
        .app_data(state)
        .app_data(gate)
        .wrap(actix::from_fn(paths::head_as_get))
        .wrap(actix::Compress::default())
        .wrap(actix::from_fn(middleware::flood))
        .wrap(actix::from_fn(connections::mark_work))
        .wrap(actix::from_fn(middleware::headers))
        .wrap(TracingLogger::<QuietSpan>::new())
        // The outermost, so that routes and log lines see the path as it is served.
        .wrap(actix::from_fn(paths::without_extra_slashes))
        .configure(super::routes)
        .configure(super::pages_and_health)
        .service(SwaggerUi::new(DOCS).config(Config::from("/openapi.json")))
        .default_service(web::to(paths::fallback))
}
