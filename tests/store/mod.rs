//! The store on both databases: migrations, transactions, round trips, races for locks.

mod changes;
mod migrations;
mod run_sides;
mod transactions;
mod values;
