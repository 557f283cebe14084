//! People who were not signed up and came: with an account, or as a guest. Each takes a place.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{attendance, possible, record};
use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        account::{AccountStatus, normalise_email},
        day::DayAct,
        moderation::Act,
        policy::Leads,
        refusal::{Code, Faults},
        run::RunStatus,
        signup::{self, Actor, SignupAct, SignupStatus},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{entry, notices, places},
    store::{
        Tx, accounts,
        day::{self, Guest},
        extra_places, facilitators,
        runs::{self, RunLocked},
        signups::{self, Signup},
    },
};

/// The body of `POST /runs/{id}/walk-ins`: one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WalkIn {
    /// The address of their account, as they say it.
    #[serde(default)]
    #[schema(
        format = "email",
        min_length = 3,
        max_length = 254,
        pattern = "^[^@ ]+@[^@ ]+$",
        example = "ana@example.org"
    )]
    pub email: Option<String>,
    #[serde(default)]
    pub account_id: Option<Id>,
    #[serde(default)]
    pub guest: Option<NewGuest>,
}

/// Somebody without an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGuest {
    #[schema(format = "line", min_length = 1, max_length = 40, pattern = r"\S")]
    pub first_name: String,
    /// They say that they are an adult.
    pub adult: bool,
    /// Whom to call when something happens.
    #[schema(
        format = "phone",
        min_length = 3,
        max_length = 30,
        pattern = r"^\+?[0-9][0-9 ()./-]*[0-9]$",
        example = "+44 20 7946 0958"
    )]
    pub emergency_phone: String,
}

impl WalkIn {
    /// What the schema cannot see.
    pub fn faults(&self) -> std::result::Result<(), Faults> {
        let mut faults = Faults::default();
        let given = [self.email.is_some(), self.account_id.is_some(), self.guest.is_some()];
        let one = given.iter().filter(|given| **given).count() == 1;
        faults.unless(one, "", "one_of", "give one of email, account_id and guest");
        if let Some(guest) = &self.guest {
            faults.unless(guest.adult, "/guest/adult", "adults_only", "runs are for adults");
        }
        faults.none()
    }
}

/// Who walked in.
pub enum CameIn {
    /// The flag says whether they were not on the list before.
    Person(Box<Signup>, bool),
    Guest(Guest),
}

/// Takes somebody in at the meeting point.
///
/// # Errors
/// [`Code::RunFull`]; [`Code::RunNotOpenToYou`] for every cause that lies between this person and this run, and for an
/// address that nobody has, so that a facilitator learns nothing by trying.
pub fn walk_in(tx: &mut Tx<'_>, input: &WalkIn, proof: &Leads, policy: &Policy, now: Instant) -> Result<CameIn> {
    if let Some(guest) = &input.guest {
        return take_guest(tx, guest, proof, policy, now).map(CameIn::Guest);
    }
    let person = match (&input.email, input.account_id) {
        (Some(email), _) => accounts::find_by_email(tx, &normalise_email(email))?.map(|account| account.id),
        (None, id) => id,
    };
    let person = match person {
        Some(id) if accounts::find(tx, id)?.is_some() => Some(accounts::lock(tx, id)?),
        _ => None,
    };
    let mut locked = open_desk(tx, proof, now)?;
    let person = person.filter(|person| person.account().status == AccountStatus::Active).map(|p| p.account().id);
    let earlier = match person {
        Some(id) => signups::live_in(tx, id, proof.run())?,
        None => None,
    };
    if let Some(signup) = earlier.clone().filter(|signup| {
        matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Attended | SignupStatus::NoShow)
    }) {
        let signup = attendance::checked_in(tx, &locked, signup, policy, now)?;
        record(tx, Act::CheckedIn, proof, json!({ "signup_id": signup.id }), now)?;
        return Ok(CameIn::Person(Box::new(signup), false));
    }
    // Whoever waited and came gives up waiting, and with it a place that was held for them.
    let room = places::of_locked(tx, &locked, policy, now)?;
    let holds_one = earlier.as_ref().is_some_and(|signup| signup.status == SignupStatus::Offered);
    let new_to_group = match person {
        Some(id) => entry::is_new_to_group(tx, id, &locked.run)?,
        None => true,
    };
    if room.left_for(new_to_group) == 0 && !holds_one {
        return Err(Code::RunFull.into());
    }
    let person = person.ok_or(Code::RunNotOpenToYou)?;
    if facilitators::find_listing(tx, proof.run(), person)?.is_some() {
        return Err(Code::RunNotOpenToYou.into());
    }
    entry::may_come(tx, person, proof.run(), now)?;
    if let Some(mut waiting) = earlier {
        places::move_signup(tx, &locked, &mut waiting, SignupAct::Expire, Actor::System, now)?;
        extra_places::end_of_signup(tx, waiting.id, now)?;
    }
    let signup = seat(tx, &mut locked, person, new_to_group, now)?;
    notices::about_signup(tx, &signup, Notice::CheckedIn { signup_id: signup.id }, now)?;
    record(tx, Act::WalkedIn, proof, json!({ "signup_id": signup.id }), now)?;
    places::settle(tx, &mut locked, policy, now)?;
    Ok(CameIn::Person(Box::new(signup), true))
}

/// The run under its lock, while people may walk in.
fn open_desk(tx: &mut Tx<'_>, proof: &Leads, now: Instant) -> Result<RunLocked> {
    let locked = runs::lock(tx, proof.run())?;
    if locked.run.status == RunStatus::Completed {
        return Err(Code::RunOver.into());
    }
    possible(DayAct::WalkIn, &locked.run, now)?;
    Ok(locked)
}

fn seat(tx: &mut Tx<'_>, locked: &mut RunLocked, person: Id, new_to_group: bool, now: Instant) -> Result<Signup> {
    let status = signup::begin(SignupAct::WalkIn, Actor::Facilitator)
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("the table has no walk-ins")))?;
    let queue_no = runs::next_queue_no(tx, locked)?;
    let signup = Signup {
        new_here: accounts::is_new_here(tx, person)?,
        new_to_group,
        walked_in: true,
        checked_in_at: Some(now),
        ..Signup::beginning(locked.run.id, person, status, queue_no, now)
    };
    signups::insert(tx, locked, &signup)?;
    Ok(signup)
}

fn take_guest(tx: &mut Tx<'_>, new: &NewGuest, proof: &Leads, policy: &Policy, now: Instant) -> Result<Guest> {
    let mut locked = open_desk(tx, proof, now)?;
    if places::of_locked(tx, &locked, policy, now)?.left_for(true) == 0 {
        return Err(Code::RunFull.into());
    }
    let guest = Guest {
        id: Id::at(now),
        run_id: proof.run(),
        first_name: Some(new.first_name.trim().to_owned()),
        emergency_phone: Some(new.emergency_phone.clone()),
        added_by: Some(proof.facilitator()),
        created_at: now,
        signed_out_at: None,
        erased_at: None,
    };
    day::insert_guest(tx, &locked, &guest)?;
    record(tx, Act::GuestAdded, proof, json!({ "guest_id": guest.id }), now)?;
    places::settle(tx, &mut locked, policy, now)?;
    Ok(guest)
}
