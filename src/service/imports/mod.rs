//! Moving a group over: people and runs from CSV files, each row whole or not at all.
//!
//! A row is known again by its `external_id`. What it says goes through the schemas and services of the API, so the same
//! rules hold; a row with any fault leaves nothing behind, and a row that says what is there already changes nothing.

mod cells;
mod people;
mod runs;
mod sheet;

use std::fmt;

use serde_json::Value;

use crate::{
    auth::AddressHasher,
    clock::Instant,
    domain::{account::normalise_email, profile::RunningProfile, refusal::Fault, run::RunDraft},
    error::{Error, Result},
    store::{Db, Tx},
};

use sheet::{Row, Sheet};

/// Reads a value and checks it by the schema of `T`: what could be read, and every fault.
pub type Reader<'a, T> = Box<dyn Fn(Value) -> Result<(Option<T>, Vec<Fault>)> + 'a>;

/// What an import needs of the installation.
pub struct House<'a> {
    pub read_profile: Reader<'a, RunningProfile>,
    pub read_draft: Reader<'a, RunDraft>,
    /// Knows banned addresses.
    pub addresses: &'a AddressHasher,
    pub cell_resolution: u8,
    pub policy: &'a crate::config::Policy,
}

/// Rows that share a transaction while none of them is refused: a commit waits for the disk, which costs more than a row.
const BATCH: usize = 50;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    People,
    Runs,
}

/// What came of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    New,
    Changed,
    Unchanged,
    /// It says something else than the person, whose own word counts since they accepted.
    Kept,
}

/// What came of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    what: What,
    pub new: usize,
    pub changed: usize,
    pub unchanged: usize,
    pub kept: usize,
    pub refused: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, new, changed, unchanged, kept, refused } = self;
        let what = if *what == What::People { "people" } else { "runs" };
        write!(f, "{what}: {new} new, {changed} changed, {unchanged} unchanged")?;
        if *kept > 0 {
            write!(f, ", {kept} kept as they are")?;
        }
        write!(f, ", {refused} refused")
    }
}

/// A file whose columns are known, ready to be imported.
pub struct Import {
    what: What,
    sheet: Sheet,
}

impl Import {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with its columns, in words; nothing can be imported then.
    pub fn read(what: What, file: &[u8]) -> Result<Self, String> {
        let (known, required) = match what {
            What::People => (people::COLUMNS.as_slice(), people::REQUIRED.as_slice()),
            What::Runs => (runs::COLUMNS.as_slice(), runs::REQUIRED.as_slice()),
        };
        let mut sheet = Sheet::read(file, known, required)?;
        sheet.note_repeats("external_id", str::to_owned);
        if what == What::People {
            sheet.note_repeats("email", normalise_email);
        }
        Ok(Self { what, sheet })
    }

    /// Brings the rows in, each whole or not at all; `tell` hears of each that was not taken, and why.
    ///
    /// # Errors
    /// When the database fails or is busy for long, with the line; the rows before are in.
    pub fn run(
        &self,
        db: &Db,
        house: &House<'_>,
        now: Instant,
        tell: &mut dyn FnMut(String),
    ) -> anyhow::Result<Report> {
        let mut report = Report { what: self.what, new: 0, changed: 0, unchanged: 0, kept: 0, refused: 0 };
        for batch in self.sheet.rows.chunks(BATCH) {
            let take_all = |tx: &mut Tx<'_>| batch.iter().flatten().map(|row| self.take(tx, house, row, now)).collect();
            // A single row that is refused takes its batch back; then each row stands for itself.
            let mut taken: Option<std::vec::IntoIter<Outcome>> = db.write_here(take_all).ok().map(Vec::into_iter);
            for row in batch {
                let row = match row {
                    Ok(row) => row,
                    Err(broken) => {
                        report.refused += 1;
                        tell(format!("line {}: {}", broken.line, broken.words));
                        continue;
                    }
                };
                let outcome = match taken.as_mut().and_then(Iterator::next) {
                    Some(outcome) => Ok(outcome),
                    None => db.write_here(|tx| self.take(tx, house, row, now)),
                };
                self.count(&mut report, row.line, outcome, tell)?;
            }
        }
        Ok(report)
    }

    /// Brings all rows in within one transaction, for files that are known to be right.
    ///
    /// # Errors
    /// With the first row that is not taken; the transaction has to be rolled back then.
    pub fn run_whole(&self, tx: &mut Tx<'_>, house: &House<'_>, now: Instant) -> Result<()> {
        for row in &self.sheet.rows {
            let row = row.as_ref().map_err(|broken| anyhow::anyhow!("line {}: {}", broken.line, broken.words))?;
            self.take(tx, house, row, now).map_err(|fault| anyhow::anyhow!("line {}: {fault}", row.line))?;
        }
        Ok(())
    }

    fn count(
        &self,
        report: &mut Report,
        line: usize,
        outcome: Result<Outcome>,
        tell: &mut dyn FnMut(String),
    ) -> anyhow::Result<()> {
        match outcome {
            Ok(Outcome::New) => report.new += 1,
            Ok(Outcome::Changed) => report.changed += 1,
            Ok(Outcome::Unchanged) => report.unchanged += 1,
            Ok(Outcome::Kept) => {
                report.kept += 1;
                tell(format!("line {line}: kept: the person has accepted, so what they say themselves counts"));
            }
            Err(fault) => {
                let reasons = self.reasons(fault, line)?;
                report.refused += 1;
                reasons.into_iter().for_each(|words| tell(format!("line {line}: {words}")));
            }
        }
        Ok(())
    }

    fn take(&self, tx: &mut Tx<'_>, house: &House<'_>, row: &Row, now: Instant) -> Result<Outcome> {
        match self.what {
            What::People => people::bring_in(tx, house, row, now),
            What::Runs => runs::bring_in(tx, house, row, now),
        }
    }

    /// Why a row was not taken, each reason under its column.
    ///
    /// # Errors
    /// When it is no fault of the row: nothing after it would fare better.
    fn reasons(&self, fault: Error, line: usize) -> anyhow::Result<Vec<String>> {
        let columns: &[(&str, &'static str)] = match self.what {
            What::People => &people::POINTERS,
            What::Runs => &runs::POINTERS,
        };
        match fault {
            Error::Invalid(faults) => Ok(in_columns(&faults, columns)),
            Error::Refused(refusal) => {
                let words = refusal.detail.clone().unwrap_or_else(|| refusal.code.words().to_owned());
                Ok(vec![format!("{}: {words}", refusal.code.title())])
            }
            other => Err(anyhow::Error::new(other).context(format!(
                "stopped at line {line}; the rows before it are in: import the same file again when this is mended"
            ))),
        }
    }
}

/// Faults under the names of their columns. Where a cell could not be read, that it is needed goes without saying.
fn in_columns(faults: &[Fault], columns: &[(&str, &'static str)]) -> Vec<String> {
    let named: Vec<(&str, &Fault)> = faults.iter().map(|fault| (column(&fault.pointer, columns), fault)).collect();
    let mut reasons: Vec<String> = Vec::new();
    for (column, fault) in &named {
        let said = named.iter().any(|(other, one)| other == column && one.code != "required");
        let words = format!("{column}: {}", fault.detail);
        let known = reasons.contains(&words) || (fault.code == "required" && said);
        if !known {
            reasons.push(words);
        }
    }
    reasons
}

/// The column that a pointer means: the table's, else the first part of the pointer.
fn column<'p>(pointer: &'p str, columns: &[(&str, &'static str)]) -> &'p str {
    let known = columns.iter().find(|(known, _)| *known == pointer);
    known.map_or_else(|| pointer.trim_start_matches('/').split('/').next().unwrap_or(pointer), |(_, column)| column)
}
