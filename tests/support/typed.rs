//! A client of the typed dialect, in either tag set.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};

use parlance::chat::Secret;
use parlance::wire::Dialect;
use parlance::wire::typed::{Decoded, Frame, Message, Reply, Request, TagSet};

use super::seat::HERE;
use super::{TestServer, connect_from};

/// A message of a mailbox that outlives its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    pub id: String,
    pub at_millis: u64,
    pub sender: String,
    pub recipient: String,
    pub content: String,
    pub unread: bool,
}

/// A reply that outlives its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// 100
    Error(String),
    /// 101
    Known,
    /// 102
    New,
    /// 103
    LoggedIn(Vec<String>),
    /// 104
    Failed,
    /// 105
    Messages(Vec<Letter>),
    /// 106
    Users(Vec<(String, u32)>),
    /// 110
    Arrived(Letter),
    /// 111: the key and the id.
    Kept(String, String),
}

impl From<Message<'_>> for Letter {
    fn from(Message { id, at, sender, recipient, content, unread }: Message<'_>) -> Self {
        Self {
            id: id.to_owned(),
            at_millis: at.0,
            sender: sender.to_owned(),
            recipient: recipient.to_owned(),
            content: content.to_owned(),
            unread,
        }
    }
}

impl From<Reply<'_>> for Told {
    fn from(reply: Reply<'_>) -> Self {
        match reply {
            Reply::Error(reason) => Self::Error(reason.to_owned()),
            Reply::NameKnown => Self::Known,
            Reply::NameNew => Self::New,
            Reply::LoggedIn(names) => Self::LoggedIn(names.map(ToOwned::to_owned).collect()),
            Reply::LoginFailed => Self::Failed,
            Reply::Messages(messages) => Self::Messages(messages.map(Letter::from).collect()),
            Reply::Users(users) => {
                Self::Users(users.map(|user| (user.name.to_owned(), user.unread)).collect())
            }
            Reply::Message(message) => Self::Arrived(message.into()),
            Reply::Kept { key, id } => Self::Kept(key.to_owned(), id.to_owned()),
        }
    }
}

pub struct TypedPeer {
    stream: TcpStream,
    tags: TagSet,
    bytes: Vec<u8>,
}

impl TypedPeer {
    pub fn connect(server: &TestServer, tags: TagSet) -> Self {
        Self::connect_from(server, HERE, tags)
    }

    pub fn connect_from(server: &TestServer, from: IpAddr, tags: TagSet) -> Self {
        Self { stream: connect_from(from, server.address(Dialect::Typed)), tags, bytes: Vec::new() }
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        super::reset_at_the_end(&self.stream);
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    pub fn send(&mut self, request: Request<'_>) {
        let mut out = Vec::new();
        request.encode(self.tags, &mut out).expect("it fits");
        self.send_raw(&out);
    }

    /// The next reply, or nothing at the end of the connection.
    #[track_caller]
    pub fn next_or_end(&mut self) -> Option<Told> {
        loop {
            let Decoded { consumed, frame } = Reply::decode(self.tags, &self.bytes);
            let told = match frame {
                Frame::Whole(reply) => Some(Told::from(reply)),
                Frame::Incomplete => None,
                other => panic!("{other:?}"),
            };
            self.bytes.drain(..consumed);
            if told.is_some() {
                return told;
            }
            let mut buffer = [0; 1 << 14];
            let length = self.stream.read(&mut buffer).expect("a reply, or the end");
            if length == 0 {
                assert!(self.bytes.is_empty(), "the end is not in the middle of a reply");
                return None;
            }
            self.bytes.extend_from_slice(&buffer[..length]);
        }
    }

    #[track_caller]
    pub fn next(&mut self) -> Told {
        self.next_or_end().expect("a reply")
    }

    #[track_caller]
    pub fn ask(&mut self, request: Request<'_>) -> Told {
        self.send(request);
        self.next()
    }

    #[track_caller]
    pub fn ask_error(&mut self, request: Request<'_>) -> String {
        match self.ask(request) {
            Told::Error(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// A name and a password; what came of the latter.
    #[track_caller]
    pub fn try_log_in(&mut self, name: &str, password: &str) -> Told {
        let told = self.ask(Request::LoginName(name));
        assert!(matches!(told, Told::Known | Told::New), "{told:?}");
        self.ask(Request::LoginPassword(Secret(password)))
    }

    /// Logs in, or makes the account; returns all accounts.
    #[track_caller]
    pub fn log_in(&mut self, name: &str, password: &str) -> Vec<String> {
        match self.try_log_in(name, password) {
            Told::LoggedIn(names) => names,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn conversation(&mut self, with: &str) -> Vec<Letter> {
        match self.ask(Request::ListMessages(with)) {
            Told::Messages(letters) => letters,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn users(&mut self) -> Vec<(String, u32)> {
        match self.ask(Request::ListUsers) {
            Told::Users(users) => users,
            other => panic!("{other:?}"),
        }
    }

    /// All that was sent here up to now: the server answers a question, behind everything else.
    #[track_caller]
    pub fn heard(&mut self) -> Vec<Told> {
        self.send(Request::ListUsers);
        let mut heard = Vec::new();
        loop {
            match self.next() {
                Told::Users(_) => return heard,
                Told::Error(reason) if reason == "not logged in" => return heard,
                told => heard.push(told),
            }
        }
    }

    /// Whether nothing was sent here that was not read.
    pub fn has_heard_nothing(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a socket");
        self.bytes.is_empty() && peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// The server has closed, and nothing was left.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.next_or_end(), None);
    }

    pub fn finish(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("it was open");
    }
}
