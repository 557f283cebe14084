//! The best that SQL does on the same runs: a cell column, a covering index, statements that stay prepared, and the same
//! weighing of what comes back.

use std::time::Duration;

use diesel::{Connection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, prelude::*};
use sidebyside::{
    clock::Instant,
    domain::{
        matching::{IndexedRun, Scored, Viewer, best, search::MatchSearch},
        place::{BoundingBox, LatLng},
    },
    id::Id,
    index::RunIndex,
};

use crate::{Outcome, in_process::compare};

diesel::table! {
    bench_runs (position) {
        position -> Integer,
        cell -> Integer,
        starts_at -> BigInt,
        lat -> Double,
        lng -> Double,
        fastest -> Integer,
        slowest -> Integer,
        activity -> Integer,
        flags -> Integer,
    }
}

/// Cells of a tenth of a degree, the side that did best here.
fn cell(lat: f64, lng: f64) -> i32 {
    ((lat + 90.0) * 10.0).floor() as i32 * 4_000 + ((lng + 180.0) * 10.0).floor() as i32
}

fn cells(home: LatLng, radius_km: f64) -> Vec<i32> {
    let area = BoundingBox::around(home, radius_km);
    let mut all = Vec::new();
    for (west, east) in &area.lng_ranges {
        for lat in (area.south * 10.0).floor() as i32..=(area.north * 10.0).floor() as i32 {
            for lng in (west * 10.0).floor() as i32..=(east * 10.0).floor() as i32 {
                all.push(cell(f64::from(lat) / 10.0 + 0.01, f64::from(lng) / 10.0 + 0.01));
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

type Row = (i32, i64, f64, f64, i32, i32, i32, i32);

/// Median, 99th percentile and how many were found.
pub fn measure(index: &RunIndex, people: &[Viewer], search: &MatchSearch) -> Outcome<(Duration, Duration, f64)> {
    let sides = index.sides();
    let folder = tempfile::tempdir()?;
    let mut conn = SqliteConnection::establish(&folder.path().join("bench.db").to_string_lossy())?;
    conn.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA mmap_size = 1000000000;
         CREATE TABLE bench_runs (position INTEGER PRIMARY KEY, cell INTEGER, starts_at INTEGER, lat DOUBLE, lng DOUBLE,
         fastest INTEGER, slowest INTEGER, activity INTEGER, flags INTEGER);",
    )?;
    conn.transaction(|conn| {
        for (at, run) in sides.iter().enumerate() {
            diesel::insert_into(bench_runs::table)
                .values((
                    bench_runs::position.eq(at as i32),
                    bench_runs::cell.eq(cell(run.place.lat, run.place.lng)),
                    bench_runs::starts_at.eq(run.starts_at.micros()),
                    bench_runs::lat.eq(run.place.lat),
                    bench_runs::lng.eq(run.place.lng),
                    bench_runs::fastest.eq(run.pace.fastest_s_per_km),
                    bench_runs::slowest.eq(run.pace.slowest_s_per_km),
                    bench_runs::activity.eq(run.activity as i32),
                    bench_runs::flags.eq(i32::from(run.is_full)),
                ))
                .execute(conn)?;
        }
        diesel::QueryResult::Ok(())
    })?;
    conn.batch_execute(
        "CREATE INDEX bench_covering ON bench_runs
         (cell, starts_at, lat, lng, fastest, slowest, activity, flags, position); ANALYZE;",
    )?;
    let (from, to) = (search.from.micros(), search.to.micros());
    let mut failed = None;
    let mut look = |viewer: &Viewer| {
        let mut scored = Vec::new();
        for cell in cells(viewer.person.home, viewer.person.travel_radius_km) {
            // Written so that the prepared statement is kept from one time to the next.
            let rows: diesel::QueryResult<Vec<Row>> = bench_runs::table
                .filter(bench_runs::cell.eq(cell))
                .filter(bench_runs::starts_at.ge(from))
                .filter(bench_runs::starts_at.lt(to))
                .select((
                    bench_runs::position,
                    bench_runs::starts_at,
                    bench_runs::lat,
                    bench_runs::lng,
                    bench_runs::fastest,
                    bench_runs::slowest,
                    bench_runs::activity,
                    bench_runs::flags,
                ))
                .load(&mut conn);
            match rows {
                Ok(rows) => scored.extend(rows.iter().filter_map(|row| weigh(row, &sides, viewer, search))),
                Err(fault) => failed = Some(fault),
            }
        }
        best(
            scored,
            |(starts_at, id): &(Instant, Id)| (*starts_at, *id.as_bytes()),
            |run| u64::from(run[15]),
            search.limit,
        )
        .len()
    };
    compare(people, 200, &mut look);
    let measured = compare(people, 2_000, &mut look);
    match failed {
        Some(fault) => Err(fault.into()),
        None => Ok(measured),
    }
}

fn weigh(row: &Row, sides: &[IndexedRun], viewer: &Viewer, search: &MatchSearch) -> Option<(Scored, (Instant, Id))> {
    let side = &sides[row.0 as usize];
    Some((Scored::of(&viewer.person, &side.candidate(viewer), search.limits)?, (side.starts_at, side.id)))
}
