//! What a yes is a yes to: a start, a place and a partner, each question with an answer of its own.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Letter, Person, Run, Town},
    support::database_test::database_test,
};

const START: &str = "2026-11-26T09:00:00Z";
const WEEK_LATER: &str = "2026-12-03T09:00:00Z";

struct Two {
    fay: Person,
    ana: Person,
    seat: String,
    run: Run,
}

impl Two {
    async fn status(&self, town: &Town) -> Value {
        town.nobody().get(&self.run.at("")).await.expect(200).json["status"].clone()
    }

    async fn moves(&self, change: Value) {
        let etag = self.fay.get(&self.run.at("")).await.expect(200).header("etag").to_owned();
        self.fay.patch(&self.run.at(""), Some(&etag), change).await.expect(200);
    }

    async fn questions(&self) -> Value {
        self.ana.get(&format!("/signups/{}", self.seat)).await.expect(200).json["questions"].clone()
    }

    async fn both_say_yes(&self) {
        self.ana.post(&format!("/signups/{}/reconfirm", self.seat), json!({ "question": "as_two" })).await.expect(200);
        self.fay.post(&self.run.at("/reconfirm"), json!({})).await.expect(204);
    }
}

/// A run of two, whose two were asked the day before.
async fn asked_two(town: &Town) -> (Two, Letter, Letter) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-25T10:00:00Z");
    let letters = town.post_office().await;
    let to = |email: &str| {
        letters.iter().find(|l| l.to == email && l.subject.starts_with("Only")).expect("a question").clone()
    };
    let (hers, his) = (to(&ana.email), to(&fay.email));
    (Two { fay, ana, seat, run }, hers, his)
}

#[apply(database_test!)]
async fn yes_as_two_is_void_once_the_run_is_moved_by_a_week(town: Town) {
    let (two, hers, his) = asked_two(&town).await;
    let nobody = town.nobody();
    nobody.press(&his.link("run-as-two"), &[]).await.expect(200);
    two.moves(json!({ "starts_at": WEEK_LATER })).await;
    let changed = town.one_mail_to(&two.ana.email).await;
    nobody.press(&changed.link("still-coming"), &[]).await.expect(200);
    // The mail of the day before was about the other week.
    nobody.press(&hers.link("still-coming"), &[]).await.expect(409);
    nobody.press(&his.link("run-as-two"), &[]).await.expect(409);
    town.set_clock("2026-12-02T10:00:00Z");
    let letters = town.post_office().await;
    let asked = |email: &str| letters.iter().any(|l| l.to == email && l.subject.starts_with("Only"));
    assert_eq!((asked(&two.ana.email), asked(&two.fay.email)), (true, true), "both are asked again");
    town.set_clock("2026-12-03T08:10:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "cancelled", "50 minutes before the start without a fresh yes");
}

#[apply(database_test!)]
async fn fresh_yeses_at_the_new_date_let_a_run_of_two_go_ahead(town: Town) {
    let (two, ..) = asked_two(&town).await;
    two.both_say_yes().await;
    two.moves(json!({ "starts_at": WEEK_LATER })).await;
    two.ana.post(&format!("/signups/{}/reconfirm", two.seat), json!({})).await.expect(200);
    town.post_office().await;
    town.set_clock("2026-12-02T10:00:00Z");
    town.post_office().await;
    assert_eq!(two.questions().await, json!(["as_two"]));
    two.both_say_yes().await;
    assert_eq!(two.questions().await, json!([]));
    town.set_clock("2026-12-03T08:10:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "published");
}

#[apply(database_test!)]
async fn yes_as_two_is_void_at_another_place(town: Town) {
    let (two, ..) = asked_two(&town).await;
    two.both_say_yes().await;
    // Three kilometres north: a far change, and the question as two opens again.
    two.moves(json!({ "meeting_point": { "lat": 51.438, "lng": -0.335791, "name": "The gate" } })).await;
    town.post_office().await;
    assert_eq!(two.questions().await, json!(["change", "as_two"]));
    let path = format!("/signups/{}/reconfirm", two.seat);
    two.ana.post(&path, json!({})).await.faulty(&["/question required"]);
    two.ana.post(&path, json!({ "question": "change" })).await.expect(200);
    assert_eq!(two.questions().await, json!(["as_two"]), "each question has its own answer");
    two.fay.post(&two.run.at("/reconfirm"), json!({})).await.expect(204);
    town.set_clock("2026-11-26T08:10:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "cancelled");
}

#[apply(database_test!)]
async fn yes_as_two_outlives_a_small_move_and_many_add_up(town: Town) {
    let (two, ..) = asked_two(&town).await;
    two.both_say_yes().await;
    two.moves(json!({ "starts_at": "2026-11-26T09:20:00Z" })).await;
    town.post_office().await;
    assert_eq!(two.questions().await, json!([]), "nobody is asked about twenty minutes");
    two.moves(json!({ "starts_at": "2026-11-26T09:40:00Z" })).await;
    let letters = town.post_office().await;
    let asked = letters.iter().filter(|letter| letter.subject.starts_with("Only")).count();
    assert_eq!(asked, 2, "forty minutes since they said yes");
    two.both_say_yes().await;
    town.set_clock("2026-11-26T08:50:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "published");
}

#[apply(database_test!)]
async fn yes_as_two_counts_again_once_a_third_has_left(town: Town) {
    let (two, ..) = asked_two(&town).await;
    two.both_say_yes().await;
    let ben = town.person("Ben").await;
    let seat = ben.joins(&two.run.id, "confirmed").await;
    town.post_office().await;
    ben.withdraws(&seat).await;
    let letters = town.post_office().await;
    assert!(letters.iter().all(|letter| !letter.subject.starts_with("Only")), "the same two at the same start");
    town.set_clock("2026-11-26T08:10:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "published");
}

#[apply(database_test!)]
async fn yes_as_two_is_void_with_another_participant(town: Town) {
    let (two, _, his) = asked_two(&town).await;
    two.both_say_yes().await;
    let ben = town.person("Ben").await;
    ben.joins(&two.run.id, "confirmed").await;
    town.post_office().await;
    two.ana.withdraws(&two.seat).await;
    let letters = town.post_office().await;
    let asked = |email: &str| letters.iter().any(|l| l.to == email && l.subject.starts_with("Only"));
    assert_eq!((asked(&ben.email), asked(&two.fay.email)), (true, true));
    // The facilitator's mail named Ana.
    town.nobody().press(&his.link("run-as-two"), &[]).await.expect(409);
    town.nobody().open(&his.link("run-as-two")).await.expect(409);
    town.set_clock("2026-11-26T08:10:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "cancelled");
}

#[apply(database_test!)]
async fn who_withdraws_and_comes_back_is_asked_afresh(town: Town) {
    let (mut two, ..) = asked_two(&town).await;
    two.both_say_yes().await;
    two.ana.withdraws(&two.seat).await;
    town.post_office().await;
    two.seat = two.ana.joins(&two.run.id, "confirmed").await;
    town.post_office().await;
    assert_eq!(two.questions().await, json!(["as_two"]));
    town.set_clock("2026-11-26T08:10:00Z");
    town.post_office().await;
    assert_eq!(two.status(&town).await, "cancelled");
}

#[apply(database_test!)]
async fn page_and_mail_say_what_the_yes_is_to(town: Town) {
    let (two, hers, his) = asked_two(&town).await;
    let nobody = town.nobody();
    for (letter, action, partner) in [(&hers, "still-coming", "Fay"), (&his, "run-as-two", "Ana")] {
        let page = nobody.open(&letter.link(action)).await.expect(200);
        for words in ["Thursday 26 November 2026, 09:00", "The Diana fountain", &format!("as two with {partner}")] {
            assert!(page.text.contains(words), "{words}: {}", page.text);
        }
        for words in ["Thursday 26 November 2026, 09:00", "The Diana fountain", partner] {
            assert!(letter.text.contains(words), "{words}: {}", letter.text);
        }
    }
    two.moves(json!({ "starts_at": WEEK_LATER })).await;
    let changed = town.one_mail_to(&two.ana.email).await;
    let page = nobody.open(&changed.link("still-coming")).await.expect(200);
    assert!(page.text.contains("Thursday 3 December 2026, 09:00") && !page.text.contains("as two"), "{}", page.text);
}

#[apply(database_test!)]
async fn token_of_an_old_mail_answers_nothing_new(town: Town) {
    let (two, hers, his) = asked_two(&town).await;
    two.moves(json!({ "starts_at": WEEK_LATER })).await;
    let first = town.one_mail_to(&two.ana.email).await;
    two.moves(json!({ "starts_at": "2026-12-10T09:00:00Z" })).await;
    let second = town.one_mail_to(&two.ana.email).await;
    let (nobody, path) = (town.nobody(), format!("/signups/{}/reconfirm", two.seat));
    for old in [hers.token("still-coming"), first.token("still-coming")] {
        nobody.post(&path, json!({ "token": old })).await.refused(409, "link_outdated");
    }
    let old = his.token("run-as-two");
    nobody.post(&two.run.at("/reconfirm"), json!({ "token": old })).await.refused(409, "link_outdated");
    assert_eq!(two.questions().await, json!(["change"]));
    nobody.post(&path, json!({ "token": second.token("still-coming") })).await.expect(200);
    assert_eq!(two.questions().await, json!([]));
}

#[apply(database_test!)]
async fn invitation_to_lead_is_about_the_date_it_named(town: Town) {
    let fay = town.facilitator("Fay").await;
    let gil = town.facilitator("Gil").await;
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    let old = town.one_mail_to(&gil.email).await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": WEEK_LATER })).await.expect(200);
    let new = town.one_mail_to(&gil.email).await;
    assert!(new.text.contains("Thursday 3 December 2026, 09:00"), "{}", new.text);
    town.nobody().press(&old.link("lead-together"), &[]).await.expect(409);
    town.nobody().press(&new.link("lead-together"), &[]).await.expect(200);
}

/// Somebody whose request for a run waits, with the facilitator's mail about it taken.
async fn requested(town: &Town) -> (Person, Run, Person, String) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let ana = town.person("Ana").await;
    let seat = ana.post(&run.at("/signups"), json!({})).await.expect(201).id();
    town.post_office().await;
    (fay, run, ana, seat)
}

#[apply(database_test!)]
async fn request_needs_a_fresh_yes_after_a_far_move(town: Town) {
    let far = [
        json!({ "starts_at": "2026-11-26T11:01:00Z" }),
        json!({ "starts_at": "2026-11-27T09:00:00Z" }),
        json!({ "meeting_point": { "lat": 51.43, "lng": -0.335791, "name": "The gate" } }),
    ];
    for change in far {
        let (fay, run, ana, seat) = requested(&town).await;
        fay.patch(&run.at(""), Some(&run.etag), change.clone()).await.expect(200);
        let approve = format!("/signups/{seat}/approve");
        fay.post(&approve, json!({})).await.refused(409, "fresh_yes_needed");
        let asked = town.one_mail_to(&ana.email).await;
        town.nobody().press(&asked.link("still-coming"), &[]).await.expect(200);
        let again = town.one_mail_to(&fay.email).await;
        assert!(
            again.text.contains("/e/approve-request/"),
            "the facilitator hears that it can be approved: {}",
            again.text
        );
        fay.post(&approve, json!({})).await.expect(200);
        assert_eq!(ana.seat(&seat).await, "confirmed", "{change}");
        town.post_office().await;
    }
}

#[apply(database_test!)]
async fn request_after_a_near_move_is_approved_as_it_is(town: Town) {
    let (fay, run, ana, seat) = requested(&town).await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-26T11:00:00Z" })).await.expect(200);
    assert!(!town.one_mail_to(&ana.email).await.text.contains("/e/still-coming/"));
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn small_moves_of_a_requested_run_add_up(town: Town) {
    let (fay, run, ana, seat) = requested(&town).await;
    for start in ["2026-11-26T10:00:00Z", "2026-11-26T11:00:00Z", "2026-11-26T11:30:00Z"] {
        let etag = fay.get(&run.at("")).await.expect(200).header("etag").to_owned();
        fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": start })).await.expect(200);
    }
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.refused(409, "fresh_yes_needed");
    // Back near what they asked for.
    let etag = fay.get(&run.at("")).await.expect(200).header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": START })).await.expect(200);
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    town.work().await;
}

#[apply(database_test!)]
async fn who_waits_is_offered_nothing_before_a_yes_to_a_far_move(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (hal, wil) = (town.person("Hal").await, town.person("Wil").await);
    let held = hal.joins(&run.id, "confirmed").await;
    let waits = wil.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": WEEK_LATER })).await.expect(200);
    let asked = town.one_mail_to(&wil.email).await;
    hal.withdraws(&held).await;
    town.post_office().await;
    assert_eq!(wil.seat(&waits).await, "waitlisted");
    town.nobody().press(&asked.link("still-coming"), &[]).await.expect(200);
    assert_eq!(wil.seat(&waits).await, "offered");
    let offer = town.one_mail_to(&wil.email).await;
    // An offer is for the run as it is.
    let etag = fay.get(&run.at("")).await.expect(200).header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": "2026-12-10T09:00:00Z" })).await.expect(200);
    let changed = town.one_mail_to(&wil.email).await;
    town.nobody().press(&offer.link("take-place"), &[]).await.expect(409);
    assert_eq!(wil.seat(&waits).await, "offered");
    town.nobody().press(&changed.link("take-place"), &[]).await.expect(200);
    assert_eq!(wil.seat(&waits).await, "confirmed");
    town.work().await;
}
