//! Twenty accounts try to find where people live: all of them lead runs, planted where they please, and whoever shall be
//! found tells them everything that the product answers about these runs.
//!
//! In truth an attacker learns less: who signs up. What people are shown is the most that they can tell. The ways: distance
//! as a number and in words, the edge of the travel radius (which runs are shown, and so how many, and which pages), the
//! order, what is explained about each run, the advice for a short list, the run that a sign-up goes to, and the mails that call facilitators to runs without one.

use std::collections::{BTreeMap, BTreeSet};

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{
    domain::place::{Cell, LatLng},
    service::applications,
};

use super::{
    attack::{Clue, Map, Report},
    earth::{self, Dice, off, spread_over},
};
use crate::{
    harness::{Person, Town},
    support::database_test::database_test,
};

const ATTACKERS: usize = 20;
/// People to be found in each region.
const VICTIMS: usize = 40;
/// Facilitators to be found by the calls that they get.
const CALLED: usize = 20;
const REGIONS: [LatLng; 3] = [earth::LONDON, earth::LATITUDE_65, earth::ANTIMERIDIAN];
/// How far people travel; the attackers know it.
const RADIUS_KM: f64 = 5.0;
/// Between two rungs of a ladder of runs across the edge of the travel radius, km.
const RUNG_KM: f64 = 0.06;
/// Rungs on each side of the edge.
const RUNGS: i32 = 12;
/// They ask about every so many-th run by itself.
const ASKED_EACH: usize = 6;

/// A run that the attackers planted.
struct Planted {
    at: LatLng,
    id: String,
    /// The attacker who posted it: nobody leads two runs at one time.
    by: Person,
}

/// What somebody was shown of planted runs: the best first, how far each is in two ways, km.
#[derive(Debug, Clone)]
struct Shown {
    number: usize,
    by_number_km: f64,
    in_words_km: Option<f64>,
}

/// Rulers around the cell, and four ladders across the edge of what somebody who lives there travels to.
fn places(region: LatLng, dice: &mut Dice) -> Vec<LatLng> {
    let centre = earth::cell(region, 8).centre();
    let mut places: Vec<LatLng> =
        (0..24).map(|_| off(centre, dice.between(-3.0, 3.0), dice.between(-3.0, 3.0))).collect();
    for quarter in 0..4 {
        let turned = std::f64::consts::FRAC_PI_2 * (f64::from(quarter) + 0.2);
        for rung in -RUNGS..=RUNGS {
            let away = RADIUS_KM + RUNG_KM * f64::from(rung);
            places.push(off(centre, away * turned.sin(), away * turned.cos()));
        }
    }
    places
}

/// When the planted run of this number starts: no two at once in a region.
fn starts_at(town: &Town, number: usize) -> String {
    town.now().plus_days(1).plus_minutes(2 * i64::try_from(number).expect("a small number")).to_string()
}

async fn plant(town: &Town, places: &[LatLng]) -> Vec<Planted> {
    let mut planted = Vec::new();
    for (number, at) in places.iter().enumerate() {
        let by = town.facilitator("Eve").await;
        let body = |run: &mut Value| {
            run["starts_at"] = json!(starts_at(town, number));
            run["duration_min"] = json!(10);
            run["capacity"] = json!(100);
            run["meeting_point"] = json!({ "lat": at.lat, "lng": at.lng, "name": "Here" });
        };
        planted.push(Planted { at: *at, id: town.run(&by, body).await.id, by });
    }
    planted
}

/// Everything that the product shows somebody of the planted runs: in two stretches of time, since a list has a hundred.
async fn what_the_product_shows(town: &Town, person: &Person, planted: &[Planted]) -> Vec<Vec<Shown>> {
    let numbers: BTreeMap<&str, usize> = planted.iter().enumerate().map(|(at, run)| (run.id.as_str(), at)).collect();
    let middle = starts_at(town, planted.len() / 2);
    let stretches = [("2026-11-24T00:00:00Z", middle.as_str()), (middle.as_str(), "2026-12-20T00:00:00Z")];
    let mut all = Vec::new();
    for (from, to) in stretches {
        let items = person.get(&format!("/matches?limit=100&from={from}&to={to}")).await.expect(200).items();
        assert!(items.len() < 100);
        let shown = items.iter().filter_map(|item| {
            let number = *numbers.get(item["run"]["id"].as_str()?)?;
            let part = item["fit"]["distance"].as_f64()?;
            let by_number_km = 0.5 * RADIUS_KM * (1.0 / part - 1.0).max(0.0).sqrt();
            Some(Shown { number, by_number_km, in_words_km: kilometres_in(&item["fit"]["reasons"]) })
        });
        all.push(shown.collect());
    }
    all
}

/// What somebody is told who asks of single runs why they are matches or not, and for matches at the time of each alone, so
/// that the list is short and advice says what there would be further away.
async fn what_is_explained_and_advised(town: &Town, person: &Person, planted: &[Planted], map: Map) -> [Vec<Clue>; 2] {
    let [mut explained, mut advised] = [Vec::new(), Vec::new()];
    for (number, run) in planted.iter().enumerate().step_by(ASKED_EACH) {
        let at = map.at(run.at);
        let why = person.get(&format!("/matches?explain={}", run.id)).await.expect(200);
        let fit = &why.json["explanation"]["fit"];
        explained.push((if fit.is_null() { Clue::beyond } else { Clue::within })(at, RADIUS_KM));
        explained.extend(kilometres_in(&fit["reasons"]).map(|km| Clue::at_distance(at, km)));
        let (from, to) = (starts_at(town, number), starts_at(town, number + 1));
        let answer = person.get(&format!("/matches?from={from}&to={to}")).await.expect(200);
        let advice = answer.json["advice"].as_array().expect("advice");
        for piece in advice.iter().filter(|piece| piece["first"]["id"] == run.id.as_str()) {
            let words = piece["text"].as_str().unwrap_or_default().split_once(", about ");
            let km = words.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            advised.extend(km.map(|km| Clue::at_distance(at, km)));
        }
    }
    [explained, advised]
}

/// "about 3 km from your area".
fn kilometres_in(reasons: &Value) -> Option<f64> {
    let texts = reasons.as_array()?.iter().filter_map(|reason| reason["text"].as_str());
    let words = texts.filter_map(|text| text.strip_prefix("about "));
    words.filter_map(|rest| rest.split(' ').next()?.parse().ok()).next()
}

/// The negative control: what an oracle would show that rounds the distance from the exact point.
fn what_a_leak_shows(home: LatLng, grain_km: f64, planted: &[Planted]) -> Vec<Vec<Shown>> {
    let rounded = |run: &Planted| (home.distance_km(&run.at) / grain_km).round() * grain_km;
    let mut shown: Vec<Shown> = planted
        .iter()
        .enumerate()
        .map(|(number, run)| Shown { number, by_number_km: rounded(run), in_words_km: Some(rounded(run).round()) })
        .filter(|shown| shown.by_number_km <= RADIUS_KM)
        .collect();
    shown.sort_by(|a, b| a.by_number_km.total_cmp(&b.by_number_km));
    vec![shown]
}

/// The attack: every way by itself, and all together.
fn find(map: Map, planted: &[Planted], stretches: &[Vec<Shown>]) -> Vec<(&'static str, LatLng)> {
    let at = |number: usize| map.at(planted[number].at);
    let shown: Vec<&Shown> = stretches.iter().flatten().collect();
    let by_number: Vec<Clue> = shown.iter().map(|one| Clue::at_distance(at(one.number), one.by_number_km)).collect();
    let in_words = shown.iter().filter_map(|one| Some(Clue::at_distance(at(one.number), one.in_words_km?)));
    let in_words: Vec<Clue> = in_words.collect();
    let there: BTreeSet<usize> = shown.iter().map(|one| one.number).collect();
    let edge: Vec<Clue> = (0..planted.len())
        .map(|number| {
            let clue = if there.contains(&number) { Clue::within } else { Clue::beyond };
            clue(at(number), RADIUS_KM)
        })
        .collect();
    let nearer = |two: &[Shown]| Clue::Nearer { this: at(two[0].number), than: at(two[1].number) };
    let order: Vec<Clue> = stretches.iter().flat_map(|shown| shown.windows(2).map(nearer)).collect();
    let everything = [by_number.as_slice(), &edge, &order].concat();
    vec![
        ("the distance as a number", map.find(&by_number)),
        ("the distance in words", map.find(&in_words)),
        ("the edge of the travel radius", map.find(&edge)),
        ("the order", map.find(&order)),
        ("all of these together", map.find(&everything)),
    ]
}

struct Victim {
    person: Person,
    home: LatLng,
}

async fn settle(town: &Town, cell: Cell, many: usize, dice: &mut Dice) -> Vec<Victim> {
    let homes = spread_over(cell, many, dice);
    assert_eq!(homes.len(), many);
    let people = town.people("Vic", many).await;
    let mut victims = Vec::new();
    for (person, home) in people.into_iter().zip(homes) {
        let body = json!({ "activities": ["run"], "home": home, "travel_radius_km": RADIUS_KM,
            "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 420 } });
        person.put("/me/running-profile", body).await.expect(200);
        victims.push(Victim { person, home });
    }
    victims
}

#[apply(database_test!)]
async fn twenty_accounts_with_planted_runs_find_nobody_nearer_than_the_cell(town: Town) {
    town.leave_mail();
    let mut dice = Dice::new(20);
    let mut attackers = Vec::new();
    for _ in 0..ATTACKERS {
        attackers.push(town.facilitator("Eve").await);
    }
    let (mut product, mut fine_leak, mut coarse_leak) = (Report::default(), Report::default(), Report::default());
    for region in REGIONS {
        let cell = earth::cell(region, 8);
        let size = cell.size_km();
        // The attackers' map need not be centred on the cell.
        let map = Map(off(cell.centre(), 0.4, -0.3));
        let planted = plant(&town, &places(region, &mut dice)).await;
        let victims = settle(&town, cell, VICTIMS, &mut dice).await;
        for victim in &victims {
            let [explained, advised] = what_is_explained_and_advised(&town, &victim.person, &planted, map).await;
            assert!(explained.len() > 20 && advised.len() > 5, "{} and {}", explained.len(), advised.len());
            let both = [explained.as_slice(), &advised].concat();
            for (way, clues) in [("explanations", explained), ("advice", advised), ("explanations and advice", both)] {
                product.note(way, map.find(&clues), victim.home, size);
            }
        }
        for victim in &victims {
            let shown = what_the_product_shows(&town, &victim.person, &planted).await;
            let many = shown.iter().map(Vec::len).sum::<usize>();
            assert!(many > 60 && many < planted.len(), "{many} of {} shown", planted.len());
            for (way, guess) in find(map, &planted, &shown) {
                product.note(way, guess, victim.home, size);
            }
            for (report, grain) in [(&mut fine_leak, 0.1), (&mut coarse_leak, 1.0)] {
                for (way, guess) in find(map, &planted, &what_a_leak_shows(victim.home, grain, &planted)) {
                    report.note(way, guess, victim.home, size);
                }
            }
        }
        who_signs_up(&planted, &victims, size, &mut product).await;
    }
    who_is_called(&town, &mut dice, &mut product).await;

    product.print("people's homes");
    fine_leak.print("people's homes, had the exact distance been rounded to 100 m");
    coarse_leak.print("people's homes, had the exact distance been rounded to 1 km");
    product.finds_no_more_than_the_cell(20);
    fine_leak.is_caught("rounded to 100 m");
    coarse_leak.is_caught("rounded to 1 km");
}

/// What attackers see without help: each person signs up for the run that comes first, and stands on its list.
async fn who_signs_up(planted: &[Planted], victims: &[Victim], size: f64, report: &mut Report) {
    for victim in victims {
        let first = victim.person.get("/matches?limit=1").await.expect(200).items();
        let run = first[0]["run"]["id"].as_str().expect("a run").to_owned();
        victim.person.sign_up(&run).await.expect(201);
    }
    for run in planted {
        let list = run.by.get(&format!("/runs/{}/signups", run.id)).await.expect(200);
        for entry in list.items() {
            // The list names who is in; for whoever waits the attacker goes by the name, and here all have one name.
            let account = entry["account_id"].as_str().unwrap_or_default();
            if let Some(victim) = victims.iter().find(|victim| victim.person.id.to_string() == account) {
                report.note("the run that somebody signs up for", run.at, victim.home, size);
            }
        }
    }
}

/// People who lead runs are called by mail to runs nearby that nobody leads: the edge of their travel radius again.
async fn who_is_called(town: &Town, dice: &mut Dice, report: &mut Report) {
    let region = earth::QUITO;
    let cell = earth::cell(region, 8);
    let map = Map(off(cell.centre(), -0.3, 0.2));
    let victims = settle(town, cell, CALLED, dice).await;
    let (ids, now) = (victims.iter().map(|victim| victim.person.id).collect::<Vec<_>>(), town.now());
    let approved =
        town.app().db.write(move |tx| ids.iter().try_for_each(|id| applications::approve_imported(tx, *id, now)));
    approved.await.expect("approvals");
    // Every third rung will do.
    let ladders: Vec<LatLng> = places(region, dice).into_iter().skip(24).step_by(3).collect();
    let planted = plant(town, &ladders).await;
    town.work().await;
    town.inbox().empty();
    for run in &planted {
        let attacker = &run.by;
        attacker.delete(&format!("/runs/{}/facilitators/{}", run.id, attacker.id)).await.expect(204);
    }
    let letters = town.post_office().await;
    for victim in victims {
        let mine: Vec<&str> = letters
            .iter()
            .filter(|letter| letter.to == victim.person.email)
            .map(|letter| letter.text.as_str())
            .collect();
        let clue = |run: &Planted| {
            let called = mine.iter().any(|text| text.contains(&run.id));
            (if called { Clue::within } else { Clue::beyond })(map.at(run.at), RADIUS_KM)
        };
        assert!(!mine.is_empty() && mine.len() < planted.len(), "{} calls", mine.len());
        let clues: Vec<Clue> = planted.iter().map(clue).collect();
        report.note("the calls to facilitators", map.find(&clues), victim.home, cell.size_km());
    }
}
