//! Keeping people safe: the queue, decisions and all that follows from one, appeals, the audit log.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Client, PASSWORD, Person, Town},
    support::database_test::database_test,
};

fn decision(kind: &str, person: &Person, more: Value) -> Value {
    let mut body = json!({
        "account_id": person.id, "kind": kind, "rule": "Be kind to each other", "statement": "You were not, three times.",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn imposes(moderator: &Person, kind: &str, person: &Person, more: Value) -> String {
    moderator.post("/moderation/sanctions", decision(kind, person, more)).await.expect(201).id()
}

fn about(kind: &str, id: &impl serde::Serialize, category: &str) -> Value {
    json!({ "about": { "kind": kind, "id": id }, "category": category, "statement": "Something happened." })
}

#[apply(database_test!)]
async fn the_queue_has_safeguarding_first_then_the_oldest(town: Town) {
    let (mo, ana, ben) = (town.moderator("Mo").await, town.person("Ana").await, town.person("Ben").await);
    let mut ids = Vec::new();
    for category in ["spam", "harassment", "safeguarding", "other", "safeguarding", "unsafe_run"] {
        ids.push(ana.post("/reports", about("account", &ben.id, category)).await.expect(201).id());
        town.minutes_pass(1);
    }
    let wanted: Vec<&String> = [2, 4, 1, 5, 0, 3].iter().map(|at| &ids[*at]).collect();
    let whole = mo.get("/moderation/reports").await.expect(200);
    assert_eq!(whole.item_ids().iter().collect::<Vec<_>>(), wanted);
    let first = mo.get("/moderation/reports?limit=4").await.expect(200);
    let rest = mo.get(&format!("/moderation/reports?limit=4&cursor={}", first.str("next_cursor"))).await.expect(200);
    assert_eq!([first.item_ids(), rest.item_ids()].concat().iter().collect::<Vec<_>>(), wanted);
    ana.get("/moderation/reports").await.refused(403, "moderators_only");
    ana.get(&format!("/moderation/reports/{}", ids[0])).await.refused(403, "moderators_only");
    town.work().await;
}

#[apply(database_test!)]
async fn a_report_is_assigned_and_resolved_and_the_reporter_hears_of_it(town: Town) {
    let (mo, lu) = (town.moderator("Mo").await, town.moderator("Lu").await);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let receipt = ana.post("/reports", about("account", &ben.id, "harassment")).await.expect(201);
    let letters = town.post_office().await;
    let mut to: Vec<&str> = letters.iter().map(|l| l.to.as_str()).collect();
    to.sort_unstable();
    let mut team = [mo.email.as_str(), lu.email.as_str()];
    team.sort_unstable();
    assert_eq!(to, team);
    assert!(letters.iter().all(|l| !l.raw.contains("Ana") && !l.raw.contains("Ben")), "no names in mails to the team");
    let path = format!("/moderation/reports/{}", receipt.id());
    let taken = mo.post(&format!("{path}/assign"), json!({})).await.expect(200);
    assert_eq!((&taken.json["status"], &taken.json["assigned_to"]), (&json!("assigned"), &json!(mo.id)));
    mo.post(&format!("{path}/assign"), json!({ "account_id": ana.id })).await.faulty(&["/account_id no_moderator"]);
    mo.post(&format!("{path}/resolve"), json!({ "resolution": "" })).await.faulty(&["/resolution too_short"]);
    lu.post(&format!("{path}/resolve"), json!({ "resolution": "Talked to Ben." })).await.expect(200);
    lu.post(&format!("{path}/resolve"), json!({ "resolution": "Again." })).await.refused(409, "report_resolved");
    assert!(mo.get("/moderation/reports").await.items().is_empty());
    assert_eq!(mo.get("/moderation/reports?status=resolved").await.item_ids(), [receipt.id()]);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(!letter.text.contains("Ben") && !letter.text.contains("Talked"), "{}", letter.text);
    assert_eq!(town.rows("audit_log WHERE act IN ('report_filed', 'report_assigned', 'report_resolved')"), 3);
}

#[apply(database_test!)]
async fn anybody_reports_a_run_a_person_or_somebody_without_a_name(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let mo = town.moderator("Mo").await;
    let run = town.run(&fay, |_| {}).await;
    ana.post("/reports", about("run", &run.id, "unsafe_run")).await.expect(201);
    ana.post("/reports", about("facilitator", &fay.id, "other")).await.expect(201);
    let nameless = json!({
        "about": { "run_id": run.id, "description": "The man in the red jacket" },
        "category": "safeguarding", "statement": "He followed us.",
    });
    let nameless = ana.post("/reports", nameless).await.expect(201).id();
    let first = mo.get(&format!("/moderation/reports/{nameless}")).await.expect(200);
    assert_eq!((first.str("description").as_str(), first.str("run_id")), ("The man in the red jacket", run.id.clone()));
    let ghost = "00000000-0000-4000-8000-000000000000";
    ana.post("/reports", about("run", &ghost, "other")).await.faulty(&["/about/id not_found"]);
    ana.post("/reports", about("account", &ghost, "other")).await.faulty(&["/about/id not_found"]);
    let empty = json!({ "about": {}, "category": "other", "statement": "x" });
    ana.post("/reports", empty).await.faulty(&["/about incomplete"]);
    let wrong = json!({ "about": { "kind": "dog", "id": 7 }, "category": "noise", "statement": "" });
    ana.post("/reports", wrong).await.faulty(&[
        "/about/kind unknown_value",
        "/about/id wrong_type",
        "/category unknown_value",
        "/statement too_short",
    ]);
    assert_eq!(town.rows("reports"), 3);
    town.work().await;
}

#[apply(database_test!)]
async fn facilitators_hear_nothing_of_reports(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    let before = fay.get(&run.at("")).await.expect(200);
    let roster = fay.get(&run.at("/signups")).await.expect(200);
    ana.post("/reports", about("run", &run.id, "unsafe_run")).await.expect(201);
    ana.post("/reports", about("run", &run.id, "safeguarding")).await.expect(201);
    ana.post("/reports", about("facilitator", &fay.id, "harassment")).await.expect(201);
    let nameless = json!({
        "about": { "run_id": run.id, "description": "The one in front" }, "category": "other", "statement": "Too fast.",
    });
    ana.post("/reports", nameless).await.expect(201);
    assert!(town.mail_to(&fay.email).await.is_empty());
    let after = fay.get(&run.at("")).await.expect(200);
    assert_eq!((before.header("etag"), &before.json), (after.header("etag"), &after.json));
    assert_eq!(roster.json, fay.get(&run.at("/signups")).await.expect(200).json);
}

#[apply(database_test!)]
async fn nobody_looks_into_a_report_about_themselves(town: Town) {
    let (mo, lu, ana) = (town.moderator("Mo").await, town.moderator("Lu").await, town.person("Ana").await);
    let id = ana.post("/reports", about("account", &mo.id, "harassment")).await.expect(201).id();
    let path = format!("/moderation/reports/{id}");
    assert!(town.mail_to(&mo.email).await.is_empty());
    assert!(mo.get("/moderation/reports").await.items().is_empty());
    mo.get(&path).await.refused(404, "not_found");
    let assign = mo.post(&format!("{path}/assign"), json!({})).await;
    assert!(matches!(assign.status, 403 | 404), "{}", assign.text);
    let resolve = mo.post(&format!("{path}/resolve"), json!({ "resolution": "Nothing." })).await;
    assert!(matches!(resolve.status, 403 | 404), "{}", resolve.text);
    assert_eq!(lu.get("/moderation/reports").await.item_ids(), [id]);
}

#[apply(database_test!)]
async fn a_ban_takes_every_place_and_passes_it_on_exactly_once(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    let one = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let two = town
        .run(&fay, |run| {
            run["capacity"] = json!(1);
            run["starts_at"] = json!("2026-11-27T09:00:00Z");
        })
        .await;
    let three = town
        .run(&fay, |run| {
            run["capacity"] = json!(1);
            run["starts_at"] = json!("2026-11-28T09:00:00Z");
        })
        .await;
    let asked = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["starts_at"] = json!("2026-11-29T09:00:00Z");
        })
        .await;
    let a1 = ana.joins(&one.id, "confirmed").await;
    let b1 = ben.joins(&one.id, "waitlisted").await;
    let c1 = cem.joins(&one.id, "waitlisted").await;
    let b2 = ben.joins(&two.id, "confirmed").await;
    let a2 = ana.joins(&two.id, "waitlisted").await;
    let a3 = ana.joins(&three.id, "confirmed").await;
    let a4 = ana.joins(&asked.id, "requested").await;
    town.post_office().await;
    imposes(&mo, "ban", &ana, json!({})).await;
    let status =
        |id: &str| town.texts(&format!("SELECT status AS t FROM signups WHERE {}", by_id(&town, id))).remove(0);
    for seat in [&a1, &a2, &a3, &a4] {
        assert_eq!(status(seat), "withdrawn");
    }
    assert_eq!((ben.seat(&b1).await, cem.seat(&c1).await), (json!("offered"), json!("waitlisted")));
    assert_eq!(ben.seat(&b2).await, "confirmed");
    let letters = town.post_office().await;
    let to = |email: &str| letters.iter().filter(|l| l.to == email).count();
    assert_eq!((to(&ana.email), to(&ben.email), to(&cem.email), letters.len()), (1, 1, 0, 2));
    let letter = letters.iter().find(|l| l.to == ana.email).unwrap();
    assert!(letter.text.contains("Be kind to each other") && letter.text.contains("You were not, three times."));
    assert!(letter.text.contains("no end"), "until when:\n{}", letter.text);
    letter.link("appeal");
    assert!(fay.get(&one.at("/signups")).await.items().iter().all(|entry| entry["display_name"] != "Ana"));
}

fn by_id(town: &Town, id: &str) -> String {
    match town.kind() {
        crate::support::databases::Kind::Sqlite => format!("id = x'{}'", id.replace('-', "")),
        crate::support::databases::Kind::Postgres => format!("id = '{id}'"),
    }
}

#[apply(database_test!)]
async fn a_ban_bites_at_the_next_request_and_leaves_only_the_way_to_object(town: Town) {
    let (fay, mo, lu) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.moderator("Lu").await);
    let ana = town.person("Ana").await;
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let link = town.one_mail_to(&ana.email).await.link("not-today");
    let before = town.nobody().post("/sessions", json!({ "email": ana.email, "password": PASSWORD })).await.expect(200);
    let sanction = imposes(&mo, "ban", &ana, json!({})).await;
    for (method, path) in [("get", "/me"), ("get", "/matches"), ("post", "/reports")] {
        let answer = if method == "get" { ana.get(path).await } else { ana.post(path, json!({})).await };
        answer.refused(401, "session_ended");
    }
    let refresh = json!({ "refresh_token": before.str("refresh_token") });
    town.nobody().post("/sessions/refresh", refresh).await.refused(401, "refresh_token_invalid");
    let tokens = town.nobody().post("/sessions", json!({ "email": ana.email, "password": PASSWORD })).await.expect(200);
    assert_eq!(tokens.str("scope"), "appeal");
    let kept_out = Client::with_token(&town, &tokens.str("access_token"));
    let no = kept_out.post(&run.at("/signups"), json!({})).await.refused(403, "account_restricted");
    assert_eq!(no.json["decision"]["statement"], "You were not, three times.");
    assert_eq!((&no.json["decision"]["appeal"], &no.json["decision"]["id"]), (&json!("/v1/appeals"), &json!(sanction)));
    kept_out.get("/matches").await.refused(403, "account_restricted");
    kept_out.get("/me/running-profile").await.refused(403, "account_restricted");
    kept_out.post(&format!("/signups/{seat}/withdraw"), json!({})).await.refused(403, "account_restricted");
    kept_out.patch("/me", None, json!({ "display_name": "Bea" })).await.refused(403, "account_restricted");
    assert!(matches!(town.nobody().open(&link).await.status, 409 | 410), "there is nothing left to give back");
    town.nobody().press(&link, &[]).await;
    assert_eq!(town.rows("signups WHERE status = 'withdrawn'"), 1);
    assert_eq!(kept_out.get("/me").await.expect(200).json["kept_out_by"]["kind"], "ban");
    let decisions = kept_out.get("/me/decisions").await.expect(200).items();
    assert_eq!(decisions[0]["about"], json!({ "kind": "sanction", "id": sanction }));
    let appeal = json!({ "about": decisions[0]["about"], "statement": "That was my brother." });
    let appeal = kept_out.post("/appeals", appeal).await.expect(201).id();
    let verdict = json!({ "outcome": "overturn", "statement": "It was." });
    lu.post(&format!("/moderation/appeals/{appeal}/decide"), verdict).await.expect(200);
    // The same session is good for everything again, and the place is there.
    let back = kept_out.post(&run.at("/signups"), json!({})).await.expect(200);
    assert_eq!((&back.json["id"], &back.json["status"]), (&json!(seat), &json!("confirmed")));
    town.work().await;
}

#[apply(database_test!)]
async fn decisions_say_what_why_and_until_when(town: Town) {
    let (mo, fay, ana) = (town.moderator("Mo").await, town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let asked = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["starts_at"] = json!("2026-11-28T09:00:00Z");
        })
        .await;
    let (seat, request) = (ana.joins(&run.id, "confirmed").await, ana.joins(&asked.id, "requested").await);
    town.minutes_pass(1);
    let no = json!({ "reason_code": "group_size", "private_note": "n" });
    fay.post(&format!("/signups/{request}/decline"), no).await.expect(200);
    town.minutes_pass(1);
    let off = json!({ "reason_code": "not_a_fit", "private_note": "n", "statement": "Try the Tuesday walk." });
    fay.post(&format!("/signups/{seat}/remove"), off).await.expect(200);
    town.minutes_pass(1);
    let until = "2026-12-24T00:00:00Z";
    let bar = json!({ "account_id": ana.id, "until": until, "reason_code": "group_size", "private_note": "n" });
    let bar = fay.post("/me/bars", bar).await.expect(201).id();
    town.minutes_pass(1);
    let sanction = imposes(&mo, "warning", &ana, json!({})).await;
    town.leave_mail();
    let all = ana.get("/me/decisions").await.expect(200).items();
    let ids: Vec<&str> = all.iter().map(|one| one["about"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&sanction, &bar, &seat, &request], "newest first");
    let what = |at: usize| all[at]["what"].as_str().unwrap();
    let why = |at: usize| all[at]["why"].as_str().unwrap();
    assert_eq!((what(0), all[1]["until"].as_str()), ("a warning", Some(until)));
    assert_eq!(what(1), "the runs of Fay are closed to you");
    assert_eq!(why(1), "The group has become too large for this run.");
    let title = town.run_body()["title"].as_str().unwrap().to_owned();
    assert_eq!(what(2), format!("you are not on “{title}”, Thursday 26 November 2026, 09:00 any more"));
    assert!(why(2).starts_with("The facilitator thinks") && why(2).ends_with("Try the Tuesday walk."), "{}", why(2));
    assert!(what(3).starts_with("your request to join") && what(3).ends_with("was not approved"), "{}", what(3));
    assert_eq!(why(3), "The group has become too large for this run.");
    let page = ana.get("/me/decisions?limit=3").await.expect(200);
    let next = ana.get(&format!("/me/decisions?limit=3&cursor={}", page.str("next_cursor"))).await.expect(200);
    assert!(page.items() == all[..3] && next.items() == all[3..] && next.json["next_cursor"].is_null());
}

#[apply(database_test!)]
async fn a_banned_address_cannot_come_back_by_registering(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    imposes(&mo, "ban", &ana, json!({})).await;
    town.post_office().await;
    let body = json!({
        "email": ana.email.to_uppercase(), "password": "another meadow another lantern", "display_name": "Bea",
        "adult": true, "terms_version": "1",
    });
    town.nobody().post("/accounts", body).await.expect(202);
    assert!(town.post_office().await.is_empty());
    assert_eq!(town.rows("accounts"), 2);
    let hashes = town.texts("SELECT hash AS t FROM banned_addresses");
    assert_eq!(hashes.len(), 1);
    assert!(!hashes[0].contains('@'));
}

#[apply(database_test!)]
async fn mail_that_was_queued_is_dropped_except_the_decision(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    imposes(&mo, "suspension", &ana, json!({ "expires_at": "2026-12-24T00:00:00Z" })).await;
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.subject, "A decision about your account");
    assert!(letter.text.contains("24 December 2026"), "{}", letter.text);
    assert_eq!(town.texts("SELECT kind AS t FROM outbox WHERE status = 'dropped'"), ["signup_confirmed"]);
    town.set_clock("2026-11-26T07:30:00Z");
    assert!(town.mail_to(&ana.email).await.is_empty(), "and no reminder");
}

#[apply(database_test!)]
async fn a_suspended_facilitators_runs_are_paused_and_everybody_is_told(town: Town) {
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let ana = town.person("Ana").await;
    let alone = town.run(&fay, |_| {}).await;
    let both = town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    both_lead(&both.id, &fay, &gil).await;
    ana.joins(&alone.id, "confirmed").await;
    ana.joins(&both.id, "confirmed").await;
    town.post_office().await;
    imposes(&mo, "suspension", &fay, json!({ "expires_at": "2026-12-24T00:00:00Z" })).await;
    let status = async |id: &str| town.nobody().get(&format!("/runs/{id}")).await.json["status"].clone();
    assert_eq!((status(&alone.id).await, status(&both.id).await), (json!("paused"), json!("published")));
    let letters = town.post_office().await;
    let to = |email: &str| letters.iter().filter(|l| l.to == email).count();
    assert_eq!(
        (to(&ana.email), to(&fay.email), to(&gil.email)),
        (1, 1, 1),
        "{:?}",
        letters.iter().map(|l| (&l.to, &l.subject)).collect::<Vec<_>>()
    );
    let shown = town.nobody().get(&format!("/runs/{}", both.id)).await.json;
    assert_eq!(shown["facilitators"], json!([{ "id": gil.id, "display_name": "Gil", "role": "leader" }]));
    gil.post(&format!("/runs/{}/take-over", alone.id), json!({})).await.expect(200);
    let back = town.log_in_again(&fay).await;
    back.post(&format!("/runs/{}/take-over", alone.id), json!({})).await.refused(403, "account_restricted");
    back.get(&format!("/runs/{}/signups", both.id)).await.refused(403, "account_restricted");
    town.work().await;
}

async fn both_lead(run: &str, first: &Person, second: &Person) {
    let path = format!("/runs/{run}/facilitators");
    first.post(&path, json!({ "account_id": second.id })).await.expect(201);
    second.post(&path, json!({ "account_id": second.id })).await.expect(200);
}

#[apply(database_test!)]
async fn a_suspension_ends_by_itself(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    imposes(&mo, "suspension", &ana, json!({ "expires_at": "2026-11-25T00:00:00Z" })).await;
    let back = town.log_in_again(&ana).await;
    back.sign_up(&run.id).await.refused(403, "account_restricted");
    town.set_clock("2026-11-25T00:00:00Z");
    back.joins(&run.id, "confirmed").await;
    town.work().await;
}

#[apply(database_test!)]
async fn a_hold_lasts_fourteen_days_at_most_and_is_no_finding(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let long = decision("hold", &ana, json!({ "expires_at": "2026-12-08T00:00:00Z" }));
    mo.post("/moderation/sanctions", long).await.faulty(&["/expires_at too_far_ahead"]);
    let held = mo.post("/moderation/sanctions", decision("hold", &ana, json!({}))).await.expect(201);
    assert_eq!(held.str("expires_at"), "2026-12-07T10:00:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("not a finding"), "{}", letter.text);
    let back = town.log_in_again(&ana).await;
    back.get("/matches").await.refused(403, "account_restricted");
    town.hours_pass(14 * 24);
    back.get("/me/email-preferences").await.expect(200);
}

#[apply(database_test!)]
async fn a_facilitating_decision_leaves_the_places_alone(town: Town) {
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let led = town.run(&fay, |_| {}).await;
    let joined = town.run(&gil, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    let seat = fay.joins(&joined.id, "confirmed").await;
    imposes(&mo, "ban", &fay, json!({ "scope": "facilitating" })).await;
    assert_eq!(fay.seat(&seat).await, "confirmed", "the session lives on and so does the place");
    assert_eq!(town.nobody().get(&led.at("")).await.json["status"], "paused");
    fay.post("/runs", town.run_body()).await.refused(403, "facilitators_only");
    fay.post("/facilitator-applications", json!({ "statement": "Again." })).await.expect(201);
    town.work().await;
}

#[apply(database_test!)]
async fn a_warning_takes_nothing_away(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    imposes(&mo, "warning", &ana, json!({})).await;
    assert_eq!(ana.seat(&seat).await, "confirmed");
    assert_eq!(town.mail_to(&ana.email).await.len(), 2, "the confirmation and the warning");
}

#[apply(database_test!)]
async fn a_decision_needs_what_its_kind_needs(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let refuse = async |kind: &str, more: Value, fault: &str| {
        mo.post("/moderation/sanctions", decision(kind, &ana, more)).await.faulty(&[fault]);
    };
    refuse("suspension", json!({}), "/expires_at required").await;
    refuse("suspension", json!({ "expires_at": "2026-11-23T10:00:00Z" }), "/expires_at in_the_past").await;
    refuse("ban", json!({ "expires_at": "2027-11-23T10:00:00Z" }), "/expires_at not_for_a_ban").await;
    refuse("ban", json!({ "statement": "" }), "/statement too_short").await;
    refuse("exile", json!({}), "/kind unknown_value").await;
    refuse("ban", json!({ "account_id": "00000000-0000-4000-8000-000000000000" }), "/account_id not_found").await;
    let oneself = decision("ban", &mo, json!({}));
    mo.post("/moderation/sanctions", oneself).await.refused(403, "not_for_yourself");
    ana.post("/moderation/sanctions", decision("ban", &mo, json!({}))).await.refused(403, "moderators_only");
    assert_eq!(town.rows("sanctions"), 0);
    assert_eq!(town.rows("outbox"), 0);
}

#[apply(database_test!)]
async fn lifting_a_decision_lets_the_person_back_in(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let ban = imposes(&mo, "ban", &ana, json!({})).await;
    town.post_office().await;
    let path = format!("/moderation/sanctions/{ban}/lift");
    mo.post(&path, json!({})).await.faulty(&["/reason required"]);
    mo.post(&path, json!({ "reason": "It was a mistake." })).await.expect(200);
    mo.post(&path, json!({ "reason": "Again." })).await.refused(409, "sanction_ended");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("It was a mistake."), "{}", letter.text);
    let back = town.log_in_again(&ana).await;
    back.joins(&run.id, "confirmed").await;
    assert_eq!(town.rows("banned_addresses"), 0);
    town.work().await;
}

#[apply(database_test!)]
async fn an_appeal_goes_to_somebody_else(town: Town) {
    let (mo, lu) = (town.moderator("Mo").await, town.moderator("Lu").await);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let sanction = imposes(&mo, "suspension", &ana, json!({ "expires_at": "2026-12-24T00:00:00Z" })).await;
    let link = town.one_mail_to(&ana.email).await.link("appeal");
    let page = town.nobody().open(&link).await.expect(200);
    assert!(page.text.contains("You were not, three times."), "{}", page.text);
    assert_eq!(town.rows("appeals"), 0);
    assert_eq!(town.nobody().press(&link, &[("statement", " ")]).await.status, 422);
    town.nobody().press(&link, &[("statement", "It was my brother.")]).await.expect(200);
    let letters = town.post_office().await;
    assert_eq!(letters.iter().map(|l| &l.to).collect::<Vec<_>>(), [&lu.email], "not to whoever decided");
    let about = json!({ "about": { "kind": "sanction", "id": sanction }, "statement": "x" });
    ben.post("/appeals", about).await.refused(404, "not_found");
    let appeal = lu.get("/moderation/appeals").await.item_ids().remove(0);
    let path = format!("/moderation/appeals/{appeal}/decide");
    let verdict = json!({ "outcome": "uphold", "statement": "Your brother was in Leeds." });
    mo.post(&path, verdict.clone()).await.refused(403, "not_for_yourself");
    let decided = lu.post(&path, verdict.clone()).await.expect(200);
    assert_eq!((&decided.json["outcome"], &decided.json["second_person"]), (&json!("uphold"), &json!(true)));
    lu.post(&path, verdict).await.refused(409, "appeal_decided");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("Your brother was in Leeds."), "a decision's mail reaches whom it keeps out");
    assert_eq!(town.rows("audit_log WHERE act IN ('appeal_filed', 'appeal_decided')"), 2);
}

#[apply(database_test!)]
async fn in_a_team_of_one_the_appeal_is_marked(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let sanction = imposes(&mo, "hold", &ana, json!({})).await;
    let back = town.log_in_again(&ana).await;
    let appeal = json!({ "about": { "kind": "sanction", "id": sanction }, "statement": "Please look again." });
    let appeal = back.post("/appeals", appeal).await.expect(201).id();
    let verdict = json!({ "outcome": "uphold", "statement": "I did." });
    let decided = mo.post(&format!("/moderation/appeals/{appeal}/decide"), verdict).await.expect(200);
    assert_eq!(decided.json["second_person"], false);
    let letters = town.mail_to(&ana.email).await;
    let said = letters.iter().find(|l| l.text.contains("I did.")).expect("the answer");
    assert!(said.text.contains("second person") || said.text.contains("somebody else"), "{}", said.text);
}

#[apply(database_test!)]
async fn a_banned_person_waiting_gains_nothing_when_a_place_comes_free(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let people = town.people("Pat", 3).await;
    let first = people[0].joins(&run.id, "confirmed").await;
    people[1].joins(&run.id, "waitlisted").await;
    let third = people[2].joins(&run.id, "waitlisted").await;
    imposes(&mo, "hold", &people[1], json!({})).await;
    people[0].withdraws(&first).await;
    assert_eq!(people[2].seat(&third).await, "offered");
    let letters = town.post_office().await;
    assert!(letters.iter().filter(|l| l.to == people[1].email).all(|l| l.subject == "A decision about your account"));
}

#[apply(database_test!)]
async fn every_act_over_a_person_has_its_row_in_the_audit_log(town: Town) {
    let (ada, mo, fay) = (town.admin().await, town.moderator("Mo").await, town.facilitator("Fay").await);
    let gil = town.facilitator("Gil").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    both_lead(&run.id, &fay, &gil).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let removal = json!({ "reason_code": "group_size", "private_note": "Too many." });
    fay.post(&format!("/signups/{seat}/remove"), removal).await.expect(200);
    let bar = json!({ "account_id": ben.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    let bar = fay.post("/me/bars", bar).await.expect(201).id();
    fay.delete(&format!("/me/bars/{bar}")).await.expect(204);
    fay.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    for (kind, more) in [
        ("hold", json!({})),
        ("warning", json!({})),
        ("suspension", json!({ "expires_at": "2026-12-30T00:00:00Z" })),
        ("ban", json!({})),
    ] {
        let sanction = imposes(&mo, kind, &ben, more).await;
        mo.post(&format!("/moderation/sanctions/{sanction}/lift"), json!({ "reason": "r" })).await.expect(200);
    }
    let log = ada.get("/moderation/audit-log?limit=100").await.expect(200);
    let count = |act: &str| log.items().iter().filter(|row| row["act"] == act).count();
    for (act, times) in [
        ("signup_removed", 1),
        ("bar_set", 1),
        ("bar_lifted", 1),
        ("facilitator_listed", 1),
        ("facilitator_unlisted", 1),
        ("hold_set", 1),
        ("warning_given", 1),
        ("suspended", 1),
        ("banned", 1),
        ("sanction_lifted", 4),
    ] {
        assert_eq!(count(act), times, "{act}");
    }
    for row in log.items() {
        assert!(!row["about"].to_string().contains("You were not"), "no personal words: {row}");
    }
    mo.get("/moderation/audit-log").await.refused(403, "admins_only");
    let about_ben = ada.get(&format!("/moderation/audit-log?subject={}", ben.id)).await.items();
    assert!(
        about_ben.len() == 10 && about_ben.iter().all(|row| row["subject"] == json!(ben.id)),
        "{}",
        about_ben.len()
    );
    town.work().await;
}

#[apply(database_test!)]
async fn the_audit_log_can_be_neither_changed_nor_deleted(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    imposes(&mo, "warning", &ana, json!({})).await;
    for statement in [
        "UPDATE audit_log SET act = 'nothing'",
        "UPDATE audit_log SET subject = NULL",
        "UPDATE audit_log SET about = '{}', seq = 1",
        "DELETE FROM audit_log",
    ] {
        let fault = town.execute(statement).expect_err(statement);
        assert!(fault.contains("append-only"), "{fault}");
    }
    // The chainer may number a row, once.
    town.execute("UPDATE audit_log SET seq = 1, hash = 'h', prev_hash = ''").expect("the chainer's own change");
    assert!(town.execute("UPDATE audit_log SET seq = 2").is_err());
    assert!(town.execute("UPDATE audit_log SET hash = 'x'").is_err());
    assert_eq!(town.rows("audit_log WHERE act = 'warning_given'"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn ones_own_sign_ups_are_not_in_the_audit_log(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let before = town.rows("audit_log");
    let seat = ana.joins(&run.id, "confirmed").await;
    ana.withdraws(&seat).await;
    assert_eq!(town.rows("audit_log"), before);
    town.work().await;
}

#[apply(database_test!)]
async fn the_token_of_a_decisions_mail_objects_without_logging_in(town: Town) {
    let (mo, ana, nobody) = (town.moderator("Mo").await, town.person("Ana").await, town.nobody());
    let sanction = imposes(&mo, "hold", &ana, json!({})).await;
    let token = town.one_mail_to(&ana.email).await.token("appeal");
    nobody.post("/appeals", json!({ "statement": "Please look again." })).await.refused(401, "not_logged_in");
    let other = json!({ "kind": "sanction", "id": "00000000-0000-7000-8000-000000000000" });
    let body = json!({ "token": token, "about": other, "statement": "Please look again." });
    nobody.post("/appeals", body).await.refused(403, "link_invalid");
    nobody.post("/appeals", json!({ "token": token, "statement": "" })).await.faulty(&["/statement too_short"]);
    let body = json!({ "token": token, "statement": "Please look again." });
    let filed = nobody.post("/appeals", body.clone()).await.expect(201);
    assert_eq!(filed.json["about"], json!({ "kind": "sanction", "id": sanction }));
    nobody.post("/appeals", body).await.refused(403, "link_invalid");
    let back = town.log_in_again(&ana).await;
    back.post("/appeals", json!({ "statement": "Again." })).await.faulty(&["/about required"]);
    town.work().await;
}
