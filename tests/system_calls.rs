//! What the kernel is asked for, counted: the system calls are the cost of a delivery.

#[path = "support/allocations.rs"]
mod allocations;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use parlance::config::Shards;
use parlance::wire::Dialect;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use socket2::SockRef;
use support::{PATIENCE, Peer, TestServer};
use tracing::span;

const MEMBERS: u64 = 100;
const MESSAGES: u64 = 50;

/// One reading by each member between two messages, so that every turn of the server has exactly one.
#[test]
fn a_message_costs_one_read_and_one_write_a_member_and_registers_nothing() {
    let server = TestServer::with(|config| config.shards = Shards::Count(1));
    let mut peers: Vec<Peer> = (0..MEMBERS).map(|index| server.line(&format!("user{index}"))).collect();
    for message in 0..MESSAGES {
        let author = (message % MEMBERS) as usize;
        peers[author].send(format!("MSG {message}\n"));
        for (index, peer) in peers.iter_mut().enumerate() {
            if index != author {
                peer.expect(&format!("MSG user{author} {message}\n"));
            }
        }
    }
    // Everybody leaves with nothing unsaid, so that what they leave is not counted.
    let report = server.stop();
    let calls = report.system_calls;
    let listeners = Dialect::ALL.len() as u64;
    assert_eq!(calls.registrations, MEMBERS + listeners, "once a connection, and never again");
    // A login is a read and an `OK`; the notice at the end is a write more, and the end of a peer a read.
    assert_eq!(calls.writes, MESSAGES * (MEMBERS - 1) + MEMBERS + MEMBERS);
    assert!(calls.reads >= MESSAGES + MEMBERS);
    assert!(calls.reads <= MESSAGES + MEMBERS + 2 * MEMBERS, "{} reads", calls.reads);
}

/// However many messages one read brings, a member gets them in one write.
#[test]
fn a_batch_of_messages_costs_one_write_a_member() {
    let server = TestServer::with(|config| config.shards = Shards::Count(1));
    let mut author = server.line("author");
    let mut peers: Vec<Peer> = (0..MEMBERS).map(|index| server.line(&format!("user{index}"))).collect();
    let batch: String = (0..64).map(|index| format!("MSG {index}\n")).collect();
    let seen: String = (0..64).map(|index| format!("MSG author {index}\n")).collect();
    for _ in 0..MESSAGES {
        author.send(&batch);
        for peer in &mut peers {
            peer.expect(&seen);
        }
    }
    let calls = server.stop().system_calls;
    assert_eq!(calls.writes, MESSAGES * MEMBERS + 2 * (MEMBERS + 1));
}

const PUBLISHERS: u64 = 10;
const TURNS: u64 = 100;
/// Turns in which what is reused comes to its size.
const WARM_UP_TURNS: u64 = 20;

/// Where the server of a test is told what to do, which runs as a process of its own.
const CONTROL: &str = "PARLANCE_TEST_CONTROL";

/// A server that can be stopped, so that all that is sent meanwhile comes in one turn.
struct Stoppable {
    child: Child,
    control: BufReader<TcpStream>,
}

impl Stoppable {
    /// It runs [`serves_in_a_process_of_its_own`]. Returns where it listens, too.
    fn start() -> (Self, Vec<u64>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "--ignored", "serves_in_a_process_of_its_own"])
            .env(CONTROL, listener.local_addr().expect("it is bound").to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("this program starts");
        let (control, _) = listener.accept().expect("it connects");
        control.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut server = Self { child, control: BufReader::new(control) };
        let port = server.answer();
        (server, port)
    }

    /// The numbers of its next line.
    fn answer(&mut self) -> Vec<u64> {
        let mut line = String::new();
        self.control.read_line(&mut line).expect("an answer");
        line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
    }

    /// How many allocations its loop has made.
    fn allocations(&mut self) -> u64 {
        self.control.get_mut().write_all(b"?").expect("it listens");
        self.answer()[0]
    }

    /// Does something while it stands still.
    fn while_stopped(&mut self, act: impl FnOnce()) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("it runs");
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).expect("it is ours").expect("it waited");
        assert!(status.stopped(), "{status:?}");
        act();
        kill_process(pid, Signal::CONT).expect("it stands still");
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Notes which thread is the server's loop: the one that logs as it does. Logs nothing.
struct SeesTheLoop;

impl tracing::Subscriber for SeesTheLoop {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        if metadata.target() == "parlance::reactor::shard" {
            allocations::let_others_see();
        }
        false
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Says on which port it listens; for each byte, how many allocations its loop has made; and when there are no more, which
/// system calls.
#[test]
#[ignore = "it is the server of the test below"]
fn serves_in_a_process_of_its_own() {
    let Ok(address) = std::env::var(CONTROL) else { return };
    let mut control = TcpStream::connect(address).expect("the test listens");
    tracing::subscriber::set_global_default(SeesTheLoop).expect("the first one");
    // What is kept costs allocations a message, none a delivery: see `counts.rs`.
    let server = TestServer::with(|config| {
        config.history_keep_messages = 0;
        config.shards = Shards::Count(1);
    });
    writeln!(control, "{}", server.address(Dialect::Line).port()).expect("the test reads");
    while control.read_exact(&mut [0]).is_ok() {
        writeln!(control, "{}", allocations::allocations_seen()).expect("the test reads");
    }
    let calls = server.stop().system_calls;
    writeln!(control, "{} {} {}", calls.reads, calls.writes, calls.registrations).expect("the test reads");
}

/// One room of a hundred, of whom ten speak in each turn.
#[test]
fn a_turn_costs_a_read_a_publisher_a_write_a_member_and_neither_an_allocation_nor_a_registration() {
    let (mut server, port) = Stoppable::start();
    let address = ([127, 0, 0, 1], u16::try_from(port[0]).expect("a port")).into();
    let mut peers: Vec<Peer> = (0..MEMBERS)
        .map(|index| {
            let mut peer = Peer::connect(address);
            peer.send(format!("LOGIN user{index}\n"));
            peer.expect("OK\n");
            peer
        })
        .collect();
    let spread = |publisher: u64| (publisher * (MEMBERS / PUBLISHERS)) as usize;
    let turn = |server: &mut Stoppable, peers: &mut [Peer]| {
        server.while_stopped(|| {
            (0..PUBLISHERS).for_each(|publisher| peers[spread(publisher)].send("MSG hello, how are you?\n"));
        });
        for (index, peer) in peers.iter_mut().enumerate() {
            for publisher in (0..PUBLISHERS).map(spread).filter(|&publisher| publisher != index) {
                peer.expect(&format!("MSG user{publisher} hello, how are you?\n"));
            }
        }
    };
    for _ in 0..WARM_UP_TURNS {
        turn(&mut server, &mut peers);
    }
    let before = server.allocations();
    assert!(before > 0, "those of the logins are seen");
    for _ in 0..TURNS {
        turn(&mut server, &mut peers);
    }
    assert_eq!(server.allocations() - before, 0, "allocations");

    // It stops; each member reads so, and closes.
    server.control.get_ref().shutdown(std::net::Shutdown::Write).expect("it is open");
    for mut peer in peers {
        peer.expect("INFO server shutting down\n");
        peer.expect_end();
    }
    let [reads, writes, registrations] = server.answer()[..] else { panic!("three numbers") };
    let turns = WARM_UP_TURNS + TURNS;
    // Beside the turns: a login and its answer, the notice at the end, and the peer's end.
    assert_eq!(reads, turns * PUBLISHERS + 2 * MEMBERS, "reads");
    assert_eq!(writes, turns * MEMBERS + 2 * MEMBERS, "writes");
    assert_eq!(registrations, MEMBERS + Dialect::ALL.len() as u64, "registrations");
}
