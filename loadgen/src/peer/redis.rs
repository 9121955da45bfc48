//! Redis: publish and subscribe, in RESP (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! ```text
//!  to the server                            from it
//!  HELLO 3                                  %7 server redis version ...        (a map; RESP2: a list)
//!  *2 SUBSCRIBE room                        >3 subscribe room :1               (RESP2: *3)
//!  *3 PUBLISH room text                     >3 message room text, and :9 (recipients)
//! ```
//!
//! Who only hears has a connection in RESP2, as most clients have. In RESP2 a connection that has subscribed may not
//! publish, so that a publisher, which also hears the others and itself, says `HELLO 3`.

use std::io::Write;

use parlance::wire::Decoded;

use super::{
    BYTES_AROUND, CONNECTING, FRAME_BYTES_MAX, Facts, Login, TEXT_BYTES_MAX, Unread, decoded, line, text,
};
use crate::incoming::{Answer, Incoming};

pub(super) const FACTS: Facts = Facts {
    name: "redis",
    help: "Redis: publish and subscribe (port 6379)",
    port: 6379,
    echoes: true,
    text_bytes_max: TEXT_BYTES_MAX,
    bytes_around: BYTES_AROUND,
    frame_bytes_max: FRAME_BYTES_MAX,
    connecting: CONNECTING,
    log_in,
    join,
    message,
    pong: |_, _| {},
    decode,
};

fn log_in(login: &Login<'_>, out: &mut Vec<u8>) {
    command(&["HELLO", if login.publishes { "3" } else { "2" }], out);
}

fn join(room: &str, out: &mut Vec<u8>) {
    command(&["SUBSCRIBE", room], out);
}

fn message(room: &str, text: &str, out: &mut Vec<u8>) {
    command(&["PUBLISH", room, text], out);
}

fn command(words: &[&str], out: &mut Vec<u8>) {
    const INFALLIBLE: &str = "a vector takes everything";
    write!(out, "*{}\r\n", words.len()).expect(INFALLIBLE);
    for word in words {
        write!(out, "${}\r\n{word}\r\n", word.len()).expect(INFALLIBLE);
    }
}

fn decode(bytes: &[u8]) -> Decoded<Incoming<'_>> {
    decoded(bytes, read(bytes))
}

fn read(bytes: &[u8]) -> Result<(usize, Incoming<'_>), Unread> {
    let (header, header_bytes) = line(bytes)?;
    match header.split_first() {
        Some((b'-', reason)) => Ok((header_bytes, Incoming::Answer(Answer::Said(text(reason)?)))),
        Some((b'*' | b'>' | b'%', _)) => read_list(bytes, header_bytes),
        // How many received it, for one.
        Some(_) => Ok((value_bytes(bytes)?, Incoming::Aside)),
        None => Err(Unread::Malformed("an empty line")),
    }
}

/// A list, or a map, whose first word says what it is.
fn read_list(bytes: &[u8], header_bytes: usize) -> Result<(usize, Incoming<'_>), Unread> {
    let (what, end) = word(bytes, header_bytes)?;
    if what == b"message" {
        let (room, end) = word(bytes, end)?;
        let (content, end) = word(bytes, end)?;
        let message = Incoming::Message { sender: None, room: Some(text(room)?), text: text(content)? };
        return Ok((end, message));
    }
    let incoming = match what {
        b"subscribe" => Incoming::Answer(Answer::Joined),
        // The first word of what `HELLO` is answered.
        b"server" => Incoming::Answer(Answer::LoggedIn),
        _ => Incoming::Aside,
    };
    Ok((value_bytes(bytes)?, incoming))
}

/// The string of known length at `start`, and where it ends.
fn word(bytes: &[u8], start: usize) -> Result<(&[u8], usize), Unread> {
    let (header, header_bytes) = line(&bytes[start..])?;
    let Some((b'$', length)) = header.split_first() else {
        return Err(Unread::Malformed("no string where one should be"));
    };
    let from = start + header_bytes;
    let to = from + number(length)?.ok_or(Unread::Malformed("no string where one should be"))?;
    match bytes.get(to..to + 2) {
        Some(b"\r\n") => Ok((&bytes[from..to], to + 2)),
        Some(_) => Err(Unread::Malformed("a string that is longer than it says")),
        None => Err(Unread::Incomplete),
    }
}

/// Bytes of the first value, with all that is in it.
fn value_bytes(bytes: &[u8]) -> Result<usize, Unread> {
    let mut end = 0;
    let mut awaited = 1_usize;
    while awaited > 0 {
        awaited -= 1;
        let (header, header_bytes) = line(&bytes[end..])?;
        match header.split_first() {
            Some((b'$' | b'=' | b'!', length)) => {
                end += header_bytes + number(length)?.map_or(0, |length| length + 2);
                if end > bytes.len() {
                    return Err(Unread::Incomplete);
                }
            }
            Some((b'*' | b'>' | b'~', count)) => {
                end += header_bytes;
                awaited += number(count)?.unwrap_or(0);
            }
            Some((b'%', count)) => {
                end += header_bytes;
                awaited += 2 * number(count)?.unwrap_or(0);
            }
            Some((b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(', _)) => end += header_bytes,
            Some(_) | None => return Err(Unread::Malformed("no value of RESP")),
        }
    }
    Ok(end)
}

/// A length or a count, of no more than a frame has bytes; nothing, for -1.
fn number(digits: &[u8]) -> Result<Option<usize>, Unread> {
    if digits == b"-1" {
        return Ok(None);
    }
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    match number {
        Some(number) if number <= FRAME_BYTES_MAX => Ok(Some(number)),
        Some(_) | None => Err(Unread::Malformed("a length that is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Peer, tests};
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        tests::read(Peer::Redis, bytes)
    }

    #[test]
    fn commands_are_lists_of_strings() {
        let mut out = Vec::new();
        log_in(&Login { name: "alice", publishes: true }, &mut out);
        join("tea", &mut out);
        message("tea", "two cups", &mut out);
        let expected = "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\ntea\r\n\
                        *3\r\n$7\r\nPUBLISH\r\n$3\r\ntea\r\n$8\r\ntwo cups\r\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn both_versions_are_read() {
        let subscribed = "3\r\n$9\r\nsubscribe\r\n$3\r\ntea\r\n:1\r\n";
        let message = "3\r\n$7\r\nmessage\r\n$3\r\ntea\r\n$2\r\nhi\r\n";
        let stream = format!(
            "*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nmodules\r\n*0\r\n\
             %2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nmodules\r\n*1\r\n%1\r\n$3\r\nver\r\n:1\r\n\
             *{subscribed}>{subscribed}*{message}>{message}:1000\r\n+OK\r\n$-1\r\n_\r\n"
        );
        let expected = [
            "logged in",
            "logged in",
            "joined",
            "joined",
            "? in tea: hi",
            "? in tea: hi",
            "aside",
            "aside",
            "aside",
            "aside",
        ];
        assert_eq!(read(stream.as_bytes()), expected);
    }

    #[test]
    fn an_error_is_what_the_server_says() {
        assert_eq!(read(b"-ERR unknown command 'HELLO'\r\n"), ["said ERR unknown command 'HELLO'"]);
    }

    #[test]
    fn what_is_not_resp_is_unreadable() {
        for (bytes, why) in [
            ("hello\r\n", "no value of RESP"),
            ("\r\n", "an empty line"),
            ("*1\r\n:1\r\n", "no string where one should be"),
            ("$99999999999\r\n", "a length that is none"),
            ("*3\r\n$7\r\nmessages\r\n", "a string that is longer than it says"),
        ] {
            assert_eq!(read(bytes.as_bytes()), [format!("unreadable: {why}")], "{bytes:?}");
        }
    }
}
