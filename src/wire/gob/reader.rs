//! Where a decoder stands in the bytes, and the few things that gob writes: integers, and bytes behind their length.

use super::GobError;
use crate::limits::{GOB_FRAME_BYTES_MAX, GOB_MESSAGE_BYTES_MAX, GOB_SKIPPED_BYTES_MAX};

/// Bytes of an integer behind the one that counts them, at most.
const INTEGER_BYTES_MAX: usize = 8;

/// Bytes of a gob message's length, at most; so many may be there of one whose refusal is still to come.
const LENGTH_BYTES_MAX: usize = 1 + INTEGER_BYTES_MAX;

/// Why decoding stopped before the end of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The rest of the gob message is still to come.
    Incomplete,
    /// The gob message is not to be had.
    Refused(GobError),
}

impl From<GobError> for Stop {
    fn from(error: GobError) -> Self {
        Self::Refused(error)
    }
}

/// A cursor over a gob message and what stands behind it.
///
/// ```text
/// [ length ][ read already | message ][ behind: further gob messages, the last perhaps cut ]
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    /// What is left of the current gob message.
    message: &'a [u8],
    /// What follows it.
    behind: &'a [u8],
    /// Bytes that the current value may still take up, lengths included.
    bytes_left: usize,
    /// The length that [`next_message`](Self::next_message) read last.
    announced: u64,
}

impl<'a> Reader<'a> {
    /// Stands in front of the first gob message.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { message: &[], behind: bytes, bytes_left: GOB_FRAME_BYTES_MAX - LENGTH_BYTES_MAX, announced: 0 }
    }

    /// Whether the current gob message is at its end.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_empty()
    }

    /// How many bytes are behind the current gob message.
    #[inline]
    pub(super) fn bytes_behind(&self) -> usize {
        self.behind.len()
    }

    /// The length of the gob message that was entered, or refused, last.
    #[inline]
    pub(super) fn announced(&self) -> u64 {
        self.announced
    }

    /// Enters the gob message behind. When it is refused, `behind` starts behind its length, if that could be read.
    #[inline]
    pub(super) fn next_message(&mut self) -> Result<(), Stop> {
        let Some(&first) = self.behind.first() else { return Err(Stop::Incomplete) };
        let length_bytes = 1 + if first < 0x80 { 0 } else { usize::from(first.wrapping_neg()) };
        if length_bytes > LENGTH_BYTES_MAX {
            return Err(GobError::LengthMalformed.into());
        }
        let Some((head, behind)) = self.behind.split_at_checked(length_bytes) else {
            return Err(Stop::Incomplete);
        };
        let length = if length_bytes == 1 { u64::from(first) } else { big_endian(&head[1..]) };
        self.announced = length;
        if length > GOB_SKIPPED_BYTES_MAX {
            return Err(GobError::LengthOutOfRange.into());
        }
        let length = length as usize;
        if length > GOB_MESSAGE_BYTES_MAX || length_bytes + length > self.bytes_left {
            self.behind = behind;
            return Err(GobError::MessageTooLong.into());
        }
        let Some((message, behind)) = behind.split_at_checked(length) else { return Err(Stop::Incomplete) };
        self.bytes_left -= length_bytes + length;
        (self.message, self.behind) = (message, behind);
        if length == 0 { Err(GobError::Empty.into()) } else { Ok(()) }
    }

    /// An unsigned integer: itself below 128, else a byte of 256 less the count of the bytes that follow.
    #[inline]
    pub(super) fn uint(&mut self) -> Result<u64, GobError> {
        match self.message {
            &[byte, ref rest @ ..] if byte < 0x80 => {
                self.message = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_uint(),
        }
    }

    fn long_uint(&mut self) -> Result<u64, GobError> {
        let (&first, rest) = self.message.split_first().ok_or(GobError::Truncated)?;
        let count = usize::from(first.wrapping_neg());
        if count > INTEGER_BYTES_MAX {
            return Err(GobError::IntegerMalformed);
        }
        let (digits, rest) = rest.split_at_checked(count).ok_or(GobError::Truncated)?;
        self.message = rest;
        Ok(big_endian(digits))
    }

    /// A signed integer: twice itself, or of a negative one twice its complement, plus one.
    #[inline]
    pub(super) fn int(&mut self) -> Result<i64, GobError> {
        let folded = self.uint()?;
        let half = (folded >> 1).cast_signed();
        Ok(if folded & 1 == 0 { half } else { !half })
    }

    /// A length, of something that is all there.
    #[inline]
    pub(super) fn length(&mut self) -> Result<usize, GobError> {
        let length = self.uint()?;
        if length > self.message.len() as u64 { Err(GobError::Truncated) } else { Ok(length as usize) }
    }

    /// Bytes behind their length.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], GobError> {
        let length = self.length()?;
        let (bytes, rest) = self.message.split_at(length);
        self.message = rest;
        Ok(bytes)
    }

    /// A text behind its length.
    #[inline]
    pub(super) fn text(&mut self) -> Result<&'a str, GobError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| GobError::InvalidUtf8)
    }
}

/// At most [`INTEGER_BYTES_MAX`] digits.
#[inline]
fn big_endian(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, &digit| number << 8 | u64::from(digit))
}
