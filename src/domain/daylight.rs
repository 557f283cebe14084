//! Daylight: whether any part of a run is after dark.
//!
//! Dark is the sun more than six degrees below the horizon (the end of civil twilight: until then there is light
//! enough to see the path). Computed from the place and the instants alone, so polar night, polar day and clock
//! changes need no rule of their own. By Grena's third algorithm (Solar Energy 86(5), 2012), good to 0.01 degrees from
//! 2010 to 2110.

use jiff::Timestamp;
use solar_positioning::{Location, SolarPositions, time::JulianDate};

use super::place::LatLng;

/// The sun's height in degrees at which civil twilight ends.
const CIVIL_TWILIGHT: f64 = -6.0;

/// Seconds between looks at the sun. The sun only turns at its lowest and highest point, so the ends of the run and
/// its lowest point decide; within half of five minutes of the lowest point the sun moves less than 0.01 degrees.
const STEP_S: i64 = 300;

/// At most so many looks, however long the span (600 looks at five minutes are two days).
const MOST_LOOKS: i64 = 600;

/// TT minus UT1 in seconds, about right for the 2020s and 2030s; a minute of it moves the sun by a hair.
const DELTA_T_S: f64 = 69.2;

/// Unix epoch as a Julian date, days.
const EPOCH_JD: f64 = 2_440_587.5;

/// Whether the sun is below -6 degrees at any moment from `starts` to `ends` (in either order). Where the sun cannot
/// be computed (an invalid place, a year beyond 2110) the answer is true: better one run too few than a walk home in the
/// dark.
pub fn after_dark(at: LatLng, starts: Timestamp, ends: Timestamp) -> bool {
    let (first, last) = (starts.min(ends).as_second(), starts.max(ends).as_second());
    let step = STEP_S.max((last - first) / MOST_LOOKS + 1);
    let mut look = first;
    while look < last {
        if is_dark(at, look) {
            return true;
        }
        look += step;
    }
    is_dark(at, last)
}

fn is_dark(at: LatLng, unix_s: i64) -> bool {
    let location = Location { latitude: at.lat, longitude: at.lng };
    let days = unix_s as f64 / 86_400.0 + EPOCH_JD;
    JulianDate::new(days, DELTA_T_S)
        .and_then(|time| SolarPositions::grena3().at_from_julian(time, location, 0.0, None))
        .map_or(true, |sun| sun.elevation_angle() < CIVIL_TWILIGHT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONDON: LatLng = LatLng { lat: 51.5074, lng: -0.1278 };
    const SYDNEY: LatLng = LatLng { lat: -33.8688, lng: 151.2093 };
    const TROMSO: LatLng = LatLng { lat: 69.6492, lng: 18.9553 };
    const LONGYEARBYEN: LatLng = LatLng { lat: 78.2232, lng: 15.6267 };
    const STOCKHOLM: LatLng = LatLng { lat: 59.3293, lng: 18.0686 };

    fn dark(at: LatLng, starts: &str, ends: &str) -> bool {
        after_dark(at, starts.parse().unwrap(), ends.parse().unwrap())
    }

    #[test]
    fn london_in_december_is_dark_from_half_past_four_to_half_past_seven() {
        // Almanac for 21 December: dawn 07:24, dusk 16:33.
        assert!(!dark(LONDON, "2026-12-21T07:30:00Z", "2026-12-21T16:28:00Z"));
        assert!(dark(LONDON, "2026-12-21T16:00:00Z", "2026-12-21T16:40:00Z"));
        assert!(dark(LONDON, "2026-12-21T07:15:00Z", "2026-12-21T08:15:00Z"));
    }

    #[test]
    fn london_in_june_is_light_until_after_ten() {
        // Dusk on 21 June is about 22:09 by the local clock (21:09 UTC).
        assert!(!dark(LONDON, "2026-06-21T20:00:00Z", "2026-06-21T21:04:00Z"));
        assert!(dark(LONDON, "2026-06-21T20:30:00Z", "2026-06-21T21:15:00Z"));
    }

    #[test]
    fn sydney_has_its_winter_in_june() {
        // 21 June: sunset 16:54, dusk 17:21 by the local clock (07:21 UTC).
        assert!(!dark(SYDNEY, "2026-06-21T06:00:00Z", "2026-06-21T07:15:00Z"));
        assert!(dark(SYDNEY, "2026-06-21T07:00:00Z", "2026-06-21T07:30:00Z"));
    }

    #[test]
    fn the_polar_night_has_twilight_at_noon_in_tromso_and_none_in_longyearbyen() {
        assert!(!dark(TROMSO, "2026-12-21T10:15:00Z", "2026-12-21T11:15:00Z"));
        assert!(dark(TROMSO, "2026-12-21T14:00:00Z", "2026-12-21T15:00:00Z"));
        assert!(dark(LONGYEARBYEN, "2026-12-21T10:30:00Z", "2026-12-21T11:30:00Z"));
    }

    #[test]
    fn the_polar_day_is_never_dark() {
        assert!(!dark(TROMSO, "2026-06-21T00:00:00Z", "2026-06-23T00:00:00Z"));
    }

    #[test]
    fn a_short_night_between_two_light_ends_counts() {
        // Stockholm at midsummer: the sun goes to -7.2 degrees around 22:50 UTC.
        assert!(dark(STOCKHOLM, "2026-06-21T20:15:00Z", "2026-06-22T01:15:00Z"));
        assert!(!dark(STOCKHOLM, "2026-06-21T19:00:00Z", "2026-06-21T20:15:00Z"));
        assert!(dark(LONDON, "2026-03-10T23:30:00Z", "2026-03-11T00:30:00Z"));
    }

    proptest! {
        /// The slower algorithm of the same crate (SPA) is good to 0.0003 degrees.
        #[test]
        fn the_suns_height_is_right_to_a_fiftieth_of_a_degree(
            (lat, lng) in (-90.0..90.0f64, -180.0..180.0f64), unix_s in 1_767_225_600..2_556_143_999_i64,
        ) {
            let time = JulianDate::new(unix_s as f64 / 86_400.0 + EPOCH_JD, DELTA_T_S).unwrap();
            let location = Location { latitude: lat, longitude: lng };
            let height = |by: SolarPositions| by.at_from_julian(time, location, 0.0, None).unwrap().elevation_angle();
            let (ours, finest) = (height(SolarPositions::grena3()), height(SolarPositions::new()));
            prop_assert!((ours - finest).abs() < 0.02, "{ours} and {finest}");
        }
    }

    #[test]
    fn any_span_is_answered_and_an_invalid_place_counts_as_dark() {
        assert!(after_dark(LONDON, Timestamp::MIN, Timestamp::MAX));
        assert!(after_dark(LatLng { lat: f64::NAN, lng: 0.0 }, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
        let noon = "2026-06-21T12:00:00Z";
        assert!(!dark(LONDON, noon, noon));
        assert!(dark(LONDON, "2026-12-21T16:40:00Z", "2026-12-21T15:00:00Z"));
    }
}
