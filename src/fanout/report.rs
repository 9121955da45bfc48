//! What a shard tells the engine: what its fan-out found; and, where the engine is on another shard, what came in.

use core::net::IpAddr;

use super::DatagramPath;
use crate::chat::{CloseReason, ConnId, ListenerId, RoomId};
use crate::wire::Dialect;

/// One thing that happened. `bytes` lie in the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// A connection that was watched has read most of what waited for it.
    Drained(ConnId),
    /// Everything is sent to a connection that was to be closed.
    Ended(ConnId),
    /// A connection cannot be kept: nothing more is written to it.
    GivenUp(ConnId, CloseReason),
    /// A member fell off its room's log, and the policy is to close those.
    Lagged(ConnId),
    /// So many bytes of a dialect's log of a room were read by all who read.
    Read {
        /// The room.
        room: RoomId,
        /// The dialect.
        dialect: Dialect,
        /// How many.
        bytes: usize,
    },
    /// The unproved address of a seat has used up its send allowance, or a datagram of the seat has renewed
    /// it.
    Hears {
        /// Whose.
        seat: ConnId,
        /// Whether anything is sent there.
        hears: bool,
    },
    /// All logs of a shard together are too large, so that each is held to little; or no longer.
    Short(bool),
    /// A connection was accepted, from this address at this listener.
    Connected(ConnId, Dialect, IpAddr, ListenerId),
    /// Bytes came from a connection. It is not read from again before [`Order::ReadOn`](super::Order::ReadOn).
    Received {
        /// From whom.
        from: ConnId,
        /// How many.
        bytes: u32,
    },
    /// A datagram came.
    Datagram {
        /// The way that it took.
        path: DatagramPath,
        /// How many bytes.
        bytes: u32,
    },
    /// The kernel dropped so many datagrams, as more came than could wait.
    DatagramsLost(u64),
    /// A peer sends nothing more.
    PeerClosed(ConnId),
    /// A peer reset a connection that is not being read from.
    PeerReset(ConnId),
    /// A socket is gone.
    Disconnected(ConnId, CloseReason),
}

/// Reports of one shard, in the order in which things happened.
#[derive(Debug, Default)]
pub struct Reports {
    list: Vec<Report>,
    bytes: Vec<u8>,
}

impl Reports {
    pub(crate) fn push(&mut self, report: Report) {
        self.list.push(report);
    }

    pub(crate) fn received(&mut self, from: ConnId, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.list.push(Report::Received { from, bytes: bytes.len() as u32 });
    }

    pub(crate) fn datagram(&mut self, path: DatagramPath, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.list.push(Report::Datagram { path, bytes: bytes.len() as u32 });
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What the batch takes of the bound on what is on its way.
    pub fn size(&self) -> usize {
        self.list.len() * size_of::<Report>() + self.bytes.len()
    }

    /// Empties it, for the next use.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
    }

    /// The reports, each with its bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Report, &[u8])> {
        let mut rest = &self.bytes[..];
        self.list.iter().map(move |&report| {
            let (Report::Received { bytes, .. } | Report::Datagram { bytes, .. }) = report else {
                return (report, &[][..]);
            };
            let (these, behind) = rest.split_at(bytes as usize);
            rest = behind;
            (report, these)
        })
    }
}
