//! What somebody is on already: read with their side of matching, and read anew as soon as a run of theirs takes another
//! time or none.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{domain::matching::engagements::Engagements, id::Id};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

/// The engagements by which the lists of somebody are made now. The clock stands, so that what is kept of a person lasts
/// until it is forgotten.
async fn engagements(town: &Town, person: &Person) -> Engagements {
    person.get("/matches").await.expect(200);
    let claims = town.app().tokens.verify(&person.token().expect("a token"), town.now()).expect("claims");
    let known = town.app().runs.callers.get(claims.account, claims.session, town.now()).expect("somebody who is kept");
    known.viewer.as_ref().expect("a running profile").engagements.clone()
}

/// Whether the person is expected somewhere in the hour that begins at this time of 26 November.
async fn is_busy(town: &Town, person: &Person, hour: u32) -> bool {
    let at = |hour: u32| format!("2026-11-26T{hour:02}:00:00Z").parse().expect("a moment");
    engagements(town, person).await.overlap(Id::nil(), at(hour), at(hour + 1))
}

async fn edit(by: &Person, run: &Run, change: Value) {
    by.patch(&run.at(""), Some("*"), change).await.expect(200);
}

async fn steps_down(person: &Person, run: &Run) {
    person.delete(&run.at(&format!("/facilitators/{}", person.id))).await.expect(204);
}

#[apply(database_test!)]
async fn moved_run_takes_its_new_time_of_those_on_it_at_once(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let run = town.run(&fay, |_| {}).await;
    assert!(!is_busy(&town, &ana, 9).await);
    ana.joins(&run.id, "confirmed").await;
    assert!(is_busy(&town, &ana, 9).await && !is_busy(&town, &ana, 10).await);
    edit(&fay, &run, json!({ "duration_min": 90 })).await;
    assert!(is_busy(&town, &ana, 10).await, "it is longer");
    edit(&fay, &run, json!({ "starts_at": "2026-11-26T14:00:00Z" })).await;
    assert!(!is_busy(&town, &ana, 9).await && is_busy(&town, &ana, 14).await);
}

#[apply(database_test!)]
async fn matches_follow_a_moved_and_a_cancelled_run_at_once(town: Town) {
    town.leave_mail();
    let (fay, gil, ana) =
        (town.facilitator("Fay").await, town.facilitator("Gil").await, town.runner("Ana", |_| {}).await);
    let (own, other) = (town.run(&fay, |_| {}).await, town.run(&gil, |_| {}).await);
    let matched = async || {
        let items = ana.get("/matches").await.expect(200).items();
        items.iter().map(|item| item["run"]["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(matched().await.len(), 2);
    let seat = ana.joins(&own.id, "confirmed").await;
    assert!(matched().await.is_empty(), "one is hers and the other at its time");
    edit(&fay, &own, json!({ "starts_at": "2026-11-26T14:00:00Z" })).await;
    assert_eq!(matched().await, [other.id.as_str()]);
    edit(&gil, &other, json!({ "starts_at": "2026-11-26T14:30:00Z" })).await;
    assert!(matched().await.is_empty());
    edit(&fay, &own, json!({ "duration_min": 30 })).await;
    assert_eq!(matched().await, [other.id.as_str()], "one begins when the other ends");
    edit(&gil, &other, json!({ "starts_at": "2026-11-26T14:10:00Z" })).await;
    assert!(matched().await.is_empty());
    fay.post(&own.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    assert_eq!(matched().await, [other.id.as_str()]);
    assert_eq!(ana.seat(&seat).await, "confirmed", "of a run that is off");
}

#[apply(database_test!)]
async fn cancelled_run_frees_those_on_it_at_once(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let (first, second) = (town.run(&fay, |_| {}).await, town.run(&fay, |run| run["capacity"] = json!(2)).await);
    ana.joins(&first.id, "confirmed").await;
    assert!(is_busy(&town, &ana, 9).await);
    fay.post(&first.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    assert!(!is_busy(&town, &ana, 9).await);
    let seat = ana.joins(&second.id, "confirmed").await;
    assert!(is_busy(&town, &ana, 9).await);
    ana.withdraws(&seat).await;
    assert!(!is_busy(&town, &ana, 9).await && engagements(&town, &ana).await == Engagements::default());
}

#[apply(database_test!)]
async fn run_on_hold_goes_on_taking_the_time(town: Town) {
    town.leave_mail();
    let (fay, gil, ana) =
        (town.facilitator("Fay").await, town.facilitator("Gil").await, town.runner("Ana", |_| {}).await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    steps_down(&fay, &run).await;
    assert!(is_busy(&town, &ana, 9).await, "it may go on at any moment");
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    assert!(is_busy(&town, &ana, 9).await);
}

#[apply(database_test!)]
async fn waiting_and_asking_are_known_and_take_no_time(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let full = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let asks = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let held = town.person("Ben").await.joins(&full.id, "confirmed").await;
    let waiting = ana.joins(&full.id, "waitlisted").await;
    let request = ana.joins(&asks.id, "requested").await;
    let known = async |run: &Run| {
        let found = engagements(&town, &ana).await.signup_for(run.id.parse().expect("an id"));
        found.map(|(signup, status)| (signup.to_string(), serde_json::to_value(status).expect("a word")))
    };
    assert_eq!(known(&full).await, Some((waiting.clone(), json!("waitlisted"))));
    assert_eq!(known(&asks).await, Some((request.clone(), json!("requested"))));
    assert!(!is_busy(&town, &ana, 9).await);
    fay.post(&format!("/signups/{held}/remove"), json!({ "reason_code": "not_a_fit", "private_note": "n" }))
        .await
        .expect(200);
    assert_eq!(known(&full).await, Some((waiting, json!("offered"))));
    assert!(!is_busy(&town, &ana, 9).await, "nobody has said yes yet");
    fay.post(&format!("/signups/{request}/approve"), json!({})).await.expect(200);
    assert_eq!(known(&asks).await, Some((request, json!("confirmed"))));
    assert!(is_busy(&town, &ana, 9).await);
}

#[apply(database_test!)]
async fn leading_and_staying_with_the_last_take_the_time(town: Town) {
    town.leave_mail();
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let home = json!({ "activities": ["run"], "home": { "lat": 51.415, "lng": -0.33 } });
    for person in [&fay, &gil] {
        person.put("/me/running-profile", home.clone()).await.expect(200);
    }
    let run = town.run(&fay, |run| run["draft"] = json!(true)).await;
    assert!(!is_busy(&town, &fay, 9).await, "a draft is nobody's appointment");
    edit(&fay, &run, json!({ "draft": false })).await;
    assert!(is_busy(&town, &fay, 9).await);
    let listing = json!({ "account_id": gil.id, "role": "back_marker" });
    fay.post(&run.at("/facilitators"), listing.clone()).await.expect(201);
    assert!(!is_busy(&town, &gil, 9).await, "he was asked");
    gil.post(&run.at("/facilitators"), listing).await.expect(200);
    assert!(is_busy(&town, &gil, 9).await);
    edit(&fay, &run, json!({ "starts_at": "2026-11-26T14:00:00Z" })).await;
    assert!(!is_busy(&town, &gil, 9).await && is_busy(&town, &gil, 14).await && is_busy(&town, &fay, 14).await);
    steps_down(&gil, &run).await;
    assert!(!is_busy(&town, &gil, 14).await);
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    assert!(!is_busy(&town, &fay, 14).await);
}

#[apply(database_test!)]
async fn moved_series_takes_the_new_time_of_its_dates_at_once(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let mut run = town.run_body();
    run.as_object_mut().expect("an object").remove("starts_at");
    let body = json!({ "run": run, "first_local_start": "2026-11-26T09:00:00", "rrule": "FREQ=WEEKLY" });
    let series = fay.post("/run-series", body).await.expect(201);
    let date = series.json["dates"][0]["run_id"].as_str().expect("a run").to_owned();
    ana.joins(&date, "confirmed").await;
    assert!(is_busy(&town, &ana, 9).await);
    let path = format!("/run-series/{}", series.id());
    fay.patch(&path, Some("*"), json!({ "first_local_start": "2026-11-26T14:00:00" })).await.expect(200);
    assert!(!is_busy(&town, &ana, 9).await && is_busy(&town, &ana, 14).await);
}

#[apply(database_test!)]
async fn run_under_way_takes_the_time_until_it_ends(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-26T09:59:59Z");
    assert!(is_busy(&town, &ana, 9).await);
    town.set_clock("2026-11-26T10:00:00Z");
    // What is kept of her from a second ago may hold it still: no run to come lies at that time.
    ana.put("/me/running-profile", json!({ "activities": ["run"], "travel_radius_km": 9.0 })).await.expect(200);
    assert!(engagements(&town, &ana).await == Engagements::default());
}

#[apply(database_test!)]
async fn lists_and_matches_name_the_series_of_a_run(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let mut run = town.run_body();
    run.as_object_mut().expect("an object").remove("starts_at");
    let body = json!({ "run": run, "first_local_start": "2026-11-26T09:00:00", "rrule": "FREQ=WEEKLY;COUNT=1" });
    let series = fay.post("/run-series", body).await.expect(201);
    let date = series.json["dates"][0]["run_id"].as_str().expect("a run").to_owned();
    let alone = town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    let of = |cards: Vec<Value>, id: &str| {
        let found = cards.into_iter().find(|card| card["id"] == id);
        found.and_then(|card| card.get("series_id").cloned()).unwrap_or_else(|| panic!("no series_id on {id}"))
    };
    let listed = town.nobody().get("/runs").await.expect(200).items();
    let matched = ana.get("/matches").await.expect(200).items().iter().map(|item| item["run"].clone()).collect();
    ana.joins(&date, "confirmed").await;
    ana.joins(&alone.id, "confirmed").await;
    let mine = ana.get("/me/signups").await.expect(200).items().iter().map(|item| item["run"].clone()).collect();
    for cards in [listed, matched, mine] {
        assert_eq!(of(cards.clone(), &date), json!(series.id()));
        assert_eq!(of(cards, &alone.id), Value::Null);
    }
    for (run, wanted) in [(&date, json!(series.id())), (&alone.id, Value::Null)] {
        let shown = town.nobody().get(&format!("/runs/{run}")).await.expect(200);
        assert_eq!(shown.json["series_id"], wanted);
    }
}
