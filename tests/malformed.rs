//! What nobody should send, over real sockets: its sender is told or not, as each dialect has it; nobody else notices; and
//! it is counted by its cause. The codecs say what is wrong with bytes (their own tests hold them to tables); here it is
//! what the server does about it.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use parlance::chat::Token;
use parlance::wire::Dialect;
use parlance::wire::gob::{self, GobError, Kind};
use parlance::wire::tcrp::{self, Refusal};
use parlance::wire::typed::{self, Request, TagSet};
use parlance::wire::ucrp::{Datagram, DatagramError, Message};
use serde_json::Value;
use support::gob::{GobPeer, Struct};
use support::person::{Heard, IN_ROOMS, Person, private, room};
use support::seat::{ELSEWHERE, HERE, Seat, exchange, outcome};
use support::typed::{Told, TypedPeer};
use support::{TestServer, connect_from, unhex};

/// A vector, as far as it matters here.
struct Vector {
    name: String,
    bytes: Vec<u8>,
    value: Value,
}

impl Vector {
    fn is(&self, key: &str) -> bool {
        self.value[key] == true
    }
}

fn vectors(json: &str) -> Vec<Vector> {
    let values: Vec<Value> = serde_json::from_str(json).expect("vectors");
    let vectors = values.into_iter().map(|value| Vector {
        name: value["name"].as_str().expect("a name").to_owned(),
        bytes: unhex(value["hex"].as_str().expect("hex")),
        value,
    });
    vectors.filter(|vector| vector.value["direction"] == "client->server").collect()
}

/// Causes, and how often each is expected.
#[derive(Default)]
struct Causes(BTreeMap<&'static str, u64>);

impl Causes {
    fn count(&mut self, cause: &'static str) {
        *self.0.entry(cause).or_default() += 1;
    }
}

/// One in each dialect, who go on talking whatever happens.
struct Witnesses {
    people: Vec<Person>,
    rounds: usize,
}

impl Witnesses {
    fn new(server: &TestServer) -> Self {
        let in_lobby = |dialect: Dialect| Person::in_lobby(server, dialect, &format!("w-{}", dialect.name()));
        let mut people: Vec<_> = IN_ROOMS.map(in_lobby).into();
        people.push(Person::with_mailbox(server, TagSet::InUse, "w-typed", "secret"));
        let mut witnesses = Self { people, rounds: 0 };
        witnesses.pass_over();
        witnesses
    }

    /// What happened before is not of interest.
    fn pass_over(&mut self) {
        for person in &mut self.people {
            person.heard();
        }
    }

    #[track_caller]
    fn expect(&mut self, expected: impl Fn(&Person) -> Vec<Heard>) {
        for person in &mut self.people {
            assert_eq!(person.heard(), expected(person), "{}", person.name);
        }
    }

    /// They have noticed nothing, and still hear each other: one says something to all, and one to one.
    #[track_caller]
    fn go_on(&mut self) {
        self.expect(|_| vec![]);
        let in_room = self.people.len() - 1;
        let (speaker, listener) = (self.rounds % in_room, self.rounds % self.people.len());
        let text = format!("round {}", self.rounds);
        self.rounds += 1;
        let [from, to] = [speaker, listener].map(|index| self.people[index].name.clone());
        self.people[speaker].say(&text);
        let mut heard = self.people[speaker].heard();
        assert_eq!(heard, self.people[speaker].echo(&text));
        for person in self.people[..in_room].iter_mut().filter(|person| person.name != from) {
            heard = person.heard();
            assert_eq!(heard, [room(&from, &text)], "{}", person.name);
        }
        self.people[in_room].tell(&to, &text);
        self.people[in_room].heard().clear();
        let told = if listener == in_room { vec![] } else { vec![private("w-typed", &text)] };
        assert_eq!(self.people[listener].heard(), told);
    }
}

// TCRP.

/// What each malformed request is answered; nothing, where it never comes whole or is another protocol's. All
/// are for the lobby, which is there.
const HANDSHAKES: [(&str, Option<Refusal>); 21] = [
    ("short-header-10", None),
    ("short-header-31", None),
    ("header-only", None),
    ("short-payload", None),
    ("state-1-request", Some(Refusal::BadState)),
    ("state-2-request", Some(Refusal::BadState)),
    ("state-255-request", Some(Refusal::BadState)),
    ("op-9", Some(Refusal::BadOperation)),
    ("op-0", Some(Refusal::BadOperation)),
    ("payload-2^31", Some(Refusal::TooLong)),
    ("payload-2^40", Some(Refusal::TooLong)),
    ("payload-2^63", Some(Refusal::TooLong)),
    ("payload-max", Some(Refusal::TooLong)),
    ("payload-0", Some(Refusal::BadName)),
    ("payload-not-json", Some(Refusal::RoomExists)),
    ("pad-byte-set", Some(Refusal::TooLong)),
    ("room-invalid-utf8", Some(Refusal::BadRoom)),
    ("payload-invalid-utf8", Some(Refusal::BadName)),
    ("trailing-bytes", Some(Refusal::RoomExists)),
    ("two-requests", Some(Refusal::RoomExists)),
    ("http-get", None),
];

/// A request from the description of the protocol alone.
fn handshake(room: &[u8], operation: u8, payload: &[u8]) -> Vec<u8> {
    let mut request = vec![u8::try_from(room.len()).expect("short"), operation, 0];
    request.extend([0; 25]);
    request.extend(u32::try_from(payload.len()).expect("short").to_be_bytes());
    request.extend(room);
    request.extend(payload);
    request
}

/// Counts what the codec finds wrong with a request, and tells what the answer repeats of it.
fn look_at_handshake(bytes: &[u8], causes: &mut Causes) -> (String, u8) {
    if bytes.starts_with(b"GET /") {
        causes.count("foreign-http");
        return (String::new(), 0);
    }
    match tcrp::Request::decode(bytes) {
        tcrp::Decoded::Refused(refused) => {
            causes.count(refused.error.cause());
            (refused.echo.room().to_owned(), refused.echo.operation())
        }
        tcrp::Decoded::Whole { frame, .. } => {
            if let Err(error) = frame.credentials() {
                causes.count(error.cause());
            }
            (frame.room.to_owned(), frame.operation.byte())
        }
        tcrp::Decoded::Incomplete { .. } => (String::new(), 0),
    }
}

#[test]
fn a_handshake_that_is_none_is_answered_why() {
    let server = TestServer::start();
    let mut witnesses = Witnesses::new(&server);
    let mut causes = Causes::default();
    let vectors = vectors(include_str!("vectors/tcrp.json"));
    let malformed: Vec<_> = vectors.iter().filter(|vector| vector.is("malformed")).collect();
    assert_eq!(malformed.len(), HANDSHAKES.len());
    for vector in malformed {
        let (_, expected) = HANDSHAKES.iter().find(|(name, _)| *name == vector.name).expect("it is listed");
        let (room, operation) = look_at_handshake(&vector.bytes, &mut causes);
        if let Some(refusal) = expected {
            let answer = exchange(&server, HERE, &vector.bytes);
            assert_eq!(outcome(&answer, &room, operation), Err(*refusal), "{}", vector.name);
        } else {
            let mut stream = connect_from(HERE, server.address(Dialect::Tcrp));
            stream.write_all(&vector.bytes).expect("the server reads");
            stream.shutdown(std::net::Shutdown::Write).expect("it was open");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("the server closes");
            assert!(answer.is_empty(), "{}", vector.name);
        }
        witnesses.go_on();
    }
    // Nobody has to be waited for.
    drop(witnesses);
    assert_eq!(server.stop().metrics.refused, causes.0);
    assert_eq!(causes.0["tcrp-state"], 3);
    assert_eq!(causes.0["tcrp-payload-too-long"], 5);
}

#[test]
fn a_name_or_a_room_that_is_none_is_answered_which() {
    let server = TestServer::start();
    let mut witnesses = Witnesses::new(&server);
    let mut causes = Causes::default();
    let long = format!("\"{}\"", "n".repeat(33));
    let requests: [(&[u8], u8, &[u8], Refusal); 16] = [
        (b"", 1, b"\"alice\"", Refusal::BadRoom),
        (b" den", 1, b"\"alice\"", Refusal::BadRoom),
        (b"d\ten", 1, b"\"alice\"", Refusal::BadRoom),
        (b"d\nen", 1, b"\"alice\"", Refusal::BadRoom),
        (b"den", 2, b"\"alice\"", Refusal::NoSuchRoom),
        (b"lobby", 1, b"\"alice\"", Refusal::RoomExists),
        (b"den", 1, b"\"\"", Refusal::BadName),
        (b"den", 1, b"", Refusal::BadName),
        (b"den", 1, b"\"alice", Refusal::BadName),
        (b"den", 1, b"\"alice\" x", Refusal::BadName),
        (b"den", 1, b"{\"username\": \"alice\"", Refusal::BadName),
        (b"den", 1, b"{\"password\": \"secret\"}", Refusal::BadName),
        (b"den", 1, b"{\"username\": 7}", Refusal::BadName),
        (b"den", 1, b"\"Server\"", Refusal::NameTaken),
        (b"den", 1, b"\"W-LINE\"", Refusal::NameTaken),
        (b"den", 1, long.as_bytes(), Refusal::TooLong),
    ];
    for (room, operation, payload, refusal) in requests {
        let request = handshake(room, operation, payload);
        look_at_handshake(&request, &mut causes);
        let answer = exchange(&server, HERE, &request);
        let room = str::from_utf8(room).expect("UTF-8");
        assert_eq!(outcome(&answer, room, operation), Err(refusal), "{room} {payload:?}");
        witnesses.go_on();
    }
    drop(witnesses);
    let report = server.stop();
    assert_eq!(report.metrics.refused, causes.0);
    assert_eq!(causes.0["tcrp-payload-unreadable"], 5);
}

#[test]
fn a_handshake_may_come_in_any_pieces() {
    let server = TestServer::start();
    let mut stream = connect_from(HERE, server.address(Dialect::Tcrp));
    for byte in handshake("дом".as_bytes(), 1, b"\"alice\"") {
        stream.write_all(&[byte]).expect("the server reads");
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server closes");
    assert!(outcome(&answer, "дом", 1).is_ok());
}

#[test]
fn announced_lengths_are_refused_from_the_header_alone() {
    let server = TestServer::start();
    for exponent in [31, 63, 223, 224, 231] {
        let mut header = vec![5, 1, 0];
        let mut length = [0; 29];
        length[28 - exponent / 8] = 1 << (exponent % 8);
        header.extend(length);
        let answer = exchange(&server, HERE, &header);
        assert_eq!(outcome(&answer, "", 1), Err(Refusal::TooLong), "2^{exponent}");
    }
    for length in [1_u32 << 31, u32::MAX, 1 << 14] {
        let mut peer = TypedPeer::connect(&server, TagSet::InUse);
        peer.send_raw(&[&3_u64.to_be_bytes()[..], &length.to_be_bytes()].concat());
        assert_eq!(peer.next(), Told::Error("the payload is too long".to_owned()));
        peer.expect_end();
    }
    for length in [1_u64 << 31, 1 << 62, 1 << 63, u64::MAX] {
        let mut peer = GobPeer::join(&server, "gob");
        let digits = length.to_be_bytes();
        let digits = &digits[length.leading_zeros() as usize / 8..];
        peer.send_raw(&[&[(digits.len() as u8).wrapping_neg()], digits].concat());
        peer.expect(Kind::Text, "server", "the length of a gob message is out of range");
        peer.expect_end();
    }
    let report = server.stop();
    assert_eq!(report.metrics.refused_for("tcrp-payload-too-long"), 5);
    assert_eq!(report.metrics.refused_for("typed-payload-too-long"), 3);
    assert_eq!(report.metrics.refused_for("gob-length-out-of-range"), 4);
}

// UCRP.

/// The token in the vectors.
const VECTORS_TOKEN: &[u8] = b"token_0123456789abcdef0123456789abcdef";

#[test]
fn a_datagram_that_is_none_is_dropped_and_counted() {
    let server = TestServer::start();
    let mut witnesses = Witnesses::new(&server);
    let mut causes = Causes::default();
    let seat = Seat::join(&server, "lobby", "ursula");
    seat.register();
    witnesses.pass_over();
    let token = seat.token().reveal();
    let mut datagrams: Vec<_> = vectors(include_str!("vectors/ucrp.json"))
        .into_iter()
        .filter(|vector| vector.is("malformed") || vector.is("oversize"))
        .map(|vector| (vector.name, vector.bytes))
        .collect();
    assert_eq!(datagrams.len(), 14);
    datagrams.push(("as long as can be".to_owned(), vec![b'x'; 65_507]));
    for (name, mut bytes) in datagrams {
        // But for what is wrong with it, it would count.
        let at = bytes.windows(VECTORS_TOKEN.len()).position(|window| window == VECTORS_TOKEN);
        if let Some(at) = at {
            bytes[at..at + token.len()].copy_from_slice(token.as_bytes());
        }
        match Datagram::decode(&bytes) {
            Err(error) => causes.count(error.cause()),
            Ok(datagram) => {
                assert_eq!(Token::parse(datagram.token), None, "{name}");
                causes.count("ucrp-unknown-token");
            }
        }
        seat.send_raw(&bytes);
        assert_eq!(seat.heard(), [], "{name}");
        witnesses.go_on();
        assert_eq!(seat.heard().len(), 1, "what the witness said, and nothing else");
    }
    drop(witnesses);
    let report = server.stop();
    assert_eq!(report.metrics.refused, causes.0);
    for cause in [DatagramError::PastEnd, DatagramError::InvalidUtf8, DatagramError::TooLong] {
        assert!(report.metrics.refused_for(cause.cause()) > 1, "{cause}");
    }
}

#[test]
fn a_datagram_that_shows_what_it_should_not_know_does_nothing() {
    let server = TestServer::start();
    let host = Seat::create(&server, "den", "hanna");
    let bert = Seat::join(&server, "den", "bert");
    let attic = Seat::create(&server, "attic", "otto");
    let thief = Seat::join_from(&server, ELSEWHERE, "den", "mallory");
    for seat in [&host, &bert, &attic, &thief] {
        seat.register();
    }
    let all = [Message::Register, Message::Leave, Message::Chat("hi"), Message::Chat("/msg bert hi")];

    // A token of one's own in another's room.
    let token = attic.token().reveal();
    for message in all {
        attic.send_as("den", &token, message);
        attic.send_as("lobby", &token, message);
        attic.send_as("", &token, message);
        assert_eq!(attic.heard(), []);
    }
    // Tokens that are nobody's.
    let token = bert.token().reveal();
    let mut last_digit = token.to_string();
    let last = if last_digit.ends_with('0') { "1" } else { "0" };
    last_digit.replace_range(last_digit.len() - 1.., last);
    for guess in ["", "token_", &token[..37], &token.to_uppercase(), &format!("{token}0"), &last_digit] {
        for message in all {
            bert.send_as("den", guess, message);
            assert_eq!(bert.heard(), [], "{guess}");
        }
    }
    // Another's token, from another address.
    for victim in [&host, &bert] {
        for message in all {
            thief.send_as("den", &victim.token().reveal(), message);
            assert_eq!(thief.heard(), []);
        }
    }
    // Nobody has heard of it, left, or moved.
    for seat in [&host, &bert, &attic, &thief] {
        assert_eq!(seat.heard(), []);
    }
    host.say("all is well");
    for seat in [&bert, &thief] {
        seat.expect("hanna", "all is well");
    }
    let metrics = server.stop().metrics;
    let expected =
        BTreeMap::from([("ucrp-other-room", 12), ("ucrp-unknown-token", 24), ("ucrp-other-address", 8)]);
    assert_eq!(metrics.refused, expected);
}

// Typed.

/// What the contract says of what, whatever the codec makes of the rest.
const OBJECTS: [(&str, &str); 8] = [
    ("bad-unknown-tag", "typed-unknown-tag"),
    ("bad-string-truncated", "typed-string-cut-short"),
    ("bad-string-invalid-utf8", "typed-invalid-utf8"),
    ("bad-dict-key-int", "typed-key-not-string"),
    ("bad-nesting-200", "typed-too-deep"),
    ("bad-trailing-bytes", "typed-trailing-bytes"),
    ("bad-list-count-max", "typed-count-too-large"),
    ("bad-frame-data-len-max", "typed-payload-too-long"),
];

fn list_messages(payload: &[u8]) -> Vec<u8> {
    [&5_u64.to_be_bytes()[..], &(payload.len() as u32).to_be_bytes(), payload].concat()
}

#[test]
fn a_request_that_is_none_is_answered_why_and_the_connection_ends() {
    let server = TestServer::start();
    let mut witnesses = Witnesses::new(&server);
    let mut causes = Causes::default();
    let (mut refused, mut met) = (0, 0);
    for vector in vectors(include_str!("vectors/typed.json")) {
        if !vector.is("malformed") {
            continue;
        }
        let all_tags = match vector.value["dialect"].as_str() {
            Some("typed-final") => vec![TagSet::InUse],
            Some("typed-doc") => vec![TagSet::Document],
            _ => vec![TagSet::InUse, TagSet::Document],
        };
        for tags in all_tags {
            let name = format!("{} in {tags:?}", vector.name);
            let is_frame = vector.value["kind"] == "frame";
            let bytes = if is_frame { vector.bytes.clone() } else { list_messages(&vector.bytes) };
            // A name, which shows the tag set.
            let mut name_request = Vec::new();
            Request::LoginName("x").encode(tags, &mut name_request).expect("it fits");
            let mut decoder = typed::Decoder::default();
            decoder.decode(&name_request);
            let mut peer = TypedPeer::connect(&server, tags);
            peer.send_raw(&[name_request, bytes.clone()].concat());
            assert_eq!(peer.next(), Told::New);
            match decoder.decode(&bytes).frame {
                typed::Frame::Refused(error) => {
                    causes.count(error.cause());
                    let named = OBJECTS.iter().find(|(name, _)| vector.name.split('/').next() == Some(name));
                    if let Some((_, cause)) = named {
                        assert_eq!(error.cause(), *cause, "{name}");
                    }
                    assert_eq!(peer.next(), Told::Error(error.to_string()), "{name}");
                    refused += 1;
                }
                typed::Frame::Incomplete => peer.finish(),
                // No object at all is the empty string: nothing is wrong with it but that nobody is logged in.
                typed::Frame::Whole(Request::ListMessages("")) => {
                    assert_eq!(peer.next(), Told::Error("not logged in".to_owned()), "{name}");
                    assert_eq!(peer.heard(), [], "{name}");
                    peer.finish();
                }
                other => panic!("{name}: {other:?}"),
            }
            peer.expect_end();
            met += 1;
            witnesses.go_on();
        }
    }
    assert!(refused > 40 && met > refused, "{refused} of {met}");
    // Nobody has to be waited for.
    drop(witnesses);
    assert_eq!(server.stop().metrics.refused, causes.0);
}

#[test]
fn nothing_behind_a_refused_request_is_looked_at() {
    for tags in [TagSet::InUse, TagSet::Document] {
        let server = TestServer::start();
        let mut anna = TypedPeer::connect(&server, tags);
        anna.log_in("anna", "secret");
        let mut bytes = list_messages(b"\xff");
        for request in [Request::ListUsers, Request::DeleteAccount] {
            request.encode(tags, &mut bytes).expect("it fits");
        }
        anna.send_raw(&bytes);
        assert_eq!(anna.next(), Told::Error("unknown tag 0xff".to_owned()));
        anna.expect_end();
        let mut anna = TypedPeer::connect(&server, tags);
        assert_eq!(anna.log_in("anna", "secret"), ["anna"]);
    }
}

#[test]
fn a_request_may_come_in_any_pieces() {
    for tags in [TagSet::InUse, TagSet::Document] {
        let server = TestServer::start();
        let mut anna = TypedPeer::connect(&server, tags);
        anna.log_in("anna", "secret");
        let mut bytes = Vec::new();
        for request in [Request::Send { recipient: "anna", content: "🦀" }, Request::ListMessages("anna")] {
            request.encode(tags, &mut bytes).expect("it fits");
        }
        for byte in bytes {
            anna.send_raw(&[byte]);
        }
        let Told::Messages(letters) = anna.next() else { panic!("no messages") };
        assert_eq!(letters.len(), 1);
    }
}

// gob.

/// What a decoder finds in bytes that follow a join.
#[derive(Default)]
struct Found {
    messages: Vec<(Kind, String)>,
    errors: Vec<GobError>,
    is_cut: bool,
}

fn look_at_gob(bytes: &[u8]) -> Found {
    let mut join = Vec::new();
    let message = gob::Message { kind: Kind::Join, sender: "x", content: "" };
    assert_eq!(gob::encode(&message, &mut join), parlance::wire::Fit::Whole);
    let mut decoder = gob::Decoder::default();
    decoder.decode(&join);
    let mut found = Found::default();
    let mut rest = bytes;
    loop {
        let gob::Decoded { consumed, frame } = decoder.decode(rest);
        rest = &rest[consumed..];
        match frame {
            gob::Frame::Whole(message) => found.messages.push((message.kind, message.content.to_owned())),
            gob::Frame::Refused(error) => found.errors.push(error),
            gob::Frame::Incomplete => {
                found.is_cut = !rest.is_empty();
                return found;
            }
        }
    }
}

#[test]
fn a_struct_that_is_none_is_told_to_its_sender_and_dropped() {
    let server = TestServer::start();
    let mut witnesses = Witnesses::new(&server);
    let mut causes = Causes::default();
    let (mut ended, mut cut, mut went_on) = (0, 0, 0);
    for vector in vectors(include_str!("vectors/gob.json")) {
        let Found { messages, errors, is_cut } = look_at_gob(&vector.bytes);
        if errors.is_empty() && !vector.is("malformed") {
            continue;
        }
        let name = &vector.name;
        let mut peer = GobPeer::join(&server, "gustav");
        witnesses.pass_over();
        peer.send_raw(&vector.bytes);
        for error in &errors {
            causes.count(error.cause());
            assert_eq!(peer.next(), Struct::text("server", &error.to_string()), "{name}");
        }
        let leaves = messages.iter().any(|(kind, _)| *kind == Kind::Leave);
        if leaves || errors.iter().any(|error| error.ends_stream()) {
            ended += 1;
        } else if is_cut {
            peer.finish();
            cut += 1;
        } else {
            // It is as good as any.
            assert_eq!(peer.heard(), [], "{name}");
            witnesses.expect(|person| {
                let texts = messages.iter().filter(|(kind, text)| *kind == Kind::Text && !text.is_empty());
                let heard = texts.flat_map(|(_, text)| person.shown(text, |text| room("gustav", text)));
                heard.filter(|_| !person.name.ends_with("typed")).collect()
            });
            peer.say("still here");
            assert_eq!(peer.heard(), [], "{name}");
            peer.send(Kind::Leave, "");
            went_on += 1;
        }
        peer.expect_end();
        witnesses.pass_over();
        witnesses.go_on();
    }
    assert_eq!((ended, cut), (3, 2));
    assert!(went_on > 10, "{went_on}");
    drop(witnesses);
    let report = server.stop();
    assert_eq!(report.metrics.refused, causes.0);
    assert_eq!(causes.0["gob-length-malformed"], 1);
    assert_eq!(causes.0["gob-length-out-of-range"], 2);
}

#[test]
fn what_is_too_long_for_gob_is_skipped_and_what_follows_is_not() {
    let server = TestServer::start();
    let mut witnesses = Witnesses::new(&server);
    let mut peer = GobPeer::join(&server, "gustav");
    witnesses.pass_over();
    // A length of 2^20 is a text pasted by mistake; one more is none.
    let mut bytes = vec![0xfd, 0x10, 0x00, 0x00];
    bytes.resize(4 + (1 << 20), b'x');
    peer.send_raw(&bytes);
    peer.expect(Kind::Text, "server", "the gob message is too long");
    witnesses.go_on();
    let heard = peer.heard();
    assert_eq!(heard, [Struct::text("w-line", "round 0")]);
    peer.send_raw(&[0xfd, 0x10, 0x00, 0x01]);
    peer.expect(Kind::Text, "server", "the length of a gob message is out of range");
    peer.expect_end();
}
