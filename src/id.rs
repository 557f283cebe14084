//! The only place that makes identifiers and random bytes.
//!
//! Accounts get a UUIDv4, which tells nothing; everything else a UUIDv7, which sorts by the time it was made. Nothing
//! here reads a clock: the caller hands in `now`.

use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use uuid::{Timestamp, Uuid};

use crate::clock::Instant;

/// An identifier of anything we store.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(pub Uuid);

impl Id {
    /// A random identifier (UUIDv4), for accounts: it must not tell when somebody joined.
    pub fn random() -> Self {
        Self(uuid::Builder::from_random_bytes(random_bytes()).into_uuid())
    }

    /// An identifier that sorts by `now` (UUIDv7), for everything but accounts. Those that are made here one after the other
    /// at the same `now`, as by an import, sort in that order, and lie together in the database.
    pub fn at(now: Instant) -> Self {
        let millis = u64::try_from(now.timestamp().as_millisecond()).unwrap_or(0);
        let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
        let count = u128::from(count_within(millis));
        Self(Uuid::new_v7(Timestamp::from_unix_time(millis / 1_000, nanos, count, COUNTER_BITS)))
    }

    /// The identifier of nothing, where one has to stand.
    pub const fn nil() -> Self {
        Self(Uuid::nil())
    }

    /// The identifier after which none comes.
    pub fn max() -> Self {
        Self(Uuid::max())
    }

    /// The sixteen bytes, big end first.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// Of the 74 bits that are free in an identifier; the others are random.
const COUNTER_BITS: u8 = 42;

/// Counts the identifiers of a millisecond from a random number on, so that none tells how many there were before it
/// (RFC 9562, section 6.2, method 1).
struct Counter {
    millis: u64,
    count: u64,
}

impl Counter {
    const fn new() -> Self {
        Self { millis: u64::MAX, count: 0 }
    }

    fn next(&mut self, millis: u64) -> u64 {
        self.count = if self.millis == millis {
            self.count + 1
        } else {
            // The highest bit is left for counting.
            u64::from_be_bytes(random_bytes()) >> (65 - u32::from(COUNTER_BITS))
        };
        self.millis = millis;
        self.count
    }
}

fn count_within(millis: u64) -> u64 {
    static COUNTER: Mutex<Counter> = Mutex::new(Counter::new());
    COUNTER.lock().unwrap_or_else(PoisonError::into_inner).next(millis)
}

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe can be done then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[allow(clippy::expect_used, reason = "without randomness there are no safe tokens or ids")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Id {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

impl utoipa::PartialSchema for Id {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).into()
    }
}

impl utoipa::ToSchema for Id {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_sorts_by_its_moment_and_says_it_to_the_millisecond() {
        let now: Instant = "2026-12-01T10:00:00.123456Z".parse().unwrap();
        let made = Id::at(now);
        assert!(Id::at(now.plus_seconds(-1)) < made && made < Id::at(now.plus_seconds(1)));
        assert_eq!(made.0.get_timestamp().unwrap().to_unix(), (1_796_119_200, 123_000_000));
        assert_eq!((made.0.get_version_num(), made.0.get_variant()), (7, uuid::Variant::RFC4122));
    }

    #[test]
    fn within_a_millisecond_is_counted_and_every_other_one_begins_anywhere() {
        let mut counter = Counter::new();
        let first = counter.next(1);
        assert_eq!([counter.next(1), counter.next(1)], [first + 1, first + 2]);
        let begun: std::collections::BTreeSet<u64> = (2..100).map(|millis| counter.next(millis)).collect();
        assert!(begun.len() > 90 && begun.iter().all(|first| *first < 1 << (COUNTER_BITS - 1)), "{begun:?}");
    }
}
