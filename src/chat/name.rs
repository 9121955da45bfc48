//! Names of people and of rooms: what one may look like, and when two are the same.

use std::fmt;
use std::num::NonZeroU8;

use arrayvec::ArrayString;
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;

use super::is_disruptive;
use crate::limits::{NAME_BYTES_MAX, NAME_FOLDED_BYTES_MAX, ROOM_NAME_BYTES_MAX};

/// Why a text is no name. Bounds are those of the dialect that refused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// Nothing there, or shorter than a dialect wants it.
    TooShort {
        /// Characters wanted.
        min: u8,
    },
    /// Longer than a dialect, or anybody, may have it.
    TooLong {
        /// Characters (a dialect's rule) or bytes (the rule for all) allowed.
        max: u8,
    },
    /// A character that names do not have: white space, controls, symbols outside RFC 8264's identifier class,
    /// or one of `#`, `/`, `:` at the start.
    Character,
}

/// A person's name as typed: 1 to [`NAME_BYTES_MAX`] bytes of UTF-8 that RFC 8265 `UsernameCaseMapped` accepts, not
/// starting with `#`, `/` or `:`. Held inline: a session's name costs no allocation and no pointer to follow, and none takes
/// no more space than one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    length: NonZeroU8,
    /// UTF-8; zeros behind it.
    bytes: [u8; NAME_BYTES_MAX],
}

/// The name under which the server itself speaks where it has to. Nobody else can have it.
pub const SERVER_NAME: &str = "server";

/// What makes two names the same: the name after RFC 8265 `UsernameCaseMapped` enforcement.
pub type Folded = ArrayString<NAME_FOLDED_BYTES_MAX>;

impl Name {
    /// Checks a name and gives it with its folded form.
    pub fn parse(text: &str) -> Result<(Self, Folded), NameError> {
        if text.is_empty() {
            return Err(NameError::TooShort { min: 1 });
        }
        let length = u8::try_from(text.len()).ok().and_then(NonZeroU8::new);
        let length = length.filter(|length| usize::from(length.get()) <= NAME_BYTES_MAX);
        let length = length.ok_or(NameError::TooLong { max: NAME_BYTES_MAX as u8 })?;
        let folded = fold(text)?;
        // As typed and as folded: a full-width `#` folds to the plain one.
        if [text, folded.as_str()].iter().any(|form| form.starts_with(['#', '/', ':'])) {
            return Err(NameError::Character);
        }
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok((Self { length, bytes }, folded))
    }

    /// What makes it the same as others.
    pub fn folded(&self) -> Folded {
        fold(self.as_str()).expect("it was folded when it was made")
    }

    /// A text that is a name, or nearly, as a name: what names do not have is replaced, and the end left out so that a
    /// number fits behind it.
    pub fn near(text: &str) -> String {
        const NUMBER_BYTES: usize = "~65536".len();
        let mut near = String::new();
        for c in text.trim().chars() {
            let allowed = fold(c.encode_utf8(&mut [0; 4])).is_ok()
                && !(near.is_empty() && matches!(c, '#' | '/' | ':'));
            let c = if allowed { c } else { '_' };
            if near.len() + c.len_utf8() > NAME_BYTES_MAX - NUMBER_BYTES {
                break;
            }
            near.push(c);
        }
        if Self::parse(&near).is_ok() { near } else { "guest".to_owned() }
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.length.get())];
        std::str::from_utf8(bytes).expect("it was made of a text")
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// RFC 8265 section 3.3. Printable ASCII, which nearly all names are, maps to its lower case; the library does the
/// rest. (A test holds the two together.)
fn fold(text: &str) -> Result<Folded, NameError> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let mut folded = Folded::from(text).map_err(|_| NameError::Character)?;
        folded.make_ascii_lowercase();
        return Ok(folded);
    }
    // The library answers every other text; its errors name code points, which no dialect has words for.
    let folded = UsernameCaseMapped::enforce(text).map_err(|_| NameError::Character)?;
    Folded::from(&folded).map_err(|_| NameError::Character)
}

/// Why a text is no room name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoomNameError {
    /// Nothing there.
    Empty,
    /// More than [`ROOM_NAME_BYTES_MAX`] bytes.
    TooLong,
    /// White space at an end, a tab, or a character that is [disruptive](is_disruptive).
    Character,
}

/// A room's name: 1 to [`ROOM_NAME_BYTES_MAX`] bytes of UTF-8 without white space at its ends, tabs, or
/// [disruptive](is_disruptive) characters. Two rooms are the same when their bytes are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RoomName(Box<str>);

impl RoomName {
    /// Checks a room name before anything is made of it.
    pub fn parse(text: &str) -> Result<Self, RoomNameError> {
        Self::check(text, is_disruptive)
    }

    /// The name of a room that a store kept. Older servers let the marks of bidirectional text (U+061C,
    /// U+200E, U+200F) into names of rooms: such a room keeps its seats.
    pub fn restored(text: &str) -> Result<Self, RoomNameError> {
        Self::check(text, |c| is_disruptive(c) && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}'))
    }

    fn check(text: &str, is_refused: impl Fn(char) -> bool) -> Result<Self, RoomNameError> {
        if text.is_empty() {
            return Err(RoomNameError::Empty);
        }
        if text.len() > ROOM_NAME_BYTES_MAX {
            return Err(RoomNameError::TooLong);
        }
        if text.trim() != text || text.chars().any(|c| c == '\t' || is_refused(c)) {
            return Err(RoomNameError::Character);
        }
        Ok(Self(text.into()))
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_folds_as_the_library_folds_it() {
        for first in 0x21..0x7f_u8 {
            for second in [b'a', b'Z', b'_', first] {
                let text = String::from_utf8(vec![first, second]).expect("ASCII");
                let library = UsernameCaseMapped::enforce(&text).expect("printable ASCII is allowed");
                assert_eq!(fold(&text).expect("same").as_str(), library, "{text}");
            }
        }
    }

    #[test]
    fn names_differ_by_more_than_case_and_width() {
        let folded = |text| Name::parse(text).expect(text).1;
        assert_eq!(folded("Alice"), folded("aLICE"));
        assert_eq!(folded("Zoë"), folded("ZOË"));
        assert_eq!(folded("Zoe\u{308}"), folded("zoë"), "composed and decomposed");
        assert_eq!(folded("\u{ff21}lice"), folded("alice"), "full width");
        assert_ne!(folded("alice"), folded("alicé"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let error = |text: &str| Name::parse(text).expect_err(text);
        assert_eq!(error(""), NameError::TooShort { min: 1 });
        assert_eq!(error(&"x".repeat(33)), NameError::TooLong { max: 32 });
        for text in [
            "#a",
            "/a",
            ":a",
            "a b",
            "a\tb",
            "a\u{7f}",
            "a\u{202e}b",
            "a\u{a0}b",
            "a\0",
            "\u{ff03}a",
            "\u{ff0f}a",
            "\u{ff1a}a",
        ] {
            assert_eq!(error(text), NameError::Character, "{text:?}");
        }
        assert!(Name::parse(&"x".repeat(32)).is_ok());
        assert!(Name::parse("bob~2").is_ok());
    }

    #[test]
    fn what_is_no_room_name_is_refused() {
        assert_eq!(RoomName::parse(""), Err(RoomNameError::Empty));
        assert_eq!(RoomName::parse(&"é".repeat(128)), Err(RoomNameError::TooLong));
        assert_eq!(RoomName::parse(" a"), Err(RoomNameError::Character));
        assert_eq!(RoomName::parse("a\tb"), Err(RoomNameError::Character));
        assert!(RoomName::parse("my room").is_ok());
        assert_eq!(RoomName::parse("a\u{1b}"), Err(RoomNameError::Character));
        assert_eq!(RoomName::parse("a\u{202e}"), Err(RoomNameError::Character));
        for mark in ['\u{61c}', '\u{200e}', '\u{200f}'] {
            let marked = format!("a{mark}");
            assert_eq!(RoomName::parse(&marked), Err(RoomNameError::Character));
            assert!(RoomName::restored(&marked).is_ok(), "it was allowed once");
        }
        assert_eq!(RoomName::restored("a\u{202e}"), Err(RoomNameError::Character));
        assert!(RoomName::parse(&"é".repeat(127)).is_ok());
    }
}
