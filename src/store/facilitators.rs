//! Applications to lead runs, the credentials in them, and who is in good standing.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    moderation,
    schema::{accounts, credentials, facilitator_applications, run_facilitators},
};
use crate::{
    clock::Instant,
    domain::{
        account::AccountStatus,
        moderation::{ApplicationStatus, SanctionScope},
        run::ListingStatus,
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

/// Writes every field of an application.
pub fn update(tx: &mut Tx<'_>, application: &Application) -> Result<()> {
    diesel::update(facilitator_applications::table.find(application.id)).set(application).execute(&mut **tx)?;
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
    Ok(())
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
    let today = now.local("UTC").date().to_string();
    let approved: Vec<Id> = facilitator_applications::table
        .inner_join(accounts::table.on(accounts::id.eq(facilitator_applications::account_id)))
        .filter(facilitator_applications::account_id.eq_any(ids))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .filter(accounts::status.eq(AccountStatus::Active))
        .select(facilitator_applications::account_id)
        .load(conn)?;
    let lapsed: BTreeSet<Id> = credentials::table
        .inner_join(facilitator_applications::table.on(facilitator_applications::id.eq(credentials::application_id)))
        .filter(credentials::account_id.eq_any(ids))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .filter(credentials::required.eq(true))
        .filter(credentials::expires_on.lt(today))
        .select(credentials::account_id)
        .load(conn)?
        .into_iter()
        .collect();
    let kept_out: BTreeSet<Id> = moderation::kept_out(conn, ids, SanctionScope::Facilitating, now)?;
    Ok(approved.into_iter().filter(|id| !lapsed.contains(id) && !kept_out.contains(id)).collect())
}

/// One facilitator of one run.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = run_facilitators)]
pub struct Listing {
    pub run_id: Id,
    pub account_id: Id,
    pub status: ListingStatus,
    pub listed_by: Option<Id>,
    pub listed_at: Instant,
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
    Ok(())
}

/// Takes somebody off a run; says whether they were listed.
pub fn remove_listing(tx: &mut Tx<'_>, run: Id, account: Id) -> Result<bool> {
    Ok(diesel::delete(run_facilitators::table.find((run, account))).execute(&mut **tx)? > 0)
}

/// Which of those who accepted to lead this run are in good standing: only they make its places.
pub fn active_on(conn: &mut Conn, run: Id, now: Instant) -> Result<Vec<Id>> {
    let accepted: Vec<Id> = listings(conn, &[run])?
        .into_iter()
        .filter(|listing| listing.status == ListingStatus::Accepted)
        .map(|listing| listing.account_id)
        .collect();
    let good = in_good_standing(conn, &accepted, now)?;
    Ok(accepted.into_iter().filter(|id| good.contains(id)).collect())
}
