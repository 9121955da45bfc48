//! Connections over datagrams: their addresses, and the handling of datagrams that cannot be sent.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use super::log::Gather;
use super::{Fanout, Report};
use crate::chat::ConnId;
use crate::limits::UCRP_UNPROVED_FACTOR;

/// Both ends of a peer's datagrams. Answers take the same path back: a connected socket, or a router on the
/// way, drops an answer that comes from another address than the one that the peer sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatagramPath {
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// The local address that the peer sent to, if the system reports it.
    pub local: Option<IpAddr>,
}

/// The destination of a connection's datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    path: DatagramPath,
    /// The holder of the seat receives at this address: the handshake came from there, or the address
    /// answered.
    is_proved: bool,
    /// The next frame exceeds the send allowance of the address, and the engine knows it.
    is_spent: bool,
}

impl Address {
    /// The IP address, if datagrams to it are counted.
    fn counted_ip(&self) -> Option<IpAddr> {
        (!self.is_proved).then(|| self.path.peer.ip().to_canonical())
    }
}

/// Bytes sent to an unproved IP address and received from it, for all its seats of this shard (RFC 9000,
/// section 8.1). Kept while a seat has the address.
#[derive(Debug, Default)]
struct Allowance {
    seats: u32,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Allowance {
    fn left(&self) -> u64 {
        (UCRP_UNPROVED_FACTOR * self.received_bytes).saturating_sub(self.sent_bytes)
    }
}

/// The state of the datagram socket, as the last calls reported it.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    pub(super) are_full: bool,
    /// Connections with pending datagrams since the socket became full.
    waiting: Vec<ConnId>,
    /// An ordered map, because the table is rarely used and a hash would need a seed.
    allowances: BTreeMap<IpAddr, Allowance>,
}

impl Fanout {
    /// A datagram of `bytes` bytes came from a connection. `is_proved`: the seat's holder receives at that
    /// address.
    pub(crate) fn heard_from(&mut self, id: ConnId, path: DatagramPath, is_proved: bool, bytes: usize) {
        let known = self.line(id).address.as_deref().copied();
        let mut address = Address { path, is_proved, is_spent: false };
        if let Some(known) = known.filter(|known| known.path.peer == path.peer) {
            // The system does not report it with every datagram.
            address.path.local = path.local.or(known.path.local);
        }
        let counted = known.and_then(|known| known.counted_ip());
        if counted != address.counted_ip() {
            self.release_allowance(counted);
        }
        if let Some(ip) = address.counted_ip() {
            let allowance = self.datagrams.allowances.entry(ip).or_default();
            allowance.seats += u32::from(counted != Some(ip));
            allowance.received_bytes += bytes as u64;
        }
        self.line_mut(id).address = Some(Box::new(address));
        if known.is_some_and(|known| known.is_spent) {
            // The engine may know of this datagram before it learns that sending had stopped.
            self.reports.push(Report::Hears { seat: id, hears: true });
        }
    }

    fn release_allowance(&mut self, ip: Option<IpAddr>) {
        let Some(ip) = ip else { return };
        if let Some(allowance) = self.datagrams.allowances.get_mut(&ip) {
            allowance.seats -= 1;
            if allowance.seats == 0 {
                self.datagrams.allowances.remove(&ip);
            }
        }
    }

    /// Removes a closed connection from the counts of its address.
    pub(super) fn forget_address(&mut self, id: ConnId) {
        let address = self.lines.get_mut(id).and_then(|line| line.address.take());
        self.release_allowance(address.and_then(|address| address.counted_ip()));
    }

    /// The path for a connection's next datagram. None for a stream, before its first datagram, or if the
    /// datagram exceeds the send allowance of an unproved address.
    pub fn path_of(&self, id: ConnId) -> Option<DatagramPath> {
        let address = self.line(id).address.as_deref()?;
        let is_allowed = address.counted_ip().is_none_or(|ip| {
            let allowance = self.datagrams.allowances.get(&ip);
            allowance.is_some_and(|allowance| self.next_frame_bytes(id) <= allowance.left())
        });
        is_allowed.then_some(address.path)
    }

    fn next_frame_bytes(&self, id: ConnId) -> u64 {
        let mut slices = Gather::new();
        self.gather(id, &mut slices);
        slices.iter().map(|slice| slice.len() as u64).sum()
    }

    /// A datagram of this number of bytes went to a connection's address.
    pub(super) fn sent_datagram(&mut self, id: ConnId, bytes: usize) {
        self.metrics.datagrams_sent += 1;
        let counted = self.line(id).address.as_ref().and_then(|address| address.counted_ip());
        if let Some(allowance) = counted.and_then(|ip| self.datagrams.allowances.get_mut(&ip)) {
            allowance.sent_bytes += bytes as u64;
        }
    }

    /// The socket for datagrams takes no more until [`Fanout::datagrams_writable`].
    pub fn datagrams_full(&mut self) {
        self.datagrams.are_full = true;
    }

    /// The socket for datagrams is writable again.
    pub fn datagrams_writable(&mut self) {
        if std::mem::take(&mut self.datagrams.are_full) {
            for id in std::mem::take(&mut self.datagrams.waiting) {
                if self.has(id) {
                    self.writable(id);
                }
            }
        }
    }

    /// The kernel refused this number of datagrams for good: their addresses are unreachable.
    pub fn datagrams_refused(&mut self, count: usize) {
        self.metrics.datagrams_undeliverable += count as u64;
    }

    /// Checks whether to send datagrams to a connection now. Without an address, its frames are skipped;
    /// while the socket is full, it waits.
    pub(super) fn prepare_seat(&mut self, id: ConnId) -> bool {
        if self.path_of(id).is_none() {
            self.note_spent(id);
            self.pass_over(id);
            return false;
        }
        if self.datagrams.are_full {
            self.line_mut(id).blocked = true;
            self.datagrams.waiting.push(id);
        }
        !self.datagrams.are_full
    }

    /// Tells the engine once that an unproved address has used up its send allowance.
    fn note_spent(&mut self, id: ConnId) {
        if let Some(address) = &mut self.line_mut(id).address
            && !std::mem::replace(&mut address.is_spent, true)
        {
            self.reports.push(Report::Hears { seat: id, hears: false });
        }
    }

    /// Skips the pending frames of a connection.
    fn pass_over(&mut self, id: ConnId) {
        self.forget_outbox(id);
        if let Some(at) = self.line(id).membership {
            let channel = self.channel_mut(at);
            let head = channel.log.head();
            let member = &mut channel.members[at.member as usize];
            (member.cursor, member.own_until) = (head, head);
            self.touch(at.room);
        }
        self.report_drained(id);
        self.end_when_flushed(id);
    }
}
