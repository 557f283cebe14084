//! Where people are at a time: the runs that they lead or go along with, and those in which they have a place.

use diesel::prelude::*;

use super::{
    db::Conn,
    schema::{run_details, run_facilitators, runs, signups},
};
use crate::{
    clock::Instant,
    domain::{
        matching::engagements::{self, Engagements},
        place::LatLng,
        run::{ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
};

/// Somebody's time that a run takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Engagement {
    pub account: Id,
    pub run: Id,
    pub title: String,
    pub starts_at: Instant,
    pub ends_at: Instant,
    /// The exact meeting point; not for everybody's eyes.
    pub point: LatLng,
    /// What everybody may measure to.
    pub shown: LatLng,
    /// The place that they have; none where they lead or go along as the back marker.
    pub signup: Option<Id>,
}

impl Engagement {
    /// Whether it lies at the same time as `from` to `to`.
    pub fn overlaps(&self, from: Instant, to: Instant) -> bool {
        self.starts_at < to && self.ends_at > from
    }
}

type Row = (Id, Id, String, Instant, Instant, (f64, f64), (f64, f64));

fn engagement((account, run, title, starts_at, ends_at, point, shown): Row, signup: Option<Id>) -> Engagement {
    let at = |(lat, lng)| LatLng { lat, lng };
    Engagement { account, run, title, starts_at, ends_at, point: at(point), shown: at(shown), signup }
}

const ON: [RunStatus; 2] = [RunStatus::Published, RunStatus::Paused];

/// What these people have accepted to lead, or to go along with, that overlaps `from` to `to`, by run.
pub fn led_by(conn: &mut Conn, people: &[Id], from: Instant, to: Instant) -> Result<Vec<Engagement>> {
    let mut found = Vec::new();
    for some in people.chunks(10_000) {
        let rows: Vec<Row> = run_facilitators::table
            .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
            .inner_join(run_details::table.on(run_details::run_id.eq(run_facilitators::run_id)))
            .filter(run_facilitators::account_id.eq_any(some))
            .filter(run_facilitators::status.eq(ListingStatus::Accepted))
            .filter(runs::status.eq_any(ON.as_slice()))
            .filter(runs::starts_at.lt(to))
            .filter(runs::ends_at.gt(from))
            .order(runs::id)
            .select((
                run_facilitators::account_id,
                runs::id,
                runs::title,
                runs::starts_at,
                runs::ends_at,
                (run_details::lat, run_details::lng),
                (runs::shown_lat, runs::shown_lng),
            ))
            .load(conn)?;
        found.extend(rows.into_iter().map(|row| engagement(row, None)));
    }
    Ok(found)
}

/// The places of these people that overlap `from` to `to`, by run.
pub fn places_of(conn: &mut Conn, people: &[Id], from: Instant, to: Instant) -> Result<Vec<Engagement>> {
    let mut found = Vec::new();
    for some in people.chunks(10_000) {
        let rows: Vec<(Id, Row)> = signups::table
            .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
            .inner_join(run_details::table.on(run_details::run_id.eq(signups::run_id)))
            .filter(signups::account_id.eq_any(some))
            .filter(signups::status.eq_any([SignupStatus::Confirmed, SignupStatus::Attended].as_slice()))
            .filter(runs::status.eq_any(ON.as_slice()))
            .filter(runs::starts_at.lt(to))
            .filter(runs::ends_at.gt(from))
            .order(runs::id)
            .select((
                signups::id,
                (
                    signups::account_id,
                    runs::id,
                    runs::title,
                    runs::starts_at,
                    runs::ends_at,
                    (run_details::lat, run_details::lng),
                    (runs::shown_lat, runs::shown_lng),
                ),
            ))
            .load(conn)?;
        found.extend(rows.into_iter().map(|(signup, row)| engagement(row, Some(signup))));
    }
    Ok(found)
}

/// All that somebody is on and that has not ended: their live sign-ups, and the runs that they have accepted to lead or to
/// go along with.
pub fn engagements_of(conn: &mut Conn, person: Id, now: Instant) -> Result<Engagements> {
    let signed_up: Vec<(Id, Id, SignupStatus, Instant, Instant)> = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(person))
        .filter(signups::status.eq_any(SignupStatus::LIVE.as_slice()))
        .filter(runs::status.eq_any(ON.as_slice()))
        .filter(runs::ends_at.gt(now))
        .select((runs::id, signups::id, signups::status, runs::starts_at, runs::ends_at))
        .load(conn)?;
    let led: Vec<(Id, Instant, Instant)> = run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .filter(run_facilitators::account_id.eq(person))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .filter(runs::status.eq_any(ON.as_slice()))
        .filter(runs::ends_at.gt(now))
        .select((runs::id, runs::starts_at, runs::ends_at))
        .load(conn)?;
    let of = |run, signup, starts_at, ends_at| engagements::Engagement { run, signup, starts_at, ends_at };
    let signed_up = signed_up
        .into_iter()
        .map(|(run, signup, status, starts_at, ends_at)| of(run, Some((signup, status)), starts_at, ends_at));
    let led = led.into_iter().map(|(run, starts_at, ends_at)| of(run, None, starts_at, ends_at));
    Ok(Engagements::new(signed_up.chain(led).collect()))
}
