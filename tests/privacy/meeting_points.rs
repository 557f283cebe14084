//! The same attackers against hidden meeting points: twenty accounts with homes wherever they please, runs of their own as
//! rulers, and the public list with its circle. They find the area that is shown, and nothing nearer.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::domain::place::LatLng;

use super::{
    attack::{Clue, Map, Report},
    earth::{self, Dice, off, spread_over},
};
use crate::{
    harness::{Answer, Person, Run, Town},
    support::database_test::database_test,
};

const ATTACKERS: usize = 20;
/// Hidden meeting points in each region.
const HIDDEN: usize = 40;
/// Runs of the attackers in each region.
const RULERS: usize = 40;
const REGIONS: [LatLng; 3] = [earth::LONDON, earth::LATITUDE_65, earth::ANTIMERIDIAN];
const RADIUS_KM: f64 = 8.0;
/// The radius of a search, km.
const CIRCLE_KM: f64 = 3.0;
/// Between the middles of two searches, km.
const STEP_KM: f64 = 0.08;
/// Searches with their edge on each side of the area's centre.
const STEPS: i32 = 14;

/// What one question told of each hidden point, for the product and for oracles that leak.
type Clues = Vec<Vec<Clue>>;

/// Who answers: the product, or an oracle that rounds the distance to the exact point.
#[derive(Clone, Copy)]
enum Oracle {
    Product,
    Rounded(f64),
}

/// One region with everything that was planted and hidden there.
struct Scene<'t> {
    town: &'t Town,
    attackers: &'t [Person],
    map: Map,
    centre: LatLng,
    hidden: Vec<(Run, LatLng)>,
    rulers: Vec<(Run, LatLng)>,
}

fn ids(answer: &Answer) -> Vec<String> {
    let items = answer.items();
    items.iter().filter_map(|item| item["id"].as_str().or(item["run"]["id"].as_str()).map(str::to_owned)).collect()
}

impl Scene<'_> {
    /// The distance that an oracle answers with.
    fn distance(&self, oracle: Oracle, from: LatLng, to: LatLng) -> f64 {
        match oracle {
            Oracle::Product => from.distance_km(&to),
            Oracle::Rounded(grain_km) => (from.distance_km(&to) / grain_km).round() * grain_km,
        }
    }

    /// Circles whose edges step across the area from four sides: which holds the run? The same by the count of what is
    /// found, and by its pages: the list stands in the order of the starts.
    async fn circles(&self, oracle: Oracle) -> Clues {
        let mut clues: Clues = vec![Vec::new(); self.hidden.len()];
        for quarter in 0..4 {
            let turned = std::f64::consts::FRAC_PI_2 * (f64::from(quarter) + 0.4);
            for step in -STEPS..=STEPS {
                let (radius, away) = (CIRCLE_KM, CIRCLE_KM + STEP_KM * f64::from(step));
                let from = off(self.centre, away * turned.sin(), away * turned.cos());
                let found = match oracle {
                    Oracle::Product => {
                        let near = format!("near={:.9},{:.9}&radius_km={radius}", from.lat, from.lng);
                        let answer = self.town.nobody().get(&format!("/runs?limit=100&{near}")).await.expect(200);
                        assert!(answer.json["next_cursor"].is_null());
                        let starts: Vec<Value> = answer.items().iter().map(|item| item["starts_at"].clone()).collect();
                        assert!(starts.is_sorted_by_key(|start| start.as_str().map(str::to_owned)), "{starts:?}");
                        ids(&answer)
                    }
                    Oracle::Rounded(_) => {
                        let within = |(_, at): &&(Run, LatLng)| self.distance(oracle, from, *at) <= radius;
                        self.hidden.iter().filter(within).map(|(run, _)| run.id.clone()).collect()
                    }
                };
                for ((run, _), clues) in self.hidden.iter().zip(&mut clues) {
                    let clue = if found.contains(&run.id) { Clue::within } else { Clue::beyond };
                    clues.push(clue(self.map.at(from), radius));
                }
            }
        }
        clues
    }

    /// What each attacker is shown as matches from a home of their choosing: as a number, in words, by the order among
    /// rulers, by the edge of the travel radius.
    async fn matches(&self, oracle: Oracle, dice: &mut Dice) -> [Clues; 4] {
        let mut clues: [Clues; 4] = std::array::from_fn(|_| vec![Vec::new(); self.hidden.len()]);
        for (number, attacker) in self.attackers.iter().enumerate() {
            let turned = std::f64::consts::TAU * number as f64 / ATTACKERS as f64;
            // Some live so that the edge of what they travel to runs through the area.
            let away = if number % 2 == 0 { dice.between(0.5, 4.0) } else { RADIUS_KM + dice.between(-0.6, 0.6) };
            let home = off(self.centre, away * turned.sin(), away * turned.cos());
            let body = json!({ "activities": ["run"], "home": home, "travel_radius_km": RADIUS_KM,
                "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 420 } });
            let put = attacker.put("/me/running-profile", body).await.expect(200);
            let at = |name: &str| put.json["home_centre"][name].as_f64().expect("a centre");
            let home = LatLng { lat: at("lat"), lng: at("lng") };
            let shown = self.shown(oracle, attacker, home).await;
            self.read(home, &shown, &mut clues);
        }
        clues
    }

    /// The runs that an oracle shows an attacker, the best first: id, distance as a number, distance in words.
    async fn shown(&self, oracle: Oracle, attacker: &Person, home: LatLng) -> Vec<(String, f64, Option<f64>)> {
        let Oracle::Rounded(_) = oracle else {
            let items = attacker.get("/matches?limit=100").await.expect(200).items();
            return items
                .iter()
                .map(|item| {
                    let part = item["fit"]["distance"].as_f64().expect("a part");
                    let km = 0.5 * RADIUS_KM * (1.0 / part - 1.0).max(0.0).sqrt();
                    (item["run"]["id"].as_str().expect("an id").to_owned(), km, kilometres_in(&item["fit"]["reasons"]))
                })
                .collect();
        };
        let all = self.hidden.iter().chain(&self.rulers);
        let mut shown: Vec<(String, f64, Option<f64>)> = all
            .map(|(run, at)| (run.id.clone(), self.distance(oracle, home, *at)))
            .filter(|(_, km)| *km <= RADIUS_KM)
            .map(|(id, km)| (id, km, Some(km.round())))
            .collect();
        shown.sort_by(|a, b| a.1.total_cmp(&b.1));
        shown
    }

    fn read(&self, home: LatLng, shown: &[(String, f64, Option<f64>)], clues: &mut [Clues; 4]) {
        let at = self.map.at(home);
        let rulers: BTreeMap<&str, f64> =
            self.rulers.iter().map(|(run, place)| (run.id.as_str(), home.distance_km(place))).collect();
        for (number, (run, _)) in self.hidden.iter().enumerate() {
            let Some(rank) = shown.iter().position(|(id, ..)| *id == run.id) else {
                clues[3][number].push(Clue::beyond(at, RADIUS_KM));
                continue;
            };
            clues[3][number].push(Clue::within(at, RADIUS_KM));
            clues[0][number].push(Clue::at_distance(at, shown[rank].1));
            clues[1][number].extend(shown[rank].2.map(|km| Clue::at_distance(at, km)));
            let ruler = |(id, ..): &(String, f64, Option<f64>)| rulers.get(id.as_str()).copied();
            let low = shown[..rank].iter().rev().find_map(ruler).unwrap_or(0.0);
            let high = shown[rank + 1..].iter().find_map(ruler).unwrap_or(RADIUS_KM);
            clues[2][number].push(Clue::Ring { at, low, high });
        }
    }

    /// Every way, by itself and all together.
    async fn attack(&self, oracle: Oracle, report: &mut Report, dice: &mut Dice) {
        let circles = self.circles(oracle).await;
        let [number, words, order, edge] = self.matches(oracle, dice).await;
        let size = earth::cell(self.centre, 8).size_km();
        for (at, (_, truth)) in self.hidden.iter().enumerate() {
            let together = [&circles[at][..], &number[at], &order[at], &edge[at]].concat();
            let ways: [(&str, &[Clue]); 6] = [
                ("circles of the public list", &circles[at]),
                ("the distance as a number", &number[at]),
                ("the distance in words", &words[at]),
                ("the order among rulers", &order[at]),
                ("the edge of the travel radius", &edge[at]),
                ("all of these together", &together),
            ];
            for (way, clues) in ways {
                report.note(way, self.map.find(clues), *truth, size);
            }
        }
    }
}

fn kilometres_in(reasons: &Value) -> Option<f64> {
    let texts = reasons.as_array()?.iter().filter_map(|reason| reason["text"].as_str());
    let words = texts.filter_map(|text| text.strip_prefix("about "));
    words.filter_map(|rest| rest.split(' ').next()?.parse().ok()).next()
}

/// Posts a run by a facilitator of its own: nobody leads two at one time.
async fn post(town: &Town, number: usize, at: LatLng, policy: &str) -> (Run, Person) {
    let by = town.facilitator("Fay").await;
    let start = town.now().plus_days(1).plus_minutes(i64::try_from(number).expect("a small number"));
    let body = |run: &mut Value| {
        run["starts_at"] = json!(start);
        run["join_policy"] = json!(policy);
        run["meeting_point"] = json!({ "lat": at.lat, "lng": at.lng, "name": "The secret fountain" });
    };
    (town.run(&by, body).await, by)
}

/// What a look at a hidden run shows those outside: the area, and a route no more than if there were none.
async fn looking_shows_the_area(town: &Town, attacker: &Person, run: &Run) {
    for client in [&town.nobody(), &attacker.client] {
        let seen = client.get(&run.at("")).await.expect(200);
        assert!(seen.json.get("meeting_point").is_none() && !seen.text.contains("secret"), "{}", seen.text);
        let cell: String = seen.json["meeting_area"]["cell"].as_str().expect("an area").to_owned();
        assert_eq!(cell.len(), 15);
        let route = client.get(&run.at("/route")).await.refused(404, "not_found");
        let none = client.get("/runs/00000000-0000-7000-8000-000000000000/route").await.refused(404, "not_found");
        assert_eq!((&route.text, route.header_names()), (&none.text, none.header_names()));
    }
}

#[apply(database_test!)]
async fn twenty_accounts_find_no_more_of_a_hidden_meeting_point_than_its_area(town: Town) {
    town.leave_mail();
    let mut dice = Dice::new(21);
    let mut attackers = Vec::new();
    for _ in 0..ATTACKERS {
        attackers.push(town.facilitator("Eve").await);
    }
    let (mut product, mut fine_leak, mut coarse_leak) = (Report::default(), Report::default(), Report::default());
    for region in REGIONS {
        let cell = earth::cell(region, 8);
        let centre = cell.centre();
        let (mut hidden, mut rulers) = (Vec::new(), Vec::new());
        for (number, at) in spread_over(cell, HIDDEN, &mut dice).into_iter().enumerate() {
            let (run, fay) = post(&town, number, at, "approval").await;
            if number == 0 {
                let line = json!({ "type": "LineString", "coordinates": [[at.lng, at.lat], [at.lng, at.lat + 0.001]] });
                fay.put(&run.at("/route"), line).await.expect(201);
                looking_shows_the_area(&town, &attackers[0], &run).await;
            }
            hidden.push((run, at));
        }
        for number in 0..RULERS {
            let at = off(centre, dice.between(-4.0, 4.0), dice.between(-4.0, 4.0));
            rulers.push((post(&town, HIDDEN + number, at, "open").await.0, at));
        }
        assert_eq!(hidden.len(), HIDDEN);
        let map = Map(off(centre, 0.4, 0.3));
        let scene = Scene { town: &town, attackers: &attackers, map, centre, hidden, rulers };
        scene.attack(Oracle::Product, &mut product, &mut Dice::new(22)).await;
        scene.attack(Oracle::Rounded(0.1), &mut fine_leak, &mut Dice::new(22)).await;
        scene.attack(Oracle::Rounded(1.0), &mut coarse_leak, &mut Dice::new(22)).await;
        // A week, and homes may change again.
        town.hours_pass(8 * 24);
    }
    product.print("hidden meeting points");
    fine_leak.print("hidden meeting points, had the exact distance been rounded to 100 m");
    coarse_leak.print("hidden meeting points, had the exact distance been rounded to 1 km");
    product.finds_no_more_than_the_cell(3 * HIDDEN);
    fine_leak.is_caught("rounded to 100 m");
    coarse_leak.is_caught("rounded to 1 km");
}
