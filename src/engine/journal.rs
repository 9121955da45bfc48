//! What is kept, on its way out: each durable change gets its id, is applied, and waits for whoever stores it.
//!
//! ```text
//!   commit ─▶ [ ops ] ─ take_ops ─▶ (the driver stores them) ─▶ committed
//!             └────────────── waiting: bounded ──────────────┘
//! ```
//!
//! While the store fails, or commits nothing for too long, nothing new is promised: see `promise.rs`. What was applied
//! before stays applied, and is stored when the store is well again.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::RandomState;

use super::Engine;
use super::network::Network;
use crate::chat::{Change, ConnId, Kept, Now, Op, OpId, Problem, RoomId, RoomMessage, UnixMillis};
use crate::limits::{
    STORE_GROUP_OPS_MAX, STORE_PATIENCE_SECONDS, STORE_QUEUE_BYTES_MAX, STORE_QUEUE_OPS_MAX,
    STORE_RESERVE_DIVISOR,
};
use crate::state::Shares;

/// The ops that wait, and what the ids of the next ones depend on.
#[derive(Debug)]
pub(super) struct Journal {
    /// Not taken yet.
    ops: Vec<Op>,
    last_at: UnixMillis,
    sequence: u16,
    /// Everything up to it is committed.
    pub(super) committed: Option<OpId>,
    /// Ops that are not committed, taken or not, and what they are counted for.
    waiting_ops: usize,
    waiting_bytes: usize,
    /// The charged network and the [weight] of each op, oldest first.
    charged: VecDeque<(Option<Network>, u32)>,
    /// Shares of the sum of the weights.
    shares: Shares<Network>,
    /// The id of the last op.
    last_given: Option<OpId>,
    /// Look-ups that were handed out and not answered.
    pub(super) look_ups: usize,
    /// When something last came back from the store, or began to wait for it.
    progress_at: Duration,
    /// The store said so, or said nothing for too long.
    pub(super) is_failing: bool,
}

/// 12 bits are there for it.
const SEQUENCE_MAX: u16 = 0xfff;

/// The weight of an op in the shares of the queue: its bytes, but at least the average space of one op. So
/// the share also bounds the number of ops.
fn weight(bytes: usize) -> usize {
    bytes.max(OP_WEIGHT_MIN)
}

const OP_WEIGHT_MIN: usize = STORE_QUEUE_BYTES_MAX / STORE_QUEUE_OPS_MAX;

impl Journal {
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self {
            ops: Vec::new(),
            last_at: UnixMillis::default(),
            sequence: 0,
            committed: None,
            waiting_ops: 0,
            waiting_bytes: 0,
            charged: VecDeque::new(),
            shares: Shares::new(hasher),
            last_given: None,
            look_ups: 0,
            progress_at: Duration::ZERO,
            is_failing: false,
        }
    }

    /// An id above all before it, even when the clock goes back.
    fn next_id(&mut self, now: UnixMillis, random: u64) -> OpId {
        if now > self.last_at {
            (self.last_at, self.sequence) = (now, 0);
        } else if self.sequence == SEQUENCE_MAX {
            (self.last_at, self.sequence) = (UnixMillis(self.last_at.0 + 1), 0);
        } else {
            self.sequence += 1;
        }
        OpId::new(self.last_at, self.sequence, random)
    }

    /// The highest id of an op that was handed out, or is about to be.
    pub(super) fn last_given(&self) -> Option<OpId> {
        self.last_given
    }

    fn push(&mut self, op: Op, charged: Option<Network>, now: Duration) {
        self.last_given = Some(op.id);
        self.begin_wait(now);
        self.waiting_ops += 1;
        self.waiting_bytes += op.bytes();
        let weight = weight(op.bytes());
        self.charged.push_back((charged, u32::try_from(weight).unwrap_or(u32::MAX)));
        self.shares.charge(charged, weight);
        self.ops.push(op);
    }

    /// Something begins to wait for the store.
    fn begin_wait(&mut self, now: Duration) {
        if self.waiting_ops == 0 && self.look_ups == 0 {
            self.progress_at = now;
        }
    }

    /// A look-up was handed out.
    pub(super) fn look_up_begins(&mut self, now: Duration) {
        self.begin_wait(now);
        self.look_ups += 1;
    }

    /// One came back.
    pub(super) fn look_up_ends(&mut self, now: Duration, is_well: bool) {
        self.look_ups = self.look_ups.saturating_sub(1);
        self.progress_at = now;
        if is_well && self.waiting_ops == 0 {
            // Nothing waits that could say so.
            self.is_failing = false;
        }
    }

    /// Removes the oldest ops, this number of them.
    fn take_out(&mut self, ops: usize, bytes: usize) {
        self.waiting_ops = self.waiting_ops.saturating_sub(ops);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        for (charged, weight) in self.charged.drain(..ops.min(self.charged.len())) {
            self.shares.give_back(charged, weight as usize);
        }
        if self.charged.is_empty() && self.charged.capacity() > STORE_GROUP_OPS_MAX {
            self.charged = VecDeque::new();
        }
    }

    /// Whether a network may add to the queue, of which all networks together may fill one part in `divisor`.
    fn has_space(&self, charged: Option<Network>, divisor: usize) -> bool {
        let taken = self.waiting_bytes.max(self.waiting_ops * OP_WEIGHT_MIN);
        self.shares.has_place(charged, taken, STORE_QUEUE_BYTES_MAX / divisor)
    }

    /// Panics where an invariant does not hold. For tests.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.charged.len(), self.waiting_ops);
        self.shares.check_invariants(self.charged.iter().map(|&(of, weight)| (of, weight as usize)));
    }

    /// When the store is given up, unless it commits something before.
    pub(super) fn patience_until(&self) -> Option<Duration> {
        let is_waited_for = (self.waiting_ops > 0 || self.look_ups > 0) && !self.is_failing;
        is_waited_for.then(|| self.progress_at + Duration::from_secs(STORE_PATIENCE_SECONDS))
    }
}

impl Engine {
    /// Makes a durable change that follows from another, and is charged to no network.
    pub(super) fn commit(&mut self, change: Change) -> OpId {
        self.commit_for(None, change)
    }

    /// Makes a durable change, which a network is charged for.
    pub(super) fn commit_for(&mut self, charged: Option<Network>, change: Change) -> OpId {
        let random = u64::from_le_bytes(self.random.bytes());
        let id = self.journal.next_id(self.now.unix, random);
        let op = Op { id, at: self.now.unix, change };
        self.rescue(&op.change);
        self.ledger.apply_for(&op, charged.map(Network::origin));
        if self.settings.journal {
            self.journal.push(op, charged, self.now.monotonic);
        }
        id
    }

    /// Has what was said in a room stored, if that is possible: nobody is promised it. Returns its id.
    pub(super) fn keep_said(&mut self, id: ConnId, room: RoomId, sender: &str, text: &str) -> OpId {
        let charged = self.charged_to(id);
        if self.settings.journal && self.can_keep_history(charged) {
            let room = self.room(room).name.as_str().into();
            let said = Change::Said { room, sender: sender.into(), text: text.into() };
            return self.commit_for(charged, said);
        }
        self.metrics.history_unkept += u64::from(self.settings.journal);
        // Nobody sees it; it is for the order and the time.
        self.journal.next_id(self.now.unix, 0)
    }

    /// Whether the store can keep a request of a connection: it works, and its queue has space. (Ops that
    /// follow from others are always stored: the end of a seat, and the undo of a refused op. Their number is
    /// bounded by that of seats and waiting ops.)
    pub(super) fn can_keep(&self, id: ConnId) -> bool {
        self.can_keep_for(self.charged_to(id))
    }

    /// The same for a change that is charged to a network, or to none.
    pub(super) fn can_keep_for(&self, charged: Option<Network>) -> bool {
        let has_space = || self.journal.has_space(charged, 1);
        !self.settings.journal || (!self.journal.is_failing && has_space())
    }

    /// What whoever asks is told when it cannot.
    pub(super) fn unkept_problem(&self) -> Problem<'static> {
        if self.journal.is_failing { Problem::NotKept } else { Problem::Busy }
    }

    /// The same for what nobody is promised: it leaves space for what somebody is.
    fn can_keep_history(&self, charged: Option<Network>) -> bool {
        !self.journal.is_failing && self.journal.has_space(charged, STORE_RESERVE_DIVISOR)
    }

    /// Whether an op is as durable as its answer says.
    pub(super) fn is_committed(&self, id: OpId) -> bool {
        !self.settings.promises_wait || self.journal.committed.is_some_and(|committed| id <= committed)
    }

    /// The ops to be stored, in this order, behind all that were taken before. Where
    /// [`Settings::journal`](super::Settings::journal) says that somebody does.
    pub fn take_ops(&mut self) -> Vec<Op> {
        std::mem::take(&mut self.journal.ops)
    }

    /// Ops that are not committed, and their bytes.
    pub fn waiting_ops(&self) -> (usize, usize) {
        (self.journal.waiting_ops, self.journal.waiting_bytes)
    }

    /// So many ops, of so many [bytes](Op::bytes), up to one with an id, are committed: what was promised with them is told.
    pub fn committed(&mut self, up_to: OpId, ops: usize, bytes: usize, now: Now) {
        self.now = now;
        let journal = &mut self.journal;
        journal.committed = journal.committed.max(Some(up_to));
        journal.take_out(ops, bytes);
        journal.progress_at = now.monotonic;
        journal.is_failing = false;
        self.metrics.ops_committed += ops as u64;
        self.keep_promises();
    }

    /// The store cannot commit, and tries again: what waits to be told is refused, and so is what comes until
    /// [`Engine::committed`].
    pub fn store_failed(&mut self, now: Now) {
        self.now = now;
        if !std::mem::replace(&mut self.journal.is_failing, true) {
            self.metrics.store_failures += 1;
            self.break_promises();
        }
    }

    pub(super) fn lose_patience(&mut self) {
        if self.journal.patience_until().is_some_and(|until| self.now.monotonic >= until) {
            self.store_failed(self.now);
        }
    }

    /// Takes in a part of what was kept, in the order that [`Kept`] documents. Before anybody connects.
    pub fn restore(&mut self, kept: &Kept, now: Now) {
        self.now = now;
        self.ledger.restore(kept);
        self.unused.begin(now);
        if let Kept::Seat { room, seat, is_host, made } = kept {
            self.restore_seat(room, seat, *is_host, *made);
        }
    }

    /// The highest id that was given out before: the next ones are above it.
    pub fn restore_last(&mut self, last: OpId) {
        self.journal.last_at = self.journal.last_at.max(last.at());
        self.journal.committed = self.journal.committed.max(Some(last));
        // The next id is above whatever sequence that moment had.
        self.journal.sequence = SEQUENCE_MAX;
    }

    /// The newest messages of the lobby, oldest first: whoever comes in may be shown some.
    pub fn restore_lobby(&mut self, messages: &[RoomMessage]) {
        self.room_mut(RoomId::LOBBY).history.fill(messages);
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    fn journal() -> Journal {
        Journal::new(&RandomState::with_seeds(1, 2, 3, 4))
    }

    fn network(index: u8) -> Network {
        Network::of(IpAddr::from([192, 0, 2, index]))
    }

    /// Adds ops of a network until it has no space; returns their number and bytes.
    fn fill(journal: &mut Journal, charged: Option<Network>, text: &str) -> (usize, usize) {
        let before = (journal.waiting_ops, journal.waiting_bytes);
        while journal.has_space(charged, 1) {
            let id = journal.next_id(UnixMillis(1), 0);
            let change = Change::Said { room: "lobby".into(), sender: "ann".into(), text: text.into() };
            journal.push(Op { id, at: UnixMillis(1), change }, charged, Duration::ZERO);
        }
        journal.check_invariants();
        (journal.waiting_ops - before.0, journal.waiting_bytes - before.1)
    }

    #[test]
    fn a_network_has_its_share_of_the_queue_in_ops_and_in_bytes() {
        let long = "x".repeat(4000);
        for (text, is_full_of_ops) in [("", true), (&*long, false)] {
            let mut journal = journal();
            let (ops, bytes) = fill(&mut journal, Some(network(1)), text);
            let share = |max: usize| max - max / 10;
            if is_full_of_ops {
                assert_eq!(ops, share(STORE_QUEUE_OPS_MAX));
            } else {
                assert!((share(STORE_QUEUE_BYTES_MAX)..STORE_QUEUE_BYTES_MAX).contains(&bytes), "{bytes}");
            }
            assert_eq!(fill(&mut journal, Some(network(1)), text).0, 0);
            let (ops_of_other, bytes_of_other) = fill(&mut journal, Some(network(2)), text);
            assert!(ops_of_other * OP_WEIGHT_MIN >= STORE_QUEUE_BYTES_MAX / 100 || !is_full_of_ops);
            assert!(bytes_of_other >= STORE_QUEUE_BYTES_MAX / 100 || is_full_of_ops);
            // An op that follows from another always finds space.
            fill(&mut journal, None, text);
            assert!(!journal.has_space(Some(network(3)), 1));
            // The oldest are committed: those of the first network.
            journal.take_out(ops, bytes);
            journal.check_invariants();
            assert_eq!(journal.shares.of(network(1)), 0);
            assert!(journal.has_space(Some(network(1)), 1));
            let (ops, bytes) = (journal.waiting_ops, journal.waiting_bytes);
            journal.take_out(ops, bytes);
            journal.check_invariants();
            assert_eq!(journal.charged.capacity(), 0, "a long queue is given back");
        }
    }

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut journal = journal();
        let times = (0..10_000).map(|index| UnixMillis(if index < 9000 { 50 } else { 40 }));
        let ids: Vec<_> = times.map(|now| journal.next_id(now, 3)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
