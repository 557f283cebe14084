//! Alerts: takes the runs that were posted or changed, finds whom they fit in memory, and has them told.

use crate::{
    app::App,
    error::Result,
    service::alerts as service,
    store::alerts::{self, Queued},
};

/// Runs claimed in one round.
const AT_ONCE: i64 = 50;
/// People noted in one transaction: others wait for their accounts no longer than that takes.
const PEOPLE_AT_ONCE: usize = 200;

/// Looks whom the waiting runs fit; gives how many people are newly told of something. A run that fails is left for the
/// next time, and does not hold up the others.
pub(super) fn look(app: &App) -> Result<usize> {
    let waiting = app.db.read_here(|conn| alerts::waiting(conn, AT_ONCE))?;
    let mut told = 0;
    for one in waiting {
        match look_at(app, one) {
            Ok(more) => told += more,
            Err(error) => tracing::warn!(run = %one.run, %error, "whom a run fits has to wait"),
        }
    }
    Ok(told)
}

fn look_at(app: &App, one: Queued) -> Result<usize> {
    if !app.db.write_here(|tx| service::claim(tx, one))? {
        return Ok(0);
    }
    let (policy, now) = (&app.config.policy, app.clock.now());
    let found = app.db.read_here(|conn| {
        let Some(offer) = service::offer(conn, one.run, policy, now)? else { return Ok(None) };
        // After the claim: whoever wished before the run was posted is among them.
        app.wishes.catch_up(conn)?;
        Ok(Some(offer))
    })?;
    let mut told = 0;
    if let Some(mut offer) = found {
        // Some want no mails or are kept out: then others have their turn.
        let limit = offer.room.saturating_mul(2).max(PEOPLE_AT_ONCE);
        loop {
            let people = app.wishes.who_fits(&offer, limit, now, |person| app.keyring.tie(one.run, person));
            let mut rest = &people[..];
            while told < offer.room && !rest.is_empty() {
                let (some, others) = rest.split_at(rest.len().min(PEOPLE_AT_ONCE).min(offer.room - told));
                told += app.db.write_here(|tx| service::note(tx, one.run, some, policy, now))?;
                rest = others;
            }
            if told >= offer.room || people.len() < limit {
                break;
            }
            offer.left_out.extend(people);
        }
    }
    app.db.write_here(|tx| alerts::done(tx, one))?;
    Ok(told)
}
