//! gob, as far as one struct of chat needs it. The encoding is that of Go's `encoding/gob`, which
//! <https://pkg.go.dev/encoding/gob#hdr-Encoding_Details> describes.
//!
//! Both directions send the same frames: a struct of the fields `Type` (int), `Sender` and `Content` (strings). A stream
//! is made of gob messages, each a length and either the definition of a type or a value of one. What we send is always
//! a definition and a value together, as a fresh encoder writes them, because the programs in use read with a fresh
//! decoder; what we read may be anything that Go can make of such a struct: [`Decoder`] says what.
//!
//! Pure, as all codecs: no socket, no clock. Nothing that a peer announces is reserved; a value is decoded without any
//! allocation, and the definitions of a connection are bounded (`GOB_…` in [`limits`](crate::limits)).

mod decode;
mod dialect;
mod encode;
mod reader;
mod types;

use std::fmt;

use thiserror::Error;

pub use decode::Decoder;
pub(super) use dialect::{decode_command, decode_event, encode_command, encode_event, encode_refusal};
pub use encode::encode;

/// A frame, in either direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Message<'a> {
    /// What it says.
    pub kind: Kind,
    /// Who says it.
    pub sender: &'a str,
    /// The text.
    pub content: &'a str,
}

/// What a [`Message`] says: the field `Type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// 0: a text.
    #[default]
    Text,
    /// 1: the sender is here now.
    Join,
    /// 2: the sender goes.
    Leave,
    /// Anything else, which programs in use ignore.
    Other(i64),
}

/// A field of the struct.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageField {
    /// A signed integer: the [`Kind`].
    Type,
    /// A string.
    Sender,
    /// A string.
    Content,
}

impl fmt::Display for MessageField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "Type",
            Self::Sender => "Sender",
            Self::Content => "Content",
        })
    }
}

impl Kind {
    /// The kind for a number on the wire.
    #[inline]
    pub fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Text,
            1 => Self::Join,
            2 => Self::Leave,
            other => Self::Other(other),
        }
    }

    /// The number on the wire.
    #[inline]
    pub fn number(self) -> i64 {
        match self {
            Self::Text => 0,
            Self::Join => 1,
            Self::Leave => 2,
            Self::Other(number) => number,
        }
    }
}

/// What one call of [`Decoder::decode`] found at the start of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded<'a> {
    /// How many bytes are done with, even when the frame is incomplete (a definition is done with before its value comes).
    pub consumed: usize,
    /// What they were.
    pub frame: Frame<'a>,
}

/// What the consumed bytes were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// Not yet a whole value: call again with what is left and what follows.
    Incomplete,
    /// A value, with the definitions in front of it.
    Whole(Message<'a>),
    /// Something to be dropped; [`GobError::ends_stream`] says whether the stream goes on behind it.
    Refused(GobError),
}

/// What a peer did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GobError {
    /// The length of a gob message claims to be an integer of more than eight bytes. Ends the stream.
    #[error("the length of a gob message is malformed")]
    LengthMalformed,
    /// A gob message is longer than [`GOB_SKIPPED_BYTES_MAX`](crate::limits::GOB_SKIPPED_BYTES_MAX). Ends the stream.
    #[error("the length of a gob message is out of range")]
    LengthOutOfRange,
    /// A gob message is longer than [`GOB_MESSAGE_BYTES_MAX`](crate::limits::GOB_MESSAGE_BYTES_MAX), or a value that
    /// spans several is. It is skipped as it comes.
    #[error("the gob message is too long")]
    MessageTooLong,
    /// A gob message of no bytes.
    #[error("the gob message is empty")]
    Empty,
    /// Something inside the gob message runs past its end.
    #[error("a gob value runs past the end of its message")]
    Truncated,
    /// Bytes are left behind the definition or value.
    #[error("bytes are left behind a gob value")]
    TrailingBytes,
    /// An integer of more than eight bytes.
    #[error("a gob integer is malformed")]
    IntegerMalformed,
    /// A value of a type that no definition came for.
    #[error("a gob value has an unknown type")]
    UnknownType,
    /// A value whose type is no struct, or one without any field of a message.
    #[error("the gob value is not a message")]
    NotAMessage,
    /// A value whose type has a field of a message's name with another kind.
    #[error("the field {0} of the gob value has the wrong kind")]
    WrongKind(MessageField),
    /// A value has a field that its type does not.
    #[error("a gob value has a field that its type does not have")]
    UnknownField,
    /// The sender or the content is not UTF-8.
    #[error("a text in the gob message is not UTF-8")]
    InvalidUtf8,
    /// Values inside of each other, more than [`GOB_DEPTH_MAX`](crate::limits::GOB_DEPTH_MAX).
    #[error("a gob value is nested too deeply")]
    TooDeep,
    /// A definition that defines nothing, or not in the way of one.
    #[error("the gob type definition is malformed")]
    DefinitionMalformed,
    /// A definition for a number that is gob's own, or no type's.
    #[error("the gob type definition is for a reserved number")]
    TypeReserved,
    /// A definition in the middle of a value changes a type that was defined before.
    #[error("a gob type is changed in the middle of a value")]
    TypeInUse,
    /// More types than [`GOB_TYPES_MAX`](crate::limits::GOB_TYPES_MAX).
    #[error("too many gob types are defined")]
    TooManyTypes,
    /// More fields than [`GOB_FIELDS_MAX`](crate::limits::GOB_FIELDS_MAX) or
    /// [`GOB_FIELDS_TOTAL_MAX`](crate::limits::GOB_FIELDS_TOTAL_MAX).
    #[error("a gob type definition has too many fields")]
    TooManyFields,
}

impl GobError {
    /// The cause as metrics and logs name it.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::LengthMalformed => "gob-length-malformed",
            Self::LengthOutOfRange => "gob-length-out-of-range",
            Self::MessageTooLong => "gob-message-too-long",
            Self::Empty => "gob-empty",
            Self::Truncated => "gob-truncated",
            Self::TrailingBytes => "gob-trailing-bytes",
            Self::IntegerMalformed => "gob-integer-malformed",
            Self::UnknownType => "gob-unknown-type",
            Self::NotAMessage => "gob-not-a-message",
            Self::WrongKind(_) => "gob-wrong-kind",
            Self::UnknownField => "gob-unknown-field",
            Self::InvalidUtf8 => "gob-invalid-utf8",
            Self::TooDeep => "gob-too-deep",
            Self::DefinitionMalformed => "gob-definition-malformed",
            Self::TypeReserved => "gob-type-reserved",
            Self::TypeInUse => "gob-type-in-use",
            Self::TooManyTypes => "gob-too-many-types",
            Self::TooManyFields => "gob-too-many-fields",
        }
    }

    /// Whether nothing behind it can be understood, so that the connection may as well be closed. Otherwise the gob
    /// message is dropped and the next one starts where its length says. (Values of a type whose definition was refused
    /// are refused too, each with [`UnknownType`](Self::UnknownType).)
    pub fn ends_stream(self) -> bool {
        match self {
            Self::LengthMalformed | Self::LengthOutOfRange => true,
            Self::MessageTooLong
            | Self::Empty
            | Self::Truncated
            | Self::TrailingBytes
            | Self::IntegerMalformed
            | Self::UnknownType
            | Self::NotAMessage
            | Self::WrongKind(_)
            | Self::UnknownField
            | Self::InvalidUtf8
            | Self::TooDeep
            | Self::DefinitionMalformed
            | Self::TypeReserved
            | Self::TypeInUse
            | Self::TooManyTypes
            | Self::TooManyFields => false,
        }
    }
}
