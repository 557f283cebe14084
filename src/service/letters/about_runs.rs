//! Letters about runs: to those who have or had a place, and to those who lead.

use super::{Writer, Written};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        moderation::AppealKind,
        question::ComingQuestion,
        reminder::Moment,
        run::{ListingRole, ListingStatus, RunStatus},
        signup::{ReconfirmReason, RemovalReason, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::{Body, Change, Had, Note, OtherRun, RunFacts},
    service::{
        runs::{leading::take_over_deadline, run_time_in_words},
        signups as seats,
    },
    store::{
        accounts, facilitators,
        runs::{self, Run},
        signups::{self, Signup},
    },
};

/// What somebody has of a run, for whom it matters how a mail speaks of it.
pub(super) fn had(status: SignupStatus) -> Had {
    match status {
        SignupStatus::Requested => Had::Request,
        SignupStatus::Waitlisted => Had::Waiting,
        SignupStatus::Offered => Had::Offer,
        SignupStatus::Confirmed | SignupStatus::Attended | SignupStatus::NoShow => Had::Place,
        SignupStatus::Withdrawn | SignupStatus::Declined | SignupStatus::Removed | SignupStatus::Expired => {
            Had::Nothing
        }
    }
}

impl Writer<'_, '_> {
    pub(super) fn signup_and_run(&mut self, signup: Id) -> Result<Option<(Signup, Run)>> {
        let Some(signup) = signups::find(self.tx, signup)? else { return Ok(None) };
        let run = runs::get(self.tx, signup.run_id)?;
        Ok(Some((signup, run)))
    }

    /// Somebody's own sign-up in one of these states, in a run in one of those that has not started.
    pub(super) fn mine(
        &mut self,
        signup: Id,
        statuses: &[SignupStatus],
        run: &[RunStatus],
    ) -> Result<Option<(Signup, Run)>> {
        let now = self.now;
        Ok(self
            .signup_and_run(signup)?
            .filter(|(s, r)| statuses.contains(&s.status) && run.contains(&r.status) && r.starts_at > now))
    }

    pub(super) fn not_today(&mut self, signup: &Signup) -> Result<String> {
        self.link(LinkAction::NotToday, Some((signup.id, None)))
    }

    pub(super) fn waitlisted(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Waitlisted], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        let position = seats::waiting_position(self.tx, &signup)?.unwrap_or(1);
        Ok(Some(Body::SignupWaitlisted {
            not_today_link: self.not_today(&signup)?,
            run: self.facts(&run, false)?,
            position: u32::try_from(position).unwrap_or(u32::MAX),
        }))
    }

    pub(super) fn removed(&mut self, signup: Id) -> Written {
        let Some((signup, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        if signup.status.is_live() {
            return Ok(None);
        }
        let reason = signup.reason_code.map_or(
            "The team or a facilitator has decided that this run is not open to you at present.",
            RemovalReason::sentence,
        );
        let appeal_link = match signup.decided_by {
            Some(_) => Some(self.link(LinkAction::Appeal, Some((signup.id, Some(AppealKind::SignupDecision))))?),
            None => None,
        };
        // Whatever the cause was, so that the mail does not tell it.
        let others = if signup.status == SignupStatus::Declined { self.others(&run)? } else { Vec::new() };
        Ok(Some(Body::SignupRemoved {
            run: self.facts(&run, false)?,
            others,
            reason: reason.to_owned(),
            statement: signup.statement,
            appeal_link,
        }))
    }

    pub(super) fn waiting_or_in(
        &mut self,
        signup: Id,
        status: RunStatus,
        write: impl FnOnce(RunFacts, Had, String) -> Body,
    ) -> Written {
        let Some((signup, run)) = self.mine(signup, &SignupStatus::LIVE, &[status])? else { return Ok(None) };
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        let link = self.not_today(&signup)?;
        Ok(Some(write(self.facts(&run, inside)?, had(signup.status), link)))
    }

    pub(super) fn decide_by(&self, run: &Run) -> Option<String> {
        Some(run_time_in_words(take_over_deadline(run, &self.desk.policy), &run.time_zone))
    }

    pub(super) fn paused(&mut self, signup: Id) -> Written {
        let Some((_, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        let decide_by = self.decide_by(&run);
        self.waiting_or_in(signup, RunStatus::Paused, |run, had, link| Body::RunPaused {
            run,
            decide_by,
            had,
            not_today_link: link,
        })
    }

    pub(super) fn cancelled(&mut self, signup: Id) -> Written {
        let Some((signup, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        let left = matches!(signup.status, SignupStatus::Withdrawn | SignupStatus::Removed | SignupStatus::Declined);
        if run.status != RunStatus::Cancelled || left {
            return Ok(None);
        }
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        Ok(Some(Body::RunCancelled {
            reason: cancel_sentence(&run),
            message: run.details.cancel_message.clone(),
            had: if inside { Had::Place } else { Had::Nothing },
            others: self.others(&run)?,
            run: self.facts(&run, inside)?,
        }))
    }

    /// Whether the reader is listed on a run to stay with the last, and not to lead.
    pub(super) fn is_back_marker(&mut self, run: Id) -> Result<bool> {
        let listing = facilitators::find_listing(self.tx, run, self.account.id)?;
        Ok(listing.is_some_and(|listing| listing.role == ListingRole::BackMarker))
    }

    pub(super) fn led(&mut self, run: Id, statuses: &[RunStatus]) -> Result<Option<Run>> {
        Ok(runs::find(self.tx, run)?.filter(|run| statuses.contains(&run.status)))
    }

    /// A run to come that the reader really leads at the moment: whoever was stopped from it hears no more of its people.
    pub(super) fn led_now(&mut self, run: Id) -> Result<Option<Run>> {
        let active = facilitators::active_on(self.tx, run, self.now)?.contains(&self.account.id);
        Ok(self.led(run, &[RunStatus::Published, RunStatus::Paused])?.filter(|_| active))
    }

    pub(super) fn people_on(&mut self, run: Id) -> Result<u32> {
        Ok(u32::try_from(signups::of_run(self.tx, run, &SignupStatus::LIVE)?.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn lead_cancelled(&mut self, run: Id) -> Written {
        let Some(run) = self.led(run, &[RunStatus::Cancelled])? else { return Ok(None) };
        Ok(Some(Body::LeadRunCancelled {
            reason: cancel_sentence(&run),
            message: run.details.cancel_message.clone(),
            people: self.people_on(run.id)?,
            back_marker: self.is_back_marker(run.id)?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn lead_paused(&mut self, run: Id) -> Written {
        let Some(run) = self.led(run, &[RunStatus::Paused])? else { return Ok(None) };
        Ok(Some(Body::LeadRunPaused {
            decide_by: self.decide_by(&run),
            people: self.people_on(run.id)?,
            back_marker: self.is_back_marker(run.id)?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn lead_changed(&mut self, run: Id, changes: &[Change], by: Option<Id>) -> Written {
        if changes.is_empty() {
            return Ok(None);
        }
        let Some(run) = self.led(run, &[RunStatus::Published, RunStatus::Paused])? else { return Ok(None) };
        let by = match by {
            Some(by) => accounts::find(self.tx, by)?.map(|account| account.display_name),
            None => None,
        };
        Ok(Some(Body::LeadRunChanged {
            by,
            back_marker: self.is_back_marker(run.id)?,
            changes: changes.to_vec(),
            cannot_lead_link: self.link(LinkAction::CannotLead, Some((run.id, None)))?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn reminder(&mut self, signup: Id, moment: Moment, starts_at: Instant) -> Written {
        let found = self.mine(signup, &[SignupStatus::Confirmed], &[RunStatus::Published])?;
        let Some((signup, run)) = found.filter(|(_, run)| run.starts_at == starts_at) else { return Ok(None) };
        // Whoever wants no reminders still hears that their place depends on an answer.
        if !self.account.reminders && signup.reconfirm_by.is_none() {
            return Ok(None);
        }
        let mut facts = self.facts(&run, true)?;
        if moment == Moment::TwoHours {
            facts.day_contact.clone_from(&run.details.day_contact);
        }
        let question = signup.reconfirm_reason.map(|reason| match reason {
            ReconfirmReason::Absences => ComingQuestion::DayBefore,
            ReconfirmReason::Changed => ComingQuestion::Change,
        });
        let still_coming_link = match question {
            Some(question) => Some(self.still_coming(&signup, &run, question)?),
            None => None,
        };
        Ok(Some(Body::Reminder {
            run: facts,
            moment,
            question,
            still_coming_link,
            answer_by: signup.reconfirm_by.map(|by| run_time_in_words(by, &run.time_zone)).unwrap_or_default(),
            not_today_link: self.not_today(&signup)?,
        }))
    }

    pub(super) fn facilitator_reminder(&mut self, run: Id, moment: Moment, starts_at: Instant) -> Written {
        let now = self.now;
        let found = self.led(run, &[RunStatus::Published])?;
        let Some(run) = found.filter(|run| run.starts_at == starts_at && run.starts_at > now) else {
            return Ok(None);
        };
        if !facilitators::accompanying(self.tx, run.id, now)?.contains(&self.account.id) {
            return Ok(None);
        }
        let confirmed = signups::of_run(self.tx, run.id, &[SignupStatus::Confirmed])?;
        let people: Vec<Id> = confirmed.iter().map(|signup| signup.account_id).collect();
        let names = accounts::display_names(self.tx, &people)?;
        let notes = confirmed
            .iter()
            .filter_map(|signup| {
                let note = signup.note.clone()?;
                Some(Note { name: names.get(&signup.account_id).cloned().unwrap_or_default(), note })
            })
            .collect();
        let new_people = confirmed.iter().filter(|signup| signup.new_here).count();
        Ok(Some(Body::FacilitatorReminder {
            back_marker: self.is_back_marker(run.id)?,
            run: self.facts(&run, true)?,
            moment,
            coming: u32::try_from(confirmed.len()).unwrap_or(u32::MAX),
            new_people: u32::try_from(new_people).unwrap_or(u32::MAX),
            notes,
            cannot_lead_link: self.link(LinkAction::CannotLead, Some((run.id, None)))?,
        }))
    }

    /// To a facilitator: who gave up a place in a run. Whoever has signed up again since is coming after all.
    pub(super) fn withdrew(&mut self, given_up: &[Id]) -> Written {
        let now = self.now;
        let mut gone: Vec<Id> = Vec::new();
        let mut about = None;
        for signup in given_up {
            let Some((signup, run)) = self.signup_and_run(*signup)? else { continue };
            let (person, is_known) = (signup.account_id, gone.contains(&signup.account_id));
            if !is_known && signups::live_in(self.tx, person, run.id)?.is_none() {
                gone.push(person);
                about = Some(run);
            }
        }
        let Some(run) = about.filter(|run| run.starts_at > now) else { return Ok(None) };
        if self.led_now(run.id)?.is_none() {
            return Ok(None);
        }
        let mut names = accounts::display_names(self.tx, &gone)?;
        let names = gone.iter().rev().filter_map(|person| names.remove(person)).collect();
        let coming = signups::of_run(self.tx, run.id, &[SignupStatus::Confirmed])?.len();
        Ok(Some(Body::ParticipantWithdrew {
            run: self.facts(&run, true)?,
            names,
            coming: u32::try_from(coming).unwrap_or(u32::MAX),
        }))
    }

    pub(super) fn unlisted(&mut self, run: Id, back_marker: bool, accepted: bool) -> Written {
        let found = self.led(run, &[RunStatus::Draft, RunStatus::Published, RunStatus::Paused])?;
        let listed = facilitators::find_listing(self.tx, run, self.account.id)?.is_some();
        let Some(run) = found.filter(|_| !listed) else { return Ok(None) };
        Ok(Some(Body::FacilitatorUnlisted { run: self.facts(&run, false)?, back_marker, accepted }))
    }

    pub(super) fn invited_to_lead(&mut self, run: Id) -> Written {
        let now = self.now;
        let found = self.led(run, &[RunStatus::Draft, RunStatus::Published, RunStatus::Paused])?;
        let Some(run) = found.filter(|run| run.starts_at > now) else { return Ok(None) };
        let listing = facilitators::find_listing(self.tx, run.id, self.account.id)?;
        let Some(listing) = listing.filter(|l| l.status == ListingStatus::Invited) else {
            return Ok(None);
        };
        let invited_by = match listing.listed_by {
            Some(by) => accounts::find(self.tx, by)?.map(|account| account.display_name),
            None => None,
        };
        Ok(Some(Body::CoFacilitatorInvited {
            run: self.facts(&run, false)?,
            invited_by: invited_by.unwrap_or_else(|| "A facilitator".to_owned()),
            back_marker: listing.role == ListingRole::BackMarker,
            accept_link: self.yes_link(LinkAction::LeadTogether, run.id, &run, None, None)?,
        }))
    }
}

/// That a run is off, for somebody whose request, place or waiting position had ended before.
pub(super) fn cancelled_without_place(run: &Run, facts: RunFacts, others: Vec<OtherRun>) -> Body {
    Body::RunCancelled {
        reason: cancel_sentence(run),
        message: run.details.cancel_message.clone(),
        had: Had::Nothing,
        others,
        run: facts,
    }
}

fn cancel_sentence(run: &Run) -> String {
    run.details.cancel_reason.map_or("", |reason| reason.sentence()).to_owned()
}
