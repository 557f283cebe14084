//! What the outbox stores: which mail is due, about which row. Ids only, no facts and no personal text: the facts are
//! read when the mail is claimed, so that it is true when it leaves and the outbox is nothing worth stealing.
//! To whom it goes stands in the outbox row, not here.

use crate::clock::Instant;
use crate::domain::reminder::Moment;
use crate::id::Id;
use serde::{Deserialize, Serialize};

/// Every kind of mail that the platform sends.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, strum::IntoStaticStr)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Notice {
    /// Somebody signed up with this address: please confirm it.
    VerifyEmail { link: Id },
    /// Somebody signed up with an address that has an account already; its owner is told.
    AlreadyRegistered { account_id: Id },
    /// A link to choose a new password.
    ResetPassword { link: Id },
    /// The password was changed.
    PasswordChanged { account_id: Id },
    /// An imported person is asked to set a password and accept the terms.
    Invitation { link: Id },
    /// A facilitator application came in.
    ApplicationReceived { application_id: Id },
    /// A facilitator application was approved or rejected.
    ApplicationDecided { application_id: Id },
    /// A place was confirmed.
    SignupConfirmed { signup_id: Id },
    /// The run is full; the person is on the waiting list.
    SignupWaitlisted { signup_id: Id },
    /// A place became free and is held for them until they answer.
    PlaceOffered { signup_id: Id },
    /// A place is free at short notice: the first yes has it.
    PlaceFree { signup_id: Id },
    /// An offer was not answered; no harm done.
    OfferLapsed { signup_id: Id },
    /// To the facilitators: somebody asks to come.
    SignupRequested { signup_id: Id },
    /// To the facilitators: these requests wait for an answer; `again` when they were told before.
    RequestsWait { run_id: Id, again: bool },
    /// Nobody answered the request in time.
    RequestExpired { signup_id: Id },
    /// The run began and no place had come up for somebody who waited.
    WaitingEnded { signup_id: Id },
    /// Somebody was taken in at the meeting point by mistake, and is off the list again.
    CheckInUndone { signup_id: Id },
    /// The place was given free, since the person had not said that they come.
    PlaceReleased { signup_id: Id },
    /// Only one person comes: is that all right with them?
    AskedToRunAsTwo { signup_id: Id },
    /// To the facilitator: only one person comes.
    AskedToLeadOne { run_id: Id },
    /// A facilitator took the person off the run.
    SignupRemoved { signup_id: Id },
    /// Something that matters changed about the run. The changes are kept, since the row no longer holds the old state.
    RunChanged { signup_id: Id, changes: Vec<Change> },
    /// The run is off.
    RunCancelled { signup_id: Id },
    /// The run has no facilitator for now.
    RunPaused { signup_id: Id },
    /// The run has a facilitator again.
    RunResumed { signup_id: Id },
    /// The person comes to every date of a series from now on; the one mail about all of them.
    BecameRegular { series_id: Id },
    /// After two silent absences a regular's places are free again.
    RegularEnded { series_id: Id },
    /// Something that matters changed on dates of a series: one mail about all of them.
    SeriesChanged { series_id: Id, dates: Vec<DateChange> },
    /// A series has ended: one mail about all the dates that are off.
    SeriesEnded { series_id: Id, signups: Vec<Id> },
    /// To its facilitators: the run is off.
    LeadRunCancelled { run_id: Id },
    /// To its facilitators: the run is paused.
    LeadRunPaused { run_id: Id },
    /// To those who lead it along: another of them changed what matters.
    LeadRunChanged {
        run_id: Id,
        changes: Vec<Change>,
        #[serde(default)]
        by: Option<Id>,
    },
    /// A reminder before the start. `starts_at` is the start it was made for: another start makes it untrue.
    Reminder { signup_id: Id, moment: Moment, starts_at: Instant },
    /// The same for a facilitator, with who comes.
    FacilitatorReminder { run_id: Id, moment: Moment, starts_at: Instant },
    /// A facilitator says that the person did not come.
    Missed { signup_id: Id },
    /// The person was taken in at the meeting point.
    CheckedIn { signup_id: Id },
    /// To the facilitators: not everybody was signed out.
    NotSignedOut { run_id: Id },
    /// To the facilitators: somebody gave up a place within the last 24 hours.
    ParticipantWithdrew {
        signup_id: Id,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Id>,
    },
    /// Somebody was taken off a run they led, went along with or were asked to lead, by another of its facilitators.
    FacilitatorUnlisted {
        run_id: Id,
        #[serde(default)]
        back_marker: bool,
        #[serde(default = "yes")]
        accepted: bool,
    },
    /// Somebody is asked to lead a run together with its facilitators.
    CoFacilitatorInvited { run_id: Id, account_id: Id },
    /// To the facilitators: a decision keeps one of those who lead with them from it.
    RunTouched { run_id: Id, by: Touch },
    /// To a leader of a series: a date was made at a time at which they are elsewhere, so they do not lead it.
    SeriesDateOverlaps { run_id: Id },
    /// To somebody who could lead: a run has nobody who does, or too few.
    SubstituteWanted { run_id: Id },
    /// Somebody stepped down at the last moment; those who lead it with them take over.
    LeadersChanged { signup_id: Id },
    /// To a facilitator: a credential that they need lapses before a run that they lead.
    CredentialLapses { run_id: Id },
    /// A facilitator says something to those on a run.
    Announcement { announcement_id: Id, signup_id: Id },
    /// A facilitator closed their runs to this person until a date.
    Barred { bar_id: Id, runs: Vec<Id> },
    /// A decision about the account, a revoked facilitator included.
    Decision { sanction_id: Id, places_lost: u32, runs_paused: u32 },
    /// A decision no longer holds. `overturned`: what it took is given back where that can be done, each place by its own mail.
    DecisionLifted {
        sanction_id: Id,
        #[serde(default)]
        overturned: bool,
    },
    /// A hold or suspension ran out, with what a hold kept back.
    DecisionEnded { sanction_id: Id },
    /// To the moderators: an appeal came in.
    AppealReceived {
        appeal_id: Id,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Id>,
    },
    /// To the person who appealed.
    AppealDecided { appeal_id: Id },
    /// To the facilitator who had decided: an appeal overturned it.
    DecisionOverturned { appeal_id: Id },
    /// To the moderators: a report came in.
    ReportReceived {
        report_id: Id,
        /// It tells of all that its reporter has told and nobody has looked at.
        #[serde(default)]
        gathered: bool,
    },
    /// To the reporter: it was looked at; nothing about the other person.
    ReportResolved { report_id: Id },
    /// To a blocker: both are in a run to come already; the choice is theirs.
    BothAreIn { block_id: Id },
    /// To the moderators: somebody who was described has to be found.
    BlockAsked {
        block_id: Id,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<Id>,
    },
    /// To a blocker: the person was found, or could not be; no name.
    BlockLookedAt { block_id: Id },
    /// How was it? With answers of one tap, and the help lines.
    AfterRun { signup_id: Id },
    /// To those with welfare duty: somebody would like to be contacted; to the whole team when `overdue`.
    CareAsked { wish_id: Id, overdue: bool },
    /// To the person: nobody has taken their wish yet; with the help lines.
    CareLate { wish_id: Id },
    /// Runs that fit the person's match requests: all that this mail gathers when its turn comes.
    RunsFound { mail_id: Id },
    /// A match request ends soon. Another end than the one it was made for makes it untrue.
    MatchRequestEnds { request_id: Id, expires_at: Instant },
}

/// Mails that were promised before this was noted are to those who had accepted.
fn yes() -> bool {
    true
}

/// What touches a facilitator's run.
#[derive(Serialize, Deserialize, Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// Somebody reported something about the run. Nobody is told of it any more: mails that an earlier version promised are
    /// dropped.
    Report,
    /// A decision keeps somebody who leads the run from it.
    Hold,
}

/// One thing that changed about a run, in words that people read: "The start", "Saturday, 09:00", "Saturday, 10:00".
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Change {
    /// What changed, as the start of a sentence ("The start" was, is now): our words, never the user's.
    pub what: String,
    pub before: String,
    pub after: String,
    /// It tells where the group meets: only for whom the meeting point is visible.
    #[serde(default)]
    pub tells_place: bool,
}

/// What changed on one date of a series, for one person.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct DateChange {
    pub signup_id: Id,
    pub changes: Vec<Change>,
}

impl Notice {
    /// Kinds that go out even to whom a decision keeps out: decisions with the way to object to them, and what is needed to
    /// log in and read them.
    pub const FOR_THOSE_KEPT_OUT: [&str; 10] = [
        "decision",
        "decision_lifted",
        "decision_ended",
        "appeal_decided",
        "barred",
        "signup_removed",
        "application_decided",
        "verify_email",
        "reset_password",
        "password_changed",
    ];

    /// The kind in `snake_case`, as stored, logged and counted.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_kind_is_the_name() {
        let id = Id(uuid::Uuid::nil());
        let notices = [
            Notice::VerifyEmail { link: id },
            Notice::RunTouched { run_id: id, by: Touch::Hold },
            Notice::Reminder {
                signup_id: id,
                moment: Moment::TwoHours,
                starts_at: Instant::new(jiff::Timestamp::UNIX_EPOCH),
            },
            Notice::RunChanged {
                signup_id: id,
                changes: vec![Change {
                    what: "Start".into(),
                    before: "9".into(),
                    after: "10".into(),
                    tells_place: false,
                }],
            },
        ];
        for notice in notices {
            let json = serde_json::to_value(&notice).unwrap();
            assert_eq!(json["kind"], notice.name());
            assert_eq!(serde_json::from_value::<Notice>(json).unwrap(), notice);
        }
    }
}
