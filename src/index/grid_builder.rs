//! Taking in all runs at once: they are counted as they come, so that each tile is made with room for just its own.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{
    grid::{self, Grid},
    tile::{Entry, Order, Slot, Tile},
};

/// Runs on their way into a grid.
#[derive(Default)]
pub struct GridBuilder {
    /// Knows which runs are here, and has no tiles yet.
    grid: Grid,
    slots: Vec<Vec<Slot>>,
    /// How many runs each tile will have.
    many: HashMap<u32, usize, RandomState>,
}

impl GridBuilder {
    /// Takes many runs in, of which none is here.
    pub fn take(&mut self, entries: Vec<Entry>) {
        let mut slots = Vec::with_capacity(entries.len());
        for entry in entries {
            *self.many.entry(self.grid.note(&entry)).or_default() += 1;
            slots.push(entry.slot);
        }
        self.slots.push(slots);
    }

    /// Puts everything in its order. `version` is above that of any grid before it.
    pub fn into_grid(self, version: u64) -> Grid {
        let Self { mut grid, slots, many } = self;
        let mut order: Vec<Order> = slots.iter().flatten().map(Slot::order).collect();
        order.sort_unstable();
        grid.list(&order);
        drop(order);
        let mut tiles: HashMap<u32, Tile, RandomState> =
            many.into_iter().map(|(key, many)| (key, Tile::with_room(many, version))).collect();
        for slot in slots.into_iter().flatten() {
            tiles.entry(grid::key_of(slot.side.place)).or_default().add(slot);
        }
        let settled = |(key, mut tile): (u32, Tile)| {
            tile.settle();
            (key, Arc::new(tile))
        };
        grid.have(tiles.into_iter().map(settled).collect(), version);
        grid
    }
}
