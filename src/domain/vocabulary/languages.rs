//! Languages: the codes of ISO 639-1 with their English names, and some that have three letters only.
//!
//! Codes and names are those of `isolang`, which is made from the tables of the registrar. It adds 1.1 MB to the program and
//! no dependency that is not in the tree already; a list of our own would have to be kept up to date. A run's languages and
//! a person's are compared by this primary code; regions such as `pt-BR` are cut off where they arrive.

use std::sync::LazyLock;

use isolang::Language;

use super::Word;

/// Languages of many people that have no code of two letters: some sign languages, Central Kurdish, Filipino, Dari and
/// Cantonese.
const THREE_LETTERS: [Language; 8] = [
    Language::Ase,
    Language::Bfi,
    Language::Ckb,
    Language::Fil,
    Language::Fsl,
    Language::Gsg,
    Language::Prs,
    Language::Yue,
];

/// Names for which people use another word than the standard.
const USUAL_NAMES: [(&str, &str); 8] = [
    ("el", "Greek"),
    ("ht", "Haitian Creole"),
    ("ky", "Kyrgyz"),
    ("or", "Odia"),
    ("pa", "Punjabi"),
    ("ps", "Pashto"),
    ("ug", "Uyghur"),
    ("yue", "Cantonese"),
];

/// All languages, by their English names.
pub fn all() -> &'static [Word] {
    static ALL: LazyLock<Vec<Word>> = LazyLock::new(|| {
        let two_letters = isolang::languages().filter(|language| language.to_639_1().is_some());
        let mut all: Vec<Word> = two_letters.chain(THREE_LETTERS).map(word).collect();
        all.sort_unstable_by_key(|word| word.text);
        all
    });
    &ALL
}

fn word(language: Language) -> Word {
    let code = language.to_639_1().unwrap_or(language.to_639_3());
    let usual = USUAL_NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name);
    Word { code, text: usual.unwrap_or(language.to_name()), also: language.to_autonym().into_iter().collect() }
}

/// The code of two letters that stands for a code of three, as BCP 47 wants: `de` for `deu`.
pub fn shortest(code: &str) -> Option<&'static str> {
    Language::from_639_3(code)?.to_639_1()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: &str) -> &'static str {
        all().iter().find(|word| word.code == code).map_or("", |word| word.text)
    }

    #[test]
    fn languages_have_plain_english_names() {
        for (code, wanted) in [
            ("en", "English"),
            ("el", "Greek"),
            ("ms", "Malay"),
            ("pa", "Punjabi"),
            ("bfi", "British Sign Language"),
            ("yue", "Cantonese"),
            ("xx", ""),
            ("eng", ""),
        ] {
            assert_eq!(name(code), wanted, "{code}");
        }
        assert!((180..200).contains(&all().len()), "{}", all().len());
        assert!(all().iter().all(|word| !word.text.contains(['(', ')'])));
    }

    #[test]
    fn code_of_three_letters_becomes_the_one_of_two() {
        assert_eq!(
            (shortest("deu"), shortest("eng"), shortest("bfi"), shortest("xyz")),
            (Some("de"), Some("en"), None, None)
        );
    }
}
