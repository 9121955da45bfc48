//! What is kept, as state: what a store hands back at the start, and what of a room's past it shows.

use super::{OpId, PasswordHash, Seat, UnixMillis};

/// A part of what is kept. All parts together, in the order in which a store hands them out, are the state: accounts
/// (oldest first), then letters (oldest first), then seats (in the order of joining, a room's host before its guests).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// An account.
    Account {
        /// Its name, as typed.
        name: Box<str>,
        /// What proves it.
        password: PasswordHash,
        /// Its id, which no other account ever has: that of the op that made it. None: an earlier version of
        /// a log has lost it, and the reader of that log makes one up.
        id: Option<OpId>,
        /// Its owner has not used it again: see
        /// [`Change::AccountUsed`](super::Change::AccountUsed).
        is_unused: bool,
    },
    /// A message in a mailbox.
    Letter(Letter),
    /// A seat in a room.
    Seat {
        /// The room.
        room: Box<str>,
        /// The seat.
        seat: Seat,
        /// Whether it is the host's.
        is_host: bool,
        /// The op that made the host's room. `None` for other seats, and where an earlier version has not
        /// kept it.
        made: Option<OpId>,
    },
}

/// A message in a mailbox, with who sees it. At least one of the two does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// The op that sent it.
    pub id: OpId,
    /// When it was sent: see [`Op::at`](super::Op::at).
    pub at: UnixMillis,
    /// The sender's name, as typed.
    pub sender: Box<str>,
    /// The id of the account that sent it. None: it was sent without an account, or `recipient_account` is
    /// None, too.
    pub sender_account: Option<OpId>,
    /// The recipient's name, as typed.
    pub recipient: Box<str>,
    /// The id of the recipient's account. None: an earlier version has kept the letter without ids, and the
    /// two accounts are those of the names.
    pub recipient_account: Option<OpId>,
    /// What.
    pub content: Box<str>,
    /// What the sender's account calls it. Only what was sent from an account has one.
    pub key: Option<Box<str>>,
    /// The sender's account sees it. (A message to oneself is seen by its recipient alone.)
    pub sender_sees: bool,
    /// The recipient's account sees it.
    pub recipient_sees: bool,
    /// The recipient has yet to read it.
    pub unread: bool,
}

/// A message that was said in a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomMessage {
    /// The op that said it.
    pub id: OpId,
    /// When it was said: see [`Op::at`](super::Op::at).
    pub at: UnixMillis,
    /// Its number among the messages that were kept of the room: 1 for the first, without holes. Those that are too many
    /// or too old go, oldest first, and the numbers of the others stay. A room that has none left begins anew.
    pub sequence: u64,
    /// Who.
    pub sender: Box<str>,
    /// What.
    pub text: Box<str>,
}

/// A part of a room's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// The newest messages.
    Newest,
    /// The messages directly before one.
    Before(OpId),
    /// The messages directly after one.
    After(OpId),
    /// A message between those directly before and after it; of an even number, one more is before it.
    Around(OpId),
}

impl Page {
    /// The page as indices: from the first up to, not including, the end. `messages`: the number of all;
    /// `position`: the index of a message.
    pub(crate) fn range(
        self,
        messages: usize,
        count: usize,
        position: impl FnOnce(OpId) -> Option<usize>,
    ) -> std::ops::Range<usize> {
        let (first, end) = match self {
            Self::Newest => (messages.saturating_sub(count), messages),
            Self::Before(id) => {
                let end = position(id).unwrap_or(0);
                (end.saturating_sub(count), end)
            }
            Self::After(id) => {
                let first = position(id).map_or(messages, |at| at + 1);
                (first, first.saturating_add(count))
            }
            Self::Around(_) if count == 0 => (0, 0),
            Self::Around(id) => match position(id) {
                Some(at) => (at.saturating_sub(count / 2), at.saturating_add(count.div_ceil(2))),
                None => (0, 0),
            },
        };
        first..end.min(messages)
    }
}

/// A room of which messages are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSummary {
    /// Its name.
    pub room: Box<str>,
    /// The sequence number of the oldest message that is there.
    pub first: u64,
    /// That of the newest.
    pub last: u64,
}
