//! What leaves the house, and which failures are final: against a folder and against scripted SMTP servers.

use super::{Outgoing, SendFailure, Transport};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

fn mail() -> Outgoing {
    Outgoing {
        message_id: "0192f0c1-aaaa-7000-8000-000000000001.reminder@example.org".to_owned(),
        kind: "reminder",
        date: "2026-11-27T09:10:00Z".parse().unwrap(),
        promised: "2026-11-27T09:00:00Z".parse().unwrap(),
        from: "Side by Side <hello@example.org>".to_owned(),
        to_address: "ana@example.net".to_owned(),
        to_name: "Ana\r\nBcc: victim@example.org".to_owned(),
        subject: "Your place on Saturday 28 November – é\r\nBcc: victim@example.org".to_owned(),
        text: format!("Grüße,\n.\n{}\nhttps://example.org/e/x/{}\n", "long ".repeat(300), "t".repeat(90)),
        html: "<p>Grüße</p>".to_owned(),
        auto_submitted: true,
        list_unsubscribe: Some(format!("https://example.org/e/unsubscribe/{}", "t".repeat(90))),
        reply_to: Some("hello@example.org".to_owned()),
    }
}

type Script = &'static [(&'static str, &'static str)];

/// A server that answers each command by its first word from `script`, else well; it sends on what it was given and
/// counts its connections.
fn server(script: Script) -> (String, mpsc::UnboundedReceiver<String>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (seen, mails) = mpsc::unbounded_channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            let seen = seen.clone();
            std::thread::spawn(move || talk(&stream, script, &seen));
        }
    });
    (url, mails, connections)
}

fn talk(stream: &TcpStream, script: Script, seen: &mpsc::UnboundedSender<String>) -> std::io::Result<()> {
    let (mut lines, mut writer) = (BufReader::new(stream).lines(), stream);
    let answer = |command: &str, well: &'static str| {
        script.iter().find(|(word, _)| command.starts_with(word)).map_or(well, |(_, said)| said)
    };
    write!(writer, "{}\r\n", answer("HELLO", "220 ready"))?;
    while let Some(line) = lines.next().transpose()? {
        let said = match line.get(..4).unwrap_or("") {
            "DATA" => answer("DATA", "354 go on"),
            "EHLO" => answer("EHLO", "250-here\r\n250 AUTH PLAIN"),
            command => answer(command, "250 fine"),
        };
        if said == "drop" {
            return Ok(());
        }
        write!(writer, "{said}\r\n")?;
        if said.starts_with("354") {
            let mut whole = String::new();
            while let Some(line) = lines.next().transpose()?.filter(|line| line != ".") {
                whole.push_str(line.strip_prefix('.').unwrap_or(&line));
                whole.push_str("\r\n");
            }
            let _ = seen.send(whole);
            write!(writer, "{}\r\n", answer("END", "250 taken"))?;
        }
    }
    Ok(())
}

fn smtp(url: &str) -> Transport {
    Transport::from_url(Some(url), None, Path::new("/unused")).unwrap()
}

async fn failure(script: Script) -> SendFailure {
    let (url, _mails, _) = server(script);
    smtp(&url).send(&mail()).await.unwrap_err()
}

fn headers(raw: &[u8]) -> Vec<(String, String)> {
    let parsed = mailparse::parse_mail(raw).unwrap();
    parsed.headers.iter().map(|header| (header.get_key(), header.get_value())).collect()
}

#[tokio::test]
async fn a_file_is_a_whole_mail_and_a_duplicate_is_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let transport = Transport::from_url(None, None, &dir.path().join("mail")).unwrap();
    transport.send(&mail()).await.unwrap();
    let files = || std::fs::read_dir(dir.path().join("mail")).unwrap().map(|f| f.unwrap().path()).collect::<Vec<_>>();
    let path = files().pop().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(name, "20261127T090000Z-reminder-0192f0c1aaaa70008000000000000001reminder.eml");
    let raw = std::fs::read(&path).unwrap();
    transport.send(&mail()).await.unwrap();
    assert_eq!(files().len(), 1);
    assert_eq!(raw, std::fs::read(&path).unwrap());

    let all = headers(&raw);
    let one = |key: &str| all.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).unwrap_or("missing");
    assert_eq!(one("Message-ID"), "<0192f0c1-aaaa-7000-8000-000000000001.reminder@example.org>");
    assert_eq!(one("Auto-Submitted"), "auto-generated");
    assert_eq!(one("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert_eq!(one("List-Unsubscribe"), format!("<https://example.org/e/unsubscribe/{}>", "t".repeat(90)));
    assert_eq!(one("Subject"), "Your place on Saturday 28 November – é Bcc: victim@example.org");
    assert_eq!(one("Date"), "Fri, 27 Nov 2026 09:10:00 +0000");
    assert!(all.iter().all(|(key, _)| key != "Bcc" && key != "Received"), "{all:?}");

    let parsed = mailparse::parse_mail(&raw).unwrap();
    assert_eq!(parsed.ctype.mimetype, "multipart/alternative");
    let parts: Vec<_> = parsed.subparts.iter().map(|p| (p.ctype.mimetype.as_str(), p.get_body().unwrap())).collect();
    assert_eq!(parts[0].0, "text/plain");
    assert!(parts[0].1.replace("\r\n", "\n").starts_with(&mail().text), "{}", parts[0].1);
    assert_eq!((parts[1].0, parts[1].1.trim_end()), ("text/html", "<p>Grüße</p>"));
    assert!(raw.is_ascii() && raw.split(|b| *b == b'\n').all(|line| line.len() < 200));
}

#[tokio::test]
async fn an_smtp_server_gets_the_same_bytes_over_one_connection() {
    let (url, mut mails, connections) = server(&[]);
    let transport = smtp(&url);
    for _ in 0..3 {
        transport.send(&mail()).await.unwrap();
        let got = mails.recv().await.unwrap();
        assert_eq!(got.trim_end(), String::from_utf8(mail().message().unwrap().formatted()).unwrap().trim_end());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_a_refused_reader_is_final() {
    let gone = failure(&[("RCPT", "550 5.1.1 no such person ana@example.net")]).await;
    assert!(matches!(gone, SendFailure::Permanent(_)), "{gone}");
    assert!(!gone.to_string().contains("ana"), "no addresses: {gone}");
    for script in [
        &[("HELLO", "554 not you")][..],
        &[("EHLO", "504 5.5.2 need a full host name")],
        &[("EHLO", "502 what")],
        &[("MAIL", "550 5.1.8 sender not allowed")],
        &[("RCPT", "554 5.7.1 relay access denied for ana@example.net")],
        &[("RCPT", "553 sender rejected")],
        &[("RCPT", "530 log in first")],
        &[("DATA", "554 no")],
        &[("END", "552 5.2.2 over quota")],
        &[("END", "550-5.7.1 two lines\r\n550 5.7.1 of policy")],
    ] {
        let failure = failure(script).await;
        assert!(matches!(failure, SendFailure::RefusedUs { .. }), "{script:?}: {failure}");
        assert!(!failure.to_string().contains("ana"), "no addresses: {failure}");
    }
    for script in [
        &[("HELLO", "421 too busy")][..],
        &[("MAIL", "421 closing")],
        &[("RCPT", "421 closing")],
        &[("RCPT", "450 greylisted")],
        &[("RCPT", "drop")],
        &[("MAIL", "drop")],
        &[("DATA", "451 later")],
        &[("END", "452 full")],
        &[("END", "nonsense")],
    ] {
        let failure = failure(script).await;
        assert!(matches!(failure, SendFailure::Temporary(_)), "{script:?}: {failure}");
    }
}

#[tokio::test]
async fn a_wrong_password_or_a_missing_server_is_not_the_readers_fault() {
    let (url, _mails, _) = server(&[("AUTH", "535 wrong password")]);
    let url = url.replace("smtp://", "smtp://user:p%40ss@");
    assert!(matches!(smtp(&url).send(&mail()).await, Err(SendFailure::RefusedUs { .. })));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("smtp://{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(smtp(&refused).send(&mail()).await, Err(SendFailure::Temporary(_))));

    let (url, _mails, _) = server(&[]);
    let failure = smtp(&format!("{url}?tls=required")).send(&mail()).await.unwrap_err();
    assert!(matches!(failure, SendFailure::Temporary(_)), "no TLS to be had: {failure}");
}

#[tokio::test]
async fn a_stale_connection_is_replaced() {
    let (url, mut mails, connections) = server(&[("NOOP", "drop")]);
    let transport = smtp(&url);
    for _ in 0..2 {
        transport.send(&mail()).await.unwrap();
        mails.recv().await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// A server that behaves like this on the second mail of each connection, and well on the first.
async fn sends_three_over_fresh_connections(on_second: &'static str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || one_mail_each(&stream, on_second));
        }
    });
    let transport = smtp(&url);
    for number in 0..3 {
        let sent = transport.send(&mail()).await;
        assert!(sent.is_ok(), "mail {number} where the second is met with {on_second}: {sent:?}");
    }
}

fn one_mail_each(stream: &TcpStream, on_second: &str) -> std::io::Result<()> {
    let (mut lines, mut writer) = (BufReader::new(stream).lines(), stream);
    let mut taken = false;
    write!(writer, "220 ready\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let (step, answer) = on_second.split_once(' ').unwrap_or((on_second, ""));
        if taken && line.starts_with(step) {
            if !answer.is_empty() {
                write!(writer, "{answer}\r\n")?;
            }
            return Ok(());
        }
        match line.get(..4).unwrap_or("") {
            "DATA" => {
                write!(writer, "354 go on\r\n")?;
                while lines.next().transpose()?.is_some_and(|line| line != ".") {}
                taken = true;
                write!(writer, "250 taken\r\n")?;
                if on_second == "hang up" {
                    return Ok(());
                }
            }
            _ => write!(writer, "250 fine\r\n")?,
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_mail_per_connection_gets_a_new_connection_at_once() {
    for on_second in [
        "hang up",
        "NOOP 421 4.4.2 bye",
        "MAIL",
        "MAIL 421 4.7.0 one mail for each connection",
        "MAIL 452 4.5.3 too many mails",
        "MAIL 503 5.5.1 one mail only",
        "RCPT 421 4.7.0 one mail for each connection",
        "RCPT",
        "DATA 421 closing",
    ] {
        sends_three_over_fresh_connections(on_second).await;
    }
}

#[tokio::test]
async fn full_server_is_asked_again_when_a_connection_is_free() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (open, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, turned_away) = (open, refused.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if counter.fetch_add(1, Ordering::SeqCst) >= 2 {
                counter.fetch_sub(1, Ordering::SeqCst);
                turned_away.fetch_add(1, Ordering::SeqCst);
                let _ = write!(&stream, "421 4.7.0 too many connections\r\n");
                continue;
            }
            let (counter, (seen, _)) = (counter.clone(), mpsc::unbounded_channel());
            std::thread::spawn(move || {
                let _ = talk(&stream, &[], &seen);
                counter.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let transport = smtp(&url);
    let mail = mail();
    let sent = futures_util::future::join_all((0..8).map(|_| transport.send(&mail))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert!(refused.load(Ordering::SeqCst) > 0, "more than two were tried at once");
}

#[tokio::test]
async fn an_address_that_is_none_is_final_and_a_sender_that_is_none_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let transport = Transport::from_url(None, None, dir.path()).unwrap();
    let nobody = Outgoing { to_address: "not an address".to_owned(), ..mail() };
    assert!(matches!(transport.send(&nobody).await, Err(SendFailure::Permanent(_))));
    let sender = Outgoing { from: "not a mailbox".to_owned(), ..mail() };
    assert!(matches!(transport.send(&sender).await, Err(SendFailure::Temporary(_))));
}

#[test]
fn a_url_that_is_no_mail_server_is_refused_without_repeating_it() {
    let dir = Path::new("/unused");
    for good in
        ["smtp://localhost:1025", "smtps://u:p@[::1]", "smtp://u:p%26@h?tls=required", "smtp://h?tls=opportunistic"]
    {
        assert!(Transport::from_url(Some(good), None, dir).is_ok(), "{good}");
    }
    for bad in ["", "mail.example.org", "http://u:secret@h", "smtp://u:secret@h?tls=maybe", "smtp:///x"] {
        let error = Transport::from_url(Some(bad), None, dir).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let debug = format!("{:?}", Transport::from_url(Some("smtp://u:secret@h"), None, dir).unwrap());
    assert!(!debug.contains("secret"), "{debug}");
}
