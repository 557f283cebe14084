//! After a run: how the pace was, whether one felt safe, whether somebody should get in touch. Nobody rates anybody, and
//! nobody but the person reads the answers; a report or a wish goes to the team only where the person says so.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Instant,
    config::Policy,
    domain::{
        after_run::{PaceAnswer, answer_until, by_day},
        link::LinkAction,
        moderation::{AboutKind, Category},
        pace::{Activity, PaceBand},
        refusal::{Code, Faults},
        run::RunStatus,
        signup::SignupStatus,
        suggestion::{self, Experience},
    },
    error::{Error, Result},
    id::Id,
    mail::Notice,
    service::{
        callers, care,
        reports::{self, About, NewReport},
    },
    store::{
        Conn, Tx, accounts,
        after_runs::{self, AfterRun},
        care::Wish,
        moderation,
        outbox::{self, Promise},
        runs::{self, Run},
        signups,
    },
};

/// The body of `POST /runs/{id}/after-run`; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterRunAnswers {
    /// The token of a link in the mail after the run, instead of logging in.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub token: Option<String>,
    #[serde(default)]
    pub pace: Option<PaceAnswer>,
    #[serde(default)]
    pub felt_safe: Option<bool>,
    /// Tell the team that one did not feel safe.
    #[serde(default)]
    pub report: bool,
    /// What happened, for the report.
    #[serde(default)]
    #[schema(max_length = 5000, pattern = r"\S")]
    pub words: Option<String>,
    /// "I would like someone to contact me"; false takes the wish back.
    #[serde(default)]
    pub contact_me: Option<bool>,
}

/// A pace that somebody's answers suggest; it is theirs to take over into their running profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuggestedPace {
    /// For runs and run-walks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comfortable_pace: Option<PaceBand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walking_pace: Option<PaceBand>,
}

/// What stands after somebody has said something.
#[derive(Debug, Clone)]
pub struct Said {
    pub answers: AfterRun,
    pub wish: Option<Wish>,
    /// Hours within which somebody gets in touch, where that is offered.
    pub care_hours: Option<i64>,
    pub suggested: Option<SuggestedPace>,
    pub until: Instant,
}

/// A run on which somebody had a place to its end.
///
/// # Errors
/// Not found for every other.
pub fn own_run(conn: &mut Conn, person: Id, run: Id) -> Result<Run> {
    let run = runs::find(conn, run)?.filter(|run| run.status != RunStatus::Draft).ok_or(Error::NotFound)?;
    let signup = signups::live_in(conn, person, run.id)?;
    let was_on = signup.is_some_and(|s| matches!(s.status, SignupStatus::Confirmed | SignupStatus::Attended));
    if was_on { Ok(run) } else { Err(Error::NotFound) }
}

/// Whether a run can be spoken about now.
///
/// # Errors
/// [`Code::RunCancelled`], [`Code::AfterRunNotYet`] before its planned end, [`Code::AfterRunOver`] two weeks after.
pub fn can_be_answered(run: &Run, now: Instant) -> Result<()> {
    match run.status {
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        _ if now < run.ends_at => Err(Code::AfterRunNotYet.into()),
        _ if now >= answer_until(run.ends_at) => Err(Code::AfterRunOver.into()),
        _ => Ok(()),
    }
}

/// Takes what somebody says after a run, all of it or nothing; it may be said again otherwise.
///
/// # Errors
/// Not found for whoever was not on it, [`Code::AfterRunNotYet`], [`Code::AfterRunOver`], [`Code::CareNotOffered`], and a
/// fault for a report by somebody who felt safe.
pub fn say(
    tx: &mut Tx<'_>,
    person: Id,
    run: Id,
    said: &AfterRunAnswers,
    policy: &Policy,
    now: Instant,
) -> Result<Said> {
    accounts::lock(tx, person)?;
    callers::ensure_active(tx, person, now)?;
    let run = own_run(tx, person, run)?;
    let before = after_runs::find(tx, run.id, person)?;
    let mut answers = before.clone().unwrap_or(AfterRun {
        run_id: run.id,
        account_id: person,
        pace: None,
        felt_safe: None,
        report_id: None,
        created_at: now,
        updated_at: now,
    });
    answers.pace = said.pace.or(answers.pace);
    answers.felt_safe = said.felt_safe.or(answers.felt_safe);
    fits(said, &answers)?;
    can_be_answered(&run, now)?;
    if said.report {
        answers.report_id = Some(report(tx, person, &run, &answers, said.words.as_deref(), now)?);
    }
    let wish = match said.contact_me {
        Some(true) => Some(care::ask(tx, person, run.id, policy, now)?),
        Some(false) => care::withdraw(tx, person, now)?,
        None => crate::store::care::open_of(tx, person)?,
    };
    answers.updated_at = now;
    let says_something = (answers.pace, answers.felt_safe, answers.report_id) != (None, None, None);
    if before.is_some() || says_something {
        after_runs::put(tx, &answers)?;
    }
    Ok(Said {
        wish,
        care_hours: care::offered(tx, person, policy, now)?,
        suggested: suggested(tx, person)?,
        until: answer_until(run.ends_at),
        answers,
    })
}

fn fits(said: &AfterRunAnswers, answers: &AfterRun) -> Result<()> {
    let mut faults = Faults::default();
    let unsafe_ = answers.felt_safe == Some(false);
    let words = "a report goes with felt_safe: false; anything else can be told with POST /v1/reports";
    faults.unless(!said.report || unsafe_, "/report", "only_when_unsafe", words);
    let words = "words go to the team with report: true, and are kept nowhere without it";
    faults.unless(said.words.is_none() || said.report, "/words", "only_with_report", words);
    Ok(faults.none()?)
}

/// Opens a report in the safeguarding queue; the same again is the one that is there.
fn report(tx: &mut Tx<'_>, person: Id, run: &Run, answers: &AfterRun, words: Option<&str>, now: Instant) -> Result<Id> {
    let words = words.map(str::trim).filter(|words| !words.is_empty());
    if let Some(there) = answers.report_id {
        let same = moderation::find_report(tx, there)?.is_some_and(|there| words.is_none_or(|w| w == there.statement));
        if same {
            return Ok(there);
        }
    }
    let report = NewReport {
        about: About { kind: Some(AboutKind::Run), id: Some(run.id), ..About::default() },
        category: Category::Safeguarding,
        statement: words.unwrap_or("Somebody who was on this run did not feel safe, and said no more.").to_owned(),
    };
    Ok(reports::file(tx, person, &report, now)?.id)
}

/// What a link in the mail after a run says.
pub fn of_link(action: LinkAction) -> Option<AfterRunAnswers> {
    let nothing = AfterRunAnswers::default();
    Some(match action {
        LinkAction::PaceTooFast => AfterRunAnswers { pace: Some(PaceAnswer::TooFast), ..nothing },
        LinkAction::PaceRight => AfterRunAnswers { pace: Some(PaceAnswer::Right), ..nothing },
        LinkAction::PaceTooSlow => AfterRunAnswers { pace: Some(PaceAnswer::TooSlow), ..nothing },
        LinkAction::FeltUnsafe => AfterRunAnswers { felt_safe: Some(false), report: true, ..nothing },
        LinkAction::ContactMe => AfterRunAnswers { contact_me: Some(true), ..nothing },
        _ => return None,
    })
}

/// Promises the mail that asks how it was, to everybody who had a place in a run that is over; in the morning where it
/// is night there.
pub fn promise_mails(tx: &mut Tx<'_>, run: &Run, now: Instant) -> Result<()> {
    let due = by_day(now, &run.time_zone);
    for signup in signups::of_run(tx, run.id, &[SignupStatus::Confirmed, SignupStatus::Attended])? {
        let promise = Promise::new(signup.account_id, Notice::AfterRun { signup_id: signup.id }).of_signup(&signup);
        outbox::promise(tx, promise.once(format!("after:{}", signup.id)).not_before(due), now)?;
    }
    Ok(())
}

/// How many answers are looked through for those about walking and those about running.
const LOOKED_THROUGH: i64 = 20;

/// What a person's answers suggest, if anything.
pub fn suggested(conn: &mut Conn, person: Id) -> Result<Option<SuggestedPace>> {
    let answers = after_runs::paces_of(conn, person, LOOKED_THROUGH)?;
    if answers.is_empty() {
        return Ok(None);
    }
    let profile = accounts::find_profile(conn, person)?;
    let of = |walking: bool| {
        let alike: Vec<Experience> = answers
            .iter()
            .filter(|(activity, _, _)| (*activity == Activity::Walk) == walking)
            .map(|(_, band, pace)| Experience { band: *band, pace: *pace })
            .collect();
        let activity = if walking { Activity::Walk } else { Activity::Run };
        suggestion::suggest(profile.as_ref().and_then(|profile| profile.pace_for(activity)), &alike)
    };
    let found = SuggestedPace { comfortable_pace: of(false), walking_pace: of(true) };
    Ok(Some(found).filter(|found| (found.comfortable_pace, found.walking_pace) != (None, None)))
}
