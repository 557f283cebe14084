//! Bounded caches that count bytes and not entries.

use quick_cache::{Weighter, sync::Cache};

use crate::id::Id;

/// A cache by id.
pub type ByBytes<V> = Cache<Id, V, Bytes>;

/// Something of which many bytes are kept.
pub trait Kept {
    /// How many.
    fn size(&self) -> usize;
}

/// Weighs by the bytes, with what keeping them costs.
#[derive(Clone)]
pub struct Bytes;

impl<V: Kept> Weighter<Id, V> for Bytes {
    fn weight(&self, _: &Id, kept: &V) -> u64 {
        u64::try_from(kept.size()).unwrap_or(u64::MAX).saturating_add(200)
    }
}

/// A cache that holds so many bytes at most, of entries that usually have `usual_bytes`.
pub fn holding<V: Kept + Clone>(most_bytes: u64, usual_bytes: u64) -> ByBytes<V> {
    Cache::with_weighter(usize::try_from(most_bytes / usual_bytes).unwrap_or(usize::MAX), most_bytes, Bytes)
}
