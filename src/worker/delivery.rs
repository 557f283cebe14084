//! From the outbox to the mail server: claim under a lease, write, send, settle. A dead mail server is nobody's fault
//! but its own: parcels wait, longer each time, and requests never notice.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::slots::{QUICK_FOR, Slot, Slots};
use crate::{
    app::App,
    clock::Instant,
    domain::outbox::Setback,
    error::Result,
    mail::{Notice, Outgoing, SendFailure},
    service::{alerts, letters::Addressed},
    store::{
        Tx,
        outbox::{self, Fate, Lane, Parcel},
    },
};

/// Longest time that one try may take, from the claim to the mail server's last answer.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);
/// Seconds that a claim lasts: longer than a try with the note of what became of it, and no longer, since that is how long
/// a mail waits after a crash.
const LEASE_S: i64 = 75;
const _: () = assert!(LEASE_S > 60 + 10 && LEASE_S <= 85);
/// How long the worker sleeps when nothing rings.
const PAUSE: Duration = Duration::from_secs(1);
/// How long mails under way get when the worker is told to stop.
const GRACE: Duration = Duration::from_secs(15);
/// How long it may take to give back those that are not done by then, so that they need not wait for the end of their lease.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Delivers what is due, until nothing is; returns how many parcels were settled.
pub async fn deliver(app: &Arc<App>) -> Result<usize> {
    let slots = Arc::new(Slots::default());
    let mut settled = 0;
    loop {
        let (ordinary, hung) = tokio::join!(drain(app, Lane::Ordinary, &slots), drain(app, Lane::Hung, &slots));
        match ordinary? + hung? {
            0 => return Ok(settled),
            more => settled += more,
        }
    }
}

async fn drain(app: &Arc<App>, lane: Lane, slots: &Arc<Slots>) -> Result<usize> {
    let (mut under_way, mut settled, never) = (JoinSet::new(), 0, CancellationToken::new());
    loop {
        let more = start_due(app, lane, slots.take(lane).await, &mut under_way, &never).await?;
        let is_over = more == 0 && under_way.is_empty();
        if more == 0 {
            while let Some(done) = under_way.join_next().await {
                settled += usize::from(done.unwrap_or(Ok(false))?);
            }
        }
        if is_over {
            return Ok(settled);
        }
    }
}

/// Delivers the mails of one lane until it is told to stop, finishing what is under way.
pub(super) async fn keep_delivering(app: &Arc<App>, lane: Lane, slots: &Arc<Slots>, stop: &CancellationToken) {
    let (mut under_way, give_up) = (JoinSet::new(), CancellationToken::new());
    while !stop.is_cancelled() {
        let free = tokio::select! {
            free = slots.take(lane) => free,
            () = stop.cancelled() => break,
        };
        match start_due(app, lane, free, &mut under_way, &give_up).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "the mail has to wait"),
        }
        while let Some(done) = under_way.try_join_next() {
            tell_failure(done);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
            // One lane listens, since only one is woken: what is new is ordinary.
            () = app.mail_waits.notified(), if lane == Lane::Ordinary => {}
        }
    }
    let hurry = async {
        tokio::time::sleep(GRACE).await;
        give_up.cancel();
        tokio::time::sleep(RELEASE_TIMEOUT).await;
    };
    let finish = async {
        while let Some(done) = under_way.join_next().await {
            tell_failure(done);
        }
    };
    tokio::select! {
        () = finish => {}
        () = hurry => {}
    }
}

fn tell_failure(done: Result<Result<bool>, tokio::task::JoinError>) {
    match done {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "it could not be noted what became of a mail"),
        Err(error) => tracing::error!(%error, "a delivery broke off"),
    }
}

/// Claims as many due parcels as there are slots and starts to deliver each; returns how many.
async fn start_due(
    app: &Arc<App>,
    lane: Lane,
    free: Vec<Slot>,
    under_way: &mut JoinSet<Result<bool>>,
    give_up: &CancellationToken,
) -> Result<usize> {
    let (now, many) = (app.clock.now(), i64::try_from(free.len()).unwrap_or(1));
    let claimed = app.db.write(move |tx| outbox::claim(tx, lane, now, many, LEASE_S)).await?;
    let started = claimed.len();
    for (parcel, slot) in claimed.into_iter().zip(free) {
        under_way.spawn(handle(app.clone(), parcel, slot, give_up.clone()));
    }
    Ok(started)
}

async fn handle(app: Arc<App>, parcel: Parcel, mut slot: Slot, give_up: CancellationToken) -> Result<bool> {
    let fate = tokio::select! {
        fate = attempt(&app, &parcel, &mut slot) => fate,
        () = tokio::time::sleep(TRY_TIMEOUT) => {
            Fate::Later(Setback::Hung, "the mail server takes too long".to_owned())
        }
        () = give_up.cancelled() => Fate::Released,
    };
    tell(&parcel, &fate);
    let now = app.clock.now();
    let settled = app.db.write(move |tx| {
        if matches!((&fate, &parcel.notice.0), (Fate::Sent, Notice::RunsFound { .. })) {
            alerts::left(tx, parcel.account_id, now)?;
        }
        outbox::settle(tx, &parcel, &fate, now)
    });
    // The slot is held until then, so that not more is under way than there are slots.
    let settled = settled.await;
    drop(slot);
    settled
}

fn tell(parcel: &Parcel, fate: &Fate) {
    let (mail, kind) = (parcel.id, &parcel.kind);
    match fate {
        Fate::Dead(why) => tracing::error!(%mail, kind, why, "a mail cannot be delivered"),
        // Told once for all mails, where the server's answer was read.
        Fate::Later(Setback::RefusedUs, why) => tracing::debug!(%mail, kind, why, "a mail has to wait"),
        Fate::Later(_, why) => tracing::warn!(%mail, kind, why, "a mail has to wait"),
        Fate::Sent | Fate::Dropped | Fate::Aside | Fate::Released => {
            tracing::debug!(%mail, kind, ?fate, "mail settled");
        }
    }
}

async fn attempt(app: &Arc<App>, parcel: &Parcel, slot: &mut Slot) -> Fate {
    let (writer, due) = (app.clone(), parcel.clone());
    let now = app.clock.now();
    let composed = app.db.write(move |tx: &mut Tx<'_>| writer.desk.compose(tx, &due, now)).await;
    let addressed = match composed {
        Ok(Some(addressed)) => addressed,
        Ok(None) => return Fate::Dropped,
        Err(error) => return Fate::Later(Setback::PutOff, format!("it could not be written: {error}")),
    };
    let domain = addressed.to_address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    if slot.is_closed_to(&domain) {
        return Fate::Aside;
    }
    let outgoing = match outgoing(app, parcel, addressed, now) {
        Ok(outgoing) => outgoing,
        Err(error) => return Fate::Later(Setback::PutOff, format!("it could not be rendered: {error}")),
    };
    fate(app, send(app, &outgoing, &domain, slot).await)
}

/// Sends, and makes room for others when that takes long.
async fn send(app: &App, mail: &Outgoing, domain: &str, slot: &mut Slot) -> Result<(), SendFailure> {
    let mut sending = pin!(app.transport.send(mail));
    if slot.is_quick() {
        if let Ok(sent) = tokio::time::timeout(QUICK_FOR, &mut sending).await {
            return sent;
        }
        tokio::select! {
            biased;
            sent = &mut sending => return sent,
            () = slot.become_slow(domain) => {}
        }
    }
    sending.await
}

fn fate(app: &App, sent: Result<(), SendFailure>) -> Fate {
    match sent {
        Ok(()) => Fate::Sent,
        Err(SendFailure::Permanent(why)) => Fate::Dead(why),
        Err(SendFailure::Temporary(why)) => Fate::Later(Setback::PutOff, why),
        Err(SendFailure::Hung(why)) => Fate::Later(Setback::Hung, why),
        Err(SendFailure::RefusedUs { cause, words }) => {
            if app.refusals.is_news(&cause, app.clock.now().timestamp()) {
                tracing::error!(
                    cause,
                    words,
                    "the mail server refuses this installation: mails wait for up to two days; when it is mended, \
                     `sidebyside outbox retry` sends them at once"
                );
            }
            Fate::Later(Setback::RefusedUs, format!("{cause}: {words}"))
        }
    }
}

/// The same parcel always becomes the same message, but for its `Date`: its id is in the Message-ID.
fn outgoing(
    app: &App,
    parcel: &Parcel,
    addressed: Addressed,
    now: Instant,
) -> Result<Outgoing, crate::mail::RenderError> {
    let rendered = app.desk.templates.render(&addressed.letter)?;
    Ok(Outgoing {
        message_id: format!("{}@{}", parcel.id, app.config.mail_host()),
        kind: parcel.notice.name(),
        date: now.timestamp(),
        promised: parcel.created_at.timestamp(),
        from: app.config.mail_from.clone(),
        to_address: addressed.to_address,
        to_name: addressed.to_name,
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
        auto_submitted: true,
        list_unsubscribe: addressed.unsubscribe,
        reply_to: addressed.reply_to,
    })
}
