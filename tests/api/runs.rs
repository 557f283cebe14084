//! Runs: posting, editing, calling off, hidden meeting points, leading together, stepping down, the public list.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

#[apply(database_test!)]
async fn a_posted_run_has_its_zone_its_local_start_and_its_places(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(30)).await;
    assert_eq!(run.etag, "\"1\"");
    let shown = town.nobody().get(&run.at("")).await.expect(200);
    let json = &shown.json;
    assert_eq!(
        (shown.str("time_zone"), shown.str("local_start")),
        ("Europe/London".into(), "2026-11-26T09:00:00".into())
    );
    assert_eq!((&json["capacity"], &json["places"], &json["places_left"]), (&json!(30), &json!(12), &json!(12)));
    assert_eq!(
        (&json["status"], &json["after_dark"], &json["version"]),
        (&json!("published"), &json!(false), &json!(1))
    );
    assert_eq!(json["facilitators"], json!([{ "id": fay.id, "display_name": "Fay", "role": "leader" }]));
    assert_eq!(json["meeting_point"]["name"], "The Diana fountain");
    assert_eq!(shown.header("etag"), "\"1\"");
    let far = town
        .run(&fay, |run| {
            run["meeting_point"] = json!({ "lat": -31.54, "lng": 159.08, "name": "Lord Howe jetty" });
            run["starts_at"] = json!("2026-11-26T22:00:00+00:00");
        })
        .await;
    assert_eq!(far.json["time_zone"], "Australia/Lord_Howe");
    assert_eq!(far.json["local_start"], "2026-11-27T09:00:00");
}

#[apply(database_test!)]
async fn at_sea_there_is_no_time_zone(town: Town) {
    let fay = town.facilitator("Fay").await;
    let mut body = town.run_body();
    body["meeting_point"] = json!({ "lat": 0.0, "lng": -30.0, "name": "A wave" });
    fay.post("/runs", body).await.faulty(&["/meeting_point no_time_zone"]);
    assert_eq!(town.rows("runs"), 0);
}

#[apply(database_test!)]
async fn a_zone_that_shows_another_time_there_is_refused(town: Town) {
    let fay = town.facilitator("Fay").await;
    let post = async |zone: &str| {
        let mut body = town.run_body();
        body["time_zone"] = json!(zone);
        fay.post("/runs", body).await
    };
    post("Europe/Berlin").await.faulty(&["/time_zone not_the_time_there"]);
    post("Europe/Atlantis").await.faulty(&["/time_zone unknown_time_zone"]);
    assert_eq!(post("Europe/Jersey").await.expect(201).json["time_zone"], "Europe/Jersey");
}

#[apply(database_test!)]
async fn a_run_with_any_part_after_dusk_is_after_dark(town: Town) {
    let fay = town.facilitator("Fay").await;
    let at = async |start: &str| {
        let run = town.run(&fay, |run| run["starts_at"] = json!(start)).await;
        run.json["after_dark"].clone()
    };
    // Sunset in Bushy Park on 26 November is at about 15:58 and civil dusk at about 16:36.
    assert_eq!(at("2026-11-26T14:00:00Z").await, json!(false));
    assert_eq!(at("2026-11-26T16:00:00Z").await, json!(true));
    assert_eq!(at("2026-11-26T06:30:00Z").await, json!(true));
    assert_eq!(at("2026-11-26T19:00:00Z").await, json!(true));
}

#[apply(database_test!)]
async fn editing_needs_the_version_that_one_saw(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let change = json!({ "title": "A very easy morning" });
    fay.patch(&run.at(""), None, change.clone()).await.refused(428, "version_missing");
    fay.patch(&run.at(""), Some("\"7\""), change.clone()).await.refused(412, "version_stale");
    // Sign-ups never change it.
    ana.joins(&run.id, "confirmed").await;
    let edited = fay.patch(&run.at(""), Some(&run.etag), change.clone()).await.expect(200);
    assert_eq!((edited.header("etag"), edited.str("title").as_str()), ("\"2\"", "A very easy morning"));
    fay.patch(&run.at(""), Some(&run.etag), change.clone()).await.refused(412, "version_stale");
    gil.patch(&run.at(""), Some("\"2\""), change.clone()).await.refused(404, "not_found");
    ana.patch(&run.at(""), Some("\"2\""), change.clone()).await.refused(404, "not_found");
    town.nobody().patch(&run.at(""), Some("\"2\""), change).await.refused(401, "not_logged_in");
    let wrong = json!({ "title": "", "capacity": 0, "colour": "blue", "pace": { "fastest_s_per_km": 10 } });
    fay.patch(&run.at(""), Some("\"2\""), wrong).await.faulty(&[
        "/title too_short",
        "/capacity too_small",
        "/colour unknown_field",
        "/pace/fastest_s_per_km too_small",
    ]);
    // Null takes a value back; what is not named stays.
    let cleared = fay.patch(&run.at(""), Some("\"2\""), json!({ "distance_km": null })).await.expect(200);
    assert!(cleared.json["distance_km"].is_null());
    assert_eq!(cleared.str("title"), "A very easy morning");
    let moved = json!({ "meeting_point": { "lat": 40.4153, "lng": -3.6845, "name": "Retiro" } });
    let moved = fay.patch(&run.at(""), Some("\"3\""), moved).await.expect(200);
    assert_eq!(moved.str("time_zone"), "Europe/Madrid");
    town.work().await;
}

#[apply(database_test!)]
async fn an_edit_that_matters_is_told_to_everybody_on_the_run(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    fay.patch(&run.at(""), Some("\"1\""), json!({ "description": "Twice around." })).await.expect(200);
    assert!(town.post_office().await.is_empty(), "other words are no news");
    fay.patch(&run.at(""), Some("\"2\""), json!({ "starts_at": "2026-11-26T10:00:00Z" })).await.expect(200);
    let letters = town.post_office().await;
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        assert!(letter.text.contains("Thursday 26 November 2026, 09:00"), "{}", letter.text);
        assert!(letter.text.contains("Thursday 26 November 2026, 10:00"), "{}", letter.text);
    }
    let acts = town.texts("SELECT act AS t FROM audit_log ORDER BY act");
    assert!(acts.iter().any(|act| act == "run_edited"), "{acts:?}");
}

#[apply(database_test!)]
async fn a_draft_is_seen_by_its_facilitator_alone_until_it_is_published(town: Town) {
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let run = town.run(&fay, |run| run["draft"] = json!(true)).await;
    assert_eq!(run.json["status"], "draft");
    fay.get(&run.at("")).await.expect(200);
    gil.get(&run.at("")).await.refused(404, "not_found");
    mo.get(&run.at("")).await.refused(404, "not_found");
    town.nobody().get(&run.at("")).await.refused(404, "not_found");
    gil.sign_up(&run.id).await.refused(404, "not_found");
    gil.post(&run.at("/take-over"), json!({})).await.refused(404, "not_found");
    assert!(fay.get("/runs").await.item_ids().is_empty());
    let published = fay.patch(&run.at(""), Some(&run.etag), json!({ "draft": false })).await.expect(200);
    assert_eq!(published.json["status"], "published");
    gil.get(&run.at("")).await.expect(200);
    let back = fay.patch(&run.at(""), Some("\"2\""), json!({ "draft": true })).await;
    back.faulty(&["/draft already_published"]);
}

#[apply(database_test!)]
async fn calling_a_run_off_tells_everybody_why(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    together(&town, &run, &fay, &gil).await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    let gone = cem.joins(&run.id, "waitlisted").await;
    cem.withdraws(&gone).await;
    town.post_office().await;
    let body = json!({ "reason_code": "weather", "message": "The path is under water." });
    let cancelled = fay.post(&run.at("/cancel"), body.clone()).await.expect(200);
    assert_eq!((&cancelled.json["status"], &cancelled.json["cancel_reason"]), (&json!("cancelled"), &json!("weather")));
    fay.post(&run.at("/cancel"), body).await.expect(200);
    let letters = town.post_office().await;
    let mut to: Vec<&str> = letters.iter().map(|l| l.to.as_str()).collect();
    to.sort_unstable();
    let mut wanted = [ana.email.as_str(), ben.email.as_str(), gil.email.as_str()];
    wanted.sort_unstable();
    assert_eq!(to, wanted, "not the one who left, nor the one who called it off");
    for letter in &letters {
        assert!(letter.text.contains("The path is under water."), "{}", letter.text);
        assert!(letter.text.contains("The weather does not let it happen safely."), "{}", letter.text);
    }
    ana.sign_up(&run.id).await.expect(200);
    cem.sign_up(&run.id).await.refused(409, "run_cancelled");
    // No reminder for it.
    town.set_clock("2026-11-26T07:00:00Z");
    assert!(town.post_office().await.is_empty());
}

#[apply(database_test!)]
async fn only_its_facilitators_and_the_team_can_call_a_run_off(town: Town) {
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let run = town.run(&fay, |_| {}).await;
    let body = json!({ "reason_code": "other" });
    gil.post(&run.at("/cancel"), body.clone()).await.refused(404, "not_found");
    town.person("Ana").await.post(&run.at("/cancel"), body.clone()).await.refused(404, "not_found");
    fay.post(&run.at("/cancel"), json!({ "reason_code": "boredom" })).await.faulty(&["/reason_code unknown_value"]);
    mo.post(&run.at("/cancel"), body).await.expect(200);
    town.one_mail_to(&fay.email).await;
    assert_eq!(town.rows("audit_log WHERE act = 'run_cancelled'"), 1);
}

/// `first` asks `second`, who accepts.
async fn together(town: &Town, run: &Run, first: &Person, second: &Person) {
    first.post(&run.at("/facilitators"), json!({ "account_id": second.id })).await.expect(201);
    second.post(&run.at("/facilitators"), json!({ "account_id": second.id })).await.expect(200);
    town.work().await;
}

const POINT: [f64; 2] = [51.410_992, -0.335_791];

fn hidden(run: &mut Value) {
    run["no_drop"] = json!(true);
    run["join_policy"] = json!("approval");
    run["meeting_point"]["name"] = json!("Behind the old chapel");
    run["getting_there"] = json!("Knock three times.");
}

#[apply(database_test!)]
async fn a_hidden_meeting_point_is_seen_by_those_who_are_in_and_by_nobody_else(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, hidden).await;
    assert_eq!(run.json["meeting_point"]["name"], "Behind the old chapel", "its facilitator sees it");
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    for person in [&ana, &ben] {
        let body = json!({ "activities": ["run"], "home": { "lat": 51.42, "lng": -0.33 } });
        person.put("/me/running-profile", body).await.expect(200);
    }
    let seat = ana.joins(&run.id, "requested").await;
    let everywhere = async |client: &crate::harness::Client, token: bool| {
        let mut texts = vec![
            client.get(&run.at("")).await.expect(200).text,
            client.get("/runs").await.expect(200).text,
            client.get(&format!("/runs?near={},{}&radius_km=5", POINT[0], POINT[1])).await.expect(200).text,
            client.get(&format!("/facilitators/{}", fay.id)).await.expect(200).text,
        ];
        if token {
            texts.push(client.get("/matches?include_mine=true").await.expect(200).text);
            texts.push(client.get(&format!("/matches?explain={}", run.id)).await.expect(200).text);
            texts.push(client.get("/me/signups").await.expect(200).text);
        }
        texts
    };
    let traces = ["51.410992", "51.41099", "-0.335791", "old chapel", "Knock three times"];
    let seen = async |client: &crate::harness::Client, token: bool| {
        let texts = everywhere(client, token).await;
        texts.iter().filter(|text| traces.iter().any(|trace| text.contains(trace))).count()
    };
    assert_eq!(seen(&town.nobody(), false).await, 0);
    assert_eq!(seen(&ben, true).await, 0);
    assert_eq!(seen(&gil, false).await, 0);
    assert_eq!(seen(&ana, true).await, 0, "a request shows nothing yet");
    fay.post(&format!("/signups/{seat}/approve"), json!({})).await.expect(200);
    assert_eq!(seen(&ana, true).await, 7, "those who are in see it everywhere");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("Behind the old chapel") && letter.text.contains("Knock three times."));
    ana.withdraws(&seat).await;
    assert_eq!(seen(&ana, true).await, 0, "and no longer after they left");
    let opened = fay.patch(&run.at(""), Some(&run.etag), json!({ "meeting_point_public": true })).await.expect(200);
    assert_eq!(opened.json["meeting_point"]["name"], "Behind the old chapel");
    assert!(seen(&town.nobody(), false).await > 0);
    town.work().await;
}

#[apply(database_test!)]
async fn a_hidden_point_cannot_be_felt_out_by_searching_nearer_and_nearer(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, hidden).await;
    let nobody = town.nobody();
    let shown = nobody.get(&run.at("")).await.expect(200);
    let centre = &shown.json["meeting_area"]["centre"];
    let (lat, lng) = (centre["lat"].as_f64().unwrap(), centre["lng"].as_f64().unwrap());
    let found = async |lat: f64, lng: f64| {
        let path = format!("/runs?near={lat:.9},{lng:.9}&radius_km=0.1");
        !nobody.get(&path).await.expect(200).items().is_empty()
    };
    assert!(found(lat, lng).await, "it is where the centre of its area is");
    assert!((lat - POINT[0]).hypot(lng - POINT[1]) > 0.0015, "the test needs a point away from the centre");
    assert!(!found(POINT[0], POINT[1]).await, "and not where it really is");
}

#[apply(database_test!)]
async fn a_second_facilitator_is_asked_accepts_and_makes_places(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(20)).await;
    let people = town.people("Pat", 13).await;
    let mut seats = Vec::new();
    for person in &people {
        seats.push(person.sign_up(&run.id).await.expect(201).id());
    }
    assert_eq!(people[12].seat(&seats[12]).await, "waitlisted", "one facilitator makes twelve places");
    town.post_office().await;
    let ask = json!({ "account_id": gil.id });
    people[0].post(&run.at("/facilitators"), ask.clone()).await.refused(404, "not_found");
    gil.post(&run.at("/facilitators"), ask.clone()).await.refused(404, "not_found");
    fay.post(&run.at("/facilitators"), json!({ "account_id": people[0].id }))
        .await
        .refused(409, "not_approved_facilitator");
    fay.post(&run.at("/facilitators"), ask.clone()).await.expect(201);
    fay.post(&run.at("/facilitators"), ask.clone()).await.refused(409, "already_listed");
    assert_eq!(town.nobody().get(&run.at("")).await.json["places"], 12, "who is only asked makes no places");
    gil.get(&run.at("/signups")).await.refused(404, "not_found");
    let link = town.one_mail_to(&gil.email).await.link("lead-together");
    town.nobody().open(&link).await.expect(200);
    assert_eq!(town.nobody().get(&run.at("")).await.json["places"], 12);
    town.nobody().press(&link, &[]).await.expect(200);
    let shown = town.nobody().get(&run.at("")).await.json;
    assert_eq!((&shown["places"], shown["facilitators"].as_array().unwrap().len()), (&json!(20), 2));
    assert_eq!(people[12].seat(&seats[12]).await, "offered");
    gil.get(&run.at("/signups")).await.expect(200);
    // One goes: nobody is put out, and the run goes on.
    fay.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
    let shown = town.nobody().get(&run.at("")).await.json;
    assert_eq!(
        (&shown["status"], &shown["places"], &shown["places_left"]),
        (&json!("published"), &json!(12), &json!(0))
    );
    assert_eq!(people[12].seat(&seats[12]).await, "offered");
    town.work().await;
}

#[apply(database_test!)]
async fn stepping_down_pauses_the_run_and_a_substitute_takes_it_over(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "paused");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("Wednesday 25 November 2026, 21:00"), "until when it is decided:\n{}", letter.text);
    town.person("Ben").await.sign_up(&run.id).await.refused(409, "run_paused");
    ana.post(&run.at("/take-over"), json!({})).await.refused(403, "facilitators_only");
    let taken = gil.post(&run.at("/take-over"), json!({})).await.expect(200);
    assert_eq!(taken.json["facilitators"][0]["display_name"], "Gil");
    assert_eq!(taken.json["status"], "published");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("Gil"), "{}", letter.text);
    assert_eq!(ana.seat(&seat).await, "confirmed");
    assert_eq!(town.rows("audit_log WHERE act = 'run_taken_over'"), 1);
}

#[apply(database_test!)]
async fn nobody_takes_over_a_run_that_is_led(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    gil.post(&run.at("/take-over"), json!({})).await.refused(409, "run_not_paused");
    gil.delete(&run.at(&format!("/facilitators/{}", gil.id))).await.refused(404, "not_found");
    gil.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn a_paused_run_is_cancelled_at_the_deadline(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    town.set_clock("2026-11-25T20:59:59Z");
    town.post_office().await;
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "paused");
    town.set_clock("2026-11-25T21:00:00Z");
    gil.post(&run.at("/take-over"), json!({})).await.refused(409, "take_over_too_late");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("No facilitator could be found in time."), "{}", letter.text);
    let shown = town.nobody().get(&run.at("")).await.json;
    assert_eq!((&shown["status"], &shown["cancel_reason"]), (&json!("cancelled"), &json!("no_facilitator")));
}

#[apply(database_test!)]
async fn stepping_down_after_the_deadline_cancels_at_once(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-26T08:00:00Z");
    town.post_office().await;
    fay.delete(&run.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "cancelled");
    town.one_mail_to(&ana.email).await;
}

#[apply(database_test!)]
async fn the_cannot_lead_link_steps_down_by_pressing_only(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "confirmed").await;
    town.set_clock("2026-11-25T09:00:00Z");
    let link = town.one_mail_to(&fay.email).await.link("cannot-lead");
    let page = town.nobody().open(&link).await.expect(200);
    assert!(page.text.contains("Fay"), "{}", page.text);
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "published");
    town.nobody().press(&link, &[]).await.expect(200);
    assert_eq!(town.nobody().get(&run.at("")).await.json["status"], "paused");
    assert_eq!(town.nobody().press(&link, &[]).await.status, 410);
    town.work().await;
}

#[apply(database_test!)]
async fn the_list_shows_runs_near_a_point_by_their_start(town: Town) {
    let at = async |day: u8, lat: f64, lng: f64| {
        // Nobody leads in two places at one time.
        let fay = town.facilitator("Fay").await;
        let change = |run: &mut Value| {
            run["starts_at"] = json!(format!("2026-11-{day}T12:00:00Z"));
            run["meeting_point"] = json!({ "lat": lat, "lng": lng, "name": "Somewhere" });
        };
        town.run(&fay, change).await.id
    };
    let later = at(28, 51.41, -0.33).await;
    let sooner = at(26, 51.45, -0.30).await;
    let madrid = at(27, 40.4153, -3.6845).await;
    // Two sides of the antimeridian, about 11 km apart.
    let taveuni = at(27, -16.80, 179.98).await;
    let nobody = town.nobody();
    assert_eq!(
        nobody.get("/runs?near=51.41,-0.33&radius_km=10").await.expect(200).item_ids(),
        [sooner.clone(), later.clone()]
    );
    assert_eq!(nobody.get("/runs?near=51.41,-0.33&radius_km=1").await.item_ids(), [later.as_str()]);
    assert_eq!(nobody.get("/runs?near=51.41,-0.33").await.item_ids().len(), 2);
    assert_eq!(nobody.get("/runs?near=-16.80,-179.96&radius_km=15").await.item_ids(), [taveuni.as_str()]);
    assert_eq!(nobody.get("/runs").await.item_ids(), {
        let mut all = [madrid, taveuni];
        all.sort();
        [vec![sooner], all.to_vec(), vec![later]].concat()
    });
}

#[apply(database_test!)]
async fn the_list_can_be_filtered(town: Town) {
    let fay = town.facilitator("Fay").await;
    let walk = town
        .run(&fay, |run| {
            run["activity"] = json!("walk");
            run["pace"] = json!({ "fastest_s_per_km": 700, "slowest_s_per_km": 900 });
            run["access"] = json!({ "step_free": "yes", "toilet": "no" });
            run["languages"] = json!(["en", "cy"]);
        })
        .await
        .id;
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await.id;
    let list = async |query: &str| town.nobody().get(&format!("/runs?{query}")).await.expect(200).item_ids();
    assert_eq!(list("activity=walk").await, [walk.as_str()]);
    assert_eq!(list("activity=run_walk").await, [""; 0]);
    assert_eq!(list("pace_s_per_km=700").await, [walk.as_str()]);
    assert_eq!(list("pace_s_per_km=405").await, [run.as_str()]);
    assert_eq!(list("access=step_free").await, [walk.as_str()]);
    assert_eq!(list("access=toilet").await, [""; 0]);
    assert_eq!(list("language=cy").await, [walk.as_str()]);
    assert_eq!(list("from=2026-11-27T00:00:00Z").await, [run.as_str()]);
    assert_eq!(list("to=2026-11-28T09:00:00Z").await, [walk.as_str()]);
    let bad = "near=north&radius_km=900&from=yesterday&activity=swim&pace_s_per_km=1&limit=0&colour=blue";
    town.nobody().get(&format!("/runs?{bad}")).await.faulty(&[
        "?near bad_format",
        "?radius_km too_large",
        "?from bad_format",
        "?activity unknown_value",
        "?pace_s_per_km too_small",
        "?limit too_small",
        "?colour unknown_field",
    ]);
    town.nobody().get("/runs?near=91,0").await.faulty(&["?near out_of_range"]);
    town.nobody().get("/runs?limit=5&limit=6").await.faulty(&["?limit given_twice"]);
    let wrong = "/runs?from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z";
    town.nobody().get(wrong).await.faulty(&["?to before_from"]);
}

#[apply(database_test!)]
async fn pages_follow_each_other_without_gaps_and_cursors_know_their_filters(town: Town) {
    let fay = town.facilitator("Fay").await;
    let mut all = Vec::new();
    for number in 0..7 {
        // Three starts at the same moment: the id decides then.
        let hour = 9 + number / 3;
        all.push(town.run(&fay, |run| run["starts_at"] = json!(format!("2026-11-26T{hour:02}:00:00Z"))).await);
    }
    all.sort_by_key(|run| (run.json["starts_at"].to_string(), run.id.clone()));
    let wanted: Vec<String> = all.into_iter().map(|run| run.id).collect();
    let nobody = town.nobody();
    let (mut seen, mut cursor, mut first) = (Vec::new(), String::new(), String::new());
    loop {
        let page = nobody.get(&format!("/runs?limit=2{cursor}")).await.expect(200);
        seen.extend(page.item_ids());
        let Some(next) = page.json["next_cursor"].as_str() else { break };
        if first.is_empty() {
            next.clone_into(&mut first);
        }
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, wanted);
    nobody.get(&format!("/runs?activity=run&cursor={first}")).await.faulty(&["?cursor other_filters"]);
    nobody.get("/runs?cursor=abc").await.faulty(&["?cursor invalid"]);
    let mut forged = first.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    nobody.get(&format!("/runs?cursor={forged}x")).await.faulty(&["?cursor invalid"]);
    fay.get(&format!("/me/signups?cursor={first}")).await.faulty(&["?cursor other_filters"]);
}

#[apply(database_test!)]
async fn past_cancelled_paused_and_draft_runs_are_not_in_the_list(town: Town) {
    let fay = town.facilitator("Fay").await;
    let past = town.run(&fay, |run| run["starts_at"] = json!("2026-11-23T11:00:00Z")).await;
    let cancelled = town.run(&fay, |_| {}).await;
    fay.post(&cancelled.at("/cancel"), json!({ "reason_code": "other" })).await.expect(200);
    let paused = town.run(&fay, |_| {}).await;
    fay.delete(&paused.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    town.run(&fay, |run| run["draft"] = json!(true)).await;
    let open = town.run(&fay, |_| {}).await;
    town.minutes_pass(61);
    assert_eq!(town.nobody().get("/runs").await.item_ids(), [open.id]);
    assert_eq!(fay.get("/runs?from=2026-11-01T00:00:00Z").await.item_ids().len(), 1);
    town.nobody().get(&past.at("")).await.expect(200);
    town.work().await;
}
