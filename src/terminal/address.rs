//! Where the server is: a host, a port, or both.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::ChatError;

const THIS_MACHINE: &str = "127.0.0.1";

/// The addresses that a text names, with a port of their own or this one.
pub(super) fn resolve(text: Option<&str>, port: u16) -> Result<Vec<SocketAddr>, ChatError> {
    let (host, port) = split(text.unwrap_or(THIS_MACHINE), port);
    let failed = |cause| ChatError::Address { address: format!("{host}:{port}"), cause };
    let found: Vec<_> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    if found.is_empty() { Err(failed(std::io::ErrorKind::AddrNotAvailable.into())) } else { Ok(found) }
}

/// Splits a text into host and port. An IPv6 address with a port stands in brackets.
fn split(text: &str, port: u16) -> (&str, u16) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, port);
    }
    if let Ok(port) = text.parse() {
        return (THIS_MACHINE, port);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, after)) => match after.parse() {
            Ok(port) => (host, port),
            Err(_) => (text, port),
        },
        None => (text, port),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (if host.is_empty() { THIS_MACHINE } else { host }, port)
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
            ("example.org", "example.org", 7),
            ("example.org:80", "example.org", 80),
            ("80", "127.0.0.1", 80),
            (":80", "127.0.0.1", 80),
            ("example.org:http", "example.org:http", 7),
        ] {
            assert_eq!(split(text, 7), (host, port), "{text}");
        }
    }
}
