//! Linux: many datagrams a system call. Each way has the crate that does it without `unsafe` here and without
//! allocating: `nix` receives (`rustix` cannot), `rustix` sends (`nix` does not tell how many went but by reading addresses
//! which nothing has written).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use arrayvec::ArrayVec;
use mio::net::UdpSocket;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, RxqOvfl, UdpGsoSegment};
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

/// The kernel tells which address a datagram was sent to.
pub(super) const TELLS_LOCAL: bool = true;

/// Has the kernel tell which address each datagram was sent to.
pub(super) fn watch_local(socket: &UdpSocket, bound: SocketAddr) -> io::Result<()> {
    match bound {
        SocketAddr::V4(_) => setsockopt(&socket, Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// The address that answers leave from, of those that a control message tells; none where it is no address of
/// one machine.
fn local_of(control: &ControlMessageOwned) -> Option<IpAddr> {
    let ip = match control {
        // For a multicast or broadcast datagram this is the interface's address.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            IpAddr::from(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr)),
        _ => return None,
    };
    (!ip.is_multicast() && !ip.is_unspecified()).then_some(ip)
}

/// `recvmmsg` overwrites the address and control lengths, which limit the next call. So each socket has its
/// own headers, with one length for all.
#[derive(Debug)]
pub(super) enum Headers {
    V4(MultiHeaders<SockaddrIn>),
    V6(MultiHeaders<SockaddrIn6>),
}

impl Headers {
    /// Those for a socket that is bound to an address.
    pub(super) fn new(bound: SocketAddr) -> Self {
        match bound {
            SocketAddr::V4(_) => Self::V4(headers(v4_room())),
            SocketAddr::V6(_) => Self::V6(headers(v6_room())),
        }
    }

    /// Receives what is there, in one system call, and returns how many datagrams that was.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        buffers: &mut Buffers,
        overflow: &mut Overflow,
        each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        let descriptor = socket.as_raw_fd();
        match self {
            Self::V4(headers) => receive(descriptor, headers, v4_room, buffers, overflow, each),
            Self::V6(headers) => receive(descriptor, headers, v6_room, buffers, overflow, each),
        }
    }
}

/// Headers for a batch, with room for the control messages of each datagram.
fn headers<A: SockaddrLike + Copy>(room: Vec<u8>) -> MultiHeaders<A> {
    MultiHeaders::preallocate(UDP_BATCH_MAX, Some(room))
}

/// The count of the datagrams dropped before it, and the address that it was sent to.
fn v4_room() -> Vec<u8> {
    nix::cmsg_space!(u32, in_pktinfo)
}

/// The same, of the other family.
fn v6_room() -> Vec<u8> {
    nix::cmsg_space!(u32, in6_pktinfo)
}

fn receive<A: SockaddrLike + Copy + Into<SocketAddr>>(
    socket: RawFd,
    headers: &mut MultiHeaders<A>,
    room: fn() -> Vec<u8>,
    buffers: &mut Buffers,
    overflow: &mut Overflow,
    mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
) -> io::Result<usize> {
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let mut count = 0;
    let mut was_no_room = false;
    for message in recvmmsg(socket, headers, &mut slices, MsgFlags::empty(), None)? {
        count += 1;
        let mut local = None;
        match message.cmsgs() {
            Ok(controls) => {
                for control in controls {
                    if let ControlMessageOwned::RxqOvfl(dropped) = control {
                        overflow.told(dropped);
                    } else {
                        local = local.or_else(|| local_of(&control));
                    }
                }
            }
            Err(_) => was_no_room = true,
        }
        if let Some(from) = message.address {
            // An empty datagram has no slice.
            each(from.into(), local, message.iovs().next().unwrap_or_default());
        }
    }
    if was_no_room {
        // The control length used by one call limits the next. The drop count appears only after the first
        // loss, so that loss is reported one datagram late.
        *headers = self::headers(room());
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
