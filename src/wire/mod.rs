//! The dialects: bytes into a borrowed [`Command`], an [`Event`] into bytes, and both ways round for the client.
//!
//! Pure: no socket, no clock, and nothing is allocated to decode. A decoder is handed what is there and says how much of
//! it one frame took; whoever owns the bytes keeps the rest and hands it in again with what follows. A frame cut
//! anywhere decodes as the whole one does.

pub mod gob;
mod line;
mod slash;
pub mod tcrp;
mod text;
pub mod typed;
pub mod ucrp;

use thiserror::Error;

use crate::chat::{Command, Event, NameError, Phase};
use crate::limits::{LINE_BYTES_MAX, SERVER_LINE_BYTES_MAX};

/// The dialects that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// One command a line, for `nc` and for programs.
    Line,
    /// Slash commands, for people with `nc` or `telnet`.
    Slash,
}

/// What one call of a decoder found at the start of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded<T> {
    /// How many bytes are done with, even when the frame is incomplete (a line too long to keep is dropped as it comes).
    pub consumed: usize,
    /// What they were.
    pub frame: Frame<T>,
}

/// What the consumed bytes were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame<T> {
    /// Not yet a whole frame: call again with what is left and what follows.
    Incomplete,
    /// A frame.
    Whole(T),
    /// A frame that its sender must be told of; the stream goes on behind it.
    Refused(DecodeError),
}

/// What a peer did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// The line is longer than [`LINE_BYTES_MAX`].
    #[error("the line is too long")]
    LineTooLong,
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    InvalidUtf8,
    /// Only a client sees this: the line is none that a server of the dialect sends.
    #[error("the line is not one of the dialect")]
    Unrecognized,
}

/// The client asked for something that its dialect has no words for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the dialect cannot say this")]
pub struct Unsayable;

/// What a decoder remembers between two calls, one a connection and direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decoder {
    /// The head of the current line was dropped for its length; so will the rest be.
    skipping: bool,
}

impl Dialect {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Line, Self::Slash];

    /// The name used in configuration, logs and the table at the start.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Slash => "slash",
        }
    }

    /// Whether a speaker sees its own messages in the room.
    pub fn echoes(self) -> bool {
        match self {
            Self::Line => false,
            Self::Slash => true,
        }
    }

    /// Whether a refused login ends the connection.
    pub fn closes_on_refused_login(self) -> bool {
        match self {
            Self::Line => false,
            Self::Slash => true,
        }
    }

    /// What the dialect demands of its users' names beyond what [`Name`](crate::chat::Name) does.
    pub fn check_name(self, name: &str) -> Result<(), NameError> {
        match self {
            Self::Line => Ok(()),
            Self::Slash => slash::check_name(name),
        }
    }

    /// Decodes the first command in `bytes`, on the server.
    #[inline]
    pub fn decode_command<'a>(
        self,
        decoder: &mut Decoder,
        phase: Phase,
        bytes: &'a [u8],
    ) -> Decoded<Command<'a>> {
        match self {
            Self::Line => decoder.line(LINE_BYTES_MAX, bytes, line::command),
            Self::Slash => decoder.line(LINE_BYTES_MAX, bytes, |line| slash::command(phase, line)),
        }
    }

    /// Appends an event as the dialect says it, on the server; nothing, where it has no words for it.
    #[inline]
    pub fn encode_event(self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Line => line::encode_event(event, out),
            Self::Slash => slash::encode_event(event, out),
        }
    }

    /// Appends a command as the dialect says it, on the client.
    pub fn encode_command(self, command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        match self {
            Self::Line => line::encode_command(command, out),
            Self::Slash => slash::encode_command(command, out),
        }
    }

    /// Decodes the first event in `bytes`, on the client.
    #[inline]
    pub fn decode_event<'a>(self, decoder: &mut Decoder, bytes: &'a [u8]) -> Decoded<Event<'a>> {
        match self {
            Self::Line => decoder.line(SERVER_LINE_BYTES_MAX, bytes, line::event),
            Self::Slash => slash::decode_event(decoder, bytes),
        }
    }
}
