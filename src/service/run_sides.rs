//! The run's side of matching, read from the database: the one way in which rows become what [`domain::matching`]
//! weighs, for the index of all runs to come as for a few.
//!
//! [`domain::matching`]: crate::domain::matching

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::tz::TimeZone;

use crate::{
    clock::{self, Instant},
    config::Policy,
    domain::{
        matching::side::{Companion, IndexedRun, Listed, Said},
        pace::PaceBand,
        place::LatLng,
        run::{ListingRole, ListingStatus, YesNo},
        signup::{self, SignupStatus},
    },
    error::Result,
    id::Id,
    store::{
        Conn, facilitators,
        run_sides::{self, CompanyRow, ListedRow, Row, Which},
        runs::Run,
    },
};

/// A run's side, and the moment at which it may be another without anybody's act: a place kept for a friend runs out, a
/// decision about a facilitator ends, a credential lapses.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    pub side: IndexedRun,
    pub good_until: Option<Instant>,
}

/// What many runs have in common is kept once.
#[derive(Debug, Default)]
pub struct Shared {
    said: Mutex<BTreeMap<Said, Arc<Said>>>,
}

impl Shared {
    /// The one of these that says the same.
    fn one(&self, said: Said) -> Arc<Said> {
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > FORGET_FROM {
            all.retain(|_, one| Arc::strong_count(one) > 1);
        }
        match all.get(&said) {
            Some(one) => one.clone(),
            None => {
                let one = Arc::new(said.clone());
                all.insert(said, one.clone());
                one
            }
        }
    }
}

/// From so many ways of saying it on, those that no run uses any more are looked for.
const FORGET_FROM: usize = 10_000;

/// Reads the sides of published runs to come, by id. What is not among them is not published or has begun.
pub fn read(conn: &mut Conn, which: Which<'_>, policy: &Policy, shared: &Shared, now: Instant) -> Result<Vec<Read>> {
    let mut rows = run_sides::rows(conn, which, now)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    rows.sort_unstable_by_key(|row| row.id);
    let mut listed = run_sides::listed(conn, which)?;
    listed.sort_unstable_by_key(|listed| (listed.run_id, listed.account_id));
    let mut facts = Facts::read(conn, which, &listed, now)?;
    let (mut listed, mut zones) = (&listed[..], HashMap::new());
    let join = |row: Row| {
        let listed = next_of(row.id, &mut listed);
        facts.join(row, listed, policy, shared, &mut zones, now)
    };
    Ok(rows.into_iter().map(join).collect())
}

/// A run's side without anybody on it or listed, whatever its status: how well it suits somebody who would lead it.
pub fn without_people(run: &Run, policy: &Policy, now: Instant) -> IndexedRun {
    Facts::default().join(Row::of(run), &[], policy, &Shared::default(), &mut HashMap::new(), now).side
}

/// Who is listed on the run, out of what is left in the order of runs. Those of runs before it are left behind.
fn next_of<'l>(run: Id, rest: &mut &'l [ListedRow]) -> &'l [ListedRow] {
    let before = rest.iter().take_while(|listed| listed.run_id < run).count();
    let of_run = rest[before..].iter().take_while(|listed| listed.run_id == run).count();
    let (these, after) = rest[before..].split_at(of_run);
    *rest = after;
    these
}

#[derive(Default)]
struct Occupancy {
    held: i64,
    waiting: i64,
    confirmed: u16,
    kept_until: Option<Instant>,
    company: Vec<CompanyRow>,
}

#[derive(Default)]
struct Facts {
    crowds: HashMap<Id, Occupancy>,
    good: BTreeSet<Id>,
    /// When somebody's standing may be another.
    standing_until: BTreeMap<Id, Instant>,
}

impl Facts {
    fn read(conn: &mut Conn, which: Which<'_>, listed: &[ListedRow], now: Instant) -> Result<Self> {
        let mut crowds: HashMap<Id, Occupancy> = HashMap::new();
        for (run, status, count) in run_sides::counts(conn, which)? {
            let crowd = crowds.entry(run).or_default();
            if SignupStatus::HOLDING.contains(&status) {
                crowd.held += count;
            }
            match status {
                SignupStatus::Waitlisted => crowd.waiting = count,
                SignupStatus::Confirmed => crowd.confirmed = u16::try_from(count).unwrap_or(u16::MAX),
                _ => {}
            }
        }
        for (run, count) in run_sides::guest_counts(conn, which)? {
            crowds.entry(run).or_default().held += count;
        }
        for (run, until) in run_sides::friend_places(conn, which, now)? {
            let crowd = crowds.entry(run).or_default();
            crowd.held += 1;
            crowd.kept_until = Some(crowd.kept_until.map_or(until, |soonest| soonest.min(until)));
        }
        for row in run_sides::company(conn, which)? {
            crowds.entry(row.run_id).or_default().company.push(row);
        }
        let people: BTreeSet<Id> = listed.iter().map(|listed| listed.account_id).collect();
        let people: Vec<Id> = people.into_iter().collect();
        let good = facilitators::in_good_standing(conn, &people, now)?;
        let mut standing_until = run_sides::decisions_end(conn, &people, now)?;
        for (account, lapses) in facilitators::credentials_lapse(conn, &people, now)? {
            let soonest = standing_until.entry(account).or_insert(lapses);
            *soonest = lapses.min(*soonest);
        }
        Ok(Self { crowds, good, standing_until })
    }

    fn join(
        &mut self,
        row: Row,
        listed: &[ListedRow],
        policy: &Policy,
        shared: &Shared,
        zones: &mut HashMap<String, TimeZone>,
        now: Instant,
    ) -> Read {
        let crowd = self.crowds.remove(&row.id).unwrap_or_default();
        let is_accepted = |listed: &ListedRow| listed.status == ListingStatus::Accepted;
        let is_active = |listed: &ListedRow| is_accepted(listed) && self.good.contains(&listed.account_id);
        let leaders = listed.iter().filter(|listed| listed.role == ListingRole::Leader && is_active(listed));
        let places =
            signup::places(row.capacity, policy.facilitator_ratio, i64::try_from(leaders.count()).unwrap_or(0));
        let standing = listed.iter().filter_map(|listed| self.standing_until.get(&listed.account_id)).copied();
        let good_until = standing.chain(crowd.kept_until).filter(|at| *at > now).min();
        let mut languages: Vec<String> = row.languages.0.into_iter().map(|tag| tag.0).collect();
        if languages.is_empty() {
            languages.push(policy.default_language.0.clone());
        }
        let said = Said {
            languages,
            access: row.access.0.into_iter().map(|(name, said)| (name, said == YesNo::Yes)).collect(),
        };
        let zone = match zones.get(&row.time_zone) {
            Some(zone) => zone.clone(),
            None => {
                let zone = clock::time_zone(&row.time_zone).unwrap_or(TimeZone::UTC);
                zones.insert(row.time_zone.clone(), zone.clone());
                zone
            }
        };
        let mut side = IndexedRun {
            id: row.id,
            series: row.series_id,
            starts_at: row.starts_at,
            local_start: zone.to_datetime(row.starts_at.timestamp()),
            place: LatLng { lat: row.shown_lat, lng: row.shown_lng },
            pace: PaceBand { fastest_s_per_km: row.fastest_s_per_km, slowest_s_per_km: row.slowest_s_per_km },
            duration_min: u16::try_from(row.duration_min).unwrap_or(u16::MAX),
            activity: row.activity,
            no_drop: row.no_drop,
            after_dark: row.after_dark,
            is_full: places <= crowd.held || crowd.waiting > 0,
            has_waiting: crowd.waiting > 0,
            is_closed: row.closed_at.is_some(),
            point_is_hidden: !row.point_is_public,
            confirmed: crowd.confirmed,
            said: shared.one(said),
            listed: listed
                .iter()
                .map(|listed| Listed {
                    id: listed.account_id,
                    is_accepted: is_accepted(listed),
                    is_active: is_active(listed),
                    role: listed.role,
                })
                .collect(),
            company: Box::new([]),
        };
        if side.company_counts() {
            let companion = |row: CompanyRow| {
                let pace = side.activity.pace_of(row.comfortable_pace, row.walking_pace)?;
                Companion::new(row.account_id, pace.0)
            };
            side.company = crowd.company.into_iter().filter_map(companion).collect();
        }
        Read { side, good_until }
    }
}
