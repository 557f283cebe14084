//! Letters about places: offered, free at short notice, asked for, to be said yes to again.

use super::{
    Writer, Written,
    about_runs::{cancelled_without_place, had},
    changes_seen_from_outside,
};
use crate::{
    domain::{
        link::LinkAction, question::ComingQuestion, run::RunStatus, signup::SignupStatus, vocabulary::access::Offer,
    },
    error::Result,
    id::Id,
    mail::{AccessOffer, Answered, Asking, Body, Change, OtherRun, RunFacts},
    service::{matching, one_to_one, places, runs::run_time_in_words},
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
    pub(super) fn confirmed(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Confirmed], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        Ok(Some(Body::SignupConfirmed {
            not_today_link: self.not_today(&signup)?,
            access: self.access_offer(&run)?,
            run: self.facts(&run, true)?,
        }))
    }

    /// What a run says about the access needs of the reader's running profile.
    fn access_offer(&mut self, run: &Run) -> Result<Option<AccessOffer>> {
        let needs = accounts::find_profile(self.tx, self.account.id)?.map(|profile| profile.access_needs.0);
        let offer = Offer::of(&needs.unwrap_or_default(), &run.access.0);
        Ok(offer.map(|Offer { has, has_not, unsaid }| AccessOffer { has, has_not, unsaid }))
    }

    pub(super) fn place_offered(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Offered], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        let Some(until) = signup.offer_expires_at.filter(|until| *until > self.now) else { return Ok(None) };
        Ok(Some(Body::PlaceOffered {
            until: run_time_in_words(until, &run.time_zone),
            accept_link: self.yes_link(LinkAction::TakePlace, signup.id, &run, None, None)?,
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
            accept_link: self.yes_link(LinkAction::TakePlace, signup.id, &run, None, None)?,
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
            // Who has yet to say yes to a far change cannot be approved, and is asked themselves.
            if only.is_none_or(|only| only == signup.id) && !signup.awaits_yes_to_a_change() {
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
        self.ended(signup, |run, others| Body::RequestExpired { run, others })
    }

    pub(super) fn place_released(&mut self, signup: Id) -> Written {
        self.ended(signup, |run, others| Body::PlaceReleased { run, others })
    }

    pub(super) fn waiting_ended(&mut self, signup: Id) -> Written {
        self.ended(signup, |run, others| Body::WaitingEnded { run, others })
    }

    /// To somebody whose sign-up has expired: it has no other mail, so it goes out whatever became of the run since.
    fn ended(&mut self, signup: Id, write: impl FnOnce(RunFacts, Vec<OtherRun>) -> Body) -> Written {
        let found = self.signup_and_run(signup)?.filter(|(signup, _)| signup.status == SignupStatus::Expired);
        let Some((_, run)) = found else { return Ok(None) };
        let others = self.others(&run)?;
        let facts = self.facts(&run, false)?;
        if run.status == RunStatus::Cancelled {
            return Ok(Some(cancelled_without_place(&run, facts, others)));
        }
        Ok(Some(write(facts, others)))
    }

    pub(super) fn asked_to_run_as_two(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Confirmed], &[RunStatus::Published])?;
        let Some((signup, run)) = found else { return Ok(None) };
        let Some(partner) = self.partner_to_say_yes_to(&run)? else { return Ok(None) };
        let (about, question) = (signup.id, Some(ComingQuestion::AsTwo));
        Ok(Some(Body::AskedToRunAsTwo {
            partner: accounts::get(self.tx, partner)?.display_name,
            answer_by: self.answer_by(&run),
            yes_link: self.yes_link(LinkAction::StillComing, about, &run, question, Some(partner))?,
            not_today_link: self.not_today(&signup)?,
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn asked_to_lead_one(&mut self, run: Id) -> Written {
        let now = self.now;
        let Some(run) = self.led_now(run)?.filter(|run| run.starts_at > now) else { return Ok(None) };
        let Some(partner) = self.partner_to_say_yes_to(&run)? else { return Ok(None) };
        let question = Some(ComingQuestion::AsTwo);
        Ok(Some(Body::AskedToLeadOne {
            partner: accounts::get(self.tx, partner)?.display_name,
            answer_by: self.answer_by(&run),
            yes_link: self.yes_link(LinkAction::RunAsTwo, run.id, &run, question, Some(partner))?,
            cannot_lead_link: self.link(LinkAction::CannotLead, Some((run.id, None)))?,
            run: self.facts(&run, true)?,
        }))
    }

    /// With whom the reader would be alone on a run, while they have yet to say yes to that.
    fn partner_to_say_yes_to(&mut self, run: &Run) -> Result<Option<Id>> {
        let me = self.account.id;
        let Some(partner) = one_to_one::partner_of(self.tx, run, me, self.now)? else { return Ok(None) };
        Ok(if one_to_one::said_yes(self.tx, run, me, partner)? { None } else { Some(partner) })
    }

    pub(super) fn changed(&mut self, signup: Id, changes: &[Change]) -> Written {
        // Changed back before anybody was told.
        if changes.is_empty() {
            return Ok(None);
        }
        let found = self.mine(signup, &SignupStatus::LIVE, &TAKES_PLACE)?;
        let Some((signup, run)) = found else { return Ok(None) };
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        let far = signup.awaits_yes_to_a_change();
        let asks = far || signup.change_asked_at.is_some();
        let facts = self.facts(&run, inside)?;
        let sees_place = facts.map_url.is_some();
        Ok(Some(Body::RunChanged {
            run: facts,
            changes: if sees_place { changes.to_vec() } else { changes_seen_from_outside(changes) },
            had: had(signup.status),
            far,
            fine_link: if asks && signup.status != SignupStatus::Offered {
                Some(self.still_coming(&signup, &run, ComingQuestion::Change)?)
            } else {
                None
            },
            accept_link: match signup.status {
                SignupStatus::Offered => Some(self.yes_link(LinkAction::TakePlace, signup.id, &run, None, None)?),
                _ => None,
            },
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
