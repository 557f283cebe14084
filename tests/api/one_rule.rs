//! Alerts and mails that name other runs go by the rules of matches: nothing at the time of what somebody is on, nothing that
//! does not fit them, and each series once.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Letter, Person, Run, Town},
    support::database_test::database_test,
};

/// Longer than what is found is gathered.
const GATHERED_MIN: i64 = 31;

/// Somebody whom the usual run fits, and who is told of what fits them.
async fn wishing(town: &Town, name: &str) -> Person {
    let person = town.runner(name, |_| {}).await;
    person.post("/match-requests", json!({})).await.expect(201);
    person
}

async fn alerts_to(town: &Town, person: &Person) -> Vec<Letter> {
    town.work().await;
    town.minutes_pass(GATHERED_MIN);
    let letters = town.post_office().await.into_iter();
    letters.filter(|letter| letter.to == person.email && letter.header("X-Mail-Kind") == "runs_found").collect()
}

fn names(letter: &Letter, run: &str) -> bool {
    letter.text.contains(&format!("/v1/runs/{run}"))
}

/// The usual run, at this time of day and month.
async fn at(town: &Town, by: &Person, start: &str) -> Run {
    town.run(by, |run| run["starts_at"] = json!(format!("2026-{start}:00Z"))).await
}

/// A weekly series from this local time on; the runs that are its dates.
async fn weekly(town: &Town, by: &Person, first: &str, count: usize) -> Vec<String> {
    let mut run = town.run_body();
    run.as_object_mut().expect("an object").remove("starts_at");
    let rule = format!("FREQ=WEEKLY;COUNT={count}");
    let body = json!({ "run": run, "first_local_start": format!("2026-{first}:00"), "rrule": rule });
    let series = by.post("/run-series", body).await.expect(201);
    let dates: Vec<Value> = series.json["dates"].as_array().expect("dates").clone();
    assert_eq!(dates.len(), count, "{}", series.text);
    dates.iter().map(|date| date["run_id"].as_str().expect("a run").to_owned()).collect()
}

async fn calls_off(by: &Person, run: &Run) {
    by.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
}

#[apply(database_test!)]
async fn nobody_is_alerted_of_a_run_at_the_time_of_their_own(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let own = at(&town, &fay, "12-03T09:00").await;
    let ana = wishing(&town, "Ana").await;
    ana.joins(&own.id, "confirmed").await;
    // She leads one as well.
    let hal = town.facilitator("Hal").await;
    let led = at(&town, &hal, "12-04T09:00").await;
    let profile = json!({ "activities": ["run"], "home": { "lat": 51.415, "lng": -0.33 },
        "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 } });
    hal.put("/me/running-profile", profile).await.expect(200);
    hal.post("/match-requests", json!({})).await.expect(201);
    alerts_to(&town, &ana).await;
    town.hours_pass(25);
    at(&town, &gil, "12-03T09:59").await;
    at(&town, &gil, "12-04T08:01").await;
    town.work().await;
    town.minutes_pass(GATHERED_MIN);
    let letters: Vec<Letter> = town.post_office().await;
    let to = |person: &Person| letters.iter().find(|letter| letter.to == person.email);
    assert!(to(&ana).is_some_and(|letter| letter.subject.contains("4 December")), "the one on which she is free");
    assert!(to(&hal).is_some_and(|letter| letter.subject.contains("3 December")), "the one that he can come to");
    assert!(to(&ana).is_some_and(|letter| !names(letter, &led.id)), "told before");
    assert_eq!(town.rows("match_alerts"), 4, "the two of before, and these");
}

#[apply(database_test!)]
async fn place_taken_before_the_mail_keeps_what_overlaps_out(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = wishing(&town, "Ana").await;
    let found = at(&town, &fay, "12-03T09:00").await;
    town.work().await;
    assert_eq!(town.rows("match_alerts"), 1);
    let taken = at(&town, &gil, "12-03T09:30").await;
    let seat = ana.joins(&taken.id, "confirmed").await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "she has something else at that time");
    assert_eq!(town.rows("match_alerts"), 0, "and was never told of it");
    ana.withdraws(&seat).await;
    fay.patch(&found.at(""), Some("*"), json!({ "title": "Another title" })).await.expect(200);
    let letters = alerts_to(&town, &ana).await;
    assert!(letters.len() == 1 && names(&letters[0], &found.id), "now she can come");
}

#[apply(database_test!)]
async fn nobody_is_told_of_a_run_outside_their_hours(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let lost = town.run(&gil, |_| {}).await;
    let mornings = json!([{ "weekday": "thu", "from": "09:30", "to": "11:00" }]);
    let ana = town.runner("Ana", |profile| profile["availability"] = mornings).await;
    ana.post("/match-requests", json!({})).await.expect(201);
    ana.joins(&lost.id, "confirmed").await;
    let half = at(&town, &fay, "12-03T09:00").await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "she is free for the second half of it");
    let whole = at(&town, &fay, "12-10T09:30").await;
    let letters = alerts_to(&town, &ana).await;
    assert!(letters.len() == 1 && names(&letters[0], &whole.id) && !names(&letters[0], &half.id));
    calls_off(&gil, &lost).await;
    let letter = town.one_mail_to(&ana.email).await;
    assert!(names(&letter, &whole.id) && !names(&letter, &half.id), "{}", letter.text);
}

#[apply(database_test!)]
async fn waiting_for_a_place_keeps_no_alert_away(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let full = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    town.person("Ben").await.joins(&full.id, "confirmed").await;
    let ana = wishing(&town, "Ana").await;
    ana.joins(&full.id, "waitlisted").await;
    let same_time = town.run(&gil, |_| {}).await;
    let letters = alerts_to(&town, &ana).await;
    assert!(letters.len() == 1 && names(&letters[0], &same_time.id));
}

#[apply(database_test!)]
async fn busy_people_leave_their_turn_to_others(town: Town) {
    let town = town.with(&[("toml", "[policy]\nalerts_per_place = 1")]);
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let own = town.run(&fay, |_| {}).await;
    let ana = wishing(&town, "Ana").await;
    ana.joins(&own.id, "confirmed").await;
    let ben = town.runner("Ben", |profile| profile["home"] = json!({ "lat": 51.43, "lng": -0.33 })).await;
    ben.post("/match-requests", json!({})).await.expect(201);
    town.post_office().await;
    let run = town.run(&gil, |run| run["capacity"] = json!(1)).await;
    let letters = alerts_to(&town, &ben).await;
    assert!(letters.len() == 1 && names(&letters[0], &run.id), "she lives nearer, and cannot come");
}

#[apply(database_test!)]
async fn series_is_one_entry_of_a_mail_with_its_nearest_date(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = wishing(&town, "Ana").await;
    let dates = weekly(&town, &fay, "12-08T09:00", 3).await;
    let alone = at(&town, &gil, "12-20T09:00").await;
    let letters = alerts_to(&town, &ana).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert!(names(letter, &dates[0]) && names(letter, &alone.id), "{}", letter.text);
    assert!(!names(letter, &dates[1]) && !names(letter, &dates[2]), "{}", letter.text);
    assert_eq!(letter.text.matches("2 later dates of this series suit you as well.").count(), 1, "{}", letter.text);
    assert_eq!(letter.subject, "4 dates that suit you");
    assert_eq!(town.rows("match_alerts"), 4, "all of them are told");
    for run in dates.iter().map(String::as_str).chain([alone.id.as_str()]) {
        let by = if run == alone.id { &gil } else { &fay };
        by.patch(&format!("/runs/{run}"), Some("*"), json!({ "title": "Another title" })).await.expect(200);
    }
    town.hours_pass(25);
    assert!(alerts_to(&town, &ana).await.is_empty(), "each date is told once, also one that was only counted");
}

#[apply(database_test!)]
async fn series_is_told_by_the_nearest_date_with_time_for_it(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = wishing(&town, "Ana").await;
    let own = at(&town, &gil, "12-08T09:30").await;
    ana.joins(&own.id, "confirmed").await;
    let dates = weekly(&town, &fay, "12-08T09:00", 3).await;
    let letters = alerts_to(&town, &ana).await;
    assert!(letters.len() == 1 && names(&letters[0], &dates[1]) && !names(&letters[0], &dates[0]));
    assert!(letters[0].text.contains("One later date of this series suits you as well."), "{}", letters[0].text);
}

/// What else there is around a run that Ana and Ben lose, by whether it is for somebody who had chosen that.
struct Around {
    lost: Run,
    fitting: Vec<String>,
    unfit: Vec<String>,
}

async fn around(town: &Town, people: &[&Person]) -> Around {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let lost = town.run(&fay, |run| run["languages"] = json!(["en"])).await;
    let own = at(town, &gil, "11-28T09:00").await;
    for person in people {
        person.joins(&lost.id, "confirmed").await;
        person.joins(&own.id, "confirmed").await;
    }
    let near = at(town, &gil, "11-29T09:00").await;
    let dates = weekly(town, &fay, "12-01T09:00", 4).await;
    let on_day = |run: &mut Value, day: u32| run["starts_at"] = json!(format!("2026-12-{day:02}T14:00:00Z"));
    let mut unfit = vec![own.id, dates[1].clone(), dates[2].clone(), dates[3].clone()];
    unfit.push(at(town, &fay, "11-28T09:30").await.id);
    for (day, field, value) in [
        (2, "pace", json!({ "fastest_s_per_km": 240, "slowest_s_per_km": 260 })),
        (3, "languages", json!(["de"])),
        (4, "meeting_point", json!({ "lat": 52.5, "lng": -0.335791, "name": "Far away" })),
        (5, "activity", json!("walk")),
    ] {
        let change = |run: &mut Value| {
            on_day(run, day);
            run[field] = value;
        };
        unfit.push(town.run(&gil, change).await.id);
    }
    Around { lost, fitting: vec![near.id, dates[0].clone()], unfit }
}

fn names_what_fits(letter: &Letter, around: &Around) {
    assert!(letter.text.contains("These fit you and have places"), "{}", letter.text);
    for run in &around.fitting {
        assert!(names(letter, run), "{run} fits and is not named:\n{}", letter.text);
    }
    for run in &around.unfit {
        assert!(!names(letter, run), "{run} does not fit and is named:\n{}", letter.text);
    }
}

#[apply(database_test!)]
async fn mail_about_a_cancelled_run_names_only_fitting_ones(town: Town) {
    let ana = town.person("Ana").await;
    let ben = town.runner("Ben", |profile| {
        profile["activities"] = json!(["run"]);
        profile["languages"] = json!(["en"]);
    });
    let ben = ben.await;
    let around = around(&town, &[&ana, &ben]).await;
    town.post_office().await;
    let fay = town.moderator("Mo").await;
    calls_off(&fay, &around.lost).await;
    let letters = town.post_office().await;
    // Without a running profile the run that she had chosen says what she wants.
    for person in [&ana, &ben] {
        let letter = letters.iter().find(|letter| letter.to == person.email).expect("a mail");
        names_what_fits(letter, &around);
    }
}

#[apply(database_test!)]
async fn mail_about_a_declined_request_names_what_fits(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let other = at(&town, &gil, "11-28T09:00").await;
    let mut told = Vec::new();
    for reason in ["not_a_fit", "safety"] {
        let ana = town.person("Ana").await;
        let seat = ana.joins(&run.id, "requested").await;
        let why = json!({ "reason_code": reason, "private_note": "n" });
        fay.post(&format!("/signups/{seat}/decline"), why).await.expect(200);
        told.push(town.one_mail_to(&ana.email).await);
    }
    for letter in &told {
        assert!(names(letter, &other.id) && letter.text.contains("These fit you and have places"), "{}", letter.text);
        assert!(!letter.text.contains(&format!("/v1/runs/{}", run.id)), "{}", letter.text);
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn later_runs_are_named_where_the_days_to_come_have_few(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (lost, also_lost) = (town.run(&fay, |_| {}).await, at(&town, &fay, "11-27T09:00").await);
    let ana = town.person("Ana").await;
    let later = at(&town, &gil, "12-20T09:00").await;
    for run in [&lost, &also_lost] {
        ana.joins(&run.id, "confirmed").await;
    }
    town.post_office().await;
    calls_off(&fay, &lost).await;
    let letter = town.one_mail_to(&ana.email).await;
    assert!(names(&letter, &later.id), "nothing is left in the days to come: {}", letter.text);
    for day in [1, 2, 3] {
        at(&town, &gil, &format!("12-0{day}T14:00")).await;
    }
    calls_off(&fay, &also_lost).await;
    let letter = town.one_mail_to(&ana.email).await;
    assert!(
        letter.text.matches("/v1/runs/").count() >= 3 && !names(&letter, &later.id),
        "sooner ones: {}",
        letter.text
    );
}
