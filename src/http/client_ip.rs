//! The address that a request comes from: the peer's, or what trusted proxies say it is.
//!
//! Every proxy appends what it saw, so the list is read from its right end, over all lines, as far as trusted proxies
//! wrote it: what stands further left was written by somebody else. A trusted proxy that names no readable address does
//! not make its clients the proxy: they count as one unknown client, so that who hides cannot use up what the proxy
//! itself (such as for its health checks) and clients with a name may do.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Once,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::{Payload, RequestHead},
    http::header::HeaderMap,
};

use super::{Problem, extract::app};
use crate::config::{Config, ForwardedHeader};

/// All clients for whom a trusted proxy names no readable address.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address of the client, IPv4 also where it was written as IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    /// Reads it from the peer and the header that the settings name.
    pub fn of(head: &RequestHead, config: &Config) -> Self {
        let peer = head.peer_addr.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip());
        Self(walk(peer, &hops(head.headers(), config.forwarded_header), |ip| config.trusts(ip)))
    }
}

impl FromRequest for ClientIp {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(app(request).map(|app| Self::of(request.head(), &app.config)))
    }
}

/// The first address, beginning with the peer, that is no trusted proxy; where all are, the furthest one.
fn walk(peer: IpAddr, hops: &[Option<IpAddr>], is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer.to_canonical();
    for hop in hops {
        if !is_trusted(client) {
            return client;
        }
        let Some(address) = hop else {
            static TOLD: Once = Once::new();
            let words = "a trusted proxy names no readable address of its client: such clients share their limits";
            TOLD.call_once(|| tracing::warn!("{words} (TRUSTED_PROXIES, FORWARDED_HEADER)"));
            return UNKNOWN;
        };
        client = address.to_canonical();
    }
    client
}

/// The hops that the header lists, from the right; none for one that cannot be read.
fn hops(headers: &HeaderMap, header: ForwardedHeader) -> Vec<Option<IpAddr>> {
    let lines: Vec<&[u8]> = headers.get_all(header.name()).map(|value| value.as_bytes()).collect();
    let read = |line: &&[u8]| match header {
        ForwardedHeader::XForwardedFor => x_forwarded_for(line),
        ForwardedHeader::Forwarded => forwarded(line),
    };
    lines.iter().rev().flat_map(read).collect()
}

/// The hops of one line of `X-Forwarded-For`, from the right. Empty elements count for nothing (RFC 9110, 5.6.1).
fn x_forwarded_for(line: &[u8]) -> Vec<Option<IpAddr>> {
    let elements = line.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
    elements.map(|element| std::str::from_utf8(element).ok().and_then(address)).collect()
}

/// The hops of one line of `Forwarded` (RFC 7239), from the right. A line that is not well-formed is one unreadable hop:
/// a quotation mark that somebody opened could hide what a proxy appended.
fn forwarded(line: &[u8]) -> Vec<Option<IpAddr>> {
    let hops = std::str::from_utf8(line).ok().and_then(|line| {
        let elements = split(line, ',')?.into_iter().filter(|element| !element.is_empty());
        elements.map(forwarded_for).collect::<Option<Vec<_>>>()
    });
    let mut hops = hops.unwrap_or_else(|| vec![None]);
    hops.reverse();
    hops
}

/// The address in the `for` of one element, none within where it has no readable one; none where it is malformed.
fn forwarded_for(element: &str) -> Option<Option<IpAddr>> {
    let mut found = None;
    for pair in split(element, ';')?.into_iter().filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case("for") && found.replace(address(&value)).is_some() {
            return None;
        }
    }
    Some(found.flatten())
}

/// Splits outside of quoted strings; none when one does not end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if c == separator && !is_quoted => {
                parts.push(text[start..at].trim());
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    (!is_quoted).then_some(parts)
}

/// A token as it stands, or the content of a string that is quoted as a whole.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else { return (!value.contains('"')).then(|| value.to_owned()) };
    let (mut content, mut chars) = (String::new(), inner.strip_suffix('"')?.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => content.push(chars.next()?),
            c => content.push(c),
        }
    }
    Some(content)
}

/// An address with or without port and brackets, as proxies write it. RFC 7239 also has ports that are hidden (`:_name`).
fn address(text: &str) -> Option<IpAddr> {
    let is_port =
        |port: &str| !port.is_empty() && port.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let is_end = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return inner.split('%').next().filter(|_| is_end)?.parse().ok().map(IpAddr::V6);
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => host.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4),
        Some(_) => text.split('%').next()?.parse().ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::config::Network;

    fn client(header: ForwardedHeader, peer: &str, lines: &[&str]) -> String {
        let trusted: Vec<Network> =
            ["10.0.0.0/8", "127.0.0.1", "fd00::/8"].iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HeaderName::from_static(header.name()), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusts = |ip| trusted.iter().any(|network| network.contains(ip));
        walk(peer.parse().unwrap(), &hops(&headers, header), trusts).to_string()
    }

    fn x(peer: &str, lines: &[&str]) -> String {
        client(ForwardedHeader::XForwardedFor, peer, lines)
    }

    fn f(peer: &str, lines: &[&str]) -> String {
        client(ForwardedHeader::Forwarded, peer, lines)
    }

    #[test]
    fn header_of_an_untrusted_peer_is_not_read() {
        assert_eq!(x("203.0.113.9", &["192.0.2.1"]), "203.0.113.9");
        assert_eq!(x("::ffff:203.0.113.9", &["192.0.2.1"]), "203.0.113.9");
        assert_eq!(f("203.0.113.9", &["for=192.0.2.1"]), "203.0.113.9");
    }

    #[test]
    fn rightmost_untrusted_hop_is_the_client() {
        for (lines, wanted) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1, 10.0.0.2", "10.0.0.3"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1,,", ""], "192.0.2.1"),
            (&["garbage, 192.0.2.1"], "192.0.2.1"),
            (&["\u{fc}, 192.0.2.1"], "192.0.2.1"),
            (&[][..], "127.0.0.1"),
            (&["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
        ] {
            assert_eq!(x("127.0.0.1", lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        for (written, wanted) in [
            ("192.0.2.1:5678", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[fe80::1%eth0]:443", "fe80::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("  192.0.2.1  ", "192.0.2.1"),
        ] {
            assert_eq!(x("10.0.0.1", &["6.6.6.6", written]), wanted, "{written}");
        }
    }

    #[test]
    fn unreadable_hop_of_a_trusted_proxy_is_the_unknown_client() {
        for written in [
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:a b",
            "[192.0.2.1]",
            "[2001:db8::1",
            "010.0.0.1",
            "[2001:db8::1]x",
            "localhost",
            "1.2.3.4.5",
        ] {
            assert_eq!(x("10.0.0.1", &["6.6.6.6", written]), "0.0.0.0", "{written}");
        }
    }

    #[test]
    fn forwarded_is_read_with_quotes_ports_and_hidden_names() {
        for (lines, wanted) in [
            (&["for=192.0.2.1"][..], "192.0.2.1"),
            (&["for=6.6.6.6", "For=\"192.0.2.1:47011\";proto=https"], "192.0.2.1"),
            (&["for=6.6.6.6, for=\"[2001:db8:cafe::17]:4711\";by=10.0.0.1"], "2001:db8:cafe::17"),
            (&["for=\"192.0.2.1:_port\", for=10.0.0.2"], "192.0.2.1"),
            (&["by=10.0.0.1;host=\"a, for=6.6.6.6\";for=192.0.2.1"], "192.0.2.1"),
            (&["for=192.0.2.1;host=\"a, for=6.6.6.6\""], "192.0.2.1"),
            (&["for=\"192.0.2\\.1\""], "192.0.2.1"),
            (&["for=unknown"], "0.0.0.0"),
            (&["for=6.6.6.6, for=_hidden"], "0.0.0.0"),
            (&["proto=https"], "0.0.0.0"),
            // A quotation mark that somebody opened does not hide what a proxy appended to the line, or to the next one.
            (&["for=6.6.6.6;x=\", for=192.0.2.1"], "0.0.0.0"),
            (&["for=6.6.6.6;x=\", for=\"192.0.2.1:80\";host=\"b\""], "0.0.0.0"),
            (&["for=6.6.6.6;x=\"", "for=192.0.2.1"], "192.0.2.1"),
            (&["for=6.6.6.6;for=192.0.2.1"], "0.0.0.0"),
            (&["192.0.2.1"], "0.0.0.0"),
            (&[][..], "10.0.0.1"),
        ] {
            assert_eq!(f("10.0.0.1", lines), wanted, "{lines:?}");
        }
    }
}
