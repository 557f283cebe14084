//! Upper bounds of scores, computed cheaply: a search for the best few runs weighs only those that can be among them.
//!
//! A [`PackedRun`] holds what decides the bound in less than half a cache line, so that thousands are read in some
//! microseconds. Fractions replace logarithms and never lie below them. Invariant: a bound is never below the score of
//! [`fit`](super::fit()) and never refuses what [`exclusions`](super::exclusions) lets through; a property test holds it.

use jiff::civil;

use super::{
    IndexedRun, Limits, Person, Viewer,
    exclusion::TOO_FAST_BEYOND,
    fit::{
        COMPANY_WEIGHT, DISTANCE_WEIGHT, FAST_SCALE, FAST_SCALE_NO_DROP, KNOWN_FACES_WEIGHT, NO_KNOWN_FACE, NOT_GENTLE,
        PACE_WEIGHT, PART_FLOOR, SLOW_SCALE, TIME_WEIGHT, distance_part, needs_gentler_than,
    },
};
use crate::domain::{
    availability::Hours,
    pace::Activity,
    place::{OnSphere, SPHERE_RADIUS_KM},
};

/// The facts of a run that decide the bound of its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PackedRun {
    at: OnSphere,
    /// Seconds per kilometre, in order.
    fast: u16,
    slow: u16,
    /// Minutes since Monday's midnight on the local clock.
    local_start: u16,
    duration_min: u16,
    marks: u8,
}

/// The marks of a packed; the three lowest bits are the activities.
const NO_DROP: u8 = 1 << 3;
const IS_FULL: u8 = 1 << 4;
const IS_CLOSED: u8 = 1 << 5;
const AFTER_DARK: u8 = 1 << 6;
const COMPANY_COUNTS: u8 = 1 << 7;
const ACTIVITIES: [Activity; 3] = [Activity::Walk, Activity::RunWalk, Activity::Run];

fn bit(activity: Activity) -> u8 {
    1 << activity as u8
}

impl PackedRun {
    /// Packs the facts of a run.
    pub fn of(run: &IndexedRun) -> Self {
        let small = |number: i32| u16::try_from(number.max(0)).unwrap_or(u16::MAX);
        let (one, other) = (small(run.pace.fastest_s_per_km), small(run.pace.slowest_s_per_km));
        let mark = |is_so: bool, mark: u8| if is_so { mark } else { 0 };
        Self {
            at: OnSphere::of(run.place),
            fast: one.min(other),
            slow: one.max(other),
            local_start: minute_of_week(run.local_start),
            duration_min: run.duration_min,
            marks: bit(run.activity)
                | mark(run.no_drop, NO_DROP)
                | mark(run.is_full, IS_FULL)
                | mark(run.is_closed, IS_CLOSED)
                | mark(run.after_dark, AFTER_DARK)
                | mark(run.company_counts(), COMPANY_COUNTS),
        }
    }

    fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }
}

fn minute_of_week(local: civil::DateTime) -> u16 {
    let days = u16::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
    let number = |part: i8| u16::try_from(part).unwrap_or(0);
    days * 24 * 60 + number(local.hour()) * 60 + number(local.minute())
}

/// A person's side of one activity.
#[derive(Debug, Clone, Copy)]
struct Side {
    /// The band, in order; none where no pace is given.
    band: Option<(f64, f64)>,
    /// Slowest paces below this are beyond the tolerance.
    too_fast_below: u16,
    /// Logarithm of the factor of a run that does not wait.
    unless_no_drop: f64,
}

/// A person's preferences, prepared for bounding the scores of many runs.
#[derive(Debug, Clone)]
pub struct ScoreBound {
    home: OnSphere,
    hours: Hours,
    /// A run wholly outside the hours is left out.
    hours_bind: bool,
    travel_radius_km: f64,
    /// Logarithm of the least pace part of a run that is not left out.
    least_pace: f64,
    sides: [Side; 3],
    /// A run with one of these marks is left out.
    refused: u8,
    /// What is the same for all runs: the logarithm of known faces at best, weighed.
    always: f64,
    /// The logarithm of the distance part at each whole kilometre, as the exact score has it.
    by_km: Vec<f64>,
}

/// By so much the whole kilometres that count can be fewer than the distance.
const ROUNDED_UP_KM: f64 = 0.5;
/// As far as distances are computed ahead, in kilometres: the furthest that a profile can name.
const KM_KEPT: f64 = 50.0;
/// Rounding of the cheap distance, in kilometres.
const SLACK_KM: f64 = 0.01;
/// Logarithm of the pace part at the fast end, rounded up.
const AT_FAST_END_LN: f64 = -0.223_143;
/// Logarithm of the least that a part counts, rounded up.
const PART_FLOOR_LN: f64 = -3.912_023;
/// Logarithm of the least pace part of a match, 0.1, rounded down.
const LEAST_PACE_LN: f64 = -2.302_586;

/// At most the logarithm of `more / less`, for `more` not below `less`; 0.002 % below it at a tenth more.
fn least_ln(more: f64, less: f64) -> f64 {
    2.0 * (more - less) / (more + less)
}

impl ScoreBound {
    /// Prepares a person's preferences.
    pub fn of(viewer: &Viewer, limits: Limits) -> Self {
        let person = &viewer.person;
        let unwanted = |activity: &Activity| !person.activities.is_empty() && !person.activities.contains(activity);
        let activities = ACTIVITIES.iter().filter(|a| unwanted(a)).fold(0, |marks, activity| marks | bit(*activity));
        let dark = if person.not_after_dark { AFTER_DARK } else { 0 };
        let full = if limits.include_full { 0 } else { IS_FULL };
        let known_at_best = if viewer.known.is_empty() { NO_KNOWN_FACE } else { 1.0 };
        Self {
            home: OnSphere::of(person.home),
            hours: Hours::of(&person.availability),
            hours_bind: !limits.include_outside_hours,
            least_pace: if limits.include_any_pace { f64::NEG_INFINITY } else { LEAST_PACE_LN },
            travel_radius_km: person.travel_radius_km,
            sides: ACTIVITIES.map(|activity| Side::of(person, activity)),
            refused: activities | dark | full | IS_CLOSED,
            always: KNOWN_FACES_WEIGHT * known_at_best.ln(),
            by_km: Self::distances(person.travel_radius_km),
        }
    }

    fn distances(travel_radius_km: f64) -> Vec<f64> {
        let whole = (travel_radius_km.clamp(0.0, KM_KEPT) + 1.0) as usize;
        (0..=whole).map(|km| distance_part(km as f64, travel_radius_km).max(PART_FLOOR).ln()).collect()
    }

    /// Drops the distances that are computed ahead: a bound that is kept for long computes them as it needs them.
    pub fn forget_distances(&mut self) {
        self.by_km = Vec::new();
    }

    /// Leaves runs in whose list a facilitator has closed.
    pub fn include_closed(&mut self) {
        self.refused &= !IS_CLOSED;
    }

    /// Logarithm of the most that this run can score; none where it is surely left out.
    pub fn upper_bound(&self, run: &PackedRun) -> Option<f64> {
        if self.leaves_out(run) {
            return None;
        }
        let nearest = self.nearest_km(run);
        if nearest > self.travel_radius_km {
            return None;
        }
        self.upper_bound_at(run, nearest)
    }

    /// Whether the run is closed or one of the hard rules surely leaves it out, told without a word about why.
    fn leaves_out(&self, run: &PackedRun) -> bool {
        run.has(self.refused) || (run.slow < self.side(run).too_fast_below && !run.has(NO_DROP))
    }

    fn side(&self, run: &PackedRun) -> &Side {
        &self.sides[(run.marks & 0b111).trailing_zeros() as usize % 3]
    }

    /// The nearest that the run can be, in kilometres.
    fn nearest_km(&self, run: &PackedRun) -> f64 {
        (self.home.chord(run.at) * SPHERE_RADIUS_KM - SLACK_KM).max(0.0)
    }

    /// Logarithm of the most that anything at this distance or further can score.
    pub fn upper_bound_beyond(&self, km: f64) -> f64 {
        // The weights add up to one where company counts; where it does not, the same parts weigh more and score less.
        DISTANCE_WEIGHT * self.distance_ln(km, f64::ln_1p) + self.always
    }

    /// From how many kilometres on nothing can score as much as this, a logarithm; infinity where anything might.
    pub fn reach_km(&self, ln: f64) -> f64 {
        let part = (ln - self.always) / DISTANCE_WEIGHT;
        if part <= PART_FLOOR_LN {
            return f64::INFINITY;
        }
        // The distance's part is 1 / (1 + (km / half)²).
        let half = 0.5 * self.travel_radius_km.max(0.0);
        half * ((-part).exp() - 1.0).max(0.0).sqrt() + ROUNDED_UP_KM + SLACK_KM
    }

    /// Logarithm of the most that this run, so near at best, can score; none where pace or hours leave it out.
    fn upper_bound_at(&self, run: &PackedRun, nearest_km: f64) -> Option<f64> {
        let side = self.side(run);
        let pace = side.band.map_or(0.0, |band| highest_pace_part_ln(band, run));
        if pace < self.least_pace {
            return None;
        }
        let time = match self.hours.meet(run.local_start, run.duration_min) {
            true => 0.0,
            false if self.hours_bind => return None,
            false => TIME_WEIGHT * PART_FLOOR_LN,
        };
        let sum = PACE_WEIGHT * pace
            + DISTANCE_WEIGHT * self.distance_ln(nearest_km, |x| least_ln(1.0 + x, 1.0))
            + time
            + self.always;
        let most = if run.has(COMPANY_COUNTS) { sum } else { sum / (1.0 - COMPANY_WEIGHT) };
        Some(most + if run.has(NO_DROP) { 0.0 } else { side.unless_no_drop })
    }

    fn distance_ln(&self, km: f64, ln_1p: impl Fn(f64) -> f64) -> f64 {
        // A nearer run is never further in whole kilometres. The cast cuts off instead of calling `round`: this is done for
        // thousands of runs.
        let whole = (km + 0.5) as usize;
        if let Some(known) = self.by_km.get(whole) {
            return *known;
        }
        let km = whole as f64;
        let half = 0.5 * self.travel_radius_km.max(0.0);
        // At a radius of zero all but home itself is nothing; the exact rule decides there.
        if half <= 0.0 || km <= 0.0 {
            return 0.0;
        }
        let squared = (km / half) * (km / half);
        (-ln_1p(squared)).max(PART_FLOOR_LN)
    }
}

impl Side {
    fn of(person: &Person, activity: Activity) -> Self {
        let band = person.pace_for(activity).map(|band| band.in_order());
        let too_fast_below = match band {
            // One second of slack: the exact rule decides after.
            Some((fast, _)) => (fast * (-TOO_FAST_BEYOND).exp()).floor().max(1.0) as u16 - 1,
            None if activity == Activity::Run => u16::MAX,
            None => 0,
        };
        let gentle = needs_gentler_than(person, activity, false);
        Self { band, too_fast_below, unless_no_drop: if gentle { NOT_GENTLE.ln() } else { 0.0 } }
    }
}

/// At least the logarithm of the pace part and of what it counts; what lies between the middle and the fast end counts
/// as the middle.
fn highest_pace_part_ln((my_fast, my_slow): (f64, f64), run: &PackedRun) -> f64 {
    let (run_fast, run_slow) = (f64::from(run.fast), f64::from(run.slow));
    let fall = |excess: f64, scale: f64| -(excess / scale) * (excess / scale) / 2.0;
    let part = if run_fast > my_slow {
        fall(least_ln(run_fast, my_slow), SLOW_SCALE)
    } else if run_slow >= my_fast {
        0.0
    } else {
        let scale = if run.has(NO_DROP) { FAST_SCALE_NO_DROP } else { FAST_SCALE };
        AT_FAST_END_LN + fall(least_ln(my_fast, run_slow), scale)
    };
    part.max(PART_FLOOR_LN)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use proptest::prelude::*;
    use smallvec::smallvec;

    use super::*;
    use crate::{
        clock::Instant,
        domain::{
            matching::{
                Candidate, Scored,
                engagements::Engagements,
                fit::AT_FAST_END,
                side::{Closed, Listed, Said},
                tests::{USUAL, any_candidate, band, person},
            },
            run::ListingRole,
        },
        id::Id,
    };

    fn side(run: &Candidate<'_>, leader: Id) -> IndexedRun {
        let starts_at: Instant = "2026-12-01T10:00:00Z".parse().unwrap();
        IndexedRun {
            id: Id::at(starts_at),
            series: None,
            starts_at,
            local_start: run.local_start,
            place: run.place,
            pace: run.pace,
            duration_min: u16::try_from(run.duration_min).unwrap_or(0),
            activity: run.activity,
            no_drop: run.no_drop,
            after_dark: run.after_dark,
            is_full: run.is_full,
            has_waiting: run.has_waiting,
            is_closed: false,
            point_is_hidden: false,
            confirmed: u16::try_from(run.confirmed).unwrap(),
            said: Arc::new(Said::default()),
            listed: smallvec![Listed { id: leader, is_accepted: true, is_active: true, role: ListingRole::Leader }],
            company: Box::new([]),
        }
    }

    proptest! {
        #[test]
        fn nothing_scores_above_its_bound(
            runs in prop::collection::vec(any_candidate(), 1..20),
            (fast, slow) in (150..900i32, 0..200i32), no_pace: bool, new_here: bool, gentle_start: bool,
            (radius, include_full, knows) in (0.5..60.0f64, any::<bool>(), any::<bool>()),
            (include_any_pace, include_outside_hours) in any::<(bool, bool)>(),
            windows in prop::collection::vec((0..7usize, 0..23i64, 1..10i64), 0..4),
        ) {
            let leader = Id::random();
            let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let window = |(weekday, from, long): &(usize, i64, i64)| {
                let to = (from + long).min(24);
                let text = format!(r#"{{"weekday":"{}","from":"{from:02}:30","to":"{to:02}:00"}}"#, day[*weekday]);
                serde_json::from_str(&text).unwrap()
            };
            let me = Person {
                comfortable_pace: (!no_pace).then(|| band(fast, fast + slow)),
                travel_radius_km: radius,
                availability: windows.iter().map(window).collect(),
                new_here,
                gentle_start,
                ..person()
            };
            let known = if knows { [leader].into() } else { BTreeSet::new() };
            let viewer = Viewer { id: Id::random(), person: me, known, closed: Closed::default(), engagements: Engagements::default() };
            let limits = Limits { include_full, include_any_pace, include_outside_hours, ..USUAL };
            let bound = ScoreBound::of(&viewer, limits);
            prop_assert!(AT_FAST_END.ln() <= AT_FAST_END_LN && PART_FLOOR.ln() <= PART_FLOOR_LN);
            for run in &runs {
                let side = side(run, leader);
                let packed = PackedRun::of(&side);
                let Some(scored) = Scored::of(&viewer.person, &side.candidate(&viewer), limits) else { continue };
                let most = bound.upper_bound(&packed);
                prop_assert!(most.is_some(), "left out: {side:?}");
                let score = scored.into_fit(&viewer.person, &side.candidate(&viewer)).score;
                let nearest = bound.nearest_km(&packed);
                prop_assert!(nearest <= viewer.person.home.distance_km(&side.place));
                let best = most.unwrap().exp();
                prop_assert!(best >= score - 1e-9, "{best} < {score}: {side:?}");
                prop_assert!(bound.upper_bound_beyond(nearest).exp() >= score - 1e-9);
                prop_assert!(nearest < bound.reach_km((score - 1e-9).ln()));
            }
        }
    }
}
