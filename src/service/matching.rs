//! Matches: the runs that fit a person, best first, and why a run is or is not among them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::Policy,
    domain::{
        matching::{self, Candidate, Exclusion, Fit, Person},
        pace::PaceBand,
        place::{BoundingBox, Cell},
        refusal::Code,
        run::YesNo,
    },
    error::{Error, Result},
    id::Id,
    service::run_views::{self, Facts, RunCard},
    store::{
        Conn,
        accounts::{self, Profile},
        facilitators, moderation,
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

/// The runs that fit a person, best first.
///
/// # Errors
/// [`Code::ProfileMissing`] without a running profile.
pub fn matches(
    conn: &mut Conn,
    person: Id,
    wish: &Wish,
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Match>> {
    let profile = accounts::find_profile(conn, person)?.ok_or(Code::ProfileMissing)?;
    let me = person_of(&profile)?;
    let search = Search {
        from: Some(wish.from.max(now)),
        to: Some(wish.to),
        around: Some(BoundingBox::around(me.home, me.travel_radius_km)),
        activities: profile.activities.0.clone(),
        ..Default::default()
    };
    let found = runs::search(conn, &search)?;
    let facts = run_views::facts(conn, &found, Some(person), policy.facilitator_ratio, now)?;
    let candidates = candidates(conn, person, &me, &found, &facts, now)?;
    let ranked = matching::rank(&me, &candidates, |run| keyring.tie(person, run), wish.include_full, wish.limit);
    Ok(ranked
        .into_iter()
        .filter_map(|(at, fit)| found.get(at).map(|run| Match { run: facts.card(run), fit: fit.rounded() }))
        .collect())
}

/// Why one run is or is not among somebody's matches.
pub fn explain(
    conn: &mut Conn,
    person: Id,
    run: &Run,
    wish: &Wish,
    policy: &Policy,
    now: Instant,
) -> Result<Explanation> {
    let profile = accounts::find_profile(conn, person)?.ok_or(Code::ProfileMissing)?;
    let me = person_of(&profile)?;
    let one = std::slice::from_ref(run);
    let facts = run_views::facts(conn, one, Some(person), policy.facilitator_ratio, now)?;
    let candidate = candidates(conn, person, &me, one, &facts, now)?
        .into_iter()
        .next()
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("a run without a candidate")))?;
    let verdict = matching::verdict(&me, &candidate, wish.include_full);
    let mut obstacles = Vec::new();
    let mut obstacle = |code: &str, text: &str| obstacles.push(Obstacle { code: code.into(), text: text.into() });
    if let Err(refusal) = crate::service::signups::open_for_signups(run, now) {
        obstacle(refusal.code.as_str(), refusal.code.words());
    } else if run.starts_at < wish.from || run.starts_at >= wish.to {
        obstacle("not_in_the_time_asked", "It does not start in the time that was asked about.");
    }
    let mut fit = None;
    match verdict {
        Ok(found) => fit = Some(found.rounded()),
        Err(exclusions) => {
            for exclusion in exclusions {
                match exclusion {
                    Exclusion::NotOpenToYou => {
                        let code = Code::RunNotOpenToYou;
                        obstacle(code.as_str(), code.words());
                    }
                    other => obstacle(other.code(), &other.in_words(&me, &candidate)),
                }
            }
        }
    }
    let fit = fit.filter(|_| obstacles.is_empty());
    Ok(Explanation { run: facts.card(run), fit, obstacles })
}

fn person_of(profile: &Profile) -> Result<Person> {
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

/// From how many confirmed on "somebody of like pace will be there" is said: fewer would give a person away.
const COMPANY_FROM: usize = 5;

fn candidates(
    conn: &mut Conn,
    person: Id,
    me: &Person,
    found: &[Run],
    facts: &Facts,
    now: Instant,
) -> Result<Vec<Candidate>> {
    let ids: Vec<Id> = found.iter().map(|run| run.id).collect();
    let confirmed = signups::confirmed_on(conn, &ids)?;
    let company = paces_of_company(conn, person, &confirmed)?;
    let known: BTreeSet<Id> = signups::known_facilitators(conn, person)?.into_iter().collect();
    let barring: BTreeSet<Id> =
        moderation::bars_against(conn, person, now)?.into_iter().map(|bar| bar.facilitator_id).collect();
    let listings = facilitators::listings(conn, &ids)?;
    let mut closed: BTreeSet<Id> = BTreeSet::new();
    for listing in &listings {
        if barring.contains(&listing.account_id) || listing.account_id == person {
            closed.insert(listing.run_id);
        }
    }
    Ok(found
        .iter()
        .map(|run| {
            let places = facts.places(run.id);
            let others = confirmed.get(&run.id).map_or(&[][..], Vec::as_slice);
            let mine = me.pace_for(run.activity);
            let alike = mine.is_some_and(|mine| {
                others.iter().filter_map(|other| company.get(other)).any(|pace| alike(mine, *pace))
            });
            Candidate {
                id: *run.id.as_bytes(),
                activity: run.activity,
                pace: run.pace(),
                no_drop: run.no_drop,
                place: run.shown(),
                local_start: run.starts_at.local(&run.time_zone),
                duration_min: run.duration_min,
                after_dark: run.after_dark,
                languages: run.languages.iter().map(|tag| tag.0.clone()).collect(),
                access: run.access.iter().map(|(name, said)| (name.clone(), *said == YesNo::Yes)).collect(),
                is_full: places.left() == 0 || places.waiting > 0,
                has_waiting: places.waiting > 0,
                confirmed: u32::try_from(others.len()).unwrap_or(u32::MAX),
                alike_or_back_marker: alike,
                known_face: facts.leader_ids(run.id).any(|leader| known.contains(&leader)),
                closed_to_person: closed.contains(&run.id),
            }
        })
        .collect())
}

/// The comfortable paces of those confirmed on runs with enough people.
fn paces_of_company(conn: &mut Conn, person: Id, confirmed: &BTreeMap<Id, Vec<Id>>) -> Result<BTreeMap<Id, PaceBand>> {
    let people: BTreeSet<Id> = confirmed
        .values()
        .filter(|people| people.len() >= COMPANY_FROM)
        .flatten()
        .copied()
        .filter(|other| *other != person)
        .collect();
    let people: Vec<Id> = people.into_iter().collect();
    let profiles = accounts::profiles(conn, &people)?;
    Ok(profiles.into_iter().filter_map(|profile| Some((profile.account_id, profile.comfortable_pace?.0))).collect())
}

/// Two people are of like pace when their bands overlap.
fn alike(mine: PaceBand, other: PaceBand) -> bool {
    mine.fastest_s_per_km <= other.slowest_s_per_km && other.fastest_s_per_km <= mine.slowest_s_per_km
}
