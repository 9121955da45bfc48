//! What a character may do to the line that it stands in.

/// Whether a character can end a line, steer a terminal, or show other characters in another order than they have: the
/// controls (C0, DEL, C1), the line and paragraph separators (some programs split lines there), and the controls of
/// bidirectional text (Unicode Standard Annex 9, section 2). The tab is none of them.
#[must_use]
pub fn is_disruptive(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
