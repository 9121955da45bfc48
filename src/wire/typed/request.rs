//! What a client asks for: decoded on the server, encoded on the client.
//!
//! Says what the bytes mean, and checks nothing that depends on who asks: names, passwords and texts are as they came.

use super::frame::{self, Framed};
use super::object::{
    COUNTED_BYTES, Cursor, NUMBER_BYTES, Reader, TagSet, push_counted, push_int, push_string, string_bytes,
};
use super::{DecodeError, Decoded, Frame, TooLong};
use crate::chat::Secret;
use crate::limits::TYPED_REQUEST_BYTES_MAX;

const LOGIN_NAME: u64 = 1;
const LOGIN_PASSWORD: u64 = 2;
const SEND: u64 = 3;
const MARK_READ: u64 = 4;
const LIST_MESSAGES: u64 = 5;
const LIST_USERS: u64 = 6;
const DELETE_MESSAGE: u64 = 7;
const DELETE_ACCOUNT: u64 = 8;
const PING: u64 = 9;
const SUBSCRIBE: u64 = 10;
const HISTORY: u64 = 11;
const SEND_KEPT: u64 = 12;
const CLEAR: u64 = 13;

/// One request, borrowed from the bytes that carried it. From 10 on they are extensions that older programs lack.
///
/// Where a string is the whole payload, but for the password, an absent payload is the empty string: older servers take
/// such requests, and nobody has that name or id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// 1: whose password follows. Answered [`Reply::NameKnown`](super::Reply::NameKnown) or
    /// [`Reply::NameNew`](super::Reply::NameNew).
    LoginName(&'a str),
    /// 2: proves the name, or makes the account. Answered [`Reply::LoggedIn`](super::Reply::LoggedIn) or
    /// [`Reply::LoginFailed`](super::Reply::LoginFailed).
    LoginPassword(Secret<'a>),
    /// 3: a message into somebody's mailbox. Not answered.
    Send {
        /// To whom.
        recipient: &'a str,
        /// What; may be empty.
        content: &'a str,
    },
    /// 4: all messages of this sender are read. Not answered.
    MarkRead(&'a str),
    /// 5: the conversation with this user. Answered [`Reply::Messages`](super::Reply::Messages).
    ListMessages(&'a str),
    /// 6: everybody with an account. Answered [`Reply::Users`](super::Reply::Users). A payload is not looked at.
    ListUsers,
    /// 7: the message of this id. Not answered.
    DeleteMessage(&'a str),
    /// 8: the account and all its messages. Not answered. A payload is not looked at.
    DeleteAccount,
    /// 9: still here, and perhaps who. Not answered.
    Ping(Option<&'a str>),
    /// 10: whether [`Reply::Message`](super::Reply::Message) should carry each new message as it arrives.
    Subscribe(bool),
    /// 11: a part of a conversation. Answered [`Reply::Messages`](super::Reply::Messages).
    History {
        /// With whom.
        other: &'a str,
        /// The id of the first message that is too new; nothing for the newest ones.
        before: Option<&'a str>,
        /// How many.
        count: u32,
    },
    /// 12: as [`Request::Send`], answered [`Reply::Kept`](super::Reply::Kept).
    SendKept {
        /// To whom.
        recipient: &'a str,
        /// What; may be empty.
        content: &'a str,
        /// Chosen by the client: sent twice, it is the same message.
        key: &'a str,
    },
    /// 13: the conversation with this user goes from the client's own view. Not answered.
    Clear(&'a str),
}

/// What the server remembers of a connection between two calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decoder {
    /// The connection's set, from the first payload that shows one.
    tags: Option<TagSet>,
    /// Something was refused: all that follows is dropped unread.
    refused: bool,
}

impl Decoder {
    /// The set to answer in.
    pub fn tags(&self) -> TagSet {
        self.tags.unwrap_or_default()
    }

    /// Decodes the first request in `bytes`.
    #[inline]
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Decoded<Request<'a>> {
        if self.refused {
            return Decoded { consumed: bytes.len(), frame: Frame::Incomplete };
        }
        let refused = match frame::split(bytes, TYPED_REQUEST_BYTES_MAX) {
            Ok(None) => return Decoded { consumed: 0, frame: Frame::Incomplete },
            Ok(Some(Framed { message_type, payload })) => {
                let consumed = frame::HEADER_BYTES + payload.len();
                match self.request(message_type, payload) {
                    Ok(Some(request)) => return Decoded { consumed, frame: Frame::Whole(request) },
                    Ok(None) => return Decoded { consumed, frame: Frame::Ignored(message_type) },
                    Err(error) => Reader::reason(self.tags(), payload, error),
                }
            }
            Err(error) => error,
        };
        self.refused = true;
        Decoded { consumed: bytes.len(), frame: Frame::Refused(refused) }
    }

    /// Nothing, where the type is none that a client sends.
    #[inline]
    fn request<'a>(
        &mut self,
        message_type: u64,
        payload: &'a [u8],
    ) -> Result<Option<Request<'a>>, DecodeError> {
        Ok(Some(match message_type {
            LOGIN_NAME => Request::LoginName(self.string(payload)?.unwrap_or_default()),
            LOGIN_PASSWORD => {
                let password = self.string(payload)?.ok_or(DecodeError::PayloadMissing)?;
                Request::LoginPassword(Secret(password))
            }
            SEND => {
                let mut items = self.list(payload, 2)?;
                let (recipient, content) = (items.string()?, items.string()?);
                items.end()?;
                Request::Send { recipient, content }
            }
            MARK_READ => Request::MarkRead(self.string(payload)?.unwrap_or_default()),
            LIST_MESSAGES => Request::ListMessages(self.string(payload)?.unwrap_or_default()),
            LIST_USERS => Request::ListUsers,
            DELETE_MESSAGE => Request::DeleteMessage(self.string(payload)?.unwrap_or_default()),
            DELETE_ACCOUNT => Request::DeleteAccount,
            PING => Request::Ping(self.string(payload)?),
            SUBSCRIBE => {
                // An int looks the same in both sets, and shows neither.
                let mut item = Cursor::new(self.tags(), payload);
                let subscribe = item.int()?;
                item.end()?;
                match subscribe {
                    0 => Request::Subscribe(false),
                    1 => Request::Subscribe(true),
                    _ => return Err(DecodeError::OutOfRange),
                }
            }
            HISTORY => {
                let mut items = self.list(payload, 3)?;
                let (other, before, count) = (items.string()?, items.string()?, items.int()?);
                items.end()?;
                let before = (!before.is_empty()).then_some(before);
                let count = u32::try_from(count).map_err(|_| DecodeError::OutOfRange)?;
                Request::History { other, before, count }
            }
            SEND_KEPT => {
                let mut items = self.list(payload, 3)?;
                let (recipient, content, key) = (items.string()?, items.string()?, items.string()?);
                items.end()?;
                Request::SendKept { recipient, content, key }
            }
            CLEAR => Request::Clear(self.string(payload)?.unwrap_or_default()),
            _ => return Ok(None),
        }))
    }

    /// The string that is the whole payload, if there is one.
    #[inline]
    fn string<'a>(&mut self, payload: &'a [u8]) -> Result<Option<&'a str>, DecodeError> {
        if payload.is_empty() {
            return Ok(None);
        }
        let mut item = Cursor::new(self.shown(payload, TagSet::string), payload);
        let string = item.string()?;
        item.end()?;
        Ok(Some(string))
    }

    /// What follows the start of the list of so many that is the payload.
    #[inline]
    fn list<'a>(&mut self, payload: &'a [u8], count: u32) -> Result<Cursor<'a>, DecodeError> {
        let mut items = Cursor::new(self.shown(payload, TagSet::list), payload);
        items.list_of(count)?;
        Ok(items)
    }

    /// The set of the connection, which is fixed if the first byte of the payload is the tag that the type awaits.
    #[inline]
    fn shown(&mut self, payload: &[u8], awaited: impl Fn(TagSet) -> u8) -> TagSet {
        if self.tags.is_none() {
            self.tags = [TagSet::Document, TagSet::InUse]
                .into_iter()
                .find(|&tags| payload.first() == Some(&awaited(tags)));
        }
        self.tags()
    }
}

impl Request<'_> {
    /// Appends the request as one frame, on the client.
    pub fn encode(&self, tags: TagSet, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match *self {
            Self::LoginName(name) => encode_string(LOGIN_NAME, name, tags, out),
            Self::LoginPassword(Secret(password)) => encode_string(LOGIN_PASSWORD, password, tags, out),
            Self::Send { recipient, content } => encode_strings(SEND, &[recipient, content], tags, out),
            Self::MarkRead(sender) => encode_string(MARK_READ, sender, tags, out),
            Self::ListMessages(other) => encode_string(LIST_MESSAGES, other, tags, out),
            Self::ListUsers => begin(LIST_USERS, 0, out),
            Self::DeleteMessage(id) => encode_string(DELETE_MESSAGE, id, tags, out),
            Self::DeleteAccount => begin(DELETE_ACCOUNT, 0, out),
            Self::Ping(Some(name)) => encode_string(PING, name, tags, out),
            Self::Ping(None) => begin(PING, 0, out),
            Self::Subscribe(subscribe) => {
                begin(SUBSCRIBE, NUMBER_BYTES, out)?;
                push_int(i64::from(subscribe), out);
                Ok(())
            }
            Self::History { other, before, count } => {
                let before = before.unwrap_or_default();
                let bytes = COUNTED_BYTES + string_bytes(other) + string_bytes(before) + NUMBER_BYTES;
                begin(HISTORY, bytes, out)?;
                push_counted(tags.list(), 3, out);
                push_string(tags, other, out);
                push_string(tags, before, out);
                push_int(i64::from(count), out);
                Ok(())
            }
            Self::Clear(other) => encode_string(CLEAR, other, tags, out),
            Self::SendKept { recipient, content, key } => {
                encode_strings(SEND_KEPT, &[recipient, content, key], tags, out)
            }
        }
    }
}

#[inline]
fn begin(message_type: u64, payload_bytes: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    frame::begin(message_type, payload_bytes, TYPED_REQUEST_BYTES_MAX, out)
}

fn encode_string(message_type: u64, text: &str, tags: TagSet, out: &mut Vec<u8>) -> Result<(), TooLong> {
    begin(message_type, string_bytes(text), out)?;
    push_string(tags, text, out);
    Ok(())
}

fn encode_strings(message_type: u64, items: &[&str], tags: TagSet, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let bytes = COUNTED_BYTES + items.iter().map(|item| string_bytes(item)).sum::<usize>();
    begin(message_type, bytes, out)?;
    push_counted(tags.list(), items.len(), out);
    for item in items {
        push_string(tags, item, out);
    }
    Ok(())
}
