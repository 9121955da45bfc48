//! One shard: one thread, one loop, one order of things.
//!
//! ```text
//! wait ─▶ messages ─▶ datagrams, reads ─▶ timers ─▶ ops ─▶ flush ─▶ accept ─▶ end of turn ─▶ passwords, ops ─▶ reap ─┐
//!   ▲                                   (each under a budget)                                                        │
//!   └────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Readiness is edge-triggered and registered once, when a connection is accepted. So what the kernel has told is kept
//! here until it has been used up: a socket stays in `unread` until a read came short, a listener stays ready until
//! nobody waits. A read that fills the buffer, a budget that runs out, or a connection that has to wait therefore never
//! loses an edge; while anything is kept, the loop does not sleep. A socket for datagrams is registered for
//! writing only while it is full.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::alarm::Alarm;
use super::datagrams::{DatagramSocket, DatagramSockets, Found, ReceiveBuffers};
use super::group_commit::Outcome;
use super::home::Home;
use super::listener::{Accepted, Listener, Spare, is_of_peer};
use super::role::Role;
use super::timer::Timer;
use super::watchdog::{LongTurn, Step, Turns, Watchdog};
use crate::chat::{CloseReason, ConnId, ListenerId, Now, PasswordOutcome, Refused, UnixMillis};
use crate::engine::{Engine, Lane, Lanes, Metrics, Rounds};
use crate::fanout::{self, Close, DatagramPath, Gather};
use crate::limits::{
    ACCEPT_PAUSE_MILLIS, ACCEPTS_PER_TURN_MAX, EVENTS_PER_TURN_MAX, LINK_RETRY_MILLIS, LOG_REPEAT_SECONDS,
    OUTBOX_TURN_BYTES_MAX, READ_BYTES_PER_TURN_MAX, READS_PER_TURN_MAX, READS_PER_VISIT_MAX,
    RECEIVE_BUFFER_BYTES, UDP_BATCHES_PER_TURN_MAX, UDP_VISIT_DATAGRAMS_MAX, WRITES_PER_TURN_MAX,
};
use crate::store::Sizes;
use crate::telemetry::Every;
use crate::wire::Dialect;

const ALARM: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);
/// The first of the sockets for datagrams; those of the others are below it.
const DATAGRAMS: Token = Token(usize::MAX - 2);
/// The first listener; those of the others are below it.
const LISTENERS: Token = Token(DATAGRAMS.0 - DatagramSockets::TOKENS);
const _: () = assert!(usize::BITS >= u64::BITS, "a token holds a slot and its generation");

/// The token of a listener; those of connections have a slot far below in their low half.
fn listener_token(index: usize) -> Token {
    Token(LISTENERS.0 - index)
}

/// What other threads tell the engine's shard.
#[derive(Debug)]
pub(super) enum Message {
    Stop,
    PasswordCompared(ConnId, u32, PasswordOutcome),
    Stored(Outcome),
}

/// For other threads: leaves messages for the engine's shard and wakes it.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) messages: Sender<Message>,
    pub(super) alarm: Arc<Alarm>,
}

impl Handle {
    pub(super) fn stop(&self) {
        self.send(Message::Stop);
    }

    pub(super) fn send(&self, message: Message) {
        // A shard that is gone needs no telling.
        if self.messages.send(message).is_ok() {
            self.alarm.ring();
        }
    }
}

/// System calls that the loop made, and turns that it took. What the kernel was asked is what the work cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SystemCalls {
    /// Turns of the loop, each with one wait.
    pub waits: u64,
    /// Sockets registered with the kernel's readiness queue, listeners included.
    pub registrations: u64,
    /// Attempts to accept.
    pub accepts: u64,
    /// Connections that were accepted in the place of the spare descriptor, since no other was left, and refused.
    pub surplus: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Batches of datagrams that were asked for.
    pub datagram_reads: u64,
    /// Calls that sent datagrams, or told the kernel how long each of those is that are sent joined.
    pub datagram_writes: u64,
}

impl SystemCalls {
    fn add(&mut self, other: &Self) {
        self.waits += other.waits;
        self.registrations += other.registrations;
        self.accepts += other.accepts;
        self.surplus += other.surplus;
        self.reads += other.reads;
        self.writes += other.writes;
        self.datagram_reads += other.datagram_reads;
        self.datagram_writes += other.datagram_writes;
    }
}

/// What the server did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The engine's counts, and those of all shards' fan-out.
    pub metrics: Metrics,
    /// The counts of all loops.
    pub system_calls: SystemCalls,
    /// How long their turns took.
    pub turns: Turns,
    /// What the store had, and what waited for it.
    pub store: StoreReport,
}

/// What a shard without the engine did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ShardReport {
    pub(super) metrics: fanout::Metrics,
    pub(super) system_calls: SystemCalls,
    pub(super) turns: Turns,
}

impl Report {
    /// Adds what another shard did.
    pub(super) fn add(&mut self, other: &ShardReport) {
        self.metrics.add(&other.metrics);
        self.system_calls.add(&other.system_calls);
        self.turns.add(&other.turns);
    }
}

/// The store, as the shard last heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreReport {
    /// Its sizes.
    pub sizes: Sizes,
    /// Groups that it committed.
    pub groups: u64,
    /// Ops that wait for it.
    pub queue_ops: usize,
    /// Their bytes.
    pub queue_bytes: usize,
    /// The most ops that ever waited.
    pub queue_ops_high: usize,
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    generation: u32,
    /// Its lane in `unread`.
    lane: Lane,
    input: Input,
    reads: Reads,
}

/// Whether a socket has something to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Input {
    /// The kernel will tell.
    None,
    /// The kernel may have bytes for us that it will not tell of again.
    Readable,
    /// The same, and it waits in `unread`.
    Queued,
}

/// The meaning of a short read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reads {
    /// All was read.
    Whole,
    /// Nothing: the peer's end is closed, or the peer has sent urgent data, at which the kernel ends a read.
    EndEarly,
    /// The peer's end was read; there is nothing more.
    Ended,
}

/// The monotonic and the wall clock, the same for all shards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl StoreReport {
    pub(super) fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Committed { ops, bytes, .. } => {
                self.groups += 1;
                self.queue_ops = self.queue_ops.saturating_sub(*ops);
                self.queue_bytes = self.queue_bytes.saturating_sub(*bytes);
            }
            Outcome::Sizes(sizes) => self.sizes = *sizes,
            Outcome::Failed | Outcome::Past { .. } => {}
        }
    }
}

impl Clock {
    /// One that starts now.
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: self.start.elapsed(), unix: UnixMillis(unix.as_millis() as u64) }
    }
}

/// One shard. See the module's documentation.
#[derive(Debug)]
pub(super) struct Shard {
    role: Role,
    poll: Poll,
    listeners: Vec<Listener>,
    datagrams: DatagramSockets,
    /// There from the start, so that what is open does not depend on who was ever here.
    timer: Timer,
    /// By the index of their ids.
    sockets: Vec<Option<Socket>>,
    /// Connections to be read from: networks in turns, then the connections of each.
    unread: Rounds,
    lanes: Lanes,
    /// Connections whose sockets failed in this turn.
    dead: Vec<(ConnId, CloseReason)>,
    spare: Spare,
    /// Whose turn it is, of those who listen, to have one accepted.
    next_listener: usize,
    /// The index of the datagram socket to read from next.
    next_datagrams: usize,
    /// No accepting before then: the kernel lacked something.
    accept_paused_until: Option<Duration>,
    accept_errors: Every,
    lost_datagrams: Every,
    /// Wakes this shard.
    alarm: Arc<Alarm>,
    /// Another shard has no space for what is to be passed on to it.
    is_passing_on: bool,
    clock: Clock,
    now: Now,
    /// When to end, flushed or not, once the server is stopping.
    drain_until: Option<Duration>,
    drain_timeout: Duration,
    watchdog: Watchdog,
    system_calls: SystemCalls,
}

impl Shard {
    pub(super) fn new(
        role: Role,
        alarm: Arc<Alarm>,
        clock: Clock,
        drain_timeout: Duration,
        lanes: Lanes,
        listeners: Vec<Listener>,
        datagrams: Vec<DatagramSocket>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        alarm.register(poll.registry(), ALARM)?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        let datagrams = DatagramSockets::new(datagrams, DATAGRAMS, poll.registry())?;
        let mut shard = Self {
            role,
            poll,
            listeners,
            datagrams,
            timer,
            sockets: Vec::new(),
            unread: Rounds::default(),
            lanes,
            dead: Vec::new(),
            spare: Spare::new()?,
            next_listener: 0,
            next_datagrams: 0,
            accept_paused_until: None,
            accept_errors: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)),
            lost_datagrams: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)),
            alarm,
            is_passing_on: false,
            now: clock.now(),
            clock,
            drain_until: None,
            drain_timeout,
            watchdog: Watchdog::new(clock.start.elapsed()),
            system_calls: SystemCalls::default(),
        };
        for (index, listener) in shard.listeners.iter_mut().enumerate() {
            shard.poll.registry().register(
                &mut listener.socket,
                listener_token(index),
                Interest::READABLE,
            )?;
            shard.system_calls.registrations += 1;
        }
        shard.system_calls.registrations += shard.datagrams.len() as u64;
        Ok(shard)
    }

    /// Runs until told to stop.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        let mut buffer = vec![0; RECEIVE_BUFFER_BYTES].into_boxed_slice();
        let mut datagram_buffers = (self.datagrams.len() > 0).then(ReceiveBuffers::new);
        while !self.is_done() {
            self.wait(&mut events)?;
            self.now = self.clock.now();
            self.watchdog.did(Step::Wait, self.now.monotonic);
            self.take_events(&events);
            self.take_messages();
            self.did(Step::Messages);
            if let Some(buffers) = &mut datagram_buffers {
                self.read_datagrams(buffers);
                self.did(Step::Datagrams);
            }
            self.read(&mut buffer);
            self.role.timeout(self.now);
            self.did(Step::Read);
            // The other shards and the store work while this thread writes.
            self.is_passing_on = self.role.pass_on();
            self.hand_out_ops();
            self.did(Step::PassOn);
            self.flush();
            // Pauses begin after the writes, and deadlines of who comes now: the clock is read once more.
            self.now = self.clock.now();
            self.watchdog.did(Step::Flush, self.now.monotonic);
            // Last, so that what was said meanwhile waits for them once, and not once more between its reading and now.
            self.accept();
            self.did(Step::Accept);
            self.role.end_turn(self.now);
            if let Some(home) = self.role.home() {
                home.hand_out_passwords();
                home.log_strangers(self.now);
            }
            self.hand_out_ops();
            self.reap();
            self.is_passing_on = self.role.pass_on();
            self.did(Step::End);
            self.look_at_turn();
        }
        self.hand_out_ops();
        Ok(())
    }

    /// What it did, and the engine's shard what it has.
    pub(super) fn into_parts(self) -> (Role, SystemCalls, Turns) {
        (self.role, self.system_calls, self.watchdog.turns())
    }

    fn did(&mut self, step: Step) {
        self.watchdog.did(step, self.clock.start.elapsed());
    }

    /// Tells of a turn that was too long.
    fn look_at_turn(&mut self) {
        if let Some(LongTurn { took, steps, suppressed }) = self.watchdog.turned() {
            tracing::warn!(?took, ?steps, suppressed, "a turn of the loop took long: everybody waited");
        }
    }

    fn hand_out_ops(&mut self) {
        if let Some(home) = self.role.home() {
            home.hand_out_ops(self.now);
        }
    }

    fn is_done(&self) -> bool {
        let is_sent = self.datagrams.are_empty();
        let is_empty = self.role.is_orphaned() || (!self.is_passing_on && self.role.is_empty());
        self.drain_until.is_some_and(|until| (is_sent && is_empty) || self.now.monotonic >= until)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        self.system_calls.waits += 1;
        let is_busy = self.role.is_busy();
        let accepting =
            !is_busy && self.accept_paused_until.is_none() && self.listeners.iter().any(|l| l.ready);
        let are_datagrams_there = self.datagrams.are_readable();
        let has_datagrams = are_datagrams_there && self.role.takes_datagrams();
        let has_input = !self.unread.is_empty() && !is_busy;
        let timeout = if accepting || has_datagrams || has_input || self.role.has_work() {
            Some(Duration::ZERO)
        } else {
            let wake = self.role.fanout().next_wake().filter(|&wake| !self.set_timer(wake));
            // What others have no space for is tried again.
            let do_datagrams_wait = are_datagrams_there && !has_datagrams;
            let retry = (self.is_passing_on || self.role.waits_for_links() || do_datagrams_wait)
                .then(|| self.now.monotonic + Duration::from_millis(LINK_RETRY_MILLIS));
            let deadline =
                [wake, self.role.next_deadline(), self.drain_until, self.accept_paused_until, retry]
                    .into_iter()
                    .flatten()
                    .min()
                    .map(|deadline| deadline.saturating_sub(self.clock.start.elapsed()));
            self.alarm.will_sleep();
            if self.role.has_mail() { Some(Duration::ZERO) } else { deadline }
        };
        let result = self.poll.poll(events, timeout);
        self.alarm.is_awake();
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Has the timer wake the loop; returns whether it will.
    fn set_timer(&mut self, wake: Duration) -> bool {
        let now = self.clock.start.elapsed();
        // Without it the pauses are longer, and nothing is lost.
        self.timer.wake_at(wake, now).unwrap_or(false)
    }

    /// Notes what the kernel told.
    fn take_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                // What they wake for is looked at in any case.
                ALARM => continue,
                TIMER => {
                    self.timer.went_off();
                    continue;
                }
                token => {
                    if let Some(index) = self.datagrams.index_of(token) {
                        self.take_datagram_event(index, event);
                        continue;
                    }
                    let index = LISTENERS.0.checked_sub(token.0);
                    if let Some(listener) = index.and_then(|index| self.listeners.get_mut(index)) {
                        listener.ready = true;
                        continue;
                    }
                }
            }
            let id = ConnId::from_bits(event.token().0 as u64);
            let Some(Some(socket)) = self.sockets.get_mut(id.index()) else { continue };
            if socket.generation != id.generation {
                continue;
            }
            let ends_early = event.is_read_closed() || event.is_error() || event.is_priority();
            if event.is_readable() || ends_early {
                if socket.input == Input::None {
                    socket.input = Input::Readable;
                }
                if ends_early && socket.reads == Reads::Whole {
                    socket.reads = Reads::EndEarly;
                }
                self.queue_read(id);
            }
            if event.is_error() && !self.role.wants_input(id) {
                self.role.peer_reset(id, self.now);
            }
            if event.is_writable() {
                self.role.fanout_mut().writable(id);
            }
        }
    }

    fn take_datagram_event(&mut self, index: usize, event: &Event) {
        if event.is_readable() || event.is_error() {
            self.datagrams.note_readable(index);
        }
        if event.is_writable() && self.datagrams.note_writable(index) {
            self.send_datagrams(index);
            self.note_datagrams_full(index);
        }
    }

    /// Tells the kernel whether a socket for datagrams is full, and the engine whether one of them is.
    fn note_datagrams_full(&mut self, index: usize) {
        if self.datagrams.is_any_full() {
            self.role.fanout_mut().datagrams_full();
        } else {
            self.role.fanout_mut().datagrams_writable();
        }
        self.system_calls.registrations += 1;
        // Not told of space, it would wait for ever; told of it, at worst too often.
        if let Err(error) = self.datagrams.watch_space(index, self.poll.registry()) {
            tracing::error!(%error, "cannot watch a socket for datagrams");
        }
    }

    /// Sends the batch of a socket. Returns whether that is full since.
    fn send_datagrams(&mut self, index: usize) -> bool {
        let Some(sent) = self.datagrams.send(index) else { return false };
        self.system_calls.datagram_writes += sent.calls;
        self.role.fanout_mut().datagrams_refused(sent.refused);
        sent.full
    }

    fn take_messages(&mut self) {
        if self.role.take_messages(self.now) && self.drain_until.is_none() {
            self.listeners.clear();
            if let Some(Home { engine, .. }) = self.role.home() {
                engine.shutdown(self.now);
            }
            self.drain_until = Some(self.now.monotonic + self.drain_timeout);
        }
    }

    /// Accepts whoever waits, up to a budget.
    fn accept(&mut self) {
        if self.accept_paused_until.is_some_and(|until| self.now.monotonic < until) {
            return;
        }
        self.accept_paused_until = None;
        if self.role.is_busy() {
            return;
        }
        // Somebody else may have had the last descriptor when this turn's predecessor asked for it.
        self.spare.restore();
        let (mut accepted, mut idle) = (0, 0);
        // One from each, beginning behind the last turn's last one: a flood at one of them does not keep the others waiting.
        while accepted < ACCEPTS_PER_TURN_MAX
            && idle < self.listeners.len()
            && self.accept_paused_until.is_none()
        {
            let index = self.next_listener % self.listeners.len();
            self.next_listener = index + 1;
            if self.listeners[index].ready {
                self.accept_one(index);
                (accepted, idle) = (accepted + 1, 0);
            } else {
                idle += 1;
            }
        }
        self.spare.restore();
    }

    /// Accepts one of those who wait at this listener.
    fn accept_one(&mut self, index: usize) {
        self.system_calls.accepts += 1;
        let Listener { id, socket, dialect, .. } = &self.listeners[index];
        let (listener, dialect) = (*id, *dialect);
        match self.spare.accept(socket) {
            Accepted::Connection(stream, peer) => self.admit(stream, peer, listener, dialect),
            Accepted::Nobody => self.listeners[index].ready = false,
            Accepted::Surplus(mut stream) => {
                self.system_calls.surplus += 1;
                refuse(&mut stream, dialect, Refused::ServerFull);
                self.complain("no descriptors are left: connections are refused", None);
            }
            Accepted::Failed(error) if is_of_peer(&error) => {}
            Accepted::Failed(error) => {
                let pause = Duration::from_millis(ACCEPT_PAUSE_MILLIS);
                self.accept_paused_until = Some(self.now.monotonic + pause);
                self.complain("accepting pauses", Some(&error));
            }
        }
    }

    fn complain(&mut self, what: &str, error: Option<&io::Error>) {
        if let Some(suppressed) = self.accept_errors.admit(self.now.monotonic) {
            let clients = self.role.fanout().connections().count();
            tracing::warn!(error = error.map(tracing::field::display), clients, suppressed, "{what}");
        }
    }

    fn admit(&mut self, mut stream: TcpStream, peer: SocketAddr, listener: ListenerId, dialect: Dialect) {
        let id = match self.role.connected(dialect, peer.ip(), listener, self.now) {
            Ok(id) => id,
            Err(refused) => {
                refuse(&mut stream, dialect, refused);
                return self.complain(complaint(refused), None);
            }
        };
        tracing::debug!(conn = id.to_bits(), %peer, dialect = dialect.name(), "opened");
        let token = Token(id.to_bits() as usize);
        self.system_calls.registrations += 1;
        if let Err(error) = self.poll.registry().register(&mut stream, token, connection_interest()) {
            self.complain("cannot watch a connection", Some(&error));
            self.dead.push((id, CloseReason::PeerReset));
        }
        let slot = id.index();
        if slot >= self.sockets.len() {
            self.sockets.resize_with(slot + 1, || None);
        }
        self.sockets[slot] = Some(Socket {
            stream,
            generation: id.generation,
            lane: self.lanes.lane(peer.ip(), listener),
            input: Input::None,
            reads: Reads::Whole,
        });
    }

    fn socket(&mut self, id: ConnId) -> Option<&mut Socket> {
        let socket = self.sockets.get_mut(id.index())?.as_mut()?;
        (socket.generation == id.generation).then_some(socket)
    }

    /// Puts a readable connection in the list of those to be read from, unless it has to wait.
    fn queue_read(&mut self, id: ConnId) {
        let wanted = self.role.wants_input(id);
        if let Some(socket) = self.socket(id)
            && wanted
            && socket.input == Input::Readable
            && socket.reads != Reads::Ended
        {
            socket.input = Input::Queued;
            let lane = socket.lane;
            self.unread.push(lane, id);
        }
    }

    /// Reads datagrams, up to a budget: a batch from each socket in turns, beginning behind the last turn's
    /// last one.
    fn read_datagrams(&mut self, buffers: &mut ReceiveBuffers) {
        // While what came before is still being sent, what comes next waits in the kernel.
        let batches = if self.role.fanout().is_behind() { 1 } else { UDP_BATCHES_PER_TURN_MAX };
        let (mut read, mut idle) = (0, 0);
        while read < batches && idle < self.datagrams.len() && self.role.takes_datagrams() {
            let index = self.next_datagrams % self.datagrams.len();
            self.next_datagrams = index + 1;
            let take = |path, bytes: &[u8]| self.role.datagram(path, bytes, self.now);
            if self.datagrams.receive(index, buffers, take) {
                self.system_calls.datagram_reads += 1;
                (read, idle) = (read + 1, 0);
            } else {
                idle += 1;
            }
        }
        let lost = self.datagrams.take_overflow();
        self.role.datagrams_lost(lost);
        if lost > 0
            && let Some(suppressed) = self.lost_datagrams.admit(self.now.monotonic)
        {
            tracing::warn!(lost, suppressed, "datagrams came faster than they were read, and were lost");
        }
    }

    /// Reads from connections that have something, up to a budget: from one of each network, then from the
    /// next of each.
    fn read(&mut self, buffer: &mut [u8]) {
        let mut bytes = 0;
        let caused_before = self.role.turn_bytes();
        for _ in 0..self.unread.len().min(READS_PER_TURN_MAX) {
            // Counted from here: what other shards brought before must not keep those of this one from being read.
            let has_caused = self.role.turn_bytes() - caused_before;
            let has_enough = bytes >= READ_BYTES_PER_TURN_MAX || has_caused >= OUTBOX_TURN_BYTES_MAX;
            if has_enough || self.role.is_busy() {
                break;
            }
            let Some(id) = self.unread.pop() else { break };
            if let Some(socket) = self.socket(id) {
                socket.input = Input::Readable;
                // It may have to wait since it was put here; it is put here again when it need not.
                if self.role.wants_input(id) {
                    bytes += self.read_some(id, buffer);
                }
            }
        }
    }

    /// Reads from a connection until it has no more, has to wait, or has had its share of the turn. Returns how many bytes
    /// that were.
    fn read_some(&mut self, id: ConnId, buffer: &mut [u8]) -> usize {
        let mut bytes = 0;
        for _ in 0..READS_PER_VISIT_MAX {
            let length = self.read_once(id, buffer);
            bytes += length;
            if length < buffer.len() || !self.role.wants_input(id) {
                break;
            }
        }
        self.queue_read(id);
        bytes
    }

    /// Returns how many bytes it read.
    fn read_once(&mut self, id: ConnId, buffer: &mut [u8]) -> usize {
        self.system_calls.reads += 1;
        let dialect = self.role.fanout().dialect_of(id);
        let acknowledges = dialect.is_some_and(Dialect::acknowledges_at_once);
        let Some(socket) = self.socket(id) else { return 0 };
        match socket.stream.read(buffer) {
            Ok(0) => {
                socket.reads = Reads::Ended;
                self.role.peer_closed(id, self.now);
            }
            Ok(length) => {
                let may_have_more = length == buffer.len() || socket.reads == Reads::EndEarly;
                socket.input = if may_have_more { Input::Readable } else { Input::None };
                #[cfg(target_os = "linux")]
                if acknowledges {
                    // Without it they are slow, and nothing else.
                    let _ = rustix::net::sockopt::set_tcp_quickack(&socket.stream, true);
                }
                self.role.received(id, &buffer[..length], self.now);
                return length;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => socket.input = Input::None,
                // It is still as readable as it was.
                io::ErrorKind::Interrupted => {}
                _ => {
                    socket.reads = Reads::Ended;
                    self.dead.push((id, CloseReason::PeerReset));
                }
            },
        }
        0
    }

    /// Writes to connections that have something waiting, up to a budget.
    fn flush(&mut self) {
        let mut writes = 0;
        while writes < WRITES_PER_TURN_MAX {
            let Some(id) = self.role.fanout_mut().next_to_flush() else { break };
            writes += 1;
            if let Some(path) = self.role.fanout().path_of(id) {
                writes += self.push_datagrams(id, path).saturating_sub(1);
                continue;
            }
            let Some(Some(socket)) = self.sockets.get_mut(id.index()) else { continue };
            let mut slices = Gather::new();
            self.role.fanout().gather(id, &mut slices);
            let offered = slices.iter().map(|slice| slice.len()).sum();
            let result = match slices.as_slice() {
                [] => Ok(0),
                [slice] => socket.stream.write(slice),
                slices => socket.stream.write_vectored(slices),
            };
            self.system_calls.writes += u64::from(!slices.is_empty());
            drop(slices);
            match result {
                Ok(taken) => self.role.fanout_mut().wrote(id, taken, offered),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.role.fanout_mut().wrote(id, 0, offered),
                    // Offered again in its turn.
                    io::ErrorKind::Interrupted => self.role.fanout_mut().wrote(id, 0, 0),
                    _ => self.dead.push((id, CloseReason::PeerReset)),
                },
            }
        }
        self.send_all_datagrams();
    }

    /// Puts the next frames of a seat into the batch of its socket, one after another, so that they may be
    /// joined; returns their number.
    fn push_datagrams(&mut self, id: ConnId, path: DatagramPath) -> usize {
        let Found { index, is_new } = self.datagrams.find(path, self.poll.registry(), self.now.monotonic);
        self.system_calls.registrations += u64::from(is_new);
        let mut count = 0;
        while self.push_datagram(id, path.peer, index) {
            count += 1;
            // As many bytes may have gone there as are allowed unheard.
            if count == UDP_VISIT_DATAGRAMS_MAX
                || self.datagrams.is_full(index)
                || self.role.fanout().path_of(id) != Some(path)
            {
                break;
            }
        }
        count
    }

    /// Puts the next frame of a seat into the batch of a socket; returns whether there was one.
    fn push_datagram(&mut self, id: ConnId, to: SocketAddr, index: usize) -> bool {
        let mut slices = Gather::new();
        self.role.fanout().gather(id, &mut slices);
        let length = slices.iter().map(|slice| slice.len()).sum();
        if !slices.is_empty() {
            self.datagrams.push(index, to, slices.iter().map(|slice| &**slice));
        }
        drop(slices);
        // It counts as sent: while the socket is full, the engine hands out no more, and the batch waits.
        self.role.fanout_mut().wrote(id, length, length);
        if self.datagrams.is_batch_full(index) && self.send_datagrams(index) {
            self.note_datagrams_full(index);
        }
        length > 0
    }

    fn send_all_datagrams(&mut self) {
        for index in 0..self.datagrams.len() {
            if self.send_datagrams(index) {
                self.note_datagrams_full(index);
            }
        }
    }

    /// Closes what the engine wants closed, drops what failed, and lets those be read from who have waited.
    fn reap(&mut self) {
        while let Some((id, refused)) = self.role.next_refused() {
            let dialect = self.role.fanout().dialect_of(id);
            if let (Some(socket), Some(dialect)) = (self.socket(id), dialect) {
                refuse(&mut socket.stream, dialect, refused);
                self.dead.push((id, refused.reason()));
                self.complain(complaint(refused), None);
            }
        }
        while let Some((id, close)) = self.role.fanout_mut().next_close() {
            let Some(socket) = self.socket(id) else { continue };
            let has_ended = socket.reads == Reads::Ended;
            if close == Close::Now || has_ended || socket.stream.shutdown(Shutdown::Write).is_err() {
                self.dead.push((id, CloseReason::PeerClosed));
            } else {
                self.queue_read(id);
            }
        }
        while let Some((id, reason)) = self.dead.pop() {
            if self.socket(id).is_some() {
                self.sockets[id.index()] = None;
                let reason = self.role.disconnected(id, reason, self.now);
                tracing::debug!(conn = id.to_bits(), reason = reason.name(), "closed");
            }
        }
        while let Some(id) = self.role.next_resumed() {
            self.queue_read(id);
        }
    }
}

/// What the kernel tells of a connection.
fn connection_interest() -> Interest {
    let interest = Interest::READABLE | Interest::WRITABLE;
    #[cfg(target_os = "linux")]
    let interest = interest | Interest::PRIORITY;
    interest
}

/// What the log says of it.
fn complaint(refused: Refused) -> &'static str {
    match refused {
        Refused::ServerFull => "the server is full: connections are refused",
        Refused::AddressFull => "an address has as many connections as it may: more are refused",
        Refused::AddressTooFast => "an address connects more often than it may: connections are refused",
    }
}

/// Says why, as far as the socket takes it at once, and that nothing follows: a peer whose bytes were not read would
/// otherwise find a reset behind the words, and not an end.
fn refuse(stream: &mut TcpStream, dialect: Dialect, refused: Refused) {
    let mut words = Vec::new();
    Engine::refusal(dialect, refused, &mut words);
    // Whether it can still be told makes no difference to what follows.
    let _ = stream.write(&words);
    let _ = stream.shutdown(Shutdown::Write);
}
