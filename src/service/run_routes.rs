//! A run's route: set by whoever leads the run, shown to whom its meeting point is shown.

use crate::{
    clock::Instant,
    config::Policy,
    domain::{policy::Leads, refusal::Code, route::Route, run::RunStatus},
    error::{Error, Result},
    id::Id,
    service::{run_views, runs as run_service},
    store::{
        Conn, Tx,
        run_routes::{self, RunRoute},
        runs::{self, RunLocked},
    },
};

/// Gives a run a route; says whether it had none.
///
/// # Errors
/// Every fault by which it does not fit the meeting point.
pub fn put(tx: &mut Tx<'_>, proof: &Leads, route: &Route, now: Instant) -> Result<(RunRoute, bool)> {
    let locked = changeable(tx, proof)?;
    route.fits(locked.run.meeting_point().point())?;
    let kept = RunRoute {
        run_id: proof.run(),
        geometry: route.geometry().into(),
        length_km: route.length_km(),
        updated_at: now,
    };
    let is_new = run_routes::put(tx, &locked, &kept)?;
    Ok((kept, is_new))
}

/// Takes the route of a run away.
pub fn remove(tx: &mut Tx<'_>, proof: &Leads) -> Result<()> {
    let locked = changeable(tx, proof)?;
    run_routes::remove(tx, &locked)?;
    Ok(())
}

fn changeable(tx: &mut Tx<'_>, proof: &Leads) -> Result<RunLocked> {
    let locked = runs::lock(tx, proof.run())?;
    match locked.run.status {
        RunStatus::Cancelled => Err(Code::RunCancelled.into()),
        RunStatus::Completed => Err(Code::RunOver.into()),
        RunStatus::Draft | RunStatus::Published | RunStatus::Paused => Ok(locked),
    }
}

/// The route of a run, for whom its meeting point is shown.
///
/// # Errors
/// Not found for everybody else, and where there is none.
pub fn get(conn: &mut Conn, run: Id, viewer: Option<Id>, policy: &Policy, now: Instant) -> Result<RunRoute> {
    let run = run_service::visible(conn, run, viewer)?;
    let view = run_views::view(conn, &run, viewer, policy, now)?;
    if view.card.meeting_point.is_none() {
        return Err(Error::NotFound);
    }
    run_routes::find(conn, run.id)?.ok_or(Error::NotFound)
}
