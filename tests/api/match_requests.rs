//! Match requests: wishes that stand, alerts that come once, and how they end.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::store::alerts;

use crate::{
    harness::{Behaviour, Letter, Person, Run, Town},
    support::database_test::database_test,
};

const GATHERED_MIN: i64 = 31;

async fn wishes(person: &Person, body: Value) -> String {
    person.post("/match-requests", body).await.expect(201).id()
}

/// Somebody whose profile fits the usual run, with a wish that leaves all to it.
async fn wishing(town: &Town, name: &str) -> (Person, String) {
    let person = town.runner(name, |_| {}).await;
    let request = wishes(&person, json!({})).await;
    (person, request)
}

fn is_alert(letter: &Letter) -> bool {
    letter.header("X-Mail-Kind") == "runs_found"
}

/// Lets the worker look, waits until what it found is gathered, and gives the alerts that came to somebody.
async fn alerts_to(town: &Town, person: &Person) -> Vec<Letter> {
    all_alerts(town).await.into_iter().filter(|letter| letter.to == person.email).collect()
}

async fn all_alerts(town: &Town) -> Vec<Letter> {
    town.work().await;
    town.minutes_pass(GATHERED_MIN);
    town.post_office().await.into_iter().filter(is_alert).collect()
}

fn tells(letter: &Letter, run: &Run) -> bool {
    letter.text.contains(&format!("/v1/runs/{}", run.id))
}

/// On a day of its own, so that nobody is twice at one time.
fn on_day(run: &mut Value, day: u32) {
    run["starts_at"] = json!(format!("2026-12-{day:02}T09:00:00Z"));
}

#[apply(database_test!)]
async fn a_run_that_is_posted_is_told_once_to_whom_it_fits(town: Town) {
    let fay = town.facilitator("Fay").await;
    let before = town.run(&fay, |run| on_day(run, 1)).await;
    town.work().await;
    let (ana, request) = wishing(&town, "Ana").await;
    let far = town.runner("Ben", |profile| profile["home"] = json!({ "lat": 52.5, "lng": 13.4 })).await;
    wishes(&far, json!({})).await;
    town.runner("Cem", |_| {}).await;
    let run = town.run(&fay, |_| {}).await;
    let mails = all_alerts(&town).await;
    assert_eq!(mails.len(), 1, "Ben lives far away, and Cem asked for nothing");
    let letter = &mails[0];
    assert_eq!(letter.to, ana.email);
    assert_eq!(letter.subject, "Something that suits you on Thursday 26 November");
    assert!(tells(letter, &run) && !tells(letter, &before), "what is there already stands in the matches");
    for needed in
        ["Hello Ana", "the group's pace is one at which you can chat", "The Diana fountain", "anything that fits"]
    {
        assert!(letter.text.contains(needed), "no {needed} in\n{}", letter.text);
    }
    let home = ana.get("/me/running-profile").await.expect(200);
    for secret in
        [home.str("home_cell"), home.json["home_centre"]["lat"].to_string(), " km from".into(), ana.email.clone()]
    {
        let body = format!("{}{}", letter.text, letter.html);
        assert!(!body.contains(&secret), "{secret} in\n{}", letter.text);
    }
    letter.link("stop-looking");
    assert!(ana.get("/match-requests").await.expect(200).item_ids() == [request]);
    town.hours_pass(48);
    assert!(alerts_to(&town, &ana).await.is_empty(), "once");
}

#[apply(database_test!)]
async fn what_is_found_in_a_day_comes_in_one_mail_the_best_first(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let quick = json!({ "fastest_s_per_km": 350, "slowest_s_per_km": 380 });
    let second = town
        .run(&fay, |run| {
            on_day(run, 2);
            run["pace"] = quick;
        })
        .await;
    town.work().await;
    town.minutes_pass(10);
    let best = town.run(&fay, |run| on_day(run, 3)).await;
    let first = alerts_to(&town, &ana).await;
    assert_eq!(first.len(), 1, "one mail of all that was posted in one sitting");
    assert_eq!(first[0].subject, "2 dates that suit you");
    let at = |run: &Run| first[0].text.find(&run.id).unwrap_or_else(|| panic!("{} is not told", run.id));
    assert!(at(&best) < at(&second), "{}", first[0].text);
    let later = town.run(&fay, |run| on_day(run, 4)).await;
    let evening = town.run(&fay, |run| on_day(run, 5)).await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "a day has one mail");
    town.hours_pass(22);
    assert!(town.mail_to(&ana.email).await.is_empty());
    town.hours_pass(2);
    let next = town.one_mail_to(&ana.email).await;
    assert!(tells(&next, &later) && tells(&next, &evening) && !tells(&next, &best));
    assert!(next.message_id != first[0].message_id);
}

#[apply(database_test!)]
async fn whoever_wants_it_at_once_gets_it_at_once_and_whoever_wants_none_gets_none(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let (ben, _) = wishing(&town, "Ben").await;
    let choose = async |person: &Person, choice: &str| {
        let body = json!({ "reminders": true, "alerts": choice });
        assert_eq!(person.put("/me/email-preferences", body.clone()).await.expect(200).json, body);
    };
    choose(&ana, "at_once").await;
    choose(&ben, "none").await;
    for day in 1..3 {
        let run = town.run(&fay, |run| on_day(run, day)).await;
        let mails: Vec<Letter> = town.post_office().await;
        assert_eq!(mails.len(), 1, "to Ana, and nothing to Ben");
        assert!(mails[0].to == ana.email && tells(&mails[0], &run));
    }
    ana.put("/me/email-preferences", json!({ "reminders": true, "alerts": "hourly" }))
        .await
        .faulty(&["/alerts unknown_value"]);
    choose(&ben, "daily").await;
    ana.put("/me/email-preferences", json!({ "reminders": false })).await.expect(200);
    assert_eq!(ana.get("/me/email-preferences").await.json, json!({ "reminders": false, "alerts": "at_once" }));
    town.hours_pass(26);
    assert!(town.post_office().await.is_empty(), "what was posted before is in the matches");
    town.run(&fay, |run| on_day(run, 8)).await;
    assert_eq!(alerts_to(&town, &ben).await.len(), 1);
}

#[apply(database_test!)]
async fn each_pair_is_told_once_whatever_happens_to_the_run_and_the_requests(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, first) = wishing(&town, "Ana").await;
    wishes(&ana, json!({ "activities": ["run"] })).await;
    let run = town.run(&fay, |run| on_day(run, 20)).await;
    assert_eq!(alerts_to(&town, &ana).await.len(), 1, "two wishes, one run, one mail");
    ana.delete(&format!("/match-requests/{first}")).await.expect(204);
    wishes(&ana, json!({})).await;
    fay.patch(&run.at(""), Some("*"), json!({ "title": "Another title", "capacity": 12 })).await.expect(200);
    town.hours_pass(25);
    assert!(alerts_to(&town, &ana).await.is_empty(), "told once, ever");
    assert_eq!(town.rows("match_alerts"), 1);
}

#[apply(database_test!)]
async fn two_workers_at_once_tell_each_pair_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let mut people = Vec::new();
    for number in 0..6 {
        people.push(wishing(&town, &format!("Pat{number}")).await.0);
    }
    for day in 1..5 {
        town.run(&fay, |run| on_day(run, day)).await;
    }
    let other = town.with(&[]);
    let (a, b) = tokio::join!(town.work(), other.work());
    town.minutes_pass(GATHERED_MIN);
    let (c, d) = tokio::join!(town.work(), other.work());
    assert!(a + b + c + d > 0);
    let mails = town.inbox().empty();
    assert_eq!(mails.len(), people.len(), "one mail each");
    for letter in &mails {
        assert_eq!(letter.subject, "4 dates that suit you", "{}", letter.to);
    }
    assert_eq!((town.rows("match_alerts"), town.rows("alert_runs")), (24, 0));
}

#[apply(database_test!)]
async fn a_worker_that_died_between_finding_and_telling_is_made_up_for(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let run = town.run(&fay, |_| {}).await;
    // Somebody took the run and was killed: the lease holds it for a while, by the database's clock.
    let one = town.app().db.read_here(|conn| alerts::waiting(conn, 9)).unwrap();
    assert_eq!(one.len(), 1);
    assert!(town.app().db.write_here(|tx| alerts::claim(tx, one[0], 60)).unwrap());
    assert!(!town.app().db.write_here(|tx| alerts::claim(tx, one[0], 60)).unwrap(), "nobody else has it meanwhile");
    assert!(alerts_to(&town, &ana).await.is_empty());
    town.execute("UPDATE alert_runs SET lease_until = '2020-01-01T00:00:00.000000Z'").unwrap();
    // The mail server takes the mail and does not say so.
    town.mail_server(Behaviour::KeepAndHangUp);
    let first = alerts_to(&town, &ana).await;
    assert!(first.len() == 1 && tells(&first[0], &run));
    town.mail_server(Behaviour::Accept);
    town.hours_pass(2);
    let again = town.one_mail_to(&ana.email).await;
    assert_eq!(
        (&again.message_id, &again.text),
        (&first[0].message_id, &first[0].text),
        "the same mail, to be seen once"
    );
    // A change that comes while a worker looks is looked at again.
    fay.patch(&run.at(""), Some("*"), json!({ "title": "One" })).await.expect(200);
    let seen = town.app().db.read_here(|conn| alerts::waiting(conn, 9)).unwrap()[0];
    assert!(town.app().db.write_here(|tx| alerts::claim(tx, seen, 60)).unwrap());
    fay.patch(&run.at(""), Some("*"), json!({ "title": "Two" })).await.expect(200);
    assert!(!town.app().db.write_here(|tx| alerts::done(tx, seen)).unwrap());
    assert_eq!(town.app().db.read_here(|conn| alerts::waiting(conn, 9)).unwrap().len(), 1);
    town.work().await;
    assert_eq!(town.rows("alert_runs"), 0);
}

#[apply(database_test!)]
async fn a_wish_leaves_to_the_profile_what_it_does_not_say(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.runner("Ana", |profile| profile["home"] = json!({ "lat": 52.5, "lng": 13.4 })).await;
    let own_area = json!({ "area": { "lat": 51.413, "lng": -0.332 }, "activities": ["run"],
        "availability": [{ "weekday": "thu", "from": "08:00", "to": "11:00" }] });
    let made = ana.post("/match-requests", own_area).await.expect(201);
    assert!(made.json["area_cell"].is_string() && made.json["travel_radius_km"].is_null(), "{}", made.text);
    assert!(made.json.get("area").is_none() && !made.text.contains("51.413,"), "the point itself is not kept");
    assert_eq!(made.json["expires_at"], json!(town.now().plus_days(60)));
    town.run(&fay, |run| run["starts_at"] = json!("2026-11-27T19:00:00Z")).await;
    let thursday = town.run(&fay, |_| {}).await;
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &thursday), "the pace of the profile, the area and times of the wish");
    assert!(mails[0].text.contains("in an area that you named"), "{}", mails[0].text);
    // The profile of the moment, not of the day on which the wish was made.
    let slow =
        json!({ "activities": ["run"], "comfortable_pace": { "fastest_s_per_km": 560, "slowest_s_per_km": 600 } });
    ana.put("/me/running-profile", slow).await.expect(200);
    town.hours_pass(24);
    town.run(&fay, |run| run["starts_at"] = json!("2026-12-03T09:00:00Z")).await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "now far too fast");
}

#[apply(database_test!)]
async fn what_fits_less_than_well_is_not_told(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.runner("Ana", |profile| profile["home"] = json!({ "lat": 51.485, "lng": -0.335 })).await;
    wishes(&ana, json!({})).await;
    town.run(&fay, |_| {}).await;
    let score = |items: Vec<Value>| items[0]["fit"]["score"].as_f64().unwrap();
    let fits = score(ana.get("/matches").await.expect(200).items());
    assert!((0.5..0.75).contains(&fits), "{fits}");
    assert!(alerts_to(&town, &ana).await.is_empty());
    let lenient = town.with(&[("toml", "[policy]\nalert_fit_percent = 50\nalert_wait_minutes = 0\n")]);
    let run = town.run(&fay, |run| on_day(run, 2)).await;
    lenient.work().await;
    let mails = lenient.inbox().empty();
    assert!(mails.len() == 1 && tells(&mails[0], &run), "the setting decides");
}

#[apply(database_test!)]
async fn a_run_that_changes_is_told_when_it_comes_to_fit(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let run = town.run(&fay, |run| run["pace"] = json!({ "fastest_s_per_km": 240, "slowest_s_per_km": 260 })).await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "far too fast");
    let gentle = json!({ "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 } });
    fay.patch(&run.at(""), Some(&run.etag), gentle).await.expect(200);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run));
    assert!(mails[0].text.contains("6:10–6:45 min/km"), "as it is now");
}

#[apply(database_test!)]
async fn a_place_that_becomes_free_is_told(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let ben = town.person("Ben").await;
    let seat = ben.joins(&run.id, "confirmed").await;
    let (ana, _) = wishing(&town, "Ana").await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "full");
    ben.withdraws(&seat).await;
    let mails = all_alerts(&town).await;
    assert!(mails.len() == 1 && mails[0].to == ana.email && tells(&mails[0], &run));
}

#[apply(database_test!)]
async fn drafts_and_full_and_paused_runs_are_not_told_until_they_are_open(town: Town) {
    let fay = town.facilitator("Fay").await;
    let gil = town.facilitator("Gil").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let draft = town
        .run(&fay, |run| {
            on_day(run, 10);
            run["draft"] = json!(true);
        })
        .await;
    assert!(alerts_to(&town, &ana).await.is_empty());
    fay.patch(&draft.at(""), Some(&draft.etag), json!({ "draft": false })).await.expect(200);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &draft), "once it is published");
    town.hours_pass(24);
    let led = town.run(&fay, |run| on_day(run, 11)).await;
    fay.delete(&led.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    assert!(alerts_to(&town, &ana).await.is_empty(), "nobody leads it");
    gil.post(&led.at("/take-over"), json!({})).await.expect(200);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &led), "once it goes on");
    town.hours_pass(24);
    let mut run = town.run_body();
    run.as_object_mut().unwrap().remove("starts_at");
    let series = json!({ "run": run, "first_local_start": "2026-12-08T18:30:00", "rrule": "FREQ=WEEKLY;COUNT=3" });
    fay.post("/run-series", series).await.expect(201);
    let mails = alerts_to(&town, &ana).await;
    assert_eq!(mails.len(), 1, "one mail");
    assert_eq!(mails[0].subject, "3 dates that suit you");
}

#[apply(database_test!)]
async fn what_is_no_longer_true_when_the_mail_goes_is_left_out(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, request) = wishing(&town, "Ana").await;
    let kept = town.run(&fay, |run| on_day(run, 1)).await;
    let called_off = town.run(&fay, |run| on_day(run, 2)).await;
    let full = town
        .run(&fay, |run| {
            on_day(run, 3);
            run["capacity"] = json!(1);
        })
        .await;
    let mine = town.run(&fay, |run| on_day(run, 4)).await;
    let closed = town.run(&fay, |run| on_day(run, 5)).await;
    let faster = town.run(&fay, |run| on_day(run, 6)).await;
    town.work().await;
    assert_eq!(town.rows("match_alerts"), 6);
    fay.post(&called_off.at("/cancel"), json!({ "reason_code": "other" })).await.expect(200);
    let ben = town.person("Ben").await;
    let seat = ben.joins(&full.id, "confirmed").await;
    ana.joins(&mine.id, "confirmed").await;
    fay.post(&closed.at("/lock"), json!({})).await.expect(200);
    let fast = json!({ "pace": { "fastest_s_per_km": 240, "slowest_s_per_km": 260 } });
    fay.patch(&faster.at(""), Some("*"), fast).await.expect(200);
    let mails = alerts_to(&town, &ana).await;
    assert_eq!(mails.len(), 1);
    for gone in [&called_off, &full, &mine, &closed, &faster] {
        assert!(!tells(&mails[0], gone), "{}", gone.json["starts_at"]);
    }
    assert!(tells(&mails[0], &kept));
    // What was left out was not told: it can be told once it is true.
    ben.withdraws(&seat).await;
    town.work().await;
    town.hours_pass(25);
    let next: Vec<Letter> = town.mail_to(&ana.email).await.into_iter().filter(is_alert).collect();
    assert!(next.len() == 1 && tells(&next[0], &full), "the place is free again");
    // If nothing is left, nothing goes; also when the request is taken back.
    town.run(&fay, |run| on_day(run, 15)).await;
    town.work().await;
    ana.delete(&format!("/match-requests/{request}")).await.expect(204);
    town.hours_pass(25);
    assert!(alerts_to(&town, &ana).await.is_empty());
    // Also when the run has begun.
    wishes(&ana, json!({})).await;
    town.run(&fay, |run| on_day(run, 16)).await;
    town.work().await;
    town.set_clock("2026-12-16T09:00:00Z");
    assert!(alerts_to(&town, &ana).await.is_empty());
}

#[apply(database_test!)]
async fn nobody_is_told_of_runs_that_are_not_for_them(town: Town) {
    let fay = town.facilitator("Fay").await;
    let gil = town.facilitator("Gil").await;
    let home = json!({ "activities": ["run"], "home": { "lat": 51.415, "lng": -0.33 },
        "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 } });
    fay.put("/me/running-profile", home).await.expect(200);
    wishes(&fay, json!({})).await;
    let (ana, _) = wishing(&town, "Ana").await;
    let (barred, _) = wishing(&town, "Ben").await;
    let (blocked, _) = wishing(&town, "Cem").await;
    let (blocker, _) = wishing(&town, "Dot").await;
    let (out, _) = wishing(&town, "Eve").await;
    let bar = json!({ "account_id": barred.id, "until": "2027-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    fay.post("/me/bars", bar).await.expect(201);
    fay.post("/blocks", json!({ "account_id": blocked.id })).await.expect(202);
    blocker.post("/blocks", json!({ "account_id": fay.id })).await.expect(202);
    town.run(&fay, |run| on_day(run, 1)).await;
    let admin = town.admin().await;
    let hold = json!({ "account_id": out.id, "kind": "hold", "rule": "r", "statement": "s" });
    admin.post("/moderation/sanctions", hold).await.expect(201);
    let mails = all_alerts(&town).await;
    let told: Vec<&String> = mails.iter().map(|letter| &letter.to).collect();
    assert_eq!(told, [&ana.email], "not who leads, is barred, blocked, blocks, or is on hold");
    // What comes between finding and telling counts as well; the others hear of Gil's runs.
    town.run(&gil, |run| on_day(run, 2)).await;
    town.work().await;
    gil.post("/blocks", json!({ "account_id": blocked.id })).await.expect(202);
    let mails = all_alerts(&town).await;
    let mut told: Vec<String> = mails.iter().map(|letter| letter.to.clone()).collect();
    told.sort();
    let mut wanted = vec![fay.email.clone(), barred.email.clone(), blocker.email.clone()];
    wanted.sort();
    assert_eq!(told, wanted, "Ana had her mail today");
    town.leave_mail();
}

#[apply(database_test!)]
async fn a_block_between_two_who_come_changes_no_alert(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let ben = town.person("Ben").await;
    ana.post("/blocks", json!({ "account_id": ben.id })).await.expect(202);
    let run = town.run(&fay, |_| {}).await;
    ben.joins(&run.id, "confirmed").await;
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run), "an alert that stays away would tell who comes");
}

#[apply(database_test!)]
async fn one_click_turns_a_request_or_all_mails_off(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, walks) = wishing(&town, "Ana").await;
    let runs = wishes(&ana, json!({ "activities": ["run"], "not_after_dark": true })).await;
    town.run(&fay, |run| {
        run["activity"] = json!("walk");
        run["pace"] = json!({ "fastest_s_per_km": 600, "slowest_s_per_km": 800 });
    })
    .await;
    let letter = alerts_to(&town, &ana).await.remove(0);
    let one_click = letter.header("List-Unsubscribe");
    assert_eq!(letter.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    let (stop, off) = (letter.link("stop-looking"), letter.link("no-alerts"));
    assert!(one_click.contains(&off), "{one_click}");
    let nobody = town.nobody();
    for link in [&stop, &off] {
        let page = nobody.open(link).await.expect(200);
        assert!(page.text.contains("Ana") && page.text.contains("<form"), "{}", page.text);
    }
    assert_eq!(ana.get("/match-requests").await.expect(200).items().len(), 2, "opening a link changes nothing");
    nobody.press(&stop, &[]).await.expect(200);
    nobody.press(&stop, &[]).await.expect(200);
    assert_eq!(ana.get("/match-requests").await.expect(200).item_ids(), [runs], "only {walks} is gone");
    let found = town.run(&fay, |run| on_day(run, 2)).await;
    town.work().await;
    // What a mail program sends for one click.
    nobody.press(&off, &[("List-Unsubscribe", "One-Click")]).await.expect(200);
    assert_eq!(ana.get("/me/email-preferences").await.json, json!({ "reminders": true, "alerts": "none" }));
    town.hours_pass(25);
    assert!(town.mail_to(&ana.email).await.is_empty(), "{} was found before, and is not told", found.id);
    assert_eq!(ana.get("/match-requests").await.expect(200).items().len(), 1, "what was asked for stands");
}

#[apply(database_test!)]
async fn a_request_ends_with_a_word_before_and_is_kept_by_one_tap(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, request) = wishing(&town, "Ana").await;
    let (ben, _) = wishing(&town, "Ben").await;
    town.hours_pass(53 * 24 - 1);
    assert!(town.post_office().await.is_empty());
    town.hours_pass(1);
    let mails = town.post_office().await;
    assert_eq!(mails.len(), 2);
    let letter = mails.iter().find(|letter| letter.to == ana.email).unwrap();
    assert_eq!(letter.subject, "Shall we go on looking for you?");
    assert!(letter.text.contains("Friday 22 January 2027"), "{}", letter.text);
    assert!(letter.header("List-Unsubscribe").contains("/e/no-alerts/"));
    let keep = letter.link("keep-looking");
    let nobody = town.nobody();
    nobody.open(&keep).await.expect(200);
    let until = async || ana.get("/match-requests").await.expect(200).items()[0]["expires_at"].clone();
    let before = until().await;
    nobody.open(&keep).await.expect(200);
    assert_eq!(until().await, before, "GET changes nothing");
    nobody.press(&keep, &[]).await.expect(200);
    assert!(until().await.as_str() > before.as_str());
    town.work().await;
    assert!(town.post_office().await.is_empty(), "one word for each end");
    town.hours_pass(7 * 24);
    town.work().await;
    // Sessions have ended meanwhile.
    let (fay, ana, ben) = (town.log_in_again(&fay).await, town.log_in_again(&ana).await, town.log_in_again(&ben).await);
    assert_eq!(ana.get("/match-requests").await.expect(200).item_ids(), [request.as_str()]);
    assert!(ben.get("/match-requests").await.expect(200).items().is_empty());
    assert_eq!(town.rows("match_requests"), 1, "what has ended is forgotten");
    town.run(&fay, |run| run["starts_at"] = json!("2027-01-28T09:00:00Z")).await;
    let mails = all_alerts(&town).await;
    assert!(mails.len() == 1 && mails[0].to == ana.email);
    town.hours_pass(46 * 24);
    assert_eq!(town.mail_to(&ana.email).await.len(), 1, "the next end has its own word");
    town.hours_pass(8 * 24);
    town.work().await;
    nobody.press(&keep, &[]).await.expect(410);
    let ana = town.log_in_again(&ana).await;
    assert!(ana.get("/match-requests").await.expect(200).items().is_empty());
}

#[apply(database_test!)]
async fn a_ban_ends_requests_and_a_hold_rests_them(town: Town) {
    let fay = town.facilitator("Fay").await;
    let admin = town.admin().await;
    let (ana, _) = wishing(&town, "Ana").await;
    let (ben, _) = wishing(&town, "Ben").await;
    town.run(&fay, |run| on_day(run, 10)).await;
    town.work().await;
    let hold = json!({ "account_id": ana.id, "kind": "hold", "rule": "r", "statement": "s" });
    let hold = admin.post("/moderation/sanctions", hold).await.expect(201).id();
    let ban = json!({ "account_id": ben.id, "kind": "ban", "rule": "r", "statement": "s" });
    admin.post("/moderation/sanctions", ban).await.expect(201);
    assert!(all_alerts(&town).await.is_empty(), "what was found before is not told to them");
    assert_eq!(town.rows("match_requests"), 1, "those of whoever is banned are gone");
    admin.post(&format!("/moderation/sanctions/{hold}/lift"), json!({ "reason": "r" })).await.expect(200);
    let run = town.run(&fay, |run| on_day(run, 11)).await;
    let mails = all_alerts(&town).await;
    assert!(mails.len() == 1 && mails[0].to == ana.email && tells(&mails[0], &run), "a hold is over when it is over");
    town.leave_mail();
}

#[apply(database_test!)]
async fn what_a_hold_kept_from_somebody_is_found_again_after_it(town: Town) {
    let (fay, admin) = (town.facilitator("Fay").await, town.admin().await);
    let (ana, _) = wishing(&town, "Ana").await;
    let run = town.run(&fay, |run| on_day(run, 10)).await;
    town.work().await;
    let hold = json!({ "account_id": ana.id, "kind": "hold", "rule": "r", "statement": "s" });
    let hold = admin.post("/moderation/sanctions", hold).await.expect(201).id();
    admin.post(&format!("/moderation/sanctions/{hold}/lift"), json!({ "reason": "r" })).await.expect(200);
    assert!(alerts_to(&town, &ana).await.is_empty(), "the mail was taken back");
    fay.patch(&run.at(""), Some(&run.etag), json!({ "capacity": 20 })).await.expect(200);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run), "never told, so it is told now");
    town.leave_mail();
}

#[apply(database_test!)]
async fn whoever_wants_no_mails_takes_nobodys_turn(town: Town) {
    let town = town.with(&[("toml", "[policy]\nalerts_per_place = 1")]);
    let fay = town.facilitator("Fay").await;
    for number in 0..4 {
        let (off, _) = wishing(&town, &format!("Off {number}")).await;
        off.put("/me/email-preferences", json!({ "reminders": true, "alerts": "none" })).await.expect(200);
    }
    // It fits the others better.
    let ana = town
        .runner("Ana", |profile| {
            profile["comfortable_pace"] = json!({ "fastest_s_per_km": 350, "slowest_s_per_km": 390 });
        })
        .await;
    wishes(&ana, json!({})).await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run));
}

#[apply(database_test!)]
async fn the_last_in_line_who_leaves_opens_what_is_left(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ben, cleo) = (town.person("Ben").await, town.person("Cleo").await);
    let seat = ben.joins(&run.id, "confirmed").await;
    let waits = cleo.joins(&run.id, "waitlisted").await;
    ben.withdraws(&seat).await;
    cleo.post(&format!("/signups/{waits}/decline-offer"), json!({})).await.expect(200);
    let (ana, _) = wishing(&town, "Ana").await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "somebody waits");
    cleo.withdraws(&waits).await;
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run));
}

#[apply(database_test!)]
async fn who_was_told_of_a_run_is_forgotten_two_weeks_after_it(town: Town) {
    let fay = town.facilitator("Fay").await;
    town.run(&fay, |run| on_day(run, 10)).await;
    let (ana, _) = wishing(&town, "Ana").await;
    town.run(&fay, |run| on_day(run, 11)).await;
    assert_eq!(alerts_to(&town, &ana).await.len(), 1);
    let forget = || {
        let (app, now) = (town.app(), town.now());
        sidebyside::service::housekeeping::forget(&app.db, &app.config.policy, now).expect("forgetting");
        town.rows("match_alerts")
    };
    town.set_clock("2026-12-25T09:59:00Z");
    assert_eq!(forget(), 1);
    town.set_clock("2026-12-25T10:01:00Z");
    assert_eq!(forget(), 0);
    town.leave_mail();
}

#[apply(database_test!)]
async fn after_the_mail_server_was_away_a_day_still_has_one_alert(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, _) = wishing(&town, "Ana").await;
    let first = town.run(&fay, |run| on_day(run, 10)).await;
    town.mail_server(Behaviour::Refuse);
    assert!(alerts_to(&town, &ana).await.is_empty(), "it is written and cannot leave");
    let second = town.run(&fay, |run| on_day(run, 11)).await;
    town.work().await;
    town.hours_pass(25);
    town.work().await;
    town.mail_server(Behaviour::Accept);
    town.hours_pass(1);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(tells(&letter, &first) && !tells(&letter, &second), "{}", letter.text);
    town.hours_pass(23);
    assert!(town.mail_to(&ana.email).await.is_empty(), "a day has one mail, by when they leave");
    town.hours_pass(1);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(tells(&letter, &second) && !tells(&letter, &first), "{}", letter.text);
    town.hours_pass(48);
    assert!(town.mail_to(&ana.email).await.is_empty());
}

const LAST_WORD: &str = "Shall we go on looking for you?";

#[apply(database_test!)]
async fn a_request_whose_end_comes_during_a_hold_ends_with_a_word_after_it(town: Town) {
    let (ana, request) = wishing(&town, "Ana").await;
    town.hours_pass(52 * 24);
    let admin = town.admin().await;
    let hold = json!({ "account_id": ana.id, "kind": "hold", "rule": "r", "statement": "s" });
    admin.post("/moderation/sanctions", hold).await.expect(201);
    town.post_office().await;
    town.hours_pass(10 * 24);
    assert!(town.mail_to(&ana.email).await.is_empty(), "nothing goes to somebody on hold");
    assert_eq!(town.rows("match_requests"), 1, "and nothing ends behind their back");
    town.hours_pass(4 * 24);
    let letters = town.mail_to(&ana.email).await;
    let subjects: std::collections::BTreeSet<&str> = letters.iter().map(|letter| letter.subject.as_str()).collect();
    assert_eq!(subjects, ["A decision about your account has ended", LAST_WORD].into());
    let ana = town.log_in_again(&ana).await;
    let standing = ana.get("/match-requests").await.expect(200);
    assert_eq!(standing.item_ids(), [request]);
    assert_eq!(standing.items()[0]["expires_at"], json!(town.now().plus_days(7)));
    town.hours_pass(7 * 24);
    assert!(town.post_office().await.is_empty());
    assert_eq!(town.rows("match_requests"), 0);
}

#[apply(database_test!)]
async fn the_word_that_a_hold_took_back_comes_after_it(town: Town) {
    let (ana, _) = wishing(&town, "Ana").await;
    town.hours_pass(53 * 24);
    town.mail_server(Behaviour::Refuse);
    assert!(town.post_office().await.is_empty(), "it was promised and cannot leave");
    let admin = town.admin().await;
    let hold = json!({ "account_id": ana.id, "kind": "hold", "rule": "r", "statement": "s",
        "expires_at": town.now().plus_days(1) });
    admin.post("/moderation/sanctions", hold).await.expect(201);
    town.mail_server(Behaviour::Accept);
    town.minutes_pass(10);
    assert!(town.mail_to(&ana.email).await.iter().all(|letter| letter.subject != LAST_WORD));
    town.hours_pass(24);
    let letters = town.mail_to(&ana.email).await;
    let subjects: std::collections::BTreeSet<&str> = letters.iter().map(|letter| letter.subject.as_str()).collect();
    assert_eq!(subjects, ["A decision about your account has ended", LAST_WORD].into());
    town.hours_pass(6 * 24);
    assert!(town.post_office().await.is_empty(), "one word");
    assert_eq!(town.rows("match_requests"), 0);
}

#[apply(database_test!)]
async fn the_places_that_one_more_facilitator_makes_are_told(town: Town) {
    let town = town.with(&[("toml", "[policy]\nfacilitator_ratio = 1")]);
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| on_day(run, 10)).await;
    town.person("Ben").await.joins(&run.id, "confirmed").await;
    let (ana, _) = wishing(&town, "Ana").await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "full");
    let listing = json!({ "account_id": gil.id });
    fay.post(&run.at("/facilitators"), listing.clone()).await.expect(201);
    assert!(alerts_to(&town, &ana).await.is_empty(), "he was asked");
    gil.post(&run.at("/facilitators"), listing).await.expect(200);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run), "he comes");
}

#[apply(database_test!)]
async fn a_place_that_was_kept_for_a_friend_is_told_when_it_is_free_again(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            on_day(run, 10);
            run["capacity"] = json!(2);
        })
        .await;
    let ben = town.person("Ben").await;
    let friend = format!("/signups/{}/friend", ben.joins(&run.id, "confirmed").await);
    ben.post(&friend, json!({})).await.expect(201);
    let (ana, _) = wishing(&town, "Ana").await;
    assert!(alerts_to(&town, &ana).await.is_empty(), "full");
    ben.delete(&friend).await.expect(204);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run), "it was given back");
    ben.post(&friend, json!({})).await.expect(201);
    let (cem, _) = wishing(&town, "Cem").await;
    assert!(alerts_to(&town, &cem).await.is_empty(), "full again");
    town.hours_pass(24);
    let mails = alerts_to(&town, &cem).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run), "nobody came with it in time");
}

#[apply(database_test!)]
async fn somebody_who_was_only_asked_to_lead_keeps_no_alert_away(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (ana, _) = wishing(&town, "Ana").await;
    gil.post("/blocks", json!({ "account_id": ana.id })).await.expect(202);
    let run = town.run(&fay, |run| on_day(run, 10)).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &run), "an alert that stays away would tell that he was asked");
}

#[apply(database_test!)]
async fn two_points_of_one_cell_are_one_area_and_get_equal_alerts(town: Town) {
    let fay = town.facilitator("Fay").await;
    let mut letters = Vec::new();
    let mut cells = Vec::new();
    let mut people = Vec::new();
    for (lat, lng) in [(51.4123, -0.3367), (51.4118, -0.3349)] {
        let person = town.runner("Ana", |profile| profile["home"] = json!({ "lat": 48.1, "lng": 11.5 })).await;
        let made = person.post("/match-requests", json!({ "area": { "lat": lat, "lng": lng } })).await.expect(201);
        cells.push((made.str("area_cell"), made.json["area_centre"].clone()));
        people.push(person);
    }
    assert_eq!(cells[0], cells[1], "two points of one cell");
    for (day, north) in [(1, 0.0), (2, 0.02), (3, 0.04), (4, 0.045), (5, 0.05), (6, 0.08)] {
        town.run(&fay, |run| {
            on_day(run, day);
            run["meeting_point"] = json!({ "lat": 51.411 + north, "lng": -0.3358, "name": "The fountain" });
        })
        .await;
    }
    let mails = all_alerts(&town).await;
    for person in &people {
        let mail = mails.iter().find(|letter| letter.to == person.email).expect("a mail each");
        // The links are each person's own.
        letters.push(mail.text.lines().filter(|line| !line.contains("/e/")).map(str::to_owned).collect::<Vec<_>>());
    }
    let told = letters[0].iter().filter(|line| line.contains("/v1/runs/")).count();
    assert!((1..6).contains(&told), "near ones are told and far ones are not: {told}");
    assert_eq!(letters[0], letters[1], "the same runs in the same order in the same words");
}

#[apply(database_test!)]
async fn many_noisy_points_publish_one_cell_and_few_areas_are_new_in_a_week(town: Town) {
    let ana = town.person("Ana").await;
    let at = |lat: f64, lng: f64| json!({ "area": { "lat": lat, "lng": lng }, "activities": ["walk"] });
    let mut cells = std::collections::BTreeSet::new();
    for step in 0..40 {
        let noise = f64::from(step % 7 - 3) * 0.0002;
        let made = ana.post("/match-requests", at(51.4145 + noise, -0.3342 - noise)).await.expect(201);
        cells.insert(made.str("area_cell"));
        ana.delete(&format!("/match-requests/{}", made.id())).await.expect(204);
    }
    assert_eq!(cells.len(), 1, "one place, one cell: {cells:?}");
    for km in [1.0, 2.0] {
        let made = ana.post("/match-requests", at(51.4145 + km * 0.03, -0.3342)).await.expect(201);
        ana.delete(&format!("/match-requests/{}", made.id())).await.expect(204);
    }
    let fourth = ana.post("/match-requests", at(51.6, -0.3342)).await.refused(409, "home_changed_recently");
    assert_eq!(fourth.json["until"], json!(town.now().plus_days(7)));
    ana.post("/match-requests", at(51.4145, -0.3342)).await.expect(201);
    town.hours_pass(7 * 24);
    ana.post("/match-requests", at(51.6, -0.3342)).await.expect(201);
    assert_eq!(town.rows("match_requests"), 2);
}

#[apply(database_test!)]
async fn at_most_ten_stand_and_only_their_owner_sees_them(town: Town) {
    let (ana, first) = wishing(&town, "Ana").await;
    let ben = town.person("Ben").await;
    town.minutes_pass(1);
    let again = ana.post_once("a key", "/match-requests", json!({ "activities": ["run"] })).await.expect(201);
    let twice = ana.post_once("a key", "/match-requests", json!({ "activities": ["run"] })).await.expect(201);
    assert_eq!(again.id(), twice.id(), "the same key makes one request");
    ana.post_once("a key", "/match-requests", json!({})).await.expect(422);
    for _ in 2..10 {
        wishes(&ana, json!({})).await;
    }
    let refused = ana.post("/match-requests", json!({})).await.refused(409, "too_many_match_requests");
    assert_eq!(refused.json["most"], 10);
    let page = ana.get("/match-requests?limit=4").await.expect(200);
    let cursor = page.str("next_cursor");
    let mut seen = page.item_ids();
    let mut next = Some(cursor);
    while let Some(cursor) = next {
        let page = ana.get(&format!("/match-requests?limit=4&cursor={cursor}")).await.expect(200);
        seen.extend(page.item_ids());
        next = page.json["next_cursor"].as_str().map(str::to_owned);
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), sorted.len(), seen.last()), (10, 10, Some(&first)), "newest first, each once");
    ben.delete(&format!("/match-requests/{first}")).await.refused(404, "not_found");
    ana.delete(&format!("/match-requests/{first}")).await.expect(204);
    ana.delete(&format!("/match-requests/{first}")).await.refused(404, "not_found");
    assert!(ben.get("/match-requests").await.expect(200).items().is_empty());
    town.nobody().get("/match-requests").await.refused(401, "not_logged_in");
    wishes(&ana, json!({})).await;
}

#[apply(database_test!)]
async fn without_an_area_and_a_profile_it_is_said_what_is_missing(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.person("Ana").await;
    let refused = ana.post("/match-requests", json!({ "activities": ["walk"] })).await.refused(409, "profile_missing");
    assert_eq!(refused.json["missing"], json!(["area"]));
    assert!(refused.str("detail").contains("`area`"), "{}", refused.text);
    wishes(&ana, json!({ "area": { "lat": 51.411, "lng": -0.3358 }, "activities": ["run"] })).await;
    let no_pace = town.run(&fay, |run| on_day(run, 1)).await;
    let waits = town
        .run(&fay, |run| {
            on_day(run, 2);
            run["no_drop"] = json!(true);
        })
        .await;
    let mails = alerts_to(&town, &ana).await;
    assert!(mails.len() == 1 && tells(&mails[0], &waits), "an area alone is enough");
    assert!(!tells(&mails[0], &no_pace), "no pace is known, and this one waits for nobody");
}

#[apply(database_test!)]
async fn every_fault_of_a_request_is_named_at_once(town: Town) {
    let ana = town.person("Ana").await;
    let windows: Vec<Value> = (0..51).map(|_| json!({ "weekday": "mon", "from": "18:00", "to": "20:00" })).collect();
    let languages: Vec<String> = (0..100).map(|n| format!("a{}", char::from(b'a' + n % 26))).collect();
    ana.post(
        "/match-requests",
        json!({ "area": { "lat": 91, "lng": -181 }, "travel_radius_km": 10_000, "activities": ["swim"],
            "availability": [{ "weekday": "tue", "from": "20:00", "to": "18:00" }], "languages": languages, "until": 1,
            "comfortable_pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 300 } }),
    )
    .await
    .faulty(&[
        "/area/lat too_large",
        "/area/lng too_small",
        "/travel_radius_km too_large",
        "/activities/0 unknown_value",
        "/languages too_many",
        "/until unknown_field",
    ]);
    ana.post("/match-requests", json!({ "travel_radius_km": 0, "activities": [], "availability": windows }))
        .await
        .faulty(&["/travel_radius_km too_small", "/activities too_few", "/availability too_many"]);
    ana.post("/match-requests", json!({ "travel_radius_km": -5, "languages": ["English"], "access_needs": ["Ramp!"] }))
        .await
        .faulty(&["/travel_radius_km too_small", "/languages/0 bad_format", "/access_needs/0 bad_format"]);
    ana.post(
        "/match-requests",
        json!({ "availability": [{ "weekday": "tue", "from": "20:00", "to": "18:00" }],
            "comfortable_pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 300 } }),
    )
    .await
    .faulty(&["/availability/0/to ends_before_it_begins", "/comfortable_pace upside_down"]);
    ana.delete("/match-requests/nothing").await.refused(404, "not_found");
    ana.get("/match-requests?limit=0&cursor=x").await.expect(422);
    assert_eq!(town.rows("match_requests"), 0);
}
