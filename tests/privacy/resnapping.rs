//! Somebody sends their home two hundred times from a telephone that is never quite sure: one cell is published, also for
//! those who live on a border or where three cells meet.

use std::collections::{BTreeMap, BTreeSet};

use macro_rules_attribute::apply;
use serde_json::json;
use sidebyside::domain::place::{Cell, LatLng, snap_home};

use super::{
    attack::Report,
    earth::{self, Dice, cells_near, corners, off, spread_over, towards},
};
use crate::{harness::Town, support::database_test::database_test};

const READINGS: usize = 200;
/// How unsure the telephone is, km.
const DEVIATION_KM: f64 = 0.03;

fn readings(home: LatLng, dice: &mut Dice) -> Vec<LatLng> {
    (0..READINGS).map(|_| off(home, dice.normal(DEVIATION_KM), dice.normal(DEVIATION_KM))).collect()
}

/// Inside, on a border, where three cells meet.
fn homes(near: LatLng) -> [LatLng; 3] {
    let cell = earth::cell(near, 8);
    let corners = corners(cell);
    [off(cell.centre(), 0.05, -0.1), earth::between(corners[0], corners[1]), corners[2]]
}

#[apply(database_test!)]
async fn two_hundred_readings_of_one_home_publish_one_cell(town: Town) {
    let mut dice = Dice::new(200);
    for region in [earth::LONDON, earth::ANTIMERIDIAN] {
        for (kind, home) in homes(region).into_iter().enumerate() {
            let person = town.person("Ana").await;
            let mut published = BTreeSet::new();
            for reading in readings(home, &mut dice) {
                let body = json!({ "activities": ["run"], "home": reading });
                published.insert(person.put("/me/running-profile", body).await.expect(200).str("home_cell"));
            }
            assert_eq!(published.len(), 1, "home {kind} near {region:?}: {published:?}");
            assert_eq!(town.rows("running_profiles WHERE home_changes <> '[]'"), 0);
        }
    }
}

/// The cells that are published of some readings, with and without a memory of the one before, each with its share.
fn published(readings: &[LatLng], remembers: bool) -> BTreeMap<Cell, f64> {
    let (mut shares, mut known) = (BTreeMap::new(), None);
    for reading in readings {
        let cell = snap_home(*reading, known, 8).expect("a cell");
        known = remembers.then_some(cell);
        *shares.entry(cell).or_insert(0.0) += 1.0 / READINGS as f64;
    }
    shares
}

/// The attack: where must somebody live for readings to fall into these cells so often?
fn find(shares: &BTreeMap<Cell, f64>, noise: &[(f64, f64)]) -> LatLng {
    let most = shares.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(cell, _)| *cell).expect("a cell");
    if shares.len() == 1 {
        return most.centre();
    }
    let misfit = |place: LatLng| {
        let mut expected: BTreeMap<Cell, f64> = BTreeMap::new();
        for (east, north) in noise {
            *expected.entry(earth::cell(off(place, *east, *north), 8)).or_insert(0.0) += 1.0 / noise.len() as f64;
        }
        let cells: BTreeSet<&Cell> = expected.keys().chain(shares.keys()).collect();
        let share = |of: &BTreeMap<Cell, f64>, cell: &Cell| of.get(cell).copied().unwrap_or(0.0);
        cells.iter().map(|cell| (share(&expected, cell) - share(shares, cell)).powi(2)).sum::<f64>()
    };
    // Somewhere along the border of the cell that comes most often: corners and borders, then finer around the best.
    let corners = corners(most);
    let along = (0..corners.len()).flat_map(|at| {
        let (one, two) = (towards(most, corners[at], 1.0), towards(most, corners[(at + 1) % corners.len()], 1.0));
        (0..4).map(move |step| {
            let (east, north) = earth::on_map(one, two);
            off(one, east * f64::from(step) / 4.0, north * f64::from(step) / 4.0)
        })
    });
    let best = |places: Vec<LatLng>| {
        let costs = places.into_iter().map(|place| (misfit(place), place));
        costs.min_by(|a, b| a.0.total_cmp(&b.0)).expect("a place").1
    };
    let mut place = best(along.collect());
    for step in [0.06, 0.03, 0.015, 0.008] {
        for _ in 0..3 {
            let around = (0..9).map(|at| off(place, step * f64::from(at % 3 - 1), step * f64::from(at / 3 - 1)));
            place = best(around.collect());
        }
    }
    place
}

#[apply(database_test!)]
async fn homes_on_borders_are_not_found_by_the_cells_of_many_readings(_town: Town) {
    let mut dice = Dice::new(201);
    let noise: Vec<(f64, f64)> = (0..60).map(|_| (dice.normal(DEVIATION_KM), dice.normal(DEVIATION_KM))).collect();
    let (mut product, mut without_memory) = (Report::default(), Report::default());
    // Homes anywhere: one cell each, whatever the readings say.
    for region in [earth::SYDNEY, earth::LATITUDE_65, earth::ANTIMERIDIAN] {
        for home in spread_over(earth::cell(region, 8), 100, &mut dice) {
            let shares = published(&readings(home, &mut dice), true);
            assert_eq!(shares.len(), 1, "{home:?}: {shares:?}");
            product.note("homes anywhere", find(&shares, &noise), home, earth::cell(home, 8).size_km());
        }
    }
    // Homes where three cells meet: there many readings tell most.
    for cell in cells_near(earth::LONDON, 1).into_iter().chain(cells_near(earth::LATITUDE_65, 1)) {
        let home = off(corners(cell)[1], dice.normal(0.01), dice.normal(0.01));
        let taken = readings(home, &mut dice);
        let (one, many) = (published(&taken, true), published(&taken, false));
        assert_eq!(one.len(), 1, "{home:?}: {one:?}");
        assert!(many.len() > 1, "a home on a border without a memory: {many:?}");
        product.note("homes where cells meet", find(&one, &noise), home, cell.size_km());
        without_memory.note("homes where cells meet", find(&many, &noise), home, cell.size_km());
    }
    product.print("two hundred readings");
    without_memory.print("two hundred readings, were each snapped by itself");
    product.finds_no_more_than_the_cell(14);
    without_memory.is_caught("each reading snapped by itself");
}
