//! What is kept, on its way out: each durable change gets its id, is applied, and waits for whoever stores it.

use std::collections::VecDeque;

use super::Engine;
use crate::chat::{Change, Op, OpId, UnixMillis};

/// The ops that wait, and what the ids of the next ones depend on.
#[derive(Debug, Default)]
pub(super) struct Journal {
    ops: VecDeque<Op>,
    last_at: UnixMillis,
    sequence: u16,
}

/// 12 bits are there for it.
const SEQUENCE_MAX: u16 = 0xfff;

impl Journal {
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
}

impl Engine {
    /// Makes a durable change.
    pub(super) fn commit(&mut self, change: Change) -> OpId {
        let random = u64::from_le_bytes(self.random.bytes());
        let id = self.journal.next_id(self.now.unix, random);
        let op = Op { id, change };
        self.ledger.apply(&op);
        if self.settings.journal {
            self.journal.ops.push_back(op);
        }
        id
    }

    /// The next op to be stored, where [`Settings::journal`](super::Settings::journal) says that somebody does.
    pub fn next_op(&mut self) -> Option<Op> {
        self.journal.ops.pop_front()
    }

    /// Takes in an op that was stored before: accounts and mailboxes become what they were. Before anybody connects.
    pub fn restore(&mut self, op: &Op) {
        self.ledger.apply(op);
        self.journal.last_at = self.journal.last_at.max(op.id.at());
        // The next id is above whatever sequence that moment had.
        self.journal.sequence = SEQUENCE_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut journal = Journal::default();
        let times = (0..10_000).map(|index| UnixMillis(if index < 9000 { 50 } else { 40 }));
        let ids: Vec<_> = times.map(|now| journal.next_id(now, 3)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
