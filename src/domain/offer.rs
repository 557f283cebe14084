//! How a place that became free is passed on: held for the next in line while there is time, for the first yes after.
//!
//! Far ahead an offer is long, nearer the start short, and its clock rests at night; in the last hours nothing is held,
//! since a place that waits for one person's mail may stay empty.

use jiff::{ToSpan, civil::DateTime};

use crate::clock::{Instant, at_local};

/// The rules of the house about offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferRules {
    /// Hours before the start until which an offer is long.
    pub long_until_hours: i64,
    pub long_hours: i64,
    pub short_hours: i64,
    /// Hours before the start from which nothing is held.
    pub first_yes_hours: i64,
    /// Minutes before the start that no offer outlives.
    pub cut_off_minutes: i64,
}

/// How a free place is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Held for one person until then.
    Held(Instant),
    /// The first yes has it; people are told at `mail_at`.
    FirstYes { mail_at: Instant },
    /// Nobody is asked any more.
    TooLate,
}

/// Local hours between which an offer's clock runs: nobody need wake up for a mail.
const WAKING: (i8, i8) = (8, 22);
/// Local hours in which no mail about a free place goes out, unless the run starts before [`EARLY_START`].
const NO_MAIL: (i8, i8) = (22, 6);
/// A run that starts before this local hour is worth a mail at night.
const EARLY_START: i8 = 8;

/// How a place of a run that starts at `starts_at`, on the clock of `zone`, is passed on at `now`.
pub fn way(now: Instant, starts_at: Instant, zone: &str, rules: &OfferRules) -> Way {
    if now >= starts_at.plus_minutes(-rules.cut_off_minutes) {
        return Way::TooLate;
    }
    let first_yes_from = starts_at.plus_hours(-rules.first_yes_hours);
    if now >= first_yes_from {
        return Way::FirstYes { mail_at: mail_at(now, starts_at, zone) };
    }
    let far = now < starts_at.plus_hours(-rules.long_until_hours);
    let hours = if far { rules.long_hours } else { rules.short_hours };
    Way::Held(after_waking_hours(now, hours, zone).min(first_yes_from))
}

/// The moment at which `hours` between 08:00 and 22:00 local time have passed since `from`.
fn after_waking_hours(from: Instant, hours: i64, zone: &str) -> Instant {
    let (morning, evening) = WAKING;
    let mut at = from;
    let mut minutes_left = hours * 60;
    // Each turn is a day at most, so this ends.
    while minutes_left > 0 {
        let local = at.local(zone);
        if local.hour() < morning || local.hour() >= evening {
            at = next_at(local, morning, zone).unwrap_or_else(|| at.plus_hours(1));
            continue;
        }
        let Some(night) = next_at(local, evening, zone) else { return at.plus_minutes(minutes_left) };
        let awake = (night.timestamp().as_second() - at.timestamp().as_second()).div_euclid(60);
        if minutes_left <= awake {
            return at.plus_minutes(minutes_left);
        }
        minutes_left -= awake;
        at = night;
    }
    at
}

/// The next time the clock there shows this hour.
fn next_at(local: DateTime, hour: i8, zone: &str) -> Option<Instant> {
    let today = local.date().at(hour, 0, 0, 0);
    let then = if local < today { today } else { today.checked_add(1.day()).ok()? };
    at_local(then, zone)
}

fn mail_at(now: Instant, starts_at: Instant, zone: &str) -> Instant {
    let (local, start) = (now.local(zone), starts_at.local(zone));
    let (from, until) = NO_MAIL;
    let is_night = local.hour() >= from || local.hour() < until;
    if !is_night || start.hour() < EARLY_START {
        return now;
    }
    match next_at(local, until, zone) {
        Some(morning) if morning < starts_at => morning,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: OfferRules =
        OfferRules { long_until_hours: 72, long_hours: 24, short_hours: 4, first_yes_hours: 24, cut_off_minutes: 60 };

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn held(now: &str, start: &str) -> Way {
        way(at(now), at(start), "Europe/London", &RULES)
    }

    #[test]
    fn far_ahead_an_offer_holds_for_twenty_four_waking_hours() {
        // 10:00 on Monday: 12 hours until 22:00, 12 more from 08:00 on Tuesday.
        let until = Way::Held(at("2026-11-24T20:00:00Z"));
        assert_eq!(held("2026-11-23T10:00:00Z", "2026-11-28T09:00:00Z"), until);
    }

    #[test]
    fn from_three_days_ahead_it_holds_for_four_and_the_clock_rests_at_night() {
        let start = "2026-11-26T09:00:00Z";
        assert_eq!(held("2026-11-23T10:00:00Z", start), Way::Held(at("2026-11-23T14:00:00Z")));
        assert_eq!(held("2026-11-23T21:00:00Z", start), Way::Held(at("2026-11-24T11:00:00Z")));
        assert_eq!(held("2026-11-24T03:00:00Z", start), Way::Held(at("2026-11-24T12:00:00Z")));
    }

    #[test]
    fn no_offer_reaches_into_the_hours_of_the_first_yes() {
        let start = "2026-11-26T09:00:00Z";
        assert_eq!(held("2026-11-25T07:30:00Z", start), Way::Held(at("2026-11-25T09:00:00Z")));
        let now = at("2026-11-25T09:00:00Z");
        assert_eq!(held("2026-11-25T09:00:00Z", start), Way::FirstYes { mail_at: now });
        assert_eq!(held("2026-11-26T08:00:00Z", start), Way::TooLate);
    }

    #[test]
    fn the_night_is_counted_on_the_clock_of_the_run_even_when_it_changes() {
        // Europe/London leaves summer time on 25 October 2026 at 02:00.
        let now = at("2026-10-24T20:00:00Z"); // 21:00 there
        assert_eq!(
            way(now, at("2026-10-27T09:00:00Z"), "Europe/London", &RULES),
            Way::Held(at("2026-10-25T11:00:00Z"))
        );
    }

    #[test]
    fn at_night_people_are_told_in_the_morning_unless_the_run_is_early() {
        let late = held("2026-11-25T23:00:00Z", "2026-11-26T09:00:00Z");
        assert_eq!(late, Way::FirstYes { mail_at: at("2026-11-26T06:00:00Z") });
        let early = held("2026-11-25T23:00:00Z", "2026-11-26T07:30:00Z");
        assert_eq!(early, Way::FirstYes { mail_at: at("2026-11-25T23:00:00Z") });
        let tonight = held("2026-11-25T22:10:00Z", "2026-11-25T23:50:00Z");
        assert_eq!(tonight, Way::FirstYes { mail_at: at("2026-11-25T22:10:00Z") });
    }
}
