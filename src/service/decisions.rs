//! What was decided about somebody, in words: what, why and until when (promise 11). The list of one's decisions, the page on
//! which one objects and who may object read it here.

use crate::{
    clock::Instant,
    domain::{
        moderation::{AppealKind, ApplicationStatus, SanctionKind},
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    service::runs::in_short,
    store::{
        Conn, accounts,
        facilitators::{self, Application},
        moderation::{self, Appeal, Bar, Sanction},
        runs::{self, Run},
        signups::{self, Signup},
    },
};

/// More applications than anybody files.
const APPLICATIONS: i64 = 1_000;

/// One decision about somebody.
#[derive(Debug, Clone)]
pub struct Decision {
    pub kind: AppealKind,
    pub id: Id,
    /// About whom.
    pub account: Id,
    /// Who decided; none for the operator and for somebody who has been erased.
    pub by: Option<Id>,
    /// In a few words, as the end of a sentence.
    pub what: String,
    pub why: Option<String>,
    pub until: Option<Instant>,
    pub at: Instant,
    pub stands: bool,
    /// Whether one can object.
    pub is_appealable: bool,
    /// The appeal by which it was overturned.
    pub overturned: Option<Appeal>,
}

impl Decision {
    /// Notes the appeal that overturned it. A no that was said again since stands on its own.
    fn is_undone_by(&mut self, appeal: Appeal) {
        let said_again =
            self.kind == AppealKind::Application && self.is_appealable && Some(self.at) > appeal.decided_at;
        if self.kind == AppealKind::Application && !said_again {
            (self.stands, self.is_appealable) = (false, false);
        }
        self.overturned = Some(appeal).filter(|_| !said_again);
    }
}

/// One decision.
///
/// # Errors
/// Not found when there is none.
pub fn find(conn: &mut Conn, kind: AppealKind, id: Id, now: Instant) -> Result<Decision> {
    match kind {
        AppealKind::Sanction => Ok(of_sanction(moderation::find_sanction(conn, id)?.ok_or(Error::NotFound)?, now)),
        AppealKind::SignupDecision => {
            let signup = signups::get(conn, id)?;
            let run = runs::get(conn, signup.run_id)?;
            Ok(of_signup(signup, &run))
        }
        AppealKind::Bar => {
            let bar = moderation::find_bar(conn, id)?.ok_or(Error::NotFound)?;
            let name = accounts::display_names(conn, &[bar.facilitator_id])?.remove(&bar.facilitator_id);
            Ok(of_bar(bar, name.as_deref(), now))
        }
        AppealKind::Application => Ok(of_application(facilitators::find(conn, id)?.ok_or(Error::NotFound)?)),
    }
}

/// All about one person, newest first.
pub fn about(conn: &mut Conn, account: Id, now: Instant) -> Result<Vec<Decision>> {
    let sanctions = moderation::sanctions_of(conn, account)?;
    let mut all: Vec<Decision> = sanctions.into_iter().map(|sanction| of_sanction(sanction, now)).collect();
    let bars = moderation::bars_against(conn, account, now)?;
    let names = accounts::display_names(conn, &bars.iter().map(|bar| bar.facilitator_id).collect::<Vec<_>>())?;
    all.extend(bars.into_iter().map(|bar| {
        let name = names.get(&bar.facilitator_id).map(String::as_str);
        of_bar(bar, name, now)
    }));
    let ended = signups::ended_for(conn, account)?;
    let runs = runs::of_ids(conn, &ended.iter().map(|signup| signup.run_id).collect::<Vec<_>>())?;
    all.extend(ended.into_iter().filter_map(|signup| {
        let run = runs.iter().find(|run| run.id == signup.run_id)?;
        Some(of_signup(signup, run))
    }));
    let applications = facilitators::list(conn, Some(account), None, None, APPLICATIONS)?.into_iter();
    let overturned = moderation::overturned_for(conn, account)?;
    let is_overturned = |id: Id| overturned.iter().any(|appeal| appeal.about_id == id);
    all.extend(applications.filter(|one| one.decided_at.is_some() || is_overturned(one.id)).map(of_application));
    for appeal in overturned {
        let listed =
            all.iter_mut().find(|decision| (decision.kind, decision.id) == (appeal.about_kind, appeal.about_id));
        match listed {
            Some(decision) => decision.is_undone_by(appeal),
            None => match find(conn, appeal.about_kind, appeal.about_id, now) {
                Ok(mut decision) => {
                    decision.is_undone_by(appeal);
                    all.push(decision);
                }
                Err(Error::NotFound) => {}
                Err(other) => return Err(other),
            },
        }
    }
    all.sort_by_key(|decision| std::cmp::Reverse((decision.at, decision.id)));
    Ok(all)
}

fn of_sanction(sanction: Sanction, now: Instant) -> Decision {
    let stands = sanction.stands(now);
    Decision {
        kind: AppealKind::Sanction,
        id: sanction.id,
        account: sanction.account_id,
        by: sanction.decided_by,
        what: sanction.kind.in_words(sanction.scope).to_owned(),
        why: Some(format!("{}: {}", sanction.rule, sanction.statement_for_person(now))),
        until: sanction.expires_at,
        at: sanction.created_at,
        stands,
        // A warning stays on the record, so it can be appealed after it has run out.
        is_appealable: stands || sanction.kind == SanctionKind::Warning,
        overturned: None,
    }
}

fn of_bar(bar: Bar, facilitator: Option<&str>, now: Instant) -> Decision {
    let stands = bar.lifted_at.is_none() && bar.until > now;
    Decision {
        kind: AppealKind::Bar,
        id: bar.id,
        account: bar.account_id,
        by: Some(bar.facilitator_id),
        what: format!("the runs of {} are closed to you", facilitator.unwrap_or("one facilitator")),
        why: in_one(bar.sentence(), bar.statement.as_deref()),
        until: Some(bar.until),
        at: bar.created_at,
        stands,
        is_appealable: stands,
        overturned: None,
    }
}

fn of_signup(signup: Signup, run: &Run) -> Decision {
    let what = match signup.status {
        _ if signup.overturned_at.is_some() => {
            format!("a facilitator's decision about your place on {}", in_short(run))
        }
        SignupStatus::Declined => format!("your request to join {} was not approved", in_short(run)),
        _ => format!("you are not on {} any more", in_short(run)),
    };
    let stands = signup.is_closed();
    Decision {
        kind: AppealKind::SignupDecision,
        id: signup.id,
        account: signup.account_id,
        by: signup.decided_by,
        what,
        why: in_one(signup.reason_code.map_or("", |reason| reason.sentence()), signup.statement.as_deref()),
        until: None,
        at: signup.updated_at,
        stands,
        is_appealable: stands,
        overturned: None,
    }
}

fn of_application(application: Application) -> Decision {
    let is_a_no = matches!(application.status, ApplicationStatus::Rejected | ApplicationStatus::Revoked);
    let what = match application.status {
        ApplicationStatus::Revoked => "you can no longer lead runs".to_owned(),
        ApplicationStatus::Rejected => "your application to lead runs was not approved".to_owned(),
        other => format!("your application to lead runs was {other}"),
    };
    Decision {
        kind: AppealKind::Application,
        id: application.id,
        account: application.account_id,
        by: application.decided_by,
        what,
        why: application.reason,
        until: None,
        at: application.decided_at.unwrap_or(application.created_at),
        stands: true,
        is_appealable: is_a_no,
        overturned: None,
    }
}

/// The ready-made sentence and what was added to it.
fn in_one(sentence: &str, statement: Option<&str>) -> Option<String> {
    let said: Vec<&str> = [Some(sentence), statement].into_iter().flatten().filter(|said| !said.is_empty()).collect();
    (!said.is_empty()).then(|| said.join(" "))
}
