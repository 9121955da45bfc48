//! Where there is no `recvmmsg` and no `sendmmsg`: the same, one datagram a system call.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;

use super::Buffers;
use super::batch::Parcel;
use super::overflow::Overflow;
#[cfg(not(target_os = "linux"))]
use super::segments::Segmentation;

/// Each datagram is sent as it is.
#[cfg(not(target_os = "linux"))]
pub(super) const SEGMENTATION: Segmentation = Segmentation::NONE;

/// What is dropped is not told.
#[cfg(not(target_os = "linux"))]
pub(super) fn watch_overflow(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// This platform does not report a datagram's destination address.
#[cfg(not(target_os = "linux"))]
pub(super) const TELLS_LOCAL: bool = false;

/// No-op: the platform has no such option.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
pub(super) fn watch_local(_socket: &UdpSocket, _bound: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Nothing is ever joined.
#[cfg(not(target_os = "linux"))]
pub(super) fn set_segment_bytes(_socket: &UdpSocket, _bytes: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing is needed besides the datagrams' buffers.
#[derive(Debug)]
pub(super) struct Headers;

impl Headers {
    pub(super) fn new(_bound: SocketAddr) -> Self {
        Self
    }

    /// Receives what is there, as much as fits, and returns how many datagrams that was.
    #[allow(clippy::unused_self, reason = "elsewhere there is something in it")]
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        buffers: &mut Buffers,
        _overflow: &mut Overflow,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        let mut count = 0;
        while let Some(buffer) = buffers.get_mut(count) {
            match socket.recv_from(buffer) {
                Ok((length, from)) => {
                    each(from, None, &buffer[..length]);
                    count += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(count)
    }
}

/// Sends the first messages, each of which is a datagram, and returns how many. An error is the first one's.
pub(super) fn send(socket: &UdpSocket, parcel: &Parcel<'_>) -> io::Result<usize> {
    let mut count = 0;
    for (to, bytes) in parcel.messages() {
        match socket.send_to(bytes, to) {
            Ok(_) => count += 1,
            Err(error) if count == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(count)
}
