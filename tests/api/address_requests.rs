//! What is asked for with an address: the same row whether or not there is an account, decided by the worker after a
//! pause; and bans and blocks that reach every spelling of a mailbox.

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::service::address_requests::{PAUSE_MAX_S, decide_due};

use crate::{
    harness::{Client, PASSWORD, Person, Town},
    support::database_test::database_test,
};

pub(super) fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "display_name": "Ben", "adult": true, "terms_version": "1" })
}

/// How many rows the tables hold that anything asked for with an address could touch.
fn rows(town: &Town) -> Vec<i64> {
    ["address_requests", "accounts", "links", "outbox", "rate_counters", "blocks", "audit_log", "changes"]
        .map(|table| town.rows(table))
        .to_vec()
}

/// The requests that wait, without the ids and times that are new each time.
fn waiting(town: &Town) -> Vec<String> {
    town.texts("SELECT kind || ' ' || length(address_hash) || ' ' || (block_id IS NULL) AS t FROM address_requests")
}

async fn decide(town: &Town, due_in_s: i64) -> usize {
    let (app, due) = (town.app().clone(), town.now().plus_seconds(due_in_s));
    let now = town.now();
    let decided = tokio::task::spawn_blocking(move || {
        decide_due(&app.db, &app.addresses, &app.config.policy, due, now).expect("decisions")
    });
    decided.await.unwrap()
}

#[apply(database_test!)]
async fn asking_for_mail_leaves_same_row_for_any_address(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    let ana = town.person("Ana").await;
    for path in ["/password-resets", "/accounts/resend-verification"] {
        let mut seen = Vec::new();
        for email in [ana.email.as_str(), "nobody@example.org"] {
            let before = rows(&town);
            town.nobody().post(path, json!({ "email": email })).await.expect(202);
            let added: Vec<i64> = rows(&town).iter().zip(before).map(|(after, before)| after - before).collect();
            assert_eq!((added[0], added[2], added[3]), (1, 0, 0), "{path} {email}");
            // The client's own counter is the same for both.
            seen.push((added[..4].to_vec(), added[5..].to_vec(), waiting(&town).pop()));
        }
        assert_eq!(seen[0], seen[1], "{path}");
    }
    assert_eq!(town.mail_to(&ana.email).await.len(), 1, "a reset, and nothing to verify");
    assert_eq!(town.rows("address_requests"), 0);
}

#[apply(database_test!)]
async fn registering_leaves_same_row_for_any_address(town: Town) {
    let ana = town.person("Ana").await;
    for email in [ana.email.as_str(), "new@example.org"] {
        town.nobody().post("/accounts", registration(email)).await.expect(202);
    }
    let told = waiting(&town);
    assert_eq!((told.len(), &told[0]), (2, &told[1]));
    assert_eq!((town.rows("links"), town.rows("outbox")), (0, 0));
    assert_eq!(town.post_office().await.len(), 2);
}

#[apply(database_test!)]
async fn worker_waits_for_random_pause_before_it_decides(town: Town) {
    let ana = town.person("Ana").await;
    for _ in 0..20 {
        town.nobody().post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    }
    assert_eq!(decide(&town, 1).await, 0);
    let halfway = decide(&town, PAUSE_MAX_S * 6 / 10).await;
    assert!((1..20).contains(&halfway), "{halfway}");
    assert_eq!(decide(&town, PAUSE_MAX_S).await, 20 - halfway);
    assert_eq!(town.rows("links"), 20);
    assert_eq!(town.mail_to(&ana.email).await.len(), 20);
}

#[apply(database_test!)]
async fn requests_that_wait_too_long_are_forgotten_but_blocks(town: Town) {
    let ana = town.person("Ana").await;
    town.nobody().post("/password-resets", json!({ "email": ana.email })).await.expect(202);
    ana.post("/blocks", json!({ "email": "ben@example.org" })).await.expect(202);
    town.hours_pass(25);
    let (db, policy, now) = (town.app().db.clone(), town.app().config.policy.clone(), town.now());
    let forgot = tokio::task::spawn_blocking(move || sidebyside::service::housekeeping::forget(&db, &policy, now));
    forgot.await.unwrap().expect("forgetting");
    assert_eq!(town.texts("SELECT kind AS t FROM address_requests"), ["block"]);
    assert!(town.post_office().await.is_empty());
    assert_eq!(town.rows("address_requests"), 0);
}

#[apply(database_test!)]
async fn full_queue_refuses_known_and_unknown_alike(town: Town) {
    let ana = town.person("Ana").await;
    let many = match town.kind() {
        crate::support::databases::Kind::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
             INSERT INTO address_requests SELECT randomblob(16), 'password_reset', 'x', NULL, \
             '2026-11-23T10:00:00.000000Z', '2099-11-23T10:00:00.000000Z' FROM n"
        }
        crate::support::databases::Kind::Postgres => {
            "INSERT INTO address_requests SELECT gen_random_uuid(), 'password_reset', 'x', NULL, \
             '2026-11-23T10:00:00Z', '2099-11-23T10:00:00Z' FROM generate_series(1, 10000)"
        }
    };
    town.execute(many).expect("rows");
    for email in [ana.email.as_str(), "nobody@example.org"] {
        town.nobody().post("/password-resets", json!({ "email": email })).await.refused(503, "unavailable");
    }
}

#[apply(database_test!)]
async fn block_of_address_holds_before_worker_knows_whose_it_is(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben, cem) = (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let mut added = Vec::new();
    for email in [ben.email.as_str(), "nobody@people.example"] {
        let before = rows(&town);
        ana.post("/blocks", json!({ "email": email })).await.expect(202);
        added.push(rows(&town).iter().zip(before).map(|(after, before)| after - before).collect::<Vec<_>>());
    }
    assert_eq!(added[0], added[1]);
    assert_eq!(town.rows("blocks WHERE blocked_id IS NULL"), 2);
    ben.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    cem.joins(&run.id, "confirmed").await;
    town.work().await;
    assert_eq!(town.rows("blocks WHERE blocked_id IS NULL"), 1);
    ben.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
}

#[apply(database_test!)]
async fn block_of_address_takes_offer_back_and_tells_who_shares_run(town: Town) {
    let fay = town.facilitator("Fay").await;
    let (ana, ben, cem, dee) =
        (town.person("Ana").await, town.person("Ben").await, town.person("Cem").await, town.person("Dee").await);
    let run = town.run(&fay, |run| run["capacity"] = json!(2)).await;
    let both = town.run(&fay, |run| run["starts_at"] = json!("2026-11-28T09:00:00Z")).await;
    for person in [&ana, &ben] {
        person.joins(&both.id, "confirmed").await;
    }
    ana.joins(&run.id, "confirmed").await;
    let second = cem.joins(&run.id, "confirmed").await;
    let (b, d) = (ben.joins(&run.id, "waitlisted").await, dee.joins(&run.id, "waitlisted").await);
    cem.withdraws(&second).await;
    assert_eq!(ben.seat(&b).await, "offered");
    town.post_office().await;
    ana.post("/blocks", json!({ "email": ben.email })).await.expect(202);
    ben.post(&format!("/signups/{b}/accept"), json!({})).await.refused(409, "run_not_open_to_you");
    let letters = town.post_office().await;
    assert_eq!((ben.seat(&b).await, dee.seat(&d).await), (json!("waitlisted"), json!("offered")));
    let mut told: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, [ana.email.as_str(), dee.email.as_str()]);
}

async fn ban(moderator: &Person, account: &Person) -> String {
    let body = json!({ "account_id": account.id, "kind": "ban", "rule": "Be kind", "statement": "Three times now." });
    moderator.post("/moderation/sanctions", body).await.expect(201).id()
}

/// Registers, opens the link in the mail and logs in.
async fn registers(town: &Town, email: &str) -> Client {
    town.nobody().post("/accounts", registration(email)).await.expect(202);
    let token = town.one_mail_to(email).await.token("verify-email");
    town.nobody().post("/accounts/verify-email", json!({ "token": token })).await.expect(204);
    let session = town.nobody().post("/sessions", json!({ "email": email, "password": PASSWORD })).await.expect(200);
    Client::with_token(town, &session.str("access_token"))
}

/// Somebody whose account has just this address.
pub(super) async fn person_at(town: &Town, email: &str) -> Person {
    let client = registers(town, email).await;
    let id = client.get("/me").await.expect(200).id().parse().expect("an id");
    Person { id, email: email.to_owned(), client }
}

#[apply(database_test!)]
async fn ban_reaches_every_spelling_of_mailbox(town: Town) {
    let mo = town.moderator("Mo").await;
    let (ana, ben) = (person_at(&town, "ana.miller@gmail.com").await, person_at(&town, "ben+runs@example.org").await);
    let first = ban(&mo, &ana).await;
    ban(&mo, &ben).await;
    town.post_office().await;
    let accounts = town.rows("accounts");
    let same = [
        "ana.miller@gmail.com",
        "anamiller@gmail.com",
        "a.n.a.miller@googlemail.com",
        "Ana.Miller+new@GMail.com",
        "ben@example.org",
        "ben+runs@example.org",
        "ben+other@example.org",
        "ben+a+b@example.org",
    ];
    for email in same {
        town.nobody().post("/accounts", registration(email)).await.expect(202);
    }
    assert!(town.post_office().await.is_empty());
    assert_eq!(town.rows("accounts"), accounts);
    // Other people are not taken for them.
    for other in ["ana.miller@example.org", "benruns@example.org", "anamiller2@gmail.com"] {
        registers(&town, other).await;
    }
    mo.post(&format!("/moderation/sanctions/{first}/lift"), json!({ "reason": "It was somebody else." }))
        .await
        .expect(200);
    town.post_office().await;
    registers(&town, "anamiller+again@gmail.com").await;
}

#[apply(database_test!)]
async fn account_begun_before_ban_under_other_spelling_stays_shut(town: Town) {
    let mo = town.moderator("Mo").await;
    let ben = person_at(&town, "ben@example.org").await;
    town.nobody().post("/accounts", registration("ben+spare@example.org")).await.expect(202);
    let token = town.one_mail_to("ben+spare@example.org").await.token("verify-email");
    let invited = town.invited("Ben", "ben+invited@example.org").await;
    let invitation = town.one_mail_to("ben+invited@example.org").await.token("invitation");
    // As every start does for accounts without hashes.
    town.with(&[]);
    ban(&mo, &ben).await;
    town.post_office().await;
    town.nobody().post("/accounts/verify-email", json!({ "token": token })).await.refused(403, "link_invalid");
    let body = json!({ "token": invitation, "password": PASSWORD, "adult": true, "terms_version": "1" });
    town.nobody().post("/accounts/accept-invitation", body).await.refused(403, "link_invalid");
    assert_eq!(town.rows("accounts WHERE status = 'active'"), 2, "{invited}");
}

#[apply(database_test!)]
async fn older_ban_reaches_mailbox_after_next_start(town: Town) {
    let mo = town.moderator("Mo").await;
    let ben = person_at(&town, "ben+runs@example.org").await;
    ban(&mo, &ben).await;
    // As an older release left it: the hash of the very spelling alone.
    town.execute(
        "DELETE FROM banned_addresses WHERE hash IN (SELECT mailbox_hash FROM accounts); \
         UPDATE accounts SET address_hash = NULL, mailbox_hash = NULL",
    )
    .expect("rows");
    assert_eq!(town.rows("banned_addresses"), 1);
    let town = town.with(&[]);
    assert_eq!(town.rows("accounts WHERE address_hash IS NULL OR mailbox_hash IS NULL"), 0);
    for email in ["ben+runs@example.org", "ben@example.org", "ben+x@example.org"] {
        town.nobody().post("/accounts", registration(email)).await.expect(202);
    }
    town.leave_mail();
    assert!(town.mail_to("ben@example.org").await.is_empty());
    assert_eq!(town.rows("accounts"), 2);
}

#[apply(database_test!)]
async fn block_of_address_reaches_every_spelling_of_mailbox(town: Town) {
    let fay = town.facilitator("Fay").await;
    let ana = town.person("Ana").await;
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let there = person_at(&town, "b.en@gmail.com").await;
    let made = ana.post("/blocks", json!({ "email": "ben+old@googlemail.com" })).await.expect(202);
    assert_eq!(ana.post("/blocks", json!({ "email": "BEN@gmail.com" })).await.expect(202).id(), made.id());
    town.post_office().await;
    let later = person_at(&town, "ben+new@gmail.com").await;
    for person in [&there, &later] {
        person.sign_up(&run.id).await.refused(409, "run_not_open_to_you");
    }
    person_at(&town, "ben@example.org").await.joins(&run.id, "confirmed").await;
    let typed = ana.email.replace('@', "+me@");
    ana.post("/blocks", json!({ "email": typed })).await.refused(409, "block_yourself");
    town.work().await;
}

#[apply(database_test!)]
async fn two_spellings_of_mailbox_may_be_two_accounts(town: Town) {
    let one = person_at(&town, "ana@example.org").await;
    let two = person_at(&town, "ana+work@example.org").await;
    assert_ne!(one.id, two.id);
    town.nobody().post("/password-resets", json!({ "email": "ana+work@example.org" })).await.expect(202);
    let letters = town.post_office().await;
    assert_eq!(letters.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["ana+work@example.org"]);
}

#[apply(database_test!)]
async fn tags_do_not_multiply_mails_to_one_mailbox(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    for number in 0..8 {
        let email = format!("ana+{number}@example.org");
        town.nobody().post("/accounts", registration(&email)).await.expect(202);
    }
    assert_eq!(town.post_office().await.len(), 5);
}
