//! What a client can ask for, whatever its dialect.

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// Say something in the room. An empty text is ignored.
    Say(&'a str),
    /// Say something to one person.
    Direct {
        /// The recipient's name; empty when it was left out.
        to: &'a str,
        /// The text; empty when it was left out.
        text: &'a str,
    },
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
    /// Say goodbye and close.
    Quit,
    /// A command that the dialect does not have.
    Unknown(&'a str),
}
