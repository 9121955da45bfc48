//! The gob codec on streams made by hand: what no vector has, and what is there to do harm. Allocations are counted.

#[path = "support/allocations.rs"]
mod allocations;
#[path = "support/dice.rs"]
mod dice;

use allocations::{allocated_bytes, allocations};
use dice::Dice;
use parlance::limits::{
    GOB_DEPTH_MAX, GOB_FIELDS_MAX, GOB_FIELDS_TOTAL_MAX, GOB_FRAME_BYTES_MAX, GOB_MESSAGE_BYTES_MAX,
    GOB_SENDER_BYTES_MAX, GOB_SKIPPED_BYTES_MAX, GOB_TYPES_MAX,
};
use parlance::wire::Fit;
use parlance::wire::gob::{Decoded, Decoder, Frame, GobError, Kind, Message, MessageField, encode};

/// All that a connection's definitions may take.
const DEFINITIONS_BYTES_MAX: isize = 4096;

// Types that are built in.
const BOOL: i64 = 1;
const INT: i64 = 2;
const UINT: i64 = 3;
const BYTES_TYPE: i64 = 5;
const STRING: i64 = 6;
const INTERFACE: i64 = 8;

fn uint(number: u64) -> Vec<u8> {
    if number < 0x80 {
        return vec![number as u8];
    }
    let digits = number.to_be_bytes();
    let digits = &digits[number.leading_zeros() as usize / 8..];
    let mut out = vec![(digits.len() as u8).wrapping_neg()];
    out.extend(digits);
    out
}

fn int(number: i64) -> Vec<u8> {
    let doubled = number.cast_unsigned() << 1;
    uint(if number < 0 { !doubled } else { doubled })
}

fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = uint(text.as_ref().len() as u64);
    out.extend(text.as_ref());
    out
}

/// A gob message: its length, and parts.
fn gob(parts: &[Vec<u8>]) -> Vec<u8> {
    string(parts.concat())
}

/// The definition of a struct.
fn structure(id: i64, fields: &[(&str, i64)]) -> Vec<u8> {
    let mut parts = vec![int(-id), b"\x03\x01\x01\x01T\x01".to_vec(), int(id), vec![0, 1]];
    parts.push(uint(fields.len() as u64));
    for (name, of) in fields {
        parts.extend([vec![1], string(name), vec![1], int(*of), vec![0]]);
    }
    parts.push(vec![0, 0]);
    gob(&parts)
}

/// The definition of a slice.
fn slice(id: i64, of: i64) -> Vec<u8> {
    gob(&[int(-id), b"\x02\x01\x01\x01S\x01".to_vec(), int(id), vec![0, 1], int(of), vec![0, 0]])
}

/// A value of a struct whose first field is the content, and no other is set.
fn content(id: i64, text: impl AsRef<[u8]>) -> Vec<u8> {
    gob(&[int(id), vec![1], string(text), vec![0]])
}

fn standard(id: i64) -> Vec<u8> {
    structure(id, &[("Type", INT), ("Sender", STRING), ("Content", STRING)])
}

fn said(kind: Kind, sender: &str, content: &str) -> String {
    format!("{kind:?} {sender}: {content}")
}

/// What a decoder makes of bytes, and how many it leaves.
fn decode_all(decoder: &mut Decoder, bytes: &[u8]) -> (Vec<String>, usize) {
    let (mut found, mut rest) = (Vec::new(), bytes);
    loop {
        let Decoded { consumed, frame } = decoder.decode(rest);
        rest = &rest[consumed..];
        match frame {
            Frame::Incomplete if consumed == 0 => return (found, rest.len()),
            Frame::Incomplete => {}
            Frame::Whole(Message { kind, sender, content }) => found.push(said(kind, sender, content)),
            Frame::Refused(error) => found.push(refused(error)),
        }
        assert!(consumed > 0, "a frame is made of bytes");
    }
}

fn refused(error: GobError) -> String {
    format!("refused: {error:?}")
}

/// What is in a stream, of which nothing is left.
fn decode(stream: &[u8]) -> Vec<String> {
    let (found, left) = decode_all(&mut Decoder::default(), stream);
    assert_eq!(left, 0, "{}", stream.escape_ascii());
    found
}

#[test]
fn a_definition_takes_the_place_of_an_earlier_one() {
    let stream = [
        structure(64, &[("Content", STRING), ("Sender", STRING)]),
        gob(&[int(64), vec![1], string("one"), vec![1], string("ann"), vec![0]]),
        structure(64, &[("Sender", STRING), ("Type", INT), ("Content", STRING)]),
        gob(&[int(64), vec![1], string("bob"), vec![1], int(1), vec![1], string("two"), vec![0]]),
        gob(&[int(64), vec![3], string("three"), vec![0]]),
        structure(64, &[("Content", STRING)]),
        content(64, "four"),
        slice(64, STRING),
        gob(&[int(64), vec![0], vec![0]]),
        standard(64),
        gob(&[int(64), vec![1], int(2), vec![0]]),
    ]
    .concat();
    let expected = [
        said(Kind::Text, "ann", "one"),
        said(Kind::Join, "bob", "two"),
        said(Kind::Text, "", "three"),
        said(Kind::Text, "", "four"),
        refused(GobError::NotAMessage),
        said(Kind::Leave, "", ""),
    ];
    assert_eq!(decode(&stream), expected);
}

#[test]
fn a_refused_definition_leaves_the_earlier_one_and_the_place_in_the_stream() {
    let stream = [
        structure(70, &[("Content", STRING)]),
        gob(&[int(-70), vec![9]]),
        structure(70, &vec![("Content", STRING); GOB_FIELDS_MAX + 1]),
        content(70, "still here"),
    ]
    .concat();
    let expected = [
        refused(GobError::DefinitionMalformed),
        refused(GobError::TooManyFields),
        said(Kind::Text, "", "still here"),
    ];
    assert_eq!(decode(&stream), expected);
}

#[test]
fn each_fault_is_told_apart_and_the_next_message_arrives() {
    let define = |fields: &[(&str, i64)]| structure(70, fields);
    let value = |parts: &[u8]| gob(&[int(70), parts.to_vec()]);
    let plain = define(&[("Content", STRING), ("X", INT)]);
    let after = |definition: &[u8], value: Vec<u8>| [definition.to_vec(), value].concat();
    let cases = [
        (vec![0], GobError::Empty),
        (content(71, "x"), GobError::UnknownType),
        (gob(&[int(0)]), GobError::UnknownType),
        (gob(&[int(i64::MAX)]), GobError::UnknownType),
        (gob(&[int(STRING), vec![0], string("x")]), GobError::NotAMessage),
        (after(&define(&[("Sender", BYTES_TYPE)]), value(&[0])), GobError::WrongKind(MessageField::Sender)),
        (after(&define(&[("Content", INT)]), value(&[0])), GobError::WrongKind(MessageField::Content)),
        (after(&define(&[("Type", UINT)]), value(&[0])), GobError::WrongKind(MessageField::Type)),
        (after(&define(&[("type", INT)]), value(&[0])), GobError::NotAMessage),
        (after(&define(&[]), value(&[0])), GobError::NotAMessage),
        (after(&plain, value(&[3, 0])), GobError::UnknownField),
        (after(&plain, value(b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff")), GobError::UnknownField),
        (after(&plain, value(b"\x02\x00\xf8\xff\xff\xff\xff\xff\xff\xff\xff")), GobError::UnknownField),
        (after(&plain, value(b"\x01\x05abc")), GobError::Truncated),
        (after(&plain, value(b"\x01\x03abc")), GobError::Truncated),
        (after(&plain, value(b"\x01\xf8\xff\xff\xff\xff\xff\xff\xff\xffabc")), GobError::Truncated),
        (after(&plain, value(b"\x01\xfe\x01")), GobError::Truncated),
        (after(&plain, value(b"\x01\x03abc\x00\x00")), GobError::TrailingBytes),
        (after(&plain, value(b"\x02\xf7123456789\x00")), GobError::IntegerMalformed),
        (after(&plain, value(b"\x02\x80\x00")), GobError::IntegerMalformed),
        (after(&plain, value(b"\x01\x02\xc3\x28\x00")), GobError::InvalidUtf8),
        (gob(&[int(-70)]), GobError::Truncated),
        (gob(&[int(-70), vec![0]]), GobError::DefinitionMalformed),
        (gob(&[int(-70), vec![8]]), GobError::DefinitionMalformed),
        (gob(&[int(-70), b"\x05\x00\x01\x00\x00".to_vec()]), GobError::DefinitionMalformed),
        (gob(&[int(-70), b"\x02\x00\x00".to_vec()]), GobError::DefinitionMalformed),
        (gob(&[int(-70), b"\x02\x03\x00\x00".to_vec()]), GobError::DefinitionMalformed),
        (gob(&[int(-70), b"\x05\x00\x00\x00".to_vec()]), GobError::TrailingBytes),
        (gob(&[int(-70), b"\x03\x02\x7f\x00\x00".to_vec()]), GobError::Truncated),
        (define(&[("Content", 0)]), GobError::DefinitionMalformed),
        (define(&[("Content", -6)]), GobError::DefinitionMalformed),
        (define(&[("Content", 1 << 40)]), GobError::DefinitionMalformed),
        (structure(63, &[]), GobError::TypeReserved),
        (structure(STRING, &[]), GobError::TypeReserved),
        (structure(1 << 31, &[]), GobError::TypeReserved),
        (gob(&[int(i64::MIN)]), GobError::TypeReserved),
    ];
    for (bad, error) in cases {
        assert!(!error.ends_stream());
        let stream = [bad, standard(64), gob(&[int(64), vec![3], string("after"), vec![0]])].concat();
        let expected = [refused(error), said(Kind::Text, "", "after")];
        assert_eq!(decode(&stream), expected, "{}", stream.escape_ascii());
    }
}

#[test]
fn a_long_message_is_skipped_as_it_comes_and_the_next_arrives() {
    for text_bytes in [GOB_MESSAGE_BYTES_MAX, 100_000, GOB_SKIPPED_BYTES_MAX as usize - 10] {
        let stream = [
            structure(64, &[("Content", STRING)]),
            content(64, "x".repeat(text_bytes)),
            content(64, "after"),
        ]
        .concat();
        let mut decoder = Decoder::default();
        let (mut found, mut buffer) = (Vec::new(), Vec::new());
        for piece in stream.chunks(1000) {
            buffer.extend_from_slice(piece);
            let (frames, left) = decode_all(&mut decoder, &buffer);
            found.extend(frames);
            buffer.drain(..buffer.len() - left);
            assert!(buffer.len() < GOB_FRAME_BYTES_MAX);
        }
        assert_eq!(found, [refused(GobError::MessageTooLong), said(Kind::Text, "", "after")]);
    }
}

#[test]
fn the_longest_message_arrives() {
    let definition = structure(64, &[("Content", STRING)]);
    let around = content(64, "x".repeat(1000)).len() - 1000 - 3;
    let text = "x".repeat(GOB_MESSAGE_BYTES_MAX - around);
    let found = decode(&[definition.clone(), content(64, &text)].concat());
    assert_eq!(found, [said(Kind::Text, "", &text)]);
    let found = decode(&[definition, content(64, text + "x")].concat());
    assert_eq!(found, [refused(GobError::MessageTooLong)]);
}

#[test]
fn announced_lengths_reserve_nothing() {
    let ends = [1 << 31, 1 << 62, 1 << 63, u64::MAX, GOB_SKIPPED_BYTES_MAX + 1]
        .map(|length| (uint(length), GobError::LengthOutOfRange));
    let ends = ends.into_iter().chain([(b"\xf7123456789".to_vec(), GobError::LengthMalformed)]);
    for (mut stream, error) in ends {
        assert!(error.ends_stream());
        let behind = [standard(64), gob(&[int(64), vec![3], string("after"), vec![0]])].concat();
        stream.extend_from_slice(&behind);
        let mut decoder = Decoder::default();
        let before = allocations();
        let found = decoder.decode(&stream);
        assert_eq!(found, Decoded { consumed: stream.len(), frame: Frame::Refused(error) });
        let found = decoder.decode(&behind);
        let dropped = Decoded { consumed: behind.len(), frame: Frame::Incomplete };
        assert_eq!(found, dropped, "nothing behind the end of the stream is looked at");
        assert_eq!(allocations(), before);
    }

    // Inside of a gob message: as a string's length, a slice's, an extra string's, and a definition's count of fields.
    for length in [1 << 31, 1 << 62, 1 << 63, u64::MAX] {
        let huge = uint(length);
        let definitions =
            [slice(66, INT), structure(65, &[("Content", STRING), ("S", 66), ("X", STRING)])].concat();
        for field in 1..=3 {
            let mut decoder = Decoder::default();
            decode_all(&mut decoder, &definitions);
            let value = gob(&[int(65), vec![field], huge.clone(), vec![1; 100], vec![0]]);
            let before = allocations();
            let found = decoder.decode(&value);
            assert_eq!(found.frame, Frame::Refused(GobError::Truncated), "field {field}");
            assert_eq!(allocations(), before);
        }
        let mut decoder = Decoder::default();
        let definition = gob(&[int(-65), b"\x03\x02".to_vec(), huge, vec![0; 100]]);
        let before = allocations();
        assert_eq!(decoder.decode(&definition).frame, Frame::Refused(GobError::Truncated));
        assert_eq!(allocations(), before);
    }
}

#[test]
fn a_value_costs_no_allocation_and_neither_does_the_same_definition_again() {
    let definitions = [
        slice(66, 67),
        structure(67, &[("Name", STRING), ("Any", INTERFACE)]),
        structure(65, &[("Extra", 66), ("Content", STRING), ("Flag", BOOL)]),
    ]
    .concat();
    let value = gob(&[
        int(65),
        vec![1],
        // Two structs: one with a name, one with a bool in the interface.
        b"\x02\x01\x01a\x00\x02\x04bool\x02\x02\x00\x01\x00".to_vec(),
        b"\x01\x02hi\x01\x01\x00".to_vec(),
    ]);
    let mut decoder = Decoder::default();
    let stream = [definitions, value].concat();
    assert_eq!(decode_all(&mut decoder, &stream).0, [said(Kind::Text, "", "hi")]);
    let before = allocations();
    for _ in 0..100 {
        let Decoded { consumed, frame } = decoder.decode(&stream);
        assert_eq!(consumed, stream.len());
        assert_eq!(frame, Frame::Whole(Message { content: "hi", ..Message::default() }));
    }
    assert_eq!(allocations(), before);
}

#[test]
fn the_definitions_of_a_connection_are_bounded() {
    let mut decoder = Decoder::default();
    assert!(size_of::<Decoder>() <= 32, "{}", size_of::<Decoder>());
    let before = allocated_bytes();

    // A connection of a client in use.
    decode_all(&mut decoder, &standard(64));
    let usual = allocated_bytes() - before;
    assert!(usual <= 128, "{usual}");

    let fields = |count| vec![("Content", STRING); count];
    let with_most_fields = GOB_FIELDS_TOTAL_MAX / GOB_FIELDS_MAX;
    for id in (64..).take(with_most_fields) {
        assert_eq!(decode_all(&mut decoder, &structure(id, &fields(GOB_FIELDS_MAX))).0, [""; 0]);
    }
    for id in 1000..5000 {
        let (found, _) = decode_all(&mut decoder, &structure(id, &fields(1)));
        assert_eq!(found, [refused(GobError::TooManyFields)]);
    }
    for (count, id) in (with_most_fields..).zip(1000..5000) {
        let (found, _) = decode_all(&mut decoder, &slice(id, INT));
        let fits = count < GOB_TYPES_MAX;
        assert_eq!(found.is_empty(), fits);
        assert!(fits || found == [refused(GobError::TooManyTypes)]);
    }
    let most = allocated_bytes() - before;
    assert!(most <= DEFINITIONS_BYTES_MAX, "{most}");

    // What is there can still be replaced, and be used.
    let (found, _) = decode_all(&mut decoder, &[structure(64, &fields(1)), content(64, "hi")].concat());
    assert_eq!(found, [said(Kind::Text, "", "hi")]);
    drop(decoder);
}

#[test]
fn values_inside_of_each_other_are_skipped_to_a_depth() {
    // A slice of itself, and an interface that holds an interface.
    let depth_max = usize::from(GOB_DEPTH_MAX);
    let stream = |field_type, extra: Vec<u8>| {
        let value = gob(&[int(65), vec![1], extra, vec![1], string("hi"), vec![0]]);
        [slice(66, 66), structure(65, &[("Deep", field_type), ("Content", STRING)]), value].concat()
    };
    let slices = |depth| [vec![1; depth - 1], vec![0]].concat();
    assert_eq!(decode(&stream(66, slices(depth_max))), [said(Kind::Text, "", "hi")]);
    assert_eq!(decode(&stream(66, slices(depth_max + 1))), [refused(GobError::TooDeep)]);
    assert_eq!(decode(&stream(66, slices(4000))), [refused(GobError::TooDeep)]);

    let interfaces = |depth: usize| {
        (1..depth).fold(vec![0], |inner, _| {
            let value = [vec![0], inner].concat();
            [string("any"), int(INTERFACE), string(value)].concat()
        })
    };
    assert_eq!(decode(&stream(INTERFACE, interfaces(depth_max))), [said(Kind::Text, "", "hi")]);
    assert_eq!(decode(&stream(INTERFACE, interfaces(depth_max + 1))), [refused(GobError::TooDeep)]);
}

#[test]
fn a_value_of_several_gob_messages_is_bounded_and_changes_no_type() {
    let definitions =
        [structure(70, &[]), structure(65, &[("Any", INTERFACE), ("Content", STRING)])].concat();
    let inner_definition = |id: i64, field: &str| {
        let whole = structure(id, &[(field, INT)]);
        // Without its length.
        whole[1..].to_vec()
    };
    let begin = |definition: Vec<u8>| gob(&[int(65), vec![1], string("main.T"), definition]);
    let end = |id: i64| gob(&[int(id), string([0]), vec![1], string("hi"), vec![0]]);

    let good = [definitions.clone(), begin(inner_definition(71, "x")), end(71)].concat();
    assert_eq!(decode(&good), [said(Kind::Text, "", "hi")]);

    let changed = [definitions.clone(), begin(inner_definition(70, "x"))].concat();
    assert_eq!(decode(&changed), [refused(GobError::TypeInUse)]);

    // Definitions without an end.
    let mut decoder = Decoder::default();
    let mut buffer = [definitions, begin(inner_definition(71, "x"))].concat();
    let mut found = Vec::new();
    for _ in 0..1000 {
        let (frames, left) = decode_all(&mut decoder, &buffer);
        found.extend(frames);
        buffer.drain(..buffer.len() - left);
        assert!(left < GOB_FRAME_BYTES_MAX, "{left}");
        if !found.is_empty() {
            break;
        }
        buffer.extend(structure(71, &[("x", INT)]));
    }
    assert_eq!(found, [refused(GobError::MessageTooLong)]);
}

#[test]
fn what_is_encoded_decodes_to_the_same() {
    let texts = ["", "a", "hello", &"é🦀".repeat(21), &"x".repeat(127), &"x".repeat(128), &"x".repeat(3000)];
    let kinds = [Kind::Text, Kind::Join, Kind::Leave, Kind::Other(3), Kind::Other(-1), Kind::Other(i64::MIN)];
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for kind in kinds {
        for sender in &texts[..6] {
            for content in texts {
                let message = Message { kind, sender, content };
                assert_eq!(encode(&message, &mut stream), Fit::Whole);
                expected.push(said(kind, sender, content));
            }
        }
    }
    assert_eq!(decode(&stream), expected);
}

#[test]
fn what_is_too_long_is_cut_at_a_character_and_fills_what_there_is() {
    for unit in ["x", "é", "…", "🦀"] {
        for sender_bytes in [0, 3, 127, 128, 255, 256, GOB_SENDER_BYTES_MAX] {
            for kind in [Kind::Text, Kind::Join, Kind::Other(i64::MAX)] {
                let sender = "s".repeat(sender_bytes);
                let mut previous = Fit::Whole;
                for count in (2000 / unit.len()..5000 / unit.len()).chain([1 << 20]) {
                    let content = unit.repeat(count);
                    let message = Message { kind, sender: &sender, content: &content };
                    let mut out = Vec::new();
                    let encoded = encode(&message, &mut out);
                    assert!(out.len() <= GOB_MESSAGE_BYTES_MAX);
                    if encoded == Fit::Cut {
                        // Not a character less than fits, besides the mark.
                        assert!(out.len() + unit.len() > GOB_MESSAGE_BYTES_MAX, "{}", out.len());
                        let frame = Decoder::default().decode(&out).frame;
                        let Frame::Whole(found) = frame else { panic!("{frame:?}") };
                        assert_eq!((found.kind, found.sender), (kind, &*sender));
                        let kept = found.content.strip_suffix('…').expect("it is marked");
                        assert!(content.starts_with(kept));
                        break;
                    }
                    assert_eq!(previous, Fit::Whole);
                    previous = encoded;
                }
            }
        }
    }
    // The longest text that is whole, and the first that is not.
    let encoded = |bytes: usize| {
        let (mut out, content) = (Vec::new(), "x".repeat(bytes));
        let encoded = encode(&Message { kind: Kind::Text, sender: "bob", content: &content }, &mut out);
        (encoded, out.len())
    };
    assert_eq!(encoded(4028), (Fit::Whole, 4096));
    assert_eq!(encoded(4029), (Fit::Cut, 4096));
}

#[test]
fn a_sender_that_is_too_long_is_cut() {
    let sender = "é".repeat(GOB_SENDER_BYTES_MAX);
    let content = "x".repeat(5000);
    for content in ["", "hi", &content] {
        let mut out = Vec::new();
        let message = Message { kind: Kind::Text, sender: &sender, content };
        assert_eq!(encode(&message, &mut out), Fit::Cut);
        let frame = Decoder::default().decode(&out).frame;
        let Frame::Whole(found) = frame else { panic!("{frame:?}") };
        assert_eq!(found.sender.len(), GOB_SENDER_BYTES_MAX - 1, "a character takes two bytes");
        assert!(found.sender.ends_with("é…"));
        assert!(out.len() <= GOB_MESSAGE_BYTES_MAX);
    }
}

/// Streams of real programs, to be spoilt.
fn seeds() -> Vec<Vec<u8>> {
    let digit = |digit: u8| (digit as char).to_digit(16).expect("hexadecimal") as u8;
    let mut seeds = Vec::new();
    for file in [include_str!("vectors/gob.json"), include_str!("vectors/gob-extra.json")] {
        let vectors: Vec<serde_json::Value> = serde_json::from_str(file).expect("the vectors are JSON");
        for vector in vectors {
            let hex = vector["hex"].as_str().expect("each has its bytes");
            let bytes: Vec<u8> =
                hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
            // The long ones are long, and otherwise like the others.
            if bytes.len() < 1000 {
                seeds.push(bytes);
            }
        }
    }
    seeds
}

fn spoil(random: &mut Dice, stream: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    for _ in 0..random.below(4) {
        let at = random.below(stream.len() + 1);
        match random.below(6) {
            0 => stream.insert(at, random.next() as u8),
            1 => stream.truncate(at.max(1)),
            2 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                stream.splice(at..at, other[from..].iter().copied());
            }
            _ if at == stream.len() => {}
            3 => stream[at] ^= 1 << random.below(8),
            4 => stream[at] = random.next() as u8,
            _ => drop(stream.remove(at)),
        }
    }
}

#[test]
fn random_and_spoilt_bytes_do_no_harm_and_mean_the_same_in_any_pieces() {
    let mut random = Dice(1);
    let seeds = seeds();
    let (mut arrived, mut refused) = (0, 0);
    for round in 0..30_000 {
        let stream = if round % 5 == 0 {
            (0..random.below(200)).map(|_| random.next() as u8).collect()
        } else {
            let mut stream = seeds[random.below(seeds.len())].clone();
            spoil(&mut random, &mut stream, &seeds);
            stream
        };
        let before = allocated_bytes();
        let mut decoder = Decoder::default();
        let mut rest = &stream[..];
        loop {
            let Decoded { consumed, frame } = decoder.decode(rest);
            let held = allocated_bytes() - before;
            assert!(held <= DEFINITIONS_BYTES_MAX, "{held} bytes for {}", stream.escape_ascii());
            rest = &rest[consumed..];
            match frame {
                Frame::Incomplete if consumed == 0 => break,
                Frame::Incomplete => {}
                Frame::Whole(_) => arrived += 1,
                Frame::Refused(_) => refused += 1,
            }
        }
        let whole = decode_all(&mut Decoder::default(), &stream);
        assert_eq!(whole.1, rest.len());

        let cut = random.below(stream.len() + 1);
        let mut decoder = Decoder::default();
        let (mut found, left) = decode_all(&mut decoder, &stream[..cut]);
        let (more, left) = decode_all(&mut decoder, &stream[cut - left..]);
        found.extend(more);
        assert_eq!((found, left), whole, "cut at {cut}: {}", stream.escape_ascii());
    }
    // Otherwise the streams would not be worth much.
    assert!(arrived > 5000 && refused > 5000, "{arrived} arrived, {refused} refused");
}
