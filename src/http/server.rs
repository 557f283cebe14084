//! The server: a listener handed in, every route on it, a graceful stop.

use std::{net::TcpListener, num::NonZeroUsize, sync::Arc, time::Duration};

use actix_web::{App as ActixApp, HttpServer, dev::Server, middleware as actix, web};
use tracing_actix_web::TracingLogger;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    middleware::{self, FloodGate, QuietSpan},
    paths,
    routes::DOCS,
};
use crate::app::App;

/// Longer than the idle connections of the usual proxies, which would otherwise send into a closing one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Seconds that requests under way get when the server stops.
const GRACE_S: u64 = 20;

/// Starts serving on `listener` with this many worker threads; the handle in the returned server stops it gracefully. The
/// caller handles signals.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(app: Arc<App>, listener: TcpListener, workers: NonZeroUsize) -> std::io::Result<Server> {
    let state = web::Data::from(app.clone());
    let gate = web::Data::new(FloodGate::new(app.config.rate_limits));
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(state.clone())
            .app_data(gate.clone())
            .wrap(actix::from_fn(paths::head_as_get))
            .wrap(actix::Compress::default())
            .wrap(actix::from_fn(middleware::flood))
            .wrap(actix::from_fn(middleware::headers))
            .wrap(TracingLogger::<QuietSpan>::new())
            // The outermost, so that routes and log lines see the path as it is served.
            .wrap(actix::from_fn(paths::without_extra_slashes))
            .configure(super::routes)
            .configure(super::pages_and_health)
            .service(SwaggerUi::new(DOCS).config(Config::from("/openapi.json")))
            .default_service(web::to(paths::fallback))
    })
    .workers(workers.get())
    .disable_signals()
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(GRACE_S)
    .listen(listener)?
    .run();
    app.set_ready(true);
    Ok(server)
}
