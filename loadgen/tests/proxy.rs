//! The program against a server behind something that loses, doubles, swaps and alters, in the dialects that `relay.rs`
//! does not speak: what it must find, say, and exit with.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use parlance::wire::Dialect;
use parlance::wire::typed::{Reply, TagSet};
use support::TestServer;

/// What happens on the way: to the fifth message for one of its receivers, where nothing else is said.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    Nothing,
    Drop,
    Double,
    /// It comes behind the sixth one.
    Swap,
    Corrupt,
    /// The server says that it skipped it, instead.
    Announce,
    /// The fifth acknowledgement does not come.
    DropAcknowledgement,
    /// It comes twice.
    DoubleAcknowledgement,
    /// It comes behind the sixth one.
    SwapAcknowledgements,
    /// It is of a message that nobody sent.
    CorruptAcknowledgement,
    /// The server refuses the message instead.
    Refuse,
    /// The first password is answered: later.
    Busy,
    /// The first datagrams of each client are lost.
    DropFirst,
}

const HIT: u32 = 5;
/// In every message.
const PADDING: &[u8] = b"abcdefgh";
/// A typed frame's type.
const PASSWORD: u8 = 2;
const ACKNOWLEDGEMENT: u8 = 111;

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// One receiver's messages, as the fault has them.
struct Way {
    fault: Fault,
    messages: u32,
    acknowledgements: u32,
    held: Vec<u8>,
}

impl Way {
    fn new(fault: Fault) -> Self {
        Self { fault, messages: 0, acknowledgements: 0, held: Vec::new() }
    }

    /// What arrives of a frame: some frames, or none.
    fn pass(&mut self, dialect: Dialect, frame: &[u8]) -> Vec<Vec<u8>> {
        let is_acknowledgement = dialect == Dialect::Typed && frame[7] == ACKNOWLEDGEMENT;
        self.acknowledgements += u32::from(is_acknowledgement);
        if is_acknowledgement {
            return self.pass_acknowledgement(frame);
        }
        if !contains(frame, PADDING) {
            return vec![frame.to_vec()];
        }
        self.messages += 1;
        self.pass_message(frame)
    }

    fn pass_acknowledgement(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut out = vec![frame.to_vec()];
        match (self.fault, self.acknowledgements == HIT) {
            (Fault::DropAcknowledgement, true) => out.clear(),
            (Fault::DoubleAcknowledgement, true) => out.push(frame.to_vec()),
            (Fault::SwapAcknowledgements, true) => {
                self.held = frame.to_vec();
                out.clear();
            }
            // The key stands behind the header, the list and its own count, and starts with the run.
            (Fault::CorruptAcknowledgement, true) => out[0][12 + 5 + 5] ^= 1,
            (Fault::Refuse, true) => out = vec![error("nothing can be kept")],
            _ if !self.held.is_empty() => out.push(std::mem::take(&mut self.held)),
            _ => {}
        }
        out
    }

    fn pass_message(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let mut out = vec![frame.to_vec()];
        match (self.fault, self.messages == HIT) {
            (Fault::Double, true) => out.push(frame.to_vec()),
            (Fault::Drop, true) => out.clear(),
            (Fault::Corrupt, true) => {
                let at = frame.windows(3).position(|window| window == b"fgh").expect("it has that");
                out[0][at] = b'x';
            }
            (Fault::Announce, true) => out = vec![b"\x06server1 messages missed".to_vec()],
            (Fault::Swap, true) => {
                self.held = frame.to_vec();
                out.clear();
            }
            _ if !self.held.is_empty() => out.push(std::mem::take(&mut self.held)),
            _ => {}
        }
        out
    }
}

/// The answer to a request that failed.
fn error(reason: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    Reply::Error(reason).encode(TagSet::InUse, &mut frame).expect("it is short");
    frame
}

/// Bytes of the first frame, if it is there.
fn frame_bytes(dialect: Dialect, bytes: &[u8]) -> Option<usize> {
    let end = match dialect {
        Dialect::Typed => 12 + u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?) as usize,
        // A definition and a value.
        Dialect::Gob => {
            let definition = gob_bytes(bytes)?;
            definition + gob_bytes(bytes.get(definition..)?)?
        }
        _ => panic!("{dialect:?} has other ways"),
    };
    (end <= bytes.len()).then_some(end)
}

/// Bytes of a gob message with its length, which is in one byte, or in as many as 256 less the first.
fn gob_bytes(bytes: &[u8]) -> Option<usize> {
    let first = usize::from(*bytes.first()?);
    if first < 128 {
        return Some(1 + first);
    }
    let digits = bytes.get(1..=256 - first)?;
    Some(1 + digits.len() + digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
}

/// Stands between clients and a server. The fault hits the client who logs in with a name that ends in `victim`.
fn proxy(server: SocketAddr, dialect: Dialect, victim: &'static str, fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).expect("it listens");
            server.set_nodelay(true).expect("it is open");
            client.set_nodelay(true).expect("it is open");
            thread::spawn(move || pass(client, server, dialect, victim, fault));
        }
    });
    address
}

fn pass(client: TcpStream, mut server: TcpStream, dialect: Dialect, victim: &str, fault: Fault) {
    let (mut to_client, from_server) = (client.try_clone(), server.try_clone());
    let (Ok(answers), Ok(from_server)) = (&mut to_client, from_server) else { return };
    let (mut way_back, mut is_refused) = (Some((answers.try_clone(), from_server)), false);
    frames(client, dialect, |frame| {
        // What a client says first has its name in it.
        if let Some((Ok(mut to), from)) = way_back.take() {
            let is_victim = contains(frame, victim.as_bytes());
            let mut way = Way::new(if is_victim { fault } else { Fault::Nothing });
            thread::spawn(move || {
                frames(from, dialect, |frame| {
                    way.pass(dialect, frame).into_iter().try_for_each(|frame| to.write_all(&frame))
                });
            });
        }
        if fault == Fault::Busy && frame[7] == PASSWORD && !std::mem::replace(&mut is_refused, true) {
            return answers.write_all(&error("busy; try again later"));
        }
        server.write_all(frame)
    });
    // Whoever reads from it on the way back is to see that it is over.
    let _ = server.shutdown(std::net::Shutdown::Both);
}

/// Calls `each` with the frames that come, until the end or an error.
fn frames(mut from: TcpStream, dialect: Dialect, mut each: impl FnMut(&[u8]) -> std::io::Result<()>) {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        while let Some(end) = frame_bytes(dialect, &kept) {
            if each(&kept[..end]).is_err() {
                return;
            }
            kept.drain(..end);
        }
    }
}

/// Stands between clients and a server's datagrams. Of each client, the server sees the same IP address. The fault hits
/// whoever is the first to receive a message.
fn datagram_proxy(server: SocketAddr, fault: Fault) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    let victim = Arc::new(Mutex::new(None));
    thread::spawn(move || {
        let mut ways: HashMap<SocketAddr, UdpSocket> = HashMap::new();
        let mut buffer = [0; 1 << 13];
        while let Ok((count, client)) = socket.recv_from(&mut buffer) {
            let is_first = !ways.contains_key(&client);
            let way = ways.entry(client).or_insert_with(|| {
                let way = UdpSocket::bind((client.ip(), 0)).expect("a free port");
                way.connect(server).expect("an address");
                let (from, to) = (way.try_clone().expect("a descriptor"), socket.try_clone());
                let (to, victim) = (to.expect("a descriptor"), Arc::clone(&victim));
                thread::spawn(move || pass_datagrams(&from, &to, client, fault, &victim));
                way
            });
            if !is_first || fault != Fault::DropFirst {
                way.send(&buffer[..count]).expect("the server is there");
            }
        }
    });
    address
}

fn pass_datagrams(
    from: &UdpSocket,
    to: &UdpSocket,
    client: SocketAddr,
    fault: Fault,
    victim: &Mutex<Option<SocketAddr>>,
) {
    let (mut hit, mut spared) = (Way::new(fault), Way::new(Fault::Nothing));
    let mut buffer = [0; 1 << 13];
    while let Ok(count) = from.recv(&mut buffer) {
        let datagram = &buffer[..count];
        let is_victim = contains(datagram, PADDING)
            && *victim.lock().expect("no thread panics").get_or_insert(client) == client;
        let way = if is_victim { &mut hit } else { &mut spared };
        for datagram in way.pass(Dialect::Ucrp, datagram) {
            to.send_to(&datagram, client).expect("loopback takes it");
        }
    }
}

/// Runs the program, with one publisher and twenty messages.
fn load(dialect: Dialect, address: SocketAddr, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--dialect", dialect.name(), "--addr", &address.to_string(), "--clients", "4"])
        .args(["--publishers", "1", "--rate", "100", "--warmup", "0s", "--duration", "200ms"])
        .args(more)
        .output()
        .expect("it starts")
}

/// Runs it over TCP.
fn load_stream(dialect: Dialect, fault: Fault) -> (Option<i32>, String) {
    load_stream_with(dialect, fault, &[])
}

fn load_stream_with(dialect: Dialect, fault: Fault, more: &[&str]) -> (Option<i32>, String) {
    let server = TestServer::start();
    let victim = match (dialect, fault) {
        (
            _,
            Fault::DropAcknowledgement
            | Fault::DoubleAcknowledgement
            | Fault::SwapAcknowledgements
            | Fault::CorruptAcknowledgement
            | Fault::Refuse,
        ) => "-000000",
        // Whom the publisher writes to.
        (Dialect::Typed, _) => "-000001",
        _ => "-000003",
    };
    let address = proxy(server.address(dialect), dialect, victim, fault);
    outcome(&load(dialect, address, more))
}

/// Runs it over UDP.
fn load_datagrams(fault: Fault) -> (Option<i32>, String) {
    let server = TestServer::start();
    let datagrams = datagram_proxy(server.address(Dialect::Ucrp), fault).to_string();
    outcome(&load(Dialect::Tcrp, server.address(Dialect::Tcrp), &["--datagrams", &datagrams]))
}

fn outcome(output: &Output) -> (Option<i32>, String) {
    let words =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), words)
}

#[track_caller]
fn assert_ends(outcome: (Option<i32>, String), status: i32, sentence: &str) {
    let (code, words) = outcome;
    assert_eq!(code, Some(status), "{words}");
    assert!(words.contains(sentence), "{words}");
}

#[test]
fn over_tcp_every_fault_is_found() {
    for dialect in [Dialect::Gob, Dialect::Typed] {
        for (fault, sentence) in [
            (Fault::Drop, "loadgen: 1 delivery lost."),
            (Fault::Double, "loadgen: 1 delivery doubled."),
            (Fault::Swap, "loadgen: 1 delivery out of order."),
            (Fault::Corrupt, "1 delivery corrupted."),
        ] {
            assert_ends(load_stream(dialect, fault), 1, sentence);
        }
        assert_ends(load_stream(dialect, Fault::Nothing), 0, "Nothing was lost");
    }
}

#[test]
fn a_message_that_is_not_acknowledged_is_found() {
    let outcome = load_stream(Dialect::Typed, Fault::DropAcknowledgement);
    assert_ends(outcome, 1, "loadgen: 1 message not acknowledged as kept.");
}

#[test]
fn where_acknowledgements_count_every_fault_of_theirs_is_found() {
    for (fault, sentence) in [
        (Fault::DropAcknowledgement, "loadgen: 1 acknowledgement lost."),
        (Fault::DoubleAcknowledgement, "loadgen: 1 acknowledgement doubled."),
        (Fault::SwapAcknowledgements, "loadgen: 1 acknowledgement out of order."),
        (Fault::CorruptAcknowledgement, "loadgen: 1 acknowledgement lost; 1 acknowledgement corrupted."),
        (Fault::Refuse, "loadgen: 1 message refused (first: nothing can be kept)."),
    ] {
        assert_ends(load_stream_with(Dialect::Typed, fault, &["--kept"]), 1, sentence);
    }
    for fault in [Fault::Nothing, Fault::Busy] {
        let sentence = "Each message was acknowledged, once and in order.";
        assert_ends(load_stream_with(Dialect::Typed, fault, &["--kept"]), 0, sentence);
    }
}

#[test]
fn whoever_is_told_that_the_server_is_busy_tries_again() {
    assert_ends(load_stream(Dialect::Typed, Fault::Busy), 0, "Nothing was lost");
}

#[test]
fn a_datagram_lost_is_reported_and_no_fault() {
    // Of 20 messages to three.
    let sentence = "Nothing was doubled or corrupted; 1 delivery was lost (1.6667 %), 0 reordered.";
    assert_ends(load_datagrams(Fault::Drop), 0, sentence);
}

#[test]
fn datagrams_that_change_places_are_reported_and_no_fault() {
    assert_ends(load_datagrams(Fault::Swap), 0, "0 deliveries were lost (0.0000 %), 1 reordered.");
}

#[test]
fn what_the_server_skips_of_datagrams_is_reported_and_no_fault() {
    assert_ends(load_datagrams(Fault::Announce), 0, "1.6667 %; 0 reordered; 1 announced as missed");
}

#[test]
fn a_datagram_that_comes_twice_or_altered_is_a_fault() {
    assert_ends(load_datagrams(Fault::Double), 1, "loadgen: 1 delivery doubled.");
    assert_ends(load_datagrams(Fault::Corrupt), 1, "loadgen: 1 delivery corrupted.");
}

#[test]
fn lost_datagrams_at_the_beginning_are_sent_again() {
    assert_ends(load_datagrams(Fault::DropFirst), 0, "Nothing was lost, doubled, reordered or corrupted.");
}

#[test]
fn datagrams_to_a_port_where_nobody_listens_are_reported() {
    let server = TestServer::start();
    let nobody = UdpSocket::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let outcome =
        outcome(&load(Dialect::Tcrp, server.address(Dialect::Tcrp), &["--datagrams", &nobody.to_string()]));
    assert_ends(outcome, 1, "the server takes no datagrams: Connection refused");
}

#[test]
fn a_room_that_is_there_already_is_reported_in_the_servers_words() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut answer = Vec::new();
            let echo = parlance::wire::tcrp::Echo::new("", 1).expect("it is short");
            let refusal = Err(parlance::wire::tcrp::Refusal::RoomExists);
            parlance::wire::tcrp::encode_answer(echo, refusal, &mut answer);
            let mut request = [0; 64];
            assert_ne!(client.read(&mut request).expect("a request"), 0);
            // It may have gone already.
            let _ = client.write_all(&answer);
        }
    });
    assert_ends(outcome(&load(Dialect::Tcrp, address, &[])), 1, "the server said: room-exists");
}
