//! A table file as rows with known columns and line numbers; broken rows are named, and reading goes on after them.
//!
//! Invariant: each record after the header is a row, a broken row or a blank one, and all three are counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    records::{Field, Record, Records, end_of_line, line_breaks},
    text::{self, Decoded},
    values::Comma,
};
use crate::domain::refusal::Fault;

/// Separators that the header may show, the usual one first.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// The most records of a file.
const MAX_RECORDS: usize = 200_000;

/// A record that cannot be split into the columns of the header.
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
    /// How a comma in a number is read.
    pub comma: Comma,
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
    /// Records without any text.
    pub blank: usize,
    /// All records after the header.
    pub records: usize,
    /// What was assumed about the file, in words.
    pub notes: Vec<String>,
}

impl Sheet {
    /// Reads a file whose first record names its columns, in any letter case, with spaces, hyphens or underscores.
    ///
    /// # Errors
    /// Everything that is wrong with the file or its header, in words: then no row can be told.
    pub fn read(
        file: &[u8],
        encoding: Option<&str>,
        known: &[&'static str],
        required: &[&str],
    ) -> Result<Self, String> {
        let Decoded { text, encoding, note } = text::decode(file, encoding)?;
        let table = Table::find(&text, known)?;
        let columns = Columns::read(&table.header, table.delimiter, known, required)?;
        let records: Vec<Record> = table.records.take(MAX_RECORDS + 1).collect();
        if records.len() > MAX_RECORDS {
            return Err(format!("the file has more than {MAX_RECORDS} rows; split it"));
        }
        let (blank, filled): (Vec<&Record>, Vec<&Record>) = records.iter().partition(|record| record.is_blank());
        let rows = columns.rows(&filled, table.delimiter, encoding);
        if rows.is_empty() {
            return Err("the file has no row below its header, so nothing was imported".to_owned());
        }
        Ok(Self { blank: blank.len(), records: records.len(), notes: note.into_iter().collect(), rows })
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

/// Where the header of a text stands, and the records that follow it.
struct Table<'t> {
    delimiter: char,
    header: Vec<Field>,
    records: Records<'t>,
}

impl<'t> Table<'t> {
    fn find(text: &'t str, known: &[&str]) -> Result<Self, String> {
        // DOS programs ended a text with this character.
        let text = text.trim_end_matches('\u{1a}');
        let blank = text.len() - text.trim_start_matches(['\r', '\n', '\u{feff}']).len();
        let (mut rest, mut line) = (&text[blank..], 1 + line_breaks(&text[..blank]));
        let named = named_delimiter(&rest[..end_of_line(rest)]);
        if named.is_some() {
            rest = &rest[end_of_line(rest)..];
            line += 1;
        }
        let tables = named.map_or(DELIMITERS.to_vec(), |delimiter| vec![delimiter]).into_iter().map(|delimiter| {
            let mut records = Records::new(rest, line, delimiter);
            let header = records.next()?;
            let known = |field: &Field| known.iter().any(|name| spelling(name) == spelling(&field.text));
            let found = header.fields.as_ref().map_or(0, |fields| fields.iter().filter(|field| known(field)).count());
            Some((found, header, Self { delimiter, header: Vec::new(), records }))
        });
        // Of equals the first is taken.
        let best = tables.flatten().reduce(|best, other| if other.0 > best.0 { other } else { best });
        let (_, header, table) = best.ok_or("the file is empty: its first line must name the columns")?;
        let fields = header.fields.map_err(|words| format!("line {}: {words}", header.line))?;
        Ok(Self { header: fields, ..table })
    }
}

/// The delimiter of a first line `sep=;`, which is for Excel.
fn named_delimiter(line: &str) -> Option<char> {
    let line = line.trim_end_matches(['\r', '\n']);
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let mut rest = line.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).map(|_| line[4..].chars())?;
    rest.next().filter(|delimiter| *delimiter != '"' && rest.as_str().trim_matches(*delimiter).is_empty())
}

/// A name of a column as it is compared: its letters and digits, in lower case.
fn spelling(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The columns of a file; those without a name hold nothing.
struct Columns {
    names: Vec<Option<&'static str>>,
    /// How many there are up to the last that has a name.
    named: usize,
}

impl Columns {
    fn read(header: &[Field], delimiter: char, known: &[&'static str], required: &[&str]) -> Result<Self, String> {
        let texts: Vec<&str> = header.iter().map(|field| field.text.as_str()).collect();
        let called = |text: &str| known.iter().find(|name| spelling(name) == spelling(text)).copied();
        let names: Vec<Option<&'static str>> = texts.iter().map(|text| called(text)).collect();
        let mut distinct = BTreeSet::new();
        let twice: BTreeSet<&str> = names.iter().flatten().filter(|name| !distinct.insert(**name)).copied().collect();
        let unknown: BTreeSet<String> = texts
            .iter()
            .filter(|text| !text.is_empty() && called(text).is_none())
            .map(|text| format!("{text:.80?}"))
            .collect();
        let missing: Vec<&str> = required.iter().filter(|name| !distinct.contains(*name)).copied().collect();
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        let mut faults = Vec::new();
        for (what, which) in [
            ("unknown", unknown.into_iter().collect::<Vec<_>>().join(", ")),
            ("missing", missing.join(", ")),
            ("there twice", list(twice)),
        ] {
            if !which.is_empty() {
                faults.push(format!("{what}: {which}"));
            }
        }
        if faults.is_empty() {
            let named = names.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            return Ok(Self { names, named });
        }
        Err(format!(
            "the columns are wrong, so nothing was imported ({}). Columns are separated by {} here. Known are: {}.",
            faults.join("; "),
            delimiter_in_words(delimiter),
            known.join(", ")
        ))
    }

    fn rows(&self, records: &[&Record], delimiter: char, encoding: &str) -> Vec<Result<Row, Broken>> {
        let lengths = records.iter().filter_map(|record| Some(record.fields.as_ref().ok()?.len()));
        let lengths: BTreeSet<usize> = lengths.filter(|length| *length >= self.named).collect();
        // A decimal comma that is not quoted makes its row longer; empty columns at the end make all rows longer.
        let longest = match (delimiter, lengths.len()) {
            (',', 2..) => self.names.len(),
            _ => usize::MAX,
        };
        let comma = if delimiter == ',' { Comma::Unclear } else { Comma::Decimal };
        records.iter().map(|record| self.row(record, longest, comma, encoding)).collect()
    }

    fn row(&self, record: &Record, longest: usize, comma: Comma, encoding: &str) -> Result<Row, Broken> {
        let broken = |words: String| Broken { line: record.line, words };
        let fields = record.fields.as_ref().map_err(|words| broken((*words).to_owned()))?;
        if fields.iter().any(|field| field.text.contains('\u{fffd}')) {
            let words = format!("this is not {encoding}: a character cannot be read{}", record.span());
            return Err(broken(words));
        }
        let beyond = fields.iter().skip(self.named).any(|field| !field.text.is_empty());
        if fields.len() < self.named || fields.len() > longest || (beyond && fields.len() > self.names.len()) {
            return Err(broken(self.wrong_length(fields, comma) + &record.span()));
        }
        let nameless = self.names.iter().zip(fields).position(|(name, field)| name.is_none() && !field.text.is_empty());
        if let Some(at) = nameless {
            return Err(broken(format!("column {} holds text and has no name in the header", at + 1)));
        }
        let cells = self.names.iter().zip(fields).filter_map(|(name, field)| Some(((*name)?, field.text.clone())));
        Ok(Row { line: record.line, comma, cells: cells.collect(), faults: Vec::new() })
    }

    fn wrong_length(&self, fields: &[Field], comma: Comma) -> String {
        let hint = if fields.iter().any(|field| field.text.contains(['\u{201c}', '\u{201d}', '\u{201e}'])) {
            "; only straight quotes hold a field together"
        } else if fields.len() > self.named && comma == Comma::Unclear {
            "; a field with a comma must stand in quotes"
        } else {
            ""
        };
        format!("{} fields where the header has {}{hint}", fields.len(), self.named)
    }
}

fn delimiter_in_words(delimiter: char) -> String {
    match delimiter {
        ',' => "commas".to_owned(),
        ';' => "semicolons".to_owned(),
        '\t' => "tabs".to_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["key", "display_name", "note"];

    fn sheet(file: impl AsRef<[u8]>) -> Result<Sheet, String> {
        Sheet::read(file.as_ref(), None, &KNOWN, &["key", "display_name"])
    }

    fn read(file: impl AsRef<[u8]>) -> Vec<String> {
        let sheet = sheet(file).unwrap();
        assert_eq!(sheet.records, sheet.rows.len() + sheet.blank);
        let show = |row: &Result<Row, Broken>| match row {
            Ok(row) => format!("{} {}", row.line, row.cells.values().cloned().collect::<Vec<_>>().join("|")),
            Err(broken) => format!("{} ! {}", broken.line, broken.words),
        };
        sheet.rows.iter().map(show).collect()
    }

    #[test]
    fn lines_are_counted_as_in_the_file_whatever_stands_between_them() {
        for end in ["\n", "\r\n", "\r"] {
            let file =
                "\u{feff}display_name,key\nAna,1\n\n\"Bo\nthe \"\"tall\"\" one\",2\n,\n  Cy ,3".replace('\n', end);
            let bo = format!("4 Bo{end}the \"tall\" one|2");
            assert_eq!(read(&file), ["2 Ana|1", &bo, "7 Cy|3"], "{end:?}");
            assert_eq!(sheet(&file).unwrap().blank, 2);
        }
    }

    #[test]
    fn the_header_tells_the_delimiter_and_names_in_any_spelling() {
        for (header, delimiter) in [
            ("key,display_name,note", ","),
            ("KEY;Display Name;note", ";"),
            ("Key\tdisplay-name\tNOTE", "\t"),
            ("key|DisplayName|note", "|"),
            ("sep=;\nkey;\u{a0}display\u{a0}name;note", ";"),
            ("\"sep=,\"\nkey,display_name,note", ","),
            ("SEP=\t\nkey\tdisplay_name\tnote", "\t"),
        ] {
            let row = ["1", "\"Ana, the; tall\"", "x"].join(delimiter);
            let line = 1 + header.lines().count();
            assert_eq!(read(format!("{header}\n{row}\n")), [format!("{line} Ana, the; tall|1|x")], "{header}");
        }
    }

    #[test]
    fn empty_columns_and_rows_at_the_end_are_passed_over() {
        assert_eq!(read("key;display_name;;\n1;Ana;;\n;;;\n2;Bo\n3;Cy;;;;\n"), ["2 Ana|1", "4 Bo|2", "5 Cy|3"]);
        assert_eq!(read("key,display_name\n1,Ana,,\n2,Bo,,\n"), ["2 Ana|1", "3 Bo|2"]);
        assert_eq!(
            read("key,display_name,\n1,Ana,x\n2,Bo\n"),
            ["2 ! column 3 holds text and has no name in the header", "3 Bo|2"]
        );
        // One row that is longer than the others is not one with empty columns at its end.
        let hint = "3 fields where the header has 2; a field with a comma must stand in quotes";
        assert_eq!(read("key,display_name\n1,Ana\n2,5,\n"), ["2 Ana|1".to_owned(), format!("3 ! {hint}")]);
    }

    #[test]
    fn a_broken_line_is_named_and_reading_goes_on_after_it() {
        let names = "key,display_name\n1,Ana\n";
        let hint = "4 fields where the header has 2; only straight quotes hold a field together";
        assert_eq!(
            read(format!("{names}2\n3,Cy\n4,“Di, a, b”\n")),
            ["2 Ana|1", "3 ! 1 fields where the header has 2", "4 Cy|3", &format!("5 ! {hint}")]
        );
        assert_eq!(
            read(format!("{names}2,\"Bo\n3,Cy\n4,\"Di\"\n")),
            ["2 Ana|1", "3 ! a quoted field goes on after its closing quote", "4 Cy|3", "5 Di|4"]
        );
        assert_eq!(
            read("key,display_name\n1,Zoë\n2,Bö\n".replace("Bö", "B\u{fffd}")),
            ["2 Zoë|1", "3 ! this is not UTF-8: a character cannot be read"]
        );
        assert_eq!(read(b"key,display_name\n1,Ana\n2,B\xf6\n3,Cy\n"), ["2 Ana|1", "3 Bö|2", "4 Cy|3"]);
        assert_eq!(sheet(b"key,display_name\n2,B\xf6\n").unwrap().notes.len(), 1);
    }

    #[test]
    fn what_a_record_of_several_lines_takes_with_it_is_said() {
        let rows = read("key,display_name\n\"1\n\n\",Ana,too many\n2,Bo\n");
        assert!(rows[0].starts_with("2 ! 3 fields where the header has 2"), "{rows:?}");
        assert!(rows[0].ends_with(", in a record that goes on to line 4") && rows[1] == "5 Bo|2", "{rows:?}");
    }

    #[test]
    fn everything_that_is_wrong_with_the_file_is_told_at_once() {
        let fault = |file: &str| sheet(file).unwrap_err();
        let words = fault("note,nmae,note,Color\n");
        for part in ["unknown: \"Color\", \"nmae\"", "missing: key, display_name", "there twice: note", "commas"] {
            assert!(words.contains(part), "{words}");
        }
        assert!(fault("").contains("empty"));
        assert!(fault("\n\n").contains("empty"));
        for nothing in ["key,display_name", "key,display_name\n\n,\n"] {
            assert!(fault(nothing).contains("no row"), "{nothing}");
        }
        assert!(fault("key,\"display_name\n1,Ana\n").contains("line 1: a quote"));
    }

    #[test]
    fn whoever_says_the_same_as_a_row_before_is_told_which() {
        let mut sheet = Sheet::read(b"key,note\n1,Ana\n2,ana\n3,\n4,\n", None, &KNOWN, &["key"]).unwrap();
        sheet.note_repeats("note", str::to_lowercase);
        let faults: Vec<_> = sheet.rows.iter().flatten().map(|row| row.faults.clone()).collect();
        assert_eq!(faults[1], [Fault::at("/note", "repeated", "line 2 has the same")]);
        assert!(faults[0].is_empty() && faults[2].is_empty() && faults[3].is_empty());
    }
}
