//! TCRP: the handshake over TCP by which a client makes a room or joins one, and is handed the token that it shows in
//! each datagram of [`ucrp`](super::ucrp). docs/protocols.md describes it.
//!
//! One request a connection; the server answers with two frames, compliance and complete, and closes. Every frame is
//!
//! ```text
//! 0   1           2       3                         32     32+R      32+R+P
//! +---+-----------+-------+-------------------------+------+---------+
//! | R | operation | state | P: 29 bytes, big-endian | room | payload |
//! +---+-----------+-------+-------------------------+------+---------+
//! ```
//!
//! Owns these bytes in both directions. Judges no name, keeps no room and no token, and holds no state: whoever owns the
//! bytes of a connection hands all of them in again until the frame is there. What a header announces is believed up to
//! the bounds in [`limits`](crate::limits) and refused beyond them before anything is kept for it.

mod credentials;
mod dialect;

use std::fmt;
use std::str::from_utf8;

use thiserror::Error;

use super::Unsayable;
use super::text::push;
use crate::chat::{Secret, Token};
use crate::limits::{TCRP_PAYLOAD_BYTES_MAX, TCRP_ROOM_BYTES_MAX};

pub use credentials::Credentials;
pub(super) use dialect::{Asked, decode_command, encode_event, encode_refusal};

/// Bytes of the header, which stands in front of every frame.
pub const HEADER_BYTES: usize = 32;

/// States of a frame, the third byte of its header.
const REQUEST: u8 = 0;
const COMPLIANCE: u8 = 1;
const COMPLETE: u8 = 2;

/// What stands at the start of the bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded<T, E> {
    /// Not yet a whole frame: call again with these bytes and what follows.
    Incomplete {
        /// The bytes that the frame has at least: those of the header until that is there, then all of them. Always more
        /// than were handed in, and at most [`TCRP_FRAME_BYTES_MAX`](crate::limits::TCRP_FRAME_BYTES_MAX).
        bytes_min: usize,
    },
    /// A frame.
    Whole {
        /// What it says.
        frame: T,
        /// How many bytes it took.
        consumed: usize,
    },
    /// No frame, and none can follow: the connection ends.
    Refused(E),
}

/// What a peer did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// The state is not one that this side may send.
    #[error("the frame has state {0}")]
    State(u8),
    /// The operation is neither to make a room nor to join one.
    #[error("the frame has operation {0}")]
    Operation(u8),
    /// The payload is announced as longer than [`TCRP_PAYLOAD_BYTES_MAX`].
    #[error("the payload is announced as longer than {TCRP_PAYLOAD_BYTES_MAX} bytes")]
    PayloadTooLong,
    /// The room's name is not UTF-8.
    #[error("the room's name is not UTF-8")]
    RoomNotUtf8,
    /// The payload is not UTF-8.
    #[error("the payload is not UTF-8")]
    PayloadNotUtf8,
    /// The payload starts as JSON and is not, or lacks what it must have.
    #[error("the payload is not what the protocol puts there")]
    PayloadUnreadable,
}

impl FrameError {
    /// The cause as metrics and logs name it.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::State(_) => "tcrp-state",
            Self::Operation(_) => "tcrp-operation",
            Self::PayloadTooLong => "tcrp-payload-too-long",
            Self::RoomNotUtf8 => "tcrp-room-not-utf8",
            Self::PayloadNotUtf8 => "tcrp-payload-not-utf8",
            Self::PayloadUnreadable => "tcrp-payload-unreadable",
        }
    }

    /// What the client is told.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::State(_) => Refusal::BadState,
            Self::Operation(_) => Refusal::BadOperation,
            Self::PayloadTooLong => Refusal::TooLong,
            Self::RoomNotUtf8 => Refusal::BadRoom,
            Self::PayloadNotUtf8 | Self::PayloadUnreadable => Refusal::BadName,
        }
    }
}

/// Why a request failed, as the compliance says it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// There is a room of that name, and the client wanted to make it.
    RoomExists,
    /// There is no room of that name.
    NoSuchRoom,
    /// Somebody else has the name.
    NameTaken,
    /// The name is none, or the payload has none.
    BadName,
    /// The room's name is none.
    BadRoom,
    /// The operation is unknown.
    BadOperation,
    /// The frame is not a request.
    BadState,
    /// The payload is too long.
    TooLong,
    /// The name has an account, and this is not its password.
    WrongPassword,
    /// There is a password, and the name has no account.
    NoAccount,
    /// No more people, or rooms, fit.
    Full,
    /// No more of the client's own: connections, seats or rooms.
    TooMany,
    /// The client asks too often; later it may.
    TooFast,
    /// The server cannot look into it now; later it may.
    Busy,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::RoomExists,
        Self::NoSuchRoom,
        Self::NameTaken,
        Self::BadName,
        Self::BadRoom,
        Self::BadOperation,
        Self::BadState,
        Self::TooLong,
        Self::WrongPassword,
        Self::NoAccount,
        Self::Full,
        Self::TooMany,
        Self::TooFast,
        Self::Busy,
    ];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::RoomExists => "room-exists",
            Self::NoSuchRoom => "no-such-room",
            Self::NameTaken => "name-taken",
            Self::BadName => "bad-name",
            Self::BadRoom => "bad-room",
            Self::BadOperation => "bad-operation",
            Self::BadState => "bad-state",
            Self::TooLong => "too-long",
            Self::WrongPassword => "wrong-password",
            Self::NoAccount => "no-account",
            Self::Full => "full",
            Self::TooMany => "too-many",
            Self::TooFast => "too-fast",
            Self::Busy => "busy",
        }
    }

    /// The refusal that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.word() == word)
    }
}

/// What a client wants with the room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Make it, and be its host.
    Create,
    /// Join it.
    Join,
}

impl Operation {
    /// The byte in the header.
    pub fn byte(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Join => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Create),
            2 => Some(Self::Join),
            _ => None,
        }
    }
}

/// A client's request. UTF-8; nothing else has been checked. `Debug` leaves out the payload, which may hold a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The room's name, at most [`TCRP_ROOM_BYTES_MAX`] bytes, possibly none.
    pub room: &'a str,
    /// What to do with it.
    pub operation: Operation,
    /// Who wants it, for [`Request::credentials`].
    pub payload: &'a str,
}

/// A request that cannot be served, and what its answer repeats of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused<'a> {
    /// What is wrong.
    pub error: FrameError,
    /// The operation as it came. The room is empty unless all of the frame had to be read to see what is wrong: what is
    /// refused by its header is refused at once.
    pub echo: Echo<'a>,
}

impl<'a> Request<'a> {
    /// Decodes the request at the start of all that a connection has sent, on the server. A header that cannot be right
    /// is refused as soon as it is there; texts are looked at when the frame is whole.
    pub fn decode(bytes: &'a [u8]) -> Decoded<Self, Refused<'a>> {
        let opened = open(bytes, |header| match (header.state, Operation::from_byte(header.operation)) {
            (REQUEST, Some(operation)) => Ok(operation),
            (REQUEST, None) => Err(FrameError::Operation(header.operation)),
            (state, _) => Err(FrameError::State(state)),
        });
        match opened {
            Decoded::Incomplete { bytes_min } => Decoded::Incomplete { bytes_min },
            Decoded::Whole { frame: Opened { checked: operation, echo, payload }, consumed } => {
                Decoded::Whole { frame: Self { room: echo.room, operation, payload }, consumed }
            }
            Decoded::Refused(refused) => Decoded::Refused(refused),
        }
    }

    /// What the answer repeats.
    pub fn echo(&self) -> Echo<'a> {
        Echo { room: self.room, operation: self.operation.byte() }
    }

    /// Appends the request as it is, on the client.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        let echo = Echo::new(self.room, self.operation.byte())?;
        if self.payload.len() > TCRP_PAYLOAD_BYTES_MAX {
            return Err(Unsayable);
        }
        push_frame(echo, REQUEST, &[self.payload], out);
        Ok(())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { room, operation, payload: _ } = self;
        f.debug_struct("Request").field("room", room).field("operation", operation).finish_non_exhaustive()
    }
}

/// Appends the request of a person, on the client: the name as a JSON string, as clients have always sent it, or with a
/// password a JSON object, which older servers take for a strange name.
pub fn encode_request(
    room: &str,
    operation: Operation,
    username: &str,
    password: Option<Secret<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), Unsayable> {
    let payload = credentials::spell(username, password);
    Request { room, operation, payload: &payload }.encode(out)
}

/// What an answer repeats of its request: the room's name and the operation, even an unknown one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Echo<'a> {
    /// At most [`TCRP_ROOM_BYTES_MAX`] bytes: the header has one byte for the length.
    room: &'a str,
    operation: u8,
}

impl<'a> Echo<'a> {
    /// For whoever kept the two apart from the request; an error if the room's name is too long for a header.
    pub fn new(room: &'a str, operation: u8) -> Result<Self, Unsayable> {
        if room.len() > TCRP_ROOM_BYTES_MAX { Err(Unsayable) } else { Ok(Self { room, operation }) }
    }

    /// The room's name.
    pub fn room(self) -> &'a str {
        self.room
    }

    /// The operation as a byte.
    pub fn operation(self) -> u8 {
        self.operation
    }
}

/// Appends the whole answer, compliance and complete, for one write; then the server closes.
pub fn encode_answer(echo: Echo<'_>, outcome: Result<&Token, Refusal>, out: &mut Vec<u8>) {
    match outcome {
        Ok(token) => {
            push_frame(echo, COMPLIANCE, &[r#"{"success": 1}"#], out);
            push_frame(echo, COMPLETE, &[r#"{"token": ""#, &token.reveal(), r#""}"#], out);
        }
        Err(refusal) => {
            let compliance = [r#"{"success": 0, "reason": ""#, refusal.word(), r#""}"#];
            push_frame(echo, COMPLIANCE, &compliance, out);
            push_frame(echo, COMPLETE, &[r#"{"token": ""}"#], out);
        }
    }
}

/// One of the two frames of an answer, as the client reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply<'a> {
    /// Of the request. Clients need not look at it.
    pub echo: Echo<'a>,
    /// What the frame says.
    pub content: Content,
}

/// What a frame of an answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// The compliance: it worked, and the token follows.
    Accepted,
    /// The compliance: it failed. Older servers do not say why, newer ones may know more words.
    Refused(Option<Refusal>),
    /// Complete: the token, or none after a failure.
    Complete(Option<Token>),
}

impl<'a> Reply<'a> {
    /// Decodes the first frame of what is left of an answer, on the client.
    pub fn decode(bytes: &'a [u8]) -> Decoded<Self, FrameError> {
        let opened = open(bytes, |header| match header.state {
            COMPLIANCE => Ok(credentials::compliance as fn(&str) -> Option<Content>),
            COMPLETE => Ok(credentials::complete as fn(&str) -> Option<Content>),
            state => Err(FrameError::State(state)),
        });
        match opened {
            Decoded::Incomplete { bytes_min } => Decoded::Incomplete { bytes_min },
            Decoded::Whole { frame: Opened { checked: read, echo, payload }, consumed } => {
                match read(payload) {
                    Some(content) => Decoded::Whole { frame: Self { echo, content }, consumed },
                    None => Decoded::Refused(FrameError::PayloadUnreadable),
                }
            }
            Decoded::Refused(Refused { error, .. }) => Decoded::Refused(error),
        }
    }
}

/// The checked view of a header.
struct Header {
    room_bytes: usize,
    operation: u8,
    state: u8,
    /// None if it is longer than [`TCRP_PAYLOAD_BYTES_MAX`].
    payload_bytes: Option<usize>,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [room_bytes, operation, state, length @ ..] = bytes.first_chunk::<HEADER_BYTES>()?;
        let payload_bytes = length
            .iter()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
            .filter(|bytes| *bytes <= TCRP_PAYLOAD_BYTES_MAX);
        Some(Self {
            room_bytes: usize::from(*room_bytes),
            operation: *operation,
            state: *state,
            payload_bytes,
        })
    }
}

/// A frame of either direction.
struct Opened<'a, T> {
    /// What the check made of the header.
    checked: T,
    echo: Echo<'a>,
    payload: &'a str,
}

/// Takes a frame apart. `check` sees the header as soon as it is there, before its lengths are believed.
fn open<T>(
    bytes: &[u8],
    check: impl FnOnce(&Header) -> Result<T, FrameError>,
) -> Decoded<Opened<'_, T>, Refused<'_>> {
    let Some(header) = Header::parse(bytes) else {
        return Decoded::Incomplete { bytes_min: HEADER_BYTES };
    };
    let Header { room_bytes, operation, state: _, payload_bytes } = header;
    let refused = |error, room| Decoded::Refused(Refused { error, echo: Echo { room, operation } });
    let checked = match check(&header) {
        Ok(checked) => checked,
        Err(error) => return refused(error, ""),
    };
    let Some(payload_bytes) = payload_bytes else {
        return refused(FrameError::PayloadTooLong, "");
    };
    let room_end = HEADER_BYTES + room_bytes;
    let consumed = room_end + payload_bytes;
    let Some(frame) = bytes.get(..consumed) else {
        return Decoded::Incomplete { bytes_min: consumed };
    };
    let Ok(room) = from_utf8(&frame[HEADER_BYTES..room_end]) else {
        return refused(FrameError::RoomNotUtf8, "");
    };
    let Ok(payload) = from_utf8(&frame[room_end..]) else {
        return refused(FrameError::PayloadNotUtf8, room);
    };
    Decoded::Whole { frame: Opened { checked, echo: Echo { room, operation }, payload }, consumed }
}

/// Appends a frame. The room fits its byte because it is an [`Echo`]'s.
fn push_frame(echo: Echo<'_>, state: u8, payload: &[&str], out: &mut Vec<u8>) {
    let Echo { room, operation } = echo;
    let payload_bytes: usize = payload.iter().map(|piece| piece.len()).sum();
    out.reserve(HEADER_BYTES + room.len() + payload_bytes);
    out.extend_from_slice(&[room.len() as u8, operation, state]);
    out.extend_from_slice(&[0; 29 - size_of::<u64>()]);
    out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
    push(out, &[room]);
    push(out, payload);
}
