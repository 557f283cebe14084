//! Substitutes: who is called when nobody leads a run or too few do, credentials that lapse before the start, stepping down
//! at the last moment, and back markers.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Letter, Person, Run, Town},
    support::database_test::database_test,
};

fn called<'l>(letters: &'l [Letter], person: &Person) -> Vec<&'l Letter> {
    letters.iter().filter(|l| l.to == person.email && l.subject.starts_with("Could you lead")).collect()
}

/// Gives somebody a home this many degrees north of the meeting point, and how far they like to travel.
async fn lives(person: &Person, north: f64, radius_km: f64) {
    let home = json!({ "lat": 51.41 + north, "lng": -0.335 });
    let body = json!({ "activities": ["run"], "home": home, "travel_radius_km": radius_km });
    person.put("/me/running-profile", body).await.expect(200);
}

async fn steps_down(person: &Person, run: &Run) {
    person.delete(&run.at(&format!("/facilitators/{}", person.id))).await.expect(204);
}

/// Lists somebody on a run, who accepts.
async fn goes_along(by: &Person, person: &Person, run: &Run, role: &str) -> Value {
    let body = json!({ "account_id": person.id, "role": role });
    by.post(&run.at("/facilitators"), body).await.expect(201);
    let accepted = person.post(&run.at("/facilitators"), json!({ "account_id": person.id })).await.expect(200);
    assert_eq!((&accepted.json["status"], &accepted.json["role"]), (&json!("accepted"), &json!(role)));
    accepted.json
}

/// An approved facilitator with a required credential.
async fn with_first_aid(town: &Town, mo: &Person, name: &str, until: &str) -> Person {
    let person = town.person(name).await;
    let credentials = json!([{ "kind": "first_aid", "issuer": "Red Cross", "expires_on": until }]);
    let body = json!({ "statement": "Please.", "credentials": credentials });
    let application = person.post("/facilitator-applications", body).await.expect(201).id();
    mo.post(&format!("/facilitator-applications/{application}/approve"), json!({})).await.expect(200);
    person
}

async fn status(town: &Town, run: &Run) -> String {
    town.nobody().get(&run.at("")).await.expect(200).str("status")
}

#[apply(database_test!)]
async fn a_pause_calls_those_within_reach_once_and_nobody_else(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (near, far) = (town.facilitator("Near").await, town.facilitator("Far").await);
    let (lately, elsewhere) = (town.facilitator("Lately").await, town.facilitator("Elsewhere").await);
    let (stranger, asked) = (town.person("Stranger").await, town.facilitator("Asked").await);
    lives(&fay, 0.0, 10.0).await;
    lives(&near, 0.05, 10.0).await;
    lives(&far, 0.2, 10.0).await;
    lives(&stranger, 0.0, 10.0).await;
    for (leader, lat) in [(&lately, 51.5), (&elsewhere, 51.7)] {
        let at = json!({ "lat": lat, "lng": -0.335, "name": "Somewhere" });
        town.run(leader, |run| {
            run["starts_at"] = json!("2026-11-23T11:00:00Z");
            run["meeting_point"] = at;
        })
        .await;
    }
    town.set_clock("2026-11-23T14:00:00Z");
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": asked.id })).await.expect(201);
    town.person("Ana").await.joins(&run.id, "confirmed").await;
    town.post_office().await;
    steps_down(&fay, &run).await;
    let letters = town.post_office().await;
    for (person, times) in
        [(&near, 1), (&lately, 1), (&asked, 1), (&far, 0), (&elsewhere, 0), (&stranger, 0), (&fay, 0)]
    {
        assert_eq!(called(&letters, person).len(), times, "{}", person.email);
    }
    town.hours_pass(5);
    assert_eq!(town.post_office().await.len(), 0, "once for each pause");
    near.post(&run.at("/take-over"), json!({})).await.expect(200);
    steps_down(&near, &run).await;
    let letters = town.post_office().await;
    assert_eq!(called(&letters, &lately).len(), 1, "another pause calls again");
    assert_eq!(called(&letters, &near).len(), 0, "whoever has just stepped down is not asked back");
}

#[apply(database_test!)]
async fn fifty_are_called_at_once_those_who_live_nearest(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let mut near = Vec::new();
    for number in 0..52 {
        let leader = town.facilitator("Leader").await;
        // The second and the fifth live at the other end of the town.
        lives(&leader, if [1, 4].contains(&number) { 0.06 } else { 0.0 }, 10.0).await;
        near.push(leader);
    }
    town.post_office().await;
    steps_down(&fay, &run).await;
    assert_eq!(town.rows("outbox WHERE kind = 'substitute_wanted'"), 50);
    let mut letters = Vec::new();
    while town.rows("outbox WHERE status = 'queued' AND kind = 'substitute_wanted'") > 0 {
        letters.extend(town.post_office().await);
    }
    for (number, leader) in near.iter().enumerate() {
        assert_eq!(called(&letters, leader).len(), usize::from(![1, 4].contains(&number)), "{number}");
    }
    // Who was not called may help all the same.
    near[1].post(&run.at("/take-over"), json!({})).await.expect(200);
    town.post_office().await;
}

#[apply(database_test!)]
async fn a_back_marker_is_reminded_of_what_they_do_there(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &gil, &run, "back_marker").await;
    town.people("Ana", 2).await[0].joins(&run.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-25T18:30:00Z");
    let letters = town.post_office().await;
    let to = |person: &Person| {
        let about = |letter: &&Letter| letter.to == person.email && letter.text.contains("Coming: ");
        letters.iter().find(about).unwrap_or_else(|| panic!("no reminder among {letters:?}"))
    };
    assert!(to(&fay).subject.starts_with("You lead on"), "{}", to(&fay).subject);
    assert!(to(&gil).subject.starts_with("You stay with the last on"), "{}", to(&gil).subject);
    let text = &to(&gil).text;
    assert!(text.contains("you are the back marker here") && !text.contains("You lead"), "{text}");
    let page = town.nobody().open(&to(&gil).link("cannot-lead")).await.expect(200);
    assert!(page.text.contains("I cannot come") && !page.text.contains("paused"), "{}", page.text);
    town.nobody().press(&to(&gil).link("cannot-lead"), &[]).await.expect(200);
    assert_eq!(status(&town, &run).await, "published");
}

#[apply(database_test!)]
async fn nobody_is_called_across_a_block_or_a_bar(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    // Ana has led runs as well: her own bar against somebody counts too.
    let cleo = town.facilitator("Cleo").await;
    let [fine, blocks, blocked, bars, barred] = [
        town.facilitator("Fine").await,
        town.facilitator("Blocks").await,
        town.facilitator("Blocked").await,
        town.facilitator("Bars").await,
        town.facilitator("Barred").await,
    ];
    for person in [&fine, &blocks, &blocked, &bars, &barred] {
        lives(person, 0.0, 10.0).await;
    }
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    cleo.joins(&run.id, "confirmed").await;
    block(&town, &blocks, &ana);
    block(&town, &ana, &blocked);
    let bar = |who: &Person| json!({ "account_id": who.id, "until": "2027-01-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    bars.post("/me/bars", bar(&ana)).await.expect(201);
    cleo.post("/me/bars", bar(&barred)).await.expect(201);
    town.post_office().await;
    steps_down(&fay, &run).await;
    let letters = town.post_office().await;
    assert_eq!(called(&letters, &fine).len(), 1);
    for person in [&blocks, &blocked, &bars, &barred] {
        assert_eq!(called(&letters, person).len(), 0, "{}", person.email);
    }
}

/// A block as the store keeps it.
fn block(town: &Town, blocker: &Person, blocked: &Person) {
    let id = |id: sidebyside::id::Id| match town.kind() {
        crate::support::databases::Kind::Sqlite => format!("x'{}'", id.to_string().replace('-', "")),
        crate::support::databases::Kind::Postgres => format!("'{id}'"),
    };
    town.execute(&format!(
        "INSERT INTO blocks (id, blocker_id, blocked_id, created_at) VALUES ({}, {}, {}, '{}')",
        id(sidebyside::id::Id::at(town.now())),
        id(blocker.id),
        id(blocked.id),
        town.now()
    ))
    .expect("a block");
}

#[apply(database_test!)]
async fn a_call_that_is_no_longer_true_does_not_leave(town: Town) {
    let (fay, gil, hal) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.facilitator("Hal").await);
    lives(&gil, 0.0, 10.0).await;
    lives(&hal, 0.0, 10.0).await;
    let run = town.run(&fay, |_| {}).await;
    steps_down(&fay, &run).await;
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    let letters = town.post_office().await;
    assert_eq!(called(&letters, &hal).len() + called(&letters, &gil).len(), 0);
}

#[apply(database_test!)]
async fn a_call_names_the_run_and_taking_over_needs_a_log_in(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    lives(&gil, 0.0, 10.0).await;
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    steps_down(&fay, &run).await;
    let letter = town.one_mail_to(&gil.email).await;
    for words in ["An easy morning in Bushy Park", "Wednesday 25 November 2026, 21:00", &run.id] {
        assert!(letter.text.contains(words), "no {words} in\n{}", letter.text);
    }
    assert!(!letter.text.contains("The Diana fountain") && !letter.text.contains("51.41"), "{}", letter.text);
    town.nobody().post(&run.at("/take-over"), json!({})).await.refused(401, "not_logged_in");
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
}

#[apply(database_test!)]
async fn too_few_facilitators_call_for_more_who_then_lead_together(town: Town) {
    let town = town.with(&[("toml", "[policy]\nfacilitator_ratio = 2")]);
    let (fay, gil, hal, uma) = (
        town.facilitator("Fay").await,
        town.facilitator("Gil").await,
        town.facilitator("Hal").await,
        town.facilitator("Uma").await,
    );
    lives(&hal, 0.0, 10.0).await;
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &gil, &run, "leader").await;
    let people = town.people("Pat", 3).await;
    for person in &people {
        person.joins(&run.id, "confirmed").await;
    }
    town.post_office().await;
    hal.post(&run.at("/take-over"), json!({})).await.refused(409, "run_not_paused");
    steps_down(&gil, &run).await;
    assert_eq!(status(&town, &run).await, "published");
    let letters = town.post_office().await;
    assert_eq!(called(&letters, &hal).len(), 1);
    assert!(letters.iter().any(|l| l.text.contains("fewer people to lead it")), "the mail says what is missing");
    uma.post(&run.at("/take-over"), json!({})).await.refused(409, "run_not_paused");
    let shown = hal.post(&run.at("/take-over"), json!({})).await.expect(200).json;
    assert_eq!((&shown["places"], shown["facilitators"].as_array().unwrap().len()), (&json!(4), 2));
    assert_eq!(town.rows("audit_log WHERE act = 'run_taken_over'"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn a_credential_that_lapses_before_the_start_pauses_seven_days_ahead(town: Town) {
    let town = town.with(&[("REQUIRED_CREDENTIALS", "first_aid")]);
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    let fay = with_first_aid(&town, &mo, "Fay", "2026-12-30").await;
    let lasting = town.run(&fay, |run| run["starts_at"] = json!("2026-12-30T23:30:00Z")).await;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-12-31T09:00:00Z")).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    assert!(!town.post_office().await.iter().any(|l| l.to == fay.email && l.subject.contains("renew")), "too early");
    town.set_clock("2026-12-03T09:00:00Z");
    let letter = town.one_mail_to(&fay.email).await;
    assert_eq!(letter.subject, "Something to renew before Thursday 31 December");
    assert!(letter.text.contains("Wednesday 30 December 2026") && letter.text.contains("Thursday 24 December 2026"));
    town.hours_pass(1);
    assert_eq!(town.work().await, 0, "told once");
    town.set_clock("2026-12-24T08:59:59Z");
    assert_eq!(town.work().await, 0);
    assert_eq!(status(&town, &run).await, "published");
    town.set_clock("2026-12-24T09:00:00Z");
    let letters = town.post_office().await;
    assert_eq!(status(&town, &run).await, "paused");
    assert_eq!(letters.iter().filter(|l| l.to == ana.email).count(), 1);
    assert_eq!(ana.seat(&seat).await, "confirmed", "nobody who is in is put out");
    town.person("Ben").await.sign_up(&run.id).await.refused(409, "run_paused");
    assert_eq!(town.work().await, 0, "a facilitator who may still lead today does not end the pause");
    assert_eq!(status(&town, &run).await, "paused");
    let gil = with_first_aid(&town, &mo, "Gil", "2027-12-30").await;
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    town.work().await;
    assert_eq!((status(&town, &run).await, status(&town, &lasting).await), ("published".into(), "published".into()));
}

#[apply(database_test!)]
async fn another_facilitator_whose_credential_holds_keeps_the_run_going(town: Town) {
    let town = town.with(&[("REQUIRED_CREDENTIALS", "first_aid")]);
    let mo = town.moderator("Mo").await;
    let fay = with_first_aid(&town, &mo, "Fay", "2026-11-24").await;
    let gil = with_first_aid(&town, &mo, "Gil", "2027-11-24").await;
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &gil, &run, "leader").await;
    town.work().await;
    assert_eq!(status(&town, &run).await, "published");
    town.set_clock("2026-11-25T10:00:00Z");
    town.work().await;
    assert_eq!(status(&town, &run).await, "published");
}

#[apply(database_test!)]
async fn a_substitute_whose_credential_lapses_first_cannot_take_over(town: Town) {
    let town = town.with(&[("REQUIRED_CREDENTIALS", "first_aid")]);
    let mo = town.moderator("Mo").await;
    let fay = with_first_aid(&town, &mo, "Fay", "2027-11-24").await;
    let gil = with_first_aid(&town, &mo, "Gil", "2026-11-24").await;
    lives(&gil, 0.0, 10.0).await;
    let run = town.run(&fay, |_| {}).await;
    town.post_office().await;
    steps_down(&fay, &run).await;
    assert_eq!(called(&town.post_office().await, &gil).len(), 0);
    gil.post(&run.at("/take-over"), json!({})).await.refused(403, "not_in_good_standing");
    assert_eq!(status(&town, &run).await, "paused");
}

#[apply(database_test!)]
async fn those_in_hear_who_leads_now_and_may_leave_with_one_tap(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    steps_down(&fay, &run).await;
    town.post_office().await;
    gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    let letters = town.post_office().await;
    let to = |person: &Person| letters.iter().find(|l| l.to == person.email).expect("a mail").clone();
    assert!(to(&ana).text.contains("Gil leads this now") && !to(&ana).said().contains("Fay"), "{}", to(&ana).text);
    assert!(to(&ben).text.contains("Gil leads this now"), "{}", to(&ben).text);
    town.nobody().press(&to(&ana).link("not-today"), &[]).await.expect(200);
    assert_eq!(ana.seat(&seat).await, "withdrawn");
    town.work().await;
}

#[apply(database_test!)]
async fn after_the_deadline_a_co_facilitator_takes_over_at_once(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let people = town.people("Pat", 2).await;
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &gil, &run, "leader").await;
    for person in &people {
        person.joins(&run.id, "confirmed").await;
    }
    town.set_clock("2026-11-25T21:00:00Z");
    town.post_office().await;
    steps_down(&fay, &run).await;
    assert_eq!(status(&town, &run).await, "published");
    assert_eq!(town.rows("outbox WHERE kind = 'leaders_changed' AND urgent"), 2, "before all other mail");
    let letters = town.post_office().await;
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert!(letter.text.contains("Gil leads it now"), "{}", letter.text);
        letter.link("not-today");
    }
}

#[apply(database_test!)]
async fn after_the_deadline_an_invited_one_does_not_count_and_it_is_called_off(town: Town) {
    let (fay, gil, hal) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.facilitator("Hal").await);
    let people = town.people("Pat", 2).await;
    let run = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    goes_along(&fay, &hal, &run, "back_marker").await;
    for person in &people {
        person.joins(&run.id, "confirmed").await;
    }
    town.set_clock("2026-11-25T21:00:00Z");
    town.post_office().await;
    steps_down(&fay, &run).await;
    assert_eq!(status(&town, &run).await, "cancelled");
    assert_eq!(town.rows("outbox WHERE kind = 'run_cancelled' AND urgent"), 2, "before all other mail");
    let letters = town.post_office().await;
    assert_eq!(letters.iter().filter(|l| people.iter().any(|p| p.email == l.to)).count(), 2);
    assert!(letters.iter().any(|l| l.to == hal.email), "the back marker hears of it");
    assert_eq!(called(&letters, &gil).len(), 0, "it is too late to call anybody");
}

#[apply(database_test!)]
async fn the_deadline_counts_to_the_second(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (before, after) = (town.run(&fay, |_| {}).await, town.run(&fay, |_| {}).await);
    town.set_clock("2026-11-25T20:59:59Z");
    town.work().await;
    steps_down(&fay, &before).await;
    assert_eq!(status(&town, &before).await, "paused");
    town.set_clock("2026-11-25T21:00:00Z");
    steps_down(&fay, &after).await;
    assert_eq!(status(&town, &after).await, "cancelled");
    town.work().await;
    assert_eq!(status(&town, &before).await, "cancelled");
}

#[apply(database_test!)]
async fn a_back_marker_sees_the_roster_and_decides_nothing(town: Town) {
    let (fay, hal, ana) = (town.facilitator("Fay").await, town.facilitator("Hal").await, town.person("Ana").await);
    let run = town.run(&fay, |run| run["join_policy"] = json!("approval")).await;
    let seat = ana.joins(&run.id, "requested").await;
    let body = json!({ "account_id": town.person("Bo").await.id, "role": "back_marker" });
    fay.post(&run.at("/facilitators"), body).await.refused(409, "not_approved_facilitator");
    fay.post(&run.at("/facilitators"), json!({ "account_id": hal.id, "role": "cook" }))
        .await
        .faulty(&["/role unknown_value"]);
    hal.get(&run.at("/signups")).await.refused(404, "not_found");
    goes_along(&fay, &hal, &run, "back_marker").await;
    assert_eq!(hal.get(&run.at("/signups")).await.expect(200).items()[0]["display_name"], "Ana");
    let shown = hal.get(&run.at("")).await.expect(200).json;
    assert_eq!(shown["meeting_point"]["name"], "The Diana fountain");
    let roles: Vec<&Value> = shown["facilitators"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    assert_eq!(roles, [&json!("leader"), &json!("back_marker")]);
    let why = json!({ "reason_code": "not_a_fit", "private_note": "n" });
    for (path, body) in [
        (format!("/signups/{seat}/approve"), json!({})),
        (format!("/signups/{seat}/decline"), why.clone()),
        (format!("/signups/{seat}/remove"), why),
        (run.at("/cancel"), json!({ "reason_code": "other" })),
        (run.at("/lock"), json!({})),
        (run.at("/announcements"), json!({ "text": "t" })),
        (run.at("/facilitators"), json!({ "account_id": ana.id })),
    ] {
        hal.post(&path, body).await.refused(403, "leaders_only");
    }
    hal.patch(&run.at(""), Some("*"), json!({ "title": "Another" })).await.refused(403, "leaders_only");
    hal.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.refused(403, "leaders_only");
    town.work().await;
}

#[apply(database_test!)]
async fn a_back_marker_checks_people_in_and_out_and_marks_nobody_missing(town: Town) {
    town.leave_mail();
    let (fay, hal) = (town.facilitator("Fay").await, town.facilitator("Hal").await);
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &hal, &run, "back_marker").await;
    let mut seats = Vec::new();
    for person in town.people("Pat", 3).await {
        seats.push(person.joins(&run.id, "confirmed").await);
    }
    town.set_clock("2026-11-26T09:05:00Z");
    hal.post(&format!("/signups/{}/check-in", seats[0]), json!({})).await.expect(200);
    hal.post(&run.at("/check-in"), json!({ "signup_ids": [seats[1]] })).await.expect(200);
    assert_eq!(town.rows("signups WHERE status = 'attended'"), 2);
    hal.post(&format!("/signups/{}/sign-out", seats[0]), json!({})).await.expect(200);
    hal.post(&run.at("/sign-out"), json!({})).await.expect(200);
    assert_eq!(town.rows("signups WHERE signed_out_at IS NOT NULL"), 2);
    assert_eq!(town.rows("audit_log WHERE act = 'checked_in'"), 2);
    hal.post(&format!("/signups/{}/no-show", seats[2]), json!({})).await.refused(403, "leaders_only");
}

#[apply(database_test!)]
async fn a_back_marker_makes_no_places_and_holds_no_run(town: Town) {
    let town = town.with(&[("toml", "[policy]\nfacilitator_ratio = 2")]);
    let (fay, hal, ana) = (town.facilitator("Fay").await, town.facilitator("Hal").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &hal, &run, "back_marker").await;
    ana.joins(&run.id, "confirmed").await;
    assert_eq!(town.nobody().get(&run.at("")).await.json["places"], 2);
    let letters = town.post_office().await;
    let confirmed = letters.iter().find(|l| l.to == ana.email).expect("a mail");
    assert!(confirmed.text.contains("Led by: Fay\n"), "{}", confirmed.text);
    steps_down(&fay, &run).await;
    assert_eq!(status(&town, &run).await, "paused");
    let letters = town.post_office().await;
    assert_eq!(called(&letters, &hal).len(), 1, "the back marker is asked first of all");
    steps_down(&hal, &run).await;
    hal.get(&run.at("/signups")).await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn a_back_marker_may_take_over_and_leads_then(town: Town) {
    let (fay, hal) = (town.facilitator("Fay").await, town.facilitator("Hal").await);
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &hal, &run, "back_marker").await;
    town.post_office().await;
    steps_down(&fay, &run).await;
    let shown = hal.post(&run.at("/take-over"), json!({})).await.expect(200).json;
    assert_eq!((&shown["status"], &shown["facilitators"][0]["role"]), (&json!("published"), &json!("leader")));
    town.work().await;
}

#[apply(database_test!)]
async fn a_back_marker_counts_as_company(town: Town) {
    town.leave_mail();
    let (fay, hal, ana) = (town.facilitator("Fay").await, town.facilitator("Hal").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    for person in town.people("Pat", 5).await {
        person.joins(&run.id, "confirmed").await;
    }
    let pace = json!({ "fastest_s_per_km": 370, "slowest_s_per_km": 420 });
    let home = json!({ "lat": 51.41, "lng": -0.335 });
    let body = json!({ "activities": ["run"], "home": home, "comfortable_pace": pace });
    ana.put("/me/running-profile", body).await.expect(200);
    let company = async || ana.get("/matches").await.expect(200).items()[0]["fit"]["company"].as_f64().unwrap();
    let alone = company().await;
    goes_along(&fay, &hal, &run, "back_marker").await;
    assert!(alone < 1.0 && (company().await - 1.0).abs() < 1e-9, "{alone} {}", company().await);
}

#[apply(database_test!)]
async fn a_shrinking_run_puts_nobody_out_and_lets_nobody_in(town: Town) {
    let town = town.with(&[("toml", "[policy]\nfacilitator_ratio = 2")]);
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    goes_along(&fay, &gil, &run, "leader").await;
    let people = town.people("Pat", 5).await;
    let mut seats = Vec::new();
    for person in &people[..4] {
        seats.push(person.joins(&run.id, "confirmed").await);
    }
    let waits = people[4].joins(&run.id, "waitlisted").await;
    steps_down(&gil, &run).await;
    people[0].withdraws(&seats[0]).await;
    town.work().await;
    assert_eq!(people[4].seat(&waits).await, "waitlisted");
    for (person, seat) in people[1..4].iter().zip(&seats[1..]) {
        assert_eq!(person.seat(seat).await, "confirmed");
    }
}

#[apply(database_test!)]
async fn a_change_made_while_a_run_is_paused_is_told(town: Town) {
    let town = town.with(&[("REQUIRED_CREDENTIALS", "first_aid")]);
    let (mo, ana) = (town.moderator("Mo").await, town.person("Ana").await);
    // She may lead today, and not on the day of the run.
    let fay = with_first_aid(&town, &mo, "Fay", "2026-11-25").await;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    assert_eq!(status(&town, &run).await, "paused");
    let etag = fay.get(&run.at("")).await.header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), json!({ "starts_at": "2026-11-28T10:30:00Z" })).await.expect(200);
    let letter = town.one_mail_to(&ana.email).await;
    town.nobody().press(&letter.link("still-coming"), &[]).await.expect(200);
    assert_eq!((status(&town, &run).await, ana.seat(&seat).await), ("paused".into(), json!("confirmed")));
    town.work().await;
}
