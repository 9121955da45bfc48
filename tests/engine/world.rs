//! A world around one engine, and around the outposts where there are several shards (`TEST_SHARDS`): a clock that moves when told to, and for each client a socket that takes as many bytes as
//! the test lets it. It drives the engine as a reactor does, and looks at its invariants after every step.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use parlance::chat::{
    CloseReason, ConnId, HistoryRules, ListenerId, Now, PasswordHash, PasswordOutcome, PasswordTask, Refused,
    UnixMillis,
};
use parlance::engine::{Engine, Metrics, Random, Settings};
use parlance::fanout::{Close, DatagramPath, Fanout, Gather, Outpost};
use parlance::limits::LOG_BYTES_LIMIT_MIN;
use parlance::wire::Dialect;

/// 12:34:56.
const START: UnixMillis = UnixMillis(45_296_000);
/// Bytes that the reactor reads at once, here: small, so that tests meet its edges.
const READ_BYTES_MAX: usize = 16 << 10;

/// Where everybody connects from, unless the test says otherwise.
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Another address.
pub(crate) const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// One of the world's clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Client(pub(crate) usize);

/// How a connection ended: how the driver was told to close it, if it was, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    pub(crate) close: Option<Close>,
    pub(crate) reason: CloseReason,
}

#[derive(Debug)]
struct Socket {
    id: ConnId,
    /// Bytes that it takes before it is full.
    space: usize,
    /// What it took, and the client has not looked at.
    taken: Vec<u8>,
    /// What the client sent, and the server has not read.
    unread: Vec<u8>,
    ended: Option<Ended>,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    /// The other shards. Clients connect to all in turn.
    outposts: Vec<Outpost>,
    pub(crate) now: Now,
    sockets: Vec<Socket>,
    /// Where the next one connects.
    pub(crate) listener: ListenerId,
    /// How many have tried to connect.
    connects: usize,
    /// The clients by their ids.
    by_id: HashMap<ConnId, Client>,
    /// Writes to sockets, empty ones not counted.
    pub(crate) writes: usize,
    /// Datagrams that the server sent, and nobody has looked at.
    pub(crate) datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// The ways that all its datagrams took.
    pub(crate) paths: Vec<DatagramPath>,
    /// Passwords are compared at the end of each turn; else when the test says so.
    pub(crate) compares_at_once: bool,
    /// New clients connect to all shards in turn; else to the engine's.
    pub(crate) is_spread: bool,
    /// What shards have for each other is held back at random, with this state.
    dice: Option<u64>,
    /// Nothing goes from one shard to another.
    pub(crate) are_apart: bool,
    /// Whether the invariants are looked at after every step: with very many clients that takes too long.
    pub(crate) checks: bool,
}

/// How many shards there are.
pub(crate) fn shards() -> usize {
    let shards = std::env::var("TEST_SHARDS").ok();
    shards.map_or(1, |shards| shards.parse().expect("TEST_SHARDS is a number"))
}

pub(crate) fn settings() -> Settings {
    Settings {
        login_timeout: 30,
        slash_idle_timeout: 600,
        drain_timeout: 5,
        log_bytes_limit: LOG_BYTES_LIMIT_MIN,
        log_total_bytes_limit: 64 << 20,
        seed: 7,
        shards: shards(),
        ..Settings::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let now = Now { monotonic: Duration::from_millis(1500), unix: START };
        let outposts = (1..settings.shards)
            .map(|shard| Outpost::new(Fanout::new(shard as u8, settings.fanout())))
            .collect();
        Self {
            outposts,
            engine: Engine::new(settings, HistoryRules::default(), Random::guessable(7)),
            now,
            sockets: Vec::new(),
            listener: ListenerId(0),
            connects: 0,
            by_id: HashMap::new(),
            writes: 0,
            datagrams: Vec::new(),
            paths: Vec::new(),
            compares_at_once: true,
            is_spread: true,
            dice: None,
            are_apart: false,
            checks: true,
        }
    }

    // What clients do.

    pub(crate) fn connects(&mut self, dialect: Dialect) -> Client {
        self.connects_from(HERE, dialect)
    }

    pub(crate) fn connects_from(&mut self, ip: IpAddr, dialect: Dialect) -> Client {
        self.tries_to_connect(ip, dialect).expect("there is room for one more")
    }

    /// The same, where it may be refused.
    pub(crate) fn tries_to_connect(&mut self, ip: IpAddr, dialect: Dialect) -> Result<Client, Refused> {
        // Handshakes and the rest in turn, so that each kind is everywhere.
        let shards = if self.is_spread { self.outposts.len() + 1 } else { 1 };
        let shard = self.connects % shards;
        self.connects += 1;
        let id = match shard.checked_sub(1) {
            None => self.engine.connected(dialect, ip, self.listener, self.now),
            Some(outpost) => self.outposts[outpost].connected(dialect, ip, self.listener),
        }?;
        let socket = Socket { id, space: usize::MAX, taken: Vec::new(), unread: Vec::new(), ended: None };
        let client = Client(self.sockets.len());
        self.sockets.push(socket);
        self.by_id.insert(id, client);
        self.passes_on();
        let refused = self.drops_refused();
        self.checked();
        refused.map_or(Ok(client), Err)
    }

    /// Drops whom the engine did not take in on another shard; says why it was the last of them.
    fn drops_refused(&mut self) -> Option<Refused> {
        let mut last = None;
        while let Some((id, refused)) = self.outposts.iter_mut().find_map(Outpost::next_refused) {
            if let Some(client) = self.client(id) {
                self.ends(client, None, refused.reason());
            }
            last = Some(refused);
        }
        last
    }

    /// A line user who is logged in and has read what was said about it.
    pub(crate) fn line(&mut self, name: &str) -> Client {
        let client = self.connects(Dialect::Line);
        self.types(client, &format!("LOGIN {name}"));
        assert_eq!(self.hears(client), "OK\n", "{name}");
        client
    }

    /// The same for a slash user.
    pub(crate) fn slash(&mut self, name: &str) -> Client {
        let client = self.connects(Dialect::Slash);
        self.types(client, name);
        let heard = self.hears(client);
        assert!(heard.ends_with(&format!("*** {name} joined the room\n")), "{heard}");
        client
    }

    pub(crate) fn types(&mut self, client: Client, line: &str) {
        self.sends(client, format!("{line}\n").as_bytes());
    }

    /// Bytes reach the server's socket; it reads them if it wants to.
    pub(crate) fn sends(&mut self, client: Client, bytes: &[u8]) {
        self.socket(client).unread.extend_from_slice(bytes);
        self.is_read(client);
    }

    fn is_read(&mut self, client: Client) {
        let id = self.id(client);
        while self.wants_input(id) {
            let socket = self.socket(client);
            if socket.ended.is_some() || socket.unread.is_empty() {
                break;
            }
            let rest = socket.unread.split_off(socket.unread.len().min(READ_BYTES_MAX));
            let read = std::mem::replace(&mut socket.unread, rest);
            match self.outpost(id) {
                None => self.engine.received(id, &read, self.now),
                Some(outpost) => outpost.received(id, &read),
            }
            self.passes_on();
            self.checked();
        }
    }

    /// Counts of all shards.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut metrics = self.engine.metrics();
        self.outposts.iter().for_each(|outpost| metrics.add(outpost.fanout().metrics()));
        metrics
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let outposts = self.outposts.iter().map(|outpost| outpost.fanout().held_bytes());
        self.engine.held_bytes() + outposts.sum::<usize>()
    }

    pub(crate) fn has_work(&mut self) -> bool {
        self.engine.has_work() || self.outposts.iter().any(Outpost::has_work) || self.is_passing_on()
    }

    pub(crate) fn wants_input(&mut self, id: ConnId) -> bool {
        match self.outpost(id) {
            None => self.engine.wants_input(id),
            Some(outpost) => outpost.wants_input(id),
        }
    }

    /// Whether its socket is read from.
    pub(crate) fn listens_to(&mut self, client: Client) -> bool {
        let id = self.id(client);
        self.wants_input(id)
    }

    fn outpost(&mut self, id: ConnId) -> Option<&mut Outpost> {
        usize::from(id.shard()).checked_sub(1).map(|index| &mut self.outposts[index])
    }

    fn fanout(&mut self, id: ConnId) -> &mut Fanout {
        self.fanout_of(usize::from(id.shard()))
    }

    /// How many seats a shard has.
    pub(crate) fn seats_on(&mut self, shard: usize) -> usize {
        self.fanout_of(shard).connections().filter(|id| id.is_seat()).count()
    }

    /// From now on what shards have for each other is held back for a while, at random.
    pub(crate) fn holds_back(&mut self, seed: u64) {
        self.dice = Some(seed | 1);
    }

    /// Whether a batch goes now.
    fn goes_now(dice: &mut Option<u64>) -> bool {
        let Some(state) = dice else { return true };
        // Xorshift (Marsaglia 2003).
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % 3 > 0
    }

    /// Whether shards have something for each other.
    fn is_passing_on(&mut self) -> bool {
        let Self { engine, outposts, .. } = self;
        outposts.iter_mut().enumerate().any(|(index, outpost)| {
            !outpost.reports_mut().is_empty() || !engine.orders_mut(index as u8 + 1).is_empty()
        })
    }

    /// Passes on what the shards have for each other, until they have nothing, or it is held back.
    fn passes_on(&mut self) {
        if self.are_apart {
            return;
        }
        let Self { engine, outposts, now, dice, .. } = self;
        loop {
            let mut is_quiet = true;
            for (index, outpost) in outposts.iter_mut().enumerate() {
                let shard = index as u8 + 1;
                if !outpost.reports_mut().is_empty() && Self::goes_now(dice) {
                    let reports = std::mem::take(outpost.reports_mut());
                    engine.take_reports(shard, &reports, *now);
                    is_quiet = false;
                }
                if !engine.orders_mut(shard).is_empty() && Self::goes_now(dice) {
                    let orders = std::mem::take(engine.orders_mut(shard));
                    outpost.carry_out(&orders, *now);
                    is_quiet = false;
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    /// From now on its socket takes so many bytes and no more.
    pub(crate) fn reads_only(&mut self, client: Client, bytes: usize) {
        self.socket(client).space = bytes;
    }

    /// It reads so many bytes more.
    pub(crate) fn reads(&mut self, client: Client, bytes: usize) {
        let socket = self.socket(client);
        socket.space = socket.space.saturating_add(bytes);
        let id = socket.id;
        if socket.ended.is_none() && bytes > 0 {
            self.fanout(id).writable(id);
            self.checked();
        }
    }

    pub(crate) fn reads_everything(&mut self, client: Client) {
        self.reads(client, usize::MAX);
    }

    /// It sends nothing more, but reads on.
    pub(crate) fn closes_its_side(&mut self, client: Client) {
        let id = self.id(client);
        match self.outpost(id) {
            None => self.engine.peer_closed(id, self.now),
            Some(outpost) => outpost.peer_closed(id),
        }
        self.passes_on();
        self.checked();
    }

    /// Its connection breaks.
    pub(crate) fn vanishes(&mut self, client: Client) {
        self.ends(client, None, CloseReason::PeerReset);
    }

    fn ends(&mut self, client: Client, close: Option<Close>, reason: CloseReason) {
        let id = self.id(client);
        let known = self.engine.closing_reason(id).unwrap_or(reason);
        let reason = match self.outpost(id) {
            None => self.engine.disconnected(id, reason, self.now),
            Some(outpost) => {
                outpost.disconnected(id, reason);
                known
            }
        };
        self.passes_on();
        let ended = self.socket(client).ended.replace(Ended { close, reason });
        assert_eq!(ended, None, "a connection ends once");
        self.checked();
    }

    // What clients see.

    /// What its socket took since it last looked.
    pub(crate) fn took(&mut self, client: Client) -> String {
        String::from_utf8(self.took_bytes(client)).expect("no character is cut")
    }

    pub(crate) fn took_bytes(&mut self, client: Client) -> Vec<u8> {
        std::mem::take(&mut self.socket(client).taken)
    }

    /// What it sees once everything has come to rest.
    pub(crate) fn hears(&mut self, client: Client) -> String {
        self.settles();
        self.took(client)
    }

    pub(crate) fn ended(&self, client: Client) -> Option<Ended> {
        self.sockets[client.0].ended
    }

    // The driver.

    pub(crate) fn id(&self, client: Client) -> ConnId {
        self.sockets[client.0].id
    }

    fn socket(&mut self, client: Client) -> &mut Socket {
        &mut self.sockets[client.0]
    }

    fn client(&self, id: ConnId) -> Option<Client> {
        self.by_id.get(&id).copied().filter(|client| self.sockets[client.0].ended.is_none())
    }

    fn checked(&self) {
        if self.checks {
            self.check();
        }
    }

    pub(crate) fn check(&self) {
        self.engine.check_invariants();
        self.outposts.iter().for_each(|outpost| outpost.fanout().check_invariants());
    }

    /// Writes to the next connection that has something; returns whose it is.
    pub(crate) fn visit(&mut self) -> Option<Client> {
        (0..=self.outposts.len()).find_map(|shard| self.visit_on(shard))
    }

    fn fanout_of(&mut self, shard: usize) -> &mut Fanout {
        match shard.checked_sub(1) {
            None => self.engine.fanout_mut(),
            Some(index) => self.outposts[index].fanout_mut(),
        }
    }

    fn visit_on(&mut self, shard: usize) -> Option<Client> {
        let id = self.fanout_of(shard).next_to_flush()?;
        if let Some(path) = self.fanout(id).path_of(id) {
            let mut slices = Gather::new();
            let fanout = self.fanout(id);
            fanout.gather(id, &mut slices);
            let datagram: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            drop(slices);
            fanout.wrote(id, datagram.len(), datagram.len());
            if !datagram.is_empty() {
                self.datagrams.push((path.peer, datagram));
                self.paths.push(path);
            }
            self.checked();
            return Some(Client(usize::MAX));
        }
        let client = self.client(id).expect("the engine flushes connections that are there");
        let mut slices = Gather::new();
        let Self { engine, outposts, sockets, .. } = self;
        let fanout = match usize::from(id.shard()).checked_sub(1) {
            None => engine.fanout_mut(),
            Some(index) => outposts[index].fanout_mut(),
        };
        fanout.gather(id, &mut slices);
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let socket = &mut sockets[client.0];
        let mut taken = 0;
        for slice in &slices {
            let length = slice.len().min(socket.space);
            socket.taken.extend_from_slice(&slice[..length]);
            socket.space -= if socket.space == usize::MAX { 0 } else { length };
            taken += length;
        }
        drop(slices);
        fanout.wrote(id, taken, offered);
        self.writes += usize::from(offered > 0);
        self.checked();
        Some(client)
    }

    /// A turn with so many writes at most, but without its input.
    pub(crate) fn turn_of(&mut self, writes: usize) {
        self.engine.timeout(self.now);
        let now = self.now;
        self.outposts.iter_mut().for_each(|outpost| outpost.timeout(now));
        self.passes_on();
        self.checked();
        for shard in 0..=self.outposts.len() {
            for _ in 0..writes {
                if self.visit_on(shard).is_none() {
                    break;
                }
            }
        }
        self.outposts.iter_mut().for_each(|outpost| outpost.end_turn(now));
        self.passes_on();
        self.engine.end_turn(self.now);
        self.passes_on();
        self.checked();
        if self.compares_at_once {
            self.compares_passwords();
        }
        self.drops_refused();
        while let Some((id, close)) = self.next_close() {
            // A polite peer, which closes its side as soon as the server closed its own.
            if let Some(client) = self.client(id) {
                self.ends(client, Some(close), CloseReason::PeerClosed);
            }
        }
        while let Some(id) = self.next_resumed() {
            if let Some(client) = self.client(id) {
                self.is_read(client);
            }
        }
    }

    fn next_close(&mut self) -> Option<(ConnId, Close)> {
        let mut fanouts = std::iter::once(self.engine.fanout_mut())
            .chain(self.outposts.iter_mut().map(Outpost::fanout_mut));
        fanouts.find_map(Fanout::next_close)
    }

    fn next_resumed(&mut self) -> Option<ConnId> {
        let mut outposts = self.outposts.iter_mut();
        self.engine.next_resumed().or_else(|| outposts.find_map(Outpost::next_resumed))
    }

    /// Does what is done off the loop. A hash is the password in clear; an imported one is replaced.
    pub(crate) fn compares_passwords(&mut self) {
        while let Some(task) = self.engine.next_password_task() {
            self.compares(task);
        }
    }

    /// Does one of those.
    pub(crate) fn compares(&mut self, PasswordTask { conn, serial, password, against }: PasswordTask) {
        let hash = hash(&password);
        let outcome = match against {
            None => PasswordOutcome::Hashed(hash),
            Some(against) if against == hash => PasswordOutcome::Right { upgraded: None },
            Some(against) if against.as_str() == format!("$2b${password}") => {
                PasswordOutcome::Right { upgraded: Some(hash) }
            }
            Some(_) => PasswordOutcome::Wrong,
        };
        self.engine.password_compared(conn, serial, outcome, self.now);
        self.passes_on();
        self.checked();
    }

    /// A datagram reaches the server: on a shard that depends on where it comes from.
    pub(crate) fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.datagram_on(DatagramPath { peer: from, local: None }, bytes);
    }

    /// The same, with the local address that it was sent to.
    pub(crate) fn datagram_on(&mut self, path: DatagramPath, bytes: &[u8]) {
        let from = path.peer;
        let shards = if self.is_spread { self.outposts.len() + 1 } else { 1 };
        match (usize::from(from.port()) % shards).checked_sub(1) {
            None => self.engine.datagram(path, bytes, self.now),
            Some(outpost) => self.outposts[outpost].datagram(path, bytes),
        }
        self.passes_on();
        self.checked();
    }

    /// No shard's socket for datagrams takes any more, or each does again.
    pub(crate) fn takes_datagrams(&mut self, takes: bool) {
        for shard in 0..=self.outposts.len() {
            let fanout = self.fanout_of(shard);
            if takes {
                fanout.datagrams_writable();
            } else {
                fanout.datagrams_full();
            }
        }
    }

    pub(crate) fn turn(&mut self) {
        self.turn_of(usize::MAX);
    }

    /// Turns until there is nothing left to do.
    pub(crate) fn settles(&mut self) {
        for _ in 0..100_000 {
            self.turn();
            if self.has_work() {
                continue;
            }
            // Those who rest are waited for.
            let outposts = self.outposts.iter().filter_map(|outpost| outpost.fanout().next_wake());
            match self.engine.next_wake().into_iter().chain(outposts).min() {
                Some(wake) => self.now.monotonic = self.now.monotonic.max(wake),
                None => return,
            }
        }
        panic!("it does not come to rest");
    }

    pub(crate) fn seconds_pass(&mut self, seconds: u64) {
        self.now.monotonic += Duration::from_secs(seconds);
        self.now.unix.0 += seconds * 1000;
    }
}

/// The same with the answers to `WHO`, which come in no particular order, sorted.
pub(crate) fn with_users_sorted(heard: &str) -> String {
    let is_user = |line: &&str| line.starts_with("USER ");
    let mut lines: Vec<&str> = heard.split_inclusive('\n').collect();
    lines.chunk_by_mut(|one, other| is_user(one) == is_user(other)).for_each(|run| {
        if run.first().is_some_and(is_user) {
            run.sort_unstable();
        }
    });
    lines.concat()
}

/// What the world takes for the hash of a password: itself, or a number where a hash could not be that.
pub(crate) fn hash(password: &str) -> PasswordHash {
    PasswordHash::new(&format!("$argon2id${password}")).unwrap_or_else(|_| {
        let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(password);
        PasswordHash::new(&format!("$argon2id$#{number}")).expect("a number has no blanks")
    })
}
