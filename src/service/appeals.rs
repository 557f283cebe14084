//! Objecting to a decision about oneself; it goes to somebody who did not decide before.

use serde_json::json;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{Act, AppealKind, Outcome},
        refusal::{Code, Fault},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{callers, decisions, impartiality, notices, reinstating, sanctions},
    store::{
        Conn, Tx, accounts, audit,
        moderation::{self, Appeal},
        sql_types::Json,
    },
};

/// Files an appeal.
///
/// # Errors
/// Not found when the decision is not about the caller.
pub fn file(
    tx: &mut Tx<'_>,
    account: Id,
    kind: AppealKind,
    about: Id,
    statement: &str,
    now: Instant,
) -> Result<Appeal> {
    let decided = decisions::find(tx, kind, about, now)?;
    if decided.account != account {
        return Err(Error::NotFound);
    }
    if !decided.is_appealable {
        return Err(Code::NotAppealable.into());
    }
    accounts::lock(tx, account)?;
    if moderation::has_open_appeal(tx, kind, about)? {
        return Err(Code::AppealOpen.into());
    }
    let appeal = Appeal {
        id: Id::at(now),
        account_id: account,
        about_kind: kind,
        about_id: about,
        first_decided_by: decided.by,
        statement: statement.trim().to_owned(),
        outcome: None,
        decided_by: None,
        decision: None,
        created_at: now,
        decided_at: None,
        consequences: None,
    };
    moderation::insert_appeal(tx, &appeal)?;
    let notice = Notice::AppealReceived { appeal_id: appeal.id, others: Vec::new() };
    notices::to_moderators(tx, account, decided.by, &notice, now)?;
    record(tx, Act::AppealFiled, account, &appeal, now)?;
    Ok(appeal)
}

/// Decides an appeal. Overturning takes the decision back; the person is told either way.
///
/// # Errors
/// [`Code::NotForYourself`] for whoever decided first while there is somebody else to decide; in a team of one the
/// appeal is marked as not looked at by a second person, and the mail says so.
pub fn decide(
    tx: &mut Tx<'_>,
    moderator: Id,
    appeal: Id,
    outcome: Outcome,
    words: &str,
    policy: &Policy,
    now: Instant,
) -> Result<Appeal> {
    callers::still_moderates(tx, moderator, now)?;
    let mut appeal = moderation::find_appeal(tx, appeal)?.ok_or(Error::NotFound)?;
    if appeal.account_id == moderator {
        return Err(Code::NotForYourself.into());
    }
    lock_people(tx, &appeal)?;
    appeal = moderation::find_appeal(tx, appeal.id)?.ok_or(Error::NotFound)?;
    if appeal.outcome.is_some() {
        return Err(Code::AppealDecided.into());
    }
    if appeal.first_decided_by == Some(moderator) && somebody_else_can(tx, &appeal, moderator, now)? {
        return Err(Code::NotForYourself.into());
    }
    impartiality::ensure(tx, moderator, appeal.account_id, now)?;
    if words.trim().is_empty() {
        return Err(Fault::at("/statement", "empty", "say why").into());
    }
    appeal.outcome = Some(outcome);
    appeal.decided_by = Some(moderator);
    appeal.decision = Some(words.trim().to_owned());
    appeal.decided_at = Some(now);
    if outcome == Outcome::Overturn {
        appeal.consequences = Some(Json(reinstating::overturn(tx, moderator, &appeal, words, policy, now)?));
    }
    moderation::update_appeal(tx, &appeal)?;
    let by_facilitator = matches!(appeal.about_kind, AppealKind::SignupDecision | AppealKind::Bar);
    if let (Outcome::Overturn, true, Some(facilitator)) = (outcome, by_facilitator, appeal.first_decided_by) {
        notices::to_person(tx, facilitator, Notice::DecisionOverturned { appeal_id: appeal.id }, now)?;
    }
    notices::to_person(tx, appeal.account_id, Notice::AppealDecided { appeal_id: appeal.id }, now)?;
    record(tx, Act::AppealDecided, moderator, &appeal, now)?;
    Ok(appeal)
}

/// Locks whom overturning the decision would concern, in the order of their ids: the person, and the other accounts of the
/// mailbox that a decision about an account reached.
fn lock_people(tx: &mut Tx<'_>, appeal: &Appeal) -> Result<()> {
    let mut people = vec![appeal.account_id];
    if appeal.about_kind == AppealKind::Sanction {
        people.extend(sanctions::people_of(tx, appeal.about_id)?);
    }
    accounts::lock_all(tx, &people)
}

fn somebody_else_can(conn: &mut Conn, appeal: &Appeal, moderator: Id, now: Instant) -> Result<bool> {
    let others = callers::rest_of_the_team(conn, moderator, now)?;
    Ok(others.iter().any(|member| *member != appeal.account_id))
}

fn record(tx: &mut Tx<'_>, act: Act, actor: Id, appeal: &Appeal, now: Instant) -> Result<()> {
    let about = json!({
        "appeal_id": appeal.id,
        "kind": appeal.about_kind,
        "about_id": appeal.about_id,
        "outcome": appeal.outcome,
        "consequences": appeal.consequences.as_ref().map(|all| &all.0),
        "second_person": appeal.decided_by != appeal.first_decided_by,
    });
    let deed = audit::AuditEvent { act, actor: Some(actor), subject: Some(appeal.account_id), run: None, about };
    audit::record(tx, deed, now)
}
