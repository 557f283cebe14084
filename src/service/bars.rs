//! Bars: a facilitator keeps one account out of all their own runs, until a date.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        moderation::{Act, AppealKind},
        refusal::{Code, Fault, Faults},
        run::ListingStatus,
        signup::RemovalReason,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{
        blocks, callers, notices, places,
        signups::{self as seats, decisions},
    },
    store::{
        Tx, accounts, audit, facilitators,
        moderation::{self, Bar},
        runs, signups,
    },
};

/// The body of `POST /me/bars`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBar {
    #[serde(default)]
    pub account_id: Option<Id>,
    /// The person behind a sign-up in one of one's runs.
    #[serde(default)]
    pub signup_id: Option<Id>,
    /// At most two years ahead.
    pub until: Instant,
    pub reason_code: RemovalReason,
    /// For moderators only.
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub private_note: String,
    /// What the person reads besides the ready-made sentence.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub statement: Option<String>,
}

/// The longest bar, in days.
pub const MAX_DAYS: i64 = 731;

/// Sets a bar: the person gives up every place in the facilitator's runs to come, freed places are promoted, and the
/// person is told until when and how to object.
pub fn set(tx: &mut Tx<'_>, facilitator: Id, new: &NewBar, policy: &Policy, now: Instant) -> Result<Bar> {
    callers::in_good_standing(tx, facilitator, now)?;
    let person = subject(tx, facilitator, new, now)?;
    // Both: whoever takes a run over at this moment either sees this bar or is seen below to lead it.
    blocks::lock_pair(tx, facilitator, Some(person))?.ok_or(Error::NotFound)?;
    let bar = Bar {
        id: Id::at(now),
        facilitator_id: facilitator,
        account_id: person,
        until: new.until,
        reason_code: new.reason_code.to_string(),
        private_note: new.private_note.clone(),
        statement: new.statement.clone().filter(|_| new.reason_code != RemovalReason::Safety),
        created_at: now,
        lifted_at: None,
    };
    moderation::insert_bar(tx, &bar)?;
    let mut lost = Vec::new();
    for run in signups::runs_with_live(tx, person, now)? {
        let listing = facilitators::find_listing(tx, run, facilitator)?;
        if listing.is_none_or(|listing| listing.status != ListingStatus::Accepted) {
            continue;
        }
        let mut locked = runs::lock(tx, run)?;
        if seats::give_up(tx, &locked, person, Some((AppealKind::Bar, bar.id)), now)? {
            lost.push(run);
        }
        places::settle(tx, &mut locked, policy, now)?;
    }
    notices::of_act(tx, facilitator, person, Notice::Barred { bar_id: bar.id, runs: lost.clone() }, now)?;
    let about = json!({ "bar_id": bar.id, "reason_code": bar.reason_code, "until": bar.until, "runs": lost });
    record(tx, Act::BarSet, facilitator, person, about, now)?;
    Ok(bar)
}

fn subject(tx: &mut Tx<'_>, facilitator: Id, new: &NewBar, now: Instant) -> Result<Id> {
    let mut faults = Faults::default();
    faults.unless(new.until > now, "/until", "in_the_past", "the end must lie in the future");
    faults.unless(new.until <= now.plus_days(MAX_DAYS), "/until", "too_far_ahead", "a bar lasts two years at most");
    let said = new.statement.as_deref().is_some_and(|words| !words.trim().is_empty());
    let words = "say what happened: a decision about conduct needs a statement";
    faults.unless(new.reason_code != RemovalReason::Conduct || said, "/statement", "required", words);
    let person = match (new.account_id, new.signup_id) {
        (Some(account), None) => Some(account),
        (None, Some(signup)) => match decisions::led_by(tx, facilitator, signup, now) {
            Ok((signup, _)) => Some(signup.account_id),
            Err(Error::NotFound) => {
                faults.unless(false, "/signup_id", "not_found", "this is no sign-up in one of your runs");
                None
            }
            Err(other) => return Err(other),
        },
        _ => {
            faults.unless(false, "/account_id", "one_of_two", "give either account_id or signup_id");
            None
        }
    };
    let exists = match person {
        Some(person) => accounts::find(tx, person)?.is_some(),
        None => true,
    };
    faults.unless(exists, "/account_id", "not_found", "there is no such account");
    faults.none()?;
    match person {
        Some(person) if person == facilitator => Err(Code::NotForYourself.into()),
        Some(person) => Ok(person),
        None => Err(Fault::at("/account_id", "required", "say whom").into()),
    }
}

/// Lifts one of one's own bars.
pub fn lift(tx: &mut Tx<'_>, facilitator: Id, bar: Id, now: Instant) -> Result<()> {
    let bar = moderation::find_bar(tx, bar)?.filter(|bar| bar.facilitator_id == facilitator).ok_or(Error::NotFound)?;
    if moderation::lift_bar(tx, bar.id, now)? {
        record(tx, Act::BarLifted, facilitator, bar.account_id, json!({ "bar_id": bar.id }), now)?;
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, act: Act, actor: Id, subject: Id, about: serde_json::Value, now: Instant) -> Result<()> {
    let deed = audit::AuditEvent { act, actor: Some(actor), subject: Some(subject), run: None, about };
    audit::record(tx, deed, now)
}
