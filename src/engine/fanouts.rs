//! The fan-out of every shard: the own one, which is called, and the others', for which the same calls are collected as
//! orders.

use crate::chat::{ConnId, Now, RoomId};
use crate::fanout::{DatagramPath, Fanout, Order, Orders, Owed};
use crate::limits::{LINK_BYTES_MAX, LOG_BYTES_LIMIT_MIN};
use crate::wire::Dialect;

/// Another shard, as the engine sees it.
#[derive(Debug, Default)]
struct Other {
    /// Since they were last taken.
    orders: Orders,
    /// Bytes of orders that were taken, and are on their way.
    on_its_way: usize,
    /// Its logs are held to little.
    is_short: bool,
}

#[derive(Debug)]
pub(super) struct Fanouts {
    pub(super) own: Fanout,
    others: Vec<Other>,
    /// Bytes sent to single connections of the others since the last turn ended.
    others_turn_bytes: usize,
    /// Bytes of long answers sent to single connections since then.
    answers_turn_bytes: usize,
}

impl Fanouts {
    pub(super) fn new(own: Fanout, shards: usize) -> Self {
        let others = (1..shards).map(|_| Other::default()).collect();
        Self { own, others, others_turn_bytes: 0, answers_turn_bytes: 0 }
    }

    /// Bytes sent to single connections since the last turn ended, long answers not counted.
    pub(super) fn turn_bytes(&self) -> usize {
        self.all_turn_bytes() - self.answers_turn_bytes
    }

    /// The same, with long answers.
    pub(super) fn all_turn_bytes(&self) -> usize {
        self.own.turn_bytes() + self.others_turn_bytes
    }

    /// Bytes of long answers since the last turn ended.
    pub(super) fn answers_turn_bytes(&self) -> usize {
        self.answers_turn_bytes
    }

    /// Counts bytes of the turn as parts of long answers.
    pub(super) fn count_answers(&mut self, bytes: usize) {
        self.answers_turn_bytes += bytes;
    }

    pub(super) fn end_turn(&mut self, now: Now) {
        self.own.end_turn(now);
        (self.others_turn_bytes, self.answers_turn_bytes) = (0, 0);
    }

    /// The orders for a shard, unless it is the own one.
    fn orders(&mut self, shard: u8) -> Option<&mut Orders> {
        let index = usize::from(shard).checked_sub(1)?;
        Some(&mut self.others[index].orders)
    }

    pub(super) fn append(
        &mut self,
        shard: u8,
        room: RoomId,
        dialect: Dialect,
        frame: &[u8],
        skipped_by: Option<ConnId>,
    ) {
        match self.orders(shard) {
            None => self.own.append(room, dialect, frame, skipped_by),
            Some(orders) => orders.append(room, dialect, frame, skipped_by),
        }
    }

    pub(super) fn push(&mut self, id: ConnId, charged: Option<u64>, bytes: &[u8]) {
        match self.orders(id.shard()) {
            None => self.own.push(id, charged, bytes),
            Some(orders) => {
                orders.send(id, charged, bytes);
                self.others_turn_bytes += bytes.len();
            }
        }
    }

    pub(super) fn enter(&mut self, id: ConnId, room: RoomId) {
        match self.orders(id.shard()) {
            None => self.own.enter(id, room),
            Some(orders) => orders.push(Order::Enter(id, room)),
        }
    }

    pub(super) fn leave(&mut self, id: ConnId, owed: Owed) {
        match self.orders(id.shard()) {
            None => self.own.leave(id, owed),
            Some(orders) => orders.push(Order::Leave(id, owed)),
        }
    }

    pub(super) fn forget_outbox(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => self.own.forget_outbox(id),
            Some(orders) => orders.push(Order::ForgetOutbox(id)),
        }
    }

    pub(super) fn skip_to_head(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => {
                self.own.skip_to_head(id);
            }
            Some(orders) => orders.push(Order::SkipToHead(id)),
        }
    }

    pub(super) fn watch(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => self.own.watch(id),
            Some(orders) => orders.push(Order::Watch(id)),
        }
    }

    pub(super) fn end(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => self.own.end(id),
            Some(orders) => orders.push(Order::End(id)),
        }
    }

    pub(super) fn drop_now(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => self.own.drop_now(id),
            Some(orders) => orders.push(Order::Drop(id)),
        }
    }

    /// A connection is gone. If it had a socket on another shard, that shard said so.
    pub(super) fn remove(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => self.own.remove(id),
            Some(orders) if id.is_seat() => orders.push(Order::Remove(id)),
            Some(_) => {}
        }
    }

    pub(super) fn open_seat(&mut self, id: ConnId) {
        match self.orders(id.shard()) {
            None => self.own.open_seat(id),
            Some(orders) => orders.push(Order::OpenSeat(id)),
        }
    }

    pub(super) fn heard_from(&mut self, seat: ConnId, path: DatagramPath, is_proved: bool, bytes: usize) {
        match self.orders(seat.shard()) {
            None => self.own.heard_from(seat, path, is_proved, bytes),
            Some(orders) => {
                orders.push(Order::HeardFrom { seat, path, is_proved, bytes: bytes as u32 });
            }
        }
    }

    /// An order that only other shards have to be given.
    pub(super) fn tell(&mut self, shard: u8, order: Order) {
        if let Some(orders) = self.orders(shard) {
            orders.push(order);
        }
    }

    pub(super) fn stop_others(&mut self) {
        for other in &mut self.others {
            other.orders.push(Order::Stop);
        }
    }

    /// Whether a shard is so far behind with its orders that there should be no more.
    pub(super) fn are_busy(&self) -> bool {
        self.others.iter().any(|other| other.on_its_way + other.orders.size() >= LINK_BYTES_MAX)
    }

    /// The orders for another shard, which are taken, by emptying them or by leaving others in their place.
    pub(super) fn orders_mut(&mut self, shard: u8) -> &mut Orders {
        &mut self.others[usize::from(shard) - 1].orders
    }

    pub(super) fn note_short(&mut self, shard: u8, is_short: bool) {
        if let Some(index) = usize::from(shard).checked_sub(1) {
            self.others[index].is_short = is_short;
        }
    }

    /// The most bytes that each shard's log of a room holds at present.
    pub(super) fn log_bytes_limit(&self) -> usize {
        let own = self.own.log_bytes_limit();
        if self.others.iter().any(|other| other.is_short) { own.min(LOG_BYTES_LIMIT_MIN) } else { own }
    }

    pub(super) fn note_on_its_way(&mut self, shard: u8, bytes: usize) {
        self.others[usize::from(shard) - 1].on_its_way = bytes;
    }
}
