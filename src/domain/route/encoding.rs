//! The text of a route file: by its byte order mark, its first bytes or its XML declaration, else UTF-8.
//!
//! Only names can hold letters beyond ASCII, and names are left behind: bytes that are wrong there do no harm.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far into a file its XML declaration may name an encoding, in bytes.
const DECLARATION_BYTES: usize = 200;

/// A file as text, without its byte order mark and white space before it.
///
/// # Errors
/// The name of an encoding that is declared and unknown.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => by_first_bytes(bytes).map_or_else(|| declared(bytes), Ok)?,
    };
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches(blank)),
        Cow::Owned(text) => Cow::Owned(text.trim_start_matches(blank).to_owned()),
    })
}

/// UTF-16 without a mark: every file of ours begins with an ASCII character.
fn by_first_bytes(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [1..=255, 0, 1..=255, 0, ..] => Some(UTF_16LE),
        [0, 1..=255, 0, 1..=255, ..] => Some(UTF_16BE),
        _ => None,
    }
}

fn declared(bytes: &[u8]) -> Result<&'static Encoding, String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES)]);
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| Some(rest.split_once("?>")?.0));
    let Some((_, value)) = declaration.and_then(|text| text.split_once("encoding")) else { return Ok(UTF_8) };
    let name = value.split(['"', '\'']).nth(1).unwrap_or("utf-8");
    match Encoding::for_label(name.as_bytes()) {
        // The declaration was readable byte by byte, so it is wrong.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => Err(name.chars().take(40).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_by_mark_first_bytes_and_declaration() {
        let text = "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>";
        let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let latin: Vec<u8> = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
        for file in [latin, utf_16(text), utf_16(&format!("\u{feff}{text}")), format!("\u{feff}\n{text}").into_bytes()]
        {
            assert_eq!(decode(&file).unwrap(), text);
        }
        let wrong = "\n<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>";
        assert_eq!(decode(wrong.as_bytes()).unwrap(), wrong.trim_start());
        assert_eq!(decode(b"<?xml encoding=\"klingon\"?>").unwrap_err(), "klingon");
        assert_eq!(decode(b"").unwrap(), "");
    }
}
