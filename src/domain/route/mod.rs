//! A run's route: lines on the map and nothing else. Times, names, heights and whatever else a file carries are left
//! behind when it is read: they tell who ran there before, and when.
//!
//! What a route may be is decided here; `gpx` and `geojson` take it out of files that may be hostile.

mod encoding;
mod geojson;
mod gpx;

use serde_json::{Value, json};

use super::{
    place::LatLng,
    refusal::{Fault, Faults},
};

pub use geojson::from_geojson;
pub use gpx::from_gpx;

/// Whether a file begins as JSON does, and not as XML.
pub fn looks_like_json(bytes: &[u8]) -> bool {
    encoding::decode(bytes).is_ok_and(|text| text.starts_with(['{', '[']))
}

/// The largest file, in bytes: an hour at one point a second with heart rates takes 1.3 MB, and six hours fit.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most points in a file: a day recorded once a second has fewer.
pub const MAX_POINTS: usize = 100_000;
/// The most points that are kept; a run of 100 km recorded every five metres has as many.
pub const MAX_KEPT_POINTS: usize = 20_000;
/// How far apart points stay when the first are left out of a file with too many, in km; it doubles until enough are.
const FIRST_SPACING_KM: f64 = 0.002;
/// The widest spacing that is tried, in km.
const WIDEST_SPACING_KM: f64 = 2.0;
/// How far from the meeting point a route may lead, in km: as far as the longest run.
pub const MAX_AWAY_KM: f64 = 100.0;
/// How near the meeting point a point of a route lies that comes by it, in km.
const PASSES_KM: f64 = 1.0;
/// The greatest length, in km: a longer one is several routes in one file, or noise.
pub const MAX_LENGTH_KM: f64 = 200.0;

/// Lines of at least two points each; WGS 84, to about ten centimetres.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    lines: Vec<Vec<LatLng>>,
}

impl Route {
    /// A route of these lines. Points that repeat the one before, and lines that are left with one point, go; of more
    /// than [`MAX_KEPT_POINTS`] those are left out that are nearest to their neighbours.
    ///
    /// # Errors
    /// Every fault in it, at `/coordinates`.
    fn of_lines(mut lines: Vec<Vec<LatLng>>) -> Result<Self, Faults> {
        if count(&lines) > MAX_POINTS {
            return Err(too_many_points());
        }
        lines.iter_mut().for_each(|line| wrap_at_date_line(line));
        if let Some((at, point)) = lines.iter().flatten().enumerate().find(|(_, point)| !point.is_valid()) {
            return Err(out_of_range(at + 1, *point));
        }
        let lines: Vec<Vec<LatLng>> = lines
            .into_iter()
            .map(|line| {
                let mut line: Vec<LatLng> = line.into_iter().map(rounded).collect();
                line.dedup();
                line
            })
            .filter(|line| line.len() > 1)
            .collect();
        if lines.is_empty() {
            return Err(fault("no_line", "there is no line of two points in it"));
        }
        Ok(Self { lines: thinned(lines)? })
    }

    /// The length along the ground, in km, to ten metres.
    pub fn length_km(&self) -> f64 {
        let of = |line: &Vec<LatLng>| line.windows(2).map(|two| two[0].distance_km(&two[1])).sum::<f64>();
        (self.lines.iter().map(of).sum::<f64>() * 100.0).round() / 100.0
    }

    /// Refuses a route that is not one from this meeting point.
    ///
    /// # Errors
    /// `far_away`, `too_long`.
    pub fn fits(&self, meeting_point: LatLng) -> Result<(), Faults> {
        let mut faults = Faults::default();
        let near = self.lines.iter().flatten().all(|point| point.distance_km(&meeting_point) <= MAX_AWAY_KM);
        let swapped = |point: &LatLng| LatLng { lat: point.lng, lng: point.lat };
        let passes_swapped = self.lines.iter().flatten().map(swapped).any(|point| is_near(point, meeting_point));
        let hint = if passes_swapped { "; latitude and longitude are likely swapped" } else { "" };
        let words = format!("a point lies more than {MAX_AWAY_KM} km from the meeting point{hint}");
        faults.unless(near, AT, "far_away", &words);
        let words = format!("the route is longer than {MAX_LENGTH_KM} km");
        faults.unless(self.length_km() <= MAX_LENGTH_KM, AT, "too_long", &words);
        faults.none()
    }

    /// Whether it comes by a meeting point.
    pub fn passes(&self, meeting_point: LatLng) -> bool {
        self.lines.iter().flatten().any(|point| is_near(*point, meeting_point))
    }

    /// As a GeoJSON geometry (RFC 7946): longitude first.
    pub fn geometry(&self) -> Value {
        let line = |line: &Vec<LatLng>| line.iter().map(|point| json!([point.lng, point.lat])).collect::<Value>();
        match self.lines.as_slice() {
            [one] => json!({ "type": "LineString", "coordinates": line(one) }),
            several => {
                let lines: Value = several.iter().map(line).collect();
                json!({ "type": "MultiLineString", "coordinates": lines })
            }
        }
    }

    /// As a GPX 1.1 file with one track.
    pub fn gpx(&self) -> String {
        let mut text = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <gpx version=\"1.1\" creator=\"Side by Side\" xmlns=\"http://www.topografix.com/GPX/1/1\">\n<trk>\n",
        );
        for line in &self.lines {
            text.push_str("<trkseg>\n");
            for LatLng { lat, lng } in line {
                text.push_str(&format!("<trkpt lat=\"{lat:.6}\" lon=\"{lng:.6}\"/>\n"));
            }
            text.push_str("</trkseg>\n");
        }
        text.push_str("</trk>\n</gpx>\n");
        text
    }
}

/// Where faults of a route are found.
const AT: &str = "/coordinates";

fn fault(code: &str, words: &str) -> Faults {
    Faults(vec![Fault::at(AT, code, words)])
}

fn too_many_points() -> Faults {
    fault("too_many_points", &format!("a route has at most {MAX_POINTS} points"))
}

fn out_of_range(number: usize, LatLng { lat, lng }: LatLng) -> Faults {
    let hint = if lat.abs() > 360.0 || lng.abs() > 360.0 {
        "these may be metres of a projection: export the route in degrees (WGS 84)"
    } else {
        "latitudes go from -90 to 90 and longitudes from -180 to 180; are they swapped?"
    };
    fault("out_of_range", &format!("point {number} has the latitude {lat} and the longitude {lng}: {hint}"))
}

fn count(lines: &[Vec<LatLng>]) -> usize {
    lines.iter().map(Vec::len).sum()
}

/// Whether two points are so near that a route through one comes by the other.
fn is_near(point: LatLng, other: LatLng) -> bool {
    point.is_valid() && point.distance_km(&other) <= PASSES_KM
}

/// Brings longitudes such as 180.005, of a line that goes on across the date line, into their range.
fn wrap_at_date_line(line: &mut [LatLng]) {
    let has_start = line.iter().any(LatLng::is_valid);
    let goes_on = line.windows(2).all(|two| (two[0].lng - two[1].lng).abs() < 180.0);
    if has_start && goes_on {
        for point in line.iter_mut().filter(|point| point.lng.abs() > 180.0 && point.lng.abs() <= 360.0) {
            point.lng -= 360.0_f64.copysign(point.lng);
        }
    }
}

/// Lines with at most [`MAX_KEPT_POINTS`] points, their ends included.
fn thinned(lines: Vec<Vec<LatLng>>) -> Result<Vec<Vec<LatLng>>, Faults> {
    let (mut kept, mut spacing_km) = (lines.clone(), FIRST_SPACING_KM);
    while count(&kept) > MAX_KEPT_POINTS {
        if spacing_km > WIDEST_SPACING_KM {
            return Err(too_many_points());
        }
        kept = lines.iter().map(|line| spaced(line, spacing_km)).collect();
        spacing_km *= 2.0;
    }
    Ok(kept)
}

/// The ends of a line, and of the points between them those that lie so far from the one before.
fn spaced(line: &[LatLng], spacing_km: f64) -> Vec<LatLng> {
    let mut kept: Vec<LatLng> = Vec::new();
    for (at, point) in line.iter().enumerate() {
        let is_end = at + 1 == line.len();
        if is_end || kept.last().is_none_or(|last| last.distance_km(point) >= spacing_km) {
            kept.push(*point);
        }
    }
    kept
}

/// A millionth of a degree is about ten centimetres.
fn rounded(point: LatLng) -> LatLng {
    let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
    LatLng { lat: round(point.lat), lng: round(point.lng) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes<T>(outcome: Result<T, Faults>) -> Vec<String> {
        outcome.map(|_| ()).expect_err("a fault").0.into_iter().map(|fault| fault.code).collect()
    }

    const LINE: &str =
        r#"{"type":"LineString","coordinates":[[-0.3358,51.4110,12.5],[-0.3300,51.4110],[-0.3300,51.4150]]}"#;

    #[test]
    fn a_line_comes_back_without_heights_and_with_its_length() {
        let route = from_geojson(LINE.as_bytes()).unwrap();
        assert_eq!(
            route.geometry(),
            json!({ "type": "LineString", "coordinates": [[-0.3358, 51.411], [-0.33, 51.411], [-0.33, 51.415]] })
        );
        assert!((route.length_km() - 0.85).abs() < 0.02, "{}", route.length_km());
        assert_eq!(from_geojson(route.geometry().to_string().as_bytes()).unwrap(), route);
        assert_eq!(from_gpx(route.gpx().as_bytes()).unwrap(), route);
    }

    #[test]
    fn of_a_gpx_file_only_the_lines_are_left() {
        let gpx = r#"<?xml version="1.0"?><gpx version="1.1" creator="Ana's watch" xmlns="http://www.topografix.com/GPX/1/1">
            <metadata><author><name>Ana Secret</name></author><time>2026-01-01T07:00:00Z</time></metadata>
            <wpt lat="51.5" lon="-0.1"><name>Home</name></wpt>
            <trk><name>From home</name><trkseg>
            <trkpt lat="51.4110" lon="-0.3358"><ele>12</ele><time>2026-01-01T07:00:00Z</time>
              <extensions><hr>150</hr></extensions></trkpt>
            <trkpt lat="51.4110" lon="-0.3300"/></trkseg><trkseg><trkpt lat="51.4150" lon="-0.3300"/>
            <trkpt lat="51.4160" lon="-0.3300"/></trkseg></trk></gpx>"#;
        let route = from_gpx(gpx.as_bytes()).unwrap();
        let geometry = route.geometry().to_string();
        assert!(geometry.contains("MultiLineString") && !geometry.contains("Secret") && !geometry.contains("-0.1,"));
        assert!(!route.gpx().contains("time") && !route.gpx().contains("name"));
        let planned = r#"<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><rte>
            <rtept lat="51.41" lon="-0.33"/><rtept lat="51.42" lon="-0.33"/></rte></gpx>"#;
        assert_eq!(from_gpx(planned.as_bytes()).unwrap().geometry()["type"], "LineString");
    }

    #[test]
    fn features_and_collections_are_read_and_other_shapes_are_not() {
        let feature = format!(r#"{{"type":"Feature","properties":{{"name":"Ana"}},"geometry":{LINE}}}"#);
        assert!(from_geojson(feature.as_bytes()).is_ok());
        let all = format!(r#"{{"type":"FeatureCollection","features":[{feature},{feature}]}}"#);
        assert_eq!(from_geojson(all.as_bytes()).unwrap().geometry()["type"], "MultiLineString");
        assert_eq!(codes(from_geojson(br#"{"type":"Point","coordinates":[0,51]}"#)), ["no_line"]);
        assert_eq!(codes(from_geojson(br#"{"type":"FeatureCollection","features":[]}"#)), ["no_line"]);
        assert_eq!(codes(from_geojson(br#"{"type":"LineString","coordinates":[]}"#)), ["no_line"]);
        assert_eq!(codes(from_geojson(br#"{"type":"LineString","coordinates":[[0,51],[0,51]]}"#)), ["no_line"]);
        assert_eq!(codes(from_geojson(br#"{"type":"LineString","coordinates":[[0],[1]]}"#)), ["not_geojson"]);
        assert_eq!(codes(from_geojson(br#"{"type":"Cake"}"#)), ["not_geojson"]);
        assert_eq!(codes(from_geojson(b"not json")), ["not_geojson"]);
    }

    #[test]
    fn points_off_the_map_and_out_of_number_are_faults() {
        assert_eq!(codes(from_geojson(br#"{"type":"LineString","coordinates":[[0,91],[0,51]]}"#)), ["out_of_range"]);
        assert_eq!(codes(from_geojson(br#"{"type":"LineString","coordinates":[[1e999,51],[0,51]]}"#)), ["not_geojson"]);
        assert_eq!(codes(from_geojson(br#"{"type":"LineString","coordinates":[[NaN,51],[0,51]]}"#)), ["not_geojson"]);
        let at = |lat: i32| LatLng { lat: f64::from(lat) / 1e5, lng: 0.0 };
        let two_points_each: Vec<Vec<LatLng>> = (0..20_000).map(|lat| vec![at(lat), at(lat + 1)]).collect();
        assert_eq!(codes(Route::of_lines(two_points_each)), ["too_many_points"]);
    }

    #[test]
    fn a_day_recorded_each_second_is_thinned_and_keeps_its_shape() {
        // 2.5 m apart along a circle of 34 km around London, which is 86,000 points.
        let circle: Vec<LatLng> = (0..=86_400)
            .map(|at| f64::from(at) / 86_400.0 * std::f64::consts::TAU)
            .map(|angle| LatLng { lat: 51.5 + angle.sin() * 0.15, lng: -0.1 + angle.cos() * 0.24 })
            .collect();
        let mut whole = circle.clone();
        whole.truncate(MAX_KEPT_POINTS);
        assert_eq!(Route::of_lines(vec![whole]).unwrap().lines[0].len(), MAX_KEPT_POINTS);
        let route = Route::of_lines(vec![circle]).unwrap();
        assert!((5_000..=MAX_KEPT_POINTS).contains(&route.lines[0].len()), "{}", route.lines[0].len());
        assert_eq!(route.lines[0].first(), route.lines[0].last());
        assert!((103.0..106.0).contains(&route.length_km()), "{}", route.length_km());
    }

    #[test]
    fn a_line_may_go_on_across_the_date_line() {
        let line = |from: f64, to: f64| {
            let text = json!({ "type": "LineString", "coordinates": [[from, -16.8], [to, -16.8]] }).to_string();
            from_geojson(text.as_bytes())
        };
        for (from, to) in [(179.995, 180.005), (-179.995, -180.005)] {
            let route = line(from, to).unwrap();
            assert_eq!(route.lines[0][1].lng, -to.signum() * 179.995);
            assert!((1.0..1.1).contains(&route.length_km()));
        }
        for (from, to) in [(540.0, 540.1), (-181.0, 0.0), (181.0, 182.0), (179.0, 361.0)] {
            assert_eq!(codes(line(from, to)), ["out_of_range"], "{from} {to}");
        }
    }

    #[test]
    fn a_route_elsewhere_is_a_fault() {
        let route = from_geojson(LINE.as_bytes()).unwrap();
        assert!(route.fits(LatLng { lat: 51.41, lng: -0.33 }).is_ok());
        assert_eq!(codes(route.fits(LatLng { lat: 42.0, lng: -0.33 })), ["far_away"]);
        let words = |meeting_point| route.fits(meeting_point).unwrap_err().0.remove(0).detail;
        assert!(words(LatLng { lat: -0.33, lng: 51.41 }).contains("likely swapped"));
        assert!(!words(LatLng { lat: 42.0, lng: -0.33 }).contains("swapped"));
    }
}
