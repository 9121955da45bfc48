//! A world around one engine: a clock that moves when told to, and for each client a socket that takes as many bytes as
//! the test lets it. It drives the engine as a reactor does, and looks at its invariants after every step.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use parlance::chat::{ConnId, HistoryRules, Now, PasswordHash, PasswordOutcome, PasswordTask, UnixMillis};
use parlance::engine::{Close, CloseReason, Engine, Gather, Random, Settings};
use parlance::limits::LOG_BYTES_LIMIT_MIN;
use parlance::wire::Dialect;

/// 12:34:56.
const START: UnixMillis = UnixMillis(45_296_000);
/// Bytes that the reactor reads at once, here: small, so that tests meet its edges.
const READ_BYTES_MAX: usize = 16 << 10;

/// Where everybody connects from, unless the test says otherwise.
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
    pub(crate) now: Now,
    sockets: Vec<Socket>,
    /// The last client in each of the engine's slots.
    by_slot: Vec<Client>,
    /// Writes to sockets, empty ones not counted.
    pub(crate) writes: usize,
    /// Datagrams that the server sent, and nobody has looked at.
    pub(crate) datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// Passwords are compared at the end of each turn; else when the test says so.
    pub(crate) compares_at_once: bool,
    /// Whether the invariants are looked at after every step: with very many clients that takes too long.
    pub(crate) checks: bool,
}

pub(crate) fn settings() -> Settings {
    Settings {
        login_timeout: 30,
        slash_idle_timeout: 600,
        drain_timeout: 5,
        log_bytes_limit: LOG_BYTES_LIMIT_MIN,
        log_total_bytes_limit: 64 << 20,
        seed: 7,
        ..Settings::default()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let now = Now { monotonic: Duration::from_millis(1500), unix: START };
        Self {
            engine: Engine::new(settings, HistoryRules::default(), Random::guessable(7)),
            now,
            sockets: Vec::new(),
            by_slot: Vec::new(),
            writes: 0,
            datagrams: Vec::new(),
            compares_at_once: true,
            checks: true,
        }
    }

    // What clients do.

    pub(crate) fn connects(&mut self, dialect: Dialect) -> Client {
        self.connects_from(HERE, dialect)
    }

    pub(crate) fn connects_from(&mut self, ip: IpAddr, dialect: Dialect) -> Client {
        let id = self.engine.connected(dialect, ip, self.now).expect("there is room for one more");
        let socket = Socket { id, space: usize::MAX, taken: Vec::new(), unread: Vec::new(), ended: None };
        let client = Client(self.sockets.len());
        self.sockets.push(socket);
        let slot = id.slot as usize;
        self.by_slot.resize(self.by_slot.len().max(slot + 1), client);
        self.by_slot[slot] = client;
        self.checked();
        client
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
        let Self { engine, sockets, now, checks, .. } = self;
        let socket = &mut sockets[client.0];
        while socket.ended.is_none() && engine.wants_input(socket.id) && !socket.unread.is_empty() {
            let rest = socket.unread.split_off(socket.unread.len().min(READ_BYTES_MAX));
            let read = std::mem::replace(&mut socket.unread, rest);
            engine.received(socket.id, &read, *now);
            if *checks {
                engine.check_invariants();
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
            self.engine.writable(id);
            self.checked();
        }
    }

    pub(crate) fn reads_everything(&mut self, client: Client) {
        self.reads(client, usize::MAX);
    }

    /// It sends nothing more, but reads on.
    pub(crate) fn closes_its_side(&mut self, client: Client) {
        let id = self.id(client);
        self.engine.peer_closed(id, self.now);
        self.checked();
    }

    /// Its connection breaks.
    pub(crate) fn vanishes(&mut self, client: Client) {
        self.ends(client, None, CloseReason::PeerReset);
    }

    fn ends(&mut self, client: Client, close: Option<Close>, reason: CloseReason) {
        let id = self.id(client);
        let reason = self.engine.disconnected(id, reason, self.now);
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
        self.by_slot.get(id.slot as usize).copied().filter(|client| {
            let socket = &self.sockets[client.0];
            socket.id == id && socket.ended.is_none()
        })
    }

    fn checked(&self) {
        if self.checks {
            self.check();
        }
    }

    pub(crate) fn check(&self) {
        self.engine.check_invariants();
    }

    /// Writes to the next connection that has something; returns whose it is.
    pub(crate) fn visit(&mut self) -> Option<Client> {
        let id = self.engine.next_to_flush()?;
        if let Some(to) = self.engine.address_of(id) {
            let mut slices = Gather::new();
            self.engine.gather(id, &mut slices);
            let datagram: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            drop(slices);
            self.engine.wrote(id, datagram.len(), datagram.len());
            if !datagram.is_empty() {
                self.datagrams.push((to, datagram));
            }
            self.checked();
            return Some(Client(usize::MAX));
        }
        let client = self.client(id).expect("the engine flushes connections that are there");
        let mut slices = Gather::new();
        self.engine.gather(id, &mut slices);
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let socket = &mut self.sockets[client.0];
        let mut taken = 0;
        for slice in &slices {
            let length = slice.len().min(socket.space);
            socket.taken.extend_from_slice(&slice[..length]);
            socket.space -= if socket.space == usize::MAX { 0 } else { length };
            taken += length;
        }
        drop(slices);
        self.writes += usize::from(offered > 0);
        self.engine.wrote(id, taken, offered);
        self.checked();
        Some(client)
    }

    /// A turn with so many writes at most, but without its input.
    pub(crate) fn turn_of(&mut self, writes: usize) {
        self.engine.timeout(self.now);
        self.checked();
        for _ in 0..writes {
            if self.visit().is_none() {
                break;
            }
        }
        self.engine.end_turn(self.now);
        self.checked();
        if self.compares_at_once {
            self.compares_passwords();
        }
        while let Some((id, close)) = self.engine.next_close() {
            // A polite peer, which closes its side as soon as the server closed its own.
            if let Some(client) = self.client(id) {
                self.ends(client, Some(close), CloseReason::PeerClosed);
            }
        }
        while let Some(id) = self.engine.next_resumed() {
            if let Some(client) = self.client(id) {
                self.is_read(client);
            }
        }
    }

    /// Does what is done off the loop. A hash is the password in clear; an imported one is replaced.
    pub(crate) fn compares_passwords(&mut self) {
        while let Some(task) = self.engine.next_password_task() {
            self.compares(task);
        }
    }

    fn compares(&mut self, PasswordTask { conn, serial, password, against }: PasswordTask) {
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
        self.checked();
    }

    /// A datagram reaches the server.
    pub(crate) fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.engine.datagram(from, bytes, self.now);
        self.checked();
    }

    pub(crate) fn turn(&mut self) {
        self.turn_of(usize::MAX);
    }

    /// Turns until there is nothing left to do.
    pub(crate) fn settles(&mut self) {
        for _ in 0..100_000 {
            self.turn();
            if self.engine.has_work() {
                continue;
            }
            // Those who rest are waited for.
            match self.engine.next_wake() {
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

/// What the world takes for the hash of a password.
pub(crate) fn hash(password: &str) -> PasswordHash {
    PasswordHash::new(&format!("$argon2id${password}")).expect("passwords of tests have no blanks")
}
