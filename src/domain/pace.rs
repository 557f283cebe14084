//! Pace: kinds of going, bands of seconds per kilometre, and the words people read for them.
//!
//! A pace is whole seconds per kilometre, so a bigger number is slower. What a pace is worth to a person is
//! decided in `matching`; here it is only read, written and put into words. Invariant: every function answers for
//! every band, even one that should have been refused at the door.

use serde::{Deserialize, Serialize};

word_enum! {
    "snake_case";
    /// How the group goes.
    pub enum Activity {
        /// Walking throughout.
        Walk,
        /// Running and walking by turns.
        RunWalk,
        /// Running throughout.
        Run,
    }
}

impl Activity {
    /// The word people read: "walk", "run-walk" or "run".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::RunWalk => "run-walk",
            Self::Run => "run",
        }
    }

    /// Which of somebody's two paces counts: walking has its own, run-walks use the running one.
    pub fn pace_of<T>(self, comfortable: T, walking: T) -> T {
        match self {
            Self::Walk => walking,
            Self::RunWalk | Self::Run => comfortable,
        }
    }
}

/// A span of paces in whole seconds per kilometre, both ends included; bigger is slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaceBand {
    /// The fast end, in seconds per kilometre.
    #[schema(minimum = 120, maximum = 1800, example = 370)]
    pub fastest_s_per_km: i32,
    /// The slow end, in seconds per kilometre; not below `fastest_s_per_km`.
    #[schema(minimum = 120, maximum = 1800, example = 405)]
    pub slowest_s_per_km: i32,
}

/// 5 mph in s/km: the Compendium's first running row; slower is "jogging".
const JOGGING: f64 = 447.0;
/// 6 mph in s/km.
const STEADY: f64 = 373.0;
/// 7 mph in s/km.
const BRISK_RUN: f64 = 320.0;
/// 8 mph in s/km.
const FAST_RUN: f64 = 280.0;
/// 2.5 mph in s/km: the Compendium's "slow" walking.
const STROLL: f64 = 895.0;
/// 3.5 mph in s/km: the Compendium's "brisk" walking.
const BRISK_WALK: f64 = 639.0;
/// 4 mph in s/km: the Compendium's "very brisk" walking.
const VERY_BRISK_WALK: f64 = 559.0;

impl PaceBand {
    /// The fastest pace taken, s/km: 2:00 min/km, faster than any race over a kilometre.
    pub const MIN: i32 = 120;
    /// The slowest pace taken, s/km: 30:00 min/km, a very slow walk (2 km/h).
    pub const MAX: i32 = 1800;

    /// The geometric middle in s/km: as many per cent from the fast end as from the slow one.
    pub fn middle(&self) -> f64 {
        let (fast, slow) = self.in_order();
        (fast * slow).sqrt()
    }

    /// Whether the ends are the wrong way round, which input checks refuse.
    pub fn is_upside_down(&self) -> bool {
        self.fastest_s_per_km > self.slowest_s_per_km
    }

    /// (fast, slow) in s/km, whichever way round they were given and never below 1, so that ratios and logarithms of
    /// them are finite.
    pub fn in_order(&self) -> (f64, f64) {
        let fast = self.fastest_s_per_km.min(self.slowest_s_per_km).max(1);
        let slow = self.fastest_s_per_km.max(self.slowest_s_per_km).max(1);
        (f64::from(fast), f64::from(slow))
    }

    /// "6:10–6:45 min/km", or "6:10 min/km" when both ends are the same.
    pub fn in_min_per_km(&self) -> String {
        let (fast, slow) = (minutes(self.fastest_s_per_km), minutes(self.slowest_s_per_km));
        if fast == slow { format!("{fast} min/km") } else { format!("{fast}–{slow} min/km") }
    }

    /// Plain words for the effort at the middle of the band.
    ///
    /// Effort belongs to the person, so the words say what such a pace is to many people. The limits are rows of the
    /// Compendium of Physical Activities (2011 and 2024): walking at 2.5 mph is "slow", at 3.5 "brisk", at 4 "very
    /// brisk"; jogging ends at 5 mph, and running costs about 10 MET at 6 mph, 11 at 7 and 12 at 8.
    pub fn in_words(&self, activity: Activity) -> &'static str {
        let pace = self.middle();
        match activity {
            Activity::Run if pace >= JOGGING => "a very gentle jog with plenty of breath for talking",
            Activity::Run if pace >= STEADY => "a gentle jog at which many people can chat",
            Activity::Run if pace >= BRISK_RUN => "a steady run for people who run regularly",
            Activity::Run if pace >= FAST_RUN => "a brisk run for people who run a lot",
            Activity::Run => "a fast run for people who train",
            Activity::RunWalk if pace >= VERY_BRISK_WALK => "mostly walking, with short and gentle jogs",
            Activity::RunWalk if pace >= JOGGING => "gentle jogging and walking by turns",
            Activity::RunWalk => "steady running with walking breaks",
            Activity::Walk if pace >= STROLL => "a slow stroll",
            Activity::Walk if pace > BRISK_WALK => "a walk at an everyday pace",
            Activity::Walk if pace > VERY_BRISK_WALK => "a brisk walk",
            Activity::Walk => "a very brisk walk",
        }
    }
}

fn minutes(s_per_km: i32) -> String {
    let s = s_per_km.max(0);
    format!("{}:{:02}", s / 60, s % 60)
}

/// Reads "6:10" (minutes and two digits of seconds) or "370" (seconds) as seconds per kilometre. None for anything
/// else and for what lies outside [`PaceBand::MIN`] to [`PaceBand::MAX`].
pub fn parse_pace(text: &str) -> Option<i32> {
    let text = text.trim();
    let number = |digits: &str| -> Option<i32> {
        let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    };
    let pace = match text.split_once(':') {
        Some((min, sec)) if sec.len() == 2 => {
            let sec = number(sec).filter(|s| *s < 60)?;
            number(min)? * 60 + sec
        }
        Some(_) => return None,
        None => number(text)?,
    };
    (PaceBand::MIN..=PaceBand::MAX).contains(&pace).then_some(pace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn band(fastest_s_per_km: i32, slowest_s_per_km: i32) -> PaceBand {
        PaceBand { fastest_s_per_km, slowest_s_per_km }
    }

    #[test]
    fn a_band_is_written_as_people_say_it() {
        assert_eq!(band(370, 405).in_min_per_km(), "6:10–6:45 min/km");
        assert_eq!(band(420, 420).in_min_per_km(), "7:00 min/km");
    }

    #[test]
    fn paces_are_read_in_both_ways_and_nonsense_is_not() {
        assert_eq!(parse_pace("6:10"), Some(370));
        assert_eq!(parse_pace(" 370 "), Some(370));
        assert_eq!(parse_pace("30:00"), Some(1800));
        for nonsense in ["", "6:1", "6:60", ":30", "6:", "-370", "+370", "6", "30:01", "6:10:00", "6.5", "99999999999"]
        {
            assert_eq!(parse_pace(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn words_follow_the_activity() {
        assert_eq!(band(480, 480).in_words(Activity::Run), "a very gentle jog with plenty of breath for talking");
        assert_eq!(band(370, 405).in_words(Activity::Run), "a gentle jog at which many people can chat");
        assert_eq!(band(240, 250).in_words(Activity::Run), "a fast run for people who train");
        assert_eq!(band(600, 600).in_words(Activity::Walk), "a brisk walk");
        assert_eq!(band(700, 800).in_words(Activity::Walk), "a walk at an everyday pace");
        assert_eq!(band(450, 500).in_words(Activity::RunWalk), "gentle jogging and walking by turns");
    }

    #[test]
    fn activities_have_one_code_everywhere() {
        assert_eq!(serde_json::to_string(&Activity::RunWalk).unwrap(), "\"run_walk\"");
        assert_eq!(Activity::RunWalk.to_string(), "run_walk");
        assert_eq!("run_walk".parse::<Activity>().unwrap(), Activity::RunWalk);
        assert_eq!(Activity::RunWalk.in_words(), "run-walk");
    }

    #[test]
    fn unknown_fields_of_a_band_are_refused() {
        let text = r#"{"fastest_s_per_km":370,"slowest_s_per_km":405,"kind":1}"#;
        assert!(serde_json::from_str::<PaceBand>(text).is_err());
        assert!(band(405, 370).is_upside_down());
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(pace in PaceBand::MIN..=PaceBand::MAX) {
            prop_assert_eq!(parse_pace(&minutes(pace)), Some(pace));
            prop_assert_eq!(parse_pace(&pace.to_string()), Some(pace));
        }

        #[test]
        fn the_middle_lies_inside(a in PaceBand::MIN..=PaceBand::MAX, b in PaceBand::MIN..=PaceBand::MAX) {
            let (fast, slow) = (a.min(b), a.max(b));
            let middle = band(fast, slow).middle();
            prop_assert!(f64::from(fast) - 1e-9 <= middle && middle <= f64::from(slow) + 1e-9);
        }

        #[test]
        fn no_band_breaks_anything(a: i32, b: i32, text in ".{0,8}") {
            prop_assert!(band(a, b).middle().is_finite());
            prop_assert!(!band(a, b).in_words(Activity::Walk).is_empty());
            prop_assert!(!band(a, b).in_min_per_km().is_empty());
            let _ = parse_pace(&text);
        }
    }
}
