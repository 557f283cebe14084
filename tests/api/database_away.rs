//! A database that is away, hangs, is locked, full or only to be read: requests are answered soon, readiness tells, and all
//! comes back by itself.

use std::time::{Duration, Instant as Stopwatch};

use diesel::{Connection, connection::SimpleConnection};
use macro_rules_attribute::apply;
use serde_json::json;
use sidebyside::worker;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{Answer, Person, Town},
    support::{
        database_test::database_test,
        databases::{Kind, postgres_url},
        proxy::{Passing, Proxy},
    },
};

/// Within this every request has its answer while the database is away.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Within this after its return requests are served again.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// Asks again and again until it is ready, or not; gives how long that took.
async fn until_ready(town: &Town, is_ready: bool) -> Duration {
    let since = Stopwatch::now();
    while (town.nobody().open("/readyz").await.status == 200) != is_ready {
        assert!(since.elapsed() < Duration::from_secs(60), "ready is not {is_ready}");
        tokio::task::yield_now().await;
    }
    since.elapsed()
}

async fn timed(answer: impl Future<Output = Answer>) -> Duration {
    let since = Stopwatch::now();
    let answer = answer.await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    since.elapsed()
}

/// Requests of several kinds at once, three times; gives the longest time that one took.
async fn ask_everything(person: &Person, run: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let (path, readyz) = (format!("/runs/{run}"), person.open("/readyz"));
        let all = tokio::join!(
            timed(person.get("/me")),
            timed(person.sign_up(run)),
            timed(person.get("/me/signups")),
            timed(person.get(&path)),
            timed(readyz)
        );
        longest = [all.0, all.1, all.2, all.3, all.4, longest].into_iter().max().unwrap_or_default();
    }
    longest
}

/// Another server of this town, with a proxy between it and PostgreSQL.
async fn behind_a_proxy(town: &Town) -> (Town, Proxy) {
    let server = postgres_url().expect("a server");
    let proxy = Proxy::before(server.host_str().expect("a host").to_owned(), server.port().unwrap_or(5432)).await;
    let mut url = url::Url::parse(&town.database().url()).expect("a URL");
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(proxy.port())).expect("a port");
    (town.with(&[("DATABASE_URL", url.as_str())]), proxy)
}

#[apply(database_test!)]
async fn requests_are_answered_while_the_database_is_away(town: Town) {
    if town.kind() == Kind::Sqlite {
        return locked_database_refuses_writes_and_comes_back(town).await;
    }
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let (town, proxy) = behind_a_proxy(&town).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::run(town.app().clone(), stop.clone()));
    for passing in [Passing::Hangs, Passing::Refuses, Passing::Hangs] {
        let ana = town.person("Ana").await;
        ana.get("/me").await.expect(200);
        until_ready(&town, true).await;
        proxy.set(passing);
        let took = ask_everything(&ana, &run.id).await;
        assert!(took < ANSWER_LIMIT, "{passing:?}: {took:?}");
        until_ready(&town, false).await;
        proxy.set(Passing::On);
        let took = until_ready(&town, true).await;
        assert!(took < RETURN_LIMIT, "{passing:?}: {took:?}");
        // The worker and the lists follow as well.
        ana.joins(&run.id, "confirmed").await;
        town.inbox().letter_to(&ana.email).await;
        let listed = town.nobody().get("/runs").await.expect(200).json;
        assert_eq!(listed["items"][0]["places_left"], run.json["places_left"].as_i64().unwrap() - town.rows("signups"));
    }
    stop.cancel();
    working.await.expect("an end");
}

async fn locked_database_refuses_writes_and_comes_back(town: Town) {
    let path = town.database().folder().join("sidebyside.db");
    let mut other = diesel::SqliteConnection::establish(&path.to_string_lossy()).expect("a connection");
    until_ready(&town, true).await;
    other.batch_execute("BEGIN IMMEDIATE").expect("the lock");
    until_ready(&town, false).await;
    let told = town.nobody().open("/readyz").await.refused(503, "unavailable");
    assert!(told.text.contains("written"), "{}", told.text);
    other.batch_execute("ROLLBACK").expect("an end");
    until_ready(&town, true).await;
}

#[apply(database_test!)]
async fn database_that_cannot_be_written_to_is_not_ready(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ana = town.person("Ana").await;
    until_ready(&town, true).await;
    match town.kind() {
        Kind::Sqlite => {
            for words in ["database or disk is full", "attempt to write a readonly database", "disk I/O error"] {
                let refuse = |table: &str, act: &str| {
                    format!(
                        "CREATE TRIGGER no_{table} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{words}'); END;"
                    )
                };
                let on = [refuse("signups", "INSERT"), refuse("installation", "UPDATE")].concat();
                town.execute(&on).expect("triggers");
                ana.sign_up(&run.id).await.refused(503, "unavailable");
                town.nobody().open("/readyz").await.refused(503, "unavailable");
                town.execute("DROP TRIGGER no_signups; DROP TRIGGER no_installation;").expect("no triggers");
                until_ready(&town, true).await;
            }
        }
        Kind::Postgres => {
            // As after a failover to a replica: sessions that are there end, and new ones may only read.
            let name = town.texts("SELECT current_database()::text AS t").remove(0);
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                       AND pid <> pg_backend_pid()";
            town.execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on; {end}"))
                .expect("read only");
            ana.sign_up(&run.id).await.refused(503, "unavailable");
            until_ready(&town, false).await;
            let mut server =
                diesel::PgConnection::establish(postgres_url().expect("a server").as_str()).expect("a session");
            let back = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
            server.batch_execute(&back).expect("a primary");
            town.execute(end).expect("other sessions end");
            until_ready(&town, true).await;
        }
    }
    ana.joins(&run.id, "confirmed").await;
    town.work().await;
}

#[apply(database_test!)]
async fn readiness_writes_at_most_once_a_second(town: Town) {
    let mark = || town.texts("SELECT value AS t FROM installation WHERE name = 'write_mark'");
    until_ready(&town, true).await;
    let (first, since) = (mark(), Stopwatch::now());
    let (mut marks, mut asked) = (std::collections::BTreeSet::from([first]), 0);
    while since.elapsed() < Duration::from_millis(500) {
        town.nobody().open("/readyz").await.expect(200);
        marks.insert(mark());
        asked += 1;
    }
    assert!(asked > 2 && marks.len() <= 2, "{asked} requests, {} writes", marks.len());
    assert_eq!(town.nobody().open("/healthz").await.expect(200).json, json!({ "status": "ok" }));
}
