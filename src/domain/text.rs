//! Rules for texts that people see: what is trimmed, what counts as empty, and which characters are refused.
//!
//! Two kinds: a line (titles, names, questions) and a text of several lines. What each holds is decided here for every
//! door; the properties of characters are those of Unicode (`icu_properties`).

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextFault {
    /// The stable code.
    pub code: &'static str,
    /// What to do about it.
    pub words: &'static str,
}

/// There is something, and nothing of it can be seen.
pub const EMPTY: TextFault = TextFault { code: "empty", words: "say something that can be seen" };
const LINE_BREAK: TextFault = TextFault { code: "line_break", words: "write it in one line" };
const TAB: TextFault = TextFault { code: "control_character", words: "use a space instead of a tab" };
const CONTROL: TextFault = TextFault { code: "control_character", words: "control characters cannot be taken" };
const HIDDEN: TextFault =
    TextFault { code: "control_character", words: "there is an invisible character in it; type it again" };
const TURNED: TextFault = TextFault {
    code: "control_character",
    words: "characters that turn the direction of writing must be closed again within it",
};

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a reader sees anything where this character stands alone. Combining marks need a letter to stand on.
pub fn is_visible(c: char) -> bool {
    use GeneralCategory as G;
    let is_blank_sign = c == '\u{2800}' || is_ignorable(c) || c.is_whitespace();
    let needs_another =
        matches!(category(c), G::Control | G::Unassigned | G::NonspacingMark | G::EnclosingMark | G::SpacingMark);
    !is_blank_sign && !needs_another
}

/// Whether there is anything to see in a text.
pub fn has_visible(text: &str) -> bool {
    text.chars().any(is_visible)
}

/// Variation selectors and the tags of flags belong to the character before them.
fn belongs_to_the_one_before(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{e0020}'..='\u{e007f}')
}

/// Spaces, line breaks and characters that nobody sees, as they come along when something is pasted.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}' || is_ignorable(c)
}

/// A text without the blank characters around it. A pair of direction marks that phones put around the whole is taken
/// off as one; those that belong to a part of it stay.
pub fn trim(text: &str) -> &str {
    let mut rest = text;
    loop {
        let turns = Turns::of(rest);
        let end = rest.len();
        let whole = turns.pairs.iter().any(|(open, close)| *open == 0 && close + 3 == end);
        let keeps = |at: usize| turns.pairs.iter().any(|(open, close)| *open == at || *close == at) && !whole;
        let mut chars = rest.char_indices();
        let shorter = match (chars.next(), chars.next_back()) {
            (Some((_, first)), _) if is_blank(first) && !keeps(0) => &rest[first.len_utf8()..],
            (_, Some((at, last))) if is_blank(last) && !belongs_to_the_one_before(last) && !keeps(at) => &rest[..at],
            _ => return rest,
        };
        rest = shorter;
    }
}

/// The characters of a text that turn the direction of writing, paired as Unicode pairs them (UAX 9, BD9 and 3.3.2).
#[derive(Debug, Default)]
struct Turns {
    /// Byte offsets of an opening character and the one that closes it.
    pairs: Vec<(usize, usize)>,
    /// Whether one opens and is not closed, closes and was not opened, or overrides the direction of letters.
    is_loose: bool,
}

impl Turns {
    fn of(text: &str) -> Self {
        let (mut turns, mut open) = (Self::default(), Vec::new());
        for (at, c) in text.char_indices() {
            match c {
                '\u{202d}' | '\u{202e}' => turns.is_loose = true,
                '\u{202a}' | '\u{202b}' => open.push((at, '\u{202c}')),
                '\u{2066}'..='\u{2068}' => open.push((at, '\u{2069}')),
                '\u{202c}' | '\u{2069}' => match open.pop() {
                    Some((begin, closing)) if closing == c => turns.pairs.push((begin, at)),
                    _ => turns.is_loose = true,
                },
                _ => {}
            }
        }
        turns.is_loose |= !open.is_empty();
        turns
    }
}

/// Characters that no text holds: they control terminals, or nobody knows that they are there.
fn control_fault(c: char) -> Option<TextFault> {
    let is_noncharacter = matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff) || matches!(c, '\u{fdd0}'..='\u{fdef}');
    if c.is_control() || is_noncharacter {
        return Some(CONTROL);
    }
    let hidden = matches!(c, '\u{2061}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}');
    hidden.then_some(HIDDEN)
}

/// What is wrong with a text of several lines.
pub fn text_fault(text: &str) -> Option<TextFault> {
    let found = text.chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).find_map(control_fault);
    found.or_else(|| Turns::of(text).is_loose.then_some(TURNED))
}

/// What is wrong with a text that stands in one line, such as a title; [`trim`] it first.
pub fn line_fault(text: &str) -> Option<TextFault> {
    let found = text.chars().find_map(|c| match c {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(LINE_BREAK),
        '\t' => Some(TAB),
        '\u{feff}' | '\u{2060}' | '\u{180e}' => Some(HIDDEN),
        _ => control_fault(c),
    });
    found.or_else(|| (!tags_are_flags(text)).then_some(HIDDEN)).or_else(|| Turns::of(text).is_loose.then_some(TURNED))
}

/// What is wrong with the name of a person: as for a line, and nothing hidden at all but what scripts and emoji need.
pub fn name_fault(text: &str) -> Option<TextFault> {
    let needed = |c: char| matches!(c, '\u{200c}' | '\u{200d}') || belongs_to_the_one_before(c);
    let hidden = text.chars().any(|c| is_ignorable(c) && !needed(c));
    line_fault(text).or_else(|| hidden.then_some(HIDDEN))
}

/// Tag characters may only spell the region of a flag: black flag, tags, cancel tag (UTS 51, 1.4.9).
fn tags_are_flags(text: &str) -> bool {
    let is_tag = |c: char| matches!(c, '\u{e0020}'..='\u{e007f}');
    let mut rest = text;
    while let Some(at) = rest.find(is_tag) {
        let end = rest[at..].find(|c| !is_tag(c)).map_or(rest.len(), |length| at + length);
        if !rest[..at].ends_with('\u{1f3f4}') || !rest[at..end].ends_with('\u{e007f}') {
            return false;
        }
        rest = &rest[end..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(fault: Option<TextFault>) -> &'static str {
        fault.map_or("", |fault| fault.code)
    }

    #[test]
    fn blank_characters_around_a_text_are_trimmed() {
        for (given, wanted) in [
            (" Ana\r\n", "Ana"),
            ("\u{feff}\u{200b}Ana\u{a0}\u{200f}", "Ana"),
            ("\u{2066}Ana\u{2069}", "Ana"),
            ("\u{202b}\u{200f}Noa\u{202c} ", "Noa"),
            ("\u{202b}Noa", "Noa"),
            ("Noa\u{2069}", "Noa"),
            ("\u{2028}Ana\t", "Ana"),
            ("\u{2068}Noa\u{2069} and \u{2068}Ana\u{2069}", "\u{2068}Noa\u{2069} and \u{2068}Ana\u{2069}"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("می\u{200c}نا", "می\u{200c}نا"),
            ("\u{2800}\u{3164}\u{200b}\u{115f}", ""),
            ("", ""),
            ("\u{0}Ana\u{7}", "\u{0}Ana\u{7}"),
        ] {
            assert_eq!(trim(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn text_in_which_nothing_can_be_seen_is_empty() {
        for empty in [
            "",
            " ",
            "\u{2800}",
            "\u{3164}",
            "\u{200b}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{301}\u{308}",
            "\u{ad}",
            "\u{180e}",
            "\u{e0041}",
            "\u{200d}",
            "\u{34f}",
            "\u{20e3}",
            "\u{17b4}",
        ] {
            assert!(!has_visible(empty), "{empty:?}");
        }
        for seen in ["a", "李", "🏃", ".", "é", "\u{2801}", "क\u{93f}", "٣"] {
            assert!(has_visible(seen), "{seen:?}");
        }
    }

    #[test]
    fn line_holds_no_breaks_tabs_or_control_characters() {
        for fine in [
            "Easy morning",
            "می\u{200c}نا",
            "👩‍👩‍👧 run",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "קבוצה \u{2067}אב\u{2069}",
            "עברית\u{200f}!",
        ] {
            assert_eq!(line_fault(fine), None, "{fine:?}");
        }
        for broken in ["a\nb", "a\r\nb", "a\u{2028}b", "a\u{2029}b"] {
            assert_eq!(code(line_fault(broken)), "line_break", "{broken:?}");
        }
        for bad in [
            "a\tb",
            "a\u{0}b",
            "a\u{85}b",
            "a\u{b}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{2069}b",
            "a\u{feff}b",
            "a\u{fffe}b",
            "a\u{e0041}b",
            "a\u{206a}b",
        ] {
            assert_eq!(code(line_fault(bad)), "control_character", "{bad:?}");
        }
    }

    #[test]
    fn long_text_has_lines_and_no_other_control_characters() {
        for fine in ["one\r\ntwo\n\tthree", "a\u{2028}b", "\u{2067}אב\u{2069} x"] {
            assert_eq!(text_fault(fine), None, "{fine:?}");
        }
        for bad in ["a\u{0}b", "a\u{1b}[31m", "a\u{7f}", "a\u{202e}b", "\u{2067}אב", "a\u{c}b"] {
            assert_eq!(code(text_fault(bad)), "control_character", "{bad:?}");
        }
    }

    #[test]
    fn name_hides_nothing() {
        for fine in ["Ana", "می\u{200c}نا", "Ana 🏃🏽‍♀️", "Zoë"] {
            assert_eq!(name_fault(fine), None, "{fine:?}");
        }
        for bad in ["a\u{200b}b", "a\u{ad}b", "a\u{200f}b", "a\u{3164}b", "a\nb", "a\u{61c}b"] {
            assert!(name_fault(bad).is_some(), "{bad:?}");
        }
    }
}
