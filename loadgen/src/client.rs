//! One client: its socket, how far it has come, and the bytes that are between two calls.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use parlance::limits::SERVER_LINE_BYTES_MAX;
use parlance::wire::Codec;
use socket2::{Domain, Socket, Type};

/// One read takes so much at most; more than the server writes at once, so that a short read, which says that there is
/// no more, is the rule, and little enough for the processor's cache.
const READ_BYTES: usize = 256 << 10;
/// Room in front of what is read for the start of a frame that was read before.
const KEPT_BYTES_MAX: usize = SERVER_LINE_BYTES_MAX;

/// How far a client has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// The connection is not there yet.
    Connecting,
    /// The name is sent.
    LoggingIn,
    /// The name is taken; on the way to its room.
    Joining,
    /// In its room.
    Ready,
}

/// One client.
pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) phase: Phase,
    pub(crate) codec: Codec,
    /// Its index as a publisher.
    pub(crate) publisher: Option<usize>,
    /// The start of a frame whose rest has not come.
    kept: Vec<u8>,
    /// What the socket has not yet taken.
    out: Vec<u8>,
    /// Bytes that the socket has taken since the beginning.
    taken: u64,
    /// The socket is full, until it says that it is writable.
    blocked: bool,
}

/// The one buffer that all clients read into.
///
/// ```text
///  | room for what was kept | what is read ...        |
///           ^ kept          ^ KEPT_BYTES_MAX          ^ + READ_BYTES
/// ```
pub(crate) struct ReceiveBuffer(Box<[u8]>);

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; KEPT_BYTES_MAX + READ_BYTES].into())
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
            stream: TcpStream::from_std(socket.into()),
            phase: Phase::Connecting,
            codec: Codec::default(),
            publisher,
            kept: Vec::new(),
            out: Vec::new(),
            taken: 0,
            blocked: true,
        })
    }

    /// Registers the socket, once and for all, edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Why connecting failed, if it did.
    pub(crate) fn connect_error(&self) -> io::Result<()> {
        self.stream.take_error()?.map_or(Ok(()), Err)
    }

    /// Reads what is there, up to the buffer's size. Nothing, when there is nothing; an error, when the server has closed
    /// the connection.
    #[inline]
    pub(crate) fn receive<'a>(&mut self, buffer: &'a mut ReceiveBuffer) -> io::Result<Option<Received<'a>>> {
        let bytes = &mut buffer.0;
        let start = KEPT_BYTES_MAX - self.kept.len();
        bytes[start..KEPT_BYTES_MAX].copy_from_slice(&self.kept);
        loop {
            match self.stream.read(&mut bytes[KEPT_BYTES_MAX..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed by the server")),
                Ok(count) => {
                    let bytes = &bytes[start..KEPT_BYTES_MAX + count];
                    return Ok(Some(Received { bytes, count, is_last: count < READ_BYTES }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps the start of a frame for the next read. An error, when it is too long for any.
    #[inline]
    pub(crate) fn keep(&mut self, rest: &[u8]) -> io::Result<()> {
        self.kept.clear();
        if rest.len() > KEPT_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "the server sent a frame that is too long"));
        }
        self.kept.extend_from_slice(rest);
        Ok(())
    }

    /// Makes room for what is kept, so that keeping it later allocates nothing.
    pub(crate) fn reserve(&mut self, frame_bytes: usize) {
        self.kept.reserve(frame_bytes);
    }

    /// Where to append what is to be sent.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
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
            match self.stream.write(&self.out) {
                Ok(count) => {
                    self.blocked = count < self.out.len();
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
