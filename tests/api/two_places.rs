//! Nobody is in two places at once: who leads one run neither leads nor joins another at the same time.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

/// 2.2 km north of the default meeting point.
fn far() -> Value {
    json!({ "lat": 51.431, "lng": -0.335791, "name": "The far gate" })
}

/// 560 metres north of it: walkable.
fn near() -> Value {
    json!({ "lat": 51.416, "lng": -0.335791, "name": "The near gate" })
}

fn body(town: &Town, start: &str, place: Option<Value>) -> Value {
    let mut body = town.run_body();
    body.as_object_mut().expect("an object").remove("confirm_overlap");
    body["starts_at"] = json!(start);
    if let Some(place) = place {
        body["meeting_point"] = place;
    }
    body
}

async fn posted(town: &Town, by: &Person, start: &str, place: Option<Value>) -> Run {
    let answer = by.post("/runs", body(town, start, place)).await.expect(201);
    Run { id: answer.id(), etag: answer.header("etag").to_owned(), json: answer.json }
}

#[apply(database_test!)]
async fn leader_posts_no_two_runs_at_one_time_in_two_places(town: Town) {
    let fay = town.facilitator("Fay").await;
    let first = posted(&town, &fay, "2026-11-26T09:00:00Z", None).await;
    for start in ["2026-11-26T09:00:00Z", "2026-11-26T09:59:59Z", "2026-11-26T08:00:01Z"] {
        let refused = fay.post("/runs", body(&town, start, Some(far()))).await.refused(409, "overlapping_run");
        assert_eq!(refused.json["conflicting_run_id"], json!(first.id));
        let mut confirmed = body(&town, start, Some(far()));
        confirmed["confirm_overlap"] = json!(true);
        fay.post("/runs", confirmed).await.refused(409, "overlapping_run");
    }
    for start in ["2026-11-26T10:00:00Z", "2026-11-26T08:00:00Z"] {
        posted(&town, &fay, start, Some(far())).await;
    }
    assert_eq!(town.rows("runs"), 3);
}

#[apply(database_test!)]
async fn leader_confirms_two_runs_within_walking_distance(town: Town) {
    let fay = town.facilitator("Fay").await;
    posted(&town, &fay, "2026-11-26T09:00:00Z", None).await;
    let mut second = body(&town, "2026-11-26T09:00:00Z", Some(near()));
    let refused = fay.post("/runs", second.clone()).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["can_confirm"], true);
    second["confirm_overlap"] = json!(true);
    let shown = fay.post("/runs", second).await.expect(201);
    assert!(shown.json.get("confirm_overlap").is_none(), "it is an answer and not a property: {}", shown.text);
}

#[apply(database_test!)]
async fn draft_is_checked_when_it_is_published(town: Town) {
    let fay = town.facilitator("Fay").await;
    posted(&town, &fay, "2026-11-26T09:00:00Z", None).await;
    let mut draft = body(&town, "2026-11-26T09:00:00Z", Some(far()));
    draft["draft"] = json!(true);
    let draft = fay.post("/runs", draft).await.expect(201);
    let (path, etag) = (format!("/runs/{}", draft.id()), draft.header("etag").to_owned());
    fay.patch(&path, Some(&etag), json!({ "draft": false })).await.refused(409, "overlapping_run");
    let later = json!({ "draft": false, "starts_at": "2026-11-26T12:00:00Z" });
    fay.patch(&path, Some(&etag), later).await.expect(200);
}

#[apply(database_test!)]
async fn change_of_time_or_place_makes_no_two_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let first = posted(&town, &fay, "2026-11-26T09:00:00Z", None).await;
    let second = posted(&town, &fay, "2026-11-26T12:00:00Z", Some(far())).await;
    let (path, etag) = (second.at(""), second.etag.as_str());
    for change in [json!({ "starts_at": "2026-11-26T09:30:00Z" }), json!({ "starts_at": "2026-11-26T08:30:00Z" })] {
        let refused = fay.patch(&path, Some(etag), change).await.refused(409, "overlapping_run");
        assert_eq!(refused.json["conflicting_run_id"], json!(first.id));
    }
    let longer = json!({ "duration_min": 300 });
    fay.patch(&first.at(""), Some(&first.etag), longer).await.refused(409, "overlapping_run");
    let here = json!({ "starts_at": "2026-11-26T09:30:00Z", "meeting_point": near() });
    fay.patch(&path, Some(etag), here.clone()).await.refused(409, "overlapping_run");
    let mut confirmed = here;
    confirmed["confirm_overlap"] = json!(true);
    let etag = fay.patch(&path, Some(etag), confirmed).await.expect(200).header("etag").to_owned();
    // What was confirmed is not asked about again while it stays where and when it is.
    fay.patch(&path, Some(&etag), json!({ "title": "Another title" })).await.expect(200);
}

#[apply(database_test!)]
async fn leading_along_and_taking_over_make_no_two_at_once(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let his = posted(&town, &gil, "2026-11-26T09:00:00Z", Some(far())).await;
    let hers = posted(&town, &fay, "2026-11-26T09:30:00Z", None).await;
    for role in ["leader", "back_marker"] {
        fay.post(&hers.at("/facilitators"), json!({ "account_id": gil.id, "role": role })).await.expect(201);
        let link = town.one_mail_to(&gil.email).await.link("lead-together");
        let refused =
            gil.post(&hers.at("/facilitators"), json!({ "account_id": gil.id })).await.refused(409, "overlapping_run");
        assert_eq!(refused.json["conflicting_run_id"], json!(his.id));
        town.nobody().press(&link, &[]).await.expect(409);
        fay.delete(&hers.at(&format!("/facilitators/{}", gil.id))).await.expect(204);
        town.post_office().await;
    }
    fay.delete(&hers.at(&format!("/facilitators/{}", fay.id))).await.expect(204);
    gil.post(&hers.at("/take-over"), json!({})).await.refused(409, "overlapping_run");
    gil.post(&hers.at("/take-over"), json!({ "confirm_overlap": true })).await.refused(409, "overlapping_run");
    let letters = town.post_office().await;
    assert!(letters.iter().all(|letter| letter.to != gil.email), "who is elsewhere is not called");
    gil.post(&his.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    gil.post(&hers.at("/take-over"), json!({})).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn co_leader_is_moved_into_no_other_run_of_theirs(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    posted(&town, &gil, "2026-11-26T12:00:00Z", Some(far())).await;
    let hers = posted(&town, &fay, "2026-11-26T09:00:00Z", None).await;
    fay.post(&hers.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    gil.post(&hers.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    town.post_office().await;
    let etag = fay.get(&hers.at("")).await.expect(200).header("etag").to_owned();
    let moved = json!({ "starts_at": "2026-11-26T12:30:00Z" });
    fay.patch(&hers.at(""), Some(&etag), moved).await.refused(409, "overlapping_run");
}

#[apply(database_test!)]
async fn who_leads_takes_no_place_elsewhere_at_that_time(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let hers = posted(&town, &fay, "2026-11-26T09:00:00Z", None).await;
    let his = posted(&town, &gil, "2026-11-26T09:30:00Z", Some(near())).await;
    let refused = fay.sign_up(&his.id).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_run_id"], json!(hers.id));
    // The other way round: a place first, then a run of one's own.
    let later = posted(&town, &gil, "2026-11-26T12:00:00Z", Some(far())).await;
    let seat = fay.joins(&later.id, "confirmed").await;
    let refused = fay.post("/runs", body(&town, "2026-11-26T12:30:00Z", None)).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_signup_id"], json!(seat));
    fay.withdraws(&seat).await;
    posted(&town, &fay, "2026-11-26T12:30:00Z", None).await;
    town.work().await;
}

fn series(town: &Town, rrule: &str) -> Value {
    let mut run = body(town, "2026-11-26T09:00:00Z", Some(far()));
    run.as_object_mut().expect("an object").remove("starts_at");
    json!({ "run": run, "first_local_start": "2026-11-26T09:00:00", "rrule": rrule })
}

#[apply(database_test!)]
async fn series_is_refused_with_a_date_at_which_its_author_is_elsewhere(town: Town) {
    let fay = town.facilitator("Fay").await;
    let other = posted(&town, &fay, "2026-12-10T09:30:00Z", None).await;
    let weekly = series(&town, "FREQ=WEEKLY;BYDAY=TH");
    let refused = fay.post("/run-series", weekly.clone()).await.refused(409, "overlapping_run");
    assert_eq!(refused.json["conflicting_run_id"], json!(other.id));
    assert_eq!(town.rows("runs"), 1, "nothing of it is kept");
    let mut walkable = weekly;
    walkable["run"]["meeting_point"] = near();
    fay.post("/run-series", walkable.clone()).await.refused(409, "overlapping_run");
    walkable["run"]["confirm_overlap"] = json!(true);
    fay.post("/run-series", walkable).await.expect(201);
}

#[apply(database_test!)]
async fn later_date_at_which_the_leader_is_elsewhere_is_made_on_hold(town: Town) {
    let fay = town.facilitator("Fay").await;
    fay.post("/run-series", series(&town, "FREQ=WEEKLY;BYDAY=TH")).await.expect(201);
    // Ten weeks ahead: the date of that day is not made yet.
    let other = posted(&town, &fay, "2027-02-04T09:30:00Z", None).await;
    town.post_office().await;
    town.set_clock("2026-12-20T10:00:00Z");
    let letters = town.post_office().await;
    let told: Vec<_> = letters.iter().filter(|letter| letter.to == fay.email).collect();
    assert_eq!(told.len(), 1, "{letters:?}");
    assert!(told[0].subject.starts_with("You are elsewhere on Thursday 4 February"), "{}", told[0].subject);
    assert!(told[0].text.contains(&other.id), "{}", told[0].text);
    assert_eq!(town.rows("runs WHERE status = 'paused'"), 1);
    let found = town.nobody().get("/runs?from=2027-02-01T00:00:00Z&to=2027-02-10T00:00:00Z").await.expect(200).items();
    assert!(found.iter().any(|run| run["id"] == json!(other.id)));
    assert_eq!(found.len(), 1, "nobody finds a date that nobody leads: {found:?}");
}

#[apply(database_test!)]
async fn series_is_moved_onto_no_other_run_of_its_leader(town: Town) {
    let fay = town.facilitator("Fay").await;
    let posted_series = fay.post("/run-series", series(&town, "FREQ=WEEKLY;BYDAY=TH;COUNT=3")).await.expect(201);
    posted(&town, &fay, "2026-12-03T18:00:00Z", None).await;
    let path = format!("/run-series/{}", posted_series.id());
    let evening = json!({ "first_local_start": "2026-11-26T18:00:00" });
    let etag = posted_series.header("etag").to_owned();
    fay.patch(&path, Some(&etag), evening).await.refused(409, "overlapping_run");
    let noon = json!({ "first_local_start": "2026-11-26T12:00:00" });
    fay.patch(&path, Some(&etag), noon).await.expect(200);
}

#[apply(database_test!)]
async fn two_runs_posted_at_the_same_moment_are_one(town: Town) {
    let fay = town.facilitator("Fay").await;
    let bodies = [None, Some(far())].map(|place| body(&town, "2026-11-26T09:00:00Z", place));
    let answers = futures_util::future::join_all(bodies.into_iter().map(|body| fay.post("/runs", body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}
