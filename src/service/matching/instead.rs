//! Other runs for somebody whose run is off, full, or not open to them: mails about it name a few.
//!
//! They are found by the rules of matches, from the database. For somebody without a running profile the run that they had
//! chosen says what they want.

use super::{closed_to, matches, person_of};
use crate::{
    auth::keys::Keyring,
    clock::Instant,
    config::Policy,
    domain::{
        matching::{Person, Viewer, search::MatchSearch},
        pace::Activity,
    },
    error::Result,
    id::Id,
    store::{Conn, accounts, overlaps, runs::Run, signups},
};

/// How far another run may be from the one that somebody had chosen, for whom no travel radius is known.
const NEARBY_KM: f64 = 15.0;
/// Days after which nothing is proposed instead of a run, also where little was found before.
const AT_MOST_DAYS: i64 = 366;

/// The other runs with places that fit a person best: those of the days to come, or later ones where there are too few.
/// Never two dates of one series, and nothing at the time of what they are on. Ids, best first.
pub fn instead_of(
    conn: &mut Conn,
    person: Id,
    run: &Run,
    limit: usize,
    policy: &Policy,
    keyring: &Keyring,
    now: Instant,
) -> Result<Vec<Id>> {
    let profile = accounts::find_profile(conn, person)?.as_ref().map(person_of).transpose()?;
    let mut closed = closed_to(conn, person, now)?;
    closed.runs.insert(run.id);
    let viewer = Viewer {
        id: person,
        person: profile.unwrap_or_else(|| whom_it_suits(run)),
        known: signups::known_facilitators(conn, person)?.into_iter().collect(),
        closed,
        engagements: overlaps::engagements_of(conn, person, now)?,
    };
    let mut found = Vec::new();
    for days in [policy.match_window_days, AT_MOST_DAYS] {
        let search = MatchSearch::usual(now, days, limit, policy.match_floor);
        found = matches(conn, &viewer, &search, policy, keyring, now)?;
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Somebody whom this run suits: all that is known of a person without a running profile who had chosen it.
fn whom_it_suits(run: &Run) -> Person {
    let (comfortable_pace, walking_pace) = match run.activity {
        Activity::Walk => (None, Some(run.pace())),
        Activity::RunWalk | Activity::Run => (Some(run.pace()), None),
    };
    Person {
        activities: vec![run.activity],
        comfortable_pace,
        walking_pace,
        home: run.shown(),
        travel_radius_km: NEARBY_KM,
        availability: Vec::new(),
        languages: run.languages.iter().map(|tag| tag.0.clone()).collect(),
        access_needs: Vec::new(),
        not_after_dark: false,
        new_here: false,
        gentle_start: false,
    }
}
