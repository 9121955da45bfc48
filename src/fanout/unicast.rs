//! What goes out to one connection: its answers and direct messages, in its outbox; and what becomes of those who do not
//! read them.

use super::outbox::Outbox;
use super::{End, Fanout, Line, Report};
use crate::chat::{CloseReason, ConnId, Event};
use crate::limits::{
    OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, OUTBOX_POOL_BYTES_MAX, OUTBOX_POOL_MAX, OUTBOX_TOTAL_LOW_EIGHTHS,
};
use crate::wire::{Codec, Transport};

impl Fanout {
    /// Tells a connection how many messages it missed.
    pub(super) fn reply_missed(&mut self, id: ConnId, missed: u64) {
        if missed == 0 {
            return;
        }
        let mut outbox = self.take_outbox(id);
        let line = self.line(id);
        let mut frame = Vec::new();
        let _ = line.dialect.encode_event(&Codec::default(), &Event::Missed(missed), &mut frame);
        outbox.push_missed(self.head_for(line), &frame, missed);
        self.put_outbox(id, outbox);
    }

    /// Sends bytes to one connection, behind everything that it or its room was sent before: whole frames, and one alone
    /// where the dialect's go out one by one.
    pub(crate) fn push(&mut self, id: ConnId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let line = self.line(id);
        let waiting = line.waiting();
        // Who has less waiting than this may ask, and an answer may be of any length; what others send never is.
        let may_be_answer = waiting < OUTBOX_BYTES_HIGH;
        if line.dialect.transport() == Transport::Datagram {
            if waiting + bytes.len() > OUTBOX_BYTES_MAX {
                self.metrics.datagrams_dropped += 1;
                return;
            }
        } else if line.blocked && !may_be_answer && waiting + bytes.len() > OUTBOX_BYTES_MAX {
            return self.give_up(id, CloseReason::TooSlow);
        }
        let after = self.head_for(line);
        let mut outbox = self.take_outbox(id);
        outbox.push(after, bytes);
        self.outbox_turn_bytes += bytes.len();
        self.put_outbox(id, outbox);
        self.shed();
    }

    /// Takes a connection's outbox out, or a spare one.
    pub(super) fn take_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        match self.line_mut(id).outbox.take() {
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
        self.line_mut(id).outbox = Some(outbox);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let line = self.line_mut(id);
        if !line.is_held() && !std::mem::replace(&mut line.queued, true) {
            self.dirty.push_back(id);
        }
    }

    /// An empty outbox for a connection.
    pub(super) fn spare_outbox(&mut self, id: ConnId) -> Box<Outbox> {
        let mut outbox = self.outbox_pool.pop().unwrap_or_default();
        outbox.is_framed = self.settings.is_framed(self.line(id).dialect);
        outbox
    }

    pub(super) fn keep_spare(&mut self, mut outbox: Box<Outbox>) {
        if self.outbox_pool.len() < OUTBOX_POOL_MAX && outbox.capacity() <= OUTBOX_POOL_BYTES_MAX {
            outbox.clear();
            self.outbox_pool.push(outbox);
        }
    }

    pub(crate) fn forget_outbox(&mut self, id: ConnId) {
        let outbox = self.take_outbox(id);
        self.keep_spare(outbox);
    }

    /// Frees memory, where all outboxes together are too large: the connections with the most waiting for them give way.
    pub(super) fn shed(&mut self) {
        if self.outbox_total_bytes <= self.settings.outbox_total_bytes_limit {
            return;
        }
        let low = self.settings.outbox_total_bytes_limit / 8 * OUTBOX_TOTAL_LOW_EIGHTHS;
        let waiting = |(id, line): (ConnId, &Line)| Some((line.outbox.as_ref()?.len(), id));
        let mut largest: Vec<_> = self.lines.iter(self.shard).filter_map(waiting).collect();
        largest.sort_unstable_by_key(|&(bytes, _)| std::cmp::Reverse(bytes));
        for (_, id) in largest {
            if self.outbox_total_bytes <= low {
                return;
            }
            self.give_up(id, CloseReason::Memory);
        }
    }

    /// Forgets what waits for a connection, and writes nothing more to it: it may have half a frame. The engine ends it
    /// when it hears of that. Not here: ending one tells its room, and that may find others.
    fn give_up(&mut self, id: ConnId, reason: CloseReason) {
        self.forget_outbox(id);
        if self.line(id).dialect.transport() == Transport::Datagram {
            // Datagrams may be lost, and are.
            self.metrics.datagrams_dropped += 1;
            self.report_drained(id);
            return self.end_when_flushed(id);
        }
        // The engine, on whichever shard, will have it dropped.
        self.line_mut(id).end = End::Told;
        self.reports.push(Report::GivenUp(id, reason));
    }
}
