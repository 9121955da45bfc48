//! What comes in: connections, bytes, and the end of them; and when a connection has to wait before more is taken.
//!
//! A connection is *throttled* while
//! - its own answers fill its outbox ([`OUTBOX_BYTES_HIGH`]): it must read before it may ask again;
//! - its room's log grows faster than it is flushed: publishers wait so that readers who keep up lose nothing (those
//!   who rest between two frames are not waited for);
//! - this turn has put enough into outboxes: they are flushed first;
//! - something is done for it elsewhere, as its password being looked at: what follows depends on that, and its end would
//!   take the answer with it;
//! - its answers wait for the store, and are many.
//!
//! What it sent meanwhile stays in its inbox (at most one read) and then in its socket.

use core::net::IpAddr;

use super::attempts::Network;
use super::close::{Close, Closing};
use super::inbox::Inbox;
use super::{Awaited, CloseReason, Connection, Engine};
use crate::chat::{ConnId, Event, Name, Now, Phase, Problem};
use crate::limits::{
    HELD_TOTAL_BYTES_MAX, LOG_BACKLOG_DIVISOR, OUTBOX_BYTES_HIGH, OUTBOX_TURN_BYTES_MAX, REFUSED_MAX,
};
use crate::wire::{Codec, DecodeError, Dialect, Frame, Transport};

/// What a connection begins with.
#[derive(Clone, Copy)]
pub(super) struct NewConnection {
    pub(super) dialect: Dialect,
    pub(super) network: Network,
    pub(super) phase: Phase,
    pub(super) name: Option<Name>,
}

impl Engine {
    /// Takes a new connection in. `None`: there are so many that this one is to be dropped at once, with
    /// [`Engine::refusal`] as the last word.
    pub fn connected(&mut self, dialect: Dialect, ip: IpAddr, now: Now) -> Option<ConnId> {
        self.now = now;
        let count = self.connection_count();
        if self.stopping || count >= self.settings.clients_limit + REFUSED_MAX {
            return None;
        }
        let full = count >= self.settings.clients_limit;
        let network = Network::of(ip);
        let id = self.insert(NewConnection { dialect, network, phase: Phase::Login, name: None });
        if dialect == Dialect::Tcrp {
            self.more_mut(id).ip = Some(ip.to_canonical());
        }
        if full {
            self.reply(id, &Event::LoginRefused(Problem::ServerFull));
            self.close(id, CloseReason::ServerFull);
        } else {
            self.deadlines.set(id.slot, now.monotonic, self.settings.login_timeout);
            self.reply(id, &Event::Greeting);
        }
        Some(id)
    }

    pub(super) fn insert(&mut self, new: NewConnection) -> ConnId {
        let NewConnection { dialect, network, phase, name } = new;
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        self.seat_connections += usize::from(dialect.transport() == Transport::Datagram);
        let slot = self.connections.insert(Connection {
            generation,
            dialect,
            network,
            codec: Codec::default(),
            phase,
            name,
            membership: None,
            blocked: false,
            resting: false,
            awaiting: false,
            queued: false,
            throttled: false,
            waiting: false,
            closing: None,
            inbox: Inbox::default(),
            outbox: None,
            more: None,
        });
        self.metrics.opened += 1;
        ConnId { slot: slot as u32, generation }
    }

    /// What a connection is told that cannot be taken in at all.
    pub fn refusal(dialect: Dialect, out: &mut Vec<u8>) {
        let _ = dialect.encode_event(&Codec::default(), &Event::LoginRefused(Problem::ServerFull), out);
    }

    /// Takes bytes in, as they came.
    pub fn received(&mut self, id: ConnId, bytes: &[u8], now: Now) {
        self.now = now;
        let Some(conn) = self.connection(id) else { return };
        if conn.closing.is_some() {
            return;
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

    /// The peer sends nothing more. What it is owed is still sent to it.
    pub fn peer_closed(&mut self, id: ConnId, now: Now) {
        self.now = now;
        let Some(conn) = self.connection(id) else { return };
        match conn.closing {
            None => self.close(id, CloseReason::PeerClosed),
            // The last word was sent, and the peer has closed behind it.
            Some(Closing { told: true, .. }) => self.tell_close(id, Close::Now),
            Some(Closing { told: false, .. }) => {}
        }
    }

    /// Whether the connection's socket is to be read from. If not, [`Engine::next_resumed`] tells when it is again.
    pub fn wants_input(&self, id: ConnId) -> bool {
        self.connections
            .get(id.slot as usize)
            .is_some_and(|conn| conn.generation == id.generation && !conn.throttled)
    }

    /// Whether what was read from a connection is to be acknowledged at once: its programs wait for that before they send
    /// more.
    pub fn acknowledges_at_once(&self, id: ConnId) -> bool {
        self.connections.get(id.slot as usize).is_some_and(|conn| conn.dialect.acknowledges_at_once())
    }

    /// A connection that is to be read from again.
    pub fn next_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    /// Lets throttled connections go on, where they can.
    pub(super) fn resume_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.pop_front() else { break };
            let Some(conn) = self.find(id) else { continue };
            conn.waiting = false;
            // Looked at again when what it waits for is done.
            if conn.awaiting || !std::mem::replace(&mut conn.throttled, false) {
                continue;
            }
            self.consume_inbox(id);
            if !self.conn(id).throttled {
                self.resumed.push(id);
            }
        }
    }

    fn consume_inbox(&mut self, id: ConnId) {
        let inbox = std::mem::take(&mut self.conn_mut(id).inbox);
        let consumed = self.consume(id, inbox.bytes());
        self.conn_mut(id).inbox = inbox.consume(consumed);
    }

    /// Carries out the commands at the start of `bytes`; returns how many bytes are done with.
    fn consume(&mut self, id: ConnId, bytes: &[u8]) -> usize {
        let mut done = 0;
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
                    self.execute(id, command);
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
        let held = conn.more.as_ref().and_then(|more| more.held.as_ref()).map_or(0, |held| held.len());
        if held >= OUTBOX_BYTES_HIGH || (held > 0 && self.held_total_bytes >= HELD_TOTAL_BYTES_MAX) {
            // Looked at again when the store has kept some of it.
            self.conn_mut(id).throttled = true;
            return true;
        }
        let unread_answers = conn.outbox.as_ref().is_some_and(|outbox| outbox.len() >= OUTBOX_BYTES_HIGH);
        let backlog_max = self.log_bytes_limit() / LOG_BACKLOG_DIVISOR;
        let until_flushed = self.outbox_turn_bytes >= OUTBOX_TURN_BYTES_MAX
            || conn.membership.is_some_and(|at| self.room(at.room).backlog() >= backlog_max);
        if unread_answers || until_flushed {
            self.conn_mut(id).throttled = true;
            // Whoever reads its answers is looked at again in `wrote`.
            if !unread_answers {
                self.let_wait(id);
            }
        }
        unread_answers || until_flushed
    }

    /// Has a throttled connection looked at when the turn ends.
    pub(super) fn let_wait(&mut self, id: ConnId) {
        if !std::mem::replace(&mut self.conn_mut(id).waiting, true) {
            self.waiting.push_back(id);
        }
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
            self.deadlines.set(id.slot, self.now.monotonic, seconds);
        }
    }

    fn refuse(&mut self, id: ConnId, error: DecodeError) {
        let mut words = Vec::new();
        let conn = self.conn(id);
        conn.dialect.encode_refusal(&conn.codec, conn.phase, error, &mut words);
        let is_of_login = conn.phase != Phase::Chat && conn.dialect.closes_on_refused_login();
        if self.holds(id) {
            self.hold_behind(id, &words);
        } else {
            self.push_outbox(id, &words);
        }
        if error.ends_connection() {
            self.close(id, CloseReason::Malformed);
        } else if is_of_login {
            self.close(id, CloseReason::LoginRefused);
        }
    }

    /// Deals with the connections whose deadline has come.
    pub fn timeout(&mut self, now: Now) {
        self.now = now;
        self.end_rests();
        self.lose_patience();
        let mut expired = std::mem::take(&mut self.expired);
        self.deadlines.sweep(now.monotonic, &mut expired);
        for slot in expired.drain(..) {
            let Some(conn) = self.connections.get(slot as usize) else { continue };
            let id = ConnId { slot, generation: conn.generation };
            let (problem, reason) = match (conn.closing, conn.phase) {
                (Some(closing), _) => {
                    self.conn_mut(id).closing = Some(Closing { told: true, ..closing });
                    self.tell_close(id, Close::Now);
                    continue;
                }
                (None, Phase::Login | Phase::Password) => (Problem::LoginTimeout, CloseReason::LoginTimeout),
                (None, Phase::Chat) => (Problem::IdleTimeout, CloseReason::IdleTimeout),
            };
            self.reply(id, &Event::Error(problem));
            self.close(id, reason);
        }
        self.expired = expired;
    }

    /// When [`Engine::timeout`] has something to do, on the monotonic clock, if ever.
    pub fn next_deadline(&self) -> Option<std::time::Duration> {
        self.deadlines.next().into_iter().chain(self.journal.patience_until()).min()
    }
}
