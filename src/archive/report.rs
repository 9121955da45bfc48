//! What an import took, what it left, and why: counted, with the first few examples.

use std::collections::BTreeMap;
use std::fmt;

use crate::chat::visible;
use crate::limits::{IMPORT_EXAMPLES_MAX, IMPORT_REASONS_MAX};

/// How many of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Seats in rooms.
    pub seats: u64,
    /// Messages in mailboxes.
    pub letters: u64,
    /// Messages in rooms.
    pub room_messages: u64,
    /// Messages in mailboxes that were read.
    pub read: u64,
    /// Messages in mailboxes that were deleted, by one of the two or for both.
    pub deleted: u64,
}

/// What was left for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// How many.
    pub count: u64,
    /// The first few: where they stand.
    pub examples: Vec<String>,
}

/// See the module's documentation. `Display` says it in lines for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// What is new.
    pub taken: Counts,
    /// What was there already, as it is in the files.
    pub there: Counts,
    /// Messages that the files themselves say were deleted, and that are not here either.
    pub gone: u64,
    /// Seats of the store that ended, because their names have accounts now, and no password was asked for
    /// them.
    pub ended_seats: u64,
    /// By reason.
    pub left: BTreeMap<String, Left>,
}

impl Report {
    pub(super) fn leave(&mut self, reason: &str, example: String) {
        let is_known = self.left.contains_key(reason);
        let reason = if is_known || self.left.len() < IMPORT_REASONS_MAX { reason } else { "other reasons" };
        let left = self.left.entry(reason.to_owned()).or_default();
        left.count += 1;
        if left.examples.len() < IMPORT_EXAMPLES_MAX {
            left.examples.push(example);
        }
    }

    /// The number of entries left out, for all reasons.
    pub fn left_count(&self) -> u64 {
        self.left.values().map(|left| left.count).sum()
    }

    /// Whether there was anything that cannot be used.
    pub fn has_left(&self) -> bool {
        !self.left.is_empty()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, seats, letters, room_messages, read, deleted } = *self;
        let all = [
            (accounts, "account", "accounts"),
            (seats, "seat", "seats"),
            (letters, "message in mailboxes", "messages in mailboxes"),
            (room_messages, "message in rooms", "messages in rooms"),
            (read, "read mark", "read marks"),
            (deleted, "deletion", "deletions"),
        ];
        let parts: Vec<String> = all
            .into_iter()
            .filter(|&(count, ..)| count > 0)
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        if parts.is_empty() { f.write_str("nothing") } else { f.write_str(&parts.join(", ")) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "taken: {}", self.taken)?;
        if self.there != Counts::default() {
            writeln!(f, "there already: {}", self.there)?;
        }
        if self.gone > 0 {
            writeln!(f, "deleted before, so not taken: {}", self.gone)?;
        }
        if self.ended_seats > 0 {
            writeln!(f, "seats ended, because their names have accounts now: {}", self.ended_seats)?;
        }
        for (reason, Left { count, examples }) in &self.left {
            write!(f, "left: {count}: {}", visible(reason))?;
            let more = if *count > examples.len() as u64 { ", …" } else { "" };
            writeln!(f, " ({}{more})", visible(&examples.join(", ")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_by_reason_and_shows_the_first_ones() {
        let mut report =
            Report { taken: Counts { letters: 1, read: 2, ..Counts::default() }, ..Report::default() };
        for line in 1..=5 {
            report.leave("no account for b\u{1b}ob", format!("log:{line}"));
        }
        assert_eq!(
            report.to_string(),
            "taken: 1 message in mailboxes, 2 read marks\n\
             left: 5: no account for b\u{fffd}ob (log:1, log:2, log:3, …)\n"
        );
        for name in 0..1000 {
            report.leave(&format!("no account for user{name}"), "log:9".to_owned());
        }
        assert_eq!(report.left.len(), IMPORT_REASONS_MAX + 1);
        assert_eq!(report.left.values().map(|left| left.count).sum::<u64>(), 1005);
        assert_eq!(Report::default().to_string(), "taken: nothing\n");
    }
}
