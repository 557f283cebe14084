//! The words that programs and people share: languages, access needs and activities, each a code with plain English.
//!
//! A word that is new here has to be one of them. One that an older release stored stays readable and in force until its
//! owner takes it away: see [`Kind::unknown`] for the fault of any other word.

pub mod access;
pub mod languages;

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::pace::Activity;

/// A word of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Word {
    /// For programs.
    #[schema(value_type = String, example = "step_free")]
    pub code: &'static str,
    /// For people, in English.
    #[schema(value_type = String, example = "step-free access")]
    pub text: &'static str,
    /// Other spellings that mean this word.
    #[serde(skip)]
    #[schema(ignore)]
    also: Cow<'static, [&'static str]>,
}

/// The fault code of a word that no list has.
pub const UNKNOWN_WORD: &str = "unknown_word";
/// The longest text of which the nearest known word is looked for, in characters: the longest code that a schema takes.
const COMPARED_MAX_CHARS: usize = 40;
/// From this likeness on (Jaro-Winkler, 0 to 1) a known word is worth being asked about. Our choice: "stepfree" is at 0.98
/// from "step_free", "ger" at 0.88 from "German", and words without much in common stay below.
const LIKE_FROM: f64 = 0.65;

/// A list whose words may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Language,
    AccessNeed,
}

impl Kind {
    /// The list that the `format` of a schema stands for.
    pub fn of_format(format: &str) -> Option<Self> {
        match format {
            "language" => Some(Self::Language),
            "access-need" => Some(Self::AccessNeed),
            _ => None,
        }
    }

    /// Its words, in the order in which they are shown.
    pub fn words(self) -> &'static [Word] {
        match self {
            Self::Language => languages::all(),
            Self::AccessNeed => &access::NEEDS,
        }
    }

    /// Whether a code is one of its words.
    pub fn knows(self, code: &str) -> bool {
        self.words().iter().any(|word| word.code == code)
    }

    /// Whether a text has the form of a code and is none of its words. What has another form is for the pattern of the schema
    /// to refuse: two or three letters for a language, letters and underscores for an access need.
    pub fn lacks(self, text: &str) -> bool {
        let lengths = match self {
            Self::Language => 2..=3,
            Self::AccessNeed => 1..=COMPARED_MAX_CHARS,
        };
        let is_sign = |byte: u8| byte.is_ascii_lowercase() || (byte == b'_' && self == Self::AccessNeed);
        lengths.contains(&text.len()) && text.bytes().all(is_sign) && !self.knows(text)
    }

    /// The known word that is most like a text, if one is like it at all.
    pub fn nearest(self, text: &str) -> Option<&'static Word> {
        let text = plain(text)?;
        let likeness = |word: &Word| {
            let names = [word.code, word.text].into_iter().chain(word.also.iter().copied());
            let alike = |name| plain(name).map_or(0.0, |name| strsim::jaro_winkler(&text, &name));
            names.map(alike).fold(0.0, f64::max)
        };
        nearest_by(self.words(), likeness, LIKE_FROM)
    }

    /// The fault of a code that is none of its words; the code is one that a schema takes.
    pub fn unknown(self, code: &str) -> String {
        let what = match self {
            Self::Language => "language",
            Self::AccessNeed => "access need",
        };
        format!(
            "\"{code}\" is not a known {what}{} GET /v1/vocabulary lists them.",
            match self.nearest(code) {
                Some(Word { code, .. }) => format!("; did you mean {code}?"),
                None => ".".to_owned(),
            }
        )
    }
}

/// The one of `options` that is most like a text, for the few words of an enum.
pub fn nearest_option<'o>(text: &str, options: &[&'o str]) -> Option<&'o str> {
    let text = plain(text)?;
    let likeness = |option: &&str| plain(option).map_or(0.0, |option| strsim::jaro_winkler(&text, &option));
    // Enums hold words of all sorts, so only what looks like a slip of the pen is asked about.
    nearest_by(options, likeness, 0.8).copied()
}

fn nearest_by<T>(all: &[T], likeness: impl Fn(&T) -> f64, from: f64) -> Option<&T> {
    let rated = all.iter().map(|one| (likeness(one), one)).filter(|(like, _)| *like >= from);
    // Of equally like ones the first.
    rated.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, one)| one)
}

/// A text as it is compared: small letters, without what separates words. None for what is empty or too long.
fn plain(text: &str) -> Option<String> {
    if text.chars().nth(COMPARED_MAX_CHARS).is_some() {
        return None;
    }
    let letters = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    Some(letters.collect::<String>()).filter(|text| !text.is_empty())
}

/// The activities of a group.
pub fn activities() -> Vec<Word> {
    [Activity::Walk, Activity::RunWalk, Activity::Run]
        .map(|activity| Word { code: activity.into(), text: activity.in_words(), also: Cow::Borrowed(&[]) })
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn nearest(kind: Kind, text: &str) -> &'static str {
        kind.nearest(text).map_or("", |word| word.code)
    }

    #[test]
    fn nearest_access_need_is_found_by_code_text_or_synonym() {
        for (text, code) in [
            ("stepfree", "step_free"),
            ("step_fre", "step_free"),
            ("ramp", "step_free"),
            ("toilets", "toilet"),
            ("accessible_toilets", "accessible_toilet"),
            ("disabled_toilet", "accessible_toilet"),
            ("wheelchair", "wheelchair_route"),
            ("bench", "seating"),
            ("deaf", "sign_language"),
            ("guide_dog", "assistance_dog"),
            ("quiet", "quiet_place"),
            ("disabled_parking", "accessible_parking"),
        ] {
            assert_eq!(nearest(Kind::AccessNeed, text), code, "{text}");
        }
    }

    #[test]
    fn nearest_language_is_found_by_its_names_and_codes() {
        for (text, code) in [
            ("English", "en"),
            ("deutsch", "de"),
            ("german", "de"),
            ("ger", "de"),
            ("fre", "fr"),
            ("espanol", "es"),
            ("polski", "pl"),
            ("greek", "el"),
            ("gr", "el"),
            ("cantonese", "yue"),
            ("jp", "ja"),
        ] {
            assert_eq!(nearest(Kind::Language, text), code, "{text}");
        }
    }

    #[test]
    fn what_is_like_nothing_has_no_nearest_word() {
        let (long, longest) = ("stepfree".repeat(6), "é".repeat(100_000));
        for text in ["", "_", "!!", "qqqq", "0", &long, &longest] {
            assert_eq!(nearest(Kind::AccessNeed, text), "", "{text:.40}");
            assert_eq!(nearest(Kind::Language, text), "", "{text:.40}");
        }
        assert_eq!(nearest_option("swimming", &["walk", "run_walk", "run"]), None);
        assert_eq!(nearest_option("walking", &["walk", "run_walk", "run"]), Some("walk"));
        assert_eq!(nearest_option("runwalks", &["walk", "run_walk", "run"]), Some("run_walk"));
    }

    #[test]
    fn word_is_lacking_only_where_it_has_the_form_of_a_code() {
        for unknown in ["xx", "ger"] {
            assert!(Kind::Language.lacks(unknown), "{unknown}");
        }
        for other in ["en", "yue", "english", "e_n", "EN", "e", ""] {
            assert!(!Kind::Language.lacks(other), "{other}");
        }
        assert!(Kind::AccessNeed.lacks("stepfree") && Kind::AccessNeed.lacks("_"));
        for other in ["step_free", "Step_free", "step free", "", &"x".repeat(41)] {
            assert!(!Kind::AccessNeed.lacks(other), "{other}");
        }
    }

    #[test]
    fn unknown_word_is_told_with_the_nearest_known_one() {
        assert_eq!(
            Kind::AccessNeed.unknown("stepfree"),
            "\"stepfree\" is not a known access need; did you mean step_free? GET /v1/vocabulary lists them."
        );
        assert_eq!(
            Kind::AccessNeed.unknown("qqqq"),
            "\"qqqq\" is not a known access need. GET /v1/vocabulary lists them."
        );
        assert_eq!(
            Kind::Language.unknown("ger"),
            "\"ger\" is not a known language; did you mean de? GET /v1/vocabulary lists them."
        );
    }

    #[test]
    fn every_code_is_one_that_the_schemas_take_and_stands_once() {
        let lower = |code: &str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        for kind in [Kind::Language, Kind::AccessNeed] {
            let words = kind.words();
            let codes: BTreeSet<&str> = words.iter().map(|word| word.code).collect();
            let texts: BTreeSet<&str> = words.iter().map(|word| word.text).collect();
            assert_eq!((codes.len(), texts.len()), (words.len(), words.len()), "{kind:?}");
            assert!(words.iter().all(|word| lower(word.code) && word.code.len() <= 40 && !word.text.is_empty()));
            assert!(words.iter().all(|word| kind.knows(word.code) && nearest(kind, word.code) == word.code));
        }
        let activities: Vec<&str> = activities().iter().map(|word| word.code).collect();
        assert_eq!(activities, ["walk", "run_walk", "run"]);
    }
}
