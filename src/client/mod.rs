//! A small blocking client, for tests and tools.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use parlance::client::Client;
//! use parlance::wire::Dialect;
//!
//! let deadline = Instant::now() + Duration::from_secs(5);
//! let mut alice = Client::connect(Dialect::Line, "127.0.0.1:4000", deadline)?;
//! alice.login("alice", deadline)?;
//! alice.say("hello")?;
//! println!("{:?}", alice.next_event(deadline)?);
//! # Ok::<(), parlance::client::ClientError>(())
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::chat::{Command, Event, Problem};
use crate::limits::SERVER_LINE_BYTES_MAX;
use crate::wire::{Codec, DecodeError, Dialect, Frame, Unsayable};

/// Why a client could not do what it was asked to.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing came before the deadline.
    #[error("nothing came before the deadline")]
    Deadline,
    /// The server sent what is no frame of the dialect.
    #[error("the server sent what cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// The dialect has no words for it.
    #[error(transparent)]
    Unsayable(#[from] Unsayable),
    /// The server does not let this name in; what it said.
    #[error("the login was refused: {0}")]
    Refused(String),
}

/// A connection to a server, in one dialect.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    dialect: Dialect,
    codec: Codec,
    /// What was received; `buffer[..done]` is decoded.
    buffer: Vec<u8>,
    done: usize,
}

impl Client {
    /// Connects, without logging in.
    pub fn connect(
        dialect: Dialect,
        address: impl ToSocketAddrs,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let address = address.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        let stream = TcpStream::connect_timeout(&address, until(deadline)?)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, dialect, codec: Codec::default(), buffer: Vec::new(), done: 0 })
    }

    /// Takes a name, and waits until the server says that it is this client's. Events before that are dropped.
    pub fn login(&mut self, name: &str, deadline: Instant) -> Result<(), ClientError> {
        self.send(&Command::Login { name, password: None })?;
        loop {
            match self.next_event(deadline)? {
                Event::LoggedIn { .. } => return Ok(()),
                Event::LoginRefused(problem) => return Err(refused(&problem)),
                Event::PasswordWanted => return Err(ClientError::Refused("a password is required".into())),
                _ => {}
            }
        }
    }

    /// Says something in the room.
    pub fn say(&mut self, text: &str) -> Result<(), ClientError> {
        self.send(&Command::Say(text))
    }

    /// Says something to one person.
    pub fn direct(&mut self, to: &str, text: &str) -> Result<(), ClientError> {
        self.send(&Command::Direct { to, text })
    }

    /// Sends any command that the dialect has words for.
    pub fn send(&mut self, command: &Command<'_>) -> Result<(), ClientError> {
        let mut frame = Vec::new();
        self.dialect.encode_command(command, &mut frame)?;
        self.send_bytes(&frame)
    }

    /// Sends bytes as they are, be they a frame or not.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        Ok((&self.stream).write_all(bytes)?)
    }

    /// The next event, waiting for it until the deadline. Lines that this client does not know are passed over.
    pub fn next_event(&mut self, deadline: Instant) -> Result<Event<'_>, ClientError> {
        loop {
            let decoded = self.dialect.decode_event(&mut self.codec, &self.buffer[self.done..]);
            let consumed = decoded.consumed;
            let error = match decoded.frame {
                // Decoded once more below, where what it borrows may leave this function: a whole frame leaves the codec as
                // it was, or, with a definition, as it will be again.
                Frame::Whole(_) => break,
                Frame::Refused(error) => Some(error),
                Frame::Incomplete => None,
            };
            self.done += consumed;
            match error {
                None if consumed == 0 => self.receive(deadline)?,
                None | Some(DecodeError::Unrecognized) => {}
                Some(error) => return Err(error.into()),
            }
        }
        let decoded = self.dialect.decode_event(&mut self.codec, &self.buffer[self.done..]);
        self.done += decoded.consumed;
        match decoded.frame {
            Frame::Whole(event) => Ok(event),
            Frame::Refused(error) => Err(error.into()),
            Frame::Incomplete => unreachable!("the same bytes, decoded in the same state, were whole"),
        }
    }

    /// The address that this client speaks from.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads what is there, or waits for it.
    fn receive(&mut self, deadline: Instant) -> Result<(), ClientError> {
        self.buffer.drain(..self.done);
        self.done = 0;
        self.stream.set_read_timeout(Some(until(deadline)?))?;
        let end = self.buffer.len();
        self.buffer.resize(end + SERVER_LINE_BYTES_MAX, 0);
        let result = self.stream.read(&mut self.buffer[end..]);
        self.buffer.truncate(end + result.as_ref().copied().unwrap_or(0));
        match result {
            Ok(0) => Err(ClientError::Closed),
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(ClientError::Deadline),
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error.into()),
            },
        }
    }
}

/// The time left, which is never zero: a socket takes zero for no deadline.
fn until(deadline: Instant) -> Result<Duration, ClientError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ClientError::Deadline) } else { Ok(left) }
}

fn refused(problem: &Problem<'_>) -> ClientError {
    ClientError::Refused(match problem {
        Problem::NameTaken => "the name is taken".to_owned(),
        Problem::Name(_) => "the name is not allowed".to_owned(),
        Problem::ServerFull => "the server is full".to_owned(),
        other => format!("{other:?}"),
    })
}
