//! Bytes of several connections into the engine, which is driven as its own tests drive it (`tests/engine/world.rs`): with
//! one to three shards, sockets that take a little now and then, and a store that fails now and then.
//!
//! An input is a script. The world walks the engine's invariants after every step; held against the script is what
//! everybody was told, what is held for them, and what is left when all of them are gone.

#[allow(dead_code, clippy::doc_markdown, clippy::pedantic, reason = "the engine's tests use all of it")]
#[path = "../../tests/engine/world.rs"]
mod world;

use std::collections::HashSet;
use std::net::SocketAddr;

use parlance::chat::{HistoryRule, HistoryRules, Kept, Op, OpId, Secret, Token};
use parlance::engine::{Engine, Random, Settings};
use parlance::fanout::{LagPolicies, LagPolicy};
use parlance::limits::{
    LOG_BYTES_LIMIT_MIN, OUTBOX_BYTES_MAX, RECEIVE_BUFFER_BYTES, TCRP_FRAME_BYTES_MAX,
    UCRP_DATAGRAM_BYTES_MAX,
};
use parlance::store::memory::MemoryStore;
use parlance::store::{Reader, Store};
use parlance::wire::gob::{self, Kind};
use parlance::wire::tcrp::{self, Content, Operation, encode_request};
use parlance::wire::typed::{self, Reply, Request, TagSet};
use parlance::wire::ucrp::{Datagram, Delivery, Message};
use parlance::wire::{Codec, Decoded, Dialect, Fit, Frame};

use self::world::{Client, ELSEWHERE, HERE, World};
use super::input::Input;

/// Steps of a script, and connections that it may make.
const STEPS_MAX: usize = 400;
const CLIENTS_MAX: usize = 24;

const STREAMS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];
/// What other clients put between the lines: Telnet commands, byte order marks, ends of lines.
const BETWEEN: [&[u8]; 8] = [
    b"\xff\xfb\x1f\xff\xfd\x01",
    b"\xff\xf4\xff\xfd\x06\xf2",
    b"\xff\xf6",
    b"\xff\xf7\xff\xf1",
    b"\xff\xfa\x18\0x\xff\xf0",
    b"\xef\xbb\xbf",
    b"\r\0",
    b"\xff\xec",
];
/// How peers of other protocols begin.
const STRANGERS: [&[u8]; 5] =
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01", b"SSH-2.0-x\r\n", b"PROXY TCP4 ", b"NICK eve\r\n"];
/// Few, so that people meet: some fold to one, some are none.
const NAMES: [&str; 8] = ["ann", "Ann", "bob", "ｃｙｄ", "cyd", "guest", "server", "a b"];
const ROOMS: [&str; 5] = ["lobby", "den", "pit", "#", " x"];
const PASSWORDS: [&str; 3] = ["one", "two", ""];

pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut scene = Scene::new(&mut input);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        scene.step(&mut input);
        scene.looks();
    }
    scene.drains();
    scene.everybody_goes();
    scene.restarts();
}

/// One of the connections.
struct Peer {
    client: Client,
    dialect: Dialect,
    /// In which it writes, if that is typed.
    tags: TagSet,
    is_writing: bool,
    /// All that its socket took.
    heard: Vec<u8>,
}

struct Scene {
    settings: Settings,
    rules: HistoryRules,
    world: World,
    peers: Vec<Peer>,
    /// What handshakes gave out.
    tokens: Vec<Token>,
    store: MemoryStore,
    /// On their way to it.
    waiting: Vec<Op>,
    last: Option<OpId>,
    is_stopping: bool,
    /// Rooms that there may have been.
    rooms: HashSet<String>,
}

impl Scene {
    fn new(input: &mut Input<'_>) -> Self {
        let shards = 1 + input.below(3);
        let (lag, flags) = (input.pick(&[LagPolicy::Skip, LagPolicy::Close]), input.byte());
        let settings = Settings {
            shards,
            lag: LagPolicies::all(lag),
            clients_limit: if flags & 0x01 == 0 { 10_000 } else { 5 },
            ping_identity: flags & 0x02 != 0,
            seats_keep_address: flags & 0x04 == 0,
            journal: flags & 0x08 == 0,
            promises_wait: flags & 0x18 == 0,
            gob_gap: std::time::Duration::from_micros(if flags & 0x20 == 0 { 200 } else { 0 }),
            ..world::settings()
        };
        let on_join = if flags & 0x40 == 0 { 0 } else { 5 };
        let default = HistoryRule { on_join, ..HistoryRule::default() };
        let rules = HistoryRules { default, rooms: Vec::new() };
        let mut world = World::with(settings.clone());
        world.engine = Engine::new(settings.clone(), rules.clone(), Random::guessable(7));
        if flags & 0x80 != 0 {
            world.holds_back(flags.into());
        }
        Self {
            settings,
            rules,
            world,
            peers: Vec::new(),
            tokens: Vec::new(),
            store: MemoryStore::new(),
            waiting: Vec::new(),
            last: None,
            is_stopping: false,
            rooms: HashSet::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(32) {
            0..4 => self.connects(input),
            4..16 => self.speaks(input),
            16 if input.byte() < 64 => {
                let bytes = input.pick(&BETWEEN);
                self.sends(input, bytes);
            }
            17 if input.byte() < 64 => {
                let bytes = input.pick(&STRANGERS);
                self.sends(input, bytes);
            }
            16 | 17 => {
                let count = input.below(64);
                let bytes = input.bytes(count);
                self.sends(input, bytes);
            }
            18 => self.floods(input),
            19 | 20 => self.datagram(input),
            21 => self.leaves(input),
            22 => {
                if let Some(peer) = self.peer(input) {
                    self.world.reads_only(peer, input.word() % 4000);
                }
            }
            23 => {
                if let Some(peer) = self.peer(input) {
                    self.world.reads(peer, input.word() * 4);
                }
            }
            24 | 25 => self.world.turn_of(input.below(9)),
            26 => self.world.seconds_pass(input.word() as u64 % 1000),
            27 => self.keeps(input.below(9)),
            28 => self.fails(),
            29 => self.world.settles(),
            30 => match input.below(4) {
                0 => self.world.takes_datagrams(input.is_odd()),
                1 => self.world.compares_at_once = input.is_odd(),
                2 => self.world.compares_passwords(),
                _ => self.looks_up(input.is_odd()),
            },
            _ => {
                if input.byte() == 0 && !self.is_stopping {
                    self.is_stopping = true;
                    self.world.engine.shutdown(self.world.now);
                }
            }
        }
    }

    fn connects(&mut self, input: &mut Input<'_>) {
        let (dialect, ip) = (input.pick(&STREAMS), if input.byte() < 200 { HERE } else { ELSEWHERE });
        if self.peers.len() < CLIENTS_MAX && !self.is_stopping {
            let client = self.world.connects_from(ip, dialect);
            let tags = if self.peers.len().is_multiple_of(2) { TagSet::InUse } else { TagSet::Document };
            self.peers.push(Peer { client, dialect, tags, is_writing: true, heard: Vec::new() });
        }
    }

    /// One of those who are connected.
    fn peer(&self, input: &mut Input<'_>) -> Option<Client> {
        let index = usize::from(input.byte());
        let peer = &self.peers[index.checked_rem(self.peers.len())?];
        self.world.ended(peer.client).is_none().then_some(peer.client)
    }

    fn sends(&mut self, input: &mut Input<'_>, bytes: &[u8]) {
        if let Some(client) = self.peer(input)
            && self.peers[client.0].is_writing
        {
            self.world.sends(client, bytes);
        }
    }

    /// Somebody says something that its dialect has.
    fn speaks(&mut self, input: &mut Input<'_>) {
        let Some(client) = self.peer(input) else { return };
        let Peer { dialect, tags, .. } = self.peers[client.0];
        let bytes = self.words(dialect, tags, input);
        if self.peers[client.0].is_writing {
            // What is left over of it comes with what it says next.
            let cut = if input.byte() < 230 { bytes.len() } else { input.word() % (bytes.len() + 1) };
            self.world.sends(client, &bytes[..cut]);
        }
    }

    fn words(&mut self, dialect: Dialect, tags: TagSet, input: &mut Input<'_>) -> Vec<u8> {
        let (name, room, password) = (input.pick(&NAMES), input.pick(&ROOMS), input.pick(&PASSWORDS));
        self.rooms.insert(room.to_owned());
        let mut out = Vec::new();
        match dialect {
            Dialect::Line => match input.below(6) {
                0 => format!("LOGIN {name}\n"),
                1 => format!("LOGIN {name} {password}\n"),
                2 => "WHO\n".to_owned(),
                3 => format!("DM {name} {}\n", input.text()),
                4 => "PING\n".to_owned(),
                _ => format!("MSG {}\n", input.text()),
            }
            .into_bytes(),
            Dialect::Slash => match input.below(12) {
                0 | 1 => format!("{name}\n"),
                2 => format!("{password}\n"),
                3 | 4 => format!("/join {room}\n"),
                5 => "/leave\n".to_owned(),
                6 => format!("/nick {name}\n"),
                7 => format!("/msg {name} {}\n", input.text()),
                8 => "/users\n/rooms\n".to_owned(),
                9 => format!("/history {}\n", input.byte()),
                10 => "/quit\n".to_owned(),
                _ => format!("{}\n", input.text()),
            }
            .into_bytes(),
            Dialect::Tcrp => {
                let operation = input.pick(&[Operation::Create, Operation::Join]);
                let password = input.is_odd().then_some(Secret(password));
                encode_request(room, operation, name, password, &mut out).expect("short");
                out
            }
            Dialect::Gob => {
                let content = match input.below(4) {
                    0 => format!("/msg {name} {}", input.text()),
                    _ => input.text(),
                };
                let kind = input.pick(&[Kind::Text, Kind::Join, Kind::Leave, Kind::Other(3)]);
                let _: Fit = gob::encode(&gob::Message { kind, sender: name, content: &content }, &mut out);
                out
            }
            Dialect::Typed => {
                let text = input.text();
                let key = input.text();
                let recipient = name;
                let request = match input.below(14) {
                    0 | 1 => Request::LoginName(name),
                    2 | 3 => Request::LoginPassword(Secret(password)),
                    4 => Request::Send { recipient, content: &text },
                    5 | 6 => Request::SendKept { recipient, content: &text, key: &key },
                    7 => Request::MarkRead(name),
                    8 => Request::ListMessages(name),
                    9 => Request::ListUsers,
                    10 => Request::DeleteAccount,
                    11 => Request::Ping(Some(name)),
                    12 => Request::Subscribe(true),
                    _ => Request::History { other: name, before: None, count: key.len() as u32 },
                };
                // What is too long is not sent.
                let _ = request.encode(tags, &mut out);
                out
            }
            Dialect::Ucrp => unreachable!("it is no stream"),
        }
    }

    /// Somebody says very much at once.
    fn floods(&mut self, input: &mut Input<'_>) {
        let Some(client) = self.peer(input) else { return };
        let Peer { dialect, tags, is_writing, .. } = self.peers[client.0];
        let words = self.words(dialect, tags, input);
        let count = 1 + input.below(64);
        if is_writing && dialect != Dialect::Tcrp {
            self.world.sends(client, &words.repeat(count.min((128 << 10) / words.len().max(1))));
        }
    }

    fn datagram(&mut self, input: &mut Input<'_>) {
        let ip = if input.byte() < 200 { HERE } else { ELSEWHERE };
        let from = SocketAddr::new(ip, 4000 + input.below(8) as u16);
        let index = usize::from(input.byte());
        let token = index
            .checked_rem(self.tokens.len())
            .map_or_else(String::new, |index| self.tokens[index].reveal().to_string());
        let (room, text) = (input.pick(&ROOMS), input.text());
        let message = match input.below(6) {
            0 | 1 => Message::Register,
            2 => Message::Leave,
            3 => return self.world.datagram(from, text.as_bytes()),
            _ => Message::Chat(&text),
        };
        let mut out = Vec::new();
        if (Datagram { room, token: &token, message }).encode(&mut out).is_ok() {
            self.world.datagram(from, &out);
        }
    }

    fn leaves(&mut self, input: &mut Input<'_>) {
        let Some(client) = self.peer(input) else { return };
        if input.is_odd() {
            self.world.vanishes(client);
        } else if std::mem::replace(&mut self.peers[client.0].is_writing, false) {
            self.world.closes_its_side(client);
        }
    }

    // The store.

    fn takes_ops(&mut self) {
        let ops = self.world.engine.take_ops();
        for op in &ops {
            assert!(self.last.is_none_or(|last| last < op.id), "ids rise");
            self.last = Some(op.id);
        }
        self.waiting.extend(ops);
    }

    /// The store commits so many ops.
    fn keeps(&mut self, count: usize) {
        self.takes_ops();
        let ops: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        self.store.commit(&ops).expect("memory");
        if let Some(last) = ops.last() {
            let bytes = ops.iter().map(Op::bytes).sum();
            self.world.engine.committed(last.id, ops.len(), bytes, self.world.now);
            self.world.check();
        }
    }

    fn fails(&mut self) {
        self.takes_ops();
        if !self.waiting.is_empty() {
            self.world.engine.store_failed(self.world.now);
            self.world.check();
        }
    }

    /// The store looks up what was said in rooms, behind what was committed before.
    fn looks_up(&mut self, can: bool) {
        while let Some(task) = self.world.engine.next_past_task() {
            let messages = self.store.page(&task.room, task.page, task.count).expect("memory");
            let messages = can.then_some(&messages[..]);
            self.world.engine.past_read(task.conn, task.serial, messages, self.world.now);
            self.world.check();
        }
    }

    // What must hold.

    /// Reads what sockets took, and looks at what is held.
    fn looks(&mut self) {
        for peer in &mut self.peers {
            let heard = self.world.took_bytes(peer.client);
            if peer.dialect == Dialect::Tcrp && !heard.is_empty() {
                peer.heard.extend(heard);
                self.tokens.extend(token_in(&peer.heard));
            } else {
                peer.heard.extend(heard);
            }
        }
        for (_, datagram) in self.world.datagrams.drain(..) {
            assert!(datagram.len() <= UCRP_DATAGRAM_BYTES_MAX);
            Delivery::decode(&datagram).expect("a client understands it");
        }
        // An outbox holds its bound and one answer; an inbox the start of a frame and one read.
        let of_peer = 2 * OUTBOX_BYTES_MAX + 2 * (RECEIVE_BUFFER_BYTES + TCRP_FRAME_BYTES_MAX);
        let people = self.world.engine.connection_count() + self.world.engine.seat_count();
        // Those of a closed room are moved on turn by turn.
        let rooms = 1 + 2 * self.rooms.len();
        let bound = people * of_peer + rooms * Dialect::ALL.len() * (LOG_BYTES_LIMIT_MIN + (16 << 10));
        let held = self.world.held_bytes();
        assert!(held <= bound, "{held} bytes are held for {people} people and {rooms} rooms");
    }

    /// Everything goes well again, and everybody reads: nothing waits any more.
    fn drains(&mut self) {
        self.world.takes_datagrams(true);
        self.world.compares_at_once = true;
        for index in 0..self.peers.len() {
            self.world.reads_everything(self.peers[index].client);
        }
        // What was refused is undone by further ops.
        for _ in 0..8 {
            self.world.settles();
            self.keeps(usize::MAX);
            self.looks_up(true);
        }
        self.world.settles();
        self.looks();
        assert_eq!(self.world.engine.waiting_ops(), (0, 0), "all ops were taken and committed");
        for peer in &self.peers {
            understands(peer);
        }
    }

    fn everybody_goes(&mut self) {
        for index in 0..self.peers.len() {
            let client = self.peers[index].client;
            if self.world.ended(client).is_none() {
                self.world.vanishes(client);
            }
        }
        for _ in 0..2 {
            self.world.settles();
            self.keeps(usize::MAX);
        }
        self.world.datagrams.clear();
        assert_eq!(self.world.engine.connection_count(), 0);
        assert_eq!(self.world.held_bytes(), 0, "nothing is held for nobody");
    }

    /// Who has a seat has it when the server starts again, and nobody else.
    fn restarts(&mut self) {
        if !self.settings.journal {
            return;
        }
        assert_eq!(self.store.check().expect("memory"), [""; 0]);
        let mut engine = Engine::new(self.settings.clone(), self.rules.clone(), Random::guessable(9));
        let mut seats = 0;
        let last = self.store.load(&mut |kept| {
            seats += usize::from(matches!(kept, Kept::Seat { .. }));
            engine.restore(&kept, self.world.now);
        });
        if let Some(last) = last.expect("memory") {
            engine.restore_last(last);
        }
        engine.check_invariants();
        assert_eq!(engine.seat_count(), seats);
        if !self.is_stopping {
            assert_eq!(self.world.engine.seat_count(), seats);
        }
    }
}

/// The token in an answer, once it is whole.
fn token_in(answer: &[u8]) -> Option<Token> {
    let tcrp::Decoded::Whole { consumed, .. } = tcrp::Reply::decode(answer) else { return None };
    match tcrp::Reply::decode(&answer[consumed..]) {
        tcrp::Decoded::Whole { frame, .. } => match frame.content {
            Content::Complete(token) => token,
            Content::Accepted | Content::Refused(_) => panic!("an answer ends with what came of it"),
        },
        _ => None,
    }
}

/// What was told without the answers to Telnet commands, which a client asked for.
fn without_telnet(heard: &[u8]) -> Vec<u8> {
    let (mut told, mut rest) = (Vec::new(), heard);
    while let [byte, behind @ ..] = rest {
        rest = match rest {
            [255, 251 | 252 | 254, _, behind @ ..]
            | [b'[', b'Y', b'e', b's', b']', b'\r', b'\n', behind @ ..] => behind,
            _ => {
                told.push(*byte);
                behind
            }
        };
    }
    told
}

/// Whatever a client was told, a client of its dialect understands.
fn understands(peer: &Peer) {
    let mut codec = Codec::default();
    let told = if peer.dialect.is_of_lines() { without_telnet(&peer.heard) } else { peer.heard.clone() };
    let mut rest = &told[..];
    while !rest.is_empty() {
        let (consumed, is_refused) = match peer.dialect {
            Dialect::Line | Dialect::Slash => {
                let Decoded { consumed, frame } = peer.dialect.decode_event(&mut codec, rest);
                (consumed, matches!(frame, Frame::Refused(_)))
            }
            Dialect::Gob => {
                let gob::Decoded { consumed, frame } = gob::Decoder::default().decode(rest);
                // Of one that is cut the definition is done with.
                let consumed = if frame == gob::Frame::Incomplete { 0 } else { consumed };
                (consumed, matches!(frame, gob::Frame::Refused(_)))
            }
            Dialect::Typed => {
                // In which set it is answered depends on whether it has sent anything yet.
                let [document, in_use] =
                    [TagSet::Document, TagSet::InUse].map(|tags| Reply::decode(tags, rest));
                let is_refused = [&document, &in_use].iter().all(|decoded| {
                    matches!(decoded.frame, typed::Frame::Refused(_) | typed::Frame::Ignored(_))
                });
                (document.consumed.min(in_use.consumed), is_refused)
            }
            Dialect::Tcrp => match tcrp::Reply::decode(rest) {
                tcrp::Decoded::Whole { consumed, .. } => (consumed, false),
                tcrp::Decoded::Incomplete { .. } => (0, false),
                tcrp::Decoded::Refused(_) => (0, true),
            },
            Dialect::Ucrp => unreachable!("it is no stream"),
        };
        assert!(!is_refused, "{:?} does not understand {}", peer.dialect, rest.escape_ascii());
        if consumed == 0 {
            return;
        }
        rest = &rest[consumed..];
    }
}
