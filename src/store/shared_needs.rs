//! Access needs that people let the facilitators of a run see, each with its sign-up. A row that is not there says nothing.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::{runs, shared_access_needs, signups},
    sql_types::Json,
};
use crate::{clock::Instant, domain::run::RunStatus, error::Result, id::Id};

/// The codes that are shared with a sign-up, in the order in which the person gave them.
pub fn of_signup(conn: &mut Conn, signup: Id) -> Result<Vec<String>> {
    let found = shared_access_needs::table.find(signup).select(shared_access_needs::needs);
    Ok(found.first::<Json<Vec<String>>>(conn).optional()?.map(|needs| needs.0).unwrap_or_default())
}

/// Keeps what is shared with a sign-up, in place of what was; an empty list leaves no row.
pub fn put(tx: &mut Tx<'_>, _locked: &RunLocked, signup: Id, needs: Vec<String>) -> Result<()> {
    forget(tx, signup)?;
    if !needs.is_empty() {
        let row = (shared_access_needs::signup_id.eq(signup), shared_access_needs::needs.eq(Json(needs)));
        diesel::insert_into(shared_access_needs::table).values(row).execute(&mut **tx)?;
    }
    Ok(())
}

/// Forgets what was shared with a sign-up.
pub fn forget(tx: &mut Tx<'_>, signup: Id) -> Result<()> {
    diesel::delete(shared_access_needs::table.find(signup)).execute(&mut **tx)?;
    Ok(())
}

/// Forgets what was shared on runs that were cancelled or ended at `before` or earlier; returns how many sign-ups it was.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    let over: Vec<Id> = shared_access_needs::table
        .inner_join(signups::table.on(signups::id.eq(shared_access_needs::signup_id)))
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(runs::ends_at.le(before).or(runs::status.eq(RunStatus::Cancelled)))
        .select(shared_access_needs::signup_id)
        .load(&mut **tx)?;
    for some in over.chunks(1_000) {
        let gone = shared_access_needs::table.filter(shared_access_needs::signup_id.eq_any(some));
        diesel::delete(gone).execute(&mut **tx)?;
    }
    Ok(over.len())
}
