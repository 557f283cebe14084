//! Mail: what it says, when it comes and when not, and what a mail server that misbehaves does to it.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{
    domain::outbox::MAX_ATTEMPTS,
    store::outbox::{self, Lane},
    worker,
};

use crate::{
    harness::{Behaviour, Person, Run, Town},
    support::database_test::database_test,
};

async fn confirmed(town: &Town, run: &Run, name: &str) -> (Person, String) {
    let person = town.person(name).await;
    let seat = person.joins(&run.id, "confirmed").await;
    (person, seat)
}

#[apply(database_test!)]
async fn a_confirmation_says_when_where_who_how_fast_and_what_to_do_when_late(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["no_drop"] = json!(true)).await;
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    let letter = town.one_mail_to(&ana.email).await;
    let html = words(&letter.html);
    for needed in [
        "Hello Ana",
        "Thursday 26 November 2026, 09:00",
        "Europe/London",
        "The Diana fountain",
        "By the bench on the north side.",
        "Led by: Fay",
        "6:10–6:45 min/km",
        "Walking is fine",
        "When you arrive",
        "Running late, or lost?",
        "Not today",
        "51.41099",
        "not therapy and not an emergency service",
        "safe@town.example",
    ] {
        assert!(letter.text.contains(needed), "no {needed} in\n{}", letter.text);
        assert!(html.contains(&needed.replace(": ", " ")), "no {needed} in\n{html}");
    }
    letter.link("not-today");
    assert!(!letter.html.contains("<script") && !letter.html.contains("<img"), "{}", letter.html);
    assert!(letter.message_id.ends_with("@town.example>"), "{}", letter.message_id);
    assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
}

/// What somebody reads of a page: its words on one line, without tags.
fn words(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        text.push(' ');
        text.push_str(piece.split_once('>').map_or(piece, |(_, words)| words));
    }
    let text = text.replace("&#x2f;", "/").replace("&#x27;", "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[apply(database_test!)]
async fn subjects_and_sender_never_say_why_people_meet(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let run = town
        .run(&fay, |run| {
            run["title"] = json!("Peer support for depression");
            run["description"] = json!("A therapy group for mental health.");
            run["capacity"] = json!(1);
        })
        .await;
    let (ana, seat) = confirmed(&town, &run, "Ana").await;
    let ben = town.person("Ben").await;
    ben.joins(&run.id, "waitlisted").await;
    town.set_clock("2026-11-25T09:00:00Z");
    town.work().await;
    fay.patch(&run.at(""), Some("\"1\""), json!({ "duration_min": 45 })).await.expect(200);
    town.work().await;
    ana.withdraws(&seat).await;
    town.work().await;
    let ban = json!({ "account_id": ben.id, "kind": "ban", "rule": "r", "statement": "s" });
    mo.post("/moderation/sanctions", ban).await.expect(201);
    fay.post(&run.at("/cancel"), json!({ "reason_code": "illness" })).await.expect(200);
    let letters = town.post_office().await;
    assert!(letters.len() >= 6, "{}", letters.len());
    for letter in letters {
        let seen = format!("{} {}", letter.subject, letter.header("From")).to_lowercase();
        for word in ["peer", "support", "depress", "therap", "mental", "health", "group", "session"] {
            assert!(!seen.contains(word), "{seen}");
        }
    }
}

/// Moves the clock minute by minute over the hours around `from`, and notes when a mail came to somebody.
async fn arrivals(town: &Town, email: &str, moments: &[&str]) -> Vec<(String, String)> {
    let mut came = Vec::new();
    for moment in moments {
        town.set_clock(moment);
        came.extend(town.mail_to(email).await.into_iter().map(|letter| ((*moment).to_owned(), letter.subject)));
    }
    came
}

fn times(came: &[(String, String)]) -> Vec<&str> {
    came.iter().map(|(when, _)| when.as_str()).collect()
}

#[apply(database_test!)]
async fn reminders_come_a_day_and_two_hours_before_and_never_after_the_start(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["day_contact"] = json!("07700 900123")).await;
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    confirmed(&town, &run, "Company").await;
    let first = town.one_mail_to(&ana.email).await;
    assert!(!first.text.contains("07700 900123"), "the number for the day comes on the day");
    let moments = [
        "2026-11-25T08:59:59Z",
        "2026-11-25T09:00:00Z",
        "2026-11-25T09:01:00Z",
        "2026-11-26T06:59:59Z",
        "2026-11-26T07:00:00Z",
        "2026-11-26T08:59:59Z",
        "2026-11-26T09:00:00Z",
        "2026-11-26T11:59:59Z",
    ];
    let came = arrivals(&town, &ana.email, &moments).await;
    assert_eq!(times(&came), ["2026-11-25T09:00:00Z", "2026-11-26T07:00:00Z"]);
    assert!(came[0].1.contains("a reminder") && came[1].1.starts_with("Today"), "{came:?}");
    // A worker that was away until after the start says nothing.
    let late = town.run(&fay, |run| run["starts_at"] = json!("2026-11-29T09:00:00Z")).await;
    let (ben, _) = confirmed(&town, &late, "Ben").await;
    town.one_mail_to(&ben.email).await;
    town.set_clock("2026-11-29T09:00:00Z");
    assert!(town.mail_to(&ben.email).await.is_empty());
}

#[apply(database_test!)]
async fn a_reminder_keeps_the_wall_clock_when_the_clocks_change(town: Town) {
    // London leaves summer time on Sunday 25 October 2026 at 02:00.
    town.set_clock("2026-10-20T10:00:00Z");
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-10-25T09:00:00Z")).await;
    assert_eq!(run.json["local_start"], "2026-10-25T09:00:00");
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    confirmed(&town, &run, "Company").await;
    town.work().await;
    town.inbox().empty();
    let moments = [
        "2026-10-24T07:59:59Z",
        "2026-10-24T08:00:00Z",
        "2026-10-24T09:00:00Z",
        "2026-10-25T06:59:59Z",
        "2026-10-25T07:00:00Z",
    ];
    let came = arrivals(&town, &ana.email, &moments).await;
    assert_eq!(
        times(&came),
        ["2026-10-24T08:00:00Z", "2026-10-25T07:00:00Z"],
        "09:00 the day before is 25 hours ahead"
    );
}

#[apply(database_test!)]
async fn a_reminder_keeps_the_wall_clock_where_they_change_by_half_an_hour(town: Town) {
    // Lord Howe enters summer time on Sunday 4 October 2026: +10:30 becomes +11.
    town.set_clock("2026-09-28T10:00:00Z");
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["meeting_point"] = json!({ "lat": -31.54, "lng": 159.08, "name": "The jetty" });
            run["starts_at"] = json!("2026-10-03T22:00:00Z");
        })
        .await;
    assert_eq!(run.json["local_start"], "2026-10-04T09:00:00");
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    confirmed(&town, &run, "Company").await;
    town.work().await;
    town.inbox().empty();
    let moments = [
        "2026-10-02T22:00:00Z",
        "2026-10-02T22:29:59Z",
        "2026-10-02T22:30:00Z",
        "2026-10-03T19:59:59Z",
        "2026-10-03T20:00:00Z",
    ];
    let came = arrivals(&town, &ana.email, &moments).await;
    assert_eq!(times(&came), ["2026-10-02T22:30:00Z", "2026-10-03T20:00:00Z"]);
}

#[apply(database_test!)]
async fn who_signs_up_after_the_moment_gets_no_reminder_for_it(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let (ana, seat) = confirmed(&town, &run, "Ana").await;
    confirmed(&town, &run, "Company").await;
    let ben = town.person("Ben").await;
    let waits = ben.joins(&run.id, "waitlisted").await;
    town.set_clock("2026-11-25T10:00:00Z");
    assert_eq!(town.mail_to(&ana.email).await.len(), 2);
    ana.withdraws(&seat).await;
    let told = town.one_mail_to(&ben.email).await;
    assert!(told.subject.starts_with("A place is free"), "{}", told.subject);
    ben.post(&format!("/signups/{waits}/accept"), json!({})).await.expect(200);
    assert_eq!(town.mail_to(&ben.email).await.len(), 1, "the place, and no reminder of the day before");
    town.set_clock("2026-11-26T07:00:00Z");
    assert_eq!(town.mail_to(&ben.email).await.len(), 1, "the reminder two hours before");
    let other = town.run(&fay, |run| run["starts_at"] = json!("2026-11-26T08:30:00Z")).await;
    let (cem, _) = confirmed(&town, &other, "Cem").await;
    confirmed(&town, &other, "Company").await;
    assert_eq!(town.mail_to(&cem.email).await.len(), 1, "the confirmation alone");
    town.minutes_pass(30);
    assert!(town.mail_to(&cem.email).await.is_empty());
}

#[apply(database_test!)]
async fn a_run_that_moves_is_reminded_of_for_its_new_start_only(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, seat) = confirmed(&town, &run, "Ana").await;
    confirmed(&town, &run, "Company").await;
    confirmed(&town, &run, "Others").await;
    town.set_clock("2026-11-25T09:00:00Z");
    // Handed to the outbox, but moved before the mail leaves.
    town.mail_server(Behaviour::Refuse);
    town.work().await;
    fay.patch(&run.at(""), Some("\"1\""), json!({ "starts_at": "2026-11-28T09:00:00Z" })).await.expect(200);
    town.mail_server(Behaviour::Accept);
    town.minutes_pass(5);
    let subjects: Vec<String> = town.mail_to(&ana.email).await.into_iter().map(|l| l.subject).collect();
    assert!(subjects.iter().all(|subject| !subject.contains("a reminder")), "{subjects:?}");
    ana.post(&format!("/signups/{seat}/reconfirm"), json!({})).await.expect(200);
    let came =
        arrivals(&town, &ana.email, &["2026-11-26T07:00:00Z", "2026-11-27T09:00:00Z", "2026-11-28T07:00:00Z"]).await;
    assert_eq!(times(&came), ["2026-11-27T09:00:00Z", "2026-11-28T07:00:00Z"]);
}

#[apply(database_test!)]
async fn a_facilitator_who_posts_late_gets_no_reminder_of_the_day_before(town: Town) {
    let fay = town.facilitator("Fay").await;
    town.run(&fay, |run| run["starts_at"] = json!("2026-11-23T18:00:00Z")).await;
    let subjects: Vec<String> = town.mail_to(&fay.email).await.into_iter().map(|l| l.subject).collect();
    assert!(subjects.is_empty(), "eight hours before: {subjects:?}");
    town.set_clock("2026-11-23T16:00:00Z");
    assert_eq!(town.mail_to(&fay.email).await.len(), 1);
}

#[apply(database_test!)]
async fn facilitators_read_who_comes_who_is_new_and_what_they_left_as_a_note(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let body = json!({ "activities": ["run"], "home": { "lat": 51.4, "lng": -0.3 }, "new_here": true });
    ana.put("/me/running-profile", body.clone()).await.expect(200);
    let mut known = body;
    known["new_here"] = json!(false);
    ben.put("/me/running-profile", known).await.expect(200);
    ana.post(&run.at("/signups"), json!({ "note": "I may be slow." })).await.expect(201);
    ben.joins(&run.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-25T09:00:00Z");
    let letter = town.one_mail_to(&fay.email).await;
    for needed in ["Coming: 2 people", "New to this: 1 person", "I may be slow.", "Ana"] {
        assert!(letter.text.contains(needed), "no {needed} in\n{}", letter.text);
    }
    letter.link("cannot-lead");
    town.set_clock("2026-11-26T07:00:00Z");
    town.one_mail_to(&fay.email).await;
}

#[apply(database_test!)]
async fn what_is_no_longer_true_when_it_is_claimed_is_not_sent(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, seat) = confirmed(&town, &run, "Ana").await;
    ana.withdraws(&seat).await;
    assert!(town.mail_to(&ana.email).await.is_empty(), "withdrawn before the confirmation left");
    let (ben, _) = confirmed(&town, &run, "Ben").await;
    fay.post(&run.at("/cancel"), json!({ "reason_code": "place" })).await.expect(200);
    let subjects: Vec<String> = town.mail_to(&ben.email).await.into_iter().map(|l| l.subject).collect();
    assert_eq!(subjects.len(), 1, "the cancellation alone: {subjects:?}");
    let other = town.run(&fay, |_| {}).await;
    let (cem, _) = confirmed(&town, &other, "Cem").await;
    town.set_clock("2026-11-26T09:00:00Z");
    assert!(town.mail_to(&cem.email).await.is_empty(), "a confirmation after the start helps nobody");
    assert_eq!(town.rows("outbox WHERE status = 'dropped'"), 3);
}

#[apply(database_test!)]
async fn a_dead_mail_server_fails_no_request_and_the_mail_comes_later_with_the_same_message_id(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    town.mail_server(Behaviour::Refuse);
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    town.work().await;
    assert_eq!(town.rows("outbox WHERE status = 'queued' AND attempts = 1 AND last_error IS NOT NULL"), 1);
    let id = town.texts(if town.kind() == crate::support::databases::Kind::Sqlite {
        "SELECT lower(hex(id)) AS t FROM outbox"
    } else {
        "SELECT replace(id::text, '-', '') AS t FROM outbox"
    });
    assert_eq!(town.work().await, 0, "not before its time");
    town.minutes_pass(1);
    town.work().await;
    town.mail_server(Behaviour::Accept);
    town.minutes_pass(5);
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.message_id.replace('-', ""), format!("<{}@town.example>", id[0]));
    assert_eq!(town.rows("outbox WHERE status = 'sent'"), 1);
}

#[apply(database_test!)]
async fn a_mail_whose_receipt_was_lost_comes_again_with_the_same_message_id(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    town.mail_server(Behaviour::KeepAndHangUp);
    let first = town.one_mail_to(&ana.email).await;
    town.mail_server(Behaviour::Accept);
    town.minutes_pass(1);
    let second = town.one_mail_to(&ana.email).await;
    assert_eq!(first.message_id, second.message_id);
    assert_eq!(first.header("Date"), "Mon, 23 Nov 2026 10:00:00 +0000");
    assert_eq!(second.header("Date"), "Mon, 23 Nov 2026 10:01:00 +0000", "a Date is the time of sending");
    assert_eq!(first.link("not-today"), second.link("not-today"), "and with the same link");
}

#[apply(database_test!)]
async fn who_is_refused_for_good_is_dead_at_once_and_can_be_tried_again(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    town.mail_server(Behaviour::Rcpt("550 5.1.1 no such user"));
    town.work().await;
    assert_eq!(town.rows("outbox WHERE status = 'dead' AND attempts = 1"), 1);
    town.hours_pass(5);
    let tries = town.inbox().attempts();
    town.work().await;
    assert_eq!(town.inbox().attempts(), tries, "what is dead is left alone");
    town.mail_server(Behaviour::Accept);
    let now = town.now();
    let again = town.app().db.write(move |tx| outbox::retry(tx, None, now)).await.expect("a retry");
    assert_eq!(again, 1);
    town.one_mail_to(&ana.email).await;
}

#[apply(database_test!)]
async fn what_a_server_puts_off_is_tried_again_later_each_time_and_given_up_in_the_end(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2027-01-26T09:00:00Z")).await;
    confirmed(&town, &run, "Ana").await;
    town.mail_server(Behaviour::Data(451));
    for attempt in 1..=MAX_ATTEMPTS {
        town.work().await;
        assert_eq!(town.rows(&format!("outbox WHERE attempts = {attempt}")), 1);
        town.hours_pass(4);
    }
    assert_eq!(town.rows("outbox WHERE status = 'dead'"), 1);
    assert!(town.inbox().all().is_empty());
    town.mail_server(Behaviour::HangUpInData);
    confirmed(&town, &run, "Ben").await;
    town.work().await;
    assert_eq!(town.rows("outbox WHERE status = 'queued' AND attempts = 1"), 1);
}

#[apply(database_test!)]
async fn two_workers_at_once_send_each_mail_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(12)).await;
    for person in town.people("Pat", 60).await {
        person.sign_up(&run.id).await.expect(201);
    }
    let replica = town.with(&[]);
    let (one, two, three, four) = tokio::join!(
        worker::tick(town.app()),
        worker::tick(replica.app()),
        worker::tick(town.app()),
        worker::tick(replica.app())
    );
    let done: usize = [one, two, three, four].into_iter().map(|done| done.expect("a tick")).sum();
    assert_eq!(done, 60);
    let mut ids: Vec<String> = town.inbox().all().into_iter().map(|letter| letter.message_id).collect();
    assert_eq!(ids.len(), 60);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 60);
    // The reminders as well.
    town.inbox().empty();
    town.set_clock("2026-11-25T09:00:00Z");
    let (one, two) = tokio::join!(worker::tick(town.app()), worker::tick(replica.app()));
    one.and(two).expect("both ticks");
    town.work().await;
    assert_eq!(town.inbox().all().len(), 13, "twelve who have a place and one who leads");
}

#[apply(database_test!)]
async fn a_worker_that_was_given_up_cannot_settle_what_another_has_claimed(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    confirmed(&town, &run, "Ana").await;
    let now = town.now();
    let db = &town.app().db;
    let slow = db.write(move |tx| outbox::claim(tx, Lane::Ordinary, now, 10, 600)).await.unwrap().remove(0);
    assert!(
        db.write(move |tx| outbox::claim(tx, Lane::Ordinary, now, 10, 600)).await.unwrap().is_empty(),
        "it is under a lease"
    );
    town.execute("UPDATE outbox SET lease_until = '2020-01-01T00:00:00.000000Z'").unwrap();
    let quick = db.write(move |tx| outbox::claim(tx, Lane::Ordinary, now, 10, 600)).await.unwrap().remove(0);
    assert_eq!((quick.id, quick.fence), (slow.id, slow.fence + 1));
    let settled =
        db.write(move |tx| outbox::settle(tx, &slow, &outbox::Fate::Dead("too late".into()), now)).await.unwrap();
    assert!(!settled);
    let settled = db.write(move |tx| outbox::settle(tx, &quick, &outbox::Fate::Sent, now)).await.unwrap();
    assert!(settled);
    assert_eq!(town.rows("outbox WHERE status = 'sent'"), 1);
}

#[apply(database_test!)]
async fn a_lease_that_ran_out_is_claimed_again(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    let now = town.now();
    town.app().db.write(move |tx| outbox::claim(tx, Lane::Ordinary, now, 10, 75)).await.unwrap();
    assert!(town.mail_to(&ana.email).await.is_empty());
    town.execute("UPDATE outbox SET lease_until = '2020-01-01T00:00:00.000000Z'").unwrap();
    town.one_mail_to(&ana.email).await;
}

#[apply(database_test!)]
async fn names_that_people_type_cannot_pass_for_links_or_headers(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["title"] = json!("Free money, Bcc: all@example.org https://evil.example/x");
            run["getting_there"] =
                json!("http://town.example/e/not-today/forged\n\nNot today:\nhttp://town.example/e/not-today/forged");
        })
        .await;
    let (ana, _) = confirmed(&town, &run, "Ana").await;
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.header("Bcc"), "");
    assert!(!letter.link("not-today").contains("forged"), "{}", letter.text);
    let alone = |line: &&str| line.starts_with("http://town.example/e/") || line.starts_with("https://evil");
    assert_eq!(letter.text.lines().filter(alone).count(), 1, "{}", letter.text);
    let _: Value = run.json;
}
