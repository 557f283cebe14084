//! What anybody can ask for with an address: the request writes one row that looks alike whether or not there is an
//! account, and the worker finds out later what it means. So neither the answer, nor how long it takes, nor how busy the
//! server is right after it tells who is here.

use std::collections::BTreeSet;

use super::{accounts as account_service, addresses, blocks as block_service};
use crate::{
    auth::AddressHasher,
    clock::Instant,
    config::Policy,
    domain::address::AddressRequestKind,
    error::{Error, Result},
    id::{Id, random_bytes},
    store::{
        Db, Tx, accounts,
        address_requests::{self as requests, AddressRequest},
        blocks,
    },
};

/// The shortest and the longest pause before the worker looks at a request, in seconds. Longer than anybody can keep
/// a server quiet to listen for it, and short enough for somebody who waits for a mail.
const PAUSE_MIN_S: i64 = 2;
/// See `PAUSE_MIN_S`; the worker's `tick` looks at everything that is due within it.
pub const PAUSE_MAX_S: i64 = 10;
/// Requests that may wait at a time, in all: some megabytes, and far more than come in ten seconds.
const WAITING_MAX: i64 = 10_000;
/// Requests that one look takes up.
const BATCH: i64 = 100;
/// Seconds before a request that failed is tried again.
const RETRY_S: i64 = 60;
/// Hours after which nobody waits for a mail any more that could not be decided about.
pub const KEPT_HOURS: i64 = 24;

/// Notes what was asked for with an address. Costs the same for every address.
///
/// # Errors
/// `Unavailable` when too many requests wait, whatever the address.
pub fn ask(
    tx: &mut Tx<'_>,
    kind: AddressRequestKind,
    address_hash: &str,
    block: Option<Id>,
    now: Instant,
) -> Result<()> {
    if requests::count(tx)? >= WAITING_MAX {
        return Err(Error::Unavailable("too many requests wait for the worker"));
    }
    let request = AddressRequest {
        id: Id::at(now),
        kind,
        address_hash: address_hash.to_owned(),
        block_id: block,
        created_at: now,
        due_at: after_a_pause(now),
    };
    requests::insert(tx, &request)
}

/// A random moment between the shortest and the longest pause.
fn after_a_pause(now: Instant) -> Instant {
    let spread = (PAUSE_MAX_S - PAUSE_MIN_S) * 1_000_000;
    let random = i64::from(u32::from_be_bytes(random_bytes::<4>())) * spread / (i64::from(u32::MAX) + 1);
    Instant::from_micros(now.micros() + PAUSE_MIN_S * 1_000_000 + random).unwrap_or(now)
}

/// Decides about the requests whose pause ended by `due`; returns how many there were. Each has a transaction of its own,
/// and one that fails waits a while without holding up the others.
pub fn decide_due(db: &Db, hasher: &AddressHasher, policy: &Policy, due: Instant, now: Instant) -> Result<usize> {
    let mut decided = 0;
    loop {
        let waiting = db.read_here(|conn| requests::due(conn, due, BATCH))?;
        let mut moved = false;
        for request in &waiting {
            match db.write_here(|tx| decide(tx, request, hasher, policy, now)) {
                Ok(acted) => {
                    moved = true;
                    decided += usize::from(acted);
                }
                Err(error) => {
                    tracing::warn!(request = %request.id, %error, "what was asked for with an address has to wait");
                    let later = due.plus_seconds(RETRY_S);
                    moved |= db.write_here(|tx| requests::put_off(tx, request.id, later)).is_ok();
                }
            }
        }
        if waiting.is_empty() || !moved {
            return Ok(decided);
        }
    }
}

/// Says whether this worker was the one who took the request.
fn decide(
    tx: &mut Tx<'_>,
    request: &AddressRequest,
    hasher: &AddressHasher,
    policy: &Policy,
    now: Instant,
) -> Result<bool> {
    if !requests::take(tx, request.id)? {
        return Ok(false);
    }
    addresses::fill_missing(tx, hasher)?;
    match request.block_id {
        Some(block) => find_blocked(tx, block, &request.address_hash, policy, now)?,
        None => {
            if let Some(account) = accounts::find_by_address_hash(tx, &request.address_hash)? {
                account_service::answer_request(tx, account, request.kind, now)?;
            }
        }
    }
    Ok(true)
}

/// Finds those with the mailbox that somebody blocked, and sees to the runs in which both are.
fn find_blocked(tx: &mut Tx<'_>, id: Id, address_hash: &str, policy: &Policy, now: Instant) -> Result<()> {
    let Some(seen) = blocks::find(tx, id)? else { return Ok(()) };
    let people = blocks::people_behind(tx, &seen)?;
    let everybody: BTreeSet<Id> = people.iter().copied().chain([seen.blocker_id]).collect();
    accounts::lock_all(tx, &everybody.into_iter().collect::<Vec<_>>())?;
    let Some(mut block) = blocks::find(tx, id)?.filter(|block| block.ended_at.is_none()) else { return Ok(()) };
    let exact = accounts::find_by_address_hash(tx, address_hash)?.filter(|person| people.contains(person));
    block.blocked_id = block.blocked_id.or(exact).or_else(|| people.first().copied());
    blocks::update(tx, &block)?;
    for person in people {
        block_service::keep_apart(tx, &block, person, policy, now)?;
    }
    Ok(())
}
