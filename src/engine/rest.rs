//! Sessions that send more than they may a second: messages are refused, and for bytes that came too fast the session rests,
//! which means that it is not read from, until its bucket has paid for what it sent.
//!
//! What it sent by then stays in its inbox and behind that in its socket: nothing of it is lost. Datagrams cannot be held
//! back: those that come too fast are dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::rate::Rate;
use super::{Engine, Settings};
use crate::chat::{Command, ConnId, Event, Problem};
use crate::limits::{SEAT_ERROR_SECONDS, SESSION_BYTES_HELD_MIN};

/// The cause as metrics and logs name it, of messages and of datagrams.
const TOO_FAST: &str = "too-fast";

/// What a session may send a second, and who has sent more.
#[derive(Debug)]
pub(super) struct Rests {
    messages: Option<Rate>,
    bytes: Option<Rate>,
    /// Those that are not read from, and until when on the monotonic clock, the first on top. Each is here once, and one that
    /// is gone until its time has come.
    resting: BinaryHeap<Reverse<(Duration, u64)>>,
}

impl Rests {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            messages: Rate::new(settings.session_messages_limit, 1),
            bytes: Rate::new(settings.session_bytes_limit, SESSION_BYTES_HELD_MIN),
            resting: BinaryHeap::new(),
        }
    }

    /// When the first of them is to be read from again, if ever.
    pub(super) fn next(&self) -> Option<Duration> {
        self.resting.peek().map(|&Reverse((until, _))| until)
    }
}

impl Engine {
    /// So many bytes came from a connection that is not exempt.
    pub(super) fn charge_bytes(&mut self, id: ConnId, bytes: usize) {
        let now = self.now.monotonic;
        if let Some(rate) = self.rests.bytes {
            rate.owe(&mut self.conn_mut(id).bytes, bytes, now);
        }
    }

    /// Whether a connection has sent more than it may; if so, it rests.
    pub(super) fn must_rest(&mut self, id: ConnId) -> bool {
        let Some(rate) = self.rests.bytes else { return false };
        let conn = self.conn(id);
        if conn.is_exempt {
            return false;
        }
        let Some(until) = rate.owes_until(conn.bytes, self.now.monotonic) else { return false };
        let conn = self.conn_mut(id);
        conn.throttled = true;
        if !std::mem::replace(&mut conn.waiting, true) {
            self.rests.resting.push(Reverse((until, id.to_bits())));
            self.metrics.rested += 1;
        }
        true
    }

    /// Has those looked at that have rested.
    pub(super) fn end_rests(&mut self) {
        while let Some(&Reverse((until, id))) = self.rests.resting.peek()
            && until <= self.now.monotonic
        {
            self.rests.resting.pop();
            let id = ConnId::from_bits(id);
            if let Some(conn) = self.find(id) {
                conn.waiting = false;
                self.let_wait(id);
            }
        }
    }

    /// Whether a message comes too fast to be carried out. If so, its sender is told, unless it asked for nothing.
    pub(super) fn is_too_fast(&mut self, id: ConnId, command: &Command<'_>) -> bool {
        let now = self.now.monotonic;
        let Some(rate) = self.rests.messages else { return false };
        let conn = self.conn_mut(id);
        // Who wants to go is not kept.
        if conn.is_exempt || rate.take(&mut conn.messages, 1, now) || matches!(command, Command::Quit) {
            return false;
        }
        self.metrics.count_refused(TOO_FAST);
        if !matches!(command, Command::Nothing) {
            self.reply(id, &Event::Error(Problem::TooFast));
        }
        true
    }

    /// Whether a datagram comes too fast to be carried out. If so, its sender is told, now and then.
    pub(super) fn is_datagram_too_fast(&mut self, id: ConnId, bytes: usize) -> bool {
        let now = self.now.monotonic;
        let &Rests { messages, bytes: of_bytes, .. } = &self.rests;
        let conn = self.conn_mut(id);
        if conn.is_exempt {
            return false;
        }
        let is_slow_enough = messages.is_none_or(|rate| rate.take(&mut conn.messages, 1, now))
            && of_bytes.is_none_or(|rate| rate.take(&mut conn.bytes, bytes, now));
        if is_slow_enough {
            return false;
        }
        if let Some(seat) = self.seat_mut(id)
            && seat.is_to_be_told(now, Duration::from_secs(SEAT_ERROR_SECONDS))
        {
            self.reply(id, &Event::Error(Problem::TooFast));
        }
        true
    }
}
