//! What somebody says after a run in one to three taps, and when they may. Nobody rates anybody.

use jiff::ToSpan;

use crate::clock::{Instant, at_local};

word_enum! {
    "snake_case";
    /// How the pace was.
    pub enum PaceAnswer {
        TooFast,
        Right,
        TooSlow,
    }
}

word_enum! {
    "snake_case";
    /// Where a wish to be contacted stands.
    pub enum CareStatus {
        Open,
        Taken,
        Done,
        /// The person took it back.
        Withdrawn,
    }
}

/// Days after the planned end until which answers are taken and may be changed.
pub const ANSWER_DAYS: i64 = 14;
/// Months, as days, after which answers are forgotten.
pub const KEPT_DAYS: i64 = 365;
/// Hours after which the whole team hears of a wish that nobody has taken.
pub const CARE_TEAM_HOURS: i64 = 24;
/// Hours after which the person hears that nobody has taken it, with the help lines.
pub const CARE_PERSON_HOURS: i64 = 48;

/// Until when a run that ends at `ends_at` can be spoken about.
pub fn answer_until(ends_at: Instant) -> Instant {
    ends_at.plus_days(ANSWER_DAYS)
}

/// Local hours between which a mail about a run that is over may come.
const WAKING: (i8, i8) = (8, 22);

/// The first moment from `now` on that is not at night on the clock of `zone`.
pub fn by_day(now: Instant, zone: &str) -> Instant {
    let local = now.local(zone);
    let (morning, evening) = WAKING;
    if (morning..evening).contains(&local.hour()) {
        return now;
    }
    let today = local.date().at(morning, 0, 0, 0);
    let next = if local < today { Some(today) } else { today.checked_add(1.day()).ok() };
    next.and_then(|next| at_local(next, zone)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_is_asked_at_night() {
        let asked = |now: &str| by_day(at(now), "Europe/London");
        assert_eq!(asked("2026-11-26T12:00:00Z"), at("2026-11-26T12:00:00Z"));
        assert_eq!(asked("2026-11-26T22:00:00Z"), at("2026-11-27T08:00:00Z"));
        assert_eq!(asked("2026-11-27T02:00:00Z"), at("2026-11-27T08:00:00Z"));
        assert_eq!(asked("2026-11-27T07:59:59Z"), at("2026-11-27T08:00:00Z"));
        // Summer time ends that night: ten hours and one more.
        assert_eq!(asked("2026-10-24T21:30:00Z"), at("2026-10-25T08:00:00Z"));
    }

    #[test]
    fn answers_are_taken_for_two_weeks() {
        assert_eq!(answer_until(at("2026-11-26T10:00:00Z")), at("2026-12-10T10:00:00Z"));
    }
}
