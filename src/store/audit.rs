//! The audit log: append-only, a row for every act of one person over another, in the transaction of the act.
//!
//! Names are kept apart in `audit_people`, which can be erased. The chain's columns stay empty until the chainer runs.

use diesel::prelude::*;
use serde_json::Value;

use super::{
    db::{Conn, Tx},
    schema::{audit_log, audit_people},
    sql_types::Json,
};
use crate::{clock::Instant, domain::moderation::Act, error::Result, id::Id};

/// What somebody did to somebody.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    pub act: Act,
    /// None: the operator, at the command line.
    pub actor: Option<Id>,
    pub subject: Option<Id>,
    pub run: Option<Id>,
    /// Ids and codes only, no personal words.
    pub about: Value,
}

#[derive(Insertable)]
#[diesel(table_name = audit_log)]
struct Row {
    id: Id,
    at: Instant,
    act: Act,
    actor: Option<Id>,
    subject: Option<Id>,
    run_id: Option<Id>,
    about: Json<Value>,
}

/// Writes a row.
pub fn record(tx: &mut Tx<'_>, deed: AuditEvent, now: Instant) -> Result<()> {
    let actor = deed.actor.map(|id| pseudonym(tx, id)).transpose()?;
    let subject = deed.subject.map(|id| pseudonym(tx, id)).transpose()?;
    let row =
        Row { id: Id::at(now), at: now, act: deed.act, actor, subject, run_id: deed.run, about: Json(deed.about) };
    diesel::insert_into(audit_log::table).values(&row).execute(&mut **tx)?;
    Ok(())
}

fn pseudonym(tx: &mut Tx<'_>, account: Id) -> Result<Id> {
    let find = audit_people::table.filter(audit_people::account_id.eq(account)).select(audit_people::ref_);
    if let Some(known) = find.first(&mut **tx).optional()? {
        return Ok(known);
    }
    let fresh = (audit_people::ref_.eq(Id::random()), audit_people::account_id.eq(account));
    super::dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(audit_people::table)
        .values(fresh)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(find.first(&mut **tx)?)
}

/// A row as it is read back.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: Id,
    pub at: Instant,
    pub act: Act,
    /// The account behind the actor, while it is not erased.
    pub actor: Option<Id>,
    pub subject: Option<Id>,
    pub run_id: Option<Id>,
    pub about: Value,
}

/// Rows newest first, after `cursor`, of one subject when given.
pub fn list(conn: &mut Conn, subject: Option<Id>, cursor: Option<Id>, limit: i64) -> Result<Vec<Entry>> {
    type Columns = (Id, Instant, Act, Option<Id>, Option<Id>, Option<Id>, Json<Value>);
    let mut query = audit_log::table
        .select((
            audit_log::id,
            audit_log::at,
            audit_log::act,
            audit_log::actor,
            audit_log::subject,
            audit_log::run_id,
            audit_log::about,
        ))
        .into_boxed();
    if let Some(account) = subject {
        let known: Option<Id> = audit_people::table
            .filter(audit_people::account_id.eq(account))
            .select(audit_people::ref_)
            .first(conn)
            .optional()?;
        let Some(known) = known else { return Ok(Vec::new()) };
        query = query.filter(audit_log::subject.eq(known));
    }
    if let Some(cursor) = cursor {
        query = query.filter(audit_log::id.lt(cursor));
    }
    let rows: Vec<Columns> = query.order(audit_log::id.desc()).limit(limit).load(conn)?;
    let refs: Vec<Id> = rows.iter().flat_map(|row| [row.3, row.4]).flatten().collect();
    let people: std::collections::BTreeMap<Id, Id> = audit_people::table
        .filter(audit_people::ref_.eq_any(&refs))
        .select((audit_people::ref_, audit_people::account_id))
        .load::<(Id, Id)>(conn)?
        .into_iter()
        .collect();
    let account = |pseudonym: Option<Id>| pseudonym.and_then(|known| people.get(&known).copied());
    Ok(rows
        .into_iter()
        .map(|(id, at, act, actor, subject, run_id, about)| Entry {
            id,
            at,
            act,
            actor: account(actor),
            subject: account(subject),
            run_id,
            about: about.0,
        })
        .collect())
}
