//! Text files as Windows programs save them: with a byte order mark in front, or as UTF-16.

/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What to do about a file in UTF-16.
pub(crate) const UTF_16: &str = "it is UTF-16, or something else with zero bytes in it: save it as UTF-8";

/// A text without the byte order mark in front.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// Whether a text is UTF-16 by its first bytes: a byte order mark, or a zero in one of its first two
/// characters, which no text in UTF-8 that is read here has.
pub(crate) fn is_utf_16(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(4)];
    start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") || start.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_text_and_utf_16_is_known() {
        assert_eq!(without_mark(b"\xef\xbb\xbfa"), b"a");
        assert_eq!(without_mark(b"a\xef\xbb\xbf"), b"a\xef\xbb\xbf");
        for text in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0b\0", b"\0a", b"\xff\xfe"] {
            assert!(is_utf_16(text), "{text:?}");
        }
        for text in [&b""[..], b"a", b"line = 4000", b"\xef\xbb\xbfa", "é".as_bytes()] {
            assert!(!is_utf_16(text), "{text:?}");
        }
    }
}
