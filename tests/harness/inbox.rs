//! A mail server of our own: keeps the raw MIME of what it takes, and can misbehave on demand.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use mailparse::{MailHeaderMap, ParsedMail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the server does with the mails that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Accept,
    /// Hangs up before the greeting.
    Refuse,
    /// Answers RCPT with this.
    Rcpt(&'static str),
    /// Accepts and never answers this command, or the end of the mail (`.`), for readers whose address begins with "hang".
    Hang(&'static str),
    /// Takes one mail on each connection: what begins another one is answered with 421.
    OneMailEach,
    /// Hangs up after each mail that it took, without a word.
    HangUpAfterEach,
    /// Answers the end of DATA with this code, and keeps nothing.
    Data(u16),
    /// Keeps the mail and hangs up without an answer: the sender cannot know.
    KeepAndHangUp,
    /// Hangs up in the middle of DATA.
    HangUpInData,
}

/// A mail that was taken.
#[derive(Debug, Clone)]
pub struct Letter {
    pub to: String,
    pub from: String,
    pub subject: String,
    pub message_id: String,
    pub text: String,
    pub html: String,
    pub raw: String,
}

impl Letter {
    fn read(to: String, from: String, raw: Vec<u8>) -> Self {
        let mail = mailparse::parse_mail(&raw).expect("a mail that can be parsed");
        let header = |name: &str| mail.headers.get_first_value(name).unwrap_or_default();
        Self {
            to,
            from,
            subject: header("Subject"),
            message_id: header("Message-ID"),
            text: part(&mail, "text/plain").replace("\r\n", "\n"),
            html: part(&mail, "text/html").replace("\r\n", "\n"),
            raw: String::from_utf8_lossy(&raw).into_owned(),
        }
    }

    /// All that it says, subject and both parts, without the tokens of its links: those spell anything by chance.
    pub fn said(&self) -> String {
        let all = [self.subject.as_str(), &self.text, &self.html].join("\n");
        let mut pieces = all.split("/e/");
        let first = pieces.next().unwrap_or_default();
        let rest = pieces.map(|piece| piece.trim_start_matches(|c: char| !c.is_whitespace() && !"\"<>".contains(c)));
        std::iter::once(first).chain(rest).collect()
    }

    /// A header as it was sent.
    pub fn header(&self, name: &str) -> String {
        let mail = mailparse::parse_mail(self.raw.as_bytes()).expect("a mail that can be parsed");
        mail.headers.get_first_value(name).unwrap_or_default()
    }

    /// The path of the link for an act, which must stand alone on a line of the text part.
    #[track_caller]
    pub fn link(&self, action: &str) -> String {
        let start = format!("{}/e/{action}/", super::town::BASE_URL);
        let line = self.text.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {action} link alone on a line of:\n{}", self.text));
        assert!(!line.contains(' '), "{line}");
        line[super::town::BASE_URL.len()..].to_owned()
    }

    /// The token of the link for an act.
    #[track_caller]
    pub fn token(&self, action: &str) -> String {
        self.link(action).rsplit('/').next().unwrap_or_default().to_owned()
    }
}

fn part(mail: &ParsedMail<'_>, kind: &str) -> String {
    if mail.ctype.mimetype == kind {
        return mail.get_body().unwrap_or_default();
    }
    mail.subparts.iter().map(|sub| part(sub, kind)).find(|text| !text.is_empty()).unwrap_or_default()
}

#[derive(Default)]
struct Kept {
    letters: Vec<Letter>,
    behaviour: Option<Behaviour>,
    attempts: usize,
}

/// The server.
#[derive(Clone)]
pub struct Inbox {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    /// How many mails were taken.
    taken: watch::Sender<usize>,
}

impl Inbox {
    /// Starts on a free port.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let inbox = Self {
            address: listener.local_addr().expect("an address"),
            kept: Arc::default(),
            taken: watch::Sender::new(0),
        };
        let server = inbox.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = server.clone();
                tokio::spawn(async move {
                    let _ = session.talk(stream).await;
                });
            }
        });
        inbox
    }

    /// As `SMTP_URL` takes it.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = Some(behaviour);
    }

    fn behaviour(&self) -> Behaviour {
        self.lock().behaviour.unwrap_or(Behaviour::Accept)
    }

    /// Mails that somebody began to hand over.
    pub fn attempts(&self) -> usize {
        self.lock().attempts
    }

    /// Waits for a mail to somebody.
    pub async fn letter_to(&self, email: &str) -> Letter {
        let mut taken = self.taken.subscribe();
        loop {
            taken.borrow_and_update();
            if let Some(letter) = self.all().into_iter().find(|letter| letter.to == email) {
                return letter;
            }
            taken.changed().await.expect("the inbox is open");
        }
    }

    /// Everything that was taken, oldest first.
    pub fn all(&self) -> Vec<Letter> {
        self.lock().letters.clone()
    }

    /// Takes everything out.
    pub fn empty(&self) -> Vec<Letter> {
        std::mem::take(&mut self.lock().letters)
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader);
        if self.behaviour() == Behaviour::Refuse {
            return Ok(());
        }
        let mut taken_here = 0;
        writer.write_all(b"220 inbox ESMTP\r\n").await?;
        let (mut from, mut to) = (String::new(), String::new());
        let mut line = String::new();
        loop {
            line.clear();
            if lines.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let command = line.trim_end().to_owned();
            let verb = command.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
            let address = || command.split(['<', '>']).nth(1).unwrap_or("").to_owned();
            if verb == "RCPT" {
                to = address();
            }
            let hangs =
                |step: &str| matches!(self.behaviour(), Behaviour::Hang(at) if at == step) && to.starts_with("hang");
            if hangs(&verb) {
                return wait_for_the_end(&mut lines).await;
            }
            let reply = match verb.as_str() {
                "EHLO" => "250-inbox\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n".to_owned(),
                "MAIL" => {
                    self.lock().attempts += 1;
                    if self.behaviour() == Behaviour::Refuse {
                        return Ok(());
                    }
                    from = address();
                    if self.behaviour() == Behaviour::OneMailEach && taken_here > 0 {
                        writer.write_all(b"421 4.7.0 one mail for each connection\r\n").await?;
                        return Ok(());
                    }
                    "250 fine\r\n".to_owned()
                }
                "RCPT" => match self.behaviour() {
                    Behaviour::Rcpt(answer) => format!("{answer}\r\n"),
                    _ => "250 fine\r\n".to_owned(),
                },
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await?;
                    if self.behaviour() == Behaviour::HangUpInData {
                        return Ok(());
                    }
                    let raw = read_data(&mut lines).await?;
                    if hangs(".") {
                        return wait_for_the_end(&mut lines).await;
                    }
                    match self.behaviour() {
                        Behaviour::Data(code) => format!("{code} no\r\n"),
                        behaviour => {
                            self.lock().letters.push(Letter::read(to.clone(), from.clone(), raw));
                            self.taken.send_modify(|many| *many += 1);
                            taken_here += 1;
                            if behaviour == Behaviour::KeepAndHangUp {
                                return Ok(());
                            }
                            if behaviour == Behaviour::HangUpAfterEach {
                                return writer.write_all(b"250 taken\r\n").await;
                            }
                            "250 taken\r\n".to_owned()
                        }
                    }
                }
                "QUIT" => {
                    writer.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "250 fine\r\n".to_owned(),
            };
            writer.write_all(reply.as_bytes()).await?;
        }
    }
}

/// Says nothing until the client is gone.
async fn wait_for_the_end(lines: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> std::io::Result<()> {
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        line.clear();
    }
    Ok(())
}

async fn read_data(lines: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(raw);
        }
        let stuffed = usize::from(line.starts_with(b".."));
        raw.extend_from_slice(&line[stuffed..]);
    }
}
