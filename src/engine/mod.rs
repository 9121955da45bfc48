//! The state of the chat: connections, names, rooms and their logs, seats, accounts and mailboxes, deadlines. Pure.
//!
//! Whoever drives it hands in bytes and the time, and takes out what is to be written; the same calls in the same order
//! give the same results, byte for byte. It carries out `Command`s and emits `Event`s; what is peculiar to a dialect, it
//! asks the [`Dialect`].
//!
//! ```text
//!  connected  received  peer_closed  disconnected  datagram  password_compared  timeout  shutdown  restore
//!      │         │           │            │            │             │             │         │        │
//!      ▼         ▼           ▼            ▼            ▼             ▼             ▼         ▼        ▼
//!  ┌────────────────────────────────────────────────────────────────────────────────────────────────────┐
//!  │       decode ▶ Command ▶ execute ▶ Event ▶ encode, once a dialect                                  │
//!  │                             │                │                                                     │
//!  │              Change, as an op        to one connection ──── or to a room                           │
//!  │                   ▼                          ▼                     ▼                               │
//!  │               the ledger                 its outbox     the log of each dialect                    │
//!  └───────────────────┬──────────────────────────┬─────────────────────┬───────────────────────────────┘
//!     take_ops ◀───────┘           next_to_flush ─┴─▶ gather ─▶ (the driver writes) ─▶ wrote
//!     next_password_task                              path_of: it is a datagram
//!     next_past_task
//!     next_stranger
//!     next_close, next_resumed                        writable, datagrams_full, datagrams_writable
//!     next_deadline, next_wake                        end_turn
//! ```
//!
//! A connection has a socket, or is a *seat*: spoken to in datagrams, which show its token, and given out by a handshake.
//! Seats have slots, cursors and deadlines like all others. Passwords are compared elsewhere: a task is handed out, and the
//! connection waits until [`Engine::password_compared`]. What outlives connections changes by [`Op`](crate::chat::Op)s,
//! which are handed out to be stored; answers that promise something wait until they are [committed](Engine::committed)
//! (`promise.rs`). What was kept is taken back by [`Engine::restore`].
//!
//! # Bounds
//!
//! Everything that a peer can make grow stands in [`limits`](crate::limits). A member that falls behind a full log is
//! *lagged*: it skips to the head and is told how many messages it missed, or it is closed. A connection that does not
//! read its answers is not read from. A publisher whose room is not flushed as fast as it talks waits; one who talks in
//! datagrams cannot be made to, and loses them.

mod account;
mod addresses;
mod answers;
mod attempts;
mod close;
mod close_room;
mod connections;
mod direct;
mod execute;
mod fanouts;
mod history;
mod holders;
mod inbox;
mod intake;
mod journal;
mod mailbox;
mod membership;
mod metrics;
mod network;
mod new_accounts;
mod password_queue;
mod past;
mod promise;
mod proof;
mod random;
mod rate;
mod reply;
mod rest;
mod room;
mod roster;
mod rounds;
mod seat;
mod shards;
mod strangers;
mod timers;
mod totals;
mod turns;
mod unused;

use core::net::{IpAddr, Ipv6Addr};
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use ahash::RandomState;
use ipnet::IpNet;
use slab::Slab;

pub use metrics::Metrics;
pub use random::Random;

use crate::chat::{
    ConnId, HistoryRules, ListenerId, Name, Now, OpId, Phase, ReservedNames, RoomId, RoomName, Token,
};
use crate::fanout::{self, Fanout, LagPolicies, Reports};
use crate::limits::{
    ADDRESS_ACCOUNTS_DEFAULT, ADDRESS_CLIENTS_DEFAULT, ADDRESS_CONNECTS_DEFAULT, ADDRESS_ROOMS_DEFAULT,
    ATTEMPTS_DEFAULT, GOB_GAP_MICROS_DEFAULT, LOG_TOTAL_BYTES_DEFAULT, OUTBOX_TOTAL_BYTES_MAX,
    SESSION_BYTES_DEFAULT, SESSION_MESSAGES_DEFAULT, SESSION_ROOMS_DEFAULT, SHARD_BYTES_MIN,
};
use crate::state::{AccountId, Ledger};
use crate::wire::{Codec, Dialect, Transport};
use addresses::Addresses;
use answers::Answers;
use attempts::Attempts;
use connections::Connections;
use fanouts::Fanouts;
use inbox::Inbox;
use journal::Journal;
use network::Network;
use new_accounts::NewAccounts;
use password_queue::PasswordQueue;
use past::Past;
pub use past::PastTask;
use promise::Held;
use proof::{Proof, Wanted};
use rate::Bucket;
use reply::Unread;
use rest::Rests;
use room::{Maker, Room};
use roster::Roster;
use rounds::Hasher;
pub use rounds::{Lane, Lanes, Rounds};
use seat::Seat;
pub use strangers::Stranger;
use strangers::Strangers;
use timers::Deadlines;
use totals::Totals;
use turns::Turns;
use unused::Unused;

/// What an operator decides, as far as the engine needs it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at once. One more is told that the server is full.
    pub clients_limit: usize,
    /// The networks that no limit by address or by session holds, but for that on wrong passwords.
    pub exempt: Vec<IpNet>,
    /// The same for each listener, by [`ListenerId`]; a listener without a list of its own uses `exempt`.
    pub listener_exempt: Vec<Option<Vec<IpNet>>>,
    /// The same for seats, whose datagrams come to the listener of another dialect than their handshakes.
    pub seat_exempt: Option<Vec<IpNet>>,
    /// Connections and seats of one address at once; 0 means any. One more is told so.
    pub address_clients_limit: usize,
    /// Rooms at once that one address made; 0 means any. Who would make one more is told so.
    pub address_rooms_limit: usize,
    /// Rooms at once that one session has made, and seats of one name; 0 means any. Who would have one more is told so.
    pub session_rooms_limit: usize,
    /// New accounts of one network a day, half of them at once; 0 means any.
    pub address_accounts_limit: u32,
    /// New connections of one address a second; 0 means any. Those that come faster are told so.
    pub address_connects_limit: u32,
    /// Messages of one session a second; 0 means any. Those that come faster are refused.
    pub session_messages_limit: u32,
    /// Bytes from one session a second; 0 means any. Whoever sends more is read from later.
    pub session_bytes_limit: u32,
    /// Wrong passwords for one name from one network in
    /// [`ATTEMPTS_SECONDS`](crate::limits::ATTEMPTS_SECONDS). Beyond it, no password of that pair is checked
    /// for the same time.
    pub password_attempts_limit: u8,
    /// Logins that a slash connection may try before it is closed.
    pub slash_nick_tries: u8,
    /// Seconds from the connection to the login; 0 means any.
    pub login_timeout: u64,
    /// Seconds from one line to the next in the line dialect; 0 means any.
    pub line_idle_timeout: u64,
    /// Seconds from one line to the next in the slash dialect; 0 means any.
    pub slash_idle_timeout: u64,
    /// Seconds from one datagram of a seat to the next; 0 means any.
    pub ucrp_idle_timeout: u64,
    /// Seconds from one request to the next in the typed dialect; 0 means any.
    pub typed_idle_timeout: u64,
    /// Seconds from one message to the next in the gob dialect; 0 means any.
    pub gob_idle_timeout: u64,
    /// Between two writes to a connection of a [paced](crate::wire::Transport::Paced) dialect; zero: as many frames a write as there are.
    pub gob_gap: Duration,
    /// A seat's datagrams count only from the IP address of its handshake.
    pub seats_keep_address: bool,
    /// Whether a seat may ask for the members and the last messages of its room.
    pub seats_may_query: bool,
    /// Names that need an account.
    pub reserved_names: ReservedNames,
    /// A handshake with a text that is not a name gets the nearest name; otherwise it is refused.
    pub seats_yield_names: bool,
    /// A bare name resumes a login that was made from the same IP address a short time ago.
    pub ping_identity: bool,
    /// Somebody takes the ops: see [`Engine::take_ops`].
    pub journal: bool,
    /// Answers that promise something wait for [`Engine::committed`].
    pub promises_wait: bool,
    /// Seconds that connections have to read what they are owed when the server stops.
    pub drain_timeout: u64,
    /// What happens with a member that fell behind.
    pub lag: LagPolicies,
    /// Bytes of a room's log a dialect.
    pub log_bytes_limit: usize,
    /// Bytes of all logs together. For more, the room that was least recently read gives way; where none does, each is held
    /// to [`LOG_BYTES_LIMIT_MIN`](crate::limits::LOG_BYTES_LIMIT_MIN).
    pub log_total_bytes_limit: usize,
    /// Seeds the hashing of names that peers choose.
    pub seed: u64,
    /// How many there are; the engine is on the first of them.
    pub shards: usize,
}

impl Default for Settings {
    /// The defaults of the configuration, as far as they do not depend on the machine; and a seed that everybody knows.
    fn default() -> Self {
        Self {
            clients_limit: 10_000,
            exempt: exempt_default(),
            listener_exempt: Vec::new(),
            seat_exempt: None,
            address_clients_limit: ADDRESS_CLIENTS_DEFAULT,
            address_rooms_limit: ADDRESS_ROOMS_DEFAULT,
            session_rooms_limit: SESSION_ROOMS_DEFAULT,
            address_accounts_limit: ADDRESS_ACCOUNTS_DEFAULT,
            address_connects_limit: ADDRESS_CONNECTS_DEFAULT,
            session_messages_limit: SESSION_MESSAGES_DEFAULT,
            session_bytes_limit: SESSION_BYTES_DEFAULT,
            password_attempts_limit: ATTEMPTS_DEFAULT,
            slash_nick_tries: 1,
            login_timeout: 60,
            line_idle_timeout: 60,
            slash_idle_timeout: 3600,
            ucrp_idle_timeout: 86_400,
            typed_idle_timeout: 86_400,
            gob_idle_timeout: 86_400,
            gob_gap: Duration::from_micros(GOB_GAP_MICROS_DEFAULT),
            seats_keep_address: true,
            seats_may_query: false,
            reserved_names: ReservedNames::default(),
            seats_yield_names: true,
            ping_identity: false,
            journal: false,
            promises_wait: false,
            drain_timeout: 3,
            lag: LagPolicies::default(),
            log_bytes_limit: 1 << 20,
            log_total_bytes_limit: LOG_TOTAL_BYTES_DEFAULT,
            seed: 0,
            shards: 1,
        }
    }
}

/// The machine itself: load generators, bots and reverse proxies come from there, and whoever is on it has other ways to
/// hurt it.
pub fn exempt_default() -> Vec<IpNet> {
    let networks = [(IpAddr::from([127, 0, 0, 0]), 8), (IpAddr::from(Ipv6Addr::LOCALHOST), 128)];
    networks.map(|(address, prefix)| IpNet::new_assert(address, prefix)).into()
}

impl Settings {
    /// Whether no limit by address or by session holds connections from an address at a listener.
    fn exempts(&self, ip: IpAddr, listener: ListenerId) -> bool {
        let own = self.listener_exempt.get(usize::from(listener.0)).and_then(Option::as_ref);
        self.is_among(own, ip)
    }

    /// Whether none holds the seats of an address.
    fn exempts_seats(&self, ip: IpAddr) -> bool {
        self.is_among(self.seat_exempt.as_ref(), ip)
    }

    fn is_among(&self, own: Option<&Vec<IpNet>>, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        own.unwrap_or(&self.exempt).iter().any(|network| network.contains(&ip))
    }

    fn idle_timeout(&self, dialect: Dialect) -> u64 {
        match dialect {
            Dialect::Line => self.line_idle_timeout,
            Dialect::Slash => self.slash_idle_timeout,
            // A handshake is never logged in: the login timeout is its only one.
            Dialect::Tcrp => 0,
            Dialect::Ucrp => self.ucrp_idle_timeout,
            Dialect::Typed => self.typed_idle_timeout,
            Dialect::Gob => self.gob_idle_timeout,
        }
    }

    /// Those of the fan-out of each shard, which has its part of the memory.
    pub fn fanout(&self) -> fanout::Settings {
        let part = |total: usize| (total / self.shards.max(1)).max(total.min(SHARD_BYTES_MIN));
        fanout::Settings {
            gob_gap: self.gob_gap,
            lag: self.lag,
            log_bytes_limit: self.log_bytes_limit,
            log_total_bytes_limit: part(self.log_total_bytes_limit),
            outbox_total_bytes_limit: part(OUTBOX_TOTAL_BYTES_MAX),
        }
    }
}

/// Where a connection is a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Membership {
    room: RoomId,
    /// One more than the index into the room's members, so that none takes no more space than one.
    member_after: NonZeroU32,
}

impl Membership {
    fn new(room: RoomId, member: usize) -> Self {
        let member_after = u32::try_from(member + 1).ok().and_then(NonZeroU32::new);
        Self { room, member_after: member_after.expect("limits::CLIENTS_MAX keeps it below") }
    }

    /// Index into the room's members.
    fn member(self) -> usize {
        self.member_after.get() as usize - 1
    }
}

/// One connection. What is needed only while something happens is behind a pointer, and absent when nothing does.
#[derive(Debug)]
struct Connection {
    generation: u32,
    dialect: Dialect,
    /// Where it came from, as far as what comes from there is counted together.
    network: Network,
    codec: Codec,
    phase: Phase,
    name: Option<Name>,
    membership: Option<Membership>,
    /// It comes from where no limit by address or by session holds.
    is_exempt: bool,
    /// Something is done for it elsewhere; it is not read from until that is done.
    awaiting: bool,
    /// It is not read from until something else has happened: see `intake.rs`.
    throttled: bool,
    /// The first bytes were looked at, and are not those of another protocol.
    has_opened: bool,
    /// It waits in the list of throttled connections to be looked at.
    waiting: bool,
    /// Its fan-out will tell when it has read its answers.
    watched: bool,
    closing: Option<close::Closing>,
    unread: Unread,
    /// The start of a frame whose end has not come, or frames that wait while the connection is throttled.
    inbox: Inbox,
    /// Of its messages.
    messages: Bucket,
    /// Of its bytes.
    bytes: Bucket,
    more: Option<Box<More>>,
}

// Of each client there is one: docs/performance.md accounts for it.
const _: () = assert!(size_of::<Option<Connection>>() == 112, "a client costs what the documentation says");

/// What few connections have, or each only for a while.
#[derive(Debug, Default)]
struct More {
    /// Whose password comes next.
    wanted: Option<Wanted>,
    /// What is done for it elsewhere, and the number of the task.
    awaited: Option<(u32, Awaited)>,
    /// Answers that wait for the store.
    held: Option<Box<Held>>,
    /// The mailbox that it has open.
    account: Option<AccountId>,
    /// It is told of each new message there.
    subscribed: bool,
    /// Of a handshake: the address that it came from, which is its seat's.
    ip: Option<IpAddr>,
    seat: Option<Seat>,
    /// Rooms that it made, and that are there; not counted where nothing bounds them.
    rooms_made: u32,
    /// Logins that were refused.
    logins_refused: u8,
    /// The newest message of the lobby when it came to hear it without a name, if the room shows messages to
    /// new members.
    heard_behind: Option<OpId>,
    /// The oldest message that it was shown of a room's history, and the room.
    oldest_shown: Option<(RoomId, OpId)>,
}

/// What a connection waits for, and is not read from meanwhile.
#[derive(Clone, Debug)]
enum Awaited {
    /// Its password is being looked at.
    Proof(Proof),
    /// What was said in a room is being looked up.
    Past(Past),
    /// The store is keeping its seat, or a change of its account.
    Store,
    /// Its last answer is being made.
    Answer,
}

impl Connection {
    /// Nothing more of what the peer sent, or asked for, is looked at.
    fn stop_listening(&mut self) {
        self.throttled = false;
        self.awaiting = false;
        if let Some(more) = &mut self.more {
            more.awaited = None;
        }
        self.inbox = Inbox::default();
    }
}

/// The engine. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    now: Now,
    connections: Connections,
    fanouts: Fanouts,
    deadlines: Deadlines,
    roster: Roster,
    ledger: Ledger,
    journal: Journal,
    random: Random,
    addresses: Addresses,
    rests: Rests,
    attempts: Attempts,
    new_accounts: NewAccounts,
    unused: Unused,
    /// Passwords to be looked at, off the loop.
    passwords: PasswordQueue,
    /// Rooms whose past is to be looked up, off the loop.
    past_tasks: Turns<Network, PastTask>,
    /// Rooms that hosts have closed so far, and the names of the last of them, up to
    /// [`ROOMS_CLOSED_KNOWN_MAX`](crate::limits::ROOMS_CLOSED_KNOWN_MAX).
    rooms_closed: u64,
    closed_lately: VecDeque<RoomName>,
    history_rules: HistoryRules,
    /// Who is told something when an op is committed. Mostly in the order of the ops.
    promised: VecDeque<(OpId, ConnId)>,
    totals: Totals,
    task_serial: u32,
    /// Who has a mailbox open.
    mailboxes: HashMap<AccountId, Vec<ConnId>, RandomState>,
    /// Where an account was last logged in from, and when, where a bare name may resume that.
    resumable: HashMap<AccountId, (Network, Duration), RandomState>,
    seats: HashMap<Token, ConnId, RandomState>,
    /// Connections that are seats, ended ones included.
    seat_connections: usize,
    /// Seats that ended, to be taken out with the turn.
    vacated: Vec<ConnId>,
    rooms: Slab<Room>,
    rooms_by_name: HashMap<RoomName, RoomId, RandomState>,
    /// Rooms that their hosts closed, until their members have moved on.
    closing_rooms: VecDeque<RoomId>,
    /// Throttled connections that may be able to go on.
    waiting: Rounds,
    /// Finds where a connection waits.
    hasher: Hasher,
    /// Long answers that are not complete.
    answers: Answers,
    /// Throttled connections that wait for another shard: they are looked at when one has reported something.
    waiting_for_shards: Vec<ConnId>,
    /// One of them does because too much is on its way.
    is_waited_for_links: bool,
    /// Connections that were throttled and are to be read from again.
    resumed: Vec<ConnId>,
    /// In the place of those that are being looked at.
    spare_reports: Reports,
    strangers: Strangers,
    stopping: bool,
    /// For encoding one event; kept for its capacity.
    scratch: Vec<u8>,
    /// For the slots whose deadline has come; kept for its capacity.
    expired: Vec<u32>,
    metrics: Metrics,
}

impl Engine {
    /// An engine with nobody in it and no room but the lobby.
    pub fn new(settings: Settings, history_rules: HistoryRules, random: Random) -> Self {
        let seed = settings.seed;
        let hasher = |salt: u64| RandomState::with_seeds(seed, seed ^ salt, !seed, salt);
        let mut rooms = Slab::new();
        let mut rooms_by_name = HashMap::with_hasher(hasher(1));
        let lobby = RoomName::parse(LOBBY).expect("a constant that is a room name");
        rooms_by_name.insert(lobby.clone(), RoomId::LOBBY);
        let rule = history_rules.of(LOBBY);
        let key = rooms.insert(Room::new(lobby, rule, Maker::default()));
        assert_eq!(key, RoomId::LOBBY.0 as usize, "the lobby is the first room");
        Self {
            now: Now::default(),
            connections: Connections::default(),
            fanouts: Fanouts::new(Fanout::new(0, settings.fanout()), settings.shards),
            addresses: Addresses::new(&settings, hasher(8)),
            rests: Rests::new(&settings),
            deadlines: Deadlines::new(),
            roster: Roster::new(hasher(2)),
            ledger: Ledger::new(&hasher(3)),
            journal: Journal::new(&hasher(12)),
            random,
            attempts: Attempts::new(settings.password_attempts_limit, &hasher(4)),
            new_accounts: NewAccounts::new(settings.address_accounts_limit, &hasher(11)),
            unused: Unused::default(),
            passwords: PasswordQueue::new(&hasher(9)),
            past_tasks: Turns::new(hasher(10)),
            rooms_closed: 0,
            closed_lately: VecDeque::new(),
            history_rules,
            promised: VecDeque::new(),
            totals: Totals::new(&hasher(13)),
            task_serial: 0,
            mailboxes: HashMap::with_hasher(hasher(5)),
            resumable: HashMap::with_hasher(hasher(6)),
            seats: HashMap::with_hasher(hasher(7)),
            seat_connections: 0,
            vacated: Vec::new(),
            rooms,
            rooms_by_name,
            closing_rooms: VecDeque::new(),
            waiting: Rounds::default(),
            hasher: Hasher::new(seed),
            answers: Answers::default(),
            waiting_for_shards: Vec::new(),
            is_waited_for_links: false,
            resumed: Vec::new(),
            spare_reports: Reports::default(),
            strangers: Strangers::default(),
            stopping: false,
            scratch: Vec::new(),
            expired: Vec::new(),
            metrics: Metrics::default(),
            settings,
        }
    }

    /// [`Metrics::accounts_expired`].
    pub fn accounts_expired(&self) -> u64 {
        self.metrics.accounts_expired
    }

    /// Counts since the start, those of the own fan-out included.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = self.metrics.clone();
        metrics.add(self.fanouts.own.metrics());
        metrics
    }

    /// The fan-out of the own shard.
    pub fn fanout(&self) -> &Fanout {
        &self.fanouts.own
    }

    /// The fan-out of the own shard.
    pub fn fanout_mut(&mut self) -> &mut Fanout {
        &mut self.fanouts.own
    }

    /// How many connections with a socket of their own there are, closing ones included.
    pub fn connection_count(&self) -> usize {
        self.connections.len() - self.seat_connections
    }

    /// Whether there is neither a connection nor a seat.
    pub fn is_empty(&self) -> bool {
        self.connections.len() == 0
    }

    /// The connections that there are, seats included.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.connections.iter().map(|(id, _)| id)
    }

    /// Bytes held for peers on this shard: logs, outboxes, answers that wait for the store or are not
    /// complete, and unfinished frames. Bounded by [`limits`](crate::limits).
    pub fn held_bytes(&self) -> usize {
        let kept = |(_, conn): (ConnId, &Connection)| conn.inbox.capacity() + conn.codec.held_bytes();
        let inboxes: usize = self.connections.iter().map(kept).sum();
        self.fanouts.own.held_bytes() + inboxes + self.totals.held_bytes + self.answers.held_bytes()
    }

    /// The connection with an id that the driver gave, unless it is stale.
    fn connection(&mut self, id: ConnId) -> Option<&mut Connection> {
        match self.connections.get_mut(id) {
            Some(conn) if conn.generation == id.generation => Some(conn),
            _ => {
                self.metrics.stale_ids += 1;
                None
            }
        }
    }

    /// The connection with an id from one of the engine's lists, unless it is gone.
    fn find(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.connections.get_mut(id).filter(|conn| conn.generation == id.generation)
    }

    /// The connection with an id that the engine itself holds, and which is there.
    fn conn(&self, id: ConnId) -> &Connection {
        let conn = self.connections.get(id).expect("an id that the engine holds is not stale");
        assert_eq!(conn.generation, id.generation, "an id that the engine holds is not stale");
        conn
    }

    fn conn_mut(&mut self, id: ConnId) -> &mut Connection {
        let conn = self.connections.get_mut(id).expect("an id that the engine holds is not stale");
        assert_eq!(conn.generation, id.generation, "an id that the engine holds is not stale");
        conn
    }

    fn more_mut(&mut self, id: ConnId) -> &mut More {
        self.conn_mut(id).more.get_or_insert_default()
    }

    fn room(&self, id: RoomId) -> &Room {
        &self.rooms[id.0 as usize]
    }

    fn room_mut(&mut self, id: RoomId) -> &mut Room {
        &mut self.rooms[id.0 as usize]
    }

    /// Walks everything and panics where an invariant does not hold. For tests.
    pub fn check_invariants(&self) {
        let mut members = 0;
        let mut names = 0;
        let mut seats = 0;
        let mut counted = 0;
        let (mut waiting_proofs, mut waiting_pasts) = (0, 0);
        for id in self.connections() {
            let conn = self.conn(id);
            counted += usize::from(!conn.is_exempt);
            names += usize::from(conn.name.is_some() && conn.dialect.has_rooms());
            let more = conn.more.as_deref();
            let awaited = more.and_then(|more| more.awaited.as_ref());
            assert_eq!(conn.awaiting, awaited.is_some());
            waiting_proofs += usize::from(matches!(awaited, Some((_, Awaited::Proof(_)))));
            waiting_pasts += usize::from(matches!(awaited, Some((_, Awaited::Past(_)))));
            let is_its = |(_, room): &(usize, &Room)| room.maker.session == Some(id);
            let rooms_made = more.map_or(0, |more| more.rooms_made as usize);
            assert!(rooms_made == 0 || rooms_made == self.rooms.iter().filter(is_its).count());
            if let Some(account) = more.and_then(|more| more.account) {
                assert!(self.mailboxes[&account].contains(&id), "a mailbox knows who has it open");
            }
            let is_seated = more.is_some_and(|more| more.seat.is_some()) && conn.membership.is_some();
            seats += usize::from(is_seated);
            if let Some(at) = conn.membership {
                members += usize::from(conn.name.is_some());
                assert_eq!(self.room(at.room).members().nth(at.member()), Some(id));
            }
            assert!(id.shard() > 0 || self.fanouts.own.has(id), "it has its place in the fan-out");
            assert_eq!(id.is_seat(), conn.dialect.transport() == Transport::Datagram);
        }
        self.fanouts.own.check_invariants();
        self.check_totals();
        self.journal.check_invariants();
        self.answers.check_invariants();
        let made = self.rooms.iter().filter(|(_, room)| room.maker.network.is_some()).count();
        assert_eq!((counted, made), self.addresses.check_invariants());
        assert_eq!(members, self.rooms.iter().map(|(_, room)| room.count()).sum::<usize>());
        assert_eq!(names, self.roster.len());
        assert_eq!(seats, self.seats.len());
        self.ledger.check_invariants();
        assert!(self.passwords.check_invariants() <= waiting_proofs, "a check goes with its connection");
        self.past_tasks.check_invariants();
        assert!(self.past_tasks.len() <= waiting_pasts, "a look-up goes with its connection");
        self.attempts.check_invariants();
        assert_eq!(self.rooms.len(), self.rooms_by_name.len() + self.closing_rooms.len());
        for (key, room) in &self.rooms {
            let stays = key == RoomId::LOBBY.0 as usize || room.closing;
            assert!(stays || room.count() > 0, "empty rooms vanish");
        }
    }
}

/// Everybody's first room.
pub const LOBBY: &str = "lobby";
