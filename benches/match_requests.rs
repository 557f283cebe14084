//! How quickly a run that is posted finds whom to alert among 100,000 standing wishes of one dense city, and what the
//! post itself pays. On SQLite, and on PostgreSQL where `TEST_DATABASE_URL` names a server.
//!
//! `cargo bench --bench match_requests [WISHES]`

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on stops")]

#[path = "../tests/support/databases.rs"]
#[allow(dead_code, reason = "the suites use the rest")]
mod databases;
#[path = "../tests/support/people.rs"]
mod people;

use std::time::{Duration, Instant as Stopwatch};

use databases::{Database, Kind};
use sidebyside::{
    clock::{Clock, Instant},
    config::Policy,
    domain::{
        match_request::Wish,
        pace::{Activity, PaceBand},
        place::{Cell, LatLng},
        run::RunDraft,
    },
    error::Result,
    id::Id,
    index::WishIndex,
    service::{alerts, applications, runs},
    store::{
        Db,
        accounts::{self, Account, Profile},
        alerts as queue,
        match_requests::{self, MatchRequest},
        sql_types::Json,
    },
};

/// Where the city is.
const CENTRE: LatLng = LatLng { lat: 51.5074, lng: -0.1278 };
/// Wishes that stand in it.
const WISHES: usize = 100_000;
/// Runs that are posted for a measure.
const POSTS: usize = 200;
/// The figure to hold, in milliseconds.
const LIMIT_MS: f64 = 50.0;

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Somewhere in the city, nearer to its middle more often.
    fn place(&mut self) -> LatLng {
        let (away, angle) = (15.0 * self.unit(), self.between(0.0, std::f64::consts::TAU));
        let (north, east) = (away * angle.sin() / 111.2, away * angle.cos() / 69.2);
        LatLng { lat: CENTRE.lat + north, lng: CENTRE.lng + east }
    }

    fn pace(&mut self) -> PaceBand {
        let fast = self.between(280.0, 480.0) as i32;
        PaceBand { fastest_s_per_km: fast, slowest_s_per_km: fast + self.between(20.0, 60.0) as i32 }
    }
}

fn main() {
    let wishes = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(WISHES);
    measure(Kind::Sqlite, wishes);
    if databases::postgres_url().is_some() {
        measure(Kind::Postgres, wishes);
    } else {
        println!("postgres: DID NOT RUN (set TEST_DATABASE_URL to a postgres:// URL)");
    }
    databases::clean_up();
}

fn measure(kind: Kind, wishes: usize) {
    let (database, name) = (Database::migrated(kind), kind.word());
    let (db, policy, now) = (Db::open(database.target.clone()), Policy::default(), Clock::system().now());
    let fay = people::account("Ana", "p0@bench.example", now);
    let made = db.write_here(|tx| {
        accounts::insert(tx, &fay)?;
        applications::approve_imported(tx, fay.id, now)
    });
    made.expect("a facilitator");
    let mut dice = Dice(7);
    let (_, alone) = post(&db, fay.id, &mut dice, now);
    clear(&db);
    for some in (0..wishes).collect::<Vec<_>>().chunks(500) {
        let people: Vec<_> = some.iter().map(|number| person(*number + 1, &mut dice, now)).collect();
        let kept = db.write_here(|tx| {
            for (account, profile, request) in &people {
                accounts::insert(tx, account)?;
                profile.iter().try_for_each(|profile| accounts::put_profile(tx, profile))?;
                match_requests::insert(tx, request)?;
            }
            Ok(())
        });
        kept.expect("wishes");
    }
    let index = WishIndex::new(policy.clone());
    let loading = Stopwatch::now();
    db.read_here(|conn| index.catch_up(conn)).expect("a load");
    println!("{name}: {} wishes read in {:.2} s", index.len(), loading.elapsed().as_secs_f64());
    let (posted, beside) = post(&db, fay.id, &mut dice, now);
    tell(name, "a post, without wishes", &alone);
    tell(name, "a post, with them", &beside);
    let (mut times, mut found) = (Vec::new(), Vec::new());
    for run in posted {
        let begun = Stopwatch::now();
        let people = db.read_here(|conn| -> Result<usize> {
            let Some(offer) = alerts::offer(conn, run, &policy, now)? else { return Ok(0) };
            index.catch_up(conn)?;
            Ok(index.who_fits(&offer, offer.room, now, |bytes| u64::from(bytes[0])).len())
        });
        times.push(begun.elapsed());
        found.push(people.expect("people"));
    }
    found.sort_unstable();
    println!("{name}: people found for a run: median {}, most {}", found[found.len() / 2], found[found.len() - 1]);
    let worst = tell(name, "whom to alert is found in", &times);
    let verdict = if worst < LIMIT_MS { "holds" } else { "DOES NOT HOLD" };
    println!("{name}: under {LIMIT_MS} ms: {verdict}");
    drop(db);
    database.remove();
}

/// Posts runs in the city; gives their ids and how long each took.
fn post(db: &Db, by: Id, dice: &mut Dice, now: Instant) -> (Vec<Id>, Vec<Duration>) {
    let draft = |dice: &mut Dice| -> RunDraft {
        let (place, pace) = (dice.place(), dice.pace());
        let body = serde_json::json!({
            "title": "A morning out", "description": "Once around.", "activity": "run", "pace": pace,
            "duration_min": 60, "starts_at": now.plus_days(3), "time_zone": "Europe/London", "capacity": 10,
            "meeting_point": { "lat": place.lat, "lng": place.lng, "name": "By the fountain" },
        });
        serde_json::from_value(body).expect("a draft")
    };
    (0..POSTS)
        .map(|_| {
            let draft = draft(dice);
            let begun = Stopwatch::now();
            let run = db.write_here(|tx| runs::post(tx, by, &draft, None, now)).expect("a run");
            (run.id, begun.elapsed())
        })
        .unzip()
}

fn clear(db: &Db) {
    let cleared = db.write_here(|tx| {
        for one in queue::waiting(tx, 10_000)? {
            queue::done(tx, one)?;
        }
        Ok(())
    });
    cleared.expect("an empty queue");
}

/// Prints the middle, the 99th of a hundred and the worst; gives the 99th in milliseconds.
fn tell(name: &str, what: &str, times: &[Duration]) -> f64 {
    let mut ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    ms.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
    println!("{name}: {what}: p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms", at(0.5), at(0.99), at(1.0));
    at(0.99)
}

/// Every second wish leaves all to a profile, the others say all themselves.
fn person(number: usize, dice: &mut Dice, now: Instant) -> (Account, Option<Profile>, MatchRequest) {
    let account = people::account("Ana", &format!("p{number}@bench.example"), now);
    let cell = Cell::containing(dice.place(), 8).expect("a cell");
    let (pace, radius) = (dice.pace(), dice.between(3.0, 15.0));
    let mut activities = vec![Activity::Run];
    if dice.unit() < 0.5 {
        activities.push(Activity::Walk);
    }
    if dice.unit() < 0.15 {
        activities = vec![Activity::Walk];
    }
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let availability = if dice.unit() < 0.4 {
        let window = |day: &str| serde_json::json!({ "weekday": day, "from": "07:00", "to": "21:30" });
        let some: Vec<_> = days.iter().filter(|_| dice.unit() < 0.6).map(|day| window(day)).collect();
        serde_json::from_value(some.into()).expect("windows")
    } else {
        Vec::new()
    };
    let with_profile = number.is_multiple_of(2);
    let profile = with_profile.then(|| Profile {
        account_id: account.id,
        activities: Json(activities.clone()),
        comfortable_pace: Some(Json(pace)),
        walking_pace: None,
        home_cell: cell.to_string(),
        home_changes: Json(Vec::new()),
        pace_changes: Json(Vec::new()),
        travel_radius_km: radius,
        availability: Json(availability.clone()),
        languages: Json(Vec::new()),
        access_needs: Json(Vec::new()),
        not_after_dark: false,
        new_here: false,
        gentle_start: false,
        updated_at: now,
        talk_or_quiet: None,
    });
    let wish = Wish {
        area: Some(cell),
        travel_radius_km: Some(radius),
        activities: Some(activities),
        comfortable_pace: Some(pace),
        availability: Some(availability),
        ..Wish::default()
    };
    let request = MatchRequest {
        id: Id::at(now),
        account_id: account.id,
        wish: Json(if with_profile { Wish::default() } else { wish }),
        created_at: now,
        expires_at: now.plus_days(60),
        warned_at: None,
    };
    (account, profile, request)
}
