//! Texts of other people: the characters in them that mislead a reader or steer a terminal.

use std::borrow::Cow;

use crate::limits::SHOWN_TEXT_BYTES_MAX;

/// Stands in the place of a line end within a text.
const LINE_END: &str = " ⏎ ";
/// Stands where a text was cut.
const ELLIPSIS: char = '…';

/// Whether a character can end a line, steer a terminal, or show other characters in another order than they have: the
/// controls (C0, DEL, C1), the line and paragraph separators (some programs split lines there), and the
/// controls and marks of bidirectional text (`Bidi_Control`: Unicode Standard Annex 9, section 2). The tab is
/// none of them.
#[must_use]
pub fn is_disruptive(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character has no shape, so that two names that differ in it look the same. Texts need some of
/// these: emoji and Persian are joined with them. Names do not.
#[must_use]
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}'
        | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A text of another program or person as a terminal can show it: on one line, with U+FFFD for each
/// [disruptive](is_disruptive) character and ` ⏎ ` for each line end. White space at the end is dropped, and
/// so is what exceeds [`SHOWN_TEXT_BYTES_MAX`] bytes, with `…` in its place.
///
/// All that this project prints of such texts, error messages included, goes through here.
#[must_use]
pub fn visible(text: &str) -> String {
    shown(text, is_disruptive)
}

/// The same of a name: characters without a shape are replaced too.
#[must_use]
pub fn visible_name(name: &str) -> String {
    shown(name, |c| is_disruptive(c) || is_unseen(c))
}

fn shown(text: &str, is_replaced: impl Fn(char) -> bool) -> String {
    let text = text.trim_end();
    let whole = text.len();
    let mut end = whole.min(SHOWN_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => out.push_str(LINE_END),
            c if is_replaced(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    if text.len() < whole {
        out.push(ELLIPSIS);
    }
    out
}

/// A text without the byte order mark that some editors write in front of it.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// A text of this program that quotes other people's: each of its lines is made [visible].
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c != '\n' && is_disruptive(c)) || text.len() > SHOWN_TEXT_BYTES_MAX {
        Cow::Owned(text.lines().map(visible).collect::<Vec<_>>().join("\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_steers_or_reorders_is_replaced() {
        let controls = (0..0x20).chain(0x7f..0xa0).filter(|c| !matches!(c, 0x09 | 0x0a));
        let marks = [0x61c, 0x200e, 0x200f, 0x2028, 0x2029];
        let bidirectional = (0x202a..=0x202e).chain(0x2066..=0x2069);
        for code in controls.chain(marks).chain(bidirectional) {
            let c = char::from_u32(code).expect("a character");
            assert_eq!(visible(&format!("a{c}b")), "a\u{fffd}b", "U+{code:04X}");
            assert_eq!(visible_name(&format!("a{c}b")), "a\u{fffd}b", "U+{code:04X}");
        }
    }

    #[test]
    fn texts_keep_what_scripts_and_emoji_need_and_names_do_not() {
        for text in ["👩\u{200d}💻", "می\u{200c}خواهم", "tab\there", "é ¢ “a”", "שלום", "مرحبا"]
        {
            assert_eq!(visible(text), text);
        }
        assert_eq!(visible_name("al\u{200b}ice\u{feff}"), "al\u{fffd}ice\u{fffd}");
    }

    #[test]
    fn a_text_is_one_line_and_bounded() {
        assert_eq!(visible("a\r\nb\nc\r\n"), "a ⏎ b ⏎ c");
        let long = "é".repeat(SHOWN_TEXT_BYTES_MAX);
        let shown = visible(&long);
        assert!(shown.len() <= SHOWN_TEXT_BYTES_MAX + 3 && shown.ends_with("é…"));
        assert_eq!(visible_lines("a\nb\n"), "a\nb\n");
        assert_eq!(visible_lines("a\u{1b}\nb"), "a\u{fffd}\nb");
    }
}
