//! Every reason for which we say no, on one page: its stable code, its kind of outcome, and words for people.
//!
//! `/problems/{code}` shows this table, and `http/problem.rs` turns the kind into a status. A code is never reused.

use serde::Serialize;
use serde_json::{Map, Value};
use strum::VariantArray;

/// The kind of outcome a refusal is; it decides the HTTP status and nothing else.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// We do not know who asks.
    Unauthenticated,
    /// We know who asks, and they may not.
    Forbidden,
    /// A rule of the house stands against it now.
    Conflict,
    /// The caller worked from an older version.
    Stale,
    /// The caller has to say which version they saw.
    VersionNeeded,
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident $kind:ident $title:literal $words:literal;)*) => {
        /// The stable code of a refusal, `snake_case` on the wire.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, VariantArray)]
        #[strum(serialize_all = "snake_case")]
        pub enum Code { $($(#[$meta])* #[doc = $title] $name,)* }

        impl Code {
            /// The kind of outcome.
            pub fn kind(self) -> Kind { match self { $(Self::$name => Kind::$kind,)* } }
            /// A short title that does not change from case to case.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
            /// What it means and what one can do about it.
            pub fn words(self) -> &'static str { match self { $(Self::$name => $words,)* } }
        }
    };
}

codes! {
    NotLoggedIn Unauthenticated "Please log in" "This needs an access token: send `Authorization: Bearer …` from POST /v1/sessions.";
    TokenInvalid Unauthenticated "The access token is not valid" "It has expired or was not made here. Refresh it with POST /v1/sessions/refresh or log in again.";
    SessionEnded Unauthenticated "The session has ended" "You logged out, changed your password, or a decision about your account ended it. Log in again.";
    CredentialsWrong Unauthenticated "E-mail address or password is wrong" "Nothing is said about which of the two. After several tries there is a pause; the password can be reset by mail.";
    RefreshTokenInvalid Unauthenticated "The refresh token is not valid" "It has expired or was used before. A token used twice ends its session, since one of the two uses was not yours.";
    LinkInvalid Forbidden "The link no longer works" "It was used, has expired or was cut off by a mail program. Ask for a new one.";

    EmailNotVerified Forbidden "The e-mail address is not verified yet" "Open the link in the mail we sent, or ask for another with POST /v1/accounts/resend-verification.";
    AccountRestricted Forbidden "A decision about your account stands against this" "The answer says what was decided, why, until when, and how to object (POST /v1/appeals).";
    FacilitatorsOnly Forbidden "Only facilitators may do this" "Apply with POST /v1/facilitator-applications; a moderator decides.";
    NotInGoodStanding Forbidden "You cannot lead runs at present" "A decision stands against it or a required credential has expired. See GET /v1/me/decisions.";
    ModeratorsOnly Forbidden "Only moderators may do this" "An admin grants the role.";
    WelfareOnly Forbidden "Only welfare moderators may do this" "An admin grants the role.";
    AdminsOnly Forbidden "Only admins may do this" "The first admin is made with `sidebyside create-admin`.";
    NotForYourself Forbidden "Somebody else has to do this" "Nobody decides about themselves, and an appeal goes to somebody who did not decide before.";
    AnotherDecides Conflict "Somebody else in the team decides this" "Something that is open may touch both of you: a run on which you were or that you lead, an objection, or a case. Please hand it to somebody else in the team.";
    YouLeadThisRun Conflict "You lead this run" "Facilitators are on the run already and need no place.";

    RunNotOpen Conflict "The run does not take sign-ups" "It is a draft, locked, cancelled or over.";
    RunNotOpenToYou Conflict "This run is not open to you" "There are several possible causes, and we do not say which. Other runs are in GET /v1/matches.";
    RunPaused Conflict "The run is paused" "It has no facilitator at the moment. Nobody new gets in until somebody takes over.";
    RunStarted Conflict "The run has started" "Places can no longer be taken or given back.";
    RunCancelled Conflict "The run is cancelled" "It does not take place.";
    RunOver Conflict "The run is over" "It can no longer be changed.";
    RunNotPaused Conflict "The run is not paused" "Only a paused run can be taken over.";
    TakeOverTooLate Conflict "It is too late to take over" "The deadline before the start has passed and the run is being cancelled.";
    ApprovalNotYet Conflict "Runs with approval are not there yet" "Post the run with join_policy open.";
    SignupNotLive Conflict "This sign-up has ended" "It was withdrawn, removed or has expired, so there is nothing left to change.";
    RequestDecided Conflict "There is no request to decide any more" "It has been approved already; what is next is in the sign-up.";
    NotApprovedFacilitator Conflict "This person is not an approved facilitator" "Only approved facilitators in good standing can be listed on a run.";
    AlreadyListed Conflict "This person is listed already" "They lead the run or have been invited to.";
    NotListed Conflict "This person is not listed on the run" "There is nothing to step down from.";

    OverlappingRun Conflict "Another run lies at that time" "`conflicting_signup_id` names a place in it: send `swap: true` to leave it for this one in one step. `conflicting_run_id` names one that is led at that time: where both meeting points are within walking distance, `confirm_overlap: true` says that one facilitator leads both.";
    OfferExpired Conflict "The offer has expired" "It was held for a while and has gone to the next in line. You are still in the line, and it costs you nothing.";
    NoOffer Conflict "There is no offer" "You are in the line and get a mail as soon as there is a place for you.";
    PlaceTaken Conflict "Somebody was faster" "The place is taken. You are still in the line, and may hear again.";
    ApprovalNotPossible Conflict "This request cannot be approved now" "There are several possible causes, and we do not say which. It can be declined.";
    TooFewThisTime Conflict "Nobody else is coming this time" "It would be one participant with one facilitator, and it is too late to ask both whether they want that. Other runs are in GET /v1/matches.";
    LinkOutdated Conflict "This was asked about the run as it was" "Its start, its place or who comes has changed since that mail. Please answer the newest mail about it, or log in.";
    NotAsked Conflict "Nobody asks this at the moment" "It has been settled otherwise: more people come, or the run is as it was. There is nothing to answer.";
    FreshYesNeeded Conflict "The person has not said yes to the run as it is now" "The run was moved far since they asked to come. They have a mail with the question; the request can be approved once they have said yes.";
    ReconfirmTooLate Conflict "It is too late to say that you come" "The place is being given to somebody else. You may sign up again.";
    LeadersOnly Forbidden "Only those who lead this run may do this" "A back marker sees who comes and checks people in; deciding about the run and its people stays with those who lead it.";
    FriendPlaceNotFree Conflict "There is no place to keep for a friend" "The run is full, or somebody waits for the place. A friend may sign up and wait as well.";
    FriendPlaceGone Conflict "This place for a friend is gone" "It was taken, given back, or its time is over. Sign up without `friend_token` to get what is free.";
    FriendAlreadyComes Conflict "You have brought a friend already" "Each sign-up can keep a place for one friend.";
    ChangeTooLate Conflict "It is too late for so large a change" "Within three hours before the start a run cannot be moved far: people are setting out. Cancel it instead.";

    DeskNotOpen Conflict "It is too early for this" "`from` says when it becomes possible: two hours before the start, the start itself, or when the list is sealed.";
    DeskClosed Conflict "It is too late for this" "`until` says when it was possible for the last time.";
    RunFull Conflict "The run is full" "Every place is taken. Nobody more can be taken in, since the places follow the facilitators who are there.";
    NobodyCheckedIn Conflict "Nobody is checked in yet" "Where nobody was ticked off, nobody was missed. Check in at least one person first.";
    InAnIncident Conflict "An incident names this guest" "What was reported stays as it was, so the guest stays on the list.";
    NotCheckedIn Conflict "This person is not checked in" "Only who was checked in can be signed out or run beside somebody.";
    SaidTheyWereThere Conflict "The person says that they were there" "That stands. If you think otherwise, tell the team with POST /v1/reports.";
    PairNotPossible Conflict "These people cannot be paired" "There are several possible causes, and we do not say which. Choose another pair.";
    SeriesEnded Conflict "The series has ended" "No more dates are made. Post a new series to begin again.";
    SeriesDateOver Conflict "This date is over" "A series can be changed from a date that is still to come.";
    RegularsKnowTheGroup Conflict "Come once first" "Where each sign-up needs a yes, you can come to all dates once a facilitator said yes to one. Sign up for one date.";

    HomeChangedRecently Conflict "The home area was changed too often" "It may change three times a week, so that nobody can be found by trying. `until` says when it may change again.";
    PaceChangedRecently Conflict "The paces were changed too often" "They may change three times a day. `until` says when they may change again.";
    ProfileMissing Conflict "There is no running profile yet" "Matches need at least a home area: PUT /v1/me/running-profile.";
    TooManyMatchRequests Conflict "There are as many match requests as one person may have" "Take one back with DELETE /v1/match-requests/{id} first; `most` says how many may stand.";
    ApplicationPending Conflict "An application is waiting already" "A moderator has yet to decide about it.";
    AlreadyFacilitator Conflict "You are a facilitator already" "There is nothing to apply for; to renew a credential, name it.";
    ApplicationDecided Conflict "The application has been decided already" "A decision can be appealed with POST /v1/appeals.";
    CredentialsMissing Conflict "A required credential is missing or has expired" "`missing` names the kinds that this installation requires.";

    ReportResolved Conflict "The report has been resolved already" "Its resolution stands.";
    SanctionEnded Conflict "The decision no longer stands" "It was lifted or has run out.";
    AppealOpen Conflict "There is an open appeal about this" "It has to be decided first.";
    AppealDecided Conflict "The appeal has been decided already" "Its outcome stands.";
    NotAppealable Conflict "This cannot be appealed" "Only decisions about you that still stand can be.";
    LastAdmin Conflict "There must be an admin" "Grant the role to somebody else first.";
    AccountNotActive Conflict "The account is not active yet" "Its owner has to open the link in the mail first.";
    AddressTaken Conflict "There is an account with this address" "Its owner has it already; an admin can grant it roles.";

    BlockYourself Conflict "This is yourself" "One cannot block oneself.";
    TooManyBlocks Conflict "There are twenty blocks already" "Take one back with DELETE /v1/blocks/{id} first, or tell the team with POST /v1/reports.";
    BlocksMadeTooOften Conflict "Too many blocks were made lately" "Forty may be made in thirty days, those taken back included, so that nobody finds people by trying. `until` says when another may be made.";
    BlockDecided Conflict "This has been decided already" "Another moderator has found the person or could not, or the blocker has taken it back.";
    AfterRunNotYet Conflict "The run is not over yet" "Tell us from its planned end on.";
    AfterRunOver Conflict "It is too late to answer" "Answers are taken until fourteen days after the run. The team can always be told with POST /v1/reports.";
    CareNotOffered Conflict "Nobody can promise to get in touch here" "This installation has nobody on duty for it. The help lines in GET /v1/help are there at any time.";
    CareTaken Conflict "Somebody else takes care of this" "Another member of the team has taken it on.";
    CareEnded Conflict "This wish has ended" "It was taken care of or taken back.";

    InProgress Conflict "The same request is being worked on" "Its twin with the same Idempotency-Key has not finished. Try again shortly.";
    VersionStale Stale "Somebody changed this in the meantime" "Read it again and send the new ETag in If-Match.";
    VersionMissing VersionNeeded "Please say which version you saw" "Send the ETag of your last GET in If-Match.";
}

impl Code {
    /// The code as it stands in answers and addresses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// All codes, in the order of this page.
    pub fn all() -> &'static [Code] {
        Self::VARIANTS
    }
}

/// A no, with what the caller may know about it.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Which no.
    pub code: Code,
    /// Words about this very case; the code's own words where there is nothing to add.
    pub detail: Option<String>,
    /// Further members of the problem document, such as `until`.
    pub extra: Map<String, Value>,
}

impl Refusal {
    /// Adds words about this very case.
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a member to the problem document.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.extra.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
        self
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self { code, detail: None, extra: Map::new() }
    }
}

/// One thing that is wrong with what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// Where: a JSON pointer into the body, or `?name` for the query.
    pub pointer: String,
    /// A stable word for what is wrong.
    pub code: String,
    /// What is wrong, in words.
    pub detail: String,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn at(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }
    }
}

/// Collects faults, so that all of them are told at once.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Notes a fault unless `fine` holds.
    pub fn unless(&mut self, fine: bool, pointer: &str, code: &str, detail: &str) {
        if !fine {
            self.0.push(Fault::at(pointer, code, detail));
        }
    }

    /// `Ok` when nothing is wrong.
    pub fn none(self) -> Result<(), Faults> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}
