//! Matches: the best few runs for a person, found by weighing few of those that are near.
//!
//! A list has two parts: runs in the hours that the person gave, and, only where fewer than [`ENOUGH`] of these fit, some
//! outside them. Where too few fit in the time that is searched, the search goes on to the soonest that fit later. A series
//! stands once, with its best date. Invariant: what is found is what weighing every run would find; a property test holds it.

use super::{
    Found, RunIndex,
    grid::{NearbyTile, NearbyTiles},
    tile::Slot,
    top_k::{TopK, partial_sort_desc},
};
use crate::{
    clock::Instant,
    domain::matching::{
        Fit, Limits, Scored, Viewer, best,
        bound::ScoreBound,
        search::{MatchSearch, SeriesOnce},
    },
    id::Id,
};

/// Fewer runs than this leave a person without a choice (matching.md, 4a, 4f and 4k).
pub const ENOUGH: usize = 3;
/// Further dates of a series that an answer names: a season of weekly runs is made eight weeks ahead.
const DATES_NAMED: usize = 8;
/// How far ahead a search goes that goes on, in days: no run is planned later.
pub const FURTHEST_DAYS: i64 = 3_660;

/// A run that was found for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedRun {
    pub found: Found,
    pub fit: Fit,
    /// Less than three quarters of it lies in the hours that the person gave.
    pub is_outside_hours: bool,
    /// The series of which it is a date.
    pub series: Option<Id>,
}

/// What was found for a person.
pub struct Matched {
    /// Those in the person's hours, best first, then those outside them, best first.
    pub best: Vec<MatchedRun>,
    /// How many runs fit in the person's hours; not more than were asked for, or [`ENOUGH`] if that is more.
    pub fitting: usize,
    /// From so many kilometres on nothing could be good enough, whatever changes there.
    pub reach_km: f64,
}

/// A date of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesDate {
    pub run: Id,
    pub starts_at: Instant,
    /// The start on the local clock of the place.
    pub local_start: jiff::civil::DateTime,
}

type Weighed<'t> = (Scored, &'t Slot);

impl NearbyTiles {
    /// The runs in these tiles that fit a person who lives in their middle. `tie` is a keyed hash of person and run, in whose
    /// order equal runs at one time stand.
    pub fn matches(
        &self,
        viewer: &Viewer,
        search: &MatchSearch,
        now: Instant,
        tie: impl Fn(&[u8; 16]) -> u64,
    ) -> Matched {
        let limit = search.limit.max(ENOUGH);
        let inside = Weighing::new(viewer, search, search.limits, now);
        let (mut fitting, reach_km) = inside.gather(self, limit, &tie);
        let mut outside = Vec::new();
        if fitting.len() < ENOUGH && !viewer.person.availability.is_empty() && !search.limits.include_outside_hours {
            let limits = Limits { include_outside_hours: true, ..search.limits };
            let is_known = |slot: &Slot| fitting.iter().any(|(_, known)| is_same(known, slot));
            outside = Weighing::new(viewer, search, limits, now).gather(self, ENOUGH + fitting.len(), &tie).0;
            outside.retain(|(_, slot)| !is_known(slot));
            outside.truncate(ENOUGH);
        }
        let number = fitting.len();
        fitting.truncate(search.limit);
        outside.truncate(search.limit - fitting.len());
        let put = |is_outside_hours: bool| {
            move |(scored, slot): Weighed<'_>| MatchedRun {
                found: Found::of(slot),
                fit: scored.into_fit(&viewer.person, &slot.side.if_open(viewer)).rounded(),
                is_outside_hours,
                series: slot.side.series,
            }
        };
        let best = fitting.into_iter().map(put(false)).chain(outside.into_iter().map(put(true))).collect();
        Matched { best, fitting: number, reach_km }
    }
}

/// Whether two are one run, or dates of one series.
fn is_same(one: &Slot, other: &Slot) -> bool {
    one.side.id == other.side.id || one.side.series.is_some_and(|series| other.side.series == Some(series))
}

/// One person's search under some limits.
struct Weighing<'v> {
    viewer: &'v Viewer,
    search: MatchSearch,
    bound: ScoreBound,
    now: Instant,
}

impl<'v> Weighing<'v> {
    fn new(viewer: &'v Viewer, search: &'v MatchSearch, limits: Limits, now: Instant) -> Self {
        // Runs that a person is on are shown on request, also full and closed ones.
        let mut bound =
            ScoreBound::of(viewer, Limits { include_full: limits.include_full || search.include_mine, ..limits });
        if search.include_mine {
            bound.include_closed();
        }
        Self { viewer, search: MatchSearch { limits, ..*search }, bound, now }
    }

    /// The best `limit` in the time that is searched, best first, and where fewer than [`ENOUGH`] fit there, the soonest later
    /// ones that complete them; and from how many kilometres on nothing could be good enough.
    fn gather<'t>(
        &self,
        near: &'t NearbyTiles,
        limit: usize,
        tie: &impl Fn(&[u8; 16]) -> u64,
    ) -> (Vec<Weighed<'t>>, f64) {
        let mut few = self.best_few(near, limit);
        if self.search.goes_on && few.found.len() < ENOUGH {
            self.add_soonest_later(near, &mut few);
        }
        let reach_km = self.bound.reach_km(few.top.log_threshold());
        let order = |slot: &&Slot| (slot.side.starts_at, *slot.side.id.as_bytes());
        (best(few.found.into_vec(), order, tie, limit), reach_km)
    }

    fn best_few<'t>(&self, near: &'t NearbyTiles, limit: usize) -> BestFew<'t> {
        let (from, to) = (self.search.from.max(self.now), self.search.to);
        let mut few = BestFew::new(limit, self.least_score());
        let mut candidates = Vec::new();
        for NearbyTile { nearest_km, tile, .. } in &near.0 {
            if self.bound.upper_bound_beyond(*nearest_km) < few.top.log_threshold() {
                break;
            }
            candidates.clear();
            candidates.extend(tile.between(from, to).filter_map(|(packed, slot)| {
                let best = self.bound.upper_bound(packed)?;
                few.top.may_enter(best, || slot.side.starts_at).then_some((best, slot))
            }));
            // A tile's runs lie in the order of their starts: the sooner of two equal bounds is weighed first.
            let place = |slot: &&Slot| std::ptr::from_ref::<Slot>(slot).addr();
            partial_sort_desc(&mut candidates, limit.saturating_mul(2), place);
            for (best, slot) in &candidates {
                let starts_at = slot.side.starts_at;
                if !few.top.may_enter(*best, || starts_at) {
                    continue;
                }
                if let Some(scored) = self.weigh(slot, |scored| few.top.would_enter(scored.steps(), starts_at)) {
                    few.take(scored, slot);
                }
            }
        }
        few
    }

    fn add_soonest_later<'t>(&self, near: &'t NearbyTiles, few: &mut BestFew<'t>) {
        let from = self.search.to.max(self.now);
        let until = self.now.plus_days(FURTHEST_DAYS);
        let mut later: Vec<&Slot> = Vec::new();
        for NearbyTile { tile, .. } in &near.0 {
            let candidates = tile.between(from, until).filter(|(packed, _)| self.bound.upper_bound(packed).is_some());
            later.extend(candidates.map(|(_, slot)| slot));
        }
        later.sort_unstable_by_key(|slot| slot.order());
        for slot in later {
            if few.found.len() >= ENOUGH {
                break;
            }
            let is_new = slot.side.series.is_none_or(|series| !few.found.has(series));
            if is_new && let Some(scored) = self.weigh(slot, |_| true) {
                few.take(scored, slot);
            }
        }
    }

    fn least_score(&self) -> f64 {
        if self.search.limits.include_any_pace { 0.0 } else { self.search.limits.floor }
    }

    fn weigh(&self, slot: &Slot, is_wanted: impl FnOnce(&Scored) -> bool) -> Option<Scored> {
        self.search.weigh(self.viewer, &slot.side, self.now, is_wanted)
    }
}

/// The best few so far, each series once.
struct BestFew<'t> {
    top: TopK,
    found: SeriesOnce<&'t Slot>,
}

impl<'t> BestFew<'t> {
    fn new(limit: usize, least: f64) -> Self {
        Self { top: TopK::new(limit, least), found: SeriesOnce::default() }
    }

    /// Takes a run in that would enter the best few. Where another date of its series was counted, the threshold is at most
    /// too low.
    fn take(&mut self, scored: Scored, slot: &'t Slot) {
        if self.found.take(scored, slot, |slot| &slot.side) {
            self.top.push(scored.steps(), slot.side.starts_at);
        }
    }
}

impl RunIndex {
    /// The other dates of a series that fit a person as `matched` does, by start.
    pub fn other_dates(
        &self,
        viewer: &Viewer,
        search: &MatchSearch,
        matched: &MatchedRun,
        now: Instant,
    ) -> Vec<SeriesDate> {
        let Some(series) = matched.series else { return Vec::new() };
        let limits = Limits { include_outside_hours: matched.is_outside_hours, ..search.limits };
        let weighing = Weighing::new(viewer, search, limits, now);
        let is_in_time = |at: Instant| at >= search.from && (search.goes_on || at < search.to);
        let grid = self.read();
        grid.dates(series)
            .filter(|slot| slot.side.id != matched.found.id && is_in_time(slot.side.starts_at))
            .filter(|slot| weighing.weigh(slot, |_| true).is_some())
            .take(DATES_NAMED)
            .map(|slot| SeriesDate {
                run: slot.side.id,
                starts_at: slot.side.starts_at,
                local_start: slot.side.local_start,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
