//! Changing a series: all dates to come, or one and those that follow. No sign-up is lost, what a date keeps for itself
//! stays, and everybody who is affected gets one mail.
//!
//! "This and following" splits the series: the old one ends before that date, and a new one goes on with the runs, the
//! sign-ups and the regulars. Each run becomes the new date that is nearest to it; one that finds none is called off when
//! nobody is on it, and otherwise goes on by itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{ToSpan, civil::DateTime};

use super::{LeadsSeries, date_of, making, record};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::Act,
        refusal::{Code, Fault},
        run::{CancelReason, RunDraft, RunStatus},
        series::{Plan, SeriesDraft, SeriesRun, SeriesStatus, WhatIsSaid, carried_over, matched},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    mail::{DateChange, Notice},
    service::{
        notices,
        runs::{calling_off, changing, fit, lock_leaders, rewrite, still_free_to_lead},
    },
    store::{
        Tx,
        runs::{self, Run, RunLocked},
        series::{self, Regular, Series},
        signups,
        sql_types::Json,
    },
};

/// What is wanted of a series, and from which date on.
#[derive(Debug, Clone)]
pub struct SeriesEdit {
    /// The whole draft as it is to be; what it does not say of its rhythm is worked out.
    pub draft: SeriesDraft,
    pub says: WhatIsSaid,
    /// This date and those that follow; all dates to come without.
    pub from: Option<Id>,
    /// The version that was seen.
    pub version: i32,
}

/// Changes a series; gives the one that holds the dates that were changed.
///
/// # Errors
/// [`Code::VersionStale`], [`Code::SeriesEnded`], [`Code::SeriesDateOver`], and what is wrong with the draft.
pub fn edit(
    tx: &mut Tx<'_>,
    proof: &LeadsSeries,
    wanted: &SeriesEdit,
    policy: &Policy,
    now: Instant,
) -> Result<Series> {
    let dates: Vec<Id> = series::runs_to_come(tx, proof.series, now)?.iter().map(|run| run.id).collect();
    let leaders = lock_leaders(tx, proof.facilitator, &dates)?;
    let old = series::lock(tx, proof.series)?;
    if old.version != wanted.version {
        return Err(Code::VersionStale.into());
    }
    if old.status == SeriesStatus::Ended {
        return Err(Code::SeriesEnded.into());
    }
    if wanted.draft.run.is_draft() && old.status != SeriesStatus::Draft {
        let words = "a published series cannot become a draft again; end it instead";
        return Err(Fault::at("/run/draft", "already_published", words).into());
    }
    let from = match wanted.from {
        Some(run) => Some(date_of(&runs::get(tx, run)?, old.id, now)?),
        None => None,
    };
    // Where nothing came before that date, "this and following" is all of it.
    let split = match from {
        Some(from) if series::has_run_before(tx, old.id, &from.to_string())? => Some(from),
        _ => None,
    };
    let draft = wanted.draft.clone().going_on(&old.draft(), split, wanted.says);
    let plan = draft.plan(now, false)?;
    let mut new = Series {
        status: if draft.run.is_draft() { SeriesStatus::Draft } else { SeriesStatus::Active },
        draft: Json(draft.run.clone().settled(draft.run.is_draft())),
        first_local_start: plan.first.to_string(),
        time_zone: plan.time_zone.clone(),
        rrule: draft.rrule.trim().to_owned(),
        version: old.version + 1,
        updated_at: now,
        ..old.clone()
    };
    if let Some(from) = split {
        new = Series { id: Id::at(now), version: 1, created_at: now, ..new };
        hand_over(tx, &old, &new, from, now)?;
    }
    making::plan_next(&mut new, &plan, now);
    series::update(tx, &new)?;
    let moved_from = series::runs_to_come(tx, old.id, now)?;
    let told = move_dates(tx, (&old, &new), &plan, split, proof.facilitator, policy, now)?;
    every_moved_date_is_led(tx, proof.facilitator, &leaders, &moved_from, new.id, &new.draft, now)?;
    record(tx, Act::SeriesEdited, proof, &new, told, now)?;
    Ok(new)
}

/// Refuses a change by which somebody who leads a date would be in two places at once. It looks at the dates when all have
/// been moved: they may change places among themselves.
fn every_moved_date_is_led(
    tx: &mut Tx<'_>,
    me: Id,
    leaders: &[Id],
    before: &[Run],
    of: Id,
    draft: &SeriesRun,
    now: Instant,
) -> Result<()> {
    for run in series::runs_to_come(tx, of, now)? {
        if let Some(was) = before.iter().find(|was| was.id == run.id) {
            still_free_to_lead(tx, me, leaders, was, &run, draft.draft().confirm_overlap)?;
        }
    }
    Ok(())
}

/// Ends a series before a date, from which the new one goes on with the same people.
fn hand_over(tx: &mut Tx<'_>, old: &Series, new: &Series, from: DateTime, now: Instant) -> Result<()> {
    let leaders = series::leaders(tx, &[old.id])?.remove(&old.id).unwrap_or_default();
    series::insert(tx, new, &leaders)?;
    for regular in series::regulars(tx, &[old.id])? {
        series::insert_regular(tx, &Regular { id: Id::at(now), series_id: new.id, ..regular })?;
    }
    let ended = Series {
        ends_before: Some(from.to_string()),
        next_date: None,
        next_at: None,
        version: old.version + 1,
        updated_at: now,
        ..old.clone()
    };
    series::update(tx, &ended)
}

/// Moves the runs of the dates to come to what the series is now; returns how many people were told.
fn move_dates(
    tx: &mut Tx<'_>,
    (old, new): (&Series, &Series),
    plan: &Plan,
    from: Option<DateTime>,
    by: Id,
    policy: &Policy,
    now: Instant,
) -> Result<usize> {
    let dates = dates_from(series::runs_to_come(tx, old.id, now)?, from);
    // In the order of their ids, before one statement writes several of them in an order of its own.
    for (run, _) in &dates {
        runs::lock(tx, run.id)?;
    }
    let becomes = matched_dates(new, plan, &dates, now);
    let moving = |(run, date): &(Run, DateTime)| (becomes.get(date) != Some(date)).then_some(run.id);
    series::clear_dates(tx, &dates.iter().filter_map(moving).collect::<Vec<_>>())?;
    let mut told: BTreeMap<Id, Vec<DateChange>> = BTreeMap::new();
    for (run, date) in &dates {
        let mut locked = runs::lock(tx, run.id)?;
        if locked.run.starts_at <= now {
            continue;
        }
        locked.run.series_id = Some(new.id);
        locked.run.series_date = becomes.get(date).map(ToString::to_string);
        match becomes.get(date) {
            Some(date) => move_date(tx, &mut locked, (&old.draft, new), plan, *date, by, &mut told, policy, now)?,
            None => leave_out(tx, &mut locked, by, now)?,
        }
    }
    let people = told.len();
    for (person, dates) in told {
        notices::to_person(tx, person, Notice::SeriesChanged { series_id: new.id, dates }, now)?;
    }
    Ok(people)
}

/// The runs with their dates, from one on. A run that went on by itself stands for the day on which it is, unless the
/// series has a date then.
fn dates_from(coming: Vec<Run>, from: Option<DateTime>) -> Vec<(Run, DateTime)> {
    let date = |run: &Run| run.series_date.as_ref()?.parse::<DateTime>().ok();
    let mut taken: BTreeSet<_> = coming.iter().filter_map(date).map(|date| date.date()).collect();
    let dated = |run: Run| {
        let by_itself = || Some(run.starts_at.local(&run.time_zone)).filter(|_| run.status != RunStatus::Cancelled);
        let date = date(&run).or_else(|| by_itself().filter(|local| taken.insert(local.date())))?;
        Some((run, date)).filter(|(_, date)| from.is_none_or(|from| *date >= from))
    };
    coming.into_iter().filter_map(dated).collect()
}

/// Which new date each of the old ones becomes.
fn matched_dates(new: &Series, plan: &Plan, dates: &[(Run, DateTime)], now: Instant) -> BTreeMap<DateTime, DateTime> {
    let mut old: Vec<DateTime> = dates.iter().map(|(_, date)| *date).collect();
    old.sort_unstable();
    let (Some(first), Some(last)) = (old.first(), old.last()) else { return BTreeMap::new() };
    let week_before = first.checked_sub(7.days()).unwrap_or(*first);
    let week_after = last.checked_add(7.days()).unwrap_or(*last);
    let days: BTreeSet<_> = old.iter().map(|date| date.date()).collect();
    let coming: Vec<DateTime> = plan
        .rule
        .dates(plan.first)
        .skip_while(|date| *date < week_before)
        .take_while(|date| *date <= week_after && new.reaches(*date))
        .filter(|date| days.contains(&date.date()) || plan.start_of(*date).is_some_and(|start| start > now))
        .collect();
    matched(&old, &coming)
}

/// Brings one date to what the series is now, but for what it keeps for itself, and notes who has to be told.
#[allow(clippy::too_many_arguments, reason = "one step of one loop")]
fn move_date(
    tx: &mut Tx<'_>,
    locked: &mut RunLocked,
    (was, is): (&SeriesRun, &Series),
    plan: &Plan,
    date: DateTime,
    by: Id,
    told: &mut BTreeMap<Id, Vec<DateChange>>,
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    let before = locked.run.clone();
    let is_on = matches!(before.status, RunStatus::Draft | RunStatus::Published | RunStatus::Paused);
    let start = plan.start_of(date).unwrap_or(before.starts_at);
    let kept = before.details.series_kept.0.clone();
    let draft = carried_over(&before.draft(), was, &is.draft, (start, &plan.time_zone), &kept);
    let draft = RunDraft { confirm_overlap: false, ..making::with_newcomer_places(draft, policy) };
    // A date that was skipped stays skipped, and one whose new start is over stays as it is.
    let possible = is_on && (draft.starts_at > now || draft.starts_at == before.starts_at);
    if !possible || draft == before.draft() {
        return runs::update(tx, locked);
    }
    match rewrite(tx, locked, &draft, now) {
        Ok(()) => {}
        // People are setting out, or what this date keeps does not go with the rest: it stays as it is.
        Err(Error::Refused(refusal)) if refusal.code == Code::ChangeTooLate => return stay(tx, locked, before),
        Err(Error::Invalid(_)) => return stay(tx, locked, before),
        Err(other) => return Err(other),
    }
    let changes = changing::ask(tx, &before, locked, by, policy, now)?;
    if !changes.is_empty() {
        for signup in signups::of_run(tx, locked.run.id, &SignupStatus::LIVE)? {
            let change = DateChange { signup_id: signup.id, changes: changes.clone() };
            told.entry(signup.account_id).or_default().push(change);
        }
    }
    fit(tx, &before, locked, policy, now)
}

fn stay(tx: &mut Tx<'_>, locked: &mut RunLocked, before: Run) -> Result<()> {
    locked.run = before;
    runs::update(tx, locked)
}

/// A date that the rule has no more: called off when nobody is on it, else it goes on by itself.
fn leave_out(tx: &mut Tx<'_>, locked: &mut RunLocked, by: Id, now: Instant) -> Result<()> {
    let is_on = matches!(locked.run.status, RunStatus::Draft | RunStatus::Published | RunStatus::Paused);
    if is_on && signups::of_run(tx, locked.run.id, &SignupStatus::LIVE)?.is_empty() {
        calling_off::end_quietly(tx, locked, CancelReason::Other, None, now)?;
        let run = locked.run.id;
        return notices::to_facilitators(tx, run, Some(by), &Notice::LeadRunCancelled { run_id: run }, now);
    }
    runs::update(tx, locked)
}
