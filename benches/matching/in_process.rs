//! The index in this process: time of a look, how it grows, what a run costs in memory, and the best SQL beside it.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant as Stopwatch},
};

use sidebyside::{
    clock::Instant,
    config::Policy,
    domain::{
        matching::{
            IndexedRun, Viewer,
            search::MatchSearch,
            side::{Listed, Said},
        },
        place::LatLng,
        run::ListingRole,
    },
    id::Id,
    index::RunIndex,
    service::run_sides::Read,
};

use crate::{
    Outcome,
    places::{self, Dice, Made, Place},
    sql,
};

/// The side of a made-up run.
pub fn side(made: &Made, leaders: &[Id], said: &Arc<Said>, dice: &mut Dice) -> IndexedRun {
    let listed = Listed {
        id: leaders[dice.below(leaders.len())],
        is_accepted: true,
        is_active: true,
        role: ListingRole::Leader,
    };
    IndexedRun {
        series: None,
        id: Id::at(made.starts_at),
        starts_at: made.starts_at,
        local_start: made.starts_at.local(&made.zone),
        place: made.place,
        pace: made.pace,
        duration_min: 60,
        activity: made.activity,
        no_drop: made.no_drop,
        after_dark: false,
        is_full: dice.below(10) == 0,
        has_waiting: false,
        is_closed: false,
        point_is_hidden: made.is_hidden,
        confirmed: 0,
        said: said.clone(),
        listed: [listed].into(),
        company: Box::new([]),
    }
}

/// Two weeks, twenty runs.
pub fn search(now: Instant) -> MatchSearch {
    MatchSearch::usual(now, 14, 20, Policy::default().match_floor)
}

fn fill(places: &[Place], runs: usize, seed: u64) -> (RunIndex, u64) {
    let mut dice = Dice::new(seed);
    let leaders: Vec<Id> = (0..20_000).map(|_| Id::random()).collect();
    let said = Arc::new(Said { languages: vec!["en".into()], ..Said::default() });
    let before = resident_bytes();
    let index = RunIndex::new(Policy::default());
    index.fill((0..runs).map(|_| {
        let made = places::run(places, &mut dice);
        Read { side: side(&made, &leaders, &said, &mut dice), good_until: None }
    }));
    (index, resident_bytes().saturating_sub(before))
}

/// Bytes of this process in memory, once what was freed is given back: the allocator keeps it for a while, and looks at it
/// when it is asked for more.
fn resident_bytes() -> u64 {
    for _ in 0..20 {
        black_box(vec![1_u8; 4 * 1024 * 1024]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|word| word.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Median and 99th percentile of looking, each time as another person.
fn times(looks: usize, people: &[Viewer], mut look: impl FnMut(&Viewer) -> usize) -> (Duration, Duration, f64) {
    let (mut all, mut found) = (Vec::with_capacity(looks), 0);
    for at in 0..looks {
        let person = &people[at % people.len()];
        let begun = Stopwatch::now();
        found += black_box(look(person));
        all.push(begun.elapsed());
    }
    all.sort_unstable();
    (all[looks / 2], all[looks * 99 / 100], found as f64 / looks as f64)
}

fn people_at(towns: &[LatLng], seed: u64) -> Vec<Viewer> {
    let mut dice = Dice::new(seed);
    (0..1_000).map(|at| places::person(towns[at % towns.len()], &mut dice)).collect()
}

/// Measures and prints.
pub fn measure(places: &[Place], runs: usize) -> Outcome<()> {
    let now = places::now();
    let (dense, sparse) = places::dense_and_sparse(places);
    let search = search(now);
    let tie =
        |run: &[u8; 16]| u64::from_be_bytes([run[8], run[9], run[10], run[11], run[12], run[13], run[14], run[15]]);

    let (index, bytes) = fill(places, runs, 1);
    println!("index: {:.0} bytes a run without cards", bytes as f64 / runs as f64);
    let mut medians = Vec::new();
    for (name, towns) in [("dense", &dense), ("sparse", &sparse)] {
        let people = people_at(towns, 2);
        times(2_000, &people, |person| index.matches(person, &search, now, tie).len());
        let (p50, p99, found) = times(20_000, &people, |person| index.matches(person, &search, now, tie).len());
        println!("index, {name}: p50 {p50:?}, p99 {p99:?}, {found:.1} runs found");
        medians.push(p50);
    }
    let mixed = people_at(&[dense.clone(), sparse.clone()].concat(), 3);
    let begun = Stopwatch::now();
    let each = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| times(each, &mixed, |person| index.matches(person, &search, now, tie).len()));
        }
    });
    println!("index, mixed, two threads: {:.0} looks a second", 2.0 * each as f64 / begun.elapsed().as_secs_f64());

    // A tenth of the runs around the densest tenth's worth of places: as many around each place as before.
    let home = dense[dense.len() - 1];
    let mut near: Vec<Place> = places.to_vec();
    near.sort_by(|a, b| home.distance_km(&a.at).total_cmp(&home.distance_km(&b.at)));
    near.truncate((places.len() / 10).max(1));
    let (small, _) = fill(&near, runs * near.len() / places.len(), 1);
    let people = people_at(&[home], 4);
    let mut pairs = Vec::new();
    for _ in 0..5 {
        let (few, ..) = times(4_000, &people, |person| small.matches(person, &search, now, tie).len());
        let (many, ..) = times(4_000, &people, |person| index.matches(person, &search, now, tie).len());
        pairs.push((few, many, many.as_secs_f64() / few.as_secs_f64()));
    }
    pairs.sort_by(|a, b| a.2.total_cmp(&b.2));
    let (few, many, ratio) = pairs[2];
    println!(
        "growth: {} runs {few:?}, {} runs {many:?}, at equal local density: {ratio:.2} times",
        small.len(),
        index.len()
    );

    let people = people_at(&dense, 2);
    let (sql, p99, found) = sql::measure(&index, &people, &search)?;
    let ratio = sql.as_secs_f64() / medians[0].as_secs_f64();
    println!(
        "best SQL (SQLite, cell column, covering index, cached statement), dense: p50 {sql:?}, p99 {p99:?}, {found:.1} found"
    );
    println!("the index is {ratio:.1} times as quick as the best SQL");
    Ok(())
}

/// Times of another way of looking, for comparison.
pub fn compare(people: &[Viewer], looks: usize, look: impl FnMut(&Viewer) -> usize) -> (Duration, Duration, f64) {
    times(looks, people, look)
}
