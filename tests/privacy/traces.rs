//! Everything that a database keeps, as text and as the bytes of its files, and the search for coordinates in it.

use std::collections::{BTreeSet, HashMap};

use sidebyside::domain::place::LatLng;

use crate::{harness::Town, support::databases::Kind};

/// Every row of every table as text, one a line, in an order that does not depend on the storage; without when a numbered
/// change was made, which the database's own clock says and no act of anybody's.
pub fn rows(town: &Town) -> Vec<String> {
    let mut all = Vec::new();
    let tables = match town.kind() {
        Kind::Sqlite => {
            town.texts("SELECT name AS t FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        }
        Kind::Postgres => town.texts("SELECT tablename::text AS t FROM pg_tables WHERE schemaname = 'public'"),
    };
    for table in tables {
        let left_out = if table == "changes" { "made_at" } else { "" };
        let query = match town.kind() {
            Kind::Sqlite => {
                let names = format!(
                    "SELECT 'quote(\"' || name || '\")' AS t FROM pragma_table_info('{table}') WHERE name <> '{left_out}'"
                );
                format!("SELECT {} AS t FROM \"{table}\"", town.texts(&names).join(" || ',' || "))
            }
            Kind::Postgres if left_out.is_empty() => format!("SELECT x::text AS t FROM \"{table}\" x"),
            Kind::Postgres => format!("SELECT (to_jsonb(x) - '{left_out}')::text AS t FROM \"{table}\" x"),
        };
        all.extend(town.texts(&query).into_iter().map(|row| format!("{table}: {row}")));
    }
    all.sort();
    all
}

/// The bytes of everything kept: on SQLite all files of the folder, on PostgreSQL every row as text.
pub fn bytes(town: &Town) -> Vec<u8> {
    if town.kind() == Kind::Postgres {
        return rows(town).join("\n").into_bytes();
    }
    let files = std::fs::read_dir(town.database().folder()).expect("a folder").flatten().map(|entry| entry.path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).expect("a file")).collect()
}

/// Those of some points of which both coordinates stand in some bytes: to four decimals (about ten metres) or more as
/// text, or as a number of eight or four bytes in either order.
pub fn held(bytes: &[u8], points: &[LatLng]) -> Vec<LatLng> {
    let wanted: BTreeSet<Vec<u8>> =
        points.iter().flat_map(|point| [point.lat, point.lng]).flat_map(traces_of).collect();
    let mut by_start: HashMap<[u8; 4], Vec<&[u8]>> = HashMap::new();
    for trace in &wanted {
        by_start.entry([trace[0], trace[1], trace[2], trace[3]]).or_default().push(trace);
    }
    // Most places are passed over by their first two bytes.
    let two = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let mut may_start = vec![false; 1 << 16];
    wanted.iter().for_each(|trace| may_start[two(trace)] = true);
    let mut found: BTreeSet<&[u8]> = BTreeSet::new();
    for (at, start) in bytes.windows(4).enumerate().filter(|(_, start)| may_start[two(start)]) {
        let here = by_start.get(start).map_or(&[][..], Vec::as_slice);
        found.extend(here.iter().filter(|trace| bytes[at..].starts_with(trace)));
    }
    let is_held = |degrees: f64| traces_of(degrees).iter().any(|trace| found.contains(trace.as_slice()));
    points.iter().filter(|point| is_held(point.lat) && is_held(point.lng)).copied().collect()
}

fn traces_of(degrees: f64) -> Vec<Vec<u8>> {
    let cut = (degrees.abs() * 1e4).trunc() / 1e4;
    let short = degrees as f32;
    vec![
        format!("{cut:.4}").into_bytes(),
        format!("{:.4}", degrees.abs()).into_bytes(),
        degrees.to_be_bytes().to_vec(),
        degrees.to_le_bytes().to_vec(),
        degrees.to_radians().to_be_bytes().to_vec(),
        degrees.to_radians().to_le_bytes().to_vec(),
        short.to_be_bytes().to_vec(),
        short.to_le_bytes().to_vec(),
    ]
}
