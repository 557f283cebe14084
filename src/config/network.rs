//! An address or a network of addresses, for the proxies that are trusted, and the header that they write.

use std::{net::IpAddr, str::FromStr};

/// A network such as `10.0.0.0/8`; a single address is one with all its bits fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether `address` lies in it; an IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((one, bits), (other, other_bits)) = (bits(self.address), bits(address.to_canonical()));
        let beyond = bits - self.prefix;
        bits == other_bits && one.checked_shr(beyond).unwrap_or(0) == other.checked_shr(beyond).unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("\"{text}\" is no address or network such as 10.0.0.1 or 10.0.0.0/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = address.parse::<IpAddr>().map_err(|_| fault())?.to_canonical();
        let (_, most) = bits(address);
        let prefix = prefix.map_or(Ok(most), |prefix| prefix.parse().map_err(|_| fault()))?;
        if prefix > most { Err(fault()) } else { Ok(Self { address, prefix }) }
    }
}

/// The header in which trusted proxies name the client's address. Only one is read: a proxy passes the other on as the
/// client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, as nearly all proxies write it.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

impl ForwardedHeader {
    /// The name of the header, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

impl FromStr for ForwardedHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::XForwardedFor, Self::Forwarded];
        let found = known.into_iter().find(|header| header.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("\"{text}\" is not x-forwarded-for or forwarded"))
    }
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_its_own_addresses_only() {
        assert!(within("10.0.0.0/8", "10.255.0.1") && !within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("10.0.0.1", "10.0.0.1") && !within("10.0.0.1", "10.0.0.2"));
        assert!(within("0.0.0.0/0", "203.0.113.9") && !within("0.0.0.0/0", "2001:db8::1"));
        assert!(within("fd00::/8", "fd12::1") && !within("fd00::/8", "fe80::1"));
        assert!(within("::/0", "2001:db8::1") && !within("::/0", "10.0.0.1"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3") && within("::ffff:10.0.0.1", "10.0.0.1"));
    }

    #[test]
    fn header_of_the_proxies_is_one_of_two() {
        assert_eq!("X-Forwarded-For".parse(), Ok(ForwardedHeader::XForwardedFor));
        assert_eq!("forwarded".parse(), Ok(ForwardedHeader::Forwarded));
        for wrong in ["x-real-ip", "x-forwarded-for, forwarded"] {
            assert!(wrong.parse::<ForwardedHeader>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/", "10.0.0", "proxy.example.org"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
