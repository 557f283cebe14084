//! Points of a file that are likely written the wrong way round: latitude and longitude swapped.
//!
//! A row is refused only where the point as it is written can hardly be meant (at sea, or where nobody else is and no run)
//! and the swapped one can (on land, or among them). A point that is merely far away is told and taken.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    cells::Kind,
    sheet::{Broken, Row},
};
use crate::{
    domain::{
        place::{Cell, LatLng, time_zone_at},
        refusal::Fault,
    },
    error::Result,
    store::{Conn, accounts, runs},
};

/// The side of a square in which points are counted, in degrees: about 55 km from south to north.
const SQUARE_DEGREES: f64 = 0.5;
/// Squares to the north and south that are near: 200 to 250 km, farther than people go to a run.
const NEAR_SQUARES: i32 = 4;
/// Squares around the Earth.
const AROUND: i32 = 720;
/// The fewest other places from which being far away says anything.
const FEWEST_OTHERS: u32 = 5;
/// So many more others near the swapped point than near the point tell that it is swapped, as others may be with it.
const MORE_NEAR_SWAPPED: u32 = 4;
/// A swapped point that lies nearer than this tells nothing, in km: some places are at 50 degrees in both directions.
const SWAPPED_AWAY_KM: f64 = 1_000.0;
/// Degrees around 0, 0 that stand for "not known" in many programs.
const NULL_ISLAND_DEGREES: f64 = 0.01;

/// Where people live and runs meet, counted in squares.
#[derive(Debug, Default)]
pub struct Surroundings {
    squares: HashMap<(i32, i32), u32>,
    count: u32,
}

impl Surroundings {
    /// All homes (as cells) and all meeting points (as they are shown) of the installation.
    pub fn load(conn: &mut Conn) -> Result<Self> {
        let mut all = Self::default();
        let homes = accounts::home_cells(conn)?;
        homes.iter().filter_map(|cell| cell.parse::<Cell>().ok()).for_each(|cell| all.add(cell.centre()));
        runs::shown_places(conn)?.into_iter().for_each(|place| all.add(place));
        Ok(all)
    }

    fn add(&mut self, point: LatLng) {
        *self.squares.entry(square(point)).or_default() += 1;
        self.count += 1;
    }

    /// How many points lie near this one.
    fn near(&self, point: LatLng) -> u32 {
        let (row, column) = square(point);
        let widest = AROUND / 2;
        let width = (f64::from(NEAR_SQUARES) / point.lat.to_radians().cos().max(0.01)).ceil();
        let width = (width as i32).min(widest);
        let rows = row - NEAR_SQUARES..=row + NEAR_SQUARES;
        rows.flat_map(|row| (column - width..=column + width).map(move |column| (row, column.rem_euclid(AROUND))))
            .filter_map(|square| self.squares.get(&square))
            .sum()
    }
}

fn square(LatLng { lat, lng }: LatLng) -> (i32, i32) {
    let number = |degrees: f64| (degrees / SQUARE_DEGREES).floor() as i32;
    (number(lat), number(lng).rem_euclid(AROUND))
}

/// The two columns of a point, and whether homes stand in them.
#[derive(Debug, Clone, Copy)]
pub struct PointColumns {
    pub lat: &'static str,
    pub lng: &'static str,
    pub are_homes: bool,
}

/// Notes at each row that its point is likely swapped; returns words about points that are far from all others.
pub fn note_swapped(rows: &mut [Result<Row, Broken>], columns: PointColumns, mut around: Surroundings) -> Vec<String> {
    let points: Vec<Option<LatLng>> =
        rows.iter().map(|row| row.as_ref().ok().and_then(|row| point(row, columns))).collect();
    points.iter().flatten().filter(|point| point.is_valid()).for_each(|point| around.add(*point));
    let mut notes = Vec::new();
    for (row, point) in rows.iter_mut().zip(points) {
        let (Ok(row), Some(point)) = (row, point) else { continue };
        match judge(point, columns, &around) {
            Verdict::Plausible => {}
            Verdict::Wrong(words) => row.faults.push(Fault::at(format!("/{}", columns.lat), "place", words)),
            Verdict::FarAway => notes.push(format!(
                "line {}: {}: this place is far from all others and from all runs; is it right?",
                row.line, columns.lat
            )),
        }
    }
    notes
}

fn point(row: &Row, columns: PointColumns) -> Option<LatLng> {
    let read = |column, kind: Kind| kind.read(row.cell(column)?, row.comma).ok().as_ref().and_then(Value::as_f64);
    Some(LatLng { lat: read(columns.lat, Kind::Latitude)?, lng: read(columns.lng, Kind::Longitude)? })
}

enum Verdict {
    Plausible,
    /// Why the point cannot be meant.
    Wrong(String),
    FarAway,
}

fn judge(point: LatLng, PointColumns { lat, lng, are_homes }: PointColumns, around: &Surroundings) -> Verdict {
    let swapped = LatLng { lat: point.lng, lng: point.lat };
    let is_on_land = |point| time_zone_at(point).is_some();
    let likely = |why: &str| {
        let words = format!("{lat} and {lng} are likely swapped: {why} (--trust-places takes them as they are)");
        Verdict::Wrong(words)
    };
    if point.lat.abs() < NULL_ISLAND_DEGREES && point.lng.abs() < NULL_ISLAND_DEGREES {
        let words = "0, 0 lies in the sea off Africa";
        let advice = if are_homes { "; leave both empty where nobody knows" } else { "" };
        return Verdict::Wrong(format!("{words}{advice}"));
    }
    if !is_on_land(point) {
        return if is_on_land(swapped) {
            likely("as they stand this is no place on land, and the other way round it is one")
        } else if point.is_valid() && are_homes {
            Verdict::Wrong("this point lies at sea".to_owned())
        } else {
            Verdict::Plausible
        };
    }
    // The point itself is among those around.
    let (others, near) = (around.count.saturating_sub(1), around.near(point).max(1));
    let is_elsewhere = swapped.is_valid() && point.distance_km(&swapped) > SWAPPED_AWAY_KM;
    let near_swapped = if is_elsewhere && is_on_land(swapped) { around.near(swapped) } else { 0 };
    if near_swapped >= MORE_NEAR_SWAPPED * near || (near == 1 && near_swapped > 0) {
        likely("where they stand is next to nobody else and no run, and the other way round it is near many")
    } else if near == 1 && are_homes && others >= FEWEST_OTHERS {
        Verdict::FarAway
    } else {
        Verdict::Plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::imports::sheet::Sheet;

    const COLUMNS: PointColumns = PointColumns { lat: "lat", lng: "lng", are_homes: true };
    const BRISTOL: LatLng = LatLng { lat: 51.45, lng: -2.58 };

    fn judged(points: &[(f64, f64)], around: Surroundings) -> (Vec<Option<String>>, Vec<String>) {
        let rows: String = points.iter().map(|(lat, lng)| format!("{lat},{lng}\n")).collect();
        let mut sheet = Sheet::read(format!("lat,lng\n{rows}").as_bytes(), None, &["lat", "lng"], &[]).unwrap();
        let notes = note_swapped(&mut sheet.rows, COLUMNS, around);
        let fault = |row: &Result<Row, Broken>| row.as_ref().unwrap().faults.first().map(|fault| fault.detail.clone());
        (sheet.rows.iter().map(fault).collect(), notes)
    }

    #[test]
    fn a_swapped_home_is_named_and_the_others_are_not() {
        // Milan; the swapped point lies in Ethiopia, on land.
        let milan = [(45.46, 9.19), (45.48, 9.21), (45.47, 9.15), (9.19, 45.46)];
        let (faults, notes) = judged(&milan, Surroundings::default());
        assert!(faults[..3].iter().all(Option::is_none) && notes.is_empty(), "{faults:?}");
        assert!(faults[3].as_ref().unwrap().starts_with("lat and lng are likely swapped"), "{faults:?}");
    }

    #[test]
    fn a_file_that_is_swapped_throughout_is_seen_by_the_sea_or_by_what_is_there() {
        let (faults, _) = judged(&[(-2.58, 51.45), (-2.6, 51.46)], Surroundings::default());
        assert!(faults.iter().flatten().all(|words| words.contains("no place on land")) && faults.len() == 2);
        let mut around = Surroundings::default();
        around.add(LatLng { lat: 45.46, lng: 9.19 });
        let (faults, _) = judged(&[(9.19, 45.46)], around);
        assert!(faults[0].as_ref().unwrap().contains("near many"), "{faults:?}");
        // Sydney: the longitude is no latitude.
        let (faults, _) = judged(&[(151.2, -33.87)], Surroundings::default());
        assert!(faults[0].as_ref().unwrap().contains("likely swapped"), "{faults:?}");
    }

    #[test]
    fn points_at_sea_and_at_zero_are_refused() {
        let (faults, _) = judged(&[(0.0, 0.0), (40.0, -40.0), (91.0, -2.5)], Surroundings::default());
        assert!(faults[0].as_ref().unwrap().contains("0, 0 lies in the sea"), "{faults:?}");
        assert_eq!((faults[1].as_deref(), faults[2].as_deref()), (Some("this point lies at sea"), None));
    }

    #[test]
    fn somebody_who_lives_far_away_is_told_and_taken() {
        let mut around = Surroundings::default();
        (0..6).for_each(|_| around.add(BRISTOL));
        let (faults, notes) = judged(&[(40.78, -73.96)], around);
        assert!(faults[0].is_none() && notes.len() == 1 && notes[0].starts_with("line 2: lat: "), "{notes:?}");
        let (faults, notes) = judged(&[(40.78, -73.96), (51.4, -2.5)], Surroundings::default());
        assert!(faults.iter().all(Option::is_none) && notes.is_empty());
    }

    #[test]
    fn several_swapped_homes_hide_behind_each_other_no_more() {
        // Moscow; the swapped points lie in Turkmenistan.
        let moscow = (0..20).map(|at| (55.7 + f64::from(at) / 100.0, 37.6));
        let points: Vec<(f64, f64)> = moscow.chain([(37.6, 55.7), (37.5, 55.8)]).collect();
        let (faults, _) = judged(&points, Surroundings::default());
        assert_eq!(faults.iter().filter(|fault| fault.is_some()).count(), 2, "{faults:?}");
        assert!(faults[20].is_some() && faults[21].is_some());
        // Samara is nearly the same either way round.
        let (faults, _) = judged(&[(53.23, 50.2), (50.3, 53.2), (50.2, 53.3)], Surroundings::default());
        assert!(faults.iter().all(Option::is_none), "{faults:?}");
    }

    #[test]
    fn nearness_goes_across_the_date_line_and_up_to_the_poles() {
        let mut around = Surroundings::default();
        around.add(LatLng { lat: -16.8, lng: 179.9 });
        around.add(LatLng { lat: 89.9, lng: 0.0 });
        assert_eq!(around.near(LatLng { lat: -16.8, lng: -179.9 }), 1);
        assert_eq!(around.near(LatLng { lat: 89.9, lng: 170.0 }), 1);
        assert_eq!(around.near(LatLng { lat: -16.8, lng: 170.0 }), 0);
    }
}
