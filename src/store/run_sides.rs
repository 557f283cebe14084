//! What matching reads of runs: few columns of many rows, of some runs or of a stretch of all that are to come.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{dsl::count_star, prelude::*};

use super::{
    db::Conn,
    runs::Run,
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

/// Which runs: these, or those of a stretch.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    These(&'a [Id]),
    Between(Stretch),
}

/// Runs from `first` to `last` by id: in the order in which they were made, and in which they and what belongs to them lie
/// in the database.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    first: Id,
    last: Id,
}

impl Stretch {
    /// Every run.
    pub fn all() -> Self {
        Self { first: Id::nil(), last: Id::max() }
    }

    /// From the first to the last of these, which are in order.
    fn over(ids: &[Id]) -> Option<Self> {
        Some(Self { first: *ids.first()?, last: *ids.last()? })
    }

    /// How far apart its ends are, as numbers: in most of an identifier that is the time in which they were made.
    fn span(&self) -> u128 {
        self.last.0.as_u128() - self.first.0.as_u128()
    }
}

/// A part of all runs to come, about as many as are well read at once.
#[derive(Debug)]
pub enum Part {
    Named(Vec<Id>),
    Stretch(Stretch),
}

impl Part {
    /// Which runs it has.
    pub fn which(&self) -> Which<'_> {
        match self {
            Self::Named(ids) => Which::These(ids),
            Self::Stretch(stretch) => Which::Between(*stretch),
        }
    }
}

/// A run as matching reads it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = runs)]
pub struct Row {
    pub id: Id,
    pub series_id: Option<Id>,
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

impl Row {
    /// What matching reads of this run, whatever its status.
    pub fn of(run: &Run) -> Self {
        Self {
            id: run.id,
            series_id: run.series_id,
            status: run.status,
            starts_at: run.starts_at,
            time_zone: run.time_zone.clone(),
            shown_lat: run.shown_lat,
            shown_lng: run.shown_lng,
            fastest_s_per_km: run.fastest_s_per_km,
            slowest_s_per_km: run.slowest_s_per_km,
            duration_min: run.duration_min,
            activity: run.activity,
            no_drop: run.no_drop,
            after_dark: run.after_dark,
            capacity: run.capacity,
            point_is_public: run.point_is_public,
            closed_at: run.closed_at,
            languages: Json(run.languages.0.clone()),
            access: Json(run.access.0.clone()),
        }
    }
}

/// Adds to a boxed query, by the column that names the run, that only these count. No condition of another table and no
/// other that an index would serve: a database that knows no numbers of rows takes that index, and reads all of it.
macro_rules! only {
    ($query:expr, $run:expr, $which:expr) => {
        match $which {
            Which::These(ids) => $query.filter($run.eq_any(ids)),
            Which::Between(Stretch { first, last }) => $query.filter($run.between(first, last)),
        }
    };
}

/// Runs that are named one by one in one statement.
pub const NAMED_AT_ONCE: usize = 1_000;
/// Thousands of runs to come in one stretch.
const GROUPS_IN_A_STRETCH: usize = 100;
/// As many thousands are soon read by name, however many runs are over.
const FEW_GROUPS: usize = 10;
/// A thousand that spans so many times what three of four span was made long before the others. Around it lie mostly runs
/// that are over, with all who were there, so that it is read by name.
const SPARSE: u128 = 4;

/// All published runs to come, in parts.
pub fn parts(conn: &mut Conn, now: Instant) -> Result<Vec<Part>> {
    let to_come = runs::table.filter(runs::status.eq(RunStatus::Published)).filter(runs::starts_at.gt(now));
    Ok(parts_of(to_come.select(runs::id).load(conn)?))
}

fn parts_of(mut ids: Vec<Id>) -> Vec<Part> {
    ids.sort_unstable();
    let groups: Vec<Stretch> = ids.chunks(NAMED_AT_ONCE).filter_map(Stretch::over).collect();
    let mut spans: Vec<u128> = groups.iter().map(Stretch::span).collect();
    spans.sort_unstable();
    let usual = spans.get(spans.len() * 3 / 4).copied().unwrap_or(0);
    let is_sparse = |group: &Stretch| groups.len() <= FEW_GROUPS || group.span() > usual.saturating_mul(SPARSE);
    let mut parts = Vec::new();
    let mut rest = &ids[..];
    for alike in groups.chunk_by(|one, other| is_sparse(one) == is_sparse(other)) {
        let (these, after) = rest.split_at(rest.len().min(alike.len() * NAMED_AT_ONCE));
        rest = after;
        if is_sparse(&alike[0]) {
            parts.extend(these.chunks(NAMED_AT_ONCE).map(|some| Part::Named(some.to_vec())));
        } else {
            let stretches = these.chunks(GROUPS_IN_A_STRETCH * NAMED_AT_ONCE).filter_map(Stretch::over);
            parts.extend(stretches.map(Part::Stretch));
        }
    }
    parts
}

/// The published ones that are still to come, in no order.
pub fn rows(conn: &mut Conn, which: Which<'_>, now: Instant) -> Result<Vec<Row>> {
    let to_come = runs::table.filter(runs::starts_at.gt(now)).select(Row::as_select()).into_boxed();
    let mut rows: Vec<Row> = only!(to_come, runs::id, which).load(conn)?;
    rows.retain(|row| row.status == RunStatus::Published);
    Ok(rows)
}

/// Who is listed on a run, and how.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = run_facilitators)]
pub struct ListedRow {
    pub run_id: Id,
    pub account_id: Id,
    pub status: ListingStatus,
    pub role: ListingRole,
}

/// Who is listed on them, in no order; of a stretch also who is on runs between them that are over or hidden.
pub fn listed(conn: &mut Conn, which: Which<'_>) -> Result<Vec<ListedRow>> {
    let query = run_facilitators::table.select(ListedRow::as_select()).into_boxed();
    Ok(only!(query, run_facilitators::run_id, which).load(conn)?)
}

/// How many sign-ups of each are in which state; this and what follows also of other runs of a stretch.
pub fn counts(conn: &mut Conn, which: Which<'_>) -> Result<Vec<(Id, SignupStatus, i64)>> {
    let query = signups::table
        .group_by((signups::run_id, signups::status))
        .select((signups::run_id, signups::status, count_star()))
        .into_boxed();
    Ok(only!(query, signups::run_id, which).load(conn)?)
}

/// How many guests each has.
pub fn guest_counts(conn: &mut Conn, which: Which<'_>) -> Result<Vec<(Id, i64)>> {
    let query = guests::table.group_by(guests::run_id).select((guests::run_id, count_star())).into_boxed();
    Ok(only!(query, guests::run_id, which).load(conn)?)
}

/// Until when places are kept for friends on each.
pub fn friend_places(conn: &mut Conn, which: Which<'_>, now: Instant) -> Result<Vec<(Id, Instant)>> {
    let query = friend_places::table
        .filter(friend_places::ended_at.is_null())
        .filter(friend_places::expires_at.gt(now))
        .select((friend_places::run_id, friend_places::expires_at))
        .into_boxed();
    Ok(only!(query, friend_places::run_id, which).load(conn)?)
}

/// Somebody who is signed up for a run, with the paces that their running profile states; none where they are not sure yet.
#[derive(Debug, Clone, Queryable)]
pub struct CompanyRow {
    pub signup_id: Id,
    pub run_id: Id,
    pub account_id: Id,
    pub status: SignupStatus,
    pub comfortable_pace: Option<Json<PaceBand>>,
    pub walking_pace: Option<Json<PaceBand>>,
}

/// Those who are confirmed on each, in the order in which they signed up.
pub fn company(conn: &mut Conn, which: Which<'_>) -> Result<Vec<CompanyRow>> {
    let query = signups::table
        .inner_join(running_profiles::table.on(running_profiles::account_id.eq(signups::account_id)))
        .select((
            signups::id,
            signups::run_id,
            signups::account_id,
            signups::status,
            running_profiles::comfortable_pace,
            running_profiles::walking_pace,
        ))
        .into_boxed();
    let mut rows: Vec<CompanyRow> = only!(query, signups::run_id, which).load(conn)?;
    rows.retain(|row| row.status == SignupStatus::Confirmed);
    rows.sort_unstable_by_key(|row| row.signup_id);
    Ok(rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn made(minutes: impl Iterator<Item = i64>) -> Vec<Id> {
        let now: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        minutes.map(|minutes| Id::at(now.plus_minutes(minutes))).collect()
    }

    /// How many are named in all, and how many stretches there are; every run is in one part.
    fn shape(ids: &[Id]) -> (usize, usize) {
        let mut mixed = ids.to_vec();
        mixed.reverse();
        let parts = parts_of(mixed);
        let mut in_parts = 0;
        for part in &parts {
            in_parts += match part {
                Part::Named(some) => some.len(),
                Part::Stretch(Stretch { first, last }) => ids.iter().filter(|id| (first..=last).contains(id)).count(),
            };
        }
        assert_eq!(in_parts, ids.len());
        let named = parts.iter().filter_map(|part| match part {
            Part::Named(some) => Some(some.len()),
            Part::Stretch(_) => None,
        });
        (named.clone().sum(), parts.len() - named.count())
    }

    #[test]
    fn runs_that_were_made_far_from_the_others_are_named_and_the_others_are_stretches() {
        assert_eq!(shape(&[]), (0, 0));
        assert_eq!(shape(&made(0..2_500)), (2_500, 0), "so few are named");
        assert_eq!(shape(&made(0..20_500)), (0, 1));
        assert_eq!(shape(&made(0..250_000)), (0, 3));
        let (long_ago, lately) = ((0..3_000).map(|nth| 100 * (nth - 5_000)), 0..30_000);
        assert_eq!(shape(&made(long_ago.chain(lately))), (3_000, 1));
        let imported = std::iter::repeat_n(0, 20_000);
        assert_eq!(
            shape(&made(imported.chain(1..10_001))),
            (0, 1),
            "what was imported at once makes nothing else rare"
        );
    }
}
