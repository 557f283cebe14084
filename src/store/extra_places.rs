//! Places that nobody's sign-up holds: kept for a friend until they sign up themselves, and guests without an account.

use std::collections::BTreeMap;

use diesel::{dsl::count_star, prelude::*};

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::{friend_places, guests, runs as run_ids},
};
use crate::{clock::Instant, error::Result, id::Id};

/// How many such places each of these runs has at `now`.
pub fn counts(conn: &mut Conn, runs: &[Id], now: Instant) -> Result<BTreeMap<Id, i64>> {
    // One question for both: it is asked under every run's lock.
    let guests = guests::table.filter(guests::run_id.eq(run_ids::id)).select(count_star()).single_value();
    let kept = friend_places::table
        .filter(friend_places::run_id.eq(run_ids::id))
        .filter(friend_places::ended_at.is_null())
        .filter(friend_places::expires_at.gt(now))
        .select(count_star())
        .single_value();
    let rows: Vec<(Id, Option<i64>, Option<i64>)> =
        run_ids::table.filter(run_ids::id.eq_any(runs)).select((run_ids::id, guests, kept)).load(conn)?;
    Ok(rows.into_iter().map(|(run, guests, kept)| (run, guests.unwrap_or(0) + kept.unwrap_or(0))).collect())
}

/// How many guests each of these runs has.
pub fn guests(conn: &mut Conn, runs: &[Id]) -> Result<BTreeMap<Id, i64>> {
    Ok(guests::table
        .filter(guests::run_id.eq_any(runs))
        .group_by(guests::run_id)
        .select((guests::run_id, count_star()))
        .load::<(Id, i64)>(conn)?
        .into_iter()
        .collect())
}

/// A place that somebody with a sign-up keeps for a friend.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = friend_places, treat_none_as_null = true)]
pub struct FriendPlace {
    pub id: Id,
    pub run_id: Id,
    /// Of whoever keeps it.
    pub signup_id: Id,
    pub expires_at: Instant,
    pub created_at: Instant,
    /// The friend's sign-up: its link works once.
    pub used_by: Option<Id>,
    /// Since when it holds nothing any more.
    pub ended_at: Option<Instant>,
}

impl FriendPlace {
    /// Whether it holds a place.
    pub fn holds(&self, now: Instant) -> bool {
        self.ended_at.is_none() && self.expires_at > now
    }

    /// Whether a friend can still sign up with it.
    pub fn waits(&self, now: Instant) -> bool {
        self.holds(now) && self.used_by.is_none()
    }
}

/// Keeps a place for a friend, under the run's lock.
pub fn insert(tx: &mut Tx<'_>, _locked: &RunLocked, place: &FriendPlace) -> Result<()> {
    diesel::insert_into(friend_places::table).values(place).execute(&mut **tx)?;
    tx.touch_run(place.run_id);
    Ok(())
}

/// Writes every field of such a place under the run's lock.
pub fn update(tx: &mut Tx<'_>, _locked: &RunLocked, place: &FriendPlace) -> Result<()> {
    diesel::update(friend_places::table.find(place.id)).set(place).execute(&mut **tx)?;
    tx.touch_run(place.run_id);
    Ok(())
}

/// The place, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<FriendPlace>> {
    Ok(friend_places::table.find(id).select(FriendPlace::as_select()).first(conn).optional()?)
}

/// What somebody with this sign-up ever kept for friends, oldest first.
pub fn of_signup(conn: &mut Conn, signup: Id) -> Result<Vec<FriendPlace>> {
    Ok(friend_places::table
        .filter(friend_places::signup_id.eq(signup))
        .order((friend_places::created_at, friend_places::id))
        .select(FriendPlace::as_select())
        .load(conn)?)
}

/// The place that is kept for this sign-up of a friend while it waits for a facilitator's yes.
pub fn kept_for(conn: &mut Conn, friends_signup: Id, now: Instant) -> Result<Option<FriendPlace>> {
    let found = friend_places::table
        .filter(friend_places::used_by.eq(friends_signup))
        .filter(friend_places::ended_at.is_null())
        .select(FriendPlace::as_select())
        .first(conn)
        .optional()?;
    Ok(found.filter(|place: &FriendPlace| place.holds(now)))
}

/// No place of this run is kept beyond `until`.
pub fn not_beyond(tx: &mut Tx<'_>, locked: &RunLocked, until: Instant) -> Result<()> {
    diesel::update(friend_places::table)
        .filter(friend_places::run_id.eq(locked.run.id))
        .filter(friend_places::ended_at.is_null())
        .filter(friend_places::expires_at.gt(until))
        .set(friend_places::expires_at.eq(until))
        .execute(&mut **tx)?;
    tx.touch_run(locked.run.id);
    Ok(())
}

/// Runs with kept places whose time is over and that were not ended.
pub fn runs_with_overdue(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(friend_places::table
        .filter(friend_places::ended_at.is_null())
        .filter(friend_places::expires_at.le(now))
        .order(friend_places::run_id)
        .select(friend_places::run_id)
        .distinct()
        .load(conn)?)
}

/// Ends the kept places of a run whose time is over; says whether there were some.
pub fn end_overdue(tx: &mut Tx<'_>, locked: &RunLocked, now: Instant) -> Result<bool> {
    let ended = diesel::update(friend_places::table)
        .filter(friend_places::run_id.eq(locked.run.id))
        .filter(friend_places::ended_at.is_null())
        .filter(friend_places::expires_at.le(now))
        .set(friend_places::ended_at.eq(now))
        .execute(&mut **tx)?;
    if ended > 0 {
        tx.touch_run(locked.run.id);
    }
    Ok(ended > 0)
}

/// Gives back the place that somebody kept for a friend, or that was kept for them, since they do not come any more. Says
/// whether there was one.
pub fn end_of_signup(tx: &mut Tx<'_>, signup: Id, now: Instant) -> Result<bool> {
    let ended = diesel::update(friend_places::table)
        .filter(friend_places::signup_id.eq(signup).or(friend_places::used_by.eq(signup)))
        .filter(friend_places::ended_at.is_null())
        .set(friend_places::ended_at.eq(now))
        .execute(&mut **tx)?;
    Ok(ended > 0)
}
