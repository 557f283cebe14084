//! The numbers of a fit: each part from 0 to 1, and the blend.
//!
//! Pace is asymmetric on purpose. Run-therapy practice lets the slowest set the group's pace, and people who always
//! run with faster ones come home exhausted and feeling inferior, so a run that is too fast costs three times as much
//! as one that is too slow. Every number is from matching.md unless it says otherwise. Invariant: every part and
//! every score is finite and between 0 and 1.

use serde::Serialize;

use super::{Candidate, Person, reasons::Reason};
use crate::domain::{
    availability::share_inside,
    pace::{Activity, PaceBand},
};

/// How well a run fits a person.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Fit {
    /// The blend of all parts, 0 to 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub score: f64,
    /// Is the group's pace one at which the person can chat?
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub pace: f64,
    /// How near, for somebody of this travel radius?
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub distance: f64,
    /// The share of the run inside the person's hours.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub time: f64,
    /// Will nobody be alone at the back? Null until enough people are confirmed that it tells of none of them.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub company: Option<f64>,
    /// Is there a facilitator the person has run with before?
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub known_faces: f64,
    /// The same in plain words.
    pub reasons: Vec<Reason>,
}

impl Fit {
    /// With numbers to three decimals, as answers show them; comparisons use the full ones.
    pub fn rounded(self) -> Fit {
        let round = |number: f64| (number * 1000.0).round() / 1000.0;
        Fit {
            score: round(self.score),
            pace: round(self.pace),
            distance: round(self.distance),
            time: round(self.time),
            company: self.company.map(round),
            known_faces: round(self.known_faces),
            reasons: self.reasons,
        }
    }
}

pub(super) const PACE_WEIGHT: f64 = 0.40;
pub(super) const DISTANCE_WEIGHT: f64 = 0.20;
pub(super) const TIME_WEIGHT: f64 = 0.15;
pub(super) const COMPANY_WEIGHT: f64 = 0.15;
pub(super) const KNOWN_FACES_WEIGHT: f64 = 0.10;

/// No part counts for less in the blend, so that no single one makes all others meaningless.
pub(super) const PART_FLOOR: f64 = 0.02;

/// Pace at the fast end of the comfortable band, where the talking begins to cost.
pub(super) const AT_FAST_END: f64 = 0.8;
/// Width of the fall past the fast end, as logarithm of the ratio of paces.
pub(super) const FAST_SCALE: f64 = 0.04;
/// The same where the group waits for everyone.
pub(super) const FAST_SCALE_NO_DROP: f64 = 0.08;
/// Too fast hurts so many times as much as too slow. The one-tap answers after runs tell whether it is right.
const ASYMMETRY: f64 = 3.0;
/// Width of the fall past the slow end: 0.12.
pub(super) const SLOW_SCALE: f64 = FAST_SCALE * ASYMMETRY;
/// Pace of somebody who gave none, on kinds of run where that does not matter.
const PACE_NOT_SURE: f64 = 0.9;

/// Paces at which most adults walk, in s/km: 1.5 to 1.2 m/s, comfortable gait speeds of adults up to their seventies
/// (Bohannon and Williams Andrews, Physiotherapy 97, 2011).
const USUAL_WALK: (f64, f64) = (667.0, 833.0);
/// A walk at any other pace counts at least so much of [`PACE_NOT_SURE`]. Our choice: it costs about what going half the
/// travel radius does.
const UNUSUAL_WALK: f64 = 0.75;

/// Company is only told from so many confirmed on: of fewer it would give a person's pace away.
pub const COMPANY_FROM: u32 = 5;
const ALONE_AT_THE_BACK: f64 = 0.6;
pub(super) const NO_KNOWN_FACE: f64 = 0.8;

/// Factor on the blended score of a run that is no gentle start for somebody who needs one.
pub(super) const NOT_GENTLE: f64 = 0.7;
/// Factor on the blended score for each access need of the person that the run says nothing about. Our choice: enough to
/// put a run that says yes above its silent twin, and no more than what going a quarter of the travel radius costs.
const NOT_SAID: f64 = 0.95;

/// How much faster the run is than the person's band, as logarithm of the ratio of paces: ln(F / gs) > 0 past the
/// fast end F, -ln(gf / S) < 0 past the slow end S, 0 where the bands meet.
pub fn faster_by(mine: PaceBand, run: PaceBand) -> f64 {
    let ((my_fast, my_slow), (run_fast, run_slow)) = (mine.in_order(), run.in_order());
    if run_slow < my_fast {
        (my_fast / run_slow).ln()
    } else if run_fast > my_slow {
        -(run_fast / my_slow).ln()
    } else {
        0.0
    }
}

/// Half a bell: 1 at no excess, 0.61 at one `scale`.
fn fall(excess: f64, scale: f64) -> f64 {
    (-(excess / scale).powi(2) / 2.0).exp()
}

/// The pace part for a person's band (fast end, slow end) and a run's, all s/km.
///
/// From the middle M of the band to its fast end F it falls evenly in the logarithm of the pace, as all else here.
/// A band of a single pace has no such stretch: there the part steps from 1 to 0.8.
fn pace_part((my_fast, my_slow): (f64, f64), (run_fast, run_slow): (f64, f64), no_drop: bool) -> f64 {
    let middle = (my_fast * my_slow).sqrt();
    if run_fast > my_slow {
        fall((run_fast / my_slow).ln(), SLOW_SCALE)
    } else if run_slow >= middle {
        1.0
    } else if run_slow >= my_fast {
        let share = (middle / run_slow).ln() / (middle / my_fast).ln();
        1.0 - (1.0 - AT_FAST_END) * share
    } else {
        let scale = if no_drop { FAST_SCALE_NO_DROP } else { FAST_SCALE };
        AT_FAST_END * fall((my_fast / run_slow).ln(), scale)
    }
}

/// The pace part of a walk for somebody who did not say how fast they walk: that of most adults counts, so that a brisk
/// walk stands behind an everyday one, and none is left out.
fn walk_at_no_pace(run: (f64, f64)) -> f64 {
    PACE_NOT_SURE * pace_part(USUAL_WALK, run, false).max(UNUSUAL_WALK)
}

/// 1 at home, 0.5 at half the travel radius, 0.2 at its end. A distance or radius that is no number counts as 0.
///
/// The distance counts in whole kilometres, as people are told it: a home is known to its cell of about 0.9 km only, so that
/// what lies within a kilometre says nothing, and of two runs so alike the sooner is to stand first.
pub(super) fn distance_part(distance_km: f64, travel_radius_km: f64) -> f64 {
    let distance_km = distance_km.round();
    if distance_km <= 0.0 {
        return 1.0;
    }
    unit(1.0 / (1.0 + (distance_km / (0.5 * travel_radius_km.max(0.0))).powi(2)))
}

/// Between 0 and 1, and 0 for what is no number.
fn unit(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

/// The parts of a fit before they are put into words.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    pub(super) pace: f64,
    distance: f64,
    pub(super) time: f64,
    company: Option<f64>,
    known_faces: f64,
    /// Product of the factors on the blend.
    factor: f64,
    /// Kilometres from the centre of the home cell.
    pub(super) km: f64,
}

impl Parts {
    /// `km`: how far the run is from the centre of the person's home cell.
    pub(super) fn of(person: &Person, run: &Candidate<'_>, km: f64) -> Parts {
        let pace = match person.pace_for(run.activity) {
            Some(mine) => pace_part(mine.in_order(), run.pace.in_order(), run.no_drop),
            None if run.activity == Activity::Walk => walk_at_no_pace(run.pace.in_order()),
            None => PACE_NOT_SURE,
        };
        let company = if run.alike_or_back_marker { 1.0 } else { ALONE_AT_THE_BACK };
        let gentle = if needs_gentler(person, run) { NOT_GENTLE } else { 1.0 };
        let unsaid = unsaid_needs(person, run).count();
        Parts {
            pace: unit(pace),
            distance: distance_part(km, person.travel_radius_km),
            time: unit(share_inside(&person.availability, run.local_start, run.duration_min)),
            company: (run.confirmed >= COMPANY_FROM).then_some(company),
            known_faces: if run.known_face { 1.0 } else { NO_KNOWN_FACE },
            factor: (0..unsaid).fold(gentle, |factor, _| factor * NOT_SAID),
            km,
        }
    }

    /// Weighted geometric mean of the parts, each at least [`PART_FLOOR`], so that one bad part cannot be bought off;
    /// times the factors. A part that is absent leaves its weight to the others.
    pub(super) fn score(&self) -> f64 {
        let parts = [
            (PACE_WEIGHT, Some(self.pace)),
            (DISTANCE_WEIGHT, Some(self.distance)),
            (TIME_WEIGHT, Some(self.time)),
            (COMPANY_WEIGHT, self.company),
            (KNOWN_FACES_WEIGHT, Some(self.known_faces)),
        ];
        let (mut sum, mut weights) = (0.0, 0.0);
        for (weight, part) in parts.into_iter().filter_map(|(weight, part)| Some((weight, part?))) {
            sum += weight * part.max(PART_FLOOR).ln();
            weights += weight;
        }
        unit((sum / weights).exp() * self.factor)
    }

    /// `score`: as [`score`](Self::score) gives it.
    pub(super) fn into_fit(self, score: f64, person: &Person, run: &Candidate<'_>) -> Fit {
        let Parts { pace, distance, time, company, known_faces, km, .. } = self;
        let reasons = Reason::list(person, run, km, time, company);
        Fit { score, pace, distance, time, company, known_faces, reasons }
    }
}

/// Somebody new here who gave no pace for this activity or asked for a gentle start, on a plain run.
pub(super) fn needs_gentler(person: &Person, run: &Candidate<'_>) -> bool {
    needs_gentler_than(person, run.activity, run.no_drop)
}

/// The same of a kind of run.
pub(super) fn needs_gentler_than(person: &Person, activity: Activity, no_drop: bool) -> bool {
    let unsure = person.gentle_start || person.pace_for(activity).is_none();
    person.new_here && unsure && !no_drop && activity == Activity::Run
}

/// The person's access needs that the run says nothing about.
pub(super) fn unsaid_needs<'a>(person: &'a Person, run: &'a Candidate<'_>) -> impl Iterator<Item = &'a str> {
    person.access_needs.iter().map(String::as_str).filter(|need| !run.access.contains_key(*need))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::domain::matching::{
        fit,
        tests::{any_candidate, band, person, run_at},
    };
    use proptest::prelude::*;

    /// For whom a run 2 km away has a distance part of 0.8.
    fn goes_8_km() -> Person {
        Person { travel_radius_km: 8.0, ..person() }
    }

    const MINE: (f64, f64) = (360.0, 400.0);

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-6
    }

    #[test]
    fn pace_by_hand() {
        let part = |fast, slow, no_drop| pace_part(MINE, (fast, slow), no_drop);
        // M = sqrt(360 x 400) = 379.473.
        assert_eq!(part(340.0, 380.0, false), 1.0);
        assert_eq!(part(400.0, 430.0, false), 1.0);
        // ln(379.473/370) / ln(379.473/360) = 0.0252806 / 0.0526803 = 0.479888
        assert!(near(part(340.0, 370.0, false), 0.904022));
        assert!(near(part(340.0, 360.0, false), 0.8));
        // r = ln(360/350) = 0.0281709: 0.8 exp(-0.247999)
        assert!(near(part(330.0, 350.0, false), 0.624288));
        // no_drop, r = ln(360/300) = 0.182322: 0.8 exp(-2.596971)
        assert!(near(part(280.0, 300.0, true), 0.059599));
        // slow, r = ln(450/400) = 0.117783: exp(-0.481697)
        assert!(near(part(450.0, 480.0, false), 0.617734));
        assert_eq!(SLOW_SCALE, 0.12);
    }

    #[test]
    fn distance_by_hand() {
        assert!(near(distance_part(0.0, 10.0), 1.0));
        assert!(near(distance_part(2.0, 8.0), 0.8));
        assert!(near(distance_part(2.4, 8.0), 0.8), "whole kilometres count");
        assert!(near(distance_part(5.0, 10.0), 0.5));
        assert!(near(distance_part(10.0, 10.0), 0.2));
        assert_eq!(distance_part(1.0, 0.0), 0.0);
        assert_eq!(distance_part(0.49, 10.0), 1.0);
        assert_eq!(distance_part(f64::NAN, 10.0), 0.0);
    }

    #[test]
    fn the_blend_by_hand() {
        // Company unknown: 0.8^((0.20 + 0.10) / 0.85).
        let run = run_at(2.0);
        assert!(near(fit(&goes_8_km(), &run).score, 0.924265));
        // 0.8^0.30 x 0.6^0.15 with five confirmed and nobody of like pace.
        let five = Candidate { confirmed: 5, ..run.clone() };
        assert!(near(fit(&goes_8_km(), &five).score, 0.866263));
        assert_eq!(fit(&goes_8_km(), &Candidate { confirmed: 4, ..run.clone() }).company, None);
        // All good: a known face, company, at home.
        let best = Candidate { confirmed: 9, alike_or_back_marker: true, known_face: true, ..run_at(0.0) };
        assert_eq!(fit(&goes_8_km(), &best).score, 1.0);
        // One part at the floor: time 0 counts 0.02^(0.15/0.85).
        let busy = Person {
            availability: vec![serde_json::from_str(r#"{"weekday":"sun","from":"08:00","to":"10:00"}"#).unwrap()],
            ..goes_8_km()
        };
        assert!(near(fit(&busy, &run).score, 0.924265 * 0.02f64.powf(0.15 / 0.85)));
    }

    #[test]
    fn a_missing_pace_counts_nine_tenths() {
        let unsure = Person { comfortable_pace: None, ..goes_8_km() };
        assert_eq!(fit(&unsure, &Candidate { no_drop: true, ..run_at(1.0) }).pace, 0.9);
        assert_eq!(fit(&unsure, &Candidate { activity: Activity::RunWalk, ..run_at(1.0) }).pace, 0.9);
        let walk = Candidate { activity: Activity::Walk, pace: band(600, 700), ..run_at(1.0) };
        assert_eq!(fit(&unsure, &walk).pace, 1.0);
    }

    #[test]
    fn somebody_new_who_wants_a_gentle_start_sees_gentle_runs_first() {
        let new = Person { new_here: true, gentle_start: true, ..goes_8_km() };
        let run = run_at(2.0);
        assert!(near(fit(&new, &run).score, 0.7 * 0.924265));
        assert!(near(fit(&new, &Candidate { no_drop: true, ..run.clone() }).score, 0.924265));
        assert!(near(fit(&Person { gentle_start: false, ..new }, &run).score, 0.924265));
    }

    #[test]
    fn what_is_not_said_ranks_a_little_lower() {
        let asks = Person { languages: vec!["en".into()], access_needs: vec!["step_free".into()], ..goes_8_km() };
        let silent = run_at(2.0);
        assert!(near(fit(&asks, &silent).score, 0.95 * 0.924265));
        let open = Candidate {
            languages: vec!["en-GB".into()].into(),
            access: Cow::Owned([("step_free".to_owned(), true)].into()),
            ..silent
        };
        assert!(near(fit(&asks, &open).score, 0.924265));
        assert!(near(fit(&goes_8_km(), &open).score, 0.924265));
    }

    #[test]
    fn numbers_are_shown_to_three_decimals() {
        let shown = fit(&goes_8_km(), &Candidate { confirmed: 5, ..run_at(2.0) }).rounded();
        assert_eq!((shown.score, shown.distance, shown.company), (0.866, 0.8, Some(0.6)));
    }

    fn any_parts() -> impl Strategy<Value = Parts> {
        let part = || 0.0..=1.0f64;
        (part(), part(), part(), prop::option::of(part()), part(), part()).prop_map(
            |(pace, distance, time, company, known_faces, factor)| Parts {
                pace,
                distance,
                time,
                company,
                known_faces,
                factor,
                km: 0.0,
            },
        )
    }

    proptest! {
        #[test]
        fn too_fast_never_scores_above_too_slow_by_the_same_ratio(
            fast in 120.0..1800.0f64, width in 1.0..1.5f64, ratio in 1.0..3.0f64, run_width in 1.0..1.3f64, no_drop: bool,
        ) {
            let mine = (fast, fast * width);
            let faster = pace_part(mine, (fast / ratio / run_width, fast / ratio), no_drop);
            let slower = pace_part(mine, (mine.1 * ratio, mine.1 * ratio * run_width), no_drop);
            prop_assert!(faster <= slower, "{faster} > {slower}");
        }

        #[test]
        fn a_better_part_never_lowers_the_score(parts in any_parts(), which in 0..5, better in 0.0..=1.0f64) {
            let mut improved = parts;
            match which {
                0 => improved.pace = parts.pace.max(better),
                1 => improved.distance = parts.distance.max(better),
                2 => improved.time = parts.time.max(better),
                3 => improved.company = parts.company.map(|company| company.max(better)),
                _ => improved.known_faces = parts.known_faces.max(better),
            }
            prop_assert!(improved.score() >= parts.score() - 1e-15);
        }

        #[test]
        fn the_pace_part_has_no_jumps(fast in 120.0..1800.0f64, width in 1.02..1.5f64, no_drop: bool) {
            let mine = (fast, fast * width);
            let middle = (mine.0 * mine.1).sqrt();
            for edge in [middle, fast] {
                let (below, above) = (edge * (1.0 - 1e-9), edge * (1.0 + 1e-9));
                let step = pace_part(mine, (1.0, above), no_drop) - pace_part(mine, (1.0, below), no_drop);
                prop_assert!(step.abs() < 1e-6, "{step} at {edge}");
            }
            let slow_end = |share: f64| pace_part(mine, (mine.1 * share, mine.1 * 2.0), no_drop);
            prop_assert!((slow_end(1.0 - 1e-9) - slow_end(1.0 + 1e-9)).abs() < 1e-6);
        }

        #[test]
        fn a_faster_group_never_fits_better_on_the_fast_side(
            a in 120.0..400.0f64, b in 120.0..400.0f64, no_drop: bool,
        ) {
            let (faster, slower) = (a.min(b), a.max(b));
            let part = |slowest| pace_part(MINE, (110.0, slowest), no_drop);
            prop_assert!(part(faster) <= part(slower) + 1e-12);
        }

        #[test]
        fn further_away_never_fits_better(a in 0.0..60.0f64, b in 0.0..60.0f64, radius in 0.1..60.0f64) {
            prop_assert!(distance_part(a.min(b), radius) >= distance_part(a.max(b), radius));
            let me = Person { travel_radius_km: radius, ..goes_8_km() };
            prop_assert!(fit(&me, &run_at(a.min(b))).score >= fit(&me, &run_at(a.max(b))).score - 1e-12);
        }

        #[test]
        fn every_number_is_between_nought_and_one(
            run in any_candidate(), paces in prop::array::uniform4(any::<i32>()),
            radius in any::<f64>(), lat in any::<f64>(),
            needs in prop::collection::vec("[a-z_]{0,6}", 0..4),
        ) {
            let me = Person {
                comfortable_pace: Some(band(paces[0], paces[1])),
                travel_radius_km: radius,
                home: crate::domain::place::LatLng { lat, lng: -0.1 },
                access_needs: needs,
                ..goes_8_km()
            };
            let run = Candidate { pace: band(paces[2], paces[3]), ..run };
            let fit = fit(&me, &run);
            for number in [fit.score, fit.pace, fit.distance, fit.time, fit.company.unwrap_or(1.0), fit.known_faces] {
                prop_assert!((0.0..=1.0).contains(&number), "{fit:?}");
            }
            prop_assert!(!fit.reasons.iter().any(|reason| reason.text.contains("NaN")));
        }
    }
}
