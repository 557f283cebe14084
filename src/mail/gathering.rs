//! Which mails are gathered, and how two become one. Facts are read when a mail leaves, so that of most kinds the later one
//! says all that there is to say.

use super::notice::{Change, DateChange, Notice};
use crate::{domain::gathering::Patience, id::Id};

/// Rows that one mail names at most; the queue or the list that it links to has all of them.
const NAMED: usize = 50;

impl Notice {
    /// The thing of which mails of this kind to one person are gathered: the run that it is about, or whoever caused it.
    /// None for what somebody asked for, for decisions, which go out one by one, and for what has a rule of its own.
    pub fn topic(&self, run: Option<Id>, by: Option<Id>) -> Option<String> {
        let one = |id: Option<Id>| id.map(|id| id.to_string());
        match self {
            Self::SignupConfirmed { .. }
            | Self::SignupWaitlisted { .. }
            | Self::PlaceFree { .. }
            | Self::OfferLapsed { .. }
            | Self::AskedToRunAsTwo { .. }
            | Self::AskedToLeadOne { .. }
            | Self::RunChanged { .. }
            | Self::RunPaused { .. }
            | Self::RunResumed { .. }
            | Self::LeadRunPaused { .. }
            | Self::LeadRunChanged { .. }
            | Self::LeadersChanged { .. }
            | Self::Missed { .. }
            | Self::CheckedIn { .. }
            | Self::CheckInUndone { .. }
            | Self::ParticipantWithdrew { .. }
            | Self::SubstituteWanted { .. }
            | Self::RunTouched { .. } => one(run),
            Self::FacilitatorUnlisted { run_id, .. } | Self::CoFacilitatorInvited { run_id, .. } => one(Some(*run_id)),
            Self::BecameRegular { series_id }
            | Self::RegularEnded { series_id }
            | Self::SeriesChanged { series_id, .. } => one(Some(*series_id)),
            // One person who asks again and again does not hold up the requests of others.
            Self::SignupRequested { .. } => Some(format!("{}:{}", run?, by?)),
            Self::Barred { .. }
            | Self::ReportReceived { .. }
            | Self::AppealReceived { .. }
            | Self::ApplicationReceived { .. }
            | Self::BlockAsked { .. }
            | Self::CareAsked { overdue: false, .. } => one(by),
            Self::VerifyEmail { .. }
            | Self::AlreadyRegistered { .. }
            | Self::ResetPassword { .. }
            | Self::PasswordChanged { .. }
            | Self::Invitation { .. }
            | Self::ApplicationDecided { .. }
            | Self::PlaceOffered { .. }
            | Self::RequestsWait { .. }
            | Self::RequestExpired { .. }
            | Self::WaitingEnded { .. }
            | Self::PlaceReleased { .. }
            | Self::SignupRemoved { .. }
            | Self::RunCancelled { .. }
            | Self::SeriesEnded { .. }
            | Self::LeadRunCancelled { .. }
            | Self::Reminder { .. }
            | Self::FacilitatorReminder { .. }
            | Self::NotSignedOut { .. }
            | Self::CredentialLapses { .. }
            | Self::SeriesDateOverlaps { .. }
            | Self::Announcement { .. }
            | Self::Decision { .. }
            | Self::DecisionLifted { .. }
            | Self::DecisionEnded { .. }
            | Self::AppealDecided { .. }
            | Self::DecisionOverturned { .. }
            | Self::ReportResolved { .. }
            | Self::BothAreIn { .. }
            | Self::BlockLookedAt { .. }
            | Self::AfterRun { .. }
            | Self::CareAsked { overdue: true, .. }
            | Self::CareLate { .. }
            | Self::RunsFound { .. }
            | Self::MatchRequestEnds { .. } => None,
        }
    }

    /// How long mails of this kind may wait for others.
    pub fn patience(&self) -> Patience {
        match self {
            Self::ReportReceived { .. } | Self::CareAsked { .. } | Self::PlaceFree { .. } => Patience::Soon,
            _ => Patience::Usual,
        }
    }

    /// The one mail that says what two of one topic would have said.
    pub fn joined_by(self, later: Self) -> Self {
        match (self, later) {
            (Self::RunChanged { changes, .. }, Self::RunChanged { signup_id, changes: more }) => {
                Self::RunChanged { signup_id, changes: both(changes, more) }
            }
            (Self::LeadRunChanged { changes, by, .. }, Self::LeadRunChanged { run_id, changes: more, by: last }) => {
                Self::LeadRunChanged { run_id, changes: both(changes, more), by: last.filter(|_| by == last) }
            }
            (Self::SeriesChanged { dates, .. }, Self::SeriesChanged { series_id, dates: more }) => {
                Self::SeriesChanged { series_id, dates: both_dates(dates, more) }
            }
            (Self::Barred { runs, .. }, Self::Barred { bar_id, runs: more }) => {
                Self::Barred { bar_id, runs: all_of([runs, more].concat()) }
            }
            (
                Self::ParticipantWithdrew { signup_id: first, others },
                Self::ParticipantWithdrew { signup_id, others: more },
            ) => Self::ParticipantWithdrew { signup_id, others: all_but(signup_id, [others, vec![first], more]) },
            (Self::ReportReceived { .. }, Self::ReportReceived { report_id, .. }) => {
                Self::ReportReceived { report_id, gathered: true }
            }
            (Self::AppealReceived { appeal_id: first, others }, Self::AppealReceived { appeal_id, others: more }) => {
                Self::AppealReceived { appeal_id, others: all_but(appeal_id, [others, vec![first], more]) }
            }
            (Self::BlockAsked { block_id: first, others }, Self::BlockAsked { block_id, others: more }) => {
                Self::BlockAsked { block_id, others: all_but(block_id, [others, vec![first], more]) }
            }
            (_, later) => later,
        }
    }
}

/// The newest of these, each once.
fn all_of(ids: Vec<Id>) -> Vec<Id> {
    let mut kept: Vec<Id> = Vec::new();
    for id in ids.into_iter().rev() {
        if !kept.contains(&id) && kept.len() < NAMED {
            kept.push(id);
        }
    }
    kept.reverse();
    kept
}

fn all_but(one: Id, ids: [Vec<Id>; 3]) -> Vec<Id> {
    all_of(ids.concat().into_iter().filter(|id| *id != one).collect())
}

/// Two changes as one: from what was first to what is last; what is again as it was is no change.
fn both(earlier: Vec<Change>, later: Vec<Change>) -> Vec<Change> {
    let mut all = earlier;
    for change in later {
        match all.iter_mut().find(|known| known.what == change.what) {
            Some(known) => known.after = change.after,
            None => all.push(change),
        }
    }
    all.retain(|change| change.before != change.after);
    all
}

fn both_dates(earlier: Vec<DateChange>, later: Vec<DateChange>) -> Vec<DateChange> {
    let mut all = earlier;
    for date in later {
        match all.iter_mut().find(|known| known.signup_id == date.signup_id) {
            Some(known) => known.changes = both(std::mem::take(&mut known.changes), date.changes),
            None => all.push(date),
        }
    }
    all.retain(|date| !date.changes.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Id {
        Id(uuid::Uuid::from_u128(number))
    }

    fn change(what: &str, before: &str, after: &str) -> Change {
        Change { what: what.into(), before: before.into(), after: after.into(), tells_place: false }
    }

    #[test]
    fn joined_changes_go_from_the_first_to_the_last() {
        let first = vec![change("The start", "9", "10"), change("The length", "30", "45")];
        let second = vec![change("The start", "10", "11"), change("The length", "45", "30")];
        let joined = Notice::RunChanged { signup_id: id(1), changes: first }
            .joined_by(Notice::RunChanged { signup_id: id(2), changes: second });
        assert_eq!(joined, Notice::RunChanged { signup_id: id(2), changes: vec![change("The start", "9", "11")] });
    }

    #[test]
    fn joined_rows_are_named_once_and_the_newest_fifty_at_most() {
        let appeal = |number: u128| Notice::AppealReceived { appeal_id: id(number), others: Vec::new() };
        let joined = (2..=100).fold(appeal(1), |all, number| all.joined_by(appeal(number)));
        let Notice::AppealReceived { appeal_id, others } = joined.joined_by(appeal(99)) else { panic!("another kind") };
        assert_eq!((appeal_id, others.len()), (id(99), NAMED));
        assert_eq!(others.iter().filter(|other| **other == id(100)).count(), 1);
        assert!(!others.contains(&id(99)) && !others.contains(&id(1)));
    }

    #[test]
    fn later_mail_stands_for_the_earlier_of_other_kinds() {
        let paused = |number| Notice::RunPaused { signup_id: id(number) };
        assert_eq!(paused(1).joined_by(paused(2)), paused(2));
    }
}
