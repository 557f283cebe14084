//! The end of a decision: told once, with what is possible again, and with what a hold kept back.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::service::housekeeping;

use crate::{
    harness::{Client, PASSWORD, Person, Town},
    support::database_test::database_test,
};

pub const FACTS: &str = "Two people say that you followed them home.";

pub fn decision(kind: &str, person: &Person, more: Value) -> Value {
    let mut body = json!({ "account_id": person.id, "kind": kind, "rule": "Be kind", "statement": FACTS });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn withheld() -> Value {
    json!({ "facts_withheld": true, "withheld_because": "They would know who spoke." })
}

async fn imposes(moderator: &Person, kind: &str, person: &Person, more: Value) -> String {
    moderator.post("/moderation/sanctions", decision(kind, person, more)).await.expect(201).id()
}

#[apply(database_test!)]
async fn end_of_a_suspension_or_hold_is_told_once(town: Town) {
    let mo = town.moderator("Mo").await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.facilitator("Cem").await);
    imposes(&mo, "suspension", &ana, json!({ "expires_at": "2026-11-30T09:00:00.5Z" })).await;
    imposes(&mo, "hold", &ben, json!({})).await;
    imposes(&mo, "suspension", &cem, json!({ "scope": "facilitating", "expires_at": "2026-12-10T00:00:00Z" })).await;
    town.post_office().await;
    town.set_clock("2026-11-30T09:00:00.499999Z");
    assert!(town.post_office().await.is_empty(), "not before its end");
    town.set_clock("2026-11-30T09:00:00.5Z");
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.subject, "A decision about your account has ended");
    assert!(letter.text.contains("Your account is open again"), "{}", letter.text);
    assert!(!letter.text.contains(FACTS), "they were told before: {}", letter.text);
    town.set_clock("2026-12-20T00:00:00Z");
    // Two workers at the same moment.
    let (app, now) = (town.app().clone(), town.now());
    let tick = || {
        let app = app.clone();
        tokio::task::spawn_blocking(move || housekeeping::tick(&app.db, &app.config.policy, now).expect("a tick"))
    };
    let (one, other) = tokio::join!(tick(), tick());
    assert_eq!(one.unwrap() + other.unwrap(), 2);
    let letters = town.post_office().await;
    let texts: Vec<(&String, bool)> =
        letters.iter().map(|letter| (&letter.to, letter.text.contains("lead walks and runs again"))).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts.contains(&(&ben.email, false)) && texts.contains(&(&cem.email, true)), "{texts:?}");
    town.hours_pass(1);
    assert!(town.post_office().await.is_empty());
}

#[apply(database_test!)]
async fn end_of_one_decision_says_that_another_stands(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    imposes(&mo, "hold", &ana, json!({})).await;
    imposes(&mo, "ban", &ana, json!({})).await;
    town.post_office().await;
    town.set_clock("2026-12-08T10:00:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("still stands") && !letter.text.contains("open again"), "{}", letter.text);
}

#[apply(database_test!)]
async fn lifted_decisions_and_warnings_end_without_a_second_mail(town: Town) {
    let (mo, ana, ben) = (town.moderator("Mo").await, town.person("Ana").await, town.person("Ben").await);
    let hold = imposes(&mo, "hold", &ana, json!({})).await;
    imposes(&mo, "warning", &ben, json!({ "expires_at": "2026-11-30T09:00:00Z" })).await;
    town.post_office().await;
    let lift = json!({ "reason": "It was somebody else." });
    mo.post(&format!("/moderation/sanctions/{hold}/lift"), lift).await.expect(200);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("It was somebody else.") && !letter.text.contains(FACTS), "{}", letter.text);
    town.set_clock("2026-12-20T00:00:00Z");
    assert!(town.post_office().await.is_empty());
}

#[apply(database_test!)]
async fn hold_keeps_its_facts_back_until_it_ends(town: Town) {
    let (mo, lu, ana) = (town.moderator("Mo").await, town.moderator("Lu").await, town.person("Ana").await);
    let ada = town.admin().await;
    let answer = mo.post("/moderation/sanctions", decision("hold", &ana, withheld())).await.expect(201);
    assert_eq!(answer.json["withheld_because"], "They would know who spoke.");
    assert_eq!(answer.json["statement"], FACTS, "the team reads it");
    let hold = answer.id();
    let letter = town.one_mail_to(&ana.email).await;
    assert!(!letter.raw.contains("followed") && !letter.raw.contains("who spoke"), "{}", letter.text);
    for needed in ["Be kind", "7 December 2026", "You get them then"] {
        assert!(letter.text.contains(needed), "{needed}: {}", letter.text);
    }
    let page = town.nobody().open(&letter.link("appeal")).await.expect(200);
    assert!(!page.text.contains("followed") && page.text.contains("Be kind"), "{}", page.text);
    let tokens = town.nobody().post("/sessions", json!({ "email": ana.email, "password": PASSWORD })).await.expect(200);
    let kept_out = Client::with_token(&town, &tokens.str("access_token"));
    let me = kept_out.get("/me").await.expect(200);
    assert_eq!((&me.json["kept_out_by"]["facts_withheld"], me.text.contains("followed")), (&json!(true), false));
    let decisions = kept_out.get("/me/decisions").await.expect(200);
    let why = decisions.items()[0]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("Be kind: ") && why.contains("when this ends") && !why.contains("followed"), "{why}");
    let refused = kept_out.get("/matches").await.refused(403, "account_restricted");
    assert!(!refused.text.contains("followed"), "{}", refused.text);
    let appeal = json!({ "about": decisions.items()[0]["about"], "statement": "Tell me why." });
    let appeal = kept_out.post("/appeals", appeal).await.expect(201).id();
    town.post_office().await;
    let verdict = json!({ "outcome": "uphold", "statement": "It stays." });
    lu.post(&format!("/moderation/appeals/{appeal}/decide"), verdict).await.expect(200);
    assert!(!town.one_mail_to(&ana.email).await.raw.contains("followed"));
    let log = ada.get("/moderation/audit-log?limit=100").await.expect(200).items();
    let set = log.iter().find(|row| row["act"] == "hold_set").expect("a row");
    assert_eq!(set["about"]["facts_withheld"], true);
    town.set_clock("2026-12-07T10:00:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains(FACTS) && letter.text.contains("open again"), "{}", letter.text);
    let ana = town.log_in_again(&ana).await;
    let why = ana.get("/me/decisions").await.expect(200).items()[0]["why"].as_str().unwrap().to_owned();
    assert_eq!(why, format!("Be kind: {FACTS}"));
    mo.post(&format!("/moderation/sanctions/{hold}/lift"), json!({ "reason": "r" }))
        .await
        .refused(409, "sanction_ended");
}

#[apply(database_test!)]
async fn lifted_hold_tells_its_facts(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let hold = imposes(&mo, "hold", &ana, withheld()).await;
    town.post_office().await;
    mo.post(&format!("/moderation/sanctions/{hold}/lift"), json!({ "reason": "Settled." })).await.expect(200);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("Settled.") && letter.text.contains(FACTS), "{}", letter.text);
}

#[apply(database_test!)]
async fn only_a_hold_keeps_facts_back_with_a_reason_and_not_twice(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let post = async |kind: &str, more: Value| mo.post("/moderation/sanctions", decision(kind, &ana, more)).await;
    for kind in ["warning", "ban"] {
        post(kind, withheld()).await.faulty(&["/facts_withheld only_for_a_hold"]);
    }
    post("hold", json!({ "facts_withheld": true })).await.faulty(&["/withheld_because required"]);
    post("hold", json!({ "facts_withheld": true, "withheld_because": " " }))
        .await
        .faulty(&["/withheld_because required"]);
    post("hold", json!({ "withheld_because": "x" })).await.faulty(&["/withheld_because not_withheld"]);
    let mut late = withheld();
    late["expires_at"] = json!("2026-12-08T10:00:00Z");
    post("hold", late).await.faulty(&["/expires_at too_far_ahead"]);
    post("hold", withheld()).await.expect(201);
    town.set_clock("2026-12-07T10:00:00Z");
    post("hold", withheld()).await.faulty(&["/facts_withheld withheld_before"]);
    post("hold", json!({})).await.expect(201);
    town.set_clock("2026-12-22T10:00:00Z");
    post("hold", withheld()).await.expect(201);
    town.leave_mail();
}
