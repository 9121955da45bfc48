//! Lines: how long, how ended, in what encoding.

use parlance::chat::Phase;
use parlance::limits::LINE_BYTES_MAX;
use parlance::wire::Dialect;

use crate::feed::{LINES, commands, events, same_in_any_pieces};

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

/// The ends of a line that clients send: `nc`, `nc -C`, a terminal in raw mode, `PuTTY`, and the Telnet
/// clients of Debian that are handed a file whose lines end with CR LF (inetutils and netkit, `plink`); and
/// CR LF written twice.
const ENDS: [&str; 7] = ["\n", "\r\n", "\r", "\r\0", "\r\0\r\n", "\r\0\n", "\r\r\n"];

#[test]
fn each_end_of_a_line_that_clients_send_ends_one_line() {
    for end in ENDS {
        let stream = format!("LOGIN alice{end}MSG a b{end}PING{end}");
        let frames = commands(Dialect::Line, Phase::Login, [stream.as_bytes()]);
        assert_eq!(frames.len(), 3, "{end:?}: {frames:?}");
        assert_eq!(frames[1..], ["Say(\"a b\")", "Ping"], "{end:?}");
        same_in_any_pieces(stream.as_bytes(), |pieces| commands(Dialect::Line, Phase::Login, pieces));
        let stream = format!("alice{end}a b{end}/help{end}");
        let frames = commands(Dialect::Slash, Phase::Login, [stream.as_bytes()]);
        assert_eq!(frames.len(), 3, "{end:?}: {frames:?}");
        assert_eq!(frames[1..], ["Say(\"a b\")", "Help"], "{end:?}");
        same_in_any_pieces(stream.as_bytes(), |pieces| commands(Dialect::Slash, Phase::Login, pieces));
    }
}

#[test]
fn a_carriage_return_ends_its_line_before_anything_follows() {
    for dialect in LINES {
        assert_eq!(commands(dialect, Phase::Login, [&b"LOGIN alice\r"[..]]).len(), 1);
    }
}

#[test]
fn a_second_carriage_return_is_taken_once_it_is_clear_that_no_line_feed_follows() {
    for (next, frames) in [("\r", 2), ("two\r", 3), ("\n", 1)] {
        let pieces = |next: &'static str| [&b"one\r"[..], b"\r", next.as_bytes()];
        assert_eq!(commands(Dialect::Slash, Phase::Chat, pieces("")).len(), 1);
        assert_eq!(commands(Dialect::Slash, Phase::Chat, pieces(next)).len(), frames, "{next:?}");
    }
}

#[test]
fn a_carriage_return_counts_as_two_bytes_of_its_line() {
    for dialect in LINES {
        for (bytes, is_fine) in [(LINE_BYTES_MAX - 1, true), (LINE_BYTES_MAX, false)] {
            let (stream, _, message) = between_probes(dialect, bytes, "\r");
            let frames = commands(dialect, Phase::Chat, [&stream[..]]);
            assert_eq!(frames[1], if is_fine { message } else { TOO_LONG.into() }, "{bytes}");
        }
    }
}

#[test]
fn an_empty_line_is_a_line_whatever_ends_it() {
    for end in ["\n", "\r\n", "\r", "\r\0"] {
        let stream = format!("one{end}{end}two{end}");
        let frames = commands(Dialect::Slash, Phase::Chat, [stream.as_bytes()]);
        assert_eq!(frames, ["Say(\"one\")", "Say(\"\")", "Say(\"two\")"], "{end:?}");
        same_in_any_pieces(stream.as_bytes(), |pieces| commands(Dialect::Slash, Phase::Chat, pieces));
    }
}

#[test]
fn every_row_of_ends_decodes_to_the_same_in_any_pieces() {
    let alphabet = [b'\r', b'\n', 0, b'x'];
    for number in 0..alphabet.len().pow(6) {
        let byte = |place| alphabet[number / alphabet.len().pow(place) % alphabet.len()];
        let stream: Vec<_> = (0..6).map(byte).collect();
        same_in_any_pieces(&stream, |pieces| commands(Dialect::Slash, Phase::Chat, pieces));
    }
}

#[test]
fn the_longest_line_is_the_same_for_each_end_and_in_any_pieces() {
    for end in ENDS {
        // What belongs to a CR counts as one byte.
        let counted = if end == "\n" { 1 } else { 2 };
        for (longer, is_refused) in [(0, false), (1, true)] {
            let text = "x".repeat(LINE_BYTES_MAX - counted + longer);
            let stream = format!("{text}{end}/help{end}");
            let frames = commands(Dialect::Slash, Phase::Chat, [stream.as_bytes()]);
            let first = if is_refused { TOO_LONG.to_owned() } else { format!("Say({text:?})") };
            assert_eq!(frames, [first, "Help".to_owned()], "{end:?}");
            for cut in stream.len() - 2 * end.len() - 6..stream.len() {
                let (head, tail) = stream.as_bytes().split_at(cut);
                assert_eq!(commands(Dialect::Slash, Phase::Chat, [head, tail]), frames, "{end:?} at {cut}");
            }
        }
    }
}

#[test]
fn a_byte_order_mark_in_front_of_a_line_is_dropped() {
    // A writer in .NET puts one in front of what it sends, and a program may make a writer for each line.
    for (stream, expected) in [
        ("\u{feff}MSG a\nMSG b\n", ["Say(\"a\")", "Say(\"b\")"]),
        ("\u{feff}MSG a\r\n\u{feff}MSG b\r\n", ["Say(\"a\")", "Say(\"b\")"]),
        ("\u{feff}\u{feff} MSG a\n\u{feff}PING\n", ["Say(\"a\")", "Ping"]),
        ("MSG a\u{feff}\nMSG \u{feff}b\n", ["Say(\"a\u{feff}\")", "Say(\"\u{feff}b\")"]),
    ] {
        let frames = commands(Dialect::Line, Phase::Chat, [stream.as_bytes()]);
        let shown = expected.map(|frame| frame.replace('\u{feff}', "\\u{feff}"));
        assert_eq!(frames, shown, "{stream:?}");
        same_in_any_pieces(stream.as_bytes(), |pieces| commands(Dialect::Line, Phase::Chat, pieces));
    }
    let frames = commands(Dialect::Slash, Phase::Login, ["\u{feff}carol\r\n\u{feff}/help\r\n".as_bytes()]);
    assert_eq!(frames[1], "Help");
    assert!(frames[0].contains("\"carol\""), "{}", frames[0]);
}

#[test]
fn a_server_ends_its_lines_with_a_line_feed_alone() {
    let stream = b"MSG alice a\rPONG\n";
    assert_eq!(events(Dialect::Line, [&stream[..]]).len(), 1);
    same_in_any_pieces(stream, |pieces| events(Dialect::Line, pieces));
}

#[test]
fn a_line_without_its_end_is_no_line_yet() {
    for dialect in LINES {
        assert!(commands(dialect, Phase::Login, [&b"LOGIN alice"[..]]).is_empty());
    }
}
