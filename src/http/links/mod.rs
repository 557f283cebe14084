//! The pages behind the links in mails: `/e/{action}/{token}`, without log-in and without JavaScript.
//!
//! GET says what will happen and for whom, and changes nothing: mail programs open links by themselves. POST does it.
//! An unknown, used or expired token looks the same; nobody learns which.

mod before;

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
    web,
};

use before::{Before, about, before};

use super::{
    AppData, Problem,
    accounts::{self, AcceptInvitation, NewPassword},
    body,
    extract::ClientIp,
    pages::{Appeal, Done, Invite, Reset},
    schemas,
};
use crate::{
    clock::Instant,
    domain::{
        link::LinkAction,
        match_request::AlertChoice,
        question::ComingQuestion,
        refusal::{Code, Fault, Faults, Refusal},
        run::ListingRole,
        signup::SignupStatus,
        text,
    },
    error::{Error, Result},
    id::Id,
    service::{
        accounts as account_service, after_run, appeals, callers, day, links, match_requests, one_to_one,
        runs::{leading, run_time_in_words},
        signups::{
            self, Instead,
            decisions::{self, Removal},
            reconfirming::Answer,
        },
    },
    store,
};

/// The longest objection, as in the form.
const STATEMENT_MAX_CHARS: usize = 4000;

/// Nothing from elsewhere, in no frame, and the secret address is told to nobody.
const HEADERS: [(&str, &str); 5] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Robots-Tag", "noindex"),
];

/// Says what will happen.
pub async fn show(app: AppData, request: HttpRequest) -> HttpResponse {
    let Some(action) = action(&request) else { return gone(&app, StatusCode::NOT_FOUND) };
    match shown(&app, action, &request, &Form::default(), Vec::new()).await {
        Ok(html) => page(StatusCode::OK, html),
        Err(error) => refused(&app, error),
    }
}

/// Does it.
pub async fn act(app: AppData, ip: ClientIp, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(action) = action(&request) else { return gone(&app, StatusCode::NOT_FOUND) };
    let form = match body::read(&request, payload, body::LIMIT).await {
        Ok(bytes) => Form::read(&bytes),
        Err(error @ Error::Unreadable(..)) => {
            let words = "What was sent is too long, came too slowly or was cut off.";
            return told(&app, Problem::from(error).status_code(), "This could not be read", words);
        }
        Err(error) => return refused(&app, error),
    };
    let done = match link_id(&app, &request) {
        Ok(link) => perform(&app, ip, action, link, &form).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(done) => match app.pages.done(&done) {
            Ok(html) => page(StatusCode::OK, html),
            Err(fault) => refused(&app, template(fault)),
        },
        Err(Error::Invalid(faults)) => {
            let errors = faults.iter().map(in_words).collect();
            match shown(&app, action, &request, &form, errors).await {
                Ok(html) => page(StatusCode::UNPROCESSABLE_ENTITY, html),
                Err(error) => refused(&app, error),
            }
        }
        Err(error) => refused(&app, error),
    }
}

fn action(request: &HttpRequest) -> Option<LinkAction> {
    request.match_info().query("action").parse().ok()
}

fn link_id(app: &AppData, request: &HttpRequest) -> Result<Id> {
    Ok(app.keyring.read_link_token(request.match_info().query("token")).ok_or(Code::LinkInvalid)?)
}

/// Fields of a form that are looked at; ours have at most five.
const FORM_MAX_FIELDS: usize = 100;

/// The fields of a posted form.
#[derive(Debug, Default)]
struct Form(BTreeMap<String, String>);

impl Form {
    /// What cannot be read is empty: an unsubscribing mail program may send any form.
    fn read(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().take(FORM_MAX_FIELDS).collect())
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).map(|text| text.replace("\r\n", "\n")).unwrap_or_default()
    }
}

/// A fault as a sentence with the label of its field.
fn in_words(fault: &Fault) -> String {
    let label = match fault.pointer.as_str() {
        "/password" => "Password: ",
        "/display_name" => "Name: ",
        "/adult" => "Age: ",
        "/terms_version" => "Terms: ",
        "/statement" => "What should be seen differently: ",
        _ => "",
    };
    format!("{label}{}", fault.detail)
}

async fn shown(
    app: &AppData,
    action: LinkAction,
    request: &HttpRequest,
    form: &Form,
    errors: Vec<String>,
) -> Result<String> {
    let (link, now) = (link_id(app, request)?, app.clock.now());
    let before = app.db.read(move |conn| {
        let link = links::find_working(conn, link, action, now)?;
        before(conn, &link, now)
    });
    let html = match before.await? {
        Before::Confirm(page) => app.pages.confirm(&page),
        Before::Reset { display_name } => app.pages.reset(&Reset { display_name, errors }),
        Before::Invite { display_name } => app.pages.invite(&Invite {
            display_name: form.0.get("display_name").cloned().unwrap_or(display_name),
            terms_version: app.config.policy.terms_version.clone(),
            terms_url: format!("{}/v1/help", app.config.base_url),
            errors,
        }),
        Before::Appeal { lines } => app.pages.appeal(&Appeal { lines, statement: form.text("statement"), errors }),
    };
    html.map_err(template)
}

fn template(fault: minijinja::Error) -> Error {
    Error::Internal(anyhow::Error::new(fault).context("page template"))
}

async fn perform(app: &AppData, ip: ClientIp, action: LinkAction, link: Id, form: &Form) -> Result<Done> {
    let now = app.clock.now();
    let done = |title: &str, line: &str| Done { title: title.to_owned(), lines: vec![line.to_owned()] };
    let done = match action {
        LinkAction::VerifyEmail => {
            app.db.write(move |tx| account_service::verify_email(tx, link, now)).await?;
            done("Your account is open", "Thank you. You can log in now.")
        }
        LinkAction::ResetPassword => {
            let fields = serde_json::json!({ "token": "", "password": form.text("password") });
            let checked: NewPassword = schemas::read(fields)?.map_err(|rejected| Error::Invalid(rejected.faults))?;
            accounts::reset(app, ip, link, checked.password).await?;
            done("Your new password is set", "You can log in with it now. We have sent you a mail about it.")
        }
        LinkAction::Invitation => {
            accounts::accept(app, ip, link, acceptance(form)?).await?;
            done("Your account is open", "Welcome. You can log in now.")
        }
        LinkAction::NotToday
        | LinkAction::TakePlace
        | LinkAction::LetPlaceGo
        | LinkAction::StillComing
        | LinkAction::WasThere
        | LinkAction::ApproveRequest
        | LinkAction::DeclineRequest
        | LinkAction::RunAsTwo
        | LinkAction::CannotLead
        | LinkAction::LeadTogether => {
            let told = about_a_run(app, action, link).await?;
            let by_act = || match action {
                LinkAction::NotToday => done("Done", "You are not on this run any more. See you another time."),
                LinkAction::TakePlace => done("The place is yours", "Thank you. We look forward to seeing you."),
                LinkAction::LetPlaceGo => done("Done", "Somebody else can have the place. You are still in the line."),
                LinkAction::WasThere => done("Thank you", "It is corrected: you were there. Sorry for the question."),
                LinkAction::ApproveRequest => done("Done", "They have been told that they are welcome."),
                LinkAction::DeclineRequest => done("Done", "They have been told kindly."),
                LinkAction::RunAsTwo => done("Thank you", AS_TWO),
                _ => done("Done", "You are off this run now. Thank you for saying so."),
            };
            told.unwrap_or_else(by_act)
        }
        LinkAction::PaceTooFast
        | LinkAction::PaceRight
        | LinkAction::PaceTooSlow
        | LinkAction::FeltUnsafe
        | LinkAction::ContactMe => said_after_a_run(app, action, link).await?,
        LinkAction::Appeal => {
            let statement = statement(form)?;
            app.db
                .write(move |tx| {
                    let link = links::find_working(tx, link, action, now)?;
                    let kind = link.about_kind.ok_or(Code::LinkInvalid)?;
                    appeals::file(tx, link.account_id, kind, about(&link)?, &statement, now)?;
                    links::use_up(tx, &link, now)
                })
                .await?;
            done("Your objection has been sent", "You will get the answer by mail.")
        }
        LinkAction::NoReminders => {
            app.db.write(move |tx| account_service::unsubscribe(tx, link, now)).await?;
            done("No more reminders", "You can ask for them again at any time, logged in.")
        }
        LinkAction::NoAlerts | LinkAction::StopLooking | LinkAction::KeepLooking => {
            about_wishes(app, action, link).await?;
            match action {
                LinkAction::NoAlerts => done("No more of these mails", "You can ask for them again, logged in."),
                LinkAction::StopLooking => done("Done", "We have stopped looking for this."),
                _ => done("Thank you", "We go on looking for you."),
            }
        }
    };
    app.mail_waits.notify_one();
    Ok(done)
}

/// After a yes to running with one other person.
const AS_TWO: &str = "It goes ahead once the other person has said yes as well.";

/// Does what a link about a run does; gives the page after it, where that depends on more than the act.
async fn about_a_run(app: &AppData, action: LinkAction, link: Id) -> Result<Option<Done>> {
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    app.db
        .write(move |tx| {
            let link = links::find_working(tx, link, action, now)?;
            let (person, about) = (link.account_id, about(&link)?);
            callers::ensure_active(tx, person, now)?;
            let mut told = None;
            match action {
                LinkAction::NotToday => signups::withdraw(tx, person, about, &policy, now).map(drop),
                LinkAction::TakePlace => {
                    signups::offers::accept(tx, person, about, Instead::default(), &policy, now).map(drop)
                }
                LinkAction::LetPlaceGo => signups::offers::decline_offer(tx, person, about, &policy, now).map(drop),
                LinkAction::WasThere => day::attendance::was_there(tx, person, about, &policy, now).map(drop),
                LinkAction::StillComing => {
                    let answer = Answer { question: None, link: Some(link.clone()) };
                    let signup = signups::reconfirming::reconfirm(tx, person, about, &answer, &policy, now)?;
                    told = Some(still_coming(link.question, signup.status));
                    Ok(())
                }
                LinkAction::ApproveRequest => {
                    let (found, proof) = decisions::led_by(tx, person, about, now)?;
                    decisions::approve_by_link(tx, &found, &proof, &policy, now).map(drop)
                }
                LinkAction::DeclineRequest => {
                    let (found, proof) = decisions::led_by(tx, person, about, now)?;
                    decisions::decline(tx, &found, &proof, &Removal::kindly(), now).map(drop)
                }
                LinkAction::RunAsTwo => one_to_one::say_yes(tx, person, about, Some(&link), now),
                LinkAction::CannotLead => leading::step_down(tx, person, about, &policy, now),
                _ => {
                    let listing = leading::accept_listing(tx, person, about, false, &policy, now)?;
                    told = Some(accepted(listing.role));
                    Ok(())
                }
            }?;
            links::done_with(tx, &link, now)?;
            Ok(told)
        })
        .await
}

/// After a yes to one of the questions about coming.
fn still_coming(question: Option<ComingQuestion>, status: SignupStatus) -> Done {
    let line = match (question, status) {
        (Some(ComingQuestion::AsTwo), _) => AS_TWO,
        (_, SignupStatus::Requested) => "Your request stands. You will hear by mail whether you have a place.",
        (_, SignupStatus::Waitlisted) => "You stay on the waiting list. You will hear by mail when there is a place.",
        (_, SignupStatus::Offered) => "The place is held for you. Please also say yes to it, by the link in the mail.",
        _ => "You keep your place. See you there.",
    };
    Done { title: "Thank you".to_owned(), lines: vec![line.to_owned()] }
}

fn accepted(role: ListingRole) -> Done {
    let title = match role {
        ListingRole::Leader => "You lead this run",
        ListingRole::BackMarker => "You are the back marker of this run",
    };
    let line = "Thank you. We will remind you before the start.";
    Done { title: title.to_owned(), lines: vec![line.to_owned()] }
}

/// Not used up: whoever taps twice reads twice that it is done, and later mails carry the same link.
async fn about_wishes(app: &AppData, action: LinkAction, link: Id) -> Result<()> {
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    app.db
        .write(move |tx| {
            let link = links::find_working(tx, link, action, now)?;
            let person = link.account_id;
            match action {
                LinkAction::NoAlerts => match_requests::choose(tx, person, AlertChoice::None),
                LinkAction::KeepLooking => {
                    callers::ensure_active(tx, person, now)?;
                    match_requests::keep(tx, person, about(&link)?, &policy, now).map(drop)
                }
                _ => match match_requests::find_own(tx, person, about(&link)?)? {
                    Some(request) => match_requests::take_back(tx, person, request.id),
                    None => Ok(()),
                },
            }
        })
        .await
}

/// Not used up either: answers may be changed.
async fn said_after_a_run(app: &AppData, action: LinkAction, link: Id) -> Result<Done> {
    let (now, policy) = (app.clock.now(), app.config.policy.clone());
    let answers = after_run::of_link(action).ok_or(Code::LinkInvalid)?;
    let said = app.db.write(move |tx| {
        let link = links::find_working(tx, link, action, now)?;
        let signup = store::signups::get(tx, about(&link)?)?;
        let run = store::runs::get(tx, signup.run_id)?;
        let said = after_run::say(tx, link.account_id, run.id, &answers, &policy, now)?;
        Ok((said, run))
    });
    let (said, run) = said.await?;
    let mut lines = match action {
        LinkAction::FeltUnsafe => vec!["The team has been told and looks into it.".to_owned()],
        LinkAction::ContactMe => said.wish.iter().map(|wish| contact_line(wish.answer_by, &run)).collect(),
        _ => vec!["We have noted it.".to_owned()],
    };
    let suggested = said.suggested.filter(|_| answers_pace(action));
    let bands = suggested.map(|found| [found.comfortable_pace, found.walking_pace]);
    for band in bands.into_iter().flatten().flatten() {
        lines.push(format!(
            "From what you have said so far, {} may suit you. You can set it in your running profile.",
            band.in_min_per_km()
        ));
    }
    Ok(Done { title: "Thank you".to_owned(), lines })
}

fn answers_pace(action: LinkAction) -> bool {
    matches!(action, LinkAction::PaceTooFast | LinkAction::PaceRight | LinkAction::PaceTooSlow)
}

fn contact_line(by: Instant, run: &store::runs::Run) -> String {
    format!("Somebody of the team gets in touch by {} ({}).", run_time_in_words(by, &run.time_zone), run.time_zone)
}

/// What an invited person posted, checked like the body of the endpoint. What is not ticked is told as that.
fn acceptance(form: &Form) -> Result<AcceptInvitation> {
    let fields = serde_json::json!({
        "token": "",
        "password": form.text("password"),
        "display_name": form.text("display_name"),
        "adult": form.text("adult") == "true",
        "terms_version": form.text("terms_version"),
    });
    schemas::read(fields)?.map_err(|rejected| Error::Invalid(rejected.faults))
}

fn statement(form: &Form) -> Result<String> {
    let statement = form.text("statement");
    let mut faults = Faults::default();
    faults.unless(text::has_visible(&statement), "/statement", "empty", "say it in your own words");
    let fits = statement.chars().count() <= STATEMENT_MAX_CHARS;
    faults.unless(fits, "/statement", "too_long", "use at most 4000 characters");
    if let Some(fault) = text::text_fault(&statement) {
        faults.unless(false, "/statement", fault.code, fault.words);
    }
    faults.none()?;
    Ok(statement)
}

/// A page for what did not happen.
fn refused(app: &AppData, error: Error) -> HttpResponse {
    match error {
        Error::NotFound => gone(app, StatusCode::GONE),
        Error::Refused(refusal) if refusal.code == Code::LinkInvalid => gone(app, StatusCode::GONE),
        Error::Refused(refusal) => told(app, StatusCode::CONFLICT, refusal.code.title(), &words(&refusal)),
        Error::Limited { retry_after_s, .. } => {
            let minutes = retry_after_s.div_ceil(60);
            let words = format!("Please wait {minutes} minute(s) and try again. Nothing was done.");
            let mut response = told(app, StatusCode::TOO_MANY_REQUESTS, "Too many tries", &words);
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
            response
        }
        Error::Unavailable(_) => {
            let words = "Please try again in a moment. Nothing was done.";
            let mut response = told(app, StatusCode::SERVICE_UNAVAILABLE, "Not available now", words);
            response.headers_mut().insert(header::RETRY_AFTER, 2.into());
            response
        }
        other => {
            // Logs the cause, as for every other answer.
            let status = Problem::from(other).status_code();
            told(app, status, "Something went wrong", "It is not your fault, and it has been noted. Please try later.")
        }
    }
}

/// A refusal's words without what only programs need.
fn words(refusal: &Refusal) -> String {
    if let Some(detail) = &refusal.detail {
        return detail.clone();
    }
    let sentences = refusal.code.words().split_inclusive(". ");
    sentences.filter(|sentence| !sentence.contains("/v1/")).collect::<String>().trim().to_owned()
}

fn told(app: &AppData, status: StatusCode, title: &str, words: &str) -> HttpResponse {
    let lines = if words.is_empty() { Vec::new() } else { vec![words.to_owned()] };
    finish(status, app.pages.done(&Done { title: title.to_owned(), lines }))
}

/// The link does not work, or never did.
fn gone(app: &AppData, status: StatusCode) -> HttpResponse {
    finish(status, app.pages.gone())
}

fn finish(status: StatusCode, html: std::result::Result<String, minijinja::Error>) -> HttpResponse {
    match html {
        Ok(html) => page(status, html),
        Err(fault) => Problem::from(template(fault)).error_response(),
    }
}

fn page(status: StatusCode, html: String) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    for (name, value) in HEADERS {
        response.insert_header((name, value));
    }
    response.body(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_form_can_be_read_and_what_is_no_form_is_empty() {
        assert_eq!(Form::read(b"List-Unsubscribe=One-Click").text("List-Unsubscribe"), "One-Click");
        assert_eq!(Form::read(b"statement=a%0D%0Ab+c").text("statement"), "a\nb c");
        assert_eq!(Form::read(b"--boundary\r\nContent-Disposition: form-data").text("password"), "");
        assert_eq!(Form::read(&[0xff, 0xfe]).text("password"), "");
    }

    #[test]
    fn an_objection_says_something_and_not_too_much() {
        let form = |text: &str| Form([("statement".to_owned(), text.to_owned())].into());
        assert_eq!(statement(&form("I was ill.")).unwrap(), "I was ill.");
        for bad in [" \n", "\u{2800}\u{3164}", &"x".repeat(4001), "a\u{0}b", "a\u{202e}b"] {
            assert!(matches!(statement(&form(bad)), Err(Error::Invalid(_))), "{bad:?}");
        }
    }

    #[test]
    fn people_read_no_paths() {
        assert_eq!(words(&Code::RunNotOpenToYou.into()), "There are several possible causes, and we do not say which.");
        assert_eq!(words(&Code::RunStarted.into()), "Places can no longer be taken or given back.");
        assert_eq!(words(&Refusal::from(Code::RunStarted).because("It is on.")), "It is on.");
    }
}
