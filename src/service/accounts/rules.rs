//! What may stand in a registration: addresses that mail can reach, names that carry no links, the current terms.

use crate::{
    auth::passwords,
    clock::time_zone,
    domain::{
        account::{normalise_email, password_faults},
        email,
        refusal::{Fault, Faults},
        text, web_address,
    },
};

/// The longest display name.
pub const DISPLAY_NAME_MAX_CHARS: usize = 60;

/// The words of the person's own that a password must not be made of.
fn personal_words(email: &str, display_name: &str) -> [String; 3] {
    let email = normalise_email(email);
    let local = email.split('@').next().unwrap_or("").to_owned();
    [email, local, tidy_name(display_name)]
}

/// What is wrong with a new password, at `pointer`, for somebody with this address and name.
pub fn new_password_faults(password: &str, email: &str, display_name: &str, pointer: &str) -> Faults {
    let personal = personal_words(email, display_name);
    password_faults(&passwords::normalise(password), &personal.each_ref().map(String::as_str), pointer)
}

/// Notes what is wrong with an address at `/email`.
pub fn email_faults(faults: &mut Faults, email: &str) {
    if let Err(fault) = email::parse(email) {
        faults.0.push(Fault::at("/email", fault.code(), fault.to_string()));
    }
}

/// Notes what is wrong with the terms that somebody accepted, at `/terms_version`, and at `/adult`.
pub fn terms_faults(faults: &mut Faults, adult: bool, accepted: &str, current: &str, min_age: u8) {
    let words = format!("this is for people of {min_age} and older");
    faults.unless(adult, "/adult", "adults_only", &words);
    let words = format!("accept the terms in their current version, {current}");
    faults.unless(accepted == current, "/terms_version", "not_current", &words);
}

/// Notes what is wrong with a time zone at `/time_zone`.
pub fn time_zone_faults(faults: &mut Faults, zone: Option<&str>) {
    let known = zone.is_none_or(|zone| time_zone(zone).is_some());
    faults.unless(known, "/time_zone", "unknown_time_zone", "use an IANA name such as Europe/London");
}

/// A name as it is kept: without blank characters around it, one space between words.
pub fn tidy_name(name: &str) -> String {
    text::trim(name).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Notes what is wrong with a display name at `/display_name`. It stands in other people's mails, so it must not carry
/// links, addresses, or characters that turn the words around it.
pub fn display_name_faults(faults: &mut Faults, name: &str) {
    let at = "/display_name";
    let name = text::trim(name);
    faults.unless(text::has_visible(name), at, "empty", "say what others may call you; a first name is enough");
    faults.unless(
        tidy_name(name).chars().count() <= DISPLAY_NAME_MAX_CHARS,
        at,
        "too_long",
        "use at most 60 characters",
    );
    if let Some(fault) = text::name_fault(name) {
        faults.unless(false, at, "bad_character", fault.words);
    }
    faults.unless(
        !web_address::is_in(name),
        at,
        "looks_like_a_link",
        "a name holds no links or addresses; put a space after a dot",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(note: impl Fn(&mut Faults)) -> Vec<String> {
        let mut faults = Faults::default();
        note(&mut faults);
        faults.0.into_iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn names_of_people_are_taken() {
        for name in [
            "Ana",
            "  Ana  María ",
            "J. R.",
            "J.R.",
            "Zoë",
            "O’Brien",
            "نگار",
            "می\u{200c}نا",
            "李",
            "Ana 🏃",
            "Dr. Who",
            "Ana (she/her)",
            "\u{200f}Noa\u{200f}",
            "\u{2068}Ana\u{2069}\u{feff}",
            "Max v. St.Georg",
        ] {
            assert_eq!(codes(|faults| display_name_faults(faults, name)), [""; 0], "{name}");
        }
        assert_eq!(tidy_name("  Ana \t María "), "Ana María");
    }

    #[test]
    fn names_that_carry_links_or_turn_words_around_are_not() {
        let fault = |name: &str| codes(|faults| display_name_faults(faults, name));
        assert_eq!(fault("  "), ["empty"]);
        assert_eq!(fault(&"x".repeat(61)), ["too_long"]);
        for name in ["win.example", "ana@example.org", "https://x", "www.a.org now", "see bad。com", "<b>"] {
            assert_eq!(fault(name), ["looks_like_a_link"], "{name}");
        }
        for name in ["a\u{202e}b", "a\u{200b}b", "a\u{7}b", "a\u{2066}b"] {
            assert_eq!(fault(name), ["bad_character"], "{name}");
        }
        for name in ["\u{200d}", "\u{2800}", "\u{3164}\u{115f}", "\u{301}", "\u{200b}\u{feff}"] {
            assert_eq!(fault(name), ["empty"], "{name:?}");
        }
    }

    #[test]
    fn addresses_are_those_that_mail_can_reach() {
        let fault = |email: &str| codes(|faults| email_faults(faults, email));
        for email in ["ana@example.org", " Ana+run@Example.ORG "] {
            assert_eq!(fault(email), [""; 0], "{email}");
        }
        for email in ["", "ana", "ana@", "@example.org", "a b@example.org", "ana@example.org\r\nBcc: x@y.z"] {
            assert_eq!(fault(email), ["bad_email"], "{email}");
        }
        assert_eq!(fault(&format!("{}@example.org", "a".repeat(250))), ["bad_email"]);
        assert_eq!(fault("ana@bücher.example"), [""; 0], "written in ASCII");
        assert_eq!(fault("änä@example.org"), ["not_ascii"]);
        assert_eq!(fault("\"john doe\"@example.org"), ["bad_email"]);
    }

    #[test]
    fn password_is_measured_in_normalised_characters() {
        let codes = |password: &str| codes(|faults| faults.0.extend(new_password_faults(password, "", "", "/p").0));
        // Fifteen of one code point each, and of two.
        assert_eq!(codes("\u{fc}\u{e4}\u{f6}abcdefghijkl"), [""; 0]);
        assert_eq!(codes("u\u{308}a\u{308}o\u{308}abcdefghijkl"), [""; 0]);
        assert_eq!(codes("u\u{308}a\u{308}o\u{308}abcdefghijk"), ["too_short"]);
        let composed: String = ["u\u{308}", "a\u{308}", "o\u{308}", "e\u{301}"].repeat(64).concat();
        assert_eq!((composed.chars().count(), codes(&composed)), (512, vec![]));
        assert_eq!(codes(&format!("{composed}x")), ["too_long"]);
        assert_eq!(codes("\u{fdfa}".repeat(20).as_str()), ["too_long"], "360 characters when written out");
        assert_eq!(codes("correct\u{a0}horse battery\u{3000}staple"), ["too_easy_to_guess"]);
    }

    #[test]
    fn only_adults_who_accept_the_current_terms_come_in() {
        let fault = |adult, accepted: &str| codes(|faults| terms_faults(faults, adult, accepted, "2", 18));
        assert_eq!(fault(true, "2"), [""; 0]);
        assert_eq!(fault(false, "1"), ["adults_only", "not_current"]);
    }
}
