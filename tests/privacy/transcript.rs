//! What everybody can fetch, written down whole: status, header names and values, body and its size. Two worlds are
//! compared by their transcripts.
//!
//! The list of what there is to fetch comes from the served description of the API: a new GET route is fetched as well,
//! and one whose path the suite cannot fill fails.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;
use sidebyside::{domain::place::LatLng, http::etag};

use crate::harness::{Answer, Client, Letter, Town};

/// Somebody who looks.
pub struct Viewer {
    pub name: &'static str,
    pub client: Client,
}

impl Viewer {
    /// The same in a copy of their town.
    pub fn in_town(&self, town: &Town) -> Self {
        Self { name: self.name, client: self.client.in_town(town) }
    }
}

/// What there is to look at, by what stands in paths.
#[derive(Default, Clone)]
pub struct Things {
    pub runs: Vec<String>,
    pub series: Vec<String>,
    pub signups: Vec<String>,
    pub facilitators: Vec<String>,
    pub reports: Vec<String>,
    pub described: Vec<String>,
    pub friend_tokens: Vec<String>,
    pub emails: Vec<String>,
    /// From where the public list is searched.
    pub near: Vec<LatLng>,
}

const NO_SUCH_THING: &str = "00000000-0000-7000-8000-000000000000";

impl Things {
    /// The paths that a route stands for.
    fn paths(&self, route: &str) -> Vec<String> {
        let each = |ids: &[String]| -> Vec<String> {
            let none = NO_SUCH_THING.to_owned();
            ids.iter().chain([&none]).map(|id| route.replace("{id}", id)).collect()
        };
        match route {
            "/v1/accounts" => self.emails.iter().map(|email| format!("{route}?email={email}")).collect(),
            "/v1/runs" => self.searches(),
            "/v1/matches" => {
                let explained = self.runs.iter().map(|run| format!("{route}?explain={run}"));
                let own = "?include_mine=true&include_overlapping=true&include_any_pace=true";
                ["", "?include_full=true&limit=100", "?limit=1", own, "?to=2026-11-26T09:30:00Z"]
                    .iter()
                    .map(|q| format!("{route}{q}"))
                    .chain(explained)
                    .collect()
            }
            "/v1/friend-places/{token}" => self.friend_tokens.iter().map(|t| route.replace("{token}", t)).collect(),
            _ if !route.contains('{') => vec![route.to_owned()],
            _ if route.matches('{').count() > 1 => panic!("the privacy suite cannot fill {route}"),
            _ if route.starts_with("/v1/runs/{id}") => each(&self.runs),
            _ if route.starts_with("/v1/run-series/{id}") => each(&self.series),
            _ if route.starts_with("/v1/signups/{id}") => each(&self.signups),
            _ if route.starts_with("/v1/facilitators/{id}") => each(&self.facilitators),
            _ if route.starts_with("/v1/moderation/reports/{id}") => each(&self.reports),
            _ if route.starts_with("/v1/moderation/blocks/{id}") => each(&self.described),
            _ if route.starts_with("/v1/moderation/incidents/{id}") => each(&[]),
            _ if route.starts_with("/v1/moderation/sanctions/{id}") => each(&[]),
            _ => panic!("the privacy suite cannot fill {route}: say in `Things::paths` what stands there"),
        }
    }

    fn searches(&self) -> Vec<String> {
        let near = self.near.iter().flat_map(|LatLng { lat, lng }| {
            [0.5, 10.0].map(|km| format!("/v1/runs?near={lat:.6},{lng:.6}&radius_km={km}"))
        });
        ["/v1/runs".to_owned(), "/v1/runs?limit=3".to_owned()].into_iter().chain(near).collect()
    }
}

/// One thing that was fetched, or a mail that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub who: String,
    pub what: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub size: usize,
    pub body: String,
}

/// All of it, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript(pub Vec<Entry>);

impl Transcript {
    /// Everything that these viewers can fetch; every page of every list.
    pub async fn of_everything(town: &Town, viewers: &[Viewer], things: &Things) -> Self {
        let doc = town.nobody().open("/openapi.json").await.expect(200).json;
        let gets = doc["paths"].as_object().expect("paths").iter().filter(|(_, methods)| methods.get("get").is_some());
        let paths: Vec<String> = gets.flat_map(|(route, _)| things.paths(route)).collect();
        assert!(paths.len() > 60, "only {} things to fetch", paths.len());
        let mut all = Self::default();
        for viewer in viewers {
            for path in &paths {
                all.fetch(viewer.name, &viewer.client, path).await;
            }
        }
        all
    }

    /// Fetches one path with all its pages.
    pub async fn fetch(&mut self, who: &str, client: &Client, path: &str) {
        let mut next = path.to_owned();
        loop {
            let answer = client.send(client.request(Method::GET, &next)).await;
            let cursor = answer.json["next_cursor"].as_str().map(str::to_owned);
            self.note(who, path, &answer);
            let Some(cursor) = cursor else { break };
            next = format!("{path}{}cursor={cursor}", if path.contains('?') { '&' } else { '?' });
        }
    }

    /// Writes an answer down. Its own id, the hour on its stamp and the order of its headers (a server's own) are chance;
    /// that they are there, and how long, is not.
    pub fn note(&mut self, who: &str, what: &str, answer: &Answer) {
        let headers = answer.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let by_chance = matches!(name.as_str(), "x-request-id" | "date");
            // Where it is a digest of the body, it says nothing more than the body, which is compared as a whole.
            let is_digest = name.as_str() == "etag" && value == etag::of_body(answer.text.as_bytes());
            (name.to_string(), if by_chance || is_digest { "x".repeat(value.len()) } else { value })
        });
        let mut headers: Vec<(String, String)> = headers.collect();
        headers.sort();
        self.0.push(Entry {
            who: who.to_owned(),
            what: what.to_owned(),
            status: answer.status,
            headers,
            size: answer.text.len(),
            body: answer.text.clone(),
        });
    }

    /// Writes down what came by another way than HTTP.
    pub fn note_words(&mut self, who: &str, what: &str, words: &str) {
        self.0.push(Entry {
            who: who.to_owned(),
            what: what.to_owned(),
            status: 0,
            headers: Vec::new(),
            size: words.len(),
            body: words.to_owned(),
        });
    }

    /// Writes mails down, by whom they came to and when.
    pub fn note_letters(&mut self, mut letters: Vec<Letter>) {
        // Which of two mails of one minute is delivered first is chance; words without ids and tokens tell them apart.
        letters.sort_by_cached_key(|letter| {
            let words = Names::default().plain(&letter.text);
            (letter.to.clone(), letter.header("Date"), letter.subject.clone(), words)
        });
        self.0.extend(letters.into_iter().map(|letter| Entry {
            who: letter.to.clone(),
            what: format!("mail: {}", letter.subject),
            status: 0,
            headers: Vec::new(),
            size: letter.raw.len(),
            body: format!("{}\n{}", letter.text, letter.html),
        }));
    }

    /// The same with ids by the order in which they come and secrets by their length: what chance gives each world anew.
    pub fn without_chance(self) -> Self {
        let mut names = Names::default();
        let entries = self.0.into_iter().map(|entry| Entry {
            what: names.plain(&entry.what),
            body: names.plain(&entry.body),
            headers: entry.headers.into_iter().map(|(name, value)| (name, names.plain(&value))).collect(),
            ..entry
        });
        Self(entries.collect())
    }

    /// Where two worlds differ, in words; none when they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.0.len() != other.0.len() {
            found.push(format!("{} entries and {} entries", self.0.len(), other.0.len()));
        }
        for (one, two) in self.0.iter().zip(&other.0) {
            if one != two {
                found.push(format!("{} {}: {}", one.who, one.what, first_difference(one, two)));
            }
        }
        found
    }

    /// Holds two worlds to being the same.
    #[track_caller]
    pub fn is_the_same_as(&self, other: &Self, of: &str) {
        let differences = self.differences(other);
        let first: Vec<&String> = differences.iter().take(4).collect();
        assert!(differences.is_empty(), "{of}: {} differences, such as {first:#?}", differences.len());
    }

    /// Whether a text stands anywhere in it.
    pub fn says(&self, text: &str) -> bool {
        self.0
            .iter()
            .any(|entry| entry.body.contains(text) || entry.headers.iter().any(|(_, value)| value.contains(text)))
    }
}

fn first_difference(one: &Entry, two: &Entry) -> String {
    if (one.status, one.size, &one.headers) != (two.status, two.size, &two.headers) {
        return format!(
            "{} {} {:?} / {} {} {:?}",
            one.status, one.size, one.headers, two.status, two.size, two.headers
        );
    }
    let at = one.body.bytes().zip(two.body.bytes()).position(|(a, b)| a != b).unwrap_or(0);
    let around = |text: &str| -> String {
        let from = (0..=at.saturating_sub(80)).rev().find(|from| text.is_char_boundary(*from)).unwrap_or(0);
        text[from..].chars().take(160).collect()
    };
    format!("{:?} / {:?}", around(&one.body), around(&two.body))
}

/// Ids that were met, by the order in which they came.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    fn plain(&mut self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            // Nothing else begins an id or a secret: most of a text is passed over at once.
            if !first.is_ascii_hexdigit() && !"/\"c".contains(first) {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            if let Some(id) = rest.get(..36).filter(|word| is_id(word)) {
                let count = self.0.len();
                let number = *self.0.entry(id.to_owned()).or_insert(count);
                plain.push_str(&format!("<id {number}>"));
                rest = &rest[36..];
                continue;
            }
            let secret = SECRETS.iter().find(|start| rest.starts_with(**start));
            if let Some(start) = secret {
                let (after, is_token) =
                    (&rest[start.len()..], |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c));
                let end = after.find(|c| !is_token(c)).unwrap_or(after.len());
                // Of a link the act's name comes first: /e/not-today/TOKEN.
                let act = if *start == "/e/" { after[end..].strip_prefix('/') } else { None };
                plain.push_str(start);
                match act {
                    Some(token) => {
                        let length = token.find(|c| !is_token(c)).unwrap_or(token.len());
                        plain.push_str(&format!("{}/<{length}>", &after[..end]));
                        rest = &token[length..];
                    }
                    None => {
                        plain.push_str(&format!("<{end}>"));
                        rest = &after[end..];
                    }
                }
                continue;
            }
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
        plain
    }
}

/// What stands before a secret made anew each time.
const SECRETS: [&str; 4] = ["/e/", "\"next_cursor\":\"", "cursor=", "/friend-places/"];

fn is_id(word: &str) -> bool {
    word.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// A JSON answer with something put into it, as an oracle that leaks would.
pub fn with_leak(entry: &Entry, leak: impl FnOnce(&mut Value)) -> Entry {
    let Ok(mut body) = serde_json::from_str::<Value>(&entry.body) else { return entry.clone() };
    leak(&mut body);
    let body = body.to_string();
    Entry { size: body.len(), body, ..entry.clone() }
}
