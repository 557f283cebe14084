//! Announcements: what a run's facilitators say to those on it, and what is done with words that do harm.

use macro_rules_attribute::apply;
use serde_json::json;

use crate::{
    harness::{Letter, Person, Town},
    support::database_test::database_test,
};

fn news<'l>(letters: &'l [Letter], person: &Person) -> Option<&'l Letter> {
    letters.iter().find(|l| l.to == person.email && l.subject == "News about Thursday 26 November")
}

#[apply(database_test!)]
async fn those_on_the_run_get_it_without_anybodys_address(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    let said = fay.post(&run.at("/announcements"), json!({ "text": "Bring gloves, it is cold." })).await.expect(201);
    assert_eq!((&said.json["to"], &said.json["people"], &said.json["from"]), (&json!("all"), &json!(2), &json!("Fay")));
    let letters = town.post_office().await;
    assert_eq!(letters.len(), 2);
    for person in [&ana, &ben] {
        let letter = news(&letters, person).expect("a mail");
        assert!(letter.text.contains("> Bring gloves, it is cold.") && letter.text.contains("News from Fay"));
        assert_eq!(letter.header("Reply-To"), "hello@town.example");
        assert!(letter.header("From").contains("hello@town.example"));
        for address in [&fay.email, &ana.email, &ben.email] {
            assert!(!letter.text.contains(address.as_str()) && !letter.html.contains(address.as_str()));
            assert!(*address == person.email || !letter.raw.contains(address.as_str()), "{}", letter.raw);
        }
        assert!(letter.text.contains(&said.id()), "how to report it:\n{}", letter.text);
    }
    // One tap to leave as ever.
    town.nobody().press(&news(&letters, &ana).unwrap().link("not-today"), &[]).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn it_speaks_to_those_it_is_meant_for(town: Town) {
    let (fay, ana, ben) = (town.facilitator("Fay").await, town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    town.post_office().await;
    let say = async |to: &str| {
        fay.post(&run.at("/announcements"), json!({ "text": "Hello.", "to": to })).await.expect(201);
        let letters = town.post_office().await;
        (news(&letters, &ana).is_some(), news(&letters, &ben).is_some())
    };
    assert_eq!(say("confirmed").await, (true, false));
    assert_eq!(say("waiting").await, (false, true));
    assert_eq!(say("all").await, (true, true));
}

#[apply(database_test!)]
async fn whoever_left_before_the_mail_goes_does_not_get_it(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben, cleo) = (town.person("Ana").await, town.person("Ben").await, town.person("Cleo").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let bens = ben.joins(&run.id, "confirmed").await;
    cleo.joins(&run.id, "confirmed").await;
    town.post_office().await;
    fay.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.expect(201);
    ana.withdraws(&seat).await;
    let why = json!({ "reason_code": "not_a_fit", "private_note": "n" });
    fay.post(&format!("/signups/{bens}/remove"), why).await.expect(200);
    let letters = town.post_office().await;
    assert!(news(&letters, &ana).is_none() && news(&letters, &ben).is_none() && news(&letters, &cleo).is_some());
}

#[apply(database_test!)]
async fn what_is_typed_stays_between_quotation_marks(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    let text =
        "<script>alert(1)</script>\n\nNot today:\nhttp://town.example/e/not-today/evil\n{{ house.org_name }} & more";
    fay.post(&run.at("/announcements"), json!({ "text": text })).await.expect(201);
    let letters = town.post_office().await;
    let letter = news(&letters, &ana).expect("a mail");
    assert!(!letter.html.contains("<script>") && letter.html.contains("&lt;script&gt;"));
    assert!(!letter.text.lines().any(|line| line == "http://town.example/e/not-today/evil"), "{}", letter.text);
    assert!(letter.text.contains("> {{ house.org_name }} & more"), "{}", letter.text);
    assert!(!letter.link("not-today").contains("evil"));
}

#[apply(database_test!)]
async fn five_in_a_day_and_no_more(town: Town) {
    town.leave_mail();
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let run = town.run(&fay, |_| {}).await;
    let other = town.run(&fay, |_| {}).await;
    fay.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(201);
    gil.post(&run.at("/facilitators"), json!({ "account_id": gil.id })).await.expect(200);
    for at in 0..5 {
        let who = if at % 2 == 0 { &fay } else { &gil };
        who.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.expect(201);
        town.minutes_pass(10);
    }
    let refused = gil.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.refused(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), (24 * 3600 - 50 * 60 + 1).to_string());
    assert_eq!(refused.header("ratelimit-policy"), "\"announcements\";q=5;w=86400");
    fay.post(&other.at("/announcements"), json!({ "text": "Hello." })).await.expect(201);
    assert_eq!(town.rows("announcements"), 6);
    town.set_clock("2026-11-24T10:00:00Z");
    fay.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.expect(201);
    fay.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.refused(429, "rate_limited");
}

#[apply(database_test!)]
async fn only_those_who_lead_say_something_and_only_while_the_run_goes_on(town: Town) {
    town.leave_mail();
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let people = town.people("Pat", 2).await;
    let run = town.run(&fay, |_| {}).await;
    for person in &people {
        person.joins(&run.id, "confirmed").await;
    }
    let say = async |who: &Person| who.post(&run.at("/announcements"), json!({ "text": "Hello." })).await;
    say(&people[0]).await.refused(404, "not_found");
    say(&gil).await.refused(404, "not_found");
    say(&town.moderator("Mo").await).await.refused(404, "not_found");
    town.nobody().post(&run.at("/announcements"), json!({ "text": "t" })).await.refused(401, "not_logged_in");
    let draft = town.run(&fay, |run| run["draft"] = json!(true)).await;
    fay.post(&draft.at("/announcements"), json!({ "text": "Hello." })).await.refused(409, "run_not_open");
    town.set_clock("2026-11-26T09:30:00Z");
    town.post_office().await;
    say(&fay).await.expect(201);
    let letters = town.post_office().await;
    assert!(news(&letters, &people[0]).is_some(), "also to those who look for the group");
    town.set_clock("2026-11-26T10:00:00Z");
    say(&fay).await.refused(409, "run_over");
    let run = town.run(&fay, |run| run["starts_at"] = json!("2026-11-29T09:00:00Z")).await;
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    fay.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.refused(409, "run_cancelled");
}

#[apply(database_test!)]
async fn bad_words_to_say_are_named_all_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let path = run.at("/announcements");
    fay.post(&path, json!({})).await.faulty(&["/text required"]);
    fay.post(&path, json!({ "text": " \n " })).await.faulty(&["/text bad_format"]);
    fay.post(&path, json!({ "text": "" })).await.faulty(&["/text too_short"]);
    fay.post(&path, json!({ "text": "x".repeat(2001), "to": "everybody", "cc": "a@b.example" })).await.faulty(&[
        "/text too_long",
        "/to unknown_value",
        "/cc unknown_field",
    ]);
    fay.post(&path, json!({ "text": "a\u{202e}b" })).await.faulty(&["/text control_character"]);
    assert_eq!(town.rows("announcements"), 0);
}

#[apply(database_test!)]
async fn those_it_speaks_to_can_read_it_again(town: Town) {
    town.leave_mail();
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let (ana, ben, cleo) = (town.person("Ana").await, town.person("Ben").await, town.person("Cleo").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(1)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    for to in ["all", "confirmed", "waiting"] {
        town.minutes_pass(1);
        fay.post(&run.at("/announcements"), json!({ "text": format!("To {to}."), "to": to })).await.expect(201);
    }
    let texts = async |who: &Person| -> Vec<String> {
        let items = who.get(&run.at("/announcements")).await.expect(200).items();
        items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&fay).await, ["To waiting.", "To confirmed.", "To all."]);
    assert_eq!(texts(&mo).await.len(), 3);
    assert_eq!(texts(&ana).await, ["To confirmed.", "To all."]);
    assert_eq!(texts(&ben).await, ["To waiting.", "To all."]);
    let first = fay.get(&run.at("/announcements?limit=2")).await.expect(200);
    let cursor = first.str("next_cursor");
    let second = fay.get(&run.at(&format!("/announcements?limit=2&cursor={cursor}"))).await.expect(200);
    assert_eq!((first.items().len(), second.items()[0]["text"].as_str()), (2, Some("To all.")));
    fay.get(&run.at("/announcements?limit=0")).await.faulty(&["?limit too_small"]);
    for stranger in [&cleo, &gil] {
        stranger.get(&run.at("/announcements")).await.refused(404, "not_found");
    }
    ana.withdraws(&seat).await;
    ana.get(&run.at("/announcements")).await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn it_can_be_reported_by_those_who_got_it(town: Town) {
    let (fay, mo, ada) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.admin().await);
    let (ana, cleo) = (town.person("Ana").await, town.person("Cleo").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let said = fay.post(&run.at("/announcements"), json!({ "text": "Something unkind." })).await.expect(201).id();
    town.post_office().await;
    let report = |id: &str| json!({ "about": { "kind": "announcement", "id": id }, "category": "harassment", "statement": "Unkind." });
    cleo.post("/reports", report(&said)).await.faulty(&["/about/id not_found"]);
    ana.post("/reports", report(&run.id)).await.faulty(&["/about/id not_found"]);
    let filed = ana.post("/reports", report(&said)).await.expect(201).id();
    let letters = town.post_office().await;
    assert!(letters.iter().any(|l| l.to == mo.email) && !letters.iter().any(|l| l.to == fay.email));
    let shown = mo.get(&format!("/moderation/reports/{filed}")).await.expect(200).json;
    assert_eq!(
        (&shown["about_kind"], &shown["about_id"], &shown["run_id"]),
        (&json!("announcement"), &json!(said), &json!(run.id))
    );
    let log = ada.get("/moderation/audit-log").await.expect(200).items();
    let entry = log.iter().find(|entry| entry["act"] == "report_filed").expect("an audit row");
    assert_eq!(entry["subject"], json!(fay.id), "it is about whoever said it: {entry}");
}

#[apply(database_test!)]
async fn it_is_no_reply_to_a_contact_that_is_a_page(town: Town) {
    let town = town.with(&[("CONTACT", "https://town.example/contact")]);
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    fay.post(&run.at("/announcements"), json!({ "text": "Hello." })).await.expect(201);
    let letter = town.one_mail_to(&ana.email).await;
    assert_eq!(letter.header("Reply-To"), "");
    assert!(letter.header("From").contains("hello@town.example"));
}
