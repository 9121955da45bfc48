//! A client of TCRP and UCRP: the handshake over TCP, and the seat that speaks in datagrams.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use parlance::chat::{Secret, Token, TokenText};
use parlance::wire::Dialect;
use parlance::wire::tcrp::{Content, Decoded, Operation, Refusal, Reply, encode_request};
use parlance::wire::ucrp::{Datagram, Delivery, Message};

use super::{PATIENCE, TestServer, connect_from};

/// Where most clients are.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Another address of this machine.
pub const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Sends all of a handshake's bytes and reads to the end of the connection.
pub fn exchange(server: &TestServer, from: IpAddr, request: &[u8]) -> Vec<u8> {
    exchange_at(server.address(Dialect::Tcrp), from, request)
}

/// The same, at one of several addresses.
pub fn exchange_at(tcrp: SocketAddr, from: IpAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect_from(from, tcrp);
    stream.write_all(request).expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server closes, and does not reset");
    answer
}

/// Takes an answer apart: compliance and complete, both of this room and operation, and nothing behind them.
#[track_caller]
pub fn outcome(answer: &[u8], room: &str, operation: u8) -> Result<Token, Refusal> {
    let Decoded::Whole { frame: compliance, consumed } = Reply::decode(answer) else {
        panic!("no compliance in {answer:?}");
    };
    let Decoded::Whole { frame: complete, consumed: more } = Reply::decode(&answer[consumed..]) else {
        panic!("no complete in {answer:?}");
    };
    assert_eq!(consumed + more, answer.len(), "nothing follows");
    for reply in [compliance, complete] {
        assert_eq!((reply.echo.room(), reply.echo.operation()), (room, operation));
    }
    match (compliance.content, complete.content) {
        (Content::Accepted, Content::Complete(Some(token))) => Ok(token),
        (Content::Refused(Some(refusal)), Content::Complete(None)) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// Shakes hands.
#[track_caller]
pub fn shake(
    server: &TestServer,
    from: IpAddr,
    (operation, room): (Operation, &str),
    who: (&str, Option<&str>),
) -> Result<Token, Refusal> {
    let request = request((operation, room), who);
    outcome(&exchange(server, from, &request), room, operation.byte())
}

/// The bytes of a handshake.
pub fn request((operation, room): (Operation, &str), (name, password): (&str, Option<&str>)) -> Vec<u8> {
    let mut request = Vec::new();
    encode_request(room, operation, name, password.map(Secret), &mut request).expect("it fits");
    request
}

/// What a seat hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Datum {
    /// A sender and a text.
    Said(String, String),
    /// The room is closed.
    Closed,
}

/// A seat, with a socket of its own.
pub struct Seat {
    socket: UdpSocket,
    room: String,
    token: TokenText,
}

impl Seat {
    /// Makes a room.
    #[track_caller]
    pub fn create(server: &TestServer, room: &str, name: &str) -> Self {
        let token = shake(server, HERE, (Operation::Create, room), (name, None)).expect("a new room");
        Self::with(server, HERE, room, &token)
    }

    /// Joins one.
    #[track_caller]
    pub fn join(server: &TestServer, room: &str, name: &str) -> Self {
        Self::join_from(server, HERE, room, name)
    }

    /// Joins one from an address.
    #[track_caller]
    pub fn join_from(server: &TestServer, from: IpAddr, room: &str, name: &str) -> Self {
        let token = shake(server, from, (Operation::Join, room), (name, None)).expect("a seat");
        Self::with(server, from, room, &token)
    }

    /// A socket for a token. Nothing has been sent.
    pub fn with(server: &TestServer, from: IpAddr, room: &str, token: &Token) -> Self {
        let socket = UdpSocket::bind(SocketAddr::new(from, 0)).expect("a port");
        socket.connect(server.address(Dialect::Ucrp)).expect("an address");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, room: room.to_owned(), token: token.reveal() }
    }

    /// The same seat, speaking from another socket.
    pub fn moved(&self, server: &TestServer, from: IpAddr) -> Self {
        Self::with(server, from, &self.room, &self.token())
    }

    pub fn token(&self) -> Token {
        Token::parse(&self.token).expect("it was one")
    }

    pub fn send_raw(&self, bytes: &[u8]) {
        assert_eq!(self.socket.send(bytes).expect("the server is there"), bytes.len());
    }

    fn send(&self, message: Message<'_>) {
        self.send_as(&self.room, &self.token, message);
    }

    /// Sends with a room and a token that may be others'.
    pub fn send_as(&self, room: &str, token: &str, message: Message<'_>) {
        let mut out = Vec::new();
        Datagram { room, token, message }.encode(&mut out).expect("it fits");
        self.send_raw(&out);
    }

    pub fn say(&self, text: &str) {
        self.send(Message::Chat(text));
    }

    /// Has the room's messages sent here, and waits until that is so.
    #[track_caller]
    pub fn register(&self) {
        self.send(Message::Register);
        assert_eq!(self.heard(), []);
    }

    /// Has the room's messages sent to an address that the server does not know, and waits until it asks for
    /// a proof of it. Returns how many bytes were sent.
    #[track_caller]
    pub fn register_elsewhere(&self) -> usize {
        let mut out = Vec::new();
        Datagram { room: &self.room, token: &self.token, message: Message::Register }
            .encode(&mut out)
            .expect("it fits");
        self.send_raw(&out);
        let Datum::Said(sender, text) = self.next() else { panic!("the room is open") };
        assert!(Delivery::Relay { sender: &sender, text: &text }.challenge().is_some(), "{text}");
        out.len()
    }

    pub fn leave(&self) {
        self.send(Message::Leave);
    }

    /// Receives one datagram.
    #[track_caller]
    pub fn next(&self) -> Datum {
        // One more than there may be, so that more would be seen.
        let mut buffer = [0; 4097];
        let length = self.socket.recv(&mut buffer).expect("a datagram");
        assert!(length <= 4096, "clients read no more");
        match Delivery::decode(&buffer[..length]).expect("a datagram of a server") {
            Delivery::Relay { sender, text } => Datum::Said(sender.to_owned(), text.to_owned()),
            Delivery::RoomClosed => Datum::Closed,
        }
    }

    #[track_caller]
    pub fn expect(&self, sender: &str, text: &str) {
        assert_eq!(self.next(), Datum::Said(sender.to_owned(), text.to_owned()));
    }

    /// All that was sent here up to now: the server answers a question, behind everything else.
    #[track_caller]
    pub fn heard(&self) -> Vec<Datum> {
        self.say("/msg ");
        let last = Datum::Said("server".to_owned(), "usage: /msg <name> <text>".to_owned());
        std::iter::from_fn(|| Some(self.next()).filter(|datum| *datum != last)).collect()
    }
}
