//! A chat message as [`push`] lays it out, and as nearly all of them come: the six keys in their order, nothing beside.
//!
//! Owns what stands between the values, as constants: a key is appended in one piece with the tag of its value, and is
//! read by one comparison. Says nothing about a message that is laid out otherwise: [`Message::read`] takes it, or tells
//! what is wrong with it.

#![expect(
    clippy::inline_always,
    reason = "a message is made in its place: to move it takes longer than to read it"
)]

use std::ops::Range;

use super::message::{CONTENT, ID, MESSAGE_KEYS, READ, RECIPIENT, SENDER, STATUS, TIMESTAMP, UNREAD};
use super::object::{CHAT_MESSAGE, COUNTED_BYTES, Cursor, FLOAT, INT, TagSet};
use crate::chat::{Mail as Message, UnixMillis};

const DOCUMENT_STRING: u8 = TagSet::Document.string();
const IN_USE_STRING: u8 = TagSet::InUse.string();
/// The last byte of the count of pairs.
const PAIRS: u8 = MESSAGE_KEYS.len() as u8;
/// What stands in front of the first key in [`TagSet::Document`].
const DOCUMENT_START: [u8; 5] = [TagSet::Document.dict(), 0, 0, 0, PAIRS];
/// What stands in front of the first key in [`TagSet::InUse`].
const IN_USE_START: [u8; 6] = [CHAT_MESSAGE, TagSet::InUse.dict(), 0, 0, 0, PAIRS];

/// Bytes of a key beside its text: tag and count in front, its value's tag behind.
const KEY_BYTES_AROUND: usize = COUNTED_BYTES + 1;
/// Bytes of the last key, with the count of its value.
const STATUS_BYTES: usize = KEY_BYTES_AROUND + STATUS.len() + 4;

/// What stands between the values, where strings and the timestamp have these tags. The last value is one of two, and
/// part of it.
struct Between<const STRING: u8, const NUMBER: u8>;

impl<const STRING: u8, const NUMBER: u8> Between<STRING, NUMBER> {
    const ID: [u8; KEY_BYTES_AROUND + ID.len()] = key(STRING, ID, STRING);
    const TIMESTAMP: [u8; KEY_BYTES_AROUND + TIMESTAMP.len()] = key(STRING, TIMESTAMP, NUMBER);
    const SENDER: [u8; KEY_BYTES_AROUND + SENDER.len()] = key(STRING, SENDER, STRING);
    const RECIPIENT: [u8; KEY_BYTES_AROUND + RECIPIENT.len()] = key(STRING, RECIPIENT, STRING);
    const CONTENT: [u8; KEY_BYTES_AROUND + CONTENT.len()] = key(STRING, CONTENT, STRING);
    const UNREAD: [u8; STATUS_BYTES + UNREAD.len()] = status(STRING, UNREAD);
    const READ: [u8; STATUS_BYTES + READ.len()] = status(STRING, READ);
}

/// A key and the tag of its value. Keys and statuses are shorter than 256 bytes, so the last byte of a count holds it.
const fn key<const BYTES: usize>(string: u8, key: &str, value_tag: u8) -> [u8; BYTES] {
    joined([&[string, 0, 0, 0, key.len() as u8], key.as_bytes(), &[value_tag]])
}

/// The last key and its value.
const fn status<const BYTES: usize>(string: u8, value: &str) -> [u8; BYTES] {
    let key: [u8; KEY_BYTES_AROUND + STATUS.len()] = key(string, STATUS, string);
    joined([&key, &[0, 0, 0, value.len() as u8], value.as_bytes()])
}

const fn joined<const BYTES: usize>(parts: [&[u8]; 3]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let mut rest: &mut [u8] = &mut bytes;
    let mut index = 0;
    while index < parts.len() {
        let (part, behind) = rest.split_at_mut(parts[index].len());
        part.copy_from_slice(parts[index]);
        rest = behind;
        index += 1;
    }
    assert!(rest.is_empty());
    bytes
}

/// Appends a message as an object.
#[inline]
pub(super) fn push(message: &Message<'_>, tags: TagSet, out: &mut Vec<u8>) {
    match tags {
        TagSet::Document => {
            out.extend_from_slice(&DOCUMENT_START);
            push_pairs::<DOCUMENT_STRING, INT>(message, message.at.millis().to_be_bytes(), out);
        }
        TagSet::InUse => {
            out.extend_from_slice(&IN_USE_START);
            push_pairs::<IN_USE_STRING, FLOAT>(message, message.at.float_seconds().to_be_bytes(), out);
        }
    }
}

#[inline]
fn push_pairs<const STRING: u8, const NUMBER: u8>(
    message: &Message<'_>,
    timestamp: [u8; 8],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&Between::<STRING, NUMBER>::ID);
    push_text(message.id, out);
    out.extend_from_slice(&Between::<STRING, NUMBER>::TIMESTAMP);
    out.extend_from_slice(&timestamp);
    out.extend_from_slice(&Between::<STRING, NUMBER>::SENDER);
    push_text(message.sender, out);
    out.extend_from_slice(&Between::<STRING, NUMBER>::RECIPIENT);
    push_text(message.recipient, out);
    out.extend_from_slice(&Between::<STRING, NUMBER>::CONTENT);
    push_text(message.content, out);
    if message.unread {
        out.extend_from_slice(&Between::<STRING, NUMBER>::UNREAD);
    } else {
        out.extend_from_slice(&Between::<STRING, NUMBER>::READ);
    }
}

/// Appends a string whose tag is there.
#[inline]
fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads the message that is the whole payload, if it is laid out so.
#[inline(always)]
pub(super) fn read_whole(tags: TagSet, payload: &[u8]) -> Option<Message<'_>> {
    let mut cursor = Cursor::new(tags, payload);
    let message = read(&mut cursor)?;
    cursor.end().ok()?;
    Some(message)
}

/// Reads a message, if it is laid out so; otherwise the cursor stays where it is.
#[inline(always)]
pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Message<'a>> {
    let mut ahead = *cursor;
    let message = match cursor.tags() {
        TagSet::Document => {
            ahead.constant(&DOCUMENT_START)?;
            let at = |millis| UnixMillis::from_millis(i64::from_be_bytes(millis));
            read_pairs::<DOCUMENT_STRING, INT>(&mut ahead, at)?
        }
        TagSet::InUse => {
            ahead.constant(&IN_USE_START)?;
            let at = |seconds| UnixMillis::from_seconds(f64::from_be_bytes(seconds));
            read_pairs::<IN_USE_STRING, FLOAT>(&mut ahead, at)?
        }
    };
    *cursor = ahead;
    Some(message)
}

#[inline(always)]
fn read_pairs<'a, const STRING: u8, const NUMBER: u8>(
    ahead: &mut Cursor<'a>,
    at: impl Fn([u8; 8]) -> UnixMillis,
) -> Option<Message<'a>> {
    let bytes = ahead.rest();
    ahead.constant(&Between::<STRING, NUMBER>::ID)?;
    let id = read_text(bytes, ahead)?;
    ahead.constant(&Between::<STRING, NUMBER>::TIMESTAMP)?;
    let at = at(*ahead.chunk().ok()?);
    ahead.constant(&Between::<STRING, NUMBER>::SENDER)?;
    let sender = read_text(bytes, ahead)?;
    ahead.constant(&Between::<STRING, NUMBER>::RECIPIENT)?;
    let recipient = read_text(bytes, ahead)?;
    ahead.constant(&Between::<STRING, NUMBER>::CONTENT)?;
    let content = read_text(bytes, ahead)?;
    let unread = ahead.constant(&Between::<STRING, NUMBER>::UNREAD).is_some();
    if !unread {
        ahead.constant(&Between::<STRING, NUMBER>::READ)?;
    }

    // What was compared until here stands around the texts and is ASCII, as `utf8` needs it to be fast.
    let id = utf8(bytes, &id)?;
    let [sender, recipient, content] = match together(bytes, [&sender, &recipient, &content]) {
        Some(texts) => texts,
        None => apart(bytes, [&sender, &recipient, &content])?,
    };
    Some(Message { id, at, sender, recipient, content, unread })
}

/// Takes a string whose tag was taken, and tells where in the bytes its text is.
#[inline(always)]
fn read_text(bytes: &[u8], ahead: &mut Cursor<'_>) -> Option<Range<usize>> {
    let text = ahead.body().ok()?;
    let end = bytes.len() - ahead.rest().len();
    Some(end - text.len()..end)
}

/// Three texts behind each other, if they are UTF-8 with all that is between them: one check is faster than three. A count
/// between them is no UTF-8 where a text has 128 bytes, or as many in its last byte.
#[inline(always)]
fn together<'a>(bytes: &'a [u8], [first, second, third]: [&Range<usize>; 3]) -> Option<[&'a str; 3]> {
    let from_first = utf8(bytes, &(first.start..third.end))?;
    let from_second = from_first.get(second.start - first.start..)?;
    let from_third = from_second.get(third.start - second.start..)?;
    Some([from_first.get(..first.len())?, from_second.get(..second.len())?, from_third])
}

/// Three texts, if each is UTF-8.
#[cold]
fn apart<'a>(bytes: &'a [u8], texts: [&Range<usize>; 3]) -> Option<[&'a str; 3]> {
    let text = |at: &Range<usize>| std::str::from_utf8(bytes.get(at.clone())?).ok();
    let [first, second, third] = texts;
    Some([text(first)?, text(second)?, text(third)?])
}

/// A text, if it is UTF-8 with the bytes around it, from the start of its first word on and to a multiple of two words.
///
/// The check takes ASCII two words at a time from the first whole word on, but what is in front of it and what is left
/// behind a byte at a time, which takes longer than all the rest. So there is neither.
#[inline(always)]
fn utf8<'a>(bytes: &'a [u8], at: &Range<usize>) -> Option<&'a str> {
    const WORD_BYTES: usize = size_of::<usize>();
    let in_front = bytes.as_ptr().addr().wrapping_add(at.start) % WORD_BYTES;
    let start = at.start.checked_sub(in_front)?;
    let end = start + (at.end - start).next_multiple_of(2 * WORD_BYTES);
    let text = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    text.get(in_front..)?.get(..at.len())
}
