//! The first bytes of a connection: other protocols are told from clients, however the bytes come.

use parlance::chat::{Phase, Secret};
use parlance::limits::OPENING_BYTES_MAX;
use parlance::wire::tcrp::{Operation, encode_request};
use parlance::wire::typed::{Request, TagSet};
use parlance::wire::{Dialect, Foreign, Opening, gob};

use crate::feed::{LINES, commands};

const STREAMS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];

/// How peers of other protocols begin.
const STRANGERS: [(&[u8], Foreign); 19] = [
    (b"GET / HTTP/1.1\r\nHost: localhost:4000\r\n\r\n", Foreign::Http),
    (b"GET http://localhost:4000/ HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"POST / HTTP/1.1\r\nContent-Length: 26\r\n\r\nLOGIN eve\nMSG buy things\n", Foreign::Http),
    (b"PUT /x HTTP/1.0\r\n\r\n", Foreign::Http),
    (b"HEAD / HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"PATCH /x HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"TRACE / HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"DELETE /x HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"OPTIONS * HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"CONNECT localhost:4000 HTTP/1.1\r\n\r\n", Foreign::Http),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Foreign::Http),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Foreign::Tls),
    (b"\x16\x03\x03\x00\xc5\x01", Foreign::Tls),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Foreign::Ssh),
    (b"SSH-1.99-client\r\n", Foreign::Ssh),
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 4000\r\nLOGIN eve\r\n", Foreign::Proxy),
    (b"PROXY UNKNOWN\r\n", Foreign::Proxy),
    (b"CAP LS 302\r\nNICK eve\r\nUSER eve 0 * :Eve\r\n", Foreign::Irc),
    (b"NICK eve\r\nUSER eve 0 * :Eve\r\n", Foreign::Irc),
];

/// The first clear answer of a dialect to bytes that come one by one, and the count of them.
fn byte_by_byte(dialect: Dialect, bytes: &[u8]) -> (Opening, usize) {
    let asked = (1..=bytes.len()).map(|count| (dialect.opening(&bytes[..count]), count));
    asked.into_iter().find(|(opening, _)| *opening != Opening::Unclear).expect("it becomes clear")
}

#[test]
fn each_protocol_is_recognised_in_each_dialect_in_any_pieces() {
    for (bytes, foreign) in STRANGERS {
        for dialect in STREAMS {
            assert_eq!(dialect.opening(bytes), Opening::Foreign(foreign), "{}", bytes.escape_ascii());
            let (opening, count) = byte_by_byte(dialect, bytes);
            assert_eq!(opening, Opening::Foreign(foreign), "{}", bytes.escape_ascii());
            assert!(count <= OPENING_BYTES_MAX);
        }
    }
}

#[test]
fn a_proxy_header_of_version_2_is_recognised_unless_its_first_byte_is_answered() {
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\xd4\x31\x0f\xa0";
    for dialect in STREAMS {
        assert_eq!(dialect.opening(header), Opening::Foreign(Foreign::Proxy), "{dialect:?}");
    }
    for dialect in STREAMS {
        let seen = byte_by_byte(dialect, header);
        // Its first byte is an empty line, which slash answers at once.
        let expected = match dialect {
            Dialect::Slash => (Opening::Own, 1),
            _ => (Opening::Foreign(Foreign::Proxy), OPENING_BYTES_MAX),
        };
        assert_eq!(seen, expected, "{dialect:?}");
    }
}

#[test]
fn empty_lines_in_front_of_a_line_client_are_its_own_once_a_line_follows() {
    for empty in ["\n", "\r\n", "\r", "\r\n\r\n"] {
        let stream = format!("{empty}PING\n");
        assert_eq!(byte_by_byte(Dialect::Line, stream.as_bytes()).0, Opening::Own, "{empty:?}");
    }
}

#[test]
fn a_signature_behind_a_byte_order_mark_is_one() {
    for dialect in LINES {
        let (opening, _) = byte_by_byte(dialect, b"\xef\xbb\xbfPOST / HTTP/1.1\r\n");
        assert_eq!(opening, Opening::Foreign(Foreign::Http));
        let (opening, count) = byte_by_byte(dialect, b"\xef\xbb\xbfLOGIN alice\r\n");
        assert_eq!((opening, count), (Opening::Own, 4));
    }
}

#[test]
fn people_whose_names_look_like_a_protocol_are_answered_as_soon_as_their_line_ends() {
    for name in ["GET", "POST", "PUT", "PRI", "PROXY", "SSH-2", "NICK", "CAP", "OPTIONS", "CONNECT", "G", ""]
    {
        for end in ["\n", "\r\n", "\r"] {
            let line = format!("{name}{end}");
            let opening = Dialect::Slash.opening(line.as_bytes());
            assert_eq!(opening, Opening::Own, "{line:?}");
            assert!(!commands(Dialect::Slash, Phase::Login, [line.as_bytes()]).is_empty());
        }
    }
    for line in ["GET hello\n", "PUT it there\n", "POSTPONE\n", "SSH-2 is old\n", "PROXY me\n", "PATCH up\n"]
    {
        for dialect in LINES {
            assert_eq!(byte_by_byte(dialect, line.as_bytes()).0, Opening::Own, "{line:?}");
        }
    }
}

#[test]
fn each_client_is_taken_for_what_it_is_from_its_first_eight_bytes() {
    let mut typed = Vec::new();
    for request in
        [Request::LoginName("GET / HTTP"), Request::Ping(None), Request::LoginPassword(Secret("x"))]
    {
        typed.clear();
        request.encode(TagSet::InUse, &mut typed).expect("it fits");
        assert_eq!(byte_by_byte(Dialect::Typed, &typed).0, Opening::Own);
    }
    // A room whose name is as long as the codes of the first letters of signatures.
    for room_bytes in [0x0d, 0x16, b'G', b'P', b'S', b'N', b'C', b'U', b'T', b'D', b'O', b'H'] {
        for operation in [Operation::Create, Operation::Join] {
            let (room, mut request) = ("r".repeat(room_bytes.into()), Vec::new());
            encode_request(&room, operation, "alice", None, &mut request).expect("it fits");
            assert_eq!(byte_by_byte(Dialect::Tcrp, &request), (Opening::Own, 2), "{room_bytes}");
        }
    }
    let mut message = Vec::new();
    let join = gob::Message { kind: gob::Kind::Join, sender: "alice", content: "" };
    let _ = gob::encode(&join, &mut message);
    // A definition as long as the codes of those letters.
    for length in [0x0d, 0x16, b'G', b'P', b'S', b'N', b'C', b'U', b'T', b'D', b'O', b'H'] {
        message[0] = length;
        assert_eq!(byte_by_byte(Dialect::Gob, &message), (Opening::Own, 2), "{length}");
    }
}

#[test]
fn gob_is_silent_to_a_peer_that_has_defined_no_type() {
    use parlance::wire::{Codec, Frame};
    let refusal = |stream: &[u8]| {
        let (mut codec, mut words) = (Codec::default(), Vec::new());
        let decoded = Dialect::Gob.decode_command(&mut codec, Phase::Login, stream);
        let Frame::Refused(error) = decoded.frame else { panic!("{:?}", decoded.frame) };
        Dialect::Gob.encode_refusal(&codec, Phase::Login, error, &mut words);
        words
    };
    assert!(refusal(b"\x03abc").is_empty(), "no gob");
    let (mut stream, whole) = (Vec::new(), gob::Message { kind: gob::Kind::Text, sender: "a", content: "b" });
    let _ = gob::encode(&whole, &mut stream);
    // The definition is there, and the value behind it is none.
    let definition = 1 + usize::from(stream[0]);
    stream.truncate(definition);
    stream.extend(b"\x03abc");
    assert!(!refusal(&stream).is_empty(), "a client that sends gob is told the reason");
}
