//! One letter of every kind, with invented facts: tried out at start against overridden templates, shown by a preview,
//! and the hostile reader of the tests, since every *user text* in them is what the caller gives.

use super::letter::{
    AccessOffer, Answered, Asking, Attendance, Body, DecisionKind, FoundRun, Had, Help, House, Letter, Note,
    OtherPlace, OtherRun, Outcome, RunFacts, Scope, SeriesDate, SharedRun, Wished,
};
use super::notice::Change;
use crate::domain::{question::ComingQuestion, reminder::Moment};

/// A letter for every kind, and for every turn a kind's wording can take. `words` stands wherever people type.
pub fn letters(words: &str) -> Vec<Letter> {
    let (a, b) = ([account(words), own_place(words), series(words), leading(words)], [decisions(words), team(words)]);
    let all = [a.concat(), b.concat(), apart(words), after(words), wishes(words)].concat();
    all.into_iter().map(|body| letter(words, body)).collect()
}

/// An example of a link in a mail.
pub const LINK: &str = "https://example.org/e/action/Zx81_sample-token";

fn letter(words: &str, body: Body) -> Letter {
    let is_alert = matches!(body, Body::RunsFound { .. } | Body::MatchRequestEnds { .. });
    let is_reminder = matches!(body, Body::Reminder { .. } | Body::FacilitatorReminder { .. } | Body::AfterRun { .. });
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
        preferences_link: (is_alert || is_reminder).then(|| "https://example.org/e/preferences/sample".to_owned()),
        preferences_words: if is_alert { "No more of these mails, please" } else { "No more reminders, please" }
            .to_owned(),
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
        for renewal in [false, true] {
            let (statement, appeal_link) = (Some(words.to_owned()), url(!yes));
            all.push(Body::ApplicationDecided { approved: yes, renewal, statement, appeal_link });
        }
    }
    all
}

/// What runs say about the reader's access needs: none, all, nothing, and something of each kind.
fn accesses() -> Vec<Option<AccessOffer>> {
    let words = |given: bool, all: &[&str]| {
        if given { all.iter().map(|need| (*need).to_owned()).collect() } else { Vec::new() }
    };
    let offer = |has: bool, has_not: bool, unsaid: bool| AccessOffer {
        has: words(has, &["step-free access"]),
        has_not: words(has_not, &["an accessible toilet"]),
        unsaid: words(unsaid, &["a quiet place to step away to", "sign language"]),
    };
    let some = [offer(true, false, false), offer(false, false, true), offer(true, true, true)].map(Some);
    std::iter::once(None).chain(some).collect()
}

fn elsewhere(words: &str, some: bool) -> Vec<OtherPlace> {
    let place = OtherPlace {
        title: words.to_owned(),
        when: WHEN.to_owned(),
        zone: "Europe/London".to_owned(),
        not_today_link: LINK.to_owned(),
    };
    if some { vec![place] } else { Vec::new() }
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
        for access in accesses() {
            all.push(Body::SignupConfirmed { run: run.clone(), access, not_today_link: link() });
        }
        all.push(Body::SignupWaitlisted { run: run.clone(), position: 3, not_today_link: link() });
        all.push(Body::PlaceOffered {
            run: run.clone(),
            until: WHEN.to_owned(),
            accept_link: link(),
            decline_link: link(),
        });
        all.push(Body::PlaceFree { run: run.clone(), accept_link: link(), not_today_link: link() });
        all.push(Body::OfferLapsed { run: run.clone(), not_today_link: link() });
        for moment in [Moment::DayBefore, Moment::TwoHours] {
            for question in [None, Some(ComingQuestion::DayBefore), Some(ComingQuestion::Change)] {
                all.push(Body::Reminder {
                    run: run.clone(),
                    moment,
                    question,
                    still_coming_link: url(question.is_some()),
                    answer_by: WHEN.to_owned(),
                    not_today_link: link(),
                });
            }
        }
        let full = run.map_url.is_some();
        let (statement, waiting) = (full.then(|| words.to_owned()), full);
        let (before, after) = (words.to_owned(), words.to_owned());
        let change = Change { what: "The meeting point".to_owned(), before, after, tells_place: true };
        let decide_by = full.then(|| "Saturday 28 November 2026, 07:00".to_owned());
        all.extend([
            Body::SignupRemoved {
                run: run.clone(),
                others: others(words, full),
                reason: reason.clone(),
                statement: statement.clone(),
                appeal_link: url(full),
            },
            Body::LeadRunChanged {
                run: run.clone(),
                back_marker: full,
                by: full.then(|| words.to_owned()),
                changes: vec![change.clone()],
                cannot_lead_link: LINK.to_owned(),
            },
            Body::WaitingEnded { run: run.clone(), others: others(words, full) },
            Body::CheckInUndone { run: run.clone() },
            Body::RequestExpired { run: run.clone(), others: others(words, full) },
            Body::PlaceReleased { run: run.clone(), others: others(words, full) },
            Body::AskedToRunAsTwo {
                run: run.clone(),
                partner: words.to_owned(),
                answer_by: WHEN.to_owned(),
                yes_link: link(),
                not_today_link: link(),
            },
            Body::Missed { run: run.clone(), was_there_link: link(), until: WHEN.to_owned() },
            Body::CheckedIn { run: run.clone(), elsewhere: elsewhere(words, full) },
            Body::Announcement {
                run: run.clone(),
                from: words.to_owned(),
                words: words.to_owned(),
                announcement_id: "0193a1b2-0000-7000-8000-000000000001".to_owned(),
                report_url: LINK.to_owned(),
                waiting,
                not_today_link: link(),
            },
        ]);
        for had in [Had::Place, Had::Offer, Had::Waiting, Had::Request, Had::Nothing] {
            all.extend([
                Body::RunCancelled {
                    run: run.clone(),
                    reason: reason.clone(),
                    message: statement.clone(),
                    had,
                    others: others(words, full),
                },
                Body::RunPaused { run: run.clone(), decide_by: decide_by.clone(), had, not_today_link: link() },
                Body::LeadersChanged { run: run.clone(), had, not_today_link: link() },
                Body::RunResumed { run: run.clone(), had, not_today_link: link() },
                Body::RunChanged {
                    run: run.clone(),
                    changes: vec![change.clone()],
                    had,
                    far: !full,
                    fine_link: url(!full && had != Had::Offer),
                    accept_link: url(had == Had::Offer),
                    answer_by: WHEN.to_owned(),
                    not_today_link: link(),
                },
            ]);
        }
    }
    all
}

fn series(words: &str) -> Vec<Body> {
    let (page_url, title) = ("https://example.org/series/sample".to_owned(), words.to_owned());
    let date = |full: bool| SeriesDate {
        when: WHEN.to_owned(),
        zone: "Europe/London".to_owned(),
        had: if full { Had::Waiting } else { Had::Place },
        changes: Vec::new(),
        far: false,
        answer_by: String::new(),
        fine_link: None,
        not_today_link: Some(LINK.to_owned()),
    };
    let mut all = vec![Body::RegularEnded { title: title.clone(), page_url: page_url.clone() }];
    for full in [true, false] {
        let dates = if full { vec![date(true), date(false)] } else { Vec::new() };
        let change = Change {
            what: "The meeting point".to_owned(),
            before: words.to_owned(),
            after: words.to_owned(),
            tells_place: true,
        };
        let changed = SeriesDate {
            changes: vec![change],
            far: full,
            answer_by: WHEN.to_owned(),
            fine_link: url(full),
            ..date(full)
        };
        all.push(Body::BecameRegular { title: title.clone(), dates, page_url: page_url.clone() });
        let dates = vec![changed.clone(), changed];
        all.push(Body::SeriesChanged { title: title.clone(), dates, page_url: page_url.clone() });
        all.push(Body::SeriesEnded {
            title: title.clone(),
            reason: if full { "The meeting point cannot be used.".to_owned() } else { String::new() },
            message: full.then(|| words.to_owned()),
            dates: if full { vec![WHEN.to_owned()] } else { Vec::new() },
        });
    }
    all
}

/// A moment, as people read it.
const WHEN: &str = "Friday 27 November 2026, 14:00";

fn others(words: &str, any: bool) -> Vec<OtherRun> {
    let other = OtherRun {
        title: words.to_owned(),
        when: WHEN.to_owned(),
        where_name: words.to_owned(),
        page_url: "https://example.org/runs/other".to_owned(),
    };
    if any { vec![other] } else { Vec::new() }
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
                back_marker: !full,
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
            Body::LeadRunCancelled { run: run.clone(), back_marker: full, reason, message, people },
            Body::LeadRunPaused { run: run.clone(), back_marker: full, decide_by, people },
            Body::ParticipantWithdrew {
                run: run.clone(),
                names: vec![words.to_owned(); if full { 2 } else { 1 }],
                coming: people,
            },
            Body::NotSignedOut { run: run.clone(), people },
            Body::FacilitatorUnlisted { run: run.clone(), back_marker: false, accepted: full },
            Body::FacilitatorUnlisted { run: run.clone(), back_marker: true, accepted: full },
            Body::SubstituteWanted { run: run.clone(), until: WHEN.to_owned(), paused: full },
            Body::CredentialLapses {
                run: run.clone(),
                until: "Friday 27 November 2026".to_owned(),
                pause_on: "Saturday 21 November 2026".to_owned(),
            },
            Body::AskedToLeadOne {
                run: run.clone(),
                partner: words.to_owned(),
                answer_by: WHEN.to_owned(),
                yes_link: LINK.to_owned(),
                cannot_lead_link: LINK.to_owned(),
            },
            Body::RequestsWait {
                run: run.clone(),
                requests: vec![Asking {
                    name: words.to_owned(),
                    pace: full.then(|| "7:30–8:30 min/km".to_owned()),
                    new_here: full,
                    answers: vec![Answered { question: words.to_owned(), answer: words.to_owned() }],
                    approve_link: LINK.to_owned(),
                    decline_link: LINK.to_owned(),
                }],
                again: full,
                answer_by: WHEN.to_owned(),
            },
            Body::CoFacilitatorInvited {
                run: run.clone(),
                invited_by: words.to_owned(),
                back_marker: full,
                accept_link: LINK.to_owned(),
            },
            Body::SeriesDateOverlaps { run: run.clone(), elsewhere: others(words, full), paused: full },
            Body::RunTouched { run },
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
            undone: vec![outcome(words, None), outcome(words, Some(WHEN))],
            left: if full { vec![outcome(words, Some(WHEN))] } else { Vec::new() },
        });
        let when = full.then(|| WHEN.to_owned());
        all.push(Body::DecisionOverturned { name: words.to_owned(), run: full.then(|| words.to_owned()), when });
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
            let facts = (what == DecisionKind::Hold).then(|| words.to_owned());
            let statement = full.then(|| words.to_owned());
            let lifted = |overturned| Body::DecisionLifted {
                what,
                scope,
                overturned,
                statement: statement.clone(),
                facts: facts.clone(),
            };
            all.extend([lifted(false), lifted(true)]);
            if matches!(what, DecisionKind::Hold | DecisionKind::Suspension) {
                all.push(Body::DecisionEnded { what, scope, facts: facts.clone(), others_stand: false });
                all.push(Body::DecisionEnded { what, scope, facts: None, others_stand: true });
            }
        }
    }
    all
}

fn team(_words: &str) -> Vec<Body> {
    let mut all = vec![Body::ReportResolved { reported_on: "Saturday 28 November 2026".to_owned() }];
    for yes in [true, false] {
        all.push(Body::AppealReceived { about: "a decision about an account".to_owned(), queue_url: url(yes) });
        let (many, category) = (if yes { 2 } else { 1 }, "safety".to_owned());
        all.push(Body::ReportReceived { many, category, safeguarding: yes, queue_url: url(yes) });
    }
    all
}

fn apart(words: &str) -> Vec<Body> {
    let shared = |leads: bool, back_marker: bool| SharedRun {
        title: words.to_owned(),
        when: WHEN.to_owned(),
        page_url: "https://example.org/runs/sample".to_owned(),
        leads,
        back_marker,
        leave_link: LINK.to_owned(),
    };
    let mut all = vec![Body::BothAreIn { runs: vec![shared(false, false)] }];
    all.push(Body::BothAreIn { runs: vec![shared(true, false), shared(false, true), shared(false, false)] });
    for yes in [true, false] {
        all.push(Body::BlockAsked { queue_url: url(yes) });
        all.push(Body::BlockLookedAt { found: yes });
    }
    all
}

fn outcome(words: &str, when: Option<&str>) -> Outcome {
    Outcome {
        run: when.map(|_| words.to_owned()),
        when: when.map(str::to_owned),
        words: "You have your place again.".to_owned(),
    }
}

fn after_run(words: &str, full: bool, attendance: Attendance, help: Vec<Help>) -> Body {
    Body::AfterRun {
        run: if full { run(words) } else { bare_run(words) },
        attendance,
        too_fast_link: LINK.to_owned(),
        right_link: LINK.to_owned(),
        too_slow_link: LINK.to_owned(),
        unsafe_link: LINK.to_owned(),
        contact_link: url(full),
        contact_within: if full { "2 days".to_owned() } else { String::new() },
        help,
    }
}

fn after(words: &str) -> Vec<Body> {
    let help = || {
        let line = |name: &str, known: bool| Help {
            name: name.to_owned(),
            phone: known.then(|| "112".to_owned()),
            url: (!known).then(|| "https://help.example.org".to_owned()),
            hours: known.then(|| "always".to_owned()),
        };
        vec![line("Emergency services", true), line("Somebody to talk to", false)]
    };
    let mut all = vec![Body::CareLate { help: help() }];
    for full in [true, false] {
        for attendance in [Attendance::CheckedIn, Attendance::NotCheckedIn, Attendance::Unknown] {
            all.push(after_run(words, full, attendance, help()));
        }
        all.push(Body::CareAsked { answer_by: WHEN.to_owned(), overdue: full, queue_url: url(full) });
    }
    all
}

fn wishes(words: &str) -> Vec<Body> {
    let run = FoundRun {
        title: words.to_owned(),
        when: "Saturday 28 November 2026, 09:00".to_owned(),
        zone: "Europe/London".to_owned(),
        where_name: words.to_owned(),
        kind: "run-walk, 7:30–8:30 min/km".to_owned(),
        further_dates: 0,
        reasons: vec![
            "the group's pace is one at which you can chat".to_owned(),
            "you have run with one of its facilitators before".to_owned(),
        ],
        page_url: "https://example.org/runs/sample".to_owned(),
    };
    let requests = |many: usize| {
        vec![Wished { words: "walks and runs, in your area".to_owned(), stop_link: LINK.to_owned() }; many]
    };
    vec![
        Body::RunsFound {
            runs: vec![run.clone()],
            dates: 1,
            day: Some("Saturday 28 November".to_owned()),
            requests: requests(1),
            daily: true,
        },
        Body::RunsFound {
            runs: vec![FoundRun { further_dates: 1, ..run.clone() }, FoundRun { further_dates: 2, ..run.clone() }, run],
            dates: 6,
            day: None,
            requests: requests(2),
            daily: false,
        },
        Body::MatchRequestEnds {
            words: "walks and runs, in your area".to_owned(),
            until: "Saturday 28 November 2026".to_owned(),
            days: 60,
            keep_link: LINK.to_owned(),
        },
    ]
}
