//! What a request may look like, and what is told to who sends another.

use parlance::wire::typed::{DecodeError, Decoder, Frame, Reply, Request, TagSet};

use crate::trips::{TAG_SETS, message, reply_frame, request_frame};

pub(crate) fn frame(message_type: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = message_type.to_be_bytes().to_vec();
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// What the server makes of a payload on a connection in set B.
fn refusal(message_type: u64, payload: &[u8]) -> DecodeError {
    let mut decoder = Decoder::default();
    let login = request_frame(&Request::LoginName("alice"), TagSet::InUse);
    assert!(matches!(decoder.decode(&login).frame, Frame::Whole(_)));
    let frame = frame(message_type, payload);
    match decoder.decode(&frame).frame {
        Frame::Refused(error) => error,
        other => panic!("{message_type} {payload:x?}: {other:?}"),
    }
}

#[test]
fn the_first_payload_shows_the_set_and_it_stays() {
    let string_types = [1, 2, 4, 5, 7, 9];
    for message_type in string_types {
        for (first, tags) in [(1, TagSet::Document), (2, TagSet::InUse)] {
            let mut decoder = Decoder::default();
            let frame = frame(message_type, &[first, 0, 0, 0, 1, b'a']);
            assert!(matches!(decoder.decode(&frame).frame, Frame::Whole(_)));
            assert_eq!(decoder.tags(), tags);
            // A string of the other set is none in this one.
            let other = self::frame(message_type, &[3 - first, 0, 0, 0, 1, b'a']);
            assert!(matches!(decoder.decode(&other).frame, Frame::Refused(_)));
            assert_eq!(decoder.tags(), tags);
        }
    }
    for tags in TAG_SETS {
        for request in [
            Request::Send { recipient: "bob", content: "hi" },
            Request::History { other: "bob", before: None, count: 20 },
            Request::SendKept { recipient: "bob", content: "hi", key: "1" },
        ] {
            let mut decoder = Decoder::default();
            assert_eq!(decoder.decode(&request_frame(&request, tags)).frame, Frame::Whole(request));
            assert_eq!(decoder.tags(), tags);
        }
    }
}

#[test]
fn what_shows_no_set_fixes_none() {
    let mut decoder = Decoder::default();
    for frame in [
        frame(6, &[]),
        frame(6, &[1, 0, 0, 0, 0]),
        frame(8, &[1, 0, 0, 0, 0]),
        frame(9, &[]),
        frame(1, &[]),
        frame(10, &[0, 0, 0, 0, 0, 0, 0, 0, 1]),
        frame(999, &[1, 0, 0, 0, 0]),
    ] {
        assert!(matches!(decoder.decode(&frame).frame, Frame::Whole(_) | Frame::Ignored(_)));
        assert_eq!(decoder.tags(), TagSet::InUse, "what is assumed");
    }
    let document = request_frame(&Request::MarkRead("bob"), TagSet::Document);
    assert_eq!(decoder.decode(&document).frame, Frame::Whole(Request::MarkRead("bob")));
    assert_eq!(decoder.tags(), TagSet::Document, "and not fixed until now");
}

#[test]
fn payloads_that_nobody_needs_are_not_looked_at() {
    for (message_type, expected) in [
        (6, Frame::Whole(Request::ListUsers)),
        (8, Frame::Whole(Request::DeleteAccount)),
        (0, Frame::Ignored(0)),
        (14, Frame::Ignored(14)),
        (100, Frame::Ignored(100)),
        (105, Frame::Ignored(105)),
        (u64::MAX, Frame::Ignored(u64::MAX)),
    ] {
        let frame = frame(message_type, &[0xff; 40]);
        let decoded = Decoder::default().decode(&frame);
        assert_eq!((decoded.consumed, decoded.frame), (frame.len(), expected));
    }
    assert_eq!(Reply::decode(TagSet::InUse, &frame(101, &[0xff])).frame, Frame::Whole(Reply::NameKnown));
    assert_eq!(Reply::decode(TagSet::InUse, &frame(5, &[0xff])).frame, Frame::Ignored(5));
}

#[test]
fn a_missing_payload_is_the_empty_string_where_nobody_is_hurt() {
    for (message_type, expected) in [
        (1, Request::LoginName("")),
        (4, Request::MarkRead("")),
        (5, Request::ListMessages("")),
        (7, Request::DeleteMessage("")),
        (13, Request::Clear("")),
        (9, Request::Ping(None)),
    ] {
        assert_eq!(Decoder::default().decode(&frame(message_type, &[])).frame, Frame::Whole(expected));
    }
    for message_type in [2, 3, 10, 11, 12] {
        assert_eq!(refusal(message_type, &[]), DecodeError::PayloadMissing);
    }
    for message_type in [100, 103, 105, 106, 110, 111] {
        let frame = frame(message_type, &[]);
        let decoded = Reply::decode(TagSet::InUse, &frame).frame;
        assert_eq!(decoded, Frame::Refused(DecodeError::PayloadMissing));
    }
}

#[test]
fn a_payload_of_another_shape_is_refused() {
    let ab = [2, 0, 0, 0, 2, b'a', b'b'];
    let list = |count: u8, items: &[&[u8]]| [&[3, 0, 0, 0, count], &items.concat()[..]].concat();
    let int = |int: i64| [&[0], &int.to_be_bytes()[..]].concat();
    for (message_type, payload, error) in [
        (3, ab.to_vec(), DecodeError::WrongKind),
        (3, list(1, &[&ab]), DecodeError::WrongKind),
        (3, list(3, &[&ab, &ab, &ab]), DecodeError::WrongKind),
        (3, list(2, &[&ab, &int(1)]), DecodeError::WrongKind),
        (3, list(2, &[&ab, &list(0, &[])]), DecodeError::WrongKind),
        (3, list(2, &[&ab, &ab, &ab]), DecodeError::TrailingBytes),
        (3, list(2, &[&ab, &[7, 0, 0, 0, 0]]), DecodeError::UnknownTag(7)),
        (3, list(2, &[&ab, &ab[..6]]), DecodeError::StringCutShort),
        (1, list(0, &[]), DecodeError::WrongKind),
        (1, [&ab[..], &[0]].concat(), DecodeError::TrailingBytes),
        (2, int(1), DecodeError::WrongKind),
        (10, int(2), DecodeError::OutOfRange),
        (10, int(-1), DecodeError::OutOfRange),
        (10, ab.to_vec(), DecodeError::WrongKind),
        (10, [int(1), int(1)].concat(), DecodeError::TrailingBytes),
        (11, list(3, &[&ab, &ab, &int(-1)]), DecodeError::OutOfRange),
        (11, list(3, &[&ab, &ab, &int(1 << 32)]), DecodeError::OutOfRange),
        (11, list(3, &[&ab, &ab, &ab]), DecodeError::WrongKind),
        (12, list(3, &[&ab, &ab, &int(1)]), DecodeError::WrongKind),
        (12, list(2, &[&ab, &ab]), DecodeError::WrongKind),
    ] {
        assert_eq!(refusal(message_type, &payload), error, "{message_type} {payload:x?}");
    }
}

#[test]
fn a_reply_of_another_shape_is_refused() {
    let sound = reply_frame(&Reply::Message(message("hi", true)), TagSet::InUse);
    let status = sound.windows(6).rposition(|window| window == b"unread").expect("there");
    let mut bytes = sound.clone();
    bytes[status] = b'U';
    assert_eq!(Reply::decode(TagSet::InUse, &bytes).frame, Frame::Refused(DecodeError::WrongKind));
    let key = sound.windows(6).position(|window| window == b"sender").expect("there");
    bytes.clone_from(&sound);
    bytes[key] = b'S';
    assert_eq!(Reply::decode(TagSet::InUse, &bytes).frame, Frame::Refused(DecodeError::NotChatMessage));
    // Set A does not know a dict for a message until it asks one for its keys.
    let mut bytes = reply_frame(&Reply::Message(message("hi", true)), TagSet::Document);
    let key = bytes.windows(6).position(|window| window == b"sender").expect("there");
    bytes[key] = b'S';
    assert_eq!(Reply::decode(TagSet::Document, &bytes).frame, Frame::Refused(DecodeError::NotChatMessage));

    let int = |int: i64| [&[0], &int.to_be_bytes()[..]].concat();
    for (message_type, payload, error) in [
        (103, [vec![3, 0, 0, 0, 1], int(1)].concat(), DecodeError::WrongKind),
        (105, vec![3, 0, 0, 0, 1, 2, 0, 0, 0, 0], DecodeError::WrongKind),
        (105, vec![4, 0, 0, 0, 0], DecodeError::WrongKind),
        (106, vec![3, 0, 0, 0, 0], DecodeError::WrongKind),
        (106, [vec![4, 0, 0, 0, 1, 2, 0, 0, 0, 0], int(-1)].concat(), DecodeError::OutOfRange),
        (106, [vec![4, 0, 0, 0, 1, 2, 0, 0, 0, 0], vec![2, 0, 0, 0, 0]].concat(), DecodeError::WrongKind),
        (111, vec![3, 0, 0, 0, 1, 2, 0, 0, 0, 0], DecodeError::WrongKind),
    ] {
        let frame = frame(message_type, &payload);
        assert_eq!(Reply::decode(TagSet::InUse, &frame).frame, Frame::Refused(error), "{payload:x?}");
    }
}

#[test]
fn a_time_of_any_number_is_a_time() {
    for (number, millis) in [
        ([&[1], &1.25_f64.to_be_bytes()[..]].concat(), 1250),
        ([&[1], &(-1.0_f64).to_be_bytes()[..]].concat(), 0),
        ([&[1], &f64::NAN.to_be_bytes()[..]].concat(), 0),
        ([&[1], &f64::INFINITY.to_be_bytes()[..]].concat(), u64::MAX),
        ([&[0], &3_i64.to_be_bytes()[..]].concat(), 3000),
        ([&[0], &(-3_i64).to_be_bytes()[..]].concat(), 0),
        ([&[0], &i64::MAX.to_be_bytes()[..]].concat(), u64::MAX),
    ] {
        let mut bytes = reply_frame(&Reply::Message(message("hi", true)), TagSet::InUse);
        let key = bytes.windows(9).position(|window| window == b"timestamp").expect("there");
        bytes[key + 9..key + 18].copy_from_slice(&number);
        let Frame::Whole(Reply::Message(message)) = Reply::decode(TagSet::InUse, &bytes).frame else {
            panic!("{number:x?}");
        };
        assert_eq!(message.at.0, millis);
    }
}
