//! Moderators' decisions about accounts, and all that follows from one in the same transaction: places given up and
//! passed on, runs paused, sessions ended, queued mail taken back, the decision mailed. Promises 3, 4, 6 and 11.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    auth::keys::AddressHasher,
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{Act, AppealKind, ApplicationStatus, HOLD_MAX_DAYS, SanctionKind, SanctionScope},
        refusal::{Code, Fault, Faults},
    },
    error::{Error, Result},
    id::Id,
    mail::{Notice, Touch},
    service::{
        addresses as address_hashes, callers, impartiality, match_requests, notices, places, runs::leading,
        signups as seats,
    },
    store::{
        Tx, accounts, audit, facilitators,
        moderation::{self, Sanction},
        outbox, runs, sessions, signups,
    },
};

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

/// Decides about an account.
pub fn impose(
    tx: &mut Tx<'_>,
    moderator: Id,
    new: &NewSanction,
    policy: &Policy,
    addresses: &AddressHasher,
    now: Instant,
) -> Result<Sanction> {
    new.faults(now).none()?;
    let expires_at = new.expires_at.or((new.kind == SanctionKind::Hold).then(|| longest_hold(now)));
    if accounts::find(tx, new.account_id)?.is_none() {
        return Err(Fault::at("/account_id", "not_found", "there is no such account").into());
    }
    if new.account_id == moderator {
        return Err(Code::NotForYourself.into());
    }
    callers::still_moderates(tx, moderator, now)?;
    impartiality::ensure(tx, moderator, new.account_id, now)?;
    not_the_last_admin(tx, new, now)?;
    let person = accounts::lock(tx, new.account_id)?;
    not_withheld_before(tx, new, now)?;
    let sanction = Sanction {
        id: Id::at(now),
        account_id: new.account_id,
        kind: new.kind,
        scope: new.scope,
        rule: new.rule.trim().to_owned(),
        statement: new.statement.trim().to_owned(),
        decided_by: Some(moderator),
        created_at: now,
        expires_at,
        lifted_at: None,
        lifted_by: None,
        lift_reason: None,
        withheld_because: new.because(),
        end_told_at: None,
    };
    moderation::insert_sanction(tx, &sanction)?;
    let (mut gave_up, mut touched) = (Vec::new(), Vec::new());
    if sanction.kind.keeps_out() {
        (gave_up, touched) = take_off_runs(tx, &sanction, policy, now)?;
        if sanction.scope == SanctionScope::Site {
            sessions::end_all(tx, sanction.account_id, None, now)?;
            outbox::drop_queued(tx, sanction.account_id, now)?;
            match_requests::end_or_rest(tx, &sanction)?;
        }
        if sanction.kind == SanctionKind::Ban && sanction.scope == SanctionScope::Site {
            let hashes = address_hashes::hashes(addresses, &person.account().email);
            moderation::ban_address(tx, &hashes.address, sanction.id)?;
            moderation::ban_address(tx, &hashes.mailbox, sanction.id)?;
        }
        if sanction.kind == SanctionKind::Ban {
            revoke_application(tx, &sanction, now)?;
        }
    }
    let many = |runs: &[Id]| u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let notice =
        Notice::Decision { sanction_id: sanction.id, places_lost: many(&gave_up), runs_paused: many(&touched) };
    notices::to_person(tx, sanction.account_id, notice, now)?;
    let consequences = json!({ "places_given_up": gave_up, "runs_led": touched });
    record(tx, sanction.kind.act(), moderator, &sanction, consequences, now)?;
    Ok(sanction)
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

    fn because(&self) -> Option<String> {
        let words = self.withheld_because.as_deref().map(str::trim).filter(|words| !words.is_empty());
        words.filter(|_| self.facts_withheld).map(str::to_owned)
    }
}

/// Days within which somebody's facts are kept back once: one hold after the other would keep them back for good.
const WITHHELD_ONCE_DAYS: i64 = 2 * HOLD_MAX_DAYS;

fn not_withheld_before(tx: &mut Tx<'_>, new: &NewSanction, now: Instant) -> Result<()> {
    if !new.facts_withheld {
        return Ok(());
    }
    let since = now.plus_days(-WITHHELD_ONCE_DAYS);
    let lately = |sanction: &Sanction| sanction.withheld_because.is_some() && sanction.created_at > since;
    if moderation::sanctions_of(tx, new.account_id)?.iter().any(lately) {
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
    notices::to_person(tx, sanction.account_id, Notice::DecisionEnded { sanction_id: sanction.id }, now)?;
    Ok(true)
}

fn longest_hold(now: Instant) -> Instant {
    now.plus_days(HOLD_MAX_DAYS)
}

fn not_the_last_admin(tx: &mut Tx<'_>, new: &NewSanction, now: Instant) -> Result<()> {
    use crate::domain::account::Role;
    if !new.kind.keeps_out() || new.scope != SanctionScope::Site {
        return Ok(());
    }
    let admins = accounts::with_any_role(tx, &[Role::Admin])?;
    if !admins.contains(&new.account_id) {
        return Ok(());
    }
    // All of them, in the order of their ids, so that two admins cannot put each other out at the same moment.
    for admin in &admins {
        accounts::lock(tx, *admin)?;
    }
    let out = moderation::kept_out(tx, &admins, SanctionScope::Site, now)?;
    let left = admins.iter().filter(|id| **id != new.account_id && !out.contains(id)).count();
    if left == 0 { Err(Code::LastAdmin.into()) } else { Ok(()) }
}

/// Takes a person off everything to come, run by run in the order of their ids: runs they lead are paused when nobody
/// else leads them, places they hold are given up and passed on.
fn take_off_runs(tx: &mut Tx<'_>, sanction: &Sanction, policy: &Policy, now: Instant) -> Result<(Vec<Id>, Vec<Id>)> {
    let person = sanction.account_id;
    let joined = match sanction.scope {
        SanctionScope::Site => signups::runs_with_live(tx, person, now)?,
        SanctionScope::Facilitating => Vec::new(),
    };
    let led = runs::upcoming_led_by(tx, person, now)?;
    let mut all: Vec<Id> = joined.iter().chain(&led).copied().collect();
    all.sort_unstable();
    all.dedup();
    let (mut gave_up, mut touched) = (Vec::new(), Vec::new());
    for run in all {
        let mut locked = runs::lock(tx, run)?;
        if joined.contains(&run) && seats::give_up(tx, &locked, person, Some((AppealKind::Sanction, sanction.id)), now)?
        {
            gave_up.push(run);
        }
        if led.contains(&run) {
            leading::pause_if_unled(tx, &mut locked, policy, now)?;
            let notice = Notice::RunTouched { run_id: run, by: Touch::Hold };
            notices::to_facilitators(tx, run, Some(person), &notice, now)?;
            touched.push(run);
        }
        places::settle(tx, &mut locked, policy, now)?;
    }
    Ok((gave_up, touched))
}

fn revoke_application(tx: &mut Tx<'_>, sanction: &Sanction, now: Instant) -> Result<()> {
    for (was, becomes) in [
        (ApplicationStatus::Approved, ApplicationStatus::Revoked),
        (ApplicationStatus::Pending, ApplicationStatus::Rejected),
    ] {
        let Some(mut application) = facilitators::find_in(tx, sanction.account_id, was)? else { continue };
        application.status = becomes;
        application.decided_by = sanction.decided_by;
        application.decided_at = Some(now);
        application.reason = Some(sanction.statement.clone());
        facilitators::update(tx, &application)?;
    }
    Ok(())
}

/// Takes a decision back, and tells the person. Places and runs that were given up do not come back by themselves.
pub fn lift(tx: &mut Tx<'_>, moderator: Id, sanction: Id, reason: &str, now: Instant) -> Result<Sanction> {
    let lifted = take_back(tx, moderator, sanction, reason, now)?;
    notices::to_person(tx, lifted.account_id, Notice::DecisionLifted { sanction_id: lifted.id }, now)?;
    Ok(lifted)
}

/// Takes a decision back; telling the person is the caller's.
///
/// # Errors
/// [`Code::SanctionEnded`] for one that no longer stands.
pub(super) fn take_back(tx: &mut Tx<'_>, moderator: Id, sanction: Id, reason: &str, now: Instant) -> Result<Sanction> {
    callers::still_moderates(tx, moderator, now)?;
    let found = moderation::find_sanction(tx, sanction)?.ok_or(Error::NotFound)?;
    if found.account_id == moderator {
        return Err(Code::NotForYourself.into());
    }
    impartiality::ensure(tx, moderator, found.account_id, now)?;
    accounts::lock(tx, found.account_id)?;
    let mut sanction = moderation::find_sanction(tx, sanction)?.ok_or(Error::NotFound)?;
    if !sanction.stands(now) {
        return Err(Code::SanctionEnded.into());
    }
    sanction.lifted_at = Some(now);
    sanction.lifted_by = Some(moderator);
    sanction.lift_reason = Some(reason.trim().to_owned());
    moderation::update_sanction(tx, &sanction)?;
    moderation::unban_address(tx, sanction.id)?;
    record(tx, Act::SanctionLifted, moderator, &sanction, json!({}), now)?;
    Ok(sanction)
}

fn record(
    tx: &mut Tx<'_>,
    act: Act,
    moderator: Id,
    sanction: &Sanction,
    consequences: serde_json::Value,
    now: Instant,
) -> Result<()> {
    let about = json!({
        "sanction_id": sanction.id,
        "scope": sanction.scope,
        "until": sanction.expires_at,
        "facts_withheld": sanction.withheld_because.is_some(),
        "consequences": consequences,
    });
    let deed = audit::Deed { act, actor: Some(moderator), subject: Some(sanction.account_id), run: None, about };
    audit::record(tx, deed, now)
}
