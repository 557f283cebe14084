//! Gathered mails: a mail of whose topic another waits joins it, and one of whose topic several went out lately waits.
//!
//! Who is first to promise the next mail of a topic is decided by the unique key of the row that comes after the newest
//! one, so that acts at the same moment join each other as well.

use diesel::prelude::*;

use super::{
    db::Tx,
    outbox::{self, Parcel, Promise},
    runs,
    schema::outbox as rows,
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        gathering::{AT_ONCE, COUNTED_HOURS, Lately, due},
        outbox::OutboxStatus,
    },
    error::Result,
};

/// Newest mails of a topic that are looked at: more than any that can go out in the time that counts.
const LOOKED_AT: i64 = 100;
/// Times that a promise is tried again when others of its topic are made at the same moment.
const TRIES: usize = 3;

/// Promises a mail of a topic: it joins one that waits unsent, goes out now, or waits for others.
pub(super) fn promise(tx: &mut Tx<'_>, promise: Promise, topic: &str, now: Instant) -> Result<bool> {
    let mut last_due = now;
    for _ in 0..TRIES {
        let lately = newest(tx, topic)?;
        // A mail with a key of its own is one of a kind: it may wait, and joins nothing.
        if promise.once.is_none() && join(tx, &lately, &promise)? {
            return Ok(true);
        }
        // With how many there are: ids of one millisecond need not sort in the order in which they were made.
        let after = lately.first().map_or_else(|| "none".to_owned(), |newest| newest.id.to_string());
        let key = promise.once.clone().unwrap_or_else(|| format!("after:{topic}:{after}:{}", lately.len()));
        last_due = next_due(tx, &lately, &promise, now)?;
        let promised = outbox::insert(tx, promise.clone().once(key).not_before(last_due).on(topic), now)?;
        if promised || promise.once.is_some() {
            return Ok(promised);
        }
    }
    outbox::insert(tx, promise.not_before(last_due).on(topic), now)
}

fn newest(tx: &mut Tx<'_>, topic: &str) -> Result<Vec<Parcel>> {
    let query = rows::table.filter(rows::topic.eq(topic)).order(rows::id.desc()).limit(LOOKED_AT);
    Ok(query.select(Parcel::as_select()).load(&mut **tx)?)
}

/// Joins the mail that waits and that nobody has taken up, if there is one.
fn join(tx: &mut Tx<'_>, lately: &[Parcel], promise: &Promise) -> Result<bool> {
    let waits = |parcel: &&Parcel| parcel.status == OutboxStatus::Queued && parcel.fence == 0;
    let Some(waiting) = lately.iter().find(waits) else { return Ok(false) };
    let joined = waiting.notice.0.clone().joined_by(promise.notice.clone());
    // Whoever takes it up at this moment is waited for; it is too late then.
    let changed = diesel::update(rows::table.find(waiting.id))
        .filter(rows::status.eq(OutboxStatus::Queued))
        .filter(rows::fence.eq(0))
        .set((
            rows::notice.eq(Json(joined)),
            rows::signup_id.eq(promise.signup),
            rows::urgent.eq(waiting.urgent || promise.urgent),
        ))
        .execute(&mut **tx)?;
    Ok(changed > 0)
}

fn next_due(tx: &mut Tx<'_>, lately: &[Parcel], promise: &Promise, now: Instant) -> Result<Instant> {
    let since = now.plus_hours(-COUNTED_HOURS);
    let goes_out = |parcel: &&Parcel| parcel.status != OutboxStatus::Dropped && parcel.created_at > since;
    let out: Vec<&Parcel> = lately.iter().filter(goes_out).collect();
    // What goes out at once needs no more statements.
    let run = promise.run.filter(|_| out.len() >= AT_ONCE);
    let run = run.map(|run| runs::find(tx, run)).transpose()?.flatten();
    let lately = Lately {
        mails: out.len(),
        newest: out.iter().map(|parcel| parcel.not_before).max(),
        starts_at: run.map(|run| run.starts_at),
    };
    let due = due(promise.notice.patience(), lately, now);
    Ok(promise.not_before.map_or(due, |wanted| wanted.max(due)))
}
