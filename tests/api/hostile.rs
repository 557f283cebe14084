//! What somebody with bad intentions tried, and what held since: each case was a fault once.

use futures_util::future::join;
use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

fn decision(kind: &str, person: &Person, more: Value) -> Value {
    let mut body = json!({ "account_id": person.id, "kind": kind, "rule": "Be kind", "statement": "You were not." });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn bar(person: &Person) -> Value {
    json!({ "account_id": person.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" })
}

async fn lead_together(run: &Run, first: &Person, second: &Person) {
    first.post(&run.at("/facilitators"), json!({ "account_id": second.id })).await.expect(201);
    second.post(&run.at("/facilitators"), json!({ "account_id": second.id })).await.expect(200);
}

#[apply(database_test!)]
async fn mails_about_changes_do_not_tell_where_a_hidden_run_meets(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["meeting_point"]["name"] = json!("Behind the old chapel");
        })
        .await;
    ana.joins(&run.id, "requested").await;
    let seat = ben.joins(&run.id, "requested").await;
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    town.post_office().await;
    let moved = json!({ "meeting_point": { "lat": 51.4123, "lng": -0.3361, "name": "At the mill" },
        "getting_there": "Knock three times.", "duration_min": 75 });
    fay.patch(&run.at(""), Some(&run.etag), moved).await.expect(200);
    let letters = town.post_office().await;
    let to = |email: &str| letters.iter().find(|letter| letter.to == email).expect("a mail");
    let outside = &to(&ana.email).text;
    for secret in ["chapel", "mill", "Knock", "51.41", "51.4123"] {
        assert!(!outside.contains(secret), "{secret} in {outside}");
    }
    assert!(outside.contains("75 minutes"), "{outside}");
    let inside = &to(&ben.email).text;
    assert!(inside.contains("At the mill") && inside.contains("Knock three times."), "{inside}");
}

#[apply(database_test!)]
async fn two_admins_cannot_put_each_other_out_at_the_same_moment(town: Town) {
    let (ada, eve) = (town.admin().await, town.admin().await);
    let until = json!({ "expires_at": "2026-12-30T00:00:00Z" });
    let first = ada.post("/moderation/sanctions", decision("suspension", &eve, until.clone()));
    let second = eve.post("/moderation/sanctions", decision("suspension", &ada, until));
    let (first, second) = join(first, second).await;
    let mut both = [first.status, second.status];
    both.sort_unstable();
    assert_eq!(both[0], 201, "{both:?}");
    assert!([401, 403, 409].contains(&both[1]), "{both:?}");
    assert_eq!(town.rows("sanctions"), 1);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_facilitator_who_was_stopped_hears_no_more_names(town: Town) {
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let ana = town.person("Ana").await;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-24T06:00:00Z")).await;
    lead_together(&run, &fay, &gil).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let stop = json!({ "scope": "facilitating", "expires_at": "2026-12-30T00:00:00Z" });
    mo.post("/moderation/sanctions", decision("suspension", &gil, stop)).await.expect(201);
    town.post_office().await;
    ana.withdraws(&seat).await;
    town.work().await;
    let all = town.inbox().empty();
    assert!(all.iter().all(|letter| letter.to != gil.email), "{:?}", all.iter().map(|l| &l.to).collect::<Vec<_>>());
    town.leave_mail();
}

#[apply(database_test!)]
async fn an_earlier_decision_is_still_mailed_after_a_later_one(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    mo.post("/moderation/sanctions", decision("warning", &ana, json!({}))).await.expect(201);
    fay.post("/me/bars", bar(&ana)).await.expect(201);
    mo.post("/moderation/sanctions", decision("hold", &ana, json!({}))).await.expect(201);
    town.work().await;
    let kinds: Vec<String> = town.mail_to(&ana.email).await.iter().map(|letter| letter.header("X-Mail-Kind")).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "decision").count(), 2, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "barred").count(), 1, "{kinds:?}");
    assert!(!kinds.contains(&"signup_confirmed".to_owned()), "{kinds:?}");
}

#[apply(database_test!)]
async fn whom_a_new_facilitator_bars_is_put_out_with_reason_and_row(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    gil.post("/me/bars", bar(&ana)).await.expect(201);
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    lead_together(&run, &fay, &gil).await;
    assert_eq!(ana.seat(&seat).await, "withdrawn");
    assert_eq!(town.rows("audit_log WHERE act = 'signup_removed'"), 1);
    town.work().await;
    let told = town.one_mail_to(&ana.email).await;
    assert_eq!(told.header("X-Mail-Kind"), "barred");
    assert!(!told.link("appeal").is_empty());
}

#[apply(database_test!)]
async fn a_moderator_who_leads_a_run_does_not_look_into_reports_about_it(town: Town) {
    let (fred, mo, ana) = (town.moderator("Fred").await, town.moderator("Mo").await, town.person("Ana").await);
    fred.post("/facilitator-applications", json!({ "statement": "s" })).await.expect(201);
    let mine = mo.get("/facilitator-applications").await.expect(200).item_ids().remove(0);
    mo.post(&format!("/facilitator-applications/{mine}/approve"), json!({})).await.expect(200);
    let run = town.run(&fred, |_| {}).await;
    town.post_office().await;
    let about = [
        json!({ "kind": "run", "id": run.id }),
        json!({ "run_id": run.id, "description": "the facilitator with the hat" }),
    ];
    for about in about {
        let body = json!({ "about": about, "category": "safeguarding", "statement": "He shouts." });
        let report = ana.post("/reports", body).await.expect(201).id();
        fred.get(&format!("/moderation/reports/{report}")).await.refused(404, "not_found");
        let done = json!({ "resolution": "nothing" });
        fred.post(&format!("/moderation/reports/{report}/resolve"), done).await.refused(404, "not_found");
        mo.get(&format!("/moderation/reports/{report}")).await.expect(200);
    }
    assert!(fred.get("/moderation/reports").await.expect(200).item_ids().is_empty());
    town.work().await;
    assert!(town.mail_to(&fred.email).await.is_empty());
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_was_put_out_does_not_come_back_as_a_facilitator(town: Town) {
    let (fay, gil, hal) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.facilitator("Hal").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = gil.joins(&run.id, "confirmed").await;
    let why = json!({ "reason_code": "group_size", "private_note": "n" });
    fay.post(&format!("/signups/{seat}/remove"), why).await.expect(200);
    fay.post("/me/bars", bar(&hal)).await.expect(201);
    for other in [&gil, &hal] {
        let ask = json!({ "account_id": other.id });
        fay.post(&run.at("/facilitators"), ask).await.refused(409, "not_approved_facilitator");
    }
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    gil.post(&run.at("/take-over"), json!({})).await.refused(409, "run_not_open_to_you");
    town.leave_mail();
}

#[apply(database_test!)]
async fn an_appeal_does_not_wait_for_moderators_who_are_kept_out(town: Town) {
    let (ada, mo, ana) = (town.admin().await, town.moderator("Mo").await, town.person("Ana").await);
    let ban = ada.post("/moderation/sanctions", decision("ban", &ana, json!({}))).await.expect(201).id();
    let back = town.log_in_again(&ana).await;
    let body = json!({ "about": { "kind": "sanction", "id": ban }, "statement": "It was not me." });
    let appeal = back.post("/appeals", body).await.expect(201).id();
    let decide = format!("/moderation/appeals/{appeal}/decide");
    let answer = json!({ "outcome": "uphold", "statement": "It stands." });
    ada.post(&decide, answer.clone()).await.refused(403, "not_for_yourself");
    ada.post("/moderation/sanctions", decision("hold", &mo, json!({}))).await.expect(201);
    let decided = ada.post(&decide, answer).await.expect(200);
    assert_eq!(decided.json["second_person"], false);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_run_that_becomes_open_seats_those_who_asked_before_those_who_come(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["capacity"] = json!(1);
        })
        .await;
    let asked = ana.joins(&run.id, "requested").await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "join_policy": "open" })).await.expect(200);
    assert_eq!(ana.seat(&asked).await, "offered");
    ben.joins(&run.id, "waitlisted").await;
    town.work().await;
}

#[apply(database_test!)]
async fn a_pause_ends_with_the_hold_that_caused_it(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let until = town.now().plus_hours(2);
    mo.post("/moderation/sanctions", decision("hold", &fay, json!({ "expires_at": until }))).await.expect(201);
    assert_eq!(town.nobody().get(&run.at("")).await.expect(200).json["status"], "paused");
    town.work().await;
    town.hours_pass(3);
    town.work().await;
    let back = town.nobody().get(&run.at("")).await.expect(200);
    assert_eq!(
        (&back.json["status"], &back.json["facilitators"][0]["display_name"]),
        (&json!("published"), &json!("Fay"))
    );
    let kinds: Vec<String> = town.mail_to(&ana.email).await.iter().map(|letter| letter.header("X-Mail-Kind")).collect();
    assert!(kinds.contains(&"run_resumed".to_owned()), "{kinds:?}");
}

#[apply(database_test!)]
async fn lifting_one_of_two_bans_leaves_the_address_banned(town: Town) {
    let (mo, max, ana) = (town.moderator("Mo").await, town.moderator("Max").await, town.person("Ana").await);
    let first = mo.post("/moderation/sanctions", decision("ban", &ana, json!({}))).await.expect(201).id();
    max.post("/moderation/sanctions", decision("ban", &ana, json!({}))).await.expect(201);
    mo.post(&format!("/moderation/sanctions/{first}/lift"), json!({ "reason": "a mistake" })).await.expect(200);
    assert_eq!(town.rows("banned_addresses"), 1);
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_is_taken_off_a_run_is_told(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    lead_together(&run, &fay, &gil).await;
    town.post_office().await;
    fay.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    town.work().await;
    assert_eq!(town.one_mail_to(&gil.email).await.header("X-Mail-Kind"), "facilitator_unlisted");
}
