//! What a link's page says before anything is done: what will happen, and for whom.

use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        moderation::AppealKind,
        question::ComingQuestion,
        refusal::Code,
        run::{ListingRole, ListingStatus, RunStatus},
        signup::{RemovalReason, SignupStatus},
    },
    error::{Error, Result},
    http::pages::Confirm,
    id::Id,
    service::{
        after_run, decisions, match_requests, one_to_one,
        runs::{in_short, run_time_in_words},
    },
    store::{
        Conn,
        accounts::{self as account_store, Account},
        facilitators,
        runs::{self, Run},
        sessions::Link,
        signups,
    },
};

/// A page before the act.
pub(super) enum Before {
    Confirm(Confirm),
    Reset { display_name: String },
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
        LinkAction::ResetPassword => Before::Reset { display_name: account.display_name },
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
        LinkAction::TakePlace => {
            let (signup, run) = own(conn, link, now)?;
            if !matches!(signup.status, SignupStatus::Offered | SignupStatus::Waitlisted | SignupStatus::Confirmed) {
                return Err(Code::SignupNotLive.into());
            }
            let line = format!("{name}, would you like this place on {}?", seen(&run, &signup));
            let then = "Press yes and it is yours, unless somebody was faster.";
            confirm("Take the place?", vec![line, then.to_owned()], "Yes, I'll be there")
        }
        LinkAction::LetPlaceGo => {
            let (_, run) = own(conn, link, now)?;
            let line = format!("{name}, this lets the place on {} go to somebody else.", in_short(&run));
            confirm("Not this time?", vec![line, "You stay in the line.".to_owned()], "Not this time")
        }
        LinkAction::StillComing => {
            let (signup, run) = own(conn, link, now)?;
            still_coming(conn, link, name, &signup, &run, now)?
        }
        LinkAction::WasThere => {
            let signup = signups::find(conn, about(link)?)?.ok_or(Code::LinkInvalid)?;
            if !matches!(signup.status, SignupStatus::NoShow | SignupStatus::Attended) {
                return Err(Code::SignupNotLive.into());
            }
            let run = runs::get(conn, signup.run_id)?;
            let line = format!("{name}, this says that you were at {}.", in_short(&run));
            confirm("You were there?", vec![line, "Your word stands.".to_owned()], "Yes, I was there")
        }
        LinkAction::ApproveRequest | LinkAction::DeclineRequest => {
            let signup = signups::find(conn, about(link)?)?.ok_or(Code::LinkInvalid)?;
            let run = ahead(conn, signup.run_id, now)?;
            if !facilitators::active_on(conn, run.id, now)?.contains(&account.id) {
                return Err(Code::LinkInvalid.into());
            }
            let who = account_store::get(conn, signup.account_id)?.display_name;
            if link.action == LinkAction::ApproveRequest {
                let line = format!("{name}, this says yes to {who} for {}.", in_short(&run));
                confirm("Say yes?", vec![line], "Yes, welcome")
            } else {
                let line = format!("{name}, this says no to {who} for {}. It is final for this run.", in_short(&run));
                let told = format!("They read: “{}”", RemovalReason::GroupSize.sentence());
                confirm("Say no?", vec![line, told], "Not this time")
            }
        }
        LinkAction::RunAsTwo => {
            let run = ahead(conn, about(link)?, now)?;
            facilitators::find_listing(conn, run.id, account.id)?.ok_or(Code::LinkInvalid)?;
            as_two(conn, link, name, &run, now)?
        }
        LinkAction::CannotLead => {
            let run = ahead(conn, about(link)?, now)?;
            let listing = facilitators::find_listing(conn, run.id, account.id)?.ok_or(Code::LinkInvalid)?;
            if listing.role == ListingRole::BackMarker {
                let line = format!("{name}, this says that you do not stay with the last of {}.", in_short(&run));
                return Ok(confirm("You cannot come?", vec![line], "I cannot come"));
            }
            let then =
                "If nobody else leads it, the run is paused and everybody on it is told; somebody else can take over.";
            let line = format!("{name}, this takes you off as a facilitator of {}.", in_short(&run));
            confirm("You cannot lead?", vec![line, then.to_owned()], "I cannot lead")
        }
        LinkAction::LeadTogether => {
            let run = ahead(conn, about(link)?, now)?;
            let listing = facilitators::find_listing(conn, run.id, account.id)?.ok_or(Code::LinkInvalid)?;
            let others = others_who_lead(conn, run.id, account.id)?;
            let with = others.map(|others| format!(" together with {others}")).unwrap_or_default();
            if listing.role == ListingRole::BackMarker {
                let line = format!("{name}, you will be the back marker of {}{with}.", in_short(&run));
                let then = "You stay with whoever is last. Everybody can then see that you go along.";
                return Ok(confirm("Be the back marker?", vec![line, then.to_owned()], "Yes, I'll be the back marker"));
            }
            let line = format!("{name}, you will lead {}{with}.", in_short(&run));
            confirm(
                "Lead this run?",
                vec![line, "Everybody can then see that you lead it.".to_owned()],
                "Yes, I will lead",
            )
        }
        LinkAction::PaceTooFast
        | LinkAction::PaceRight
        | LinkAction::PaceTooSlow
        | LinkAction::FeltUnsafe
        | LinkAction::ContactMe => {
            let signup = signups::find(conn, about(link)?)?.ok_or(Code::LinkInvalid)?;
            let run = after_run::own_run(conn, account.id, signup.run_id)?;
            after_run::can_be_answered(&run, now)?;
            let (title, what, then, button) = after(link.action);
            confirm(title, vec![format!("{name}, this {what} {}.", in_short(&run)), then.to_owned()], button)
        }
        LinkAction::Appeal => {
            let mut lines = vec![format!("{name}, this is what was decided.")];
            lines.extend(decided(conn, &account, link.about_kind, about(link)?, now)?);
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
        LinkAction::NoAlerts => confirm(
            "No more of these mails?",
            vec![
                format!("{name}, we will no longer write when something suits you."),
                "Mails about runs on which you have a place still come.".to_owned(),
            ],
            "No more of these mails",
        ),
        LinkAction::StopLooking => {
            let line = match match_requests::find_own(conn, account.id, about(link)?)? {
                Some(request) => format!("{name}, you asked for this: {}.", request.wish.in_words()),
                None => format!("{name}, we have stopped looking for this already."),
            };
            confirm("Stop looking?", vec![line, "You can ask again at any time.".to_owned()], "Stop looking for this")
        }
        LinkAction::KeepLooking => {
            let request = match_requests::find_own(conn, account.id, about(link)?)?.ok_or(Code::LinkInvalid)?;
            let line = format!("{name}, you asked for this: {}.", request.wish.in_words());
            confirm("Go on looking?", vec![line], "Yes, go on looking")
        }
    })
}

/// The run as it stands in a question: title, date, time, and the meeting point where this person may see it.
fn seen(run: &Run, signup: &signups::Signup) -> String {
    if run.point_is_public || SignupStatus::HOLDING.contains(&signup.status) { in_full(run) } else { in_short(run) }
}

fn in_full(run: &Run) -> String {
    format!("{}, at {}", in_short(run), run.details.place_name)
}

/// What a yes of a participant is a yes to.
fn still_coming(
    conn: &mut Conn,
    link: &Link,
    name: &str,
    signup: &signups::Signup,
    run: &Run,
    now: Instant,
) -> Result<Before> {
    let question = link.question.ok_or(Code::LinkOutdated)?;
    let can_answer = match question {
        ComingQuestion::AsTwo | ComingQuestion::DayBefore => signup.status == SignupStatus::Confirmed,
        ComingQuestion::Change => signup.status.is_live() && signup.status != SignupStatus::Attended,
    };
    if !can_answer {
        return Err(Code::SignupNotLive.into());
    }
    let run_in_words = seen(run, signup);
    let line = match (question, signup.status) {
        (ComingQuestion::AsTwo, _) => return as_two(conn, link, name, run, now),
        (ComingQuestion::DayBefore, _) => format!("{name}, this says that you will be there: {run_in_words}."),
        (_, SignupStatus::Confirmed) => format!("{name}, this says that you still come, as it is now: {run_in_words}."),
        (_, SignupStatus::Requested) => {
            format!("{name}, this says that you still ask for a place, as it is now: {run_in_words}.")
        }
        _ => format!("{name}, this says that you would still like a place, as it is now: {run_in_words}."),
    };
    let button =
        if signup.status == SignupStatus::Confirmed { "Yes, I'll be there" } else { "Yes, I'm still interested" };
    let lines = vec![line, "If it is moved far again, we ask you again.".to_owned()];
    Ok(Before::Confirm(Confirm { title: "You still come?".to_owned(), lines, button: button.to_owned() }))
}

/// What a yes to running as two is a yes to: with whom, when and where.
fn as_two(conn: &mut Conn, link: &Link, name: &str, run: &Run, now: Instant) -> Result<Before> {
    let partner = one_to_one::partner_of(conn, run, link.account_id, now)?.ok_or(Code::NotAsked)?;
    if link.for_account_id != Some(partner) {
        return Err(Code::LinkOutdated.into());
    }
    let with = account_store::get(conn, partner)?.display_name;
    let what = format!("{name}, this says yes to going as two with {with}: {}.", in_full(run));
    let lines = vec![what, format!("Nobody else has a place. It goes ahead only if {with} says yes as well.")];
    let title = format!("As two with {with}?");
    Ok(Before::Confirm(Confirm { title, lines, button: format!("Yes, as two with {with}") }))
}

/// Title, what it does to the run that follows, what comes of it, and the button.
fn after(action: LinkAction) -> (&'static str, &'static str, &'static str, &'static str) {
    let alone = "Only you see this answer. It can be changed for two weeks.";
    match action {
        LinkAction::PaceTooFast => {
            ("Too fast?", "says that the pace was too fast for you on", alone, "Too fast for me")
        }
        LinkAction::PaceRight => ("Just right?", "says that the pace was right for you on", alone, "Just right"),
        LinkAction::PaceTooSlow => {
            ("Too slow?", "says that the pace was too slow for you on", alone, "Too slow for me")
        }
        LinkAction::FeltUnsafe => (
            "You did not feel safe?",
            "tells the team, and nobody else, that you did not feel safe on",
            "They look into it. In danger, call your emergency number.",
            "Tell the team",
        ),
        _ => (
            "Shall somebody get in touch?",
            "asks the team to contact you after",
            "We then say by when. In danger, call your emergency number.",
            "Please contact me",
        ),
    }
}

/// The sign-up that a link is about, with its run.
fn own(conn: &mut Conn, link: &Link, now: Instant) -> Result<(signups::Signup, Run)> {
    let signup = signups::find(conn, about(link)?)?.ok_or(Code::LinkInvalid)?;
    let run = ahead(conn, signup.run_id, now)?;
    Ok((signup, run))
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
fn decided(conn: &mut Conn, account: &Account, kind: Option<AppealKind>, id: Id, now: Instant) -> Result<Vec<String>> {
    let decision = match decisions::find(conn, kind.ok_or(Code::LinkInvalid)?, id, now) {
        Ok(decision) if decision.account == account.id => decision,
        Ok(_) | Err(Error::NotFound) => return Err(Code::LinkInvalid.into()),
        Err(other) => return Err(other),
    };
    let until = decision.until.map(|at| run_time_in_words(at, account.time_zone.as_deref().unwrap_or("UTC")));
    let mut lines = vec![format!("Decided: {}.", decision.what)];
    lines.extend(until.map(|until| format!("Until {until}.")));
    lines.extend(decision.why.map(|why| format!("Why: {why}")));
    Ok(lines)
}
