//! `serve` and `worker`: start, say what is where, stop gracefully.

use std::{fs::File, net::TcpListener, num::NonZeroUsize, path::Path, sync::Arc};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    clock::Clock,
    config::Config,
    http::{connections::raise_descriptor_limit, server},
    store::{accounts, db::Target},
    worker,
};

/// Serves until it is told to stop; with a worker unless that runs elsewhere.
pub fn serve(config: Config, with_worker: bool) -> Result<bool> {
    let _only_one = match &config.database {
        Target::Sqlite(path) => Some(only_one_server(path)?),
        Target::Postgres(_) => None,
    };
    let descriptors = raise_descriptor_limit();
    let listener =
        TcpListener::bind(config.bind).with_context(|| format!("cannot listen on {} (BIND)", config.bind))?;
    let app = Arc::new(App::build(config, Clock::system())?);
    announce(&app, with_worker, descriptors)?;
    app.follow_runs()?;
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    actix_web::rt::System::new().block_on(async move {
        let server = server::start(app.clone(), listener, workers)?;
        let handle = server.handle();
        let stop = CancellationToken::new();
        let working = with_worker.then(|| tokio::spawn(worker::run(app.clone(), stop.clone())));
        let serving = tokio::spawn(server);
        told_to_stop().await?;
        tracing::info!("stopping: no new requests, those under way are finished");
        app.set_ready(false);
        stop.cancel();
        handle.stop(true).await;
        serving.await.context("the server's task")??;
        if let Some(working) = working {
            working.await.context("the worker's task")?;
        }
        tracing::info!("stopped");
        Ok(true)
    })
}

/// Works without serving until it is told to stop.
pub fn work(config: Config) -> Result<bool> {
    let app = Arc::new(App::build(config, Clock::system())?);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async move {
        let stop = CancellationToken::new();
        tracing::info!("working the outbox and the reminders");
        let working = tokio::spawn(worker::run(app, stop.clone()));
        told_to_stop().await?;
        stop.cancel();
        working.await.context("the worker's task")?;
        Ok(true)
    })
}

async fn told_to_stop() -> Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// One SQLite file has one server: a second would answer from its own idea of who is writing.
fn only_one_server(database: &Path) -> Result<File> {
    let path = database.with_extension("serve.lock");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    file.try_lock().with_context(|| {
        format!(
            "another `sidebyside serve` is using {}: stop it first, or use PostgreSQL for several",
            database.display()
        )
    })?;
    Ok(file)
}

fn announce(app: &App, with_worker: bool, descriptors: u64) -> Result<()> {
    let config = &app.config;
    match &config.database {
        Target::Sqlite(path) => tracing::info!(file = %path.display(), "database: SQLite"),
        Target::Postgres(_) => tracing::info!("database: PostgreSQL"),
    }
    if config.smtp_url.is_some() {
        tracing::info!("mail: by SMTP");
    } else {
        tracing::info!(folder = %config.mail_dir.display(), "mail: written as .eml files (set SMTP_URL to send it)");
    }
    if !with_worker {
        tracing::info!("no worker here: `sidebyside worker` sends mails and reminders");
    }
    tracing::info!(open_files = descriptors, "limit of open files, from which that of connections follows");
    tracing::info!("listening on http://{}", config.bind);
    tracing::info!("the API is described at {}/docs", config.base_url);
    if app.db.read_here(accounts::count)? == 0 {
        tracing::info!(
            "nobody is here yet; next: echo 'a long pass phrase' | sidebyside create-admin --email you@example.org \
             (or `sidebyside demo` for an invented town)"
        );
    }
    Ok(())
}
