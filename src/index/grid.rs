//! The grid: the Earth in tiles of about 5 km, each with its runs in the order of their starts.
//!
//! Rows are as high everywhere; the tiles of a row are as many as keep them about square, one at the poles. Invariant: a
//! tile's runs stand by start and id with their packed beside them, and `by_id` and `by_start` name each run of each tile
//! once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasher,
    sync::Arc,
};

use foldhash::fast::{FixedState, RandomState};

use super::tile::{Entry, Order, Slot, Tile};
use crate::{
    clock::Instant,
    domain::place::{BoundingBox, LatLng, SPHERE_RADIUS_KM},
    id::Id,
};

/// Rows from pole to pole: 20,015 km in steps of 5.6 km.
const ROWS: u32 = 3_600;
const ROW_DEGREES: f64 = 180.0 / ROWS as f64;
/// By less than so many kilometres the [nearest](nearest_km) is too near.
const TOUCHES_KM: f64 = 0.01;

/// All runs, by where they begin.
#[derive(Debug, Default)]
pub struct Grid {
    tiles: HashMap<u32, Arc<Tile>, RandomState>,
    by_id: HashMap<Id, u32, RandomState>,
    /// Ids in order: many runs begin at the same time.
    by_start: BTreeMap<Instant, Vec<Id>>,
    /// The dates of each series that are here, by start.
    by_series: HashMap<Id, Vec<Order>, RandomState>,
    /// A run is read again and again before its time comes, and stands here once.
    due: BTreeMap<i64, BTreeSet<Id>>,
    /// Rises with every run that is put in or taken out.
    version: u64,
}

/// A tile near a place.
pub struct NearbyTile {
    /// The nearest that one of its places can be.
    pub nearest_km: f64,
    pub tile: Arc<Tile>,
    print: u64,
}

/// The tiles around a place, those that are nearer first.
pub struct NearbyTiles(pub Vec<NearbyTile>);

impl NearbyTiles {
    /// Until when what was found at `now`, before `to`, in the tiles nearer than `reach_km` is what would be found there
    /// again.
    pub fn good(&self, reach_km: f64, now: Instant, to: Instant) -> Good {
        let tiles = &self.0[..self.0.partition_point(|near| near.nearest_km < reach_km)];
        let first = |from: i64| tiles.iter().filter_map(move |near| near.tile.first_start(from)).min();
        let begins = first(now.micros() + 1);
        // A window that stays where it is changes no sooner than one that goes along with `now`.
        let comes_in = first(to.micros()).map(|start| start - to.micros() + now.micros());
        let until = begins.into_iter().chain(comes_in).min();
        Good {
            reach_km,
            print: tiles.iter().fold(0, |print, near| print.wrapping_add(near.print)),
            from: now,
            until: until.and_then(Instant::from_micros).unwrap_or_else(|| now.plus_days(1)),
        }
    }
}

/// When what was found is what would be found again: as long as the tiles it was found in are the same ones, no run there
/// begins, and none comes into the window.
#[derive(Debug, Clone, Copy)]
pub struct Good {
    /// Tiles that lie as far as this had nothing to give.
    pub reach_km: f64,
    /// Another one after any change of any tile that is nearer.
    pub print: u64,
    pub from: Instant,
    pub until: Instant,
}

/// Of a tile in one state.
fn print(key: u32, tile: &Tile) -> u64 {
    FixedState::default().hash_one((key, tile.version))
}

/// The row of a latitude, counted from the south.
fn row(lat: f64) -> u32 {
    (((lat + 90.0) / ROW_DEGREES).max(0.0) as u32).min(ROWS - 1)
}

/// The key of the tile in which a place lies.
pub(super) fn key_of(place: LatLng) -> u32 {
    let row = row(place.lat);
    key(row, column(row, place.lng))
}

/// How many tiles a row has.
fn tiles_in(row: u32) -> u32 {
    let (south, north) = (row_south(row), row_south(row + 1));
    // As wide as at the row's wider side.
    let lat = if south <= 0.0 && north >= 0.0 { 0.0 } else { south.abs().min(north.abs()) };
    ((f64::from(ROWS) * 2.0 * lat.to_radians().cos()) as u32).max(1)
}

fn row_south(row: u32) -> f64 {
    f64::from(row) * ROW_DEGREES - 90.0
}

fn column(row: u32, lng: f64) -> u32 {
    let tiles = tiles_in(row);
    ((((lng + 180.0) / 360.0) * f64::from(tiles)).max(0.0) as u32).min(tiles - 1)
}

fn key(row: u32, column: u32) -> u32 {
    // A row has at most 7,200 tiles, 13 bits.
    row << 13 | column
}

/// The nearest that a place in the tile can be to `from`, in kilometres; never more than it is.
fn nearest_km(from: LatLng, row: u32, column: u32) -> f64 {
    let (south, north) = (row_south(row), row_south(row + 1));
    let up = (south - from.lat).max(from.lat - north).max(0.0).to_radians() * SPHERE_RADIUS_KM;
    let wide = 360.0 / f64::from(tiles_in(row));
    let west = f64::from(column) * wide - 180.0;
    let east_of = (from.lng - (west + wide)).rem_euclid(360.0);
    let west_of = (west - from.lng).rem_euclid(360.0);
    let inside = (from.lng - west).rem_euclid(360.0) <= wide;
    let across = if inside { 0.0 } else { east_of.min(west_of) };
    // To the meridian of the tile's side: the shortest way there, which no place beyond it undercuts.
    let sideways = if across < 90.0 {
        (from.lat.to_radians().cos() * across.to_radians().sin()).asin() * SPHERE_RADIUS_KM
    } else {
        0.0
    };
    (up.max(sideways) - 0.001).max(0.0)
}

impl Grid {
    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All runs, in no order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.tiles.values().flat_map(|tile| tile.slots())
    }

    /// Lists the runs that are [known](Self::note) already, in `order`.
    pub(super) fn list(&mut self, order: &[Order]) {
        let by_start = order.chunk_by(|one, other| one.0 == other.0);
        self.by_start = by_start.map(|same| (same[0].0, same.iter().map(|(_, id)| *id).collect())).collect();
    }

    /// Has these tiles from now on.
    pub(super) fn have(&mut self, tiles: HashMap<u32, Arc<Tile>, RandomState>, version: u64) {
        self.version = version;
        self.tiles = tiles;
    }

    /// Takes one run in.
    pub fn insert(&mut self, entry: Entry) {
        let key = self.note(&entry);
        let slot = entry.slot;
        let ids = self.by_start.entry(slot.side.starts_at).or_default();
        if let Err(at) = ids.binary_search(&slot.side.id) {
            ids.insert(at, slot.side.id);
        }
        self.version += 1;
        let tile = Arc::make_mut(self.tiles.entry(key).or_default());
        tile.version = self.version;
        tile.insert(slot);
    }

    /// Notes in which tile the run is and until when it is good; gives the tile's key.
    pub(super) fn note(&mut self, Entry { slot, good_until }: &Entry) -> u32 {
        let key = key_of(slot.side.place);
        self.by_id.insert(slot.side.id, key);
        if let Some(series) = slot.side.series {
            let dates = self.by_series.entry(series).or_default();
            if let Err(at) = dates.binary_search(&slot.order()) {
                dates.insert(at, slot.order());
            }
        }
        if let Some(until) = good_until {
            self.due.entry(until.micros()).or_default().insert(slot.side.id);
        }
        key
    }

    /// Takes one run out, if it is there.
    pub fn remove(&mut self, id: Id) {
        let Some(key) = self.by_id.remove(&id) else { return };
        let Some(tile) = self.tiles.get_mut(&key) else { return };
        let runs = Arc::make_mut(tile);
        self.version += 1;
        runs.version = self.version;
        let removed = runs.remove(id);
        if runs.slots().is_empty() {
            self.tiles.remove(&key);
        }
        let Some(side) = removed.map(|slot| slot.side) else { return };
        if let Some(series) = side.series {
            self.keep_dates(series, |date| date.1 != id);
        }
        let starts_at = side.starts_at;
        if let Some(ids) = self.by_start.get_mut(&starts_at) {
            ids.binary_search(&id).ok().map(|at| ids.remove(at));
            if ids.is_empty() {
                self.by_start.remove(&starts_at);
            }
        }
    }

    /// The dates of a series that are here, by start.
    pub fn dates(&self, series: Id) -> impl Iterator<Item = &Slot> {
        let dates = self.by_series.get(&series).into_iter().flatten();
        dates.filter_map(|(starts_at, id)| self.find_at(*id, *starts_at))
    }

    fn keep_dates(&mut self, series: Id, keep: impl Fn(&Order) -> bool) {
        if let Some(dates) = self.by_series.get_mut(&series) {
            dates.retain(keep);
            if dates.is_empty() {
                self.by_series.remove(&series);
            }
        }
    }

    /// The tiles in which a place within `radius_km` of `centre` may lie.
    pub fn around(&self, centre: LatLng, radius_km: f64) -> NearbyTiles {
        let mut tiles = Vec::new();
        self.each_around(centre, radius_km, |nearest_km, key, tile| {
            tiles.push(NearbyTile { nearest_km, tile: tile.clone(), print: print(key, tile) });
        });
        tiles.sort_unstable_by(|a, b| a.nearest_km.total_cmp(&b.nearest_km));
        NearbyTiles(tiles)
    }

    /// The [print](Good::print) of those tiles that are nearer than `reach_km`.
    pub fn print_around(&self, centre: LatLng, radius_km: f64, reach_km: f64) -> u64 {
        let mut sum: u64 = 0;
        self.each_around(centre, radius_km.min(reach_km), |nearest_km, key, tile| {
            if nearest_km < reach_km {
                sum = sum.wrapping_add(print(key, tile));
            }
        });
        sum
    }

    fn each_around(&self, centre: LatLng, radius_km: f64, mut each: impl FnMut(f64, u32, &Arc<Tile>)) {
        // A little more, so that rounding leaves no tile out whose side just touches the circle.
        let area = BoundingBox::around(centre, radius_km + TOUCHES_KM);
        for row in row(area.south)..=row(area.north) {
            for (west, east) in &area.lng_ranges {
                for column in column(row, *west)..=column(row, *east) {
                    let key = key(row, column);
                    let Some(tile) = self.tiles.get(&key) else { continue };
                    let nearest_km = nearest_km(centre, row, column);
                    if nearest_km <= radius_km {
                        each(nearest_km, key, tile);
                    }
                }
            }
        }
    }

    /// The runs from `after` (left out) or `from` on and before `to`, by start and id, as far as `each` wants them.
    pub fn by_start(&self, from: Instant, to: Instant, after: Option<Order>, mut each: impl FnMut(&Slot) -> bool) {
        let after = after.filter(|after| after.0 >= from);
        let begin = after.map_or(from, |(starts_at, _)| starts_at);
        if begin >= to {
            return;
        }
        for (starts_at, ids) in self.by_start.range(begin..to) {
            let first = match after {
                Some(after) if after.0 == *starts_at => ids.partition_point(|id| *id <= after.1),
                _ => 0,
            };
            for id in &ids[first..] {
                if let Some(slot) = self.find_at(*id, *starts_at)
                    && !each(slot)
                {
                    return;
                }
            }
        }
    }

    /// One run.
    pub fn find(&self, id: Id) -> Option<&Slot> {
        self.tiles.get(self.by_id.get(&id)?)?.slots().iter().find(|slot| slot.side.id == id)
    }

    /// One run that begins then.
    fn find_at(&self, id: Id, starts_at: Instant) -> Option<&Slot> {
        let tile = self.tiles.get(self.by_id.get(&id)?)?;
        tile.slots().binary_search_by_key(&(starts_at, id), Slot::order).ok().map(|at| &tile.slots()[at])
    }

    /// Microseconds of 1970 at which a run may be another without anybody's act.
    pub fn next_due(&self) -> Option<i64> {
        self.due.keys().next().copied()
    }

    /// The runs that may be others by `now`, once.
    pub fn take_due(&mut self, now: Instant) -> Vec<Id> {
        let later = self.due.split_off(&(now.micros() + 1));
        std::mem::replace(&mut self.due, later).into_values().flatten().collect()
    }

    /// Takes out the runs that have begun by `now`, those of a tile at once: on a Saturday at nine there are thousands. Gives
    /// the latest of their starts.
    pub fn drop_begun(&mut self, now: Instant) -> Option<Instant> {
        let just_after = now.just_after();
        let to_come = self.by_start.split_off(&just_after);
        let begun = std::mem::replace(&mut self.by_start, to_come);
        let latest = begun.keys().next_back().copied();
        let keys: BTreeSet<u32> = begun.into_values().flatten().filter_map(|id| self.by_id.remove(&id)).collect();
        for key in keys {
            let Some(tile) = self.tiles.get_mut(&key) else { continue };
            self.version += 1;
            let runs = Arc::make_mut(tile);
            runs.version = self.version;
            let series = runs.drop_before(just_after);
            if runs.slots().is_empty() {
                self.tiles.remove(&key);
            }
            for one in series {
                self.keep_dates(one, |date| date.0 >= just_after);
            }
        }
        latest
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use smallvec::SmallVec;

    use super::{super::grid_builder::GridBuilder, *};
    use crate::{
        domain::{
            matching::{IndexedRun, bound::PackedRun, side::Said},
            pace::{Activity, PaceBand},
        },
        service::run_sides::Read,
    };

    /// A run that begins so many minutes after the first of December 2026, at ten.
    pub fn side(lat: f64, lng: f64, minutes: i64) -> IndexedRun {
        let epoch: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        let starts_at = epoch.plus_minutes(minutes);
        IndexedRun {
            id: Id::at(starts_at),
            series: None,
            starts_at,
            local_start: starts_at.local("UTC"),
            place: LatLng { lat, lng },
            pace: PaceBand { fastest_s_per_km: 370, slowest_s_per_km: 400 },
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
            listed: SmallVec::new(),
            company: Box::new([]),
        }
    }

    fn entry(lat: f64, lng: f64, minutes: i64) -> Entry {
        Entry::new(Read { side: side(lat, lng, minutes), good_until: None }, 1)
    }

    /// Anywhere, and often where the Earth's corners are, or in one town.
    pub fn any_place() -> impl Strategy<Value = (f64, f64)> {
        let anywhere = (-90.0..=90.0f64, -180.0..=180.0f64);
        let poles = (prop_oneof![-90.0..-89.5f64, 89.5..=90.0f64], -180.0..=180.0f64);
        let antimeridian = (-70.0..70.0f64, prop_oneof![-180.0..-179.5f64, 179.5..=180.0f64]);
        let town = (51.3..51.7f64, -0.4..0.2f64);
        prop_oneof![1 => anywhere, 1 => poles, 1 => antimeridian, 3 => town]
    }

    proptest! {
        #[test]
        fn every_place_within_the_radius_is_in_a_tile_and_none_is_nearer_than_said(
            places in prop::collection::vec(any_place(), 1..60), (lat, lng) in any_place(), radius in 0.1..50.0f64,
        ) {
            let mut gathered = GridBuilder::default();
            gathered.take(places.iter().enumerate().map(|(at, (lat, lng))| entry(*lat, *lng, at as i64)).collect());
            let grid = gathered.into_grid(1);
            let centre = LatLng { lat, lng };
            let mut seen = BTreeSet::new();
            for NearbyTile { nearest_km, tile, .. } in grid.around(centre, radius).0 {
                for slot in tile.slots() {
                    let km = centre.distance_km(&slot.side.place);
                    prop_assert!(km >= nearest_km - 1e-6, "{nearest_km} {:?}", slot.side.place);
                    prop_assert!(seen.insert(slot.side.id), "twice");
                }
            }
            for id in grid.by_id.keys() {
                let slot = grid.find(*id).unwrap();
                let within = centre.distance_km(&slot.side.place) <= radius;
                prop_assert!(!within || seen.contains(id), "{:?} is within {radius} km of {centre:?}", slot.side.place);
            }
        }

        #[test]
        fn what_is_put_in_and_taken_out_leaves_the_rest(
            acts in prop::collection::vec((any_place(), 0..50i64, any::<bool>()), 1..80), until in 0..60i64,
        ) {
            let mut grid = Grid::default();
            let mut expected: BTreeMap<Id, Instant> = BTreeMap::new();
            for ((lat, lng), minutes, removes) in acts {
                let first = expected.keys().next().copied();
                match first {
                    Some(id) if removes => {
                        grid.remove(id);
                        expected.remove(&id);
                    }
                    _ => {
                        let entry = entry(lat, lng, minutes);
                        expected.insert(entry.slot.side.id, entry.slot.side.starts_at);
                        grid.insert(entry);
                    }
                }
            }
            let epoch: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
            let now = epoch.plus_minutes(until);
            grid.drop_begun(now);
            expected.retain(|_, starts_at| *starts_at > now);
            let mut listed = Vec::new();
            grid.by_start(epoch.plus_days(-1), epoch.plus_days(1), None, |slot| {
                listed.push(slot.order());
                true
            });
            let mut by_start: Vec<Order> = expected.into_iter().map(|(id, at)| (at, id)).collect();
            by_start.sort_unstable();
            prop_assert_eq!(&listed, &by_start);
            prop_assert_eq!(grid.slots().count(), by_start.len());
            let (past, future) = (epoch.plus_days(-1), epoch.plus_days(1));
            let middle = epoch.plus_minutes(25);
            for tile in grid.tiles.values() {
                let ids = |from, to| tile.between(from, to).map(|(_, slot)| slot.side.id).collect::<Vec<Id>>();
                prop_assert_eq!(ids(past, future), tile.slots().iter().map(|slot| slot.side.id).collect::<Vec<Id>>());
                let later = tile.slots().iter().filter(|slot| slot.side.starts_at >= middle).map(|slot| slot.side.id);
                prop_assert_eq!(ids(middle, future), later.collect::<Vec<Id>>());
                prop_assert!(tile.between(past, future).all(|(packed, slot)| *packed == PackedRun::of(&slot.side)));
            }
        }
    }
}
