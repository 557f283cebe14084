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

/// The IANA name of a zone as the database spells it, from any letter case.
pub fn zone_name(name: &str) -> Option<String> {
    time_zone(name)?.iana_name().map(str::to_owned)
}

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstantFault {
    /// A day has 24 hours in as many zones: nobody knows which moment is meant.
    #[error("add a time and an offset: 2026-12-01T00:00:00+01:00 (in an address + is written %2B), or Z for UTC")]
    DateAlone,
    /// A wall clock without a zone.
    #[error("add an offset at its end: +01:00 (in an address + is written %2B), or Z for UTC")]
    NoOffset,
    /// Nothing that is read here.
    #[error("write a moment like 2026-12-01T09:00:00+01:00 (in an address + is written %2B) or 2026-12-01T08:00:00Z")]
    Other,
}

/// Longest text that is read as a moment.
const INSTANT_MAX_BYTES: usize = 64;

/// Reads a moment as RFC 3339 has it, and what can mean nothing else: `t` and `z`, a space for the T, an offset whose `+`
/// became a space in an address, no seconds, a comma in the seconds, the minus sign of typographers.
///
/// # Errors
/// The part that is missing, or that the text is no instant.
pub fn read_instant(text: &str) -> Result<Instant, InstantFault> {
    if text.len() > INSTANT_MAX_BYTES {
        return Err(InstantFault::Other);
    }
    let text = text.trim().replace('\u{2212}', "-").to_ascii_uppercase();
    let (date, rest) = text.split_at_checked(10).ok_or(InstantFault::Other)?;
    let is_date = date.parse::<jiff::civil::Date>().is_ok();
    if rest.is_empty() && is_date {
        return Err(InstantFault::DateAlone);
    }
    let rest = rest.strip_prefix(['T', ' ']).ok_or(InstantFault::Other)?.trim();
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(end);
    let time = time.replace(',', ".");
    if !(is_date && time.len() >= 5 && time.as_bytes().get(2) == Some(&b':')) {
        return Err(InstantFault::Other);
    }
    let offset = match offset.trim() {
        "" => return Err(if is_wall_time(&time) { InstantFault::NoOffset } else { InstantFault::Other }),
        "UTC" | "Z" => "Z".to_owned(),
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => format!("+{digits}"),
        signed => signed.to_owned(),
    };
    // RFC 3339: two digits of hours up to 23, then perhaps minutes.
    let is_offset = offset == "Z"
        || (offset.get(1..3).is_some_and(|hours| hours.parse::<u8>().is_ok_and(|hours| hours < 24))
            && offset[1..].bytes().all(|byte| byte.is_ascii_digit() || byte == b':'));
    let read = format!("{date}T{time}{offset}").parse::<Timestamp>().ok().filter(|_| is_offset);
    read.map(Instant::new).ok_or(InstantFault::Other)
}

fn is_wall_time(time: &str) -> bool {
    time.parse::<jiff::civil::Time>().is_ok()
}

/// Reads a wall time such as `2026-12-01T18:30`, with or without seconds, a space or `t` for the T; never an offset.
pub fn read_local(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10).filter(|_| text.len() <= INSTANT_MAX_BYTES)?;
    let time = rest.strip_prefix(['T', 't', ' '])?.trim_start();
    let has_minutes = time.as_bytes().get(2) == Some(&b':');
    let is_plain = has_minutes && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    format!("{date}T{time}").parse().ok().filter(|_| is_plain)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_when_they_can_mean_one_thing() {
        for (text, wanted) in [
            ("2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-01t00:00:00z", "2026-12-01T00:00:00Z"),
            ("2026-12-01T00:00:00+01:00", "2026-11-30T23:00:00Z"),
            ("2026-12-01T00:00:00 01:00", "2026-11-30T23:00:00Z"),
            ("2026-12-01 00:00:00  01:00", "2026-11-30T23:00:00Z"),
            ("2026-12-01T00:00:00 0100", "2026-11-30T23:00:00Z"),
            ("2026-12-01T00:00:00+01", "2026-11-30T23:00:00Z"),
            ("2026-12-01 00:00:00 +01:00", "2026-11-30T23:00:00Z"),
            ("2026-12-01T00:00:00\u{2212}05:00", "2026-12-01T05:00:00Z"),
            ("2026-12-01T00:00:00-05:00", "2026-12-01T05:00:00Z"),
            (" 2026-12-01 09:30Z ", "2026-12-01T09:30:00Z"),
            ("2026-12-01 09:30:00 UTC", "2026-12-01T09:30:00Z"),
            ("2026-12-01T09:30:00,5Z", "2026-12-01T09:30:00.5Z"),
        ] {
            assert_eq!(read_instant(text), Ok(wanted.parse().unwrap()), "{text}");
        }
        for (text, fault) in [
            ("2026-12-01", InstantFault::DateAlone),
            ("2026-12-01T09:00:00", InstantFault::NoOffset),
            ("2026-12-01 09:00", InstantFault::NoOffset),
            ("2026-02-30", InstantFault::Other),
            ("2026-02-30T09:00:00Z", InstantFault::Other),
            ("2026-12-01T25:00:00Z", InstantFault::Other),
            ("2026-12-01T09:00:00+25:00", InstantFault::Other),
            ("2026-12-01T09:00:00+01:00[Europe/Berlin]", InstantFault::Other),
            ("2026-12-01T09:00:00 CET", InstantFault::Other),
            ("01.12.2026 09:00", InstantFault::Other),
            ("tomorrow", InstantFault::Other),
            ("1764547200", InstantFault::Other),
            ("9999-12-31T23:59:59Z", InstantFault::Other),
            ("ééééé", InstantFault::Other),
            ("", InstantFault::Other),
        ] {
            assert_eq!(read_instant(text), Err(fault), "{text}");
        }
        assert_eq!(read_instant(&"1".repeat(10_000)), Err(InstantFault::Other));
    }

    #[test]
    fn wall_times_and_zones_are_read_in_their_usual_spellings() {
        for text in ["2026-12-01T18:30", "2026-12-01 18:30:00", "2026-12-01t18:30"] {
            assert_eq!(read_local(text).unwrap().to_string(), "2026-12-01T18:30:00", "{text}");
        }
        for wrong in ["2026-12-01T18:30Z", "2026-12-01T18:30+01:00", "2026-12-01", "18:30", "2026-12-01T18"] {
            assert_eq!(read_local(wrong), None, "{wrong}");
        }
        assert_eq!(zone_name("europe/LONDON").as_deref(), Some("Europe/London"));
        assert_eq!(zone_name("GMT Standard Time"), None);
    }
}
