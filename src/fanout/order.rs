//! What the engine tells the fan-out of another shard: the calls that it would make, one behind the other.

use super::{DatagramPath, Fanout, Owed};
use crate::chat::{ConnId, Now, Refused, RoomId};
use crate::wire::Dialect;

/// One of them. `bytes` lie in the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// A frame goes to a dialect's readers in a room, but for one.
    Append {
        /// The room.
        room: RoomId,
        /// The dialect.
        dialect: Dialect,
        /// Who does not get it.
        skipped_by: Option<ConnId>,
        /// Its length.
        bytes: u32,
    },
    /// Bytes go to one connection.
    Push {
        /// To whom.
        to: ConnId,
        /// The network that the connection is charged to.
        charged: Option<u64>,
        /// How many.
        bytes: u32,
    },
    /// There is a seat.
    OpenSeat(ConnId),
    /// A datagram came from a seat.
    HeardFrom {
        /// From whom.
        seat: ConnId,
        /// The way that it took.
        path: DatagramPath,
        /// Its holder receives there.
        is_proved: bool,
        /// Its size in bytes.
        bytes: u32,
    },
    /// A seat is gone.
    Remove(ConnId),
    /// A connection enters a room.
    Enter(ConnId, RoomId),
    /// A connection leaves its room.
    Leave(ConnId, Owed),
    /// What waits for a connection is forgotten.
    ForgetOutbox(ConnId),
    /// A connection goes to the head of its room's log.
    SkipToHead(ConnId),
    /// The engine wants to know when a connection has read its answers.
    Watch(ConnId),
    /// What was read from a connection is dealt with: it can be read from again.
    ReadOn(ConnId),
    /// A connection is closed when everything is sent.
    End(ConnId),
    /// A connection is dropped.
    Drop(ConnId),
    /// A connection is not taken in: it is told why and dropped.
    Refuse(ConnId, Refused),
    /// The server stops: nobody is taken in any more.
    Stop,
}

/// Orders for one shard, in the order in which they are to be carried out.
#[derive(Debug, Default)]
pub struct Orders {
    list: Vec<Order>,
    bytes: Vec<u8>,
}

impl Orders {
    pub(crate) fn push(&mut self, order: Order) {
        self.list.push(order);
    }

    pub(crate) fn append(
        &mut self,
        room: RoomId,
        dialect: Dialect,
        frame: &[u8],
        skipped_by: Option<ConnId>,
    ) {
        self.bytes.extend_from_slice(frame);
        self.list.push(Order::Append { room, dialect, skipped_by, bytes: frame.len() as u32 });
    }

    pub(crate) fn send(&mut self, to: ConnId, charged: Option<u64>, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.list.push(Order::Push { to, charged, bytes: bytes.len() as u32 });
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What the batch takes of the bound on what is on its way.
    pub fn size(&self) -> usize {
        self.list.len() * size_of::<Order>() + self.bytes.len()
    }

    /// Empties it, for the next use.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
    }

    /// The orders, each with its bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Order, &[u8])> {
        let mut rest = &self.bytes[..];
        self.list.iter().map(move |&order| {
            let (Order::Append { bytes, .. } | Order::Push { bytes, .. }) = order else {
                return (order, &[][..]);
            };
            let (these, behind) = rest.split_at(bytes as usize);
            rest = behind;
            (order, these)
        })
    }
}

impl Fanout {
    /// Carries out an order, if it is one for the fan-out alone; else gives it back. Those for connections that are gone mean
    /// nothing.
    pub(crate) fn carry_out(&mut self, order: Order, bytes: &[u8], now: Now) -> Option<Order> {
        self.now = now;
        match order {
            Order::Append { room, dialect, skipped_by, .. } => self.append(room, dialect, bytes, skipped_by),
            Order::OpenSeat(id) => self.open_seat(id),
            Order::Push { to: id, .. }
            | Order::HeardFrom { seat: id, .. }
            | Order::Remove(id)
            | Order::Enter(id, _)
            | Order::Leave(id, _)
            | Order::ForgetOutbox(id)
            | Order::SkipToHead(id)
            | Order::Watch(id)
            | Order::ReadOn(id)
            | Order::End(id)
            | Order::Drop(id)
            | Order::Refuse(id, _)
                if !self.has(id) => {}
            Order::Push { to, charged, .. } => self.push(to, charged, bytes),
            Order::HeardFrom { seat, path, is_proved, bytes } => {
                self.heard_from(seat, path, is_proved, bytes as usize);
            }
            Order::Remove(id) => self.remove(id),
            Order::Enter(id, room) => self.enter(id, room),
            Order::Leave(id, owed) => self.leave(id, owed),
            Order::ForgetOutbox(id) => self.forget_outbox(id),
            Order::SkipToHead(id) => {
                self.skip_to_head(id);
            }
            Order::Watch(id) => self.watch(id),
            Order::End(id) => self.end(id),
            Order::Drop(id) => self.drop_now(id),
            Order::ReadOn(_) | Order::Refuse(..) | Order::Stop => return Some(order),
        }
        None
    }
}
