//! What was asked for with an address and waits for the worker: rows that look alike whether or not there is an account.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    schema::address_requests as requests,
};
use crate::{clock::Instant, domain::address::AddressRequestKind, error::Result, id::Id};

/// A request as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = requests)]
pub struct AddressRequest {
    pub id: Id,
    pub kind: AddressRequestKind,
    /// The keyed hash of the address.
    pub address_hash: String,
    /// The block that was made with it, for a block.
    pub block_id: Option<Id>,
    pub created_at: Instant,
    /// When the worker looks at it.
    pub due_at: Instant,
}

/// Keeps a request.
pub fn insert(tx: &mut Tx<'_>, request: &AddressRequest) -> Result<()> {
    diesel::insert_into(requests::table).values(request).execute(&mut **tx)?;
    Ok(())
}

/// How many wait.
pub fn count(conn: &mut Conn) -> Result<i64> {
    Ok(requests::table.count().get_result(conn)?)
}

/// The first requests that are due at `now`, the longest due first.
pub fn due(conn: &mut Conn, now: Instant, limit: i64) -> Result<Vec<AddressRequest>> {
    Ok(requests::table
        .filter(requests::due_at.le(now))
        .order((requests::due_at, requests::id))
        .limit(limit)
        .select(AddressRequest::as_select())
        .load(conn)?)
}

/// Takes a request out; says whether this caller was the one who did.
pub fn take(tx: &mut Tx<'_>, id: Id) -> Result<bool> {
    Ok(diesel::delete(requests::table.find(id)).execute(&mut **tx)? > 0)
}

/// Lets a request wait until `until`.
pub fn put_off(tx: &mut Tx<'_>, id: Id, until: Instant) -> Result<()> {
    diesel::update(requests::table.find(id)).set(requests::due_at.eq(until)).execute(&mut **tx)?;
    Ok(())
}

/// Forgets requests for mail that were made before `before`: nobody waits for that mail any more. Blocks stay.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(
        requests::table.filter(requests::created_at.lt(before)).filter(requests::kind.ne(AddressRequestKind::Block)),
    )
    .execute(&mut **tx)?)
}
