//! Matches: ranked for the caller, explained in words, closed where somebody may not come.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

async fn matched(person: &Person, query: &str) -> Vec<String> {
    let items = person.get(&format!("/matches{query}")).await.expect(200).items();
    items.iter().map(|item| item["run"]["id"].as_str().unwrap().to_owned()).collect()
}

async fn obstacles(person: &Person, run: &Run) -> Vec<String> {
    let why = person.get(&format!("/matches?explain={}", run.id)).await.expect(200);
    let obstacles = why.json["explanation"]["obstacles"].as_array().unwrap().clone();
    obstacles.iter().map(|obstacle| obstacle["code"].as_str().unwrap().to_owned()).collect()
}

/// How well a run among somebody's matches fits them.
async fn fit(person: &Person, run: &Run) -> Value {
    let items = person.get("/matches").await.expect(200).items();
    let item = items.iter().find(|item| item["run"]["id"] == run.id.as_str());
    item.unwrap_or_else(|| panic!("{} is no match", run.id))["fit"].clone()
}

#[apply(database_test!)]
async fn the_run_at_ones_pace_comes_before_the_faster_one(town: Town) {
    let fay = town.facilitator("Fay").await;
    let fits = town.run(&fay, |_| {}).await;
    let faster = town.run(&fay, |run| run["pace"] = json!({ "fastest_s_per_km": 330, "slowest_s_per_km": 362 })).await;
    let slower = town.run(&fay, |run| run["pace"] = json!({ "fastest_s_per_km": 414, "slowest_s_per_km": 455 })).await;
    let ana = town.runner("Ana", |_| {}).await;
    let ranked = matched(&ana, "").await;
    assert_eq!(ranked[0], fits.id);
    let at = |id: &str| ranked.iter().position(|one| one == id).unwrap_or(usize::MAX);
    assert!(at(&slower.id) < at(&faster.id) || at(&faster.id) == usize::MAX, "{ranked:?}");
    assert_eq!(matched(&ana, "?limit=1").await, [fits.id]);
}

#[apply(database_test!)]
async fn what_cannot_fit_is_not_shown_and_explained_instead(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let far =
        town.run(&gil, |run| run["meeting_point"] = json!({ "lat": 51.75, "lng": -1.25, "name": "Oxford" })).await;
    let dark = town.run(&fay, |run| run["starts_at"] = json!("2026-11-26T19:00:00Z")).await;
    let fine = town.run(&fay, |run| run["access"] = json!({ "step_free": "yes" })).await;
    let ana = town
        .runner("Ana", |profile| {
            profile["not_after_dark"] = json!(true);
            profile["access_needs"] = json!(["step_free"]);
        })
        .await;
    assert_eq!(matched(&ana, "").await, [fine.id.as_str()]);
    let explain = async |id: &str| {
        let answer = ana.get(&format!("/matches?explain={id}")).await.expect(200);
        assert!(answer.items().is_empty());
        answer.json["explanation"].clone()
    };
    let good = explain(&fine.id).await;
    assert!(good["fit"]["score"].as_f64().unwrap() > 0.0 && good["obstacles"].as_array().unwrap().is_empty());
    for run in [&far, &dark] {
        let why = explain(&run.id).await;
        assert!(why["fit"].is_null() && !why["obstacles"].as_array().unwrap().is_empty(), "{why}");
        assert!(why["obstacles"][0]["text"].as_str().unwrap().len() > 10);
    }
    ana.get("/matches?explain=00000000-0000-4000-8000-000000000000").await.refused(404, "not_found");
    ana.get("/matches?explain=x&limit=0&from=soon").await.faulty(&[
        "?explain bad_format",
        "?limit too_small",
        "?from bad_format",
    ]);
}

#[apply(database_test!)]
async fn a_run_that_bars_me_is_only_said_to_be_not_open_to_me(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.runner("Ana", |_| {}).await;
    assert_eq!(matched(&ana, "").await.len(), 1);
    let bar = json!({
        "account_id": ana.id, "until": "2026-12-30T00:00:00Z", "reason_code": "safety", "private_note": "Secret words.",
    });
    fay.post("/me/bars", bar).await.expect(201);
    assert!(matched(&ana, "").await.is_empty());
    let why = ana.get(&format!("/matches?explain={}", run.id)).await.expect(200);
    assert_eq!(why.json["explanation"]["obstacles"][0]["code"], "run_not_open_to_you");
    assert!(!why.text.contains("Secret words"));
    town.work().await;
}

#[apply(database_test!)]
async fn full_runs_are_shown_only_when_asked_for(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    town.person("Ben").await.joins(&run.id, "confirmed").await;
    let ana = town.runner("Ana", |_| {}).await;
    assert!(matched(&ana, "").await.is_empty());
    assert_eq!(matched(&ana, "?include_full=true").await, [run.id]);
    ana.get("/matches?include_full=perhaps").await.faulty(&["?include_full wrong_type"]);
    town.work().await;
}

#[apply(database_test!)]
async fn whoever_is_not_sure_of_a_pace_sees_walks_and_runs_that_leave_nobody_behind(town: Town) {
    let fay = town.facilitator("Fay").await;
    town.run(&fay, |_| {}).await;
    let patient = town.run(&fay, |run| run["no_drop"] = json!(true)).await.id;
    let walk = town
        .run(&fay, |run| {
            run["activity"] = json!("walk");
            run["pace"] = json!({ "fastest_s_per_km": 700, "slowest_s_per_km": 900 });
        })
        .await
        .id;
    let ana = town
        .runner("Ana", |profile| {
            profile["comfortable_pace"] = Value::Null;
            profile["walking_pace"] = Value::Null;
        })
        .await;
    let mut found = matched(&ana, "").await;
    found.sort();
    let mut wanted = vec![patient, walk];
    wanted.sort();
    assert_eq!(found, wanted);
}

#[apply(database_test!)]
async fn ones_own_runs_are_no_matches(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let body = json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 },
        "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 } });
    fay.put("/me/running-profile", body).await.expect(200);
    assert!(matched(&fay, "").await.is_empty());
    assert_eq!(obstacles(&fay, &run).await, ["you_lead_this_run"], "and not that something stands between");
}

#[apply(database_test!)]
async fn matches_know_the_time_asked_about(town: Town) {
    let fay = town.facilitator("Fay").await;
    let soon = town.run(&fay, |_| {}).await.id;
    let later = town.run(&fay, |run| run["starts_at"] = json!("2026-12-20T09:00:00Z")).await.id;
    let ana = town.runner("Ana", |_| {}).await;
    assert_eq!(matched(&ana, "?to=2026-12-07T00:00:00Z").await, [soon.as_str()], "two weeks ahead");
    assert_eq!(matched(&ana, "").await.len(), 2, "so few fit that later ones are shown as well");
    assert_eq!(matched(&ana, "?to=2026-12-31T00:00:00Z").await.len(), 2);
    assert_eq!(matched(&ana, "?from=2026-12-10T00:00:00Z&to=2026-12-31T00:00:00Z").await, [later]);
    ana.get("/matches?from=2026-12-10T00:00:00Z&to=2026-12-01T00:00:00Z").await.faulty(&["?to before_from"]);
    ana.get("/matches?to=2026-11-01T00:00:00Z").await.expect(422);
}

#[apply(database_test!)]
async fn the_score_has_its_parts_and_reasons_in_words(town: Town) {
    let fay = town.facilitator("Fay").await;
    town.run(&fay, |_| {}).await;
    let ana = town.runner("Ana", |_| {}).await;
    let first = ana.get("/matches").await.expect(200).items().remove(0);
    assert!(first["fit"]["company"].is_null(), "of few people nothing is said about company: {first}");
    for part in ["score", "pace", "distance", "time", "known_faces"] {
        let value = first["fit"][part].as_f64().unwrap_or_else(|| panic!("{part} in {first}"));
        assert!((0.0..=1.0).contains(&value), "{part} is {value}");
    }
    let reasons = first["fit"]["reasons"].as_array().unwrap();
    assert!(!reasons.is_empty());
    assert_eq!(first["fit"]["pace"], 1.0);
}

#[apply(database_test!)]
async fn a_run_that_takes_no_more_sign_ups_is_no_match(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.runner("Ana", |_| {}).await;
    assert_eq!(matched(&ana, "").await, [run.id.as_str()]);
    fay.post(&run.at("/lock"), json!({})).await.expect(200);
    assert!(matched(&ana, "?include_full=true").await.is_empty());
    let why = ana.get(&format!("/matches?explain={}", run.id)).await.expect(200);
    assert_eq!(why.json["explanation"]["obstacles"][0]["code"], "run_not_open");
    assert_eq!(town.nobody().get("/runs").await.items().len(), 1, "it still takes place");
}

#[apply(database_test!)]
async fn blocks_with_those_who_lead_count_and_with_those_who_only_come_do_not(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (led_by_fay, led_by_gil) = (town.run(&fay, |_| {}).await, town.run(&gil, |_| {}).await);
    let (ana, ben) = (town.runner("Ana", |_| {}).await, town.person("Ben").await);
    ben.joins(&led_by_gil.id, "confirmed").await;
    ana.post("/blocks", json!({ "account_id": ben.id })).await.expect(202);
    assert_eq!(matched(&ana, "").await.len(), 2, "a run that is gone would tell where he is");
    fay.post("/blocks", json!({ "account_id": ana.id })).await.expect(202);
    assert_eq!(matched(&ana, "").await, [led_by_gil.id.as_str()]);
    let why = ana.get(&format!("/matches?explain={}", led_by_fay.id)).await.expect(200);
    assert_eq!(why.json["explanation"]["obstacles"][0]["code"], "run_not_open_to_you");
    town.leave_mail();
}

/// Longer than lists may lag behind.
const LAG: std::time::Duration = std::time::Duration::from_secs(2);

/// Asks until the answer is as wanted; fails when that takes longer than lists may lag behind.
macro_rules! comes_to_be {
    ($what:literal, $asked:expr) => {{
        let since = std::time::Instant::now();
        while !$asked {
            assert!(since.elapsed() < LAG, "{} after {LAG:?}", $what);
        }
    }};
}

#[apply(database_test!)]
async fn the_lists_of_another_server_follow_within_two_seconds(town: Town) {
    let other = town.with(&[]);
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let there = other.log_in_again(&ana).await;
    assert!(matched(&there, "").await.is_empty());
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    comes_to_be!("not there", matched(&there, "").await == [run.id.as_str()]);
    let cem = town.person("Cem").await;
    cem.joins(&run.id, "confirmed").await;
    comes_to_be!("not full", matched(&there, "").await.is_empty());
    comes_to_be!("not on the card", other.nobody().get("/runs").await.items()[0]["places_left"] == json!(0));
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    comes_to_be!("still there", other.nobody().get("/runs").await.items().is_empty());
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_decision_bites_in_the_lists_of_another_server_within_two_seconds(town: Town) {
    let other = town.with(&[]);
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.runner("Ana", |_| {}).await, town.runner("Ben", |_| {}).await);
    let (there, ben_there) = (other.log_in_again(&ana).await, other.log_in_again(&ben).await);
    comes_to_be!("not there", matched(&there, "").await == [run.id.as_str()]);
    matched(&ben_there, "").await;
    let bar = json!({ "account_id": ana.id, "until": "2026-12-20T00:00:00Z", "reason_code": "not_a_fit",
        "private_note": "Much too fast." });
    fay.post("/me/bars", bar).await.expect(201);
    comes_to_be!("not barred", matched(&there, "").await.is_empty());
    let decision = json!({ "account_id": ben.id, "kind": "ban", "scope": "site", "rule": "No harassment.",
        "statement": "Several people told us." });
    mo.post("/moderation/sanctions", decision).await.expect(201);
    comes_to_be!("not banned", ben_there.get("/matches").await.status == 401);
    ben.get("/matches").await.refused(401, "session_ended");
    town.leave_mail();
}

#[apply(database_test!)]
async fn on_a_walk_company_is_of_like_walking_pace(town: Town) {
    let fay = town.facilitator("Fay").await;
    let walk = async |day: &str| {
        let change = |run: &mut Value| {
            run["starts_at"] = json!(day);
            run["activity"] = json!("walk");
            run["pace"] = json!({ "fastest_s_per_km": 600, "slowest_s_per_km": 950 });
        };
        town.run(&fay, change).await
    };
    let (slow, alike) = (walk("2026-11-26T09:00:00Z").await, walk("2026-11-27T09:00:00Z").await);
    for (run, running, walking) in [(&slow, (370, 405), (900, 950)), (&alike, (240, 260), (650, 700))] {
        for _ in 0..5 {
            let change = |profile: &mut Value| {
                let band = |(fast, slow)| json!({ "fastest_s_per_km": fast, "slowest_s_per_km": slow });
                (profile["comfortable_pace"], profile["walking_pace"]) = (band(running), band(walking));
            };
            town.runner("Wim", change).await.joins(&run.id, "confirmed").await;
        }
    }
    let ana = town.runner("Ana", |_| {}).await;
    assert_eq!(fit(&ana, &slow).await["company"], json!(0.6), "they only run as she does");
    assert_eq!(fit(&ana, &alike).await["company"], json!(1.0));
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_block_counts_once_somebody_has_accepted_to_lead_and_not_when_they_were_asked(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = town.runner("Ana", |_| {}).await;
    let run = town.run(&fay, |_| {}).await;
    gil.post("/blocks", json!({ "account_id": ana.id })).await.expect(202);
    let listing = json!({ "account_id": gil.id });
    fay.post(&run.at("/facilitators"), listing.clone()).await.expect(201);
    assert_eq!(matched(&ana, "").await, [run.id.as_str()], "a run that is gone would tell that he was asked");
    assert!(obstacles(&ana, &run).await.is_empty());
    let seat = ana.joins(&run.id, "confirmed").await;
    ana.withdraws(&seat).await;
    gil.post(&run.at("/facilitators"), listing).await.expect(200);
    assert!(matched(&ana, "").await.is_empty());
    assert_eq!(obstacles(&ana, &run).await, ["run_not_open_to_you"]);
    ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_was_declined_or_removed_no_longer_sees_that_run(town: Town) {
    let fay = town.facilitator("Fay").await;
    let asks = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let open = town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    let other = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    let ana = town.runner("Ana", |_| {}).await;
    assert_eq!(matched(&ana, "").await.len(), 3);
    let (request, seat) = (ana.joins(&asks.id, "requested").await, ana.joins(&open.id, "confirmed").await);
    let why = json!({ "reason_code": "group_size", "private_note": "n" });
    fay.post(&format!("/signups/{request}/decline"), why.clone()).await.expect(200);
    fay.post(&format!("/signups/{seat}/remove"), why).await.expect(200);
    assert_eq!(matched(&ana, "").await, [other.id.as_str()]);
    for run in [&asks, &open] {
        assert_eq!(obstacles(&ana, run).await, ["run_not_open_to_you"]);
        ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    }
    let again = ana.joins(&other.id, "confirmed").await;
    ana.withdraws(&again).await;
    assert_eq!(matched(&ana, "").await, [other.id.as_str()], "whoever withdrew may come again");
    town.leave_mail();
}

#[apply(database_test!)]
async fn somebody_who_was_only_asked_to_lead_is_no_known_face(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = town.runner("Ana", |_| {}).await;
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    ana.joins(&run.id, "confirmed").await;
    town.person("Ben").await.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-26T12:30:00Z");
    town.work().await;
    assert_eq!(town.rows("runs WHERE status = 'completed'"), 1);
    let next = |run: &mut Value| run["starts_at"] = json!("2026-12-03T09:00:00Z");
    let (hers, his) = (town.run(&fay, next).await, town.run(&gil, next).await);
    assert_eq!(fit(&ana, &hers).await["known_faces"], json!(1.0));
    assert_eq!(fit(&ana, &his).await["known_faces"], json!(0.8), "he was not there");
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_leads_goes_on_seeing_the_meeting_point_that_they_hide(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let nobody = town.nobody();
    let point = async |client: &crate::harness::Client| {
        let items = client.get("/runs").await.expect(200).items();
        items[0].get("meeting_point").is_some()
    };
    for client in [&fay.client, &ana.client, &nobody] {
        assert!(point(client).await);
    }
    fay.patch(&run.at(""), Some(&run.etag), json!({ "meeting_point_public": false })).await.expect(200);
    assert!(point(&fay.client).await, "she hid it from others");
    assert!(point(&ana.client).await, "she has a place");
    assert!(!point(&nobody).await);
    town.leave_mail();
}

#[apply(database_test!)]
async fn that_a_run_is_not_open_to_me_is_said_only_where_it_is_the_one_cause(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.runner("Ana", |_| {}).await;
    fay.post("/blocks", json!({ "account_id": ana.id })).await.expect(202);
    assert_eq!(obstacles(&ana, &run).await, ["run_not_open_to_you"]);
    fay.post(&run.at("/lock"), json!({})).await.expect(200);
    assert_eq!(obstacles(&ana, &run).await, ["run_not_open"]);
}
