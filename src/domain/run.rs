//! One occasion: what a facilitator may say about it, and what follows from the clock and the place.
//!
//! [`RunDraft`] is both the body of `POST /runs` and what `PATCH` edits; whatever else a run has is worked out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, ObjectBuilder},
};

use super::{
    pace::{Activity, PaceBand},
    place::{self, LatLng},
    profile::AccessNeed,
    refusal::Faults,
    signup::SignupStatus,
    text,
    vocabulary::languages,
};
use crate::clock::{Instant, time_zone};

word_enum! {
    "snake_case";
    /// Where a run is in its life.
    pub enum RunStatus {
        Draft,
        Published,
        /// Without a facilitator: nobody new gets in until somebody takes over.
        Paused,
        Cancelled,
        Completed,
    }
}

word_enum! {
    "snake_case";
    /// How people get in.
    pub enum JoinPolicy {
        Open,
        /// A facilitator says yes to each.
        Approval,
    }
}

word_enum! {
    "snake_case";
    /// Why a run is called off.
    pub enum CancelReason {
        Weather,
        Illness,
        TooFew,
        /// No facilitator was found in time.
        NoFacilitator,
        Place,
        Other,
    }
}

impl CancelReason {
    /// The sentence that people read.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Weather => "The weather does not let it happen safely.",
            Self::Illness => "The facilitator is not well.",
            Self::TooFew => "There are too few this time.",
            Self::NoFacilitator => "No facilitator could be found in time.",
            Self::Place => "The meeting point cannot be used.",
            Self::Other => "It cannot take place this time.",
        }
    }
}

word_enum! {
    "snake_case";
    /// Whether a facilitator leads a run or has been asked to.
    pub enum ListingStatus {
        Invited,
        Accepted,
    }
}

word_enum! {
    "snake_case";
    /// What somebody who is listed on a run does there.
    pub enum ListingRole {
        /// Answers for the run: makes its places, and without one it does not take place.
        Leader,
        /// Stays with the last; sees the roster, makes no places and cannot hold a run alone.
        BackMarker,
    }
}

word_enum! {
    "snake_case";
    /// To whom a facilitator says something.
    pub enum Audience {
        /// Everybody with a place, a request or a position in the line.
        All,
        /// Those with a place.
        Confirmed,
        /// Those without one yet.
        Waiting,
    }
}

impl Audience {
    /// Whether somebody with such a sign-up is spoken to.
    pub fn holds(self, status: SignupStatus) -> bool {
        let is_in = matches!(status, SignupStatus::Confirmed | SignupStatus::Attended);
        match self {
            Self::All => is_in || status.is_live(),
            Self::Confirmed => is_in,
            Self::Waiting => status.is_live() && !is_in,
        }
    }
}

word_enum! {
    "snake_case";
    /// A yes or no about access; what is not said is not in the map.
    pub enum YesNo {
        Yes,
        No,
    }
}

/// Where the group meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeetingPoint {
    /// Degrees north, WGS 84.
    #[schema(minimum = -90, maximum = 90)]
    pub lat: f64,
    /// Degrees east, WGS 84.
    #[schema(minimum = -180, maximum = 180)]
    pub lng: f64,
    /// What people there call the place.
    #[schema(format = "line", min_length = 1, max_length = 120)]
    pub name: String,
}

impl MeetingPoint {
    /// The point without its name.
    pub fn point(&self) -> LatLng {
        LatLng { lat: self.lat, lng: self.lng }
    }
}

/// What a facilitator says about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunDraft {
    #[schema(format = "line", min_length = 1, max_length = 120)]
    pub title: String,
    #[schema(max_length = 4000)]
    #[serde(default)]
    pub description: String,
    pub activity: Activity,
    /// The pace at which the group chats, s/km.
    pub pace: PaceBand,
    /// Nobody is left behind: the group waits for everyone.
    #[serde(default)]
    pub no_drop: bool,
    #[schema(minimum = 0.1, maximum = 100)]
    #[serde(default)]
    pub distance_km: Option<f64>,
    #[schema(minimum = 10, maximum = 720)]
    pub duration_min: i32,
    pub starts_at: Instant,
    /// IANA name; worked out from the meeting point when absent, and refused when its clock differs from the one there.
    #[schema(format = "time-zone", max_length = 64)]
    #[serde(default)]
    pub time_zone: Option<String>,
    pub meeting_point: MeetingPoint,
    /// How to find the group.
    #[schema(max_length = 1000)]
    #[serde(default)]
    pub getting_there: Option<String>,
    /// Whether everybody sees the exact meeting point; when absent: for open runs yes, for runs by approval no.
    #[serde(default)]
    pub meeting_point_public: Option<bool>,
    #[schema(minimum = 1, maximum = 1000)]
    pub capacity: i32,
    /// Places kept for people who have not run with this group.
    #[schema(minimum = 0, maximum = 1000)]
    #[serde(default)]
    pub newcomer_places: Option<i32>,
    #[serde(default = "open")]
    #[schema(default = "open")]
    pub join_policy: JoinPolicy,
    /// BCP 47 primary tags, such as `en`.
    #[schema(max_items = 10)]
    #[serde(default)]
    pub languages: Vec<LanguageTag>,
    /// The answers about access, by the names of access needs, such as `step_free`.
    #[serde(default)]
    #[schema(schema_with = access_schema)]
    pub access: BTreeMap<String, YesNo>,
    /// Asked at sign-up.
    #[schema(max_items = 5)]
    #[serde(default)]
    pub questions: Vec<Question>,
    /// A telephone number for the day, shown to those who come shortly before.
    #[schema(format = "line", max_length = 40)]
    #[serde(default)]
    pub day_contact: Option<String>,
    /// Kept to oneself until it is published.
    #[serde(default)]
    pub draft: bool,
    /// Lead this as well as another run at the same time whose meeting point is within walking distance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm_overlap: bool,
}

/// At most so many answers about access.
const ACCESS_MAX: usize = 20;

/// The schema of what a run says about access: yes or no for each access need.
fn access_schema() -> Object {
    ObjectBuilder::new()
        .property_names(Some(AccessNeed::schema()))
        .additional_properties(Some(YesNo::schema()))
        .max_properties(Some(ACCESS_MAX))
        .build()
}

/// A primary language tag of two or three letters, out of `GET /vocabulary`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "language", pattern = "^[a-z]{2,3}$", example = "en")]
pub struct LanguageTag(pub String);

impl LanguageTag {
    /// The primary tag of any language tag, in its shortest form: `en` of `en-GB`, `EN`, `en_gb` or `eng`. None for what
    /// is no tag.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.trim().split(['-', '_']);
        let primary = parts.next()?.to_ascii_lowercase();
        let is_primary = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_part =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_tag = is_primary && text.len() <= 35 && parts.all(is_part);
        is_tag.then(|| Self(languages::shortest(&primary).map_or(primary, str::to_owned)))
    }
}

/// A short question to those who sign up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "line", min_length = 1, max_length = 300)]
pub struct Question(pub String);

fn open() -> JoinPolicy {
    JoinPolicy::Open
}

/// What place and clock say about a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    pub time_zone: String,
    pub ends_at: Instant,
    pub after_dark: bool,
    pub point_is_public: bool,
    /// The cell that stands for the meeting point where that is hidden.
    pub area: place::Cell,
    /// What everybody's searches and distances are measured to.
    pub shown: LatLng,
}

impl Derived {
    /// The same for another start of the same draft: of a place and its clock only the daylight changes.
    pub fn at(&self, draft: &RunDraft) -> Self {
        let ends_at = draft.starts_at.plus_minutes(i64::from(draft.duration_min));
        let (from, to) = (draft.starts_at.timestamp(), ends_at.timestamp());
        let after_dark = super::daylight::after_dark(self.shown, from, to);
        Self { ends_at, after_dark, ..self.clone() }
    }
}

/// How far ahead a run may be posted, in days.
pub const MAX_DAYS_AHEAD: i64 = 366;
/// The cell of a hidden meeting point: resolution 8 of H3, like a home (about 0.7 km²).
pub const AREA_RESOLUTION: u8 = 8;

impl RunDraft {
    /// Works out what follows from the draft, or names everything that the schema cannot see: a band upside down, a
    /// start in the past (`starts_at` may stay as it `was`), a meeting point at sea, a zone that is none.
    pub fn derive(&self, now: Instant, was: Option<Instant>) -> Result<Derived, Faults> {
        let mut faults = Faults::default();
        let point = self.meeting_point.point();
        faults.unless(
            !self.pace.is_upside_down(),
            "/pace",
            "upside_down",
            "fastest_s_per_km must not be more than slowest_s_per_km: more seconds are slower",
        );
        faults.unless(
            self.starts_at > now || was == Some(self.starts_at),
            "/starts_at",
            "in_the_past",
            "the start must lie in the future",
        );
        faults.unless(
            self.starts_at <= now.plus_days(MAX_DAYS_AHEAD),
            "/starts_at",
            "too_far_ahead",
            "runs can be posted up to a year ahead",
        );
        faults.unless(text::has_visible(&self.title), "/title", "empty", "the title must say something");
        faults.unless(text::has_visible(&self.meeting_point.name), "/meeting_point/name", "empty", "name the place");
        faults.unless(
            self.newcomer_places.unwrap_or(0) <= self.capacity,
            "/newcomer_places",
            "above_capacity",
            "there cannot be more places for newcomers than places",
        );
        faults.unless(self.access.len() <= ACCESS_MAX, "/access", "too_many", "at most 20 entries");
        for name in self.access.keys() {
            let fine = !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            faults.unless(fine, "/access", "bad_name", "names are lower-case words with _ between them");
        }
        faults.unless(point.is_valid(), "/meeting_point", "out_of_range", "there is no such point");
        let zone = if point.is_valid() { self.zone(&mut faults) } else { None };
        let area = place::Cell::containing(point, AREA_RESOLUTION);
        let (Some(time_zone), Some(area)) = (zone, area) else { return Err(faults) };
        faults.none()?;
        let ends_at = self.starts_at.plus_minutes(i64::from(self.duration_min));
        let point_is_public = self.point_is_public();
        let shown = if point_is_public { point } else { area.centre() };
        Ok(Derived {
            time_zone,
            ends_at,
            // Everybody sees it, so a hidden point must not be read from the second at which it turns dark there.
            after_dark: super::daylight::after_dark(shown, self.starts_at.timestamp(), ends_at.timestamp()),
            point_is_public,
            area,
            shown,
        })
    }

    /// Whether everybody sees the exact meeting point.
    pub fn point_is_public(&self) -> bool {
        self.meeting_point_public.unwrap_or(self.join_policy == JoinPolicy::Open)
    }

    /// The zone of the meeting point. Where the point is hidden, that of the area's centre if both show the same time
    /// around the year: the name of a zone tells the side of a border.
    pub fn zone_there(&self, now: Instant) -> Option<&'static str> {
        let point = self.meeting_point.point();
        let there = place::time_zone_at(point)?;
        if self.point_is_public() {
            return Some(there);
        }
        let centre = place::Cell::containing(point, AREA_RESOLUTION)?.centre();
        let in_the_middle = place::time_zone_at(centre).filter(|zone| *zone != there);
        let offset = |zone: &str, day: i64| now.plus_days(day).zoned(zone).offset();
        let agrees = |zone: &&str| (0..=2 * MAX_DAYS_AHEAD).all(|day| offset(zone, day) == offset(there, day));
        in_the_middle.filter(agrees).or(Some(there))
    }

    fn zone(&self, faults: &mut Faults) -> Option<String> {
        let Some(there) = self.zone_there(self.starts_at) else {
            let words = "there is no time zone at this point: is it at sea, or are lat and lng swapped?";
            faults.unless(false, "/meeting_point", "no_time_zone", words);
            return None;
        };
        let Some(wanted) = &self.time_zone else { return Some(there.to_string()) };
        if time_zone(wanted).is_none() {
            faults.unless(false, "/time_zone", "unknown_time_zone", "use an IANA name such as Europe/London");
            return None;
        }
        let same = self.starts_at.zoned(wanted).offset() == self.starts_at.zoned(there).offset();
        let words = format!("at the meeting point the clock is that of {there}");
        faults.unless(same, "/time_zone", "not_the_time_there", &words);
        Some(wanted.clone())
    }
}
