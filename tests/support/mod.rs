//! A server on free ports, and peers that speak to it byte by byte. No sleeps: whoever waits, waits for something.
//!
//! Two connections, or a connection and a datagram, may be on two shards, and what comes from one overtakes what came from the other. A
//! test that counts on an order waits for an answer, or for what somebody else sees, before it goes on.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod gob;
pub mod person;
pub mod seat;
pub mod typed;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use parlance::chat::Event;
use parlance::client::Client;
use parlance::config::{Config, Endpoint, ListenerSpec, Shards};
use parlance::reactor::{Report, Server, StartupError};
use parlance::store::{Store, StoreSpec};
use parlance::wire::Dialect;
use parlance::wire::typed::TagSet;
use socket2::{Domain, SockRef, Socket, Type};

/// Longer than anything takes on the slowest machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// How many shards the servers of tests have: `TEST_SHARDS`, or one.
pub fn shards() -> usize {
    let shards = std::env::var("TEST_SHARDS").ok();
    shards.map_or(1, |shards| shards.parse().expect("TEST_SHARDS is a number"))
}

/// A server in this process, which stops when it goes out of scope; or where one in another process listens.
pub struct TestServer {
    server: Option<Server>,
    addresses: Vec<(Dialect, SocketAddr)>,
}

impl TestServer {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_on_end(change, || {})
    }

    /// One that says so when it ends.
    pub fn with_on_end(change: impl FnOnce(&mut Config), ended: impl FnOnce() + Send + 'static) -> Self {
        Self::of(Server::start(&Self::config(change), ended).expect("a server on free ports"))
    }

    /// One that keeps what it keeps in the test's own store.
    pub fn with_store(store: Box<dyn Store>, change: impl FnOnce(&mut Config)) -> Self {
        let started = Server::start_with_store(&Self::config(change), store, || {});
        Self::of(started.expect("a server on free ports"))
    }

    /// One that runs in a process of its own, and is stopped by whoever started that.
    pub fn elsewhere(addresses: Vec<(Dialect, SocketAddr)>) -> Self {
        Self { server: None, addresses }
    }

    fn of(server: Server) -> Self {
        let address = |dialect: Dialect| {
            let named = |listening: &&parlance::ready::Listening| listening.dialect == dialect.name();
            Some((dialect, server.listening().iter().find(named)?.address))
        };
        let addresses = Dialect::ALL.into_iter().filter_map(address).collect();
        Self { server: Some(server), addresses }
    }

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let any = || ListenerSpec::from(Endpoint::Port(0));
        let mut config = Config {
            line: any(),
            slash: any(),
            tcrp: any(),
            ucrp: any(),
            typed: any(),
            gob: any(),
            store: StoreSpec::Memory,
            shards: Shards::Count(shards()),
            ..Config::default()
        };
        change(&mut config);
        config
    }

    pub fn address(&self, dialect: Dialect) -> SocketAddr {
        let (_, address) = self.addresses.iter().find(|(of, _)| *of == dialect).expect("every dialect is on");
        *address
    }

    /// All addresses that a server in this process listens on.
    pub fn listening(&self) -> &[parlance::ready::Listening] {
        self.server.as_ref().expect("it is in this process").listening()
    }

    /// A peer that has sent nothing.
    pub fn connect(&self, dialect: Dialect) -> Peer {
        Peer::connect(self.address(dialect))
    }

    /// A logged-in user of the line dialect.
    pub fn line(&self, name: &str) -> Peer {
        let mut peer = self.connect(Dialect::Line);
        peer.send(format!("LOGIN {name}\n"));
        peer.expect("OK\n");
        peer
    }

    /// A logged-in user of the slash dialect, who has read everything up to their own arrival.
    pub fn slash(&self, name: &str) -> Peer {
        let mut peer = self.connect(Dialect::Slash);
        peer.send(format!("{name}\n"));
        peer.expect("Welcome to the chat server!\nEnter your nickname: ");
        peer.expect(&format!("Welcome {name}! You are in #lobby\nType /help for available commands\n"));
        peer.expect(&format!("*** {name} joined the room\n"));
        peer
    }

    /// A logged-in client of the library, which the others see by now.
    pub fn client(&self, dialect: Dialect, name: &str) -> Client {
        let mut client =
            Client::connect(dialect, self.address(dialect), deadline()).expect("the server listens");
        client.login(name, deadline()).expect("the name is free");
        if dialect == Dialect::Gob {
            // It has no answer to a login. There is one to what comes behind it.
            client.direct("nobody", "are you there?").expect("sent");
            let is_answer = |event: Event<'_>| {
                matches!(event, Event::Message { sender: "server", text: "there is no nobody here", .. })
            };
            while !is_answer(client.next_event(deadline()).expect("an event")) {}
        }
        client
    }

    /// Has an account made, and logged out of: by a typed client, as all accounts are.
    pub fn account(&self, name: &str, password: &str) {
        typed::TypedPeer::connect(self, TagSet::InUse).log_in(name, password);
    }

    /// Waits until the server ends by itself.
    pub fn join(mut self) -> Result<Report, StartupError> {
        self.server.take().expect("it runs until it ends").join()
    }

    /// Stops the server and tells what it did.
    pub fn stop(mut self) -> Report {
        let server = self.server.take().expect("it runs until it is stopped");
        server.stop();
        server.join().expect("it stops well")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
            let stopped = server.join();
            if !std::thread::panicking() {
                stopped.expect("it stops well");
            }
        }
    }
}

/// A peer that sends and expects exact bytes.
pub struct Peer {
    stream: TcpStream,
    /// What [`Peer::long_line`] has read; `read_ahead[..taken]` is done with.
    read_ahead: Vec<u8>,
    taken: usize,
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("the server listens"))
    }

    /// One whose receive buffer is as small as the kernel makes them, to be full soon.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(1).expect("a small buffer");
        socket.connect(&address.into()).expect("the server listens");
        Self::of(socket.into())
    }

    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read_ahead: Vec::new(), taken: 0 }
    }

    /// Reads what was read ahead, then from the socket.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let ahead = &self.read_ahead[self.taken..];
        if ahead.is_empty() {
            return self.stream.read(buffer);
        }
        let length = ahead.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ahead[..length]);
        self.taken += length;
        Ok(length)
    }

    pub fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).expect("the server reads");
    }

    /// Reads as many bytes as `text` has, and compares. `[HH:MM:SS]` stands for any time of day.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        let mut length = 0;
        while length < bytes.len() {
            match self.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                // A signal to the tests themselves, or a stop and a continue.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!(
                    "{error} while {text:?} was expected, behind {:?}",
                    String::from_utf8_lossy(&bytes[..length])
                ),
            }
        }
        assert_eq!(without_times(&String::from_utf8_lossy(&bytes[..length])), text);
    }

    /// Reads to the end of a line, which is not part of what is returned.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while byte != *b"\n" {
            assert_eq!(self.read(&mut byte).expect("a line"), 1, "the end came behind {line:?}");
            line.push(byte[0]);
        }
        line.pop();
        String::from_utf8(line).expect("servers send UTF-8")
    }

    /// The same for many or long lines: it reads ahead.
    #[track_caller]
    pub fn long_line(&mut self) -> String {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.read_ahead[self.taken..]) {
                let line = self.read_ahead[self.taken..self.taken + end].to_vec();
                self.taken += end + 1;
                return String::from_utf8(line).expect("servers send UTF-8");
            }
            self.read_ahead.drain(..std::mem::take(&mut self.taken));
            let end = self.read_ahead.len();
            self.read_ahead.resize(end + (1 << 16), 0);
            let length = self.stream.read(&mut self.read_ahead[end..]).expect("a line");
            assert_ne!(length, 0, "the end came");
            self.read_ahead.truncate(end + length);
        }
    }

    /// Reads lines until one fits, which is returned.
    #[track_caller]
    pub fn line_where(&mut self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.long_line();
            if fits(&line) {
                return line;
            }
        }
    }

    /// Reads a line, or nothing where the connection ends in whatever way.
    pub fn line_or_end(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match self.read(&mut byte) {
                Ok(1) if byte == *b"\n" => return String::from_utf8(line).ok(),
                Ok(1) => line.push(byte[0]),
                _ => return None,
            }
        }
    }

    /// The same, after something was sent, which a server that is gone does not take.
    pub fn line_or_end_after(&mut self, text: &str) -> Option<String> {
        let _ = self.stream.write_all(text.as_bytes());
        self.line_or_end()
    }

    /// The same connection once more, for another thread to send on.
    pub fn clone_to_send(&self) -> Self {
        Self::of(self.stream.try_clone().expect("a descriptor"))
    }

    /// Reads to the end of the connection.
    #[track_caller]
    pub fn rest(&mut self) -> String {
        let mut rest = self.read_ahead.split_off(std::mem::take(&mut self.taken));
        self.read_ahead.clear();
        self.stream.read_to_end(&mut rest).expect("the server closes, and does not reset");
        String::from_utf8(rest).expect("servers send UTF-8")
    }

    /// Reads what there is to read until `text` ends it.
    #[track_caller]
    pub fn read_until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while !all.ends_with(text.as_bytes()) {
            let length = self.read(&mut buffer).expect("more");
            assert_ne!(length, 0, "the end came before {text:?}");
            all.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(all).expect("servers send UTF-8")
    }

    /// The server has closed, and nothing was left.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.rest(), "");
    }

    /// Closes the sending side.
    pub fn finish(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("it was open");
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        reset_at_the_end(&self.stream);
    }
}

/// Has a connection end with a reset when it is dropped.
pub fn reset_at_the_end(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("linger");
}

/// A connection from one of the machine's own addresses: all of 127.0.0.0/8 are.
pub fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("one of this machine's addresses");
    socket.connect(&to.into()).expect("the server listens");
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// The bytes that hexadecimal digits stand for, as vectors have them.
pub fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("hex"), 16).expect("hex")).collect()
}

/// A text with every `[12:34:56]` replaced.
pub fn without_times(text: &str) -> String {
    let is_time = |bytes: &[u8]| {
        let pattern = b"[00:00:00]";
        bytes.len() >= pattern.len()
            && bytes.iter().zip(pattern).all(|(byte, pattern)| match pattern {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if is_time(rest.as_bytes()) {
            out.push_str("[HH:MM:SS]");
            rest = &rest[10..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}
