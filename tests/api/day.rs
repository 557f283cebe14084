//! The day itself: ticking people off, walk-ins, guests, emergency contacts, pairs, incidents, and what is forgotten when.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{domain::account::Role, id::Id, service::housekeeping, store::accounts};

use crate::{
    harness::{Person, Run, Town},
    support::{database_test::database_test, databases::Kind},
};

/// A run by somebody on Thursday at nine with these people confirmed; the clock stands at half past eight.
async fn morning(town: &Town, names: &[&str]) -> (Person, Run, Vec<(Person, String)>) {
    morning_of(town, names, |_| {}).await
}

async fn morning_of(
    town: &Town,
    names: &[&str],
    change: impl FnOnce(&mut Value),
) -> (Person, Run, Vec<(Person, String)>) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, change).await;
    let mut people = Vec::new();
    for name in names {
        let person = town.person(name).await;
        let seat = person.joins(&run.id, "confirmed").await;
        people.push((person, seat));
    }
    town.post_office().await;
    town.set_clock("2026-11-26T08:30:00Z");
    (fay, run, people)
}

fn at(signup: &str, act: &str) -> String {
    format!("/signups/{signup}/{act}")
}

async fn does(by: &Person, signup: &str, act: &str) -> Value {
    by.post(&at(signup, act), json!({})).await.expect(200).json
}

/// An id as a literal of the database's own.
fn literal(town: &Town, id: Id) -> String {
    match town.kind() {
        Kind::Sqlite => format!("X'{}'", id.to_string().replace('-', "")),
        Kind::Postgres => format!("'{id}'"),
    }
}

fn block(town: &Town, one: Id, other: Id) {
    let ids = [Id::random(), one, other].map(|id| literal(town, id)).join(", ");
    let insert =
        format!("INSERT INTO blocks (id, blocker_id, blocked_id, created_at) VALUES ({ids}, '{}')", town.now());
    town.execute(&insert).expect("a block");
}

fn forget(town: &Town) {
    let app = town.app();
    housekeeping::forget(&app.db, &app.config.policy, town.now()).expect("forgetting");
}

async fn welfare(town: &Town) -> Person {
    let person = town.person("Wim").await;
    let (id, now) = (person.id, town.now());
    let grant = town.app().db.write(move |tx| accounts::grant_role(tx, id, Role::WelfareModerator, None, now));
    grant.await.expect("a role");
    person
}

#[apply(database_test!)]
async fn an_emergency_contact_is_ones_own_and_has_limits(town: Town) {
    let ana = town.person("Ana").await;
    let path = "/me/emergency-contact";
    ana.get(path).await.refused(404, "not_found");
    let body = json!({ "name": " Bea ", "phone": "+44 20 7946-0958", "relation": "sister" });
    let put = ana.put(path, body).await.expect(200);
    assert_eq!(
        (put.str("name"), put.str("phone"), put.str("relation")),
        ("Bea".into(), "+44 20 7946-0958".into(), "sister".into())
    );
    ana.put(path, json!({ "name": "Cem", "phone": "112" })).await.expect(200);
    let got = ana.get(path).await.expect(200);
    assert_eq!((got.str("name"), &got.json["relation"]), ("Cem".into(), &Value::Null));
    assert_eq!(got.header("cache-control"), "no-store");
    let bad = json!({ "name": "  ", "phone": "call me", "relation": "x".repeat(41), "more": 1 });
    ana.put(path, bad).await.faulty(&[
        "/name bad_format",
        "/phone bad_format",
        "/relation too_long",
        "/more unknown_field",
    ]);
    ana.put(path, json!({})).await.faulty(&["/name required", "/phone required"]);
    town.person("Ben").await.get(path).await.refused(404, "not_found");
    ana.delete(path).await.expect(204);
    ana.get(path).await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn an_emergency_contact_is_seen_around_the_run_by_who_leads_it_and_each_look_is_written_down(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let gil = town.facilitator("Gil").await;
    let [(ana, seat), (ben, other)] = &people[..] else { panic!("two people") };
    ana.put("/me/emergency-contact", json!({ "name": "Bea", "phone": "+44 20 7946 0958" })).await.expect(200);
    let path = at(seat, "emergency-contact");
    let looks = || town.rows("audit_log WHERE act = 'emergency_contact_seen'");
    town.set_clock("2026-11-26T06:59:59Z");
    let early = fay.post(&path, json!({})).await.refused(409, "desk_not_open");
    assert_eq!(early.json["from"], "2026-11-26T07:00:00Z");
    town.set_clock("2026-11-26T07:00:00Z");
    let seen = fay.post(&path, json!({})).await.expect(200);
    assert_eq!(seen.json["contact"]["phone"], "+44 20 7946 0958");
    assert_eq!(seen.header("cache-control"), "no-store");
    assert_eq!(looks(), 1);
    let none = fay.post(&at(other, "emergency-contact"), json!({})).await.expect(200);
    assert_eq!((&none.json["contact"], looks()), (&Value::Null, 2));
    for stranger in [&gil, ana, ben] {
        stranger.post(&path, json!({})).await.refused(404, "not_found");
    }
    town.nobody().post(&path, json!({})).await.refused(401, "not_logged_in");
    town.set_clock("2026-11-26T13:59:59Z");
    fay.post(&path, json!({})).await.expect(200);
    town.set_clock("2026-11-26T14:00:00Z");
    fay.post(&path, json!({})).await.refused(409, "desk_closed");
    assert_eq!(looks(), 3, "what was refused was not seen");
    let roster = fay.get(&run.at("/signups")).await.expect(200);
    assert!(!roster.text.contains("7946"), "{}", roster.text);
    let keyed = town.rows("idempotency_keys WHERE body LIKE '%7946%'");
    assert_eq!(keyed, 0);
    town.work().await;
}

#[apply(database_test!)]
async fn the_days_contact_is_for_those_with_a_place_around_the_run(town: Town) {
    let change = |run: &mut Value| run["day_contact"] = json!("Fay, 0700 900 123");
    let (fay, run, people) = morning_of(&town, &["Ana", "Ben"], change).await;
    let sam = town.person("Sam").await;
    let shown = async |who: &Person| who.get(&run.at("")).await.expect(200).json.get("day_contact").cloned();
    let number = Some(json!("Fay, 0700 900 123"));
    let ana = &people[0].0;
    for (now, wanted) in [
        ("2026-11-26T06:59:59Z", None),
        ("2026-11-26T07:00:00Z", number.clone()),
        ("2026-11-26T10:59:59Z", number.clone()),
        ("2026-11-26T11:00:00Z", None),
    ] {
        town.set_clock(now);
        assert_eq!(shown(ana).await, wanted, "{now}");
        assert_eq!(shown(&sam).await, None, "{now}");
        assert_eq!(shown(&fay).await, number, "{now}");
        assert!(!town.nobody().get(&run.at("")).await.expect(200).text.contains("0700 900"));
    }
    town.work().await;
}

#[apply(database_test!)]
async fn people_are_checked_in_from_two_hours_before_until_seven_days_after(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let [(ana, seat), (_, other)] = &people[..] else { panic!("two people") };
    town.set_clock("2026-11-26T06:59:59Z");
    fay.post(&at(seat, "check-in"), json!({})).await.refused(409, "desk_not_open");
    town.set_clock("2026-11-26T07:00:00Z");
    assert_eq!(does(&fay, seat, "check-in").await["status"], "attended");
    assert_eq!(does(&fay, seat, "check-in").await["status"], "attended", "twice is once");
    assert_eq!(ana.seat(seat).await, "attended");
    fay.post(&at(other, "sign-out"), json!({})).await.refused(409, "not_checked_in");
    town.set_clock("2026-12-03T09:59:59Z");
    town.work().await;
    assert_eq!(fay.get(&run.at("")).await.json["status"], "completed");
    assert_eq!(does(&fay, other, "check-in").await["status"], "attended");
    town.set_clock("2026-12-03T10:00:00Z");
    let late = fay.post(&at(other, "undo-mark"), json!({})).await.refused(409, "desk_closed");
    assert_eq!(late.json["until"], "2026-12-03T10:00:00Z");
    fay.post(&at(seat, "check-in"), json!({})).await.refused(409, "desk_closed");
    town.work().await;
}

#[apply(database_test!)]
async fn a_wrong_tick_is_taken_back(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let seat = &people[0].1;
    does(&fay, seat, "check-in").await;
    let undone = does(&fay, seat, "undo-mark").await;
    assert_eq!((&undone["status"], &undone["checked_in_at"]), (&json!("confirmed"), &Value::Null));
    fay.post(&at(seat, "undo-mark"), json!({})).await.refused(409, "not_checked_in");
    let sam = town.person("Sam").await;
    let body = json!({ "account_id": sam.id });
    let walked =
        fay.post(&run.at("/walk-ins"), body).await.expect(201).json["signup"]["id"].as_str().unwrap().to_owned();
    // The wrong person: they are off the run, and nothing says that they were there.
    assert_eq!(does(&fay, &walked, "undo-mark").await["status"], "withdrawn");
    assert_eq!(fay.get(&run.at("")).await.json["places_left"], 8);
    does(&fay, seat, "check-in").await;
    does(&fay, seat, "sign-out").await;
    assert_eq!(does(&fay, seat, "check-in").await["signed_out_at"], Value::Null);
    town.work().await;
}

#[apply(database_test!)]
async fn nobody_counts_as_missed_where_nobody_is_ticked_off(town: Town) {
    let (fay, _, people) = morning(&town, &["Ana", "Ben"]).await;
    let [(_, a), (_, b)] = &people[..] else { panic!("two people") };
    does(&fay, a, "check-in").await;
    town.set_clock("2026-11-26T10:00:00Z");
    does(&fay, b, "no-show").await;
    fay.post(&at(a, "undo-mark"), json!({})).await.refused(409, "nobody_checked_in");
    does(&fay, b, "undo-mark").await;
    does(&fay, a, "undo-mark").await;
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_guest_entered_by_mistake_is_taken_off(town: Town) {
    let (fay, run, _) = morning(&town, &["Ana", "Ben"]).await;
    let guest = json!({ "guest": { "first_name": "Gus", "adult": true, "emergency_phone": "0700 900 1" } });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let taken = fay.post(&run.at("/walk-ins"), guest.clone()).await.expect(201);
        ids.push(taken.json["guest"]["id"].as_str().unwrap().to_owned());
    }
    let listed = async || {
        let items = fay.get("/runs").await.expect(200).items();
        items.iter().find(|item| item["id"] == run.id.as_str()).expect("it is listed")["places_left"].clone()
    };
    let left = async || {
        let left = fay.get(&run.at("")).await.expect(200).json["places_left"].clone();
        assert_eq!(listed().await, left, "the list says the same");
        left
    };
    assert_eq!(left().await, 6);
    people_may_not(&town, &run, &ids[0]).await;
    fay.delete(&run.at(&format!("/guests/{}", ids[0]))).await.expect(204);
    fay.delete(&run.at(&format!("/guests/{}", ids[0]))).await.refused(404, "not_found");
    assert_eq!(left().await, 7);
    town.set_clock("2026-11-26T12:00:00Z");
    fay.delete(&run.at(&format!("/guests/{}", ids[1]))).await.refused(409, "desk_closed");
    town.set_clock("2026-11-26T11:59:59Z");
    let incident = json!({ "what_happened": "Gus fell.", "severity": "minor", "guest_ids": [ids[1]] });
    fay.post(&run.at("/incidents"), incident).await.expect(201);
    fay.delete(&run.at(&format!("/guests/{}", ids[1]))).await.refused(409, "in_an_incident");
    town.leave_mail();
}

async fn people_may_not(town: &Town, run: &Run, guest: &str) {
    let (gil, ana) = (town.facilitator("Gil").await, town.person("Amy").await);
    for other in [&gil, &ana] {
        other.delete(&run.at(&format!("/guests/{guest}"))).await.refused(404, "not_found");
    }
}

#[apply(database_test!)]
async fn before_the_start_whoever_was_ticked_off_has_their_place_and_no_second_one(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let gil = town.facilitator("Gil").await;
    let elsewhere = town.run(&gil, |_| {}).await;
    let (ana, seat) = &people[0];
    does(&fay, seat, "check-in").await;
    assert_eq!(ana.sign_up(&run.id).await.expect(200).id(), *seat);
    let refused = ana.sign_up(&elsewhere.id).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_signup_id"], json!(seat));
    assert_eq!(does(&fay, seat, "undo-mark").await["status"], "confirmed");
    does(&fay, seat, "check-in").await;
    // She hurt her foot on the way to the start.
    ana.withdraws(seat).await;
    assert_eq!(ana.seat(seat).await, "withdrawn");
    assert_eq!(town.rows("outbox WHERE kind = 'participant_withdrew'"), 1);
    assert_eq!(town.rows("signups WHERE status IN ('confirmed', 'attended')"), 1);
    town.post_office().await;
}

#[apply(database_test!)]
async fn before_the_start_decisions_reach_whoever_was_ticked_off(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben", "Cem"]).await;
    for (_, seat) in &people {
        does(&fay, seat, "check-in").await;
    }
    let removal = json!({ "reason_code": "group_size", "private_note": "Too many." });
    fay.post(&at(&people[0].1, "remove"), removal).await.expect(200);
    let bar = json!({ "account_id": people[1].0.id, "until": "2026-12-24T00:00:00Z", "reason_code": "not_a_fit",
        "private_note": "Not today." });
    fay.post("/me/bars", bar).await.expect(201);
    let mut seats = Vec::new();
    for (person, seat) in &people {
        seats.push(person.seat(seat).await);
    }
    assert_eq!(seats, ["removed", "withdrawn", "attended"]);
    people[1].0.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    town.work().await;
}

#[apply(database_test!)]
async fn whoever_was_ticked_off_hears_that_the_run_is_called_off_and_was_not_on_it(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let (ana, seat) = &people[0];
    does(&fay, seat, "check-in").await;
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.subject.starts_with("Cancelled"), "{}", letter.subject);
    assert_eq!(ana.seat(seat).await, "confirmed");
    assert_eq!(ana.get("/me/history").await.expect(200).json["runs"], 0);
}

#[apply(database_test!)]
async fn all_are_checked_in_and_signed_out_at_once_and_the_log_names_nobody(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben", "Cem"]).await;
    let seats: Vec<&String> = people.iter().map(|(_, seat)| seat).collect();
    let elsewhere = Id::random().to_string();
    let some = fay.post(&run.at("/check-in"), json!({ "signup_ids": [seats[0], elsewhere] })).await.expect(200);
    assert_eq!((some.json["done"].as_array().unwrap().len(), &some.json["left"]), (1, &json!([elsewhere])));
    let all = fay.post(&run.at("/check-in"), json!({})).await.expect(200);
    assert_eq!(all.json["done"].as_array().unwrap().len(), 2);
    let guest = json!({ "guest": { "first_name": "Gus", "adult": true, "emergency_phone": "0700 900 1" } });
    fay.post(&run.at("/walk-ins"), guest).await.expect(201);
    let roster = fay.get(&run.at("/signups")).await.expect(200);
    assert_eq!((&roster.json["not_signed_out"], roster.items().len()), (&json!(4), 3));
    assert_eq!(roster.json["guests"][0]["first_name"], "Gus");
    does(&fay, seats[1], "sign-out").await;
    assert_eq!(fay.get(&run.at("/signups")).await.json["not_signed_out"], 3);
    let out = fay.post(&run.at("/sign-out"), json!({})).await.expect(200);
    assert_eq!(out.json["left"], json!([]));
    assert_eq!(fay.get(&run.at("/signups")).await.json["not_signed_out"], 0);
    assert_eq!(town.rows("audit_log WHERE act = 'checked_in'"), 2);
    assert_eq!(town.rows("audit_log WHERE act = 'signed_out'"), 2);
    assert_eq!(
        town.rows("audit_log WHERE act IN ('checked_in', 'signed_out', 'guest_added') AND subject IS NOT NULL"),
        0
    );
    fay.post(&run.at("/check-in"), json!({ "signup_ids": "all" })).await.faulty(&["/signup_ids wrong_type"]);
    town.work().await;
}

#[apply(database_test!)]
async fn whoever_is_not_signed_out_is_asked_about_once(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    fay.post(&run.at("/check-in"), json!({})).await.expect(200);
    town.set_clock("2026-11-26T09:30:00Z");
    town.post_office().await;
    does(&fay, &people[0].1, "sign-out").await;
    town.set_clock("2026-11-26T10:59:59Z");
    assert_eq!(town.mail_to(&fay.email).await.len(), 0);
    town.set_clock("2026-11-26T11:00:00Z");
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.text.contains("1 person has not been signed") && !letter.text.contains("Ben"), "{}", letter.text);
    town.set_clock("2026-11-26T13:00:00Z");
    assert_eq!(town.mail_to(&fay.email).await.len(), 0);
}

#[apply(database_test!)]
async fn nobody_is_missed_where_nobody_was_ticked_off_nor_before_the_start(town: Town) {
    let (fay, _, people) = morning(&town, &["Ana", "Ben"]).await;
    let [(_, seat), (_, other)] = &people[..] else { panic!("two people") };
    let path = at(seat, "no-show");
    does(&fay, other, "check-in").await;
    town.set_clock("2026-11-26T08:59:59Z");
    fay.post(&path, json!({})).await.refused(409, "desk_not_open");
    does(&fay, other, "undo-mark").await;
    town.set_clock("2026-11-26T09:00:00Z");
    fay.post(&path, json!({})).await.refused(409, "nobody_checked_in");
    does(&fay, seat, "check-in").await;
    fay.post(&path, json!({})).await.refused(409, "nobody_checked_in");
    does(&fay, other, "check-in").await;
    assert_eq!(does(&fay, seat, "no-show").await["status"], "no_show");
    assert_eq!(does(&fay, seat, "no-show").await["status"], "no_show", "twice is once");
    assert_eq!(town.rows("audit_log WHERE act = 'no_show_marked' AND subject IS NULL"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn whoever_was_missed_is_told_kindly_and_their_word_stands(town: Town) {
    let (fay, _, people) = morning(&town, &["Ana", "Ben", "Cem"]).await;
    let [(ana, a), (ben, b), (_, c)] = &people[..] else { panic!("three people") };
    does(&fay, c, "check-in").await;
    town.set_clock("2026-11-26T09:05:00Z");
    does(&fay, a, "no-show").await;
    does(&fay, b, "no-show").await;
    assert!(town.mail_to(&ana.email).await.is_empty(), "not while they may be on their way");
    // A facilitator who was mistaken takes it back, and nothing is mailed.
    assert_eq!(does(&fay, b, "undo-mark").await["status"], "confirmed");
    town.set_clock("2026-11-26T10:00:00Z");
    let letters = town.post_office().await;
    assert!(letters.iter().all(|letter| letter.to != ben.email));
    let letter = letters.iter().find(|letter| letter.to == ana.email).expect("a kind mail");
    assert_eq!(letter.subject, "We missed you on Thursday 26 November");
    assert_eq!(ana.get("/me/history").await.expect(200).json["silent_absences"], 1);
    let link = letter.link("was-there");
    town.set_clock("2026-12-03T09:59:00Z");
    town.nobody().open(&link).await.expect(200);
    assert_eq!(ana.seat(a).await, "no_show", "opening changes nothing");
    ben.post(&at(a, "was-there"), json!({})).await.refused(404, "not_found");
    town.nobody().post(&at(a, "was-there"), json!({})).await.refused(401, "not_logged_in");
    town.nobody().press(&link, &[]).await.expect(200);
    assert_eq!(ana.seat(a).await, "attended");
    town.nobody().press(&link, &[]).await.expect(200);
    let history = ana.get("/me/history").await.expect(200);
    assert_eq!((&history.json["silent_absences"], &history.json["runs"]), (&json!(0), &json!(1)));
    fay.post(&at(a, "no-show"), json!({})).await.refused(409, "said_they_were_there");
    fay.post(&at(a, "undo-mark"), json!({})).await.refused(409, "said_they_were_there");
    // Seven days after the mark it stands.
    does(&fay, b, "no-show").await;
    town.set_clock("2026-12-10T09:58:59Z");
    let path = at(b, "was-there");
    town.set_clock("2026-12-10T09:59:00Z");
    ben.post(&path, json!({})).await.refused(409, "desk_closed");
    assert_eq!(ben.seat(b).await, "no_show");
    town.work().await;
}

#[apply(database_test!)]
async fn a_missed_person_needs_a_place_while_the_run_is_on(town: Town) {
    let (fay, run, people) = morning_of(&town, &["Ana", "Ben"], |run| run["capacity"] = json!(2)).await;
    let [(ana, a), (_, b)] = &people[..] else { panic!("two people") };
    does(&fay, b, "check-in").await;
    town.set_clock("2026-11-26T09:10:00Z");
    does(&fay, a, "no-show").await;
    let sam = town.person("Sam").await;
    fay.post(&run.at("/walk-ins"), json!({ "email": sam.email })).await.expect(201);
    ana.post(&at(a, "was-there"), json!({})).await.refused(409, "run_full");
    fay.post(&at(a, "check-in"), json!({})).await.refused(409, "run_full");
    fay.post(&at(a, "undo-mark"), json!({})).await.refused(409, "run_full");
    // Afterwards it is a matter of truth, not of places.
    town.set_clock("2026-11-26T10:00:00Z");
    ana.post(&at(a, "was-there"), json!({})).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn whoever_walks_in_hears_of_a_place_elsewhere_at_the_same_time_and_keeps_it_till_they_say(town: Town) {
    let (fay, run, _) = morning(&town, &["Ana", "Ben"]).await;
    let (gil, sam) = (town.facilitator("Gil").await, town.person("Sam").await);
    let elsewhere = town.run(&gil, |run| {
        run["title"] = json!("Elsewhere");
        run["starts_at"] = json!("2026-11-26T09:50:00Z");
    });
    let elsewhere = elsewhere.await;
    let later = town.run(&gil, |run| run["starts_at"] = json!("2026-11-26T19:30:00Z")).await;
    let seat = sam.joins(&elsewhere.id, "confirmed").await;
    sam.joins(&later.id, "confirmed").await;
    town.post_office().await;
    let walked = fay.post(&run.at("/walk-ins"), json!({ "account_id": sam.id })).await.expect(201);
    assert!(!walked.text.contains("Elsewhere") && !walked.text.contains(&elsewhere.id), "{}", walked.text);
    let letter = town.one_mail_to(&sam.email).await;
    assert!(letter.text.contains("At the same time you also have a place here"), "{}", letter.text);
    assert!(letter.text.contains("Elsewhere") && !letter.text.contains("19:30"), "{}", letter.text);
    assert_eq!(sam.seat(&seat).await, "confirmed");
    town.nobody().press(&letter.link("not-today"), &[]).await.expect(200);
    assert_eq!(sam.seat(&seat).await, "withdrawn");
    // Nobody hears of what is not there.
    let tom = town.person("Tom").await;
    fay.post(&run.at("/walk-ins"), json!({ "account_id": tom.id })).await.expect(201);
    let letters = town.post_office().await;
    let letter = letters.iter().find(|letter| letter.to == tom.email).expect("a mail");
    assert!(!letter.text.contains("At the same time"), "{}", letter.text);
}

#[apply(database_test!)]
async fn walk_ins_take_places_and_a_full_run_takes_nobody(town: Town) {
    let (fay, run, people) = morning_of(&town, &["Ana", "Ben"], |run| run["capacity"] = json!(3)).await;
    let (sam, tom) = (town.person("Sam").await, town.person("Tom").await);
    let path = run.at("/walk-ins");
    town.set_clock("2026-11-26T06:59:59Z");
    fay.post(&path, json!({ "email": sam.email })).await.refused(409, "desk_not_open");
    town.set_clock("2026-11-26T07:00:00Z");
    // Whoever has a place is checked in.
    let known = fay.post(&path, json!({ "email": people[0].0.email.to_uppercase() })).await.expect(200);
    assert_eq!((known.str("display_name"), &known.json["signup"]["id"]), ("Ana".into(), &json!(people[0].1)));
    let walked = fay.post(&path, json!({ "email": sam.email })).await.expect(201);
    assert_eq!(walked.json["signup"]["status"], "attended");
    assert_eq!(walked.json["signup"]["walked_in"], true);
    let again = fay.post(&path, json!({ "account_id": sam.id })).await.expect(200);
    assert_eq!(walked.json["signup"]["id"], again.json["signup"]["id"]);
    let letter = town.post_office().await.into_iter().find(|letter| letter.to == sam.email).expect("a mail");
    assert_eq!(letter.subject, "You are on the list for Thursday 26 November");
    assert_eq!(fay.get(&run.at("")).await.json["places_left"], 0);
    fay.post(&path, json!({ "email": tom.email })).await.refused(409, "run_full");
    fay.post(&path, json!({ "email": "nobody@people.example" })).await.refused(409, "run_full");
    let guest = json!({ "guest": { "first_name": "Gus", "adult": true, "emergency_phone": "0700 900 1" } });
    fay.post(&path, guest.clone()).await.refused(409, "run_full");
    assert_eq!(town.rows("audit_log WHERE act = 'walked_in'"), 1);
    assert_eq!(town.rows("guests"), 0);
    town.set_clock("2026-11-26T11:59:59Z");
    does(&fay, &people[0].1, "undo-mark").await;
    fay.post(&path, json!({ "email": people[0].0.email })).await.expect(200);
    town.set_clock("2026-11-26T12:00:00Z");
    fay.post(&path, guest.clone()).await.refused(409, "desk_closed");
    town.work().await;
    fay.post(&path, guest).await.refused(409, "run_over");
}

#[apply(database_test!)]
async fn a_walk_in_is_refused_alike_for_every_cause(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let path = run.at("/walk-ins");
    let (blocked, blocker, barred) = (town.person("Bo").await, town.person("Bi").await, town.person("Ba").await);
    let (banned, admin) = (town.person("By").await, town.admin().await);
    block(&town, people[0].0.id, blocked.id);
    block(&town, blocker.id, people[1].0.id);
    let bar = json!({ "account_id": barred.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    fay.post("/me/bars", bar).await.expect(201);
    let ban = json!({ "account_id": banned.id, "kind": "ban", "rule": "r", "statement": "s" });
    admin.post("/moderation/sanctions", ban).await.expect(201);
    let gil = town.facilitator("Gil").await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await;
    let mut answers = Vec::new();
    for email in
        [&blocked.email, &blocker.email, &barred.email, &banned.email, &gil.email, &"none@people.example".to_owned()]
    {
        let no = fay.post(&path, json!({ "email": email })).await.refused(409, "run_not_open_to_you");
        answers.push(no.text);
    }
    fay.post(&path, json!({ "account_id": Id::random() })).await.refused(409, "run_not_open_to_you");
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(town.rows("signups WHERE walked_in"), 0);
    fay.post(&path, json!({})).await.faulty(&[" one_of"]);
    fay.post(&path, json!({ "email": "a@b", "account_id": barred.id })).await.faulty(&[" one_of"]);
    fay.post(&path, json!({ "email": "nobody" })).await.faulty(&["/email bad_format"]);
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_waited_and_walks_in_waits_no_more(town: Town) {
    let (fay, run, people) = morning_of(&town, &["Ana", "Ben", "Cem"], |run| run["capacity"] = json!(3)).await;
    let wes = town.person("Wes").await;
    town.set_clock("2026-11-26T08:30:00Z");
    let waits = wes.joins(&run.id, "waitlisted").await;
    fay.post(&run.at("/walk-ins"), json!({ "email": wes.email })).await.refused(409, "run_full");
    town.set_clock("2026-11-26T08:59:00Z");
    people[0].0.withdraws(&people[0].1).await;
    let walked = fay.post(&run.at("/walk-ins"), json!({ "email": wes.email })).await.expect(201);
    assert_ne!(walked.json["signup"]["id"], waits);
    assert_eq!(wes.seat(&waits).await, "expired");
    assert_eq!(fay.get(&run.at("")).await.json["places_left"], 0);
    town.leave_mail();
}

#[apply(database_test!)]
async fn guests_are_adults_who_take_a_place_and_are_erased_unless_an_incident_is_open(town: Town) {
    let (fay, run, _) = morning_of(&town, &["Ana", "Ben"], |run| run["capacity"] = json!(3)).await;
    let other = town.run(&fay, |run| run["starts_at"] = json!("2026-11-26T13:00:00Z")).await;
    let guest =
        |adult: bool| json!({ "guest": { "first_name": "Gus", "adult": adult, "emergency_phone": "0700 900 1" } });
    fay.post(&run.at("/walk-ins"), guest(false)).await.faulty(&["/guest/adult adults_only"]);
    let bad = json!({ "guest": { "first_name": " ", "emergency_phone": "none" } });
    fay.post(&run.at("/walk-ins"), bad).await.faulty(&[
        "/guest/first_name bad_format",
        "/guest/adult required",
        "/guest/emergency_phone bad_format",
    ]);
    let gus = fay.post(&run.at("/walk-ins"), guest(true)).await.expect(201);
    assert!(!gus.text.contains("0700"), "{}", gus.text);
    let id = gus.json["guest"]["id"].as_str().unwrap().to_owned();
    fay.post(&run.at("/walk-ins"), guest(true)).await.refused(409, "run_full");
    let number = fay.post(&run.at(&format!("/guests/{id}/emergency-contact")), json!({})).await.expect(200);
    assert_eq!(number.json["emergency_phone"], "0700 900 1");
    assert_eq!(town.rows("audit_log WHERE act = 'emergency_contact_seen'"), 1);
    fay.post(&other.at(&format!("/guests/{id}/sign-out")), json!({})).await.refused(404, "not_found");
    fay.post(&run.at("/guests/none/sign-out"), json!({})).await.refused(404, "not_found");
    let out = fay.post(&run.at(&format!("/guests/{id}/sign-out")), json!({})).await.expect(200);
    assert!(out.json["signed_out_at"].is_string());
    town.set_clock("2026-11-26T11:30:00Z");
    let second = fay.post(&other.at("/walk-ins"), guest(true)).await.expect(201).json["guest"]["id"].clone();
    let incident = json!({ "what_happened": "Gus fell.", "severity": "minor", "guest_ids": [second] });
    let report = fay.post(&other.at("/incidents"), incident).await.expect(201).str("report_id");
    town.set_clock("2026-12-10T09:59:59Z");
    forget(&town);
    assert_eq!(town.rows("guests WHERE first_name IS NOT NULL AND emergency_phone IS NOT NULL"), 2);
    town.set_clock("2026-12-10T14:00:00Z");
    forget(&town);
    assert_eq!(town.rows("guests WHERE erased_at IS NOT NULL AND first_name IS NULL AND emergency_phone IS NULL"), 1);
    assert_eq!(town.rows("guests WHERE first_name IS NOT NULL"), 1, "an open incident holds the other");
    let mo = town.moderator("Mo").await;
    mo.post(&format!("/moderation/reports/{report}/resolve"), json!({ "resolution": "Healed." })).await.expect(200);
    forget(&town);
    assert_eq!(town.rows("guests WHERE first_name IS NOT NULL OR emergency_phone IS NOT NULL"), 0);
    town.leave_mail();
}

#[apply(database_test!)]
async fn an_incident_is_first_in_the_queue_and_holds_the_list(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let (ana, seat) = &people[0];
    let (mo, gil) = (town.moderator("Mo").await, town.facilitator("Gil").await);
    let spam = json!({ "about": { "kind": "run", "id": run.id }, "category": "spam", "statement": "s" });
    ana.post("/reports", spam).await.expect(201);
    let path = run.at("/incidents");
    let body = json!({ "what_happened": "Ana fainted.", "severity": "serious", "emergency_services": true,
        "happened_at": "2026-11-26T08:20:00Z", "signup_ids": [seat] });
    for other in [&gil, ana, &mo] {
        other.post(&path, body.clone()).await.refused(404, "not_found");
    }
    let wrong = json!({ "what_happened": " ", "severity": "awful", "signup_ids": ["x"] });
    fay.post(&path, wrong).await.faulty(&[
        "/what_happened bad_format",
        "/severity unknown_value",
        "/signup_ids/0 bad_format",
    ]);
    let wrong = json!({ "what_happened": "w", "severity": "minor", "signup_ids": [Id::random()], "guest_ids": [seat],
        "happened_at": "2026-11-27T00:00:00Z" });
    fay.post(&path, wrong).await.faulty(&[
        "/signup_ids/0 not_found",
        "/guest_ids/0 not_found",
        "/happened_at in_the_future",
    ]);
    let receipt = fay.post_once("one", &path, body.clone()).await.expect(201);
    assert_eq!(fay.post_once("one", &path, body.clone()).await.expect(201).json, receipt.json);
    let queue = mo.get("/moderation/reports").await.expect(200);
    assert_eq!(queue.items()[0]["id"], receipt.json["report_id"]);
    let listed = mo.get("/moderation/incidents").await.expect(200);
    assert_eq!(listed.items().len(), 1);
    assert!(!listed.text.contains("Ana\""), "nobody is named in the list: {}", listed.text);
    assert_eq!(town.rows("audit_log WHERE act = 'incident_seen'"), 0);
    let seen = mo.get(&format!("/moderation/incidents/{}", receipt.id())).await.expect(200);
    assert_eq!(town.rows("audit_log WHERE act = 'incident_seen'"), 1);
    assert_eq!(seen.json["what_happened"], listed.items()[0]["what_happened"]);
    assert_eq!(seen.json["people"][0]["display_name"], "Ana");
    assert_eq!((&seen.json["emergency_services"], &seen.json["status"]), (&json!(true), &json!("open")));
    fay.get("/moderation/incidents").await.refused(403, "moderators_only");
    assert_eq!(town.rows("audit_log WHERE act = 'incident_reported' AND subject IS NULL"), 1);
    town.set_clock("2026-12-10T09:59:59Z");
    fay.post(&path, body.clone()).await.expect(201);
    town.set_clock("2026-12-10T10:00:00Z");
    fay.post(&path, body).await.refused(409, "desk_closed");
    let wim = welfare(&town).await;
    let one = format!("/moderation/incidents/{}", receipt.id());
    town.log_in_again(&mo).await.get(&one).await.refused(403, "welfare_only");
    wim.get(&one).await.expect(200);
    town.set_clock("2027-12-26T10:00:00Z");
    forget(&town);
    assert_eq!(town.rows("signups"), 2, "held while the team looks into it");
    let mo = town.log_in_again(&mo).await;
    for report in mo.get("/moderation/reports").await.items() {
        let path = format!("/moderation/reports/{}/resolve", report["id"].as_str().unwrap());
        mo.post(&path, json!({ "resolution": "Done." })).await.expect(200);
    }
    forget(&town);
    assert_eq!(town.rows("signups"), 0);
    town.leave_mail();
}

#[apply(database_test!)]
async fn pairs_keep_apart_who_must_be_and_change_from_time_to_time(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben", "Cem", "Dee"]).await;
    let next = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    let paces = [(360, 400), (362, 402), (480, 520), (482, 522)];
    for ((person, _), (fastest, slowest)) in people.iter().zip(paces) {
        let body = json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 }, "talk_or_quiet": "talk",
            "comfortable_pace": { "fastest_s_per_km": fastest, "slowest_s_per_km": slowest } });
        let kept = person.put("/me/running-profile", body).await.expect(200);
        assert_eq!(kept.json["talk_or_quiet"], "talk");
    }
    let seats: Vec<String> = people.iter().map(|(_, seat)| seat.clone()).collect();
    let path = run.at("/pairs");
    assert_eq!(fay.get(&path).await.expect(200).json["suggestion"], json!([]), "nobody is there yet");
    fay.post(&run.at("/check-in"), json!({})).await.expect(200);
    let of = |view: &Value, what: &str| -> Vec<Vec<String>> {
        let name = |one: &Value| one["display_name"].as_str().unwrap().to_owned();
        let mut groups: Vec<Vec<String>> = view[what]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group.as_array().unwrap().iter().map(name).collect())
            .collect();
        groups.iter_mut().for_each(|group| group.sort());
        groups.sort();
        groups
    };
    let first = fay.get(&path).await.expect(200).json;
    assert_eq!(of(&first, "suggestion"), [["Ana", "Ben"], ["Cem", "Dee"]]);
    assert_eq!(of(&first, "chosen"), Vec::<Vec<String>>::new());
    let unknown = json!({ "pairs": [[seats[0]], [seats[1], seats[1]], [seats[2], Id::random()]] });
    fay.put(&path, unknown).await.faulty(&["/pairs/0 wrong_number", "/pairs/1/1 given_twice", "/pairs/2/1 not_found"]);
    let chosen = fay.put(&path, json!({ "pairs": [[seats[0], seats[1]], [seats[2], seats[3]]] })).await.expect(200);
    assert_eq!(of(&chosen.json, "chosen"), [["Ana", "Ben"], ["Cem", "Dee"]]);
    assert_eq!(of(&chosen.json, "suggestion"), of(&first, "suggestion"), "this time is not last time");
    let mine = people[0].0.get("/me/history").await.expect(200);
    assert_eq!(mine.json["last_partners"], json!(["Ben"]));
    // Next time somebody else, whatever the pace; and nobody beside whom they never want to meet.
    let mut again = Vec::new();
    for (person, _) in &people {
        again.push(person.joins(&next.id, "confirmed").await);
    }
    town.set_clock("2026-11-28T08:30:00Z");
    fay.post(&next.at("/check-in"), json!({})).await.expect(200);
    let later = fay.get(&next.at("/pairs")).await.expect(200).json;
    assert!(!of(&later, "suggestion").contains(&vec!["Ana".into(), "Ben".into()]), "{later}");
    block(&town, people[0].0.id, people[2].0.id);
    let kept_apart = fay.get(&next.at("/pairs")).await.expect(200).json;
    assert_eq!(of(&kept_apart, "suggestion"), [["Ana", "Dee"], ["Ben", "Cem"]]);
    fay.put(&next.at("/pairs"), json!({ "pairs": [[again[0], again[2]]] })).await.refused(409, "pair_not_possible");
    // Whoever has gone home is in no suggestion; three run together.
    does(&fay, &again[3], "sign-out").await;
    let three = fay.get(&next.at("/pairs")).await.expect(200).json;
    let names: usize = of(&three, "suggestion").iter().map(Vec::len).sum();
    assert_eq!((names, three["alone"].as_array().unwrap().len()), (2, 1), "{three}");
    town.leave_mail();
}

#[apply(database_test!)]
async fn the_sealed_list_is_for_welfare_moderators_and_each_look_is_written_down(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let (mo, ada, wim) = (town.moderator("Mo").await, town.admin().await, welfare(&town).await);
    fay.post(&run.at("/check-in"), json!({})).await.expect(200);
    let path = format!("/moderation/sealed-rosters/{}", run.id);
    let why = json!({ "reason": "report", "reference": Id::random() });
    town.set_clock("2026-12-10T09:59:59Z");
    fay.get(&run.at("/signups")).await.expect(200);
    let early = wim.post(&path, why.clone()).await.refused(409, "desk_not_open");
    assert_eq!(early.json["from"], "2026-12-10T10:00:00Z");
    town.set_clock("2026-12-10T10:00:00Z");
    fay.get(&run.at("/signups")).await.refused(404, "not_found");
    mo.post(&path, why.clone()).await.refused(403, "welfare_only");
    ada.post(&path, why.clone()).await.refused(403, "welfare_only");
    fay.post(&path, why.clone()).await.refused(403, "moderators_only");
    wim.post(&path, json!({})).await.faulty(&["/reason required"]);
    wim.post(&path, json!({ "reason": "curious" })).await.faulty(&["/reason unknown_value"]);
    wim.post(&format!("/moderation/sealed-rosters/{}", Id::random()), why.clone()).await.refused(404, "not_found");
    assert_eq!(town.rows("audit_log WHERE act = 'sealed_roster_seen'"), 0);
    for look in 1..=2 {
        let list = wim.post(&path, why.clone()).await.expect(200);
        assert_eq!(list.json["people"].as_array().unwrap().len(), people.len());
        assert_eq!(list.json["people"][0]["account_id"], json!(people[0].0.id));
        assert_eq!(town.rows("audit_log WHERE act = 'sealed_roster_seen' AND about LIKE '%report%'"), look);
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn after_a_year_the_list_is_forgotten_and_ones_own_history_stays(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben", "Cem"]).await;
    let [(ana, a), (ben, b), (cem, _)] = &people[..] else { panic!("three people") };
    let wim = welfare(&town).await;
    fay.post(&run.at("/check-in"), json!({ "signup_ids": [a] })).await.expect(200);
    town.set_clock("2026-11-26T10:00:00Z");
    does(&fay, b, "no-show").await;
    town.set_clock("2026-11-26T12:00:00Z");
    town.work().await;
    let histories = async || {
        let mut all = Vec::new();
        for person in [ana, ben, cem] {
            all.push(person.get("/me/history").await.expect(200).json);
        }
        all
    };
    let known = async |person: &Person| {
        let id = person.id;
        let read = town.app().db.read(move |conn| sidebyside::store::signups::known_facilitators(conn, id));
        read.await.expect("facilitators")
    };
    let before = histories().await;
    assert_eq!((&before[0]["runs"], &before[1]["runs"], &before[2]["runs"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(
        before[0]["led_by"],
        json!([{ "id": fay.id, "display_name": "Fay", "times": 1, "last_month": "2026-11" }])
    );
    assert_eq!(before[1]["silent_absences"], 1);
    let known_before = (known(ana).await, known(ben).await, known(cem).await);
    assert_eq!(known_before, (vec![fay.id], vec![], vec![fay.id]));
    town.set_clock("2027-11-26T09:59:59Z");
    forget(&town);
    assert_eq!(town.rows("signups"), 3);
    town.set_clock("2027-11-26T10:00:00Z");
    let ana_again = town.log_in_again(ana).await;
    let about = json!({ "about": { "kind": "account", "id": ben.id }, "category": "other", "statement": "s" });
    let report = ana_again.post("/reports", about).await.expect(201).id();
    forget(&town);
    assert_eq!(town.rows("signups"), 3, "a report about somebody on it holds the list");
    wim.post(&format!("/moderation/reports/{report}/resolve"), json!({ "resolution": "r" })).await;
    let wim = town.log_in_again(&wim).await;
    let resolve = wim.post(&format!("/moderation/reports/{report}/resolve"), json!({ "resolution": "r" })).await;
    assert!(matches!(resolve.status, 200 | 409), "{}", resolve.text);
    forget(&town);
    assert_eq!(town.rows("signups"), 0);
    forget(&town);
    let (ana, ben, cem) = (ana_again, town.log_in_again(ben).await, town.log_in_again(cem).await);
    for (person, before) in [&ana, &ben, &cem].into_iter().zip(before) {
        assert_eq!(person.get("/me/history").await.expect(200).json, before);
    }
    assert_eq!((known(&ana).await, known(&ben).await, known(&cem).await), known_before);
    wim.post(&format!("/moderation/sealed-rosters/{}", run.id), json!({ "reason": "report" }))
        .await
        .refused(404, "not_found");
    assert_eq!(town.rows("kept_history"), 2, "nothing is kept of whom nobody ticked off but who led them");
    town.leave_mail();
}

#[apply(database_test!)]
async fn nothing_of_the_day_is_for_others(town: Town) {
    let (fay, run, people) = morning(&town, &["Ana", "Ben"]).await;
    let (gil, mo) = (town.facilitator("Gil").await, town.moderator("Mo").await);
    let (ana, seat) = &people[0];
    let on_seat =
        ["check-in", "sign-out", "no-show", "undo-mark", "emergency-contact", "access-needs"].map(|act| at(seat, act));
    let on_run = ["check-in", "sign-out", "walk-ins", "incidents"].map(|act| run.at(&format!("/{act}")));
    for path in on_seat.iter().chain(&on_run) {
        for other in [&gil, ana, &people[1].0, &mo] {
            // Not even a wrong body says that there is something.
            other.post(path, json!({ "unknown": true })).await.refused(404, "not_found");
        }
        town.nobody().post(path, json!({})).await.refused(401, "not_logged_in");
    }
    gil.get(&run.at("/pairs")).await.refused(404, "not_found");
    gil.put(&run.at("/pairs"), json!({ "pairs": [] })).await.refused(404, "not_found");
    assert_eq!(ana.seat(seat).await, "confirmed");
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    fay.post(&at(seat, "check-in"), json!({})).await.refused(409, "run_cancelled");
    town.leave_mail();
}
