//! UCRP: chat in datagrams, for those whom [`tcrp`](super::tcrp) gave a token. docs/protocols.md describes it.
//!
//! ```text
//! from a client, lengths first:             from the server:
//! 0   1   2      2+R     2+R+T              0   1        1+S
//! +---+---+------+-------+---------+        +---+--------+------+
//! | R | T | room | token | message |        | S | sender | text |   or   __ROOM_CLOSED__
//! +---+---+------+-------+---------+        +---+--------+------+
//! ```
//!
//! Owns these bytes in both directions. Knows no token and no address: whether a datagram counts is for others to say.
//! A datagram is decoded whole or dropped whole; nothing is ever answered to a bad one. The server's two kinds cannot be
//! taken for each other: the notice is 15 bytes, and a relay with its first byte, 95, has at least 96.

mod dialect;

use std::fmt;
use std::str::from_utf8;

use thiserror::Error;

use super::text::SERVER;
use super::{Fit, Unsayable};
use crate::limits::{UCRP_CHALLENGE_BYTES, UCRP_DATAGRAM_BYTES_MAX};

pub(super) use dialect::encode_event;

const REGISTER: &str = "__REGISTER__";
const LEAVE: &str = "__LEAVE__";
const WHO: &str = "__WHO__";
const HISTORY: &str = "__HISTORY__";
/// In front of the number that proves an address, in both directions.
const CONFIRM: &str = "__CONFIRM__ ";
const ROOM_CLOSED: &[u8] = b"__ROOM_CLOSED__";
/// Stands where a text was cut.
const ELLIPSIS: &str = "…";
/// A length is one byte.
const FIELD_BYTES_MAX: usize = u8::MAX as usize;

/// Why a datagram is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum DatagramError {
    /// A field ends behind the datagram, or a length is missing.
    #[error("a field runs past the end")]
    PastEnd,
    /// A field is not UTF-8.
    #[error("a field is not UTF-8")]
    InvalidUtf8,
    /// It is longer than [`UCRP_DATAGRAM_BYTES_MAX`]. Seen only by who receives into a larger buffer.
    #[error("the datagram is longer than {UCRP_DATAGRAM_BYTES_MAX} bytes")]
    TooLong,
}

impl DatagramError {
    /// The cause as metrics and logs name it.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::PastEnd => "ucrp-past-end",
            Self::InvalidUtf8 => "ucrp-invalid-utf8",
            Self::TooLong => "ucrp-too-long",
        }
    }
}

/// A client's datagram. UTF-8; nothing else has been checked. `Debug` leaves out the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The room's name, at most 255 bytes, possibly none.
    pub room: &'a str,
    /// Whatever stands in the token's place, at most 255 bytes, for [`Token::parse`](crate::chat::Token::parse).
    pub token: &'a str,
    /// What it wants.
    pub message: Message<'a>,
}

/// What a client's datagram wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Send to this address from now on.
    Register,
    /// Leave the room.
    Leave,
    /// Answer to [`Delivery::challenge`]: this number came to this address.
    Confirm(&'a str),
    /// Say something. Any text but the words of the others.
    Chat(&'a str),
}

/// What a client asks of its room, where the server answers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    /// The names of the members, in one text from the server.
    Who,
    /// The last messages, each a text from the server with its date and sender.
    History,
}

impl Query {
    /// The text that asks. A server that does not answer queries says it in the room.
    pub fn text(self) -> &'static str {
        match self {
            Self::Who => WHO,
            Self::History => HISTORY,
        }
    }
}

impl<'a> Message<'a> {
    /// The query that it is, where queries are answered.
    pub fn query(self) -> Option<Query> {
        match self {
            Self::Chat(WHO) => Some(Query::Who),
            Self::Chat(HISTORY) => Some(Query::History),
            _ => None,
        }
    }

    fn parse(text: &'a str) -> Self {
        match text {
            REGISTER => Self::Register,
            LEAVE => Self::Leave,
            text => challenge(text).map_or(Self::Chat(text), Self::Confirm),
        }
    }
}

/// The number in a text that asks for it, or answers with it.
fn challenge(text: &str) -> Option<&str> {
    let number = text.strip_prefix(CONFIRM)?;
    let is_number = number.len() == 2 * UCRP_CHALLENGE_BYTES
        && number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_number.then_some(number)
}

impl<'a> Datagram<'a> {
    /// Decodes a datagram, on the server.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DatagramError> {
        if bytes.len() > UCRP_DATAGRAM_BYTES_MAX {
            return Err(DatagramError::TooLong);
        }
        let [room_bytes, token_bytes, fields @ ..] = bytes else { return Err(DatagramError::PastEnd) };
        let token_start = usize::from(*room_bytes);
        let message_start = token_start + usize::from(*token_bytes);
        if message_start > fields.len() {
            return Err(DatagramError::PastEnd);
        }
        // All fields are UTF-8 exactly if the whole is and no character lies across a border: one pass, not three.
        let fields = from_utf8(fields).map_err(|_| DatagramError::InvalidUtf8)?;
        let (Some(room), Some(token), Some(text)) =
            (fields.get(..token_start), fields.get(token_start..message_start), fields.get(message_start..))
        else {
            return Err(DatagramError::InvalidUtf8);
        };
        Ok(Self { room, token, message: Message::parse(text) })
    }

    /// Appends the datagram, on the client; or nothing, if it would be too long, a field does not fit its length, or a
    /// chat text would be taken for a command.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        let Self { room, token, message } = *self;
        let (word, text) = match message {
            Message::Register => (REGISTER, ""),
            Message::Leave => (LEAVE, ""),
            Message::Confirm(number) => (CONFIRM, number),
            Message::Chat(text) if Message::parse(text) != message => return Err(Unsayable),
            Message::Chat(text) => ("", text),
        };
        let bytes = 2 + room.len() + token.len() + word.len() + text.len();
        if room.len() > FIELD_BYTES_MAX || token.len() > FIELD_BYTES_MAX || bytes > UCRP_DATAGRAM_BYTES_MAX {
            return Err(Unsayable);
        }
        out.reserve(bytes);
        out.extend_from_slice(&[room.len() as u8, token.len() as u8]);
        out.extend_from_slice(room.as_bytes());
        out.extend_from_slice(token.as_bytes());
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { room, token: _, message } = self;
        f.debug_struct("Datagram").field("room", room).field("message", message).finish_non_exhaustive()
    }
}

/// A server's datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery<'a> {
    /// Somebody else in the room said something.
    Relay {
        /// Who, as the name is: no quotation marks, no escapes. (Older servers send both.)
        sender: &'a str,
        /// What.
        text: &'a str,
    },
    /// The host closed the room.
    RoomClosed,
}

impl<'a> Delivery<'a> {
    /// Appends the datagram, on the server: at most [`UCRP_DATAGRAM_BYTES_MAX`] bytes, to which a longer text is cut, at a
    /// character. So is a sender of more than 255 bytes, which no [`Name`](crate::chat::Name) has.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) -> Fit {
        let (sender, text) = match *self {
            Self::Relay { sender, text } => (sender, text),
            Self::RoomClosed => {
                out.extend_from_slice(ROOM_CLOSED);
                return Fit::Whole;
            }
        };
        let (sender, sender_end) = fitting(sender, FIELD_BYTES_MAX);
        let sender_bytes = sender.len() + sender_end.len();
        let (text, text_end) = fitting(text, UCRP_DATAGRAM_BYTES_MAX - 1 - sender_bytes);
        out.reserve(1 + sender_bytes + text.len() + text_end.len());
        out.push(sender_bytes as u8);
        for piece in [sender, sender_end, text, text_end] {
            out.extend_from_slice(piece.as_bytes());
        }
        if sender_end.is_empty() && text_end.is_empty() { Fit::Whole } else { Fit::Cut }
    }

    /// The number that the server asks this address to answer with, as [`Message::Confirm`].
    pub fn challenge(&self) -> Option<&'a str> {
        match *self {
            Self::Relay { sender: SERVER, text } => challenge(text),
            _ => None,
        }
    }

    /// Decodes a datagram, on the client. Older servers relay longer ones than this one does; they are fine.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DatagramError> {
        if bytes == ROOM_CLOSED {
            return Ok(Self::RoomClosed);
        }
        let [sender_bytes, fields @ ..] = bytes else { return Err(DatagramError::PastEnd) };
        let text_start = usize::from(*sender_bytes);
        if text_start > fields.len() {
            return Err(DatagramError::PastEnd);
        }
        let fields = from_utf8(fields).map_err(|_| DatagramError::InvalidUtf8)?;
        let (sender, text) = fields.split_at_checked(text_start).ok_or(DatagramError::InvalidUtf8)?;
        Ok(Self::Relay { sender, text })
    }
}

/// As much of a text as fits into so many bytes, at least those of an ellipsis, and what stands for the rest.
#[inline]
fn fitting(text: &str, bytes_max: usize) -> (&str, &'static str) {
    if text.len() <= bytes_max {
        return (text, "");
    }
    let mut end = bytes_max - ELLIPSIS.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], ELLIPSIS)
}
