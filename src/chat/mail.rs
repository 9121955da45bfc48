//! A message in a mailbox, as it is shown to one of its two people.

use super::UnixMillis;

/// Stands behind the name of people without an account, one blank apart, where the name is an account's by
/// now. No name has a blank.
pub const NO_ACCOUNT: &str = "(no account)";

/// A message of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mail<'a> {
    /// The text of its id.
    pub id: &'a str,
    /// When it was sent.
    pub at: UnixMillis,
    /// Who wrote it.
    pub sender: &'a str,
    /// To whom.
    pub recipient: &'a str,
    /// What.
    pub content: &'a str,
    /// Whether the recipient has yet to read it.
    pub unread: bool,
}
