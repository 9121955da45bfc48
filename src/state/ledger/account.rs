//! An account and its mailbox: the conversations that it sees, and what they hold in counted bytes. The
//! messages themselves are the ledger's.
//!
//! Invariant: no conversation is empty, and [`Held`] is the sum over the conversations. So a conversation
//! changes through [`Account::change`] and [`Account::converse`] only.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountId, With};
use crate::chat::{Folded, OpId, PasswordHash};

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Box<str>,
    pub(super) folded: Folded,
    /// The id of the op that made it, unique to this account.
    pub(crate) id: OpId,
    /// It was there before the start.
    pub(super) is_restored: bool,
    /// It was never used again: no login but the first, and no message from or to it.
    pub(super) is_unused: bool,
    /// With whom it has, or once had, messages: where to look for them when it is deleted.
    pub(super) correspondents: BTreeSet<AccountId>,
    pub(crate) password: PasswordHash,
    /// With accounts.
    pub(super) conversations: BTreeMap<AccountId, Conversation>,
    /// With strangers, by folded name.
    pub(super) strangers: BTreeMap<Box<str>, Conversation>,
    /// The sums over its conversations.
    pub(super) held: Held,
}

/// The messages that one account sees with another account, or with the strangers of a name. Never empty.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The other's name, as it was typed last.
    pub(super) other: Box<str>,
    /// Oldest first.
    pub(super) letters: BTreeSet<OpId>,
    pub(super) unread: u32,
    /// Bytes of the messages that the other side sent.
    pub(super) received: usize,
    /// Bytes of the messages that the account itself sent. More than 0: the account knows the other side.
    pub(super) sent: usize,
}

/// The sums of a mailbox, in counted bytes. The shares of a mailbox bound them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    /// All messages.
    pub(super) bytes: usize,
    /// Messages that strangers sent.
    pub(super) from_strangers: usize,
    /// Messages from strangers, and from accounts that the owner has not written to.
    pub(super) from_unknown: usize,
    /// The number of unread messages.
    pub(super) unread: u32,
}

impl Held {
    /// The sums of one conversation. An account knows a sender while the conversation holds a message of the
    /// account's own, so the answer is the same after a restart. A stranger's name proves nothing, so
    /// strangers are never known.
    pub(super) fn of(with: &With, conversation: &Conversation) -> Self {
        let &Conversation { unread, received, sent, .. } = conversation;
        let is_stranger = matches!(with, With::Stranger(_));
        Self {
            bytes: received + sent,
            from_strangers: if is_stranger { received } else { 0 },
            from_unknown: if is_stranger || sent == 0 { received } else { 0 },
            unread,
        }
    }

    /// Replaces the old sums of a conversation by its current ones.
    pub(super) fn replace(&mut self, before: Self, now: Self) {
        let Self { bytes, from_strangers, from_unknown, unread } = self;
        *bytes = *bytes - before.bytes + now.bytes;
        *from_strangers = *from_strangers - before.from_strangers + now.from_strangers;
        *from_unknown = *from_unknown - before.from_unknown + now.from_unknown;
        *unread = *unread - before.unread + now.unread;
    }
}

impl Account {
    /// The op that made it, if it was made since the start.
    pub(crate) fn made_by(&self) -> Option<OpId> {
        (!self.is_restored).then_some(self.id)
    }

    pub(super) fn conversation(&self, with: &With) -> Option<&Conversation> {
        match with {
            With::Account(id) => self.conversations.get(id),
            With::Stranger(folded) => self.strangers.get(folded.as_str()),
        }
    }

    /// Changes an existing conversation, and deletes it once it is empty.
    pub(super) fn change(&mut self, with: &With, change: impl FnOnce(&mut Conversation)) {
        let conversation = match with {
            With::Account(id) => self.conversations.get_mut(id),
            With::Stranger(folded) => self.strangers.get_mut(folded.as_str()),
        };
        let Some(conversation) = conversation else { return };
        let before = Held::of(with, conversation);
        change(conversation);
        self.held.replace(before, Held::of(with, conversation));
        if conversation.letters.is_empty() {
            self.forget(with);
        }
    }

    fn forget(&mut self, with: &With) {
        match with {
            With::Account(id) => drop(self.conversations.remove(id)),
            With::Stranger(folded) => drop(self.strangers.remove(folded.as_str())),
        }
    }

    /// Changes or starts the conversation with another side; `other` is the spelling of its name.
    pub(super) fn converse(&mut self, with: &With, other: &str, change: impl FnOnce(&mut Conversation)) {
        // Most conversations exist already and need no copy of the name.
        match with {
            With::Account(id) => _ = self.conversations.entry(*id).or_default(),
            With::Stranger(folded) if self.strangers.contains_key(folded.as_str()) => {}
            With::Stranger(folded) => {
                self.strangers.insert(folded.as_str().into(), Conversation::default());
            }
        }
        self.change(with, |conversation| {
            if &*conversation.other != other {
                conversation.other = other.into();
            }
            change(conversation);
        });
    }
}

impl Conversation {
    /// The sum of bytes to which a message adds.
    pub(super) fn bytes_of(&mut self, is_own: bool) -> &mut usize {
        if is_own { &mut self.sent } else { &mut self.received }
    }
}
