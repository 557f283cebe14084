//! Series: posting one and ending it. Its dates are made in `making`, changed in `changing`; who comes to every date is in
//! `regulars`, and what is seen of it in `views`.
//!
//! Locks: persons, then the series, then its runs by ascending id.

pub mod changing;
pub mod making;
pub mod regulars;
pub mod views;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use serde_json::json;

use super::{callers, overlaps, runs::calling_off};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::Act,
        refusal::Code,
        run::{CancelReason, RunStatus},
        series::{SeriesDraft, SeriesStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    store::{
        Conn, Tx, accounts, audit, facilitators,
        outbox::{self, Promise},
        runs::{self, Run},
        series::{self, Series},
        sql_types::Json,
    },
};

/// Proof that somebody leads a series and is in good standing.
#[derive(Debug, Clone, Copy)]
pub struct LeadsSeries {
    facilitator: Id,
    series: Id,
}

/// Proof that an account leads a series.
///
/// # Errors
/// Not found when it does not: other facilitators' series have no inside for it.
pub fn leads(conn: &mut Conn, account: Id, id: Id, now: Instant) -> Result<(LeadsSeries, Series)> {
    let found = series::get(conn, id)?;
    let is_listed = series::leaders(conn, &[id])?.get(&id).is_some_and(|leaders| leaders.contains(&account));
    if !is_listed {
        return Err(Error::NotFound);
    }
    if !facilitators::in_good_standing(conn, &[account], now)?.contains(&account) {
        return Err(Code::NotInGoodStanding.into());
    }
    Ok((LeadsSeries { facilitator: account, series: id }, found))
}

/// A series that somebody may see: drafts are their facilitators' alone.
pub fn visible(conn: &mut Conn, id: Id, viewer: Option<Id>) -> Result<Series> {
    let found = series::get(conn, id)?;
    if found.status == SeriesStatus::Draft {
        let leaders = series::leaders(conn, &[id])?;
        let is_theirs = viewer.is_some_and(|viewer| leaders.get(&id).is_some_and(|people| people.contains(&viewer)));
        if !is_theirs {
            return Err(Error::NotFound);
        }
    }
    Ok(found)
}

/// Posts a series, led by its author; its first dates are made at once unless it is a draft.
pub fn post(tx: &mut Tx<'_>, author: Id, draft: &SeriesDraft, policy: &Policy, now: Instant) -> Result<Series> {
    accounts::lock(tx, author)?;
    callers::in_good_standing(tx, author, now)?;
    let plan = draft.plan(now, true)?;
    let is_draft = draft.run.is_draft();
    let mut posted = Series {
        id: Id::at(now),
        created_by: Some(author),
        status: if is_draft { SeriesStatus::Draft } else { SeriesStatus::Active },
        draft: Json(draft.run.clone().settled(is_draft)),
        first_local_start: plan.first.to_string(),
        time_zone: plan.time_zone.clone(),
        rrule: draft.rrule.trim().to_owned(),
        ends_before: None,
        next_date: None,
        next_at: None,
        seats_due: false,
        version: 1,
        created_at: now,
        updated_at: now,
        ended_at: None,
    };
    making::plan_next(&mut posted, &plan, now);
    series::insert(tx, &posted, &[author])?;
    if !is_draft {
        making::make(tx, std::slice::from_ref(&posted), &[], policy, now)?;
        every_date_is_led(tx, author, posted.id, draft, now)?;
    }
    series::get(tx, posted.id)
}

/// Refuses a series of which the author cannot lead a date that was made at once: they choose another time, or confirm.
///
/// # Errors
/// [`Code::OverlappingRun`] with the run, or the place, at that time.
fn every_date_is_led(tx: &mut Tx<'_>, author: Id, of: Id, draft: &SeriesDraft, now: Instant) -> Result<()> {
    for run in series::runs_to_come(tx, of, now)? {
        if facilitators::find_listing(tx, run.id, author)?.is_none() {
            overlaps::ensure_free_to_lead(tx, author, &[author], &run, draft.run.draft().confirm_overlap)?;
        }
    }
    Ok(())
}

/// The date of a series on which a change begins: one that is still to come.
///
/// # Errors
/// Not found for a run of another series, [`Code::SeriesDateOver`] for one that has begun or left the series.
fn date_of(run: &Run, of: Id, now: Instant) -> Result<DateTime> {
    if run.series_id != Some(of) {
        return Err(Error::NotFound);
    }
    let date = run.series_date.as_ref().and_then(|date| date.parse().ok()).filter(|_| run.starts_at > now);
    Ok(date.ok_or(Code::SeriesDateOver)?)
}

/// Why a series ends, and from when.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The first date that is called off; without one all dates to come are.
    pub from: Option<Id>,
    pub reason: CancelReason,
    pub message: Option<String>,
}

/// Ends a series: its dates to come are called off, and everybody who meant to come gets one mail.
pub fn end(tx: &mut Tx<'_>, proof: &LeadsSeries, ending: &Ending, now: Instant) -> Result<Series> {
    accounts::lock(tx, proof.facilitator)?;
    let mut ended = series::lock(tx, proof.series)?;
    if ended.status == SeriesStatus::Ended {
        return Ok(ended);
    }
    let from = match ending.from {
        Some(run) => Some(date_of(&runs::get(tx, run)?, ended.id, now)?.to_string()),
        None => None,
    };
    let mut people: BTreeMap<Id, (Vec<Id>, bool)> = BTreeMap::new();
    for run in series::runs_to_come(tx, ended.id, now)? {
        let is_later = from.as_ref().is_none_or(|from| run.series_date.as_ref().is_some_and(|date| date >= from));
        let mut locked = runs::lock(tx, run.id)?;
        let is_on = matches!(locked.run.status, RunStatus::Draft | RunStatus::Published | RunStatus::Paused);
        if !is_later || !is_on || locked.run.starts_at <= now {
            continue;
        }
        for signup in calling_off::end_quietly(tx, &mut locked, ending.reason, ending.message.clone(), now)? {
            let (signups, is_soon) = people.entry(signup.account_id).or_default();
            signups.push(signup.id);
            *is_soon |= locked.run.starts_at <= now.plus_hours(calling_off::URGENT_HOURS);
        }
        for leader in facilitators::accepted_on(tx, run.id)?.into_iter().filter(|id| *id != proof.facilitator) {
            people.entry(leader).or_default();
        }
    }
    if from.is_none() {
        for regular in series::regulars(tx, &[ended.id])? {
            people.entry(regular.account_id).or_default();
            series::end_regular(tx, regular.id, now)?;
        }
        (ended.status, ended.ended_at) = (SeriesStatus::Ended, Some(now));
    } else {
        ended.ends_before = from;
    }
    (ended.next_date, ended.next_at, ended.seats_due) = (None, None, false);
    ended.version += 1;
    ended.updated_at = now;
    series::update(tx, &ended)?;
    let told: BTreeSet<Id> = people.keys().copied().collect();
    for (person, (signups, is_soon)) in people {
        let promise = Promise::new(person, Notice::SeriesEnded { series_id: ended.id, signups });
        outbox::promise(tx, if is_soon { promise.urgently() } else { promise }, now)?;
    }
    record(tx, Act::SeriesEnded, proof, &ended, told.len(), now)?;
    Ok(ended)
}

fn record(tx: &mut Tx<'_>, act: Act, proof: &LeadsSeries, of: &Series, told: usize, now: Instant) -> Result<()> {
    let about = json!({ "series_id": of.id, "version": of.version, "told": told });
    audit::record(tx, audit::AuditEvent { act, actor: Some(proof.facilitator), subject: None, run: None, about }, now)
}
