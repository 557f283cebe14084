//! Counters for rate limits that must hold across processes: log-ins, resets, mails to one address.

use diesel::prelude::*;

use super::{db::Tx, dialect, schema::rate_counters as counters};
use crate::{clock::Instant, error::Result};

/// Counts one more hit on a bucket in the window that began at `window_start`, and returns how many there are now.
pub fn hit(tx: &mut Tx<'_>, bucket: &str, window_start: Instant) -> Result<i32> {
    let row = (counters::bucket.eq(bucket), counters::window_start.eq(window_start), counters::hits.eq(0));
    dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(counters::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    diesel::update(counters::table.find((bucket, window_start)))
        .set(counters::hits.eq(counters::hits + 1))
        .execute(&mut **tx)?;
    Ok(counters::table.find((bucket, window_start)).select(counters::hits).first(&mut **tx)?)
}

/// Forgets what was counted in a bucket.
pub fn clear(tx: &mut Tx<'_>, bucket: &str) -> Result<()> {
    diesel::delete(counters::table.filter(counters::bucket.eq(bucket))).execute(&mut **tx)?;
    Ok(())
}

/// Forgets windows that began before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(counters::table.filter(counters::window_start.lt(before))).execute(&mut **tx)?)
}
