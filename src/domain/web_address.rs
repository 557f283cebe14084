//! Whether mail programs would make a link of something in a name.
//!
//! They link an address with a scheme or `www.`, an e-mail address, and two words with a dot between them where the last
//! is an ending that the Internet has: "win.com" is one, "St.Georg" and "and/or" are none.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Endings that are reserved (RFC 2606, RFC 6761, RFC 6762, RFC 7686, RFC 9476) and no less of a link to somebody's eye.
const RESERVED: [&str; 8] = ["example", "test", "invalid", "localhost", "local", "internal", "onion", "alt"];
/// Endings before which a single letter is a domain all the same, such as `t.me`; "M.Sc" is a degree.
const AFTER_ONE_LETTER: [&str; 5] = ["com", "me", "co", "net", "org"];

/// Dots that are read as the one between the labels of a domain (UTS 46).
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// Whether there is a link or an e-mail address in a text.
pub fn is_in(text: &str) -> bool {
    let lower = text.to_lowercase();
    let has_scheme =
        lower.contains("://") || ["mailto:", "tel:", "sms:", "javascript:", "data:"].iter().any(|s| lower.contains(s));
    let has_tag =
        lower.chars().zip(lower.chars().skip(1)).any(|(c, next)| c == '<' && (next == '/' || next.is_alphabetic()));
    let has_at = lower.split_whitespace().any(|word| word.chars().count() > 1 && word.contains(['@', '\u{ff20}']));
    let has_share = lower.contains("\\\\") || lower.split_whitespace().any(|word| word.starts_with("//"));
    has_scheme || has_tag || has_at || has_share || hosts_in(&lower).any(|(host, after)| is_host(host, after))
}

/// The runs of characters that a host may consist of, each with what follows it.
fn hosts_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_part =
        |c: char| c.is_alphanumeric() || is_dot(c) || matches!(c, '-' | '_') || !c.is_ascii() && !c.is_whitespace();
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_part)?;
        let end = rest[start..].find(|c| !is_part(c)).map_or(rest.len(), |length| start + length);
        let found = (&rest[start..end], &rest[end..]);
        rest = &rest[end..];
        Some(found)
    })
}

fn is_host(run: &str, after: &str) -> bool {
    let labels: Vec<&str> = run.split(is_dot).filter(|label| !label.is_empty()).collect();
    let [.., before, last] = labels.as_slice() else { return false };
    if labels[0] == "www" && labels.len() > 1 {
        return true;
    }
    if labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok()) {
        return true;
    }
    let ending = Uts46::new().to_ascii(last.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore);
    let Ok(ending) = ending else { return false };
    let is_known = tld::exist(&ending) || RESERVED.contains(&ending.as_ref());
    let is_degree = before.chars().count() == 1 && labels.len() == 2 && !AFTER_ONE_LETTER.contains(&ending.as_ref());
    let has_path = after.starts_with('/') && after.len() > 1;
    is_known && (!is_degree || has_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_abbreviations_are_no_links() {
        for name in [
            "Ana (she/her)",
            "Ana they/them",
            "n.n.",
            "N.N.",
            "Dr. Ana",
            "Dr.Ana",
            "and/or",
            "4.5 km",
            "St.Georg",
            "J.R.R. Tolkien",
            "Ana M.Sc.",
            "e.V.",
            "z.B.",
            "Max & Moritz",
            "Ana <3",
            "Ana @ Town",
            "10.5",
            "Jean-Luc",
            "O’Brien",
            "Ana...",
            "Mr.T",
            "Ana.",
            "U.S.A.",
            "24/7",
            "C. d. P.",
            "Ana: back marker",
            "李.明",
            "12.30 Uhr",
            "Ana\\Ben",
        ] {
            assert!(!is_in(name), "{name}");
        }
    }

    #[test]
    fn links_and_addresses_are_found() {
        for link in [
            "win.example",
            "ana@example.org",
            "https://x",
            "www.a.org now",
            "see bad。com",
            "<b>",
            "WIN.COM",
            "bit.ly/x",
            "t.me/ana",
            "(example.org)",
            "Ana,example.org",
            "ex\u{ff0e}com",
            "ａｎａ．ｃｏｍ",
            "x.com",
            "example.com.",
            "example.org/path",
            "münchen.de",
            "пример.рф",
            "mailto:ana",
            "a.b.co.uk",
            "192.0.2.1",
            "//evil.example",
            "ana＠example",
            "@ana",
            "Ana/example.com:80",
            "www.x",
            "\\\\host\\share",
            "javascript:alert(1)",
            "</b>",
            "m.sc/x",
        ] {
            assert!(is_in(link), "{link}");
        }
    }
}
