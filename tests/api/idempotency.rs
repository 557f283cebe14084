//! Idempotency-Key: one act for one key, whatever the network does.

use macro_rules_attribute::apply;
use serde_json::json;

use crate::{harness::Town, support::database_test::database_test};

#[apply(database_test!)]
async fn the_same_key_gives_the_same_answer_and_acts_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let first = fay.post_once("key 1", "/runs", town.run_body()).await.expect(201);
    town.minutes_pass(5);
    let again = fay.post_once("key 1", "/runs", town.run_body()).await.expect(201);
    assert_eq!((first.text, first.headers.get("etag")), (again.text, again.headers.get("etag")));
    assert_eq!(town.rows("runs"), 1);
    fay.post_once("key 2", "/runs", town.run_body()).await.expect(201);
    assert_eq!(town.rows("runs"), 2);
}

#[apply(database_test!)]
async fn another_request_under_the_same_key_is_refused(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = fay.post_once("k", "/runs", town.run_body()).await.expect(201).id();
    let mut other = town.run_body();
    other["title"] = json!("Another");
    fay.post_once("k", "/runs", other).await.faulty(&["header Idempotency-Key key_reused"]);
    let elsewhere = fay.post_once("k", &format!("/runs/{run}/cancel"), json!({ "reason_code": "other" })).await;
    elsewhere.faulty(&["header Idempotency-Key key_reused"]);
    assert_eq!(town.rows("runs"), 1);
}

#[apply(database_test!)]
async fn twins_at_the_same_moment_act_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    for round in 0..10 {
        let key = format!("twins {round}");
        let post = || fay.post_once(&key, "/runs", town.run_body());
        let (a, b, c, d) = tokio::join!(post(), post(), post(), post());
        let answers = [a, b, c, d];
        let done: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert!(!done.is_empty() && done.iter().all(|answer| answer.text == done[0].text));
        for other in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!((other.status, &other.json["code"]), (409, &json!("in_progress")), "{}", other.text);
        }
        assert_eq!(town.rows("runs"), round + 1);
    }
}

#[apply(database_test!)]
async fn an_error_is_not_kept(town: Town) {
    let fay = town.facilitator("Fay").await;
    let mut bad = town.run_body();
    bad["capacity"] = json!(0);
    fay.post_once("k", "/runs", bad.clone()).await.faulty(&["/capacity too_small"]);
    assert_eq!(town.rows("idempotency_keys"), 0);
    fay.post_once("k", "/runs", town.run_body()).await.expect(201);
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    ana.post_once("join", &run.at("/signups"), json!({})).await.refused(409, "run_paused");
    fay.post(&run.at("/take-over"), json!({ "confirm_overlap": true })).await.expect(200);
    ana.post_once("join", &run.at("/signups"), json!({})).await.expect(201);
    town.work().await;
}

#[apply(database_test!)]
async fn a_key_is_forgotten_after_a_day(town: Town) {
    let fay = town.facilitator("Fay").await;
    fay.post_once("k", "/runs", town.run_body()).await.expect(201);
    town.hours_pass(23);
    fay.post_once("k", "/runs", town.run_body()).await.expect(201);
    assert_eq!(town.rows("runs"), 1);
    town.hours_pass(2);
    fay.post_once("k", "/runs", town.run_body()).await.expect(201);
    assert_eq!(town.rows("runs"), 2);
}

#[apply(database_test!)]
async fn keys_of_two_people_have_nothing_to_do_with_each_other(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let a = ana.post_once("k", &run.at("/signups"), json!({})).await.expect(201);
    let b = ben.post_once("k", &run.at("/signups"), json!({})).await.expect(201);
    assert_ne!(a.id(), b.id());
    town.work().await;
}

#[apply(database_test!)]
async fn a_key_that_is_none_is_named(town: Town) {
    let fay = town.facilitator("Fay").await;
    for key in ["", &"k".repeat(256)] {
        fay.post_once(key, "/runs", town.run_body()).await.faulty(&["header Idempotency-Key bad_key"]);
    }
    fay.post_once(&"k".repeat(255), "/runs", town.run_body()).await.expect(201);
}

#[apply(database_test!)]
async fn a_withdrawal_under_a_key_is_answered_again(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let path = format!("/signups/{seat}/withdraw");
    let first = ana.post_once("w", &path, json!({})).await.expect(200);
    town.minutes_pass(3);
    let again = ana.post_once("w", &path, json!({})).await.expect(200);
    assert_eq!(first.text, again.text);
    town.work().await;
}
