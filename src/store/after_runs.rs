//! What people said after runs. Nobody but the person reads it.

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    schema::{after_runs, runs},
};
use crate::{
    clock::Instant,
    domain::{
        after_run::PaceAnswer,
        pace::{Activity, PaceBand},
    },
    error::Result,
    id::Id,
};

/// One person's answers about one run.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = after_runs, treat_none_as_null = true)]
pub struct AfterRun {
    pub run_id: Id,
    pub account_id: Id,
    pub pace: Option<PaceAnswer>,
    /// Forgotten when answers are no longer taken.
    pub felt_safe: Option<bool>,
    /// The report that came of it.
    pub report_id: Option<Id>,
    pub created_at: Instant,
    pub updated_at: Instant,
}

/// What somebody said about a run, if anything.
pub fn find(conn: &mut Conn, run: Id, account: Id) -> Result<Option<AfterRun>> {
    Ok(after_runs::table.find((run, account)).select(AfterRun::as_select()).first(conn).optional()?)
}

/// Keeps answers, new or changed; the person's lock is held.
pub fn put(tx: &mut Tx<'_>, answers: &AfterRun) -> Result<()> {
    let row = after_runs::table.find((answers.run_id, answers.account_id));
    if diesel::update(row).set(answers).execute(&mut **tx)? == 0 {
        diesel::insert_into(after_runs::table).values(answers).execute(&mut **tx)?;
    }
    Ok(())
}

/// How the pace of a person's last runs was, newest run first, with what each was.
pub fn paces_of(conn: &mut Conn, account: Id, limit: i64) -> Result<Vec<(Activity, PaceBand, PaceAnswer)>> {
    let rows: Vec<(Activity, i32, i32, Option<PaceAnswer>)> = after_runs::table
        .inner_join(runs::table.on(runs::id.eq(after_runs::run_id)))
        .filter(after_runs::account_id.eq(account))
        .filter(after_runs::pace.is_not_null())
        .order((runs::starts_at.desc(), runs::id))
        .limit(limit)
        .select((runs::activity, runs::fastest_s_per_km, runs::slowest_s_per_km, after_runs::pace))
        .load(conn)?;
    let band = |fastest_s_per_km, slowest_s_per_km| PaceBand { fastest_s_per_km, slowest_s_per_km };
    Ok(rows.into_iter().filter_map(|(activity, fast, slow, pace)| Some((activity, band(fast, slow), pace?))).collect())
}

/// Forgets whether people felt safe on runs that ended before `before`, and all answers about those before `long_before`.
pub fn forget(tx: &mut Tx<'_>, before: Instant, long_before: Instant) -> Result<()> {
    let ended = runs::table.filter(runs::ends_at.lt(before)).select(runs::id);
    diesel::update(after_runs::table)
        .filter(after_runs::felt_safe.is_not_null())
        .filter(after_runs::run_id.eq_any(ended))
        .set(after_runs::felt_safe.eq(None::<bool>))
        .execute(&mut **tx)?;
    let long_ended = runs::table.filter(runs::ends_at.lt(long_before)).select(runs::id);
    diesel::delete(after_runs::table.filter(after_runs::run_id.eq_any(long_ended))).execute(&mut **tx)?;
    Ok(())
}
