//! Counts are checked before what is counted: a list that is too long is one fault, and none of its items is looked at.
//!
//! The checker of schemas makes an error for every item at once, however many there are; so lists and objects are cut
//! to a bounded size before it sees them.

use serde_json::{Map, Value};

use crate::domain::refusal::Fault;

/// The longest list and the most members of an object where the schema says nothing.
const UNSAID_LIMIT: usize = 1000;
/// References and alternatives that are followed from one value; the deepest schema of the API has a dozen.
const STEPS: usize = 32;

/// Empties every list in `value` that is longer than `schema`, whose components are in `root`, allows, and adds a fault
/// for each.
pub fn cut(root: &Value, value: &mut Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    visit(root, Some(root), value, "", &mut faults);
    faults
}

fn visit(root: &Value, schema: Option<&Value>, value: &mut Value, at: &str, faults: &mut Vec<Fault>) {
    let schema = schema.and_then(|schema| resolved(root, schema, value));
    match value {
        Value::Array(items) => {
            let limit = schema.and_then(|schema| schema.get("maxItems")).and_then(Value::as_u64);
            let limit = limit.map_or(UNSAID_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            if items.len() > limit {
                faults.push(Fault::at(at, "too_many", format!("this has {} items, more than {limit}", items.len())));
                items.clear();
            }
            let schema = schema.and_then(|schema| schema.get("items"));
            for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| is_nested(item)) {
                visit(root, schema, item, &format!("{at}/{index}"), faults);
            }
        }
        Value::Object(members) => {
            let known = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
            let said = schema.and_then(|schema| schema.get("maxProperties")).and_then(Value::as_u64);
            let said = said.and_then(|limit| usize::try_from(limit).ok());
            let limit = said.unwrap_or(known.map_or(0, Map::len) + UNSAID_LIMIT);
            if members.len() > limit {
                faults.push(Fault::at(
                    at,
                    "too_many",
                    format!("this has {} members, more than {limit}", members.len()),
                ));
                members.clear();
            }
            for (name, member) in members.iter_mut().filter(|(_, member)| is_nested(member)) {
                visit(root, known.and_then(|known| known.get(name)), member, &super::pointer(at, name), faults);
            }
        }
        _ => {}
    }
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

/// The schema that speaks about the kind of `value`: behind references, and within "this or null" the one about "this".
fn resolved<'a>(root: &'a Value, mut schema: &'a Value, value: &Value) -> Option<&'a Value> {
    for _ in 0..STEPS {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            schema = root.pointer(reference.strip_prefix('#')?)?;
            continue;
        }
        let alternatives = ["oneOf", "anyOf", "allOf"].iter().find_map(|word| schema.get(*word)?.as_array());
        let Some(alternatives) = alternatives.filter(|_| schema.get("type").is_none()) else { return Some(schema) };
        let mut fitting = alternatives.iter().filter(|one| one.get("type").is_none_or(|kind| allows(kind, value)));
        schema = fitting.next()?;
        if fitting.next().is_some() {
            return None;
        }
    }
    None
}

fn allows(kind: &Value, value: &Value) -> bool {
    let wanted = if value.is_array() { "array" } else { "object" };
    match kind {
        Value::String(kind) => kind == wanted,
        Value::Array(kinds) => kinds.iter().any(|kind| kind == wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut_by(schema: &Value, mut value: Value) -> (Vec<String>, Value) {
        let faults = cut(schema, &mut value);
        (faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect(), value)
    }

    #[test]
    fn list_that_is_too_long_is_one_fault_and_empty() {
        let schema = json!({
            "type": "object",
            "properties": {
                "plain": { "type": "array", "maxItems": 2, "items": { "type": "string" } },
                "referred": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/List" }] },
                "nested": { "type": ["array", "null"], "maxItems": 3, "items": { "type": "array", "maxItems": 1 } },
            },
            "components": { "schemas": { "List": { "type": "array", "maxItems": 1 } } },
        });
        let value = json!({ "plain": [1, 2, 3], "referred": [1, 2], "nested": [[1], [1, 2]] });
        let (faults, left) = cut_by(&schema, value);
        assert_eq!(faults, ["/nested/1 too_many", "/plain too_many", "/referred too_many"]);
        assert_eq!(left, json!({ "plain": [], "referred": [], "nested": [[1], []] }));
        let fine = json!({ "plain": [1, 2], "referred": null, "nested": [[1], []] });
        assert_eq!(cut_by(&schema, fine.clone()), (vec![], fine));
    }

    #[test]
    fn list_and_object_that_nobody_knows_are_bounded_too() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        let long: Vec<u8> = vec![0; 2000];
        let (faults, left) = cut_by(&schema, json!({ "a": long, "b": { "c": long } }));
        assert_eq!(
            (faults, left),
            (vec!["/a too_many".into(), "/b/c too_many".into()], json!({ "a": [], "b": { "c": [] } }))
        );
        let many: Map<String, Value> = (0..1002).map(|n| (format!("x{n}"), json!(n))).collect();
        assert_eq!(cut_by(&schema, Value::Object(many)), (vec![" too_many".to_owned()], json!({})));
    }

    #[test]
    fn object_with_more_names_than_its_schema_allows_is_one_fault() {
        let schema = json!({ "properties": { "map": { "type": "object", "maxProperties": 1 } } });
        let (faults, left) = cut_by(&schema, json!({ "map": { "a": 1, "b": 2 } }));
        assert_eq!((faults, left), (vec!["/map too_many".to_owned()], json!({ "map": {} })));
    }

    #[test]
    fn schema_that_refers_to_itself_ends() {
        let schema = json!({ "$ref": "#/components/schemas/A", "components": { "schemas": { "A": { "$ref": "#/components/schemas/A" } } } });
        assert_eq!(cut_by(&schema, json!([1])), (vec![], json!([1])));
    }
}
