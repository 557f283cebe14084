//! The schemas of the API's description, compiled: the schema that documents a body is the one that checks it.
//!
//! Each is compiled at its first use and kept for the life of the process, so that neither a start nor an idle server
//! pays for schemas that nobody uses.

mod counts;
mod tidy;
mod words;

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    clock,
    domain::{
        place::LatLng,
        refusal::Fault,
        vocabulary::{Kind, UNKNOWN_WORD},
    },
    error::Result,
};
use tidy::Tidy;

/// What the schema of `T` refuses.
#[derive(Debug, Clone)]
pub struct Rejected<T> {
    /// Every fault, by JSON pointer.
    pub faults: Vec<Fault>,
    /// What could be read all the same, so that the rules that no schema knows can add their faults.
    pub readable: Option<T>,
}

impl<T: Serialize> Rejected<T> {
    /// The same of a change to `before`: an unknown word that stands there already, stored by an older release, may stay.
    ///
    /// # Errors
    /// What is wrong apart from that.
    pub fn over(self, before: &Value) -> Read<T> {
        let Self { mut faults, readable: Some(readable) } = self else { return Err(self) };
        let Ok(value) = serde_json::to_value(&readable) else { return Err(Self { faults, readable: Some(readable) }) };
        faults.retain(|fault| fault.code != UNKNOWN_WORD || !stood_before(before, &value, &fault.pointer));
        if faults.is_empty() { Ok(readable) } else { Err(Self { faults, readable: Some(readable) }) }
    }
}

/// Whether the word at a pointer, an item of a list or a name in a map, stands in the same list or map of `before`.
fn stood_before(before: &Value, value: &Value, at: &str) -> bool {
    let parent = at.rsplit_once('/').and_then(|(parent, _)| before.pointer(parent));
    match parent {
        Some(Value::Array(words)) => value.pointer(at).is_some_and(|word| words.contains(word)),
        Some(Value::Object(_)) => before.pointer(at).is_some(),
        _ => false,
    }
}

/// A value that was read, or what is wrong with it.
pub type Read<T> = std::result::Result<T, Rejected<T>>;

/// The schema of one Rust type: the document, and the validator compiled from it.
struct Schema {
    validator: Validator,
    /// The document itself, by which counts are checked first, the texts of a query get their types, and all values their
    /// spelling.
    root: Value,
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
    if let Some(root) = root.as_object_mut() {
        root.insert("components".to_owned(), json!({ "schemas": components }));
    }
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .with_format("date-time", |text: &str| clock::read_instant(text).is_ok())
        .with_format("point", |text: &str| LatLng::read(text).is_some())
        .with_format("language", |text: &str| !Kind::Language.lacks(text))
        .with_format("access-need", |text: &str| !Kind::AccessNeed.lacks(text))
        // What is wrong with an address is told by the one function that knows (`domain::email`).
        .with_format("email", |_: &str| true)
        .build(&root)
        .map_err(|fault| anyhow::anyhow!("schema {}: {fault}", T::name()))?;
    Ok(Schema { validator, root })
}

/// Checks a value against the schema of `T` and reads it.
///
/// # Errors
/// `Internal` when `T` has no valid schema; faults of the value are in the answer.
pub fn read<T: ToSchema + DeserializeOwned + 'static>(value: Value) -> Result<Read<T>> {
    read_with(&*schema_of::<T>()?, value)
}

/// Like [`read`] for a change to `before`, in which unknown words may stay that stand there already.
///
/// # Errors
/// As [`read`].
pub fn read_over<T>(value: Value, before: &Value) -> Result<Read<T>>
where
    T: ToSchema + Serialize + DeserializeOwned + 'static,
{
    Ok(read(value)?.or_else(|rejected: Rejected<T>| rejected.over(before)))
}

/// Whether a request may come without a body: an object without members is a good one.
///
/// # Errors
/// As [`read`].
pub fn takes_nothing<T: ToSchema + 'static>() -> Result<bool> {
    Ok(schema_of::<T>()?.validator.is_valid(&json!({})))
}

fn read_with<T: DeserializeOwned>(schema: &Schema, mut value: Value) -> Result<Read<T>> {
    let mut faults = counts::cut(&schema.root, &mut value);
    let cut: BTreeSet<String> = faults.iter().map(|fault| fault.pointer.clone()).collect();
    let texts = Tidy::run(&schema.root, &mut value);
    for error in schema.validator.iter_errors(&value) {
        // A list that was too long is empty now: that it has too few items is not the sender's fault.
        if !cut.contains(error.instance_path().as_str()) {
            collect(&error, &schema.root, &mut faults);
        }
    }
    let is_told = |fault: &Fault| texts.iter().any(|text| text.code == "empty" && text.pointer == fault.pointer);
    faults.retain(|fault| fault.code != "too_short" || !is_told(fault));
    faults.extend(texts);
    if faults.is_empty() {
        let misread = |fault: serde_path_to_error::Error<serde_json::Error>| Rejected {
            faults: vec![Fault::at(path_as_pointer(fault.path()), "invalid", fault.inner().to_string())],
            readable: None,
        };
        return Ok(serde_path_to_error::deserialize(whole_numbers(value)).map_err(misread));
    }
    faults.dedup();
    let readable = serde_json::from_value(whole_numbers(without_unknown(value, &faults))).ok();
    Ok(Err(Rejected { faults, readable }))
}

/// Like [`read`] for a query: what the schema calls a number, a boolean or a list becomes one.
///
/// # Errors
/// As [`read`].
pub fn read_query<T: ToSchema + DeserializeOwned + 'static>(pairs: &[(String, String)]) -> Result<Read<T>> {
    let schema = schema_of::<T>()?;
    let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, text) in pairs {
        let said = texts.entry(name).or_default();
        // To say one thing twice is to say it.
        if !said.contains(&text.as_str()) {
            said.push(text);
        }
    }
    let mut values = Map::new();
    let mut twice = Vec::new();
    for (name, said) in texts {
        let schema = schema.root.get("properties").and_then(|properties| properties.get(name));
        match said.as_slice() {
            [text] => drop(values.insert(name.to_owned(), typed(text, schema))),
            several if says(schema, "array") => {
                values.insert(name.to_owned(), typed(&several.join(","), schema));
            }
            _ => twice.push(Fault::at(format!("?{name}"), "given_twice", "give it once")),
        }
    }
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

/// Whether a schema allows this type.
fn says(schema: Option<&Value>, kind: &str) -> bool {
    match schema.and_then(|schema| schema.get("type")) {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// The text of a query as the type that its schema names; as a text where it is none of that type.
fn typed(text: &str, schema: Option<&Value>) -> Value {
    let plain = text.trim();
    if says(schema, "array") {
        return plain.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    }
    if says(schema, "boolean") {
        match plain.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => return Value::Bool(true),
            "false" | "no" | "off" | "0" => return Value::Bool(false),
            _ => {}
        }
    }
    if (says(schema, "integer") || says(schema, "number"))
        && let Ok(value @ Value::Number(_)) = serde_json::from_str::<Value>(plain.strip_prefix('+').unwrap_or(plain))
    {
        return value;
    }
    if schema.and_then(|schema| schema.get("format")).is_some_and(|format| format == "email") {
        // An address has no spaces: one within it was a `+` that nobody encoded.
        return Value::String(crate::domain::text::trim(text).replace(' ', "+"));
    }
    Value::String(text.to_owned())
}

fn collect(error: &jsonschema::ValidationError<'_>, root: &Value, faults: &mut Vec<Fault>) {
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
                collect(inner, root, faults);
            }
            if faults.len() == before {
                faults.push(Fault::at(at, "wrong_type", words::of(error, root)));
            }
        }
        ValidationErrorKind::PropertyNames { error: inner } if words::unknown_word(inner).is_some() => {
            let name = inner.instance().as_str().unwrap_or_default();
            faults.extend(words::unknown_word(inner).map(|words| Fault::at(pointer(&at, name), UNKNOWN_WORD, words)));
        }
        kind => {
            let code = match kind {
                ValidationErrorKind::Format { .. } if words::unknown_word(error).is_some() => UNKNOWN_WORD,
                ValidationErrorKind::Type { .. } => "wrong_type",
                ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } => "unknown_value",
                ValidationErrorKind::PropertyNames { .. } => "bad_name",
                ValidationErrorKind::Minimum { .. } | ValidationErrorKind::ExclusiveMinimum { .. } => "too_small",
                ValidationErrorKind::Maximum { .. } | ValidationErrorKind::ExclusiveMaximum { .. } => "too_large",
                ValidationErrorKind::MinLength { .. } => "too_short",
                ValidationErrorKind::MaxLength { .. } => "too_long",
                ValidationErrorKind::MinItems { .. } => "too_few",
                ValidationErrorKind::MaxItems { .. } | ValidationErrorKind::MaxProperties { .. } => "too_many",
                ValidationErrorKind::Pattern { .. } | ValidationErrorKind::Format { .. } => "bad_format",
                _ => "invalid",
            };
            faults.push(Fault::at(at, code, words::of(error, root)));
        }
    }
}

fn pointer(at: &str, name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
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
