//! Records and fields of a CSV text, by the strict rules of RFC 4180 and with any of its line ends: LF, CRLF or CR.
//!
//! It is the only reader that decides where a line and a record end, so that no row can be lost between two. The `csv`
//! crate (the oracle of the tests) forgives every quote: one that is never closed would swallow the rest of the file
//! without a word.

/// The longest record, in bytes; a quote that is not closed before is taken for one that never is.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// The text between two delimiters, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub text: String,
    pub is_quoted: bool,
}

/// A record of the text.
#[derive(Debug)]
pub struct Record {
    /// Its first line in the file as an editor counts them, from 1.
    pub line: usize,
    /// Its last line.
    pub last_line: usize,
    /// Its fields, or why it cannot be split.
    pub fields: Result<Vec<Field>, &'static str>,
}

impl Record {
    /// Whether no field says anything.
    pub fn is_blank(&self) -> bool {
        self.fields.as_ref().is_ok_and(|fields| fields.iter().all(|field| field.text.is_empty()))
    }

    /// Up to where a record of several lines goes: all of them are left out with it.
    pub fn span(&self) -> String {
        if self.last_line == self.line {
            return String::new();
        }
        format!(", in a record that goes on to line {}", self.last_line)
    }
}

/// The records of a text, one after the other; an empty line is a record with one empty field.
#[derive(Clone)]
pub struct Records<'t> {
    rest: &'t str,
    line: usize,
    delimiter: char,
}

impl<'t> Records<'t> {
    /// Begins at a line of the file.
    pub fn new(text: &'t str, first_line: usize, delimiter: char) -> Self {
        Self { rest: text, line: first_line, delimiter }
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.rest.is_empty() {
            return None;
        }
        let (length, fields) = match split(self.rest, self.delimiter) {
            Ok((length, fields)) => (length, Ok(fields)),
            // The lines that follow may be fine: only the line on which the record began is given up.
            Err(fault) => (end_of_line(self.rest), Err(fault)),
        };
        let (record, rest) = self.rest.split_at(length);
        let line = self.line;
        self.line += line_breaks(record);
        self.rest = rest;
        let ends_with_break = record.ends_with(['\n', '\r']);
        Some(Record { line, last_line: self.line - usize::from(ends_with_break), fields })
    }
}

/// The length of the first line, with its end.
pub fn end_of_line(text: &str) -> usize {
    text.find(['\r', '\n']).map_or(text.len(), |at| at + line_end_length(&text[at..]))
}

fn line_end_length(text: &str) -> usize {
    if text.starts_with("\r\n") { 2 } else { usize::from(text.starts_with(['\r', '\n'])) }
}

/// How many line ends a text has.
pub fn line_breaks(text: &str) -> usize {
    text.matches(['\r', '\n']).count() - text.matches("\r\n").count()
}

/// The first record of a text: its length with its line end, and its fields, trimmed.
fn split(text: &str, delimiter: char) -> Result<(usize, Vec<Field>), &'static str> {
    let (mut at, mut fields) = (0, Vec::new());
    loop {
        let (field, length) = field(&text[at..], delimiter)?;
        fields.push(field);
        at += length;
        let rest = &text[at..];
        if !rest.starts_with(delimiter) {
            return Ok((at + line_end_length(rest), fields));
        }
        at += delimiter.len_utf8();
    }
}

/// The first field of a text and its length, up to a delimiter, a line end or the end.
fn field(text: &str, delimiter: char) -> Result<(Field, usize), &'static str> {
    let spaces = text.len() - text.trim_start_matches([' ', '\u{a0}']).len();
    if text[spaces..].starts_with('"') {
        let (quoted, length) = quoted(&text[spaces..])?;
        let after = &text[spaces + length..];
        let more = after.len() - after.trim_start_matches([' ', '\u{a0}']).len();
        let next = after[more..].chars().next();
        if next.is_some_and(|c| c != delimiter && c != '\r' && c != '\n') {
            return Err("a quoted field goes on after its closing quote");
        }
        return Ok((Field { text: tidy(&quoted), is_quoted: true }, spaces + length + more));
    }
    let length = text.find([delimiter, '\r', '\n']).unwrap_or(text.len());
    if text[..length].contains('"') {
        return Err("a quote in the middle of a field that does not begin with one");
    }
    Ok((Field { text: tidy(&text[..length]), is_quoted: false }, length))
}

/// The text of a quoted field, and its length with both quotes.
fn quoted(text: &str) -> Result<(String, usize), &'static str> {
    let (mut at, mut inside) = (1, String::new());
    loop {
        let end = text[at..].find('"').filter(|end| at + end < MAX_RECORD_BYTES);
        let end = at + end.ok_or("a quote is opened and never closed")?;
        inside.push_str(&text[at..end]);
        if !text[end + 1..].starts_with('"') {
            return Ok((inside, end + 1));
        }
        inside.push('"');
        at = end + 2;
    }
}

/// Without white space and marks that nobody sees around it.
fn tidy(text: &str) -> String {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}')).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, delimiter: char) -> Vec<String> {
        let show = |record: Record| match record.fields {
            Ok(fields) => {
                let texts: Vec<String> = fields.into_iter().map(|field| field.text).collect();
                format!("{} {}", record.line, texts.join("|"))
            }
            Err(fault) => format!("{} ! {fault}", record.line),
        };
        Records::new(text, 1, delimiter).map(show).collect()
    }

    #[test]
    fn every_line_end_ends_a_record_and_counts_one_line() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["a,b", "", "\"c", "d\"\" \",e", "f,g"].join(end);
            let expected = ["1 a|b".to_owned(), "2 ".to_owned(), format!("3 c{end}d\"|e"), "5 f|g".to_owned()];
            assert_eq!(read(&text, ','), expected, "{end:?}");
            assert_eq!(read(&(text + end), ','), expected, "{end:?}");
        }
        assert_eq!(read("a\r\n\rb\n\nc", ','), ["1 a", "2 ", "3 b", "4 ", "5 c"]);
    }

    #[test]
    fn a_broken_quote_costs_its_line_and_no_other() {
        assert_eq!(
            read("2,\"Bo\n3,Cy\n4,\"Di\"\n", ','),
            ["1 ! a quoted field goes on after its closing quote", "2 3|Cy", "3 4|Di"]
        );
        assert_eq!(read("2,\"Bo\r3,Cy", ','), ["1 ! a quote is opened and never closed", "2 3|Cy"]);
        assert_eq!(
            read("2,Bo\"\r\n3,Cy", ','),
            ["1 ! a quote in the middle of a field that does not begin with one", "2 3|Cy"]
        );
        let long = format!("1,\"{}\n2,\"b\"\n", "a".repeat(MAX_RECORD_BYTES));
        assert_eq!(read(&long, ','), ["1 ! a quote is opened and never closed", "2 2|b"]);
    }

    #[test]
    fn spaces_around_quotes_are_no_part_of_a_field() {
        assert_eq!(read("1; \"a;b\" ;\u{a0}c\u{feff}", ';'), ["1 1|a;b|c"]);
    }

    /// What a spreadsheet may hold, so that the oracle trims nothing that we keep.
    fn cell() -> impl Strategy<Value = String> {
        proptest::string::string_regex("([a-zA-Z0-9,;\"é€\r\n\t ]{0,12}[a-z])?").unwrap().prop_map(|text| tidy(&text))
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_comes_back(
            rows in proptest::collection::vec(proptest::collection::vec(cell(), 1..5), 0..8),
            delimiter in proptest::sample::select(vec![',', ';', '\t', '|']),
            end in proptest::sample::select(vec!["\n", "\r\n", "\r"]),
        ) {
            let terminator = match end { "\r\n" => csv::Terminator::CRLF, one => csv::Terminator::Any(one.as_bytes()[0]) };
            let mut writer = csv::WriterBuilder::new()
                .flexible(true).delimiter(delimiter as u8).terminator(terminator).from_writer(Vec::new());
            rows.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read: Vec<Vec<String>> = Records::new(&text, 1, delimiter)
                .map(|record| record.fields.unwrap().into_iter().map(|field| field.text).collect()).collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn any_text_is_read_to_its_end(text in "[ab,;\"\r\n é]{0,60}") {
            let records: Vec<Record> = Records::new(&text, 1, ',').collect();
            let last = records.last().map_or(1, |record| record.last_line);
            prop_assert!(last <= line_breaks(&text) + 1 && records.len() <= line_breaks(&text) + 1);
            let first_lines: Vec<usize> = records.iter().map(|record| record.line).collect();
            prop_assert!(first_lines.windows(2).all(|two| two[0] < two[1]));
            prop_assert!(records.windows(2).all(|two| two[0].last_line + 1 == two[1].line));
        }
    }
}
