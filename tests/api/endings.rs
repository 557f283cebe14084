//! Every ended sign-up, request and offer has its mail, over all rows of the one table that end one.

use std::collections::BTreeSet;

use macro_rules_attribute::apply;
use serde_json::json;
use sidebyside::domain::signup::{Actor, LIFE, SignupAct, SignupStatus};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

/// How a sign-up that ended by this row is told to its person: by a mail of one of these kinds, or by the answer to what
/// they did themselves.
enum Told {
    By(&'static [&'static str]),
    Themselves,
}

/// Every row of the table that ends a sign-up, with who is told how. The cases below walk through them.
fn told(from: SignupStatus, act: SignupAct, actor: Actor) -> Option<Told> {
    use SignupStatus::{Confirmed, Offered, Requested, Waitlisted};
    Some(match (from, act, actor) {
        (_, SignupAct::Withdraw, Actor::Person) => Told::Themselves,
        (_, SignupAct::GiveUp, Actor::Team) => Told::By(&["decision", "barred"]),
        (Requested, SignupAct::Decline, Actor::Facilitator) | (_, SignupAct::Remove, Actor::Facilitator) => {
            Told::By(&["signup_removed"])
        }
        (Requested, SignupAct::Expire, Actor::System) => {
            Told::By(&["request_expired", "run_cancelled", "series_ended"])
        }
        (Waitlisted | Offered, SignupAct::Expire, Actor::System) => {
            Told::By(&["waiting_ended", "run_cancelled", "series_ended", "checked_in", "regular_ended"])
        }
        (Confirmed, SignupAct::Expire, Actor::System) => Told::By(&["place_released", "regular_ended"]),
        (_, SignupAct::UndoWalkIn, Actor::Facilitator) => Told::By(&["check_in_undone"]),
        _ => return None,
    })
}

#[test]
fn every_end_in_the_table_has_its_mail() {
    let ends = [SignupStatus::Withdrawn, SignupStatus::Declined, SignupStatus::Removed, SignupStatus::Expired];
    let kinds: BTreeSet<&str> = sidebyside::mail::sample::letters("x").iter().map(|l| l.body.kind_name()).collect();
    let mut seen = 0;
    for (from, act, actor, to) in LIFE.iter().filter(|row| ends.contains(&row.3)) {
        let from = from.unwrap_or_else(|| panic!("a sign-up begins as {to}"));
        match told(from, *act, *actor) {
            Some(Told::Themselves) => assert_eq!(*actor, Actor::Person),
            Some(Told::By(mails)) => {
                assert!(!mails.is_empty() && mails.iter().all(|mail| kinds.contains(mail)), "{mails:?}");
            }
            None => panic!("{from} ends by {act:?} of {actor:?}, and nobody is told"),
        }
        seen += 1;
    }
    assert!(seen >= 18, "the table has its ends: {seen}");
}

async fn by_approval(town: &Town) -> (Person, Run) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    (fay, run)
}

async fn asks(person: &Person, run: &Run) -> String {
    person.post(&run.at("/signups"), json!({})).await.expect(201).id()
}

#[apply(database_test!)]
async fn request_is_answered_when_a_run_of_two_is_called_off(town: Town) {
    let (fay, run) = by_approval(&town).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = asks(&ana, &run).await;
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    let waits = asks(&ben, &run).await;
    town.post_office().await;
    town.set_clock("2026-11-26T08:00:00Z");
    let letters = town.post_office().await;
    assert_eq!((ana.seat(&seat).await, ben.seat(&waits).await), (json!("confirmed"), json!("expired")));
    for person in [&ana, &ben] {
        let theirs: Vec<_> = letters.iter().filter(|letter| letter.to == person.email).collect();
        assert_eq!(theirs.len(), 1, "{letters:?}");
        assert!(theirs[0].subject.starts_with("Cancelled"), "{}", theirs[0].subject);
    }
    assert_eq!(town.rows("outbox WHERE status = 'dropped' AND kind = 'request_expired'"), 0);
}

#[apply(database_test!)]
async fn released_place_is_told_when_the_run_is_called_off_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    ana.joins(&run.id, "confirmed").await;
    let silent = ben.joins(&run.id, "confirmed").await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-27T09:00:00Z" })).await.expect(200);
    town.post_office().await;
    let mine = ana.get("/me/signups").await.expect(200).items()[0]["id"].as_str().expect("an id").to_owned();
    ana.post(&format!("/signups/{mine}/reconfirm"), json!({ "question": "change" })).await.expect(200);
    // Ben's place is released and the run, of two now, called off in one step.
    town.set_clock("2026-11-27T08:00:00Z");
    let letters = town.post_office().await;
    assert_eq!(ben.seat(&silent).await, "expired");
    let his: Vec<_> = letters.iter().filter(|letter| letter.to == ben.email).collect();
    assert_eq!(his.len(), 1, "{letters:?}");
}

#[apply(database_test!)]
async fn waiting_ends_with_a_mail_at_the_start(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    for person in town.people("Hal", 2).await {
        person.joins(&run.id, "confirmed").await;
    }
    let wil = town.person("Wil").await;
    let waits = wil.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    town.set_clock("2026-11-26T09:00:00Z");
    let letter = town.one_mail_to(&wil.email).await;
    assert!(letter.subject.starts_with("The waiting list for"), "{}", letter.subject);
    assert_eq!(wil.seat(&waits).await, "expired");
}

#[apply(database_test!)]
async fn offer_that_is_open_at_the_start_ends_with_a_mail(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let people = town.people("Hal", 2).await;
    let first = people[0].joins(&run.id, "confirmed").await;
    people[1].joins(&run.id, "confirmed").await;
    let wil = town.person("Wil").await;
    let waits = wil.joins(&run.id, "waitlisted").await;
    people[0].withdraws(&first).await;
    assert_eq!(wil.seat(&waits).await, "offered");
    // The worker was away until the run had begun.
    town.set_clock("2026-11-26T09:05:00Z");
    let letters = town.mail_to(&wil.email).await;
    assert_eq!(wil.seat(&waits).await, "expired");
    assert!(letters.iter().any(|letter| letter.subject.starts_with("The waiting list for")), "{letters:?}");
}

#[apply(database_test!)]
async fn request_that_is_open_at_the_start_ends_with_a_mail(town: Town) {
    let (_, run) = by_approval(&town).await;
    let ana = town.person("Ana").await;
    let seat = asks(&ana, &run).await;
    // The worker was away until the run had begun.
    town.set_clock("2026-11-26T09:05:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.subject.starts_with("Your request for"), "{}", letter.subject);
    assert_eq!(ana.seat(&seat).await, "expired");
}

#[apply(database_test!)]
async fn everybody_on_a_run_hears_that_it_is_cancelled(town: Town) {
    let fay = town.facilitator("Fay").await;
    for policy in ["open", "approval"] {
        let run = town
            .run(&fay, |run| {
                run["join_policy"] = json!(policy);
                run["capacity"] = json!(1);
            })
            .await;
        let people = town.people("Pat", 3).await;
        for person in &people {
            person.post(&run.at("/signups"), json!({})).await.expect(201);
        }
        town.post_office().await;
        fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
        let letters = town.post_office().await;
        for person in &people {
            let theirs = letters.iter().filter(|letter| letter.to == person.email).count();
            assert_eq!(theirs, 1, "{policy}: {letters:?}");
        }
    }
}

#[apply(database_test!)]
async fn removed_and_declined_are_told_whatever_becomes_of_the_run(town: Town) {
    let (fay, run) = by_approval(&town).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let (a, b) = (asks(&ana, &run).await, asks(&ben, &run).await);
    fay.post(&format!("/signups/{a}/approve"), json!({})).await.expect(200);
    town.post_office().await;
    let why = json!({ "reason_code": "not_a_fit", "private_note": "n" });
    fay.post(&format!("/signups/{a}/remove"), why.clone()).await.expect(200);
    fay.post(&format!("/signups/{b}/decline"), why).await.expect(200);
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    let letters = town.post_office().await;
    for person in [&ana, &ben] {
        let theirs: Vec<_> = letters.iter().filter(|letter| letter.to == person.email).collect();
        assert_eq!(theirs.len(), 1, "{letters:?}");
        assert!(theirs[0].text.contains("/e/appeal/"), "{}", theirs[0].text);
    }
}

#[apply(database_test!)]
async fn wrong_walk_in_is_told_when_it_is_taken_back(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    town.set_clock("2026-11-26T09:00:00Z");
    let came = fay.post(&run.at("/walk-ins"), json!({ "email": ana.email })).await.expect(201);
    let seat = came.json["signup"]["id"].as_str().expect("an id").to_owned();
    town.one_mail_to(&ana.email).await;
    fay.post(&format!("/signups/{seat}/undo-mark"), json!({})).await.expect(200);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.subject.starts_with("You are not on the list"), "{}", letter.subject);
}
