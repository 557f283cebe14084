//! Real places, and runs and people made up around them by one rule, always the same.

use std::collections::{BTreeMap, BTreeSet};

use sidebyside::{
    clock::Instant,
    domain::{
        matching::{Closed, Person, Viewer, engagements::Engagements},
        pace::{Activity, PaceBand},
        place::{Cell, LatLng, time_zone_at},
    },
    id::Id,
};

use crate::Outcome;

/// A place at which weekly runs take place.
#[derive(Debug, Clone)]
pub struct Place {
    pub at: LatLng,
    pub zone: String,
}

/// Reads the places; children's runs are none for adults.
pub fn read(folder: Option<&str>) -> Outcome<Vec<Place>> {
    let points: Vec<LatLng> = match folder {
        Some(folder) => {
            let mut rows = csv::Reader::from_path(format!("{folder}/group_runs.csv"))?;
            let mut points = Vec::new();
            for row in rows.deserialize() {
                let row: BTreeMap<String, String> = row?;
                if row["kind"] == "5k" {
                    points.push(LatLng { lat: row["lat"].parse()?, lng: row["lng"].parse()? });
                }
            }
            points
        }
        None => (0..30)
            .map(|at| LatLng { lat: 51.3 + f64::from(at % 6) * 0.08, lng: -0.4 + f64::from(at / 6) * 0.12 })
            .collect(),
    };
    let place = |at: &LatLng| Place { at: *at, zone: time_zone_at(*at).unwrap_or("UTC").to_owned() };
    Ok(points.iter().map(place).collect())
}

/// SplitMix64: the same numbers everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to 1.
    pub fn part(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around nought, most within one.
    pub fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.part()).sum::<f64>() - 6.0
    }

    pub fn below(&mut self, many: usize) -> usize {
        (self.roll() % many as u64) as usize
    }
}

/// Now, in the bench.
pub fn now() -> Instant {
    Instant::new(jiff::Timestamp::from_second(1_795_428_000).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// What a made-up run is.
#[derive(Debug, Clone)]
pub struct Made {
    pub place: LatLng,
    pub zone: String,
    pub starts_at: Instant,
    pub activity: Activity,
    pub pace: PaceBand,
    pub no_drop: bool,
    pub is_hidden: bool,
    pub title: usize,
}

/// A run around one of the places: some 3 km from it, in the next eight weeks, mostly in the morning or the evening; paces
/// as people chat.
pub fn run(places: &[Place], dice: &mut Dice) -> Made {
    let place = &places[dice.below(places.len())];
    let east = 1.0 / place.at.lat.to_radians().cos().max(0.1);
    let day = dice.below(56) as i64;
    let hour = [7, 9, 10, 12, 18, 18, 19][dice.below(7)];
    let activity = [Activity::Run, Activity::Run, Activity::RunWalk, Activity::Walk][dice.below(4)];
    let fastest = match activity {
        Activity::Walk => 560 + dice.below(200) as i32,
        Activity::RunWalk => 420 + dice.below(140) as i32,
        Activity::Run => (370.0 + 50.0 * dice.bell()).clamp(230.0, 600.0) as i32,
    };
    Made {
        place: LatLng {
            lat: (place.at.lat + 0.03 * dice.bell()).clamp(-89.0, 89.0),
            lng: (place.at.lng + 0.03 * dice.bell() * east).clamp(-179.9, 179.9),
        },
        zone: place.zone.clone(),
        starts_at: now().plus_days(day).plus_hours(hour).plus_minutes(15 * dice.below(4) as i64),
        activity,
        pace: PaceBand { fastest_s_per_km: fastest, slowest_s_per_km: fastest + 20 + dice.below(30) as i32 },
        no_drop: dice.below(3) == 0,
        is_hidden: dice.below(5) == 0,
        title: dice.below(1000),
    }
}

/// Somebody who lives near a place and goes 10 km to a run.
pub fn person(near: LatLng, dice: &mut Dice) -> Viewer {
    let fast = (390.0 + 45.0 * dice.bell()).clamp(270.0, 560.0) as i32;
    let point = LatLng { lat: near.lat + 0.01 * dice.bell(), lng: near.lng + 0.01 * dice.bell() };
    let home = Cell::containing(point, 8).map_or(point, |cell| cell.centre());
    Viewer {
        id: Id::random(),
        person: Person {
            activities: vec![Activity::Run, Activity::RunWalk],
            comfortable_pace: Some(PaceBand { fastest_s_per_km: fast, slowest_s_per_km: fast + 40 }),
            walking_pace: None,
            home,
            travel_radius_km: 10.0,
            availability: Vec::new(),
            languages: Vec::new(),
            access_needs: Vec::new(),
            not_after_dark: false,
            new_here: false,
            gentle_start: false,
        },
        known: BTreeSet::new(),
        closed: Closed::default(),
        engagements: Engagements::default(),
    }
}

/// The places with the most, and with the fewest others within 10 km.
pub fn dense_and_sparse(places: &[Place]) -> (Vec<LatLng>, Vec<LatLng>) {
    let around = |at: LatLng| places.iter().filter(|other| other.at.distance_km(&at) < 10.0).count();
    let mut by_density: Vec<(usize, LatLng)> = places.iter().map(|place| (around(place.at), place.at)).collect();
    by_density.sort_by_key(|(many, _)| *many);
    let few = 20.min(by_density.len());
    let at = |rows: &[(usize, LatLng)]| rows.iter().map(|(_, at)| *at).collect();
    (at(&by_density[by_density.len() - few..]), at(&by_density[..few]))
}
