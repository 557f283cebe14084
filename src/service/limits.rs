//! Budgets: how often something may be tried, held across processes by counters in the database.
//!
//! Fixed windows: cheap, and nobody gets more than twice the limit across a border. Subjects are keyed hashes, so that
//! the counters tell no addresses. Whoever spends does so in a transaction of its own before the act: a try counts even
//! if the act fails.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    auth::AddressHasher,
    clock::Instant,
    domain::{account::normalise_email, address::AddressHashes},
    error::{Error, Result},
    service::addresses,
    store::{Tx, limits},
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

/// Log-ins with one address: a password of 15 characters is not guessed in 10 tries.
pub const LOG_IN_ADDRESS: Budget = Budget::new("log-in-address", 10, QUARTER_HOUR);
/// Log-ins from one client: a club house behind one address has many members.
pub const LOG_IN_CLIENT: Budget = Budget::new("log-in-client", 50, QUARTER_HOUR);
/// Registrations from one client.
pub const REGISTRATION: Budget = Budget::new("registration", 20, HOUR);
/// Requests for mails to addresses (resend, reset) from one client.
pub const MAIL_REQUEST: Budget = Budget::new("mail-request", 50, HOUR);
/// Tries to use links that cost a password hash, from one client.
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
    let used = limits::hit(tx, &format!("{}:{subject_key}", budget.name), start)?;
    Ok((i64::from(used), start.plus_seconds(i64::from(budget.window_s))))
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
    /// Whether mails to it are counted.
    pub limited: bool,
}

impl Addressee {
    /// The addressee behind what was typed.
    pub fn new(hasher: &AddressHasher, typed: &str, limited: bool) -> Self {
        Self { email: normalise_email(typed), hashes: addresses::hashes(hasher, typed), limited }
    }
}

/// Counts a mail that anybody can ask for, and says whether it may go. Beyond the budget nothing goes and nobody is told:
/// no mail bombs, and no hint whether somebody has an account. Counted with the mail, in the act's transaction.
pub fn may_mail(tx: &mut Tx<'_>, to: &Addressee, now: Instant) -> Result<bool> {
    if !to.limited {
        return Ok(true);
    }
    let mut within = true;
    for budget in MAILS {
        let (used, _) = hit(tx, budget, &to.hashes.mailbox, now)?;
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
