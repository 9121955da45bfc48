//! What no peer should send: lengths, depths and noise.

use parlance::limits::{TYPED_DEPTH_MAX, TYPED_REPLY_BYTES_MAX, TYPED_REQUEST_BYTES_MAX};
use parlance::wire::typed::{DecodeError, Decoder, Frame, MessagesFrame, Reader, Reply, TagSet};

use crate::dice::Dice;
use crate::feed::{replies, requests};
use crate::shapes::frame;
use crate::trips::{TAG_SETS, all_requests, message, reply_frame, request_frame, single_replies};

fn header(message_type: u64, payload_bytes: u32) -> Vec<u8> {
    [&message_type.to_be_bytes()[..], &payload_bytes.to_be_bytes()].concat()
}

#[test]
fn a_length_beyond_the_bound_is_refused_from_the_header_alone() {
    let refused = Frame::Refused(DecodeError::PayloadTooLong);
    for message_type in [1, 3, 6, 999, u64::MAX] {
        for length in [TYPED_REQUEST_BYTES_MAX as u32 + 1, 1 << 31, u32::MAX] {
            let header = header(message_type, length);
            assert_eq!(Decoder::default().decode(&header).frame, refused);
            assert_eq!(Decoder::default().decode(&header[..11]).frame, Frame::Incomplete);
        }
        let longest = header(message_type, TYPED_REQUEST_BYTES_MAX as u32);
        assert_eq!(Decoder::default().decode(&longest).frame, Frame::Incomplete);
    }
    for message_type in [100, 105, 999] {
        for length in [TYPED_REPLY_BYTES_MAX as u32 + 1, 1 << 31, u32::MAX] {
            let header = header(message_type, length);
            let decoded = Reply::decode(TagSet::InUse, &header).frame;
            assert_eq!(decoded, Frame::Refused(DecodeError::PayloadTooLong));
        }
        let longest = header(message_type, TYPED_REPLY_BYTES_MAX as u32);
        assert_eq!(Reply::decode(TagSet::InUse, &longest).frame, Frame::Incomplete);
    }
}

#[test]
fn a_count_beyond_the_bytes_that_are_there_is_refused() {
    for (tags, containers) in [(TagSet::Document, &[2_u8, 3][..]), (TagSet::InUse, &[3, 4][..])] {
        let string = containers[0] - 1;
        for &container in containers {
            // Twenty bytes: four elements or two pairs at most.
            let body = [string, 0, 0, 0, 0].repeat(4);
            let most = if container == containers[0] { 4 } else { 2 };
            for (count, expected) in [
                (most, Ok(())),
                (most + 1, Err(DecodeError::CountTooLarge)),
                (1 << 31, Err(DecodeError::CountTooLarge)),
                (u32::MAX, Err(DecodeError::CountTooLarge)),
            ] {
                let object = [&[container][..], &count.to_be_bytes(), &body].concat();
                assert_eq!(Reader::check(tags, &object), expected, "{tags:?} {container} {count}");
                let nested = [&[containers[0], 0, 0, 0, 1][..], &object].concat();
                assert_eq!(Reader::check(tags, &nested), expected);
            }
        }
    }
    let object = [5, 4, 0x80, 0, 0, 0];
    assert_eq!(Reader::check(TagSet::InUse, &object), Err(DecodeError::CountTooLarge));
}

/// Lists, or dicts, around an int.
fn nested(tags: TagSet, depth: usize, is_dict: bool) -> Vec<u8> {
    let (string, list, dict) = match tags {
        TagSet::Document => (1, 2, 3),
        TagSet::InUse => (2, 3, 4),
    };
    let level =
        if is_dict { vec![dict, 0, 0, 0, 1, string, 0, 0, 0, 1, b'k'] } else { vec![list, 0, 0, 0, 1] };
    [level.repeat(depth), vec![0; 9]].concat()
}

#[test]
fn thirty_two_levels_are_fine_and_thirty_three_are_not() {
    assert_eq!(TYPED_DEPTH_MAX, 32);
    for tags in TAG_SETS {
        for is_dict in [false, true] {
            assert_eq!(Reader::check(tags, &nested(tags, 32, is_dict)), Ok(()));
            assert_eq!(Reader::check(tags, &nested(tags, 33, is_dict)), Err(DecodeError::TooDeep));
            assert_eq!(Reader::check(tags, &nested(tags, 700, is_dict)), Err(DecodeError::TooDeep));
        }
        // What is open beside does not count.
        let (list, inner) = (nested(tags, 1, false)[0], nested(tags, 31, false));
        let wide = [&[list, 0, 0, 0, 3][..], &inner, &inner, &inner].concat();
        assert_eq!(Reader::check(tags, &wide), Ok(()));

        // An empty one is a level too.
        let mut empty = nested(tags, 33, false);
        empty.truncate(33 * 5);
        empty[32 * 5 + 4] = 0;
        assert_eq!(Reader::check(tags, &empty), Err(DecodeError::TooDeep));
        assert_eq!(Reader::check(tags, &empty[5..]), Ok(()));

        for (depth, error) in [(32, DecodeError::WrongKind), (33, DecodeError::TooDeep)] {
            let frame = frame(3, &nested(tags, depth, false));
            assert_eq!(Decoder::default().decode(&frame).frame, Frame::Refused(error));
        }
    }
}

/// A chat message frame whose dict has one more pair.
fn with_extra(tags: TagSet, is_listed: bool, extra: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if is_listed {
        MessagesFrame::begin(tags, &mut bytes).push(&message("hi", true)).expect("it fits");
    } else {
        bytes = reply_frame(&Reply::Message(message("hi", true)), tags);
    }
    let pairs = bytes.windows(4).position(|window| window == 6_u32.to_be_bytes()).expect("there");
    bytes[pairs + 3] = 7;
    let string = match tags {
        TagSet::Document => 1,
        TagSet::InUse => 2,
    };
    bytes.extend_from_slice(&[string, 0, 0, 0, 1, b'z']);
    bytes.extend_from_slice(extra);
    let payload_bytes = (bytes.len() - 12) as u32;
    bytes[8..12].copy_from_slice(&payload_bytes.to_be_bytes());
    bytes
}

#[test]
fn what_a_message_has_beyond_its_keys_is_skipped_and_its_depth_counts() {
    for tags in TAG_SETS {
        for (is_listed, around) in [(false, 1_usize), (true, 2)] {
            let decoded = |depth: usize| {
                let bytes = with_extra(tags, is_listed, &nested(tags, depth - around, true));
                match Reply::decode(tags, &bytes).frame {
                    Frame::Whole(Reply::Message(read)) => Ok(read == message("hi", true)),
                    Frame::Whole(Reply::Messages(mut read)) => Ok(read.next() == Some(message("hi", true))),
                    Frame::Refused(error) => Err(error),
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(decoded(2), Ok(true));
            assert_eq!(decoded(32), Ok(true), "{tags:?} {is_listed}");
            assert_eq!(decoded(33), Err(DecodeError::TooDeep), "{tags:?} {is_listed}");
        }
    }
}

impl Dice {
    /// Mostly the bytes that mean something: tags, small counts, the highest ones.
    fn byte(&mut self) -> u8 {
        match self.below(4) {
            0 => self.next() as u8,
            1 => [0xff, 0x80, 0x7f, b'a'][self.below(4)],
            _ => self.below(7) as u8,
        }
    }

    /// Up to three bytes are inserted, removed or changed, or all from one on.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len().max(1));
            match self.below(4) {
                0 => bytes.insert(at, self.byte()),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ if at < bytes.len() => bytes[at] = self.byte(),
                _ => {}
            }
        }
    }
}

/// What a decoder said of a payload is what the reader of any object says of it.
fn check_agrees<T: std::fmt::Debug>(frame: &Frame<T>, is_read: bool, tags: TagSet, payload: &[u8]) -> bool {
    let sound = Reader::check(tags, payload);
    match frame {
        Frame::Whole(whole) if is_read => assert_eq!(sound, Ok(()), "{whole:?} {payload:x?}"),
        Frame::Refused(DecodeError::PayloadMissing) => assert!(payload.is_empty()),
        Frame::Refused(DecodeError::PayloadTooLong) => {}
        Frame::Refused(DecodeError::WrongKind | DecodeError::OutOfRange) => assert_eq!(sound, Ok(())),
        // Only who asks a dict of set A for the keys of a message misses them.
        Frame::Refused(DecodeError::NotChatMessage) if tags == TagSet::Document => assert_eq!(sound, Ok(())),
        Frame::Refused(error) => assert_eq!(sound, Err(*error), "{payload:x?}"),
        Frame::Whole(_) | Frame::Incomplete | Frame::Ignored(_) => return false,
    }
    true
}

/// What became of a frame, and whether there was anything to judge.
#[derive(Default)]
struct Tally {
    judged: u64,
    refused: u64,
}

impl Tally {
    fn add<T: std::fmt::Debug>(&mut self, frame: &Frame<T>, is_read: bool, tags: TagSet, payload: &[u8]) {
        self.judged += u64::from(check_agrees(frame, is_read, tags, payload));
        self.refused += u64::from(matches!(frame, Frame::Refused(_)));
    }
}

/// A payload that is noise, or was sound before it was mutated, and a type that is mostly its own.
fn noisy(random: &mut Dice, is_request: bool, tags: TagSet) -> (u64, Vec<u8>) {
    const TYPES: [u64; 12] = [1, 2, 3, 10, 11, 12, 100, 103, 105, 106, 110, 111];
    const TEXT: &str = "hello there";
    let sound = match random.below(3) {
        0 => {
            let payload: Vec<_> = (0..random.below(40)).map(|_| random.byte()).collect();
            frame(TYPES[random.below(12)], &payload)
        }
        _ if is_request => request_frame(&all_requests(TEXT)[random.below(16)], tags),
        1 => {
            let mut bytes = Vec::new();
            let mut messages = MessagesFrame::begin(tags, &mut bytes);
            messages.push(&message("a", true)).expect("it fits");
            messages.push(&message("", false)).expect("it fits");
            bytes
        }
        _ => reply_frame(&single_replies(TEXT)[random.below(7)], tags),
    };
    let (header, payload) = sound.split_at(12);
    let own = u64::from_be_bytes(*header.first_chunk().expect("a header"));
    let mut payload = payload.to_vec();
    random.mutate(&mut payload);
    (if random.below(8) > 0 { own } else { TYPES[random.below(12)] }, payload)
}

#[test]
fn noise_does_no_harm_and_is_judged_alike_by_every_reader() {
    const ROUNDS: u64 = 60_000;
    let mut tally = Tally::default();
    for seed in 1..=ROUNDS {
        let mut random = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let tags = TAG_SETS[random.below(2)];
        let is_request = random.below(2) == 0;
        let (message_type, payload) = noisy(&mut random, is_request, tags);
        // The header fits, so that the noise reaches the objects.
        let stream = frame(message_type, &payload);
        let (first, second) = stream.split_at(random.below(stream.len()));
        if is_request {
            let mut decoder = Decoder::default();
            let frame = decoder.decode(&stream).frame;
            let is_read = !payload.is_empty() && ![6, 8].contains(&message_type);
            tally.add(&frame, is_read, decoder.tags(), &payload);
            let whole = requests(Decoder::default(), [&stream[..]]);
            assert_eq!(requests(Decoder::default(), [first, second]), whole, "seed {seed}");
        } else {
            let frame = Reply::decode(tags, &stream).frame;
            tally.add(&frame, ![101, 102, 104].contains(&message_type), tags, &payload);
            if let Frame::Whole(Reply::Messages(messages)) = &frame {
                assert_eq!(messages.clone().count(), messages.size_hint().0, "seed {seed}");
            }
            assert_eq!(replies(tags, [first, second]), replies(tags, [&stream[..]]), "seed {seed}");
        }
    }
    let Tally { judged, refused } = tally;
    assert!(judged > ROUNDS / 2, "{judged} were judged");
    assert!(refused > ROUNDS / 4 && judged - refused > ROUNDS / 10, "{refused} of {judged} were refused");
}

#[test]
fn noise_in_place_of_headers_does_no_harm() {
    for seed in 1..=20_000_u64 {
        let mut random = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut stream: Vec<u8> = Vec::new();
        for _ in 0..random.below(4) {
            stream.extend(request_frame(&all_requests("hi")[random.below(16)], TAG_SETS[random.below(2)]));
        }
        random.mutate(&mut stream);
        let at = random.below(stream.len() + 1);
        let (first, second) = stream.split_at(at);
        let whole = requests(Decoder::default(), [&stream[..]]);
        assert_eq!(requests(Decoder::default(), [first, second]), whole, "seed {seed}");
        for tags in TAG_SETS {
            assert_eq!(replies(tags, [first, second]), replies(tags, [&stream[..]]), "seed {seed}");
        }
    }
}
