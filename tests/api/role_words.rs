//! Mails and pages speak of the role and the attendance as they are known.

use macro_rules_attribute::apply;
use serde_json::json;

use crate::{
    harness::{Letter, Person, Run, Town},
    support::database_test::database_test,
};

fn only(letters: &[Letter], to: &Person) -> Letter {
    let theirs: Vec<_> = letters.iter().filter(|letter| letter.to == to.email).collect();
    assert_eq!(theirs.len(), 1, "{letters:?}");
    theirs[0].clone()
}

/// Nothing in it says that the reader leads.
fn speaks_of_no_leading(words: &str) {
    for wrong in ["you lead", "You lead", "were to lead", "no longer lead", "cannot lead", "Lead this run"] {
        assert!(!words.contains(wrong), "{wrong}: {words}");
    }
}

#[apply(database_test!)]
async fn mails_and_pages_call_a_back_marker_that(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    let role = json!({ "account_id": gil.id, "role": "back_marker" });
    fay.post(&run.at("/facilitators"), role.clone()).await.expect(201);
    let asked = town.one_mail_to(&gil.email).await;
    let link = asked.link("lead-together");
    let page = town.nobody().open(&link).await.expect(200);
    let done = town.nobody().press(&link, &[]).await.expect(200);
    for words in [asked.said(), page.text.clone(), done.text.clone()] {
        assert!(words.contains("back marker"), "{words}");
        speaks_of_no_leading(&words);
    }
    let etag = fay.get(&run.at("")).await.expect(200).header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": "2026-11-27T09:00:00Z" })).await.expect(200);
    let changed = only(&town.post_office().await, &gil);
    assert!(changed.text.contains("A run on which you are the back marker was changed by Fay"), "{}", changed.text);
    speaks_of_no_leading(&changed.said());
    town.set_clock("2026-11-26T10:00:00Z");
    let reminded = only(&town.post_office().await, &gil);
    assert!(reminded.text.contains("back marker"), "{}", reminded.text);
    speaks_of_no_leading(&reminded.said());
    fay.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    let unlisted = only(&town.post_office().await, &gil);
    assert!(unlisted.said().contains("back marker"), "{}", unlisted.text);
    speaks_of_no_leading(&unlisted.said());
    fay.post(&run.at("/facilitators"), role).await.expect(201);
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    town.post_office().await;
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    let cancelled = only(&town.post_office().await, &gil);
    assert!(cancelled.text.contains("back marker"), "{}", cancelled.text);
    speaks_of_no_leading(&cancelled.said());
}

#[apply(database_test!)]
async fn who_was_only_asked_did_not_lead(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    town.post_office().await;
    fay.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    let letter = town.one_mail_to(&gil.email).await;
    assert!(letter.subject.starts_with("You are no longer asked"), "{}", letter.subject);
    speaks_of_no_leading(&letter.said());
}

/// A run with three participants, its end passed, after `on_the_day`.
async fn after(town: &Town, checked_in: usize) -> (Run, Vec<Person>, Vec<Letter>) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let people = town.people("Pat", 3).await;
    let mut seats = Vec::new();
    for person in &people {
        seats.push(person.joins(&run.id, "confirmed").await);
    }
    town.set_clock("2026-11-26T09:00:00Z");
    town.post_office().await;
    for seat in &seats[..checked_in] {
        fay.post(&format!("/signups/{seat}/check-in"), json!({})).await.expect(200);
        fay.post(&format!("/signups/{seat}/sign-out"), json!({})).await.expect(200);
    }
    town.set_clock("2026-11-26T12:00:00Z");
    let letters = town.post_office().await.into_iter().filter(|l| l.subject.starts_with("How was")).collect();
    (run, people, letters)
}

#[apply(database_test!)]
async fn mail_after_a_run_fits_what_is_known(town: Town) {
    let good = "It was good to have you.";
    let (_, people, letters) = after(&town, 1).await;
    assert!(only(&letters, &people[0]).text.contains(good));
    for person in &people[1..] {
        let letter = only(&letters, person);
        assert!(!letter.text.contains(good) && letter.text.contains("nobody ticked you off"), "{}", letter.text);
    }
}

#[apply(database_test!)]
async fn mail_after_a_run_assumes_nothing_where_nobody_was_ticked_off(town: Town) {
    let (_, people, letters) = after(&town, 0).await;
    for person in &people {
        let letter = only(&letters, person);
        assert!(
            letter.text.contains("If you were there") && !letter.text.contains("good to have you"),
            "{}",
            letter.text
        );
        assert!(!letter.text.contains("ticked you off"), "{}", letter.text);
    }
}

#[apply(database_test!)]
async fn mails_to_who_asked_speak_of_a_request(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let ana = town.person("Ana").await;
    ana.post(&run.at("/signups"), json!({})).await.expect(201);
    town.post_office().await;
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    let letter = only(&town.post_office().await, &ana);
    assert!(letter.text.contains("Your request stands") && !letter.text.contains("your place"), "{}", letter.text);
}
