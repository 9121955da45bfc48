//! Linux: many datagrams a system call. Each way has the crate that does it without `unsafe` here and without
//! allocating: `nix` receives (`rustix` cannot), `rustix` sends (`nix` does not tell how many went but by reading addresses
//! which nothing has written).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use arrayvec::ArrayVec;
use mio::net::UdpSocket;
use nix::sys::socket::sockopt::{RxqOvfl, UdpGsoSegment};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg, setsockopt,
};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use super::Buffers;
use super::batch::Parcel;
use super::overflow::Overflow;
use super::segments::Segmentation;
use crate::limits::{UDP_BATCH_MAX, UDP_SEGMENT_BYTES_MAX};

/// What a kernel of today can do; an older one says that it cannot, when it is asked to.
pub(super) const SEGMENTATION: Segmentation = Segmentation::up_to(UDP_SEGMENT_BYTES_MAX);

/// Has the kernel tell what it drops. An error: it will not.
pub(super) fn watch_overflow(socket: &UdpSocket) -> io::Result<()> {
    Ok(setsockopt(&socket, RxqOvfl, &1)?)
}

/// What `recvmmsg` fills in besides the datagrams. The kernel leaves the length of each sender's address in it, which is
/// the room for the next one: so each family has its own, in which all are of the same length.
pub(super) struct Headers {
    v4: MultiHeaders<SockaddrIn>,
    v6: MultiHeaders<SockaddrIn6>,
}

impl Headers {
    pub(super) fn new() -> Self {
        Self { v4: headers(), v6: headers() }
    }

    /// Receives what is there, in one system call, and returns how many datagrams that was.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        local: SocketAddr,
        buffers: &mut Buffers,
        overflow: &mut Overflow,
        each: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        match local {
            SocketAddr::V4(_) => receive(socket.as_raw_fd(), &mut self.v4, buffers, overflow, each),
            SocketAddr::V6(_) => receive(socket.as_raw_fd(), &mut self.v6, buffers, overflow, each),
        }
    }
}

/// Room for a batch, each datagram with the count of those dropped before it.
fn headers<A: SockaddrLike + Copy>() -> MultiHeaders<A> {
    MultiHeaders::preallocate(UDP_BATCH_MAX, Some(nix::cmsg_space!(u32)))
}

fn receive<A: SockaddrLike + Copy + Into<SocketAddr>>(
    socket: RawFd,
    headers: &mut MultiHeaders<A>,
    buffers: &mut Buffers,
    overflow: &mut Overflow,
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<usize> {
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let mut count = 0;
    let mut was_no_room = false;
    for message in recvmmsg(socket, headers, &mut slices, MsgFlags::empty(), None)? {
        count += 1;
        match message.cmsgs() {
            Ok(controls) => {
                for control in controls {
                    if let ControlMessageOwned::RxqOvfl(dropped) = control {
                        overflow.told(dropped);
                    }
                }
            }
            Err(_) => was_no_room = true,
        }
        if let Some(from) = message.address {
            // An empty datagram has no slice.
            each(from.into(), message.iovs().next().unwrap_or_default());
        }
    }
    if was_no_room {
        // As with the addresses, what the kernel used of the room is the room for the next count; and while it has dropped
        // nothing, it uses none. Once it has, it tells with each datagram. So this is for the first loss in the life of a
        // socket, and what is not told with this datagram is with the next.
        *headers = self::headers();
    }
    Ok(count)
}

/// Has the kernel cut each message that follows into segments of so many bytes; 0 for not at all.
pub(super) fn set_segment_bytes(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    let bytes = i32::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(setsockopt(&socket, UdpGsoSegment, &bytes)?)
}

/// Sends the first messages, in one system call, and returns how many. An error is the first one's.
pub(super) fn send(socket: &UdpSocket, parcel: &Parcel<'_>) -> io::Result<usize> {
    let messages: ArrayVec<_, UDP_BATCH_MAX> = parcel.messages().collect();
    if let [(to, bytes)] = messages[..] {
        // Without the arrays, a tenth cheaper.
        return socket.send_to(bytes, to).map(|_| 1);
    }
    let mut addresses = ArrayVec::<_, UDP_BATCH_MAX>::new();
    let mut slices = ArrayVec::<_, UDP_BATCH_MAX>::new();
    let mut controls = ArrayVec::<_, UDP_BATCH_MAX>::new();
    for (to, bytes) in messages {
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
