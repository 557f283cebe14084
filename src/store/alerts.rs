//! Alerts as rows: runs for which nobody has looked yet, who is told of which run, and how often somebody is told.
//!
//! The pair of person and run is the key, so that it is there once whatever two workers do.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{prelude::*, upsert::excluded};

use super::{
    db::{Conn, Tx},
    dialect,
    schema::{alert_runs as queue, alert_states as states, match_alerts as alerts, runs},
};
use crate::{clock::Instant, domain::match_request::AlertChoice, error::Result, id::Id};

/// A run that was posted or changed and that one worker looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    pub run: Id,
    /// Of the last change that was seen.
    pub stamp: Id,
}

#[derive(Insertable)]
#[diesel(table_name = queue, treat_none_as_default_value = false)]
struct Waiting {
    run_id: Id,
    stamp: Id,
    queued_at: Instant,
    lease_until: Option<Instant>,
}

/// Queues runs, again those that wait already: whoever looks at one now has not seen this change.
pub fn queue_runs(tx: &mut Tx<'_>, runs: &[Id], now: Instant) -> Result<()> {
    let row = |run: &Id| Waiting { run_id: *run, stamp: Id::at(now), queued_at: now, lease_until: None };
    for some in runs.chunks(1000) {
        let rows: Vec<Waiting> = some.iter().map(row).collect();
        dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(queue::table)
            .values(&rows)
            .on_conflict(queue::run_id)
            .do_update()
            // A lease of before is of no more use than the stamp it was taken with.
            .set((
                queue::stamp.eq(excluded(queue::stamp)),
                queue::queued_at.eq(excluded(queue::queued_at)),
                queue::lease_until.eq(excluded(queue::lease_until)),
            ))
            .execute(conn))?;
    }
    Ok(())
}

/// Runs that wait and that nobody looks at, the longest waiting first.
pub fn waiting(conn: &mut Conn, limit: i64) -> Result<Vec<Queued>> {
    let clock = dialect::database_now(conn)?;
    let rows: Vec<(Id, Id)> = queue::table
        .filter(queue::lease_until.is_null().or(queue::lease_until.lt(clock)))
        .order((queue::queued_at, queue::run_id))
        .limit(limit)
        .select((queue::run_id, queue::stamp))
        .load(conn)?;
    Ok(rows.into_iter().map(|(run, stamp)| Queued { run, stamp }).collect())
}

/// Takes a run for a while; says whether nobody was faster.
pub fn claim(tx: &mut Tx<'_>, one: Queued, lease_s: i64) -> Result<bool> {
    let clock = dialect::database_now(tx)?;
    let taken = diesel::update(queue::table.find(one.run))
        .filter(queue::stamp.eq(one.stamp))
        .filter(queue::lease_until.is_null().or(queue::lease_until.lt(clock)))
        .set(queue::lease_until.eq(clock.plus_seconds(lease_s)))
        .execute(&mut **tx)?;
    Ok(taken > 0)
}

/// Takes a run out of the queue, unless it changed since it was claimed.
pub fn done(tx: &mut Tx<'_>, one: Queued) -> Result<bool> {
    let gone = diesel::delete(queue::table.find(one.run)).filter(queue::stamp.eq(one.stamp)).execute(&mut **tx)?;
    Ok(gone > 0)
}

#[derive(Insertable)]
#[diesel(table_name = alerts, treat_none_as_default_value = false)]
struct Pair {
    account_id: Id,
    run_id: Id,
    found_at: Instant,
    mail_id: Option<Id>,
}

/// Notes that these people are told of a run; gives those who were not before.
pub fn note(tx: &mut Tx<'_>, run: Id, people: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    let row = |person: &Id| Pair { account_id: *person, run_id: run, found_at: now, mail_id: None };
    let rows: Vec<Pair> = people.iter().map(row).collect();
    let new: Vec<Id> = dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(alerts::table)
        .values(&rows)
        .on_conflict_do_nothing()
        .returning(alerts::account_id)
        .get_results(conn))?;
    Ok(new.into_iter().collect())
}

/// Everybody who is told of a run.
pub fn told_of(conn: &mut Conn, run: Id) -> Result<BTreeSet<Id>> {
    let people: Vec<Id> = alerts::table.filter(alerts::run_id.eq(run)).select(alerts::account_id).load(conn)?;
    Ok(people.into_iter().collect())
}

/// Gathers into a mail what was found for somebody and is in no mail yet.
pub fn gather(tx: &mut Tx<'_>, account: Id, mail: Id) -> Result<Vec<Id>> {
    let new = alerts::table.filter(alerts::account_id.eq(account)).filter(alerts::mail_id.is_null());
    let runs: Vec<Id> = new.select(alerts::run_id).order(alerts::run_id).load(&mut **tx)?;
    diesel::update(new).set(alerts::mail_id.eq(mail)).execute(&mut **tx)?;
    Ok(runs)
}

/// The runs that a mail tells of.
pub fn in_mail(conn: &mut Conn, account: Id, mail: Id) -> Result<Vec<Id>> {
    Ok(alerts::table
        .filter(alerts::account_id.eq(account))
        .filter(alerts::mail_id.eq(mail))
        .order(alerts::run_id)
        .select(alerts::run_id)
        .load(conn)?)
}

/// Forgets that somebody was to be told of these runs.
pub fn untell(tx: &mut Tx<'_>, account: Id, runs: &[Id]) -> Result<()> {
    diesel::delete(alerts::table)
        .filter(alerts::account_id.eq(account))
        .filter(alerts::run_id.eq_any(runs))
        .execute(&mut **tx)?;
    Ok(())
}

/// Forgets what was found for somebody and is in no mail.
pub fn forget_untold(tx: &mut Tx<'_>, account: Id) -> Result<()> {
    diesel::delete(alerts::table)
        .filter(alerts::account_id.eq(account))
        .filter(alerts::mail_id.is_null())
        .execute(&mut **tx)?;
    Ok(())
}

/// Forgets who was told of runs that ended before this, of some at a time; gives how many pairs that were.
pub fn forget_over(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    let over: Vec<Id> = alerts::table
        .inner_join(runs::table.on(runs::id.eq(alerts::run_id)))
        .filter(runs::ends_at.lt(before))
        .select(alerts::run_id)
        .distinct()
        .limit(FORGOTTEN_AT_ONCE)
        .load(&mut **tx)?;
    Ok(diesel::delete(alerts::table).filter(alerts::run_id.eq_any(over)).execute(&mut **tx)?)
}

/// Runs of which it is forgotten in one transaction who was told.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// How often somebody wants to be told, and their mail that waits.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = states, treat_none_as_null = true)]
pub struct AlertState {
    pub account_id: Id,
    pub choice: AlertChoice,
    /// The mail that gathers what is found.
    pub mail_id: Option<Id>,
    /// When that is due.
    pub due_at: Option<Instant>,
    /// When the last one that was gathered left.
    pub gathered_at: Option<Instant>,
}

impl AlertState {
    /// Of somebody who never said anything.
    pub fn usual(account: Id) -> Self {
        Self { account_id: account, choice: AlertChoice::Daily, mail_id: None, due_at: None, gathered_at: None }
    }
}

/// The state of one person.
pub fn state(conn: &mut Conn, account: Id) -> Result<AlertState> {
    let found = states::table.find(account).select(AlertState::as_select()).first(conn).optional()?;
    Ok(found.unwrap_or_else(|| AlertState::usual(account)))
}

/// The states of these people who have one.
pub fn states(conn: &mut Conn, accounts: &[Id]) -> Result<BTreeMap<Id, AlertState>> {
    let rows: Vec<AlertState> =
        states::table.filter(states::account_id.eq_any(accounts)).select(AlertState::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|state| (state.account_id, state)).collect())
}

/// Writes somebody's state, whose account is locked.
pub fn put_state(tx: &mut Tx<'_>, state: &AlertState) -> Result<()> {
    let known = diesel::update(states::table.find(state.account_id)).set(state).execute(&mut **tx)?;
    if known == 0 {
        diesel::insert_into(states::table).values(state).execute(&mut **tx)?;
    }
    Ok(())
}

/// Forgets that mails gather what is found, of one person or of all: those mails were taken back.
pub fn no_mail_waits(tx: &mut Tx<'_>, account: Option<Id>) -> Result<()> {
    let set = (states::mail_id.eq(None::<Id>), states::due_at.eq(None::<Instant>));
    match account {
        Some(account) => diesel::update(states::table.find(account)).set(set).execute(&mut **tx)?,
        None => diesel::update(states::table).set(set).execute(&mut **tx)?,
    };
    Ok(())
}
