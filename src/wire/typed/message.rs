//! A chat message: a dict of six keys.
//!
//! Never makes up what is missing: an id or a time that is not there is an error.

use super::object::{COUNTED_BYTES, Cursor, NUMBER_BYTES, TagSet, Token, string_bytes};
use super::{DecodeError, layout};
use crate::chat::{Mail as Message, UnixMillis};

pub(super) const ID: &str = "id";
pub(super) const TIMESTAMP: &str = "timestamp";
pub(super) const SENDER: &str = "sender";
pub(super) const RECIPIENT: &str = "recipient";
pub(super) const CONTENT: &str = "content";
pub(super) const STATUS: &str = "status";
/// What the dict must have, in the order in which older programs write it, and so do we.
pub(super) const MESSAGE_KEYS: [&str; 6] = [ID, TIMESTAMP, SENDER, RECIPIENT, CONTENT, STATUS];
pub(super) const UNREAD: &str = "unread";
pub(super) const READ: &str = "read";
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

    #[inline]
    fn status(&self) -> &'static str {
        if self.unread { UNREAD } else { READ }
    }

    /// Reads a message: keys in any order, the last of equal ones counts, others are skipped. So many lists are open
    /// around it.
    #[inline]
    pub(super) fn read(cursor: &mut Cursor<'a>, around: usize) -> Result<Self, DecodeError> {
        match layout::read(cursor) {
            Some(message) => Ok(message),
            None => Self::read_otherwise(cursor, around),
        }
    }

    /// Reads a message that is laid out otherwise than in `layout.rs`, or not as it should be.
    #[cold]
    pub(super) fn read_otherwise(cursor: &mut Cursor<'a>, around: usize) -> Result<Self, DecodeError> {
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
    /// As [`TagSet::Document`] has it.
    #[inline]
    pub(in crate::wire) fn millis(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// As [`TagSet::InUse`] has it.
    #[inline]
    pub(in crate::wire) fn float_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// What is before 1970 becomes 0.
    #[inline]
    pub(super) fn from_millis(millis: i64) -> Self {
        Self(u64::try_from(millis).unwrap_or(0))
    }

    /// To the nearest millisecond. What is before 1970, or no number, becomes 0.
    #[inline]
    #[expect(clippy::cast_sign_loss, reason = "the cast saturates")]
    pub(super) fn from_seconds(seconds: f64) -> Self {
        let millis = seconds * 1000.0;
        let whole = millis as u64;
        // As `round` does, which is a call where the target has no instruction for it.
        Self(whole.saturating_add(u64::from(millis - whole as f64 >= 0.5)))
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        match (cursor.tags(), cursor.token()?) {
            (TagSet::Document, Token::Int(millis)) => Ok(Self::from_millis(millis)),
            (TagSet::InUse, Token::Float(seconds)) => Ok(Self::from_seconds(seconds)),
            // Programs in use write what they were given, and that may be a whole number of seconds.
            (TagSet::InUse, Token::Int(seconds)) => {
                Ok(Self(Self::from_millis(seconds).0.saturating_mul(1000)))
            }
            _ => Err(DecodeError::WrongKind),
        }
    }
}
