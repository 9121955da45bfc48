//! What waits in the kernel: the sizes of a UDP socket's two buffers there, asked for and granted.

use std::net::SocketAddr;

use socket2::Socket;

use crate::limits::{UDP_RECEIVE_QUEUE_BYTES, UDP_SEND_QUEUE_BYTES};

/// What Linux grants of a byte: twice as much, because it counts its own bookkeeping in.
const GRANTED_PER_BYTE: usize = if cfg!(target_os = "linux") { 2 } else { 1 };

/// Asks for them, and says so if there is less. Linux gives what it allows; others refuse if that is less. Either way there
/// are buffers.
pub(super) fn ask(socket: &Socket, address: SocketAddr) {
    let _ = socket.set_recv_buffer_size(UDP_RECEIVE_QUEUE_BYTES);
    let _ = socket.set_send_buffer_size(UDP_SEND_QUEUE_BYTES);
    if let Some(granted) = less(socket.recv_buffer_size(), UDP_RECEIVE_QUEUE_BYTES) {
        tracing::warn!(
            %address,
            asked = UDP_RECEIVE_QUEUE_BYTES,
            granted,
            "the kernel allows fewer bytes of datagrams to wait than asked for, so that some may be lost when many come at \
             once; on Linux, `sysctl -w net.core.rmem_max={UDP_RECEIVE_QUEUE_BYTES}` raises that"
        );
    }
    if let Some(granted) = less(socket.send_buffer_size(), UDP_SEND_QUEUE_BYTES) {
        tracing::info!(
            %address,
            asked = UDP_SEND_QUEUE_BYTES,
            granted,
            "the kernel takes fewer bytes of datagrams at once than asked for: the others wait; on Linux, \
             `sysctl -w net.core.wmem_max={UDP_SEND_QUEUE_BYTES}` raises that"
        );
    }
}

/// Requests the send buffer of a send-only socket. The kernel grants the same size as for the receiving
/// socket.
pub(super) fn ask_to_send(socket: &Socket) {
    let _ = socket.set_send_buffer_size(UDP_SEND_QUEUE_BYTES);
}

/// What was granted, in the bytes that are asked for, if that is less. What cannot be told is taken to be enough.
fn less(reported: std::io::Result<usize>, asked: usize) -> Option<usize> {
    let granted = reported.ok()? / GRANTED_PER_BYTE;
    (granted < asked).then_some(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clipped_is_told_in_the_bytes_that_were_asked_for() {
        assert_eq!(less(Ok(GRANTED_PER_BYTE * 4096), 4096), None);
        assert_eq!(less(Ok(GRANTED_PER_BYTE * 4095), 4096), Some(4095));
        assert_eq!(less(Err(std::io::ErrorKind::Unsupported.into()), 4096), None);
    }
}
