//! Connections that are spoken to in datagrams: where these go, and what becomes of them when they cannot.

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
    /// This machine's address that the peer spoke to, where the system tells.
    pub local: Option<IpAddr>,
}

/// Where the datagrams for a connection go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    path: DatagramPath,
    /// The holder of the seat receives at this address: the handshake came from there, or the address
    /// answered.
    is_proved: bool,
    /// The next frame is longer than the address may be sent, as the engine was told.
    is_spent: bool,
}

impl Address {
    /// The IP address, if datagrams to it are counted.
    fn counted_ip(&self) -> Option<IpAddr> {
        (!self.is_proved).then(|| self.path.peer.ip().to_canonical())
    }
}

/// What went to an unproved IP address, and came from there, for all its seats of this shard together (RFC
/// 9000, section 8.1). Kept while a seat has the address.
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

/// The socket for datagrams, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    pub(super) are_full: bool,
    /// Who had something to be sent since the socket is full.
    waiting: Vec<ConnId>,
    /// In an order of their own: no hash, whose seed would have to be handed in, for what is rare.
    allowances: BTreeMap<IpAddr, Allowance>,
}

impl Fanout {
    /// A datagram of so many bytes came from a connection. `is_proved`: its holder receives there.
    pub(crate) fn heard_from(&mut self, id: ConnId, path: DatagramPath, is_proved: bool, bytes: usize) {
        let known = self.line(id).address.as_deref().copied();
        let mut address = Address { path, is_proved, is_spent: false };
        if let Some(known) = known.filter(|known| known.path.peer == path.peer) {
            // The system does not tell it with every datagram.
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
            // The engine, which knows that it was heard, may hear afterwards that it was not.
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

    /// A connection that is gone counts for no address any more.
    pub(super) fn forget_address(&mut self, id: ConnId) {
        let address = self.lines.get_mut(id).and_then(|line| line.address.take());
        self.release_allowance(address.and_then(|address| address.counted_ip()));
    }

    /// The path for a connection's next datagram; none for a stream, before its first datagram, or if an
    /// unproved address may not be sent as much.
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

    /// A datagram of so many bytes went to a connection's address.
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

    /// It does again.
    pub fn datagrams_writable(&mut self) {
        if std::mem::take(&mut self.datagrams.are_full) {
            for id in std::mem::take(&mut self.datagrams.waiting) {
                if self.has(id) {
                    self.writable(id);
                }
            }
        }
    }

    /// The kernel refused so many datagrams for good: there was no way to their addresses.
    pub fn datagrams_refused(&mut self, count: usize) {
        self.metrics.datagrams_undeliverable += count as u64;
    }

    /// Looks whether a connection is to be sent datagrams now. One without an address has nothing kept for it; while the
    /// socket is full, it waits.
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

    /// Tells the engine once that an unproved address has used up what it may be sent.
    fn note_spent(&mut self, id: ConnId) {
        if let Some(address) = &mut self.line_mut(id).address
            && !std::mem::replace(&mut address.is_spent, true)
        {
            self.reports.push(Report::Hears { seat: id, hears: false });
        }
    }

    /// What there is for a connection is not for it.
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
