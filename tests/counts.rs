//! What a message costs: allocations and writes, counted.

#[path = "support/allocations.rs"]
mod allocations;

use std::net::IpAddr;

use allocations::{allocated_bytes, allocations};
use parlance::chat::Token;
use parlance::chat::{ConnId, HistoryRules, Kept, ListenerId, Now, OpId, PasswordHash, Secret, UnixMillis};
use parlance::engine::{Engine, Random, Settings};
use parlance::fanout::Gather;
use parlance::limits::LOG_BYTES_LIMIT_MIN;
use parlance::wire::Dialect;
use parlance::wire::Fit;
use parlance::wire::tcrp::{
    Content, Decoded, Echo, HEADER_BYTES, Operation, Reply, Request, encode_answer, encode_request,
};
use parlance::wire::ucrp::{Datagram, Delivery, Message};

const MEMBERS: usize = 100;
const PUBLISHERS: usize = 10;
const TURNS: usize = 100;
/// Turns in which the room's history fills for the first time, and blocks come to the pool.
const WARM_UP_TURNS: usize = 200;

/// A room whose members' sockets take everything and keep nothing.
struct Room {
    engine: Engine,
    members: Vec<ConnId>,
    line: Vec<u8>,
    writes: usize,
    /// By the slot of the connection: writes in this turn, and bytes in all.
    writes_in_turn: Vec<usize>,
    bytes: Vec<usize>,
}

impl Room {
    /// A member for each dialect given.
    fn new(dialects: impl Iterator<Item = Dialect>) -> Self {
        Self::with(false, dialects)
    }

    /// The same, of which what is said is kept or not.
    fn with(journal: bool, dialects: impl Iterator<Item = Dialect>) -> Self {
        let settings = Settings {
            journal,
            clients_limit: MEMBERS,
            slash_idle_timeout: 60,
            log_bytes_limit: LOG_BYTES_LIMIT_MIN,
            seed: 7,
            ..Settings::default()
        };
        let mut engine = Engine::new(settings, HistoryRules::default(), Random::guessable(7));
        let members = dialects.enumerate().map(|(index, dialect)| {
            let id = engine
                .connected(dialect, IpAddr::from([127, 0, 0, 1]), ListenerId(0), Now::default())
                .expect("there is room");
            let login = match dialect {
                Dialect::Line => format!("LOGIN member{index}\n"),
                _ => format!("member{index}\n"),
            };
            engine.received(id, login.as_bytes(), Now::default());
            id
        });
        let members: Vec<_> = members.collect();
        let (writes_in_turn, bytes) = (vec![0; MEMBERS], vec![0; MEMBERS]);
        let mut room = Self { engine, members, line: Vec::new(), writes: 0, writes_in_turn, bytes };
        room.turn();
        room.bytes.fill(0);
        room
    }

    /// Each of the first members says something so many times, in one read.
    fn says(&mut self, publishers: usize, messages: usize) {
        for index in 0..publishers {
            self.line.clear();
            for _ in 0..messages {
                // Both dialects take it; who speaks slash says the word as well.
                self.line.extend_from_slice(b"MSG hello, how are you today?\n");
            }
            self.engine.received(self.members[index], &self.line, Now::default());
        }
    }

    /// Flushes everything and ends the turn.
    fn turn(&mut self) {
        self.writes = 0;
        self.writes_in_turn.fill(0);
        while let Some(id) = self.engine.fanout_mut().next_to_flush() {
            let mut slices = Gather::new();
            self.engine.fanout().gather(id, &mut slices);
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            drop(slices);
            self.writes += 1;
            self.writes_in_turn[id.slot as usize] += 1;
            self.bytes[id.slot as usize] += offered;
            self.engine.fanout_mut().wrote(id, offered, offered);
        }
        self.engine.end_turn(Now::default());
    }
}

fn all_line() -> Room {
    Room::new((0..MEMBERS).map(|_| Dialect::Line))
}

fn all_slash() -> Room {
    Room::new((0..MEMBERS).map(|_| Dialect::Slash))
}

fn half_and_half() -> Room {
    Room::new((0..MEMBERS).map(|index| [Dialect::Line, Dialect::Slash][index % 2]))
}

#[test]
fn a_turn_writes_once_to_each_member_whatever_the_number_of_messages() {
    for messages in [1, 3, 30] {
        for mut room in [all_line(), all_slash(), half_and_half()] {
            for _ in 0..TURNS {
                room.says(PUBLISHERS, messages);
                room.turn();
                assert_eq!(room.writes, MEMBERS);
                assert!(room.writes_in_turn.iter().all(|&writes| writes == 1));
            }
        }
    }
}

#[test]
fn who_alone_speaks_line_is_written_nothing_and_who_speaks_slash_its_echo() {
    for (mut room, writes) in [(all_line(), MEMBERS - 1), (all_slash(), MEMBERS)] {
        for _ in 0..TURNS {
            room.says(1, 3);
            room.turn();
            assert_eq!(room.writes, writes);
        }
    }
}

#[test]
fn a_publisher_gets_what_the_others_said_and_not_its_own() {
    let mut room = all_line();
    for _ in 0..TURNS {
        room.says(PUBLISHERS, 3);
        room.turn();
    }
    let message = "MSG member0 hello, how are you today?\n".len();
    for (slot, &bytes) in room.bytes.iter().enumerate() {
        let authors = if slot < PUBLISHERS { PUBLISHERS - 1 } else { PUBLISHERS };
        assert_eq!(bytes, TURNS * 3 * authors * message, "member{slot}");
    }
}

#[test]
fn a_turn_with_nothing_said_writes_nothing() {
    let mut room = half_and_half();
    room.says(PUBLISHERS, 3);
    room.turn();
    room.turn();
    assert_eq!(room.writes, 0);
}

#[test]
fn to_decode_publish_and_flush_a_message_allocates_nothing() {
    for (mut room, dialect) in [(all_line(), "line"), (all_slash(), "slash"), (half_and_half(), "both")] {
        for _ in 0..WARM_UP_TURNS {
            room.says(PUBLISHERS, 3);
            room.turn();
        }
        let before = allocations();
        for _ in 0..TURNS {
            room.says(PUBLISHERS, 3);
            room.turn();
        }
        assert_eq!(allocations() - before, 0, "{dialect}");
    }
}

/// What is said is handed to the store, which takes memory of its own: that is a message's cost, and no delivery's.
#[test]
fn to_keep_what_is_said_allocates_the_same_whatever_the_number_of_members() {
    let counts = [PUBLISHERS + 1, MEMBERS].map(|members| {
        let mut room = Room::with(true, (0..members).map(|_| Dialect::Line));
        let round = |room: &mut Room| {
            room.says(PUBLISHERS, 1);
            room.turn();
            assert_eq!((room.writes, room.engine.take_ops().len()), (members, PUBLISHERS));
        };
        for _ in 0..WARM_UP_TURNS {
            round(&mut room);
        }
        let before = allocations();
        for _ in 0..TURNS {
            round(&mut room);
        }
        allocations() - before
    });
    assert!(counts[0] > 0, "it is handed out");
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn to_answer_a_ping_allocates_nothing() {
    let mut room = all_line();
    let round = |room: &mut Room| {
        for index in 0..PUBLISHERS {
            room.engine.received(room.members[index], b"PING\n", Now::default());
        }
        room.turn();
        assert_eq!(room.writes, PUBLISHERS);
    };
    for _ in 0..WARM_UP_TURNS {
        round(&mut room);
    }
    let before = allocations();
    for _ in 0..TURNS {
        round(&mut room);
    }
    assert_eq!(allocations() - before, 0);
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    let boxed = std::hint::black_box(Box::new(7));
    assert_eq!(allocations() - before, 1, "{boxed}");
}

#[test]
fn decoding_tcrp_and_ucrp_allocates_nothing() {
    let token = Token::from_random([7; 16]);
    let (mut request, mut answer, mut said, mut relayed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    encode_request("lobby", Operation::Join, "alice", Some(Secret("s3cret")), &mut request).expect("sayable");
    encode_answer(Echo::new("lobby", 2).expect("short"), Ok(&token), &mut answer);
    let text = token.reveal();
    let datagram = Datagram { room: "lobby", token: &text, message: Message::Chat("hello") };
    datagram.encode(&mut said).expect("sayable");
    assert_eq!(Delivery::Relay { sender: "alice", text: "hello" }.encode(&mut relayed), Fit::Whole);
    // 2 to the power of 31.
    let mut huge = [0; HEADER_BYTES];
    (huge[1], huge[28]) = (1, 0x80);

    let before = allocations();
    let Decoded::Whole { frame, .. } = Request::decode(&request) else { panic!("whole") };
    let credentials = frame.credentials();
    let reply = Reply::decode(&answer);
    let decoded = Datagram::decode(&said);
    let known = Token::parse(decoded.as_ref().map_or("", |datagram| datagram.token)) == Some(token);
    let delivery = Delivery::decode(&relayed);
    let refused = Request::decode(&huge);
    assert_eq!(allocations(), before);

    assert_eq!(credentials.expect("JSON").password(), Some(Secret("s3cret")));
    assert!(matches!(reply, Decoded::Whole { frame: Reply { content: Content::Accepted, .. }, .. }));
    assert_eq!(decoded, Ok(datagram));
    assert!(known);
    assert!(delivery.is_ok() && matches!(refused, Decoded::Refused(_)));
}

#[test]
fn an_account_takes_at_most_the_memory_that_its_limit_says() {
    const ACCOUNTS: u64 = 20_000;
    const BYTES_MAX: isize = 750;
    let hash = format!("$argon2id$v=19$m=19456,t=2,p=1${}", "x".repeat(66));
    for is_unused in [false, true] {
        let mut engine = Engine::new(Settings::default(), HistoryRules::default(), Random::guessable(1));
        let before = allocated_bytes();
        for number in 0..ACCOUNTS {
            let kept = Kept::Account {
                name: format!("somebody-{number}").into(),
                password: PasswordHash::new(&hash).expect("a hash"),
                id: Some(OpId::new(UnixMillis(1_700_000_000_000 + number), 0, number)),
                is_unused,
            };
            engine.restore(&kept, Now::default());
        }
        let bytes = (allocated_bytes() - before) / ACCOUNTS.cast_signed() as isize;
        assert!((300..=BYTES_MAX).contains(&bytes), "{bytes} bytes an account");
    }
}
