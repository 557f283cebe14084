//! Accounts: registering, proving the address, logging in and out, forgotten passwords, limits, invitations, roles.

use macro_rules_attribute::apply;
use serde_json::{Value, json};

use crate::{
    harness::{Client, PASSWORD, Town},
    support::database_test::database_test,
};

fn newcomer(email: &str) -> Value {
    json!({
        "email": email, "password": PASSWORD, "display_name": "Ana", "adult": true, "terms_version": "1",
        "time_zone": "Europe/London",
    })
}

async fn log_in(town: &Town, email: &str, password: &str) -> crate::harness::Answer {
    town.nobody().post("/sessions", json!({ "email": email, "password": password })).await
}

#[apply(database_test!)]
async fn from_registering_to_logging_out(town: Town) {
    let nobody = town.nobody();
    let answer = nobody.post("/accounts", newcomer("ana@example.org")).await.expect(202);
    assert_eq!(answer.text, "{}");
    let letter = town.one_mail_to("ana@example.org").await;
    assert_eq!(letter.from, "hello@town.example");
    assert!(letter.text.contains("not therapy and not an emergency service"), "{}", letter.text);
    nobody.post("/accounts/verify-email", json!({ "token": letter.token("verify-email") })).await.expect(204);
    let tokens = log_in(&town, "ana@example.org", PASSWORD).await.expect(200);
    assert_eq!((tokens.str("token_type").as_str(), tokens.str("scope").as_str()), ("Bearer", "full"));
    assert_eq!(tokens.json["expires_in"], 900);
    assert_eq!(tokens.header("cache-control"), "no-store");
    let ana = Client::with_token(&town, &tokens.str("access_token"));
    let me = ana.get("/me").await.expect(200);
    assert_eq!((me.str("email").as_str(), me.str("display_name").as_str()), ("ana@example.org", "Ana"));
    assert_eq!(me.header("cache-control"), "no-store");
    let refresh = json!({ "refresh_token": tokens.str("refresh_token") });
    let again = nobody.post("/sessions/refresh", refresh).await.expect(200);
    let ana = Client::with_token(&town, &again.str("access_token"));
    ana.delete("/sessions/current").await.expect(204);
    ana.get("/me").await.refused(401, "session_ended");
    let refresh = json!({ "refresh_token": again.str("refresh_token") });
    nobody.post("/sessions/refresh", refresh).await.refused(401, "refresh_token_invalid");
    let stored = town.texts("SELECT password_hash AS t FROM accounts");
    assert!(stored[0].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored:?}");
}

#[apply(database_test!)]
async fn registering_answers_the_same_whatever_happens_and_the_mail_tells_the_truth(town: Town) {
    let (mo, ben) = (town.moderator("Mo").await, town.person("Ben").await);
    let ban = json!({ "account_id": ben.id, "kind": "ban", "rule": "Be kind", "statement": "Three times now." });
    mo.post("/moderation/sanctions", ban).await.expect(201);
    let ana = town.person("Ana").await;
    town.post_office().await;
    let nobody = town.nobody();
    let mut answers = Vec::new();
    for email in ["new@example.org", &ana.email, &ben.email] {
        answers.push(nobody.post("/accounts", newcomer(email)).await.expect(202));
    }
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    assert!(answers.iter().all(|answer| answer.header_names() == answers[0].header_names()));
    let letters = town.post_office().await;
    let to = |email: &str| letters.iter().filter(|l| l.to == email).count();
    assert_eq!((to("new@example.org"), to(&ana.email), to(&ben.email)), (1, 1, 0));
    let told = letters.iter().find(|l| l.to == ana.email).unwrap();
    assert!(!told.text.contains("/e/verify-email/"), "{}", told.text);
    // Ana's account is as it was.
    log_in(&town, &ana.email, PASSWORD).await.expect(200);
    assert_eq!(town.rows("accounts"), 4);
}

#[apply(database_test!)]
async fn whoever_registers_last_before_the_address_is_proved_has_the_account(town: Town) {
    let nobody = town.nobody();
    let mut first = newcomer("ana@example.org");
    first["password"] = json!("the password of a stranger");
    first["display_name"] = json!("Stranger");
    nobody.post("/accounts", first).await.expect(202);
    let strangers = town.one_mail_to("ana@example.org").await.token("verify-email");
    nobody.post("/accounts", newcomer("ana@example.org")).await.expect(202);
    let owners = town.one_mail_to("ana@example.org").await.token("verify-email");
    nobody.post("/accounts/verify-email", json!({ "token": strangers })).await.refused(403, "link_invalid");
    nobody.post("/accounts/verify-email", json!({ "token": owners })).await.expect(204);
    log_in(&town, "ana@example.org", "the password of a stranger").await.refused(401, "credentials_wrong");
    let tokens = log_in(&town, "ana@example.org", PASSWORD).await.expect(200);
    let me = Client::with_token(&town, &tokens.str("access_token")).get("/me").await;
    assert_eq!(me.str("display_name"), "Ana");
}

#[apply(database_test!)]
async fn every_fault_of_a_registration_is_named_at_once(town: Town) {
    let nobody = town.nobody();
    let body = json!({
        "email": "no address", "password": "too short", "display_name": "  ", "adult": false, "terms_version": "0",
        "time_zone": "Europe/Atlantis",
    });
    let wanted = [
        "/email bad_email",
        "/password too_short",
        "/display_name empty",
        "/adult adults_only",
        "/terms_version not_current",
        "/time_zone unknown_time_zone",
    ];
    let answer = nobody.post("/accounts", body).await.faulty(&wanted);
    assert_eq!(answer.faults().len(), wanted.len());
    let body = json!({ "email": 7, "passwort": "x", "adult": "yes", "terms_version": null });
    nobody.post("/accounts", body).await.faulty(&[
        "/email wrong_type",
        "/passwort unknown_field",
        "/password required",
        "/display_name required",
        "/adult wrong_type",
        "/terms_version wrong_type",
    ]);
    let mut guessable = newcomer("ana.miller@example.org");
    guessable["password"] = json!("ana.miller@example.org");
    nobody.post("/accounts", guessable).await.faulty(&["/password too_easy_to_guess"]);
    assert_eq!(town.rows("accounts"), 0);
}

#[apply(database_test!)]
async fn an_address_is_the_same_in_any_spelling_of_its_case(town: Town) {
    let ana = town.person("Ana").await;
    let shouted = format!("  {} ", ana.email.to_uppercase());
    log_in(&town, &shouted, PASSWORD).await.expect(200);
    town.nobody().post("/accounts", newcomer(&shouted)).await.expect(202);
    assert_eq!(town.rows("accounts"), 1);
    town.work().await;
}

#[apply(database_test!)]
async fn one_cannot_log_in_before_the_address_is_proved(town: Town) {
    town.nobody().post("/accounts", newcomer("ana@example.org")).await.expect(202);
    log_in(&town, "ana@example.org", PASSWORD).await.refused(403, "email_not_verified");
    log_in(&town, "ana@example.org", "not the password at all").await.refused(401, "credentials_wrong");
    town.work().await;
}

#[apply(database_test!)]
async fn a_verification_link_shows_first_and_works_once(town: Town) {
    let nobody = town.nobody();
    nobody.post("/accounts", newcomer("ana@example.org")).await.expect(202);
    let link = town.one_mail_to("ana@example.org").await.link("verify-email");
    for _ in 0..2 {
        let page = nobody.open(&link).await.expect(200);
        assert!(page.text.contains("Ana") && page.text.contains("ana@example.org"), "{}", page.text);
    }
    assert_eq!(town.rows("accounts WHERE status = 'unverified'"), 1);
    nobody.press(&link, &[]).await.expect(200);
    assert_eq!(town.rows("accounts WHERE status = 'active'"), 1);
    assert_eq!(nobody.press(&link, &[]).await.status, 410);
    // A token of one act does nothing at another's page.
    let token = link.rsplit('/').next().unwrap();
    assert_eq!(nobody.open(&format!("/e/reset-password/{token}")).await.status, 410);
    assert_eq!(nobody.open("/e/verify-email/abc").await.status, 410);
    assert_eq!(nobody.open("/e/no-such-act/abc").await.status, 404);
}

#[apply(database_test!)]
async fn a_verification_link_ends_after_two_days_and_another_can_be_asked_for(town: Town) {
    let nobody = town.nobody();
    nobody.post("/accounts", newcomer("ana@example.org")).await.expect(202);
    let token = town.one_mail_to("ana@example.org").await.token("verify-email");
    town.hours_pass(48);
    nobody.post("/accounts/verify-email", json!({ "token": token })).await.refused(403, "link_invalid");
    for email in ["ana@example.org", "nobody@example.org"] {
        nobody.post("/accounts/resend-verification", json!({ "email": email })).await.expect(202);
    }
    let letters = town.post_office().await;
    assert_eq!(letters.len(), 1);
    let token = letters[0].token("verify-email");
    nobody.post("/accounts/verify-email", json!({ "token": token })).await.expect(204);
    nobody.post("/accounts/resend-verification", json!({ "email": "ana@example.org" })).await.expect(202);
    assert!(town.post_office().await.is_empty(), "there is nothing left to verify");
}

#[apply(database_test!)]
async fn a_refresh_token_used_twice_ends_its_session(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    let tokens = log_in(&town, &ana.email, PASSWORD).await.expect(200);
    let first = json!({ "refresh_token": tokens.str("refresh_token") });
    let second = nobody.post("/sessions/refresh", first.clone()).await.expect(200);
    town.set_clock("2026-11-23T10:00:10.000001Z");
    nobody.post("/sessions/refresh", first).await.refused(401, "refresh_token_invalid");
    let thief = json!({ "refresh_token": second.str("refresh_token") });
    nobody.post("/sessions/refresh", thief).await.refused(401, "refresh_token_invalid");
    Client::with_token(&town, &second.str("access_token")).get("/me").await.refused(401, "session_ended");
    // Her other session goes on.
    ana.get("/me").await.expect(200);
    let stored = town.texts("SELECT hash AS t FROM refresh_tokens");
    assert!(!stored.contains(&tokens.str("refresh_token")));
}

#[apply(database_test!)]
async fn lost_refresh_may_be_retried_for_ten_seconds(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    let tokens = log_in(&town, &ana.email, PASSWORD).await.expect(200);
    let first = json!({ "refresh_token": tokens.str("refresh_token") });
    let next = nobody.post("/sessions/refresh", first.clone()).await.expect(200).str("refresh_token");
    assert_ne!(next, tokens.str("refresh_token"));
    town.set_clock("2026-11-23T10:00:10Z");
    let again = nobody.post("/sessions/refresh", first.clone()).await.expect(200);
    assert_eq!(again.str("refresh_token"), next);
    Client::with_token(&town, &again.str("access_token")).get("/me").await.expect(200);
    // The successor was used before the retry came: it still is the same, and so is what followed it.
    let second = json!({ "refresh_token": next });
    let third = nobody.post("/sessions/refresh", second.clone()).await.expect(200).str("refresh_token");
    assert_eq!(nobody.post("/sessions/refresh", first.clone()).await.expect(200).str("refresh_token"), next);
    assert_eq!(nobody.post("/sessions/refresh", second).await.expect(200).str("refresh_token"), third);
    assert_eq!(town.rows("refresh_tokens WHERE used_at IS NULL"), 2, "Ana's other session has one as well");
    town.set_clock("2026-11-23T10:00:10.000001Z");
    nobody.post("/sessions/refresh", first).await.refused(401, "refresh_token_invalid");
    let body = json!({ "refresh_token": third });
    nobody.post("/sessions/refresh", body).await.refused(401, "refresh_token_invalid");
    Client::with_token(&town, &again.str("access_token")).get("/me").await.refused(401, "session_ended");
    let stored = town.texts("SELECT hash AS t FROM refresh_tokens");
    assert!(!stored.contains(&next) && !stored.contains(&third));
}

#[apply(database_test!)]
async fn refreshes_at_once_get_one_successor(town: Town) {
    let ana = town.person("Ana").await;
    let mut body =
        json!({ "refresh_token": log_in(&town, &ana.email, PASSWORD).await.expect(200).str("refresh_token") });
    for round in 0..10 {
        let calls = (0..4).map(|_| {
            let (nobody, body) = (town.nobody(), body.clone());
            tokio::spawn(async move { nobody.post("/sessions/refresh", body).await })
        });
        let mut successors = std::collections::BTreeSet::new();
        for answer in futures_util::future::join_all(calls).await {
            successors.insert(answer.unwrap().expect(200).str("refresh_token"));
        }
        assert_eq!(successors.len(), 1, "round {round}");
        body = json!({ "refresh_token": successors.pop_first() });
    }
    assert_eq!(town.rows("refresh_tokens"), 12, "one a round, and those of two log-ins");
}

#[apply(database_test!)]
async fn retried_refresh_of_ended_session_stays_refused(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    let tokens = log_in(&town, &ana.email, PASSWORD).await.expect(200);
    let first = json!({ "refresh_token": tokens.str("refresh_token") });
    let next = nobody.post("/sessions/refresh", first.clone()).await.expect(200);
    Client::with_token(&town, &next.str("access_token")).delete("/sessions/current").await.expect(204);
    nobody.post("/sessions/refresh", first).await.refused(401, "refresh_token_invalid");
}

#[apply(database_test!)]
async fn refresh_is_retried_across_rotation_of_secret(town: Town) {
    let ana = town.person("Ana").await;
    let tokens = log_in(&town, &ana.email, PASSWORD).await.expect(200);
    let first = json!({ "refresh_token": tokens.str("refresh_token") });
    let next = town.nobody().post("/sessions/refresh", first.clone()).await.expect(200).str("refresh_token");
    let old = "a master secret of the suite that is long enough";
    let rotated = town.with(&[("SECRET_KEY", &format!("another master secret that is long enough,{old}"))]);
    let again = rotated.nobody().post("/sessions/refresh", first).await.expect(200);
    assert_eq!(again.str("refresh_token"), next);
}

#[apply(database_test!)]
async fn an_access_token_ends_after_a_quarter_of_an_hour(town: Town) {
    let ana = town.person("Ana").await;
    let tokens = log_in(&town, &ana.email, PASSWORD).await.expect(200);
    let client = Client::with_token(&town, &tokens.str("access_token"));
    town.minutes_pass(14);
    client.get("/me").await.expect(200);
    town.minutes_pass(1);
    let late = client.get("/me").await.refused(401, "token_invalid");
    assert_eq!(late.header("www-authenticate"), "Bearer error=\"invalid_token\"");
}

#[apply(database_test!)]
async fn a_session_ends_after_sixty_days_without_use(town: Town) {
    let ana = town.person("Ana").await;
    let tokens = log_in(&town, &ana.email, PASSWORD).await.expect(200);
    town.hours_pass(59 * 24);
    let nobody = town.nobody();
    let refresh = json!({ "refresh_token": tokens.str("refresh_token") });
    let kept = nobody.post("/sessions/refresh", refresh).await.expect(200);
    town.hours_pass(59 * 24);
    let refresh = json!({ "refresh_token": kept.str("refresh_token") });
    let kept = nobody.post("/sessions/refresh", refresh).await.expect(200);
    town.hours_pass(60 * 24);
    let refresh = json!({ "refresh_token": kept.str("refresh_token") });
    nobody.post("/sessions/refresh", refresh).await.refused(401, "refresh_token_invalid");
}

#[apply(database_test!)]
async fn sessions_are_listed_and_can_be_ended_one_by_one(town: Town) {
    let ana = town.person("Ana").await;
    town.minutes_pass(1);
    let telephone = town.log_in_again(&ana).await;
    let listed = ana.get("/sessions").await.expect(200).items();
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&json!(false), &json!(true)));
    let other = listed[0]["id"].as_str().unwrap();
    let page = ana.get("/sessions?limit=1").await.expect(200);
    assert_eq!(page.item_ids(), [other]);
    let next = ana.get(&format!("/sessions?limit=1&cursor={}", page.str("next_cursor"))).await.expect(200);
    assert!(next.items() == listed[1..] && next.json["next_cursor"].is_null(), "{}", next.text);
    let stranger = town.person("Ben").await;
    stranger.delete(&format!("/sessions/{other}")).await.refused(404, "not_found");
    ana.delete(&format!("/sessions/{other}")).await.expect(204);
    telephone.get("/me").await.refused(401, "session_ended");
    ana.delete(&format!("/sessions/{other}")).await.refused(404, "not_found");
    ana.get("/me").await.expect(200);
}

#[apply(database_test!)]
async fn a_forgotten_password_is_reset_by_mail_and_ends_all_sessions(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    nobody.post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    let letter = town.one_mail_to(&ana.email).await;
    let token = letter.token("reset-password");
    nobody.open(&letter.link("reset-password")).await.expect(200);
    let short = json!({ "token": token, "password": "short" });
    nobody.post("/password-resets/confirm", short).await.faulty(&["/password too_short"]);
    let new = "another meadow another lantern";
    nobody.post("/password-resets/confirm", json!({ "token": token, "password": new })).await.expect(204);
    ana.get("/me").await.refused(401, "session_ended");
    log_in(&town, &ana.email, PASSWORD).await.refused(401, "credentials_wrong");
    log_in(&town, &ana.email, new).await.expect(200);
    let told = town.one_mail_to(&ana.email).await;
    assert!(told.subject.to_lowercase().contains("password"), "{}", told.subject);
}

#[apply(database_test!)]
async fn a_reset_link_ends_after_an_hour_and_works_once(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    nobody.post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    let late = town.one_mail_to(&ana.email).await.token("reset-password");
    town.minutes_pass(60);
    let new = "another meadow another lantern";
    let body = |token: &str| json!({ "token": token, "password": new });
    nobody.post("/password-resets/confirm", body(&late)).await.refused(403, "link_invalid");
    nobody.post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    let link = town.one_mail_to(&ana.email).await.link("reset-password");
    let page = nobody.press(&link, &[("password", "short")]).await.expect(422);
    assert!(page.text.contains("at least 15 characters"), "{}", page.text);
    nobody.press(&link, &[("password", new)]).await.expect(200);
    assert_eq!(nobody.press(&link, &[("password", new)]).await.status, 410);
    log_in(&town, &ana.email, new).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn asking_for_a_reset_says_nothing_about_who_is_here(town: Town) {
    let ana = town.person("Ana").await;
    let nobody = town.nobody();
    let known = nobody.post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    let unknown = nobody.post("/password-resets", json!({ "email": "nobody@example.org" })).await.expect(202);
    assert_eq!(known.text, unknown.text);
    assert_eq!(town.post_office().await.len(), 1);
}

#[apply(database_test!)]
async fn changing_the_password_keeps_this_session_and_ends_the_others(town: Town) {
    let ana = town.person("Ana").await;
    let telephone = town.log_in_again(&ana).await;
    let body = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let new = "another meadow another lantern";
    ana.post("/me/password", body("not my password at all", new)).await.faulty(&["/current_password wrong"]);
    ana.post("/me/password", body(PASSWORD, "short")).await.faulty(&["/new_password too_short"]);
    ana.post("/me/password", body(PASSWORD, new)).await.expect(204);
    ana.get("/me").await.expect(200);
    telephone.get("/me").await.refused(401, "session_ended");
    log_in(&town, &ana.email, new).await.expect(200);
    assert_eq!(town.mail_to(&ana.email).await.len(), 1);
}

#[apply(database_test!)]
async fn too_many_log_ins_have_to_wait_and_the_answer_says_how_long(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    town.set_clock("2026-11-23T10:05:00Z");
    for _ in 0..10 {
        log_in(&town, &ana.email, "not the password at all").await.refused(401, "credentials_wrong");
    }
    let late = log_in(&town, &ana.email, PASSWORD).await.refused(429, "rate_limited");
    assert_eq!(late.header("ratelimit-policy"), "\"log-in-address\";q=10;w=900");
    let wait: i64 = late.header("retry-after").parse().expect("seconds");
    assert!((1..=601).contains(&wait), "{wait}");
    assert_eq!(late.header("ratelimit"), format!("\"log-in-address\";r=0;t={wait}"));
    // Others are not held up by it, and it passes.
    log_in(&town, &ben.email, PASSWORD).await.expect(200);
    town.minutes_pass(15);
    log_in(&town, &ana.email, PASSWORD).await.expect(200);
    let counters = town.texts("SELECT bucket AS t FROM rate_counters");
    assert!(counters.iter().all(|bucket| !bucket.contains('@') && !bucket.contains("127.0.0.1")), "{counters:?}");
}

#[apply(database_test!)]
async fn too_many_mails_to_one_address_stop_without_a_word(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    let ana = town.person("Ana").await;
    for _ in 0..8 {
        town.nobody().post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    }
    assert_eq!(town.mail_to(&ana.email).await.len(), 5);
    town.hours_pass(1);
    town.nobody().post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    assert_eq!(town.mail_to(&ana.email).await.len(), 1);
}

#[apply(database_test!)]
async fn a_wrong_password_and_an_unknown_address_look_the_same(town: Town) {
    let ana = town.person("Ana").await;
    let wrong = log_in(&town, &ana.email, "not the password at all").await.refused(401, "credentials_wrong");
    let unknown = log_in(&town, "nobody@example.org", "not the password at all").await;
    assert_eq!(wrong.text, unknown.refused(401, "credentials_wrong").text);
}

#[apply(database_test!)]
async fn an_admin_grants_and_revokes_roles_and_looks_people_up_and_all_of_it_is_kept(town: Town) {
    let (ada, ana) = (town.admin().await, town.person("Ana").await);
    let moderator = town.moderator("Mo").await;
    let path = format!("/accounts/{}/roles", ana.id);
    moderator.post(&path, json!({ "role": "moderator" })).await.refused(403, "admins_only");
    ana.get("/moderation/reports").await.refused(403, "moderators_only");
    let granted = ada.post(&path, json!({ "role": "moderator" })).await.expect(200);
    assert_eq!(granted.json["roles"], json!(["moderator"]));
    ana.get("/moderation/reports").await.expect(200);
    ada.post(&path, json!({ "role": "king" })).await.faulty(&["/role unknown_value"]);
    let found = ada.get(&format!("/accounts?email={}", ana.email)).await.expect(200);
    assert_eq!(found.id(), ana.id.to_string());
    ada.get("/accounts?email=nobody@example.org").await.refused(404, "not_found");
    ada.delete(&format!("{path}/moderator")).await.expect(204);
    ana.get("/moderation/reports").await.refused(403, "moderators_only");
    let log = ada.get(&format!("/moderation/audit-log?subject={}", ana.id)).await.expect(200);
    let mut acts: Vec<String> = log.items().iter().map(|row| row["act"].as_str().unwrap().to_owned()).collect();
    acts.sort();
    assert_eq!(acts, ["account_looked_up", "role_granted", "role_revoked"]);
    assert!(log.items().iter().all(|row| row["actor"] == json!(ada.id)));
}

#[apply(database_test!)]
async fn the_last_admin_cannot_be_revoked(town: Town) {
    let ada = town.admin().await;
    ada.delete(&format!("/accounts/{}/roles/admin", ada.id)).await.refused(409, "last_admin");
    let eve = town.admin().await;
    ada.delete(&format!("/accounts/{}/roles/admin", ada.id)).await.expect(204);
    eve.get("/moderation/audit-log").await.expect(200);
    ada.get("/moderation/audit-log").await.refused(403, "admins_only");
    let mo = town.moderator("Mo").await;
    let ban = json!({ "account_id": eve.id, "kind": "ban", "rule": "r", "statement": "s" });
    mo.post("/moderation/sanctions", ban).await.refused(409, "last_admin");
}

#[apply(database_test!)]
async fn ones_own_account_can_be_read_and_edited(town: Town) {
    let ana = town.person("Ana").await;
    let edited = ana.patch("/me", None, json!({ "display_name": " Ana  María ", "time_zone": "Europe/Madrid" })).await;
    let edited = edited.expect(200);
    assert_eq!((edited.str("display_name").as_str(), edited.str("time_zone").as_str()), ("Ana María", "Europe/Madrid"));
    let body = json!({ "display_name": null, "time_zone": "Mars/Base", "email": "x@example.org" });
    ana.patch("/me", None, body).await.faulty(&["/email unknown_field"]);
    let body = json!({ "display_name": null, "time_zone": "Mars/Base" });
    ana.patch("/me", None, body).await.faulty(&["/display_name required", "/time_zone unknown_time_zone"]);
    let cleared = ana.patch("/me", None, json!({ "time_zone": null })).await.expect(200);
    assert!(cleared.json["time_zone"].is_null());
    assert_eq!(cleared.str("display_name"), "Ana María");
    for bad in ["https://example.org", "a\u{202e}b", "x@example.org"] {
        ana.patch("/me", None, json!({ "display_name": bad })).await.expect(422);
    }
}

#[apply(database_test!)]
async fn help_is_public_and_names_the_terms(town: Town) {
    let help = town.nobody().get("/help").await.expect(200);
    assert_eq!((help.str("terms_version").as_str(), &help.json["min_age"]), ("1", &json!(18)));
    assert!(help.str("notice").contains("not therapy and not an emergency service"));
    assert_eq!(help.str("safeguarding_contact"), "safe@town.example");
}

#[apply(database_test!)]
async fn unsubscribing_from_reminders_by_the_link_changes_only_that(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    ana.joins(&run.id, "confirmed").await;
    town.person("Ben").await.joins(&run.id, "confirmed").await;
    town.post_office().await;
    town.set_clock("2026-11-25T09:00:00Z");
    let letter = town.one_mail_to(&ana.email).await;
    let one_click = letter.header("List-Unsubscribe");
    assert!(one_click.contains("/e/no-reminders/"), "{one_click}");
    assert_eq!(letter.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    let link = letter.link("no-reminders");
    assert!(one_click.contains(&link));
    town.nobody().open(&link).await.expect(200);
    assert_eq!(ana.get("/me/email-preferences").await.json, json!({ "reminders": true, "alerts": "daily" }));
    // What a mail program sends for one click.
    town.nobody().press(&link, &[("List-Unsubscribe", "One-Click")]).await.expect(200);
    assert_eq!(ana.get("/me/email-preferences").await.json, json!({ "reminders": false, "alerts": "daily" }));
    town.set_clock("2026-11-26T07:00:00Z");
    assert!(town.mail_to(&ana.email).await.is_empty());
    ana.put("/me/email-preferences", json!({ "reminders": true })).await.expect(200);
    ana.put("/me/email-preferences", json!({})).await.faulty(&["/reminders required"]);
}

#[apply(database_test!)]
async fn an_invited_person_sets_a_password_accepts_the_terms_and_only_then_comes_in(town: Town) {
    let ana = town.invited("Ana", "ana@example.org").await;
    let nobody = town.nobody();
    let link = town.one_mail_to("ana@example.org").await.link("invitation");
    log_in(&town, "ana@example.org", PASSWORD).await.refused(401, "credentials_wrong");
    // Whatever else is asked for with the address brings the invitation again, and only that.
    nobody.post("/accounts", newcomer("ana@example.org")).await.expect(202);
    nobody.post("/password-resets", json!({ "email": "ana@example.org" })).await.expect(202);
    nobody.post("/accounts/resend-verification", json!({ "email": "ana@example.org" })).await.expect(202);
    let again = town.mail_to("ana@example.org").await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|letter| letter.link("invitation") == link), "the same link while it works");
    assert_eq!(town.rows("accounts WHERE status = 'invited' AND password_hash IS NULL"), 1);
    let page = nobody.open(&link).await.expect(200);
    assert!(page.text.contains("Ana"), "{}", page.text);
    let hasty = nobody.press(&link, &[("password", "short"), ("display_name", "Ana")]).await.expect(422);
    for fault in ["Password", "Age", "Terms"] {
        assert!(hasty.text.contains(fault), "{fault} in {}", hasty.text);
    }
    let token = link.rsplit('/').next().unwrap();
    let body = json!({ "token": token, "password": PASSWORD, "adult": false, "terms_version": "0" });
    let refused = nobody.post("/accounts/accept-invitation", body).await;
    refused.faulty(&["/adult adults_only", "/terms_version not_current"]);
    // The token of an invitation proves nothing elsewhere.
    nobody.post("/accounts/verify-email", json!({ "token": token })).await.refused(403, "link_invalid");
    assert_eq!(town.rows("accounts WHERE status = 'invited'"), 1);
    let form = [("password", PASSWORD), ("display_name", "Ana M."), ("adult", "true"), ("terms_version", "1")];
    nobody.press(&link, &form).await.expect(200);
    let tokens = log_in(&town, "ana@example.org", PASSWORD).await.expect(200);
    let me = Client::with_token(&town, &tokens.str("access_token")).get("/me").await.expect(200);
    assert_eq!((me.id(), me.str("display_name").as_str()), (ana.to_string(), "Ana M."));
    assert_eq!(nobody.press(&link, &form).await.status, 410);
}
