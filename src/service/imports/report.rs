//! What came of a file: the outcomes of its rows, counted, and the reasons of a refusal under the names of columns.

use std::fmt;

use super::What;
use crate::domain::refusal::Fault;

/// What came of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    New,
    Changed,
    Unchanged,
    /// It says something else than the person, whose own word counts since they accepted.
    Kept,
}

/// What came of a file. Every record after the header is counted once, but for `invited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    what: What,
    pub new: usize,
    pub changed: usize,
    pub unchanged: usize,
    pub kept: usize,
    pub refused: usize,
    /// Records without any text.
    pub blank: usize,
    /// People to whom an invitation was promised.
    pub invited: usize,
}

impl Report {
    /// A report of a file of which no row was looked at yet.
    pub fn new(what: What, blank: usize) -> Self {
        Self { what, new: 0, changed: 0, unchanged: 0, kept: 0, refused: 0, blank, invited: 0 }
    }

    /// Counts a row that was taken.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::New => self.new += 1,
            Outcome::Changed => self.changed += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Kept => self.kept += 1,
        }
    }

    /// The records that are accounted for.
    pub fn records(&self) -> usize {
        self.new + self.changed + self.unchanged + self.kept + self.refused + self.blank
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, new, changed, unchanged, kept, refused, blank, invited } = self;
        let what = if *what == What::People { "people" } else { "runs" };
        write!(f, "{what}: {new} new, {changed} changed, {unchanged} unchanged")?;
        if *kept > 0 {
            write!(f, ", {kept} kept as they are")?;
        }
        write!(f, ", {refused} refused")?;
        if *blank > 0 {
            write!(f, ", {blank} blank")?;
        }
        write!(f, "; {} rows read", self.records())?;
        if *invited > 0 {
            write!(f, ", {invited} invited")?;
        }
        Ok(())
    }
}

/// Faults under the names of their columns. Where a cell could not be read, that it is needed goes without saying.
pub fn in_columns(faults: &[Fault], columns: &[(&str, &'static str)]) -> Vec<String> {
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
