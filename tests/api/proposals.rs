//! What is proposed to somebody and what is not: hours, own runs, series, the floor, later runs, and advice for a short list.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Run, Town},
    support::database_test::database_test,
};

const HOURS_OF_THURSDAY: &str = r#"[{"weekday":"thu","from":"08:30","to":"11:00"}]"#;

/// A run by somebody of its own, on this day and hour of November or December, so many kilometres north of the usual place.
async fn run_at(town: &Town, start: &str, north_km: f64, change: impl FnOnce(&mut Value)) -> Run {
    let leader = town.facilitator("Fay").await;
    town.run(&leader, |run| {
        run["starts_at"] = json!(start);
        run["meeting_point"]["lat"] = json!(51.410992 + north_km / 111.2);
        change(run);
    })
    .await
}

async fn matched(person: &Person, query: &str) -> Answer {
    person.get(&format!("/matches{query}")).await.expect(200)
}

fn ids(answer: &Answer) -> Vec<String> {
    answer.items().iter().map(|item| item["run"]["id"].as_str().expect("an id").to_owned()).collect()
}

/// The advice of an answer by the preference that is dropped; the pointer to match requests has none.
fn advice(answer: &Answer, drop: &str) -> Option<Value> {
    let all = answer.json["advice"].as_array().expect("advice");
    all.iter().find(|piece| piece["drop"] == drop).cloned()
}

fn codes(explained: &Answer, list: &str) -> Vec<String> {
    let list = explained.json["explanation"][list].as_array().expect("a list");
    list.iter().map(|one| one["code"].as_str().expect("a code").to_owned()).collect()
}

async fn with_hours(town: &Town, hours: &str) -> Person {
    let hours: Value = serde_json::from_str(hours).expect("hours");
    town.runner("Ana", |profile| profile["availability"] = hours).await
}

#[apply(database_test!)]
async fn runs_outside_the_hours_stand_apart_and_marked(town: Town) {
    let evening = run_at(&town, "2026-11-26T18:00:00Z", 0.0, |_| {}).await;
    let inside = run_at(&town, "2026-11-26T09:00:00Z", 4.0, |_| {}).await;
    let hardly = run_at(&town, "2026-11-26T10:30:00Z", 0.0, |_| {}).await;
    let ana = with_hours(&town, HOURS_OF_THURSDAY).await;
    let answer = matched(&ana, "").await;
    let marks: Vec<bool> = answer.items().iter().map(|item| item["outside_hours"] == true).collect();
    assert_eq!(ids(&answer)[0], inside.id, "although the others are nearer");
    assert_eq!(marks, [false, true, true]);
    assert_eq!(ids(&matched(&ana, "?limit=1").await), [inside.id.as_str()]);
    let hours = advice(&answer, "hours").expect("advice about hours");
    assert_eq!(hours["count"], 3, "{hours}");
    let explained = matched(&ana, &format!("?explain={}", hardly.id)).await;
    assert_eq!(codes(&explained, "obstacles"), ["outside_your_hours"]);
    for start in ["2026-12-03T09:00:00Z", "2026-12-03T09:30:00Z"] {
        run_at(&town, start, 1.0, |_| {}).await;
    }
    let full = matched(&ana, "").await;
    assert_eq!(full.items().len(), 3, "three fit");
    assert!(!ids(&full).contains(&evening.id) && full.json["advice"].as_array().expect("advice").is_empty());
}

#[apply(database_test!)]
async fn what_somebody_is_on_is_not_proposed_unless_asked_for(town: Town) {
    town.leave_mail();
    let mine = run_at(&town, "2026-11-26T09:00:00Z", 0.0, |_| {}).await;
    let overlapping = run_at(&town, "2026-11-26T09:30:00Z", 1.0, |_| {}).await;
    let waiting = run_at(&town, "2026-11-27T09:00:00Z", 0.0, |run| run["capacity"] = json!(1)).await;
    let free = run_at(&town, "2026-11-28T09:00:00Z", 3.0, |_| {}).await;
    let ana = town.runner("Ana", |_| {}).await;
    ana.joins(&mine.id, "confirmed").await;
    town.person("Ben").await.joins(&waiting.id, "confirmed").await;
    ana.joins(&waiting.id, "waitlisted").await;
    assert_eq!(ids(&matched(&ana, "").await), [free.id.as_str()]);
    let with_mine = matched(&ana, "?include_mine=true").await;
    let marked: Vec<(String, String)> = with_mine
        .items()
        .iter()
        .map(|item| (item["run"]["id"].to_string(), item["viewer"]["status"].to_string()))
        .collect();
    let marks = |run: &Run, status: &str| marked.contains(&(format!("\"{}\"", run.id), status.to_owned()));
    assert!(marks(&mine, "\"confirmed\"") && marks(&waiting, "\"waitlisted\"") && marks(&free, "null"), "{marked:?}");
    let overlaps = ids(&matched(&ana, "?include_overlapping=true").await);
    assert!(overlaps.contains(&overlapping.id) && !overlaps.contains(&mine.id));
    let why = async |run: &Run| codes(&matched(&ana, &format!("?explain={}", run.id)).await, "obstacles");
    assert_eq!(why(&mine).await, ["you_are_on_it"]);
    assert_eq!(why(&waiting).await, ["you_are_on_it"]);
    assert_eq!(why(&overlapping).await, ["overlapping_run"]);
}

#[apply(database_test!)]
async fn series_stands_once_with_its_other_dates(town: Town) {
    let mut run = town.run_body();
    run.as_object_mut().expect("a run").remove("starts_at");
    let body = json!({ "run": run, "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=WEEKLY;BYDAY=TU" });
    let series = town.facilitator("Fay").await.post("/run-series", body).await.expect(201).id();
    let ana = town.runner("Ana", |_| {}).await;
    let answer = matched(&ana, "").await;
    assert_eq!(answer.items().len(), 1);
    let item = answer.items().remove(0);
    assert_eq!((&item["run"]["series_id"], &item["series"]["id"]), (&json!(series), &json!(series)));
    assert_eq!(item["run"]["local_start"], "2026-12-01T18:30:00", "the nearest of equal dates");
    let dates = item["series"]["next_dates"].as_array().expect("dates");
    assert_eq!(dates[0]["local_start"], "2026-12-08T18:30:00");
    assert!(dates.len() > 3 && dates[0]["run_id"].is_string() && dates[0]["starts_at"] == "2026-12-08T18:30:00Z");
    let until = matched(&ana, "?to=2026-12-10T00:00:00Z").await.items().remove(0);
    assert_eq!(until["series"]["next_dates"].as_array().expect("dates").len(), 1, "within the time asked about");
    let listed = ana.get("/runs").await.expect(200).items().remove(0);
    assert_eq!(listed["series_id"], json!(series));
}

#[apply(database_test!)]
async fn search_goes_on_until_three_fit_where_no_end_is_asked(town: Town) {
    for start in ["2026-12-15T09:00:00Z", "2026-12-22T09:00:00Z", "2027-01-05T09:00:00Z", "2027-01-12T09:00:00Z"] {
        run_at(&town, start, 0.0, |_| {}).await;
    }
    let later = run_at(&town, "2027-01-13T09:00:00Z", 0.0, |_| {}).await;
    let ana = town.runner("Ana", |_| {}).await;
    let starts: Vec<String> =
        matched(&ana, "").await.items().iter().map(|item| item["run"]["starts_at"].to_string()).collect();
    let soonest = ["\"2026-12-15T09:00:00Z\"", "\"2026-12-22T09:00:00Z\"", "\"2027-01-05T09:00:00Z\""];
    assert_eq!(starts, soonest);
    let asked = matched(&ana, "?to=2026-12-17T00:00:00Z").await;
    assert_eq!(asked.items().len(), 1);
    let window = advice(&asked, "window").expect("advice about the window");
    assert_eq!(window["count"], 5);
    assert_eq!(window["first"]["starts_at"], "2026-12-22T09:00:00Z");
    let explained = matched(&ana, &format!("?explain={}", later.id)).await;
    assert!(explained.json["explanation"]["fit"].is_object() && codes(&explained, "obstacles").is_empty());
    assert_eq!(codes(&explained, "notes"), ["later_than_usual"]);
    let in_time = format!("?to=2026-12-17T00:00:00Z&explain={}", later.id);
    assert_eq!(codes(&matched(&ana, &in_time).await, "obstacles"), ["not_in_the_time_asked"]);
}

#[apply(database_test!)]
async fn far_pace_is_shown_only_when_asked_for(town: Town) {
    let pace = |fast: i32, slow: i32| json!({ "fastest_s_per_km": fast, "slowest_s_per_km": slow });
    let faster = run_at(&town, "2026-11-26T09:00:00Z", 0.0, |run| {
        (run["pace"], run["no_drop"]) = (pace(270, 300), json!(true));
    })
    .await;
    let slower = run_at(&town, "2026-11-27T09:00:00Z", 0.0, |run| run["pace"] = pace(560, 600)).await;
    let hopeless = run_at(&town, "2026-11-28T09:00:00Z", 0.0, |run| run["pace"] = pace(250, 280)).await;
    let ana = town.runner("Ana", |_| {}).await;
    let answer = matched(&ana, "").await;
    assert!(answer.items().is_empty());
    assert_eq!(advice(&answer, "pace").expect("advice about pace")["count"], 2);
    let any = ids(&matched(&ana, "?include_any_pace=true").await);
    assert!(any.contains(&faster.id) && any.contains(&slower.id) && !any.contains(&hopeless.id));
    for run in [&faster, &slower] {
        let explained = matched(&ana, &format!("?explain={}", run.id)).await;
        assert_eq!(codes(&explained, "obstacles"), ["far_from_your_pace"]);
    }
}

#[apply(database_test!)]
async fn short_list_says_what_there_would_be_otherwise(town: Town) {
    let near = run_at(&town, "2026-11-26T09:00:00Z", 4.0, |_| {}).await;
    let walk = run_at(&town, "2026-11-27T12:00:00Z", 0.0, |run| {
        run["activity"] = json!("walk");
        run["pace"] = json!({ "fastest_s_per_km": 700, "slowest_s_per_km": 780 });
    })
    .await;
    let ana = town
        .runner("Ana", |profile| {
            profile["travel_radius_km"] = json!(3.0);
            profile["activities"] = json!(["run"]);
        })
        .await;
    let answer = matched(&ana, "").await;
    assert!(answer.items().is_empty());
    let radius = advice(&answer, "radius").expect("advice about the radius");
    assert_eq!((&radius["count"], &radius["first"]["id"]), (&json!(1), &json!(near.id)));
    let step = "Up to 5 km from your area instead of 3 there would be one";
    assert!(radius["text"].as_str().expect("words").starts_with(step), "{radius}");
    assert!(
        radius["text"].as_str().expect("words").contains("Thursday 26 November at 09:00, about 3 km from your area"),
        "{radius}"
    );
    let activity = advice(&answer, "activity").expect("advice about the activity");
    assert_eq!(activity["first"]["id"], json!(walk.id));
    assert!(activity["text"].as_str().expect("words").starts_with("You asked only for runs."));
    let all = answer.json["advice"].as_array().expect("advice");
    let last = all.last().expect("the pointer");
    assert!(last["drop"].is_null() && last["text"].as_str().expect("words").contains("POST /v1/match-requests"));
    assert_eq!(all.len(), 3, "nothing else would change anything: {all:?}");
}

#[apply(database_test!)]
async fn contradiction_of_daylight_and_evening_hours_is_named(town: Town) {
    run_at(&town, "2026-11-26T19:00:00Z", 0.0, |_| {}).await;
    let evenings = json!([{ "weekday": "thu", "from": "18:30", "to": "21:00" }]);
    let ana = town
        .runner("Ana", |profile| {
            profile["availability"] = evenings;
            profile["not_after_dark"] = json!(true);
        })
        .await;
    let answer = matched(&ana, "").await;
    assert!(answer.items().is_empty());
    let daylight = advice(&answer, "daylight").expect("advice about daylight");
    assert_eq!(daylight["count"], 1);
    assert!(daylight["text"].as_str().expect("words").contains("dark in all the hours you gave"), "{daylight}");
}

#[apply(database_test!)]
async fn explanation_names_every_cause_but_no_block_beside_another(town: Town) {
    let run = run_at(&town, "2026-12-20T19:00:00Z", 30.0, |_| {}).await;
    let ana = town
        .runner("Ana", |profile| {
            profile["not_after_dark"] = json!(true);
            profile["availability"] = serde_json::from_str(HOURS_OF_THURSDAY).expect("hours");
        })
        .await;
    let why = async || codes(&matched(&ana, &format!("?explain={}", run.id)).await, "obstacles");
    let causes = ["too_far", "after_dark", "outside_your_hours"];
    assert_eq!(why().await, causes);
    let leader = run.json["facilitators"][0]["id"].as_str().expect("a leader");
    ana.post("/blocks", json!({ "account_id": leader })).await.expect(202);
    assert_eq!(why().await, causes, "the block is not told beside them");
}

#[apply(database_test!)]
async fn nonsense_in_the_question_is_refused_by_name(town: Town) {
    let ana = town.runner("Ana", |_| {}).await;
    let nonsense = "/matches?include_mine=perhaps&include_overlapping=1.5&include_any_pace=&include_outside_hours=true";
    ana.get(nonsense).await.faulty(&[
        "?include_any_pace wrong_type",
        "?include_mine wrong_type",
        "?include_overlapping wrong_type",
        "?include_outside_hours unknown_field",
    ]);
}
