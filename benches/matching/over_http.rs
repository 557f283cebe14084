//! Over HTTP, with wrk: matches with token, the caller's state and profile and 20 cards, beside a bare static answer of the
//! same size and the same server's authenticated one-row GET; then with 100 edits a second by another process's hand.

use std::{
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as Stopwatch},
};

use actix_web::{HttpResponse, HttpServer, web};
use sidebyside::{
    app::App,
    auth::{Claims, Scope, tokens},
    clock::{Clock, Instant},
    config,
    domain::{
        profile::RunningProfile,
        run::{ListingStatus, RunDraft},
    },
    http::server,
    id::Id,
    service::{applications, profiles, runs as run_service},
    store::{
        Db, accounts,
        facilitators::{self, Listing},
        runs::{self, Run, RunDetails},
        sessions::{self, Session},
    },
};

use crate::{
    Outcome,
    databases::Database,
    people::account,
    places::{self, Dice, Place},
};

const LEADERS: usize = 2_000;
const PEOPLE: usize = 500;
const EDITS_A_SECOND: u32 = 100;
/// A million in eight weeks.
const POSTED_EVERY_S: i64 = 5;

struct Town {
    app: Arc<App>,
    people: Vec<(Id, Id)>,
    runs: Vec<Id>,
}

/// Fills the database, measures and prints.
pub fn measure(database: &Database, places: &[Place], runs: usize, seconds: u64) -> Outcome<()> {
    println!("-- {}", database.kind.word());
    let town = fill(database, places, runs)?;
    let folder = database.folder().to_owned();
    let runtime = actix_web::rt::System::new();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let base = format!("http://{}", listener.local_addr()?);
        let served = server::start(town.app.clone(), listener, std::thread::available_parallelism()?)?;
        let handle = served.handle();
        actix_web::rt::spawn(served);
        let measured = measure_served(town, base, folder, seconds).await;
        handle.stop(false).await;
        measured
    })
}

async fn measure_served(town: Town, base: String, folder: std::path::PathBuf, seconds: u64) -> Outcome<()> {
    let client = reqwest::Client::new();
    let token = token(&town, 0)?;
    let matches = format!("{base}/v1/matches");
    let begun = Stopwatch::now();
    town.app.follow_runs()?;
    let early = client.get(&matches).bearer_auth(&token).send().await?;
    let retry = early.headers().contains_key("retry-after");
    println!(
        "while loading: {} (Retry-After: {retry}), /readyz {}",
        early.status(),
        client.get(format!("{base}/readyz")).send().await?.status()
    );
    town.app.runs.loaded().await;
    println!("loaded {} runs in {:.2} s", town.app.runs.len(), begun.elapsed().as_secs_f64());

    let answer = client.get(&matches).bearer_auth(&token).send().await?;
    if !answer.status().is_success() {
        return Err(format!("matches answered {}: {}", answer.status(), answer.text().await?).into());
    }
    let body = answer.text().await?;
    println!("an answer has {} bytes and {} cards", body.len(), body.matches("\"fit\":").count());
    let fixed = static_answer(body)?;

    let tokens: Vec<String> = (0..PEOPLE).map(|at| self::token(&town, at)).collect::<Outcome<_>>()?;
    let (people, other_windows) = (folder.join("people.lua"), folder.join("anew.lua"));
    std::fs::write(&people, lua(&tokens, "nil"))?;
    // Every request another window: no answer that is kept serves.
    let from = town.app.clock.now().to_string();
    let second = from.split_once('.').map_or(from.trim_end_matches('Z'), |(second, _)| second);
    std::fs::write(&other_windows, lua(&tokens, &format!("string.format('/v1/matches?from={second}.%06dZ', moment)")))?;
    let wrk = async |url: String, script: &Path| -> Outcome<(f64, f64)> {
        let script = script.to_owned();
        Ok(actix_web::rt::task::spawn_blocking(move || run_wrk(&url, &script, seconds)).await??)
    };
    // In turn, twice: the machine is not the same from one moment to the next.
    let mut ratios = Vec::new();
    for _ in 0..2 {
        let still = wrk(fixed.clone(), &people).await?;
        let row = wrk(format!("{base}/v1/me/email-preferences"), &people).await?;
        let anew = wrk(matches.clone(), &other_windows).await?;
        let found = wrk(matches.clone(), &people).await?;
        println!("a second: static {:.0}, one row {:.0}", still.0, row.0);
        for (name, (many, p99)) in [("found anew each time", anew), ("asked again", found)] {
            println!(
                "  matches {name}: {many:.0} (p99 {p99:.1} ms), {:.2} of static, {:.2} of one row",
                many / still.0,
                many / row.0
            );
        }
        ratios.push(found.1);
    }
    let quiet = ratios[1];
    let stop = Arc::new(AtomicBool::new(false));
    let editing = {
        let (stop, app, runs) = (stop.clone(), town.app.clone(), town.runs.clone());
        std::thread::spawn(move || edit(&app, &runs, &stop).map_err(|fault| fault.to_string()))
    };
    let busy = wrk(matches.clone(), &people).await?;
    stop.store(true, Ordering::Release);
    let (edits, staleness) = editing.join().map_err(|_| "the edits panicked")??;
    println!(
        "with edits: matches {:.0} a second, p99 {:.1} ms, {:.2} times the quiet one; {edits:.0} edits a second, staleness at most {staleness:?}",
        busy.0,
        busy.1,
        busy.1 / quiet
    );
    Ok(())
}

fn token(town: &Town, at: usize) -> Outcome<String> {
    let (account, session) = town.people[at];
    let claims = Claims::new(account, session, Scope::Full, town.app.clock.now(), 600);
    Ok(tokens::issue(&town.app.keyring, &claims)?)
}

/// A bare server that gives this answer.
fn static_answer(body: String) -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let body = web::Bytes::from(body);
    let server = HttpServer::new(move || {
        let body = body.clone();
        actix_web::App::new().default_service(web::to(move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        }))
    });
    actix_web::rt::spawn(server.disable_signals().listen(listener)?.run());
    Ok(format!("http://{address}/"))
}

/// A script for wrk: each request another person's, to the path that this expression gives; `moment` is another each time.
fn lua(tokens: &[String], path: &str) -> String {
    let list: Vec<String> = tokens.iter().map(|token| format!("{token:?}")).collect();
    format!(
        "local tokens = {{{}}}\nlocal at, moment = math.random(#tokens), math.random(900000)\nrequest = function()\n  \
         at, moment = at % #tokens + 1, (moment + 1) % 1000000\n  \
         return wrk.format(nil, {path}, {{[\"Authorization\"] = \"Bearer \" .. tokens[at]}})\nend\n",
        list.join(",")
    )
}

/// Requests a second, and the 99th percentile in milliseconds.
fn run_wrk(url: &str, script: &Path, seconds: u64) -> Result<(f64, f64), String> {
    let seconds = format!("{seconds}s");
    let output = Command::new("wrk")
        .args(["-t2", "-c32", "--latency", "-d", &seconds, "-s"])
        .arg(script)
        .arg(url)
        .output()
        .map_err(|fault| format!("wrk: {fault}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") {
        return Err(format!("{url}: {text}"));
    }
    let after =
        |word: &str| text.lines().find_map(|line| line.trim().strip_prefix(word).map(str::trim).map(str::to_owned));
    let rate = after("Requests/sec:").and_then(|rate| rate.parse().ok()).ok_or(format!("{url}: {text}"))?;
    let p99 = after("99%").ok_or(format!("{url}: {text}"))?;
    let number: f64 = p99.trim_end_matches(char::is_alphabetic).parse().map_err(|_| p99.clone())?;
    let p99 = if p99.ends_with("us") {
        number / 1000.0
    } else if p99.ends_with("ms") {
        number
    } else {
        number * 1000.0
    };
    Ok((rate, p99))
}

/// Edits runs as another process would, and watches when the index shows it. Edits a second, and the longest wait.
fn edit(app: &App, ids: &[Id], stop: &AtomicBool) -> Outcome<(f64, Duration)> {
    let other = Db::open(app.db.target().clone());
    let mut dice = Dice::new(9);
    let (begun, mut edits, mut longest) = (Stopwatch::now(), 0_u32, Duration::ZERO);
    let mut watched: Option<(Id, i32, Stopwatch)> = None;
    while !stop.load(Ordering::Acquire) {
        let (id, pace) = (ids[dice.below(ids.len())], 300 + dice.below(200) as i32);
        other.write_here(|tx| {
            let mut locked = runs::lock(tx, id)?;
            (locked.run.fastest_s_per_km, locked.run.slowest_s_per_km) = (pace, pace + 30);
            runs::update(tx, &locked)
        })?;
        edits += 1;
        if let Some((id, pace, since)) = watched {
            if app.runs.find(id).is_none_or(|side| side.pace.fastest_s_per_km == pace) {
                watched = None;
            }
            longest = longest.max(since.elapsed());
        } else {
            watched = Some((id, pace, Stopwatch::now()));
        }
        let due = Duration::from_secs(1) / EDITS_A_SECOND * edits;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok((f64::from(edits) / begun.elapsed().as_secs_f64(), longest))
}

fn fill(database: &Database, places: &[Place], many: usize) -> Outcome<Town> {
    let now = places::now();
    let values = [
        ("DATABASE_URL", database.url()),
        ("DATA_DIR", database.folder().display().to_string()),
        ("SECRET_KEY", "a master secret of the bench that is long enough".to_owned()),
        ("RATE_LIMITS", "off".to_owned()),
    ];
    let config = config::from_values(&values.into(), None).map_err(|faults| format!("{faults:?}"))?;
    let app = Arc::new(App::build(config, Clock::standing_at(now))?);
    let begun = Stopwatch::now();
    let (dense, sparse) = places::dense_and_sparse(places);
    let towns = [dense, sparse].concat();
    let (leaders, people, template) = app.db.write_here(|tx| {
        let mut leaders = Vec::new();
        for number in 0..LEADERS {
            let leader = account("Leader", &format!("leader{number}@bench.example"), now);
            accounts::insert(tx, &leader)?;
            applications::approve_imported(tx, leader.id, now)?;
            leaders.push(leader.id);
        }
        let mut dice = Dice::new(5);
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let person = account("Person", &format!("person{number}@bench.example"), now);
            accounts::insert(tx, &person)?;
            let session = Session {
                id: Id::at(now),
                account_id: person.id,
                created_at: now,
                last_used_at: now,
                expires_at: now.plus_days(30),
                ended_at: None,
            };
            sessions::insert(tx, &session)?;
            let viewer = places::person(towns[number % towns.len()], &mut dice).person;
            let profile: RunningProfile = serde_json::from_value(serde_json::json!({
                "activities": viewer.activities, "comfortable_pace": viewer.comfortable_pace, "walking_pace": null,
                "home": viewer.home, "travel_radius_km": viewer.travel_radius_km,
            }))?;
            profiles::put(tx, person.id, &profile, 8, now)?;
            people.push((person.id, session.id));
        }
        let draft: RunDraft = serde_json::from_value(serde_json::json!({
            "title": "An easy evening", "description": "We start together and come back together.", "activity": "run",
            "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 }, "distance_km": 5.0, "duration_min": 60,
            "starts_at": now.plus_days(1), "capacity": 12, "languages": ["en"], "join_policy": "open",
            "meeting_point": { "lat": 51.410992, "lng": -0.335791, "name": "The fountain in the park" },
        }))?;
        let template = run_service::post(tx, leaders[0], &draft, None, now)?;
        Ok((leaders, people, template))
    })?;
    let (mut dice, mut ids) = (Dice::new(1), Vec::with_capacity(many));
    for first in (0..many).step_by(10_000) {
        // Posted one after the other in the weeks before.
        let posted_at = |nth: usize| now.plus_seconds(-POSTED_EVERY_S * (many - nth) as i64);
        let rows: Vec<Run> = (first..many.min(first + 10_000))
            .map(|nth| made(&template, &places::run(places, &mut dice), posted_at(nth)))
            .collect();
        let listed: Vec<Listing> = rows
            .iter()
            .map(|run| {
                let leader = leaders[dice.below(leaders.len())];
                Listing::leader(run.id, leader, ListingStatus::Accepted, leader, now)
            })
            .collect();
        app.db.write_here(|tx| {
            runs::insert_all(tx, &rows)?;
            facilitators::insert_listings(tx, &listed)
        })?;
        ids.extend(rows.iter().map(|run| run.id));
    }
    database.tidy();
    println!("filled in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(Town { app, people, runs: ids })
}

fn made(template: &Run, made: &places::Made, posted_at: Instant) -> Run {
    Run {
        id: Id::at(posted_at),
        title: format!("An easy evening, number {}", made.title),
        activity: made.activity,
        fastest_s_per_km: made.pace.fastest_s_per_km,
        slowest_s_per_km: made.pace.slowest_s_per_km,
        no_drop: made.no_drop,
        starts_at: made.starts_at,
        ends_at: made.starts_at.plus_hours(1),
        time_zone: made.zone.clone(),
        shown_lat: made.place.lat,
        shown_lng: made.place.lng,
        point_is_public: !made.is_hidden,
        details: RunDetails { lat: made.place.lat, lng: made.place.lng, ..template.details.clone() },
        ..template.clone()
    }
}
