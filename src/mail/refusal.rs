//! Whom a refusal by a mail server is about: the reader, whose address is bad for good, or this installation, whose mail
//! is owed all the same. The enhanced status code decides (RFC 3463), and the server's words only where there is none.

use super::transport::SendFailure;
use lettre::Address;
use std::error::Error as _;

/// The step of a try at which a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connecting,
    Sender,
    Reader,
    Announcing,
    HandingOver,
}

impl Step {
    /// The step in words, for the operator.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Sender => "naming the sender",
            Self::Reader => "naming the reader",
            Self::Announcing => "announcing the mail",
            Self::HandingOver => "handing over the mail",
        }
    }

    /// Whether the server knows the reader by now, so that its refusal can be about the reader.
    fn knows_the_reader(self) -> bool {
        matches!(self, Self::Reader | Self::Announcing | Self::HandingOver)
    }
}

/// A status code of RFC 3463, such as 5.1.1: class, subject, detail.
type Enhanced = (u16, u16, u16);

/// Details of X.1 (addresses) and X.2 (mailboxes) that say that nothing can reach the reader: no such mailbox, system or
/// address, an ambiguous one, one that moved away, a domain that takes no mail (RFC 7505), a mailbox that is switched
/// off. A full mailbox (X.2.2) is not among them.
const BAD_READERS: [(u16, u16); 7] = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 6), (1, 10), (2, 1)];
/// Subjects whose detail 0 ("other") says nothing, so that the words have to.
const VAGUE: [(u16, u16); 3] = [(0, 0), (1, 0), (2, 0)];
/// Reply codes that are about a mailbox where no enhanced code is given: RFC 5321, section 4.2.3.
const ABOUT_MAILBOXES: [u16; 3] = [550, 551, 553];

/// Words of servers that know no such reader.
const UNKNOWN_READER: [&str; 20] = [
    "unknown",
    "no such",
    "not exist",
    "n't exist",
    "not found",
    "invalid recipient",
    "invalid mailbox",
    "invalid address",
    "not a valid mailbox",
    "unrouteable",
    "unroutable",
    "no mailbox",
    "mailbox unavailable",
    "mailbox not available",
    "mailbox disabled",
    "account disabled",
    "account is disabled",
    "inactive",
    "user not local",
    "undeliverable address",
];
/// Words of servers that mean the sender or the way of sending.
const ABOUT_US: [&str; 22] = [
    "relay",
    "sender",
    "policy",
    "spam",
    "block",
    "blacklist",
    "denied",
    "prohibit",
    "permit",
    "auth",
    "quota",
    "full",
    "size",
    "tls",
    "encrypt",
    "helo",
    "ehlo",
    "host",
    "client",
    "domain of",
    "spf",
    "too many",
];

/// Whether an answer of 500 and more, at a step, is about the reader and therefore final.
fn is_about_reader(step: Step, code: u16, words: &str) -> bool {
    if !step.knows_the_reader() {
        return false;
    }
    match enhanced(words) {
        Some((class, subject, detail)) if !VAGUE.contains(&(subject, detail)) => {
            class == 5 && BAD_READERS.contains(&(subject, detail))
        }
        _ => {
            // Without addresses: a domain may be called anything.
            let words: Vec<&str> = words.split_whitespace().filter(|word| !word.contains('@')).collect();
            let words = words.join(" ").to_lowercase();
            let says = |known: &[&str]| known.iter().any(|word| words.contains(word));
            step == Step::Reader && ABOUT_MAILBOXES.contains(&code) && says(&UNKNOWN_READER) && !says(&ABOUT_US)
        }
    }
}

/// The enhanced status code with which a text begins, perhaps in brackets or behind a number sign.
fn enhanced(words: &str) -> Option<Enhanced> {
    let first = words.split_whitespace().next()?.trim_start_matches(['#', '(', '[', '<']);
    let first = first.trim_end_matches([')', ']', '>', ':', ',', '-']);
    let parts: Vec<u16> = first.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    match parts[..] {
        [class @ (2 | 4 | 5), subject, detail] => Some((class, subject, detail)),
        _ => None,
    }
}

/// What a failed command of lettre's means for the mail.
pub(super) fn of_smtp(step: Step, error: &lettre::transport::smtp::Error, readers: &[Address]) -> SendFailure {
    let at = step.words();
    let Some(code) = error.status() else {
        return SendFailure::Temporary(match () {
            () if error.is_tls() => format!("{at}: TLS failed"),
            () if error.is_client() => format!("{at}: the server lacks what we ask of it"),
            () => format!("{at}: the connection failed"),
        });
    };
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    of_answer(step, u16::from(code), &words, readers)
}

/// What a refusing answer means for the mail. The operator is shown the server's own words only where the fault is ours,
/// and then without anything of the reader's address, since failures are logged.
fn of_answer(step: Step, code: u16, words: &str, readers: &[Address]) -> SendFailure {
    let status =
        enhanced(words).map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}")).unwrap_or_default();
    let cause = format!("{}: the mail server says {code}{status}", step.words());
    match code {
        ..500 => SendFailure::Temporary(cause),
        _ if is_about_reader(step, code, words) => SendFailure::Permanent(cause),
        _ => {
            let hint = if matches!((step, code), (Step::Connecting, 501 | 504)) {
                " (it may not like SMTP_EHLO_NAME)"
            } else {
                ""
            };
            let words = without_address(words, readers);
            SendFailure::RefusedUs { cause: format!("{cause}{hint}"), words }
        }
    }
}

/// Characters of a server's words that are kept.
const WORDS_LIMIT: usize = 200;

/// The words of a server after the status code, without those that hold an address or a part of the reader's.
fn without_address(words: &str, readers: &[Address]) -> String {
    let private: Vec<String> =
        readers.iter().flat_map(|reader| [reader.user().to_lowercase(), reader.domain().to_lowercase()]).collect();
    let is_private = |word: &str| {
        let word = word.to_lowercase();
        word.contains('@') || private.iter().any(|part| word.contains(part.as_str()))
    };
    let told = usize::from(enhanced(words).is_some());
    let words = words.split_whitespace().skip(told);
    let kept: Vec<&str> = words.map(|word| if is_private(word) { "…" } else { word }).collect();
    kept.join(" ").chars().filter(|c| !c.is_control()).take(WORDS_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(step: Step, answer: &str) -> SendFailure {
        let (code, words) = answer.split_once(' ').unwrap_or((answer, ""));
        of_answer(step, code.parse().unwrap(), words, &["ana@example.net".parse().unwrap()])
    }

    #[test]
    fn only_an_address_that_is_bad_for_good_is_final() {
        for answer in [
            "550 5.1.1 <ana@example.net>: Recipient address rejected: User unknown in relay recipient table",
            "550 5.1.2 bad destination system",
            "553 5.1.3 bad destination mailbox address syntax",
            "551 5.1.6 mailbox has moved",
            "556 5.1.10 recipient address has null MX",
            "550 5.2.1 The email account that you tried to reach is inactive",
            "550 #5.1.1 unknown",
            "550 No such user here",
            "550 5.0.0 ana... User unknown",
            "550 Unrouteable address",
            "550 Requested action not taken: mailbox unavailable",
            "551 User not local",
            "550 5.1.0 unknown address",
        ] {
            assert!(matches!(meaning(Step::Reader, answer), SendFailure::Permanent(_)), "{answer}");
        }
        let late = meaning(Step::HandingOver, "550 5.1.1 no such user");
        assert!(matches!(late, SendFailure::Permanent(_)), "some servers look after DATA: {late}");
    }

    #[test]
    fn every_other_refusal_is_ours_and_is_owed_on() {
        let at_reader = [
            "554 5.7.1 <ana@example.net>: Relay access denied",
            "554 relay denied",
            "550 relay not permitted",
            "553 sender rejected",
            "553 5.1.8 sender's domain does not exist",
            "550 5.1.7 bad sender",
            "550 5.7.1 Client host rejected: cannot find your reverse hostname",
            "550 Administrative prohibition",
            "550 5.7.26 unauthenticated mail is prohibited",
            "550 unknown sender domain",
            "552 5.2.2 mailbox full",
            "552 over quota",
            "530 5.7.0 must issue a STARTTLS command first",
            "503 5.5.1 bad sequence of commands",
            "550 no",
            "550",
            "521 5.3.2 host does not accept mail",
            "550 5.4.1 access denied",
        ];
        let elsewhere = [
            (Step::Connecting, "504 5.5.2 <me>: Helo command rejected: need fully-qualified hostname"),
            (Step::Connecting, "554 5.7.1 no"),
            (Step::Connecting, "535 5.7.8 wrong password"),
            (Step::Sender, "550 5.1.1 no such user"),
            (Step::Sender, "552 5.3.4 too big"),
            (Step::Announcing, "554 5.5.1 no valid recipients"),
            (Step::HandingOver, "552 5.3.4 too big"),
            (Step::HandingOver, "550 5.7.1 looks like spam"),
            (Step::HandingOver, "554 no such luck"),
            (Step::HandingOver, "550 user unknown"),
        ];
        let all = at_reader.map(|answer| (Step::Reader, answer)).into_iter().chain(elsewhere);
        for (step, answer) in all {
            let failure = meaning(step, answer);
            assert!(matches!(failure, SendFailure::RefusedUs { .. }), "{answer}: {failure}");
            assert!(!failure.to_string().contains("ana"), "no addresses: {failure}");
        }
    }

    #[test]
    fn what_a_server_puts_off_is_never_final() {
        for answer in ["450 4.2.0 greylisted", "421 closing", "451 5.1.1 odd", "452 4.2.2 full"] {
            assert!(matches!(meaning(Step::Reader, answer), SendFailure::Temporary(_)), "{answer}");
        }
    }

    #[test]
    fn the_operator_reads_the_reason_without_the_address() {
        let failure = meaning(Step::Reader, "554 5.7.1 <ana@example.net>: Relay access denied for ANA");
        let expected = "naming the reader: the mail server says 554 5.7.1: … Relay access denied for …";
        assert_eq!(failure.to_string(), format!("refused us: {expected}"));
        let hint = meaning(Step::Connecting, "504 5.5.2 need a name").to_string();
        assert!(hint.contains("SMTP_EHLO_NAME"), "{hint}");
    }
}
