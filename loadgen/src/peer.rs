//! The servers that Parlance is compared with: a file each, with all that the generator must know of its protocol.
//!
//! These are the least codecs that a client of the run needs, and the generator's own: Parlance speaks none of them. They
//! are pure, as Parlance's are: a decoder is handed what is there and says how much of it one frame took. What cannot be
//! read ends the connection.

mod irc;
mod mqtt;
mod nats;
mod redis;

use parlance::wire::{Decoded, Frame};
use serde::Serialize;

use crate::incoming::{Answer, Incoming};

/// The longest text, where the protocol itself sets no bound near it. It is the generator's own: what it receives into.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// More than stands around any text.
const BYTES_AROUND: usize = 128;
/// Clients that connect at once: fewer than a server's queue for those whom it has not accepted is long.
const CONNECTING: usize = 256;
/// The longest frame of a server that has something else to say than texts.
const FRAME_BYTES_MAX: usize = TEXT_BYTES_MAX + 4096;

/// The servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    Redis,
    Nats,
    Irc,
    Mqtt,
}

/// What the generator must know of a protocol. Rooms are what its channels, subjects or topics are, and of the same names.
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) port: u16,
    /// Whether whoever says something in a room hears it as well.
    pub(crate) echoes: bool,
    /// The most bytes of text that one message carries.
    pub(crate) text_bytes_max: usize,
    /// Bytes of a message around its text, roughly: what room is made for.
    pub(crate) bytes_around: usize,
    /// The longest frame that the server sends.
    pub(crate) frame_bytes_max: usize,
    /// Clients that connect or log in at once, when nothing else is asked for.
    pub(crate) connecting: usize,
    /// Appends what a client says first. When the server has let it in, that decodes as [`Answer::LoggedIn`].
    pub(crate) log_in: fn(&Login<'_>, &mut Vec<u8>),
    /// Appends what brings it into a room. When it is there, that decodes as [`Answer::Joined`].
    pub(crate) join: fn(room: &str, out: &mut Vec<u8>),
    /// Appends a message to a room.
    pub(crate) message: fn(room: &str, text: &str, out: &mut Vec<u8>),
    /// Appends the answer to [`Answer::Ping`].
    pub(crate) pong: fn(token: &str, out: &mut Vec<u8>),
    /// Decodes the first frame in `bytes`.
    pub(crate) decode: fn(bytes: &[u8]) -> Decoded<Incoming<'_>>,
}

/// Who comes in.
pub(crate) struct Login<'a> {
    pub(crate) name: &'a str,
    /// It will say something, and not only hear.
    pub(crate) publishes: bool,
}

impl Peer {
    pub(crate) fn facts(self) -> &'static Facts {
        match self {
            Self::Redis => &redis::FACTS,
            Self::Nats => &nats::FACTS,
            Self::Irc => &irc::FACTS,
            Self::Mqtt => &mqtt::FACTS,
        }
    }
}

/// Why a frame is none yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unread {
    /// The rest of it has not come.
    Incomplete,
    /// It never will be one, in these words.
    Malformed(&'static str),
}

/// What a frame of so many bytes says, for the generator.
fn decoded<'a>(bytes: &'a [u8], read: Result<(usize, Incoming<'a>), Unread>) -> Decoded<Incoming<'a>> {
    match read {
        Ok((consumed, incoming)) => Decoded { consumed, frame: Frame::Whole(incoming) },
        Err(Unread::Incomplete) => Decoded { consumed: 0, frame: Frame::Incomplete },
        Err(Unread::Malformed(why)) => {
            let answer = Incoming::Answer(Answer::Unreadable(why.to_owned()));
            // What comes behind it starts anywhere.
            Decoded { consumed: bytes.len(), frame: Frame::Whole(answer) }
        }
    }
}

/// Text, which all is that the generator has said.
fn text(bytes: &[u8]) -> Result<&str, Unread> {
    str::from_utf8(bytes).map_err(|_| Unread::Malformed("a text that is not UTF-8"))
}

/// The first line, without its end, and how many bytes it takes with it.
fn line(bytes: &[u8]) -> Result<(&[u8], usize), Unread> {
    let end = memchr::memchr(b'\n', bytes).ok_or(Unread::Incomplete)?;
    let line = &bytes[..end];
    Ok((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fmt::Debug;

    pub(crate) const PEERS: [Peer; 4] = [Peer::Redis, Peer::Nats, Peer::Irc, Peer::Mqtt];

    /// What a server says when somebody says something in a room.
    pub(crate) fn delivery(peer: Peer, sender: &str, room: &str, text: &str) -> Vec<u8> {
        match peer {
            Peer::Redis => {
                let (room_bytes, text_bytes) = (room.len(), text.len());
                format!("*3\r\n$7\r\nmessage\r\n${room_bytes}\r\n{room}\r\n${text_bytes}\r\n{text}\r\n")
                    .into_bytes()
            }
            Peer::Nats => format!("MSG {room} 1 {}\r\n{text}\r\n", text.len()).into_bytes(),
            Peer::Irc => {
                format!(":{sender}!loadgen@127.100.100.100 PRIVMSG #{room} :{text}\r\n").into_bytes()
            }
            Peer::Mqtt => {
                let mut frame = Vec::new();
                (Peer::Mqtt.facts().message)(room, text, &mut frame);
                frame
            }
        }
    }

    /// What a peer's frames are, in short; none may need more than it has, nor be something else when it is cut.
    pub(super) fn read(peer: Peer, bytes: &[u8]) -> Vec<String> {
        let decode = peer.facts().decode;
        let mut said = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let whole = decode(rest);
            let Frame::Whole(incoming) = &whole.frame else { panic!("{rest:?}: {said:?}") };
            if !matches!(incoming, Incoming::Answer(Answer::Unreadable(_))) {
                for cut in 0..whole.consumed {
                    let part = decode(&rest[..cut]);
                    assert!(
                        part.consumed == 0 && matches!(part.frame, Frame::Incomplete),
                        "{:?}",
                        &rest[..cut]
                    );
                }
            }
            said.push(words(incoming));
            rest = &rest[whole.consumed..];
        }
        said
    }

    fn words(incoming: &Incoming<'_>) -> String {
        fn of(what: impl Debug) -> String {
            format!("{what:?}")
        }
        match incoming {
            Incoming::Message { sender, room, text } => {
                format!("{} in {}: {text}", sender.unwrap_or("?"), room.unwrap_or("?"))
            }
            Incoming::Aside => "aside".to_owned(),
            Incoming::Answer(Answer::LoggedIn) => "logged in".to_owned(),
            Incoming::Answer(Answer::Joined) => "joined".to_owned(),
            Incoming::Answer(Answer::Ping(token)) => format!("ping {token}"),
            Incoming::Answer(Answer::Said(words)) => format!("said {words}"),
            Incoming::Answer(Answer::Unreadable(why)) => format!("unreadable: {why}"),
            Incoming::Missed(count) => of(count),
            Incoming::Kept { key, .. } => of(key),
            Incoming::Answer(_) => "something of Parlance's".to_owned(),
        }
    }

    #[test]
    fn a_delivery_is_read_as_what_was_said() {
        for peer in PEERS {
            let frame = delivery(peer, "alice", "room-1", "hello");
            let sender = if peer == Peer::Irc { "alice" } else { "?" };
            assert_eq!(read(peer, &frame), [format!("{sender} in room-1: hello")], "{peer:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_unreadable() {
        for peer in PEERS {
            let mut frame = delivery(peer, "alice", "room-1", "hello");
            let at = frame.windows(5).position(|part| part == b"hello").expect("it is in there");
            frame[at] = 0xff;
            assert_eq!(read(peer, &frame), ["unreadable: a text that is not UTF-8"], "{peer:?}");
        }
    }
}
