//! What answers after runs say about the pace at which somebody can chat. A suggestion and no more: nothing is changed
//! until the person says so.
//!
//! "Too fast" says that comfort lies on the slow side of what the group ran, "too slow" that it lies on the fast side,
//! "right" that it was this. Somebody whose own pace agrees with that already is left alone.

use super::{after_run::PaceAnswer, pace::PaceBand};

/// How many answers count: the newest, since people change.
const LAST: usize = 5;
/// How much slower a run that was too fast should have been: three quarters of a minute at 9:00 min/km.
const SLOWER: f64 = 1.08;
/// How much faster a run that was too slow could have been. Less than [`SLOWER`]: too fast hurts more than too slow.
const FASTER: f64 = 0.95;
/// What is suggested is a multiple of so many seconds; people say "6:10", not "6:11".
const STEP_S: f64 = 5.0;
/// A suggestion nearer than this, in seconds per kilometre at both ends, to what the person says already is none.
const WORTH_SAYING_S: i32 = 10;

/// One answer: the band that the run was posted with, and how it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experience {
    pub band: PaceBand,
    pub pace: PaceAnswer,
}

/// The band that somebody's answers suggest, newest answer first; `current` is what they say about themselves. None where
/// there is nothing to suggest.
pub fn suggest(current: Option<PaceBand>, answers: &[Experience]) -> Option<PaceBand> {
    let answers = answers.get(..answers.len().min(LAST)).unwrap_or_default();
    let contradicted = answers.iter().any(|answer| contradicts(answer, current));
    if answers.is_empty() || !contradicted {
        return None;
    }
    let said: Vec<(f64, f64)> = answers.iter().map(|answer| comfort(answer, current)).collect();
    let mean = |ends: &dyn Fn(&(f64, f64)) -> f64| {
        let logs: f64 = said.iter().map(|one| ends(one).ln()).sum();
        #[allow(clippy::cast_precision_loss, reason = "there are five at most")]
        let count = said.len() as f64;
        rounded((logs / count).exp())
    };
    let band = PaceBand { fastest_s_per_km: mean(&|one| one.0), slowest_s_per_km: mean(&|one| one.1) };
    Some(band).filter(|band| current.is_none_or(|current| is_worth_saying(current, *band)))
}

/// Whether an answer says something else than the person's own pace. Without one, every answer says something new.
fn contradicts(answer: &Experience, current: Option<PaceBand>) -> bool {
    let Some(current) = current else { return true };
    let (mine, ran) = (current.middle(), answer.band.middle());
    match answer.pace {
        PaceAnswer::TooFast => mine < ran * SLOWER,
        PaceAnswer::TooSlow => mine > ran * FASTER,
        PaceAnswer::Right => false,
    }
}

/// Where comfort lies by one answer, both ends in s/km.
fn comfort(answer: &Experience, current: Option<PaceBand>) -> (f64, f64) {
    if let Some(current) = current.filter(|_| !contradicts(answer, current)) {
        return current.in_order();
    }
    let (fast, slow) = answer.band.in_order();
    let by = match answer.pace {
        PaceAnswer::TooFast => SLOWER,
        PaceAnswer::Right => 1.0,
        PaceAnswer::TooSlow => FASTER,
    };
    (fast * by, slow * by)
}

#[allow(clippy::cast_possible_truncation, reason = "it lies between the bounds of a pace")]
fn rounded(s_per_km: f64) -> i32 {
    let step = (s_per_km / STEP_S).round() * STEP_S;
    step.clamp(f64::from(PaceBand::MIN), f64::from(PaceBand::MAX)) as i32
}

fn is_worth_saying(current: PaceBand, band: PaceBand) -> bool {
    let apart = |a: i32, b: i32| (a - b).abs() >= WORTH_SAYING_S;
    apart(current.fastest_s_per_km, band.fastest_s_per_km) || apart(current.slowest_s_per_km, band.slowest_s_per_km)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn band(fastest_s_per_km: i32, slowest_s_per_km: i32) -> PaceBand {
        PaceBand { fastest_s_per_km, slowest_s_per_km }
    }

    fn ran(fast: i32, slow: i32, pace: PaceAnswer) -> Experience {
        Experience { band: band(fast, slow), pace }
    }

    use PaceAnswer::{Right, TooFast, TooSlow};

    #[test]
    fn whoever_has_no_pace_is_proposed_one_by_the_first_answer() {
        assert_eq!(suggest(None, &[]), None);
        assert_eq!(suggest(None, &[ran(370, 405, Right)]), Some(band(370, 405)));
        assert_eq!(suggest(None, &[ran(370, 405, TooFast)]), Some(band(400, 435)));
        assert_eq!(suggest(None, &[ran(370, 405, TooSlow)]), Some(band(350, 385)));
    }

    #[test]
    fn too_fast_suggests_slower_and_too_slow_faster() {
        let mine = Some(band(370, 405));
        assert_eq!(suggest(mine, &[ran(370, 405, TooFast)]), Some(band(400, 435)));
        assert_eq!(suggest(mine, &[ran(370, 405, TooSlow)]), Some(band(350, 385)));
    }

    #[test]
    fn what_agrees_with_the_own_pace_suggests_nothing() {
        let mine = Some(band(400, 440));
        for agrees in [ran(370, 405, TooFast), ran(480, 520, TooSlow), ran(400, 440, Right), ran(380, 420, Right)] {
            assert_eq!(suggest(mine, &[agrees]), None, "{agrees:?}");
        }
    }

    #[test]
    fn one_bad_day_among_good_ones_says_little() {
        let good = ran(400, 440, Right);
        let suggested = suggest(Some(band(400, 440)), &[ran(400, 440, TooFast), good, good, good, good]);
        assert_eq!(suggested, None);
    }

    #[test]
    fn only_the_newest_count() {
        let mine = Some(band(400, 440));
        let (good, old) = (ran(400, 440, Right), ran(300, 330, TooSlow));
        assert_eq!(suggest(mine, &[good, good, good, good, good, old, old, old]), None);
    }

    proptest! {
        #[test]
        fn a_suggestion_is_always_a_pace(
            fast in 120..1800_i32, width in 0..600_i32, mine in prop::option::of((120..1800_i32, 0..600_i32)),
            answers in prop::collection::vec(0..3_usize, 0..9),
        ) {
            let one = |at: &usize| ran(fast, (fast + width).min(1800), [TooFast, Right, TooSlow][*at]);
            let current = mine.map(|(fast, width)| band(fast, (fast + width).min(1800)));
            let answers: Vec<_> = answers.iter().map(one).collect();
            if let Some(found) = suggest(current, &answers) {
                prop_assert!(!found.is_upside_down());
                prop_assert!((120..=1800).contains(&found.fastest_s_per_km) && found.slowest_s_per_km <= 1800);
            }
        }

        #[test]
        fn whoever_only_says_too_fast_is_never_led_to_run_faster(
            fast in 200..900_i32, width in 0..100_i32, mine in 200..900_i32, many in 1..6_usize,
        ) {
            let current = band(mine, mine + 40);
            let answers = vec![ran(fast, fast + width, TooFast); many];
            if let Some(found) = suggest(Some(current), &answers) {
                prop_assert!(found.middle() + 5.0 >= current.middle(), "{current:?} {answers:?} {found:?}");
            }
        }
    }
}
