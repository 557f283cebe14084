//! One mail as it leaves: headers and MIME. Everything that depends on time or chance is given, so that a mail sent
//! twice is the same mail but for its `Date`.

use super::transport::SendFailure;
use jiff::Timestamp;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};
use std::time::SystemTime;

/// One mail to one address.
#[derive(Clone)]
pub struct Outgoing {
    /// Without `<` and `>`; the same for every attempt.
    pub message_id: String,
    /// [`super::Notice::name`]: in file names and logs.
    pub kind: &'static str,
    /// The `Date` header: when this attempt is made.
    pub date: Timestamp,
    /// In the file name: when the mail was promised, the same for every attempt.
    pub promised: Timestamp,
    /// A mailbox, `Side by Side <hello@example.org>`.
    pub from: String,
    pub to_address: String,
    /// *User text*; empty where it is not verified yet.
    pub to_name: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Adds `Auto-Submitted: auto-generated`.
    pub auto_submitted: bool,
    /// A URL whose POST turns this kind of mail off; adds `List-Unsubscribe` and `List-Unsubscribe-Post`.
    pub list_unsubscribe: Option<String>,
    /// A mailbox.
    pub reply_to: Option<String>,
}

impl Outgoing {
    /// The mail with its envelope.
    ///
    /// # Errors
    /// Permanent when the reader's address is none; temporary when a setting of ours (`from`, `reply_to`) is at fault,
    /// since the settings can be put right and the mail is still owed.
    pub fn message(&self) -> Result<Message, SendFailure> {
        let to: Address = self.to_address.parse().map_err(|_| permanent("the address is not one"))?;
        let name = Some(super::text::name(&self.to_name)).filter(|name| !name.is_empty());
        let mut builder = Message::builder()
            .from(mailbox(&self.from, "the sender (MAIL_FROM) is not a mailbox")?)
            .to(Mailbox::new(name, to))
            .subject(super::text::one_line(&self.subject))
            .date(SystemTime::from(self.date))
            .message_id(Some(format!("<{}>", header_safe(&self.message_id))));
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(mailbox(reply_to, "the reply address is not a mailbox")?);
        }
        builder = builder.raw_header(header("X-Mail-Kind", self.kind.to_owned()));
        if self.auto_submitted {
            builder = builder.raw_header(header("Auto-Submitted", "auto-generated".to_owned()));
        }
        if let Some(url) = &self.list_unsubscribe {
            builder = builder
                .raw_header(header("List-Unsubscribe", format!("<{}>", header_safe(url))))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        builder.multipart(self.parts()).map_err(|_| permanent("the mail cannot be built"))
    }

    fn parts(&self) -> MultiPart {
        // "=_" cannot occur in quoted-printable, so no body holds the boundary.
        let unique: String = self.message_id.chars().filter(char::is_ascii_alphanumeric).take(50).collect();
        MultiPart::builder()
            .kind(MultiPartKind::Alternative)
            .boundary(format!("=_{unique}"))
            .singlepart(part(ContentType::TEXT_PLAIN, &self.text))
            .singlepart(part(ContentType::TEXT_HTML, &self.html))
    }

    /// `<UTC time>-<kind>-<message id prefix>.eml`: sorts by time, and is the same for every attempt.
    pub(super) fn file_name(&self) -> String {
        let id: String =
            self.message_id.chars().take_while(|c| *c != '@').filter(char::is_ascii_alphanumeric).take(40).collect();
        format!("{}-{}-{id}.eml", self.promised.strftime("%Y%m%dT%H%M%SZ"), self.kind)
    }
}

fn part(kind: ContentType, body: &str) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(body.to_owned())
}

fn mailbox(text: &str, fault: &str) -> Result<Mailbox, SendFailure> {
    text.parse().map_err(|_| SendFailure::Temporary(fault.to_owned()))
}

/// Whether answers can be sent to this: a contact may also be a page.
pub fn is_mailbox(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

fn permanent(fault: &str) -> SendFailure {
    SendFailure::Permanent(fault.to_owned())
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// Ids and URLs in headers: printable ASCII without spaces and angle brackets.
fn header_safe(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).collect()
}
