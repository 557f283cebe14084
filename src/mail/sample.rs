//! One letter of every kind, with invented facts: tried out at start against overridden templates, shown by a preview,
//! and the hostile reader of the tests, since every *user text* in them is what the caller gives.

use super::letter::{Body, DecisionKind, House, Letter, Note, RunFacts, Scope};
use super::notice::{Change, Touch};
use crate::domain::reminder::Moment;

/// A letter for every kind, and for every turn a kind's wording can take. `words` stands wherever people type.
pub fn letters(words: &str) -> Vec<Letter> {
    let all = [account(words), own_place(words), leading(words), decisions(words), team(words)].concat();
    all.into_iter().map(|body| letter(words, body)).collect()
}

/// An example of a link in a mail.
pub const LINK: &str = "https://example.org/e/action/Zx81_sample-token";

fn letter(words: &str, body: Body) -> Letter {
    let optional = matches!(body, Body::Reminder { .. } | Body::FacilitatorReminder { .. });
    Letter {
        to_name: words.to_owned(),
        body,
        house: House {
            org_name: "Riverside Runners".to_owned(),
            contact: "hello@example.org".to_owned(),
            safeguarding_contact: Some("safe@example.org".to_owned()),
            help_url: "https://example.org/help".to_owned(),
            base_url: "https://example.org".to_owned(),
        },
        preferences_link: optional.then(|| "https://example.org/e/preferences/sample".to_owned()),
    }
}

/// A run with every fact filled in.
pub fn run(words: &str) -> RunFacts {
    RunFacts {
        title: words.to_owned(),
        when: "Saturday 28 November 2026, 09:00".to_owned(),
        day: "Saturday 28 November".to_owned(),
        zone: "Europe/London".to_owned(),
        where_name: words.to_owned(),
        getting_there: Some(words.to_owned()),
        map_url: Some("https://www.openstreetmap.org/?mlat=51.5&mlon=-0.1".to_owned()),
        meeting_point_lat: Some(51.5),
        meeting_point_lng: Some(-0.1),
        leaders: vec![words.to_owned(), "Ana".to_owned()],
        activity_words: "run-walk".to_owned(),
        pace_min_per_km: "7:30–8:30 min/km".to_owned(),
        pace_words: "a pace at which you can chat".to_owned(),
        walking_is_fine: true,
        no_drop: true,
        distance_km: Some(5.0),
        duration_min: 50,
        after_dark: true,
        day_contact: Some(words.to_owned()),
        page_url: "https://example.org/runs/sample".to_owned(),
    }
}

/// A run of which only what must be known is known.
pub fn bare_run(words: &str) -> RunFacts {
    RunFacts {
        getting_there: None,
        map_url: None,
        meeting_point_lat: None,
        meeting_point_lng: None,
        leaders: Vec::new(),
        walking_is_fine: false,
        no_drop: false,
        distance_km: None,
        after_dark: false,
        day_contact: None,
        ..run(words)
    }
}

fn account(words: &str) -> Vec<Body> {
    let (link, valid_for) = (LINK.to_owned(), "48 hours".to_owned());
    let mut all = vec![
        Body::VerifyEmail { link: link.clone(), valid_for: valid_for.clone() },
        Body::AlreadyRegistered {},
        Body::ResetPassword { link: link.clone(), valid_for: valid_for.clone() },
        Body::PasswordChanged { when: "Saturday 28 November 2026, 09:00".to_owned() },
        Body::Invitation { link, valid_for },
    ];
    for yes in [true, false] {
        all.push(Body::ApplicationReceived { for_the_team: yes, applicant: words.to_owned(), queue_url: url(yes) });
        all.push(Body::ApplicationDecided { approved: yes, statement: Some(words.to_owned()), appeal_link: url(!yes) });
    }
    all
}

fn url(given: bool) -> Option<String> {
    given.then(|| LINK.to_owned())
}

fn own_place(words: &str) -> Vec<Body> {
    let not_today_link = LINK.to_owned();
    let reason = "The facilitator had to make the group smaller.".to_owned();
    let mut all = Vec::new();
    for run in [run(words), bare_run(words)] {
        let link = || not_today_link.clone();
        all.push(Body::SignupConfirmed { run: run.clone(), not_today_link: link() });
        all.push(Body::SignupWaitlisted { run: run.clone(), position: 3, not_today_link: link() });
        all.push(Body::SignupPromoted { run: run.clone(), not_today_link: link() });
        for moment in [Moment::DayBefore, Moment::TwoHours] {
            all.push(Body::Reminder { run: run.clone(), moment, not_today_link: link() });
        }
        let full = run.map_url.is_some();
        let (statement, waiting) = (full.then(|| words.to_owned()), full);
        let (before, after) = (words.to_owned(), words.to_owned());
        let change = Change { what: "The meeting point".to_owned(), before, after, tells_place: true };
        let decide_by = full.then(|| "Saturday 28 November 2026, 07:00".to_owned());
        all.extend([
            Body::SignupRemoved {
                run: run.clone(),
                reason: reason.clone(),
                statement: statement.clone(),
                appeal_link: url(full),
            },
            Body::RunChanged { run: run.clone(), changes: vec![change], waiting, not_today_link: link() },
            Body::RunCancelled { run: run.clone(), reason: reason.clone(), message: statement, waiting },
            Body::RunPaused { run: run.clone(), decide_by, waiting, not_today_link: link() },
            Body::RunResumed { run, waiting, not_today_link: link() },
        ]);
    }
    all
}

fn leading(words: &str) -> Vec<Body> {
    let mut all = Vec::new();
    for run in [run(words), bare_run(words)] {
        let full = run.map_url.is_some();
        let note = Note { name: words.to_owned(), note: words.to_owned() };
        let people = if full { 7 } else { 1 };
        for moment in [Moment::DayBefore, Moment::TwoHours] {
            all.push(Body::FacilitatorReminder {
                run: run.clone(),
                moment,
                coming: people,
                new_people: if full { 2 } else { 0 },
                notes: if full { vec![note.clone()] } else { Vec::new() },
                cannot_lead_link: LINK.to_owned(),
            });
        }
        let (message, reason) = (full.then(|| words.to_owned()), "The weather is too bad.".to_owned());
        let decide_by = full.then(|| "Saturday 28 November 2026, 07:00".to_owned());
        all.extend([
            Body::LeadRunCancelled { run: run.clone(), reason, message, people },
            Body::LeadRunPaused { run: run.clone(), decide_by, people },
            Body::ParticipantWithdrew { run: run.clone(), name: words.to_owned(), coming: people },
            Body::FacilitatorUnlisted { run: run.clone() },
            Body::CoFacilitatorInvited { run: run.clone(), invited_by: words.to_owned(), accept_link: LINK.to_owned() },
            Body::RunTouched { run, by: if full { Touch::Report } else { Touch::Hold } },
        ]);
    }
    all
}

fn decisions(words: &str) -> Vec<Body> {
    let mut all = Vec::new();
    for full in [true, false] {
        all.push(Body::Barred {
            facilitator: words.to_owned(),
            until: "Sunday 28 February 2027".to_owned(),
            reason: "The facilitator thinks that another group suits you better.".to_owned(),
            statement: full.then(|| words.to_owned()),
            places_lost: if full { vec!["Saturday 28 November 2026, 09:00".to_owned()] } else { Vec::new() },
            appeal_link: url(full),
        });
        all.push(Body::AppealDecided {
            about: "a decision about your account".to_owned(),
            overturned: full,
            statement: words.to_owned(),
            second_person: full,
        });
    }
    for what in [DecisionKind::Hold, DecisionKind::Warning, DecisionKind::Suspension, DecisionKind::Ban] {
        for scope in [Scope::Site, Scope::Facilitating] {
            let full = scope == Scope::Site;
            all.push(Body::Decision {
                what,
                scope,
                rule: "Treat everybody with respect.".to_owned(),
                statement: full.then(|| words.to_owned()),
                until: full.then(|| "Sunday 28 February 2027".to_owned()),
                places_lost: if full { 2 } else { 0 },
                runs_paused: if full { 0 } else { 1 },
                appeal_link: url(full),
            });
            all.push(Body::DecisionLifted { what, scope, statement: full.then(|| words.to_owned()) });
        }
    }
    all
}

fn team(_words: &str) -> Vec<Body> {
    let mut all = vec![Body::ReportResolved { reported_on: "Saturday 28 November 2026".to_owned() }];
    for yes in [true, false] {
        all.push(Body::AppealReceived { about: "a decision about an account".to_owned(), queue_url: url(yes) });
        all.push(Body::ReportReceived { category: "safety".to_owned(), safeguarding: yes, queue_url: url(yes) });
    }
    all
}
