//! Accounts, the roles they hold, and their running profiles.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::{
    db::{Conn, Db, Target, Tx},
    dialect, facilitators,
    schema::{account_roles, accounts, links, running_profiles, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        account::{AccountStatus, Role},
        address::AddressHashes,
        availability::Window,
        link::LinkAction,
        pace::{Activity, PaceBand},
        profile::TalkOrQuiet,
        run::LanguageTag,
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
};

/// An adult who signed up, or has been invited to.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = accounts, treat_none_as_null = true)]
pub struct Account {
    pub id: Id,
    /// As [`normalise_email`](crate::domain::account::normalise_email) leaves it.
    pub email: String,
    /// A PHC string.
    pub password_hash: Option<String>,
    pub display_name: String,
    pub status: AccountStatus,
    pub terms_version: Option<String>,
    pub terms_accepted_at: Option<Instant>,
    pub locale: String,
    pub time_zone: Option<String>,
    /// The key under which an import brought the person.
    pub external_id: Option<String>,
    /// Whether reminders are wanted.
    pub reminders: bool,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub verified_at: Option<Instant>,
}

/// An account whose row this transaction holds: acts of or about one person begin here.
#[derive(Debug)]
pub struct PersonLocked {
    account: Account,
}

impl PersonLocked {
    /// The account as it is under the lock.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

/// Locks a person; to be done before any run is locked.
pub fn lock(tx: &mut Tx<'_>, id: Id) -> Result<PersonLocked> {
    dialect::lock_account(tx, id)?.map(|account| PersonLocked { account }).ok_or(Error::NotFound)
}

/// Locks several people in the order of their ids.
pub fn lock_all(tx: &mut Tx<'_>, ids: &[Id]) -> Result<()> {
    dialect::lock_accounts(tx, ids)
}

/// The account, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Account>> {
    Ok(accounts::table.find(id).select(Account::as_select()).first(conn).optional()?)
}

/// The account.
pub fn get(conn: &mut Conn, id: Id) -> Result<Account> {
    find(conn, id)?.ok_or(Error::NotFound)
}

/// The account with this normalised address, if there is one.
pub fn find_by_email(conn: &mut Conn, email: &str) -> Result<Option<Account>> {
    Ok(accounts::table.filter(accounts::email.eq(email)).select(Account::as_select()).first(conn).optional()?)
}

/// The account that an import brought under this key, if there is one.
pub fn find_by_external_id(conn: &mut Conn, key: &str) -> Result<Option<Account>> {
    Ok(accounts::table.filter(accounts::external_id.eq(key)).select(Account::as_select()).first(conn).optional()?)
}

/// How many accounts there are.
pub fn count(conn: &mut Conn) -> Result<i64> {
    Ok(accounts::table.count().get_result(conn)?)
}

/// Imported people who have not accepted and hold no invitation that works, in the order of their addresses.
pub fn waiting_for_invitation(conn: &mut Conn, now: Instant) -> Result<Vec<Account>> {
    let working = links::table
        .filter(links::account_id.eq(accounts::id))
        .filter(links::action.eq(LinkAction::Invitation))
        .filter(links::used_at.is_null())
        .filter(links::expires_at.gt(now));
    Ok(accounts::table
        .filter(accounts::status.eq(AccountStatus::Invited))
        .filter(diesel::dsl::not(diesel::dsl::exists(working)))
        .order(accounts::email)
        .select(Account::as_select())
        .load(conn)?)
}

/// Whether a database has people, read before anything is opened for good. One that is not there, or has no tables yet,
/// has none.
pub fn has_any(database: &Target) -> Result<bool> {
    if let Target::Sqlite(path) = database
        && !path.exists()
    {
        return Ok(false);
    }
    let mut conn = Db::open(database.clone()).connect_alone()?;
    let tables = dialect::has_table(&mut conn, "accounts")?;
    Ok(tables && count(&mut conn)? > 0)
}

/// Inserts unless the address is taken; says whether it did.
pub fn insert(tx: &mut Tx<'_>, account: &Account) -> Result<bool> {
    let inserted = dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(accounts::table)
        .values(account)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(inserted == 1)
}

/// Accounts whose address has no keyed hashes yet, with the address.
pub fn without_hashes(conn: &mut Conn, limit: i64) -> Result<Vec<(Id, String)>> {
    let bare = accounts::table.filter(accounts::address_hash.is_null()).select((accounts::id, accounts::email));
    Ok(bare.order(accounts::id).limit(limit).load(conn)?)
}

/// Keeps the keyed hashes of an account's address.
pub fn set_hashes(tx: &mut Tx<'_>, id: Id, hashes: &AddressHashes) -> Result<()> {
    diesel::update(accounts::table.find(id))
        .set((accounts::address_hash.eq(&hashes.address), accounts::mailbox_hash.eq(&hashes.mailbox)))
        .execute(&mut **tx)?;
    Ok(())
}

/// The account whose address has this keyed hash, if there is one.
pub fn find_by_address_hash(conn: &mut Conn, hash: &str) -> Result<Option<Id>> {
    Ok(accounts::table.filter(accounts::address_hash.eq(hash)).select(accounts::id).first(conn).optional()?)
}

/// The keyed hashes of an account's address and mailbox, as far as they are kept.
pub fn hashes_of(conn: &mut Conn, id: Id) -> Result<Vec<String>> {
    Ok(find_hashes(conn, id)?.map_or_else(Vec::new, |hashes| vec![hashes.address, hashes.mailbox]))
}

/// The keyed hashes of an account's address, if they are kept.
pub fn find_hashes(conn: &mut Conn, id: Id) -> Result<Option<AddressHashes>> {
    let kept: Option<(Option<String>, Option<String>)> =
        accounts::table.find(id).select((accounts::address_hash, accounts::mailbox_hash)).first(conn).optional()?;
    let both = kept.and_then(|(address, mailbox)| address.zip(mailbox));
    Ok(both.map(|(address, mailbox)| AddressHashes { address, mailbox }))
}

/// Accounts of one mailbox that are read at most: mail to a mailbox is budgeted, so that nobody opens this many.
const SHARING_MAX: i64 = 1_000;

/// The accounts whose mailbox has this keyed hash, in the order of their ids, with their states.
pub fn sharing_mailbox(conn: &mut Conn, mailbox: &str) -> Result<Vec<(Id, AccountStatus)>> {
    Ok(accounts::table
        .filter(accounts::mailbox_hash.eq(mailbox))
        .order(accounts::id)
        .limit(SHARING_MAX)
        .select((accounts::id, accounts::status))
        .load(conn)?)
}

/// Accounts whose address or mailbox has this keyed hash, in the order of their ids.
pub fn with_hash(conn: &mut Conn, hash: &str) -> Result<Vec<Id>> {
    Ok(accounts::table
        .filter(accounts::address_hash.eq(hash).or(accounts::mailbox_hash.eq(hash)))
        .order(accounts::id)
        .select(accounts::id)
        .load(conn)?)
}

/// Writes every field of the account. Hashes of an address that is no longer its own are forgotten.
pub fn update(tx: &mut Tx<'_>, account: &Account) -> Result<()> {
    diesel::update(accounts::table.find(account.id))
        .filter(accounts::email.ne(&account.email))
        .set((accounts::address_hash.eq(None::<String>), accounts::mailbox_hash.eq(None::<String>)))
        .execute(&mut **tx)?;
    diesel::update(accounts::table.find(account.id)).set(account).execute(&mut **tx)?;
    facilitators::touch_runs_led_by(tx, account.id)
}

/// Forgets accounts that nobody verified and that were made before `before`.
pub fn purge_unverified(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    Ok(diesel::delete(accounts::table)
        .filter(accounts::status.eq(AccountStatus::Unverified))
        .filter(accounts::updated_at.lt(before))
        .execute(&mut **tx)?)
}

/// The names of these accounts.
pub fn display_names(conn: &mut Conn, ids: &[Id]) -> Result<BTreeMap<Id, String>> {
    let rows: Vec<(Id, String)> =
        accounts::table.filter(accounts::id.eq_any(ids)).select((accounts::id, accounts::display_name)).load(conn)?;
    Ok(rows.into_iter().collect())
}

/// The roles of an account.
pub fn roles(conn: &mut Conn, id: Id) -> Result<BTreeSet<Role>> {
    let rows: Vec<Role> =
        account_roles::table.filter(account_roles::account_id.eq(id)).select(account_roles::role).load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Everybody with one of these roles.
pub fn with_any_role(conn: &mut Conn, roles: &[Role]) -> Result<Vec<Id>> {
    Ok(account_roles::table
        .filter(account_roles::role.eq_any(roles))
        .select(account_roles::account_id)
        .distinct()
        .order(account_roles::account_id)
        .load(conn)?)
}

/// Grants a role; says whether it is new.
pub fn grant_role(tx: &mut Tx<'_>, id: Id, role: Role, by: Option<Id>, now: Instant) -> Result<bool> {
    if roles(tx, id)?.contains(&role) {
        return Ok(false);
    }
    diesel::insert_into(account_roles::table)
        .values((
            account_roles::account_id.eq(id),
            account_roles::role.eq(role),
            account_roles::granted_by.eq(by),
            account_roles::granted_at.eq(now),
        ))
        .execute(&mut **tx)?;
    tx.touch_person(id);
    Ok(true)
}

/// Takes a role away; says whether it was there.
pub fn revoke_role(tx: &mut Tx<'_>, id: Id, role: Role) -> Result<bool> {
    let gone = diesel::delete(account_roles::table.find((id, role))).execute(&mut **tx)?;
    tx.touch_person(id);
    Ok(gone > 0)
}

/// What somebody says about how and where they like to run.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = running_profiles, treat_none_as_null = true)]
pub struct Profile {
    pub account_id: Id,
    pub activities: Json<Vec<Activity>>,
    pub comfortable_pace: Option<Json<PaceBand>>,
    pub walking_pace: Option<Json<PaceBand>>,
    /// The H3 cell that stands for where the person lives; the point itself is never stored.
    pub home_cell: String,
    /// When the cell changed lately.
    pub home_changes: Json<Vec<Instant>>,
    /// When the paces changed lately.
    pub pace_changes: Json<Vec<Instant>>,
    pub travel_radius_km: f64,
    pub availability: Json<Vec<Window>>,
    pub languages: Json<Vec<LanguageTag>>,
    pub access_needs: Json<Vec<String>>,
    pub not_after_dark: bool,
    pub new_here: bool,
    /// Asked for a gentle start.
    pub gentle_start: bool,
    pub updated_at: Instant,
    pub talk_or_quiet: Option<TalkOrQuiet>,
}

impl Profile {
    /// The pace at which the person is comfortable at this activity.
    pub fn pace_for(&self, activity: Activity) -> Option<PaceBand> {
        activity.pace_of(&self.comfortable_pace, &self.walking_pace).as_ref().map(|pace| pace.0)
    }
}

/// The running profile of an account, if it has one.
pub fn find_profile(conn: &mut Conn, id: Id) -> Result<Option<Profile>> {
    Ok(running_profiles::table.find(id).select(Profile::as_select()).first(conn).optional()?)
}

/// Every cell in which somebody lives.
pub fn home_cells(conn: &mut Conn) -> Result<Vec<String>> {
    Ok(running_profiles::table.select(running_profiles::home_cell).distinct().load(conn)?)
}

/// Whether somebody is new here, by what they say; whoever says nothing is.
pub fn is_new_here(conn: &mut Conn, id: Id) -> Result<bool> {
    let said = running_profiles::table.find(id).select(running_profiles::new_here).first(conn).optional()?;
    Ok(said.unwrap_or(true))
}

/// The running profiles of these accounts.
pub fn profiles(conn: &mut Conn, ids: &[Id]) -> Result<Vec<Profile>> {
    Ok(running_profiles::table
        .filter(running_profiles::account_id.eq_any(ids))
        .select(Profile::as_select())
        .load(conn)?)
}

/// Writes a running profile, new or not.
pub fn put_profile(tx: &mut Tx<'_>, profile: &Profile) -> Result<()> {
    let updated = diesel::update(running_profiles::table.find(profile.account_id)).set(profile).execute(&mut **tx)?;
    if updated == 0 {
        diesel::insert_into(running_profiles::table).values(profile).execute(&mut **tx)?;
    }
    // Whoever looks at the runs that this person comes to is told whether somebody of like pace will be there.
    let coming_to: Vec<Id> = signups::table
        .filter(signups::account_id.eq(profile.account_id))
        .filter(signups::status.eq(SignupStatus::Confirmed))
        .select(signups::run_id)
        .load(&mut **tx)?;
    coming_to.into_iter().for_each(|run| tx.touch_run(run));
    tx.touch_person(profile.account_id);
    Ok(())
}
