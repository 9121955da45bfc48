//! What a client can ask for, whatever its dialect.

use std::borrow::Cow;
use std::fmt;

/// How far a connection has come; some dialects read a line differently in each phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// No name yet.
    #[default]
    Login,
    /// A name that has an account was given, and its password is awaited.
    Password,
    /// Logged in.
    Chat,
}

/// A password on its way through: never shown by `Debug`, so that no log can hold it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a str);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One request, borrowed from the bytes that carried it. Texts are UTF-8; nothing else has been checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Take a name, proving it with a password where the name has an account.
    Login {
        /// The name wanted.
        name: &'a str,
        /// Its password, from dialects that give both at once.
        password: Option<Secret<'a>>,
    },
    /// The password asked for in [`Phase::Password`].
    Password(Secret<'a>),
    /// Whose password comes next. `answered` where the dialect wants to know whether the name has an account.
    Identify {
        /// The name.
        name: &'a str,
        /// Whether [`Event::NameKnown`](super::Event::NameKnown) or [`Event::NameFree`](super::Event::NameFree) follows.
        answered: bool,
    },
    /// Take a seat in a room that is spoken to in datagrams.
    Enter(Box<Entrance<'a>>),
    /// A datagram's sender is here: what is said goes to where it came from.
    Register,
    /// Say something in the room. An empty text is ignored.
    Say(&'a str),
    /// Take a name, and say something: from dialects that write the name on each message.
    SayAs {
        /// The name.
        name: &'a str,
        /// To whom alone; nobody, where it is said in the room.
        to: Option<&'a str>,
        /// The text.
        text: &'a str,
    },
    /// Say something to one person.
    Direct {
        /// The recipient's name; empty when it was left out.
        to: &'a str,
        /// The text; empty when it was left out.
        text: &'a str,
    },
    /// Put a message into somebody's mailbox; it may be empty.
    Send {
        /// The recipient's name.
        to: &'a str,
        /// The text.
        text: &'a str,
        /// What the sender calls it: with one, it is acknowledged, and not sent twice.
        key: Option<&'a str>,
    },
    /// Show a part of the messages exchanged with somebody.
    Conversation {
        /// With whom.
        with: &'a str,
        /// The id of the first message that is too new; nothing for the newest ones.
        before: Option<&'a str>,
        /// How many, at most.
        count: u32,
    },
    /// All messages from somebody are read.
    MarkRead(&'a str),
    /// Delete a message: one's own for both, somebody else's from one's own mailbox.
    DeleteMail(&'a str),
    /// List the conversations in the mailbox, with their unread messages.
    Mailbox,
    /// Show the messages exchanged with a user, and mark them as read.
    ReadMail(&'a str),
    /// Delete a whole conversation from one's own mailbox.
    ClearMail(&'a str),
    /// List who has an account, and how many messages from each are unread.
    Accounts,
    /// Delete the account, with all messages from and to it.
    DeleteAccount,
    /// Make an account of the session's name, which this password proves from then on.
    MakeAccount(Secret<'a>),
    /// Give the account of the session's name another password.
    ChangePassword {
        /// The password at present.
        old: Secret<'a>,
        /// The password from then on.
        new: Secret<'a>,
    },
    /// Delete the account of the session's name. Its password proves that the owner asks for it.
    EndAccount(Secret<'a>),
    /// Whether to be told of each new message in the mailbox.
    Subscribe(bool),
    /// Take another name.
    Rename(&'a str),
    /// Move to a room, making it where there is none.
    Join(&'a str),
    /// Go back to the lobby.
    Leave,
    /// List the rooms.
    Rooms,
    /// List who is in the room.
    Users,
    /// Show the last messages of the room; the argument as it was typed, empty for the default count.
    History(&'a str),
    /// Explain the commands.
    Help,
    /// Answer, to show that the connection lives.
    Ping,
    /// A sign of life, and no more.
    Nothing,
    /// Say goodbye and close.
    Quit,
    /// A command that the dialect does not have.
    Unknown(&'a str),
}

/// What it takes to get a seat.
#[derive(Clone, PartialEq, Eq)]
pub struct Entrance<'a> {
    /// The room.
    pub room: &'a str,
    /// Make the room, and be its host; otherwise the room is there.
    pub making: bool,
    /// Under which name.
    pub name: Cow<'a, str>,
    /// What proves the name, where it has an account.
    pub password: Option<Cow<'a, str>>,
}

impl fmt::Debug for Entrance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { room, making, name, password } = self;
        let password = password.as_deref().map(Secret);
        f.debug_struct("Entrance")
            .field("room", room)
            .field("making", making)
            .field("name", name)
            .field("password", &password)
            .finish()
    }
}
