//! The text of a file whose encoding only its bytes tell, and the refusal of files that are no table at all.
//!
//! UTF-8 and UTF-16 are certain. Anything else is a guess: it is made only where the reading looks like words, and told.

use encoding_rs::{Encoding, MACINTOSH, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The largest file, in bytes: about 200,000 people.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// How many bytes of a header tell UTF-16 without a byte order mark: names of columns are ASCII.
const UTF_16_EVIDENCE: usize = 16;
/// So many letters beyond ASCII in a row are not found in words of languages that Windows-1252 is for.
const FOREIGN_RUN: usize = 3;

/// A file as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub text: String,
    /// The name of the encoding, as people know it.
    pub encoding: &'static str,
    /// Words that say which encoding was assumed, where it was not certain.
    pub note: Option<String>,
}

/// Reads a file as text, by the encoding that the operator names, else by its bytes.
///
/// # Errors
/// Words for the operator: the file is too large, no table, or in an encoding that has to be named.
pub fn decode(file: &[u8], named: Option<&str>) -> Result<Decoded, String> {
    if file.len() > MAX_BYTES {
        return Err(format!("the file has more than {} MiB; split it", MAX_BYTES / 1024 / 1024));
    }
    refuse_binary(file)?;
    let decoded = match named {
        Some(label) => in_encoding(encoding_called(label)?, file),
        None => guess(file)?,
    };
    refuse_markup(&decoded.text)?;
    Ok(decoded)
}

fn encoding_called(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label_no_replacement(label.trim().as_bytes())
        .ok_or_else(|| format!("no encoding is called {label:?}: write one such as utf-8, windows-1252 or macintosh"))
}

fn in_encoding(encoding: &'static Encoding, file: &[u8]) -> Decoded {
    let (text, _) = encoding.decode_with_bom_removal(file);
    Decoded { text: text.into_owned(), encoding: name(encoding), note: None }
}

fn name(encoding: &'static Encoding) -> &'static str {
    match encoding.name() {
        "windows-1252" => "Windows-1252",
        "macintosh" => "Mac OS Roman",
        "UTF-16LE" => "UTF-16 LE",
        "UTF-16BE" => "UTF-16 BE",
        other => other,
    }
}

fn guess(file: &[u8]) -> Result<Decoded, String> {
    if file.starts_with(&[0xff, 0xfe, 0, 0]) || file.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Err("the file is in UTF-32: save it as UTF-8".to_owned());
    }
    if let Some((encoding, _)) = Encoding::for_bom(file) {
        return Ok(in_encoding(encoding, file));
    }
    if let Some(encoding) = utf_16_without_mark(file) {
        let note = format!("the file was read as {}, though it has no byte order mark", name(encoding));
        return Ok(Decoded { note: Some(note), ..in_encoding(encoding, file) });
    }
    // A file that is UTF-8 but for some bytes is UTF-8, and the rows with those bytes are refused.
    if file.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) || file.is_ascii() {
        return Ok(in_encoding(UTF_8, file));
    }
    guess_by_words(file)
}

fn utf_16_without_mark(file: &[u8]) -> Option<&'static Encoding> {
    let head = file.get(..UTF_16_EVIDENCE)?;
    if head.chunks_exact(2).all(|pair| matches!(pair, [1..=127, 0])) {
        Some(UTF_16LE)
    } else if head.chunks_exact(2).all(|pair| matches!(pair, [0, 1..=127])) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Chooses among the encodings in which every letter beyond ASCII stands where such letters stand in words.
fn guess_by_words(file: &[u8]) -> Result<Decoded, String> {
    let by_a_mac = file.contains(&b'\r') && !file.contains(&b'\n');
    let usual = if by_a_mac { [MACINTOSH, WINDOWS_1252] } else { [WINDOWS_1252, MACINTOSH] };
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(file, true);
    let detected = detector.guess(None, chardetng::Utf8Detection::Deny);
    let latin = matches!(detected.name(), "windows-1250" | "windows-1254" | "windows-1257" | "ISO-8859-2");
    let fits = |encoding: &&'static Encoding| reads_as_words(&encoding.decode_without_bom_handling(file).0);
    let Some(encoding) = usual.into_iter().chain(latin.then_some(detected)).find(fits) else {
        return Err(format!(
            "the file is neither UTF-8 nor UTF-16, and its encoding cannot be told: it may be {}. Save it as UTF-8, or \
             name its encoding with --encoding",
            detected.name()
        ));
    };
    let decoded = in_encoding(encoding, file);
    let example = decoded.text.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_ascii()).unwrap_or_default();
    let note = format!(
        "the file is not UTF-8, so it was read as {}; if {example:?} in it is wrong, name its encoding with --encoding",
        decoded.encoding
    );
    Ok(Decoded { note: Some(note), ..decoded })
}

/// Whether no character beyond ASCII stands where words of Western languages have none of its kind.
fn reads_as_words(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let mut run = 0;
    chars.iter().enumerate().all(|(at, c)| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied().unwrap_or(' ');
        let after = chars.get(at + 1).copied().unwrap_or(' ');
        run = if c.is_alphabetic() && !c.is_ascii() { run + 1 } else { 0 };
        c.is_ascii() || (run < FOREIGN_RUN && is_at_home(before, *c, after))
    })
}

fn is_at_home(before: char, c: char, after: char) -> bool {
    if c.is_control() {
        return false;
    }
    if c.is_uppercase() {
        // No capital within a word, unless the word is in capitals.
        return !(before.is_lowercase() || before.is_alphabetic() && after.is_lowercase());
    }
    let is_letter_beside = (before.is_alphabetic(), after.is_alphabetic());
    match c {
        // Apostrophes and dashes stand within words, quotes at their ends.
        '\u{2019}' | '\u{b4}' | '\u{b7}' | '\u{ad}' | '\u{2013}' | '\u{2014}' | '\u{a0}' => true,
        '\u{2018}' | '\u{201a}' | '\u{201c}'..='\u{201e}' | '\u{2026}' | '\u{ab}' | '\u{bb}' => {
            is_letter_beside != (true, true)
        }
        _ => c.is_alphabetic() || is_letter_beside == (false, false),
    }
}

/// Refuses what is known by its first bytes and is no text.
fn refuse_binary(file: &[u8]) -> Result<(), String> {
    let has = |part: &[u8]| file.windows(part.len()).any(|window| window == part);
    let kind = match file {
        [b'P', b'K', 3, 4, ..] if has(b"opendocument.spreadsheet") => "a LibreOffice spreadsheet (.ods)",
        [b'P', b'K', 3, 4, ..] if has(b"[Content_Types].xml") || has(b"xl/workbook") => "an Excel workbook (.xlsx)",
        [b'P', b'K', 3, 4, ..] if has(b"Index/Document.iwa") => "a Numbers spreadsheet",
        [b'P', b'K', 3 | 5, 4 | 6, ..] => {
            return Err("this is a zip archive; unpack it and name the CSV file in it".to_owned());
        }
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "an Excel workbook (.xls)",
        [0x1f, 0x8b, ..] | [b'B', b'Z', b'h', b'1'..=b'9', ..] | [b'7', b'z', 0xbc, 0xaf, ..] => {
            return Err("this file is compressed; unpack it first".to_owned());
        }
        [b'%', b'P', b'D', b'F', ..] => return Err("this is a PDF, not a CSV file".to_owned()),
        _ => return Ok(()),
    };
    Err(format!("this is {kind}, not a CSV file; save the sheet as CSV (UTF-8)"))
}

/// Refuses text that is no table: its first character tells.
fn refuse_markup(text: &str) -> Result<(), String> {
    let start: String = text.trim_start().chars().take(2000).collect::<String>().to_ascii_lowercase();
    let words = if start.starts_with("{\\rtf") {
        "this is a text document (RTF), not a CSV file; save the table as CSV"
    } else if start.starts_with(['{', '[']) {
        "this is JSON, not a CSV file"
    } else if start.starts_with('<') && ["<html", "<!doctype html", "<table"].iter().any(|tag| start.contains(tag)) {
        "this is a web page (HTML), not a CSV file; open it in a spreadsheet and save it as CSV"
    } else if start.starts_with('<') {
        "this is XML, not a CSV file; open it in a spreadsheet and save it as CSV"
    } else {
        return Ok(());
    };
    Err(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "key,name,place\n1,Zoë,Málaga\n2,Jürgen Weiß,Köln\n3,Renée O\u{2019}Brien,Besançon\n";

    fn encoded(encoding: &'static Encoding, text: &str) -> Vec<u8> {
        encoding.encode(text).0.into_owned()
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn certain_encodings_are_read_without_a_note() {
        for file in [
            TABLE.as_bytes().to_vec(),
            format!("\u{feff}{TABLE}").into_bytes(),
            utf_16(&format!("\u{feff}{TABLE}"), u16::to_le_bytes),
            utf_16(&format!("\u{feff}{TABLE}"), u16::to_be_bytes),
        ] {
            let decoded = decode(&file, None).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.note), (TABLE, None));
        }
    }

    #[test]
    fn guessed_encodings_are_named() {
        for (file, name) in [
            (encoded(WINDOWS_1252, TABLE), "Windows-1252"),
            (utf_16(TABLE, u16::to_le_bytes), "UTF-16 LE"),
            (utf_16(TABLE, u16::to_be_bytes), "UTF-16 BE"),
            (encoded(MACINTOSH, TABLE), "Mac OS Roman"),
            (encoded(MACINTOSH, &TABLE.replace('\n', "\r")), "Mac OS Roman"),
        ] {
            let decoded = decode(&file, None).unwrap();
            assert_eq!((decoded.text.replace('\r', "\n").as_str(), decoded.encoding), (TABLE, name));
            assert!(decoded.note.unwrap().contains(name));
        }
        let capitals = "key,name\n1,JOSÉ\n2,Ångström\n3,Łukasz\n";
        let polish = encoding_rs::WINDOWS_1250;
        let text = "key,name,place\n1,Łukasz Wąsik,Gdańsk\n2,Małgorzata Żak,Łódź\n3,Grażyna Święta,Poznań\n";
        assert_eq!(decode(&encoded(polish, text), None).unwrap().text, text);
        assert_eq!(decode(&encoded(polish, capitals), Some("windows-1250")).unwrap().text.lines().count(), 4);
    }

    #[test]
    fn one_short_name_is_read_as_windows_1252() {
        for name in ["José", "Zoë", "Björn", "JOSÉ", "Ærø", "François", "Ñandú", "10 € – “hi”"] {
            let text = format!("key,name\n1,{name}\n");
            assert_eq!(decode(&encoded(WINDOWS_1252, &text), None).unwrap().text, text, "{name}");
        }
    }

    #[test]
    fn other_scripts_have_to_be_named() {
        let text = "key,name\n1,Иван Петров\n2,Наталья Соколова\n3,Дмитрий\n";
        let file = encoded(encoding_rs::WINDOWS_1251, text);
        assert!(decode(&file, None).unwrap_err().contains("windows-1251"));
        assert_eq!(decode(&file, Some("Windows-1251")).unwrap().text, text);
        assert!(decode(&file, Some("klingon")).unwrap_err().contains("klingon"));
    }

    #[test]
    fn utf_8_with_a_broken_byte_stays_utf_8() {
        let mut file = TABLE.as_bytes().to_vec();
        file.extend(b"4,B\xf6,\n");
        let decoded = decode(&file, None).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.encoding), (format!("{TABLE}4,B\u{fffd},\n").as_str(), "UTF-8"));
    }

    #[test]
    fn files_that_are_no_table_are_refused_by_their_kind() {
        for (file, words) in [
            (&b"PK\x03\x04..[Content_Types].xml"[..], "Excel workbook (.xlsx)"),
            (b"PK\x03\x04..mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "LibreOffice"),
            (b"PK\x03\x04..people.csv", "zip"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel workbook (.xls)"),
            (b"\x1f\x8b\x08", "compressed"),
            (b"%PDF-1.4", "PDF"),
            (b"\n <!DOCTYPE html><html>", "HTML"),
            (b"<?xml version=\"1.0\"?><Workbook/>", "XML"),
            (b"\xef\xbb\xbf[{\"email\": 1}]", "JSON"),
            (b"{\\rtf1", "RTF"),
            (&[0xff, 0xfe, 0, 0, b'k', 0, 0, 0], "UTF-32"),
        ] {
            assert!(decode(file, None).unwrap_err().contains(words), "{words}");
        }
        assert!(decode(&vec![b'a'; MAX_BYTES + 1], None).unwrap_err().contains("32 MiB"));
    }
}
