//! One member's acts do not flood another's inbox: mails of one kind to one person about one thing are gathered, and what a
//! member does to others has a budget.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde_json::json;

use crate::{
    harness::{Letter, Person, Run, Town},
    support::database_test::database_test,
};

/// A run that starts within the last day, in which withdrawals are mailed.
async fn tomorrow(town: &Town, fay: &Person) -> Run {
    town.run(fay, |run| run["starts_at"] = json!("2026-11-24T09:00:00Z")).await
}

/// Seconds and a fraction later.
fn moments_pass(town: &Town, millis: i64) {
    let micros = town.now().micros() + millis * 1000 + 317;
    town.set_clock(&sidebyside::clock::Instant::from_micros(micros).expect("an instant").to_string());
}

fn to<'l>(letters: &'l [Letter], person: &Person) -> Vec<&'l Letter> {
    letters.iter().filter(|letter| letter.to == person.email).collect()
}

async fn day_of_mail(town: &Town) -> Vec<Letter> {
    let mut all = town.post_office().await;
    for _ in 0..24 {
        town.hours_pass(1);
        all.extend(town.post_office().await);
    }
    all
}

#[apply(database_test!)]
async fn sixty_withdrawals_give_the_facilitator_few_mails(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = tomorrow(&town, &fay).await;
    let mut letters = Vec::new();
    for _ in 0..60 {
        let seat = ana.joins(&run.id, "confirmed").await;
        letters.extend(town.post_office().await);
        ana.withdraws(&seat).await;
        letters.extend(town.post_office().await);
        moments_pass(&town, 13);
    }
    letters.extend(day_of_mail(&town).await);
    let told = to(&letters, &fay).iter().filter(|letter| letter.subject.contains("cannot come")).count();
    assert!((1..=4).contains(&told), "{told} mails to the facilitator");
    assert!(to(&letters, &ana).len() <= 8, "and {} to oneself", to(&letters, &ana).len());
}

#[apply(database_test!)]
async fn place_given_back_before_its_mail_left_is_mailed_to_nobody(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = tomorrow(&town, &fay).await;
    for _ in 0..60 {
        let seat = ana.joins(&run.id, "confirmed").await;
        ana.withdraws(&seat).await;
    }
    assert!(town.post_office().await.is_empty());
    assert_eq!(town.rows("outbox WHERE kind = 'participant_withdrew'"), 0);
}

#[apply(database_test!)]
async fn gathered_withdrawals_name_all_who_are_gone(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = tomorrow(&town, &fay).await;
    let mut seats = Vec::new();
    let names = ["Ana", "Ben", "Cem", "Dan", "Eve", "Gus", "Hal"];
    for name in names {
        let person = town.person(name).await;
        let seat = person.joins(&run.id, "confirmed").await;
        seats.push((person, seat));
    }
    town.post_office().await;
    for (person, seat) in &seats[..2] {
        person.withdraws(seat).await;
        assert_eq!(town.mail_to(&fay.email).await.len(), 1, "the first two at once");
    }
    for (person, seat) in &seats[2..5] {
        person.withdraws(seat).await;
        assert!(town.mail_to(&fay.email).await.is_empty(), "gathered");
    }
    // Whoever comes after all is not named.
    seats[3].0.joins(&run.id, "confirmed").await;
    town.minutes_pass(30);
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.text.contains("Cem, Eve.") && !letter.text.contains("Dan"), "{}", letter.text);
    assert!(letter.text.contains("Coming now: 3 people"), "{}", letter.text);
}

#[apply(database_test!)]
async fn requests_and_withdrawals_of_one_person_give_few_mails(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let mut letters = Vec::new();
    for _ in 0..30 {
        let seat = ana.joins(&run.id, "requested").await;
        letters.extend(town.post_office().await);
        ana.withdraws(&seat).await;
    }
    assert_eq!(to(&letters, &fay).len(), 2);
    // Another's request does not wait for those of whoever asks again and again.
    ben.joins(&run.id, "requested").await;
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.text.contains("Ben") && !letter.text.contains("Ana"), "{}", letter.text);
    town.hours_pass(24);
    let later = town.mail_to(&fay.email).await;
    assert!(later.iter().all(|letter| !letter.text.contains("Ana")), "what was withdrawn is not mailed");
}

#[apply(database_test!)]
async fn hundred_reports_of_one_person_give_each_of_the_team_few_mails(town: Town) {
    let (mo, lu) = (town.moderator("Mo").await, town.moderator("Lu").await);
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    let report = |category: &str| json!({ "about": { "kind": "account", "id": ben.id }, "category": category, "statement": "Again." });
    let mut letters = Vec::new();
    for number in 0..100 {
        let category = if number == 7 { "safeguarding" } else { "spam" };
        ana.post("/reports", report(category)).await.expect(201);
        letters.extend(town.post_office().await);
    }
    assert_eq!((to(&letters, &mo).len(), to(&letters, &lu).len()), (2, 2));
    assert_eq!(town.rows("reports"), 100, "each is kept");
    // Somebody else's report is told at once.
    cem.post("/reports", report("harassment")).await.expect(201);
    assert_eq!(town.mail_to(&mo.email).await.len(), 1);
    town.minutes_pass(5);
    let gathered = town.post_office().await;
    assert_eq!((to(&gathered, &mo).len(), to(&gathered, &lu).len()), (1, 1));
    let text = &gathered[0].text;
    assert!(text.contains("100 things") && text.contains("somebody's safety"), "the first to look at: {text}");
    assert!(day_of_mail(&town).await.is_empty());
}

#[apply(database_test!)]
async fn bars_set_and_lifted_give_the_barred_few_mails(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let bar = json!({ "account_id": ana.id, "until": "2026-12-24T00:00:00Z", "reason_code": "group_size", "private_note": "n" });
    let mut letters = Vec::new();
    for _ in 0..20 {
        let id = fay.post("/me/bars", bar.clone()).await.expect(201).id();
        letters.extend(town.post_office().await);
        fay.delete(&format!("/me/bars/{id}")).await.expect(204);
    }
    assert_eq!(to(&letters, &ana).len(), 2);
    fay.post("/me/bars", bar).await.expect(201);
    letters.extend(day_of_mail(&town).await);
    assert_eq!(to(&letters, &ana).len(), 3, "the one that stands is told");
}

#[apply(database_test!)]
async fn edits_to_and_fro_are_one_mail_about_what_is_left_of_them(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let mut run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    let mut letters = Vec::new();
    for minutes in 1..=20 {
        let patch = json!({ "duration_min": 60 + minutes });
        let edited = fay.patch(&run.at(""), Some(&run.etag), patch).await.expect(200);
        run.etag = edited.header("etag").to_owned();
        letters.extend(town.post_office().await);
    }
    assert_eq!(to(&letters, &ana).len(), 2);
    town.minutes_pass(30);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("62 minutes") && letter.text.contains("80 minutes"), "{}", letter.text);
    assert!(!letter.text.contains("71 minutes"), "{}", letter.text);
    // Back and forth before anybody was told is no change.
    for minutes in [90, 80] {
        let patch = json!({ "duration_min": minutes });
        let edited = fay.patch(&run.at(""), Some(&run.etag), patch).await.expect(200);
        run.etag = edited.header("etag").to_owned();
    }
    assert!(day_of_mail(&town).await.iter().all(|letter| !letter.text.contains("The length")));
}

#[apply(database_test!)]
async fn invitations_to_lead_and_their_end_give_few_mails(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    let mut letters = Vec::new();
    for _ in 0..15 {
        fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
        letters.extend(town.post_office().await);
        fay.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
        letters.extend(town.post_office().await);
    }
    let many = to(&letters, &gil).len();
    assert!(many <= 4, "{many} mails");
}

#[apply(database_test!)]
async fn facilitator_who_gives_up_many_runs_calls_each_other_few_times(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let mut letters = Vec::new();
    let near = json!({ "activities": ["run"], "home": { "lat": 51.415, "lng": -0.33 }, "travel_radius_km": 10.0,
        "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 } });
    gil.put("/me/running-profile", near).await.expect(200);
    for number in 0..14 {
        let start = format!("2026-12-{:02}T09:00:00Z", number + 1);
        let run = town.run(&fay, |run| run["starts_at"] = json!(start)).await;
        fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
        letters.extend(town.post_office().await);
    }
    let called = to(&letters, &gil).len();
    assert_eq!(called, 10);
}

#[apply(database_test!)]
async fn wishes_to_be_contacted_and_their_end_give_few_mails(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let (mo, ada) = (town.person("Wim").await, town.admin().await);
    let role = json!({ "role": "welfare_moderator" });
    ada.post(&format!("/accounts/{}/roles", mo.id), role).await.expect(200);
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-23T12:00:00Z")).await;
    ana.joins(&run.id, "confirmed").await;
    town.hours_pass(6);
    town.post_office().await;
    let mut letters = Vec::new();
    for _ in 0..15 {
        ana.post(&run.at("/after-run"), json!({ "contact_me": true })).await.expect(200);
        letters.extend(town.post_office().await);
        ana.post(&run.at("/after-run"), json!({ "contact_me": false })).await.expect(200);
    }
    assert_eq!(to(&letters, &mo).len(), 2);
    ana.post(&run.at("/after-run"), json!({ "contact_me": true })).await.expect(200);
    town.minutes_pass(5);
    assert_eq!(town.mail_to(&mo.email).await.len(), 1, "the wish that stands is told within minutes");
}

#[apply(database_test!)]
async fn marks_set_and_undone_give_the_participant_few_mails(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-23T12:00:00Z")).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let (a, b) = (ana.joins(&run.id, "confirmed").await, ben.joins(&run.id, "confirmed").await);
    town.set_clock("2026-11-23T13:30:00Z");
    town.post_office().await;
    fay.post(&format!("/signups/{a}/check-in"), json!({})).await.expect(200);
    let mut letters = Vec::new();
    for _ in 0..15 {
        fay.post(&format!("/signups/{b}/no-show"), json!({})).await.expect(200);
        letters.extend(town.post_office().await);
        fay.post(&format!("/signups/{b}/undo-mark"), json!({})).await.expect(200);
        moments_pass(&town, 250);
    }
    assert_eq!(to(&letters, &ben).len(), 2);
    town.leave_mail();
}

#[apply(database_test!)]
async fn six_requests_in_a_second_give_two_mails_and_a_gathered_one(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    town.set_clock("2026-11-23T10:00:00.050123Z");
    for person in town.people("Pat", 6).await {
        person.joins(&run.id, "requested").await;
        moments_pass(&town, 140);
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for kind in town.texts("SELECT kind AS t FROM outbox") {
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(kinds, [("requests_wait".to_owned(), 1), ("signup_requested".to_owned(), 2)].into());
    assert_eq!(town.mail_to(&fay.email).await.len(), 2);
    town.hours_pass(3);
    let letter = town.one_mail_to(&fay.email).await;
    assert_eq!(letter.text.matches("/e/approve-request/").count(), 6, "{}", letter.text);
}

#[apply(database_test!)]
async fn keys_of_mails_hold_no_fraction_of_the_moment_of_the_act(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let paused = town.run(&gil, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    town.set_clock("2026-11-23T10:00:00.987654Z");
    for person in town.people("Pat", 4).await {
        person.joins(&run.id, "requested").await;
        moments_pass(&town, 3);
    }
    // Three steps by two workers' ticks at different fractions: each mail once.
    gil.delete(&paused.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    for _ in 0..3 {
        town.work().await;
        moments_pass(&town, 1);
    }
    town.set_clock("2026-11-24T10:00:00.123456Z");
    for _ in 0..3 {
        town.work().await;
        moments_pass(&town, 1);
    }
    let twice = town.texts("SELECT kind || ' ' || count(*) AS t FROM outbox WHERE kind IN ('requests_wait', 'substitute_wanted') GROUP BY kind, account_id, notice HAVING count(*) > 1");
    assert!(twice.is_empty(), "{twice:?}");
}

#[apply(database_test!)]
async fn budgets_of_acts_refuse_with_the_time_to_wait(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let (cem, mo) = (town.person("Cem").await, town.moderator("Mo").await);
    let run = town.run(&fay, |_| {}).await;
    let strict = town.with(&[("RATE_LIMITS", "on")]);
    let (ana, fay, cem) = (ana.in_town(&strict), fay.in_town(&strict), cem.in_town(&strict));
    for _ in 0..10 {
        let seat = ana.joins(&run.id, "confirmed").await;
        ana.withdraws(&seat).await;
    }
    let refused = ana.sign_up(&run.id).await.expect(429);
    assert_eq!(refused.json["code"], "rate_limited");
    let wait: i64 = refused.header("retry-after").parse().expect("seconds");
    assert!(wait > 3600, "{wait}");
    assert_eq!(town.rows("signups WHERE status = 'confirmed'"), 0, "what is refused did not happen");
    cem.joins(&run.id, "confirmed").await;
    let bar = json!({ "account_id": cem.id, "until": "2026-12-24T00:00:00Z", "reason_code": "group_size", "private_note": "n" });
    for _ in 0..5 {
        let id = fay.post("/me/bars", bar.clone()).await.expect(201).id();
        fay.delete(&format!("/me/bars/{id}")).await.expect(204);
    }
    fay.post("/me/bars", bar).await.expect(429);
    let about = json!({ "about": { "kind": "account", "id": fay.id }, "category": "other", "statement": "Again." });
    for _ in 0..100 {
        cem.post("/reports", about.clone()).await.expect(201);
    }
    drop(mo);
    town.set_clock("2026-11-24T10:00:00Z");
    ana.sign_up(&run.id).await.expect(201);
    town.leave_mail();
}

#[apply(database_test!)]
async fn retried_act_under_its_key_is_counted_once(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let ana = ana.in_town(&town.with(&[("RATE_LIMITS", "on")]));
    for _ in 0..30 {
        let answer = ana.post_once("one", &run.at("/signups"), json!({})).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    for _ in 0..30 {
        ana.sign_up(&run.id).await.expect(200);
    }
    town.work().await;
}
