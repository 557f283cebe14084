//! Making the dates of series some weeks ahead, in small steps that can be broken off at any moment.
//!
//! A series says which date is made next; a step locks some series, makes what is due and notes how far it came, in one
//! transaction. What was made before is left alone, so any number of workers may do it, and none twice.

use std::collections::{BTreeMap, BTreeSet};

use super::regulars;
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        run::{ListingStatus, RunDraft, RunStatus},
        series::{Plan, SeriesStatus},
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{
        alerts,
        overlaps::is_walkable,
        runs::{calling, planned},
    },
    store::{
        Db, Tx, accounts,
        facilitators::{self, Listing},
        outbox::{self, Promise},
        overlaps::{self, Engagement},
        runs::{self, Run},
        series::{self, Regular, Series},
    },
};

/// Series in one transaction, where nobody comes to every date.
const SERIES_AT_ONCE: i64 = 100;
/// Steps that one round of the housekeeping takes before others have their turn.
const STEPS_A_ROUND: usize = 20;

/// Until when dates are made.
pub fn horizon(policy: &Policy, now: Instant) -> Instant {
    now.plus_days(7 * policy.series_weeks_ahead)
}

/// Makes what is due, up to a bounded number of series; returns how many it made something of.
pub fn make_due(db: &Db, policy: &Policy, now: Instant) -> Result<usize> {
    let mut done = 0;
    for _ in 0..STEPS_A_ROUND {
        let due = db.read_here(|conn| series::due(conn, horizon(policy, now), SERIES_AT_ONCE))?;
        let with_regulars: BTreeSet<Id> = db.read_here(|conn| {
            Ok(series::regulars(conn, &due)?.into_iter().map(|regular| regular.series_id).collect())
        })?;
        // People are locked while they are seated: those of one series at a time.
        let (few, many): (Vec<Id>, Vec<Id>) = due.into_iter().partition(|id| with_regulars.contains(id));
        let mut acted = if many.is_empty() { 0 } else { step(db, &many, policy, now) };
        for id in few {
            acted += step(db, &[id], policy, now);
        }
        if acted == 0 {
            break;
        }
        done += acted;
    }
    Ok(done)
}

fn step(db: &Db, ids: &[Id], policy: &Policy, now: Instant) -> usize {
    db.write_here(|tx| make_these(tx, ids, policy, now)).unwrap_or_else(|error| {
        tracing::warn!(%error, "the dates of some series have to wait");
        0
    })
}

/// Makes what is due of these series; those that somebody else holds are left to them.
fn make_these(tx: &mut Tx<'_>, ids: &[Id], policy: &Policy, now: Instant) -> Result<usize> {
    let known: BTreeSet<Id> = series::regulars(tx, ids)?.into_iter().map(|regular| regular.account_id).collect();
    // Who leads is locked as well: nobody takes on another run at the time of a date that is being made.
    let leaders = series::leaders(tx, ids)?;
    let people: BTreeSet<Id> = leaders.values().flatten().chain(&known).copied().collect();
    accounts::lock_all(tx, &people.into_iter().collect::<Vec<_>>())?;
    let until = horizon(policy, now);
    let mut due = series::lock_free(tx, ids)?;
    due.retain(|one| {
        one.status == SeriesStatus::Active && (one.seats_due || one.next_at.is_some_and(|at| at <= until))
    });
    let of: Vec<Id> = due.iter().map(|one| one.id).collect();
    let people = series::regulars(tx, &of)?;
    // Whoever became a regular a moment ago is not locked: their series has its turn next time.
    let too_new: BTreeSet<Id> =
        people.iter().filter(|regular| !known.contains(&regular.account_id)).map(|regular| regular.series_id).collect();
    due.retain(|one| !too_new.contains(&one.id));
    make(tx, &due, &people, policy, now)?;
    Ok(due.len())
}

/// Makes what is due of these locked series and seats their regulars, whose accounts are locked. A date at which a leader of
/// the series is elsewhere is made without them: it is on hold unless somebody else leads it, and the leader is told.
pub(super) fn make(tx: &mut Tx<'_>, due: &[Series], people: &[Regular], policy: &Policy, now: Instant) -> Result<()> {
    let ids: Vec<Id> = due.iter().map(|one| one.id).collect();
    let leaders = series::leaders(tx, &ids)?;
    let good = in_good_standing(tx, &leaders, now)?;
    let from = due.iter().filter_map(|one| one.next_date.as_deref()).min().unwrap_or("9");
    // A day has one date: it is there whatever its hour was when it was made.
    let made = series::dates_made(tx, &ids, day_of(from))?;
    let there: BTreeSet<(Id, String)> = made.iter().map(|(of, date)| (*of, day_of(date).to_owned())).collect();
    let mut busy = Engagements::of(tx, &leaders, now, horizon(policy, now))?;
    let (mut fresh, mut listings, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    for one in due {
        // Whoever may not lead for now is listed as well: a date goes on when they may again.
        let led_by = leaders.get(&one.id).map_or(&[][..], Vec::as_slice);
        for mut run in fresh_dates(tx, one, &there, policy, now)? {
            let confirms = one.draft.draft().confirm_overlap;
            let (away, free): (Vec<Id>, Vec<Id>) =
                led_by.iter().partition(|leader| busy.take(**leader, &run, confirms).is_some());
            if !free.iter().any(|leader| good.contains(leader)) {
                // Promise 3: nobody gets in until somebody takes over.
                (run.status, run.paused_at) = (RunStatus::Paused, Some(now));
            }
            listings.extend(free.iter().map(|leader| {
                Listing::leader(run.id, *leader, ListingStatus::Accepted, one.created_by.unwrap_or(*leader), now)
            }));
            elsewhere.extend(away.into_iter().map(|leader| (leader, run.id)));
            fresh.push(run);
        }
    }
    runs::insert_all(tx, &fresh)?;
    facilitators::insert_listings(tx, &listings)?;
    alerts::enqueue_alert_scan(tx, &fresh.iter().collect::<Vec<_>>(), now)?;
    for (leader, run) in elsewhere {
        let promise = Promise::new(leader, Notice::SeriesDateOverlaps { run_id: run }).of_run(run);
        outbox::promise(tx, promise, now)?;
    }
    let mut paused: Vec<Id> = fresh.iter().filter(|run| run.status == RunStatus::Paused).map(|run| run.id).collect();
    paused.sort_unstable();
    for run in paused {
        let locked = runs::lock(tx, run)?;
        calling::call(tx, &locked, None, policy, now)?;
    }
    seat(tx, due, people, &fresh, policy, now)
}

/// Where leaders of series are meanwhile, with the dates that are being made.
pub(super) struct Engagements(Vec<Engagement>);

impl Engagements {
    fn of(tx: &mut Tx<'_>, leaders: &BTreeMap<Id, Vec<Id>>, from: Instant, to: Instant) -> Result<Self> {
        let people: BTreeSet<Id> = leaders.values().flatten().copied().collect();
        let people: Vec<Id> = people.into_iter().collect();
        // A date may begin at the horizon and last half a day.
        let to = to.plus_days(1);
        let mut all = overlaps::led_by(tx, &people, from, to)?;
        all.extend(overlaps::places_of(tx, &people, from, to)?);
        Ok(Self(all))
    }

    /// What keeps somebody from leading this date; where nothing does, the date is theirs from now on.
    fn take(&mut self, leader: Id, run: &Run, confirms: bool) -> Option<Engagement> {
        let point = run.meeting_point().point();
        let is_in_the_way = |other: &&Engagement| {
            let both = confirms && other.signup.is_none() && is_walkable(other.point, point);
            other.account == leader && other.overlaps(run.starts_at, run.ends_at) && !both
        };
        let found = self.0.iter().find(is_in_the_way).cloned();
        if found.is_none() {
            self.0.push(Engagement {
                account: leader,
                run: run.id,
                title: run.title.clone(),
                starts_at: run.starts_at,
                ends_at: run.ends_at,
                point,
                shown: run.shown(),
                signup: None,
            });
        }
        found
    }
}

/// The day of a date that is kept as local date and time.
fn day_of(date: &str) -> &str {
    date.split_once('T').map_or(date, |(day, _)| day)
}

/// The runs of a series' next dates, and notes which date comes after them.
fn fresh_dates(
    tx: &mut Tx<'_>,
    one: &Series,
    there: &BTreeSet<(Id, String)>,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Run>> {
    let plan = match one.draft().plan(now, false) {
        Ok(plan) => plan,
        Err(faults) => {
            tracing::error!(series = %one.id, ?faults, "no more dates can be made of a series");
            series::note_next(tx, one.id, None)?;
            return Ok(Vec::new());
        }
    };
    let (until, mut next, mut fresh) = (horizon(policy, now), None, Vec::new());
    for (date, start) in plan.dates_after(now).take_while(|(date, _)| one.reaches(*date)) {
        let word = date.to_string();
        if one.next_date.as_ref().is_none_or(|next| word < *next) || there.contains(&(one.id, day_of(&word).to_owned()))
        {
            continue;
        }
        if start > until {
            next = Some((word, start));
            break;
        }
        let draft = with_newcomer_places(one.draft.on(start, &plan.time_zone), policy);
        let mut run = planned(one.created_by, &draft, plan.derived.at(&draft), now);
        (run.series_id, run.series_date) = (Some(one.id), Some(word));
        fresh.push(run);
    }
    series::note_next(tx, one.id, next)?;
    Ok(fresh)
}

/// A date keeps the house's number of places for newcomers where the series does not say.
pub(super) fn with_newcomer_places(draft: RunDraft, policy: &Policy) -> RunDraft {
    let wanted = draft.newcomer_places.unwrap_or(policy.newcomer_places);
    RunDraft { newcomer_places: Some(wanted.min(draft.capacity)), ..draft }
}

fn in_good_standing(tx: &mut Tx<'_>, leaders: &BTreeMap<Id, Vec<Id>>, now: Instant) -> Result<BTreeSet<Id>> {
    let people: BTreeSet<Id> = leaders.values().flatten().copied().collect();
    facilitators::in_good_standing(tx, &people.into_iter().collect::<Vec<_>>(), now)
}

/// Seats regulars on the dates that were just made, and on all where that is due; who came first comes first.
fn seat(
    tx: &mut Tx<'_>,
    due: &[Series],
    people: &[Regular],
    fresh: &[Run],
    policy: &Policy,
    now: Instant,
) -> Result<()> {
    for one in due {
        let mine: Vec<&Regular> = people.iter().filter(|regular| regular.series_id == one.id).collect();
        if mine.is_empty() {
            continue;
        }
        let mut dates: Vec<Id> = fresh.iter().filter(|run| run.series_id == Some(one.id)).map(|run| run.id).collect();
        if one.seats_due {
            dates = series::runs_to_come(tx, one.id, now)?.iter().map(|run| run.id).collect();
        }
        dates.sort_unstable();
        for date in dates {
            let mut locked = runs::lock(tx, date)?;
            for regular in &mine {
                regulars::seat(tx, &mut locked, regular.account_id, policy, now)?;
            }
        }
    }
    Ok(())
}

/// Notes in a series which of its dates is looked at next: the first to come. Dates that are there are passed over.
pub(super) fn plan_next(one: &mut Series, plan: &Plan, now: Instant) {
    let next = plan.dates_after(now).next().filter(|(date, _)| one.reaches(*date));
    (one.next_date, one.next_at) = next.map(|(date, start)| (date.to_string(), start)).unzip();
    if one.status != SeriesStatus::Active {
        one.next_at = None;
    }
}
