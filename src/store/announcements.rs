//! What facilitators said to those on a run.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    schema::announcements,
};
use crate::{clock::Instant, domain::run::Audience, error::Result, id::Id};

/// A word to those on a run.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = announcements)]
pub struct Announcement {
    pub id: Id,
    pub run_id: Id,
    pub author_id: Option<Id>,
    pub audience: Audience,
    /// As the facilitator typed it.
    pub words: String,
    pub created_at: Instant,
}

/// Keeps an announcement.
pub fn insert(tx: &mut Tx<'_>, announcement: &Announcement) -> Result<()> {
    diesel::insert_into(announcements::table).values(announcement).execute(&mut **tx)?;
    Ok(())
}

/// The announcement, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Announcement>> {
    Ok(announcements::table.find(id).select(Announcement::as_select()).first(conn).optional()?)
}

/// Those of a run to one of these audiences, newest first, after `cursor`.
pub fn of_run(
    conn: &mut Conn,
    run: Id,
    audiences: &[Audience],
    cursor: Option<Id>,
    limit: i64,
) -> Result<Vec<Announcement>> {
    let mut query = announcements::table
        .filter(announcements::run_id.eq(run))
        .filter(announcements::audience.eq_any(audiences))
        .select(Announcement::as_select())
        .into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(announcements::id.lt(cursor));
    }
    Ok(query.order(announcements::id.desc()).limit(limit).load(conn)?)
}

/// When those of a run since `since` were made, oldest first.
pub fn times_since(conn: &mut Conn, run: Id, since: Instant) -> Result<Vec<Instant>> {
    Ok(announcements::table
        .filter(announcements::run_id.eq(run))
        .filter(announcements::created_at.gt(since))
        .order(announcements::created_at)
        .select(announcements::created_at)
        .load(conn)?)
}
