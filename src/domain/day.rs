//! The day itself: when the facilitators' desk is open for which act, and the words of an incident.
//!
//! All windows are counted from a run's start and its planned end; a facilitator ticks people off at the meeting point,
//! and corrects the list in the evening or the days after.

use super::refusal::{Code, Refusal};
use crate::clock::Instant;

/// Hours before the start from which people are checked in, emergency contacts and the day's contact are shown.
pub const OPEN_HOURS_BEFORE: i64 = 2;
/// Hours after the planned end until which an emergency contact and shared access needs can be looked at.
pub const CONTACT_HOURS_AFTER: i64 = 4;
/// Days before the start from which shared access needs can be looked at: as soon as there is a sign-up, since a ramp or an
/// interpreter takes weeks to find. No run is planned longer ahead.
pub const NEEDS_DAYS_BEFORE: i64 = 366;
/// Hours after the planned end until which the confirmed see how to reach a facilitator.
pub const DAY_CONTACT_HOURS_AFTER: i64 = 1;
/// Hours after the planned end at which a run counts as over, and nobody walks in any more.
pub const COMPLETE_AFTER_HOURS: i64 = 2;
/// Days after the planned end until which the list can be corrected, and after a mark until which it can be undone.
pub const CORRECTED_DAYS: i64 = 7;
/// Days after the planned end until which an incident is reported with the run's list at hand.
pub const INCIDENT_DAYS: i64 = 14;
/// Hours after the planned end at which the facilitators are asked about those who were not signed out.
pub const ASK_AFTER_HOURS: i64 = 1;

/// Something that is done around a run, each with its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::VariantArray)]
pub enum DayAct {
    /// Check in, sign out, choose pairs; and correct that.
    Mark,
    /// Say that somebody did not come.
    MarkNoShow,
    /// Take in somebody who was not signed up.
    WalkIn,
    /// Look at an emergency contact.
    SeeContact,
    /// Look at the access needs that somebody shares.
    SeeNeeds,
    /// Be told how to reach a facilitator.
    SeeDayContact,
    ReportIncident,
}

/// When `act` is possible: from the first moment, before the second.
pub fn window(act: DayAct, starts_at: Instant, ends_at: Instant) -> (Instant, Instant) {
    let open = starts_at.plus_hours(-OPEN_HOURS_BEFORE);
    match act {
        DayAct::Mark => (open, ends_at.plus_days(CORRECTED_DAYS)),
        DayAct::MarkNoShow => (starts_at, ends_at.plus_days(CORRECTED_DAYS)),
        DayAct::WalkIn => (open, ends_at.plus_hours(COMPLETE_AFTER_HOURS)),
        DayAct::SeeContact => (open, ends_at.plus_hours(CONTACT_HOURS_AFTER)),
        DayAct::SeeNeeds => (starts_at.plus_days(-NEEDS_DAYS_BEFORE), ends_at.plus_hours(CONTACT_HOURS_AFTER)),
        DayAct::SeeDayContact => (open, ends_at.plus_hours(DAY_CONTACT_HOURS_AFTER)),
        DayAct::ReportIncident => (open, ends_at.plus_days(INCIDENT_DAYS)),
    }
}

/// Whether `act` is possible at `now`.
///
/// # Errors
/// [`Code::DeskNotOpen`] with `from`, [`Code::DeskClosed`] with `until`.
pub fn possible(act: DayAct, starts_at: Instant, ends_at: Instant, now: Instant) -> Result<(), Refusal> {
    let (from, until) = window(act, starts_at, ends_at);
    if now < from {
        return Err(Refusal::from(Code::DeskNotOpen).with("from", from));
    }
    if now >= until {
        return Err(Refusal::from(Code::DeskClosed).with("until", until));
    }
    Ok(())
}

word_enum! {
    "snake_case";
    /// How bad an incident was.
    pub enum Severity {
        /// It could have gone wrong.
        NearMiss,
        /// Somebody needed help, and it was enough.
        Minor,
        /// Somebody was hurt, went missing or was in danger.
        Serious,
    }
}

word_enum! {
    "snake_case";
    /// Why a welfare moderator opens a sealed list.
    pub enum SealReason {
        Report,
        Incident,
        Appeal,
        /// A court or the police asked, with a right to.
        Authority,
        /// Somebody on it asked.
        PersonAsked,
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_window_holds_its_first_moment_and_not_its_last() {
        let (start, end): (Instant, Instant) =
            ("2026-11-26T09:00:00Z".parse().unwrap(), "2026-11-26T10:00:00Z".parse().unwrap());
        for act in DayAct::VARIANTS {
            let (from, until) = window(*act, start, end);
            let code = |now| possible(*act, start, end, now).map_err(|refusal| refusal.code);
            assert_eq!(code(from.plus_seconds(-1)), Err(Code::DeskNotOpen), "{act:?}");
            assert_eq!(code(from), Ok(()), "{act:?}");
            assert_eq!(code(until.plus_seconds(-1)), Ok(()), "{act:?}");
            assert_eq!(code(until), Err(Code::DeskClosed), "{act:?}");
        }
        assert_eq!(window(DayAct::SeeContact, start, end).1, "2026-11-26T14:00:00Z".parse().unwrap());
        assert_eq!(window(DayAct::MarkNoShow, start, end).0, start);
    }
}
