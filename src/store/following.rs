//! Decisions that follow one about another account of the same mailbox.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::{
    db::Conn,
    moderation::Sanction,
    schema::{accounts, sanctions},
};
use crate::{
    clock::Instant,
    domain::{
        account::AccountStatus,
        address,
        moderation::{SanctionKind, SanctionScope},
    },
    error::Result,
    id::Id,
};

/// Values in one statement; SQLite takes 32,766.
const BATCH: usize = 10_000;

/// The decisions that follow this one, in the order of their ids; whoever made it bounded their number.
pub fn of(conn: &mut Conn, decision: Id) -> Result<Vec<Sanction>> {
    Ok(sanctions::table
        .filter(sanctions::follows_id.eq(decision))
        .order(sanctions::id)
        .select(Sanction::as_select())
        .load(conn)?)
}

/// A decision that keeps out of the site and stands, with what is compared to find the other accounts of the mailbox.
struct Main {
    decision: Id,
    account: Id,
    mailbox: String,
}

/// Decisions that keep out of the site and that an active account of the same mailbox escapes, in the order of their ids:
/// made before decisions reached mailboxes, or before all accounts were hashed, or about more accounts than one decision
/// reaches. Only where the provider says that it is one mailbox.
pub fn escaped(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let mains = standing_mains(conn, now)?;
    let mailboxes: Vec<&str> = mains.iter().map(|main| main.mailbox.as_str()).collect();
    let sharing = active_by_mailbox(conn, &mailboxes)?;
    let others = |main: &Main| {
        let all = sharing.get(&main.mailbox).into_iter().flatten();
        all.copied().filter(|account| *account != main.account).collect::<Vec<Id>>()
    };
    let shared: Vec<(Id, Vec<Id>)> =
        mains.iter().map(|main| (main.decision, others(main))).filter(|(_, others)| !others.is_empty()).collect();
    let reached = reached_by(conn, &shared.iter().map(|(decision, _)| *decision).collect::<Vec<_>>())?;
    let escapes = |(decision, others): (Id, Vec<Id>)| {
        others.iter().any(|account| !reached.contains(&(decision, *account))).then_some(decision)
    };
    Ok(shared.into_iter().filter_map(escapes).collect())
}

fn standing_mains(conn: &mut Conn, now: Instant) -> Result<Vec<Main>> {
    let rows: Vec<(Id, Id, String, Option<String>)> = sanctions::table
        .inner_join(accounts::table.on(accounts::id.eq(sanctions::account_id)))
        .filter(sanctions::follows_id.is_null())
        .filter(sanctions::kind.ne(SanctionKind::Warning))
        .filter(sanctions::scope.eq(SanctionScope::Site))
        .filter(sanctions::lifted_at.is_null())
        .filter(sanctions::expires_at.is_null().or(sanctions::expires_at.gt(now)))
        .order(sanctions::id)
        .select((sanctions::id, accounts::id, accounts::email, accounts::mailbox_hash))
        .load(conn)?;
    let sure = rows.into_iter().filter(|(_, _, email, _)| address::is_one_mailbox(email));
    Ok(sure.filter_map(|(decision, account, _, mailbox)| Some(Main { decision, account, mailbox: mailbox? })).collect())
}

fn active_by_mailbox(conn: &mut Conn, mailboxes: &[&str]) -> Result<BTreeMap<String, Vec<Id>>> {
    let mut found: BTreeMap<String, Vec<Id>> = BTreeMap::new();
    for some in mailboxes.chunks(BATCH) {
        let rows: Vec<(Option<String>, Id)> = accounts::table
            .filter(accounts::mailbox_hash.eq_any(some))
            .filter(accounts::status.eq(AccountStatus::Active))
            .select((accounts::mailbox_hash, accounts::id))
            .load(conn)?;
        for (mailbox, account) in rows {
            found.entry(mailbox.unwrap_or_default()).or_default().push(account);
        }
    }
    Ok(found)
}

fn reached_by(conn: &mut Conn, decisions: &[Id]) -> Result<BTreeSet<(Id, Id)>> {
    let mut reached = BTreeSet::new();
    for some in decisions.chunks(BATCH) {
        let rows: Vec<(Option<Id>, Id)> = sanctions::table
            .filter(sanctions::follows_id.eq_any(some.iter().copied().map(Some)))
            .select((sanctions::follows_id, sanctions::account_id))
            .load(conn)?;
        reached.extend(rows.into_iter().filter_map(|(decision, account)| Some((decision?, account))));
    }
    Ok(reached)
}
