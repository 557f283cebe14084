//! When people are reminded of a run: the day before at the same wall-clock time, and two hours before.
//!
//! The day before is counted on the clock of the place, so a run at 09:00 on the day the clocks change is reminded of
//! at 09:00 the day before, 23 or 25 hours ahead. Two hours are two hours.

use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::clock::{Instant, at_local};

/// Which reminder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Moment {
    DayBefore,
    TwoHours,
}

impl Moment {
    /// When this reminder of a run is due.
    pub fn due_at(self, starts_at: Instant, zone: &str) -> Instant {
        match self {
            Self::TwoHours => starts_at.plus_hours(-2),
            Self::DayBefore => starts_at
                .local(zone)
                .checked_sub(1.day())
                .ok()
                .and_then(|day_before| at_local(day_before, zone))
                .unwrap_or_else(|| starts_at.plus_hours(-24)),
        }
    }

    /// The reminder that is due at `now`, if any: never after the start, and of two that are due only the later, so
    /// that a worker that was away does not tell people the same twice.
    pub fn due_now(starts_at: Instant, zone: &str, now: Instant) -> Option<Self> {
        if now >= starts_at {
            return None;
        }
        [Self::TwoHours, Self::DayBefore].into_iter().find(|moment| moment.due_at(starts_at, zone) <= now)
    }
}

/// How long before a start the earliest reminder can be due: a day and the largest change of a clock.
pub const LOOK_AHEAD_HOURS: i64 = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn the_day_before_is_the_same_time_on_the_clock_there() {
        // Europe/London leaves summer time on 25 October 2026, 02:00 -> 01:00.
        let sunday_nine = at("2026-10-25T09:00:00Z");
        assert_eq!(Moment::DayBefore.due_at(sunday_nine, "Europe/London"), at("2026-10-24T08:00:00Z"));
        // Lord Howe moves by half an hour on 4 October 2026.
        let lord_howe = at("2026-10-03T22:00:00Z"); // 09:00 at +11:00
        assert_eq!(Moment::DayBefore.due_at(lord_howe, "Australia/Lord_Howe"), at("2026-10-02T22:30:00Z"));
        assert_eq!(Moment::TwoHours.due_at(sunday_nine, "Europe/London"), at("2026-10-25T07:00:00Z"));
    }

    #[test]
    fn a_day_before_that_falls_into_a_gap_is_moved_forward() {
        // 28 March 2027, 01:30 does not exist in London; a run on the 29th at 01:30 is reminded of at 02:30.
        let run = at("2027-03-29T00:30:00Z");
        assert_eq!(Moment::DayBefore.due_at(run, "Europe/London"), at("2027-03-28T01:30:00Z"));
    }

    #[test]
    fn of_two_reminders_that_are_due_only_the_later_goes_out_and_none_after_the_start() {
        let start = at("2026-11-28T09:00:00Z");
        assert_eq!(Moment::due_now(start, "UTC", at("2026-11-27T08:59:59Z")), None);
        assert_eq!(Moment::due_now(start, "UTC", at("2026-11-27T09:00:00Z")), Some(Moment::DayBefore));
        assert_eq!(Moment::due_now(start, "UTC", at("2026-11-28T07:00:00Z")), Some(Moment::TwoHours));
        assert_eq!(Moment::due_now(start, "UTC", start), None);
    }
}
