//! Pace: connections of which each frame wants a write of its own, and a pause before the next one.
//!
//! The gap is the same for all, so that those who rest stand in a queue in the order in which they wake.

use std::collections::VecDeque;
use std::time::Duration;

use super::Fanout;
use crate::chat::{ConnId, Now};

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Who was written to in this turn.
    written: Vec<ConnId>,
    /// Who rests, and until when on the monotonic clock. Never falls.
    resting: VecDeque<(Duration, ConnId)>,
}

impl Fanout {
    /// A frame went out whole: the next one waits.
    pub(super) fn rest(&mut self, id: ConnId) {
        self.line_mut(id).resting = true;
        self.pace.written.push(id);
    }

    /// Begins the pauses after the writes of a turn: `now` is later than all of them.
    pub(super) fn begin_rests(&mut self, now: Now) {
        let until = now.monotonic + self.settings.gob_gap;
        let Self { pace: Pace { written, resting }, .. } = self;
        resting.extend(written.drain(..).map(|id| (until, id)));
    }

    /// Wakes those who have rested.
    pub(crate) fn end_rests(&mut self, now: Now) {
        self.now = now;
        while let Some(&(until, id)) = self.pace.resting.front()
            && until <= now.monotonic
        {
            self.pace.resting.pop_front();
            if let Some(line) = self.find(id) {
                line.resting = false;
                self.mark_dirty(id);
            }
        }
    }

    /// When somebody has rested, on the monotonic clock, if ever: a matter of microseconds.
    pub fn next_wake(&self) -> Option<Duration> {
        self.pace.resting.front().map(|&(until, _)| until)
    }
}
