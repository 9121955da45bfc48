//! What one side writes, the other side reads.

use parlance::chat::Secret;
use parlance::limits::{TYPED_REPLY_BYTES_MAX, TYPED_REQUEST_BYTES_MAX};
use parlance::wire::typed::{
    Decoded, Decoder, Frame, HEADER_BYTES, Message, MessagesFrame, NamesFrame, Reply, Request, TagSet,
    TooLong, UnixMillis, User, UsersFrame,
};

use crate::feed::{replies, requests, segmentations, shown};

pub(crate) const TAG_SETS: [TagSet; 2] = [TagSet::Document, TagSet::InUse];
const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/// One of each, a text in each place where one can be.
pub(crate) fn all_requests(text: &str) -> [Request<'_>; 17] {
    [
        Request::LoginName(text),
        Request::LoginPassword(Secret(text)),
        Request::Send { recipient: "bob", content: text },
        Request::Send { recipient: text, content: "" },
        Request::MarkRead(text),
        Request::ListMessages(text),
        Request::ListUsers,
        Request::DeleteMessage(text),
        Request::DeleteAccount,
        Request::Ping(Some(text)),
        Request::Ping(None),
        Request::Subscribe(true),
        Request::Subscribe(false),
        Request::History { other: text, before: None, count: 0 },
        Request::History { other: "", before: Some(ID), count: u32::MAX },
        Request::SendKept { recipient: "bob", content: text, key: "k" },
        Request::Clear(text),
    ]
}

pub(crate) fn message(content: &str, unread: bool) -> Message<'_> {
    let at = UnixMillis(1_700_000_000_123 + content.len() as u64);
    Message { id: ID, at, sender: "alice", recipient: content, content, unread }
}

/// One of each that is no list.
pub(crate) fn single_replies(text: &str) -> [Reply<'_>; 7] {
    [
        Reply::Error(text),
        Reply::NameKnown,
        Reply::NameNew,
        Reply::LoginFailed,
        Reply::Message(message(text, true)),
        Reply::Message(message(text, false)),
        Reply::Kept { key: text, id: ID },
    ]
}

const TEXTS: [&str; 4] = ["", "hello", "héllo 山田 👋\n\0\u{1b}", "\u{1}\u{2}\u{3}\u{4}\u{5}"];

pub(crate) fn request_frame(request: &Request<'_>, tags: TagSet) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(tags, &mut out).expect("it fits");
    out
}

pub(crate) fn reply_frame(reply: &Reply<'_>, tags: TagSet) -> Vec<u8> {
    let mut out = Vec::new();
    reply.encode(tags, &mut out).expect("it fits");
    out
}

#[test]
fn the_server_reads_what_the_client_writes_however_it_is_cut() {
    for tags in TAG_SETS {
        for text in TEXTS {
            let mut stream = Vec::new();
            // The first one shows the set.
            for request in all_requests(text) {
                request.encode(tags, &mut stream).expect("it fits");
            }
            let expected: Vec<_> = all_requests(text).into_iter().map(shown).collect();
            assert_eq!(requests(Decoder::default(), [&stream[..]]), expected);
            for pieces in segmentations(&stream) {
                assert_eq!(requests(Decoder::default(), pieces), expected);
            }
        }
    }
}

#[test]
fn the_client_reads_what_the_server_writes_however_it_is_cut() {
    for tags in TAG_SETS {
        for text in TEXTS {
            let mut stream = Vec::new();
            for reply in single_replies(text) {
                reply.encode(tags, &mut stream).expect("it fits");
            }
            let expected: Vec<_> = single_replies(text).iter().map(|reply| format!("{reply:?}")).collect();
            assert_eq!(replies(tags, [&stream[..]]), expected);
            for pieces in segmentations(&stream) {
                assert_eq!(replies(tags, pieces), expected);
            }
        }
    }
}

#[test]
fn lists_are_read_entry_by_entry_as_they_were_written_and_can_be_written_again() {
    for tags in TAG_SETS {
        for count in [0, 1, 3] {
            let texts = &TEXTS[..count];
            // Behind another frame, whose bytes must stay as they are.
            let mut out = reply_frame(&Reply::NameNew, tags);
            let mut names = NamesFrame::begin(tags, &mut out);
            for name in texts {
                names.push(name).expect("it fits");
            }
            let mut messages = MessagesFrame::begin(tags, &mut out);
            for text in texts {
                messages.push(&message(text, true)).expect("it fits");
            }
            let mut users = UsersFrame::begin(tags, &mut out);
            for name in texts {
                users.push(User { name, unread: u32::MAX }).expect("it fits");
            }

            let expected = [
                "NameNew".to_owned(),
                format!("LoggedIn {texts:?}"),
                format!("Messages {:?}", texts.iter().map(|text| message(text, true)).collect::<Vec<_>>()),
                format!(
                    "Users {:?}",
                    texts.iter().map(|name| User { name, unread: u32::MAX }).collect::<Vec<_>>()
                ),
            ];
            assert_eq!(replies(tags, [&out[..]]), expected);
            for pieces in segmentations(&out) {
                assert_eq!(replies(tags, pieces), expected);
            }

            let mut again = Vec::new();
            let mut rest = &out[..];
            while !rest.is_empty() {
                let Decoded { consumed, frame: Frame::Whole(reply) } = Reply::decode(tags, rest) else {
                    panic!("whole");
                };
                reply.encode(tags, &mut again).expect("it fits");
                rest = &rest[consumed..];
            }
            assert_eq!(again, out);
        }
    }
}

#[test]
fn a_list_is_a_whole_frame_after_each_entry() {
    for tags in TAG_SETS {
        let mut out = Vec::new();
        for count in 0..5 {
            out.clear();
            let mut names = NamesFrame::begin(tags, &mut out);
            (0..count).for_each(|_| names.push("alice").expect("it fits"));
            let Decoded { consumed, frame: Frame::Whole(Reply::LoggedIn(names)) } = Reply::decode(tags, &out)
            else {
                panic!("whole");
            };
            assert_eq!((consumed, names.count()), (out.len(), count));
        }
    }
}

#[test]
fn a_list_takes_entries_up_to_its_bound_and_stays_whole() {
    let text = "x".repeat(10_000);
    for tags in TAG_SETS {
        let mut out = Vec::new();
        let mut pushed = 0;
        let mut messages = MessagesFrame::begin(tags, &mut out);
        while messages.push(&message(&text, true)) == Ok(()) {
            pushed += 1;
        }
        let payload_bytes = out.len() - HEADER_BYTES;
        assert!(payload_bytes <= TYPED_REPLY_BYTES_MAX && payload_bytes + 21_000 > TYPED_REPLY_BYTES_MAX);
        let Frame::Whole(Reply::Messages(read)) = Reply::decode(tags, &out).frame else { panic!("whole") };
        assert_eq!(read.count(), pushed);

        out.clear();
        let mut users = UsersFrame::begin(tags, &mut out);
        let user = User { name: &text, unread: 1 };
        while users.push(user) == Ok(()) {}
        let mut names = NamesFrame::begin(tags, &mut out);
        while names.push(&text) == Ok(()) {}
        assert_eq!(replies(tags, [&out[..]]).len(), 2);
    }
}

#[test]
fn a_list_may_have_as_many_bytes_as_its_bound_and_not_one_more() {
    for tags in TAG_SETS {
        let empty = {
            let mut out = Vec::new();
            let mut names = NamesFrame::begin(tags, &mut out);
            names.push("").expect("it fits");
            out.len() - HEADER_BYTES
        };
        let longest = "x".repeat(TYPED_REPLY_BYTES_MAX - empty);
        let mut out = Vec::new();
        let mut names = NamesFrame::begin(tags, &mut out);
        assert_eq!(names.push(&(longest.clone() + "x")), Err(TooLong));
        assert_eq!(names.push(&longest), Ok(()));
        assert_eq!(names.push(""), Err(TooLong));
        assert_eq!(out.len() - HEADER_BYTES, TYPED_REPLY_BYTES_MAX);
        assert_eq!(replies(tags, [&out[..]]).len(), 1);
    }
}

#[test]
fn a_list_that_is_too_long_in_the_other_set_is_taken_back() {
    // A message has one byte more in set B, and there are thousands.
    let mut document = Vec::new();
    let mut messages = MessagesFrame::begin(TagSet::Document, &mut document);
    while messages.push(&message("", true)) == Ok(()) {}
    let Frame::Whole(reply) = Reply::decode(TagSet::Document, &document).frame else { panic!("whole") };
    let mut out = b"before".to_vec();
    assert_eq!(reply.encode(TagSet::InUse, &mut out), Err(TooLong));
    assert_eq!(out, b"before");
}

#[test]
fn what_is_longer_than_its_bound_is_not_written_at_all() {
    let text = "x".repeat(TYPED_REPLY_BYTES_MAX);
    for tags in TAG_SETS {
        let mut out = b"before".to_vec();
        for request in all_requests(&text) {
            let is_short =
                !format!("{request:?}").contains("xxx") && !matches!(request, Request::LoginPassword(_));
            let written = request.encode(tags, &mut Vec::new());
            assert_eq!(written.is_ok(), is_short);
            if !is_short {
                assert_eq!(request.encode(tags, &mut out), Err(TooLong));
            }
        }
        for reply in
            [Reply::Error(&text), Reply::Message(message(&text, true)), Reply::Kept { key: &text, id: "" }]
        {
            assert_eq!(reply.encode(tags, &mut out), Err(TooLong));
        }
        assert_eq!(out, b"before");
    }
}

#[test]
fn the_longest_request_is_taken_and_a_byte_more_is_not_sent() {
    let around =
        request_frame(&Request::Send { recipient: "bob", content: "" }, TagSet::InUse).len() - HEADER_BYTES;
    let longest = "x".repeat(TYPED_REQUEST_BYTES_MAX - around);
    let request = Request::Send { recipient: "bob", content: &longest };
    let frame = request_frame(&request, TagSet::InUse);
    assert_eq!(Decoder::default().decode(&frame).frame, Frame::Whole(request));
    let longer = longest + "x";
    let request = Request::Send { recipient: "bob", content: &longer };
    assert_eq!(request.encode(TagSet::InUse, &mut Vec::new()), Err(TooLong));
}

#[test]
fn a_time_survives_both_of_its_forms_to_the_millisecond() {
    // Up to the year 10000, in steps that meet every residue of a second.
    let times = (0..253_402_300_800_000_u64).step_by(7_919_000_003).chain([1, 999, 1_700_000_000_001]);
    for at in times.map(UnixMillis) {
        for tags in TAG_SETS {
            let sent = Message { at, ..message("x", true) };
            let frame = reply_frame(&Reply::Message(sent), tags);
            assert_eq!(Reply::decode(tags, &frame).frame, Frame::Whole(Reply::Message(sent)));
        }
    }
}

#[test]
fn a_time_beyond_an_int_is_the_last_one() {
    let sent = Message { at: UnixMillis(u64::MAX), ..message("x", true) };
    let frame = reply_frame(&Reply::Message(sent), TagSet::Document);
    let last = Message { at: UnixMillis(i64::MAX as u64), ..sent };
    assert_eq!(Reply::decode(TagSet::Document, &frame).frame, Frame::Whole(Reply::Message(last)));
}

#[test]
fn a_password_is_not_shown() {
    let request = Request::LoginPassword(Secret("correct horse"));
    let frame = request_frame(&request, TagSet::InUse);
    let decoded = Decoder::default().decode(&frame);
    assert_eq!(decoded.frame, Frame::Whole(request));
    assert!(!format!("{decoded:?}").contains("horse"));
}
