//! A tile: the runs that begin in one place, in the order of their starts, each with what a first look reads.

use crate::{
    clock::Instant,
    domain::matching::{IndexedRun, bound::PackedRun},
    id::Id,
    service::run_sides::Read,
};

/// A run in its tile.
#[derive(Debug, Clone)]
pub struct Slot {
    pub side: IndexedRun,
    /// Rises with every change of the run.
    pub version: u64,
}

/// A run on its way into a grid.
#[derive(Debug, Clone)]
pub struct Entry {
    pub slot: Slot,
    /// Until when nothing changes by itself.
    pub(super) good_until: Option<Instant>,
}

impl Entry {
    pub(super) fn new(read: Read, version: u64) -> Self {
        Self { slot: Slot { side: read.side, version }, good_until: read.good_until }
    }
}

impl Slot {
    /// By start and id.
    pub(super) fn order(&self) -> Order {
        (self.side.starts_at, self.side.id)
    }
}

/// Runs of one tile, by start and id.
#[derive(Debug, Clone, Default)]
pub struct Tile {
    /// When each begins, in microseconds of 1970.
    starts: Vec<i64>,
    /// What a first look reads, apart from the runs: thousands of them lie close together.
    packed: Vec<PackedRun>,
    slots: Vec<Slot>,
    /// Of the grid's last change that was here.
    pub(super) version: u64,
}

/// The order of lists.
pub type Order = (Instant, Id);

impl Tile {
    /// The runs from this start on.
    pub fn from(&self, from: Instant) -> &[Slot] {
        &self.slots[self.first_from(from.micros())..]
    }

    /// The runs after this one.
    pub fn after(&self, after: Order) -> &[Slot] {
        &self.slots[self.slots.partition_point(|slot| slot.order() <= after)..]
    }

    /// The runs that begin from `from` on and before `to`, each with its packed.
    pub fn between(&self, from: Instant, to: Instant) -> impl Iterator<Item = (&PackedRun, &Slot)> {
        let (first, end) = (self.first_from(from.micros()), self.first_from(to.micros()));
        let span = first..end.max(first);
        self.packed[span.clone()].iter().zip(&self.slots[span])
    }

    /// The first start from `from` on, in microseconds of 1970.
    pub(super) fn first_start(&self, from: i64) -> Option<i64> {
        self.starts.get(self.first_from(from)).copied()
    }

    /// Where the first run stands that begins from `from` on.
    fn first_from(&self, from: i64) -> usize {
        // Most ask from now on, and what has begun is not here.
        if self.starts.first().is_none_or(|first| *first >= from) {
            return 0;
        }
        self.starts.partition_point(|start| *start < from)
    }

    /// All runs.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let at = self.slots.partition_point(|other| other.order() < slot.order());
        self.starts.insert(at, slot.side.starts_at.micros());
        self.packed.insert(at, PackedRun::of(&slot.side));
        self.slots.insert(at, slot);
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Slot> {
        let at = self.slots.iter().position(|slot| slot.side.id == id)?;
        self.starts.remove(at);
        self.packed.remove(at);
        Some(self.slots.remove(at))
    }

    /// Takes out the runs that begin before this, and gives the series of those that are dates of one.
    pub(super) fn drop_before(&mut self, from: Instant) -> Vec<Id> {
        let begun = self.first_from(from.micros());
        self.starts.drain(..begun);
        self.packed.drain(..begun);
        self.slots.drain(..begun).filter_map(|slot| slot.side.series).collect()
    }

    /// A tile for so many runs: [added](Self::add) in any order, and [settled](Self::settle) after.
    pub(super) fn with_room(many: usize, version: u64) -> Self {
        Self { starts: Vec::new(), packed: Vec::new(), slots: Vec::with_capacity(many), version }
    }

    pub(super) fn add(&mut self, slot: Slot) {
        self.slots.push(slot);
    }

    /// Puts the runs in order and lays their starts and packed beside them.
    pub(super) fn settle(&mut self) {
        self.slots.sort_unstable_by_key(Slot::order);
        self.starts = self.slots.iter().map(|slot| slot.side.starts_at.micros()).collect();
        self.packed = self.slots.iter().map(|slot| PackedRun::of(&slot.side)).collect();
    }
}
