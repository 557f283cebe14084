//! Which e-mail addresses can be mailed to, and the one spelling under which each is kept.
//!
//! Every door uses [`parse`]: registration, import, blocks, the command line, settings. It takes what all mail servers
//! take: a plain local part (RFC 5321, Dot-string) and a domain name with a dot, in ASCII or to be written in it (IDNA).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::text;

/// The longest address, in characters (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const EMAIL_MAX_CHARS: usize = 254;
/// The longest part before the at-sign (RFC 5321, 4.5.3.1.1).
const LOCAL_MAX_CHARS: usize = 64;
/// Longer texts are not looked at.
const LOOKED_AT_MAX_BYTES: usize = 2_048;

/// Why an address cannot be mailed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailFault {
    #[error("this is no e-mail address: write it like ana@example.org")]
    NoAddress,
    #[error("an address has one @")]
    SeveralAts,
    #[error("write the address alone, without a name or brackets")]
    NotAlone,
    #[error("there is a space in the address")]
    Space,
    #[error("there is an invisible character in the address: type it again")]
    Invisible,
    #[error("there is nothing before the @")]
    NoLocalPart,
    #[error("quotation marks before the @ cannot be taken: many mail servers refuse such an address")]
    Quoted,
    #[error("the part before the @ is an encoded word (=?...?=): write the address itself")]
    EncodedWord,
    #[error("the part before the @ may only have plain letters, digits and signs such as . _ + -")]
    LocalNotAscii,
    #[error("the part before the @ has a sign that no address has")]
    LocalSign,
    #[error("the part before the @ begins or ends with a dot, or has two in a row")]
    Dots,
    #[error("the part before the @ may have 64 characters")]
    LocalTooLong,
    #[error("an address may have 254 characters")]
    TooLong,
    #[error("there is nothing after the @")]
    NoDomain,
    #[error("a number in brackets is no domain name: write a name such as example.org")]
    IpLiteral,
    #[error("the part after the @ has no ending such as .org")]
    NoEnding,
    #[error("the part after the @ is no domain name")]
    BadDomain,
}

impl EmailFault {
    /// The stable code.
    pub fn code(self) -> &'static str {
        if self == Self::LocalNotAscii { "not_ascii" } else { "bad_email" }
    }
}

/// Reads an address as somebody typed or pasted it: blank characters around it, `mailto:` and angle brackets are taken
/// off. The answer is its one spelling: lower case, the domain in ASCII without a dot at its end.
///
/// # Errors
/// The reason why nothing can be mailed to it.
pub fn parse(typed: &str) -> Result<String, EmailFault> {
    let address = bare(typed)?;
    if address.contains('<') || address.contains('>') || address.contains(',') || address.contains(';') {
        return Err(EmailFault::NotAlone);
    }
    if address.starts_with('"') {
        return Err(EmailFault::Quoted);
    }
    let address = if address.contains('@') { address.to_owned() } else { address.replace('\u{ff20}', "@") };
    let (local, domain) = address.rsplit_once('@').ok_or(EmailFault::NoAddress)?;
    check_local(local)?;
    let domain = domain_in_ascii(domain)?;
    let spelling = format!("{}@{domain}", local.to_ascii_lowercase());
    if spelling.len() > EMAIL_MAX_CHARS { Err(EmailFault::TooLong) } else { Ok(spelling) }
}

/// The one spelling under which an address is kept and looked up. For what is no address it is what was typed, trimmed and
/// in lower case, which no account has; without control characters, since PostgreSQL cannot even be asked about a NUL.
pub fn normalise(typed: &str) -> String {
    let plain = || text::trim(typed).chars().filter(|c| !c.is_control()).collect::<String>().to_lowercase();
    parse(typed).unwrap_or_else(|_| plain())
}

/// What is left when all is taken off that comes along with a pasted address.
fn bare(typed: &str) -> Result<&str, EmailFault> {
    if typed.len() > LOOKED_AT_MAX_BYTES {
        return Err(EmailFault::TooLong);
    }
    let mut address = text::trim(typed);
    let scheme = address.get(..7).filter(|start| start.eq_ignore_ascii_case("mailto:"));
    if let Some(scheme) = scheme {
        address = text::trim(&address[scheme.len()..]);
    }
    if let Some(inner) = address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        address = text::trim(inner);
    }
    let inside = |c: char| c.is_control() || (!text::is_visible(c) && !c.is_whitespace() && !is_mark(c));
    match address {
        "" => Err(EmailFault::NoAddress),
        _ if address.chars().any(inside) => Err(EmailFault::Invisible),
        _ if address.contains('<') || address.contains('"') => Ok(address),
        _ if address.contains(char::is_whitespace) => Err(EmailFault::Space),
        _ => Ok(address),
    }
}

/// Combining marks belong to the letters of a domain name in many scripts.
fn is_mark(c: char) -> bool {
    use icu_properties::{CodePointMapData, props::GeneralCategory as G};
    let category = CodePointMapData::<G>::new().get(c);
    matches!(category, G::NonspacingMark | G::SpacingMark)
}

fn check_local(local: &str) -> Result<(), EmailFault> {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    match local {
        "" => Err(EmailFault::NoLocalPart),
        _ if local.contains('"') => Err(EmailFault::Quoted),
        _ if local.contains('@') => Err(EmailFault::SeveralAts),
        _ if local.contains("=?") && local.contains("?=") => Err(EmailFault::EncodedWord),
        _ if !local.is_ascii() => Err(EmailFault::LocalNotAscii),
        _ if !local.bytes().all(is_sign) => Err(EmailFault::LocalSign),
        _ if local.starts_with('.') || local.ends_with('.') || local.contains("..") => Err(EmailFault::Dots),
        _ if local.len() > LOCAL_MAX_CHARS => Err(EmailFault::LocalTooLong),
        _ => Ok(()),
    }
}

/// The domain name as it goes into a mail: IDNA in ASCII, lower case, without the dot of the root.
fn domain_in_ascii(domain: &str) -> Result<String, EmailFault> {
    if domain.is_empty() {
        return Err(EmailFault::NoDomain);
    }
    if domain.starts_with('[') {
        return Err(EmailFault::IpLiteral);
    }
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::VerifyAllowRootDot,
    );
    let ascii = ascii.map_err(|_| EmailFault::BadDomain)?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    let (_, ending) = name.rsplit_once('.').ok_or(EmailFault::NoEnding)?;
    if ending.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EmailFault::IpLiteral);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mail_reaches_have_one_spelling() {
        for (typed, wanted) in [
            ("ana@example.org", "ana@example.org"),
            (" Ana+Run@Example.ORG\r\n", "ana+run@example.org"),
            ("\u{200b}ana@example.org\u{feff}", "ana@example.org"),
            ("\u{2066}ana@example.org\u{2069}", "ana@example.org"),
            ("mailto:ana@example.org", "ana@example.org"),
            ("<ana@example.org>", "ana@example.org"),
            ("ana@example.org.", "ana@example.org"),
            ("ana@bücher.example", "ana@xn--bcher-kva.example"),
            ("ana@BÜCHER.example", "ana@xn--bcher-kva.example"),
            ("ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"),
            ("ana@例え。テスト", "ana@xn--r8jz45g.xn--zckzah"),
            ("ana＠example.org", "ana@example.org"),
            ("o'brien!#$%&*/=?^_`{|}~-x@sub.example.org", "o'brien!#$%&*/=?^_`{|}~-x@sub.example.org"),
            ("1@2.example", "1@2.example"),
        ] {
            let parsed = parse(typed);
            assert_eq!(parsed.as_deref(), Ok(wanted), "{typed:?}");
            let twice = parsed.and_then(|spelling| parse(&spelling));
            assert_eq!(twice.as_deref(), Ok(wanted), "the spelling is its own");
        }
        let longest = format!("{}@{}.example.org", "a".repeat(64), ["b"; 88].join("."));
        assert_eq!((longest.len(), parse(&longest).is_ok()), (252, true));
    }

    #[test]
    fn addresses_that_mail_cannot_reach_are_refused_with_the_reason() {
        use EmailFault as F;
        for (typed, fault) in [
            ("", F::NoAddress),
            ("\u{200b} ", F::NoAddress),
            ("ana", F::NoAddress),
            ("ana@", F::NoDomain),
            ("@example.org", F::NoLocalPart),
            ("a b@example.org", F::Space),
            ("ana@exam ple.org", F::Space),
            ("ana@example.org\r\nBcc: x@y.z", F::Invisible),
            ("a\u{0}b@example.org", F::Invisible),
            ("ana@exa\u{200b}mple.org", F::Invisible),
            ("an\u{ad}a@example.org", F::Invisible),
            ("\"john doe\"@example.org", F::Quoted),
            ("\"john\"@example.org", F::Quoted),
            ("=?utf-8?b?YW5h?=@example.org", F::EncodedWord),
            ("=?UTF-8?Q?ana?=@example.org", F::EncodedWord),
            ("ana@b@example.org", F::SeveralAts),
            ("Ana <ana@example.org>", F::NotAlone),
            ("ana@example.org, ben@example.org", F::Space),
            ("ana@example.org;ben@example.org", F::NotAlone),
            ("änä@example.org", F::LocalNotAscii),
            ("ana(x)@example.org", F::LocalSign),
            (".ana@example.org", F::Dots),
            ("ana.@example.org", F::Dots),
            ("a..b@example.org", F::Dots),
            ("ana@[192.0.2.1]", F::IpLiteral),
            ("ana@[IPv6:::1]", F::IpLiteral),
            ("ana@192.0.2.1", F::IpLiteral),
            ("ana@localhost", F::NoEnding),
            ("ana@example", F::NoEnding),
            ("ana@-example.org", F::BadDomain),
            ("ana@example-.org", F::BadDomain),
            ("ana@exa_mple.org", F::BadDomain),
            ("ana@example..org", F::BadDomain),
            ("ana@.example.org", F::BadDomain),
            ("ana@example.org..", F::BadDomain),
            ("ana@example.org/path", F::BadDomain),
            ("ana@xn--zz.example", F::BadDomain),
            ("mailto:ana@example.org?subject=x", F::BadDomain),
        ] {
            assert_eq!(parse(typed), Err(fault), "{typed:?}");
        }
        assert_eq!(parse(&format!("{}@example.org", "a".repeat(65))), Err(F::LocalTooLong));
        assert_eq!(parse(&format!("a@{}.org", "b".repeat(64))), Err(F::BadDomain));
        assert_eq!(parse(&format!("{}@{}.example.org", "a".repeat(64), ["b"; 90].join("."))), Err(F::TooLong));
        assert_eq!(parse(&"a".repeat(1_000_000)), Err(F::TooLong));
    }

    #[test]
    fn look_up_never_fails() {
        assert_eq!(normalise("  Not An Address "), "not an address");
        assert_eq!(normalise("a\u{0}b"), "ab");
        assert_eq!(normalise("\u{200b}ANA@Example.org"), "ana@example.org");
    }
}
