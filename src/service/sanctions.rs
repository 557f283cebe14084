//! Moderators' decisions about accounts: made, ended by time, and taken back. Promises 3, 4, 6 and 11.

mod consequences;
mod reach;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    auth::keys::AddressHasher,
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{Act, HOLD_MAX_DAYS, SanctionKind, SanctionScope},
        refusal::{Code, Fault, Faults},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{addresses as address_hashes, callers, notices},
    store::{
        Conn, Tx, accounts, audit, following,
        moderation::{self, Sanction},
    },
};

pub use reach::{Reach, SameMailbox, of as reach_of};

/// The body of `POST /moderation/sanctions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSanction {
    pub account_id: Id,
    pub kind: SanctionKind,
    /// `facilitating` stops somebody from leading runs and nothing else.
    #[serde(default = "site")]
    #[schema(default = "site")]
    pub scope: SanctionScope,
    /// Which rule was broken, or is being looked into.
    #[schema(format = "line", min_length = 1, max_length = 200, pattern = r"\S")]
    pub rule: String,
    /// The reasons, which the person reads.
    #[schema(min_length = 1, max_length = 5000, pattern = r"\S")]
    pub statement: String,
    /// Keeps the statement back from the person until a hold ends: they are told the rule, until when, how to object, and
    /// that the facts follow. For a hold only, and not twice within 28 days.
    #[serde(default)]
    pub facts_withheld: bool,
    /// Why the facts are kept back; for the team, needed with `facts_withheld`.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub withheld_because: Option<String>,
    /// Needed for a suspension; at most 14 days ahead (and that when absent) for a hold; never for a ban.
    #[serde(default)]
    pub expires_at: Option<Instant>,
}

fn site() -> SanctionScope {
    SanctionScope::Site
}

/// Decides about an account. What keeps out of the site reaches the other accounts of the mailbox as well, where the
/// provider says that it is one mailbox: each gets a decision that follows this one, with all that it means.
///
/// # Errors
/// [`Code::NotForYourself`], [`Code::AnotherDecides`] and [`Code::LastAdmin`], each for any of the accounts.
pub fn impose(
    tx: &mut Tx<'_>,
    moderator: Id,
    new: &NewSanction,
    policy: &Policy,
    addresses: &AddressHasher,
    now: Instant,
) -> Result<Sanction> {
    new.faults(now).none()?;
    let Some(person) = accounts::find(tx, new.account_id)? else {
        return Err(Fault::at("/account_id", "not_found", "there is no such account").into());
    };
    if new.account_id == moderator {
        return Err(Code::NotForYourself.into());
    }
    callers::still_moderates(tx, moderator, now)?;
    let keeps_out_of_site = new.kind.keeps_out() && new.scope == SanctionScope::Site;
    let mailbox = address_hashes::hashes(addresses, &person.email).mailbox;
    let others = reach::lock(tx, &person, &mailbox, keeps_out_of_site, now)?;
    address_hashes::keep_missing(tx, &person, addresses)?;
    let everybody = [&[new.account_id], others.as_slice()].concat();
    reach::may_decide(tx, moderator, &everybody, now)?;
    if keeps_out_of_site && !reach::leaves_an_admin(tx, &everybody, now)? {
        return Err(Code::LastAdmin.into());
    }
    everybody.iter().try_for_each(|account| not_withheld_before(tx, new, *account, now))?;
    let main = new.decision(moderator, now);
    let mut decisions = vec![main.clone()];
    decisions.extend(others.into_iter().map(|account| main.followed_for(account, now)));
    consequences::carry_out(tx, &decisions, policy, now)?;
    Ok(main)
}

/// Lets a decision that stands reach the accounts of the mailbox that escape it; says whether there were any.
pub fn reach_escaped(tx: &mut Tx<'_>, decision: Id, policy: &Policy, now: Instant) -> Result<bool> {
    let Some(seen) = moderation::find_sanction(tx, decision)? else { return Ok(false) };
    let others = reach::lock_escaped(tx, &seen, now)?;
    // Read under the lock: it may have been lifted meanwhile.
    let Some(main) = moderation::find_sanction(tx, decision)?.filter(|main| main.stands(now)) else { return Ok(false) };
    let decisions: Vec<Sanction> = others.into_iter().map(|account| main.followed_for(account, now)).collect();
    consequences::carry_out(tx, &decisions, policy, now)?;
    Ok(!decisions.is_empty())
}

impl NewSanction {
    /// What is wrong with its end.
    pub fn faults(&self, now: Instant) -> Faults {
        let (mut faults, given) = (Faults::default(), self.expires_at);
        let mut unless = |fine: bool, code: &str, words: &str| faults.unless(fine, "/expires_at", code, words);
        unless(given.is_none_or(|end| end > now), "in_the_past", "the end must lie in the future");
        match self.kind {
            SanctionKind::Hold => {
                let fine = given.is_none_or(|end| end <= longest_hold(now));
                unless(fine, "too_far_ahead", "a hold lasts 14 days at most: it is not a finding");
            }
            SanctionKind::Suspension => unless(given.is_some(), "required", "say until when"),
            SanctionKind::Ban => unless(given.is_none(), "not_for_a_ban", "a ban has no end; suspend instead"),
            SanctionKind::Warning => {}
        }
        let mut unless = |fine: bool, pointer: &str, code: &str, words: &str| faults.unless(fine, pointer, code, words);
        if self.facts_withheld {
            let words = "only a hold keeps its facts back: it is not a finding";
            unless(self.kind == SanctionKind::Hold, "/facts_withheld", "only_for_a_hold", words);
            let words = "say why the facts are kept back";
            unless(self.because().is_some(), "/withheld_because", "required", words);
        } else {
            let words = "this goes with facts_withheld";
            unless(self.withheld_because.is_none(), "/withheld_because", "not_withheld", words);
        }
        faults
    }

    fn decision(&self, moderator: Id, now: Instant) -> Sanction {
        Sanction {
            id: Id::at(now),
            account_id: self.account_id,
            kind: self.kind,
            scope: self.scope,
            rule: self.rule.trim().to_owned(),
            statement: self.statement.trim().to_owned(),
            decided_by: Some(moderator),
            created_at: now,
            expires_at: self.expires_at.or((self.kind == SanctionKind::Hold).then(|| longest_hold(now))),
            lifted_at: None,
            lifted_by: None,
            lift_reason: None,
            withheld_because: self.because(),
            end_told_at: None,
            follows_id: None,
        }
    }

    fn because(&self) -> Option<String> {
        let words = self.withheld_because.as_deref().map(str::trim).filter(|words| !words.is_empty());
        words.filter(|_| self.facts_withheld).map(str::to_owned)
    }
}

/// Days within which somebody's facts are kept back once: one hold after the other would keep them back for good.
const WITHHELD_ONCE_DAYS: i64 = 2 * HOLD_MAX_DAYS;

fn not_withheld_before(conn: &mut Conn, new: &NewSanction, account: Id, now: Instant) -> Result<()> {
    if !new.facts_withheld {
        return Ok(());
    }
    let since = now.plus_days(-WITHHELD_ONCE_DAYS);
    let lately = |sanction: &Sanction| sanction.withheld_because.is_some() && sanction.created_at > since;
    if moderation::sanctions_of(conn, account)?.iter().any(lately) {
        let words = "facts were kept back from this person within the last 28 days; tell them this time";
        return Err(Fault::at("/facts_withheld", "withheld_before", words).into());
    }
    Ok(())
}

/// Tells somebody that a hold or suspension of theirs ran out, once; says whether it did.
pub fn tell_end(tx: &mut Tx<'_>, sanction: Id, now: Instant) -> Result<bool> {
    let Some(seen) = moderation::find_sanction(tx, sanction)? else { return Ok(false) };
    accounts::lock(tx, seen.account_id)?;
    let Some(mut sanction) = moderation::find_sanction(tx, sanction)? else { return Ok(false) };
    if sanction.end_told_at.is_some() || sanction.lifted_at.is_some() || sanction.stands(now) {
        return Ok(false);
    }
    sanction.end_told_at = Some(now);
    moderation::update_sanction(tx, &sanction)?;
    moderation::unban_address(tx, sanction.id)?;
    notices::to_person(tx, sanction.account_id, Notice::DecisionEnded { sanction_id: sanction.id }, now)?;
    Ok(true)
}

fn longest_hold(now: Instant) -> Instant {
    now.plus_days(HOLD_MAX_DAYS)
}

/// Takes a decision back with those that follow it, and tells each person. Places and runs that were given up do not come
/// back by themselves. Taking back one that follows leaves the others as they are.
pub fn lift(tx: &mut Tx<'_>, moderator: Id, sanction: Id, reason: &str, now: Instant) -> Result<Sanction> {
    let lifted = take_back(tx, moderator, sanction, reason, now)?;
    for one in [&lifted.main].into_iter().chain(&lifted.following) {
        let notice = Notice::DecisionLifted { sanction_id: one.id, overturned: false };
        notices::to_person(tx, one.account_id, notice, now)?;
    }
    Ok(lifted.main)
}

/// What no longer holds.
pub(super) struct Lifted {
    /// The decision that was taken back.
    pub main: Sanction,
    /// The decisions that followed it and stood.
    pub following: Vec<Sanction>,
}

/// Takes a decision back with those that follow it; telling the people is the caller's.
///
/// # Errors
/// [`Code::SanctionEnded`] for one that no longer stands.
pub(super) fn take_back(tx: &mut Tx<'_>, moderator: Id, sanction: Id, reason: &str, now: Instant) -> Result<Lifted> {
    callers::still_moderates(tx, moderator, now)?;
    let people = people_of(tx, sanction)?;
    if people.is_empty() {
        return Err(Error::NotFound);
    }
    reach::may_decide(tx, moderator, &people, now)?;
    accounts::lock_all(tx, &people)?;
    let mut main = moderation::find_sanction(tx, sanction)?.ok_or(Error::NotFound)?;
    if !main.stands(now) {
        return Err(Code::SanctionEnded.into());
    }
    let mut following = following::of(tx, sanction)?;
    following.retain(|one| one.stands(now));
    for one in [&mut main].into_iter().chain(&mut following) {
        end(tx, one, moderator, reason, now)?;
    }
    Ok(Lifted { main, following })
}

/// The accounts that a decision is about, with those of the decisions that follow it and were not lifted.
pub(super) fn people_of(conn: &mut Conn, sanction: Id) -> Result<Vec<Id>> {
    let mut people: Vec<Id> =
        moderation::find_sanction(conn, sanction)?.into_iter().map(|one| one.account_id).collect();
    let following = following::of(conn, sanction)?.into_iter().filter(|one| one.lifted_at.is_none());
    people.extend(following.map(|one| one.account_id));
    Ok(people)
}

/// Whether a decision, the one that it follows or one that follows it is about somebody.
pub fn concerns(conn: &mut Conn, sanction: &Sanction, account: Id) -> Result<bool> {
    let main = sanction.follows_id.unwrap_or(sanction.id);
    Ok(sanction.account_id == account || people_of(conn, main)?.contains(&account))
}

fn end(tx: &mut Tx<'_>, sanction: &mut Sanction, moderator: Id, reason: &str, now: Instant) -> Result<()> {
    sanction.lifted_at = Some(now);
    sanction.lifted_by = Some(moderator);
    sanction.lift_reason = Some(reason.trim().to_owned());
    moderation::update_sanction(tx, sanction)?;
    moderation::unban_address(tx, sanction.id)?;
    record(tx, Act::SanctionLifted, Some(moderator), sanction, json!({}), now)
}

fn record(
    tx: &mut Tx<'_>,
    act: Act,
    actor: Option<Id>,
    sanction: &Sanction,
    consequences: serde_json::Value,
    now: Instant,
) -> Result<()> {
    let about = json!({
        "sanction_id": sanction.id,
        "scope": sanction.scope,
        "until": sanction.expires_at,
        "facts_withheld": sanction.withheld_because.is_some(),
        "follows": sanction.follows_id,
        "consequences": consequences,
    });
    let deed = audit::AuditEvent { act, actor, subject: Some(sanction.account_id), run: None, about };
    audit::record(tx, deed, now)
}
