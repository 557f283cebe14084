//! Whom a decision reaches: the account that it is about and, where the provider says that it is one mailbox, the other
//! active accounts of that mailbox, which belong to one person.
//!
//! All accounts are locked in one go, in the order of their ids, before anything is decided and before any run is locked.

use crate::{
    clock::Instant,
    domain::{
        account::{AccountStatus, Role},
        address,
        moderation::SanctionScope,
        refusal::Code,
    },
    error::Result,
    id::Id,
    service::impartiality,
    store::{
        Conn, Tx,
        accounts::{self, Account},
        following,
        moderation::{self, Sanction},
    },
};

/// Other accounts that one transaction reaches at most, in the order of their ids: far more than anybody has, and few
/// enough for runs not to wait long for their locks. The worker reaches the rest, as many at a time.
const OTHERS_MAX: usize = 50;

/// Locks an account, and gives the others, locked as well, that a decision reaches which keeps out of the site.
pub(super) fn lock(
    tx: &mut Tx<'_>,
    account: &Account,
    mailbox: &str,
    keeps_out_of_site: bool,
    now: Instant,
) -> Result<Vec<Id>> {
    let is_shared = keeps_out_of_site && address::is_one_mailbox(&account.email);
    let candidates = if is_shared { candidates(tx, account.id, mailbox, now)? } else { Vec::new() };
    lock_with_admins(tx, &[&[account.id], candidates.as_slice()].concat(), keeps_out_of_site)?;
    still_active(tx, account.id, mailbox, candidates)
}

/// Other accounts of a mailbox, those that are still open first. Whatever their state: one may be activated at this moment.
fn candidates(conn: &mut Conn, account: Id, mailbox: &str, now: Instant) -> Result<Vec<Id>> {
    let mut sharing = accounts::sharing_mailbox(conn, mailbox)?;
    sharing.retain(|(other, _)| *other != account);
    let others: Vec<Id> = sharing.iter().map(|(other, _)| *other).collect();
    let out = moderation::kept_out(conn, &others, SanctionScope::Site, now)?;
    sharing.sort_by_key(|(other, status)| (out.contains(other), *status != AccountStatus::Active, *other));
    sharing.truncate(OTHERS_MAX);
    Ok(sharing.into_iter().map(|(other, _)| other).collect())
}

/// The candidates that are active under the lock and have this mailbox still, in the order of their ids.
fn still_active(conn: &mut Conn, account: Id, mailbox: &str, candidates: Vec<Id>) -> Result<Vec<Id>> {
    if candidates.is_empty() {
        return Ok(candidates);
    }
    let active = active_sharing(conn, account, mailbox)?;
    Ok(active.into_iter().filter(|other| candidates.contains(other)).collect())
}

/// The other active accounts of a mailbox, in the order of their ids.
fn active_sharing(conn: &mut Conn, account: Id, mailbox: &str) -> Result<Vec<Id>> {
    let sharing = accounts::sharing_mailbox(conn, mailbox)?.into_iter();
    let active = sharing.filter(|(other, status)| *other != account && *status == AccountStatus::Active);
    Ok(active.map(|(other, _)| other).collect())
}

/// Locks these accounts, and all admins where one of them is among these: two admins must not put each other out at the
/// same moment.
fn lock_with_admins(tx: &mut Tx<'_>, people: &[Id], keeps_out_of_site: bool) -> Result<()> {
    let admins = if keeps_out_of_site { accounts::with_any_role(tx, &[Role::Admin])? } else { Vec::new() };
    if admins.iter().any(|admin| people.contains(admin)) {
        return accounts::lock_all(tx, &[people, admins.as_slice()].concat());
    }
    accounts::lock_all(tx, people)
}

/// Refuses a moderator who is one of the people, or between whom and one of them something stands.
///
/// # Errors
/// [`Code::NotForYourself`] and [`Code::AnotherDecides`].
pub(super) fn may_decide(conn: &mut Conn, moderator: Id, people: &[Id], now: Instant) -> Result<()> {
    if people.contains(&moderator) {
        return Err(Code::NotForYourself.into());
    }
    people.iter().try_for_each(|person| impartiality::ensure(conn, moderator, *person, now))
}

/// Whether somebody is left to run the installation when these people are kept out of it.
pub(super) fn leaves_an_admin(conn: &mut Conn, people: &[Id], now: Instant) -> Result<bool> {
    let admins = accounts::with_any_role(conn, &[Role::Admin])?;
    if !admins.iter().any(|admin| people.contains(admin)) {
        return Ok(true);
    }
    let out = moderation::kept_out(conn, &admins, SanctionScope::Site, now)?;
    Ok(admins.iter().any(|admin| !people.contains(admin) && !out.contains(admin)))
}

/// The accounts that escape a decision which stands, locked, as far as it can reach them: neither the decider nor the last
/// admin. What was lifted about one of them stays lifted.
pub(super) fn lock_escaped(tx: &mut Tx<'_>, decision: &Sanction, now: Instant) -> Result<Vec<Id>> {
    let mut escaped = escaped(tx, decision)?;
    escaped.truncate(OTHERS_MAX);
    lock_with_admins(tx, &[&[decision.account_id], escaped.as_slice()].concat(), true)?;
    // Another worker may have been faster.
    let still = self::escaped(tx, decision)?;
    escaped.retain(|other| still.contains(other));
    Ok(if leaves_an_admin(tx, &escaped, now)? { escaped } else { Vec::new() })
}

fn escaped(conn: &mut Conn, decision: &Sanction) -> Result<Vec<Id>> {
    let Some(hashes) = accounts::find_hashes(conn, decision.account_id)? else { return Ok(Vec::new()) };
    let reached: Vec<Id> = following::of(conn, decision.id)?.into_iter().map(|one| one.account_id).collect();
    let mut others = active_sharing(conn, decision.account_id, &hashes.mailbox)?;
    others.retain(|other| !reached.contains(other) && Some(*other) != decision.decided_by);
    Ok(others)
}

/// An account that a decision is about or may concern, as the team sees it: never with its address.
#[derive(Debug, Clone)]
pub struct SameMailbox {
    pub account_id: Id,
    pub display_name: String,
    /// The decision about it that follows the other.
    pub sanction_id: Option<Id>,
}

/// What a decision about one account means for others.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The accounts that decisions which follow this one are about.
    pub followed_by: Vec<SameMailbox>,
    /// Other active accounts of the mailbox that nothing keeps out. It may be another person's, so a moderator decides.
    pub open: Vec<SameMailbox>,
}

/// What a decision means for the other accounts of the mailbox.
pub fn of(conn: &mut Conn, decision: &Sanction, now: Instant) -> Result<Reach> {
    let following = following::of(conn, decision.id)?;
    let reached: Vec<Id> = following.iter().map(|one| one.account_id).collect();
    let mut open = match accounts::find_hashes(conn, decision.account_id)? {
        Some(hashes) => active_sharing(conn, decision.account_id, &hashes.mailbox)?,
        None => Vec::new(),
    };
    let out = moderation::kept_out(conn, &open, SanctionScope::Site, now)?;
    open.retain(|other| !out.contains(other));
    open.truncate(OTHERS_MAX);
    let names = accounts::display_names(conn, &[reached, open.clone()].concat())?;
    let named = |account_id: Id, sanction_id: Option<Id>| SameMailbox {
        account_id,
        display_name: names.get(&account_id).cloned().unwrap_or_default(),
        sanction_id,
    };
    Ok(Reach {
        followed_by: following.iter().map(|one| named(one.account_id, Some(one.id))).collect(),
        open: open.into_iter().map(|account| named(account, None)).collect(),
    })
}
