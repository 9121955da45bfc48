//! Telnet between the lines: taken out, answered, and never part of a text. RFC 854, 855, 860, 1143.

use parlance::chat::Phase;
use parlance::limits::{LINE_BYTES_MAX, TELNET_SUBNEGOTIATION_BYTES_MAX};
use parlance::wire::{Codec, Dialect, Frame};

use crate::feed::{LINES, cuts, shown};

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const EL: u8 = 248;
const EC: u8 = 247;
const AYT: u8 = 246;
const IP: u8 = 244;
const BRK: u8 = 243;
const DM: u8 = 242;
const NOP: u8 = 241;
const SE: u8 = 240;
const EOF: u8 = 236;
const TIMING_MARK: u8 = 6;

/// The result of a stream.
#[derive(PartialEq, Eq, Debug, Default)]
struct Seen {
    frames: Vec<String>,
    answers: Vec<u8>,
    has_ended: bool,
}

/// Takes the pieces of a stream in as a connection does.
fn take<'p>(dialect: Dialect, pieces: impl IntoIterator<Item = &'p [u8]>) -> Seen {
    let (mut codec, mut inbox, mut seen) = (Codec::default(), Vec::new(), Seen::default());
    let mut has_begun = false;
    for piece in pieces {
        if codec.has_telnet(piece) {
            let is_start = !has_begun && inbox.is_empty();
            match codec.take_telnet(is_start, piece, &mut inbox, &mut seen.answers) {
                Ok(has_commands) => has_begun |= has_commands,
                Err(error) => {
                    seen.frames.push(format!("refused: {error}"));
                    assert!(error.ends_connection());
                    return seen;
                }
            }
        } else {
            inbox.extend_from_slice(piece);
        }
        while !inbox.is_empty() {
            let decoded = dialect.decode_command(&mut codec, Phase::Chat, &inbox);
            match decoded.frame {
                Frame::Incomplete if decoded.consumed == 0 => break,
                Frame::Incomplete => {}
                Frame::Whole(command) => seen.frames.push(shown(&command)),
                Frame::Refused(error) => seen.frames.push(format!("refused: {error}")),
            }
            has_begun = true;
            inbox.drain(..decoded.consumed);
        }
        seen.has_ended |= codec.has_ended();
    }
    seen
}

/// The same, checked to be the same in any pieces.
fn taken(dialect: Dialect, stream: &[u8]) -> Seen {
    let whole = take(dialect, [stream]);
    assert_eq!(take(dialect, stream.chunks(1)), whole, "byte by byte: {}", stream.escape_ascii());
    for cut in cuts(stream.len()) {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(take(dialect, [head, tail]), whole, "cut at {cut}: {}", stream.escape_ascii());
    }
    whole
}

fn said(text: &str) -> Vec<String> {
    vec![format!("Say({text:?})")]
}

#[test]
fn what_clients_open_with_is_refused_once_and_what_is_said_arrives() {
    // PuTTY: window size, speed, type, environment, echo, no go-aheads.
    let putty = b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";
    let seen = taken(Dialect::Slash, &[&putty[..], b"hello\r\n"].concat());
    let refused = b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x03";
    assert_eq!((seen.frames, &seen.answers[..]), (said("hello"), &refused[..]));
}

#[test]
fn a_refusal_is_never_answered() {
    for option in 0..=255 {
        let stream = [IAC, WONT, option, IAC, DONT, option];
        assert_eq!(taken(Dialect::Line, &stream), Seen::default(), "{option}");
    }
}

#[test]
fn each_request_is_answered_with_as_many_bytes() {
    for option in 0..=255 {
        let seen = taken(Dialect::Line, &[IAC, WILL, option, IAC, DO, option]);
        let answer = if option == TIMING_MARK { WILL } else { WONT };
        assert_eq!(seen.answers, [IAC, DONT, option, IAC, answer, option]);
    }
}

#[test]
fn an_interrupt_drops_the_line_and_the_timing_mark_is_answered() {
    for drops in [IP, BRK, EL] {
        for dialect in LINES {
            let line = if dialect == Dialect::Line { "MSG still here\r\n" } else { "still here\r\n" };
            let stream = [b"half a l", &[IAC, drops, IAC, DO, TIMING_MARK][..], line.as_bytes()].concat();
            let seen = taken(dialect, &stream);
            assert_eq!(seen.frames, said("still here"));
            assert_eq!(seen.answers, [IAC, WILL, TIMING_MARK]);
        }
    }
}

#[test]
fn an_interrupt_drops_no_line_that_has_ended() {
    for end in ["\n", "\r\n", "\r", "\r\0"] {
        let stream = [b"one", end.as_bytes(), &[IAC, IP], b"two\n"].concat();
        assert_eq!(taken(Dialect::Slash, &stream).frames, [said("one"), said("two")].concat(), "{end:?}");
    }
}

#[test]
fn an_interrupt_ends_a_line_that_is_too_long() {
    let stream = [&[b'x'; LINE_BYTES_MAX][..], &[IAC, IP], b"still here\n"].concat();
    let (head, tail) = stream.split_at(LINE_BYTES_MAX);
    let seen = take(Dialect::Slash, [head, tail]);
    assert_eq!(seen.frames, ["refused: the line is too long".to_owned(), said("still here").remove(0)]);
}

/// Lines of about the limit, each with the commands that edit it, and the outcome wherever reads cut them.
#[test]
fn a_line_that_is_too_long_is_refused_whatever_edits_it() {
    let too_long = || vec!["refused: the line is too long".to_owned()];
    let fits = "x".repeat(LINE_BYTES_MAX - 1);
    let over = "x".repeat(LINE_BYTES_MAX);
    for end in ["", "one\n", "one\r\0"] {
        let before = if end.is_empty() { Vec::new() } else { said("one") };
        let of = |line: &str, command: u8, rest: &str| {
            let stream = [end.as_bytes(), line.as_bytes(), &[IAC, command], rest.as_bytes()].concat();
            taken(Dialect::Slash, &stream).frames
        };
        for drops in [IP, EL] {
            assert_eq!(of(&fits, drops, "two\n"), [before.clone(), said("two")].concat(), "{end:?}");
            let refused = [before.clone(), too_long(), said("two")].concat();
            assert_eq!(of(&over, drops, "two\n"), refused, "{end:?}");
        }
        let erased = [before.clone(), said(&fits[1..])].concat();
        assert_eq!(of(&fits, EC, "\n"), erased, "{end:?}");
        assert_eq!(of(&over, EC, "\n"), [before, too_long()].concat(), "{end:?}");
    }
}

#[test]
fn the_synch_that_follows_an_interrupt_is_taken_out_without_its_urgent_byte() {
    // The urgent byte is the second one from the client of netkit, and the first one from that of GNU
    // inetutils 2.4.
    for synch in [&[IAC, DM][..], &[IAC], &[DM]] {
        let interrupt = [&[IAC, IP, IAC, DO, TIMING_MARK][..], synch].concat();
        let twice = [&interrupt[..], &interrupt, b"still here\r\n"].concat();
        let seen = taken(Dialect::Slash, &twice);
        assert_eq!(seen.frames, said("still here"), "{synch:?}");
        assert_eq!(seen.answers, [IAC, WILL, TIMING_MARK, IAC, WILL, TIMING_MARK]);
    }
}

#[test]
fn characters_are_erased_whole_and_not_beyond_the_line() {
    let stream = ["one\n".as_bytes(), &[IAC, EC], "twé🦀".as_bytes(), &[IAC, EC, IAC, EC], b"o\n"].concat();
    assert_eq!(taken(Dialect::Slash, &stream).frames, [said("one"), said("two")].concat());
}

#[test]
fn are_you_there_is_answered_once_a_read() {
    assert_eq!(take(Dialect::Line, [&[IAC, AYT][..]]).answers, b"[Yes]\r\n");
    let many = [IAC, AYT].repeat(1000);
    assert_eq!(take(Dialect::Line, [&many[..]]).answers, b"[Yes]\r\n");
}

#[test]
fn commands_that_mean_nothing_here_are_dropped() {
    for command in [NOP, DM, SE, 239, 237, 245, 249] {
        let stream = [b"one ", &[IAC, command][..], b"two\n"].concat();
        assert_eq!(taken(Dialect::Slash, &stream), Seen { frames: said("one two"), ..Seen::default() });
    }
}

#[test]
fn the_end_of_the_input_is_noticed() {
    let seen = taken(Dialect::Slash, &[b"hello\r\0\n", &[IAC, EOF][..]].concat());
    assert_eq!(seen, Seen { frames: said("hello"), answers: Vec::new(), has_ended: true });
}

#[test]
fn a_subnegotiation_is_skipped_with_all_that_is_in_it() {
    let inside = [b"ann\nLOGIN eve\n", &[IAC, IAC, 0, 1][..]].concat();
    let stream = [&b"one "[..], &[IAC, SB, 24], &inside, &[IAC, SE], b"two\n"].concat();
    assert_eq!(taken(Dialect::Slash, &stream), Seen { frames: said("one two"), ..Seen::default() });
    // Where its end is missing, the next command ends it.
    let stream = [&[IAC, SB, 24, 0][..], &[IAC, DO, TIMING_MARK], b"one\n"].concat();
    let seen = taken(Dialect::Slash, &stream);
    assert_eq!((seen.frames, &seen.answers[..]), (said("one"), &[IAC, WILL, TIMING_MARK][..]));
}

#[test]
fn a_subnegotiation_that_is_too_long_ends_the_connection() {
    let of = |bytes| [&[IAC, SB][..], &vec![b'x'; bytes], &[IAC, SE], b"one\n"].concat();
    let fits = take(Dialect::Slash, of(TELNET_SUBNEGOTIATION_BYTES_MAX - 1).chunks(100));
    assert_eq!(fits.frames, said("one"));
    let refused = take(Dialect::Slash, of(TELNET_SUBNEGOTIATION_BYTES_MAX + 1).chunks(100));
    assert_eq!(refused.frames, ["refused: the Telnet subnegotiation is too long"]);
}

#[test]
fn the_byte_255_is_not_utf8_however_it_is_sent() {
    for byte in [&[IAC, IAC][..], &[IAC, b'e'], &[IAC, b'\n'], &[0xe9, IAC, b' ']] {
        let stream = [b"one", byte, b"\ntwo\n"].concat();
        let frames = taken(Dialect::Slash, &stream).frames;
        assert_eq!(frames[0], "refused: the line is not UTF-8", "{}", stream.escape_ascii());
        assert_eq!(frames.last(), said("two").first());
    }
}

#[test]
fn a_stream_of_utf16_is_refused_as_that() {
    // Its byte order mark is IAC DONT, which no client opens with.
    let stream: Vec<u8> = "\u{feff}LOGIN alice\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(taken(Dialect::Line, &stream).frames[0], "refused: the line is not UTF-8");
    let stream: Vec<u8> = "\u{feff}LOGIN alice\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(taken(Dialect::Line, &stream).frames[0], "refused: the line is not UTF-8");
    // Behind anything else it is IAC DONT.
    let seen = taken(Dialect::Line, &[&[IAC, NOP, IAC, DONT, b'L'][..], b"PING\n"].concat());
    assert_eq!(seen.frames, ["Ping"]);
}

#[test]
fn the_memory_is_given_back_between_lines() {
    let (mut codec, mut text, mut answers) = (Codec::default(), Vec::new(), Vec::new());
    codec.take_telnet(true, &[IAC, DO, 1], &mut text, &mut answers).expect("a command");
    assert!(codec.held_bytes() > 0);
    codec.take_telnet(false, b"one\r", &mut text, &mut answers).expect("text");
    let decoded = Dialect::Slash.decode_command(&mut codec, Phase::Chat, &text);
    assert_eq!(decoded.consumed, text.len());
    assert!(codec.held_bytes() > 0, "an LF may follow");
    Dialect::Slash.decode_command(&mut codec, Phase::Chat, b"\n");
    assert_eq!(codec.held_bytes(), 0);
}
