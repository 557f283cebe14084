//! Announcements: a run's facilitators say something to those on it. By mail without anybody's address, answered to the
//! installation, and kept with the run, so that it can be reported.

use serde::{Deserialize, Serialize};
use strum::VariantArray;
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        policy::Leads,
        refusal::Code,
        run::{Audience, ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    store::{
        Conn, Tx, accounts,
        announcements::{self, Announcement},
        facilitators,
        outbox::{self, Promise},
        runs, signups,
    },
};

/// The body of `POST /runs/{id}/announcements`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAnnouncement {
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub text: String,
    #[serde(default = "all")]
    #[schema(default = "all")]
    pub to: Audience,
}

fn all() -> Audience {
    Audience::All
}

/// Seconds over which announcements are counted.
const WINDOW_S: u32 = 24 * 60 * 60;
/// A run that starts within so many hours is spoken of before all other mail.
const URGENT_HOURS: i64 = 24;

/// Says something to those on a run; gives how many it is for now. Whoever is off the run when the mail leaves does not
/// get it.
///
/// # Errors
/// [`Error::Limited`] after so many in a day as the policy says.
pub fn announce(
    tx: &mut Tx<'_>,
    proof: &Leads,
    new: &NewAnnouncement,
    policy: &Policy,
    now: Instant,
) -> Result<(Announcement, usize)> {
    accounts::lock(tx, proof.facilitator())?;
    let locked = runs::lock(tx, proof.run())?;
    match locked.run.status {
        RunStatus::Draft => return Err(Code::RunNotOpen.into()),
        RunStatus::Cancelled => return Err(Code::RunCancelled.into()),
        RunStatus::Completed => return Err(Code::RunOver.into()),
        RunStatus::Published | RunStatus::Paused if locked.run.ends_at <= now => return Err(Code::RunOver.into()),
        RunStatus::Published | RunStatus::Paused => {}
    }
    within_limit(tx, proof.run(), policy, now)?;
    let announcement = Announcement {
        id: Id::at(now),
        run_id: proof.run(),
        author_id: Some(proof.facilitator()),
        audience: new.to,
        words: new.text.trim().to_owned(),
        created_at: now,
    };
    announcements::insert(tx, &announcement)?;
    let is_soon = locked.run.starts_at <= now.plus_hours(URGENT_HOURS);
    let spoken_to: Vec<SignupStatus> =
        SignupStatus::VARIANTS.iter().copied().filter(|status| new.to.holds(*status)).collect();
    let people = signups::of_run(tx, proof.run(), &spoken_to)?;
    for signup in &people {
        let notice = Notice::Announcement { announcement_id: announcement.id, signup_id: signup.id };
        let promise = Promise::new(signup.account_id, notice).of_signup(signup);
        outbox::promise(tx, if is_soon { promise.urgently() } else { promise }, now)?;
    }
    Ok((announcement, people.len()))
}

fn within_limit(conn: &mut Conn, run: Id, policy: &Policy, now: Instant) -> Result<()> {
    let limit = u32::try_from(policy.announcements_a_day).unwrap_or(u32::MAX);
    let lately = announcements::times_since(conn, run, now.plus_seconds(-i64::from(WINDOW_S)))?;
    let over = lately.len().checked_sub(limit as usize);
    let Some(free_at) = over.and_then(|over| lately.get(over)).map(|at| at.plus_seconds(i64::from(WINDOW_S))) else {
        return Ok(());
    };
    let retry_after_s = u32::try_from(free_at.seconds_since(now)).unwrap_or(0).saturating_add(1);
    Err(Error::Limited { policy: "announcements", limit, window_s: WINDOW_S, retry_after_s })
}

/// Which announcements of a run somebody may read: all of them for its facilitators and the team, those that spoke to them
/// for whoever is on it.
///
/// # Errors
/// Not found for everybody else.
pub fn readable_by(conn: &mut Conn, person: Id, moderates: bool, run: Id) -> Result<Vec<Audience>> {
    let run = runs::get(conn, run)?;
    let listing = facilitators::find_listing(conn, run.id, person)?;
    if moderates || listing.is_some_and(|listing| listing.status == ListingStatus::Accepted) {
        return Ok(Audience::VARIANTS.to_vec());
    }
    let status = signups::live_in(conn, person, run.id)?.map(|signup| signup.status);
    let held = |status| Audience::VARIANTS.iter().copied().filter(|to| to.holds(status)).collect::<Vec<_>>();
    status.map(held).filter(|heard| !heard.is_empty()).ok_or(Error::NotFound)
}
