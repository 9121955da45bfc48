//! Lines: how long, how ended, in what encoding.

use parlance::chat::Phase;
use parlance::limits::LINE_BYTES_MAX;
use parlance::wire::Dialect;

use crate::feed::{LINES, commands, same_in_any_pieces};

const TOO_LONG: &str = "refused: the line is too long";
const NOT_UTF8: &str = "refused: the line is not UTF-8";

/// A message of so many bytes with its end, between two that are a probe.
fn between_probes(dialect: Dialect, bytes: usize, end: &str) -> (Vec<u8>, String, String) {
    let (command, probe, probe_shown) = match dialect {
        Dialect::Line => ("MSG ", "PING\n", "Ping"),
        Dialect::Slash => ("", "/help\n", "Help"),
        Dialect::Tcrp | Dialect::Ucrp | Dialect::Typed | Dialect::Gob => unreachable!("no dialect of lines"),
    };
    let text = "x".repeat(bytes - command.len() - end.len());
    (format!("{probe}{command}{text}{end}{probe}").into_bytes(), probe_shown.into(), format!("Say({text:?})"))
}

#[test]
fn a_line_of_4096_bytes_with_its_end_is_fine() {
    for dialect in LINES {
        for end in ["\n", "\r\n"] {
            let (stream, probe, message) = between_probes(dialect, LINE_BYTES_MAX, end);
            let frames = commands(dialect, Phase::Chat, [&stream[..]]);
            assert_eq!(frames, [probe.clone(), message, probe]);
        }
    }
}

#[test]
fn a_line_of_4097_bytes_is_refused_once_and_the_next_one_decodes() {
    for dialect in LINES {
        for end in ["\n", "\r\n"] {
            for bytes in [LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2, 3 * LINE_BYTES_MAX] {
                let (stream, probe, _) = between_probes(dialect, bytes, end);
                let frames = commands(dialect, Phase::Chat, [&stream[..]]);
                assert_eq!(frames, [probe.clone(), TOO_LONG.into(), probe], "{bytes}");
            }
        }
    }
}

#[test]
fn the_longest_line_and_the_one_beyond_are_told_apart_in_any_pieces() {
    for bytes in [LINE_BYTES_MAX, LINE_BYTES_MAX + 1] {
        let (stream, ..) = between_probes(Dialect::Line, bytes, "\n");
        same_in_any_pieces(&stream, |pieces| commands(Dialect::Line, Phase::Chat, pieces));
    }
}

#[test]
fn of_a_line_too_long_nothing_is_kept() {
    use parlance::wire::{Codec, Frame};
    let mut codec = Codec::default();
    let endless = [b'x'; LINE_BYTES_MAX];
    let first = Dialect::Line.decode_command(&mut codec, Phase::Chat, &endless);
    assert_eq!(first.consumed, endless.len());
    assert!(matches!(first.frame, Frame::Refused(_)));
    for _ in 0..3 {
        let more = Dialect::Line.decode_command(&mut codec, Phase::Chat, &endless);
        assert_eq!((more.consumed, more.frame), (endless.len(), Frame::Incomplete));
    }
}

#[test]
fn a_line_that_is_not_utf8_is_refused_and_the_next_one_decodes() {
    for bad in [&b"\xff"[..], b"\xc3", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"] {
        let stream = [b"MSG a", bad, b"b\nMSG fine \xc3\xa9\n"].concat();
        let frames = commands(Dialect::Line, Phase::Chat, [&stream[..]]);
        assert_eq!(frames, [NOT_UTF8, "Say(\"fine é\")"], "{}", bad.escape_ascii());
        same_in_any_pieces(&stream, |pieces| commands(Dialect::Line, Phase::Chat, pieces));
        let frames = commands(Dialect::Slash, Phase::Chat, [&stream[..]]);
        assert_eq!(frames, [NOT_UTF8, "Say(\"MSG fine é\")"], "{}", bad.escape_ascii());
    }
}

#[test]
fn a_carriage_return_alone_ends_no_line() {
    let frames = commands(Dialect::Line, Phase::Chat, [&b"MSG a\rPING\n"[..]]);
    assert_eq!(frames, ["Say(\"a\\rPING\")"]);
}

#[test]
fn a_line_without_its_end_is_no_line_yet() {
    for dialect in LINES {
        assert!(commands(dialect, Phase::Login, [&b"LOGIN alice"[..]]).is_empty());
    }
}
