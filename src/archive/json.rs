//! JSON as other programs write it: objects whose order counts, and texts that may be numbers.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::chat::UnixMillis;

/// An object in source order. Its values are parsed later, one at a time, so a malformed value does not
/// affect the others. Keys that are not Unicode (half a surrogate pair) have U+FFFD in them.
#[derive(Debug, Default)]
pub(super) struct Entries<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsEntries;
        impl<'de> Visitor<'de> for AsEntries {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(AsEntries)
    }
}

struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsKey;
        impl Visitor<'_> for AsKey {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(String::from_utf8_lossy(bytes).into_owned()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.to_owned()))
            }
        }
        deserializer.deserialize_bytes(AsKey)
    }
}

/// A text, or a number as one; borrowed where it has no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
}

/// A moment: seconds since 1970 as a number, or ISO 8601, in UTC unless it says otherwise. None: neither, or before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Option<UnixMillis>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MomentVisitor)
    }
}

struct MomentVisitor;

impl Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Moment, E> {
        Ok(Moment(seconds.checked_mul(1000).map(UnixMillis)))
    }

    fn visit_i64<E: de::Error>(self, _before_1970: i64) -> Result<Moment, E> {
        Ok(Moment(None))
    }

    #[expect(clippy::cast_sign_loss, reason = "it is not negative")]
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Moment, E> {
        let millis = (seconds * 1000.0).round();
        Ok(Moment((0.0..1e15).contains(&millis).then_some(UnixMillis(millis as u64))))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
        Ok(Moment(iso_8601(text)))
    }
}

/// As Python's `isoformat` writes it, with or without an offset, and as everybody else does.
fn iso_8601(text: &str) -> Option<UnixMillis> {
    const DATE_AND_TIME_BYTES: usize = "2018-02-14T00:28:07".len();
    if !text.is_ascii() {
        return None;
    }
    let tail = text.get(DATE_AND_TIME_BYTES..)?;
    let sign = tail.find(['+', '-']);
    let offset_minutes = match sign {
        None => 0,
        Some(at) => {
            let digits: String = tail[at + 1..].chars().filter(|&c| c != ':').collect();
            let (hours, minutes) = (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..4).unwrap_or("00"));
            let minutes = hours * 60 + minutes.parse::<i64>().ok()?;
            if tail.as_bytes()[at] == b'-' { -minutes } else { minutes }
        }
    };
    let local = &text[..sign.map_or(text.len(), |at| DATE_AND_TIME_BYTES + at)];
    let local = humantime::parse_rfc3339_weak(local.trim_end_matches(['Z', 'z'])).ok()?;
    let millis = local.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
    let utc = i64::try_from(millis).ok()?.checked_sub(offset_minutes * 60_000)?;
    u64::try_from(utc).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(json: &str) -> Option<u64> {
        let Moment(at) = serde_json::from_str(json).expect(json);
        at.map(|at| at.0)
    }

    #[test]
    fn times_are_seconds_or_iso_8601() {
        for (json, millis) in [
            ("1700000000", 1_700_000_000_000),
            ("1700000000.123", 1_700_000_000_123),
            ("1700000000.1234567", 1_700_000_000_123),
            ("\"2023-11-14T22:13:20Z\"", 1_700_000_000_000),
            ("\"2023-11-14 22:13:20.123456\"", 1_700_000_000_123),
            ("\"2023-11-14T22:13:20.5+00:00\"", 1_700_000_000_500),
            ("\"2023-11-15T00:13:20+02:00\"", 1_700_000_000_000),
            ("\"2023-11-14T17:43:20-0430\"", 1_700_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(moment(json), Some(millis), "{json}");
        }
        for json in
            ["-1", "-0.5", "1e300", "\"\"", "\"yesterday\"", "\"2023-11-14\"", "\"2023-11-14T22:13:20+x\""]
        {
            assert_eq!(moment(json), None, "{json}");
        }
    }

    #[test]
    fn texts_without_escapes_are_borrowed_and_numbers_are_texts() {
        let text = |json| serde_json::from_str::<Text<'_>>(json).expect(json).0;
        assert!(matches!(text("\"a\""), Cow::Borrowed("a")));
        assert!(matches!(text("\"\\u00eb\""), Cow::Owned(owned) if owned == "ë"));
        assert_eq!(text("7"), "7");
        assert!(serde_json::from_str::<Text<'_>>("[]").is_err());
    }

    #[test]
    fn the_order_of_an_object_counts_and_a_strange_entry_leaves_the_others() {
        let json = r#"{"b":1,"\ud800":"\udfff","a":[[{}]], "c": 1e999}"#;
        let Entries(entries) = serde_json::from_str(json).expect("an object");
        let entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        let strange = "\u{fffd}\u{fffd}\u{fffd}";
        assert_eq!(entries, [("b", "1"), (strange, r#""\udfff""#), ("a", "[[{}]]"), ("c", "1e999")]);
    }
}
