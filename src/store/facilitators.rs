//! Applications to lead runs, the credentials in them, and who is in good standing.

use std::collections::BTreeSet;

use diesel::{
    dsl::{exists, not},
    prelude::*,
};

use super::{
    db::{Conn, Tx},
    dialect,
    schema::{accounts, credentials, facilitator_applications, run_facilitators, runs, sanctions},
};
use crate::{
    clock::Instant,
    domain::{
        account::AccountStatus,
        moderation::{ApplicationStatus, SanctionKind},
        run::{ListingRole, ListingStatus, RunStatus},
    },
    error::Result,
    id::Id,
};

/// Somebody's wish to lead runs.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = facilitator_applications, treat_none_as_null = true)]
pub struct Application {
    pub id: Id,
    pub account_id: Id,
    pub statement: String,
    pub status: ApplicationStatus,
    pub decided_by: Option<Id>,
    pub decided_at: Option<Instant>,
    pub reason: Option<String>,
    pub created_at: Instant,
}

/// A qualification or check that somebody names.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = credentials)]
pub struct Credential {
    pub id: Id,
    pub application_id: Id,
    pub account_id: Id,
    pub kind: String,
    pub issuer: String,
    pub reference: String,
    /// ISO date; the last day on which it counts (UTC).
    pub expires_on: Option<String>,
    /// Whether the approval made it a condition.
    pub required: bool,
}

/// Keeps an application with its credentials.
pub fn insert(tx: &mut Tx<'_>, application: &Application, named: &[Credential]) -> Result<()> {
    diesel::insert_into(facilitator_applications::table).values(application).execute(&mut **tx)?;
    for credential in named {
        diesel::insert_into(credentials::table).values(credential).execute(&mut **tx)?;
    }
    Ok(())
}

/// The application, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Application>> {
    Ok(facilitator_applications::table.find(id).select(Application::as_select()).first(conn).optional()?)
}

/// Applications newest first, after `cursor`.
pub fn list(
    conn: &mut Conn,
    of: Option<Id>,
    status: Option<ApplicationStatus>,
    cursor: Option<Id>,
    limit: i64,
) -> Result<Vec<Application>> {
    let mut query = facilitator_applications::table.select(Application::as_select()).into_boxed();
    if let Some(account) = of {
        query = query.filter(facilitator_applications::account_id.eq(account));
    }
    if let Some(status) = status {
        query = query.filter(facilitator_applications::status.eq(status));
    }
    if let Some(cursor) = cursor {
        query = query.filter(facilitator_applications::id.lt(cursor));
    }
    Ok(query.order(facilitator_applications::id.desc()).limit(limit).load(conn)?)
}

/// The application of an account that waits or was approved, if there is one.
pub fn find_open(conn: &mut Conn, account: Id) -> Result<Option<Application>> {
    Ok(facilitator_applications::table
        .filter(facilitator_applications::account_id.eq(account))
        .filter(
            facilitator_applications::status
                .eq_any([ApplicationStatus::Pending, ApplicationStatus::Approved].as_slice()),
        )
        .select(Application::as_select())
        .first(conn)
        .optional()?)
}

/// The application of an account in this state, of those that it has one of.
pub fn find_in(conn: &mut Conn, account: Id, status: ApplicationStatus) -> Result<Option<Application>> {
    Ok(facilitator_applications::table
        .filter(facilitator_applications::account_id.eq(account))
        .filter(facilitator_applications::status.eq(status))
        .order(facilitator_applications::id.desc())
        .select(Application::as_select())
        .first(conn)
        .optional()?)
}

/// Moves what an approval held and its renewal does not name to the renewal: it still counts, or still has lapsed. What was
/// a condition before stays one.
pub fn carry_over(tx: &mut Tx<'_>, from: Id, to: Id) -> Result<()> {
    let (old, new) = (credentials_of(tx, from)?, credentials_of(tx, to)?);
    let is_named = |kind: &str| new.iter().any(|named| named.kind == kind);
    let left: Vec<Id> = old.iter().filter(|held| !is_named(&held.kind)).map(|held| held.id).collect();
    diesel::update(credentials::table.filter(credentials::id.eq_any(left)))
        .set(credentials::application_id.eq(to))
        .execute(&mut **tx)?;
    let kinds: Vec<String> = old.into_iter().filter(|held| held.required).map(|held| held.kind).collect();
    require(tx, to, &kinds)
}

/// Writes every field of an application.
pub fn update(tx: &mut Tx<'_>, application: &Application) -> Result<()> {
    diesel::update(facilitator_applications::table.find(application.id)).set(application).execute(&mut **tx)?;
    touch_runs_led_by(tx, application.account_id)
}

/// Notes that somebody's standing or name, and with it the places and facilitators of their runs to come, changed.
pub(super) fn touch_runs_led_by(tx: &mut Tx<'_>, account: Id) -> Result<()> {
    let led: Vec<Id> = run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .filter(run_facilitators::account_id.eq(account))
        .filter(runs::status.eq_any([RunStatus::Published, RunStatus::Paused].as_slice()))
        .select(runs::id)
        .load(&mut **tx)?;
    led.into_iter().for_each(|run| tx.touch_run(run));
    tx.touch_person(account);
    Ok(())
}

/// The credentials of an application.
pub fn credentials_of(conn: &mut Conn, application: Id) -> Result<Vec<Credential>> {
    Ok(credentials::table
        .filter(credentials::application_id.eq(application))
        .order(credentials::id)
        .select(Credential::as_select())
        .load(conn)?)
}

/// Marks the credentials of these kinds as a condition of the approval.
pub fn require(tx: &mut Tx<'_>, application: Id, kinds: &[String]) -> Result<()> {
    diesel::update(credentials::table)
        .filter(credentials::application_id.eq(application))
        .filter(credentials::kind.eq_any(kinds))
        .set(credentials::required.eq(true))
        .execute(&mut **tx)?;
    match find(tx, application)? {
        Some(application) => touch_runs_led_by(tx, application.account_id),
        None => Ok(()),
    }
}

/// Which of these accounts may lead runs now: approved, verified, no decision against it, and every required credential
/// unexpired on today's date (UTC).
pub fn in_good_standing(conn: &mut Conn, ids: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    let mut good = BTreeSet::new();
    // SQLite takes 32,766 values in a statement; a country may have more facilitators.
    for some in ids.chunks(10_000) {
        good.extend(some_in_good_standing(conn, some, now)?);
    }
    Ok(good)
}

fn some_in_good_standing(conn: &mut Conn, ids: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    // One question for all of it, since it is asked under every run's lock.
    let today = now.local("UTC").date().to_string();
    let lapsed = credentials::table
        .filter(credentials::application_id.eq(facilitator_applications::id))
        .filter(credentials::required.eq(true))
        .filter(credentials::expires_on.lt(today));
    // As `moderation::kept_out`: a decision of either scope keeps somebody from leading.
    let kept_out = sanctions::table
        .filter(sanctions::account_id.eq(facilitator_applications::account_id))
        .filter(sanctions::kind.ne(SanctionKind::Warning))
        .filter(sanctions::lifted_at.is_null())
        .filter(sanctions::expires_at.is_null().or(sanctions::expires_at.gt(now)));
    let good: Vec<Id> = facilitator_applications::table
        .inner_join(accounts::table.on(accounts::id.eq(facilitator_applications::account_id)))
        .filter(facilitator_applications::account_id.eq_any(ids))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .filter(accounts::status.eq(AccountStatus::Active))
        .filter(not(exists(lapsed)))
        .filter(not(exists(kept_out)))
        .select(facilitator_applications::account_id)
        .load(conn)?;
    Ok(good.into_iter().collect())
}

/// Which of these facilitators have a required credential that no longer counts on the day of `at` (UTC).
pub fn lapsed_at(conn: &mut Conn, ids: &[Id], at: Instant) -> Result<BTreeSet<Id>> {
    let day = at.local("UTC").date().to_string();
    let lapsed: Vec<Id> = credentials::table
        .inner_join(facilitator_applications::table.on(facilitator_applications::id.eq(credentials::application_id)))
        .filter(credentials::account_id.eq_any(ids))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .filter(credentials::required.eq(true))
        .filter(credentials::expires_on.lt(day))
        .select(credentials::account_id)
        .load(conn)?;
    Ok(lapsed.into_iter().collect())
}

/// When the first required credential of each of these facilitators lapses, where one counts until a day: the midnight
/// (UTC) after it.
pub fn credentials_lapse(conn: &mut Conn, ids: &[Id], now: Instant) -> Result<Vec<(Id, Instant)>> {
    let today = now.local("UTC").date().to_string();
    let mut lapses = Vec::new();
    for some in ids.chunks(10_000) {
        let rows: Vec<(Id, Option<String>)> = credentials::table
            .inner_join(
                facilitator_applications::table.on(facilitator_applications::id.eq(credentials::application_id)),
            )
            .filter(credentials::account_id.eq_any(some))
            .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
            .filter(credentials::required.eq(true))
            .filter(credentials::expires_on.ge(&today))
            .select((credentials::account_id, credentials::expires_on))
            .load(conn)?;
        lapses.extend(rows.into_iter().filter_map(|(account, day)| Some((account, end_of_day(&day?)?))));
    }
    Ok(lapses)
}

/// The midnight (UTC) that ends a day.
fn end_of_day(day: &str) -> Option<Instant> {
    let next = day.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
    crate::clock::at_local(next.at(0, 0, 0, 0), "UTC")
}

/// The last day (ISO, UTC) on which all required credentials of a facilitator count; none where none of them ends.
pub fn credentials_count_until(conn: &mut Conn, account: Id) -> Result<Option<String>> {
    Ok(credentials::table
        .inner_join(facilitator_applications::table.on(facilitator_applications::id.eq(credentials::application_id)))
        .filter(credentials::account_id.eq(account))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .filter(credentials::required.eq(true))
        .select(diesel::dsl::min(credentials::expires_on))
        .first(conn)?)
}

/// One facilitator of one run.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = run_facilitators, treat_none_as_default_value = false)]
pub struct Listing {
    pub run_id: Id,
    pub account_id: Id,
    pub status: ListingStatus,
    pub listed_by: Option<Id>,
    pub listed_at: Instant,
    pub role: ListingRole,
}

impl Listing {
    /// Asks somebody to lead, or lists them as leading.
    pub fn leader(run: Id, account: Id, status: ListingStatus, by: Id, now: Instant) -> Self {
        Self {
            run_id: run,
            account_id: account,
            status,
            listed_by: Some(by),
            listed_at: now,
            role: ListingRole::Leader,
        }
    }

    /// The same in another role.
    pub fn with_role(mut self, role: ListingRole) -> Self {
        self.role = role;
        self
    }
}

/// Who is listed on these runs, in the order in which they were listed.
pub fn listings(conn: &mut Conn, runs: &[Id]) -> Result<Vec<Listing>> {
    Ok(run_facilitators::table
        .filter(run_facilitators::run_id.eq_any(runs))
        .order((run_facilitators::run_id, run_facilitators::listed_at, run_facilitators::account_id))
        .select(Listing::as_select())
        .load(conn)?)
}

/// The listing of one person on one run, if there is one.
pub fn find_listing(conn: &mut Conn, run: Id, account: Id) -> Result<Option<Listing>> {
    Ok(run_facilitators::table.find((run, account)).select(Listing::as_select()).first(conn).optional()?)
}

/// Lists somebody, or changes the listing.
pub fn put_listing(tx: &mut Tx<'_>, listing: &Listing) -> Result<()> {
    remove_listing(tx, listing.run_id, listing.account_id)?;
    diesel::insert_into(run_facilitators::table).values(listing).execute(&mut **tx)?;
    tx.touch_run(listing.run_id);
    tx.touch_person(listing.account_id);
    Ok(())
}

/// Lists people on runs that are new, on which nobody is listed.
pub fn insert_listings(tx: &mut Tx<'_>, listings: &[Listing]) -> Result<()> {
    dialect::insert_rows!(tx, run_facilitators::table, listings);
    for listing in listings {
        tx.touch_run(listing.run_id);
        tx.touch_person(listing.account_id);
    }
    Ok(())
}

/// Takes somebody off a run; says whether they were listed.
pub fn remove_listing(tx: &mut Tx<'_>, run: Id, account: Id) -> Result<bool> {
    tx.touch_run(run);
    tx.touch_person(account);
    Ok(diesel::delete(run_facilitators::table.find((run, account))).execute(&mut **tx)? > 0)
}

/// Which of those who accepted to lead this run are in good standing: only they make its places.
pub fn active_on(conn: &mut Conn, run: Id, now: Instant) -> Result<Vec<Id>> {
    let accepted: Vec<Id> = listings(conn, &[run])?
        .into_iter()
        .filter(|listing| listing.status == ListingStatus::Accepted && listing.role == ListingRole::Leader)
        .map(|listing| listing.account_id)
        .collect();
    let good = in_good_standing(conn, &accepted, now)?;
    Ok(accepted.into_iter().filter(|id| good.contains(id)).collect())
}

/// Who accepted to go along with this run in whatever role.
pub fn accepted_on(conn: &mut Conn, run: Id) -> Result<Vec<Id>> {
    let listings = listings(conn, &[run])?.into_iter();
    Ok(listings.filter(|listing| listing.status == ListingStatus::Accepted).map(|listing| listing.account_id).collect())
}

/// Who accepted to go along with this run in whatever role and is in good standing.
pub fn accompanying(conn: &mut Conn, run: Id, now: Instant) -> Result<Vec<Id>> {
    let accepted = accepted_on(conn, run)?;
    let good = in_good_standing(conn, &accepted, now)?;
    Ok(accepted.into_iter().filter(|id| good.contains(id)).collect())
}
