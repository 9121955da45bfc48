//! What is kept: each durable change to the state of the chat, as the engine emits it.
//!
//! Applying the same ops in the same order gives the same accounts, mailboxes, rooms and tokens.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{OpId, PasswordHash, Token, UnixMillis};

/// One durable change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Op {
    /// Later ops have higher ids.
    pub id: OpId,
    /// When the change was made. The id has the same time, or a later one: ids rise even where the clock goes
    /// back, and this does not.
    pub at: UnixMillis,
    /// What changed.
    pub change: Change,
}

impl Op {
    /// An op that was made at the time in its id.
    pub fn new(id: OpId, change: Change) -> Self {
        Self { id, at: id.at(), change }
    }

    /// About how many bytes it takes in memory: its texts, and itself.
    pub fn bytes(&self) -> usize {
        let texts = match &self.change {
            Change::AccountCreated { name, password, .. }
            | Change::PasswordChanged { name, password, .. } => name.len() + password.as_str().len(),
            Change::AccountUsed { name, .. } | Change::AccountDeleted { name, .. } => name.len(),
            Change::MailSent { sender, recipient, content, key, .. } => {
                sender.len() + recipient.len() + content.len() + key.as_ref().map_or(0, |key| key.len())
            }
            Change::MailRead { reader, messages } => reader.len() + size_of_val(&**messages),
            Change::MailDeleted { by, .. } => by.len(),
            Change::ConversationCleared { by, messages } => by.len() + size_of_val(&**messages),
            Change::Said { room, sender, text } => room.len() + sender.len() + text.len(),
            Change::RoomMade { room, host: seat } | Change::SeatTaken { room, seat } => {
                room.len() + seat.name.len()
            }
            Change::SeatLeft { .. } => 0,
            Change::RoomClosed { room, .. } => room.len(),
        };
        size_of::<Self>() + texts
    }

    /// Whether somebody waits to hear that it is kept. What was said in rooms is kept without a promise.
    pub fn is_promised(&self) -> bool {
        !matches!(self.change, Change::Said { .. })
    }
}

/// What an [`Op`] changes. Names are as typed, and were checked.
///
/// An account has the id of the op that made it, which no other account ever has. A change names an account
/// by its name and its id: where the name's account has another id by then, the change is about an account
/// that is gone, and changes nothing. Changes of earlier versions have no such id, and mean the account that
/// the name has when they are carried out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A name has an account from now on. The account's id is the op's.
    AccountCreated {
        /// The name.
        name: Box<str>,
        /// What proves it.
        password: PasswordHash,
        /// Its owner has not used it again. Accounts of earlier versions count as used.
        #[serde(default)]
        is_unused: bool,
    },
    /// An account was used again after it was made. There is at most one such change an account.
    AccountUsed {
        /// The account.
        name: Box<str>,
        /// Its id.
        #[serde(default)]
        account: Option<OpId>,
    },
    /// An account has another hash: of another password, or of the same one made anew.
    PasswordChanged {
        /// The account.
        name: Box<str>,
        /// Its id.
        #[serde(default)]
        account: Option<OpId>,
        /// What proves it from now on.
        password: PasswordHash,
    },
    /// An account is gone, with all messages from and to it.
    AccountDeleted {
        /// The account.
        name: Box<str>,
        /// Its id.
        #[serde(default)]
        account: Option<OpId>,
    },
    /// A message went into a mailbox. Its id is the op's.
    MailSent {
        /// Who.
        sender: Box<str>,
        /// Whether that is an account, which finds it in its own mailbox.
        sender_has_account: bool,
        /// The id of that account.
        #[serde(default)]
        sender_account: Option<OpId>,
        /// The account to whom.
        recipient: Box<str>,
        /// Its id.
        #[serde(default)]
        recipient_account: Option<OpId>,
        /// What.
        content: Box<str>,
        /// What the sender calls it, so that it is not sent twice.
        key: Option<Box<str>>,
    },
    /// An account has read messages that were sent to it.
    MailRead {
        /// The account.
        reader: Box<str>,
        /// Which: at most [`MAIL_READ_MAX`](crate::limits::MAIL_READ_MAX).
        messages: Box<[OpId]>,
    },
    /// An account deleted a message: the sender for both, the recipient for itself.
    MailDeleted {
        /// The account.
        by: Box<str>,
        /// The message.
        message: OpId,
    },
    /// An account deleted messages of a conversation from its own view alone.
    ConversationCleared {
        /// The account.
        by: Box<str>,
        /// The messages: at most [`MAIL_READ_MAX`](crate::limits::MAIL_READ_MAX).
        messages: Box<[OpId]>,
    },
    /// Somebody said something in a room.
    Said {
        /// The room.
        room: Box<str>,
        /// Who.
        sender: Box<str>,
        /// What.
        text: Box<str>,
    },
    /// A room was made by its host, who has a seat in it.
    RoomMade {
        /// The room.
        room: Box<str>,
        /// The host.
        host: Seat,
    },
    /// Somebody got a seat in a room.
    SeatTaken {
        /// The room.
        room: Box<str>,
        /// Who.
        seat: Seat,
    },
    /// Somebody gave a seat up.
    SeatLeft {
        /// Of which seat.
        token: Token,
    },
    /// A room's host closed it. All its seats are gone, and so are the messages since the room was made.
    /// Older messages in a room of that name belong to other people and stay.
    ///
    /// The messages that go are the newest ones, back to the last message with an id below `made`. When the
    /// oldest message has a higher id, all of them go.
    RoomClosed {
        /// The room.
        room: Box<str>,
        /// The [`Change::RoomMade`] that it ends. `None`: not known, as in what earlier versions wrote, where
        /// all messages go.
        made: Option<OpId>,
    },
}

impl Change {
    /// The accounts of a [message](Change::MailSent): the sender's, if it was sent from one, and the
    /// recipient's. `find` returns the account of a name, if it has the given id. None: the
    /// account is deleted, or this op is no message. A change of an earlier version, without the id of the
    /// sender's account, is then a stranger's message.
    pub(crate) fn mail_accounts<A>(
        &self,
        find: impl Fn(&str, Option<OpId>) -> Option<A>,
    ) -> Option<(Option<A>, A)> {
        let Self::MailSent {
            sender, sender_has_account, sender_account, recipient, recipient_account, ..
        } = self
        else {
            return None;
        };
        let from = if *sender_has_account { find(sender, *sender_account) } else { None };
        let is_gone = *sender_has_account && sender_account.is_some() && from.is_none();
        let to = find(recipient, *recipient_account).filter(|_| !is_gone)?;
        Some((from, to))
    }
}

/// A membership that outlives connections: whoever shows the token has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    /// Who.
    pub name: Box<str>,
    /// What proves it.
    pub token: Token,
    /// The address that it was issued to.
    pub ip: IpAddr,
}
