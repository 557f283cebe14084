//! Places: a point, the H3 cell that stands for a home, a box to search in, and the time zone of a point.
//!
//! People write latitude first and geometry crates longitude first; only this module knows both orders. Invariant:
//! a home goes in as a point and comes out as a [`Cell`]; nothing finer leaves [`snap_home`].

use std::{fmt, str::FromStr, sync::LazyLock};

use geo::{Bearing, Distance, Haversine};
use serde::{Deserialize, Serialize, de};

/// A point on the Earth, WGS 84, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LatLng {
    /// Degrees north of the equator.
    #[schema(minimum = -90.0, maximum = 90.0, example = 51.5556)]
    pub lat: f64,
    /// Degrees east of Greenwich.
    #[schema(minimum = -180.0, maximum = 180.0, example = -0.1056)]
    pub lng: f64,
}

impl LatLng {
    /// Whether both numbers are finite and in range.
    pub fn is_valid(&self) -> bool {
        self.lat.is_finite() && self.lng.is_finite() && self.lat.abs() <= 90.0 && self.lng.abs() <= 180.0
    }

    /// Reads `lat,lng` in degrees, with or without spaces around the comma and signs; it may be no valid point. None for
    /// anything else, such as decimal commas.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim().replace('\u{2212}', "-");
        let (lat, lng) = text.split_once(',').or_else(|| text.split_once(' '))?;
        let number = |text: &str| -> Option<f64> {
            let digits = text.trim();
            let plain = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            let (whole, rest) = plain.split_once('.').unwrap_or((plain, "0"));
            let is_number =
                |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if is_number(whole, 3) && is_number(rest, 15) { digits.parse().ok() } else { None }
        };
        Some(Self { lat: number(lat)?, lng: number(lng)? })
    }

    /// Great-circle distance in kilometres, on a sphere of 6,371.009 km (at most about 0.5% off the ellipsoid).
    pub fn distance_km(&self, other: &LatLng) -> f64 {
        Haversine.distance(self.point(), other.point()) / 1000.0
    }

    fn point(&self) -> geo::Point<f64> {
        geo::Point::new(self.lng, self.lat)
    }
}

/// A point as a unit vector from the centre of the Earth: distances to many points without a sine each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnSphere([f32; 3]);

impl OnSphere {
    /// The vector of a point; a point that is none is as far from all others as can be.
    pub fn of(point: LatLng) -> Self {
        let (lat, lng) = (point.lat.to_radians(), point.lng.to_radians());
        Self([(lat.cos() * lng.cos()) as f32, (lat.cos() * lng.sin()) as f32, lat.sin() as f32])
    }

    /// The straight line between two points, in radii: never longer than the way over the ground, to about a metre.
    pub fn chord(self, other: Self) -> f64 {
        let square = |at: usize| f64::from(self.0[at] - other.0[at]).powi(2);
        (square(0) + square(1) + square(2)).sqrt()
    }
}

impl From<h3o::LatLng> for LatLng {
    fn from(at: h3o::LatLng) -> Self {
        Self { lat: at.lat(), lng: at.lng() }
    }
}

/// An H3 cell: what is kept of where a person lives, and the area shown in place of a hidden meeting point. Written
/// as H3 hex, for example `88195da49bfffff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{15}$", example = "88195da49bfffff")]
pub struct Cell(h3o::CellIndex);

impl Cell {
    /// The cell of this resolution (0 to 15) around a point; None for an invalid point or resolution.
    pub fn containing(point: LatLng, resolution: u8) -> Option<Cell> {
        if !point.is_valid() {
            return None;
        }
        let resolution = h3o::Resolution::try_from(resolution).ok()?;
        let point = h3o::LatLng::new(point.lat, point.lng).ok()?;
        Some(Cell(point.to_cell(resolution)))
    }

    /// The centre of the cell: the only point of it that anything may be computed from.
    pub fn centre(&self) -> LatLng {
        h3o::LatLng::from(self.0).into()
    }

    /// H3 resolution, 0 (coarse) to 15 (fine).
    pub fn resolution(&self) -> u8 {
        self.0.resolution().into()
    }

    /// The measure called "cell size": the square root of the cell's area, in kilometres (0.858 on average at
    /// resolution 8).
    pub fn size_km(&self) -> f64 {
        self.0.area_km2().sqrt()
    }

    /// Distance in kilometres from a point to the nearest border of the cell, whichever side the point is on.
    ///
    /// The border is laid flat around the point (azimuthal equidistant: exact in direction and distance from the
    /// point), so that poles and the antimeridian are no special case.
    fn border_distance_km(&self, point: LatLng) -> f64 {
        let flat: Vec<(f64, f64)> = self
            .0
            .boundary()
            .iter()
            .map(|vertex| {
                let vertex = LatLng::from(*vertex);
                let away = point.distance_km(&vertex);
                let bearing = Haversine.bearing(point.point(), vertex.point()).to_radians();
                (away * bearing.sin(), away * bearing.cos())
            })
            .collect();
        let following = flat.iter().cycle().skip(1);
        flat.iter().zip(following).map(|(a, b)| distance_to_segment(*a, *b)).fold(f64::INFINITY, f64::min)
    }
}

/// From the origin to the segment between `a` and `b`, in their unit.
fn distance_to_segment(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length2 = dx * dx + dy * dy;
    let along = if length2 > 0.0 { (-(a.0 * dx + a.1 * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (a.0 + along * dx).hypot(a.1 + along * dy)
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not an H3 cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACell;

impl fmt::Display for NotACell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an H3 cell")
    }
}

impl std::error::Error for NotACell {}

impl FromStr for Cell {
    type Err = NotACell;

    fn from_str(text: &str) -> Result<Self, NotACell> {
        text.parse().map(Cell).map_err(|_| NotACell)
    }
}

impl Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How far outside the old cell a new point may lie and still keep it, in cell sizes. Somebody who lives on a border
/// and sends many noisy readings would otherwise flip between cells and so give the border away (matching.md).
const KEEP_WITHIN: f64 = 0.25;

/// The cell that stands for a home. A point within a quarter cell of the old cell's border keeps the old cell;
/// otherwise it is the cell around the point. An old cell of another resolution counts for nothing: keeping it would
/// keep the old resolution. None for an invalid point or resolution.
pub fn snap_home(point: LatLng, previous: Option<Cell>, resolution: u8) -> Option<Cell> {
    let around = Cell::containing(point, resolution)?;
    match previous {
        Some(old) if old.resolution() == resolution && old != around => {
            let near = old.border_distance_km(point) <= KEEP_WITHIN * old.size_km();
            Some(if near { old } else { around })
        }
        _ => Some(around),
    }
}

/// A box of latitudes and longitudes around a circle, for a first coarse search; the distance itself decides after.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundingBox {
    /// Lowest latitude, degrees.
    pub south: f64,
    /// Highest latitude, degrees.
    pub north: f64,
    /// One `(west, east)` range of longitudes with west <= east, or two where the box crosses the antimeridian; the
    /// whole -180 to 180 where it holds a pole.
    pub lng_ranges: Vec<(f64, f64)>,
}

/// Mean radius of the Earth in kilometres (IUGG), the one that geo's Haversine uses.
pub const SPHERE_RADIUS_KM: f64 = 6371.0088;

/// Widening of the box in degrees (a centimetre), so that rounding never loses a place on the rim.
const RIM: f64 = 1e-7;

impl BoundingBox {
    /// The smallest such box around all places within `radius_km` of `centre`. A negative radius counts as zero.
    pub fn around(centre: LatLng, radius_km: f64) -> BoundingBox {
        let angle = (radius_km.max(0.0) / SPHERE_RADIUS_KM).min(std::f64::consts::PI);
        let reach = angle.to_degrees() + RIM;
        let (south, north) = (centre.lat - reach, centre.lat + reach);
        let whole = vec![(-180.0, 180.0)];
        if south <= -90.0 || north >= 90.0 {
            return BoundingBox { south: south.max(-90.0), north: north.min(90.0), lng_ranges: whole };
        }
        // The circle's easternmost point is not due east of its centre: sin(dlng) = sin(angle) / cos(lat).
        let sine = (angle.sin() / centre.lat.to_radians().cos()).clamp(0.0, 1.0);
        let half = sine.asin().to_degrees() + RIM;
        let (west, east) = (centre.lng - half, centre.lng + half);
        let lng_ranges = if east - west >= 360.0 {
            whole
        } else if west <= -180.0 {
            vec![(west + 360.0, 180.0), (-180.0, east)]
        } else if east >= 180.0 {
            vec![(west, 180.0), (-180.0, east - 360.0)]
        } else {
            vec![(west, east)]
        };
        BoundingBox { south, north, lng_ranges }
    }

    /// Whether a point lies inside.
    pub fn contains(&self, point: LatLng) -> bool {
        (self.south..=self.north).contains(&point.lat)
            && self.lng_ranges.iter().any(|(west, east)| (*west..=*east).contains(&point.lng))
    }
}

/// The zone borders that are compiled in (OpenStreetMap, ODbL, by way of tzf): read where they lie, 28 ms once.
static ZONES: LazyLock<tzf_rs::EmbeddedFinder> = LazyLock::new(tzf_rs::EmbeddedFinder::new);

/// The IANA time zone at a point. None at sea and in unclaimed land (zones called `Etc/…`), for an invalid point, and
/// for a zone that the compiled-in clock rules do not know.
pub fn time_zone_at(point: LatLng) -> Option<&'static str> {
    if !point.is_valid() {
        return None;
    }
    let name = ZONES.get_tz_name(point.lng, point.lat);
    let on_land = !name.is_empty() && !name.starts_with("Etc/");
    (on_land && jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONDON: LatLng = LatLng { lat: 51.5074, lng: -0.1278 };

    fn at(lat: f64, lng: f64) -> LatLng {
        LatLng { lat, lng }
    }

    #[test]
    fn london_to_paris_is_344_km() {
        assert!((LONDON.distance_km(&at(48.8566, 2.3522)) - 343.6).abs() < 0.5);
    }

    #[test]
    fn a_cell_goes_through_text_and_back() {
        let cell = Cell::containing(LONDON, 8).unwrap();
        assert_eq!(cell.resolution(), 8);
        assert_eq!(cell.to_string().parse(), Ok(cell));
        let json = serde_json::to_string(&cell).unwrap();
        assert_eq!(json, format!("\"{cell}\""));
        assert_eq!(serde_json::from_str::<Cell>(&json).unwrap(), cell);
        assert!("8".parse::<Cell>().is_err());
        assert!(serde_json::from_str::<Cell>("\"somewhere\"").is_err());
    }

    #[test]
    fn invalid_points_and_resolutions_have_no_cell() {
        assert_eq!(Cell::containing(at(91.0, 0.0), 8), None);
        assert_eq!(Cell::containing(at(f64::NAN, 0.0), 8), None);
        assert_eq!(Cell::containing(LONDON, 16), None);
        assert_eq!(time_zone_at(at(0.0, f64::INFINITY)), None);
    }

    #[test]
    fn a_move_across_town_changes_the_cell_and_a_step_over_the_border_does_not() {
        let old = Cell::containing(LONDON, 8).unwrap();
        let border = LatLng::from(old.0.boundary()[0]);
        let centre = old.centre();
        let beyond = |share: f64| {
            at(centre.lat + (border.lat - centre.lat) * share, centre.lng + (border.lng - centre.lng) * share)
        };
        let step = beyond(1.05);
        assert_ne!(Cell::containing(step, 8), Some(old));
        assert_eq!(snap_home(step, Some(old), 8), Some(old));
        let far = beyond(1.6);
        assert_eq!(snap_home(far, Some(old), 8), Cell::containing(far, 8));
        assert_eq!(snap_home(step, None, 8), Cell::containing(step, 8));
        assert_eq!(snap_home(step, Some(old), 7), Cell::containing(step, 7));
    }

    #[test]
    fn the_box_crosses_the_antimeridian_in_two_ranges() {
        let fiji = BoundingBox::around(at(-17.0, 179.9), 50.0);
        assert_eq!(fiji.lng_ranges.len(), 2);
        assert!(fiji.contains(at(-17.0, -179.8)) && fiji.contains(at(-17.0, 179.6)));
        assert!(!fiji.contains(at(-17.0, 0.0)));
        let pole = BoundingBox::around(at(89.9, 20.0), 50.0);
        assert_eq!((pole.north, pole.lng_ranges.as_slice()), (90.0, &[(-180.0, 180.0)][..]));
    }

    #[test]
    fn zones_are_known_on_land_and_unknown_at_sea() {
        assert_eq!(time_zone_at(LONDON), Some("Europe/London"));
        assert_eq!(time_zone_at(at(-33.8688, 151.2093)), Some("Australia/Sydney"));
        assert_eq!(time_zone_at(at(40.7128, -74.0060)), Some("America/New_York"));
        assert_eq!(time_zone_at(at(30.0, -40.0)), None);
    }

    fn anywhere() -> impl Strategy<Value = LatLng> {
        (-90.0..=90.0f64, -180.0..=180.0f64).prop_map(|(lat, lng)| at(lat, lng))
    }

    proptest! {
        #[test]
        fn a_box_holds_everything_within_its_radius(
            centre in anywhere(), radius in 0.0..300.0f64, bearing in 0.0..360.0f64, share in 0.0..1.0f64,
        ) {
            use geo::Destination;
            let rim = Haversine.destination(centre.point(), bearing, radius * share * 1000.0);
            let place = at(rim.y().clamp(-90.0, 90.0), rim.x().clamp(-180.0, 180.0));
            prop_assert!(BoundingBox::around(centre, radius).contains(place));
        }

        #[test]
        fn a_kept_home_is_never_further_out_than_a_quarter_cell(
            home in anywhere(), north in -0.02..0.02f64, east in -0.02..0.02f64,
        ) {
            let old = Cell::containing(home, 8).unwrap();
            let moved = at((home.lat + north).clamp(-90.0, 90.0), (home.lng + east).clamp(-180.0, 180.0));
            let new = snap_home(moved, Some(old), 8).unwrap();
            let around = Cell::containing(moved, 8).unwrap();
            if new == old && around != old {
                prop_assert!(old.border_distance_km(moved) <= 0.25 * old.size_km());
            } else {
                prop_assert_eq!(new, around);
            }
        }

        #[test]
        fn distance_is_symmetric(a in anywhere(), b in anywhere()) {
            prop_assert!((a.distance_km(&b) - b.distance_km(&a)).abs() < 1e-6);
        }
    }
}
