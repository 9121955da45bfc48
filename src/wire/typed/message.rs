//! A chat message: a dict of six keys, in the order in which older programs write them.
//!
//! Never makes up what is missing: an id or a time that is not there is an error.

use super::DecodeError;
use super::object::{
    CHAT_MESSAGE, COUNTED_BYTES, Cursor, FLOAT, INT, NUMBER_BYTES, TagSet, Token, string_bytes,
};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMillis(pub u64);

/// A message as it lies in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The text of a UUID, wherever one looks; nothing depends on that.
    pub id: &'a str,
    /// When it was sent: seconds as a float in [`TagSet::InUse`], milliseconds as an int in [`TagSet::Document`].
    pub at: UnixMillis,
    /// Who wrote it.
    pub sender: &'a str,
    /// To whom.
    pub recipient: &'a str,
    /// What.
    pub content: &'a str,
    /// Whether the recipient has yet to read it.
    pub unread: bool,
}

const ID: &str = "id";
const TIMESTAMP: &str = "timestamp";
const SENDER: &str = "sender";
const RECIPIENT: &str = "recipient";
const CONTENT: &str = "content";
const STATUS: &str = "status";
/// What the dict must have, in the order in which it is written.
pub(super) const MESSAGE_KEYS: [&str; 6] = [ID, TIMESTAMP, SENDER, RECIPIENT, CONTENT, STATUS];
const UNREAD: &str = "unread";
const READ: &str = "read";
/// Pairs of the dict.
const PAIRS: u32 = MESSAGE_KEYS.len() as u32;
/// Bytes of the six keys.
const KEYS_BYTES: usize = {
    let (mut bytes, mut index) = (0, 0);
    while index < MESSAGE_KEYS.len() {
        bytes += COUNTED_BYTES + MESSAGE_KEYS[index].len();
        index += 1;
    }
    bytes
};

impl<'a> Message<'a> {
    /// Bytes of the message as an object.
    #[inline]
    pub(super) fn bytes(&self, tags: TagSet) -> usize {
        let tag_bytes = match tags {
            TagSet::Document => 0,
            TagSet::InUse => 1,
        };
        tag_bytes
            + COUNTED_BYTES
            + KEYS_BYTES
            + NUMBER_BYTES
            + string_bytes(self.id)
            + string_bytes(self.sender)
            + string_bytes(self.recipient)
            + string_bytes(self.content)
            + string_bytes(self.status())
    }

    /// Appends the message as an object.
    #[inline]
    pub(super) fn push(&self, tags: TagSet, out: &mut Vec<u8>) {
        match tags {
            TagSet::Document => {
                const STRING: u8 = TagSet::Document.string();
                let [c0, c1, c2, c3] = PAIRS.to_be_bytes();
                out.extend_from_slice(&[TagSet::Document.dict(), c0, c1, c2, c3]);
                let millis = i64::try_from(self.at.0).unwrap_or(i64::MAX);
                self.push_pairs::<STRING, INT>(millis.to_be_bytes(), out);
            }
            TagSet::InUse => {
                const STRING: u8 = TagSet::InUse.string();
                let [c0, c1, c2, c3] = PAIRS.to_be_bytes();
                out.extend_from_slice(&[CHAT_MESSAGE, TagSet::InUse.dict(), c0, c1, c2, c3]);
                self.push_pairs::<STRING, FLOAT>(self.at.seconds().to_be_bytes(), out);
            }
        }
    }

    /// Appends keys and values. Each key comes with its value's tag as one constant: that is what makes it fast.
    #[inline]
    fn push_pairs<const STRING: u8, const NUMBER: u8>(&self, timestamp: [u8; 8], out: &mut Vec<u8>) {
        out.extend_from_slice(const { &key::<{ ID.len() + 6 }>(STRING, ID, STRING) });
        push_text(self.id, out);
        out.extend_from_slice(const { &key::<{ TIMESTAMP.len() + 6 }>(STRING, TIMESTAMP, NUMBER) });
        out.extend_from_slice(&timestamp);
        out.extend_from_slice(const { &key::<{ SENDER.len() + 6 }>(STRING, SENDER, STRING) });
        push_text(self.sender, out);
        out.extend_from_slice(const { &key::<{ RECIPIENT.len() + 6 }>(STRING, RECIPIENT, STRING) });
        push_text(self.recipient, out);
        out.extend_from_slice(const { &key::<{ CONTENT.len() + 6 }>(STRING, CONTENT, STRING) });
        push_text(self.content, out);
        out.extend_from_slice(const { &key::<{ STATUS.len() + 6 }>(STRING, STATUS, STRING) });
        push_text(self.status(), out);
    }

    #[inline]
    fn status(&self) -> &'static str {
        if self.unread { UNREAD } else { READ }
    }

    /// Reads a message: keys in any order, the last of equal ones counts, others are skipped. So many lists are open
    /// around it.
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'a>, around: usize) -> Result<Self, DecodeError> {
        let start = (cursor.tags(), cursor.token()?);
        let ((TagSet::InUse, Token::ChatMessage(pairs)) | (TagSet::Document, Token::Dict(pairs))) = start
        else {
            return Err(DecodeError::WrongKind);
        };
        let (mut id, mut at, mut sender, mut recipient, mut content, mut status) =
            (None, None, None, None, None, None);
        for _ in 0..pairs {
            match cursor.string()? {
                ID => id = Some(cursor.string()?),
                TIMESTAMP => at = Some(UnixMillis::read(cursor)?),
                SENDER => sender = Some(cursor.string()?),
                RECIPIENT => recipient = Some(cursor.string()?),
                CONTENT => content = Some(cursor.string()?),
                STATUS => status = Some(cursor.string()?),
                _ => cursor.skip(around + 1)?,
            }
        }
        let unread = match status {
            Some(UNREAD) => true,
            Some(READ) => false,
            Some(_) => return Err(DecodeError::WrongKind),
            None => return Err(DecodeError::NotChatMessage),
        };
        match (id, at, sender, recipient, content) {
            (Some(id), Some(at), Some(sender), Some(recipient), Some(content)) => {
                Ok(Self { id, at, sender, recipient, content, unread })
            }
            _ => Err(DecodeError::NotChatMessage),
        }
    }
}

impl UnixMillis {
    /// As [`TagSet::InUse`] has it.
    #[inline]
    fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// To the nearest millisecond. What is before 1970, or no number, becomes 0.
    #[expect(clippy::cast_sign_loss, reason = "the cast saturates")]
    fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as u64)
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        match (cursor.tags(), cursor.token()?) {
            (TagSet::Document, Token::Int(millis)) => Ok(Self(whole(millis))),
            (TagSet::InUse, Token::Float(seconds)) => Ok(Self::from_seconds(seconds)),
            // Programs in use write what they were given, and that may be a whole number of seconds.
            (TagSet::InUse, Token::Int(seconds)) => Ok(Self(whole(seconds).saturating_mul(1000))),
            _ => Err(DecodeError::WrongKind),
        }
    }
}

/// A key and the tag of its value.
const fn key<const BYTES: usize>(string: u8, key: &str, value_tag: u8) -> [u8; BYTES] {
    assert!(BYTES == COUNTED_BYTES + key.len() + 1);
    let mut bytes = [0; BYTES];
    bytes[0] = string;
    // Keys are shorter than 256 bytes, so the last byte of the count holds it.
    bytes[COUNTED_BYTES - 1] = key.len() as u8;
    let mut index = 0;
    while index < key.len() {
        bytes[COUNTED_BYTES + index] = key.as_bytes()[index];
        index += 1;
    }
    bytes[BYTES - 1] = value_tag;
    bytes
}

/// Appends a string whose tag is there.
#[inline]
fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
