//! Nothing lost, nothing doubled, in order for each sender.
//!
//! For each pair of a receiver and a publisher the next sequence number is known (one *cell*). What comes ahead of its
//! turn leaves a gap: those are lost, until they come after all, which makes them reordered.

use std::collections::HashSet;

use serde::Serialize;

/// Gaps remembered, to tell what is reordered from what is doubled. Beyond it, what comes late counts as doubled.
const MISSING_MAX: usize = 1 << 20;

/// What was received, and what was wrong with it. All counts are of deliveries (a message to a receiver or, where only
/// those count, an acknowledgement to its publisher).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Received in order.
    pub(crate) delivered: u64,
    /// Not received.
    pub(crate) lost: u64,
    /// Received once more.
    pub(crate) doubled: u64,
    /// Received after a later one of the same sender.
    pub(crate) reordered: u64,
    /// Not as it was sent: another text, another sender, another room, or never sent at all.
    pub(crate) corrupted: u64,
    /// Messages that the server said it had skipped for a receiver (they are among the lost as well).
    pub(crate) announced_missed: u64,
    /// Frames that cannot be read, such as lines that are too long or not UTF-8.
    pub(crate) undecodable: u64,
    /// Messages that their publisher was not told are kept, where that is told.
    pub(crate) unkept: u64,
    /// Messages that the server refused to keep, where only acknowledgements count.
    pub(crate) refused: u64,
    /// Mailboxes that did not list what is in them.
    pub(crate) mislisted: u64,
    /// Frames that the dialect's client has no words for, such as a banner. No fault.
    pub(crate) unrecognized: u64,
    /// Messages of people who are not of this run. No fault.
    pub(crate) foreign: u64,
}

impl Tally {
    /// Whether all is as it should be. What `may_lose` may lose messages on the way, and have them change places.
    pub(crate) fn is_clean(&self, may_lose: bool) -> bool {
        let unkept = self.unkept + self.refused + self.mislisted;
        let wrong = self.doubled + self.corrupted + self.undecodable + unkept;
        let missing = self.lost + self.reordered + self.announced_missed;
        wrong == 0 && (may_lose || missing == 0)
    }

    /// The part of all deliveries that was lost, in percent.
    pub(crate) fn lost_percent(&self) -> f64 {
        let all = self.delivered + self.reordered + self.lost;
        if all == 0 { 0.0 } else { self.lost as f64 * 100.0 / all as f64 }
    }
}

/// Where a sequence number stands to the one that was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// It is the one.
    Next,
    /// Those from here up to it are missing.
    Gap {
        /// The first one that is missing.
        from: u32,
    },
    /// It was missing until now.
    Late,
    /// It was there before.
    Again,
}

/// The next sequence number of each cell.
pub(crate) struct Sequences {
    next: Vec<u32>,
    missing: HashSet<(usize, u32)>,
}

impl Sequences {
    pub(crate) fn new(cells: usize) -> Self {
        Self { next: vec![0; cells], missing: HashSet::new() }
    }

    /// What is expected next.
    pub(crate) fn next(&self, cell: usize) -> u32 {
        self.next[cell]
    }

    /// Takes note of a sequence number that was really sent.
    #[inline]
    pub(crate) fn accept(&mut self, cell: usize, sequence: u32) -> Order {
        let next = &mut self.next[cell];
        if *next == sequence {
            *next += 1;
            return Order::Next;
        }
        self.accept_out_of_order(cell, sequence)
    }

    #[cold]
    fn accept_out_of_order(&mut self, cell: usize, sequence: u32) -> Order {
        let from = self.next[cell];
        if sequence > from {
            let room = MISSING_MAX.saturating_sub(self.missing.len());
            self.missing.extend((from..sequence).take(room).map(|sequence| (cell, sequence)));
            self.next[cell] = sequence + 1;
            Order::Gap { from }
        } else if self.missing.remove(&(cell, sequence)) {
            Order::Late
        } else {
            Order::Again
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_is_told_from_the_others() {
        let mut sequences = Sequences::new(2);
        let orders = [0, 1, 4, 2, 2, 4, 5].map(|sequence| sequences.accept(1, sequence));
        let expected = [
            Order::Next,
            Order::Next,
            Order::Gap { from: 2 },
            Order::Late,
            Order::Again,
            Order::Again,
            Order::Next,
        ];
        assert_eq!(orders, expected);
        assert_eq!(sequences.next(1), 6);
        assert_eq!(sequences.next(0), 0, "the other cell was left alone");
    }
}
