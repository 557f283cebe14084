//! What a link's page says before anything is done: what will happen, and for whom.

use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        moderation::{AppealKind, ApplicationStatus},
        refusal::Code,
        run::{ListingStatus, RunStatus},
        signup::{RemovalReason, SignupStatus},
    },
    error::Result,
    http::pages::Confirm,
    id::Id,
    service::runs::run_time_in_words,
    store::{
        Conn,
        accounts::{self as account_store, Account},
        facilitators, moderation,
        runs::{self, Run},
        sessions::Link,
        signups,
    },
};

/// A page before the act.
pub(super) enum Before {
    Confirm(Confirm),
    Reset,
    Invite { display_name: String },
    Appeal { lines: Vec<String> },
}

/// What will happen and for whom.
pub(super) fn before(conn: &mut Conn, link: &Link, now: Instant) -> Result<Before> {
    let account = account_store::get(conn, link.account_id)?;
    let name = &account.display_name;
    let confirm = |title: &str, lines: Vec<String>, button: &str| {
        Before::Confirm(Confirm { title: title.to_owned(), lines, button: button.to_owned() })
    };
    Ok(match link.action {
        LinkAction::VerifyEmail => confirm(
            "Is this your address?",
            vec![
                format!("{name}, this confirms that {} is your address and opens your account.", account.email),
                "If you did not sign up, just close this page: nothing happens then.".to_owned(),
            ],
            "Yes, open my account",
        ),
        LinkAction::ResetPassword => Before::Reset,
        LinkAction::Invitation => Before::Invite { display_name: account.display_name },
        LinkAction::NotToday => {
            let signup = signups::find(conn, about(link)?)?.ok_or(Code::LinkInvalid)?;
            let run = ahead(conn, signup.run_id, now)?;
            let what = match signup.status {
                SignupStatus::Confirmed | SignupStatus::Offered => "gives up your place on",
                SignupStatus::Waitlisted => "takes you off the waiting list for",
                SignupStatus::Requested => "takes back your request for",
                _ => return Err(Code::SignupNotLive.into()),
            };
            let next = "You can sign up again while there is room; then you stand at the end of the line.";
            confirm(
                "Not today?",
                vec![format!("{name}, this {what} {}.", in_short(&run)), next.to_owned()],
                "Not today",
            )
        }
        LinkAction::CannotLead => {
            let run = ahead(conn, about(link)?, now)?;
            facilitators::find_listing(conn, run.id, account.id)?.ok_or(Code::LinkInvalid)?;
            let then =
                "If nobody else leads it, the run is paused and everybody on it is told; somebody else can take over.";
            let line = format!("{name}, this takes you off as a facilitator of {}.", in_short(&run));
            confirm("You cannot lead?", vec![line, then.to_owned()], "I cannot lead")
        }
        LinkAction::LeadTogether => {
            let run = ahead(conn, about(link)?, now)?;
            let line = match others_who_lead(conn, run.id, account.id)? {
                Some(others) => format!("{name}, you will lead {} together with {others}.", in_short(&run)),
                None => format!("{name}, you will lead {}.", in_short(&run)),
            };
            confirm(
                "Lead this run?",
                vec![line, "Everybody can then see that you lead it.".to_owned()],
                "Yes, I will lead",
            )
        }
        LinkAction::Appeal => {
            let mut lines = vec![format!("{name}, this is what was decided.")];
            lines.extend(decision(conn, &account, link.about_kind, about(link)?)?);
            Before::Appeal { lines }
        }
        LinkAction::NoReminders => confirm(
            "No more reminders?",
            vec![
                format!("{name}, we will no longer remind you before your runs."),
                "Mails about changes, cancellations and decisions still come.".to_owned(),
            ],
            "No more reminders",
        ),
    })
}

pub(super) fn about(link: &Link) -> Result<Id> {
    Ok(link.about_id.ok_or(Code::LinkInvalid)?)
}

/// The run, unless nothing can be changed about it any more.
pub(super) fn ahead(conn: &mut Conn, run: Id, now: Instant) -> Result<Run> {
    let run = runs::get(conn, run)?;
    match run.status {
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        RunStatus::Completed => Err(Code::RunOver.into()),
        _ if run.starts_at <= now => Err(Code::RunStarted.into()),
        _ => Ok(run),
    }
}

pub(super) fn in_short(run: &Run) -> String {
    format!("“{}”, {}", run.title, run_time_in_words(run.starts_at, &run.time_zone))
}

fn others_who_lead(conn: &mut Conn, run: Id, but: Id) -> Result<Option<String>> {
    let listings = facilitators::listings(conn, &[run])?.into_iter();
    let others: Vec<Id> = listings
        .filter(|listing| listing.status == ListingStatus::Accepted && listing.account_id != but)
        .map(|listing| listing.account_id)
        .collect();
    let names: Vec<String> = account_store::display_names(conn, &others)?.into_values().collect();
    Ok(Some(names.join(" and ")).filter(|names| !names.is_empty()))
}

/// What was decided about somebody, why, and until when.
fn decision(conn: &mut Conn, account: &Account, kind: Option<AppealKind>, id: Id) -> Result<Vec<String>> {
    let zone = account.time_zone.as_deref().unwrap_or("UTC");
    let until = |at: Instant| format!("Until {}.", at.local(zone).strftime("%A %-d %B %Y, %H:%M"));
    let mut lines = Vec::new();
    let (whose, statement) = match kind.ok_or(Code::LinkInvalid)? {
        AppealKind::Sanction => {
            let sanction = moderation::find_sanction(conn, id)?.ok_or(Code::LinkInvalid)?;
            lines.push(format!("Decision of the team: {}.", sanction.kind.in_words(sanction.scope)));
            lines.push(format!("Rule: {}", sanction.rule));
            lines.extend(sanction.expires_at.map(until));
            (sanction.account_id, Some(sanction.statement))
        }
        AppealKind::SignupDecision => {
            let signup = signups::find(conn, id)?.ok_or(Code::LinkInvalid)?;
            let run = runs::get(conn, signup.run_id)?;
            lines.push(format!("You are not on {} any more.", in_short(&run)));
            lines.extend(signup.reason_code.map(|reason| reason.sentence().to_owned()));
            (signup.account_id, signup.statement)
        }
        AppealKind::Bar => {
            let bar = moderation::find_bar(conn, id)?.ok_or(Code::LinkInvalid)?;
            let facilitator = account_store::display_names(conn, &[bar.facilitator_id])?.into_values().next();
            let facilitator = facilitator.unwrap_or_else(|| "This facilitator".to_owned());
            lines.push(format!("The runs of {facilitator} are closed to you. {}", until(bar.until)));
            lines.extend(bar.reason_code.parse().ok().map(|reason: RemovalReason| reason.sentence().to_owned()));
            (bar.account_id, bar.statement)
        }
        AppealKind::Application => {
            let application = facilitators::find(conn, id)?.ok_or(Code::LinkInvalid)?;
            let line = match application.status {
                ApplicationStatus::Revoked => "You can no longer lead runs.",
                _ => "Your application to lead runs was not approved.",
            };
            lines.push(line.to_owned());
            (application.account_id, application.reason)
        }
    };
    if whose != account.id {
        return Err(Code::LinkInvalid.into());
    }
    lines.extend(statement.filter(|words| !words.trim().is_empty()).map(|words| format!("Reason: {words}")));
    Ok(lines)
}
