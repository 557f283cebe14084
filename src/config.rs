//! The settings: the only reader of the environment (through clap) and of `sidebyside.toml`.
//!
//! All faults are found before any is told, each under the name of its setting. No secret, and no URL that may hold
//! one, ever stands in a fault or in `Debug`. An empty value counts as none.

mod help;
mod network;
mod policy;
mod secrets;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use lettre::{Address, message::Mailbox};
use secrecy::SecretString;

use crate::{
    domain::{email, text},
    mail::Transport,
    store::db::Target,
};

pub use help::{HelpLine, HelpLines};
pub use network::{ForwardedHeader, Network};
pub use policy::{Policy, Rule};
pub use secrets::SecretKeys;

/// Who runs an installation that does not say so.
const DEFAULT_ORG_NAME: &str = "Side by Side";
/// Stands among the values where the operator wants to go on with another secret than the one that was used before.
pub const NEW_SECRET: &str = "--new-secret";
/// Longest name or address of the people who run the installation, in characters.
const LINE_MAX: usize = 200;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident $env:ident $value:literal $secret:literal;)*) => {
        /// Every setting, as a flag and as an environment variable; the flag wins.
        #[derive(clap::Args, Default, Clone)]
        #[command(next_help_heading = "Settings")]
        pub struct Flags {
            $($(#[$doc])* #[arg(long, global = true, env = stringify!($env), value_name = $value, hide_env_values = $secret)]
            pub $name: Option<String>,)*
        }

        impl Flags {
            /// What is set, by the name of the environment variable.
            pub fn values(self) -> BTreeMap<&'static str, String> {
                let all = [$((stringify!($env), self.$name)),*];
                all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            }
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($env)),*];
    };
}

flags! {
    /// Database: sqlite://PATH or postgres://… (default: DATA_DIR/sidebyside.db)
    database_url DATABASE_URL "URL" true;
    /// Mail server: smtp://, smtps:// or smtp://…?tls=required (default: .eml files in DATA_DIR/mail)
    smtp_url SMTP_URL "URL" true;
    /// Name by which we greet the mail server, a full host name (default: the host of BASE_URL, where it is one, else this machine's name)
    smtp_ehlo_name SMTP_EHLO_NAME "NAME" false;
    /// Sender of all mail (default: ORG_NAME at no-reply@localhost)
    mail_from MAIL_FROM "MAILBOX" false;
    /// Where to listen (default: 127.0.0.1:8080)
    bind BIND "ADDRESS:PORT" false;
    /// The address at which people reach this installation; links in mails begin with it (default: http://BIND)
    base_url BASE_URL "URL" false;
    /// Master secret, 32 characters or more; several with commas, of which the first signs (default: DATA_DIR/secret.key, required with PostgreSQL)
    secret_key SECRET_KEY "SECRET" true;
    /// Proxies that are believed about the client's address: addresses or networks, with commas (default: none)
    trusted_proxies TRUSTED_PROXIES "NETWORKS" false;
    /// The header in which they name it: x-forwarded-for or forwarded (default: x-forwarded-for)
    forwarded_header FORWARDED_HEADER "HEADER" false;
    /// on or off (default: on)
    rate_limits RATE_LIMITS "SWITCH" false;
    /// text or json (default: text)
    log_format LOG_FORMAT "FORMAT" false;
    /// Who runs this installation, in a few words (default: Side by Side)
    org_name ORG_NAME "NAME" false;
    /// Address or URL at which people are answered
    contact CONTACT "CONTACT" false;
    /// Address or URL for worries about somebody's safety
    safeguarding_contact SAFEGUARDING_CONTACT "CONTACT" false;
    /// Help lines to show: a TOML file of lines with name, phone, url, hours, about
    help_file HELP_FILE "FILE" false;
    /// Kinds of credentials that facilitators need, with commas; goes before the file's policy
    required_credentials REQUIRED_CREDENTIALS "KINDS" false;
    /// Hours until somebody of the team gets in touch with whoever wishes for it after a run (default: not offered); goes before the file's policy
    care_hours CARE_HOURS "HOURS" false;
    /// Youngest age at which people may sign up; goes before the file's policy
    min_age MIN_AGE "YEARS" false;
    /// Language that groups speak where their run does not say (default: en); goes before the file's policy
    default_language DEFAULT_LANGUAGE "LANGUAGE" false;
    /// Folder whose files take the place of the built-in mail templates
    templates_dir TEMPLATES_DIR "FOLDER" false;
    /// Folder for everything that is kept (default: ./data)
    data_dir DATA_DIR "FOLDER" false;
    /// The file with the policy section (default: sidebyside.toml where there is one)
    config_file CONFIG_FILE "FILE" false;
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.clone().values().keys()).finish()
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings, checked.
#[derive(Clone)]
pub struct Config {
    /// The database. A PostgreSQL URL may hold a password: never log it.
    pub database: Target,
    /// The mail server; none means files in `mail_dir`.
    pub smtp_url: Option<SecretString>,
    /// How this installation calls itself to the mail server; none means the machine's own name. Many servers refuse a
    /// name without a dot, which a machine's often is, above all in a container.
    pub smtp_ehlo_name: Option<String>,
    /// Where mail goes as files: `data_dir/mail`.
    pub mail_dir: PathBuf,
    /// Sender of all mail: a mailbox, with or without a name.
    pub mail_from: String,
    /// Where the server listens.
    pub bind: SocketAddr,
    /// The address at which people reach us, without a slash at its end.
    pub base_url: String,
    /// The master secrets.
    pub secret_keys: SecretKeys,
    /// Whether to go on with a secret that the database does not know.
    pub new_secret: bool,
    /// Proxies whose word about the caller's address is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header in which they name the caller's address.
    pub forwarded_header: ForwardedHeader,
    /// Whether there are rate limits.
    pub rate_limits: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Who runs this installation.
    pub org_name: String,
    /// Address or URL at which people are answered.
    pub contact: Option<String>,
    /// Address or URL for worries about somebody's safety.
    pub safeguarding_contact: Option<String>,
    /// The help lines that people are shown.
    pub help: HelpLines,
    /// Folder with own mail templates.
    pub templates_dir: Option<PathBuf>,
    /// Folder for everything that is kept.
    pub data_dir: PathBuf,
    /// The rules of the house.
    pub policy: Policy,
    /// What the log should say once there is one: defaults that a real installation will want to change.
    pub notes: Vec<String>,
}

impl Config {
    /// Whether `ORG_NAME` says who runs the installation.
    pub fn has_own_org_name(&self) -> bool {
        !self.org_name.trim().eq_ignore_ascii_case(DEFAULT_ORG_NAME)
    }
}

impl fmt::Debug for Config {
    /// Names every field, so that a new one cannot be shown by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[rustfmt::skip]
        let Self {
            database, smtp_url, smtp_ehlo_name, mail_dir, mail_from, bind, base_url, secret_keys, new_secret,
            trusted_proxies, forwarded_header, rate_limits, log_format, org_name, contact, safeguarding_contact, help, templates_dir,
            data_dir, policy, notes,
        } = self;
        let database: &dyn fmt::Debug = match database {
            Target::Sqlite(path) => path,
            Target::Postgres(_) => &"postgres://[REDACTED]",
        };
        f.debug_struct("Config")
            .field("database", database)
            .field("smtp_url", smtp_url)
            .field("smtp_ehlo_name", smtp_ehlo_name)
            .field("mail_dir", mail_dir)
            .field("mail_from", mail_from)
            .field("bind", bind)
            .field("base_url", base_url)
            .field("secret_keys", secret_keys)
            .field("new_secret", new_secret)
            .field("trusted_proxies", trusted_proxies)
            .field("forwarded_header", forwarded_header)
            .field("rate_limits", rate_limits)
            .field("log_format", log_format)
            .field("org_name", org_name)
            .field("contact", contact)
            .field("safeguarding_contact", safeguarding_contact)
            .field("help", help)
            .field("templates_dir", templates_dir)
            .field("data_dir", data_dir)
            .field("policy", policy)
            .field("notes", notes)
            .finish()
    }
}

/// One thing that is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The environment variable, or `[policy] name` of the file.
    pub setting: String,
    /// What is wrong, in words, and never a secret.
    pub problem: String,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFaults(pub Vec<ConfigFault>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.0.iter().map(|ConfigFault { setting, problem }| format!("{setting}: {problem}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigFaults {}

impl Config {
    /// The mail server's URL with its password.
    pub fn smtp_url(&self) -> Option<String> {
        use secrecy::ExposeSecret;
        self.smtp_url.as_ref().map(|url| url.expose_secret().to_owned())
    }

    /// The domain that Message-IDs end with: that of `MAIL_FROM`.
    pub fn mail_host(&self) -> &str {
        self.mail_from.rsplit('@').next().map_or("localhost", |host| host.trim_end_matches(['>', ' ']))
    }

    /// Whether an address is a proxy that is believed about its client's address.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// Reads and checks all settings.
///
/// # Errors
/// All faults at once.
pub fn load(flags: Flags, new_secret: bool) -> Result<Config, ConfigFaults> {
    let mut values = flags.values();
    if new_secret {
        values.insert(NEW_SECRET, String::new());
    }
    let named = values.get("CONFIG_FILE").map(|path| path.trim()).filter(|path| !path.is_empty());
    let path = Path::new(named.unwrap_or("sidebyside.toml"));
    match std::fs::read_to_string(path) {
        Ok(text) => from_values(&values, Some(&text)),
        Err(fault) if named.is_none() && fault.kind() == std::io::ErrorKind::NotFound => from_values(&values, None),
        Err(fault) => {
            let problem = format!("{} cannot be read: {fault}", path.display());
            let mut faults = ConfigFaults(vec![ConfigFault { setting: "CONFIG_FILE".to_owned(), problem }]);
            faults.0.extend(from_values(&values, None).err().into_iter().flat_map(|others| others.0));
            Err(faults)
        }
    }
}

/// Checks settings that were read already: values by the name of their environment variable, and the text of
/// `sidebyside.toml`. Reads the help and secret files that they name; makes the secret file only where all is well.
///
/// # Errors
/// All faults at once.
pub fn from_values(values: &BTreeMap<&str, String>, toml: Option<&str>) -> Result<Config, ConfigFaults> {
    let mut reader = Reader { values, faults: Vec::new() };
    let mut notes = Vec::new();
    let data_dir = reader.read("DATA_DIR", new_folder).unwrap_or_else(|| PathBuf::from("./data"));
    let database =
        reader.read("DATABASE_URL", Target::parse).unwrap_or_else(|| Target::Sqlite(data_dir.join("sidebyside.db")));
    let smtp_url = reader.read("SMTP_URL", smtp_url);
    let smtp_ehlo_name = reader.read("SMTP_EHLO_NAME", ehlo_name);
    let org_name = reader.read("ORG_NAME", line).unwrap_or_else(|| DEFAULT_ORG_NAME.to_owned());
    let mail_from = reader.read("MAIL_FROM", mailbox);
    let bind = reader.read("BIND", bind).unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
    let base_url = reader.read("BASE_URL", base_url);
    let policy = policy::read(&mut reader, toml);
    let config = Config {
        smtp_url,
        smtp_ehlo_name: smtp_ehlo_name.or_else(|| base_url.as_deref().and_then(host_with_a_dot)),
        mail_dir: data_dir.join("mail"),
        mail_from: mail_from.unwrap_or_else(|| {
            if reader.text("SMTP_URL").is_some() {
                notes.push(
                    "MAIL_FROM is not set: mail comes from no-reply@localhost, which many servers refuse".to_owned(),
                );
            }
            default_sender(&org_name)
        }),
        bind,
        base_url: base_url.unwrap_or_else(|| {
            let local = format!("http://{}", reachable(bind));
            if !bind.ip().is_loopback() {
                notes.push(format!("BASE_URL is not set: links in mails lead to {local}, which others cannot open"));
            }
            local
        }),
        trusted_proxies: reader.read("TRUSTED_PROXIES", networks).unwrap_or_default(),
        forwarded_header: reader.read("FORWARDED_HEADER", ForwardedHeader::from_str).unwrap_or_default(),
        rate_limits: reader.read("RATE_LIMITS", |text| one_of(text, [("on", true), ("off", false)])).unwrap_or(true),
        log_format: reader
            .read("LOG_FORMAT", |text| one_of(text, [("text", LogFormat::Text), ("json", LogFormat::Json)]))
            .unwrap_or(LogFormat::Text),
        contact: reader.read("CONTACT", contact),
        safeguarding_contact: reader.read("SAFEGUARDING_CONTACT", contact),
        help: reader.read_all("HELP_FILE", |path| HelpLines::load(Path::new(path))).unwrap_or_default(),
        templates_dir: reader.read("TEMPLATES_DIR", folder),
        policy,
        // The last of all: it makes a file, which should not happen while anything is wrong.
        secret_keys: secrets::find(&mut reader, &data_dir, &database, &mut notes),
        new_secret: values.contains_key(NEW_SECRET),
        database,
        org_name,
        data_dir,
        notes,
    };
    if reader.faults.is_empty() { Ok(config) } else { Err(ConfigFaults(reader.faults)) }
}

/// Reads values and collects what is wrong with them.
struct Reader<'a> {
    values: &'a BTreeMap<&'a str, String>,
    faults: Vec<ConfigFault>,
}

impl<'a> Reader<'a> {
    /// The value, if it is there and not empty.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value as `parse` reads it; none when it is not there or wrong.
    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read_all(name, |text| parse(text).map_err(|problem| vec![problem]))
    }

    /// [`read`](Self::read) for values in which several things can be wrong.
    fn read_all<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, Vec<String>>) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.fault(name, problem));
                None
            }
        }
    }

    fn fault(&mut self, setting: &str, problem: impl Into<String>) {
        self.faults.push(ConfigFault { setting: setting.to_owned(), problem: problem.into() });
    }
}

/// The mail floor reads the URL in earnest; it never shows it, since it may hold a password.
fn smtp_url(text: &str) -> Result<SecretString, String> {
    match Transport::from_url(Some(text), None, Path::new("")) {
        Ok(_) => Ok(SecretString::from(text)),
        Err(fault) => Err(fault.to_string().trim_start_matches("SMTP_URL: ").to_owned()),
    }
}

/// Longest name of a host, and of one part of it, in characters (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A host name, or an address in brackets as RFC 5321, section 4.1.3, writes it.
fn ehlo_name(text: &str) -> Result<String, String> {
    let is_address = |inside: &str| match inside.strip_prefix("IPv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => inside.parse::<Ipv4Addr>().is_ok(),
    };
    let fine = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inside) => is_address(inside),
        None => is_host_name(text),
    };
    if fine {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" is no host name such as mail.example.org, nor an address such as [192.0.2.1]"))
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = text.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    text.len() <= HOST_MAX && text.split('.').all(is_label) && !is_number
}

/// The host of a URL, if it is a name that servers take for a real one.
fn host_with_a_dot(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.host_str().filter(|host| host.contains('.') && is_host_name(host)).map(str::to_owned)
}

fn mailbox(text: &str) -> Result<String, String> {
    let fault = |_| format!("\"{text}\" is no mailbox such as Side by Side <hello@example.org>");
    let mailbox = Mailbox::from_str(&line(text)?).map_err(fault)?;
    // A name within this machine is fine for a first try.
    if !mailbox.email.domain().eq_ignore_ascii_case("localhost") {
        email::parse(mailbox.email.as_ref()).map_err(|fault| fault.to_string())?;
    }
    Ok(mailbox.to_string())
}

/// A line in which people find somebody; one that is an address must be one that mail reaches.
fn contact(text: &str) -> Result<String, String> {
    let text = line(text)?;
    let is_address = text.contains('@') && !text.contains("://") && !text.contains(char::is_whitespace);
    if !is_address {
        return Ok(text);
    }
    email::parse(&text).map_err(|fault| fault.to_string())?;
    Ok(text)
}

/// The name is quoted where it has to be.
fn default_sender(org_name: &str) -> String {
    match Address::new("no-reply", "localhost") {
        Ok(address) => Mailbox::new(Some(org_name.to_owned()), address).to_string(),
        Err(_) => "no-reply@localhost".to_owned(),
    }
}

fn bind(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no address with a port, such as 127.0.0.1:8080 or [::]:8080"))
}

/// The address to call for one that means "all of this machine's".
fn reachable(bind: SocketAddr) -> SocketAddr {
    match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, bind.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, bind.port()).into(),
        _ => bind,
    }
}

fn base_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|fault| fault.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("start it with https:// (or http://) and the name of the host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it may have a host, a port and a path, nothing else".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn networks(text: &str) -> Result<Vec<Network>, String> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(Network::from_str).collect()
}

fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(path) } else { Err(format!("{text} is no folder")) }
}

/// A folder that is made when there is something to put in it.
fn new_folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() || !path.exists() { Ok(path) } else { Err(format!("{text} is no folder")) }
}

/// A line that goes into mails and their headers.
fn line(text: &str) -> Result<String, String> {
    if text::line_fault(text).is_some() {
        return Err("it must be one line without control characters".to_owned());
    }
    if text.chars().count() > LINE_MAX {
        return Err(format!("at most {LINE_MAX} characters"));
    }
    Ok(text.to_owned())
}

fn one_of<T: Copy, const N: usize>(text: &str, words: [(&str, T); N]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
    found.ok_or_else(|| format!("\"{text}\" is not {}", words.map(|(word, _)| word).join(" or ")))
}

#[cfg(test)]
mod tests;
