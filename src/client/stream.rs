//! Clients of the dialects whose frames are commands and events: line, slash and gob.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Instant;

use super::ClientError;
use super::connect::connect;
use super::connection::{Connection, send};
use super::first_bytes::Opened;
use crate::chat::{Command, Event, Problem, SERVER_NAME, Secret};
use crate::wire::{Codec, DecodeError, Dialect, Frame, YOUR_NAME, words};

/// A connection to a server, in [`Dialect::Line`], [`Dialect::Slash`] or [`Dialect::Gob`].
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    dialect: Dialect,
    codec: Codec,
}

impl Client {
    /// Connects, without logging in.
    pub fn connect(
        dialect: Dialect,
        address: impl ToSocketAddrs,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        Self::over(connect(address, deadline)?, dialect)
    }

    /// The same on a connection that is there, on which nothing was sent yet.
    pub fn over(opened: impl Into<Opened>, dialect: Dialect) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new(opened, dialect)?, dialect, codec: Codec::default() })
    }

    /// Takes a name, and waits until the server says that it is this client's. Events before that are dropped.
    ///
    /// gob has no answer to a login: there it only says who comes. The server may give another name, which it tells later.
    pub fn login(&mut self, name: &str, deadline: Instant) -> Result<(), ClientError> {
        self.log_in(name, None, deadline)
    }

    /// Takes a name that has an account. A name without one is refused: the caller believes that it is its
    /// own. (In slash, a server shows that by letting the name in without its password. The password is not
    /// sent, and the room can see the name come and go.) In gob, only Parlance understands the password;
    /// another server says it in the room.
    pub fn login_with(&mut self, name: &str, password: &str, deadline: Instant) -> Result<(), ClientError> {
        self.log_in(name, Some(Secret(password)), deadline)
    }

    fn log_in(
        &mut self,
        name: &str,
        password: Option<Secret<'_>>,
        deadline: Instant,
    ) -> Result<(), ClientError> {
        // What is asked for when it is needed is not said before.
        let mut to_be_asked_for = password.filter(|_| self.dialect.asks_for_passwords());
        let at_once = password.filter(|_| to_be_asked_for.is_none());
        self.send(&Command::Login { name, password: at_once })?;
        if self.dialect.yields_names() {
            return if password.is_some() { self.wait_for_name(deadline) } else { Ok(()) };
        }
        loop {
            match self.next_event(deadline)? {
                Event::LoggedIn { .. } if to_be_asked_for.is_some() => {
                    return Err(ClientError::Refused(words(Problem::NoAccount(name)).into_owned()));
                }
                Event::LoggedIn { .. } => return Ok(()),
                Event::LoginRefused(problem) | Event::Error(problem) => {
                    return Err(ClientError::Refused(words(problem).into_owned()));
                }
                Event::PasswordWanted => {
                    let password = to_be_asked_for.take().ok_or(ClientError::PasswordWanted)?;
                    self.send(&Command::Password(password))?;
                }
                _ => {}
            }
        }
    }

    /// The answer to a login with a password where it is a text of the server.
    fn wait_for_name(&mut self, deadline: Instant) -> Result<(), ClientError> {
        loop {
            if let Event::Message { sender: SERVER_NAME, text, .. } = self.next_event(deadline)? {
                if text.starts_with(YOUR_NAME) {
                    return Ok(());
                }
                return Err(ClientError::Refused(text.to_owned()));
            }
        }
    }

    /// Says something in the room. A server refuses what comes faster than its limits: [`Pace`](super::Pace)
    /// keeps below them.
    pub fn say(&mut self, text: &str) -> Result<(), ClientError> {
        self.send(&Command::Say(text))
    }

    /// Says something to one person.
    pub fn direct(&mut self, to: &str, text: &str) -> Result<(), ClientError> {
        self.send(&Command::Direct { to, text })
    }

    /// Sends any command that the dialect has words for.
    pub fn send(&mut self, command: &Command<'_>) -> Result<(), ClientError> {
        self.send_bytes(&encoded(self.dialect, command)?)
    }

    /// Sends bytes as they are, be they a frame or not.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.connection.send(bytes)
    }

    /// The next event, waiting for it until the deadline. Lines that this client does not know are passed over.
    pub fn next_event(&mut self, deadline: Instant) -> Result<Event<'_>, ClientError> {
        let Self { connection, dialect, codec } = self;
        let whole = loop {
            let decoded = dialect.decode_event(codec, connection.received());
            let consumed = decoded.consumed;
            let error = match decoded.frame {
                // Decoded once more below, where what it borrows may leave this function: a whole frame leaves the codec as
                // it was, or, with a definition, as it will be again.
                Frame::Whole(_) => break consumed,
                Frame::Refused(error) => Some(error),
                Frame::Incomplete => None,
            };
            connection.consume(consumed);
            match error {
                None if consumed == 0 => connection.receive(deadline)?,
                None | Some(DecodeError::Unrecognized) => {}
                Some(error) => return Err(error.into()),
            }
        };
        // An event is proof of the dialect.
        connection.trust();
        match dialect.decode_event(codec, connection.take(whole)).frame {
            Frame::Whole(event) => Ok(event),
            Frame::Refused(error) => Err(error.into()),
            Frame::Incomplete => unreachable!("the same bytes, decoded in the same state, were whole"),
        }
    }

    /// Another handle to speak with, for another thread.
    pub fn speaker(&self) -> io::Result<Speaker> {
        Ok(Speaker { stream: self.connection.stream().try_clone()?, dialect: self.dialect })
    }

    /// The address that this client speaks from.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.connection.local_address()
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        self.connection.stream()
    }
}

/// The half of a [`Client`] that speaks.
#[derive(Debug)]
pub struct Speaker {
    stream: TcpStream,
    dialect: Dialect,
}

impl Speaker {
    /// The dialect that it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Sends any command that the dialect has words for.
    pub fn send(&self, command: &Command<'_>) -> Result<(), ClientError> {
        self.send_bytes(&encoded(self.dialect, command)?)
    }

    /// Sends bytes as they are, be they a frame or not.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), ClientError> {
        send(&self.stream, bytes)
    }
}

fn encoded(dialect: Dialect, command: &Command<'_>) -> Result<Vec<u8>, ClientError> {
    let mut frame = Vec::new();
    dialect.encode_command(command, &mut frame)?;
    Ok(frame)
}
