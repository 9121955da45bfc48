//! Frames and objects of programs in use, as data: what clients send is understood, what servers send is sent, byte for
//! byte. Where Parlance differs on purpose, the vector is listed by name with the reason.

#[path = "typed/feed.rs"]
mod feed;

use std::collections::{BTreeMap, BTreeSet};

use parlance::chat::Secret;
use parlance::wire::typed::{
    DecodeError, Decoded, Decoder, Frame, Message, MessagesFrame, NamesFrame, Reader, Reply, Request, TagSet,
    Token, UnixMillis, User, UsersFrame,
};
use serde::Deserialize;
use serde_json::Value;

use feed::{replies, requests, segmentations};

#[derive(Deserialize)]
struct Vector {
    name: String,
    dialect: String,
    direction: String,
    kind: String,
    hex: String,
    #[serde(default)]
    malformed: bool,
    #[serde(default)]
    not_expressible: bool,
    #[serde(default)]
    msg_type: u64,
    #[serde(default)]
    payload: Value,
    /// What an existing server did with it, an object being the payload of a `LIST_MESSAGES`.
    #[serde(default)]
    observed: String,
    /// What an existing decoder made of a malformed one.
    #[serde(default)]
    original: String,
}

/// Client frames that existing servers take as something else.
const REQUESTS_CHANGED: [(&str, &str); 1] =
    [("req-1-no-payload", "they take the name None; here it is the empty name, which nobody can have")];

/// Server frames and objects whose bytes differ from what Parlance sends.
const REPLIES_CHANGED: [(&str, &str); 3] = [
    ("resp-105-messages/doc", "set A has no chat messages; here they are dicts"),
    ("resp-105-messages-as-dicts/doc", "one possible choice, with seconds; here they are milliseconds"),
    (
        "obj-chatmsg-int-timestamp/final",
        "set B may have an int of seconds, and is understood; here they are a float",
    ),
];

/// What becomes of a malformed payload, and how that differs from existing servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    /// They close without a word; here the sender is told why, and closed.
    Told,
    /// They take it, cut or with what is wrong ignored; here the sender is told why, and closed.
    Refused,
    /// They wait for what was announced; here the bound comes first, and the sender is told why, and closed.
    Bounded,
    /// They close, because the header came in two; here the rest is awaited.
    Awaited,
    /// As they do.
    None,
}

/// Malformed vectors by name, without the tag set where both are alike: what is wrong with the object, or the frame.
const MALFORMED: [(&str, Option<DecodeError>, Change); 27] = [
    // As an object; a frame without payload never asks for one.
    ("bad-empty", Some(DecodeError::CutShort), Change::None),
    ("bad-unknown-tag/final", Some(DecodeError::UnknownTag(6)), Change::Told),
    ("bad-unknown-tag/doc", Some(DecodeError::UnknownTag(4)), Change::Told),
    ("bad-unknown-tag-ff", Some(DecodeError::UnknownTag(0xff)), Change::Told),
    ("bad-int-truncated", Some(DecodeError::CutShort), Change::Told),
    ("bad-float-truncated", Some(DecodeError::CutShort), Change::Told),
    ("bad-string-truncated", Some(DecodeError::StringCutShort), Change::Refused),
    ("bad-string-length-truncated", Some(DecodeError::CutShort), Change::Told),
    ("bad-string-length-max", Some(DecodeError::StringCutShort), Change::Refused),
    ("bad-string-invalid-utf8", Some(DecodeError::InvalidUtf8), Change::Told),
    ("bad-string-surrogate", Some(DecodeError::InvalidUtf8), Change::Told),
    ("bad-list-count-too-large", Some(DecodeError::CountTooLarge), Change::Told),
    ("bad-list-count-max", Some(DecodeError::CountTooLarge), Change::Told),
    ("bad-list-string-truncated-inside", Some(DecodeError::StringCutShort), Change::Refused),
    ("bad-dict-count-too-large", Some(DecodeError::CountTooLarge), Change::Told),
    ("bad-dict-key-int", Some(DecodeError::KeyNotString), Change::Refused),
    ("bad-dict-key-list", Some(DecodeError::KeyNotString), Change::Told),
    ("bad-dict-key-missing-value", Some(DecodeError::CountTooLarge), Change::Told),
    ("bad-dict-duplicate-key", None, Change::None),
    ("bad-nesting-200", Some(DecodeError::TooDeep), Change::Refused),
    ("bad-nesting-900", Some(DecodeError::TooDeep), Change::Refused),
    ("bad-nesting-2000", Some(DecodeError::TooDeep), Change::Told),
    ("bad-trailing-bytes", Some(DecodeError::TrailingBytes), Change::Refused),
    ("bad-chatmsg-not-a-dict", Some(DecodeError::NotChatMessage), Change::Told),
    ("bad-chatmsg-missing-keys", Some(DecodeError::NotChatMessage), Change::Told),
    ("bad-chatmsg-extra-key", None, Change::None),
    ("bad-frame-null-payload-send", Some(DecodeError::PayloadMissing), Change::Told),
];

/// The same for frames whose length is wrong.
const MALFORMED_FRAMES: [(&str, Option<DecodeError>, Change); 3] = [
    ("bad-frame-header-11", None, Change::Awaited),
    ("bad-frame-payload-short", None, Change::None),
    ("bad-frame-data-len-max", Some(DecodeError::PayloadTooLong), Change::Bounded),
];

impl Vector {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("vectors/typed.json")).expect("the vectors are JSON")
    }

    fn bytes(&self) -> Vec<u8> {
        (0..self.hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&self.hex[at..at + 2], 16).expect("hex"))
            .collect()
    }

    /// The set that it is in; nothing where it is the same in both.
    fn tags(&self) -> Option<TagSet> {
        match self.dialect.as_str() {
            "typed-final" => Some(TagSet::InUse),
            "typed-doc" => Some(TagSet::Document),
            "typed-any" => None,
            other => panic!("{other}"),
        }
    }

    fn base_name(&self) -> &str {
        self.name.split('/').next().expect("there is always a first")
    }

    fn is_frame(&self) -> bool {
        self.kind == "frame"
    }

    fn is_from_client(&self) -> bool {
        self.direction == "client->server"
    }

    /// The object, or the frame's.
    fn text(&self) -> &str {
        self.payload.as_str().expect("a string")
    }

    fn texts(&self) -> Vec<&str> {
        self.payload.as_array().expect("a list").iter().map(|item| item.as_str().expect("a string")).collect()
    }

    /// What a well-formed frame of a client asks for.
    fn request(&self) -> Frame<Request<'_>> {
        let has_payload = !self.payload.is_null();
        Frame::Whole(match self.msg_type {
            1 if has_payload => Request::LoginName(self.text()),
            1 => Request::LoginName(""),
            2 => Request::LoginPassword(Secret(self.text())),
            3 => {
                let [recipient, content] = self.texts()[..] else { panic!("two") };
                Request::Send { recipient, content }
            }
            4 => Request::MarkRead(self.text()),
            5 => Request::ListMessages(self.text()),
            6 => Request::ListUsers,
            7 => Request::DeleteMessage(self.text()),
            8 => Request::DeleteAccount,
            9 => Request::Ping(has_payload.then(|| self.text())),
            other => return Frame::Ignored(other),
        })
    }
}

/// A message in the notation of the vectors: in set B under a key of its own.
fn message(value: &Value) -> Message<'_> {
    let dict = value.get("$chatmsg").unwrap_or(value);
    let text = |key: &str| dict[key].as_str().expect("a string");
    let seconds = dict["timestamp"].as_f64().expect("a number");
    Message {
        id: text("id"),
        at: UnixMillis(format!("{:.0}", seconds * 1000.0).parse().expect("a time after 1970")),
        sender: text("sender"),
        recipient: text("recipient"),
        content: text("content"),
        unread: text("status") == "unread",
    }
}

/// A server's answer as Parlance sends it.
fn encoded(vector: &Vector, tags: TagSet) -> Vec<u8> {
    let mut out = Vec::new();
    match vector.msg_type {
        100 => Reply::Error(vector.text()).encode(tags, &mut out).expect("it fits"),
        101 => Reply::NameKnown.encode(tags, &mut out).expect("it fits"),
        102 => Reply::NameNew.encode(tags, &mut out).expect("it fits"),
        103 => {
            let mut names = NamesFrame::begin(tags, &mut out);
            vector.texts().into_iter().for_each(|name| names.push(name).expect("it fits"));
        }
        104 => Reply::LoginFailed.encode(tags, &mut out).expect("it fits"),
        105 => {
            let mut messages = MessagesFrame::begin(tags, &mut out);
            for entry in vector.payload.as_array().expect("a list") {
                messages.push(&message(entry)).expect("it fits");
            }
        }
        106 => {
            let mut users = UsersFrame::begin(tags, &mut out);
            for (name, unread) in vector.payload.as_object().expect("a dict") {
                let unread = unread.as_u64().expect("a count") as u32;
                users.push(User { name, unread }).expect("it fits");
            }
        }
        other => panic!("{other}"),
    }
    out
}

/// An object in the notation of the vectors.
fn value(tags: TagSet, payload: &[u8]) -> Result<Value, DecodeError> {
    let tokens = Reader::new(tags, payload).collect::<Result<Vec<_>, _>>()?;
    let mut tokens = tokens.into_iter();
    let value = build(&mut tokens);
    assert!(tokens.next().is_none(), "the tokens are one object");
    Ok(value)
}

fn build(tokens: &mut dyn Iterator<Item = Token<'_>>) -> Value {
    match tokens.next().expect("an object") {
        Token::Int(int) => int.into(),
        Token::Float(float) if float.is_finite() => float.into(),
        Token::Float(float) => serde_json::json!({"$float": float.to_string().to_lowercase()}),
        Token::String(text) => text.into(),
        Token::List(count) => (0..count).map(|_| build(tokens)).collect(),
        Token::Dict(count) => pairs(tokens, count),
        Token::ChatMessage(count) => serde_json::json!({"$chatmsg": pairs(tokens, count)}),
    }
}

fn pairs(tokens: &mut dyn Iterator<Item = Token<'_>>, count: u32) -> Value {
    let pairs = (0..count).map(|_| {
        let Value::String(key) = build(tokens) else { panic!("a key is a string") };
        (key, build(tokens))
    });
    Value::Object(pairs.collect())
}

/// A connection that has shown its set.
fn connection(tags: TagSet) -> Decoder {
    let mut decoder = Decoder::default();
    let mut login = Vec::new();
    Request::LoginName("alice").encode(tags, &mut login).expect("it fits");
    assert_eq!(decoder.decode(&login).frame, Frame::Whole(Request::LoginName("alice")));
    assert_eq!(decoder.tags(), tags);
    decoder
}

/// A payload as existing servers were given it.
fn list_messages(payload: &[u8]) -> Vec<u8> {
    let mut frame = 5_u64.to_be_bytes().to_vec();
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn every_frame_of_a_client_means_what_it_says_however_it_is_cut() {
    let mut met = 0;
    for vector in Vector::all() {
        if !vector.is_from_client() || !vector.is_frame() || vector.malformed {
            continue;
        }
        let bytes = vector.bytes();
        let mut decoder = Decoder::default();
        let Decoded { consumed, frame } = decoder.decode(&bytes);
        assert_eq!(frame, vector.request(), "{}", vector.name);
        assert_eq!(consumed, bytes.len(), "{}", vector.name);
        assert_eq!(decoder.tags(), vector.tags().unwrap_or_default(), "{}", vector.name);
        let whole = requests(Decoder::default(), [&bytes[..]]);
        for pieces in segmentations(&bytes) {
            assert_eq!(requests(Decoder::default(), pieces), whole, "{}", vector.name);
        }
        let is_changed = REQUESTS_CHANGED.iter().any(|(name, _)| *name == vector.name);
        assert_eq!(is_changed, vector.msg_type == 1 && vector.payload.is_null(), "{}", vector.name);
        met += 1;
    }
    assert_eq!(met, 31);
}

#[test]
fn every_request_is_written_as_existing_clients_write_it() {
    for vector in Vector::all() {
        if !vector.is_from_client() || !vector.is_frame() || vector.malformed {
            continue;
        }
        let Frame::Whole(request) = vector.request() else { continue };
        let mut out = Vec::new();
        request.encode(vector.tags().unwrap_or_default(), &mut out).expect("it fits");
        let is_changed = REQUESTS_CHANGED.iter().any(|(name, _)| *name == vector.name);
        assert_eq!(out == vector.bytes(), !is_changed, "{}", vector.name);
    }
}

#[test]
fn every_frame_of_a_server_is_written_byte_for_byte_and_read_however_it_is_cut() {
    let mut met = 0;
    for vector in Vector::all() {
        if vector.is_from_client() || !vector.is_frame() || vector.not_expressible {
            continue;
        }
        for tags in [TagSet::Document, TagSet::InUse] {
            if vector.tags().is_some_and(|other| other != tags) {
                continue;
            }
            let bytes = vector.bytes();
            let ours = encoded(&vector, tags);
            let is_changed = REPLIES_CHANGED.iter().any(|(name, _)| *name == vector.name);
            assert_eq!(ours == bytes, !is_changed, "{}", vector.name);
            let whole = replies(tags, [&bytes[..]]);
            assert!(whole.len() == 1 && !whole[0].starts_with("refused"), "{}: {whole:?}", vector.name);
            assert_eq!(replies(tags, [&ours[..]]) == whole, !is_changed, "{}", vector.name);
            for pieces in segmentations(&bytes) {
                assert_eq!(replies(tags, pieces), whole, "{}", vector.name);
            }
            met += 1;
        }
    }
    assert_eq!(met, 18);
}

#[test]
fn messages_in_set_a_are_dicts_with_milliseconds() {
    let vectors: BTreeMap<_, _> =
        Vector::all().into_iter().map(|vector| (vector.name.clone(), vector)).collect();
    assert!(vectors["resp-105-messages/doc"].not_expressible);
    // The bytes of the one that someone chose, but for the time: it is a thousand times as long.
    let chosen = &vectors["resp-105-messages-as-dicts/doc"];
    let seconds = 1_700_000_000_i64.to_be_bytes();
    let mut expected = chosen.bytes();
    let at = expected.windows(8).position(|window| window == seconds).expect("the time");
    expected[at..at + 8].copy_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    let ours = encoded(chosen, TagSet::Document);
    assert_eq!(ours, expected);
    let list = &chosen.payload.as_array().expect("a list")[0];
    let Frame::Whole(Reply::Messages(messages)) = Reply::decode(TagSet::Document, &ours).frame else {
        panic!("messages");
    };
    assert_eq!(messages.collect::<Vec<_>>(), [message(list)]);
}

#[test]
fn every_object_reads_as_what_it_is() {
    let mut met = 0;
    for vector in Vector::all() {
        if vector.is_frame() || vector.malformed {
            continue;
        }
        for tags in [TagSet::Document, TagSet::InUse] {
            if vector.tags().is_some_and(|other| other != tags) {
                continue;
            }
            let read = value(tags, &vector.bytes()).expect("well-formed");
            assert_eq!(read, vector.payload, "{}", vector.name);
            if let (Some(read), Some(meant)) = (read.as_f64(), vector.payload.as_f64()) {
                assert_eq!(read.is_sign_negative(), meant.is_sign_negative(), "{}", vector.name);
            }
            met += 1;
        }
    }
    assert_eq!(met, 62);
}

#[test]
fn pairs_are_read_in_the_order_in_which_they_stand() {
    for vector in Vector::all().iter().filter(|vector| vector.base_name() == "obj-dict-unsorted") {
        let bytes = vector.bytes();
        let tokens = Reader::new(vector.tags().expect("one"), &bytes).collect::<Result<Vec<_>, _>>();
        let [b, one, a, two] = [Token::String("b"), Token::Int(1), Token::String("a"), Token::Int(2)];
        assert_eq!(tokens, Ok(vec![Token::Dict(2), b, one, a, two]));
    }
}

#[test]
fn chat_messages_are_written_and_read_as_objects() {
    let mut met = 0;
    for vector in Vector::all() {
        let is_message = vector.name.starts_with("obj-chatmsg");
        if !is_message && vector.name != "bad-chatmsg-extra-key/final" {
            continue;
        }
        let mut frame = 110_u64.to_be_bytes().to_vec();
        frame.extend_from_slice(&(vector.bytes().len() as u32).to_be_bytes());
        frame.extend_from_slice(&vector.bytes());
        let Frame::Whole(reply) = Reply::decode(TagSet::InUse, &frame).frame else {
            panic!("{}", vector.name);
        };
        if is_message {
            assert_eq!(reply, Reply::Message(message(&vector.payload)), "{}", vector.name);
            let mut ours = Vec::new();
            reply.encode(TagSet::InUse, &mut ours).expect("it fits");
            let is_changed = REPLIES_CHANGED.iter().any(|(name, _)| *name == vector.name);
            assert_eq!(ours == frame, !is_changed, "{}", vector.name);
        }
        met += 1;
    }
    assert_eq!(met, 3);
}

/// Existing servers answer `LIST_MESSAGES` of a number or a list as of a user whom they do not know: with an empty list.
/// No client asks that, and here it is refused: whose payload has another shape has lost the thread.
#[test]
fn an_object_that_is_not_a_name_is_refused_where_a_name_belongs() {
    let mut refused = BTreeSet::new();
    for vector in Vector::all() {
        if vector.is_frame() || vector.malformed || !vector.is_from_client() {
            continue;
        }
        let tags = vector.tags().unwrap_or_default();
        let frame = list_messages(&vector.bytes());
        let expected = if let Some(name) = vector.payload.as_str() {
            Frame::Whole(Request::ListMessages(name))
        } else {
            refused.insert(vector.base_name().to_owned());
            Frame::Refused(DecodeError::WrongKind)
        };
        assert_eq!(connection(tags).decode(&frame).frame, expected, "{}", vector.name);
        assert!(vector.observed == "answered 105" || tags == TagSet::Document, "{}", vector.name);
    }
    let expected = "obj-bool-true obj-dict-empty obj-dict-int-key obj-dict-ints obj-dict-unicode-key \
        obj-dict-unsorted obj-float-0 obj-float-3.14 obj-float-inf obj-float-max obj-float-nan \
        obj-float-neg-0 obj-float-tiny obj-float-ts obj-int-0 obj-int-1 obj-int-256 obj-int-i64-max \
        obj-int-i64-min obj-int-neg-1 obj-int-neg-42 obj-list-empty obj-list-ints obj-list-mixed \
        obj-list-strings obj-nested-3-dicts obj-nested-3-lists obj-nested-3-mixed obj-nested-empty";
    assert_eq!(refused, expected.split_whitespace().map(str::to_owned).collect());
}

#[test]
fn every_malformed_one_is_refused_for_its_reason_however_it_is_cut() {
    let mut met = BTreeSet::new();
    for vector in Vector::all().iter().filter(|vector| vector.malformed) {
        let table = MALFORMED.iter().chain(&MALFORMED_FRAMES);
        let (name, error, change) = *table
            .clone()
            .find(|(name, ..)| *name == vector.name || *name == vector.base_name())
            .unwrap_or_else(|| panic!("{} has its line", vector.name));
        met.insert(name);
        let sets = vector.tags().map_or(vec![TagSet::Document, TagSet::InUse], |tags| vec![tags]);
        for tags in sets {
            let frame = if vector.is_frame() {
                vector.bytes()
            } else {
                let read = Reader::check(tags, &vector.bytes());
                assert_eq!(read.err(), error, "{}", vector.name);
                list_messages(&vector.bytes())
            };
            let whole = requests(connection(tags), [&frame[..]]);
            let expected = match (name, error) {
                ("bad-empty", _) => "ListMessages(\"\")".to_owned(),
                // Its frame is longer than a request may be, so nobody looks at the object.
                ("bad-nesting-2000", _) => format!("refused: {}", DecodeError::PayloadTooLong),
                ("bad-frame-header-11", _) => "left: 11 bytes".to_owned(),
                ("bad-frame-payload-short", _) => "left: 20 bytes".to_owned(),
                (_, Some(error)) => format!("refused: {error}"),
                (_, None) => format!("refused: {}", DecodeError::WrongKind),
            };
            assert_eq!(whole, [expected], "{}", vector.name);
            for pieces in segmentations(&frame) {
                assert_eq!(requests(connection(tags), pieces), whole, "{}", vector.name);
            }
            // The same as the first payload of a connection, though the reason may be another.
            if whole[0].starts_with("refused") {
                let first = requests(Decoder::default(), [&frame[..]]);
                assert!(first[0].starts_with("refused"), "{}: {first:?}", vector.name);
            }
        }
        check_change(vector, change);
    }
    let listed = MALFORMED.iter().chain(&MALFORMED_FRAMES).map(|(name, ..)| *name).collect();
    assert_eq!(met, listed, "every line has its vector");
}

/// What the table says of existing servers is what was observed of them.
fn check_change(vector: &Vector, change: Change) {
    let is_accepted = vector.original.starts_with("accepted");
    let expected = match change {
        Change::Told => !is_accepted && !vector.observed.contains("answered"),
        Change::Refused => is_accepted && (vector.observed == "answered 105" || vector.observed.is_empty()),
        Change::Bounded => vector.observed.starts_with("waits"),
        Change::Awaited => vector.observed == "closed",
        Change::None => {
            is_accepted || vector.observed.starts_with("waits") || vector.base_name() == "bad-empty"
        }
    };
    assert!(expected, "{}: {change:?}, but {} and {}", vector.name, vector.original, vector.observed);
}

#[test]
fn who_is_refused_is_told_why_in_its_own_tags_and_not_read_any_more() {
    for tags in [TagSet::Document, TagSet::InUse] {
        let mut decoder = connection(tags);
        let frame = list_messages(&[0xff]);
        let Frame::Refused(error) = decoder.decode(&frame).frame else { panic!("refused") };
        let mut answer = Vec::new();
        Reply::Error(&error.to_string()).encode(decoder.tags(), &mut answer).expect("it fits");
        assert_eq!(Reply::decode(tags, &answer).frame, Frame::Whole(Reply::Error("unknown tag 0xff")));
        let next = list_messages(&[]);
        let after = decoder.decode(&next);
        assert_eq!((after.consumed, after.frame), (next.len(), Frame::Incomplete));
    }
}

#[test]
fn every_vector_is_in_a_test() {
    let vectors = Vector::all();
    assert_eq!(vectors.len(), 158);
    for (name, reason) in REQUESTS_CHANGED.iter().chain(&REPLIES_CHANGED) {
        assert!(vectors.iter().any(|vector| vector.name == *name), "{name}: {reason}");
    }
}
