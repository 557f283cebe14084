//! Matching: who may come to a run, how well it fits, and in which order runs are shown. One law for a person's
//! matches, the alerts and the round.
//!
//! Here are the two sides and the ranking; the hard rules are in [`exclusion`], the numbers in [`mod@fit`], the words in
//! [`reasons`]. Invariant: where a person lives enters only as the centre of the home cell, and the order of equal
//! runs never depends on distance.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap};

use jiff::civil;

use super::{
    availability::Window,
    pace::{Activity, PaceBand},
    place::LatLng,
};
use crate::clock::Instant;

pub mod advice;
pub mod bound;
pub mod engagements;
pub mod exclusion;
pub mod fit;
pub mod reasons;
pub mod search;
pub mod side;

pub use exclusion::{Exclusion, exclusions};
pub use fit::{Fit, faster_by};
pub use reasons::{Reason, ReasonCode};
pub use side::{Closed, IndexedRun, Viewer};

/// One side: a person's running profile, as far as matching reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The activities the person wants; empty filters nothing.
    pub activities: Vec<Activity>,
    /// The paces at which the person can chat while running; also used for run-walks. None: not sure yet.
    pub comfortable_pace: Option<PaceBand>,
    /// The same for walking. None: not sure yet.
    pub walking_pace: Option<PaceBand>,
    /// The centre of the home cell, never anything finer.
    pub home: LatLng,
    /// How far the person goes to a meeting point, in kilometres from `home`.
    pub travel_radius_km: f64,
    /// When the person can come; empty means always.
    pub availability: Vec<Window>,
    /// Language tags ("en", "pt-BR"); empty filters nothing.
    pub languages: Vec<String>,
    /// Keys of what must be answered yes ("step_free"); empty filters nothing.
    pub access_needs: Vec<String>,
    /// The person does not want to be out after dark.
    pub not_after_dark: bool,
    /// The person is new to running here.
    pub new_here: bool,
    /// The person asked for a gentle start (a match request may; the profile has no such field).
    pub gentle_start: bool,
}

impl Person {
    /// The band that counts for an activity.
    pub fn pace_for(&self, activity: Activity) -> Option<PaceBand> {
        activity.pace_of(self.comfortable_pace, self.walking_pace)
    }
}

/// The other side: one run, as this person may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'r> {
    /// The run's id; used only to break ties.
    pub id: [u8; 16],
    /// How the group goes.
    pub activity: Activity,
    /// The group's paces.
    pub pace: PaceBand,
    /// The group waits for everyone.
    pub no_drop: bool,
    /// The meeting point, or the centre of the meeting area where the point is hidden from this person.
    pub place: LatLng,
    /// When it starts; used only to put the sooner of two equal runs first.
    pub starts_at: Instant,
    /// The start on the local clock of the place.
    pub local_start: civil::DateTime,
    /// Planned length in minutes.
    pub duration_min: i32,
    /// Any part of it is after dark (see `daylight`).
    pub after_dark: bool,
    /// Languages spoken in the group; empty: not said.
    pub languages: Cow<'r, [String]>,
    /// Answers about access, yes or no; a missing key: not said.
    pub access: Cow<'r, BTreeMap<String, bool>>,
    /// No place is left.
    pub is_full: bool,
    /// Somebody is waiting for a place; read for the words about a full run only.
    pub has_waiting: bool,
    /// How many are confirmed.
    pub confirmed: u32,
    /// So many are confirmed that company counts, and one has a pace like this person's, or there is a back marker.
    pub alike_or_back_marker: bool,
    /// One of the facilitators has been on a run with this person before.
    pub known_face: bool,
    /// A bar, a block in either direction or a sanction stands between: never explained.
    pub closed_to_person: bool,
}

/// Which runs a list leaves out, besides those that the person's own side rules out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The least score of a match, 0 to 1 (the policy's `match_floor`).
    pub floor: f64,
    /// Runs without a free place are shown as well.
    pub include_full: bool,
    /// Groups are shown whose pace is far from the person's, whatever their score. A group that is faster than the tolerance
    /// stays out: nobody can chat there.
    pub include_any_pace: bool,
    /// Runs outside the hours that the person gave are shown as well.
    pub include_outside_hours: bool,
}

impl Limits {
    /// The limits of a usual list with this floor: nothing is included that a person did not ask for.
    pub fn usual(floor: f64) -> Self {
        Self { floor, include_full: false, include_any_pace: false, include_outside_hours: false }
    }
}

/// How well the run fits. Also finite for a run that is not shown, where it means nothing.
pub fn fit(person: &Person, candidate: &Candidate<'_>) -> Fit {
    let parts = fit::Parts::of(person, candidate, person.home.distance_km(&candidate.place));
    parts.into_fit(parts.score(), person, candidate)
}

/// The fit, or every cause for which the run is not shown.
pub fn verdict(person: &Person, candidate: &Candidate<'_>, limits: Limits) -> Result<Fit, Vec<Exclusion>> {
    let causes = exclusions(person, candidate, limits);
    if causes.is_empty() { Ok(fit(person, candidate)) } else { Err(causes) }
}

/// Scores nearer than this are equal, so that rounding never decides an order.
const EQUAL_WITHIN: f64 = 1e-9;

/// A run that may be shown, with what decides its order and no words yet: a city has thousands of candidates.
#[derive(Debug, Clone, Copy)]
pub struct Scored {
    steps: i64,
    score: f64,
    parts: fit::Parts,
}

impl Scored {
    /// Scores a run, or says that it may not be shown.
    pub fn of(person: &Person, candidate: &Candidate<'_>, limits: Limits) -> Option<Scored> {
        let km = person.home.distance_km(&candidate.place);
        if candidate.closed_to_person || !exclusion::hard_rules(person, candidate, km, limits).is_empty() {
            return None;
        }
        let parts = fit::Parts::of(person, candidate, km);
        let score = parts.score();
        if exclusion::by_parts(&parts, limits).next().is_some() || exclusion::is_below_floor(score, limits) {
            return None;
        }
        Some(Scored { steps: (score / EQUAL_WITHIN).round() as i64, score, parts })
    }

    /// The score in steps of `EQUAL_WITHIN`: runs on one step fit equally well.
    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// The parts and the reasons in words.
    pub fn into_fit(self, person: &Person, candidate: &Candidate<'_>) -> Fit {
        self.parts.into_fit(self.score, person, candidate)
    }
}

/// The best `limit` of these, best first.
///
/// Of equal scores the sooner start stands first (`order` gives start and id), then `tie`, a keyed hash of person and run
/// (the caller puts the person and the key in), and the id after that; never the distance or the order in which they came.
pub fn best<T>(
    scored: Vec<(Scored, T)>,
    order: impl Fn(&T) -> (Instant, [u8; 16]),
    tie: impl Fn(&[u8; 16]) -> u64,
    limit: usize,
) -> Vec<(Scored, T)> {
    let mut scored = scored;
    if limit == 0 {
        return Vec::new();
    }
    if scored.len() > limit {
        let (_, last, _) = scored.select_nth_unstable_by_key(limit - 1, |(scored, _)| Reverse(scored.steps));
        let last = last.0.steps;
        scored.retain(|(scored, _)| scored.steps >= last);
    }
    let key = |(scored, item): &(Scored, T)| (Reverse(scored.steps), order(item).0);
    scored.sort_unstable_by_key(key);
    // The hash costs more than all else: it is made only where it decides.
    for equal in scored.chunk_by_mut(|one, other| key(one) == key(other)) {
        if equal.len() > 1 {
            equal.sort_by_cached_key(|(_, item)| {
                let (_, id) = order(item);
                (tie(&id), id)
            });
        }
    }
    scored.truncate(limit);
    scored
}

/// The runs that may be shown, best first, at most `limit`: positions in `candidates` and their fits.
pub fn rank(
    person: &Person,
    candidates: &[Candidate<'_>],
    tie: impl Fn(&[u8; 16]) -> u64,
    limits: Limits,
    limit: usize,
) -> Vec<(usize, Fit)> {
    let scored = |(at, candidate)| Some((Scored::of(person, candidate, limits)?, at));
    let shown = candidates.iter().enumerate().filter_map(scored).collect();
    best(shown, |at: &usize| (candidates[*at].starts_at, candidates[*at].id), tie, limit)
        .into_iter()
        .map(|(scored, at)| (at, scored.into_fit(person, &candidates[at])))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::place::Cell;
    use proptest::prelude::*;

    /// A usual list with the default floor.
    pub const USUAL: Limits =
        Limits { floor: 0.25, include_full: false, include_any_pace: false, include_outside_hours: false };
    pub const WITH_FULL: Limits = Limits { include_full: true, ..USUAL };

    pub fn band(fastest_s_per_km: i32, slowest_s_per_km: i32) -> PaceBand {
        PaceBand { fastest_s_per_km, slowest_s_per_km }
    }

    /// Chats at 6:00 to 6:40 min/km, goes 10 km, wants everything, asks for nothing.
    pub fn person() -> Person {
        Person {
            activities: vec![Activity::Walk, Activity::RunWalk, Activity::Run],
            comfortable_pace: Some(band(360, 400)),
            walking_pace: Some(band(600, 720)),
            home: LatLng { lat: 51.5, lng: -0.1 },
            travel_radius_km: 10.0,
            availability: vec![],
            languages: vec![],
            access_needs: vec![],
            not_after_dark: false,
            new_here: false,
            gentle_start: false,
        }
    }

    /// A run at the person's pace, so many kilometres north of the home cell's centre.
    pub fn run_at(km: f64) -> Candidate<'static> {
        Candidate {
            id: [0; 16],
            activity: Activity::Run,
            pace: band(370, 390),
            no_drop: false,
            place: LatLng { lat: 51.5 + (km / 6371.0088).to_degrees(), lng: -0.1 },
            starts_at: "2026-12-01T18:00:00Z".parse().unwrap(),
            local_start: civil::date(2026, 12, 1).at(18, 0, 0, 0),
            duration_min: 60,
            after_dark: false,
            languages: Cow::Borrowed(&[]),
            access: Cow::Owned(BTreeMap::new()),
            is_full: false,
            has_waiting: false,
            confirmed: 0,
            alike_or_back_marker: false,
            known_face: false,
            closed_to_person: false,
        }
    }

    pub fn any_candidate() -> impl Strategy<Value = Candidate<'static>> {
        let going = (0..3usize, 120..=1800i32, 120..=1800i32, any::<bool>());
        let crowd = (0..9u32, any::<bool>(), any::<bool>(), any::<bool>());
        (any::<[u8; 16]>(), going, crowd, -0.1..0.1f64, -0.1..0.1f64, 0..24i8, -5..400i32).prop_map(
            |(id, (kind, a, b, no_drop), (confirmed, alike, face, full), north, east, hour, duration_min)| Candidate {
                id,
                activity: [Activity::Walk, Activity::RunWalk, Activity::Run][kind],
                pace: band(a.min(b), a.max(b)),
                no_drop,
                place: LatLng { lat: 51.5 + north, lng: -0.1 + east },
                local_start: civil::date(2026, 12, 1).at(hour, 0, 0, 0),
                duration_min,
                confirmed,
                alike_or_back_marker: alike,
                known_face: face,
                is_full: full,
                ..run_at(0.0)
            },
        )
    }

    #[test]
    fn the_best_comes_first_and_the_limit_holds() {
        let runs = [run_at(6.0), run_at(1.0), run_at(30.0), run_at(3.0)];
        let order = |limit| -> Vec<usize> {
            rank(&person(), &runs, |_| 0, USUAL, limit).into_iter().map(|(position, _)| position).collect()
        };
        assert_eq!(order(10), [1, 3, 0]);
        assert_eq!(order(2), [1, 3]);
    }

    fn ids(person: &Person, runs: &[Candidate<'_>], tie: impl Fn(&[u8; 16]) -> u64) -> Vec<[u8; 16]> {
        rank(person, runs, tie, WITH_FULL, usize::MAX).into_iter().map(|(position, _)| runs[position].id).collect()
    }

    proptest! {
        #[test]
        fn equal_runs_at_one_time_stand_by_the_hash_whatever_their_distance_and_order(
            keys in prop::collection::hash_set(1..=u8::MAX, 2..12),
        ) {
            // So wide a radius that half a metre to 130 metres make no difference above 1e-9.
            let me = Person { travel_radius_km: 20_000.0, ..person() };
            let runs: Vec<_> = keys.iter().map(|k| Candidate { id: [*k; 16], ..run_at(f64::from(*k) * 5e-4) }).collect();
            let tie = |id: &[u8; 16]| u64::from(id[0].wrapping_mul(157));
            let mut by_hash: Vec<_> = runs.iter().map(|run| run.id).collect();
            by_hash.sort_by_key(tie);
            prop_assert_eq!(ids(&me, &runs, tie), by_hash.clone());
            let backwards: Vec<_> = runs.into_iter().rev().collect();
            prop_assert_eq!(ids(&me, &backwards, tie), by_hash);
        }

        #[test]
        fn two_homes_in_one_cell_get_the_same_answer(
            lat in 51.45..51.55f64, lng in -0.15..-0.05f64, child in 0..49u64,
            runs in prop::collection::vec(any_candidate(), 1..8),
        ) {
            let here = Cell::containing(LatLng { lat, lng }, 8).unwrap();
            let fine: h3o::CellIndex = here.to_string().parse().unwrap();
            let elsewhere = h3o::LatLng::from(fine.child_at(child, h3o::Resolution::Ten).unwrap());
            let elsewhere = LatLng { lat: elsewhere.lat(), lng: elsewhere.lng() };
            if let Some(there) = Cell::containing(elsewhere, 8).filter(|there| *there == here) {
                let answer = |cell: Cell| {
                    let me = Person { home: cell.centre(), ..person() };
                    let ranked = rank(&me, &runs, |id| u64::from(id[0]), WITH_FULL, 10);
                    let shut: Vec<_> = runs.iter().map(|run| exclusions(&me, run, USUAL)).collect();
                    (serde_json::to_string(&ranked).unwrap(), shut)
                };
                prop_assert_eq!(answer(here), answer(there));
            }
        }

        #[test]
        fn the_ranking_is_in_order_and_agrees_with_the_verdict(runs in prop::collection::vec(any_candidate(), 0..12)) {
            let ranked = rank(&person(), &runs, |id| u64::from(id[3]), USUAL, usize::MAX);
            for pair in ranked.windows(2) {
                prop_assert!(pair[0].1.score >= pair[1].1.score - 1e-9);
            }
            for (position, run) in runs.iter().enumerate() {
                let found = ranked.iter().find(|(at, _)| *at == position).map(|(_, fit)| fit.clone());
                prop_assert_eq!(found, verdict(&person(), run, USUAL).ok());
            }
        }
    }
}
