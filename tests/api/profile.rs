//! The running profile: what is kept of a home, and how often home and paces may change.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::Town,
    support::{database_test::database_test, databases::Kind},
};

fn profile(lat: f64, lng: f64) -> Value {
    json!({
        "activities": ["run", "walk"],
        "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 420 },
        "home": { "lat": lat, "lng": lng },
        "travel_radius_km": 10.0,
    })
}

#[apply(database_test!)]
async fn a_home_is_snapped_to_its_cell_and_the_point_is_nowhere(town: Town) {
    let ana = town.person("Ana").await;
    let (lat, lng) = (51.417_293_f64, -0.331_847_f64);
    let put = ana.put("/me/running-profile", profile(lat, lng)).await.expect(200);
    let got = ana.get("/me/running-profile").await.expect(200);
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let matches = ana.get("/matches").await.expect(200);
    let explained = ana.get(&format!("/matches?explain={}", run.id)).await.expect(200);
    let export = [put.text, got.text.clone(), ana.get("/me").await.text, matches.text, explained.text].concat();
    for trace in ["51.4172", "0.3318", "51.417293", "-0.331847"] {
        assert!(!export.contains(trace), "{trace} in {export}");
    }
    let cell = got.str("home_cell");
    assert_eq!(cell.len(), 15);
    let centre = (got.json["home_centre"]["lat"].as_f64().unwrap(), got.json["home_centre"]["lng"].as_f64().unwrap());
    assert!((centre.0 - lat).abs() < 0.02 && (centre.1 - lng).abs() < 0.02 && centre != (lat, lng));
    assert!(got.json.get("home").is_none());
    let dump = dump(&town);
    for trace in [&b"51.4172"[..], b"0.3318", &lat.to_be_bytes(), &lng.to_be_bytes(), &lat.to_le_bytes()] {
        assert!(!dump.windows(trace.len()).any(|window| window == trace), "{trace:?} is in the database");
    }
    assert!(dump.windows(cell.len()).any(|window| window == cell.as_bytes()), "the dump holds the cell");
}

/// Everything that the database keeps, as bytes.
fn dump(town: &Town) -> Vec<u8> {
    if town.kind() == Kind::Sqlite {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(town.database().folder()).unwrap().flatten() {
            if entry.path().is_file() {
                bytes.extend(std::fs::read(entry.path()).unwrap());
            }
        }
        return bytes;
    }
    let tables = town.texts("SELECT tablename::text AS t FROM pg_tables WHERE schemaname = 'public'");
    let rows = |table: &String| town.texts(&format!("SELECT x::text AS t FROM \"{table}\" x")).join("\n");
    tables.iter().map(rows).collect::<Vec<_>>().join("\n").into_bytes()
}

#[apply(database_test!)]
async fn home_may_change_three_times_a_week(town: Town) {
    let ana = town.person("Ana").await;
    for step in 0..4 {
        ana.put("/me/running-profile", profile(51.40 + 0.05 * f64::from(step), -0.33)).await.expect(200);
    }
    let fifth = ana.put("/me/running-profile", profile(51.70, -0.33)).await.refused(409, "home_changed_recently");
    assert_eq!(fifth.str("until"), "2026-11-30T10:00:00Z");
    town.hours_pass(7 * 24);
    ana.put("/me/running-profile", profile(51.70, -0.33)).await.expect(200);
}

#[apply(database_test!)]
async fn paces_may_change_three_times_a_day(town: Town) {
    let ana = town.person("Ana").await;
    let with_pace = |fastest: i32| {
        let mut body = profile(51.41, -0.33);
        body["comfortable_pace"] = json!({ "fastest_s_per_km": fastest, "slowest_s_per_km": 500 });
        body
    };
    for fastest in [300, 310, 320, 330] {
        ana.put("/me/running-profile", with_pace(fastest)).await.expect(200);
    }
    let late = ana.put("/me/running-profile", with_pace(340)).await.refused(409, "pace_changed_recently");
    assert_eq!(late.str("until"), "2026-11-24T10:00:00Z");
    // The same again is no change.
    ana.put("/me/running-profile", with_pace(330)).await.expect(200);
    town.hours_pass(24);
    ana.put("/me/running-profile", with_pace(340)).await.expect(200);
}

#[apply(database_test!)]
async fn moving_about_within_the_cell_is_no_change(town: Town) {
    let ana = town.person("Ana").await;
    let first = ana.put("/me/running-profile", profile(51.4173, -0.3318)).await.expect(200);
    for step in 1..8 {
        let moved =
            ana.put("/me/running-profile", profile(51.4173 + 0.000_05 * f64::from(step), -0.3318)).await.expect(200);
        assert_eq!(moved.str("home_cell"), first.str("home_cell"));
    }
}

#[apply(database_test!)]
async fn a_profile_without_paces_is_fine_and_all_faults_are_named(town: Town) {
    let ana = town.person("Ana").await;
    ana.get("/me/running-profile").await.refused(404, "not_found");
    ana.get("/matches").await.refused(409, "profile_missing");
    let body = json!({
        "activities": [],
        "comfortable_pace": { "fastest_s_per_km": 90, "slowest_s_per_km": 2000 },
        "home": { "lat": 91.0, "lng": -181.0 },
        "travel_radius_km": 0,
        "availability": [{ "weekday": "someday", "from": "25:00", "to": "9" }],
        "languages": ["English"],
        "colour": "blue",
    });
    ana.put("/me/running-profile", body).await.faulty(&[
        "/activities too_few",
        "/comfortable_pace/fastest_s_per_km too_small",
        "/comfortable_pace/slowest_s_per_km too_large",
        "/home/lat too_large",
        "/home/lng too_small",
        "/travel_radius_km too_small",
        "/availability/0/weekday unknown_value",
        "/availability/0/from bad_format",
        "/languages/0 bad_format",
        "/colour unknown_field",
    ]);
    let mut body = profile(51.4, -0.3);
    body["comfortable_pace"] = json!({ "fastest_s_per_km": 500, "slowest_s_per_km": 400 });
    body["walking_pace"] = json!({ "fastest_s_per_km": 900, "slowest_s_per_km": 800 });
    body["availability"] = json!([{ "weekday": "mon", "from": "20:00", "to": "18:00" }]);
    ana.put("/me/running-profile", body).await.faulty(&["/comfortable_pace upside_down", "/walking_pace upside_down"]);
    assert_eq!(town.rows("running_profiles"), 0);
    let body = json!({ "activities": ["walk"], "home": { "lat": 51.4, "lng": -0.3 } });
    let put = ana.put("/me/running-profile", body).await.expect(200);
    assert!(put.json["comfortable_pace"].is_null());
}

#[apply(database_test!)]
async fn a_home_is_needed_once_and_may_then_be_left_out(town: Town) {
    let ana = town.person("Ana").await;
    ana.put("/me/running-profile", json!({ "activities": ["walk"] })).await.faulty(&["/home required"]);
    let first = ana.put("/me/running-profile", profile(51.4173, -0.3318)).await.expect(200);
    let later = ana.put("/me/running-profile", json!({ "activities": ["walk"] })).await.expect(200);
    assert_eq!(first.str("home_cell"), later.str("home_cell"));
}
