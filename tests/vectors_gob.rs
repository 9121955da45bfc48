//! The gob codec against bytes of real programs: what Go clients send, what Go's own decoder makes of it, and bytes that
//! are broken. Each is fed whole, byte by byte, and cut at each point.
//!
//! `gob.json`: what clients built with Go 1.19 and 1.23 sent to an existing server, with what it did about it.
//! `gob-experiments.json`: what Go's decoder says to streams that no client sends. `gob-extra.json`: messages with fields
//! of every kind besides the three that count, made with Go 1.19.

#[path = "support/cuts.rs"]
mod cuts;

use std::fs;
use std::path::Path;

use cuts::cuts;
use parlance::limits::{GOB_FRAME_BYTES_MAX, GOB_MESSAGE_BYTES_MAX};
use parlance::wire::Fit;
use parlance::wire::gob::{Decoded, Decoder, Frame, Kind, Message, encode};
use serde_json::Value;

/// Where something arrives that programs in use drop, or the other way round: the name, why, and the contents that arrive.
const DIFFERENCES: [(&str, &str, &[&str]); 13] = [
    ("go1.19/fresh-text-invalid-utf8", "text is UTF-8, and what is not reaches nobody", &[]),
    ("go1.23/fresh-text-invalid-utf8", "text is UTF-8, and what is not reaches nobody", &[]),
    ("go1.19/fresh-text-total-4097", "4096 bytes for each gob message, not for all in a read", &[LONG_TEXT]),
    ("go1.23/fresh-text-total-4097", "4096 bytes for each gob message, not for all in a read", &[LONG_TEXT]),
    ("bad-zero-length", "only the empty gob message is dropped, not the read", &["one"]),
    ("single decoder, two concatenated fresh streams", "definitions are replaced", &["one", "two"]),
    ("single decoder, type definition twice then value", "definitions are replaced", &["one"]),
    ("single decoder, zero-length message then fresh stream", "only the empty one is dropped", &["one"]),
    (
        "per-Read fresh decoder: two coalesced fresh messages in one Read",
        "several frames a read",
        &["one", "two"],
    ),
    ("per-Read fresh decoder: one message split in the middle over two Reads", "any segmentation", &["one"]),
    ("per-Read fresh decoder: split exactly between definition and value", "any segmentation", &["one"]),
    (
        "per-Read fresh decoder: long-lived encoder's three messages in three Reads",
        "long-lived encoders",
        &["", "first", ""],
    ),
    (
        "per-Read fresh decoder: long-lived encoder's three messages in one Read",
        "several frames a read",
        &["", "first", ""],
    ),
];

/// Stands for the one text of 4028 or 4029 bytes, which the vector tells.
const LONG_TEXT: &str = "fff…";

/// What is refused, by the end of its name, and as what.
const REFUSED: [(&str, &str); 31] = [
    ("fresh-text-invalid-utf8", "InvalidUtf8"),
    ("fresh-text-total-8192", "MessageTooLong"),
    ("longlived-2-of-3", "UnknownType"),
    ("longlived-3-of-3", "UnknownType"),
    ("shape-type-string", "WrongKind(Type)"),
    ("shape-type-uint", "WrongKind(Type)"),
    ("shape-content-bytes", "WrongKind(Content)"),
    ("shape-no-common-field", "NotAMessage"),
    ("shape-int", "NotAMessage"),
    ("shape-string", "NotAMessage"),
    ("shape-map", "NotAMessage"),
    ("bad-value-only", "UnknownType"),
    ("bad-zero-length", "Empty"),
    ("bad-length-2^31", "LengthOutOfRange"),
    ("bad-length-2^62", "LengthOutOfRange"),
    ("bad-uint-9-bytes", "LengthMalformed"),
    ("bad-string-length", "Truncated"),
    ("value only (no type definition)", "UnknownType"),
    ("zero-length message then fresh stream", "Empty"),
    ("length prefix 2^31", "LengthOutOfRange"),
    ("length prefix 2^62", "LengthOutOfRange"),
    ("uint prefix with 9 bytes (f7)", "LengthMalformed"),
    ("length prefix 2^29 with 4 bytes of data", "LengthOutOfRange"),
    ("5000-byte content in 4096-byte Reads", "MessageTooLong"),
    ("shape: Type is string", "WrongKind(Type)"),
    ("shape: Type is uint", "WrongKind(Type)"),
    ("shape: Content is []byte", "WrongKind(Content)"),
    ("shape: no common field", "NotAMessage"),
    ("shape: bare int", "NotAMessage"),
    ("shape: bare string", "NotAMessage"),
    ("shape: map", "NotAMessage"),
];

/// A message that outlives its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Owned {
    number: i64,
    sender: String,
    content: String,
}

impl Owned {
    fn message(&self) -> Message<'_> {
        Message { kind: Kind::from_number(self.number), sender: &self.sender, content: &self.content }
    }
}

/// What a decoder found in a stream.
#[derive(PartialEq, Eq, Debug, Default)]
struct Found {
    messages: Vec<Owned>,
    refused: Vec<String>,
    /// Bytes that wait for more.
    bytes_left: usize,
}

/// Feeds a decoder as a connection does: in pieces, keeping what is not consumed for the next one.
fn feed<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Found {
    let mut decoder = Decoder::default();
    let mut found = Found::default();
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let Decoded { consumed, frame } = decoder.decode(&buffer);
            match frame {
                Frame::Incomplete if consumed == 0 => break,
                Frame::Incomplete => {}
                Frame::Whole(Message { kind, sender, content }) => found.messages.push(Owned {
                    number: kind.number(),
                    sender: sender.to_owned(),
                    content: content.to_owned(),
                }),
                Frame::Refused(error) => found.refused.push(format!("{error:?}")),
            }
            assert!(consumed > 0, "a frame is made of bytes");
            buffer.drain(..consumed);
        }
        assert!(buffer.len() < GOB_FRAME_BYTES_MAX, "what waits is bounded: {}", buffer.len());
    }
    found.bytes_left = buffer.len();
    found
}

/// What is in a stream, which must be the same however it is cut.
fn found_in_any_pieces(name: &str, stream: &[u8]) -> Found {
    let whole = feed([stream]);
    assert_eq!(feed(stream.chunks(1)), whole, "{name}: byte by byte");
    for cut in cuts(stream.len()) {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(feed([head, tail]), whole, "{name}: cut at {cut}");
    }
    whole
}

fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let text = fs::read_to_string(&path).expect("the vectors are in the repository");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap_or_else(|| panic!("{vector} has {key}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The messages that a vector says it has; the ones that are not UTF-8 are left out.
fn told(vector: &Value) -> Vec<Owned> {
    let one = vector.get("message").into_iter();
    let many = vector.get("messages").and_then(Value::as_array).into_iter().flatten();
    let string = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(parts) => {
            let count = parts.get("count")?.as_u64()? as usize;
            Some(parts.get("$repeat")?.as_str()?.repeat(count))
        }
        _ => panic!("{value} is a text"),
    };
    one.chain(many)
        .filter_map(|message| {
            Some(Owned {
                number: message["type"].as_i64()?,
                sender: string(&message["sender"])?,
                content: string(&message["content"])?,
            })
        })
        .collect()
}

/// What Go printed of a message.
fn printed(line: &str) -> Option<Owned> {
    let (_, rest) = line.split_once("ok Type=")?;
    let (number, rest) = rest.split_once(" Sender=\"")?;
    let (sender, rest) = rest.split_once("\" Content=\"")?;
    let (content, _) = rest.split_once('"')?;
    let number = number.parse().expect("a number");
    Some(Owned { number, sender: sender.to_owned(), content: content.to_owned() })
}

fn refused_as(name: &str) -> Vec<String> {
    REFUSED.iter().filter(|(end, _)| name.ends_with(end)).map(|&(_, error)| error.to_owned()).collect()
}

/// The contents that arrive where programs in use do something else.
fn difference(name: &str) -> Option<&'static [&'static str]> {
    DIFFERENCES.iter().find(|&&(known, ..)| known == name).map(|&(_, _, contents)| contents)
}

/// Checks what was found in a stream against what programs in use made of it: the kinds they know, which must be equal,
/// unless the difference is listed.
fn check_against(name: &str, found: &Found, existing: &[(i64, usize, usize)]) {
    let acted_upon: Vec<_> = found
        .messages
        .iter()
        .filter(|message| (0..=2).contains(&message.number))
        .map(|message| (message.number, message.sender.len(), message.content.len()))
        .collect();
    let Some(contents) = difference(name) else {
        assert_eq!(acted_upon, existing, "{name}: this difference is not listed");
        return;
    };
    assert_ne!(acted_upon, existing, "{name}: listed as a difference, and is none");
    let found: Vec<_> = found.messages.iter().map(|message| message.content.as_str()).collect();
    if contents == [LONG_TEXT] {
        assert_eq!(found.len(), 1, "{name}");
    } else {
        assert_eq!(found, contents, "{name}");
    }
}

#[test]
fn what_clients_send_decodes_to_what_they_mean() {
    for vector in vectors("gob.json") {
        let name = text(&vector, "name");
        let found = found_in_any_pieces(name, &bytes(text(&vector, "hex")));
        assert_eq!(found.refused, refused_as(name), "{name}");
        if let Some(original) = vector.get("original").and_then(Value::as_str) {
            let existing: Vec<_> = printed(original).into_iter().collect();
            if !name.starts_with("bad-") {
                assert_eq!(found.messages, existing, "{name}: {original}");
            }
        }
        // A later message of a long-lived encoder stands alone here; so it means nothing.
        let told = told(&vector);
        if found.refused.is_empty() && !told.is_empty() {
            assert_eq!(found.messages, told, "{name}");
            assert_eq!(found.bytes_left, 0, "{name}");
        }
        if let Some(relayed) = vector["observed"]["relayed_messages"].as_array() {
            let size = |value: &Value| value.as_u64().expect("a size") as usize;
            let existing: Vec<_> = relayed
                .iter()
                .map(|one| (one[0].as_i64().expect("a type"), size(&one[1]), size(&one[2])))
                .collect();
            check_against(name, &found, &existing);
        }
    }
}

#[test]
fn streams_decode_as_in_go_but_for_what_is_listed() {
    for vector in vectors("gob-experiments.json") {
        let name = text(&vector, "name");
        let (_, name) = name.split_once(": ").expect("the version of Go stands in front");
        let found = found_in_any_pieces(name, &bytes(text(&vector, "input_hex")));
        assert_eq!(found.refused, refused_as(name), "{name}");
        let results = vector["result"].as_array().expect("a list");
        let existing: Vec<_> = results.iter().filter_map(Value::as_str).filter_map(printed).collect();
        if difference(name).is_none() {
            assert_eq!(found.messages, existing, "{name}");
        }
        let sizes: Vec<_> =
            existing.iter().map(|one| (one.number, one.sender.len(), one.content.len())).collect();
        check_against(name, &found, &sizes);
    }
}

#[test]
fn fields_of_every_other_kind_are_skipped() {
    let vectors = vectors("gob-extra.json");
    assert_eq!(vectors.len(), 16);
    for vector in vectors {
        let name = text(&vector, "name");
        let found = found_in_any_pieces(name, &bytes(text(&vector, "hex")));
        assert_eq!(found, Found { messages: told(&vector), ..Found::default() }, "{name}");
    }
}

#[test]
fn what_is_listed_is_there() {
    let mut names: Vec<String> = Vec::new();
    for file in ["gob.json", "gob-experiments.json"] {
        names.extend(vectors(file).iter().map(|vector| text(vector, "name").to_owned()));
    }
    for (name, ..) in DIFFERENCES {
        assert!(names.iter().any(|known| known.ends_with(name)), "{name}");
    }
    for (end, _) in REFUSED {
        assert!(names.iter().any(|known| known.ends_with(end)), "{end}");
    }
}

#[test]
fn a_later_message_of_a_long_lived_encoder_needs_the_first() {
    let vectors = vectors("gob.json");
    let named = |name: &str| {
        let vector = vectors.iter().find(|vector| text(vector, "name") == name).expect("it is there");
        (bytes(text(vector, "hex")), told(vector))
    };
    for go in ["go1.19", "go1.23"] {
        let (mut stream, mut expected) = named(&format!("{go}/longlived-1-of-3"));
        for part in [2, 3] {
            let (bytes, messages) = named(&format!("{go}/longlived-{part}-of-3"));
            stream.extend(bytes);
            expected.extend(messages);
        }
        assert_eq!(stream, named(&format!("{go}/longlived-all-3")).0);
        assert_eq!(found_in_any_pieces(go, &stream).messages, expected);
    }
}

#[test]
fn every_pair_of_streams_decodes_one_behind_the_other() {
    // Behind an end of the stream nothing is looked at, and what is not whole swallows what follows.
    let mut whole = Vec::new();
    for vector in vectors("gob.json") {
        let stream = bytes(text(&vector, "hex"));
        let found = feed([&stream[..]]);
        if found.bytes_left == 0 && !found.refused.iter().any(|error| error.starts_with("Length")) {
            whole.push((stream, found));
        }
    }
    assert!(whole.len() > 80, "{}", whole.len());
    for (first, found_first) in &whole {
        for (second, found_second) in &whole {
            // A value alone means something when the right definition came before.
            if found_second.refused.iter().any(|error| error == "UnknownType") {
                continue;
            }
            let found = feed([&first[..], second]);
            let messages: Vec<_> =
                found_first.messages.iter().chain(&found_second.messages).cloned().collect();
            assert_eq!(found.messages, messages);
            let refused: Vec<_> = found_first.refused.iter().chain(&found_second.refused).cloned().collect();
            assert_eq!(found.refused, refused);
        }
    }
}

#[test]
fn messages_encode_byte_for_byte_as_current_go_does() {
    let mut compared = 0;
    for vector in vectors("gob.json") {
        let name = text(&vector, "name");
        let expected = bytes(text(&vector, "hex"));
        for message in told(&vector).iter().filter(|_| name.contains("/fresh-")) {
            let mut out = b"before".to_vec();
            let encoded = encode(&message.message(), &mut out);
            let out = out.strip_prefix(b"before").expect("what was there stays");
            if name.starts_with("go1.19") {
                // These number the type 65, which takes a byte more: what we send says the same with 64.
                let means = feed([&expected[..]]);
                if means.refused.is_empty() && encoded == Fit::Whole {
                    assert_eq!(out.len(), expected.len() - 1, "{name}");
                    assert_eq!(feed([out]), means, "{name}");
                }
            } else if expected.len() <= GOB_MESSAGE_BYTES_MAX {
                assert_eq!((out, encoded), (&expected[..], Fit::Whole), "{name}");
                compared += 1;
            } else {
                assert_eq!((out.len(), encoded), (GOB_MESSAGE_BYTES_MAX, Fit::Cut), "{name}");
                let found = feed([out]);
                let content = &found.messages[0].content;
                assert_eq!(content.strip_suffix('…'), Some(&message.content[..content.len() - 3]), "{name}");
            }
        }
    }
    assert_eq!(compared, 24, "all that Go 1.23 sent, but what is not UTF-8 or too long");
}
