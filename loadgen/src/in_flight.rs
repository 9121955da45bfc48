//! Which published messages are not yet delivered to everyone.

use crate::clock::Moment;

/// The published messages, for as long as a recipient is without them.
pub(crate) struct InFlight {
    publishers: Vec<Ring>,
    /// Messages with a recipient that is without them.
    open: u32,
    /// Deliveries outstanding.
    owed: u64,
}

/// What became of one delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Settled {
    /// Others are still without the message.
    Open,
    /// This was the last recipient.
    Complete,
}

/// One publisher's messages. `oldest..next` are kept at their sequence modulo the length, a power of two; those below
/// `oldest` are complete.
struct Ring {
    entries: Vec<Entry>,
    oldest: u32,
    next: u32,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    scheduled: Moment,
    /// Recipients that are without it.
    remaining: u32,
}

impl InFlight {
    pub(crate) fn new(publishers: usize) -> Self {
        let ring = || Ring { entries: vec![Entry::default(); 16], oldest: 0, next: 0 };
        Self { publishers: (0..publishers).map(|_| ring()).collect(), open: 0, owed: 0 }
    }

    /// How many messages are not yet delivered to everyone.
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// How many deliveries are outstanding.
    pub(crate) fn owed(&self) -> u64 {
        self.owed
    }

    /// The sequence number that the publisher's next message will have.
    pub(crate) fn next(&self, publisher: usize) -> u32 {
        self.publishers[publisher].next
    }

    /// Notes a message that is about to be sent.
    pub(crate) fn publish(&mut self, publisher: usize, scheduled: Moment, recipients: u32) {
        self.publishers[publisher].push(Entry { scheduled, remaining: recipients });
        self.open += u32::from(recipients > 0);
        self.owed += u64::from(recipients);
    }

    /// Whether the message was sent, and for that time.
    #[inline]
    pub(crate) fn knows(&self, publisher: usize, sequence: u32, scheduled: Moment) -> bool {
        let ring = &self.publishers[publisher];
        // Below the oldest, only the number is left to judge by.
        sequence < ring.next && (sequence < ring.oldest || ring.at(sequence).scheduled == scheduled)
    }

    /// One recipient has the message, or never will. It is in the ring, since that recipient was without it.
    #[inline]
    pub(crate) fn settle(&mut self, publisher: usize, sequence: u32) -> Settled {
        let ring = &mut self.publishers[publisher];
        let index = ring.index(sequence);
        let entry = &mut ring.entries[index];
        debug_assert!(entry.remaining > 0 && (ring.oldest..ring.next).contains(&sequence));
        entry.remaining -= 1;
        self.owed -= 1;
        if entry.remaining > 0 {
            return Settled::Open;
        }
        self.open -= 1;
        Settled::Complete
    }
}

impl Ring {
    #[inline]
    fn index(&self, sequence: u32) -> usize {
        sequence as usize & (self.entries.len() - 1)
    }

    #[inline]
    fn at(&self, sequence: u32) -> &Entry {
        &self.entries[self.index(sequence)]
    }

    fn push(&mut self, entry: Entry) {
        while self.oldest < self.next && self.at(self.oldest).remaining == 0 {
            self.oldest += 1;
        }
        if (self.next - self.oldest) as usize == self.entries.len() {
            let mut entries = vec![Entry::default(); self.entries.len() * 2];
            let mask = entries.len() - 1;
            for sequence in self.oldest..self.next {
                entries[sequence as usize & mask] = *self.at(sequence);
            }
            self.entries = entries;
        }
        let index = self.index(self.next);
        self.entries[index] = entry;
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_open_until_its_last_recipient_has_it() {
        let mut flight = InFlight::new(2);
        flight.publish(1, Moment(7), 2);
        assert!(flight.knows(1, 0, Moment(7)));
        assert!(!flight.knows(1, 0, Moment(8)), "another time");
        assert!(!flight.knows(1, 1, Moment(7)), "not yet sent");
        assert!(!flight.knows(0, 0, Moment(7)), "another publisher");
        assert_eq!((flight.open(), flight.owed()), (1, 2));
        assert_eq!(flight.settle(1, 0), Settled::Open);
        assert_eq!(flight.settle(1, 0), Settled::Complete);
        assert_eq!((flight.open(), flight.owed()), (0, 0));
    }

    #[test]
    fn a_message_to_nobody_is_never_open() {
        let mut flight = InFlight::new(1);
        flight.publish(0, Moment(1), 0);
        assert_eq!((flight.open(), flight.owed(), flight.next(0)), (0, 0, 1));
    }

    #[test]
    fn the_ring_grows_over_what_is_open_and_is_reused_over_what_is_not() {
        let mut flight = InFlight::new(1);
        for sequence in 0..1000 {
            flight.publish(0, Moment(sequence), 1);
        }
        for sequence in 0..1000 {
            assert!(flight.knows(0, sequence, Moment(u64::from(sequence))));
            assert_eq!(flight.settle(0, sequence), Settled::Complete);
        }
        let length = flight.publishers[0].entries.len();
        for sequence in 1000..10_000 {
            flight.publish(0, Moment(sequence), 1);
            flight.settle(0, sequence as u32);
        }
        assert_eq!(flight.publishers[0].entries.len(), length);
    }
}
