//! Bodies, queries and heads with very many faults: few are told, and none costs others their answers.

use macro_rules_attribute::apply;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    harness::{Answer, Town},
    support::database_test::database_test,
};

/// Bytes of an answer that tells 50 faults, each with a pointer and a sentence.
const SMALL: usize = 16 * 1024;

#[track_caller]
fn tells_fifty(answer: &Answer, more: usize) {
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.json["errors"].as_array().map(Vec::len), Some(50), "{}", answer.text);
    assert_eq!(answer.json["more_errors"], json!(more));
    let words = format!("there are {more} more");
    assert!(answer.json["detail"].as_str().is_some_and(|detail| detail.contains(&words)), "{}", answer.text);
    assert!(answer.text.len() < SMALL, "{} bytes", answer.text.len());
}

#[apply(database_test!)]
async fn at_most_fifty_faults_are_told(town: Town) {
    let ana = town.person("Ana").await;
    let unknown = |many: usize| (0..many).map(|n| (format!("x{n}"), json!(n))).collect::<Map<String, Value>>();
    let few = ana.put("/me/email-preferences", Value::Object(unknown(40))).await;
    assert_eq!(few.json["errors"].as_array().map_or(0, Vec::len), 40 + required(&few), "{}", few.text);
    assert_eq!(few.json.get("more_errors"), None);
    let many = town.nobody().post("/password-resets", Value::Object(unknown(900))).await;
    tells_fifty(&many, 900 + 1 - 50);
    let faulty: Vec<Value> = (0..100).map(|_| json!({ "weekday": "noday", "from": 7, "until": 8 })).collect();
    let body = json!({ "activities": ["run"], "availability": faulty });
    let answer = ana.put("/me/running-profile", body).await;
    assert_eq!(answer.status, 422);
    assert!(answer.json["errors"].as_array().is_some_and(|told| told.len() <= 50) && answer.text.len() < SMALL);
}

/// How many of the faults are members that are missing.
fn required(answer: &Answer) -> usize {
    let errors = answer.json["errors"].as_array().expect("faults");
    errors.iter().filter(|fault| fault["code"] == "required").count()
}

#[apply(database_test!)]
async fn list_that_is_too_long_is_one_fault(town: Town) {
    let ana = town.person("Ana").await;
    let ones = |many: usize| Value::Array(vec![json!(1); many]);
    let body = json!({ "activities": ["run"], "availability": ones(30_000) });
    ana.put("/me/running-profile", body).await.faulty(&["/availability too_many"]);
    let body = json!({ "activities": ones(30_000), "languages": ones(1000) });
    ana.put("/me/running-profile", body).await.faulty(&["/activities too_many", "/languages too_many"]);
    let facilitator = town.facilitator("Fay").await;
    let mut run = town.run_body();
    run["questions"] = ones(30_000);
    facilitator.post("/runs", run).await.faulty(&["/questions too_many"]);
    // A list where none belongs, and one that nobody knows.
    let answer = town.nobody().post("/password-resets", json!({ "email": ones(30_000) })).await;
    assert!(answer.status == 422 && answer.text.len() < SMALL, "{}", answer.text);
    let answer = town.nobody().post("/password-resets", json!({ "email": "a@b.example", "x": ones(30_000) })).await;
    assert!(answer.status == 422 && answer.text.len() < SMALL, "{}", answer.text);
}

#[apply(database_test!)]
async fn hostile_shapes_get_short_answers(town: Town) {
    let nobody = town.nobody();
    let nested = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    let name = "n".repeat(70);
    let members = format!("{{{}}}", (0..6000).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    let twice = format!("{{{}\"email\":1}}", "\"email\":1,".repeat(5000));
    for body in [
        nested("[", "]", 30_000),
        nested("{\"a\":", "}", 8000).replace(":}", ":0}"),
        nested("[", "]", 120),
        format!("{}\"\u{7}\"{}", format!("{{\"{name}\":").repeat(100), "}".repeat(100)),
        format!("[{}]", vec!["\"\\u0007\""; 6000].join(",")),
        members,
        twice,
        format!("{{\"email\":\"{}\"}}", "\\u0007".repeat(10_000)),
        format!("{{\"{}\":1}}", "k".repeat(60_000)),
        "1".repeat(60_000),
    ] {
        let start: String = body.chars().take(40).collect();
        let answer = nobody.post_raw("/password-resets", "application/json", body).await;
        assert!(matches!(answer.status, 400 | 422), "{} for {start}", answer.status);
        assert!(answer.text.len() < 4 * SMALL, "{} bytes for {start}", answer.text.len());
    }
}

#[apply(database_test!)]
async fn query_and_head_have_limits(town: Town) {
    let nobody = town.nobody();
    nobody.get(&format!("/runs?{}", "a&".repeat(1000))).await.faulty(&["? too_many"]);
    nobody.get(&format!("/runs?{}", "limit=1&limit=2&".repeat(45))).await.faulty(&["?limit given_twice"]);
    nobody.get(&format!("/runs?a={}", "x".repeat(9000))).await.refused(414, "uri_too_long");
    nobody.get(&format!("/{}", "a/".repeat(5000))).await.refused(414, "uri_too_long");
    let large = nobody.request(Method::GET, "/v1/help").header("Cookie", "a=b; ".repeat(8000));
    nobody.send(large).await.refused(431, "head_too_large");
    let cookies = nobody.request(Method::GET, "/v1/help").header("Cookie", "a=b; ".repeat(4000));
    nobody.send(cookies).await.expect(200);
}
