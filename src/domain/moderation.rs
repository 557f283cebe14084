//! Keeping people safe: applications, reports, decisions about accounts, bars, appeals, and the words of the audit log.
//!
//! Who may do what is in `policy`; what a decision does to places and runs is in `service::moderation`.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

/// Where a facilitator's application stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ApplicationStatus {
    Pending,
    Approved,
    Rejected,
    /// Approved once and taken back by a decision.
    Revoked,
}

/// What a moderator decides about an account.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SanctionKind {
    /// A neutral step aside while something is looked into: at most 14 days, not a finding.
    Hold,
    Warning,
    Suspension,
    Ban,
}

/// How far a decision reaches.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SanctionScope {
    /// Everything.
    Site,
    /// Leading runs; joining them stays open.
    Facilitating,
}

/// What a report is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AboutKind {
    Account,
    Run,
    Facilitator,
    Announcement,
}

/// What an appeal is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AppealKind {
    Sanction,
    SignupDecision,
    Bar,
    Application,
}

/// Why somebody reports. Safeguarding comes first in the queue.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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

/// Where a report is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ReportStatus {
    Open,
    Assigned,
    Resolved,
}

/// What an appeal came to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    Uphold,
    Overturn,
}

/// The acts of one person over another that the audit log keeps.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    IntoStaticStr,
    EnumString,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
