//! Where a server is: the text that a user gives, and the addresses behind it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::limits::{CLIENT_ADDRESSES_MAX, CLIENT_RESOLVE_SECONDS_MAX, HOST_NAME_BYTES_MAX};

const THIS_MACHINE: &str = "127.0.0.1";

/// A host, which is a name or an IP address, and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The name or the IP address, without brackets.
    pub host: String,
    /// The port; never zero.
    pub port: u16,
}

/// Why a text names no place, or why there is no address behind it.
#[derive(Debug, Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("the address is empty: leave it out for this machine, or give a host, a port, or HOST:PORT")]
    Empty,
    /// A URL.
    #[error("`{text}` is a URL, and {scheme} is not spoken here: give HOST:PORT alone, such as `{hint}`")]
    Url {
        /// The rejected text.
        text: String,
        /// Its scheme.
        scheme: String,
        /// The suggested address.
        hint: String,
    },
    /// It has a path, as URLs have.
    #[error("`{text}` has a path behind the host: give HOST:PORT alone, such as `{hint}`")]
    Path {
        /// The rejected text.
        text: String,
        /// The suggested address.
        hint: String,
    },
    /// A user before the host.
    #[error("`{text}` has a user in front of the host: give HOST:PORT alone, such as `{hint}`")]
    User {
        /// The rejected text.
        text: String,
        /// The suggested address.
        hint: String,
    },
    /// What stands behind the colon is no port.
    #[error("`{0}` is no port: a port is a number from 1 to 65535")]
    Port(String),
    /// Several colons without brackets, and no IPv6 address.
    #[error("`{0}` is no IPv6 address; with a port it is written [ADDRESS]:PORT, such as [2001:db8::1]:4000")]
    Brackets(String),
    /// A port, and no host in the brackets.
    #[error("`{0}` has no host: leave it out for this machine, or give HOST:PORT")]
    NoHost(String),
    /// An empty label.
    #[error("`{0}` is no name of a machine: a part between two dots, or in front of the first, is empty")]
    EmptyLabel(String),
    /// Longer than the name of a machine can be.
    #[error(
        "the host name has {0} bytes: no name of a machine has more than {HOST_NAME_BYTES_MAX}, \
         or more than 63 between two dots"
    )]
    TooLong(usize),
    /// A character that is in no name of a machine.
    #[error("`{0}` is no name of a machine: white space or a control character is in it")]
    Character(String),
    /// The name has no address.
    #[error("no server is found under {place}: {cause}")]
    Unknown {
        /// What was looked up.
        place: Place,
        /// What the system said.
        cause: io::Error,
    },
    /// The system took too long.
    #[error(
        "no server is found under {0}: no address came within {CLIENT_RESOLVE_SECONDS_MAX} s; \
         is the name server reachable?"
    )]
    Slow(Place),
}

impl AddressError {
    /// Whether the text is wrong, whatever the network says.
    pub fn is_of_text(&self) -> bool {
        !matches!(self, Self::Unknown { .. } | Self::Slow(_))
    }
}

impl Place {
    /// Reads a host, a port or both (`example.org`, `4444`, `example.org:4444`, `[::1]:4444`). A missing host
    /// is this machine, a missing port the given one.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        check_shape(text)?;
        let (host, port) = split(text, default_port)?;
        check_host(host, text)?;
        Ok(Self { host: host.to_owned(), port })
    }

    /// All addresses behind the host, in the order in which the system prefers them (RFC 6724), at most
    /// [`CLIENT_ADDRESSES_MAX`]. An IP address is taken as it is.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, AddressError> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let (tell, told) = channel();
        let looked_up = (self.host.clone(), self.port);
        // The system's resolver has no deadline. A lookup that takes too long is left to itself.
        let spawned = thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let found = looked_up.to_socket_addrs().map(|found| found.take(CLIENT_ADDRESSES_MAX).collect());
            // Nobody listens after the deadline.
            let _ = tell.send(found);
        });
        let unknown = |cause| AddressError::Unknown { place: self.clone(), cause };
        spawned.map_err(unknown)?;
        let found: Vec<_> = match told.recv_timeout(Duration::from_secs(CLIENT_RESOLVE_SECONDS_MAX)) {
            Ok(found) => found.map_err(unknown)?,
            Err(RecvTimeoutError::Timeout) => return Err(AddressError::Slow(self.clone())),
            Err(RecvTimeoutError::Disconnected) => return Err(unknown(io::ErrorKind::Other.into())),
        };
        if found.is_empty() { Err(unknown(io::ErrorKind::AddrNotAvailable.into())) } else { Ok(found) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Refuses what only looks like an address.
fn check_shape(text: &str) -> Result<(), AddressError> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(AddressError::Character(text.to_owned()));
    }
    // What may have been meant: what stands between the scheme or the user, and the path.
    let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = behind_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let hint = authority.rsplit('@').next().unwrap_or_default();
    let hint = if hint.is_empty() { "example.org:4000" } else { hint }.to_owned();
    let text = text.to_owned();
    if let Some((scheme, _)) = text.split_once("://") {
        let scheme = scheme.to_owned();
        return Err(AddressError::Url { text, scheme, hint });
    }
    if text.contains(['/', '?', '#']) {
        return Err(AddressError::Path { text, hint });
    }
    if text.contains('@') {
        return Err(AddressError::User { text, hint });
    }
    Ok(())
}

fn split(text: &str, default_port: u16) -> Result<(&str, u16), AddressError> {
    // An IPv6 address, perhaps with a zone, has no port behind it.
    if text.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok()) {
        return Ok((text, default_port));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((THIS_MACHINE, port(text)?));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or_else(|| AddressError::Brackets(text.to_owned()))?;
        return match behind.strip_prefix(':') {
            Some(digits) => Ok((host, port(digits)?)),
            None if behind.is_empty() => Ok((host, default_port)),
            None => Err(AddressError::Brackets(text.to_owned())),
        };
    }
    match text.split_once(':') {
        None => Ok((text, default_port)),
        Some((_, rest)) if rest.contains(':') => Err(AddressError::Brackets(text.to_owned())),
        Some(("", digits)) => Ok((THIS_MACHINE, port(digits)?)),
        Some((host, digits)) => Ok((host, port(digits)?)),
    }
}

fn port(digits: &str) -> Result<u16, AddressError> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { digits.parse().ok() } else { None };
    number.filter(|port| *port != 0).ok_or_else(|| AddressError::Port(digits.to_owned()))
}

/// Checks a host, which stands in this text.
fn check_host(host: &str, text: &str) -> Result<(), AddressError> {
    if host.is_empty() {
        return Err(AddressError::NoHost(text.to_owned()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > HOST_NAME_BYTES_MAX || name.split('.').any(|label| label.len() > 63) {
        return Err(AddressError::TooLong(host.len()));
    }
    if name.split('.').any(str::is_empty) {
        return Err(AddressError::EmptyLabel(host.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_each_optional() {
        for (text, host, port) in [
            ("192.0.2.1", "192.0.2.1", 7),
            ("192.0.2.1:80", "192.0.2.1", 80),
            ("::1", "::1", 7),
            ("[::1]", "::1", 7),
            ("[::1]:80", "::1", 80),
            ("fe80::1%eth0", "fe80::1%eth0", 7),
            ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
            ("example.org", "example.org", 7),
            ("example.org.:80", "example.org.", 80),
            ("80", "127.0.0.1", 80),
            (":80", "127.0.0.1", 80),
            (" example.org:80 ", "example.org", 80),
        ] {
            let place = Place::parse(text, 7).expect(text);
            assert_eq!((place.host.as_str(), place.port), (host, port), "{text}");
        }
        assert_eq!(Place::parse("[::1]:80", 7).expect("a place").to_string(), "[::1]:80");
    }

    #[test]
    fn each_strange_address_has_its_own_words() {
        let long = "x".repeat(64);
        let longer = vec!["x".repeat(60); 5].join(".");
        for (text, words) in [
            ("", "the address is empty"),
            ("  ", "the address is empty"),
            (
                "http://example.org:4000/chat",
                "http is not spoken here: give HOST:PORT alone, such as `example.org:4000`",
            ),
            ("ws://bob@[::1]:8080", "ws is not spoken here: give HOST:PORT alone, such as `[::1]:8080`"),
            ("http://", "such as `example.org:4000`"),
            ("example.org/chat", "has a path behind the host: give HOST:PORT alone, such as `example.org`"),
            (
                "bob@example.org:4000",
                "has a user in front of the host: give HOST:PORT alone, such as `example.org:4000`",
            ),
            ("example.org:", "`` is no port: a port is a number from 1 to 65535"),
            ("example.org:http", "`http` is no port"),
            ("example.org:65536", "`65536` is no port"),
            ("99999", "`99999` is no port"),
            ("example.org:0", "`0` is no port"),
            ("example.org:+80", "`+80` is no port"),
            ("example.org:80:90", "[ADDRESS]:PORT"),
            ("2001:db8::1::2:4000", "[ADDRESS]:PORT"),
            ("[::1", "[ADDRESS]:PORT"),
            ("[::1]80", "[ADDRESS]:PORT"),
            ("exa mple.org", "white space or a control character"),
            ("[]", "`[]` has no host"),
            ("[]:4000", "`[]:4000` has no host"),
            ("a..b", "`a..b` is no name of a machine: a part between two dots"),
            (".example.org:80", "`.example.org` is no name of a machine"),
            ("example.org..", "`example.org..` is no name of a machine"),
            (".", "`.` is no name of a machine"),
            (&long, "the host name has 64 bytes"),
            (&longer, "the host name has 304 bytes"),
        ] {
            let error = Place::parse(text, 7).expect_err(text);
            assert!(error.is_of_text() && error.to_string().contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_needs_no_resolver() {
        let place = Place::parse("[2001:db8::1]:80", 7).expect("a place");
        assert_eq!(place.resolve().expect("as it is"), ["[2001:db8::1]:80".parse().expect("an address")]);
    }
}
