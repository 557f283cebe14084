//! Lines out of GPX files, which may be hostile, and which devices write with many faults: only points of tracks and
//! routes are read, and everything else is passed over unread.
//!
//! No entity is expanded, nothing is opened, and the work is in proportion to the size of the file.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{MAX_POINTS, Route, encoding, fault, too_many_points};
use crate::domain::{place::LatLng, refusal::Faults};

/// How deep elements of a GPX file lie in each other, extensions included; real files reach nine.
const MAX_DEPTH: usize = 32;
/// How many attributes of a point are looked at for its two coordinates.
const MAX_ATTRIBUTES: usize = 32;

/// Reads a GPX file of any version and namespace: its tracks, or its routes where no track has a line; waypoints are
/// passed over.
///
/// # Errors
/// `not_gpx`, `doctype`, `too_deep`, `too_many_points`, and what a [`Route`] refuses.
pub fn from_gpx(bytes: &[u8]) -> Result<Route, Faults> {
    if let Some(words) = other_binary(bytes) {
        return Err(not_gpx(words));
    }
    let text = encoding::decode(bytes).map_err(|name| not_gpx(&format!("its encoding {name:?} is not known")))?;
    if text.starts_with(['{', '[']) {
        return Err(not_gpx("this looks like GeoJSON: send Content-Type application/geo+json"));
    }
    let Found { tracks, routes, .. } = find_lines(&text)?;
    let has_line = |lines: &[Vec<LatLng>]| {
        lines.iter().any(|line| line.first().is_some_and(|first| line.iter().any(|point| point != first)))
    };
    Route::of_lines(if has_line(&tracks) || routes.is_empty() { tracks } else { routes })
}

fn not_gpx(words: &str) -> Faults {
    fault("not_gpx", &format!("this cannot be read as GPX 1.0 or 1.1: {words}"))
}

fn other_binary(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'P', b'K', 3, 4, ..] => Some("it is a zip archive; unpack it"),
        [_, _, _, _, _, _, _, _, b'.', b'F', b'I', b'T', ..] => Some("it is a FIT file; export it as GPX or GeoJSON"),
        _ => None,
    }
}

/// Where the reader is among lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Neither,
    Track,
    Route,
}

/// The lines so far.
struct Found {
    tracks: Vec<Vec<LatLng>>,
    routes: Vec<Vec<LatLng>>,
    points: usize,
    depth: usize,
    inside: In,
    /// The depth of the outermost element of extensions that is open.
    extensions: Option<usize>,
}

fn find_lines(text: &str) -> Result<Found, Faults> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    reader.config_mut().expand_empty_elements = true;
    let mut found =
        Found { tracks: Vec::new(), routes: Vec::new(), points: 0, depth: 0, inside: In::Neither, extensions: None };
    let mut has_root = false;
    loop {
        let before = reader.buffer_position();
        let line = || line_at(text, before);
        match reader.read_event().map_err(|fault| not_gpx(&format!("line {}: {fault}", line())))? {
            Event::Start(tag) => {
                if found.depth == 0 {
                    check_root(tag.local_name().into_inner())?;
                    has_root = true;
                }
                found.open(&tag, &line)?;
            }
            Event::End(tag) => found.close(tag.local_name().into_inner()),
            Event::DocType(kind) if kind.contains(['[', '&', '%']) => {
                let words =
                    "a document type that declares anything is not taken: it can make a small file grow without end";
                return Err(fault("doctype", words));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if has_root && found.depth == 0 { Ok(found) } else { Err(not_gpx("the file breaks off")) }
}

/// The line of a file on which a byte stands, counted from 1.
fn line_at(text: &str, byte: u64) -> usize {
    let before = usize::try_from(byte).ok().and_then(|byte| text.get(..byte)).unwrap_or(text);
    1 + before.matches('\n').count()
}

fn check_root(name: &str) -> Result<(), Faults> {
    let words = match name.to_ascii_lowercase().as_str() {
        "gpx" => return Ok(()),
        "trainingcenterdatabase" => "it is a TCX file; export it as GPX or GeoJSON".to_owned(),
        "kml" => "it is a KML file; export it as GPX or GeoJSON".to_owned(),
        "html" => "it is a web page (HTML); download the GPX file itself".to_owned(),
        _ => format!("its outermost element is {name:.40?}; send GPX or GeoJSON"),
    };
    Err(not_gpx(&words))
}

impl Found {
    fn open(&mut self, tag: &BytesStart<'_>, line: &dyn Fn() -> usize) -> Result<(), Faults> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(fault("too_deep", "the elements are nested too deeply"));
        }
        let name = tag.local_name().into_inner();
        match (self.inside, name) {
            // Shape points that Garmin BaseCamp keeps in the extensions of the point before them.
            (In::Route, "rpt") => return self.add_point(tag, line),
            _ if self.extensions.is_some() => {}
            (_, "extensions") => self.extensions = Some(self.depth),
            (In::Neither, "trk") => self.begin(In::Track),
            (In::Neither, "rte") => self.begin(In::Route),
            (In::Track, "trkseg") => self.tracks.push(Vec::new()),
            (In::Track, "trkpt") | (In::Route, "rtept") => return self.add_point(tag, line),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        if self.extensions == Some(self.depth) {
            self.extensions = None;
        } else if self.extensions.is_none() && matches!((self.inside, name), (In::Track, "trk") | (In::Route, "rte")) {
            self.inside = In::Neither;
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn begin(&mut self, inside: In) {
        self.inside = inside;
        self.lines().push(Vec::new());
    }

    fn lines(&mut self) -> &mut Vec<Vec<LatLng>> {
        if self.inside == In::Route { &mut self.routes } else { &mut self.tracks }
    }

    fn add_point(&mut self, tag: &BytesStart<'_>, line: &dyn Fn() -> usize) -> Result<(), Faults> {
        self.points += 1;
        if self.points > MAX_POINTS {
            return Err(too_many_points());
        }
        let number = self.points;
        let point = read_point(tag).map_err(|words| not_gpx(&format!("point {number} (line {}): {words}", line())))?;
        if let Some(last) = self.lines().last_mut() {
            last.push(point);
        }
        Ok(())
    }
}

/// The coordinates of a point, or words that say what is wrong with them.
fn read_point(tag: &BytesStart<'_>) -> Result<LatLng, String> {
    let (mut lat, mut lng) = (None, None);
    // Without checks for repeats, whose work grows with the square of the number of attributes.
    for attribute in tag.attributes().with_checks(false).take(MAX_ATTRIBUTES) {
        let attribute = attribute.map_err(|fault| fault.to_string())?;
        match attribute.key.local_name().into_inner() {
            "lat" => lat = Some(degrees("lat", &attribute.value)?),
            "lon" => lng = Some(degrees("lon", &attribute.value)?),
            _ => {}
        }
    }
    match (lat, lng) {
        (Some(lat), Some(lng)) => Ok(LatLng { lat, lng }),
        (None, _) => Err("it has no attribute lat".to_owned()),
        (_, None) => Err("it has no attribute lon".to_owned()),
    }
}

fn degrees(name: &str, text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| {
        let hint = if text.contains(',') { "; write it with a point and not a comma" } else { "" };
        format!("{name} is {text:.40?}, which is no number of degrees{hint}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::route::MAX_BYTES;

    const POINTS: &str = r#"<trkpt lat="51.41" lon="-0.33"/><trkpt lat="51.42" lon="-0.33"/>"#;
    const PLANNED: &str = r#"<rte><rtept lat="51.41" lon="-0.33"/><rtept lat="51.42" lon="-0.33"/></rte>"#;

    fn fault_of(gpx: impl AsRef<[u8]>) -> String {
        let fault = from_gpx(gpx.as_ref()).expect_err("a fault").0.remove(0);
        format!("{}: {}", fault.code, fault.detail)
    }

    fn line() -> serde_json::Value {
        json!({ "type": "LineString", "coordinates": [[-0.33, 51.41], [-0.33, 51.42]] })
    }

    #[test]
    fn files_with_the_faults_of_devices_give_their_points() {
        let track = format!("<trk><name>Tom & Jerry &nbsp; <![CDATA[</trk><]]></name><trkseg>{POINTS}</trkseg></trk>");
        let inner = r#"<ele>x</ele><time>null</time><speed>2.5</speed><course>77</course><!-- <trkpt --><?a <b>?>
            <extensions><ns3:TrackPointExtension><ns3:hr>150</ns3:hr><trkpt lat="1" lon="1"/><trk/></ns3:TrackPointExtension></extensions>"#;
        let full = format!(
            r#"<trk><trkseg><trkpt lon=" -0.33" lat='51.410'>{inner}</trkpt><trkpt lat="51.42" lon="-0.33">{inner}</trkpt></trkseg></trk>"#
        );
        for file in [
            format!("<gpx>{track}</gpx>"),
            format!(
                "\n\n<?xml version=\"1.0\"?>\n<gpx version=\"1.0\" xmlns=\"http://www.topografix.com/GPX/1/0\">{full}</gpx>\n"
            ),
            format!("\u{feff}<?xml version=\"1.0\"?><!DOCTYPE gpx><gpx xmlns=\"urn:other\">{full}</gpx>"),
            format!("<g:gpx xmlns:g=\"x\">{}</g:gpx>", full.replace("<tr", "<g:tr").replace("</tr", "</g:tr")),
            format!(
                "<gpx><wpt lat=\"1\" lon=\"1\"/><metadata><bounds minlat=\"x\"/></metadata><trk>{POINTS}</trk></gpx>"
            ),
            format!("<gpx>{PLANNED}</gpx>"),
        ] {
            assert_eq!(from_gpx(file.as_bytes()).expect(&file).geometry(), line(), "{file}");
        }
    }

    #[test]
    fn encodings_are_read_as_the_file_says() {
        let file = |encoding: &str| {
            format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?><gpx><trk><name>Größe</name>{POINTS}</trk></gpx>")
        };
        let latin = |name: &str| encoding_rs::WINDOWS_1252.encode(&file(name)).0.into_owned();
        let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> { file("UTF-16").encode_utf16().flat_map(bytes).collect() };
        let marked = [vec![0xff, 0xfe], wide(u16::to_le_bytes)].concat();
        for bytes in [
            latin("ISO-8859-1"),
            latin("windows-1252"),
            latin("UTF-8"),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
            marked,
            file("utf-8").into_bytes(),
        ] {
            assert_eq!(from_gpx(&bytes).unwrap().geometry(), line());
        }
        assert!(fault_of(file("klingon")).contains("klingon"));
    }

    #[test]
    fn a_track_of_one_point_hides_no_route() {
        let point = r#"<trkpt lat="1" lon="2"/>"#;
        for inside in ["", "<trkseg/>", &format!("<trkseg>{point}</trkseg>"), &point.repeat(2)] {
            let file = format!("<gpx><trk>{inside}</trk>{PLANNED}</gpx>");
            assert_eq!(from_gpx(file.as_bytes()).unwrap().geometry(), line(), "{file}");
        }
        let both = format!("<gpx>{}<trk>{POINTS}</trk></gpx>", PLANNED.replace("51.42", "51.5"));
        assert_eq!(from_gpx(both.as_bytes()).unwrap().geometry(), line(), "a track goes before a route");
    }

    #[test]
    fn shape_points_of_basecamp_are_points_of_the_route() {
        let route = r#"<gpx xmlns:gpxx="http://www.garmin.com/xmlschemas/GpxExtensions/v3"><rte><name>Loop</name>
            <rtept lat="51.41" lon="-0.33"><extensions><gpxx:RoutePointExtension><gpxx:Subclass>06</gpxx:Subclass>
            <gpxx:rpt lat="51.411" lon="-0.331"/><gpxx:rpt lat="51.412" lon="-0.332"><gpxx:Subclass/></gpxx:rpt>
            </gpxx:RoutePointExtension></extensions></rtept>
            <rtept lat="51.42" lon="-0.33"/></rte></gpx>"#;
        let expected = json!([[-0.33, 51.41], [-0.331, 51.411], [-0.332, 51.412], [-0.33, 51.42]]);
        assert_eq!(from_gpx(route.as_bytes()).unwrap().geometry()["coordinates"], expected);
    }

    #[test]
    fn a_wrong_coordinate_is_named_with_its_point_and_line() {
        let second = |attributes: &str| {
            let first = "<trkpt lat=\"51.41\" lon=\"-0.33\"/>";
            fault_of(format!("<gpx>\n<trk><trkseg>\n{first}\n<trkpt {attributes}/></trkseg></trk></gpx>"))
        };
        for (attributes, words) in [
            ("lat=\"NaN\" lon=\"0\"", "lat is \"NaN\", which is no number"),
            ("lat=\"51,41\" lon=\"0\"", "with a point and not a comma"),
            ("lat=\"51.4\" lon=\"\"", "lon is \"\""),
            ("lat=\"51.4\"", "it has no attribute lon"),
            ("lat=51.4 lon=\"0\"", ""),
        ] {
            let fault = second(attributes);
            assert!(fault.starts_with("not_gpx: ") && fault.contains("point 2 (line 4): "), "{fault}");
            assert!(fault.contains(words), "{fault}");
        }
        let fault = second("lat=\"91\" lon=\"0\"");
        assert!(fault.starts_with("out_of_range: ") && fault.contains("point 2"), "{fault}");
    }

    #[test]
    fn other_files_are_refused_by_their_kind() {
        for (file, words) in [
            (&b"<?xml version=\"1.0\"?><TrainingCenterDatabase/>"[..], "TCX"),
            (b"<kml xmlns=\"http://www.opengis.net/kml/2.2\"/>", "KML"),
            (b"<!DOCTYPE html><html></html>", "HTML"),
            (b"{\"type\":\"LineString\"}", "GeoJSON"),
            (b"PK\x03\x04", "zip"),
            (b"\x0e\x10\xd9\x07\x00\x00\x00\x00.FIT", "FIT"),
            (b"<osm/>", "\"osm\""),
        ] {
            let fault = fault_of(file);
            assert!(fault.starts_with("not_gpx") && fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn hostile_files_are_not_opened() {
        let laughs = r#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
            <gpx version="1.1" creator="&b;"><trk/></gpx>"#;
        assert!(fault_of(laughs).starts_with("doctype"));
        let file = "<!DOCTYPE gpx [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><gpx>&x;</gpx>";
        assert!(fault_of(file).starts_with("doctype"));
        let undeclared = format!("<gpx>&b;<trk><name>&a;&#0;&#x110000;</name>{POINTS}</trk></gpx>");
        assert_eq!(from_gpx(undeclared.as_bytes()).unwrap().geometry(), line());
        assert!(fault_of(format!("<gpx>{}", "<extensions>".repeat(80_000))).starts_with("too_deep"));
        let attributes: String = (0..60_000).map(|at| format!(" a{at}=\"\"")).collect();
        assert!(fault_of(format!("<gpx><trk><trkpt{attributes}/></trk></gpx>")).contains("no attribute lat"));
        let many = POINTS.repeat(MAX_POINTS / 2 + 1);
        assert!(fault_of(format!("<gpx><trk>{many}</trk></gpx>")).starts_with("too_many_points"));
        for broken in ["", "<", "<gpx", "<gpx version=\"1.1\">", "<a></b>", "<!--", "<gpx x='", "\u{0}<\u{0}g", "<?xml"]
        {
            assert!(fault_of(broken).starts_with("not_gpx"), "{broken}");
        }
        assert!(fault_of([0xff, 0xfe, b'<', 0, b'g', 0]).starts_with("not_gpx"));
        assert!(fault_of("<gpx><trk><trkseg/></trk></gpx>").starts_with("no_line"));
    }

    #[test]
    fn eight_megabytes_of_anything_are_read_in_seconds() {
        for unit in
            ["<!--", "<a>", "<a/>", "<![CDATA[", "&", "&a;", "<!DOCTYPE [", "<?a ?>", "<trkseg/>", "\"", " a=''"]
        {
            let file = format!("<gpx><trk>{}", unit.repeat(MAX_BYTES / unit.len()));
            let since = std::time::Instant::now();
            assert!(from_gpx(file.as_bytes()).is_err());
            assert!(since.elapsed().as_secs() < 20, "{unit}");
        }
    }

    /// Markup in which faults are likely.
    fn markup() -> impl Strategy<Value = String> {
        #[rustfmt::skip]
        let pieces = vec![
            "<gpx>", "</gpx>", "<trk>", "</trk>", "<trkseg>", "</trkseg>", "<rte>", "</rte>", "<extensions>",
            "</extensions>", "<trkpt lat=\"1\" lon=\"2\"/>", "<trkpt lat=\"1.5\" lon=\"2\">", "</trkpt>",
            "<rtept lon='3' lat='4'>", "</rtept>", "<x:rpt lat=\"5\" lon=\"6\"/>", "<!--", "-->", "<![CDATA[", "]]>", "&",
            ";", "<", ">", "\"", "é", "\u{0}", "<?", "?>", "<!DOCTYPE ", "[", "]",
        ];
        proptest::collection::vec(proptest::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = from_gpx(&bytes);
        }

        #[test]
        fn any_markup_is_read_or_refused(text in markup()) {
            let _ = from_gpx(text.as_bytes());
            let _ = from_gpx(format!("<gpx>{text}</gpx>").as_bytes());
        }

        #[test]
        fn points_that_were_written_come_back(
            points in proptest::collection::vec((-90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32), 2..50),
            inner in proptest::sample::select(
                vec!["", "<ele>1</ele>", "<a:b>&amp;</a:b>", "<!-- - -->", "\n\t", "<extensions><trk/></extensions>"]
            ),
            as_route in any::<bool>(),
        ) {
            let (outer, name) = if as_route { ("rte", "rtept") } else { ("trk", "trkpt") };
            let points: Vec<LatLng> = points.iter()
                .map(|(lat, lng)| LatLng { lat: f64::from(*lat) / 1e6, lng: f64::from(*lng) / 1e6 }).collect();
            let written: String = points.iter()
                .map(|point| format!("<{name} lat=\"{}\" lon=\"{}\">{inner}</{name}>", point.lat, point.lng)).collect();
            let segment = if as_route { written } else { format!("<trkseg>{written}</trkseg>") };
            let read = from_gpx(format!("<gpx><{outer}>{inner}{segment}</{outer}></gpx>").as_bytes());
            let mut expected = points;
            expected.dedup();
            prop_assert_eq!(read.ok().map(|route| route.lines), (expected.len() > 1).then_some(vec![expected]));
        }
    }
}
