//! What matters on the day about somebody: the emergency contact, the access needs that they share, and the audited look at
//! each.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{answers_for, possible, seen};
use crate::{
    clock::Instant,
    domain::{day::DayAct, moderation::Act, policy::Leads, refusal::Code, signup::SignupStatus},
    error::{Error, Result},
    id::Id,
    service::callers,
    store::{
        Conn, Tx, accounts,
        day::{self, EmergencyContact, Guest},
        runs::{self, Run},
        shared_needs,
        signups::{self, Signup},
    },
};

/// The body of `PUT /me/emergency-contact`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactInput {
    #[schema(format = "line", min_length = 1, max_length = 80, pattern = r"\S")]
    pub name: String,
    /// With the country code where it may be needed.
    #[schema(
        format = "phone",
        min_length = 3,
        max_length = 30,
        pattern = r"^\+?[0-9][0-9 ()./-]*[0-9]$",
        example = "+44 20 7946 0958"
    )]
    pub phone: String,
    /// "Sister", "neighbour".
    #[serde(default)]
    #[schema(format = "line", max_length = 40)]
    pub relation: Option<String>,
}

/// Writes one's emergency contact.
pub fn put(tx: &mut Tx<'_>, person: Id, input: &ContactInput, now: Instant) -> Result<EmergencyContact> {
    accounts::lock(tx, person)?;
    callers::ensure_active(tx, person, now)?;
    let contact = EmergencyContact {
        account_id: person,
        name: input.name.trim().to_owned(),
        phone: input.phone.clone(),
        relation: input.relation.clone().filter(|relation| !relation.trim().is_empty()),
        updated_at: now,
    };
    day::put_contact(tx, &contact)?;
    Ok(contact)
}

/// Shows a facilitator who answers for the run the emergency contact of somebody who is on it, and writes down that it was
/// looked at, whether or not there is one.
pub fn look(tx: &mut Tx<'_>, signup: Id, proof: &Leads, now: Instant) -> Result<Option<EmergencyContact>> {
    let (run, signup) = get_visible(tx, signup, DayAct::SeeContact, proof, now)?;
    let contact = day::find_contact(tx, signup.account_id)?;
    let about = json!({ "signup_id": signup.id, "given": contact.is_some() });
    seen(tx, Act::EmergencyContactSeen, proof.facilitator(), Some(signup.account_id), run.id, about, now)?;
    Ok(contact)
}

/// The run and the sign-up of somebody about whom a facilitator may know what matters on the day.
///
/// # Errors
/// Not found for whoever does not answer for the run, what [`possible`] says outside the window, and
/// [`Code::SignupNotLive`] for a person without a place.
fn get_visible(conn: &mut Conn, signup: Id, act: DayAct, proof: &Leads, now: Instant) -> Result<(Run, Signup)> {
    answers_for(conn, proof, now)?;
    let (run, signup) = (runs::get(conn, proof.run())?, signups::get(conn, signup)?);
    possible(act, &run, now)?;
    if !matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Attended | SignupStatus::NoShow) {
        return Err(Code::SignupNotLive.into());
    }
    Ok((run, signup))
}

/// Shows the same facilitator the access needs that the person lets them see, and writes down that they were looked at:
/// never which, nor whether there are any, since that stays in the log for good.
pub fn reveal_needs(tx: &mut Tx<'_>, signup: Id, proof: &Leads, now: Instant) -> Result<Vec<String>> {
    let (run, signup) = get_visible(tx, signup, DayAct::SeeNeeds, proof, now)?;
    let needs = shared_needs::of_signup(tx, signup.id)?;
    let about = json!({ "signup_id": signup.id });
    seen(tx, Act::AccessNeedsSeen, proof.facilitator(), Some(signup.account_id), run.id, about, now)?;
    Ok(needs)
}

/// Shows the same facilitator the emergency number of a guest, which the facilitators wrote down.
pub fn look_at_guest(tx: &mut Tx<'_>, guest: Id, proof: &Leads, now: Instant) -> Result<Guest> {
    answers_for(tx, proof, now)?;
    let run = runs::get(tx, proof.run())?;
    let guest = day::find_guest(tx, guest)?.filter(|guest| guest.run_id == run.id).ok_or(Error::NotFound)?;
    possible(DayAct::SeeContact, &run, now)?;
    let about = json!({ "guest_id": guest.id, "given": guest.emergency_phone.is_some() });
    seen(tx, Act::EmergencyContactSeen, proof.facilitator(), None, run.id, about, now)?;
    Ok(guest)
}
