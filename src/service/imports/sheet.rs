//! A CSV file as rows with known columns and line numbers; broken lines are named, and reading goes on after them.
//!
//! Where a record begins and ends is found here, by the strict rules of RFC 4180: the `csv` crate forgives every quote,
//! so one that is never closed would swallow the rest of the file without a word. It reads the fields of each record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::refusal::Fault;

/// What is wrong with a line that cannot even be split into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its first line in the file, counted from 1.
    pub line: usize,
    pub words: String,
}

/// A row of the file.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its first line in the file, counted from 1.
    pub line: usize,
    cells: BTreeMap<&'static str, String>,
    /// What the other rows say against this one.
    pub faults: Vec<Fault>,
}

impl Row {
    /// The trimmed text of a cell, perhaps empty; none when the file has no such column.
    pub fn cell(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }
}

/// The rows of a file, in its order.
#[derive(Debug)]
pub struct Sheet {
    pub rows: Vec<Result<Row, Broken>>,
}

impl Sheet {
    /// Reads a file in UTF-8, with or without a byte order mark, whose first record names its columns.
    ///
    /// # Errors
    /// Everything that is wrong with the header, in words: then no row can be told.
    pub fn read(file: &[u8], known: &[&'static str], required: &[&str]) -> Result<Self, String> {
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let mut records = Records { file, at: 0, line: 1 };
        let header = match records.next() {
            None => return Err("the file is empty: its first line must name the columns".to_owned()),
            Some(record) => record.fields().map_err(|words| format!("line {}: {words}", record.line))?,
        };
        let columns = columns(&header, known, required)?;
        let rows = records
            .filter_map(|record| match record.fields() {
                Err(words) => Some(Err(Broken { line: record.line, words })),
                Ok(fields) if fields.iter().all(|field| field.trim().is_empty()) => None,
                Ok(fields) => Some(row(&record, &fields, &columns)),
            })
            .collect();
        Ok(Self { rows })
    }

    /// Notes at every row that says the same in `column` as one before it, once `spelling` made it comparable.
    pub fn note_repeats(&mut self, column: &'static str, spelling: fn(&str) -> String) {
        let mut first: HashMap<String, usize> = HashMap::new();
        for row in self.rows.iter_mut().flatten() {
            let Some(said) = row.cell(column).filter(|text| !text.is_empty()).map(spelling) else { continue };
            let line = row.line;
            let before = *first.entry(said).or_insert(line);
            if before != line {
                row.faults.push(Fault::at(format!("/{column}"), "repeated", format!("line {before} has the same")));
            }
        }
    }
}

fn columns(header: &[String], known: &[&'static str], required: &[&str]) -> Result<Vec<&'static str>, String> {
    let names: Vec<&str> = header.iter().map(|name| name.trim()).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    let unknown: Vec<String> =
        distinct.iter().filter(|name| !known.contains(name)).map(|name| format!("{name:.80?}")).collect();
    let missing: Vec<&str> = required.iter().filter(|name| !distinct.contains(*name)).copied().collect();
    let twice: Vec<&str> = distinct
        .iter()
        .filter(|name| known.contains(name) && names.iter().filter(|other| other == name).count() > 1)
        .copied()
        .collect();
    let mut faults = Vec::new();
    for (what, which) in
        [("unknown", unknown.join(", ")), ("missing", missing.join(", ")), ("there twice", twice.join(", "))]
    {
        if !which.is_empty() {
            faults.push(format!("{what}: {which}"));
        }
    }
    if faults.is_empty() {
        return Ok(names.iter().filter_map(|name| known.iter().find(|one| *one == name).copied()).collect());
    }
    if names.len() == 1 && header.iter().any(|name| name.contains([';', '\t'])) {
        faults.push("the columns must be separated by commas".to_owned());
    }
    Err(format!(
        "the columns are wrong, so nothing was imported ({}). Known are: {}.",
        faults.join("; "),
        known.join(", ")
    ))
}

fn row(record: &Record<'_>, fields: &[String], columns: &[&'static str]) -> Result<Row, Broken> {
    if fields.len() != columns.len() {
        let words = format!("{} fields where the header has {}{}", fields.len(), columns.len(), record.span());
        return Err(Broken { line: record.line, words });
    }
    let cells = columns.iter().zip(fields).map(|(column, field)| (*column, field.trim().to_owned())).collect();
    Ok(Row { line: record.line, cells, faults: Vec::new() })
}

struct Record<'f> {
    line: usize,
    bytes: &'f [u8],
    fault: Option<&'static str>,
}

impl Record<'_> {
    fn fields(&self) -> Result<Vec<String>, String> {
        if let Some(fault) = self.fault {
            return Err(fault.to_owned());
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(self.bytes);
        let mut fields = csv::ByteRecord::new();
        reader.read_byte_record(&mut fields).map_err(|fault| fault.to_string())?;
        fields
            .iter()
            .map(|field| String::from_utf8(field.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_| format!("this is not UTF-8{}", self.span()))
    }

    /// Says up to where a record goes that spans several lines: all of them are left out with it.
    fn span(&self) -> String {
        let more = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes).iter().filter(|byte| **byte == b'\n').count();
        if more == 0 { String::new() } else { format!(", in a record that goes on to line {}", self.line + more) }
    }
}

/// Splits a file into records; blank lines are none.
struct Records<'f> {
    file: &'f [u8],
    at: usize,
    line: usize,
}

impl<'f> Iterator for Records<'f> {
    type Item = Record<'f>;

    fn next(&mut self) -> Option<Record<'f>> {
        loop {
            let rest = self.file.get(self.at..).filter(|rest| !rest.is_empty())?;
            let (length, fault) = match record_length(rest) {
                Ok(length) => (length, None),
                // What follows may be fine: only the line on which the record began is given up.
                Err(fault) => {
                    (rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1), Some(fault))
                }
            };
            let (line, bytes) = (self.line, &rest[..length]);
            self.at += length;
            self.line += bytes.iter().filter(|byte| **byte == b'\n').count();
            if bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                return Some(Record { line, bytes, fault });
            }
        }
    }
}

/// The length of the record at the beginning of `rest`, its line end included.
fn record_length(rest: &[u8]) -> Result<usize, &'static str> {
    #[derive(Clone, Copy)]
    enum At {
        Start,
        Bare,
        Quoted,
        /// After a quote inside a quoted field: its end, or the first of two.
        Closed,
    }
    let mut at = At::Start;
    for (index, byte) in rest.iter().enumerate() {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) | (At::Start | At::Closed, b'"') => At::Quoted,
            (_, b',') => At::Start,
            (_, b'\n') => return Ok(index + 1),
            (_, b'\r') if rest.get(index + 1) == Some(&b'\n') => at,
            (At::Closed, _) => return Err("a quoted field goes on after its closing quote"),
            (At::Bare, b'"') => return Err("a quote in the middle of a field that does not begin with one"),
            (At::Start | At::Bare, _) => At::Bare,
        };
    }
    if matches!(at, At::Quoted) { Err("a quote is opened and never closed") } else { Ok(rest.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["key", "name", "note"];

    fn read(file: impl AsRef<[u8]>) -> Vec<String> {
        let sheet = Sheet::read(file.as_ref(), &KNOWN, &["key", "name"]).unwrap();
        let show = |row: &Result<Row, Broken>| match row {
            Ok(row) => format!("{} {}", row.line, row.cells.values().cloned().collect::<Vec<_>>().join("|")),
            Err(broken) => format!("{} ! {}", broken.line, broken.words),
        };
        sheet.rows.iter().map(show).collect()
    }

    #[test]
    fn lines_are_counted_as_in_the_file_whatever_stands_between_them() {
        let file = "\u{feff}name,key\r\nAna,1\r\n\r\n\"Bo\r\nthe \"\"tall\"\" one\",2\r\n,\r\n  Cy ,3";
        assert_eq!(read(file), ["2 1|Ana", "4 2|Bo\r\nthe \"tall\" one", "7 3|Cy"]);
    }

    #[test]
    fn a_broken_line_is_named_and_reading_goes_on_after_it() {
        let names = "key,name\n1,Ana\n";
        assert_eq!(read(format!("{names}2\n3,Cy\n")), ["2 1|Ana", "3 ! 1 fields where the header has 2", "4 3|Cy"]);
        assert_eq!(
            read(format!("{names}2,\"Bo\n3,Cy\n4,\"Di\"\n")),
            ["2 1|Ana", "3 ! a quoted field goes on after its closing quote", "4 3|Cy", "5 4|Di"]
        );
        assert_eq!(
            read(format!("{names}2,\"Bo\n3,Cy")),
            ["2 1|Ana", "3 ! a quote is opened and never closed", "4 3|Cy"]
        );
        assert_eq!(
            read(format!("{names}2,Bo\"\n3,Cy")),
            ["2 1|Ana", "3 ! a quote in the middle of a field that does not begin with one", "4 3|Cy"]
        );
        assert_eq!(read(b"key,name\n1,Ana\n2,B\xf6\n3,Cy\n"), ["2 1|Ana", "3 ! this is not UTF-8", "4 3|Cy"]);
    }

    #[test]
    fn what_a_record_of_several_lines_takes_with_it_is_said() {
        let rows = read("key,name\n\"1\n\n\",Ana,too many\n2,Bo\n");
        assert_eq!(rows, ["2 ! 3 fields where the header has 2, in a record that goes on to line 4", "5 2|Bo"]);
    }

    #[test]
    fn everything_that_is_wrong_with_the_columns_is_told_at_once() {
        let fault = |header: &str| Sheet::read(header.as_bytes(), &KNOWN, &["key", "name"]).unwrap_err();
        let words = fault("note,nmae,note,Key\n");
        for part in ["unknown: \"Key\", \"nmae\"", "missing: key, name", "there twice: note"] {
            assert!(words.contains(part), "{words}");
        }
        assert!(fault("key;name\n1;Ana\n").contains("separated by commas"));
        assert!(fault("").contains("empty"));
        assert!(fault("\n\n").contains("empty"));
    }

    #[test]
    fn whoever_says_the_same_as_a_row_before_is_told_which() {
        let mut sheet = Sheet::read(b"key,name\n1,Ana\n2,ana\n3,\n4,\n", &KNOWN, &["key"]).unwrap();
        sheet.note_repeats("name", str::to_lowercase);
        let faults: Vec<_> = sheet.rows.iter().flatten().map(|row| row.faults.clone()).collect();
        assert_eq!(faults[1], [Fault::at("/name", "repeated", "line 2 has the same")]);
        assert!(faults[0].is_empty() && faults[2].is_empty() && faults[3].is_empty());
    }
}
