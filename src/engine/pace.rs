//! Pace: connections of which each frame wants a write of its own, and a pause before the next one.
//!
//! The gap is the same for all, so that those who rest stand in a queue in the order in which they wake.

use std::collections::VecDeque;
use std::time::Duration;

use super::Engine;
use crate::chat::{ConnId, Now};
use crate::limits::OUTBOX_BYTES_HIGH;
use crate::wire::Transport;

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Who was written to in this turn.
    written: Vec<ConnId>,
    /// Who rests, and until when on the monotonic clock. Never falls.
    resting: VecDeque<(Duration, ConnId)>,
}

impl Engine {
    /// A frame went out whole: the next one waits.
    pub(super) fn rest(&mut self, id: ConnId) {
        self.conn_mut(id).resting = true;
        self.pace.written.push(id);
    }

    /// Begins the pauses after the writes of a turn: `now` is later than all of them.
    pub(super) fn begin_rests(&mut self, now: Now) {
        let until = now.monotonic + self.settings.gob_gap;
        let Self { pace: Pace { written, resting }, .. } = self;
        resting.extend(written.drain(..).map(|id| (until, id)));
    }

    /// Wakes those who have rested.
    pub(super) fn end_rests(&mut self) {
        while let Some(&(until, id)) = self.pace.resting.front()
            && until <= self.now.monotonic
        {
            self.pace.resting.pop_front();
            if let Some(conn) = self.find(id) {
                conn.resting = false;
                self.mark_dirty(id);
            }
        }
    }

    /// Whether so much waits for somebody who takes a frame at a time that others have to wait before they send more: it
    /// reads all it is sent, and is not to be closed for what they do.
    pub(super) fn has_enough_to_pace(&self, id: ConnId) -> bool {
        let conn = self.conn(id);
        let waiting = conn.outbox.as_ref().map_or(0, |outbox| outbox.len());
        conn.dialect.transport() == Transport::Paced && waiting >= OUTBOX_BYTES_HIGH
    }

    /// When [`Engine::timeout`] has somebody to wake, on the monotonic clock, if ever: a matter of microseconds.
    pub fn next_wake(&self) -> Option<Duration> {
        self.pace.resting.front().map(|&(until, _)| until)
    }
}
