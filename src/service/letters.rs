//! From a promised mail to a letter: the facts are read when its turn comes, and what is no longer true is not sent.

use std::sync::Arc;

use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::Policy,
    domain::{
        account::AccountStatus,
        link::LinkAction,
        moderation::{AppealKind, ApplicationStatus, Outcome, SanctionKind, SanctionScope},
        pace::Activity,
        reminder::Moment,
        run::RunStatus,
        signup::{RemovalReason, SignupStatus},
    },
    error::Result,
    id::Id,
    mail::{Body, DecisionKind, House, Letter, Note, Notice, RunFacts, Scope, Templates},
    service::{links, run_views, runs::run_time_in_words, runs::take_over_deadline, signups as seats},
    store::{
        Tx,
        accounts::{self, Account},
        facilitators, moderation,
        outbox::Parcel,
        runs::{self, Run},
        sessions,
        signups::{self, Signup},
    },
};

/// What letters are written with.
pub struct Desk {
    pub keyring: Arc<Keyring>,
    pub templates: Templates,
    pub house: House,
    pub policy: Policy,
}

/// A letter with its address.
pub struct Addressed {
    pub to_address: String,
    /// Empty where the name was typed by somebody who may not own the address.
    pub to_name: String,
    pub letter: Letter,
    /// One click, no more reminders.
    pub unsubscribe: Option<String>,
}

impl Desk {
    /// Writes the letter for a parcel, or says that it is no longer true.
    pub fn compose(&self, tx: &mut Tx<'_>, parcel: &Parcel, now: Instant) -> Result<Option<Addressed>> {
        let Some(account) = accounts::find(tx, parcel.account_id)? else { return Ok(None) };
        // Whom a decision keeps out may read it, object, and for that log in.
        let always = matches!(
            parcel.notice.0,
            Notice::Decision { .. }
                | Notice::DecisionLifted { .. }
                | Notice::AppealDecided { .. }
                | Notice::VerifyEmail { .. }
                | Notice::ResetPassword { .. }
                | Notice::PasswordChanged { .. }
        );
        if !always && !moderation::keeping_out(tx, account.id, now)?.is_empty() {
            return Ok(None);
        }
        let mut writer = Writer { desk: self, tx, account: &account, now };
        let Some(body) = writer.body(&parcel.notice)? else { return Ok(None) };
        let is_reminder = matches!(parcel.notice.0, Notice::Reminder { .. });
        let unsubscribe = if is_reminder { Some(writer.link(LinkAction::NoReminders, None)?) } else { None };
        let verified = account.status == AccountStatus::Active;
        let letter = Letter {
            to_name: account.display_name.clone(),
            body,
            house: self.house.clone(),
            preferences_link: unsubscribe.clone(),
        };
        Ok(Some(Addressed {
            to_address: account.email.clone(),
            to_name: if verified { account.display_name.clone() } else { String::new() },
            letter,
            unsubscribe,
        }))
    }
}

struct Writer<'w, 'c> {
    desk: &'w Desk,
    tx: &'w mut Tx<'c>,
    account: &'w Account,
    now: Instant,
}

type Written = Result<Option<Body>>;

impl Writer<'_, '_> {
    fn body(&mut self, notice: &Notice) -> Written {
        match notice {
            Notice::VerifyEmail { link } => {
                self.with_link(*link, |link, valid_for| Body::VerifyEmail { link, valid_for })
            }
            Notice::ResetPassword { link } => {
                self.with_link(*link, |link, valid_for| Body::ResetPassword { link, valid_for })
            }
            Notice::Invitation { link } => {
                self.with_link(*link, |link, valid_for| Body::Invitation { link, valid_for })
            }
            Notice::AlreadyRegistered { .. } => Ok(Some(Body::AlreadyRegistered {})),
            Notice::PasswordChanged { .. } => {
                let zone = self.account.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
                Ok(Some(Body::PasswordChanged { when: run_time_in_words(self.account.updated_at, &zone) }))
            }
            Notice::ApplicationReceived { application_id } => self.application_received(*application_id),
            Notice::ApplicationDecided { application_id } => self.application_decided(*application_id),
            Notice::SignupConfirmed { signup_id } => self.seat(*signup_id, &[SignupStatus::Confirmed], |run, link| {
                Body::SignupConfirmed { run, not_today_link: link }
            }),
            Notice::SignupPromoted { signup_id } => self.seat(*signup_id, &[SignupStatus::Confirmed], |run, link| {
                Body::SignupPromoted { run, not_today_link: link }
            }),
            Notice::SignupWaitlisted { signup_id } => self.waitlisted(*signup_id),
            Notice::SignupRemoved { signup_id } => self.removed(*signup_id),
            Notice::RunChanged { signup_id, changes } => {
                let changes = changes.clone();
                self.waiting_or_in(*signup_id, RunStatus::Published, |run, waiting, link| Body::RunChanged {
                    run,
                    changes,
                    waiting,
                    not_today_link: link,
                })
            }
            Notice::RunPaused { signup_id } => self.paused(*signup_id),
            Notice::RunResumed { signup_id } => {
                self.waiting_or_in(*signup_id, RunStatus::Published, |run, waiting, link| Body::RunResumed {
                    run,
                    waiting,
                    not_today_link: link,
                })
            }
            Notice::RunCancelled { signup_id } => self.cancelled(*signup_id),
            Notice::LeadRunCancelled { run_id } => self.lead_cancelled(*run_id),
            Notice::LeadRunPaused { run_id } => self.lead_paused(*run_id),
            Notice::Reminder { signup_id, moment, starts_at } => self.reminder(*signup_id, *moment, *starts_at),
            Notice::FacilitatorReminder { run_id, moment, starts_at } => {
                self.facilitator_reminder(*run_id, *moment, *starts_at)
            }
            Notice::ParticipantWithdrew { signup_id } => self.withdrew(*signup_id),
            Notice::CoFacilitatorInvited { run_id, .. } => self.invited_to_lead(*run_id),
            Notice::RunTouched { run_id, by } => {
                let by = *by;
                let run = self.led(*run_id, &[RunStatus::Published, RunStatus::Paused])?;
                run.map(|run| Ok(Body::RunTouched { run: self.facts(&run, true)?, by })).transpose()
            }
            Notice::Barred { bar_id, runs } => self.barred(*bar_id, runs),
            Notice::Decision { sanction_id, places_lost, runs_paused } => {
                self.decision(*sanction_id, *places_lost, *runs_paused)
            }
            Notice::DecisionLifted { sanction_id } => self.lifted(*sanction_id),
            Notice::AppealReceived { appeal_id } => {
                let appeal = moderation::find_appeal(self.tx, *appeal_id)?.filter(|appeal| appeal.outcome.is_none());
                Ok(appeal.map(|appeal| Body::AppealReceived {
                    about: appeal_in_words(appeal.about_kind).to_owned(),
                    queue_url: Some(self.page("/v1/moderation/appeals")),
                }))
            }
            Notice::AppealDecided { appeal_id } => {
                let appeal = moderation::find_appeal(self.tx, *appeal_id)?;
                Ok(appeal.and_then(|appeal| {
                    Some(Body::AppealDecided {
                        about: appeal_in_words(appeal.about_kind).to_owned(),
                        overturned: appeal.outcome? == Outcome::Overturn,
                        second_person: appeal.decided_by != appeal.first_decided_by,
                        statement: appeal.decision.unwrap_or_default(),
                    })
                }))
            }
            Notice::ReportReceived { report_id } => self.report_received(*report_id),
            Notice::ReportResolved { report_id } => {
                let report = moderation::find_report(self.tx, *report_id)?;
                Ok(report.map(|report| Body::ReportResolved { reported_on: self.day(report.created_at) }))
            }
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.desk.house.base_url)
    }

    fn day(&self, at: Instant) -> String {
        let zone = self.account.time_zone.as_deref().unwrap_or("UTC");
        at.local(zone).strftime("%-d %B %Y").to_string()
    }

    fn link(&mut self, action: LinkAction, about: Option<(Id, Option<AppealKind>)>) -> Result<String> {
        let link = links::ensure(self.tx, self.account.id, action, about, self.now)?;
        Ok(links::url(&self.desk.house.base_url, &self.desk.keyring, &link))
    }

    fn with_link(&mut self, link: Id, write: impl FnOnce(String, String) -> Body) -> Written {
        let link = sessions::find_link(self.tx, link)?.filter(|link| link.works(self.now));
        Ok(link.map(|link| {
            let hours = link.action.hours();
            let valid_for = match hours {
                1 => "one hour".to_owned(),
                hours if hours >= 72 => format!("{} days", hours / 24),
                hours => format!("{hours} hours"),
            };
            write(links::url(&self.desk.house.base_url, &self.desk.keyring, &link), valid_for)
        }))
    }

    /// A run's facts; the exact meeting point only where `inside` or public.
    fn facts(&mut self, run: &Run, inside: bool) -> Result<RunFacts> {
        let view = run_views::facts(self.tx, std::slice::from_ref(run), None, 1, self.now)?.card(run);
        let point = (inside || run.point_is_public).then_some((run.lat, run.lng));
        Ok(RunFacts {
            title: run.title.clone(),
            when: run_time_in_words(run.starts_at, &run.time_zone),
            day: run.starts_at.local(&run.time_zone).strftime("%A %-d %B").to_string(),
            zone: run.time_zone.clone(),
            where_name: if point.is_some() { run.place_name.clone() } else { view.meeting_area.name },
            getting_there: run.getting_there.clone().filter(|_| point.is_some()),
            map_url: point.map(|(lat, lng)| {
                format!("https://www.openstreetmap.org/?mlat={lat:.5}&mlon={lng:.5}#map=17/{lat:.5}/{lng:.5}")
            }),
            meeting_point_lat: point.map(|point| point.0),
            meeting_point_lng: point.map(|point| point.1),
            leaders: view.facilitators.into_iter().map(|leader| leader.display_name).collect(),
            activity_words: run.activity.in_words().to_owned(),
            pace_min_per_km: run.pace().in_min_per_km(),
            pace_words: run.pace().in_words(run.activity).to_owned(),
            walking_is_fine: run.no_drop || run.activity != Activity::Run,
            no_drop: run.no_drop,
            distance_km: run.distance_km,
            duration_min: u32::try_from(run.duration_min).unwrap_or(0),
            after_dark: run.after_dark,
            day_contact: None,
            page_url: self.page(&format!("/v1/runs/{}", run.id)),
        })
    }

    fn signup_and_run(&mut self, signup: Id) -> Result<Option<(Signup, Run)>> {
        let Some(signup) = signups::find(self.tx, signup)? else { return Ok(None) };
        let run = runs::get(self.tx, signup.run_id)?;
        Ok(Some((signup, run)))
    }

    /// Somebody's own sign-up in one of these states, in a published run that has not started.
    fn mine(&mut self, signup: Id, statuses: &[SignupStatus], run: RunStatus) -> Result<Option<(Signup, Run)>> {
        let now = self.now;
        Ok(self
            .signup_and_run(signup)?
            .filter(|(s, r)| statuses.contains(&s.status) && r.status == run && r.starts_at > now))
    }

    fn not_today(&mut self, signup: &Signup) -> Result<String> {
        self.link(LinkAction::NotToday, Some((signup.id, None)))
    }

    fn seat(&mut self, signup: Id, statuses: &[SignupStatus], write: impl FnOnce(RunFacts, String) -> Body) -> Written {
        let Some((signup, run)) = self.mine(signup, statuses, RunStatus::Published)? else { return Ok(None) };
        let link = self.not_today(&signup)?;
        Ok(Some(write(self.facts(&run, true)?, link)))
    }

    fn waitlisted(&mut self, signup: Id) -> Written {
        let found = self.mine(signup, &[SignupStatus::Waitlisted], RunStatus::Published)?;
        let Some((signup, run)) = found else { return Ok(None) };
        let position = seats::waiting_position(self.tx, &signup)?.unwrap_or(1);
        Ok(Some(Body::SignupWaitlisted {
            not_today_link: self.not_today(&signup)?,
            run: self.facts(&run, false)?,
            position: u32::try_from(position).unwrap_or(u32::MAX),
        }))
    }

    fn removed(&mut self, signup: Id) -> Written {
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
        Ok(Some(Body::SignupRemoved {
            run: self.facts(&run, false)?,
            reason: reason.to_owned(),
            statement: signup.statement,
            appeal_link,
        }))
    }

    fn waiting_or_in(
        &mut self,
        signup: Id,
        status: RunStatus,
        write: impl FnOnce(RunFacts, bool, String) -> Body,
    ) -> Written {
        let Some((signup, run)) = self.mine(signup, &SignupStatus::LIVE, status)? else { return Ok(None) };
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        let link = self.not_today(&signup)?;
        Ok(Some(write(self.facts(&run, inside)?, !inside, link)))
    }

    fn decide_by(&self, run: &Run) -> Option<String> {
        Some(run_time_in_words(take_over_deadline(run, &self.desk.policy), &run.time_zone))
    }

    fn paused(&mut self, signup: Id) -> Written {
        let Some((_, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        let decide_by = self.decide_by(&run);
        self.waiting_or_in(signup, RunStatus::Paused, |run, waiting, link| Body::RunPaused {
            run,
            decide_by,
            waiting,
            not_today_link: link,
        })
    }

    fn cancelled(&mut self, signup: Id) -> Written {
        let Some((signup, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        let left = matches!(signup.status, SignupStatus::Withdrawn | SignupStatus::Removed | SignupStatus::Declined);
        if run.status != RunStatus::Cancelled || left {
            return Ok(None);
        }
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        Ok(Some(Body::RunCancelled {
            reason: cancel_sentence(&run),
            message: run.cancel_message.clone(),
            waiting: !inside,
            run: self.facts(&run, inside)?,
        }))
    }

    fn led(&mut self, run: Id, statuses: &[RunStatus]) -> Result<Option<Run>> {
        Ok(runs::find(self.tx, run)?.filter(|run| statuses.contains(&run.status)))
    }

    fn people_on(&mut self, run: Id) -> Result<u32> {
        Ok(u32::try_from(signups::of_run(self.tx, run, &SignupStatus::LIVE)?.len()).unwrap_or(u32::MAX))
    }

    fn lead_cancelled(&mut self, run: Id) -> Written {
        let Some(run) = self.led(run, &[RunStatus::Cancelled])? else { return Ok(None) };
        Ok(Some(Body::LeadRunCancelled {
            reason: cancel_sentence(&run),
            message: run.cancel_message.clone(),
            people: self.people_on(run.id)?,
            run: self.facts(&run, true)?,
        }))
    }

    fn lead_paused(&mut self, run: Id) -> Written {
        let Some(run) = self.led(run, &[RunStatus::Paused])? else { return Ok(None) };
        Ok(Some(Body::LeadRunPaused {
            decide_by: self.decide_by(&run),
            people: self.people_on(run.id)?,
            run: self.facts(&run, true)?,
        }))
    }

    fn reminder(&mut self, signup: Id, moment: Moment, starts_at: Instant) -> Written {
        let found = self.mine(signup, &[SignupStatus::Confirmed], RunStatus::Published)?;
        let Some((signup, run)) = found.filter(|(_, run)| run.starts_at == starts_at) else { return Ok(None) };
        if !self.account.reminders {
            return Ok(None);
        }
        let mut facts = self.facts(&run, true)?;
        if moment == Moment::TwoHours {
            facts.day_contact.clone_from(&run.day_contact);
        }
        Ok(Some(Body::Reminder { run: facts, moment, not_today_link: self.not_today(&signup)? }))
    }

    fn facilitator_reminder(&mut self, run: Id, moment: Moment, starts_at: Instant) -> Written {
        let now = self.now;
        let found = self.led(run, &[RunStatus::Published])?;
        let Some(run) = found.filter(|run| run.starts_at == starts_at && run.starts_at > now) else {
            return Ok(None);
        };
        if !facilitators::active_on(self.tx, run.id, now)?.contains(&self.account.id) {
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
            run: self.facts(&run, true)?,
            moment,
            coming: u32::try_from(confirmed.len()).unwrap_or(u32::MAX),
            new_people: u32::try_from(new_people).unwrap_or(u32::MAX),
            notes,
            cannot_lead_link: self.link(LinkAction::CannotLead, Some((run.id, None)))?,
        }))
    }

    fn withdrew(&mut self, signup: Id) -> Written {
        let now = self.now;
        let Some((signup, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        if run.status != RunStatus::Published || run.starts_at <= now {
            return Ok(None);
        }
        let name = accounts::get(self.tx, signup.account_id)?.display_name;
        let coming = signups::of_run(self.tx, run.id, &[SignupStatus::Confirmed])?.len();
        Ok(Some(Body::ParticipantWithdrew {
            run: self.facts(&run, true)?,
            name,
            coming: u32::try_from(coming).unwrap_or(u32::MAX),
        }))
    }

    fn invited_to_lead(&mut self, run: Id) -> Written {
        let now = self.now;
        let found = self.led(run, &[RunStatus::Draft, RunStatus::Published, RunStatus::Paused])?;
        let Some(run) = found.filter(|run| run.starts_at > now) else { return Ok(None) };
        let listing = facilitators::find_listing(self.tx, run.id, self.account.id)?;
        let Some(listing) = listing.filter(|l| l.status == crate::domain::run::ListingStatus::Invited) else {
            return Ok(None);
        };
        let invited_by = match listing.listed_by {
            Some(by) => accounts::find(self.tx, by)?.map(|account| account.display_name),
            None => None,
        };
        Ok(Some(Body::CoFacilitatorInvited {
            run: self.facts(&run, true)?,
            invited_by: invited_by.unwrap_or_else(|| "A facilitator".to_owned()),
            accept_link: self.link(LinkAction::LeadTogether, Some((run.id, None)))?,
        }))
    }

    fn application_received(&mut self, application: Id) -> Written {
        let Some(application) = facilitators::find(self.tx, application)? else { return Ok(None) };
        if application.status != ApplicationStatus::Pending {
            return Ok(None);
        }
        let for_the_team = application.account_id != self.account.id;
        Ok(Some(Body::ApplicationReceived {
            for_the_team,
            applicant: accounts::get(self.tx, application.account_id)?.display_name,
            queue_url: for_the_team.then(|| self.page("/v1/facilitator-applications")),
        }))
    }

    fn application_decided(&mut self, application: Id) -> Written {
        let Some(application) = facilitators::find(self.tx, application)? else { return Ok(None) };
        let approved = application.status == ApplicationStatus::Approved;
        let appeal_link = if approved {
            None
        } else {
            Some(self.link(LinkAction::Appeal, Some((application.id, Some(AppealKind::Application))))?)
        };
        Ok(Some(Body::ApplicationDecided { approved, statement: application.reason, appeal_link }))
    }

    fn barred(&mut self, bar: Id, lost: &[Id]) -> Written {
        let now = self.now;
        let found = moderation::find_bar(self.tx, bar)?;
        let Some(bar) = found.filter(|bar| bar.lifted_at.is_none() && bar.until > now) else { return Ok(None) };
        let facilitator = accounts::get(self.tx, bar.facilitator_id)?.display_name;
        let mut places_lost = Vec::new();
        for run in lost {
            let run = runs::get(self.tx, *run)?;
            places_lost.push(run_time_in_words(run.starts_at, &run.time_zone));
        }
        let reason = bar.reason_code.parse().map_or("", RemovalReason::sentence).to_owned();
        Ok(Some(Body::Barred {
            facilitator,
            until: self.day(bar.until),
            reason,
            statement: bar.statement,
            places_lost,
            appeal_link: Some(self.link(LinkAction::Appeal, Some((bar.id, Some(AppealKind::Bar))))?),
        }))
    }

    fn decision(&mut self, sanction: Id, places_lost: u32, runs_paused: u32) -> Written {
        let now = self.now;
        let Some(sanction) = moderation::find_sanction(self.tx, sanction)? else { return Ok(None) };
        if sanction.kind != SanctionKind::Warning && !sanction.stands(now) {
            return Ok(None);
        }
        Ok(Some(Body::Decision {
            what: kind(sanction.kind),
            scope: scope(sanction.scope),
            rule: sanction.rule,
            statement: Some(sanction.statement),
            until: sanction.expires_at.map(|end| self.day(end)),
            places_lost,
            runs_paused,
            appeal_link: Some(self.link(LinkAction::Appeal, Some((sanction.id, Some(AppealKind::Sanction))))?),
        }))
    }

    fn lifted(&mut self, sanction: Id) -> Written {
        let sanction = moderation::find_sanction(self.tx, sanction)?;
        Ok(sanction.map(|sanction| Body::DecisionLifted {
            what: kind(sanction.kind),
            scope: scope(sanction.scope),
            statement: sanction.lift_reason,
        }))
    }

    fn report_received(&mut self, report: Id) -> Written {
        use crate::domain::moderation::{Category, ReportStatus};
        let report = moderation::find_report(self.tx, report)?.filter(|report| report.status == ReportStatus::Open);
        Ok(report.map(|report| Body::ReportReceived {
            category: report.category.to_string().replace('_', " "),
            safeguarding: report.category == Category::Safeguarding,
            queue_url: Some(self.page("/v1/moderation/reports")),
        }))
    }
}

fn cancel_sentence(run: &Run) -> String {
    run.cancel_reason.map_or("", |reason| reason.sentence()).to_owned()
}

fn appeal_in_words(kind: AppealKind) -> &'static str {
    match kind {
        AppealKind::Sanction => "the decision about your account",
        AppealKind::SignupDecision => "the decision about your place",
        AppealKind::Bar => "a facilitator's runs being closed to you",
        AppealKind::Application => "your application to lead runs",
    }
}

fn kind(kind: SanctionKind) -> DecisionKind {
    match kind {
        SanctionKind::Hold => DecisionKind::Hold,
        SanctionKind::Warning => DecisionKind::Warning,
        SanctionKind::Suspension => DecisionKind::Suspension,
        SanctionKind::Ban => DecisionKind::Ban,
    }
}

fn scope(scope: SanctionScope) -> Scope {
    match scope {
        SanctionScope::Site => Scope::Site,
        SanctionScope::Facilitating => Scope::Facilitating,
    }
}
