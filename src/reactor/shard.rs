//! One shard: one thread, one loop, one order of things.
//!
//! ```text
//! wait ─▶ accept ─▶ read (under a budget) ─▶ engine ─▶ timers ─▶ flush (under a budget) ─▶ reap ─┐
//!   ▲                                                                                         │
//!   └─────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Readiness is edge-triggered and registered once, when a connection is accepted. So what the kernel has told is kept
//! here until it has been used up: a socket stays in `unread` until a read came short, a listener stays ready until
//! nobody waits. A read that fills the buffer, a budget that runs out, or a connection that has to wait therefore never
//! loses an edge; while anything is kept, the loop does not sleep.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::listener::{Accepted, Listener, Spare, is_of_peer};
use crate::chat::{ConnId, Now, UnixSeconds};
use crate::engine::{Close, CloseReason, Engine, Gather, Metrics, Settings};
use crate::limits::{
    ACCEPT_PAUSE_MILLIS, ACCEPTS_PER_TURN_MAX, EVENTS_PER_TURN_MAX, LOG_REPEAT_SECONDS,
    READ_BYTES_PER_TURN_MAX, READS_PER_TURN_MAX, RECEIVE_BUFFER_BYTES, WRITES_PER_TURN_MAX,
};
use crate::telemetry::Every;

const WAKER: Token = Token(usize::MAX);
const _: () = assert!(usize::BITS >= u64::BITS, "a token holds a slot and its generation");

/// The token of a listener; those of connections have a slot far below in their low half.
fn listener_token(index: usize) -> Token {
    Token(WAKER.0 - 1 - index)
}

/// What other threads tell a shard.
#[derive(Debug)]
enum Message {
    Stop,
}

/// For other threads: leaves messages for a shard and wakes it.
#[derive(Debug)]
pub(super) struct Handle {
    messages: Sender<Message>,
    waker: Arc<Waker>,
}

impl Handle {
    pub(super) fn stop(&self) {
        // A shard that is gone needs no telling.
        if self.messages.send(Message::Stop).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the shard");
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
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

/// What a shard did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The engine's counts.
    pub metrics: Metrics,
    /// The loop's counts.
    pub system_calls: SystemCalls,
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    generation: u32,
    /// The kernel may have bytes for us that it will not tell of again.
    readable: bool,
    /// It waits in `unread`.
    queued: bool,
    /// The peer's end is closed: a short read does not mean that all was read.
    hung_up: bool,
    /// The peer's end was read; there is nothing more.
    ended: bool,
}

/// The monotonic and the wall clock.
#[derive(Debug)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { monotonic: self.start.elapsed(), unix: UnixSeconds(unix.as_secs()) }
    }
}

/// One shard. See the module's documentation.
#[derive(Debug)]
pub(super) struct Shard {
    engine: Engine,
    poll: Poll,
    listeners: Vec<Listener>,
    /// By the engine's slots.
    sockets: Vec<Option<Socket>>,
    /// Connections to be read from.
    unread: VecDeque<ConnId>,
    /// Connections whose sockets failed in this turn.
    dead: Vec<(ConnId, CloseReason)>,
    spare: Spare,
    /// No accepting before then: the kernel lacked something.
    accept_paused_until: Option<Duration>,
    accept_errors: Every,
    /// Keeps the readiness queue's end of it registered.
    _waker: Arc<Waker>,
    messages: Receiver<Message>,
    clock: Clock,
    now: Now,
    /// When to end, flushed or not, once the server is stopping.
    drain_until: Option<Duration>,
    drain_timeout: Duration,
    system_calls: SystemCalls,
}

impl Shard {
    pub(super) fn new(settings: Settings, listeners: Vec<Listener>) -> io::Result<(Self, Handle)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (sender, messages) = mpsc::channel();
        let clock = Clock { start: Instant::now() };
        let mut shard = Self {
            engine: Engine::new(settings),
            poll,
            listeners,
            sockets: Vec::new(),
            unread: VecDeque::new(),
            dead: Vec::new(),
            spare: Spare::new()?,
            accept_paused_until: None,
            accept_errors: Every::new(Duration::from_secs(LOG_REPEAT_SECONDS)),
            _waker: Arc::clone(&waker),
            messages,
            now: clock.now(),
            clock,
            drain_until: None,
            drain_timeout: Duration::from_secs(settings.drain_timeout),
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
        Ok((shard, Handle { messages: sender, waker }))
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) -> io::Result<Report> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN_MAX);
        let mut buffer = vec![0; RECEIVE_BUFFER_BYTES].into_boxed_slice();
        while !self.is_done() {
            self.wait(&mut events)?;
            self.now = self.clock.now();
            self.take_events(&events);
            self.take_messages();
            self.accept();
            self.read(&mut buffer);
            self.engine.timeout(self.now);
            self.flush();
            self.engine.end_turn(self.now);
            self.reap();
        }
        Ok(Report { metrics: *self.engine.metrics(), system_calls: self.system_calls })
    }

    fn is_done(&self) -> bool {
        self.drain_until
            .is_some_and(|until| self.engine.connection_count() == 0 || self.now.monotonic >= until)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        self.system_calls.waits += 1;
        let accepting = self.accept_paused_until.is_none() && self.listeners.iter().any(|l| l.ready);
        let timeout = if accepting || !self.unread.is_empty() || self.engine.has_work() {
            Some(Duration::ZERO)
        } else {
            [self.engine.next_deadline(), self.drain_until, self.accept_paused_until]
                .into_iter()
                .flatten()
                .min()
                .map(|deadline| deadline.saturating_sub(self.clock.start.elapsed()))
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Notes what the kernel told.
    fn take_events(&mut self, events: &Events) {
        for event in events {
            let listener = WAKER.0 - event.token().0;
            if listener <= self.listeners.len() {
                // 0 is the waker: the messages are looked at in any case.
                if listener > 0 {
                    self.listeners[listener - 1].ready = true;
                }
                continue;
            }
            let id = ConnId::from_bits(event.token().0 as u64);
            let Some(Some(socket)) = self.sockets.get_mut(id.slot as usize) else { continue };
            if socket.generation != id.generation {
                continue;
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                socket.readable = true;
                socket.hung_up |= event.is_read_closed() || event.is_error();
                self.queue_read(id);
            }
            if event.is_writable() {
                self.engine.writable(id);
            }
        }
    }

    fn take_messages(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Stop if self.drain_until.is_some() => {}
                Message::Stop => {
                    self.listeners.clear();
                    self.engine.shutdown(self.now);
                    self.drain_until = Some(self.now.monotonic + self.drain_timeout);
                }
            }
        }
    }

    /// Accepts whoever waits, up to a budget.
    fn accept(&mut self) {
        if self.accept_paused_until.is_some_and(|until| self.now.monotonic < until) {
            return;
        }
        self.accept_paused_until = None;
        for index in 0..self.listeners.len() {
            let mut budget = ACCEPTS_PER_TURN_MAX;
            while self.listeners[index].ready && budget > 0 {
                budget -= 1;
                self.system_calls.accepts += 1;
                let Listener { socket, dialect, .. } = &self.listeners[index];
                let dialect = *dialect;
                match self.spare.accept(socket) {
                    Accepted::Connection(stream, peer) => self.admit(stream, peer, dialect),
                    Accepted::Nobody => self.listeners[index].ready = false,
                    Accepted::Surplus(stream) => {
                        refuse(stream, dialect);
                        self.complain("no descriptors are left: connections are refused", None);
                    }
                    Accepted::Failed(error) if is_of_peer(&error) => {}
                    Accepted::Failed(error) => {
                        let pause = Duration::from_millis(ACCEPT_PAUSE_MILLIS);
                        self.accept_paused_until = Some(self.now.monotonic + pause);
                        self.complain("accepting pauses", Some(&error));
                        return;
                    }
                }
                self.spare.restore();
            }
        }
    }

    fn complain(&mut self, what: &str, error: Option<&io::Error>) {
        if let Some(suppressed) = self.accept_errors.admit(self.now.monotonic) {
            let clients = self.engine.connection_count();
            tracing::warn!(error = error.map(tracing::field::display), clients, suppressed, "{what}");
        }
    }

    fn admit(&mut self, mut stream: TcpStream, peer: std::net::SocketAddr, dialect: crate::wire::Dialect) {
        let Some(id) = self.engine.connected(dialect, self.now) else {
            refuse(stream, dialect);
            return self.complain("the server is full: connections are refused", None);
        };
        tracing::debug!(conn = id.to_bits(), %peer, dialect = dialect.name(), "opened");
        let token = Token(id.to_bits() as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.system_calls.registrations += 1;
        if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
            self.complain("cannot watch a connection", Some(&error));
            self.dead.push((id, CloseReason::PeerReset));
        }
        let slot = id.slot as usize;
        if slot >= self.sockets.len() {
            self.sockets.resize_with(slot + 1, || None);
        }
        self.sockets[slot] = Some(Socket {
            stream,
            generation: id.generation,
            readable: false,
            queued: false,
            hung_up: false,
            ended: false,
        });
    }

    fn socket(&mut self, id: ConnId) -> Option<&mut Socket> {
        let socket = self.sockets.get_mut(id.slot as usize)?.as_mut()?;
        (socket.generation == id.generation).then_some(socket)
    }

    /// Puts a readable connection in the list of those to be read from, unless it has to wait.
    fn queue_read(&mut self, id: ConnId) {
        let wanted = self.engine.wants_input(id);
        if let Some(socket) = self.socket(id)
            && wanted
            && socket.readable
            && !socket.ended
            && !std::mem::replace(&mut socket.queued, true)
        {
            self.unread.push_back(id);
        }
    }

    /// Reads once from each connection that has something, up to a budget.
    fn read(&mut self, buffer: &mut [u8]) {
        let mut bytes = 0;
        for _ in 0..self.unread.len().min(READS_PER_TURN_MAX) {
            if bytes >= READ_BYTES_PER_TURN_MAX {
                break;
            }
            let Some(id) = self.unread.pop_front() else { break };
            if let Some(socket) = self.socket(id) {
                socket.queued = false;
                // It may have to wait since it was put here; it is put here again when it need not.
                if self.engine.wants_input(id) {
                    bytes += self.read_once(id, buffer);
                }
            }
        }
    }

    /// Returns how many bytes it read.
    fn read_once(&mut self, id: ConnId, buffer: &mut [u8]) -> usize {
        self.system_calls.reads += 1;
        let Some(socket) = self.socket(id) else { return 0 };
        match socket.stream.read(buffer) {
            Ok(0) => {
                socket.ended = true;
                self.engine.peer_closed(id, self.now);
            }
            Ok(length) => {
                socket.readable = length == buffer.len() || socket.hung_up;
                self.engine.received(id, &buffer[..length], self.now);
                self.queue_read(id);
                return length;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => socket.readable = false,
                io::ErrorKind::Interrupted => self.queue_read(id),
                _ => {
                    socket.ended = true;
                    self.dead.push((id, CloseReason::PeerReset));
                }
            },
        }
        0
    }

    /// Writes to connections that have something waiting, up to a budget.
    fn flush(&mut self) {
        for _ in 0..WRITES_PER_TURN_MAX {
            let Some(id) = self.engine.next_to_flush() else { break };
            let Some(Some(socket)) = self.sockets.get_mut(id.slot as usize) else { continue };
            let mut slices = Gather::new();
            self.engine.gather(id, &mut slices);
            let offered = slices.iter().map(|slice| slice.len()).sum();
            let result = match slices.as_slice() {
                [] => Ok(0),
                [slice] => socket.stream.write(slice),
                slices => socket.stream.write_vectored(slices),
            };
            self.system_calls.writes += u64::from(!slices.is_empty());
            drop(slices);
            match result {
                Ok(taken) => self.engine.wrote(id, taken, offered),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.engine.wrote(id, 0, offered),
                    // Offered again in its turn.
                    io::ErrorKind::Interrupted => self.engine.wrote(id, 0, 0),
                    _ => self.dead.push((id, CloseReason::PeerReset)),
                },
            }
        }
    }

    /// Closes what the engine wants closed, drops what failed, and lets those be read from who have waited.
    fn reap(&mut self) {
        while let Some((id, close)) = self.engine.next_close() {
            let Some(socket) = self.socket(id) else { continue };
            if close == Close::Now || socket.ended || socket.stream.shutdown(Shutdown::Write).is_err() {
                self.dead.push((id, CloseReason::PeerClosed));
            } else {
                self.queue_read(id);
            }
        }
        while let Some((id, reason)) = self.dead.pop() {
            if self.socket(id).is_some() {
                self.sockets[id.slot as usize] = None;
                let reason = self.engine.disconnected(id, reason, self.now);
                tracing::debug!(conn = id.to_bits(), reason = reason.name(), "closed");
            }
        }
        while let Some(id) = self.engine.next_resumed() {
            self.queue_read(id);
        }
    }
}

/// Says why, as far as the socket takes it at once, and drops it.
fn refuse(mut stream: TcpStream, dialect: crate::wire::Dialect) {
    let mut words = Vec::new();
    Engine::refusal(dialect, &mut words);
    // Whether it can still be told makes no difference to what follows.
    let _ = stream.write(&words);
    let _ = stream.shutdown(Shutdown::Write);
}
