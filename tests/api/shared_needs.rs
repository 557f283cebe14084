//! Access needs that people let facilitators see, and what the mail about a place says of them.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::service::housekeeping;

use crate::{
    harness::{Person, Run, Town},
    support::database_test::database_test,
};

fn at(signup: &str) -> String {
    format!("/signups/{signup}/access-needs")
}

async fn shares(person: &Person, run: &Run, needs: Value) -> String {
    let answer = person.post(&run.at("/signups"), json!({ "share_access_needs": needs })).await.expect(201);
    assert!(!answer.text.contains("step_free"), "it would be kept with an Idempotency-Key: {}", answer.text);
    answer.id()
}

async fn shared(person: &Person, signup: &str) -> Value {
    person.get(&format!("/signups/{signup}")).await.expect(200).json["share_access_needs"].clone()
}

fn forget(town: &Town) {
    let app = town.app();
    housekeeping::forget(&app.db, &app.config.policy, town.now()).expect("forgetting");
}

#[apply(database_test!)]
async fn shared_needs_are_seen_from_the_sign_up_on(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let mo = town.moderator("Mo").await;
    let run = town.run(&fay, |_| {}).await;
    let has_needs = |profile: &mut Value| profile["access_needs"] = json!(["toilet", "step_free"]);
    let (ana, ben) = (town.runner("Ana", has_needs).await, town.runner("Ben", has_needs).await);
    let (seat, other) =
        (shares(&ana, &run, json!(["step_free", "step_free"])).await, ben.joins(&run.id, "confirmed").await);
    town.post_office().await;
    let looks = || town.rows("audit_log WHERE act = 'access_needs_seen'");
    let look = async |signup: &str| fay.post(&at(signup), json!({})).await;

    let seen = look(&seat).await.expect(200);
    assert_eq!(seen.json["access_needs"], json!([{ "code": "step_free", "text": "step-free access" }]));
    assert_eq!((seen.header("cache-control"), looks()), ("no-store", 1));
    let none = look(&other).await.expect(200);
    assert_eq!((&none.json["access_needs"], looks()), (&json!([]), 2), "what a profile says is not shared by itself");
    for stranger in [&gil, &ana, &ben, &mo] {
        // Not even a wrong body says that there is something.
        stranger.post(&at(&seat), json!({ "unknown": true })).await.refused(404, "not_found");
    }
    town.nobody().post(&at(&seat), json!({})).await.refused(401, "not_logged_in");
    fay.post(&at(&seat), json!({ "unknown": true })).await.refused(422, "invalid");
    fay.post_once("one look", &at(&seat), json!({})).await.expect(200);
    town.set_clock("2026-11-26T13:59:59Z");
    look(&seat).await.expect(200);
    town.set_clock("2026-11-26T14:00:00Z");
    look(&seat).await.refused(409, "desk_closed");
    assert_eq!(looks(), 4, "what was refused was not seen");

    let words = "about LIKE '%step%' OR about LIKE '%need%' OR about LIKE '%given%'";
    assert_eq!(town.rows(&format!("audit_log WHERE act = 'access_needs_seen' AND ({words})")), 0);
    assert_eq!(town.rows("idempotency_keys WHERE body LIKE '%step%'"), 0);
    for list in [run.at("/signups"), "/run-series".into()] {
        let listed = fay.get(&list).await.expect(200);
        assert!(!listed.text.contains("step"), "{}", listed.text);
    }
    assert!(!ana.get("/me/signups").await.expect(200).text.contains("share_access_needs"));
    assert_eq!(town.rows("shared_access_needs"), 1);
    forget(&town);
    assert_eq!(town.rows("shared_access_needs"), 0, "nobody may look at it any more");
    assert_eq!(shared(&ana, &seat).await, json!([]));
    town.leave_mail();
}

#[apply(database_test!)]
async fn back_marker_and_those_without_a_place_share_nothing(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let asked = json!({ "account_id": gil.id, "role": "back_marker" });
    fay.post(&run.at("/facilitators"), asked).await.expect(201);
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = shares(&ana, &run, json!(["step_free"])).await;
    let waits = shares(&ben, &run, json!(["step_free"])).await;
    town.set_clock("2026-11-26T08:00:00Z");
    gil.post(&at(&seat), json!({})).await.refused(403, "leaders_only");
    fay.post(&at(&waits), json!({})).await.refused(409, "signup_not_live");
    fay.post(&at(&seat), json!({})).await.expect(200);
    assert_eq!(town.rows("audit_log WHERE act = 'access_needs_seen'"), 1);
    town.leave_mail();
}

#[apply(database_test!)]
async fn what_is_shared_changes_while_the_signup_is_live(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let seat = ana.joins(&run.id, "confirmed").await;
    assert_eq!(shared(&ana, &seat).await, json!([]));
    let put = async |needs: Value| ana.put(&at(&seat), json!({ "share_access_needs": needs })).await;
    let answer = put(json!(["Step-Free", "quiet_place", "step_free"])).await.expect(200);
    assert_eq!(answer.json, json!({ "share_access_needs": ["step_free", "quiet_place"] }));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(shared(&ana, &seat).await, json!(["step_free", "quiet_place"]));
    put(json!(["toilet"])).await.expect(200);
    assert_eq!(shared(&ana, &seat).await, json!(["toilet"]));
    for other in [&ben, &fay] {
        other.put(&at(&seat), json!({ "share_access_needs": ["nonsense"] })).await.refused(404, "not_found");
    }
    town.nobody().put(&at(&seat), json!({ "share_access_needs": [] })).await.refused(401, "not_logged_in");
    ana.put(&at(&seat), json!({})).await.faulty(&["/share_access_needs required"]);
    put(json!(vec!["toilet"; 21])).await.faulty(&["/share_access_needs too_many"]);
    assert_eq!(shared(&ana, &seat).await, json!(["toilet"]));
    put(json!([])).await.expect(200);
    assert_eq!(town.rows("shared_access_needs"), 0);

    put(json!(["toilet"])).await.expect(200);
    ana.withdraws(&seat).await;
    assert_eq!(town.rows("shared_access_needs"), 0, "it goes with the sign-up");
    put(json!(["toilet"])).await.refused(409, "signup_not_live");
    town.post_office().await;
}

#[apply(database_test!)]
async fn shared_needs_go_with_the_end_of_a_signup(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    let needs = || json!(["step_free"]);
    let (seat, other) = (shares(&ana, &run, needs()).await, shares(&ben, &run, needs()).await);
    shares(&cem, &run, needs()).await;
    let why = json!({ "reason_code": "not_a_fit", "private_note": "n" });
    fay.post(&format!("/signups/{seat}/remove"), why).await.expect(200);
    assert_eq!(town.rows("shared_access_needs"), 2);
    town.set_clock("2026-11-26T09:10:00Z");
    fay.post(&format!("/runs/{}/check-in", run.id), json!({})).await.expect(200);
    fay.post(&format!("/signups/{other}/no-show"), json!({})).await.expect(200);
    fay.post(&at(&other), json!({})).await.expect(200);
    assert_eq!(town.rows("shared_access_needs"), 2, "who is marked as missing may be on the way");
    town.set_clock("2026-11-26T14:00:00Z");
    let late = ben.put(&at(&other), json!({ "share_access_needs": ["toilet"] })).await;
    late.refused(409, "signup_not_live");
    let over = cem.get("/me/signups").await.expect(200).items()[0]["id"].as_str().unwrap().to_owned();
    cem.put(&at(&over), json!({ "share_access_needs": ["toilet"] })).await.refused(409, "run_over");
    forget(&town);
    assert_eq!(town.rows("shared_access_needs"), 0);

    let next = town.run(&fay, |run| run["starts_at"] = json!("2026-12-01T09:00:00Z")).await;
    let seat = shares(&ben, &next, needs()).await;
    fay.post(&next.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    ben.put(&at(&seat), json!({ "share_access_needs": ["toilet"] })).await.refused(409, "run_cancelled");
    forget(&town);
    assert_eq!(town.rows("shared_access_needs"), 0);
    town.leave_mail();
}

#[apply(database_test!)]
async fn mail_about_a_place_says_what_the_run_offers(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |run| run["access"] = json!({ "step_free": "yes", "toilet": "no" })).await;
    let needs = |needs: Value| move |profile: &mut Value| profile["access_needs"] = needs;
    let all = json!(["step_free", "toilet", "quiet_place", "sign_language"]);
    let (ana, ben) = (town.runner("Ana", needs(all)).await, town.runner("Ben", needs(json!(["step_free"]))).await);
    let (cem, dan) = (town.runner("Cem", needs(json!(["seating"]))).await, town.runner("Dan", |_| {}).await);
    for person in [&ana, &ben, &cem, &dan] {
        shares(person, &run, json!(["step_free"])).await;
    }
    let mails = town.post_office().await;
    let text = |person: &Person| {
        let letter = mails.iter().find(|letter| letter.to == person.email).expect("a letter");
        assert!(!letter.subject.contains("step"));
        letter.text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let said = "You told us what you need, and this run has step-free access. This run doesn't have a toilet nearby. We \
                don't know about a quiet place to step away to and sign language, so please ask before you come. You can \
                write to hello@town.example.";
    assert!(text(&ana).contains(said), "{}", text(&ana));
    let ben = text(&ben);
    assert!(ben.contains("You told us what you need, and this run has step-free access."), "{ben}");
    assert!(
        !ben.contains("doesn't have") && !ben.contains("please ask before") && !ben.contains("You can write"),
        "{ben}"
    );
    let cem = text(&cem);
    assert!(cem.contains("We don't know about places to sit and rest, so please ask before you come."), "{cem}");
    let dan = text(&dan);
    assert!(
        !dan.contains("You told us") && !dan.contains("step-free"),
        "what is shared is for the facilitators: {dan}"
    );
    assert!(mails.iter().all(|letter| letter.to != fay.email), "nothing of it goes to the facilitator by mail");
}
