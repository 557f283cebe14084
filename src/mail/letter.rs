//! The facts of one mail, ready for a template: strings are formatted for people, links are full URLs.
//! Fields marked *user text* were typed by somebody and are hostile until rendered; all others are our own words.

use super::notice::{Change, Touch};
use crate::domain::reminder::Moment;
use serde::Serialize;

/// One mail to one person.
#[derive(Serialize, Clone, Debug)]
pub struct Letter {
    /// *User text.* The display name of the reader; empty for "Hello,".
    pub to_name: String,
    pub body: Body,
    pub house: House,
    /// Where the reader says which mails they want; set on mails that they may turn off (reminders, alerts).
    pub preferences_link: Option<String>,
}

/// Who runs this installation: the footer of every mail.
#[derive(Serialize, Clone, Debug)]
pub struct House {
    pub org_name: String,
    /// Address or URL at which people are answered.
    pub contact: String,
    pub safeguarding_contact: Option<String>,
    /// The page with the help lines.
    pub help_url: String,
    pub base_url: String,
}

/// What a person needs to know about a run.
#[derive(Serialize, Clone, Debug)]
pub struct RunFacts {
    /// *User text.*
    pub title: String,
    /// "Saturday 28 November 2026, 09:00", local time at the run.
    pub when: String,
    /// "Saturday 28 November": for subjects.
    pub day: String,
    /// The time zone in words, "Europe/London" or "UK time".
    pub zone: String,
    /// *User text.* The meeting point's name, or the area's where the point is not for this reader.
    pub where_name: String,
    /// *User text.*
    pub getting_there: Option<String>,
    /// A map of the meeting point; `None` where the point is not for this reader.
    pub map_url: Option<String>,
    /// WGS 84 degrees; `None` where the point is not for this reader.
    pub meeting_point_lat: Option<f64>,
    pub meeting_point_lng: Option<f64>,
    /// *User text.* Display names of the facilitators.
    pub leaders: Vec<String>,
    /// "walk", "run-walk" or "run".
    pub activity_words: String,
    /// "7:30–8:30 min/km".
    pub pace_min_per_km: String,
    /// "a pace at which you can chat".
    pub pace_words: String,
    pub walking_is_fine: bool,
    /// Nobody is left behind.
    pub no_drop: bool,
    pub distance_km: Option<f64>,
    pub duration_min: u32,
    /// Any part of it after dusk or before dawn.
    pub after_dark: bool,
    /// *User text.* How to reach a facilitator on the day.
    pub day_contact: Option<String>,
    pub page_url: String,
}

/// A note that somebody left for the facilitators.
#[derive(Serialize, Clone, Debug)]
pub struct Note {
    /// *User text.*
    pub name: String,
    /// *User text.*
    pub note: String,
}

/// What a moderator decided.
#[derive(Serialize, Copy, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    Hold,
    Warning,
    Suspension,
    Ban,
}

/// What a decision reaches. A ban from facilitating is a revoked facilitator.
#[derive(Serialize, Copy, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Site,
    Facilitating,
}

/// The facts of each kind of mail; the variants follow [`super::Notice`].
#[derive(Serialize, Clone, Debug, strum::IntoStaticStr)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Body {
    /// `valid_for`: "48 hours".
    VerifyEmail {
        link: String,
        valid_for: String,
    },
    AlreadyRegistered {},
    ResetPassword {
        link: String,
        valid_for: String,
    },
    PasswordChanged {
        when: String,
    },
    Invitation {
        link: String,
        valid_for: String,
    },
    /// To the applicant, or to the team when `for_the_team`. `applicant` is *user text*.
    ApplicationReceived {
        for_the_team: bool,
        applicant: String,
        queue_url: Option<String>,
    },
    /// `statement` is *user text* of the moderator: the reason.
    ApplicationDecided {
        approved: bool,
        statement: Option<String>,
        appeal_link: Option<String>,
    },
    SignupConfirmed {
        run: RunFacts,
        not_today_link: String,
    },
    /// `position` counts from 1.
    SignupWaitlisted {
        run: RunFacts,
        position: u32,
        not_today_link: String,
    },
    SignupPromoted {
        run: RunFacts,
        not_today_link: String,
    },
    /// `reason` is the code's ready-made sentence, `statement` *user text*.
    SignupRemoved {
        run: RunFacts,
        reason: String,
        statement: Option<String>,
        appeal_link: Option<String>,
    },
    /// `before` and `after` of a change may be *user text*.
    RunChanged {
        run: RunFacts,
        changes: Vec<Change>,
        waiting: bool,
        not_today_link: String,
    },
    /// `reason` is the code's ready-made sentence, `message` *user text*.
    RunCancelled {
        run: RunFacts,
        reason: String,
        message: Option<String>,
        waiting: bool,
    },
    /// `decide_by`: when it is called off if nobody takes over.
    RunPaused {
        run: RunFacts,
        decide_by: Option<String>,
        waiting: bool,
        not_today_link: String,
    },
    RunResumed {
        run: RunFacts,
        waiting: bool,
        not_today_link: String,
    },
    /// `people`: how many had a place.
    LeadRunCancelled {
        run: RunFacts,
        reason: String,
        message: Option<String>,
        people: u32,
    },
    LeadRunPaused {
        run: RunFacts,
        decide_by: Option<String>,
        people: u32,
    },
    Reminder {
        run: RunFacts,
        moment: Moment,
        not_today_link: String,
    },
    FacilitatorReminder {
        run: RunFacts,
        moment: Moment,
        coming: u32,
        new_people: u32,
        notes: Vec<Note>,
        cannot_lead_link: String,
    },
    /// `name` is *user text*.
    ParticipantWithdrew {
        run: RunFacts,
        name: String,
        coming: u32,
    },
    /// To somebody whom another of its facilitators took off a run.
    FacilitatorUnlisted {
        run: RunFacts,
    },
    /// `invited_by` is *user text*.
    CoFacilitatorInvited {
        run: RunFacts,
        invited_by: String,
        accept_link: String,
    },
    RunTouched {
        run: RunFacts,
        by: Touch,
    },
    /// `facilitator` and `statement` are *user text*, `reason` is the code's ready-made sentence, `places_lost` the
    /// `when` of each place given up.
    Barred {
        facilitator: String,
        until: String,
        reason: String,
        statement: Option<String>,
        places_lost: Vec<String>,
        appeal_link: Option<String>,
    },
    /// `statement` is *user text* of the moderator; a hold may keep it back. `until` is `None` when it has no end.
    Decision {
        what: DecisionKind,
        scope: Scope,
        rule: String,
        statement: Option<String>,
        until: Option<String>,
        places_lost: u32,
        runs_paused: u32,
        appeal_link: Option<String>,
    },
    /// `statement` is *user text* of the moderator.
    DecisionLifted {
        what: DecisionKind,
        scope: Scope,
        statement: Option<String>,
    },
    /// `about`: "a decision about an account", our words.
    AppealReceived {
        about: String,
        queue_url: Option<String>,
    },
    /// `statement` is *user text* of the moderator. `second_person` is false where a very small team had nobody else.
    AppealDecided {
        about: String,
        overturned: bool,
        statement: String,
        second_person: bool,
    },
    ReportReceived {
        category: String,
        safeguarding: bool,
        queue_url: Option<String>,
    },
    /// `reported_on`: "Saturday 28 November 2026".
    ReportResolved {
        reported_on: String,
    },
}

impl Body {
    /// The kind in `snake_case`: the name of the template, and of the mail in logs and counters.
    pub fn kind_name(&self) -> &'static str {
        self.into()
    }
}
