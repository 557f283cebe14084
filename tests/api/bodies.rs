//! Request bodies that are compressed, too large, cut off or slow.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use futures_util::future::join_all;
use macro_rules_attribute::apply;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    harness::{Answer, Client, Town},
    support::database_test::database_test,
};

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// Zeros that are about 60 KB when they are sent and 60 MB when they are inflated.
fn bomb() -> Vec<u8> {
    gzip(&vec![0; 60_000_000])
}

async fn sends(client: &Client, method: Method, path: &str, kind: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let request = client.request(method, path).header("Content-Type", kind).header("Content-Encoding", encoding);
    client.send(request.body(body)).await
}

async fn posts(client: &Client, encoding: &str, body: Vec<u8>) -> Answer {
    sends(client, Method::POST, "/v1/password-resets", "application/json", encoding, body).await
}

#[apply(database_test!)]
async fn gzipped_body_is_read_like_a_plain_one(town: Town) {
    let nobody = town.nobody();
    let body = json!({ "email": "nobody@people.example" }).to_string();
    posts(&nobody, "gzip", gzip(body.as_bytes())).await.expect(202);
    posts(&nobody, "X-GZIP", gzip(body.as_bytes())).await.expect(202);
    posts(&nobody, "identity", body.clone().into_bytes()).await.expect(202);
    let (one, other) = body.split_at(10);
    let members = [gzip(one.as_bytes()), gzip(other.as_bytes())].concat();
    posts(&nobody, "gzip", members).await.expect(202);
    town.leave_mail();
}

#[apply(database_test!)]
async fn inflated_body_beyond_the_limit_is_413(town: Town) {
    let (nobody, bomb) = (town.nobody(), bomb());
    assert!(bomb.len() < 64 * 1024, "{} bytes would be refused for their own size", bomb.len());
    posts(&nobody, "gzip", bomb.clone()).await.refused(413, "payload_too_large");
    posts(&nobody, "gzip", gzip(&[b' '; 64 * 1024 + 1])).await.refused(413, "payload_too_large");
    posts(&nobody, "identity", vec![b' '; 64 * 1024 + 1]).await.refused(413, "payload_too_large");
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let route = format!("/v1{}", run.at("/route"));
    let large = gzip(&vec![b' '; 64 * 1024 * 1024]);
    sends(&fay, Method::PUT, &route, "application/gpx+xml", "gzip", large).await.refused(413, "payload_too_large");
    let form = "application/x-www-form-urlencoded";
    let page = sends(&nobody, Method::POST, "/e/unsubscribe/token", form, "gzip", bomb.clone()).await;
    assert!(matches!(page.status, 404 | 413), "{}", page.status);
    let page = sends(&nobody, Method::POST, "/e/verify-email/token", form, "gzip", bomb).await;
    assert_eq!(page.status, 413, "{}", page.text);
}

#[apply(database_test!)]
async fn encoding_that_is_not_taken_is_415(town: Town) {
    let nobody = town.nobody();
    for encoding in ["br", "deflate", "zstd", "compress", "gzip, gzip", "gzip,br", "aws-chunked"] {
        let answer = posts(&nobody, encoding, gzip(b"{}")).await.refused(415, "unsupported_media_type");
        assert!(answer.json["detail"].as_str().is_some_and(|words| words.contains(encoding)), "{}", answer.text);
        assert_eq!(answer.headers["accept-encoding"], "gzip, identity");
    }
    let twice = nobody.request(Method::POST, "/v1/password-resets").header("Content-Type", "application/json");
    let twice = twice.header("Content-Encoding", "gzip").header("Content-Encoding", "gzip");
    nobody.send(twice.body(gzip(&gzip(b"{}")))).await.refused(415, "unsupported_media_type");
}

#[apply(database_test!)]
async fn gzip_that_is_cut_off_or_none_is_400(town: Town) {
    let nobody = town.nobody();
    let whole = gzip(json!({ "email": "nobody@people.example" }).to_string().as_bytes());
    for broken in
        [&whole[..whole.len() - 3], &whole[..12], b"{\"email\":\"a@b.example\"}", &[whole.as_slice(), b"x"].concat()]
    {
        posts(&nobody, "gzip", broken.to_vec()).await.refused(400, "bad_request");
    }
}

/// Sends the head of a request and then one byte a second; gives what came back until the server hung up, and after how long.
async fn trickles(town: &Town, head: String) -> (String, Duration) {
    let begun = Instant::now();
    let address = town.base().trim_start_matches("http://");
    let (mut from, mut to) = TcpStream::connect(address).await.expect("a connection").into_split();
    to.write_all(head.as_bytes()).await.expect("a head is taken");
    let drip = tokio::spawn(async move {
        while to.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    let _ = from.read_to_end(&mut answer).await;
    let took = begun.elapsed();
    drip.abort();
    (String::from_utf8_lossy(&answer).into_owned(), took)
}

fn post(path: &str, more: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{more}\r\n\r\n")
}

#[apply(database_test!)]
async fn slow_body_is_cut_after_ten_seconds(town: Town) {
    let slow = [
        post("/v1/accounts", "Content-Length: 2000"),
        post("/e/verify-email/token", "Content-Length: 2000"),
        post("/v1/password-resets", "Content-Length: 2000\r\nContent-Encoding: gzip"),
        post("/v1/sessions", "Content-Length: 2000\r\nExpect: 100-continue"),
        // Nobody reads the body of these.
        post("/v1/nothing", "Content-Length: 2000"),
        post("/v1/me", "Content-Length: 2000").replace("POST", "GET"),
    ];
    let cut = join_all(slow.iter().map(|head| trickles(&town, head.clone()))).await;
    for (head, (answer, took)) in slow.iter().zip(&cut) {
        assert!(*took < Duration::from_secs(15), "{took:?} for {head}: {answer}");
    }
    for (answer, took) in &cut[..4] {
        let last = answer.replacen("HTTP/1.1 100 Continue\r\n\r\n", "", 1);
        assert!(last.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(*took > Duration::from_secs(9), "{took:?}");
    }
}
