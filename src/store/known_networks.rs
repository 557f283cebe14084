//! Networks from which somebody has logged in to an account: keyed hashes of address and network together.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    dialect,
    schema::known_networks as networks,
};
use crate::{clock::Instant, error::Result, id::Id};

/// Whether somebody has logged in with this address from this network since then.
pub fn is_known(conn: &mut Conn, key: &str, since: Instant) -> Result<bool> {
    let known: i64 = networks::table
        .filter(networks::key.eq(key))
        .filter(networks::last_used_at.ge(since))
        .count()
        .get_result(conn)?;
    Ok(known > 0)
}

/// Networks that are kept of one account, the newest. A person has a few; a client with an IPv6 prefix has thousands.
pub const PER_ACCOUNT_LIMIT: i64 = 50;

/// Notes that somebody logged in to an account, and forgets the networks beyond [`PER_ACCOUNT_LIMIT`].
pub fn note(tx: &mut Tx<'_>, key: &str, account: Id, now: Instant) -> Result<()> {
    let row = (networks::key.eq(key), networks::account_id.eq(account), networks::last_used_at.eq(now));
    dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(networks::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    diesel::update(networks::table.find(key))
        .set((networks::account_id.eq(account), networks::last_used_at.eq(now)))
        .execute(&mut **tx)?;
    let beyond: Vec<String> = networks::table
        .filter(networks::account_id.eq(account))
        .order(networks::last_used_at.desc())
        .offset(PER_ACCOUNT_LIMIT)
        .limit(PER_ACCOUNT_LIMIT)
        .select(networks::key)
        .load(&mut **tx)?;
    if !beyond.is_empty() {
        diesel::delete(networks::table.filter(networks::key.eq_any(beyond))).execute(&mut **tx)?;
    }
    Ok(())
}

/// Forgets networks that were last used before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(networks::table.filter(networks::last_used_at.lt(before))).execute(&mut **tx)?)
}
