//! Keyed hashes of accounts' addresses, by which what was asked for with an address is matched to an account later.

use crate::{
    auth::AddressHasher,
    domain::{
        account::normalise_email,
        address::{AddressHashes, mailbox},
    },
    error::Result,
    id::Id,
    store::{
        Conn, Db, Tx,
        accounts::{self, Account},
        moderation,
    },
};

/// Accounts hashed in one transaction.
const BATCH: i64 = 500;

/// The hashes of an address, however it was typed.
pub fn hashes(hasher: &AddressHasher, email: &str) -> AddressHashes {
    AddressHashes { address: hasher.hash(&normalise_email(email)), mailbox: hasher.hash(&mailbox(email)) }
}

/// Hashes addresses that have no hashes yet: of accounts that an older release made, or whose address changed. Returns
/// how many there were; nearly always none.
pub fn fill_missing(tx: &mut Tx<'_>, hasher: &AddressHasher) -> Result<usize> {
    let bare = accounts::without_hashes(tx, BATCH)?;
    for (id, email) in &bare {
        accounts::set_hashes(tx, *id, &hashes(hasher, email))?;
    }
    Ok(bare.len())
}

/// Hashes the address of an account that has no hashes yet.
pub fn keep_missing(tx: &mut Tx<'_>, account: &Account, hasher: &AddressHasher) -> Result<()> {
    if accounts::find_hashes(tx, account.id)?.is_some() {
        return Ok(());
    }
    keep(tx, account.id, &hashes(hasher, &account.email))
}

/// Hashes all addresses that have no hashes yet, and lets older bans reach the mailboxes of whom they are about.
pub fn fill_all_missing(db: &Db, hasher: &AddressHasher) -> Result<()> {
    let mut filled = false;
    while db.write_here(|tx| fill_missing(tx, hasher))? > 0 {
        filled = true;
    }
    if filled { db.write_here(moderation::ban_mailboxes) } else { Ok(()) }
}

/// Whether one of these hashes is a banned one.
pub fn is_banned(conn: &mut Conn, hashes: &AddressHashes) -> Result<bool> {
    Ok(moderation::address_is_banned(conn, &hashes.address)? | moderation::address_is_banned(conn, &hashes.mailbox)?)
}

/// Keeps the hashes of a new account, or of one with a new address.
pub fn keep(tx: &mut Tx<'_>, account: Id, hashes: &AddressHashes) -> Result<()> {
    accounts::set_hashes(tx, account, hashes)
}
