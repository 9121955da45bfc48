//! Connections that are spoken to in datagrams: where these go, and what becomes of them when they cannot.

use core::net::{IpAddr, SocketAddr};

use super::{Fanout, Report};
use crate::chat::ConnId;
use crate::limits::UCRP_UNHEARD_BYTES_MAX;

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
    /// Whoever holds the seat has that address, and nobody gets what he did not ask for.
    is_proved: bool,
    /// Bytes sent there since it was last heard.
    unheard_bytes: u64,
}

impl Address {
    fn may_be_sent_to(&self) -> bool {
        self.is_proved || self.unheard_bytes < UCRP_UNHEARD_BYTES_MAX
    }
}

/// The socket for datagrams, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    pub(super) are_full: bool,
    /// Who had something to be sent since the socket is full.
    waiting: Vec<ConnId>,
}

impl Fanout {
    /// A datagram came from a connection. `is_proved`: from where the handshake came from.
    pub(crate) fn heard_from(&mut self, id: ConnId, path: DatagramPath, is_proved: bool) {
        let mut address = Address { path, is_proved, unheard_bytes: 0 };
        match &mut self.line_mut(id).address {
            Some(known) => {
                if path.peer == known.path.peer {
                    // The system does not tell it with every datagram.
                    address.path.local = path.local.or(known.path.local);
                }
                let was_sent_to = known.may_be_sent_to();
                **known = address;
                if !was_sent_to {
                    // The engine, which knows that it was heard, may hear afterwards that it was not.
                    self.reports.push(Report::Hears { seat: id, hears: true });
                }
            }
            none => *none = Some(Box::new(address)),
        }
    }

    /// The path for a connection's datagrams; none for a stream, or before its first datagram.
    pub fn path_of(&self, id: ConnId) -> Option<DatagramPath> {
        let address = self.line(id).address.as_ref()?;
        address.may_be_sent_to().then_some(address.path)
    }

    /// A datagram of so many bytes went to a connection's address.
    pub(super) fn sent_datagram(&mut self, id: ConnId, bytes: usize) {
        self.metrics.datagrams_sent += 1;
        let Some(address) = &mut self.line_mut(id).address else { return };
        let was_sent_to = address.may_be_sent_to();
        address.unheard_bytes += bytes as u64;
        if was_sent_to && !address.may_be_sent_to() {
            self.reports.push(Report::Hears { seat: id, hears: false });
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
            self.pass_over(id);
            return false;
        }
        if self.datagrams.are_full {
            self.line_mut(id).blocked = true;
            self.datagrams.waiting.push(id);
        }
        !self.datagrams.are_full
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
