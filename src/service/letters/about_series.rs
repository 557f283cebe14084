//! Letters about series: one mail about many dates.

use super::{Writer, Written, about_runs::had, changes_seen_from_outside};
use crate::{
    domain::{
        question::ComingQuestion,
        run::{ListingStatus, RunStatus},
        series::SeriesStatus,
        signup::SignupStatus,
    },
    error::Result,
    id::Id,
    mail::{Body, Change, DateChange, SeriesDate},
    service::runs::run_time_in_words,
    store::{
        facilitators,
        runs::Run,
        series::{self, Series},
        signups::{self, Signup},
    },
};

impl Writer<'_, '_> {
    fn series_page(&self, of: &Series) -> String {
        self.page(&format!("/v1/run-series/{}", of.id))
    }

    /// A date without what is asked of the reader.
    fn date(&self, run: &Run, signup: &Signup) -> SeriesDate {
        SeriesDate {
            when: run_time_in_words(run.starts_at, &run.time_zone),
            zone: run.time_zone.clone(),
            had: had(signup.status),
            changes: Vec::new(),
            far: false,
            answer_by: String::new(),
            fine_link: None,
            not_today_link: None,
        }
    }

    pub(super) fn became_regular(&mut self, of: Id) -> Written {
        let now = self.now;
        let Some(found) = series::find(self.tx, of)?.filter(|found| found.status == SeriesStatus::Active) else {
            return Ok(None);
        };
        if series::find_regular(self.tx, of, self.account.id)?.is_none() {
            return Ok(None);
        }
        let mut dates = Vec::new();
        let mut coming = series::runs_to_come(self.tx, of, now)?;
        coming.sort_by_key(|run| run.starts_at);
        for run in coming.iter().filter(|run| run.status == RunStatus::Published) {
            let mine = signups::of_person_in_run(self.tx, self.account.id, run.id)?;
            if let Some(signup) = mine.iter().find(|signup| signup.status.is_live()) {
                let date = SeriesDate { not_today_link: Some(self.not_today(signup)?), ..self.date(run, signup) };
                dates.push(date);
            }
        }
        Ok(Some(Body::BecameRegular {
            title: found.draft.title().to_owned(),
            dates,
            page_url: self.series_page(&found),
        }))
    }

    pub(super) fn regular_ended(&mut self, of: Id) -> Written {
        let Some(found) = series::find(self.tx, of)? else { return Ok(None) };
        if series::find_regular(self.tx, of, self.account.id)?.is_some() {
            return Ok(None);
        }
        Ok(Some(Body::RegularEnded { title: found.draft.title().to_owned(), page_url: self.series_page(&found) }))
    }

    pub(super) fn series_changed(&mut self, of: Id, changed: &[DateChange]) -> Written {
        let Some(found) = series::find(self.tx, of)? else { return Ok(None) };
        let mut dates: Vec<(crate::clock::Instant, SeriesDate)> = Vec::new();
        for change in changed {
            let Some((signup, run)) = self.signup_and_run(change.signup_id)? else { continue };
            let is_on = matches!(run.status, RunStatus::Published | RunStatus::Paused);
            if !signup.status.is_live() || !is_on || run.starts_at <= self.now {
                continue;
            }
            dates.push((run.starts_at, self.changed_date(&run, &signup, &change.changes)?));
        }
        dates.sort_by_key(|(start, _)| *start);
        if dates.is_empty() {
            return Ok(None);
        }
        Ok(Some(Body::SeriesChanged {
            title: found.draft.title().to_owned(),
            dates: dates.into_iter().map(|(_, date)| date).collect(),
            page_url: self.series_page(&found),
        }))
    }

    /// What changed on one date, and what the reader is asked, as in the mail about a single run.
    fn changed_date(&mut self, run: &Run, signup: &Signup, changes: &[Change]) -> Result<SeriesDate> {
        let date = self.date(run, signup);
        let far = signup.awaits_yes_to_a_change();
        let is_asked = far || signup.change_asked_at.is_some();
        let sees_point = run.point_is_public || SignupStatus::HOLDING.contains(&signup.status);
        let fine_link = if is_asked { Some(self.still_coming(signup, run, ComingQuestion::Change)?) } else { None };
        Ok(SeriesDate {
            changes: if sees_point { changes.to_vec() } else { changes_seen_from_outside(changes) },
            far,
            answer_by: signup.reconfirm_by.map(|by| run_time_in_words(by, &run.time_zone)).unwrap_or_default(),
            fine_link,
            not_today_link: Some(self.not_today(signup)?),
            ..date
        })
    }

    pub(super) fn series_ended(&mut self, of: Id, on: &[Id]) -> Written {
        let Some(found) = series::find(self.tx, of)? else { return Ok(None) };
        let (mut off, mut why) = (Vec::new(), None);
        for signup in on {
            let Some((signup, run)) = self.signup_and_run(*signup)? else { continue };
            let left =
                matches!(signup.status, SignupStatus::Withdrawn | SignupStatus::Removed | SignupStatus::Declined);
            off.extend(Some(run).filter(|_| !left));
        }
        if on.is_empty() {
            // Whoever was to lead along has no sign-ups there.
            for run in series::runs_to_come(self.tx, of, self.now)? {
                let listing = facilitators::find_listing(self.tx, run.id, self.account.id)?;
                let leads = listing.is_some_and(|listing| listing.status == ListingStatus::Accepted);
                off.extend(Some(run).filter(|_| leads));
            }
        }
        let mut dates = Vec::new();
        for run in off.into_iter().filter(|run| run.status == RunStatus::Cancelled) {
            why = Some((run.details.cancel_reason.map_or("", |reason| reason.sentence()), run.details.cancel_message));
            dates.push((run.starts_at, run_time_in_words(run.starts_at, &run.time_zone)));
        }
        if !on.is_empty() && dates.is_empty() {
            return Ok(None);
        }
        dates.sort();
        let (reason, message) = why.unwrap_or_default();
        Ok(Some(Body::SeriesEnded {
            title: found.draft.title().to_owned(),
            reason: reason.to_owned(),
            message,
            dates: dates.into_iter().map(|(_, when)| when).collect(),
        }))
    }
}
