//! "The man in the red jacket on Tuesday": a moderator finds the person among those who were on the run. The blocker
//! hears that it is set, or that nobody was found, and no name.

use serde_json::json;

use super::{end, keep_apart, lock_pair, record, tell_blocker};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        account::Role,
        moderation::Act,
        refusal::{Code, Fault},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, day::retention::sealed_at, impartiality, notices},
    store::{
        Conn, Tx, accounts, audit,
        blocks::{self, Block},
        runs,
    },
};

/// Somebody who was on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasThere {
    pub account_id: Id,
    pub display_name: String,
    /// Led it.
    pub led: bool,
}

/// Tells the team that somebody has to be found.
pub(super) fn tell_team(tx: &mut Tx<'_>, block: &Block, now: Instant) -> Result<()> {
    for member in callers::rest_of_the_team(tx, block.blocker_id, now)? {
        if !is_concerned(tx, block, member, now)? {
            let notice = Notice::BlockAsked { block_id: block.id, others: Vec::new() };
            notices::of_act(tx, block.blocker_id, member, notice, now)?;
        }
    }
    Ok(())
}

/// Whether a moderator is the blocker, was on the run and so may be the one who is looked for, or has something open with
/// the blocker, while somebody else can look into it: then it is hidden from them.
pub fn is_concerned(conn: &mut Conn, block: &Block, moderator: Id, now: Instant) -> Result<bool> {
    let was_there = match block.run_id {
        Some(run) => blocks::people_of_past_run(conn, run)?.iter().any(|(person, _)| *person == moderator),
        None => false,
    };
    let is_party =
        was_there || block.blocker_id == moderator || impartiality::stands_between(conn, moderator, block.blocker_id)?;
    Ok(is_party && !callers::rest_of_the_team(conn, moderator, now)?.is_empty())
}

/// Whether a moderator may know that there is this block at all.
///
/// # Errors
/// Not found for whom it concerns, as for a block that does not exist.
pub fn not_hidden(conn: &mut Conn, moderator: Id, block: Id, now: Instant) -> Result<()> {
    let found = blocks::find(conn, block)?.ok_or(Error::NotFound)?;
    if is_concerned(conn, &found, moderator, now)? { Err(Error::NotFound) } else { Ok(()) }
}

/// A description that waits, for a moderator.
///
/// # Errors
/// Not found once it is decided, and for whom it concerns.
pub fn waiting(conn: &mut Conn, moderator: Id, block: Id, now: Instant) -> Result<Block> {
    let found = blocks::find(conn, block)?.filter(Block::waits_for_team).ok_or(Error::NotFound)?;
    if is_concerned(conn, &found, moderator, now)? { Err(Error::NotFound) } else { Ok(found) }
}

/// Who was on the run, but for the blocker; the look is kept in the audit log. None once the list of the run is sealed,
/// for whoever has no welfare duty. Promise 10.
pub fn people_of(
    tx: &mut Tx<'_>,
    moderator: Id,
    block: &Block,
    policy: &Policy,
    now: Instant,
) -> Result<Option<Vec<WasThere>>> {
    callers::still_moderates(tx, moderator, now)?;
    let Some(run) = block.run_id else { return Ok(None) };
    let sealed = sealed_at(&runs::get(tx, run)?, policy) <= now;
    if sealed && !accounts::roles(tx, moderator)?.contains(&Role::WelfareModerator) {
        return Ok(None);
    }
    let mut people = blocks::people_of_past_run(tx, run)?;
    people.retain(|(person, _)| *person != block.blocker_id);
    let ids: Vec<Id> = people.iter().map(|(person, _)| *person).collect();
    let names = accounts::display_names(tx, &ids)?;
    let about = json!({ "block_id": block.id });
    let deed =
        audit::AuditEvent { act: Act::BlockRosterRead, actor: Some(moderator), subject: None, run: Some(run), about };
    audit::record(tx, deed, now)?;
    let named = |(account_id, led): (Id, bool)| {
        Some(WasThere { account_id, display_name: names.get(&account_id)?.clone(), led })
    };
    Ok(Some(people.into_iter().filter_map(named).collect()))
}

/// A moderator has found the person: the block stands, and the blocker is told so.
///
/// # Errors
/// A fault for somebody who was not on the run; [`Code::BlockDecided`] when another was faster.
pub fn resolve(tx: &mut Tx<'_>, moderator: Id, block: Id, person: Id, policy: &Policy, now: Instant) -> Result<Block> {
    let seen = blocks::find(tx, block)?.ok_or(Error::NotFound)?;
    let there = lock_pair(tx, seen.blocker_id, Some(person))?;
    let mut block = still_waiting(tx, moderator, block, now)?;
    let was_on = match block.run_id {
        Some(run) => blocks::people_of_past_run(tx, run)?.iter().any(|(other, _)| *other == person),
        None => false,
    };
    if there.is_none() || !was_on || person == block.blocker_id {
        return Err(Fault::at("/account_id", "not_on_the_run", "name somebody else who was on that run").into());
    }
    block.blocked_id = Some(person);
    (block.resolved_by, block.resolved_at) = (Some(moderator), Some(now));
    blocks::update(tx, &block)?;
    record(tx, Act::BlockResolved, moderator, &block, now)?;
    tell_blocker(tx, &block, now)?;
    keep_apart(tx, &block, person, policy, now)?;
    Ok(block)
}

/// Nobody could be found: the blocker is told, so that they do not count on it.
///
/// # Errors
/// [`Code::BlockDecided`] when another was faster.
pub fn dismiss(tx: &mut Tx<'_>, moderator: Id, block: Id, now: Instant) -> Result<()> {
    let seen = blocks::find(tx, block)?.ok_or(Error::NotFound)?;
    accounts::lock(tx, seen.blocker_id)?;
    let mut block = still_waiting(tx, moderator, block, now)?;
    (block.resolved_by, block.resolved_at) = (Some(moderator), Some(now));
    tell_blocker(tx, &block, now)?;
    end(tx, block, Act::BlockDismissed, moderator, now)
}

/// Reads a description again under its blocker's lock.
fn still_waiting(tx: &mut Tx<'_>, moderator: Id, block: Id, now: Instant) -> Result<Block> {
    let found = blocks::find(tx, block)?.ok_or(Error::NotFound)?;
    if is_concerned(tx, &found, moderator, now)? {
        return Err(Error::NotFound);
    }
    if found.description.is_none() && found.resolved_at.is_none() && found.ended_at.is_none() {
        return Err(Error::NotFound);
    }
    if !found.waits_for_team() {
        return Err(Code::BlockDecided.into());
    }
    callers::still_moderates(tx, moderator, now)?;
    Ok(found)
}
