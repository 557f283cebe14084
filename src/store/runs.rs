//! Runs: one occasion each.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    dialect,
    schema::{run_details, run_facilitators, run_reminders, runs, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        pace::{Activity, PaceBand},
        place::{BoundingBox, LatLng},
        question::Terms,
        run::{
            CancelReason, JoinPolicy, LanguageTag, ListingStatus, MeetingPoint, Question, RunDraft, RunStatus, YesNo,
        },
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
};

/// A run as it is kept: the row that sign-ups change, and its details.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = runs, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Run {
    pub id: Id,
    pub external_id: Option<String>,
    pub created_by: Option<Id>,
    pub status: RunStatus,
    pub title: String,
    pub activity: Activity,
    pub fastest_s_per_km: i32,
    pub slowest_s_per_km: i32,
    pub no_drop: bool,
    pub duration_min: i32,
    pub starts_at: Instant,
    pub ends_at: Instant,
    pub time_zone: String,
    pub point_is_public: bool,
    /// What searches and distances are measured to: the point where it is public, else the area's centre.
    pub shown_lat: f64,
    pub shown_lng: f64,
    pub after_dark: bool,
    pub capacity: i32,
    pub newcomer_places: Option<i32>,
    pub join_policy: JoinPolicy,
    pub languages: Json<Vec<LanguageTag>>,
    pub access: Json<BTreeMap<String, YesNo>>,
    pub paused_at: Option<Instant>,
    /// Rises with every edit by a facilitator; sign-ups never change it.
    pub version: i32,
    pub last_queue_no: i32,
    /// Since when it takes no new sign-ups, because a facilitator said so.
    pub closed_at: Option<Instant>,
    /// How many free places those who wait have been told of, in the last hours when the first yes has them.
    pub announced_left: i32,
    /// Since when its one participant and its one facilitator are asked whether they run as two.
    pub asked_one_to_one_at: Option<Instant>,
    pub series_id: Option<Id>,
    /// Which date of the series it is: the local wall time that the rule gave, even where this date was moved.
    pub series_date: Option<String>,
    #[diesel(embed, skip_insertion, skip_update)]
    pub details: RunDetails,
}

/// The part of a run that only edits change and that only the run's own page and its mails show. It has a row of its own,
/// since each sign-up writes the run's row again.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = run_details, primary_key(run_id))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct RunDetails {
    pub run_id: Id,
    pub description: String,
    pub distance_km: Option<f64>,
    /// The exact meeting point, in degrees.
    pub lat: f64,
    pub lng: f64,
    pub place_name: String,
    pub getting_there: Option<String>,
    /// The H3 cell that stands for the meeting point where that is hidden.
    pub area_cell: String,
    pub questions: Json<Vec<Question>>,
    pub day_contact: Option<String>,
    pub cancel_reason: Option<CancelReason>,
    pub cancel_message: Option<String>,
    pub created_at: Instant,
    pub updated_at: Instant,
    /// The fields in which this date differs from its series: edits of the series leave them alone.
    pub series_kept: Json<Vec<String>>,
}

/// The two tables that make a [`Run`].
pub(super) type RunsWithDetails = diesel::dsl::InnerJoin<runs::table, run_details::table>;

/// The two tables that make a [`Run`], to select it from.
pub(super) fn with_details() -> RunsWithDetails {
    runs::table.inner_join(run_details::table)
}

impl Run {
    /// The pace at which the group chats.
    pub fn pace(&self) -> PaceBand {
        PaceBand { fastest_s_per_km: self.fastest_s_per_km, slowest_s_per_km: self.slowest_s_per_km }
    }

    /// What searches and distances are measured to.
    pub fn shown(&self) -> LatLng {
        LatLng { lat: self.shown_lat, lng: self.shown_lng }
    }

    /// The exact meeting point; not for everybody's eyes.
    pub fn meeting_point(&self) -> MeetingPoint {
        MeetingPoint { lat: self.details.lat, lng: self.details.lng, name: self.details.place_name.clone() }
    }

    /// The run as somebody is asked about it now, alone with `with` where that is the question.
    pub fn terms(&self, with: Option<Id>) -> Terms {
        Terms { starts_at: self.starts_at, point: self.meeting_point().point(), with }
    }

    /// What a facilitator can edit, as it is now.
    pub fn draft(&self) -> RunDraft {
        let by_default = self.join_policy == JoinPolicy::Open;
        RunDraft {
            title: self.title.clone(),
            description: self.details.description.clone(),
            activity: self.activity,
            pace: self.pace(),
            no_drop: self.no_drop,
            distance_km: self.details.distance_km,
            duration_min: self.duration_min,
            starts_at: self.starts_at,
            time_zone: Some(self.time_zone.clone()),
            meeting_point: self.meeting_point(),
            getting_there: self.details.getting_there.clone(),
            meeting_point_public: (self.point_is_public != by_default).then_some(self.point_is_public),
            capacity: self.capacity,
            newcomer_places: self.newcomer_places,
            join_policy: self.join_policy,
            languages: self.languages.0.clone(),
            access: self.access.0.clone(),
            questions: self.details.questions.0.clone(),
            day_contact: self.details.day_contact.clone(),
            draft: self.status == RunStatus::Draft,
            confirm_overlap: false,
        }
    }
}

/// A run whose row this transaction holds: whatever seats, offers or puts out needs it.
#[derive(Debug)]
pub struct RunLocked {
    /// The run as it is under the lock.
    pub run: Run,
    /// Private, so that a value of this type is a proof of the lock within this crate.
    was_when: When,
}

/// By which a run takes the time of those who are on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct When {
    status: RunStatus,
    starts_at: Instant,
    ends_at: Instant,
}

impl When {
    fn of(run: &Run) -> Self {
        Self { status: run.status, starts_at: run.starts_at, ends_at: run.ends_at }
    }
}

/// Locks a run; persons are locked before runs, and runs by ascending id.
pub fn lock(tx: &mut Tx<'_>, id: Id) -> Result<RunLocked> {
    let run = dialect::lock_run(tx, id)?.ok_or(Error::NotFound)?;
    Ok(RunLocked { was_when: When::of(&run), run })
}

/// The run, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Run>> {
    Ok(with_details().filter(runs::id.eq(id)).select(Run::as_select()).first(conn).optional()?)
}

/// The run.
pub fn get(conn: &mut Conn, id: Id) -> Result<Run> {
    find(conn, id)?.ok_or(Error::NotFound)
}

/// The run that an import brought under this key, if there is one.
pub fn find_by_external_id(conn: &mut Conn, key: &str) -> Result<Option<Run>> {
    Ok(with_details().filter(runs::external_id.eq(key)).select(Run::as_select()).first(conn).optional()?)
}

/// Keeps a new run.
pub fn insert(tx: &mut Tx<'_>, run: &Run) -> Result<()> {
    diesel::insert_into(runs::table).values(run).execute(&mut **tx)?;
    diesel::insert_into(run_details::table).values(&run.details).execute(&mut **tx)?;
    tx.touch_run(run.id);
    Ok(())
}

/// Keeps several new runs.
pub fn insert_all(tx: &mut Tx<'_>, some: &[Run]) -> Result<()> {
    dialect::insert_rows!(tx, runs::table, some);
    let of = |run: &Run| RunDetails { run_id: run.id, ..run.details.clone() };
    let details: Vec<RunDetails> = some.iter().map(of).collect();
    dialect::insert_rows!(tx, run_details::table, details);
    some.iter().for_each(|run| tx.touch_run(run.id));
    Ok(())
}

/// Writes every field of a locked run.
pub fn update(tx: &mut Tx<'_>, locked: &RunLocked) -> Result<()> {
    diesel::update(runs::table.find(locked.run.id)).set(&locked.run).execute(&mut **tx)?;
    diesel::update(run_details::table.find(locked.run.id)).set(&locked.run.details).execute(&mut **tx)?;
    tx.touch_run(locked.run.id);
    if When::of(&locked.run) == locked.was_when { Ok(()) } else { touch_people_on(tx, locked.run.id) }
}

/// Notes that a run takes other time than before of everybody who has a live sign-up for it or is listed on it: what
/// overlaps it is proposed to them no more, or again.
fn touch_people_on(tx: &mut Tx<'_>, run: Id) -> Result<()> {
    let signed_up: Vec<Id> = signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(SignupStatus::LIVE.as_slice()))
        .select(signups::account_id)
        .load(&mut **tx)?;
    let listed: Vec<Id> = run_facilitators::table
        .filter(run_facilitators::run_id.eq(run))
        .select(run_facilitators::account_id)
        .load(&mut **tx)?;
    signed_up.into_iter().chain(listed).for_each(|person| tx.touch_person(person));
    Ok(())
}

/// Writes how many free places those who wait have been told of.
pub fn note_announced(tx: &mut Tx<'_>, locked: &RunLocked) -> Result<()> {
    diesel::update(runs::table.find(locked.run.id))
        .set(runs::announced_left.eq(locked.run.announced_left))
        .execute(&mut **tx)?;
    Ok(())
}

/// What a run is at the moment, if there is one.
pub fn status(conn: &mut Conn, id: Id) -> Result<Option<RunStatus>> {
    Ok(runs::table.find(id).select(runs::status).first(conn).optional()?)
}

/// Gives out the next number in the run's line.
pub fn next_queue_no(tx: &mut Tx<'_>, locked: &mut RunLocked) -> Result<i32> {
    locked.run.last_queue_no += 1;
    diesel::update(runs::table.find(locked.run.id))
        .set(runs::last_queue_no.eq(locked.run.last_queue_no))
        .execute(&mut **tx)?;
    Ok(locked.run.last_queue_no)
}

/// Every place at which a run is shown, once.
pub fn shown_places(conn: &mut Conn) -> Result<Vec<LatLng>> {
    let places: Vec<(f64, f64)> = runs::table.select((runs::shown_lat, runs::shown_lng)).distinct().load(conn)?;
    Ok(places.into_iter().map(|(lat, lng)| LatLng { lat, lng }).collect())
}

/// What a search may ask of upcoming, published runs.
#[derive(Debug, Clone, Default)]
pub struct Search {
    pub from: Option<Instant>,
    pub to: Option<Instant>,
    pub around: Option<BoundingBox>,
    pub activities: Vec<Activity>,
    /// Runs whose band, widened to both sides by the tolerance of the caller, holds this pace.
    pub pace_between: Option<(i32, i32)>,
    /// Keyset: after this start and id.
    pub after: Option<(Instant, Id)>,
    pub limit: Option<i64>,
}

/// Published runs that have not started, by start and id.
pub fn search(conn: &mut Conn, search: &Search) -> Result<Vec<Run>> {
    let mut query = with_details().filter(runs::status.eq(RunStatus::Published)).select(Run::as_select()).into_boxed();
    if let Some(from) = search.from {
        query = query.filter(runs::starts_at.ge(from));
    }
    if let Some(to) = search.to {
        query = query.filter(runs::starts_at.lt(to));
    }
    if let Some(area) = &search.around {
        query = query.filter(runs::shown_lat.between(area.south, area.north));
        query = match area.lng_ranges.as_slice() {
            [(west, east)] => query.filter(runs::shown_lng.between(*west, *east)),
            [(west, east), (west2, east2), ..] => {
                query.filter(runs::shown_lng.between(*west, *east).or(runs::shown_lng.between(*west2, *east2)))
            }
            [] => query,
        };
    }
    if !search.activities.is_empty() {
        query = query.filter(runs::activity.eq_any(search.activities.clone()));
    }
    if let Some((fast, slow)) = search.pace_between {
        query = query.filter(runs::fastest_s_per_km.le(slow)).filter(runs::slowest_s_per_km.ge(fast));
    }
    if let Some((start, id)) = search.after {
        query = query.filter(runs::starts_at.gt(start).or(runs::starts_at.eq(start).and(runs::id.gt(id))));
    }
    query = query.order((runs::starts_at, runs::id));
    if let Some(limit) = search.limit {
        query = query.limit(limit);
    }
    Ok(query.load(conn)?)
}

/// Runs in one of these states that start after `from` and until `to`.
pub fn starting_between(conn: &mut Conn, statuses: &[RunStatus], from: Instant, to: Instant) -> Result<Vec<Run>> {
    Ok(with_details()
        .filter(runs::status.eq_any(statuses))
        .filter(runs::starts_at.gt(from))
        .filter(runs::starts_at.le(to))
        .order((runs::starts_at, runs::id))
        .select(Run::as_select())
        .load(conn)?)
}

/// Ids of runs that started and still have people without a place.
pub fn started_with_open_ends(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    let open = [SignupStatus::Requested, SignupStatus::Waitlisted, SignupStatus::Offered];
    Ok(runs::table
        .inner_join(signups::table.on(signups::run_id.eq(runs::id)))
        .filter(runs::starts_at.le(now))
        .filter(signups::status.eq_any(open.as_slice()))
        .select(runs::id)
        .distinct()
        .order(runs::id)
        .load(conn)?)
}

/// Ids of published runs whose planned end was before `before`.
pub fn published_ended_before(conn: &mut Conn, before: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .filter(runs::status.eq(RunStatus::Published))
        .filter(runs::ends_at.le(before))
        .select(runs::id)
        .order(runs::id)
        .load(conn)?)
}

/// Ids of runs to come on which this person is listed, ascending.
pub fn upcoming_led_by(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .inner_join(run_facilitators::table.on(run_facilitators::run_id.eq(runs::id)))
        .filter(run_facilitators::account_id.eq(account))
        .filter(runs::starts_at.gt(now))
        .filter(runs::status.eq_any([RunStatus::Draft, RunStatus::Published, RunStatus::Paused].as_slice()))
        .select(runs::id)
        .order(runs::id)
        .load(conn)?)
}

/// Ids of published runs to come that have somebody waiting.
pub fn with_people_waiting(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .inner_join(signups::table.on(signups::run_id.eq(runs::id)))
        .filter(runs::status.eq(RunStatus::Published))
        .filter(runs::starts_at.gt(now))
        .filter(signups::status.eq(SignupStatus::Waitlisted))
        .select(runs::id)
        .distinct()
        .order(runs::id)
        .load(conn)?)
}

/// The runs with these ids, in the order of their ids.
pub fn of_ids(conn: &mut Conn, ids: &[Id]) -> Result<Vec<Run>> {
    Ok(with_details().filter(runs::id.eq_any(ids)).order(runs::id).select(Run::as_select()).load(conn)?)
}

/// Ids of published runs to come with an offer whose time is over.
pub fn with_offers_overdue(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .inner_join(signups::table.on(signups::run_id.eq(runs::id)))
        .filter(runs::status.eq(RunStatus::Published))
        .filter(runs::starts_at.gt(now))
        .filter(signups::status.eq(SignupStatus::Offered))
        .filter(signups::offer_expires_at.le(now))
        .select(runs::id)
        .distinct()
        .order(runs::id)
        .load(conn)?)
}

/// Ids of runs that start after `now` and until `until` and have unanswered requests.
pub fn with_requests_until(conn: &mut Conn, now: Instant, until: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .inner_join(signups::table.on(signups::run_id.eq(runs::id)))
        .filter(runs::starts_at.gt(now))
        .filter(runs::starts_at.le(until))
        .filter(signups::status.eq(SignupStatus::Requested))
        .select(runs::id)
        .distinct()
        .order(runs::id)
        .load(conn)?)
}

/// Ids of published runs to come with requests made at `long_ago` or before.
pub fn with_requests_older_than(conn: &mut Conn, now: Instant, long_ago: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .inner_join(signups::table.on(signups::run_id.eq(runs::id)))
        .filter(runs::status.eq(RunStatus::Published))
        .filter(runs::starts_at.gt(now))
        .filter(signups::status.eq(SignupStatus::Requested))
        .filter(signups::created_at.le(long_ago))
        .select(runs::id)
        .distinct()
        .order(runs::id)
        .load(conn)?)
}

/// Ids of runs to come with places for which a yes was due.
pub fn with_yeses_overdue(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(runs::table
        .inner_join(signups::table.on(signups::run_id.eq(runs::id)))
        .filter(runs::starts_at.gt(now))
        .filter(signups::status.eq(SignupStatus::Confirmed))
        .filter(signups::reconfirm_by.le(now))
        .select(runs::id)
        .distinct()
        .order(runs::id)
        .load(conn)?)
}

/// Everybody who accepted to lead one of the published runs to come.
pub fn leaders_of_upcoming(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(run_facilitators::table
        .inner_join(runs::table.on(runs::id.eq(run_facilitators::run_id)))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .filter(runs::starts_at.gt(now))
        .filter(runs::status.eq(RunStatus::Published))
        .select(run_facilitators::account_id)
        .distinct()
        .load(conn)?)
}

/// Runs led by one facilitator, by start.
pub fn led_by(conn: &mut Conn, account: Id, statuses: &[RunStatus]) -> Result<Vec<Run>> {
    Ok(with_details()
        .inner_join(run_facilitators::table.on(run_facilitators::run_id.eq(runs::id)))
        .filter(run_facilitators::account_id.eq(account))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .filter(runs::status.eq_any(statuses))
        .order((runs::starts_at, runs::id))
        .select(Run::as_select())
        .load(conn)?)
}

/// Which reminders of a run have been handed to the outbox for its present start.
pub fn reminded(conn: &mut Conn, run: Id, starts_at: Instant) -> Result<Vec<String>> {
    Ok(run_reminders::table
        .filter(run_reminders::run_id.eq(run))
        .filter(run_reminders::starts_at.eq(starts_at))
        .select(run_reminders::moment)
        .load(conn)?)
}

/// Which reminders have been handed to the outbox for runs that start after `from` and until `to`, each for its start.
pub fn reminded_between(conn: &mut Conn, from: Instant, to: Instant) -> Result<BTreeSet<(Id, String, Instant)>> {
    let rows: Vec<(Id, String, Instant)> = run_reminders::table
        .filter(run_reminders::starts_at.gt(from))
        .filter(run_reminders::starts_at.le(to))
        .select((run_reminders::run_id, run_reminders::moment, run_reminders::starts_at))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Notes that a reminder has been handed to the outbox.
pub fn mark_reminded(tx: &mut Tx<'_>, run: Id, moment: &str, starts_at: Instant) -> Result<()> {
    diesel::insert_into(run_reminders::table)
        .values((
            run_reminders::run_id.eq(run),
            run_reminders::moment.eq(moment),
            run_reminders::starts_at.eq(starts_at),
        ))
        .execute(&mut **tx)?;
    Ok(())
}
