//! Decisions about people: sanctions, bars, reports, appeals, and the keyed hashes of banned addresses.

use std::collections::BTreeSet;

use diesel::prelude::*;

use super::{
    db::{Conn, Tx},
    dialect, facilitators,
    schema::{
        accounts, appeals, banned_addresses, bars, report_leaders, reports, run_facilitators, sanctions, signups,
    },
    sql_types::Json,
};
use crate::{
    clock::Instant,
    domain::{
        moderation::{
            AboutKind, AppealKind, Category, Consequence, Outcome, ReportStatus, SanctionKind, SanctionScope,
        },
        signup::RemovalReason,
    },
    error::Result,
    id::Id,
};

/// A moderator's decision about an account.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sanctions, treat_none_as_null = true)]
pub struct Sanction {
    pub id: Id,
    pub account_id: Id,
    pub kind: SanctionKind,
    pub scope: SanctionScope,
    pub rule: String,
    pub statement: String,
    pub decided_by: Option<Id>,
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub lifted_at: Option<Instant>,
    pub lifted_by: Option<Id>,
    pub lift_reason: Option<String>,
    /// Why the statement is kept back from the person until a hold ends, for the team.
    pub withheld_because: Option<String>,
    /// When the person was told that it ran out.
    pub end_told_at: Option<Instant>,
    /// The decision about another account of the same mailbox that this one follows; none for one made by itself.
    pub follows_id: Option<Id>,
}

/// Read in place of a statement that is kept back.
const WITHHELD_WORDS: &str = "We have to keep the details back for now. You get them when this ends.";

impl Sanction {
    /// Whether the facts are kept back from the person now.
    pub fn is_withheld(&self, now: Instant) -> bool {
        self.withheld_because.is_some() && self.stands(now)
    }

    /// The statement as the person reads it while the decision stands.
    pub fn statement_while_it_stands(&self) -> &str {
        if self.withheld_because.is_some() { WITHHELD_WORDS } else { &self.statement }
    }

    /// The statement as the person reads it now.
    pub fn statement_for_person(&self, now: Instant) -> &str {
        if self.stands(now) { self.statement_while_it_stands() } else { &self.statement }
    }

    /// What was kept back until its end and can be told from then on.
    pub fn facts_after_end(&self, now: Instant) -> Option<&str> {
        Some(self.statement.as_str()).filter(|_| self.withheld_because.is_some() && !self.stands(now))
    }

    /// Whether it keeps the person out of everything, not from leading alone.
    pub fn keeps_out_of_site(&self) -> bool {
        self.kind.keeps_out() && self.scope == SanctionScope::Site
    }

    /// The decision about another account of the mailbox that follows this one.
    pub fn followed_for(&self, account: Id, now: Instant) -> Self {
        Self { id: Id::at(now), account_id: account, created_at: now, follows_id: Some(self.id), ..self.clone() }
    }

    /// Whether it still stands.
    pub fn stands(&self, now: Instant) -> bool {
        self.lifted_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// Keeps a decision.
pub fn insert_sanction(tx: &mut Tx<'_>, sanction: &Sanction) -> Result<()> {
    diesel::insert_into(sanctions::table).values(sanction).execute(&mut **tx)?;
    facilitators::touch_runs_led_by(tx, sanction.account_id)
}

/// The decision, if there is one.
pub fn find_sanction(conn: &mut Conn, id: Id) -> Result<Option<Sanction>> {
    Ok(sanctions::table.find(id).select(Sanction::as_select()).first(conn).optional()?)
}

/// Writes every field of a decision.
pub fn update_sanction(tx: &mut Tx<'_>, sanction: &Sanction) -> Result<()> {
    diesel::update(sanctions::table.find(sanction.id)).set(sanction).execute(&mut **tx)?;
    facilitators::touch_runs_led_by(tx, sanction.account_id)
}

/// Holds and suspensions that ran out and of whose end the person was not told.
pub fn ended_untold(conn: &mut Conn, now: Instant) -> Result<Vec<Id>> {
    Ok(sanctions::table
        .filter(sanctions::end_told_at.is_null())
        .filter(sanctions::expires_at.le(now))
        .filter(sanctions::lifted_at.is_null())
        .filter(sanctions::kind.eq_any([SanctionKind::Hold, SanctionKind::Suspension].as_slice()))
        .order(sanctions::id)
        .select(sanctions::id)
        .load(conn)?)
}

/// All decisions about an account, newest first.
pub fn sanctions_of(conn: &mut Conn, account: Id) -> Result<Vec<Sanction>> {
    Ok(sanctions::table
        .filter(sanctions::account_id.eq(account))
        .order(sanctions::id.desc())
        .select(Sanction::as_select())
        .load(conn)?)
}

/// The decisions that keep an account out of everything now, newest first.
pub fn keeping_out(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Sanction>> {
    Ok(sanctions_of(conn, account)?
        .into_iter()
        .filter(|s| s.kind.keeps_out() && s.scope == SanctionScope::Site && s.stands(now))
        .collect())
}

/// Which of these accounts a decision keeps from `what` now: from leading by either scope, from everything by `site`.
pub fn kept_out(conn: &mut Conn, ids: &[Id], what: SanctionScope, now: Instant) -> Result<BTreeSet<Id>> {
    let scopes: &[SanctionScope] = match what {
        SanctionScope::Site => &[SanctionScope::Site],
        SanctionScope::Facilitating => &[SanctionScope::Site, SanctionScope::Facilitating],
    };
    let rows: Vec<Id> = sanctions::table
        .filter(sanctions::account_id.eq_any(ids))
        .filter(sanctions::kind.ne(SanctionKind::Warning))
        .filter(sanctions::scope.eq_any(scopes))
        .filter(sanctions::lifted_at.is_null())
        .filter(sanctions::expires_at.is_null().or(sanctions::expires_at.gt(now)))
        .select(sanctions::account_id)
        .distinct()
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Keeps the keyed hash of a banned address.
pub fn ban_address(tx: &mut Tx<'_>, hash: &str, sanction: Id) -> Result<()> {
    dialect::on_backend!(&mut **tx, |conn| diesel::insert_into(banned_addresses::table)
        .values((banned_addresses::hash.eq(hash), banned_addresses::sanction_id.eq(sanction)))
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(())
}

/// Forgets a banned address.
pub fn unban_address(tx: &mut Tx<'_>, sanction: Id) -> Result<()> {
    diesel::delete(banned_addresses::table.filter(banned_addresses::sanction_id.eq(sanction))).execute(&mut **tx)?;
    Ok(())
}

/// Whether an address is banned, by its keyed hash.
pub fn address_is_banned(conn: &mut Conn, hash: &str) -> Result<bool> {
    let found: i64 = banned_addresses::table.filter(banned_addresses::hash.eq(hash)).count().get_result(conn)?;
    Ok(found > 0)
}

/// Whether the address of an account, or its mailbox, is banned.
pub fn account_address_is_banned(conn: &mut Conn, account: Id) -> Result<bool> {
    let of_account = accounts::id.eq(account);
    let banned = banned_addresses::hash.nullable().eq(accounts::address_hash);
    let found: i64 = banned_addresses::table
        .inner_join(accounts::table.on(banned.or(banned_addresses::hash.nullable().eq(accounts::mailbox_hash))))
        .filter(of_account)
        .count()
        .get_result(conn)?;
    Ok(found > 0)
}

/// Lets bans that were made before mailboxes were compared reach the mailboxes of those whom they are about.
pub fn ban_mailboxes(tx: &mut Tx<'_>) -> Result<()> {
    let known: Vec<(Option<String>, Id)> = banned_addresses::table
        .inner_join(sanctions::table.on(sanctions::id.eq(banned_addresses::sanction_id)))
        .inner_join(accounts::table.on(accounts::id.eq(sanctions::account_id)))
        .select((accounts::mailbox_hash, sanctions::id))
        .load(&mut **tx)?;
    for (mailbox, sanction) in known {
        if let Some(mailbox) = mailbox {
            ban_address(tx, &mailbox, sanction)?;
        }
    }
    Ok(())
}

/// A facilitator keeps one account out of all their own runs, until a date.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = bars, treat_none_as_null = true)]
pub struct Bar {
    pub id: Id,
    pub facilitator_id: Id,
    pub account_id: Id,
    pub until: Instant,
    pub reason_code: String,
    /// For moderators only.
    pub private_note: String,
    pub statement: Option<String>,
    pub created_at: Instant,
    pub lifted_at: Option<Instant>,
}

impl Bar {
    /// The ready-made sentence of its reason.
    pub fn sentence(&self) -> &'static str {
        self.reason_code.parse().map_or("", RemovalReason::sentence)
    }
}

/// Keeps a bar.
pub fn insert_bar(tx: &mut Tx<'_>, bar: &Bar) -> Result<()> {
    diesel::insert_into(bars::table).values(bar).execute(&mut **tx)?;
    tx.touch_person(bar.account_id);
    Ok(())
}

/// The bar, if there is one.
pub fn find_bar(conn: &mut Conn, id: Id) -> Result<Option<Bar>> {
    Ok(bars::table.find(id).select(Bar::as_select()).first(conn).optional()?)
}

/// Lifts a bar; says whether it stood.
pub fn lift_bar(tx: &mut Tx<'_>, id: Id, now: Instant) -> Result<bool> {
    let lifted = diesel::update(bars::table.find(id))
        .filter(bars::lifted_at.is_null())
        .set(bars::lifted_at.eq(now))
        .execute(&mut **tx)?;
    if let Some(bar) = find_bar(tx, id)? {
        tx.touch_person(bar.account_id);
    }
    Ok(lifted > 0)
}

/// The bars that a facilitator set, newest first, after `cursor`.
pub fn bars_of(conn: &mut Conn, facilitator: Id, cursor: Option<Id>, limit: i64) -> Result<Vec<Bar>> {
    let mut query = bars::table.filter(bars::facilitator_id.eq(facilitator)).select(Bar::as_select()).into_boxed();
    if let Some(cursor) = cursor {
        query = query.filter(bars::id.lt(cursor));
    }
    Ok(query.order(bars::id.desc()).limit(limit).load(conn)?)
}

/// The bars that stand against an account now, newest first.
pub fn bars_against(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Bar>> {
    Ok(bars::table
        .filter(bars::account_id.eq(account))
        .filter(bars::lifted_at.is_null())
        .filter(bars::until.gt(now))
        .order(bars::id.desc())
        .select(Bar::as_select())
        .load(conn)?)
}

/// Whether one of the facilitators listed on a run bars this account now.
pub fn is_barred_from(conn: &mut Conn, account: Id, run: Id, now: Instant) -> Result<bool> {
    let listed = run_facilitators::table.filter(run_facilitators::run_id.eq(run)).select(run_facilitators::account_id);
    let found: i64 = bars::table
        .filter(bars::account_id.eq(account))
        .filter(bars::lifted_at.is_null())
        .filter(bars::until.gt(now))
        .filter(bars::facilitator_id.eq_any(listed))
        .count()
        .get_result(conn)?;
    Ok(found > 0)
}

/// The bars of one facilitator that stand now against those given.
pub fn bars_by(conn: &mut Conn, facilitator: Id, of: &[Id], now: Instant) -> Result<Vec<Bar>> {
    Ok(bars::table
        .filter(bars::facilitator_id.eq(facilitator))
        .filter(bars::account_id.eq_any(of))
        .filter(bars::lifted_at.is_null())
        .filter(bars::until.gt(now))
        .order(bars::id)
        .select(Bar::as_select())
        .load(conn)?)
}

/// Everybody whom one of these facilitators bars now.
pub fn barred_by(conn: &mut Conn, facilitators: &[Id], now: Instant) -> Result<BTreeSet<Id>> {
    let rows: Vec<Id> = bars::table
        .filter(bars::facilitator_id.eq_any(facilitators))
        .filter(bars::lifted_at.is_null())
        .filter(bars::until.gt(now))
        .select(bars::account_id)
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// Something that somebody wants the team to look at.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = reports, treat_none_as_null = true)]
pub struct Report {
    pub id: Id,
    pub reporter_id: Option<Id>,
    pub about_kind: AboutKind,
    pub about_id: Option<Id>,
    pub run_id: Option<Id>,
    /// "The man in the red jacket", where the reporter knows no name.
    pub description: Option<String>,
    pub category: Category,
    /// Smaller is looked at first.
    pub urgency: i32,
    pub statement: String,
    pub status: ReportStatus,
    pub assigned_to: Option<Id>,
    pub resolution: Option<String>,
    pub created_at: Instant,
    pub resolved_at: Option<Instant>,
}

/// Keeps a report.
pub fn insert_report(tx: &mut Tx<'_>, report: &Report) -> Result<()> {
    diesel::insert_into(reports::table).values(report).execute(&mut **tx)?;
    Ok(())
}

/// Notes who leads the reported run, whatever becomes of their listing.
pub fn note_report_leaders(tx: &mut Tx<'_>, report: Id, run: Id) -> Result<()> {
    let listed: Vec<Id> = run_facilitators::table
        .filter(run_facilitators::run_id.eq(run))
        .select(run_facilitators::account_id)
        .load(&mut **tx)?;
    for leader in listed {
        let row = (report_leaders::report_id.eq(report), report_leaders::account_id.eq(leader));
        diesel::insert_into(report_leaders::table).values(row).execute(&mut **tx)?;
    }
    Ok(())
}

/// Whether somebody was listed on the run of a report when it was made.
pub fn led_reported_run(conn: &mut Conn, report: Id, account: Id) -> Result<bool> {
    let found: i64 = report_leaders::table.find((report, account)).count().get_result(conn)?;
    Ok(found > 0)
}

/// Open reports that may be looked through at most: far more than a team has open at a time.
const OPEN_REPORTS: i64 = 2_000;

/// Reports that are not resolved and are about somebody or about a run that they lead or were ever on, newest first.
pub fn open_reports_touching(conn: &mut Conn, account: Id) -> Result<Vec<Report>> {
    let led = report_leaders::table.filter(report_leaders::account_id.eq(account)).select(report_leaders::report_id);
    let listed = run_facilitators::table
        .filter(run_facilitators::account_id.eq(account))
        .select(run_facilitators::run_id.nullable());
    let joined = signups::table.filter(signups::account_id.eq(account)).select(signups::run_id.nullable());
    Ok(reports::table
        .filter(reports::status.ne(ReportStatus::Resolved))
        .filter(
            reports::about_id
                .eq(account)
                .or(reports::id.eq_any(led))
                .or(reports::run_id.eq_any(listed))
                .or(reports::run_id.eq_any(joined)),
        )
        .order(reports::id.desc())
        .limit(OPEN_REPORTS)
        .select(Report::as_select())
        .load(conn)?)
}

/// The report, if there is one.
pub fn find_report(conn: &mut Conn, id: Id) -> Result<Option<Report>> {
    Ok(reports::table.find(id).select(Report::as_select()).first(conn).optional()?)
}

/// Writes every field of a report.
pub fn update_report(tx: &mut Tx<'_>, report: &Report) -> Result<()> {
    diesel::update(reports::table.find(report.id)).set(report).execute(&mut **tx)?;
    Ok(())
}

/// Reports of one person that nobody has taken on or resolved, the most urgent first.
pub fn unassigned_reports_of(conn: &mut Conn, reporter: Id, limit: i64) -> Result<Vec<Report>> {
    Ok(reports::table
        .filter(reports::reporter_id.eq(reporter))
        .filter(reports::status.eq(ReportStatus::Open))
        .order((reports::urgency, reports::id))
        .limit(limit)
        .select(Report::as_select())
        .load(conn)?)
}

/// The moderators' queue: safeguarding first, then the oldest; after the cursor's urgency and id.
pub fn queue(
    conn: &mut Conn,
    status: Option<ReportStatus>,
    cursor: Option<(i32, Id)>,
    limit: i64,
) -> Result<Vec<Report>> {
    let mut query = reports::table.select(Report::as_select()).into_boxed();
    query = match status {
        Some(status) => query.filter(reports::status.eq(status)),
        None => query.filter(reports::status.ne(ReportStatus::Resolved)),
    };
    if let Some((urgency, id)) = cursor {
        query = query.filter(reports::urgency.gt(urgency).or(reports::urgency.eq(urgency).and(reports::id.gt(id))));
    }
    Ok(query.order((reports::urgency, reports::id)).limit(limit).load(conn)?)
}

/// Somebody's objection to a decision about them.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = appeals, treat_none_as_null = true)]
pub struct Appeal {
    pub id: Id,
    pub account_id: Id,
    pub about_kind: AppealKind,
    pub about_id: Id,
    /// Who decided first, and so must not decide again.
    pub first_decided_by: Option<Id>,
    pub statement: String,
    pub outcome: Option<Outcome>,
    pub decided_by: Option<Id>,
    pub decision: Option<String>,
    pub created_at: Instant,
    pub decided_at: Option<Instant>,
    /// What came of overturning the decision.
    pub consequences: Option<Json<Vec<Consequence>>>,
}

/// Keeps an appeal.
pub fn insert_appeal(tx: &mut Tx<'_>, appeal: &Appeal) -> Result<()> {
    diesel::insert_into(appeals::table).values(appeal).execute(&mut **tx)?;
    Ok(())
}

/// The appeal, if there is one.
pub fn find_appeal(conn: &mut Conn, id: Id) -> Result<Option<Appeal>> {
    Ok(appeals::table.find(id).select(Appeal::as_select()).first(conn).optional()?)
}

/// Whether an appeal about this waits to be decided.
pub fn has_open_appeal(conn: &mut Conn, kind: AppealKind, about: Id) -> Result<bool> {
    let open: i64 = appeals::table
        .filter(appeals::about_kind.eq(kind))
        .filter(appeals::about_id.eq(about))
        .filter(appeals::outcome.is_null())
        .count()
        .get_result(conn)?;
    Ok(open > 0)
}

/// Whether an appeal of somebody waits that is about what another decided as a facilitator: a bar, or a no to a sign-up.
pub fn has_open_appeal_against(conn: &mut Conn, account: Id, decider: Id) -> Result<bool> {
    let open: i64 = appeals::table
        .filter(appeals::account_id.eq(account))
        .filter(appeals::first_decided_by.eq(decider))
        .filter(appeals::about_kind.eq_any([AppealKind::Bar, AppealKind::SignupDecision].as_slice()))
        .filter(appeals::outcome.is_null())
        .count()
        .get_result(conn)?;
    Ok(open > 0)
}

/// Writes every field of an appeal.
pub fn update_appeal(tx: &mut Tx<'_>, appeal: &Appeal) -> Result<()> {
    diesel::update(appeals::table.find(appeal.id)).set(appeal).execute(&mut **tx)?;
    Ok(())
}

/// Appeals of an account by which a decision was overturned.
pub fn overturned_for(conn: &mut Conn, account: Id) -> Result<Vec<Appeal>> {
    Ok(appeals::table
        .filter(appeals::account_id.eq(account))
        .filter(appeals::outcome.eq(Outcome::Overturn))
        .order(appeals::id)
        .select(Appeal::as_select())
        .load(conn)?)
}

/// Appeals newest first, after `cursor`; only those that wait when `open`.
pub fn list_appeals(
    conn: &mut Conn,
    of: Option<Id>,
    open: bool,
    cursor: Option<Id>,
    limit: i64,
) -> Result<Vec<Appeal>> {
    let mut query = appeals::table.select(Appeal::as_select()).into_boxed();
    if let Some(account) = of {
        query = query.filter(appeals::account_id.eq(account));
    }
    if open {
        query = query.filter(appeals::outcome.is_null());
    }
    if let Some(cursor) = cursor {
        query = query.filter(appeals::id.lt(cursor));
    }
    Ok(query.order(appeals::id.desc()).limit(limit).load(conn)?)
}
