//! Sign-ups: one person's place, request or waiting position in one run.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{dsl::count_star, prelude::*};

use super::{
    db::{Conn, Tx},
    history,
    runs::RunLocked,
    schema::{given_up_places, run_facilitators, runs, signups},
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        moderation::AppealKind,
        question::Terms,
        run::{ListingStatus, RunStatus},
        signup::{ReconfirmReason, RemovalReason, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
};

/// A sign-up as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Identifiable)]
#[diesel(table_name = signups, treat_none_as_null = true)]
pub struct Signup {
    pub id: Id,
    pub run_id: Id,
    pub account_id: Id,
    pub status: SignupStatus,
    /// Place in the line, given under the run's lock.
    pub queue_no: i32,
    pub answers: Json<Vec<String>>,
    /// A word to the facilitators.
    pub note: Option<String>,
    pub short_notice: bool,
    pub new_here: bool,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub confirmed_at: Option<Instant>,
    pub reason_code: Option<RemovalReason>,
    pub private_note: Option<String>,
    pub statement: Option<String>,
    pub decided_by: Option<Id>,
    /// Whether the person had not run with this group when they signed up.
    pub new_to_group: bool,
    /// Seated because the person comes to every date of the series.
    pub as_regular: bool,
    /// Was not signed up and came.
    pub walked_in: bool,
    /// Until when an offered place is held; for whoever waits again, when the last offer ended.
    pub offer_expires_at: Option<Instant>,
    /// How many of the places that are free now this person has let go: they are not offered again.
    pub let_go: i32,
    /// Since when the person is asked whether a changed run still suits; none once answered.
    pub change_asked_at: Option<Instant>,
    /// Until when the person has to say that they still come.
    pub reconfirm_by: Option<Instant>,
    pub reconfirm_reason: Option<ReconfirmReason>,
    /// The start and the point that the person last said yes to, while the run was moved since; none while it was not.
    pub agreed_starts_at: Option<Instant>,
    pub agreed_lat: Option<f64>,
    pub agreed_lng: Option<f64>,
    pub checked_in_at: Option<Instant>,
    pub signed_out_at: Option<Instant>,
    /// When the person said that they were there, against a facilitator's mark.
    pub said_there_at: Option<Instant>,
    /// When the decision that ended it was overturned: it stands between the person and the run no more.
    pub overturned_at: Option<Instant>,
}

impl Signup {
    /// A change that asked for a fresh yes asks for none any more.
    pub fn clear_change_prompt(&mut self) {
        if self.awaits_yes_to_a_change() {
            (self.reconfirm_by, self.reconfirm_reason) = (None, None);
        }
    }

    /// A sign-up that begins now, without what the person said.
    pub fn beginning(run: Id, account: Id, status: SignupStatus, queue_no: i32, now: Instant) -> Self {
        Self {
            id: Id::at(now),
            run_id: run,
            account_id: account,
            status,
            queue_no,
            answers: Json(Vec::new()),
            note: None,
            short_notice: true,
            new_here: false,
            created_at: now,
            updated_at: now,
            confirmed_at: (status == SignupStatus::Confirmed).then_some(now),
            reason_code: None,
            private_note: None,
            statement: None,
            decided_by: None,
            new_to_group: true,
            as_regular: false,
            walked_in: false,
            offer_expires_at: None,
            let_go: 0,
            change_asked_at: None,
            reconfirm_by: None,
            reconfirm_reason: None,
            agreed_starts_at: None,
            agreed_lat: None,
            agreed_lng: None,
            checked_in_at: None,
            signed_out_at: None,
            said_there_at: None,
            overturned_at: None,
        }
    }

    /// Takes back what the person was asked about coming: they said yes to the run as it is, or it is settled otherwise.
    pub fn clear_pending_confirmation(&mut self) {
        (self.reconfirm_by, self.reconfirm_reason, self.change_asked_at) = (None, None, None);
        self.agreed_to(None);
    }

    /// Notes what the person last said yes to, where the run is not just that.
    pub fn agreed_to(&mut self, terms: Option<Terms>) {
        self.agreed_starts_at = terms.map(|terms| terms.starts_at);
        self.agreed_lat = terms.map(|terms| terms.point.lat);
        self.agreed_lng = terms.map(|terms| terms.point.lng);
    }

    /// Whether a decision that stands has ended the matter between this person and this run.
    pub fn is_closed(&self) -> bool {
        self.status.is_final() && self.overturned_at.is_none()
    }

    /// Whether the run was moved so far that it is another run to this person, who has yet to say yes to it.
    pub fn awaits_yes_to_a_change(&self) -> bool {
        self.reconfirm_reason == Some(ReconfirmReason::Changed)
    }
}

/// The sign-up, if there is one.
pub fn find(conn: &mut Conn, id: Id) -> Result<Option<Signup>> {
    Ok(signups::table.find(id).select(Signup::as_select()).first(conn).optional()?)
}

/// The sign-up.
pub fn get(conn: &mut Conn, id: Id) -> Result<Signup> {
    find(conn, id)?.ok_or(Error::NotFound)
}

/// Keeps a new sign-up; the run's lock is the proof that its number and its place are right.
pub fn insert(tx: &mut Tx<'_>, _locked: &RunLocked, signup: &Signup) -> Result<()> {
    diesel::insert_into(signups::table).values(signup).execute(&mut **tx)?;
    touch(tx, signup);
    Ok(())
}

/// Writes every field of a sign-up under the run's lock.
pub fn update(tx: &mut Tx<'_>, _locked: &RunLocked, signup: &Signup) -> Result<()> {
    diesel::update(signups::table.find(signup.id)).set(signup).execute(&mut **tx)?;
    touch(tx, signup);
    Ok(())
}

fn touch(tx: &mut Tx<'_>, signup: &Signup) {
    tx.touch_run(signup.run_id);
    tx.touch_person(signup.account_id);
}

/// All sign-ups of one person in one run, oldest first.
pub fn of_person_in_run(conn: &mut Conn, account: Id, run: Id) -> Result<Vec<Signup>> {
    Ok(signups::table
        .filter(signups::account_id.eq(account))
        .filter(signups::run_id.eq(run))
        .order(signups::id)
        .select(Signup::as_select())
        .load(conn)?)
}

/// The sign-ups of a run in these states, in the order of the line.
pub fn of_run(conn: &mut Conn, run: Id, statuses: &[SignupStatus]) -> Result<Vec<Signup>> {
    Ok(signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(statuses))
        .order((signups::queue_no, signups::id))
        .select(Signup::as_select())
        .load(conn)?)
}

/// One person's sign-ups, newest first, after `cursor`.
pub fn of_person(conn: &mut Conn, account: Id, cursor: Option<Id>, limit: i64) -> Result<Vec<Signup>> {
    let mut query = signups::table.filter(signups::account_id.eq(account)).select(Signup::as_select()).into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(signups::id.lt(cursor));
    }
    Ok(query.order(signups::id.desc()).limit(limit).load(conn)?)
}

/// One person's sign-ups that a facilitator ended, those where that was overturned included.
pub fn ended_for(conn: &mut Conn, account: Id) -> Result<Vec<Signup>> {
    Ok(signups::table
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any(SignupStatus::FINAL.as_slice()).or(signups::overturned_at.is_not_null()))
        .select(Signup::as_select())
        .load(conn)?)
}

/// Ids of the runs to come in which a person has a live sign-up, ascending: the order in which they are locked.
pub fn runs_with_live(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Id>> {
    Ok(signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any(SignupStatus::LIVE.as_slice()))
        .filter(runs::starts_at.gt(now))
        .select(signups::run_id)
        .distinct()
        .order(signups::run_id)
        .load(conn)?)
}

/// How many sign-ups of a run are in which state, by whether the person was new to the group.
pub type Counts = BTreeMap<(SignupStatus, bool), i64>;

/// How many sign-ups of each of these runs are in which state.
pub fn counts(conn: &mut Conn, ids: &[Id]) -> Result<BTreeMap<Id, Counts>> {
    let rows: Vec<(Id, SignupStatus, bool, i64)> = signups::table
        .filter(signups::run_id.eq_any(ids))
        .group_by((signups::run_id, signups::status, signups::new_to_group))
        .select((signups::run_id, signups::status, signups::new_to_group, count_star()))
        .load(conn)?;
    let mut counts: BTreeMap<Id, Counts> = BTreeMap::new();
    for (run, status, is_new, count) in rows {
        counts.entry(run).or_default().insert((status, is_new), count);
    }
    Ok(counts)
}

/// Who is confirmed on these runs.
pub fn confirmed_on(conn: &mut Conn, ids: &[Id]) -> Result<BTreeMap<Id, Vec<Id>>> {
    let rows: Vec<(Id, Id)> = signups::table
        .filter(signups::run_id.eq_any(ids))
        .filter(signups::status.eq(SignupStatus::Confirmed))
        .order(signups::id)
        .select((signups::run_id, signups::account_id))
        .load(conn)?;
    let mut people: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
    for (run, account) in rows {
        people.entry(run).or_default().push(account);
    }
    Ok(people)
}

/// Those of a person's places whose run lies at the same time as another: `from` to `to`, but for that run.
pub fn overlapping(conn: &mut Conn, account: Id, but: Id, from: Instant, to: Instant) -> Result<Vec<Signup>> {
    overlapping_in(conn, account, but, from, to, &[SignupStatus::Confirmed, SignupStatus::Attended])
}

/// Those of a person's sign-ups in these states whose run lies at the same time as another, by run.
pub fn overlapping_in(
    conn: &mut Conn,
    account: Id,
    but: Id,
    from: Instant,
    to: Instant,
    statuses: &[SignupStatus],
) -> Result<Vec<Signup>> {
    Ok(signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any(statuses))
        .filter(signups::run_id.ne(but))
        .filter(runs::status.eq_any([RunStatus::Published, RunStatus::Paused].as_slice()))
        .filter(runs::starts_at.lt(to))
        .filter(runs::ends_at.gt(from))
        .order(signups::run_id)
        .select(Signup::as_select())
        .load(conn)?)
}

/// Whether a person took part in an earlier date of this series.
pub fn has_been_in_series(conn: &mut Conn, account: Id, series: Id) -> Result<bool> {
    let times: i64 = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(runs::series_id.eq(series))
        .filter(
            signups::status
                .eq(SignupStatus::Attended)
                .or(signups::status.eq(SignupStatus::Confirmed).and(runs::status.eq(RunStatus::Completed))),
        )
        .count()
        .get_result(conn)?;
    Ok(times > 0 || history::was_in_series(conn, account, series)?)
}

/// How often each of these people did not come and had not said so, in runs that started since `since`; those who always
/// came are left out.
pub fn silent_absences(conn: &mut Conn, people: &[Id], since: Instant) -> Result<BTreeMap<Id, i64>> {
    let rows: Vec<(Id, i64)> = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq_any(people))
        .filter(signups::status.eq(SignupStatus::NoShow))
        .filter(runs::starts_at.ge(since))
        .group_by(signups::account_id)
        .select((signups::account_id, count_star()))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Facilitators with whom a person has been on a run that took place.
pub fn known_facilitators(conn: &mut Conn, account: Id) -> Result<Vec<Id>> {
    let mut known: Vec<Id> = signups::table
        .inner_join(run_facilitators::table.on(run_facilitators::run_id.eq(signups::run_id)))
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .filter(signups::status.eq_any([SignupStatus::Confirmed, SignupStatus::Attended].as_slice()))
        .filter(runs::status.eq(RunStatus::Completed))
        .select(run_facilitators::account_id)
        .distinct()
        .load(conn)?;
    known.extend(history::kept_facilitators(conn, account)?);
    known.sort_unstable();
    known.dedup();
    Ok(known)
}

/// Everybody who has been on a run that took place with one of these facilitators: the other side of
/// [`known_facilitators`].
pub fn who_know(conn: &mut Conn, facilitators: &[Id]) -> Result<BTreeSet<Id>> {
    let people: Vec<Id> = signups::table
        .inner_join(run_facilitators::table.on(run_facilitators::run_id.eq(signups::run_id)))
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(run_facilitators::account_id.eq_any(facilitators))
        .filter(run_facilitators::status.eq(ListingStatus::Accepted))
        .filter(signups::status.eq_any([SignupStatus::Confirmed, SignupStatus::Attended].as_slice()))
        .filter(runs::status.eq(RunStatus::Completed))
        .select(signups::account_id)
        .distinct()
        .load(conn)?;
    Ok(people.into_iter().chain(history::kept_people_of(conn, facilitators)?).collect())
}

/// Everybody who has, or had, a sign-up in a run.
pub fn everybody_in(conn: &mut Conn, run: Id) -> Result<BTreeSet<Id>> {
    let people: Vec<Id> = signups::table.filter(signups::run_id.eq(run)).select(signups::account_id).load(conn)?;
    Ok(people.into_iter().collect())
}

/// In which of these runs a person has, or had, a sign-up.
pub fn been_in(conn: &mut Conn, account: Id, runs: &[Id]) -> Result<BTreeSet<Id>> {
    let rows: Vec<Id> = signups::table
        .filter(signups::account_id.eq(account))
        .filter(signups::run_id.eq_any(runs))
        .select(signups::run_id)
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Runs to come that have ended for a person: they were declined or removed, which is final there.
pub fn runs_ended_for(conn: &mut Conn, account: Id, now: Instant) -> Result<BTreeSet<Id>> {
    let rows: Vec<Id> = signups::table
        .inner_join(runs::table.on(runs::id.eq(signups::run_id)))
        .filter(signups::account_id.eq(account))
        .filter(signups::status.eq_any(SignupStatus::FINAL.as_slice()))
        .filter(signups::overturned_at.is_null())
        .filter(runs::starts_at.gt(now))
        .select(signups::run_id)
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// A place, request or waiting position that a decision took.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = given_up_places)]
pub struct GivenUp {
    pub signup_id: Id,
    pub decision_kind: AppealKind,
    pub decision_id: Id,
    /// What it was.
    pub was: SignupStatus,
}

/// Notes which decision took a place.
pub fn note_given_up(tx: &mut Tx<'_>, given_up: &GivenUp) -> Result<()> {
    diesel::delete(given_up_places::table.find(given_up.signup_id)).execute(&mut **tx)?;
    diesel::insert_into(given_up_places::table).values(given_up).execute(&mut **tx)?;
    Ok(())
}

/// What a decision took, with the run of each, in the order in which runs are locked.
pub fn given_up_for(conn: &mut Conn, kind: AppealKind, decision: Id) -> Result<Vec<(Id, GivenUp)>> {
    Ok(given_up_places::table
        .inner_join(signups::table.on(signups::id.eq(given_up_places::signup_id)))
        .filter(given_up_places::decision_kind.eq(kind))
        .filter(given_up_places::decision_id.eq(decision))
        .order(signups::run_id)
        .select((signups::run_id, GivenUp::as_select()))
        .load(conn)?)
}

/// The number before that of the first who waits for a place on a run.
pub fn before_the_line(conn: &mut Conn, run: Id) -> Result<i32> {
    let first: Option<i32> = signups::table
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any([SignupStatus::Waitlisted, SignupStatus::Offered].as_slice()))
        .select(diesel::dsl::min(signups::queue_no))
        .first(conn)?;
    Ok(first.map_or(0, |first| first - 1))
}

/// Runs (of those that took place or are to come) in which a person has a live sign-up or took part, for "is this mine".
pub fn live_in(conn: &mut Conn, account: Id, run: Id) -> Result<Option<Signup>> {
    let mine = [SignupStatus::LIVE.as_slice(), &[SignupStatus::NoShow]].concat();
    Ok(signups::table
        .filter(signups::account_id.eq(account))
        .filter(signups::run_id.eq(run))
        .filter(signups::status.eq_any(mine))
        .order(signups::id.desc())
        .select(Signup::as_select())
        .first(conn)
        .optional()?)
}
