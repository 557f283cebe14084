//! The engine of matches against weighing every run.

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
            Closed, IndexedRun, Person,
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
    sides: &'a [IndexedRun],
    viewer: &'a Viewer,
    search: &'a MatchSearch,
}

type Key = (Reverse<i64>, Instant, u64, [u8; 16]);

impl Weighed<'_> {
    fn key(&self, side: &IndexedRun, limits: Limits) -> Option<Key> {
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
            let mut later: Vec<&IndexedRun> = self.sides.iter().filter(|side| side.starts_at >= to).collect();
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
        let ids = |list: Vec<(Key, Option<Id>)>, is_outside| list.into_iter().map(move |(key, _)| (key.3, is_outside));
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
        let sides: Vec<IndexedRun> =
            sides.into_iter().map(|(side, number)| IndexedRun { series: number.map(series), ..side }).collect();
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
        let engagement = |side: &IndexedRun| Engagement {
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

fn weekly(series: Option<Id>, minutes: i64) -> IndexedRun {
    IndexedRun { series, ..side(51.5, -0.1, minutes) }
}

#[test]
fn series_names_its_other_dates_until_they_have_begun() {
    let series = Id::random();
    let week = 7 * 24 * 60;
    let dates: Vec<IndexedRun> = (0..5).map(|nth| weekly(Some(series), 600 + nth * week)).collect();
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
