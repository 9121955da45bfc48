//! Linux: many datagrams a system call. Each way has the crate that does it without `unsafe` here and without
//! allocating: `nix` receives (`rustix` cannot), `rustix` sends (`nix` does not tell how many went but by reading addresses
//! which nothing has written).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use arrayvec::ArrayVec;
use mio::net::UdpSocket;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use super::{Buffers, Pending};
use crate::limits::UDP_BATCH_MAX;

/// What `recvmmsg` fills in besides the datagrams. The kernel leaves the length of each sender's address in it, which is
/// the room for the next one: so each family has its own, in which all are of the same length.
pub(super) struct Headers {
    v4: MultiHeaders<SockaddrIn>,
    v6: MultiHeaders<SockaddrIn6>,
}

impl Headers {
    pub(super) fn new() -> Self {
        Self {
            v4: MultiHeaders::preallocate(UDP_BATCH_MAX, None),
            v6: MultiHeaders::preallocate(UDP_BATCH_MAX, None),
        }
    }

    /// Receives what is there, in one system call, and returns how many datagrams that was.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        local: SocketAddr,
        buffers: &mut Buffers,
        each: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        match local {
            SocketAddr::V4(_) => receive(socket.as_raw_fd(), &mut self.v4, buffers, each),
            SocketAddr::V6(_) => receive(socket.as_raw_fd(), &mut self.v6, buffers, each),
        }
    }
}

fn receive<A: SockaddrLike + Copy + Into<SocketAddr>>(
    socket: RawFd,
    headers: &mut MultiHeaders<A>,
    buffers: &mut Buffers,
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<usize> {
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let mut count = 0;
    for message in recvmmsg(socket, headers, &mut slices, MsgFlags::empty(), None)? {
        count += 1;
        if let Some(from) = message.address {
            // An empty datagram has no slice.
            each(from.into(), message.iovs().next().unwrap_or_default());
        }
    }
    Ok(count)
}

/// Sends the first datagrams, in one system call, and returns how many. An error is the first one's.
pub(super) fn send(socket: &UdpSocket, pending: Pending<'_>) -> io::Result<usize> {
    if let [alone] = pending.entries {
        // Without the arrays, a tenth cheaper.
        return socket.send_to(pending.bytes, alone.to).map(|_| 1);
    }
    let mut addresses = ArrayVec::<_, UDP_BATCH_MAX>::new();
    let mut slices = ArrayVec::<_, UDP_BATCH_MAX>::new();
    let mut controls = ArrayVec::<_, UDP_BATCH_MAX>::new();
    for (to, bytes) in pending.iter() {
        addresses.push(SocketAddrAny::from(to));
        slices.push([IoSlice::new(bytes)]);
        controls.push(SendAncillaryBuffer::default());
    }
    let mut headers = ArrayVec::<_, UDP_BATCH_MAX>::new();
    for ((address, slice), control) in addresses.iter().zip(&slices).zip(&mut controls) {
        headers.push(MMsgHdr::new_with_addr(address, slice, control));
    }
    Ok(sendmmsg(socket, &mut headers, SendFlags::empty())?)
}
