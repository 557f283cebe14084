//! Spellings that say the same: each is brought to the one that the schema knows before the schema checks it.
//!
//! The schema leads: an enum takes any letter case, a `format` says how its texts are written. Only what can mean one thing
//! is taken; all else stays as it came, and the check names it. Texts that people see are trimmed, and what they hold is
//! decided by [`crate::domain::text`].

use serde_json::{Map, Value};

use super::pointer;
use crate::{
    clock,
    domain::{availability, refusal::Fault, run::LanguageTag, text},
};

/// References that are followed from one schema to the next.
const DEPTH_MAX: usize = 16;
/// Languages of a list that are looked at for repeats; the schemas allow ten.
const LANGUAGES_MAX: usize = 100;
/// Faults after which no more are looked for.
const FAULTS_MAX: usize = 50;

/// Walks a value and its schema side by side.
pub(super) struct Tidy<'s> {
    root: &'s Value,
    faults: Vec<Fault>,
}

impl<'s> Tidy<'s> {
    /// Tidies a value by the schema document `root`; the answer is what texts hold that no text may.
    pub(super) fn run(root: &'s Value, value: &mut Value) -> Vec<Fault> {
        let mut tidy = Self { root, faults: Vec::new() };
        tidy.walk(value, root, "", DEPTH_MAX);
        tidy.faults
    }

    fn walk(&mut self, value: &mut Value, schema: &'s Value, at: &str, depth: usize) {
        if depth == 0 || self.faults.len() >= FAULTS_MAX {
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#')) {
            if let Some(target) = self.root.pointer(target) {
                self.walk(value, target, at, depth - 1);
            }
            return;
        }
        for several in ["allOf", "oneOf", "anyOf"] {
            for one in schema.get(several).and_then(Value::as_array).into_iter().flatten() {
                if !one.get("type").is_some_and(|kind| kind == "null") {
                    self.walk(value, one, at, depth - 1);
                }
            }
        }
        match value {
            Value::Object(members) => self.object(members, schema, at, depth),
            Value::Array(items) => {
                if let Some(item_schema) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.walk(item, item_schema, &format!("{at}/{index}"), depth - 1);
                    }
                    if self.followed(item_schema).get("format").is_some_and(|format| format == "language") {
                        // "en" and "en-GB" are one language here.
                        let mut seen = Vec::new();
                        items.retain(|item| {
                            !seen.contains(item) && {
                                seen.push(item.clone());
                                seen.len() <= LANGUAGES_MAX
                            }
                        });
                    }
                }
            }
            Value::String(text) if schema.get("type").is_some() || schema.get("enum").is_some() => {
                if let Some(tidy) = self.text(text, schema, at) {
                    *text = tidy;
                }
            }
            Value::Bool(yes) => {
                // An enum of yes and no is a boolean in other words.
                let word = if *yes { "yes" } else { "no" };
                let options = options(schema);
                if options.len() == 2 && options.contains(&"yes") && options.contains(&"no") {
                    *value = Value::from(word);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, members: &mut Map<String, Value>, schema: &'s Value, at: &str, depth: usize) {
        if let Some(names) = schema.get("propertyNames") {
            self.names(members, names);
        }
        let properties = schema.get("properties");
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        for (name, member) in members.iter_mut() {
            if name.chars().any(char::is_control) && self.faults.len() < FAULTS_MAX {
                self.faults.push(Fault::at(at, "control_character", "control characters cannot be taken"));
            }
            if let Some(schema) = properties.and_then(|known| known.get(name)).or(others) {
                self.walk(member, schema, &pointer(at, name), depth - 1);
            }
        }
    }

    /// The schema that a reference leads to, or the schema itself.
    fn followed<'a>(&self, schema: &'a Value) -> &'a Value
    where
        's: 'a,
    {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|target| self.root.pointer(target)).unwrap_or(schema)
    }

    /// Brings the names of a map's entries to their spelling, unless two would become one.
    fn names(&self, members: &mut Map<String, Value>, schema: &Value) {
        if self.followed(schema).get("format").is_none_or(|format| format != "word" && format != "access-need") {
            return;
        }
        let spellings: Vec<(String, String)> = members
            .keys()
            .filter_map(|name| Some((name.clone(), word(name)?)))
            .filter(|(name, tidy)| name != tidy)
            .collect();
        for (name, tidy) in spellings {
            if !members.contains_key(&tidy)
                && let Some(member) = members.remove(&name)
            {
                members.insert(tidy, member);
            }
        }
    }

    /// The one spelling of a text; none where it stays as it is.
    fn text(&mut self, text: &str, schema: &Value, at: &str) -> Option<String> {
        let options = options(schema);
        if !options.is_empty() {
            return one_of(text, &options);
        }
        match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => clock::read_instant(text).ok().map(|instant| instant.timestamp().to_string()),
            Some("local-date-time") => {
                clock::read_local(text).map(|local| local.strftime("%Y-%m-%dT%H:%M:%S").to_string())
            }
            Some("time-of-day") => availability::read_time(text),
            Some("email") => {
                let address = text::trim(text);
                self.note(at, text::text_fault(address));
                Some(address.to_owned())
            }
            Some("date" | "uuid" | "name") => Some(text::trim(text).to_owned()),
            Some("language") => LanguageTag::read(text).map(|tag| tag.0),
            Some("locale") => locale(text),
            Some("time-zone") => clock::zone_name(text::trim(text)),
            Some("word" | "access-need") => word(text),
            Some("phone") => Some(phone(text)),
            Some("line") => {
                let line = text::trim(text);
                self.note(at, text::line_fault(line));
                let must_say = schema.get("minLength").and_then(Value::as_u64).is_some_and(|least| least > 0);
                self.note(at, (must_say && !text.is_empty() && !text::has_visible(line)).then_some(text::EMPTY));
                Some(if text::has_visible(line) { line } else { "" }.to_owned())
            }
            // A password is taken as it is typed.
            Some("password") => {
                self.note(at, text::text_fault(text));
                None
            }
            _ => {
                self.note(at, text::text_fault(text));
                (!text.is_empty() && !text::has_visible(text)).then(String::new)
            }
        }
    }

    fn note(&mut self, at: &str, fault: Option<text::TextFault>) {
        if let Some(fault) = fault.filter(|_| self.faults.len() < FAULTS_MAX) {
            self.faults.push(Fault::at(at, fault.code, fault.words));
        }
    }
}

/// The words that a schema allows, none for what is no enum.
fn options(schema: &Value) -> Vec<&str> {
    schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The allowed word that somebody means: in any letter case, with spaces, hyphens or underscores between its parts, a day
/// of the week also by its whole name.
fn one_of(text: &str, options: &[&str]) -> Option<String> {
    if options.contains(&text) {
        return None;
    }
    let plain = |text: &str| text::trim(text).to_lowercase().replace([' ', '-', '_'], "");
    let meant = plain(text);
    let mut fitting = options.iter().filter(|option| plain(option) == meant);
    if let (Some(one), None) = (fitting.next(), fitting.next()) {
        return Some((*one).to_owned());
    }
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let day = DAYS.contains(&meant.as_str()).then(|| meant.get(..3)).flatten()?;
    options.iter().find(|option| **option == day).map(|day| (*day).to_owned())
}

/// A name such as `step_free`, from "Step-free" or "step free".
fn word(text: &str) -> Option<String> {
    let parts: Vec<String> = text::trim(text).split([' ', '-', '_']).map(str::to_lowercase).collect();
    let is_word =
        |part: &String| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    parts.iter().all(is_word).then(|| parts.join("_"))
}

/// A telephone number with the spaces and hyphens of a keyboard, without `tel:`.
fn phone(text: &str) -> String {
    let number = text::trim(text);
    let number = number.get(..4).filter(|start| start.eq_ignore_ascii_case("tel:")).map_or(number, |_| &number[4..]);
    let plain = |c: char| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c if c.is_whitespace() && !c.is_control() => ' ',
        c => c,
    };
    number.trim().chars().map(plain).collect()
}

/// A language tag with the letter case and the hyphens of BCP 47: `en-GB` from `EN_gb`.
fn locale(text: &str) -> Option<String> {
    let mut parts = text::trim(text).split(['-', '_']);
    let primary = parts.next()?.to_ascii_lowercase();
    let spelled = parts.map(|part| match part.len() {
        2 => part.to_ascii_uppercase(),
        4 if part.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        }
        _ => part.to_ascii_lowercase(),
    });
    Some(std::iter::once(primary).chain(spelled).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tidied(schema: &Value, mut value: Value) -> (Value, Vec<Fault>) {
        let faults = Tidy::run(schema, &mut value);
        (value, faults)
    }

    #[test]
    fn enums_take_any_letter_case_and_separator() {
        let schema = json!({ "type": "string", "enum": ["run", "run_walk", "walk"] });
        for (given, wanted) in
            [("Run", "run"), (" RUN-WALK ", "run_walk"), ("run walk", "run_walk"), ("walk", "walk"), ("swim", "swim")]
        {
            assert_eq!(tidied(&schema, json!(given)).0, json!(wanted));
        }
        let days = json!({ "type": "string", "enum": ["mon", "tue"] });
        assert_eq!(tidied(&days, json!("Monday")).0, json!("mon"));
        assert_eq!(tidied(&days, json!("Mondays")).0, json!("Mondays"));
        let yes_no = json!({ "type": "string", "enum": ["yes", "no"] });
        assert_eq!(tidied(&yes_no, json!(true)).0, json!("yes"));
        assert_eq!(tidied(&schema, json!(true)).0, json!(true));
    }

    #[test]
    fn formats_have_one_spelling_each() {
        for (format, given, wanted) in [
            ("date-time", "2026-12-01t00:00:00z", "2026-12-01T00:00:00Z"),
            ("date-time", "2026-12-01T00:00:00 01:00", "2026-11-30T23:00:00Z"),
            ("date-time", "2026-12-01", "2026-12-01"),
            ("local-date-time", "2026-12-01 18:30", "2026-12-01T18:30:00"),
            ("time-of-day", "9:00", "09:00"),
            ("time-of-day", "09:00:00", "09:00"),
            ("time-of-day", "24:00:00", "24:00"),
            ("time-of-day", "9:00:30", "9:00:30"),
            ("time-of-day", "9 am", "9 am"),
            ("language", "en-GB", "en"),
            ("language", " DE_at", "de"),
            ("language", "ENG", "en"),
            ("language", "English", "English"),
            ("locale", "EN_gb", "en-GB"),
            ("locale", "zh-hant-tw", "zh-Hant-TW"),
            ("time-zone", "europe/london", "Europe/London"),
            ("time-zone", "Mars/Olympus", "Mars/Olympus"),
            ("word", "Step-Free", "step_free"),
            ("word", "step free!", "step free!"),
            ("access-need", "Step-Free", "step_free"),
            ("line", "  Title\u{200b}\r\n", "Title"),
            ("line", "\u{2800}\u{3164}", ""),
            ("uuid", " 00000000-0000-4000-8000-000000000000\n", "00000000-0000-4000-8000-000000000000"),
            ("password", " as typed ", " as typed "),
        ] {
            let schema = json!({ "type": "string", "format": format });
            let (value, faults) = tidied(&schema, json!(given));
            assert_eq!((value, faults.len()), (json!(wanted), 0), "{format} {given:?}");
        }
    }

    #[test]
    fn texts_are_walked_to_where_they_stand() {
        let schema = json!({
            "type": "object",
            "properties": {
                "title": { "type": ["string", "null"], "format": "line" },
                "words": { "type": "string" },
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } },
                "map": { "type": "object", "additionalProperties": { "type": "string", "enum": ["yes"] },
                    "propertyNames": { "$ref": "#/components/schemas/Name" } },
            },
            "components": { "schemas": {
                "Item": { "oneOf": [{ "type": "null" }, { "type": "string", "format": "line" }] },
                "Name": { "type": "string", "format": "word" },
            } },
        });
        let value = json!({ "title": "a\nb", "words": "a\nb", "items": [" x ", "a\tb", null], "map": { "Step-Free": "YES" }, "free": "\u{0}" });
        let (value, faults) = tidied(&schema, value);
        let told: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect();
        assert_eq!(told, ["/items/1 control_character", "/title line_break"]);
        assert_eq!((&value["items"][0], &value["map"]), (&json!("x"), &json!({ "step_free": "yes" })));
    }
}
