//! Who might lead a run that has too few who do, and for which occasions they have been called.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::{credentials, facilitator_applications, run_calls, run_facilitators, running_profiles, runs},
};
use crate::{
    clock::Instant,
    domain::{
        moderation::ApplicationStatus,
        place::{BoundingBox, LatLng},
        run::{ListingStatus, RunStatus},
    },
    error::Result,
    id::Id,
};

/// Notes that substitutes are called to a run for this occasion; says whether that is news.
pub fn note_call(tx: &mut Tx<'_>, locked: &RunLocked, occasion: &str, now: Instant) -> Result<bool> {
    let run = locked.run.id;
    let known: i64 = run_calls::table.find((run, occasion)).count().get_result(&mut **tx)?;
    if known > 0 {
        return Ok(false);
    }
    diesel::insert_into(run_calls::table)
        .values((run_calls::run_id.eq(run), run_calls::occasion.eq(occasion), run_calls::called_at.eq(now)))
        .execute(&mut **tx)?;
    Ok(true)
}

/// The cell that stands for where somebody lives, and how far they like to travel, in km.
pub type Home = (String, f64);

/// Everybody whose application was approved, with their home where they have a running profile.
pub fn approved(conn: &mut Conn) -> Result<Vec<(Id, Option<Home>)>> {
    Ok(facilitator_applications::table
        .left_join(running_profiles::table.on(running_profiles::account_id.eq(facilitator_applications::account_id)))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .order(facilitator_applications::account_id)
        .select((
            facilitator_applications::account_id,
            (running_profiles::home_cell, running_profiles::travel_radius_km).nullable(),
        ))
        .load(conn)?)
}

/// Who led which runs between two moments, by the place that is shown of each; those in the latitudes of a box.
pub fn led_between(conn: &mut Conn, from: Instant, to: Instant, around: &BoundingBox) -> Result<Vec<(Id, LatLng)>> {
    let rows: Vec<(Id, f64, f64)> = run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .filter(runs::status.eq_any([RunStatus::Published, RunStatus::Completed].as_slice()))
        .filter(runs::starts_at.ge(from))
        .filter(runs::starts_at.lt(to))
        .filter(runs::shown_lat.between(around.south, around.north))
        .select((run_facilitators::account_id, runs::shown_lat, runs::shown_lng))
        .load(conn)?;
    Ok(rows.into_iter().map(|(leader, lat, lng)| (leader, LatLng { lat, lng })).collect())
}

/// Approved facilitators with a required credential that counts for the last time before `day` (ISO, excluded).
pub fn with_credentials_until(conn: &mut Conn, day: &str) -> Result<BTreeSet<Id>> {
    let found: Vec<Id> = credentials::table
        .inner_join(facilitator_applications::table.on(facilitator_applications::id.eq(credentials::application_id)))
        .filter(facilitator_applications::status.eq(ApplicationStatus::Approved))
        .filter(credentials::required.eq(true))
        .filter(credentials::expires_on.lt(day))
        .select(credentials::account_id)
        .load(conn)?;
    Ok(found.into_iter().collect())
}

/// Published runs between two moments that one of these people leads.
pub fn published_led_by(conn: &mut Conn, people: &BTreeSet<Id>, from: Instant, to: Instant) -> Result<BTreeSet<Id>> {
    let people: Vec<Id> = people.iter().copied().collect();
    let mut found = BTreeSet::new();
    for some in people.chunks(10_000) {
        let led: Vec<Id> = run_facilitators::table
            .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
            .filter(run_facilitators::account_id.eq_any(some))
            .filter(run_facilitators::status.eq(ListingStatus::Accepted))
            .filter(runs::status.eq(RunStatus::Published))
            .filter(runs::starts_at.gt(from))
            .filter(runs::starts_at.le(to))
            .select(runs::id)
            .load(conn)?;
        found.extend(led);
    }
    Ok(found)
}
