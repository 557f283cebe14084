//! A sign-up's life: places, the waiting list, giving back, removals, approval, the link in the mail.

use macro_rules_attribute::apply;
use serde_json::json;

use crate::{harness::Town, support::database_test::database_test};

#[apply(database_test!)]
async fn a_full_run_puts_the_next_person_on_the_waiting_list(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.sign_up(&run.id).await.expect(201);
    assert_eq!(seat.json["status"], "confirmed");
    assert!(seat.json.get("waiting_position").is_none());
    let wait = ben.sign_up(&run.id).await.expect(201);
    assert_eq!((wait.json["status"].as_str(), wait.json["waiting_position"].as_u64()), (Some("waitlisted"), Some(1)));
    let shown = town.nobody().get(&run.at("")).await.expect(200);
    assert_eq!(
        (&shown.json["places"], &shown.json["places_left"], &shown.json["waiting"]),
        (&json!(1), &json!(0), &json!(1))
    );
    let letters = town.post_office().await;
    let subject = |email: &str| letters.iter().find(|l| l.to == email).map(|l| l.subject.clone()).unwrap_or_default();
    assert_eq!(subject(&ana.email), "Your place on Thursday 26 November");
    assert_eq!(subject(&ben.email), "You are on the waiting list for Thursday 26 November");
    assert_eq!(letters.len(), 2);
}

#[apply(database_test!)]
async fn those_who_wait_are_offered_places_in_the_order_in_which_they_came(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let people = town.people("Pat", 6).await;
    let mut seats = Vec::new();
    for person in &people {
        seats.push(person.sign_up(&run.id).await.expect(201).id());
    }
    town.post_office().await;
    people[0].withdraws(&seats[0]).await;
    assert_eq!(people[2].seat(&seats[2]).await, "offered");
    assert_eq!(people[3].seat(&seats[3]).await, "waitlisted");
    // Somebody who waits gives up the position: the others move up.
    people[3].withdraws(&seats[3]).await;
    let fourth = people[4].get(&format!("/signups/{}", seats[4])).await.expect(200);
    assert_eq!(fourth.json["waiting_position"], 1);
    people[1].withdraws(&seats[1]).await;
    assert_eq!(people[4].seat(&seats[4]).await, "offered");
    assert_eq!(people[5].seat(&seats[5]).await, "waitlisted");
    let letters = town.post_office().await;
    let mut promoted: Vec<&str> =
        letters.iter().filter(|l| l.subject.starts_with("A place for you on")).map(|l| l.to.as_str()).collect();
    promoted.sort_unstable();
    assert_eq!(promoted, [people[2].email.as_str(), people[4].email.as_str()]);
}

#[apply(database_test!)]
async fn signing_up_twice_gives_back_the_live_sign_up(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let first = ana.sign_up(&run.id).await.expect(201);
    let again = ana.sign_up(&run.id).await.expect(200);
    assert_eq!(first.json, again.json);
    assert_eq!(town.rows("signups"), 1);
    assert_eq!(town.mail_to(&ana.email).await.len(), 1);
}

#[apply(database_test!)]
async fn after_a_withdrawal_one_stands_at_the_end_of_the_line(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let first = ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    let gone = ana.withdraws(&first).await;
    assert_eq!(gone.json["status"], "withdrawn");
    // Giving back twice changes nothing.
    ana.withdraws(&first).await;
    let second = ana.joins(&run.id, "waitlisted").await;
    assert_ne!(first, second);
    assert_eq!(ana.get(&format!("/signups/{second}")).await.json["waiting_position"], 1);
    town.work().await;
}

#[apply(database_test!)]
async fn whoever_was_removed_does_not_come_back_to_that_run(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let other = town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&run.id, "confirmed").await;
    let waits = ben.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    let body = json!({ "reason_code": "conduct", "private_note": "Shouted.", "statement": "You shouted at Cem." });
    let removed = fay.post(&format!("/signups/{seat}/remove"), body).await.expect(200);
    assert_eq!(removed.json["status"], "removed");
    assert!(!removed.text.contains("Shouted."), "the note is for moderators: {}", removed.text);
    assert_eq!(ben.seat(&waits).await, "offered");
    ana.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    ana.post(&format!("/signups/{seat}/withdraw"), json!({})).await.refused(409, "signup_not_live");
    ana.joins(&other.id, "confirmed").await;
    let seen = ana.get(&format!("/signups/{seat}")).await.expect(200);
    assert_eq!(seen.json["decision"]["statement"], "You shouted at Cem.");
    assert!(!seen.text.contains("Shouted."), "{}", seen.text);
    let letter = town.mail_to(&ana.email).await.into_iter().find(|l| l.text.contains("You shouted at Cem."));
    let letter = letter.expect("a mail that says why");
    assert!(!letter.raw.contains("Shouted."));
    letter.link("appeal");
    assert_eq!(town.rows("audit_log WHERE act = 'signup_removed'"), 1);
}

#[apply(database_test!)]
async fn after_the_start_nothing_can_be_taken_or_given_back(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&run.id, "confirmed").await;
    let link = town.one_mail_to(&ana.email).await.link("not-today");
    town.set_clock("2026-11-26T09:00:00Z");
    ana.post(&format!("/signups/{seat}/withdraw"), json!({})).await.refused(409, "run_started");
    ben.sign_up(&run.id).await.refused(409, "run_started");
    fay.patch(&run.at(""), Some(&run.etag), json!({ "capacity": 20 })).await.refused(409, "run_started");
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.refused(409, "run_started");
    let body = json!({ "reason_code": "group_size", "private_note": "Too many." });
    fay.post(&format!("/signups/{seat}/remove"), body).await.refused(409, "run_started");
    let page = town.nobody().press(&link, &[]).await;
    assert_eq!(page.status, 409);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    town.work().await;
}

#[apply(database_test!)]
async fn opening_the_not_today_link_changes_nothing_and_pressing_it_withdraws(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&run.id, "confirmed").await;
    let waits = ben.joins(&run.id, "waitlisted").await;
    let letter = town.one_mail_to(&ana.email).await;
    let link = letter.link("not-today");
    let nobody = town.nobody();
    for _ in 0..3 {
        let page = nobody.open(&link).await.expect(200);
        assert!(page.text.contains("Ana") && page.text.contains("Thursday 26 November 2026, 09:00"), "{}", page.text);
        assert!(!page.text.contains("<script"), "{}", page.text);
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    assert_eq!(ana.seat(&seat).await, "confirmed");
    nobody.press(&link, &[]).await.expect(200);
    assert_eq!(ana.seat(&seat).await, "withdrawn");
    assert_eq!(ben.seat(&waits).await, "offered");
    let again = ana.joins(&run.id, "waitlisted").await;
    assert_eq!(nobody.press(&link, &[]).await.status, 200, "a second tap reads the same");
    assert_eq!(nobody.open(&link).await.status, 409);
    assert_eq!(ana.seat(&again).await, "waitlisted", "and touches no later sign-up");
    let letters = town.post_office().await;
    assert!(letters.iter().any(|l| l.to == ben.email && l.subject.starts_with("A place for you on")));
}

#[apply(database_test!)]
async fn the_token_of_a_not_today_link_withdraws_without_logging_in(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let other = town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T09:00:00Z")).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let token = town.one_mail_to(&ana.email).await.token("not-today");
    let elsewhere = ana.joins(&other.id, "confirmed").await;
    let nobody = town.nobody();
    let path = format!("/signups/{seat}/withdraw");
    nobody.post(&path, json!({})).await.refused(401, "not_logged_in");
    nobody.post(&path, json!({ "token": "forged" })).await.refused(403, "link_invalid");
    let not_its_own = nobody.post(&format!("/signups/{elsewhere}/withdraw"), json!({ "token": token })).await;
    not_its_own.refused(403, "link_invalid");
    let done = nobody.post(&path, json!({ "token": token })).await.expect(200);
    assert_eq!(done.json["status"], "withdrawn");
    assert_eq!(ana.seat(&elsewhere).await, "confirmed");
    town.work().await;
}

#[apply(database_test!)]
async fn where_each_needs_a_yes_the_facilitator_decides(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["capacity"] = json!(1);
            run["questions"] = json!(["Have you run with us before?"]);
        })
        .await;
    let [ana, ben, cem] = [town.person("Ana").await, town.person("Ben").await, town.person("Cem").await];
    let ask = async |person: &crate::harness::Person| {
        let answer = person.post(&run.at("/signups"), json!({ "answers": ["Yes"], "note": "Shy." })).await.expect(201);
        assert_eq!(answer.json["status"], "requested");
        answer.id()
    };
    let (a, b, c) = (ask(&ana).await, ask(&ben).await, ask(&cem).await);
    let shown = town.nobody().get(&run.at("")).await;
    assert_eq!(shown.json["places_left"], 1, "a request holds nothing");
    let stranger = town.person("Sam").await;
    stranger.post(&format!("/signups/{a}/approve"), json!({})).await.refused(404, "not_found");
    ana.post(&format!("/signups/{a}/approve"), json!({})).await.refused(404, "not_found");
    let yes = fay.post(&format!("/signups/{a}/approve"), json!({})).await.expect(200);
    assert_eq!(yes.json["status"], "confirmed");
    let second = fay.post(&format!("/signups/{b}/approve"), json!({})).await.expect(200);
    assert_eq!(second.json["status"], "waitlisted");
    let no = fay.post(&format!("/signups/{c}/decline"), json!({ "reason_code": "not_a_fit" })).await.expect(200);
    assert_eq!(no.json["status"], "declined");
    cem.post(&run.at("/signups"), json!({ "answers": ["Yes"] })).await.refused(409, "run_not_open_to_you");
    fay.post(&format!("/signups/{c}/approve"), json!({})).await.refused(409, "signup_not_live");
    let letters = town.post_office().await;
    let letters: Vec<_> = letters.into_iter().filter(|letter| letter.to != fay.email).collect();
    assert_eq!(letters.len(), 3, "{:?}", letters.iter().map(|l| (&l.to, &l.subject)).collect::<Vec<_>>());
    assert_eq!(town.rows("audit_log WHERE act IN ('signup_approved', 'signup_declined')"), 3);
}

#[apply(database_test!)]
async fn a_requests_number_is_kept_when_it_is_approved_into_the_line(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["capacity"] = json!(1);
        })
        .await;
    let people = town.people("Pat", 3).await;
    let mut seats = Vec::new();
    for person in &people {
        seats.push(person.joins(&run.id, "requested").await);
    }
    // Approved in the order 0, 2, 1: the second still stands before the third.
    for at in [0, 2, 1] {
        fay.post(&format!("/signups/{}/approve", seats[at]), json!({})).await.expect(200);
    }
    let position =
        async |at: usize| people[at].get(&format!("/signups/{}", seats[at])).await.json["waiting_position"].clone();
    assert_eq!((position(1).await, position(2).await), (json!(1), json!(2)));
    people[0].withdraws(&seats[0]).await;
    assert_eq!(people[1].seat(&seats[1]).await, "offered");
    town.work().await;
}

#[apply(database_test!)]
async fn answers_must_fit_the_questions(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["join_policy"] = json!("approval");
            run["questions"] = json!(["One?", "Two?"]);
        })
        .await;
    let ana = town.person("Ana").await;
    ana.post(&run.at("/signups"), json!({ "answers": ["only one"] })).await.faulty(&["/answers wrong_number"]);
    let long = "x".repeat(501);
    ana.post(&run.at("/signups"), json!({ "answers": [long, "two"] })).await.faulty(&["/answers/0 too_long"]);
    assert_eq!(town.rows("signups"), 0);
}

#[apply(database_test!)]
async fn a_facilitator_needs_no_place_in_their_own_run(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    fay.sign_up(&run.id).await.refused(409, "you_lead_this_run");
}

#[apply(database_test!)]
async fn the_roster_is_for_the_runs_facilitators_and_ends_after_fourteen_days(town: Town) {
    let (fay, other) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    town.work().await;
    let path = run.at("/signups");
    let roster = fay.get(&path).await.expect(200);
    let items = roster.items();
    assert_eq!((items[0]["display_name"].as_str(), items[1]["display_name"].as_str()), (Some("Ana"), Some("Ben")));
    assert_eq!(items[1]["waiting_position"], 1);
    assert!(items[0]["account_id"].is_string() && items[1].get("account_id").is_none());
    for text in [&ana.email, &ben.email] {
        assert!(!roster.text.contains(text.as_str()), "no addresses on a roster");
    }
    let moderator = town.moderator("Mo").await;
    for stranger in [&ana, &other, &moderator] {
        stranger.get(&path).await.refused(404, "not_found");
    }
    town.nobody().get(&path).await.refused(401, "not_logged_in");
    // It ends on 26 November at 10:00.
    town.set_clock("2026-12-10T09:59:00Z");
    fay.get(&path).await.expect(200);
    town.set_clock("2026-12-10T10:00:00Z");
    fay.get(&path).await.refused(404, "not_found");
    town.work().await;
}

#[apply(database_test!)]
async fn at_the_start_those_without_a_place_expire(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&run.id, "confirmed").await;
    let waits = ben.joins(&run.id, "waitlisted").await;
    town.set_clock("2026-11-26T09:00:00Z");
    town.work().await;
    assert_eq!((ana.seat(&seat).await, ben.seat(&waits).await), (json!("confirmed"), json!("expired")));
    town.set_clock("2026-11-26T12:00:00Z");
    town.work().await;
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "completed");
    assert_eq!(ana.seat(&seat).await, "confirmed", "whom nobody marked stays confirmed");
}

#[apply(database_test!)]
async fn ones_own_sign_ups_are_listed_newest_first_with_their_runs(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.person("Ana").await;
    let mut wanted = Vec::new();
    for day in [26, 27, 28] {
        let run = town.run(&fay, |run| run["starts_at"] = json!(format!("2026-11-{day}T09:00:00Z"))).await;
        ana.joins(&run.id, "confirmed").await;
        wanted.insert(0, run.id);
        town.minutes_pass(1);
    }
    let first = ana.get("/me/signups?limit=2").await.expect(200);
    let cursor = first.str("next_cursor");
    let second = ana.get(&format!("/me/signups?limit=2&cursor={cursor}")).await.expect(200);
    let runs: Vec<String> =
        [first.items(), second.items()].concat().iter().map(|i| i["run"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(runs, wanted);
    assert!(second.json["next_cursor"].is_null());
    // Somebody else's cursor is none.
    let ben = town.person("Ben").await;
    ben.get(&format!("/me/signups?cursor={cursor}")).await.faulty(&["?cursor other_filters"]);
    town.work().await;
}

#[apply(database_test!)]
async fn more_capacity_lets_those_who_wait_in_and_less_puts_nobody_out(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let people = town.people("Pat", 5).await;
    let mut seats = Vec::new();
    for person in &people {
        seats.push(person.sign_up(&run.id).await.expect(201).id());
    }
    let less = fay.patch(&run.at(""), Some(&run.etag), json!({ "capacity": 1 })).await.expect(200);
    assert_eq!((&less.json["places"], &less.json["places_left"]), (&json!(1), &json!(0)));
    assert_eq!(people[1].seat(&seats[1]).await, "confirmed", "nobody is put out");
    people[0].withdraws(&seats[0]).await;
    assert_eq!(people[2].seat(&seats[2]).await, "waitlisted", "and nobody new gets in");
    let etag = less.header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "capacity": 3 })).await.expect(200);
    assert_eq!(
        (people[2].seat(&seats[2]).await, people[3].seat(&seats[3]).await),
        (json!("offered"), json!("offered"))
    );
    assert_eq!(people[4].seat(&seats[4]).await, "waitlisted");
    town.work().await;
}

#[apply(database_test!)]
async fn a_removal_for_safety_says_only_the_neutral_sentence_and_opens_a_report(town: Town) {
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    let body =
        json!({ "reason_code": "safety", "private_note": "Followed somebody home.", "statement": "You followed her." });
    fay.post(&format!("/signups/{seat}/remove"), body).await.expect(200);
    let seen = ana.get(&format!("/signups/{seat}")).await;
    assert_eq!(seen.json["decision"]["sentence"], "You are not on this run any more. The team can tell you more.");
    let decisions = ana.get("/me/decisions").await.expect(200);
    for text in [&seen.text, &decisions.text] {
        assert!(!text.contains("ollowed") && !text.contains("safety"), "{text}");
    }
    let queue = mo.get("/moderation/reports").await.expect(200).items();
    assert_eq!(
        (queue.len(), &queue[0]["category"], &queue[0]["about_id"]),
        (1, &json!("safeguarding"), &json!(ana.id))
    );
    assert!(queue[0]["statement"].as_str().unwrap().contains("Followed somebody home."));
    for letter in town.post_office().await.iter().filter(|letter| letter.to == ana.email) {
        assert!(!letter.raw.contains("ollowed"), "{}", letter.raw);
    }
}

#[apply(database_test!)]
async fn a_run_lists_everybody_at_once_and_in_pages_where_they_are_asked_for(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(3)).await;
    let mut seats = Vec::new();
    for (at, person) in town.people("Pat", 5).await.iter().enumerate() {
        seats.push(person.joins(&run.id, if at < 3 { "confirmed" } else { "waitlisted" }).await);
    }
    let whole = fay.get(&run.at("/signups")).await.expect(200);
    assert!(whole.items().len() == 5 && whole.json["next_cursor"].is_null());
    let (mut paged, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = fay.get(&run.at(&format!("/signups?limit=2{cursor}"))).await.expect(200);
        paged.extend(page.items());
        pages += 1;
        let Some(next) = page.json["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((paged, pages), (whole.items(), 3));
    fay.get(&run.at("/signups?limit=0")).await.faulty(&["?limit too_small"]);
    let other = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    fay.get(&other.at(&format!("/signups?limit=2{cursor}"))).await.faulty(&["?cursor other_filters"]);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_removal_needs_a_note_and_one_for_conduct_a_statement(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let path = format!("/signups/{seat}/remove");
    let bare = fay.post(&path, json!({ "reason_code": "conduct" })).await;
    bare.faulty(&["/private_note required", "/statement required"]);
    fay.post(&path, json!({ "reason_code": "bad_hair" })).await.faulty(&["/reason_code unknown_value"]);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    town.work().await;
}

#[apply(database_test!)]
async fn withdrawing_within_a_day_of_the_start_tells_the_facilitator(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let early = ana.joins(&run.id, "confirmed").await;
    let late = ben.joins(&run.id, "confirmed").await;
    ana.withdraws(&early).await;
    assert!(town.mail_to(&fay.email).await.is_empty(), "more than a day ahead nobody needs to know");
    town.set_clock("2026-11-25T20:00:00Z");
    town.post_office().await;
    ben.withdraws(&late).await;
    let letter = town.one_mail_to(&fay.email).await;
    assert!(letter.text.contains("Ben"), "{}", letter.text);
}
