//! Who never speaks, or a byte at a time.

use std::io::{Read, Write};
use std::net::TcpStream;

use parlance::chat::CloseReason;
use parlance::wire::Dialect;
use parlance::wire::gob::{self, Kind};

use crate::bystanders::Bystanders;
use crate::child::Child;
use crate::support::seat::ELSEWHERE;
use crate::support::{TestServer, connect_from};

#[test]
fn connections_that_never_speak_hurt_nobody() {
    let server = TestServer::start();
    let silent: Vec<TcpStream> = (0..500)
        .map(|_| TcpStream::connect(server.address(Dialect::Line)).expect("the server listens"))
        .collect();
    let mut alice = server.line("alice");
    let mut bob = server.slash("bobby");
    alice.send("MSG hi\nWHO\n");
    alice.expect("USER alice\nUSER bobby\n");
    bob.expect("[HH:MM:SS] alice: hi\n");
    drop(silent);
}

/// The dialects that are spoken over connections.
const STREAMS: [Dialect; 5] = [Dialect::Line, Dialect::Slash, Dialect::Tcrp, Dialect::Typed, Dialect::Gob];
/// What a connection that has said nothing, or not all of a frame, may take of the server's memory.
const CONNECTION_BYTES_MAX: u64 = 16 << 10;

/// A frame of each dialect that is far from its end, and may go on with what is in the second place.
fn endless(dialect: Dialect) -> (Vec<u8>, u8) {
    match dialect {
        Dialect::Line | Dialect::Slash => (vec![], b'x'),
        // A name of 255 bytes, and a payload of 8000.
        Dialect::Tcrp => ([&[255, 1, 0][..], &[0; 27], &8000_u16.to_be_bytes()].concat(), b'x'),
        Dialect::Typed => ([&1_u64.to_be_bytes()[..], &8000_u32.to_be_bytes()].concat(), 0),
        // A gob message of 4000 bytes.
        Dialect::Gob => (vec![0xfe, 0x0f, 0xa0], 0),
        Dialect::Ucrp => panic!("it has no connections"),
    }
}

#[test]
fn who_never_speaks_is_let_go_when_the_time_to_log_in_is_over() {
    const EACH: u64 = 200;
    let server = Child::start(&["--login-timeout", "2"]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    bystanders.talk_while(|| {
        let address = |dialect| server.address(dialect);
        let connect = |dialect| TcpStream::connect(address(dialect)).expect("the server listens");
        let silent: Vec<_> =
            STREAMS.iter().flat_map(|dialect| (0..EACH).map(|_| connect(*dialect))).collect();
        for mut stream in silent {
            stream.set_read_timeout(Some(crate::support::PATIENCE)).expect("a timeout");
            stream.read_to_end(&mut Vec::new()).expect("the server closes, and does not reset");
        }
    });
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, STREAMS.len() as u64 * EACH * CONNECTION_BYTES_MAX);
    bystanders.leave();
    server.stop().expect_closed(&[(CloseReason::LoginTimeout, STREAMS.len() as u64 * EACH)]);
}

/// A connection that sends what is of no use.
struct Trickle {
    stream: TcpStream,
    next: &'static [u8],
    sent: usize,
}

impl Trickle {
    /// Sends a little more; returns whether the server still listens.
    fn go_on(&mut self) -> bool {
        let at = self.sent % self.next.len();
        if self.stream.write_all(&self.next[at..=at]).is_err() {
            return false;
        }
        self.sent += 1;
        let mut buffer = [0; 1 << 12];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// Has each send a byte whenever the bystanders have talked, until the server has closed all of them.
#[track_caller]
fn trickle(bystanders: &mut Bystanders, mut open: Vec<Trickle>) {
    for trickle in &open {
        trickle.stream.set_nonblocking(true).expect("a socket");
    }
    let mut sent = Vec::new();
    bystanders.talk_until(|| {
        for trickle in open.extract_if(.., |trickle| !trickle.go_on()) {
            sent.push(trickle.sent);
        }
        open.is_empty()
    });
    assert!(sent.iter().all(|sent| *sent > 3), "they had spoken all the while: {sent:?}");
}

#[test]
fn a_byte_now_and_then_buys_nobody_time_to_log_in() {
    const EACH: u64 = 20;
    let server = Child::start(&["--login-timeout", "2"]);
    let mut bystanders = Bystanders::new(&server);
    let (memory, sockets) = (server.resident_bytes_high(), server.sockets());
    let mut open = Vec::new();
    for dialect in STREAMS {
        let (start, byte) = endless(dialect);
        for _ in 0..EACH {
            let mut stream = TcpStream::connect(server.address(dialect)).expect("the server listens");
            stream.write_all(&start).expect("it has the space");
            open.push(Trickle { stream, next: if byte == 0 { &[0] } else { b"x" }, sent: 0 });
        }
    }
    // Nor do whole commands that are no login.
    for _ in 0..EACH {
        let stream = TcpStream::connect(server.address(Dialect::Line)).expect("the server listens");
        open.push(Trickle { stream, next: b"PING\n", sent: 0 });
    }
    let slow = open.len() as u64;
    trickle(&mut bystanders, open);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    server.expect_memory(memory, slow * CONNECTION_BYTES_MAX);
    bystanders.leave();
    server.stop().expect_closed(&[(CloseReason::LoginTimeout, slow)]);
}

#[test]
fn a_byte_now_and_then_is_no_sign_of_life_either() {
    const EACH: u64 = 20;
    let server = Child::start(&["--gob-idle-timeout", "2"]);
    let mut bystanders = Bystanders::only(&server, &[Dialect::Line, Dialect::Slash, Dialect::Ucrp]);
    let sockets = server.sockets();
    let open = (0..EACH).map(|index| {
        let mut stream = TcpStream::connect(server.address(Dialect::Gob)).expect("the server listens");
        // To a room of its own, where nobody says anything: what a client is sent is a sign of life.
        let (start, _) = endless(Dialect::Gob);
        let sender = format!("slow{index}");
        let mut bytes = Vec::new();
        for (kind, content) in [(Kind::Join, String::new()), (Kind::Text, format!("/join #den{index}"))] {
            let _ = gob::encode(&gob::Message { kind, sender: &sender, content: &content }, &mut bytes);
        }
        stream.write_all(&[bytes, start].concat()).expect("it has the space");
        Trickle { stream, next: &[0], sent: 0 }
    });
    trickle(&mut bystanders, open.collect());
    bystanders.talk_until(|| server.is_back_to(&sockets));
    bystanders.leave();
    server.stop().expect_closed(&[(CloseReason::IdleTimeout, EACH)]);
}

#[test]
fn who_holds_connections_without_a_word_holds_no_more_than_an_address_may() {
    const MORE: usize = 100;
    const ALLOWED: usize = 50;
    let server =
        Child::start(&["--exempt", "127.0.0.1", "--address-clients", "50", "--address-connects", "0"]);
    let mut bystanders = Bystanders::new(&server);
    let sockets = server.sockets();
    let held = bystanders.talk_while(|| {
        let mut held = Vec::new();
        for _ in 0..ALLOWED + MORE {
            let mut stream = connect_from(ELSEWHERE, server.address(Dialect::Line));
            stream.write_all(b"PING\n").expect("it has the space");
            // Who is refused with its question unread may be reset before it has read why.
            let mut word = [0; 5];
            if stream.read_exact(&mut word).is_ok() && word == *b"PONG\n" {
                held.push(stream);
            }
        }
        held
    });
    assert_eq!(held.len(), ALLOWED);
    drop(held);
    bystanders.talk_until(|| server.is_back_to(&sockets));
    // There is space again.
    let mut stream = connect_from(ELSEWHERE, server.address(Dialect::Line));
    stream.write_all(b"PING\n").expect("it has the space");
    let mut word = [0; 5];
    stream.read_exact(&mut word).expect("an answer");
    assert_eq!(word, *b"PONG\n");
    drop(stream);
    bystanders.leave();
    server.stop().expect_closed(&[(CloseReason::AddressFull, MORE as u64)]);
}
