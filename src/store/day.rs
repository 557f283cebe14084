//! The day itself: emergency contacts, guests without an account, incidents, and what has to wait or be forgotten.

use diesel::{dsl::exists, prelude::*};

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::{appeals, emergency_contacts, guests, incidents, reports, run_facilitators, runs, sanctions, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        day::Severity,
        moderation::{ReportStatus, SanctionKind},
        run::RunStatus,
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
};

/// Whom to call when something happens to somebody.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = emergency_contacts, treat_none_as_null = true)]
pub struct EmergencyContact {
    pub account_id: Id,
    pub name: String,
    pub phone: String,
    pub relation: Option<String>,
    pub updated_at: Instant,
}

/// The emergency contact of an account, if it gave one.
pub fn find_contact(conn: &mut Conn, account: Id) -> Result<Option<EmergencyContact>> {
    Ok(emergency_contacts::table.find(account).select(EmergencyContact::as_select()).first(conn).optional()?)
}

/// Writes an emergency contact, new or not.
pub fn put_contact(tx: &mut Tx<'_>, contact: &EmergencyContact) -> Result<()> {
    delete_contact(tx, contact.account_id)?;
    diesel::insert_into(emergency_contacts::table).values(contact).execute(&mut **tx)?;
    Ok(())
}

/// Forgets an emergency contact; says whether there was one.
pub fn delete_contact(tx: &mut Tx<'_>, account: Id) -> Result<bool> {
    Ok(diesel::delete(emergency_contacts::table.find(account)).execute(&mut **tx)? > 0)
}

/// Somebody without an account who walked in. Name and number are gone once erased; the row keeps counting.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = guests)]
pub struct Guest {
    pub id: Id,
    pub run_id: Id,
    pub first_name: Option<String>,
    pub emergency_phone: Option<String>,
    pub added_by: Option<Id>,
    pub created_at: Instant,
    pub signed_out_at: Option<Instant>,
    pub erased_at: Option<Instant>,
}

/// Keeps a guest; the run's lock is the proof that there is a place.
pub fn insert_guest(tx: &mut Tx<'_>, _locked: &RunLocked, guest: &Guest) -> Result<()> {
    diesel::insert_into(guests::table).values(guest).execute(&mut **tx)?;
    tx.touch_run(guest.run_id);
    Ok(())
}

/// The guest, if there is one.
pub fn find_guest(conn: &mut Conn, id: Id) -> Result<Option<Guest>> {
    Ok(guests::table.find(id).select(Guest::as_select()).first(conn).optional()?)
}

/// The guests of a run, in the order in which they came.
pub fn guests_of(conn: &mut Conn, run: Id) -> Result<Vec<Guest>> {
    Ok(guests::table.filter(guests::run_id.eq(run)).order(guests::id).select(Guest::as_select()).load(conn)?)
}

/// Whether anybody was checked in on a run, a guest included: then whoever was not was probably not there.
pub fn was_anybody_checked_in(conn: &mut Conn, run: Id) -> Result<bool> {
    let people: i64 = signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any([SignupStatus::Attended, SignupStatus::NoShow].as_slice()))
        .count()
        .get_result(conn)?;
    Ok(people > 0 || !guests_of(conn, run)?.is_empty())
}

/// Notes that a guest has gone home.
pub fn sign_guest_out(tx: &mut Tx<'_>, _locked: &RunLocked, guest: Id, now: Instant) -> Result<()> {
    diesel::update(guests::table.find(guest))
        .filter(guests::signed_out_at.is_null())
        .set(guests::signed_out_at.eq(now))
        .execute(&mut **tx)?;
    Ok(())
}

/// Takes a guest off a run, entered by mistake.
pub fn remove_guest(tx: &mut Tx<'_>, locked: &RunLocked, guest: Id) -> Result<()> {
    diesel::delete(guests::table.find(guest)).execute(&mut **tx)?;
    tx.touch_run(locked.run.id);
    Ok(())
}

/// Whether an incident of the run names this guest.
pub fn is_in_an_incident(conn: &mut Conn, run: Id, guest: Id) -> Result<bool> {
    let named: Vec<Json<Vec<Id>>> =
        incidents::table.filter(incidents::run_id.eq(run)).select(incidents::guest_ids).load(conn)?;
    Ok(named.iter().any(|ids| ids.contains(&guest)))
}

/// Erases names and numbers of guests of runs that ended at `before` or earlier, but for runs with an open incident;
/// returns how many.
pub fn erase_guests(tx: &mut Tx<'_>, before: Instant, now: Instant) -> Result<usize> {
    let long_over = runs::table.filter(runs::ends_at.le(before)).select(runs::id);
    let held = incidents::table
        .inner_join(reports::table.on(reports::id.eq(incidents::report_id)))
        .filter(reports::status.ne(ReportStatus::Resolved))
        .select(incidents::run_id);
    Ok(diesel::update(guests::table)
        .filter(guests::erased_at.is_null())
        .filter(guests::run_id.eq_any(long_over))
        .filter(guests::run_id.ne_all(held))
        .set((
            guests::first_name.eq(None::<String>),
            guests::emergency_phone.eq(None::<String>),
            guests::erased_at.eq(now),
        ))
        .execute(&mut **tx)?)
}

/// What a facilitator told about something that happened; the words, and how far the team is, are in the report.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = incidents)]
pub struct Incident {
    pub id: Id,
    pub run_id: Id,
    pub report_id: Id,
    pub severity: Severity,
    pub happened_at: Option<Instant>,
    pub emergency_services: bool,
    /// Sign-ups of the people involved.
    pub signup_ids: Json<Vec<Id>>,
    pub guest_ids: Json<Vec<Id>>,
    pub created_at: Instant,
}

/// Keeps an incident.
pub fn insert_incident(tx: &mut Tx<'_>, incident: &Incident) -> Result<()> {
    diesel::insert_into(incidents::table).values(incident).execute(&mut **tx)?;
    Ok(())
}

/// The incident, if there is one.
pub fn find_incident(conn: &mut Conn, id: Id) -> Result<Option<Incident>> {
    Ok(incidents::table.find(id).select(Incident::as_select()).first(conn).optional()?)
}

/// The incident that a report is of, if it is one.
pub fn incident_of_report(conn: &mut Conn, report: Id) -> Result<Option<Incident>> {
    let of_report = incidents::table.filter(incidents::report_id.eq(report));
    Ok(of_report.select(Incident::as_select()).first(conn).optional()?)
}

/// Incidents newest first, after `cursor`.
pub fn incidents(conn: &mut Conn, cursor: Option<Id>, limit: i64) -> Result<Vec<Incident>> {
    let mut query = incidents::table.select(Incident::as_select()).into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(incidents::id.lt(cursor));
    }
    Ok(query.order(incidents::id.desc()).limit(limit).load(conn)?)
}

/// How many people checked in on a run have not been signed out.
pub fn not_signed_out(conn: &mut Conn, run: Id) -> Result<i64> {
    let people: i64 = signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq(SignupStatus::Attended))
        .filter(signups::signed_out_at.is_null())
        .count()
        .get_result(conn)?;
    let guests: i64 = guests::table
        .filter(guests::run_id.eq(run))
        .filter(guests::signed_out_at.is_null())
        .count()
        .get_result(conn)?;
    Ok(people + guests)
}

/// Runs that took place, ended after `from` and until `to`, and have somebody checked in who was not signed out.
pub fn with_people_not_signed_out(conn: &mut Conn, from: Instant, to: Instant) -> Result<Vec<Id>> {
    let people = signups::table
        .filter(signups::run_id.eq(runs::id))
        .filter(signups::status.eq(SignupStatus::Attended))
        .filter(signups::signed_out_at.is_null());
    let guests = guests::table.filter(guests::run_id.eq(runs::id)).filter(guests::signed_out_at.is_null());
    Ok(runs::table
        .filter(runs::status.eq_any([RunStatus::Published, RunStatus::Completed].as_slice()))
        .filter(runs::ends_at.gt(from))
        .filter(runs::ends_at.le(to))
        .filter(exists(people).or(exists(guests)))
        .order(runs::id)
        .select(runs::id)
        .load(conn)?)
}

/// Runs that ended at `before` or earlier and still have sign-ups or guests, oldest first.
pub fn with_lists_older_than(conn: &mut Conn, before: Instant) -> Result<Vec<Id>> {
    let by_signups = signups::table.select(signups::run_id);
    let by_guests = guests::table.select(guests::run_id);
    Ok(runs::table
        .filter(runs::ends_at.le(before))
        .filter(runs::id.eq_any(by_signups).or(runs::id.eq_any(by_guests)))
        .order((runs::ends_at, runs::id))
        .select(runs::id)
        .load(conn)?)
}

/// Whether an open report, incident or appeal, or a hold, about a run or its people needs its list.
pub fn is_held(conn: &mut Conn, run: Id, now: Instant) -> Result<bool> {
    let mut people: Vec<Id> = signups::table.filter(signups::run_id.eq(run)).select(signups::account_id).load(conn)?;
    let leaders = run_facilitators::table.filter(run_facilitators::run_id.eq(run));
    people.extend(leaders.select(run_facilitators::account_id).load::<Id>(conn)?);
    let about = [people.as_slice(), &[run]].concat();
    let open_reports: i64 = reports::table
        .filter(reports::status.ne(ReportStatus::Resolved))
        .filter(reports::run_id.eq(run).or(reports::about_id.eq_any(&about)))
        .count()
        .get_result(conn)?;
    let open_appeals: i64 = appeals::table
        .filter(appeals::outcome.is_null())
        .filter(appeals::account_id.eq_any(&people))
        .count()
        .get_result(conn)?;
    let holds: i64 = sanctions::table
        .filter(sanctions::account_id.eq_any(&people))
        .filter(sanctions::kind.eq(SanctionKind::Hold))
        .filter(sanctions::lifted_at.is_null())
        .filter(sanctions::expires_at.gt(now))
        .count()
        .get_result(conn)?;
    Ok(open_reports + open_appeals + holds > 0)
}

/// Forgets who was on a run.
pub fn forget_list(tx: &mut Tx<'_>, locked: &RunLocked) -> Result<()> {
    diesel::delete(signups::table.filter(signups::run_id.eq(locked.run.id))).execute(&mut **tx)?;
    diesel::delete(guests::table.filter(guests::run_id.eq(locked.run.id))).execute(&mut **tx)?;
    tx.touch_run(locked.run.id);
    Ok(())
}
