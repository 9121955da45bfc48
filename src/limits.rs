//! Every bound: its unit, its reason, and what happens when it is hit.
//!
//! `_MAX` is fixed here; what an operator may change is in [`Config`](crate::config::Config), and its own bounds are here.

// Names.

/// Bytes of a person's name. Long enough for people, short enough to stand inline in a session and in front of every
/// message. Longer: the name is refused.
pub const NAME_BYTES_MAX: usize = 32;
/// Bytes of a folded name: lower case grows a text by at most half, composition by at most twice. Longer: refused.
pub const NAME_FOLDED_BYTES_MAX: usize = 3 * NAME_BYTES_MAX;
/// Bytes of a room's name. Longer: the name is refused.
pub const ROOM_NAME_BYTES_MAX: usize = 64;

// The wire.

/// Bytes of a line with its end, in the text dialects. Longer: the sender is told, and the line is skipped unread.
pub const LINE_BYTES_MAX: usize = 4096;
/// Bytes of a line with its end from the server, as a client reads it: a text of [`LINE_BYTES_MAX`], each byte of which
/// may have become a replacement character of three, and a time, a name and a few words in front. Longer: the client
/// skips it.
pub const SERVER_LINE_BYTES_MAX: usize = 3 * LINE_BYTES_MAX + 256;
/// Characters of a slash user's nickname, at least. Shorter: refused.
pub const SLASH_NAME_CHARS_MIN: u8 = 3;
/// Characters of a slash user's nickname, at most. Longer: refused.
pub const SLASH_NAME_CHARS_MAX: u8 = 20;
