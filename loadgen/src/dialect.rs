//! What the generator must know of a dialect beyond its codec.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use parlance::chat::{Command, TOKEN_TEXT_BYTES};
use parlance::limits::{
    GOB_MESSAGE_BYTES_MAX, LINE_BYTES_MAX, SERVER_LINE_BYTES_MAX, TEXT_BYTES_MAX, TYPED_REPLY_BYTES_MAX,
    UCRP_DATAGRAM_BYTES_MAX,
};
use parlance::wire::{self, Unsayable};
use serde::Serialize;

use crate::peer::Peer;
use crate::roster::{NAME_BYTES, ROOM_NAME_BYTES};

/// The dialects that the generator speaks. (Its own type: the handshake and the datagrams behind it are one here.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    Line,
    Slash,
    /// The handshake over TCP, then datagrams.
    Tcrp,
    Typed,
    Gob,
    /// Not Parlance's, but of a server that it is compared with.
    #[serde(untagged)]
    Peer(Peer),
}

/// Who hears whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rooms {
    /// Everybody is in the same one.
    One,
    /// As many as are asked for.
    Any,
    /// None: clients write to each other two by two.
    Pairs,
}

impl Dialect {
    /// Parlance's codec; for the handshake, where there is one. Peers have their own.
    pub(crate) fn wire(self) -> Option<wire::Dialect> {
        match self {
            Self::Line => Some(wire::Dialect::Line),
            Self::Slash => Some(wire::Dialect::Slash),
            Self::Tcrp => Some(wire::Dialect::Tcrp),
            Self::Typed => Some(wire::Dialect::Typed),
            Self::Gob => Some(wire::Dialect::Gob),
            Self::Peer(_) => None,
        }
    }

    /// Appends a command, where the dialect has words for it.
    pub(crate) fn encode_command(self, command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        self.wire().ok_or(Unsayable)?.encode_command(command, out)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Slash => "slash",
            Self::Tcrp => "tcrp",
            Self::Typed => "typed",
            Self::Gob => "gob",
            Self::Peer(peer) => peer.facts().name,
        }
    }

    /// Whether whoever says something in a room hears it as well.
    pub(crate) fn echoes(self) -> bool {
        match self {
            Self::Slash => true,
            Self::Line | Self::Tcrp | Self::Typed | Self::Gob => false,
            Self::Peer(peer) => peer.facts().echoes,
        }
    }

    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Line => 4000,
            Self::Slash => 7000,
            Self::Tcrp => 9090,
            Self::Typed => 5000,
            Self::Gob => 8080,
            Self::Peer(peer) => peer.facts().port,
        }
    }

    /// The UDP port that datagrams go to, where there are any.
    pub(crate) fn default_datagram_port(self) -> Option<u16> {
        match self {
            Self::Tcrp => Some(9091),
            Self::Line | Self::Slash | Self::Typed | Self::Gob | Self::Peer(_) => None,
        }
    }

    /// Whether messages travel in datagrams, of which some may be lost or change places.
    pub(crate) fn may_lose(self) -> bool {
        self.default_datagram_port().is_some()
    }

    pub(crate) fn rooms(self) -> Rooms {
        match self {
            Self::Line | Self::Gob => Rooms::One,
            Self::Slash | Self::Tcrp | Self::Peer(_) => Rooms::Any,
            Self::Typed => Rooms::Pairs,
        }
    }

    /// Whether a message says which room it is for; otherwise it is for the one that its speaker is in.
    pub(crate) fn names_rooms(self) -> bool {
        matches!(self, Self::Peer(_))
    }

    /// Whether messages are kept, acknowledged as such, and listed at the end.
    pub(crate) fn keeps_messages(self) -> bool {
        match self {
            Self::Typed => true,
            Self::Line | Self::Slash | Self::Tcrp | Self::Gob | Self::Peer(_) => false,
        }
    }

    /// Whether all messages of a publisher are the same bytes but for the payload's header. Otherwise each has an id and a
    /// time in front.
    pub(crate) fn has_shape(self) -> bool {
        match self {
            Self::Line | Self::Slash | Self::Tcrp | Self::Gob | Self::Peer(_) => true,
            Self::Typed => false,
        }
    }

    /// Clients that connect or log in at once, when nothing else is asked for.
    pub(crate) fn connecting_default(self) -> usize {
        match self {
            Self::Line | Self::Slash | Self::Tcrp | Self::Gob => 256,
            // Each has the server hash a password. It takes 256 at once, and not only from here.
            Self::Typed => 100,
            Self::Peer(peer) => peer.facts().connecting,
        }
    }

    /// The most bytes of text that one message carries, to the server and from it.
    pub(crate) fn text_bytes_max(self) -> usize {
        match self {
            Self::Line => LINE_BYTES_MAX - "MSG \n".len(),
            Self::Slash => LINE_BYTES_MAX - "\n".len(),
            Self::Tcrp => UCRP_DATAGRAM_BYTES_MAX - 2 - ROOM_NAME_BYTES - TOKEN_TEXT_BYTES,
            Self::Typed => TEXT_BYTES_MAX,
            // A definition, the length of a value and its type; a sender; a length and an index; and the end.
            Self::Gob => GOB_MESSAGE_BYTES_MAX - (53 + 3 + 2) - (2 + NAME_BYTES) - (1 + 3) - 1,
            Self::Peer(peer) => peer.facts().text_bytes_max,
        }
    }

    /// The longest frame that the server sends over TCP.
    pub(crate) fn frame_bytes_max(self) -> usize {
        match self {
            Self::Line | Self::Slash | Self::Tcrp | Self::Gob => SERVER_LINE_BYTES_MAX,
            Self::Typed => wire::typed::HEADER_BYTES + TYPED_REPLY_BYTES_MAX,
            Self::Peer(peer) => peer.facts().frame_bytes_max,
        }
    }

    /// Bytes of a message around its text, roughly: what room is made for.
    pub(crate) fn bytes_around(self) -> usize {
        match self {
            Self::Line | Self::Slash | Self::Tcrp | Self::Gob => 128,
            Self::Typed => 512,
            Self::Peer(peer) => peer.facts().bytes_around,
        }
    }
}

impl ValueEnum for Dialect {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Line,
            Self::Slash,
            Self::Tcrp,
            Self::Typed,
            Self::Gob,
            Self::Peer(Peer::Redis),
            Self::Peer(Peer::Nats),
            Self::Peer(Peer::Irc),
            Self::Peer(Peer::Mqtt),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Line => "One command a line (port 4000)",
            Self::Slash => "Slash commands (port 7000)",
            Self::Tcrp => "A handshake over TCP (port 9090), then datagrams over UDP (port 9091)",
            Self::Typed => "Mailboxes, in typed binary frames (port 5000)",
            Self::Gob => "Structs as Go encodes them (port 8080)",
            Self::Peer(peer) => peer.facts().help,
        };
        let value = PossibleValue::new(self.name()).help(help);
        // The datagrams come with the handshake.
        Some(if *self == Self::Tcrp { value.alias("ucrp") } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlance::chat::{Event, Token, UnixSeconds};
    use parlance::wire::ucrp::{Datagram, Message};
    use parlance::wire::{Codec, Fit};

    #[test]
    fn the_longest_text_is_the_longest_that_is_sent_whole() {
        let max = Dialect::Gob.text_bytes_max();
        for (size, fit) in [(max, Fit::Whole), (max + 1, Fit::Cut)] {
            let (sender, text) = ("n".repeat(NAME_BYTES), "x".repeat(size));
            let event = Event::Message { sender: &sender, text: &text, at: UnixSeconds(0) };
            assert_eq!(wire::Dialect::Gob.encode_event(&Codec::default(), &event, &mut Vec::new()), fit);
        }
        let max = Dialect::Tcrp.text_bytes_max();
        for (size, fits) in [(max, true), (max + 1, false)] {
            let (room, token) = ("r".repeat(ROOM_NAME_BYTES), Token::from_random([0; 16]).reveal());
            let message = Message::Chat(&"x".repeat(size));
            let datagram = Datagram { room: &room, token: &token, message };
            assert_eq!(datagram.encode(&mut Vec::new()).is_ok(), fits);
        }
    }
}
