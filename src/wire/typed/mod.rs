//! The typed protocol: mailboxes, as programs in use speak it, in either of its two tag sets.
//!
//! A frame is a header of 12 bytes, all numbers big-endian, and a payload of one object, or of none:
//!
//! ```text
//! 0             8          12
//! ├ type, u64 ──┼ n, u32 ──┼ payload, n bytes ┤
//! ```
//!
//! An object is a tag and a body ([`TagSet`] has the tags): an int (8 bytes, signed), a float (8 bytes), a string (a
//! count of 4 bytes, so many bytes of UTF-8), a list (a count, so many objects), a dict (a count, so many pairs of a
//! string and an object), or a chat message (a dict). A client writes in one of the sets from its first payload on, and
//! is answered in it.
//!
//! Owns the view of frames and of objects: bytes into a borrowed [`Request`] on the server and a borrowed
//! [`Reply`] on the client, and both ways back. Knows no accounts and no mailboxes. Nothing is allocated to
//! decode: announced lengths and counts are held against the bounds and the bytes that are there before
//! anything follows from them. A frame is appended in one piece, so that it can leave in one write; older
//! peers take a torn header for the end. The frame of a long list is made piece by piece, and its header is
//! in the first one.
//!
//! What is not as it should be is a [`DecodeError`]: its sender is answered [`Reply::Error`] with the reason, and the
//! connection ends, because nobody knows what the bytes behind it are.

mod dialect;
mod frame;
mod layout;
mod message;
mod object;
mod reply;
mod request;

use thiserror::Error;

pub use crate::chat::{Mail as Message, UnixMillis};
pub(super) use dialect::{decode_command, encode_event, encode_refusal, entry_bytes};
pub use frame::HEADER_BYTES;
pub use object::{Reader, TagSet, Token};
pub(super) use reply::LIST_BYTES_MAX;
pub use reply::{Messages, MessagesFrame, Names, NamesFrame, Reply, User, Users, UsersFrame};
pub use request::{Decoder, Request};

/// What one call of a decoder found at the start of the bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decoded<T> {
    /// How many bytes are done with.
    pub consumed: usize,
    /// What they were.
    pub frame: Frame<T>,
}

/// What the consumed bytes were.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Frame<T> {
    /// Not yet a whole frame: call again with what is left and what follows.
    Incomplete,
    /// A frame.
    Whole(T),
    /// A frame of a type that this side does not take, its payload unread. The stream goes on behind it.
    Ignored(u64),
    /// What its sender must be told, and the connection ends: nothing behind it is read.
    Refused(DecodeError),
}

/// What a peer did wrong. Its text is the reason that the peer is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// The header announces more than [`TYPED_REQUEST_BYTES_MAX`](crate::limits::TYPED_REQUEST_BYTES_MAX), or on the
    /// client [`TYPED_REPLY_BYTES_MAX`](crate::limits::TYPED_REPLY_BYTES_MAX).
    #[error("the payload is too long")]
    PayloadTooLong,
    /// A type that needs a payload came without one.
    #[error("the payload is missing")]
    PayloadMissing,
    /// The payload is an object, but not of the kind or shape that its type carries.
    #[error("the payload is not what its type carries")]
    WrongKind,
    /// A number is none that its type allows.
    #[error("a number is out of its range")]
    OutOfRange,
    /// No object of the tag set starts with this byte.
    #[error("unknown tag {0:#04x}")]
    UnknownTag(u8),
    /// The payload ends within a number or a count, or where an object should start.
    #[error("the payload ends within an object")]
    CutShort,
    /// A string announces more bytes than follow.
    #[error("a string is shorter than its count")]
    StringCutShort,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// A list or a dict announces more than the bytes behind it can hold.
    #[error("a list or dict is shorter than its count")]
    CountTooLarge,
    /// A dict's key is no string.
    #[error("a key is not a string")]
    KeyNotString,
    /// A chat message is no dict with the six keys.
    #[error("a chat message lacks its dict or a key")]
    NotChatMessage,
    /// More than [`TYPED_DEPTH_MAX`](crate::limits::TYPED_DEPTH_MAX) lists and dicts around each other.
    #[error("lists and dicts are too deep")]
    TooDeep,
    /// Bytes behind the object.
    #[error("bytes follow the object")]
    TrailingBytes,
}

impl DecodeError {
    /// The cause as metrics and logs name it.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::PayloadTooLong => "typed-payload-too-long",
            Self::PayloadMissing => "typed-payload-missing",
            Self::WrongKind => "typed-wrong-kind",
            Self::OutOfRange => "typed-out-of-range",
            Self::UnknownTag(_) => "typed-unknown-tag",
            Self::CutShort => "typed-cut-short",
            Self::StringCutShort => "typed-string-cut-short",
            Self::InvalidUtf8 => "typed-invalid-utf8",
            Self::CountTooLarge => "typed-count-too-large",
            Self::KeyNotString => "typed-key-not-string",
            Self::NotChatMessage => "typed-not-chat-message",
            Self::TooDeep => "typed-too-deep",
            Self::TrailingBytes => "typed-trailing-bytes",
        }
    }
}

/// The frame would be longer than its bound; nothing was appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the frame would be too long")]
pub struct TooLong;
