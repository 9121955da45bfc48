//! Listening sockets. Accepted sockets inherit their options, so an accept costs one system call.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::socket_options::{Missing, needed};
use crate::chat::ListenerId;
use crate::limits::{
    ACCEPT_BACKLOG_MAX, KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES_MAX,
    UNACKNOWLEDGED_SECONDS_MAX,
};
use crate::wire::Dialect;

/// A listening socket of one dialect.
#[derive(Debug)]
pub(super) struct Listener {
    /// The listener of the configuration that it belongs to, with one socket for each address.
    pub(super) id: ListenerId,
    pub(super) dialect: Dialect,
    pub(super) address: SocketAddr,
    pub(super) socket: TcpListener,
    /// Connections may be waiting that no readiness will be told of again.
    pub(super) ready: bool,
}

impl Listener {
    pub(super) fn bind(
        id: ListenerId,
        dialect: Dialect,
        address: SocketAddr,
        sharing: Sharing,
        missing: &mut Missing,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            separate_families(&socket)?;
        }
        set_optional(&socket, missing);
        socket.set_nonblocking(true)?;
        sharing.bind(&socket, address)?;
        socket.listen(ACCEPT_BACKLOG_MAX)?;
        let socket = TcpListener::from_std(socket.into());
        Ok(Self { id, dialect, address: socket.local_addr()?, socket, ready: false })
    }
}

/// Sets the options that the server is correct without.
fn set_optional(socket: &Socket, missing: &mut Missing) {
    let attempt = socket.set_reuse_address(true);
    missing.note("SO_REUSEADDR", "a port may stay in use for a minute after a server has ended", attempt);
    let attempt = socket.set_tcp_nodelay(true);
    missing.note("TCP_NODELAY", "small messages may come late", attempt);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(KEEPALIVE_IDLE_SECONDS))
        .with_interval(Duration::from_secs(KEEPALIVE_INTERVAL_SECONDS))
        .with_retries(KEEPALIVE_PROBES_MAX);
    let stays = "the connection of a vanished client may stay until its idle timeout";
    missing.note("SO_KEEPALIVE", stays, socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    {
        let timeout = Some(Duration::from_secs(UNACKNOWLEDGED_SECONDS_MAX));
        missing.note("TCP_USER_TIMEOUT", stays, socket.set_tcp_user_timeout(timeout));
    }
}

/// Each family has a socket of its own, so that peers have addresses of their own family, and no setting of
/// the system decides.
pub(super) fn separate_families(socket: &Socket) -> io::Result<()> {
    needed("IPV6_V6ONLY", "keeps the port free for IPv4", socket.set_only_v6(true))
}

/// Whether other sockets have the same address. The kernel gives each of them some of the connections, or the
/// datagrams of some addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sharing {
    /// No other socket.
    None,
    /// For the listeners of further shards. The first socket is bound alone, so that an address in use is an
    /// error, and shared afterwards. (A UDP socket that is shared before it is bound to port 0 may get a port
    /// that another socket of the same user shares: the kernel takes that to be free.)
    First,
    /// The first one, and others.
    Further,
}

impl Sharing {
    pub(super) fn bind(self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        if self == Self::Further {
            share(socket)?;
        }
        socket.bind(&address.into())?;
        if self == Self::First {
            share(socket)?;
        }
        Ok(())
    }
}

/// Has a socket share its address with those of other shards.
#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> io::Result<()> {
    needed("SO_REUSEPORT", "has several shards listen on one port", socket.set_reuse_port(true))
}

/// Elsewhere the kernel does not share out what comes.
#[cfg(not(target_os = "linux"))]
fn share(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What one attempt to accept came to.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A connection.
    Connection(TcpStream, SocketAddr),
    /// A connection that can not be kept, since descriptors ran out: it was accepted in the place of the spare one.
    Surplus(TcpStream),
    /// Nobody waits.
    Nobody,
    /// The kernel lacks something else: try again later.
    Failed(io::Error),
}

/// A descriptor held back for the moment when there are no others: with it, whoever waits can be told so rather than be
/// left hanging, and the listener does not stay ready for ever.
#[derive(Debug)]
pub(super) struct Spare {
    /// Nothing while it is lent, or cannot be had back.
    file: Option<File>,
    /// Since it was last restored.
    is_lent: bool,
}

impl Spare {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: Some(File::open("/dev/null")?), is_lent: false })
    }

    /// Takes the descriptor back once there is one again.
    pub(super) fn restore(&mut self) {
        if self.file.is_none() {
            self.file = File::open("/dev/null").ok();
        }
        self.is_lent = false;
    }

    /// Accepts one connection, in the place of the spare descriptor where there is no other. From then on all are surplus,
    /// until it is restored: once a turn, since those who ask when nothing is left may ask very often.
    pub(super) fn accept(&mut self, listener: &TcpListener) -> Accepted {
        let mut accepted = listener.accept();
        if accepted.as_ref().is_err_and(is_out_of_descriptors) && self.file.take().is_some() {
            self.is_lent = true;
            accepted = listener.accept();
        }
        match accepted {
            Ok((stream, _)) if self.is_lent => Accepted::Surplus(stream),
            Ok((stream, peer)) => Accepted::Connection(stream, peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::Nobody,
            Err(error) => Accepted::Failed(error),
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// Whether the error concerns the one connection that went away while it waited, not the listener.
pub(super) fn is_of_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
