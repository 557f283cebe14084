//! In which order substitutes are called: those first whom the run suits, by the rules by which a run is proposed to
//! somebody who would join it. A facilitator's own pace, place and hours count as a participant's do.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    clock::Instant,
    config::Policy,
    domain::matching::{Closed, Exclusion, IndexedRun, Limits, Scored, Viewer, engagements::Engagements, exclusions},
    error::Result,
    id::Id,
    service::{matching::person_of, run_sides},
    store::{
        Conn,
        accounts::{self, Profile},
        facilitators,
        runs::Run,
    },
};

/// How well a run suits somebody who could lead it; the better comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suits {
    /// They are listed on it already.
    IsListed,
    /// By their running profile, with the score in steps.
    ByProfile(Reverse<i64>),
    /// They have not said how fast they go, or have no running profile.
    Unknown,
    /// It is too fast for them, or lies outside the hours, activities or languages that they gave.
    Not,
}

/// The people who could help, all of them, in the order in which they are called: by how well the run suits them, and among
/// equals the nearest first. `able` says how far away each is, in kilometres.
pub fn in_order(
    conn: &mut Conn,
    run: &Run,
    able: &BTreeMap<Id, f64>,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Id>> {
    let listed: BTreeSet<Id> =
        facilitators::listings(conn, &[run.id])?.into_iter().map(|listing| listing.account_id).collect();
    let people: Vec<Id> = able.keys().copied().collect();
    let profiles: BTreeMap<Id, Profile> =
        accounts::profiles(conn, &people)?.into_iter().map(|profile| (profile.account_id, profile)).collect();
    let side = run_sides::without_people(run, policy, now);
    // Whoever leads takes no place: a full run suits as well as any.
    let limits = Limits { include_full: true, ..Limits::usual(policy.match_floor) };
    let mut order: Vec<(Suits, f64, Id)> = Vec::with_capacity(able.len());
    for (person, away) in able {
        let suits = match profiles.get(person) {
            _ if listed.contains(person) => Suits::IsListed,
            Some(profile) => how_it_suits(profile, &side, limits)?,
            None => Suits::Unknown,
        };
        order.push((suits, *away, *person));
    }
    order.sort_by(|one, other| (one.0.cmp(&other.0)).then(one.1.total_cmp(&other.1)).then(one.2.cmp(&other.2)));
    Ok(order.into_iter().map(|(_, _, person)| person).collect())
}

fn how_it_suits(profile: &Profile, run: &IndexedRun, limits: Limits) -> Result<Suits> {
    let person = person_of(profile)?;
    // Who may lead it, and has the time, was looked at before.
    let viewer = Viewer {
        id: profile.account_id,
        person,
        known: BTreeSet::new(),
        closed: Closed::default(),
        engagements: Engagements::default(),
    };
    let candidate = run.candidate(&viewer);
    Ok(match Scored::of(&viewer.person, &candidate, limits) {
        Some(scored) => Suits::ByProfile(Reverse(scored.steps())),
        None if exclusions(&viewer.person, &candidate, limits) == [Exclusion::PaceNotSureYet] => Suits::Unknown,
        None => Suits::Not,
    })
}
