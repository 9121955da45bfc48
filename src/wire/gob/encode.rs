//! The encoder: each message as a fresh encoder of Go writes it, a definition and a value, within one read of the programs
//! in use.

use super::Message;
use crate::limits::{GOB_MESSAGE_BYTES_MAX, GOB_SENDER_BYTES_MAX};
use crate::wire::Fit;

/// The definition of type 64, which is what Go numbers a program's first one since 1.21 (65 before), with its length.
const DEFINITION: [u8; 53] = *b"\x34\x7f\x03\
    \x01\x01\x07Message\x01\xff\x80\x00\
    \x01\x03\x01\x04Type\x01\x04\x00\x01\x06Sender\x01\x0c\x00\x01\x07Content\x01\x0c\x00\
    \x00\x00";
/// The type of the value: 64.
const VALUE_TYPE: [u8; 2] = *b"\xff\x80";
/// Bytes of an integer, at most.
const INTEGER_BYTES_MAX: usize = 9;
/// In place of what was cut off.
const ELLIPSIS: &str = "…";

/// Appends a message: a definition and a value of at most [`GOB_MESSAGE_BYTES_MAX`] bytes together.
#[inline]
pub fn encode(message: &Message<'_>, out: &mut Vec<u8>) -> Fit {
    let kind = Integer::signed(message.kind.number());
    let sender = Text::fitting(message.sender, GOB_SENDER_BYTES_MAX);
    // All but the length of the value, and the content.
    let around = DEFINITION.len() + VALUE_TYPE.len() + kind.field_bytes() + sender.field_bytes() + 1;
    let content = content(message.content, around);
    let value_bytes =
        VALUE_TYPE.len() + kind.field_bytes() + sender.field_bytes() + content.field_bytes() + 1;

    out.reserve(DEFINITION.len() + INTEGER_BYTES_MAX + value_bytes);
    out.extend_from_slice(&DEFINITION);
    Integer::unsigned(value_bytes as u64).push(out);
    out.extend_from_slice(&VALUE_TYPE);
    // Fields that are zero are left out, and counted with the next that is not.
    let mut omitted = 1;
    if !kind.is_zero() {
        out.push(omitted);
        kind.push(out);
        omitted = 0;
    }
    for text in [sender, content] {
        omitted += 1;
        if !text.is_empty() {
            out.push(omitted);
            text.push(out);
            omitted = 0;
        }
    }
    out.push(0);
    if sender.cut || content.cut { Fit::Cut } else { Fit::Whole }
}

/// As much of a content as fits, with all that is `around` it.
#[inline]
fn content(content: &str, around: usize) -> Text<'_> {
    let whole = Text { kept: content, cut: false };
    let value_bytes = around - DEFINITION.len() + whole.field_bytes();
    let bytes = around + Integer::unsigned(value_bytes as u64).bytes() + whole.field_bytes();
    if bytes <= GOB_MESSAGE_BYTES_MAX {
        return whole;
    }
    // What does not fit is so long that both lengths take three bytes, and so they do when it is cut.
    Text::fitting(content, GOB_MESSAGE_BYTES_MAX - around - 3 - 1 - 3)
}

/// A string as it is written: the field's index, the length, what is kept, and `…` if that is not all.
#[derive(Clone, Copy)]
struct Text<'a> {
    kept: &'a str,
    cut: bool,
}

impl<'a> Text<'a> {
    /// A text, cut at a character if it is longer than so many bytes.
    #[inline]
    fn fitting(text: &'a str, bytes_max: usize) -> Self {
        if text.len() <= bytes_max { Self { kept: text, cut: false } } else { Self::cut(text, bytes_max) }
    }

    #[cold]
    fn cut(text: &'a str, bytes_max: usize) -> Self {
        let mut end = bytes_max - ELLIPSIS.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self { kept: &text[..end], cut: true }
    }

    #[inline]
    fn is_empty(self) -> bool {
        self.kept.is_empty() && !self.cut
    }

    #[inline]
    fn bytes(self) -> usize {
        self.kept.len() + if self.cut { ELLIPSIS.len() } else { 0 }
    }

    /// With its index and length; a field that is zero is left out.
    #[inline]
    fn field_bytes(self) -> usize {
        let bytes = self.bytes();
        if bytes == 0 { 0 } else { 1 + Integer::unsigned(bytes as u64).bytes() + bytes }
    }

    #[inline]
    fn push(self, out: &mut Vec<u8>) {
        Integer::unsigned(self.bytes() as u64).push(out);
        out.extend_from_slice(self.kept.as_bytes());
        if self.cut {
            out.extend_from_slice(ELLIPSIS.as_bytes());
        }
    }
}

/// An integer as it is written: itself below 128, else 256 less the count of its bytes, and them.
#[derive(Clone, Copy)]
struct Integer(u64);

impl Integer {
    #[inline]
    fn unsigned(number: u64) -> Self {
        Self(number)
    }

    /// Twice itself, or of a negative one twice its complement, plus one.
    #[inline]
    fn signed(number: i64) -> Self {
        let doubled = number.cast_unsigned() << 1;
        Self(if number < 0 { !doubled } else { doubled })
    }

    #[inline]
    fn is_zero(self) -> bool {
        self.0 == 0
    }

    #[inline]
    fn leading_zero_bytes(self) -> usize {
        self.0.leading_zeros() as usize / 8
    }

    #[inline]
    fn bytes(self) -> usize {
        if self.0 < 0x80 { 1 } else { INTEGER_BYTES_MAX - self.leading_zero_bytes() }
    }

    /// With its field's index; a field that is zero is left out.
    #[inline]
    fn field_bytes(self) -> usize {
        if self.is_zero() { 0 } else { 1 + self.bytes() }
    }

    #[inline]
    fn push(self, out: &mut Vec<u8>) {
        if self.0 < 0x80 {
            return out.push(self.0 as u8);
        }
        let digits = self.0.to_be_bytes();
        let digits = &digits[self.leading_zero_bytes()..];
        out.push((digits.len() as u8).wrapping_neg());
        out.extend_from_slice(digits);
    }
}
