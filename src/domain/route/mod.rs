//! A run's route: lines on the map and nothing else. Times, names, heights and whatever else a file carries are left
//! behind when it is read: they tell who ran there before, and when.
//!
//! What a route may be is decided here; `read` takes it out of files that may be hostile.

mod read;

use serde_json::{Value, json};

use super::{
    place::LatLng,
    refusal::{Fault, Faults},
};

pub use read::{from_geojson, from_gpx};

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most points; a run of 100 km recorded every five metres has as many.
pub const MAX_POINTS: usize = 20_000;
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
    /// A route of these lines. Points that repeat the one before, and lines that are left with one point, go.
    ///
    /// # Errors
    /// Every fault in it, at `/coordinates`.
    fn of_lines(lines: Vec<Vec<LatLng>>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let all = || lines.iter().flatten();
        let words = format!("a route has at most {MAX_POINTS} points");
        faults.unless(all().count() <= MAX_POINTS, AT, "too_many_points", &words);
        let words = "latitudes go from -90 to 90 and longitudes from -180 to 180; are they swapped?";
        faults.unless(all().all(LatLng::is_valid), AT, "out_of_range", words);
        faults.none()?;
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
        Ok(Self { lines })
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
        let words = format!("a point lies more than {MAX_AWAY_KM} km from the meeting point");
        faults.unless(near, AT, "far_away", &words);
        let words = format!("the route is longer than {MAX_LENGTH_KM} km");
        faults.unless(self.length_km() <= MAX_LENGTH_KM, AT, "too_long", &words);
        faults.none()
    }

    /// Whether it comes by a meeting point.
    pub fn passes(&self, meeting_point: LatLng) -> bool {
        self.lines.iter().flatten().any(|point| point.distance_km(&meeting_point) <= PASSES_KM)
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
        let many: Vec<Value> = (0..=MAX_POINTS).map(|at| json!([0.0, at as f64 / 1e6])).collect();
        let many = json!({ "type": "LineString", "coordinates": many }).to_string();
        assert_eq!(codes(from_geojson(many.as_bytes())), ["too_many_points"]);
    }

    #[test]
    fn a_route_elsewhere_is_a_fault() {
        let route = from_geojson(LINE.as_bytes()).unwrap();
        assert!(route.fits(LatLng { lat: 51.41, lng: -0.33 }).is_ok());
        assert_eq!(codes(route.fits(LatLng { lat: 42.0, lng: -0.33 })), ["far_away"]);
    }

    #[test]
    fn bombs_are_not_opened() {
        let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
            <gpx version="1.1" creator="&b;"><trk/></gpx>"#;
        assert_eq!(codes(from_gpx(laughs.as_bytes())), ["doctype"]);
        let deep = format!("<gpx version=\"1.1\" creator=\"x\">{}", "<extensions>".repeat(80_000));
        assert_eq!(codes(from_gpx(deep.as_bytes())), ["too_deep"]);
        let deep = "[".repeat(MAX_BYTES);
        assert_eq!(codes(from_geojson(deep.as_bytes())), ["not_geojson"]);
        let deep = format!("{}1", r#"{"type":"GeometryCollection","geometries":["#.repeat(10_000));
        assert_eq!(codes(from_geojson(deep.as_bytes())), ["not_geojson"]);
        for broken in ["", "<", "<gpx", "<gpx version=\"1.1\">", "<a></b>", "<!--", "<gpx x='", "\u{0}<\u{0}g", "<?xml"]
        {
            assert_eq!(codes(from_gpx(broken.as_bytes())), ["not_gpx"], "{broken}");
        }
        assert_eq!(codes(from_gpx(&[0xff, 0xfe, b'<', 0, b'g', 0])), ["not_gpx"]);
        let empty =
            r#"<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg/></trk></gpx>"#;
        assert_eq!(codes(from_gpx(empty.as_bytes())), ["no_line"]);
        let nan = empty.replace("<trkseg/>", r#"<trkseg><trkpt lat="NaN" lon="0"/></trkseg>"#);
        assert_eq!(codes(from_gpx(nan.as_bytes())), ["not_gpx"]);
    }
}
