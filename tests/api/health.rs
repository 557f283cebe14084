//! Health, the description of the API, the pages of problems, and what every answer carries.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::{domain::refusal::Code, http::problem::GENERAL};

use crate::{harness::Town, support::database_test::database_test};

#[apply(database_test!)]
async fn the_process_says_that_it_lives_and_when_it_is_ready(town: Town) {
    let nobody = town.nobody();
    assert_eq!(nobody.open("/healthz").await.expect(200).json, json!({ "status": "ok" }));
    assert_eq!(nobody.open("/readyz").await.expect(200).json, json!({ "status": "ready" }));
    town.app().set_ready(false);
    let stopping = nobody.open("/readyz").await.refused(503, "unavailable");
    assert_eq!(stopping.header("retry-after"), "2");
    nobody.open("/healthz").await.expect(200);
}

#[apply(database_test!)]
async fn every_problem_code_has_a_page(town: Town) {
    let nobody = town.nobody();
    let codes = Code::all().iter().map(|code| code.as_str()).chain(GENERAL.iter().map(|row| row.0));
    for code in codes {
        let page = nobody.open(&format!("/problems/{code}")).await.expect(200);
        assert!(page.text.contains(code) && page.header("content-type").starts_with("text/html"), "{}", page.text);
    }
    nobody.open("/problems/nothing").await.refused(404, "not_found");
    nobody.open("/problems/%3Cscript%3E").await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn the_description_of_the_api_is_whole(town: Town) {
    let doc = town.nobody().open("/openapi.json").await.expect(200).json;
    assert!(doc["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = doc["paths"].as_object().unwrap();
    for path in [
        "/v1/accounts",
        "/v1/accounts/verify-email",
        "/v1/accounts/resend-verification",
        "/v1/accounts/accept-invitation",
        "/v1/sessions",
        "/v1/sessions/refresh",
        "/v1/sessions/current",
        "/v1/sessions/{id}",
        "/v1/password-resets",
        "/v1/password-resets/confirm",
        "/v1/accounts/{id}/roles",
        "/v1/accounts/{id}/roles/{role}",
        "/v1/me",
        "/v1/me/password",
        "/v1/me/running-profile",
        "/v1/me/email-preferences",
        "/v1/me/signups",
        "/v1/me/decisions",
        "/v1/me/bars",
        "/v1/me/bars/{id}",
        "/v1/help",
        "/v1/facilitator-applications",
        "/v1/facilitator-applications/{id}/approve",
        "/v1/facilitator-applications/{id}/reject",
        "/v1/facilitators/{id}",
        "/v1/runs",
        "/v1/runs/{id}",
        "/v1/runs/{id}/cancel",
        "/v1/runs/{id}/facilitators",
        "/v1/runs/{id}/facilitators/{account_id}",
        "/v1/runs/{id}/take-over",
        "/v1/matches",
        "/v1/runs/{id}/signups",
        "/v1/signups/{id}",
        "/v1/signups/{id}/withdraw",
        "/v1/signups/{id}/approve",
        "/v1/signups/{id}/decline",
        "/v1/signups/{id}/remove",
        "/v1/reports",
        "/v1/moderation/reports",
        "/v1/moderation/reports/{id}",
        "/v1/moderation/reports/{id}/assign",
        "/v1/moderation/reports/{id}/resolve",
        "/v1/moderation/sanctions",
        "/v1/moderation/sanctions/{id}",
        "/v1/moderation/sanctions/{id}/lift",
        "/v1/appeals",
        "/v1/moderation/appeals",
        "/v1/moderation/appeals/{id}/decide",
        "/v1/moderation/audit-log",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
    // Every reference leads somewhere, and every operation says what it is and what it answers.
    let text = doc.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(doc.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    let mut ids = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let has_words =
                ["summary", "description"].iter().any(|name| operation[name].as_str().is_some_and(|t| !t.is_empty()));
            assert!(has_words, "{method} {path} has no words");
            assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
            ids.push(operation["operationId"].as_str().unwrap_or_default().to_owned());
        }
    }
    let many = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), many, "operation ids are unique");
}

#[apply(database_test!)]
async fn the_description_says_what_every_client_meets(town: Town) {
    let doc = town.nobody().open("/openapi.json").await.expect(200).json;
    let takes_a_key = |operation: &Value| {
        let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        parameters.iter().filter(|parameter| parameter["name"] == "Idempotency-Key").count()
    };
    for (path, methods) in doc["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let knows_who_asks = operation["security"].is_array();
            let looks = ["/emergency-contact", "/access-needs"];
            let is_a_look = looks.iter().any(|look| path.ends_with(look)) || path.contains("sealed-rosters");
            let has_key = method == "post" && knows_who_asks && !is_a_look && !path.starts_with("/v1/sessions");
            assert_eq!(takes_a_key(operation), usize::from(has_key), "{method} {path}");
            assert!(!knows_who_asks || operation["responses"]["401"].is_object(), "{method} {path}");
            let limited = &operation["responses"]["429"]["headers"]["Retry-After"]["schema"]["type"];
            assert!(!path.starts_with("/v1") || limited == "integer", "{method} {path}: {limited}");
        }
    }
    for open_to_all in ["/v1/runs", "/v1/runs/{id}", "/v1/run-series/{id}", "/v1/facilitators/{id}"] {
        assert_eq!(doc["paths"][open_to_all]["get"]["security"], json!([{ "token": [] }, {}]), "{open_to_all}");
    }
}

#[apply(database_test!)]
async fn a_flood_is_turned_away_like_any_refusal(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    let nobody = town.nobody();
    let mut answers = Vec::new();
    // The burst that one address may send, and what it earns while it sends.
    for _ in 0..200 {
        answers = futures_util::future::join_all((0..50).map(|_| nobody.open("/healthz"))).await;
        if answers.iter().any(|answer| answer.status == 429) {
            break;
        }
    }
    let limited = answers.into_iter().find(|answer| answer.status == 429).expect("a limit");
    assert!(limited.header("x-request-id").len() >= 16 && limited.header("x-content-type-options") == "nosniff");
    assert!(limited.header("retry-after").parse::<u32>().unwrap() >= 1, "{}", limited.text);
    assert!(limited.header("content-type").starts_with("application/problem+json"));
    limited.refused(429, "rate_limited");
}

#[apply(database_test!)]
async fn the_documentation_needs_nothing_from_elsewhere(town: Town) {
    let nobody = town.nobody();
    let page = nobody.open("/docs/").await;
    let page = if page.status == 200 { page } else { nobody.open("/docs/index.html").await.expect(200) };
    for elsewhere in ["src=\"http", "href=\"http", "//cdn", "unpkg", "//fonts"] {
        assert!(!page.text.contains(elsewhere), "{elsewhere} in {}", page.text);
    }
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    for asset in page.text.split(['"', '\'']).filter(|word| word.ends_with(".js") || word.ends_with(".css")) {
        let asset = asset.trim_start_matches("./");
        nobody.open(&format!("/docs/{asset}")).await.expect(200);
    }
    let redirected = nobody.open("/docs").await;
    assert!((300..400).contains(&redirected.status), "{}", redirected.status);
}

#[apply(database_test!)]
async fn every_answer_has_a_request_id_and_the_security_headers(town: Town) {
    let (nobody, ana) = (town.nobody(), town.person("Ana").await);
    let answers = [
        nobody.get("/help").await,
        nobody.get("/me").await,
        nobody.open("/nothing").await,
        ana.get("/me").await,
        ana.post_raw("/reports", "application/json", "{").await,
        nobody.open("/e/not-today/abc").await,
        nobody.open("/healthz").await,
    ];
    let mut ids = Vec::new();
    for answer in &answers {
        let id = answer.header("x-request-id");
        assert!(id.len() >= 16, "{}: {id}", answer.what);
        assert!(!answer.text.contains(id), "the id stands in the header only");
        ids.push(id.to_owned());
        for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
            assert_eq!(answer.header(name), value, "{}", answer.what);
        }
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{}", answer.what);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), answers.len());
}

#[apply(database_test!)]
async fn personal_answers_are_never_cached(town: Town) {
    let (fay, mo, ana) = (town.facilitator("Fay").await, town.moderator("Mo").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    for answer in [
        ana.get("/me").await,
        ana.get("/me/signups").await,
        ana.get("/me/decisions").await,
        ana.get(&format!("/signups/{seat}")).await,
        ana.get("/runs").await,
        ana.get(&run.at("")).await,
        fay.get(&run.at("/signups")).await,
        mo.get("/moderation/reports").await,
        ana.sign_up(&run.id).await,
        town.nobody().get("/me").await,
    ] {
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.what);
    }
    town.work().await;
}

#[apply(database_test!)]
async fn forgetting_keeps_what_is_still_needed(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |run| run["starts_at"] = json!("2027-02-26T09:00:00Z")).await;
    ana.post_once("k", &run.at("/signups"), json!({})).await.expect(201);
    let link = town.one_mail_to(&ana.email).await.link("not-today");
    let forget = || {
        let (app, now) = (town.app(), town.now());
        sidebyside::service::housekeeping::forget(&app.db, &app.config.policy, now).expect("forgetting");
    };
    town.hours_pass(20 * 24);
    forget();
    assert_eq!((town.rows("idempotency_keys"), town.rows("outbox")), (0, 1));
    town.hours_pass(20 * 24);
    forget();
    assert_eq!((town.rows("outbox"), town.rows("signups")), (0, 1));
    ana.get("/me").await.expect(200);
    town.nobody().open(&link).await.expect(200);
    town.nobody().press(&link, &[]).await.expect(200);
}

#[apply(database_test!)]
async fn settings_that_are_wrong_are_all_named_at_once(town: Town) {
    let values = [
        ("DATABASE_URL", "mysql://x"),
        ("BIND", "here"),
        ("MIN_AGE", "12"),
        ("RATE_LIMITS", "perhaps"),
        ("SMTP_URL", "http://x"),
    ];
    let values = values.map(|(name, value)| (name, value.to_owned())).into();
    let faults = sidebyside::config::from_values(&values, Some("[policy]\nfacilitator_ratio = 0\nno_such_rule = 1"))
        .unwrap_err();
    let named: Vec<&str> = faults.0.iter().map(|fault| fault.setting.as_str()).collect();
    for wanted in [
        "DATABASE_URL",
        "BIND",
        "MIN_AGE",
        "RATE_LIMITS",
        "SMTP_URL",
        "[policy] facilitator_ratio",
        "[policy] no_such_rule",
    ] {
        assert!(named.contains(&wanted), "{wanted} in {named:?}");
    }
    drop(town);
}
