//! What people are asked: requests and their answers, changes of a run, runs of two, and a yes the day before.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

async fn by_approval(town: &Town, fay: &Person) -> Run {
    town.run(fay, |run| {
        run["join_policy"] = json!("approval");
        run["questions"] = json!(["Have you run with us before?"]);
    })
    .await
}

async fn asks(person: &Person, run: &Run) -> String {
    let body = json!({ "answers": ["Never"], "note": "Shy." });
    person.post(&run.at("/signups"), body).await.expect(201).id()
}

async fn status(town: &Town, run: &Run) -> Value {
    town.nobody().get(&run.at("")).await.expect(200).json["status"].clone()
}

#[apply(database_test!)]
async fn a_request_is_mailed_at_once_and_gathered_from_the_third_on(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let people = town.people("Pat", 5).await;
    for person in &people[..2] {
        asks(person, &run).await;
        assert_eq!(town.mail_to(&fay.email).await.len(), 1);
    }
    for person in &people[2..] {
        asks(person, &run).await;
        assert!(town.mail_to(&fay.email).await.is_empty(), "gathered");
    }
    town.hours_pass(3);
    let letter = town.one_mail_to(&fay.email).await;
    assert_eq!(letter.text.matches("/e/approve-request/").count(), 5, "all that wait: {}", letter.text);
}

#[apply(database_test!)]
async fn a_request_is_answered_by_the_links_in_the_mail(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let (ana, ben, nobody) = (town.person("Ana").await, town.person("Ben").await, town.nobody());
    let a = asks(&ana, &run).await;
    let yes = town.one_mail_to(&fay.email).await.link("approve-request");
    let b = asks(&ben, &run).await;
    let no = town.one_mail_to(&fay.email).await.link("decline-request");
    let page = nobody.open(&yes).await.expect(200);
    assert!(page.text.contains("Ana"), "{}", page.text);
    nobody.open(&no).await.expect(200);
    assert_eq!((ana.seat(&a).await, ben.seat(&b).await), (json!("requested"), json!("requested")));
    nobody.press(&yes, &[]).await.expect(200);
    nobody.press(&no, &[]).await.expect(200);
    assert_eq!((ana.seat(&a).await, ben.seat(&b).await), (json!("confirmed"), json!("declined")));
    let told = town.one_mail_to(&ben.email).await;
    assert!(told.text.contains("The group has become too large for this run."), "{}", told.text);
    // Whoever does not lead any more answers nothing, not even by an old link.
    let cem = town.person("Cem").await;
    let c = asks(&cem, &run).await;
    let late = town.mail_to(&fay.email).await.pop().expect("a mail").link("approve-request");
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    assert_eq!(nobody.press(&late, &[]).await.status, 410);
    assert_eq!(cem.seat(&c).await, "requested");
    town.work().await;
}

#[apply(database_test!)]
async fn facilitators_see_no_more_of_a_request_than_they_need(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let ana = town.person("Ana").await;
    let profile = json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 },
        "comfortable_pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 450 }, "new_here": true });
    ana.put("/me/running-profile", profile).await.expect(200);
    let seat = asks(&ana, &run).await;
    let entry = fay.get(&run.at("/signups")).await.expect(200).items().remove(0);
    assert_eq!(
        (&entry["display_name"], &entry["new_here"], &entry["answers"]),
        (&json!("Ana"), &json!(true), &json!(["Never"]))
    );
    assert_eq!(entry["pace"], json!({ "fastest_s_per_km": 400, "slowest_s_per_km": 450 }));
    assert!(entry.get("account_id").is_none() && entry.get("note").is_none(), "{entry}");
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.text.contains("6:40–7:30 min/km") && letter.text.contains("new here"), "{}", letter.text);
    assert!(!letter.text.contains("Shy.") && !letter.raw.contains(&ana.email), "{}", letter.text);
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    let entry = fay.get(&run.at("/signups")).await.expect(200).items().remove(0);
    assert_eq!((&entry["account_id"], &entry["note"]), (&json!(ana.id), &json!("Shy.")));
    town.work().await;
}

#[apply(database_test!)]
async fn an_unanswered_request_is_asked_about_again_and_ends_kindly_at_the_cut_off(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = by_approval(&town, &fay).await;
    let other = town.run(&gil, |run| run["starts_at"] = json!("2026-11-29T09:00:00Z")).await;
    let ana = town.person("Ana").await;
    let seat = asks(&ana, &run).await;
    town.post_office().await;
    town.hours_pass(24);
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.subject.starts_with("Still waiting for your answer"), "{}", letter.subject);
    town.hours_pass(1);
    assert!(town.mail_to(&fay.email).await.is_empty(), "once");
    town.set_clock("2026-11-26T07:59:59Z");
    town.post_office().await;
    assert_eq!(ana.seat(&seat).await, "requested");
    town.set_clock("2026-11-26T08:00:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains(&other.id), "it names other runs: {}", letter.text);
    assert_eq!(ana.seat(&seat).await, "expired");
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.refused(409, "signup_not_live");
}

#[apply(database_test!)]
async fn approving_twice_is_one_approval_and_is_told(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let ana = town.person("Ana").await;
    let seat = asks(&ana, &run).await;
    town.post_office().await;
    let answer = fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    assert_eq!(answer.json["status"], "confirmed");
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.refused(409, "request_decided");
    assert_eq!(town.rows("outbox WHERE kind = 'signup_confirmed'"), 1);
    assert_eq!(town.rows("audit_log WHERE act = 'signup_approved'"), 1);
    town.work().await;
}

/// A run with two participants, their sign-ups, and nothing in the post.
async fn with_two(town: &Town) -> (Person, Run, (Person, String), (Person, String)) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let (a, b) = (ana.joins(&run.id, "confirmed").await, ben.joins(&run.id, "confirmed").await);
    town.post_office().await;
    (fay, run, (ana, a), (ben, b))
}

#[apply(database_test!)]
async fn a_small_change_is_told_and_nothing_is_asked(town: Town) {
    let (fay, run, ana, _) = with_two(&town).await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-26T09:30:00Z" })).await.expect(200);
    let letter = town.one_mail_to(&ana.0.email).await;
    assert!(!letter.text.contains("/e/still-coming/"), "{}", letter.text);
    assert_eq!(ana.0.get(&format!("/signups/{}", ana.1)).await.json["change_to_answer"], false);
}

#[apply(database_test!)]
async fn a_larger_change_is_asked_and_silence_keeps_the_place(town: Town) {
    let (fay, run, ana, ben) = with_two(&town).await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-26T10:30:00Z" })).await.expect(200);
    let letter = town.one_mail_to(&ana.0.email).await;
    assert!(letter.text.contains("/e/not-today/"), "{}", letter.text);
    let unanswered = async || {
        let items = fay.get(&run.at("/signups")).await.expect(200).items();
        items.iter().map(|entry| entry["has_not_answered"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(unanswered().await, [true, true]);
    town.nobody().press(&letter.link("still-coming"), &[]).await.expect(200);
    assert_eq!(unanswered().await, [false, true]);
    town.set_clock("2026-11-26T10:29:00Z");
    town.post_office().await;
    assert_eq!((ana.0.seat(&ana.1).await, ben.0.seat(&ben.1).await), (json!("confirmed"), json!("confirmed")));
}

#[apply(database_test!)]
async fn a_far_change_needs_a_fresh_yes_by_the_cut_off(town: Town) {
    let (fay, run, ana, ben) = with_two(&town).await;
    let cem = town.person("Cem").await;
    let c = cem.joins(&run.id, "confirmed").await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-27T09:00:00Z" })).await.expect(200);
    let seen = ana.0.get(&format!("/signups/{}", ana.1)).await.json;
    assert_eq!((&seen["reconfirm_by"], &seen["reconfirm_reason"]), (&json!("2026-11-27T08:00:00Z"), &json!("changed")));
    town.post_office().await;
    for (person, seat) in [(&ana.0, &ana.1), (&cem, &c)] {
        person.post(&format!("/signups/{seat}/reconfirm"), json!({})).await.expect(200);
    }
    town.set_clock("2026-11-27T08:00:00Z");
    ben.0.post(&format!("/signups/{}/reconfirm", ben.1), json!({})).await.refused(409, "reconfirm_too_late");
    let letters = town.post_office().await;
    assert!(letters.iter().any(|l| l.to == ben.0.email && l.subject.starts_with("Your place on")));
    assert_eq!((ana.0.seat(&ana.1).await, ben.0.seat(&ben.1).await), (json!("confirmed"), json!("expired")));
    assert_eq!(status(&town, &run).await, "published");
}

#[apply(database_test!)]
async fn several_steps_are_as_far_as_they_are_together(town: Town) {
    let (fay, run, ana, ben) = with_two(&town).await;
    let mut etag = run.etag.clone();
    let mut moves = async |to: &str| {
        let answer = fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": to })).await.expect(200);
        etag = answer.header("etag").to_owned();
    };
    let asked = async |of: &(Person, String)| {
        let seen = of.0.get(&format!("/signups/{}", of.1)).await.json;
        (seen["change_to_answer"] == true, seen.get("reconfirm_by").is_some())
    };
    moves("2026-11-26T09:30:00Z").await;
    assert_eq!(asked(&ana).await, (false, false));
    moves("2026-11-26T10:00:00Z").await;
    assert_eq!(asked(&ana).await, (true, false), "an hour in two steps");
    ben.0.post(&format!("/signups/{}/reconfirm", ben.1), json!({})).await.expect(200);
    moves("2026-11-26T11:30:00Z").await;
    assert_eq!(asked(&ana).await, (false, true), "two hours and a half since she said yes");
    assert_eq!(asked(&ben).await, (true, false), "an hour and a half since he did");
    town.post_office().await;
}

#[apply(database_test!)]
async fn what_is_moved_back_needs_no_yes_any_more(town: Town) {
    let (fay, run, ana, ben) = with_two(&town).await;
    let far = json!({ "starts_at": "2026-11-27T09:00:00Z" });
    let etag = fay.patch(&run.at(""), Some(&run.etag), far).await.expect(200).header("etag").to_owned();
    assert!(ana.0.get(&format!("/signups/{}", ana.1)).await.json.get("reconfirm_by").is_some());
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": "2026-11-26T09:00:00Z" })).await.expect(200);
    assert!(ana.0.get(&format!("/signups/{}", ana.1)).await.json.get("reconfirm_by").is_none());
    town.set_clock("2026-11-26T08:30:00Z");
    town.post_office().await;
    assert_eq!((ana.0.seat(&ana.1).await, ben.0.seat(&ben.1).await), (json!("confirmed"), json!("confirmed")));
}

#[apply(database_test!)]
async fn whoever_leads_along_hears_of_what_is_moved(town: Town) {
    let (fay, run, ..) = with_two(&town).await;
    let gil = town.facilitator("Gil").await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    town.post_office().await;
    let moves = async |to: &str| {
        let etag = fay.get(&run.at("")).await.expect(200).header("etag").to_owned();
        fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": to })).await.expect(200);
        town.post_office().await
    };
    let letters = moves("2026-11-26T09:10:00Z").await;
    assert!(letters.iter().all(|letter| letter.to != gil.email), "ten minutes");
    let letters = moves("2026-11-27T09:00:00Z").await;
    let his: Vec<_> = letters.iter().filter(|letter| letter.to == gil.email).collect();
    assert_eq!(his.len(), 1);
    assert!(his[0].text.contains("Friday 27 November 2026, 09:00"), "{}", his[0].text);
    assert!(letters.iter().all(|letter| letter.to != fay.email), "Fay did it");
    town.nobody().press(&his[0].link("cannot-lead"), &[]).await.expect(200);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_far_change_is_answered_by_the_cut_off_of_the_start_that_stands(town: Town) {
    let (fay, run, ana, _) = with_two(&town).await;
    let far = json!({ "starts_at": "2026-11-27T09:00:00Z" });
    let etag = fay.patch(&run.at(""), Some(&run.etag), far).await.expect(200).header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": "2026-11-27T07:30:00Z" })).await.expect(200);
    assert_eq!(ana.0.get(&format!("/signups/{}", ana.1)).await.json["reconfirm_by"], "2026-11-27T06:30:00Z");
    town.post_office().await;
}

#[apply(database_test!)]
async fn within_three_hours_a_run_cannot_be_moved_far(town: Town) {
    let (fay, run, ana, _) = with_two(&town).await;
    town.set_clock("2026-11-26T06:00:00Z");
    town.post_office().await;
    let far = json!({ "starts_at": "2026-11-26T12:00:00Z" });
    fay.patch(&run.at(""), Some(&run.etag), far).await.refused(409, "change_too_late");
    let far = json!({ "meeting_point": { "lat": 51.46, "lng": -0.33, "name": "Elsewhere" } });
    fay.patch(&run.at(""), Some(&run.etag), far).await.refused(409, "change_too_late");
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-26T09:20:00Z" })).await.expect(200);
    assert_eq!(ana.0.seat(&ana.1).await, "confirmed");
    town.work().await;
}

/// A run with one participant, at the moment at which both are asked.
async fn of_two(town: &Town) -> (Person, Run, (Person, String)) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-25T08:59:00Z");
    town.post_office().await;
    town.set_clock("2026-11-25T09:00:00Z");
    (fay, run, (ana, seat))
}

#[apply(database_test!)]
async fn a_run_of_two_takes_place_only_with_both_yeses(town: Town) {
    let (fay, run, ana) = of_two(&town).await;
    let letters = town.post_office().await;
    let to = |email: &str, link: &str| {
        letters.iter().find(|l| l.to == email && l.text.contains(link)).map(|l| l.link(link.trim_matches('/')))
    };
    let hers = to(&ana.0.email, "still-coming").expect("she is asked");
    let theirs = to(&fay.email, "run-as-two").expect("the facilitator is asked");
    town.nobody().press(&hers, &[]).await.expect(200);
    town.set_clock("2026-11-26T06:00:00Z");
    let again = town.post_office().await;
    let asked = |email: &str| again.iter().filter(|l| l.to == email && l.subject.starts_with("Only")).count();
    assert_eq!((asked(&fay.email), asked(&ana.0.email)), (1, 0), "whoever has not answered is asked again");
    town.nobody().open(&theirs).await.expect(200);
    town.nobody().press(&theirs, &[]).await.expect(200);
    town.set_clock("2026-11-26T08:30:00Z");
    town.post_office().await;
    assert_eq!((status(&town, &run).await, ana.0.seat(&ana.1).await), (json!("published"), json!("confirmed")));
}

#[apply(database_test!)]
async fn whoever_is_checked_in_has_said_yes_by_coming(town: Town) {
    let (fay, run, ana) = of_two(&town).await;
    town.post_office().await;
    fay.post(&run.at("/reconfirm"), json!({})).await.expect(204);
    town.set_clock("2026-11-26T07:30:00Z");
    fay.post(&format!("/signups/{}/check-in", ana.1), json!({})).await.expect(200);
    town.set_clock("2026-11-26T08:00:00Z");
    town.post_office().await;
    assert_eq!((status(&town, &run).await, ana.0.seat(&ana.1).await), (json!("published"), json!("attended")));
}

#[apply(database_test!)]
async fn without_both_yeses_a_run_of_two_is_called_off(town: Town) {
    let (fay, run, ana) = of_two(&town).await;
    let gil = town.facilitator("Gil").await;
    let other = town.run(&gil, |run| run["starts_at"] = json!("2026-11-29T09:00:00Z")).await;
    town.post_office().await;
    fay.post(&run.at("/reconfirm"), json!({})).await.expect(204);
    gil.post(&run.at("/reconfirm"), json!({})).await.refused(404, "not_found");
    town.set_clock("2026-11-26T07:59:59Z");
    town.post_office().await;
    assert_eq!(status(&town, &run).await, "published");
    town.set_clock("2026-11-26T08:00:00Z");
    let letter = town.one_mail_to(&ana.0.email).await;
    assert!(letter.text.contains("There are too few this time.") && letter.text.contains(&other.id), "{}", letter.text);
    let shown = town.nobody().get(&run.at("")).await.json;
    assert_eq!((&shown["status"], &shown["cancel_reason"]), (&json!("cancelled"), &json!("too_few")));
}

#[apply(database_test!)]
async fn who_is_left_alone_by_a_withdrawal_is_asked_then(town: Town) {
    let (_, run, ana, ben) = with_two(&town).await;
    town.set_clock("2026-11-26T07:30:00Z");
    town.post_office().await;
    ben.0.withdraws(&ben.1).await;
    let letters = town.post_office().await;
    assert!(letters.iter().any(|l| l.to == ana.0.email && l.subject.starts_with("Only you and the facilitator")));
    // After the cut-off nobody can be asked any more: it is called off at once.
    let (_, late, cem, dan) = with_two(&town).await;
    ana.0.post(&format!("/signups/{}/reconfirm", ana.1), json!({})).await.expect(200);
    town.set_clock("2026-11-26T08:30:00Z");
    dan.0.withdraws(&dan.1).await;
    assert_eq!(status(&town, &late).await, "cancelled");
    assert!(town.mail_to(&cem.0.email).await.iter().any(|l| l.subject.starts_with("Cancelled")));
    assert_eq!(status(&town, &run).await, "cancelled", "one yes of two is none");
}

#[apply(database_test!)]
async fn a_second_participant_makes_the_question_needless(town: Town) {
    let (_, run, _) = of_two(&town).await;
    town.post_office().await;
    let ben = town.person("Ben").await;
    ben.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-26T08:30:00Z");
    town.post_office().await;
    assert_eq!(status(&town, &run).await, "published");
}

#[apply(database_test!)]
async fn a_yes_to_one_facilitator_is_none_to_another(town: Town) {
    let (fay, run, ana) = of_two(&town).await;
    let gil = town.facilitator("Gil").await;
    town.post_office().await;
    ana.0.post(&format!("/signups/{}/reconfirm", ana.1), json!({})).await.expect(200);
    fay.post(&run.at("/reconfirm"), json!({})).await.expect(204);
    town.set_clock("2026-11-25T10:00:00Z");
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    let letters = town.post_office().await;
    let asked = |email: &str| letters.iter().any(|l| l.to == email && l.subject.starts_with("Only"));
    assert_eq!((asked(&ana.0.email), asked(&gil.email)), (true, true));
    gil.post(&run.at("/reconfirm"), json!({})).await.expect(204);
    town.set_clock("2026-11-26T08:00:00Z");
    town.post_office().await;
    assert_eq!(status(&town, &run).await, "cancelled", "she never said yes to running with Gil alone");
}

#[apply(database_test!)]
async fn nobody_signs_up_to_be_alone_after_the_list_is_closed(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (empty, small) = (town.run(&fay, |_| {}).await, with_two(&town).await.1);
    let ana = town.person("Ana").await;
    town.set_clock("2026-11-26T08:00:00Z");
    town.post_office().await;
    ana.post(&empty.at("/signups"), json!({})).await.refused(409, "too_few_this_time");
    assert_eq!(status(&town, &empty).await, "published", "she may be let in by whoever leads it");
    ana.joins(&small.id, "confirmed").await;
    town.post_office().await;
    assert_eq!(status(&town, &small).await, "published");
}

#[apply(database_test!)]
async fn after_two_silent_absences_a_yes_is_due_the_day_before(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    for day in ["24", "25"] {
        let run = town.run(&fay, |run| run["starts_at"] = json!(format!("2026-11-{day}T09:00:00Z"))).await;
        ana.joins(&run.id, "confirmed").await;
    }
    town.leave_mail();
    town.execute("UPDATE signups SET status = 'no_show'").expect("marked");
    town.set_clock("2026-11-25T20:00:00Z");
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let other = ben.joins(&run.id, "confirmed").await;
    cem.joins(&run.id, "confirmed").await;
    assert!(ben.get(&format!("/signups/{other}")).await.json.get("reconfirm_by").is_none());
    let seen = ana.get(&format!("/signups/{seat}")).await.json;
    assert_eq!(
        (&seen["reconfirm_by"], &seen["reconfirm_reason"]),
        (&json!("2026-11-27T21:00:00Z"), &json!("absences"))
    );
    assert!(!town.nobody().get(&run.at("")).await.text.contains("absences"), "nobody else sees it");
    town.post_office().await;
    town.set_clock("2026-11-27T09:00:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    let link = letter.link("still-coming");
    town.set_clock("2026-11-27T20:00:00Z");
    town.nobody().press(&link, &[]).await.expect(200);
    town.set_clock("2026-11-27T22:00:00Z");
    town.post_office().await;
    assert_eq!(ana.seat(&seat).await, "confirmed");
    // Without the yes the place is given free.
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-30T09:00:00Z")).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-29T09:00:00Z");
    town.post_office().await;
    town.set_clock("2026-11-29T21:00:00Z");
    town.post_office().await;
    assert_eq!(ana.seat(&seat).await, "expired");
    // Where nobody came to ask, silence says nothing.
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-12-02T09:00:00Z")).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "confirmed").await;
    town.set_clock("2026-12-01T21:00:00Z");
    town.post_office().await;
    assert_eq!(ana.seat(&seat).await, "confirmed");
}

#[apply(database_test!)]
async fn absences_after_the_sign_up_count_and_corrected_ones_do_not(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let mut seats = Vec::new();
    for day in ["24", "25", "28"] {
        let run = town.run(&fay, |run| run["starts_at"] = json!(format!("2026-11-{day}T09:00:00Z"))).await;
        for person in [&ana, &ben] {
            seats.push(person.joins(&run.id, "confirmed").await);
        }
    }
    town.leave_mail();
    let (anas, bens) = (&seats[4], &seats[5]);
    assert!(ana.get(&format!("/signups/{anas}")).await.json.get("reconfirm_by").is_none());
    ana.put("/me/email-preferences", json!({ "reminders": false })).await.expect(200);
    town.execute("UPDATE signups SET status = 'no_show' WHERE status = 'confirmed' AND run_id IN (SELECT id FROM runs WHERE starts_at < '2026-11-26')").expect("marked");
    town.set_clock("2026-11-27T09:00:00Z");
    let letters = town.post_office().await;
    let asks = |email: &str| letters.iter().any(|l| l.to == email && l.text.contains("/e/still-coming/"));
    assert_eq!((asks(&ana.email), asks(&ben.email)), (true, true), "whether or not they want reminders");
    // One of Ben's absences was none.
    ben.post(&format!("/signups/{}/was-there", seats[3]), json!({})).await.expect(200);
    town.set_clock("2026-11-27T21:00:00Z");
    town.post_office().await;
    assert_eq!((ana.seat(anas).await, ben.seat(bens).await), (json!("expired"), json!("confirmed")));
}

#[apply(database_test!)]
async fn shortly_before_the_list_is_closed_a_request_is_mailed_while_it_can_be_answered(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let people = town.people("Pat", 5).await;
    let asked_about = async || {
        let letters = town.mail_to(&fay.email).await;
        letters.iter().map(|letter| letter.text.matches("/e/approve-request/").count()).filter(|n| *n > 0).collect()
    };
    town.set_clock("2026-11-26T06:10:00Z");
    for person in &people[..2] {
        asks(person, &run).await;
        let found: Vec<usize> = asked_about().await;
        assert_eq!(found, [1]);
    }
    asks(&people[2], &run).await;
    let found: Vec<usize> = asked_about().await;
    assert!(found.is_empty(), "gathered: {found:?}");
    // Not at the end of the three hours, when all have expired.
    town.set_clock("2026-11-26T07:00:00Z");
    let found: Vec<usize> = asked_about().await;
    assert_eq!(found, [3]);
    town.set_clock("2026-11-26T07:30:00Z");
    asks(&people[3], &run).await;
    let found: Vec<usize> = asked_about().await;
    assert_eq!(found, [1], "there is no time left to gather");
    town.set_clock("2026-11-26T08:00:00Z");
    let late = json!({ "answers": ["Never"] });
    let refused = people[4].post(&run.at("/signups"), late).await.refused(409, "run_not_open");
    assert!(refused.str("detail").contains("not answered any more"), "{}", refused.text);
    town.work().await;
    assert_eq!(town.rows("signups WHERE status = 'expired'"), 4);
}

#[apply(database_test!)]
async fn a_facilitator_learns_nothing_of_absences(town: Town) {
    town.leave_mail();
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    for day in ["24", "25"] {
        let run = town.run(&fay, |run| run["starts_at"] = json!(format!("2026-11-{day}T09:00:00Z"))).await;
        ana.joins(&run.id, "confirmed").await;
    }
    town.execute("UPDATE signups SET status = 'no_show'").expect("marked");
    town.set_clock("2026-11-25T20:00:00Z");
    let run = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["questions"] = json!(["Have you run with us before?"]);
            run["starts_at"] = json!("2026-11-28T09:00:00Z");
        })
        .await;
    let seat = asks(&ana, &run).await;
    let path = format!("/signups/{seat}/approve");
    let yes = fay.post(&path, json!({})).await.expect(200);
    assert_eq!(yes.json, json!({ "id": seat, "run_id": run.id, "status": "confirmed" }));
    let entry = fay.get(&run.at("/signups")).await.expect(200).items().remove(0);
    assert_eq!(entry["has_not_answered"], false);
    assert_eq!(ana.get(&format!("/signups/{seat}")).await.json["reconfirm_reason"], "absences", "she alone sees it");
    let why = json!({ "reason_code": "group_size", "private_note": "Too many." });
    let off = fay.post(&format!("/signups/{seat}/remove"), why).await.expect(200);
    assert_eq!(off.json, json!({ "id": seat, "run_id": run.id, "status": "removed" }));
    // With the list ends what an approval would tell.
    town.set_clock("2026-12-12T09:59:59Z");
    fay.post(&path, json!({})).await.refused(409, "signup_not_live");
    town.set_clock("2026-12-12T10:00:00Z");
    fay.post(&path, json!({})).await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn the_tokens_of_a_facilitators_mails_work_without_logging_in(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let (ana, ben, nobody) = (town.person("Ana").await, town.person("Ben").await, town.nobody());
    let a = asks(&ana, &run).await;
    let yes = town.one_mail_to(&fay.email).await.token("approve-request");
    let b = asks(&ben, &run).await;
    let no = town.one_mail_to(&fay.email).await.token("decline-request");
    let at = |signup: &str, act: &str| format!("/signups/{signup}/{act}");
    nobody.post(&at(&a, "approve"), json!({})).await.refused(401, "not_logged_in");
    nobody.post(&at(&b, "approve"), json!({ "token": yes })).await.refused(403, "link_invalid");
    nobody.post(&at(&a, "approve"), json!({ "token": no })).await.refused(403, "link_invalid");
    for _ in 0..2 {
        let done = nobody.post(&at(&a, "approve"), json!({ "token": yes })).await.expect(200);
        assert_eq!(done.json["status"], "confirmed");
    }
    fay.post(&at(&b, "decline"), json!({})).await.faulty(&["/reason_code required"]);
    let done = nobody.post(&at(&b, "decline"), json!({ "token": no })).await.expect(200);
    assert_eq!(done.json["status"], "declined");
    assert!(town.one_mail_to(&ben.email).await.text.contains("The group has become too large for this run."));
}

#[apply(database_test!)]
async fn who_leads_is_changed_by_the_tokens_of_the_mails(town: Town) {
    let (fay, run, _) = of_two(&town).await;
    let nobody = town.nobody();
    let letters = town.post_office().await;
    let about_two =
        letters.iter().find(|l| l.to == fay.email && l.text.contains("/e/run-as-two/")).expect("a question");
    let token = about_two.token("run-as-two");
    nobody.post(&run.at("/reconfirm"), json!({})).await.refused(401, "not_logged_in");
    nobody.post(&run.at("/reconfirm"), json!({ "token": token })).await.expect(204);
    let cannot = about_two.token("cannot-lead");
    // Whoever is asked says yes with the token, and with it nothing else.
    let (gil, hal) = (town.facilitator("Gil").await, town.facilitator("Hal").await);
    let path = run.at("/facilitators");
    fay.post(&path, json!({ "account_id": gil.id })).await.expect(201);
    let token = town.one_mail_to(&gil.email).await.token("lead-together");
    nobody.post(&path, json!({ "token": token, "account_id": hal.id })).await.refused(403, "link_invalid");
    fay.post(&path, json!({})).await.faulty(&["/account_id required"]);
    let led = nobody.post(&path, json!({ "token": token })).await.expect(200);
    assert_eq!((&led.json["account_id"], &led.json["status"]), (&json!(gil.id), &json!("accepted")));
    nobody.post(&path, json!({ "token": token })).await.refused(403, "link_invalid");
    let step_down = async |who: &Person| {
        let path = format!("/v1{path}/{}", who.id);
        nobody.send(nobody.request(reqwest::Method::DELETE, &path).json(&json!({ "token": cannot }))).await
    };
    step_down(&gil).await.refused(403, "link_invalid");
    step_down(&fay).await.expect(204);
    step_down(&fay).await.refused(403, "link_invalid");
    let leaders = town.nobody().get(&run.at("")).await.json["facilitators"].clone();
    assert_eq!(leaders[0]["id"], json!(gil.id));
    town.work().await;
}
