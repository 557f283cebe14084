//! From a promised mail to a letter: the facts are read when its turn comes, and what is no longer true is not sent.

mod about_after;
mod about_blocks;
mod about_decisions;
mod about_leading;
mod about_places;
mod about_runs;
mod about_series;
mod about_the_day;
mod about_wishes;

use std::sync::Arc;

use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::{HelpLine, Policy},
    domain::{
        account::AccountStatus,
        link::LinkAction,
        moderation::AppealKind,
        pace::Activity,
        question::{Asked, ComingQuestion},
        run::{ListingRole, RunStatus},
    },
    error::Result,
    id::Id,
    mail::{self, Body, Change, House, Letter, Notice, RunFacts, Templates, Touch},
    service::{links, run_views, runs::run_time_in_words},
    store::{
        Tx,
        accounts::{self, Account},
        moderation,
        outbox::Parcel,
        runs::Run,
        sessions,
        signups::Signup,
    },
};

/// What letters are written with.
pub struct Desk {
    pub keyring: Arc<Keyring>,
    pub templates: Templates,
    pub house: House,
    pub policy: Policy,
    /// The help lines of this installation.
    pub help: Vec<HelpLine>,
}

/// A letter with its address.
pub struct Addressed {
    pub to_address: String,
    /// Empty where the name was typed by somebody who may not own the address.
    pub to_name: String,
    pub letter: Letter,
    /// One click, no more mails of this kind.
    pub unsubscribe: Option<String>,
    /// Where an answer goes, if not to the sender.
    pub reply_to: Option<String>,
}

impl Desk {
    /// Writes the letter for a parcel, or says that it is no longer true.
    pub fn compose(&self, tx: &mut Tx<'_>, parcel: &Parcel, now: Instant) -> Result<Option<Addressed>> {
        let Some(account) = accounts::find(tx, parcel.account_id)? else { return Ok(None) };
        let always = Notice::FOR_THOSE_KEPT_OUT.contains(&parcel.notice.name());
        if !always && !moderation::keeping_out(tx, account.id, now)?.is_empty() {
            return Ok(None);
        }
        let mut writer = Writer { desk: self, tx, account: &account, now };
        let Some(body) = writer.body(&parcel.notice)? else { return Ok(None) };
        let turns_off = match parcel.notice.0 {
            Notice::Reminder { .. } | Notice::AfterRun { .. } => Some(LinkAction::NoReminders),
            Notice::RunsFound { .. } | Notice::MatchRequestEnds { .. } => Some(LinkAction::NoAlerts),
            _ => None,
        };
        let unsubscribe = turns_off.map(|action| writer.link(action, None)).transpose()?;
        let preferences_words = match turns_off {
            Some(LinkAction::NoAlerts) => "No more of these mails, please",
            _ => "No more reminders, please",
        };
        let verified = account.status == AccountStatus::Active;
        // What people say to each other by us is answered to the installation.
        let speaks = matches!(parcel.notice.0, Notice::Announcement { .. });
        let reply_to = speaks.then(|| self.house.contact.clone()).filter(|contact| mail::is_mailbox(contact));
        let letter = Letter {
            to_name: account.display_name.clone(),
            body,
            house: self.house.clone(),
            preferences_link: unsubscribe.clone(),
            preferences_words: preferences_words.to_owned(),
        };
        Ok(Some(Addressed {
            to_address: account.email.clone(),
            to_name: if verified { account.display_name.clone() } else { String::new() },
            letter,
            unsubscribe,
            reply_to,
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
            Notice::SignupConfirmed { signup_id } => self.confirmed(*signup_id),
            Notice::PlaceOffered { signup_id } => self.place_offered(*signup_id),
            Notice::PlaceFree { signup_id } => self.place_free(*signup_id),
            Notice::OfferLapsed { signup_id } => self.offer_lapsed(*signup_id),
            Notice::SignupWaitlisted { signup_id } => self.waitlisted(*signup_id),
            Notice::SignupRemoved { signup_id } => self.removed(*signup_id),
            Notice::RunChanged { signup_id, changes } => self.changed(*signup_id, changes),
            Notice::SignupRequested { signup_id } => match self.signup_and_run(*signup_id)? {
                Some((signup, run)) => self.requests_wait(run.id, Some(signup.id), false),
                None => Ok(None),
            },
            Notice::RequestsWait { run_id, again } => self.requests_wait(*run_id, None, *again),
            Notice::RequestExpired { signup_id } => self.request_expired(*signup_id),
            Notice::WaitingEnded { signup_id } => self.waiting_ended(*signup_id),
            Notice::PlaceReleased { signup_id } => self.place_released(*signup_id),
            Notice::AskedToRunAsTwo { signup_id } => self.asked_to_run_as_two(*signup_id),
            Notice::AskedToLeadOne { run_id } => self.asked_to_lead_one(*run_id),
            Notice::RunPaused { signup_id } => self.paused(*signup_id),
            Notice::RunResumed { signup_id } => {
                self.waiting_or_in(*signup_id, RunStatus::Published, |run, had, link| Body::RunResumed {
                    run,
                    had,
                    not_today_link: link,
                })
            }
            Notice::RunCancelled { signup_id } => self.cancelled(*signup_id),
            Notice::BecameRegular { series_id } => self.became_regular(*series_id),
            Notice::RegularEnded { series_id } => self.regular_ended(*series_id),
            Notice::SeriesChanged { series_id, dates } => self.series_changed(*series_id, dates),
            Notice::SeriesEnded { series_id, signups } => self.series_ended(*series_id, signups),
            Notice::LeadRunCancelled { run_id } => self.lead_cancelled(*run_id),
            Notice::LeadRunPaused { run_id } => self.lead_paused(*run_id),
            Notice::LeadRunChanged { run_id, changes, by } => self.lead_changed(*run_id, changes, *by),
            Notice::Reminder { signup_id, moment, starts_at } => self.reminder(*signup_id, *moment, *starts_at),
            Notice::FacilitatorReminder { run_id, moment, starts_at } => {
                self.facilitator_reminder(*run_id, *moment, *starts_at)
            }
            Notice::Missed { signup_id } => self.missed(*signup_id),
            Notice::CheckedIn { signup_id } => self.checked_in(*signup_id),
            Notice::CheckInUndone { signup_id } => self.check_in_undone(*signup_id),
            Notice::NotSignedOut { run_id } => self.not_signed_out(*run_id),
            Notice::ParticipantWithdrew { signup_id, others } => self.withdrew(&all(*signup_id, others)),
            Notice::FacilitatorUnlisted { run_id, back_marker, accepted } => {
                self.unlisted(*run_id, *back_marker, *accepted)
            }
            Notice::CoFacilitatorInvited { run_id, .. } => self.invited_to_lead(*run_id),
            Notice::SeriesDateOverlaps { run_id } => self.series_date_overlaps(*run_id),
            Notice::SubstituteWanted { run_id } => self.substitute_wanted(*run_id),
            Notice::LeadersChanged { signup_id } => {
                self.waiting_or_in(*signup_id, RunStatus::Published, |run, had, link| Body::LeadersChanged {
                    run,
                    had,
                    not_today_link: link,
                })
            }
            Notice::CredentialLapses { run_id } => self.credential_lapses(*run_id),
            Notice::Announcement { announcement_id, signup_id } => self.announcement(*announcement_id, *signup_id),
            Notice::RunTouched { by: Touch::Report, .. } => Ok(None),
            Notice::RunTouched { run_id, by: Touch::Hold } => {
                let run = self.led_now(*run_id)?;
                run.map(|run| Ok(Body::RunTouched { run: self.facts(&run, true)? })).transpose()
            }
            Notice::Barred { bar_id, runs } => self.barred(*bar_id, runs),
            Notice::Decision { sanction_id, places_lost, runs_paused } => {
                self.decision(*sanction_id, *places_lost, *runs_paused)
            }
            Notice::DecisionLifted { sanction_id, overturned } => self.lifted(*sanction_id, *overturned),
            Notice::DecisionEnded { sanction_id } => self.decision_ended(*sanction_id),
            Notice::AppealReceived { appeal_id, others } => self.appeal_received(&all(*appeal_id, others)),
            Notice::AppealDecided { appeal_id } => self.appeal_decided(*appeal_id),
            Notice::DecisionOverturned { appeal_id } => self.decision_overturned(*appeal_id),
            Notice::ReportReceived { report_id, gathered } => self.report_received(*report_id, *gathered),
            Notice::ReportResolved { report_id } => self.report_resolved(*report_id),
            Notice::BothAreIn { block_id } => self.both_are_in(*block_id),
            Notice::BlockAsked { block_id, others } => self.block_asked(&all(*block_id, others)),
            Notice::BlockLookedAt { block_id } => self.block_looked_at(*block_id),
            Notice::AfterRun { signup_id } => self.after_run(*signup_id),
            Notice::CareAsked { wish_id, overdue } => self.care_asked(*wish_id, *overdue),
            Notice::CareLate { wish_id } => self.care_late(*wish_id),
            Notice::RunsFound { mail_id } => self.runs_found(*mail_id),
            Notice::MatchRequestEnds { request_id, expires_at } => self.match_request_ends(*request_id, *expires_at),
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

    /// A link that says yes to a run as it is, which is what the mail asks about.
    fn yes_link(
        &mut self,
        action: LinkAction,
        about: Id,
        run: &Run,
        question: Option<ComingQuestion>,
        with: Option<Id>,
    ) -> Result<String> {
        let asked = Some(Asked { question, terms: run.terms(with) });
        let link = links::ensure_for(self.tx, self.account.id, action, Some((about, None)), asked, self.now)?;
        Ok(links::url(&self.desk.house.base_url, &self.desk.keyring, &link))
    }

    fn still_coming(&mut self, signup: &Signup, run: &Run, question: ComingQuestion) -> Result<String> {
        self.yes_link(LinkAction::StillComing, signup.id, run, Some(question), None)
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
        let view = run_views::facts(self.tx, std::slice::from_ref(run), None, &self.desk.policy, self.now)?.card(run);
        let point = (inside || run.point_is_public).then_some((run.details.lat, run.details.lng));
        Ok(RunFacts {
            title: run.title.clone(),
            when: run_time_in_words(run.starts_at, &run.time_zone),
            day: run.starts_at.local(&run.time_zone).strftime("%A %-d %B").to_string(),
            zone: run.time_zone.clone(),
            where_name: if point.is_some() { run.details.place_name.clone() } else { view.meeting_area.name },
            getting_there: run.details.getting_there.clone().filter(|_| point.is_some()),
            map_url: point.map(|(lat, lng)| {
                format!("https://www.openstreetmap.org/?mlat={lat:.5}&mlon={lng:.5}#map=17/{lat:.5}/{lng:.5}")
            }),
            meeting_point_lat: point.map(|point| point.0),
            meeting_point_lng: point.map(|point| point.1),
            leaders: view
                .facilitators
                .into_iter()
                .filter(|leader| leader.role == ListingRole::Leader)
                .map(|leader| leader.display_name)
                .collect(),
            activity_words: run.activity.in_words().to_owned(),
            pace_min_per_km: run.pace().in_min_per_km(),
            pace_words: run.pace().in_words(run.activity).to_owned(),
            walking_is_fine: run.no_drop || run.activity != Activity::Run,
            no_drop: run.no_drop,
            distance_km: run.details.distance_km,
            duration_min: u32::try_from(run.duration_min).unwrap_or(0),
            after_dark: run.after_dark,
            day_contact: None,
            page_url: self.page(&format!("/v1/runs/{}", run.id)),
        })
    }
}

/// All rows that a gathered mail tells of, the newest first.
fn all(newest: Id, others: &[Id]) -> Vec<Id> {
    std::iter::once(newest).chain(others.iter().rev().copied()).collect()
}

/// The changes for whom the meeting point is hidden: that it is another, not which.
fn changes_seen_from_outside(changes: &[Change]) -> Vec<Change> {
    let (place, others): (Vec<Change>, Vec<Change>) = changes.iter().cloned().partition(|change| change.tells_place);
    let moved = place.first().map(|_| Change {
        what: "Where the group meets".to_owned(),
        before: "shown to those who have a place".to_owned(),
        after: "another spot, shown to those who have a place".to_owned(),
        tells_place: false,
    });
    others.into_iter().chain(moved).collect()
}
