//! Alerts: runs that were posted or changed, whom they fit, and the mails that tell.
//!
//! Whoever posts or changes a run writes one row of the queue. The worker looks whom it fits and notes each pair of person
//! and run in the transaction that promises the mail: each pair is told once, ever, whatever two workers do. What is told
//! is weighed again when the mail is written. A run is judged as its matches are: blocks count with those who lead, never
//! with those who come, or an alert that stays away would tell who does.

mod dates;

use std::collections::BTreeSet;

use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::Policy,
    domain::{
        match_request::{AlertChoice, tell_at},
        matching::{Fit, IndexedRun, Scored, best, search::MatchSearch},
        moderation::SanctionScope,
        run::RunStatus,
    },
    error::Result,
    id::Id,
    mail::Notice,
    service::{
        match_requests, overlaps, places,
        run_sides::{self, Shared},
    },
    store::{
        Conn, Tx, accounts,
        alerts::{self, AlertState},
        blocks,
        match_requests::MatchRequest,
        moderation,
        outbox::{self, Promise},
        run_sides::Which,
        runs::{self, Run},
        signups,
    },
};

use dates::nearest_dates;

/// Seconds for which a worker has a run to itself.
const LEASE_S: i64 = 60;
/// Hours after which a mail that was to gather counts as lost: it was taken back by hand.
const LOST_AFTER_HOURS: i64 = 48;

/// Has the worker look whom these runs fit, those of them that are published and to come.
pub fn enqueue_alert_scan(tx: &mut Tx<'_>, some: &[&Run], now: Instant) -> Result<()> {
    let open = some.iter().filter(|run| run.status == RunStatus::Published && run.starts_at > now);
    alerts::queue_runs(tx, &open.map(|run| run.id).collect::<Vec<_>>(), now)
}

/// The least score of an alert.
pub fn least_score(policy: &Policy) -> f64 {
    policy.alert_fit_percent as f64 / 100.0
}

/// A run as the search for people sees it.
#[derive(Debug, Clone)]
pub struct Offer {
    pub side: IndexedRun,
    /// People who have run with one of its facilitators before.
    pub known_to: BTreeSet<Id>,
    /// People who are not told: they are told already, lead it, must not meet those who do, or have been on its list.
    pub left_out: BTreeSet<Id>,
    /// How many more people are told.
    pub room: usize,
}

/// Takes one run of the queue, if nobody was faster.
pub fn claim(tx: &mut Tx<'_>, one: alerts::Queued) -> Result<bool> {
    alerts::claim(tx, one, LEASE_S)
}

/// The facts about a run by which people are found; none when nobody is to be told of it now.
pub fn offer(conn: &mut Conn, run: Id, policy: &Policy, now: Instant) -> Result<Option<Offer>> {
    let mut sides = run_sides::read(conn, Which::These(&[run]), policy, &Shared::default(), now)?;
    let Some(side) = sides.pop().map(|read| read.side).filter(|side| !side.is_closed && !side.is_full) else {
        return Ok(None);
    };
    let Some(full) = runs::find(conn, run)? else { return Ok(None) };
    let left = places::of_runs(conn, std::slice::from_ref(&full), policy, now)?.get(&run).map_or(0, |room| room.left());
    let told = alerts::told_of(conn, run)?;
    let most = usize::try_from(left.saturating_mul(policy.alerts_per_place)).unwrap_or(0);
    let room = most.saturating_sub(told.len());
    if room == 0 {
        return Ok(None);
    }
    let listed: Vec<Id> = side.listed.iter().map(|listed| listed.id).collect();
    let active: Vec<Id> = side.listed.iter().filter(|listed| listed.is_active).map(|listed| listed.id).collect();
    let mut left_out = signups::everybody_in(conn, run)?;
    left_out.extend(&listed);
    left_out.extend(told);
    left_out.extend(moderation::barred_by(conn, &listed, now)?);
    for leader in side.listed.iter().filter(|listed| listed.is_accepted) {
        left_out.extend(blocks::apart_from(conn, leader.id)?);
    }
    Ok(Some(Offer { known_to: signups::who_know(conn, &active)?, side, left_out, room }))
}

/// Notes whom a run is told of and promises their mails; gives how many are new. Of people who are told already, who are
/// kept out, who want no such mails, or who are expected elsewhere at its time, nothing is noted.
pub fn note(tx: &mut Tx<'_>, run: Id, people: &[Id], policy: &Policy, now: Instant) -> Result<usize> {
    let mut people: Vec<Id> = people.to_vec();
    people.sort_unstable();
    // Whoever gathers somebody's mail holds their account too: nothing is found between that and its end.
    accounts::lock_all(tx, &people)?;
    let out = moderation::kept_out(tx, &people, SanctionScope::Site, now)?;
    let states = alerts::states(tx, &people)?;
    let wants = |person: &Id| states.get(person).is_none_or(|state| state.choice != AlertChoice::None);
    people.retain(|person| !out.contains(person) && wants(person));
    let Some(about) = runs::find(tx, run)? else { return Ok(0) };
    let elsewhere = overlaps::expected_elsewhere(tx, &people, &about)?;
    people.retain(|person| !elsewhere.contains(person));
    if people.is_empty() {
        return Ok(0);
    }
    let new = alerts::note(tx, run, &people, now)?;
    for person in &new {
        let state = states.get(person).cloned().unwrap_or_else(|| AlertState::usual(*person));
        promise_mail(tx, state, policy, now)?;
    }
    Ok(new.len())
}

/// Promises the mail that tells somebody, unless one waits that will gather this as well.
fn promise_mail(tx: &mut Tx<'_>, state: AlertState, policy: &Policy, now: Instant) -> Result<()> {
    let due = tell_at(state.choice, last_told(tx, &state, now)?, policy.alert_wait_minutes, now);
    let waits = state.mail_id.is_some() && state.due_at.is_some_and(|at| at.plus_hours(LOST_AFTER_HOURS) > now);
    // Whoever now wants to hear at once does not wait for the mail of the day.
    if waits && state.due_at.is_some_and(|at| at <= due || state.choice != AlertChoice::AtOnce) {
        return Ok(());
    }
    promise_at(tx, state, due, now)
}

fn promise_at(tx: &mut Tx<'_>, mut state: AlertState, due: Instant, now: Instant) -> Result<()> {
    let mail = Id::at(now);
    (state.mail_id, state.due_at) = (Some(mail), Some(due));
    alerts::put_state(tx, &state)?;
    let promise = Promise::new(state.account_id, Notice::RunsFound { mail_id: mail }).not_before(due);
    outbox::promise(tx, promise.once(once_key(mail)), now)?;
    Ok(())
}

fn once_key(mail: Id) -> String {
    format!("found:{mail}")
}

/// When somebody was told last. A mail that was written and has yet to leave, since the mail server was away, counts as
/// leaving now: the next comes a day after it.
fn last_told(conn: &mut Conn, state: &AlertState, now: Instant) -> Result<Option<Instant>> {
    let mail_id = state.mail_id.unwrap_or_else(Id::nil);
    let kind = Notice::RunsFound { mail_id }.name();
    let is_under_way = outbox::is_under_way(conn, state.account_id, kind, &once_key(mail_id))?;
    Ok(if is_under_way { Some(now) } else { state.gathered_at })
}

/// Notes that a mail that tells somebody has left.
pub fn left(tx: &mut Tx<'_>, account: Id, now: Instant) -> Result<()> {
    accounts::lock(tx, account)?;
    let mut state = alerts::state(tx, account)?;
    state.gathered_at = Some(now);
    alerts::put_state(tx, &state)
}

/// A run that fits somebody, and the request that it fits best.
#[derive(Debug, Clone)]
pub struct Told {
    pub run: Run,
    /// Further dates of its series that were found and fit as well.
    pub further: Vec<Id>,
    pub request: MatchRequest,
    pub fit: Fit,
}

impl Told {
    fn tells_of(&self, run: Id) -> bool {
        self.run.id == run || self.further.contains(&run)
    }
}

/// What a mail tells somebody, best first: all that was found since the last, as far as it is still true. What is not,
/// and was in no mail before, is forgotten: it was never told. Where the last left less than a day ago, nothing: another
/// mail is promised in its place.
pub fn gather(
    tx: &mut Tx<'_>,
    account: Id,
    mail: Id,
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Told>> {
    accounts::lock(tx, account)?;
    let mut state = alerts::state(tx, account)?;
    let is_first = state.mail_id == Some(mail);
    if is_first && state.choice == AlertChoice::Daily {
        let due = tell_at(state.choice, last_told(tx, &state, now)?, 0, now);
        if due > now {
            promise_at(tx, state, due, now)?;
            return Ok(Vec::new());
        }
    }
    let mut fresh = if is_first { alerts::gather(tx, account, mail)? } else { Vec::new() };
    let told = match state.choice {
        AlertChoice::None => Vec::new(),
        _ => {
            let runs = alerts::in_mail(tx, account, mail)?;
            still_fitting(tx, account, &runs, policy, keyring, now)?
        }
    };
    fresh.retain(|run| !told.iter().any(|told| told.tells_of(*run)));
    alerts::untell(tx, account, &fresh)?;
    if is_first {
        (state.mail_id, state.due_at) = (None, None);
        alerts::put_state(tx, &state)?;
    }
    Ok(told)
}

/// Those of these runs that fit one of somebody's standing requests well, best first, of each series the nearest date. A run
/// at the time of what they are on by now is none of them.
fn still_fitting(
    conn: &mut Conn,
    account: Id,
    ids: &[Id],
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Told>> {
    let search = MatchSearch::usual(now, policy.match_window_days, ids.len(), policy.match_floor);
    let viewers = match_requests::viewers(conn, account, policy, now)?;
    let been_in = signups::been_in(conn, account, ids)?;
    let sides = run_sides::read(conn, Which::These(ids), policy, &Shared::default(), now)?;
    let sides = sides.into_iter().map(|read| read.side).filter(|run| !been_in.contains(&run.id));
    let mut scored = Vec::new();
    for side in sides {
        let fits = viewers
            .iter()
            .enumerate()
            .filter_map(|(at, (_, viewer))| search.weigh(viewer, &side, now, |_| true).map(|scored| (scored, at)));
        let best = fits.max_by_key(|(scored, at)| (scored.steps(), std::cmp::Reverse(*at)));
        scored.extend(best.filter(|(scored, _)| is_good(scored, policy)).map(|(scored, at)| (scored, (side, at))));
    }
    let mut further = nearest_dates(&mut scored, |(_, (side, _))| side);
    let order = |(side, _): &(IndexedRun, usize)| (side.starts_at, *side.id.as_bytes());
    let ordered = best(scored, order, |run| keyring.tie(account, run), ids.len());
    let rows = runs::of_ids(conn, ids)?;
    let told = |(scored, (side, at)): (Scored, (IndexedRun, usize))| {
        let (request, viewer) = viewers.get(at)?;
        let run = rows.iter().find(|run| run.id == side.id)?.clone();
        let fit = scored.into_fit(&viewer.person, &side.candidate(viewer));
        Some(Told { further: further.remove(&run.id).unwrap_or_default(), run, request: request.clone(), fit })
    };
    Ok(ordered.into_iter().filter_map(told).collect())
}

/// Whether a score is one that is told.
pub fn is_good(scored: &Scored, policy: &Policy) -> bool {
    scored.steps() as f64 >= least_score(policy) * 1e9
}
