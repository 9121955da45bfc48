//! The sockets that a shard listens with: one for each address of each listener, bound in the order of the
//! configuration.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;

use super::StartupError;
use super::datagrams::DatagramSocket;
use super::listener::{Listener, Sharing};
use super::socket_options::{Missing, is_refused};
use crate::chat::ListenerId;
use crate::config::Config;
use crate::limits::SHARED_PORT_ATTEMPTS_MAX;
use crate::ready::Listening;
use crate::wire::{Dialect, Transport};

/// A listener to be opened, or that was opened: then the addresses are those really bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Opening {
    id: ListenerId,
    dialect: Dialect,
    /// At least one. Where any port will do, one port serves them all.
    addresses: Vec<SocketAddr>,
}

/// What a shard listens with.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) listeners: Vec<Listener>,
    pub(super) datagrams: Vec<DatagramSocket>,
    /// Where that is.
    pub(super) openings: Vec<Opening>,
}

/// A socket of either kind.
enum Bound {
    Stream(Listener),
    Datagram(DatagramSocket),
}

/// The listeners of a configuration.
pub(super) fn openings(config: &Config) -> Vec<Opening> {
    let opening = |(index, listener): (usize, crate::config::Listener)| Opening {
        // There are few: a dialect is at most one of them.
        id: ListenerId(index as u8),
        dialect: listener.dialect,
        addresses: listener.addresses,
    };
    config.listeners().into_iter().enumerate().map(opening).collect()
}

/// The rows of the table: one for each address.
pub(super) fn listening(openings: &[Opening]) -> Vec<Listening> {
    let rows = |opening: &Opening| {
        let dialect = opening.dialect.name();
        opening.addresses.clone().into_iter().map(move |address| Listening { dialect, address })
    };
    openings.iter().flat_map(rows).collect()
}

/// Binds the sockets of a shard. `is_shared`: further shards listen there as well. For the first one, an
/// address that another program has is an error.
pub(super) fn listen(openings: &[Opening], is_shared: bool, is_first: bool) -> Result<Sockets, StartupError> {
    let sharing = match (is_shared, is_first) {
        (false, _) => Sharing::None,
        (true, true) => Sharing::First,
        (true, false) => Sharing::Further,
    };
    let (mut sockets, mut missing) = (Sockets::default(), Missing::default());
    for Opening { id, dialect, addresses } in openings {
        let (id, dialect) = (*id, *dialect);
        let bind = |address| match dialect.transport() {
            Transport::Stream | Transport::Paced => {
                let listener = Listener::bind(id, dialect, address, sharing, &mut missing)?;
                Ok((listener.address, Bound::Stream(listener)))
            }
            Transport::Datagram => {
                let socket = DatagramSocket::bind(address, sharing, &mut missing)?;
                Ok((socket.address, Bound::Datagram(socket)))
            }
        };
        let failed = |(address, cause)| StartupError::Listen { dialect: dialect.name(), address, cause };
        let bound = bind_all(addresses, bind).map_err(failed)?;
        let addresses = bound.iter().map(|(address, _)| *address).collect();
        sockets.openings.push(Opening { id, dialect, addresses });
        for (_, socket) in bound {
            match socket {
                Bound::Stream(listener) => sockets.listeners.push(listener),
                Bound::Datagram(socket) => sockets.datagrams.push(socket),
            }
        }
    }
    // The system refuses the same to all shards.
    if is_first {
        missing.warn();
    }
    Ok(sockets)
}

/// Binds all addresses. Those without a port share the port that the first of them gets: a client that knows
/// one address of a name knows the port on the others. Returns the bound sockets, or the address that failed.
fn bind_all<S>(
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<(SocketAddr, S)>,
) -> Result<Vec<(SocketAddr, S)>, (SocketAddr, io::Error)> {
    let mut attempts = 0;
    'attempt: loop {
        attempts += 1;
        let mut bound = Vec::new();
        let mut port = None;
        for &wanted in addresses {
            let is_any = wanted.port() == 0;
            let mut address = wanted;
            if is_any && let Some(port) = port {
                address.set_port(port);
            }
            match bind(address) {
                Ok((address, socket)) => {
                    if is_any {
                        port = Some(address.port());
                    }
                    bound.push((address, socket));
                }
                // Another program has that port on this address. Drop the bound sockets; the kernel gives
                // another port.
                Err(cause)
                    if is_any
                        && port.is_some()
                        && cause.kind() == io::ErrorKind::AddrInUse
                        && attempts < SHARED_PORT_ATTEMPTS_MAX =>
                {
                    continue 'attempt;
                }
                Err(cause) => return Err((address, cause)),
            }
        }
        return Ok(bound);
    }
}

/// What to do when an address cannot be listened on.
pub(super) fn remedy(cause: &io::Error, address: SocketAddr) -> &'static str {
    if is_refused(cause) {
        return "allow it in the sandbox, such as a seccomp profile, or do without: `--shards 1` and IPv4 addresses in \
                `--bind` need no such option";
    }
    let is_link_local = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    match (cause.kind(), Errno::from_io_error(cause)) {
        (io::ErrorKind::AddrInUse, _) => "another program listens there: stop it, or give another port",
        (io::ErrorKind::PermissionDenied, _) => "ports below 1024 need a privilege: give a higher one",
        (_, Some(Errno::AFNOSUPPORT)) if address.is_ipv6() => {
            "this machine has no IPv6: give `--bind 0.0.0.0` for everyone who can reach it with IPv4"
        }
        (io::ErrorKind::AddrNotAvailable, _) if address.is_ipv6() && address.ip().is_loopback() => {
            "IPv6 is switched off on this machine: leave out the IPv6 addresses of `--bind`"
        }
        (io::ErrorKind::AddrNotAvailable, _) => "this machine does not have that address: see `--bind`",
        (io::ErrorKind::InvalidInput, _) if is_link_local => {
            "a link-local address needs the number of its interface, and a dialect of its own: `--line [fe80::1%2]:4000`"
        }
        _ => "give another address or port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("a literal")).collect()
    }

    /// A kernel that gives these ports for port 0, and refuses the taken addresses.
    fn bound(wanted: &[&str], given: &[u16], taken: &[&str]) -> Result<Vec<SocketAddr>, SocketAddr> {
        let (mut given, taken) = (given.iter(), addresses(taken));
        let bind = |mut address: SocketAddr| {
            if address.port() == 0 {
                address.set_port(*given.next().ok_or(io::ErrorKind::AddrInUse)?);
            }
            if taken.contains(&address) { Err(io::ErrorKind::AddrInUse.into()) } else { Ok((address, ())) }
        };
        let bound = bind_all(&addresses(wanted), bind);
        bound
            .map(|bound| bound.into_iter().map(|(address, ())| address).collect())
            .map_err(|(address, _)| address)
    }

    #[test]
    fn one_free_port_serves_all_addresses() {
        let both = ["[::1]:0", "127.0.0.1:0"];
        assert_eq!(bound(&both, &[7], &[]), Ok(addresses(&["[::1]:7", "127.0.0.1:7"])));
        let taken = ["127.0.0.1:7", "127.0.0.1:8"];
        assert_eq!(bound(&both, &[7, 8, 9], &taken), Ok(addresses(&["[::1]:9", "127.0.0.1:9"])));
    }

    #[test]
    fn a_port_that_was_asked_for_is_tried_once() {
        let wanted = ["127.0.0.1:7", "127.0.0.2:7"];
        assert_eq!(bound(&wanted, &[], &[]), Ok(addresses(&wanted)));
        assert_eq!(bound(&wanted, &[], &["127.0.0.2:7"]), Err(addresses(&["127.0.0.2:7"])[0]));
    }

    #[test]
    fn the_remedy_is_for_the_address_that_failed() {
        let remedy = |errno: Errno, text: &str| remedy(&errno.into(), addresses(&[text])[0]);
        assert!(remedy(Errno::AFNOSUPPORT, "[::]:7").contains("`--bind 0.0.0.0`"));
        assert!(remedy(Errno::ADDRNOTAVAIL, "[::1]:7").starts_with("IPv6 is switched off"));
        assert!(remedy(Errno::ADDRNOTAVAIL, "10.0.0.1:7").contains("`--bind`"));
        assert!(remedy(Errno::INVAL, "[fe80::1]:7").contains("interface"));
        assert!(remedy(Errno::ADDRINUSE, "[::1]:7").starts_with("another program"));
    }

    #[test]
    fn attempts_to_find_one_port_are_bounded() {
        let given: Vec<u16> = (1..1000).collect();
        let taken: Vec<_> = given.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let taken: Vec<_> = taken.iter().map(String::as_str).collect();
        let last = format!("127.0.0.1:{SHARED_PORT_ATTEMPTS_MAX}");
        assert_eq!(bound(&["[::1]:0", "127.0.0.1:0"], &given, &taken), Err(addresses(&[&last])[0]));
    }
}
