//! What matching reads of runs: few columns of many rows, of some runs or of a stretch of all that are to come.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{dsl::count_star, prelude::*};

use super::{
    db::Conn,
    dialect,
    schema::{friend_places, guests, run_facilitators, running_profiles, runs, sanctions, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        moderation::SanctionKind,
        pace::{Activity, PaceBand},
        run::{LanguageTag, ListingRole, ListingStatus, RunStatus, YesNo},
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
};

/// Which published runs: those of these that are still to come, or those of a stretch of time.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    These(&'a [Id]),
    Between(Stretch),
}

/// Runs that begin from `from` on and before `to`.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    pub from: Instant,
    pub to: Instant,
}

impl Stretch {
    /// Everything after `now`.
    pub fn to_come(now: Instant) -> Self {
        Self { from: now.just_after(), to: Instant::new(jiff::Timestamp::MAX) }
    }
}

/// A run as matching reads it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = runs)]
pub struct Row {
    pub id: Id,
    pub status: RunStatus,
    pub starts_at: Instant,
    pub time_zone: String,
    pub shown_lat: f64,
    pub shown_lng: f64,
    pub fastest_s_per_km: i32,
    pub slowest_s_per_km: i32,
    pub duration_min: i32,
    pub activity: Activity,
    pub no_drop: bool,
    pub after_dark: bool,
    pub capacity: i32,
    pub point_is_public: bool,
    pub closed_at: Option<Instant>,
    pub languages: Json<Vec<LanguageTag>>,
    pub access: Json<BTreeMap<String, YesNo>>,
}

/// Adds to a boxed query that joins `runs` that only these runs count, and no more than finds them: of a stretch one span of
/// the index by start, of some runs their ids. With both, a database that knows no numbers of rows reads the whole index.
macro_rules! only {
    ($query:expr, $which:expr) => {
        match $which {
            Which::These(ids) => $query.filter(runs::id.eq_any(ids)),
            Which::Between(Stretch { from, to }) => $query
                .filter(runs::status.eq(RunStatus::Published))
                .filter(runs::starts_at.ge(from))
                .filter(runs::starts_at.lt(to)),
        }
    };
}

/// All published runs to come, in stretches of about as many as are well read at once.
pub fn stretches(conn: &mut Conn, now: Instant) -> Result<Vec<Stretch>> {
    let many = dialect::runs_in_a_stretch(conn);
    let (mut all, mut rest) = (Vec::new(), Stretch::to_come(now));
    loop {
        let last: Option<Instant> = runs::table
            .filter(runs::status.eq(RunStatus::Published))
            .filter(runs::starts_at.ge(rest.from))
            .order((runs::starts_at, runs::id))
            .select(runs::starts_at)
            .offset(many - 1)
            .first(conn)
            .optional()?;
        let Some(to) = last.map(Instant::just_after) else { break };
        all.push(Stretch { from: rest.from, to });
        rest.from = to;
    }
    all.push(rest);
    Ok(all)
}

/// The runs, in no order.
pub fn rows(conn: &mut Conn, which: Which<'_>, now: Instant) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = only!(runs::table.select(Row::as_select()).into_boxed(), which).load(conn)?;
    rows.retain(|row| row.status == RunStatus::Published && row.starts_at > now);
    Ok(rows)
}

/// Who is listed on them: run, account, status and role.
pub fn listed(conn: &mut Conn, which: Which<'_>) -> Result<Vec<(Id, Id, ListingStatus, ListingRole)>> {
    let query = run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .select((
            run_facilitators::run_id,
            run_facilitators::account_id,
            run_facilitators::status,
            run_facilitators::role,
        ))
        .into_boxed();
    Ok(only!(query, which).load(conn)?)
}

/// How many sign-ups of each are in which state.
pub fn counts(conn: &mut Conn, which: Which<'_>) -> Result<Vec<(Id, SignupStatus, i64)>> {
    let query = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .group_by((signups::run_id, signups::status))
        .select((signups::run_id, signups::status, count_star()))
        .into_boxed();
    Ok(only!(query, which).load(conn)?)
}

/// How many guests each has.
pub fn guest_counts(conn: &mut Conn, which: Which<'_>) -> Result<Vec<(Id, i64)>> {
    let query = guests::table
        .inner_join(runs::table.on(runs::id.eq(guests::run_id)))
        .group_by(guests::run_id)
        .select((guests::run_id, count_star()))
        .into_boxed();
    Ok(only!(query, which).load(conn)?)
}

/// Until when places are kept for friends on each.
pub fn friend_places(conn: &mut Conn, which: Which<'_>, now: Instant) -> Result<Vec<(Id, Instant)>> {
    let query = friend_places::table
        .inner_join(runs::table.on(runs::id.eq(friend_places::run_id)))
        .filter(friend_places::ended_at.is_null())
        .filter(friend_places::expires_at.gt(now))
        .select((friend_places::run_id, friend_places::expires_at))
        .into_boxed();
    Ok(only!(query, which).load(conn)?)
}

/// A pace as a running profile states it; none where the person is not sure yet.
type StatedPace = Option<Json<PaceBand>>;

/// The paces of those who are confirmed on each, at what it is, in the order in which they signed up.
pub fn company(conn: &mut Conn, which: Which<'_>) -> Result<Vec<(Id, Id, PaceBand)>> {
    let query = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .inner_join(running_profiles::table.on(running_profiles::account_id.eq(signups::account_id)))
        .filter(signups::status.eq(SignupStatus::Confirmed))
        .order(signups::id)
        .select((
            signups::run_id,
            signups::account_id,
            runs::activity,
            running_profiles::comfortable_pace,
            running_profiles::walking_pace,
        ))
        .into_boxed();
    let rows: Vec<(Id, Id, Activity, StatedPace, StatedPace)> = only!(query, which).load(conn)?;
    let of_run = |(run, account, activity, comfortable, walking): (Id, Id, Activity, StatedPace, StatedPace)| {
        Some((run, account, activity.pace_of(comfortable, walking)?.0))
    };
    Ok(rows.into_iter().filter_map(of_run).collect())
}

/// The runs to come in which somebody has a sign-up, or on which they are listed: those of which they may see more than
/// others. Also those with a public meeting point: hiding it changes the run alone, and these people are not read again.
pub fn insider_of(conn: &mut Conn, account: Id, now: Instant) -> Result<BTreeSet<Id>> {
    let signed_up: Vec<Id> = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(runs::starts_at.gt(now))
        .select(runs::id)
        .load(conn)?;
    let listed: Vec<Id> = run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .filter(run_facilitators::account_id.eq(account))
        .filter(runs::starts_at.gt(now))
        .select(runs::id)
        .load(conn)?;
    Ok(signed_up.into_iter().chain(listed).collect())
}

/// When the decisions that keep these people from leading end, where they do: the soonest for each.
pub fn decisions_end(conn: &mut Conn, people: &[Id], now: Instant) -> Result<BTreeMap<Id, Instant>> {
    let mut ends = BTreeMap::new();
    for some in people.chunks(10_000) {
        let rows: Vec<(Id, Option<Instant>)> = sanctions::table
            .filter(sanctions::account_id.eq_any(some))
            .filter(sanctions::kind.ne(SanctionKind::Warning))
            .filter(sanctions::lifted_at.is_null())
            .filter(sanctions::expires_at.gt(now))
            .select((sanctions::account_id, sanctions::expires_at))
            .load(conn)?;
        for (account, end) in rows.into_iter().filter_map(|(account, end)| Some((account, end?))) {
            let soonest = ends.entry(account).or_insert(end);
            *soonest = end.min(*soonest);
        }
    }
    Ok(ends)
}
