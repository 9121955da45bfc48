//! Objects: tags, counts and bodies, read in place and appended.
//!
//! Never recurses and never allocates to read: what is open while objects lie within each other is kept in an array of
//! [`TYPED_DEPTH_MAX`]. Every count is held against the bytes behind it when it is read, so none can promise more than
//! the frame holds.

use super::DecodeError;
use super::message::MESSAGE_KEYS;
use crate::limits::TYPED_DEPTH_MAX;

/// The two sets of tags. The first byte of the first payload tells them apart, where its type says that it must be a
/// string or a list.
///
/// | | int | float | string | list | dict | chat message |
/// |---|---|---|---|---|---|---|
/// | document | 0 | | 1 | 2 | 3 | |
/// | in use | 0 | 1 | 2 | 3 | 4 | 5, then a dict with its own tag |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TagSet {
    /// Set A, of the published document. It has neither floats nor chat messages: these are dicts here.
    Document,
    /// Set B, of the programs in use, and of whoever has not shown a set yet.
    #[default]
    InUse,
}

pub(super) const INT: u8 = 0;
/// In [`TagSet::InUse`] only, as is the next one.
pub(super) const FLOAT: u8 = 1;
pub(super) const CHAT_MESSAGE: u8 = 5;
/// Bytes of an int or a float with its tag.
pub(super) const NUMBER_BYTES: usize = 9;
/// Bytes of a tag and a count, which is the smallest object that there is.
pub(super) const COUNTED_BYTES: usize = 5;

/// A bit for each of [`MESSAGE_KEYS`].
const MESSAGE_KEYS_ALL: u8 = (1 << MESSAGE_KEYS.len()) - 1;

impl TagSet {
    pub(super) const fn string(self) -> u8 {
        match self {
            Self::Document => 1,
            Self::InUse => 2,
        }
    }

    pub(super) const fn list(self) -> u8 {
        match self {
            Self::Document => 2,
            Self::InUse => 3,
        }
    }

    pub(super) const fn dict(self) -> u8 {
        match self {
            Self::Document => 3,
            Self::InUse => 4,
        }
    }
}

/// The start of an object, which is all of it where nothing lies within.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Token<'a> {
    /// A number.
    Int(i64),
    /// A number, in [`TagSet::InUse`] only.
    Float(f64),
    /// A text, or a key.
    String(&'a str),
    /// So many objects follow.
    List(u32),
    /// So many pairs follow, each a string and an object.
    Dict(u32),
    /// The same, in [`TagSet::InUse`] only: the dict of a chat message.
    ChatMessage(u32),
}

/// The bytes of objects that are not read yet; says nothing about what lies within what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor<'a> {
    tags: TagSet,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(tags: TagSet, rest: &'a [u8]) -> Self {
        Self { tags, rest }
    }

    pub(super) fn tags(&self) -> TagSet {
        self.tags
    }

    /// The bytes that are not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes these bytes, if they stand here.
    #[inline]
    pub(super) fn constant<const BYTES: usize>(&mut self, constant: &[u8; BYTES]) -> Option<()> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        (bytes == constant).then(|| self.rest = rest)
    }

    /// Reads a string.
    #[inline]
    pub(super) fn string(&mut self) -> Result<&'a str, DecodeError> {
        self.expect(self.tags.string())?;
        self.text()
    }

    /// Reads an int.
    pub(super) fn int(&mut self) -> Result<i64, DecodeError> {
        self.expect(INT)?;
        self.chunk().map(|bytes| i64::from_be_bytes(*bytes))
    }

    /// Reads the start of a list and gives its count.
    #[inline]
    pub(super) fn list(&mut self) -> Result<u32, DecodeError> {
        self.expect(self.tags.list())?;
        self.count(COUNTED_BYTES)
    }

    /// Reads the start of a list of exactly so many.
    #[inline]
    pub(super) fn list_of(&mut self, count: u32) -> Result<(), DecodeError> {
        if self.list()? == count { Ok(()) } else { Err(DecodeError::WrongKind) }
    }

    /// Nothing may follow.
    #[inline]
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    /// Reads the start of any object.
    pub(super) fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let &[tag] = self.chunk()?;
        match (self.tags, tag) {
            (_, INT) => self.chunk().map(|bytes| Token::Int(i64::from_be_bytes(*bytes))),
            (TagSet::InUse, FLOAT) => self.chunk().map(|bytes| Token::Float(f64::from_be_bytes(*bytes))),
            (TagSet::InUse, CHAT_MESSAGE) => {
                let &[dict] = self.chunk()?;
                if dict != self.tags.dict() {
                    return Err(DecodeError::NotChatMessage);
                }
                self.count(2 * COUNTED_BYTES).map(Token::ChatMessage)
            }
            _ if tag == self.tags.string() => self.text().map(Token::String),
            _ if tag == self.tags.list() => self.count(COUNTED_BYTES).map(Token::List),
            _ if tag == self.tags.dict() => self.count(2 * COUNTED_BYTES).map(Token::Dict),
            _ => Err(DecodeError::UnknownTag(tag)),
        }
    }

    /// Skips one object with all that lies within; so many are open around it.
    pub(super) fn skip(&mut self, around: usize) -> Result<(), DecodeError> {
        let mut reader = Reader::at(*self, TYPED_DEPTH_MAX.saturating_sub(around));
        while !reader.is_complete() {
            reader.token()?;
        }
        *self = reader.cursor;
        Ok(())
    }

    /// Takes the tag that must stand here.
    #[inline]
    fn expect(&mut self, tag: u8) -> Result<(), DecodeError> {
        match self.rest.split_first() {
            Some((&first, rest)) if first == tag => {
                self.rest = rest;
                Ok(())
            }
            Some(_) => Err(DecodeError::WrongKind),
            None => Err(DecodeError::CutShort),
        }
    }

    #[inline]
    pub(super) fn chunk<const BYTES: usize>(&mut self) -> Result<&'a [u8; BYTES], DecodeError> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(DecodeError::CutShort)?;
        self.rest = rest;
        Ok(chunk)
    }

    /// Takes a count of things of which each needs so many bytes at least.
    #[inline]
    fn count(&mut self, bytes_each_min: usize) -> Result<u32, DecodeError> {
        let count = u32::from_be_bytes(*self.chunk()?);
        if count as usize > self.rest.len() / bytes_each_min {
            return Err(DecodeError::CountTooLarge);
        }
        Ok(count)
    }

    /// Takes the bytes of a string whose tag was taken.
    #[inline]
    pub(super) fn body(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = u32::from_be_bytes(*self.chunk()?) as usize;
        let (body, rest) = self.rest.split_at_checked(bytes).ok_or(DecodeError::StringCutShort)?;
        self.rest = rest;
        Ok(body)
    }

    /// Takes the text of a string whose tag was taken.
    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.body()?).map_err(|_| DecodeError::InvalidUtf8)
    }
}

/// Reads one object of any kind, front to back, as the [`Token`]s that it is made of. Ends behind its last one, or with
/// the first error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
    /// What is open around the next token, outermost first. Those from `depth` on are stale.
    open: [Open; TYPED_DEPTH_MAX],
    /// How many are open. Each but those that a `token` under way will close has some left.
    depth: usize,
    /// How many may be, at most [`TYPED_DEPTH_MAX`].
    depth_max: usize,
    state: State,
}

/// A list or a dict of which not all was read.
#[derive(Clone, Copy, Default, Debug)]
struct Open {
    /// Objects to come, the keys of a dict included; a dict's next one is a key when they are even.
    left: u32,
    kind: Kind,
    /// The bits of the [`MESSAGE_KEYS`] that were there.
    keys: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Kind {
    #[default]
    List,
    Dict,
    ChatMessage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was read.
    Start,
    /// The object has begun.
    Within,
    /// Nothing more comes.
    End,
}

impl<'a> Reader<'a> {
    /// A reader of one payload.
    pub fn new(tags: TagSet, payload: &'a [u8]) -> Self {
        Self::at(Cursor::new(tags, payload), TYPED_DEPTH_MAX)
    }

    /// Reads a payload for its errors alone.
    pub fn check(tags: TagSet, payload: &'a [u8]) -> Result<(), DecodeError> {
        Self::new(tags, payload).try_for_each(|token| token.map(drop))
    }

    /// Why a payload was not what its type carries: an error in the object itself says more.
    #[cold]
    pub(super) fn reason(tags: TagSet, payload: &[u8], error: DecodeError) -> DecodeError {
        if payload.is_empty() {
            return DecodeError::PayloadMissing;
        }
        Reader::check(tags, payload).err().unwrap_or(error)
    }

    fn at(cursor: Cursor<'a>, depth_max: usize) -> Self {
        Self { cursor, open: [Open::default(); TYPED_DEPTH_MAX], depth: 0, depth_max, state: State::Start }
    }

    fn is_complete(&self) -> bool {
        self.state != State::Start && self.depth == 0
    }

    fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        self.state = State::Within;
        let token = self.cursor.token()?;
        if let Some(around) = self.open[..self.depth].last_mut() {
            around.admit(&token)?;
        }
        match token {
            Token::Int(_) | Token::Float(_) | Token::String(_) => {}
            Token::List(count) => self.open(count, Kind::List)?,
            // A pair takes ten bytes of a payload whose length has four: twice the count of pairs fits.
            Token::Dict(pairs) => self.open(2 * pairs, Kind::Dict)?,
            Token::ChatMessage(pairs) => self.open(2 * pairs, Kind::ChatMessage)?,
        }
        while let Some(innermost) = self.open[..self.depth].last()
            && innermost.left == 0
        {
            if innermost.kind == Kind::ChatMessage && innermost.keys != MESSAGE_KEYS_ALL {
                return Err(DecodeError::NotChatMessage);
            }
            self.depth -= 1;
        }
        Ok(token)
    }

    fn open(&mut self, left: u32, kind: Kind) -> Result<(), DecodeError> {
        let place = self.open[..self.depth_max].get_mut(self.depth).ok_or(DecodeError::TooDeep)?;
        *place = Open { left, kind, keys: 0 };
        self.depth += 1;
        Ok(())
    }
}

impl Open {
    /// Counts an object that lies directly within, and checks it where it is a key.
    fn admit(&mut self, token: &Token<'_>) -> Result<(), DecodeError> {
        let is_key = self.kind != Kind::List && self.left.is_multiple_of(2);
        self.left -= 1;
        if !is_key {
            return Ok(());
        }
        let Token::String(key) = token else { return Err(DecodeError::KeyNotString) };
        if self.kind == Kind::ChatMessage
            && let Some(bit) = MESSAGE_KEYS.iter().position(|known| known == key)
        {
            self.keys |= 1 << bit;
        }
        Ok(())
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Token<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::End {
            return None;
        }
        let next = if self.is_complete() {
            self.state = State::End;
            self.cursor.end().err().map(Err)
        } else {
            Some(self.token())
        };
        if matches!(next, Some(Err(_))) {
            self.state = State::End;
        }
        next
    }
}

/// Bytes of a string as an object.
#[inline]
pub(super) fn string_bytes(text: &str) -> usize {
    COUNTED_BYTES + text.len()
}

/// Appends a tag and a count, which is within a bound of `limits.rs`.
#[inline]
pub(super) fn push_counted(tag: u8, count: usize, out: &mut Vec<u8>) {
    let [c0, c1, c2, c3] = (count as u32).to_be_bytes();
    out.extend_from_slice(&[tag, c0, c1, c2, c3]);
}

/// Appends a string.
#[inline]
pub(super) fn push_string(tags: TagSet, text: &str, out: &mut Vec<u8>) {
    push_counted(tags.string(), text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Appends an int.
pub(super) fn push_int(int: i64, out: &mut Vec<u8>) {
    out.push(INT);
    out.extend_from_slice(&int.to_be_bytes());
}
