//! Admins: the first one from the command line, the roles they grant, and whom they look up.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    blank, lock_by_email,
    rules::{display_name_faults, email_faults, tidy_name},
};
use crate::{
    clock::Instant,
    domain::{
        account::{AccountStatus, Role, normalise_email},
        address::AddressHashes,
        moderation::{Act, SanctionScope},
        refusal::{Code, Faults},
    },
    error::{Error, Result},
    id::Id,
    service::{addresses, impartiality},
    store::{
        Conn, Tx,
        accounts::{self, Account},
        audit, blocks, moderation,
    },
};

/// The admin that the command line makes, the password hashed.
pub struct NewAdmin {
    pub email: String,
    pub display_name: String,
    pub password_hash: String,
    pub terms_version: String,
    /// The keyed hashes of the address.
    pub address_hashes: AddressHashes,
}

/// Makes an admin with a verified account, for the operator at the command line. The flag says whether it is new: an
/// admin who is there already is left as is, password and all.
///
/// # Errors
/// Every fault in address and name; [`Code::AddressTaken`] when the address has an account that is no admin's.
pub fn make_admin(tx: &mut Tx<'_>, new: &NewAdmin, now: Instant) -> Result<(Account, bool)> {
    let mut faults = Faults::default();
    email_faults(&mut faults, &new.email);
    display_name_faults(&mut faults, &new.display_name);
    faults.none()?;
    let mut account = blank(normalise_email(&new.email), AccountStatus::Active, now);
    account.password_hash = Some(new.password_hash.clone());
    account.display_name = tidy_name(&new.display_name);
    account.terms_version = Some(new.terms_version.clone());
    account.terms_accepted_at = Some(now);
    account.verified_at = Some(now);
    if !accounts::insert(tx, &account)? {
        let there = lock_by_email(tx, &account.email)?.ok_or(Error::NotFound)?;
        let same = there.status == AccountStatus::Active && accounts::roles(tx, there.id)?.contains(&Role::Admin);
        return if same { Ok((there, false)) } else { Err(Code::AddressTaken.into()) };
    }
    addresses::keep(tx, account.id, &new.address_hashes)?;
    blocks::link_address(tx, &new.address_hashes, account.id)?;
    accounts::grant_role(tx, account.id, Role::Admin, None, now)?;
    record(tx, Act::RoleGranted, None, account.id, Some(Role::Admin), now)?;
    Ok((account, true))
}

/// Grants a role to a verified account; to grant it again changes nothing.
///
/// # Errors
/// [`Code::AccountNotActive`] before the account is verified.
pub fn grant_role(tx: &mut Tx<'_>, admin: Id, account: Id, role: Role, now: Instant) -> Result<Account> {
    let account = lock_for_roles(tx, admin, account, now)?;
    if account.status != AccountStatus::Active {
        return Err(Code::AccountNotActive.into());
    }
    if accounts::grant_role(tx, account.id, role, Some(admin), now)? {
        record(tx, Act::RoleGranted, Some(admin), account.id, Some(role), now)?;
    }
    Ok(account)
}

/// Takes a role away; one that is not there is gone already.
///
/// # Errors
/// [`Code::LastAdmin`] when nobody would be left to run the installation.
pub fn revoke_role(tx: &mut Tx<'_>, admin: Id, account: Id, role: Role, now: Instant) -> Result<Account> {
    let account = lock_for_roles(tx, admin, account, now)?;
    impartiality::ensure(tx, admin, account.id, now)?;
    if role == Role::Admin && accounts::roles(tx, account.id)?.contains(&role) {
        let admins = accounts::with_any_role(tx, &[Role::Admin])?;
        let kept_out = moderation::kept_out(tx, &admins, SanctionScope::Site, now)?;
        if !admins.iter().any(|other| *other != account.id && !kept_out.contains(other)) {
            return Err(Code::LastAdmin.into());
        }
    }
    if accounts::revoke_role(tx, account.id, role)? {
        record(tx, Act::RoleRevoked, Some(admin), account.id, Some(role), now)?;
    }
    Ok(account)
}

/// Locks all admins and the account, in order of id, so that two admins cannot revoke each other, and reads again that
/// the actor still is one.
fn lock_for_roles(tx: &mut Tx<'_>, admin: Id, account: Id, now: Instant) -> Result<Account> {
    let mut people: BTreeSet<Id> = accounts::with_any_role(tx, &[Role::Admin])?.into_iter().collect();
    people.extend([admin, account]);
    let mut found = None;
    for id in people {
        match accounts::lock(tx, id) {
            Ok(locked) if id == account => found = Some(locked.account().clone()),
            Ok(_) => {}
            Err(Error::NotFound) => {}
            Err(other) => return Err(other),
        }
    }
    if !accounts::roles(tx, admin)?.contains(&Role::Admin) || !moderation::keeping_out(tx, admin, now)?.is_empty() {
        return Err(Code::AdminsOnly.into());
    }
    found.ok_or(Error::NotFound)
}

/// Finds an account by its address, for an admin; that somebody looked is kept.
pub fn look_up(tx: &mut Tx<'_>, admin: Id, email: &str, now: Instant) -> Result<Account> {
    let account = accounts::find_by_email(tx, &normalise_email(email))?.ok_or(Error::NotFound)?;
    record(tx, Act::AccountLookedUp, Some(admin), account.id, None, now)?;
    Ok(account)
}

fn record(tx: &mut Tx<'_>, act: Act, actor: Option<Id>, subject: Id, role: Option<Role>, now: Instant) -> Result<()> {
    let about = role.map_or_else(|| json!({}), |role| json!({ "role": role }));
    audit::record(tx, audit::AuditEvent { act, actor, subject: Some(subject), run: None, about }, now)
}

/// What an admin sees of an account: whether it can lead runs now, and its roles.
pub fn standing(conn: &mut Conn, account: Id, now: Instant) -> Result<(bool, BTreeSet<Role>)> {
    let leads = crate::store::facilitators::in_good_standing(conn, &[account], now)?.contains(&account);
    Ok((leads, accounts::roles(conn, account)?))
}
