//! The only clock. Everything below `http` and the worker takes `now` as a parameter.
//!
//! [`Instant`] is a moment in UTC, rounded to the microsecond that PostgreSQL keeps, so that a value read back is the
//! value that was written.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp, Zoned, civil::DateTime, tz::TimeZone, tz::TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC with microsecond precision.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Instant(Timestamp);

impl Instant {
    /// Rounds down to the microsecond.
    pub fn new(timestamp: Timestamp) -> Self {
        Self(Timestamp::from_microsecond(timestamp.as_microsecond()).unwrap_or(timestamp))
    }

    /// The moment `micros` microseconds after 1970, or `None` outside the years -9999 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        Timestamp::from_microsecond(micros).ok().map(Self)
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The next moment that can be told from this one.
    pub fn just_after(self) -> Self {
        Self::from_micros(self.micros() + 1).unwrap_or(self)
    }

    /// The same moment as jiff's type.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// This moment on the wall clock of `zone` (an IANA name; UTC when it is unknown).
    pub fn local(self, zone: &str) -> DateTime {
        self.zoned(zone).datetime()
    }

    /// This moment in `zone` (an IANA name; UTC when it is unknown).
    pub fn zoned(self, zone: &str) -> Zoned {
        self.0.to_zoned(time_zone(zone).unwrap_or(TimeZone::UTC))
    }

    /// `hours` later (earlier when negative); saturates at the ends of time.
    pub fn plus_hours(self, hours: i64) -> Self {
        self.plus(SignedDuration::from_hours(hours))
    }

    /// `minutes` later (earlier when negative); saturates at the ends of time.
    pub fn plus_minutes(self, minutes: i64) -> Self {
        self.plus(SignedDuration::from_mins(minutes))
    }

    /// `days` of 24 hours later (earlier when negative); saturates at the ends of time.
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_hours(days.saturating_mul(24))
    }

    /// `seconds` later (earlier when negative); saturates at the ends of time.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus(SignedDuration::from_secs(seconds))
    }

    fn plus(self, duration: SignedDuration) -> Self {
        let end = if duration.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        Self(self.0.checked_add(duration).unwrap_or(end))
    }

    /// Whole seconds from `earlier` to this moment.
    pub fn seconds_since(self, earlier: Instant) -> i64 {
        self.0.duration_since(earlier.0).as_secs()
    }
}

/// The zone of an IANA name, always from the time zone data in the binary: the system's may be older.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    static BUNDLED: std::sync::LazyLock<TimeZoneDatabase> = std::sync::LazyLock::new(TimeZoneDatabase::bundled);
    BUNDLED.get(name).ok()
}

/// The moment at which the wall clock of `zone` shows `local`: in a gap forward, in a fold the first (RFC 5545).
pub fn at_local(local: DateTime, zone: &str) -> Option<Instant> {
    let zoned = time_zone(zone)?.to_ambiguous_zoned(local).compatible().ok()?;
    Some(Instant::new(zoned.timestamp()))
}

impl fmt::Display for Instant {
    /// RFC 3339 in UTC with six decimals, always 27 characters: it sorts as text, which SQLite relies on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Instant {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>().map(Self::new)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer).map(Self::new)
    }
}

impl utoipa::PartialSchema for Instant {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Instant {}

/// Where `now` comes from: the system in the binary, a settable value for those who embed the library.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Mutex<Timestamp>>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still at `start` until it is [`set`](Self::set).
    pub fn standing_at(start: Instant) -> Self {
        Self(Some(Arc::new(Mutex::new(start.0))))
    }

    /// Moves a standing clock; the system's clock cannot be moved.
    pub fn set(&self, to: Instant) {
        if let Some(standing) = &self.0 {
            *standing.lock().unwrap_or_else(PoisonError::into_inner) = to.0;
        }
    }

    /// The present moment.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Some(standing) => Instant(*standing.lock().unwrap_or_else(PoisonError::into_inner)),
            #[allow(clippy::disallowed_methods, reason = "this is the one clock")]
            None => Instant::new(Timestamp::now()),
        }
    }
}
