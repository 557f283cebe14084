//! Blocks: two people do not come to be in one run, and nobody learns why. Promise 5.

use futures_util::future::join_all;
use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, PASSWORD, Person, Run, Town},
    support::{database_test::database_test, databases::Kind},
};

async fn blocks(blocker: &Person, other: &Person) -> String {
    blocker.post("/blocks", json!({ "account_id": other.id })).await.expect(202).id()
}

fn is(town: &Town, column: &str, id: &str) -> String {
    match town.kind() {
        Kind::Sqlite => format!("{column} = x'{}'", id.replace('-', "")),
        Kind::Postgres => format!("{column} = '{id}'"),
    }
}

/// How many of these people hold a place in a run.
fn held(town: &Town, run: &Run, people: &[&Person]) -> i64 {
    let of: Vec<String> = people.iter().map(|person| is(town, "account_id", &person.id.to_string())).collect();
    town.rows(&format!(
        "signups WHERE {} AND status IN ('confirmed', 'offered') AND ({})",
        is(town, "run_id", &run.id),
        of.join(" OR ")
    ))
}

#[apply(database_test!)]
async fn whoever_comes_second_gets_the_ordinary_refusal_whichever_of_the_two_blocked(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    blocks(&ana, &ben).await;
    let (one, two) =
        (town.run(&fay, |_| {}).await, town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await);
    ana.joins(&one.id, "confirmed").await;
    let refused = ben.sign_up(&one.id).await.refused(409, "run_not_open_to_you");
    ben.joins(&two.id, "confirmed").await;
    let other_way = ana.sign_up(&two.id).await.refused(409, "run_not_open_to_you");
    assert_eq!(refused.text, other_way.text);
    // The very words of a bar.
    let cem = town.person("Cem").await;
    let bar = json!({ "account_id": cem.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    fay.post("/me/bars", bar).await.expect(201);
    assert_eq!(cem.sign_up(&one.id).await.refused(409, "run_not_open_to_you").text, refused.text);
    assert_eq!((held(&town, &one, &[&ana, &ben]), held(&town, &two, &[&ana, &ben])), (1, 1));
    let letters = town.post_office().await;
    assert!(letters.iter().all(|letter| !letter.subject.contains("decide")), "nobody is told");
}

#[apply(database_test!)]
async fn a_request_of_the_second_cannot_be_approved_and_says_no_more(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let (a, b) = (ana.joins(&run.id, "requested").await, ben.joins(&run.id, "requested").await);
    fay.post(&format!("/signups/{a}/approve"), json!({})).await.expect(200);
    blocks(&ben, &ana).await;
    fay.post(&format!("/signups/{b}/approve"), json!({})).await.refused(409, "approval_not_possible");
    assert_eq!(ben.seat(&b).await, "requested");
    town.leave_mail();
}

#[apply(database_test!)]
async fn an_offer_passes_the_second_by_and_comes_to_them_when_the_first_has_left(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let (ana, ben, cem, dee) =
        (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await, town.person("Dee").await);
    let first = ana.joins(&run.id, "confirmed").await;
    let second = cem.joins(&run.id, "confirmed").await;
    let (b, d) = (ben.joins(&run.id, "waitlisted").await, dee.joins(&run.id, "waitlisted").await);
    blocks(&ana, &ben).await;
    cem.withdraws(&second).await;
    assert_eq!((ben.seat(&b).await, dee.seat(&d).await), (json!("waitlisted"), json!("offered")));
    dee.post(&format!("/signups/{d}/accept"), json!({})).await.expect(200);
    ana.withdraws(&first).await;
    assert_eq!(ben.seat(&b).await, "offered");
    ben.post(&format!("/signups/{b}/accept"), json!({})).await.expect(200);
    ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
}

#[apply(database_test!)]
async fn an_offer_that_is_out_is_taken_back_without_a_word_and_goes_to_the_next(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let (ana, ben, cem, dee) =
        (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await, town.person("Dee").await);
    ana.joins(&run.id, "confirmed").await;
    let second = cem.joins(&run.id, "confirmed").await;
    let (b, d) = (ben.joins(&run.id, "waitlisted").await, dee.joins(&run.id, "waitlisted").await);
    cem.withdraws(&second).await;
    assert_eq!(ben.seat(&b).await, "offered");
    town.post_office().await;
    blocks(&ana, &ben).await;
    assert_eq!((ben.seat(&b).await, dee.seat(&d).await), (json!("waitlisted"), json!("offered")));
    assert_eq!(ben.get(&format!("/signups/{b}")).await.json["waiting_position"], 1, "the number in the line stays");
    ben.post(&format!("/signups/{b}/accept"), json!({})).await.refused(409, "run_not_open_to_you");
    let letters = town.post_office().await;
    assert_eq!(letters.iter().map(|letter| &letter.to).collect::<Vec<_>>(), [&dee.email]);
}

#[apply(database_test!)]
async fn a_blocker_who_is_only_offered_a_place_waits_on_where_the_other_is_in(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    ben.joins(&run.id, "confirmed").await;
    let second = cem.joins(&run.id, "confirmed").await;
    let a = ana.joins(&run.id, "waitlisted").await;
    cem.withdraws(&second).await;
    assert_eq!(ana.seat(&a).await, "offered");
    town.post_office().await;
    blocks(&ana, &ben).await;
    assert_eq!(ana.seat(&a).await, "waitlisted");
    ana.post(&format!("/signups/{a}/accept"), json!({})).await.refused(409, "run_not_open_to_you");
    assert_eq!(town.post_office().await.len(), 0);
}

#[apply(database_test!)]
async fn where_both_are_in_nobody_is_put_out_and_the_blocker_alone_is_told(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let one = town.run(&fay, |run| run["title"] = json!("Along the canal")).await;
    let two = town
        .run(&fay, |run| {
            run["title"] = json!("Up the hill");
            run["starts_at"] = json!("2026-11-28T09:00:00Z");
        })
        .await;
    let mut seats = Vec::new();
    for run in [&one, &two] {
        seats.push((ana.joins(&run.id, "confirmed").await, ben.joins(&run.id, "confirmed").await));
    }
    town.post_office().await;
    blocks(&ana, &ben).await;
    // The same once more tells nothing once more.
    blocks(&ana, &ben).await;
    let letters = town.post_office().await;
    assert_eq!(letters.len(), 1, "{:?}", letters.iter().map(|l| (&l.to, &l.subject)).collect::<Vec<_>>());
    let letter = &letters[0];
    assert_eq!(letter.to, ana.email);
    assert!(letter.text.contains("Along the canal") && letter.text.contains("Up the hill"), "{}", letter.text);
    assert!(!letter.said().contains("Ben") && !letter.raw.contains(&ben.email), "no name: {}", letter.text);
    for (a, b) in &seats {
        assert_eq!((ana.seat(a).await, ben.seat(b).await), (json!("confirmed"), json!("confirmed")));
    }
    assert_eq!(letter.text.matches("/e/not-today/").count(), 2);
    town.nobody().press(&letter.link("not-today"), &[]).await.expect(200);
    let (left, stays) = (ana.seat(&seats[0].0).await, ana.seat(&seats[1].0).await);
    assert_eq!((left, stays), (json!("withdrawn"), json!("confirmed")), "the first link is the first run's");
    ana.sign_up(&one.id).await.refused(409, "run_not_open_to_you");
    // The one who was blocked first learns nothing, whichever way round.
    town.post_office().await;
    blocks(&ben, &ana).await;
    assert_eq!(town.one_mail_to(&ben.email).await.text.matches("/e/not-today/").count(), 1);
}

#[apply(database_test!)]
async fn a_facilitator_who_blocks_somebody_on_their_run_is_told_and_may_step_down(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = town.person("Ana").await;
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    blocks(&fay, &ana).await;
    let letter = town.one_mail_to(&fay.email).await;
    town.nobody().press(&letter.link("cannot-lead"), &[]).await.expect(200);
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "paused");
    fay.post(&run.at("/take-over"), json!({})).await.refused(409, "run_not_open_to_you");
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_block_keeps_a_facilitator_from_leading_those_whom_it_is_about(town: Town) {
    town.leave_mail();
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let ana = town.person("Ana").await;
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    ana.joins(&run.id, "confirmed").await;
    blocks(&ana, &gil).await;
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.refused(409, "run_not_open_to_you");
    gil.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.refused(409, "not_approved_facilitator");
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    gil.post(&run.at("/take-over"), json!({})).await.refused(409, "run_not_open_to_you");
    // And the other way: where Gil leads, Ana does not come in.
    let gils = town.run(&gil, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    ana.sign_up(&gils.id).await.refused(409, "run_not_open_to_you");
}

#[apply(database_test!)]
async fn browsing_tells_nothing_of_a_block(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    for person in [&ana, &ben] {
        let body = json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 } });
        person.put("/me/running-profile", body).await.expect(200);
    }
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let paths = ["/runs".to_owned(), run.at(""), "/matches".to_owned(), format!("/matches?explain={}", run.id)];
    let look = async |person: &Person| {
        let mut seen = Vec::new();
        for path in &paths {
            seen.push(person.get(path).await.expect(200).text);
        }
        seen
    };
    let before = (look(&ana).await, look(&ben).await);
    blocks(&ana, &ben).await;
    assert_eq!((look(&ana).await, look(&ben).await), before);
    town.work().await;
}

#[apply(database_test!)]
async fn the_same_person_twice_is_one_block_and_the_twenty_first_is_refused(town: Town) {
    let ana = town.person("Ana").await;
    let people = town.people("Pat", 21).await;
    let mut ids = Vec::new();
    for person in &people[..20] {
        ids.push(blocks(&ana, person).await);
        assert_eq!(&blocks(&ana, person).await, ids.last().unwrap());
    }
    ana.post("/blocks", json!({ "account_id": people[20].id })).await.refused(409, "too_many_blocks");
    ana.post("/blocks", json!({ "email": "somebody@example.org" })).await.refused(409, "too_many_blocks");
    assert_eq!(blocks(&ana, &people[3]).await, ids[3], "what stands is given back");
    ana.delete(&format!("/blocks/{}", ids[3])).await.expect(204);
    blocks(&ana, &people[20]).await;
    assert_eq!(town.rows("blocks WHERE ended_at IS NULL"), 20);
}

#[apply(database_test!)]
async fn forty_may_be_made_in_thirty_days(town: Town) {
    let ana = town.person("Ana").await;
    let ben = town.person("Ben").await;
    for _ in 0..40 {
        let id = blocks(&ana, &ben).await;
        ana.delete(&format!("/blocks/{id}")).await.expect(204);
        town.hours_pass(1);
    }
    let body = json!({ "account_id": ben.id });
    let refused = ana.post("/blocks", body.clone()).await.refused(409, "blocks_made_too_often");
    assert_eq!(refused.str("until"), "2026-12-23T10:00:00Z");
    town.set_clock("2026-12-23T10:00:00Z");
    ana.post("/blocks", body.clone()).await.expect(202);
}

#[apply(database_test!)]
async fn nobody_blocks_themselves(town: Town) {
    let ana = town.person("Ana").await;
    ana.post("/blocks", json!({ "account_id": ana.id })).await.refused(409, "block_yourself");
    let typed = format!("  {} ", ana.email.to_uppercase());
    ana.post("/blocks", json!({ "email": typed })).await.refused(409, "block_yourself");
    assert_eq!(town.rows("blocks"), 0);
}

/// Status, header names, and the body without what is new each time.
fn shape(answer: &Answer) -> (u16, Vec<String>, Value) {
    let mut body = answer.json.clone();
    for fresh in ["id", "created_at", "account_id"] {
        assert!(!body[fresh].is_null() || fresh == "account_id");
        body[fresh] = json!(body[fresh].is_null());
    }
    (answer.status, answer.header_names(), body)
}

#[apply(database_test!)]
async fn the_answer_is_the_same_whether_or_not_there_is_such_a_person(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let unknown = "3f6d2a52-8c1d-4e55-9a57-2d0b5b7d9c11";
    let known = ana.post("/blocks", json!({ "account_id": ben.id, "note": "n" })).await.expect(202);
    let nobody = ana.post("/blocks", json!({ "account_id": unknown, "note": "n" })).await.expect(202);
    assert_eq!(shape(&known), shape(&nobody));
    let known = ana.post("/blocks", json!({ "email": ben.email, "note": "n" })).await.expect(202);
    let nobody = ana.post("/blocks", json!({ "email": "nobody@people.example", "note": "n" })).await.expect(202);
    assert_eq!(shape(&known), shape(&nobody));
    // Neither does the list tell, nor doing it again, nor that the address is that of an account that is blocked already.
    let listed = ana.get("/blocks").await.expect(200);
    assert_eq!(listed.items().len(), 4);
    for item in listed.items() {
        assert_eq!(item["note"], "n");
        assert!(!listed.text.contains("Ben") && !listed.text.contains("people.example"));
    }
    let again = ana.post("/blocks", json!({ "email": "nobody@people.example" })).await.expect(202);
    assert_eq!(again.id(), nobody.id());
    assert_ne!(
        ana.post("/blocks", json!({ "email": ben.email })).await.id(),
        ana.post("/blocks", json!({ "account_id": ben.id })).await.id()
    );
    ana.delete(&format!("/blocks/{}", nobody.id())).await.expect(204);
}

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "display_name": "Ben", "adult": true, "terms_version": "1" })
}

/// Registers, opens the link in the mail and logs in.
async fn registers(town: &Town, email: &str) -> Client {
    town.nobody().post("/accounts", registration(email)).await.expect(202);
    let token = town.one_mail_to(email).await.token("verify-email");
    town.nobody().post("/accounts/verify-email", json!({ "token": token })).await.expect(204);
    let session = town.nobody().post("/sessions", json!({ "email": email, "password": PASSWORD })).await.expect(200);
    Client::with_token(town, &session.str("access_token"))
}

#[apply(database_test!)]
async fn an_address_is_blocked_before_its_owner_registers(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.person("Ana").await;
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    ana.post("/blocks", json!({ "email": " Ben@Example.ORG ", "note": "Ben from the old club" })).await.expect(202);
    assert_eq!(town.rows("blocks WHERE blocked_id IS NULL AND email_hash IS NOT NULL"), 1);
    town.post_office().await;
    let ben = registers(&town, "ben@example.org").await;
    assert_eq!(town.rows("blocks WHERE blocked_id IS NOT NULL"), 1);
    ben.post(&run.at("/signups"), json!({})).await.refused(409, "run_not_open_to_you");
    let told = ana.get("/blocks").await.expect(200).items().remove(0);
    assert_eq!(
        (&told["by"], &told["note"], &told["account_id"]),
        (&json!("email"), &json!("Ben from the old club"), &Value::Null)
    );
    assert_eq!(town.post_office().await.len(), 0, "nobody is told");
    // Somebody invited is known as well.
    ana.post("/blocks", json!({ "email": "dee@example.org" })).await.expect(202);
    town.invited("Dee", "dee@example.org").await;
    town.post_office().await;
}

#[apply(database_test!)]
async fn an_address_block_survives_an_account_that_nobody_verified(town: Town) {
    town.leave_mail();
    let ana = town.person("Ana").await;
    ana.post("/blocks", json!({ "email": "ben@example.org" })).await.expect(202);
    let known = "blocks WHERE blocked_id IS NOT NULL";
    let forget = |town: &Town| {
        let (db, policy, now) = (town.app().db.clone(), town.app().config.policy.clone(), town.now());
        tokio::task::spawn_blocking(move || sidebyside::service::housekeeping::forget(&db, &policy, now))
    };
    for _ in 0..2 {
        town.nobody().post("/accounts", registration("ben@example.org")).await.expect(202);
        assert_eq!(town.rows(known), 1);
        town.hours_pass(8 * 24);
        forget(&town).await.unwrap().expect("forgetting");
        assert_eq!(town.rows(known), 0);
        assert_eq!(town.rows("blocks WHERE ended_at IS NULL AND email_hash IS NOT NULL"), 1);
    }
}

#[apply(database_test!)]
async fn ones_own_blocks_are_listed_and_taken_back_and_then_forgotten(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let id = ana.post("/blocks", json!({ "account_id": ben.id, "note": "loud" })).await.expect(202).id();
    town.minutes_pass(1);
    let mail = ana.post("/blocks", json!({ "email": "x@example.org" })).await.expect(202).id();
    let first = ana.get("/blocks?limit=1").await.expect(200);
    assert_eq!(first.item_ids(), std::slice::from_ref(&mail));
    let rest = ana.get(&format!("/blocks?limit=1&cursor={}", first.str("next_cursor"))).await.expect(200);
    assert_eq!((rest.item_ids(), &rest.json["next_cursor"]), (vec![id.clone()], &Value::Null));
    ben.get(&format!("/blocks?cursor={}", first.str("next_cursor"))).await.faulty(&["?cursor other_filters"]);
    assert_eq!(ben.get("/blocks").await.expect(200).items().len(), 0);
    ben.delete(&format!("/blocks/{id}")).await.refused(404, "not_found");
    ben.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    for _ in 0..2 {
        ana.delete(&format!("/blocks/{id}")).await.expect(204);
    }
    assert_eq!(ana.get("/blocks").await.expect(200).item_ids(), [mail]);
    ben.joins(&run.id, "confirmed").await;
    let kept = "blocks WHERE ended_at IS NOT NULL";
    assert_eq!(town.rows(kept), 1);
    assert_eq!(town.rows(&format!("{kept} AND blocked_id IS NULL AND named_id IS NULL AND note IS NULL")), 1);
    assert_eq!(
        town.texts("SELECT act AS t FROM audit_log WHERE act LIKE 'block%' ORDER BY act"),
        ["block_lifted", "block_set", "block_set"]
    );
    town.hours_pass(31 * 24);
    let (db, policy, now) = (town.app().db.clone(), town.app().config.policy.clone(), town.now());
    let forgot = tokio::task::spawn_blocking(move || sidebyside::service::housekeeping::forget(&db, &policy, now));
    forgot.await.unwrap().expect("forgetting");
    assert_eq!(town.rows(kept), 0);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_block_says_exactly_one_way_whom_it_means(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let id = ben.id;
    for (body, fault) in [
        (json!({}), "/account_id one_of_three"),
        (json!({ "note": "n" }), "/account_id one_of_three"),
        (json!({ "account_id": id, "email": "x@example.org" }), "/account_id one_of_three"),
        (json!({ "account_id": id, "description": "d" }), "/account_id one_of_three"),
        (json!({ "description": "the man" }), "/run_id required"),
        (json!({ "email": "no address" }), "/email bad_email"),
        (json!({ "account_id": "x" }), "/account_id bad_format"),
        (json!({ "account_id": id, "note": "x".repeat(501) }), "/note too_long"),
        (json!({ "account_id": id, "colour": "red" }), "/colour unknown_field"),
    ] {
        ana.post("/blocks", body).await.faulty(&[fault]);
    }
    town.nobody().post("/blocks", json!({ "account_id": id })).await.refused(401, "not_logged_in");
    assert_eq!(town.rows("blocks"), 0);
}

/// A run that is over, with these people confirmed.
async fn past_run(town: &Town, fay: &Person, people: &[&Person]) -> Run {
    let run = town.run(fay, |_| {}).await;
    for person in people {
        person.joins(&run.id, "confirmed").await;
    }
    town.set_clock("2026-11-26T12:30:00Z");
    town.work().await;
    town.inbox().empty();
    run
}

#[apply(database_test!)]
async fn a_moderator_finds_the_man_in_the_red_jacket(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    let run = past_run(&town, &fay, &[&ana, &ben]).await;
    let coming = town.run(&fay, |run| run["starts_at"] = json!("2026-12-03T09:00:00Z")).await;
    let body = |run: &Run| json!({ "run_id": run.id, "description": "the man in the red jacket", "note": "shouted" });
    cem.post("/blocks", body(&run)).await.refused(404, "not_found");
    ana.joins(&coming.id, "confirmed").await;
    ana.post("/blocks", body(&coming)).await.refused(404, "not_found");
    ana.post("/blocks", json!({ "run_id": run.id })).await.faulty(&["/description required"]);
    town.post_office().await;
    let made = ana.post("/blocks", body(&run)).await.expect(202);
    assert_eq!((&made.json["by"], &made.json["waits_for_team"]), (&json!("description"), &json!(true)));
    assert_eq!(ana.post("/blocks", body(&run)).await.expect(202).id(), made.id());
    let letter = town.one_mail_to(&mo.email).await;
    assert!(!letter.raw.contains("red jacket") && !letter.raw.contains("Ana"), "{}", letter.text);

    let id = made.id();
    let tasks = mo.get("/moderation/blocks").await.expect(200);
    assert_eq!(
        (tasks.item_ids(), &tasks.items()[0]["description"]),
        (vec![id.clone()], &json!("the man in the red jacket"))
    );
    assert!(!tasks.text.contains("shouted"), "the note is the blocker's own: {}", tasks.text);
    let task = mo.get(&format!("/moderation/blocks/{id}")).await.expect(200);
    let mut names: Vec<&str> =
        task.json["people"].as_array().unwrap().iter().map(|p| p["display_name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Ben", "Fay"], "{}", task.text);
    assert_eq!(town.rows("audit_log WHERE act = 'block_roster_read'"), 1);
    let path = format!("/moderation/blocks/{id}/resolve");
    ana.post(&path, json!({ "account_id": ben.id })).await.refused(403, "moderators_only");
    for wrong in [cem.id, ana.id] {
        mo.post(&path, json!({ "account_id": wrong })).await.faulty(&["/account_id not_on_the_run"]);
    }
    ben.joins(&coming.id, "confirmed").await;
    town.post_office().await;
    mo.post(&path, json!({ "account_id": ben.id })).await.expect(204);
    mo.post(&path, json!({ "account_id": fay.id })).await.refused(409, "block_decided");
    mo.post(&format!("/moderation/blocks/{id}/dismiss"), json!({})).await.refused(409, "block_decided");
    assert_eq!(mo.get("/moderation/blocks").await.expect(200).items().len(), 0);
    assert_eq!(town.rows("audit_log WHERE act = 'block_resolved'"), 1);
    let letters = town.post_office().await;
    let mut subjects: Vec<(&str, &str)> = letters.iter().map(|l| (l.to.as_str(), l.subject.as_str())).collect();
    subjects.sort_unstable();
    let both = "Something for you to decide: Thursday 3 December 2026, 09:00";
    assert_eq!(subjects, [(ana.email.as_str(), "It is set"), (ana.email.as_str(), both)]);
    assert!(letters.iter().all(|letter| !letter.said().contains("Ben")), "no name");
    let later = town.run(&fay, |run| run["starts_at"] = json!("2026-12-04T09:00:00Z")).await;
    ben.joins(&later.id, "confirmed").await;
    ana.sign_up(&later.id).await.refused(409, "run_not_open_to_you");
    let listed = ana.get("/blocks").await.expect(200);
    assert_eq!((&listed.items()[0]["waits_for_team"], &listed.items()[0]["account_id"]), (&json!(false), &Value::Null));
    town.work().await;
}

#[apply(database_test!)]
async fn a_moderator_who_was_there_does_not_look_into_it(town: Town) {
    let (fay, mo, lu) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.moderator("Lu").await);
    let ana = town.person("Ana").await;
    let run = past_run(&town, &fay, &[&ana, &mo]).await;
    let body = json!({ "run_id": run.id, "description": "the tall one" });
    let id = ana.post("/blocks", body).await.expect(202).id();
    let letters = town.post_office().await;
    assert_eq!(letters.iter().map(|letter| &letter.to).collect::<Vec<_>>(), [&lu.email]);
    assert_eq!(mo.get("/moderation/blocks").await.expect(200).items().len(), 0);
    mo.get(&format!("/moderation/blocks/{id}")).await.refused(404, "not_found");
    let fays = json!({ "account_id": fay.id });
    mo.post(&format!("/moderation/blocks/{id}/resolve"), fays.clone()).await.refused(404, "not_found");
    mo.post(&format!("/moderation/blocks/{id}/dismiss"), json!({})).await.refused(404, "not_found");
    lu.post(&format!("/moderation/blocks/{id}/resolve"), fays).await.expect(204);
    town.work().await;
}

#[apply(database_test!)]
async fn whom_nobody_finds_the_blocker_hears_so(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let ana = town.person("Ana").await;
    let run = past_run(&town, &fay, &[&ana]).await;
    let id = ana.post("/blocks", json!({ "run_id": run.id, "description": "somebody" })).await.expect(202).id();
    town.post_office().await;
    mo.post(&format!("/moderation/blocks/{id}/dismiss"), json!({})).await.expect(204);
    assert_eq!(town.one_mail_to(&ana.email).await.subject, "We could not find out whom you mean");
    assert_eq!(ana.get("/blocks").await.expect(200).items().len(), 0);
    assert_eq!(town.rows("audit_log WHERE act = 'block_dismissed'"), 1);
    // What the blocker takes back themselves is no task any more, and nobody is told.
    let other = ana.post("/blocks", json!({ "run_id": run.id, "description": "the other" })).await.expect(202).id();
    ana.delete(&format!("/blocks/{other}")).await.expect(204);
    mo.post(&format!("/moderation/blocks/{other}/dismiss"), json!({})).await.refused(409, "block_decided");
    let (ben, unknown) = (town.person("Ben").await, "3f6d2a52-8c1d-4e55-9a57-2d0b5b7d9c11");
    let by_account = blocks(&ana, &ben).await;
    for none in [by_account.as_str(), unknown] {
        mo.post(&format!("/moderation/blocks/{none}/dismiss"), json!({})).await.refused(404, "not_found");
        mo.get(&format!("/moderation/blocks/{none}")).await.refused(404, "not_found");
    }
    assert_eq!(town.mail_to(&mo.email).await.len(), 0);
}

#[apply(database_test!)]
async fn the_list_of_an_old_run_is_sealed_but_for_welfare_duty(town: Town) {
    town.leave_mail();
    let (fay, mo, wes) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Wes").await);
    let admin = town.admin().await;
    let role = json!({ "role": "welfare_moderator" });
    admin.post(&format!("/accounts/{}/roles", wes.id), role).await.expect(200);
    let ana = town.person("Ana").await;
    let run = past_run(&town, &fay, &[&ana]).await;
    town.set_clock("2026-12-11T10:00:00Z");
    let id = ana.post("/blocks", json!({ "run_id": run.id, "description": "somebody" })).await.expect(202).id();
    let path = format!("/moderation/blocks/{id}");
    assert!(mo.get(&path).await.expect(200).json["people"].is_null());
    assert_eq!(wes.get(&path).await.expect(200).json["people"][0]["display_name"], "Fay");
    assert_eq!(town.rows("audit_log WHERE act = 'block_roster_read'"), 1);
}

#[apply(database_test!)]
async fn a_block_and_a_join_at_once_never_seat_both(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let mut told = 0;
    for round in 0..20 {
        let people = town.people("Pat", 2).await;
        let (ana, ben) = (people[0].clone(), people[1].clone());
        let run = town.run(&fay, |_| {}).await;
        ana.joins(&run.id, "confirmed").await;
        let (blocker, blocked) = if round % 2 == 0 { (ana.clone(), ben.clone()) } else { (ben.clone(), ana.clone()) };
        let other = ben.clone();
        let (block, join) = tokio::join!(
            tokio::spawn(async move { blocker.post("/blocks", json!({ "account_id": blocked.id })).await }),
            tokio::spawn({
                let run = run.id.clone();
                async move { other.sign_up(&run).await }
            }),
        );
        block.unwrap().expect(202);
        let join = join.unwrap();
        let both = held(&town, &run, &[&ana, &ben]) == 2;
        // Either the block came first and the join was refused, or both were in already and the blocker was told.
        match join.status {
            409 => {
                join.refused(409, "run_not_open_to_you");
                assert!(!both, "round {round}");
            }
            _ => {
                join.expect(201);
                told += 1;
            }
        }
        assert_eq!(town.rows("outbox WHERE kind = 'both_are_in'"), told, "round {round}");
    }
    // Two who block each other and come at the same moment: one of them is in.
    for round in 0..20 {
        let people = town.people("Pat", 2).await;
        let run = town.run(&fay, |_| {}).await;
        blocks(&people[0], &people[1]).await;
        let calls = people.iter().map(|person| {
            let (person, run) = (person.clone(), run.id.clone());
            tokio::spawn(async move { person.sign_up(&run).await.status })
        });
        let mut statuses: Vec<u16> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "round {round}");
    }
}

#[apply(database_test!)]
async fn a_block_and_an_offer_at_once_never_hold_a_place_for_both(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    for round in 0..20 {
        let people = town.people("Pat", 3).await;
        let (ana, ben, cem) = (people[0].clone(), people[1].clone(), people[2].clone());
        let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
        ana.joins(&run.id, "confirmed").await;
        let leaving = cem.joins(&run.id, "confirmed").await;
        ben.joins(&run.id, "waitlisted").await;
        let blocker = if round % 2 == 0 { (ana.clone(), ben.id) } else { (ben.clone(), ana.id) };
        let (block, left) = tokio::join!(
            tokio::spawn(async move { blocker.0.post("/blocks", json!({ "account_id": blocker.1 })).await }),
            tokio::spawn(async move { cem.post(&format!("/signups/{leaving}/withdraw"), json!({})).await }),
        );
        block.unwrap().expect(202);
        left.unwrap().expect(200);
        assert_eq!(held(&town, &run, &[&ana, &ben]), 1, "round {round}");
    }
}

#[apply(database_test!)]
async fn an_address_blocked_while_it_registers_is_known(town: Town) {
    town.leave_mail();
    let ana = town.person("Ana").await;
    for round in 0..15 {
        let email = format!("new{round}@example.org");
        let (register, block) = (registration(&email), json!({ "email": email }));
        let (nobody, ana) = (town.nobody(), ana.clone());
        let (registered, blocked) = tokio::join!(
            tokio::spawn(async move { nobody.post("/accounts", register).await }),
            tokio::spawn(async move { ana.post("/blocks", block).await }),
        );
        registered.unwrap().expect(202);
        blocked.unwrap().expect(202);
    }
    town.work().await;
    assert_eq!(town.rows("blocks WHERE blocked_id IS NULL"), 0);
    assert_eq!(town.rows("blocks"), 15);
}

#[apply(database_test!)]
async fn twenty_blocks_at_once_from_one_person_stay_twenty(town: Town) {
    let ana = town.person("Ana").await;
    let people = town.people("Pat", 30).await;
    let calls = people.iter().map(|person| {
        let (ana, id) = (ana.clone(), person.id);
        tokio::spawn(async move { ana.post("/blocks", json!({ "account_id": id })).await.status })
    });
    let mut statuses: Vec<u16> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    statuses.sort_unstable();
    assert_eq!((&statuses[..20], &statuses[20..]), (&[202; 20][..], &[409; 10][..]));
    assert_eq!(town.rows("blocks"), 20);
}
