//! `import people` and `import runs`: reads the file and says what came of it, line by line.

use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::refusal::Fault,
    error::Result as Outcome,
    http::schemas,
    service::imports::{House, Import, What},
};

/// `import people FILE` and `import runs FILE`
pub fn import(app: &App, what: What, file: &Path) -> Result<bool> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let import = match Import::read(what, &bytes) {
        Ok(import) => import,
        Err(words) => {
            println!("{}: {words}", file.display());
            return Ok(false);
        }
    };
    let report = import.run(&app.db, &house(app), app.clock.now(), &mut |line| println!("{line}"))?;
    println!("{report}");
    Ok(report.refused == 0)
}

/// What an import needs, from the running installation.
pub fn house(app: &App) -> House<'_> {
    House {
        read_profile: Box::new(read),
        read_draft: Box::new(read),
        addresses: &app.addresses,
        cell_resolution: app.cell_resolution,
        policy: &app.config.policy,
    }
}

fn read<T: ToSchema + DeserializeOwned + 'static>(value: Value) -> Outcome<(Option<T>, Vec<Fault>)> {
    Ok(match schemas::read(value)? {
        Ok(value) => (Some(value), Vec::new()),
        Err(rejected) => (rejected.readable, rejected.faults),
    })
}

#[cfg(test)]
pub mod tests;
