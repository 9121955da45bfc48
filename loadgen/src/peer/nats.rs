//! NATS: subjects, in its text protocol (<https://docs.nats.io/reference/reference-protocols/nats-protocol>).
//!
//! ```text
//!  to the server                            from it
//!                                           INFO {...}
//!  CONNECT {...}, SUB room 1, PING          PONG
//!  PUB room 64, text                        MSG room 1 64, text
//!  PONG                                     PING
//! ```
//!
//! A subscription is not answered; the PING behind it is. Who says something hears it itself, as the protocol has it where
//! nothing else is asked for, and as it is with Redis, with MQTT and in the slash dialect.

use std::io::Write;

use parlance::wire::Decoded;

use super::{BYTES_AROUND, CONNECTING, FRAME_BYTES_MAX, Facts, TEXT_BYTES_MAX, Unread, decoded, line, text};
use crate::incoming::{Answer, Incoming};

pub(super) const FACTS: Facts = Facts {
    name: "nats",
    help: "NATS: subjects (port 4222)",
    port: 4222,
    echoes: true,
    text_bytes_max: TEXT_BYTES_MAX,
    bytes_around: BYTES_AROUND,
    frame_bytes_max: FRAME_BYTES_MAX,
    connecting: CONNECTING,
    // The server speaks first.
    log_in: |_, _| {},
    join,
    message,
    pong: |_, out| out.extend_from_slice(b"PONG\r\n"),
    decode,
};

/// Without `protocol`, the server says its INFO once and not again.
const CONNECT: &str =
    r#"CONNECT {"verbose":false,"pedantic":false,"echo":true,"lang":"loadgen","version":"1"}"#;
const INFALLIBLE: &str = "a vector takes everything";

fn join(room: &str, out: &mut Vec<u8>) {
    write!(out, "{CONNECT}\r\nSUB {room} 1\r\nPING\r\n").expect(INFALLIBLE);
}

fn message(room: &str, text: &str, out: &mut Vec<u8>) {
    write!(out, "PUB {room} {}\r\n{text}\r\n", text.len()).expect(INFALLIBLE);
}

fn decode(bytes: &[u8]) -> Decoded<Incoming<'_>> {
    decoded(bytes, read(bytes))
}

fn read(bytes: &[u8]) -> Result<(usize, Incoming<'_>), Unread> {
    let (line, line_bytes) = line(bytes)?;
    if let Some(arguments) = line.strip_prefix(b"MSG ") {
        return read_message(bytes, arguments, line_bytes);
    }
    let incoming = match line {
        b"PING" => Incoming::Answer(Answer::Ping("")),
        b"PONG" => Incoming::Answer(Answer::Joined),
        b"+OK" => Incoming::Aside,
        _ if line.starts_with(b"INFO ") => Incoming::Answer(Answer::LoggedIn),
        _ => match line.strip_prefix(b"-ERR ") {
            Some(reason) => Incoming::Answer(Answer::Said(text(reason)?)),
            None => return Err(Unread::Malformed("a line that is none of NATS")),
        },
    };
    Ok((line_bytes, incoming))
}

/// `subject sid [reply-to] bytes`, and as many bytes on lines of their own.
fn read_message<'a>(
    bytes: &'a [u8],
    arguments: &'a [u8],
    start: usize,
) -> Result<(usize, Incoming<'a>), Unread> {
    const NONE: Unread = Unread::Malformed("a message without its length");
    let mut words = text(arguments)?.split_ascii_whitespace();
    let (room, length) = (words.next().ok_or(NONE)?, words.next_back().ok_or(NONE)?);
    let length: usize = length.parse().ok().filter(|length| *length <= TEXT_BYTES_MAX).ok_or(NONE)?;
    let end = start + length;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => {
            let text = text(&bytes[start..end])?;
            Ok((end + 2, Incoming::Message { sender: None, room: Some(room), text }))
        }
        Some(_) => Err(Unread::Malformed("a message that is longer than it says")),
        None => Err(Unread::Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Peer, tests};
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        tests::read(Peer::Nats, bytes)
    }

    #[test]
    fn a_client_asks_behind_its_subscription() {
        let mut out = Vec::new();
        join("tea", &mut out);
        message("tea", "two cups", &mut out);
        let said = String::from_utf8(out).expect("text");
        let (connect, rest) = said.split_once("\r\n").expect("some lines");
        let options = connect.strip_prefix("CONNECT ").expect("it connects");
        let options: serde_json::Value = serde_json::from_str(options).expect("JSON");
        assert_eq!((&options["verbose"], &options["echo"]), (&false.into(), &true.into()));
        assert_eq!(rest, "SUB tea 1\r\nPING\r\nPUB tea 8\r\ntwo cups\r\n");
    }

    #[test]
    fn each_line_is_read() {
        let stream = b"INFO {\"server_id\":\"x\"}\r\nPONG\r\nPING\r\n+OK\r\nMSG tea 1 5\r\nhello\r\n\
                       MSG tea 1 reply 2\r\nhi\r\nMSG tea 1 0\r\n\r\n-ERR 'Slow Consumer'\r\n";
        let expected = [
            "logged in",
            "joined",
            "ping ",
            "aside",
            "? in tea: hello",
            "? in tea: hi",
            "? in tea: ",
            "said 'Slow Consumer'",
        ];
        assert_eq!(read(stream), expected);
    }

    #[test]
    fn what_is_not_nats_is_unreadable() {
        for (bytes, why) in [
            ("hello\r\n", "a line that is none of NATS"),
            ("MSG tea\r\n", "a message without its length"),
            ("MSG tea 1 x\r\n", "a message without its length"),
            ("MSG tea 1 2\r\nlonger\r\n", "a message that is longer than it says"),
        ] {
            assert_eq!(read(bytes.as_bytes()), [format!("unreadable: {why}")], "{bytes:?}");
        }
    }
}
