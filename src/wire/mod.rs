//! The dialects: bytes into a borrowed [`Command`], an [`Event`] into bytes, and both ways round for the client.
//!
//! Pure: no socket, no clock, and nothing is allocated to decode. A decoder is handed what is there and says how much of
//! it one frame took; whoever owns the bytes keeps the rest and hands it in again with what follows. A frame cut
//! anywhere decodes as the whole one does.

pub mod gob;
mod line;
mod lines;
mod opening;
mod slash;
pub mod tcrp;
mod telnet;
mod text;
pub mod typed;
pub mod ucrp;

use thiserror::Error;

pub use opening::{Foreign, Opening};
pub(crate) use text::YOUR_NAME;
pub use text::{name_end, words};

use crate::chat::{Command, Event, NameError, Phase};

/// The dialects that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// One command a line, for `nc` and for programs.
    Line,
    /// Slash commands, for people with `nc` or `telnet`.
    Slash,
    /// The handshake over TCP that gives out tokens for [`Dialect::Ucrp`].
    Tcrp,
    /// Chat in datagrams.
    Ucrp,
    /// Mailboxes, in typed binary frames.
    Typed,
    /// Structs as Go encodes them.
    Gob,
}

/// How a dialect's bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Over TCP, as they are.
    Stream,
    /// Over TCP, a frame a write, with a pause between two of them.
    Paced,
    /// A frame a UDP datagram.
    Datagram,
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
    /// A frame that its sender must be told of. The stream goes on behind it, unless the error
    /// [ends it](DecodeError::ends_connection).
    Refused(DecodeError),
}

/// What a peer did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// The line is longer than [`LINE_BYTES_MAX`](crate::limits::LINE_BYTES_MAX).
    #[error("the line is too long")]
    LineTooLong,
    /// The line is not UTF-8.
    #[error("the line is not UTF-8")]
    InvalidUtf8,
    /// The connection is not one of a client of Parlance. Its peer is told nothing.
    #[error("the peer speaks {}", .0.name())]
    Foreign(Foreign),
    /// A Telnet subnegotiation is longer than
    /// [`TELNET_SUBNEGOTIATION_BYTES_MAX`](crate::limits::TELNET_SUBNEGOTIATION_BYTES_MAX).
    #[error("the Telnet subnegotiation is too long")]
    SubnegotiationTooLong,
    /// Only a client sees this: the line is none that a server of the dialect sends.
    #[error("the line is not one of the dialect")]
    Unrecognized,
    /// In [`Dialect::Tcrp`].
    #[error(transparent)]
    Tcrp(#[from] tcrp::FrameError),
    /// In [`Dialect::Ucrp`].
    #[error(transparent)]
    Ucrp(#[from] ucrp::DatagramError),
    /// In [`Dialect::Typed`].
    #[error(transparent)]
    Typed(#[from] typed::DecodeError),
    /// In [`Dialect::Gob`].
    #[error(transparent)]
    Gob(#[from] gob::GobError),
}

impl DecodeError {
    /// The cause as metrics and logs name it.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::LineTooLong => "line-too-long",
            Self::InvalidUtf8 => "line-invalid-utf8",
            Self::Foreign(foreign) => foreign.cause(),
            Self::SubnegotiationTooLong => "telnet-subnegotiation-too-long",
            Self::Unrecognized => "line-unrecognized",
            Self::Tcrp(error) => error.cause(),
            Self::Ucrp(error) => error.cause(),
            Self::Typed(error) => error.cause(),
            Self::Gob(error) => error.cause(),
        }
    }

    /// Whether nothing behind it can be understood, so that the connection ends.
    pub fn ends_connection(&self) -> bool {
        match self {
            Self::LineTooLong | Self::InvalidUtf8 | Self::Unrecognized | Self::Ucrp(_) => false,
            Self::Foreign(_) | Self::SubnegotiationTooLong | Self::Tcrp(_) | Self::Typed(_) => true,
            Self::Gob(error) => error.ends_stream(),
        }
    }
}

/// The client asked for something that its dialect has no words for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the dialect cannot say this")]
pub struct Unsayable;

/// Whether a text went into its frame.
#[must_use = "what was cut is counted"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// All of it.
    Whole,
    /// The end is missing, and `…` stands in its place.
    Cut,
}

/// What a codec remembers of a connection, on either side: what the next frame, or an answer, depends on.
/// Most remember nothing most of the time, and then one costs a pointer.
#[derive(Debug, Default)]
pub struct Codec(Option<Box<Memory>>);

#[derive(Debug)]
enum Memory {
    Lines(lines::Lines),
    Tcrp(tcrp::Asked),
    Typed(typed::Decoder),
    Gob(gob::Decoder),
}

impl Dialect {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Line, Self::Slash, Self::Tcrp, Self::Ucrp, Self::Typed, Self::Gob];

    /// The name used in configuration, logs and the table at the start.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Slash => "slash",
            Self::Tcrp => "tcrp",
            Self::Ucrp => "ucrp",
            Self::Typed => "typed",
            Self::Gob => "gob",
        }
    }

    /// How its bytes travel.
    #[inline]
    pub fn transport(self) -> Transport {
        match self {
            Self::Line | Self::Slash | Self::Tcrp | Self::Typed => Transport::Stream,
            Self::Gob => Transport::Paced,
            Self::Ucrp => Transport::Datagram,
        }
    }

    /// Whether its clients send lines of text, and may speak Telnet.
    #[inline]
    pub fn is_of_lines(self) -> bool {
        match self {
            Self::Line | Self::Slash => true,
            Self::Tcrp | Self::Ucrp | Self::Typed | Self::Gob => false,
        }
    }

    /// Whether a speaker sees its own messages in the room.
    pub fn echoes(self) -> bool {
        match self {
            Self::Slash => true,
            Self::Line | Self::Tcrp | Self::Ucrp | Self::Typed | Self::Gob => false,
        }
    }

    /// Whether whoever comes in sees the notice of its own coming.
    pub fn sees_itself_join(self) -> bool {
        self.echoes()
    }

    /// Whether its users are in rooms; otherwise they have mailboxes only.
    pub fn has_rooms(self) -> bool {
        match self {
            Self::Line | Self::Slash | Self::Ucrp | Self::Gob => true,
            Self::Tcrp | Self::Typed => false,
        }
    }

    /// Whether its programs wait for what they sent to be acknowledged before they send more (Nagle's algorithm, and small
    /// requests of which some have no answer), so that a delayed acknowledgement would hold them up.
    #[inline]
    pub fn acknowledges_at_once(self) -> bool {
        match self {
            Self::Typed => true,
            Self::Line | Self::Slash | Self::Tcrp | Self::Ucrp | Self::Gob => false,
        }
    }

    /// Whether an answer says that what was asked for is kept, and so waits until it is.
    pub fn answers_when_kept(self) -> bool {
        match self {
            Self::Tcrp | Self::Typed => true,
            Self::Line | Self::Slash | Self::Ucrp | Self::Gob => false,
        }
    }

    /// Whether a refused login ends the connection.
    pub fn closes_on_refused_login(self) -> bool {
        match self {
            Self::Slash | Self::Tcrp => true,
            Self::Line | Self::Ucrp | Self::Typed | Self::Gob => false,
        }
    }

    /// Whether a connection hears the lobby before it has a name.
    pub fn hears_unnamed(self) -> bool {
        match self {
            Self::Gob => true,
            Self::Line | Self::Slash | Self::Tcrp | Self::Ucrp | Self::Typed => false,
        }
    }

    /// Whether a name that cannot be had is changed until it can, because the dialect has no way to refuse it.
    pub fn yields_names(self) -> bool {
        match self {
            Self::Gob => true,
            Self::Line | Self::Slash | Self::Tcrp | Self::Ucrp | Self::Typed => false,
        }
    }

    /// Whether a name's password is asked for where it was not given; otherwise it has to come with the name.
    pub fn asks_for_passwords(self) -> bool {
        match self {
            Self::Slash => true,
            Self::Line | Self::Tcrp | Self::Ucrp | Self::Typed | Self::Gob => false,
        }
    }

    /// What the dialect demands of its users' names beyond what [`Name`](crate::chat::Name) does.
    pub fn check_name(self, name: &str) -> Result<(), NameError> {
        match self {
            Self::Slash => slash::check_name(name),
            Self::Line | Self::Tcrp | Self::Ucrp | Self::Typed | Self::Gob => Ok(()),
        }
    }

    /// Decodes the first command in `bytes`, on the server. [`Dialect::Ucrp`] has datagrams, which
    /// [`ucrp::Datagram::decode`] reads: here all of it is skipped.
    #[inline]
    pub fn decode_command<'a>(
        self,
        codec: &mut Codec,
        phase: Phase,
        bytes: &'a [u8],
    ) -> Decoded<Command<'a>> {
        match self {
            Self::Line => codec.command_line(bytes, line::command),
            Self::Slash => codec.command_line(bytes, |line| slash::command(phase, line)),
            Self::Tcrp => tcrp::decode_command(codec, bytes),
            Self::Ucrp => Decoded { consumed: bytes.len(), frame: Frame::Incomplete },
            Self::Typed => typed::decode_command(codec.typed(), bytes),
            Self::Gob => gob::decode_command(codec.gob(), phase, bytes),
        }
    }

    /// Appends an event as the dialect says it, on the server; nothing, where it has no words for it. Entries
    /// of a list that is one frame follow its [`Event::ListBegin`], and nothing stands between them.
    #[inline]
    pub fn encode_event(self, codec: &Codec, event: &Event<'_>, out: &mut Vec<u8>) -> Fit {
        match self {
            Self::Line => line::encode_event(event, out),
            Self::Slash => slash::encode_event(event, out),
            Self::Tcrp => tcrp::encode_event(codec, event, out),
            Self::Ucrp => return ucrp::encode_event(event, out),
            Self::Typed => return typed::encode_event(codec.tags(), event, out),
            Self::Gob => return gob::encode_event(event, out),
        }
        Fit::Whole
    }

    /// Bytes of an entry of a list as [`Dialect::encode_event`] appends it; 0 in the dialects without lists
    /// of one frame.
    pub fn entry_bytes(self, codec: &Codec, entry: &Event<'_>) -> usize {
        match self {
            Self::Typed => typed::entry_bytes(codec.tags(), entry),
            Self::Line | Self::Slash | Self::Tcrp | Self::Ucrp | Self::Gob => 0,
        }
    }

    /// Bytes that the entries of a list may have in all; 0 in the dialects without lists of one frame.
    pub fn list_bytes_max(self) -> usize {
        match self {
            Self::Typed => typed::LIST_BYTES_MAX,
            Self::Line | Self::Slash | Self::Tcrp | Self::Ucrp | Self::Gob => 0,
        }
    }

    /// Whether a connection is told nothing, since its peer has not shown that it speaks the dialect. Of the
    /// dialects in which the peer speaks first, gob is the one whose words are not an answer to a request.
    pub fn is_silent_to(self, codec: &Codec) -> bool {
        match self {
            Self::Gob => !codec.has_gob_types(),
            Self::Line | Self::Slash | Self::Tcrp | Self::Ucrp | Self::Typed => false,
        }
    }

    /// Appends what a peer is told whose frame was refused.
    pub fn encode_refusal(self, codec: &Codec, phase: Phase, error: DecodeError, out: &mut Vec<u8>) {
        if matches!(error, DecodeError::Foreign(_)) || self.is_silent_to(codec) {
            return;
        }
        match self {
            Self::Line => line::encode_event(&text::refusal(phase, error), out),
            Self::Slash => slash::encode_event(&text::refusal(phase, error), out),
            Self::Tcrp => tcrp::encode_refusal(codec, error, out),
            // Nobody knows whose datagram it was.
            Self::Ucrp => {}
            Self::Typed => typed::encode_refusal(codec.tags(), error, out),
            Self::Gob => gob::encode_refusal(error, out),
        }
    }

    /// Appends a command as the dialect says it, on the client. The clients of [`Dialect::Tcrp`], [`Dialect::Ucrp`] and
    /// [`Dialect::Typed`] need more than a command each: they use the modules of those names.
    pub fn encode_command(self, command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        match self {
            Self::Line => line::encode_command(command, out),
            Self::Slash => slash::encode_command(command, out),
            Self::Gob => gob::encode_command(command, out),
            Self::Tcrp | Self::Ucrp | Self::Typed => Err(Unsayable),
        }
    }

    /// Decodes the first event in `bytes`, on the client; as for [`Dialect::encode_command`].
    #[inline]
    pub fn decode_event<'a>(self, codec: &mut Codec, bytes: &'a [u8]) -> Decoded<Event<'a>> {
        match self {
            Self::Line => line::decode_event(codec, bytes),
            Self::Slash => slash::decode_event(codec, bytes),
            Self::Gob => gob::decode_event(codec.gob(), bytes),
            Self::Tcrp | Self::Ucrp | Self::Typed => {
                Decoded { consumed: bytes.len(), frame: Frame::Refused(DecodeError::Unrecognized) }
            }
        }
    }
}

impl Codec {
    fn gob(&mut self) -> &mut gob::Decoder {
        if !matches!(self.0.as_deref(), Some(Memory::Gob(_))) {
            self.0 = Some(Box::new(Memory::Gob(gob::Decoder::default())));
        }
        match self.0.as_deref_mut() {
            Some(Memory::Gob(decoder)) => decoder,
            _ => unreachable!("it was just made"),
        }
    }

    fn has_gob_types(&self) -> bool {
        matches!(self.0.as_deref(), Some(Memory::Gob(decoder)) if decoder.has_types())
    }

    fn typed(&mut self) -> &mut typed::Decoder {
        if !matches!(self.0.as_deref(), Some(Memory::Typed(_))) {
            self.0 = Some(Box::new(Memory::Typed(typed::Decoder::default())));
        }
        match self.0.as_deref_mut() {
            Some(Memory::Typed(decoder)) => decoder,
            _ => unreachable!("it was just made"),
        }
    }

    /// The tag set of a connection of the typed dialect.
    fn tags(&self) -> typed::TagSet {
        match self.0.as_deref() {
            Some(Memory::Typed(decoder)) => decoder.tags(),
            _ => typed::TagSet::default(),
        }
    }

    /// The bytes that the codec keeps behind its pointer, for whoever accounts for memory.
    pub fn held_bytes(&self) -> usize {
        let inside = |memory: &Memory| match memory {
            Memory::Lines(_) | Memory::Typed(_) => 0,
            Memory::Tcrp(asked) => asked.held_bytes(),
            Memory::Gob(decoder) => decoder.held_bytes(),
        };
        self.0.as_deref().map_or(0, |memory| size_of::<Memory>() + inside(memory))
    }
}
