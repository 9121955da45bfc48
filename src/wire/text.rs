//! What the text dialects share: lines, words, and text that stays on its line.

use memchr::memchr;

use super::{DecodeError, Decoded, Decoder, Frame};
use crate::chat::is_disruptive;

impl Decoder {
    /// Decodes one line of at most `bytes_max` bytes with its end.
    #[inline]
    pub(super) fn line<'a, T>(
        &mut self,
        bytes_max: usize,
        bytes: &'a [u8],
        parse: impl FnOnce(&'a str) -> Result<T, DecodeError>,
    ) -> Decoded<T>
    where
        T: 'a,
    {
        let end = memchr(b'\n', bytes);
        if self.skipping {
            // Refused when its head was dropped; its end brings the next line.
            self.skipping = end.is_none();
            let consumed = end.map_or(bytes.len(), |end| end + 1);
            return Decoded { consumed, frame: Frame::Incomplete };
        }
        let Some(end) = end else {
            if bytes.len() < bytes_max {
                return Decoded { consumed: 0, frame: Frame::Incomplete };
            }
            self.skipping = true;
            return Decoded { consumed: bytes.len(), frame: Frame::Refused(DecodeError::LineTooLong) };
        };
        let consumed = end + 1;
        if consumed > bytes_max {
            return Decoded { consumed, frame: Frame::Refused(DecodeError::LineTooLong) };
        }
        let line = match std::str::from_utf8(&bytes[..end]) {
            Ok(line) => line.trim_ascii(),
            Err(_) => {
                return Decoded { consumed, frame: Frame::Refused(DecodeError::InvalidUtf8) };
            }
        };
        let frame = match parse(line) {
            Ok(value) => Frame::Whole(value),
            Err(error) => Frame::Refused(error),
        };
        Decoded { consumed, frame }
    }
}

/// Splits a line into its first word and the rest, which is trimmed at its start.
#[inline]
pub(super) fn split_word(line: &str) -> (&str, &str) {
    match line.bytes().position(|byte| byte.is_ascii_whitespace()) {
        Some(end) => (&line[..end], line[end..].trim_ascii_start()),
        None => (line, ""),
    }
}

/// Whether a text is read back as the one word that it is: not empty, and without white space.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_whitespace())
}

/// Appends pieces one behind the other, with one reservation.
#[inline]
pub(super) fn push(out: &mut Vec<u8>, pieces: &[&str]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Appends a text that somebody else chose so that it stays on one line and leaves a terminal alone: characters that are
/// [disruptive](is_disruptive) become U+FFFD.
#[inline]
pub(super) fn push_visible(out: &mut Vec<u8>, text: &str) {
    // C1 controls start with C2 in UTF-8, separators and bidirectional controls with E2: reason enough to look closer.
    let suspect = |byte: u8| (byte < 0x20 && byte != b'\t') || matches!(byte, 0x7f | 0xc2 | 0xe2);
    // Without a branch a byte, so that it runs a vector at a time.
    if text.bytes().fold(false, |found, byte| found | suspect(byte)) {
        push_replaced(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

#[cold]
fn push_replaced(out: &mut Vec<u8>, text: &str) {
    let mut utf8 = [0; 4];
    for c in text.chars() {
        let shown = if is_disruptive(c) { char::REPLACEMENT_CHARACTER } else { c };
        out.extend_from_slice(shown.encode_utf8(&mut utf8).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_replaced_and_nothing_else_is() {
        for (text, shown) in [
            ("plain\ttext é ¢ £ 🦀", "plain\ttext é ¢ £ 🦀"),
            ("a\nb\rc\0d\u{1b}[31m", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}[31m"),
            ("a\u{7f}b\u{85}c\u{9b}d", "a\u{fffd}b\u{fffd}c\u{fffd}d"),
            ("“a” – b\u{2028}c\u{2029}d\u{202e}e\u{2066}f", "“a” – b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            push_visible(&mut out, text);
            assert_eq!(String::from_utf8_lossy(&out), shown);
        }
    }

    #[test]
    fn words_are_split_at_white_space() {
        assert_eq!(split_word("DM bob  hi there"), ("DM", "bob  hi there"));
        assert_eq!(split_word("DM\tbob"), ("DM", "bob"));
        assert_eq!(split_word("DM"), ("DM", ""));
        assert_eq!(split_word(""), ("", ""));
    }
}
