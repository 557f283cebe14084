//! Who may come: the hard rules. Each has a cause that is explained when asked, save one.
//!
//! Not here: the words (in `reasons`), open sign-ups and the wanted time (the caller asks only for such runs), and
//! the readiness check, which is never read. Invariant: what one side did not say never filters.

use super::{
    Candidate, Limits, Person,
    fit::{Parts, faster_by},
};
use crate::domain::pace::Activity;

/// Why a run is not shown to a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// Not an activity the person wants.
    Activity,
    /// Beyond the travel radius.
    TooFar,
    /// Faster than the tolerance past the person's comfortable pace.
    TooFast,
    /// Both sides named languages and none is shared.
    Language,
    /// This need (its key) is answered with no.
    Access(String),
    /// After dark, and the person does not want that.
    AfterDark,
    /// The person gave no pace and the group does not wait.
    PaceNotSureYet,
    /// Within the tolerance, and still a pace that hardly suits the person.
    FarFromPace,
    /// Too little of it lies in the hours that the person gave.
    OutsideHours,
    /// Nothing rules it out by itself, and all together it fits too little.
    PoorFit,
    /// No place left.
    Full,
    /// Closed to this person for a cause that is not told.
    NotOpenToYou,
}

/// Past this logarithm of the ratio of paces (10.5%) a faster run is not shown at all (matching.md).
pub(super) const TOO_FAST_BEYOND: f64 = 0.10;

/// A pace part below this is no match (matching.md, 4e).
pub(super) const LEAST_PACE_PART: f64 = 0.1;
/// A run lies in somebody's hours from this share of its time on (matching.md, 4a).
pub(super) const IN_HOURS_FROM: f64 = 0.75;

/// Every cause for which the run is not shown; empty when it may be.
///
/// [`Exclusion::NotOpenToYou`] comes only when it is the one cause: next to another it would tell, for no need, that
/// something unexplained stands between two people. [`Exclusion::PoorFit`] comes only where nothing else explains it.
pub fn exclusions(person: &Person, candidate: &Candidate<'_>, limits: Limits) -> Vec<Exclusion> {
    let km = person.home.distance_km(&candidate.place);
    let parts = Parts::of(person, candidate, km);
    let mut causes = hard_rules(person, candidate, km, limits);
    let told = causes.iter().any(|cause| matches!(cause, Exclusion::TooFast | Exclusion::PaceNotSureYet));
    causes.extend(by_parts(&parts, limits).filter(|cause| !told || *cause != Exclusion::FarFromPace));
    if causes.is_empty() && is_below_floor(parts.score(), limits) {
        causes.push(Exclusion::PoorFit);
    }
    if causes.is_empty() && candidate.closed_to_person {
        causes.push(Exclusion::NotOpenToYou);
    }
    causes
}

/// The causes that a part of the fit gives: hours and pace.
pub(super) fn by_parts(parts: &Parts, limits: Limits) -> impl Iterator<Item = Exclusion> {
    let outside = !limits.include_outside_hours && parts.time < IN_HOURS_FROM;
    let far = !limits.include_any_pace && parts.pace < LEAST_PACE_PART;
    let far = far.then_some(Exclusion::FarFromPace);
    outside.then_some(Exclusion::OutsideHours).into_iter().chain(far)
}

/// Whether a score is too low for a match.
pub(super) fn is_below_floor(score: f64, limits: Limits) -> bool {
    !limits.include_any_pace && score < limits.floor
}

/// The rules that need no fit, for a run that is so many kilometres from the centre of the home cell.
pub(super) fn hard_rules(person: &Person, candidate: &Candidate<'_>, km: f64, limits: Limits) -> Vec<Exclusion> {
    let wanted = person.activities.is_empty() || person.activities.contains(&candidate.activity);
    let within = km <= person.travel_radius_km;
    let pace = match person.pace_for(candidate.activity) {
        _ if candidate.no_drop => None,
        Some(mine) => (faster_by(mine, candidate.pace) > TOO_FAST_BEYOND).then_some(Exclusion::TooFast),
        None => (candidate.activity == Activity::Run).then_some(Exclusion::PaceNotSureYet),
    };
    let understood = languages_meet(&person.languages, &candidate.languages) != Some(false);
    let denied = person.access_needs.iter().filter(|need| candidate.access.get(*need) == Some(&false));

    let mut causes = vec![];
    causes.extend((!wanted).then_some(Exclusion::Activity));
    causes.extend((!within).then_some(Exclusion::TooFar));
    causes.extend(pace);
    causes.extend((!understood).then_some(Exclusion::Language));
    causes.extend(denied.cloned().map(Exclusion::Access));
    causes.extend((person.not_after_dark && candidate.after_dark).then_some(Exclusion::AfterDark));
    causes.extend((candidate.is_full && !limits.include_full).then_some(Exclusion::Full));
    causes
}

/// Whether the two share a language; None when one side said nothing. "pt-BR" and "pt" are one language.
pub(in crate::domain) fn languages_meet(mine: &[String], theirs: &[String]) -> Option<bool> {
    fn said(tags: &[String]) -> impl Iterator<Item = &str> {
        tags.iter().map(|tag| tag.trim().split(['-', '_']).next().unwrap_or_default()).filter(|tag| !tag.is_empty())
    }
    let both_said = said(mine).next().is_some() && said(theirs).next().is_some();
    both_said.then(|| said(mine).any(|tag| said(theirs).any(|other| tag.eq_ignore_ascii_case(other))))
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, collections::BTreeMap};

    use super::*;
    use crate::domain::{
        matching::{
            tests::{USUAL, WITH_FULL, any_candidate, band, person, run_at},
            verdict,
        },
        place::LatLng,
    };
    use proptest::prelude::*;

    fn causes(person: &Person, candidate: &Candidate<'_>) -> Vec<Exclusion> {
        exclusions(person, candidate, USUAL)
    }

    #[test]
    fn a_fitting_run_is_shown() {
        assert_eq!(causes(&person(), &run_at(2.0)), []);
    }

    #[test]
    fn each_hard_rule_names_its_cause() {
        let me = Person {
            activities: vec![Activity::Run],
            languages: vec!["de".into()],
            access_needs: vec!["step_free".into(), "toilets".into()],
            not_after_dark: true,
            ..person()
        };
        let run = Candidate {
            activity: Activity::RunWalk,
            pace: band(250, 300),
            languages: vec!["en".into()].into(),
            access: Cow::Owned(BTreeMap::from([("step_free".into(), false), ("toilets".into(), true)])),
            after_dark: true,
            is_full: true,
            closed_to_person: true,
            ..run_at(12.0)
        };
        use Exclusion as E;
        let all =
            [E::Activity, E::TooFar, E::TooFast, E::Language, E::Access("step_free".into()), E::AfterDark, E::Full];
        assert_eq!(causes(&me, &run), all);
    }

    #[test]
    fn the_unexplained_cause_stands_alone() {
        let closed = Candidate { closed_to_person: true, ..run_at(2.0) };
        assert_eq!(causes(&person(), &closed), [Exclusion::NotOpenToYou]);
        let far = Candidate { closed_to_person: true, ..run_at(20.0) };
        assert_eq!(causes(&person(), &far), [Exclusion::TooFar]);
    }

    const ANY_PACE: Limits = Limits { include_any_pace: true, ..USUAL };

    #[test]
    fn ten_per_cent_too_fast_is_left_out_unless_the_group_waits() {
        let causes = |run: &Candidate<'_>| exclusions(&person(), run, ANY_PACE);
        // ln(360/326) = 0.0992, ln(360/325) = 0.1023.
        assert_eq!(causes(&Candidate { pace: band(300, 326), ..run_at(2.0) }), []);
        let faster = Candidate { pace: band(300, 325), ..run_at(2.0) };
        assert_eq!(causes(&faster), [Exclusion::TooFast]);
        assert_eq!(causes(&Candidate { no_drop: true, ..faster }), []);
        assert_eq!(causes(&Candidate { pace: band(900, 1000), ..run_at(2.0) }), []);
    }

    #[test]
    fn pace_part_under_a_tenth_is_no_match() {
        // 0.8 exp(-(r/0.04)²/2) is 0.1 at r = 0.08157: 360/331.80 s/km; where the group waits r is twice that.
        assert_eq!(causes(&person(), &Candidate { pace: band(300, 332), ..run_at(0.0) }), []);
        let faster = Candidate { pace: band(300, 331), ..run_at(0.0) };
        assert_eq!(causes(&person(), &faster), [Exclusion::FarFromPace]);
        assert_eq!(causes(&person(), &Candidate { no_drop: true, ..faster }), []);
        assert_eq!(
            causes(&person(), &Candidate { pace: band(290, 300), no_drop: true, ..run_at(0.0) })[..],
            [Exclusion::FarFromPace]
        );
        // exp(-(r/0.12)²/2) is 0.1 at r = 0.25752: 400 x 1.29372 = 517.5 s/km.
        assert_eq!(causes(&person(), &Candidate { pace: band(517, 600), ..run_at(0.0) }), []);
        assert_eq!(causes(&person(), &Candidate { pace: band(518, 600), ..run_at(0.0) }), [Exclusion::FarFromPace]);
    }

    #[test]
    fn run_with_a_quarter_outside_the_hours_is_inside() {
        let windows = r#"[{"weekday":"tue","from":"18:00","to":"18:45"}]"#;
        let me = Person { availability: serde_json::from_str(windows).unwrap(), ..person() };
        assert_eq!(causes(&me, &run_at(2.0)), [], "45 of 60 minutes");
        let longer = Candidate { duration_min: 61, ..run_at(2.0) };
        assert_eq!(causes(&me, &longer), [Exclusion::OutsideHours]);
        let limits = Limits { include_outside_hours: true, ..USUAL };
        assert_eq!(exclusions(&me, &longer, limits), []);
    }

    #[test]
    fn score_below_the_floor_is_no_match() {
        let run = Candidate { pace: band(300, 333), ..run_at(9.9) };
        let score = crate::domain::matching::fit(&person(), &run).score;
        let with_floor = |floor| exclusions(&person(), &run, Limits { floor, ..USUAL });
        assert_eq!(with_floor(score), []);
        assert_eq!(with_floor(score + 1e-9), [Exclusion::PoorFit]);
        let far = Candidate { place: LatLng { lat: 52.5, lng: -0.1 }, ..run };
        assert_eq!(exclusions(&person(), &far, Limits { floor: 0.9, ..USUAL }), [Exclusion::TooFar]);
    }

    #[test]
    fn without_a_pace_only_kinds_that_wait_are_shown() {
        let unsure = Person { comfortable_pace: None, walking_pace: None, ..person() };
        assert_eq!(causes(&unsure, &run_at(2.0)), [Exclusion::PaceNotSureYet]);
        assert_eq!(causes(&unsure, &Candidate { no_drop: true, ..run_at(2.0) }), []);
        assert_eq!(causes(&unsure, &Candidate { activity: Activity::Walk, ..run_at(2.0) }), []);
        assert_eq!(causes(&unsure, &Candidate { activity: Activity::RunWalk, ..run_at(2.0) }), []);
    }

    #[test]
    fn silence_never_filters() {
        let asks = Person {
            languages: vec!["pt-BR".into()],
            access_needs: vec!["step_free".into()],
            activities: vec![],
            ..person()
        };
        assert_eq!(causes(&asks, &run_at(2.0)), []);
        assert_eq!(causes(&asks, &Candidate { languages: vec!["PT".into()].into(), ..run_at(2.0) }), []);
        assert_eq!(causes(&person(), &Candidate { languages: vec!["pl".into()].into(), ..run_at(2.0) }), []);
    }

    #[test]
    fn full_runs_come_on_request() {
        let full = Candidate { is_full: true, ..run_at(2.0) };
        assert_eq!(causes(&person(), &full), [Exclusion::Full]);
        assert!(verdict(&person(), &full, WITH_FULL).is_ok());
    }

    #[test]
    fn a_distance_that_cannot_be_known_is_too_far() {
        let nowhere = Candidate { place: LatLng { lat: f64::NAN, lng: 0.0 }, ..run_at(2.0) };
        assert_eq!(causes(&person(), &nowhere), [Exclusion::TooFar]);
    }

    proptest! {
        #[test]
        fn group_that_waits_is_never_too_fast(run in any_candidate(), a in 120..=1800i32, b in 120..=1800i32) {
            let me = Person { comfortable_pace: Some(band(a.min(b), a.max(b))), walking_pace: None, ..person() };
            let run = Candidate { no_drop: true, ..run };
            let shut = exclusions(&me, &run, WITH_FULL);
            prop_assert!(!shut.contains(&Exclusion::TooFast) && !shut.contains(&Exclusion::PaceNotSureYet));
        }
    }
}
