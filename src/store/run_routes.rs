//! The lines on the map that runs follow.

use diesel::prelude::*;
use serde_json::Value;

use super::{
    db::{Conn, Tx},
    runs::RunLocked,
    schema::run_routes,
    sql_types::Json,
};
use crate::{clock::Instant, error::Result, id::Id};

/// A run's route.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = run_routes)]
pub struct RunRoute {
    pub run_id: Id,
    /// A GeoJSON geometry of ours: lines, and nothing that was in the file beside them.
    pub geometry: Json<Value>,
    pub length_km: f64,
    pub updated_at: Instant,
}

/// The route of a run, if it has one.
pub fn find(conn: &mut Conn, run: Id) -> Result<Option<RunRoute>> {
    Ok(run_routes::table.find(run).select(RunRoute::as_select()).first(conn).optional()?)
}

/// Gives a run a route, in place of the one it had; says whether it had none.
pub fn put(tx: &mut Tx<'_>, locked: &RunLocked, route: &RunRoute) -> Result<bool> {
    let had_one = remove(tx, locked)?;
    diesel::insert_into(run_routes::table).values(route).execute(&mut **tx)?;
    Ok(!had_one)
}

/// Takes the route of a run away; says whether there was one.
pub fn remove(tx: &mut Tx<'_>, locked: &RunLocked) -> Result<bool> {
    Ok(diesel::delete(run_routes::table.find(locked.run.id)).execute(&mut **tx)? > 0)
}
