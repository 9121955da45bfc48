//! One client: its socket, how far it has come, and the bytes that are between two calls.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use parlance::wire::{Codec, Unsayable};
use socket2::{Domain, SockRef, Socket, Type};

use crate::datagram_buffers::DatagramBuffers;
use crate::speech::Seat;

/// One read takes so much at most; more than the server writes at once, so that a short read, which says that there is
/// no more, is the rule, and little enough for the processor's cache.
const READ_BYTES: usize = 256 << 10;

/// How far a client has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// The connection is not there yet.
    Connecting,
    /// The name is sent.
    LoggingIn,
    /// The name is taken; on the way to its room, or to where its messages are.
    Joining,
    /// It hears what is for it.
    Ready,
    /// It has said that it goes.
    Leaving,
}

/// The way to the server.
enum Link {
    Stream(TcpStream),
    /// Datagrams wait in `out` one behind the other, of these lengths.
    Datagrams {
        socket: UdpSocket,
        lengths: VecDeque<usize>,
        /// The poll says when it takes more.
        watched: bool,
    },
}

/// One client.
pub(crate) struct Client {
    link: Link,
    pub(crate) phase: Phase,
    pub(crate) codec: Codec,
    /// Its index as a publisher.
    pub(crate) publisher: Option<usize>,
    /// What it shows in its datagrams.
    seat: Option<Box<Seat>>,
    /// The start of a frame whose rest has not come.
    kept: Vec<u8>,
    /// What the socket has not yet taken.
    out: Vec<u8>,
    /// Bytes that the socket has taken since the beginning.
    taken: u64,
    /// The socket is full, until it says that it is writable.
    blocked: bool,
    /// It stands still, and nothing is read for it.
    pub(crate) is_stalled: bool,
}

/// The one buffer that all clients read into.
///
/// ```text
///  | room for what was kept | what is read ...   |
///           ^ kept          ^ kept_bytes_max     ^ + READ_BYTES
/// ```
#[derive(Default)]
pub(crate) struct ReceiveBuffer {
    bytes: Box<[u8]>,
    /// Room in front of what is read for the start of a frame that was read before.
    kept_bytes_max: usize,
}

impl ReceiveBuffer {
    /// For frames of so many bytes at most.
    pub(crate) fn new(frame_bytes_max: usize) -> Self {
        Self { bytes: vec![0; frame_bytes_max + READ_BYTES].into(), kept_bytes_max: frame_bytes_max }
    }
}

/// What one read brought.
pub(crate) struct Received<'a> {
    /// The kept bytes and what was read behind them.
    pub(crate) bytes: &'a [u8],
    /// How much was read.
    pub(crate) count: usize,
    /// The buffer was not filled, so the socket is empty.
    pub(crate) is_last: bool,
}

impl Client {
    /// Starts connecting. It is connected when the poll says that it is writable.
    pub(crate) fn connect(
        target: SocketAddr,
        source: Option<SocketAddr>,
        publisher: Option<usize>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if let Some(source) = source {
            socket.bind(&source.into())?;
        }
        if publisher.is_some() {
            // The others send nothing that is timed.
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        Ok(Self {
            link: Link::Stream(TcpStream::from_std(socket.into())),
            phase: Phase::Connecting,
            codec: Codec::default(),
            publisher,
            seat: None,
            kept: Vec::new(),
            out: Vec::new(),
            taken: 0,
            blocked: true,
            is_stalled: false,
        })
    }

    /// Registers the socket, once and for all, edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.link {
            Link::Stream(stream) => registry.register(stream, token, Interest::READABLE | Interest::WRITABLE),
            // Not as writable: the kernel tells of space with each datagram that the server has read.
            Link::Datagrams { socket, .. } => registry.register(socket, token, Interest::READABLE),
        }
    }

    /// Reads nothing any more, and has the kernel take little more. It is not told of what comes, either.
    pub(crate) fn stall(&mut self, registry: &Registry) -> io::Result<()> {
        self.is_stalled = true;
        let Link::Stream(stream) = &mut self.link else { return Ok(()) };
        SockRef::from(&*stream).set_recv_buffer_size(1)?;
        registry.deregister(stream)
    }

    /// Goes over to datagrams, from the address that the connection came from; that is closed.
    pub(crate) fn sit(&mut self, target: SocketAddr, seat: Seat) -> io::Result<()> {
        let Link::Stream(stream) = &self.link else { return Ok(()) };
        let source = SocketAddr::new(stream.local_addr()?.ip(), 0);
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&source.into())?;
        // So that nobody else is heard, and that a server which is not there is.
        socket.connect(&target.into())?;
        let socket = UdpSocket::from_std(socket.into());
        self.link = Link::Datagrams { socket, lengths: VecDeque::new(), watched: false };
        self.seat = Some(Box::new(seat));
        self.out.clear();
        self.kept = Vec::new();
        (self.taken, self.blocked) = (0, false);
        Ok(())
    }

    /// Has the poll say when a full socket takes datagrams again, and only then. A stream says it anyway.
    #[inline]
    pub(crate) fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.link {
            Link::Datagrams { socket, watched, .. } if *watched != self.blocked => {
                *watched = self.blocked;
                let interest =
                    if self.blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
                registry.reregister(socket, token, interest)
            }
            Link::Datagrams { .. } | Link::Stream(_) => Ok(()),
        }
    }

    /// Says that nothing more comes, and goes on reading. Nothing to do for datagrams.
    pub(crate) fn half_close(&self) -> io::Result<()> {
        match &self.link {
            Link::Stream(stream) => stream.shutdown(Shutdown::Write),
            Link::Datagrams { .. } => Ok(()),
        }
    }

    /// Has the connection reset when it is dropped, instead of closed.
    pub(crate) fn reset_when_dropped(&self) -> io::Result<()> {
        match &self.link {
            Link::Stream(stream) => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            Link::Datagrams { .. } => Ok(()),
        }
    }

    /// Whether it is spoken to in datagrams by now.
    #[inline]
    pub(crate) fn has_datagrams(&self) -> bool {
        matches!(self.link, Link::Datagrams { .. })
    }

    /// Why connecting failed, if it did.
    pub(crate) fn connect_error(&self) -> io::Result<()> {
        match &self.link {
            Link::Stream(stream) => stream.take_error()?.map_or(Ok(()), Err),
            Link::Datagrams { .. } => Ok(()),
        }
    }

    /// Reads what is there, up to the buffer's size. Nothing, when there is nothing; an error, when the server has closed
    /// the connection.
    #[inline]
    pub(crate) fn receive<'a>(&mut self, buffer: &'a mut ReceiveBuffer) -> io::Result<Option<Received<'a>>> {
        if self.is_stalled {
            return Ok(None);
        }
        let Link::Stream(stream) = &mut self.link else { return Ok(None) };
        let ReceiveBuffer { bytes, kept_bytes_max } = buffer;
        let kept_bytes_max = *kept_bytes_max;
        let start = kept_bytes_max - self.kept.len();
        bytes[start..kept_bytes_max].copy_from_slice(&self.kept);
        loop {
            match stream.read(&mut bytes[kept_bytes_max..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed by the server")),
                Ok(count) => {
                    let bytes = &bytes[start..kept_bytes_max + count];
                    return Ok(Some(Received { bytes, count, is_last: count < READ_BYTES }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads some of the datagrams that are there, and hands each out. Whether there may be more.
    #[inline]
    pub(crate) fn receive_datagrams(
        &mut self,
        buffers: &mut DatagramBuffers,
        each: impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        match &self.link {
            Link::Stream(_) => Ok(false),
            Link::Datagrams { socket, .. } => buffers.receive(socket, each),
        }
    }

    /// Keeps the start of a frame for the next read. An error, when it is too long for any.
    #[inline]
    pub(crate) fn keep(&mut self, rest: &[u8], frame_bytes_max: usize) -> io::Result<()> {
        self.kept.clear();
        if rest.len() > frame_bytes_max {
            return Err(io::Error::new(ErrorKind::InvalidData, "the server sent a frame that is too long"));
        }
        self.kept.extend_from_slice(rest);
        Ok(())
    }

    /// Makes room for what is kept, so that keeping it later allocates nothing.
    pub(crate) fn reserve(&mut self, frame_bytes: usize) {
        self.kept.reserve(frame_bytes);
    }

    /// Appends what is to be sent: one frame, or some; one datagram.
    #[inline]
    pub(crate) fn push(
        &mut self,
        encode: impl FnOnce(Option<&Seat>, &mut Vec<u8>) -> Result<(), Unsayable>,
    ) -> Result<(), Unsayable> {
        let before = self.out.len();
        encode(self.seat.as_deref(), &mut self.out)?;
        if let Link::Datagrams { lengths, .. } = &mut self.link {
            lengths.push_back(self.out.len() - before);
        }
        Ok(())
    }

    /// Bytes appended since the beginning.
    pub(crate) fn appended(&self) -> u64 {
        self.taken + self.out.len() as u64
    }

    /// Bytes that the socket has taken since the beginning.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes that wait for the socket.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// The socket says that it takes more.
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Sends what is to be sent, as far as the socket takes it, without waiting.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.blocked && !self.out.is_empty() {
            let sent = match &mut self.link {
                Link::Stream(stream) => stream.write(&self.out),
                Link::Datagrams { socket, lengths, .. } => {
                    let length = lengths.front().copied().unwrap_or(self.out.len());
                    let sent = socket.send(&self.out[..length]);
                    if sent.is_ok() {
                        lengths.pop_front();
                    }
                    sent
                }
            };
            match sent {
                Ok(count) => {
                    self.blocked = count < self.out.len() && !self.has_datagrams();
                    self.out.drain(..count);
                    self.taken += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
