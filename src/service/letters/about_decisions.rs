//! Letters about decisions: applications, sanctions, bars, appeals and reports.

use super::{Writer, Written};
use crate::{
    domain::{
        link::LinkAction,
        moderation::{AppealKind, ApplicationStatus, Category, Outcome, ReportStatus, SanctionKind, SanctionScope},
    },
    id::Id,
    mail::{self, Body, DecisionKind, Scope},
    service::{reports::is_concerned, runs::run_time_in_words},
    store::{Tx, accounts, facilitators, moderation, runs, signups},
};

/// Reports of one person that a mail counts at most.
const COUNTED_REPORTS: i64 = 200;

impl Writer<'_, '_> {
    pub(super) fn application_received(&mut self, application: Id) -> Written {
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

    pub(super) fn application_decided(&mut self, application: Id) -> Written {
        let Some(application) = facilitators::find(self.tx, application)? else { return Ok(None) };
        let approved = matches!(application.status, ApplicationStatus::Approved | ApplicationStatus::Renewed);
        let of_account = |conn: &mut Tx<'_>, status| facilitators::find_in(conn, application.account_id, status);
        let renewal = if approved {
            of_account(self.tx, ApplicationStatus::Renewed)?.is_some_and(|before| before.id < application.id)
        } else {
            of_account(self.tx, ApplicationStatus::Approved)?.is_some()
        };
        let appeal_link = if approved {
            None
        } else {
            Some(self.link(LinkAction::Appeal, Some((application.id, Some(AppealKind::Application))))?)
        };
        Ok(Some(Body::ApplicationDecided { approved, renewal, statement: application.reason, appeal_link }))
    }

    pub(super) fn barred(&mut self, bar: Id, lost: &[Id]) -> Written {
        let now = self.now;
        let found = moderation::find_bar(self.tx, bar)?;
        let Some(bar) = found.filter(|bar| bar.lifted_at.is_none() && bar.until > now) else { return Ok(None) };
        let facilitator = accounts::get(self.tx, bar.facilitator_id)?.display_name;
        let mut places_lost = Vec::new();
        for run in lost {
            let run = runs::get(self.tx, *run)?;
            places_lost.push(run_time_in_words(run.starts_at, &run.time_zone));
        }
        let reason = bar.sentence().to_owned();
        Ok(Some(Body::Barred {
            facilitator,
            until: self.day(bar.until),
            reason,
            statement: bar.statement,
            places_lost,
            appeal_link: Some(self.link(LinkAction::Appeal, Some((bar.id, Some(AppealKind::Bar))))?),
        }))
    }

    pub(super) fn decision(&mut self, sanction: Id, places_lost: u32, runs_paused: u32) -> Written {
        let now = self.now;
        let Some(sanction) = moderation::find_sanction(self.tx, sanction)? else { return Ok(None) };
        if sanction.kind != SanctionKind::Warning && !sanction.stands(now) {
            return Ok(None);
        }
        let is_withheld = sanction.is_withheld(now);
        let statement = Some(sanction.statement);
        Ok(Some(Body::Decision {
            what: kind(sanction.kind),
            scope: scope(sanction.scope),
            rule: sanction.rule,
            statement: statement.filter(|_| !is_withheld),
            until: sanction.expires_at.map(|end| self.day(end)),
            places_lost,
            runs_paused,
            appeal_link: Some(self.link(LinkAction::Appeal, Some((sanction.id, Some(AppealKind::Sanction))))?),
        }))
    }

    pub(super) fn lifted(&mut self, sanction: Id, overturned: bool) -> Written {
        let (now, sanction) = (self.now, moderation::find_sanction(self.tx, sanction)?);
        Ok(sanction.map(|sanction| Body::DecisionLifted {
            what: kind(sanction.kind),
            scope: scope(sanction.scope),
            overturned,
            facts: sanction.facts_after_end(now).map(str::to_owned),
            statement: sanction.lift_reason,
        }))
    }

    pub(super) fn decision_ended(&mut self, sanction: Id) -> Written {
        let now = self.now;
        let Some(sanction) = moderation::find_sanction(self.tx, sanction)? else { return Ok(None) };
        // What was lifted at the last moment has a mail of its own.
        if sanction.stands(now) || sanction.lifted_at.is_some() {
            return Ok(None);
        }
        let others = moderation::kept_out(self.tx, &[sanction.account_id], sanction.scope, now)?;
        Ok(Some(Body::DecisionEnded {
            what: kind(sanction.kind),
            scope: scope(sanction.scope),
            facts: sanction.facts_after_end(now).map(str::to_owned),
            others_stand: !others.is_empty(),
        }))
    }

    /// Of several, the one that is looked at first says what it is about.
    pub(super) fn report_received(&mut self, report: Id, gathered: bool) -> Written {
        let Some(newest) = moderation::find_report(self.tx, report)? else { return Ok(None) };
        let reports = match newest.reporter_id.filter(|_| gathered) {
            Some(reporter) => moderation::unassigned_reports_of(self.tx, reporter, COUNTED_REPORTS)?,
            None => vec![newest],
        };
        let mut waiting = Vec::new();
        for report in reports.into_iter().filter(|report| report.status == ReportStatus::Open) {
            if !is_concerned(self.tx, &report, self.account.id, self.now)? {
                waiting.push(report);
            }
        }
        let many = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let first = waiting.into_iter().min_by_key(|report| (report.urgency, report.id));
        Ok(first.map(|report| Body::ReportReceived {
            many,
            category: report.category.to_string().replace('_', " "),
            safeguarding: report.category == Category::Safeguarding,
            queue_url: Some(self.page("/v1/moderation/reports")),
        }))
    }

    pub(super) fn appeal_received(&mut self, appeals: &[Id]) -> Written {
        for appeal in appeals {
            let open = moderation::find_appeal(self.tx, *appeal)?.filter(|appeal| appeal.outcome.is_none());
            let Some(appeal) = open else { continue };
            return Ok(Some(Body::AppealReceived {
                about: appeal_in_words(appeal.about_kind).to_owned(),
                queue_url: Some(self.page("/v1/moderation/appeals")),
            }));
        }
        Ok(None)
    }

    pub(super) fn appeal_decided(&mut self, appeal: Id) -> Written {
        let Some(appeal) = moderation::find_appeal(self.tx, appeal)? else { return Ok(None) };
        let Some(outcome) = appeal.outcome else { return Ok(None) };
        let (mut undone, mut left) = (Vec::new(), Vec::new());
        for one in appeal.consequences.iter().flat_map(|all| &all.0) {
            let run = one.run_id.map(|run| runs::find(self.tx, run)).transpose()?.flatten();
            let told = mail::Outcome {
                when: run.as_ref().map(|run| run_time_in_words(run.starts_at, &run.time_zone)),
                run: run.map(|run| run.title),
                words: one.code.in_words().to_owned(),
            };
            if one.code.is_left() { left.push(told) } else { undone.push(told) }
        }
        Ok(Some(Body::AppealDecided {
            about: appeal_in_words(appeal.about_kind).to_owned(),
            overturned: outcome == Outcome::Overturn,
            second_person: appeal.decided_by != appeal.first_decided_by,
            statement: appeal.decision.unwrap_or_default(),
            undone,
            left,
        }))
    }

    /// To the facilitator: whom they put out may be among those who come.
    pub(super) fn decision_overturned(&mut self, appeal: Id) -> Written {
        let Some(appeal) = moderation::find_appeal(self.tx, appeal)? else { return Ok(None) };
        let run = match appeal.about_kind {
            AppealKind::SignupDecision => {
                let signup = signups::find(self.tx, appeal.about_id)?;
                signup.map(|signup| runs::get(self.tx, signup.run_id)).transpose()?
            }
            _ => None,
        };
        Ok(Some(Body::DecisionOverturned {
            name: accounts::get(self.tx, appeal.account_id)?.display_name,
            when: run.as_ref().map(|run| run_time_in_words(run.starts_at, &run.time_zone)),
            run: run.map(|run| run.title),
        }))
    }

    pub(super) fn report_resolved(&mut self, report: Id) -> Written {
        let report = moderation::find_report(self.tx, report)?;
        Ok(report.map(|report| Body::ReportResolved { reported_on: self.day(report.created_at) }))
    }
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
