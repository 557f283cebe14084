//! Cards of runs as JSON, ready to be sent: a bounded number, each of one state of its run.

use std::sync::Arc;

use super::{
    Found,
    by_bytes::{ByBytes, Kept, holding},
};

/// Bytes of cards that are kept.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a usual card with what keeping it costs.
const USUAL_BYTES: u64 = 1_000;

/// A card as everybody may see it, in JSON.
#[derive(Debug, Clone)]
pub struct RenderedCard {
    version: u64,
    json: Arc<str>,
}

impl Kept for RenderedCard {
    fn size(&self) -> usize {
        self.json.len()
    }
}

/// The cache of rendered cards, by run.
pub struct CardCache(ByBytes<RenderedCard>);

impl Default for CardCache {
    fn default() -> Self {
        Self(holding(KEPT_BYTES, USUAL_BYTES))
    }
}

impl CardCache {
    /// The card of a run in the state in which it was found, if it is kept.
    pub fn get(&self, found: &Found) -> Option<Arc<str>> {
        self.0.get(&found.id).filter(|shown| shown.version == found.version).map(|shown| shown.json)
    }

    /// Keeps a card that was read from the database after its run was found: it is of that state or a later one.
    pub fn put(&self, found: &Found, json: Arc<str>) {
        self.0.insert(found.id, RenderedCard { version: found.version, json });
    }
}
