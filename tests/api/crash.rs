//! The real program: killed in the middle of sign-ups it loses nothing that it acknowledged, and told to stop it lets
//! a request under way finish.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant as Stopwatch},
};

use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sidebyside::clock::Clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    harness::{Person, Run, Town},
    support::{database_test::disk_database_test, databases::Kind, rounds::rounds},
};

/// The program as it runs in earnest; killed when it is dropped.
struct Program {
    child: Child,
    base: String,
    address: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with the settings of a town.
pub fn command(town: &Town) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidebyside"));
    command
        .env_clear()
        .env("DATABASE_URL", town.database().url())
        .env("DATA_DIR", town.database().folder())
        .env("SMTP_URL", town.inbox().url())
        .env("MAIL_FROM", "hello@town.example")
        .env("BASE_URL", "http://town.example")
        .env("SECRET_KEY", "a master secret of the suite that is long enough")
        .env("RATE_LIMITS", "off")
        .current_dir(town.database().folder())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

async fn start(town: &Town) -> Program {
    // A port that was free a moment ago; whoever takes it in between makes the start fail, and another is tried.
    for _ in 0..5 {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").to_string();
        let child = command(town).arg("serve").env("BIND", &address).spawn().expect("the program");
        let mut program = Program { child, base: format!("http://{address}"), address };
        if is_ready(town, &mut program).await {
            return program;
        }
    }
    panic!("the program does not start");
}

/// Longer than anything here takes, on a slow machine with others beside it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Asks until it is ready; false when it ended instead.
async fn is_ready(town: &Town, program: &mut Program) -> bool {
    let since = Stopwatch::now();
    while since.elapsed() < PATIENCE {
        if program.child.try_wait().expect("a process").is_some() {
            return false;
        }
        let answer = town.http().get(format!("{}/readyz", program.base)).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the program is not ready after {PATIENCE:?}");
}

/// The program's clock is the system's, so the town's has to be.
fn set_clock(town: &Town) {
    town.set_clock(&Clock::system().now().to_string());
}

async fn soon(town: &Town, fay: &Person) -> Run {
    let start = town.now().plus_days(3).to_string();
    town.run(fay, |run| {
        run["starts_at"] = json!(start);
        run["capacity"] = json!(8);
    })
    .await
}

#[apply(disk_database_test!)]
async fn nothing_acknowledged_is_lost_when_the_program_is_killed(town: Town) {
    town.leave_mail();
    set_clock(&town);
    let fay = town.facilitator("Fay").await;
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    let mut runs = Vec::new();
    let rounds = rounds(10, 50);
    for round in 1..=rounds {
        set_clock(&town);
        let (run, people) = (soon(&town, &fay).await, town.people("Pat", 40).await);
        let mut program = start(&town).await;
        let calls: Vec<_> = people
            .iter()
            .map(|person| {
                let url = format!("{}/v1/runs/{}/signups", program.base, run.id);
                let request = town.http().post(url).bearer_auth(person.token().expect("a token")).json(&json!({}));
                tokio::spawn(async move {
                    let answer = request.send().await.ok()?;
                    let status = answer.status().as_u16();
                    let body: Value = answer.json().await.ok()?;
                    assert_eq!(status, 201, "{body}");
                    Some((body["id"].as_str()?.to_owned(), body["status"].as_str()?.to_owned()))
                })
            })
            .collect();
        let [dice] = sidebyside::id::random_bytes::<1>();
        // If nothing was acknowledged before, the last is given time for it.
        let more = if round == rounds && acknowledged.is_empty() { 3000 } else { 0 };
        tokio::time::sleep(Duration::from_millis(u64::from(dice) + more)).await;
        program.child.kill().expect("a kill");
        program.child.wait().expect("an end");
        for call in calls {
            acknowledged.extend(call.await.expect("a call"));
        }
        check(&town, &run, &acknowledged);
        runs.push(run);
    }
    assert!(!acknowledged.is_empty(), "at least one answer came before a kill");
    // What was promised is delivered in the end: what a killed worker held is released by its lease.
    town.execute("UPDATE outbox SET lease_until = NULL").expect("an update");
    let program = start(&town).await;
    for run in &runs {
        check(&town, run, &acknowledged);
    }
    let since = Stopwatch::now();
    while town.rows("outbox WHERE status = 'queued'") > 0 && since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(town.rows("outbox WHERE status <> 'sent'"), 0);
    let mut ids: Vec<String> = town.inbox().all().into_iter().map(|letter| letter.message_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(i64::try_from(ids.len()).unwrap(), town.rows("outbox"), "every mail came, a duplicate under its own id");
    drop(program);
}

/// What was acknowledged is there, no run has more people than places, and each of them has one mail coming.
fn check(town: &Town, run: &Run, acknowledged: &[(String, String)]) {
    let (id, in_run) = match town.kind() {
        Kind::Sqlite => ("lower(hex(id))", format!("run_id = x'{}'", run.id.replace('-', ""))),
        Kind::Postgres => ("replace(id::text, '-', '')", format!("run_id = '{}'", run.id)),
    };
    let kept = town.texts(&format!("SELECT {id} || ' ' || status AS t FROM signups"));
    for (id, status) in acknowledged {
        let row = format!("{} {status}", id.replace('-', ""));
        assert!(kept.contains(&row), "{row} was acknowledged and is gone");
    }
    assert!(town.rows(&format!("signups WHERE {in_run} AND status = 'confirmed'")) <= 8);
    for (status, kind) in [("confirmed", "signup_confirmed"), ("waitlisted", "signup_waitlisted")] {
        let lonely = format!(
            "signups s WHERE {in_run} AND status = '{status}' AND \
             (SELECT count(*) FROM outbox o WHERE o.signup_id = s.id AND o.kind = '{kind}') <> 1"
        );
        assert_eq!(town.rows(&lonely), 0, "{status} without exactly one mail");
    }
    let over = format!("outbox o WHERE {in_run} AND NOT EXISTS (SELECT 1 FROM signups s WHERE s.id = o.signup_id)");
    assert_eq!(town.rows(&over), 0, "a mail about a sign-up that is not there");
}

#[apply(disk_database_test!)]
async fn told_to_stop_it_lets_a_request_under_way_finish(town: Town) {
    set_clock(&town);
    let fay = town.facilitator("Fay").await;
    let run = soon(&town, &fay).await;
    let ana = town.person("Ana").await;
    let mut program = start(&town).await;
    let body = json!({ "note": "I come by bus." }).to_string();
    let (first, second) = body.split_at(8);
    let head = format!(
        "POST /v1/runs/{}/signups HTTP/1.1\r\nHost: town\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        run.id,
        ana.token().expect("a token"),
        body.len(),
    );
    let mut stream = TcpStream::connect(&program.address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("the head");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("it has the request");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).await.expect("the first half");
    let kill = format!("kill -TERM {}", program.child.id());
    let told = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(told.success());
    let since = Stopwatch::now();
    while TcpStream::connect(&program.address).await.is_ok() {
        assert!(since.elapsed() < Duration::from_secs(30), "it still takes connections");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(program.child.try_wait().expect("a process").is_none(), "it waits for the request under way");
    stream.write_all(second.as_bytes()).await.expect("the second half");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    while program.child.try_wait().expect("a process").is_none() {
        assert!(since.elapsed() < PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(program.child.wait().expect("an end").success());
    assert_eq!(town.rows("signups WHERE status = 'confirmed'"), 1);
    town.leave_mail();
}

#[apply(disk_database_test!)]
async fn a_second_server_on_one_sqlite_file_is_refused(town: Town) {
    set_clock(&town);
    let _first = start(&town).await;
    let second = || {
        let mut command = command(&town);
        command.arg("serve").env("BIND", "127.0.0.1:0").stderr(Stdio::piped());
        command
    };
    match town.kind() {
        Kind::Sqlite => {
            let refused = second().output().expect("the program");
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && said.contains("another `sidebyside serve`"), "{said}");
        }
        Kind::Postgres => drop(start(&town).await),
    }
}

#[apply(disk_database_test!)]
async fn with_wrong_settings_it_names_all_of_them_and_does_not_start(town: Town) {
    let mut wrong = command(&town);
    let wrong =
        wrong.arg("serve").env("BIND", "here").env("RATE_LIMITS", "perhaps").env("SECRET_KEY", "short-and-secret");
    let ended = wrong.stderr(Stdio::piped()).output().expect("the program");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success());
    for name in ["BIND", "RATE_LIMITS", "SECRET_KEY"] {
        assert!(said.contains(name), "{name} in {said}");
    }
    assert!(!said.contains("short-and-secret"), "{said}");
}
