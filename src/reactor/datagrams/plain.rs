//! Where there is no `recvmmsg` and no `sendmmsg`: the same, one datagram a system call.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use super::{Buffers, Pending};

/// Nothing is needed besides the datagrams' buffers.
pub(super) struct Headers;

impl Headers {
    pub(super) fn new() -> Self {
        Self
    }

    /// Receives what is there, as much as fits, and returns how many datagrams that was.
    #[allow(clippy::unused_self, reason = "elsewhere there is something in it")]
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        _local: SocketAddr,
        buffers: &mut Buffers,
        mut each: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        let mut count = 0;
        while let Some(buffer) = buffers.get_mut(count) {
            match socket.recv_from(buffer) {
                Ok((length, from)) => {
                    each(from, &buffer[..length]);
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

/// Sends the first datagrams, and returns how many. An error is the first one's.
pub(super) fn send(socket: &UdpSocket, pending: Pending<'_>) -> io::Result<usize> {
    let mut count = 0;
    for (to, bytes) in pending.iter() {
        match socket.send_to(bytes, to) {
            Ok(_) => count += 1,
            Err(error) if count == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(count)
}
