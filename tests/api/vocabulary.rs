//! The published words: which there are, that no door takes another, and what becomes of those that are stored already.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Town},
    support::database_test::database_test,
};

/// The words of a fault at a pointer.
#[track_caller]
fn detail(answer: &Answer, pointer: &str) -> String {
    let errors = answer.json["errors"].as_array().cloned().unwrap_or_default();
    let fault = errors.iter().find(|fault| fault["pointer"] == pointer);
    fault.unwrap_or_else(|| panic!("nothing at {pointer} in {}", answer.text))["detail"].as_str().unwrap().to_owned()
}

const STEPFREE: &str =
    "\"stepfree\" is not a known access need; did you mean step_free? GET /v1/vocabulary lists them.";
const GERMAN: &str = "\"ger\" is not a known language; did you mean de? GET /v1/vocabulary lists them.";

fn series_body(town: &Town) -> Value {
    let mut run = town.run_body();
    run.as_object_mut().unwrap().remove("starts_at");
    json!({ "run": run, "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=WEEKLY;BYDAY=TU" })
}

#[apply(database_test!)]
async fn vocabulary_is_public_and_every_word_of_it_is_taken(town: Town) {
    let answer = town.nobody().get("/vocabulary").await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-cache");
    let again = town.nobody().request(reqwest::Method::GET, "/v1/vocabulary");
    town.nobody().send(again.header("If-None-Match", answer.header("etag"))).await.expect(304);
    let has = |list: &str, code: &str, text: &str| {
        let word = json!({ "code": code, "text": text });
        assert!(answer.json[list].as_array().unwrap().contains(&word), "no {word} in {}", answer.json[list]);
    };
    has("languages", "en", "English");
    has("languages", "cy", "Welsh");
    has("languages", "bfi", "British Sign Language");
    has("access_needs", "step_free", "step-free access");
    has("activities", "run_walk", "run-walk");
    assert_eq!(answer.json["activities"].as_array().unwrap().len(), 3);

    let codes = |list: &str| -> Vec<Value> {
        answer.json[list].as_array().unwrap().iter().map(|word| word["code"].clone()).collect()
    };
    let needs = codes("access_needs");
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let run = town
        .run(&fay, |run| run["access"] = needs.iter().map(|need| (need.as_str().unwrap(), "yes")).collect::<Value>())
        .await;
    assert_eq!(run.json["access"].as_object().unwrap().len(), needs.len());
    let mut profile = json!({ "activities": codes("activities"), "access_needs": needs });
    for ten in codes("languages").chunks(10) {
        profile["languages"] = json!(ten);
        let kept = ana.put("/me/running-profile", profile.clone()).await.expect(200).json;
        assert_eq!((&kept["languages"], &kept["access_needs"]), (&json!(ten), &profile["access_needs"]));
    }
}

#[apply(database_test!)]
async fn unknown_word_is_refused_at_every_door(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let run = town.run(&fay, |_| {}).await;
    let series = fay.post("/run-series", series_body(&town)).await.expect(201);
    let seat = ana.joins(&run.id, "confirmed").await;
    let needs = json!({ "activities": ["run"], "languages": ["en", "ger"], "access_needs": ["seating", "stepfree"] });
    let said = json!({ "languages": ["en", "ger"], "access": { "seating": "no", "stepfree": "yes" } });
    let with = |mut body: Value| {
        body["languages"] = said["languages"].clone();
        body["access"] = said["access"].clone();
        body
    };
    let mut of_series = series_body(&town);
    of_series["run"] = with(of_series["run"].clone());
    let (at_run, at_series) = (run.at(""), format!("/run-series/{}", series.id()));
    let doors = [
        ("", "/access_needs/1", ana.put("/me/running-profile", needs.clone()).await),
        ("", "/access_needs/1", ana.post("/match-requests", needs).await),
        ("", "/access/stepfree", fay.post("/runs", with(town.run_body())).await),
        ("", "/access/stepfree", fay.patch(&at_run, Some(&run.etag), said.clone()).await),
        ("/run", "/access/stepfree", fay.post("/run-series", of_series).await),
        ("/run", "/access/stepfree", fay.patch(&at_series, Some("*"), json!({ "run": said })).await),
    ];
    for (before, pointer, answer) in &doors {
        let (language, access) = (format!("{before}/languages/1"), format!("{before}{pointer}"));
        let answer = answer.clone().faulty(&[&format!("{language} unknown_word"), &format!("{access} unknown_word")]);
        assert_eq!(answer.faults().len(), 2, "{}", answer.text);
        assert_eq!((detail(&answer, &language), detail(&answer, &access)), (GERMAN.to_owned(), STEPFREE.to_owned()));
    }
    let listed = town.nobody().get("/runs?language=ger&access=stepfree").await;
    let listed = listed.faulty(&["?language unknown_word", "?access unknown_word"]);
    assert_eq!((detail(&listed, "?language"), detail(&listed, "?access")), (GERMAN.to_owned(), STEPFREE.to_owned()));
    let shared = json!({ "share_access_needs": ["stepfree"] });
    let ben = town.person("Ben").await;
    for answer in [
        ben.post(&run.at("/signups"), shared.clone()).await,
        ana.put(&format!("/signups/{seat}/access-needs"), shared).await,
    ] {
        let answer = answer.faulty(&["/share_access_needs/0 unknown_word"]);
        assert_eq!(detail(&answer, "/share_access_needs/0"), STEPFREE);
    }
    assert_eq!(town.rows("shared_access_needs"), 0);
    town.post_office().await;
}

#[apply(database_test!)]
async fn spellings_that_can_mean_one_word_are_taken(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town
        .run(&fay, |run| {
            run["languages"] = json!(["pt-BR", "DEU", "bfi"]);
            run["access"] = json!({ "Step Free": true, "quiet-place": "no" });
        })
        .await;
    assert_eq!(run.json["languages"], json!(["pt", "de", "bfi"]));
    assert_eq!(run.json["access"], json!({ "step_free": "yes", "quiet_place": "no" }));
    for query in ["language=pt-PT", "language=por", "language=DE", "access=Step-Free"] {
        assert_eq!(town.nobody().get(&format!("/runs?{query}")).await.expect(200).item_ids(), [run.id.as_str()]);
    }
}

#[apply(database_test!)]
async fn nonsense_among_words_is_told_and_bounded(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.runner("Ana", |_| {}).await);
    let profile = json!({ "activities": ["run", "walking", "swimming"],
        "languages": ["English", "xyzzy", "", "zz", 7, "a".repeat(10_000)],
        "access_needs": ["Ramp!", "qqqq", null, "", "e\u{301}", "x".repeat(41)] });
    let answer = ana.put("/me/running-profile", profile).await.faulty(&[
        "/activities/1 unknown_value",
        "/activities/2 unknown_value",
        "/languages/0 bad_format",
        "/languages/3 unknown_word",
        "/languages/4 wrong_type",
        "/languages/5 bad_format",
        "/access_needs/0 bad_format",
        "/access_needs/1 unknown_word",
        "/access_needs/2 wrong_type",
        "/access_needs/3 bad_format",
        "/access_needs/4 bad_format",
        "/access_needs/5 bad_format",
    ]);
    assert!(answer.text.len() < 4_000, "{}", answer.text);
    assert_eq!(detail(&answer, "/activities/1"), "use one of: walk, run_walk, run; did you mean walk?");
    assert_eq!(detail(&answer, "/activities/2"), "use one of: walk, run_walk, run");
    assert_eq!(detail(&answer, "/languages/0"), "write it like en; did you mean en?");
    assert_eq!(detail(&answer, "/access_needs/0"), "write it like step_free; did you mean step_free?");
    let unlike = "\"qqqq\" is not a known access need. GET /v1/vocabulary lists them.";
    assert_eq!(detail(&answer, "/access_needs/1"), unlike);

    let mut run = town.run_body();
    let letters = (b'a'..=b'z').flat_map(|one| (b'a'..=b'z').map(move |other| [one, other]));
    let names = letters.map(|pair| String::from_utf8_lossy(&pair).into_owned());
    run["access"] = names.map(|name| (name, json!("yes"))).collect();
    let answer = fay.post("/runs", run).await;
    assert_eq!(answer.faulty(&["/access too_many"]).faults().len(), 1, "none of 676 names is looked at");
    let many: Vec<&str> = vec!["step_free"; 21];
    let run = town.run(&fay, |_| {}).await;
    ana.post(&run.at("/signups"), json!({ "share_access_needs": many }))
        .await
        .faulty(&["/share_access_needs too_many"]);
    for filter in ["access=", "access=x%00", "language=", "language=../en", "language=%F0%9F%8F%83"] {
        town.nobody().get(&format!("/runs?{filter}")).await.refused(422, "invalid");
    }
}

/// Puts words into every row that holds some, as an older release might have stored them.
fn store_old_words(town: &Town) {
    let said = "languages = '[\"zz\"]'";
    let statements = [
        format!("UPDATE running_profiles SET access_needs = '[\"step_free\", \"ramp_please\"]', {said}"),
        format!("UPDATE runs SET access = '{{\"ramp_please\": \"no\", \"step_free\": \"yes\"}}', {said}"),
        "UPDATE run_series SET draft = replace(replace(draft, '\"access\":{}', '\"access\":{\"ramp_please\":\"no\"}'), \
         '\"languages\":[]', '\"languages\":[\"zz\"]')"
            .to_owned(),
        "UPDATE match_requests SET wish = replace(wish, '[\"seating\"]', '[\"ramp_please\"]')".to_owned(),
    ];
    town.execute(&statements.join(";\n")).expect("words of an older release");
}

#[apply(database_test!)]
async fn words_of_an_older_release_stay_until_they_are_taken_away(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.runner("Ana", |_| {}).await;
    let run = town.run(&fay, |_| {}).await;
    let series = fay.post("/run-series", series_body(&town)).await.expect(201);
    ana.post("/match-requests", json!({ "access_needs": ["seating"] })).await.expect(201);
    town.work().await;
    store_old_words(&town);
    // Another server reads everything afresh, as after an update.
    let town = town.with(&[]);
    let (fay, ana) = (fay.in_town(&town), ana.in_town(&town));
    let old_words = json!({ "ramp_please": "no", "step_free": "yes" });

    let shown = fay.get(&run.at("")).await.expect(200);
    assert_eq!((&shown.json["access"], &shown.json["languages"]), (&old_words, &json!(["zz"])));
    assert!(town.nobody().get("/runs").await.expect(200).text.contains("ramp_please"));
    let mut profile = ana.get("/me/running-profile").await.expect(200).json;
    assert_eq!(profile["access_needs"], json!(["step_free", "ramp_please"]));
    assert!(ana.get("/match-requests").await.expect(200).text.contains("ramp_please"));
    // A need is not forgotten because its word is old: what the run says no to still stands against it.
    let explained = ana.get(&format!("/matches?explain={}", run.id)).await.expect(200);
    assert!(explained.text.contains("You need ramp please, and this run cannot offer it."), "{}", explained.text);

    // A change of something else keeps them, a new unknown word is refused, and they can be taken away.
    let etag = shown.header("etag");
    let renamed = fay.patch(&run.at(""), Some(etag), json!({ "title": "Another" })).await.expect(200);
    assert_eq!((&renamed.json["access"], &renamed.json["languages"]), (&old_words, &json!(["zz"])));
    let etag = renamed.header("etag");
    let added = json!({ "access": { "stepfree": "yes" }, "languages": ["zz", "yy"] });
    let refused = fay.patch(&run.at(""), Some(etag), added).await;
    let refused = refused.faulty(&["/access/stepfree unknown_word", "/languages/1 unknown_word"]);
    assert_eq!(refused.faults().len(), 2, "{}", refused.text);
    let taken_away = json!({ "access": { "ramp_please": null }, "languages": ["en"] });
    let tidy = fay.patch(&run.at(""), Some(etag), taken_away).await.expect(200);
    assert_eq!((&tidy.json["access"], &tidy.json["languages"]), (&json!({ "step_free": "yes" }), &json!(["en"])));

    let at_series = format!("/run-series/{}", series.id());
    let change = json!({ "run": { "title": "Another" } });
    let renamed = fay.patch(&at_series, Some("*"), change).await.expect(200);
    assert_eq!(renamed.json["run"]["access"], json!({ "ramp_please": "no" }), "{}", renamed.text);
    fay.patch(&at_series, Some("*"), json!({ "run": { "access": { "stepfree": "yes" } } }))
        .await
        .faulty(&["/run/access/stepfree unknown_word"]);

    let writable = |name: &String, _: &mut Value| {
        !["home_cell", "home_centre", "updated_at", "suggested_pace"].contains(&name.as_str())
    };
    profile.as_object_mut().unwrap().retain(writable);
    profile["travel_radius_km"] = json!(12);
    let kept = ana.put("/me/running-profile", profile.clone()).await.expect(200).json;
    assert_eq!(kept["access_needs"], json!(["step_free", "ramp_please"]));
    profile["access_needs"] = json!(["ramp_please", "ramps"]);
    ana.put("/me/running-profile", profile.clone()).await.faulty(&["/access_needs/1 unknown_word"]);
    profile["access_needs"] = json!(["step_free"]);
    ana.put("/me/running-profile", profile.clone()).await.expect(200);
    profile["access_needs"] = json!(["ramp_please"]);
    ana.put("/me/running-profile", profile).await.faulty(&["/access_needs/0 unknown_word"]);
    town.leave_mail();
}

async fn listed(town: &Town, language: &str) -> Vec<String> {
    town.nobody().get(&format!("/runs?language={language}")).await.expect(200).item_ids()
}

async fn speaks(town: &Town, name: &str, languages: Value) -> Person {
    let person = town.runner(name, |profile| profile["languages"] = languages).await;
    person.post("/match-requests", json!({})).await.expect(201);
    person
}

#[apply(database_test!)]
async fn default_language_counts_where_a_run_says_none(town: Town) {
    let town = town.with(&[("DEFAULT_LANGUAGE", "cy-GB")]);
    let (ana, ben) = (speaks(&town, "Ana", json!(["cy"])).await, speaks(&town, "Ben", json!(["en"])).await);
    let cem = speaks(&town, "Cem", json!([])).await;
    let fay = town.facilitator("Fay").await;
    let silent = town.run(&fay, |_| {}).await;
    let english = town
        .run(&fay, |run| {
            run["languages"] = json!(["en"]);
            run["starts_at"] = json!("2026-12-01T09:00:00Z");
        })
        .await;
    assert_eq!(silent.json["languages"], json!([]), "the run itself says none");
    assert_eq!(fay.get(&silent.at("")).await.expect(200).json["languages"], json!([]));
    assert_eq!(
        (listed(&town, "cy").await, listed(&town, "en").await),
        (vec![silent.id.clone()], vec![english.id.clone()])
    );

    let matched = async |person: &Person| {
        let answer = person.get("/matches").await.expect(200);
        assert!(!answer.text.contains("which languages"), "{}", answer.text);
        answer.items().iter().map(|item| item["run"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(matched(&ana).await, [silent.id.as_str()]);
    assert_eq!(matched(&ben).await, [english.id.as_str()]);
    assert_eq!(matched(&cem).await.len(), 2, "who names no language asks for none");
    let why = ben.get(&format!("/matches?explain={}", silent.id)).await.expect(200);
    assert_eq!(why.json["explanation"]["obstacles"][0]["code"], "no_common_language");

    town.work().await;
    town.hours_pass(1);
    let told: Vec<(String, bool, bool)> = town
        .post_office()
        .await
        .into_iter()
        .filter(|letter| letter.header("X-Mail-Kind") == "runs_found")
        .map(|letter| (letter.to, letter.text.contains(&silent.id), letter.text.contains(&english.id)))
        .collect();
    for (person, of_silent, of_english) in [(&ana, true, false), (&ben, false, true), (&cem, true, true)] {
        assert!(told.contains(&(person.email.clone(), of_silent, of_english)), "{}: {told:?}", person.email);
    }
}
