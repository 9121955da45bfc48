//! The last messages of a room, for those who ask.
//!
//! Two halves: messages are appended to the newer; when it is full, the older is dropped and the two change places. A
//! busy room allocates nothing for its history, and a quiet one holds what was said in it.

use crate::chat::{OpId, RoomMessage, UnixMillis};
use crate::limits::{HISTORY_BYTES_MAX, LINE_BYTES_MAX};

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

#[derive(Debug, Default)]
struct Half {
    /// Senders and texts, one behind the other.
    texts: String,
    entries: Vec<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    id: OpId,
    at: UnixMillis,
    /// Where the sender starts, the text starts, and the text ends, in bytes of `texts`.
    sender: u32,
    text: u32,
    end: u32,
}

#[derive(Debug, Default)]
pub(super) struct History {
    older: Half,
    newer: Half,
    /// What was said before is in it as well, as far as there is space.
    pub(super) is_filled: bool,
}

impl Half {
    fn len(&self) -> usize {
        self.texts.len() + self.entries.len() * size_of::<Span>()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|span| Entry {
            id: span.id,
            at: span.at,
            sender: &self.texts[span.sender as usize..span.text as usize],
            text: &self.texts[span.text as usize..span.end as usize],
        })
    }
}

impl History {
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        let bytes = entry.sender.len() + entry.text.len() + size_of::<Span>();
        if self.newer.len() + bytes > HALF_BYTES_MAX {
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.texts.clear();
            self.newer.entries.clear();
        }
        let half = &mut self.newer;
        let sender = half.texts.len() as u32;
        half.texts.push_str(entry.sender);
        let text = half.texts.len() as u32;
        half.texts.push_str(entry.text);
        half.entries.push(Span { id: entry.id, at: entry.at, sender, text, end: half.texts.len() as u32 });
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.older.entries.len() + self.newer.entries.len()
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
            assert!(history.older.len() + history.newer.len() <= HISTORY_BYTES_MAX);
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
