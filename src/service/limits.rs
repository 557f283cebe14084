//! Budgets: how often something may be tried, held across processes by counters in the database.
//!
//! Fixed windows: cheap, and nobody gets more than twice the limit across a border. Subjects are keyed hashes, so that
//! the counters tell no addresses. Whoever spends does so in a transaction of its own before the act: a try counts even
//! if the act fails.

pub mod acts;

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    auth::AddressHasher,
    clock::Instant,
    domain::{account::normalise_email, address::AddressHashes},
    error::{Error, Result},
    id::Id,
    service::addresses,
    store::{Tx, known_networks, limits},
};

/// How often one subject may do something in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// As it stands in `RateLimit-Policy`.
    pub name: &'static str,
    /// Tries in a window.
    pub limit: u32,
    /// Seconds of a window.
    pub window_s: u32,
}

impl Budget {
    const fn new(name: &'static str, limit: u32, window_s: u32) -> Self {
        Self { name, limit, window_s }
    }
}

const QUARTER_HOUR: u32 = 15 * 60;
const HOUR: u32 = 60 * 60;
const DAY: u32 = 24 * HOUR;

/// Log-ins with one address from one network: a password of 15 characters is not guessed in 10 tries.
const LOG_IN_ADDRESS: Budget = Budget::new("log-in-address", 10, QUARTER_HOUR);
/// Log-ins from one network: a club house behind one address has many members.
const LOG_IN_CLIENT: Budget = Budget::new("log-in-client", 50, QUARTER_HOUR);
/// Log-ins with one address from all networks where nobody has logged in with it: whoever has many networks gets no
/// more than that. NIST SP 800-63B-4 (3.2.2) allows 100 tries in a row.
const LOG_IN_ELSEWHERE: Budget = Budget::new("log-in-elsewhere", 50, HOUR);
/// Log-ins with one address from a network where its owner has logged in before.
const LOG_IN_KNOWN_NETWORK: Budget = Budget::new("log-in-known-network", 10, QUARTER_HOUR);
/// Log-ins from a device that shows by its token that its owner has logged in there before.
const LOG_IN_KNOWN_DEVICE: Budget = Budget::new("log-in-known-device", 10, QUARTER_HOUR);
/// Tries to tell one's current password, by account: whoever tries has a session.
pub const PASSWORD_CHANGE: Budget = Budget::new("password-change", 10, QUARTER_HOUR);
/// Days for which a network is known after a log-in.
pub const NETWORK_KNOWN_DAYS: i64 = 90;
/// Registrations from one client.
pub const REGISTRATION: Budget = Budget::new("registration", 20, HOUR);
/// Requests for mails to addresses (resend, reset) from one client.
pub const MAIL_REQUEST: Budget = Budget::new("mail-request", 50, HOUR);
/// Tries to use one link where each costs a password hash.
pub const LINK_USE: Budget = Budget::new("link-use", 20, QUARTER_HOUR);
/// Mails to one address that anybody can ask for, in an hour and in a day.
const MAILS: [Budget; 2] = [Budget::new("mails-an-hour", 5, HOUR), Budget::new("mails-a-day", 20, DAY)];

/// Counts one try.
///
/// # Errors
/// [`Error::Limited`] when the window is used up.
pub fn spend(tx: &mut Tx<'_>, budget: Budget, subject_key: &str, now: Instant) -> Result<()> {
    let (used, window_end) = hit(tx, budget, subject_key, now)?;
    if used <= i64::from(budget.limit) {
        return Ok(());
    }
    let Budget { name, limit, window_s } = budget;
    let retry_after_s = u32::try_from(window_end.seconds_since(now)).unwrap_or(0).saturating_add(1);
    Err(Error::Limited { policy: name, limit, window_s, retry_after_s })
}

fn hit(tx: &mut Tx<'_>, budget: Budget, subject_key: &str, now: Instant) -> Result<(i64, Instant)> {
    let start = window_start(now, budget.window_s);
    let used = limits::hit(tx, &bucket(budget, subject_key), start)?;
    Ok((i64::from(used), start.plus_seconds(i64::from(budget.window_s))))
}

fn bucket(budget: Budget, subject_key: &str) -> String {
    format!("{}:{subject_key}", budget.name)
}

fn window_start(now: Instant, window_s: u32) -> Instant {
    let second = now.timestamp().as_second();
    let start = second - second.rem_euclid(i64::from(window_s));
    start.checked_mul(1_000_000).and_then(Instant::from_micros).unwrap_or(now)
}

/// An address that somebody typed: its one spelling, and the keyed hashes under which bans and budgets know it.
#[derive(Debug, Clone)]
pub struct Addressee {
    /// As [`normalise_email`] leaves it.
    pub email: String,
    /// By the installation's [`AddressHasher`].
    pub hashes: AddressHashes,
    /// By whom a mail to it is asked for.
    origin: LogInOrigin,
    /// Whether mails to it are counted.
    pub limited: bool,
}

impl Addressee {
    /// The addressee behind what was typed.
    pub fn new(hasher: &AddressHasher, typed: &str, ip: IpAddr, limited: bool) -> Self {
        Self {
            email: normalise_email(typed),
            hashes: addresses::hashes(hasher, typed),
            origin: LogInOrigin::new(hasher, typed, ip),
            limited,
        }
    }
}

/// Counts a mail that anybody can ask for, and says whether it may go. Beyond the budget nothing goes and nobody is told:
/// no mail bombs, and no hint whether somebody has an account. Counted with the mail, in the act's transaction. A network
/// where the owner has logged in has a budget of its own, so that nobody elsewhere can keep a reset from them.
pub fn may_mail(tx: &mut Tx<'_>, to: &Addressee, now: Instant) -> Result<bool> {
    if !to.limited {
        return Ok(true);
    }
    let known = to.origin.is_known(tx, now)?;
    let subject = if known { &to.origin.pair } else { &to.hashes.mailbox };
    let mut within = true;
    for budget in MAILS {
        let (used, _) = hit(tx, budget, subject, now)?;
        within &= used <= i64::from(budget.limit);
    }
    Ok(within)
}

/// The network that counts as one client: an IPv4 address by itself, also where it is written as IPv6, and the /64 of
/// an IPv6 address, since whoever has one address there has all of them (RFC 6177).
pub fn client_network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ipv4 => ipv4,
    }
}

/// From where somebody tries to log in with an address.
///
/// Wrong passwords from elsewhere must not keep the owner out, and a client of an API keeps no cookie by itself: so a
/// network counts as known where the owner has logged in, and a client that keeps the `device_token` of a log-in is known
/// wherever it is, also behind an address that it shares with whoever guesses.
#[derive(Debug, Clone)]
pub struct LogInOrigin {
    /// Keyed hash of the address.
    address: String,
    /// Keyed hash of the network.
    client: String,
    /// Keyed hash of both together.
    pair: String,
    /// The device, when its token was made for this address.
    device: Option<String>,
}

impl LogInOrigin {
    /// The origin of a log-in with an address, however it was typed.
    pub fn new(hasher: &AddressHasher, email: &str, ip: IpAddr) -> Self {
        let (address, client) = (hasher.hash(&normalise_email(email)), client_key(hasher, ip));
        Self { pair: hasher.hash(&format!("{address} {client}")), address, client, device: None }
    }

    /// The same with a device that showed its token.
    pub fn with_device(self, device: Option<String>) -> Self {
        Self { device, ..self }
    }

    fn is_known(&self, tx: &mut Tx<'_>, now: Instant) -> Result<bool> {
        known_networks::is_known(tx, &self.pair, now.plus_days(-NETWORK_KNOWN_DAYS))
    }
}

/// Counts a try to log in: by device or network where one is known, else by address and network, by network, and by
/// address over all networks that are not known. Costs the same for every address.
///
/// # Errors
/// [`Error::Limited`] when the budget is used up.
pub fn spend_log_in(tx: &mut Tx<'_>, origin: &LogInOrigin, now: Instant) -> Result<()> {
    if let Some(device) = &origin.device {
        let (used, _) = hit(tx, LOG_IN_KNOWN_DEVICE, device, now)?;
        if used <= i64::from(LOG_IN_KNOWN_DEVICE.limit) {
            return Ok(());
        }
    }
    if origin.is_known(tx, now)? {
        return spend(tx, LOG_IN_KNOWN_NETWORK, &origin.pair, now);
    }
    spend(tx, LOG_IN_ADDRESS, &origin.pair, now)?;
    spend(tx, LOG_IN_CLIENT, &origin.client, now)?;
    spend(tx, LOG_IN_ELSEWHERE, &origin.address, now)
}

/// Notes that the owner of an address logged in: from now on the network is known, and tries from there count no more.
pub fn let_in(tx: &mut Tx<'_>, origin: &LogInOrigin, account: Id, now: Instant) -> Result<()> {
    known_networks::note(tx, &origin.pair, account, now)?;
    limits::clear(tx, &bucket(LOG_IN_ADDRESS, &origin.pair))?;
    limits::clear(tx, &bucket(LOG_IN_KNOWN_NETWORK, &origin.pair))?;
    match &origin.device {
        Some(device) => limits::clear(tx, &bucket(LOG_IN_KNOWN_DEVICE, device)),
        None => Ok(()),
    }
}

/// Notes that the owner of an address proved by mail that it is theirs: they get in from where they are, whatever was
/// tried before, and from elsewhere until others have used up the budget once more.
pub fn let_in_by_mail(tx: &mut Tx<'_>, origin: &LogInOrigin, account: Id, now: Instant) -> Result<()> {
    let_in(tx, origin, account, now)?;
    limits::clear(tx, &bucket(LOG_IN_ELSEWHERE, &origin.address))
}

/// The subject key of a client: the keyed hash of its [`client_network`].
pub fn client_key(hasher: &AddressHasher, ip: IpAddr) -> String {
    hasher.hash(&client_network(ip).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_whole_multiples_of_their_length() {
        let now: Instant = "2026-11-22T10:29:59.9Z".parse().unwrap();
        assert_eq!(window_start(now, QUARTER_HOUR), "2026-11-22T10:15:00Z".parse().unwrap());
        assert_eq!(window_start(now, DAY), "2026-11-22T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let hasher = AddressHasher::new([7; 32]);
        let key = |ip: &str| client_key(&hasher, ip.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert!(!key("192.0.2.1").contains("192"));
    }
}
