//! Taking in all runs at once: they are counted as they come, so that each tile is made with room for just its own.

use std::{collections::HashMap, panic::resume_unwind, sync::Arc, thread};

use foldhash::fast::RandomState;

use super::{
    grid::{self, Grid, Tiles},
    tile::{Entry, Order, Slot, Tile},
};

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
    /// Takes many runs in, of which none is here.
    pub fn take(&mut self, entries: Vec<Entry>) {
        let take = |entry: Entry| {
            *self.many.entry(self.grid.note(&entry)).or_default() += 1;
            entry.slot
        };
        self.slots.push(entries.into_iter().map(take).collect());
    }

    /// Puts everything in its order, with two hands. `version` is above that of any grid before it.
    pub fn into_grid(self, version: u64) -> Grid {
        let Self { mut grid, slots, many } = self;
        let mut order: Vec<Order> = slots.iter().flatten().map(Slot::order).collect();
        let tiles = thread::scope(|scope| {
            let tiles = scope.spawn(|| tiles(slots, many, version));
            order.sort_unstable();
            grid.list(&order);
            tiles.join().unwrap_or_else(|panic| resume_unwind(panic))
        });
        grid.have(tiles, version);
        grid
    }
}

fn tiles(slots: Vec<Vec<Slot>>, many: HashMap<u32, usize, RandomState>, version: u64) -> Tiles {
    let mut tiles: HashMap<u32, Tile, RandomState> =
        many.into_iter().map(|(key, many)| (key, Tile::with_room(many, version))).collect();
    for slot in slots.into_iter().flatten() {
        tiles.entry(grid::key_of(slot.side.place)).or_default().add(slot);
    }
    let settled = |(key, mut tile): (u32, Tile)| {
        tile.settle();
        (key, Arc::new(tile))
    };
    tiles.into_iter().map(settled).collect()
}
