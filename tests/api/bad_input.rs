//! Bad input: the right status, every fault by its pointer, nothing stored, and never a 500.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, Town},
    support::database_test::database_test,
};

/// How many rows there are in every table that requests fill.
fn stored(town: &Town) -> i64 {
    [
        "accounts",
        "runs",
        "signups",
        "reports",
        "sanctions",
        "bars",
        "appeals",
        "facilitator_applications",
        "outbox",
        "running_profiles",
        "idempotency_keys",
        "audit_log",
    ]
    .iter()
    .map(|table| town.rows(table))
    .sum()
}

#[apply(database_test!)]
async fn what_is_not_json_is_a_bad_request(town: Town) {
    let fay = town.facilitator("Fay").await;
    let before = stored(&town);
    for body in ["{", "{\"title\": \"x\",}", "nonsense", "{'title': 1}", "[1, 2", "{\"a\":\"\\ud800\"}"] {
        fay.post_raw("/runs", "application/json", body).await.refused(400, "bad_request");
    }
    fay.post_raw("/runs", "application/json", vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'])
        .await
        .refused(400, "bad_request");
    for body in ["[]", "null", "7", "\"text\"", "true"] {
        fay.post_raw("/runs", "application/json", body).await.faulty(&[" wrong_type"]);
    }
    fay.post_raw("/runs", "application/json", "{}").await.faulty(&[
        "/title required",
        "/pace required",
        "/capacity required",
    ]);
    assert_eq!(stored(&town), before);
}

#[apply(database_test!)]
async fn numbers_that_are_none_are_refused(town: Town) {
    let fay = town.facilitator("Fay").await;
    let before = stored(&town);
    let with = |field: &str, value: &str| town.run_body().to_string().replace(field, value);
    for value in ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x10", "01", "1."] {
        fay.post_raw("/runs", "application/json", with("51.410992", value)).await.refused(400, "bad_request");
    }
    for (value, fault) in [
        ("91.0", "/meeting_point/lat too_large"),
        ("-90.0001", "/meeting_point/lat too_small"),
        ("1e308", "/meeting_point/lat too_large"),
        ("\"51\"", "/meeting_point/lat wrong_type"),
        ("null", "/meeting_point/lat wrong_type"),
    ] {
        fay.post_raw("/runs", "application/json", with("51.410992", value)).await.faulty(&[fault]);
    }
    for value in ["99999999999999999999", "1.5", "-1", "2147483648"] {
        let answer =
            fay.post_raw("/runs", "application/json", with("\"capacity\":10", &format!("\"capacity\":{value}"))).await;
        let faults = answer.expect(422).faults();
        assert!(faults.iter().any(|fault| fault.starts_with("/capacity ")), "{value}: {faults:?}");
    }
    assert_eq!(stored(&town), before);
}

#[apply(database_test!)]
async fn every_fault_of_a_run_is_named_at_once(town: Town) {
    let fay = town.facilitator("Fay").await;
    let before = stored(&town);
    let body = json!({
        "title": "", "activity": "swim", "pace": { "fastest_s_per_km": 10, "slowest_s_per_km": 9999, "unit": "mi" },
        "distance_km": -1, "duration_min": 1, "starts_at": "tomorrow", "time_zone": 7,
        "meeting_point": { "lat": 91, "lng": -181, "name": "" }, "capacity": 0, "join_policy": "secret",
        "languages": ["English"], "access": { "step_free": "perhaps" }, "questions": [""], "colour": "blue",
    });
    fay.post("/runs", body).await.faulty(&[
        "/title too_short",
        "/activity unknown_value",
        "/pace/fastest_s_per_km too_small",
        "/pace/slowest_s_per_km too_large",
        "/pace/unit unknown_field",
        "/distance_km too_small",
        "/duration_min too_small",
        "/starts_at bad_format",
        "/time_zone wrong_type",
        "/meeting_point/lat too_large",
        "/meeting_point/lng too_small",
        "/meeting_point/name too_short",
        "/capacity too_small",
        "/join_policy unknown_value",
        "/languages/0 bad_format",
        "/access/step_free unknown_value",
        "/questions/0 too_short",
        "/colour unknown_field",
    ]);
    let mut upside_down = town.run_body();
    upside_down["pace"] = json!({ "fastest_s_per_km": 500, "slowest_s_per_km": 400 });
    upside_down["capacity"] = json!(1_000_000);
    upside_down["starts_at"] = json!("2020-01-01T09:00:00Z");
    fay.post("/runs", upside_down).await.faulty(&[
        "/pace upside_down",
        "/capacity too_large",
        "/starts_at in_the_past",
    ]);
    let mut newcomers = town.run_body();
    newcomers["newcomer_places"] = json!(11);
    newcomers["title"] = json!("   ");
    fay.post("/runs", newcomers).await.faulty(&["/newcomer_places above_capacity", "/title empty"]);
    assert_eq!(stored(&town), before);
}

#[apply(database_test!)]
async fn a_run_in_the_past_or_too_far_ahead_is_refused(town: Town) {
    let fay = town.facilitator("Fay").await;
    for (start, fault) in [
        ("2026-11-23T10:00:00Z", "/starts_at in_the_past"),
        ("0001-01-01T00:00:00Z", "/starts_at in_the_past"),
        ("2028-01-01T00:00:00Z", "/starts_at too_far_ahead"),
        ("9999-12-30T00:00:00Z", "/starts_at too_far_ahead"),
        // Beyond what our instants reach, though a date all the same.
        ("9999-12-31T23:59:59Z", "/starts_at bad_format"),
        ("2026-11-26T25:00:00Z", "/starts_at bad_format"),
        ("2026-11-26T09:00:00", "/starts_at bad_format"),
        ("2026-02-30T09:00:00Z", "/starts_at bad_format"),
    ] {
        let mut body = town.run_body();
        body["starts_at"] = json!(start);
        fay.post("/runs", body).await.faulty(&[fault]);
    }
    // A leap second and an offset are fine or named, and never ours to fail on.
    for start in ["2026-12-31T23:59:60Z", "2026-11-26T09:00:00+14:00", "2026-11-26T09:00:00.123456789Z"] {
        let mut body = town.run_body();
        body["starts_at"] = json!(start);
        let answer = fay.post("/runs", body).await;
        assert!(matches!(answer.status, 201 | 422), "{start}: {}", answer.text);
    }
}

#[apply(database_test!)]
async fn texts_of_a_megabyte_are_too_large(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let before = stored(&town);
    let long = "x".repeat(1024 * 1024);
    let mut body = town.run_body();
    body["description"] = json!(long);
    fay.post("/runs", body).await.refused(413, "payload_too_large");
    ana.post(&run.at("/signups"), json!({ "note": long })).await.refused(413, "payload_too_large");
    let report = json!({ "about": { "kind": "run", "id": run.id }, "category": "other", "statement": long });
    ana.post("/reports", report).await.refused(413, "payload_too_large");
    town.nobody().post("/accounts", json!({ "password": long })).await.refused(413, "payload_too_large");
    // Just below the limit of a body, a field's own limit speaks.
    let mut body = town.run_body();
    body["description"] = json!("x".repeat(60 * 1024));
    fay.post("/runs", body).await.faulty(&["/description too_long"]);
    assert_eq!(stored(&town), before);
}

#[apply(database_test!)]
async fn texts_that_are_too_long_or_hold_control_characters_are_named(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let before = stored(&town);
    for bad in ["a\u{0}b", "a\u{7}b", "\u{1b}[31m", "a\u{85}b", "a\u{7f}b"] {
        let mut body = town.run_body();
        body["title"] = json!(bad);
        body["getting_there"] = json!(bad);
        fay.post("/runs", body).await.faulty(&["/title control_character", "/getting_there control_character"]);
        ana.post(&run.at("/signups"), json!({ "note": bad })).await.faulty(&["/note control_character"]);
        let report =
            json!({ "about": { "run_id": run.id, "description": bad }, "category": "other", "statement": bad });
        ana.post("/reports", report)
            .await
            .faulty(&["/about/description control_character", "/statement control_character"]);
    }
    let mut body = town.run_body();
    body["access"] = json!({ "step\u{0}free": "yes" });
    fay.post("/runs", body).await.expect(422);
    ana.post(&run.at("/signups"), json!({ "note": "x".repeat(501) })).await.faulty(&["/note too_long"]);
    ana.post(&run.at("/signups"), json!({ "answers": vec!["x"; 6] })).await.faulty(&["/answers too_many"]);
    for name in ["\u{0}", "%00", "a%0Ab"] {
        let answer = town.nobody().get(&format!("/runs?language={name}")).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
    assert_eq!(stored(&town), before);
    // Line breaks, tabs and every script are fine.
    let mut body = town.run_body();
    body["description"] = json!("Zeile eins\r\nZeile\tzwei 走る 🏃🏽‍♀️ می‌نا");
    let posted = fay.post("/runs", body.clone()).await.expect(201);
    assert_eq!(posted.json["description"], body["description"]);
}

const GHOST: &str = "00000000-0000-4000-8000-000000000000";

#[apply(database_test!)]
async fn ids_that_name_nothing_are_not_found(town: Town) {
    let ada = town.admin().await;
    let fay = town.facilitator("Fay").await;
    for id in [
        GHOST,
        "1",
        "null",
        "%00",
        "..",
        "%2e%2e",
        "0000",
        &"9".repeat(3000),
        "é",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ] {
        for (path, body) in [
            (format!("/runs/{id}/signups"), json!({})),
            (format!("/runs/{id}/cancel"), json!({ "reason_code": "other" })),
            (format!("/runs/{id}/take-over"), json!({})),
            (format!("/runs/{id}/facilitators"), json!({ "account_id": GHOST })),
            (format!("/signups/{id}/withdraw"), json!({})),
            (format!("/signups/{id}/approve"), json!({})),
            (format!("/moderation/reports/{id}/assign"), json!({})),
            (format!("/moderation/sanctions/{id}/lift"), json!({ "reason": "r" })),
            (format!("/moderation/appeals/{id}/decide"), json!({ "outcome": "uphold", "statement": "s" })),
            (format!("/facilitator-applications/{id}/approve"), json!({})),
            (format!("/accounts/{id}/roles"), json!({ "role": "moderator" })),
        ] {
            for person in [&ada, &fay] {
                let answer = person.post(&path, body.clone()).await;
                assert!(matches!(answer.status, 404 | 403), "{path}: {} {}", answer.status, answer.text);
                assert!(
                    answer.status == 404
                        || path.contains("moderation")
                        || path.contains("appl")
                        || path.contains("roles")
                );
            }
        }
        for path in ["/runs", "/signups", "/facilitators", "/moderation/reports"] {
            let answer = ada.get(&format!("{path}/{id}")).await;
            assert_eq!(answer.status, 404, "{path}/{id}: {}", answer.text);
        }
        // The client takes `..` out of the path, and what is left is another address.
        let nothing = if id == ".." || id == "%2e%2e" { 405 } else { 404 };
        ada.delete(&format!("/me/bars/{id}")).await.expect(nothing);
        ada.delete(&format!("/sessions/{id}")).await.expect(404);
        ada.delete(&format!("/runs/{id}/facilitators/{id}")).await.expect(404);
        ada.delete(&format!("/accounts/{id}/roles/moderator")).await.expect(404);
    }
    ada.delete(&format!("/accounts/{}/roles/king", fay.id)).await.expect(404);
}

#[apply(database_test!)]
async fn what_is_not_yours_looks_the_same_as_what_does_not_exist(town: Town) {
    let (fay, gil) = (town.facilitator("Fay").await, town.facilitator("Gil").await);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = town.run(&fay, |_| {}).await;
    let draft = town.run(&fay, |run| run["draft"] = json!(true)).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let bar = json!({ "account_id": ana.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
    let bar = fay.post("/me/bars", bar).await.expect(201).id();
    let removal = json!({ "reason_code": "group_size", "private_note": "n" });
    let cases: Vec<(&Client, &str, String, &str, Value)> = vec![
        (&ben, "GET", "/signups/{}".into(), &seat, json!({})),
        (&ben, "POST", "/signups/{}/withdraw".into(), &seat, json!({})),
        (&gil, "POST", "/signups/{}/approve".into(), &seat, json!({})),
        (&gil, "POST", "/signups/{}/remove".into(), &seat, removal),
        (&gil, "GET", "/runs/{}/signups".into(), &run.id, json!({})),
        (&gil, "GET", "/runs/{}".into(), &draft.id, json!({})),
        (&ben, "GET", "/matches?explain={}".into(), &draft.id, json!({})),
        (&ben, "POST", "/runs/{}/signups".into(), &draft.id, json!({})),
        (&gil, "POST", "/runs/{}/take-over".into(), &draft.id, json!({})),
        (&gil, "POST", "/runs/{}/cancel".into(), &draft.id, json!({ "reason_code": "other" })),
        (&gil, "POST", "/runs/{}/facilitators".into(), &run.id, json!({ "account_id": gil.id })),
        (&gil, "DELETE", "/me/bars/{}".into(), &bar, json!({})),
    ];
    for (client, method, path, mine, body) in cases {
        let ask = async |id: &str| -> Answer {
            let path = path.replace("{}", id);
            match method {
                "GET" => client.get(&path).await,
                "DELETE" => client.delete(&path).await,
                _ => client.post(&path, body.clone()).await,
            }
        };
        let (theirs, none) = (ask(mine).await.refused(404, "not_found"), ask(GHOST).await.refused(404, "not_found"));
        assert_eq!(theirs.text, none.text, "{method} {path}");
        assert_eq!(theirs.header_names(), none.header_names(), "{method} {path}");
    }
    town.work().await;
}

#[apply(database_test!)]
async fn bodies_of_another_type_are_refused(town: Town) {
    let fay = town.facilitator("Fay").await;
    let body = town.run_body().to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data; boundary=x",
        "json",
        "",
    ] {
        fay.post_raw("/runs", kind, body.clone()).await.refused(415, "unsupported_media_type");
    }
    assert_eq!(town.rows("runs"), 0);
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"] {
        fay.post_raw("/runs", kind, body.clone()).await.expect(201);
    }
}

#[apply(database_test!)]
async fn json_that_is_nested_too_deep_is_refused(town: Town) {
    let fay = town.facilitator("Fay").await;
    for depth in [100, 1_000, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let answer = fay.post_raw("/runs", "application/json", body).await;
            assert!(matches!(answer.status, 400 | 413 | 422), "{}: {}", answer.status, answer.text);
        }
    }
    let wide = format!("{{{}}}", (0..5_000).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","));
    fay.post_raw("/runs", "application/json", wide).await.expect(422);
}

#[apply(database_test!)]
async fn strange_authorization_headers_are_refused(town: Town) {
    let ana = town.person("Ana").await;
    let token = ana.token().unwrap();
    let long = format!("Bearer {}", "a".repeat(5_000));
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Token x",
        &token,
        "Bearer a.b.c",
        "Bearer null",
        &long,
        "bearer",
        ",",
        "Bearer  ",
    ] {
        let answer = Client::with_header(&town, value).get("/me").await;
        answer.refused(401, "token_invalid");
        // A page that is public is not shown to somebody whose token is none: they should know.
        Client::with_header(&town, value).get("/runs").await.refused(401, "token_invalid");
    }
    Client::with_header(&town, &format!("bEaReR   {token}")).get("/me").await.expect(200);
    town.nobody().get("/me").await.refused(401, "not_logged_in");
}

#[apply(database_test!)]
async fn a_token_that_was_tampered_with_is_refused(town: Town) {
    let ana = town.person("Ana").await;
    let token = ana.token().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let swapped = format!("{}.{}.{}", parts[0], parts[0], parts[2]);
    for forged in [none, swapped, token[..token.len() - 2].to_owned(), format!("{token}x")] {
        Client::with_token(&town, &forged).get("/me").await.refused(401, "token_invalid");
    }
    // A link's token, a cursor and a refresh token are no access tokens.
    let tokens =
        town.nobody().post("/sessions", json!({ "email": ana.email, "password": crate::harness::PASSWORD })).await;
    Client::with_token(&town, &tokens.str("refresh_token")).get("/me").await.refused(401, "token_invalid");
}

#[apply(database_test!)]
async fn strange_cursors_and_queries_are_refused(town: Town) {
    let mo = town.moderator("Mo").await;
    let led = town.run(&town.facilitator("Fay").await, |_| {}).await;
    mo.get(&led.at("/signups?limit=0")).await.refused(404, "not_found");
    for path in [
        "/runs",
        "/sessions",
        "/me/signups",
        "/me/bars",
        "/me/decisions",
        "/match-requests",
        "/blocks",
        "/moderation/reports",
        "/moderation/appeals",
        "/facilitator-applications",
    ] {
        for cursor in ["x", "%00", "AAAA", "null", "%ff%fe", &"A".repeat(1_999), "a.b"] {
            let answer = mo.get(&format!("{path}?cursor={cursor}")).await;
            assert!(matches!(answer.status, 422 | 400), "{path} {cursor}: {} {}", answer.status, answer.text);
        }
        mo.get(&format!("{path}?cursor={}", "A".repeat(2_001))).await.faulty(&["?cursor too_long"]);
        for limit in ["0", "101", "-1", "x", "1.5", "99999999999999999999", ""] {
            let answer = mo.get(&format!("{path}?limit={limit}")).await;
            assert!(answer.status == 422, "{path} {limit}: {} {}", answer.status, answer.text);
        }
    }
}

#[apply(database_test!)]
async fn every_fault_is_named_at_once_whoever_knows_the_rule(town: Town) {
    let (admin, ana) = (town.admin().await, town.person("Ana").await);
    let profile = json!({ "activities": ["run"], "travel_radius_km": 900 });
    ana.put("/me/running-profile", profile).await.faulty(&["/home required", "/travel_radius_km too_large"]);
    let suspension = json!({ "account_id": ana.id, "kind": "suspension", "rule": "", "statement": "s" });
    let answer = admin.post("/moderation/sanctions", suspension).await;
    answer.faulty(&["/expires_at required", "/rule too_short"]);
    let query = "/runs?limit=0&near=91,0&from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z";
    ana.get(query).await.faulty(&["?limit too_small", "?near out_of_range", "?to before_from"]);
    ana.get("/runs?radius_km=5").await.faulty(&["?near required"]);
    let query = "/matches?limit=0&from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z";
    ana.get(query).await.faulty(&["?limit too_small", "?to before_from"]);
}

#[apply(database_test!)]
async fn paths_and_methods_that_do_not_exist_are_not_found(town: Town) {
    let ana = town.person("Ana").await;
    for path in ["/v1", "/v1/", "/v1/nothing", "/v2/runs", "/runs", "/../etc/passwd", "/v1/runs/a/b"] {
        ana.open(path).await.refused(404, "not_found");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let request = ana.request(method.parse().unwrap(), "/v1/runs");
        let answer = ana.send(request).await;
        let wanted = if method == "OPTIONS" { 204 } else { 405 };
        assert_eq!(answer.status, wanted, "{method}: {}", answer.text);
    }
}

#[apply(database_test!)]
async fn requests_of_the_same_name_twice_in_one_body_are_no_way_around(town: Town) {
    let fay = town.facilitator("Fay").await;
    // The last one counts for the check and for what is kept, or it is refused.
    let body = town.run_body().to_string().replace("\"capacity\":10", "\"capacity\":10,\"capacity\":1000000");
    fay.post_raw("/runs", "application/json", body).await.faulty(&["/capacity too_large"]);
    let body = town.run_body().to_string().replace("\"capacity\":10", "\"capacity\":1000000,\"capacity\":10");
    let answer = fay.post_raw("/runs", "application/json", body).await;
    assert!(answer.status == 422 || answer.json["capacity"] == 10, "{}", answer.text);
}

/// A small generator of our own: the same numbers at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap_or(0)
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.roll(from.len())]
    }

    fn text(&mut self) -> String {
        let texts = [
            "",
            "x",
            "open",
            "yes",
            "2026-11-26T09:00:00Z",
            "9999-12-31T23:59:59Z",
            "0000-00-00T00:00:00Z",
            "-1",
            "\u{0}",
            "\u{202e}",
            "é",
            "🏃",
            "%00",
            "';--",
            "{{7*7}}",
            GHOST,
            "ana@example.org",
            "mon",
            "24:00",
            "en",
            "-009999-01-01T00:00:00Z",
            "9999-12-31T23:59:59-23:59",
            "account",
            "run",
            "ban",
            "hold",
            "safeguarding",
            "walk",
        ];
        match self.roll(12) {
            0 => "x".repeat(self.roll(6_000)),
            _ => (*self.pick(&texts)).to_owned(),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        let numbers = [
            json!(0),
            json!(-1),
            json!(1),
            json!(120),
            json!(1800),
            json!(1.5),
            json!(-0.0),
            json!(90),
            json!(180),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1e308),
            json!(5e-324),
            json!(2_147_483_648_i64),
        ];
        match self.roll(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => self.pick(&numbers).clone(),
            3 | 4 => json!(self.text()),
            5 => (0..self.roll(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let names =
                    ["lat", "lng", "name", "kind", "id", "x", "", "a/b~c", "fastest_s_per_km", "slowest_s_per_km"];
                let mut members = serde_json::Map::new();
                for _ in 0..self.roll(4) {
                    let name = (*self.pick(&names)).to_owned();
                    members.insert(name, self.value(depth - 1));
                }
                Value::Object(members)
            }
        }
    }

    /// A good body with some of it gone, changed or added.
    fn spoil(&mut self, body: &Value) -> Value {
        let mut spoiled = body.clone();
        let Value::Object(members) = &mut spoiled else { return self.value(3) };
        for _ in 0..=self.roll(2) {
            let names: Vec<String> = members.keys().cloned().collect();
            match self.roll(6) {
                0 => {
                    let (name, value) = (self.text(), self.value(2));
                    members.insert(name, value);
                }
                1 if !names.is_empty() => {
                    let name = self.pick(&names).clone();
                    members.remove(&name);
                }
                2 => return self.value(3),
                _ if !names.is_empty() => {
                    let name = self.pick(&names).clone();
                    let inner = members[&name].clone();
                    let value = if inner.is_object() && self.roll(2) == 0 { self.spoil(&inner) } else { self.value(3) };
                    members.insert(name, value);
                }
                _ => {}
            }
        }
        spoiled
    }
}

/// A body for each route that has one, from the API's own description.
fn bodies(doc: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, methods) in doc["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let content = &operation["requestBody"]["content"];
            let Some(schema) = content.as_object().and_then(|kinds| kinds.values().next()).map(|kind| &kind["schema"])
            else {
                continue;
            };
            let name = schema["$ref"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
            let known = &doc["components"]["schemas"][&name]["properties"];
            let members = known.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), json!("x")));
            all.push((method.to_uppercase(), path.clone(), Value::Object(members.collect())));
        }
    }
    all
}

#[apply(database_test!)]
async fn no_random_body_on_any_route_gives_an_error_of_ours(town: Town) {
    town.leave_mail();
    let (ada, fay) = (town.admin().await, town.facilitator("Fay").await);
    let id = fay.id;
    town.app()
        .db
        .write(move |tx| {
            sidebyside::store::accounts::grant_role(
                tx,
                id,
                sidebyside::domain::account::Role::Admin,
                None,
                "2026-11-23T10:00:00Z".parse().unwrap(),
            )
        })
        .await
        .unwrap();
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let report = json!({ "about": { "kind": "run", "id": run.id }, "category": "other", "statement": "x" });
    let report_id = ana.post("/reports", report.clone()).await.expect(201).id();
    let doc = town.nobody().open("/openapi.json").await.expect(200).json;
    let mut routes = bodies(&doc);
    assert!(routes.len() > 25, "{}", routes.len());
    for (method, path, body) in &mut routes {
        // Good bodies reach further than made-up ones.
        match (method.as_str(), path.as_str()) {
            ("POST", "/v1/runs") | ("PATCH", "/v1/runs/{id}") => *body = town.run_body(),
            ("POST", "/v1/reports") => *body = report.clone(),
            ("POST", "/v1/moderation/sanctions") => {
                *body = json!({ "account_id": ana.id, "kind": "warning", "rule": "r", "statement": "s" });
            }
            ("POST", "/v1/me/bars") => {
                *body = json!({ "account_id": ana.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
            }
            ("POST", "/v1/appeals") => {
                *body = json!({ "about": { "kind": "sanction", "id": GHOST }, "statement": "s" })
            }
            ("POST", "/v1/facilitator-applications") => {
                *body = json!({ "statement": "s", "credentials": [{ "kind": "first_aid", "issuer": "x", "expires_on": "2027-01-01" }] });
            }
            ("PUT", "/v1/me/running-profile") => {
                *body = json!({ "activities": ["run"], "home": { "lat": 51.4, "lng": -0.3 }, "travel_radius_km": 10.0,
                    "comfortable_pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 },
                    "availability": [{ "weekday": "mon", "from": "18:00", "to": "20:00" }] });
            }
            ("POST", "/v1/accounts") => {
                *body = json!({ "email": "x@example.org", "password": "a", "display_name": "X", "adult": true, "terms_version": "1" });
            }
            _ => {}
        }
    }
    let mut dice = Dice(0x5eed_cafe);
    let rounds = if town.kind() == crate::support::databases::Kind::Sqlite { 24 } else { 12 };
    for (method, path, good) in &routes {
        let id = if path.contains("signups/") {
            &seat
        } else if path.contains("reports/") {
            &report_id
        } else {
            &run.id
        };
        let path = path.replace("{id}", id).replace("{account_id}", &ana.id.to_string());
        for round in 0..rounds {
            let body = if round == 0 { good.clone() } else { dice.spoil(good) };
            let who: &Client = if round % 2 == 0 { &fay } else { &ada };
            let mut request = who.request(method.parse().unwrap(), &path).json(&body);
            if method == "PATCH" {
                request = request.header("If-Match", "*");
            }
            let answer = who.send(request).await;
            assert!(answer.status < 500, "{method} {path} {body}\n{} {}", answer.status, answer.text);
            if matches!(answer.status, 400 | 422) {
                assert_eq!(answer.header("content-type"), "application/problem+json");
                assert!(answer.text.len() < 20_000, "{}", answer.text.len());
            }
        }
    }
}

#[apply(database_test!)]
async fn no_random_query_gives_an_error_of_ours(town: Town) {
    let (fay, ada) = (town.facilitator("Fay").await, town.admin().await);
    town.run(&fay, |_| {}).await;
    let body = json!({ "activities": ["run", "walk"], "home": { "lat": 51.41, "lng": -0.33 } });
    ada.put("/me/running-profile", body).await.expect(200);
    let mut dice = Dice(0xfeed_5eed);
    let points = [
        "0,0",
        "90,180",
        "-90,-180",
        "51.41,-0.33",
        "89.9999,179.9999",
        "91,0",
        "1e5,2",
        ",",
        "51.4;0.3",
        "51.41,180.0",
    ];
    let instants =
        ["2026-11-20T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "now", "2026-12-30T00:00:00%2B14:00"];
    let words = [
        "walk",
        "run",
        "step_free",
        "en",
        "x",
        "",
        "0",
        "1",
        "50",
        "100",
        "0.1",
        "1e3",
        "-5",
        "true",
        "null",
        "%00",
        "%F0%9F%8F%83",
    ];
    for _ in 0..300 {
        let mut query = Vec::new();
        for name in [
            "near",
            "radius_km",
            "from",
            "to",
            "activity",
            "pace_s_per_km",
            "access",
            "language",
            "limit",
            "include_full",
        ] {
            if dice.roll(3) > 0 {
                continue;
            }
            let value = match name {
                "near" => dice.pick(&points),
                "from" | "to" => dice.pick(&instants),
                _ => dice.pick(&words),
            };
            query.push(format!("{name}={value}"));
        }
        for path in ["/runs", "/matches"] {
            let answer = ada.get(&format!("{path}?{}", query.join("&"))).await;
            assert!(answer.status < 500, "{path}?{query:?}: {} {}", answer.status, answer.text);
        }
    }
}

#[apply(database_test!)]
async fn empty_body_is_told_where_one_is_needed(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    let seat = ana.joins(&run.id, "confirmed").await;
    let send = async |client: &Client, method: &str, path: &str, body: &'static str| -> Answer {
        let request = client.request(method.parse().unwrap(), &format!("/v1{path}"));
        client.send(request.header("Content-Type", "application/json").header("If-Match", "*").body(body)).await
    };
    let before = stored(&town);
    for body in ["", " \r\n", "\u{feff}"] {
        for (method, path) in [
            ("POST", "/runs"),
            ("POST", "/reports"),
            ("POST", "/run-series"),
            ("POST", "/me/bars"),
            ("POST", "/facilitator-applications"),
            ("POST", "/me/password"),
            ("PUT", "/me/running-profile"),
            ("PUT", "/me/email-preferences"),
            ("PUT", "/me/emergency-contact"),
            ("PATCH", "/me"),
            ("PATCH", &run.at("")),
            ("POST", &run.at("/cancel")),
            ("POST", &run.at("/announcements")),
        ] {
            send(&fay, method, path, body).await.refused(400, "body_missing");
        }
        for path in ["/sessions", "/sessions/refresh", "/accounts", "/password-resets", "/accounts/verify-email"] {
            send(&town.nobody(), "POST", path, body).await.refused(400, "body_missing");
        }
        // What is not there is told before what was not sent.
        send(&fay, "POST", &format!("/runs/{GHOST}/cancel"), body).await.refused(404, "not_found");
    }
    assert_eq!(stored(&town), before);
    // Where nothing needs to be said, nothing is fine.
    send(&ana, "POST", &format!("/signups/{seat}/reconfirm"), "").await.expect(200);
    send(&ana, "POST", &format!("/signups/{seat}/withdraw"), "").await.expect(200);
    let again = ana.request(reqwest::Method::POST, &format!("/v1{}", run.at("/signups")));
    ana.send(again).await.expect(201);
    town.leave_mail();
}

#[apply(database_test!)]
async fn byte_order_mark_before_json_is_skipped(town: Town) {
    let fay = town.facilitator("Fay").await;
    let body = format!("\u{feff}{}", town.run_body());
    fay.post_raw("/runs", "application/json", body).await.expect(201);
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let answer = fay.post_raw("/runs", "application/json", utf16).await.refused(400, "bad_request");
    assert!(answer.str("detail").contains("UTF-8"), "{}", answer.text);
    fay.post_raw("/runs", "application/json", "\u{feff}\u{feff}{}").await.refused(400, "bad_request");
}

/// The words for a fault at `pointer`.
fn detail(answer: &Answer, pointer: &str) -> String {
    let errors = answer.json["errors"].as_array().cloned().unwrap_or_default();
    let found = errors.iter().find(|error| error["pointer"] == pointer).unwrap_or_else(|| panic!("{}", answer.text));
    found["detail"].as_str().unwrap().to_owned()
}

#[apply(database_test!)]
async fn queries_are_read_as_people_and_libraries_write_them(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town
        .run(&fay, |run| {
            run["languages"] = json!(["en"]);
            run["access"] = json!({ "step_free": "yes" });
        })
        .await;
    ana.put("/me/running-profile", json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 } }))
        .await
        .expect(200);
    for query in [
        "from=2026-11-25T00:00:00+01:00",
        "from=2026-11-25T00:00:00%2B01:00",
        "from=2026-11-25T00:00:00+0100&to=2026-11-27t00:00:00z",
        "from=2026-11-25+00:00:00Z",
        "from=2026-11-25%2000:00Z",
        "near=51.410992, -0.335",
        "near=51.410992,-0.335&near=51.410992,-0.335",
        "near=+51.410992,+-0.335",
        "near=51.410992%20%E2%88%920.335",
        "language=en-GB",
        "language=EN",
        "language=en_gb&limit=+5",
        "activity=Run",
        "activity=RUN&limit= 5 ",
        "access=Step-Free",
        "access=step+free",
        "limit=5.0&limit=5.0",
    ] {
        let found = town.nobody().get(&format!("/runs?{query}")).await.expect(200);
        assert_eq!(found.item_ids(), std::slice::from_ref(&run.id), "{query}");
    }
    for yes in ["true", "TRUE", "1", "yes", "On"] {
        ana.get(&format!("/matches?include_full={yes}&from=2026-11-24T00:00:00+00:00")).await.expect(200);
    }
    for (query, fault, words) in [
        ("from=2026-12-01", "?from bad_format", "offset"),
        ("from=2026-12-01T00:00:00", "?from bad_format", "%2B"),
        ("to=1764547200", "?to bad_format", "2026-12-01T08:00:00Z"),
        ("near=48,137,11,575", "?near bad_format", "48.137,11.575"),
        ("near=Munich", "?near bad_format", "48.137,11.575"),
        ("near=91,0", "?near out_of_range", "-90"),
        ("language=English", "?language bad_format", "en"),
        ("activity=swim", "?activity unknown_value", "walk, run_walk, run"),
        ("access=step_free!", "?access bad_format", "step_free"),
        ("limit=5&limit=6", "?limit given_twice", "once"),
        ("limit=many", "?limit wrong_type", "integer"),
    ] {
        let answer = town.nobody().get(&format!("/runs?{query}")).await.faulty(&[fault]);
        let pointer = fault.split(' ').next().unwrap();
        assert!(detail(&answer, pointer).contains(words), "{query}: {}", answer.text);
    }
    let answer = ana.get("/matches?include_full=perhaps").await;
    answer.faulty(&["?include_full wrong_type"]);
}

#[apply(database_test!)]
async fn bodies_are_read_as_people_and_libraries_write_them(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let mut body = town.run_body();
    body["activity"] = json!("Run-Walk");
    body["join_policy"] = json!("OPEN");
    body["starts_at"] = json!("2026-11-26 10:00:00 01:00");
    body["time_zone"] = json!("europe/london");
    body["languages"] = json!(["en-GB", "EN", "de_AT"]);
    body["access"] = json!({ "Step-Free": true, "toilet": "NO" });
    body["title"] = json!(" Easy morning\u{200b}\r\n");
    let posted = fay.post("/runs", body).await.expect(201).json;
    assert_eq!((&posted["activity"], &posted["join_policy"]), (&json!("run_walk"), &json!("open")));
    assert_eq!((&posted["starts_at"], &posted["time_zone"]), (&json!("2026-11-26T09:00:00Z"), &json!("Europe/London")));
    assert_eq!((&posted["languages"], &posted["title"]), (&json!(["en", "de"]), &json!("Easy morning")));
    assert_eq!(posted["access"], json!({ "step_free": "yes", "toilet": "no" }));
    let profile = json!({
        "activities": ["RUN"], "home": { "lat": 51.41, "lng": -0.33 }, "languages": ["en-GB"],
        "access_needs": ["Step free"], "talk_or_quiet": "Either",
        "availability": [{ "weekday": "Monday", "from": "9:00", "to": "10:30:00" }],
    });
    let kept = ana.put("/me/running-profile", profile).await.expect(200).json;
    assert_eq!(kept["availability"], json!([{ "weekday": "mon", "from": "09:00", "to": "10:30" }]));
    assert_eq!((&kept["languages"], &kept["access_needs"]), (&json!(["en"]), &json!(["step_free"])));
    let me = ana.patch("/me", None, json!({ "locale": "EN_gb", "time_zone": "EUROPE/berlin" })).await.expect(200).json;
    assert_eq!((&me["locale"], &me["time_zone"]), (&json!("en-GB"), &json!("Europe/Berlin")));
    let profile = json!({
        "activities": ["swim"], "home": { "lat": 51.41, "lng": -0.33 },
        "availability": [{ "weekday": "someday", "from": "9 am", "to": "25:00" }],
    });
    let answer = ana.put("/me/running-profile", profile).await.faulty(&[
        "/activities/0 unknown_value",
        "/availability/0/weekday unknown_value",
        "/availability/0/from bad_format",
        "/availability/0/to bad_format",
    ]);
    assert_eq!(detail(&answer, "/availability/0/weekday"), "use one of: mon, tue, wed, thu, fri, sat, sun");
    assert_eq!(detail(&answer, "/availability/0/from"), "write it like 18:00");
    let report =
        json!({ "about": { "run_id": posted["id"], "description": "d" }, "category": "nothing", "statement": "s" });
    let answer = ana.post("/reports", report).await.faulty(&["/category unknown_value"]);
    let doc = town.nobody().open("/openapi.json").await.expect(200).json;
    for word in doc["components"]["schemas"]["Category"]["enum"].as_array().unwrap() {
        let word = word.as_str().unwrap();
        assert!(detail(&answer, "/category").contains(word), "{word} is not named in {}", answer.text);
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn short_texts_are_one_line_with_something_to_see(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |run| run["questions"] = json!(["Have you run before?"])).await;
    let with = |text: &str| {
        let mut body = town.run_body();
        body["title"] = json!(text);
        body["meeting_point"]["name"] = json!(text);
        body["questions"] = json!([text]);
        body
    };
    let fields = ["/title", "/meeting_point/name", "/questions/0"];
    for broken in ["a\r\nb", "a\nb", "a\u{2028}b", "a\u{2029}b"] {
        let wanted = fields.map(|field| format!("{field} line_break"));
        fay.post("/runs", with(broken)).await.faulty(&wanted.each_ref().map(String::as_str));
        fay.patch(&run.at(""), Some("*"), json!({ "title": broken })).await.faulty(&["/title line_break"]);
        ana.post(&run.at("/signups"), json!({ "answers": [broken] })).await.faulty(&["/answers/0 line_break"]);
    }
    for hidden in ["a\tb", "a\u{202e}b", "a\u{2067}b", "a\u{feff}b", "a\u{0}b"] {
        let wanted = fields.map(|field| format!("{field} control_character"));
        fay.post("/runs", with(hidden)).await.faulty(&wanted.each_ref().map(String::as_str));
    }
    for invisible in
        ["\u{2800}", "\u{3164}", "\u{200b}\u{feff}", "\u{115f}", "\u{301}\u{302}", "\u{ad}", "\u{e0041}", " \r\n\t "]
    {
        let wanted = fields.map(|field| format!("{field} empty"));
        fay.post("/runs", with(invisible)).await.faulty(&wanted.each_ref().map(String::as_str));
        let report = json!({ "about": { "kind": "run", "id": run.id }, "category": "other", "statement": invisible });
        ana.post("/reports", report).await.faulty(&["/statement too_short"]);
        ana.patch("/me", None, json!({ "display_name": invisible })).await.faulty(&["/display_name empty"]);
    }
    for (given, kept) in [
        ("\u{200f}ריצה קלה\u{200f}", "ריצה קלה"),
        ("\u{2066}Easy\u{2069}", "Easy"),
        ("\u{202b}Easy\u{202c}\n", "Easy"),
        ("Easy \u{2067}קל\u{2069} run", "Easy \u{2067}קל\u{2069} run"),
        ("Run ❤\u{fe0f}", "Run ❤\u{fe0f}"),
    ] {
        let edited = fay.patch(&run.at(""), Some("*"), json!({ "title": given })).await.expect(200);
        assert_eq!(edited.json["title"], kept, "{given:?}");
    }
    for name in ["Ana (she/her)", "Dr.Ana", "St.Georg", "n.n.", "\u{200f}נועה\u{200f}", "Ana and/or Ben"] {
        ana.patch("/me", None, json!({ "display_name": name })).await.expect(200);
    }
    for link in ["win.com", "www.x.org", "Ana bit.ly/x", "ana@example.org", "https://x"] {
        ana.patch("/me", None, json!({ "display_name": link })).await.faulty(&["/display_name looks_like_a_link"]);
    }
    town.leave_mail();
}

#[apply(database_test!)]
async fn pasted_addresses_are_known_at_every_door(town: Town) {
    let (ana, admin) = (town.person("Ana").await, town.admin().await);
    let pasted = |email: &str| format!("\u{200b} {}\u{feff}\r\n", email.to_uppercase());
    let log_in = json!({ "email": pasted(&ana.email), "password": crate::harness::PASSWORD });
    town.nobody().post("/sessions", log_in).await.expect(200);
    let mailto = json!({ "email": format!("mailto:{}", ana.email), "password": crate::harness::PASSWORD });
    town.nobody().post("/sessions", mailto).await.expect(200);
    town.nobody().post("/password-resets", json!({ "email": pasted(&ana.email) })).await.expect(202);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("/e/reset-password/"), "{}", letter.text);
    let found = admin.get(&format!("/accounts?email=%E2%80%8B{}%20", ana.email)).await.expect(200);
    assert_eq!(found.id(), ana.id.to_string());
    let blocked = town.person("Ben").await.post("/blocks", json!({ "email": pasted(&ana.email) })).await;
    blocked.expect(202);
    // With a plus that nobody encoded, and a domain of other letters.
    let new = |email: &str| json!({ "email": email, "password": crate::harness::PASSWORD, "display_name": "Zoe", "adult": true, "terms_version": "1" });
    town.nobody().post("/accounts", new("zoe+run@bücher.example")).await.expect(202);
    assert!(town.one_mail_to("zoe+run@xn--bcher-kva.example").await.text.contains("/e/verify-email/"));
    let found = admin.get("/accounts?email=zoe+run@BÜCHER.example").await.expect(200);
    assert_eq!(found.str("display_name"), "Zoe");
    town.leave_mail();
}

#[apply(database_test!)]
async fn addresses_that_no_mail_reaches_are_refused_at_every_door(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    for (email, words) in [
        ("\"john doe\"@example.org", "quotation marks"),
        ("=?utf-8?b?YW5h?=@example.org", "encoded word"),
        ("ana@localhost", "ending"),
        ("ana@[192.0.2.1]", "brackets"),
        ("ana@example..org", "domain name"),
        ("a..b@example.org", "two in a row"),
        ("an\u{200b}a@example.org", "invisible"),
        ("Ana <ana@example.org>", "alone"),
        (&format!("{}@example.org", "a".repeat(65)), "64"),
        ("ana@xn--zz.example", "domain name"),
    ] {
        let new = json!({ "email": email, "password": crate::harness::PASSWORD, "display_name": "Zoe", "adult": true, "terms_version": "1" });
        for answer in [
            nobody.post("/accounts", new).await,
            nobody.post("/password-resets", json!({ "email": email })).await,
            nobody.post("/accounts/resend-verification", json!({ "email": email })).await,
            ana.post("/blocks", json!({ "email": email })).await,
        ] {
            let answer = answer.faulty(&["/email bad_email"]);
            assert!(detail(&answer, "/email").contains(words), "{email}: {}", answer.text);
        }
        let log_in = json!({ "email": email, "password": crate::harness::PASSWORD });
        nobody.post("/sessions", log_in).await.refused(401, "credentials_wrong");
    }
}
