//! What is wrong with a value, in words that say how to write it: every allowed value by name, and never the value itself,
//! which may be a password or a megabyte.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use crate::{
    clock,
    domain::vocabulary::{Kind, nearest_option},
};

/// The longest sentence, in characters; the list of an enum is never cut.
const WORDS_MAX_CHARS: usize = 300;
/// Longest text that is looked at to say what it lacks.
const LOOKED_AT_MAX_BYTES: usize = 100;

/// The words of a fault; `root` is the schema document that found it.
pub(super) fn of(error: &ValidationError<'_>, root: &Value) -> String {
    match error.kind() {
        ValidationErrorKind::Enum { options } => one_of(options, error.instance()),
        ValidationErrorKind::Constant { expected_value } => format!("write {}", plain(expected_value)),
        ValidationErrorKind::Format { format } => {
            unknown_word(error).unwrap_or_else(|| of_format(format, error.instance()))
        }
        ValidationErrorKind::Pattern { pattern } if pattern == r"\S" => "say something here".to_owned(),
        ValidationErrorKind::Pattern { .. } => of_pattern(error, root),
        _ => error.masked_with("this").to_string().chars().take(WORDS_MAX_CHARS).collect(),
    }
}

/// What is said about a word that stands in none of the published lists; none for any other fault. It names the word,
/// which is short and plain where the pattern beside the format let it through.
pub(super) fn unknown_word(error: &ValidationError<'_>) -> Option<String> {
    let ValidationErrorKind::Format { format } = error.kind() else { return None };
    Some(Kind::of_format(format)?.unknown(error.instance().as_str()?))
}

/// Every allowed value, by name, and the one that was probably meant.
fn one_of(options: &Value, given: &Value) -> String {
    let all: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let nearest = given.as_str().and_then(|text| nearest_option(text, &names));
    format!("use one of: {}{}", all.join(", "), did_you_mean(nearest))
}

fn did_you_mean(word: Option<&str>) -> String {
    word.map_or_else(String::new, |word| format!("; did you mean {word}?"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn of_format(format: &str, value: &Value) -> String {
    let text = value.as_str().filter(|text| text.len() <= LOOKED_AT_MAX_BYTES).unwrap_or_default();
    match format {
        "date-time" => match clock::read_instant(text) {
            Err(fault) => fault.to_string(),
            Ok(_) => clock::InstantFault::Other.to_string(),
        },
        "point" => "write lat,lng such as 48.137,11.575, with points in the numbers".to_owned(),
        "date" => "write a date such as 2027-10-31".to_owned(),
        "uuid" => "write an id such as 0197a5c0-7f3e-7000-8000-000000000000".to_owned(),
        _ => format!("this is no {format}"),
    }
}

/// The example and the meaning that the schema gives for what a pattern refused.
fn of_pattern(error: &ValidationError<'_>, root: &Value) -> String {
    let path = error.schema_path().to_string();
    let schema = path.rsplit_once('/').and_then(|(parent, _)| root.pointer(parent));
    let say = |name: &str| schema.and_then(|schema| schema.get(name));
    let example = say("example").or_else(|| say("examples").and_then(|examples| examples.get(0)));
    let listed = say("format").and_then(Value::as_str).and_then(Kind::of_format);
    let nearest = listed.zip(error.instance().as_str()).and_then(|(kind, text)| kind.nearest(text));
    match example {
        Some(example) => format!("write it like {}{}", plain(example), did_you_mean(nearest.map(|word| word.code))),
        None => error.masked_with("this").to_string().chars().take(WORDS_MAX_CHARS).collect(),
    }
}
