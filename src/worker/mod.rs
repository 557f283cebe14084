//! The worker: takes the steps that time brings, and delivers what the outbox holds. [`tick`] does both once, so that
//! whoever embeds the library can drive it by a clock of their own; [`run`] does both for good, side by side, so that a
//! dead mail server holds up nothing but mail.

mod alerts;
mod delivery;
mod slots;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use self::{delivery::keep_delivering, slots::Slots};
use crate::{
    app::App,
    clock::Instant,
    error::Result,
    service::{address_requests, housekeeping},
    store::outbox::{self, Lane},
};

pub use delivery::deliver;

/// How long the worker sleeps when nothing rings.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds of housekeeping between two times of forgetting.
const FORGET_EVERY: u64 = 600;
/// Rounds between two looks at what match requests have changed, well within the time for which changes are kept.
const KEEP_UP_EVERY: u64 = 60;

/// Takes every due step and delivers every due mail once; returns how many of both there were. What was asked for with
/// an address is answered at once: its random pause hides the worker from callers who measure, and here are none.
pub async fn tick(app: &Arc<App>) -> Result<usize> {
    let pauses_end = app.clock.now().plus_seconds(address_requests::PAUSE_MAX_S);
    let done = take_steps(app, pauses_end).await? + deliver(app).await?;
    app.db.own_changes().all_followed().await;
    Ok(done)
}

/// Works until it is told to stop, finishing what is under way.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let slots = Arc::new(Slots::default());
    tokio::join!(
        run_scheduler(&app, &stop),
        keep_delivering(&app, Lane::Ordinary, &slots, &stop),
        keep_delivering(&app, Lane::Hung, &slots, &stop)
    );
}

async fn run_scheduler(app: &Arc<App>, stop: &CancellationToken) {
    let (mut round, mut outages) = (0_u64, app.db.outages());
    while !stop.is_cancelled() {
        if app.db.outages() != outages {
            outages = app.db.outages();
            app.wishes.start_afresh();
        }
        match take_steps(app, app.clock.now()).await {
            Ok(0) => {}
            Ok(_) => app.mail_waits.notify_one(),
            Err(error) => tracing::warn!(%error, "the housekeeping has to wait"),
        }
        if round.is_multiple_of(KEEP_UP_EVERY) {
            let looking = app.clone();
            if let Err(error) =
                app.db.on_blocking_thread(move || looking.db.read_here(|conn| looking.wishes.keep_up(conn))).await
            {
                tracing::warn!(%error, "the match requests have to wait");
            }
        }
        if round.is_multiple_of(FORGET_EVERY) {
            let (db, policy, now) = (app.db.clone(), app.config.policy.clone(), app.clock.now());
            if let Err(error) = app.db.on_blocking_thread(move || housekeeping::forget(&db, &policy, now)).await {
                tracing::warn!(%error, "forgetting has to wait");
            }
        }
        round += 1;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Takes the due steps, and answers what was asked for with an address and has waited until `pauses_end`.
async fn take_steps(app: &Arc<App>, pauses_end: Instant) -> Result<usize> {
    let (db, policy, now) = (app.db.clone(), app.config.policy.clone(), app.clock.now());
    let steps = app.db.on_blocking_thread(move || {
        db.write_here(|tx| outbox::bound_waits(tx, now))?;
        housekeeping::tick(&db, &policy, now)
    });
    let mut done = steps.await?;
    let asked = app.clone();
    let answered = app.db.on_blocking_thread(move || {
        address_requests::decide_due(&asked.db, &asked.addresses, &asked.config.policy, pauses_end, now)
    });
    done += answered.await?;
    // After the housekeeping, which may have made dates of series.
    let looking = app.clone();
    Ok(done + app.db.on_blocking_thread(move || alerts::look(&looking)).await?)
}
