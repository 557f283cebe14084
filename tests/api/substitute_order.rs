//! Substitutes are called in the order in which the run suits them, and nobody is who is expected elsewhere.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Letter, Person, Run, Town},
    support::database_test::database_test,
};

const MOST_AT_ONCE: usize = 50;

fn is_called(letters: &[Letter], person: &Person) -> bool {
    letters.iter().any(|letter| letter.to == person.email && letter.header("X-Mail-Kind") == "substitute_wanted")
}

/// An approved facilitator whom the usual run suits, so many degrees north of it, as `change` leaves the profile.
async fn living(town: &Town, name: &str, north: f64, change: impl FnOnce(&mut Value)) -> Person {
    let person = town.facilitator(name).await;
    let mut profile = json!({ "activities": ["run"], "home": { "lat": 51.411 + north, "lng": -0.3358 },
        "travel_radius_km": 20.0, "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 } });
    change(&mut profile);
    person.put("/me/running-profile", profile).await.expect(200);
    person
}

async fn steps_down(person: &Person, run: &Run) {
    person.delete(&run.at(&format!("/facilitators/{}", person.id))).await.expect(204);
}

async fn all_mail(town: &Town) -> Vec<Letter> {
    let mut letters = Vec::new();
    while town.rows("outbox WHERE status = 'queued' AND kind = 'substitute_wanted'") > 0 {
        letters.extend(town.post_office().await);
    }
    letters
}

#[apply(database_test!)]
async fn those_whom_the_run_suits_are_called_before_the_nearest(town: Town) {
    let fay = town.facilitator("Fay").await;
    // She has no running profile and led a run nearby lately.
    let lately = town.facilitator("Lately").await;
    town.run(&lately, |run| run["starts_at"] = json!("2026-11-23T11:00:00Z")).await;
    town.set_clock("2026-11-23T14:00:00Z");
    let too_fast = living(&town, "Slow", 0.0, |profile| {
        profile["comfortable_pace"] = json!({ "fastest_s_per_km": 480, "slowest_s_per_km": 540 });
    });
    let no_pace = living(&town, "Unsure", 0.09, |profile| profile["comfortable_pace"] = Value::Null);
    let other_kind = living(&town, "Walker", 0.001, |profile| profile["activities"] = json!(["walk"]));
    let evenings = json!([{ "weekday": "thu", "from": "18:00", "to": "21:00" }]);
    let other_hours = living(&town, "Evening", 0.002, |profile| profile["availability"] = evenings);
    let (too_fast, no_pace, other_kind) = (too_fast.await, no_pace.await, other_kind.await);
    let other_hours = other_hours.await;
    let mut fitting = Vec::new();
    for _ in 0..MOST_AT_ONCE - 2 {
        fitting.push(living(&town, "Fits", 0.05, |_| {}).await);
    }
    let run = town.run(&fay, |_| {}).await;
    town.person("Ana").await.joins(&run.id, "confirmed").await;
    town.post_office().await;
    steps_down(&fay, &run).await;
    let letters = all_mail(&town).await;
    for person in fitting.iter().chain([&lately, &no_pace]) {
        assert!(is_called(&letters, person), "{}", person.email);
    }
    for person in [&too_fast, &other_kind, &other_hours] {
        assert!(!is_called(&letters, person), "{} lives nearer, and the run does not suit them", person.email);
    }
    let admin = town.admin().await;
    for person in &fitting[..2] {
        let hold = json!({ "account_id": person.id, "kind": "hold", "rule": "r", "statement": "s" });
        admin.post("/moderation/sanctions", hold).await.expect(201);
    }
    fitting[2].post(&run.at("/take-over"), json!({})).await.expect(200);
    town.post_office().await;
    town.minutes_pass(1);
    steps_down(&fitting[2], &run).await;
    let letters = all_mail(&town).await;
    for person in fitting[3..].iter().chain([&lately, &no_pace, &too_fast, &other_kind, &other_hours]) {
        assert!(is_called(&letters, person), "{}: all are called where there are no more of them", person.email);
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_has_a_place_elsewhere_at_that_time_is_not_called(town: Town) {
    let (fay, hal) = (town.facilitator("Fay").await, town.facilitator("Hal").await);
    let (busy, free) = (living(&town, "Busy", 0.01, |_| {}).await, living(&town, "Free", 0.01, |_| {}).await);
    let (leads_near, waits) = (living(&town, "Near", 0.01, |_| {}).await, living(&town, "Waits", 0.01, |_| {}).await);
    let other = town.run(&hal, |run| run["starts_at"] = json!("2026-11-26T09:30:00Z")).await;
    let full = town.run(&hal, |run| run["capacity"] = json!(1)).await;
    let tomorrow = town.run(&hal, |run| run["starts_at"] = json!("2026-11-27T09:30:00Z")).await;
    let seat = busy.joins(&other.id, "confirmed").await;
    free.joins(&tomorrow.id, "confirmed").await;
    town.person("Ben").await.joins(&full.id, "confirmed").await;
    waits.joins(&full.id, "waitlisted").await;
    town.run(&leads_near, |_| {}).await;
    let run = town.run(&fay, |_| {}).await;
    town.person("Ana").await.joins(&run.id, "confirmed").await;
    town.post_office().await;
    steps_down(&fay, &run).await;
    let letters = town.post_office().await;
    for (person, wanted) in [(&busy, false), (&free, true), (&waits, true), (&leads_near, true), (&hal, false)] {
        assert_eq!(is_called(&letters, person), wanted, "{}", person.email);
    }
    let refused = busy.post(&run.at("/take-over"), json!({})).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_signup_id"], json!(seat));
    town.leave_mail();
}

#[apply(database_test!)]
async fn helper_who_is_elsewhere_hears_what_stands_against_it(town: Town) {
    let town = town.with(&[("toml", "[policy]\nfacilitator_ratio = 2")]);
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (busy, hal) = (living(&town, "Busy", 0.01, |_| {}).await, living(&town, "Hal", 0.01, |_| {}).await);
    let run = town.run(&fay, |_| {}).await;
    let listing = json!({ "account_id": gil.id });
    fay.post(&run.at("/facilitators"), listing.clone()).await.expect(201);
    gil.post(&run.at("/facilitators"), listing).await.expect(200);
    for person in town.people("Pat", 3).await {
        person.joins(&run.id, "confirmed").await;
    }
    let other = town.run(&town.facilitator("Ida").await, |_| {}).await;
    let seat = busy.joins(&other.id, "confirmed").await;
    town.post_office().await;
    steps_down(&gil, &run).await;
    let letters = town.post_office().await;
    assert!(is_called(&letters, &hal) && !is_called(&letters, &busy));
    busy.post(&run.at("/take-over"), json!({})).await.refused(409, "overlapping_run");
    busy.withdraws(&seat).await;
    busy.post(&run.at("/take-over"), json!({})).await.expect(200);
    town.leave_mail();
}
