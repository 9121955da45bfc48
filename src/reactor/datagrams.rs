//! Datagrams, many a system call: received into buffers that were reserved once, sent from a batch that was.
//!
//! On Linux a full batch of [`UDP_BATCH_MAX`] costs one `recvmmsg` or one `sendmmsg`; elsewhere (`plain.rs`) one call a
//! datagram. Neither allocates, but once, when something is lost for the first time. Datagrams of equal size that go to one
//! address one after another are joined (`segments.rs`), and what the kernel dropped before it was received is counted
//! (`overflow.rs`), where it does that.

mod batch;
#[cfg(target_os = "linux")]
mod batched;
mod kernel_buffers;
mod overflow;
#[cfg(any(test, not(target_os = "linux")))]
mod plain;
mod segments;
mod sockets;

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, Socket, Type};

use self::batch::{Batch, Sent};
#[cfg(target_os = "linux")]
use self::batched as kernel;
use self::overflow::Overflow;
#[cfg(not(target_os = "linux"))]
use self::plain as kernel;
pub(super) use self::sockets::{DatagramSockets, Found};
use super::listener::{Sharing, separate_families};
use super::socket_options::Missing;
use crate::fanout::DatagramPath;
use crate::limits::{UDP_BATCH_MAX, UDP_RECEIVE_BYTES};

/// A place for each datagram of a batch.
type Buffers = [[u8; UDP_RECEIVE_BYTES]; UDP_BATCH_MAX];

/// What datagrams are received into; all sockets of a thread may share it.
pub(super) struct ReceiveBuffers(Box<Buffers>);

impl ReceiveBuffers {
    pub(super) fn new() -> Self {
        // Made in its place: it is larger than a stack should be asked to hold.
        let Ok(buffers) = vec![[0; UDP_RECEIVE_BYTES]; UDP_BATCH_MAX].into_boxed_slice().try_into() else {
            unreachable!("it is exactly as long");
        };
        Self(buffers)
    }
}

/// A UDP socket, and the batch of datagrams to be sent from it. It stays on the thread that made it: there
/// are pointers in it.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    /// Where it is bound, with the port that was really given.
    pub(super) address: SocketAddr,
    /// To be registered as readable; and anew, as writable too, only while [`Sent::full`] says so: the kernel tells of
    /// space with each datagram that it is done with, which would wake the loop after every batch.
    pub(super) socket: UdpSocket,
    batch: Batch,
    headers: kernel::Headers,
    /// What the kernel cuts messages into, as it was last told; 0: it does not.
    segment_bytes: usize,
    overflow: Overflow,
}

impl DatagramSocket {
    /// Binds a non-blocking socket. An address in use is an error, even if its user would share it, unless
    /// this is a further socket of the same server.
    pub(super) fn bind(address: SocketAddr, sharing: Sharing, missing: &mut Missing) -> io::Result<Self> {
        let socket = new_socket(address)?;
        kernel_buffers::ask(&socket, address);
        sharing.bind(&socket, address)?;
        let source = "answers in datagrams may leave from another address than the one that was spoken to";
        if sharing == Sharing::None && address.ip().is_unspecified() && kernel::TELLS_LOCAL {
            // It shares the port with the sockets that answer from one of its addresses.
            missing.note("SO_REUSEPORT", source, socket.set_reuse_port(true));
        }
        let socket = UdpSocket::from_std(socket.into());
        // Not told, it counts nothing.
        let _ = kernel::watch_overflow(&socket);
        if address.ip().is_unspecified() {
            let name = if address.is_ipv4() { "IP_PKTINFO" } else { "IPV6_RECVPKTINFO" };
            missing.note(name, source, kernel::watch_local(&socket, address));
        }
        Self::new(socket)
    }

    /// Binds a socket that sends from one local address, in addition to the socket that receives for all
    /// addresses on the same port. It is connected to itself, so the kernel delivers no datagram of a peer to
    /// it: peers still reach the other socket. (A datagram between the two calls may arrive here, and is
    /// read.) `sendto` reaches any peer from it.
    pub(super) fn bind_to_send(address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(address)?;
        kernel_buffers::ask_to_send(&socket);
        Sharing::Further.bind(&socket, address)?;
        socket.connect(&address.into())?;
        Self::new(UdpSocket::from_std(socket.into()))
    }

    fn new(socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let batch = Batch::new(kernel::SEGMENTATION);
        let headers = kernel::Headers::new(address);
        Ok(Self { address, socket, batch, headers, segment_bytes: 0, overflow: Overflow::default() })
    }

    /// Whether it receives what is sent to any address of its family.
    fn is_any(&self) -> bool {
        self.address.ip().is_unspecified()
    }

    /// Receives up to [`UDP_BATCH_MAX`] datagrams with one system call, hands out each with its path, and
    /// returns their number. Fewer than [`UDP_BATCH_MAX`]: the socket is empty, and the kernel will report
    /// the next datagram. A datagram longer than
    /// [`UCRP_DATAGRAM_BYTES_MAX`](crate::limits::UCRP_DATAGRAM_BYTES_MAX) is handed out longer than that,
    /// but perhaps cut.
    ///
    /// Errors: what the system said. That nothing is there is none.
    pub(super) fn receive(
        &mut self,
        buffers: &mut ReceiveBuffers,
        mut each: impl FnMut(DatagramPath, &[u8]),
    ) -> io::Result<usize> {
        let ReceiveBuffers(buffers) = buffers;
        let bound = (!self.is_any()).then_some(self.address.ip());
        let Self { socket, headers, overflow, .. } = self;
        let mut each = |peer, told: Option<IpAddr>, bytes: &[u8]| {
            each(DatagramPath { peer, local: told.or(bound) }, bytes);
        };
        loop {
            match headers.receive(socket, buffers, overflow, &mut each) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                result => return result,
            }
        }
    }

    /// How many datagrams the kernel has dropped since this was last asked, because its buffer was full: as far as it told,
    /// which it does with those that come after them.
    pub(super) fn take_overflow(&mut self) -> u64 {
        self.overflow.take()
    }

    /// Puts a datagram into the batch, which must not be full: its pieces one after another, at most
    /// [`UCRP_DATAGRAM_BYTES_MAX`](crate::limits::UCRP_DATAGRAM_BYTES_MAX) bytes together.
    pub(super) fn push<'a>(&mut self, to: SocketAddr, pieces: impl IntoIterator<Item = &'a [u8]>) {
        self.batch.push(to, pieces);
    }

    /// Whether the batch takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Sends the batch, with one system call for all datagrams that are single, or joined with segments of one size, and as
    /// a rule one more from either to another. What the kernel refuses costs two calls more at most, one that stops short
    /// of it and one that says why. What a full socket does not take stays, in its order.
    pub(super) fn send(&mut self) -> Sent {
        let Self { socket, batch, segment_bytes, .. } = self;
        let mut settings = 0;
        let mut sent = batch.send(|parcel| {
            if *segment_bytes != parcel.segment_bytes() {
                settings += 1;
                kernel::set_segment_bytes(socket, parcel.segment_bytes())?;
                *segment_bytes = parcel.segment_bytes();
            }
            kernel::send(socket, parcel)
        });
        sent.calls += settings;
        sent
    }
}

/// A non-blocking UDP socket, for the address's family alone.
fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        separate_families(&socket)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
