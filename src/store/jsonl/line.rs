//! A line of a log, taken apart but not yet understood.
//!
//! What a line has to have, and what it means, is [`Entry`](super::entry::Entry)'s business for the logs that are written
//! here, and the importer's for those of other programs, which look much the same. So this is lenient: each key may be
//! missing or `null`, ids are any text, times are numbers or texts, and keys that are not known are passed over.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::UNIX_EPOCH;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::chat::UnixMillis;
use crate::text_encoding::without_mark;

/// The keys of a line. Texts are borrowed from it unless JSON spells them with escapes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Line<'a> {
    /// What happened. None: a message was sent or said.
    #[serde(borrow)]
    pub(crate) operation: Option<Text<'a>>,
    /// Of the message or operation.
    #[serde(borrow)]
    pub(crate) id: Option<Text<'a>>,
    /// When.
    #[serde(borrow)]
    pub(crate) timestamp: Option<Timestamp<'a>>,
    /// Who wrote the message.
    #[serde(borrow)]
    pub(crate) sender: Option<Text<'a>>,
    /// To whom, of mail.
    #[serde(borrow)]
    pub(crate) recipient: Option<Text<'a>>,
    /// In which room.
    #[serde(borrow)]
    pub(crate) room: Option<Text<'a>>,
    /// The text of the message.
    #[serde(borrow)]
    pub(crate) content: Option<Text<'a>>,
    /// `unread` or `read`, of mail.
    #[serde(borrow)]
    pub(crate) status: Option<Text<'a>>,
    /// What its sender calls the message.
    #[serde(borrow)]
    pub(crate) key: Option<Text<'a>>,
    /// Whether the sender has an account. None: yes.
    pub(crate) sender_has_account: Option<bool>,
    /// Who still sees the message: `sender`, `recipient` or `both`. None: it has just been sent.
    #[serde(borrow)]
    pub(crate) seen_by: Option<Text<'a>>,
    /// The message's number in its room. None: the next one.
    pub(crate) sequence: Option<u64>,
    /// The messages that the operation is about.
    #[serde(borrow)]
    pub(crate) ids: Option<Vec<Text<'a>>>,
    /// Who read.
    #[serde(borrow)]
    pub(crate) reader: Option<Text<'a>>,
    /// Who deleted.
    #[serde(borrow)]
    pub(crate) by: Option<Text<'a>>,
    /// Whose account or seat it is.
    #[serde(borrow)]
    pub(crate) name: Option<Text<'a>>,
    /// The hash of a password.
    #[serde(borrow)]
    pub(crate) password: Option<Text<'a>>,
    /// Of a seat.
    #[serde(borrow)]
    pub(crate) token: Option<Text<'a>>,
    /// The address of a seat.
    #[serde(borrow)]
    pub(crate) ip: Option<Text<'a>>,
    /// The op that made the room that is closed.
    #[serde(borrow)]
    pub(crate) made: Option<Text<'a>>,
    /// The number before which messages of the room are forgotten.
    pub(crate) before: Option<u64>,
    /// Of the format.
    pub(crate) version: Option<u64>,
    /// The highest id that was there when the log was written anew.
    #[serde(borrow)]
    pub(crate) last: Option<Text<'a>>,
}

impl<'a> Line<'a> {
    /// Takes a line apart. It has no end of line. The error says what JSON is not like that, without the line itself.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, String> {
        // An editor of Windows puts one in front of the first line.
        let line = without_mark(line);
        // An array of values in the order of the keys would be taken for an object.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return Err("not a JSON object".to_owned());
        }
        serde_json::from_slice(line).map_err(|error| format!("not a JSON object of this log: {error}"))
    }
}

/// A text, borrowed if it can be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

/// When something happened, as it stands there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Timestamp<'a> {
    /// Seconds since 1970-01-01T00:00:00Z.
    Seconds(f64),
    /// ISO 8601, in any of its usual spellings.
    Text(Text<'a>),
}

impl Timestamp<'_> {
    /// The moment, if it is one since 1970. A text without a zone is taken for UTC.
    pub(crate) fn millis(&self) -> Option<UnixMillis> {
        match self {
            Self::Seconds(seconds) => {
                let millis = (seconds * 1000.0).round();
                // The 48 bits that an id has for it.
                #[expect(clippy::cast_sign_loss, reason = "the range is checked")]
                (0.0..(1_u64 << 48) as f64).contains(&millis).then_some(UnixMillis(millis as u64))
            }
            Self::Text(text) => iso_millis(text),
        }
    }
}

/// Reads `2024-01-02T03:04:05.678`, with a blank for the `T`, and with `Z`, an offset or nothing behind it.
fn iso_millis(text: &str) -> Option<UnixMillis> {
    const DATE_BYTES: usize = "2024-01-02".len();
    let time = text.get(DATE_BYTES..)?;
    let (local, offset_minutes) = match time.rfind(['+', '-']) {
        None => (text, 0),
        Some(at) => {
            let (local, offset) = text.split_at(DATE_BYTES + at);
            let digits: String = offset[1..].chars().filter(|&c| c != ':').collect();
            let number: i64 = digits.parse().ok()?;
            let minutes = match digits.len() {
                2 => number * 60,
                4 => number / 100 * 60 + number % 100,
                _ => return None,
            };
            (local, if offset.starts_with('-') { -minutes } else { minutes })
        }
    };
    let moment = humantime::parse_rfc3339_weak(local).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let millis = i64::try_from(moment.as_millis()).ok()? - offset_minutes * 60_000;
    u64::try_from(millis).ok().map(UnixMillis)
}

impl<'de: 'a, 'a> Deserialize<'de> for Timestamp<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsTimestamp;
        impl<'de> Visitor<'de> for AsTimestamp {
            type Value = Timestamp<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds or a text")
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
                Ok(Timestamp::Seconds(seconds))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
                Ok(Timestamp::Seconds(seconds as f64))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
                Ok(Timestamp::Seconds(seconds as f64))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Timestamp::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Timestamp::Text(Text(Cow::Owned(text.to_owned()))))
            }
        }
        deserializer.deserialize_any(AsTimestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_another_program_is_taken_apart() {
        let line = br#"{"id": "msg-17", "timestamp": 1700000000.5, "sender": "ann", "recipient": "b\u00f6b",
            "content": "hi", "colour": [1, {"a": null}], "key": null}"#;
        let line = Line::parse(line).expect("it is JSON");
        assert_eq!(line.id.as_deref(), Some("msg-17"));
        assert_eq!(line.recipient.as_deref(), Some("böb"));
        assert_eq!((line.status, line.operation, line.key), (None, None, None));
        assert_eq!(line.timestamp.and_then(|at| at.millis()), Some(UnixMillis(1_700_000_000_500)));
        let line = Line::parse(br#"{"operation":"read","ids":["1","2"]}"#).expect("it is JSON");
        assert_eq!((line.ids.map(|ids| ids.len()), line.reader), (Some(2), None));
        for broken in ["", "{", "[]", "7", r#"{"id":7}"#, r#"{"id":"a"} {"id":"b"}"#, "{\"id\":\"\u{0}\"}"] {
            assert!(Line::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn times_are_numbers_or_texts() {
        let millis = |json: &str| {
            let line = format!(r#"{{"timestamp":{json}}}"#);
            Line::parse(line.as_bytes()).expect(json).timestamp.and_then(|at| at.millis())
        };
        for same in [
            "1700000000.25",
            r#""2023-11-14T22:13:20.25""#,
            r#""2023-11-14 22:13:20.250""#,
            r#""2023-11-14T22:13:20.250Z""#,
            r#""2023-11-14T22:13:20.250000+00:00""#,
            r#""2023-11-15T00:13:20.25+0200""#,
            r#""2023-11-14T17:13:20.25-05""#,
        ] {
            assert_eq!(millis(same), Some(UnixMillis(1_700_000_000_250)), "{same}");
        }
        assert_eq!(millis("1700000000"), Some(UnixMillis(1_700_000_000_000)));
        for none in [
            "-1",
            "1e300",
            "null",
            r#""yesterday""#,
            r#""2023-11-14T22:13:20+1""#,
            r#""""#,
            r#""é-é-é-é-é-é""#,
        ] {
            assert_eq!(millis(none), None, "{none}");
        }
    }
}
