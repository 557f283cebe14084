//! After a run: one to three taps, a suggestion, a report where it is wished, and somebody who gets in touch.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Letter, Person, Run, Town},
    support::{database_test::database_test, databases::Kind},
};

/// The middle of the day on which the run of [`Town::run_body`] ends at ten.
const AFTER: &str = "2026-11-26T12:30:00Z";

async fn run_with(town: &Town, people: &[&Person]) -> Run {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    for person in people {
        person.joins(&run.id, "confirmed").await;
    }
    run
}

/// A run that is over, its first mails out of the way.
async fn past_run(town: &Town, people: &[&Person]) -> Run {
    let run = run_with(town, people).await;
    town.set_clock(AFTER);
    town.work().await;
    town.inbox().empty();
    run
}

async fn say(person: &Person, run: &Run, body: Value) -> Value {
    person.post(&run.at("/after-run"), body).await.expect(200).json
}

#[apply(database_test!)]
async fn a_run_can_be_spoken_about_from_its_planned_end_for_two_weeks(town: Town) {
    town.leave_mail();
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = run_with(&town, &[&ana, &ben]).await;
    let body = json!({ "pace": "right" });
    town.set_clock("2026-11-26T09:59:59Z");
    ana.post(&run.at("/after-run"), body.clone()).await.refused(409, "after_run_not_yet");
    town.set_clock("2026-11-26T10:00:00Z");
    let said = say(&ana, &run, body.clone()).await;
    assert_eq!((&said["pace"], &said["answer_until"]), (&json!("right"), &json!("2026-12-10T10:00:00Z")));
    assert!(!said["help_lines"].as_array().unwrap().is_empty());
    town.set_clock("2026-12-10T09:59:59Z");
    say(&ana, &run, json!({ "pace": "too_slow" })).await;
    town.set_clock("2026-12-10T10:00:00Z");
    ana.post(&run.at("/after-run"), body).await.refused(409, "after_run_over");
}

#[apply(database_test!)]
async fn only_those_who_were_on_it_speak_about_a_run(town: Town) {
    town.leave_mail();
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    let run = run_with(&town, &[&ana, &ben]).await;
    let left = cem.joins(&run.id, "confirmed").await;
    cem.withdraws(&left).await;
    let gil = town.facilitator("Gil").await;
    let off = town.run(&gil, |_| {}).await;
    let dee = town.person("Dee").await;
    dee.joins(&off.id, "confirmed").await;
    gil.post(&off.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    town.set_clock(AFTER);
    let body = json!({ "pace": "right" });
    for stranger in [&cem, &dee, &gil] {
        stranger.post(&run.at("/after-run"), body.clone()).await.refused(404, "not_found");
    }
    town.nobody().post(&run.at("/after-run"), body.clone()).await.refused(401, "not_logged_in");
    dee.post(&off.at("/after-run"), body.clone()).await.refused(409, "run_cancelled");
    let unknown = "/runs/0193a8f0-0000-7000-8000-000000000000/after-run";
    ana.post(unknown, json!({ "colour": 1 })).await.refused(404, "not_found");
    assert_eq!(town.rows("after_runs"), 0);
}

#[apply(database_test!)]
async fn each_part_is_optional_and_may_be_changed(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = past_run(&town, &[&ana, &ben]).await;
    let nothing = say(&ana, &run, json!({})).await;
    assert_eq!((&nothing["pace"], &nothing["felt_safe"], &nothing["care"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(town.rows("after_runs"), 0, "who says nothing leaves nothing");
    assert_eq!(say(&ana, &run, json!({ "felt_safe": true })).await["pace"], Value::Null);
    let both = say(&ana, &run, json!({ "pace": "too_slow" })).await;
    assert_eq!((&both["pace"], &both["felt_safe"]), (&json!("too_slow"), &json!(true)));
    let changed = say(&ana, &run, json!({ "pace": "right", "felt_safe": false })).await;
    assert_eq!((&changed["pace"], &changed["felt_safe"]), (&json!("right"), &json!(false)));
    assert_eq!((town.rows("after_runs"), town.rows("reports")), (1, 0));
    let once = ana.post_once("key", &run.at("/after-run"), json!({ "pace": "too_fast" })).await.expect(200);
    let twice = ana.post_once("key", &run.at("/after-run"), json!({ "pace": "too_fast" })).await.expect(200);
    assert_eq!(once.text, twice.text);
}

#[apply(database_test!)]
async fn what_does_not_fit_together_is_said_at_once(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = past_run(&town, &[&ana, &ben]).await;
    for (body, faults) in [
        (json!({ "report": true }), vec!["/report only_when_unsafe"]),
        (json!({ "felt_safe": true, "report": true, "words": "w" }), vec!["/report only_when_unsafe"]),
        (json!({ "felt_safe": false, "words": "w" }), vec!["/words only_with_report"]),
        (
            json!({ "pace": "slow", "felt_safe": "yes", "stars": 5 }),
            vec!["/pace unknown_value", "/stars unknown_field"],
        ),
        (json!({ "felt_safe": false, "report": true, "words": "x".repeat(5001) }), vec!["/words too_long"]),
    ] {
        ana.post(&run.at("/after-run"), body).await.faulty(&faults);
    }
    assert_eq!((town.rows("after_runs"), town.rows("reports")), (0, 0));
}

fn profile(pace: Value) -> Value {
    json!({ "activities": ["run", "walk"], "comfortable_pace": pace, "home": { "lat": 51.41, "lng": -0.33 } })
}

#[apply(database_test!)]
async fn too_fast_suggests_a_slower_pace_that_is_never_applied_by_itself(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let mine = json!({ "fastest_s_per_km": 370, "slowest_s_per_km": 405 });
    let put = ana.put("/me/running-profile", profile(mine.clone())).await.expect(200);
    assert!(put.json["suggested_pace"].is_null());
    let run = past_run(&town, &[&ana, &ben]).await;
    let slower = json!({ "comfortable_pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 435 } });
    assert_eq!(say(&ana, &run, json!({ "pace": "too_fast" })).await["suggested_pace"], slower);
    let shown = ana.get("/me/running-profile").await.expect(200).json;
    assert_eq!((&shown["suggested_pace"], &shown["comfortable_pace"]), (&slower, &mine));
    // Once it is taken over there is nothing left to suggest.
    let taken = ana.put("/me/running-profile", profile(slower["comfortable_pace"].clone())).await.expect(200);
    assert!(taken.json["suggested_pace"].is_null(), "{}", taken.text);
    assert!(say(&ana, &run, json!({ "pace": "right" })).await["suggested_pace"].is_null());
    // Nobody else hears of it.
    assert!(say(&ben, &run, json!({})).await["suggested_pace"].is_null());
}

#[apply(database_test!)]
async fn whoever_has_no_pace_is_proposed_one_and_walks_apart_from_runs(town: Town) {
    town.leave_mail();
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = run_with(&town, &[&ana, &ben]).await;
    let gil = town.facilitator("Gil").await;
    let walk = town
        .run(&gil, |run| {
            run["activity"] = json!("walk");
            run["pace"] = json!({ "fastest_s_per_km": 700, "slowest_s_per_km": 800 });
            run["starts_at"] = json!("2026-11-26T14:00:00Z");
        })
        .await;
    for person in [&ana, &ben] {
        person.joins(&walk.id, "confirmed").await;
    }
    town.set_clock("2026-11-26T18:00:00Z");
    let band = json!({ "fastest_s_per_km": 370, "slowest_s_per_km": 405 });
    assert_eq!(
        say(&ana, &run, json!({ "pace": "right" })).await["suggested_pace"],
        json!({ "comfortable_pace": band })
    );
    let walking = json!({ "fastest_s_per_km": 665, "slowest_s_per_km": 760 });
    let both = json!({ "comfortable_pace": band, "walking_pace": walking });
    assert_eq!(say(&ana, &walk, json!({ "pace": "too_slow" })).await["suggested_pace"], both);
    ana.get("/me/running-profile").await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn who_did_not_feel_safe_opens_a_report_only_if_they_wish(town: Town) {
    let (ana, ben, mo) = (town.person("Ana").await, town.person("Ben").await, town.moderator("Mo").await);
    let run = past_run(&town, &[&ana, &ben]).await;
    assert!(say(&ana, &run, json!({ "felt_safe": false })).await["report_id"].is_null());
    assert_eq!(town.rows("reports"), 0);
    let words = "Somebody followed me to the station.";
    let said = say(&ana, &run, json!({ "report": true, "words": words })).await;
    let again = say(&ana, &run, json!({ "report": true })).await;
    let same = say(&ana, &run, json!({ "report": true, "words": words })).await;
    assert!(said["report_id"].is_string());
    assert_eq!((&said["report_id"], &said["report_id"]), (&again["report_id"], &same["report_id"]));
    let queue = mo.get("/moderation/reports").await.expect(200).items();
    assert_eq!(queue.len(), 1);
    assert_eq!((&queue[0]["category"], &queue[0]["statement"]), (&json!("safeguarding"), &json!(words)));
    assert_eq!((&queue[0]["about_id"], &queue[0]["reporter_id"]), (&json!(run.id), &json!(ana.id)));
    // Something else is another report, and the facilitators hear of neither.
    say(&ana, &run, json!({ "report": true, "words": "It happened again." })).await;
    assert_eq!(town.rows("reports"), 2);
    let letters = town.post_office().await;
    assert!(letters.iter().all(|letter| letter.to == mo.email), "only the team is told");
}

#[apply(database_test!)]
async fn nobody_is_promised_care_where_nobody_can_give_it(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = past_run(&town, &[&ana, &ben]).await;
    let wish = json!({ "contact_me": true });
    ana.post(&run.at("/after-run"), wish.clone()).await.refused(409, "care_not_offered");
    let caring = town.with(&[("CARE_HOURS", "48")]);
    let there = caring.log_in_again(&ana).await;
    there.post(&run.at("/after-run"), wish.clone()).await.refused(409, "care_not_offered");
    let wes = welfare(&town).await;
    ana.post(&run.at("/after-run"), wish.clone()).await.refused(409, "care_not_offered");
    assert_eq!(say(&there, &run, json!({})).await["care_hours"], 48);
    // Whoever has the duty alone cannot be promised that somebody else gets in touch, nor while they are suspended.
    let mo = town.moderator("Mo").await;
    let body = json!({ "account_id": wes.id, "kind": "hold", "rule": "r", "statement": "s" });
    mo.post("/moderation/sanctions", body).await.expect(201);
    there.post(&run.at("/after-run"), wish).await.refused(409, "care_not_offered");
    assert_eq!(town.rows("care_wishes"), 0);
    town.leave_mail();
}

/// Somebody with welfare duty.
async fn welfare(town: &Town) -> Person {
    let (wes, admin) = (town.person("Wes").await, town.admin().await);
    admin.post(&format!("/accounts/{}/roles", wes.id), json!({ "role": "welfare_moderator" })).await.expect(200);
    wes
}

#[apply(database_test!)]
async fn somebody_gets_in_touch_by_the_time_that_was_said(town: Town) {
    let town = town.with(&[("CARE_HOURS", "36")]);
    let (ana, ben, mo) = (town.person("Ana").await, town.person("Ben").await, town.moderator("Mo").await);
    let wes = welfare(&town).await;
    let run = past_run(&town, &[&ana, &ben]).await;
    let said = say(&ana, &run, json!({ "contact_me": true })).await;
    let by = json!({ "status": "open", "answer_by": "2026-11-28T00:30:00Z" });
    assert_eq!(said["care"], by);
    assert_eq!(say(&ana, &run, json!({ "contact_me": true })).await["care"], by, "one wish");
    let letters = town.post_office().await;
    assert_eq!(letters.iter().map(|letter| &letter.to).collect::<Vec<_>>(), [&wes.email]);
    assert!(!letters[0].raw.contains("Ana") && !letters[0].raw.contains(&ana.email), "{}", letters[0].text);

    assert_eq!(mo.get("/moderation/care").await.expect(200).items().len(), 0);
    ben.get("/moderation/care").await.refused(403, "moderators_only");
    let queue = wes.get("/moderation/care").await.expect(200).items();
    let id = queue[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&queue[0]["display_name"], &queue[0]["email"], &queue[0]["status"]),
        (&json!("Ana"), &Value::Null, &json!("open"))
    );
    mo.post(&format!("/moderation/care/{id}/take"), json!({})).await.refused(404, "not_found");
    for _ in 0..2 {
        let taken = wes.post(&format!("/moderation/care/{id}/take"), json!({})).await.expect(200);
        assert_eq!((&taken.json["email"], &taken.json["taken_by"]), (&json!(ana.email), &json!(wes.id)));
    }
    assert_eq!(say(&ana, &run, json!({})).await["care"]["status"], "taken");
    town.hours_pass(50);
    assert_eq!(town.post_office().await.len(), 0, "what is taken is no longer overdue");
    wes.post(&format!("/moderation/care/{id}/done"), json!({})).await.expect(200);
    wes.post(&format!("/moderation/care/{id}/done"), json!({})).await.refused(409, "care_ended");
    wes.post(&format!("/moderation/care/{id}/take"), json!({})).await.refused(409, "care_ended");
    assert!(say(&ana, &run, json!({})).await["care"].is_null());
    assert_eq!(
        town.texts("SELECT act AS t FROM audit_log WHERE act LIKE 'care%' ORDER BY act"),
        ["care_done", "care_taken"]
    );
}

#[apply(database_test!)]
async fn a_wish_that_nobody_takes_reaches_the_whole_team_and_then_the_person(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let (ana, ben, mo) = (town.person("Ana").await, town.person("Ben").await, town.moderator("Mo").await);
    let wes = welfare(&town).await;
    let run = past_run(&town, &[&ana, &ben]).await;
    say(&ana, &run, json!({ "contact_me": true })).await;
    assert_eq!(town.post_office().await.len(), 1);
    town.minutes_pass(24 * 60 - 1);
    assert_eq!(town.post_office().await.len(), 0);
    town.minutes_pass(1);
    let letters = town.post_office().await;
    assert_eq!(letters.len(), 3, "Mo, Wes and the admin");
    assert!(letters.iter().all(|letter| letter.subject == "Still waiting to hear from us"));
    assert!(letters.iter().any(|letter| letter.to == mo.email) && letters.iter().any(|letter| letter.to == wes.email));
    assert_eq!(town.post_office().await.len(), 0, "once");
    town.hours_pass(24);
    let late = town.one_mail_to(&ana.email).await;
    assert_eq!(late.subject, "You asked us to get in touch");
    assert!(
        late.text.contains("Emergency services: 112 (always)") && late.text.contains("findahelpline.com"),
        "{}",
        late.text
    );
    town.hours_pass(24);
    assert_eq!(town.post_office().await.len(), 0, "once");
    // By now any moderator may take it.
    let id = mo.get("/moderation/care").await.expect(200).item_ids().remove(0);
    mo.post(&format!("/moderation/care/{id}/take"), json!({})).await.expect(200);
    wes.post(&format!("/moderation/care/{id}/take"), json!({})).await.refused(409, "care_taken");
}

#[apply(database_test!)]
async fn a_wish_whose_taker_is_gone_is_open_again_and_the_team_hears_of_it(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let (ana, ben, mo) = (town.person("Ana").await, town.person("Ben").await, town.moderator("Mo").await);
    let (wes, admin) = (welfare(&town).await, town.admin().await);
    let run = past_run(&town, &[&ana, &ben]).await;
    say(&ana, &run, json!({ "contact_me": true })).await;
    let id = wes.get("/moderation/care").await.expect(200).item_ids().remove(0);
    wes.post(&format!("/moderation/care/{id}/take"), json!({})).await.expect(200);
    town.post_office().await;
    town.hours_pass(25);
    assert_eq!(town.post_office().await.len(), 0, "Wes has it");
    let body = json!({ "account_id": wes.id, "kind": "suspension", "rule": "r", "statement": "s",
        "expires_at": "2026-12-30T00:00:00Z" });
    town.log_in_again(&admin).await.post("/moderation/sanctions", body).await.expect(201);
    let waiting = |letters: &[crate::harness::Letter]| {
        letters
            .iter()
            .filter(|letter| letter.to == mo.email && letter.subject == "Still waiting to hear from us")
            .count()
    };
    assert_eq!(waiting(&town.post_office().await), 1, "nobody has it any more");
    assert_eq!(waiting(&town.post_office().await), 0, "once");
    assert_eq!(say(&ana, &run, json!({})).await["care"]["status"], "open");
    let mo = town.log_in_again(&mo).await;
    mo.post(&format!("/moderation/care/{id}/take"), json!({})).await.expect(200);
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_wish_may_be_taken_back(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let wes = welfare(&town).await;
    let run = past_run(&town, &[&ana, &ben]).await;
    say(&ana, &run, json!({ "contact_me": true })).await;
    assert!(say(&ana, &run, json!({ "contact_me": false })).await["care"].is_null());
    assert_eq!(wes.get("/moderation/care").await.expect(200).items().len(), 0);
    town.hours_pass(50);
    assert_eq!(town.post_office().await.len(), 0, "not even the first mail, which is no longer true");
    assert_eq!(say(&ana, &run, json!({ "contact_me": true })).await["care"]["status"], "open");
    assert_eq!(town.mail_to(&wes.email).await.len(), 1);
}

#[apply(database_test!)]
async fn one_of_two_who_take_a_wish_at_once_has_it(town: Town) {
    town.leave_mail();
    let town = town.with(&[("CARE_HOURS", "48")]);
    let (wes, lu) = (welfare(&town).await, welfare(&town).await);
    let people = town.people("Pat", 8).await;
    let all: Vec<&Person> = people.iter().collect();
    let run = past_run(&town, &all).await;
    for person in &people {
        say(person, &run, json!({ "contact_me": true })).await;
    }
    for id in wes.get("/moderation/care").await.expect(200).item_ids() {
        let path = format!("/moderation/care/{id}/take");
        let (a, b) = tokio::join!(wes.post(&path, json!({})), lu.post(&path, json!({})));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
    assert_eq!(town.rows("audit_log WHERE act = 'care_taken'"), 8);
}

fn how_was_it(letters: &[Letter]) -> Vec<&Letter> {
    letters.iter().filter(|letter| letter.subject.starts_with("How was")).collect()
}

#[apply(database_test!)]
async fn the_mail_after_a_run_asks_with_one_tap_and_names_help(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = run_with(&town, &[&ana, &ben]).await;
    town.set_clock("2026-11-26T11:59:00Z");
    assert_eq!(how_was_it(&town.post_office().await).len(), 0);
    town.set_clock("2026-11-26T12:00:00Z");
    let letters = town.post_office().await;
    let letters = how_was_it(&letters);
    assert_eq!(letters.len(), 2);
    let letter = letters.into_iter().find(|letter| letter.to == ana.email).unwrap();
    assert_eq!(letter.subject, "How was Thursday 26 November?");
    assert!(
        letter.text.contains("Emergency services") && letter.text.contains("https://findahelpline.com"),
        "{}",
        letter.text
    );
    assert!(letter.header("List-Unsubscribe").contains("/e/no-reminders/"));
    assert!(!letter.text.contains("/e/contact-me/"), "nobody is on duty");
    let nobody = town.nobody();
    let link = letter.link("pace-too-fast");
    let page = nobody.open(&link).await.expect(200);
    assert!(page.text.contains("too fast for you"), "{}", page.text);
    assert_eq!(town.rows("after_runs"), 0, "opening changes nothing");
    let done = nobody.press(&link, &[]).await.expect(200);
    assert!(
        done.text.contains("6:40") && done.text.contains("7:15") && done.text.contains("People to talk to"),
        "{}",
        done.text
    );
    assert_eq!(say(&ana, &run, json!({})).await["pace"], "too_fast");
    // It may be changed by the other links, for two weeks.
    nobody.press(&letter.link("pace-right"), &[]).await.expect(200);
    nobody.press(&letter.link("pace-right"), &[]).await.expect(200);
    assert_eq!(say(&ana, &run, json!({})).await["pace"], "right");
    town.set_clock("2026-12-10T10:00:00Z");
    assert_eq!(nobody.open(&letter.link("pace-too-slow")).await.status, 410);
    assert_eq!(nobody.press(&letter.link("pace-too-slow"), &[]).await.status, 410);
    assert_eq!(town.post_office().await.len(), 0, "once");
}

#[apply(database_test!)]
async fn the_mail_waits_for_the_morning(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-26T19:30:00Z")).await;
    for person in [&ana, &ben] {
        person.joins(&run.id, "confirmed").await;
    }
    town.set_clock("2026-11-26T22:30:00Z");
    assert_eq!(how_was_it(&town.post_office().await).len(), 0);
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "completed");
    town.set_clock("2026-11-27T07:59:00Z");
    assert_eq!(town.post_office().await.len(), 0);
    town.set_clock("2026-11-27T08:00:00Z");
    assert_eq!(how_was_it(&town.post_office().await).len(), 2);
}

#[apply(database_test!)]
async fn the_mail_is_not_for_those_who_were_missing_or_want_none_or_have_answered(town: Town) {
    let people = town.people("Pat", 4).await;
    let all: Vec<&Person> = people.iter().collect();
    let run = run_with(&town, &all).await;
    people[0].put("/me/email-preferences", json!({ "reminders": false })).await.expect(200);
    town.set_clock("2026-11-26T10:30:00Z");
    say(&people[1], &run, json!({ "pace": "right" })).await;
    let of = |person: &Person| match town.kind() {
        Kind::Sqlite => format!("account_id = x'{}'", person.id.to_string().replace('-', "")),
        Kind::Postgres => format!("account_id = '{}'", person.id),
    };
    town.execute(&format!("UPDATE signups SET status = 'no_show' WHERE {}", of(&people[2]))).unwrap();
    town.execute(&format!("UPDATE signups SET status = 'attended' WHERE {}", of(&people[3]))).unwrap();
    people[2].post(&run.at("/after-run"), json!({ "pace": "right" })).await.refused(404, "not_found");
    town.inbox().empty();
    town.set_clock("2026-11-26T12:00:00Z");
    let letters = town.post_office().await;
    assert_eq!(how_was_it(&letters).iter().map(|letter| &letter.to).collect::<Vec<_>>(), [&people[3].email]);
}

#[apply(database_test!)]
async fn the_links_of_the_mail_ask_for_help_as_well(town: Town) {
    let town = town.with(&[("CARE_HOURS", "48")]);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let wes = welfare(&town).await;
    run_with(&town, &[&ana, &ben]).await;
    town.set_clock("2026-11-26T12:00:00Z");
    let letters = town.post_office().await;
    let letter = how_was_it(&letters).into_iter().find(|letter| letter.to == ana.email).unwrap();
    assert!(letter.text.contains("They do within 2 days."), "{}", letter.text);
    let nobody = town.nobody();
    for _ in 0..2 {
        let told = nobody.press(&letter.link("contact-me"), &[]).await.expect(200);
        assert!(told.text.contains("Saturday 28 November 2026, 12:00"), "{}", told.text);
        nobody.press(&letter.link("felt-unsafe"), &[]).await.expect(200);
    }
    assert_eq!((town.rows("care_wishes"), town.rows("reports WHERE category = 'safeguarding'")), (1, 1));
    let letters = town.mail_to(&wes.email).await;
    assert_eq!(letters.len(), 2, "the wish and the report");
    // What it cannot do any more it says on a page.
    let forged = letter.link("contact-me").replace("contact-me", "felt-unsafe");
    assert_eq!(nobody.press(&forged, &[]).await.status, 410);
}

#[apply(database_test!)]
async fn the_token_of_such_a_link_serves_a_program_as_well(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = run_with(&town, &[&ana, &ben]).await;
    let other = town.run(&town.facilitator("Gil").await, |run| run["starts_at"] = json!("2026-11-26T20:00:00Z")).await;
    town.set_clock("2026-11-26T12:00:00Z");
    let letters = town.post_office().await;
    let letter = how_was_it(&letters).into_iter().find(|letter| letter.to == ana.email).unwrap();
    let nobody = town.nobody();
    let body = json!({ "token": letter.token("pace-too-fast"), "pace": "too_fast", "felt_safe": true });
    let said = nobody.post(&run.at("/after-run"), body.clone()).await.expect(200).json;
    assert_eq!((&said["pace"], &said["felt_safe"]), (&json!("too_fast"), &json!(true)));
    assert_eq!(say(&ana, &run, json!({})).await["pace"], "too_fast");
    nobody.post(&other.at("/after-run"), body).await.refused(403, "link_invalid");
    let wrong = json!({ "token": letter.token("no-reminders"), "pace": "right" });
    nobody.post(&run.at("/after-run"), wrong).await.refused(403, "link_invalid");
    town.leave_mail();
}

#[apply(database_test!)]
async fn answers_are_forgotten(town: Town) {
    town.leave_mail();
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = past_run(&town, &[&ana, &ben]).await;
    say(&ana, &run, json!({ "pace": "too_fast", "felt_safe": true })).await;
    let forget = async || {
        let (db, policy, now) = (town.app().db.clone(), town.app().config.policy.clone(), town.now());
        let forgot = tokio::task::spawn_blocking(move || sidebyside::service::housekeeping::forget(&db, &policy, now));
        forgot.await.unwrap().expect("forgetting");
    };
    town.set_clock("2026-12-10T09:00:00Z");
    forget().await;
    assert_eq!(town.rows("after_runs WHERE felt_safe IS NOT NULL"), 1);
    town.set_clock("2026-12-10T11:00:00Z");
    forget().await;
    assert_eq!((town.rows("after_runs"), town.rows("after_runs WHERE felt_safe IS NOT NULL")), (1, 0));
    town.set_clock("2027-11-26T11:00:00Z");
    forget().await;
    assert_eq!(town.rows("after_runs"), 0);
}
