//! Moving a group over: people and runs from CSV files, each row whole or not at all.
//!
//! A row is known again by its `external_id`. What it says goes through the schemas and services of the API, so the same
//! rules hold; a row with any fault leaves nothing behind, and a row that says what is there already changes nothing.

mod cells;
mod people;
mod places;
mod records;
mod report;
mod runs;
mod sheet;
mod text;
mod values;

use std::cell::Cell;

use serde_json::Value;

use crate::{
    auth::AddressHasher,
    clock::Instant,
    domain::{account::normalise_email, profile::RunningProfile, refusal::Fault, run::RunDraft},
    error::{Error, Result},
    store::{Db, Tx},
};

use places::{PointColumns, Surroundings};
use report::{Outcome, in_columns};
use sheet::{Broken, Row, Sheet};

pub use report::Report;
pub use text::MAX_BYTES;

/// Reads a value and checks it by the schema of `T`: what could be read, and every fault. With what stands there already,
/// its unknown words may stay.
pub type Reader<'a, T> = Box<dyn Fn(Value, Option<&Value>) -> Result<(Option<T>, Vec<Fault>)> + 'a>;

/// The parts of the installation that an import uses.
pub struct House<'a> {
    pub read_profile: Reader<'a, RunningProfile>,
    pub read_draft: Reader<'a, RunDraft>,
    /// Knows banned addresses.
    pub addresses: &'a AddressHasher,
    pub cell_resolution: u8,
    pub policy: &'a crate::config::Policy,
    /// Whether people of the file who are not invited yet are invited.
    pub invite: bool,
}

/// Rows that share a transaction: a commit waits for the disk, which costs more than a row.
const BATCH: usize = 50;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    People,
    Runs,
}

/// Whether an import changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Commits the rows in batches.
    Import,
    /// Does all the same in one transaction and takes it back.
    DryRun,
}

/// What came of a row that was taken.
struct Taken {
    outcome: Outcome,
    was_invited: bool,
}

/// A file whose columns are known, ready to be imported.
pub struct Import {
    what: What,
    sheet: Sheet,
    /// Whether places are taken that look swapped.
    trusts_places: bool,
}

impl Import {
    /// Reads a file, in the encoding that is named, else in the one that its bytes tell.
    ///
    /// # Errors
    /// What is wrong with the file or its columns, in words; nothing can be imported then.
    pub fn read(what: What, file: &[u8], encoding: Option<&str>) -> Result<Self, String> {
        let (known, required) = match what {
            What::People => (people::COLUMNS.as_slice(), people::REQUIRED.as_slice()),
            What::Runs => (runs::COLUMNS.as_slice(), runs::REQUIRED.as_slice()),
        };
        let mut sheet = Sheet::read(file, encoding, known, required)?;
        sheet.note_repeats("external_id", str::to_owned);
        if what == What::People {
            sheet.note_repeats("email", normalise_email);
        }
        Ok(Self { what, sheet, trusts_places: false })
    }

    /// The same with its places taken as they are, even where they look swapped.
    pub fn trusting_places(self, trusts_places: bool) -> Self {
        Self { trusts_places, ..self }
    }

    /// Brings the rows in, each whole or not at all; `tell` hears of each that was not taken, and why.
    ///
    /// # Errors
    /// When the database fails or is busy for long, with the line; the batches before are in.
    pub fn run(
        &mut self,
        db: &Db,
        house: &House<'_>,
        mode: Mode,
        now: Instant,
        tell: &mut dyn FnMut(String),
    ) -> anyhow::Result<Report> {
        self.note_places(db, tell)?;
        let mut report = Report::new(self.what, self.sheet.blank);
        let batch = if mode == Mode::DryRun { self.sheet.rows.len() } else { BATCH };
        for rows in self.sheet.rows.chunks(batch.max(1)) {
            let at = Cell::new(0);
            let work = |tx: &mut Tx<'_>| rows.iter().map(|row| self.attempt(tx, house, row, now, &at)).collect();
            let outcomes: Vec<Result<Taken, Vec<String>>> = match mode {
                Mode::Import => db.write_here(work),
                Mode::DryRun => db.rehearse(work),
            }
            .map_err(|fault| stopped(fault, at.get(), rows))?;
            for (row, outcome) in rows.iter().zip(outcomes) {
                let line = row.as_ref().map_or_else(|broken| broken.line, |row| row.line);
                count(&mut report, line, outcome, tell);
            }
        }
        let (told, records) = (report.records(), self.sheet.records);
        anyhow::ensure!(told == records, "{records} rows were read, and {told} are accounted for");
        Ok(report)
    }

    /// Tells what was assumed about the file, and notes at its rows which places are likely wrong.
    fn note_places(&mut self, db: &Db, tell: &mut dyn FnMut(String)) -> Result<()> {
        let columns = match self.what {
            What::People => PointColumns { lat: "home_lat", lng: "home_lng", are_homes: true },
            What::Runs => PointColumns { lat: "lat", lng: "lng", are_homes: false },
        };
        let notes = if self.trusts_places {
            Vec::new()
        } else {
            places::note_swapped(&mut self.sheet.rows, columns, db.read_here(Surroundings::load)?)
        };
        self.sheet.notes.iter().chain(&notes).for_each(|words| tell(format!("note: {words}")));
        Ok(())
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

    /// Brings one row in, or takes back all that it did and says why.
    ///
    /// # Errors
    /// When it is no fault of the row: nothing after it would fare better.
    fn attempt(
        &self,
        tx: &mut Tx<'_>,
        house: &House<'_>,
        row: &Result<Row, Broken>,
        now: Instant,
        at: &Cell<usize>,
    ) -> Result<Result<Taken, Vec<String>>> {
        let row = match row {
            Ok(row) => row,
            Err(broken) => return Ok(Err(vec![broken.words.clone()])),
        };
        at.set(row.line);
        match tx.savepoint(|tx| self.take(tx, house, row, now)) {
            Ok(taken) => Ok(Ok(taken)),
            Err(Error::Invalid(faults)) => Ok(Err(in_columns(&faults, self.pointers()))),
            Err(Error::Refused(refusal)) => {
                let words = refusal.detail.clone().unwrap_or_else(|| refusal.code.words().to_owned());
                Ok(Err(vec![format!("{}: {words}", refusal.code.title())]))
            }
            Err(other) => Err(other),
        }
    }

    fn pointers(&self) -> &'static [(&'static str, &'static str)] {
        match self.what {
            What::People => &people::POINTERS,
            What::Runs => &runs::POINTERS,
        }
    }

    fn take(&self, tx: &mut Tx<'_>, house: &House<'_>, row: &Row, now: Instant) -> Result<Taken> {
        match self.what {
            What::People => people::bring_in(tx, house, row, now),
            What::Runs => {
                let outcome = runs::bring_in(tx, house, row, now)?;
                Ok(Taken { outcome, was_invited: false })
            }
        }
    }
}

fn count(report: &mut Report, line: usize, outcome: Result<Taken, Vec<String>>, tell: &mut dyn FnMut(String)) {
    match outcome {
        Ok(Taken { outcome, was_invited }) => {
            report.count(outcome);
            report.invited += usize::from(was_invited);
            if outcome == Outcome::Kept {
                tell(format!("line {line}: kept: the person has accepted, so what they say themselves counts"));
            }
        }
        Err(reasons) => {
            report.refused += 1;
            reasons.into_iter().for_each(|words| tell(format!("line {line}: {words}")));
        }
    }
}

fn stopped(fault: Error, line: usize, rows: &[Result<Row, Broken>]) -> anyhow::Error {
    let first = rows.first().map_or(line, |row| row.as_ref().map_or_else(|broken| broken.line, |row| row.line));
    anyhow::Error::new(fault).context(format!(
        "stopped at line {line}; the rows before line {first} are in: import the same file again when this is mended"
    ))
}
