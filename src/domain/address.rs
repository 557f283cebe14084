//! Addresses as they are compared: the mailbox that a typed address reaches, whatever tag or dots it was written with.
//!
//! An account keeps the address that was typed, and two accounts may share a mailbox. Only bans, blocks by address and
//! budgets for mail compare mailboxes, since for these a second spelling would be a way round.

use super::account::normalise_email;

word_enum! {
    "snake_case";
    /// What somebody asked for with an address.
    pub enum AddressRequestKind {
        /// An account was asked for: the mail says how to go on.
        Registration,
        /// The link to prove the address, or the invitation, once more.
        Verification,
        /// A link to choose a new password.
        PasswordReset,
        /// A block of whoever has the address.
        Block,
    }
}

/// Keyed hashes of an address, as accounts keep them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressHashes {
    /// Of the address as [`normalise_email`] leaves it.
    pub address: String,
    /// Of its [`mailbox`].
    pub mailbox: String,
}

/// How a provider reads the part before the at-sign, beyond what all have in common.
struct Provider {
    /// Its domains, the first standing for all of them.
    domains: &'static [&'static str],
    /// The character that one stands for; none for one that the provider does not look at.
    reads: fn(char) -> Option<char>,
}

/// Providers whose own documents say that several spellings are one mailbox.
const PROVIDERS: &[Provider] = &[
    // https://support.google.com/mail/answer/7436150
    Provider { domains: &["gmail.com", "googlemail.com"], reads: |c| (c != '.').then_some(c) },
    // https://proton.me/support/addresses-and-aliases
    Provider {
        domains: &["proton.me", "protonmail.com", "pm.me"],
        reads: |c| (!matches!(c, '.' | '-' | '_')).then_some(c),
    },
    // https://support.apple.com/en-us/105065
    Provider { domains: &["icloud.com", "me.com", "mac.com"], reads: Some },
    // https://yandex.com/support/mail/web/preferences/email-address.html
    Provider {
        domains: &["yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "ya.ru"],
        reads: |c| Some(if c == '-' { '.' } else { c }),
    },
];

/// Domains whose names hold no hyphen, so that one begins a keyword (Yahoo's disposable addresses).
const HYPHEN_TAGS: &[&str] = &["yahoo.", "ymail.com", "rocketmail.com"];

/// Domains whose provider says that mail for `name+tag` reaches `name`, and about whom nothing else is special.
///
/// <https://learn.microsoft.com/en-us/archive/blogs/tristank/hotmail-aliases>
const PLUS_TAGS: &[&str] = &["outlook.com", "hotmail.com", "live.com", "msn.com"];

/// Fastmail's domains, where `tag@name.fastmail.com` reaches `name@fastmail.com`.
const TAGS_IN_DOMAIN: &[&str] = &["fastmail.com", "fastmail.fm"];

/// The mailbox that an address reaches, in one spelling: that of [`normalise_email`], without a tag and without what its
/// provider does not look at. It is compared, never written to.
pub fn mailbox(email: &str) -> String {
    let email = normalise_email(email);
    let Some((local, domain)) = email.rsplit_once('@') else { return email };
    let (local, domain) = tag_in_domain(local, domain);
    // What is quoted means what it says.
    if local.starts_with('"') {
        return format!("{local}@{domain}");
    }
    let begins_tag = |c| c == '+' || (c == '-' && has_hyphen_tags(domain));
    let untagged = local.split(begins_tag).next().filter(|name| !name.is_empty()).unwrap_or(local);
    let Some(provider) = PROVIDERS.iter().find(|provider| provider.domains.contains(&domain)) else {
        return format!("{untagged}@{domain}");
    };
    let name: String = untagged.chars().filter_map(provider.reads).collect();
    let name = if name.is_empty() { untagged } else { &name };
    format!("{name}@{}", provider.domains.first().unwrap_or(&domain))
}

/// Whether the provider of an address says that all spellings with its [`mailbox`] reach one mailbox, so that accounts with
/// them belong to one person. Elsewhere `name+tag` may be somebody else's address. At Yahoo, too: only the base name of
/// disposable addresses is one's own there, and it is not the name of the mailbox.
pub fn is_one_mailbox(email: &str) -> bool {
    let mailbox = mailbox(email);
    let Some((local, domain)) = mailbox.rsplit_once('@') else { return false };
    let known = PROVIDERS.iter().flat_map(|provider| provider.domains).chain(PLUS_TAGS).chain(TAGS_IN_DOMAIN);
    !local.starts_with('"') && known.into_iter().any(|known| *known == domain)
}

fn has_hyphen_tags(domain: &str) -> bool {
    HYPHEN_TAGS.iter().any(|known| domain == *known || (known.ends_with('.') && domain.starts_with(known)))
}

fn tag_in_domain<'a>(local: &'a str, domain: &'a str) -> (&'a str, &'a str) {
    for known in TAGS_IN_DOMAIN {
        let name = domain.strip_suffix(known).and_then(|rest| rest.strip_suffix('.'));
        if let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('.')) {
            return (name, known);
        }
    }
    (local, domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_compare_equal() {
        for (one, other) in [
            ("ana@example.org", " ANA@Example.ORG. "),
            ("ana@example.org", "ana+run@example.org"),
            ("ana@example.org", "ana++run+x@example.org"),
            ("anamiller@gmail.com", "a.n.a.Miller+sidebyside@googlemail.com"),
            ("ana@bücher.example", "ana+1@xn--bcher-kva.example"),
            ("ana@bücher.example", "ana@BÜCHER.example."),
            ("ana@yahoo.co.uk", "ana-runs@yahoo.co.uk"),
            ("anamiller@proton.me", "ana.miller@protonmail.com"),
            ("ana@icloud.com", "ana+x@me.com"),
            ("ana-miller@yandex.ru", "ana.miller@ya.ru"),
            ("ana@fastmail.com", "runs@ana.fastmail.com"),
        ] {
            assert_eq!(mailbox(one), mailbox(other), "{one} {other}");
        }
    }

    #[test]
    fn mailboxes_of_different_people_stay_apart() {
        for (one, other) in [
            ("ana.miller@example.org", "anamiller@example.org"),
            ("ana-miller@example.org", "ana@example.org"),
            ("ana-miller@gmail.com", "ana@gmail.com"),
            ("ana@example.org", "ana@example.com"),
            ("+one@example.org", "+two@example.org"),
            ("\"ana+one\"@example.org", "\"ana+two\"@example.org"),
            ("ana@notyahoo.com", "ana-x@notyahoo.com"),
            ("one@a.fastmail.com", "one@b.fastmail.com"),
        ] {
            assert_ne!(mailbox(one), mailbox(other), "{one} {other}");
        }
    }

    #[test]
    fn spellings_are_surely_one_mailbox_where_provider_says_so() {
        for sure in [
            "Ana.Miller@gmail.com",
            "ana+x@GoogleMail.com",
            "ana@pm.me",
            "ana+x@icloud.com",
            "ana-m@ya.ru",
            "ana+x@outlook.com",
            "ana@hotmail.com",
            "runs@ana.fastmail.com",
        ] {
            assert!(is_one_mailbox(sure), "{sure}");
        }
        for unsure in [
            "ana+x@example.org",
            "ana@gmail.com.example.org",
            "ana@mail.gmail.com",
            "ana-x@yahoo.com",
            "\"ana+x\"@gmail.com",
            "gmail.com",
            "",
        ] {
            assert!(!is_one_mailbox(unsure), "{unsure}");
        }
        assert_ne!(mailbox("ana@outlook.com"), mailbox("ana@hotmail.com"));
    }

    #[test]
    fn text_that_is_no_address_is_left_as_it_is() {
        for odd in ["", "@", "ana", "ana@", "@example.org", "+@gmail.com", "...@gmail.com", "ana@[192.0.2.1]"] {
            assert_eq!(mailbox(&mailbox(odd)), mailbox(odd), "{odd}");
        }
        assert_eq!(mailbox("...@gmail.com"), "...@gmail.com");
    }
}
