//! What waits for one connection alone: answers, direct messages, and what it is still owed of a room it left.
//!
//! Empty most of the time, and then it is not there. Each entry carries the offset of the room's log that it follows,
//! so that a client sees things in the order in which they happened.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use super::log::Offset;

/// Bytes to be sent once the cursor has reached `after`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) after: Offset,
    pub(super) bytes: usize,
}

/// Invariants: `entries` hold all of `bytes`, in order, none is empty, and their offsets never fall.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: BytesMut,
    entries: VecDeque<Entry>,
    /// The last entry is a notice of so many missed messages, and nothing of it is sent.
    missed: u64,
    /// An entry is one frame, and is sent alone.
    pub(super) is_framed: bool,
    /// The network that its connection is charged to, as its bits; none if no limit holds the connection.
    pub(super) charged: Option<u64>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends bytes: to the last entry, if that has the same place, and frames need not stay apart.
    pub(super) fn push(&mut self, after: Offset, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.entries.back_mut() {
            Some(last) if last.after == after && !self.is_framed => {
                self.missed = 0;
                self.bytes.extend_from_slice(bytes);
                last.bytes += bytes.len();
            }
            _ => self.push_entry(after, bytes),
        }
    }

    fn push_entry(&mut self, after: Offset, bytes: &[u8]) {
        self.missed = 0;
        self.bytes.extend_from_slice(bytes);
        self.entries.push_back(Entry { after, bytes: bytes.len() });
    }

    /// Appends all that waits in another, to be sent as soon as there is space.
    pub(super) fn push_all(&mut self, other: &Self) {
        let mut waiting = other.bytes();
        for entry in other.entries() {
            let (bytes, rest) = waiting.split_at(entry.bytes);
            self.push(Offset::default(), bytes);
            waiting = rest;
        }
    }

    /// Takes back a notice of missed messages that is still the last thing waiting, so that a larger one can take its
    /// place; returns its count.
    pub(super) fn take_missed(&mut self) -> u64 {
        let missed = std::mem::take(&mut self.missed);
        if missed > 0
            && let Some(last) = self.entries.pop_back()
        {
            self.bytes.truncate(self.bytes.len() - last.bytes);
        }
        missed
    }

    /// Pushes a notice of missed messages as an entry of its own.
    pub(super) fn push_missed(&mut self, after: Offset, bytes: &[u8], missed: u64) {
        if bytes.is_empty() {
            return;
        }
        self.push_entry(after, bytes);
        self.missed = missed;
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().copied()
    }

    pub(super) fn front(&self) -> Option<Entry> {
        self.entries.front().copied()
    }

    /// All bytes waiting, those of the first entry first.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets so many bytes of the first entry: they are sent.
    pub(super) fn advance(&mut self, bytes: usize) {
        if self.entries.len() == 1 {
            self.missed = 0;
        }
        let Some(front) = self.entries.front_mut() else { return };
        debug_assert!(bytes <= front.bytes, "an advance stays inside the entry");
        front.bytes -= bytes;
        self.bytes.advance(bytes);
        if front.bytes == 0 {
            self.entries.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.missed = 0;
        self.charged = None;
    }
}
