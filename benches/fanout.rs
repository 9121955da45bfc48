//! The room log: what one turn of the loop costs the engine when messages go to all members of a room.
//!
//! A turn is what a driver does with an engine: bytes in, then a visit to each connection that has something waiting,
//! then the end of the turn. Sockets are replaced by a sink that takes everything and counts it, so that what is measured
//! is decoding, publishing, visiting and giving back, and no system call. Throughput counts deliveries: messages times
//! members, the publisher not among them.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlance::chat::{Command, ConnId, Event, HistoryRules, ListenerId, Now, UnixMillis, UnixSeconds};
use parlance::engine::{Engine, Random, Settings};
use parlance::fanout::Gather;
use parlance::wire::{Codec, Dialect};

/// Its publisher is not sent what it says itself: as many deliveries as members.
const DIALECT: Dialect = Dialect::Line;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PUBLISHER: &str = "publisher";
const MEMBERS: [usize; 3] = [1, 100, 10_000];
/// One is a quiet room, 64 are a busy one: they leave in one write a member.
const MESSAGES_PER_TURN: [usize; 2] = [1, 64];
const TEXT_BYTES: usize = 64;

/// Takes all that it is offered, as a socket with room to spare would.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sink {
    writes: u64,
    bytes: u64,
}

/// An engine with a publisher and a room of members that have read everything.
struct Room {
    engine: Engine,
    publisher: ConnId,
    now: Now,
    sink: Sink,
}

impl Room {
    fn new(members: usize) -> Self {
        let now = Now { monotonic: Duration::from_secs(1), unix: UnixMillis(1_700_000_000_000) };
        let mut engine = Engine::new(settings(members + 1), HistoryRules::default(), Random::guessable(1));
        let publisher = engine.connected(DIALECT, HERE, ListenerId(0), now).expect("the engine is empty");
        let mut room = Self { engine, publisher, now, sink: Sink::default() };
        room.log_in(publisher, PUBLISHER);
        for index in 0..members {
            let member =
                room.engine.connected(DIALECT, HERE, ListenerId(0), now).expect("there is space for so many");
            room.log_in(member, &format!("member-{index}"));
        }
        room.turn(&[]);
        room
    }

    fn log_in(&mut self, id: ConnId, name: &str) {
        let mut line = Vec::new();
        let login = Command::Login { name, password: None };
        DIALECT.encode_command(&login, &mut line).expect("every dialect can log in");
        self.engine.received(id, &line, self.now);
    }

    /// One turn, in which the publisher is heard to say these lines.
    fn turn(&mut self, lines: &[u8]) {
        if !lines.is_empty() {
            self.engine.received(self.publisher, lines, self.now);
        }
        while let Some(id) = self.engine.fanout_mut().next_to_flush() {
            let mut slices = Gather::new();
            self.engine.fanout().gather(id, &mut slices);
            let offered = slices.iter().map(|slice| slice.len()).sum();
            self.sink.writes += u64::from(!slices.is_empty());
            self.sink.bytes += offered as u64;
            drop(slices);
            self.engine.fanout_mut().wrote(id, offered, offered);
        }
        self.engine.end_turn(self.now);
    }
}

/// No timeouts, and nobody refused.
fn settings(clients: usize) -> Settings {
    Settings { clients_limit: clients, login_timeout: 0, line_idle_timeout: 0, ..Settings::default() }
}

fn publish_and_flush(criterion: &mut Criterion) {
    let text = "x".repeat(TEXT_BYTES);
    let mut said = Vec::new();
    DIALECT.encode_command(&Command::Say(&text), &mut said).expect("every dialect can say something");
    let mut heard = Vec::new();
    let at = UnixSeconds::default();
    let _ = DIALECT.encode_event(
        &Codec::default(),
        &Event::Message { sender: PUBLISHER, text: &text, at },
        &mut heard,
    );

    for messages in MESSAGES_PER_TURN {
        let mut group = criterion.benchmark_group(format!("publish_and_flush/{messages}_a_turn"));
        let lines = said.repeat(messages);
        for members in MEMBERS {
            let mut room = Room::new(members);
            // Each member gets all messages, in one write.
            let a_turn = Sink { writes: members as u64, bytes: (members * messages * heard.len()) as u64 };
            group.throughput(Throughput::Elements((members * messages) as u64));
            group.bench_function(BenchmarkId::new("members", members), |bencher| {
                bencher.iter(|| {
                    room.sink = Sink::default();
                    room.turn(black_box(&lines));
                    assert_eq!(room.sink, a_turn, "everything is delivered, in one write a member");
                });
            });
        }
        group.finish();
    }
}

criterion_group!(fanout, publish_and_flush);
criterion_main!(fanout);
