//! A client of the typed dialect: an account and its mailbox.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Instant;

use super::ClientError;
use super::connect::connect;
use super::connection::{Connection, send};
use super::first_bytes::Opened;
use crate::chat::{Secret, UnixMillis};
use crate::limits::CLIENT_ARRIVED_BYTES_MAX;
use crate::wire::typed::{Frame, Message, Reply, Request, TagSet};
use crate::wire::{DecodeError, Dialect};

/// A message of a mailbox, with what it is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// The text of its id.
    pub id: String,
    /// When it was sent.
    pub at: UnixMillis,
    /// Who wrote it.
    pub sender: String,
    /// To whom.
    pub recipient: String,
    /// What.
    pub content: String,
    /// Whether the recipient has yet to read it.
    pub unread: bool,
}

impl Letter {
    fn bytes(&self) -> usize {
        let texts = [&self.id, &self.sender, &self.recipient, &self.content];
        size_of::<Self>() + texts.into_iter().map(String::len).sum::<usize>()
    }
}

impl From<Message<'_>> for Letter {
    fn from(Message { id, at, sender, recipient, content, unread }: Message<'_>) -> Self {
        Self {
            id: id.to_owned(),
            at,
            sender: sender.to_owned(),
            recipient: recipient.to_owned(),
            content: content.to_owned(),
            unread,
        }
    }
}

/// Somebody with an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    /// Their name.
    pub name: String,
    /// Messages from them that this client's account has not read.
    pub count: u32,
}

/// A connection to a mailbox.
///
/// Requests that have an answer wait for it; messages that come meanwhile are kept for [`Mailbox::next_letter`]. What fails
/// of a request that has no answer is told with the next wait, as [`ClientError::Failed`].
#[derive(Debug)]
pub struct Mailbox {
    connection: Connection,
    tags: TagSet,
    /// What came unasked while something else was waited for.
    arrived: VecDeque<Letter>,
    arrived_bytes: usize,
}

impl Mailbox {
    /// Connects, without logging in, in the tags that the programs in use write.
    pub fn connect(address: impl ToSocketAddrs, deadline: Instant) -> Result<Self, ClientError> {
        Self::connect_with(TagSet::default(), address, deadline)
    }

    /// Connects, without logging in.
    pub fn connect_with(
        tags: TagSet,
        address: impl ToSocketAddrs,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        Self::over(connect(address, deadline)?, tags)
    }

    /// The same on a connection that is there, on which nothing was sent yet.
    pub fn over(opened: impl Into<Opened>, tags: TagSet) -> Result<Self, ClientError> {
        let connection = Connection::new(opened, Dialect::Typed)?;
        Ok(Self { connection, tags, arrived: VecDeque::new(), arrived_bytes: 0 })
    }

    /// Logs in, and makes the account if there is none. Returns who has one.
    pub fn login(
        &mut self,
        name: &str,
        password: &str,
        deadline: Instant,
    ) -> Result<Vec<String>, ClientError> {
        self.identify(name, deadline)?;
        self.prove(password, deadline)
    }

    /// Says whose password comes next, and returns whether the name is known: it has an account, or is in use.
    pub fn identify(&mut self, name: &str, deadline: Instant) -> Result<bool, ClientError> {
        self.request(&Request::LoginName(name))?;
        self.answer(deadline, |reply| match reply {
            Reply::NameKnown => Some(true),
            Reply::NameNew => Some(false),
            _ => None,
        })
        .map_err(refused)
    }

    /// Proves the name, or makes its account. Returns who has one.
    pub fn prove(&mut self, password: &str, deadline: Instant) -> Result<Vec<String>, ClientError> {
        self.request(&Request::LoginPassword(Secret(password)))?;
        let names = self
            .answer(deadline, |reply| match reply {
                Reply::LoggedIn(names) => Some(Some(names.map(str::to_owned).collect())),
                Reply::LoginFailed => Some(None),
                _ => None,
            })
            .map_err(refused)?;
        // One reply for both, as old as the dialect.
        names.ok_or_else(|| ClientError::Refused("wrong password, or the name is in use".to_owned()))
    }

    /// Sends a message. There is no answer.
    pub fn send(&mut self, to: &str, text: &str) -> Result<(), ClientError> {
        self.request(&Request::Send { recipient: to, content: text })
    }

    /// Sends a message, and waits until it is in the mailbox; returns its id. With the same key it is not sent twice.
    pub fn send_kept(
        &mut self,
        to: &str,
        text: &str,
        key: &str,
        deadline: Instant,
    ) -> Result<String, ClientError> {
        self.request(&Request::SendKept { recipient: to, content: text, key })?;
        self.answer(deadline, |reply| match reply {
            Reply::Kept { key: sent, id } if sent == key => Some(id.to_owned()),
            _ => None,
        })
    }

    /// The messages exchanged with somebody, oldest first.
    pub fn list(&mut self, with: &str, deadline: Instant) -> Result<Vec<Letter>, ClientError> {
        self.request(&Request::ListMessages(with))?;
        self.letters(deadline)
    }

    /// So many of the messages exchanged with somebody, oldest first: the newest, or those before the one of an id.
    pub fn history(
        &mut self,
        with: &str,
        before: Option<&str>,
        count: u32,
        deadline: Instant,
    ) -> Result<Vec<Letter>, ClientError> {
        self.request(&Request::History { other: with, before, count })?;
        self.letters(deadline)
    }

    fn letters(&mut self, deadline: Instant) -> Result<Vec<Letter>, ClientError> {
        self.answer(deadline, |reply| match reply {
            Reply::Messages(messages) => Some(messages.map(Letter::from).collect()),
            _ => None,
        })
    }

    /// Who has an account, with the messages from each that are unread.
    pub fn users(&mut self, deadline: Instant) -> Result<Vec<Unread>, ClientError> {
        self.request(&Request::ListUsers)?;
        self.answer(deadline, |reply| match reply {
            Reply::Users(users) => {
                Some(users.map(|user| Unread { name: user.name.to_owned(), count: user.unread }).collect())
            }
            _ => None,
        })
    }

    /// All messages from somebody are read. There is no answer.
    pub fn mark_read(&mut self, sender: &str) -> Result<(), ClientError> {
        self.request(&Request::MarkRead(sender))
    }

    /// Deletes a message. There is no answer.
    pub fn delete_message(&mut self, id: &str) -> Result<(), ClientError> {
        self.request(&Request::DeleteMessage(id))
    }

    /// Deletes the conversation with a user from the own view. There is no answer.
    pub fn clear(&mut self, other: &str) -> Result<(), ClientError> {
        self.request(&Request::Clear(other))
    }

    /// Deletes the account and its messages. There is no answer.
    pub fn delete_account(&mut self) -> Result<(), ClientError> {
        self.request(&Request::DeleteAccount)
    }

    /// Whether new messages come by themselves, for [`Mailbox::next_letter`]. There is no answer.
    pub fn subscribe(&mut self, on: bool) -> Result<(), ClientError> {
        self.request(&Request::Subscribe(on))
    }

    /// The next message that comes by itself, waiting for it until the deadline.
    pub fn next_letter(&mut self, deadline: Instant) -> Result<Letter, ClientError> {
        if let Some(letter) = self.arrived.pop_front() {
            self.arrived_bytes -= letter.bytes();
            return Ok(letter);
        }
        loop {
            match self.next_reply(deadline)? {
                Reply::Message(message) => return Ok(message.into()),
                Reply::Error(reason) => return Err(ClientError::Failed(reason.to_owned())),
                _ => {}
            }
        }
    }

    /// Sends any request.
    pub fn request(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        self.connection.send(&encoded(self.tags, request)?)
    }

    /// The next reply, waiting for it until the deadline; not what [`Mailbox::next_letter`] keeps. What this client does not
    /// know is passed over.
    pub fn next_reply(&mut self, deadline: Instant) -> Result<Reply<'_>, ClientError> {
        let Self { connection, tags, .. } = self;
        let consumed = loop {
            let decoded = Reply::decode(*tags, connection.received());
            let consumed = decoded.consumed;
            match decoded.frame {
                Frame::Whole(_) => break consumed,
                Frame::Incomplete => connection.receive(deadline)?,
                Frame::Ignored(_) => connection.consume(consumed),
                Frame::Refused(error) => return Err(DecodeError::Typed(error).into()),
            }
        };
        match Reply::decode(*tags, connection.take(consumed)).frame {
            Frame::Whole(reply) => Ok(reply),
            Frame::Incomplete | Frame::Ignored(_) | Frame::Refused(_) => {
                unreachable!("the same bytes were a reply")
            }
        }
    }

    /// Waits for a reply that `pick` takes something from, and keeps the messages that come before it.
    fn answer<T>(
        &mut self,
        deadline: Instant,
        pick: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<T, ClientError> {
        loop {
            match self.next_reply(deadline)? {
                Reply::Message(message) => {
                    let letter = message.into();
                    self.keep(letter);
                }
                Reply::Error(reason) => return Err(ClientError::Failed(reason.to_owned())),
                reply => {
                    if let Some(answer) = pick(reply) {
                        return Ok(answer);
                    }
                }
            }
        }
    }

    fn keep(&mut self, letter: Letter) {
        self.arrived_bytes += letter.bytes();
        self.arrived.push_back(letter);
        while self.arrived_bytes > CLIENT_ARRIVED_BYTES_MAX
            && let Some(oldest) = self.arrived.pop_front()
        {
            self.arrived_bytes -= oldest.bytes();
        }
    }

    /// Another handle to send requests with, for another thread.
    pub fn speaker(&self) -> io::Result<MailboxSpeaker> {
        Ok(MailboxSpeaker { stream: self.connection.stream().try_clone()?, tags: self.tags })
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

/// The half of a [`Mailbox`] that asks.
#[derive(Debug)]
pub struct MailboxSpeaker {
    stream: TcpStream,
    tags: TagSet,
}

impl MailboxSpeaker {
    /// Sends any request.
    pub fn request(&self, request: &Request<'_>) -> Result<(), ClientError> {
        send(&self.stream, &encoded(self.tags, request)?)
    }

    /// The socket itself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

fn encoded(tags: TagSet, request: &Request<'_>) -> Result<Vec<u8>, ClientError> {
    let mut frame = Vec::new();
    request.encode(tags, &mut frame)?;
    Ok(frame)
}

/// What fails while logging in is a refusal.
fn refused(error: ClientError) -> ClientError {
    match error {
        ClientError::Failed(reason) => ClientError::Refused(reason),
        other => other,
    }
}
