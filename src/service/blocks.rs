//! Blocks: one person never wants to meet another, and nobody else learns of it. Promise 5.
//!
//! A block locks both people, writes its row and then locks every run to come in which either is or waits. Whoever
//! seats or offers does so under the person's or the run's lock, so either they see the row or they are seen here.
//! What is answered never depends on whether there is such a person.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    auth::AddressHasher,
    clock::Instant,
    config::Policy,
    domain::{
        address::{AddressHashes, AddressRequestKind},
        moderation::Act,
        refusal::{Code, Faults, Refusal},
        run::{ListingStatus, RunStatus},
        signup::{Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{accounts as account_rules, address_requests, addresses as address_hashes, callers, notices, places},
    store::{
        Conn, Tx, accounts, audit,
        blocks::{self, Block},
        facilitators,
        outbox::{self, Promise},
        runs::{self, RunLocked},
        signups,
    },
};

pub mod finding;

/// How many blocks of one person may stand at once. Promise 5.
pub const MAX_STANDING: usize = 20;
/// How many one person may make in [`MADE_DAYS`], those taken back included: twice what may stand, so that mistakes can
/// be mended, and too few to feel out who is where.
pub const MAX_MADE: usize = 40;
/// Days over which blocks that were made are counted; what ended is forgotten after them.
pub const MADE_DAYS: i64 = 30;

/// The body of `POST /blocks`: exactly one of `account_id`, `email`, and `run_id` with `description`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBlock {
    #[serde(default)]
    pub account_id: Option<Id>,
    /// Also holds for whoever registers with this address later.
    #[serde(default)]
    #[schema(format = "email", max_length = 254)]
    pub email: Option<String>,
    /// A run on which the caller was.
    #[serde(default)]
    pub run_id: Option<Id>,
    /// "The man in the red jacket": a moderator finds the person.
    #[serde(default)]
    #[schema(max_length = 500, pattern = r"\S")]
    pub description: Option<String>,
    /// To recognise the block by; for the caller alone.
    #[serde(default)]
    #[schema(format = "line", max_length = 500)]
    pub note: Option<String>,
}

/// Whom a block is about, as the blocker says it.
enum Whom {
    Account(Id),
    Address(AddressHashes),
    Described { run: Id, description: String },
}

/// Whether the caller may speak about the run that they name: one that has begun and on which they were.
///
/// # Errors
/// Not found for every other run.
pub fn was_on_named_run(conn: &mut Conn, blocker: Id, new: &NewBlock, now: Instant) -> Result<()> {
    let Some(run) = new.run_id else { return Ok(()) };
    let begun = runs::find(conn, run)?.is_some_and(|run| run.starts_at <= now);
    let was_on = blocks::people_of_past_run(conn, run)?.iter().any(|(person, _)| *person == blocker);
    if begun && was_on { Ok(()) } else { Err(Error::NotFound) }
}

/// Makes a block; the same again gives the one that stands. Nobody who is in a run is put out: where both are in one to
/// come, the blocker alone is told.
///
/// # Errors
/// Not found for a run on which the blocker was not, [`Code::BlockYourself`], [`Code::TooManyBlocks`],
/// [`Code::BlocksMadeTooOften`] with `until`.
pub fn make(
    tx: &mut Tx<'_>,
    blocker: Id,
    new: &NewBlock,
    addresses: &AddressHasher,
    policy: &Policy,
    now: Instant,
) -> Result<Block> {
    was_on_named_run(tx, blocker, new, now)?;
    let whom = whom(new, addresses)?;
    let named = match &whom {
        Whom::Account(id) => Some(*id),
        // Whose it is, the worker looks up.
        Whom::Address(_) | Whom::Described { .. } => None,
    };
    let blocked = lock_pair(tx, blocker, named)?;
    callers::ensure_active(tx, blocker, now)?;
    let own = address_hashes::hashes(addresses, &accounts::get(tx, blocker)?.email);
    let oneself = match &whom {
        Whom::Account(id) => *id == blocker,
        Whom::Address(hashes) => hashes.mailbox == own.mailbox,
        Whom::Described { .. } => false,
    };
    if oneself {
        return Err(Code::BlockYourself.into());
    }
    let standing = blocks::standing_of(tx, blocker, None, i64::try_from(MAX_STANDING).unwrap_or(i64::MAX))?;
    if let Some(same) = standing.iter().find(|block| is_about(block, &whom)) {
        return Ok(same.clone());
    }
    within_budget(tx, blocker, standing.len(), now)?;
    let block = written(blocker, blocked, &whom, new, now);
    blocks::insert(tx, &block)?;
    record(tx, Act::BlockSet, blocker, &block, now)?;
    if block.waits_for_team() {
        finding::tell_team(tx, &block, now)?;
    }
    match (&whom, blocked) {
        (Whom::Address(hashes), _) => {
            address_hashes::fill_missing(tx, addresses)?;
            let kind = AddressRequestKind::Block;
            address_requests::ask(tx, kind, &hashes.address, Some(block.id), now)?;
        }
        (_, Some(blocked)) => keep_apart(tx, &block, blocked, policy, now)?,
        (_, None) => {}
    }
    Ok(block)
}

fn whom(new: &NewBlock, addresses: &AddressHasher) -> Result<Whom> {
    let mut faults = Faults::default();
    if let Some(email) = &new.email {
        account_rules::email_faults(&mut faults, email);
    }
    let words = "give account_id, or email, or run_id and description";
    let whom = match (new.account_id, &new.email, new.run_id, &new.description) {
        (Some(account), None, None, None) => Some(Whom::Account(account)),
        (None, Some(email), None, None) => Some(Whom::Address(address_hashes::hashes(addresses, email))),
        (None, None, Some(run), Some(description)) => {
            Some(Whom::Described { run, description: description.trim().to_owned() })
        }
        (None, None, Some(_), None) => {
            faults.unless(false, "/description", "required", "say whom you mean");
            None
        }
        (None, None, None, Some(_)) => {
            faults.unless(false, "/run_id", "required", "say on which run you met");
            None
        }
        _ => {
            faults.unless(false, "/account_id", "one_of_three", words);
            None
        }
    };
    faults.none()?;
    whom.ok_or_else(|| Error::Internal(anyhow::anyhow!("a block about nobody without a fault")))
}

/// Locks both people in the order of their ids; the other may have gone in the meantime.
pub(super) fn lock_pair(tx: &mut Tx<'_>, blocker: Id, other: Option<Id>) -> Result<Option<Id>> {
    let mut found = None;
    let people: std::collections::BTreeSet<Id> = other.into_iter().chain([blocker]).collect();
    for id in people {
        match accounts::lock(tx, id) {
            Ok(_) if Some(id) == other => found = other,
            Err(Error::NotFound) if id != blocker => {}
            locked => {
                locked?;
            }
        }
    }
    Ok(found)
}

/// Whether a standing block says the same. Each way to name somebody stands for itself: else the answer would tell that an
/// address is that of an account.
fn is_about(block: &Block, whom: &Whom) -> bool {
    match whom {
        Whom::Account(id) => block.named_id == Some(*id),
        Whom::Address(hashes) => {
            block.email_hash.as_ref().is_some_and(|known| [&hashes.mailbox, &hashes.address].contains(&known))
        }
        Whom::Described { run, description } => {
            block.run_id == Some(*run) && block.description.as_ref() == Some(description)
        }
    }
}

fn within_budget(conn: &mut Conn, blocker: Id, standing: usize, now: Instant) -> Result<()> {
    if standing >= MAX_STANDING {
        return Err(Code::TooManyBlocks.into());
    }
    let made = blocks::made_since(conn, blocker, now.plus_days(-MADE_DAYS))?;
    match made.len().checked_sub(MAX_MADE).and_then(|at| made.get(at)) {
        Some(oldest) => Err(Refusal::from(Code::BlocksMadeTooOften).with("until", oldest.plus_days(MADE_DAYS)).into()),
        None => Ok(()),
    }
}

fn written(blocker: Id, blocked: Option<Id>, whom: &Whom, new: &NewBlock, now: Instant) -> Block {
    let (mut named_id, mut email_hash, mut run_id, mut description) = (None, None, None, None);
    match whom {
        Whom::Account(id) => named_id = Some(*id),
        Whom::Address(hashes) => email_hash = Some(hashes.mailbox.clone()),
        Whom::Described { run, description: words } => (run_id, description) = (Some(*run), Some(words.clone())),
    }
    Block {
        id: Id::at(now),
        blocker_id: blocker,
        blocked_id: blocked,
        named_id,
        email_hash,
        run_id,
        description,
        note: new.note.clone().filter(|note| !note.trim().is_empty()),
        created_at: now,
        resolved_by: None,
        resolved_at: None,
        ended_at: None,
    }
}

/// How somebody stands to a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Not there, or waiting.
    Out,
    /// A place is held for them.
    Offered,
    /// Has a place or leads it.
    In,
}

fn presence(conn: &mut Conn, person: Id, run: Id) -> Result<Presence> {
    let listing = facilitators::find_listing(conn, run, person)?;
    if listing.is_some_and(|listing| listing.status == ListingStatus::Accepted) {
        return Ok(Presence::In);
    }
    let live = signups::live_in(conn, person, run)?.map(|signup| signup.status);
    Ok(match live {
        Some(SignupStatus::Confirmed | SignupStatus::Attended) => Presence::In,
        Some(SignupStatus::Offered) => Presence::Offered,
        _ => Presence::Out,
    })
}

/// Sees to the runs to come in which either is, once a block stands between two people whose rows are locked: who is only
/// offered a place where the other is waits on, without a word, and who is in stays in. Where both are in, the blocker
/// is told.
pub(super) fn keep_apart(tx: &mut Tx<'_>, block: &Block, blocked: Id, policy: &Policy, now: Instant) -> Result<()> {
    let blocker = block.blocker_id;
    let mut both_are_in = false;
    for run in blocks::runs_to_come_of(tx, &[blocker, blocked], now)? {
        let mut locked = runs::lock(tx, run)?;
        let pair = (presence(tx, blocker, run)?, presence(tx, blocked, run)?);
        let second = match pair {
            (Presence::In | Presence::Offered, Presence::Offered) => blocked,
            (Presence::Offered, Presence::In) => blocker,
            (Presence::In, Presence::In) => {
                both_are_in = true;
                continue;
            }
            _ => continue,
        };
        take_offer_back(tx, &mut locked, second, policy, now)?;
    }
    if both_are_in {
        let notice = Notice::BothAreIn { block_id: block.id };
        outbox::promise(tx, Promise::new(blocker, notice).once(format!("block:{}", block.id)), now)?;
    }
    Ok(())
}

/// The place goes to somebody else, as one that nobody took; the number in the line stays, since nobody let anything go.
fn take_offer_back(tx: &mut Tx<'_>, locked: &mut RunLocked, person: Id, policy: &Policy, now: Instant) -> Result<()> {
    for mut signup in signups::of_person_in_run(tx, person, locked.run.id)? {
        if signup.status == SignupStatus::Offered {
            places::move_signup(tx, locked, &mut signup, SignupAct::Lapse, Actor::System, now)?;
        }
    }
    places::settle(tx, locked, policy, now)?;
    Ok(())
}

/// The runs to come in which both people of a standing block are, by start.
pub fn shared_runs(conn: &mut Conn, block: &Block, now: Instant) -> Result<Vec<runs::Run>> {
    if block.ended_at.is_some() {
        return Ok(Vec::new());
    }
    let people = blocks::people_behind(conn, block)?;
    let mut shared = Vec::new();
    for run in blocks::runs_to_come_of(conn, &[block.blocker_id], now)? {
        let mut both = false;
        if presence(conn, block.blocker_id, run)? == Presence::In {
            for person in &people {
                both |= presence(conn, *person, run)? == Presence::In;
            }
        }
        let run = runs::get(conn, run)?;
        if both && matches!(run.status, RunStatus::Published | RunStatus::Paused) {
            shared.push(run);
        }
    }
    shared.sort_by_key(|run| (run.starts_at, run.id));
    Ok(shared)
}

/// Takes one's block back; whom it was about is forgotten.
///
/// # Errors
/// Not found for anybody else's.
pub fn take_back(tx: &mut Tx<'_>, blocker: Id, block: Id, now: Instant) -> Result<()> {
    accounts::lock(tx, blocker)?;
    let found = blocks::find(tx, block)?.filter(|block| block.blocker_id == blocker).ok_or(Error::NotFound)?;
    end(tx, found, Act::BlockLifted, blocker, now)
}

/// Ends a block of a person whose row is locked.
pub(super) fn end(tx: &mut Tx<'_>, mut block: Block, act: Act, by: Id, now: Instant) -> Result<()> {
    if block.ended_at.is_some() {
        return Ok(());
    }
    record(tx, act, by, &block, now)?;
    block.end(now);
    blocks::update(tx, &block)
}

fn record(tx: &mut Tx<'_>, act: Act, actor: Id, block: &Block, now: Instant) -> Result<()> {
    let about = json!({ "block_id": block.id });
    let deed = audit::AuditEvent { act, actor: Some(actor), subject: block.blocked_id, run: block.run_id, about };
    audit::record(tx, deed, now)
}

pub(super) fn tell_blocker(tx: &mut Tx<'_>, block: &Block, now: Instant) -> Result<()> {
    notices::to_person(tx, block.blocker_id, Notice::BlockLookedAt { block_id: block.id }, now)
}
