//! Cleaning of what people typed, before it stands in a mail: pure functions on strings.
//! After them no text can end a line, turn the direction of reading or hide characters.

/// Longest piece of user text in a mail, in characters; the rest is cut with "…".
const LONGEST: usize = 4_000;
/// Longest user text that stands within a sentence of ours.
const LONGEST_INLINE: usize = 200;
/// Longest display name.
const LONGEST_NAME: usize = 60;
/// Width at which quoted text is broken, so that no client's own wrapping moves a part of it to a line's start.
const WIDTH: usize = 72;

/// Whether a character may change how the text around it reads: controls, bidirectional marks, zero width spaces.
/// The joiners (U+200C, U+200D) stay: scripts and emoji need them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'
            ..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn clip(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text,
    }
}

/// Everything on one line, without unseen characters. Length is kept: our own links pass through here too.
pub fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_line_end(c) || c == '\t' { ' ' } else { c }).collect();
    let text: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// [`one_line`], cut to what fits in a sentence.
pub fn inline(text: &str) -> String {
    clip(one_line(text), LONGEST_INLINE)
}

/// A display name that no client turns into a link: somebody may call themselves `https://example.org`.
pub fn name(text: &str) -> String {
    let text: String = one_line(text).chars().filter(|c| !matches!(c, '/' | '\\' | ':' | '@' | '<' | '>')).collect();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if c == '.' && rest.peek().is_some_and(|next| next.is_alphanumeric()) {
            out.push(' ');
        }
    }
    clip(out.trim().to_owned(), LONGEST_NAME)
}

/// "Ana", "Ana and Ben", "Ana, Ben and Cem".
pub fn names(all: &[String]) -> String {
    let all: Vec<String> = all.iter().map(|one| name(one)).filter(|one| !one.is_empty()).collect();
    listed(&all, "and")
}

/// "a toilet", "a toilet or seats", "a, b or c": our own words, with the one that joins the last two.
pub fn listed(all: &[String], word: &str) -> String {
    match all.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
    }
}

/// The lines of a text somebody wrote, empty ones dropped, each at most [`WIDTH`] wide unless one word is longer.
pub fn quoted_lines(text: &str) -> Vec<String> {
    let text = clip(text.replace("\r\n", "\n"), LONGEST);
    text.split(is_line_end).map(one_line).filter(|line| !line.is_empty()).flat_map(|line| wrap(&line)).collect()
}

fn wrap(line: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= WIDTH => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Escaped for HTML, in text and in quoted attributes. Leaves "/" alone, so that our links read as they are.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// What mail clients know as the start of the signature: the only line that ends in a space.
const SIGNATURE: &str = "-- ";

/// At most one empty line in a row, no spaces at line ends, one newline at the end.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = true;
    for line in text.lines().map(|line| if line == SIGNATURE { line } else { line.trim_end() }) {
        if line.is_empty() && empty {
            continue;
        }
        empty = line.is_empty();
        out.push_str(line);
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(one_line("a\r\nBcc: x\u{2028}b\tc\u{202E}d\0"), "a Bcc: x b cd");
    }

    #[test]
    fn a_name_is_no_link() {
        assert_eq!(name("https://evil.example/x"), "httpsevil. examplex");
        assert_eq!(name("J. R. O'Neil"), "J. R. O'Neil");
        assert_eq!(names(&["Ana".into(), "Ben".into(), "Cem".into()]), "Ana, Ben and Cem");
    }

    #[test]
    fn quoted_lines_are_short_and_keep_long_words() {
        let url = format!("https://maps.example/{}", "x".repeat(100));
        let lines = quoted_lines(&format!("{} {url}\r\n\r\nend", "word ".repeat(40)));
        assert!(lines.iter().all(|line| line.chars().count() <= 72 || *line == url), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("end"));
        assert!(quoted_lines(&"é".repeat(9_000)).concat().chars().count() <= 4_001);
    }
}
