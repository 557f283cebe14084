//! Logging in: wrong passwords from elsewhere keep nobody out, what a refusal recommends helps, and a password is the same
//! from every keyboard.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use reqwest::Method;
use serde_json::json;
use sidebyside::store::known_networks;

use crate::{
    harness::{Answer, PASSWORD, Person, Town},
    support::database_test::database_test,
};

const HOME: &str = "192.0.2.7";
const CLUB: &str = "2001:db8:7::1";

/// The same town with limits, where a proxy says from which network a request comes.
fn limited(town: &Town) -> Town {
    let town = town.with(&[("RATE_LIMITS", "on"), ("TRUSTED_PROXIES", "127.0.0.1")]);
    town.set_clock("2026-11-23T10:01:00Z");
    town
}

async fn post_from(town: &Town, ip: &str, path: &str, body: serde_json::Value) -> Answer {
    let nobody = town.nobody();
    let request = nobody.request(Method::POST, &format!("/v1{path}")).header("X-Forwarded-For", ip);
    nobody.send(request.json(&body)).await
}

async fn log_in_from(town: &Town, ip: &str, email: &str, password: &str) -> Answer {
    post_from(town, ip, "/sessions", json!({ "email": email, "password": password })).await
}

/// Wrong passwords from many networks, `each` from each, until nothing more is let through from anywhere.
async fn attack(town: &Town, email: &str, each: usize) -> usize {
    let mut tried = 0;
    for network in 0..12 {
        for _ in 0..each {
            let ip = format!("198.51.100.{network}");
            if log_in_from(town, &ip, email, "not the password at all").await.status == 401 {
                tried += 1;
            }
        }
    }
    tried
}

#[apply(database_test!)]
async fn wrong_passwords_elsewhere_keep_nobody_out_at_home(town: Town) {
    let town = limited(&town);
    let ana = town.person("Ana").await;
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.expect(200);
    log_in_from(&town, CLUB, &ana.email, PASSWORD).await.expect(200);
    assert_eq!(attack(&town, &ana.email, 12).await, 48, "fifty in all, of which Ana had two");
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.expect(200);
    // A whole IPv6 /64 is one network.
    log_in_from(&town, "2001:db8:7::ffff", &ana.email, PASSWORD).await.expect(200);
    let strange = log_in_from(&town, "203.0.113.9", &ana.email, PASSWORD).await.refused(429, "rate_limited");
    assert_eq!(strange.header("ratelimit-policy"), "\"log-in-elsewhere\";q=50;w=3600");
    assert!(strange.str("detail").contains("/v1/password-resets"), "{}", strange.text);
}

#[apply(database_test!)]
async fn ten_wrong_passwords_in_one_network_do_not_close_another(town: Town) {
    let town = limited(&town);
    let ana = town.person("Ana").await;
    for _ in 0..10 {
        log_in_from(&town, "198.51.100.1", &ana.email, "not the password at all")
            .await
            .refused(401, "credentials_wrong");
    }
    log_in_from(&town, "198.51.100.1", &ana.email, PASSWORD).await.refused(429, "rate_limited");
    // Where nobody has ever logged in before.
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.expect(200);
}

#[apply(database_test!)]
async fn limits_are_same_for_address_without_account(town: Town) {
    let town = limited(&town);
    let ana = town.person("Ana").await;
    let mut told = Vec::new();
    for email in [ana.email.as_str(), "nobody@people.example"] {
        let mut answers = vec![attack(&town, email, 12).await.to_string()];
        for ip in ["198.51.100.0", "203.0.113.9"] {
            let refused = log_in_from(&town, ip, email, PASSWORD).await.refused(429, "rate_limited");
            answers.push(format!("{} {}", refused.header("ratelimit-policy"), refused.text));
        }
        told.push(answers);
        town.execute("DELETE FROM rate_counters WHERE bucket LIKE 'log-in-client%'").expect("rows");
    }
    assert_eq!(told[0], told[1]);
}

#[apply(database_test!)]
async fn known_device_gets_in_where_neighbours_guess(town: Town) {
    let town = limited(&town);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let device = log_in_from(&town, CLUB, &ana.email, PASSWORD).await.expect(200).str("device_token");
    for _ in 0..10 {
        log_in_from(&town, CLUB, &ana.email, "not the password at all").await.refused(401, "credentials_wrong");
    }
    log_in_from(&town, CLUB, &ana.email, PASSWORD).await.refused(429, "rate_limited");
    let with = |email: &str, password: &str, token: &str| json!({ "email": email, "password": password, "device_token": token });
    let known = post_from(&town, CLUB, "/sessions", with(&ana.email, PASSWORD, &device)).await.expect(200);
    assert_eq!(known.str("device_token"), device, "it stays the same");
    // It has its own budget, and none for others' addresses or of anybody's making.
    let mut statuses = BTreeMap::new();
    for _ in 0..25 {
        let tried = post_from(&town, CLUB, "/sessions", with(&ana.email, "not the password at all", &device)).await;
        *statuses.entry(tried.status).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(401, 20), (429, 5)]), "ten of the device, ten of the network");
    attack(&town, &ben.email, 12).await;
    for token in [device.as_str(), "no token of ours", ""] {
        let body = with(&ben.email, PASSWORD, token);
        post_from(&town, "203.0.113.9", "/sessions", body).await.refused(429, "rate_limited");
    }
}

async fn reset_from(town: &Town, ip: &str, person: &Person, password: &str) {
    post_from(town, ip, "/password-resets", json!({ "email": person.email })).await.expect(202);
    let letters = town.mail_to(&person.email).await;
    let letter =
        letters.iter().find(|letter| letter.text.contains("/e/reset-password/")).expect("a mail with the link");
    let token = letter.token("reset-password");
    post_from(town, ip, "/password-resets/confirm", json!({ "token": token, "password": password })).await.expect(204);
}

#[apply(database_test!)]
async fn reset_lets_owner_in_where_log_in_was_refused(town: Town) {
    let town = limited(&town);
    let ana = town.person("Ana").await;
    let new = "another meadow another lantern";
    attack(&town, &ana.email, 12).await;
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.refused(429, "rate_limited");
    reset_from(&town, HOME, &ana, new).await;
    log_in_from(&town, HOME, &ana.email, new).await.expect(200);
    // Also where the network itself has used up all that it may.
    for number in 0..50 {
        log_in_from(&town, CLUB, &format!("x{number}@people.example"), PASSWORD)
            .await
            .refused(401, "credentials_wrong");
    }
    let refused = log_in_from(&town, CLUB, &ana.email, new).await.refused(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), "\"log-in-client\";q=50;w=900");
    reset_from(&town, CLUB, &ana, PASSWORD).await;
    log_in_from(&town, CLUB, &ana.email, PASSWORD).await.expect(200);
    town.work().await;
}

#[apply(database_test!)]
async fn strangers_cannot_use_up_resets_of_known_network(town: Town) {
    let town = limited(&town);
    let ana = town.person("Ana").await;
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.expect(200);
    for number in 0..12 {
        let ip = format!("198.51.100.{number}");
        post_from(&town, &ip, "/password-resets", json!({ "email": ana.email })).await.expect(202);
    }
    assert_eq!(town.mail_to(&ana.email).await.len(), 5);
    reset_from(&town, HOME, &ana, "another meadow another lantern").await;
    town.work().await;
}

#[apply(database_test!)]
async fn guesses_at_log_in_do_not_close_change_of_password(town: Town) {
    let town = limited(&town);
    let ana = town.person("Ana").await;
    attack(&town, &ana.email, 12).await;
    let body = json!({ "current_password": PASSWORD, "new_password": "another meadow another lantern" });
    ana.post("/me/password", body).await.expect(204);
    town.work().await;
}

#[apply(database_test!)]
async fn known_networks_are_hashes_and_forgotten_after_ninety_days(town: Town) {
    let ana = town.person("Ana").await;
    let town = limited(&town);
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.expect(200);
    let kept = town.texts("SELECT key AS t FROM known_networks");
    assert_eq!((kept.len(), kept[0].len()), (1, 64));
    town.hours_pass(91 * 24);
    attack(&town, &ana.email, 12).await;
    log_in_from(&town, HOME, &ana.email, PASSWORD).await.refused(429, "rate_limited");
    let (db, policy, now) = (town.app().db.clone(), town.app().config.policy.clone(), town.now());
    let forgot = tokio::task::spawn_blocking(move || sidebyside::service::housekeeping::forget(&db, &policy, now));
    forgot.await.unwrap().expect("forgetting");
    assert_eq!(town.rows("known_networks"), 0);
}

const COMPOSED: &str = "gr\u{fc}ne Wiese\u{a0}am Flu\u{df} 12";
const DECOMPOSED: &str = "gru\u{308}ne Wiese am Flu\u{df} \u{ff11}2";

fn newcomer(email: &str, password: &str) -> serde_json::Value {
    json!({ "email": email, "password": password, "display_name": "Ana", "adult": true, "terms_version": "1" })
}

#[apply(database_test!)]
async fn password_is_same_from_every_keyboard(town: Town) {
    let nobody = town.nobody();
    nobody.post("/accounts", newcomer("ana@example.org", COMPOSED)).await.expect(202);
    let token = town.one_mail_to("ana@example.org").await.token("verify-email");
    nobody.post("/accounts/verify-email", json!({ "token": token })).await.expect(204);
    let log_in = async |password: &str| {
        nobody.post("/sessions", json!({ "email": "ana@example.org", "password": password })).await
    };
    for typed in [COMPOSED, DECOMPOSED] {
        log_in(typed).await.expect(200);
    }
    log_in(&COMPOSED.to_uppercase()).await.refused(401, "credentials_wrong");
    // Set by a reset, then changed.
    nobody.post("/password-resets", json!({ "email": "ana@example.org" })).await.expect(202);
    let token = town.one_mail_to("ana@example.org").await.token("reset-password");
    let reset = json!({ "token": token, "password": format!("{DECOMPOSED} neu") });
    nobody.post("/password-resets/confirm", reset).await.expect(204);
    let session = log_in(&format!("{COMPOSED} neu")).await.expect(200);
    let ana = crate::harness::Client::with_token(&town, &session.str("access_token"));
    let change =
        json!({ "current_password": format!("{DECOMPOSED} neu"), "new_password": format!("{COMPOSED} neuer") });
    ana.post("/me/password", change).await.expect(204);
    log_in(&format!("{DECOMPOSED} neuer")).await.expect(200);
    town.invited("Ben", "ben@example.org").await;
    let letters = town.post_office().await;
    let invitation = letters.iter().find(|letter| letter.to == "ben@example.org").expect("an invitation");
    let body =
        json!({ "token": invitation.token("invitation"), "password": DECOMPOSED, "adult": true, "terms_version": "1" });
    nobody.post("/accounts/accept-invitation", body).await.expect(204);
    nobody.post("/sessions", json!({ "email": "ben@example.org", "password": COMPOSED })).await.expect(200);
}

#[apply(database_test!)]
async fn hash_of_raw_password_works_and_is_made_anew(town: Town) {
    let ana = town.person("Ana").await;
    // What an older release kept for the password as it was typed: the hash of these very bytes.
    let typed = "gru\u{308}ne Wiese am Fluss";
    let raw = raw_hash(typed);
    town.execute(&format!("UPDATE accounts SET password_hash = '{raw}'")).expect("a row");
    let log_in = async |password: &str| {
        town.nobody().post("/sessions", json!({ "email": ana.email, "password": password })).await
    };
    log_in("gr\u{fc}ne Wiese am Fluss").await.refused(401, "credentials_wrong");
    log_in(typed).await.expect(200);
    assert_ne!(town.texts("SELECT password_hash AS t FROM accounts"), [raw]);
    for other in [typed, "gr\u{fc}ne Wiese am Fluss"] {
        log_in(other).await.expect(200);
    }
}

/// Argon2id as the product has it, over the bytes as they are.
fn raw_hash(password: &str) -> String {
    use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None).unwrap());
    argon2.hash_password_with_salt(password.as_bytes(), b"sixteen bytes ok").unwrap().to_string()
}

#[apply(database_test!)]
async fn length_of_password_counts_after_normalising(town: Town) {
    let nobody = town.nobody();
    let short = "u\u{308}a\u{308}o\u{308}abcdefghijk";
    nobody.post("/accounts", newcomer("ana@example.org", short)).await.faulty(&["/password too_short"]);
    let long: String = ["u\u{308}", "a\u{308}", "o\u{308}", "e\u{301}"].repeat(64).concat();
    nobody.post("/accounts", newcomer("ana@example.org", &format!("{long}x"))).await.faulty(&["/password too_long"]);
    nobody.post("/accounts", newcomer("ana@example.org", &"x".repeat(1025))).await.faulty(&["/password too_long"]);
    nobody.post("/accounts", newcomer("ana@example.org", &long)).await.expect(202);
    town.work().await;
}

#[apply(database_test!)]
async fn networks_of_one_account_are_bounded_to_the_newest(town: Town) {
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    town.execute("DELETE FROM known_networks").unwrap();
    let (db, now) = (town.app().db.clone(), town.now());
    let limit = known_networks::PER_ACCOUNT_LIMIT;
    let (one, other) = (ana.id, ben.id);
    let fill = move |tx: &mut sidebyside::store::Tx<'_>| {
        known_networks::note(tx, "ben", other, now)?;
        (0..limit + 10).try_for_each(|at| known_networks::note(tx, &at.to_string(), one, now.plus_seconds(at)))?;
        let is_known = |tx: &mut sidebyside::store::Tx<'_>, key: &str| known_networks::is_known(tx, key, now);
        Ok([is_known(tx, "9")?, is_known(tx, "10")?, is_known(tx, &(limit + 9).to_string())?, is_known(tx, "ben")?])
    };
    assert_eq!(db.write(fill).await.unwrap(), [false, true, true, true]);
    assert_eq!(town.rows("known_networks"), limit + 1);
}
