//! What a group of ops changes in the counts of conversations: kept in memory, and written once a group.
//!
//! A row of `conversations` is what one account (the owner) sees of its messages with one name, apart for each account that
//! had that name, and for whoever had none (account 0). So when an account is deleted, nothing is to be counted again: rows
//! that it owns or is the other of are out of sight with its letters, and [`tidy`](super::tidy) deletes them. No row is kept
//! of no messages.

use std::collections::HashMap;

use ahash::RandomState;
use rusqlite::Connection;

use crate::chat::Folded;

/// The owner, and the other with its account; 0: it has none.
type Key = (i64, Folded, i64);

#[derive(Debug, Default)]
struct Change {
    messages: i64,
    unread: i64,
    /// The other's name as it was typed last, if anything was sent.
    other: Option<Box<str>>,
    /// Something was taken out of sight, perhaps the last message.
    may_be_empty: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    changes: HashMap<Key, Change, RandomState>,
}

impl Counts {
    fn of(&mut self, owner: i64, folded: Folded, account: Option<i64>) -> &mut Change {
        self.changes.entry((owner, folded, account.unwrap_or(0))).or_default()
    }

    /// The owner sees one more message, from or to somebody whose name was typed so.
    pub(super) fn sent(&mut self, owner: i64, folded: Folded, account: Option<i64>, name: &str, unread: i64) {
        let change = self.of(owner, folded, account);
        change.messages += 1;
        change.unread += unread;
        if change.other.as_deref() != Some(name) {
            change.other = Some(name.into());
        }
    }

    /// The owner has read a message.
    pub(super) fn read(&mut self, owner: i64, folded: Folded, account: Option<i64>) {
        self.of(owner, folded, account).unread -= 1;
    }

    /// The owner sees a message no more.
    pub(super) fn hidden(&mut self, owner: i64, folded: Folded, account: Option<i64>, unread: i64) {
        let change = self.of(owner, folded, account);
        change.messages -= 1;
        change.unread -= unread;
        change.may_be_empty = true;
    }

    /// In the order of the table: neighbours are in the same pages.
    pub(super) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut changes: Vec<_> = self.changes.into_iter().collect();
        changes.sort_unstable_by_key(|(key, _)| *key);
        let mut add = connection.prepare_cached(
            "INSERT INTO conversations (owner, folded, account, other, messages, unread) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT DO UPDATE SET other = excluded.other, messages = messages + excluded.messages,
                    unread = unread + excluded.unread",
        )?;
        let mut change = connection.prepare_cached(
            "UPDATE conversations SET messages = messages + ?4, unread = unread + ?5
                WHERE owner = ?1 AND folded = ?2 AND account = ?3",
        )?;
        let mut clear = connection.prepare_cached(
            "DELETE FROM conversations WHERE owner = ?1 AND folded = ?2 AND account = ?3 AND messages = 0",
        )?;
        for ((owner, folded, account), Change { messages, unread, other, may_be_empty }) in &changes {
            let folded = folded.as_str();
            match other {
                Some(other) => add.execute((owner, folded, account, other, messages, unread))?,
                None => change.execute((owner, folded, account, messages, unread))?,
            };
            if *may_be_empty {
                clear.execute((owner, folded, account))?;
            }
        }
        Ok(())
    }
}
