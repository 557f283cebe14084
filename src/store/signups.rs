//! Sign-ups: one person's place, request or waiting position in one run.

use std::collections::BTreeMap;

use diesel::{dsl::count_star, prelude::*};

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::{run_facilitators, runs, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        run::RunStatus,
        signup::{RemovalReason, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
};

/// A sign-up as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = signups, treat_none_as_null = true)]
pub struct Signup {
    pub id: Id,
    pub run_id: Id,
    pub account_id: Id,
    pub status: SignupStatus,
    /// Place in the line, given under the run's lock.
    pub queue_no: i32,
    pub answers: Json<Vec<String>>,
    /// A word to the facilitators.
    pub note: Option<String>,
    pub short_notice: bool,
    pub new_here: bool,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub confirmed_at: Option<Instant>,
    pub reason_code: Option<RemovalReason>,
    pub private_note: Option<String>,
    pub statement: Option<String>,
    pub decided_by: Option<Id>,
}

/// The sign-up, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Signup>> {
    Ok(signups::table.find(id).select(Signup::as_select()).first(conn).optional()?)
}

/// The sign-up.
pub fn get(conn: &mut Conn, id: Id) -> Result<Signup> {
    find(conn, id)?.ok_or(Error::NotFound)
}

/// Keeps a new sign-up; the run's lock is the proof that its number and its place are right.
pub fn insert(tx: &mut Tx<'_>, _locked: &RunLocked, signup: &Signup) -> Result<()> {
    diesel::insert_into(signups::table).values(signup).execute(&mut **tx)?;
    Ok(())
}

/// Writes every field of a sign-up under the run's lock.
pub fn update(tx: &mut Tx<'_>, _locked: &RunLocked, signup: &Signup) -> Result<()> {
    diesel::update(signups::table.find(signup.id)).set(signup).execute(&mut **tx)?;
    Ok(())
}

/// All sign-ups of one person in one run, oldest first.
pub fn of_person_in_run(conn: &mut Conn, account: Id, run: Id) -> Result<Vec<Signup>> {
    Ok(signups::table
        .filter(signups::account_id.eq(account))
        .filter(signups::run_id.eq(run))
        .order(signups::id)
        .select(Signup::as_select())
        .load(conn)?)
}

/// The sign-ups of a run in these states, in the order of the line.
pub fn of_run(conn: &mut Conn, run: Id, statuses: &[SignupStatus]) -> Result<Vec<Signup>> {
    Ok(signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(statuses))
        .order((signups::queue_no, signups::id))
        .select(Signup::as_select())
        .load(conn)?)
}

/// One person's sign-ups, newest first, after `cursor`.
pub fn of_person(conn: &mut Conn, account: Id, cursor: Option<Id>, limit: i64) -> Result<Vec<Signup>> {
    let mut query = signups::table.filter(signups::account_id.eq(account)).select(Signup::as_select()).into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(signups::id.lt(cursor));
    }
    Ok(query.order(signups::id.desc()).limit(limit).load(conn)?)
}

/// Ids of the runs to come in which a person has a live sign-up, ascending: the order in which they are locked.
pub fn runs_with_live(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Id>> {
    Ok(signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any(SignupStatus::LIVE.as_slice()))
        .filter(runs::starts_at.gt(now))
        .select(signups::run_id)
        .distinct()
        .order(signups::run_id)
        .load(conn)?)
}

/// How many sign-ups of these runs are in which state.
pub fn counts(conn: &mut Conn, ids: &[Id]) -> Result<BTreeMap<Id, BTreeMap<SignupStatus, i64>>> {
    let rows: Vec<(Id, SignupStatus, i64)> = signups::table
        .filter(signups::run_id.eq_any(ids))
        .group_by((signups::run_id, signups::status))
        .select((signups::run_id, signups::status, count_star()))
        .load(conn)?;
    let mut counts: BTreeMap<Id, BTreeMap<SignupStatus, i64>> = BTreeMap::new();
    for (run, status, count) in rows {
        counts.entry(run).or_default().insert(status, count);
    }
    Ok(counts)
}

/// Who is confirmed on these runs.
pub fn confirmed_on(conn: &mut Conn, ids: &[Id]) -> Result<BTreeMap<Id, Vec<Id>>> {
    let rows: Vec<(Id, Id)> = signups::table
        .filter(signups::run_id.eq_any(ids))
        .filter(signups::status.eq(SignupStatus::Confirmed))
        .order(signups::id)
        .select((signups::run_id, signups::account_id))
        .load(conn)?;
    let mut people: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
    for (run, account) in rows {
        people.entry(run).or_default().push(account);
    }
    Ok(people)
}

/// Facilitators with whom a person has been on a run that took place.
pub fn known_facilitators(conn: &mut Conn, account: Id) -> Result<Vec<Id>> {
    Ok(signups::table
        .inner_join(run_facilitators::table.on(run_facilitators::run_id.eq(signups::run_id)))
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any([SignupStatus::Confirmed, SignupStatus::Attended].as_slice()))
        .filter(runs::status.eq(RunStatus::Completed))
        .select(run_facilitators::account_id)
        .distinct()
        .load(conn)?)
}

/// Runs (of those that took place or are to come) in which a person has a live sign-up or took part, for "is this mine".
pub fn live_in(conn: &mut Conn, account: Id, run: Id) -> Result<Option<Signup>> {
    let mine = [SignupStatus::LIVE.as_slice(), &[SignupStatus::Attended, SignupStatus::NoShow]].concat();
    Ok(signups::table
        .filter(signups::account_id.eq(account))
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(mine))
        .order(signups::id.desc())
        .select(Signup::as_select())
        .first(conn)
        .optional()?)
}

/// How many of the confirmed say that they are new here.
pub fn new_among_confirmed(conn: &mut Conn, run: Id) -> Result<i64> {
    Ok(signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq(SignupStatus::Confirmed))
        .filter(signups::new_here.eq(true))
        .count()
        .get_result(conn)?)
}
