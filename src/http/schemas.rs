//! The schemas of the API's description, compiled: the schema that documents a body is the one that checks it.
//!
//! Each is compiled at its first use and kept for the life of the process, so that neither a start nor an idle server
//! pays for schemas that nobody uses.

mod counts;

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{domain::refusal::Fault, error::Result};

/// What the schema of `T` refuses.
#[derive(Debug)]
pub struct Rejected<T> {
    /// Every fault, by JSON pointer.
    pub faults: Vec<Fault>,
    /// What could be read all the same, so that the rules that no schema knows can add their faults.
    pub readable: Option<T>,
}

/// A value that was read, or what is wrong with it.
pub type Read<T> = std::result::Result<T, Rejected<T>>;

/// The schema of one Rust type: the document, and the validator compiled from it.
struct Schema {
    validator: Validator,
    /// The document itself, by which counts are checked first.
    document: Value,
    /// The `properties` of the document, by which the texts of a query get their types.
    properties: Map<String, Value>,
}

/// Schemas depend on nothing but the types, so one process compiles each of them once, at its first use.
static COMPILED: LazyLock<RwLock<HashMap<TypeId, Arc<Schema>>>> = LazyLock::new(RwLock::default);

/// The compiled schema of `T`, which is the one that the API's description shows.
///
/// # Errors
/// When `T` describes itself by something that is not a JSON schema.
fn schema_of<T: ToSchema + 'static>() -> Result<Arc<Schema>> {
    let key = TypeId::of::<T>();
    if let Some(known) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(known.clone());
    }
    let compiled = Arc::new(compile::<T>()?);
    Ok(COMPILED.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(compiled).clone())
}

/// Whether the schema of `T` has been used before; compiling one takes milliseconds.
pub fn is_compiled<T: 'static>() -> bool {
    COMPILED.read().unwrap_or_else(PoisonError::into_inner).contains_key(&TypeId::of::<T>())
}

fn compile<T: ToSchema>() -> anyhow::Result<Schema> {
    let mut referenced = Vec::new();
    T::schemas(&mut referenced);
    let components: BTreeMap<_, _> = referenced.into_iter().collect();
    let mut root = serde_json::to_value(T::schema())?;
    let properties = root.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(root) = root.as_object_mut() {
        root.insert("components".to_owned(), json!({ "schemas": components }));
    }
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_format("date-time", is_instant)
        .build(&root)
        .map_err(|fault| anyhow::anyhow!("schema {}: {fault}", T::name()))?;
    Ok(Schema { validator, document: root, properties })
}

/// Checks a value against the schema of `T` and reads it.
///
/// # Errors
/// `Internal` when `T` has no valid schema; faults of the value are in the answer.
pub fn read<T: ToSchema + DeserializeOwned + 'static>(value: Value) -> Result<Read<T>> {
    read_with(&*schema_of::<T>()?, value)
}

fn read_with<T: DeserializeOwned>(schema: &Schema, mut value: Value) -> Result<Read<T>> {
    let mut faults = counts::cut(&schema.document, &mut value);
    let cut: BTreeSet<String> = faults.iter().map(|fault| fault.pointer.clone()).collect();
    for error in schema.validator.iter_errors(&value) {
        // A list that was too long is empty now: that it has too few items is not the sender's fault.
        if !cut.contains(error.instance_path().as_str()) {
            collect(&error, &mut faults);
        }
    }
    control_characters(&value, "", &mut faults);
    if faults.is_empty() {
        let misread = |fault: serde_path_to_error::Error<serde_json::Error>| Rejected {
            faults: vec![Fault::at(path_as_pointer(fault.path()), "invalid", fault.inner().to_string())],
            readable: None,
        };
        return Ok(serde_path_to_error::deserialize(whole_numbers(value)).map_err(misread));
    }
    faults.dedup();
    let readable = serde_json::from_value(without_unknown(value, &faults)).ok();
    Ok(Err(Rejected { faults, readable }))
}

/// Like [`read`] for a query: what the schema calls a number, a boolean or a list becomes one.
///
/// # Errors
/// As [`read`].
pub fn read_query<T: ToSchema + DeserializeOwned + 'static>(pairs: &[(String, String)]) -> Result<Read<T>> {
    let schema = schema_of::<T>()?;
    let mut values = Map::new();
    let mut twice = Vec::new();
    let by_count = pairs.iter().fold(BTreeMap::<&str, usize>::new(), |mut counts, (name, _)| {
        *counts.entry(name).or_default() += 1;
        counts
    });
    for (name, text) in pairs {
        if by_count.get(name.as_str()).is_some_and(|count| *count > 1) {
            twice.push(Fault::at(format!("?{name}"), "given_twice", "give it once; lists are separated by commas"));
            continue;
        }
        values.insert(name.clone(), typed(text, schema.properties.get(name)));
    }
    twice.dedup();
    Ok(match read_with::<T>(&schema, Value::Object(values))? {
        Ok(value) if !twice.is_empty() => Err(Rejected { faults: twice, readable: Some(value) }),
        Ok(value) => Ok(value),
        Err(Rejected { faults, readable }) => {
            let query = |fault: Fault| Fault { pointer: fault.pointer.replacen('/', "?", 1), ..fault };
            Err(Rejected { faults: faults.into_iter().map(query).chain(twice).collect(), readable })
        }
    })
}

fn path_as_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => pointer("", key),
        Segment::Enum { variant } => pointer("", variant),
        Segment::Unknown => String::new(),
    };
    path.iter().map(step).collect()
}

/// JSON Schema calls 10.0 an integer, and so do we.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < 9_007_199_254_740_992.0 => {
                Value::from(whole as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(members) => members.into_iter().map(|(name, member)| (name, whole_numbers(member))).collect(),
        other => other,
    }
}

/// The value without the fields that nobody knows.
fn without_unknown(mut value: Value, faults: &[Fault]) -> Value {
    let mut unknown: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for fault in faults.iter().filter(|fault| fault.code == "unknown_field") {
        let Some((parent, name)) = fault.pointer.rsplit_once('/') else { continue };
        unknown.entry(parent).or_default().insert(name.replace("~1", "/").replace("~0", "~"));
    }
    for (parent, names) in unknown {
        if let Some(Value::Object(members)) = value.pointer_mut(parent) {
            members.retain(|name, _| !names.contains(name));
        }
    }
    value
}

/// RFC 3339 as the schema's own check has it, within the years that an instant reaches.
fn is_instant(text: &str) -> bool {
    let shape = text.len() > 19 && text.as_bytes().get(10) == Some(&b'T') && !text.contains(['[', ',']);
    shape && text.parse::<crate::clock::Instant>().is_ok()
}

fn typed(text: &str, schema: Option<&Value>) -> Value {
    let says = |kind: &str| match schema.and_then(|schema| schema.get("type")) {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    };
    if says("array") {
        return text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    }
    if (says("integer") || says("number") || says("boolean"))
        && let Ok(value @ (Value::Number(_) | Value::Bool(_))) = serde_json::from_str::<Value>(text)
    {
        return value;
    }
    Value::String(text.to_owned())
}

fn collect(error: &jsonschema::ValidationError<'_>, faults: &mut Vec<Fault>) {
    let at = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected {
                faults.push(Fault::at(pointer(&at, name), "unknown_field", "there is no such field"));
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            faults.push(Fault::at(pointer(&at, name), "required", "this is needed"));
        }
        // "This or null": what is wrong with "this" is what helps.
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            let about_null = |branch: &Vec<jsonschema::ValidationError<'static>>| {
                branch.iter().any(|inner| matches!(inner.kind(), ValidationErrorKind::Type { .. }))
                    && branch.len() == 1
                    && branch.iter().all(|inner| inner.instance_path() == error.instance_path())
            };
            let before = faults.len();
            for inner in context.iter().filter(|branch| !about_null(branch)).flatten() {
                collect(inner, faults);
            }
            if faults.len() == before {
                faults.push(Fault::at(at, "wrong_type", masked(error)));
            }
        }
        kind => {
            let code = match kind {
                ValidationErrorKind::Type { .. } => "wrong_type",
                ValidationErrorKind::Enum { .. } => "unknown_value",
                ValidationErrorKind::Minimum { .. } | ValidationErrorKind::ExclusiveMinimum { .. } => "too_small",
                ValidationErrorKind::Maximum { .. } | ValidationErrorKind::ExclusiveMaximum { .. } => "too_large",
                ValidationErrorKind::MinLength { .. } => "too_short",
                ValidationErrorKind::MaxLength { .. } => "too_long",
                ValidationErrorKind::MinItems { .. } => "too_few",
                ValidationErrorKind::MaxItems { .. } | ValidationErrorKind::MaxProperties { .. } => "too_many",
                ValidationErrorKind::Pattern { .. } | ValidationErrorKind::Format { .. } => "bad_format",
                _ => "invalid",
            };
            faults.push(Fault::at(at, code, masked(error)));
        }
    }
}

/// The words of an error without the value: it may be a password, or a megabyte.
fn masked(error: &jsonschema::ValidationError<'_>) -> String {
    error.masked_with("this").to_string().chars().take(300).collect()
}

fn pointer(at: &str, name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Line breaks and tabs are fine in a text; other control characters are not, nor those that turn words around, and PostgreSQL cannot even keep a NUL.
fn control_characters(value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let turns_words = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let bad = |text: &str| text.chars().any(|c| turns_words(c) || c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    match value {
        Value::String(text) if bad(text) => {
            faults.push(Fault::at(at, "control_character", "control characters cannot be taken"));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                control_characters(item, &format!("{at}/{index}"), faults);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if bad(name) {
                    faults.push(Fault::at(at, "control_character", "control characters cannot be taken"));
                }
                control_characters(member, &pointer(at, name), faults);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_component_of_the_description_is_a_valid_schema() {
        let description: Value = serde_json::from_str(crate::http::api_json().unwrap()).unwrap();
        let components = description["components"].clone();
        let schemas = components["schemas"].as_object().unwrap();
        assert!(schemas.len() > 100, "{} components", schemas.len());
        // One document with all of them: what one refers to is there, and each is compiled by way of `allOf`.
        let all: Vec<Value> =
            schemas.keys().map(|name| json!({ "$ref": format!("#/components/schemas/{name}") })).collect();
        let root = json!({ "allOf": all, "components": components });
        let built = jsonschema::draft202012::options().should_validate_formats(true).build(&root);
        assert!(built.is_ok(), "{:?}", built.err());
    }

    #[test]
    fn description_shows_the_schema_that_checks_requests() {
        let description: Value = serde_json::from_str(crate::http::api_json().unwrap()).unwrap();
        let shown = |name: &str| description["components"]["schemas"][name].clone();
        assert_eq!(shown("RunDraft"), serde_json::to_value(crate::domain::run::RunDraft::schema()).unwrap());
        assert_eq!(shown("SeriesDraft"), serde_json::to_value(crate::domain::series::SeriesDraft::schema()).unwrap());
    }

    #[test]
    fn schema_is_compiled_once_and_names_every_fault() {
        let first = schema_of::<crate::domain::run::RunDraft>().unwrap();
        assert!(Arc::ptr_eq(&first, &schema_of::<crate::domain::run::RunDraft>().unwrap()));
        let read = read::<crate::domain::run::RunDraft>(json!({ "title": 7, "unknown": true })).unwrap();
        let faults = read.unwrap_err().faults;
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        for wanted in ["/title", "/unknown", "/activity", "/starts_at"] {
            assert!(pointers.contains(&wanted), "{wanted} is not in {pointers:?}");
        }
    }
}
