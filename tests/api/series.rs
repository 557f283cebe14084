//! Series: posting, dates made ahead, skipping, moving, changing from a date on, ending, and coming to every date.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Town},
    support::database_test::database_test,
};

fn body(town: &Town) -> Value {
    let mut run = town.run_body();
    run.as_object_mut().unwrap().remove("starts_at");
    json!({ "run": run, "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=WEEKLY;BYDAY=TU" })
}

async fn post(town: &Town, by: &Person, change: impl FnOnce(&mut Value)) -> Answer {
    let mut body = body(town);
    change(&mut body);
    by.post("/run-series", body).await.expect(201)
}

fn at(series: &Answer) -> String {
    format!("/run-series/{}", series.id())
}

async fn again(person: &Person, series: &Answer) -> Answer {
    person.get(&at(series)).await.expect(200)
}

/// The wall times of the dates to come, as they are.
fn dates(series: &Answer) -> Vec<String> {
    let dates = series.json["dates"].as_array().unwrap();
    dates.iter().map(|date| date["local_start"].as_str().unwrap().to_owned()).collect()
}

fn run_on(series: &Answer, day: &str) -> String {
    let dates = series.json["dates"].as_array().unwrap();
    let found = dates.iter().find(|date| date["series_date"].as_str().is_some_and(|date| date.starts_with(day)));
    found.unwrap_or_else(|| panic!("no {day} in {}", series.text))["run_id"].as_str().unwrap().to_owned()
}

async fn patch(by: &Person, series: &Answer, query: &str, change: Value) -> Answer {
    let version = by.get(&at(series)).await.expect(200).header("etag").to_owned();
    by.patch(&format!("{}{query}", at(series)), Some(&version), change).await
}

async fn regular(person: &Person, series: &Answer) {
    person.post(&format!("{}/regulars", at(series)), json!({})).await.expect(201);
}

async fn my_seats(person: &Person) -> Vec<(String, String, String)> {
    let items = person.get("/me/signups?limit=100").await.expect(200).items();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items.iter().map(|item| (text(&item["run"]["local_start"]), text(&item["status"]), text(&item["id"]))).collect()
}

async fn with_status(person: &Person, status: &str) -> usize {
    my_seats(person).await.iter().filter(|seat| seat.1 == status).count()
}

const TUESDAYS: [&str; 7] = [
    "2026-12-01T18:30:00",
    "2026-12-08T18:30:00",
    "2026-12-15T18:30:00",
    "2026-12-22T18:30:00",
    "2026-12-29T18:30:00",
    "2027-01-05T18:30:00",
    "2027-01-12T18:30:00",
];

#[apply(database_test!)]
async fn a_series_is_posted_and_its_dates_are_made_eight_weeks_ahead(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    assert_eq!(dates(&series), TUESDAYS);
    assert_eq!((series.str("time_zone"), series.str("status")), ("Europe/London".into(), "active".into()));
    assert_eq!(series.json["next_to_make"], "2027-01-19T18:30:00Z");
    let run = town.nobody().get(&format!("/runs/{}", run_on(&series, "2026-12-08"))).await.expect(200);
    assert_eq!((&run.json["series_id"], &run.json["newcomer_places"]), (&json!(series.id()), &json!(2)));
    assert_eq!(run.json["facilitators"][0]["display_name"], "Fay");
    town.minutes_pass(1);
    let small = post(&town, &fay, |body| body["run"]["capacity"] = json!(1)).await;
    let one = fay.get(&format!("/runs/{}", run_on(&small, "2026-12-01"))).await.expect(200);
    assert_eq!(one.json["newcomer_places"], 1, "no more than there are places");
    assert_eq!(fay.get("/run-series").await.expect(200).item_ids(), [small.id(), series.id()]);
    assert_eq!(town.person("Sam").await.get("/run-series").await.expect(200).items().len(), 0);
    for (rule, first, expected) in [
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "2026-12-01T18:30:00", 4),
        ("FREQ=MONTHLY;BYDAY=1SA", "2026-12-05T09:00:00", 2),
        ("FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=-1", "2026-12-27T09:00:00", 1),
        ("FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3", "2026-12-01T18:30:00", 3),
        ("FREQ=WEEKLY;UNTIL=20261208", "2026-12-01T18:30:00", 2),
    ] {
        let series = post(&town, &fay, |body| {
            body["rrule"] = json!(rule);
            body["first_local_start"] = json!(first);
        });
        assert_eq!(dates(&series.await).len(), expected, "{rule}");
    }
}

#[apply(database_test!)]
async fn the_worker_makes_later_dates_and_none_twice(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    assert_eq!(town.work().await, 0, "all is made");
    town.set_clock("2026-12-01T18:31:00Z");
    town.work().await;
    let later = again(&fay, &series).await;
    assert_eq!(dates(&later).first().unwrap(), "2026-12-08T18:30:00");
    assert_eq!(dates(&later).last().unwrap(), "2027-01-26T18:30:00");
    town.work().await;
    assert_eq!(town.rows("runs"), 9);
}

#[apply(database_test!)]
async fn the_wall_time_stays_across_the_clock_change(town: Town) {
    town.set_clock("2027-03-01T10:00:00Z");
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |body| {
        body["first_local_start"] = json!("2027-03-21T01:30:00");
        body["rrule"] = json!("FREQ=WEEKLY;BYDAY=SU;COUNT=3");
    });
    let series = series.await;
    let starts: Vec<&str> =
        series.json["dates"].as_array().unwrap().iter().map(|date| date["starts_at"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2027-03-21T01:30:00Z", "2027-03-28T01:30:00Z", "2027-04-04T00:30:00Z"]);
    assert_eq!(dates(&series)[1], "2027-03-28T02:30:00", "half past one is not there that night");
}

#[apply(database_test!)]
async fn bad_series_are_refused_with_all_faults_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let refused = async |change: &(dyn Fn(&mut Value) + Sync), wanted: &[&str]| {
        let mut body = body(&town);
        change(&mut body);
        fay.post("/run-series", body).await.faulty(wanted);
    };
    for rule in ["FREQ=SECONDLY", "FREQ=HOURLY;INTERVAL=2", "FREQ=WEEKLY;BYHOUR=9,18"] {
        refused(&|body| body["rrule"] = json!(rule), &["/rrule too_often"]).await;
    }
    for (rule, code) in [
        ("FREQ=WEEKLY;COUNT=0", "yields_nothing"),
        ("FREQ=WEEKLY;UNTIL=20200101", "yields_nothing"),
        ("every tuesday", "unreadable"),
        ("FREQ=DAILY", "unsupported"),
        ("FREQ=MONTHLY;BYMONTHDAY=31", "unsupported"),
    ] {
        refused(&|body| body["rrule"] = json!(rule), &[&format!("/rrule {code}")]).await;
    }
    refused(&|body| body["rrule"] = json!("X".repeat(301)), &["/rrule too_long"]).await;
    refused(&|body| body["time_zone"] = json!("Mars/Olympus"), &["/time_zone unknown_time_zone"]).await;
    refused(&|body| body["time_zone"] = json!("Europe/Berlin"), &["/time_zone not_the_time_there"]).await;
    refused(
        &|body| {
            body["first_local_start"] = json!("2026-12-02T18:30:00");
            body["run"]["title"] = json!("  ");
        },
        &["/first_local_start not_a_date_of_the_rule", "/run/title empty"],
    )
    .await;
    refused(&|body| body["first_local_start"] = json!("2026-11-17T18:30:00"), &["/first_local_start in_the_past"])
        .await;
    refused(&|body| body["first_local_start"] = json!("18:30"), &["/first_local_start bad_format"]).await;
    refused(&|body| body["first_local_start"] = json!("2026-02-31T18:30:00"), &["/first_local_start no_such_time"])
        .await;
    refused(&|body| body["run"]["starts_at"] = json!("2026-12-01T18:30:00Z"), &["/run/starts_at unknown_field"]).await;
    refused(&|body| body["run"]["capacity"] = json!(0), &["/run/capacity too_small"]).await;
    fay.post("/run-series", json!({})).await.faulty(&[
        "/run required",
        "/first_local_start required",
        "/rrule required",
    ]);
    town.person("Sam").await.post("/run-series", body(&town)).await.refused(403, "facilitators_only");
    assert_eq!(town.rows("run_series"), 0);
}

#[apply(database_test!)]
async fn a_draft_is_its_facilitators_alone_and_has_no_dates_until_it_is_published(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |body| body["run"]["draft"] = json!(true)).await;
    assert_eq!((series.str("status"), dates(&series).len()), ("draft".into(), 0));
    town.work().await;
    let sam = town.person("Sam").await;
    sam.get(&at(&series)).await.refused(404, "not_found");
    town.nobody().get(&at(&series)).await.refused(404, "not_found");
    sam.post(&format!("{}/regulars", at(&series)), json!({})).await.refused(404, "not_found");
    patch(&fay, &series, "", json!({ "run": { "draft": false } })).await.expect(200);
    town.work().await;
    assert_eq!(dates(&again(&sam, &series).await).len(), 7);
    patch(&fay, &series, "", json!({ "run": { "draft": true } })).await.faulty(&["/run/draft already_published"]);
}

#[apply(database_test!)]
async fn a_hidden_meeting_point_and_the_number_for_the_day_stay_hidden_in_the_series(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |body| {
        body["run"]["join_policy"] = json!("approval");
        body["run"]["day_contact"] = json!("+44 20 7946 0000");
    });
    let series = series.await;
    assert_eq!(series.json["run"]["meeting_point"]["name"], "The Diana fountain");
    for shown in [town.nobody().get(&at(&series)).await, town.person("Sam").await.get(&at(&series)).await] {
        let shown = shown.expect(200);
        assert!(!shown.text.contains("Diana") && !shown.text.contains("51.410992"), "{}", shown.text);
        assert!(!shown.text.contains("7946") && !shown.text.contains("north side"), "{}", shown.text);
        assert!(shown.json.get("regulars").is_none(), "who comes is for those who lead: {}", shown.text);
    }
}

#[apply(database_test!)]
async fn a_regular_comes_to_every_date_and_gets_one_mail(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    ana.post(&format!("{}/regulars", at(&series)), json!({})).await.expect(200);
    assert_eq!(with_status(&ana, "confirmed").await, 7);
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.subject, "You come to every date");
    assert_eq!(letter.text.matches("/e/not-today/").count(), 7, "{}", letter.text);
    assert!(again(&ana, &series).await.json["you_are_regular"].as_bool().unwrap());
    assert_eq!(again(&fay, &series).await.json["regulars"][0]["display_name"], "Ana");
    assert_eq!(ana.get("/run-series").await.expect(200).item_ids(), [series.id()]);
    town.set_clock("2026-11-25T18:31:00Z");
    assert_eq!(town.mail_to(&ana.email).await.len(), 0, "a later date comes without a mail");
    assert_eq!(with_status(&ana, "confirmed").await, 8);
    fay.post(&format!("{}/regulars", at(&series)), json!({})).await.refused(409, "you_lead_this_run");
}

#[apply(database_test!)]
async fn a_regular_who_says_no_to_one_date_keeps_the_others(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    let letter = town.one_mail_to(&ana.email).await;
    town.nobody().press(&letter.link("not-today"), &[]).await.expect(200);
    assert_eq!((with_status(&ana, "confirmed").await, with_status(&ana, "withdrawn").await), (6, 1));
    town.set_clock("2026-11-25T18:31:00Z");
    town.work().await;
    assert_eq!((with_status(&ana, "confirmed").await, with_status(&ana, "withdrawn").await), (7, 1));
}

#[apply(database_test!)]
async fn whoever_stops_gives_the_places_on_dates_to_come_back(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    ana.joins(&run_on(&series, "2026-12-01"), "confirmed").await;
    regular(&ana, &series).await;
    let stop = format!("{}/regulars", at(&series));
    ana.delete(&stop).await.expect(204);
    ana.delete(&stop).await.expect(204);
    let seats = my_seats(&ana).await;
    let kept: Vec<&str> = seats.iter().filter(|seat| seat.1 == "confirmed").map(|seat| seat.0.as_str()).collect();
    assert_eq!(kept, ["2026-12-01T18:30:00"], "what she signed up for by herself stays hers");
    assert_eq!(with_status(&ana, "withdrawn").await, 6);
    town.set_clock("2026-11-25T18:31:00Z");
    town.leave_mail();
    town.work().await;
    assert_eq!(my_seats(&ana).await.len(), 7, "no later date");
}

#[apply(database_test!)]
async fn where_a_yes_is_needed_one_yes_makes_a_regular_possible(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |body| body["run"]["join_policy"] = json!("approval")).await;
    let ana = town.person("Ana").await;
    let become_one = format!("{}/regulars", at(&series));
    ana.post(&become_one, json!({})).await.refused(409, "regulars_know_the_group");
    let asked = ana.joins(&run_on(&series, "2026-12-01"), "requested").await;
    ana.post(&become_one, json!({})).await.refused(409, "regulars_know_the_group");
    fay.post(&format!("/signups/{asked}/approve"), json!({})).await.expect(200);
    ana.post(&become_one, json!({})).await.expect(201);
    assert_eq!(with_status(&ana, "confirmed").await, 7);
}

#[apply(database_test!)]
async fn a_regular_waits_where_a_date_is_full_or_they_are_elsewhere(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let gil = town.facilitator("Gil").await;
    let series = post(&town, &fay, |body| body["run"]["capacity"] = json!(1)).await;
    let other = town.run(&gil, |run| run["starts_at"] = json!("2026-12-08T18:00:00Z")).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    ben.joins(&run_on(&series, "2026-12-01"), "confirmed").await;
    ana.joins(&other.id, "confirmed").await;
    regular(&ana, &series).await;
    let seats = my_seats(&ana).await;
    let on = |day: &str| seats.iter().find(|seat| seat.0 == format!("{day}T18:30:00")).unwrap().1.clone();
    assert_eq!(
        (on("2026-12-01"), on("2026-12-08"), on("2026-12-15")),
        ("waitlisted".into(), "offered".into(), "confirmed".into())
    );
}

#[apply(database_test!)]
async fn whoever_is_barred_cannot_become_a_regular_and_a_banned_one_is_not_seated(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let (ana, ben, admin) = (town.person("Ana").await, town.person("Ben").await, town.admin().await);
    let bar = json!({ "account_id": ben.id, "until": "2027-03-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    fay.post("/me/bars", bar).await.expect(201);
    ben.post(&format!("{}/regulars", at(&series)), json!({})).await.refused(409, "run_not_open_to_you");
    regular(&ana, &series).await;
    let ban = json!({ "account_id": ana.id, "kind": "suspension", "rule": "r", "statement": "s", "expires_at": "2027-03-30T00:00:00Z" });
    admin.post("/moderation/sanctions", ban).await.expect(201);
    town.set_clock("2026-11-25T18:31:00Z");
    town.work().await;
    let held = town.rows("signups WHERE status IN ('confirmed', 'offered', 'waitlisted', 'requested')");
    assert_eq!(held, 0);
}

/// The two latest dates are over, and Ana's place on them became this.
async fn held(town: &Town, series: &Answer, what: [&str; 2]) {
    for (day, status) in ["2026-12-01", "2026-12-08"].iter().zip(what) {
        let run = run_on(series, day);
        let id = if town.kind() == crate::support::databases::Kind::Sqlite {
            format!("x'{}'", run.replace('-', ""))
        } else {
            format!("'{run}'")
        };
        town.execute(&format!(
            "UPDATE runs SET status = 'completed' WHERE id = {id}; UPDATE signups SET status = '{status}' WHERE run_id = {id}"
        ))
        .unwrap();
    }
    town.set_clock("2026-12-09T10:00:00Z");
}

#[apply(database_test!)]
async fn nobody_is_seated_unasked_after_a_dates_list_is_closed(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let series = post(&town, &fay, |_| {}).await;
    town.set_clock("2026-12-01T17:29:00Z");
    regular(&ana, &series).await;
    assert_eq!(my_seats(&ana).await.len(), TUESDAYS.len(), "there is a minute in which both can be asked");
    town.set_clock("2026-12-01T17:30:00Z");
    regular(&ben, &series).await;
    let days: Vec<String> = my_seats(&ben).await.into_iter().map(|seat| seat.0).collect();
    assert_eq!(days.len(), TUESDAYS.len() - 1);
    assert!(!days.contains(&TUESDAYS[0].to_owned()), "{days:?}");
    town.work().await;
    town.leave_mail();
}

#[apply(database_test!)]
async fn two_silent_absences_running_end_it_kindly(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    town.post_office().await;
    held(&town, &series, ["no_show", "attended"]).await;
    town.work().await;
    assert!(again(&ana, &series).await.json["you_are_regular"].as_bool().unwrap(), "once is not twice");
    held(&town, &series, ["no_show", "no_show"]).await;
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.subject, "Your places on later dates");
    assert!(!again(&ana, &series).await.json["you_are_regular"].as_bool().unwrap());
    assert_eq!((with_status(&ana, "confirmed").await, with_status(&ana, "no_show").await), (0, 2));
    assert_eq!(town.mail_to(&ana.email).await.len(), 0, "told once");
    regular(&ana, &series).await;
    town.work().await;
    assert!(again(&ana, &series).await.json["you_are_regular"].as_bool().unwrap(), "a fresh start");
}

#[apply(database_test!)]
async fn an_edit_reaches_all_dates_but_what_one_keeps_and_each_person_gets_one_mail(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    regular(&ana, &series).await;
    ben.joins(&run_on(&series, "2026-12-15"), "confirmed").await;
    let special = run_on(&series, "2026-12-08");
    let seen = fay.get(&format!("/runs/{special}")).await.expect(200);
    let change = json!({ "title": "With cake", "capacity": 5 });
    fay.patch(&format!("/runs/{special}"), Some(seen.header("etag")), change).await.expect(200);
    town.post_office().await;
    let edit = json!({ "run": { "title": "Round the lakes", "distance_km": 6.0 }, "first_local_start": "2026-12-01T19:15:00" });
    let edited = patch(&fay, &series, "", edit).await.expect(200);
    assert!(dates(&edited).iter().all(|date| date.ends_with("T19:15:00")), "{:?}", dates(&edited));
    let one = fay.get(&format!("/runs/{special}")).await.expect(200);
    assert_eq!((&one.json["title"], &one.json["capacity"]), (&json!("With cake"), &json!(5)));
    assert_eq!(one.json["distance_km"], 6.0, "what it does not keep follows");
    let kept = edited.json["dates"].as_array().unwrap().iter().find(|date| date["run_id"] == special.as_str()).unwrap();
    assert_eq!(kept["kept"], json!(["capacity", "title"]));
    let letters = town.post_office().await;
    let to = |person: &Person| letters.iter().filter(|letter| letter.to == person.email).collect::<Vec<_>>();
    assert_eq!((to(&ana).len(), to(&ben).len()), (1, 1));
    let letter = to(&ana)[0];
    assert_eq!(letter.subject, "A change to several dates");
    assert_eq!(letter.text.matches("/e/still-coming/").count(), 7, "45 minutes are asked about:\n{}", letter.text);
    assert!(to(&ben)[0].text.contains("19:15"));
    assert_eq!(with_status(&ana, "confirmed").await, 7, "nobody lost a place");
    let again = patch(&fay, &series, "", json!({ "run": { "description": "Words." } })).await.expect(200);
    assert_eq!(dates(&again).len(), 7);
    assert_eq!(town.post_office().await.len(), 0, "words alone are no news");
}

#[apply(database_test!)]
async fn a_skipped_date_stays_skipped_and_a_moved_one_stays_moved(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    let (skipped, moved) = (run_on(&series, "2026-12-22"), run_on(&series, "2026-12-29"));
    fay.post(&format!("/runs/{skipped}/cancel"), json!({ "reason_code": "other" })).await.expect(200);
    let seen = fay.get(&format!("/runs/{moved}")).await.expect(200);
    let to = json!({ "starts_at": "2026-12-30T12:00:00Z" });
    fay.patch(&format!("/runs/{moved}"), Some(seen.header("etag")), to).await.expect(200);
    town.work().await;
    patch(&fay, &series, "", json!({ "first_local_start": "2026-12-01T19:00:00" })).await.expect(200);
    town.work().await;
    let now = again(&fay, &series).await;
    assert_eq!(dates(&now).len(), 7);
    let date = |run: &str| now.json["dates"].as_array().unwrap().iter().find(|d| d["run_id"] == run).unwrap().clone();
    assert_eq!(
        (&date(&skipped)["status"], &date(&skipped)["series_date"]),
        (&json!("cancelled"), &json!("2026-12-22T19:00:00"))
    );
    assert_eq!(date(&moved)["local_start"], "2026-12-30T12:00:00");
    assert_eq!(date(&moved)["kept"], json!(["starts_at"]));
}

#[apply(database_test!)]
async fn this_and_following_goes_on_as_a_new_series_with_the_same_people(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |body| body["rrule"] = json!("FREQ=WEEKLY;BYDAY=TU;COUNT=9")).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    town.post_office().await;
    let from = run_on(&series, "2026-12-15");
    let change = json!({ "first_local_start": "2026-12-15T18:00:00", "run": { "title": "Earlier" } });
    let new = patch(&fay, &series, &format!("?from={from}"), change).await.expect(200);
    assert_ne!(new.id(), series.id());
    assert_eq!(new.str("rrule"), "FREQ=WEEKLY;BYDAY=TU;COUNT=7");
    assert_eq!(
        dates(&new),
        [
            "2026-12-15T18:00:00",
            "2026-12-22T18:00:00",
            "2026-12-29T18:00:00",
            "2027-01-05T18:00:00",
            "2027-01-12T18:00:00"
        ]
    );
    assert_eq!(run_on(&new, "2026-12-15"), from, "the same run with the same people");
    let old = again(&fay, &series).await;
    assert_eq!(dates(&old), ["2026-12-01T18:30:00", "2026-12-08T18:30:00"]);
    assert_eq!(with_status(&ana, "confirmed").await, 7);
    assert_eq!(town.mail_to(&ana.email).await.len(), 1);
    assert!(again(&ana, &new).await.json["you_are_regular"].as_bool().unwrap());
    town.set_clock("2026-11-25T18:31:00Z");
    town.work().await;
    assert_eq!(dates(&again(&fay, &new).await).len(), 6, "the new one goes on");
    assert_eq!(dates(&again(&fay, &old).await).len(), 2, "the old one does not");
    assert_eq!(with_status(&ana, "confirmed").await, 8);
    // The first date of all and those that follow is the whole series.
    let first = format!("?from={}", run_on(&old, "2026-12-01"));
    let whole = patch(&fay, &old, &first, json!({ "run": { "capacity": 11 } })).await.expect(200);
    assert_eq!(whole.id(), old.id());
    let gil = town.facilitator("Gil").await;
    let foreign = town.run(&gil, |_| {}).await;
    patch(&fay, &old, &format!("?from={}", foreign.id), json!({})).await.refused(404, "not_found");
    patch(&fay, &old, "?from=tuesday", json!({})).await.faulty(&["?from bad_format"]);
}

#[apply(database_test!)]
async fn a_rule_with_another_weekday_moves_the_dates_and_asks_for_a_fresh_yes(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    town.post_office().await;
    let moved = patch(&fay, &series, "", json!({ "rrule": "FREQ=WEEKLY;BYDAY=WE" })).await.expect(200);
    assert_eq!(moved.str("first_local_start"), "2026-12-02T18:30:00");
    assert_eq!(dates(&moved).first().unwrap(), "2026-12-02T18:30:00");
    assert_eq!(run_on(&moved, "2026-12-02"), run_on(&series, "2026-12-01"));
    assert_eq!(with_status(&ana, "confirmed").await, 7);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("please say by"), "{}", letter.text);
    town.nobody().press(&letter.link("still-coming"), &[]).await.expect(200);
    let asked = ana.get("/me/signups?limit=100").await.expect(200).items();
    let waiting = asked.iter().filter(|item| item["reconfirm_by"].is_string()).count();
    assert_eq!(waiting, 6, "one yes was said");
    town.work().await;
    assert_eq!(dates(&again(&fay, &series).await).len(), 7, "no date stands there twice");
}

#[apply(database_test!)]
async fn a_date_that_the_rule_drops_goes_on_while_somebody_is_on_it(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |body| body["rrule"] = json!("FREQ=WEEKLY;BYDAY=TU,FR")).await;
    let ana = town.person("Ana").await;
    let friday = run_on(&series, "2026-12-11");
    let seat = ana.joins(&friday, "confirmed").await;
    let fewer = patch(&fay, &series, "", json!({ "rrule": "FREQ=WEEKLY;BYDAY=TU" })).await.expect(200);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    let expected: Vec<&str> = [&TUESDAYS[..2], &["2026-12-11T18:30:00"], &TUESDAYS[2..]].concat();
    assert_eq!(dates(&fewer), expected);
    town.work().await;
    assert_eq!(dates(&again(&fay, &series).await), expected);
    let back = patch(&fay, &series, "", json!({ "rrule": "FREQ=WEEKLY;BYDAY=TU,FR" })).await.expect(200);
    town.work().await;
    let on = |series: &Answer, day: &str| dates(series).iter().filter(|date| date.starts_with(day)).count();
    let now = again(&fay, &series).await;
    assert_eq!((on(&back, "2026-12-04"), on(&now, "2026-12-04")), (0, 1), "a date that comes back is made anew");
    assert_eq!((on(&now, "2026-12-11"), run_on(&now, "2026-12-11")), (1, friday), "and one that went on is that date");
}

#[apply(database_test!)]
async fn an_edit_needs_the_version_that_was_seen(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let change = json!({ "run": { "title": "Other" } });
    fay.patch(&at(&series), None, change.clone()).await.refused(428, "version_missing");
    fay.patch(&at(&series), Some("\"9\""), change.clone()).await.refused(412, "version_stale");
    let first = fay.patch(&at(&series), Some(series.header("etag")), change.clone()).await.expect(200);
    fay.patch(&at(&series), Some(series.header("etag")), change).await.refused(412, "version_stale");
    let bad = json!({ "rrule": "FREQ=HOURLY", "run": { "capacity": 0 }, "colour": "red" });
    let answer = fay.patch(&at(&series), Some(first.header("etag")), bad).await;
    answer.faulty(&["/run/capacity too_small", "/colour unknown_field"]);
    let answer = fay.patch(&at(&series), Some(first.header("etag")), json!({ "rrule": "FREQ=HOURLY" })).await;
    answer.faulty(&["/rrule too_often"]);
    assert_eq!(again(&fay, &series).await.json["run"]["title"], "Other");
}

#[apply(database_test!)]
async fn ending_calls_the_dates_off_with_one_mail_each(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    regular(&ana, &series).await;
    ben.joins(&run_on(&series, "2026-12-15"), "confirmed").await;
    town.post_office().await;
    let end = format!("{}/end", at(&series));
    fay.post(&end, json!({})).await.faulty(&["/reason_code required"]);
    let gil = town.facilitator("Gil").await;
    let led_along = format!("/runs/{}/facilitators", run_on(&series, "2026-12-08"));
    fay.post(&led_along, json!({ "account_id": gil.id })).await.expect(201);
    gil.post(&led_along, json!({ "account_id": gil.id })).await.expect(200);
    town.post_office().await;
    let ended = fay.post(&end, json!({ "reason_code": "place", "message": "The park closes." })).await.expect(200);
    assert_eq!(ended.str("status"), "ended");
    fay.post(&end, json!({ "reason_code": "place" })).await.expect(200);
    let letters = town.post_office().await;
    let mut to: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, [ana.email.as_str(), ben.email.as_str(), gil.email.as_str()]);
    for letter in &letters {
        assert!(letter.text.contains("The park closes."), "{}", letter.text);
        assert_eq!(letter.subject, "Later dates are off");
    }
    let his = letters.iter().find(|letter| letter.to == gil.email).unwrap();
    assert_eq!(his.text.matches("December").count(), 1, "the one that he leads along: {}", his.text);
    assert_eq!(town.rows("runs WHERE status = 'cancelled'"), 7);
    town.set_clock("2026-12-09T10:00:00Z");
    town.work().await;
    assert_eq!(town.rows("runs"), 7, "no later date is made");
    ana.post(&format!("{}/regulars", at(&series)), json!({})).await.refused(409, "series_ended");
    patch(&fay, &series, "", json!({ "run": { "title": "x" } })).await.refused(409, "series_ended");
}

#[apply(database_test!)]
async fn ending_from_a_date_keeps_the_dates_before_it(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let body = json!({ "reason_code": "other", "from": run_on(&series, "2026-12-15") });
    fay.post(&format!("{}/end", at(&series)), body).await.expect(200);
    town.set_clock("2026-11-25T18:31:00Z");
    town.work().await;
    assert_eq!(town.rows("runs WHERE status = 'published'"), 2);
    assert_eq!(town.rows("runs"), 7);
}

#[apply(database_test!)]
async fn other_facilitators_find_no_inside(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let series = post(&town, &fay, |_| {}).await;
    let end = json!({ "reason_code": "other" });
    gil.patch(&at(&series), Some("*"), json!({ "run": { "title": "x" } })).await.refused(404, "not_found");
    gil.post(&format!("{}/end", at(&series)), end).await.refused(404, "not_found");
    gil.get("/run-series/00000000-0000-4000-8000-000000000000").await.refused(404, "not_found");
    gil.get(&at(&series)).await.expect(200);
}

#[apply(database_test!)]
async fn a_date_made_while_nobody_may_lead_comes_up_paused_and_regulars_follow_when_it_goes_on(town: Town) {
    town.leave_mail();
    let (fay, gil, admin) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.admin().await);
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    let body = json!({ "account_id": fay.id, "kind": "suspension", "scope": "facilitating", "rule": "r", "statement": "s",
        "expires_at": "2027-03-30T00:00:00Z" });
    admin.post("/moderation/sanctions", body).await.expect(201);
    town.set_clock("2026-11-25T18:31:00Z");
    town.work().await;
    let made = run_on(&again(&ana, &series).await, "2027-01-19");
    let run = ana.get(&format!("/runs/{made}")).await.expect(200);
    assert_eq!((&run.json["status"], run.json["facilitators"].as_array().unwrap().len()), (&json!("paused"), 0));
    assert_eq!(with_status(&ana, "confirmed").await, 7, "nobody new gets in");
    gil.post(&format!("/runs/{made}/take-over"), json!({})).await.expect(200);
    town.work().await;
    assert_eq!(with_status(&ana, "confirmed").await, 8);
}

#[apply(database_test!)]
async fn a_date_goes_on_when_its_leader_may_lead_again_and_calls_for_others_until_then(town: Town) {
    let (fay, gil, admin) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.admin().await);
    let near = json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 }, "travel_radius_km": 10.0 });
    gil.put("/me/running-profile", near).await.expect(200);
    let series = post(&town, &fay, |_| {}).await;
    let body = json!({ "account_id": fay.id, "kind": "suspension", "scope": "facilitating", "rule": "r", "statement": "s",
        "expires_at": "2026-11-27T00:00:00Z" });
    admin.post("/moderation/sanctions", body).await.expect(201);
    town.post_office().await;
    town.set_clock("2026-11-25T18:31:00Z");
    let letters = town.post_office().await;
    let made = run_on(&again(&gil, &series).await, "2027-01-19");
    let calls = letters.iter().filter(|letter| letter.to == gil.email && letter.text.contains(&made)).count();
    assert_eq!(calls, 1);
    let status = async || town.nobody().get(&format!("/runs/{made}")).await.expect(200).json["status"].clone();
    assert_eq!(status().await, "paused");
    town.set_clock("2026-11-27T00:00:01Z");
    town.post_office().await;
    assert_eq!(status().await, "published");
}

#[apply(database_test!)]
async fn a_regular_is_not_seated_unasked_on_a_date_that_needs_a_yes(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let run = run_on(&series, "2026-12-08");
    let etag = fay.get(&format!("/runs/{run}")).await.expect(200).header("etag").to_owned();
    let change = json!({ "join_policy": "approval" });
    fay.patch(&format!("/runs/{run}"), Some(&etag), change).await.expect(200);
    let ana = town.person("Ana").await;
    // A place that she took herself is no yes of anybody's.
    ana.joins(&run_on(&series, "2026-12-01"), "confirmed").await;
    regular(&ana, &series).await;
    assert_eq!(with_status(&ana, "confirmed").await, 6);
    let seen = ana.get(&format!("/runs/{run}")).await.expect(200);
    assert!(seen.json.get("meeting_point").is_none(), "{}", seen.text);
    ana.joins(&run, "requested").await;
}

#[apply(database_test!)]
async fn a_day_has_one_date_whatever_its_hour_was(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    town.set_clock("2026-12-01T18:45:00Z");
    let change = json!({ "first_local_start": "2026-12-01T20:00:00" });
    patch(&fay, &series, "", change).await.expect(200);
    town.work().await;
    let on_the_first = town.rows("runs WHERE starts_at >= '2026-12-01' AND starts_at < '2026-12-02'");
    assert_eq!(on_the_first, 1, "it has been run");
    assert_eq!(dates(&again(&fay, &series).await)[0], "2026-12-08T20:00:00");
}

#[apply(database_test!)]
async fn whoever_stops_stops_in_what_the_series_became_as_well(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let ana = town.person("Ana").await;
    regular(&ana, &series).await;
    let from = run_on(&series, "2026-12-15");
    let change = json!({ "run": { "title": "Another" } });
    patch(&fay, &series, &format!("?from={from}"), change).await.expect(200);
    assert_eq!(with_status(&ana, "confirmed").await, 7);
    ana.delete(&format!("{}/regulars", at(&series))).await.expect(204);
    assert_eq!(with_status(&ana, "confirmed").await, 0);
    town.set_clock("2026-12-02T10:00:00Z");
    town.work().await;
    assert_eq!(with_status(&ana, "confirmed").await, 0);
}

#[apply(database_test!)]
async fn a_series_cannot_begin_before_our_time(town: Town) {
    let fay = town.facilitator("Fay").await;
    let series = post(&town, &fay, |_| {}).await;
    let change = json!({ "first_local_start": "0001-01-02T18:30:00" });
    patch(&fay, &series, "", change).await.faulty(&["/first_local_start too_long_ago"]);
}

#[apply(database_test!)]
async fn two_workers_at_once_make_each_date_once(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let people = town.people("Pat", 3).await;
    for number in 0..12 {
        let series = post(&town, &fay, |body| body["run"]["title"] = json!(format!("Number {number}"))).await;
        if let Some(person) = people.get(number) {
            regular(person, &series).await;
        }
    }
    town.set_clock("2026-11-30T10:00:00Z");
    let other = town.with(&[]);
    let (one, two, three) = tokio::join!(town.work(), other.work(), town.work());
    assert!(one + two + three > 0);
    town.work().await;
    assert_eq!(town.rows("runs"), 12 * 8);
    assert_eq!(town.rows("signups WHERE status = 'confirmed'"), 3 * 8);
}
