//! Mail servers that hang, refuse this installation or end each connection, workers that are killed, and clocks that go
//! back: whose mail waits for them, and for how long.

use std::time::{Duration, Instant as Stopwatch};

use macro_rules_attribute::apply;
use sidebyside::{
    domain::outbox::{LONGEST_BACKOFF_S, OutboxStatus, Setback},
    id::Id,
    mail::Notice,
    store::{
        accounts, dialect,
        outbox::{self, Lane, Parcel, Promise},
    },
    worker,
};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{Behaviour, Town},
    privacy::logs,
    support::{database_test::database_test, databases::Kind, people::account},
};

/// How long a mail may wait for others that hang.
const DELAY_LIMIT: Duration = Duration::from_secs(5);

/// Promises a mail to each address, in this order.
async fn promise(town: &Town, addresses: &[String]) {
    let (now, addresses) = (town.now(), addresses.to_vec());
    let promised = town.app().db.write(move |tx| {
        for email in &addresses {
            let person = account("Pat", email, now);
            let id = if accounts::insert(tx, &person)? {
                person.id
            } else {
                accounts::find_by_email(tx, email)?.expect("an account").id
            };
            outbox::promise(tx, Promise::new(id, Notice::AlreadyRegistered { account_id: id }), now)?;
        }
        Ok(())
    });
    promised.await.expect("promises");
    town.app().mail_waits.notify_one();
}

fn hanging(many: usize, domain: &str) -> Vec<String> {
    (0..many).map(|number| format!("hang{number}@{domain}")).collect()
}

/// Runs the worker until a mail to this address came, then stops it like a kill; gives how long that took.
async fn time_until_letter(town: &Town, email: &str) -> Duration {
    let (app, stop) = (town.app().clone(), CancellationToken::new());
    let since = Stopwatch::now();
    let working = tokio::spawn(worker::run(app, stop));
    town.inbox().letter_to(email).await;
    let took = since.elapsed();
    working.abort();
    let _ = working.await;
    took
}

/// Lets go of what a killed worker held.
fn end_leases(town: &Town) {
    town.execute("UPDATE outbox SET lease_until = NULL").expect("an update");
}

fn open_mails(town: &Town) -> Vec<Parcel> {
    let open = [OutboxStatus::Queued, OutboxStatus::Dead];
    town.app().db.read_here(|conn| outbox::list(conn, &open, 1000)).expect("a list")
}

#[apply(database_test!)]
async fn mails_that_hang_do_not_delay_a_neighbours(town: Town) {
    town.leave_mail();
    for (round, step) in ["RCPT", "DATA", "."].into_iter().enumerate() {
        town.mail_server(Behaviour::Hang(step));
        let neighbour = format!("ana{round}@people.example");
        promise(&town, &hanging(30, "people.example")).await;
        promise(&town, std::slice::from_ref(&neighbour)).await;
        let took = time_until_letter(&town, &neighbour).await;
        assert!(took < DELAY_LIMIT, "hanging at {step}: {took:?}");
        // The next time they go behind first tries.
        town.execute("UPDATE outbox SET setback = 'hung', attempts = 1, lease_until = NULL WHERE status = 'queued'")
            .expect("an update");
        let next = format!("ben{round}@people.example");
        promise(&town, std::slice::from_ref(&next)).await;
        let took = time_until_letter(&town, &next).await;
        assert!(took < DELAY_LIMIT, "hung before at {step}: {took:?}");
        town.execute("DELETE FROM outbox").expect("a clean outbox");
    }
}

#[apply(database_test!)]
async fn one_domain_that_hangs_leaves_room_for_others(town: Town) {
    town.leave_mail();
    town.mail_server(Behaviour::Hang("RCPT"));
    promise(&town, &hanging(150, "hang.example")).await;
    promise(&town, &["ana@people.example".to_owned()]).await;
    let took = time_until_letter(&town, "ana@people.example").await;
    assert!(took < DELAY_LIMIT, "{took:?}");
    assert!(town.rows("outbox WHERE setback = 'hung' AND attempts = 0") > 50, "the others were put aside untried");
}

#[apply(database_test!)]
async fn mail_of_a_killed_worker_is_free_within_90_seconds(town: Town) {
    town.mail_server(Behaviour::Hang("."));
    promise(&town, &hanging(1, "people.example")).await;
    let working = tokio::spawn(worker::run(town.app().clone(), CancellationToken::new()));
    while town.inbox().attempts() == 0 {
        tokio::task::yield_now().await;
    }
    working.abort();
    let _ = working.await;
    town.mail_server(Behaviour::Accept);
    let parcel = open_mails(&town).remove(0);
    let clock = town.app().db.write(|tx| dialect::database_now(tx)).await.expect("the database's clock");
    let left = parcel.lease_until.expect("a lease").seconds_since(clock);
    assert!((60..=85).contains(&left), "{left} seconds");
    assert_eq!(town.work().await, 0, "it is under a lease");
    end_leases(&town);
    assert_eq!(town.post_office().await.len(), 1);
}

#[apply(database_test!)]
async fn worker_told_to_stop_gives_back_what_hangs(town: Town) {
    town.mail_server(Behaviour::Hang("."));
    promise(&town, &hanging(1, "people.example")).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::run(town.app().clone(), stop.clone()));
    while town.inbox().attempts() == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    working.await.expect("an end");
    let parcel = open_mails(&town).remove(0);
    assert_eq!((parcel.lease_until, parcel.attempts, parcel.setback), (None, 0, None));
    town.mail_server(Behaviour::Accept);
    assert_eq!(town.post_office().await.len(), 1);
}

#[apply(database_test!)]
async fn server_that_refuses_us_is_tried_for_two_days(town: Town) {
    let _keeping = logs::keep();
    // Codes of this test alone: all tests of the process share the log.
    let answers = match town.kind() {
        Kind::Sqlite => ["554 5.7.77 relay access denied", "553 5.1.77 sender rejected", "552 5.2.77 over quota"],
        Kind::Postgres => ["554 5.7.88 relay access denied", "553 5.1.88 sender rejected", "552 5.2.88 over quota"],
    };
    for answer in answers {
        town.mail_server(Behaviour::Rcpt(answer));
        let addresses: Vec<String> = (0..5).map(|number| format!("pat{number}@people.example")).collect();
        promise(&town, &addresses).await;
        let started = town.now();
        town.work().await;
        let waiting = open_mails(&town);
        assert_eq!(waiting.len(), 5);
        for parcel in &waiting {
            assert_eq!((parcel.status, parcel.setback), (OutboxStatus::Queued, Some(Setback::RefusedUs)));
            let reason = parcel.last_error.as_deref().unwrap_or_default();
            assert!(reason.contains(&answer[..10]) && !reason.contains("people.example"), "{reason}");
        }
        // Others that wait come after those.
        town.mail_server(Behaviour::Data(451));
        promise(&town, &["zed@people.example".to_owned()]).await;
        town.work().await;
        let listed = open_mails(&town);
        assert_eq!(listed.len(), 6);
        assert_eq!(listed[5].setback, Some(Setback::PutOff));
        town.mail_server(Behaviour::Rcpt(answer));
        while town.now() < started.plus_hours(47) {
            town.minutes_pass(181);
            town.work().await;
        }
        assert_eq!(town.rows("outbox WHERE status = 'queued' AND setback = 'refused_us'"), 6);
        town.mail_server(Behaviour::Accept);
        town.hours_pass(3);
        assert_eq!(town.post_office().await.len(), 6, "it came through when the fault was mended");
    }
    let logs = String::from_utf8_lossy(&logs::all()).into_owned();
    for code in answers.map(|answer| &answer[4..10]) {
        let told = logs.lines().filter(|line| line.contains("ERROR") && line.contains(code)).count();
        assert_eq!(told, 1, "{code} is logged as an error once");
    }
    assert!(!logs.contains("pat0@people.example"));
}

#[apply(database_test!)]
async fn retry_sends_refused_mails_at_once(town: Town) {
    town.mail_server(Behaviour::Rcpt("554 5.7.1 relay access denied"));
    promise(&town, &["ana@people.example".to_owned(), "ben@people.example".to_owned()]).await;
    town.work().await;
    town.mail_server(Behaviour::Accept);
    assert_eq!(town.post_office().await.len(), 0, "they wait");
    let now = town.now();
    assert_eq!(town.app().db.write(move |tx| outbox::retry(tx, None, now)).await.expect("a retry"), 2);
    assert_eq!(town.post_office().await.len(), 2);
}

#[apply(database_test!)]
async fn server_that_ends_each_connection_delays_nothing(town: Town) {
    for behaviour in [Behaviour::OneMailEach, Behaviour::HangUpAfterEach] {
        town.mail_server(behaviour);
        let addresses: Vec<String> = (0..20).map(|number| format!("pat{number}@people.example")).collect();
        // One after the other, so that connections would be used again.
        for address in addresses {
            promise(&town, &[address]).await;
            assert_eq!(town.post_office().await.len(), 1, "{behaviour:?}");
        }
    }
    assert_eq!(town.rows("outbox WHERE attempts > 1"), 0);
}

#[apply(database_test!)]
async fn retries_wait_no_longer_when_the_clock_goes_back(town: Town) {
    town.mail_server(Behaviour::Data(451));
    promise(&town, &["ana@people.example".to_owned()]).await;
    town.work().await;
    let late = town.now();
    town.set_clock(&late.plus_hours(-2).to_string());
    town.mail_server(Behaviour::Accept);
    town.work().await;
    assert_eq!(town.inbox().all().len(), 0, "its ten seconds are not over");
    town.minutes_pass(1);
    assert_eq!(town.post_office().await.len(), 1);
    // A first try that was due when the clock went back goes at once.
    promise(&town, &["ben@people.example".to_owned()]).await;
    town.set_clock(&late.plus_hours(-30).to_string());
    assert_eq!(town.post_office().await.len(), 1);
    // One that was promised for a far moment keeps that moment.
    let (now, far) = (town.now(), town.now().plus_seconds(LONGEST_BACKOFF_S + 60));
    let person = account("Cem", "cem@people.example", now);
    let id: Id = person.id;
    let promised = town.app().db.write(move |tx| {
        accounts::insert(tx, &person)?;
        let notice = Notice::AlreadyRegistered { account_id: id };
        outbox::promise(tx, Promise::new(id, notice).not_before(far), now)
    });
    assert!(promised.await.expect("a promise"));
    town.set_clock(&now.plus_hours(-2).to_string());
    assert_eq!(town.post_office().await.len(), 0);
    assert_eq!(open_mails(&town)[0].not_before, far);
    town.set_clock(&far.to_string());
    assert_eq!(town.post_office().await.len(), 1);
}

#[apply(database_test!)]
async fn lease_of_a_later_clock_is_over(town: Town) {
    promise(&town, &["ana@people.example".to_owned()]).await;
    let now = town.now();
    town.app().db.write(move |tx| outbox::claim(tx, Lane::Ordinary, now, 10, 75)).await.expect("a claim");
    assert_eq!(town.work().await, 0);
    let clock = town.app().db.write(|tx| dialect::database_now(tx)).await.expect("the database's clock");
    let hours_ahead = clock.plus_hours(2);
    town.execute(&format!("UPDATE outbox SET lease_until = '{hours_ahead}'")).expect("an update");
    assert_eq!(town.post_office().await.len(), 1);
}
