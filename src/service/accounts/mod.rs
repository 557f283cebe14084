//! An account's beginning and its password; roles and rules have files of their own.
//!
//! Whatever anybody can ask for with an address answers the same whether or not there is an account; only the mail tells.
//! Password hashes come in ready-made: hashing takes too long for a transaction.

mod roles;
mod rules;

use crate::{
    auth::AddressHasher,
    clock::Instant,
    domain::{account::AccountStatus, address::AddressRequestKind, link::LinkAction, refusal::Code},
    error::Result,
    id::Id,
    mail::Notice,
    service::{
        address_requests, addresses,
        limits::{self, Addressee},
        links, notices,
    },
    store::{
        Tx,
        accounts::{self, Account},
        blocks, moderation, sessions,
    },
};

pub use roles::*;
pub use rules::*;

/// The language of somebody who did not say.
pub const DEFAULT_LOCALE: &str = "en";

/// What somebody who registers says, the password hashed.
#[derive(Clone)]
pub struct Registration {
    pub password_hash: String,
    pub display_name: String,
    pub terms_version: String,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
}

impl Registration {
    fn write_to(&self, account: &mut Account, now: Instant) {
        account.password_hash = Some(self.password_hash.clone());
        account.display_name = tidy_name(&self.display_name);
        account.terms_version = Some(self.terms_version.clone());
        account.terms_accepted_at = Some(now);
        account.locale = self.locale.clone().unwrap_or_else(|| DEFAULT_LOCALE.to_owned());
        account.time_zone.clone_from(&self.time_zone);
        account.updated_at = now;
    }
}

/// Registers somebody; the worker tells the owner of the address by mail how to go on, or that there is an account
/// already.
///
/// An account that nobody has verified belongs to nobody yet: whoever registers last replaces password, name and terms,
/// and older links stop working, so that nobody can prepare an account with a password of their own for somebody else to
/// verify. A banned address gets nothing at all.
pub fn register(tx: &mut Tx<'_>, to: &Addressee, new: &Registration, now: Instant) -> Result<()> {
    if !limits::may_mail(tx, to, now)? {
        return Ok(());
    }
    if !addresses::is_banned(tx, &to.hashes)? {
        open_account(tx, to, new, now)?;
    }
    address_requests::ask(tx, AddressRequestKind::Registration, &to.hashes.address, None, now)
}

fn open_account(tx: &mut Tx<'_>, to: &Addressee, new: &Registration, now: Instant) -> Result<()> {
    let mut fresh = blank(to.email.clone(), AccountStatus::Unverified, now);
    new.write_to(&mut fresh, now);
    if accounts::insert(tx, &fresh)? {
        addresses::keep(tx, fresh.id, &to.hashes)?;
        return blocks::link_address(tx, &to.hashes, fresh.id);
    }
    let Some(mut account) = lock_by_email(tx, &to.email)? else { return Ok(()) };
    if account.status == AccountStatus::Unverified {
        new.write_to(&mut account, now);
        accounts::update(tx, &account)?;
        sessions::use_links_of(tx, account.id, LinkAction::VerifyEmail, now)?;
        sessions::use_links_of(tx, account.id, LinkAction::ResetPassword, now)?;
    }
    Ok(())
}

/// Promises the mail that answers what was asked for with the address of an account.
pub fn answer_request(tx: &mut Tx<'_>, account: Id, kind: AddressRequestKind, now: Instant) -> Result<()> {
    let account = accounts::lock(tx, account)?.account().clone();
    let banned = moderation::account_address_is_banned(tx, account.id)?;
    match (kind, account.status) {
        (AddressRequestKind::Registration, _) if banned => Ok(()),
        (AddressRequestKind::Registration, AccountStatus::Active) => {
            notices::to_person(tx, account.id, Notice::AlreadyRegistered { account_id: account.id }, now)
        }
        (AddressRequestKind::Verification, AccountStatus::Active) | (AddressRequestKind::Block, _) => Ok(()),
        (_, AccountStatus::Invited) => invite(tx, account.id, now),
        (AddressRequestKind::PasswordReset, _) => {
            let link = links::make(tx, account.id, LinkAction::ResetPassword, None, now)?;
            notices::to_person(tx, account.id, Notice::ResetPassword { link: link.id }, now)
        }
        (_, AccountStatus::Unverified) => ask_to_verify(tx, account.id, now),
    }
}

fn blank(email: String, status: AccountStatus, now: Instant) -> Account {
    Account {
        id: Id::random(),
        email,
        password_hash: None,
        display_name: String::new(),
        status,
        terms_version: None,
        terms_accepted_at: None,
        locale: DEFAULT_LOCALE.to_owned(),
        time_zone: None,
        external_id: None,
        reminders: true,
        created_at: now,
        updated_at: now,
        verified_at: None,
    }
}

fn lock_by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<Account>> {
    let Some(found) = accounts::find_by_email(tx, email)? else { return Ok(None) };
    Ok(Some(accounts::lock(tx, found.id)?.account().clone()))
}

fn ask_to_verify(tx: &mut Tx<'_>, account: Id, now: Instant) -> Result<()> {
    let link = links::make(tx, account, LinkAction::VerifyEmail, None, now)?;
    notices::to_person(tx, account, Notice::VerifyEmail { link: link.id }, now)
}

/// Promises the mail that invites an imported person; an invitation that still works is sent again.
pub fn invite(tx: &mut Tx<'_>, account: Id, now: Instant) -> Result<()> {
    let link = links::ensure(tx, account, LinkAction::Invitation, None, now)?;
    notices::to_person(tx, account, Notice::Invitation { link: link.id }, now)
}

/// Invites somebody whom an import brought, unless they accepted, have an invitation that still works, or own a banned
/// address; says whether it did.
pub fn invite_if_due(tx: &mut Tx<'_>, account: Id, hasher: &AddressHasher, now: Instant) -> Result<bool> {
    let account = accounts::lock(tx, account)?.account().clone();
    let is_due = account.status == AccountStatus::Invited
        && sessions::find_link_for(tx, account.id, LinkAction::Invitation, None, None, now)?.is_none()
        && !addresses::is_banned(tx, &addresses::hashes(hasher, &account.email))?;
    if is_due {
        invite(tx, account.id, now)?;
    }
    Ok(is_due)
}

/// Asks for a mail to an address: the link to verify it once more, or one to choose a new password. An invited person
/// gets the invitation. Older links go on working until one is used.
pub fn ask_for_mail(tx: &mut Tx<'_>, kind: AddressRequestKind, to: &Addressee, now: Instant) -> Result<()> {
    if limits::may_mail(tx, to, now)? { address_requests::ask(tx, kind, &to.hashes.address, None, now) } else { Ok(()) }
}

/// Takes the proof that an address is its owner's.
pub fn verify_email(tx: &mut Tx<'_>, link: Id, now: Instant) -> Result<()> {
    let mut account = use_link(tx, link, LinkAction::VerifyEmail, now)?;
    if account.status == AccountStatus::Invited {
        return Err(Code::LinkInvalid.into());
    }
    activate(tx, &mut account, now)?;
    accounts::update(tx, &account)
}

/// Locks the person behind a link, and uses up this one and all others of its kind.
fn use_link(tx: &mut Tx<'_>, link: Id, action: LinkAction, now: Instant) -> Result<Account> {
    let link = links::find_working(tx, link, action, now)?;
    let account = accounts::lock(tx, link.account_id)?.account().clone();
    links::use_up(tx, &link, now)?;
    sessions::use_links_of(tx, account.id, action, now)?;
    Ok(account)
}

/// Opens an account whose address is proved.
///
/// # Errors
/// [`Code::LinkInvalid`] for an account that was begun with another spelling of an address that is banned by now.
fn activate(tx: &mut Tx<'_>, account: &mut Account, now: Instant) -> Result<()> {
    if account.status != AccountStatus::Active && moderation::account_address_is_banned(tx, account.id)? {
        return Err(Code::LinkInvalid.into());
    }
    account.status = AccountStatus::Active;
    account.verified_at.get_or_insert(now);
    account.updated_at = now;
    Ok(())
}

/// What an invited person says when accepting.
#[derive(Clone)]
pub struct Acceptance {
    pub password_hash: String,
    /// The imported one stays when nothing is said.
    pub display_name: Option<String>,
    pub terms_version: String,
}

/// Opens the account of an invited person, whose address the link proves.
pub fn accept_invitation(tx: &mut Tx<'_>, link: Id, said: &Acceptance, now: Instant) -> Result<()> {
    let mut account = use_link(tx, link, LinkAction::Invitation, now)?;
    if account.status != AccountStatus::Invited {
        return Err(Code::LinkInvalid.into());
    }
    account.password_hash = Some(said.password_hash.clone());
    if let Some(name) = &said.display_name {
        account.display_name = tidy_name(name);
    }
    account.terms_version = Some(said.terms_version.clone());
    account.terms_accepted_at = Some(now);
    activate(tx, &mut account, now)?;
    accounts::update(tx, &account)
}

/// Sets a new password by a link from a mail, which also proves the address. Ends all sessions.
pub fn reset_password(tx: &mut Tx<'_>, link: Id, password_hash: &str, now: Instant) -> Result<()> {
    let mut account = use_link(tx, link, LinkAction::ResetPassword, now)?;
    if account.status == AccountStatus::Invited {
        return Err(Code::LinkInvalid.into());
    }
    sessions::use_links_of(tx, account.id, LinkAction::VerifyEmail, now)?;
    activate(tx, &mut account, now)?;
    keep_password(tx, &mut account, password_hash, None, now)
}

/// Changes the password of somebody who is logged in; all their other sessions end. `checked` is the hash that the old
/// password was found to fit.
///
/// # Errors
/// [`Code::CredentialsWrong`] when the password was changed in the meantime.
pub fn change_password(
    tx: &mut Tx<'_>,
    account: Id,
    session: Id,
    checked: &str,
    password_hash: &str,
    now: Instant,
) -> Result<()> {
    let mut account = accounts::lock(tx, account)?.account().clone();
    if account.password_hash.as_deref() != Some(checked) {
        return Err(Code::CredentialsWrong.into());
    }
    sessions::use_links_of(tx, account.id, LinkAction::ResetPassword, now)?;
    keep_password(tx, &mut account, password_hash, Some(session), now)
}

fn keep_password(
    tx: &mut Tx<'_>,
    account: &mut Account,
    hash: &str,
    kept_session: Option<Id>,
    now: Instant,
) -> Result<()> {
    account.password_hash = Some(hash.to_owned());
    account.updated_at = now;
    accounts::update(tx, account)?;
    sessions::end_all(tx, account.id, kept_session, now)?;
    notices::to_person(tx, account.id, Notice::PasswordChanged { account_id: account.id }, now)
}

/// What somebody may change about an account; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub time_zone: Option<Option<String>>,
    pub reminders: Option<bool>,
}

/// Changes what is one's own to change.
pub fn edit(tx: &mut Tx<'_>, account: Id, changes: &Changes, now: Instant) -> Result<Account> {
    let mut account = accounts::lock(tx, account)?.account().clone();
    if let Some(name) = &changes.display_name {
        account.display_name = tidy_name(name);
    }
    if let Some(locale) = &changes.locale {
        account.locale.clone_from(locale);
    }
    if let Some(time_zone) = &changes.time_zone {
        account.time_zone.clone_from(time_zone);
    }
    if let Some(reminders) = changes.reminders {
        account.reminders = reminders;
    }
    account.updated_at = now;
    accounts::update(tx, &account)?;
    Ok(account)
}

/// Turns reminders off by the link in one; it goes on working, since every reminder carries it.
pub fn unsubscribe(tx: &mut Tx<'_>, link: Id, now: Instant) -> Result<()> {
    let link = links::find_working(tx, link, LinkAction::NoReminders, now)?;
    edit(tx, link.account_id, &Changes { reminders: Some(false), ..Changes::default() }, now)?;
    Ok(())
}
