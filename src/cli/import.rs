//! `import people`, `import runs` and `invite`: read a file, say what came of it row by row, and write to imported people.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::ToSchema;

use super::Table;
use crate::{
    app::App,
    domain::refusal::Fault,
    error::Result as Outcome,
    http::schemas,
    service::{
        accounts as service,
        imports::{self, House, Import, Mode, What},
    },
    store::accounts,
};

/// People whose invitations share a transaction.
const INVITATIONS_BATCH: usize = 50;

/// `import people FILE` and `import runs FILE`. True when every row was taken.
pub fn import(app: &App, what: What, table: &Table, invite: bool) -> Result<bool> {
    if invite && !may_invite(app) {
        return Ok(false);
    }
    let bytes = contents(&table.file)?;
    let mut import = match Import::read(what, &bytes, table.encoding.as_deref()) {
        Ok(import) => import.trusting_places(table.trust_places),
        Err(words) => {
            println!("{}: {words}", table.file.display());
            return Ok(false);
        }
    };
    let mode = if table.dry_run { Mode::DryRun } else { Mode::Import };
    let house = House { invite, ..house(app) };
    let report = import.run(&app.db, &house, mode, app.clock.now(), &mut |line| println!("{line}"))?;
    println!("{report}");
    if table.dry_run {
        println!("This was a dry run: nothing was changed, and nobody is written to.");
    } else if what == What::People {
        tell_who_waits(app)?;
    }
    Ok(report.refused == 0)
}

/// The bytes of a file, up to one more than an import takes.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let reading = || format!("reading {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(reading)?;
    file.take(imports::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(reading)?;
    Ok(bytes)
}

/// Whether invitations say from whom they are.
fn may_invite(app: &App) -> bool {
    if !app.config.has_own_org_name() {
        println!("Set ORG_NAME first, so that the invitations say who writes. Nothing was done.");
    }
    app.config.has_own_org_name()
}

fn tell_who_waits(app: &App) -> Result<()> {
    let now = app.clock.now();
    let waiting = app.db.read_here(|conn| accounts::waiting_for_invitation(conn, now))?.len();
    if waiting > 0 {
        println!("{waiting} imported people hold no invitation; `sidebyside invite` writes to them.");
    }
    Ok(())
}

/// `invite`: one mail to everybody whom an import brought, who has not accepted and holds no invitation that works.
pub fn invite(app: &App, dry_run: bool) -> Result<bool> {
    if !may_invite(app) {
        return Ok(false);
    }
    let now = app.clock.now();
    let waiting = app.db.read_here(|conn| accounts::waiting_for_invitation(conn, now))?;
    if dry_run {
        waiting.iter().for_each(|person| println!("{}", person.email));
        println!("{} people would be invited; nothing was changed.", waiting.len());
        return Ok(true);
    }
    let mut invited = 0;
    for batch in waiting.chunks(INVITATIONS_BATCH) {
        let mut ids: Vec<_> = batch.iter().map(|person| person.id).collect();
        ids.sort_unstable();
        let done: Vec<bool> = app
            .db
            .write_here(|tx| ids.iter().map(|id| service::invite_if_due(tx, *id, &app.addresses, now)).collect())?;
        invited += done.into_iter().filter(|done| *done).count();
    }
    println!("{invited} people are invited.");
    Ok(true)
}

/// The parts of the running installation that an import needs; nobody is invited.
pub fn house(app: &App) -> House<'_> {
    House {
        read_profile: Box::new(read),
        read_draft: Box::new(read),
        addresses: &app.addresses,
        cell_resolution: app.cell_resolution,
        policy: &app.config.policy,
        invite: false,
    }
}

fn read<T>(value: Value, before: Option<&Value>) -> Outcome<(Option<T>, Vec<Fault>)>
where
    T: ToSchema + Serialize + DeserializeOwned + 'static,
{
    Ok(match schemas::read_over(value, before.unwrap_or(&Value::Null))? {
        Ok(value) => (Some(value), Vec::new()),
        Err(rejected) => (rejected.readable, rejected.faults),
    })
}

#[cfg(test)]
pub mod tests;
