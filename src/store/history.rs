//! What stays of runs after their sign-ups are forgotten: how often, led by whom, in which series, beside whom.
//!
//! While a run's sign-ups are there they are counted; when they are forgotten they are added here, once.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::{kept_history, kept_leaders, kept_series, partners, run_facilitators, runs, signups},
};
use crate::{
    clock::Instant,
    domain::{
        run::{ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
};

/// Who led somebody, how often, and when last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedBy {
    pub facilitator_id: Id,
    /// Runs on which the person was checked in.
    pub times: i32,
    /// "2026-11", UTC.
    pub last_month: String,
}

/// Somebody's own history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Runs on which the person was checked in.
    pub runs: i32,
    /// Runs on which the person was missed without a word.
    pub silent_absences: i32,
    pub led_by: Vec<LedBy>,
}

fn month(at: Instant) -> String {
    at.local("UTC").strftime("%Y-%m").to_string()
}

/// Somebody's history, forgotten runs included.
pub fn of_person(conn: &mut Conn, account: Id) -> Result<History> {
    let kept: Option<(i32, i32)> = kept_history::table
        .find(account)
        .select((kept_history::runs, kept_history::silent_absences))
        .first(conn)
        .optional()?;
    let (mut runs_count, mut absences) = kept.unwrap_or_default();
    let mut led: BTreeMap<Id, (i32, String)> = kept_leaders::table
        .filter(kept_leaders::account_id.eq(account))
        .select((kept_leaders::facilitator_id, kept_leaders::times, kept_leaders::last_month))
        .load::<(Id, i32, String)>(conn)?
        .into_iter()
        .map(|(facilitator, times, last)| (facilitator, (times, last)))
        .collect();
    let rows: Vec<(Id, SignupStatus, Instant)> = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any([SignupStatus::Attended, SignupStatus::NoShow].as_slice()))
        .select((signups::run_id, signups::status, runs::starts_at))
        .load(conn)?;
    for (run, status, starts_at) in rows {
        if status == SignupStatus::NoShow {
            absences += 1;
            continue;
        }
        runs_count += 1;
        for facilitator in leaders(conn, run)? {
            let entry = led.entry(facilitator).or_default();
            entry.0 += 1;
            entry.1 = entry.1.clone().max(month(starts_at));
        }
    }
    let led_by = led
        .into_iter()
        .filter(|(_, (times, _))| *times > 0)
        .map(|(facilitator_id, (times, last_month))| LedBy { facilitator_id, times, last_month })
        .collect();
    Ok(History { runs: runs_count, silent_absences: absences, led_by })
}

fn leaders(conn: &mut Conn, run: Id) -> Result<Vec<Id>> {
    Ok(run_facilitators::table
        .filter(run_facilitators::run_id.eq(run))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .select(run_facilitators::account_id)
        .load(conn)?)
}

/// Adds a run to what stays of it, before its sign-ups are forgotten.
pub fn keep(tx: &mut Tx<'_>, locked: &RunLocked) -> Result<()> {
    let run = &locked.run;
    let leaders = leaders(tx, run.id)?;
    let rows: Vec<(Id, SignupStatus)> = signups::table
        .filter(signups::run_id.eq(run.id))
        .filter(
            signups::status.eq_any([SignupStatus::Confirmed, SignupStatus::Attended, SignupStatus::NoShow].as_slice()),
        )
        .select((signups::account_id, signups::status))
        .load(&mut **tx)?;
    for (account, status) in rows {
        let attended = status == SignupStatus::Attended;
        add(tx, account, i32::from(attended), i32::from(status == SignupStatus::NoShow))?;
        // Somebody whom nobody ticked off has been with the group all the same, as long as the run took place.
        let was_with_them = attended || status == SignupStatus::Confirmed && run.status == RunStatus::Completed;
        if !was_with_them {
            continue;
        }
        for facilitator in leaders.iter().filter(|leader| **leader != account) {
            add_leader(tx, account, *facilitator, i32::from(attended), &month(run.starts_at))?;
        }
        if let Some(series) = run.series_id {
            let known: i64 = kept_series::table.find((account, series)).count().get_result(&mut **tx)?;
            if known == 0 {
                diesel::insert_into(kept_series::table)
                    .values((kept_series::account_id.eq(account), kept_series::series_id.eq(series)))
                    .execute(&mut **tx)?;
            }
        }
    }
    Ok(())
}

fn add(tx: &mut Tx<'_>, account: Id, ran: i32, absent: i32) -> Result<()> {
    if ran + absent == 0 {
        return Ok(());
    }
    let updated = diesel::update(kept_history::table.find(account))
        .set((
            kept_history::runs.eq(kept_history::runs + ran),
            kept_history::silent_absences.eq(kept_history::silent_absences + absent),
        ))
        .execute(&mut **tx)?;
    if updated == 0 {
        let row = (
            kept_history::account_id.eq(account),
            kept_history::runs.eq(ran),
            kept_history::silent_absences.eq(absent),
        );
        diesel::insert_into(kept_history::table).values(row).execute(&mut **tx)?;
    }
    Ok(())
}

fn add_leader(tx: &mut Tx<'_>, account: Id, facilitator: Id, times: i32, month: &str) -> Result<()> {
    let known: Option<String> = kept_leaders::table
        .find((account, facilitator))
        .select(kept_leaders::last_month)
        .first(&mut **tx)
        .optional()?;
    if let Some(last) = known {
        diesel::update(kept_leaders::table.find((account, facilitator)))
            .set((
                kept_leaders::times.eq(kept_leaders::times + times),
                kept_leaders::last_month.eq(last.max(month.to_owned())),
            ))
            .execute(&mut **tx)?;
        return Ok(());
    }
    diesel::insert_into(kept_leaders::table)
        .values((
            kept_leaders::account_id.eq(account),
            kept_leaders::facilitator_id.eq(facilitator),
            kept_leaders::times.eq(times),
            kept_leaders::last_month.eq(month),
        ))
        .execute(&mut **tx)?;
    Ok(())
}

/// Facilitators with whom a person has been on runs that are forgotten.
pub fn kept_facilitators(conn: &mut Conn, account: Id) -> Result<Vec<Id>> {
    Ok(kept_leaders::table
        .filter(kept_leaders::account_id.eq(account))
        .select(kept_leaders::facilitator_id)
        .load(conn)?)
}

/// People who have been on runs that are forgotten with one of these facilitators.
pub fn kept_people_of(conn: &mut Conn, facilitators: &[Id]) -> Result<Vec<Id>> {
    Ok(kept_leaders::table
        .filter(kept_leaders::facilitator_id.eq_any(facilitators))
        .select(kept_leaders::account_id)
        .load(conn)?)
}

/// Whether a person took part in a date of this series that is forgotten.
pub fn was_in_series(conn: &mut Conn, account: Id, series: Id) -> Result<bool> {
    let known: i64 = kept_series::table.find((account, series)).count().get_result(conn)?;
    Ok(known > 0)
}

/// Who runs beside whom on a run: both ways, in place of what was chosen for it before.
pub fn put_partners(tx: &mut Tx<'_>, locked: &RunLocked, groups: &[Vec<Id>]) -> Result<()> {
    let run = &locked.run;
    diesel::delete(partners::table.filter(partners::run_id.eq(run.id))).execute(&mut **tx)?;
    for group in groups {
        for one in group {
            for other in group.iter().filter(|other| *other != one) {
                let row = (
                    partners::run_id.eq(run.id),
                    partners::account_id.eq(*one),
                    partners::partner_id.eq(*other),
                    partners::starts_at.eq(run.starts_at),
                );
                diesel::insert_into(partners::table).values(row).execute(&mut **tx)?;
            }
        }
    }
    Ok(())
}

/// Who runs beside whom on a run, both ways.
pub fn partners_on(conn: &mut Conn, run: Id) -> Result<Vec<(Id, Id)>> {
    Ok(partners::table
        .filter(partners::run_id.eq(run))
        .order((partners::account_id, partners::partner_id))
        .select((partners::account_id, partners::partner_id))
        .load(conn)?)
}

/// With whom each of these people ran last time, before a run.
pub fn last_partners(
    conn: &mut Conn,
    people: &[Id],
    but: Option<Id>,
    before: Instant,
) -> Result<BTreeMap<Id, Vec<Id>>> {
    let rows: Vec<(Id, Id, Id, Instant)> = partners::table
        .filter(partners::account_id.eq_any(people))
        .filter(partners::starts_at.le(before))
        .order((partners::account_id, partners::starts_at.desc(), partners::run_id, partners::partner_id))
        .select((partners::account_id, partners::run_id, partners::partner_id, partners::starts_at))
        .load(conn)?;
    let mut last: BTreeMap<Id, (Id, Vec<Id>)> = BTreeMap::new();
    for (account, run, partner, _) in rows.into_iter().filter(|(_, run, ..)| Some(*run) != but) {
        let entry = last.entry(account).or_insert_with(|| (run, Vec::new()));
        if entry.0 == run {
            entry.1.push(partner);
        }
    }
    Ok(last.into_iter().map(|(account, (_, partners))| (account, partners)).collect())
}

/// Forgets partners of runs that started before `before`, but for everybody's last.
pub fn forget_partners(tx: &mut Tx<'_>, before: Instant) -> Result<()> {
    let old: Vec<(Id, Id, Instant)> = partners::table
        .filter(partners::starts_at.lt(before))
        .select((partners::account_id, partners::run_id, partners::starts_at))
        .distinct()
        .load(&mut **tx)?;
    for (account, run, starts_at) in old {
        let later: i64 = partners::table
            .filter(partners::account_id.eq(account))
            .filter(partners::starts_at.gt(starts_at))
            .count()
            .get_result(&mut **tx)?;
        if later > 0 {
            diesel::delete(partners::table)
                .filter(partners::account_id.eq(account))
                .filter(partners::run_id.eq(run))
                .execute(&mut **tx)?;
        }
    }
    Ok(())
}
