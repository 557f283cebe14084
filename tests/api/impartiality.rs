//! What concerns a member of the team is for the rest of it: reports, blocks and wishes are hidden from them in every list and
//! row, and nobody decides about somebody with whom something is open.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{domain::account::Role, store::accounts};

use crate::{
    harness::{Answer, Person, Run, Town},
    support::database_test::database_test,
};

const UNKNOWN: &str = "01a20000-0000-7000-8000-000000000000";

async fn with_role(town: &Town, person: &Person, role: Role) {
    let (id, now) = (person.id, town.now());
    town.app().db.write(move |tx| accounts::grant_role(tx, id, role, None, now)).await.expect("a role");
}

/// A facilitator with a role in the team.
async fn leader_in_the_team(town: &Town, name: &str, role: Role) -> Person {
    let person = town.facilitator(name).await;
    with_role(town, &person, role).await;
    person
}

async fn reports(person: &Person, about: Value) -> String {
    let body = json!({ "about": about, "category": "harassment", "statement": "It was not right." });
    person.post("/reports", body).await.expect(201).id()
}

/// A run that is over, with these people on it.
async fn past_run(town: &Town, leader: &Person, people: &[&Person]) -> Run {
    let run = town.run(leader, |run| run["starts_at"] = json!("2026-11-23T12:00:00Z")).await;
    for person in people {
        person.joins(&run.id, "confirmed").await;
    }
    town.hours_pass(6);
    run
}

fn suspension(person: &Person) -> Value {
    json!({ "account_id": person.id, "kind": "suspension", "rule": "r", "statement": "s",
        "expires_at": "2026-12-24T00:00:00Z" })
}

/// Two answers that cannot be told apart, but for what names the request.
fn alike(one: Answer, other: Answer) {
    assert_eq!((one.status, &one.json), (other.status, &other.json));
    assert_eq!(one.header_names(), other.header_names());
}

fn log_of(rows: &[Value]) -> Vec<(String, String)> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (word(row, "act"), word(row, "actor"))).collect()
}

#[apply(database_test!)]
async fn audit_log_hides_from_its_reader_who_reported_or_blocked_them(town: Town) {
    let ada = leader_in_the_team(&town, "Ada", Role::Admin).await;
    let (eve, ana, ben) = (town.admin().await, town.person("Ana").await, town.person("Ben").await);
    let run = past_run(&town, &ada, &[&ana, &ben]).await;
    let about_ada = reports(&ana, json!({ "kind": "account", "id": ada.id })).await;
    reports(&ana, json!({ "kind": "run", "id": run.id })).await;
    reports(&ben, json!({ "run_id": run.id, "description": "The one in front" })).await;
    let own = reports(&ada, json!({ "kind": "account", "id": ben.id })).await;
    ana.post("/blocks", json!({ "account_id": ada.id })).await.expect(202);
    ben.post("/blocks", json!({ "run_id": run.id, "description": "The one in front" })).await.expect(202);
    eve.post(&format!("/moderation/reports/{about_ada}/assign"), json!({})).await.expect(200);
    let secret = ["report_filed", "report_assigned", "block_set"];
    let all = eve.get("/moderation/audit-log?limit=100").await.expect(200).items();
    assert_eq!(log_of(&all).iter().filter(|(act, _)| secret.contains(&act.as_str())).count(), 7);
    let seen = ada.get("/moderation/audit-log?limit=100").await.expect(200);
    let seen_secret: Vec<_> =
        log_of(&seen.items()).into_iter().filter(|(act, _)| secret.contains(&act.as_str())).collect();
    assert_eq!(seen_secret, [("report_filed".to_owned(), ada.id.to_string())], "but for the reader's own");
    assert!(!seen.text.contains(&ana.id.to_string()), "{}", seen.text);
    assert!(ada.get(&format!("/moderation/audit-log?subject={}", ada.id)).await.expect(200).items().is_empty());
    // One by one, no page is short and no cursor leads to what is hidden.
    let (mut pages, mut next) = (Vec::new(), String::new());
    loop {
        let page = ada.get(&format!("/moderation/audit-log?limit=1{next}")).await.expect(200);
        assert_eq!(page.items().len(), 1, "{}", page.text);
        pages.extend(page.items());
        match page.json["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(pages, seen.items());
    assert!(seen.text.contains(&own));
    town.leave_mail();
}

#[apply(database_test!)]
async fn queues_hide_what_concerns_their_reader_from_lengths_and_cursors(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let mo = leader_in_the_team(&town, "Mo", Role::WelfareModerator).await;
    let wim = town.person("Wim").await;
    with_role(&town, &wim, Role::WelfareModerator).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = past_run(&town, &mo, &[&ana, &ben]).await;
    for about in [json!({ "kind": "account", "id": mo.id }), json!({ "kind": "run", "id": run.id })] {
        reports(&ana, about).await;
    }
    let seen = reports(&ana, json!({ "kind": "account", "id": ben.id })).await;
    reports(&ben, json!({ "kind": "facilitator", "id": mo.id })).await;
    ben.post("/blocks", json!({ "run_id": run.id, "description": "The one in front" })).await.expect(202);
    ana.post(&run.at("/after-run"), json!({ "contact_me": true })).await.expect(200);
    let page = mo.get("/moderation/reports?limit=1").await.expect(200);
    assert_eq!((page.item_ids(), &page.json["next_cursor"]), (vec![seen], &Value::Null));
    for queue in ["reports?limit=1&status=assigned", "blocks?limit=1", "care?limit=1", "incidents?limit=1"] {
        let page = mo.get(&format!("/moderation/{queue}")).await.expect(200);
        assert_eq!(page.json, json!({ "items": [], "next_cursor": null }), "{queue}");
    }
    let letters = town.post_office().await;
    let to_mo: Vec<&String> =
        letters.iter().filter(|letter| letter.to == mo.email).map(|letter| &letter.subject).collect();
    assert!(to_mo.iter().all(|subject| !subject.contains("hear from us") && !subject.contains("found")), "{to_mo:?}");
    assert_eq!(wim.get("/moderation/reports?limit=100").await.items().len(), 4);
    assert_eq!(wim.get("/moderation/care").await.items().len(), 1);
}

#[apply(database_test!)]
async fn report_of_a_run_stays_hidden_from_whoever_steps_down_from_it(town: Town) {
    let mo = leader_in_the_team(&town, "Mo", Role::Moderator).await;
    let (gil, lu, ana) = (town.facilitator("Gil").await, town.moderator("Lu").await, town.person("Ana").await);
    let run = town.run(&mo, |_| {}).await;
    mo.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    let id = reports(&ana, json!({ "kind": "run", "id": run.id })).await;
    mo.delete(&run.at(&format!("/facilitators/{}", mo.id))).await.expect(204);
    assert!(mo.get("/moderation/reports").await.expect(200).items().is_empty());
    mo.get(&format!("/moderation/reports/{id}")).await.refused(404, "not_found");
    assert_eq!(lu.get("/moderation/reports").await.expect(200).item_ids(), [id]);
    town.leave_mail();
}

#[apply(database_test!)]
async fn incident_is_hidden_from_a_moderator_whom_it_names(town: Town) {
    let (fay, mo, lu) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.moderator("Lu").await);
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-23T12:00:00Z")).await;
    let seat = mo.joins(&run.id, "confirmed").await;
    town.hours_pass(3);
    let body = json!({ "what_happened": "They shouted.", "severity": "minor", "signup_ids": [seat] });
    let incident = fay.post(&run.at("/incidents"), body).await.expect(201);
    assert!(mo.get("/moderation/incidents").await.expect(200).items().is_empty());
    mo.get(&format!("/moderation/incidents/{}", incident.id())).await.refused(404, "not_found");
    mo.get(&format!("/moderation/reports/{}", incident.str("report_id"))).await.refused(404, "not_found");
    assert_eq!(lu.get("/moderation/incidents").await.expect(200).items().len(), 1);
    town.leave_mail();
}

#[apply(database_test!)]
async fn routes_of_hidden_things_answer_as_for_unknown_ids(town: Town) {
    let mo = leader_in_the_team(&town, "Mo", Role::Moderator).await;
    let (lu, ana) = (town.moderator("Lu").await, town.person("Ana").await);
    let run = past_run(&town, &mo, &[&ana]).await;
    let report = reports(&ana, json!({ "kind": "account", "id": mo.id })).await;
    let block = json!({ "run_id": run.id, "description": "The one in front" });
    let block = ana.post("/blocks", block).await.expect(202).id();
    let bodies = [json!({}), json!({ "resolution": "Nothing." }), json!({ "account_id": ana.id }), json!({ "x": 1 })];
    let routes = ["reports/{}/assign", "reports/{}/resolve", "blocks/{}/resolve", "blocks/{}/dismiss"];
    for open in [true, false] {
        for route in routes {
            let hidden = if route.starts_with("reports") { &report } else { &block };
            for body in &bodies {
                let one = mo.post(&format!("/moderation/{}", route.replace("{}", hidden)), body.clone()).await;
                let other = mo.post(&format!("/moderation/{}", route.replace("{}", UNKNOWN)), body.clone()).await;
                assert_eq!(one.status, 404, "{route} {body}");
                alike(one, other);
            }
        }
        for (route, hidden) in [("reports", &report), ("blocks", &block)] {
            let one = mo.get(&format!("/moderation/{route}/{hidden}")).await;
            alike(one, mo.get(&format!("/moderation/{route}/{UNKNOWN}")).await);
        }
        if open {
            // The same once another has closed them.
            let done = json!({ "resolution": "Talked to both." });
            lu.post(&format!("/moderation/reports/{report}/resolve"), done).await.expect(200);
            lu.post(&format!("/moderation/blocks/{block}/resolve"), json!({ "account_id": mo.id })).await.expect(204);
        }
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn wish_from_a_run_that_a_moderator_leads_answers_as_unknown(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let mo = leader_in_the_team(&town, "Mo", Role::WelfareModerator).await;
    let (wim, ana) = (town.person("Wim").await, town.person("Ana").await);
    with_role(&town, &wim, Role::WelfareModerator).await;
    let run = past_run(&town, &mo, &[&ana]).await;
    ana.post(&run.at("/after-run"), json!({ "contact_me": true })).await.expect(200);
    let wish = wim.get("/moderation/care").await.expect(200).item_ids().remove(0);
    for act in ["take", "done"] {
        for body in [json!({}), json!({ "x": 1 })] {
            let one = mo.post(&format!("/moderation/care/{wish}/{act}"), body.clone()).await;
            let other = mo.post(&format!("/moderation/care/{UNKNOWN}/{act}"), body).await;
            assert_eq!(one.status, 404);
            alike(one, other);
        }
    }
    wim.post(&format!("/moderation/care/{wish}/take"), json!({})).await.expect(200);
    town.leave_mail();
}

#[apply(database_test!)]
async fn reported_moderator_decides_nothing_about_the_reporter(town: Town) {
    let (mo, lu, eve) = (town.moderator("Mo").await, town.moderator("Lu").await, town.admin().await);
    let (ana, ben) = (town.facilitator("Ana").await, town.person("Ben").await);
    let old = lu
        .post(
            "/moderation/sanctions",
            json!({ "account_id": ana.id, "kind": "warning", "rule": "r",
        "statement": "s" }),
        )
        .await
        .expect(201)
        .id();
    let appeal = json!({ "about": { "kind": "sanction", "id": old }, "statement": "No." });
    let appeal = ana.post("/appeals", appeal).await.expect(201).id();
    let about_ana = reports(&ben, json!({ "kind": "account", "id": ana.id })).await;
    let run = town.run(&ana, |_| {}).await;
    let own = reports(&ana, json!({ "kind": "account", "id": mo.id })).await;
    for kind in ["hold", "warning", "suspension", "ban"] {
        let mut body = suspension(&ana);
        body["kind"] = json!(kind);
        if kind == "ban" || kind == "hold" {
            body.as_object_mut().unwrap().remove("expires_at");
        }
        let refused = mo.post("/moderation/sanctions", body).await.refused(409, "another_decides");
        assert!(!refused.text.contains("report"), "{}", refused.text);
    }
    mo.post(&format!("/moderation/sanctions/{old}/lift"), json!({ "reason": "r" }))
        .await
        .refused(409, "another_decides");
    let verdict = json!({ "outcome": "uphold", "statement": "s" });
    mo.post(&format!("/moderation/appeals/{appeal}/decide"), verdict.clone()).await.refused(409, "another_decides");
    let path = format!("/moderation/reports/{about_ana}");
    mo.post(&format!("{path}/resolve"), json!({ "resolution": "r" })).await.refused(409, "another_decides");
    mo.post(&format!("{path}/assign"), json!({})).await.refused(409, "another_decides");
    mo.post(&format!("{path}/assign"), json!({ "account_id": eve.id })).await.expect(200);
    mo.post(&run.at("/cancel"), json!({ "reason_code": "other" })).await.refused(409, "another_decides");
    assert_eq!(town.rows("sanctions"), 1);
    // Everybody else can decide, and so can the moderator about everybody else.
    mo.post("/moderation/sanctions", suspension(&ben)).await.expect(201);
    eve.post(&format!("/moderation/appeals/{appeal}/decide"), verdict).await.expect(200);
    // Once it is closed, nothing stands between them.
    eve.post(&format!("/moderation/reports/{own}/resolve"), json!({ "resolution": "Talked." })).await.expect(200);
    mo.post("/moderation/sanctions", suspension(&ana)).await.expect(201);
    town.leave_mail();
}

#[apply(database_test!)]
async fn blocks_and_incidents_stand_between_as_well(town: Town) {
    let mo = leader_in_the_team(&town, "Mo", Role::Moderator).await;
    let lu = town.moderator("Lu").await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    ana.post("/blocks", json!({ "account_id": mo.id })).await.expect(202);
    mo.post("/moderation/sanctions", suspension(&ana)).await.refused(409, "another_decides");
    // A run of the moderator's is reported: whoever was on it is decided about by others, and it says not by whom.
    let run = past_run(&town, &mo, &[&ben, &cem]).await;
    reports(&ben, json!({ "kind": "run", "id": run.id })).await;
    for person in [&ben, &cem] {
        mo.post("/moderation/sanctions", suspension(person)).await.refused(409, "another_decides");
        lu.post("/moderation/sanctions", suspension(person)).await.expect(201);
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn reporting_the_whole_team_protects_nobody(town: Town) {
    let (mo, lu, ana) = (town.moderator("Mo").await, town.moderator("Lu").await, town.person("Ana").await);
    reports(&ana, json!({ "kind": "account", "id": mo.id })).await;
    mo.post("/moderation/sanctions", suspension(&ana)).await.refused(409, "another_decides");
    reports(&ana, json!({ "kind": "account", "id": lu.id })).await;
    mo.post("/moderation/sanctions", suspension(&ana)).await.expect(201);
    town.leave_mail();
}

#[apply(database_test!)]
async fn team_of_one_decides_alone_and_of_two_not_about_each_other(town: Town) {
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    reports(&ana, json!({ "kind": "account", "id": mo.id })).await;
    mo.post("/moderation/sanctions", suspension(&ana)).await.expect(201);
    let eve = town.admin().await;
    reports(&mo, json!({ "kind": "account", "id": eve.id })).await;
    eve.post("/moderation/sanctions", suspension(&mo)).await.refused(409, "another_decides");
    eve.delete(&format!("/accounts/{}/roles/moderator", mo.id)).await.refused(409, "another_decides");
    town.leave_mail();
}
