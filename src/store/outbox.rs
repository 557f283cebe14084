//! The outbox: every promised mail is a row in the transaction of the act that promised it.
//!
//! A worker claims a row with a lease by the database's clock. The lease's `fence` rises with each claim, and whoever
//! reports back with an older one is too late: nothing is marked sent twice or by a worker that was given up.

use std::collections::BTreeMap;

use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{Bool, Integer},
};

use super::{
    db::{Conn, Tx},
    dialect, gathering,
    schema::outbox,
    signups::Signup,
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::outbox::{LONGEST_BACKOFF_S, OutboxStatus, Setback, backoff_s},
    error::Result,
    id::Id,
    mail::Notice,
};

/// A mail that was promised.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox)]
pub struct Parcel {
    pub id: Id,
    pub account_id: Id,
    pub kind: String,
    /// Ids only: the facts are read when its turn comes.
    pub notice: Json<Notice>,
    pub run_id: Option<Id>,
    pub signup_id: Option<Id>,
    /// What it may be promised for only once.
    pub once_key: Option<String>,
    pub status: OutboxStatus,
    pub not_before: Instant,
    pub attempts: i32,
    pub lease_until: Option<Instant>,
    pub fence: i64,
    pub last_error: Option<String>,
    pub created_at: Instant,
    pub finished_at: Option<Instant>,
    /// Goes before all others.
    pub urgent: bool,
    /// Why the last try failed.
    pub setback: Option<Setback>,
    /// The moment from which it waits for its turn: when it was promised, or its last try. Only rows of older programs
    /// have none.
    pub waits_since: Option<Instant>,
    /// Kind, person and thing of which mails are gathered, if they are.
    pub topic: Option<String>,
}

/// A mail to promise.
#[derive(Debug, Clone)]
pub struct Promise {
    pub to: Id,
    pub notice: Notice,
    pub run: Option<Id>,
    pub signup: Option<Id>,
    pub once: Option<String>,
    /// Not before this moment.
    pub not_before: Option<Instant>,
    /// People may be setting out: before all others.
    pub urgent: bool,
    /// Whose act it tells of, where mails of one person's acts are gathered.
    pub by: Option<Id>,
    /// Of which topic it is; worked out when it is promised.
    pub topic: Option<String>,
}

impl Promise {
    /// A mail to somebody that is about no run, due now.
    pub fn new(to: Id, notice: Notice) -> Self {
        Self { to, notice, run: None, signup: None, once: None, not_before: None, urgent: false, by: None, topic: None }
    }

    /// About a run.
    pub fn of_run(mut self, run: Id) -> Self {
        self.run = Some(run);
        self
    }

    /// About a sign-up and its run.
    pub fn of_signup(mut self, signup: &Signup) -> Self {
        (self.run, self.signup) = (Some(signup.run_id), Some(signup.id));
        self
    }

    /// Only if nothing was promised under this key before.
    pub fn once(mut self, key: String) -> Self {
        self.once = Some(key);
        self
    }

    /// Not before this moment.
    pub fn not_before(mut self, at: Instant) -> Self {
        self.not_before = Some(at);
        self
    }

    /// Before all others.
    pub fn urgently(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Tells of an act of this person.
    pub fn by(mut self, actor: Id) -> Self {
        self.by = Some(actor);
        self
    }

    /// Of a topic.
    pub(super) fn on(mut self, topic: &str) -> Self {
        self.topic = Some(topic.to_owned());
        self
    }
}

/// Promises a mail; with a `once` key that was used before it does nothing. Mails of a kind to one person about one thing
/// are gathered. Says whether it was promised now.
pub fn promise(tx: &mut Tx<'_>, promise: Promise, now: Instant) -> Result<bool> {
    match promise.notice.topic(promise.run, promise.by) {
        Some(thing) => {
            let topic = format!("{}:{}:{thing}", promise.notice.name(), promise.to);
            gathering::promise(tx, promise, &topic, now)
        }
        None => insert(tx, promise, now),
    }
}

/// Writes the row of a mail, unless its key was used before; says whether it did.
pub(super) fn insert(tx: &mut Tx<'_>, promise: Promise, now: Instant) -> Result<bool> {
    let parcel = Parcel {
        id: Id::at(now),
        account_id: promise.to,
        kind: promise.notice.name().to_owned(),
        notice: Json(promise.notice),
        run_id: promise.run,
        signup_id: promise.signup,
        once_key: promise.once,
        status: OutboxStatus::Queued,
        not_before: promise.not_before.map_or(now, |at| at.max(now)),
        attempts: 0,
        lease_until: None,
        fence: 0,
        last_error: None,
        created_at: now,
        finished_at: None,
        urgent: promise.urgent,
        setback: None,
        waits_since: Some(now),
        topic: promise.topic,
    };
    let kept = dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(outbox::table)
        .values(&parcel)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(kept > 0)
}

/// Whether something was promised under this key.
pub fn is_promised(conn: &mut Conn, key: &str) -> Result<bool> {
    let known: i64 = outbox::table.filter(outbox::once_key.eq(key)).count().get_result(conn)?;
    Ok(known > 0)
}

/// Whether a mail of this kind about a sign-up has left, or is about to.
pub fn was_taken_up(conn: &mut Conn, signup: Id, kind: &str) -> Result<bool> {
    let known: i64 = outbox::table
        .filter(outbox::signup_id.eq(signup))
        .filter(outbox::kind.eq(kind))
        .filter(outbox::status.ne(OutboxStatus::Dropped))
        .filter(outbox::fence.gt(0))
        .count()
        .get_result(conn)?;
    Ok(known > 0)
}

/// How many mails of this kind each of these people was promised since then.
pub fn promised_since(conn: &mut Conn, people: &[Id], kind: &str, since: Instant) -> Result<BTreeMap<Id, i64>> {
    let rows: Vec<(Id, i64)> = outbox::table
        .filter(outbox::account_id.eq_any(people))
        .filter(outbox::kind.eq(kind))
        .filter(outbox::created_at.gt(since))
        .group_by(outbox::account_id)
        .select((outbox::account_id, diesel::dsl::count_star()))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Whether a mail of this kind about a sign-up waits, and nobody has taken it up.
pub fn waits_untouched(conn: &mut Conn, signup: Id, kind: &str) -> Result<bool> {
    let known: i64 = outbox::table
        .filter(outbox::signup_id.eq(signup))
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .filter(outbox::kind.eq(kind))
        .filter(outbox::fence.eq(0))
        .count()
        .get_result(conn)?;
    Ok(known > 0)
}

/// Whether a mail of this kind to somebody was taken up and has yet to leave, but for the one of this key.
pub fn is_under_way(conn: &mut Conn, account: Id, kind: &str, but: &str) -> Result<bool> {
    let known: i64 = outbox::table
        .filter(outbox::account_id.eq(account))
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .filter(outbox::kind.eq(kind))
        .filter(outbox::fence.gt(0))
        .filter(outbox::once_key.ne(but))
        .count()
        .get_result(conn)?;
    Ok(known > 0)
}

/// Which mails are claimed together: those that ran into a time limit hold up only each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// First tries, and mails that failed quickly.
    Ordinary,
    /// Mails whose last try hung.
    Hung,
}

/// Claims up to `limit` parcels of a lane that are due at `now` and not under somebody's lease, oldest first. A lease that
/// ends later than twice `lease_s` from now was given before the database's clock went back, and counts as over.
pub fn claim(tx: &mut Tx<'_>, lane: Lane, now: Instant, limit: i64, lease_s: i64) -> Result<Vec<Parcel>> {
    let clock = dialect::database_now(tx)?;
    let is_free = outbox::lease_until
        .is_null()
        .or(outbox::lease_until.lt(clock))
        .or(outbox::lease_until.gt(clock.plus_seconds(2 * lease_s)));
    let lanes_setback = match lane {
        Lane::Hung => sql::<Bool>("(setback = 'hung')"),
        Lane::Ordinary => sql::<Bool>("(setback IS NULL OR setback <> 'hung')"),
    };
    let due = outbox::table
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .filter(outbox::not_before.le(now))
        .filter(is_free)
        .filter(lanes_setback)
        .order((outbox::urgent.desc(), outbox::not_before, outbox::id))
        .limit(limit);
    let mut claimed: Vec<Parcel> = match &mut **tx {
        Conn::Sqlite(conn) => due.select(Parcel::as_select()).load(conn)?,
        Conn::Postgres(conn) => due.select(Parcel::as_select()).for_update().skip_locked().load(conn)?,
    };
    let until = clock.plus_seconds(lease_s);
    let ids: Vec<Id> = claimed.iter().map(|parcel| parcel.id).collect();
    diesel::update(outbox::table.filter(outbox::id.eq_any(&ids)))
        .set((outbox::lease_until.eq(until), outbox::fence.eq(outbox::fence + 1)))
        .execute(&mut **tx)?;
    for parcel in &mut claimed {
        parcel.fence += 1;
        parcel.lease_until = Some(until);
    }
    Ok(claimed)
}

/// What became of a claimed parcel.
#[derive(Debug, Clone)]
pub enum Fate {
    Sent,
    /// It was no longer true.
    Dropped,
    /// Refused for good.
    Dead(String),
    /// To be tried again after a wait.
    Later(Setback, String),
    /// Not tried: too many to the same place hang. It goes on in the lane of those, without a wait.
    Aside,
    /// Not tried to the end: the worker stops. Whoever is next takes it.
    Released,
}

/// Notes what became of a parcel, unless somebody else has claimed it since; says whether it was noted.
pub fn settle(tx: &mut Tx<'_>, parcel: &Parcel, fate: &Fate, now: Instant) -> Result<bool> {
    let (tried, mut after) = (parcel.attempts + 1, parcel.clone());
    (after.lease_until, after.waits_since) = (None, Some(now));
    match fate {
        Fate::Aside => after.setback = Some(Setback::Hung),
        Fate::Released => {}
        Fate::Sent | Fate::Dropped | Fate::Dead(_) | Fate::Later(..) => {
            (after.attempts, after.not_before, after.last_error) = (tried, now, None);
        }
    }
    match fate {
        Fate::Sent => after.status = OutboxStatus::Sent,
        Fate::Dropped => after.status = OutboxStatus::Dropped,
        Fate::Dead(why) => (after.status, after.last_error) = (OutboxStatus::Dead, Some(shortened(why))),
        Fate::Later(setback, why) => {
            (after.setback, after.last_error) = (Some(*setback), Some(shortened(why)));
            match backoff_s(*setback, tried) {
                Some(wait) => after.not_before = now.plus_seconds(wait),
                None => after.status = OutboxStatus::Dead,
            }
        }
        Fate::Aside | Fate::Released => {}
    }
    let settled = diesel::update(outbox::table.find(parcel.id))
        .filter(outbox::fence.eq(parcel.fence))
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .set((
            outbox::status.eq(after.status),
            outbox::attempts.eq(after.attempts),
            outbox::not_before.eq(after.not_before),
            outbox::last_error.eq(after.last_error),
            outbox::lease_until.eq(after.lease_until),
            outbox::finished_at.eq((after.status != OutboxStatus::Queued).then_some(now)),
            outbox::setback.eq(after.setback),
            outbox::waits_since.eq(after.waits_since),
        ))
        .execute(&mut **tx)?;
    Ok(settled > 0)
}

/// Characters of a reason that are kept.
const REASON_LIMIT: usize = 500;

fn shortened(why: &str) -> String {
    why.chars().take(REASON_LIMIT).collect()
}

/// How far a clock is set right now and then; mails that wait since later than that show that it was moved back.
const CLOCK_SET_RIGHT_S: i64 = 1;

/// Lets no mail wait longer than it was meant to because the clock went back: retries, and mails that were due soon, wait
/// from now for as long as they would have. Mails for a moment further off keep that moment. Returns how many it moved.
pub fn bound_waits(tx: &mut Tx<'_>, now: Instant) -> Result<usize> {
    let rows: Vec<Parcel> = outbox::table
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .filter(outbox::waits_since.gt(now.plus_seconds(CLOCK_SET_RIGHT_S)))
        .select(Parcel::as_select())
        .load(&mut **tx)?;
    let mut moved = 0;
    for parcel in rows {
        let since = parcel.waits_since.unwrap_or(parcel.created_at);
        let wait = parcel.not_before.seconds_since(since).max(0);
        let not_before = match parcel.attempts {
            0 if wait > LONGEST_BACKOFF_S => parcel.not_before,
            _ => now.plus_seconds(wait.min(LONGEST_BACKOFF_S)),
        };
        moved += diesel::update(outbox::table.find(parcel.id))
            .filter(outbox::fence.eq(parcel.fence))
            .set((outbox::not_before.eq(not_before), outbox::waits_since.eq(now)))
            .execute(&mut **tx)?;
    }
    Ok(moved)
}

/// Takes back what waits for an account: nothing but decisions, and what it takes to read them, goes to somebody who was
/// put out.
pub fn drop_queued(tx: &mut Tx<'_>, account: Id, now: Instant) -> Result<()> {
    diesel::update(outbox::table)
        .filter(outbox::account_id.eq(account))
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .filter(outbox::kind.ne_all(Notice::FOR_THOSE_KEPT_OUT.as_slice()))
        .set((outbox::status.eq(OutboxStatus::Dropped), outbox::finished_at.eq(now)))
        .execute(&mut **tx)?;
    Ok(())
}

/// Takes back everything that waits, for whomever; returns how many.
pub fn drop_all_queued(tx: &mut Tx<'_>, now: Instant) -> Result<usize> {
    Ok(diesel::update(outbox::table)
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .set((outbox::status.eq(OutboxStatus::Dropped), outbox::finished_at.eq(now)))
        .execute(&mut **tx)?)
}

/// Parcels in one of these states: first those that a mail server refuses because of this installation, then those that
/// were given up, then the others; the newest first of each.
pub fn list(conn: &mut Conn, statuses: &[OutboxStatus], limit: i64) -> Result<Vec<Parcel>> {
    // As text: diesel's `case_when` does not fit its common subset of the two databases.
    let is_refused = sql::<Integer>("CASE setback WHEN 'refused_us' THEN 0 ELSE 1 END");
    let is_dead = sql::<Integer>("CASE status WHEN 'dead' THEN 0 ELSE 1 END");
    Ok(outbox::table
        .filter(outbox::status.eq_any(statuses))
        .order((is_refused, is_dead, outbox::id.desc()))
        .limit(limit)
        .select(Parcel::as_select())
        .load(conn)?)
}

/// How many parcels are due at `now`, leased or not.
pub fn count_due(conn: &mut Conn, now: Instant) -> Result<i64> {
    Ok(outbox::table
        .filter(outbox::status.eq(OutboxStatus::Queued))
        .filter(outbox::not_before.le(now))
        .count()
        .get_result(conn)?)
}

/// Has dead parcels, and those that wait because a mail server refused this installation, tried again now (all of them, or
/// one); returns how many.
pub fn retry(tx: &mut Tx<'_>, one: Option<Id>, now: Instant) -> Result<usize> {
    let is_open = sql::<Bool>("(status = 'dead' OR (status = 'queued' AND setback = 'refused_us'))");
    let mut again = diesel::update(outbox::table)
        .filter(is_open)
        .set((
            outbox::status.eq(OutboxStatus::Queued),
            outbox::attempts.eq(0),
            outbox::not_before.eq(now),
            outbox::waits_since.eq(now),
            outbox::setback.eq(None::<Setback>),
            outbox::finished_at.eq(None::<Instant>),
        ))
        .into_boxed();
    if let Some(id) = one {
        again = again.filter(outbox::id.eq(id));
    }
    Ok(again.execute(&mut **tx)?)
}

/// Forgets what was sent or dropped before `before`.
pub fn purge(tx: &mut Tx<'_>, before: Instant) -> Result<usize> {
    let over = [OutboxStatus::Sent, OutboxStatus::Dropped];
    Ok(diesel::delete(
        outbox::table.filter(outbox::status.eq_any(over.as_slice())).filter(outbox::finished_at.lt(before)),
    )
    .execute(&mut **tx)?)
}
