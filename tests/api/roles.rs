//! Every route by everybody: the whole table of statuses. A route without a row here fails.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use sidebyside::{
    domain::after_run::CareStatus,
    id::Id,
    store::care::{self, Wish},
};

use crate::{
    harness::{Client, Person, Town},
    support::{database_test::database_test, databases::Kind},
};

/// The people of the table.
struct Cast {
    nobody: Client,
    /// Verified, and a stranger to everything below.
    stranger: Person,
    /// Whose sign-ups, decisions and reports they are.
    person: Person,
    /// Leads other runs.
    other: Person,
    /// Leads the run.
    facilitator: Person,
    moderator: Person,
    admin: Person,
    suspended: Person,
}

const COLUMNS: [&str; 8] =
    ["nobody", "suspended", "stranger", "person", "other facilitator", "facilitator", "moderator", "admin"];

impl Cast {
    async fn gather(town: &Town) -> Self {
        let suspended = town.person("Sue").await;
        let admin = town.admin().await;
        let body = json!({ "account_id": suspended.id, "kind": "suspension", "rule": "r", "statement": "s",
            "expires_at": "2026-12-30T00:00:00Z" });
        admin.post("/moderation/sanctions", body).await.expect(201);
        let cast = Self {
            nobody: town.nobody(),
            stranger: town.person("Sam").await,
            person: town.person("Ana").await,
            other: town.facilitator("Gil").await,
            facilitator: town.facilitator("Fay").await,
            moderator: town.moderator("Mo").await,
            admin,
            suspended: town.log_in_again(&suspended).await,
        };
        for person in [&cast.stranger, &cast.person, &cast.other, &cast.facilitator, &cast.moderator, &cast.admin] {
            let body = json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 } });
            person.put("/me/running-profile", body).await.expect(200);
        }
        cast
    }

    fn client(&self, column: &str) -> &Client {
        match column {
            "nobody" => &self.nobody,
            "suspended" => &self.suspended,
            "stranger" => &self.stranger,
            "person" => &self.person,
            "other facilitator" => &self.other,
            "facilitator" => &self.facilitator,
            "moderator" => &self.moderator,
            _ => &self.admin,
        }
    }

    /// A second moderator decides, so that "not for oneself" speaks of the caller alone.
    async fn sanction(&self) -> String {
        let body = json!({ "account_id": self.person.id, "kind": "warning", "rule": "r", "statement": "s" });
        self.admin.post("/moderation/sanctions", body).await.expect(201).id()
    }

    /// A run that is over, with somebody on it.
    async fn past_run(&self, town: &Town, person: &Person) -> String {
        let run = town.run(&self.facilitator, |_| {}).await.id;
        person.joins(&run, "confirmed").await;
        let moved = format!("UPDATE runs SET starts_at = '{0}', ends_at = '{0}' WHERE {1}", town.now(), is(town, &run));
        town.execute(&moved).expect("a run that is over");
        run
    }

    /// Somebody whom another could only describe.
    async fn described(&self, town: &Town) -> String {
        let bo = town.person("Bo").await;
        let body = json!({ "run_id": self.past_run(town, &bo).await, "description": "the tall one" });
        bo.post("/blocks", body).await.expect(202).id()
    }

    /// A wish to be contacted that nobody has taken for a day.
    async fn wish(&self, town: &Town) -> String {
        let bo = town.person("Bo").await;
        let run = self.past_run(town, &bo).await.parse().expect("an id");
        let asked_at = town.now().plus_days(-2);
        let wish = Wish {
            id: Id::at(asked_at),
            account_id: bo.id,
            run_id: Some(run),
            status: CareStatus::Open,
            asked_at,
            answer_by: town.now(),
            taken_by: None,
            taken_at: None,
            team_told_at: None,
            person_told_at: None,
            ended_at: None,
        };
        let id = wish.id.to_string();
        town.app().db.write(move |tx| care::insert(tx, &wish)).await.expect("a wish");
        id
    }

    async fn report(&self) -> String {
        let body =
            json!({ "about": { "kind": "account", "id": self.other.id }, "category": "other", "statement": "s" });
        self.person.post("/reports", body).await.expect(201).id()
    }
}

fn is(town: &Town, id: &str) -> String {
    match town.kind() {
        Kind::Sqlite => format!("id = x'{}'", id.replace('-', "")),
        Kind::Postgres => format!("id = '{id}'"),
    }
}

type Ask = (String, Value);

/// A fresh, good request to a route, for one caller; none for a route that has no row.
async fn request(town: &Town, cast: &Cast, route: &str) -> Option<Ask> {
    // No two at the same time: nobody is in two runs at once.
    let start = || town.now().plus_days(2).plus_hours(2 * town.rows("runs")).to_string();
    let run = async || town.run(&cast.facilitator, |run| run["starts_at"] = json!(start())).await.id;
    let by_approval = async || {
        let change = |run: &mut Value| {
            run["join_policy"] = json!("approval");
            run["starts_at"] = json!(start());
        };
        let run = town.run(&cast.facilitator, change).await.id;
        cast.person.joins(&run, "requested").await
    };
    let series_body = || {
        let mut run = town.run_body();
        run.as_object_mut().expect("an object").remove("starts_at");
        json!({ "run": run, "first_local_start": "2026-12-01T18:30:00", "rrule": "FREQ=MONTHLY;BYDAY=1TU" })
    };
    let series = async || cast.facilitator.post("/run-series", series_body()).await.expect(201).id();
    let confirmed = async || cast.person.joins(&run().await, "confirmed").await;
    let paused = async || {
        let run = run().await;
        let path = format!("/runs/{run}/facilitators/{}", cast.facilitator.id);
        cast.facilitator.delete(&path).await.expect(204);
        run
    };
    let offered = async || {
        let change = |run: &mut Value| {
            run["capacity"] = json!(1);
            run["starts_at"] = json!(start());
        };
        let run = town.run(&cast.facilitator, change).await.id;
        let first = town.person("Una").await;
        let seat = first.joins(&run, "confirmed").await;
        let waits = cast.person.joins(&run, "waitlisted").await;
        first.withdraws(&seat).await;
        waits
    };
    let application = async || {
        let applicant = town.person("App").await;
        applicant.post("/facilitator-applications", json!({ "statement": "s" })).await.expect(201).id()
    };
    let nothing = json!({});
    let why = json!({ "reason_code": "not_a_fit", "private_note": "n" });
    let path = route.split_once(' ').map_or("", |(_, path)| path).to_owned();
    let with = |id: String| path.replace("{id}", &id);
    Some(match route {
        "GET /v1/help"
        | "GET /v1/vocabulary"
        | "GET /v1/runs"
        | "GET /v1/sessions"
        | "GET /v1/me"
        | "GET /v1/me/running-profile"
        | "GET /v1/me/email-preferences"
        | "GET /v1/me/decisions"
        | "GET /v1/me/history"
        | "GET /v1/moderation/incidents"
        | "DELETE /v1/me/emergency-contact"
        | "GET /v1/me/emergency-contact"
        | "GET /v1/me/signups"
        | "GET /v1/me/bars"
        | "GET /v1/facilitator-applications"
        | "GET /v1/matches"
        | "GET /v1/match-requests"
        | "GET /v1/run-series"
        | "GET /v1/moderation/reports"
        | "GET /v1/moderation/appeals"
        | "GET /v1/blocks"
        | "GET /v1/moderation/blocks"
        | "GET /v1/moderation/care"
        | "GET /v1/moderation/audit-log" => (path, nothing),
        "POST /v1/accounts" => (
            path,
            json!({ "email": "new@example.org", "password": "wide meadow lantern", "display_name": "N", "adult": true, "terms_version": "1" }),
        ),
        "POST /v1/accounts/verify-email" => (path, json!({ "token": "none" })),
        "POST /v1/accounts/resend-verification" | "POST /v1/password-resets" => {
            (path, json!({ "email": "new@example.org" }))
        }
        "POST /v1/accounts/accept-invitation" => {
            (path, json!({ "token": "none", "password": "wide meadow lantern", "adult": true, "terms_version": "1" }))
        }
        "POST /v1/password-resets/confirm" => (path, json!({ "token": "none", "password": "wide meadow lantern" })),
        "GET /v1/accounts" => (format!("{path}?email={}", cast.person.email), nothing),
        "POST /v1/accounts/{id}/roles" => (with(cast.stranger.id.to_string()), json!({ "role": "welfare_moderator" })),
        "DELETE /v1/accounts/{id}/roles/{role}" => {
            (with(cast.stranger.id.to_string()).replace("{role}", "welfare_moderator"), nothing)
        }
        "POST /v1/sessions" => (path, json!({ "email": cast.person.email, "password": "not this one at all" })),
        "POST /v1/sessions/refresh" => (path, json!({ "refresh_token": "none" })),
        "DELETE /v1/sessions/{id}" => (with("00000000-0000-4000-8000-000000000000".into()), nothing),
        // Ends the caller's session: asked last, below.
        "DELETE /v1/sessions/current" => (path, nothing),
        "PATCH /v1/me" => (path, json!({ "time_zone": "Europe/London" })),
        "POST /v1/me/password" => {
            (path, json!({ "current_password": "not this one at all", "new_password": "another meadow lantern" }))
        }
        "PUT /v1/me/running-profile" => {
            (path, json!({ "activities": ["run"], "home": { "lat": 51.41, "lng": -0.33 } }))
        }
        "PUT /v1/me/email-preferences" => (path, json!({ "reminders": true })),
        "POST /v1/me/bars" => (
            path,
            json!({ "account_id": town.person("Bo").await.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" }),
        ),
        "DELETE /v1/me/bars/{id}" => {
            let body = json!({ "account_id": town.person("Bo").await.id, "until": "2026-12-30T00:00:00Z", "reason_code": "not_a_fit", "private_note": "n" });
            (with(cast.facilitator.post("/me/bars", body).await.expect(201).id()), nothing)
        }
        "POST /v1/facilitator-applications" => (path, json!({ "statement": "s" })),
        "POST /v1/facilitator-applications/{id}/approve" => (with(application().await), nothing),
        "POST /v1/facilitator-applications/{id}/reject" => (with(application().await), json!({ "reason": "r" })),
        "GET /v1/facilitators/{id}" => (with(cast.facilitator.id.to_string()), nothing),
        "POST /v1/runs" => (path, town.run_body()),
        "GET /v1/runs/{id}" => (with(run().await), nothing),
        "PATCH /v1/runs/{id}" => (with(run().await), json!({ "title": "Another" })),
        "POST /v1/runs/{id}/cancel" => (with(run().await), json!({ "reason_code": "other" })),
        "POST /v1/runs/{id}/facilitators" => (with(run().await), json!({ "account_id": cast.other.id })),
        "DELETE /v1/runs/{id}/facilitators/{account_id}" => {
            (with(run().await).replace("{account_id}", &cast.facilitator.id.to_string()), nothing)
        }
        "POST /v1/runs/{id}/take-over" => (with(paused().await), nothing),
        "POST /v1/runs/{id}/signups" => (with(run().await), nothing),
        "GET /v1/runs/{id}/signups" => (with(run().await), nothing),
        "POST /v1/runs/{id}/lock" | "POST /v1/runs/{id}/reconfirm" => (with(run().await), nothing),
        "POST /v1/signups/{id}/accept" | "POST /v1/signups/{id}/decline-offer" => (with(offered().await), nothing),
        "PUT /v1/signups/{id}/access-needs" => {
            (with(confirmed().await), json!({ "share_access_needs": ["step_free"] }))
        }
        "POST /v1/signups/{id}/reconfirm" => (with(confirmed().await), nothing),
        "GET /v1/signups/{id}" | "POST /v1/signups/{id}/withdraw" => (with(confirmed().await), nothing),
        "POST /v1/signups/{id}/approve" => (with(by_approval().await), nothing),
        "POST /v1/signups/{id}/decline" => (with(by_approval().await), why),
        "POST /v1/signups/{id}/remove" => (with(confirmed().await), why),
        "POST /v1/signups/{id}/friend" | "DELETE /v1/signups/{id}/friend" => (with(confirmed().await), nothing),
        "GET /v1/friend-places/{token}" => {
            let path = format!("/signups/{}/friend", confirmed().await);
            let token = cast.person.post(&path, json!({})).await.expect(201).str("token");
            (format!("/v1/friend-places/{token}"), nothing)
        }
        "POST /v1/runs/{id}/announcements" => (with(run().await), json!({ "text": "t" })),
        "GET /v1/runs/{id}/announcements" => {
            let run = run().await;
            cast.person.joins(&run, "confirmed").await;
            (with(run), nothing)
        }
        "GET /v1/runs/{id}/route" | "DELETE /v1/runs/{id}/route" => {
            let run = run().await;
            let line = json!({ "type": "LineString", "coordinates": [[-0.3358, 51.411], [-0.33, 51.411]] });
            cast.facilitator.put(&format!("/runs/{run}/route"), line).await.expect(201);
            (with(run), nothing)
        }
        "PUT /v1/runs/{id}/route" => {
            (with(run().await), json!({ "type": "LineString", "coordinates": [[-0.3358, 51.411], [-0.33, 51.411]] }))
        }
        "PUT /v1/me/emergency-contact" => (path, json!({ "name": "Bea", "phone": "+44 20 7946 0958" })),
        // The run is days ahead: whoever leads it is told that it is too early, and everybody else nothing.
        "POST /v1/signups/{id}/check-in"
        | "POST /v1/signups/{id}/sign-out"
        | "POST /v1/signups/{id}/no-show"
        | "POST /v1/signups/{id}/undo-mark"
        | "POST /v1/signups/{id}/was-there"
        | "POST /v1/signups/{id}/access-needs"
        | "POST /v1/signups/{id}/emergency-contact" => (with(confirmed().await), nothing),
        "POST /v1/runs/{id}/check-in" | "POST /v1/runs/{id}/sign-out" | "GET /v1/runs/{id}/pairs" => {
            (with(run().await), nothing)
        }
        "PUT /v1/runs/{id}/pairs" => (with(run().await), json!({ "pairs": [] })),
        "POST /v1/runs/{id}/walk-ins" => (with(run().await), json!({ "email": cast.stranger.email })),
        "POST /v1/runs/{id}/guests/{guest_id}/sign-out"
        | "POST /v1/runs/{id}/guests/{guest_id}/emergency-contact"
        | "DELETE /v1/runs/{id}/guests/{guest_id}" => {
            (with(run().await).replace("{guest_id}", "00000000-0000-7000-8000-000000000000"), nothing)
        }
        "POST /v1/runs/{id}/incidents" => (with(run().await), json!({ "what_happened": "w", "severity": "minor" })),
        "GET /v1/moderation/incidents/{id}" => (with("00000000-0000-7000-8000-000000000000".into()), nothing),
        "POST /v1/moderation/sealed-rosters/{id}" => (with(run().await), json!({ "reason": "report" })),
        "POST /v1/run-series" => (path, series_body()),
        "GET /v1/run-series/{id}" => (with(series().await), nothing),
        "PATCH /v1/run-series/{id}" => (with(series().await), json!({ "run": { "title": "Another" } })),
        "POST /v1/run-series/{id}/end" => (with(series().await), json!({ "reason_code": "other" })),
        "POST /v1/run-series/{id}/regulars" | "DELETE /v1/run-series/{id}/regulars" => (with(series().await), nothing),
        "POST /v1/match-requests" => (path, nothing),
        "DELETE /v1/match-requests/{id}" => {
            (with(cast.person.post("/match-requests", nothing.clone()).await.expect(201).id()), nothing)
        }
        "POST /v1/reports" => {
            (path, json!({ "about": { "kind": "run", "id": run().await }, "category": "other", "statement": "s" }))
        }
        "GET /v1/moderation/reports/{id}" => (with(cast.report().await), nothing),
        "POST /v1/moderation/reports/{id}/assign" => (with(cast.report().await), nothing),
        "POST /v1/moderation/reports/{id}/resolve" => (with(cast.report().await), json!({ "resolution": "r" })),
        "POST /v1/moderation/sanctions" => {
            (path, json!({ "account_id": cast.person.id, "kind": "warning", "rule": "r", "statement": "s" }))
        }
        "GET /v1/moderation/sanctions/{id}" => (with(cast.sanction().await), nothing),
        "POST /v1/moderation/sanctions/{id}/lift" => (with(cast.sanction().await), json!({ "reason": "r" })),
        "POST /v1/appeals" => {
            (path, json!({ "about": { "kind": "sanction", "id": cast.sanction().await }, "statement": "s" }))
        }
        "POST /v1/moderation/appeals/{id}/decide" => {
            let about = json!({ "about": { "kind": "sanction", "id": cast.sanction().await }, "statement": "s" });
            let appeal = cast.person.post("/appeals", about).await.expect(201).id();
            (with(appeal), json!({ "outcome": "uphold", "statement": "s" }))
        }
        "POST /v1/blocks" => (path, json!({ "account_id": town.person("Bo").await.id })),
        "DELETE /v1/blocks/{id}" => {
            let body = json!({ "account_id": town.person("Bo").await.id });
            (with(cast.person.post("/blocks", body).await.expect(202).id()), nothing)
        }
        "GET /v1/moderation/blocks/{id}" | "POST /v1/moderation/blocks/{id}/dismiss" => {
            (with(cast.described(town).await), nothing)
        }
        "POST /v1/moderation/blocks/{id}/resolve" => {
            (with(cast.described(town).await), json!({ "account_id": cast.facilitator.id }))
        }
        "POST /v1/runs/{id}/after-run" => (with(cast.past_run(town, &cast.person).await), json!({ "pace": "right" })),
        "POST /v1/moderation/care/{id}/take" | "POST /v1/moderation/care/{id}/done" => {
            (with(cast.wish(town).await), nothing)
        }
        _ => return None,
    })
}

#[apply(database_test!)]
async fn every_route_answers_everybody_as_the_table_says(town: Town) {
    town.leave_mail();
    let cast = Cast::gather(&town).await;
    let doc = town.nobody().open("/openapi.json").await.expect(200).json;
    let mut routes: Vec<String> = Vec::new();
    for (path, methods) in doc["paths"].as_object().unwrap() {
        routes.extend(methods.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    routes.sort_by_key(|route| {
        (route == "DELETE /v1/sessions/current", route.split_once(' ').map(|(m, p)| (p.to_owned(), m.to_owned())))
    });
    let mut table: BTreeMap<String, BTreeMap<&str, String>> = BTreeMap::new();
    let mut without_a_row = Vec::new();
    for route in &routes {
        for column in COLUMNS {
            let Some((path, body)) = request(&town, &cast, route).await else {
                without_a_row.push(route.clone());
                break;
            };
            let client = cast.client(column);
            let method = route.split(' ').next().unwrap();
            let mut request = client.request(method.parse().unwrap(), &path);
            if matches!(method, "POST" | "PUT" | "PATCH") {
                request = request.json(&body);
            }
            if method == "PATCH" {
                request = request.header("If-Match", "*");
            }
            let answer = client.send(request).await;
            let code = answer.json["code"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
            table.entry(route.clone()).or_default().insert(column, format!("{}{code}", answer.status));
        }
    }
    assert!(without_a_row.is_empty(), "routes without a row: {without_a_row:?}");
    let lines = table.iter().map(|(route, row)| {
        let cells = COLUMNS.iter().map(|column| format!("  {column}: {}", row[column]));
        format!("{route}\n{}\n", cells.collect::<Vec<_>>().join("\n"))
    });
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("routes_by_role", lines.collect::<String>()));
}
