//! The facts of one mail, ready for a template: strings are formatted for people, links are full URLs.
//! Fields marked *user text* were typed by somebody and are hostile until rendered; all others are our own words.

use super::notice::Change;
use crate::domain::{question::ComingQuestion, reminder::Moment};
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
    /// What that link does: "No more reminders, please".
    pub preferences_words: String,
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

/// What a run says about the reader's access needs, each in words: "step-free access".
#[derive(Serialize, Clone, Debug)]
pub struct AccessOffer {
    pub has: Vec<String>,
    pub has_not: Vec<String>,
    pub unsaid: Vec<String>,
}

/// Another run that fits the reader and has places.
#[derive(Serialize, Clone, Debug)]
pub struct OtherRun {
    /// *User text.*
    pub title: String,
    pub when: String,
    /// *User text.*
    pub where_name: String,
    pub page_url: String,
}

/// A place that the reader has at the same time.
#[derive(Serialize, Clone, Debug)]
pub struct OtherPlace {
    /// *User text.*
    pub title: String,
    pub when: String,
    pub zone: String,
    pub not_today_link: String,
}

/// A run that fits the reader's match request.
#[derive(Serialize, Clone, Debug)]
pub struct FoundRun {
    /// *User text.*
    pub title: String,
    pub when: String,
    pub zone: String,
    /// *User text.* The meeting point's name where everybody may know it, or the area's.
    pub where_name: String,
    /// "a run, 7:30–8:30 min/km".
    pub kind: String,
    /// How many further dates of its series fit as well.
    pub further_dates: usize,
    /// After "It fits you because": our words, without how far from the reader's home.
    pub reasons: Vec<String>,
    pub page_url: String,
}

/// A match request of the reader.
#[derive(Serialize, Clone, Debug)]
pub struct Wished {
    /// "walks and runs, in your area": our words, without a place.
    pub words: String,
    pub stop_link: String,
}

/// A run in which somebody is whom the reader never wants to meet.
#[derive(Serialize, Clone, Debug)]
pub struct SharedRun {
    /// *User text.*
    pub title: String,
    pub when: String,
    pub page_url: String,
    /// Whether the reader leads it.
    pub leads: bool,
    pub back_marker: bool,
    pub leave_link: String,
}

/// Where somebody in need is helped; the operator's words.
#[derive(Serialize, Clone, Debug)]
pub struct Help {
    pub name: String,
    pub phone: Option<String>,
    pub url: Option<String>,
    pub hours: Option<String>,
}

/// One date of a series, in a mail about several.
#[derive(Serialize, Clone, Debug)]
pub struct SeriesDate {
    /// "Saturday 28 November 2026, 09:00", local time at the run.
    pub when: String,
    pub zone: String,
    pub had: Had,
    /// `before` and `after` may be *user text*.
    pub changes: Vec<Change>,
    /// The place is kept only with a fresh yes.
    pub far: bool,
    pub answer_by: String,
    pub fine_link: Option<String>,
    pub not_today_link: Option<String>,
}

/// Somebody who asks to come.
#[derive(Serialize, Clone, Debug)]
pub struct Asking {
    /// *User text.*
    pub name: String,
    pub pace: Option<String>,
    pub new_here: bool,
    pub answers: Vec<Answered>,
    pub approve_link: String,
    pub decline_link: String,
}

/// A question and what was answered.
#[derive(Serialize, Clone, Debug)]
pub struct Answered {
    /// *User text.*
    pub question: String,
    /// *User text.*
    pub answer: String,
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

/// What the reader has of the run that a mail is about.
#[derive(Serialize, Copy, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Had {
    Place,
    /// A place is held until they answer.
    Offer,
    /// A position on the waiting list.
    Waiting,
    /// A request that nobody has answered.
    Request,
    /// It ended without a place.
    Nothing,
}

/// What is known of whether the reader was there.
#[derive(Serialize, Copy, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Attendance {
    CheckedIn,
    /// Others were checked in and the reader was not.
    NotCheckedIn,
    /// Nobody was checked in.
    Unknown,
}

/// One thing that came of overturning a decision.
#[derive(Serialize, Clone, Debug)]
pub struct Outcome {
    /// *User text.* The title of the run that it is about.
    pub run: Option<String>,
    pub when: Option<String>,
    /// Our words.
    pub words: String,
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
    /// `statement` is *user text* of the moderator: the reason. `renewal`: of somebody who was a facilitator already.
    ApplicationDecided {
        approved: bool,
        renewal: bool,
        statement: Option<String>,
        appeal_link: Option<String>,
    },
    /// `access`: what the run says about the reader's access needs, where there are some.
    SignupConfirmed {
        run: RunFacts,
        access: Option<AccessOffer>,
        not_today_link: String,
    },
    /// `position` counts from 1.
    SignupWaitlisted {
        run: RunFacts,
        position: u32,
        not_today_link: String,
    },
    /// `until`: "Saturday 28 November 2026, 09:00".
    PlaceOffered {
        run: RunFacts,
        until: String,
        accept_link: String,
        decline_link: String,
    },
    PlaceFree {
        run: RunFacts,
        accept_link: String,
        not_today_link: String,
    },
    RequestsWait {
        run: RunFacts,
        requests: Vec<Asking>,
        again: bool,
        answer_by: String,
    },
    RequestExpired {
        run: RunFacts,
        others: Vec<OtherRun>,
    },
    /// To somebody who was put on the list by mistake.
    CheckInUndone {
        run: RunFacts,
    },
    WaitingEnded {
        run: RunFacts,
        others: Vec<OtherRun>,
    },
    PlaceReleased {
        run: RunFacts,
        others: Vec<OtherRun>,
    },
    /// `partner` is *user text*: who it would be with.
    AskedToRunAsTwo {
        run: RunFacts,
        partner: String,
        answer_by: String,
        yes_link: String,
        not_today_link: String,
    },
    /// `partner` is *user text*: the one person who comes.
    AskedToLeadOne {
        run: RunFacts,
        partner: String,
        answer_by: String,
        yes_link: String,
        cannot_lead_link: String,
    },
    OfferLapsed {
        run: RunFacts,
        not_today_link: String,
    },
    /// `reason` is the code's ready-made sentence, `statement` *user text*.
    SignupRemoved {
        run: RunFacts,
        others: Vec<OtherRun>,
        reason: String,
        statement: Option<String>,
        appeal_link: Option<String>,
    },
    /// `before` and `after` of a change may be *user text*. `accept_link`: of an offer, to the run as it is.
    RunChanged {
        run: RunFacts,
        changes: Vec<Change>,
        had: Had,
        /// A place, a request or a position is kept only with a fresh yes.
        far: bool,
        fine_link: Option<String>,
        accept_link: Option<String>,
        answer_by: String,
        not_today_link: String,
    },
    /// `reason` is the code's ready-made sentence, `message` *user text*.
    RunCancelled {
        run: RunFacts,
        reason: String,
        message: Option<String>,
        had: Had,
        others: Vec<OtherRun>,
    },
    /// `decide_by`: when it is called off if nobody takes over.
    RunPaused {
        run: RunFacts,
        decide_by: Option<String>,
        had: Had,
        not_today_link: String,
    },
    RunResumed {
        run: RunFacts,
        had: Had,
        not_today_link: String,
    },
    /// `title` is *user text*.
    BecameRegular {
        title: String,
        dates: Vec<SeriesDate>,
        page_url: String,
    },
    /// `title` is *user text*.
    RegularEnded {
        title: String,
        page_url: String,
    },
    /// `title` is *user text*.
    SeriesChanged {
        title: String,
        dates: Vec<SeriesDate>,
        page_url: String,
    },
    /// `reason` is the code's ready-made sentence, `title` and `message` are *user text*, `dates` are our words.
    SeriesEnded {
        title: String,
        reason: String,
        message: Option<String>,
        dates: Vec<String>,
    },
    /// `people`: how many had a place; `back_marker`: the reader was to stay with the last and not to lead.
    LeadRunCancelled {
        run: RunFacts,
        back_marker: bool,
        reason: String,
        message: Option<String>,
        people: u32,
    },
    /// `before` and `after` of a change may be *user text*, and `by`, who changed it, is.
    LeadRunChanged {
        run: RunFacts,
        back_marker: bool,
        by: Option<String>,
        changes: Vec<Change>,
        cannot_lead_link: String,
    },
    LeadRunPaused {
        run: RunFacts,
        back_marker: bool,
        decide_by: Option<String>,
        people: u32,
    },
    Reminder {
        run: RunFacts,
        moment: Moment,
        /// Why the reader has to say that they come; set with `still_coming_link`.
        question: Option<ComingQuestion>,
        still_coming_link: Option<String>,
        answer_by: String,
        not_today_link: String,
    },
    /// `back_marker`: the reader stays with the last and does not lead.
    FacilitatorReminder {
        run: RunFacts,
        back_marker: bool,
        moment: Moment,
        coming: u32,
        new_people: u32,
        notes: Vec<Note>,
        cannot_lead_link: String,
    },
    /// `until`: when saying so ends.
    Missed {
        run: RunFacts,
        was_there_link: String,
        until: String,
    },
    /// `elsewhere`: what the reader has a place in at the same time.
    CheckedIn {
        run: RunFacts,
        elsewhere: Vec<OtherPlace>,
    },
    NotSignedOut {
        run: RunFacts,
        people: u32,
    },
    /// `names` are *user text*.
    ParticipantWithdrew {
        run: RunFacts,
        names: Vec<String>,
        coming: u32,
    },
    /// To somebody whom another of its facilitators took off a run; `accepted`: they had said yes to it.
    FacilitatorUnlisted {
        run: RunFacts,
        back_marker: bool,
        accepted: bool,
    },
    /// `invited_by` is *user text*; `back_marker`: to stay with the last and not to lead.
    CoFacilitatorInvited {
        run: RunFacts,
        invited_by: String,
        back_marker: bool,
        accept_link: String,
    },
    /// `until` is the deadline; not `paused` where somebody leads but more are needed.
    SubstituteWanted {
        run: RunFacts,
        until: String,
        paused: bool,
    },
    /// `elsewhere`: what the reader leads or has a place in at that time; `paused`: nobody leads the date.
    SeriesDateOverlaps {
        run: RunFacts,
        elsewhere: Vec<OtherRun>,
        paused: bool,
    },
    LeadersChanged {
        run: RunFacts,
        had: Had,
        not_today_link: String,
    },
    /// `until`: the last day on which the credentials count; `pause_on`: when the run is put on hold without them.
    CredentialLapses {
        run: RunFacts,
        until: String,
        pause_on: String,
    },
    /// `from` and `words` are *user text*.
    Announcement {
        run: RunFacts,
        from: String,
        words: String,
        announcement_id: String,
        report_url: String,
        waiting: bool,
        not_today_link: String,
    },
    /// To those who lead it along: one of them does no longer. Never why.
    RunTouched {
        run: RunFacts,
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
    /// `statement` and `facts`, which a hold kept back, are *user text* of the moderator. `overturned`: what can be given
    /// back is, each place by its own mail.
    DecisionLifted {
        what: DecisionKind,
        scope: Scope,
        overturned: bool,
        statement: Option<String>,
        facts: Option<String>,
    },
    /// `facts`, which a hold kept back, are *user text* of the moderator. `others_stand`: another decision still keeps the
    /// reader from the same.
    DecisionEnded {
        what: DecisionKind,
        scope: Scope,
        facts: Option<String>,
        others_stand: bool,
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
        /// What overturning did, in our words.
        undone: Vec<Outcome>,
        /// What it could not undo.
        left: Vec<Outcome>,
    },
    /// To the facilitator whose decision was overturned; `name` and `run` are *user text*. No run: a bar.
    DecisionOverturned {
        name: String,
        run: Option<String>,
        when: Option<String>,
    },
    /// `many` reports of one person wait; the other facts are those of the most urgent.
    ReportReceived {
        many: u32,
        category: String,
        safeguarding: bool,
        queue_url: Option<String>,
    },
    /// `reported_on`: "Saturday 28 November 2026".
    ReportResolved {
        reported_on: String,
    },
    BothAreIn {
        runs: Vec<SharedRun>,
    },
    BlockAsked {
        queue_url: Option<String>,
    },
    BlockLookedAt {
        found: bool,
    },
    /// `contact_within`: "two days"; set with `contact_link`.
    AfterRun {
        run: RunFacts,
        attendance: Attendance,
        too_fast_link: String,
        right_link: String,
        too_slow_link: String,
        unsafe_link: String,
        contact_link: Option<String>,
        contact_within: String,
        help: Vec<Help>,
    },
    /// `answer_by`: "Saturday 28 November 2026, 09:00", with the zone.
    CareAsked {
        answer_by: String,
        overdue: bool,
        queue_url: Option<String>,
    },
    CareLate {
        help: Vec<Help>,
    },
    /// Best first. `dates`: how many dates that are, further ones of a series included; `day`: the one day that all are on,
    /// for the subject.
    RunsFound {
        runs: Vec<FoundRun>,
        dates: usize,
        day: Option<String>,
        requests: Vec<Wished>,
        daily: bool,
    },
    /// `words`: "walks and runs, in your area"; `until`: "Saturday 28 November 2026".
    MatchRequestEnds {
        words: String,
        until: String,
        days: u32,
        keep_link: String,
    },
}

impl Body {
    /// The kind in `snake_case`: the name of the template, and of the mail in logs and counters.
    pub fn kind_name(&self) -> &'static str {
        self.into()
    }
}
