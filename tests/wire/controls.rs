//! No line of a user's text looks like one of the server, and no text steers a terminal.

use std::collections::HashSet;

use parlance::chat::{Command, Event, Mail, Name, Phase, Problem, RoomName, UnixMillis, UnixSeconds};
use parlance::limits::{
    FRAME_BYTES_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX, SERVER_LINE_BYTES_MAX, TEXT_LINES_MAX,
};
use parlance::wire::Codec;

use crate::feed::{LINES, commands, events, shown};

/// C0, DEL and C1.
fn controls() -> impl Iterator<Item = char> {
    (0..=0x9f_u32).filter_map(char::from_u32).filter(|c| c.is_control())
}

const MESSAGES: usize = 3;

/// Every event with a text that nothing has checked. The first three are messages, whose lines stay lines.
fn with_text(text: &str) -> [Event<'_>; 6] {
    let at = UnixSeconds(0);
    [
        Event::Message { sender: "alice", text, at },
        Event::Direct { sender: "alice", text, at },
        Event::DirectSent { to: "alice", text },
        Event::Error(Problem::UserNotFound(text)),
        Event::Error(Problem::UnknownCommand(text)),
        Event::RoomClosed(text),
    ]
}

#[test]
fn no_text_looks_like_a_line_of_the_server_or_reaches_the_output_as_a_control() {
    assert_eq!(controls().count(), 32 + 1 + 32);
    for control in controls() {
        let text = format!("a{control}MSG eve b{control}{control}");
        for dialect in LINES {
            for (index, event) in with_text(&text).into_iter().enumerate() {
                let lines = 1 + usize::from(matches!(control, '\n' | '\r') && index < MESSAGES);
                let mut out = Vec::new();
                let _ = dialect.encode_event(&Codec::default(), &event, &mut out);
                let out = String::from_utf8(out).expect("UTF-8");
                if let Some(line) = out.strip_suffix('\n') {
                    let found = line.chars().filter(|c| c.is_control() && *c != '\t').collect::<String>();
                    assert_eq!(found, "\n".repeat(lines - 1), "{control:?} in {event:?} as {dialect:?}");
                    let heard = events(dialect, [out.as_bytes()]);
                    assert_eq!(heard.len(), lines, "{event:?} as {dialect:?}");
                    let kinds: HashSet<_> = heard.iter().map(|event| event.split(' ').next()).collect();
                    assert_eq!(kinds.len(), 1, "{heard:?}");
                } else {
                    assert_eq!(out, "", "{event:?} as {dialect:?}");
                }
            }
        }
    }
}

#[test]
fn what_a_client_sends_is_one_command_whatever_its_text() {
    for control in controls() {
        let text = format!("a{control}MSG eve{control}b");
        for dialect in LINES {
            for command in [Command::Say(&text), Command::Direct { to: "alice", text: &text }] {
                let mut out = Vec::new();
                dialect.encode_command(&command, &mut out).expect("sayable");
                assert_eq!(commands(dialect, Phase::Chat, [&out[..]]).len(), 1, "{}", out.escape_ascii());
            }
        }
    }
}

#[test]
fn no_name_of_a_person_or_a_room_has_a_control_or_a_blank_but_a_room_inside() {
    let blanks = [' ', '\u{a0}', '\u{3000}'];
    for c in controls().chain(blanks).chain(['\t', '\u{2028}', '\u{2029}']) {
        let inside = format!("a{c}b");
        for name in [format!("{c}ab"), format!("ab{c}"), inside.clone()] {
            assert!(Name::parse(&name).is_err(), "{name:?}");
            let allowed = blanks.contains(&c) && name == inside;
            assert_eq!(RoomName::parse(&name).is_ok(), allowed, "{name:?}");
        }
    }
}

#[test]
fn everything_but_controls_arrives_as_it_was_sent() {
    let text = "tab\tblank  é ¢ £ ß 語 🦀 \u{a0} ~ [x] *** / # :";
    for dialect in LINES {
        let mut out = Vec::new();
        let _ = dialect.encode_event(
            &Codec::default(),
            &Event::Message { sender: "zoë", text, at: UnixSeconds(0) },
            &mut out,
        );
        assert!(String::from_utf8_lossy(&out).ends_with(&format!(" {text}\n")));
        let mut out = Vec::new();
        dialect.encode_command(&Command::Say(text), &mut out).expect("sayable");
        assert_eq!(commands(dialect, Phase::Chat, [&out[..]]), [shown(&Command::Say(text))]);
    }
}

#[test]
fn the_longest_text_of_controls_fits_into_a_frame_and_its_lines_into_what_a_client_reads() {
    let sender = "x".repeat(NAME_BYTES_MAX);
    for unit in ["\u{1}", "\u{1}\n", "\r\n\u{1}", "\n"] {
        let text = unit.repeat(LINE_BYTES_MAX / unit.len());
        let message = Event::Message { sender: &sender, text: &text, at: UnixSeconds(0) };
        let direct = Event::Direct { sender: &sender, text: &text, at: UnixSeconds(0) };
        let sent = Event::DirectSent { to: &sender, text: &text };
        let at = UnixMillis(u64::MAX);
        let (id, recipient, content) = ("", "", text.as_str());
        let mail = Event::Mail(Mail { id, at, sender: &sender, recipient, content, unread: false });
        for dialect in LINES {
            for event in [message, direct, sent, mail] {
                let mut out = Vec::new();
                let _ = dialect.encode_event(&Codec::default(), &event, &mut out);
                assert!(out.len() <= FRAME_BYTES_MAX, "{unit:?}: {}", out.len());
                let lines: Vec<_> = out.split_inclusive(|&byte| byte == b'\n').collect();
                assert!(
                    lines.len() <= TEXT_LINES_MAX && lines.iter().all(|l| l.len() <= SERVER_LINE_BYTES_MAX)
                );
            }
        }
    }
}
