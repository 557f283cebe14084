//! The same two worlds for a hidden meeting point: runs by approval that meet at other points of one area look the same to
//! everybody who is not let in, by all that they can fetch and by mail, whatever becomes of the run.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::domain::{
    daylight::after_dark,
    place::{Cell, LatLng, time_zone_at},
};

use super::{
    earth::{self, Dice, anywhere_in, cells_near, corners, off, on_map, towards},
    transcript::{Entry, Things, Transcript, Viewer, with_leak},
};
use crate::{
    harness::{Client, Person, Town},
    support::database_test::database_test,
};

/// One run that meets at one of two points of an area.
struct Pair {
    points: [LatLng; 2],
    starts_at: String,
}

const REGIONS: [LatLng; 5] = [earth::LONDON, earth::LATITUDE_65, earth::ANTIMERIDIAN, earth::QUITO, earth::SYDNEY];

/// Corners and chance; two where the sun has set on one side of the area only; two where a time zone ends in it.
fn pairs() -> Vec<Pair> {
    let mut dice = Dice::new(45);
    let mut pairs: Vec<Pair> = (0..9)
        .map(|at| {
            let cells = cells_near(REGIONS[at % REGIONS.len()], 1);
            let cell = cells[at % cells.len()];
            let corners = corners(cell);
            let points = if at % 2 == 0 {
                [
                    towards(cell, corners[at % corners.len()], 0.99),
                    towards(cell, corners[(at + 3) % corners.len()], 0.99),
                ]
            } else {
                [anywhere_in(cell, &mut dice), anywhere_in(cell, &mut dice)]
            };
            Pair { points, starts_at: format!("2026-11-26T{:02}:{:02}:00Z", 8 + at / 6, 7 * (at % 6)) }
        })
        .collect();
    pairs.extend([earth::LONDON, earth::LATITUDE_65].map(where_it_is_dark_on_one_side));
    pairs.extend(where_a_time_zone_ends(&mut dice));
    pairs
}

/// East and west of an area, and a start at which a run of an hour ends after dark in the east only.
fn where_it_is_dark_on_one_side(near: LatLng) -> Pair {
    let cell = earth::cell(near, 8);
    let reach = 0.45 * cell.size_km();
    let points = [off(cell.centre(), -reach, 0.0), off(cell.centre(), reach, 0.0)];
    let start = |second: u32| format!("2026-11-27T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let dark = |at: LatLng, second: u32| {
        let start: jiff::Timestamp = start(second).parse().expect("an instant");
        after_dark(at, start, start + jiff::SignedDuration::from_hours(1))
    };
    // From the forenoon on: the minute first, then the second.
    let minute = (600..1440).find(|minute| dark(points[1], 60 * minute)).expect("an evening");
    let mut seconds = 60 * (minute - 1)..=60 * minute;
    let second = seconds.find(|second| dark(points[1], *second) != dark(points[0], *second)).expect("a second between");
    let starts_at = start(second);
    Pair { points, starts_at }
}

/// Areas on the border of Germany with the Netherlands and with Poland: one clock, two zones.
fn where_a_time_zone_ends(dice: &mut Dice) -> Vec<Pair> {
    let border = [LatLng { lat: 50.77, lng: 6.02 }, LatLng { lat: 53.9, lng: 14.2 }];
    border
        .into_iter()
        .enumerate()
        .map(|(at, near)| {
            let both = |cell: &Cell| {
                let points: Vec<LatLng> = (0..60).map(|_| anywhere_in(*cell, dice)).collect();
                let zone = |point: &LatLng| time_zone_at(*point);
                let first = *points.iter().find(|point| zone(point).is_some())?;
                let second = *points.iter().find(|point| zone(point).is_some() && zone(point) != zone(&first))?;
                Some([first, second])
            };
            let points = cells_near(near, 8).iter().find_map(both).expect("an area with two zones");
            Pair { points, starts_at: format!("2026-11-28T10:{:02}:00Z", 20 * at) }
        })
        .collect()
}

struct Cast {
    /// One for each run and one for the series: nobody leads two at one time.
    leaders: Vec<Person>,
    /// Has asked to come to every run.
    ana: Person,
    /// Lives there and may lead: is called when a run has nobody who leads it.
    gil: Person,
    outsiders: Vec<Viewer>,
}

impl Cast {
    async fn gather(town: &Town, runs: usize) -> Self {
        let gil = town.facilitator("Gil").await;
        let mut leaders = Vec::new();
        for _ in 0..=runs {
            leaders.push(town.facilitator("Fay").await);
        }
        let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
        let profile = |home: LatLng| {
            json!({ "activities": ["run"], "home": home, "travel_radius_km": 5.0,
            "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 420 } })
        };
        for (person, home) in [(&ana, REGIONS[0]), (&gil, REGIONS[0]), (&ben, REGIONS[2])] {
            person.put("/me/running-profile", profile(home)).await.expect(200);
        }
        let viewer = |name, client: &Client| Viewer { name, client: client.clone() };
        let outsiders = vec![
            viewer("nobody", &town.nobody()),
            viewer("participant who asked", &ana),
            viewer("participant at the antimeridian", &ben),
            viewer("other facilitator", &gil),
            viewer("moderator", &town.moderator("Mo").await.client),
            viewer("admin", &town.admin().await.client),
        ];
        Self { leaders, ana, gil, outsiders }
    }

    fn copied_to(&self, town: &Town) -> Self {
        Self {
            leaders: self.leaders.iter().map(|leader| leader.in_town(town)).collect(),
            ana: self.ana.in_town(town),
            gil: self.gil.in_town(town),
            outsiders: self.outsiders.iter().map(|viewer| viewer.in_town(town)).collect(),
        }
    }
}

/// No two at one pace: of runs that fit equally well chance says which comes first.
fn body(town: &Town, number: usize, at: LatLng, starts_at: &str) -> Value {
    let mut body = town.run_body();
    body["pace"] = json!({ "fastest_s_per_km": 340, "slowest_s_per_km": 394 - number });
    body["starts_at"] = json!(starts_at);
    body["join_policy"] = json!("approval");
    body["meeting_point"] = json!({ "lat": at.lat, "lng": at.lng, "name": "The secret fountain" });
    body["getting_there"] = json!("Behind the secret fountain.");
    body
}

/// Thirty metres towards the middle: the same step in both worlds.
fn a_step_inwards(cell: Cell, from: LatLng) -> LatLng {
    let (east, north) = on_map(from, cell.centre());
    let away = east.hypot(north).max(1e-6);
    off(from, 0.03 * east / away, 0.03 * north / away)
}

/// Posts all runs, each at one of its points, and lets life happen to them; gives what those outside saw.
async fn live(town: &Town, cast: &Cast, pairs: &[Pair], which: usize) -> Transcript {
    let mut runs = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        let posted = cast.leaders[number]
            .post("/runs", body(town, number, pair.points[which], &pair.starts_at))
            .await
            .expect(201);
        let at = pair.points[which];
        let route = json!({ "type": "LineString", "coordinates": [[at.lng, at.lat], [at.lng, at.lat + 0.001]] });
        cast.leaders[number].put(&format!("/runs/{}/route", posted.id()), route).await.expect(201);
        runs.push(posted.id());
        town.minutes_pass(1);
        cast.ana.joins(&posted.id(), "requested").await;
    }
    let mut series = body(town, pairs.len(), pairs[0].points[which], "");
    series.as_object_mut().expect("an object").remove("starts_at");
    let series = json!({ "run": series, "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=WEEKLY;COUNT=1" });
    let series = cast.leaders[pairs.len()].post("/run-series", series).await.expect(201).id();
    let things = Things {
        runs: runs.clone(),
        series: vec![series],
        facilitators: cast.leaders.iter().map(|leader| leader.id.to_string()).collect(),
        near: REGIONS.to_vec(),
        ..Things::default()
    };
    let mut seen = Transcript::of_everything(town, &cast.outsiders, &things).await;
    for (at, (run, pair)) in runs.iter().zip(pairs).enumerate() {
        town.minutes_pass(1);
        let fay = &cast.leaders[at];
        match at % 4 {
            0 => {
                let to = a_step_inwards(earth::cell(pair.points[which], 8), pair.points[which]);
                let moved = json!({ "meeting_point": { "lat": to.lat, "lng": to.lng, "name": "The secret bench" } });
                fay.patch(&format!("/runs/{run}"), Some("*"), moved).await.expect(200);
            }
            1 => drop(fay.delete(&format!("/runs/{run}/facilitators/{}", fay.id)).await.expect(204)),
            2 => drop(fay.post(&format!("/runs/{run}/cancel"), json!({ "reason_code": "place" })).await.expect(200)),
            _ => {
                let said = json!({ "text": "Bring a torch." });
                fay.post(&format!("/runs/{run}/announcements"), said).await.expect(201);
            }
        }
    }
    town.minutes_pass(1);
    let letters = town
        .post_office()
        .await
        .into_iter()
        .filter(|letter| cast.leaders.iter().all(|leader| letter.to != leader.email))
        .collect();
    seen.note_letters(letters);
    seen.0.extend(Transcript::of_everything(town, &cast.outsiders, &things).await.0);
    seen.without_chance()
}

#[apply(database_test!)]
async fn a_hidden_meeting_point_may_be_anywhere_in_its_area_for_those_outside(town: Town) {
    let pairs = pairs();
    let common = Cast::gather(&town, pairs.len()).await;
    let (one, other) = town.fork().await;
    let (cast, cast_there) = (common.copied_to(&one), common.copied_to(&other));
    let seen = live(&one, &cast, &pairs, 0).await;
    let seen_there = live(&other, &cast_there, &pairs, 1).await;
    one.close().await;
    other.close().await;

    seen.is_the_same_as(&seen_there, "what those outside see");
    for secret in ["secret", "Behind the", "mlat="] {
        assert!(!seen.says(secret), "somebody outside reads \"{secret}\"");
    }
    let mails = seen.0.iter().filter(|entry| entry.what.starts_with("mail")).count();
    assert!(mails >= pairs.len(), "only {mails} mails");
    assert!(seen.says("another spot, shown to those who have a place"));
    let told = [0.1, 1.0].map(|grain| the_comparer_catches(grain, &pairs, [&seen, &seen_there]));
    println!(
        "two points: {} hidden meeting points, {} answers and mails ({mails} mails) equal; an oracle that rounds the exact \
         distance to 100 m tells {} answers apart, one that rounds to 1 km {}",
        pairs.len(),
        seen.0.len(),
        told[0],
        told[1],
    );
}

/// The negative control: cards that tell how far the exact point is from the middle of London, rounded. Gives how many
/// answers differ then.
fn the_comparer_catches(grain_km: f64, pairs: &[Pair], seen: [&Transcript; 2]) -> usize {
    let leaking = |which: usize| {
        let leak = |entry: &Entry| {
            with_leak(entry, |body| {
                for item in body["items"].as_array_mut().into_iter().flatten() {
                    let start = item["starts_at"].as_str().or(item["run"]["starts_at"].as_str()).map(str::to_owned);
                    let Some(pair) = pairs.iter().find(|pair| Some(&pair.starts_at) == start.as_ref()) else {
                        continue;
                    };
                    let km = earth::LONDON.distance_km(&pair.points[which]);
                    item["distance_km"] = json!((km / grain_km).round() * grain_km);
                }
            })
        };
        Transcript(seen[which].0.iter().map(leak).collect())
    };
    let told = leaking(0).differences(&leaking(1)).len();
    assert!(told > 0, "an oracle that rounds to {grain_km} km tells nothing apart");
    told
}
