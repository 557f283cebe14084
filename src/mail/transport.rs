//! Where mail goes: an SMTP server, or `.eml` files in a folder where none is configured.
//! A failure says only whether to try again; it never holds an address, since failures are logged.

use super::message::Outgoing;
use super::smtp::Smtp;
use std::path::{Path, PathBuf};

/// The way out.
#[derive(Debug)]
pub enum Transport {
    /// One `.eml` file a mail.
    Files { dir: PathBuf },
    /// An SMTP server.
    Smtp(Smtp),
}

/// Why a mail did not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// It never will: the reader's address is bad for good, or none.
    #[error("permanent: {0}")]
    Permanent(String),
    /// It may later: the server put it off, or is away.
    #[error("temporary: {0}")]
    Temporary(String),
    /// The server did not answer in time.
    #[error("hung: {0}")]
    Hung(String),
    /// The server refuses this installation, whoever the reader is; the mail is still owed. `cause` is the same for all
    /// mails that are refused for one reason, `words` are the server's own.
    #[error("refused us: {cause}: {words}")]
    RefusedUs { cause: String, words: String },
}

/// A fault in the settings of the transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The words name the fault, never the URL: it may hold a password.
    #[error("SMTP_URL: {0}")]
    Url(String),
    #[error("the mail folder {folder} cannot be made: {cause}")]
    Folder { folder: String, cause: String },
}

impl Transport {
    /// SMTP where there is a URL, files in `mail_dir` (made if need be) where not.
    ///
    /// `smtp://user:password@host:port` speaks plainly, `?tls=required` and `?tls=opportunistic` use STARTTLS,
    /// `smtps://` speaks TLS from the start; ports are 25, 587, 587 and 465 unless given, as in lettre's own URLs.
    ///
    /// `ehlo_name` is how this installation calls itself; a path in the URL, `smtp://host/name`, goes before it.
    ///
    /// # Errors
    /// A URL that is none of these, or a folder that cannot be made.
    pub fn from_url(smtp_url: Option<&str>, ehlo_name: Option<&str>, mail_dir: &Path) -> Result<Self, TransportError> {
        if let Some(url) = smtp_url {
            return Smtp::from_url(url, ehlo_name).map(Self::Smtp);
        }
        private_folder(mail_dir).map_err(|error| TransportError::Folder {
            folder: mail_dir.display().to_string(),
            cause: error.to_string(),
        })?;
        Ok(Self::Files { dir: mail_dir.to_owned() })
    }

    /// Sends one mail. Each step has its time limit; the caller limits the whole.
    ///
    /// # Errors
    /// Whether, and how soon, to try again.
    pub async fn send(&self, mail: &Outgoing) -> Result<(), SendFailure> {
        let message = mail.message()?;
        let bytes = message.formatted();
        match self {
            Self::Files { dir } => write_file(dir.clone(), mail.file_name(), bytes).await,
            Self::Smtp(smtp) => smtp.send(message.envelope(), &bytes).await,
        }
    }
}

/// Mails hold links that act without log-in, so the folder is for its owner alone.
fn private_folder(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Whole or not at all: whoever watches the folder never sees half a mail.
async fn write_file(dir: PathBuf, name: String, bytes: Vec<u8>) -> Result<(), SendFailure> {
    let write = move || {
        let unfinished = dir.join(format!(".{name}.tmp"));
        std::fs::write(&unfinished, bytes)?;
        std::fs::rename(&unfinished, dir.join(name))
    };
    let failed = |cause: String| SendFailure::Temporary(format!("the mail file cannot be written: {cause}"));
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written.map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
