//! What a client can be told, whatever its dialect.
//!
//! Each dialect encodes what it can say and leaves out the rest. The client library decodes the same events.

use super::{Mail, NameError, RoomNameError, Token, UnixSeconds};

/// How someone came to leave a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// To another room; still here.
    Moved,
    /// The connection ended, however it happened.
    Disconnected,
}

/// One thing that happened, borrowed from the state it speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// The connection was accepted.
    Greeting,
    /// The connection may try another name.
    NameWanted,
    /// The name is taken by this connection, which is now in `room`.
    LoggedIn {
        /// As typed.
        name: &'a str,
        /// The first room.
        room: &'a str,
    },
    /// The name has an account: its password, please.
    PasswordWanted,
    /// The name is not free: it has an account, or somebody holds it.
    NameKnown,
    /// The name has none; a password makes one.
    NameFree,
    /// The connection got a seat; what it is said in datagrams, with the token.
    Seated(&'a Token),
    /// The login failed.
    LoginRefused(Problem<'a>),
    /// A request failed.
    Error(Problem<'a>),
    /// Somebody said something in the room.
    Message {
        /// Who.
        sender: &'a str,
        /// What.
        text: &'a str,
        /// When; 0 where a dialect does not carry it, seconds of the day where it carries only those.
        at: UnixSeconds,
    },
    /// Somebody said something in the room before.
    Past {
        /// Who.
        sender: &'a str,
        /// What.
        text: &'a str,
        /// When.
        at: UnixSeconds,
    },
    /// The day, in UTC, of the messages that follow, where a dialect tells only the time of the day.
    Day(UnixSeconds),
    /// Somebody said something to this connection alone.
    Direct {
        /// Who.
        sender: &'a str,
        /// What.
        text: &'a str,
        /// When, as for [`Event::Message`].
        at: UnixSeconds,
    },
    /// This connection's own direct message went out.
    DirectSent {
        /// The recipient.
        to: &'a str,
        /// What.
        text: &'a str,
    },
    /// The session's name has an account now, which is kept.
    AccountMade,
    /// The account of the session's name has another password now.
    PasswordChanged,
    /// The account of the session's name is deleted.
    AccountEnded,
    /// A list begins, in a dialect whose lists are one frame each. Its entries follow.
    ListBegin(List),
    /// An entry of [`ListKind::AccountNames`].
    AccountName(&'a str),
    /// An entry of [`ListKind::Accounts`].
    Account {
        /// Who.
        name: &'a str,
        /// Messages from there that whoever asked has not read.
        unread: u32,
    },
    /// An entry of [`ListKind::Mail`].
    Mail(Mail<'a>),
    /// The list of the conversations of a mailbox begins.
    MailListBegin,
    /// The messages of a conversation begin.
    ConversationBegin,
    /// A list from a mailbox, or a change of it, is complete.
    MailEnd,
    /// The mailbox has this number of unread messages.
    MailWaits(u32),
    /// A message came into this connection's mailbox.
    MailArrived(Mail<'a>),
    /// A message is kept.
    Kept {
        /// What its sender calls it.
        key: &'a str,
        /// The text of its id.
        id: &'a str,
    },
    /// Somebody came into the room.
    Joined(&'a str),
    /// Somebody left the room.
    Left {
        /// Who.
        name: &'a str,
        /// Whether they are still on the server.
        departure: Departure,
    },
    /// Somebody in the room changed their name.
    Renamed {
        /// Before.
        old: &'a str,
        /// From now on.
        new: &'a str,
    },
    /// This connection is in another room now.
    YouJoined(&'a str),
    /// This connection is back in the lobby.
    YouReturned(&'a str),
    /// This connection has another name now.
    YouRenamed(&'a str),
    /// The list of users in a room begins.
    UsersBegin {
        /// The room.
        room: &'a str,
        /// How many [`Event::User`] follow.
        count: u32,
    },
    /// One in the list of users.
    User {
        /// Who.
        name: &'a str,
        /// Whether that is the connection that asked.
        own: bool,
    },
    /// The list of rooms begins.
    RoomsBegin,
    /// One in the list of rooms.
    Room {
        /// Its name.
        name: &'a str,
        /// How many are in it.
        members: u32,
    },
    /// The list of rooms was cut short.
    RoomsOmitted(u32),
    /// The commands of the dialect.
    Help,
    /// The answer to [`Command::Ping`](super::Command::Ping).
    Pong,
    /// The answer to [`Command::Quit`](super::Command::Quit).
    Goodbye,
    /// The connection was too slow for its room: so many messages were skipped for it.
    Missed(u64),
    /// The room's host closed it; its members are back in the lobby.
    RoomClosed(&'a str),
    /// The address of a seat is asked to answer with this number, which shows that its holder receives there.
    AddressChallenge(&'a str),
    /// The server stops.
    ShuttingDown,
}

/// What a command lacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// A recipient and a text.
    Direct,
    /// A room.
    Join,
    /// A name.
    Rename,
    /// A count that is a number.
    History,
    /// A name and a password.
    Login,
    /// A password.
    MakeAccount,
    /// Two passwords, the old one and the new one, without blanks.
    ChangePassword,
    /// A password.
    EndAccount,
}

/// Why a request failed. Each dialect has its words for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// Somebody else holds the name.
    NameTaken,
    /// The name is not one.
    Name(NameError),
    /// The name is reserved, and has no account whose password could prove it.
    NameReserved,
    /// The name looks like that of an account, or like a reserved one: it cannot have an account.
    NameLookAlike,
    /// The name has an account, and the command gives no password.
    NameHasAccount,
    /// A password was given for a name that has no account.
    NoAccount(&'a str),
    /// The name has an account already.
    AccountExists,
    /// The session's name has no account.
    NotRegistered,
    /// Passwords do not travel in this dialect.
    NoPasswordsHere,
    /// A seat belongs to its room: the command does not exist in this dialect.
    NotInSeats,
    /// The password is not the account's.
    WrongPassword,
    /// Too many passwords were wrong lately, for this name or from this address.
    TooManyAttempts,
    /// So many wait already, for a password to be looked at or for the store, as may.
    Busy,
    /// The store keeps nothing at present: what was asked for is refused, and is not there.
    NotKept,
    /// There are as many accounts as may be.
    TooManyAccounts,
    /// This address, or the network around it, has made its limit of accounts.
    TooManyNewAccounts {
        /// Seconds until the next one can be made.
        retry_seconds: u32,
    },
    /// The account needs a password, and this can not be one.
    PasswordUnusable,
    /// A name was given twice.
    AlreadyLoggedIn,
    /// A name comes first.
    MustLogin,
    /// Nobody has that name.
    UserNotFound(&'a str),
    /// The room name is not one.
    RoomName(RoomNameError),
    /// The connection is in that room.
    AlreadyInRoom,
    /// No more rooms can be made.
    TooManyRooms,
    /// As many rooms as may be were made from this address.
    TooManyRoomsOfAddress,
    /// The session is in, or has made, as many rooms as it may.
    TooManyRoomsOfSession,
    /// The room's history has no messages there.
    NoMessages,
    /// The room is there already.
    RoomExists,
    /// The room is not there.
    NoSuchRoom,
    /// The text is longer than messages may be.
    TextTooLong,
    /// The recipient's mailbox, or the server's memory for all of them, holds no more.
    MailboxFull,
    /// The recipient's mailbox holds the sender's share of it already.
    MailboxFullForYou,
    /// The recipient's mailbox holds the share of people that its owner has not written to.
    MailboxFullForUnknown,
    /// Only accounts have a mailbox.
    NoMailbox,
    /// No more users can log in.
    ServerFull,
    /// As many connections as may be come from this address.
    AddressFull,
    /// Connections come from this address faster than they may.
    AddressTooFast,
    /// The session asks more often than it may: this was not carried out.
    TooFast,
    /// The dialect has no such command.
    UnknownCommand(&'a str),
    /// The command lacks something.
    Usage(Usage),
    /// The line is longer than the dialect allows; it was skipped.
    LineTooLong,
    /// The text is not UTF-8; it was skipped.
    InvalidUtf8,
    /// Nothing was heard for too long; the connection ends.
    IdleTimeout,
    /// No name was given for too long; the connection ends.
    LoginTimeout,
    /// The connection does not read what it is sent; it ends.
    TooSlow,
    /// The owner of the name has logged in again; this session ends.
    Replaced,
    /// The name has an account now, which this session has not proved; it ends.
    NameRegistered,
    /// The account of the name was deleted; the session ends.
    AccountDeleted,
}

/// A list that is one frame: its size is said before its entries are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List {
    /// The kind of its entries.
    pub kind: ListKind,
    /// The number of entries that follow.
    pub count: u32,
    /// Their bytes in the dialect, in all.
    pub bytes: usize,
}

/// The kind of the entries of a [`List`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListKind {
    /// The names of the accounts, for a connection that has logged in.
    AccountNames,
    /// The accounts, each with the number of its unread messages.
    Accounts,
    /// Messages of a mailbox.
    Mail,
}
