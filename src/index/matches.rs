//! Matches: the best few runs for a person, found by weighing few of those that are near.
//!
//! A list has two parts: runs in the hours that the person gave, and, only where fewer than [`ENOUGH`] of these fit, some
//! outside them. Where too few fit in the time that is searched, the search goes on to the soonest that fit later. A series
//! stands once, with its best date. Invariant: what is found is what weighing every run would find; a property test holds it.

use super::{
    Found, RunIndex,
    bar::{Bar, put_best_first},
    grid::{Near, NearTile},
    tile::Slot,
};
use crate::{
    clock::Instant,
    domain::matching::{
        Fit, Limits, Scored, Viewer, best,
        bound::Bound,
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

impl Near {
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
    bound: Bound,
    now: Instant,
}

impl<'v> Weighing<'v> {
    fn new(viewer: &'v Viewer, search: &'v MatchSearch, limits: Limits, now: Instant) -> Self {
        // Runs that a person is on are shown on request, also full and closed ones.
        let mut bound =
            Bound::of(viewer, Limits { include_full: limits.include_full || search.include_mine, ..limits });
        if search.include_mine {
            bound.include_closed();
        }
        Self { viewer, search: MatchSearch { limits, ..*search }, bound, now }
    }

    /// The best `limit` in the time that is searched, best first, and where fewer than [`ENOUGH`] fit there, the soonest later
    /// ones that complete them; and from how many kilometres on nothing could be good enough.
    fn gather<'t>(&self, near: &'t Near, limit: usize, tie: &impl Fn(&[u8; 16]) -> u64) -> (Vec<Weighed<'t>>, f64) {
        let mut few = self.best_few(near, limit);
        if self.search.goes_on && few.found.len() < ENOUGH {
            self.add_soonest_later(near, &mut few);
        }
        let reach_km = self.bound.reach_km(few.bar.ln());
        let order = |slot: &&Slot| (slot.side.starts_at, *slot.side.id.as_bytes());
        (best(few.found.into_vec(), order, tie, limit), reach_km)
    }

    fn best_few<'t>(&self, near: &'t Near, limit: usize) -> BestFew<'t> {
        let (from, to) = (self.search.from.max(self.now), self.search.to);
        let mut few = BestFew::new(limit, self.least_score());
        let mut hopeful = Vec::new();
        for NearTile { nearest_km, tile, .. } in &near.0 {
            if self.bound.best_beyond(*nearest_km) < few.bar.ln() {
                break;
            }
            hopeful.clear();
            hopeful.extend(tile.between(from, to).filter_map(|(glance, slot)| {
                let best = self.bound.best_hope(glance)?;
                (best >= few.bar.ln()).then_some((best, slot))
            }));
            put_best_first(&mut hopeful, limit.saturating_mul(2));
            for (best, slot) in &hopeful {
                if *best < few.bar.ln() {
                    continue;
                }
                if let Some(scored) = self.weigh(slot, |scored| few.bar.lets_in(scored.steps())) {
                    few.take(scored, slot);
                }
            }
        }
        few
    }

    fn add_soonest_later<'t>(&self, near: &'t Near, few: &mut BestFew<'t>) {
        let from = self.search.to.max(self.now);
        let until = self.now.plus_days(FURTHEST_DAYS);
        let mut later: Vec<&Slot> = Vec::new();
        for NearTile { tile, .. } in &near.0 {
            let hopeful = tile.between(from, until).filter(|(glance, _)| self.bound.best_hope(glance).is_some());
            later.extend(hopeful.map(|(_, slot)| slot));
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
    bar: Bar,
    found: SeriesOnce<&'t Slot>,
}

impl<'t> BestFew<'t> {
    fn new(limit: usize, least: f64) -> Self {
        Self { bar: Bar::new(limit, least), found: SeriesOnce::default() }
    }

    /// Takes a run in, which the bar lets in. Another date of its series was counted for it: the bar is at most too low by
    /// that.
    fn take(&mut self, scored: Scored, slot: &'t Slot) {
        if self.found.take(scored, slot, |slot| &slot.side) {
            self.bar.take(scored.steps());
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
mod tests {
    use std::{
        cmp::Reverse,
        collections::{BTreeMap, BTreeSet},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Policy,
        domain::{
            matching::{
                Closed, Person, RunSide,
                engagements::{Engagement, Engagements},
                tests::{USUAL, person},
                verdict,
            },
            place::LatLng,
            signup::SignupStatus,
        },
        index::{
            find::tests::{any_side, epoch, index, leaders},
            grid::tests::{any_place, side},
        },
        service::run_sides::Read,
    };

    fn viewer(person: Person) -> Viewer {
        Viewer {
            id: Id::random(),
            person,
            known: BTreeSet::new(),
            closed: Closed::default(),
            engagements: Engagements::default(),
        }
    }

    fn search(limit: usize) -> MatchSearch {
        MatchSearch::usual(epoch(), 14, limit, USUAL.floor)
    }

    /// Few different hashes, so that the id decides as well.
    fn tie(id: &[u8; 16]) -> u64 {
        u64::from(id[15] % 4)
    }

    /// All runs weighed one by one, in the order of a list.
    struct Weighed<'a> {
        sides: &'a [RunSide],
        viewer: &'a Viewer,
        search: &'a MatchSearch,
    }

    type Key = (Reverse<i64>, Instant, u64, [u8; 16]);

    impl Weighed<'_> {
        fn key(&self, side: &RunSide, limits: Limits) -> Option<Key> {
            let mine = self.viewer.engagements.signup_for(side.id).is_some();
            let limits = Limits { include_full: limits.include_full || mine, ..limits };
            let ends_at = side.starts_at.plus_minutes(i64::from(side.duration_min));
            let elsewhere = self.viewer.engagements.overlap(side.id, side.starts_at, ends_at);
            let left_out = (mine && !self.search.include_mine)
                || (elsewhere && !mine && !self.search.include_overlapping)
                || (side.is_closed && !mine)
                || side.starts_at <= epoch();
            let fit = verdict(&self.viewer.person, &side.candidate(self.viewer), limits).ok().filter(|_| !left_out)?;
            let id = *side.id.as_bytes();
            Some((Reverse((fit.score * 1e9).round() as i64), side.starts_at, tie(&id), id))
        }

        /// The best `limit`, each series once, and the soonest later ones where these are too few.
        fn gather(&self, limits: Limits, limit: usize) -> Vec<(Key, Option<Id>)> {
            let (from, to) = (self.search.from.max(epoch()), self.search.to);
            let mut series: BTreeMap<Id, (Key, Option<Id>)> = BTreeMap::new();
            let mut list = Vec::new();
            for side in self.sides.iter().filter(|side| side.starts_at >= from && side.starts_at < to) {
                let Some(key) = self.key(side, limits) else { continue };
                let Some(id) = side.series else {
                    list.push((key, None));
                    continue;
                };
                let held = series.entry(id).or_insert((key, Some(id)));
                let date = |key: &Key| (key.0, key.1, key.3);
                if date(&key) < date(&held.0) {
                    held.0 = key;
                }
            }
            list.extend(series.into_values());
            list.sort_unstable();
            list.truncate(limit);
            if self.search.goes_on && list.len() < ENOUGH {
                let mut later: Vec<&RunSide> = self.sides.iter().filter(|side| side.starts_at >= to).collect();
                later.sort_unstable_by_key(|side| (side.starts_at, side.id));
                for side in later {
                    let is_known = side.series.is_some() && list.iter().any(|(_, series)| *series == side.series);
                    if let Some(key) = self.key(side, limits).filter(|_| list.len() < ENOUGH && !is_known) {
                        list.push((key, side.series));
                    }
                }
                list.sort_unstable();
            }
            list
        }

        fn list(&self) -> Vec<([u8; 16], bool)> {
            let mut fitting = self.gather(self.search.limits, self.search.limit.max(ENOUGH));
            let mut outside = Vec::new();
            if fitting.len() < ENOUGH && !self.viewer.person.availability.is_empty() {
                let limits = Limits { include_outside_hours: true, ..self.search.limits };
                outside = self.gather(limits, ENOUGH + fitting.len());
                outside.retain(|(key, series)| {
                    !fitting.iter().any(|known| known.0.3 == key.3 || (series.is_some() && known.1 == *series))
                });
                outside.truncate(ENOUGH);
            }
            fitting.truncate(self.search.limit);
            outside.truncate(self.search.limit - fitting.len());
            let ids =
                |list: Vec<(Key, Option<Id>)>, is_outside| list.into_iter().map(move |(key, _)| (key.3, is_outside));
            ids(fitting, false).chain(ids(outside, true)).collect()
        }
    }

    proptest! {
        #[test]
        fn best_few_are_those_of_weighing_every_run(
            sides in prop::collection::vec((any_side(), prop::option::of(0..6u128)), 1..150), (lat, lng) in any_place(),
            radius in 1.0..50.0f64, limit in 1..12usize,
            (from, days, include_full, goes_on) in (-9..20_000i64, 1..40i64, any::<bool>(), any::<bool>()),
            (bars, blocked, knows, ended) in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
            (mine, include_mine, overlapping, any_pace) in (0..3usize, any::<bool>(), any::<bool>(), any::<bool>()),
            hours in prop::collection::vec((0..7usize, 0..18i64), 0..4),
        ) {
            let series = |number: u128| Id(uuid::Uuid::from_u128(number + 1));
            let sides: Vec<RunSide> =
                sides.into_iter().map(|(side, number)| RunSide { series: number.map(series), ..side }).collect();
            let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let window = |(weekday, from): &(usize, i64)| {
                let text = format!(r#"{{"weekday":"{}","from":"{from:02}:30","to":"{:02}:00"}}"#, day[*weekday], from + 6);
                serde_json::from_str(&text).unwrap()
            };
            let me = Person {
                home: LatLng { lat, lng },
                travel_radius_km: radius,
                languages: vec!["en".into()],
                not_after_dark: true,
                availability: hours.iter().map(window).collect(),
                ..person()
            };
            let [one, other, third, _] = leaders();
            let some = |is_so: bool, who: Id| if is_so { BTreeSet::from([who]) } else { BTreeSet::new() };
            let status = [SignupStatus::Confirmed, SignupStatus::Waitlisted];
            let engagement = |side: &RunSide| Engagement {
                run: side.id,
                signup: Some((Id::random(), status[side.id.as_bytes()[0] as usize % 2])),
                starts_at: side.starts_at,
                ends_at: side.starts_at.plus_minutes(600),
            };
            let viewer = Viewer {
                known: some(knows, third),
                closed: Closed {
                    barred_by: some(bars, one),
                    apart_from: some(blocked, other),
                    runs: some(ended, sides[0].id),
                },
                engagements: Engagements::new(sides.iter().rev().take(mine).map(engagement).collect()),
                ..viewer(me)
            };
            let from = epoch().plus_minutes(from);
            let search = MatchSearch {
                from,
                to: from.plus_days(days),
                goes_on,
                limits: Limits { include_full, include_any_pace: any_pace, ..USUAL },
                include_mine,
                include_overlapping: overlapping,
                ..search(limit)
            };
            let expected = Weighed { sides: &sides, viewer: &viewer, search: &search }.list();
            let found: Vec<([u8; 16], bool)> = index(&sides)
                .matches(&viewer, &search, epoch(), tie)
                .into_iter()
                .map(|item| (*item.found.id.as_bytes(), item.is_outside_hours))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    fn weekly(series: Option<Id>, minutes: i64) -> RunSide {
        RunSide { series, ..side(51.5, -0.1, minutes) }
    }

    #[test]
    fn series_names_its_other_dates_until_they_have_begun() {
        let series = Id::random();
        let week = 7 * 24 * 60;
        let dates: Vec<RunSide> = (0..5).map(|nth| weekly(Some(series), 600 + nth * week)).collect();
        let index = RunIndex::new(Policy::default());
        index.fill(dates.iter().map(|side| Read { side: side.clone(), good_until: None }));
        let (viewer, search) = (viewer(person()), MatchSearch { goes_on: true, ..search(20) });
        let names = |now: Instant| {
            let found = index.matches(&viewer, &search, now, tie);
            assert_eq!(found.len(), 1);
            let dates = index.other_dates(&viewer, &search, &found[0], now);
            (found[0].found.id, dates.into_iter().map(|date| date.run).collect::<Vec<_>>())
        };
        let ids: Vec<Id> = dates.iter().map(|side| side.id).collect();
        assert_eq!(names(epoch()), (ids[0], ids[1..].to_vec()));
        index.write().drop_begun(epoch().plus_minutes(600));
        assert_eq!(names(epoch().plus_minutes(600)), (ids[1], ids[2..].to_vec()));
        index.write().remove(ids[2]);
        assert_eq!(names(epoch().plus_minutes(600)), (ids[1], ids[3..].to_vec()));
        for id in ids {
            index.write().remove(id);
        }
        assert_eq!(index.read().dates(series).count(), 0);
    }

    #[test]
    fn equal_runs_stand_by_their_start() {
        let sides = [weekly(None, 5_000), weekly(None, 700), weekly(None, 9_000)];
        let found = index(&sides).matches(&viewer(person()), &search(20), epoch(), tie);
        let starts: Vec<Instant> = found.iter().map(|item| item.found.starts_at).collect();
        assert!(starts.is_sorted(), "{starts:?}");
    }
}
