//! Sign-ups per second over HTTP, beside the same service function without HTTP, and a claim made by hand as a bound.
//!
//! 32 clients, 20 runs of 500 places, each place asked for by somebody else, in a mixed order; on SQLite, and on PostgreSQL
//! where TEST_DATABASE_URL names a server. The three take turns, run by run, so that whatever else the machine does
//! meanwhile bears on all of them. `cargo bench --bench signups`; TMPDIR says on which disk SQLite writes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on stops")]

#[path = "../tests/support/databases.rs"]
#[allow(dead_code, reason = "the suites use the rest")]
mod databases;
#[path = "../tests/support/people.rs"]
mod people;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant as Stopwatch},
};

use databases::{Database, Kind};
use diesel::RunQueryDsl;
use sidebyside::{
    app::App,
    auth::tokens::{self, Claims, Scope},
    clock::Clock,
    config,
    domain::run::RunDraft,
    error::Error,
    http::server,
    id::Id,
    service::{applications, runs, signups},
    store::{accounts, sessions},
};

const CLIENTS: usize = 32;
const RUNS: usize = 20;
const PLACES: usize = 500;
/// Runs that one of the three fills before the next has its turn.
const RUNS_IN_A_TURN: usize = 4;

fn main() {
    tokens::install_crypto_provider();
    println!("{CLIENTS} clients, {RUNS} runs of {PLACES} places; sign-ups per second");
    measure(Kind::Sqlite);
    if databases::postgres_url().is_some() {
        measure(Kind::Postgres);
    } else {
        println!("postgres: DID NOT RUN (set TEST_DATABASE_URL to a postgres:// URL)");
    }
    databases::clean_up();
}

/// Somebody who signs up.
struct Person {
    id: Id,
    token: String,
}

struct Stage {
    app: Arc<App>,
    address: SocketAddr,
    people: Vec<Person>,
}

fn measure(kind: Kind) {
    let database = Database::migrated(kind);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let app = app(&database);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // The server has threads of its own; the worker stands still, so that only sign-ups are measured.
    let serving = app.clone();
    let (tell, handle) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server =
                server::start(serving, listener, std::thread::available_parallelism().expect("a number of cores"))
                    .expect("a server");
            tell.send(server.handle()).expect("a listener");
            server.await.expect("the server");
        });
    });
    let handle = handle.recv().expect("a handle");
    let stage = Stage { people: people(&app), app, address };
    let (mut by_http, mut by_service, mut by_hand) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    prepare_claims(&stage);
    for turn in 0..RUNS / RUNS_IN_A_TURN {
        let (mine, theirs) = (post_runs(&stage, 2 * turn), post_runs(&stage, 2 * turn + 1));
        by_service += service_turn(&stage, &mine);
        by_http += http_turn(&stage, &theirs);
        by_hand += hand_turn(&stage, turn);
    }
    let rate = |took: Duration| (RUNS * PLACES) as f64 / took.as_secs_f64();
    let (http, service, hand) = (rate(by_http), rate(by_service), rate(by_hand));
    println!(
        "{}: over HTTP {http:.0}, the service alone {service:.0} (HTTP is {:.0} % of it), a claim by hand {hand:.0}",
        kind.word(),
        100.0 * http / service,
    );
    runtime.block_on(handle.stop(false));
    server.join().expect("the server's thread");
    database.remove();
}

fn app(database: &Database) -> Arc<App> {
    let values: BTreeMap<&'static str, String> = [
        ("DATABASE_URL", database.url()),
        ("DATA_DIR", database.folder().display().to_string()),
        ("BASE_URL", "http://bench.example".to_owned()),
        ("SECRET_KEY", "a master secret of the bench that is long enough".to_owned()),
        ("RATE_LIMITS", "off".to_owned()),
    ]
    .into();
    let policy = "[policy]\nfacilitator_ratio = 1000\naccess_token_minutes = 60\n";
    let config = config::from_values(&values, Some(policy)).expect("settings");
    Arc::new(App::build(config, Clock::system()).expect("an app"))
}

/// As many people as a run has places, each with a session, and a leader whose id comes first.
fn people(app: &App) -> Vec<Person> {
    let now = app.clock.now();
    let made = app.db.write_here(|tx| {
        let mut made = Vec::new();
        for number in 0..=PLACES {
            let account = people::account("Somebody", &format!("person-{number}@bench.example"), now);
            accounts::insert(tx, &account)?;
            let session = sessions::Session {
                id: Id::at(now),
                account_id: account.id,
                created_at: now,
                last_used_at: now,
                expires_at: now.plus_days(1),
                ended_at: None,
            };
            sessions::insert(tx, &session)?;
            let token = tokens::issue(&app.keyring, &Claims::new(account.id, session.id, Scope::Full, now, 60))?;
            made.push(Person { id: account.id, token });
        }
        applications::approve_imported(tx, made[0].id, now)?;
        Ok(made)
    });
    made.expect("the people")
}

/// The runs of one turn, none at the time of another.
fn post_runs(stage: &Stage, turn: usize) -> Vec<Id> {
    let now = stage.app.clock.now();
    let run = |number: usize| -> RunDraft {
        let hours = i64::try_from(96 + 2 * (turn * RUNS_IN_A_TURN + number)).expect("a number");
        serde_json::from_value(serde_json::json!({
            "title": format!("Run {number}"),
            "activity": "run",
            "pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 450 },
            "duration_min": 60,
            "starts_at": now.plus_hours(hours),
            "meeting_point": { "lat": 51.41, "lng": -0.33, "name": "The gate" },
            "capacity": PLACES,
        }))
        .expect("a draft")
    };
    let leader = stage.people[0].id;
    let post = |draft: RunDraft| stage.app.db.write_here(|tx| runs::post(tx, leader, &draft, None, now));
    (0..RUNS_IN_A_TURN).map(|number| post(run(number)).expect("a run").id).collect()
}

/// Who asks for a place in which run: everybody in each, mixed the same way every time.
fn mixed(runs: usize) -> Vec<(usize, usize)> {
    let mut jobs: Vec<(usize, usize)> = (0..runs).flat_map(|run| (1..=PLACES).map(move |who| (run, who))).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for at in (1..jobs.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).expect("a small number") % (at + 1);
        jobs.swap(at, other);
    }
    jobs
}

/// All jobs, shared among the clients; how long it took from when all were ready.
fn by_all<C>(
    jobs: &[(usize, usize)],
    client: impl Fn() -> C + Sync,
    doing: impl Fn(&mut C, usize, usize) + Sync,
) -> Duration {
    let (next, gate) = (AtomicUsize::new(0), Barrier::new(CLIENTS + 1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = client();
                    gate.wait();
                    while let Some((run, who)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        doing(&mut client, *run, *who);
                    }
                })
            })
            .collect();
        gate.wait();
        let begun = Stopwatch::now();
        for thread in threads {
            thread.join().expect("a client");
        }
        begun.elapsed()
    })
}

fn service_turn(stage: &Stage, runs: &[Id]) -> Duration {
    let (db, policy) = (&stage.app.db, &stage.app.config.policy);
    let input = signups::NewSignup::default();
    by_all(
        &mixed(runs.len()),
        || (),
        |(), run, who| {
            let now = stage.app.clock.now();
            let done = db.write_here(|tx| signups::sign_up(tx, stage.people[who].id, runs[run], &input, policy, now));
            assert!(done.expect("a sign-up").1, "it is new");
        },
    )
}

fn http_turn(stage: &Stage, runs: &[Id]) -> Duration {
    by_all(
        &mixed(runs.len()),
        || Http::to(stage.address),
        |http, run, who| {
            let status = http.post(&format!("/v1/runs/{}/signups", runs[run]), &stage.people[who].token);
            assert_eq!(status, 201);
        },
    )
}

/// A connection that is kept, and as little of HTTP as it takes.
struct Http {
    stream: BufReader<TcpStream>,
}

impl Http {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream: BufReader::new(stream) }
    }

    fn post(&mut self, path: &str, token: &str) -> u16 {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bench.example\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("a request");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a line");
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest.split(' ').next().and_then(|word| word.parse().ok()).expect("a status");
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        status
    }
}

/// The hand-made claim: its own two tables, on the same database.
fn prepare_claims(stage: &Stage) {
    for command in [
        "CREATE TABLE bench_runs (id INTEGER PRIMARY KEY, taken INTEGER NOT NULL, places INTEGER NOT NULL)",
        "CREATE TABLE bench_claims (run_id INTEGER NOT NULL, person INTEGER NOT NULL, PRIMARY KEY (run_id, person))",
    ] {
        let made = stage.app.db.write_here(|tx| diesel::sql_query(command).execute(&mut **tx).map_err(Error::from));
        made.expect("a table");
    }
}

/// One conditional UPDATE and one INSERT for each claim, and nothing else.
fn hand_turn(stage: &Stage, turn: usize) -> Duration {
    let first = turn * RUNS_IN_A_TURN;
    for run in first..first + RUNS_IN_A_TURN {
        let insert = format!("INSERT INTO bench_runs (id, taken, places) VALUES ({run}, 0, {PLACES})");
        let made = stage.app.db.write_here(|tx| diesel::sql_query(&insert).execute(&mut **tx).map_err(Error::from));
        made.expect("a run");
    }
    by_all(
        &mixed(RUNS_IN_A_TURN),
        || (),
        |(), run, who| {
            let run = first + run;
            let claim = format!("UPDATE bench_runs SET taken = taken + 1 WHERE id = {run} AND taken < places");
            let insert = format!("INSERT INTO bench_claims (run_id, person) VALUES ({run}, {who})");
            let done = stage.app.db.write_here(|tx| {
                let claimed = diesel::sql_query(&claim).execute(&mut **tx)?;
                diesel::sql_query(&insert).execute(&mut **tx)?;
                Ok(claimed)
            });
            assert_eq!(done.expect("a claim"), 1);
        },
    )
}
