//! Access needs that a person lets the facilitators of a run see: given with the sign-up, and changed while it is live.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    domain::{profile::AccessNeed, refusal::Code, run::RunStatus},
    error::{Error, Result},
    id::Id,
    service::callers,
    store::{
        Tx,
        runs::{self, RunLocked},
        shared_needs, signups,
    },
};

/// The body of `PUT /signups/{id}/access-needs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedNeeds {
    /// Which access needs the run's facilitators may see; an empty list shares none.
    #[schema(max_items = 20)]
    pub share_access_needs: Vec<AccessNeed>,
}

/// Keeps what is shared with a sign-up, without repeats.
pub(super) fn keep(tx: &mut Tx<'_>, locked: &RunLocked, signup: Id, needs: &[AccessNeed]) -> Result<()> {
    let mut codes: Vec<String> = Vec::new();
    for AccessNeed(code) in needs {
        if !codes.contains(code) {
            codes.push(code.clone());
        }
    }
    shared_needs::put(tx, locked, signup, codes)
}

/// Changes what is shared with one's own sign-up; gives what is shared now.
///
/// # Errors
/// Not found when it is not this person's, [`Code::SignupNotLive`] when it has ended, [`Code::RunCancelled`] and
/// [`Code::RunOver`].
pub fn share(tx: &mut Tx<'_>, person: Id, signup: Id, wanted: &SharedNeeds, now: Instant) -> Result<Vec<String>> {
    let found = signups::find(tx, signup)?.filter(|signup| signup.account_id == person).ok_or(Error::NotFound)?;
    callers::lock_active(tx, person, now)?;
    let locked = runs::lock(tx, found.run_id)?;
    if !signups::get(tx, signup)?.status.is_live() {
        return Err(Code::SignupNotLive.into());
    }
    if locked.run.status == RunStatus::Cancelled {
        return Err(Code::RunCancelled.into());
    }
    if locked.run.ends_at <= now {
        return Err(Code::RunOver.into());
    }
    keep(tx, &locked, signup, &wanted.share_access_needs)?;
    shared_needs::of_signup(tx, signup)
}
