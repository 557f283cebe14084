//! Numbers, paces, yes and no, and times of the clock as spreadsheets write them: taken where only one reading is
//! possible, else refused with the way to write it.

use jiff::civil::{Date, DateTime, Time};

use crate::domain::pace::{PaceBand, parse_pace};

/// Words for "yes" and "no", with those that spreadsheets write for TRUE and FALSE in other languages.
const YES: [&str; 17] = [
    "yes",
    "y",
    "true",
    "1",
    "1.0",
    "wahr",
    "ja",
    "j",
    "vrai",
    "oui",
    "verdadero",
    "verdadeiro",
    "vero",
    "sí",
    "si",
    "sim",
    "waar",
];
const NO: [&str; 15] =
    ["no", "n", "false", "0", "0.0", "falsch", "nein", "nee", "faux", "non", "falso", "não", "nao", "onwaar", "falskt"];

/// Whether a text says yes or no.
pub fn yes_no(text: &str) -> Option<bool> {
    let text = text.to_lowercase();
    if YES.contains(&text.as_str()) { Some(true) } else { NO.contains(&text.as_str()).then_some(false) }
}

/// How commas in numbers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comma {
    /// Commas do not separate the fields of the file: one in a number is a decimal comma.
    Decimal,
    /// Commas separate the fields, so one in a quoted field may also separate thousands.
    Unclear,
}

/// A number that is written with a decimal point or comma. `limit` is the greatest size that it can have.
///
/// # Errors
/// How to write it, in words.
pub fn number(text: &str, comma: Comma, limit: f64) -> Result<f64, &'static str> {
    let wrong = "write a number, with a point and not a comma";
    let text = text.replace('\u{2212}', "-");
    let plain = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let fine = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !digits.is_empty();
        text.parse::<f64>().ok().filter(|number| fine && number.is_finite()).ok_or(wrong)
    };
    let Some((whole, decimals)) = text.split_once(',') else { return plain(&text) };
    if decimals.is_empty() {
        return Err(wrong);
    }
    let as_decimal = plain(&format!("{whole}.{decimals}"))?;
    let grouped = decimals.len() == 3 && !whole.trim_start_matches(['-', '+']).starts_with('0');
    let as_thousands = plain(&format!("{whole}{decimals}"))?;
    if comma == Comma::Unclear && grouped && as_thousands.abs() <= limit {
        return Err("the comma may stand for thousands or for decimals: write a number with a point");
    }
    Ok(as_decimal)
}

/// A whole number; a spreadsheet may add `.0`.
///
/// # Errors
/// How to write it, in words.
pub fn whole(text: &str) -> Result<i64, &'static str> {
    let digits = [".0", ",0", ".00", ",00"].iter().find_map(|zeros| text.strip_suffix(zeros)).unwrap_or(text);
    digits.parse().map_err(|_| "write a whole number")
}

/// A pace in seconds per kilometre, from `370`, `370.0`, `6:10`, or as a spreadsheet shows 6:10 when it takes it for a
/// time of day: `06:10:00` or `00:06:10`.
///
/// # Errors
/// How to write it, in words.
pub fn pace(text: &str) -> Result<i32, &'static str> {
    let text = text.to_ascii_lowercase();
    let bare = ["min/km", "s/km", "/km", "am"].iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(&text).trim();
    let parts: Vec<&str> = bare.split(':').collect();
    let pace = match parts.as_slice() {
        ["0" | "00", minutes, seconds] | [minutes, seconds, "00"] => parse_pace(&format!("{minutes}:{seconds}")),
        [_] => whole(bare).ok().and_then(|seconds| i32::try_from(seconds).ok()).filter(in_range),
        _ => parse_pace(bare),
    };
    pace.ok_or(match bare.parse::<f64>().or_else(|_| bare.replace(',', ".").parse()) {
        Ok(number) if (2.0..=30.0).contains(&number) && bare.contains(['.', ',']) => {
            "write seconds per kilometre such as 370, or 6:10; from 2:00 to 30:00 (6.10 may be minutes with decimals, or \
             minutes and seconds)"
        }
        _ => "write seconds per kilometre such as 370, or 6:10; from 2:00 to 30:00",
    })
}

fn in_range(pace: &i32) -> bool {
    (PaceBand::MIN..=PaceBand::MAX).contains(pace)
}

/// The time on a clock, from ISO 8601 or a date that can only be read in one way: `28.11.2026 09:00` (days come first
/// where dots are written), `28/11/2026 9:00` and `11/28/2026 9:00 AM`, but not `01/12/2026 09:00`.
///
/// # Errors
/// How to write it, in words.
pub fn local_time(text: &str) -> Result<DateTime, &'static str> {
    let wrong = "write the time on the clock there, such as 2026-11-28T09:00";
    let (day, time) = text.split_once(['T', ' ', '\u{a0}']).ok_or(match date(text) {
        Ok(_) => "write the time on the clock there as well as the day, such as 2026-11-28T09:00",
        Err(_) => wrong,
    })?;
    Ok(date(day)?.to_datetime(clock_time(time.trim()).ok_or(wrong)?))
}

fn date(text: &str) -> Result<Date, &'static str> {
    let wrong = "write the time on the clock there, such as 2026-11-28T09:00";
    let separator = ['-', '.', '/'].into_iter().find(|c| text.contains(*c)).ok_or(wrong)?;
    let parts: Vec<i16> = text.split(separator).map_while(|part| digits(part, 4)).collect();
    let long = |at: usize| text.split(separator).nth(at).is_some_and(|part| part.len() == 4);
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if separator != '.' && long(0) => (year, month, day),
        [day, month, year] if separator == '.' && long(2) => (year, month, day),
        [first, second, year] if long(2) && first == second => (year, first, second),
        [month, day, year] if long(2) && *month <= 12 && *day > 12 => (year, month, day),
        [day, month, year] if long(2) && *month <= 12 && *day > 12 => (year, month, day),
        [_, _, _] if long(2) => {
            return Err("day and month may be meant either way round: write the date such as 2026-11-28T09:00");
        }
        _ => return Err(wrong),
    };
    let small = |number: &i16| i8::try_from(*number).map_err(|_| wrong);
    Date::new(*year, small(month)?, small(day)?).map_err(|_| "there is no such day; write it such as 2026-11-28T09:00")
}

/// `9:00`, `09:00:00` or `9:00 AM`.
fn clock_time(text: &str) -> Option<Time> {
    let upper = text.to_ascii_uppercase();
    let half = [("AM", 0), ("PM", 12)].into_iter().find_map(|(word, hours)| Some((upper.strip_suffix(word)?, hours)));
    let (text, afternoon) = half.map_or((upper.as_str(), None), |(text, hours)| (text.trim(), Some(hours)));
    let parts: Vec<i16> = text.split(':').map(|part| digits(part, 2)).collect::<Option<_>>()?;
    let (hour, minute) = match parts.as_slice() {
        [hour, minute] | [hour, minute, 0] => (*hour, *minute),
        _ => return None,
    };
    let hour = match afternoon {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
}

fn digits(text: &str, most: usize) -> Option<i16> {
    let plain = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_read_as_spreadsheets_show_them() {
        for text in [
            "6:10",
            "06:10",
            "6:10:00",
            "06:10:00",
            "00:06:10",
            "0:06:10",
            "370",
            "370.0",
            "370,0",
            "370.00",
            "6:10 min/km",
            "6:10/km",
            "370 s/km",
            "6:10:00 AM",
            "6:10 am",
        ] {
            assert_eq!(pace(text), Ok(370), "{text}");
        }
        assert_eq!((pace("10:00:00"), pace("00:06:00")), (Ok(600), Ok(360)));
        for text in ["6.10", "6,10", "6.5", "10.0"] {
            assert!(pace(text).unwrap_err().contains("may be minutes"), "{text}");
        }
        for text in
            ["60", "6", "0.2569", "06:10:30", "01:06:10", "6:10/mi", "6:10 PM", "6:1", "6:60", "-370", "370.5", "", ":"]
        {
            assert!(pace(text).unwrap_err().ends_with("30:00"), "{text}");
        }
    }

    #[test]
    fn a_comma_is_decimal_only_where_it_cannot_be_anything_else() {
        for (text, comma, limit, expected) in [
            ("48,137", Comma::Decimal, 90.0, 48.137),
            ("48,137", Comma::Unclear, 90.0, 48.137),
            ("-2,582", Comma::Unclear, 180.0, -2.582),
            ("\u{2212}2.5", Comma::Unclear, 180.0, -2.5),
            ("10,5", Comma::Unclear, 2000.0, 10.5),
            ("0,125", Comma::Unclear, 2000.0, 0.125),
            ("1,500", Comma::Decimal, 2000.0, 1.5),
            ("51.4510", Comma::Decimal, 90.0, 51.451),
        ] {
            assert_eq!(number(text, comma, limit), Ok(expected), "{text}");
        }
        assert!(number("1,500", Comma::Unclear, 2000.0).unwrap_err().contains("thousands"));
        for text in
            ["1.234,5", "1,234.5", "1,234,567", "NaN", "inf", "1e5", "", "-", ",", "5,", "51.45.10", "5 km", "--5"]
        {
            assert!(number(text, Comma::Unclear, 90.0).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_may_have_a_zero_decimal() {
        assert_eq!((whole("10"), whole("10.0"), whole("-3,0")), (Ok(10), Ok(10), Ok(-3)));
        for text in ["1.5", "1,000", "1.000", "ten", ""] {
            assert!(whole(text).is_err(), "{text}");
        }
    }

    #[test]
    fn yes_and_no_are_read_in_the_words_of_spreadsheets() {
        for (text, expected) in
            [("WAHR", true), ("Falsch", false), ("VRAI", true), ("Sí", true), ("TRUE", true), ("0", false)]
        {
            assert_eq!(yes_no(text), Some(expected), "{text}");
        }
        for text in ["maybe", "x", "2", ""] {
            assert_eq!(yes_no(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_of_the_clock_is_read_where_one_reading_is_possible() {
        for text in [
            "2026-11-28T09:00",
            "2026-11-28 09:00",
            "2026-11-28 9:00:00",
            "28.11.2026 09:00",
            "28/11/2026 9:00",
            "11/28/2026 9:00 AM",
            "2026/11/28 09:00",
            "28-11-2026 09:00",
        ] {
            assert_eq!(local_time(text).unwrap().to_string(), "2026-11-28T09:00:00", "{text}");
        }
        assert_eq!(local_time("01.12.2026 21:30").unwrap().to_string(), "2026-12-01T21:30:00");
        assert_eq!(local_time("12/12/2026 12:15 AM").unwrap().to_string(), "2026-12-12T00:15:00");
        assert!(local_time("01/12/2026 09:00").unwrap_err().contains("either way round"));
        for text in [
            "2026-11-28",
            "28.11.2026",
            "28.11.26 09:00",
            "46354.375",
            "2026-11-28T09:00Z",
            "2026-11-28T09:00+01:00",
            "09:00",
            "2026-11-28 25:00",
            "2026-11-28 13:00 PM",
            "2026-11-31 09:00",
            "tomorrow 09:00",
            "2026-11-28 09:00:30",
            "",
        ] {
            assert!(local_time(text).is_err(), "{text}");
        }
    }
}
