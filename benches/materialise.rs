//! How long it takes to make the dates of many series, and whether it goes on after it was killed.
//!
//! `cargo bench --bench materialise -- DATABASE_URL prepare [SERIES]` fills an empty database; `… make` makes what is due
//! and says how long it took; `… make SECONDS` is cut off hard after so many seconds; `… count` checks what is there.

use std::{
    process::ExitCode,
    time::{Duration, Instant as Stopwatch},
};

use sidebyside::{
    clock::Instant,
    config::Policy,
    domain::{
        account::AccountStatus,
        series::{SeriesDraft, SeriesStatus},
    },
    id::Id,
    service::{applications, series::making},
    store::{
        Db,
        accounts::{self, Account},
        db::Target,
        migrations,
        series::{self, Series},
        sql_types::Json,
    },
};

/// The argument that `cargo bench` adds to every bench.
const CARGO_BENCH: &str = "--bench";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Facilitators among whom the series are spread.
const FACILITATORS: usize = 500;
/// Meeting points in several zones, so that not all clocks are the same.
const PLACES: [(f64, f64); 4] = [(51.410992, -0.335791), (52.5145, 13.3501), (40.7829, -73.9654), (-33.8568, 151.2153)];

fn now() -> Instant {
    "2026-11-23T10:00:00Z".parse().unwrap_or_else(|_| Instant::new(jiff::Timestamp::UNIX_EPOCH))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != CARGO_BENCH).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [url, command, rest @ ..] = words.as_slice() else { return Err("DATABASE_URL prepare|make|count".into()) };
    let db = Db::open(Target::parse(url)?);
    migrations::run(&db)?;
    match *command {
        "prepare" => prepare(&db, rest.first().map_or(Ok(20_000), |many| many.parse())?),
        "make" => make(&db, rest.first().map(|seconds| seconds.parse()).transpose()?),
        _ => count(&db),
    }
}

fn prepare(db: &Db, many: usize) -> Outcome<()> {
    let policy = Policy::default();
    let mut leaders = Vec::new();
    for number in 0..FACILITATORS {
        let account = account(number);
        leaders.push(account.id);
        db.write_here(|tx| {
            accounts::insert(tx, &account)?;
            applications::approve_imported(tx, account.id, now()).map(drop)
        })?;
    }
    let all: Vec<usize> = (0..many).collect();
    for some in all.chunks(500) {
        db.write_here(|tx| {
            for number in some {
                let leader = leaders[number % leaders.len()];
                series::insert(tx, &one(*number, leader)?, &[leader])?;
            }
            Ok(())
        })?;
    }
    println!("{many} series of {FACILITATORS} facilitators; {} weeks ahead", policy.series_weeks_ahead);
    Ok(())
}

fn account(number: usize) -> Account {
    Account {
        id: Id::random(),
        email: format!("leader{number}@bench.example"),
        password_hash: None,
        display_name: format!("Leader {number}"),
        status: AccountStatus::Active,
        terms_version: Some("1".to_owned()),
        terms_accepted_at: Some(now()),
        locale: "en".to_owned(),
        time_zone: None,
        external_id: None,
        reminders: true,
        created_at: now(),
        updated_at: now(),
        verified_at: Some(now()),
    }
}

fn one(number: usize, leader: Id) -> sidebyside::error::Result<Series> {
    let (lat, lng) = PLACES[number % PLACES.len()];
    let (day, hour) = (24 + number % 7, 7 + number % 12);
    let weekday = ["TU", "WE", "TH", "FR", "SA", "SU", "MO"][number % 7];
    let draft: SeriesDraft = serde_json::from_value(serde_json::json!({
        "run": {
            "title": format!("Series {number}"), "description": "Once around.", "activity": "run",
            "pace": { "fastest_s_per_km": 370, "slowest_s_per_km": 405 }, "duration_min": 60, "capacity": 12,
            "meeting_point": { "lat": lat, "lng": lng, "name": "The fountain" },
        },
        "first_local_start": format!("2026-11-{day}T{hour:02}:30:00"),
        "rrule": format!("FREQ=WEEKLY;BYDAY={weekday}"),
    }))?;
    let plan = draft.plan(now(), true)?;
    let first = plan.dates_after(now()).next();
    let (next_date, next_at) = first.map(|(date, at)| (date.to_string(), at)).unzip();
    Ok(Series {
        id: Id::at(now()),
        created_by: Some(leader),
        status: SeriesStatus::Active,
        draft: Json(draft.run.clone().settled(false)),
        first_local_start: plan.first.to_string(),
        time_zone: plan.time_zone.clone(),
        rrule: draft.rrule,
        ends_before: None,
        next_date,
        next_at,
        seats_due: false,
        version: 1,
        created_at: now(),
        updated_at: now(),
        ended_at: None,
    })
}

fn make(db: &Db, cut_off: Option<f64>) -> Outcome<()> {
    if let Some(seconds) = cut_off {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            // As hard as kill -9: nothing is finished, nothing is cleaned up.
            std::process::abort();
        });
    }
    let begun = Stopwatch::now();
    let mut series = 0;
    loop {
        let done = making::make_due(db, &Policy::default(), now())?;
        if done == 0 {
            break;
        }
        series += done;
    }
    println!("made the dates of {series} series in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn count(db: &Db) -> Outcome<()> {
    let (series, dates, twice) = db.read_here(series::census)?;
    println!("{series} series, {dates} dates, {twice} of them twice");
    Ok(())
}
