//! What datagrams are received into: many a system call, and nothing allocated.

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn6, recvmmsg};
use parlance::limits::UCRP_DATAGRAM_BYTES_MAX;

/// Datagrams of one call. As a rule there is one, and a call that brings fewer than it asked for says that there are no
/// more: half the calls of asking until there is nothing.
const BATCH: usize = 8;
/// One more than the longest, so that what is too long is seen to be.
const BYTES: usize = UCRP_DATAGRAM_BYTES_MAX + 1;

/// The buffers that all clients receive into.
pub(crate) struct DatagramBuffers {
    buffers: Box<[[u8; BYTES]; BATCH]>,
    /// With room for an address of either family. The sockets are connected, so that it is known.
    headers: MultiHeaders<SockaddrIn6>,
}

impl DatagramBuffers {
    pub(crate) fn new() -> Self {
        // Made in its place: it is larger than a stack should be asked to hold.
        let Ok(buffers) = vec![[0; BYTES]; BATCH].into_boxed_slice().try_into() else {
            unreachable!("it is exactly as long");
        };
        Self { buffers, headers: MultiHeaders::preallocate(BATCH, None) }
    }

    /// Receives some of what is there. Whether there may be more.
    #[inline]
    pub(crate) fn receive(&mut self, socket: &UdpSocket, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        loop {
            let Self { buffers, headers } = self;
            let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            match recvmmsg(socket.as_raw_fd(), headers, &mut slices, MsgFlags::empty(), None) {
                Ok(messages) => {
                    let mut count = 0;
                    for message in messages {
                        count += 1;
                        // An empty datagram has no slice.
                        each(message.iovs().next().unwrap_or_default());
                    }
                    return Ok(count == BATCH);
                }
                Err(Errno::EINTR) => {}
                Err(error) if io::Error::from(error).kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
