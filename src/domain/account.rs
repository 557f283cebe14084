//! Who somebody is to us: the state of an account, the roles it holds, and the rules for what it types.
//!
//! Nothing here knows how a password is kept or a token is made (`auth`).

use super::refusal::Faults;

word_enum! {
    "snake_case";
    /// How far an account has come.
    pub enum AccountStatus {
        /// Brought in by an import: has not accepted the terms yet and holds no place before.
        Invited,
        /// Registered, but nobody has opened the link in the mail yet.
        Unverified,
        /// A verified adult who accepted the terms.
        Active,
    }
}

word_enum! {
    "snake_case";
    /// What an account may do beyond joining runs. Facilitating is no role: it follows from an approved application.
    pub enum Role {
        /// Keeps the platform safe.
        Moderator,
        /// Also handles safeguarding.
        WelfareModerator,
        /// Runs the installation, and may moderate.
        Admin,
    }
}

/// The shortest password when it is the only factor (NIST SP 800-63B-4, 3.1.1.2).
pub const PASSWORD_MIN_CHARS: usize = 15;
/// The longest password; the same document asks for at least 64.
pub const PASSWORD_MAX_CHARS: usize = 256;

pub use super::email::normalise as normalise_email;

/// Passwords that are long enough and yet among the first that anybody would try.
const COMMON_PASSWORDS: [&str; 16] = [
    "passwordpassword",
    "password1234567",
    "password12345678",
    "123456789012345",
    "1234567890123456",
    "12345678901234567890",
    "qwertyuiopasdfgh",
    "qwertyuiopasdfghjkl",
    "1q2w3e4r5t6y7u8i",
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "iloveyouiloveyou",
    "letmeinletmeinletmein",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "adminadminadmin",
];

/// What is wrong with a new password, normalised (`auth::passwords`): its length in characters, one character over and over, a common one, or one that
/// is just the person's address, name or ours.
pub fn password_faults(password: &str, personal: &[&str], pointer: &str) -> Faults {
    let mut faults = Faults::default();
    let chars = password.chars().count();
    faults.unless(
        chars >= PASSWORD_MIN_CHARS,
        pointer,
        "too_short",
        "use at least 15 characters; several words do well",
    );
    faults.unless(chars <= PASSWORD_MAX_CHARS, pointer, "too_long", "use at most 256 characters");
    let lower = password.to_lowercase();
    let distinct = lower.chars().collect::<std::collections::BTreeSet<_>>().len();
    let guessable = distinct < 4
        || COMMON_PASSWORDS.contains(&lower.as_str())
        || personal.iter().any(|word| !word.is_empty() && lower.replace(&word.to_lowercase(), "").chars().count() < 5)
        || lower.replace("sidebyside", "").replace("side by side", "").chars().count() < 5;
    faults.unless(!guessable, pointer, "too_easy_to_guess", "this is among the first that somebody would try");
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(password: &str) -> Vec<String> {
        password_faults(password, &["ada@example.org", "Ada"], "/password").0.into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn a_password_is_measured_in_characters_and_must_not_be_the_obvious_one() {
        assert!(codes("wide meadow lantern").is_empty());
        assert!(codes("ÄÖÜäöüßéèêñçøåæ").is_empty(), "fifteen characters, thirty bytes");
        assert_eq!(codes("short"), ["too_short"]);
        assert_eq!(codes("aaaaaaaaaaaaaaaaaaaa"), ["too_easy_to_guess"]);
        assert_eq!(codes("Correct Horse Battery Staple"), ["too_easy_to_guess"]);
        assert_eq!(codes("ada@example.org1"), ["too_easy_to_guess"]);
        assert_eq!(codes(&"ab1 ".repeat(80)), ["too_long"]);
    }
}
