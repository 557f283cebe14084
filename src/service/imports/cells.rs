//! From the cells of a row to the JSON that the API would take, so that its schemas check both alike.
//!
//! A column that the file does not have says nothing, and what is there stays; an empty cell says "the default".

use serde_json::{Map, Number, Value};

use super::{
    sheet::Row,
    values::{self, Comma},
};
use crate::domain::refusal::{Fault, Faults};

/// The longest key.
const KEY_MAX_CHARS: usize = 120;

/// How the text of a cell is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Several, separated by `;`, `,` or `|`; repeats count once.
    Words,
    YesNo,
    /// `step_free` in `access`: yes or no in words.
    Access,
    Whole,
    /// Kilometres.
    Number,
    /// A latitude in degrees.
    Latitude,
    /// A longitude in degrees.
    Longitude,
    /// Seconds per kilometre, or minutes and seconds.
    Pace,
}

/// A number in kilometres that no thousands reach, so that a comma in one below may stand for thousands.
const KILOMETRES_LIMIT: f64 = 40_000.0;

impl Kind {
    /// The JSON value of a text, by how the file separates its fields.
    ///
    /// # Errors
    /// How to write it, in words.
    pub fn read(self, text: &str, comma: Comma) -> Result<Value, &'static str> {
        let yes_no = |text| values::yes_no(text).ok_or("write yes or no");
        let number = |limit| {
            let number = values::number(text, comma, limit)?;
            Number::from_f64(number).map(Value::Number).ok_or("write a number, with a point and not a comma")
        };
        match self {
            Self::Text => Ok(text.into()),
            Self::Words => {
                let mut words: Vec<&str> = Vec::new();
                for word in text.split([';', ',', '|']).map(str::trim).filter(|word| !word.is_empty()) {
                    if !words.contains(&word) {
                        words.push(word);
                    }
                }
                Ok(words.into())
            }
            Self::YesNo => yes_no(text).map(Value::from),
            Self::Access => yes_no(text).map(|yes| if yes { "yes" } else { "no" }.into()),
            Self::Whole => values::whole(text).map(Value::from),
            Self::Number => number(KILOMETRES_LIMIT),
            Self::Latitude => number(90.0),
            Self::Longitude => number(180.0),
            Self::Pace => values::pace(text).map(Value::from),
        }
    }
}

/// The cells of a row, and everything that is wrong with them. Pointers are JSON pointers, or `/column`.
pub struct Cells<'r> {
    row: &'r Row,
    pub faults: Faults,
}

impl<'r> Cells<'r> {
    /// Begins with what the other rows say against this one.
    pub fn new(row: &'r Row) -> Self {
        Self { row, faults: Faults(row.faults.clone()) }
    }

    /// The text of a cell that is not empty.
    pub fn text(&self, column: &str) -> Option<&'r str> {
        self.row.cell(column).filter(|text| !text.is_empty())
    }

    /// Whether the file has the column.
    pub fn says(&self, column: &str) -> bool {
        self.row.cell(column).is_some()
    }

    /// Notes a fault at a column.
    pub fn fault(&mut self, column: &str, words: impl Into<String>) {
        self.faults.0.push(Fault::at(format!("/{column}"), "invalid", words));
    }

    /// Adds what rules find that no schema knows, but for what is at fault already.
    pub fn add(&mut self, found: Faults) {
        let known: Vec<String> = self.faults.0.iter().map(|fault| fault.pointer.clone()).collect();
        let news = found.0.into_iter().filter(|new| !known.iter().any(|pointer| pointer.starts_with(&new.pointer)));
        self.faults.0.extend(news);
    }

    /// The text of a cell that must not be empty; empty when it is, and noted.
    pub fn needed(&mut self, column: &str) -> &'r str {
        let text = self.text(column);
        self.faults.unless(text.is_some(), &format!("/{column}"), "required", "this is needed");
        text.unwrap_or_default()
    }

    /// The key by which a row is known again; empty when there is none, and noted.
    pub fn key(&mut self) -> &'r str {
        let key = self.needed("external_id");
        if key.chars().count() > KEY_MAX_CHARS || key.chars().any(char::is_control) {
            self.fault("external_id", "use at most 120 characters and no control characters");
            return "";
        }
        key
    }

    /// Whether a cell says yes; none when it is empty, or wrong and noted.
    pub fn yes_no(&mut self, column: &str) -> Option<bool> {
        let said = Kind::YesNo.read(self.text(column)?, self.row.comma);
        said.map_err(|words| self.fault(column, words)).ok()?.as_bool()
    }

    /// Writes what a cell says into `object`.
    pub fn set(&mut self, object: &mut Map<String, Value>, name: &str, column: &str, kind: Kind) {
        if !self.says(column) {
            return;
        }
        match self.text(column).map(|text| kind.read(text, self.row.comma)) {
            Some(Ok(value)) => drop(object.insert(name.to_owned(), value)),
            Some(Err(words)) => {
                object.remove(name);
                self.fault(column, words);
            }
            None => drop(object.remove(name)),
        }
    }

    /// Writes what several cells say into the object called `name`; without any it is null.
    pub fn set_inside(&mut self, object: &mut Map<String, Value>, name: &str, parts: &[(&str, &str, Kind)]) {
        let mut inside = object.remove(name).and_then(|value| value.as_object().cloned()).unwrap_or_default();
        for (part, column, kind) in parts {
            self.set(&mut inside, part, column, *kind);
        }
        let said = !inside.is_empty() || parts.iter().any(|(_, column, _)| self.text(column).is_some());
        object.insert(name.to_owned(), if said { Value::Object(inside) } else { Value::Null });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_read_as_people_write_them() {
        let read = |kind: Kind, text| kind.read(text, Comma::Unclear);
        assert_eq!(read(Kind::Words, " en; de ;en,fr|"), Ok(json!(["en", "de", "fr"])));
        for (text, value) in [("yes", true), ("No", false), ("TRUE", true), ("0", false)] {
            assert_eq!(read(Kind::YesNo, text), Ok(json!(value)));
        }
        assert_eq!(read(Kind::Access, "ja"), Ok(json!("yes")));
        assert_eq!(read(Kind::Pace, "6:10"), Ok(json!(370)));
        assert_eq!(read(Kind::Latitude, "48,137"), Ok(json!(48.137)));
        assert_eq!(Kind::Number.read("1,500", Comma::Decimal), Ok(json!(1.5)));
        for (kind, text) in [
            (Kind::YesNo, "maybe"),
            (Kind::Whole, "1.5"),
            (Kind::Number, "NaN"),
            (Kind::Number, "1,500"),
            (Kind::Longitude, "east"),
            (Kind::Pace, "6.10"),
            (Kind::Pace, "60"),
        ] {
            assert!(read(kind, text).is_err(), "{text}");
        }
    }
}
