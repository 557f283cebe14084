//! Lines out of GeoJSON files (RFC 7946), which may be hostile: positions go straight into numbers, everything else is
//! passed over, and what is refused is refused by its reason.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{MAX_POINTS, Route, encoding, fault, too_many_points};
use crate::domain::{place::LatLng, refusal::Faults};

/// Stands in an error of the reader for the fault `too_many_points`.
const TOO_MANY: &str = "too many points";

/// Reads a GeoJSON file: lines, alone or in features and collections nested in any way; where there are none, the outer
/// rings of its polygons. Points are passed over.
///
/// # Errors
/// `not_geojson`, `not_wgs84`, `too_many_points`, and what a [`Route`] refuses.
pub fn from_geojson(bytes: &[u8]) -> Result<Route, Faults> {
    let text = encoding::decode(bytes).map_err(|name| not_geojson(&format!("its encoding {name:?} is not known")))?;
    if text.starts_with('<') {
        return Err(not_geojson("this looks like XML: send GPX with Content-Type application/gpx+xml"));
    }
    if text.starts_with('[') {
        return Err(not_geojson("a list is none: it begins with an object that has a type"));
    }
    let points = Cell::new(0);
    let mut reader = serde_json::Deserializer::from_str(&text);
    // serde_json goes 128 deep and no further.
    let read = ObjectSeed { points: &points }.deserialize(&mut reader).and_then(|object| reader.end().map(|()| object));
    let object = read.map_err(|error| {
        let words = error.to_string();
        if words.starts_with(TOO_MANY) { too_many_points() } else { not_geojson(&words) }
    })?;
    let mut shapes = Shapes::default();
    shapes.add(object)?;
    Route::of_lines(if shapes.lines.is_empty() { shapes.rings } else { shapes.lines })
}

fn not_geojson(words: &str) -> Faults {
    fault("not_geojson", &format!("this cannot be read as GeoJSON (RFC 7946): {words}"))
}

/// Coordinates, however deep.
enum Coordinates {
    Position(LatLng),
    List(Vec<Coordinates>),
}

/// The members of an object of GeoJSON that tell where lines are.
#[derive(Default)]
struct Object {
    kind: Option<String>,
    coordinates: Option<Coordinates>,
    /// What `geometry`, `geometries` or `features` hold.
    parts: Vec<Object>,
    crs: Option<String>,
}

struct ObjectSeed<'p> {
    points: &'p Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Object, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a type")
    }

    /// A feature may have no geometry.
    fn visit_unit<E>(self) -> Result<Object, E> {
        Ok(Object { kind: Some("null".to_owned()), ..Object::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
        let (mut object, points) = (Object::default(), self.points);
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "type" => object.kind = Some(members.next_value::<Text>()?.0),
                "coordinates" => object.coordinates = Some(members.next_value_seed(CoordinatesSeed { points })?),
                "geometry" => object.parts.push(members.next_value_seed(ObjectSeed { points })?),
                "geometries" | "features" => object.parts.extend(members.next_value_seed(PartsSeed { points })?),
                "crs" => object.crs = crs_name(&members.next_value::<serde_json::Value>()?),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(object)
    }
}

/// The value of `type`, or words for one that is no text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        String::deserialize(reader).map(Text).map_err(|_| D::Error::custom("the type of an object is no text"))
    }
}

struct PartsSeed<'p> {
    points: &'p Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for PartsSeed<'_> {
    type Value = Vec<Object>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Vec<Object>, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PartsSeed<'_> {
    type Value = Vec<Object>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Object>, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = items.next_element_seed(ObjectSeed { points: self.points })? {
            parts.push(part);
        }
        Ok(parts)
    }
}

/// The coordinate system that an old file names; none when it names none.
fn crs_name(crs: &serde_json::Value) -> Option<String> {
    if crs.is_null() {
        return None;
    }
    let properties = &crs["properties"];
    let name = properties["name"].as_str().or_else(|| properties["href"].as_str());
    Some(name.map_or_else(|| crs.to_string(), str::to_owned).chars().take(80).collect())
}

/// Whether a name means WGS 84 with longitude first, as programs write it.
fn is_wgs84(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['_', ' '], "");
    ["CRS84", "CRS84H", ":4326", "/4326", "WGS84", "EPSG4326"].iter().any(|end| name.ends_with(end))
}

struct CoordinatesSeed<'p> {
    points: &'p Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for CoordinatesSeed<'_> {
    type Value = Coordinates;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Coordinates, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CoordinatesSeed<'_> {
    type Value = Coordinates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of positions")
    }

    fn visit_unit<E>(self) -> Result<Coordinates, E> {
        Ok(Coordinates::List(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Coordinates, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(ItemSeed { points: self.points })? {
            match item {
                Item::Coordinates(inner) => list.push(inner),
                Item::Number(lng) if list.is_empty() => return position(lng, &mut items, self.points),
                Item::Number(_) => return Err(A::Error::custom("a number stands among positions")),
                Item::Other(what) => {
                    let number = self.points.get() + 1;
                    return Err(A::Error::custom(format!("position {number}: {what}")));
                }
            }
        }
        Ok(Coordinates::List(list))
    }
}

/// The rest of a position whose longitude was read; height, time and whatever follows are passed over.
fn position<'de, A: SeqAccess<'de>>(lng: f64, items: &mut A, points: &Cell<usize>) -> Result<Coordinates, A::Error> {
    points.set(points.get() + 1);
    let number = points.get();
    if number > MAX_POINTS {
        return Err(A::Error::custom(TOO_MANY));
    }
    let lat = match items.next_element_seed(ItemSeed { points })? {
        Some(Item::Number(lat)) => lat,
        Some(Item::Other(what)) => return Err(A::Error::custom(format!("position {number}: {what}"))),
        _ => return Err(A::Error::custom(format!("position {number}: it has a longitude and a latitude"))),
    };
    while items.next_element::<IgnoredAny>()?.is_some() {}
    Ok(Coordinates::Position(LatLng { lat, lng }))
}

/// A member of a list of coordinates.
enum Item {
    Number(f64),
    Coordinates(Coordinates),
    /// Why it is neither.
    Other(&'static str),
}

struct ItemSeed<'p> {
    points: &'p Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Item, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a list")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Item, E> {
        Ok(Item::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Number(number as f64))
    }

    fn visit_str<E>(self, _: &str) -> Result<Item, E> {
        Ok(Item::Other("a coordinate stands in quotes; write numbers"))
    }

    fn visit_unit<E>(self) -> Result<Item, E> {
        Ok(Item::Other("a coordinate is null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Item, E> {
        Ok(Item::Other("a coordinate is true or false"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Item, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Item::Other("it is an object; write it as [longitude, latitude]"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Item, A::Error> {
        CoordinatesSeed { points: self.points }.visit_seq(items).map(Item::Coordinates)
    }
}

/// The lines of a file, and the outer rings of its polygons.
#[derive(Default)]
struct Shapes {
    lines: Vec<Vec<LatLng>>,
    rings: Vec<Vec<LatLng>>,
}

impl Shapes {
    fn add(&mut self, object: Object) -> Result<(), Faults> {
        if let Some(crs) = object.crs.as_deref().filter(|crs| !is_wgs84(crs)) {
            let words = format!("the coordinate system {crs:?} is not WGS 84: export the route in degrees (EPSG:4326)");
            return Err(fault("not_wgs84", &words));
        }
        let kind = object.kind.ok_or_else(|| not_geojson("an object has no type"))?;
        let list = |coordinates: Option<Coordinates>| match coordinates {
            Some(Coordinates::List(list)) => Ok(list),
            _ => Err(not_geojson(&format!("a {kind} has a list of positions"))),
        };
        match kind.to_ascii_lowercase().as_str() {
            "linestring" => self.lines.push(line(list(object.coordinates)?)?),
            "multilinestring" => {
                for one in list(object.coordinates)? {
                    self.lines.push(line(list(Some(one))?)?);
                }
            }
            "polygon" => self.rings.extend(outer_ring(list(object.coordinates)?)?),
            "multipolygon" => {
                for one in list(object.coordinates)? {
                    self.rings.extend(outer_ring(list(Some(one))?)?);
                }
            }
            "feature" | "featurecollection" | "geometrycollection" => {
                return object.parts.into_iter().try_for_each(|part| self.add(part));
            }
            "point" | "multipoint" | "null" => {}
            "topology" => return Err(not_geojson("it is TopoJSON; export it as GeoJSON or GPX")),
            _ => return Err(not_geojson(&format!("{kind:.40?} is no type of GeoJSON"))),
        }
        Ok(())
    }
}

fn line(positions: Vec<Coordinates>) -> Result<Vec<LatLng>, Faults> {
    let point = |one| match one {
        Coordinates::Position(point) => Ok(point),
        Coordinates::List(list) if list.is_empty() => Err(not_geojson("a position is empty")),
        Coordinates::List(_) => Err(not_geojson("the coordinates of a line are nested too deeply for its type")),
    };
    positions.into_iter().map(point).collect()
}

/// The outer ring of a polygon as a closed line; none when it has no ring.
fn outer_ring(rings: Vec<Coordinates>) -> Result<Option<Vec<LatLng>>, Faults> {
    let ring = match rings.into_iter().next() {
        Some(Coordinates::List(ring)) => ring,
        Some(Coordinates::Position(_)) => return Err(not_geojson("a Polygon has a list of rings")),
        None => return Ok(None),
    };
    let mut ring = line(ring)?;
    if let Some(first) = ring.first().filter(|first| ring.last() != Some(first)) {
        ring.push(*first);
    }
    Ok(Some(ring))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::route::MAX_BYTES;

    const LINE: &str = r#"{"type":"LineString","coordinates":[[-0.33,51.41],[-0.33,51.42]]}"#;

    fn read(text: &str) -> Value {
        from_geojson(text.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?} in {text}")).geometry()
    }

    fn fault_of(text: impl AsRef<[u8]>) -> String {
        let fault = from_geojson(text.as_ref()).expect_err("a fault").0.remove(0);
        format!("{}: {}", fault.code, fault.detail)
    }

    #[test]
    fn lines_are_found_in_any_nesting() {
        let line: Value = serde_json::from_str(LINE).unwrap();
        let in_feature = format!(r#"{{"properties":{{"type":1}},"geometry":{LINE},"type":"Feature"}}"#);
        for text in [
            LINE.to_owned(),
            format!("\u{feff}\n{LINE}\n"),
            LINE.replace("LineString", "linestring"),
            r#"{"coordinates":[[-0.33,51.41,null],[-0.33,51.42,12.5,"2026-01-01T07:00:00Z",{"hr":[1]}]],"bbox":[1],"type":"LineString"}"#.to_owned(),
            in_feature.clone(),
            format!(r#"{{"type":"GeometryCollection","geometries":[{{"type":"Point","coordinates":[1,2]}},{LINE}]}}"#),
            format!(r#"{{"type":"FeatureCollection","crs":null,"features":[{{"type":"Feature","geometry":null}},{in_feature}]}}"#),
            format!(r#"{{"type":"Feature","geometry":{{"type":"GeometryCollection","geometries":[{{"type":"GeometryCollection","geometries":[{LINE}]}}]}}}}"#),
            format!(r#"{{"type":"FeatureCollection","features":[{{"type":"FeatureCollection","features":[{in_feature}]}}]}}"#),
            format!(r#"{{"type":"GeometryCollection","geometries":[{{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}},{LINE}]}}"#),
            format!(r#"{{"crs":{{"type":"name","properties":{{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}}},{}"#, &LINE[1..]),
            format!(r#"{{"crs":{{"type":"name","properties":{{"name":"EPSG:4326"}}}},{}"#, &LINE[1..]),
        ] {
            assert_eq!(read(&text), line, "{text}");
        }
        let utf_16: Vec<u8> = LINE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(from_geojson(&utf_16).unwrap().geometry(), line);
        let two = LINE
            .replace("LineString", "MultiLineString")
            .replace("[[-0.33,51.41],[-0.33,51.42]]", "[[[0,1],[0,2]],[[3,1],[3,2]]]");
        assert_eq!(read(&two)["coordinates"], json!([[[0.0, 1.0], [0.0, 2.0]], [[3.0, 1.0], [3.0, 2.0]]]));
    }

    #[test]
    fn a_polygon_is_a_closed_loop_along_its_outer_ring() {
        let ring = json!([[0.0, 1.0], [0.0, 2.0], [1.0, 2.0], [0.0, 1.0]]);
        for (kind, coordinates) in [
            ("Polygon", "[[[0,1],[0,2],[1,2],[0,1]]]"),
            ("Polygon", "[[[0,1],[0,2],[1,2]],[[0.1,1.1],[0.1,1.2],[0.2,1.2]]]"),
            ("MultiPolygon", "[[[[0,1],[0,2],[1,2],[0,1]]]]"),
        ] {
            let read = read(&format!(r#"{{"type":"{kind}","coordinates":{coordinates}}}"#));
            assert_eq!((&read["type"], &read["coordinates"]), (&json!("LineString"), &ring), "{coordinates}");
        }
    }

    #[test]
    fn each_refusal_says_its_reason() {
        let line = |coordinates: &str| format!(r#"{{"type":"LineString","coordinates":{coordinates}}}"#);
        for (text, words) in [
            (
                line(r#"[["-0.33","51.41"],[0,51]]"#),
                "not_geojson: this cannot be read as GeoJSON (RFC 7946): position 1: a coordinate stands in quotes",
            ),
            (line("[[0,51],[0,null]]"), "position 2: a coordinate is null"),
            (line("[[0,51],[null,51]]"), "position 2: a coordinate is null"),
            (line("[[0,51],[1]]"), "position 2: it has a longitude and a latitude"),
            (line("[[0,51],[]]"), "a position is empty"),
            (line(r#"[{"lat":51,"lng":0}]"#), "write it as [longitude, latitude]"),
            (line("[[[0,51],[0,52]]]"), "nested too deeply for its type"),
            (line("[0,51]"), "has a list of positions"),
            (line("7"), "invalid type"),
            (line("[[NaN,51.4],[0,51.4]]"), "not_geojson"),
            (line("[[1e999,51.4],[0,51.4]]"), "not_geojson"),
            (line("null"), "no_line"),
            (line("[[0,51],[0,51]]"), "no_line"),
            (line("[[0,91],[0,51]]"), "out_of_range: point 1"),
            (line("[[1286000,6130000],[1286001,6130000]]"), "metres"),
            (r#"{"coordinates":[[0,51],[0,52]]}"#.to_owned(), "an object has no type"),
            (r#"{"type":"Cake"}"#.to_owned(), "\"Cake\" is no type of GeoJSON"),
            (r#"{"type":7}"#.to_owned(), "no text"),
            (r#"{"type":"Topology","arcs":[[[0,1]]]}"#.to_owned(), "TopoJSON"),
            (r#"{"type":"Point","coordinates":[0,51]}"#.to_owned(), "no_line"),
            (r#"{"type":"FeatureCollection","features":[]}"#.to_owned(), "no_line"),
            (
                format!(r#"{{"crs":{{"properties":{{"name":"EPSG:3857"}}}},{}"#, &LINE[1..]),
                "not_wgs84: the coordinate system \"EPSG:3857\"",
            ),
            ("[[0,51],[0,52]]".to_owned(), "a list is none"),
            ("<gpx/>".to_owned(), "application/gpx+xml"),
            (format!("{LINE}{LINE}"), "trailing characters"),
            (String::new(), "not_geojson"),
            ("not json".to_owned(), "not_geojson"),
        ] {
            let fault = fault_of(&text);
            assert!(fault.contains(words), "{words:?} in {fault:?} of {text}");
        }
    }

    #[test]
    fn hostile_files_are_refused_in_seconds() {
        let many: Vec<Value> = (0..=MAX_POINTS).map(|at| json!([0.0, at as f64 / 1e6])).collect();
        let many = json!({ "type": "LineString", "coordinates": many }).to_string();
        assert!(fault_of(many).starts_with("too_many_points"));
        for unit in [
            "[",
            "{\"a\":",
            "{\"coordinates\":[",
            "{\"type\":\"GeometryCollection\",\"geometries\":[",
            "{\"geometry\":",
            "1,",
        ] {
            let file = format!("{{\"coordinates\":{}", unit.repeat((MAX_BYTES - 20) / unit.len()));
            let since = std::time::Instant::now();
            assert!(fault_of(file).starts_with("not_geojson"), "{unit}");
            assert!(since.elapsed().as_secs() < 20, "{unit}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"[\[\]{}:,"a-z0-9.é-]{0,80}"#) {
            let _ = from_geojson(text.as_bytes());
            let _ = from_geojson(format!(r#"{{"type":"LineString","coordinates":[{text}]}}"#).as_bytes());
        }

        #[test]
        fn points_that_were_written_come_back(
            lines in proptest::collection::vec(proptest::collection::vec((-90_000_000..=90_000_000_i32, -180_000_000..=180_000_000_i32), 2..20), 1..4),
            more in proptest::sample::select(vec![json!(null), json!(12.5), json!("2026-01-01T07:00:00Z")]),
        ) {
            let degrees = |millionths: i32| f64::from(millionths) / 1e6;
            let written: Vec<Vec<Value>> = lines.iter()
                .map(|line| line.iter().map(|(lat, lng)| json!([degrees(*lng), degrees(*lat), more])).collect()).collect();
            let text = json!({ "type": "MultiLineString", "coordinates": written }).to_string();
            let expected: Vec<Vec<LatLng>> = lines.iter().map(|line| {
                let mut line: Vec<LatLng> = line.iter().map(|(lat, lng)| LatLng { lat: degrees(*lat), lng: degrees(*lng) }).collect();
                line.dedup();
                line
            }).filter(|line| line.len() > 1).collect();
            prop_assert_eq!(from_geojson(text.as_bytes()).ok().map(|route| route.lines), (!expected.is_empty()).then_some(expected));
        }
    }
}
