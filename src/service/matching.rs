//! Matches: the runs that fit a person, best first, and why a run is or is not among them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::Policy,
    domain::{
        matching::{Closed, Exclusion, Fit, Person, Scored, Viewer, best, engagements::Engagements, verdict},
        place::{BoundingBox, Cell},
        refusal::Code,
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
        blocks, facilitators, moderation,
        run_sides::Which,
        runs::{self, Run, Search},
        signups,
    },
};

/// A run that fits, and how well.
#[derive(Debug, Serialize, ToSchema)]
pub struct Match {
    pub run: RunCard,
    pub fit: Fit,
}

/// What stands between a person and a run, in words.
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
}

/// Why a run is or is not among somebody's matches.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    pub run: RunCard,
    /// How well it fits, where nothing stands against it.
    pub fit: Option<Fit>,
    pub obstacles: Vec<Obstacle>,
}

/// Which runs somebody asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub from: Instant,
    pub to: Instant,
    pub limit: usize,
    pub include_full: bool,
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
        engagements: Engagements::default(),
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

/// The ids of the next runs that fit a person, best first, from the database: for whoever has no index of all runs at hand.
fn matches(
    conn: &mut Conn,
    viewer: &Viewer,
    wish: &Wish,
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Id>> {
    let search = Search {
        from: Some(wish.from.max(now)),
        to: Some(wish.to),
        around: Some(BoundingBox::around(viewer.person.home, viewer.person.travel_radius_km)),
        activities: viewer.person.activities.clone(),
        limit: Some(LOOKED_AT),
        ..Default::default()
    };
    let ids: Vec<Id> = runs::search(conn, &search)?.into_iter().map(|run| run.id).collect();
    let sides = run_sides::read(conn, Which::These(&ids), policy, &Shared::default(), now)?;
    let scored = sides
        .iter()
        .filter(|read| !read.side.is_closed)
        .filter_map(|Read { side, .. }| {
            Some((Scored::of(&viewer.person, &side.candidate(viewer), wish.include_full)?, side.id))
        })
        .collect();
    let best = best(scored, |id: &Id| *id.as_bytes(), |run| keyring.tie(viewer.id, run), wish.limit);
    Ok(best.into_iter().map(|(_, id)| id).collect())
}

/// Why one run is or is not among somebody's matches.
pub fn explain(
    conn: &mut Conn,
    viewer: &Viewer,
    run: &Run,
    wish: &Wish,
    policy: &Policy,
    now: Instant,
) -> Result<Explanation> {
    let facts = run_views::facts(conn, std::slice::from_ref(run), Some(viewer.id), policy, now)?;
    let explained = |fit, obstacles| Explanation { run: facts.card(run), fit, obstacles };
    if facilitators::find_listing(conn, run.id, viewer.id)?.is_some() {
        return Ok(explained(None, vec![Obstacle::of(Code::YouLeadThisRun)]));
    }
    let mut obstacles = Vec::new();
    if let Err(refusal) = crate::service::signups::open_for_signups(run, now) {
        obstacles.push(Obstacle::of(refusal.code));
    } else if run.starts_at < wish.from || run.starts_at >= wish.to {
        let words = "It does not start in the time that was asked about.";
        obstacles.push(Obstacle { code: "not_in_the_time_asked".into(), text: words.into() });
    }
    let mut fit = None;
    // A run that is not published, or has begun, has no side to weigh: that it is so is obstacle enough.
    let read = run_sides::read(conn, Which::These(&[run.id]), policy, &Shared::default(), now)?;
    if let Some(Read { side, .. }) = read.first() {
        let candidate = side.candidate(viewer);
        match verdict(&viewer.person, &candidate, wish.include_full) {
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

/// The other runs with places that fit a person best in the days to come; for whom we know no profile, those nearest to
/// `run`. Ids, best first.
pub fn instead_of(
    conn: &mut Conn,
    person: Id,
    run: &Run,
    limit: usize,
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Id>> {
    let to = now.plus_days(policy.match_window_days);
    if accounts::find_profile(conn, person)?.is_some() {
        let wish = Wish { from: now, to, limit: limit + 1, include_full: false };
        let viewer = viewer(conn, person, now)?;
        let found = matches(conn, &viewer, &wish, policy, keyring, now)?;
        return Ok(found.into_iter().filter(|id| *id != run.id).take(limit).collect());
    }
    let around = Some(BoundingBox::around(run.shown(), NEARBY_KM));
    let search = Search { from: Some(now), to: Some(to), around, limit: Some(LOOKED_AT), ..Default::default() };
    let mut found = runs::search(conn, &search)?;
    let places = crate::service::places::of_runs(conn, &found, policy, now)?;
    found.retain(|other| other.id != run.id && places.get(&other.id).is_some_and(|room| room.left() > 0));
    found.sort_by(|a, b| run.shown().distance_km(&a.shown()).total_cmp(&run.shown().distance_km(&b.shown())));
    let mut near = Vec::new();
    for other in found {
        if near.len() < limit && !crate::service::entry::is_closed_to(conn, person, other.id, now)? {
            near.push(other.id);
        }
    }
    Ok(near)
}

/// So many of the next runs around are weighed: a city has thousands, and whoever reads of them in a mail wants few.
const LOOKED_AT: i64 = 1_000;

/// How far another run may be for whom we know no travel radius.
const NEARBY_KM: f64 = 15.0;

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
