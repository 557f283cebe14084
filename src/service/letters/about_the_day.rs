//! Letters about the day itself: missed, taken in at the meeting point, not signed out.

use super::{Writer, Written};
use crate::{
    domain::{day::CORRECTED_DAYS, link::LinkAction, run::RunStatus, signup::SignupStatus},
    error::Result,
    id::Id,
    mail::{Body, OtherPlace},
    service::runs::run_time_in_words,
    store::{
        day, facilitators,
        runs::{self, Run},
        signups,
    },
};

impl Writer<'_, '_> {
    pub(super) fn missed(&mut self, signup: Id) -> Written {
        let found = self.signup_and_run(signup)?;
        let Some((signup, run)) = found.filter(|(s, _)| s.status == SignupStatus::NoShow) else { return Ok(None) };
        let until = signup.updated_at.max(run.ends_at).plus_days(CORRECTED_DAYS);
        Ok(Some(Body::Missed {
            was_there_link: self.link(LinkAction::WasThere, Some((signup.id, None)))?,
            until: run_time_in_words(until, &run.time_zone),
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn checked_in(&mut self, signup: Id) -> Written {
        let found = self.signup_and_run(signup)?;
        let Some((_, run)) = found.filter(|(s, _)| s.status == SignupStatus::Attended) else { return Ok(None) };
        Ok(Some(Body::CheckedIn { elsewhere: self.elsewhere(&run)?, run: self.facts(&run, true)? }))
    }

    pub(super) fn check_in_undone(&mut self, signup: Id) -> Written {
        let found = self.signup_and_run(signup)?.filter(|(signup, _)| signup.status == SignupStatus::Withdrawn);
        let Some((_, run)) = found else { return Ok(None) };
        Ok(Some(Body::CheckInUndone { run: self.facts(&run, false)? }))
    }

    /// Places of the reader in runs at the time of this one that have not begun. Whoever walks in somewhere keeps them until
    /// they say so themselves: a facilitator may have named the wrong person, and need not know where people go.
    fn elsewhere(&mut self, run: &Run) -> Result<Vec<OtherPlace>> {
        let mut places = Vec::new();
        for signup in signups::overlapping(self.tx, self.account.id, run.id, run.starts_at, run.ends_at)? {
            let other = runs::get(self.tx, signup.run_id)?;
            if other.starts_at > self.now {
                places.push(OtherPlace {
                    title: other.title.clone(),
                    when: run_time_in_words(other.starts_at, &other.time_zone),
                    zone: other.time_zone.clone(),
                    not_today_link: self.not_today(&signup)?,
                });
            }
        }
        Ok(places)
    }

    pub(super) fn not_signed_out(&mut self, run: Id) -> Written {
        let found = self.led(run, &[RunStatus::Published, RunStatus::Completed])?;
        let Some(run) = found else { return Ok(None) };
        let left = day::not_signed_out(self.tx, run.id)?;
        let leads = facilitators::active_on(self.tx, run.id, self.now)?.contains(&self.account.id);
        if left == 0 || !leads {
            return Ok(None);
        }
        Ok(Some(Body::NotSignedOut { people: u32::try_from(left).unwrap_or(u32::MAX), run: self.facts(&run, true)? }))
    }
}
