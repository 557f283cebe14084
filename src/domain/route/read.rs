//! Lines out of GeoJSON and GPX files, which may be hostile: nothing here expands entities, follows what is nested
//! without end, or takes time or memory beyond the file's size.

use geojson::{FeatureCollection, GeoJson, GeometryValue, Position};

use super::{Route, fault};
use crate::domain::{place::LatLng, refusal::Faults};

/// How deep elements of a GPX file lie in each other, extensions included. Our own eyes never saw more than nine.
const MAX_DEPTH: usize = 32;

/// Reads a GeoJSON file: lines, alone, as a feature or as a collection of features; other shapes are passed over.
///
/// # Errors
/// `not_geojson`, and what a [`Route`] refuses.
pub fn from_geojson(bytes: &[u8]) -> Result<Route, Faults> {
    // serde_json goes 128 deep and no further.
    let read: GeoJson =
        serde_json::from_slice(bytes).map_err(|_| fault("not_geojson", "this cannot be read as GeoJSON (RFC 7946)"))?;
    let mut lines = Vec::new();
    match read {
        GeoJson::Geometry(geometry) => add(geometry.value, &mut lines)?,
        GeoJson::Feature(feature) => add_some(feature.geometry, &mut lines)?,
        GeoJson::FeatureCollection(FeatureCollection { features, .. }) => {
            for feature in features {
                add_some(feature.geometry, &mut lines)?;
            }
        }
    }
    Route::of_lines(lines)
}

fn add_some(geometry: Option<geojson::Geometry>, lines: &mut Vec<Vec<LatLng>>) -> Result<(), Faults> {
    geometry.map_or(Ok(()), |geometry| add(geometry.value, lines))
}

fn add(shape: GeometryValue, lines: &mut Vec<Vec<LatLng>>) -> Result<(), Faults> {
    match shape {
        GeometryValue::LineString { coordinates } => lines.push(line(&coordinates)?),
        GeometryValue::MultiLineString { coordinates } => {
            for one in &coordinates {
                lines.push(line(one)?);
            }
        }
        _ => {}
    }
    Ok(())
}

fn line(positions: &[Position]) -> Result<Vec<LatLng>, Faults> {
    let point = |position: &Position| match position.as_slice() {
        [lng, lat, ..] => Ok(LatLng { lat: *lat, lng: *lng }),
        _ => Err(fault("not_geojson", "a position has a longitude and a latitude")),
    };
    positions.iter().map(point).collect()
}

/// Reads a GPX file: its tracks, or its routes where there are none; waypoints are passed over.
///
/// # Errors
/// `not_gpx`, `doctype`, `too_deep`, and what a [`Route`] refuses.
pub fn from_gpx(bytes: &[u8]) -> Result<Route, Faults> {
    let not_gpx = || fault("not_gpx", "this cannot be read as GPX 1.0 or 1.1 in UTF-8");
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(not_gpx)?;
    look_over(text)?;
    let read = gpx::read(text.as_bytes()).map_err(|_| not_gpx())?;
    let point = |waypoint: &gpx::Waypoint| LatLng { lat: waypoint.point().y(), lng: waypoint.point().x() };
    let tracks = read.tracks.iter().flat_map(|track| &track.segments).map(|segment| &segment.points);
    let mut lines: Vec<Vec<LatLng>> = tracks.map(|points| points.iter().map(point).collect()).collect();
    if lines.iter().all(Vec::is_empty) {
        lines = read.routes.iter().map(|route| route.points.iter().map(point).collect()).collect();
    }
    Route::of_lines(lines)
}

/// Looks at the tags of a file before anything reads it: no document type (where entities are declared that grow), and no
/// endless nesting (a reader's work grows with its square).
fn look_over(text: &str) -> Result<(), Faults> {
    let not_gpx = || fault("not_gpx", "the file breaks off or is no XML");
    let (mut rest, mut depth) = (text, 0_usize);
    while let Some(at) = rest.find('<') {
        let here = &rest[at..];
        let skip = |to: &str| here.find(to).map(|end| &here[end + to.len()..]).ok_or_else(not_gpx);
        rest = if here.starts_with("<!--") {
            skip("-->")?
        } else if here.starts_with("<![CDATA[") {
            skip("]]>")?
        } else if here.starts_with("<!") {
            return Err(fault("doctype", "a document type is not taken: it can make a small file grow without end"));
        } else if here.starts_with("<?") {
            skip("?>")?
        } else {
            let end = end_of_tag(here).ok_or_else(not_gpx)?;
            let tag = &here[..end];
            if tag.starts_with("</") {
                depth = depth.checked_sub(1).ok_or_else(not_gpx)?;
            } else if !tag.ends_with('/') {
                depth += 1;
            }
            if depth > MAX_DEPTH {
                return Err(fault("too_deep", "the elements are nested too deeply"));
            }
            &here[end + 1..]
        };
    }
    if depth == 0 { Ok(()) } else { Err(not_gpx()) }
}

/// Where the `>` of a tag stands that `text` begins with, outside of quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}
