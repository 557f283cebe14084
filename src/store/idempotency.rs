//! Answers by Idempotency-Key: the row goes in first, in the act's own transaction, so a twin waits for the outcome.

use diesel::prelude::*;

use super::{db::Tx, dialect, schema::idempotency_keys as keys};
use crate::{clock::Instant, error::Result, id::Id};

/// The answer that was given.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub etag: Option<String>,
}

/// What a key turned out to be.
#[derive(Debug)]
pub enum Begun {
    /// Ours now.
    First,
    /// The same request was answered before.
    Again(Answer),
    /// It was used for another request.
    OtherRequest,
}

/// Hours for which an answer is kept.
pub const KEPT_HOURS: i64 = 24;

/// Claims a key for a request with this fingerprint. A twin under way is waited for, at most two seconds.
pub fn begin(tx: &mut Tx<'_>, account: Id, key: &str, fingerprint: &str, now: Instant) -> Result<Begun> {
    dialect::wait_at_most_2s_for_locks(tx, true)?;
    let oldest = now.plus_hours(-KEPT_HOURS);
    diesel::delete(keys::table.find((account, key))).filter(keys::created_at.lt(oldest)).execute(&mut **tx)?;
    let row =
        (keys::account_id.eq(account), keys::key.eq(key), keys::fingerprint.eq(fingerprint), keys::created_at.eq(now));
    let inserted = dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(keys::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    dialect::wait_at_most_2s_for_locks(tx, false)?;
    if inserted == 1 {
        return Ok(Begun::First);
    }
    type Columns = (String, Option<i32>, Option<String>, Option<String>);
    let (known, status, body, etag): Columns = keys::table
        .find((account, key))
        .select((keys::fingerprint, keys::status, keys::body, keys::etag))
        .first(&mut **tx)?;
    if known != fingerprint {
        return Ok(Begun::OtherRequest);
    }
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    Ok(Begun::Again(Answer { status, body: body.unwrap_or_default(), etag }))
}

/// Keeps the answer with its key.
pub fn finish(tx: &mut Tx<'_>, account: Id, key: &str, answer: &Answer) -> Result<()> {
    diesel::update(keys::table.find((account, key)))
        .set((
            keys::status.eq(i32::from(answer.status)),
            keys::body.eq(&answer.body),
            keys::etag.eq(answer.etag.as_deref()),
        ))
        .execute(&mut **tx)?;
    Ok(())
}

/// Forgets answers given before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(keys::table.filter(keys::created_at.lt(before))).execute(&mut **tx)?)
}
