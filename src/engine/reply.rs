//! What goes out to one connection: its answers and direct messages, in its outbox; and what becomes of those who do not
//! read them.

use super::outbox::Outbox;
use super::{CloseReason, Connection, Engine};
use crate::chat::{ConnId, Event, Problem};
use crate::limits::{
    OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, OUTBOX_POOL_BYTES_MAX, OUTBOX_POOL_MAX, OUTBOX_TOTAL_BYTES_LOW,
    OUTBOX_TOTAL_BYTES_MAX,
};
use crate::wire::{Fit, Transport};

impl Engine {
    /// Tells one connection something, behind everything that it was told or that its room saw before.
    pub(super) fn reply(&mut self, id: ConnId, event: &Event<'_>) {
        self.reply_with(id, |_, answer| {
            answer(event);
        });
    }

    /// The same for any number of events that borrow the engine's own state. Each is told whether it fitted.
    pub(super) fn reply_with(
        &mut self,
        id: ConnId,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) {
        let mut ends = Vec::new();
        let frames = self.encode_events(id, &mut ends, events);
        if self.holds(id) {
            self.hold_behind(id, &frames);
        } else {
            self.push_frames(id, &frames, &ends);
        }
        self.scratch = frames;
    }

    /// Tells a connection what it has not asked for: that does not wait for the store, as its answers may.
    pub(super) fn tell_with(
        &mut self,
        id: ConnId,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) {
        let mut ends = Vec::new();
        let frames = self.encode_events(id, &mut ends, events);
        self.push_frames(id, &frames, &ends);
        self.scratch = frames;
    }

    /// Encodes events for a connection into the scratch buffer, which is to be put back; and, where each frame is sent alone,
    /// where each ends.
    pub(super) fn encode_events(
        &mut self,
        id: ConnId,
        ends: &mut Vec<usize>,
        events: impl FnOnce(&Self, &mut dyn FnMut(&Event<'_>) -> bool),
    ) -> Vec<u8> {
        let mut frames = std::mem::take(&mut self.scratch);
        frames.clear();
        let mut cut = 0;
        let conn = self.conn(id);
        let is_framed = self.settings.is_framed(conn.dialect);
        events(self, &mut |event| {
            let fit = conn.dialect.encode_event(&conn.codec, event, &mut frames);
            cut += u64::from(fit == Fit::Cut);
            if is_framed {
                ends.push(frames.len());
            }
            fit == Fit::Whole
        });
        self.metrics.cut += cut;
        frames
    }

    fn push_frames(&mut self, id: ConnId, frames: &[u8], ends: &[usize]) {
        if !self.settings.is_framed(self.conn(id).dialect) {
            return self.push_outbox(id, frames);
        }
        let mut start = 0;
        for &end in ends {
            self.push_outbox(id, &frames[start..end]);
            start = end;
        }
    }

    /// Tells a connection how many messages it missed.
    pub(super) fn reply_missed(&mut self, id: ConnId, missed: u64) {
        if missed == 0 {
            return;
        }
        let mut outbox = self.take_outbox(id);
        let conn = self.conn(id);
        let mut frame = Vec::new();
        let _ = conn.dialect.encode_event(&conn.codec, &Event::Missed(missed), &mut frame);
        outbox.push_missed(self.head_for(conn), &frame, missed);
        self.put_outbox(id, outbox);
    }

    pub(super) fn push_outbox(&mut self, id: ConnId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let conn = self.conn(id);
        let waiting = conn.outbox.as_ref().map_or(0, |outbox| outbox.len());
        // Who has less waiting than this may ask, and an answer may be of any length; what others send never is.
        let may_be_answer = waiting < OUTBOX_BYTES_HIGH;
        if conn.dialect.transport() == Transport::Datagram {
            if waiting + bytes.len() > OUTBOX_BYTES_MAX {
                self.metrics.datagrams_dropped += 1;
                return;
            }
        } else if conn.blocked && !may_be_answer && waiting + bytes.len() > OUTBOX_BYTES_MAX {
            return self.give_up(id, CloseReason::TooSlow);
        }
        let after = self.head_for(conn);
        let mut outbox = self.take_outbox(id);
        outbox.push(after, bytes);
        self.outbox_turn_bytes += bytes.len();
        self.put_outbox(id, outbox);
        self.shed();
    }

    /// Takes a connection's outbox out, or a spare one.
    pub(super) fn take_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        match self.conn_mut(id).outbox.take() {
            Some(outbox) => {
                self.outbox_total_bytes -= outbox.len();
                outbox
            }
            None => self.spare_outbox(id),
        }
    }

    /// Puts an outbox in its place, and its connection in the list of those to be flushed.
    pub(super) fn put_outbox(&mut self, id: ConnId, outbox: Box<Outbox>) {
        if outbox.is_empty() {
            return self.keep_spare(outbox);
        }
        self.outbox_total_bytes += outbox.len();
        self.conn_mut(id).outbox = Some(outbox);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let conn = self.conn_mut(id);
        if !conn.is_held() && !std::mem::replace(&mut conn.queued, true) {
            self.dirty.push_back(id);
        }
    }

    /// An empty outbox for a connection.
    pub(super) fn spare_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        let mut outbox = self.outbox_pool.pop().unwrap_or_default();
        outbox.is_framed = self.settings.is_framed(self.conn(id).dialect);
        outbox
    }

    pub(super) fn keep_spare(&mut self, mut outbox: Box<Outbox>) {
        if self.outbox_pool.len() < OUTBOX_POOL_MAX && outbox.capacity() <= OUTBOX_POOL_BYTES_MAX {
            outbox.clear();
            self.outbox_pool.push(outbox);
        }
    }

    pub(super) fn forget_outbox(&mut self, id: ConnId) {
        let outbox = self.take_outbox(id);
        self.keep_spare(outbox);
    }

    /// Frees memory, where all outboxes together are too large: the connections with the most waiting for them give way.
    pub(super) fn shed(&mut self) {
        if self.outbox_total_bytes <= OUTBOX_TOTAL_BYTES_MAX {
            return;
        }
        let waiting = |(slot, conn): (usize, &Connection)| {
            let bytes = conn.outbox.as_ref()?.len();
            Some((bytes, ConnId { slot: slot as u32, generation: conn.generation }))
        };
        let mut largest: Vec<_> = self.connections.iter().filter_map(waiting).collect();
        largest.sort_unstable_by_key(|&(bytes, _)| std::cmp::Reverse(bytes));
        for (_, id) in largest {
            if self.outbox_total_bytes <= OUTBOX_TOTAL_BYTES_LOW {
                return;
            }
            self.give_up(id, CloseReason::Memory);
        }
    }

    /// Forgets what waits for a connection, and writes nothing more to it: it may have half a frame. The connection
    /// itself is ended with the turn.
    fn give_up(&mut self, id: ConnId, reason: CloseReason) {
        self.forget_outbox(id);
        if self.conn(id).dialect.transport() == Transport::Datagram {
            // Datagrams may be lost, and are.
            self.metrics.datagrams_dropped += 1;
            return;
        }
        self.conn_mut(id).blocked = true;
        self.doomed.push((id, reason));
    }

    /// Ends the connections that were found to be too slow. Not where they were found: ending one tells its room, and
    /// that may find others.
    pub(super) fn end_doomed(&mut self) {
        while let Some((id, reason)) = self.doomed.pop() {
            let Some(conn) = self.find(id) else { continue };
            let is_closing = conn.closing.is_some();
            if reason != CloseReason::Lagged {
                self.drop_now(id, reason);
            } else if !is_closing {
                // What was said since would stand behind a gap of which it is not told.
                self.skip_to_head(id);
                self.reply(id, &Event::Error(Problem::TooSlow));
                self.close(id, reason);
            }
        }
    }
}
