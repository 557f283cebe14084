//! Wishes that somebody of the team gets in touch.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    schema::care_wishes as wishes,
};
use crate::{clock::Instant, domain::after_run::CareStatus, error::Result, id::Id};

/// A wish as it is kept; one open or taken one a person.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = wishes, treat_none_as_null = true)]
pub struct Wish {
    pub id: Id,
    pub account_id: Id,
    /// The run after which it was said.
    pub run_id: Option<Id>,
    pub status: CareStatus,
    pub asked_at: Instant,
    /// By when somebody gets in touch, as the person was told.
    pub answer_by: Instant,
    pub taken_by: Option<Id>,
    pub taken_at: Option<Instant>,
    /// When the whole team was told that nobody had taken it.
    pub team_told_at: Option<Instant>,
    /// When the person was told so.
    pub person_told_at: Option<Instant>,
    pub ended_at: Option<Instant>,
}

/// Keeps a wish.
pub fn insert(tx: &mut Tx<'_>, wish: &Wish) -> Result<()> {
    diesel::insert_into(wishes::table).values(wish).execute(&mut **tx)?;
    Ok(())
}

/// Writes every field of a wish.
pub fn update(tx: &mut Tx<'_>, wish: &Wish) -> Result<()> {
    diesel::update(wishes::table.find(wish.id)).set(wish).execute(&mut **tx)?;
    Ok(())
}

/// The wish, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Wish>> {
    Ok(wishes::table.find(id).select(Wish::as_select()).first(conn).optional()?)
}

/// A person's wish that has not ended, if there is one.
pub fn open_of(conn: &mut Conn, account: Id) -> Result<Option<Wish>> {
    Ok(wishes::table
        .filter(wishes::account_id.eq(account))
        .filter(wishes::ended_at.is_null())
        .select(Wish::as_select())
        .first(conn)
        .optional()?)
}

/// Wishes that have not ended, the oldest first, after `cursor`.
pub fn queue(conn: &mut Conn, cursor: Option<Id>, limit: i64) -> Result<Vec<Wish>> {
    let mut query = wishes::table.filter(wishes::ended_at.is_null()).select(Wish::as_select()).into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(wishes::id.gt(cursor));
    }
    Ok(query.order(wishes::id).limit(limit).load(conn)?)
}

/// Ids of wishes that nobody has taken and of which somebody has yet to hear: the team for those asked at `team` or
/// before, the person for those asked at `person` or before.
pub fn overdue(conn: &mut Conn, team: Instant, person: Instant) -> Result<Vec<Id>> {
    let for_team = wishes::asked_at.le(team).and(wishes::team_told_at.is_null());
    let for_person = wishes::asked_at.le(person).and(wishes::person_told_at.is_null());
    Ok(wishes::table
        .filter(wishes::status.eq(CareStatus::Open))
        .filter(for_team.or(for_person))
        .select(wishes::id)
        .order(wishes::id)
        .load(conn)?)
}

/// Wishes that somebody has taken and that have not ended.
pub fn taken(conn: &mut Conn) -> Result<Vec<Wish>> {
    Ok(wishes::table
        .filter(wishes::status.eq(CareStatus::Taken))
        .order(wishes::id)
        .select(Wish::as_select())
        .load(conn)?)
}

/// Forgets wishes that ended before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(wishes::table.filter(wishes::ended_at.lt(before))).execute(&mut **tx)?)
}
