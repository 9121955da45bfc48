//! The last messages of a room, for those who ask.
//!
//! Two halves: messages are appended to the newer; when it is full, the older is dropped and the two change places. A
//! busy room allocates nothing for its history, and a quiet one holds what was said in it.

use crate::chat::UnixSeconds;
use crate::limits::{HISTORY_BYTES_MAX, LINE_BYTES_MAX};

const HALF_BYTES_MAX: usize = HISTORY_BYTES_MAX / 2;
const _: () = assert!(HALF_BYTES_MAX > 2 * LINE_BYTES_MAX, "a half holds any message");

/// One message of the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry<'a> {
    pub(super) at: UnixSeconds,
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
    at: UnixSeconds,
    /// Where the sender starts, the text starts, and the text ends, in bytes of `texts`.
    sender: u32,
    text: u32,
    end: u32,
}

#[derive(Debug, Default)]
pub(super) struct History {
    older: Half,
    newer: Half,
}

impl Half {
    fn len(&self) -> usize {
        self.texts.len() + self.entries.len() * size_of::<Span>()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|span| Entry {
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
        half.entries.push(Span { at: entry.at, sender, text, end: half.texts.len() as u32 });
    }

    /// The last `count` messages that are kept, oldest first.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = Entry<'_>> {
        let kept = self.older.entries.len() + self.newer.entries.len();
        self.older.entries().chain(self.newer.entries()).skip(kept.saturating_sub(count))
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
            history.push(Entry { at: UnixSeconds(1), sender: "alice", text });
            assert!(history.older.len() + history.newer.len() <= HISTORY_BYTES_MAX);
        }
        let last: Vec<_> = history.last(20).map(|entry| entry.text.to_owned()).collect();
        assert_eq!(last, &texts[4980..]);
        let all = history.last(usize::MAX).count();
        assert!(all >= HALF_BYTES_MAX / 60, "{all} kept");
        assert_eq!(history.last(0).count(), 0);
    }
}
