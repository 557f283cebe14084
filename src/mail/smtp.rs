//! One SMTP server, spoken to in lettre's words but by our own hand, step by step: only the step tells a reader who
//! is refused for good (RCPT, DATA) from a password or a sender of ours that is (AUTH, MAIL), and lettre's transport
//! does not say which step failed. Each step has its time limit. Connections are reused; the caller bounds how many mails
//! are under way.

use super::refusal::{self, Step};
use super::transport::{SendFailure, TransportError};
use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use url::Url;

/// A connection that rested longer is not used again: servers hang up after some minutes.
const RESTED: Duration = Duration::from_secs(45);
/// Connections that are kept at rest: what most servers allow one client, with room for others (Exim's limit is 20).
const RESTING_LIMIT: usize = 16;
/// The network's part of connecting: a server that is away is known by then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Greeting, EHLO, STARTTLS and log-in together: servers let strangers wait some seconds on purpose (Postfix's postscreen
/// six, sendmail's `greet_pause` five, Exchange's tarpit five for each answer).
const GREETING_TIMEOUT: Duration = Duration::from_secs(25);
/// One command. A server may ask another one about the reader before it answers (Exim's callout waits 30 s).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// The answer to the whole mail: the server scans it meanwhile, and may have taken it when we no longer wait.
const DATA_TIMEOUT: Duration = Duration::from_secs(45);
/// Whether a connection at rest is still alive.
const NOOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server may take to say goodbye after a failure.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a mail waits for another's connection before it asks for one again.
const CROWDED_PAUSE: Duration = Duration::from_secs(1);

/// A mail server, how to speak to it, and the connections at rest.
pub struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    hello: ClientId,
    credentials: Option<Credentials>,
    resting: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    /// Connections on which a mail is under way.
    in_use: AtomicUsize,
    /// Rung when one of them is free or closed.
    released: Notify,
}

/// A connection on which a mail is under way, counted until it is dropped.
struct InUse<'s>(&'s Smtp);

impl<'s> InUse<'s> {
    fn on(smtp: &'s Smtp) -> Self {
        smtp.in_use.fetch_add(1, Ordering::AcqRel);
        Self(smtp)
    }

    /// Ends without ringing: there was no connection that somebody else could take now.
    fn end_quietly(self) {
        self.0.in_use.fetch_sub(1, Ordering::AcqRel);
        std::mem::forget(self);
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::AcqRel);
        self.0.released.notify_one();
    }
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
    pub(super) fn from_url(text: &str, ehlo_name: Option<&str>) -> Result<Self, TransportError> {
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
            "" => ehlo_name.map_or_else(ClientId::default, |name| ClientId::Domain(name.to_owned())),
            name => ClientId::Domain(name.to_owned()),
        };
        let credentials = url.password().map(|password| Credentials::new(decoded(url.username()), decoded(password)));
        Ok(Self {
            port: url.port().unwrap_or(port),
            host,
            tls,
            hello,
            credentials,
            resting: Mutex::default(),
            in_use: AtomicUsize::new(0),
            released: Notify::new(),
        })
    }

    /// Hands one mail over. A connection that was used before may end at any time, so what fails on it before the server
    /// has the mail is tried again at once on a new one.
    pub(super) async fn send(&self, envelope: &Envelope, bytes: &[u8]) -> Result<(), SendFailure> {
        if let Some(connection) = self.rested().await {
            let _in_use = InUse::on(self);
            match self.send_on(connection, envelope, bytes).await {
                Err(failed) if failed.is_the_connections => {}
                outcome => return outcome.map_err(|failed| failed.failure),
            }
        }
        let (connection, _in_use) = self.connect_when_there_is_room(envelope).await?;
        self.send_on(connection, envelope, bytes).await.map_err(|failed| failed.failure)
    }

    async fn send_on(
        &self,
        mut connection: AsyncSmtpConnection,
        envelope: &Envelope,
        bytes: &[u8],
    ) -> Result<(), Failed> {
        let sent = deliver(&mut connection, envelope, bytes).await;
        match &sent {
            Ok(()) => {
                let mut resting = self.lock();
                if resting.len() < RESTING_LIMIT {
                    resting.push((connection, Instant::now()));
                }
            }
            // It owes an answer, so that nothing can be said to it any more.
            Err(failed) if matches!(failed.failure, SendFailure::Hung(_)) => {}
            Err(_) => {
                // Nobody waits for its goodbye.
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
                });
            }
        }
        sent
    }

    /// A connection that is still alive, if one rests.
    async fn rested(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (mut connection, since) = self.lock().pop()?;
            let is_alive = async {
                let alive = tokio::time::timeout(NOOP_TIMEOUT, connection.test_connected());
                since.elapsed() < RESTED && alive.await.unwrap_or(false)
            };
            if is_alive.await {
                return Some(connection);
            }
        }
    }

    /// Connects. A server that takes no more connections while it has some of ours refuses no mail: it is asked again when
    /// one of them is free.
    async fn connect_when_there_is_room(
        &self,
        envelope: &Envelope,
    ) -> Result<(AsyncSmtpConnection, InUse<'_>), SendFailure> {
        loop {
            let others = self.in_use.load(Ordering::Acquire);
            let in_use = InUse::on(self);
            match self.connect().await {
                Ok(connection) => return Ok((connection, in_use)),
                Err(fault) if others > 0 && fault.is_closing() => {}
                Err(fault) => return Err(fault.into_failure(Step::Connecting, envelope)),
            }
            in_use.end_quietly();
            let _ = tokio::time::timeout(CROWDED_PAUSE, self.released.notified()).await;
            if let Some(connection) = self.rested().await {
                return Ok((connection, InUse::on(self)));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let server = (self.host.as_str(), self.port);
        let greeting = Instant::now() + GREETING_TIMEOUT;
        let mut connection = if let Tls::FromTheStart(tls) = &self.tls {
            let connect = AsyncSmtpConnection::connect_tokio1(
                server,
                Some(CONNECT_TIMEOUT),
                &self.hello,
                Some(tls.clone()),
                None,
            );
            within(greeting, connect).await?
        } else {
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(server)).await;
            let stream = stream.map_err(|_| Fault::Hung)??;
            // Without this a mail waits 40 ms for the acknowledgement of its last packet.
            stream.set_nodelay(true)?;
            within(greeting, AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello)).await?
        };
        match &self.tls {
            Tls::Required(tls) => within(greeting, connection.starttls(tls.clone(), &self.hello)).await?,
            Tls::Opportunistic(tls) if connection.can_starttls() => {
                within(greeting, connection.starttls(tls.clone(), &self.hello)).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            within(greeting, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }
}

async fn within<T>(end: Instant, step: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match tokio::time::timeout_at(end.into(), step).await {
        Ok(done) => done.map_err(Fault::Smtp),
        Err(_) => Err(Fault::Hung),
    }
}

/// A mail that was not handed over, and whether that may be the fault of a connection that was used before.
struct Failed {
    failure: SendFailure,
    is_the_connections: bool,
}

impl Failed {
    /// Nothing was handed over where the sender or the reader was named: a server that wants another connection for each
    /// mail says so there, with whatever code, or hangs up.
    fn at(step: Step, fault: Fault, envelope: &Envelope) -> Self {
        let is_over = fault.is_lost() || fault.is_closing();
        let is_the_connections = match step {
            Step::Connecting | Step::Sender => !matches!(fault, Fault::Hung),
            Step::Reader | Step::Announcing => is_over,
            Step::HandingOver => fault.is_closing(),
        };
        Self { failure: fault.into_failure(step, envelope), is_the_connections }
    }
}

/// One mail over an open connection. After a failure the connection is of no use.
async fn deliver(connection: &mut AsyncSmtpConnection, envelope: &Envelope, bytes: &[u8]) -> Result<(), Failed> {
    let mut options = Vec::new();
    if envelope.to().iter().chain(envelope.from()).any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let cause = "the mail server takes no address outside ASCII (no SMTPUTF8)".to_owned();
            let failure = SendFailure::RefusedUs { cause, words: String::new() };
            return Err(Failed { failure, is_the_connections: false });
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    let failed = |step| move |fault| Failed::at(step, fault, envelope);
    let sender: Option<Address> = envelope.from().cloned();
    let end = || Instant::now() + COMMAND_TIMEOUT;
    within(end(), connection.command(Mail::new(sender, options))).await.map_err(failed(Step::Sender))?;
    for reader in envelope.to() {
        let command = Rcpt::new(reader.clone(), Vec::new());
        within(end(), connection.command(command)).await.map_err(failed(Step::Reader))?;
    }
    within(end(), connection.command(Data)).await.map_err(failed(Step::Announcing))?;
    let end = Instant::now() + DATA_TIMEOUT;
    within(end, connection.message(bytes)).await.map_err(failed(Step::HandingOver))?;
    Ok(())
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("smtp")]
    Smtp(#[from] Error),
    #[error("network")]
    Network(#[from] std::io::Error),
    #[error("no answer in time")]
    Hung,
}

/// "Service not available, closing the connection" (RFC 5321); servers also say so when a client has too many.
const CLOSING: u16 = 421;

impl Fault {
    fn is_closing(&self) -> bool {
        matches!(self, Self::Smtp(error) if error.status().is_some_and(|code| u16::from(code) == CLOSING))
    }

    /// Whether there is no connection any more.
    fn is_lost(&self) -> bool {
        match self {
            Self::Smtp(error) => error.status().is_none() && !error.is_client(),
            Self::Network(_) => true,
            Self::Hung => false,
        }
    }

    fn into_failure(self, step: Step, envelope: &Envelope) -> SendFailure {
        let at = step.words();
        match self {
            Self::Network(error) => SendFailure::Temporary(format!("{at}: {}", error.kind())),
            Self::Hung => SendFailure::Hung(format!("{at}: the mail server does not answer")),
            Self::Smtp(error) => refusal::of_smtp(step, &error, envelope.to()),
        }
    }
}

/// Percent-decoding of a user name or password; "+" is itself there, not a space.
fn decoded(text: &str) -> String {
    let query = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(query.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn step_without_an_answer_ends_at_its_limit() {
        let step = within(Instant::now(), std::future::pending::<Result<(), Error>>()).await;
        assert!(matches!(step, Err(Fault::Hung)), "{step:?}");
        let whole = CONNECT_TIMEOUT + GREETING_TIMEOUT;
        assert!(whole < Duration::from_secs(60) && DATA_TIMEOUT < Duration::from_secs(60));
    }
}
