//! Matches: the runs that fit a person, best first, and why a run is or is not among them.

mod instead;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::Policy,
    domain::{
        matching::{
            Closed, Exclusion, Fit, IndexedRun, Limits, Person, Viewer, best,
            search::{MatchSearch, SeriesOnce},
            verdict,
        },
        place::{BoundingBox, Cell},
        refusal::Code,
        signup::SignupStatus,
    },
    error::{Error, Result},
    id::Id,
    service::{
        run_sides::{self, Read, Shared},
        run_views::{self, RunCard},
    },
    store::{
        Conn,
        accounts::{self, Profile},
        blocks, facilitators, moderation, overlaps,
        run_sides::Which,
        runs::{self, Run, Search},
        signups,
    },
};

pub use instead::instead_of;

/// A cause or a note about a run, in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct Obstacle {
    pub code: String,
    pub text: String,
}

impl Obstacle {
    /// A rule that stands against a sign-up, in the words of its refusal.
    fn of(code: Code) -> Self {
        Self { code: code.as_str().into(), text: code.words().into() }
    }

    fn later(policy: &Policy) -> Self {
        let days = policy.match_window_days;
        let text = format!("It is more than {days} days ahead: it is listed where fewer than three runs fit before.");
        Self { code: "later_than_usual".into(), text }
    }
}

/// Why a run is or is not among somebody's matches.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    pub run: RunCard,
    /// How well it fits, where nothing stands against it.
    pub fit: Option<Fit>,
    pub obstacles: Vec<Obstacle>,
    /// What else there is to know: that the run is further ahead than lists usually go.
    pub notes: Vec<Obstacle>,
}

/// The person's side of matching, read afresh.
///
/// # Errors
/// [`Code::ProfileMissing`] without a running profile.
pub fn viewer(conn: &mut Conn, person: Id, now: Instant) -> Result<Viewer> {
    let profile = accounts::find_profile(conn, person)?.ok_or(Code::ProfileMissing)?;
    let known = signups::known_facilitators(conn, person)?.into_iter().collect();
    Ok(Viewer {
        id: person,
        person: person_of(&profile)?,
        known,
        closed: closed_to(conn, person, now)?,
        engagements: overlaps::engagements_of(conn, person, now)?,
    })
}

/// What is closed to a person. Bars count, what ended between them and a run, and blocks between the person and those who
/// lead: who leads a run is public. Who else comes is not, so a block between two who come never takes a run out of
/// anybody's list, which would tell where the other is; it bites when the second signs up.
pub fn closed_to(conn: &mut Conn, person: Id, now: Instant) -> Result<Closed> {
    Ok(Closed {
        apart_from: blocks::apart_from(conn, person)?,
        barred_by: moderation::bars_against(conn, person, now)?.into_iter().map(|bar| bar.facilitator_id).collect(),
        runs: signups::runs_ended_for(conn, person, now)?,
    })
}

/// The ids of the next runs that fit a person, best first and each series once, from the database: for whom no index of all
/// runs is at hand.
fn matches(
    conn: &mut Conn,
    viewer: &Viewer,
    search: &MatchSearch,
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Id>> {
    let wanted = Search {
        from: Some(search.from.max(now)),
        to: Some(search.to),
        around: Some(BoundingBox::around(viewer.person.home, viewer.person.travel_radius_km)),
        activities: viewer.person.activities.clone(),
        limit: Some(LOOKED_AT),
        ..Default::default()
    };
    let ids: Vec<Id> = runs::search(conn, &wanted)?.into_iter().map(|run| run.id).collect();
    let sides = run_sides::read(conn, Which::These(&ids), policy, &Shared::default(), now)?;
    let mut found = SeriesOnce::default();
    for Read { side, .. } in &sides {
        if let Some(scored) = search.weigh(viewer, side, now, |_| true) {
            found.take(scored, side, |side| side);
        }
    }
    let order = |side: &&IndexedRun| (side.starts_at, *side.id.as_bytes());
    let best = best(found.into_vec(), order, |run| keyring.tie(viewer.id, run), search.limit);
    Ok(best.into_iter().map(|(_, side)| side.id).collect())
}

/// Why one run is or is not among somebody's matches, whenever it is. Every cause is named, but what stands between two
/// people, which is named only where it is the one cause.
pub fn explain(
    conn: &mut Conn,
    viewer: &Viewer,
    run: &Run,
    search: &MatchSearch,
    policy: &Policy,
    now: Instant,
) -> Result<Explanation> {
    let facts = run_views::facts(conn, std::slice::from_ref(run), Some(viewer.id), policy, now)?;
    let notes =
        || if search.goes_on && run.starts_at >= search.to { vec![Obstacle::later(policy)] } else { Vec::new() };
    let explained = |fit, obstacles| Explanation { run: facts.card(run), fit, obstacles, notes: notes() };
    if facilitators::find_listing(conn, run.id, viewer.id)?.is_some() {
        return Ok(explained(None, vec![Obstacle::of(Code::YouLeadThisRun)]));
    }
    let mut obstacles = obstacles_by_time(viewer, run, search, now);
    let mut fit = None;
    // A run that is not published, or has begun, has no side to weigh: that it is so is obstacle enough.
    let read = run_sides::read(conn, Which::These(&[run.id]), policy, &Shared::default(), now)?;
    if let Some(Read { side, .. }) = read.first() {
        let candidate = side.candidate(viewer);
        let is_mine = viewer.engagements.signup_for(run.id).is_some();
        let limits = Limits { include_full: search.limits.include_full || is_mine, ..search.limits };
        match verdict(&viewer.person, &candidate, limits) {
            Ok(found) => fit = Some(found.rounded()),
            // Next to another cause it would tell, for no need, that something stands between two people.
            Err(exclusions) if exclusions == [Exclusion::NotOpenToYou] && !obstacles.is_empty() => {}
            Err(exclusions) => obstacles.extend(exclusions.into_iter().map(|exclusion| match exclusion {
                Exclusion::NotOpenToYou => Obstacle::of(Code::RunNotOpenToYou),
                other => {
                    let text = other.in_words(&viewer.person, &candidate);
                    Obstacle { code: other.code().into(), text }
                }
            })),
        }
    }
    let fit = fit.filter(|_| obstacles.is_empty());
    Ok(explained(fit, obstacles))
}

/// What stands against a run by its time and by what the person is on already.
fn obstacles_by_time(viewer: &Viewer, run: &Run, search: &MatchSearch, now: Instant) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    let mut add = |code: &str, text: &str| obstacles.push(Obstacle { code: code.into(), text: text.into() });
    let mine = viewer.engagements.signup_for(run.id);
    if let Err(refusal) = crate::service::signups::open_for_signups(run, now)
        && mine.is_none()
    {
        add(refusal.code.as_str(), refusal.code.words());
    }
    if run.starts_at > now && (run.starts_at < search.from || (run.starts_at >= search.to && !search.goes_on)) {
        add("not_in_the_time_asked", "It does not start in the time that was asked about.");
    }
    match mine {
        Some((_, status)) if !search.include_mine => add("you_are_on_it", on_it_in_words(status)),
        None if !search.include_overlapping && viewer.engagements.overlap(run.id, run.starts_at, run.ends_at) => {
            add("overlapping_run", "You are expected on another run at that time.");
        }
        _ => {}
    }
    obstacles
}

fn on_it_in_words(status: SignupStatus) -> &'static str {
    match status {
        SignupStatus::Requested => "You have asked for a place on it already.",
        SignupStatus::Waitlisted => "You are waiting for a place on it already.",
        SignupStatus::Offered => "A place on it is offered to you: you can accept it.",
        _ => "You have a place on it already.",
    }
}

/// So many of the next runs around are weighed: a city has thousands, and whoever reads of them in a mail wants few.
const LOOKED_AT: i64 = 1_000;

/// The person's side as the running profile gives it.
///
/// # Errors
/// When the stored home cell is none.
pub fn person_of(profile: &Profile) -> Result<Person> {
    let cell: Cell =
        profile.home_cell.parse().map_err(|_| Error::Internal(anyhow::anyhow!("a stored home cell is no cell")))?;
    Ok(Person {
        activities: profile.activities.0.clone(),
        comfortable_pace: profile.comfortable_pace.as_ref().map(|pace| pace.0),
        walking_pace: profile.walking_pace.as_ref().map(|pace| pace.0),
        home: cell.centre(),
        travel_radius_km: profile.travel_radius_km,
        availability: profile.availability.0.clone(),
        languages: profile.languages.iter().map(|tag| tag.0.clone()).collect(),
        access_needs: profile.access_needs.0.clone(),
        not_after_dark: profile.not_after_dark,
        new_here: profile.new_here,
        gentle_start: profile.gentle_start,
    })
}
