//! The worker: takes the steps that time brings, then delivers what the outbox holds. [`tick`] does both once, so that
//! whoever embeds the library can drive it by a clock of their own.

mod delivery;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{app::App, error::Result, service::housekeeping};

pub use delivery::deliver;

/// How long the worker sleeps when nothing rings.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds between two times of forgetting.
const FORGET_EVERY: u64 = 600;

/// Takes every due step and delivers every due mail once; returns how many of both there were.
pub async fn tick(app: &Arc<App>) -> Result<usize> {
    let (db, policy, now) = (app.db.clone(), app.config.policy.clone(), app.clock.now());
    let steps = blocking(move || housekeeping::tick(&db, &policy, now)).await?;
    Ok(steps + deliver(app).await?)
}

/// Works until it is told to stop, finishing what is under way.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut round: u64 = 0;
    while !stop.is_cancelled() {
        if let Err(error) = tick(&app).await {
            tracing::warn!(%error, "the worker has to wait");
        }
        if round % FORGET_EVERY == 0 {
            let (db, policy, now) = (app.db.clone(), app.config.policy.clone(), app.clock.now());
            if let Err(error) = blocking(move || housekeeping::forget(&db, &policy, now)).await {
                tracing::warn!(%error, "forgetting has to wait");
            }
        }
        round += 1;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
            () = app.mail_waits.notified() => {}
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|fault| Err(anyhow::Error::new(fault).context("the worker's thread").into()))
}
