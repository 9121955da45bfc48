//! What comes in: connections, bytes, and the end of them; and when a connection has to wait before more is taken.
//!
//! A connection is *throttled* while
//! - its own answers fill its outbox ([`OUTBOX_BYTES_HIGH`]): it must read before it may ask again;
//! - its room's log grows faster than it is flushed: publishers wait so that readers who keep up lose nothing (those
//!   who rest between two frames are not waited for);
//! - this turn has put enough into outboxes: they are flushed first (long answers have a budget of their own, and hold up
//!   nothing else);
//! - its last answer is long, and not complete (`answers.rs`);
//! - something is done for it elsewhere, as its password being looked at: what follows depends on that, and its end would
//!   take the answer with it;
//! - its answers wait for the store, and are many;
//! - it has sent more than it may a second (`rest.rs`).
//!
//! What it sent meanwhile stays in its inbox (at most one read) and then in its socket.

use core::net::IpAddr;
use std::time::Duration;

use arrayvec::ArrayVec;

use super::close::Closing;
use super::inbox::Inbox;
use super::network::Network;
use super::rate::Bucket;
use super::reply::Unread;
use super::rounds::Lane;
use super::strangers::Opened;
use super::{Awaited, Connection, Engine};
use crate::chat::{CloseReason, ConnId, Event, ListenerId, Name, Now, Phase, Problem, Refused, RoomId};
use crate::limits::{
    LOG_BACKLOG_DIVISOR, OPENING_BYTES_MAX, OUTBOX_BYTES_HIGH, OUTBOX_TURN_BYTES_MAX, REFUSED_MAX,
};
use crate::wire::{Codec, DecodeError, Dialect, Frame, Transport};

/// The bytes of a connection of lines that say whether it is another protocol's: the opening, behind a byte
/// order mark of three.
const LINES_OPENING_BYTES_MAX: usize = 3 + OPENING_BYTES_MAX;

/// What a connection begins with.
#[derive(Clone, Copy)]
pub(super) struct NewConnection {
    pub(super) dialect: Dialect,
    pub(super) network: Network,
    pub(super) is_exempt: bool,
    pub(super) phase: Phase,
    pub(super) name: Option<Name>,
}

impl Engine {
    /// Registers a connection that a listener accepted from an address. On error the caller drops it, after
    /// sending [`Engine::refusal`].
    pub fn connected(
        &mut self,
        dialect: Dialect,
        ip: IpAddr,
        listener: ListenerId,
        now: Now,
    ) -> Result<ConnId, Refused> {
        self.now = now;
        self.admit(ip, listener)?;
        let id = self.fanouts.own.open(dialect);
        self.greet(id, dialect, ip, listener);
        Ok(id)
    }

    /// Counts another connection in, if it can be taken in, if only to be told that the server is full. One that cannot is
    /// counted, and nothing else is done for it: its address may have sent very many.
    pub(super) fn admit(&mut self, ip: IpAddr, listener: ListenerId) -> Result<(), Refused> {
        let charged = (!self.settings.exempts(ip, listener)).then(|| Network::of(ip));
        let has_space = self.totals.refused_connections < REFUSED_MAX || self.has_connection_place(charged);
        let admitted = match charged {
            _ if self.stopping || !has_space => Err(Refused::ServerFull),
            None => Ok(()),
            Some(network) => self.addresses.connected(network, self.now.monotonic),
        };
        admitted.inspect_err(|refused| {
            self.metrics.opened += 1;
            self.metrics.closed[refused.reason() as usize] += 1;
        })
    }

    /// A connection that was admitted is there.
    pub(super) fn greet(&mut self, id: ConnId, dialect: Dialect, ip: IpAddr, listener: ListenerId) {
        let (network, is_exempt) = (Network::of(ip), self.settings.exempts(ip, listener));
        let full = self.count_connection_in((!is_exempt).then_some(network));
        self.insert(id, NewConnection { dialect, network, is_exempt, phase: Phase::Login, name: None });
        if dialect == Dialect::Tcrp {
            self.more_mut(id).ip = Some(ip.to_canonical());
        }
        if full {
            self.reply(id, &Event::LoginRefused(Problem::ServerFull));
            self.close(id, CloseReason::ServerFull);
        } else {
            if dialect.hears_unnamed() {
                self.enter_room(id, RoomId::LOBBY);
                self.note_heard_behind(id);
            }
            self.deadlines.set(id, self.now.monotonic, self.settings.login_timeout);
            self.reply(id, &Event::Greeting);
        }
    }

    pub(super) fn insert(&mut self, id: ConnId, new: NewConnection) {
        let NewConnection { dialect, network, is_exempt, phase, name } = new;
        self.seat_connections += usize::from(dialect.transport() == Transport::Datagram);
        let connection = Connection {
            generation: id.generation,
            dialect,
            network,
            codec: Codec::default(),
            phase,
            name,
            membership: None,
            is_exempt,
            has_opened: false,
            awaiting: false,
            throttled: false,
            waiting: false,
            watched: false,
            closing: None,
            unread: Unread::default(),
            inbox: Inbox::default(),
            messages: Bucket::default(),
            bytes: Bucket::default(),
            more: None,
        };
        self.connections.insert(id, connection);
        self.metrics.opened += 1;
    }

    /// What a connection is told that cannot be taken in at all.
    pub fn refusal(dialect: Dialect, refused: Refused, out: &mut Vec<u8>) {
        let _ = dialect.encode_event(&Codec::default(), &Event::LoginRefused(refused.problem()), out);
    }

    /// Takes bytes in, as they came.
    pub fn received(&mut self, id: ConnId, bytes: &[u8], now: Now) {
        self.now = now;
        let Some(conn) = self.connection(id) else { return };
        if conn.closing.is_some() {
            return;
        }
        if !conn.is_exempt {
            self.charge_bytes(id, bytes.len());
        }
        let conn = self.conn_mut(id);
        if conn.dialect.is_of_lines() && conn.codec.has_telnet(bytes) {
            return self.received_telnet(id, bytes);
        }
        if conn.throttled {
            conn.inbox.push(bytes);
            return;
        }
        if conn.inbox.is_empty() {
            let consumed = self.consume(id, bytes);
            self.conn_mut(id).inbox.push(&bytes[consumed..]);
        } else {
            conn.inbox.push(bytes);
            self.consume_inbox(id);
        }
    }

    /// Takes bytes in that have Telnet commands between the lines. The commands are answered even while the
    /// lines have to wait, which is until the next read at most.
    #[cold]
    fn received_telnet(&mut self, id: ConnId, bytes: &[u8]) {
        if self.is_foreign_before_telnet(id, bytes) {
            return;
        }
        let mut answers = std::mem::take(&mut self.scratch);
        answers.clear();
        let conn = self.conn_mut(id);
        let is_start = !conn.has_opened && conn.inbox.is_empty();
        let taken = conn.codec.take_telnet(is_start, bytes, conn.inbox.bytes_mut(), &mut answers);
        self.push_outbox(id, &answers);
        self.scratch = answers;
        match taken {
            // No other protocol starts with Telnet.
            Ok(true) => {
                self.conn_mut(id).has_opened = true;
                self.heard(id);
            }
            Ok(false) => {}
            Err(error) => {
                self.metrics.count_refused(error.cause());
                return self.refuse(id, error);
            }
        }
        if !self.conn(id).throttled {
            self.consume_inbox(id);
        }
        // A peer that asks must read the answers.
        if self.conn(id).closing.is_none() && !self.conn(id).throttled {
            self.must_wait(id);
        }
    }

    /// Whether another protocol's first bytes stand in front of the first Telnet command, which may be no
    /// command but a byte of that protocol. If so, the connection is being closed.
    fn is_foreign_before_telnet(&mut self, id: ConnId, bytes: &[u8]) -> bool {
        let conn = self.conn(id);
        if conn.has_opened {
            return false;
        }
        let text = conn.inbox.bytes().iter().chain(conn.codec.before_telnet(bytes));
        let head: ArrayVec<u8, LINES_OPENING_BYTES_MAX> =
            text.copied().take(LINES_OPENING_BYTES_MAX).collect();
        !head.is_empty() && matches!(self.open(id, &head), Opened::Closed)
    }

    /// The peer sends nothing more. What it is owed is still sent to it.
    pub fn peer_closed(&mut self, id: ConnId, now: Now) {
        self.now = now;
        // Its last word may have been sent a moment ago.
        self.take_own_reports();
        let Some(conn) = self.connection(id) else { return };
        match conn.closing {
            None => self.close(id, CloseReason::PeerClosed),
            // The last word was sent, and the peer has closed behind it.
            Some(Closing { told: true, .. }) => self.drop_socket(id),
            Some(Closing { told: false, .. }) => {}
        }
    }

    /// The peer reset a connection that the shard does not read. A connection that waits for a password check
    /// ends at once and frees the place of its check. Any other connection ends after its earlier input is
    /// read.
    pub fn peer_reset(&mut self, id: ConnId, now: Now) {
        self.now = now;
        if self.connection(id).is_some_and(|conn| conn.closing.is_none()) && self.awaits_proof(id) {
            self.drop_now(id, CloseReason::PeerReset);
        }
    }

    /// Whether the connection's socket is to be read from. If not, [`Engine::next_resumed`] tells when it is again.
    pub fn wants_input(&self, id: ConnId) -> bool {
        self.connections.get(id).is_some_and(|conn| conn.generation == id.generation && !conn.throttled)
    }

    /// A connection that is to be read from again.
    pub fn next_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    /// Lets throttled connections go on, where they can.
    pub(super) fn resume_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            // No connection could go on: the next turn begins with them.
            if self.is_turn_full() {
                break;
            }
            let Some(id) = self.waiting.pop() else { break };
            let Some(conn) = self.find(id) else { continue };
            conn.waiting = false;
            // Looked at again when what it waits for is done.
            if conn.awaiting || !std::mem::replace(&mut conn.throttled, false) {
                continue;
            }
            self.consume_inbox(id);
            if !self.conn(id).throttled {
                self.read_on(id);
            }
        }
    }

    fn consume_inbox(&mut self, id: ConnId) {
        let inbox = std::mem::take(&mut self.conn_mut(id).inbox);
        let consumed = self.consume(id, inbox.bytes());
        self.conn_mut(id).inbox = inbox.consume(consumed);
        let conn = self.conn(id);
        if conn.codec.has_ended() && !conn.throttled && conn.closing.is_none() {
            self.close(id, CloseReason::PeerClosed);
        }
    }

    /// Carries out the commands at the start of `bytes`; returns how many bytes are done with.
    fn consume(&mut self, id: ConnId, bytes: &[u8]) -> usize {
        let mut done = 0;
        if !self.conn(id).has_opened && !bytes.is_empty() {
            match self.open(id, bytes) {
                Opened::Unclear => return 0,
                Opened::Closed => return bytes.len(),
                Opened::Own => {}
            }
        }
        while done < bytes.len() {
            if self.must_wait(id) {
                return done;
            }
            let conn = self.conn_mut(id);
            let decoded = conn.dialect.decode_command(&mut conn.codec, conn.phase, &bytes[done..]);
            done += decoded.consumed;
            match decoded.frame {
                Frame::Incomplete if decoded.consumed == 0 => return done,
                Frame::Incomplete => {}
                Frame::Whole(command) => {
                    self.heard(id);
                    self.metrics.commands += 1;
                    if !self.is_too_fast(id, &command) {
                        self.execute(id, command);
                    }
                }
                Frame::Refused(error) => {
                    self.heard(id);
                    self.metrics.count_refused(error.cause());
                    self.refuse(id, error);
                }
            }
            if self.conn(id).closing.is_some() {
                return bytes.len();
            }
        }
        done
    }

    /// Whether the connection has to wait; if so, it is throttled.
    fn must_wait(&mut self, id: ConnId) -> bool {
        let conn = self.conn(id);
        if conn.awaiting {
            return true;
        }
        if self.must_rest(id) {
            // Looked at again when it has paid for what it sent.
            return true;
        }
        let conn = self.conn(id);
        let held = conn.more.as_ref().and_then(|more| more.held.as_ref()).map_or(0, |held| held.len());
        if held >= OUTBOX_BYTES_HIGH || (held > 0 && !self.may_hold_more(id)) {
            // Looked at again when the store has kept some of it.
            self.conn_mut(id).throttled = true;
            return true;
        }
        let room = conn.membership.map(|at| at.room);
        if self.has_unread_answers(id) {
            // Looked at again when it has read them.
            self.conn_mut(id).throttled = true;
            return true;
        }
        let backlog_max = self.log_bytes_limit() / LOG_BACKLOG_DIVISOR;
        let is_behind_here = room.is_some_and(|room| self.fanouts.own.backlog(room) >= backlog_max);
        if self.is_turn_full() || is_behind_here {
            self.conn_mut(id).throttled = true;
            self.let_wait(id);
            return true;
        }
        let are_others_behind = room.is_some_and(|room| self.room(room).unread() >= backlog_max);
        let are_links_busy = self.fanouts.are_busy();
        if are_others_behind || are_links_busy {
            self.is_waited_for_links |= are_links_busy;
            self.conn_mut(id).throttled = true;
            self.let_wait_for_shards(id);
            return true;
        }
        false
    }

    /// Bytes put into outboxes since the last turn ended, those of other shards included, long answers not.
    pub fn turn_bytes(&self) -> usize {
        self.fanouts.turn_bytes()
    }

    /// Whether so much was put into outboxes in this turn that no more is to be said to anybody.
    pub(super) fn is_turn_full(&self) -> bool {
        self.turn_bytes() >= OUTBOX_TURN_BYTES_MAX
    }

    /// The most bytes of a log's blocks at present, on any shard.
    pub(super) fn log_bytes_limit(&self) -> usize {
        self.fanouts.log_bytes_limit()
    }

    /// Has a throttled connection looked at when the turn ends.
    pub(super) fn let_wait(&mut self, id: ConnId) {
        if !std::mem::replace(&mut self.conn_mut(id).waiting, true) {
            let lane = self.lane(id);
            self.waiting.push(lane, id);
        }
    }

    /// The lane in which a connection waits for its turn.
    pub(super) fn lane(&self, id: ConnId) -> Lane {
        let conn = self.conn(id);
        self.hasher.lane(conn.network, conn.is_exempt)
    }

    /// Has a connection wait for something that is done elsewhere. Returns the number of the task.
    pub(super) fn await_something(&mut self, id: ConnId, awaited: Awaited) -> u32 {
        self.task_serial = self.task_serial.wrapping_add(1);
        let serial = self.task_serial;
        self.more_mut(id).awaited = Some((serial, awaited));
        let conn = self.conn_mut(id);
        // Even the end of what it sends is looked at only afterwards.
        (conn.awaiting, conn.throttled) = (true, true);
        serial
    }

    /// Ends the wait for a task, if it is this one that is waited for.
    pub(super) fn take_awaited(&mut self, id: ConnId, serial: u32) -> Option<Awaited> {
        let waiting = self.find(id)?.more.as_ref()?.awaited.as_ref()?.0;
        if waiting != serial {
            return None;
        }
        let awaited = self.stop_awaiting(id)?;
        self.conn(id).closing.is_none().then_some(awaited)
    }

    /// Ends whatever wait there is.
    pub(super) fn stop_awaiting(&mut self, id: ConnId) -> Option<Awaited> {
        let conn = self.conn_mut(id);
        let (_, awaited) = conn.more.as_mut()?.awaited.take()?;
        conn.awaiting = false;
        if conn.throttled {
            self.let_wait(id);
        }
        Some(awaited)
    }

    /// A frame came: the connection lives.
    pub(super) fn heard(&mut self, id: ConnId) {
        let conn = self.conn(id);
        if conn.phase == Phase::Chat {
            let seconds = self.settings.idle_timeout(conn.dialect);
            self.deadlines.set(id, self.now.monotonic, seconds);
        }
    }

    /// Moves the idle deadline of a stream that was sent something at a time (monotonic clock), and returns
    /// whether the deadline is ahead again. A peer that does not acknowledge it is no concern of this: the
    /// kernel ends its connection after [`UNACKNOWLEDGED_SECONDS_MAX`].
    ///
    /// [`UNACKNOWLEDGED_SECONDS_MAX`]: crate::limits::UNACKNOWLEDGED_SECONDS_MAX
    pub(super) fn keep_alive(&mut self, id: ConnId, at: Duration) -> bool {
        let conn = self.conn(id);
        let seconds = self.settings.idle_timeout(conn.dialect);
        let is_stream = conn.dialect.transport() != Transport::Datagram;
        let is_ahead =
            conn.phase == Phase::Chat && is_stream && at + Duration::from_secs(seconds) > self.now.monotonic;
        if is_ahead {
            self.deadlines.set(id, at, seconds);
        }
        is_ahead
    }

    /// The time of the last frame of its room for a connection, on the monotonic clock.
    fn told_at(&self, id: ConnId) -> Option<Duration> {
        let conn = self.conn(id);
        self.room(conn.membership?.room).told_at(conn.dialect, id.shard())
    }

    pub(super) fn refuse(&mut self, id: ConnId, error: DecodeError) {
        let mut words = Vec::new();
        let conn = self.conn(id);
        conn.dialect.encode_refusal(&conn.codec, conn.phase, error, &mut words);
        let is_of_login = conn.phase != Phase::Chat && conn.dialect.closes_on_refused_login();
        if self.holds(id) {
            self.hold_behind(id, &words);
        } else {
            self.push_outbox(id, &words);
        }
        if matches!(error, DecodeError::Foreign(_)) {
            self.close(id, CloseReason::WrongProtocol);
        } else if error.ends_connection() {
            self.close(id, CloseReason::Malformed);
        } else if is_of_login {
            self.login_is_refused(id, false);
        }
    }

    /// Deals with the connections whose deadline has come.
    pub fn timeout(&mut self, now: Now) {
        self.now = now;
        self.fanouts.own.end_rests(now);
        self.end_rests();
        self.lose_patience();
        self.passwords.wake(now.monotonic);
        self.end_unused();
        let mut expired = std::mem::take(&mut self.expired);
        self.deadlines.sweep(now.monotonic, &mut expired);
        for slot in expired.drain(..) {
            let Some(conn) = self.connections.get(ConnId { slot, generation: 0 }) else { continue };
            let id = ConnId { slot, generation: conn.generation };
            let (closing, phase) = (conn.closing, conn.phase);
            let (problem, reason) = match closing {
                Some(closing) => {
                    self.conn_mut(id).closing = Some(Closing { told: true, ..closing });
                    self.drop_socket(id);
                    continue;
                }
                // The time in which the server makes it wait is not its own.
                None if self.awaits_proof(id) => {
                    self.deadlines.set(id, self.now.monotonic, self.settings.login_timeout);
                    self.heard(id);
                    continue;
                }
                None if self.told_at(id).is_some_and(|at| self.keep_alive(id, at)) => continue,
                None if phase == Phase::Chat => (Problem::IdleTimeout, CloseReason::IdleTimeout),
                None => (Problem::LoginTimeout, CloseReason::LoginTimeout),
            };
            let conn = self.conn(id);
            if !conn.dialect.is_silent_to(&conn.codec) {
                self.reply(id, &Event::Error(problem));
            }
            self.close(id, reason);
        }
        self.expired = expired;
    }

    /// Whether a password check of a connection is pending.
    fn awaits_proof(&self, id: ConnId) -> bool {
        let awaited = self.conn(id).more.as_ref().and_then(|more| more.awaited.as_ref());
        matches!(awaited, Some((_, Awaited::Proof(_))))
    }

    /// When [`Engine::timeout`] has something to do, on the monotonic clock, if ever.
    pub fn next_deadline(&self) -> Option<Duration> {
        let others = [
            self.journal.patience_until(),
            self.rests.next(),
            self.passwords.next_at(),
            self.unused_deadline(),
        ];
        let others = others.into_iter().flatten();
        self.deadlines.next().into_iter().chain(others).min()
    }
}
