//! Facilitators: applying, credentials, the team's yes or no, and bars.

use macro_rules_attribute::apply;
use serde_json::json;

use crate::{harness::Town, support::database_test::database_test};

#[apply(database_test!)]
async fn from_applying_to_posting_a_run(town: Town) {
    let (mo, fay) = (town.moderator("Mo").await, town.person("Fay").await);
    fay.post("/runs", town.run_body()).await.refused(403, "facilitators_only");
    let body = json!({
        "statement": "I have led walks for ten years.",
        "credentials": [{ "kind": "first_aid", "issuer": "Red Cross", "reference": "A-1", "expires_on": "2027-10-31" }],
    });
    let application = fay.post("/facilitator-applications", body.clone()).await.expect(201);
    assert_eq!(application.json["status"], "pending");
    fay.post("/facilitator-applications", body).await.refused(409, "application_pending");
    let letters = town.post_office().await;
    assert!(letters.iter().any(|l| l.to == mo.email) && letters.iter().any(|l| l.to == fay.email));
    assert_eq!(mo.get("/facilitator-applications?status=pending").await.item_ids(), [application.id()]);
    let stranger = town.person("Sam").await;
    assert!(stranger.get("/facilitator-applications").await.item_ids().is_empty(), "one's own only");
    assert_eq!(fay.get("/facilitator-applications").await.item_ids(), [application.id()]);
    let path = format!("/facilitator-applications/{}/approve", application.id());
    fay.post(&path, json!({})).await.refused(403, "moderators_only");
    let approved = mo.post(&path, json!({ "reason": "Welcome." })).await.expect(200);
    assert_eq!(approved.json["status"], "approved");
    mo.post(&path, json!({})).await.refused(409, "application_decided");
    fay.post("/facilitator-applications", json!({ "statement": "Again" })).await.refused(409, "already_facilitator");
    assert_eq!(fay.get("/me").await.json["facilitator"], true);
    fay.post("/runs", town.run_body()).await.expect(201);
    town.one_mail_to(&fay.email).await;
    assert_eq!(town.rows("audit_log WHERE act = 'application_approved'"), 1);
}

#[apply(database_test!)]
async fn a_no_needs_a_reason_and_is_told_with_a_way_to_object(town: Town) {
    let (mo, lu, fay) = (town.moderator("Mo").await, town.moderator("Lu").await, town.person("Fay").await);
    let application = fay.post("/facilitator-applications", json!({ "statement": "Please." })).await.expect(201).id();
    town.post_office().await;
    let path = format!("/facilitator-applications/{application}/reject");
    mo.post(&path, json!({})).await.faulty(&["/reason required"]);
    mo.post(&path, json!({ "reason": " " })).await.faulty(&["/reason required"]);
    mo.post(&path, json!({ "reason": "Come along a few times first." })).await.expect(200);
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.text.contains("Come along a few times first."), "{}", letter.text);
    let link = letter.link("appeal");
    let page = town.nobody().open(&link).await.expect(200);
    assert!(page.text.contains("Come along a few times first."), "{}", page.text);
    town.nobody().press(&link, &[("statement", "I did, eight times.")]).await.expect(200);
    let waiting = lu.get("/moderation/appeals").await.expect(200).items();
    assert_eq!((waiting.len(), &waiting[0]["statement"]), (1, &json!("I did, eight times.")));
    let decide = format!("/moderation/appeals/{}/decide", waiting[0]["id"].as_str().unwrap());
    let verdict = json!({ "outcome": "overturn", "statement": "You did." });
    mo.post(&decide, verdict.clone()).await.refused(403, "not_for_yourself");
    lu.post(&decide, verdict).await.expect(200);
    assert_eq!(fay.get("/facilitator-applications").await.items()[0]["status"], "pending");
    let again = format!("/facilitator-applications/{application}/approve");
    lu.post(&again, json!({})).await.expect(200);
    fay.post("/runs", town.run_body()).await.expect(201);
    town.work().await;
}

#[apply(database_test!)]
async fn required_credentials_have_to_be_named_and_unexpired(town: Town) {
    let town = town.with(&[("REQUIRED_CREDENTIALS", "first_aid,background_check")]);
    let fay = town.person("Fay").await;
    let none = fay.post("/facilitator-applications", json!({ "statement": "Please." })).await;
    assert_eq!(none.refused(409, "credentials_missing").json["missing"], json!(["first_aid", "background_check"]));
    let credential = |kind: &str, end: &str| json!({ "kind": kind, "issuer": "Somebody", "expires_on": end });
    let body = json!({ "statement": "Please.", "credentials": [
        credential("first_aid", "2026-11-22"), credential("background_check", "2027-02-30"), credential("Bad Kind!", "x"),
    ] });
    let faulty = fay.post("/facilitator-applications", body).await.expect(422);
    assert!(faulty.faults().iter().any(|f| f.starts_with("/credentials/2/kind ")), "{:?}", faulty.faults());
    let body = json!({ "statement": "Please.", "credentials": [
        credential("first_aid", "2026-11-22"), credential("background_check", "2026-11-23"),
    ] });
    fay.post("/facilitator-applications", body).await.faulty(&["/credentials/0/expires_on expired"]);
    assert_eq!(town.rows("facilitator_applications"), 0);
    let body = json!({ "statement": "Please.", "credentials": [
        credential("first_aid", "2026-11-23"), credential("background_check", "2028-01-01"),
    ] });
    fay.post("/facilitator-applications", body).await.expect(201);
    town.work().await;
}

#[apply(database_test!)]
async fn a_credential_that_lapses_pauses_the_runs(town: Town) {
    let town = town.with(&[("REQUIRED_CREDENTIALS", "first_aid")]);
    let (mo, fay, ana) = (town.moderator("Mo").await, town.person("Fay").await, town.person("Ana").await);
    let body = json!({ "statement": "Please.", "credentials": [
        { "kind": "first_aid", "issuer": "Red Cross", "expires_on": "2026-11-24" },
    ] });
    let application = fay.post("/facilitator-applications", body).await.expect(201).id();
    mo.post(&format!("/facilitator-applications/{application}/approve"), json!({})).await.expect(200);
    // Later than the days within which it would be paused ahead.
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-12-10T09:00:00Z")).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-24T23:59:00Z");
    assert_eq!(town.work().await, 0);
    town.set_clock("2026-11-25T00:00:00Z");
    let letters = town.post_office().await;
    assert_eq!(ana.get(&run.at("")).await.json["status"], "paused");
    assert!(letters.iter().any(|l| l.to == ana.email) && letters.iter().any(|l| l.to == fay.email));
    town.person("Ben").await.sign_up(&run.id).await.refused(409, "run_paused");
    fay.post("/runs", town.run_body()).await.refused(403, "not_in_good_standing");
    assert_eq!(ana.seat(&seat).await, "confirmed", "those who are in stay in");
}

#[apply(database_test!)]
async fn renewed_credentials_count_from_a_moderators_yes_on_and_what_is_not_renewed_stays_a_condition(town: Town) {
    let strict = town.with(&[("REQUIRED_CREDENTIALS", "first_aid,check")]);
    let (mo, fay) = (strict.moderator("Mo").await, strict.person("Fay").await);
    let applies = async |town: &Town, named: &[(&str, &str)]| {
        let named: Vec<_> = named
            .iter()
            .map(|(kind, until)| json!({ "kind": kind, "issuer": "Red Cross", "expires_on": until }))
            .collect();
        let body = json!({ "statement": "Please.", "credentials": named });
        crate::harness::Client::with_token(town, &fay.token().expect("a token"))
            .post("/facilitator-applications", body)
            .await
    };
    let decide = async |application: &str, what: &str| {
        let path = format!("/facilitator-applications/{application}/{what}");
        mo.post(&path, json!({ "reason": "Because." })).await.expect(200)
    };
    let first = applies(&strict, &[("first_aid", "2026-12-01"), ("check", "2027-03-01")]).await.expect(201).id();
    decide(&first, "approve").await;
    let run = strict.run(&fay, |run| run["starts_at"] = json!("2026-12-10T09:00:00Z")).await;
    town.post_office().await;
    strict.set_clock("2026-12-03T10:00:00Z");
    strict.post_office().await;
    assert_eq!(fay.get(&run.at("")).await.json["status"], "paused");
    fay.post("/facilitator-applications", json!({ "statement": "Again." })).await.refused(409, "credentials_missing");
    // Where the house asks for nothing any more, what Fay's approval asked for still counts.
    applies(&town, &[]).await.refused(409, "already_facilitator");
    let no = applies(&town, &[("first_aid", "2027-01-01")]).await.expect(201).id();
    applies(&town, &[("first_aid", "2028-01-01")]).await.refused(409, "application_pending");
    decide(&no, "reject").await;
    let letters = town.post_office().await;
    let answer = |letter: &&crate::harness::Letter| letter.to == fay.email && letter.subject.contains("looked at");
    let letter = letters.iter().find(answer).expect("a mail");
    assert!(letter.text.contains("What you had"), "{}", letter.text);
    fay.post("/runs", town.run_body()).await.refused(403, "not_in_good_standing");
    let yes = applies(&town, &[("first_aid", "2028-01-01")]).await.expect(201).id();
    assert_ne!(fay.get("/me").await.json["facilitator"], true, "nothing counts before the yes");
    decide(&yes, "approve").await;
    let letters = town.post_office().await;
    let letter = letters.iter().find(answer).expect("a mail");
    assert!(letter.text.contains("Your renewed credentials are in"), "{}", letter.text);
    assert_eq!(fay.get(&run.at("")).await.json["status"], "published", "it goes on by itself");
    assert_eq!(fay.get("/me").await.json["facilitator"], true);
    assert_eq!(town.rows("facilitator_applications WHERE status = 'renewed'"), 1);
    // The check that was not renewed is a condition as before.
    strict.set_clock("2027-03-02T10:00:00Z");
    town.leave_mail();
    assert_ne!(fay.get("/me").await.json["facilitator"], true);
}

#[apply(database_test!)]
async fn nobody_decides_about_their_own_application_while_somebody_else_can(town: Town) {
    let mo = town.moderator("Mo").await;
    let application = mo.post("/facilitator-applications", json!({ "statement": "Me too." })).await.expect(201).id();
    let path = format!("/facilitator-applications/{application}/approve");
    let lu = town.moderator("Lu").await;
    mo.post(&path, json!({})).await.refused(403, "not_for_yourself");
    lu.post(&path, json!({})).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn only_approved_facilitators_post_runs(town: Town) {
    let (ana, ada) = (town.person("Ana").await, town.admin().await);
    for person in [&ana, &ada] {
        person.post("/runs", town.run_body()).await.refused(403, "facilitators_only");
    }
    town.nobody().post("/runs", town.run_body()).await.refused(401, "not_logged_in");
    assert_eq!(town.rows("runs"), 0);
}

#[apply(database_test!)]
async fn a_facilitator_is_shown_with_their_runs_while_in_good_standing(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let run = town.run(&fay, |_| {}).await;
    let draft = town.run(&fay, |run| run["draft"] = json!(true)).await;
    let path = format!("/facilitators/{}", fay.id);
    let shown = town.nobody().get(&path).await.expect(200);
    assert_eq!((shown.str("display_name").as_str(), shown.json["runs"].as_array().unwrap().len()), ("Fay", 1));
    assert_eq!(shown.json["runs"][0]["id"], json!(run.id));
    assert!(!shown.text.contains(&draft.id) && !shown.text.contains(&fay.email));
    let ana = town.person("Ana").await;
    town.nobody().get(&format!("/facilitators/{}", ana.id)).await.refused(404, "not_found");
    let hold = json!({ "account_id": fay.id, "kind": "hold", "scope": "facilitating", "rule": "r", "statement": "s" });
    mo.post("/moderation/sanctions", hold).await.expect(201);
    town.nobody().get(&path).await.refused(404, "not_found");
    town.work().await;
}

#[apply(database_test!)]
async fn a_bar_closes_all_runs_of_one_facilitator_until_its_date(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let one = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let two = town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    let gils = town.run(&gil, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&one.id, "confirmed").await;
    let waits = ben.joins(&one.id, "waitlisted").await;
    town.post_office().await;
    let body = json!({
        "account_id": ana.id, "until": "2026-11-30T00:00:00Z", "reason_code": "conduct", "private_note": "Kept shouting.",
        "statement": "You shouted at others.",
    });
    let bar = fay.post("/me/bars", body).await.expect(201);
    assert_eq!(bar.str("display_name"), "Ana");
    assert_eq!((ana.seat(&seat).await, ben.seat(&waits).await), (json!("withdrawn"), json!("offered")));
    ana.sign_up(&one.id).await.refused(409, "run_not_open_to_you");
    ana.sign_up(&two.id).await.refused(409, "run_not_open_to_you");
    ana.joins(&gils.id, "confirmed").await;
    let letter = town.mail_to(&ana.email).await.into_iter().find(|l| l.text.contains("You shouted at others."));
    let letter = letter.expect("she is told why and until when");
    assert!(letter.text.contains("30 November 2026") && letter.text.contains("Fay"), "{}", letter.text);
    assert!(!letter.raw.contains("Kept shouting"));
    letter.link("appeal");
    let decisions = ana.get("/me/decisions").await.expect(200);
    assert!(decisions.text.contains("You shouted at others.") && !decisions.text.contains("Kept shouting"));
    assert_eq!(fay.get("/me/bars").await.item_ids(), [bar.id()]);
    assert!(gil.get("/me/bars").await.item_ids().is_empty());
    let late = town.run(&fay, |run| run["starts_at"] = json!("2026-12-02T09:00:00Z")).await;
    ana.sign_up(&late.id).await.refused(409, "run_not_open_to_you");
    town.set_clock("2026-11-30T00:00:00Z");
    ana.joins(&late.id, "confirmed").await;
    assert_eq!(town.rows("audit_log WHERE act = 'bar_set'"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn a_bar_by_sign_up_needs_no_account_id_and_its_faults_are_named(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let bar = |extra: serde_json::Value| {
        let mut body = json!({ "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    gil.post("/me/bars", bar(json!({ "signup_id": seat }))).await.faulty(&["/signup_id not_found"]);
    ana.post("/me/bars", bar(json!({ "account_id": fay.id }))).await.refused(403, "facilitators_only");
    fay.post("/me/bars", bar(json!({ "account_id": fay.id }))).await.refused(403, "not_for_yourself");
    fay.post("/me/bars", bar(json!({ "until": "2026-11-23T10:00:00Z" })))
        .await
        .faulty(&["/until in_the_past", "/account_id one_of_two"]);
    let ghost = json!({ "account_id": "00000000-0000-4000-8000-000000000000", "until": "2030-01-01T00:00:00Z" });
    fay.post("/me/bars", bar(ghost)).await.faulty(&["/until too_far_ahead", "/account_id not_found"]);
    assert_eq!(town.rows("bars"), 0);
    fay.post("/me/bars", bar(json!({ "signup_id": seat }))).await.expect(201);
    assert_eq!(ana.seat(&seat).await, "withdrawn");
    town.work().await;
}

#[apply(database_test!)]
async fn a_bar_can_be_lifted_and_appealed(town: Town) {
    let (fay, gil, mo, ana) = (
        town.facilitator("Fay").await,
        town.facilitator("Gil").await,
        town.moderator("Mo").await,
        town.person("Ana").await,
    );
    let run = town.run(&fay, |_| {}).await;
    let body =
        |until: &str| json!({ "account_id": ana.id, "until": until, "reason_code": "not_a_fit", "private_note": "n" });
    let first = fay.post("/me/bars", body("2026-12-30T00:00:00Z")).await.expect(201).id();
    gil.delete(&format!("/me/bars/{first}")).await.refused(404, "not_found");
    fay.delete(&format!("/me/bars/{first}")).await.expect(204);
    let seat = ana.joins(&run.id, "confirmed").await;
    ana.withdraws(&seat).await;
    let second = fay.post("/me/bars", body("2026-12-30T00:00:00Z")).await.expect(201).id();
    let appeal = json!({ "about": { "kind": "bar", "id": second }, "statement": "It was not me." });
    gil.post("/appeals", appeal.clone()).await.refused(404, "not_found");
    let filed = ana.post("/appeals", appeal.clone()).await.expect(201).id();
    ana.post("/appeals", appeal).await.refused(409, "appeal_open");
    let verdict = json!({ "outcome": "overturn", "statement": "It was somebody else." });
    mo.post(&format!("/moderation/appeals/{filed}/decide"), verdict).await.expect(200);
    ana.joins(&run.id, "confirmed").await;
    town.work().await;
}
