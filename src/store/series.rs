//! Series of runs, who leads them, who comes to every date, and the runs that are their dates.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use jiff::civil::DateTime;

use super::{
    db::{Conn, Tx},
    dialect,
    runs::{Run, with_details},
    schema::{run_series, runs, series_facilitators, series_regulars, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        run::{JoinPolicy, RunStatus},
        series::{SeriesDraft, SeriesRun, SeriesStatus},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
};

/// A series as it is kept. Wall times are ISO texts of one width, so that they sort.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = run_series, treat_none_as_null = true)]
pub struct Series {
    pub id: Id,
    pub created_by: Option<Id>,
    pub status: SeriesStatus,
    pub draft: Json<SeriesRun>,
    pub first_local_start: String,
    pub time_zone: String,
    pub rrule: String,
    /// Dates from this wall time on are not this series' any more.
    pub ends_before: Option<String>,
    /// The next date that is made; none when there is none.
    pub next_date: Option<String>,
    /// When that date begins.
    pub next_at: Option<Instant>,
    /// Regulars have to be seated on dates that were made earlier.
    pub seats_due: bool,
    /// Rises with every edit by a facilitator.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub ended_at: Option<Instant>,
}

impl Series {
    /// What its facilitators can edit, as it is now.
    pub fn draft(&self) -> SeriesDraft {
        SeriesDraft {
            run: self.draft.0.clone().settled(self.status == SeriesStatus::Draft),
            first_local_start: self.first_local_start.clone(),
            time_zone: Some(self.time_zone.clone()),
            rrule: self.rrule.clone(),
        }
    }

    /// Whether a date is still this series'.
    pub fn reaches(&self, date: DateTime) -> bool {
        self.ends_before.as_ref().is_none_or(|end| date.to_string() < *end)
    }
}

/// Somebody who comes to every date.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = series_regulars)]
pub struct Regular {
    pub id: Id,
    pub series_id: Id,
    pub account_id: Id,
    pub since: Instant,
    pub ended_at: Option<Instant>,
}

/// Keeps a new series with those who lead it.
pub fn insert(tx: &mut Tx<'_>, series: &Series, leaders: &[Id]) -> Result<()> {
    diesel::insert_into(run_series::table).values(series).execute(&mut **tx)?;
    for leader in leaders {
        diesel::insert_into(series_facilitators::table)
            .values((
                series_facilitators::series_id.eq(series.id),
                series_facilitators::account_id.eq(leader),
                series_facilitators::listed_at.eq(series.created_at),
            ))
            .execute(&mut **tx)?;
    }
    Ok(())
}

/// The series, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Series>> {
    Ok(run_series::table.find(id).select(Series::as_select()).first(conn).optional()?)
}

/// The series.
pub fn get(conn: &mut Conn, id: Id) -> Result<Series> {
    find(conn, id)?.ok_or(Error::NotFound)
}

/// Locks a series: after persons, before runs.
pub fn lock(tx: &mut Tx<'_>, id: Id) -> Result<Series> {
    dialect::lock_series(tx, &[id], false)?.pop().ok_or(Error::NotFound)
}

/// Locks those of some series that nobody else holds, ascending.
pub fn lock_free(tx: &mut Tx<'_>, ids: &[Id]) -> Result<Vec<Series>> {
    dialect::lock_series(tx, ids, true)
}

/// Writes every field of a locked series.
pub fn update(tx: &mut Tx<'_>, series: &Series) -> Result<()> {
    diesel::update(run_series::table.find(series.id)).set(series).execute(&mut **tx)?;
    Ok(())
}

/// Notes which date of a locked series is made next.
pub fn note_next(tx: &mut Tx<'_>, id: Id, next: Option<(String, Instant)>) -> Result<()> {
    let (date, at) = next.unzip();
    diesel::update(run_series::table.find(id))
        .set((run_series::next_date.eq(date), run_series::next_at.eq(at), run_series::seats_due.eq(false)))
        .execute(&mut **tx)?;
    Ok(())
}

/// Asks for the regulars of a series to be seated: one of its dates takes people again.
pub fn ask_for_seats(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    diesel::update(run_series::table.find(id)).set(run_series::seats_due.eq(true)).execute(&mut **tx)?;
    Ok(())
}

/// Ids of active series with a date to make until `until`, or regulars to seat, earliest first.
pub fn due(conn: &mut Conn, until: Instant, limit: i64) -> Result<Vec<Id>> {
    let mut due: Vec<Id> = run_series::table
        .filter(run_series::status.eq(SeriesStatus::Active))
        .filter(run_series::next_at.le(until))
        .order((run_series::next_at, run_series::id))
        .limit(limit)
        .select(run_series::id)
        .load(conn)?;
    let seats: Vec<Id> = run_series::table
        .filter(run_series::seats_due.eq(true))
        .filter(run_series::status.eq(SeriesStatus::Active))
        .order(run_series::id)
        .limit(limit)
        .select(run_series::id)
        .load(conn)?;
    due.extend(seats);
    due.sort_unstable();
    due.dedup();
    Ok(due)
}

/// Series that somebody leads or comes to regularly, newest first, after `cursor`.
pub fn of_person(conn: &mut Conn, account: Id, cursor: Option<Id>, limit: i64) -> Result<Vec<Series>> {
    let led = series_facilitators::table
        .filter(series_facilitators::account_id.eq(account))
        .select(series_facilitators::series_id);
    let come_to = series_regulars::table
        .filter(series_regulars::account_id.eq(account))
        .filter(series_regulars::ended_at.is_null())
        .select(series_regulars::series_id);
    let mut query = run_series::table
        .filter(run_series::id.eq_any(led).or(run_series::id.eq_any(come_to)))
        .select(Series::as_select())
        .into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(run_series::id.lt(cursor));
    }
    Ok(query.order(run_series::id.desc()).limit(limit).load(conn)?)
}

/// Who leads these series.
pub fn leaders(conn: &mut Conn, ids: &[Id]) -> Result<BTreeMap<Id, Vec<Id>>> {
    let rows: Vec<(Id, Id)> = series_facilitators::table
        .filter(series_facilitators::series_id.eq_any(ids))
        .order((series_facilitators::listed_at, series_facilitators::account_id))
        .select((series_facilitators::series_id, series_facilitators::account_id))
        .load(conn)?;
    Ok(by_series(rows))
}

fn by_series(rows: Vec<(Id, Id)>) -> BTreeMap<Id, Vec<Id>> {
    let mut found: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
    for (series, account) in rows {
        found.entry(series).or_default().push(account);
    }
    found
}

/// Those who come to every date of these series, who came first first.
pub fn regulars(conn: &mut Conn, ids: &[Id]) -> Result<Vec<Regular>> {
    Ok(series_regulars::table
        .filter(series_regulars::series_id.eq_any(ids))
        .filter(series_regulars::ended_at.is_null())
        .order((series_regulars::since, series_regulars::id))
        .select(Regular::as_select())
        .load(conn)?)
}

/// Somebody's being a regular, while it lasts.
pub fn find_regular(conn: &mut Conn, series: Id, account: Id) -> Result<Option<Regular>> {
    Ok(series_regulars::table
        .filter(series_regulars::series_id.eq(series))
        .filter(series_regulars::account_id.eq(account))
        .filter(series_regulars::ended_at.is_null())
        .select(Regular::as_select())
        .first(conn)
        .optional()?)
}

/// One being a regular, over or not.
pub fn get_regular(conn: &mut Conn, id: Id) -> Result<Option<Regular>> {
    Ok(series_regulars::table.find(id).select(Regular::as_select()).first(conn).optional()?)
}

/// Makes somebody a regular.
pub fn insert_regular(tx: &mut Tx<'_>, regular: &Regular) -> Result<()> {
    diesel::insert_into(series_regulars::table).values(regular).execute(&mut **tx)?;
    Ok(())
}

/// This regular, and the same one of the series that came of this one or from which it came: whoever is handed on is a
/// regular since the same moment. By series, in which order they are locked.
pub fn handed_on(conn: &mut Conn, regular: &Regular) -> Result<Vec<Regular>> {
    Ok(series_regulars::table
        .filter(series_regulars::account_id.eq(regular.account_id))
        .filter(series_regulars::since.eq(regular.since))
        .filter(series_regulars::ended_at.is_null())
        .order(series_regulars::series_id)
        .select(Regular::as_select())
        .load(conn)?)
}

/// Ends somebody's being a regular.
pub fn end_regular(tx: &mut Tx<'_>, id: Id, now: Instant) -> Result<()> {
    diesel::update(series_regulars::table.find(id)).set(series_regulars::ended_at.eq(now)).execute(&mut **tx)?;
    Ok(())
}

/// Regulars with two or more silent absences since they became regulars: to be looked at.
pub fn regulars_often_absent(conn: &mut Conn) -> Result<Vec<Regular>> {
    let absences: Vec<Regular> = series_regulars::table
        .inner_join(runs::table.on(runs::series_id.eq(series_regulars::series_id.nullable())))
        .inner_join(
            signups::table.on(signups::run_id.eq(runs::id).and(signups::account_id.eq(series_regulars::account_id))),
        )
        .filter(signups::status.eq(SignupStatus::NoShow))
        .filter(series_regulars::ended_at.is_null())
        .filter(runs::starts_at.gt(series_regulars::since))
        .select(Regular::as_select())
        .load(conn)?;
    let mut times: BTreeMap<Id, usize> = BTreeMap::new();
    for regular in &absences {
        *times.entry(regular.id).or_default() += 1;
    }
    let mut told = BTreeSet::new();
    Ok(absences
        .into_iter()
        .filter(|regular| times.get(&regular.id).is_some_and(|times| *times >= 2) && told.insert(regular.id))
        .collect())
}

/// What became of a person's places on the dates of a series that were held since `since`, newest first.
pub fn held_with(conn: &mut Conn, series: Id, account: Id, since: Instant) -> Result<Vec<SignupStatus>> {
    let had_a_place = [SignupStatus::Confirmed, SignupStatus::Attended, SignupStatus::NoShow];
    Ok(signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(runs::series_id.eq(series))
        .filter(runs::status.eq(RunStatus::Completed))
        .filter(runs::starts_at.gt(since))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any(had_a_place.as_slice()))
        .order((runs::starts_at.desc(), runs::id))
        .limit(2)
        .select(signups::status)
        .load(conn)?)
}

/// Whether a facilitator ever said yes to this person on a date of the series that needs one. Whoever was seated as a
/// regular on such a date had a yes before.
pub fn was_ever_approved(conn: &mut Conn, series: Id, account: Id) -> Result<bool> {
    let times: i64 = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(runs::series_id.eq(series))
        .filter(signups::account_id.eq(account))
        .filter(signups::confirmed_at.is_not_null())
        .filter(runs::join_policy.eq(JoinPolicy::Approval))
        .filter(signups::status.ne(SignupStatus::Removed).or(signups::overturned_at.is_not_null()))
        .count()
        .get_result(conn)?;
    Ok(times > 0)
}

/// The dates to come of a series, in whatever state, by id: the order in which they are locked.
pub fn runs_to_come(conn: &mut Conn, series: Id, now: Instant) -> Result<Vec<Run>> {
    Ok(with_details()
        .filter(runs::series_id.eq(series))
        .filter(runs::starts_at.gt(now))
        .order(runs::id)
        .select(Run::as_select())
        .load(conn)?)
}

/// Whether the series has a run on a date before this one.
pub fn has_run_before(conn: &mut Conn, series: Id, date: &str) -> Result<bool> {
    let earlier: i64 =
        runs::table.filter(runs::series_id.eq(series)).filter(runs::series_date.lt(date)).count().get_result(conn)?;
    Ok(earlier > 0)
}

/// Which dates of these series were made already, from `from` on.
pub fn dates_made(conn: &mut Conn, ids: &[Id], from: &str) -> Result<BTreeSet<(Id, String)>> {
    let rows: Vec<(Option<Id>, Option<String>)> = runs::table
        .filter(runs::series_id.eq_any(ids))
        .filter(runs::series_date.ge(from))
        .select((runs::series_id, runs::series_date))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(series, date)| series.zip(date)).collect())
}

/// Takes some runs out of the calendar of their series, so that others can have their dates.
pub fn clear_dates(tx: &mut Tx<'_>, ids: &[Id]) -> Result<()> {
    diesel::update(runs::table.filter(runs::id.eq_any(ids)))
        .set(runs::series_date.eq(None::<String>))
        .execute(&mut **tx)?;
    Ok(())
}

/// How many series there are, how many runs are dates of one, and how many of those stand there twice (none, by the
/// index that forbids it).
pub fn census(conn: &mut Conn) -> Result<(i64, i64, i64)> {
    let series: i64 = run_series::table.count().get_result(conn)?;
    let rows: Vec<(Option<Id>, Option<String>)> =
        runs::table.filter(runs::series_date.is_not_null()).select((runs::series_id, runs::series_date)).load(conn)?;
    let different: BTreeSet<_> = rows.iter().collect();
    let (all, different) = (rows.len(), different.len());
    Ok((series, i64::try_from(all).unwrap_or(0), i64::try_from(all - different).unwrap_or(0)))
}
