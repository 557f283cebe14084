//! Letters after a run: how it was, and wishes to be contacted. Help lines are in each that goes to a person.

use super::{Writer, Written};
use crate::{
    domain::{
        after_run::{CareStatus, answer_until},
        link::LinkAction,
        run::RunStatus,
        signup::SignupStatus,
    },
    id::Id,
    mail::{Attendance, Body, Help},
    service::{care as service, runs::run_time_in_words},
    store::{after_runs, care, day, runs},
};

impl Writer<'_, '_> {
    pub(super) fn after_run(&mut self, signup: Id) -> Written {
        let now = self.now;
        let Some((signup, run)) = self.signup_and_run(signup)? else { return Ok(None) };
        let was_on = matches!(signup.status, SignupStatus::Confirmed | SignupStatus::Attended);
        let is_over = run.status == RunStatus::Completed && now < answer_until(run.ends_at);
        let said = after_runs::find(self.tx, run.id, self.account.id)?.is_some();
        if !was_on || !is_over || said || !self.account.reminders {
            return Ok(None);
        }
        let about = Some((signup.id, None));
        let hours = service::offered(self.tx, self.account.id, &self.desk.policy, now)?;
        let attendance = match signup.status {
            SignupStatus::Attended => Attendance::CheckedIn,
            _ if day::was_anybody_checked_in(self.tx, run.id)? => Attendance::NotCheckedIn,
            _ => Attendance::Unknown,
        };
        Ok(Some(Body::AfterRun {
            attendance,
            too_fast_link: self.link(LinkAction::PaceTooFast, about)?,
            right_link: self.link(LinkAction::PaceRight, about)?,
            too_slow_link: self.link(LinkAction::PaceTooSlow, about)?,
            unsafe_link: self.link(LinkAction::FeltUnsafe, about)?,
            contact_link: match hours {
                Some(_) => Some(self.link(LinkAction::ContactMe, about)?),
                None => None,
            },
            contact_within: hours.map(in_words).unwrap_or_default(),
            help: self.help(),
            run: self.facts(&run, true)?,
        }))
    }

    pub(super) fn care_asked(&mut self, wish: Id, overdue: bool) -> Written {
        let now = self.now;
        let Some(wish) = care::find(self.tx, wish)?.filter(|wish| wish.status == CareStatus::Open) else {
            return Ok(None);
        };
        if !service::is_seen_by(self.tx, &wish, self.account.id, now)? {
            return Ok(None);
        }
        let run = wish.run_id.map(|run| runs::find(self.tx, run)).transpose()?.flatten();
        let zone = self.account.time_zone.clone().or(run.map(|run| run.time_zone)).unwrap_or_else(|| "UTC".to_owned());
        Ok(Some(Body::CareAsked {
            answer_by: format!("{} ({zone})", run_time_in_words(wish.answer_by, &zone)),
            overdue,
            queue_url: Some(self.page("/v1/moderation/care")),
        }))
    }

    pub(super) fn care_late(&mut self, wish: Id) -> Written {
        let wish = care::find(self.tx, wish)?.filter(|wish| wish.status == CareStatus::Open);
        Ok(wish.map(|_| Body::CareLate { help: self.help() }))
    }

    fn help(&self) -> Vec<Help> {
        let line = |line: &crate::config::HelpLine| Help {
            name: line.name.clone(),
            phone: line.phone.clone(),
            url: line.url.clone(),
            hours: line.hours.clone(),
        };
        self.desk.help.iter().map(line).collect()
    }
}

/// "48 hours" as "2 days".
fn in_words(hours: i64) -> String {
    match (hours, hours % 24) {
        (1, _) => "an hour".to_owned(),
        (24, _) => "a day".to_owned(),
        (hours, 0) => format!("{} days", hours / 24),
        _ => format!("{hours} hours"),
    }
}
