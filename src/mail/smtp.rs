//! One SMTP server, spoken to in lettre's words but by our own hand, step by step: only the step tells a reader who
//! is refused for good (RCPT, DATA) from a password or a sender of ours that is (AUTH, MAIL), and lettre's transport
//! does not say which step failed. Connections are reused; at most eight are open.

use super::transport::{SendFailure, TransportError};
use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

/// Mails under way at once: 23 a second with one, 321 with 16, measured against an idle local server.
const AT_ONCE: usize = 8;
/// A connection that rested longer is not used again: servers hang up after some minutes.
const RESTED: Duration = Duration::from_secs(45);

/// How long a server may take to say goodbye after a failure.
const FAREWELL: Duration = Duration::from_secs(2);
/// Refusals of us, not of the reader, at whatever step: no service here (RFC 7504), log in first (RFC 4954).
const OUR_FAULT: [u16; 5] = [521, 530, 534, 535, 538];

/// A mail server, how to speak to it, and the connections at rest.
pub struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    hello: ClientId,
    credentials: Option<Credentials>,
    turns: Semaphore,
    resting: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

enum Tls {
    None,
    Opportunistic(TlsParameters),
    Required(TlsParameters),
    FromTheStart(TlsParameters),
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Smtp {
    pub(super) fn from_url(text: &str) -> Result<Self, TransportError> {
        let fault = |words: &str| TransportError::Url(words.to_owned());
        let url = Url::parse(text).map_err(|error| TransportError::Url(error.to_string()))?;
        // `host_str` brackets an IPv6 address, which neither a resolver nor a certificate knows.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| fault("it has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secret = || TlsParameters::new(host.clone()).map_err(|_| fault("the host is no name for TLS"));
        let wish = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
        let (tls, port) = match (url.scheme(), wish.as_deref()) {
            ("smtp", None) => (Tls::None, 25),
            ("smtp", Some("required")) => (Tls::Required(secret()?), 587),
            ("smtp", Some("opportunistic")) => (Tls::Opportunistic(secret()?), 587),
            ("smtps", _) => (Tls::FromTheStart(secret()?), 465),
            _ => return Err(fault("use smtp://, smtp://…?tls=required, smtp://…?tls=opportunistic or smtps://")),
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name => ClientId::Domain(name.to_owned()),
        };
        let credentials = url.password().map(|password| Credentials::new(decoded(url.username()), decoded(password)));
        let (turns, resting) = (Semaphore::new(AT_ONCE), Mutex::new(Vec::new()));
        Ok(Self { port: url.port().unwrap_or(port), host, tls, hello, credentials, turns, resting })
    }

    /// Waits until fewer than eight mails are under way.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, SendFailure> {
        self.turns.acquire().await.map_err(|_| temporary("the mail transport is closed"))
    }

    pub(super) async fn send(&self, envelope: &Envelope, bytes: &[u8]) -> Result<(), SendFailure> {
        let mut connection = match self.rested().await {
            Some(connection) => connection,
            None => self.connect().await.map_err(|error| at_step("connecting", &error, false))?,
        };
        let sent = deliver(&mut connection, envelope, bytes).await;
        if sent.is_ok() {
            self.lock().push((connection, Instant::now()));
        } else {
            let _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
        }
        sent
    }

    /// A connection that is still alive, if one rests.
    async fn rested(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (mut connection, since) = self.lock().pop()?;
            if since.elapsed() < RESTED && connection.test_connected().await {
                return Some(connection);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let server = (self.host.as_str(), self.port);
        let mut connection = if let Tls::FromTheStart(tls) = &self.tls {
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, Some(tls.clone()), None).await?
        } else {
            // Without this a mail waits 40 ms for the acknowledgement of its last packet.
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?
        };
        match &self.tls {
            Tls::Required(tls) => connection.starttls(tls.clone(), &self.hello).await?,
            Tls::Opportunistic(tls) if connection.can_starttls() => {
                connection.starttls(tls.clone(), &self.hello).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// One mail over an open connection. After a failure the connection is of no use.
async fn deliver(connection: &mut AsyncSmtpConnection, envelope: &Envelope, bytes: &[u8]) -> Result<(), SendFailure> {
    let mut options = Vec::new();
    if envelope.to().iter().chain(envelope.from()).any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(SendFailure::Permanent("the mail server takes no such address (no SMTPUTF8)".to_owned()));
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    let sender: Option<Address> = envelope.from().cloned();
    let step = connection.command(Mail::new(sender, options)).await;
    step.map_err(|error| at_step("naming the sender", &error.into(), false))?;
    for reader in envelope.to() {
        let step = connection.command(Rcpt::new(reader.clone(), Vec::new())).await;
        step.map_err(|error| at_step("naming the reader", &error.into(), true))?;
    }
    let step = connection.command(Data).await;
    step.map_err(|error| at_step("announcing the mail", &error.into(), true))?;
    let step = connection.message(bytes).await;
    step.map_err(|error| at_step("handing over the mail", &error.into(), true))?;
    Ok(())
}

/// What may go wrong before there is a connection.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("smtp")]
    Smtp(#[from] Error),
    #[error("network")]
    Network(#[from] std::io::Error),
}

/// A refusal counts as final only where it is about this reader or this mail. The words hold the step and the reply
/// code; the server's own text may repeat the address and stays out.
fn at_step(step: &str, fault: &Fault, about_this_mail: bool) -> SendFailure {
    match fault {
        Fault::Network(error) => SendFailure::Temporary(format!("{step}: {}", error.kind())),
        Fault::Smtp(error) => match error.status() {
            Some(code) if about_this_mail && error.is_permanent() && !OUR_FAULT.contains(&u16::from(code)) => {
                SendFailure::Permanent(format!("{step}: the mail server says {code}"))
            }
            Some(code) => SendFailure::Temporary(format!("{step}: the mail server says {code}")),
            None if error.is_tls() => SendFailure::Temporary(format!("{step}: TLS failed")),
            None if error.is_client() => SendFailure::Temporary(format!("{step}: the server lacks what we ask of it")),
            None => SendFailure::Temporary(format!("{step}: the connection failed")),
        },
    }
}

fn temporary(words: &str) -> SendFailure {
    SendFailure::Temporary(words.to_owned())
}

/// Percent-decoding of a user name or password; "+" is itself there, not a space.
fn decoded(text: &str) -> String {
    let query = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}
