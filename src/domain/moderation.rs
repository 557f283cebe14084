//! Keeping people safe: applications, reports, decisions about accounts, bars, appeals, and the words of the audit log.
//!
//! Who may do what is in `policy`; what a decision does to places and runs is in `service::moderation`.

use crate::id::Id;

word_enum! {
    "snake_case";
    /// Where a facilitator's application stands.
    pub enum ApplicationStatus {
        Pending,
        Approved,
        Rejected,
        /// Approved once and taken back by a decision.
        Revoked,
        /// Approved once; a later one with renewed credentials stands in its place.
        Renewed,
    }
}

word_enum! {
    "snake_case";
    /// What a moderator decides about an account.
    pub enum SanctionKind {
        /// A neutral step aside while something is looked into: at most 14 days, not a finding.
        Hold,
        Warning,
        Suspension,
        Ban,
    }
}

word_enum! {
    "snake_case";
    /// How far a decision reaches.
    pub enum SanctionScope {
        /// Everything.
        Site,
        /// Leading runs; joining them stays open.
        Facilitating,
    }
}

word_enum! {
    "snake_case";
    /// What a report is about.
    pub enum AboutKind {
        Account,
        Run,
        Facilitator,
        Announcement,
    }
}

word_enum! {
    "snake_case";
    /// What an appeal is about.
    pub enum AppealKind {
        Sanction,
        SignupDecision,
        Bar,
        Application,
    }
}

word_enum! {
    "snake_case";
    /// Why somebody reports. Safeguarding comes first in the queue.
    pub enum Category {
        /// Somebody may be in danger or was hurt.
        Safeguarding,
        Harassment,
        Discrimination,
        UnsafeRun,
        Impersonation,
        Spam,
        Other,
    }
}

impl Category {
    /// Smaller is looked at first.
    pub fn urgency(self) -> i32 {
        match self {
            Self::Safeguarding => 0,
            Self::Harassment | Self::Discrimination | Self::UnsafeRun => 1,
            Self::Impersonation | Self::Spam | Self::Other => 2,
        }
    }
}

word_enum! {
    "snake_case";
    /// Where a report is.
    pub enum ReportStatus {
        Open,
        Assigned,
        Resolved,
    }
}

word_enum! {
    "snake_case";
    /// What overturning a decision did about one thing, or why it could not.
    pub enum Undone {
        /// The decision itself no longer holds.
        Lifted,
        /// It had ended before.
        HadEnded,
        PlaceBack,
        /// No place is free, or the person is elsewhere at that time: they are the next to be offered one.
        FirstInLine,
        RequestOpenAgain,
        /// The person came back by themselves meanwhile.
        OnItAlready,
        /// May lead runs again.
        LeadsAgain,
        /// The application is decided anew.
        ApplicationOpenAgain,
        RunStarted,
        RunOff,
        /// Nobody is seated any more so shortly before the start.
        TooLate,
        /// Something else stands between the person and this run or role.
        StillClosed,
        /// Standing searches for runs, which a ban ends.
        SearchesEnded,
    }
}

impl Undone {
    /// Whether it is something that could not be undone.
    pub fn is_left(self) -> bool {
        use Undone::{RunOff, RunStarted, SearchesEnded, StillClosed, TooLate};
        matches!(self, RunStarted | RunOff | TooLate | StillClosed | SearchesEnded)
    }

    /// What the person reads, after the name of the run where there is one.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Lifted => "The decision no longer holds.",
            Self::HadEnded => "The decision had ended already; it no longer counts against you.",
            Self::PlaceBack => "You have your place again.",
            Self::FirstInLine => {
                "You are the first on the waiting list, and get a mail as soon as there is a place for you."
            }
            Self::RequestOpenAgain => "Your request is open again, and you get a mail with the answer.",
            Self::OnItAlready => "You are on it already.",
            Self::LeadsAgain => "You can lead runs again.",
            Self::ApplicationOpenAgain => "Your application is open again, and somebody decides about it anew.",
            Self::RunStarted => "It has started or is over, so your place cannot be given back.",
            Self::RunOff => "It is cancelled, so your place cannot be given back.",
            Self::TooLate => "It starts too soon to give your place back.",
            Self::StillClosed => "It is not open to you at present for another reason.",
            Self::SearchesEnded => "Your searches for runs have ended; please make them again.",
        }
    }
}

/// One thing that came of overturning a decision, about a run where it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Consequence {
    pub code: Undone,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<Id>,
}

word_enum! {
    "snake_case";
    /// What an appeal came to.
    pub enum Outcome {
        Uphold,
        Overturn,
    }
}

word_enum! {
    "snake_case";
    /// The acts of one person over another that the audit log keeps.
    pub enum Act {
        RoleGranted,
        RoleRevoked,
        AccountLookedUp,
        ApplicationApproved,
        ApplicationRejected,
        FacilitatorImported,
        FacilitatorListed,
        FacilitatorUnlisted,
        RunEdited,
        RunCancelled,
        RunTakenOver,
        SeriesEdited,
        SeriesEnded,
        SignupApproved,
        SignupDeclined,
        SignupRemoved,
        BarSet,
        BarLifted,
        ReportFiled,
        ReportAssigned,
        ReportResolved,
        HoldSet,
        WarningGiven,
        Suspended,
        Banned,
        SanctionLifted,
        AppealFiled,
        AppealDecided,
        BlockSet,
        BlockLifted,
        /// A moderator looked at who was on a run, to find somebody who was described.
        BlockRosterRead,
        BlockResolved,
        BlockDismissed,
        CareTaken,
        CareDone,
        CheckedIn,
        SignedOut,
        NoShowMarked,
        MarkUndone,
        WalkedIn,
        GuestAdded,
        EmergencyContactSeen,
        AccessNeedsSeen,
        PairsChosen,
        IncidentReported,
        SealedRosterSeen,
        IncidentSeen,
    }
}

/// The longest hold, in days: it is no finding, so it must not become one by lasting.
pub const HOLD_MAX_DAYS: i64 = 14;

impl SanctionKind {
    /// Whether it keeps the person out while it lasts; a warning does not.
    pub fn keeps_out(self) -> bool {
        self != Self::Warning
    }

    /// The audit log's word for it.
    pub fn act(self) -> Act {
        match self {
            Self::Hold => Act::HoldSet,
            Self::Warning => Act::WarningGiven,
            Self::Suspension => Act::Suspended,
            Self::Ban => Act::Banned,
        }
    }

    /// What people read.
    pub fn in_words(self, scope: SanctionScope) -> &'static str {
        match (self, scope) {
            (Self::Hold, SanctionScope::Site) => {
                "your account is on hold while we look into something; this is not a finding"
            }
            (Self::Hold, SanctionScope::Facilitating) => {
                "you are asked not to lead runs while we look into something; this is not a finding"
            }
            (Self::Warning, _) => "a warning",
            (Self::Suspension, SanctionScope::Site) => "your account is suspended",
            (Self::Suspension, SanctionScope::Facilitating) => "you cannot lead runs for the time being",
            (Self::Ban, SanctionScope::Site) => "your account is closed for good",
            (Self::Ban, SanctionScope::Facilitating) => "you can no longer lead runs",
        }
    }
}
