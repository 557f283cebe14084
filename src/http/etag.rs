//! Entity tags: `"2"`, the version of what a facilitator can edit, where an answer has one; else a digest of the answer.
//!
//! Sign-ups never change the version, so they do not stop an edit. Answers with a version are `no-store`: no cache keeps
//! their counts, and a 304 tells a client that asks by `If-None-Match` only that nothing was edited.
//! Every comparison is weak (RFC 9110, 8.8.3.2): proxies that compress turn `"2"` into `W/"2"` or `"2-gzip"`.

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{self, HeaderName},
    },
};

use crate::{
    auth::keys::fingerprint,
    domain::refusal::{Code, Fault},
    error::Result,
};

/// Characters of a digest in a tag: 64 bits.
const DIGEST_CHARS: usize = 16;
/// Tags that are looked at in one request; a client sends one or two.
const TAGS_MAX: usize = 100;
/// Endings that servers add to the tag of an answer that they compressed.
const CODINGS: [&str; 8] = ["-gzip", ";gzip", "--gzip", "-gz", "-br", "-zstd", "-deflate", ";br"];

/// The tag of an answer that has no version: a digest of its body.
pub fn of_body(body: &[u8]) -> String {
    format!("\"{}\"", digest(body))
}

/// The tag of an answer with a version.
pub fn of_version(version: i32) -> String {
    format!("\"{version}\"")
}

fn digest(body: &[u8]) -> String {
    fingerprint(body).chars().take(DIGEST_CHARS).collect()
}

/// A list of tags, or any (`*`).
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// What stands between the quotes of each.
    These(Vec<String>),
}

/// Reads a header that is `*` or a list of entity tags; none when the header is not there.
fn read(request: &HttpRequest, name: &HeaderName) -> Option<std::result::Result<Tags, ()>> {
    let mut lines = request.headers().get_all(name).peekable();
    lines.peek()?;
    let mut whole = Vec::new();
    for line in lines {
        if !whole.is_empty() {
            whole.push(b',');
        }
        whole.extend_from_slice(line.as_bytes());
    }
    Some(parse(&whole))
}

/// `*`, or tags such as `"2"` and `W/"2"` with commas between them (RFC 9110, 8.8.3); commas within quotes belong to them.
fn parse(text: &[u8]) -> std::result::Result<Tags, ()> {
    let mut rest = text.trim_ascii();
    if rest == b"*" {
        return Ok(Tags::Any);
    }
    let mut tags = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            continue;
        }
        let opened = rest.strip_prefix(b"W/").or_else(|| rest.strip_prefix(b"w/")).unwrap_or(rest);
        let inner = opened.strip_prefix(b"\"").ok_or(())?;
        let end = inner.iter().position(|byte| *byte == b'"').ok_or(())?;
        let (tag, after) = (&inner[..end], inner[end + 1..].trim_ascii_start());
        let is_fine = tag.iter().all(|byte| *byte == 0x21 || (0x23..=0x7e).contains(byte) || *byte >= 0x80);
        if !is_fine || !(after.is_empty() || after.starts_with(b",")) || tags.len() == TAGS_MAX {
            return Err(());
        }
        tags.push(String::from_utf8_lossy(tag).into_owned());
        rest = after;
    }
    if tags.is_empty() { Err(()) } else { Ok(Tags::These(tags)) }
}

/// The version at the front of a tag of ours, whatever a proxy did to its end.
fn version_of(tag: &str) -> Option<i32> {
    let digits = tag.find(|c: char| !c.is_ascii_digit()).unwrap_or(tag.len());
    let (number, rest) = tag.split_at(digits);
    let is_ours = !number.starts_with('0') && (rest.is_empty() || rest.starts_with(['-', ';']));
    number.parse().ok().filter(|_| is_ours)
}

/// Whether a client that sent these `If-None-Match` tags has what `etag` names.
pub fn is_known(request: &HttpRequest, etag: &str) -> bool {
    if *request.method() != Method::GET {
        return false;
    }
    let current = etag.trim_matches('"');
    match read(request, &header::IF_NONE_MATCH) {
        Some(Ok(Tags::Any)) => true,
        Some(Ok(Tags::These(tags))) => tags.iter().any(|tag| {
            let plain = CODINGS.iter().find_map(|coding| tag.strip_suffix(coding)).unwrap_or(tag);
            plain == current
        }),
        // A header that nobody can read asks for nothing (RFC 9110, 13.1.2): the whole answer is always right.
        Some(Err(())) | None => false,
    }
}

/// The versions in `If-Match`.
pub struct IfMatch(Option<std::result::Result<Tags, ()>>);

impl IfMatch {
    /// Reads the header of a request; what is wrong with it is told by [`IfMatch::check`].
    pub fn of(request: &HttpRequest) -> Self {
        Self(read(request, &header::IF_MATCH))
    }

    /// Compares with the version that stands.
    ///
    /// # Errors
    /// [`Code::VersionMissing`] without the header, a fault when it holds no entity tags, [`Code::VersionStale`] when
    /// somebody was faster.
    pub fn check(&self, version: i32) -> Result<()> {
        match &self.0 {
            None => Err(Code::VersionMissing.into()),
            Some(Err(())) => {
                let words = "send the ETag as it came, with its quotes: \"2\"; W/ before it is fine";
                Err(Fault::at("header If-Match", "bad_etag", words).into())
            }
            Some(Ok(Tags::Any)) => Ok(()),
            Some(Ok(Tags::These(tags))) if tags.iter().any(|tag| version_of(tag) == Some(version)) => Ok(()),
            Some(Ok(Tags::These(_))) => Err(Code::VersionStale.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn matches(header: &str) -> Option<u8> {
        let request = TestRequest::default().insert_header(("If-Match", header)).to_http_request();
        match IfMatch::of(&request).check(2) {
            Ok(()) => Some(1),
            Err(crate::error::Error::Refused(_)) => Some(0),
            Err(_) => None,
        }
    }

    #[test]
    fn version_is_compared_weakly_and_through_proxies() {
        for fine in [
            "\"2\"",
            "W/\"2\"",
            "w/\"2\"",
            " W/\"2-5d41402abc4b2a76\" ",
            "\"2-5d41402abc4b2a76-gzip\"",
            "\"2-gzip\"",
            "\"2;gzip\"",
            "\"1\", W/\"2\"",
            "\"a,b\",\"2\"",
            "*",
            ",\"2\",",
            "\"x\",\"2--gzip\"",
        ] {
            assert_eq!(matches(fine), Some(1), "{fine}");
        }
        for stale in ["\"1\"", "W/\"3\"", "\"22\"", "\"a,2\"", "\"02\"", "\"2x\"", "\"\"", "\"99999999999\""] {
            assert_eq!(matches(stale), Some(0), "{stale}");
        }
    }

    #[test]
    fn header_without_entity_tags_is_malformed() {
        for bad in ["2", "W/2", "\"2", "2\"", "", ",", "'2'", "\"2\" \"3\"", "\"2\"x", "*, \"2\"", "\"a b\""] {
            assert_eq!(matches(bad), None, "{bad}");
        }
        let many = vec!["\"1\""; 101].join(",");
        assert_eq!(matches(&many), None);
    }

    #[test]
    fn answer_is_known_by_its_whole_tag() {
        let knows = |header: &str, etag: &str| {
            let request = TestRequest::default().insert_header(("If-None-Match", header)).to_http_request();
            is_known(&request, etag)
        };
        let now = of_version(2);
        assert!(knows(&now, &now) && knows(&format!("W/{now}"), &now) && knows("*", &now));
        assert!(knows("W/\"2-gzip\"", &now), "a proxy compressed it");
        assert!(knows("\"1\", W/\"2\"", &now) && !knows("\"1\"", &now) && !knows("\"22\"", &now));
        assert!(!knows("nonsense", &now) && !knows("\"\"", &now));
        assert!(knows(&of_body(b"x"), &of_body(b"x")) && !knows("\"2\"", &of_body(b"x")));
    }
}
