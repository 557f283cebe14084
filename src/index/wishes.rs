//! The wish index: all standing match requests, in memory, so that whom a run fits is found at once.
//!
//! The other way round than the run index: a person looks for runs there, a run looks for people here. Only the worker
//! asks, so it is read when the first run waits, and catches up with the numbered changes each time. What it finds is
//! weighed once more, from the database, when the mail is written. Invariant: it holds the centre of a cell, never a point.

use std::{
    collections::{BTreeSet, HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    change_cursor::ChangeCursor,
    top_k::{TopK, partial_sort_desc},
};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        matching::{
            Closed, Limits, Person, Scored, Viewer, best,
            bound::{PackedRun, ScoreBound},
            engagements::Engagements,
        },
        place::{BoundingBox, LatLng},
    },
    error::Result,
    id::Id,
    service::{
        alerts::{self, Offer},
        matching,
    },
    store::{
        Conn,
        accounts::{self, Profile},
        changes::{Change, ChangeKind},
        match_requests::{self, MatchRequest},
    },
};

/// The furthest that anybody travels, in kilometres.
const FURTHEST_KM: f64 = 50.0;
/// Requests read in one stretch.
const READ_AT_ONCE: i64 = 5_000;
/// Side of a tile, in degrees.
const TILE_DEGREES: f64 = 0.5;

/// All standing match requests.
pub struct WishIndex {
    /// Another one after the database was away: a thread that waits for an answer from before may hold the old one for good.
    held: Mutex<Arc<Mutex<Held>>>,
    policy: Policy,
}

/// Somebody's wish.
struct Entry {
    request: Id,
    expires_at: Instant,
    viewer: Viewer,
}

type Place = (i16, i16);

#[derive(Default)]
struct Tile {
    entries: Vec<Entry>,
    /// What a first look reads of each entry, apart from them: thousands lie close together.
    bounds: Vec<ScoreBound>,
    at: HashMap<Id, usize>,
}

#[derive(Default)]
struct Held {
    cursor: Option<ChangeCursor>,
    tiles: HashMap<Place, Tile>,
    places: HashMap<Id, (Place, Id)>,
    of_person: HashMap<Id, BTreeSet<Id>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WishIndex {
    /// An index that reads what there is when it is first asked.
    pub fn new(policy: Policy) -> Self {
        Self { held: Mutex::default(), policy }
    }

    fn shared(&self) -> Arc<Mutex<Held>> {
        lock(&self.held).clone()
    }

    /// Forgets everything, so that it is read afresh, also by whoever waits for the database now.
    pub fn start_afresh(&self) {
        *lock(&self.held) = Arc::default();
    }

    /// How many wishes are held.
    pub fn len(&self) -> usize {
        lock(&self.shared()).places.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads what is new, or all at first.
    ///
    /// # Errors
    /// What the database says; then all is read afresh the next time.
    pub fn catch_up(&self, conn: &mut Conn) -> Result<()> {
        let shared = self.shared();
        let mut held = lock(&shared);
        let news = match &mut held.cursor {
            Some(cursor) => cursor.poll(conn, |_| false),
            None => Ok(None),
        };
        let done = match news {
            Ok(Some(news)) if news.iter().all(|change| change.kind != ChangeKind::Everything) => {
                self.refresh(&mut held, conn, &news)
            }
            Ok(_) => self.load(&mut held, conn),
            Err(error) => Err(error),
        };
        if done.is_err() {
            held.cursor = None;
        }
        done
    }

    /// Reads what is new, where all was read before: whoever looks seldom would have to read all again.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub fn keep_up(&self, conn: &mut Conn) -> Result<()> {
        let is_read = lock(&self.shared()).cursor.is_some();
        if is_read { self.catch_up(conn) } else { Ok(()) }
    }

    fn load(&self, held: &mut Held, conn: &mut Conn) -> Result<()> {
        let cursor = ChangeCursor::at_head(conn)?;
        *held = Held::default();
        let mut after = Id::nil();
        loop {
            let some = match_requests::stretch(conn, after, READ_AT_ONCE)?;
            let Some(last) = some.last() else { break };
            after = last.id;
            self.put(held, conn, some)?;
        }
        held.cursor = Some(cursor);
        Ok(())
    }

    fn refresh(&self, held: &mut Held, conn: &mut Conn, news: &BTreeSet<Change>) -> Result<()> {
        let mut changed: BTreeSet<Id> = BTreeSet::new();
        for change in news {
            match change.kind {
                ChangeKind::MatchRequest => {
                    changed.insert(change.subject);
                }
                ChangeKind::Person => changed.extend(held.of_person.get(&change.subject).into_iter().flatten()),
                ChangeKind::Run | ChangeKind::Everything => {}
            }
        }
        let changed: Vec<Id> = changed.into_iter().collect();
        for some in changed.chunks(1000) {
            let rows = match_requests::of_ids(conn, some)?;
            some.iter().for_each(|id| held.remove(*id));
            self.put(held, conn, rows)?;
        }
        Ok(())
    }

    fn put(&self, held: &mut Held, conn: &mut Conn, requests: Vec<MatchRequest>) -> Result<()> {
        let people: BTreeSet<Id> = requests.iter().map(|request| request.account_id).collect();
        let people: Vec<Id> = people.into_iter().collect();
        let profiles: HashMap<Id, Profile> =
            accounts::profiles(conn, &people)?.into_iter().map(|profile| (profile.account_id, profile)).collect();
        for request in requests {
            let profile = profiles.get(&request.account_id).map(matching::person_of).transpose()?;
            if let Some(person) = request.wish.person(profile.as_ref()) {
                held.insert(Entry::new(&request, person, self.policy.match_floor));
            }
        }
        Ok(())
    }

    /// Whom a run fits well, best first, each person once, at most `limit`: exactly those for whom the fit under one of
    /// their standing requests is good, but for those who are left out.
    pub fn who_fits(&self, offer: &Offer, limit: usize, now: Instant, tie: impl Fn(&[u8; 16]) -> u64) -> Vec<Id> {
        let (run, packed) = (&offer.side, PackedRun::of(&offer.side));
        let mut top = TopK::new(limit, alerts::least_score(&self.policy));
        let limits = Limits::usual(self.policy.match_floor);
        let shared = self.shared();
        let held = lock(&shared);
        let entries = held.around(run.place).flat_map(|tile| tile.bounds.iter().zip(&tile.entries));
        let mut candidates: Vec<(f64, &Entry)> = entries
            .filter_map(|(bound, entry)| {
                let best = bound.upper_bound(&packed)?;
                (best >= top.log_threshold()).then_some((best, entry))
            })
            .collect();
        partial_sort_desc(&mut candidates, limit.saturating_mul(2), |_| 0);
        let mut found: HashMap<Id, Scored> = HashMap::new();
        for (best, entry) in candidates {
            let person = entry.viewer.id;
            if best < top.log_threshold() || entry.expires_at <= now || offer.left_out.contains(&person) {
                continue;
            }
            let mut candidate = run.candidate(&entry.viewer);
            candidate.known_face = offer.known_to.contains(&person);
            let scored = Scored::of(&entry.viewer.person, &candidate, limits);
            let Some(scored) = scored.filter(|scored| alerts::is_good(scored, &self.policy)) else { continue };
            if !top.would_enter(scored.steps(), run.starts_at) {
                continue;
            }
            match found.entry(person) {
                // Another wish of theirs was counted for them: the threshold is at most too low by it.
                hash_map::Entry::Occupied(mut other) if other.get().steps() < scored.steps() => {
                    other.insert(scored);
                }
                hash_map::Entry::Occupied(_) => {}
                hash_map::Entry::Vacant(place) => {
                    top.push(scored.steps(), run.starts_at);
                    place.insert(scored);
                }
            }
        }
        drop(held);
        let scored: Vec<(Scored, Id)> = found.into_iter().map(|(person, scored)| (scored, person)).collect();
        let order = |person: &Id| (run.starts_at, *person.as_bytes());
        best(scored, order, tie, limit).into_iter().map(|(_, id)| id).collect()
    }
}

impl Entry {
    /// A wish, with what a first look reads of it.
    fn new(request: &MatchRequest, person: Person, floor: f64) -> (Self, ScoreBound) {
        // For the bound, somebody whom the person knows may lead.
        let mut viewer = Viewer {
            id: request.account_id,
            person,
            known: [Id::nil()].into(),
            closed: Closed::default(),
            engagements: Engagements::default(),
        };
        let mut bound = ScoreBound::of(&viewer, Limits::usual(floor));
        bound.forget_distances();
        viewer.known = BTreeSet::new();
        (Self { request: request.id, expires_at: request.expires_at, viewer }, bound)
    }
}

fn place_of(at: LatLng) -> Place {
    let tile = |degrees: f64| (degrees / TILE_DEGREES).floor() as i16;
    (tile(at.lat), tile(at.lng))
}

impl Held {
    fn insert(&mut self, (entry, bound): (Entry, ScoreBound)) {
        let (request, person) = (entry.request, entry.viewer.id);
        let place = place_of(entry.viewer.person.home);
        self.places.insert(request, (place, person));
        self.of_person.entry(person).or_default().insert(request);
        let tile = self.tiles.entry(place).or_default();
        tile.at.insert(request, tile.entries.len());
        tile.entries.push(entry);
        tile.bounds.push(bound);
    }

    fn remove(&mut self, request: Id) {
        let Some((place, person)) = self.places.remove(&request) else { return };
        if let Some(theirs) = self.of_person.get_mut(&person) {
            theirs.remove(&request);
            if theirs.is_empty() {
                self.of_person.remove(&person);
            }
        }
        let Some(tile) = self.tiles.get_mut(&place) else { return };
        if let Some(at) = tile.at.remove(&request) {
            tile.entries.swap_remove(at);
            tile.bounds.swap_remove(at);
            if let Some(moved) = tile.entries.get(at) {
                tile.at.insert(moved.request, at);
            }
        }
        if tile.entries.is_empty() {
            self.tiles.remove(&place);
        }
    }

    /// The tiles in which somebody may be who travels to this place.
    fn around(&self, place: LatLng) -> impl Iterator<Item = &Tile> {
        let area = BoundingBox::around(place, FURTHEST_KM);
        self.tiles
            .iter()
            .filter(move |((lat, lng), _)| {
                let (south, west) = (f64::from(*lat) * TILE_DEGREES, f64::from(*lng) * TILE_DEGREES);
                let meets = |from: f64, to: f64| west <= to && west + TILE_DEGREES >= from;
                south <= area.north
                    && south + TILE_DEGREES >= area.south
                    && area.lng_ranges.iter().any(|(from, to)| meets(*from, *to))
            })
            .map(|(_, tile)| tile)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use smallvec::smallvec;

    use super::*;
    use crate::{
        domain::{
            match_request::Wish,
            matching::{
                IndexedRun,
                side::{Listed, Said},
                tests::{USUAL, any_candidate, person},
            },
            pace::Activity,
            run::ListingRole,
        },
        store::sql_types::Json,
    };

    fn now() -> Instant {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    fn request(account: Id) -> MatchRequest {
        MatchRequest {
            id: Id::at(now()),
            account_id: account,
            wish: Json(Wish::default()),
            created_at: now(),
            expires_at: now().plus_days(60),
            warned_at: None,
        }
    }

    fn index(people: &[(Id, Person)]) -> WishIndex {
        let index = WishIndex::new(Policy::default());
        for (id, person) in people {
            lock(&index.shared()).insert(Entry::new(&request(*id), person.clone(), USUAL.floor));
        }
        index
    }

    fn offer(place: LatLng, change: impl FnOnce(&mut IndexedRun)) -> Offer {
        let starts_at = now().plus_days(3);
        let mut side = IndexedRun {
            id: Id::at(starts_at),
            series: None,
            starts_at,
            local_start: starts_at.local("UTC"),
            place,
            pace: crate::domain::matching::tests::band(370, 390),
            duration_min: 60,
            activity: Activity::Run,
            no_drop: false,
            after_dark: false,
            is_full: false,
            has_waiting: false,
            is_closed: false,
            point_is_hidden: false,
            confirmed: 0,
            said: Arc::new(Said::default()),
            listed: smallvec![Listed {
                id: Id::random(),
                is_accepted: true,
                is_active: true,
                role: ListingRole::Leader,
            }],
            company: Box::new([]),
        };
        change(&mut side);
        Offer { side, known_to: BTreeSet::new(), left_out: BTreeSet::new(), room: 100 }
    }

    #[test]
    fn somebody_is_found_across_the_antimeridian_and_by_the_pole() {
        for (home, place) in [((0.0, 179.99), (0.0, -179.99)), ((89.95, 10.0), (89.95, -170.0))] {
            let at = |(lat, lng): (f64, f64)| LatLng { lat, lng };
            let far = Person { home: at(home), travel_radius_km: 40.0, ..person() };
            let ana = Id::random();
            let found = index(&[(ana, far)]).who_fits(&offer(at(place), |_| {}), 99, now(), |_| 0);
            assert_eq!(found, [ana], "{home:?}");
        }
    }

    #[test]
    fn who_has_two_wishes_is_found_once_and_who_is_gone_is_not() {
        let (ana, ben) = (Id::random(), Id::random());
        let index = index(&[(ana, person()), (ana, person()), (ben, person())]);
        let run = offer(person().home, |_| {});
        assert_eq!(index.who_fits(&run, 99, now(), |_| 0).len(), 2);
        assert!(index.who_fits(&run, 99, now().plus_days(60), |_| 0).is_empty(), "they have ended");
        let first = *lock(&index.shared()).of_person[&ana].first().unwrap();
        lock(&index.shared()).remove(first);
        assert_eq!((index.len(), index.who_fits(&run, 99, now(), |_| 0).len()), (2, 2));
        let without = Offer { left_out: [ana].into(), ..run };
        assert_eq!(index.who_fits(&without, 99, now(), |_| 0), [ben]);
    }

    proptest! {
        #[test]
        fn it_finds_whom_the_fit_finds(
            runs in prop::collection::vec(any_candidate(), 1..6), knows: bool, limit in 1..40usize,
            people in prop::collection::vec((-0.2..0.2f64, -0.2..0.2f64, 1.0..50.0f64, 300..500i32, 0..100i32), 1..30),
        ) {
            // Every third wish is of somebody who has one already.
            let ids: Vec<Id> = people.iter().map(|_| Id::random()).collect();
            let people: Vec<(Id, Person)> = people
                .into_iter()
                .enumerate()
                .map(|(at, (north, east, radius, fast, width))| {
                    let home = LatLng { lat: 51.5 + north, lng: -0.1 + east };
                    let pace = Some(crate::domain::matching::tests::band(fast, fast + width));
                    (ids[if at % 3 == 2 { at - 2 } else { at }], Person { home, travel_radius_km: radius, comfortable_pace: pace, ..person() })
                })
                .collect();
            let index = index(&people);
            for run in &runs {
                let mut offer = offer(run.place, |side| {
                    side.pace = run.pace;
                    side.activity = run.activity;
                    side.no_drop = run.no_drop;
                    side.duration_min = u16::try_from(run.duration_min).unwrap_or(0);
                });
                if knows {
                    offer.known_to = people.iter().map(|(id, _)| *id).step_by(2).collect();
                }
                let leader = offer.side.listed[0].id;
                let mut scores: HashMap<Id, Scored> = HashMap::new();
                for (id, person) in &people {
                    let known = if offer.known_to.contains(id) { [leader].into() } else { BTreeSet::new() };
                    let viewer = Viewer { id: *id, person: person.clone(), known, closed: Closed::default(), engagements: Engagements::default() };
                    let scored = Scored::of(person, &offer.side.candidate(&viewer), USUAL);
                    let Some(scored) = scored.filter(|scored| alerts::is_good(scored, &Policy::default())) else {
                        continue;
                    };
                    let best = scores.entry(*id).or_insert(scored);
                    if best.steps() < scored.steps() {
                        *best = scored;
                    }
                }
                let all = scores.into_iter().map(|(id, scored)| (scored, id)).collect();
                let tie = |id: &[u8; 16]| u64::from(id[15] % 4);
                let wanted = best(all, |id: &Id| (offer.side.starts_at, *id.as_bytes()), tie, limit);
                let wanted: Vec<Id> = wanted.into_iter().map(|(_, id)| id).collect();
                let found = index.who_fits(&offer, limit, now(), tie);
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
