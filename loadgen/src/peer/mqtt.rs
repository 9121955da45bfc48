//! MQTT 3.1.1: topics, at `QoS` 0 (<https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html>).
//!
//! ```text
//!  to the server                            from it
//!  CONNECT name (clean session)             CONNACK
//!  SUBSCRIBE room                           SUBACK
//!  PUBLISH room text                        PUBLISH room text, to all in the room, also the sender
//!
//!  a packet:  | type, flags | bytes of the rest (base 128, the lowest first) | the rest |
//!              1             1 to 4
//! ```
//!
//! The keep-alive is 0: the server closes nobody who says nothing.

use parlance::wire::Decoded;

use super::{BYTES_AROUND, FRAME_BYTES_MAX, Facts, Login, TEXT_BYTES_MAX, Unread, decoded, text};
use crate::incoming::{Answer, Incoming};

pub(super) const FACTS: Facts = Facts {
    name: "mqtt",
    help: "MQTT 3.1.1: topics, QoS 0 (port 1883)",
    port: 1883,
    echoes: true,
    text_bytes_max: TEXT_BYTES_MAX,
    bytes_around: BYTES_AROUND,
    frame_bytes_max: FRAME_BYTES_MAX,
    // Mosquitto's queue of those whom it has not accepted is 100 long: who does not fit tries again a second later.
    connecting: 64,
    log_in,
    join,
    message,
    pong: |_, _| {},
    decode,
};

// Types, with the flags that they must have.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

const CLEAN_SESSION: u8 = 2;
const KEEP_ALIVE: u16 = 0;
const PACKET: u16 = 1;
const QOS_0: u8 = 0;

fn log_in(login: &Login<'_>, out: &mut Vec<u8>) {
    const PROTOCOL: &str = "MQTT";
    const LEVEL: u8 = 4;
    header(CONNECT, 2 + PROTOCOL.len() + 4 + 2 + login.name.len(), out);
    string(PROTOCOL, out);
    out.extend_from_slice(&[LEVEL, CLEAN_SESSION]);
    out.extend_from_slice(&KEEP_ALIVE.to_be_bytes());
    string(login.name, out);
}

fn join(room: &str, out: &mut Vec<u8>) {
    header(SUBSCRIBE, 2 + 2 + room.len() + 1, out);
    out.extend_from_slice(&PACKET.to_be_bytes());
    string(room, out);
    out.push(QOS_0);
}

fn message(room: &str, text: &str, out: &mut Vec<u8>) {
    header(PUBLISH, 2 + room.len() + text.len(), out);
    string(room, out);
    out.extend_from_slice(text.as_bytes());
}

fn header(kind: u8, rest_bytes: usize, out: &mut Vec<u8>) {
    out.push(kind);
    let mut left = rest_bytes;
    while left > 127 {
        out.push((left & 127) as u8 | 128);
        left >>= 7;
    }
    out.push(left as u8);
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn decode(bytes: &[u8]) -> Decoded<Incoming<'_>> {
    decoded(bytes, read(bytes))
}

fn read(bytes: &[u8]) -> Result<(usize, Incoming<'_>), Unread> {
    let (&kind, lengths) = bytes.split_first().ok_or(Unread::Incomplete)?;
    let (length, length_bytes) = length(lengths)?;
    let start = 1 + length_bytes;
    let end = start + length;
    let body = bytes.get(start..end).ok_or(Unread::Incomplete)?;
    let incoming = match (kind & 0xf0, body) {
        (PUBLISH, body) => read_message(kind, body)?,
        (CONNACK, [_, 0]) => Incoming::Answer(Answer::LoggedIn),
        (CONNACK, [_, code]) => Incoming::Answer(Answer::Said(refusal(*code))),
        (SUBACK, [_, _, QOS_0]) => Incoming::Answer(Answer::Joined),
        (SUBACK, _) => Incoming::Answer(Answer::Said("the subscription is refused")),
        (0xd0, []) => Incoming::Aside,
        _ => return Err(Unread::Malformed("a packet that no client is sent")),
    };
    Ok((end, incoming))
}

/// A topic, its length in front, and the text.
fn read_message(kind: u8, body: &[u8]) -> Result<Incoming<'_>, Unread> {
    if kind & 0b110 != 0 {
        return Err(Unread::Malformed("a message at a QoS that was not asked for"));
    }
    let topic = body
        .split_first_chunk()
        .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
    let (room, content) = topic.ok_or(Unread::Malformed("a message without its topic"))?;
    Ok(Incoming::Message { sender: None, room: Some(text(room)?), text: text(content)? })
}

/// Bytes of the rest, and of their number.
fn length(bytes: &[u8]) -> Result<(usize, usize), Unread> {
    let mut length = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 127) << (7 * place);
        if *byte < 128 {
            return Ok((length, place + 1));
        }
    }
    if bytes.len() < 4 { Err(Unread::Incomplete) } else { Err(Unread::Malformed("a length that is none")) }
}

fn refusal(code: u8) -> &'static str {
    match code {
        1 => "it does not speak MQTT 3.1.1",
        2 => "the name is refused",
        3 => "the server is not available",
        4 => "wrong name or password",
        5 => "not authorized",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Peer, tests};
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        tests::read(Peer::Mqtt, bytes)
    }

    #[test]
    fn packets_are_as_the_specification_has_them() {
        let mut out = Vec::new();
        log_in(&Login { name: "alice", publishes: false }, &mut out);
        assert_eq!(out, b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05alice");
        out.clear();
        join("tea", &mut out);
        assert_eq!(out, b"\x82\x08\x00\x01\x00\x03tea\x00");
        out.clear();
        message("tea", &"x".repeat(200), &mut out);
        assert_eq!(out[..8], *b"\x30\xcd\x01\x00\x03tea");
        assert_eq!(out.len(), 3 + 205);
    }

    #[test]
    fn each_packet_is_read() {
        let stream = b"\x20\x02\x00\x00\x90\x03\x00\x01\x00\x30\x07\x00\x03teahi\xd0\x00\x39\x05\x00\x03tea\
                       \x20\x02\x00\x05\x90\x03\x00\x01\x80";
        let expected = [
            "logged in",
            "joined",
            "? in tea: hi",
            "aside",
            "? in tea: ",
            "said not authorized",
            "said the subscription is refused",
        ];
        assert_eq!(read(stream), expected);
        let mut long = Vec::new();
        let text = "x".repeat(20_000);
        message("tea", &text, &mut long);
        assert_eq!(read(&long), [format!("? in tea: {text}")]);
    }

    #[test]
    fn what_is_not_mqtt_is_unreadable() {
        for (bytes, why) in [
            (&b"\x10\x00"[..], "a packet that no client is sent"),
            (b"\x30\xff\xff\xff\xff", "a length that is none"),
            (b"\x32\x07\x00\x03teahi", "a message at a QoS that was not asked for"),
            (b"\x30\x03\x00\x09t", "a message without its topic"),
        ] {
            assert_eq!(read(bytes), [format!("unreadable: {why}")], "{bytes:?}");
        }
    }
}
