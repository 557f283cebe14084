//! From the outbox to the mail server: claim under a lease, write, send, settle. A dead mail server is nobody's fault
//! but its own: parcels wait, longer each time, and requests never notice.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::{
    app::App,
    clock::Instant,
    error::Result,
    mail::{Notice, Outgoing, SendFailure},
    service::{alerts, letters::Addressed},
    store::{
        Tx,
        outbox::{self, Fate, Parcel},
    },
};

/// Parcels claimed at a time.
const BATCH: i64 = 8;
/// Letters under way at a time; the transport has its own bound as well.
const AT_A_TIME: usize = 8;
/// Seconds a claim lasts: what all lanes' batches can need at most when every mail hangs until the transport's limit, and
/// no longer, since that is how long a mail waits after a crash.
const LEASE_S: i64 = 150;

/// Delivers what is due, batch after batch; returns how many parcels were settled.
pub async fn deliver(app: &Arc<App>) -> Result<usize> {
    let mut settled = 0;
    while let Some(more) = deliver_batch(app).await? {
        settled += more;
    }
    Ok(settled)
}

/// Delivers one batch; none when nothing is due.
pub async fn deliver_batch(app: &Arc<App>) -> Result<Option<usize>> {
    let now = app.clock.now();
    let claimed = app.db.write(move |tx| outbox::claim(tx, now, BATCH, LEASE_S)).await?;
    if claimed.is_empty() {
        return Ok(None);
    }
    let fates: Vec<Result<bool>> =
        stream::iter(claimed).map(|parcel| handle(app.clone(), parcel)).buffer_unordered(AT_A_TIME).collect().await;
    let mut settled = 0;
    for fate in fates {
        settled += usize::from(fate?);
    }
    Ok(Some(settled))
}

async fn handle(app: Arc<App>, parcel: Parcel) -> Result<bool> {
    let fate = send(&app, &parcel).await;
    match &fate {
        Fate::Dead(why) => tracing::error!(mail = %parcel.id, kind = parcel.kind, why, "a mail cannot be delivered"),
        Fate::Later(why) => tracing::warn!(mail = %parcel.id, kind = parcel.kind, why, "a mail has to wait"),
        Fate::Sent | Fate::Dropped => tracing::debug!(mail = %parcel.id, kind = parcel.kind, ?fate, "mail settled"),
    }
    let now = app.clock.now();
    let settled = app.db.write(move |tx| {
        if matches!((&fate, &parcel.notice.0), (Fate::Sent, Notice::RunsFound { .. })) {
            alerts::left(tx, parcel.account_id, now)?;
        }
        outbox::settle(tx, &parcel, &fate, now)
    });
    settled.await
}

async fn send(app: &Arc<App>, parcel: &Parcel) -> Fate {
    let (writer, due) = (app.clone(), parcel.clone());
    let now = app.clock.now();
    let composed = app.db.write(move |tx: &mut Tx<'_>| writer.desk.compose(tx, &due, now)).await;
    let addressed = match composed {
        Ok(Some(addressed)) => addressed,
        Ok(None) => return Fate::Dropped,
        Err(error) => return Fate::Later(format!("it could not be written: {error}")),
    };
    let outgoing = match outgoing(app, parcel, addressed) {
        Ok(outgoing) => outgoing,
        Err(error) => return Fate::Later(format!("it could not be rendered: {error}")),
    };
    match app.transport.send(&outgoing).await {
        Ok(()) => Fate::Sent,
        Err(SendFailure::Permanent(why)) => Fate::Dead(why),
        Err(SendFailure::Temporary(why)) => Fate::Later(why),
    }
}

/// The same parcel always becomes the same message: its id is in the Message-ID, its promise's time in the Date.
fn outgoing(app: &App, parcel: &Parcel, addressed: Addressed) -> Result<Outgoing, crate::mail::RenderError> {
    let rendered = app.desk.templates.render(&addressed.letter)?;
    let date: Instant = parcel.created_at;
    Ok(Outgoing {
        message_id: format!("{}@{}", parcel.id, app.config.mail_host()),
        kind: parcel.notice.name(),
        date: date.timestamp(),
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
