//! The floor: the least that a chat server can do, as the unit of measure for one that does more.
//!
//! One thread, one epoll. `LOGIN <name>` is answered with `OK`, `PING` with `PONG`, and every other line goes to all
//! other connections as it came, behind `MSG` and the sender's name. What arrives in one turn of the loop leaves in one
//! write a connection. Names are not checked, departures not announced, memory not bounded: it is no server to use.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;

use clap::Parser;
use memchr::memchr_iter;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use slab::Slab;

/// The least that a chat server can do, as the unit of measure for one that does more.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4000")]
    addr: SocketAddr,
    /// The core to run on.
    #[arg(long)]
    pin: Option<usize>,
}

const LISTENER: Token = Token(usize::MAX);
/// More than the socket buffers hold, so that a short read is the rule.
const READ_BYTES: usize = 256 << 10;

struct Connection {
    stream: TcpStream,
    /// `MSG <name> `, which goes in front of each of its lines.
    head: Vec<u8>,
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    /// What its socket did not take, and answers.
    pending: Vec<u8>,
    /// Where in this turn's output its own lines are, which it does not get.
    own: Range<usize>,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    /// The lines of this turn, as they leave.
    turn: Vec<u8>,
    /// Which connections wrote lines in this turn or have an answer pending.
    busy: Vec<usize>,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    if let Some(core) = args.pin {
        let mut cores = CpuSet::new();
        cores.set(core);
        sched_setaffinity(None, &cores)?;
    }
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;

    let poll = Poll::new()?;
    let listener =
        socket2::Socket::new(socket2::Domain::for_address(args.addr), socket2::Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.set_tcp_nodelay(true)?;
    listener.set_nonblocking(true)?;
    listener.bind(&args.addr.into())?;
    listener.listen(4096)?;
    let mut listener = TcpListener::from_std(listener.into());
    println!("listening on {}", listener.local_addr()?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    Floor { poll, listener, connections: Slab::new(), turn: Vec::new(), busy: Vec::new() }.serve()
}

impl Floor {
    fn serve(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(4096);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                    continue;
                }
                let index = event.token().0;
                let alive = (!event.is_readable()
                    || self.receive(index, event.is_read_closed(), &mut buffer))
                    && (!event.is_writable() || self.connections[index].flush());
                if !alive {
                    self.connections.remove(index);
                }
            }
            self.send();
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(entry.key()), interest).is_ok() {
                entry.insert(Connection {
                    stream,
                    head: Vec::new(),
                    partial: Vec::new(),
                    pending: Vec::new(),
                    own: 0..0,
                });
            }
        }
    }

    /// Takes in what a connection sent. A short read means that there is no more, unless the peer has hung up: then
    /// the end is to be read as well. False when the connection is over.
    fn receive(&mut self, index: usize, hung_up: bool, buffer: &mut [u8]) -> bool {
        let connection = &mut self.connections[index];
        let start = self.turn.len();
        self.busy.push(index);
        loop {
            let kept = connection.partial.len();
            buffer[..kept].copy_from_slice(&connection.partial);
            let count = match connection.stream.read(&mut buffer[kept..]) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            let bytes = &buffer[..kept + count];
            let mut from = 0;
            for end in memchr_iter(b'\n', bytes) {
                connection.line(&bytes[from..=end], &mut self.turn);
                from = end + 1;
            }
            connection.partial.clear();
            connection.partial.extend_from_slice(&bytes[from..]);
            if kept + count < buffer.len() && !hung_up {
                break;
            }
        }
        connection.own = start..self.turn.len();
        true
    }

    /// Sends every connection what the others said in this turn.
    fn send(&mut self) {
        if self.turn.is_empty() {
            for index in self.busy.drain(..) {
                if let Some(connection) = self.connections.get_mut(index) {
                    // A broken connection is removed when its readiness says so.
                    connection.flush();
                }
            }
            return;
        }
        for (_, connection) in &mut self.connections {
            let own = connection.own.clone();
            connection.send(&self.turn[..own.start], &self.turn[own.end..]);
        }
        for index in self.busy.drain(..) {
            if let Some(connection) = self.connections.get_mut(index) {
                connection.own = 0..0;
            }
        }
        self.turn.clear();
    }
}

impl Connection {
    fn line(&mut self, line: &[u8], turn: &mut Vec<u8>) {
        if let Some(text) = line.strip_prefix(b"MSG ") {
            turn.extend_from_slice(&self.head);
            turn.extend_from_slice(text);
        } else if let Some(name) = line.strip_prefix(b"LOGIN ") {
            self.head = [b"MSG ", name.trim_ascii_end(), b" "].concat();
            self.pending.extend_from_slice(b"OK\n");
        } else {
            self.pending.extend_from_slice(b"PONG\n");
        }
    }

    fn send(&mut self, before: &[u8], after: &[u8]) {
        let mut taken = 0;
        if self.pending.is_empty() {
            let written = if before.is_empty() {
                self.stream.write(after)
            } else if after.is_empty() {
                self.stream.write(before)
            } else {
                self.stream.write_vectored(&[IoSlice::new(before), IoSlice::new(after)])
            };
            taken = written.unwrap_or(0);
        }
        if taken < before.len() + after.len() {
            let rest = before.get(taken..).unwrap_or_default();
            self.pending.extend_from_slice(rest);
            self.pending.extend_from_slice(&after[taken.saturating_sub(before.len())..]);
            if taken == 0 {
                self.flush();
            }
        }
    }

    /// Writes what is pending, as far as the socket takes it. False when the connection is over.
    fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match self.stream.write(&self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
