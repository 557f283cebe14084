//! What people are asked: requests and their answers, changes of a run, runs of two, and a yes the day before.

use serde_json::{Value, json};

use crate::harness::{Person, Run, Town, cases};

cases![
    a_request_is_mailed_at_once_and_gathered_from_the_third_on,
    a_request_is_answered_by_the_links_in_the_mail,
    facilitators_see_no_more_of_a_request_than_they_need,
    an_unanswered_request_is_asked_about_again_and_ends_kindly_at_the_cut_off,
    approving_twice_is_one_approval,
    a_small_change_is_told_and_nothing_is_asked,
    a_larger_change_is_asked_and_silence_keeps_the_place,
    a_far_change_needs_a_fresh_yes_by_the_cut_off,
    within_three_hours_a_run_cannot_be_moved_far,
    a_run_of_two_takes_place_only_with_both_yeses,
    without_both_yeses_a_run_of_two_is_called_off,
    who_is_left_alone_by_a_withdrawal_is_asked_then,
    a_second_participant_makes_the_question_needless,
    nobody_signs_up_to_be_alone_after_the_list_is_closed,
    after_two_silent_absences_a_yes_is_due_the_day_before,
];

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

async fn approving_twice_is_one_approval(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = by_approval(&town, &fay).await;
    let ana = town.person("Ana").await;
    let seat = asks(&ana, &run).await;
    for _ in 0..2 {
        let answer = fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
        assert_eq!(answer.json["status"], "confirmed");
    }
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

async fn a_small_change_is_told_and_nothing_is_asked(town: Town) {
    let (fay, run, ana, _) = with_two(&town).await;
    fay.patch(&run.at(""), Some(&run.etag), json!({ "starts_at": "2026-11-26T09:30:00Z" })).await.expect(200);
    let letter = town.one_mail_to(&ana.0.email).await;
    assert!(!letter.text.contains("/e/still-coming/"), "{}", letter.text);
    assert_eq!(ana.0.get(&format!("/signups/{}", ana.1)).await.json["change_to_answer"], false);
}

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

async fn a_second_participant_makes_the_question_needless(town: Town) {
    let (_, run, _) = of_two(&town).await;
    town.post_office().await;
    let ben = town.person("Ben").await;
    ben.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-26T08:30:00Z");
    town.post_office().await;
    assert_eq!(status(&town, &run).await, "published");
}

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
    town.set_clock("2026-11-29T21:00:00Z");
    town.post_office().await;
    assert_eq!(ana.seat(&seat).await, "expired");
}
