//! Taking in all runs at once: they are counted as they come, so that each tile is made with room for just its own.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::grid::{Grid, Order, Slot, Tile};

/// Runs on their way into a grid.
#[derive(Default)]
pub struct Gathered {
    /// Knows which runs are here, and has no tiles yet.
    grid: Grid,
    slots: Vec<Vec<Slot>>,
    /// How many runs each tile will have.
    many: HashMap<u32, usize, RandomState>,
}

impl Gathered {
    /// Takes many runs in. One that is here already, because it was moved while all were read, stays as it is: its change
    /// is still to be followed.
    pub fn take(&mut self, mut slots: Vec<Slot>) {
        slots.retain(|slot| {
            let is_new = !self.grid.knows(slot.side.id);
            if is_new {
                *self.many.entry(self.grid.note(slot)).or_default() += 1;
            }
            is_new
        });
        self.slots.push(slots);
    }

    /// Puts everything in its order. `version` is above that of any grid before it.
    pub fn into_grid(self, version: u64) -> Grid {
        let Self { mut grid, slots, many } = self;
        let mut order: Vec<Order> = slots.iter().flatten().map(Slot::order).collect();
        order.sort_unstable();
        let mut tiles: HashMap<u32, Tile, RandomState> =
            many.into_iter().map(|(key, many)| (key, Tile::with_room(many, version))).collect();
        for slot in slots.into_iter().flatten() {
            tiles.entry(slot.key()).or_default().add(slot);
        }
        let tiles = tiles.into_iter().map(|(key, mut tile)| {
            tile.settle();
            (key, Arc::new(tile))
        });
        grid.settle(tiles, &order, version);
        grid
    }
}
