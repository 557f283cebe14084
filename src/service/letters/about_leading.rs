//! Letters about who leads a run, and what those who lead it say.

use super::{Writer, Written};
use crate::{
    domain::{
        run::{ListingStatus, RunStatus},
        signup::SignupStatus,
    },
    id::Id,
    mail::{Body, OtherRun},
    service::{
        entry,
        runs::{calling, leading::take_over_deadline, run_time_in_words},
    },
    store::{accounts, announcements, facilitators, overlaps, runs},
};

impl Writer<'_, '_> {
    /// To somebody who could lead: only while the run still wants them and nothing stands between them and those on it.
    pub(super) fn substitute_wanted(&mut self, run: Id) -> Written {
        let now = self.now;
        let Some(run) = self.led(run, &[RunStatus::Paused, RunStatus::Published])? else { return Ok(None) };
        let me = self.account.id;
        let wanted = calling::wants_substitutes(self.tx, &run, &self.desk.policy, now)?
            && facilitators::in_good_standing(self.tx, &[me], now)?.contains(&me)
            && !facilitators::active_on(self.tx, run.id, now)?.contains(&me)
            && !entry::is_closed_to(self.tx, me, run.id, now)?;
        if !wanted {
            return Ok(None);
        }
        // Whoever is on it already knows where it meets.
        let listing = facilitators::find_listing(self.tx, run.id, me)?;
        let inside = listing.is_some_and(|listing| listing.status == ListingStatus::Accepted);
        Ok(Some(Body::SubstituteWanted {
            until: run_time_in_words(take_over_deadline(&run, &self.desk.policy), &run.time_zone),
            paused: run.status == RunStatus::Paused,
            run: self.facts(&run, inside)?,
        }))
    }

    /// While they still do not lead the date, and are elsewhere then.
    pub(super) fn series_date_overlaps(&mut self, run: Id) -> Written {
        let (me, now) = (self.account.id, self.now);
        let found = self.led(run, &[RunStatus::Published, RunStatus::Paused])?;
        let Some(run) = found.filter(|run| run.starts_at > now) else { return Ok(None) };
        if facilitators::find_listing(self.tx, run.id, me)?.is_some() {
            return Ok(None);
        }
        let mut meanwhile = overlaps::led_by(self.tx, &[me], run.starts_at, run.ends_at)?;
        meanwhile.extend(overlaps::places_of(self.tx, &[me], run.starts_at, run.ends_at)?);
        let mut elsewhere = Vec::new();
        for other in meanwhile {
            let other = runs::get(self.tx, other.run)?;
            elsewhere.push(OtherRun {
                title: other.title.clone(),
                when: run_time_in_words(other.starts_at, &other.time_zone),
                where_name: other.details.place_name.clone(),
                page_url: self.page(&format!("/v1/runs/{}", other.id)),
            });
        }
        let paused = run.status == RunStatus::Paused;
        Ok(Some(Body::SeriesDateOverlaps { run: self.facts(&run, true)?, elsewhere, paused }))
    }

    pub(super) fn credential_lapses(&mut self, run: Id) -> Written {
        let now = self.now;
        let Some(run) = self.led_now(run)?.filter(|run| run.starts_at > now) else { return Ok(None) };
        if facilitators::lapsed_at(self.tx, &[self.account.id], run.starts_at)?.is_empty() {
            return Ok(None);
        }
        let until = facilitators::credentials_count_until(self.tx, self.account.id)?;
        let Some(until) = until.and_then(|day| day.parse::<jiff::civil::Date>().ok()) else { return Ok(None) };
        let pause = run.starts_at.plus_days(-self.desk.policy.credential_pause_days).max(now);
        Ok(Some(Body::CredentialLapses {
            until: until.strftime("%A %-d %B %Y").to_string(),
            pause_on: pause.local(&run.time_zone).strftime("%A %-d %B %Y").to_string(),
            run: self.facts(&run, true)?,
        }))
    }

    /// What a facilitator said, to whoever it still speaks to.
    pub(super) fn announcement(&mut self, announcement: Id, signup: Id) -> Written {
        let now = self.now;
        let Some(said) = announcements::find(self.tx, announcement)? else { return Ok(None) };
        let Some((signup, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        let goes_on = matches!(run.status, RunStatus::Published | RunStatus::Paused) && run.ends_at > now;
        if !goes_on || !said.audience.holds(signup.status) {
            return Ok(None);
        }
        let from = match said.author_id {
            Some(author) => accounts::find(self.tx, author)?.map(|author| author.display_name),
            None => None,
        };
        let inside = SignupStatus::HOLDING.contains(&signup.status);
        Ok(Some(Body::Announcement {
            from: from.unwrap_or_else(|| "A facilitator".to_owned()),
            words: said.words,
            announcement_id: said.id.to_string(),
            report_url: self.page("/docs/#/Safety/file_report"),
            waiting: !inside,
            not_today_link: self.not_today(&signup)?,
            run: self.facts(&run, inside)?,
        }))
    }
}
