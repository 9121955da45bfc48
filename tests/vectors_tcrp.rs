//! TCRP and UCRP against bytes recorded from the programs that people use, in whatever pieces they arrive, and against
//! bytes that nobody sends. Where Parlance differs from those programs on purpose, the table says so by the vector's name.

#[path = "support/cuts.rs"]
mod cuts;
#[path = "support/dice.rs"]
mod dice;

use std::borrow::Cow;
use std::collections::HashSet;

use cuts::cuts;
use dice::Dice;
use parlance::chat::Secret;
use parlance::chat::Token;
use parlance::limits::{
    TCRP_FRAME_BYTES_MAX, TCRP_PAYLOAD_BYTES_MAX, TCRP_ROOM_BYTES_MAX, UCRP_DATAGRAM_BYTES_MAX,
};
use parlance::wire::Fit;
use parlance::wire::Unsayable;
use parlance::wire::tcrp::{
    Content, Decoded, Echo, FrameError, HEADER_BYTES, Operation, Refusal, Reply, Request, encode_answer,
    encode_request,
};
use parlance::wire::ucrp::{Datagram, DatagramError, Delivery, Message};
use serde::Deserialize;

/// The 16 bytes of the token in the vectors.
const TOKEN: [u8; 16] =
    [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const TOKEN_TEXT: &str = "token_0123456789abcdef0123456789abcdef";

/// Requests that the programs in use close on without a word, and Parlance answers with a reason.
const REFUSED_WITH_A_REASON: [(&str, FrameError, &str); 13] = [
    ("state-1-request", FrameError::State(1), "bad-state"),
    ("state-2-request", FrameError::State(2), "bad-state"),
    ("state-255-request", FrameError::State(255), "bad-state"),
    ("http-get", FrameError::State(b'T'), "bad-state"),
    ("op-0", FrameError::Operation(0), "bad-operation"),
    ("op-9", FrameError::Operation(9), "bad-operation"),
    ("payload-2^31", FrameError::PayloadTooLong, "too-long"),
    ("payload-2^40", FrameError::PayloadTooLong, "too-long"),
    ("payload-2^63", FrameError::PayloadTooLong, "too-long"),
    ("payload-max", FrameError::PayloadTooLong, "too-long"),
    // Served by the programs in use, for which the byte is padding: here it is the length's highest.
    ("pad-byte-set", FrameError::PayloadTooLong, "too-long"),
    ("room-invalid-utf8", FrameError::RoomNotUtf8, "bad-room"),
    ("payload-invalid-utf8", FrameError::PayloadNotUtf8, "bad-name"),
];
/// Frames cut short: nothing to answer, however long the server waits.
const NEVER_WHOLE: [(&str, usize); 4] =
    [("short-header-10", 32), ("short-header-31", 32), ("header-only", 44), ("short-payload", 44)];
/// Malformed for the programs in use and served by them and by Parlance: the name, and the bytes left behind it.
const SERVED_ALL_THE_SAME: [(&str, &str, usize); 4] = [
    ("payload-0", "", 0),
    ("payload-not-json", "alice", 0),
    ("trailing-bytes", "alice", 8),
    ("two-requests", "alice", 44),
];
/// Answers that carry a reason here, and none in the programs in use.
const ANSWERS_WITH_A_REASON: [&str; 10] = [
    "create-compliance-failure-ascii",
    "create-compliance-failure-utf8",
    "create-compliance-failure-empty",
    "create-compliance-failure-255",
    "create-answer-failure",
    "join-compliance-failure-ascii",
    "join-compliance-failure-utf8",
    "join-compliance-failure-empty",
    "join-compliance-failure-255",
    "join-answer-failure",
];
/// Relays whose sender the programs in use send with quotation marks and escapes, and Parlance as it is.
const SENDERS_AS_THEY_ARE: [(&str, &str); 6] = [
    ("relay", "alice"),
    ("relay-utf8-sender", "Zoë"),
    ("relay-emoji-sender", "👋"),
    ("relay-utf8-text", "alice"),
    ("relay-empty-text", "alice"),
    ("relay-sender-255", LONGEST_NAME),
];
const LONGEST_NAME: &str = match str::from_utf8(&[b'n'; 253]) {
    Ok(name) => name,
    Err(_) => panic!(),
};
/// Datagrams that are dropped as they are decoded.
const DROPPED: [(&str, DatagramError); 13] = [
    ("empty-datagram", DatagramError::PastEnd),
    ("one-byte", DatagramError::PastEnd),
    ("invalid-utf8-message", DatagramError::InvalidUtf8),
    ("invalid-utf8-room", DatagramError::InvalidUtf8),
    ("invalid-utf8-token", DatagramError::InvalidUtf8),
    ("overlong-utf8", DatagramError::InvalidUtf8),
    ("surrogate-utf8", DatagramError::InvalidUtf8),
    // The programs in use cut each field at the datagram's end. Then these three have an unknown token, …
    ("lengths-past-end", DatagramError::PastEnd),
    ("room-length-past-end", DatagramError::PastEnd),
    ("pipe-text", DatagramError::PastEnd),
    // … but this one a known one, and an empty message is relayed.
    ("token-length-past-end", DatagramError::PastEnd),
    // The programs in use cut these to 4096 bytes, and relay the first without its end.
    ("chat-4097", DatagramError::TooLong),
    ("chat-4097-cut-utf8", DatagramError::TooLong),
];
/// A datagram that decodes and counts for nothing, because its token is none.
const WITHOUT_A_TOKEN: &str = "two-zero-bytes";

#[derive(Deserialize)]
struct Vector {
    name: String,
    direction: String,
    hex: String,
    #[serde(default)]
    malformed: bool,
    #[serde(default)]
    oversize: bool,
    #[serde(default)]
    expect: Expect,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Expect {
    op: u8,
    room: String,
    payload: String,
    user_shown: String,
    token: String,
    sender: String,
    message: String,
}

impl Vector {
    fn bytes(&self) -> Vec<u8> {
        let digits = self.hex.as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("hex"), 16).expect("hex")).collect()
    }

    fn is_from_client(&self) -> bool {
        match &*self.direction {
            "client->server" => true,
            "server->client" => false,
            direction => panic!("{direction}"),
        }
    }
}

fn tcrp_vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/tcrp.json")).expect("vectors")
}

fn ucrp_vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/ucrp.json")).expect("vectors")
}

fn vector(vectors: &[Vector], name: &str) -> Vec<u8> {
    vectors.iter().find(|vector| vector.name == name).unwrap_or_else(|| panic!("no vector {name}")).bytes()
}

fn operation(byte: u8) -> Operation {
    [Operation::Create, Operation::Join]
        .into_iter()
        .find(|operation| operation.byte() == byte)
        .expect("an operation of the vectors")
}

fn answer(room: &str, operation: u8, outcome: Result<&Token, Refusal>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_answer(Echo::new(room, operation).expect("a room that fits"), outcome, &mut out);
    out
}

/// A frame put together from the description of the protocol and nothing else.
fn frame(room: &[u8], operation: u8, state: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::try_from(room.len()).expect("short"), operation, state];
    frame.extend([0; 25]);
    frame.extend(u32::try_from(payload.len()).expect("short").to_be_bytes());
    frame.extend(room);
    frame.extend(payload);
    frame
}

/// A header that announces a payload, its 29 bytes of length as they are.
fn announcing(length: [u8; 29]) -> Vec<u8> {
    [&[5, 1, 0], &length[..]].concat()
}

/// 2 to the power of `exponent`, in 29 bytes.
fn power(exponent: usize) -> [u8; 29] {
    let mut length = [0; 29];
    length[28 - exponent / 8] = 1 << (exponent % 8);
    length
}

// The vectors.

#[test]
fn every_vector_has_its_test() {
    let tcrp = tcrp_vectors();
    let count = |from_client, malformed| {
        tcrp.iter().filter(|v| v.is_from_client() == from_client && v.malformed == malformed).count()
    };
    assert_eq!([count(true, false), count(false, false), count(false, true)], [20, 36, 0]);
    let mut named: HashSet<_> = REFUSED_WITH_A_REASON.iter().map(|(name, ..)| *name).collect();
    named.extend(NEVER_WHOLE.map(|(name, _)| name));
    named.extend(SERVED_ALL_THE_SAME.map(|(name, ..)| name));
    let malformed: HashSet<_> = tcrp.iter().filter(|v| v.malformed).map(|v| &*v.name).collect();
    assert_eq!(named, malformed);

    let ucrp = ucrp_vectors();
    let named: HashSet<_> = DROPPED.map(|(name, _)| name).into_iter().chain([WITHOUT_A_TOKEN]).collect();
    let malformed: HashSet<_> = ucrp.iter().filter(|v| v.malformed || v.oversize).map(|v| &*v.name).collect();
    assert_eq!(named, malformed);
    assert_eq!(ucrp.iter().filter(|v| v.is_from_client()).count(), 28);
    assert_eq!(ucrp.iter().filter(|v| !v.is_from_client()).count(), 9);
}

#[test]
fn each_request_decodes_to_what_it_means_and_encodes_to_the_same_bytes() {
    for vector in tcrp_vectors().iter().filter(|v| v.is_from_client() && !v.malformed) {
        let (bytes, Expect { op, room, payload, user_shown, .. }) = (vector.bytes(), &vector.expect);
        let request = Request { room, operation: operation(*op), payload };
        let whole = Decoded::Whole { frame: request, consumed: bytes.len() };
        assert_eq!(Request::decode(&bytes), whole, "{}", vector.name);
        let credentials = request.credentials().expect(&vector.name);
        assert_eq!(
            (&*credentials.username, credentials.password()),
            (&**user_shown, None),
            "{}",
            vector.name
        );

        let mut out = Vec::new();
        request.encode(&mut out).expect(&vector.name);
        assert_eq!(out, bytes, "{}", vector.name);
        out.clear();
        encode_request(room, request.operation, user_shown, None, &mut out).expect(&vector.name);
        assert_eq!(out, bytes, "{} as the programs in use spell it", vector.name);
    }
}

#[test]
fn each_answer_encodes_byte_for_byte_but_for_the_reasons() {
    let token = Token::from_random(TOKEN);
    let mut with_a_reason = Vec::new();
    for vector in tcrp_vectors().iter().filter(|v| !v.is_from_client()) {
        let (name, bytes) = (&*vector.name, vector.bytes());
        let (op, room) = if name.contains("-answer-") {
            (if name.starts_with("create") { 1 } else { 2 }, "lobby")
        } else {
            (vector.expect.op, &*vector.expect.room)
        };
        let success = answer(room, op, Ok(&token));
        let failure = answer(room, op, Err(Refusal::RoomExists));
        let reason = frame(room.as_bytes(), op, 1, br#"{"success": 0, "reason": "room-exists"}"#);
        let (accepted, complete) = success.split_at(HEADER_BYTES + room.len() + 14);
        let (refused, empty) = failure.split_at(reason.len());
        if name.contains("compliance-failure") {
            assert_eq!(refused, reason, "{name}");
            assert_eq!(bytes, frame(room.as_bytes(), op, 1, br#"{"success": 0}"#), "{name}");
            with_a_reason.push(name.to_owned());
        } else if name.contains("answer-failure") {
            let silent = frame(room.as_bytes(), op, 1, br#"{"success": 0}"#);
            assert_eq!(bytes, [&silent, empty].concat(), "{name}");
            assert_eq!(failure, [&reason, empty].concat(), "{name}");
            with_a_reason.push(name.to_owned());
        } else {
            let encoded = match name {
                _ if name.contains("compliance-success") => accepted,
                _ if name.contains("complete-token") => complete,
                _ if name.contains("complete-empty-token") => empty,
                _ if name.contains("answer-success") => &success,
                _ => panic!("{name}"),
            };
            assert_eq!(encoded, bytes, "{name}");
        }
    }
    assert_eq!(with_a_reason, ANSWERS_WITH_A_REASON);
}

#[test]
fn each_answer_decodes_to_what_it_means() {
    let token = Token::from_random(TOKEN);
    for vector in tcrp_vectors().iter().filter(|v| !v.is_from_client()) {
        let bytes = vector.bytes();
        let contents: &[Content] = match &*vector.name {
            name if name.contains("compliance-success") => &[Content::Accepted],
            name if name.contains("compliance-failure") => &[Content::Refused(None)],
            name if name.contains("complete-token") => &[Content::Complete(Some(token))],
            name if name.contains("complete-empty-token") => &[Content::Complete(None)],
            name if name.contains("answer-success") => &[Content::Accepted, Content::Complete(Some(token))],
            name if name.contains("answer-failure") => &[Content::Refused(None), Content::Complete(None)],
            name => panic!("{name}"),
        };
        assert_eq!(replies(&bytes), contents, "{}", vector.name);
        let Decoded::Whole { frame: Reply { echo, .. }, .. } = Reply::decode(&bytes) else { panic!("whole") };
        if contents.len() == 1 {
            let Expect { op, room, .. } = &vector.expect;
            assert_eq!((echo.operation(), echo.room()), (*op, &**room), "{}", vector.name);
        }
    }
}

/// The contents of the frames of an answer, all of which must be there.
fn replies(mut bytes: &[u8]) -> Vec<Content> {
    let mut contents = Vec::new();
    while !bytes.is_empty() {
        let Decoded::Whole { frame: Reply { content, .. }, consumed } = Reply::decode(bytes) else {
            panic!("{:?}", Reply::decode(bytes));
        };
        contents.push(content);
        bytes = &bytes[consumed..];
    }
    contents
}

#[test]
fn each_malformed_request_gets_its_word() {
    let vectors = tcrp_vectors();
    for (name, error, word) in REFUSED_WITH_A_REASON {
        let bytes = vector(&vectors, name);
        let Decoded::Refused(refused) = Request::decode(&bytes) else { panic!("{name} is refused") };
        assert_eq!((refused.error, refused.error.refusal().word()), (error, word), "{name}");
        // The operation comes back as it was, the room where the frame had to be read to its end.
        let room = if error == FrameError::PayloadNotUtf8 { "lobby" } else { "" };
        assert_eq!((refused.echo.operation(), refused.echo.room()), (bytes[1], room), "{name}");
        let compliance = format!(r#"{{"success": 0, "reason": "{word}"}}"#);
        let expected = [
            frame(room.as_bytes(), bytes[1], 1, compliance.as_bytes()),
            frame(room.as_bytes(), bytes[1], 2, br#"{"token": ""}"#),
        ];
        let mut out = Vec::new();
        encode_answer(refused.echo, Err(refused.error.refusal()), &mut out);
        assert_eq!(out, expected.concat(), "{name}");
    }
    for (name, bytes_min) in NEVER_WHOLE {
        assert_eq!(Request::decode(&vector(&vectors, name)), Decoded::Incomplete { bytes_min }, "{name}");
    }
    for (name, username, left) in SERVED_ALL_THE_SAME {
        let bytes = vector(&vectors, name);
        let Decoded::Whole { frame, consumed } = Request::decode(&bytes) else { panic!("{name} is served") };
        assert_eq!((frame.room, frame.operation), ("lobby", Operation::Create), "{name}");
        assert_eq!(frame.credentials().expect(name).username, username, "{name}");
        assert_eq!(bytes.len() - consumed, left, "{name}");
    }
}

#[test]
fn each_datagram_decodes_to_what_it_means_and_encodes_to_the_same_bytes() {
    for vector in ucrp_vectors().iter().filter(|v| v.is_from_client() && !v.malformed && !v.oversize) {
        let (bytes, Expect { room, token, message, .. }) = (vector.bytes(), &vector.expect);
        let message = match &*vector.name {
            "register" | "register-unknown-token" | "register-wrong-room" => Message::Register,
            "leave" => Message::Leave,
            _ => Message::Chat(message),
        };
        let datagram = Datagram { room, token, message };
        assert_eq!(Datagram::decode(&bytes), Ok(datagram), "{}", vector.name);
        let known = vector.name != "register-unknown-token";
        assert_eq!(Token::parse(datagram.token) == Some(Token::from_random(TOKEN)), known, "{}", vector.name);
        let mut out = Vec::new();
        datagram.encode(&mut out).expect(&vector.name);
        assert_eq!(out, bytes, "{}", vector.name);
    }
}

#[test]
fn each_malformed_datagram_is_dropped_for_its_reason() {
    let vectors = ucrp_vectors();
    for (name, error) in DROPPED {
        assert_eq!(Datagram::decode(&vector(&vectors, name)), Err(error), "{name}");
    }
    let empty = vector(&vectors, WITHOUT_A_TOKEN);
    let datagram = Datagram::decode(&empty).expect("all fields are there");
    assert_eq!(datagram, Datagram { room: "", token: "", message: Message::Chat("") });
    assert_eq!(Token::parse(datagram.token), None);
}

#[test]
fn each_delivery_decodes_to_what_it_means_and_encodes_byte_for_byte_but_for_the_quotes() {
    let vectors = ucrp_vectors();
    for vector in vectors.iter().filter(|v| !v.is_from_client()) {
        let (name, bytes, Expect { sender, message, .. }) = (&*vector.name, vector.bytes(), &vector.expect);
        let delivery = match name {
            "room-closed" => Delivery::RoomClosed,
            _ => Delivery::Relay { sender, text: message },
        };
        assert_eq!(Delivery::decode(&bytes), Ok(delivery), "{name}");
        let mut out = Vec::new();
        assert_eq!((delivery.encode(&mut out), &out), (Fit::Whole, &bytes), "{name}");

        let changed = SENDERS_AS_THEY_ARE.iter().find(|(changed, _)| *changed == name);
        assert_eq!(changed.is_some(), sender.starts_with('"'), "{name} is in the table, or has no quotes");
        let Some((_, sender)) = changed else { continue };
        let mut out = Vec::new();
        assert_eq!(Delivery::Relay { sender, text: message }.encode(&mut out), Fit::Whole, "{name}");
        let length = u8::try_from(sender.len()).expect("short");
        assert_eq!(out, [&[length], sender.as_bytes(), message.as_bytes()].concat(), "{name}");
    }
}

// Pieces.

/// What a decoder makes of a stream that arrives in pieces, each outcome as text. A refusal ends the stream.
fn feed<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    decode: impl Fn(&[u8]) -> Decoded<String, String>,
) -> Vec<String> {
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            match decode(&buffer) {
                Decoded::Incomplete { bytes_min } => {
                    assert!(buffer.len() < bytes_min && bytes_min <= TCRP_FRAME_BYTES_MAX, "{bytes_min}");
                    break;
                }
                Decoded::Whole { frame, consumed } => {
                    assert!((HEADER_BYTES..=buffer.len()).contains(&consumed), "{consumed}");
                    found.push(frame);
                    buffer.drain(..consumed);
                }
                Decoded::Refused(error) => {
                    found.push(error);
                    return found;
                }
            }
        }
    }
    found
}

fn request_as_text(bytes: &[u8]) -> Decoded<String, String> {
    match Request::decode(bytes) {
        Decoded::Incomplete { bytes_min } => Decoded::Incomplete { bytes_min },
        Decoded::Whole { frame, consumed } => {
            Decoded::Whole { frame: format!("{frame:?} {}", frame.payload), consumed }
        }
        Decoded::Refused(refused) => Decoded::Refused(format!("{refused:?}")),
    }
}

fn reply_as_text(bytes: &[u8]) -> Decoded<String, String> {
    match Reply::decode(bytes) {
        Decoded::Incomplete { bytes_min } => Decoded::Incomplete { bytes_min },
        Decoded::Whole { frame, consumed } => Decoded::Whole { frame: format!("{frame:?}"), consumed },
        Decoded::Refused(error) => Decoded::Refused(format!("{error:?}")),
    }
}

#[test]
fn every_frame_decodes_alike_whole_byte_by_byte_and_cut_at_every_point() {
    for vector in tcrp_vectors() {
        let decode = if vector.is_from_client() { request_as_text } else { reply_as_text };
        let stream = vector.bytes();
        let whole = feed([&stream[..]], decode);
        assert_eq!(
            whole.is_empty(),
            NEVER_WHOLE.iter().any(|(name, _)| *name == vector.name),
            "{}",
            vector.name
        );
        assert_eq!(feed(stream.chunks(1), decode), whole, "{} byte by byte", vector.name);
        for cut in cuts(stream.len()) {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(feed([head, tail], decode), whole, "{} cut at {cut}", vector.name);
        }
    }
}

#[test]
fn a_frame_is_whole_with_its_last_byte_and_not_before() {
    for vector in tcrp_vectors().iter().filter(|v| !v.malformed && !v.name.contains("-answer-")) {
        let decode = if vector.is_from_client() { request_as_text } else { reply_as_text };
        let bytes = vector.bytes();
        for end in 0..bytes.len() {
            let bytes_min = if end < HEADER_BYTES { HEADER_BYTES } else { bytes.len() };
            assert_eq!(decode(&bytes[..end]), Decoded::Incomplete { bytes_min }, "{} to {end}", vector.name);
        }
        let more = [&bytes, &b"more"[..]].concat();
        let Decoded::Whole { consumed, .. } = decode(&more) else { panic!("{} is whole", vector.name) };
        assert_eq!(consumed, bytes.len(), "{}", vector.name);
    }
}

// Bounds.

#[test]
fn a_payload_announced_too_long_is_refused_by_the_header_alone() {
    let mut beyond = power(0);
    beyond[21..].copy_from_slice(&(TCRP_PAYLOAD_BYTES_MAX as u64 + 1).to_be_bytes());
    let mut wrapping = power(64);
    wrapping[28] = 7;
    let powers = [31, 32, 40, 63, 64, 127, 128, 223, 224, 231].map(power);
    for length in powers.into_iter().chain([beyond, wrapping, [0xff; 29]]) {
        let header = announcing(length);
        for bytes in [header.clone(), [&header, &b"lobby\"alice\""[..]].concat()] {
            let Decoded::Refused(refused) = Request::decode(&bytes) else { panic!("{length:?} is refused") };
            assert_eq!(refused.error, FrameError::PayloadTooLong, "{length:?}");
        }
        let reply = [&[5, 1, 1], &length[..]].concat();
        assert_eq!(Reply::decode(&reply), Decoded::Refused(FrameError::PayloadTooLong), "{length:?}");
    }
}

#[test]
fn the_longest_frame_is_served_and_no_longer_one_is_made() {
    let room = "r".repeat(TCRP_ROOM_BYTES_MAX);
    let payload = "p".repeat(TCRP_PAYLOAD_BYTES_MAX);
    let request = Request { room: &room, operation: Operation::Join, payload: &payload };
    let mut bytes = Vec::new();
    request.encode(&mut bytes).expect("fits");
    assert_eq!(bytes.len(), TCRP_FRAME_BYTES_MAX);
    assert_eq!(Request::decode(&bytes), Decoded::Whole { frame: request, consumed: bytes.len() });
    let incomplete = Decoded::Incomplete { bytes_min: TCRP_FRAME_BYTES_MAX };
    assert_eq!(Request::decode(&bytes[..HEADER_BYTES]), incomplete);

    let mut out = Vec::new();
    let (longer_room, longer_payload) = (format!("{room}r"), format!("{payload}p"));
    assert_eq!(Request { room: &longer_room, ..request }.encode(&mut out), Err(Unsayable));
    assert_eq!(Request { payload: &longer_payload, ..request }.encode(&mut out), Err(Unsayable));
    assert_eq!(Echo::new(&longer_room, 1), Err(Unsayable));
    assert!(out.is_empty(), "half a frame is worse than none");
}

#[test]
fn the_longest_name_and_password_fit_however_they_are_spelled() {
    let (name, password) = ("\u{1}".repeat(32), "\u{1}".repeat(1024));
    let mut out = Vec::new();
    encode_request("lobby", Operation::Join, &name, Some(Secret(&password)), &mut out).expect("fits");
    let Decoded::Whole { frame, .. } = Request::decode(&out) else { panic!("whole") };
    assert_eq!(frame.credentials().expect("JSON").password(), Some(Secret(&password)));
}

// Who asks.

fn request(payload: &str) -> Request<'_> {
    Request { room: "lobby", operation: Operation::Join, payload }
}

#[test]
fn a_payload_says_who_in_three_ways() {
    for (payload, username, password, borrowed) in [
        (r#""alice""#, "alice", None, true),
        (" \"Zoë\"\r\n", "Zoë", None, true),
        (r#""Zo\u00eb \ud83d\udc4b""#, "Zoë 👋", None, false),
        (r#""""#, "", None, true),
        ("alice", "alice", None, true),
        ("Zoë 👋", "Zoë 👋", None, true),
        ("", "", None, true),
        ("  alice ", "  alice ", None, true),
        ("42", "42", None, true),
        ("[\"alice\"]", "[\"alice\"]", None, true),
        (r#"{"username": "alice"}"#, "alice", None, true),
        (r#"{"username":"alice","password":null}"#, "alice", None, true),
        (r#"{"username": "alice", "password": "s3cret"}"#, "alice", Some("s3cret"), true),
        // A byte order mark, as a writer in .NET puts one in front.
        ("\u{feff}\"alice\"", "alice", None, true),
        ("\u{feff}alice", "alice", None, true),
        ("\u{feff} {\"username\": \"alice\", \"password\": \"s3cret\"}", "alice", Some("s3cret"), true),
        (r#" {"password": "a\"b", "username": "Zoë", "more": [1, {}]} "#, "Zoë", Some("a\"b"), true),
    ] {
        let request = request(payload);
        let credentials = request.credentials().expect(payload);
        assert_eq!(credentials.username, username, "{payload}");
        assert_eq!(credentials.password(), password.map(Secret), "{payload}");
        assert_eq!(matches!(credentials.username, Cow::Borrowed(_)), borrowed, "{payload}");
    }
}

#[test]
fn what_starts_as_json_and_is_none_is_no_name() {
    for payload in [
        r#"""#,
        r#""alice"#,
        r#""alice" x"#,
        r#""\ud83d""#,
        "\"a\nb\"",
        "{",
        "{}",
        r#"{"username": "alice", "password": "s3cret""#,
        r#"  {"username": "alice", "password": "s3cret"}}"#,
        "\u{feff}{\"username\": \"alice\", \"password\": \"s3cret\"",
        r#"{"username": 1}"#,
        r#"{"username": "alice", "password": 1}"#,
        r#"{"username": "alice", "username": "bob"}"#,
        r#"{"password": "s3cret"}"#,
        &format!(r#"{{"username": "alice", "more": {}"#, "[".repeat(4000)),
    ] {
        let error = request(payload).credentials().expect_err(payload);
        assert_eq!((error, error.refusal()), (FrameError::PayloadUnreadable, Refusal::BadName), "{payload}");
    }
}

#[test]
fn a_client_with_a_password_is_understood() {
    let mut out = Vec::new();
    let secret = Some(Secret("p\"ä\n~\u{7f}"));
    encode_request("部屋", Operation::Create, "Zoë", secret, &mut out).expect("fits");
    let payload = br#"{"username":"Zo\u00eb","password":"p\"\u00e4\n~\u007f"}"#;
    assert_eq!(out, frame("部屋".as_bytes(), 1, 0, payload));
    let Decoded::Whole { frame, .. } = Request::decode(&out) else { panic!("whole") };
    let credentials = frame.credentials().expect("JSON");
    assert_eq!((&*credentials.username, credentials.password()), ("Zoë", secret));
}

#[test]
fn no_password_and_no_token_is_shown() {
    let request = request(r#"{"username":"alice","password":"s3cret"}"#);
    let credentials = request.credentials().expect("JSON");
    let token = Token::from_random(TOKEN);
    let content = Content::Complete(Some(token));
    let datagram = Datagram { room: "lobby", token: TOKEN_TEXT, message: Message::Leave };
    let shown = format!("{request:?} {credentials:?} {token:?} {content:?} {datagram:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("0123") && !shown.contains("[1, 35"), "{shown}");
    assert!(shown.contains("lobby") && shown.contains("alice"), "{shown}");
}

// The token.

#[test]
fn a_token_is_its_text_and_nothing_else_is() {
    let token = Token::from_random(TOKEN);
    assert_eq!(&*token.reveal(), TOKEN_TEXT);
    assert!(Token::parse(TOKEN_TEXT) == Some(token));
    assert!(Token::parse("token_ffffffffffffffffffffffffffffffff") == Some(Token::from_random([0xff; 16])));
    for at in 0..TOKEN_TEXT.len() {
        for byte in 0..0x80_u8 {
            let mut text = TOKEN_TEXT.as_bytes().to_vec();
            text[at] = byte;
            let text = String::from_utf8(text).expect("ASCII");
            let is_hex = at >= 6 && matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let parsed = Token::parse(&text);
            assert_eq!(parsed.is_some(), is_hex || text == TOKEN_TEXT, "{text:?}");
            assert_eq!(parsed == Some(token), text == TOKEN_TEXT, "{text:?}");
            if let Some(parsed) = parsed {
                assert_eq!(&*parsed.reveal(), text);
            }
        }
    }
    for text in ["", "token_", &TOKEN_TEXT[..37], &format!("{TOKEN_TEXT}0"), &TOKEN_TEXT[6..]] {
        assert_eq!(Token::parse(text), None, "{text}");
    }
    assert_eq!(HashSet::from([token, Token::from_random([0; 16])]).get(&token), Some(&token));
}

// What a client hears.

#[test]
fn each_reason_arrives() {
    for refusal in Refusal::ALL {
        let answer = answer("lobby", 2, Err(refusal));
        assert_eq!(replies(&answer), [Content::Refused(Some(refusal)), Content::Complete(None)]);
    }
    let words = Refusal::ALL.map(Refusal::word);
    let specified = [
        "room-exists",
        "no-such-room",
        "name-taken",
        "bad-name",
        "bad-room",
        "bad-operation",
        "bad-state",
        "too-long",
        "wrong-password",
        "no-account",
        "full",
        "too-many",
        "too-fast",
        "busy",
    ];
    assert_eq!(words, specified);
}

#[test]
fn a_client_understands_other_servers_and_no_nonsense() {
    for (state, payload, content) in [
        (1, r#"{"success": true}"#, Some(Content::Accepted)),
        (1, r#"{"success":1,"more":[]}"#, Some(Content::Accepted)),
        (1, r#"{"success": false}"#, Some(Content::Refused(None))),
        (1, r#"{"success": 0, "reason": "of-tomorrow"}"#, Some(Content::Refused(None))),
        (1, r#"{"success": "yes"}"#, None),
        (1, r#"{"token": ""}"#, None),
        (1, "", None),
        (2, r#"{"token": "token_0"}"#, None),
        (2, r#"{"success": 1}"#, None),
        (2, r#"{"token": null}"#, None),
    ] {
        let decoded = match Reply::decode(&frame(b"lobby", 1, state, payload.as_bytes())) {
            Decoded::Whole { frame, .. } => Some(frame.content),
            Decoded::Refused(error) => {
                assert_eq!(error, FrameError::PayloadUnreadable, "{payload}");
                None
            }
            Decoded::Incomplete { .. } => panic!("{payload} is whole"),
        };
        assert_eq!(decoded, content, "{payload}");
    }
    assert_eq!(Reply::decode(&frame(b"", 1, 0, b"{}")), Decoded::Refused(FrameError::State(0)));
    assert_eq!(Reply::decode(&frame(b"\xff", 1, 1, b"{}")), Decoded::Refused(FrameError::RoomNotUtf8));
    assert_eq!(Reply::decode(&frame(b"", 1, 1, b"\xff")), Decoded::Refused(FrameError::PayloadNotUtf8));
}

// Datagrams.

#[test]
fn a_relay_is_cut_at_a_character_and_says_so() {
    for (unit, sender) in [("x", "alice"), ("é", "Zoë"), ("語", ""), ("🦀", "a"), ("a🦀", "bob~2")] {
        let text_bytes_max = UCRP_DATAGRAM_BYTES_MAX - 1 - sender.len();
        for bytes in text_bytes_max - 8..text_bytes_max + 8 {
            let text = unit.repeat(bytes / unit.len());
            let mut out = Vec::new();
            let fit = Delivery::Relay { sender, text: &text }.encode(&mut out);
            let Ok(Delivery::Relay { sender: relayed_sender, text: said }) = Delivery::decode(&out) else {
                panic!("a relay")
            };
            assert_eq!(relayed_sender, sender);
            if text.len() <= text_bytes_max {
                assert_eq!((fit, said), (Fit::Whole, &*text));
            } else {
                let kept = said.strip_suffix('…').expect("an ellipsis");
                assert!(text.starts_with(kept), "{kept}");
                assert_eq!(fit, Fit::Cut);
                let left = UCRP_DATAGRAM_BYTES_MAX - out.len();
                assert!(left < 4, "as much as fits, and not {left} less");
            }
        }
    }
}

#[test]
fn a_sender_that_its_length_cannot_hold_is_cut() {
    for (sender, fit, start) in [
        ("n".repeat(255), Fit::Whole, "n".repeat(255)),
        ("n".repeat(256), Fit::Cut, "n".repeat(252) + "…"),
        ("é".repeat(128), Fit::Cut, "é".repeat(126) + "…"),
    ] {
        let mut out = b"before".to_vec();
        assert_eq!(Delivery::Relay { sender: &sender, text: "hi" }.encode(&mut out), fit);
        let out = out.strip_prefix(b"before").expect("what was there stays");
        assert_eq!(Delivery::decode(out), Ok(Delivery::Relay { sender: &start, text: "hi" }));
    }
}

#[test]
fn no_relay_is_taken_for_the_notice_and_no_text_for_a_command() {
    let sender = "_ROOM_CLOSED__".to_owned() + &"x".repeat(95 - 14);
    let mut out = Vec::new();
    assert_eq!(Delivery::Relay { sender: &sender, text: "" }.encode(&mut out), Fit::Whole);
    assert!(out.starts_with(b"__ROOM_CLOSED__"));
    assert_eq!(Delivery::decode(&out), Ok(Delivery::Relay { sender: &sender, text: "" }));

    for text in ["__REGISTER__", "__LEAVE__"] {
        let mut out = Vec::new();
        let datagram = Datagram { room: "lobby", token: TOKEN_TEXT, message: Message::Chat(text) };
        assert_eq!(datagram.encode(&mut out), Err(Unsayable));
        assert!(out.is_empty());
    }
}

#[test]
fn a_client_makes_no_datagram_that_the_server_would_drop() {
    let fits = |room: usize, token: usize, text: usize| {
        let (room, token, text) = ("r".repeat(room), "t".repeat(token), "x".repeat(text));
        let mut out = Vec::new();
        let datagram = Datagram { room: &room, token: &token, message: Message::Chat(&text) };
        match datagram.encode(&mut out) {
            Ok(()) => assert_eq!(Datagram::decode(&out), Ok(datagram)),
            Err(Unsayable) => assert!(out.is_empty()),
        }
        !out.is_empty()
    };
    assert!(fits(255, 255, 4096 - 512));
    assert!(!fits(255, 255, 4096 - 511));
    assert!(!fits(256, 38, 1));
    assert!(!fits(5, 256, 1));
}

#[test]
fn a_datagram_cut_short_is_dropped_or_says_less() {
    let bytes = vector(&ucrp_vectors(), "chat-utf8");
    let (text_start, text) = (2 + 14 + 38, "こんにちは 👋");
    for end in 0..bytes.len() {
        let expected = match end.checked_sub(text_start) {
            None => Err(DatagramError::PastEnd),
            Some(kept) if text.is_char_boundary(kept) => Ok(Message::Chat(&text[..kept])),
            Some(_) => Err(DatagramError::InvalidUtf8),
        };
        assert_eq!(Datagram::decode(&bytes[..end]).map(|datagram| datagram.message), expected, "to {end}");
    }
}

#[test]
fn a_character_across_two_fields_is_dropped() {
    // "é" is c3 a9: the whole is UTF-8, its fields are not.
    assert_eq!(Datagram::decode(b"\x01\x01\xc3\xa9"), Err(DatagramError::InvalidUtf8));
    assert_eq!(Datagram::decode(b"\x00\x01\xc3\xa9"), Err(DatagramError::InvalidUtf8));
    assert_eq!(Delivery::decode(b"\x01\xc3\xa9"), Err(DatagramError::InvalidUtf8));
    assert_eq!(Delivery::decode(b"\x00\xc3"), Err(DatagramError::InvalidUtf8));
    assert_eq!(Delivery::decode(b"\x03ab"), Err(DatagramError::PastEnd));
    assert_eq!(Delivery::decode(b""), Err(DatagramError::PastEnd));
}

// Anything.

/// Decodes bytes as everything; what decodes must encode to the same bytes again. Says whether anything did.
fn check(bytes: &[u8]) -> bool {
    let mut decoded = false;
    let mut out = Vec::new();
    match Request::decode(bytes) {
        Decoded::Incomplete { bytes_min } => {
            assert!(bytes_min > bytes.len() && bytes_min <= TCRP_FRAME_BYTES_MAX);
        }
        Decoded::Whole { frame, consumed } => {
            frame.encode(&mut out).expect("it was said");
            assert_eq!(out, bytes[..consumed]);
            // Whatever it is, it must not panic.
            let _ = frame.credentials();
            decoded = true;
        }
        Decoded::Refused(refused) => encode_answer(refused.echo, Err(refused.error.refusal()), &mut out),
    }
    if let Decoded::Whole { consumed, .. } = Reply::decode(bytes) {
        assert!(consumed <= bytes.len());
        decoded = true;
    }
    if let Ok(datagram) = Datagram::decode(bytes) {
        out.clear();
        datagram.encode(&mut out).expect("it was said");
        assert_eq!(out, bytes);
        let _ = Token::parse(datagram.token);
        decoded = true;
    }
    if let Ok(delivery) = Delivery::decode(bytes) {
        out.clear();
        // What another server made too long is understood, and cut when it is said again.
        let whole = bytes.len() <= UCRP_DATAGRAM_BYTES_MAX;
        assert_eq!(delivery.encode(&mut out) == Fit::Whole, whole);
        assert_eq!(out == bytes, whole);
        decoded = true;
    }
    decoded
}

#[test]
fn random_bytes_never_panic_and_what_decodes_encodes_to_itself() {
    let mut dice = Dice(1);
    for _ in 0..50_000 {
        let length = dice.below(80);
        let bytes: Vec<u8> = (0..length).map(|_| dice.next() as u8).collect();
        check(&bytes);
    }
}

#[test]
fn vectors_with_a_few_bytes_wrong_never_panic_and_what_decodes_encodes_to_itself() {
    let mut dice = Dice(2);
    let vectors: Vec<_> = tcrp_vectors().iter().chain(&ucrp_vectors()).map(Vector::bytes).collect();
    let mut decoded = 0;
    for _ in 0..50_000 {
        let mut bytes = vectors[dice.below(vectors.len())].clone();
        for _ in 0..dice.below(4) {
            // Mostly where the lengths are.
            let end = if dice.below(2) == 0 { bytes.len() } else { bytes.len().min(40) };
            match dice.below(3) {
                _ if end == 0 => bytes.push(dice.next() as u8),
                0 => bytes[dice.below(end)] = dice.next() as u8,
                1 => drop(bytes.remove(dice.below(end))),
                _ => bytes.insert(dice.below(end), dice.next() as u8),
            }
        }
        decoded += usize::from(check(&bytes));
    }
    assert!(decoded > 10_000, "{decoded} of the cases went beyond the first check");
}
