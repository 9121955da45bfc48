//! The arguments of `parlance chat`, and which of them go together.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use parlance::chat::{Name, NameError};
use parlance::client::Place;
use parlance::config::{Config, Endpoint};
use parlance::limits::{NAME_BYTES_MAX, ROOM_NAME_BYTES_MAX, SLASH_NAME_CHARS_MAX, SLASH_NAME_CHARS_MIN};
use parlance::wire::Dialect;

use super::ChatError;
use super::password::PasswordSource;

/// The room of TCRP that is always there.
const LOBBY: &str = "lobby";
const THIS_MACHINE: &str = "127.0.0.1";

const AFTER_HELP: &str = "\
What is typed is said; a line that starts with / is a command, of which /help lists those of the dialect; a line \
that starts with // is said with one /. Ctrl-C or Ctrl-D leaves, properly. With standard input from a pipe or a \
file, its lines are said, and the chat ends when the server has them all; what others say meanwhile is printed.

Examples:
  parlance chat --as bob                                  talk in the lobby, on this machine
  parlance chat --as bob --dialect slash --room rust      in another room
  parlance chat --as bob --dialect tcrp --room den --create example.org
  parlance chat --as bob --dialect typed --to alice       write to a mailbox
  echo 'It is done' | parlance chat --as builder          say one thing

Exit status: 0 when left, 1 when it failed, 2 when the arguments are wrong.";

/// What `parlance chat` is told.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ChatArguments {
    /// The server: a host, a port, or HOST:PORT [default: 127.0.0.1 and the dialect's own port]
    #[arg(value_name = "ADDR", value_hint = ValueHint::Hostname)]
    address: Option<String>,

    /// The dialect to speak
    #[arg(long, value_enum, value_name = "DIALECT", default_value = "line")]
    dialect: ChatDialect,

    /// Your name
    #[arg(long = "as", value_name = "NAME")]
    name: String,

    /// The room to talk in, for slash and tcrp [default: lobby]
    #[arg(long, value_name = "ROOM", conflicts_with = "to")]
    room: Option<String>,

    /// Say everything to this person alone
    #[arg(long, value_name = "NAME")]
    to: Option<String>,

    /// Make the room, and be its host: when you leave, it is closed (for tcrp)
    #[arg(long)]
    create: bool,

    /// Ask for the password first; it is asked for anyway where the name has an account
    #[arg(long)]
    password: bool,

    /// Read the password from the first line of this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "password")]
    password_file: Option<PathBuf>,

    /// Where the server takes datagrams, for tcrp [default: the handshake's address, the next port]
    #[arg(long, value_name = "ADDR")]
    ucrp: Option<String>,
}

/// The dialects that people can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChatDialect {
    Line,
    Slash,
    // The datagrams come with the handshake.
    #[value(alias = "ucrp")]
    Tcrp,
    Typed,
    Gob,
}

/// What is to be done: arguments that go together.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) dialect: Dialect,
    pub(super) name: String,
    /// The server as the user names it.
    pub(super) place: Place,
    /// Where the server may be; the first that takes a connection is it.
    pub(super) addresses: Vec<SocketAddr>,
    /// Where it may take datagrams; nothing, where that follows from the connection.
    pub(super) datagrams: Vec<SocketAddr>,
    pub(super) room: Option<String>,
    pub(super) making: bool,
    pub(super) to: Option<String>,
    pub(super) password: PasswordSource,
    /// Whether each line is to be known to have arrived, because nobody sees what happens.
    pub(super) is_careful: bool,
}

impl ChatArguments {
    /// Checks that the arguments fit the dialect.
    pub(super) fn plan(&self) -> Result<Plan, ChatError> {
        let dialect = self.dialect.dialect();
        self.check(dialect).map_err(|what| ChatError::Arguments(what.into()))?;
        self.check_names(dialect).map_err(ChatError::Arguments)?;
        let password = match &self.password_file {
            Some(path) => PasswordSource::File(path.clone()),
            None if self.password => PasswordSource::First,
            None => PasswordSource::WhenWanted,
        };
        let datagrams = match &self.ucrp {
            Some(text) => Place::parse(text, default_port(Dialect::Ucrp))?.resolve()?,
            None => Vec::new(),
        };
        let port = default_port(dialect);
        let _looking_up =
            super::door::tell_if_slow(|| "no address of the server yet; still looking it up".to_owned());
        let place = Place::parse(self.address.as_deref().unwrap_or(THIS_MACHINE), port)?;
        Ok(Plan {
            dialect,
            name: self.name.clone(),
            addresses: place.resolve()?,
            place,
            datagrams,
            room: match dialect {
                Dialect::Tcrp => Some(self.room.clone().unwrap_or_else(|| LOBBY.to_owned())),
                _ => self.room.clone(),
            },
            making: self.create,
            to: self.to.clone(),
            password,
            is_careful: true,
        })
    }

    fn check(&self, dialect: Dialect) -> Result<(), &'static str> {
        let has_rooms = matches!(dialect, Dialect::Slash | Dialect::Tcrp);
        if self.room.is_some() && !has_rooms {
            return Err(
                "--room is for --dialect slash and --dialect tcrp: the others have no rooms to choose from",
            );
        }
        if self.create && dialect != Dialect::Tcrp {
            return Err(
                "--create is for --dialect tcrp; in slash, --room makes the room where there is none",
            );
        }
        if self.create && self.room.is_none() {
            return Err("--create needs the name of the room: --room ROOM");
        }
        if self.ucrp.is_some() && dialect != Dialect::Tcrp {
            return Err("--ucrp is for --dialect tcrp, the only one with datagrams");
        }
        if dialect == Dialect::Gob && (self.password || self.password_file.is_some()) {
            return Err("--dialect gob has no passwords");
        }
        Ok(())
    }

    fn check_names(&self, dialect: Dialect) -> Result<(), String> {
        check_name(dialect, "--as", &self.name)?;
        if let Some(to) = &self.to {
            // Somebody of another dialect, whose names may be others.
            check_name(Dialect::Line, "--to", to)?;
        }
        match &self.room {
            Some(room) if room.trim_start_matches('#').trim().is_empty() => {
                Err(format!("--room is empty: the name of a room has 1 to {ROOM_NAME_BYTES_MAX} bytes"))
            }
            Some(room) if room.len() > ROOM_NAME_BYTES_MAX => Err(format!(
                "--room is too long, with {} bytes: the name of a room has 1 to {ROOM_NAME_BYTES_MAX}",
                room.len()
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses names that no server accepts or the dialect cannot carry. A gob server turns any text into a name.
fn check_name(dialect: Dialect, flag: &str, name: &str) -> Result<(), String> {
    let limits = match dialect {
        Dialect::Slash => {
            format!("a name has {SLASH_NAME_CHARS_MIN} to {SLASH_NAME_CHARS_MAX} characters in slash")
        }
        _ => format!("a name has 1 to {NAME_BYTES_MAX} bytes"),
    };
    let checked = match dialect.check_name(name) {
        Ok(()) => Name::parse(name).map(drop),
        refused => refused,
    };
    match checked {
        Ok(()) => Ok(()),
        Err(_) if name.is_empty() => Err(format!("{flag} is empty: {limits}")),
        Err(NameError::TooShort { .. }) => Err(format!("{flag} is too short: {limits}")),
        Err(NameError::TooLong { .. }) => {
            Err(format!("{flag} is too long, with {} bytes: {limits}", name.len()))
        }
        Err(NameError::Character) if dialect == Dialect::Gob => Ok(()),
        Err(NameError::Character) if dialect == Dialect::Slash => {
            Err(format!("{flag} may have ASCII letters, digits, `_` and `-` in slash, and nothing else"))
        }
        Err(NameError::Character) => Err(format!(
            "{flag} has a character that names do not have: letters, digits and ASCII symbols may be in it, \
             but no white space, and no #, / or : at its start; a name like it is {}",
            Name::near(name)
        )),
    }
}

impl ChatDialect {
    fn dialect(self) -> Dialect {
        match self {
            Self::Line => Dialect::Line,
            Self::Slash => Dialect::Slash,
            Self::Tcrp => Dialect::Tcrp,
            Self::Typed => Dialect::Typed,
            Self::Gob => Dialect::Gob,
        }
    }
}

/// Where a server listens that was not told otherwise.
fn default_port(dialect: Dialect) -> u16 {
    match Config::default().listener(dialect).endpoint {
        Endpoint::Port(port) => port,
        Endpoint::Address(address) => address.port(),
        Endpoint::Off => 0,
    }
}
