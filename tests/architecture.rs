//! The rule of dependency, as `src/lib.rs` draws it: which floor may name which, and which words stay in which room.
//!
//! Comments and strings do not count. Each rule is shown a planted violation as well, so that a rule that sees nothing
//! fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Which floors a floor may name besides itself. `main` and `cli` may name all of them.
const FLOORS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("id", &["clock"]),
    ("domain", &["clock", "id"]),
    ("error", &["domain"]),
    ("mail", &["clock", "domain", "id"]),
    ("auth", &["clock", "config", "error", "id"]),
    ("config", &["domain", "id", "mail", "store"]),
    ("store", &["clock", "domain", "error", "id", "mail"]),
    ("service", &["auth", "clock", "config", "domain", "error", "id", "mail", "store"]),
    ("index", &["clock", "config", "domain", "error", "id", "service", "store"]),
    ("http", &["app", "auth", "clock", "config", "domain", "error", "id", "index", "service", "store"]),
    ("worker", &["app", "clock", "domain", "error", "id", "mail", "service", "store"]),
    ("app", &["auth", "clock", "config", "error", "http", "id", "index", "mail", "service", "store"]),
    ("cli", &["app", "auth", "clock", "config", "domain", "error", "http", "id", "mail", "service", "store", "worker"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Words that stay in one room: the word, and the files (or folders, ending in `/`) in which it may stand.
const ROOMS: &[(&str, &[&str])] = &[
    ("diesel", &["store/"]),
    ("actix_web", &["http/", "cli/serve.rs"]),
    ("tracing_actix_web", &["http/"]),
    ("utoipa_swagger_ui", &["http/"]),
    // The extractors of actix inflate a body before they look at its size: `http::body::read` is the one reader.
    ("flate2", &["http/body.rs"]),
    ("from_request(&request, payload)", &[]),
    ("to_bytes", &[]),
    ("web::Bytes", &[]),
    ("web::Form", &[]),
    ("web::Json", &[]),
    ("HttpResponse", &["http/"]),
    ("StatusCode", &["http/"]),
    ("env::var", &["config.rs"]),
    ("env::var_os", &["config.rs"]),
    ("Timestamp::now", &["clock.rs"]),
    ("SystemTime::now", &["clock.rs"]),
    ("Zoned::now", &["clock.rs"]),
    ("Utc::now", &[]),
    ("getrandom::", &["id.rs"]),
    ("Uuid::new_v4", &[]),
    ("Uuid::now_v7", &[]),
    ("SqliteConnection", &["store/connecting.rs", "store/db.rs"]),
    ("PgConnection", &["store/connecting.rs", "store/db.rs"]),
    (
        "Conn::Sqlite",
        &[
            "store/changes.rs",
            "store/connecting.rs",
            "store/db.rs",
            "store/dialect.rs",
            "store/migrations.rs",
            "store/outbox.rs",
        ],
    ),
    (
        "Conn::Postgres",
        &[
            "store/changes.rs",
            "store/connecting.rs",
            "store/db.rs",
            "store/dialect.rs",
            "store/migrations.rs",
            "store/outbox.rs",
        ],
    ),
    ("PRAGMA", &["store/connecting.rs", "store/db.rs"]),
    ("BEGIN IMMEDIATE", &["store/db.rs"]),
    ("pg_advisory_lock", &[]),
    ("sql_query", &["store/dialect.rs", "store/migrations.rs"]),
    ("for_update", &["store/dialect.rs", "store/outbox.rs"]),
    ("for_no_key_update", &["store/dialect.rs"]),
    ("skip_locked", &["store/dialect.rs", "store/outbox.rs"]),
    ("begin_transaction", &["store/db.rs"]),
    ("commit_transaction", &["store/db.rs"]),
    (
        "tokio",
        &[
            "app.rs",
            "auth/passwords.rs",
            "cli/",
            "http/",
            "index/mod.rs",
            "mail/",
            "store/db.rs",
            "store/outage.rs",
            "store/own_changes.rs",
            "store/readiness.rs",
            "worker/",
        ],
    ),
    (
        "async fn",
        &[
            "auth/passwords.rs",
            "cli/",
            "http/",
            "index/mod.rs",
            "mail/",
            "store/db.rs",
            "store/outage.rs",
            "store/own_changes.rs",
            "store/readiness.rs",
            "worker/",
        ],
    ),
    ("lettre", &["config.rs", "mail/", "service/accounts.rs", "service/accounts/"]),
    ("argon2", &["auth/"]),
    ("jsonwebtoken", &["auth/"]),
    ("hmac", &["auth/"]),
    ("minijinja", &["http/", "mail/"]),
    ("std::fs", &["config.rs", "config/", "mail/", "cli/", "store/migrations.rs"]),
    ("println!", &["cli/", "main.rs"]),
];

/// Lines that a file may have.
const LONGEST: usize = 700;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file but tests' own, by its path under `src`.
fn files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(source()).expect("under src").to_string_lossy().replace('\\', "/");
                into.insert(name, fs::read_to_string(&path).expect("a file"));
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&source(), &mut all);
    assert!(all.len() > 60, "the sources are where they are looked for");
    all.retain(|name, _| !name.ends_with("tests.rs"));
    all
}

/// The floor of a file: the first part of its path.
fn floor(name: &str) -> &str {
    name.split('/').next().unwrap_or(name).trim_end_matches(".rs")
}

/// The text up to its tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    text.lines().filter(|line| !is_comment(line)).map(|line| format!("{line}\n")).collect()
}

/// The floors that a text names by `crate::…`, also in `use crate::{…}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0_i32, 0);
            for (at, c) in list.char_indices() {
                if c == '{' {
                    depth += 1;
                }
                if depth == 0 && matches!(c, ',' | '}') {
                    found.insert(first_word(&list[start..at]));
                    start = at + 1;
                }
                if c == '}' {
                    depth -= 1;
                    if depth < 0 {
                        break;
                    }
                }
            }
        } else {
            found.insert(first_word(rest));
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What a file names that its floor must not.
fn wrong_floors(name: &str, text: &str) -> Vec<String> {
    let own = floor(name);
    let Some((_, allowed)) = FLOORS.iter().find(|(floor, _)| *floor == own) else {
        return vec![format!("{name}: there is no rule for the floor {own}")];
    };
    let known: BTreeSet<&str> = FLOORS.iter().map(|(floor, _)| *floor).collect();
    named(&code(text))
        .into_iter()
        .filter(|other| known.contains(other.as_str()) && other != own && !allowed.contains(&other.as_str()))
        .map(|other| format!("{name} names {other}"))
        .collect()
}

/// Words in a file that belong to another room.
fn wrong_words(name: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let here = |place: &str| if place.ends_with('/') { name.starts_with(place) } else { name == place };
    ROOMS
        .iter()
        .filter(|(word, places)| stands(&code, word) && !places.iter().any(|place| here(place)))
        .map(|(word, _)| format!("{name} says {word}"))
        .collect()
}

/// Whether a word stands in a text, and not as a part of a longer one.
fn stands(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let goes_on = word.ends_with(part) && after.is_some_and(part);
        !goes_on && !before.is_some_and(part)
    })
}

#[test]
fn every_floor_names_only_the_floors_that_it_may() {
    let wrong: Vec<String> = files().iter().flat_map(|(name, text)| wrong_floors(name, text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_is_a_rule_about_a_floor_that_is_there() {
    let there: BTreeSet<String> = files().keys().map(|name| floor(name).to_owned()).collect();
    let ruled: BTreeSet<String> = FLOORS.iter().map(|(floor, _)| (*floor).to_owned()).collect();
    assert_eq!(there, ruled);
}

#[test]
fn the_store_knows_of_mail_only_the_notice() {
    for (name, text) in files().iter().filter(|(name, _)| floor(name) == "store") {
        for (at, _) in code(text).match_indices("mail::") {
            let word = first_word(&code(text)[at + "mail::".len()..]);
            assert_eq!(word, "Notice", "{name} names mail::{word}");
        }
    }
}

#[test]
fn every_word_stays_in_its_room() {
    let wrong: Vec<String> = files().iter().flat_map(|(name, text)| wrong_words(name, text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_planted_violation_is_caught() {
    let one = |name: &str, text: &str| [wrong_floors(name, text), wrong_words(name, text)].concat();
    assert_eq!(one("domain/run.rs", "use crate::store::Db;"), ["domain/run.rs names store"]);
    let nested =
        "use crate::{\n    clock::{Instant, at_local},\n    http::{\n        Problem,\n    },\n    id::Id,\n};";
    assert_eq!(one("service/runs.rs", nested), ["service/runs.rs names http"]);
    assert_eq!(one("service/runs.rs", "fn f() { crate::worker::tick() }"), ["service/runs.rs names worker"]);
    assert_eq!(one("service/runs.rs", "use diesel::prelude::*;"), ["service/runs.rs says diesel"]);
    assert_eq!(one("service/runs.rs", "let now = jiff::Timestamp::now();"), ["service/runs.rs says Timestamp::now"]);
    assert_eq!(one("mail/smtp.rs", "std::env::var(\"X\")"), ["mail/smtp.rs says env::var"]);
    assert_eq!(one("store/runs.rs", "query.for_update()"), ["store/runs.rs says for_update"]);
    assert_eq!(one("attic/x.rs", ""), ["attic/x.rs: there is no rule for the floor attic"]);
    // Comments, longer words and what is allowed are no violations.
    assert!(one("domain/run.rs", "// use crate::store::Db; diesel\nuse crate::clock::Instant;").is_empty());
    assert!(one("service/runs.rs", "let diesels = actix_webs;").is_empty());
    assert!(one("store/runs.rs", "use crate::{domain::run::Run, id::Id}; use diesel::prelude::*;").is_empty());
}

#[test]
fn every_rule_about_a_word_is_still_of_use() {
    let files = files();
    for (word, places) in ROOMS {
        for place in *places {
            let there =
                files.iter().any(|(name, _)| name == place || (place.ends_with('/') && name.starts_with(place)));
            let optional = place.starts_with("service/accounts");
            assert!(there || optional, "{word}: there is no {place}");
        }
    }
}

#[test]
fn every_file_opens_by_saying_what_lives_in_it() {
    let silent: Vec<String> =
        files().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn no_file_is_a_book() {
    let long: Vec<String> = files()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LONGEST)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    for name in files().keys() {
        for part in name.trim_end_matches(".rs").split('/') {
            assert!(!["utils", "util", "helpers", "common", "manager", "types", "misc"].contains(&part), "{name}");
        }
    }
}

#[test]
fn migrations_are_paired() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of migrations").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert_eq!(sqlite, postgres);
    assert!(!sqlite.is_empty());
    for folder in ["sqlite", "postgres"] {
        for name in &sqlite {
            for file in ["up.sql", "down.sql"] {
                let text = fs::read_to_string(root.join(folder).join(name).join(file));
                let text = text.unwrap_or_else(|fault| panic!("{folder}/{name}/{file}: {fault}"));
                assert!(!text.trim().is_empty(), "{folder}/{name}/{file} is empty");
            }
        }
    }
}
