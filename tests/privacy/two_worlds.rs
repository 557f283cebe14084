//! Two worlds with the same history and the same published cells, a thousand people at other points of them: the rows
//! that are kept, the answers that anybody gets and the mails are the same, byte for byte.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{
    domain::{
        place::{Cell, LatLng},
        profile::RunningProfile,
    },
    id::Id,
    service::{
        applications, profiles,
        signups::{self, NewSignup},
    },
};

use super::{
    earth::{self, Dice, anywhere_in, cells_near, corners, just_outside, off, towards},
    logs, traces,
    transcript::{Entry, Things, Transcript, Viewer, with_leak},
};
use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

/// Around these places people live and runs are held.
const REGIONS: [LatLng; 6] =
    [earth::LONDON, earth::BRIGHTON_BEACH, earth::LATITUDE_65, earth::ANTIMERIDIAN, earth::QUITO, earth::SYDNEY];
const PAIRS: usize = 1000;

/// One person's two points of one published cell.
struct Pair {
    region: usize,
    cell: Cell,
    /// Where the person said to live before the worlds part, if anything.
    before: Option<LatLng>,
    points: [LatLng; 2],
}

/// Corners, borders, centres, anywhere, both sides of the coast and of the antimeridian; and homes outside the cell that
/// is kept because they are so near.
fn pairs() -> Vec<Pair> {
    let mut dice = Dice::new(4);
    let cells: Vec<Vec<Cell>> = REGIONS.iter().map(|region| cells_near(*region, 3)).collect();
    let pair = |at: usize| {
        let region = at % REGIONS.len();
        let cell = cells[region][at / REGIONS.len() % cells[region].len()];
        let corner = |number: usize| {
            let corners = corners(cell);
            towards(cell, corners[number % corners.len()], 0.995)
        };
        let turn = at / 7;
        let points = match at / REGIONS.len() % 5 {
            0 => [corner(turn), corner(turn + 3)],
            1 => [cell.centre(), corner(turn)],
            2 => [anywhere_in(cell, &mut dice), anywhere_in(cell, &mut dice)],
            3 => [earth::between(corner(turn), corner(turn + 1)), anywhere_in(cell, &mut dice)],
            _ => [anywhere_in(cell, &mut dice), just_outside(cell, &mut dice)],
        };
        let said_before = points.iter().any(|point| earth::cell(*point, 8) != cell) || at % 4 == 3;
        let before = said_before.then(|| anywhere_in(cell, &mut dice));
        Pair { region, cell, before, points: if at.is_multiple_of(2) { points } else { [points[1], points[0]] } }
    };
    (0..PAIRS).map(pair).collect()
}

fn profile(home: LatLng) -> Value {
    json!({
        "activities": ["run", "walk"],
        "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 420 },
        "home": home,
        "travel_radius_km": 10.0,
    })
}

/// People say where they live: by the service and in one transaction, since a thousand requests would tell no more. Gives
/// what they are answered.
async fn settle(town: &Town, homes: Vec<(Id, LatLng)>) -> Vec<Value> {
    let (now, resolution) = (town.now(), town.app().cell_resolution);
    let read = |home| serde_json::from_value::<RunningProfile>(profile(home)).expect("a profile");
    let said: Vec<(Id, RunningProfile)> = homes.into_iter().map(|(person, home)| (person, read(home))).collect();
    let put = town.app().db.write(move |tx| {
        let put = |(person, said): &(Id, RunningProfile)| {
            Ok(serde_json::to_value(profiles::put(tx, *person, said, resolution, now)?)?)
        };
        said.iter().map(put).collect::<sidebyside::error::Result<Vec<Value>>>()
    });
    put.await.expect("profiles")
}

/// The runs of one region.
struct Led {
    leader: Person,
    open: Run,
    other: Run,
    by_approval: Run,
}

/// Everybody in one world.
struct World {
    town: Town,
    people: Vec<Person>,
    fay: Person,
    gil: Person,
    viewers: Vec<Viewer>,
    things: Things,
}

/// What one world was seen to be.
struct Seen {
    /// By person: what they themselves were answered.
    own: Vec<Transcript>,
    rows: Vec<String>,
    others: Transcript,
    /// After people signed up, withdrew, were called and called off: answers and mails, without chance.
    later: Transcript,
    letters: usize,
    held: Vec<LatLng>,
}

async fn led_in(town: &Town, fay: &Person, region: usize) -> Led {
    let place = off(REGIONS[region], 0.0, 2.0);
    let run = async |hour: usize, at: LatLng, policy: &str| {
        let body = |run: &mut Value| {
            run["title"] = json!(format!("Run {region} {hour}"));
            run["starts_at"] = json!(format!("2026-11-26T{:02}:{:02}:00Z", 9 + hour, region));
            run["meeting_point"] = json!({ "lat": at.lat, "lng": at.lng, "name": "The fountain" });
            run["join_policy"] = json!(policy);
        };
        town.run(fay, body).await
    };
    Led {
        leader: fay.clone(),
        open: run(0, place, "open").await,
        other: run(2, off(place, 1.5, 1.0), "open").await,
        by_approval: run(4, off(place, -1.0, 1.5), "approval").await,
    }
}

/// The history that both worlds share.
async fn before_they_part(town: &Town, pairs: &[Pair]) -> (World, Vec<Led>) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let (moderator, admin) = (town.moderator("Mo").await, town.admin().await);
    for (person, home) in [(&ana, REGIONS[0]), (&ben, REGIONS[3]), (&gil, REGIONS[2]), (&fay, REGIONS[0])] {
        person.put("/me/running-profile", profile(home)).await.expect(200);
    }
    let people = town.people("Vic", PAIRS).await;
    let mut led = Vec::new();
    for region in 0..REGIONS.len() {
        // Nobody leads in two regions at one time.
        let leader = if region == 0 { fay.clone() } else { town.facilitator("Fay").await };
        led.push(led_in(town, &leader, region).await);
    }
    let said_before = people.iter().zip(pairs).filter_map(|(person, pair)| Some((person.id, pair.before?)));
    settle(town, said_before.collect()).await;
    let series = json!({
        "run": { "title": "Tuesdays", "activity": "run", "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 },
            "duration_min": 60, "capacity": 10, "meeting_point": { "lat": 51.52, "lng": -0.12, "name": "The pond" } },
        "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=WEEKLY;BYDAY=TU" });
    let series = fay.post("/run-series", series).await.expect(201).id();
    let seat = ana.joins(&led[0].other.id, "confirmed").await;
    let token = ana.post(&format!("/signups/{seat}/friend"), json!({})).await.expect(201).str("token");
    let about = json!({ "about": { "kind": "account", "id": people[0].id }, "category": "other", "statement": "s" });
    let report = ana.post("/reports", about).await.expect(201).id();
    ben.post("/blocks", json!({ "account_id": people[1].id })).await.expect(202);
    some_sign_up(town, &people, pairs, &led).await;
    town.work().await;
    let things = Things {
        runs: led.iter().take(4).flat_map(|led| [&led.open, &led.by_approval]).map(|run| run.id.clone()).collect(),
        series: vec![series],
        signups: vec![seat],
        facilitators: vec![fay.id.to_string(), gil.id.to_string(), people[0].id.to_string()],
        reports: vec![report],
        described: Vec::new(),
        friend_tokens: vec![token],
        // One: to look somebody up is an act of the log, and two at once stand there in either order.
        emails: vec![people[0].email.clone()],
        near: REGIONS.to_vec(),
    };
    let viewer = |name, client: &crate::harness::Client| Viewer { name, client: client.clone() };
    let viewers = vec![
        viewer("nobody", &town.nobody()),
        viewer("participant", &ana),
        viewer("participant at the antimeridian", &ben),
        viewer("facilitator", &fay),
        viewer("other facilitator", &gil),
        viewer("moderator", &moderator),
        viewer("admin", &admin),
    ];
    (World { town: town.clone(), people, fay, gil, viewers, things }, led)
}

/// A third of the people are on a run of their region or ask to be; some of those are facilitators.
async fn some_sign_up(town: &Town, people: &[Person], pairs: &[Pair], led: &[Led]) {
    let (now, policy) = (town.now(), town.app().config.policy.clone());
    let wishes: Vec<(Id, Id)> = people
        .iter()
        .zip(pairs)
        .enumerate()
        .filter(|(at, _)| (at / REGIONS.len()).is_multiple_of(3))
        .map(|(at, (person, pair))| {
            let run = if (at / REGIONS.len()).is_multiple_of(2) {
                &led[pair.region].by_approval
            } else {
                &led[pair.region].open
            };
            (person.id, run.id.parse().expect("an id"))
        })
        .collect();
    let facilitators: Vec<Id> = people.iter().take(24).map(|person| person.id).collect();
    let done = town.app().db.write(move |tx| {
        for (person, run) in &wishes {
            signups::sign_up(tx, *person, *run, &NewSignup::default(), &policy, now)?;
        }
        facilitators.iter().try_for_each(|person| applications::approve_imported(tx, *person, now))
    });
    done.await.expect("sign-ups");
}

impl World {
    fn copied_to(&self, town: Town) -> Self {
        Self {
            people: self.people.iter().map(|person| person.in_town(&town)).collect(),
            fay: self.fay.in_town(&town),
            gil: self.gil.in_town(&town),
            viewers: self.viewers.iter().map(|viewer| viewer.in_town(&town)).collect(),
            things: self.things.clone(),
            town,
        }
    }

    /// Everybody moves to their point in this world; then everything is looked at, and life goes on.
    async fn live(&self, pairs: &[Pair], which: usize, led: &[Led]) -> Seen {
        self.town.minutes_pass(1);
        let mut own = Vec::new();
        let homes = self.people.iter().zip(pairs).map(|(person, pair)| (person.id, pair.points[which]));
        for (view, pair) in settle(&self.town, homes.collect()).await.into_iter().zip(pairs) {
            assert_eq!(view["home_cell"], pair.cell.to_string(), "{:?}", pair.points[which]);
            let mut answers = Transcript::default();
            answers.note_words("self", "the profile", &view.to_string());
            own.push(answers);
        }
        for (at, (person, pair)) in self.people.iter().zip(pairs).enumerate() {
            let run = &led[pair.region].by_approval.id;
            own[at].fetch("self", person, "/v1/matches").await;
            // So short that advice says what there would be elsewhere and at other times.
            own[at].fetch("self", person, "/v1/matches?to=2026-11-26T09:30:00Z").await;
            if at % 5 == 0 {
                own[at].fetch("self", person, &format!("/v1/matches?explain={run}")).await;
                own[at].fetch("self", person, "/v1/me").await;
            }
            if at % 20 == 0 {
                let again = person.put("/me/running-profile", profile(pair.points[which])).await.expect(200);
                own[at].note("self", "PUT /v1/me/running-profile", &again);
                own[at].fetch("self", person, "/v1/me/running-profile").await;
            }
        }
        let rows = traces::rows(&self.town);
        let points: Vec<LatLng> = pairs.iter().step_by(17).map(|pair| pair.points[which]).collect();
        let held = traces::held(&traces::bytes(&self.town), &points);
        let others = Transcript::of_everything(&self.town, &self.viewers, &self.things).await;
        self.town.inbox().empty();
        self.goes_on(led).await;
        let mut later = Transcript::default();
        let letters = self.town.post_office().await;
        let how_many = letters.len();
        later.note_letters(letters);
        let changed = [0, 2, 3].iter().flat_map(|region| [&led[*region].other, &led[*region].by_approval]);
        let things = Things { runs: changed.map(|run| run.id.clone()).collect(), ..self.things.clone() };
        // The moderator sees less than the admin, and nobody less than a participant.
        let viewers: Vec<Viewer> = [1, 3, 4, 6].iter().map(|at| self.viewers[*at].in_town(&self.town)).collect();
        later.0.extend(Transcript::of_everything(&self.town, &viewers, &things).await.0);
        let others = others.without_chance();
        Seen { own, rows, others, later: later.without_chance(), letters: how_many, held }
    }

    /// Requests are answered, somebody withdraws, runs are changed, paused, taken over and called off.
    async fn goes_on(&self, led: &[Led]) {
        let town = &self.town;
        let leader_of = |region: &Led| region.leader.in_town(town);
        for region in led {
            let fay = leader_of(region);
            town.minutes_pass(1);
            let asks = fay.get(&region.by_approval.at("/signups")).await.expect(200).items();
            let id = |at: usize| asks[at]["id"].as_str().expect("an id").to_owned();
            fay.post(&format!("/signups/{}/approve", id(0)), json!({})).await.expect(200);
            town.minutes_pass(1);
            let why = json!({ "reason_code": "not_a_fit", "private_note": "n" });
            fay.post(&format!("/signups/{}/decline", id(1)), why).await.expect(200);
        }
        town.minutes_pass(1);
        let mine =
            self.people[0].get("/me/signups").await.expect(200).items()[0]["id"].as_str().expect("an id").to_owned();
        self.people[0].withdraws(&mine).await;
        town.minutes_pass(1);
        let later = json!({ "starts_at": "2026-11-26T09:40:00Z" });
        leader_of(&led[1]).patch(&led[1].open.at(""), Some("*"), later).await.expect(200);
        for region in [0, 2, 3] {
            town.minutes_pass(1);
            let fay = leader_of(&led[region]);
            fay.delete(&led[region].other.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
        }
        town.work().await;
        self.gil.post(&led[2].other.at("/take-over"), json!({})).await.expect(200);
        for region in [3, 4, 5] {
            town.minutes_pass(1);
            leader_of(&led[region])
                .post(&led[region].open.at("/cancel"), json!({ "reason_code": "weather" }))
                .await
                .expect(200);
        }
        town.minutes_pass(1);
    }
}

#[apply(database_test!)]
async fn a_thousand_people_who_live_elsewhere_in_their_cells_change_nothing_for_anybody(town: Town) {
    let _kept = logs::keep();
    let pairs = pairs();
    these_are_the_pairs_meant(&pairs);
    let (common, led) = before_they_part(&town, &pairs).await;
    let (one, other) = town.fork().await;
    let (one, other) = (common.copied_to(one), common.copied_to(other));
    let seen = one.live(&pairs, 0, &led).await;
    let with_homes = traces::bytes(&one.town);
    one.town.close().await;
    let seen_there = other.live(&pairs, 1, &led).await;
    other.town.close().await;

    for (at, (one, other)) in seen.own.iter().zip(&seen_there.own).enumerate() {
        one.is_the_same_as(other, &format!("what person {at} is answered"));
    }
    assert!(seen.rows == seen_there.rows, "the rows differ: {:?}", first_other_row(&seen.rows, &seen_there.rows));
    seen.others.is_the_same_as(&seen_there.others, "what others are answered");
    seen.later.is_the_same_as(&seen_there.later, "mails and answers after that");
    assert!(seen.letters >= 100, "only {} mails", seen.letters);
    assert!(seen.later.says("These fit you and have places"), "no mail names other runs");

    // No finer point is kept or logged. That the search finds one, a public meeting point shows.
    assert_eq!((&seen.held, &seen_there.held), (&vec![], &vec![]));
    let public = off(off(REGIONS[0], 0.0, 2.0), 1.5, 1.0);
    assert_eq!(traces::held(&with_homes, &[public]), [public]);
    assert!(seen.rows.iter().any(|row| row.contains(&pairs[0].cell.to_string())));
    nothing_is_logged(&pairs);

    let told = [0.1, 1.0].map(|grain| the_comparer_catches(grain, &pairs, &seen.own, &seen_there.own, &led));
    let answers = seen.others.0.len() + seen.later.0.len() + seen.own.iter().map(|own| own.0.len()).sum::<usize>();
    println!(
        "two worlds: {PAIRS} pairs, {answers} answers and mails ({} mails) and {} rows equal; an oracle that rounds the \
         exact distance to 100 m tells {} of the pairs apart, one that rounds to 1 km {}",
        seen.letters,
        seen.rows.len(),
        told[0],
        told[1],
    );
}

fn these_are_the_pairs_meant(pairs: &[Pair]) {
    let many = |wanted: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| wanted(pair)).count();
    let across = many(&|pair| pair.points[0].lng * pair.points[1].lng < -100.0);
    let coast = many(&|pair| pair.cell == earth::cell(earth::BRIGHTON_BEACH, 8));
    let kept = many(&|pair| pair.points.iter().any(|point| earth::cell(*point, 8) != pair.cell));
    let north = many(&|pair| (pair.points[0].lat - 65.0).abs() < 0.1);
    let far = many(&|pair| pair.points[0].distance_km(&pair.points[1]) > 0.5);
    assert!(
        across >= 10 && coast >= 4 && kept >= 150 && north >= 150 && far >= 400,
        "{across} {coast} {kept} {north} {far}"
    );
}

fn first_other_row<'r>(one: &'r [String], other: &'r [String]) -> Option<(&'r String, &'r String)> {
    one.iter().zip(other).find(|(one, other)| one != other)
}

fn nothing_is_logged(pairs: &[Pair]) {
    let planted = LatLng { lat: 12.345_678_9, lng: -98.765_432_1 };
    tracing::info!(target: "sidebyside::planted", "{} {}", planted.lat, planted.lng);
    let points: Vec<LatLng> = pairs.iter().step_by(17).flat_map(|pair| pair.points).chain([planted]).collect();
    assert_eq!(traces::held(&logs::all(), &points), [planted]);
}

/// The negative control: the same answers, had the distance in a match been worked out from the exact point and rounded.
/// Gives how many pairs differ then.
fn the_comparer_catches(grain_km: f64, pairs: &[Pair], one: &[Transcript], other: &[Transcript], led: &[Led]) -> usize {
    let places: BTreeMap<&str, LatLng> = led
        .iter()
        .flat_map(|led| [&led.open, &led.other, &led.by_approval])
        .map(|run| {
            let point = &run.json["meeting_point"];
            let at = |name: &str| point[name].as_f64().expect("a meeting point");
            (run.id.as_str(), LatLng { lat: at("lat"), lng: at("lng") })
        })
        .collect();
    let leaking = |own: &Transcript, home: LatLng| -> Transcript {
        let leak = |entry: &Entry| {
            with_leak(entry, |body| {
                for item in body["items"].as_array_mut().into_iter().flatten() {
                    let Some(place) = item["run"]["id"].as_str().and_then(|id| places.get(id)) else { continue };
                    item["fit"]["distance_km"] = json!((home.distance_km(place) / grain_km).round() * grain_km);
                }
            })
        };
        Transcript(own.0.iter().map(leak).collect())
    };
    let told = pairs.iter().zip(one.iter().zip(other)).filter(|(pair, (one, other))| {
        !leaking(one, pair.points[0]).differences(&leaking(other, pair.points[1])).is_empty()
    });
    let told = told.count();
    assert!(told > PAIRS / 3, "an oracle that rounds to {grain_km} km tells only {told} pairs apart");
    told
}
