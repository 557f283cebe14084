//! An account's beginning, its password, and the roles that an admin grants.
//!
//! Whatever anybody can ask for with an address answers the same whether or not there is an account; only the mail tells.
//! Password hashes come in ready-made: hashing takes too long for a transaction.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    clock::{Instant, time_zone},
    domain::{
        account::{AccountStatus, EMAIL_MAX_CHARS, Role, normalise_email},
        link::LinkAction,
        moderation::{Act, SanctionScope},
        refusal::{Code, Faults},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{
        limits::{self, Addressee},
        links, notices,
    },
    store::{
        Conn, Tx,
        accounts::{self, Account},
        audit, moderation, sessions,
    },
};

/// The language of somebody who did not say.
pub const DEFAULT_LOCALE: &str = "en";
/// The longest display name.
pub const DISPLAY_NAME_MAX_CHARS: usize = 60;

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

/// Registers somebody, or tells the owner of the address by mail that there is an account already.
///
/// An account that nobody has verified belongs to nobody yet: whoever registers last replaces password, name and terms,
/// and older links stop working, so that nobody can prepare an account with a password of their own for somebody else to
/// verify. A banned address gets nothing at all.
pub fn register(tx: &mut Tx<'_>, to: &Addressee, new: &Registration, now: Instant) -> Result<()> {
    if moderation::address_is_banned(tx, &to.hash)? || !limits::may_mail(tx, to, now)? {
        return Ok(());
    }
    let mut fresh = blank(to.email.clone(), AccountStatus::Unverified, now);
    new.write_to(&mut fresh, now);
    if accounts::insert(tx, &fresh)? {
        return ask_to_verify(tx, fresh.id, now);
    }
    let Some(mut account) = lock_by_email(tx, &to.email)? else { return Ok(()) };
    match account.status {
        AccountStatus::Unverified => {
            new.write_to(&mut account, now);
            accounts::update(tx, &account)?;
            sessions::use_links_of(tx, account.id, LinkAction::VerifyEmail, now)?;
            sessions::use_links_of(tx, account.id, LinkAction::ResetPassword, now)?;
            ask_to_verify(tx, account.id, now)
        }
        AccountStatus::Invited => invite(tx, account.id, now),
        AccountStatus::Active => {
            notices::to_person(tx, account.id, Notice::AlreadyRegistered { account_id: account.id }, now)
        }
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

/// Sends the link to verify the address, or the invitation, once more. Older links go on working until one is used.
pub fn resend(tx: &mut Tx<'_>, to: &Addressee, now: Instant) -> Result<()> {
    if !limits::may_mail(tx, to, now)? {
        return Ok(());
    }
    match lock_by_email(tx, &to.email)? {
        Some(account) if account.status == AccountStatus::Unverified => ask_to_verify(tx, account.id, now),
        Some(account) if account.status == AccountStatus::Invited => invite(tx, account.id, now),
        _ => Ok(()),
    }
}

/// Takes the proof that an address is its owner's.
pub fn verify_email(tx: &mut Tx<'_>, link: Id, now: Instant) -> Result<()> {
    let mut account = use_link(tx, link, LinkAction::VerifyEmail, now)?;
    if account.status == AccountStatus::Invited {
        return Err(Code::LinkInvalid.into());
    }
    activate(&mut account, now);
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

fn activate(account: &mut Account, now: Instant) {
    account.status = AccountStatus::Active;
    account.verified_at.get_or_insert(now);
    account.updated_at = now;
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
    activate(&mut account, now);
    accounts::update(tx, &account)
}

/// Mails a link to choose a new password, where there is an account; an invited person gets the invitation.
pub fn request_reset(tx: &mut Tx<'_>, to: &Addressee, now: Instant) -> Result<()> {
    if !limits::may_mail(tx, to, now)? {
        return Ok(());
    }
    let Some(account) = lock_by_email(tx, &to.email)? else { return Ok(()) };
    if account.status == AccountStatus::Invited {
        return invite(tx, account.id, now);
    }
    let link = links::make(tx, account.id, LinkAction::ResetPassword, None, now)?;
    notices::to_person(tx, account.id, Notice::ResetPassword { link: link.id }, now)
}

/// Sets a new password by a link from a mail, which also proves the address. Ends all sessions.
pub fn reset_password(tx: &mut Tx<'_>, link: Id, password_hash: &str, now: Instant) -> Result<()> {
    let mut account = use_link(tx, link, LinkAction::ResetPassword, now)?;
    if account.status == AccountStatus::Invited {
        return Err(Code::LinkInvalid.into());
    }
    sessions::use_links_of(tx, account.id, LinkAction::VerifyEmail, now)?;
    activate(&mut account, now);
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

/// The admin that the command line makes, the password hashed.
pub struct NewAdmin {
    pub email: String,
    pub display_name: String,
    pub password_hash: String,
    pub terms_version: String,
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
    audit::record(tx, audit::Deed { act, actor, subject: Some(subject), run: None, about }, now)
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

/// The words of the person's own that a password must not be made of.
pub fn personal_words(email: &str, display_name: &str) -> [String; 3] {
    let email = normalise_email(email);
    let local = email.split('@').next().unwrap_or("").to_owned();
    [email, local, display_name.trim().to_owned()]
}

/// Notes what is wrong with an address at `/email`.
pub fn email_faults(faults: &mut Faults, email: &str) {
    let email = normalise_email(email);
    let fine = email.len() <= EMAIL_MAX_CHARS && email.parse::<lettre::Address>().is_ok();
    faults.unless(fine, "/email", "bad_email", "this is no e-mail address");
    // Most mail servers still refuse others, and the mail would be lost without a word.
    let words = "use plain letters; write a domain such as bücher.example as xn--bcher-kva.example";
    faults.unless(!fine || email.is_ascii(), "/email", "not_ascii", words);
}

/// Notes what is wrong with the terms that somebody accepted, at `/terms_version`, and at `/adult`.
pub fn terms_faults(faults: &mut Faults, adult: bool, accepted: &str, current: &str, min_age: u8) {
    let words = format!("this is for people of {min_age} and older");
    faults.unless(adult, "/adult", "adults_only", &words);
    let words = format!("accept the terms in their current version, {current}");
    faults.unless(accepted == current, "/terms_version", "not_current", &words);
}

/// Notes what is wrong with a time zone at `/time_zone`.
pub fn time_zone_faults(faults: &mut Faults, zone: Option<&str>) {
    let known = zone.is_none_or(|zone| time_zone(zone).is_some());
    faults.unless(known, "/time_zone", "unknown_time_zone", "use an IANA name such as Europe/London");
}

/// A name as it is kept: trimmed, one space between words.
pub fn tidy_name(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Notes what is wrong with a display name at `/display_name`. It stands in other people's mails, so it must not carry
/// links, addresses, or characters that turn the words around it.
pub fn display_name_faults(faults: &mut Faults, name: &str) {
    let at = "/display_name";
    let visible = name.chars().any(|c| !c.is_whitespace() && !is_hidden(c) && !matches!(c, '\u{200c}' | '\u{200d}'));
    faults.unless(visible, at, "empty", "say what others may call you; a first name is enough");
    faults.unless(
        tidy_name(name).chars().count() <= DISPLAY_NAME_MAX_CHARS,
        at,
        "too_long",
        "use at most 60 characters",
    );
    faults.unless(
        !name.chars().any(is_hidden),
        at,
        "bad_character",
        "control and invisible characters cannot be taken",
    );
    faults.unless(
        !looks_like_a_link(name),
        at,
        "looks_like_a_link",
        "a name holds no links or addresses; put a space after a dot",
    );
}

/// Control characters, those that change the direction of writing, and those that nobody sees. The joiners U+200C and
/// U+200D are part of names in several scripts.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        )
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether mail programs might make a link of it: an at-sign, a slash, or a dot right between a word and two letters.
fn looks_like_a_link(name: &str) -> bool {
    let chars: Vec<char> = name.chars().collect();
    let dotted = |window: &[char]| {
        window[0].is_alphanumeric()
            && matches!(window[1], '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
            && window[2..].iter().all(|c| c.is_alphabetic())
    };
    chars.iter().any(|c| matches!(c, '@' | '\u{ff20}' | '/' | '\\' | '<' | '>')) || chars.windows(4).any(dotted)
}

/// What an admin sees of an account: whether it can lead runs now, and its roles.
pub fn standing(conn: &mut Conn, account: Id, now: Instant) -> Result<(bool, BTreeSet<Role>)> {
    let leads = crate::store::facilitators::in_good_standing(conn, &[account], now)?.contains(&account);
    Ok((leads, accounts::roles(conn, account)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(note: impl Fn(&mut Faults)) -> Vec<String> {
        let mut faults = Faults::default();
        note(&mut faults);
        faults.0.into_iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn names_of_people_are_taken() {
        for name in [
            "Ana",
            "  Ana  María ",
            "J. R.",
            "J.R.",
            "Zoë",
            "O’Brien",
            "نگار",
            "می\u{200c}نا",
            "李",
            "Ana 🏃",
            "Dr. Who",
        ] {
            assert_eq!(codes(|faults| display_name_faults(faults, name)), [""; 0], "{name}");
        }
        assert_eq!(tidy_name("  Ana \t María "), "Ana María");
    }

    #[test]
    fn names_that_carry_links_or_turn_words_around_are_not() {
        let fault = |name: &str| codes(|faults| display_name_faults(faults, name));
        assert_eq!(fault("  "), ["empty"]);
        assert_eq!(fault(&"x".repeat(61)), ["too_long"]);
        for name in ["win.example", "ana@example.org", "https://x", "www.a.org now", "see bad。com", "<b>"] {
            assert_eq!(fault(name), ["looks_like_a_link"], "{name}");
        }
        for name in ["a\u{202e}b", "a\u{200b}b", "a\u{7}b", "a\u{2066}b"] {
            assert_eq!(fault(name), ["bad_character"], "{name}");
        }
        assert_eq!(fault("\u{200d}"), ["empty"]);
    }

    #[test]
    fn addresses_are_those_that_mail_can_reach() {
        let fault = |email: &str| codes(|faults| email_faults(faults, email));
        for email in ["ana@example.org", " Ana+run@Example.ORG "] {
            assert_eq!(fault(email), [""; 0], "{email}");
        }
        for email in ["", "ana", "ana@", "@example.org", "a b@example.org", "ana@example.org\r\nBcc: x@y.z"] {
            assert_eq!(fault(email), ["bad_email"], "{email}");
        }
        assert_eq!(fault(&format!("{}@example.org", "a".repeat(250))), ["bad_email"]);
        assert_eq!(fault("ana@bücher.example"), ["not_ascii"]);
    }

    #[test]
    fn only_adults_who_accept_the_current_terms_come_in() {
        let fault = |adult, accepted: &str| codes(|faults| terms_faults(faults, adult, accepted, "2", 18));
        assert_eq!(fault(true, "2"), [""; 0]);
        assert_eq!(fault(false, "1"), ["adults_only", "not_current"]);
    }
}
