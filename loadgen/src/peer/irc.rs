//! IRC: channels, as a client of RFC 1459 and 2812 and of today's servers (<https://modern.ircdocs.horse/>).
//!
//! ```text
//!  to the server                            from it
//!  NICK name, USER loadgen                  001 ..., 376 (end of the message of the day) or 422 (there is none)
//!  JOIN #room                               353 ..., 366 (end of names); and all of the room are told
//!  PRIVMSG #room :text                      :name!loadgen@127.101.102.103 PRIVMSG #room :text, to all others
//!  PONG :token                              PING :token
//! ```

use std::io::Write;

use parlance::wire::Decoded;

use super::{BYTES_AROUND, Facts, Login, Unread, decoded, line, text};
use crate::incoming::{Answer, Incoming};
use crate::roster::{NAME_BYTES, ROOM_NAME_BYTES};

/// With its end. What is longer is cut.
const LINE_BYTES_MAX: usize = 512;
/// Servers allow that many at most, and show it in each message; an IPv4 address takes 15.
const HOST_BYTES_MAX: usize = 63;
const USER: &str = "loadgen";

/// What a server puts around a text, at most: a user whom nobody vouches for has a tilde.
const AROUND_BYTES_MAX: usize =
    ":!~@ PRIVMSG # :\r\n".len() + NAME_BYTES + USER.len() + HOST_BYTES_MAX + ROOM_NAME_BYTES;

pub(super) const FACTS: Facts = Facts {
    name: "irc",
    help: "IRC: channels (port 6667)",
    port: 6667,
    echoes: false,
    text_bytes_max: LINE_BYTES_MAX - AROUND_BYTES_MAX,
    bytes_around: BYTES_AROUND,
    // A line may have tags in front.
    frame_bytes_max: 8191 + LINE_BYTES_MAX,
    // InspIRCd lets in once a second whoever has come since.
    connecting: 2000,
    log_in,
    join,
    message,
    pong,
    decode,
};

const INFALLIBLE: &str = "a vector takes everything";

fn log_in(login: &Login<'_>, out: &mut Vec<u8>) {
    write!(out, "NICK {}\r\nUSER {USER} 0 * :{USER}\r\n", login.name).expect(INFALLIBLE);
}

fn join(room: &str, out: &mut Vec<u8>) {
    write!(out, "JOIN #{room}\r\n").expect(INFALLIBLE);
}

fn message(room: &str, text: &str, out: &mut Vec<u8>) {
    write!(out, "PRIVMSG #{room} :{text}\r\n").expect(INFALLIBLE);
}

fn pong(token: &str, out: &mut Vec<u8>) {
    write!(out, "PONG :{token}\r\n").expect(INFALLIBLE);
}

fn decode(bytes: &[u8]) -> Decoded<Incoming<'_>> {
    decoded(bytes, read(bytes))
}

fn read(bytes: &[u8]) -> Result<(usize, Incoming<'_>), Unread> {
    let (line, line_bytes) = line(bytes)?;
    let rest = match line.strip_prefix(b"@") {
        Some(tags) => after_blank(tags),
        None => line,
    };
    let (source, rest) = match rest.strip_prefix(b":") {
        Some(source) => (source, after_blank(source)),
        None => (&b""[..], rest),
    };
    let (command, parameters) = rest.split_at(memchr::memchr(b' ', rest).unwrap_or(rest.len()));
    let incoming = match command {
        b"PRIVMSG" => {
            let (target, content) = first_word(parameters);
            // A message to a person has no such room.
            let room = text(target.strip_prefix(b"#").unwrap_or(target))?;
            let sender = source.split(|byte| matches!(byte, b'!' | b' ')).next().unwrap_or_default();
            let content = text(first_parameter(content))?;
            Incoming::Message { sender: Some(text(sender)?), room: Some(room), text: content }
        }
        b"PING" => Incoming::Answer(Answer::Ping(text(first_parameter(parameters))?)),
        b"376" | b"422" => Incoming::Answer(Answer::LoggedIn),
        b"366" => Incoming::Answer(Answer::Joined),
        // What failed has a number.
        b"ERROR" | [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] => Incoming::Answer(Answer::Said(text(line)?)),
        // Who comes and goes, who is there, and what the server has to say of itself.
        _ => Incoming::Aside,
    };
    Ok((line_bytes, incoming))
}

/// What stands behind the first blank.
fn after_blank(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b' ', bytes).map_or(b"", |blank| &bytes[blank + 1..])
}

/// The first parameter that is one word, and what is behind it.
fn first_word(parameters: &[u8]) -> (&[u8], &[u8]) {
    let parameters = parameters.trim_ascii_start();
    parameters.split_at(memchr::memchr(b' ', parameters).unwrap_or(parameters.len()))
}

/// The first parameter, which is all of the line when it starts with a colon.
fn first_parameter(parameters: &[u8]) -> &[u8] {
    match parameters.trim_ascii_start().strip_prefix(b":") {
        Some(trailing) => trailing,
        None => first_word(parameters).0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Peer, tests};
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        tests::read(Peer::Irc, bytes)
    }

    #[test]
    fn commands_are_lines() {
        let mut out = Vec::new();
        log_in(&Login { name: "alice", publishes: false }, &mut out);
        join("tea", &mut out);
        message("tea", "two cups", &mut out);
        pong("17", &mut out);
        let expected =
            "NICK alice\r\nUSER loadgen 0 * :loadgen\r\nJOIN #tea\r\nPRIVMSG #tea :two cups\r\nPONG :17\r\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn what_a_server_says_is_read() {
        let stream = b":irc NOTICE * :*** Looking up your hostname\r\nPING :a token\r\n:irc PING 17\r\n\
                       :irc 001 alice :Welcome\r\n:irc 422 alice :No MOTD\r\n:irc 376 alice :End\n\
                       :alice!~u@h JOIN #tea\r\n:irc 353 alice = #tea :alice bob\r\n:irc 366 alice #tea :End\r\n\
                       :bob!u@h PRIVMSG #tea :two cups: mine\r\n@time=x :bob!u@h PRIVMSG #tea one\r\n\
                       :bob PRIVMSG alice :psst\r\n:irc 433 * alice :Nickname is in use\r\nERROR :Closing link\r\n";
        let expected = [
            "aside",
            "ping a token",
            "ping 17",
            "aside",
            "logged in",
            "logged in",
            "aside",
            "aside",
            "joined",
            "bob in tea: two cups: mine",
            "bob in tea: one",
            "bob in alice: psst",
            "said :irc 433 * alice :Nickname is in use",
            "said ERROR :Closing link",
        ];
        assert_eq!(read(stream), expected);
    }

    #[test]
    fn the_longest_text_fits_a_line_whoever_says_it() {
        let text = "x".repeat(FACTS.text_bytes_max);
        let (name, room, host) =
            ("n".repeat(NAME_BYTES), "r".repeat(ROOM_NAME_BYTES), "h".repeat(HOST_BYTES_MAX));
        let line = format!(":{name}!~{USER}@{host} PRIVMSG #{room} :{text}\r\n");
        assert_eq!(line.len(), LINE_BYTES_MAX);
        let mut said = Vec::new();
        message(&room, &text, &mut said);
        assert!(said.len() <= LINE_BYTES_MAX);
    }
}
