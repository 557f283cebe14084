//! What must hold after every step: the first six promises, read from the rows.

use std::collections::{BTreeMap, BTreeSet};

use sidebyside::{
    clock::Instant,
    domain::{
        moderation::SanctionScope,
        offer::{self, Way},
        question::ComingQuestion,
        run::{ListingStatus, RunStatus},
        signup::SignupStatus::{self, Confirmed, Offered, Waitlisted},
    },
    id::Id,
    service::{entry, places},
    store::{
        Conn, facilitators, moderation, runs,
        schema::{self, audit_log, outbox},
        signups::{self, Signup},
        yeses::Yes,
    },
};

use super::{acts::Act, habits, world::World};

/// What the rows say about the world's runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// When it was taken.
    at: Option<Instant>,
    runs: BTreeMap<Id, RunLook>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunLook {
    status: RunStatus,
    starts_at: Instant,
    ends_at: Instant,
    capacity: i32,
    places: i64,
    /// As the product counts it.
    held: i64,
    /// As it is counted here: seats, guests, and places kept for friends.
    counted: i64,
    guests: i64,
    leaders: Vec<Id>,
    listed: Vec<Id>,
    people_in: BTreeSet<Id>,
    seats: BTreeMap<Id, Seat>,
    /// Who said yes to running with whom alone, and the start that it was said for.
    yeses_as_two: BTreeMap<(Id, Id), Instant>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    pub person: Id,
    pub status: SignupStatus,
    queue_no: i32,
    let_go: i32,
    new_to_group: bool,
    as_regular: bool,
    offer_expires_at: Option<Instant>,
    reconfirm_by: Option<Instant>,
}

/// Reads the world.
pub fn look(world: &World) -> Look {
    world.db.read_here(|conn| read(conn, world)).expect("the rows")
}

fn read(conn: &mut Conn, world: &World) -> sidebyside::error::Result<Look> {
    use diesel::prelude::*;
    let found = runs::of_ids(conn, &world.runs)?;
    let rooms = places::of_runs(conn, &found, &world.policy, world.now)?;
    let good = facilitators::in_good_standing(conn, &world.leaders, world.now)?;
    let listings = facilitators::listings(conn, &world.runs)?;
    let seats: Vec<Signup> = schema::signups::table
        .filter(schema::signups::run_id.eq_any(&world.runs))
        .select(Signup::as_select())
        .load(conn)?;
    let kept_for_friends = habits::friend_places(conn, &world.runs, world.now)?;
    let guests: Vec<Id> = schema::guests::table
        .filter(schema::guests::run_id.eq_any(&world.runs))
        .select(schema::guests::run_id)
        .load(conn)?;
    let yeses: Vec<Yes> = schema::given_yeses::table
        .filter(schema::given_yeses::run_id.eq_any(&world.runs))
        .select(Yes::as_select())
        .load(conn)?;
    let mut all = BTreeMap::new();
    for run in found {
        let accepted = |l: &&facilitators::Listing| l.run_id == run.id && l.status == ListingStatus::Accepted;
        let listed: Vec<Id> = listings.iter().filter(accepted).map(|listing| listing.account_id).collect();
        let mine: Vec<&Signup> = seats.iter().filter(|signup| signup.run_id == run.id).collect();
        let seated = mine.iter().filter(|signup| is_holding(signup.status)).map(|signup| signup.account_id);
        let look = RunLook {
            status: run.status,
            starts_at: run.starts_at,
            ends_at: run.ends_at,
            capacity: run.capacity,
            places: rooms[&run.id].places,
            held: rooms[&run.id].held,
            counted: number(mine.iter().filter(|signup| is_holding(signup.status)).count())
                + number(guests.iter().filter(|guest| **guest == run.id).count())
                + number(kept_for_friends.iter().filter(|place| place.run_id == run.id).count()),
            guests: number(guests.iter().filter(|guest| **guest == run.id).count()),
            leaders: listed.iter().filter(|leader| good.contains(leader)).copied().collect(),
            people_in: seated.chain(listed.iter().copied()).collect(),
            listed,
            seats: mine.iter().map(|signup| (signup.id, seat(signup))).collect(),
            yeses_as_two: yeses
                .iter()
                .filter(|yes| yes.run_id == run.id && yes.question == ComingQuestion::AsTwo)
                .filter_map(|yes| Some(((yes.account_id, yes.with_id?), yes.starts_at)))
                .collect(),
        };
        all.insert(run.id, look);
    }
    Ok(Look { at: Some(world.now), runs: all })
}

fn number(many: usize) -> i64 {
    i64::try_from(many).expect("a small number")
}

fn seat(signup: &Signup) -> Seat {
    Seat {
        person: signup.account_id,
        status: signup.status,
        queue_no: signup.queue_no,
        let_go: signup.let_go,
        new_to_group: signup.new_to_group,
        as_regular: signup.as_regular,
        offer_expires_at: signup.offer_expires_at.filter(|_| signup.status == Offered),
        reconfirm_by: signup.reconfirm_by.filter(|_| signup.status == Confirmed),
    }
}

/// How many rows the audit log has.
pub fn audit_rows(world: &World) -> i64 {
    use diesel::prelude::*;
    world.db.read_here(|conn| audit_log::table.count().get_result(conn).map_err(Into::into)).expect("a number")
}

/// Hours before a start at which the worker may have something to do.
const HOURS_BEFORE: [i64; 6] = [48, 24, 12, 3, 1, 0];

/// The next moment after `now` and before `until` at which the worker has something to do.
pub fn next_due(look: &Look, now: Instant, until: Instant) -> Option<Instant> {
    let of_run = |run: &RunLook| {
        let seats = run.seats.values().flat_map(|seat| [seat.offer_expires_at, seat.reconfirm_by]).flatten();
        let before = HOURS_BEFORE.map(|hours| run.starts_at.plus_hours(-hours));
        before.into_iter().chain([run.ends_at.plus_hours(2)]).chain(seats).collect::<Vec<_>>()
    };
    let on = |run: &&RunLook| matches!(run.status, RunStatus::Published | RunStatus::Paused);
    look.runs.values().filter(on).flat_map(of_run).filter(|at| *at > now && *at < until).min()
}

impl Look {
    pub fn knows(&self, run: Id) -> bool {
        self.runs.contains_key(&run)
    }

    pub fn start_of(&self, run: Id) -> Instant {
        self.runs[&run].starts_at
    }

    pub fn capacity_of(&self, run: Id) -> i32 {
        self.runs[&run].capacity
    }

    pub fn is_off(&self, run: Id) -> bool {
        self.runs.get(&run).is_some_and(|run| run.status == RunStatus::Cancelled)
    }

    /// The sign-ups of a run of which something can still come.
    pub fn live_on(&self, run: Id) -> impl Iterator<Item = (&Id, &Seat)> {
        self.seats_of(run).filter(|(_, seat)| seat.status.is_live())
    }

    /// The sign-ups of a run.
    pub fn seats_of(&self, run: Id) -> impl Iterator<Item = (&Id, &Seat)> {
        self.runs.get(&run).into_iter().flat_map(|run| &run.seats)
    }

    /// The runs in which both are.
    pub fn runs_with_both(&self, one: Id, other: Id) -> Vec<Id> {
        let both = |run: &RunLook| run.people_in.contains(&one) && run.people_in.contains(&other);
        self.runs.iter().filter(|(_, run)| both(run)).map(|(id, _)| *id).collect()
    }
}

impl RunLook {
    /// The run before anybody was on it.
    fn empty(&self) -> Self {
        let listed: BTreeSet<Id> = self.listed.iter().copied().collect();
        Self { held: 0, counted: 0, guests: 0, people_in: listed, seats: BTreeMap::new(), ..self.clone() }
    }
}

fn is_holding(status: SignupStatus) -> bool {
    SignupStatus::HOLDING.contains(&status)
}

/// Checks the promises over one step.
pub fn check(world: &World, before: &Look, after: &Look, act: Option<Act>) -> Result<(), String> {
    let bars = bars(world).map_err(|fault| fault.to_string())?;
    let kept_out = kept_out(world).map_err(|fault| fault.to_string())?;
    for (id, now) in &after.runs {
        let was = &before.runs.get(id).cloned().unwrap_or_else(|| now.empty());
        let ahead = now.starts_at > world.now;
        seats_and_places(was, now, act).map_err(|words| format!("promise 1: {words}"))?;
        one_each_and_in_order(world, *id, was, now).map_err(|words| format!("promise 2: {words}"))?;
        nobody_overtaken(world, *id, was, now, act).map_err(|words| format!("promise 2: {words}"))?;
        let was_ahead = before.at.is_some_and(|at| was.starts_at > at);
        led(world, was, now, was_ahead).map_err(|words| format!("promise 3: {words}"))?;
        if ahead && matches!(now.status, RunStatus::Published | RunStatus::Paused) {
            nobody_kept_out(&kept_out, &bars, now).map_err(|words| format!("promise 4: {words}"))?;
            apart(world, *id, now, &now.people_in).map_err(|words| format!("promise 5: {words}"))?;
        }
        let new: BTreeSet<Id> = came_in(was, now).map(|(_, seat)| seat.person).collect();
        nobody_kept_out_came_in(&kept_out, &bars, now, &new).map_err(|words| format!("promise 4: {words}"))?;
        apart(world, *id, now, &new).map_err(|words| format!("promise 5: {words}"))?;
        promised(world, was, now).map_err(|words| format!("promise 6: {words}"))?;
    }
    ensure_no_overlap(world, before, after)
}

/// Who bars whom.
fn bars(world: &World) -> sidebyside::error::Result<BTreeSet<(Id, Id)>> {
    use diesel::prelude::*;
    let standing = schema::bars::table
        .filter(schema::bars::facilitator_id.eq_any(&world.leaders))
        .filter(schema::bars::lifted_at.is_null())
        .filter(schema::bars::until.gt(world.now))
        .select((schema::bars::facilitator_id, schema::bars::account_id));
    let rows: Vec<(Id, Id)> = world.db.read_here(|conn| Ok(standing.load(conn)?))?;
    Ok(rows.into_iter().collect())
}

fn kept_out(world: &World) -> sidebyside::error::Result<BTreeSet<Id>> {
    world.db.read_here(|conn| moderation::kept_out(conn, &world.people, SanctionScope::Site, world.now))
}

/// The acts of one person over another.
pub fn is_over_another(act: Act) -> bool {
    use Act::{Ban, Bar, CheckIn, Decline, EndSeries, Guest, Hold, Lift, NoShow, Remove, WalkIn};
    let at_the_desk = matches!(act, CheckIn { .. } | NoShow { .. } | WalkIn { .. } | Guest { .. });
    let decides = matches!(act, Decline { .. } | Remove { .. } | Bar { .. } | Hold { .. } | Ban { .. } | Lift { .. });
    at_the_desk || decides || matches!(act, EndSeries { .. })
}

fn seats_and_places(was: &RunLook, now: &RunLook, act: Option<Act>) -> Result<(), String> {
    if now.held != now.counted {
        return Err(format!("{} are held and {} counted", now.counted, now.held));
    }
    let held_before = |id: &Id| was.seats.get(id).is_some_and(|seat| is_holding(seat.status));
    let seated: Vec<_> = now.seats.iter().filter(|(id, seat)| is_holding(seat.status) && !held_before(id)).collect();
    // What is corrected on the list after the run seats nobody.
    let is_corrected = matches!(act, Some(Act::CheckIn { .. }));
    if now.counted > now.places && now.guests > was.guests {
        return Err(format!("{} held of {} places, and a guest came in", now.counted, now.places));
    }
    if !seated.is_empty() && now.counted > now.places && !is_corrected {
        return Err(format!("{} held of {} places, and {seated:?} came in", now.counted, now.places));
    }
    let may_fall = |act| {
        use Act::{Capacity, Close, EditSeries, HoldLeader, StepDown};
        matches!(act, Capacity { .. } | StepDown { .. } | Close { .. } | HoldLeader { .. } | EditSeries { .. })
    };
    if act.is_some_and(may_fall) {
        for (id, seat) in &was.seats {
            if seat.status == Confirmed && now.seats[id].status != Confirmed {
                return Err(format!("{id} was in and is {} because places fell", now.seats[id].status));
            }
        }
    }
    Ok(())
}

fn one_each_and_in_order(world: &World, run: Id, was: &RunLook, now: &RunLook) -> Result<(), String> {
    let mut live = BTreeSet::new();
    for seat in now.seats.values().filter(|seat| seat.status.is_live()) {
        if !live.insert(seat.person) {
            return Err(format!("{} has two live sign-ups", seat.person));
        }
    }
    let waiting = |(_, seat): &(&Id, &Seat)| seat.status == Waitlisted;
    for (id, seat) in now.seats.iter().filter(|(_, seat)| seat.status == Offered) {
        if was.seats.get(id).is_none_or(|before| before.status == Offered) {
            continue;
        }
        for (id, other) in now.seats.iter().filter(waiting).filter(|(_, other)| other.queue_no < seat.queue_no) {
            let kept_for_newcomers = seat.new_to_group && !other.new_to_group;
            if !kept_for_newcomers && let_go(was, id, other) == 0 && !is_closed(world, other.person, run)? {
                return Err(format!("{} was offered a place before {}", seat.person, other.person));
            }
        }
    }
    Ok(())
}

/// Who has a place and had none before.
fn came_in<'l>(was: &'l RunLook, now: &'l RunLook) -> impl Iterator<Item = (&'l Id, &'l Seat)> {
    let had_one = |before: &Seat| is_holding(before.status) || before.status == SignupStatus::NoShow;
    now.seats.iter().filter(move |(id, seat)| is_holding(seat.status) && !was.seats.get(id).is_some_and(had_one))
}

/// While free places are held for those who wait, nobody who comes new gets one that somebody who waits may have.
fn nobody_overtaken(world: &World, run: Id, was: &RunLook, now: &RunLook, act: Option<Act>) -> Result<(), String> {
    let invited = matches!(act, Some(Act::ComeAsFriend { .. } | Act::WalkIn { .. }));
    let way = offer::way(world.now, now.starts_at, "Europe/London", &places::offer_rules(&world.policy));
    let fresh = |(id, seat): &(&Id, &Seat)| seat.status == Confirmed && !was.seats.contains_key(id);
    let Some((_, new)) = now.seats.iter().find(fresh).filter(|_| !invited && matches!(way, Way::Held(_))) else {
        return Ok(());
    };
    let waiting = |(_, other): &(&Id, &Seat)| other.status == Waitlisted && other.queue_no < new.queue_no;
    for (id, other) in now.seats.iter().filter(waiting) {
        let kept_for_newcomers = new.new_to_group && !other.new_to_group;
        if !kept_for_newcomers && let_go(was, id, other) == 0 && !is_closed(world, other.person, run)? {
            return Err(format!("{} came after {} and has a place", new.person, other.person));
        }
    }
    Ok(())
}

/// How many free places somebody who waits had let go when this act took one: afterwards they may be forgotten.
fn let_go(was: &RunLook, id: &Id, now: &Seat) -> i32 {
    now.let_go.max(was.seats.get(id).map_or(0, |before| before.let_go))
}

fn is_closed(world: &World, person: Id, run: Id) -> Result<bool, String> {
    let closed = world.db.read_here(|conn| entry::is_closed_to(conn, person, run, world.now));
    closed.map_err(|fault| fault.to_string())
}

fn led(world: &World, was: &RunLook, now: &RunLook, was_ahead: bool) -> Result<(), String> {
    if came_in(was, now).next().is_some() && (now.status != RunStatus::Published || now.leaders.is_empty()) {
        return Err(format!("somebody came into a run that is {} with leaders {:?}", now.status, now.leaders));
    }
    let ahead = now.starts_at > world.now;
    if ahead && now.status == RunStatus::Published && now.leaders.is_empty() {
        return Err("nobody leads it, and it is not paused".to_owned());
    }
    // What happens at the desk after its start asks nobody.
    if was_ahead && !ahead && now.status == RunStatus::Published {
        let confirmed: Vec<&Seat> = now.seats.values().filter(|seat| seat.status == Confirmed).collect();
        if let ([one], [leader], 1) =
            (confirmed.as_slice(), now.leaders.iter().collect::<Vec<_>>().as_slice(), now.held)
        {
            // Half an hour is what nobody is asked about.
            let said = |who: Id, with: Id| {
                let yes = now.yeses_as_two.get(&(who, with));
                yes.is_some_and(|start| now.starts_at.seconds_since(*start).abs() <= 30 * 60)
            };
            if !said(one.person, **leader) || !said(**leader, one.person) {
                return Err("a run of two began without a yes of both to each other at this start".to_owned());
            }
        }
    }
    Ok(())
}

fn nobody_kept_out(kept_out: &BTreeSet<Id>, bars: &BTreeSet<(Id, Id)>, now: &RunLook) -> Result<(), String> {
    let ended = |seat: &&Seat| seat.status.is_final();
    let removed: BTreeSet<Id> = now.seats.values().filter(ended).map(|seat| seat.person).collect();
    for seat in now.seats.values().filter(|seat| seat.status.is_live()) {
        let barred = now.listed.iter().any(|leader| bars.contains(&(*leader, seat.person)));
        if barred || removed.contains(&seat.person) || kept_out.contains(&seat.person) {
            return Err(format!("{} is kept out and {}", seat.person, seat.status));
        }
    }
    Ok(())
}

/// Whoever comes in, at the desk as well, is not kept out.
fn nobody_kept_out_came_in(
    kept_out: &BTreeSet<Id>,
    bars: &BTreeSet<(Id, Id)>,
    now: &RunLook,
    new: &BTreeSet<Id>,
) -> Result<(), String> {
    let put_out = |seat: &&Seat| seat.status.is_final() && new.contains(&seat.person);
    if let Some(seat) = now.seats.values().find(put_out) {
        return Err(format!("{} is {} and came in again", seat.person, seat.status));
    }
    let is_out =
        |person: &&Id| kept_out.contains(person) || now.listed.iter().any(|leader| bars.contains(&(*leader, **person)));
    new.iter().find(is_out).map_or(Ok(()), |person| Err(format!("{person} is kept out and came in")))
}

/// Between those of `some` and anybody who is in stands no block.
fn apart(world: &World, run: Id, now: &RunLook, some: &BTreeSet<Id>) -> Result<(), String> {
    for one in some {
        for other in now.people_in.iter().filter(|other| *other != one) {
            let stayed = world.both_were_in.contains(&(run, *one.min(other), *one.max(other)));
            let block = world.blocks.contains_key(&(*one, *other)) || world.blocks.contains_key(&(*other, *one));
            if !stayed && block {
                return Err(format!("{one} and {other} are both in, and a block stands between them"));
            }
        }
    }
    Ok(())
}

/// Every place has its mail, in the transaction of the act.
fn promised(world: &World, was: &RunLook, now: &RunLook) -> Result<(), String> {
    use diesel::prelude::*;
    for (id, seat) in &now.seats {
        let before = was.seats.get(id).map(|seat| seat.status);
        let kind = match (before, seat.status) {
            (before, after) if before == Some(after) => continue,
            (Some(SignupStatus::Attended | SignupStatus::NoShow), Confirmed) => continue,
            // Regulars are told once, for all dates.
            (None, Confirmed) if seat.as_regular => continue,
            (None, SignupStatus::Attended) => "checked_in",
            (_, Confirmed) => "signup_confirmed",
            (_, Offered) => "place_offered",
            (_, SignupStatus::Removed | SignupStatus::Declined) => "signup_removed",
            _ => continue,
        };
        let mails: i64 = world
            .db
            .read_here(|conn| {
                let about = outbox::table.filter(outbox::signup_id.eq(Some(*id))).filter(outbox::kind.eq(kind));
                about.count().get_result(conn).map_err(Into::into)
            })
            .map_err(|fault: sidebyside::error::Error| fault.to_string())?;
        if mails == 0 {
            return Err(format!("{id} is {} and no {kind} was promised", seat.status));
        }
    }
    Ok(())
}

/// Nobody becomes confirmed in two runs at the same time; moving a run may bring it about, and is told to them.
fn ensure_no_overlap(world: &World, before: &Look, after: &Look) -> Result<(), String> {
    for (id, run) in &after.runs {
        for (signup, seat) in run.seats.iter().filter(|(_, seat)| seat.status == Confirmed) {
            let was = before.runs.get(id).and_then(|run| run.seats.get(signup)).map(|seat| seat.status);
            if matches!(was, Some(Confirmed | SignupStatus::Attended | SignupStatus::NoShow)) {
                continue;
            }
            let clash = world
                .db
                .read_here(|conn| {
                    let run = runs::get(conn, *id)?;
                    signups::overlapping(conn, seat.person, *id, run.starts_at, run.ends_at)
                })
                .map_err(|fault| fault.to_string())?;
            if let Some(other) = clash.first() {
                return Err(format!("{} is confirmed in {id} and in {} at once", seat.person, other.run_id));
            }
        }
    }
    Ok(())
}
