//! Points on the Earth for tests: spread over a cell, in its corners, a little way off; and the flat map that an attacker
//! reckons on. Everything comes of a seed, so that a figure is the same in each run.

use h3o::CellIndex;
use sidebyside::domain::place::{Cell, LatLng};

/// The Earth as the product takes it, km.
const RADIUS_KM: f64 = 6371.0088;

/// Where the tests take place. All but the coast have land for ten kilometres around, so that runs can be posted there.
pub const LONDON: LatLng = LatLng { lat: 51.5074, lng: -0.1278 };
pub const BRIGHTON_BEACH: LatLng = LatLng { lat: 50.8185, lng: -0.1363 };
pub const LATITUDE_65: LatLng = LatLng { lat: 65.0, lng: 27.5 };
/// In Chukotka, where the antimeridian runs over land.
pub const ANTIMERIDIAN: LatLng = LatLng { lat: 67.5, lng: 179.998 };
pub const QUITO: LatLng = LatLng { lat: -0.19, lng: -78.49 };
pub const SYDNEY: LatLng = LatLng { lat: -33.8, lng: 151.0 };

/// Numbers that look like chance: splitmix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Normally distributed around 0 (Box and Muller).
    pub fn normal(&mut self, deviation: f64) -> f64 {
        let (one, other) = (self.share().max(f64::MIN_POSITIVE), self.share());
        deviation * (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
    }
}

/// So many kilometres east and north of a point; the longitude stays within -180 to 180.
pub fn off(from: LatLng, east_km: f64, north_km: f64) -> LatLng {
    let (distance, bearing) = (east_km.hypot(north_km) / RADIUS_KM, east_km.atan2(north_km));
    let (lat, lng) = (from.lat.to_radians(), from.lng.to_radians());
    let to_lat = (lat.sin() * distance.cos() + lat.cos() * distance.sin() * bearing.cos()).asin();
    let turned = (bearing.sin() * distance.sin() * lat.cos()).atan2(distance.cos() - lat.sin() * to_lat.sin());
    let to_lng = (lng + turned).to_degrees();
    LatLng { lat: to_lat.to_degrees(), lng: (to_lng + 540.0).rem_euclid(360.0) - 180.0 }
}

/// A point on the flat map around `origin`, kilometres east and north: true in direction and distance from there.
pub fn on_map(origin: LatLng, point: LatLng) -> (f64, f64) {
    let (from, to) = (origin.lat.to_radians(), point.lat.to_radians());
    let turned = (point.lng - origin.lng).to_radians();
    let bearing = (turned.sin() * to.cos()).atan2(from.cos() * to.sin() - from.sin() * to.cos() * turned.cos());
    let distance = origin.distance_km(&point);
    (distance * bearing.sin(), distance * bearing.cos())
}

/// The cell of a resolution around a point.
pub fn cell(point: LatLng, resolution: u8) -> Cell {
    Cell::containing(point, resolution).expect("a cell")
}

/// The cells within so many steps of the one around a point.
pub fn cells_near(point: LatLng, steps: u32) -> Vec<Cell> {
    let middle: CellIndex = cell(point, 8).to_string().parse().expect("a cell");
    middle.grid_disk::<Vec<_>>(steps).iter().map(|near| near.to_string().parse().expect("a cell")).collect()
}

/// The corners of a cell.
pub fn corners(of: Cell) -> Vec<LatLng> {
    let index: CellIndex = of.to_string().parse().expect("a cell");
    index.boundary().iter().map(|corner| LatLng { lat: corner.lat(), lng: corner.lng() }).collect()
}

/// In the middle between two points.
pub fn between(one: LatLng, other: LatLng) -> LatLng {
    let (east, north) = on_map(one, other);
    off(one, east / 2.0, north / 2.0)
}

/// On the straight way from the centre of a cell to a point: 0 is the centre, 1 the point.
pub fn towards(of: Cell, point: LatLng, share: f64) -> LatLng {
    let (east, north) = on_map(of.centre(), point);
    off(of.centre(), east * share, north * share)
}

/// A point in a cell, each with the same chance.
pub fn anywhere_in(of: Cell, dice: &mut Dice) -> LatLng {
    let reach = 1.2 * of.size_km();
    loop {
        let point = off(of.centre(), dice.between(-reach, reach), dice.between(-reach, reach));
        if cell(point, of.resolution()) == of {
            return point;
        }
    }
}

/// `many` points spread evenly over a cell: those of a sunflower that fall into it, turned until they are as many.
pub fn spread_over(of: Cell, many: usize, dice: &mut Dice) -> Vec<LatLng> {
    let golden = std::f64::consts::PI * (3.0 - 5.0_f64.sqrt());
    let step = of.size_km() / (many as f64 * std::f64::consts::PI).sqrt();
    for _ in 0..1000 {
        let start = dice.between(0.0, std::f64::consts::TAU);
        let seed = |at: usize| {
            let (away, turned) = (step * (at as f64 + 0.5).sqrt(), start + golden * at as f64);
            off(of.centre(), away * turned.sin(), away * turned.cos())
        };
        let points: Vec<LatLng> = (0..3 * many).map(seed).filter(|point| cell(*point, of.resolution()) == of).collect();
        if points.len() == many {
            return points;
        }
    }
    panic!("{many} points cannot be spread over {of}");
}

/// Points outside a cell, but so near to its border that somebody who has this cell keeps it (less than a quarter cell).
pub fn just_outside(of: Cell, dice: &mut Dice) -> LatLng {
    let corners = corners(of);
    loop {
        let at = dice.between(0.0, corners.len() as f64) as usize % corners.len();
        let (east, north) = on_map(of.centre(), corners[at]);
        let (next_east, next_north) = on_map(of.centre(), corners[(at + 1) % corners.len()]);
        let (share, further) = (dice.share(), dice.between(1.05, 1.2));
        let along = |a: f64, b: f64| (a + (b - a) * share) * further;
        let point = off(of.centre(), along(east, next_east), along(north, next_north));
        if cell(point, of.resolution()) != of {
            return point;
        }
    }
}
