//! Races over real HTTP: whatever happens at the same moment, nobody sits where nobody may, and nobody gets a 5xx.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use macro_rules_attribute::apply;
use serde_json::json;

use crate::{
    harness::{Answer, Person, Run, Town},
    support::{database_test::database_test, rounds::rounds},
};

/// A start of its own for each round, so that the same people can come to all.
fn round_start(round: usize) -> serde_json::Value {
    json!(format!("2026-12-{:02}T{:02}:00:00Z", 1 + round / 6, 6 + 2 * (round % 6)))
}

fn no_error_of_ours(answers: &[Answer]) {
    for answer in answers {
        assert!(answer.status < 500, "{}: {} {}", answer.what, answer.status, answer.text);
    }
}

/// How many sign-ups of a run are in which state.
fn tally(town: &Town, run: &Run) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for status in states(town, &run.id) {
        *tally.entry(status).or_default() += 1;
    }
    tally
}

/// How many hold a place.
fn held(tally: &BTreeMap<String, usize>) -> usize {
    ["confirmed", "offered"].iter().filter_map(|status| tally.get(*status)).sum()
}

fn states(town: &Town, run: &str) -> Vec<String> {
    town.texts(&format!("SELECT status AS t FROM signups WHERE {}", is(town, "run_id", run)))
}

fn is(town: &Town, column: &str, id: &str) -> String {
    match town.kind() {
        crate::support::databases::Kind::Sqlite => format!("{column} = x'{}'", id.replace('-', "")),
        crate::support::databases::Kind::Postgres => format!("{column} = '{id}'"),
    }
}

async fn all_at_once(people: &[Person], run: &Run) -> Vec<Answer> {
    let calls = people.iter().map(|person| {
        let (person, run) = (person.clone(), run.id.clone());
        tokio::spawn(async move { person.sign_up(&run).await })
    });
    join_all(calls).await.into_iter().map(|done| done.expect("a call")).collect()
}

#[apply(database_test!)]
async fn two_hundred_people_race_for_ten_places(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let people = town.people("Pat", 200).await;
    let rounds = rounds(5, 20);
    for round in 0..rounds {
        let run = town.run(&fay, |run| run["starts_at"] = round_start(round)).await;
        let answers = all_at_once(&people, &run).await;
        for answer in &answers {
            assert_eq!(answer.status, 201, "round {round}: {}", answer.text);
        }
        let told = |status: &str| answers.iter().filter(|answer| answer.json["status"] == status).count();
        assert_eq!((told("confirmed"), told("waitlisted")), (10, 190), "round {round}");
        let wanted = [("confirmed".to_owned(), 10), ("waitlisted".to_owned(), 190)];
        assert_eq!(tally(&town, &run), wanted.into(), "round {round}");
        let distinct = town.number(&format!(
            "SELECT count(DISTINCT queue_no) AS n FROM signups WHERE {}",
            is(&town, "run_id", &run.id)
        ));
        assert_eq!(distinct, 200, "round {round}");
        // The ten are those who came first in the line.
        let last = town.number(&format!(
            "SELECT CAST(max(queue_no) AS bigint) AS n FROM signups WHERE status = 'confirmed' AND {}",
            is(&town, "run_id", &run.id)
        ));
        assert_eq!(last, 10, "round {round}");
        let shown = town.nobody().get(&run.at("")).await.json;
        assert_eq!((&shown["places_left"], &shown["waiting"]), (&json!(0), &json!(190)));
    }
    let rounds = i64::try_from(rounds).expect("few rounds");
    assert_eq!(town.rows("outbox WHERE kind = 'signup_confirmed'"), rounds * 10);
    assert_eq!(town.rows("outbox WHERE kind = 'signup_waitlisted'"), rounds * 190);
}

#[apply(database_test!)]
async fn a_ban_in_the_middle_of_them(town: Town) {
    town.leave_mail();
    let (fay, mo) = (town.facilitator("Fay").await, town.moderator("Mo").await);
    for round in 0..6 {
        let people = town.people("Pat", 40).await;
        let run = town.run(&fay, |_| {}).await;
        let banned: Vec<Person> = people.iter().step_by(8).cloned().collect();
        let bans = banned.iter().map(|person| {
            let (mo, id) = (mo.clone(), person.id);
            let body = json!({ "account_id": id, "kind": "ban", "rule": "r", "statement": "s" });
            tokio::spawn(async move { mo.post("/moderation/sanctions", body).await })
        });
        let bans: Vec<_> = bans.collect();
        let answers = all_at_once(&people, &run).await;
        no_error_of_ours(&answers);
        for ban in bans {
            ban.await.unwrap().expect(201);
        }
        let tally = tally(&town, &run);
        assert_eq!(held(&tally), 10, "round {round}: {tally:?}");
        for person in &banned {
            let mine = format!("account_id IN (SELECT id FROM accounts WHERE email = '{}')", person.email);
            let live = format!("signups WHERE {mine} AND status IN ('confirmed', 'offered', 'waitlisted')");
            assert_eq!(town.rows(&live), 0, "round {round}: a banned person holds a place");
        }
        // A place that was given up was passed on once: to somebody who waited or to the next who came.
        let in_run = is(&town, "run_id", &run.id);
        let gave_up =
            town.rows(&format!("signups WHERE {in_run} AND status = 'withdrawn' AND confirmed_at IS NOT NULL"));
        let ever = town.rows(&format!("signups WHERE {in_run} AND (confirmed_at IS NOT NULL OR status = 'offered')"));
        assert_eq!(ever, 10 + gave_up, "round {round}");
        let once = town.number(&format!(
            "SELECT count(*) AS n FROM (SELECT signup_id FROM outbox WHERE {in_run} AND kind = 'place_offered' \
             GROUP BY signup_id HAVING count(*) > 1) twice"
        ));
        assert_eq!(once, 0, "round {round}");
    }
}

#[apply(database_test!)]
async fn one_person_signing_up_for_two_runs_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.person("Ana").await;
    for round in 0..10 {
        let at_once = |run: &mut serde_json::Value| run["starts_at"] = round_start(round);
        let (one, two) = (town.run(&fay, at_once).await, town.run(&fay, at_once).await);
        let (a, b, c, d) =
            tokio::join!(ana.sign_up(&one.id), ana.sign_up(&two.id), ana.sign_up(&two.id), ana.sign_up(&one.id));
        let mut statuses: Vec<u16> = [&a, &b, &c, &d].iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201, 409, 409], "in one of them once, and never in both");
        let (mine, other) = if a.status < 300 { ((&a, &d), (&b, &c)) } else { ((&b, &c), (&a, &d)) };
        assert_eq!(mine.0.id(), mine.1.id());
        for refused in [other.0, other.1] {
            assert_eq!(refused.json["code"], "overlapping_run");
            assert_eq!(refused.json["conflicting_signup_id"], mine.0.id());
        }
        assert_eq!(states(&town, &one.id).len() + states(&town, &two.id).len(), 1);
    }
    town.work().await;
}

#[apply(database_test!)]
async fn one_person_signing_up_for_one_run_many_times_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let answers = all_at_once(&vec![ana.clone(); 20], &run).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 19);
    assert_eq!(town.mail_to(&ana.email).await.len(), 1);
}

#[apply(database_test!)]
async fn withdrawals_and_sign_ups_at_once_never_seat_too_many(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let people = town.people("Pat", 40).await;
    let run = town.run(&fay, |run| run["capacity"] = json!(5)).await;
    let answers = all_at_once(&people[..20], &run).await;
    let seats: Vec<(Person, String)> = people.iter().cloned().zip(answers.iter().map(Answer::id)).collect();
    let leaving = seats.iter().map(|(person, seat)| {
        let (person, path) = (person.clone(), format!("/signups/{seat}/withdraw"));
        tokio::spawn(async move { person.post(&path, json!({})).await })
    });
    let leaving: Vec<_> = leaving.collect();
    let watcher = {
        let (nobody, path) = (town.nobody(), run.at(""));
        tokio::spawn(async move {
            for _ in 0..30 {
                let shown = nobody.get(&path).await.json;
                assert!(shown["places_left"].as_i64().unwrap() <= 5 && shown["places"] == 5, "{shown}");
            }
        })
    };
    let coming = all_at_once(&people[20..], &run).await;
    no_error_of_ours(&coming);
    for left in leaving {
        left.await.unwrap().expect(200);
    }
    watcher.await.unwrap();
    let tally = tally(&town, &run);
    assert_eq!((held(&tally), tally.get("waitlisted"), tally.get("withdrawn")), (5, Some(&15), Some(&20)), "{tally:?}");
    // Those who are in stand before those who wait.
    let at = |aggregate: &str, statuses: &str| {
        let in_run = is(&town, "run_id", &run.id);
        town.number(&format!(
            "SELECT CAST({aggregate}(queue_no) AS bigint) AS n FROM signups WHERE status IN ({statuses}) AND {in_run}"
        ))
    };
    assert!(at("max", "'offered', 'confirmed', 'attended'") < at("min", "'waitlisted'"));
}

#[apply(database_test!)]
async fn more_and_fewer_places_at_once_never_seat_too_many(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    let people = town.people("Pat", 30).await;
    let run = town.run(&fay, |run| run["capacity"] = json!(4)).await;
    let edits = [8, 6, 9, 5].map(|capacity| {
        let (fay, path) = (fay.clone(), run.at(""));
        tokio::spawn(async move { fay.patch(&path, Some("*"), json!({ "capacity": capacity })).await })
    });
    let answers = all_at_once(&people, &run).await;
    no_error_of_ours(&answers);
    for edit in edits {
        let edit = edit.await.unwrap();
        assert!(matches!(edit.status, 200 | 412), "{}", edit.text);
    }
    let confirmed = held(&tally(&town, &run));
    assert!((4..=9).contains(&confirmed), "{confirmed}");
    let shown = town.nobody().get(&run.at("")).await.json;
    let places = usize::try_from(shown["places"].as_i64().unwrap()).unwrap();
    assert!(confirmed >= places, "free places and people waiting: {confirmed} of {places}");
}

#[apply(database_test!)]
async fn a_facilitator_leaving_in_the_middle_of_sign_ups(town: Town) {
    town.leave_mail();
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    for _ in 0..5 {
        let people = town.people("Pat", 40).await;
        let run = town.run(&fay, |run| run["capacity"] = json!(30)).await;
        fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
        gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
        let leaving = {
            let (gil, path) = (gil.clone(), run.at(&format!("/facilitators/{}", gil.id)));
            tokio::spawn(async move { gil.delete(&path).await })
        };
        let answers = all_at_once(&people, &run).await;
        no_error_of_ours(&answers);
        leaving.await.unwrap().expect(204);
        let confirmed = *tally(&town, &run).get("confirmed").unwrap();
        assert!((12..=24).contains(&confirmed), "{confirmed}");
        // Nobody was seated after the places fell to twelve: whoever came after the twelfth and after Gil waits.
        let shown = town.nobody().get(&run.at("")).await.json;
        assert_eq!((&shown["places"], &shown["places_left"]), (&json!(12), &json!(0)));
    }
}

#[apply(database_test!)]
async fn two_editors_at_once_and_one_is_stale(town: Town) {
    let fay = town.facilitator("Fay").await;
    for _ in 0..10 {
        let run = town.run(&fay, |_| {}).await;
        let edit = |title: &'static str| {
            let (fay, path) = (fay.clone(), run.at(""));
            async move { fay.patch(&path, Some("\"1\""), json!({ "title": title })).await }
        };
        let (a, b) = tokio::join!(edit("One"), edit("Two"));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        let winner = if a.status == 200 { "One" } else { "Two" };
        let shown = town.nobody().get(&run.at("")).await;
        assert_eq!((shown.str("title").as_str(), &shown.json["version"]), (winner, &json!(2)));
    }
}

#[apply(database_test!)]
async fn two_substitutes_at_once_and_the_run_is_led(town: Town) {
    town.leave_mail();
    let (fay, gil, hal) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.facilitator("Hal").await);
    let ana = town.person("Ana").await;
    for round in 0..5 {
        let run = town.run(&fay, |run| run["starts_at"] = round_start(round)).await;
        ana.joins(&run.id, "confirmed").await;
        fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
        let (path, body) = (run.at("/take-over"), json!({}));
        let (a, b) = tokio::join!(gil.post(&path, body.clone()), hal.post(&path, body.clone()));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let shown = town.nobody().get(&run.at("")).await.json;
        assert_eq!((&shown["status"], shown["facilitators"].as_array().unwrap().len()), (&json!("published"), 1));
    }
    assert_eq!(town.rows("outbox WHERE kind = 'run_resumed'"), 5);
}

#[apply(database_test!)]
async fn a_bar_in_the_middle_of_sign_ups(town: Town) {
    town.leave_mail();
    let fay = town.facilitator("Fay").await;
    for _ in 0..5 {
        let people = town.people("Pat", 24).await;
        let run = town.run(&fay, |run| run["capacity"] = json!(6)).await;
        let bars = people.iter().step_by(6).map(|person| {
            let fay = fay.clone();
            let body = json!({ "account_id": person.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
            tokio::spawn(async move { fay.post("/me/bars", body).await })
        });
        let bars: Vec<_> = bars.collect();
        no_error_of_ours(&all_at_once(&people, &run).await);
        for bar in bars {
            bar.await.unwrap().expect(201);
        }
        let tally = tally(&town, &run);
        assert_eq!(held(&tally), 6, "{tally:?}");
        for person in people.iter().step_by(6) {
            let live = format!(
                "signups WHERE account_id IN (SELECT id FROM accounts WHERE email = '{}') AND status IN ('confirmed', 'offered', 'waitlisted')",
                person.email
            );
            assert_eq!(town.rows(&live), 0);
        }
    }
}

#[apply(database_test!)]
async fn two_moderators_decide_about_each_other_at_once(town: Town) {
    town.leave_mail();
    for _ in 0..5 {
        let (mo, lu) = (town.moderator("Mo").await, town.moderator("Lu").await);
        let ban = |about: &Person| json!({ "account_id": about.id, "kind": "suspension", "rule": "r", "statement": "s", "expires_at": "2026-12-30T00:00:00Z" });
        let (a, b) =
            tokio::join!(mo.post("/moderation/sanctions", ban(&lu)), lu.post("/moderation/sanctions", ban(&mo)));
        no_error_of_ours(&[a.clone(), b.clone()]);
        let done = [&a, &b].iter().filter(|answer| answer.status == 201).count();
        assert!(done >= 1, "{} {}", a.text, b.text);
    }
}

#[apply(database_test!)]
async fn a_bar_while_its_facilitator_takes_the_run_over(town: Town) {
    town.leave_mail();
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    for round in 0..10 {
        let run = town.run(&fay, |run| run["starts_at"] = round_start(round)).await;
        let pat = town.person("Pat").await;
        let seat = pat.joins(&run.id, "confirmed").await;
        fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
        let body = json!({ "account_id": pat.id, "until": "2027-01-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
        let path = run.at("/take-over");
        let (led, barred) = tokio::join!(gil.post(&path, json!({})), gil.post("/me/bars", body));
        led.expect(200);
        barred.expect(201);
        assert_eq!(pat.seat(&seat).await, "withdrawn", "round {round}");
    }
}

#[apply(database_test!)]
async fn a_series_is_changed_while_one_of_its_dates_is_taken_over(town: Town) {
    town.leave_mail();
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    for _ in 0..5 {
        let mut run = town.run_body();
        run.as_object_mut().unwrap().remove("starts_at");
        let body = json!({ "run": run, "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=WEEKLY;BYDAY=TU" });
        let series = fay.post("/run-series", body).await.expect(201);
        let path = format!("/run-series/{}", series.id());
        ana.post(&format!("{path}/regulars"), json!({})).await;
        let date = series.json["dates"][0]["run_id"].as_str().unwrap();
        fay.delete(&format!("/runs/{date}/facilitators/{}", fay.id)).await.expect(204);
        let take_over = format!("/runs/{date}/take-over");
        let change = json!({ "rrule": "FREQ=WEEKLY;BYDAY=WE" });
        let (led, changed) =
            tokio::join!(gil.post(&take_over, json!({ "confirm_overlap": true })), fay.patch(&path, Some("*"), change));
        led.expect(200);
        changed.expect(200);
    }
}
