//! Slow clients, clients with many connections, and what a proxy says about its clients.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use macro_rules_attribute::apply;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{RwLock, mpsc},
};

use crate::{
    harness::{Answer, Town},
    support::database_test::database_test,
};

/// Connections of one client, where the process may open many files.
const PER_CLIENT: usize = 256;
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
/// A request that writes, so that it waits while somebody else does.
const WRITE: &str = "POST /v1/password-resets HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                     Content-Length: 33\r\n\r\n{\"email\":\"nobody@people.example\"}";

async fn connect(town: &Town, first: &str) -> TcpStream {
    let mut stream = TcpStream::connect(town.base().trim_start_matches("http://")).await.expect("a connection");
    stream.write_all(first.as_bytes()).await.expect("the server takes it");
    stream
}

/// Reads until the server hangs up.
async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request by a connection of its own.
async fn fresh(town: &Town, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    read_to_end(connect(town, &head).await).await
}

#[apply(database_test!)]
async fn trickling_connections_leave_others_served(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    let trickling = join_all((0..PER_CLIENT + 100).map(|_| connect(&town, "GET /v1/help HTTP/1.1\r\nX-Slow: "))).await;
    for _ in 0..5 {
        for path in ["/healthz", "/readyz", "/v1/help"] {
            let answer =
                tokio::time::timeout(Duration::from_secs(5), fresh(&town, path)).await.expect("served in time");
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
    }
    // Who came first and has sent no head yet made room.
    let first = trickling.into_iter().take(100).map(read_to_end);
    let closed = tokio::time::timeout(Duration::from_secs(5), join_all(first)).await.expect("closed already");
    assert!(closed.iter().all(String::is_empty), "{closed:?}");
}

#[apply(database_test!)]
async fn slow_head_is_cut_after_ten_seconds(town: Town) {
    let begun = Instant::now();
    let first = connect(&town, "GET /healthz HTTP/1.1\r\n").await;
    let mut second = connect(&town, HEALTH).await;
    let mut answer = [0; 2048];
    let length = second.read(&mut answer).await.expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "the connection has served a request");
    let trickle = |stream: TcpStream| async {
        let (mut from, mut to) = stream.into_split();
        let drip = tokio::spawn(async move {
            while to.write_all(b"X").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let mut rest = Vec::new();
        let _ = from.read_to_end(&mut rest).await;
        drip.abort();
        begun.elapsed()
    };
    for took in join_all([trickle(first), trickle(second)]).await {
        assert!((9..15).contains(&took.as_secs()), "{took:?}");
    }
}

#[apply(database_test!)]
async fn monitors_are_answered_when_all_places_are_at_work(town: Town) {
    let town = town.with(&[("RATE_LIMITS", "on")]);
    // Nobody can write until the lock is let go of, and on PostgreSQL no connection is left either.
    let lock = std::sync::Arc::new(RwLock::new(()));
    let held = lock.clone().write_owned().await;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let blocked: Vec<_> = (0..64)
        .map(|_| {
            let (app, lock, begun) = (town.app().clone(), lock.clone(), begun.clone());
            tokio::spawn(async move {
                let block = move |_: &mut sidebyside::store::Tx<'_>| {
                    // Fails when the case is over.
                    let _ = begun.send(());
                    drop(lock.blocking_read());
                    Ok(())
                };
                let _ = app.db.write(block).await;
            })
        })
        .collect();
    begins.recv().await.expect("a write begins");
    let mut working = join_all((0..PER_CLIENT).map(|_| connect(&town, WRITE))).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let refused = loop {
        let answer = fresh(&town, "/v1/help").await;
        if answer.contains("all connections are at work") {
            break answer;
        }
        assert!(Instant::now() < deadline, "a connection beyond {PER_CLIENT} at work was served: {answer}");
        // It took the place of one whose head had not been read yet, or of one that had its answer.
        working.extend(join_all((0..8).map(|_| connect(&town, WRITE))).await);
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after: ") && refused.contains("connection: close"), "{refused}");
    for _ in 0..40 {
        let answer = fresh(&town, "/healthz").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(!fresh(&town, "/readyz").await.contains("all connections are at work"));
    drop(held);
    join_all(blocked).await;
    let answers = join_all(working.into_iter().map(|mut stream| async move {
        let mut start = [0; 9];
        stream.read_exact(&mut start).await.is_ok_and(|_| start == *b"HTTP/1.1 ")
    }));
    let answers = tokio::time::timeout(Duration::from_secs(60), answers).await.expect("all answered or closed");
    let answered = answers.into_iter().filter(|is_answered| *is_answered).count();
    assert!(answered >= PER_CLIENT, "{answered} answers: work was interrupted");
    town.leave_mail();
}

/// A registration as it arrives from a proxy: with these header lines.
async fn registers(town: &Town, number: usize, header: &str, lines: &[String]) -> Answer {
    let nobody = town.nobody();
    let body = json!({ "email": format!("new{number}@people.example"), "password": "wide meadow lantern",
        "display_name": "Nia", "adult": true, "terms_version": town.app().config.policy.terms_version });
    let mut request = nobody.request(Method::POST, "/v1/accounts").json(&body);
    for line in lines {
        request = request.header(header, line);
    }
    nobody.send(request).await
}

#[apply(database_test!)]
async fn forged_forwarded_lines_do_not_pass_the_limit(town: Town) {
    let proxied = [("RATE_LIMITS", "on"), ("TRUSTED_PROXIES", "127.0.0.0/8")];
    let x = town.with(&proxied);
    let forwarded = town.with(&[proxied[0], proxied[1], ("FORWARDED_HEADER", "forwarded")]);
    let mut number = 0;
    for client in ["203.0.113.5", "203.0.113.6:41234", "[2001:db8:1::1]:443", "2001:db8:2::1"] {
        let mut statuses = Vec::new();
        for forged in 0..22 {
            number += 1;
            let lines =
                [format!("198.51.100.{forged}, 192.0.2.{forged}"), client.replace("::1", &format!("::{forged}"))];
            statuses.push(registers(&x, number, "X-Forwarded-For", &lines).await.status);
        }
        assert_eq!(statuses[..20], [202; 20], "{client}");
        assert_eq!(statuses[20..], [429; 2], "{client}");
    }
    let mut statuses = Vec::new();
    for forged in 0..22 {
        number += 1;
        let lines = [format!("for=198.51.100.{forged};x=\""), "for=\"[2001:db8:3::1]:80\";proto=https".to_owned()];
        statuses.push(registers(&forwarded, number, "Forwarded", &lines).await.status);
    }
    assert_eq!(statuses[20..], [429; 2], "{statuses:?}");
    // The header that the setting does not name is what the client sent.
    let ignored = ["for=\"[2001:db8:4::1]\"".to_owned(), "for=\"[2001:db8:3::1]\"".to_owned()];
    let other = registers(&x, 1000, "Forwarded", &ignored).await;
    assert_eq!(other.status, 202, "the proxy itself has a limit of its own: {}", other.text);
    town.leave_mail();
}
