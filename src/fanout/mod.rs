//! Fan-out: the frames that go to many, written once, and who has read how far; and what waits for one alone. Pure.
//!
//! One shard's connections, as far as they are written to. The engine decides who is where and what is said, and says so
//! in a few calls (`append`, `push`, `enter`, `leave`, `end`); this delivers it. On the shard that the engine is on, it
//! makes those calls itself; to the other shards they go as [`Orders`], and what it must know of comes back as
//! [`Reports`].
//!
//! ```text
//!   the engine ──┬── calls ──▶ its own fan-out   ─▶ reports
//!                ├── Orders ─▶ shard 1's fan-out ─▶ Reports ──┐
//!                └── Orders ─▶ shard 2's fan-out ─▶ Reports ──┼─▶ the engine
//!                                                             ┘
//! ```
//!
//! # The log and the cursors
//!
//! A frame is encoded once for each dialect in a room and appended to that dialect's log. No member is touched. A member is
//! a *cursor* into the log:
//!
//! ```text
//!   log      ░░░░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒
//!            tail      ▲            ▲                      head
//!                   alice          bob
//!   alice's outbox          PONG (after ▲ here)     one writev: ▒▒▒▒ PONG ▒▒▒▒▒▒▒▒▒▒
//! ```
//!
//! A *flush* visits each member of a room that is behind, round robin: [`Fanout::gather`] borrows what lies between its
//! cursor and the head, with what waits in its outbox at the places where it happened, as slices for one `writev`, and
//! [`Fanout::wrote`] moves the cursor by what the kernel took. Who comes late finds more, and gets it in one write; who
//! is blocked stays where it is, and no round comes by until its socket is writable again. Where a dialect is paced or in
//! datagrams, one frame is gathered at a time; who is paced rests after each. When the turn ends, what every member has
//! read is given back to the pool.

mod append;
mod datagrams;
mod flush;
mod held;
mod lag;
mod lines;
mod log;
mod membership;
mod order;
mod outbox;
mod outpost;
mod pace;
mod pool;
mod report;
mod room;
mod unicast;

use std::collections::VecDeque;
use std::num::NonZeroU8;
use std::time::Duration;

pub use datagrams::DatagramPath;
pub use lag::{LagPolicies, LagPolicy};
pub use log::Gather;
pub use membership::Owed;
pub use order::{Order, Orders};
pub use outpost::Outpost;
pub use report::{Report, Reports};

use crate::chat::{ConnId, Now, RoomId};
use crate::limits::{GOB_GAP_MICROS_DEFAULT, LOG_TOTAL_BYTES_DEFAULT, OUTBOX_TOTAL_BYTES_MAX};
use crate::wire::{Dialect, Transport};
use datagrams::{Address, Datagrams};
use held::Held;
use lines::Lines;
use log::Offset;
use outbox::Outbox;
use pace::Pace;
use pool::BlockPool;
use room::Room;

/// What an operator decides, as far as it concerns fan-out.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Between two writes to a connection of a [paced](Transport::Paced) dialect; zero: as many frames a write as there are.
    pub gob_gap: Duration,
    /// What happens with a member that fell behind.
    pub lag: LagPolicies,
    /// Bytes of a room's log a dialect.
    pub log_bytes_limit: usize,
    /// Bytes of all logs together. For more, the room that was least recently read gives way; where none does, each is held
    /// to [`LOG_BYTES_LIMIT_MIN`](crate::limits::LOG_BYTES_LIMIT_MIN).
    pub log_total_bytes_limit: usize,
    /// Bytes that wait for all connections together, each in its outbox.
    pub outbox_total_bytes_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gob_gap: Duration::from_micros(GOB_GAP_MICROS_DEFAULT),
            lag: LagPolicies::default(),
            log_bytes_limit: 1 << 20,
            log_total_bytes_limit: LOG_TOTAL_BYTES_DEFAULT,
            outbox_total_bytes_limit: OUTBOX_TOTAL_BYTES_MAX,
        }
    }
}

impl Settings {
    /// Whether a dialect's frames go out one by one.
    fn is_framed(&self, dialect: Dialect) -> bool {
        match dialect.transport() {
            Transport::Stream => false,
            Transport::Paced => !self.gob_gap.is_zero(),
            Transport::Datagram => true,
        }
    }
}

/// Counts since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Datagrams that were made for seats; those that the kernel refused are among them.
    pub datagrams_sent: u64,
    /// Messages that a member who is spoken to in datagrams did not get, oldest first, because the socket was full.
    pub datagrams_dropped: u64,
    /// Datagrams for which the kernel knew no way.
    pub datagrams_undeliverable: u64,
    /// Times that a member fell off the tail of its room's log.
    pub lagged: u64,
    /// Times that a log was emptied of what nobody read there, since all logs together were too large.
    pub gave_way: u64,
    /// Messages that such members missed.
    pub missed: u64,
    /// Times that a round came to a member who was behind in its room. Most are a write; one who is blocked is come to once
    /// until it can be written to.
    pub visits: u64,
    /// Calls with the id of a connection that is gone.
    pub stale_ids: u64,
}

/// What the driver does with a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// Everything is sent: close the sending side, read until the peer closes its own (a close with bytes unread would
    /// be a reset, and could take the last words with it), then report that it is disconnected.
    Linger,
    /// Time is up: drop the socket and report that it is disconnected.
    Now,
}

/// Where a connection is a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Membership {
    room: RoomId,
    /// One more than the index into the room's channels, so that none takes no more space than one.
    channel_after: NonZeroU8,
    /// Index into the channel's members.
    member: u32,
}

impl Membership {
    /// Index into the room's channels.
    fn channel(self) -> usize {
        usize::from(self.channel_after.get()) - 1
    }
}

/// How near a connection is to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Not at all.
    Open,
    /// It is closed when everything is sent.
    WhenSent,
    /// Nothing is written to it any more.
    Told,
}

/// One connection, as far as it is written to.
#[derive(Debug)]
struct Line {
    generation: u32,
    dialect: Dialect,
    /// The socket took less than it was offered, and has not been writable since.
    blocked: bool,
    /// It was written to a moment ago, and its dialect wants a pause: see `pace.rs`.
    resting: bool,
    /// It waits in the list of connections to be flushed.
    queued: bool,
    /// The engine wants to know when it has read its answers.
    watched: bool,
    end: End,
    /// It fell behind, and the engine is going to say so before anything else.
    muted: bool,
    /// What was read from it is on its way to an engine on another shard.
    is_read: bool,
    membership: Option<Membership>,
    outbox: Option<Box<Outbox>>,
    /// Of one that is spoken to in datagrams, once it was heard.
    address: Option<Box<Address>>,
}

// Of each client there is one: docs/performance.md accounts for it.
const _: () = assert!(size_of::<Line>() == 40, "a client costs what the documentation says");

impl Line {
    /// Of one that is there since a moment ago.
    fn new(generation: u32, dialect: Dialect) -> Self {
        Self {
            generation,
            dialect,
            blocked: false,
            resting: false,
            queued: false,
            watched: false,
            end: End::Open,
            muted: false,
            is_read: false,
            membership: None,
            outbox: None,
            address: None,
        }
    }

    /// Nothing is written to it for now; something will have it looked at again.
    fn is_held(&self) -> bool {
        self.blocked || self.resting || self.muted || self.end == End::Told
    }

    /// Bytes in its outbox.
    fn waiting(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.len())
    }
}

/// The connections of one shard. See the module's documentation.
#[derive(Debug)]
pub struct Fanout {
    settings: Settings,
    /// Whose slots these are.
    shard: u8,
    now: Now,
    lines: Lines,
    next_generation: u32,
    /// By id; those with a member here.
    rooms: Vec<Option<Box<Room>>>,
    datagrams: Datagrams,
    pace: Pace,
    pool: BlockPool,
    held: Held,
    /// What an engine on another shard last heard of [`Fanout::is_short`].
    was_short: bool,
    #[expect(clippy::vec_box, reason = "they move between here and lines, which hold them by pointer")]
    outbox_pool: Vec<Box<Outbox>>,
    /// Bytes in all outboxes.
    outbox_total_bytes: usize,
    /// Bytes put into outboxes since the last turn ended.
    outbox_turn_bytes: usize,
    /// Connections with something in their outbox that are not blocked.
    dirty: VecDeque<ConnId>,
    /// Rooms with members to be visited.
    dirty_rooms: VecDeque<RoomId>,
    /// The next visit is for a room, if there is one to be visited.
    room_is_next: bool,
    /// Visits left for the first of them before the next one has its turn.
    visits_left: usize,
    /// Rooms in which a cursor moved since the last turn ended.
    touched_rooms: Vec<RoomId>,
    /// Connections for the driver to close.
    closes: VecDeque<(ConnId, Close)>,
    /// What the engine must know.
    reports: Reports,
    metrics: Metrics,
}

impl Fanout {
    /// That of a shard, with nobody in it.
    pub fn new(shard: u8, settings: Settings) -> Self {
        Self {
            settings,
            shard,
            now: Now::default(),
            lines: Lines::default(),
            next_generation: 0,
            rooms: Vec::new(),
            datagrams: Datagrams::default(),
            pace: Pace::default(),
            pool: BlockPool::default(),
            held: Held::default(),
            was_short: false,
            outbox_pool: Vec::new(),
            outbox_total_bytes: 0,
            outbox_turn_bytes: 0,
            dirty: VecDeque::new(),
            dirty_rooms: VecDeque::new(),
            room_is_next: false,
            visits_left: crate::limits::ROOM_VISITS_MAX,
            touched_rooms: Vec::new(),
            closes: VecDeque::new(),
            reports: Reports::default(),
            metrics: Metrics::default(),
        }
    }

    /// Counts since the start.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether there is neither a connection nor a seat.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The connections that there are.
    pub fn connections(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.lines.iter(self.shard).map(|(id, _)| id)
    }

    /// Bytes held for peers: logs and outboxes. Bounded by [`limits`](crate::limits).
    pub fn held_bytes(&self) -> usize {
        let rooms = self.rooms.iter().flatten();
        let logs: usize = rooms.flat_map(|room| &room.channels).map(|channel| channel.log.held()).sum();
        logs + self.outbox_total_bytes
    }

    /// Whether the engine is on another shard.
    fn is_outpost(&self) -> bool {
        self.shard > 0
    }

    /// Whether a dialect's frames go out one by one.
    pub(crate) fn is_framed(&self, dialect: Dialect) -> bool {
        self.settings.is_framed(dialect)
    }

    /// Makes the place of a new connection with a socket.
    pub(crate) fn open(&mut self, dialect: Dialect) -> ConnId {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.lines.insert(Line::new(generation, dialect));
        ConnId::new(self.shard, index as u32, generation)
    }

    /// Makes the place of a seat, which the engine gave its id.
    pub(crate) fn open_seat(&mut self, id: ConnId) {
        self.lines.insert_seat(id, Line::new(id.generation, Dialect::Ucrp));
    }

    /// Forgets a connection, which is in no room any more, and all that waits for it.
    pub(crate) fn remove(&mut self, id: ConnId) {
        self.forget_outbox(id);
        self.forget_address(id);
        self.lines.remove(id);
    }

    /// Has a connection closed when everything is sent.
    pub(crate) fn end(&mut self, id: ConnId) {
        let line = self.line_mut(id);
        if line.end == End::Open {
            line.end = End::WhenSent;
        }
        self.end_when_flushed(id);
    }

    /// Drops a connection; nothing more is said to it.
    pub(crate) fn drop_now(&mut self, id: ConnId) {
        let line = self.line_mut(id);
        line.end = End::Told;
        if line.dialect.transport() != Transport::Datagram {
            self.closes.push_back((id, Close::Now));
        }
    }

    /// Closes a connection that is to be closed, if nothing lies ahead of it.
    fn end_when_flushed(&mut self, id: ConnId) {
        let line = self.line(id);
        if line.end != End::WhenSent || !self.is_flushed(id) {
            return;
        }
        let line = self.line_mut(id);
        line.end = End::Told;
        if line.dialect.transport() != Transport::Datagram {
            self.closes.push_back((id, Close::Linger));
        }
        self.reports.push(Report::Ended(id));
    }

    /// Whether nothing lies ahead of a connection.
    fn is_flushed(&self, id: ConnId) -> bool {
        let line = self.line(id);
        line.outbox.is_none()
            && line.membership.is_none_or(|at| {
                let channel = self.channel(at);
                channel.members[at.member as usize].cursor == channel.log.head()
            })
    }

    /// The next connection that the driver is to close.
    pub fn next_close(&mut self) -> Option<(ConnId, Close)> {
        self.closes.pop_front()
    }

    /// Has the engine told when a connection has read most of what waits for it.
    pub(crate) fn watch(&mut self, id: ConnId) {
        self.line_mut(id).watched = true;
        self.report_drained(id);
    }

    /// Bytes that wait for a connection alone.
    pub(crate) fn waiting(&self, id: ConnId) -> usize {
        self.line(id).waiting()
    }

    /// Bytes put into outboxes since the last turn ended.
    pub(crate) fn turn_bytes(&self) -> usize {
        self.outbox_turn_bytes
    }

    /// What the engine must know, for whoever takes it there.
    pub(crate) fn reports_mut(&mut self) -> &mut Reports {
        &mut self.reports
    }

    /// What kind of connection it is, if it is there.
    pub fn dialect_of(&self, id: ConnId) -> Option<Dialect> {
        let line = self.lines.get(id)?;
        (line.generation == id.generation).then_some(line.dialect)
    }

    /// Whether a connection of this shard is still there.
    pub(crate) fn has(&self, id: ConnId) -> bool {
        self.dialect_of(id).is_some()
    }

    /// The connection with an id that the driver gave, unless it is stale.
    fn known(&mut self, id: ConnId) -> Option<&mut Line> {
        match self.lines.get_mut(id) {
            Some(line) if line.generation == id.generation => Some(line),
            _ => {
                self.metrics.stale_ids += 1;
                None
            }
        }
    }

    /// The connection with an id from a list, unless it is gone.
    fn find(&mut self, id: ConnId) -> Option<&mut Line> {
        self.lines.get_mut(id).filter(|line| line.generation == id.generation)
    }

    /// The connection with an id that is there.
    fn line(&self, id: ConnId) -> &Line {
        let line = self.lines.get(id).expect("an id that is held is not stale");
        assert_eq!((id.shard(), line.generation), (self.shard, id.generation), "the id is not stale");
        line
    }

    fn line_mut(&mut self, id: ConnId) -> &mut Line {
        let line = self.lines.get_mut(id).expect("an id that is held is not stale");
        assert_eq!((id.shard(), line.generation), (self.shard, id.generation), "the id is not stale");
        line
    }

    /// A room with a member here.
    fn room(&self, id: RoomId) -> &Room {
        self.find_room(id).expect("a room with a member is there")
    }

    fn room_mut(&mut self, id: RoomId) -> &mut Room {
        self.find_room_mut(id).expect("a room with a member is there")
    }

    fn find_room(&self, id: RoomId) -> Option<&Room> {
        self.rooms.get(id.0 as usize)?.as_deref()
    }

    fn find_room_mut(&mut self, id: RoomId) -> Option<&mut Room> {
        self.rooms.get_mut(id.0 as usize)?.as_deref_mut()
    }

    fn channel(&self, at: Membership) -> &room::Channel {
        &self.room(at.room).channels[at.channel()]
    }

    fn channel_mut(&mut self, at: Membership) -> &mut room::Channel {
        &mut self.room_mut(at.room).channels[at.channel()]
    }

    /// The head of the log that the connection reads: what happens now follows it.
    fn head_for(&self, line: &Line) -> Offset {
        line.membership.map_or(Offset::default(), |at| self.channel(at).log.head())
    }

    /// Walks everything and panics where an invariant does not hold. For tests.
    pub fn check_invariants(&self) {
        let mut outbox_bytes = 0;
        let mut members = 0;
        for id in self.connections() {
            let line = self.line(id);
            if let Some(outbox) = &line.outbox {
                assert!(!outbox.is_empty(), "an empty outbox is not there");
                assert_eq!(outbox.entries().map(|entry| entry.bytes).sum::<usize>(), outbox.len());
                assert!(outbox.entries().zip(outbox.entries().skip(1)).all(|(a, b)| a.after <= b.after));
                outbox_bytes += outbox.len();
                assert!(line.queued || line.is_held(), "what waits is going to be sent");
            }
            if let Some(at) = line.membership {
                members += 1;
                let room = self.room(at.room);
                let channel = &room.channels[at.channel()];
                let member = &channel.members[at.member as usize];
                let is_due = room.dirty && channel.is_due(at.member as usize);
                let has_everything = member.cursor == channel.log.head();
                assert!(
                    has_everything || line.is_held() || line.queued || is_due,
                    "who is behind is visited"
                );
                assert!(
                    line.blocked || !channel.is_parked(at.member as usize),
                    "only who cannot be written to is spared visits"
                );
                assert_eq!(member.conn, id);
                assert_eq!(channel.dialect, line.dialect);
                assert!(channel.log.tail() <= member.cursor && member.cursor <= channel.log.head());
            }
            assert!(line.end != End::WhenSent || !self.is_flushed(id), "who has everything is closed");
        }
        assert_eq!(outbox_bytes, self.outbox_total_bytes);
        assert_eq!(members, self.rooms.iter().flatten().map(|room| room.count()).sum::<usize>());
        let mut standing = 0;
        for (id, room) in self.rooms.iter().enumerate() {
            let Some(room) = room else { continue };
            assert!(room.count() > 0, "empty rooms vanish");
            for (index, channel) in room.channels.iter().enumerate() {
                assert!(channel.log.held() <= self.settings.log_bytes_limit);
                let its = channel.standing.map(|standing| self.held.get(standing));
                assert!(its.is_none_or(|log| log == Some((RoomId(id as u32), index))));
                assert!(room.touched || channel.standing.is_some() == (channel.log.held() > 0));
                standing += usize::from(channel.standing.is_some());
            }
        }
        assert_eq!(standing, self.held.len(), "of logs that are gone nothing stands there");
    }
}
