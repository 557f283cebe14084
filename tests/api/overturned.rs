//! An overturned decision counts for nothing: what it took is given back where that can be done, and what cannot is said.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

const WEEK_LATER: &str = "2026-12-03T09:00:00Z";

/// Objects to a decision and has it overturned; gives the answer to the moderator.
async fn overturned(town: &Town, person: &Person, kind: &str, id: &str) -> Value {
    let about = json!({ "about": { "kind": kind, "id": id }, "statement": "Please look again." });
    let appeal = person.post("/appeals", about).await.expect(201).id();
    let lu = town.moderator("Lu").await;
    let verdict = json!({ "outcome": "overturn", "statement": "You were right." });
    lu.post(&format!("/moderation/appeals/{appeal}/decide"), verdict).await.expect(200).json
}

fn codes(answer: &Value) -> Vec<String> {
    let all = answer["consequences"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| one["code"].as_str().expect("a code").to_owned()).collect()
}

async fn decision(person: &Person, kind: &str) -> Value {
    let items = person.get("/me/decisions").await.expect(200).items();
    items.into_iter().find(|item| item["about"]["kind"] == kind).expect("the decision")
}

async fn removes(by: &Person, seat: &str) {
    let why = json!({ "reason_code": "conduct", "private_note": "n", "statement": "You shouted." });
    by.post(&format!("/signups/{seat}/remove"), why).await.expect(200);
}

/// Somebody who was removed from a run.
async fn removed(town: &Town, change: impl FnOnce(&mut Value)) -> (Person, Run, Person, String) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, change).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    removes(&fay, &seat).await;
    town.post_office().await;
    (fay, run, ana, seat)
}

#[apply(database_test!)]
async fn overturned_removal_gives_the_place_back(town: Town) {
    let (fay, run, ana, seat) = removed(&town, |_| {}).await;
    ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    assert_eq!(decision(&ana, "signup_decision").await["stands"], true);
    let answer = overturned(&town, &ana, "signup_decision", &seat).await;
    assert_eq!(codes(&answer), ["lifted", "place_back"]);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    ana.sign_up(&run.id).await.expect(200);
    let told = decision(&ana, "signup_decision").await;
    assert_eq!((&told["stands"], told["overturned_at"].is_string()), (&json!(false), true), "{told}");
    let letters = town.post_office().await;
    let hers = letters.iter().find(|l| l.to == ana.email && l.subject.contains("objection")).expect("an answer");
    assert!(hers.text.contains("You have your place again."), "{}", hers.text);
    let his = letters.iter().find(|l| l.to == fay.email && l.text.contains("no longer holds")).expect("a word to Fay");
    assert!(his.text.contains("Ana"), "{}", his.text);
    // A second removal stands by itself.
    removes(&fay, &seat).await;
    ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    assert_eq!(ana.seat(&seat).await, "removed");
    town.work().await;
}

#[apply(database_test!)]
async fn overturned_removal_from_a_full_run_is_first_in_line(town: Town) {
    let (_, run, ana, seat) = removed(&town, |run| run["capacity"] = json!(1)).await;
    let (hal, wil) = (town.person("Hal").await, town.person("Wil").await);
    let held = hal.joins(&run.id, "confirmed").await;
    let waits = wil.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    let answer = overturned(&town, &ana, "signup_decision", &seat).await;
    assert_eq!(codes(&answer), ["lifted", "first_in_line"]);
    let seen = ana.get(&format!("/signups/{seat}")).await.expect(200).json;
    assert_eq!((&seen["status"], &seen["waiting_position"]), (&json!("waitlisted"), &json!(1)));
    hal.withdraws(&held).await;
    assert_eq!((ana.seat(&seat).await, wil.seat(&waits).await), (json!("offered"), json!("waitlisted")));
    town.work().await;
}

#[apply(database_test!)]
async fn overturned_decline_opens_the_request_again(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let ana = town.person("Ana").await;
    let seat = ana.post(&run.at("/signups"), json!({})).await.expect(201).id();
    fay.post(&format!("/signups/{seat}/decline"), json!({ "reason_code": "not_a_fit" })).await.expect(200);
    town.post_office().await;
    let answer = overturned(&town, &ana, "signup_decision", &seat).await;
    assert_eq!(codes(&answer), ["lifted", "request_open_again"]);
    assert_eq!(ana.seat(&seat).await, "requested");
    let letters = town.post_office().await;
    assert!(letters.iter().any(|l| l.to == fay.email && l.text.contains("/e/approve-request/")), "{letters:?}");
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    town.work().await;
}

#[apply(database_test!)]
async fn what_cannot_be_undone_is_said(town: Town) {
    let (fay, run, ana, seat) = removed(&town, |_| {}).await;
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    assert_eq!(codes(&overturned(&town, &ana, "signup_decision", &seat).await), ["lifted", "run_off"]);
    let letters = town.post_office().await;
    let hers = letters.iter().find(|l| l.to == ana.email).expect("an answer");
    assert!(hers.text.contains("It is cancelled, so your place cannot be given back."), "{}", hers.text);
    let (_, _, ben, seat) = removed(&town, |run| run["starts_at"] = json!("2026-11-24T09:00:00Z")).await;
    town.set_clock("2026-11-24T09:30:00Z");
    assert_eq!(codes(&overturned(&town, &ben, "signup_decision", &seat).await), ["lifted", "run_started"]);
    assert_eq!(decision(&ben, "signup_decision").await["stands"], false);
    town.work().await;
}

#[apply(database_test!)]
async fn overturned_removal_leaves_other_decisions_standing(town: Town) {
    let (fay, run, ana, seat) = removed(&town, |_| {}).await;
    let bar = json!({ "account_id": ana.id, "until": "2027-06-01T00:00:00Z", "reason_code": "not_a_fit",
        "private_note": "n" });
    fay.post("/me/bars", bar).await.expect(201);
    assert_eq!(codes(&overturned(&town, &ana, "signup_decision", &seat).await), ["lifted", "still_closed"]);
    ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    town.work().await;
}

#[apply(database_test!)]
async fn overturned_bar_opens_the_runs_and_gives_places_back(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let later = town.run(&fay, |run| run["starts_at"] = json!(WEEK_LATER)).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let bar = json!({ "account_id": ana.id, "until": "2027-06-01T00:00:00Z", "reason_code": "not_a_fit",
        "private_note": "n" });
    let bar = fay.post("/me/bars", bar).await.expect(201).id();
    assert_eq!(ana.seat(&seat).await, "withdrawn");
    town.post_office().await;
    assert_eq!(codes(&overturned(&town, &ana, "bar", &bar).await), ["lifted", "place_back"]);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    let told = decision(&ana, "bar").await;
    assert_eq!((&told["stands"], told["overturned_at"].is_string()), (&json!(false), true), "{told}");
    ana.joins(&later.id, "confirmed").await;
    town.work().await;
}

async fn imposes(town: &Town, kind: &str, person: &Person, more: Value) -> String {
    let mut body = json!({ "account_id": person.id, "kind": kind, "rule": "Be kind", "statement": "You were not." });
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    town.moderator("Mo").await.post("/moderation/sanctions", body).await.expect(201).id()
}

#[apply(database_test!)]
async fn overturned_sanction_gives_back_what_it_took(town: Town) {
    for (kind, more) in
        [("hold", json!({})), ("suspension", json!({ "expires_at": "2026-12-24T00:00:00Z" })), ("ban", json!({}))]
    {
        let fay = town.facilitator("Fay").await;
        let (run, full) = (
            town.run(&fay, |_| {}).await,
            town.run(&fay, |run| {
                run["starts_at"] = json!(WEEK_LATER);
                run["capacity"] = json!(1);
            })
            .await,
        );
        let (ana, hal) = (town.person("Ana").await, town.person("Hal").await);
        let (seat, other) = (ana.joins(&run.id, "confirmed").await, ana.joins(&full.id, "confirmed").await);
        let sanction = imposes(&town, kind, &ana, more).await;
        hal.joins(&full.id, "confirmed").await;
        let back = town.log_in_again(&ana).await;
        let answer = overturned(&town, &back, "sanction", &sanction).await;
        let mut found = codes(&answer);
        found.retain(|code| code != "searches_ended");
        // Runs of one moment come in any order.
        found[1..].sort_unstable();
        assert_eq!(found, ["lifted", "first_in_line", "place_back"], "{kind}");
        assert_eq!((back.seat(&seat).await, back.seat(&other).await), (json!("confirmed"), json!("waitlisted")));
        let told = decision(&back, "sanction").await;
        assert_eq!((&told["stands"], told["overturned_at"].is_string()), (&json!(false), true), "{told}");
        let letters = town.post_office().await;
        let hers: Vec<_> = letters.iter().filter(|l| l.to == ana.email && l.subject.contains("objection")).collect();
        assert_eq!(hers.len(), 1, "{letters:?}");
        assert!(letters.iter().all(|letter| !letter.text.contains("do not come back by themselves")), "{letters:?}");
    }
}

#[apply(database_test!)]
async fn overturned_ban_of_a_facilitator_lets_them_lead_again(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ban = imposes(&town, "ban", &fay, json!({})).await;
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "paused");
    let back = town.log_in_again(&fay).await;
    let answer = overturned(&town, &back, "sanction", &ban).await;
    assert!(codes(&answer).contains(&"leads_again".to_owned()), "{answer}");
    town.work().await;
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "published");
    town.run(&back, |run| run["starts_at"] = json!(WEEK_LATER)).await;
    town.post_office().await;
}

#[apply(database_test!)]
async fn overturned_rejection_is_decided_anew_and_listed(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let application = ana.post("/facilitator-applications", json!({ "statement": "s" })).await.expect(201).id();
    let path = format!("/facilitator-applications/{application}");
    mo.post(&format!("{path}/reject"), json!({ "reason": "Not yet." })).await.expect(200);
    town.post_office().await;
    let answer = overturned(&town, &ana, "application", &application).await;
    assert_eq!(codes(&answer), ["application_open_again"]);
    let told = decision(&ana, "application").await;
    assert_eq!((&told["stands"], told["overturned_at"].is_string()), (&json!(false), true), "{told}");
    mo.post(&format!("{path}/approve"), json!({})).await.expect(200);
    town.run(&ana, |_| {}).await;
    town.post_office().await;
}
