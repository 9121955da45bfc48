//! What clients hear: the bytes of each dialect as what they mean to the generator.

use parlance::chat::{Event, SERVER_NAME, Token};
use parlance::wire::tcrp::{self, Content};
use parlance::wire::typed::{self, Messages, Reply};
use parlance::wire::ucrp::Delivery;
use parlance::wire::{self, Codec, DecodeError, Decoded, Frame};

use crate::dialect::Dialect;
use crate::speech::TAGS;

/// What a frame says.
pub(crate) enum Incoming<'a> {
    /// Somebody said something to the room, or wrote to a mailbox. Who, and where, is there where the dialect says so.
    Message { sender: Option<&'a str>, room: Option<&'a str>, text: &'a str },
    /// The server skipped so many messages.
    Missed(u64),
    /// A message is kept, under this id.
    Kept { key: &'a str, id: &'a str },
    /// Nothing of interest, such as that others come and go.
    Aside,
    /// Something that concerns the client itself.
    Answer(Answer<'a>),
}

/// Something that concerns the client itself.
pub(crate) enum Answer<'a> {
    LoggedIn,
    /// It is in another room.
    Joined,
    /// It got a seat.
    Seated(Token),
    /// Somebody can be heard.
    Probe,
    /// A message for it alone, from somebody.
    Private(&'a str),
    /// A name has an account, or has none.
    Named {
        is_new: bool,
    },
    /// To be asked again later, in these words.
    Busy(&'a str),
    /// A conversation, as it asked for.
    Listed(Messages<'a>),
    RoomClosed,
    /// To be answered with the same.
    Ping(&'a str),
    /// Something else, which nobody expects.
    Event(Event<'a>),
    /// The same, in words.
    Said(&'a str),
    /// Nothing behind it can be understood, and why.
    Unreadable(String),
}

impl<'a> Incoming<'a> {
    /// A message in a dialect that says who sent it.
    #[inline]
    fn from(sender: &'a str, text: &'a str) -> Self {
        Self::Message { sender: Some(sender), room: None, text }
    }
}

impl Dialect {
    /// Decodes the first frame in `bytes`, of a TCP connection.
    #[inline]
    pub(crate) fn decode<'a>(self, codec: &mut Codec, bytes: &'a [u8]) -> Decoded<Incoming<'a>> {
        let decoded = match self {
            Self::Line => return map(wire::Dialect::Line.decode_event(codec, bytes), of_event),
            Self::Slash => return map(wire::Dialect::Slash.decode_event(codec, bytes), of_event),
            Self::Gob => return map(wire::Dialect::Gob.decode_event(codec, bytes), of_struct),
            Self::Peer(peer) => return (peer.facts().decode)(bytes),
            Self::Typed => of_reply(bytes),
            Self::Tcrp => of_handshake(bytes),
        };
        match decoded.frame {
            // What comes behind it starts anywhere.
            Frame::Refused(error) => {
                let answer = Incoming::Answer(Answer::Unreadable(error.to_string()));
                Decoded { consumed: bytes.len(), frame: Frame::Whole(answer) }
            }
            Frame::Whole(_) | Frame::Incomplete => decoded,
        }
    }
}

/// Decodes a datagram.
#[inline]
pub(crate) fn of_datagram(bytes: &[u8]) -> Result<Incoming<'_>, DecodeError> {
    Ok(match Delivery::decode(bytes)? {
        Delivery::Relay { sender: SERVER_NAME, text } => of_server(text),
        Delivery::Relay { sender, text } => Incoming::from(sender, text),
        Delivery::RoomClosed => Incoming::Answer(Answer::RoomClosed),
    })
}

#[inline]
fn map<'a>(
    decoded: Decoded<Event<'a>>,
    of_event: impl FnOnce(Event<'a>) -> Incoming<'a>,
) -> Decoded<Incoming<'a>> {
    let frame = match decoded.frame {
        Frame::Incomplete => Frame::Incomplete,
        Frame::Whole(event) => Frame::Whole(of_event(event)),
        Frame::Refused(error) if error.ends_connection() => {
            Frame::Whole(Incoming::Answer(Answer::Unreadable(error.to_string())))
        }
        Frame::Refused(error) => Frame::Refused(error),
    };
    Decoded { consumed: decoded.consumed, frame }
}

#[inline]
fn of_event(event: Event<'_>) -> Incoming<'_> {
    match event {
        Event::Message { sender, text, at: _ } => Incoming::from(sender, text),
        Event::Missed(count) => Incoming::Missed(count),
        Event::LoggedIn { .. } => Incoming::Answer(Answer::LoggedIn),
        Event::YouJoined(_) => Incoming::Answer(Answer::Joined),
        Event::Joined(_)
        | Event::Left { .. }
        | Event::Renamed { .. }
        | Event::Pong
        | Event::Greeting
        | Event::NameWanted
        | Event::Day(_)
        | Event::Past { .. }
        | Event::Direct { .. }
        | Event::DirectSent { .. }
        | Event::YouRenamed(_)
        | Event::UsersBegin { .. }
        | Event::User { .. }
        | Event::NameKnown
        | Event::NameFree
        | Event::Seated(_)
        | Event::ListBegin(_)
        | Event::AccountName(_)
        | Event::Account { .. }
        | Event::Mail(_)
        | Event::MailArrived(_)
        | Event::MailEnd
        | Event::MailWaits(_)
        | Event::Kept { .. }
        | Event::RoomsBegin
        | Event::Room { .. }
        | Event::RoomsOmitted(_)
        | Event::AccountMade
        | Event::PasswordChanged
        | Event::AccountEnded
        | Event::Help
        | Event::AddressChallenge(_)
        | Event::MailListBegin
        | Event::ConversationBegin
        | Event::Goodbye => Incoming::Aside,
        Event::PasswordWanted
        | Event::LoginRefused(_)
        | Event::Error(_)
        | Event::YouReturned(_)
        | Event::RoomClosed(_)
        | Event::ShuttingDown => Incoming::Answer(Answer::Event(event)),
    }
}

/// In a dialect that has texts, and people who come and go, and nothing else.
#[inline]
fn of_struct(event: Event<'_>) -> Incoming<'_> {
    match event {
        Event::Message { sender: SERVER_NAME, text, at: _ } => of_server(text),
        Event::Direct { sender, .. } => Incoming::Answer(Answer::Private(sender)),
        event => of_event(event),
    }
}

/// A text that the server itself says, where it has no other way.
fn of_server(text: &str) -> Incoming<'_> {
    match text.strip_suffix(" messages missed").and_then(|count| count.parse().ok()) {
        Some(count) => Incoming::Missed(count),
        None => Incoming::Answer(Answer::Said(text)),
    }
}

#[inline]
fn of_reply(bytes: &[u8]) -> Decoded<Incoming<'_>> {
    let typed::Decoded { consumed, frame } = Reply::decode(TAGS, bytes);
    let frame = match frame {
        typed::Frame::Incomplete => Frame::Incomplete,
        typed::Frame::Ignored(_) => Frame::Whole(Incoming::Aside),
        typed::Frame::Refused(error) => Frame::Refused(error.into()),
        typed::Frame::Whole(reply) => Frame::Whole(match reply {
            Reply::Message(message) => Incoming::from(message.sender, message.content),
            Reply::Kept { key, id } => Incoming::Kept { key, id },
            Reply::Users(_) => Incoming::Aside,
            Reply::NameKnown => Incoming::Answer(Answer::Named { is_new: false }),
            Reply::NameNew => Incoming::Answer(Answer::Named { is_new: true }),
            Reply::LoggedIn(_) => Incoming::Answer(Answer::LoggedIn),
            Reply::LoginFailed => Incoming::Answer(Answer::Said("wrong password")),
            Reply::Messages(messages) => Incoming::Answer(Answer::Listed(messages)),
            Reply::Error(reason) if reason.starts_with("busy") => Incoming::Answer(Answer::Busy(reason)),
            Reply::Error(reason) => Incoming::Answer(Answer::Said(reason)),
        }),
    };
    Decoded { consumed, frame }
}

fn of_handshake(bytes: &[u8]) -> Decoded<Incoming<'_>> {
    match tcrp::Reply::decode(bytes) {
        tcrp::Decoded::Incomplete { .. } => Decoded { consumed: 0, frame: Frame::Incomplete },
        tcrp::Decoded::Refused(error) => Decoded { consumed: 0, frame: Frame::Refused(error.into()) },
        tcrp::Decoded::Whole { frame, consumed } => {
            let incoming = match frame.content {
                Content::Accepted => Incoming::Aside,
                Content::Refused(None) | Content::Complete(None) => Incoming::Answer(Answer::Said("no")),
                Content::Refused(Some(refusal)) => Incoming::Answer(Answer::Said(refusal.word())),
                Content::Complete(Some(token)) => Incoming::Answer(Answer::Seated(token)),
            };
            Decoded { consumed, frame: Frame::Whole(incoming) }
        }
    }
}
