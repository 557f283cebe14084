//! Blocks: one person never wants to meet another.
//!
//! A block knows its person by account, by the keyed hash of an address that may have no account yet, or, until a
//! moderator has found them, by a description alone. What is ended keeps nothing but when it was made, for the budget.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{
    accounts,
    db::{Conn, Tx},
    schema::{blocks, run_facilitators, runs, signups},
};
use crate::{
    clock::Instant,
    domain::{
        address::AddressHashes,
        run::{ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
};

/// A block as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = blocks, treat_none_as_null = true)]
pub struct Block {
    pub id: Id,
    pub blocker_id: Id,
    /// None while nobody is known: no such account, none with the address yet, or not found yet.
    pub blocked_id: Option<Id>,
    /// The account id that the blocker gave, whether or not there is such an account.
    pub named_id: Option<Id>,
    /// The keyed hash of the address that the blocker gave.
    pub email_hash: Option<String>,
    /// The run on which the blocker met somebody whom they can only describe.
    pub run_id: Option<Id>,
    pub description: Option<String>,
    /// The blocker's own, for them alone.
    pub note: Option<String>,
    pub created_at: Instant,
    /// The moderator who found the person, or could not.
    pub resolved_by: Option<Id>,
    pub resolved_at: Option<Instant>,
    pub ended_at: Option<Instant>,
}

impl Block {
    /// Whether a moderator has yet to find the person.
    pub fn waits_for_team(&self) -> bool {
        self.description.is_some() && self.resolved_at.is_none() && self.ended_at.is_none()
    }

    /// Ends it and forgets whom it was about and what was said.
    pub fn end(&mut self, now: Instant) {
        *self = Self {
            blocked_id: None,
            named_id: None,
            email_hash: None,
            run_id: None,
            description: None,
            note: None,
            ended_at: Some(now),
            ..self.clone()
        };
    }
}

/// Keeps a block.
pub fn insert(tx: &mut Tx<'_>, block: &Block) -> Result<()> {
    diesel::insert_into(blocks::table).values(block).execute(&mut **tx)?;
    touch(tx, block.blocker_id, block.blocked_id);
    Ok(())
}

/// Writes every field of a block.
pub fn update(tx: &mut Tx<'_>, block: &Block) -> Result<()> {
    let before = find(tx, block.id)?.and_then(|known| known.blocked_id);
    diesel::update(blocks::table.find(block.id)).set(block).execute(&mut **tx)?;
    touch(tx, block.blocker_id, before);
    touch(tx, block.blocker_id, block.blocked_id);
    Ok(())
}

fn touch(tx: &mut Tx<'_>, blocker: Id, blocked: Option<Id>) {
    tx.touch_person(blocker);
    blocked.into_iter().for_each(|blocked| tx.touch_person(blocked));
}

/// The block, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Block>> {
    Ok(blocks::table.find(id).select(Block::as_select()).first(conn).optional()?)
}

/// One person's standing blocks, newest first, after `cursor`.
pub fn standing_of(conn: &mut Conn, blocker: Id, cursor: Option<Id>, limit: i64) -> Result<Vec<Block>> {
    let mut query = blocks::table
        .filter(blocks::blocker_id.eq(blocker))
        .filter(blocks::ended_at.is_null())
        .select(Block::as_select())
        .into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(blocks::id.lt(cursor));
    }
    Ok(query.order(blocks::id.desc()).limit(limit).load(conn)?)
}

/// When the blocks that a person made since then were made, the oldest first, ended ones included.
pub fn made_since(conn: &mut Conn, blocker: Id, since: Instant) -> Result<Vec<Instant>> {
    Ok(blocks::table
        .filter(blocks::blocker_id.eq(blocker))
        .filter(blocks::created_at.gt(since))
        .order(blocks::created_at)
        .select(blocks::created_at)
        .load(conn)?)
}

/// Says whose address it is now: standing blocks of it, or of its mailbox, that are about nobody yet are about them.
pub fn link_address(tx: &mut Tx<'_>, hashes: &AddressHashes, account: Id) -> Result<()> {
    relink(tx, hashes, None, Some(account))
}

/// Says that an address is no longer somebody's: blocks of it are about nobody that is known.
pub fn unlink_address(tx: &mut Tx<'_>, hashes: &AddressHashes, account: Id) -> Result<()> {
    relink(tx, hashes, Some(account), None)
}

fn relink(tx: &mut Tx<'_>, hashes: &AddressHashes, from: Option<Id>, to: Option<Id>) -> Result<()> {
    let rows: Vec<(Id, Id, Option<Id>)> = blocks::table
        .filter(blocks::email_hash.eq_any([&hashes.address, &hashes.mailbox]))
        .filter(blocks::ended_at.is_null())
        .select((blocks::id, blocks::blocker_id, blocks::blocked_id))
        .load(&mut **tx)?;
    for (block, blocker, blocked) in rows {
        if blocked == from && to != Some(blocker) {
            diesel::update(blocks::table.find(block)).set(blocks::blocked_id.eq(to)).execute(&mut **tx)?;
            touch(tx, blocker, from.or(to));
        }
    }
    Ok(())
}

/// Everybody whom a block is about, in the order of their ids: several accounts may share the mailbox that it names. Never
/// the blocker.
pub fn people_behind(conn: &mut Conn, block: &Block) -> Result<Vec<Id>> {
    let mut people: BTreeSet<Id> = block.blocked_id.into_iter().collect();
    if let Some(hash) = &block.email_hash {
        people.extend(accounts::with_hash(conn, hash)?);
    }
    people.remove(&block.blocker_id);
    Ok(people.into_iter().collect())
}

/// Descriptions that wait for a moderator, the oldest first, after `cursor`.
pub fn waiting_for_team(conn: &mut Conn, cursor: Option<Id>, limit: i64) -> Result<Vec<Block>> {
    let mut query = blocks::table
        .filter(blocks::description.is_not_null())
        .filter(blocks::resolved_at.is_null())
        .filter(blocks::ended_at.is_null())
        .select(Block::as_select())
        .into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(blocks::id.gt(cursor));
    }
    Ok(query.order(blocks::id).limit(limit).load(conn)?)
}

/// Forgets blocks that ended before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(blocks::table.filter(blocks::ended_at.lt(before))).execute(&mut **tx)?)
}

/// Ids of the runs to come in which one of these people has a live sign-up or is listed, ascending: the order in which
/// they are locked.
pub fn runs_to_come_of(conn: &mut Conn, people: &[Id], now: Instant) -> Result<Vec<Id>> {
    let joined: Vec<Id> = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq_any(people))
        .filter(signups::status.eq_any(SignupStatus::LIVE.as_slice()))
        .filter(runs::starts_at.gt(now))
        .select(signups::run_id)
        .load(conn)?;
    let led: Vec<Id> = run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .filter(run_facilitators::account_id.eq_any(people))
        .filter(runs::starts_at.gt(now))
        .filter(runs::status.eq_any([RunStatus::Draft, RunStatus::Published, RunStatus::Paused].as_slice()))
        .select(run_facilitators::run_id)
        .load(conn)?;
    Ok(joined.into_iter().chain(led).collect::<BTreeSet<Id>>().into_iter().collect())
}

/// Who had a place in a run or led it, for a moderator who looks for somebody: ids with whether they led.
pub fn people_of_past_run(conn: &mut Conn, run: Id) -> Result<Vec<(Id, bool)>> {
    let was_on = [SignupStatus::Confirmed, SignupStatus::Attended, SignupStatus::NoShow];
    let seated: Vec<Id> = signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(was_on.as_slice()))
        .order(signups::id)
        .select(signups::account_id)
        .load(conn)?;
    let led: Vec<Id> = run_facilitators::table
        .filter(run_facilitators::run_id.eq(run))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .order(run_facilitators::account_id)
        .select(run_facilitators::account_id)
        .load(conn)?;
    Ok(led.into_iter().map(|id| (id, true)).chain(seated.into_iter().map(|id| (id, false))).collect())
}

/// Everybody between whom and this person a block stands, whichever of the two made it. A block of an address holds for
/// its owner from the moment it is made, also before the worker has looked whose the address is.
pub fn apart_from(conn: &mut Conn, person: Id) -> Result<BTreeSet<Id>> {
    let own = accounts::hashes_of(conn, person)?;
    let about = blocks::blocker_id.eq(person).or(blocks::blocked_id.eq(person)).or(blocks::email_hash.eq_any(own));
    let rows: Vec<(Id, Option<Id>, Option<String>)> = blocks::table
        .filter(blocks::ended_at.is_null())
        .filter(about)
        .select((blocks::blocker_id, blocks::blocked_id, blocks::email_hash))
        .load(conn)?;
    let mut apart = BTreeSet::new();
    for (blocker, blocked, hash) in rows {
        if blocker != person {
            apart.insert(blocker);
            continue;
        }
        apart.extend(blocked);
        if let Some(hash) = hash {
            apart.extend(accounts::with_hash(conn, &hash)?);
        }
    }
    apart.remove(&person);
    Ok(apart)
}

/// Who is in a run in any role: with a place, offered one, missing so far (they may come late), or listed as leading it.
pub fn people_in(conn: &mut Conn, run: Id) -> Result<BTreeSet<Id>> {
    let there = [SignupStatus::HOLDING.as_slice(), &[SignupStatus::NoShow]].concat();
    let seated: Vec<Id> = signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(there))
        .select(signups::account_id)
        .load(conn)?;
    let listed: Vec<Id> = run_facilitators::table
        .filter(run_facilitators::run_id.eq(run))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .select(run_facilitators::account_id)
        .load(conn)?;
    Ok(seated.into_iter().chain(listed).collect())
}

/// Whether a block stands between this person and somebody who is in this run.
pub fn stand_between(conn: &mut Conn, person: Id, run: Id) -> Result<bool> {
    let others = apart_from(conn, person)?;
    if others.is_empty() {
        return Ok(false);
    }
    Ok(!people_in(conn, run)?.is_disjoint(&others))
}
