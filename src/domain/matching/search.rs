//! The one rule by which runs are proposed to a person: in lists of matches, alerts and mails that name other runs.

use std::collections::{HashMap, hash_map::Entry};

use super::{IndexedRun, Limits, Scored, Viewer};
use crate::{clock::Instant, id::Id};

/// Which runs somebody searches for matches.
#[derive(Debug, Clone, Copy)]
pub struct MatchSearch {
    pub from: Instant,
    /// Excluded.
    pub to: Instant,
    /// Where too few runs fit before `to`, the soonest later ones that fit are found as well.
    pub goes_on: bool,
    pub limit: usize,
    pub limits: Limits,
    /// Runs that the person is on already are shown as well.
    pub include_mine: bool,
    /// Runs at the time of a place that the person has are shown as well.
    pub include_overlapping: bool,
}

impl MatchSearch {
    /// A search for the best `limit` runs of the next `days` days, under usual limits with this floor.
    pub fn usual(now: Instant, days: i64, limit: usize, floor: f64) -> Self {
        Self {
            from: now,
            to: now.plus_days(days),
            goes_on: false,
            limit,
            limits: Limits::usual(floor),
            include_mine: false,
            include_overlapping: false,
        }
    }

    /// The score of a run that may be proposed to a person and that `is_wanted` says yes to; none of a run that has begun,
    /// whose list is closed, that the person is on or leads, that lies at the time of one of their places, that the
    /// [`Limits`] leave out, or that is closed to the person.
    pub fn weigh(
        &self,
        viewer: &Viewer,
        run: &IndexedRun,
        now: Instant,
        is_wanted: impl FnOnce(&Scored) -> bool,
    ) -> Option<Scored> {
        let is_mine = viewer.engagements.signup_for(run.id).is_some();
        if run.starts_at <= now || (is_mine && !self.include_mine) || (run.is_closed && !is_mine) {
            return None;
        }
        // A run on which the person has a place is no fuller for them than it is.
        let limits = Limits { include_full: self.limits.include_full || is_mine, ..self.limits };
        let scored = Scored::of(&viewer.person, &run.if_open(viewer), limits).filter(is_wanted)?;
        if !is_mine && !self.include_overlapping {
            let ends_at = run.starts_at.plus_minutes(i64::from(run.duration_min));
            if viewer.engagements.overlap(run.id, run.starts_at, ends_at) {
                return None;
            }
        }
        // The listings lie elsewhere in memory: they are read of the few runs that come so far.
        (!run.is_closed_to(viewer)).then_some(scored)
    }
}

/// Keeps of each series its best date: the highest score, and of equal ones the sooner.
#[derive(Debug)]
pub struct SeriesOnce<T> {
    found: Vec<(Scored, T)>,
    /// Where in `found` the date of each series is.
    of_series: HashMap<Id, usize, foldhash::fast::RandomState>,
}

impl<T> Default for SeriesOnce<T> {
    fn default() -> Self {
        Self { found: Vec::new(), of_series: HashMap::default() }
    }
}

impl<T> SeriesOnce<T> {
    /// Takes a run in; says whether it is the first of its series, or of none. `run` gives the side of what was kept.
    pub fn take<'s>(&mut self, scored: Scored, item: T, run: impl Fn(&T) -> &'s IndexedRun) -> bool {
        if let Some(series) = run(&item).series {
            match self.of_series.entry(series) {
                Entry::Occupied(at) => {
                    let held = &mut self.found[*at.get()];
                    let key = |scored: &Scored, run: &IndexedRun| (-scored.steps(), run.starts_at, run.id);
                    if key(&scored, run(&item)) < key(&held.0, run(&held.1)) {
                        *held = (scored, item);
                    }
                    return false;
                }
                Entry::Vacant(place) => {
                    place.insert(self.found.len());
                }
            }
        }
        self.found.push((scored, item));
        true
    }

    /// Whether a date of this series was taken in.
    pub fn has(&self, series: Id) -> bool {
        self.of_series.contains_key(&series)
    }

    /// How many were taken in, each series once.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether none was taken in.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Gives the runs that were taken in, in no order.
    pub fn into_vec(self) -> Vec<(Scored, T)> {
        self.found
    }
}
