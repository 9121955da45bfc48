//! The last messages of a room, for those who ask.
//!
//! Two halves: messages are appended to the newer; when it is full, the older is dropped and the two change places. A
//! busy room allocates nothing for its history, and a quiet one holds what was said in it.

use crate::chat::{OpId, RoomMessage, UnixMillis};
use crate::limits::{HISTORY_BYTES_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX};

const HALF_BYTES_MAX: usize = HISTORY_BYTES_MAX / 2;
const _: () = assert!(HALF_BYTES_MAX > 2 * LINE_BYTES_MAX, "a half holds any message");

/// One message of the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    pub(super) id: OpId,
    /// When it was said.
    pub(super) at: UnixMillis,
    pub(super) sender: &'a str,
    pub(super) text: &'a str,
}

/// Messages one behind the other, in one allocation of at most [`HALF_BYTES_MAX`]: in front of each its id,
/// its time, and how long its sender and its text are.
#[derive(Debug, Default)]
struct Half {
    bytes: Vec<u8>,
    count: usize,
}

/// Bytes in front of a message.
const HEADER_BYTES: usize = 16 + 8 + 2 + 2;
// The encodings of the lengths of a sender and of a text.
const _: () = assert!(NAME_BYTES_MAX < LINE_BYTES_MAX && LINE_BYTES_MAX <= u16::MAX as usize);

#[derive(Debug, Default)]
pub(super) struct History {
    older: Half,
    newer: Half,
    /// What was said before is in it as well, as far as there is space.
    pub(super) is_filled: bool,
}

impl Half {
    /// The bytes of a message here.
    fn bytes_of(entry: &Entry<'_>) -> usize {
        HEADER_BYTES + entry.sender.len() + entry.text.len()
    }

    fn has_space(&self, entry: &Entry<'_>) -> bool {
        self.bytes.len() + Self::bytes_of(entry) <= HALF_BYTES_MAX
    }

    fn push(&mut self, entry: &Entry<'_>) {
        let needed = self.bytes.len() + Self::bytes_of(entry);
        if needed > self.bytes.capacity() {
            // Doubled as a vector doubles, but not beyond the bound.
            let capacity = needed.next_power_of_two().min(HALF_BYTES_MAX.max(needed));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(&entry.id.to_bytes());
        self.bytes.extend_from_slice(&entry.at.0.to_le_bytes());
        for text in [entry.sender, entry.text] {
            self.bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        }
        self.bytes.extend_from_slice(entry.sender.as_bytes());
        self.bytes.extend_from_slice(entry.text.as_bytes());
        self.count += 1;
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let id = OpId::from_bytes(*take(&mut rest)?);
            let at = UnixMillis(u64::from_le_bytes(*take(&mut rest)?));
            let lengths =
                [*take(&mut rest)?, *take(&mut rest)?].map(|bytes| usize::from(u16::from_le_bytes(bytes)));
            let [sender, text] = lengths.map(|length| {
                let (text, behind) = rest.split_at(length);
                rest = behind;
                std::str::from_utf8(text).expect("it was a text")
            });
            Some(Entry { id, at, sender, text })
        })
    }
}

/// Takes the first bytes off a slice, if it has them.
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(first)
}

impl History {
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        if !self.newer.has_space(&entry) {
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
        }
        self.newer.push(&entry);
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.older.count + self.newer.count
    }

    /// The last `count` messages that are kept, oldest first.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = Entry<'_>> {
        self.older.entries().chain(self.newer.entries()).skip(self.len().saturating_sub(count))
    }

    /// Puts what was said before in front, as far as there is space: messages oldest first, of which the last may be there
    /// already.
    pub(super) fn fill(&mut self, messages: &[RoomMessage]) {
        let mut filled = Self { is_filled: true, ..Self::default() };
        let first = self.last(usize::MAX).next().map(|entry| entry.id);
        let before = messages.iter().filter(|message| first.is_none_or(|first| message.id < first));
        for RoomMessage { id, at, sender, text, .. } in before {
            filled.push(Entry { id: *id, at: *at, sender, text });
        }
        for entry in self.last(usize::MAX) {
            filled.push(entry);
        }
        *self = filled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_within_bounds() {
        let mut history = History::default();
        let texts: Vec<_> = (0..5000).map(|index| format!("text {index}")).collect();
        for text in &texts {
            let at = UnixMillis(1);
            history.push(Entry { id: OpId::new(at, 0, 0), at, sender: "alice", text });
            assert!(history.older.bytes.capacity() + history.newer.bytes.capacity() <= HISTORY_BYTES_MAX);
        }
        let last: Vec<_> = history.last(20).map(|entry| entry.text.to_owned()).collect();
        assert_eq!(last, &texts[4980..]);
        let all = history.last(usize::MAX).count();
        assert!(all >= HALF_BYTES_MAX / 60, "{all} kept");
        assert_eq!(history.last(0).count(), 0);
    }

    #[test]
    fn what_was_said_before_is_put_in_front_once() {
        let id = |at| OpId::new(UnixMillis(at), 0, 0);
        let mut history = History::default();
        history.push(Entry { id: id(3), at: UnixMillis(3), sender: "a", text: "3" });
        history.push(Entry { id: id(4), at: UnixMillis(4), sender: "a", text: "4" });
        let stored = |at: u64| RoomMessage {
            id: id(at),
            at: UnixMillis(at),
            sequence: at,
            sender: "a".into(),
            text: at.to_string().into(),
        };
        history.fill(&[stored(1), stored(2), stored(3)]);
        assert!(history.is_filled);
        assert_eq!(history.last(9).map(|entry| entry.text).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    }
}
