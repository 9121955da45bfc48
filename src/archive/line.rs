//! A line of a message log, of other programs and of this one: read without a copy of what has no escapes.
//!
//! A line is a message, or says with `operation` what happened to earlier ones. Keys that are not known are skipped.

use serde::Deserialize;

use super::json::{Moment, Text};

/// All keys that a line may have; which ones mean something depends on [`Line::operation`].
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line<'a> {
    /// None: a message.
    #[serde(borrow)]
    pub(super) operation: Option<Text<'a>>,

    // A message.
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    pub(super) timestamp: Option<Moment>,
    #[serde(borrow)]
    pub(super) sender: Option<Text<'a>>,
    /// To somebody.
    #[serde(borrow)]
    pub(super) recipient: Option<Text<'a>>,
    /// In a room; also that of a seat.
    #[serde(borrow)]
    pub(super) room: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) content: Option<Text<'a>>,
    /// `read`, `deleted`; all else is unread.
    #[serde(borrow)]
    pub(super) status: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) key: Option<Text<'a>>,
    /// Whether the sender had an account. None: if there is one.
    pub(super) sender_has_account: Option<bool>,
    /// The id of the sender's account. It is not taken over; the sender had an account.
    #[serde(borrow)]
    pub(super) sender_account: Option<Text<'a>>,
    /// Who still sees it: `sender`, `recipient` or `both`.
    #[serde(borrow)]
    pub(super) seen_by: Option<Text<'a>>,

    // `read` and `delete`: of which messages, and by whom they were deleted.
    #[serde(borrow)]
    pub(super) ids: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(super) by: Option<Text<'a>>,

    // Accounts and seats.
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) password: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) token: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) ip: Option<Text<'a>>,
    /// For a closed room: the id of the line that made it.
    #[serde(borrow)]
    pub(super) made: Option<Text<'a>>,
    /// Whether the account was not used since it was made. None: it was.
    pub(super) unused: Option<bool>,
    /// Of the format.
    pub(super) version: Option<u64>,
}

impl<'a> Line<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // Of an array, the parser would take what stands where.
        text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok())?
    }

    /// Whether it looks like a line of a log, rather than like any other JSON object.
    pub(super) fn is_of_a_log(&self) -> bool {
        let is_operation = self.operation.as_ref().is_some_and(|text| !text.0.starts_with('$'));
        is_operation || (self.sender.is_some() && self.content.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_line_borrows_what_it_can() {
        let text = r#"{"id":"1","timestamp":1.5,"sender":"zo\u00eb","recipient":"bob","content":"hi","status":"read","x":[{}]}"#;
        let line = Line::parse(text).expect("a line");
        assert!(matches!(line.content, Some(Text(Cow::Borrowed("hi")))));
        assert!(matches!(line.recipient, Some(Text(Cow::Borrowed("bob")))));
        assert_eq!(line.sender.as_ref().map(|text| &*text.0), Some("zoë"));
        assert!(line.is_of_a_log());
        let line = Line::parse(r#"{"operation":"read","ids":["1",2]}"#).expect("a line");
        assert_eq!(line.ids, Some(vec![Text("1".into()), Text("2".into())]));
        assert!(line.is_of_a_log());
        assert!(!Line::parse(r#"{"alice":"$2b$12$x"}"#).expect("an object").is_of_a_log());
        assert!(!Line::parse(r#"{"operation":"$2b$12$x"}"#).expect("an object").is_of_a_log());
        for torn in ["", "{", r#"{"id":"1","conte"#, "[]", "null", r#"{"ids":"1"}"#] {
            assert!(Line::parse(torn).is_none(), "{torn}");
        }
    }
}
