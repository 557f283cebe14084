//! What people said yes to: one answer for each person, run and question, with the start, place and partner it was given
//! for. Rows go with the run's start; they would be an attendance record.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::given_yeses,
};
use crate::{
    clock::Instant,
    domain::{
        place::LatLng,
        question::{ComingQuestion, Terms},
    },
    error::Result,
    id::Id,
};

/// A yes as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = given_yeses)]
pub struct Yes {
    pub run_id: Id,
    pub account_id: Id,
    pub question: ComingQuestion,
    pub starts_at: Instant,
    pub lat: f64,
    pub lng: f64,
    pub with_id: Option<Id>,
    pub given_at: Instant,
}

impl Yes {
    /// What it was given for.
    pub fn terms(&self) -> Terms {
        Terms { starts_at: self.starts_at, point: LatLng { lat: self.lat, lng: self.lng }, with: self.with_id }
    }
}

/// The last yes of a person to a question about a run, whatever it was given for.
pub fn find(conn: &mut Conn, run: Id, account: Id, question: ComingQuestion) -> Result<Option<Yes>> {
    Ok(given_yeses::table.find((run, account, question)).select(Yes::as_select()).first(conn).optional()?)
}

/// Keeps a yes in place of an earlier one to the same question.
pub fn put(
    tx: &mut Tx<'_>,
    locked: &RunLocked,
    account: Id,
    question: ComingQuestion,
    terms: &Terms,
    now: Instant,
) -> Result<()> {
    let run = locked.run.id;
    diesel::delete(given_yeses::table.find((run, account, question))).execute(&mut **tx)?;
    let yes = Yes {
        run_id: run,
        account_id: account,
        question,
        starts_at: terms.starts_at,
        lat: terms.point.lat,
        lng: terms.point.lng,
        with_id: terms.with,
        given_at: now,
    };
    diesel::insert_into(given_yeses::table).values(&yes).execute(&mut **tx)?;
    Ok(())
}

/// Forgets what somebody said about a run: they are no longer on it, and who comes back is asked afresh.
pub fn forget(tx: &mut Tx<'_>, run: Id, account: Id) -> Result<()> {
    let of_person = given_yeses::table.filter(given_yeses::run_id.eq(run)).filter(given_yeses::account_id.eq(account));
    diesel::delete(of_person).execute(&mut **tx)?;
    Ok(())
}

/// Forgets answers about starts before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(given_yeses::table.filter(given_yeses::starts_at.lt(before))).execute(&mut **tx)?)
}
