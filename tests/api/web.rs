//! What any HTTP client may expect: HEAD, OPTIONS, 405, extra slashes, entity tags, `Location`, and pages for people.

use macro_rules_attribute::apply;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, Town},
    support::database_test::database_test,
};

async fn ask(client: &Client, method: Method, path: &str) -> Answer {
    client.send(client.request(method, path)).await
}

async fn ask_with(client: &Client, path: &str, name: &str, value: &str) -> Answer {
    client.send(client.request(Method::GET, path).header(name, value)).await
}

#[apply(database_test!)]
async fn head_answers_like_get_without_a_body(town: Town) {
    let (fay, nobody) = (town.facilitator("Fay").await, town.nobody());
    let run = town.run(&fay, |_| {}).await;
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/robots.txt",
        "/favicon.ico",
        "/problems",
        "/problems/run_full",
        "/docs/",
        "/docs",
        "/e/not-today/none",
        "/v1/help",
        "/v1/runs",
        "/v1/me",
        "/v1/nothing",
        "/v1/runs/00000000-0000-4000-8000-000000000000",
        &format!("/v1/runs/{}", run.id),
    ] {
        let (get, head) = (ask(&nobody, Method::GET, path).await, ask(&nobody, Method::HEAD, path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header_names(), get.header_names(), "{path}");
        for name in ["content-length", "content-type", "etag", "cache-control", "location", "allow"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        if !matches!(get.status, 204 | 308) {
            assert!(head.header("content-length").parse::<usize>().unwrap() > 0, "{path}");
        }
    }
    let me = ask(&fay, Method::HEAD, "/v1/me").await.expect(200);
    assert_eq!(me.header("cache-control"), "no-store");
}

#[apply(database_test!)]
async fn head_of_a_link_changes_nothing(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let link = town.one_mail_to(&ana.email).await.link("not-today");
    let before = (town.rows("links WHERE used_at IS NOT NULL"), town.rows("audit_log"));
    for method in [Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        ask(&town.nobody(), method, &link).await;
    }
    assert_eq!(ana.seat(&seat).await, "confirmed");
    assert_eq!((town.rows("links WHERE used_at IS NOT NULL"), town.rows("audit_log")), before);
}

#[apply(database_test!)]
async fn wrong_method_is_405_with_the_methods_that_fit(town: Town) {
    let (fay, nobody) = (town.facilitator("Fay").await, town.nobody());
    let run = town.run(&fay, |_| {}).await;
    let known = format!("/v1/runs/{}", run.id);
    for (method, path, allow) in [
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("DELETE", "/readyz", "GET, HEAD, OPTIONS"),
        ("POST", "/openapi.json", "GET, HEAD, OPTIONS"),
        ("POST", "/docs/", "GET, HEAD, OPTIONS"),
        ("POST", "/docs", "GET, HEAD, OPTIONS"),
        ("PUT", "/problems/run_full", "GET, HEAD, OPTIONS"),
        ("PUT", "/e/not-today/none", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/v1/runs", "GET, HEAD, POST, OPTIONS"),
        ("GET", "/v1/sessions/refresh", "POST, DELETE, OPTIONS"),
        ("HEAD", "/v1/password-resets", "POST, OPTIONS"),
        ("POST", &known, "GET, HEAD, PATCH, OPTIONS"),
        ("POST", "/v1/runs/00000000-0000-4000-8000-000000000000", "GET, HEAD, PATCH, OPTIONS"),
        ("POST", "/v1/runs/no-id", "GET, HEAD, PATCH, OPTIONS"),
        ("PROPFIND", "/v1/me", "GET, HEAD, PATCH, OPTIONS"),
        ("TRACE", "/v1/me", "GET, HEAD, PATCH, OPTIONS"),
    ] {
        for client in [&nobody, &fay] {
            let answer = ask(client, method.parse().unwrap(), path).await;
            assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}: {}", answer.text);
            if method != "HEAD" {
                answer.refused(405, "method_not_allowed");
            }
        }
    }
    for (method, path) in [("POST", "/v1/nothing"), ("DELETE", "/v1"), ("POST", "/nothing"), ("PUT", "/v1/runs/a/b/c")]
    {
        ask(&nobody, method.parse().unwrap(), path).await.refused(404, "not_found");
        ask(&nobody, Method::OPTIONS, path).await.refused(404, "not_found");
    }
}

#[apply(database_test!)]
async fn options_names_the_methods_of_every_path(town: Town) {
    let nobody = town.nobody();
    let doc = nobody.open("/openapi.json").await.expect(200).json;
    for (path, methods) in doc["paths"].as_object().unwrap() {
        let answer = ask(&nobody, Method::OPTIONS, &path.replace(['{', '}'], "")).await.expect(204);
        let allow: Vec<&str> = answer.header("allow").split(", ").collect();
        for method in methods.as_object().unwrap().keys() {
            assert!(allow.contains(&method.to_uppercase().as_str()), "{method} {path}: {allow:?}");
        }
        assert_eq!(allow.contains(&"HEAD"), allow.contains(&"GET"), "{path}");
        assert_eq!((answer.text.as_str(), allow.last()), ("", Some(&"OPTIONS")), "{path}");
    }
}

#[apply(database_test!)]
async fn extra_slashes_are_served_and_never_redirect(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let nobody = town.nobody();
    for path in ["/healthz/", "//healthz", "/v1/help/", "/v1//help//", "//v1/runs/?limit=1", "/problems/", "//docs/"] {
        ask(&nobody, Method::GET, path).await.expect(200);
    }
    assert_eq!(
        ask(&nobody, Method::GET, "/v1/runs//?limit=0").await.faults(),
        ["?limit too_small"],
        "the query is kept"
    );
    let joined = ana.post(&format!("//runs/{}//signups/", run.id), json!({})).await.expect(201);
    assert_eq!(joined.json["status"], "confirmed");
    for path in
        ["//evil.example", "//evil.example/", "/%2f/evil.example", "//evil.example/%2e%2e", "/\\evil.example", "///"]
    {
        let answer = ask(&nobody, Method::GET, path).await;
        assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.status);
        assert_eq!(answer.header("location"), "", "{path}");
    }
    assert_eq!(ask(&nobody, Method::GET, "//docs").await.header("location"), "docs/");
    town.work().await;
}

#[apply(database_test!)]
async fn if_match_is_compared_weakly(town: Town) {
    let fay = town.facilitator("Fay").await;
    let mut run = town.run(&fay, |_| {}).await;
    for turn in 0..6 {
        let inner = run.etag.trim_matches('"');
        let header = match turn {
            0 => format!("W/{}", run.etag),
            1 => format!("w/{}", run.etag),
            2 => format!("\"{inner}-gzip\""),
            3 => format!("\"a,b\", W/{}", run.etag),
            4 => "*".to_owned(),
            _ => format!("\"{}\"", run.json["version"]),
        };
        let change = json!({ "title": format!("Title {turn}") });
        let edited = fay.patch(&run.at(""), Some(&header), change).await.expect(200);
        assert_eq!(edited.header("etag"), format!("\"{}\"", edited.json["version"]), "{header}");
        assert_ne!(edited.header("etag"), run.etag, "{header}");
        let change = json!({ "title": "Late" });
        fay.patch(&run.at(""), Some(&format!("W/{}", run.etag)), change).await.refused(412, "version_stale");
        (run.etag, run.json) = (edited.header("etag").to_owned(), edited.json);
    }
    for bad in ["2", "W/2", "\"1", "", "'7'", "\"7\" \"8\""] {
        fay.patch(&run.at(""), Some(bad), json!({ "title": "x" })).await.faulty(&["header If-Match bad_etag"]);
    }
    fay.patch(&run.at(""), None, json!({ "title": "x" })).await.refused(428, "version_missing");
    town.work().await;
}

#[apply(database_test!)]
async fn unedited_run_is_304_until_it_is_edited(town: Town) {
    let (fay, ana, nobody) = (town.facilitator("Fay").await, town.person("Ana").await, town.nobody());
    let run = town.run(&fay, |_| {}).await;
    let path = format!("/v1/runs/{}", run.id);
    let seen = ask(&nobody, Method::GET, &path).await.expect(200);
    let etag = seen.header("etag").to_owned();
    for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let answer = ask_with(&nobody, &path, "If-None-Match", &known).await.expect(304);
        assert_eq!((answer.header("etag"), answer.text.as_str()), (etag.as_str(), ""), "{known}");
        assert_eq!(answer.header("cache-control"), seen.header("cache-control"));
        let head = nobody.send(nobody.request(Method::HEAD, &path).header("If-None-Match", &known)).await;
        head.expect(304);
    }
    for other in ["\"0\"", "\"11\"", "nonsense", ""] {
        ask_with(&nobody, &path, "If-None-Match", other).await.expect(200);
    }
    ana.joins(&run.id, "confirmed").await;
    let after = ask(&nobody, Method::GET, &path).await.expect(200);
    assert_eq!(after.json["places_left"].as_i64(), seen.json["places_left"].as_i64().map(|left| left - 1));
    assert_eq!(after.header("etag"), etag, "a sign-up is no edit");
    assert_eq!(after.header("cache-control"), "no-store", "no cache goes on showing the old count");
    fay.patch(&run.at(""), Some(&etag), json!({ "title": "Later" })).await.expect(200);
    ask_with(&nobody, &path, "If-None-Match", &etag).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn description_and_help_are_304_when_unchanged(town: Town) {
    let nobody = town.nobody();
    for path in ["/openapi.json", "/v1/help"] {
        let seen = ask(&nobody, Method::GET, path).await.expect(200);
        let etag = seen.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{path}: {etag}");
        let known = ask_with(&nobody, path, "If-None-Match", &format!("W/{etag}")).await.expect(304);
        assert_eq!((known.header("etag"), known.text.as_str()), (etag.as_str(), ""));
        ask_with(&nobody, path, "If-None-Match", "\"other\"").await.expect(200);
    }
}

#[apply(database_test!)]
async fn created_things_say_where_they_are(town: Town) {
    let (fay, ana, admin) = (town.facilitator("Fay").await, town.person("Ana").await, town.admin().await);
    let posted = fay.post("/runs", town.run_body()).await.expect(201);
    assert_eq!(posted.header("location"), format!("/v1/runs/{}", posted.id()));
    let shown = ask(&fay, Method::GET, posted.header("location")).await.expect(200);
    assert_eq!(shown.id(), posted.id());
    let signups = format!("/runs/{}/signups", posted.id());
    let joined = ana.post_once("key", &signups, json!({})).await.expect(201);
    assert_eq!(joined.header("location"), format!("/v1/signups/{}", joined.id()));
    ask(&ana, Method::GET, joined.header("location")).await.expect(200);
    let again = ana.post_once("key", &signups, json!({})).await.expect(201);
    assert_eq!(again.header("location"), joined.header("location"), "a repeated answer says it as well");
    assert_eq!(ana.post(&signups, json!({})).await.expect(200).header("location"), "", "nothing new was made");
    let kept = ana.post(&format!("/signups/{}/friend", joined.id()), json!({})).await.expect(201);
    ask(&town.nobody(), Method::GET, kept.header("location")).await.expect(200);
    let route = fay
        .request(Method::PUT, &format!("/v1/runs/{}/route", posted.id()))
        .json(&json!({ "type": "LineString", "coordinates": [[-0.331, 51.411], [-0.335, 51.413]] }));
    let made = fay.send(route.header("Content-Type", "application/geo+json")).await.expect(201);
    assert_eq!(made.header("location"), format!("/v1/runs/{}/route", posted.id()));
    let about = json!({ "about": { "kind": "run", "id": posted.id() }, "category": "other", "statement": "s" });
    let report = ana.post("/reports", about).await.expect(201);
    ask(&admin, Method::GET, report.header("location")).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn front_page_says_what_this_is_and_where_help_is(town: Town) {
    let nobody = town.nobody();
    let page = nobody.open("/").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    for needed in
        ["<html lang=\"en\">", "<h1>", "The Town", "docs/", "Find A Helpline", "112", "name=\"viewport\"", "<main>"]
    {
        assert!(page.text.contains(needed), "{needed} missing in {}", page.text);
    }
    assert!(!page.text.contains("noindex") && !page.text.contains("<script"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for link in page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        if !link.starts_with("http") {
            nobody.open(&format!("/{link}")).await.expect(200);
        }
    }
    let robots = nobody.open("/robots.txt").await.expect(200);
    assert!(robots.header("content-type").starts_with("text/plain"));
    for kept_away in ["User-agent: *", "Disallow: /e/", "Disallow: /v1"] {
        assert!(robots.text.lines().any(|line| line == kept_away), "{}", robots.text);
    }
    nobody.open("/favicon.ico").await.expect(204);
    let index = nobody.open("/problems/").await.expect(200);
    for code in ["run_full", "method_not_allowed", "invalid"] {
        assert!(index.text.contains(&format!("href=\"problems/{code}\"")), "{code}");
    }
}

#[apply(database_test!)]
async fn refused_token_is_named_in_the_challenge(town: Town) {
    let ana = town.person("Ana").await;
    let challenge = async |client: &Client| {
        let answer = client.get("/me").await.expect(401);
        answer.header("www-authenticate").to_owned()
    };
    assert_eq!(challenge(&town.nobody()).await, "Bearer");
    let invalid = "Bearer error=\"invalid_token\"";
    assert_eq!(challenge(&Client::with_token(&town, "a.b.c")).await, invalid);
    let stale = Client::with_token(&town, &ana.token().unwrap());
    town.set_clock("2026-11-23T10:15:00Z");
    assert_eq!(challenge(&stale).await, invalid);
    ana.delete("/sessions/current").await.expect(204);
    let fresh = Client::with_token(&town, &ana.token().unwrap());
    assert_eq!(challenge(&fresh).await, invalid, "the session has ended");
    let wrong: Value = json!({ "email": ana.email, "password": "not this one at all" });
    let answer = town.nobody().post("/sessions", wrong).await.expect(401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}
