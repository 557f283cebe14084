//! Match requests as rows, and the areas that they have named lately.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    schema::{match_areas as areas, match_requests as requests},
    sql_types::Json,
};
use crate::{clock::Instant, domain::match_request::Wish, error::Result, id::Id};

/// A standing wish.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = requests, treat_none_as_null = true)]
pub struct MatchRequest {
    pub id: Id,
    pub account_id: Id,
    pub wish: Json<Wish>,
    pub created_at: Instant,
    pub expires_at: Instant,
    /// When its owner was told that it ends.
    pub warned_at: Option<Instant>,
}

/// Keeps a request.
pub fn insert(tx: &mut Tx<'_>, request: &MatchRequest) -> Result<()> {
    diesel::insert_into(requests::table).values(request).execute(&mut **tx)?;
    tx.touch_match_request(request.id);
    Ok(())
}

/// Writes every field of a request.
pub fn update(tx: &mut Tx<'_>, request: &MatchRequest) -> Result<()> {
    diesel::update(requests::table.find(request.id)).set(request).execute(&mut **tx)?;
    tx.touch_match_request(request.id);
    Ok(())
}

/// The request, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<MatchRequest>> {
    Ok(requests::table.find(id).select(MatchRequest::as_select()).first(conn).optional()?)
}

/// The requests with these ids.
pub fn of_ids(conn: &mut Conn, ids: &[Id]) -> Result<Vec<MatchRequest>> {
    Ok(requests::table.filter(requests::id.eq_any(ids)).select(MatchRequest::as_select()).load(conn)?)
}

/// The next requests by id after one.
pub fn stretch(conn: &mut Conn, after: Id, many: i64) -> Result<Vec<MatchRequest>> {
    Ok(requests::table
        .filter(requests::id.gt(after))
        .order(requests::id)
        .limit(many)
        .select(MatchRequest::as_select())
        .load(conn)?)
}

/// A person's standing requests, newest first, after `cursor`.
pub fn standing_of(
    conn: &mut Conn,
    account: Id,
    cursor: Option<Id>,
    limit: i64,
    now: Instant,
) -> Result<Vec<MatchRequest>> {
    let mut query = requests::table
        .filter(requests::account_id.eq(account))
        .filter(requests::expires_at.gt(now))
        .select(MatchRequest::as_select())
        .into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(requests::id.lt(cursor));
    }
    Ok(query.order(requests::id.desc()).limit(limit).load(conn)?)
}

/// Takes a request back; says whether it was there.
pub fn delete(tx: &mut Tx<'_>, id: Id) -> Result<bool> {
    tx.touch_match_request(id);
    Ok(diesel::delete(requests::table.find(id)).execute(&mut **tx)? > 0)
}

/// Takes all requests of a person back.
pub fn delete_of(tx: &mut Tx<'_>, account: Id) -> Result<()> {
    let ids: Vec<Id> = requests::table.filter(requests::account_id.eq(account)).select(requests::id).load(&mut **tx)?;
    for id in ids {
        delete(tx, id)?;
    }
    Ok(())
}

/// Forgets that a person was told that requests of theirs end.
pub fn forget_warnings(tx: &mut Tx<'_>, account: Id) -> Result<()> {
    diesel::update(requests::table.filter(requests::account_id.eq(account)))
        .set(requests::warned_at.eq(None::<Instant>))
        .execute(&mut **tx)?;
    Ok(())
}

/// Ids of requests that end between `now` and `until` and whose owners have not been told.
pub fn ending_untold(conn: &mut Conn, now: Instant, until: Instant) -> Result<Vec<Id>> {
    Ok(requests::table
        .filter(requests::expires_at.gt(now))
        .filter(requests::expires_at.le(until))
        .filter(requests::warned_at.is_null())
        .order(requests::id)
        .select(requests::id)
        .load(conn)?)
}

/// Ids of requests whose time is over.
pub fn ended(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(requests::table.filter(requests::expires_at.le(now)).order(requests::id).select(requests::id).load(conn)?)
}

/// An area that somebody's requests have named, and when first; the latest named first.
pub fn areas_of(conn: &mut Conn, account: Id) -> Result<Vec<(String, Instant)>> {
    Ok(areas::table
        .filter(areas::account_id.eq(account))
        .order((areas::last_used_at.desc(), areas::cell))
        .select((areas::cell, areas::first_used_at))
        .load(conn)?)
}

/// Notes that an area was named.
pub fn note_area(tx: &mut Tx<'_>, account: Id, cell: &str, now: Instant) -> Result<()> {
    let known =
        diesel::update(areas::table.find((account, cell))).set(areas::last_used_at.eq(now)).execute(&mut **tx)?;
    if known == 0 {
        diesel::insert_into(areas::table)
            .values((
                areas::account_id.eq(account),
                areas::cell.eq(cell),
                areas::first_used_at.eq(now),
                areas::last_used_at.eq(now),
            ))
            .execute(&mut **tx)?;
    }
    Ok(())
}

/// Forgets areas that were named last before `before`.
pub fn forget_areas(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(areas::table.filter(areas::last_used_at.lt(before))).execute(&mut **tx)?)
}
