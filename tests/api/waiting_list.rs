//! The waiting list: offers and their clock, the first yes of the last day, and nobody in two runs at once.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

/// A full run of one place, its holder, and those who wait for it.
async fn full(town: &Town, start: &str, waiting: usize) -> (Run, (Person, String), Vec<(Person, String)>) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["capacity"] = json!(1);
            run["starts_at"] = json!(start);
        })
        .await;
    let holder = town.person("Hal").await;
    let seat = holder.joins(&run.id, "confirmed").await;
    let mut line = Vec::new();
    for person in town.people("Wil", waiting).await {
        let waits = person.joins(&run.id, "waitlisted").await;
        line.push((person, waits));
    }
    town.post_office().await;
    (run, (holder, seat), line)
}

async fn of(who: &(Person, String)) -> Value {
    who.0.get(&format!("/signups/{}", who.1)).await.expect(200).json
}

async fn says(who: &(Person, String), act: &str) -> crate::harness::Answer {
    who.0.post(&format!("/signups/{}/{act}", who.1), json!({})).await
}

#[apply(database_test!)]
async fn an_offer_far_ahead_holds_for_twenty_four_waking_hours_and_a_late_one_for_four(town: Town) {
    let (_, holder, line) = full(&town, "2026-11-30T09:00:00Z", 1).await;
    holder.0.withdraws(&holder.1).await;
    let offered = of(&line[0]).await;
    assert_eq!((&offered["status"], &offered["offer_expires_at"]), (&json!("offered"), &json!("2026-11-24T20:00:00Z")));
    let letter = town.one_mail_to(&line[0].0.email).await;
    assert!(letter.text.contains("Tuesday 24 November 2026, 20:00"), "{}", letter.text);
    let (_, holder, line) = full(&town, "2026-11-26T09:00:00Z", 1).await;
    town.set_clock("2026-11-23T21:00:00Z");
    holder.0.withdraws(&holder.1).await;
    assert_eq!(of(&line[0]).await["offer_expires_at"], json!("2026-11-24T11:00:00Z"), "its clock rests at night");
    town.work().await;
}

#[apply(database_test!)]
async fn an_unanswered_offer_costs_nothing_and_goes_to_the_next(town: Town) {
    let (run, holder, line) = full(&town, "2026-11-30T09:00:00Z", 2).await;
    holder.0.withdraws(&holder.1).await;
    let link = town.one_mail_to(&line[0].0.email).await.link("take-place");
    town.set_clock("2026-11-24T20:00:00Z");
    // Before anybody has looked: the time is over all the same.
    says(&line[0], "accept").await.refused(409, "offer_expired");
    let letters = town.post_office().await;
    assert_eq!(
        (of(&line[0]).await["status"].clone(), of(&line[1]).await["status"].clone()),
        (json!("waitlisted"), json!("offered"))
    );
    assert_eq!(of(&line[0]).await["waiting_position"], 1);
    let told: Vec<&str> = letters.iter().filter(|l| l.to == line[0].0.email).map(|l| l.subject.as_str()).collect();
    assert_eq!(told, ["About the place on Monday 30 November"], "once, and without blame");
    says(&line[0], "accept").await.refused(409, "offer_expired");
    assert_eq!(town.nobody().press(&link, &[]).await.status, 409);
    says(&line[1], "accept").await.expect(200);
    assert_eq!(of(&line[1]).await["status"], "confirmed");
    assert_eq!(town.nobody().get(&run.at("")).await.json["places_left"], 0);
    town.hours_pass(30);
    assert!(town.mail_to(&line[0].0.email).await.is_empty(), "told once");
}

#[apply(database_test!)]
async fn an_offer_is_accepted_by_the_link_or_declined_by_it(town: Town) {
    let (_, holder, line) = full(&town, "2026-11-30T09:00:00Z", 2).await;
    holder.0.withdraws(&holder.1).await;
    let letter = town.one_mail_to(&line[0].0.email).await;
    let (take, let_go, nobody) = (letter.link("take-place"), letter.link("let-place-go"), town.nobody());
    nobody.open(&take).await.expect(200);
    nobody.open(&let_go).await.expect(200);
    assert_eq!(of(&line[0]).await["status"], "offered", "opening changes nothing");
    nobody.press(&let_go, &[]).await.expect(200);
    nobody.press(&let_go, &[]).await.expect(200);
    assert_eq!(of(&line[0]).await["status"], "waitlisted");
    let token = town.one_mail_to(&line[1].0.email).await.token("take-place");
    let path = format!("/signups/{}/accept", line[1].1);
    nobody.post(&path, json!({})).await.refused(401, "not_logged_in");
    line[0].0.post(&path, json!({})).await.refused(404, "not_found");
    nobody.post(&path, json!({ "token": "forged" })).await.refused(403, "link_invalid");
    let done = nobody.post(&path, json!({ "token": token })).await.expect(200);
    assert_eq!(done.json["status"], "confirmed");
    // A second yes is the same yes.
    nobody.post(&path, json!({ "token": token })).await.expect(200);
    says(&line[1], "decline-offer").await.refused(409, "no_offer");
    assert_eq!(town.mail_to(&line[1].0.email).await.len(), 1);
}

#[apply(database_test!)]
async fn a_place_that_somebody_let_go_is_not_offered_to_them_again(town: Town) {
    let (run, holder, line) = full(&town, "2026-11-30T09:00:00Z", 1).await;
    holder.0.withdraws(&holder.1).await;
    says(&line[0], "decline-offer").await.expect(200);
    for _ in 0..3 {
        town.hours_pass(1);
        town.work().await;
    }
    assert_eq!(of(&line[0]).await["status"], "waitlisted", "never re-offered");
    says(&line[0], "accept").await.refused(409, "offer_expired");
    assert_eq!(town.nobody().get(&run.at("")).await.json["places_left"], 1);
    // Nobody else waits: whoever comes may have it, and when they go it is another place.
    let newcomer = town.person("Nia").await;
    let seat = newcomer.joins(&run.id, "confirmed").await;
    newcomer.withdraws(&seat).await;
    assert_eq!(of(&line[0]).await["status"], "offered");
    town.work().await;
}

#[apply(database_test!)]
async fn three_more_places_are_three_offers(town: Town) {
    let (run, _, line) = full(&town, "2026-11-30T09:00:00Z", 5).await;
    let fay = town.texts("SELECT email AS t FROM accounts WHERE display_name = 'Fay'");
    assert_eq!(fay.len(), 1);
    let leader = town.facilitator("Gil").await;
    let run_of_gil = town.run(&leader, |run| run["capacity"] = json!(1)).await;
    let mut seats = Vec::new();
    for person in town.people("Pat", 6).await {
        let seat = person.sign_up(&run_of_gil.id).await.expect(201).id();
        seats.push((person, seat));
    }
    leader.patch(&run_of_gil.at(""), Some(&run_of_gil.etag), json!({ "capacity": 4 })).await.expect(200);
    let mut states = Vec::new();
    for seat in &seats {
        states.push(of(seat).await["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(states, ["confirmed", "offered", "offered", "offered", "waitlisted", "waitlisted"]);
    assert_eq!(town.rows("outbox WHERE kind = 'place_offered'"), 3);
    assert_eq!((town.nobody().get(&run.at("")).await.json["waiting"].clone(), line.len()), (json!(5), 5));
    town.work().await;
}

#[apply(database_test!)]
async fn no_offer_reaches_into_the_last_day_and_then_the_first_yes_has_the_place(town: Town) {
    let (run, holder, line) = full(&town, "2026-11-26T15:00:00Z", 3).await;
    town.set_clock("2026-11-25T14:00:00Z");
    holder.0.withdraws(&holder.1).await;
    assert_eq!(of(&line[0]).await["offer_expires_at"], json!("2026-11-25T15:00:00Z"));
    town.set_clock("2026-11-25T15:00:00Z");
    let letters = town.post_office().await;
    let mut told: Vec<&str> =
        letters.iter().filter(|l| l.subject.starts_with("A place is free")).map(|l| l.to.as_str()).collect();
    told.sort_unstable();
    let mut wanted: Vec<&str> = line[1..].iter().map(|(person, _)| person.email.as_str()).collect();
    wanted.sort_unstable();
    assert_eq!(told, wanted, "all who wait but for the one who let it go");
    assert_eq!(of(&line[0]).await["status"], "waitlisted");
    town.work().await;
    assert_eq!(town.rows("outbox WHERE kind = 'place_free'"), 2, "once for each place");
    says(&line[2], "accept").await.expect(200);
    says(&line[1], "accept").await.refused(409, "place_taken");
    assert_eq!(of(&line[2]).await["status"], "confirmed");
    // It becomes free again: whoever comes first has it, and those who wait are told again.
    line[2].0.withdraws(&line[2].1).await;
    assert_eq!(town.rows("outbox WHERE kind = 'place_free'"), 4);
    town.person("Nia").await.joins(&run.id, "confirmed").await;
    let late = town.post_office().await;
    assert!(late.iter().all(|l| !l.subject.starts_with("A place is free")), "it is gone, so nobody is told");
    says(&line[1], "accept").await.refused(409, "place_taken");
}

#[apply(database_test!)]
async fn who_does_not_want_short_notice_is_left_in_peace(town: Town) {
    let (run, holder, _) = full(&town, "2026-11-26T15:00:00Z", 0).await;
    let calm = town.person("Cal").await;
    calm.post(&run.at("/signups"), json!({ "short_notice": false })).await.expect(201);
    town.set_clock("2026-11-25T16:00:00Z");
    town.post_office().await;
    holder.0.withdraws(&holder.1).await;
    assert!(town.mail_to(&calm.email).await.is_empty());
}

#[apply(database_test!)]
async fn at_night_people_are_told_in_the_morning(town: Town) {
    let (_, holder, line) = full(&town, "2026-11-26T15:00:00Z", 1).await;
    town.set_clock("2026-11-25T23:00:00Z");
    town.post_office().await;
    holder.0.withdraws(&holder.1).await;
    assert!(town.mail_to(&line[0].0.email).await.is_empty());
    town.set_clock("2026-11-26T05:59:59Z");
    assert!(town.mail_to(&line[0].0.email).await.is_empty());
    town.set_clock("2026-11-26T06:00:00Z");
    assert!(town.one_mail_to(&line[0].0.email).await.subject.starts_with("A place is free"));
    // But it could be taken all along.
    says(&line[0], "accept").await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn nobody_new_gets_an_offer_when_places_fall_or_the_run_is_closed(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let mut seats = Vec::new();
    for person in town.people("Pat", 4).await {
        let seat = person.sign_up(&run.id).await.expect(201).id();
        seats.push((person, seat));
    }
    let stranger = town.facilitator("Gil").await;
    stranger.post(&run.at("/lock"), json!({})).await.refused(404, "not_found");
    fay.post(&run.at("/lock"), json!({})).await.expect(200);
    seats[0].0.withdraws(&seats[0].1).await;
    assert_eq!(of(&seats[2]).await["status"], "waitlisted");
    town.person("Nia").await.sign_up(&run.id).await.refused(409, "run_not_open");
    says(&seats[2], "accept").await.refused(409, "run_not_open");
    town.work().await;
}

#[apply(database_test!)]
async fn an_offer_is_void_when_the_run_is_cancelled_and_other_runs_are_named(town: Town) {
    let (run, holder, line) = full(&town, "2026-11-30T09:00:00Z", 2).await;
    let gil = town.facilitator("Gil").await;
    let other = town.run(&gil, |run| run["title"] = json!("Gil's slow loop")).await;
    holder.0.withdraws(&holder.1).await;
    town.post_office().await;
    let mo = town.moderator("Mo").await;
    mo.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    says(&line[0], "accept").await.refused(409, "signup_not_live");
    assert_eq!(
        (of(&line[0]).await["status"].clone(), of(&line[1]).await["status"].clone()),
        (json!("expired"), json!("expired"))
    );
    let letter = town.one_mail_to(&line[0].0.email).await;
    assert!(letter.text.contains("Gil's slow loop") && letter.text.contains(&other.id), "{}", letter.text);
}

#[apply(database_test!)]
async fn two_confirmed_runs_at_once_are_refused_and_swapped_in_one_step(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let one = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let two = town.run(&gil, |run| run["starts_at"] = json!("2026-11-26T09:30:00Z")).await;
    let after = town.run(&gil, |run| run["starts_at"] = json!("2026-11-26T10:00:00Z")).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&one.id, "confirmed").await;
    let waits = ben.joins(&one.id, "waitlisted").await;
    let refused = ana.sign_up(&two.id).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_signup_id"], seat);
    assert_eq!(ana.seat(&seat).await, "confirmed", "nothing half-done");
    let swapped = ana.post(&two.at("/signups"), json!({ "swap": true })).await.expect(201);
    assert_eq!((swapped.json["status"].clone(), ana.seat(&seat).await), (json!("confirmed"), json!("withdrawn")));
    assert_eq!(ben.seat(&waits).await, "offered", "what it frees is passed on");
    // Where the other is full a swap gives up nothing.
    let full = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    town.person("Cem").await.joins(&full.id, "confirmed").await;
    let waits = ana.post(&full.at("/signups"), json!({ "swap": true })).await.expect(201);
    assert_eq!(
        (waits.json["status"].clone(), ana.seat(&swapped.id()).await),
        (json!("waitlisted"), json!("confirmed"))
    );
    // One that starts when the other ends does not overlap.
    ben.joins(&after.id, "confirmed").await;
    town.work().await;
}

#[apply(database_test!)]
async fn an_offer_at_the_time_of_another_place_is_taken_by_a_swap(town: Town) {
    let (run, holder, line) = full(&town, "2026-11-30T09:00:00Z", 1).await;
    let gil = town.facilitator("Gil").await;
    let other = town.run(&gil, |run| run["starts_at"] = json!("2026-11-30T09:15:00Z")).await;
    let elsewhere = line[0].0.joins(&other.id, "confirmed").await;
    holder.0.withdraws(&holder.1).await;
    let refused = says(&line[0], "accept").await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_signup_id"], elsewhere);
    line[0].0.post(&format!("/signups/{}/accept", line[0].1), json!({ "swap": true })).await.expect(200);
    assert_eq!(line[0].0.seat(&elsewhere).await, "withdrawn");
    assert_eq!(town.nobody().get(&run.at("")).await.json["places_left"], 0);
    town.work().await;
}

#[apply(database_test!)]
async fn an_approval_does_not_put_somebody_into_two_runs(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let asked = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let open = town.run(&gil, |_| {}).await;
    let request = ana.joins(&asked.id, "requested").await;
    let seat = ana.joins(&open.id, "confirmed").await;
    let answer = fay.post(&format!("/signups/{request}/approve"), json!({})).await.expect(200);
    assert_eq!(answer.json["status"], "offered", "the place is held, and Ana chooses");
    assert_eq!(ana.seat(&seat).await, "confirmed");
    ana.post(&format!("/signups/{request}/accept"), json!({})).await.refused(409, "overlapping_run");
    ana.post(&format!("/signups/{request}/accept"), json!({ "swap": true })).await.expect(200);
    assert_eq!((ana.seat(&seat).await, ana.seat(&request).await), (json!("withdrawn"), json!("confirmed")));
    town.work().await;
}

#[apply(database_test!)]
async fn the_lines_of_overlapping_runs_are_left_if_one_wishes(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let mut waits = Vec::new();
    let ana = town.person("Ana").await;
    for _ in 0..2 {
        let full = town.run(&fay, |run| run["capacity"] = json!(1)).await;
        town.person("Hal").await.joins(&full.id, "confirmed").await;
        waits.push(ana.joins(&full.id, "waitlisted").await);
    }
    let later = town
        .run(&fay, |run| {
            run["capacity"] = json!(1);
            run["starts_at"] = json!("2026-11-26T12:00:00Z");
        })
        .await;
    town.person("Hal").await.joins(&later.id, "confirmed").await;
    let other_time = ana.joins(&later.id, "waitlisted").await;
    let free = town.run(&gil, |_| {}).await;
    ana.post(&free.at("/signups"), json!({ "leave_overlapping": true })).await.expect(201);
    assert_eq!((ana.seat(&waits[0]).await, ana.seat(&waits[1]).await), (json!("withdrawn"), json!("withdrawn")));
    assert_eq!(ana.seat(&other_time).await, "waitlisted");
    town.work().await;
}

#[apply(database_test!)]
async fn places_are_kept_for_newcomers_until_two_days_before(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    // Ana and Ben have run with Fay before.
    let before = town.run(&fay, |run| run["starts_at"] = json!("2026-11-24T09:00:00Z")).await;
    ana.joins(&before.id, "confirmed").await;
    ben.joins(&before.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-24T12:30:00Z");
    town.post_office().await;
    let run = town
        .run(&fay, |run| {
            run["capacity"] = json!(3);
            run["newcomer_places"] = json!(2);
            run["starts_at"] = json!("2026-11-30T09:00:00Z");
        })
        .await;
    ana.joins(&run.id, "confirmed").await;
    let waits = ben.joins(&run.id, "waitlisted").await;
    let newcomer = town.person("Nia").await;
    newcomer.joins(&run.id, "confirmed").await;
    assert_eq!(ben.seat(&waits).await, "waitlisted", "one is still kept");
    town.set_clock("2026-11-28T08:59:59Z");
    town.work().await;
    assert_eq!(ben.seat(&waits).await, "waitlisted");
    town.set_clock("2026-11-28T09:00:00Z");
    town.work().await;
    assert_eq!(ben.seat(&waits).await, "offered");
    town.work().await;
}

#[apply(database_test!)]
async fn an_offer_stands_when_its_run_is_closed_and_ends_in_its_time(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["capacity"] = json!(3);
            run["starts_at"] = json!("2026-11-30T09:00:00Z");
        })
        .await;
    let mut seats = Vec::new();
    for person in town.people("Pat", 6).await {
        let seat = person.sign_up(&run.id).await.expect(201).id();
        seats.push((person, seat));
    }
    for seat in &seats[..2] {
        seat.0.withdraws(&seat.1).await;
    }
    fay.post(&run.at("/lock"), json!({})).await.expect(200);
    says(&seats[3], "accept").await.expect(200);
    assert_eq!(of(&seats[3]).await["status"], "confirmed");
    assert_eq!(of(&seats[4]).await["offer_expires_at"], json!("2026-11-24T20:00:00Z"));
    town.set_clock("2026-11-24T20:00:00Z");
    town.work().await;
    let state = async |at: usize| of(&seats[at]).await["status"].clone();
    assert_eq!(
        (state(4).await, state(5).await),
        (json!("waitlisted"), json!("waitlisted")),
        "nobody new gets an offer"
    );
    assert_eq!(town.nobody().get(&run.at("")).await.json["places_left"], 1);
    says(&seats[4], "accept").await.refused(409, "run_not_open");
    // Whoever walks in has what is free.
    town.set_clock("2026-11-30T08:30:00Z");
    town.work().await;
    let guest = json!({ "guest": { "first_name": "Gus", "adult": true, "emergency_phone": "+44 20 7946 0958" } });
    fay.post(&run.at("/walk-ins"), guest).await.expect(201);
}
