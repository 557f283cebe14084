//! Letters about places: offered, free at short notice, asked for, to be said yes to again.

use super::{Writer, Written, changes_seen_from_outside};
use crate::{
    domain::{
        link::LinkAction,
        run::RunStatus,
        signup::{ReconfirmReason, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::{Answered, Asking, Body, Change, OtherRun},
    service::{matching, places, runs::run_time_in_words},
    store::{
        accounts,
        runs::{self, Run},
        signups::{self, Signup},
    },
};

/// How many other runs a letter names.
const OTHERS: usize = 3;
/// A run that is paused may go on at any moment.
const TAKES_PLACE: [RunStatus; 2] = [RunStatus::Published, RunStatus::Paused];

impl Writer<'_, '_> {
    pub(super) fn place_offered(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Offered], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        let Some(until) = signup.offer_expires_at.filter(|until| *until > self.now) else { return Ok(None) };
        Ok(Some(Body::PlaceOffered {
            until: run_time_in_words(until, &run.time_zone),
            accept_link: self.about_signup(LinkAction::TakePlace, &signup)?,
            decline_link: self.about_signup(LinkAction::LetPlaceGo, &signup)?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn place_free(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Waitlisted], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        let (policy, now) = (&self.desk.policy, self.now);
        let room = places::of_runs(self.tx, std::slice::from_ref(&run), policy, now)?;
        let left = room.get(&run.id).map_or(0, |room| room.left_for(signup.new_to_group));
        if left == 0 || now >= places::cut_off(&run, policy) {
            return Ok(None);
        }
        Ok(Some(Body::PlaceFree {
            accept_link: self.about_signup(LinkAction::TakePlace, &signup)?,
            not_today_link: self.not_today(&signup)?,
            run: self.facts(&run, false)?,
        }))
    }

    pub(super) fn offer_lapsed(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Waitlisted], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        Ok(Some(Body::OfferLapsed { not_today_link: self.not_today(&signup)?, run: self.facts(&run, false)? }))
    }

    /// To a facilitator: requests that wait; one of them, or all of the run.
    pub(super) fn requests_wait(&mut self, run: Id, only: Option<Id>, again: bool) -> Written {
        let now = self.now;
        let Some(run) = self.led_now(run)?.filter(|run| run.starts_at > now) else { return Ok(None) };
        let mut requests = Vec::new();
        for signup in signups::of_run(self.tx, run.id, &[SignupStatus::Requested])? {
            if only.is_none_or(|only| only == signup.id) {
                requests.push(self.asking(&signup, &run)?);
            }
        }
        if requests.is_empty() {
            return Ok(None);
        }
        let answer_by = run_time_in_words(places::cut_off(&run, &self.desk.policy), &run.time_zone);
        Ok(Some(Body::RequestsWait { run: self.facts(&run, true)?, requests, again, answer_by }))
    }

    fn asking(&mut self, signup: &Signup, run: &Run) -> Result<Asking> {
        let name = accounts::get(self.tx, signup.account_id)?.display_name;
        let profile = accounts::find_profile(self.tx, signup.account_id)?;
        let pace = profile.and_then(|profile| profile.pace_for(run.activity)).map(|pace| pace.in_min_per_km());
        let answered = |(question, answer): (&crate::domain::run::Question, &String)| Answered {
            question: question.0.clone(),
            answer: answer.clone(),
        };
        Ok(Asking {
            name,
            pace,
            new_here: signup.new_here,
            answers: run.details.questions.iter().zip(signup.answers.iter()).map(answered).collect(),
            approve_link: self.about_signup(LinkAction::ApproveRequest, signup)?,
            decline_link: self.about_signup(LinkAction::DeclineRequest, signup)?,
        })
    }

    pub(super) fn request_expired(&mut self, signup: Id) -> Written {
        let Some((_, run)) = self.ended(signup)? else { return Ok(None) };
        Ok(Some(Body::RequestExpired { others: self.others(&run)?, run: self.facts(&run, false)? }))
    }

    pub(super) fn place_released(&mut self, signup: Id) -> Written {
        let Some((_, run)) = self.ended(signup)? else { return Ok(None) };
        Ok(Some(Body::PlaceReleased { others: self.others(&run)?, run: self.facts(&run, false)? }))
    }

    /// A sign-up that has expired, in a run that is not called off.
    fn ended(&mut self, signup: Id) -> Result<Option<(Signup, Run)>> {
        let found = self.signup_and_run(signup)?;
        Ok(found.filter(|(s, r)| s.status == SignupStatus::Expired && TAKES_PLACE.contains(&r.status)))
    }

    pub(super) fn asked_to_run_as_two(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Confirmed], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        let Some(asked) = run.asked_one_to_one_at else { return Ok(None) };
        if signup.reconfirmed_at.is_some_and(|at| at >= asked) {
            return Ok(None);
        }
        Ok(Some(Body::AskedToRunAsTwo {
            answer_by: self.answer_by(&run),
            yes_link: self.about_signup(LinkAction::StillComing, &signup)?,
            not_today_link: self.not_today(&signup)?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn asked_to_lead_one(&mut self, run: Id) -> Written {
        let now = self.now;
        let Some(run) = self.led_now(run)?.filter(|run| run.starts_at > now) else { return Ok(None) };
        if run.asked_one_to_one_at.is_none() {
            return Ok(None);
        }
        Ok(Some(Body::AskedToLeadOne {
            answer_by: self.answer_by(&run),
            yes_link: self.link(LinkAction::RunAsTwo, Some((run.id, None)))?,
            cannot_lead_link: self.link(LinkAction::CannotLead, Some((run.id, None)))?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn changed(&mut self, signup: Id, changes: &[Change]) -> Written {
        let found = self.mine(signup, &SignupStatus::LIVE, &TAKES_PLACE)?;
        let Some((signup, run)) = found else { return Ok(None) };
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        let far = signup.reconfirm_reason == Some(ReconfirmReason::Changed);
        let asks = far || signup.change_asked_at.is_some();
        let facts = self.facts(&run, inside)?;
        let sees_place = facts.map_url.is_some();
        Ok(Some(Body::RunChanged {
            run: facts,
            changes: if sees_place { changes.to_vec() } else { changes_seen_from_outside(changes) },
            waiting: !inside,
            far,
            fine_link: if asks { Some(self.about_signup(LinkAction::StillComing, &signup)?) } else { None },
            answer_by: self.answer_by(&run),
            not_today_link: self.not_today(&signup)?,
        }))
    }

    fn answer_by(&self, run: &Run) -> String {
        run_time_in_words(places::cut_off(run, &self.desk.policy), &run.time_zone)
    }

    fn about_signup(&mut self, action: LinkAction, signup: &Signup) -> Result<String> {
        self.link(action, Some((signup.id, None)))
    }

    /// Other runs with places: those that fit the reader best, or, for whom we know no profile, those nearest to this one.
    pub(super) fn others(&mut self, run: &Run) -> Result<Vec<OtherRun>> {
        let (policy, keyring, now) = (&self.desk.policy, &self.desk.keyring, self.now);
        let ids = matching::instead_of(self.tx, self.account.id, run, OTHERS, policy, keyring, now)?;
        let mut others = Vec::new();
        for id in ids {
            let other = runs::get(self.tx, id)?;
            let facts = self.facts(&other, false)?;
            others.push(OtherRun {
                title: facts.title,
                when: facts.when,
                where_name: facts.where_name,
                page_url: facts.page_url,
            });
        }
        Ok(others)
    }
}
