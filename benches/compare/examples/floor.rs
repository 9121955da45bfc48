//! The floor: the least that a chat server can do, as the unit of measure for one that does more.
//!
//! One thread, one epoll. `LOGIN <name>` is answered with `OK`, `PING` with `PONG`, and every other line goes to all
//! other connections as it came, behind `MSG` and the sender's name. With `--rooms`, the first line is a name, `/join #<room>`
//! goes to a room, and every other line goes to all of the room, behind a time that stands still and the sender's name: what
//! there is of the slash dialect. What arrives in one turn of the loop leaves in one write a connection. Names are not
//! checked, departures not announced, memory not bounded: it is no server to use.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;

use clap::Parser;
use memchr::memchr_iter;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use slab::Slab;

/// The least that a chat server can do, as the unit of measure for one that does more.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4000")]
    addr: SocketAddr,
    /// Have rooms, in lines of the slash dialect; without, one room in lines of the line dialect.
    #[arg(long)]
    rooms: bool,
    /// The core to run on.
    #[arg(long)]
    pin: Option<usize>,
}

const LISTENER: Token = Token(usize::MAX);
/// More than the socket buffers hold, so that a short read is the rule.
const READ_BYTES: usize = 256 << 10;
/// The room in which everybody is who did not go elsewhere.
const LOBBY: usize = 0;

struct Connection {
    stream: TcpStream,
    room: usize,
    /// What goes in front of each of its lines: `MSG <name> `, or a time and the name. Empty until it has one.
    head: Vec<u8>,
    /// The start of a line whose end has not come.
    partial: Vec<u8>,
    /// What its socket did not take, and answers.
    pending: Vec<u8>,
    /// Where in this turn's output its own lines are, which it does not get. Empty where it gets them.
    own: Range<usize>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// The lines of this turn, as they leave.
    turn: Vec<u8>,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    rooms: Vec<Room>,
    /// Which room has a name; nothing where there is one room.
    names: Option<HashMap<Vec<u8>, usize>>,
    /// In which rooms there are lines in this turn.
    spoken: Vec<usize>,
    /// Which connections wrote in this turn, and may have an answer pending.
    busy: Vec<usize>,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    if let Some(core) = args.pin {
        let mut cores = CpuSet::new();
        cores.set(core);
        sched_setaffinity(None, &cores)?;
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;

    let poll = Poll::new()?;
    let listener =
        socket2::Socket::new(socket2::Domain::for_address(args.addr), socket2::Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.set_tcp_nodelay(true)?;
    listener.set_nonblocking(true)?;
    listener.bind(&args.addr.into())?;
    listener.listen(4096)?;
    let mut listener = TcpListener::from_std(listener.into());
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let floor = Floor {
        poll,
        listener,
        connections: Slab::new(),
        rooms: vec![Room::default()],
        names: args.rooms.then(HashMap::new),
        spoken: Vec::new(),
        busy: Vec::new(),
    };
    floor.serve()
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
                    let connection = self.connections.remove(index);
                    self.rooms[connection.room].leave(index);
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
                self.rooms[LOBBY].members.push(entry.key());
                entry.insert(Connection {
                    stream,
                    room: LOBBY,
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
        self.busy.push(index);
        let start = self.rooms[self.connections[index].room].turn.len();
        loop {
            let connection = &mut self.connections[index];
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
                self.line(index, &bytes[from..=end]);
                from = end + 1;
            }
            let connection = &mut self.connections[index];
            connection.partial.clear();
            connection.partial.extend_from_slice(&bytes[from..]);
            if kept + count < buffer.len() && !hung_up {
                break;
            }
        }
        if self.names.is_none() {
            self.connections[index].own = start..self.rooms[LOBBY].turn.len();
        }
        true
    }

    fn line(&mut self, index: usize, line: &[u8]) {
        let connection = &mut self.connections[index];
        let text = if let Some(names) = &mut self.names {
            if connection.head.is_empty() {
                let name = line.trim_ascii_end();
                connection.head = [b"[00:00:00] ", name, b": "].concat();
                return connection.answer(&[b"Welcome ", name, b"! You are in #lobby\n"]);
            }
            let Some(name) = line.strip_prefix(b"/join #") else {
                return self.say(index, line);
            };
            let room = *names.entry(name.to_vec()).or_insert_with(|| {
                self.rooms.push(Room::default());
                self.rooms.len() - 1
            });
            let left = std::mem::replace(&mut connection.room, room);
            self.rooms[left].leave(index);
            self.rooms[room].members.push(index);
            return connection.answer(&[b"You joined #", name]);
        } else if let Some(name) = line.strip_prefix(b"LOGIN ") {
            connection.head = [b"MSG ", name.trim_ascii_end(), b" "].concat();
            return connection.answer(&[b"OK\n"]);
        } else {
            line.strip_prefix(b"MSG ")
        };
        match text {
            Some(text) => self.say(index, text),
            None => connection.answer(&[b"PONG\n"]),
        }
    }

    fn say(&mut self, index: usize, text: &[u8]) {
        let Connection { room, head, .. } = &self.connections[index];
        let turn = &mut self.rooms[*room].turn;
        if turn.is_empty() {
            self.spoken.push(*room);
        }
        turn.extend_from_slice(head);
        turn.extend_from_slice(text);
    }

    /// Sends every member of a room what was said there in this turn, without its own where it does not get that.
    fn send(&mut self) {
        for room in self.spoken.drain(..) {
            let Room { members, turn } = &mut self.rooms[room];
            for &index in &*members {
                let connection = &mut self.connections[index];
                let own = connection.own.clone();
                connection.send(&turn[..own.start], &turn[own.end..]);
            }
            turn.clear();
        }
        for index in self.busy.drain(..) {
            if let Some(connection) = self.connections.get_mut(index) {
                connection.own = 0..0;
                // A broken connection is removed when its readiness says so.
                connection.flush();
            }
        }
    }
}

impl Room {
    fn leave(&mut self, index: usize) {
        // Who leaves came last, as a rule.
        if let Some(place) = self.members.iter().rposition(|member| *member == index) {
            self.members.swap_remove(place);
        }
    }
}

impl Connection {
    fn answer(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.pending.extend_from_slice(part);
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
