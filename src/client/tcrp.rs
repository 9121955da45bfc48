//! A client of TCRP and UCRP: a handshake over TCP for a token, then datagrams.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::ClientError;
use super::connect::connect;
use super::connection::{Connection, until};
use super::first_bytes::Opened;
use crate::chat::{Command, Event, Problem, Secret, Token};
use crate::limits::{CLIENT_DATAGRAM_BYTES, CLIENT_REGISTER_SECONDS_MAX, CLIENT_REGISTER_SECONDS_MIN};
use crate::wire::tcrp::{Content, Decoded, Operation, Refusal, Reply, encode_request};
use crate::wire::ucrp::{Datagram, Delivery, Message};
use crate::wire::{DecodeError, Dialect, Unsayable, words};

const REGISTER_WAIT_MIN: Duration = Duration::from_secs(CLIENT_REGISTER_SECONDS_MIN);
const REGISTER_WAIT_MAX: Duration = Duration::from_secs(CLIENT_REGISTER_SECONDS_MAX);

/// What a handshake asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The room.
    pub room: &'a str,
    /// Whether to make it, and be its host.
    pub operation: Operation,
    /// Under which name.
    pub name: &'a str,
    /// Its password, where it has an account.
    pub password: Option<Secret<'a>>,
}

/// A place in a room, spoken from and to in datagrams. They may be lost, as those of everybody may.
///
/// The server sends to where the last datagram came from, and never answers one: so a seat says where it is when it is
/// taken, and again, at growing intervals, while it waits.
#[derive(Debug)]
pub struct Seat {
    socket: UdpSocket,
    room: String,
    token: Token,
    buffer: Vec<u8>,
    /// When to say where it is, and how long to wait from then.
    register_at: Instant,
    register_wait: Duration,
}

impl Seat {
    /// Shakes hands, and says where it is. Of the addresses for the datagrams it takes the one that the
    /// handshake reached, else the first of the same family, else the first. Without any, it is that of the
    /// handshake with the next port.
    pub fn take(
        handshake: impl ToSocketAddrs,
        datagrams: impl IntoIterator<Item = SocketAddr>,
        entry: &Entry<'_>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        Self::take_over(connect(handshake, deadline)?, datagrams, entry, deadline)
    }

    /// The same on a connection that is there, on which nothing was sent yet.
    pub fn take_over(
        opened: impl Into<Opened>,
        datagrams: impl IntoIterator<Item = SocketAddr>,
        entry: &Entry<'_>,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let mut connection = Connection::new(opened, Dialect::Tcrp)?;
        let server = connection.stream().peer_addr()?;
        let token = shake_hands(&mut connection, entry, deadline)?;
        let to = if let Some(address) = nearest_address(datagrams, server.ip()) {
            address
        } else {
            let next = server.port().checked_add(1);
            let port = next.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
            // With the zone of a link-local address.
            let mut to = server;
            to.set_port(port);
            to
        };
        // The server may take datagrams from the address of the handshake only.
        let from =
            if to.ip() == server.ip() { connection.local_address()?.ip() } else { unspecified(to.ip()) };
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(to)?;
        Self::open(socket, entry.room, token)
    }

    /// A seat whose token is known, on a socket that is connected to the server; says where it is.
    pub fn open(socket: UdpSocket, room: &str, token: Token) -> Result<Self, ClientError> {
        let mut seat = Self {
            socket,
            room: room.to_owned(),
            token,
            buffer: vec![0; CLIENT_DATAGRAM_BYTES],
            register_at: Instant::now() + REGISTER_WAIT_MIN,
            register_wait: REGISTER_WAIT_MIN,
        };
        seat.register()?;
        Ok(seat)
    }

    /// The same seat once more, for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            room: self.room.clone(),
            token: self.token,
            buffer: vec![0; CLIENT_DATAGRAM_BYTES],
            register_at: self.register_at,
            register_wait: self.register_wait,
        })
    }

    /// Says where it is.
    pub fn register(&mut self) -> Result<(), ClientError> {
        self.send(Message::Register)
    }

    /// Says something in the room. What would be taken for a direct message cannot be said.
    pub fn say(&mut self, text: &str) -> Result<(), ClientError> {
        let message = Message::Chat(text);
        if message.command() == Command::Say(text) { self.send(message) } else { Err(Unsayable.into()) }
    }

    /// Says something to one person.
    pub fn direct(&mut self, to: &str, text: &str) -> Result<(), ClientError> {
        let said = format!("/msg {to} {text}");
        let message = Message::Chat(&said);
        if message.command() == (Command::Direct { to, text }) {
            self.send(message)
        } else {
            Err(Unsayable.into())
        }
    }

    /// Gives the seat up. Who made the room closes it with that.
    pub fn leave(&mut self) -> Result<(), ClientError> {
        self.send(Message::Leave)
    }

    /// Sends any datagram. [`ClientError::Undelivered`] is about this one alone.
    pub fn send(&self, message: Message<'_>) -> Result<(), ClientError> {
        let mut bytes = Vec::new();
        Datagram { room: &self.room, token: &self.token.reveal(), message }.encode(&mut bytes)?;
        // What the network said of an earlier datagram comes in place of sending this one.
        match self.socket.send(&bytes).or_else(|_| self.socket.send(&bytes)) {
            Ok(_) => Ok(()),
            Err(error) => Err(ClientError::Undelivered(error)),
        }
    }

    /// What comes next, waiting for it until the deadline. A datagram that cannot be read is passed over.
    /// After [`ClientError::Undelivered`] the seat is as it was: the network says so of one datagram, and the
    /// server may keep the seat.
    pub fn next_delivery(&mut self, deadline: Instant) -> Result<Delivery<'_>, ClientError> {
        let length = loop {
            let left = until(deadline)?;
            let quiet = self.register_at.saturating_duration_since(Instant::now());
            if quiet.is_zero() {
                self.register_wait = (self.register_wait * 2).min(REGISTER_WAIT_MAX);
                self.register_at = Instant::now() + self.register_wait;
                self.register()?;
                continue;
            }
            self.socket.set_read_timeout(Some(left.min(quiet)))?;
            match self.socket.recv(&mut self.buffer) {
                Ok(length) => {
                    match Delivery::decode(&self.buffer[..length]).map(|delivery| delivery.challenge()) {
                        Ok(None) => break length,
                        Ok(Some(number)) => self.send(Message::Confirm(number))?,
                        Err(_) => {}
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
                    _ => return Err(ClientError::Undelivered(error)),
                },
            }
        };
        Delivery::decode(&self.buffer[..length]).map_err(|error| DecodeError::Ucrp(error).into())
    }

    /// The same as an event.
    pub fn next_event(&mut self, deadline: Instant) -> Result<Event<'_>, ClientError> {
        self.next_delivery(deadline).map(Delivery::event)
    }

    /// The room that the seat is in.
    pub fn room(&self) -> &str {
        &self.room
    }

    /// What proves the seat.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The socket itself.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

/// Of several addresses the one with this IP address, else the first of its family, else the first.
pub fn nearest_address(addresses: impl IntoIterator<Item = SocketAddr>, ip: IpAddr) -> Option<SocketAddr> {
    addresses.into_iter().min_by_key(|address| (address.ip() != ip, address.is_ipv4() != ip.is_ipv4()))
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn shake_hands(
    connection: &mut Connection,
    entry: &Entry<'_>,
    deadline: Instant,
) -> Result<Token, ClientError> {
    let Entry { room, operation, name, password } = *entry;
    let mut request = Vec::new();
    encode_request(room, operation, name, password, &mut request)?;
    connection.send(&request)?;
    loop {
        let (content, consumed) = match Reply::decode(connection.received()) {
            Decoded::Incomplete { .. } => {
                connection.receive(deadline)?;
                continue;
            }
            Decoded::Whole { frame, consumed } => (frame.content, consumed),
            Decoded::Refused(error) => return Err(DecodeError::Tcrp(error).into()),
        };
        connection.consume(consumed);
        connection.trust();
        match content {
            Content::Accepted => {}
            Content::Complete(Some(token)) => return Ok(token),
            Content::Refused(Some(Refusal::WrongPassword)) if password.is_none() => {
                return Err(ClientError::PasswordWanted);
            }
            Content::Refused(Some(Refusal::NoAccount)) => {
                return Err(ClientError::Refused(words(Problem::NoAccount(name)).into_owned()));
            }
            Content::Refused(refusal) => return Err(ClientError::Refused(reason(refusal).to_owned())),
            Content::Complete(None) => return Err(ClientError::Refused(reason(None).to_owned())),
        }
    }
}

fn reason(refusal: Option<Refusal>) -> &'static str {
    match refusal {
        Some(Refusal::RoomExists) => "there is such a room already",
        Some(Refusal::NoSuchRoom) => "there is no such room",
        Some(Refusal::NameTaken) => "the name is taken",
        Some(Refusal::BadName) => "the name is not one",
        Some(Refusal::BadRoom) => "the room's name is not one",
        Some(Refusal::BadOperation | Refusal::BadState) => "the server does not understand the request",
        Some(Refusal::TooLong) => "a name or the password is too long",
        Some(Refusal::WrongPassword) => "wrong password",
        Some(Refusal::NoAccount) => "the name has no account",
        Some(Refusal::Full) => "the server is full",
        Some(Refusal::TooMany) => "you, or your address, have too many rooms or connections",
        Some(Refusal::TooFast) => "your address connects too often; try again later",
        Some(Refusal::Busy) => "the server is busy, or too many passwords were wrong; try again later",
        None => "the server does not say why",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_go_where_the_handshake_went() {
        let addresses =
            ["[::1]:5", "[::2]:5", "10.0.0.1:5", "10.0.0.2:5"].map(|text| text.parse().expect(text));
        let chosen = |ip: &str| nearest_address(addresses, ip.parse().expect(ip)).expect("one").to_string();
        assert_eq!(chosen("10.0.0.2"), "10.0.0.2:5");
        assert_eq!(chosen("::2"), "[::2]:5");
        assert_eq!(chosen("10.0.0.9"), "10.0.0.1:5");
        assert_eq!(chosen("::9"), "[::1]:5");
        assert!(nearest_address(None, IpAddr::from([10, 0, 0, 1])).is_none());
    }
}
