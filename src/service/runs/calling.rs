//! Calling substitutes: when a run is paused, or has fewer facilitators than the people on it need, those who could help
//! get a mail, once for each such occasion. Nobody is called who would meet somebody they must not meet, or who is
//! expected elsewhere at that time.

use std::collections::{BTreeMap, BTreeSet};

use super::{choosing, leading};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        place::{BoundingBox, Cell, LatLng},
        run::{ListingRole, ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{entry, overlaps},
    store::{
        Conn, Tx, blocks, facilitators, moderation,
        outbox::{self, Promise},
        runs::{Run, RunLocked},
        signups, substitutes,
    },
};

/// How near a run lies to those who led one there lately, for whom we know no home and no travel radius.
const NEARBY_KM: f64 = 15.0;
/// So many are called at once, those whom the run suits best; a city has hundreds, and one is enough.
const CALLED_AT_ONCE: usize = 50;
/// So many runs somebody is called to in a day: whoever has not come by then has no time, and nobody is to be flooded by one
/// facilitator who gives up runs by the hundred.
const CALLS_A_DAY: i64 = 10;
/// How many days count as lately.
const LATELY_DAYS: i64 = 90;

/// How many facilitators more the confirmed people of a published run need.
pub fn missing(conn: &mut Conn, run: &Run, policy: &Policy, now: Instant) -> Result<i64> {
    let confirmed = signups::of_run(conn, run.id, &[SignupStatus::Confirmed])?.len();
    let ratio = i64::from(policy.facilitator_ratio).max(1);
    let needed = (i64::try_from(confirmed).unwrap_or(i64::MAX) + ratio - 1) / ratio;
    let active = i64::try_from(facilitators::active_on(conn, run.id, now)?.len()).unwrap_or(i64::MAX);
    Ok((needed - active).max(0))
}

/// Whether a run can use a substitute now: it is paused or has too few facilitators, and its deadline lies ahead.
pub fn wants_substitutes(conn: &mut Conn, run: &Run, policy: &Policy, now: Instant) -> Result<bool> {
    if now >= leading::take_over_deadline(run, policy) {
        return Ok(false);
    }
    Ok(match run.status {
        RunStatus::Paused => true,
        RunStatus::Published => missing(conn, run, policy, now)? > 0,
        RunStatus::Draft | RunStatus::Cancelled | RunStatus::Completed => false,
    })
}

/// Calls whoever could help, but for one who has just said that they cannot; once for each pause, and once for each number
/// of facilitators that is too small.
pub fn call(tx: &mut Tx<'_>, locked: &RunLocked, but: Option<Id>, policy: &Policy, now: Instant) -> Result<()> {
    if !wants_substitutes(tx, &locked.run, policy, now)? {
        return Ok(());
    }
    let run = locked.run.id;
    let occasion = match locked.run.paused_at {
        Some(since) if locked.run.status == RunStatus::Paused => format!("paused:{since}"),
        _ => format!("short:{}:{}", facilitators::active_on(tx, run, now)?.len(), locked.run.starts_at),
    };
    if !substitutes::note_call(tx, locked, &occasion, now)? {
        return Ok(());
    }
    let wanted = Notice::SubstituteWanted { run_id: run };
    for person in whom_to_call(tx, &locked.run, but, &wanted, policy, now)? {
        let promise = Promise::new(person, wanted.clone()).of_run(run);
        outbox::promise(tx, promise.once(format!("call:{run}:{occasion}:{person}")), now)?;
    }
    Ok(())
}

/// The people who are called now, those first whom the run suits best: they could help, have the time, and have not been
/// called too often today.
fn whom_to_call(
    conn: &mut Conn,
    run: &Run,
    but: Option<Id>,
    wanted: &Notice,
    policy: &Policy,
    now: Instant,
) -> Result<Vec<Id>> {
    let mut able = could_help(conn, run, now)?;
    let people: Vec<Id> = able.keys().copied().collect();
    // Whoever is elsewhere then would be refused.
    let away = overlaps::cannot_lead(conn, &people, run)?;
    let called = outbox::promised_since(conn, &people, wanted.name(), now.plus_hours(-24))?;
    let has_time = |person: &Id| called.get(person).is_none_or(|calls| *calls < CALLS_A_DAY);
    able.retain(|person, _| Some(*person) != but && !away.contains(person) && has_time(person));
    let mut order = choosing::in_order(conn, run, &able, policy, now)?;
    order.truncate(CALLED_AT_ONCE);
    Ok(order)
}

/// Whoever may and could lead a run: listed on it, or approved and within reach; in good standing until the day of the run,
/// and with nothing between them and anybody on it. Each with how far away they are, in kilometres.
fn could_help(conn: &mut Conn, run: &Run, now: Instant) -> Result<BTreeMap<Id, f64>> {
    let listings = facilitators::listings(conn, &[run.id])?;
    let leads = |listing: &&facilitators::Listing| {
        listing.status == ListingStatus::Accepted && listing.role == ListingRole::Leader
    };
    let leading: BTreeSet<Id> = listings.iter().filter(leads).map(|listing| listing.account_id).collect();
    let mut away = within_reach(conn, run, now)?;
    away.extend(listings.iter().map(|listing| (listing.account_id, 0.0)));
    away.retain(|person, _| !leading.contains(person));
    let people: Vec<Id> = away.keys().copied().collect();
    let good = facilitators::in_good_standing(conn, &people, now)?;
    let lapsed = facilitators::lapsed_at(conn, &people, run.starts_at)?;
    let apart = kept_apart(conn, run, &people, now)?;
    let mut able = BTreeMap::new();
    for (person, km) in away {
        let fine = good.contains(&person) && !lapsed.contains(&person) && !apart.contains(&person);
        if fine && !entry::is_closed_to(conn, person, run.id, now)? {
            able.insert(person, km);
        }
    }
    Ok(able)
}

/// Approved facilitators to whom this run is near enough: by their home and travel radius, or, without a running profile,
/// by the runs that they led lately. Each with how far away that is, in kilometres.
fn within_reach(conn: &mut Conn, run: &Run, now: Instant) -> Result<BTreeMap<Id, f64>> {
    let place: LatLng = run.shown();
    let mut near = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for (person, home) in substitutes::approved(conn)? {
        match home.and_then(|(cell, radius)| Some((cell.parse::<Cell>().ok()?, radius))) {
            Some((cell, radius)) => {
                let away = cell.centre().distance_km(&place);
                if away <= radius {
                    near.insert(person, away);
                }
            }
            None => {
                unknown.insert(person);
            }
        }
    }
    if !unknown.is_empty() {
        let around = BoundingBox::around(place, NEARBY_KM);
        let led = substitutes::led_between(conn, now.plus_days(-LATELY_DAYS), now, &around)?;
        for (leader, at) in led.iter().filter(|(leader, _)| unknown.contains(leader)) {
            let away = at.distance_km(&place);
            if away <= NEARBY_KM {
                let nearest = near.entry(*leader).or_insert(away);
                *nearest = nearest.min(away);
            }
        }
    }
    Ok(near)
}

/// Those of `people` between whom and somebody on the run a block or a bar stands, in whichever direction.
fn kept_apart(conn: &mut Conn, run: &Run, people: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    let mut apart = BTreeSet::new();
    for there in blocks::people_in(conn, run.id)? {
        apart.extend(blocks::apart_from(conn, there)?);
        apart.extend(moderation::bars_against(conn, there, now)?.into_iter().map(|bar| bar.facilitator_id));
        apart.extend(moderation::bars_by(conn, there, people, now)?.into_iter().map(|bar| bar.account_id));
    }
    Ok(apart)
}

/// Whether this person is one of those who could be called to a run now; for whoever offers to help. That they are
/// expected elsewhere is told apart.
pub fn is_called(conn: &mut Conn, person: Id, run: &Run, policy: &Policy, now: Instant) -> Result<bool> {
    Ok(wants_substitutes(conn, run, policy, now)? && could_help(conn, run, now)?.contains_key(&person))
}
