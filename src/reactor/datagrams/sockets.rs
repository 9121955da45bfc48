//! The sockets for datagrams of a shard: those that receive, one for each address that is listened on, and
//! those that answer from one address where a socket receives for all of them.
//!
//! An answer has to leave from the local address of the peer's datagram. A socket that is bound to one
//! address sends from there. For a socket that receives for all addresses, the kernel chooses the source by
//! the route to the peer, which may be another address of the machine. Therefore the first answer from an
//! address makes a socket that is bound to that address and the same port. This adds no system call to a
//! datagram, because each socket has its batch.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use mio::{Interest, Registry, Token};

use super::batch::Sent;
use super::{DatagramSocket, ReceiveBuffers};
use crate::fanout::DatagramPath;
use crate::limits::{
    BIND_MAX, UDP_BATCH_MAX, UDP_SOURCE_IDLE_SECONDS, UDP_SOURCE_RETRY_SECONDS, UDP_SOURCES_MAX,
};

/// Of a shard, at most: an address may stand for both families.
const SOCKETS_MAX: usize = 2 * BIND_MAX + UDP_SOURCES_MAX;

#[derive(Debug)]
pub(in crate::reactor) struct DatagramSockets {
    /// The sockets that receive, in the order of the configuration, then the sockets that only send. At most
    /// [`SOCKETS_MAX`].
    members: Vec<Member>,
    /// Count of those that receive.
    receiving: usize,
    /// The token of the first; those of the others are below it.
    token: Token,
    /// No send-only socket is created before this time.
    sources_refused_until: Option<Duration>,
}

/// A socket, and what the kernel has told of it.
#[derive(Debug)]
struct Member {
    socket: DatagramSocket,
    /// There may be datagrams that the kernel will not tell of again.
    readable: bool,
    /// The socket took less than it was offered, and has not been writable since.
    full: bool,
    /// When an answer was last sent from it.
    used: Duration,
}

/// The result of looking up the socket for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::reactor) struct Found {
    /// Its place.
    pub(in crate::reactor) index: usize,
    /// It was made for this answer, and registered.
    pub(in crate::reactor) is_new: bool,
}

impl DatagramSockets {
    /// Tokens below the first one that the sockets may need.
    pub(in crate::reactor) const TOKENS: usize = SOCKETS_MAX;

    /// Registers sockets that receive. The tokens begin with `token` and fall.
    pub(in crate::reactor) fn new(
        sockets: Vec<DatagramSocket>,
        token: Token,
        registry: &Registry,
    ) -> io::Result<Self> {
        let receiving = sockets.len();
        let mut all = Self { members: Vec::new(), receiving, token, sources_refused_until: None };
        for (index, mut socket) in sockets.into_iter().enumerate() {
            registry.register(&mut socket.socket, all.token_of(index), Interest::READABLE)?;
            all.members.push(Member { socket, readable: false, full: false, used: Duration::ZERO });
        }
        Ok(all)
    }

    fn token_of(&self, index: usize) -> Token {
        Token(self.token.0 - index)
    }

    pub(in crate::reactor) fn len(&self) -> usize {
        self.members.len()
    }

    /// The socket of a token, if it is one of theirs.
    pub(in crate::reactor) fn index_of(&self, token: Token) -> Option<usize> {
        self.token.0.checked_sub(token.0).filter(|&index| index < self.members.len())
    }

    /// Whether the kernel may have datagrams that it will not tell of again.
    pub(in crate::reactor) fn are_readable(&self) -> bool {
        self.members.iter().any(|member| member.readable)
    }

    /// Whether the kernel took less from one of them than it was offered.
    pub(in crate::reactor) fn is_any_full(&self) -> bool {
        self.members.iter().any(|member| member.full)
    }

    pub(in crate::reactor) fn is_full(&self, index: usize) -> bool {
        self.members[index].full
    }

    /// Whether nothing waits to be sent.
    pub(in crate::reactor) fn are_empty(&self) -> bool {
        self.members.iter().all(|member| member.socket.is_empty())
    }

    pub(in crate::reactor) fn note_readable(&mut self, index: usize) {
        self.members[index].readable = true;
    }

    /// Takes note that a socket has space. Returns whether it had none.
    pub(in crate::reactor) fn note_writable(&mut self, index: usize) -> bool {
        std::mem::replace(&mut self.members[index].full, false)
    }

    /// Has the kernel tell when a full socket has space, or no longer.
    pub(in crate::reactor) fn watch_space(&mut self, index: usize, registry: &Registry) -> io::Result<()> {
        let token = self.token_of(index);
        let Member { socket, full, .. } = &mut self.members[index];
        let interest = if *full { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        registry.reregister(&mut socket.socket, token, interest)
    }

    /// Receives a batch from a socket that may have one, and hands each datagram out with the way that it
    /// took. Returns whether there was a call.
    pub(in crate::reactor) fn receive(
        &mut self,
        index: usize,
        buffers: &mut ReceiveBuffers,
        each: impl FnMut(DatagramPath, &[u8]),
    ) -> bool {
        let Member { socket, readable, .. } = &mut self.members[index];
        if !*readable {
            return false;
        }
        match socket.receive(buffers, each) {
            Ok(count) => *readable = count == UDP_BATCH_MAX,
            // With the next one that comes, the kernel tells of all that are there.
            Err(error) => {
                *readable = false;
                tracing::debug!(%error, "datagrams could not be received");
            }
        }
        true
    }

    /// How many datagrams the kernel has dropped since this was last asked.
    pub(in crate::reactor) fn take_overflow(&mut self) -> u64 {
        self.members.iter_mut().map(|member| member.socket.take_overflow()).sum()
    }

    /// The socket that sends a datagram, made if it does not exist. A datagram has arrived on this path, so
    /// at least one socket exists.
    pub(in crate::reactor) fn find(
        &mut self,
        path: DatagramPath,
        registry: &Registry,
        now: Duration,
    ) -> Found {
        if let Some(local) = path.local
            && let Some(index) = self.members.iter().position(|member| member.sends_from(local, path.peer))
        {
            self.members[index].used = now;
            return Found { index, is_new: false };
        }
        let is_family = |member: &Member| member.socket.address.is_ipv4() == path.peer.is_ipv4();
        let receiver = self.members[..self.receiving].iter().position(is_family).unwrap_or(0);
        let any = self.members[receiver].socket.address;
        if let Some(local) = path.local.filter(|_| any.ip().is_unspecified())
            && self.sources_refused_until.is_none_or(|until| now >= until)
        {
            match self.make_source(source(local, any.port(), path.peer), registry, now) {
                Ok(Some(index)) => return Found { index, is_new: true },
                Ok(None) => {}
                Err(error) => {
                    self.sources_refused_until = Some(now + Duration::from_secs(UDP_SOURCE_RETRY_SECONDS));
                    tracing::debug!(%local, %error, "no socket answers from an address that was spoken to");
                }
            }
        }
        Found { index: receiver, is_new: false }
    }

    /// Makes a socket that sends from an address; none if there are too many, all in use.
    fn make_source(
        &mut self,
        address: SocketAddr,
        registry: &Registry,
        now: Duration,
    ) -> io::Result<Option<usize>> {
        let idle_since = now.saturating_sub(Duration::from_secs(UDP_SOURCE_IDLE_SECONDS));
        let is_idle = |member: &Member| member.used < idle_since && member.socket.is_empty() && !member.full;
        let index = if self.members.len() < self.receiving + UDP_SOURCES_MAX {
            self.members.len()
        } else {
            let sources = self.members.iter().enumerate().skip(self.receiving);
            let oldest = sources.filter(|(_, member)| is_idle(member)).min_by_key(|(_, member)| member.used);
            match oldest {
                Some((index, _)) => index,
                None => return Ok(None),
            }
        };
        let mut socket = DatagramSocket::bind_to_send(address)?;
        registry.register(&mut socket.socket, self.token_of(index), Interest::READABLE)?;
        tracing::debug!(%address, "a socket answers from an address that was spoken to");
        let member = Member { socket, readable: false, full: false, used: now };
        if index == self.members.len() {
            self.members.push(member);
        } else {
            // The old one is closed, which ends its registration.
            self.members[index] = member;
        }
        Ok(Some(index))
    }

    /// Puts a datagram into the batch of a socket, which must not be full.
    pub(in crate::reactor) fn push<'a>(
        &mut self,
        index: usize,
        to: SocketAddr,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) {
        self.members[index].socket.push(to, pieces);
    }

    /// Whether the batch of a socket takes no more.
    pub(in crate::reactor) fn is_batch_full(&self, index: usize) -> bool {
        self.members[index].socket.is_full()
    }

    /// Sends the batch of a socket; `None` if the batch is empty, or the socket known to be full.
    pub(in crate::reactor) fn send(&mut self, index: usize) -> Option<Sent> {
        let Member { socket, full, .. } = &mut self.members[index];
        if *full || socket.is_empty() {
            return None;
        }
        let sent = socket.send();
        *full = sent.full;
        Some(sent)
    }
}

impl Member {
    /// Whether this socket sends from `local`.
    fn sends_from(&self, local: IpAddr, peer: SocketAddr) -> bool {
        let address = self.socket.address;
        address.ip() == local && scope_of(address).is_none_or(|scope| Some(scope) == scope_of(peer))
    }
}

/// The address to bind for sending from `local`. A link-local address takes the peer's scope.
fn source(local: IpAddr, port: u16, peer: SocketAddr) -> SocketAddr {
    match local {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, port, 0, scope_of(peer).unwrap_or(0)).into()
        }
        IpAddr::V4(_) | IpAddr::V6(_) => SocketAddr::new(local, port),
    }
}

/// The interface that an address is valid on, of those that are valid on one only.
fn scope_of(address: SocketAddr) -> Option<u32> {
    match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => Some(address.scope_id()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => None,
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use mio::Poll;

    use super::*;
    use crate::reactor::listener::Sharing;
    use crate::reactor::socket_options::Missing;

    const FIRST: Token = Token(1000);
    const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

    fn sockets(poll: &Poll, addresses: &[IpAddr]) -> DatagramSockets {
        let bind = |&ip: &IpAddr| {
            DatagramSocket::bind(SocketAddr::new(ip, 0), Sharing::None, &mut Missing::default())
                .expect("a loopback address")
        };
        DatagramSockets::new(addresses.iter().map(bind).collect(), FIRST, poll.registry())
            .expect("registered")
    }

    fn path(last: u8) -> DatagramPath {
        DatagramPath { peer: PEER, local: Some(IpAddr::from([127, 0, 0, last])) }
    }

    fn found(index: usize) -> Found {
        Found { index, is_new: false }
    }

    fn made(index: usize) -> Found {
        Found { index, is_new: true }
    }

    #[test]
    fn a_socket_on_one_address_answers_from_there() {
        let poll = Poll::new().expect("a poll");
        let mut sockets = sockets(&poll, &[IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])]);
        let mut find = |path| sockets.find(path, poll.registry(), Duration::ZERO);
        assert_eq!(find(path(2)), found(1));
        assert_eq!(find(path(1)), found(0));
        assert_eq!(find(DatagramPath { local: None, ..path(1) }), found(0));
        // No socket shares its port.
        assert_eq!(find(path(3)), found(0));
    }

    #[test]
    fn a_socket_on_all_addresses_has_others_beside_it_as_they_are_needed() {
        let poll = Poll::new().expect("a poll");
        let mut sockets = sockets(&poll, &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
        let port = sockets.members[0].socket.address.port();
        let mut find = |path| sockets.find(path, poll.registry(), Duration::ZERO);
        assert_eq!(
            [find(path(2)), find(path(3)), find(path(2)), find(path(3))],
            [made(1), made(2), found(1), found(2)]
        );
        assert_eq!(find(DatagramPath { local: None, ..path(2) }), found(0));
        let addresses: Vec<_> = sockets.members.iter().map(|member| member.socket.address).collect();
        let expected = [[0, 0, 0, 0], [127, 0, 0, 2], [127, 0, 0, 3]];
        assert_eq!(addresses, expected.map(|ip| SocketAddr::from((ip, port))));
        for index in 0..3 {
            assert_eq!(sockets.index_of(Token(FIRST.0 - index)), Some(index));
        }
        assert_eq!(
            [sockets.index_of(Token(FIRST.0 + 1)), sockets.index_of(Token(FIRST.0 - 3))],
            [None, None]
        );
    }

    #[test]
    fn what_the_system_refuses_is_not_tried_again_at_once() {
        let poll = Poll::new().expect("a poll");
        let mut sockets = sockets(&poll, &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
        let mut find = |path, seconds| sockets.find(path, poll.registry(), Duration::from_secs(seconds));
        // No machine has this address.
        let foreign = DatagramPath { peer: PEER, local: Some(IpAddr::from([192, 0, 2, 1])) };
        assert_eq!(find(foreign, 0), found(0));
        assert_eq!(find(path(2), 0), found(0));
        assert_eq!(find(path(2), UDP_SOURCE_RETRY_SECONDS), made(1));
    }

    #[test]
    fn there_are_only_so_many_and_one_that_is_not_used_gives_way() {
        let poll = Poll::new().expect("a poll");
        let mut sockets = sockets(&poll, &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
        let mut find = |path, seconds| sockets.find(path, poll.registry(), Duration::from_secs(seconds));
        let at = |index: usize| path(1 + index as u8);
        for index in 0..UDP_SOURCES_MAX {
            assert_eq!(find(at(index), 1), made(1 + index));
        }
        assert_eq!(find(at(UDP_SOURCES_MAX), 1), found(0));
        // All are used but the sixth.
        let later = 1 + UDP_SOURCE_IDLE_SECONDS;
        for index in (0..UDP_SOURCES_MAX).filter(|&index| index != 5) {
            assert_eq!(find(at(index), later), found(1 + index));
        }
        assert_eq!(find(at(UDP_SOURCES_MAX), later), found(0));
        assert_eq!(find(at(UDP_SOURCES_MAX), later + 1), made(6));
        assert_eq!(find(at(UDP_SOURCES_MAX), later + 1), found(6));
        assert_eq!(find(at(5), later + 1), found(0));
        assert_eq!(sockets.len(), 1 + UDP_SOURCES_MAX);
    }

    #[test]
    fn an_address_of_one_link_is_bound_on_the_link_of_the_peer() {
        let link_local = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
        let peer: SocketAddr = "[fe80::9%3]:9".parse().expect("a literal");
        assert_eq!(source(link_local, 7, peer).to_string(), "[fe80::1%3]:7");
        assert_eq!(source(IpAddr::V6(Ipv6Addr::LOCALHOST), 7, peer).to_string(), "[::1]:7");
    }
}
