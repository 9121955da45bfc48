//! What a frame costs: allocations, counted.

use parlance::wire::typed::{
    Decoder, Frame, MessagesFrame, NamesFrame, Reader, Reply, TagSet, User, UsersFrame,
};

use crate::shapes::frame;
use crate::trips::{TAG_SETS, all_requests, message, reply_frame, request_frame, single_replies};

/// How many allocations something takes.
pub(crate) fn allocations(something: impl FnOnce()) -> u64 {
    let before = crate::allocations::allocations();
    something();
    crate::allocations::allocations() - before
}

#[test]
fn an_allocation_is_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn nothing_is_allocated_to_decode_a_request() {
    for tags in TAG_SETS {
        for request in all_requests("héllo") {
            let frame = request_frame(&request, tags);
            let mut decoder = Decoder::default();
            let mut is_whole = false;
            let cost = allocations(|| is_whole = matches!(decoder.decode(&frame).frame, Frame::Whole(_)));
            assert!(is_whole && cost == 0, "{request:?}: {cost}");
        }
    }
}

#[test]
fn nothing_is_allocated_to_decode_a_reply_or_to_go_through_its_list() {
    for tags in TAG_SETS {
        let mut frames: Vec<_> =
            single_replies("héllo").iter().map(|reply| reply_frame(reply, tags)).collect();
        let mut out = Vec::new();
        MessagesFrame::begin(tags, &mut out).push(&message("hi", true)).expect("it fits");
        frames.push(out.clone());
        out.clear();
        NamesFrame::begin(tags, &mut out).push("alice").expect("it fits");
        frames.push(out.clone());
        out.clear();
        UsersFrame::begin(tags, &mut out).push(User { name: "alice", unread: 1 }).expect("it fits");
        frames.push(out);
        for frame in frames {
            let mut entries = None;
            let cost = allocations(|| {
                entries = match Reply::decode(tags, &frame).frame {
                    Frame::Whole(Reply::Messages(messages)) => Some(messages.count()),
                    Frame::Whole(Reply::LoggedIn(names)) => Some(names.count()),
                    Frame::Whole(Reply::Users(users)) => Some(users.count()),
                    Frame::Whole(_) => Some(1),
                    Frame::Incomplete | Frame::Ignored(_) | Frame::Refused(_) => None,
                };
            });
            assert_eq!((entries, cost), (Some(1), 0));
        }
    }
}

#[test]
fn announced_lengths_and_counts_reserve_nothing() {
    for announced in [1_u32 << 31, u32::MAX] {
        let length = [&5_u64.to_be_bytes()[..], &announced.to_be_bytes()].concat();
        let counted = |tag: u8| [&[tag][..], &announced.to_be_bytes()].concat();
        let cost = allocations(|| {
            assert!(matches!(Decoder::default().decode(&length).frame, Frame::Refused(_)));
            assert!(matches!(Reply::decode(TagSet::InUse, &length).frame, Frame::Refused(_)));
        });
        assert_eq!(cost, 0);
        for tags in TAG_SETS {
            for tag in 1..=4 {
                let payload = counted(tag);
                let frames: Vec<_> = (1..=12).chain(100..=111).map(|of| frame(of, &payload)).collect();
                let cost = allocations(|| {
                    assert!(Reader::check(tags, &payload).is_err());
                    for frame in &frames {
                        let request = Decoder::default().decode(frame).frame;
                        let reply = Reply::decode(tags, frame).frame;
                        assert!(!matches!(request, Frame::Incomplete) && !matches!(reply, Frame::Incomplete));
                    }
                });
                assert_eq!(cost, 0, "{tags:?} {tag}");
            }
        }
    }
}

#[test]
fn a_frame_is_one_reservation_and_none_where_there_is_room() {
    for tags in TAG_SETS {
        for request in all_requests("hello") {
            let mut out = Vec::new();
            assert_eq!(allocations(|| request.encode(tags, &mut out).expect("it fits")), 1, "{request:?}");
            out.clear();
            assert_eq!(allocations(|| request.encode(tags, &mut out).expect("it fits")), 0, "{request:?}");
        }
        for reply in single_replies("hello") {
            let mut out = Vec::new();
            assert_eq!(allocations(|| reply.encode(tags, &mut out).expect("it fits")), 1, "{reply:?}");
        }
        let (mut out, text) = (Vec::new(), "x".repeat(1000));
        let mut messages = None;
        assert_eq!(allocations(|| messages = Some(MessagesFrame::begin(tags, &mut out))), 1);
        let mut messages = messages.expect("begun");
        assert_eq!(allocations(|| messages.push(&message(&text, true)).expect("it fits")), 1);

        let mut out = Vec::with_capacity(4096);
        let cost = allocations(|| {
            let mut messages = MessagesFrame::begin(tags, &mut out);
            for _ in 0..10 {
                messages.push(&message("hello", true)).expect("it fits");
            }
        });
        assert_eq!(cost, 0);
    }
}
