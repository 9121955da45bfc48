//! A network: streams that deliver what was sent in any pieces, and datagrams that arrive late, twice, out of order or not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use parlance::chat::ConnId;
use parlance::wire::Dialect;

use crate::dice::Dice;

/// How well the network is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Microseconds that something takes at most.
    pub(crate) delay_micros: usize,
    /// Of 100 datagrams so many are lost, and as many arrive twice.
    pub(crate) lost_percent: usize,
}

impl Weather {
    pub(crate) const CALM: Self = Self { delay_micros: 200, lost_percent: 0 };

    fn delay(self, dice: &mut Dice) -> Duration {
        // Mostly a little, now and then all of it.
        let bound = if dice.below(8) == 0 { self.delay_micros } else { self.delay_micros / 20 };
        Duration::from_micros(10 + dice.below(bound + 1) as u64)
    }
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// How far a direction has come to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Open,
    /// Everything has arrived, and nothing follows.
    Ended,
    /// It broke off.
    Reset,
}

/// One direction of a stream.
#[derive(Debug)]
pub(crate) struct Pipe {
    in_flight: VecDeque<(Duration, Piece)>,
    arrived: VecDeque<u8>,
    /// In flight or arrived.
    bytes: usize,
    /// How many those may be: what the buffers of both kernels hold.
    capacity: usize,
    pub(crate) end: End,
    is_ending: bool,
}

impl Pipe {
    fn new(capacity: usize) -> Self {
        Self {
            in_flight: VecDeque::new(),
            arrived: VecDeque::new(),
            bytes: 0,
            capacity,
            end: End::Open,
            is_ending: false,
        }
    }

    /// Bytes that it takes at present.
    pub(crate) fn space(&self) -> usize {
        if self.is_ending { 0 } else { self.capacity.saturating_sub(self.bytes) }
    }

    fn push(&mut self, now: Duration, piece: Piece, weather: Weather, dice: &mut Dice) {
        // Nothing overtakes what was sent before.
        let last = self.in_flight.back().map_or(Duration::ZERO, |&(at, _)| at);
        self.in_flight.push_back((last.max(now + weather.delay(dice)), piece));
    }

    /// Sends all of it, whatever the space, in pieces that end anywhere.
    pub(crate) fn send(&mut self, now: Duration, mut bytes: &[u8], weather: Weather, dice: &mut Dice) {
        if self.is_ending {
            return;
        }
        self.bytes += bytes.len();
        while !bytes.is_empty() {
            let (piece, rest) = match dice.below(3) {
                0 => bytes.split_at(1 + dice.below(bytes.len())),
                _ => (bytes, &[][..]),
            };
            self.push(now, Piece::Bytes(piece.to_vec()), weather, dice);
            bytes = rest;
        }
    }

    /// Nothing follows.
    pub(crate) fn ends(&mut self, now: Duration, weather: Weather, dice: &mut Dice) {
        if !std::mem::replace(&mut self.is_ending, true) {
            self.push(now, Piece::End, weather, dice);
        }
    }

    /// It breaks off: what is in flight is lost.
    pub(crate) fn resets(&mut self, now: Duration, weather: Weather, dice: &mut Dice) {
        self.in_flight.clear();
        self.is_ending = true;
        self.push(now, Piece::Reset, weather, dice);
    }

    /// When the next piece arrives.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.in_flight.front().map(|&(at, _)| at)
    }

    /// Has arrive what arrives until now. Whether something did.
    pub(crate) fn deliver(&mut self, now: Duration) -> bool {
        let mut is_news = false;
        while let Some(&(at, _)) = self.in_flight.front()
            && at <= now
            && let Some((_, piece)) = self.in_flight.pop_front()
        {
            is_news = true;
            match piece {
                Piece::Bytes(bytes) => self.arrived.extend(bytes),
                Piece::End => self.end = End::Ended,
                Piece::Reset => {
                    self.arrived.clear();
                    self.end = End::Reset;
                }
            }
        }
        is_news
    }

    pub(crate) fn has_arrived(&self) -> usize {
        self.arrived.len()
    }

    /// Reads so much of what has arrived.
    pub(crate) fn read(&mut self, max: usize) -> Vec<u8> {
        let count = max.min(self.arrived.len());
        self.bytes -= count;
        self.arrived.drain(..count).collect()
    }
}

/// A stream between a client and the server.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) client: usize,
    pub(crate) ip: std::net::IpAddr,
    pub(crate) dialect: Dialect,
    pub(crate) shard: usize,
    /// Of its place in the server, once it was accepted.
    pub(crate) id: Option<ConnId>,
    /// From the client to the server.
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    /// The server has a socket for it.
    pub(crate) is_open: bool,
    /// It waits to be accepted.
    pub(crate) is_waiting: bool,
    /// The client has one.
    pub(crate) is_held: bool,
    /// It waits to be read from.
    pub(crate) is_queued: bool,
    /// The server saw the end of what the client sends.
    pub(crate) has_ended: bool,
    /// The server was offered less space than it wanted.
    pub(crate) is_blocked: bool,
    pub(crate) dice: Dice,
}

/// A datagram on its way.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) at: Duration,
    /// Where it comes from, if it is for the server; else where it goes.
    pub(crate) peer: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// All streams, and the datagrams that are on their way.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) conns: Vec<Conn>,
    /// Those of which somebody has an end.
    pub(crate) live: Vec<usize>,
    pub(crate) to_server: Vec<Datagram>,
    pub(crate) to_clients: Vec<Datagram>,
    pub(crate) weather: Weather,
    /// Bytes that a client's socket has space for: one of these.
    capacities: &'static [usize],
    dice: Dice,
}

/// Some have next to no space, and take a few bytes of each write.
pub(crate) const NARROW: &[usize] = &[200, 4096, 65_536];

impl Net {
    pub(crate) fn new(seed: u64, weather: Weather, capacities: &'static [usize]) -> Self {
        Self {
            conns: Vec::new(),
            live: Vec::new(),
            to_server: Vec::new(),
            to_clients: Vec::new(),
            weather,
            capacities,
            dice: Dice(seed),
        }
    }

    /// A client connects. Whether somebody listens is another matter.
    pub(crate) fn connect(
        &mut self,
        client: usize,
        ip: std::net::IpAddr,
        dialect: Dialect,
        shard: usize,
    ) -> usize {
        let mut dice = Dice(self.dice.next());
        let capacity = self.capacities[dice.below(self.capacities.len())];
        self.conns.push(Conn {
            client,
            ip,
            dialect,
            shard,
            id: None,
            up: Pipe::new(usize::MAX),
            down: Pipe::new(capacity),
            is_open: false,
            is_waiting: true,
            is_held: true,
            is_queued: false,
            has_ended: false,
            is_blocked: false,
            dice,
        });
        self.live.push(self.conns.len() - 1);
        self.conns.len() - 1
    }

    /// Forgets streams of which nobody has an end.
    pub(crate) fn forget(&mut self) {
        let Self { conns, live, .. } = self;
        live.retain(|&conn| conns[conn].is_open || conns[conn].is_held || conns[conn].is_waiting);
    }

    pub(crate) fn client_sends(&mut self, conn: usize, now: Duration, bytes: &[u8]) {
        let Self { conns, weather, .. } = self;
        let Conn { up, dice, .. } = &mut conns[conn];
        up.send(now, bytes, *weather, dice);
    }

    pub(crate) fn client_ends(&mut self, conn: usize, now: Duration) {
        let Self { conns, weather, .. } = self;
        let Conn { up, dice, .. } = &mut conns[conn];
        up.ends(now, *weather, dice);
    }

    pub(crate) fn client_resets(&mut self, conn: usize, now: Duration) {
        let Self { conns, weather, .. } = self;
        let Conn { up, down, dice, .. } = &mut conns[conn];
        up.resets(now, *weather, dice);
        down.resets(now, *weather, dice);
    }

    pub(crate) fn server_sends(&mut self, conn: usize, now: Duration, bytes: &[u8]) {
        let Self { conns, weather, .. } = self;
        let Conn { down, dice, .. } = &mut conns[conn];
        down.send(now, bytes, *weather, dice);
    }

    pub(crate) fn server_ends(&mut self, conn: usize, now: Duration) {
        let Self { conns, weather, .. } = self;
        let Conn { down, dice, .. } = &mut conns[conn];
        down.ends(now, *weather, dice);
    }

    /// The server drops its socket: with bytes unread, or after an end that was not read, that is a reset.
    pub(crate) fn server_drops(&mut self, conn: usize, now: Duration) {
        let Self { conns, weather, .. } = self;
        let Conn { up, down, dice, is_open, .. } = &mut conns[conn];
        *is_open = false;
        if up.has_arrived() > 0 {
            down.resets(now, *weather, dice);
        } else {
            down.ends(now, *weather, dice);
        }
    }

    /// The server is gone.
    pub(crate) fn server_resets(&mut self, conn: usize, now: Duration) {
        let Self { conns, weather, .. } = self;
        let Conn { down, dice, .. } = &mut conns[conn];
        down.resets(now, *weather, dice);
    }

    /// Sends a datagram; returns how many copies will arrive.
    pub(crate) fn datagram(&mut self, is_up: bool, now: Duration, peer: SocketAddr, bytes: &[u8]) -> u32 {
        let dice = &mut self.dice;
        let roll = dice.below(100);
        let copies = match roll {
            _ if roll < self.weather.lost_percent => 0,
            _ if roll < 2 * self.weather.lost_percent => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let at = now + self.weather.delay(dice);
            let datagram = Datagram { at, peer, bytes: bytes.to_vec() };
            if is_up { self.to_server.push(datagram) } else { self.to_clients.push(datagram) }
        }
        copies
    }

    /// When the next thing arrives somewhere.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        let live = self.live.iter().map(|&conn| &self.conns[conn]);
        let pipes = live.flat_map(|conn| [conn.up.next_at(), conn.down.next_at()]).flatten();
        let datagrams = self.to_server.iter().chain(&self.to_clients).map(|datagram| datagram.at);
        pipes.chain(datagrams).min()
    }
}

/// Takes those out that have arrived, in the order in which they did.
pub(crate) fn take_arrived(datagrams: &mut Vec<Datagram>, now: Duration) -> Vec<Datagram> {
    let mut arrived: Vec<_> = datagrams.extract_if(.., |datagram| datagram.at <= now).collect();
    arrived.sort_by_key(|datagram| datagram.at);
    arrived
}
