//! Bringing a friend: a place is kept for a while, and whoever signs up first with its link has it.

use futures_util::future::join_all;
use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Run, Town},
    support::database_test::database_test,
};

async fn keeps(person: &Person, signup: &str) -> Answer {
    person.post(&format!("/signups/{signup}/friend"), json!({})).await
}

async fn comes_with(person: &Person, run: &Run, token: &str) -> Answer {
    person.post(&run.at("/signups"), json!({ "friend_token": token })).await
}

async fn left(town: &Town, run: &Run) -> Value {
    town.nobody().get(&run.at("")).await.expect(200).json["places_left"].clone()
}

#[apply(database_test!)]
async fn a_friend_takes_the_place_that_was_kept(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let kept = keeps(&ana, &seat).await.expect(201);
    assert_eq!(kept.str("expires_at"), "2026-11-24T10:00:00Z");
    assert_eq!(kept.str("link"), format!("http://town.example/v1/friend-places/{}", kept.str("token")));
    assert_eq!(left(&town, &run).await, 0);
    let waits = town.person("Cleo").await;
    waits.joins(&run.id, "waitlisted").await;
    let came = comes_with(&ben, &run, &kept.str("token")).await.expect(201);
    assert_eq!(came.json["status"], "confirmed");
    assert_eq!(comes_with(&ben, &run, &kept.str("token")).await.expect(200).id(), came.id(), "said twice");
    town.post_office().await;
    town.hours_pass(30);
    assert_eq!(left(&town, &run).await, 0, "the friend's place does not run out");
    assert_eq!(town.rows("signups WHERE status = 'waitlisted'"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn the_link_shows_what_everybody_may_see_and_no_more(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |run| run["meeting_point_public"] = json!(false)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let link = keeps(&ana, &seat).await.expect(201).str("link");
    let path = link.split("/v1").nth(1).unwrap().to_owned();
    let shown = town.nobody().get(&path).await.expect(200);
    assert_eq!(shown.json["run"]["id"], run.json["id"]);
    assert_eq!(shown.json["expires_at"], "2026-11-24T10:00:00Z");
    assert_eq!(shown.json["sign_up"], format!("http://town.example/v1/runs/{}/signups", run.id));
    for secret in ["Ana", &ana.email, "Diana", "51.410992", &seat] {
        assert!(!shown.text.contains(secret), "{secret} in {}", shown.text);
    }
    assert_eq!(ana.get(&path).await.expect(200).json["run"].get("meeting_point"), None, "a link is the same for all");
    town.hours_pass(24);
    town.nobody().get(&path).await.refused(404, "not_found");
    town.work().await;
}

#[apply(database_test!)]
async fn of_two_friends_with_one_link_one_has_it(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    for _ in 0..5 {
        let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
        let ana = town.person("Ana").await;
        let seat = ana.joins(&run.id, "confirmed").await;
        let token = keeps(&ana, &seat).await.expect(201).str("token");
        let calls = town.people("Fred", 6).await.into_iter().map(|friend| {
            let (run, token) = (run.clone(), token.clone());
            tokio::spawn(async move { comes_with(&friend, &run, &token).await })
        });
        let answers: Vec<Answer> = join_all(calls).await.into_iter().map(|done| done.expect("a call")).collect();
        let (came, gone): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((came.len(), came[0].json["status"].as_str()), (1, Some("confirmed")));
        for answer in gone {
            answer.refused(409, "friend_place_gone");
        }
        assert_eq!(left(&town, &run).await, 0);
    }
    assert_eq!(town.rows("signups WHERE status = 'confirmed'"), 10);
}

#[apply(database_test!)]
async fn a_kept_place_is_free_again_after_its_time(town: Town) {
    let (fay, ana, ben, cleo) =
        (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await, town.person("Cleo").await);
    let run = town
        .run(&fay, |run| {
            run["capacity"] = json!(2);
            run["starts_at"] = json!("2026-12-10T09:00:00Z");
        })
        .await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let token = keeps(&ana, &seat).await.expect(201).str("token");
    let waits = cleo.joins(&run.id, "waitlisted").await;
    town.set_clock("2026-11-24T09:59:59Z");
    town.work().await;
    assert_eq!(cleo.seat(&waits).await, "waitlisted");
    town.set_clock("2026-11-24T10:00:00Z");
    comes_with(&ben, &run, &token).await.refused(409, "friend_place_gone");
    town.work().await;
    assert_eq!(cleo.seat(&waits).await, "offered", "it is passed on");
    keeps(&ana, &seat).await.refused(409, "friend_place_not_free");
    assert_eq!(town.rows("signups WHERE status = 'confirmed'"), 1);
}

#[apply(database_test!)]
async fn a_place_is_never_kept_beyond_the_cut_off(town: Town) {
    town.leave_mail();
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-25T20:00:00Z");
    let kept = keeps(&ana, &seat).await.expect(201);
    assert_eq!(kept.str("expires_at"), "2026-11-26T08:00:00Z");
    // The run comes forward, and with it the end.
    let etag = fay.get(&run.at("")).await.header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": "2026-11-26T08:30:00Z" })).await.expect(200);
    assert_eq!(keeps(&ana, &seat).await.expect(200).str("expires_at"), "2026-11-26T07:30:00Z");
    town.set_clock("2026-11-26T07:30:00Z");
    comes_with(&ben, &run, &kept.str("token")).await.refused(409, "friend_place_gone");
    keeps(&ana, &seat).await.refused(409, "friend_place_not_free");
    town.set_clock("2026-11-26T08:30:00Z");
    keeps(&ana, &seat).await.refused(409, "run_started");
}

#[apply(database_test!)]
async fn giving_up_ones_own_place_or_the_kept_one_frees_it(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(3)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let token = keeps(&ana, &seat).await.expect(201).str("token");
    ana.delete(&format!("/signups/{seat}/friend")).await.expect(204);
    ana.delete(&format!("/signups/{seat}/friend")).await.expect(204);
    assert_eq!(left(&town, &run).await, 2);
    comes_with(&ben, &run, &token).await.refused(409, "friend_place_gone");
    let again = keeps(&ana, &seat).await.expect(201).str("token");
    assert_ne!(again, token);
    ana.withdraws(&seat).await;
    assert_eq!(left(&town, &run).await, 3);
    comes_with(&ben, &run, &again).await.refused(409, "friend_place_gone");
    keeps(&ana, &seat).await.refused(409, "signup_not_live");
    ben.delete(&format!("/signups/{seat}/friend")).await.refused(404, "not_found");
    town.work().await;
}

#[apply(database_test!)]
async fn only_free_places_are_kept_and_nobody_who_waits_is_overtaken(town: Town) {
    town.leave_mail();
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let (seat, bens) = (ana.joins(&run.id, "confirmed").await, ben.joins(&run.id, "confirmed").await);
    keeps(&ana, &seat).await.refused(409, "friend_place_not_free");
    let cleo = town.person("Cleo").await;
    let waits = cleo.joins(&run.id, "waitlisted").await;
    // Within the last day the first yes has a free place, so it is not kept while somebody waits.
    town.set_clock("2026-11-25T12:00:00Z");
    ben.withdraws(&bens).await;
    assert_eq!((left(&town, &run).await, cleo.seat(&waits).await), (json!(1), json!("waitlisted")));
    keeps(&ana, &seat).await.refused(409, "friend_place_not_free");
    cleo.withdraws(&waits).await;
    keeps(&ana, &seat).await.expect(201);
    assert_eq!(left(&town, &run).await, 0);
}

#[apply(database_test!)]
async fn only_whoever_has_a_place_keeps_one_for_a_friend(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let waits = ben.joins(&run.id, "waitlisted").await;
    keeps(&ben, &waits).await.refused(409, "signup_not_live");
    keeps(&ben, &seat).await.refused(404, "not_found");
    keeps(&fay, &seat).await.refused(404, "not_found");
    town.nobody().post(&format!("/signups/{seat}/friend"), json!({})).await.refused(401, "not_logged_in");
    ana.post(&format!("/signups/{seat}/friend"), json!({ "email": "a@b.example" })).await.refused(422, "invalid");
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    keeps(&ana, &seat).await.refused(409, "run_paused");
    town.work().await;
}

#[apply(database_test!)]
async fn one_friend_for_each_sign_up(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let kept = keeps(&ana, &seat).await.expect(201);
    assert_eq!(keeps(&ana, &seat).await.expect(200).json, kept.json, "asked twice, kept once");
    assert_eq!(left(&town, &run).await, 8);
    let came = comes_with(&ben, &run, &kept.str("token")).await.expect(201).id();
    keeps(&ana, &seat).await.refused(409, "friend_already_comes");
    ben.withdraws(&came).await;
    keeps(&ana, &seat).await.expect(201);
    town.work().await;
}

#[apply(database_test!)]
async fn where_each_needs_a_yes_the_friend_asks_and_the_place_stays_kept(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["capacity"] = json!(2);
            run["join_policy"] = json!("approval");
        })
        .await;
    let (ana, ben, cleo) = (town.person("Ana").await, town.person("Ben").await, town.person("Cleo").await);
    let approve = async |signup: &str| fay.post(&format!("/signups/{signup}/approve"), json!({})).await.expect(200);
    let decline = json!({ "reason_code": "group_size" });
    let seat = ana.joins(&run.id, "requested").await;
    keeps(&ana, &seat).await.refused(409, "signup_not_live");
    approve(&seat).await;
    let first = keeps(&ana, &seat).await.expect(201).str("token");
    let asks = comes_with(&ben, &run, &first).await.expect(201);
    assert_eq!(asks.json["status"], "requested");
    assert_eq!(left(&town, &run).await, 0, "it stays kept while the facilitator thinks");
    comes_with(&cleo, &run, &first).await.refused(409, "friend_place_gone");
    let other = cleo.joins(&run.id, "requested").await;
    assert_eq!(approve(&other).await.json["status"], "waitlisted", "what is kept is not given to others");
    assert_eq!(approve(&asks.id()).await.json["status"], "confirmed");
    assert_eq!(left(&town, &run).await, 0);
    // Another run: the answer is no, and the place is free for all.
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let dan = town.person("Dan").await;
    let seat = dan.joins(&run.id, "requested").await;
    approve(&seat).await;
    let token = keeps(&dan, &seat).await.expect(201).str("token");
    let eve = town.person("Eve").await;
    let asks = comes_with(&eve, &run, &token).await.expect(201).id();
    assert_eq!(left(&town, &run).await, 8);
    fay.post(&format!("/signups/{asks}/decline"), decline).await.expect(200);
    assert_eq!(left(&town, &run).await, 9);
}

#[apply(database_test!)]
async fn a_friend_whom_the_run_is_closed_to_does_not_come(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let token = keeps(&ana, &seat).await.expect(201).str("token");
    let bar = json!({ "account_id": ben.id, "until": "2027-01-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    fay.post("/me/bars", bar).await.expect(201);
    comes_with(&ben, &run, &token).await.refused(409, "run_not_open_to_you");
    comes_with(&fay, &run, &token).await.refused(409, "you_lead_this_run");
    assert_eq!(comes_with(&ana, &run, &token).await.expect(200).id(), seat, "one's own place is no second one");
    comes_with(&town.person("Cleo").await, &run, &token).await.expect(201);
    town.work().await;
}

#[apply(database_test!)]
async fn fewer_facilitators_leave_no_place_to_take(town: Town) {
    let town = town.with(&[("toml", "[policy]\nfacilitator_ratio = 1")]);
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&run.id, "confirmed").await;
    let token = keeps(&ana, &seat).await.expect(201).str("token");
    gil.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    comes_with(&ben, &run, &token).await.refused(409, "friend_place_gone");
    assert_eq!(town.rows("signups WHERE status = 'confirmed'"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn a_forged_or_foreign_token_opens_nothing(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let (run, other) = (town.run(&fay, |_| {}).await, town.run(&fay, |_| {}).await);
    let seat = ana.joins(&run.id, "confirmed").await;
    let token = keeps(&ana, &seat).await.expect(201).str("token");
    let mut forged = token.clone();
    forged.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
    let long = "x".repeat(201);
    for wrong in [forged.as_str(), "x", ""] {
        comes_with(&ben, &run, wrong).await.refused(409, "friend_place_gone");
    }
    comes_with(&ben, &run, &long).await.faulty(&["/friend_token too_long"]);
    comes_with(&ben, &other, &token).await.refused(409, "friend_place_gone");
    for wrong in [forged.as_str(), "x", &long] {
        town.nobody().get(&format!("/friend-places/{wrong}")).await.refused(404, "not_found");
    }
    assert_eq!(town.rows("signups"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn two_sign_ups_at_once_keep_only_what_is_free(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    for _ in 0..5 {
        let run = town.run(&fay, |run| run["capacity"] = json!(5)).await;
        let mut calls = Vec::new();
        for person in town.people("Pat", 3).await {
            let seat = person.joins(&run.id, "confirmed").await;
            calls.push(tokio::spawn(async move { keeps(&person, &seat).await.status }));
        }
        for person in town.people("Rob", 3).await {
            let run = run.clone();
            calls.push(tokio::spawn(async move {
                let answer = person.sign_up(&run.id).await;
                if answer.json["status"] == "confirmed" { 201 } else { answer.status + 1000 }
            }));
        }
        let statuses: Vec<u16> = join_all(calls).await.into_iter().map(|done| done.expect("a call")).collect();
        assert!(statuses.iter().all(|status| [201, 409, 1201].contains(status)), "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    }
}

#[apply(database_test!)]
async fn a_kept_place_is_nobody_to_run_with(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-25T08:00:00Z");
    keeps(&ana, &seat).await.expect(201);
    town.set_clock("2026-11-25T09:00:00Z");
    town.post_office().await;
    assert_eq!(town.rows("outbox WHERE kind = 'asked_to_run_as_two'"), 1);
}

#[apply(database_test!)]
async fn a_friend_who_knows_the_group_has_no_place_of_the_newcomers(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let (ana, ben, dan) = (town.person("Ana").await, town.person("Ben").await, town.person("Dan").await);
    let before = town.run(&fay, |run| run["starts_at"] = json!("2026-11-24T09:00:00Z")).await;
    for person in [&ana, &ben, &dan] {
        person.joins(&before.id, "confirmed").await;
    }
    town.work().await;
    town.set_clock("2026-11-24T12:30:00Z");
    town.work().await;
    for policy in ["open", "approval"] {
        let run = town
            .run(&fay, |run| {
                run["join_policy"] = json!(policy);
                run["capacity"] = json!(3);
                run["newcomer_places"] = json!(2);
                run["starts_at"] =
                    json!(if policy == "open" { "2026-11-30T09:00:00Z" } else { "2026-11-30T12:00:00Z" });
            })
            .await;
        let approve = async |signup: &str| fay.post(&format!("/signups/{signup}/approve"), json!({})).await.expect(200);
        let seat = ana.sign_up(&run.id).await.expect(201).id();
        if policy == "approval" {
            approve(&seat).await;
        }
        let token = keeps(&ana, &seat).await.expect(201).str("token");
        let mut bens = comes_with(&ben, &run, &token).await.expect(201);
        if policy == "approval" {
            bens = approve(&bens.id()).await;
        }
        assert_eq!(bens.json["status"], "waitlisted", "{policy}");
        if policy == "open" {
            // The place is still kept: for a friend who is new.
            assert_eq!(left(&town, &run).await, 1);
            let nia = comes_with(&town.person("Nia").await, &run, &token).await.expect(201);
            assert_eq!(nia.json["status"], "confirmed");
            comes_with(&dan, &run, &token).await.refused(409, "friend_place_gone");
        }
        assert_eq!(ben.seat(&bens.id()).await, "waitlisted", "one is kept for newcomers until two days before");
    }
}
