//! A series of the model and the desk on the day: what is done there, and what must hold of it besides the promises.

use std::collections::{BTreeMap, BTreeSet};

use sidebyside::{
    clock::Instant,
    config::Policy,
    domain::{outbox::OutboxStatus, run::CancelReason, series::WhatIsSaid, signup::SignupStatus},
    error::{Error, Result},
    id::Id,
    service::{
        callers,
        day::{
            attendance,
            walk_ins::{self, NewGuest, WalkIn},
        },
        series::{
            self, Ending,
            changing::{self, SeriesEdit},
            regulars,
        },
        signups::{self, NewSignup},
    },
    store::{Conn, Tx, extra_places::FriendPlace, runs, schema, series as kept_series, signups as kept},
};

use super::{
    acts::Act,
    promises::{Look, Seat},
    world::World,
};

/// A series on two days of the week, one of them at the time of two other runs.
pub fn post_series(tx: &mut Tx<'_>, leader: Id, policy: &Policy, now: Instant) -> Result<Id> {
    let body = serde_json::json!({
        "run": {
            "title": "The usual",
            "activity": "run",
            "pace": { "fastest_s_per_km": 400, "slowest_s_per_km": 450 },
            "duration_min": 60,
            "meeting_point": { "lat": 51.41, "lng": -0.33, "name": "The gate" },
            "capacity": 3,
            "confirm_overlap": true,
        },
        "first_local_start": "2026-11-24T15:30:00",
        "rrule": "FREQ=WEEKLY;BYDAY=TU,TH",
    });
    let draft = serde_json::from_value(body).expect("a draft");
    Ok(series::post(tx, leader, &draft, policy, now)?.id)
}

/// Adds the dates that were made since the last look, the earliest first.
pub fn find_new_dates(world: &mut World) {
    use diesel::prelude::*;
    let of_series = schema::runs::table
        .filter(schema::runs::series_id.eq_any(world.series.iter().copied().map(Some).collect::<Vec<_>>()))
        .filter(schema::runs::id.ne_all(&world.runs))
        .order(schema::runs::starts_at)
        .select(schema::runs::id);
    let new: Vec<Id> = world.db.read_here(|conn| of_series.load(conn).map_err(Error::from)).expect("the dates");
    world.runs.extend(new);
}

/// The places that are kept for friends in these runs.
pub fn friend_places(conn: &mut Conn, runs: &[Id], now: Instant) -> Result<Vec<FriendPlace>> {
    use diesel::prelude::*;
    let mut all: Vec<FriendPlace> = schema::friend_places::table
        .filter(schema::friend_places::run_id.eq_any(runs))
        .order(schema::friend_places::created_at)
        .select(FriendPlace::as_select())
        .load(conn)?;
    all.retain(|place| place.holds(now));
    Ok(all)
}

/// One act over a series, at the desk, or with a friend's link.
pub fn act(world: &mut World, act: Act) -> Result<()> {
    let (now, policy) = (world.now, world.policy.clone());
    match act {
        Act::ComeAsFriend { person, run } => {
            let (person, run) = (world.people[person], world.run(run));
            let kept = world.db.read_here(|conn| friend_places(conn, &[run], now))?;
            let place = kept.iter().find(|place| place.waits(now)).ok_or(Error::NotFound)?.id;
            let input = NewSignup { friend_token: Some("a token".to_owned()), ..NewSignup::default() };
            world
                .db
                .write_here(|tx| signups::sign_up_with(tx, person, run, &input, Some(place), &policy, now).map(drop))
        }
        Act::NoShow { person, run } => {
            let (person, run) = (world.people[person], world.run(run));
            let leader = world.leader_of(run)?;
            world.db.write_here(|tx| {
                let proof = callers::leads(tx, leader, run, now)?;
                let signup = kept::live_in(tx, person, run)?.ok_or(Error::NotFound)?.id;
                attendance::mark_no_show(tx, signup, &proof, now).map(drop)
            })
        }
        Act::WalkIn { person, run } => {
            let account_id = Some(world.people[person]);
            walk_in(world, run, &WalkIn { email: None, account_id, guest: None })
        }
        Act::Guest { run } => {
            let guest = NewGuest {
                first_name: "Guest".to_owned(),
                adult: true,
                emergency_phone: "+44 20 7946 0958".to_owned(),
            };
            walk_in(world, run, &WalkIn { email: None, account_id: None, guest: Some(guest) })
        }
        Act::BecomeRegular { person, series } => {
            let (person, of) = (world.people[person], series_at(world, series));
            world.db.write_here(|tx| match regulars::become_regular(tx, person, of, &policy, now)? {
                (_, true) => Ok(()),
                (_, false) => Err(Error::NotFound),
            })
        }
        Act::StopComing { person, series } => {
            let (person, of) = (world.people[person], series_at(world, series));
            world.db.write_here(|tx| {
                kept_series::find_regular(tx, of, person)?.ok_or(Error::NotFound)?;
                regulars::stop(tx, person, of, &policy, now)
            })
        }
        Act::EditSeries { series, minutes, places, from } => edit(world, series, minutes, places, from),
        Act::EndSeries { series, from } => {
            let of = series_at(world, series);
            let from = date_at(world, of, from)?;
            let ending = Ending { from, reason: CancelReason::Other, message: None };
            world.db.write_here(|tx| {
                let (proof, _) = leads(tx, world, of)?;
                series::end(tx, &proof, &ending, now).map(drop)
            })
        }
        other => panic!("{other:?} is done elsewhere"),
    }
}

fn walk_in(world: &World, run: usize, input: &WalkIn) -> Result<()> {
    let (run, now) = (world.run(run), world.now);
    let leader = world.leader_of(run)?;
    world.db.write_here(|tx| {
        let proof = callers::leads(tx, leader, run, now)?;
        walk_ins::walk_in(tx, input, &proof, &world.policy, now).map(drop)
    })
}

fn series_at(world: &World, at: usize) -> Id {
    world.series[at % world.series.len()]
}

/// One of the dates to come of a series, if one is asked for.
fn date_at(world: &World, of: Id, at: Option<usize>) -> Result<Option<Id>> {
    let Some(at) = at else { return Ok(None) };
    let mut dates = world.db.read_here(|conn| kept_series::runs_to_come(conn, of, world.now))?;
    dates.sort_by_key(|run| run.starts_at);
    Ok(Some(dates.get(at % dates.len().max(1)).ok_or(Error::NotFound)?.id))
}

fn leads(tx: &mut Tx<'_>, world: &World, of: Id) -> Result<(series::LeadsSeries, kept_series::Series)> {
    series::leads(tx, world.leaders[0], of, world.now)
}

fn edit(world: &mut World, at: usize, minutes: i64, places: i32, from: Option<usize>) -> Result<()> {
    let (of, now) = (series_at(world, at), world.now);
    let from = date_at(world, of, from)?;
    let gone_on = world.db.write_here(|tx| {
        let (proof, found) = leads(tx, world, of)?;
        let mut draft = found.draft();
        let first: jiff::civil::DateTime = draft.first_local_start.parse().expect("a wall time");
        let first = first.checked_add(jiff::Span::new().minutes(minutes)).expect("a near time");
        let mut run = draft.run.fields();
        run.insert("capacity".to_owned(), places.into());
        draft.run = serde_json::from_value(run.into()).expect("a draft");
        draft.first_local_start = first.to_string();
        // With another date from which it goes on, the first is worked out: only its time of day is said.
        if let Some(from) = from {
            let date = runs::get(tx, from)?.series_date.and_then(|date| date.parse().ok());
            let date: jiff::civil::DateTime = date.ok_or(Error::NotFound)?;
            draft.first_local_start = date.date().to_datetime(first.time()).to_string();
        }
        let says = WhatIsSaid { first: true, rule: false };
        let wanted = SeriesEdit { draft, says, from, version: found.version };
        changing::edit(tx, &proof, &wanted, &world.policy, now)
    })?;
    if !world.series.contains(&gone_on.id) {
        world.series.push(gone_on.id);
    }
    Ok(())
}

/// Mails about a series that were promised so far, by person.
pub type Mails = BTreeMap<(Id, String), i64>;

/// The mails about series, where this act sends some.
pub fn mails(world: &World, act: Act) -> Mails {
    use diesel::{dsl::count_star, prelude::*};
    if !matches!(act, Act::EditSeries { .. } | Act::EndSeries { .. } | Act::BecomeRegular { .. }) {
        return Mails::new();
    }
    let promised = schema::outbox::table
        .filter(schema::outbox::account_id.eq_any(&world.people))
        .filter(schema::outbox::kind.eq_any(["series_changed", "series_ended", "became_regular"].as_slice()))
        .group_by((schema::outbox::account_id, schema::outbox::kind))
        .select((schema::outbox::account_id, schema::outbox::kind, count_star()));
    let rows: Vec<(Id, String, i64)> =
        world.db.read_here(|conn| promised.load(conn).map_err(Error::from)).expect("the mails");
    rows.into_iter().map(|(person, kind, many)| ((person, kind), many)).collect()
}

/// What must hold after such an act that was done; `sent` is what was promised before it.
pub fn check(world: &World, before: &Look, after: &Look, act: Act, sent: &Mails) -> std::result::Result<(), String> {
    let on = |runs: &mut dyn Iterator<Item = Id>| -> BTreeSet<Id> {
        runs.flat_map(|run| before.live_on(run).map(|(_, seat)| seat.person)).collect()
    };
    match act {
        Act::EditSeries { .. } => {
            nobody_lost(world, before, after)?;
            let moved = |run: &Id| before.knows(*run) && before.start_of(*run) != after.start_of(*run);
            told_once(world, "series_changed", &on(&mut world.runs.iter().copied().filter(moved)), act, sent)
        }
        Act::EndSeries { .. } => {
            let ended = |run: &Id| after.is_off(*run) && !before.is_off(*run);
            told_once(world, "series_ended", &on(&mut world.runs.iter().copied().filter(ended)), act, sent)
        }
        Act::BecomeRegular { person, .. } => {
            told_once(world, "became_regular", &BTreeSet::from([world.people[person]]), act, sent)
        }
        Act::WalkIn { person, run } => {
            let (person, run) = (world.people[person], world.run(run));
            let is_there = |(_, seat): (&Id, &Seat)| seat.person == person && seat.status == SignupStatus::Attended;
            if after.seats_of(run).any(is_there) { Ok(()) } else { Err(format!("{person} walked in and is not there")) }
        }
        _ => Ok(()),
    }
}

/// Editing a series loses no sign-up and leaves alone what one date keeps for itself.
fn nobody_lost(world: &World, before: &Look, after: &Look) -> std::result::Result<(), String> {
    for run in world.runs.iter().copied().filter(|run| before.knows(*run)) {
        for (id, seat) in before.live_on(run) {
            if !after.live_on(run).any(|(other, _)| other == id) {
                return Err(format!("{} was {} and is not since the series was edited", seat.person, seat.status));
            }
        }
        if world.kept_capacity.contains(&run) && before.capacity_of(run) != after.capacity_of(run) {
            return Err(format!("{run} kept its capacity for itself, and the series overwrote it"));
        }
    }
    Ok(())
}

/// Whether a mail of this kind waits unsent, which tells of the act as well.
fn joins_one_that_waits(world: &World, person: Id, kind: &str) -> bool {
    use diesel::prelude::*;
    let waiting = schema::outbox::table
        .filter(schema::outbox::account_id.eq(person))
        .filter(schema::outbox::kind.eq(kind))
        .filter(schema::outbox::status.eq(OutboxStatus::Queued))
        .filter(schema::outbox::fence.eq(0))
        .count();
    let many: i64 = world.db.read_here(|conn| waiting.get_result(conn).map_err(Error::from)).expect("the mails");
    many > 0
}

/// Each of these people got one mail about it, however many dates it was about, or is told by one that waits.
fn told_once(
    world: &World,
    kind: &str,
    people: &BTreeSet<Id>,
    act: Act,
    sent: &Mails,
) -> std::result::Result<(), String> {
    let now = mails(world, act);
    for person in people {
        let key = (*person, kind.to_owned());
        let many = now.get(&key).copied().unwrap_or(0) - sent.get(&key).copied().unwrap_or(0);
        let is_told = many == 1 || (many == 0 && joins_one_that_waits(world, *person, kind));
        if !is_told {
            return Err(format!("promise 6: {many} mails of {kind} to {person}"));
        }
    }
    Ok(())
}
