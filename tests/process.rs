//! The program as it is started, told to stop, and killed.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};

use parlance::chat::Command as Said;
use parlance::wire::Dialect;
use rustix::process::{Pid, Signal, kill_process};
use support::{Peer, deadline};

/// A child that does not outlive its test.
struct Program {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        Self::start_limited(None, arguments)
    }

    /// Starts the program, with a limit on its open files.
    fn start_limited(open_files: Option<u32>, arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_parlance");
        // Signals that the test itself ignores, in the background of a script, would stay ignored.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,QUIT");
        match open_files {
            None => command.arg(program),
            Some(limit) => {
                command.args(["sh", "-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), program])
            }
        };
        let directory = tempfile::tempdir().expect("a directory without a configuration");
        let mut child = command
            .args(["--store", "memory"])
            .args(arguments)
            .env_clear()
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, output }
    }

    /// The address that the table at the start gives for a dialect.
    fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let mut address = |dialect: &str| {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("the table");
            let mut words = line.split_whitespace();
            assert_eq!(words.next(), Some(dialect), "{line}");
            words.next().expect("an address").to_owned()
        };
        address("dialect");
        let parse = |text: String| text.parse().expect("an address");
        (parse(address("line")), parse(address("slash")))
    }

    /// The same of a dialect further down in the table.
    fn address(&mut self, dialect: Dialect) -> SocketAddr {
        let mut line = String::new();
        while !line.starts_with(dialect.name()) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("the table"), 0, "no {}", dialect.name());
        }
        line.split_whitespace().nth(1).expect("an address").parse().expect("an address")
    }

    #[cfg(target_os = "linux")]
    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits for its end; returns the status and what it logged.
    fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.child.stderr.take().expect("it is piped").read_to_string(&mut log).expect("the log is UTF-8");
        (self.child.wait().expect("it ends"), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const FREE_PORTS: [&str; 12] =
    ["--line", "0", "--slash", "0", "--tcrp", "0", "--ucrp", "0", "--typed", "0", "--gob", "0"];

fn line(address: SocketAddr, name: &str) -> Peer {
    let mut peer = Peer::connect(address);
    peer.send(format!("LOGIN {name}\n"));
    peer.expect("OK\n");
    peer
}

#[test]
fn a_signal_tells_everybody_and_ends_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut program = Program::start(&FREE_PORTS);
        let (line_address, slash_address) = program.addresses();
        let mut peers: Vec<_> = (0..1000).map(|index| line(line_address, &format!("user{index}"))).collect();
        let mut nameless = Peer::connect(line_address);
        nameless.send("PING\n");
        nameless.expect("PONG\n");
        let mut bob = Peer::connect(slash_address);
        bob.send("bobby\n");
        bob.read_until("*** bobby joined the room\n");
        program.signal(signal);
        for peer in &mut peers {
            assert_eq!(peer.rest(), "INFO server shutting down\n");
        }
        assert_eq!(nameless.rest(), "INFO server shutting down\n");
        assert_eq!(bob.rest(), "*** server shutting down\n");
        drop((peers, nameless, bob));
        let (status, log) = program.end();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn who_does_not_read_does_not_hold_the_end_up_for_ever() {
    let mut program = Program::start(&[&FREE_PORTS[..], &["--drain-timeout", "1"]].concat());
    let (address, _) = program.addresses();
    let stalled = stall(address);
    program.signal(Signal::TERM);
    let (status, log) = program.end();
    assert_eq!(status.code(), Some(0), "{log}");
    drop(stalled);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut program = Program::start(&[&FREE_PORTS[..], &["--drain-timeout", "60"]].concat());
    let (address, _) = program.addresses();
    let stalled = stall(address);
    let mut alice = line(address, "alice");
    program.signal(Signal::TERM);
    assert!(alice.rest().ends_with("INFO server shutting down\n"));
    // One that comes with the first has no effect.
    while program.child.try_wait().expect("a child").is_none() {
        program.signal(Signal::TERM);
        std::thread::yield_now();
    }
    let (status, log) = program.end();
    assert_eq!(status.code(), Some(1), "{log}");
    drop(stalled);
}

/// A member that is owed more than the kernel's buffers hold, and reads nothing.
fn stall(address: SocketAddr) -> Peer {
    let mut stalled = Peer::connect_narrow(address);
    stalled.send("LOGIN stalled\n");
    stalled.expect("OK\n");
    let mut flood = line(address, "flood");
    let text = "x".repeat(4000);
    for _ in 0..6000 {
        flood.send(format!("MSG {text}\n"));
    }
    flood.send("PING\n");
    flood.expect("PONG\n");
    stalled
}

#[test]
fn after_a_kill_it_starts_again_on_the_same_port() {
    let mut program = Program::start(&FREE_PORTS);
    let (address, _) = program.addresses();
    let alice = line(address, "alice");
    program.signal(Signal::KILL);
    let (status, _) = program.end();
    assert_eq!(status.code(), None);
    let port = address.port().to_string();
    let mut again = Program::start(&[&FREE_PORTS[2..], &["--line", &port]].concat());
    let (address_again, _) = again.addresses();
    assert_eq!(address_again, address);
    let _alice = line(address, "alice");
    drop(alice);
}

#[test]
fn a_port_that_is_taken_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let (status, log) = Program::start(&["--line", &port]).end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains(&port) && log.contains("another program listens there"), "{log}");
}

#[test]
fn a_core_that_is_not_there_is_explained() {
    let (status, log) = Program::start(&[&FREE_PORTS[..], &["--pin", "1000"]].concat()).end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("core 1000"), "{log}");
}

#[test]
fn without_descriptors_the_surplus_is_told_and_room_is_made_when_others_go() {
    const LIMIT: u32 = 160;
    let arguments = [&FREE_PORTS[..], &["--max-clients", "1000"]].concat();
    let mut program = Program::start_limited(Some(LIMIT), &arguments);
    let (address, _) = program.addresses();
    let mut kept = Vec::new();
    let mut refused = 0;
    for index in 0..LIMIT + 40 {
        let mut peer = Peer::connect(address);
        peer.send("PING\n");
        match peer.line_or_end().as_deref() {
            Some("PONG") => kept.push(peer),
            // With the PING unread, the server's close may be a reset that overtakes its words.
            Some("ERR server-full") | None => refused += 1,
            Some(other) => panic!("{other} to {index}"),
        }
    }
    assert!(refused >= 40, "{refused} refused");
    assert!(kept.len() > 100, "{} kept", kept.len());
    kept[0].send("LOGIN alice\nWHO\n");
    kept[0].expect("OK\nUSER alice\n");
    kept.truncate(50);
    // As soon as the server has noticed, there is room again.
    loop {
        let mut peer = Peer::connect(address);
        peer.send("PING\n");
        if peer.line_or_end().as_deref() == Some("PONG") {
            break;
        }
    }
    program.signal(Signal::TERM);
    drop(kept);
    let (status, log) = program.end();
    assert_eq!(status.code(), Some(0), "{log}");
    let complaints = log.lines().filter(|line| line.contains("no descriptors are left")).count();
    assert!((1..=2).contains(&complaints), "{complaints} lines for {refused} refusals:\n{log}");
}

#[cfg(target_os = "linux")]
#[test]
fn who_leaves_leaves_no_descriptor_behind_though_it_was_paced() {
    let mut program = Program::start(&FREE_PORTS);
    let (line_address, _) = program.addresses();
    let gob_address = program.address(Dialect::Gob);
    let mut alice = line(line_address, "alice");
    let before = program.descriptors();
    let mut bob = TcpStream::connect(gob_address).expect("it listens");
    let (mut joins, probe) = (Vec::new(), Said::Direct { to: "alice", text: "here" });
    for said in [Said::Login { name: "bob", password: None }, probe] {
        Dialect::Gob.encode_command(&said, &mut joins).expect("gob has words for it");
    }
    bob.write_all(&joins).expect("it reads");
    alice.expect("DM bob here\n");
    // There is a pause between what two of these make.
    alice.send("MSG one\nMSG two\nMSG three\nPING\n");
    alice.expect("PONG\n");
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !heard.windows(5).any(|word| word == b"three") {
        let count = bob.read(&mut buffer).expect("more");
        assert_ne!(count, 0, "the end");
        heard.extend_from_slice(&buffer[..count]);
    }
    drop(bob);
    alice.expect("INFO bob disconnected\n");
    let give_up = deadline();
    while program.descriptors() != before {
        assert!(std::time::Instant::now() < give_up, "{before} before, {} after", program.descriptors());
        std::thread::yield_now();
    }
}
