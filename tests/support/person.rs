//! Somebody, in whatever dialect: what a test says of all of them alike.

use parlance::chat::is_disruptive;
use parlance::wire::Dialect;
use parlance::wire::gob::Kind;
use parlance::wire::tcrp::Operation;
use parlance::wire::typed::{Request, TagSet};

use super::gob::{GobPeer, Struct};
use super::seat::{Datum, HERE, Seat, shake};
use super::typed::{Told, TypedPeer};
use super::{Peer, TestServer, without_times};

/// What somebody hears, as far as dialects have it in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Heard {
    /// In the room: who, and what.
    Room(String, String),
    /// Alone: from whom, and what.
    Private(String, String),
    /// Anything else, as it is written.
    Notice(String),
}

pub fn room(sender: &str, text: &str) -> Heard {
    Heard::Room(sender.to_owned(), text.to_owned())
}

pub fn private(sender: &str, text: &str) -> Heard {
    Heard::Private(sender.to_owned(), text.to_owned())
}

pub fn notice(text: &str) -> Heard {
    Heard::Notice(text.to_owned())
}

/// Somebody who has a name.
pub struct Person {
    pub name: String,
    pub peer: AnyPeer,
}

pub enum AnyPeer {
    Line(Peer),
    Slash(Peer),
    Seat(Seat),
    Gob(GobPeer),
    Typed(TypedPeer),
}

/// The dialects that have a room: what a seat speaks begins with its handshake.
pub const IN_ROOMS: [Dialect; 4] = [Dialect::Line, Dialect::Slash, Dialect::Ucrp, Dialect::Gob];

impl Person {
    /// Somebody in the lobby, under a name without an account.
    #[track_caller]
    pub fn in_lobby(server: &TestServer, dialect: Dialect, name: &str) -> Self {
        let peer = match dialect {
            Dialect::Line => AnyPeer::Line(server.line(name)),
            Dialect::Slash => AnyPeer::Slash(server.slash(name)),
            Dialect::Ucrp | Dialect::Tcrp => {
                let seat = Seat::join(server, "lobby", name);
                seat.register();
                AnyPeer::Seat(seat)
            }
            Dialect::Gob => AnyPeer::Gob(GobPeer::join(server, name)),
            Dialect::Typed => panic!("it has no rooms"),
        };
        Self { name: name.to_owned(), peer }
    }

    /// Somebody in the lobby, under a name that has an account.
    #[track_caller]
    pub fn proved_in_lobby(server: &TestServer, dialect: Dialect, name: &str, password: &str) -> Self {
        let peer = match dialect {
            Dialect::Line => {
                let mut peer = server.connect(dialect);
                peer.send(format!("LOGIN {name} {password}\n"));
                peer.expect("OK\n");
                AnyPeer::Line(peer)
            }
            Dialect::Slash => {
                let mut peer = server.connect(dialect);
                peer.send(format!("{name}\n"));
                peer.expect("Welcome to the chat server!\nEnter your nickname: Password: ");
                peer.send(format!("{password}\n"));
                // What waits in the mailbox may follow.
                peer.line_where(|line| line == format!("*** {name} joined the room"));
                AnyPeer::Slash(peer)
            }
            Dialect::Ucrp | Dialect::Tcrp => {
                let token = shake(server, HERE, (Operation::Join, "lobby"), (name, Some(password)));
                let seat = Seat::with(server, HERE, "lobby", &token.expect("a seat"));
                seat.register();
                AnyPeer::Seat(seat)
            }
            Dialect::Gob | Dialect::Typed => panic!("it cannot"),
        };
        Self { name: name.to_owned(), peer }
    }

    /// Somebody with a mailbox, who is told of each message in it.
    #[track_caller]
    pub fn with_mailbox(server: &TestServer, tags: TagSet, name: &str, password: &str) -> Self {
        let mut peer = TypedPeer::connect(server, tags);
        peer.log_in(name, password);
        peer.send(Request::Subscribe(true));
        assert_eq!(peer.heard(), []);
        Self { name: name.to_owned(), peer: AnyPeer::Typed(peer) }
    }

    pub fn say(&mut self, text: &str) {
        match &mut self.peer {
            AnyPeer::Line(peer) => peer.send(format!("MSG {text}\n")),
            AnyPeer::Slash(peer) => peer.send(format!("{text}\n")),
            AnyPeer::Seat(seat) => seat.say(text),
            AnyPeer::Gob(peer) => peer.say(text),
            AnyPeer::Typed(_) => panic!("it has no rooms"),
        }
    }

    pub fn tell(&mut self, to: &str, text: &str) {
        match &mut self.peer {
            AnyPeer::Line(peer) => peer.send(format!("DM {to} {text}\n")),
            AnyPeer::Slash(peer) => peer.send(format!("/msg {to} {text}\n")),
            AnyPeer::Seat(seat) => seat.say(&format!("/msg {to} {text}")),
            AnyPeer::Gob(peer) => peer.say(&format!("/msg {to} {text}")),
            AnyPeer::Typed(peer) => peer.send(Request::Send { recipient: to, content: text }),
        }
    }

    /// Whether texts are lines, on the way in and out.
    pub fn is_of_lines(&self) -> bool {
        matches!(self.peer, AnyPeer::Line(_) | AnyPeer::Slash(_))
    }

    /// Whether it can say a text.
    pub fn can_say(&self, text: &str) -> bool {
        !(self.is_of_lines() && text.contains('\n'))
    }

    /// A text as it is shown here: in the dialects of lines, each line of it alone.
    pub fn shown(&self, text: &str, heard: impl Fn(&str) -> Heard) -> Vec<Heard> {
        if self.is_of_lines() {
            let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
            lines.map(|line| heard(&line.replace(is_disruptive, "\u{fffd}"))).collect()
        } else {
            vec![heard(text)]
        }
    }

    /// What its own message in the room looks like to it.
    pub fn echo(&self, text: &str) -> Vec<Heard> {
        if matches!(self.peer, AnyPeer::Slash(_)) {
            self.shown(text, |text| room(&self.name, text))
        } else {
            vec![]
        }
    }

    /// What it sees of its own message to somebody.
    pub fn sent(&self, to: &str, text: &str) -> Vec<Heard> {
        if matches!(self.peer, AnyPeer::Slash(_)) {
            self.shown(text, |text| notice(&format!("[Private to {to}]: {text}")))
        } else {
            vec![]
        }
    }

    /// All that was sent here up to now, and everything that was sent from here has been looked at: the server answers a
    /// question, behind everything else.
    #[track_caller]
    pub fn heard(&mut self) -> Vec<Heard> {
        match &mut self.peer {
            AnyPeer::Line(peer) => {
                peer.send("PING\n");
                lines_until(peer, "PONG", line_heard)
            }
            AnyPeer::Slash(peer) => {
                peer.send("/msg\n");
                lines_until(peer, "ERROR: Usage: /msg <nick> <text>", slash_heard)
            }
            AnyPeer::Seat(seat) => seat.heard().into_iter().map(datum_heard).collect(),
            AnyPeer::Gob(peer) => peer.heard().into_iter().map(struct_heard).collect(),
            AnyPeer::Typed(peer) => peer.heard().into_iter().map(told_heard).collect(),
        }
    }

    /// What it hears next, for which it waits. Nothing is asked for it.
    #[track_caller]
    pub fn next(&mut self) -> Heard {
        match &mut self.peer {
            AnyPeer::Line(peer) => line_heard(&peer.long_line()),
            AnyPeer::Slash(peer) => slash_heard(&peer.long_line()),
            AnyPeer::Seat(seat) => datum_heard(seat.next()),
            AnyPeer::Gob(peer) => struct_heard(peer.next()),
            AnyPeer::Typed(peer) => told_heard(peer.next()),
        }
    }
}

/// A sender and a text, in the dialects that have nothing else to tell things by.
fn text_heard(sender: String, text: String) -> Heard {
    match sender.strip_suffix(" (private)") {
        Some(sender) => private(sender, &text),
        None if sender == "server" => Heard::Notice(text),
        None => Heard::Room(sender, text),
    }
}

fn datum_heard(datum: Datum) -> Heard {
    match datum {
        Datum::Said(sender, text) => text_heard(sender, text),
        Datum::Closed => notice("closed"),
    }
}

fn struct_heard(message: Struct) -> Heard {
    match message.kind {
        Kind::Text => text_heard(message.sender, message.content),
        kind => notice(&format!("{kind:?} {}", message.sender)),
    }
}

fn told_heard(told: Told) -> Heard {
    match told {
        Told::Arrived(letter) => Heard::Private(letter.sender, letter.content),
        other => notice(&format!("{other:?}")),
    }
}

fn line_heard(line: &str) -> Heard {
    let split = |rest: &str| rest.split_once(' ').map(|(sender, text)| (sender.to_owned(), text.to_owned()));
    let message = line.strip_prefix("MSG ").and_then(split);
    let direct = line.strip_prefix("DM ").and_then(split);
    match (message, direct) {
        (Some((sender, text)), _) => Heard::Room(sender, text),
        (_, Some((sender, text))) => Heard::Private(sender, text),
        (None, None) => notice(line),
    }
}

fn slash_heard(line: &str) -> Heard {
    let line = without_times(line);
    let Some(said) = line.strip_prefix("[HH:MM:SS] ") else { return notice(&line) };
    match said.strip_prefix("[Private from ").and_then(|said| said.split_once("]: ")) {
        Some((sender, text)) => private(sender, text),
        None => said.split_once(": ").map_or_else(|| notice(said), |(sender, text)| room(sender, text)),
    }
}

#[track_caller]
fn lines_until(peer: &mut Peer, last: &str, heard: impl Fn(&str) -> Heard) -> Vec<Heard> {
    std::iter::from_fn(|| Some(peer.long_line()).filter(|line| line != last))
        .map(|line| heard(&line))
        .collect()
}
