//! What a server says: encoded on the server, decoded on the client.
//!
//! A list is written an entry at a time. Where it is written in one go, into the frame that carries it, its
//! lengths are right after each entry, so that the frame is whole at every moment. Where it is written piece
//! by piece ([`begin_list`]), the caller has counted its entries before.

use super::frame::{self, Framed, HEADER_BYTES};
use super::object::{
    COUNTED_BYTES, Cursor, NUMBER_BYTES, Reader, TagSet, Token, push_counted, push_int, push_string,
    string_bytes,
};
use super::{DecodeError, Decoded, Frame, TooLong, layout};
use crate::chat::{List, ListKind, Mail as Message};
use crate::limits::TYPED_REPLY_BYTES_MAX;

const ERROR: u64 = 100;
const NAME_KNOWN: u64 = 101;
const NAME_NEW: u64 = 102;
const LOGGED_IN: u64 = 103;
const LOGIN_FAILED: u64 = 104;
const MESSAGES: u64 = 105;
const USERS: u64 = 106;
const MESSAGE: u64 = 110;
const KEPT: u64 = 111;

/// One reply, borrowed from the bytes that carried it. From 110 on they are extensions that older programs lack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// 100: a request failed, and why.
    Error(&'a str),
    /// 101: the name has an account; its password, please.
    NameKnown,
    /// 102: the name is free; a password makes the account.
    NameNew,
    /// 103: logged in; everybody with an account, oldest first. [`NamesFrame`] writes it entry by entry.
    LoggedIn(Names<'a>),
    /// 104: the password is not the account's.
    LoginFailed,
    /// 105: a conversation, oldest first. [`MessagesFrame`] writes it entry by entry.
    Messages(Messages<'a>),
    /// 106: everybody with an account, oldest first. [`UsersFrame`] writes it entry by entry.
    Users(Users<'a>),
    /// 110: a new message, for who asked for them.
    Message(Message<'a>),
    /// 111: the message is durable.
    Kept {
        /// The key that it was sent with.
        key: &'a str,
        /// Its id.
        id: &'a str,
    },
}

/// Somebody with an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User<'a> {
    /// Their name.
    pub name: &'a str,
    /// Messages from them that whoever asked has not read.
    pub unread: u32,
}

impl<'a> Reply<'a> {
    /// Appends the reply as one frame, on the server.
    #[inline]
    pub fn encode(&self, tags: TagSet, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            Self::Error(reason) => {
                begin(ERROR, string_bytes(reason), out)?;
                push_string(tags, reason, out);
                Ok(())
            }
            Self::NameKnown => begin(NAME_KNOWN, 0, out),
            Self::NameNew => begin(NAME_NEW, 0, out),
            Self::LoggedIn(names) => {
                let mut frame = NamesFrame::begin(tags, out);
                names.clone().try_for_each(|name| frame.push(name)).or_else(|error| frame.0.withdraw(error))
            }
            Self::LoginFailed => begin(LOGIN_FAILED, 0, out),
            Self::Messages(messages) => {
                let mut frame = MessagesFrame::begin(tags, out);
                messages
                    .clone()
                    .try_for_each(|message| frame.push(&message))
                    .or_else(|error| frame.0.withdraw(error))
            }
            Self::Users(users) => {
                let mut frame = UsersFrame::begin(tags, out);
                users.clone().try_for_each(|user| frame.push(user)).or_else(|error| frame.0.withdraw(error))
            }
            Self::Message(message) => {
                begin(MESSAGE, message.bytes(tags), out)?;
                layout::push(message, tags, out);
                Ok(())
            }
            Self::Kept { key, id } => {
                begin(KEPT, COUNTED_BYTES + string_bytes(key) + string_bytes(id), out)?;
                push_counted(tags.list(), 2, out);
                push_string(tags, key, out);
                push_string(tags, id, out);
                Ok(())
            }
        }
    }

    /// Decodes the first reply in `bytes`, on a client that speaks the set. A refusal ends the connection: whoever calls
    /// again with what follows reads it as if it were the next frame.
    #[inline]
    pub fn decode(tags: TagSet, bytes: &'a [u8]) -> Decoded<Self> {
        let refused = match frame::split(bytes, TYPED_REPLY_BYTES_MAX) {
            Ok(None) => return Decoded { consumed: 0, frame: Frame::Incomplete },
            Ok(Some(Framed { message_type, payload })) => {
                let consumed = HEADER_BYTES + payload.len();
                // Nearly all messages are made here, in their place: to move one takes longer than to read it. Those that
                // are laid out otherwise, or are none, are for `read`.
                if message_type == MESSAGE
                    && let Some(message) = layout::read_whole(tags, payload)
                {
                    return Decoded { consumed, frame: Frame::Whole(Self::Message(message)) };
                }
                if message_type == MESSAGES
                    && let Some(messages) = Messages::laid_out(tags, payload)
                {
                    return Decoded { consumed, frame: Frame::Whole(Self::Messages(messages)) };
                }
                match Self::read(message_type, tags, payload) {
                    Ok(Some(reply)) => return Decoded { consumed, frame: Frame::Whole(reply) },
                    Ok(None) => return Decoded { consumed, frame: Frame::Ignored(message_type) },
                    Err(error) => Reader::reason(tags, payload, error),
                }
            }
            Err(error) => error,
        };
        Decoded { consumed: bytes.len(), frame: Frame::Refused(refused) }
    }

    /// Nothing, where the type is none that a server sends.
    fn read(message_type: u64, tags: TagSet, payload: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut cursor = Cursor::new(tags, payload);
        let reply = match message_type {
            NAME_KNOWN => return Ok(Some(Self::NameKnown)),
            NAME_NEW => return Ok(Some(Self::NameNew)),
            LOGIN_FAILED => return Ok(Some(Self::LoginFailed)),
            ERROR => Self::Error(cursor.string()?),
            LOGGED_IN => {
                let left = cursor.list()?;
                Self::LoggedIn(Names(Entries::checked(&mut cursor, left, Cursor::string)?))
            }
            MESSAGES => {
                let left = cursor.list()?;
                Self::Messages(Messages(Entries::checked(&mut cursor, left, read_listed)?))
            }
            USERS => {
                let Token::Dict(left) = cursor.token()? else { return Err(DecodeError::WrongKind) };
                Self::Users(Users(Entries::checked(&mut cursor, left, User::read)?))
            }
            MESSAGE => Self::Message(Message::read_otherwise(&mut cursor, 0)?),
            KEPT => {
                cursor.list_of(2)?;
                Self::Kept { key: cursor.string()?, id: cursor.string()? }
            }
            _ => return Ok(None),
        };
        cursor.end()?;
        Ok(Some(reply))
    }
}

/// Reads a message that is an entry of a list.
#[inline]
fn read_listed<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
    Message::read(cursor, 1)
}

impl<'a> User<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, DecodeError> {
        let (name, unread) = (cursor.string()?, cursor.int()?);
        let unread = u32::try_from(unread).map_err(|_| DecodeError::OutOfRange)?;
        Ok(Self { name, unread })
    }
}

#[inline]
fn begin(message_type: u64, payload_bytes: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    frame::begin(message_type, payload_bytes, TYPED_REPLY_BYTES_MAX, out)
}

/// The entries of a list or the pairs of a dict that are not given out yet. All were read when the frame was decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entries<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Entries<'a> {
    /// Reads so many entries, so that none can fail later.
    fn checked<T>(
        cursor: &mut Cursor<'a>,
        left: u32,
        read: impl Fn(&mut Cursor<'a>) -> Result<T, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let entries = Self { cursor: *cursor, left };
        for _ in 0..left {
            read(cursor)?;
        }
        Ok(entries)
    }

    #[inline]
    fn next<T>(&mut self, read: impl Fn(&mut Cursor<'a>) -> Result<T, DecodeError>) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        read(&mut self.cursor).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

/// The names in [`Reply::LoggedIn`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names<'a>(Entries<'a>);

/// The messages in [`Reply::Messages`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Messages<'a>(Entries<'a>);

/// The users in [`Reply::Users`]. Of a name that is there twice, the last one counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Users<'a>(Entries<'a>);

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Cursor::string)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a> Messages<'a> {
    /// Reads the list that is the whole payload, if each of its messages is laid out as in `layout.rs`.
    #[expect(clippy::inline_always, reason = "it is made in its place, as are messages")]
    #[inline(always)]
    fn laid_out(tags: TagSet, payload: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(tags, payload);
        let left = cursor.list().ok()?;
        let entries = Entries { cursor, left };
        for _ in 0..left {
            layout::read(&mut cursor)?;
        }
        cursor.end().ok()?;
        Some(Self(entries))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read_listed)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a> Iterator for Users<'a> {
    type Item = User<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(User::read)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// Bytes that the entries of a list may have in all.
pub(in crate::wire) const LIST_BYTES_MAX: usize = TYPED_REPLY_BYTES_MAX - COUNTED_BYTES;

/// Appends the start of a frame. The entries follow, with the number and size that the list states.
pub(super) fn begin_list(list: List, tags: TagSet, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let (message_type, container) = match list.kind {
        ListKind::AccountNames => (LOGGED_IN, tags.list()),
        ListKind::Accounts => (USERS, tags.dict()),
        ListKind::Mail => (MESSAGES, tags.list()),
    };
    if list.bytes > LIST_BYTES_MAX {
        return Err(TooLong);
    }
    // Space for the entries is not reserved: they are made piece by piece.
    out.extend_from_slice(&frame::header(message_type, COUNTED_BYTES + list.bytes));
    push_counted(container, list.count as usize, out);
    Ok(())
}

pub(super) fn name_bytes(name: &str) -> usize {
    string_bytes(name)
}

pub(super) fn push_name(tags: TagSet, name: &str, out: &mut Vec<u8>) {
    push_string(tags, name, out);
}

pub(super) fn user_bytes(name: &str) -> usize {
    string_bytes(name) + NUMBER_BYTES
}

pub(super) fn push_user(tags: TagSet, user: User<'_>, out: &mut Vec<u8>) {
    push_string(tags, user.name, out);
    push_int(i64::from(user.unread), out);
}

/// The last frame in `out`, to which entries are added.
///
/// ```text
///        start                   start + 12
/// out: … ├ type ─┼ payload bytes ┼ tag ┼ count ┼ entry ┼ entry ┤
/// ```
#[derive(Debug)]
struct EntriesFrame<'o> {
    out: &'o mut Vec<u8>,
    tags: TagSet,
    /// Where the frame starts in `out`.
    start: usize,
    count: u32,
}

impl<'o> EntriesFrame<'o> {
    /// Appends a frame with no entry, which always fits.
    fn begin(message_type: u64, container: u8, tags: TagSet, out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.reserve(HEADER_BYTES + COUNTED_BYTES);
        out.extend_from_slice(&frame::header(message_type, COUNTED_BYTES));
        push_counted(container, 0, out);
        Self { out, tags, start, count: 0 }
    }

    /// Adds an entry of so many bytes.
    fn push(&mut self, bytes: usize, entry: impl FnOnce(TagSet, &mut Vec<u8>)) -> Result<(), TooLong> {
        if self.out.len() - self.start - HEADER_BYTES + bytes > TYPED_REPLY_BYTES_MAX {
            return Err(TooLong);
        }
        self.out.reserve(bytes);
        entry(self.tags, self.out);
        self.count += 1;
        let count_at = self.start + HEADER_BYTES + 1;
        self.out[count_at..count_at + 4].copy_from_slice(&self.count.to_be_bytes());
        frame::patch_length(self.out, self.start);
        Ok(())
    }

    /// Takes the frame back.
    fn withdraw(self, error: TooLong) -> Result<(), TooLong> {
        self.out.truncate(self.start);
        Err(error)
    }
}

/// Writes [`Reply::LoggedIn`]. The frame is whole after each entry.
#[derive(Debug)]
pub struct NamesFrame<'o>(EntriesFrame<'o>);

impl<'o> NamesFrame<'o> {
    /// Appends the frame without a name.
    pub fn begin(tags: TagSet, out: &'o mut Vec<u8>) -> Self {
        Self(EntriesFrame::begin(LOGGED_IN, tags.list(), tags, out))
    }

    /// Adds a name to the frame, unless it would be too long.
    pub fn push(&mut self, name: &str) -> Result<(), TooLong> {
        self.0.push(name_bytes(name), |tags, out| push_name(tags, name, out))
    }
}

/// Writes [`Reply::Messages`]. The frame is whole after each entry.
#[derive(Debug)]
pub struct MessagesFrame<'o>(EntriesFrame<'o>);

impl<'o> MessagesFrame<'o> {
    /// Appends the frame without a message.
    pub fn begin(tags: TagSet, out: &'o mut Vec<u8>) -> Self {
        Self(EntriesFrame::begin(MESSAGES, tags.list(), tags, out))
    }

    /// Adds a message to the frame, unless it would be too long.
    pub fn push(&mut self, message: &Message<'_>) -> Result<(), TooLong> {
        self.0.push(message.bytes(self.0.tags), |tags, out| layout::push(message, tags, out))
    }
}

/// Writes [`Reply::Users`]. The frame is whole after each entry.
#[derive(Debug)]
pub struct UsersFrame<'o>(EntriesFrame<'o>);

impl<'o> UsersFrame<'o> {
    /// Appends the frame without a user.
    pub fn begin(tags: TagSet, out: &'o mut Vec<u8>) -> Self {
        Self(EntriesFrame::begin(USERS, tags.dict(), tags, out))
    }

    /// Adds a user to the frame, unless it would be too long.
    pub fn push(&mut self, user: User<'_>) -> Result<(), TooLong> {
        self.0.push(user_bytes(user.name), |tags, out| push_user(tags, user, out))
    }
}
